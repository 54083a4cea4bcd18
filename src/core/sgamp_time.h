
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TIME_H_INCLUDED_
#define _SGAMP_TIME_H_INCLUDED_


#include "sgamp_json.h"


/*
 * A timestamp of SendGrid's, seconds in a number or a string, in milliseconds
 * since the epoch, cut; 12 digits or more are milliseconds already.  Returns 0
 * if it is none.
 */
int sgamp_time(const sgamp_json_value_t *value, uint64_t *ms);


#endif /* _SGAMP_TIME_H_INCLUDED_ */
