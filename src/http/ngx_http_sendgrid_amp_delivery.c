
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


#define NGX_HTTP_SENDGRID_AMP_UNPROVEN  6  /* batches, before one is accepted */


static void ngx_http_sendgrid_amp_abandon(ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_delivery_cleanup(void *data);
static ngx_uint_t ngx_http_sendgrid_amp_may_send(
    ngx_http_sendgrid_amp_slot_t *slot);
static void ngx_http_sendgrid_amp_next_parts(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_next_part(
    ngx_http_sendgrid_amp_slot_t *slot);
static sgamp_part_t *ngx_http_sendgrid_amp_first_due(
    ngx_http_sendgrid_amp_slot_t *slot);
static ngx_uint_t ngx_http_sendgrid_amp_too_late(
    ngx_http_sendgrid_amp_ctx_t *ctx, ngx_msec_t when);
static void ngx_http_sendgrid_amp_timer_handler(ngx_event_t *ev);
static void ngx_http_sendgrid_amp_free_slot(
    ngx_http_sendgrid_amp_slot_t *slot);


ngx_int_t
ngx_http_sendgrid_amp_delivery_init(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;
    ngx_pool_cleanup_t  *cln;

    r = ctx->request;
    c = r->connection;

    /* realip in a location to Amplitude changes the address until its end */

    ctx->sockaddr = c->sockaddr;
    ctx->socklen = c->socklen;
    ctx->addr_text = c->addr_text;

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_sendgrid_amp_delivery_cleanup;
    cln->data = ctx;

    ctx->slots = ngx_pcalloc(r->pool, ctx->conf->concurrency
                                      * sizeof(ngx_http_sendgrid_amp_slot_t));
    if (ctx->slots == NULL) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_sendgrid_amp_emit(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                     i;
    ngx_http_sendgrid_amp_slot_t  *slot;

    if (ctx->hold) {
        return;
    }

    if (ctx->dry_run != NULL) {
        ngx_http_sendgrid_amp_dry_run_emit(ctx);
        return;
    }

    for (i = 0; i < ctx->conf->concurrency; i++) {

        if (ctx->batcher.closed == NULL
            || ctx->error >= NGX_HTTP_SENDGRID_AMP_REFUSED)
        {
            return;
        }

        slot = &ctx->slots[i];

        if (slot->batch != NULL) {
            continue;
        }

        slot->ctx = ctx;
        slot->batch = sgamp_batcher_take(&ctx->batcher);
        slot->parts = sgamp_part_all(&ctx->worker->grow, slot->batch);

        if (slot->parts == NULL) {
            ngx_http_sendgrid_amp_free_slot(slot);
            ngx_http_sendgrid_amp_internal(ctx, "no memory to send a batch");
            return;
        }

        slot->parts->due = ngx_current_msec;

        ngx_http_sendgrid_amp_next_part(slot);
    }
}


void
ngx_http_sendgrid_amp_deliver(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                     i;
    ngx_http_sendgrid_amp_slot_t  *slot;

    if (ctx->slots == NULL) {
        return;
    }

    if (ctx->dry_run != NULL) {
        ngx_http_sendgrid_amp_dry_run_flush(ctx);
        ngx_http_sendgrid_amp_emit(ctx);
        return;
    }

    for (i = 0; i < ctx->conf->concurrency; i++) {
        slot = &ctx->slots[i];

        if (slot->part != NULL && ngx_http_sendgrid_amp_answered(slot)) {
            ngx_http_sendgrid_amp_outcome(slot);
        }
    }

    ngx_http_sendgrid_amp_next_parts(ctx);
    ngx_http_sendgrid_amp_emit(ctx);

    /* nothing would wake a part that could not be sent */

    if (ctx->error >= NGX_HTTP_SENDGRID_AMP_REFUSED) {
        ngx_http_sendgrid_amp_abandon(ctx);
    }
}


static void
ngx_http_sendgrid_amp_next_parts(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                     i;
    ngx_http_sendgrid_amp_slot_t  *slot, *probe;

    do {
        probe = ctx->probe;

        for (i = 0; i < ctx->conf->concurrency; i++) {
            slot = &ctx->slots[i];

            if (ctx->error < NGX_HTTP_SENDGRID_AMP_REFUSED
                && slot->batch != NULL && slot->part == NULL)
            {
                ngx_http_sendgrid_amp_next_part(slot);
            }
        }

        /* no answer wakes the batches that waited for the probe */

    } while (probe != NULL && ctx->probe == NULL);
}


ngx_uint_t
ngx_http_sendgrid_amp_in_flight(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t  i, n;

    if (ctx->dry_run != NULL) {
        return ngx_http_sendgrid_amp_dry_run_busy(ctx);
    }

    n = 0;

    if (ctx->slots == NULL) {
        return n;
    }

    for (i = 0; i < ctx->conf->concurrency; i++) {
        n += (ctx->slots[i].batch != NULL);
    }

    return n;
}


static void
ngx_http_sendgrid_amp_abandon(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                     i;
    ngx_http_sendgrid_amp_slot_t  *slot;

    /* the places that wait for an answer are freed when it has come */

    for (i = 0; i < ctx->conf->concurrency; i++) {
        slot = &ctx->slots[i];

        if (slot->batch != NULL && slot->part == NULL) {
            ngx_http_sendgrid_amp_free_slot(slot);
        }
    }
}


static void
ngx_http_sendgrid_amp_delivery_cleanup(void *data)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx = data;

    ngx_uint_t                     i;
    ngx_http_sendgrid_amp_slot_t  *slot;

    ngx_http_sendgrid_amp_free_suspects(ctx);

    if (ctx->slots == NULL) {
        return;
    }

    for (i = 0; i < ctx->conf->concurrency; i++) {
        slot = &ctx->slots[i];

        if (slot->part != NULL) {
            ngx_http_sendgrid_amp_count_answer(slot, 0);
        }

        if (slot->batch != NULL) {
            ngx_http_sendgrid_amp_free_subrequest(slot);
            ngx_http_sendgrid_amp_free_slot(slot);
        }
    }

    ngx_http_sendgrid_amp_destroy_pools(ctx, 1);
}


static void
ngx_http_sendgrid_amp_next_part(ngx_http_sendgrid_amp_slot_t *slot)
{
    ngx_msec_int_t                wait;
    sgamp_part_t                 *part;
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ctx = slot->ctx;

    for ( ;; ) {
        part = ngx_http_sendgrid_amp_first_due(slot);

        if (part == NULL) {
            ngx_http_sendgrid_amp_free_slot(slot);
            return;
        }

        wait = (ngx_msec_int_t) ((ngx_msec_t) part->due - ngx_current_msec);

        if (ngx_http_sendgrid_amp_too_late(ctx, ngx_current_msec
                                                + ngx_max(wait, 0)))
        {
            ngx_http_sendgrid_amp_give_up(slot, part);
            continue;
        }

        if (wait > 0) {
            ngx_http_sendgrid_amp_push(slot, part, (ngx_msec_t) part->due);

            ngx_http_sendgrid_amp_set_timer(slot, (ngx_msec_t) wait);
            return;
        }

        if (!ngx_http_sendgrid_amp_may_send(slot)) {
            ngx_http_sendgrid_amp_push(slot, part, (ngx_msec_t) part->due);
            return;
        }

        slot->part = part;

        if (ngx_http_sendgrid_amp_send(slot) != NGX_OK) {
            ngx_http_sendgrid_amp_internal(ctx, "a batch cannot be sent");

            slot->part = NULL;
            ngx_http_sendgrid_amp_push(slot, part, ngx_current_msec);
            return;
        }

        if (part->sent) {
            ctx->retries++;
            ngx_http_sendgrid_amp_count(ctx, SGAMP_METRICS_RETRIES, 1);

        } else {
            ctx->batches++;
        }

        part->sent = 1;

        return;
    }
}


static ngx_uint_t
ngx_http_sendgrid_amp_may_send(ngx_http_sendgrid_amp_slot_t *slot)
{
    ngx_uint_t                    i, n;
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ctx = slot->ctx;

    /*
     * after a refusal without evidence, a single batch finds out whether
     * Amplitude takes anything; each answer wakes the others
     */

    if (ctx->refusals == 0) {

        if (ctx->conf->concurrency <= NGX_HTTP_SENDGRID_AMP_UNPROVEN
            || ngx_http_sendgrid_amp_has_accepted(ctx))
        {
            return 1;
        }

        /* if the way is wrong, each batch on its way is a request too many */

        n = 0;

        for (i = 0; i < ctx->conf->concurrency; i++) {
            n += (ctx->slots[i].part != NULL);
        }

        return n < NGX_HTTP_SENDGRID_AMP_UNPROVEN;
    }

    if (ctx->probe == NULL) {
        ctx->probe = slot;
    }

    return ctx->probe == slot;
}


static sgamp_part_t *
ngx_http_sendgrid_amp_first_due(ngx_http_sendgrid_amp_slot_t *slot)
{
    sgamp_part_t  *part, **pp, **first;

    first = &slot->parts;

    for (pp = &slot->parts; *pp != NULL; pp = &(*pp)->next) {
        if ((ngx_msec_int_t) ((ngx_msec_t) (*pp)->due
                              - (ngx_msec_t) (*first)->due)
            < 0)
        {
            first = pp;
        }
    }

    part = *first;

    if (part != NULL) {
        *first = part->next;
    }

    return part;
}


static ngx_uint_t
ngx_http_sendgrid_amp_too_late(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_msec_t when)
{
    return ctx->drained && (ngx_msec_int_t) (when - ctx->deadline) >= 0;
}


void
ngx_http_sendgrid_amp_set_timer(ngx_http_sendgrid_amp_slot_t *slot,
    ngx_msec_t wait)
{
    if (slot->timer.timer_set) {
        ngx_del_timer(&slot->timer);
    }

    slot->timer.handler = ngx_http_sendgrid_amp_timer_handler;
    slot->timer.data = slot;
    slot->timer.log = slot->ctx->request->connection->log;

    ngx_add_timer(&slot->timer, wait);
}


static void
ngx_http_sendgrid_amp_timer_handler(ngx_event_t *ev)
{
    ngx_http_sendgrid_amp_slot_t  *slot = ev->data;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, slot->ctx->request->connection->log, 0,
                   "sendgrid_amp timer");

    ngx_http_sendgrid_amp_end_delay(slot->ctx);

    ngx_http_sendgrid_amp_run_event(slot->ctx);
}


void
ngx_http_sendgrid_amp_push(ngx_http_sendgrid_amp_slot_t *slot,
    sgamp_part_t *part, ngx_msec_t due)
{
    part->due = due;
    part->next = slot->parts;
    slot->parts = part;
}


void
ngx_http_sendgrid_amp_give_up(ngx_http_sendgrid_amp_slot_t *slot,
    sgamp_part_t *part)
{
    ngx_log_error(NGX_LOG_ERR, slot->ctx->request->connection->log, 0,
                  "%uD events were not delivered to the region \"%V\" "
                  "after %ud retries: amplitude %s",
                  part->n, &slot->ctx->region, part->attempts,
                  part->throttled ? "throttles them" : "is unavailable");

    ngx_http_sendgrid_amp_fail(slot->ctx,
                               part->throttled
                               ? NGX_HTTP_SENDGRID_AMP_THROTTLED
                               : NGX_HTTP_SENDGRID_AMP_UNAVAILABLE);

    sgamp_part_free(&slot->ctx->worker->grow, part);
}


static void
ngx_http_sendgrid_amp_free_slot(ngx_http_sendgrid_amp_slot_t *slot)
{
    sgamp_part_t                       *part, *next;
    ngx_http_sendgrid_amp_main_conf_t  *worker;

    worker = slot->ctx->worker;

    if (slot->timer.timer_set) {
        ngx_del_timer(&slot->timer);
    }

    for (part = slot->parts; part != NULL; part = next) {
        next = part->next;
        sgamp_part_free(&worker->grow, part);
    }

    if (slot->part != NULL) {
        sgamp_part_free(&worker->grow, slot->part);
    }

    sgamp_batch_free(&worker->pieces, slot->batch);

    if (slot->ctx->probe == slot) {
        slot->ctx->probe = NULL;
    }

    slot->parts = NULL;
    slot->part = NULL;
    slot->batch = NULL;
}
