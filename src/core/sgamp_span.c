
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_json.h"
#include "sgamp_span.h"


void
sgamp_span_init(sgamp_span_t *span, sgamp_sink_t *sink, unsigned plain)
{
    span->sink = sink;
    span->start = NULL;
    span->end = NULL;
    span->written = 0;
    span->plain = plain;
}


void
sgamp_span_flush(sgamp_span_t *span)
{
    const u_char  *p, *last;

    if (span->start == NULL) {
        return;
    }

    p = span->start;
    last = span->end;

    span->start = NULL;

    while (p < last && sgamp_span_is_gap(*p)) {
        p++;
    }

    while (p < last && sgamp_span_is_gap(last[-1])) {
        last--;
    }

    if (p == last) {
        return;
    }

    if (span->written) {
        sgamp_json_put(span->sink, (u_char *) ",", 1);
    }

    if (span->plain) {
        sgamp_json_put(span->sink, p, last - p);

    } else {
        sgamp_json_copy(span->sink, p, last - p);
    }

    span->written = 1;
}
