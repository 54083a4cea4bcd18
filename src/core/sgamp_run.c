
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
sgamp_run_flush(sgamp_run_t *run)
{
    const u_char  *p, *last;

    if (run->start == NULL) {
        return;
    }

    p = run->start;
    last = run->end;

    run->start = NULL;

    while (p < last && sgamp_run_is_gap(*p)) {
        p++;
    }

    while (p < last && sgamp_run_is_gap(last[-1])) {
        last--;
    }

    if (p == last) {
        return;
    }

    if (run->written) {
        sgamp_json_put(run->sink, (u_char *) ",", 1);
    }

    if (run->plain) {
        sgamp_json_put(run->sink, p, last - p);

    } else {
        sgamp_json_copy(run->sink, p, last - p);
    }

    run->written = 1;
}
