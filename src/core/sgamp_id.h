
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_ID_H_INCLUDED_
#define _SGAMP_ID_H_INCLUDED_


#include "sgamp_json.h"


/* whether a string has nothing but the white space of Unicode */
int sgamp_id_blank(const sgamp_json_value_t *value);

/* cuts the white space around, returns the number of characters left */
size_t sgamp_id_cut(sgamp_json_value_t *value);

/*
 * Cuts the white space around a string or a number, and tells if what is left
 * is usable as Amplitude's user_id: not empty, not too long, not reserved.
 */
int sgamp_id_usable(sgamp_json_value_t *value);

/* writes the inside of a string with its ASCII letters in lower case */
void sgamp_id_lowercase(sgamp_sink_t *sink, const sgamp_str_t *text);


#endif /* _SGAMP_ID_H_INCLUDED_ */
