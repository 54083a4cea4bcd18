
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_RUN_H_INCLUDED_
#define _SGAMP_RUN_H_INCLUDED_


#include "sgamp.h"


/* what stands between two members */

#define sgamp_run_is_gap(ch)  ((ch) == ',' || (ch) <= ' ')


/* members that leave as they are: neighbors are written together */

typedef struct {
    sgamp_sink_t  *sink;
    const u_char  *start;    /* NULL: none */
    const u_char  *end;
    int            written;  /* whether there were any before */
    unsigned       plain;    /* all are ASCII without an escape */
} sgamp_run_t;


void sgamp_run_init(sgamp_run_t *run, sgamp_sink_t *sink, unsigned plain);

/* adds members of the same object, in their order; a gap around is cut */
void sgamp_run_add(sgamp_run_t *run, const u_char *p, const u_char *last);

/* writes them, after a comma if need be */
void sgamp_run_flush(sgamp_run_t *run);


#endif /* _SGAMP_RUN_H_INCLUDED_ */
