
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


static ngx_int_t ngx_http_sendgrid_amp_encoded(ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_locate(
    ngx_http_sendgrid_amp_ctx_t *ctx);


ngx_int_t
ngx_http_sendgrid_amp_accept(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (r->method != NGX_HTTP_POST) {
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_NOT_ALLOWED);
        return NGX_DECLINED;
    }

    rc = ngx_http_sendgrid_amp_authorize(ctx);

    if (rc == NGX_DECLINED) {
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_UNAUTHORIZED);
        return NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        ngx_http_sendgrid_amp_internal(ctx, "credentials cannot be checked");
        return NGX_DECLINED;
    }

    rc = ngx_http_sendgrid_amp_verify_headers(ctx);

    if (rc == NGX_DECLINED) {
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_BAD_SIGNATURE);
        return NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        ngx_http_sendgrid_amp_internal(ctx, "OpenSSL cannot hash the body");
        return NGX_DECLINED;
    }

    if (ngx_http_sendgrid_amp_encoded(r)) {
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_ENCODED);
        return NGX_DECLINED;
    }

    if (ngx_http_sendgrid_amp_locate(ctx) != NGX_OK
        || ngx_http_sendgrid_amp_dry_run(ctx) != NGX_OK)
    {
        ngx_http_sendgrid_amp_internal(ctx, "no way or form for the events");
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_encoded(ngx_http_request_t *r)
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

        /* no coding at all, or by name */

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


ngx_str_t *
ngx_http_sendgrid_amp_next_header(ngx_http_request_t *r,
    ngx_http_sendgrid_amp_search_t *search, char *name)
{
    size_t            len;
    ngx_table_elt_t  *header;

    if (search->part == NULL) {
        search->part = &r->headers_in.headers.part;
    }

    len = ngx_strlen(name);

    for ( ;; ) {

        if (search->i == search->part->nelts) {
            if (search->part->next == NULL) {
                return NULL;
            }

            search->part = search->part->next;
            search->i = 0;
            continue;
        }

        header = search->part->elts;
        header += search->i++;

        if (header->key.len == len
            && ngx_strncasecmp(header->key.data, (u_char *) name, len) == 0)
        {
            return &header->value;
        }
    }
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

    if (ngx_http_sendgrid_amp_value(ctx, ctx->conf->region, region) != NGX_OK) {
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
