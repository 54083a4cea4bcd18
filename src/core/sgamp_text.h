
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TEXT_H_INCLUDED_
#define _SGAMP_TEXT_H_INCLUDED_


#include "sgamp_json.h"


#define SGAMP_TEXT_CHAR  4 /* bytes of a character at most */

/* of ASCII letters */

#define sgamp_text_lower(c)  (((c) >= 'A' && (c) <= 'Z') ? (c) | 0x20 : (c))


/* a character as UTF-8, returns how many bytes it takes */
size_t sgamp_text_encode(u_char buf[SGAMP_TEXT_CHAR], uint32_t c);

/*
 * Whether the inside of a JSON string is a text in UTF-8, its ASCII letters in
 * lower case if asked for.
 */
int sgamp_text_is(const sgamp_str_t *string, const sgamp_str_t *text,
    unsigned lower);


#endif /* _SGAMP_TEXT_H_INCLUDED_ */
