
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_json.h"
#include "sgamp_run.h"


void
sgamp_run_init(sgamp_run_t *run, sgamp_sink_t *sink, unsigned plain)
{
    run->sink = sink;
    run->start = NULL;
    run->end = NULL;
    run->written = 0;
    run->plain = plain;
}


void
sgamp_run_add(sgamp_run_t *run, const u_char *p, const u_char *last)
{
    const u_char  *s;

    /* members that leave as they are, and what may stand around them */

    while (p < last && sgamp_run_is_gap(*p)) {
        p++;
    }

    while (p < last && sgamp_run_is_gap(last[-1])) {
        last--;
    }

    if (p == last) {
        return;
    }

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


void
sgamp_run_flush(sgamp_run_t *run)
{
    if (run->start == NULL) {
        return;
    }

    if (run->written) {
        sgamp_json_put(run->sink, (u_char *) ",", 1);
    }

    if (run->plain) {
        sgamp_json_put(run->sink, run->start, run->end - run->start);

    } else {
        sgamp_json_copy(run->sink, run->start, run->end - run->start);
    }

    run->start = NULL;
    run->written = 1;
}
