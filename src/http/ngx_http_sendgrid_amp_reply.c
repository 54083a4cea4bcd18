
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


#define NGX_HTTP_SENDGRID_AMP_RETRY_AFTER  "30"  /* seconds */


typedef struct {
    ngx_uint_t  status;
    ngx_str_t   keyword;
    ngx_uint_t  retry_after;  /* whether the client is asked to wait */
} ngx_http_sendgrid_amp_error_t;


static ngx_buf_t *ngx_http_sendgrid_amp_summary(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_reply_headers(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_retry_after(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_uint_t ngx_http_sendgrid_amp_is_refused(ngx_http_request_t *r,
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_replace(ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_sendgrid_amp_reply_init(ngx_conf_t *cf);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


/* in the order of ngx_http_sendgrid_amp_error_e */

static const ngx_http_sendgrid_amp_error_t  ngx_http_sendgrid_amp_errors[] = {
    { NGX_HTTP_OK, ngx_null_string, 0 },
    { NGX_HTTP_TOO_MANY_REQUESTS, ngx_string("throttled"), 1 },
    { NGX_HTTP_SERVICE_UNAVAILABLE, ngx_string("unavailable"), 1 },
    { NGX_HTTP_BAD_GATEWAY, ngx_string("refused"), 0 },
    { NGX_HTTP_CONFLICT, ngx_string("in_progress"), 1 },
    { NGX_HTTP_NOT_FOUND, ngx_string("not_found"), 0 },
    { NGX_HTTP_BAD_REQUEST, ngx_string("invalid_message"), 0 },
    { NGX_HTTP_BAD_REQUEST, ngx_string("invalid_json"), 0 },
    { NGX_HTTP_FORBIDDEN, ngx_string("bad_signature"), 0 },
    { NGX_HTTP_UNAUTHORIZED, ngx_string("unauthorized"), 0 },
    { NGX_HTTP_NOT_ALLOWED, ngx_string("method_not_allowed"), 0 },
    { NGX_HTTP_REQUEST_ENTITY_TOO_LARGE, ngx_string("too_large"), 0 },
    { NGX_HTTP_UNSUPPORTED_MEDIA_TYPE, ngx_string("content_encoding"), 0 },
    { NGX_HTTP_CLIENT_CLOSED_REQUEST, ngx_string("client_closed"), 0 },
    { NGX_HTTP_BAD_REQUEST, ngx_string("bad_request"), 0 },
    { NGX_HTTP_REQUEST_TIME_OUT, ngx_string("timed_out"), 0 },
    { NGX_HTTP_INTERNAL_SERVER_ERROR, ngx_string("internal"), 0 }
};


static ngx_http_module_t  ngx_http_sendgrid_amp_reply_module_ctx = {
    NULL,                                   /* preconfiguration */
    ngx_http_sendgrid_amp_reply_init,       /* postconfiguration */
    NULL, NULL,                             /* main configuration */
    NULL, NULL,                             /* server configuration */
    NULL, NULL                              /* location configuration */
};


ngx_module_t  ngx_http_sendgrid_amp_reply_module = {
    NGX_MODULE_V1,
    &ngx_http_sendgrid_amp_reply_module_ctx,/* module context */
    NULL,                                   /* module directives */
    NGX_HTTP_MODULE,                        /* module type */
    NULL, NULL, NULL, NULL,                 /* init */
    NULL, NULL, NULL,                       /* exit */
    NGX_MODULE_V1_PADDING
};


ngx_int_t
ngx_http_sendgrid_amp_reply(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_chain_t          out;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->gone) {
        /* nginx closes the connection or the stream without an answer */
        r->connection->error = 1;
        return ngx_http_sendgrid_amp_errors[ctx->error].status;
    }

    if (ctx->error == NGX_HTTP_SENDGRID_AMP_TIMED_OUT) {
        /* as nginx does: a client that has timed out gets no answer */
        return NGX_HTTP_REQUEST_TIME_OUT;
    }

    b = ngx_http_sendgrid_amp_summary(ctx);

    if (b == NULL || ngx_http_sendgrid_amp_reply_headers(ctx) != NGX_OK) {
        ngx_http_sendgrid_amp_internal(ctx, "no memory for the answer");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = ngx_http_sendgrid_amp_errors[ctx->error].status;
    r->headers_out.content_length_n = b->last - b->pos;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


const ngx_str_t *
ngx_http_sendgrid_amp_keyword(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    return &ngx_http_sendgrid_amp_errors[ctx->error].keyword;
}


static ngx_buf_t *
ngx_http_sendgrid_amp_summary(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    size_t                                len;
    ngx_buf_t                            *b;
    const ngx_http_sendgrid_amp_error_t  *error;

    error = &ngx_http_sendgrid_amp_errors[ctx->error];

    len = NGX_HTTP_SENDGRID_AMP_SUMMARY
          + sizeof("{,\"error\":\"\",\"at\":}\n") + error->keyword.len
          + NGX_INT64_LEN;

    b = ngx_create_temp_buf(ctx->request->pool, len);
    if (b == NULL) {
        return NULL;
    }

    *b->last++ = '{';
    b->last = ctx->flow->summary(ctx, b->last);

    if (error->keyword.len != 0) {
        b->last = ngx_sprintf(b->last, ",\"error\":\"%V\"", &error->keyword);
    }

    if (ctx->error == NGX_HTTP_SENDGRID_AMP_INVALID_JSON) {
        b->last = ngx_sprintf(b->last, ",\"at\":%uL", ctx->counts.at);
    }

    *b->last++ = '}';
    *b->last++ = LF;

    b->last_buf = 1;
    b->last_in_chain = 1;

    return b;
}


static ngx_int_t
ngx_http_sendgrid_amp_reply_headers(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_table_elt_t     *h;
    ngx_http_request_t  *r;

    r = ctx->request;

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    if (ctx->error == NGX_HTTP_SENDGRID_AMP_UNAUTHORIZED) {

        h = ngx_http_sendgrid_amp_add_header(r, "WWW-Authenticate",
                                             (char *) ctx->flow->realm);
        if (h == NULL) {
            return NGX_ERROR;
        }

        r->headers_out.www_authenticate = h;
    }

    if (ctx->error == NGX_HTTP_SENDGRID_AMP_NOT_ALLOWED
        && ngx_http_sendgrid_amp_add_header(r, "Allow", "POST") == NULL)
    {
        return NGX_ERROR;
    }

    if (ngx_http_sendgrid_amp_errors[ctx->error].retry_after) {
        return ngx_http_sendgrid_amp_retry_after(ctx);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_retry_after(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    u_char           *p;
    ngx_table_elt_t  *h;

    h = ngx_http_sendgrid_amp_add_header(ctx->request, "Retry-After",
                                         NGX_HTTP_SENDGRID_AMP_RETRY_AFTER);
    if (h == NULL) {
        return NGX_ERROR;
    }

    if (ctx->counts.retry_after == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(ctx->request->pool, NGX_TIME_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    h->value.data = p;
    h->value.len = ngx_sprintf(p, "%T", ctx->counts.retry_after) - p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_header_filter(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_ctx_t       *ctx;
    ngx_http_sendgrid_amp_loc_conf_t  *conf;

    ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);

    if (r == r->main && ngx_http_sendgrid_amp_is_refused(r, ctx)) {
        conf = ngx_http_get_module_loc_conf(r, ngx_http_sendgrid_amp_module);

        if (conf->flow != NULL
            && ngx_http_sendgrid_amp_replace(r) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return ngx_http_next_header_filter(r);
}


static ngx_uint_t
ngx_http_sendgrid_amp_is_refused(ngx_http_request_t *r,
    ngx_http_sendgrid_amp_ctx_t *ctx)
{
    /*
     * a body is refused before the handler: by nginx over
     * "client_max_body_size", by a module that reads the body, such as
     * mirror, for any fault of the body
     */

    if (ctx == NULL) {
        return r->headers_out.status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    if (ctx->error != NGX_HTTP_SENDGRID_AMP_OK) {
        return 0;
    }

    return r->headers_out.status == NGX_HTTP_BAD_REQUEST
           || r->headers_out.status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE
           || r->headers_out.status == NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_http_sendgrid_amp_replace(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);

    if (ctx == NULL) {
        ctx = ngx_http_sendgrid_amp_create_ctx(r);
        if (ctx == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_http_sendgrid_amp_fail_as(ctx, r->headers_out.status);

    ctx->replacement = ngx_http_sendgrid_amp_summary(ctx);

    if (ctx->replacement == NULL
        || ngx_http_sendgrid_amp_reply_headers(ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_clear_content_length(r);

    r->headers_out.content_length_n = ctx->replacement->last
                                      - ctx->replacement->pos;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t                    *b;
    ngx_chain_t                   out, *cl;
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);

    if (ctx == NULL || ctx->replacement == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    for (cl = in; cl != NULL; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
    }

    b = ctx->replacement;

    if (b->pos == b->last) {
        return ngx_http_next_body_filter(r, NULL);
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_next_body_filter(r, &out);
}


static ngx_int_t
ngx_http_sendgrid_amp_reply_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_sendgrid_amp_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_sendgrid_amp_body_filter;

    return NGX_OK;
}
