
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


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
static void ngx_http_sendgrid_amp_body_start(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_body_resume(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_body_stop(ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_readable(ngx_http_request_t *r);
static void ngx_http_sendgrid_amp_block_reading(ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_body_next(
    ngx_http_sendgrid_amp_ctx_t *ctx, ngx_str_t *portion);
static void ngx_http_sendgrid_amp_take(ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_taken(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_str_t *portion);
static size_t ngx_http_sendgrid_amp_portion(u_char *p, u_char *last);
static ngx_int_t ngx_http_sendgrid_amp_read_file(
    ngx_http_sendgrid_amp_ctx_t *ctx, ngx_str_t *portion);
static void ngx_http_sendgrid_amp_release(ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_body_timer(ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_body_postpone(
    ngx_http_sendgrid_amp_ctx_t *ctx);


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

    if (ngx_http_sendgrid_amp_admit(r, &rc) != NGX_OK) {
        return rc;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);

    if (ngx_http_sendgrid_amp_add_cleanup(ctx,
                                        ngx_http_sendgrid_amp_webhook_cleanup)
        != NGX_OK)
    {
        ngx_http_sendgrid_amp_internal(ctx, "no memory for a webhook");

        r->keepalive = 0;

        return ngx_http_sendgrid_amp_reply(ctx);
    }

    ngx_http_sendgrid_amp_enter(ctx);

    r->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_sendgrid_amp_start);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        ngx_http_sendgrid_amp_fail_as(ctx, rc);

        /* what follows in the connection may still be this body */
        r->keepalive = 0;

        return ngx_http_sendgrid_amp_reply(ctx);
    }

    return NGX_DONE;
}


static void
ngx_http_sendgrid_amp_start(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "sendgrid_amp start");

    ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);

    r->write_event_handler = ngx_http_sendgrid_amp_write_handler;

    if (ngx_http_sendgrid_amp_start_input(ctx) != NGX_OK) {
        ngx_http_sendgrid_amp_internal(ctx, "no memory to parse the webhook");
    }

    ngx_http_sendgrid_amp_set_state(ctx, NGX_HTTP_SENDGRID_AMP_READING);
    ngx_http_sendgrid_amp_body_start(ctx);

    ngx_http_sendgrid_amp_run(ctx);
}


void
ngx_http_sendgrid_amp_detached(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_sendgrid_amp_write_handler;

    ctx->gone = 1;

    ngx_http_sendgrid_amp_set_state(ctx, NGX_HTTP_SENDGRID_AMP_DRAINING);
    ngx_http_sendgrid_amp_run(ctx);
}


static ngx_int_t
ngx_http_sendgrid_amp_start_input(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    unsigned              n;
    const sgamp_str_t    *arrays;
    const sgamp_names_t  *names;

    names = ctx->flow->start(ctx);

    if (names == NULL) {
        /* the webhook has failed */
        return NGX_OK;
    }

    ctx->input.parsing = 1;

    if (sgamp_parser_init(&ctx->input.parser, names, ctx->conf->max_event_size,
                          ctx->flow->element, ctx, &ctx->worker->grow,
                          &ctx->worker->reserve)
        != SGAMP_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->flow->member != NULL) {
        arrays = ctx->flow->arrays(ctx, &n);

        sgamp_parser_root(&ctx->input.parser, arrays, n, ctx->flow->member);
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

            ngx_http_sendgrid_amp_set_state(ctx,
                                            NGX_HTTP_SENDGRID_AMP_DRAINING);
            break;

        case NGX_HTTP_SENDGRID_AMP_DRAINING:
        case NGX_HTTP_SENDGRID_AMP_FAILED:
            if (delivery != NGX_OK) {
                return;
            }

            ngx_http_sendgrid_amp_set_state(ctx,
                                            NGX_HTTP_SENDGRID_AMP_REPLYING);
            break;

        case NGX_HTTP_SENDGRID_AMP_REPLYING:
            ngx_http_sendgrid_amp_set_state(ctx, NGX_HTTP_SENDGRID_AMP_ENDED);
            ngx_http_sendgrid_amp_finalize(ctx);
            return;

        default: /* NGX_HTTP_SENDGRID_AMP_ENDED */
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
            ngx_http_sendgrid_amp_internal(ctx, "OpenSSL cannot hash the body");
            return NGX_ERROR;
        }

        if (ctx->flow->portion != NULL
            && ctx->flow->portion(ctx, &portion) != NGX_OK)
        {
            ngx_http_sendgrid_amp_internal(ctx, "OpenSSL cannot hash the body");
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
        (void) ngx_http_sendgrid_amp_end_hold(ctx, 0);

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
    ngx_int_t  rc;

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

        rc = ctx->flow->message(ctx);

        if (rc == NGX_AGAIN || rc == NGX_ERROR) {
            return rc;
        }

        ctx->hold &= ~NGX_HTTP_SENDGRID_AMP_HOLD_MESSAGE;

        if (rc == NGX_DONE) {
            return ngx_http_sendgrid_amp_end_hold(ctx, 0);
        }
    }

    return ngx_http_sendgrid_amp_end_hold(ctx, 1);
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
    /*
     * an upstream sets an action of its own, so each wake-up sets the
     * webhook's
     */

    ctx->request->connection->log->action =
        (char *) ctx->flow->states[ctx->state];
}


static void
ngx_http_sendgrid_amp_write_handler(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "sendgrid_amp write handler");

    ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);

    if (ctx->transport.ops->attend != NULL) {
        ctx->transport.ops->attend(ctx);
    }

    ngx_http_sendgrid_amp_run(ctx);
}


static void
ngx_http_sendgrid_amp_finalize(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    ngx_http_sendgrid_amp_log_more(ctx);

    if (ctx->transport.ops->end != NULL) {
        ctx->transport.ops->end(ctx);
    }

    if (ctx->gone || ctx->error == NGX_HTTP_SENDGRID_AMP_TIMED_OUT) {
        ngx_http_finalize_request(r, ngx_http_sendgrid_amp_reply(ctx));
        return;
    }

    ngx_http_finalize_request(r, ctx->transport.ops->reply(ctx));
}


static void
ngx_http_sendgrid_amp_webhook_cleanup(void *data)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx = data;

    ngx_http_sendgrid_amp_log_more(ctx);

    if (ctx->flow->finish != NULL) {
        ctx->flow->finish(ctx);
    }

    ngx_http_sendgrid_amp_count(ctx, ctx->flow->figures->received,
                                ctx->counts.bytes);

    if (ctx->input.parsing) {
        sgamp_parser_done(&ctx->input.parser);
    }
}


static void
ngx_http_sendgrid_amp_body_start(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    /*
     * a body that nginx has read as a whole stays as it is: other modules may
     * read the body, too
     */

    ctx->body.unbuffered = ctx->request->reading_body;

    ctx->request->read_event_handler = ngx_http_sendgrid_amp_block_reading;

    ngx_http_sendgrid_amp_take(ctx);
    ngx_http_sendgrid_amp_body_resume(ctx);
}


static void
ngx_http_sendgrid_amp_body_resume(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_event_t  *rev;

    if (!ctx->request->reading_body) {
        return;
    }

    ctx->request->read_event_handler = ngx_http_sendgrid_amp_readable;

    /* HTTP/2 sets its timer at each DATA frame, while nobody reads too */

    rev = ctx->request->connection->read;
    rev->timedout = 0;

    if (rev->timer_set) {
        ngx_del_timer(rev);
    }

    /* the read event may have come and gone while nobody read */
    ctx->body.readable = 1;

    ngx_http_sendgrid_amp_body_postpone(ctx);
}


static void
ngx_http_sendgrid_amp_body_stop(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_event_t  *rev;

    ctx->request->read_event_handler = ngx_http_sendgrid_amp_block_reading;

    rev = ctx->request->connection->read;

    if (rev->timer_set) {
        ngx_del_timer(rev);
    }
}


static void
ngx_http_sendgrid_amp_block_reading(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "sendgrid_amp block reading");

    if (!r->connection->error) {
        ngx_http_block_reading(r);
        return;
    }

    /* the client has reset its HTTP/2 stream, or the connection is lost */

    ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);

    ngx_http_sendgrid_amp_wake(ctx);
}


static void
ngx_http_sendgrid_amp_readable(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "sendgrid_amp readable");

    ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);

    ctx->body.readable = 1;
    ngx_http_sendgrid_amp_wake(ctx);
}


static ngx_int_t
ngx_http_sendgrid_amp_body_next(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_str_t *portion)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    for ( ;; ) {
        rc = ngx_http_sendgrid_amp_taken(ctx, portion);

        if (rc == NGX_ERROR) {
            ngx_http_sendgrid_amp_internal(ctx, "the body cannot be read");
        }

        if (rc != NGX_DONE || !r->reading_body) {
            return rc;
        }

        if (!ctx->body.readable) {
            ngx_http_sendgrid_amp_body_timer(ctx);
            return NGX_AGAIN;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc == NGX_ERROR || rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            ngx_http_sendgrid_amp_check_client(ctx);
            ngx_http_sendgrid_amp_fail_as(ctx, rc);
            return NGX_ERROR;
        }

        ngx_http_sendgrid_amp_take(ctx);

        if (ctx->body.in == NULL) {
            ctx->body.readable = 0;

        } else {
            ngx_http_sendgrid_amp_body_postpone(ctx);
        }
    }
}


static void
ngx_http_sendgrid_amp_take(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_request_body_t  *rb;

    rb = ctx->request->request_body;

    ctx->body.in = rb->bufs;

    if (ctx->body.unbuffered) {
        rb->bufs = NULL;
    }

    if (ctx->body.in != NULL) {
        ctx->body.buf = *ctx->body.in->buf;
    }
}


static ngx_int_t
ngx_http_sendgrid_amp_taken(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_str_t *portion)
{
    ngx_buf_t  *b;

    b = &ctx->body.buf;

    while (ctx->body.in != NULL) {

        if (ngx_buf_in_memory(b) && b->pos != b->last) {

            portion->data = b->pos;
            portion->len = ngx_http_sendgrid_amp_portion(b->pos, b->last);
            b->pos += portion->len;

            return NGX_OK;
        }

        if (!ngx_buf_in_memory(b) && b->in_file
            && b->file_pos < b->file_last)
        {
            return ngx_http_sendgrid_amp_read_file(ctx, portion);
        }

        ngx_http_sendgrid_amp_release(ctx);
    }

    return NGX_DONE;
}


static size_t
ngx_http_sendgrid_amp_portion(u_char *p, u_char *last)
{
    u_char    *end;
    uint64_t   w;

    if (last - p <= NGX_HTTP_SENDGRID_AMP_FEED_SIZE) {
        return last - p;
    }

    /* an element that is not cut is not copied, and parsed faster */

    last = p + NGX_HTTP_SENDGRID_AMP_FEED_SIZE;

    for (end = last; end - p >= 8; end -= 8) {
        ngx_memcpy(&w, end - 8, 8);

        if (sgamp_bytes(w, '}')) {
            break;
        }
    }

    for ( /* void */ ; end > p; end--) {
        if (end[-1] == '}') {
            return end - p;
        }
    }

    return last - p;
}


static ngx_int_t
ngx_http_sendgrid_amp_read_file(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_str_t *portion)
{
    size_t      size;
    ssize_t     n;
    ngx_buf_t  *b;

    b = &ctx->body.buf;

    if (ctx->body.file == NULL) {
        ctx->body.file = ngx_create_temp_buf(ctx->request->pool,
                                        NGX_HTTP_SENDGRID_AMP_FEED_SIZE);
        if (ctx->body.file == NULL) {
            return NGX_ERROR;
        }
    }

    size = (size_t) ngx_min(b->file_last - b->file_pos,
                            NGX_HTTP_SENDGRID_AMP_FEED_SIZE);

    n = ngx_read_file(b->file, ctx->body.file->start, size, b->file_pos);

    if (n == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (n == 0) {
        ngx_log_error(NGX_LOG_CRIT, ctx->request->connection->log, 0,
                      "the request body in \"%V\" was cut", &b->file->name);
        return NGX_ERROR;
    }

    b->file_pos += n;

    portion->data = ctx->body.file->start;
    portion->len = n;

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_release(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_chain_t  *cl;

    cl = ctx->body.in;
    ctx->body.in = cl->next;

    if (ctx->body.in != NULL) {
        ctx->body.buf = *ctx->body.in->buf;
    }

    if (ctx->body.unbuffered) {
        /* nginx reads into the buffer again */
        cl->buf->pos = cl->buf->last;
        ngx_free_chain(ctx->request->pool, cl);
    }
}


static void
ngx_http_sendgrid_amp_body_timer(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_event_t    *rev;
    ngx_msec_int_t  left;

    rev = ctx->request->connection->read;

    /* the start of a subrequest deletes the timer of the client */

    if (rev->timer_set) {
        return;
    }

    left = (ngx_msec_int_t) (ctx->body.read_until - ngx_current_msec);

    ngx_add_timer(rev, (ngx_msec_t) ngx_max(left, 1));
}


static void
ngx_http_sendgrid_amp_body_postpone(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_core_module);

    ctx->body.read_until = ngx_current_msec + clcf->client_body_timeout;
}
