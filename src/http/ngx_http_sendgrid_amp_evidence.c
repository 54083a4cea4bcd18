
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


/*
 * Evidence: whether the peer accepts other elements by the same way, and so
 * whether a refusal that names no element is the fault of an element.
 */


#define NGX_HTTP_SENDGRID_AMP_EVIDENCE   600000   /* ms after an acceptance */
#define NGX_HTTP_SENDGRID_AMP_SUSPECTS   3        /* lone elements in a row */
#define NGX_HTTP_SENDGRID_AMP_UNPROVEN   6        /* batches on their way */


/* whether evidence still counts */

#define ngx_http_sendgrid_amp_is_recent(evidence)                             \
    ((evidence)->n != 0                                                       \
     && ngx_current_msec - (evidence)->last < NGX_HTTP_SENDGRID_AMP_EVIDENCE)

#define ngx_http_sendgrid_amp_way(ctx)                                        \
    ngx_hash_key((ctx)->route.uri.data, (ctx)->route.uri.len)


static ngx_uint_t ngx_http_sendgrid_amp_has_evidence(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_uint_t ngx_http_sendgrid_amp_has_accepted(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_reject_suspects(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_wrong_way(ngx_http_sendgrid_amp_ctx_t *ctx);


ngx_uint_t
ngx_http_sendgrid_amp_may_send(ngx_http_sendgrid_amp_job_t *job, ngx_uint_t n)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ctx = job->ctx;

    /*
     * after a refusal without evidence, a single batch finds out whether
     * the peer takes anything; each answer wakes the other jobs
     */

    if (ctx->evidence.refusals == 0) {

        /* if the way is wrong, each batch is a request too many */

        return n < NGX_HTTP_SENDGRID_AMP_UNPROVEN
               || ctx->flow->is_certain
               || ngx_http_sendgrid_amp_has_accepted(ctx);
    }

    if (ctx->evidence.probe == NULL) {
        ctx->evidence.probe = job;
    }

    return ctx->evidence.probe == job;
}


ngx_http_sendgrid_amp_job_t *
ngx_http_sendgrid_amp_probe(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    return ctx->evidence.probe;
}


void
ngx_http_sendgrid_amp_end_probe(ngx_http_sendgrid_amp_job_t *job)
{
    if (job->ctx->evidence.probe == job) {
        job->ctx->evidence.probe = NULL;
    }
}


ngx_uint_t
ngx_http_sendgrid_amp_refused(ngx_http_sendgrid_amp_job_t *job)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ctx = job->ctx;

    ctx->evidence.where = ngx_http_get_module_loc_conf(job->call->request,
                                            ngx_http_sendgrid_amp_module);

    if (ngx_http_sendgrid_amp_has_evidence(ctx)) {
        ngx_http_sendgrid_amp_reject_suspects(ctx);
        return 0;
    }

    if (ctx->evidence.probe == NULL) {
        ctx->evidence.probe = job;
    }

    return ++ctx->evidence.refusals;
}


ngx_int_t
ngx_http_sendgrid_amp_suspect(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part)
{
    ngx_http_sendgrid_amp_rejected_t   *suspect;
    ngx_http_sendgrid_amp_suspicion_t  *evidence;

    /* whether the peer accepts any element by the same way is not known */

    evidence = &job->ctx->evidence;

    evidence->refusal = job->call->status;
    evidence->refused_by = job->call->body_kind;

    if (++evidence->nsuspects == NGX_HTTP_SENDGRID_AMP_SUSPECTS) {
        ngx_http_sendgrid_amp_wrong_way(job->ctx);
        return NGX_OK;
    }

    suspect = job->ctx->flow->rejected(job, part, 0);
    if (suspect == NULL) {
        return NGX_ERROR;
    }

    suspect->next = evidence->suspects;
    evidence->suspects = suspect;

    return NGX_OK;
}


void
ngx_http_sendgrid_amp_note_evidence(ngx_http_sendgrid_amp_job_t *job)
{
    ngx_http_sendgrid_amp_loc_conf_t  *conf;

    /* evidence is kept in the location that has answered */

    conf = ngx_http_get_module_loc_conf(job->call->request,
                                        ngx_http_sendgrid_amp_module);
    conf->evidence.n++;
    conf->evidence.last = ngx_current_msec;

    job->ctx->worker->evidence = conf->evidence;
    job->ctx->worker->evidence.way = ngx_http_sendgrid_amp_way(job->ctx);
    job->ctx->evidence.accepted = 1;

    ngx_http_sendgrid_amp_reject_suspects(job->ctx);
}


void
ngx_http_sendgrid_amp_settle(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    /* with another error the way may be right: the client posts again */

    if (ctx->evidence.suspects == NULL
        || ctx->error != NGX_HTTP_SENDGRID_AMP_OK)
    {
        return;
    }

    if (ngx_http_sendgrid_amp_has_evidence(ctx)) {
        /* another webhook has found evidence meanwhile */
        ngx_http_sendgrid_amp_reject_suspects(ctx);
        ngx_http_sendgrid_amp_write_rejected(ctx);
        return;
    }

    ngx_http_sendgrid_amp_wrong_way(ctx);
}


void
ngx_http_sendgrid_amp_free_suspects(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    sgamp_grow_t                      *grow;
    ngx_http_sendgrid_amp_rejected_t  *suspect;

    grow = &ctx->worker->grow;

    while (ctx->evidence.suspects != NULL) {
        suspect = ctx->evidence.suspects;
        ctx->evidence.suspects = suspect->next;

        grow->free(grow->data, suspect);
    }

    ctx->evidence.nsuspects = 0;
}


static ngx_uint_t
ngx_http_sendgrid_amp_has_evidence(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    return ctx->flow->is_certain
           || ctx->evidence.accepted
           || ngx_http_sendgrid_amp_is_recent(&ctx->evidence.where->evidence);
}


static ngx_uint_t
ngx_http_sendgrid_amp_has_accepted(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_sendgrid_amp_evidence_t  *evidence;

    evidence = &ctx->worker->evidence;

    return ctx->evidence.accepted
           || (ngx_http_sendgrid_amp_is_recent(evidence)
               && evidence->way == ngx_http_sendgrid_amp_way(ctx));
}


static void
ngx_http_sendgrid_amp_reject_suspects(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_sendgrid_amp_rejected_t  *suspect;

    ctx->evidence.refusals = 0;
    ctx->evidence.probe = NULL;

    for (suspect = ctx->evidence.suspects;
         suspect != NULL;
         suspect = suspect->next)
    {

        if (ctx->error != NGX_HTTP_SENDGRID_AMP_REFUSED) {
            ngx_http_sendgrid_amp_reject(ctx, suspect);
        }
    }

    ngx_http_sendgrid_amp_free_suspects(ctx);
}


static void
ngx_http_sendgrid_amp_wrong_way(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                  "the location \"%V\" answers %ui with %s to each %s, "
                  "%s has accepted none: check the path and the host of "
                  "\"proxy_pass\", and for a proxy, a firewall or a login page "
                  "on the way",
                  &ctx->route.uri, ctx->evidence.refusal,
                  ctx->evidence.refused_by, ctx->flow->noun,
                  ctx->flow->peer);

    ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_REFUSED);
}
