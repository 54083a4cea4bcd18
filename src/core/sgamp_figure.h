
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_FIGURE_H_INCLUDED_
#define _SGAMP_FIGURE_H_INCLUDED_


#include "sgamp_json.h"


/* figures as the status page shows them, in the same way as its script */

#define SGAMP_FIGURE_NONE  "\xe2\x80\x93"


/* with commas */
void sgamp_figure_count(sgamp_sink_t *sink, uint64_t n);

/* cut after the first digit of a fraction, as the next two */
void sgamp_figure_bytes(sgamp_sink_t *sink, uint64_t n);

/* n of all in percent */
void sgamp_figure_share(sgamp_sink_t *sink, uint64_t n, uint64_t all);

/* a time in microseconds, or SGAMP_METRICS_NONE */
void sgamp_figure_duration(sgamp_sink_t *sink, uint64_t us);

/* seconds since the epoch, n + 1 is n, and 0 is never */
void sgamp_figure_when(sgamp_sink_t *sink, uint64_t time);


#endif /* _SGAMP_FIGURE_H_INCLUDED_ */
