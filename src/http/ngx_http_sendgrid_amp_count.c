
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


static ngx_int_t ngx_http_sendgrid_amp_count_handler(ngx_http_request_t *r);
static void ngx_http_sendgrid_amp_count_webhook(ngx_atomic_t *counters,
    ngx_http_request_t *r);
static void ngx_http_sendgrid_amp_count_time(ngx_atomic_t *counters,
    unsigned histogram, ngx_msec_int_t ms);
static ngx_uint_t ngx_http_sendgrid_amp_final_status(ngx_http_request_t *r);


#define ngx_http_sendgrid_amp_add(counters, metric, n)                        \
    (void) ngx_atomic_fetch_add(&(counters)[metric], (ngx_atomic_int_t) (n))


ngx_atomic_t *
ngx_http_sendgrid_amp_counters(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    if (ctx->worker->shared == NULL || ctx->dry_run != NULL) {
        return NULL;
    }

    return ctx->worker->shared->values;
}


void
ngx_http_sendgrid_amp_count(ngx_http_sendgrid_amp_ctx_t *ctx, unsigned metric,
    uint64_t n)
{
    ngx_atomic_t  *counters;

    counters = ngx_http_sendgrid_amp_counters(ctx);

    if (counters != NULL && n != 0) {
        ngx_http_sendgrid_amp_add(counters, metric, n);
    }
}


void
ngx_http_sendgrid_amp_count_forwarded(ngx_http_sendgrid_amp_slot_t *slot,
    sgamp_part_t *part)
{
    uint32_t       i, kinds[SGAMP_KINDS];
    ngx_atomic_t  *counters;

    counters = ngx_http_sendgrid_amp_counters(slot->ctx);

    if (counters == NULL) {
        return;
    }

    ngx_memzero(kinds, sizeof(kinds));

    for (i = 0; i < part->n; i++) {
        kinds[slot->batch->kinds[part->index[i]]]++;
    }

    for (i = 0; i < SGAMP_KINDS; i++) {
        if (kinds[i] != 0) {
            ngx_http_sendgrid_amp_add(counters,
                             sgamp_metrics_event(i, SGAMP_METRICS_FORWARDED),
                             kinds[i]);
        }
    }
}


void
ngx_http_sendgrid_amp_count_rejected(ngx_http_sendgrid_amp_ctx_t *ctx,
    sgamp_kind_e kind, const sgamp_str_t *reason)
{
    ngx_http_sendgrid_amp_count(ctx,
                          sgamp_metrics_event(kind, SGAMP_METRICS_REJECTED),
                          1);
    ngx_http_sendgrid_amp_count(ctx, sgamp_metrics_rejected(reason), 1);
}


void
ngx_http_sendgrid_amp_count_answer(ngx_http_sendgrid_amp_slot_t *slot,
    ngx_uint_t status)
{
    ngx_atomic_t  *counters;

    counters = ngx_http_sendgrid_amp_counters(slot->ctx);

    if (counters == NULL) {
        return;
    }

    ngx_http_sendgrid_amp_add(counters, sgamp_metrics_response(status), 1);
    ngx_http_sendgrid_amp_count_time(counters, SGAMP_METRICS_AMPLITUDE_TIME,
                                     (ngx_msec_int_t) (ngx_current_msec
                                                       - slot->start));
}


void
ngx_http_sendgrid_amp_enter(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_sendgrid_amp_flight_t  *flight;

    if (ngx_http_sendgrid_amp_counters(ctx) == NULL) {
        return;
    }

    /* the place of this process; another one that had it is gone */

    flight = &ctx->worker->shared->flights[ngx_process_slot];

    if (flight->pid != ngx_pid) {
        flight->n = 0;
        flight->pid = ngx_pid;
    }

    flight->n++;
    ctx->flying = 1;
}


void
ngx_http_sendgrid_amp_leave(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t     i;
    ngx_atomic_t  *counters;

    counters = ngx_http_sendgrid_amp_counters(ctx);

    if (ctx->flying) {
        ctx->worker->shared->flights[ngx_process_slot].n--;
        ctx->flying = 0;
    }

    if (counters == NULL) {
        return;
    }

    ngx_http_sendgrid_amp_count(ctx, SGAMP_METRICS_RECEIVED_BYTES, ctx->bytes);

    /* while something is held it is not known whose events these are */

    if (ctx->ignored != 0 && !ctx->hold) {
        for (i = 0; i < SGAMP_KINDS; i++) {
            ngx_http_sendgrid_amp_count(ctx,
                               sgamp_metrics_event(i, SGAMP_METRICS_IGNORED),
                               ctx->ignored_kinds[i]);
        }
    }

    if (ctx->signature != NGX_HTTP_SENDGRID_AMP_UNSIGNED) {
        i = ctx->signature - NGX_HTTP_SENDGRID_AMP_SIGNED;
        ngx_http_sendgrid_amp_add(counters, SGAMP_METRICS_SIGNED + i, 1);
    }
}


static ngx_int_t
ngx_http_sendgrid_amp_count_handler(ngx_http_request_t *r)
{
    ngx_atomic_t                       *counters;
    ngx_http_sendgrid_amp_ctx_t        *ctx;
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    if (r != r->main || !ngx_http_sendgrid_amp_seen(r)) {
        return NGX_OK;
    }

    ctx = ngx_http_sendgrid_amp_find_ctx(r);

    if (ctx != NULL) {
        counters = ngx_http_sendgrid_amp_counters(ctx);

    } else {
        amcf = ngx_http_get_module_main_conf(r, ngx_http_sendgrid_amp_module);
        counters = amcf->shared->values;
    }

    if (counters != NULL) {
        ngx_http_sendgrid_amp_count_webhook(counters, r);
    }

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_count_webhook(ngx_atomic_t *counters,
    ngx_http_request_t *r)
{
    ngx_uint_t       status;
    ngx_time_t      *tp;
    ngx_msec_int_t   ms;

    tp = ngx_timeofday();
    status = ngx_http_sendgrid_amp_final_status(r);

    ms = (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                           + (tp->msec - r->start_msec));

    ngx_http_sendgrid_amp_add(counters, sgamp_metrics_webhook(status), 1);
    ngx_http_sendgrid_amp_count_time(counters, SGAMP_METRICS_WEBHOOK_TIME, ms);
}


static ngx_uint_t
ngx_http_sendgrid_amp_final_status(ngx_http_request_t *r)
{
    /* as $status has it */

    return r->err_status ? r->err_status : r->headers_out.status;
}


static void
ngx_http_sendgrid_amp_count_time(ngx_atomic_t *counters, unsigned histogram,
    ngx_msec_int_t ms)
{
    ms = ngx_max(ms, 0);

    ngx_http_sendgrid_amp_add(counters, sgamp_metrics_bucket(histogram, ms),
                              1);
    ngx_http_sendgrid_amp_add(counters, histogram + SGAMP_METRICS_BUCKETS, ms);
}


ngx_int_t
ngx_http_sendgrid_amp_count_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt                *h;
    ngx_http_core_main_conf_t          *cmcf;
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    amcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_sendgrid_amp_module);

    if (amcf->zone == NULL) {
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_sendgrid_amp_count_handler;

    return NGX_OK;
}
