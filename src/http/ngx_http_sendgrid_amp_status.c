
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"

#include "sgamp_format.h"

#include "ngx_http_sendgrid_amp_page.h"


#define NGX_HTTP_SENDGRID_AMP_STATUS_SIZE  16384  /* bytes of a buffer */


/* the figures as text */

typedef struct {
    sgamp_sink_t   sink;  /* must be the first */
    ngx_pool_t    *pool;
    ngx_chain_t   *out;
    ngx_chain_t  **last;
    ngx_buf_t     *buf;
} ngx_http_sendgrid_amp_text_t;


static sgamp_format_e ngx_http_sendgrid_amp_status_format(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_status_refuse(ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_status_headers(ngx_http_request_t *r,
    sgamp_format_e format);
static ngx_int_t ngx_http_sendgrid_amp_status_write(ngx_http_request_t *r,
    sgamp_format_e format, ngx_http_sendgrid_amp_text_t *text);
static int ngx_http_sendgrid_amp_status_next(sgamp_sink_t *sink);


/* in the order of sgamp_format_e */

static ngx_str_t  ngx_http_sendgrid_amp_status_types[] = {
    ngx_string("text/html; charset=utf-8"),
    ngx_string("application/json"),
    ngx_string("text/plain; version=0.0.4; charset=utf-8")
};


ngx_int_t
ngx_http_sendgrid_amp_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    sgamp_format_e                format;
    ngx_http_sendgrid_amp_text_t  text;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "sendgrid_amp status handler");

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_sendgrid_amp_status_refuse(r);
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    format = ngx_http_sendgrid_amp_status_format(r);

    if (ngx_http_sendgrid_amp_status_write(r, format, &text) != NGX_OK
        || ngx_http_sendgrid_amp_status_headers(r, format) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"sendgrid_amp_status\" has no memory for the figures");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, text.out);
}


static sgamp_format_e
ngx_http_sendgrid_amp_status_format(ngx_http_request_t *r)
{
    ngx_str_t                          value, *accept;
    sgamp_format_e                     format;
    ngx_http_sendgrid_amp_search_t     search;
    ngx_http_sendgrid_amp_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_sendgrid_amp_module);

    if (conf->status != SGAMP_FORMATS) {
        return (sgamp_format_e) conf->status;
    }

    if (ngx_http_arg(r, (u_char *) "format", sizeof("format") - 1, &value)
        == NGX_OK)
    {
        format = sgamp_format_lookup(value.data, value.len);

        if (format != SGAMP_FORMATS) {
            return format;
        }
    }

    ngx_memzero(&search, sizeof(ngx_http_sendgrid_amp_search_t));

    accept = ngx_http_sendgrid_amp_next_header(r, &search, "Accept");

    if (accept == NULL) {
        return sgamp_format_accept(NULL, 0);
    }

    return sgamp_format_accept(accept->data, accept->len);
}


static ngx_int_t
ngx_http_sendgrid_amp_status_refuse(ngx_http_request_t *r)
{
    if (ngx_http_sendgrid_amp_add_header(r, "Allow", "GET, HEAD") == NULL
        || ngx_http_sendgrid_amp_add_header(r, "Cache-Control", "no-store")
           == NULL)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_HTTP_NOT_ALLOWED;
}


static ngx_int_t
ngx_http_sendgrid_amp_status_headers(ngx_http_request_t *r,
    sgamp_format_e format)
{
    if (ngx_http_sendgrid_amp_add_header(r, "Cache-Control", "no-store")
        == NULL
        || ngx_http_sendgrid_amp_add_header(r, "X-Content-Type-Options",
                                            "nosniff")
           == NULL)
    {
        return NGX_ERROR;
    }

    if (format == SGAMP_FORMAT_HTML
        && (ngx_http_sendgrid_amp_add_header(r, "Content-Security-Policy",
                                         NGX_HTTP_SENDGRID_AMP_PAGE_POLICY)
            == NULL
            || ngx_http_sendgrid_amp_add_header(r, "Referrer-Policy",
                                                "no-referrer")
               == NULL))
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_status_write(ngx_http_request_t *r,
    sgamp_format_e format, ngx_http_sendgrid_amp_text_t *text)
{
    off_t                               size;
    ngx_chain_t                        *cl;
    sgamp_metrics_t                     m;
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_sendgrid_amp_module);

    ngx_http_sendgrid_amp_snapshot(amcf, &m);

    ngx_memzero(text, sizeof(ngx_http_sendgrid_amp_text_t));

    text->sink.next = ngx_http_sendgrid_amp_status_next;
    text->pool = r->pool;
    text->last = &text->out;

    text->sink.status = ngx_http_sendgrid_amp_status_next(&text->sink);

    if (text->sink.status != SGAMP_OK) {
        return NGX_ERROR;
    }

    switch (format) {

    case SGAMP_FORMAT_JSON:
        sgamp_metrics_json(&m, &text->sink);
        break;

    case SGAMP_FORMAT_PROMETHEUS:
        sgamp_metrics_prometheus(&m, &text->sink);
        break;

    default: /* SGAMP_FORMAT_HTML */
        sgamp_page_write(ngx_http_sendgrid_amp_page,
                         sizeof(ngx_http_sendgrid_amp_page)
                         / sizeof(sgamp_page_part_t),
                         &m, &text->sink);
        break;
    }

    if (text->sink.status != SGAMP_OK) {
        return NGX_ERROR;
    }

    text->buf->last = text->sink.pos;
    text->buf->last_buf = (r == r->main) ? 1 : 0;
    text->buf->last_in_chain = 1;

    size = 0;

    for (cl = text->out; cl != NULL; cl = cl->next) {
        size += cl->buf->last - cl->buf->pos;
    }

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = size;
    r->headers_out.content_type = ngx_http_sendgrid_amp_status_types[format];
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    return NGX_OK;
}


static int
ngx_http_sendgrid_amp_status_next(sgamp_sink_t *sink)
{
    ngx_chain_t                   *cl;
    ngx_http_sendgrid_amp_text_t  *text;

    text = (ngx_http_sendgrid_amp_text_t *) sink;

    if (text->buf != NULL) {
        text->buf->last = sink->pos;
    }

    cl = ngx_alloc_chain_link(text->pool);
    if (cl == NULL) {
        return SGAMP_NOMEM;
    }

    text->buf = ngx_create_temp_buf(text->pool,
                                    NGX_HTTP_SENDGRID_AMP_STATUS_SIZE);
    if (text->buf == NULL) {
        return SGAMP_NOMEM;
    }

    cl->buf = text->buf;
    cl->next = NULL;

    *text->last = cl;
    text->last = &cl->next;

    sink->pos = text->buf->pos;
    sink->last = text->buf->end;

    return SGAMP_OK;
}
