
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_VERDICT_H_INCLUDED_
#define _SGAMP_VERDICT_H_INCLUDED_


#include "sgamp_metrics.h"


/* whether a flow delivers, told in a line */

typedef enum {
    SGAMP_VERDICT_IDLE = 0, /* nothing was received */
    SGAMP_VERDICT_GOOD,
    SGAMP_VERDICT_WARN,
    SGAMP_VERDICT_BAD
} sgamp_verdict_level_e;


typedef enum {
    SGAMP_VERDICT_WEBHOOKS = 0,
    SGAMP_VERDICT_COHORTS
} sgamp_verdict_flow_e;


/* times are seconds since the epoch, n + 1 is n */

typedef struct {
    sgamp_verdict_level_e  level;
    const char            *text;     /* of the trouble, or of the state */
    const char            *preposition;
    uint64_t               time;     /* behind the preposition, or 0 */
    uint64_t               silence;  /* seconds, or 0 */
    uint64_t               now;      /* seconds */
    unsigned               trouble:1;
    unsigned               mixed:1;  /* others were delivered after that */

    uint64_t               last;     /* answer to the client */
    uint64_t               failure;  /* the last that is not 200 */
    const char            *status;   /* of the failure */
} sgamp_verdict_t;


void sgamp_verdict(const sgamp_metrics_t *m, sgamp_verdict_flow_e flow,
    sgamp_verdict_t *verdict);

/* the line, without characters that JSON or HTML would have escaped */
void sgamp_verdict_write(const sgamp_verdict_t *verdict, sgamp_sink_t *sink);

/* the name of the level */
const char *sgamp_verdict_level(const sgamp_verdict_t *verdict);


#endif /* _SGAMP_VERDICT_H_INCLUDED_ */
