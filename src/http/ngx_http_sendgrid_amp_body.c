
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


static ngx_uint_t ngx_http_sendgrid_amp_body_is_skipped(
    ngx_http_request_t *r);
static ngx_uint_t ngx_http_sendgrid_amp_body_is_whole(ngx_http_request_t *r);
static void ngx_http_sendgrid_amp_readable(ngx_http_request_t *r);
static void ngx_http_sendgrid_amp_block_reading(ngx_http_request_t *r);
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
ngx_http_sendgrid_amp_body_check(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    if (r->discard_body || ngx_http_sendgrid_amp_body_is_skipped(r)) {

        /* nginx discards the body after a 413, and "error_page" came then */

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "nginx discards the body of the webhook: \"error_page\" "
                      "has passed a refused request on to \"sendgrid_amp\"");

        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_TOO_LARGE);
        r->keepalive = 0;

        return NGX_DECLINED;
    }

    if (r->request_body != NULL && !ngx_http_sendgrid_amp_body_is_whole(r)) {
        ngx_http_sendgrid_amp_internal(ctx,
                                       "another handler has read a part of the "
                                       "body, before \"error_page\" has passed "
                                       "the request on");
        r->keepalive = 0;

        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_sendgrid_amp_body_is_skipped(ngx_http_request_t *r)
{
#if (NGX_HTTP_V2)

    /* what HTTP/2 has in place of discard_body: the body would seem empty */

    return r->stream != NULL && r->stream->skip_data
           && r->request_body == NULL;

#else
    return 0;
#endif
}


static ngx_uint_t
ngx_http_sendgrid_amp_body_is_whole(ngx_http_request_t *r)
{
    off_t                     size;
    ngx_chain_t              *cl;
    ngx_http_request_body_t  *rb;

    rb = r->request_body;

    if (r->reading_body || rb->rest > 0) {
        return 0;
    }

    /* bytes that were read and are in no buffer were taken by that handler */

    size = 0;

    for (cl = rb->bufs; cl != NULL; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    return size == ngx_max(r->headers_in.content_length_n, rb->received);
}


void
ngx_http_sendgrid_amp_body_start(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    /*
     * a body that nginx has read as a whole is left as it is, others may
     * read it, too
     */

    ctx->body.unbuffered = ctx->request->reading_body;

    ctx->request->read_event_handler = ngx_http_sendgrid_amp_block_reading;

    ngx_http_sendgrid_amp_take(ctx);
    ngx_http_sendgrid_amp_body_resume(ctx);
}


void
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

    /* the event may have come and gone meanwhile */
    ctx->body.readable = 1;

    ngx_http_sendgrid_amp_body_postpone(ctx);
}


void
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


ngx_int_t
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
            ngx_http_sendgrid_amp_fail(ctx,
                                   ngx_http_sendgrid_amp_body_error(ctx, rc));
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
    u_char  *end;

    if (last - p <= NGX_HTTP_SENDGRID_AMP_FEED_SIZE) {
        return last - p;
    }

    /* an element that is not cut is not copied, and parsed faster */

    last = p + NGX_HTTP_SENDGRID_AMP_FEED_SIZE;

    for (end = last; end > p; end--) {
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


ngx_http_sendgrid_amp_error_e
ngx_http_sendgrid_amp_body_error(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_int_t rc)
{
    switch (rc) {

    case NGX_HTTP_BAD_REQUEST:
        return NGX_HTTP_SENDGRID_AMP_BAD_REQUEST;

    case NGX_HTTP_REQUEST_TIME_OUT:
        return NGX_HTTP_SENDGRID_AMP_TIMED_OUT;

    case NGX_HTTP_REQUEST_ENTITY_TOO_LARGE:
        return NGX_HTTP_SENDGRID_AMP_TOO_LARGE;

    default:
        ngx_http_sendgrid_amp_internal(ctx, "the body cannot be received");
        return ctx->gone ? NGX_HTTP_SENDGRID_AMP_CLOSED
                         : NGX_HTTP_SENDGRID_AMP_INTERNAL;
    }
}
