
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


static ngx_int_t ngx_http_sendgrid_amp_check(ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_encoded(ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_locate(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_init(ngx_http_request_t *r);
static int ngx_http_sendgrid_amp_event(void *data,
    const sgamp_event_t *event);
static void ngx_http_sendgrid_amp_set_state(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_http_sendgrid_amp_state_e state);
static ngx_http_sendgrid_amp_state_e ngx_http_sendgrid_amp_read_state(
    ngx_int_t rc);
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

    ctx = ngx_http_sendgrid_amp_create_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_sendgrid_amp_check(ctx) != NGX_OK) {
        ngx_http_sendgrid_amp_hide_user(r);

        rc = ngx_http_discard_request_body(r);

        if (rc != NGX_OK) {
            return rc;
        }

        return ngx_http_sendgrid_amp_reply(ctx);
    }

    r->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_sendgrid_amp_init);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        ngx_http_sendgrid_amp_fail(ctx, ngx_http_sendgrid_amp_body_error(rc));
        return ngx_http_sendgrid_amp_reply(ctx);
    }

    return NGX_DONE;
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


static ngx_int_t
ngx_http_sendgrid_amp_check(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (r->method != NGX_HTTP_POST) {
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_NOT_ALLOWED);
        return NGX_DECLINED;
    }

    rc = ngx_http_sendgrid_amp_authorize(ctx);

    if (rc != NGX_OK) {
        ngx_http_sendgrid_amp_fail(ctx,
                                   (rc == NGX_DECLINED)
                                   ? NGX_HTTP_SENDGRID_AMP_UNAUTHORIZED
                                   : NGX_HTTP_SENDGRID_AMP_INTERNAL);
        return NGX_DECLINED;
    }

    if (ngx_http_sendgrid_amp_encoded(r)) {
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_ENCODED);
        return NGX_DECLINED;
    }

    if (ngx_http_sendgrid_amp_locate(ctx) != NGX_OK) {
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_INTERNAL);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_encoded(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    static ngx_str_t  name = ngx_string("content-encoding");

    part = &r->headers_in.headers.part;
    header = part->elts;

    for (i = 0; /* void */; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (header[i].key.len == name.len
            && ngx_strncasecmp(header[i].key.data, name.data, name.len) == 0
            && (header[i].value.len != sizeof("identity") - 1
                || ngx_strncasecmp(header[i].value.data,
                                   (u_char *) "identity",
                                   sizeof("identity") - 1)
                   != 0))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_sendgrid_amp_locate(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_str_t           *region;
    ngx_http_request_t  *r;

    static ngx_str_t  us = ngx_string("/amplitude/us");
    static ngx_str_t  eu = ngx_string("/amplitude/eu");

    r = ctx->request;
    region = &ctx->region;

    if (ngx_http_complex_value(r, ctx->conf->region, region) != NGX_OK) {
        return NGX_ERROR;
    }

    if (region->len == 2 && ngx_strncmp(region->data, "us", 2) == 0) {
        ctx->location = us;
        return NGX_OK;
    }

    if (region->len == 2 && ngx_strncmp(region->data, "eu", 2) == 0) {
        ctx->location = eu;
        return NGX_OK;
    }

    if (region->len != 0 && region->data[0] == '/') {
        ctx->location = *region;
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "\"sendgrid_amp\" got the region \"%V\", it must be \"us\", "
                  "\"eu\" or an internal location",
                  region);

    return NGX_ERROR;
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
                       &api_key, conf->batch_size,
                       (uint32_t) conf->batch_events);

    ctx->parsing = 1;

    ctx->slots = ngx_pcalloc(r->pool, conf->concurrency
                                      * sizeof(ngx_http_sendgrid_amp_slot_t));

    if (ctx->slots == NULL
        || sgamp_parser_init(&ctx->parser, &conf->rules->keys,
                             conf->max_event_size,
                             ngx_http_sendgrid_amp_event, ctx,
                             &ctx->worker->grow, &ctx->worker->reserve)
           != SGAMP_OK)
    {
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_INTERNAL);
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
    sgamp_str_t     id, name, detail;
    sgamp_reason_e  reason;

    ctx->received++;

    rc = sgamp_batcher_add(&ctx->batcher, event, &reason);

    if (rc != SGAMP_OK || reason == SGAMP_MAPPED) {
        return rc;
    }

    sgamp_event_id(event, &id);

    name.data = (u_char *) sgamp_reason(reason);
    name.len = ngx_strlen(name.data);

    detail.len = 0;
    detail.data = NULL;

    ngx_http_sendgrid_amp_reject(ctx, &name, &detail, &id, &event->raw);

    return SGAMP_OK;
}


void
ngx_http_sendgrid_amp_run(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t  rc;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                   "sendgrid_amp run: %d", ctx->state);

    for ( ;; ) {

        if (ctx->state < NGX_HTTP_SENDGRID_AMP_REPLYING) {
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
            if (ctx->batcher.closed != NULL) {
                return;
            }

            ngx_http_sendgrid_amp_set_state(ctx,
                                            NGX_HTTP_SENDGRID_AMP_READING);
            ngx_http_sendgrid_amp_body_resume(ctx);
            break;

        case NGX_HTTP_SENDGRID_AMP_VERIFYING:
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
    ngx_connection_t  *c;

    c = ctx->request->connection;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "sendgrid_amp state: %d, error: %d", state, ctx->error);

    ctx->state = state;
    c->log->action = (char *) ngx_http_sendgrid_amp_actions[state];
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


static void
ngx_http_sendgrid_amp_write_handler(ngx_http_request_t *r)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "sendgrid_amp write handler");

    ngx_http_sendgrid_amp_run(
        ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module));
}


static void
ngx_http_sendgrid_amp_finalize(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->error == NGX_HTTP_SENDGRID_AMP_TIMED_OUT) {
        /* as nginx does: the client is not there to be answered */
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    ngx_http_finalize_request(r, ngx_http_sendgrid_amp_reply(ctx));
}


static void
ngx_http_sendgrid_amp_cleanup(void *data)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx = data;

    if (!ctx->parsing) {
        return;
    }

    ngx_http_sendgrid_amp_delivery_cleanup(ctx);

    sgamp_parser_done(&ctx->parser);
    sgamp_batcher_done(&ctx->batcher);
}
