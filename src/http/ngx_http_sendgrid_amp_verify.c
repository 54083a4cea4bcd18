
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


#define NGX_HTTP_SENDGRID_AMP_SIGNATURE_HEADER                                \
    "X-Twilio-Email-Event-Webhook-Signature"
#define NGX_HTTP_SENDGRID_AMP_TIMESTAMP_HEADER                                \
    "X-Twilio-Email-Event-Webhook-Timestamp"


static ngx_int_t ngx_http_sendgrid_amp_get_header(
    ngx_http_sendgrid_amp_ctx_t *ctx, char *name, sgamp_str_t *value);
static ngx_int_t ngx_http_sendgrid_amp_check_time(
    ngx_http_sendgrid_amp_ctx_t *ctx, sgamp_str_t *timestamp);
static ngx_int_t ngx_http_sendgrid_amp_start_hash(
    ngx_http_sendgrid_amp_ctx_t *ctx, sgamp_str_t *signature,
    sgamp_str_t *timestamp);
static ngx_int_t ngx_http_sendgrid_amp_final(ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_unverified(
    ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_http_sendgrid_amp_signature_e signature, char *why, char *name);
static ngx_int_t ngx_http_sendgrid_amp_release_held(
    ngx_http_sendgrid_amp_ctx_t *ctx);


/* in the order of ngx_http_sendgrid_amp_signature_e */

static ngx_str_t  ngx_http_sendgrid_amp_signatures[] = {
    ngx_string("-"),
    ngx_string("ok"),
    ngx_string("missing"),
    ngx_string("malformed"),
    ngx_string("stale"),
    ngx_string("mismatch")
};


ngx_int_t
ngx_http_sendgrid_amp_verify_headers(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t    rc;
    sgamp_str_t  signature, timestamp;

    if (ctx->conf->keys == NULL) {
        return NGX_OK;
    }

    ctx->hold = (ctx->conf->signature
                 != NGX_HTTP_SENDGRID_AMP_SIGNATURE_REPORT);

    rc = ngx_http_sendgrid_amp_get_header(ctx,
                                       NGX_HTTP_SENDGRID_AMP_SIGNATURE_HEADER,
                                       &signature);
    if (rc == NGX_OK) {
        rc = ngx_http_sendgrid_amp_get_header(ctx,
                                       NGX_HTTP_SENDGRID_AMP_TIMESTAMP_HEADER,
                                       &timestamp);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_sendgrid_amp_start_hash(ctx, &signature, &timestamp);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_sendgrid_amp_check_time(ctx, &timestamp);
    }

    ctx->hashing = (rc == NGX_OK);

    /* what is only reported hinders nobody */

    return (rc == NGX_DECLINED && !ctx->hold) ? NGX_OK : rc;
}


static ngx_int_t
ngx_http_sendgrid_amp_get_header(ngx_http_sendgrid_amp_ctx_t *ctx, char *name,
    sgamp_str_t *value)
{
    ngx_str_t                       *next;
    ngx_uint_t                       n;
    ngx_http_sendgrid_amp_search_t   search;

    ngx_memzero(&search, sizeof(ngx_http_sendgrid_amp_search_t));

    for (n = 0; /* void */; n++) {
        next = ngx_http_sendgrid_amp_next_header(ctx->request, &search, name);

        if (next == NULL) {
            break;
        }

        value->len = next->len;
        value->data = next->data;
    }

    if (n == 0) {
        return ngx_http_sendgrid_amp_unverified(ctx,
                                                NGX_HTTP_SENDGRID_AMP_MISSING,
                                                "there is no", name);
    }

    if (n > 1) {
        return ngx_http_sendgrid_amp_unverified(ctx,
                                              NGX_HTTP_SENDGRID_AMP_MALFORMED,
                                              "there is more than one", name);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_start_hash(ngx_http_sendgrid_amp_ctx_t *ctx,
    sgamp_str_t *signature, sgamp_str_t *timestamp)
{
    switch (sgamp_signature_init(&ctx->hash, signature, timestamp)) {

    case SGAMP_OK:
        return NGX_OK;

    case SGAMP_INVALID:
        return ngx_http_sendgrid_amp_unverified(ctx,
                                       NGX_HTTP_SENDGRID_AMP_MALFORMED,
                                       "no signature in base64 is in",
                                       NGX_HTTP_SENDGRID_AMP_SIGNATURE_HEADER);

    default: /* SGAMP_NOMEM */
        return NGX_ERROR;
    }
}


static ngx_int_t
ngx_http_sendgrid_amp_check_time(ngx_http_sendgrid_amp_ctx_t *ctx,
    sgamp_str_t *timestamp)
{
    time_t   window;
    int64_t  seconds;

    if (sgamp_signature_time(timestamp, &seconds) != SGAMP_OK) {
        return ngx_http_sendgrid_amp_unverified(ctx,
                                       NGX_HTTP_SENDGRID_AMP_MALFORMED,
                                       "no decimal number is in",
                                       NGX_HTTP_SENDGRID_AMP_TIMESTAMP_HEADER);
    }

    window = ctx->conf->signature_window;
    seconds -= ngx_time();

    if (window != 0 && (seconds > window || seconds < -window)) {
        return ngx_http_sendgrid_amp_unverified(ctx,
                                       NGX_HTTP_SENDGRID_AMP_STALE,
                                       "\"sendgrid_amp_signature_window\" "
                                       "does not allow the time in",
                                       NGX_HTTP_SENDGRID_AMP_TIMESTAMP_HEADER);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_sendgrid_amp_verify_update(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_str_t *part)
{
    if (ctx->hashing
        && sgamp_signature_update(&ctx->hash, part->data, part->len)
           != SGAMP_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_sendgrid_amp_verify(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ctx->hashing ? ngx_http_sendgrid_amp_final(ctx) : NGX_OK;

    ctx->hashing = 0;
    sgamp_signature_done(&ctx->hash);

    if (rc == NGX_ERROR) {
        ngx_http_sendgrid_amp_internal(ctx,
                                       "OpenSSL cannot verify a signature");
        return NGX_ERROR;
    }

    if (!ctx->hold) {
        return ngx_http_sendgrid_amp_release_held(ctx);
    }

    if (ctx->signature != NGX_HTTP_SENDGRID_AMP_SIGNED) {
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_BAD_SIGNATURE);
        return NGX_ERROR;
    }

    if (ctx->fault != SGAMP_OK) {
        ngx_http_sendgrid_amp_body_fault(ctx);
        return NGX_ERROR;
    }

    ctx->hold = 0;

    return ngx_http_sendgrid_amp_release_held(ctx);
}


static ngx_int_t
ngx_http_sendgrid_amp_final(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_array_t  *keys;

    keys = ctx->conf->keys;

    switch (sgamp_signature_final(&ctx->hash, keys->elts, keys->nelts)) {

    case SGAMP_OK:
        ctx->signature = NGX_HTTP_SENDGRID_AMP_SIGNED;
        return NGX_OK;

    case SGAMP_INVALID:
        return ngx_http_sendgrid_amp_unverified(ctx,
                                       NGX_HTTP_SENDGRID_AMP_MISMATCH,
                                       "another key, timestamp or body "
                                       "belongs to",
                                       NGX_HTTP_SENDGRID_AMP_SIGNATURE_HEADER);

    default: /* SGAMP_NOMEM */
        return NGX_ERROR;
    }
}


static ngx_int_t
ngx_http_sendgrid_amp_unverified(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_http_sendgrid_amp_signature_e signature, char *why, char *name)
{
    ngx_uint_t  level;

    ctx->signature = signature;

    level = ctx->hold ? NGX_LOG_INFO : NGX_LOG_WARN;

    ngx_log_error(level, ctx->request->connection->log, 0,
                  "client sent a bad signature: %V, %s \"%s\"",
                  &ngx_http_sendgrid_amp_signatures[signature], why, name);

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_sendgrid_amp_release_held(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    size_t              size;
    sgamp_held_event_t  event;

    if (ctx->turn.posted) {
        return NGX_AGAIN;
    }

    for ( ;; ) {
        size = 0;

        while (size < NGX_HTTP_SENDGRID_AMP_FEED_SIZE) {

            if (!sgamp_held_next(&ctx->held, &ctx->cursor, &event)) {
                ngx_http_sendgrid_amp_write_rejected(ctx);
                sgamp_held_done(&ctx->held);
                return NGX_OK;
            }

            ngx_http_sendgrid_amp_reject_unmapped(ctx, event.kind,
                                                  event.reason, &event.id,
                                                  &event.raw);
            size += event.raw.len;
        }

        ngx_http_sendgrid_amp_write_rejected(ctx);

        ctx->work += size;

        if (ngx_http_sendgrid_amp_turn(ctx)) {
            return NGX_AGAIN;
        }
    }
}


ngx_str_t *
ngx_http_sendgrid_amp_signature_name(
    ngx_http_sendgrid_amp_signature_e signature)
{
    return &ngx_http_sendgrid_amp_signatures[signature];
}
