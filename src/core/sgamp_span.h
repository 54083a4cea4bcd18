
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_SPAN_H_INCLUDED_
#define _SGAMP_SPAN_H_INCLUDED_


#include "sgamp_json.h"


/* commas and white space stand between two members */

#define sgamp_span_is_gap(ch)  ((ch) == ',' || (ch) <= ' ')


/* members of an object that are sent as they are, neighbors together */

typedef struct {
    sgamp_sink_t  *sink;
    const u_char  *start;    /* of the members to write next, or NULL */
    const u_char  *end;
    int            written;  /* whether members were written before */
    unsigned       plain;    /* the object is ASCII and has no escape */
} sgamp_span_t;


static inline void sgamp_span_init(sgamp_span_t *span, sgamp_sink_t *sink,
    unsigned plain);

/* writes the members of the span */
void sgamp_span_flush(sgamp_span_t *span);

/* writes members, less a gap around them, after a comma if one is needed */
static inline void sgamp_span_write(sgamp_span_t *span, const u_char *p,
    const u_char *last);


static inline void
sgamp_span_init(sgamp_span_t *span, sgamp_sink_t *sink, unsigned plain)
{
    span->sink = sink;
    span->start = NULL;
    span->end = NULL;
    span->written = 0;
    span->plain = plain;
}


static inline void
sgamp_span_write(sgamp_span_t *span, const u_char *p, const u_char *last)
{
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
        sgamp_json_write(span->sink, p, last - p);

    } else {
        sgamp_json_copy(span->sink, p, last - p);
    }

    span->written = 1;
}


static inline void
sgamp_span_add(sgamp_span_t *span, const u_char *p, const u_char *last)
{
    const u_char  *s;

    /* members in their order; a gap before or after them is not written */

    if (span->start != NULL) {

        for (s = span->end; s < p && sgamp_span_is_gap(*s); s++) {
            /* void */
        }

        if (s == p) {
            span->end = last;
            return;
        }

        sgamp_span_flush(span);
    }

    span->start = p;
    span->end = last;
}


#endif /* _SGAMP_SPAN_H_INCLUDED_ */
