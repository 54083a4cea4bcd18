
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


#define NGX_HTTP_SENDGRID_AMP_TURN_SIZE   131072  /* bytes of work in a turn */
#define NGX_HTTP_SENDGRID_AMP_TURN_TIMER  60000   /* ms; longer than any turn */


static void ngx_http_sendgrid_amp_turn_handler(ngx_event_t *ev);
static void ngx_http_sendgrid_amp_forget_turn(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_cleanup(void *data);
static u_char *ngx_http_sendgrid_amp_no_memory(ngx_log_t *log, u_char *buf,
    size_t len);


ngx_http_sendgrid_amp_ctx_t *
ngx_http_sendgrid_amp_create_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t                    *cln;
    ngx_http_sendgrid_amp_ctx_t           *ctx;
    ngx_http_sendgrid_amp_metrics_conf_t  *mcf;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_sendgrid_amp_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, offsetof(ngx_http_sendgrid_amp_ctx_t, input.parser));

    ctx->request = r;
    ctx->conf = ngx_http_get_module_loc_conf(r, ngx_http_sendgrid_amp_module);
    ctx->worker = ngx_http_get_module_main_conf(r,
                                                ngx_http_sendgrid_amp_module);
    ctx->flow = ctx->conf->flow;

    mcf = ngx_http_get_module_main_conf(r,
                                        ngx_http_sendgrid_amp_metrics_module);
    ctx->counts.shared = mcf->counters;

    cln->handler = ngx_http_sendgrid_amp_cleanup;

    ngx_http_set_ctx(r, ctx, ngx_http_sendgrid_amp_module);

    return ctx;
}


ngx_http_sendgrid_amp_ctx_t *
ngx_http_sendgrid_amp_find_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t           *cln;
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_sendgrid_amp_module);

    if (ctx != NULL) {
        return ctx;
    }

    for (cln = r->pool->cleanup; cln != NULL; cln = cln->next) {
        if (cln->handler == ngx_http_sendgrid_amp_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_sendgrid_amp_add_cleanup(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_pool_cleanup_pt handler)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(ctx->request->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = handler;
    cln->data = ctx;

    return NGX_OK;
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
ngx_http_sendgrid_amp_fail_as(ngx_http_sendgrid_amp_ctx_t *ctx, ngx_int_t rc)
{
    switch (rc) {

    case NGX_HTTP_BAD_REQUEST:
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_BAD_REQUEST);
        break;

    case NGX_HTTP_REQUEST_TIME_OUT:
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_TIMED_OUT);
        break;

    case NGX_HTTP_REQUEST_ENTITY_TOO_LARGE:
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_TOO_LARGE);
        break;

    default:
        ngx_http_sendgrid_amp_internal(ctx, "the body cannot be received");
        break;
    }
}


void
ngx_http_sendgrid_amp_internal(ngx_http_sendgrid_amp_ctx_t *ctx, char *why)
{
    ngx_connection_t  *c;

    c = ctx->request->connection;

    /* a failure after the client has left is no fault of the gateway */

    ngx_http_sendgrid_amp_check_client(ctx);

    if (ctx->gone && ctx->error >= NGX_HTTP_SENDGRID_AMP_CLOSED) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "\"%s\" failed, the client is gone: %s",
                      ctx->flow->name, why);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, c->log, 0, "\"%s\" failed: %s",
                  ctx->flow->name, why);

    ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_INTERNAL);
}


void
ngx_http_sendgrid_amp_check_client(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_connection_t  *c;

    c = ctx->request->connection;

#if (NGX_HTTP_V2)

    /* nginx could not send a window update, and tells the streams later */

    if (ctx->request->stream != NULL
        && ctx->request->stream->connection->connection->error)
    {
        c->error = 1;
    }

#endif

    if (!c->error) {
        return;
    }

    c->error = 0;
    ctx->gone = 1;

    /* what has come whole may go on without the client */

    if (ctx->flow->is_lasting
        && ctx->state >= NGX_HTTP_SENDGRID_AMP_VERIFYING)
    {
        return;
    }

    ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_CLOSED);
}


void
ngx_http_sendgrid_amp_wake(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_request_t         *r;
    ngx_http_posted_request_t  *pr;

    r = ctx->request;

    for (pr = r->posted_requests; pr != NULL; pr = pr->next) {
        if (pr == &ctx->own.posted) {
            return;
        }
    }

    (void) ngx_http_post_request(r, &ctx->own.posted);
}


void
ngx_http_sendgrid_amp_wake_event(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_http_sendgrid_amp_wake(ctx);

    ngx_http_run_posted_requests(c);
}


void
ngx_http_sendgrid_amp_work(ngx_http_sendgrid_amp_ctx_t *ctx, size_t size)
{
    ctx->own.work += size;
}


ngx_uint_t
ngx_http_sendgrid_amp_turn_is_over(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_event_t  *ev;

    ev = &ctx->own.turn;

    if (ev->posted) {
        return 1;
    }

    if (ctx->own.work < NGX_HTTP_SENDGRID_AMP_TURN_SIZE) {
        return 0;
    }

    ctx->own.work = 0;

    ev->handler = ngx_http_sendgrid_amp_turn_handler;
    ev->data = ctx;
    ev->log = ctx->request->connection->log;

    /*
     * the worker handles all events of ngx_posted_events before it looks at
     * its connections again, so the webhook is posted for the next round; a
     * worker that shuts down waits for timers only, so a timer is set, too
     */

    ngx_post_event(ev, &ngx_posted_next_events);
    ngx_add_timer(ev, NGX_HTTP_SENDGRID_AMP_TURN_TIMER);

    return 1;
}


static void
ngx_http_sendgrid_amp_turn_handler(ngx_event_t *ev)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx = ev->data;

    ngx_http_sendgrid_amp_forget_turn(ctx);
    ngx_http_sendgrid_amp_wake_event(ctx);
}


static void
ngx_http_sendgrid_amp_forget_turn(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_event_t  *ev;

    ev = &ctx->own.turn;

    if (ev->posted) {
        ngx_delete_posted_event(ev);
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }
}


static void
ngx_http_sendgrid_amp_cleanup(void *data)
{
    ngx_http_sendgrid_amp_forget_turn(data);
}


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


ngx_table_elt_t *
ngx_http_sendgrid_amp_add_header(ngx_http_request_t *r, char *name,
    char *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NULL;
    }

    h->hash = 1;
    ngx_http_sendgrid_amp_unlink(h);

    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value.data = (u_char *) value;
    h->value.len = ngx_strlen(value);

    return h;
}
