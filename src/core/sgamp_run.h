
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_RUN_H_INCLUDED_
#define _SGAMP_RUN_H_INCLUDED_


#include "sgamp.h"


/* commas and white space stand between two members */

#define sgamp_run_is_gap(ch)  ((ch) == ',' || (ch) <= ' ')


/* members of an object that are sent as they are, neighbors at once */

typedef struct {
    sgamp_sink_t  *sink;
    const u_char  *start;    /* of the members to write next, or NULL */
    const u_char  *end;
    int            written;  /* whether members were written before */
    unsigned       plain;    /* the object is ASCII and has no escape */
} sgamp_run_t;


void sgamp_run_init(sgamp_run_t *run, sgamp_sink_t *sink, unsigned plain);

/* writes the members of the run, after a comma if one is needed */
void sgamp_run_flush(sgamp_run_t *run);


static inline void
sgamp_run_add(sgamp_run_t *run, const u_char *p, const u_char *last)
{
    const u_char  *s;

    /* members in their order; a gap before or after them is not written */

    if (run->start != NULL) {

        for (s = run->end; s < p && sgamp_run_is_gap(*s); s++) {
            /* void */
        }

        if (s == p) {
            run->end = last;
            return;
        }

        sgamp_run_flush(run);
    }

    run->start = p;
    run->end = last;
}


#endif /* _SGAMP_RUN_H_INCLUDED_ */
