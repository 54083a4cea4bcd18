
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


static ngx_int_t ngx_http_sendgrid_amp_begin(ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_accept(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_refuse(ngx_http_request_t *r);
static void ngx_http_sendgrid_amp_discard(ngx_http_request_t *r);
static void ngx_http_sendgrid_amp_start(ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_start_input(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_run(ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_read(ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_parse(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_str_t *portion);
static ngx_int_t ngx_http_sendgrid_amp_finish(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_fault(ngx_http_sendgrid_amp_ctx_t *ctx,
    int rc);
static void ngx_http_sendgrid_amp_tell_fault(ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_verify(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_http_sendgrid_amp_state_e ngx_http_sendgrid_amp_read_state(
    ngx_int_t rc);
static void ngx_http_sendgrid_amp_set_state(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_http_sendgrid_amp_state_e state);
static void ngx_http_sendgrid_amp_set_action(ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_write_handler(ngx_http_request_t *r);
static void ngx_http_sendgrid_amp_finalize(ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_webhook_cleanup(void *data);


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

    rc = ngx_http_read_client_request_body(r, ngx_http_sendgrid_amp_start);

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

    if (ngx_http_sendgrid_amp_add_cleanup(ctx,
                                        ngx_http_sendgrid_amp_webhook_cleanup)
        != NGX_OK)
    {
        /* the context is the request's already, and has to say why */
        ngx_http_sendgrid_amp_internal(ctx, "no memory for a webhook");
        return NGX_ERROR;
    }

    ctx->transport.ops = &ngx_http_sendgrid_amp_calling;

    /* the answer is about this webhook, whatever If-Match says */

    r->disable_not_modified = 1;

    /* the status is the truth about the webhook, not that of "error_page" */

    r->err_status = 0;

    /* the API key and the region may depend on the user name */

    ngx_http_sendgrid_amp_hide_user(r, 0);
    rc = ngx_http_sendgrid_amp_accept(ctx);
    ngx_http_sendgrid_amp_hide_user(r, 1);

    return rc;
}


static ngx_int_t
ngx_http_sendgrid_amp_accept(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    if (ngx_http_sendgrid_amp_access(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (ctx->flow->route(ctx) != NGX_OK
        || ngx_http_sendgrid_amp_dry_run(ctx) != NGX_OK)
    {
        ngx_http_sendgrid_amp_internal(ctx, "no way or form for the webhook");
        return NGX_DECLINED;
    }

    /* a dry run leaves no trace */

    if (!ctx->transport.ops->live) {
        ctx->counts.shared = NULL;
    }

    return NGX_OK;
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


static void
ngx_http_sendgrid_amp_start(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "sendgrid_amp start");

    ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);

    r->write_event_handler = ngx_http_sendgrid_amp_write_handler;

    if (ngx_http_sendgrid_amp_start_input(ctx) != NGX_OK
        || ngx_http_sendgrid_amp_delivery_init(ctx) != NGX_OK)
    {
        ngx_http_sendgrid_amp_internal(ctx, "no memory to parse the webhook");
    }

    ngx_http_sendgrid_amp_set_state(ctx, NGX_HTTP_SENDGRID_AMP_READING);
    ngx_http_sendgrid_amp_body_start(ctx);

    ngx_http_sendgrid_amp_run(ctx);
}


static ngx_int_t
ngx_http_sendgrid_amp_start_input(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    const sgamp_keys_t  *keys;

    keys = ctx->flow->start(ctx);

    if (keys == NULL) {
        /* the webhook has failed */
        return NGX_OK;
    }

    ctx->input.parsing = 1;

    if (sgamp_parser_init(&ctx->input.parser, keys, ctx->conf->max_event_size,
                          ctx->flow->element, ctx, &ctx->worker->grow,
                          &ctx->worker->reserve)
        != SGAMP_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->flow->member != NULL) {
        sgamp_parser_root(&ctx->input.parser, ctx->flow->arrays,
                          ctx->flow->narrays, ctx->flow->member);
    }

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_run(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t  rc, delivery;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "sendgrid_amp run: %d", ctx->state);

    ngx_http_sendgrid_amp_set_action(ctx);

    delivery = NGX_OK;

    for ( ;; ) {

        if (ctx->state < NGX_HTTP_SENDGRID_AMP_REPLYING) {
            ngx_http_sendgrid_amp_check_client(ctx);
            delivery = ngx_http_sendgrid_amp_deliver(ctx);
        }

        if (ctx->error >= NGX_HTTP_SENDGRID_AMP_REFUSED
            && ctx->state < NGX_HTTP_SENDGRID_AMP_FAILED)
        {
            ngx_http_sendgrid_amp_body_stop(ctx);
            ngx_http_sendgrid_amp_set_state(ctx, NGX_HTTP_SENDGRID_AMP_FAILED);
        }

        switch (ctx->state) {

        case NGX_HTTP_SENDGRID_AMP_READING:
            rc = (delivery == NGX_BUSY) ? NGX_BUSY
                                        : ngx_http_sendgrid_amp_read(ctx);

            if (rc == NGX_AGAIN) {
                return;
            }

            ngx_http_sendgrid_amp_body_stop(ctx);
            ngx_http_sendgrid_amp_set_state(ctx,
                                         ngx_http_sendgrid_amp_read_state(rc));
            break;

        case NGX_HTTP_SENDGRID_AMP_PAUSED:
            if (delivery == NGX_BUSY
                || ngx_http_sendgrid_amp_turn_is_over(ctx))
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

            ngx_http_sendgrid_amp_drain(ctx);
            ngx_http_sendgrid_amp_set_state(ctx,
                                            NGX_HTTP_SENDGRID_AMP_DRAINING);
            break;

        case NGX_HTTP_SENDGRID_AMP_DRAINING:
        case NGX_HTTP_SENDGRID_AMP_FAILED:
            if (delivery != NGX_OK) {
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


static ngx_int_t
ngx_http_sendgrid_amp_read(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t  rc;
    ngx_str_t  portion;

    do {

        if (ngx_http_sendgrid_amp_turn_is_over(ctx)) {
            return NGX_BUSY;
        }

        rc = ngx_http_sendgrid_amp_body_next(ctx, &portion);

        if (rc == NGX_DONE) {
            return ngx_http_sendgrid_amp_finish(ctx);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        if (ngx_http_sendgrid_amp_access_update(ctx, &portion) != NGX_OK) {
            ngx_http_sendgrid_amp_internal(ctx, "the body cannot be read");
            return NGX_ERROR;
        }

        ctx->counts.bytes += portion.len;
        ngx_http_sendgrid_amp_work(ctx, portion.len);

        if (ngx_http_sendgrid_amp_parse(ctx, &portion) != NGX_OK) {
            return NGX_ERROR;
        }

        rc = ngx_http_sendgrid_amp_deliver(ctx);

        if (ctx->error >= NGX_HTTP_SENDGRID_AMP_REFUSED) {
            return NGX_ERROR;
        }

    } while (rc != NGX_BUSY);

    return NGX_BUSY;
}


static ngx_int_t
ngx_http_sendgrid_amp_parse(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_str_t *portion)
{
    int  rc;

    if (ctx->input.fault != SGAMP_OK) {
        /* the rest is read for its signature */
        return NGX_OK;
    }

    rc = sgamp_parser_feed(&ctx->input.parser, portion->data, portion->len);

    ngx_http_sendgrid_amp_write_rejected(ctx);

    return (rc == SGAMP_OK) ? NGX_OK : ngx_http_sendgrid_amp_fault(ctx, rc);
}


static ngx_int_t
ngx_http_sendgrid_amp_finish(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    int  rc;

    if (ctx->input.fault != SGAMP_OK) {
        return NGX_OK;
    }

    rc = sgamp_parser_finish(&ctx->input.parser);

    ngx_http_sendgrid_amp_write_rejected(ctx);

    if (rc == SGAMP_OK) {
        rc = sgamp_batcher_close(ngx_http_sendgrid_amp_batcher(ctx));
    }

    if (rc != SGAMP_OK) {
        return ngx_http_sendgrid_amp_fault(ctx, rc);
    }

    sgamp_parser_done(&ctx->input.parser);

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_fault(ngx_http_sendgrid_amp_ctx_t *ctx, int rc)
{
    ctx->input.fault = rc;
    ctx->counts.at = ctx->input.parser.at;

    if ((ctx->hold & NGX_HTTP_SENDGRID_AMP_HOLD_SIGNATURE)
        && rc != SGAMP_NOMEM)
    {

        /*
         * a sender is told what is wrong with a webhook only after the
         * signature was verified; nothing of the webhook will be sent
         */

        sgamp_parser_done(&ctx->input.parser);
        sgamp_batcher_done(ngx_http_sendgrid_amp_batcher(ctx));
        ngx_http_sendgrid_amp_drop_held(ctx);

        return NGX_OK;
    }

    ngx_http_sendgrid_amp_tell_fault(ctx);

    return NGX_ERROR;
}


static void
ngx_http_sendgrid_amp_tell_fault(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_log_t  *log;

    log = ctx->request->connection->log;

    switch (ctx->input.fault) {

    case SGAMP_INVALID:
        ngx_log_error(NGX_LOG_INFO, log, 0,
                      "client sent an invalid webhook, at byte %uL",
                      ctx->counts.at);

        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_INVALID_JSON);
        break;

    case SGAMP_TOO_LARGE:
        ngx_log_error(NGX_LOG_INFO, log, 0,
                      "client sent %s that is too large, at byte %uL",
                      ctx->flow->a_noun, ctx->counts.at);

        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_TOO_LARGE);
        break;

    default: /* SGAMP_NOMEM */
        ngx_http_sendgrid_amp_internal(ctx,
                                     "no memory for an element of the webhook");
        break;
    }
}


static ngx_int_t
ngx_http_sendgrid_amp_verify(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_sendgrid_amp_error_e  error;

    if (ngx_http_sendgrid_amp_access_verify(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->hold & NGX_HTTP_SENDGRID_AMP_HOLD_SIGNATURE) {

        if (ctx->input.fault != SGAMP_OK) {
            ngx_http_sendgrid_amp_tell_fault(ctx);
            return NGX_ERROR;
        }

        ctx->hold &= ~NGX_HTTP_SENDGRID_AMP_HOLD_SIGNATURE;
    }

    if (ctx->hold & NGX_HTTP_SENDGRID_AMP_HOLD_MESSAGE) {

        error = ctx->flow->message(ctx);

        if (error != NGX_HTTP_SENDGRID_AMP_OK) {
            ngx_http_sendgrid_amp_fail(ctx, error);
            return NGX_ERROR;
        }

        ctx->hold &= ~NGX_HTTP_SENDGRID_AMP_HOLD_MESSAGE;
    }

    return ngx_http_sendgrid_amp_release_held(ctx);
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
        (char *) ctx->flow->actions[ctx->state];
}


static void
ngx_http_sendgrid_amp_write_handler(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "sendgrid_amp write handler");

    ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);

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

    ngx_http_finalize_request(r, ctx->transport.ops->live
                                 ? ngx_http_sendgrid_amp_reply(ctx)
                                 : ngx_http_sendgrid_amp_dry_run_reply(ctx));
}


static void
ngx_http_sendgrid_amp_webhook_cleanup(void *data)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx = data;

    ngx_http_sendgrid_amp_log_more(ctx);

    if (ctx->flow->finish != NULL) {
        ctx->flow->finish(ctx);
    }

    ngx_http_sendgrid_amp_leave(ctx);

    if (ctx->input.parsing) {
        sgamp_parser_done(&ctx->input.parser);
    }
}
