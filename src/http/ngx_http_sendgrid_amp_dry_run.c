
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


/*
 * A dry run is a transport: batches are written to the client, a line each,
 * in place of requests.
 */

typedef struct {
    ngx_http_complex_value_t  *value;  /* of the directive, or NULL */
} ngx_http_sendgrid_amp_dry_run_conf_t;


typedef struct {
    ngx_chain_t    *free;
    ngx_chain_t    *busy;
    unsigned        started:1;  /* the header is sent, or failed */
} ngx_http_sendgrid_amp_dry_run_t;


static ngx_int_t ngx_http_sendgrid_amp_dry_run_init(
    ngx_http_sendgrid_amp_ctx_t *ctx, ngx_http_sendgrid_amp_job_t *jobs,
    ngx_uint_t n);
static ngx_int_t ngx_http_sendgrid_amp_dry_run_send(
    ngx_http_sendgrid_amp_job_t *job);
static ngx_int_t ngx_http_sendgrid_amp_dry_run_batch(
    ngx_http_sendgrid_amp_ctx_t *ctx, sgamp_batch_t *batch);
static ngx_int_t ngx_http_sendgrid_amp_dry_run_header(
    ngx_http_sendgrid_amp_ctx_t *ctx, off_t length);
static ngx_chain_t *ngx_http_sendgrid_amp_dry_run_line(
    ngx_http_sendgrid_amp_ctx_t *ctx, sgamp_batch_t *batch);
static ngx_buf_t *ngx_http_sendgrid_amp_dry_run_buf(
    ngx_http_sendgrid_amp_ctx_t *ctx, ngx_chain_t ***ll, u_char *p,
    size_t len);
static ngx_int_t ngx_http_sendgrid_amp_dry_run_output(
    ngx_http_sendgrid_amp_ctx_t *ctx, ngx_chain_t *out);
static ngx_int_t ngx_http_sendgrid_amp_dry_run_wait(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_uint_t ngx_http_sendgrid_amp_dry_run_take(
    ngx_http_sendgrid_amp_job_t *job, sgamp_action_e *action);
static ngx_uint_t ngx_http_sendgrid_amp_dry_run_busy(
    ngx_http_sendgrid_amp_job_t *job);
static void ngx_http_sendgrid_amp_dry_run_close(
    ngx_http_sendgrid_amp_job_t *job);
static ngx_int_t ngx_http_sendgrid_amp_dry_run_reply(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_uint_t ngx_http_sendgrid_amp_dry_run_is_on(ngx_str_t *value);
static void *ngx_http_sendgrid_amp_dry_run_create_conf(ngx_conf_t *cf);
static char *ngx_http_sendgrid_amp_dry_run_merge_conf(ngx_conf_t *cf,
    void *parent, void *child);


static const ngx_http_sendgrid_amp_transport_ops_t
    ngx_http_sendgrid_amp_writing = {
    ngx_http_sendgrid_amp_dry_run_init,           /* init */
    ngx_http_sendgrid_amp_dry_run_send,           /* send */
    ngx_http_sendgrid_amp_dry_run_take,           /* take */
    ngx_http_sendgrid_amp_dry_run_busy,           /* busy */
    ngx_http_sendgrid_amp_dry_run_close,          /* close */
    NULL,                                         /* attend */
    NULL,                                         /* end */
    ngx_http_sendgrid_amp_dry_run_reply,          /* reply */
    0                                             /* live */
};


static ngx_command_t  ngx_http_sendgrid_amp_dry_run_commands[] = {

    { ngx_string("sendgrid_amp_dry_run"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_dry_run_conf_t, value),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_sendgrid_amp_dry_run_module_ctx = {
    NULL,                                   /* preconfiguration */
    NULL,                                   /* postconfiguration */
    NULL, NULL,                             /* main configuration */
    NULL, NULL,                             /* server configuration */
    ngx_http_sendgrid_amp_dry_run_create_conf,
    ngx_http_sendgrid_amp_dry_run_merge_conf
};


ngx_module_t  ngx_http_sendgrid_amp_dry_run_module = {
    NGX_MODULE_V1,
    &ngx_http_sendgrid_amp_dry_run_module_ctx,
    ngx_http_sendgrid_amp_dry_run_commands, /* module directives */
    NGX_HTTP_MODULE,                        /* module type */
    NULL, NULL, NULL, NULL,                 /* init */
    NULL, NULL, NULL,                       /* exit */
    NGX_MODULE_V1_PADDING
};


ngx_int_t
ngx_http_sendgrid_amp_dry_run(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_str_t                              value;
    ngx_http_sendgrid_amp_dry_run_t       *dry;
    ngx_http_sendgrid_amp_dry_run_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(ctx->request,
                                        ngx_http_sendgrid_amp_dry_run_module);

    if (conf->value == NULL) {
        return NGX_OK;
    }

    if (ngx_http_sendgrid_amp_value(ctx, conf->value, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!ngx_http_sendgrid_amp_dry_run_is_on(&value)) {
        return NGX_OK;
    }

    dry = ngx_pcalloc(ctx->request->pool,
                      sizeof(ngx_http_sendgrid_amp_dry_run_t));
    if (dry == NULL) {
        return NGX_ERROR;
    }

    ctx->transport.ops = &ngx_http_sendgrid_amp_writing;
    ctx->transport.data = dry;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_sendgrid_amp_dry_run_is_on(ngx_str_t *value)
{
    return value->len != 0
           && !(value->len == 1 && value->data[0] == '0')
           && !(value->len == 3 && ngx_strncmp(value->data, "off", 3) == 0);
}


static ngx_int_t
ngx_http_sendgrid_amp_dry_run_init(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_http_sendgrid_amp_job_t *jobs, ngx_uint_t n)
{
    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_dry_run_send(ngx_http_sendgrid_amp_job_t *job)
{
    if (ngx_http_sendgrid_amp_dry_run_batch(job->ctx, job->batch) != NGX_OK) {
        ngx_http_sendgrid_amp_internal(job->ctx,
                                       "a dry run cannot be written");
    }

    /* nginx may have buffers of the batch until the request is closed */

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_dry_run_batch(ngx_http_sendgrid_amp_ctx_t *ctx,
    sgamp_batch_t *batch)
{
    ngx_chain_t                      *out;
    ngx_http_sendgrid_amp_dry_run_t  *dry;

    dry = ctx->transport.data;

    if (!dry->started
        && ngx_http_sendgrid_amp_dry_run_header(ctx, -1) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->request->header_only) {
        /* "post_action": the answer was sent */
        return NGX_OK;
    }

    out = ngx_http_sendgrid_amp_dry_run_line(ctx, batch);
    if (out == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_sendgrid_amp_dry_run_output(ctx, out);
}


static ngx_int_t
ngx_http_sendgrid_amp_dry_run_header(ngx_http_sendgrid_amp_ctx_t *ctx,
    off_t length)
{
    ngx_int_t                         rc;
    ngx_http_request_t               *r;
    ngx_http_sendgrid_amp_dry_run_t  *dry;

    r = ctx->request;
    dry = ctx->transport.data;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = length;

    ngx_str_set(&r->headers_out.content_type, "application/x-ndjson");
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    /* filters keep their state: there is no second header */

    dry->started = 1;

    rc = ngx_http_send_header(r);

    return (rc == NGX_ERROR || rc > NGX_OK) ? NGX_ERROR : NGX_OK;
}


static ngx_chain_t *
ngx_http_sendgrid_amp_dry_run_line(ngx_http_sendgrid_amp_ctx_t *ctx,
    sgamp_batch_t *batch)
{
    u_char          *p, *last;
    ngx_buf_t       *b;
    ngx_chain_t     *out, **ll;
    sgamp_str_t      slice;
    sgamp_cursor_t   cursor;

    static u_char  lf[] = { LF };

    out = NULL;
    ll = &out;

    sgamp_cursor_init(&cursor, batch, NULL);

    while (sgamp_cursor_next(&cursor, &slice)) {
        last = slice.data + slice.len;

        /* a string has no line feed, only what stands between tokens may */

        for (p = slice.data; p < last; p++) {
            if (*p == LF || *p == CR) {
                *p = ' ';
            }
        }

        b = ngx_http_sendgrid_amp_dry_run_buf(ctx, &ll, slice.data, slice.len);
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
    ngx_buf_t                        *b;
    ngx_chain_t                      *cl;
    ngx_http_sendgrid_amp_dry_run_t  *dry;

    dry = ctx->transport.data;

    cl = ngx_chain_get_free_buf(ctx->request->pool, &dry->free);
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
    dry = ctx->transport.data;

    rc = ngx_http_output_filter(r, out);

    /* first: nginx may use the buffers until the request is closed */

    ngx_chain_update_chains(r->pool, &dry->free, &dry->busy, &out,
                            (ngx_buf_tag_t) &ngx_http_sendgrid_amp_module);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    return ngx_http_sendgrid_amp_dry_run_wait(ctx);
}


static ngx_int_t
ngx_http_sendgrid_amp_dry_run_wait(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_event_t                      *wev;
    ngx_http_core_loc_conf_t         *clcf;
    ngx_http_sendgrid_amp_dry_run_t  *dry;

    dry = ctx->transport.data;
    wev = ctx->request->connection->write;

    if (dry->busy == NULL) {

        if (wev->timer_set && !wev->delayed) {
            ngx_del_timer(wev);
        }

        return NGX_OK;
    }

    clcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_core_module);

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    return ngx_handle_write_event(wev, clcf->send_lowat);
}


static ngx_uint_t
ngx_http_sendgrid_amp_dry_run_take(ngx_http_sendgrid_amp_job_t *job,
    sgamp_action_e *action)
{
    ngx_connection_t                 *c;
    ngx_http_sendgrid_amp_ctx_t      *ctx;
    ngx_http_sendgrid_amp_dry_run_t  *dry;

    ctx = job->ctx;
    dry = ctx->transport.data;
    c = ctx->request->connection;

    if (!ngx_http_sendgrid_amp_dry_run_busy(job)) {
        return 0;
    }

    if (dry->busy == NULL) {
        return 1;
    }

    if (c->write->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client timed out");
        c->timedout = 1;

        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_TIMED_OUT);
        return 0;
    }

    if (ngx_http_sendgrid_amp_dry_run_output(ctx, NULL) != NGX_OK) {
        ngx_http_sendgrid_amp_internal(ctx, "a dry run cannot be written");
        return 0;
    }

    return dry->busy == NULL;
}


static ngx_uint_t
ngx_http_sendgrid_amp_dry_run_busy(ngx_http_sendgrid_amp_job_t *job)
{
    /* after a failure the batch is freed with the request */

    return job->ctx->error == NGX_HTTP_SENDGRID_AMP_OK;
}


static void
ngx_http_sendgrid_amp_dry_run_close(ngx_http_sendgrid_amp_job_t *job)
{
    /* the buffers are the request's */
}


static ngx_int_t
ngx_http_sendgrid_amp_dry_run_reply(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_request_t               *r;
    ngx_http_sendgrid_amp_dry_run_t  *dry;

    r = ctx->request;
    dry = ctx->transport.data;

    if (ctx->error != NGX_HTTP_SENDGRID_AMP_OK) {

        if (!dry->started) {
            return ngx_http_sendgrid_amp_reply(ctx);
        }

        /* the client has to see that there should be more */

        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "dry run is cut short: \"%V\"",
                      ngx_http_sendgrid_amp_keyword(ctx));

        return NGX_ERROR;
    }

    if (!dry->started
        && ngx_http_sendgrid_amp_dry_run_header(ctx, 0) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_send_special(r, NGX_HTTP_LAST);
}


static void *
ngx_http_sendgrid_amp_dry_run_create_conf(ngx_conf_t *cf)
{
    /* zeroed: ngx_http_set_complex_value_slot() takes NULL for not set */

    return ngx_pcalloc(cf->pool, sizeof(ngx_http_sendgrid_amp_dry_run_conf_t));
}


static char *
ngx_http_sendgrid_amp_dry_run_merge_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_sendgrid_amp_dry_run_conf_t  *prev = parent;
    ngx_http_sendgrid_amp_dry_run_conf_t  *conf = child;

    ngx_http_core_loc_conf_t          *clcf;
    ngx_http_sendgrid_amp_loc_conf_t  *alcf;

    if (conf->value == NULL) {
        conf->value = prev->value;
    }

    alcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_sendgrid_amp_module);

    if (alcf->flow != NULL
        && conf->value != NULL
        && conf->value->lengths == NULL
        && ngx_http_sendgrid_amp_dry_run_is_on(&conf->value->value))
    {
        clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"sendgrid_amp_dry_run\" is always on in "
                           "location \"%V\": nothing of it is sent",
                           &clcf->name);
    }

    return NGX_CONF_OK;
}
