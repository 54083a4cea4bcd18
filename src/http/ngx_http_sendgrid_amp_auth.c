
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"

#include <openssl/crypto.h>


static ngx_int_t ngx_http_sendgrid_amp_basic(ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_accepted(
    ngx_http_sendgrid_amp_ctx_t *ctx, ngx_str_t *password);


ngx_int_t
ngx_http_sendgrid_amp_authorize(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t                          rc;
    ngx_http_request_t                *r;
    ngx_http_sendgrid_amp_loc_conf_t  *conf;

    r = ctx->request;
    conf = ctx->conf;

    if (conf->auth == NGX_HTTP_SENDGRID_AMP_AUTH_BASIC) {
        rc = ngx_http_sendgrid_amp_basic(ctx);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (conf->api_key != NULL) {

        if (ngx_http_sendgrid_amp_value(ctx, conf->api_key, &ctx->api_key)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ctx->api_key.len == 0) {
            ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                          "\"sendgrid_amp_api_key\" is empty");
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_basic(ngx_http_sendgrid_amp_ctx_t *ctx)
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

    rc = ngx_http_sendgrid_amp_accepted(ctx, &r->headers_in.passwd);

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "client sent a password that is not one of "
                      "\"sendgrid_amp_secret\"");
    }

    if (rc != NGX_OK) {
        return rc;
    }

    ctx->api_key = r->headers_in.user;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_accepted(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_str_t *password)
{
    u_char                           digest[SGAMP_SHA256_LEN];
    ngx_uint_t                       i, accepted;
    ngx_http_sendgrid_amp_secret_t  *secret;

    /*
     * digests are compared, all of them and whole: the time tells neither
     * which secret matches nor how much of it
     */

    if (sgamp_sha256(digest, password->data, password->len) != SGAMP_OK) {
        return NGX_ERROR;
    }

    accepted = 0;
    secret = ctx->conf->secrets->elts;

    for (i = 0; i < ctx->conf->secrets->nelts; i++) {
        accepted |= (CRYPTO_memcmp(secret[i].digest, digest, sizeof(digest))
                     == 0);
    }

    return accepted ? NGX_OK : NGX_DECLINED;
}
