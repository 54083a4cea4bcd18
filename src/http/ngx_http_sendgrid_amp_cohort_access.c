
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp_cohort.h"


/* whether a message may be sent, and where to, before its body */


static ngx_int_t ngx_http_sendgrid_amp_cohort_access(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_credentials(
    ngx_http_sendgrid_amp_ctx_t *ctx, ngx_str_t *secret);
static ngx_int_t ngx_http_sendgrid_amp_cohort_path(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_rest(ngx_http_request_t *r,
    ngx_str_t *rest);
static ngx_int_t ngx_http_sendgrid_amp_list_path(
    ngx_http_sendgrid_amp_cohort_t *cohort, ngx_str_t *rest);


ngx_int_t
ngx_http_sendgrid_amp_cohort_authorize(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t                        rc;
    ngx_str_t                       *key;
    ngx_pool_t                      *pool;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    pool = ctx->request->pool;

    cohort = ngx_pcalloc(pool, sizeof(ngx_http_sendgrid_amp_cohort_t));
    if (cohort == NULL) {
        return NGX_ERROR;
    }

    cohort->conf = ngx_http_get_module_loc_conf(ctx->request,
                                         ngx_http_sendgrid_amp_cohort_module);
    cohort->api.zone = cohort->conf->zone;

    ctx->data = cohort;

    if (cohort->conf->secrets != NULL) {
        rc = ngx_http_sendgrid_amp_cohort_access(ctx);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    key = &cohort->api.key;

    if (ngx_http_sendgrid_amp_value(ctx, cohort->conf->key, key) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!ngx_http_sendgrid_amp_is_key(key)) {
        ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                      "\"sendgrid_amp_marketing_key\" is empty, or is no key");
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_cohort_access(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t  rc;
    ngx_str_t  secret;

    rc = ngx_http_sendgrid_amp_credentials(ctx, &secret);

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                      "client sent no credentials");
        return NGX_DECLINED;
    }

    if (rc == NGX_OK) {
        rc = ngx_http_sendgrid_amp_check_secret(ctx, &secret);
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                      "client sent a secret that is not one of "
                      "\"sendgrid_amp_cohort_secret\"");
    }

    return rc;
}


static ngx_int_t
ngx_http_sendgrid_amp_credentials(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_str_t *secret)
{
    u_char              *p, *last;
    ngx_str_t            value, basic;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (r->headers_in.authorization == NULL) {
        return NGX_DECLINED;
    }

    value = r->headers_in.authorization->value;

    p = ngx_strlchr(value.data, value.data + value.len, ' ');
    if (p == NULL) {
        return NGX_DECLINED;
    }

    last = value.data + value.len;
    secret->data = p;

    while (secret->data < last && *secret->data == ' ') {
        secret->data++;
    }

    secret->len = last - secret->data;

    if (p - value.data == sizeof("Bearer") - 1
        && ngx_strncasecmp(value.data, (u_char *) "Bearer",
                           sizeof("Bearer") - 1)
           == 0)
    {
        return NGX_OK;
    }

    if (p - value.data != sizeof("Basic") - 1
        || ngx_strncasecmp(value.data, (u_char *) "Basic",
                           sizeof("Basic") - 1)
           != 0)
    {
        return NGX_DECLINED;
    }

    basic.data = ngx_pnalloc(r->pool, ngx_base64_decoded_length(secret->len));
    if (basic.data == NULL) {
        return NGX_ERROR;
    }

    if (ngx_decode_base64(&basic, secret) != NGX_OK) {
        return NGX_DECLINED;
    }

    /* the secret is the password, or the user name if that is empty */

    p = ngx_strlchr(basic.data, basic.data + basic.len, ':');
    if (p == NULL) {
        return NGX_DECLINED;
    }

    last = basic.data + basic.len;

    secret->data = (p + 1 < last) ? p + 1 : basic.data;
    secret->len = (p + 1 < last) ? (size_t) (last - p - 1)
                                 : (size_t) (p - basic.data);
    return NGX_OK;
}


ngx_int_t
ngx_http_sendgrid_amp_cohort_route(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    if (ngx_http_sendgrid_amp_find_route(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_sendgrid_amp_cohort_path(ctx) != NGX_OK) {
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_NOT_FOUND);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_cohort_path(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_str_t                        rest;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;

    if (ngx_http_sendgrid_amp_rest(ctx->request, &rest) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (rest.len == 0) {
        sgamp_message_init(&cohort->message, SGAMP_MESSAGE_WEBHOOK);
        return NGX_OK;
    }

    cohort->listed = 1;

    if (rest.len == sizeof("lists") - 1
        && ngx_strncmp(rest.data, "lists", sizeof("lists") - 1) == 0)
    {
        sgamp_message_init(&cohort->message, SGAMP_MESSAGE_CREATE);
        return NGX_OK;
    }

    return ngx_http_sendgrid_amp_list_path(cohort, &rest);
}


static ngx_int_t
ngx_http_sendgrid_amp_rest(ngx_http_request_t *r, ngx_str_t *rest)
{
    u_char                    *p, *last;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    /* what follows the location in the path, or the path from "/lists" on */

    p = r->uri.data;
    last = p + r->uri.len;

    if (r->uri.len >= clcf->name.len
        && ngx_strncmp(p, clcf->name.data, clcf->name.len) == 0)
    {
        p += clcf->name.len;

        if (p < last && *p != '/' && p[-1] != '/') {
            /* the name of a location is the begin of other names, too */
            return NGX_DECLINED;
        }

    } else {
        p = ngx_strlcasestrn(p, last, (u_char *) "/lists",
                             sizeof("/lists") - 2);
        if (p == NULL) {
            p = last;
        }
    }

    while (p < last && *p == '/') {
        p++;
    }

    while (p < last && last[-1] == '/') {
        last--;
    }

    rest->data = p;
    rest->len = last - p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_list_path(ngx_http_sendgrid_amp_cohort_t *cohort,
    ngx_str_t *rest)
{
    u_char  *p, *last;

    /* lists/ID/add or lists/ID/remove */

    p = rest->data;
    last = p + rest->len;

    if (rest->len < sizeof("lists//add") - 1 + SGAMP_UUID_LEN
        || ngx_strncmp(p, "lists/", sizeof("lists/") - 1) != 0)
    {
        return NGX_DECLINED;
    }

    p += sizeof("lists/") - 1;

    if (!sgamp_uuid(cohort->id, p, SGAMP_UUID_LEN)) {
        return NGX_DECLINED;
    }

    p += SGAMP_UUID_LEN;

    cohort->named = 1;

    if (last - p == sizeof("/add") - 1
        && ngx_strncmp(p, "/add", sizeof("/add") - 1) == 0)
    {
        sgamp_message_init(&cohort->message, SGAMP_MESSAGE_ADD);
        return NGX_OK;
    }

    if (last - p == sizeof("/remove") - 1
        && ngx_strncmp(p, "/remove", sizeof("/remove") - 1) == 0)
    {
        sgamp_message_init(&cohort->message, SGAMP_MESSAGE_REMOVE);
        return NGX_OK;
    }

    return NGX_DECLINED;
}
