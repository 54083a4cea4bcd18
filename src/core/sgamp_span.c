
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_span.h"


void
sgamp_span_flush(sgamp_span_t *span)
{
    const u_char  *p;

    p = span->start;

    if (p != NULL) {
        span->start = NULL;
        sgamp_span_write(span, p, span->end);
    }
}
