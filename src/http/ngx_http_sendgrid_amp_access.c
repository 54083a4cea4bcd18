
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>


#define NGX_HTTP_SENDGRID_AMP_SIGNATURE_HEADER                                \
    "X-Twilio-Email-Event-Webhook-Signature"
#define NGX_HTTP_SENDGRID_AMP_TIMESTAMP_HEADER                                \
    "X-Twilio-Email-Event-Webhook-Timestamp"


static ngx_int_t ngx_http_sendgrid_amp_precontent_handler(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_begin(ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_accept(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_access(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_refuse(ngx_http_request_t *r);
static void ngx_http_sendgrid_amp_discard(ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_body_check(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_uint_t ngx_http_sendgrid_amp_body_is_skipped(
    ngx_http_request_t *r);
static ngx_uint_t ngx_http_sendgrid_amp_body_is_whole(ngx_http_request_t *r);
static sgamp_secrets_t *ngx_http_sendgrid_amp_accepted_secrets(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_signature_headers(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_get_header(
    ngx_http_sendgrid_amp_ctx_t *ctx, char *name, sgamp_str_t *value);
static ngx_int_t ngx_http_sendgrid_amp_start_hash(
    ngx_http_sendgrid_amp_ctx_t *ctx, sgamp_str_t *signature,
    sgamp_str_t *timestamp);
static ngx_int_t ngx_http_sendgrid_amp_check_time(
    ngx_http_sendgrid_amp_ctx_t *ctx, sgamp_str_t *timestamp);
static ngx_uint_t ngx_http_sendgrid_amp_is_encoded(ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_final(ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_unverified(
    ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_http_sendgrid_amp_signature_e signature, char *why, char *name);
static void ngx_http_sendgrid_amp_access_cleanup(void *data);
static ngx_int_t ngx_http_sendgrid_amp_access_init(ngx_conf_t *cf);


/* in the order of ngx_http_sendgrid_amp_signature_e */

static ngx_str_t  ngx_http_sendgrid_amp_signatures[] = {
    ngx_string("-"),
    ngx_string("ok"),
    ngx_string("missing"),
    ngx_string("malformed"),
    ngx_string("stale"),
    ngx_string("mismatch")
};


static ngx_http_module_t  ngx_http_sendgrid_amp_access_module_ctx = {
    NULL,                                   /* preconfiguration */
    ngx_http_sendgrid_amp_access_init,      /* postconfiguration */
    NULL, NULL,                             /* main configuration */
    NULL, NULL,                             /* server configuration */
    NULL, NULL                              /* location configuration */
};


ngx_module_t  ngx_http_sendgrid_amp_access_module = {
    NGX_MODULE_V1,
    &ngx_http_sendgrid_amp_access_module_ctx,
    NULL,                                   /* module directives */
    NGX_HTTP_MODULE,                        /* module type */
    NULL, NULL, NULL, NULL,                 /* init */
    NULL, NULL, NULL,                       /* exit */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_sendgrid_amp_precontent_handler(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    /* a module such as mirror reads the body next, and invites a client */

    amcf = ngx_http_get_module_main_conf(r, ngx_http_sendgrid_amp_module);

    if (r != r->main
        || r->content_handler != amcf->handler
        || ngx_http_sendgrid_amp_begin(r) == NGX_OK)
    {
        return NGX_DECLINED;
    }

    r->write_event_handler = ngx_http_request_empty_handler;
    ngx_http_finalize_request(r, ngx_http_sendgrid_amp_refuse(r));

    return NGX_DONE;
}


ngx_int_t
ngx_http_sendgrid_amp_admit(ngx_http_request_t *r, ngx_int_t *rc)
{
    ngx_int_t                     admitted;
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    admitted = NGX_OK;
    ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);

    /* another module may have ended the precontent phase */

    if (ctx == NULL) {
        admitted = ngx_http_sendgrid_amp_begin(r);
        ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);
    }

    if (admitted != NGX_OK || ngx_http_sendgrid_amp_body_check(ctx) != NGX_OK)
    {
        *rc = ngx_http_sendgrid_amp_refuse(r);
        return NGX_DECLINED;
    }

    return NGX_OK;
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
    ngx_int_t  rc;

    if (ngx_http_sendgrid_amp_access(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    rc = ctx->flow->route(ctx);

    if (rc == NGX_DECLINED) {
        return NGX_DECLINED;
    }

    if (rc != NGX_OK
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
ngx_http_sendgrid_amp_access(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (r->method != NGX_HTTP_POST) {
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_NOT_ALLOWED);
        return NGX_DECLINED;
    }

    rc = (ctx->flow->authorize != NULL) ? ctx->flow->authorize(ctx) : NGX_OK;

    if (rc == NGX_DECLINED) {
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_UNAUTHORIZED);
        return NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        ngx_http_sendgrid_amp_internal(ctx, "credentials cannot be checked");
        return NGX_DECLINED;
    }

    rc = ngx_http_sendgrid_amp_signature_headers(ctx);

    if (rc == NGX_DECLINED) {
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_BAD_SIGNATURE);
        return NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        ngx_http_sendgrid_amp_internal(ctx, "OpenSSL cannot hash the body");
        return NGX_DECLINED;
    }

    if (ngx_http_sendgrid_amp_is_encoded(r)) {
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_ENCODED);
        return NGX_DECLINED;
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


static ngx_int_t
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

    /*
     * another handler has taken the bytes that were read and are in no buffer
     */

    size = 0;

    for (cl = rb->bufs; cl != NULL; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    return size == ngx_max(r->headers_in.content_length_n, rb->received);
}


ngx_int_t
ngx_http_sendgrid_amp_access_basic(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    rc = ngx_http_auth_basic_user(r);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "client sent no credentials");
        return NGX_DECLINED;
    }

    rc = ngx_http_sendgrid_amp_check_secret(ctx, &r->headers_in.passwd);

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "client sent a password that is not one of "
                      "\"sendgrid_amp_secret\"");
    }

    return rc;
}


ngx_int_t
ngx_http_sendgrid_amp_check_secret(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_str_t *secret)
{
    u_char                           digest[SGAMP_SHA256_LEN];
    ngx_uint_t                       i, accepted;
    sgamp_secrets_t                 *secrets;
    sgamp_secret_entry_t             entry;
    ngx_http_sendgrid_amp_secret_t  *known;

    secrets = ngx_http_sendgrid_amp_accepted_secrets(ctx);

    if (secrets != NULL) {
        sgamp_secret_hash(secrets, ctx->conf->secrets, secret->data,
                          secret->len, &entry);

        if (sgamp_secret_known(secrets, &entry)) {
            return NGX_OK;
        }
    }

    /*
     * digests are compared, each whole and with all secrets: the time tells
     * neither which secret matches nor how much of a secret
     */

    if (sgamp_sha256(digest, secret->data, secret->len) != SGAMP_OK) {
        return NGX_ERROR;
    }

    accepted = 0;
    known = ctx->conf->secrets->elts;

    for (i = 0; i < ctx->conf->secrets->nelts; i++) {
        accepted |= (CRYPTO_memcmp(known[i].digest, digest, sizeof(digest))
                     == 0);
    }

    if (accepted && secrets != NULL) {
        sgamp_secret_add(secrets, &entry);
    }

    return accepted ? NGX_OK : NGX_DECLINED;
}


static sgamp_secrets_t *
ngx_http_sendgrid_amp_accepted_secrets(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    sgamp_secrets_t  *secrets;

    /*
     * each worker has keys of its own; a new configuration begins anew; without
     * random bytes all secrets go through SHA-256
     */

    secrets = &ctx->worker->secrets;

    if (!secrets->ready) {

        (void) ERR_set_mark();

        secrets->ready = (RAND_bytes((u_char *) secrets->keys,
                                     sizeof(secrets->keys))
                          == 1);

        (void) ERR_pop_to_mark();
    }

    return secrets->ready ? secrets : NULL;
}


static ngx_int_t
ngx_http_sendgrid_amp_signature_headers(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t                          rc;
    sgamp_str_t                        signature, timestamp;
    ngx_http_sendgrid_amp_key_conf_t  *kcf;

    kcf = ngx_http_get_module_loc_conf(ctx->request,
                                       ngx_http_sendgrid_amp_key_module);

    if (!ctx->flow->is_signed || kcf->keys == NULL) {
        return NGX_OK;
    }

    if (kcf->signature != NGX_HTTP_SENDGRID_AMP_SIGNATURE_REPORT) {
        ctx->hold |= NGX_HTTP_SENDGRID_AMP_HOLD_SIGNATURE;
    }

    if (ngx_http_sendgrid_amp_add_cleanup(ctx,
                                        ngx_http_sendgrid_amp_access_cleanup)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

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

    ctx->access.hashing = (rc == NGX_OK);

    /* a bad signature that is only reported refuses no webhook */

    if (rc == NGX_DECLINED
        && (ctx->hold & NGX_HTTP_SENDGRID_AMP_HOLD_SIGNATURE) == 0)
    {
        return NGX_OK;
    }

    return rc;
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
    switch (sgamp_signature_init(&ctx->access.hash, signature, timestamp)) {

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
    time_t                             window;
    int64_t                            seconds;
    ngx_http_sendgrid_amp_key_conf_t  *kcf;

    if (sgamp_signature_time(timestamp, &seconds) != SGAMP_OK) {
        return ngx_http_sendgrid_amp_unverified(ctx,
                                       NGX_HTTP_SENDGRID_AMP_MALFORMED,
                                       "no decimal number is in",
                                       NGX_HTTP_SENDGRID_AMP_TIMESTAMP_HEADER);
    }

    kcf = ngx_http_get_module_loc_conf(ctx->request,
                                       ngx_http_sendgrid_amp_key_module);
    window = kcf->window;
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


static ngx_uint_t
ngx_http_sendgrid_amp_is_encoded(ngx_http_request_t *r)
{
    ngx_str_t                       *value;
    ngx_http_sendgrid_amp_search_t   search;

    ngx_memzero(&search, sizeof(ngx_http_sendgrid_amp_search_t));

    for ( ;; ) {
        value = ngx_http_sendgrid_amp_next_header(r, &search,
                                                  "Content-Encoding");
        if (value == NULL) {
            return 0;
        }

        /* no header, or the coding "identity" */

        if (value->len == 0
            || (value->len == sizeof("identity") - 1
                && ngx_strncasecmp(value->data, (u_char *) "identity",
                                   sizeof("identity") - 1)
                   == 0))
        {
            continue;
        }

        return 1;
    }
}


ngx_int_t
ngx_http_sendgrid_amp_access_update(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_str_t *portion)
{
    if (ctx->access.hashing
        && sgamp_signature_update(&ctx->access.hash, portion->data,
                                  portion->len)
           != SGAMP_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_sendgrid_amp_access_verify(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ctx->access.hashing ? ngx_http_sendgrid_amp_final(ctx) : NGX_OK;

    ctx->access.hashing = 0;
    sgamp_signature_done(&ctx->access.hash);

    if (rc == NGX_ERROR) {
        ngx_http_sendgrid_amp_internal(ctx,
                                       "OpenSSL cannot verify a signature");
        return NGX_ERROR;
    }

    if ((ctx->hold & NGX_HTTP_SENDGRID_AMP_HOLD_SIGNATURE)
        && ctx->access.signature != NGX_HTTP_SENDGRID_AMP_SIGNED)
    {
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_BAD_SIGNATURE);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_final(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_sendgrid_amp_key_conf_t  *kcf;

    kcf = ngx_http_get_module_loc_conf(ctx->request,
                                       ngx_http_sendgrid_amp_key_module);

    switch (sgamp_signature_final(&ctx->access.hash, kcf->keys->elts,
                                  kcf->keys->nelts))
    {

    case SGAMP_OK:
        ctx->access.signature = NGX_HTTP_SENDGRID_AMP_SIGNED;
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

    ctx->access.signature = signature;

    level = (ctx->hold & NGX_HTTP_SENDGRID_AMP_HOLD_SIGNATURE)
            ? NGX_LOG_INFO
            : NGX_LOG_WARN;

    ngx_log_error(level, ctx->request->connection->log, 0,
                  "client sent a bad signature: %V, %s \"%s\"",
                  &ngx_http_sendgrid_amp_signatures[signature], why, name);

    return NGX_DECLINED;
}


ngx_str_t *
ngx_http_sendgrid_amp_signature_name(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    return &ngx_http_sendgrid_amp_signatures[ctx->access.signature];
}


static void
ngx_http_sendgrid_amp_access_cleanup(void *data)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx = data;

    ngx_uint_t                         i;
    ngx_http_sendgrid_amp_key_conf_t  *kcf;

    if (ctx->access.signature != NGX_HTTP_SENDGRID_AMP_UNSIGNED) {
        i = ctx->access.signature - NGX_HTTP_SENDGRID_AMP_SIGNED;
        ngx_http_sendgrid_amp_count(ctx, SGAMP_METRICS_SIGNED + i, 1);

        kcf = ngx_http_get_module_loc_conf(ctx->request,
                                           ngx_http_sendgrid_amp_key_module);

        if (i != 0
            && kcf->signature == NGX_HTTP_SENDGRID_AMP_SIGNATURE_REPORT)
        {
            ngx_http_sendgrid_amp_count(ctx, SGAMP_METRICS_REPORTED + i, 1);
        }
    }

    sgamp_signature_done(&ctx->access.hash);
}


static ngx_int_t
ngx_http_sendgrid_amp_access_init(ngx_conf_t *cf)
{
    return ngx_http_sendgrid_amp_add_handler(cf, NGX_HTTP_PRECONTENT_PHASE,
                                     ngx_http_sendgrid_amp_precontent_handler);
}
