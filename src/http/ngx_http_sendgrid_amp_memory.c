
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


static u_char *ngx_http_sendgrid_amp_no_memory(ngx_log_t *log, u_char *buf,
    size_t len);


void
ngx_http_sendgrid_amp_pool_log(ngx_http_sendgrid_amp_log_t *log,
    ngx_log_t *next)
{
    /* a pool logs nothing but an allocation that failed */

    log->log = *next;
    log->log.handler = ngx_http_sendgrid_amp_no_memory;
    log->log.data = log;

    log->next = next;
    log->failed = 0;
}


static u_char *
ngx_http_sendgrid_amp_no_memory(ngx_log_t *log, u_char *buf, size_t len)
{
    ngx_log_t                    *next;
    ngx_http_sendgrid_amp_log_t  *self;

    self = log->data;
    self->failed = 1;

    next = self->next;

    return (next->handler != NULL) ? next->handler(next, buf, len) : buf;
}


ngx_int_t
ngx_http_sendgrid_amp_value(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_http_complex_value_t *cv, ngx_str_t *value)
{
    ngx_int_t    rc;
    ngx_log_t   *log;
    ngx_pool_t  *pool;

    pool = ctx->request->pool;
    log = pool->log;

    ngx_http_sendgrid_amp_pool_log(&ctx->log, log);

    pool->log = &ctx->log.log;

    rc = ngx_http_complex_value(ctx->request, cv, value);

    pool->log = log;

    /* nginx takes a variable for empty that has found no memory */

    return ctx->log.failed ? NGX_ERROR : rc;
}
