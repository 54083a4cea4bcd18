
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _NGX_HTTP_SENDGRID_AMP_METRICS_H_INCLUDED_
#define _NGX_HTTP_SENDGRID_AMP_METRICS_H_INCLUDED_


#include "sgamp_metrics.h"


/* webhooks in flight in the process that has this place */

typedef struct {
    ngx_pid_t   pid;
    ngx_uint_t  n;
} ngx_http_sendgrid_amp_flight_t;


/*
 * What all workers count, in shared memory.  Each process has a place by its
 * number in nginx's table of processes, which no other one writes to.
 */

struct ngx_http_sendgrid_amp_shared_s {
    uint64_t                        magic;
    size_t                          size;    /* of this struct */
    time_t                          since;
    ngx_atomic_t                    values[SGAMP_METRICS];
    ngx_http_sendgrid_amp_flight_t  flights[NGX_MAX_PROCESSES];
};


/* zone */

/* all figures of now; there has to be a zone */
void ngx_http_sendgrid_amp_snapshot(ngx_http_sendgrid_amp_main_conf_t *amcf,
    sgamp_metrics_t *m);

char *ngx_http_sendgrid_amp_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* count */

/* where a webhook is counted, NULL if it is not */
ngx_atomic_t *ngx_http_sendgrid_amp_counters(ngx_http_sendgrid_amp_ctx_t *ctx);

/* adds to a counter of sgamp_metrics.h */
void ngx_http_sendgrid_amp_count(ngx_http_sendgrid_amp_ctx_t *ctx,
    unsigned metric, uint64_t n);

void ngx_http_sendgrid_amp_count_forwarded(ngx_http_sendgrid_amp_slot_t *slot,
    sgamp_part_t *part);
void ngx_http_sendgrid_amp_count_rejected(ngx_http_sendgrid_amp_ctx_t *ctx,
    sgamp_kind_e kind, const sgamp_str_t *reason);

/* counts the answer to slot->part, with status 0 if there was none */
void ngx_http_sendgrid_amp_count_answer(ngx_http_sendgrid_amp_slot_t *slot,
    ngx_uint_t status);

/* begins and ends to count a webhook as in flight */
void ngx_http_sendgrid_amp_enter(ngx_http_sendgrid_amp_ctx_t *ctx);
void ngx_http_sendgrid_amp_leave(ngx_http_sendgrid_amp_ctx_t *ctx);

ngx_int_t ngx_http_sendgrid_amp_count_init(ngx_conf_t *cf);


/* status */

char *ngx_http_sendgrid_amp_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_sendgrid_amp_merge_status(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *prev,
    ngx_http_sendgrid_amp_loc_conf_t *conf);


#endif /* _NGX_HTTP_SENDGRID_AMP_METRICS_H_INCLUDED_ */
