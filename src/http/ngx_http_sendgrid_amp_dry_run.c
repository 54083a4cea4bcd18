
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


#define NGX_HTTP_SENDGRID_AMP_MASK  "***"  /* for the API key */


struct ngx_http_sendgrid_amp_dry_run_s {
    size_t          key_len;    /* of the API key in a payload */
    sgamp_batch_t  *batch;      /* being written */
    ngx_chain_t    *free;
    ngx_chain_t    *busy;
    unsigned        started:1;  /* the header is sent, or failed */
};


static ngx_int_t ngx_http_sendgrid_amp_dry_run_header(
    ngx_http_sendgrid_amp_ctx_t *ctx, off_t length);
static ngx_int_t ngx_http_sendgrid_amp_dry_run_batch(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_chain_t *ngx_http_sendgrid_amp_dry_run_line(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_buf_t *ngx_http_sendgrid_amp_dry_run_buf(
    ngx_http_sendgrid_amp_ctx_t *ctx, ngx_chain_t ***ll, u_char *p,
    size_t len);
static ngx_int_t ngx_http_sendgrid_amp_dry_run_output(
    ngx_http_sendgrid_amp_ctx_t *ctx, ngx_chain_t *out);
static void ngx_http_sendgrid_amp_dry_run_free(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_dry_run_wait(
    ngx_http_sendgrid_amp_ctx_t *ctx);


ngx_int_t
ngx_http_sendgrid_amp_dry_run(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_str_t            value;
    sgamp_str_t          key, none;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->conf->set.dry_run == NULL) {
        return NGX_OK;
    }

    if (ngx_http_sendgrid_amp_value(ctx, ctx->conf->set.dry_run, &value)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!ngx_http_sendgrid_amp_dry_run_is_on(&value)) {
        return NGX_OK;
    }

    ctx->dry_run = ngx_pcalloc(r->pool,
                               sizeof(ngx_http_sendgrid_amp_dry_run_t));
    if (ctx->dry_run == NULL) {
        return NGX_ERROR;
    }

    none.len = 0;
    none.data = (u_char *) "";

    if (ngx_http_sendgrid_amp_escape(r->pool, &key, &none, &ctx->api_key, "")
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->dry_run->key_len = key.len;

    ngx_str_set(&ctx->api_key, NGX_HTTP_SENDGRID_AMP_MASK);

    return NGX_OK;
}


size_t
ngx_http_sendgrid_amp_batch_size(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    size_t  size;

    size = ctx->conf->batch_size;

    if (ctx->dry_run == NULL) {
        return size;
    }

    /* as many events as there would be with the key in place of the mask */

    size += sizeof(NGX_HTTP_SENDGRID_AMP_MASK) - 1;

    return (size > ctx->dry_run->key_len) ? size - ctx->dry_run->key_len : 0;
}


ngx_uint_t
ngx_http_sendgrid_amp_dry_run_is_on(ngx_str_t *value)
{
    return value->len != 0
           && !(value->len == 1 && value->data[0] == '0')
           && !(value->len == 3 && ngx_strncmp(value->data, "off", 3) == 0);
}


void
ngx_http_sendgrid_amp_dry_run_emit(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    while (ctx->error == NGX_HTTP_SENDGRID_AMP_OK
           && ctx->dry_run->batch == NULL
           && ctx->batcher.closed != NULL)
    {
        ctx->dry_run->batch = sgamp_batcher_take(&ctx->batcher);

        if (ngx_http_sendgrid_amp_dry_run_batch(ctx) != NGX_OK) {
            ngx_http_sendgrid_amp_internal(ctx, "a dry run cannot be written");
            return;
        }
    }
}


static ngx_int_t
ngx_http_sendgrid_amp_dry_run_batch(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_chain_t  *out;

    if (!ctx->dry_run->started
        && ngx_http_sendgrid_amp_dry_run_header(ctx, -1) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->request->header_only) {
        /* "post_action": the answer was sent */
        ngx_http_sendgrid_amp_dry_run_free(ctx);
        return NGX_OK;
    }

    out = ngx_http_sendgrid_amp_dry_run_line(ctx);
    if (out == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_sendgrid_amp_dry_run_output(ctx, out);
}


static ngx_int_t
ngx_http_sendgrid_amp_dry_run_header(ngx_http_sendgrid_amp_ctx_t *ctx,
    off_t length)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = length;

    ngx_str_set(&r->headers_out.content_type, "application/x-ndjson");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    /* filters keep what they have set up: there is no second header */

    ctx->dry_run->started = 1;

    rc = ngx_http_send_header(r);

    return (rc == NGX_ERROR || rc > NGX_OK) ? NGX_ERROR : NGX_OK;
}


static ngx_chain_t *
ngx_http_sendgrid_amp_dry_run_line(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    u_char                *p, *last;
    ngx_buf_t             *b;
    ngx_chain_t           *out, **ll;
    sgamp_str_t            part;
    sgamp_batch_cursor_t   cursor;

    static u_char  lf[] = { LF };

    out = NULL;
    ll = &out;

    ngx_memzero(&cursor, sizeof(sgamp_batch_cursor_t));

    while (sgamp_batch_walk(ctx->dry_run->batch, &cursor, &part)) {
        last = part.data + part.len;

        /* a string has no line feed, only what stands between tokens may */

        for (p = part.data; p < last; p++) {
            if (*p == LF || *p == CR) {
                *p = ' ';
            }
        }

        b = ngx_http_sendgrid_amp_dry_run_buf(ctx, &ll, part.data, part.len);
        if (b == NULL) {
            return NULL;
        }
    }

    b = ngx_http_sendgrid_amp_dry_run_buf(ctx, &ll, lf, 1);
    if (b == NULL) {
        return NULL;
    }

    b->flush = 1;

    return out;
}


static ngx_buf_t *
ngx_http_sendgrid_amp_dry_run_buf(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_chain_t ***ll, u_char *p, size_t len)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    cl = ngx_chain_get_free_buf(ctx->request->pool, &ctx->dry_run->free);
    if (cl == NULL) {
        return NULL;
    }

    b = cl->buf;

    ngx_memzero(b, sizeof(ngx_buf_t));

    b->memory = 1;
    b->tag = (ngx_buf_tag_t) &ngx_http_sendgrid_amp_module;
    b->pos = p;
    b->last = p + len;
    b->start = b->pos;
    b->end = b->last;

    cl->next = NULL;

    **ll = cl;
    *ll = &cl->next;

    return b;
}


static ngx_int_t
ngx_http_sendgrid_amp_dry_run_output(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_chain_t *out)
{
    ngx_int_t                         rc;
    ngx_http_request_t               *r;
    ngx_http_sendgrid_amp_dry_run_t  *dry;

    r = ctx->request;
    dry = ctx->dry_run;

    rc = ngx_http_output_filter(r, out);

    /* before anything else: the buffers may be in use until it is closed */

    ngx_chain_update_chains(r->pool, &dry->free, &dry->busy, &out,
                            (ngx_buf_tag_t) &ngx_http_sendgrid_amp_module);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (dry->busy != NULL) {
        return ngx_http_sendgrid_amp_dry_run_wait(ctx);
    }

    ngx_http_sendgrid_amp_dry_run_free(ctx);

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_dry_run_wait(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    wev = ctx->request->connection->write;
    clcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_core_module);

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    return ngx_handle_write_event(wev, clcf->send_lowat);
}


static void
ngx_http_sendgrid_amp_dry_run_free(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_event_t  *wev;

    wev = ctx->request->connection->write;

    if (wev->timer_set && !wev->delayed) {
        ngx_del_timer(wev);
    }

    sgamp_batch_free(&ctx->worker->pieces, ctx->dry_run->batch);

    ctx->dry_run->batch = NULL;
}


void
ngx_http_sendgrid_amp_dry_run_flush(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_connection_t  *c;

    if (ctx->dry_run->batch == NULL
        || ctx->error != NGX_HTTP_SENDGRID_AMP_OK)
    {
        return;
    }

    c = ctx->request->connection;

    if (c->write->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client timed out");
        c->timedout = 1;

        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_TIMED_OUT);
        return;
    }

    if (ngx_http_sendgrid_amp_dry_run_output(ctx, NULL) != NGX_OK) {
        ngx_http_sendgrid_amp_internal(ctx, "a dry run cannot be written");
    }
}


ngx_uint_t
ngx_http_sendgrid_amp_dry_run_busy(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    return ctx->dry_run->batch != NULL
           && ctx->error == NGX_HTTP_SENDGRID_AMP_OK;
}


ngx_int_t
ngx_http_sendgrid_amp_dry_run_reply(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->error != NGX_HTTP_SENDGRID_AMP_OK) {

        if (!ctx->dry_run->started) {
            return ngx_http_sendgrid_amp_reply(ctx);
        }

        /* the client has to see that there should be more */

        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "dry run is cut short: \"%V\"",
                      ngx_http_sendgrid_amp_keyword(ctx));

        return NGX_ERROR;
    }

    if (!ctx->dry_run->started
        && ngx_http_sendgrid_amp_dry_run_header(ctx, 0) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_send_special(r, NGX_HTTP_LAST);
}


void
ngx_http_sendgrid_amp_dry_run_cleanup(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    if (ctx->dry_run != NULL && ctx->dry_run->batch != NULL) {
        sgamp_batch_free(&ctx->worker->pieces, ctx->dry_run->batch);
        ctx->dry_run->batch = NULL;
    }
}
