
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


#define NGX_HTTP_SENDGRID_AMP_TURN_TIMER  60000  /* ms; no turn takes so long */


static ngx_int_t ngx_http_sendgrid_amp_begin(ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_refuse(ngx_http_request_t *r);
static void ngx_http_sendgrid_amp_discard(ngx_http_request_t *r);
static void ngx_http_sendgrid_amp_init(ngx_http_request_t *r);
static int ngx_http_sendgrid_amp_event(void *data,
    const sgamp_event_t *event);
static void ngx_http_sendgrid_amp_set_action(ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_set_state(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_http_sendgrid_amp_state_e state);
static ngx_http_sendgrid_amp_state_e ngx_http_sendgrid_amp_read_state(
    ngx_int_t rc);
static void ngx_http_sendgrid_amp_turn_handler(ngx_event_t *ev);
static void ngx_http_sendgrid_amp_forget_turn(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_write_handler(ngx_http_request_t *r);
static void ngx_http_sendgrid_amp_finalize(ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_cleanup(void *data);


static const char  *ngx_http_sendgrid_amp_actions[] = {
    "reading SendGrid events",
    "waiting for Amplitude",
    "verifying SendGrid events",
    "waiting for Amplitude",
    "ending a failed webhook",
    "answering SendGrid",
    "answering SendGrid"
};


ngx_int_t
ngx_http_sendgrid_amp_handler(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "sendgrid_amp handler");

    if (r != r->main) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"sendgrid_amp\" cannot serve the subrequest \"%V\"",
                      &r->uri);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);

    /* another module may have ended the precontent phase */

    if (ctx == NULL) {
        if (ngx_http_sendgrid_amp_begin(r) != NGX_OK) {
            return ngx_http_sendgrid_amp_refuse(r);
        }

        ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);
    }

    if (ngx_http_sendgrid_amp_body_check(ctx) != NGX_OK) {
        return ngx_http_sendgrid_amp_refuse(r);
    }

    ngx_http_sendgrid_amp_enter(ctx);

    r->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_sendgrid_amp_init);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        ngx_http_sendgrid_amp_fail(ctx,
                                   ngx_http_sendgrid_amp_body_error(ctx, rc));

        /* what follows in the connection may still be this body */
        r->keepalive = 0;

        return ngx_http_sendgrid_amp_reply(ctx);
    }

    return NGX_DONE;
}


ngx_int_t
ngx_http_sendgrid_amp_precontent_handler(ngx_http_request_t *r)
{
    /* a module such as mirror reads the body next, and invites a client */

    if (r != r->main
        || r->content_handler != ngx_http_sendgrid_amp_handler
        || ngx_http_sendgrid_amp_begin(r) == NGX_OK)
    {
        return NGX_DECLINED;
    }

    r->write_event_handler = ngx_http_request_empty_handler;
    ngx_http_finalize_request(r, ngx_http_sendgrid_amp_refuse(r));

    return NGX_DONE;
}


static ngx_int_t
ngx_http_sendgrid_amp_begin(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ctx = ngx_http_sendgrid_amp_create_ctx(r);
    if (ctx == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"sendgrid_amp\" has no memory for a webhook");
        return NGX_ERROR;
    }

    /* the answer is about this webhook, whatever If-Match says */

    r->disable_not_modified = 1;

    /* the status is the truth about the events, not that of an "error_page" */

    r->err_status = 0;

    /* the API key and the region may depend on the user name */

    ngx_http_sendgrid_amp_hide_user(r, 0);
    rc = ngx_http_sendgrid_amp_accept(ctx);
    ngx_http_sendgrid_amp_hide_user(r, 1);

    return rc;
}


static ngx_int_t
ngx_http_sendgrid_amp_refuse(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_sendgrid_amp_discard(r);

    return ngx_http_sendgrid_amp_reply(ctx);
}


static void
ngx_http_sendgrid_amp_discard(ngx_http_request_t *r)
{
    if (r->headers_in.expect != NULL
        && r->http_version < NGX_HTTP_VERSION_20)
    {
        /*
         * the client is not invited to send a body, and what follows in the
         * connection may be the body or not
         */

        r->expect_tested = 1;
        r->keepalive = 0;

        return;
    }

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        /* the end of a broken body is not known */
        r->keepalive = 0;
    }
}


ngx_http_sendgrid_amp_ctx_t *
ngx_http_sendgrid_amp_create_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t           *cln;
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_sendgrid_amp_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_sendgrid_amp_ctx_t));

    ctx->request = r;
    ctx->conf = ngx_http_get_module_loc_conf(r, ngx_http_sendgrid_amp_module);
    ctx->worker = ngx_http_get_module_main_conf(r,
                                                ngx_http_sendgrid_amp_module);

    cln->handler = ngx_http_sendgrid_amp_cleanup;

    ngx_http_set_ctx(r, ctx, ngx_http_sendgrid_amp_module);

    return ctx;
}


ngx_http_sendgrid_amp_ctx_t *
ngx_http_sendgrid_amp_find_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t           *cln;
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);

    if (ctx != NULL) {
        return ctx;
    }

    for (cln = r->pool->cleanup; cln != NULL; cln = cln->next) {
        if (cln->handler == ngx_http_sendgrid_amp_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


static void
ngx_http_sendgrid_amp_init(ngx_http_request_t *r)
{
    sgamp_str_t                        api_key;
    ngx_http_sendgrid_amp_ctx_t       *ctx;
    ngx_http_sendgrid_amp_loc_conf_t  *conf;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "sendgrid_amp init");

    ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);
    conf = ctx->conf;

    r->write_event_handler = ngx_http_sendgrid_amp_write_handler;

    api_key.len = ctx->api_key.len;
    api_key.data = ctx->api_key.data;

    sgamp_batcher_init(&ctx->batcher, &ctx->worker->pieces, conf->rules,
                       &api_key, ngx_http_sendgrid_amp_batch_size(ctx),
                       (uint32_t) conf->batch_events);

    sgamp_held_init(&ctx->held, &ctx->worker->grow);

    ctx->parsing = 1;

    if (ngx_http_sendgrid_amp_properties(ctx) != NGX_OK) {
        ngx_http_sendgrid_amp_internal(ctx, "properties cannot be evaluated");
    }

    ngx_http_sendgrid_amp_remember_hashes(ctx);

    if (ngx_http_sendgrid_amp_delivery_init(ctx) != NGX_OK
        || sgamp_parser_init(&ctx->parser, &conf->rules->keys,
                             conf->max_event_size,
                             ngx_http_sendgrid_amp_event, ctx,
                             &ctx->worker->grow, &ctx->worker->reserve)
           != SGAMP_OK)
    {
        ngx_http_sendgrid_amp_internal(ctx, "no memory to parse events");
    }

    ngx_http_sendgrid_amp_set_state(ctx, NGX_HTTP_SENDGRID_AMP_READING);
    ngx_http_sendgrid_amp_body_start(ctx);

    ngx_http_sendgrid_amp_run(ctx);
}


static int
ngx_http_sendgrid_amp_event(void *data, const sgamp_event_t *event)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx = data;

    int             rc;
    sgamp_str_t     id;
    sgamp_reason_e  reason;

    ctx->received++;

    rc = sgamp_batcher_add(&ctx->batcher, event, &reason);

    if (rc != SGAMP_OK || reason == SGAMP_MAPPED) {
        return rc;
    }

    if (reason == SGAMP_IGNORED) {
        ctx->ignored++;
        ctx->ignored_kinds[ctx->batcher.kind]++;
        return SGAMP_OK;
    }

    if (ctx->hold) {
        return sgamp_held_add(&ctx->held, event, reason);
    }

    sgamp_event_id(event, &id);

    ngx_http_sendgrid_amp_reject_unmapped(ctx, ctx->batcher.kind, reason, &id,
                                          &event->raw);

    return SGAMP_OK;
}


void
ngx_http_sendgrid_amp_run(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t  rc;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "sendgrid_amp run: %d", ctx->state);

    ngx_http_sendgrid_amp_set_action(ctx);

    for ( ;; ) {

        if (ctx->state < NGX_HTTP_SENDGRID_AMP_REPLYING) {
            ngx_http_sendgrid_amp_check_client(ctx);
            ngx_http_sendgrid_amp_deliver(ctx);
        }

        if (ctx->error >= NGX_HTTP_SENDGRID_AMP_REFUSED
            && ctx->state < NGX_HTTP_SENDGRID_AMP_FAILED)
        {
            ngx_http_sendgrid_amp_body_stop(ctx);
            ngx_http_sendgrid_amp_set_state(ctx, NGX_HTTP_SENDGRID_AMP_FAILED);
        }

        switch (ctx->state) {

        case NGX_HTTP_SENDGRID_AMP_READING:
            rc = ngx_http_sendgrid_amp_body_read(ctx);

            if (rc == NGX_AGAIN) {
                return;
            }

            ngx_http_sendgrid_amp_body_stop(ctx);
            ngx_http_sendgrid_amp_set_state(ctx,
                                         ngx_http_sendgrid_amp_read_state(rc));
            break;

        case NGX_HTTP_SENDGRID_AMP_PAUSED:
            if ((ctx->batcher.closed != NULL && !ctx->hold)
                || ctx->turn.posted)
            {
                return;
            }

            ngx_http_sendgrid_amp_set_state(ctx,
                                            NGX_HTTP_SENDGRID_AMP_READING);
            ngx_http_sendgrid_amp_body_resume(ctx);
            break;

        case NGX_HTTP_SENDGRID_AMP_VERIFYING:
            rc = ngx_http_sendgrid_amp_verify(ctx);

            if (rc == NGX_AGAIN) {
                return;
            }

            if (rc != NGX_OK) {
                break;
            }

            ctx->drained = 1;
            ctx->deadline = ngx_current_msec + ctx->conf->timeout;

            ngx_http_sendgrid_amp_set_state(ctx,
                                            NGX_HTTP_SENDGRID_AMP_DRAINING);
            break;

        case NGX_HTTP_SENDGRID_AMP_DRAINING:
        case NGX_HTTP_SENDGRID_AMP_FAILED:
            if (ngx_http_sendgrid_amp_in_flight(ctx) != 0) {
                return;
            }

            ngx_http_sendgrid_amp_settle(ctx);

            ngx_http_sendgrid_amp_set_state(ctx,
                                            NGX_HTTP_SENDGRID_AMP_REPLYING);
            break;

        case NGX_HTTP_SENDGRID_AMP_REPLYING:
            ngx_http_sendgrid_amp_set_state(ctx, NGX_HTTP_SENDGRID_AMP_DONE);
            ngx_http_sendgrid_amp_finalize(ctx);
            return;

        default: /* NGX_HTTP_SENDGRID_AMP_DONE */
            return;
        }
    }
}


static ngx_http_sendgrid_amp_state_e
ngx_http_sendgrid_amp_read_state(ngx_int_t rc)
{
    switch (rc) {

    case NGX_OK:
        return NGX_HTTP_SENDGRID_AMP_VERIFYING;

    case NGX_BUSY:
        return NGX_HTTP_SENDGRID_AMP_PAUSED;

    default:
        return NGX_HTTP_SENDGRID_AMP_FAILED;
    }
}


static void
ngx_http_sendgrid_amp_set_state(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_http_sendgrid_amp_state_e state)
{
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "sendgrid_amp state: %d, error: %d", state, ctx->error);

    ctx->state = state;

    ngx_http_sendgrid_amp_set_action(ctx);
}


static void
ngx_http_sendgrid_amp_set_action(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    /* an upstream sets its own */

    ctx->request->connection->log->action =
        (char *) ngx_http_sendgrid_amp_actions[ctx->state];
}


void
ngx_http_sendgrid_amp_fail(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_http_sendgrid_amp_error_e error)
{
    if (error > ctx->error) {
        ctx->error = error;
    }
}


void
ngx_http_sendgrid_amp_internal(ngx_http_sendgrid_amp_ctx_t *ctx, char *why)
{
    ngx_connection_t  *c;

    c = ctx->request->connection;

    /* what fails since the client is gone is no fault of the gateway */

    ngx_http_sendgrid_amp_check_client(ctx);

    if (ctx->gone) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "\"sendgrid_amp\" failed, the client is gone: %s", why);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, c->log, 0, "\"sendgrid_amp\" failed: %s", why);

    ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_INTERNAL);
}


void
ngx_http_sendgrid_amp_wake(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_request_t         *r;
    ngx_http_posted_request_t  *pr;

    r = ctx->request;

    for (pr = r->posted_requests; pr != NULL; pr = pr->next) {
        if (pr == &ctx->posted) {
            return;
        }
    }

    (void) ngx_http_post_request(r, &ctx->posted);
}


void
ngx_http_sendgrid_amp_check_client(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_connection_t  *c;

    c = ctx->request->connection;

#if (NGX_HTTP_V2)

    /* a window update could not be sent: the streams are told later */

    if (ctx->request->stream != NULL
        && ctx->request->stream->connection->connection->error)
    {
        c->error = 1;
    }

#endif

    if (!c->error) {
        return;
    }

    c->error = 0;
    ctx->gone = 1;

    ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_CLOSED);
}


ngx_uint_t
ngx_http_sendgrid_amp_turn(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_event_t  *ev;

    ev = &ctx->turn;

    if (ev->posted) {
        return 1;
    }

    if (ctx->work < NGX_HTTP_SENDGRID_AMP_TURN_SIZE) {
        return 0;
    }

    ctx->work = 0;

    ev->handler = ngx_http_sendgrid_amp_turn_handler;
    ev->data = ctx;
    ev->log = ctx->request->connection->log;

    /*
     * events that are posted for now are all handled before the worker looks
     * at its connections, and a worker that ends waits for timers only
     */

    ngx_post_event(ev, &ngx_posted_next_events);
    ngx_add_timer(ev, NGX_HTTP_SENDGRID_AMP_TURN_TIMER);

    return 1;
}


static void
ngx_http_sendgrid_amp_turn_handler(ngx_event_t *ev)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx = ev->data;

    ngx_http_sendgrid_amp_forget_turn(ctx);
    ngx_http_sendgrid_amp_run_event(ctx);
}


static void
ngx_http_sendgrid_amp_forget_turn(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    if (ctx->turn.posted) {
        ngx_delete_posted_event(&ctx->turn);
    }

    if (ctx->turn.timer_set) {
        ngx_del_timer(&ctx->turn);
    }
}


void
ngx_http_sendgrid_amp_run_event(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_http_sendgrid_amp_run(ctx);

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_sendgrid_amp_write_handler(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "sendgrid_amp write handler");

    ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);

    ngx_http_sendgrid_amp_pass_event(ctx);
    ngx_http_sendgrid_amp_watch_delay(ctx);

    ngx_http_sendgrid_amp_run(ctx);
}


static void
ngx_http_sendgrid_amp_finalize(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    ngx_http_sendgrid_amp_log_more(ctx);

    /* nothing is delayed any more, and nginx waits for what is */

    ngx_http_sendgrid_amp_end_delay(ctx);

    if (ctx->gone) {
        /* nginx closes the connection or the stream without an answer */

        r->connection->error = 1;

        ngx_http_finalize_request(r, ngx_http_sendgrid_amp_status_of(ctx));
        return;
    }

    if (ctx->error == NGX_HTTP_SENDGRID_AMP_TIMED_OUT) {
        /* as nginx does: the client is not there to be answered */
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    ngx_http_finalize_request(r, (ctx->dry_run != NULL)
                                 ? ngx_http_sendgrid_amp_dry_run_reply(ctx)
                                 : ngx_http_sendgrid_amp_reply(ctx));
}


static void
ngx_http_sendgrid_amp_cleanup(void *data)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx = data;

    sgamp_signature_done(&ctx->hash);

    ngx_http_sendgrid_amp_forget_turn(ctx);
    ngx_http_sendgrid_amp_log_more(ctx);
    ngx_http_sendgrid_amp_leave(ctx);

    if (!ctx->parsing) {
        return;
    }

    ngx_http_sendgrid_amp_dry_run_cleanup(ctx);

    sgamp_parser_done(&ctx->parser);
    sgamp_batcher_done(&ctx->batcher);
    sgamp_held_done(&ctx->held);
}
