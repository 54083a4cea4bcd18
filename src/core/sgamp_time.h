
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TIME_H_INCLUDED_
#define _SGAMP_TIME_H_INCLUDED_


#include "sgamp_json.h"


/*
 * Sets *ms to a timestamp of SendGrid's, in whole milliseconds since the epoch.
 * The value is seconds, in a number or a string, or a date and time of RFC 3339
 * in a string.  A number with 12 digits or more, without leading zeros, is
 * milliseconds already.  Returns 0 if the value is no timestamp.
 */
int sgamp_time(const sgamp_json_value_t *value, uint64_t *ms);

/* seconds since the epoch in UTC: the day, then hours, minutes and seconds */
void sgamp_time_write_date(sgamp_sink_t *sink, uint64_t seconds);
void sgamp_time_write_clock(sgamp_sink_t *sink, uint64_t seconds);


#endif /* _SGAMP_TIME_H_INCLUDED_ */
