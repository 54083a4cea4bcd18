
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


#define NGX_HTTP_SENDGRID_AMP_ROUNDS     10       /* answers that name some */
#define NGX_HTTP_SENDGRID_AMP_MAX_DELAY  3600000  /* ms between two attempts */
#define NGX_HTTP_SENDGRID_AMP_REFUSALS   6        /* then elements go alone */


static ngx_int_t ngx_http_sendgrid_amp_delivery_init(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_delivery_cleanup(void *data);
static ngx_uint_t ngx_http_sendgrid_amp_collect(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_uint_t ngx_http_sendgrid_amp_is_waiting(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_emit(ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_uint_t ngx_http_sendgrid_amp_supply(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_next_parts(ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_next_part(ngx_http_sendgrid_amp_job_t *job);
static ngx_uint_t ngx_http_sendgrid_amp_sent(ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_prepare_part(
    ngx_http_sendgrid_amp_job_t *job);
static sgamp_part_t *ngx_http_sendgrid_amp_first_due(
    ngx_http_sendgrid_amp_job_t *job);
static ngx_uint_t ngx_http_sendgrid_amp_too_late(
    ngx_http_sendgrid_amp_ctx_t *ctx, ngx_msec_t when);
static void ngx_http_sendgrid_amp_timer_handler(ngx_event_t *ev);
static void ngx_http_sendgrid_amp_push(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part, ngx_msec_t due);
static void ngx_http_sendgrid_amp_give_up(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part);
static void ngx_http_sendgrid_amp_abandon(ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_free_job(ngx_http_sendgrid_amp_job_t *job);
static void ngx_http_sendgrid_amp_outcome(ngx_http_sendgrid_amp_job_t *job,
    sgamp_action_e action);
static ngx_int_t ngx_http_sendgrid_amp_act(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part, sgamp_action_e action);
static ngx_int_t ngx_http_sendgrid_amp_select(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part, unsigned step);
static ngx_int_t ngx_http_sendgrid_amp_separate(
    ngx_http_sendgrid_amp_job_t *job, sgamp_part_t *part, unsigned bits);
static ngx_int_t ngx_http_sendgrid_amp_halve(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part);
static void ngx_http_sendgrid_amp_delay(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part, unsigned throttled);
static ngx_int_t ngx_http_sendgrid_amp_reject_one(
    ngx_http_sendgrid_amp_job_t *job, sgamp_part_t *part, uint32_t i);


static ngx_int_t
ngx_http_sendgrid_amp_delivery_init(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    size_t                             size;
    ngx_uint_t                         i;
    ngx_http_sendgrid_amp_job_t       *job;
    ngx_http_sendgrid_amp_delivery_t  *delivery;

    delivery = &ctx->delivery;

    /* a dry run writes one batch at a time */
    delivery->n = ctx->transport.ops->live ? ctx->conf->concurrency : 1;

    size = sizeof(ngx_http_sendgrid_amp_job_t) + ctx->flow->answer_size;

    job = ngx_palloc(ctx->request->pool, delivery->n * size);
    if (job == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(job, delivery->n * sizeof(ngx_http_sendgrid_amp_job_t));

    for (i = 0; i < delivery->n; i++) {
        job[i].ctx = ctx;
        job[i].timer.handler = ngx_http_sendgrid_amp_timer_handler;
        job[i].timer.data = &job[i];
        job[i].timer.log = ctx->request->connection->log;
        job[i].answer = (u_char *) (job + delivery->n)
                        + i * ctx->flow->answer_size;
    }

    /* cleanup handlers run in reverse: jobs are freed before the transport */

    if (ctx->transport.ops->init(ctx, job, delivery->n) != NGX_OK
        || ngx_http_sendgrid_amp_add_cleanup(ctx,
                                      ngx_http_sendgrid_amp_delivery_cleanup)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    delivery->jobs = job;

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_delivery_cleanup(void *data)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx = data;

    ngx_uint_t                    i;
    ngx_http_sendgrid_amp_job_t  *job;

    ngx_http_sendgrid_amp_free_suspects(ctx);

    for (i = 0; ctx->delivery.jobs != NULL && i < ctx->delivery.n; i++) {
        job = &ctx->delivery.jobs[i];

        if (job->part != NULL && ctx->transport.ops->live
            && ctx->flow->unanswered != NULL)
        {
            ctx->flow->unanswered(job);
        }

        if (job->batch != NULL) {
            job->ctx->transport.ops->close(job);
            ngx_http_sendgrid_amp_free_job(job);
        }
    }

    sgamp_batcher_done(&ctx->delivery.batcher);
}


ngx_int_t
ngx_http_sendgrid_amp_deliver(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    if (ctx->delivery.jobs == NULL) {

        if (ctx->error != NGX_HTTP_SENDGRID_AMP_OK) {
            return NGX_OK;
        }

        if (ngx_http_sendgrid_amp_delivery_init(ctx) != NGX_OK) {
            ngx_http_sendgrid_amp_internal(ctx, "no memory for batches");
            return NGX_OK;
        }
    }

    if (ctx->state == NGX_HTTP_SENDGRID_AMP_DRAINING
        && !ctx->delivery.drained && ctx->transport.ops->live)
    {
        /* the last element has come; a dry run takes as long as its client */

        ctx->delivery.drained = 1;
        ctx->delivery.deadline = ngx_current_msec + ctx->conf->timeout;
    }

    (void) ngx_http_sendgrid_amp_collect(ctx);

    do {
        ngx_http_sendgrid_amp_next_parts(ctx);
        ngx_http_sendgrid_amp_emit(ctx);

        /*
         * a dry run whose client takes a batch at once gets no event for the
         * batch
         */

    } while (!ctx->transport.ops->live && ngx_http_sendgrid_amp_collect(ctx));

    /* after a failure nothing is sent: parts that wait are given up */

    if (ctx->error >= NGX_HTTP_SENDGRID_AMP_REFUSED) {
        ngx_http_sendgrid_amp_abandon(ctx);

    } else if (ctx->delivery.batcher.closed != NULL && !ctx->hold) {
        return NGX_BUSY;
    }

    if (ngx_http_sendgrid_amp_is_waiting(ctx)) {
        return NGX_AGAIN;
    }

    if (ctx->state >= NGX_HTTP_SENDGRID_AMP_DRAINING) {
        ngx_http_sendgrid_amp_settle(ctx);

        if (ctx->flow->settled != NULL && !ctx->delivery.settled) {
            ctx->delivery.settled = 1;
            ctx->flow->settled(ctx);
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_sendgrid_amp_is_waiting(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                    i;
    ngx_http_sendgrid_amp_job_t  *job;

    for (i = 0; i < ctx->delivery.n && ctx->delivery.active != 0; i++) {
        job = &ctx->delivery.jobs[i];

        if (job->batch != NULL
            && (ctx->transport.ops->busy == NULL
                || ctx->transport.ops->busy(job)))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_sendgrid_amp_collect(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                    i, n;
    sgamp_action_e                action;
    ngx_http_sendgrid_amp_job_t  *job;

    n = 0;
    action = SGAMP_RETRY;

    for (i = 0; i < ctx->delivery.n && ctx->delivery.active != 0; i++) {
        job = &ctx->delivery.jobs[i];

        if (job->part != NULL && ctx->transport.ops->take(job, &action)) {
            ngx_http_sendgrid_amp_outcome(job, action);
            n++;
        }
    }

    return n;
}


static void
ngx_http_sendgrid_amp_emit(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                    i;
    ngx_http_sendgrid_amp_job_t  *job;

    if (ctx->hold) {
        return;
    }

    for (i = 0; i < ctx->delivery.n; i++) {

        if (ctx->error >= NGX_HTTP_SENDGRID_AMP_REFUSED) {
            return;
        }

        job = &ctx->delivery.jobs[i];

        if (job->batch != NULL) {
            continue;
        }

        if (!ngx_http_sendgrid_amp_supply(ctx)) {
            return;
        }

        job->batch = sgamp_batcher_take(&ctx->delivery.batcher);
        ctx->delivery.active++;

        job->parts = sgamp_part_all(&ctx->worker->grow, job->batch);

        if (job->parts == NULL) {
            ngx_http_sendgrid_amp_free_job(job);
            ngx_http_sendgrid_amp_internal(ctx, "no memory to send a batch");
            return;
        }

        job->parts->due = ngx_current_msec;

        ngx_http_sendgrid_amp_next_part(job);
    }
}


static ngx_uint_t
ngx_http_sendgrid_amp_supply(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    if (ctx->delivery.batcher.closed == NULL
        && ctx->flow->supply != NULL
        && ctx->flow->supply(ctx) != NGX_OK)
    {
        return 0;
    }

    return ctx->delivery.batcher.closed != NULL;
}


static void
ngx_http_sendgrid_amp_next_parts(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                    i;
    ngx_http_sendgrid_amp_job_t  *job, *probe;

    do {
        probe = ngx_http_sendgrid_amp_probe(ctx);

        for (i = 0; i < ctx->delivery.n && ctx->delivery.active != 0; i++) {
            job = &ctx->delivery.jobs[i];

            if (ctx->error < NGX_HTTP_SENDGRID_AMP_REFUSED
                && job->batch != NULL && job->part == NULL)
            {
                ngx_http_sendgrid_amp_next_part(job);
            }
        }

        /*
         * the probe has ended: batches that waited for the probe are sent now
         */

    } while (probe != NULL && ngx_http_sendgrid_amp_probe(ctx) == NULL);
}


static void
ngx_http_sendgrid_amp_next_part(ngx_http_sendgrid_amp_job_t *job)
{
    ngx_msec_int_t                wait;
    sgamp_part_t                 *part;
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ctx = job->ctx;

    for ( ;; ) {
        part = ngx_http_sendgrid_amp_first_due(job);

        if (part == NULL) {
            ngx_http_sendgrid_amp_free_job(job);
            return;
        }

        wait = (ngx_msec_int_t) ((ngx_msec_t) part->due - ngx_current_msec);

        if (ngx_http_sendgrid_amp_too_late(ctx, ngx_current_msec
                                                + ngx_max(wait, 0)))
        {
            ngx_http_sendgrid_amp_give_up(job, part);
            continue;
        }

        if (wait > 0) {
            ngx_http_sendgrid_amp_push(job, part, (ngx_msec_t) part->due);

            if (job->timer.timer_set) {
                ngx_del_timer(&job->timer);
            }

            ngx_add_timer(&job->timer, (ngx_msec_t) wait);
            return;
        }

        if (!ngx_http_sendgrid_amp_may_send(job,
                                            ngx_http_sendgrid_amp_sent(ctx)))
        {
            ngx_http_sendgrid_amp_push(job, part, (ngx_msec_t) part->due);
            return;
        }

        job->part = part;
        job->next = part->step + 1;

        if (ngx_http_sendgrid_amp_prepare_part(job) != NGX_OK) {

            if (ctx->error >= NGX_HTTP_SENDGRID_AMP_REFUSED) {
                return;
            }

            continue;
        }

        if (ctx->transport.ops->send(job) != NGX_OK) {
            job->part = NULL;
            ngx_http_sendgrid_amp_push(job, part, ngx_current_msec);
            return;
        }

        if (part->tried) {
            ctx->counts.retries++;
            ngx_http_sendgrid_amp_count(ctx, ctx->flow->figures->retries, 1);

        } else {
            ctx->counts.batches += ctx->transport.ops->live;
        }

        part->tried = 1;

        return;
    }
}


static ngx_uint_t
ngx_http_sendgrid_amp_sent(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < ctx->delivery.n; i++) {
        n += (ctx->delivery.jobs[i].part != NULL);
    }

    return n;
}


static ngx_int_t
ngx_http_sendgrid_amp_prepare_part(ngx_http_sendgrid_amp_job_t *job)
{
    ngx_int_t      rc;
    sgamp_part_t  *part;

    if (job->ctx->flow->before == NULL || !job->ctx->transport.ops->live) {
        return NGX_OK;
    }

    job->wait = 0;
    part = job->part;

    rc = job->ctx->flow->before(job);

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    /* the part is not sent now, or not all of its elements are */

    job->part = NULL;

    if (rc == NGX_AGAIN) {
        part->throttled = 1;
        ngx_http_sendgrid_amp_push(job, part, ngx_current_msec + job->wait);
        return NGX_AGAIN;
    }

    if (rc == NGX_DECLINED) {
        rc = ngx_http_sendgrid_amp_select(job, part, part->step);
    }

    sgamp_part_free(&job->ctx->worker->grow, part);

    if (rc != NGX_OK) {
        ngx_http_sendgrid_amp_internal(job->ctx, "a batch cannot be prepared");
    }

    return NGX_DECLINED;
}


static sgamp_part_t *
ngx_http_sendgrid_amp_first_due(ngx_http_sendgrid_amp_job_t *job)
{
    sgamp_part_t  *part, **pp, **first;

    first = &job->parts;

    for (pp = &job->parts; *pp != NULL; pp = &(*pp)->next) {
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
    return ctx->delivery.drained
           && (ngx_msec_int_t) (when - ctx->delivery.deadline) >= 0;
}


static void
ngx_http_sendgrid_amp_timer_handler(ngx_event_t *ev)
{
    ngx_http_sendgrid_amp_job_t  *job = ev->data;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, ev->log, 0, "sendgrid_amp timer");

    ngx_http_sendgrid_amp_wake_event(job->ctx);
}


static void
ngx_http_sendgrid_amp_push(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part, ngx_msec_t due)
{
    part->due = due;
    part->next = job->parts;
    job->parts = part;
}


static void
ngx_http_sendgrid_amp_give_up(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part)
{
    ngx_log_error(NGX_LOG_ERR, job->ctx->request->connection->log, 0,
                  "%uD %s were not delivered to the region \"%V\" after %ud "
                  "retries: %s %s",
                  part->n, job->ctx->flow->nouns, &job->ctx->route.region,
                  part->attempts, job->ctx->flow->peer,
                  part->throttled ? "throttles them" : "is unavailable");

    if (part->throttled && (ngx_msec_t) part->due > ngx_current_msec) {
        job->ctx->counts.retry_after = (part->due - ngx_current_msec) / 1000
                                       + 1;
    }

    ngx_http_sendgrid_amp_fail(job->ctx,
                               part->throttled
                               ? NGX_HTTP_SENDGRID_AMP_THROTTLED
                               : NGX_HTTP_SENDGRID_AMP_UNAVAILABLE);

    sgamp_part_free(&job->ctx->worker->grow, part);
}


static void
ngx_http_sendgrid_amp_abandon(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                    i;
    ngx_http_sendgrid_amp_job_t  *job;

    /* the jobs that wait for an answer are freed when the answer has come */

    for (i = 0; i < ctx->delivery.n; i++) {
        job = &ctx->delivery.jobs[i];

        if (job->batch != NULL && job->part == NULL) {
            ngx_http_sendgrid_amp_free_job(job);
        }
    }
}


static void
ngx_http_sendgrid_amp_free_job(ngx_http_sendgrid_amp_job_t *job)
{
    sgamp_part_t                       *part, *next;
    ngx_http_sendgrid_amp_main_conf_t  *worker;

    worker = job->ctx->worker;

    if (job->timer.timer_set) {
        ngx_del_timer(&job->timer);
    }

    for (part = job->parts; part != NULL; part = next) {
        next = part->next;
        sgamp_part_free(&worker->grow, part);
    }

    if (job->part != NULL) {
        sgamp_part_free(&worker->grow, job->part);
    }

    sgamp_batch_free(&worker->pieces, job->batch);

    ngx_http_sendgrid_amp_end_probe(job);

    job->parts = NULL;
    job->part = NULL;
    job->batch = NULL;

    job->ctx->delivery.active--;
}


static void
ngx_http_sendgrid_amp_outcome(ngx_http_sendgrid_amp_job_t *job,
    sgamp_action_e action)
{
    sgamp_part_t                 *part;
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ctx = job->ctx;
    part = job->part;

    if (!ctx->transport.ops->live) {
        /* a client has the batch: nobody has accepted or refused anything */
        job->part = NULL;
        sgamp_part_free(&ctx->worker->grow, part);
        return;
    }

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "sendgrid_amp answer: %ui, last: %d, action: %d, "
                   "elements: %uD",
                   job->call->status, job->call->last, action, part->n);

    if (action > SGAMP_SELECT) {
        ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                      "%s answered %ui%s to %uD %s of the region \"%V\"",
                      ctx->flow->peer, job->call->status,
                      job->call->last ? "" : ", not to its end,", part->n,
                      ctx->flow->nouns, &ctx->route.region);
    }

    if (ngx_http_sendgrid_amp_act(job, part, action) != NGX_OK) {
        ngx_http_sendgrid_amp_internal(ctx,
                                       "no memory for what an answer asks");
    }

    ngx_http_sendgrid_amp_write_rejected(ctx);

    job->ctx->transport.ops->close(job);
}


static ngx_int_t
ngx_http_sendgrid_amp_act(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part, sgamp_action_e action)
{
    ngx_int_t  rc;

    /* a part that does not return to the list of parts is freed here */

    rc = NGX_OK;
    job->part = NULL;

    switch (action) {

    case SGAMP_FORWARD:
        job->ctx->counts.forwarded += part->n;

        if (job->ctx->flow->accepted != NULL) {
            job->ctx->flow->accepted(job, part);
        }

        ngx_http_sendgrid_amp_note_evidence(job);
        break;

    case SGAMP_NEXT:
        ngx_http_sendgrid_amp_note_evidence(job);

        part->step = job->next;
        part->attempts = 0;
        part->tried = 0;

        ngx_http_sendgrid_amp_push(job, part, (ngx_msec_t) part->due);
        return NGX_OK;

    case SGAMP_SELECT:
        ngx_http_sendgrid_amp_note_evidence(job);
        rc = ngx_http_sendgrid_amp_select(job, part, job->next);
        break;

    case SGAMP_REFUSE:
        ngx_http_sendgrid_amp_fail(job->ctx, NGX_HTTP_SENDGRID_AMP_REFUSED);
        break;

    case SGAMP_REJECT:

        /* an element that is named alone needs no other round */

        if (part->rounds < NGX_HTTP_SENDGRID_AMP_ROUNDS || part->n == 1) {
            rc = ngx_http_sendgrid_amp_separate(job, part,
                                                SGAMP_ANSWER_REJECTED);
            break;
        }

        /* fall through */

    case SGAMP_HALVE:
        rc = ngx_http_sendgrid_amp_halve(job, part);
        break;

    case SGAMP_THROTTLE:
        if (part->rounds < NGX_HTTP_SENDGRID_AMP_ROUNDS) {
            rc = ngx_http_sendgrid_amp_separate(job, part,
                                                SGAMP_ANSWER_THROTTLED);
            break;
        }

        /* fall through */

    case SGAMP_WAIT:
        ngx_http_sendgrid_amp_delay(job, part, 1);
        return NGX_OK;

    default: /* SGAMP_RETRY */
        ngx_http_sendgrid_amp_delay(job, part, 0);
        return NGX_OK;
    }

    sgamp_part_free(&job->ctx->worker->grow, part);

    return rc;
}


static ngx_int_t
ngx_http_sendgrid_amp_select(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part, unsigned step)
{
    uint32_t       i;
    sgamp_part_t  *rest;

    /* the flow has dealt with the elements that are marked */

    for (i = 0; i < part->n && job->marks[i]; i++) {
        /* void */
    }

    if (i == part->n) {
        return NGX_OK;
    }

    rest = sgamp_part_marked(&job->ctx->worker->grow, part, job->marks,
                             SGAMP_ANSWER_REJECTED, 0);
    if (rest == NULL) {
        return NGX_ERROR;
    }

    if (rest->step != step) {
        rest->step = step;
        rest->attempts = 0;
        rest->tried = 0;
    }

    ngx_http_sendgrid_amp_push(job, rest, ngx_current_msec);

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_separate(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part, unsigned bits)
{
    uint32_t       i, n;
    const u_char  *marks;
    sgamp_grow_t  *grow;
    sgamp_part_t  *named, *rest;

    /* elements that the answer does not name are sent again at once */

    grow = &job->ctx->worker->grow;
    marks = job->marks;

    n = 0;

    for (i = 0; i < part->n; i++) {
        n += ((marks[i] & bits) != 0);
    }

    if (n < part->n) {
        rest = sgamp_part_marked(grow, part, marks, bits, 0);
        if (rest == NULL) {
            return NGX_ERROR;
        }

        rest->rounds++;
        ngx_http_sendgrid_amp_push(job, rest, (ngx_msec_t) part->due);
    }

    if (bits == SGAMP_ANSWER_THROTTLED) {
        named = sgamp_part_marked(grow, part, marks, bits, 1);
        if (named == NULL) {
            return NGX_ERROR;
        }

        named->tried = 1;
        ngx_http_sendgrid_amp_delay(job, named, 1);

        return NGX_OK;
    }

    for (i = 0; i < part->n; i++) {

        if ((marks[i] & bits)
            && ngx_http_sendgrid_amp_reject_one(job, part, i) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_halve(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part)
{
    uint32_t       first;
    ngx_uint_t     refusals;
    sgamp_grow_t  *grow;
    sgamp_part_t  *range;

    refusals = ngx_http_sendgrid_amp_refused(job);

    if (part->n == 1) {
        return refusals ? ngx_http_sendgrid_amp_suspect(job, part)
                        : ngx_http_sendgrid_amp_reject_one(job, part, 0);
    }

    /* halves are sent at once; after many refusals a lone element tells more */

    first = part->n / 2;

    if (refusals >= NGX_HTTP_SENDGRID_AMP_REFUSALS) {
        first = 1;
    }

    grow = &job->ctx->worker->grow;

    range = sgamp_part_range(grow, part, first, part->n - first);
    if (range == NULL) {
        return NGX_ERROR;
    }

    ngx_http_sendgrid_amp_push(job, range, (ngx_msec_t) part->due);

    range = sgamp_part_range(grow, part, 0, first);
    if (range == NULL) {
        return NGX_ERROR;
    }

    ngx_http_sendgrid_amp_push(job, range, (ngx_msec_t) part->due);

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_delay(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part, unsigned throttled)
{
    ngx_uint_t                         i;
    ngx_msec_t                         delay;
    ngx_http_sendgrid_amp_loc_conf_t  *conf;

    conf = job->ctx->conf;

    part->throttled = throttled;

    if (throttled && job->wait != 0) {
        /* the peer says how long */
        ngx_http_sendgrid_amp_push(job, part, ngx_current_msec + job->wait);
        return;
    }

    if (part->attempts >= conf->retries) {
        ngx_http_sendgrid_amp_give_up(job, part);
        return;
    }

    delay = conf->retry_delay;

    for (i = 0; i < part->attempts && delay < NGX_HTTP_SENDGRID_AMP_MAX_DELAY;
         i++)
    {
        delay *= 2;
    }

    part->attempts++;

    /* half of the delay, and a random time up to the whole delay */

    delay = delay / 2 + (ngx_msec_t) ngx_random() % (delay + 1);

    ngx_http_sendgrid_amp_push(job, part, ngx_current_msec + delay);
}


static ngx_int_t
ngx_http_sendgrid_amp_reject_one(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part, uint32_t i)
{
    sgamp_grow_t                      *grow;
    ngx_http_sendgrid_amp_rejected_t  *rejected;

    /* after 502 nothing is rejected: the client posts the webhook again */

    if (job->ctx->error == NGX_HTTP_SENDGRID_AMP_REFUSED) {
        return NGX_OK;
    }

    rejected = job->ctx->flow->rejected(job, part, i);
    if (rejected == NULL) {
        return NGX_ERROR;
    }

    ngx_http_sendgrid_amp_reject(job->ctx, rejected);

    grow = &job->ctx->worker->grow;
    grow->free(grow->data, rejected);

    return NGX_OK;
}
