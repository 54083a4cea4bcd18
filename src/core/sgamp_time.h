
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TIME_H_INCLUDED_
#define _SGAMP_TIME_H_INCLUDED_


#include "sgamp_json.h"


/*
 * A timestamp of SendGrid's in milliseconds since the epoch, cut: seconds in a
 * number or a string, of which 12 digits or more, without leading zeros, are
 * milliseconds already, or a date and time of RFC 3339 in a string.  Returns 0
 * if the value is neither.
 */
int sgamp_time(const sgamp_json_value_t *value, uint64_t *ms);


#endif /* _SGAMP_TIME_H_INCLUDED_ */
