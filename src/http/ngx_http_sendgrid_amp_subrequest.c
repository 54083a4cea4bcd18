
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


#define NGX_HTTP_SENDGRID_AMP_POOL_SIZE  8192


/* what a subrequest needs, made before there is one */

typedef struct {
    ngx_http_request_body_t    *body;
    ngx_http_variable_value_t  *variables;
    ngx_list_t                  headers;
    ngx_table_elt_t            *content_type;
    ngx_table_elt_t            *content_length;
    size_t                      size;
} ngx_http_sendgrid_amp_message_t;


static ngx_int_t ngx_http_sendgrid_amp_create_pool(
    ngx_http_sendgrid_amp_slot_t *slot);
static ngx_int_t ngx_http_sendgrid_amp_create_message(
    ngx_http_sendgrid_amp_slot_t *slot, ngx_http_sendgrid_amp_message_t *m);
static ngx_int_t ngx_http_sendgrid_amp_create_body(
    ngx_http_sendgrid_amp_slot_t *slot, ngx_http_sendgrid_amp_message_t *m);
static ngx_int_t ngx_http_sendgrid_amp_create_headers(ngx_pool_t *pool,
    ngx_http_sendgrid_amp_message_t *m);
static ngx_table_elt_t *ngx_http_sendgrid_amp_push_header(ngx_list_t *headers,
    char *name, char *lowcase);
static ngx_int_t ngx_http_sendgrid_amp_create_subrequest(
    ngx_http_sendgrid_amp_slot_t *slot);
static void ngx_http_sendgrid_amp_prepare(ngx_http_request_t *sr,
    ngx_http_sendgrid_amp_message_t *m);
static ngx_int_t ngx_http_sendgrid_amp_done(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);
static ngx_uint_t ngx_http_sendgrid_amp_final_status(ngx_http_request_t *sr,
    ngx_http_sendgrid_amp_slot_t *slot, ngx_int_t rc);
static ngx_uint_t ngx_http_sendgrid_amp_upstream_status(ngx_http_upstream_t *u,
    ngx_http_sendgrid_amp_slot_t *slot, ngx_int_t rc);
static ngx_uint_t ngx_http_sendgrid_amp_waits(ngx_http_request_t *sr);
static void ngx_http_sendgrid_amp_drop_pool(
    ngx_http_sendgrid_amp_slot_t *slot);
static ngx_uint_t ngx_http_sendgrid_amp_pools_in_use(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_destroy_pool(
    ngx_http_sendgrid_amp_pool_t *p);


static ngx_str_t  ngx_http_sendgrid_amp_post_method = ngx_string("POST");


ngx_int_t
ngx_http_sendgrid_amp_send(ngx_http_sendgrid_amp_slot_t *slot)
{
    ngx_http_sendgrid_amp_ctx_t     *ctx;
    ngx_http_sendgrid_amp_message_t  message;

    ctx = slot->ctx;

    if (ngx_http_sendgrid_amp_create_pool(slot) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_memzero(&message, sizeof(ngx_http_sendgrid_amp_message_t));

    if (ngx_http_sendgrid_amp_create_message(slot, &message) != NGX_OK
        || ngx_http_sendgrid_amp_create_subrequest(slot) != NGX_OK)
    {
        ngx_http_sendgrid_amp_drop_pool(slot);
        return NGX_ERROR;
    }

    ngx_http_sendgrid_amp_prepare(slot->request, &message);

    sgamp_response_init(&slot->response, slot->part->n, &ctx->worker->grow,
                        &ctx->worker->reserve);

    slot->answered = 1;
    slot->last = 0;
    slot->received = 0;
    slot->status = 0;
    slot->failed = NULL;
    slot->start = ngx_current_msec;

    ngx_http_sendgrid_amp_count(ctx, SGAMP_METRICS_SENT_BYTES, message.size);

    /* the timer of the client has to be set again after the start */

    ngx_http_sendgrid_amp_wake(ctx);

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_create_pool(ngx_http_sendgrid_amp_slot_t *slot)
{
    size_t                         size;
    ngx_pool_t                    *pool;
    ngx_http_request_t            *r;
    ngx_http_sendgrid_amp_pool_t  *p;

    /*
     * webhooks of any length are sent with the memory of a few subrequests:
     * each has a pool of its own
     */

    r = slot->ctx->request;

    pool = ngx_create_pool(NGX_HTTP_SENDGRID_AMP_POOL_SIZE,
                           r->connection->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    p = ngx_palloc(pool, sizeof(ngx_http_sendgrid_amp_pool_t));
    if (p == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    ngx_http_sendgrid_amp_pool_log(&p->log, r->connection->log);

    pool->log = &p->log.log;

    size = sizeof(void *) * ngx_http_max_module;

    p->contexts = ngx_palloc(pool, size);
    if (p->contexts == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    ngx_memcpy(p->contexts, r->ctx, size);

    p->next = NULL;
    p->pool = pool;
    p->shared = r->pool->cleanup;

    pool->cleanup = p->shared;

    slot->pool = p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_create_message(ngx_http_sendgrid_amp_slot_t *slot,
    ngx_http_sendgrid_amp_message_t *m)
{
    size_t                      size;
    ngx_http_request_t         *r;
    ngx_http_core_main_conf_t  *cmcf;

    r = slot->ctx->request;
    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    /* values that a subrequest adds must not outlive its pool */

    size = cmcf->variables.nelts * sizeof(ngx_http_variable_value_t);

    m->variables = ngx_palloc(slot->pool->pool, size);
    if (m->variables == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(m->variables, r->variables, size);

    if (ngx_http_sendgrid_amp_create_body(slot, m) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_sendgrid_amp_create_headers(slot->pool->pool, m);
}


static ngx_int_t
ngx_http_sendgrid_amp_create_body(ngx_http_sendgrid_amp_slot_t *slot,
    ngx_http_sendgrid_amp_message_t *m)
{
    ngx_buf_t      *b;
    ngx_pool_t     *pool;
    sgamp_str_t     slice;
    ngx_chain_t    *cl, **ll;
    sgamp_cursor_t  cursor;

    pool = slot->pool->pool;

    m->body = ngx_pcalloc(pool, sizeof(ngx_http_request_body_t));
    if (m->body == NULL) {
        return NGX_ERROR;
    }

    b = NULL;
    ll = &m->body->bufs;

    sgamp_cursor_init(&cursor, slot->batch, slot->part);

    while (sgamp_cursor_next(&cursor, &slice)) {

        b = ngx_calloc_buf(pool);
        if (b == NULL) {
            return NGX_ERROR;
        }

        b->memory = 1;
        b->pos = slice.data;
        b->last = slice.data + slice.len;
        b->start = b->pos;
        b->end = b->last;

        cl = ngx_alloc_chain_link(pool);
        if (cl == NULL) {
            return NGX_ERROR;
        }

        cl->buf = b;
        cl->next = NULL;

        *ll = cl;
        ll = &cl->next;

        m->size += slice.len;
    }

    b->last_buf = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_create_headers(ngx_pool_t *pool,
    ngx_http_sendgrid_amp_message_t *m)
{
    u_char  *p;

    if (ngx_list_init(&m->headers, pool, 2, sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    m->content_type = ngx_http_sendgrid_amp_push_header(&m->headers,
                                                        "Content-Type",
                                                        "content-type");
    m->content_length = ngx_http_sendgrid_amp_push_header(&m->headers,
                                                          "Content-Length",
                                                          "content-length");

    if (m->content_type == NULL || m->content_length == NULL) {
        return NGX_ERROR;
    }

    ngx_str_set(&m->content_type->value, "application/json");

    p = ngx_pnalloc(pool, NGX_SIZE_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    m->content_length->value.data = p;
    m->content_length->value.len = ngx_sprintf(p, "%uz", m->size) - p;

    return NGX_OK;
}


static ngx_table_elt_t *
ngx_http_sendgrid_amp_push_header(ngx_list_t *headers, char *name,
    char *lowcase)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(headers);
    if (h == NULL) {
        return NULL;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->lowcase_key = (u_char *) lowcase;
    h->hash = ngx_hash_key(h->lowcase_key, h->key.len);

    return h;
}


static ngx_int_t
ngx_http_sendgrid_amp_create_subrequest(ngx_http_sendgrid_amp_slot_t *slot)
{
    ngx_int_t            rc;
    ngx_uint_t           count;
    ngx_pool_t          *pool;
    ngx_http_request_t  *r;

    r = slot->ctx->request;

    slot->post.handler = ngx_http_sendgrid_amp_done;
    slot->post.data = slot;

    /* nginx allocates a subrequest from the pool of its parent */

    pool = r->pool;
    count = r->count;

    r->pool = slot->pool->pool;

    rc = ngx_http_subrequest(r, &slot->ctx->location, NULL, &slot->request,
                             &slot->post, NGX_HTTP_SUBREQUEST_BACKGROUND);

    r->pool = pool;

    if (rc != NGX_OK) {
        r->count = count;
        slot->request = NULL;
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_prepare(ngx_http_request_t *sr,
    ngx_http_sendgrid_amp_message_t *m)
{
    ngx_http_headers_in_t  *in;

    /* nothing of SendGrid's request goes to Amplitude */

    in = &sr->headers_in;

    ngx_memzero(in, sizeof(ngx_http_headers_in_t));

    in->headers = m->headers;

    if (m->headers.last == &m->headers.part) {
        in->headers.last = &in->headers.part;
    }

    in->content_type = m->content_type;
    in->content_length = m->content_length;
    in->content_length_n = (off_t) m->size;
    in->keep_alive_n = -1;

    sr->request_body = m->body;
    sr->variables = m->variables;

    sr->method = NGX_HTTP_POST;
    sr->method_name = ngx_http_sendgrid_amp_post_method;
    sr->unparsed_uri = sr->uri;

    /* the answer is read in memory wherever nginx has put it */

    sr->filter_need_in_memory = 1;
}


static ngx_int_t
ngx_http_sendgrid_amp_done(ngx_http_request_t *sr, void *data, ngx_int_t rc)
{
    ngx_http_sendgrid_amp_slot_t  *slot = data;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, sr->connection->log, 0,
                   "sendgrid_amp done: %i, %ui",
                   rc, sr->headers_out.status);

    /*
     * may be called once more, when nginx has made an answer of an error;
     * the subrequest is not looked at before it is done
     */

    slot->status = ngx_http_sendgrid_amp_final_status(sr, slot, rc);

    ngx_http_sendgrid_amp_check_client(slot->ctx);
    ngx_http_sendgrid_amp_wake(slot->ctx);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_sendgrid_amp_final_status(ngx_http_request_t *sr,
    ngx_http_sendgrid_amp_slot_t *slot, ngx_int_t rc)
{
    ngx_uint_t                         status;
    ngx_http_core_loc_conf_t          *clcf;
    ngx_http_sendgrid_amp_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(sr, ngx_http_sendgrid_amp_module);

    if (!conf->internal) {
        clcf = ngx_http_get_module_loc_conf(sr, ngx_http_core_module);

        ngx_log_error(NGX_LOG_ERR, sr->connection->log, 0,
                      "\"sendgrid_amp\" sends nothing to \"%V\", the location "
                      "\"%V\" is not \"internal\": is "
                      "\"sendgrid_amp_locations.conf\" included in this server",
                      &slot->ctx->location, &clcf->name);
        return 0;
    }

    if (sr->upstream != NULL) {
        return ngx_http_sendgrid_amp_upstream_status(sr->upstream, slot, rc);
    }

    status = sr->headers_out.status ? sr->headers_out.status
                                    : (ngx_uint_t) ngx_max(rc, 0);

    /* an error of nginx's own says nothing about the events */

    if (status >= NGX_HTTP_SPECIAL_RESPONSE
        && slot->response.body != SGAMP_RESPONSE_WHOLE)
    {
        ngx_log_error(NGX_LOG_ERR, sr->connection->log, 0,
                      "\"%V\" answers %ui and passes nothing to amplitude",
                      &sr->uri, status);
        return 0;
    }

    return status;
}


static ngx_uint_t
ngx_http_sendgrid_amp_upstream_status(ngx_http_upstream_t *u,
    ngx_http_sendgrid_amp_slot_t *slot, ngx_int_t rc)
{
    /* the status line may have come, and the rest of the header not */

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE
        && (ngx_uint_t) rc != u->headers_in.status_n)
    {
        slot->failed = u;
    }

    return (slot->failed != u) ? u->headers_in.status_n : 0;
}


ngx_int_t
ngx_http_sendgrid_amp_preaccess_handler(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_loc_conf_t  *conf;

    if (ngx_http_sendgrid_amp_slot(r) == NULL) {
        return NGX_DECLINED;
    }

    conf = ngx_http_get_module_loc_conf(r, ngx_http_sendgrid_amp_module);

    /* the API key and addresses go where nobody else's requests go */

    return conf->internal ? NGX_DECLINED : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


void
ngx_http_sendgrid_amp_pass_event(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t           i;
    ngx_http_request_t  *sr;

    /*
     * a subrequest that a limit delays has set a timer of the client's
     * connection, whose events nginx gives to the main request only
     */

    for (i = 0; ctx->slots != NULL && i < ctx->conf->concurrency; i++) {
        sr = ctx->slots[i].request;

        if (ngx_http_sendgrid_amp_waits(sr)) {
            (void) ngx_http_post_request(sr, NULL);
        }
    }
}


static ngx_uint_t
ngx_http_sendgrid_amp_waits(ngx_http_request_t *sr)
{
    return sr != NULL && !sr->done && sr->upstream == NULL
           && sr->write_event_handler != ngx_http_handler
           && sr->write_event_handler != ngx_http_request_empty_handler;
}


void
ngx_http_sendgrid_amp_watch_delay(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                     i;
    ngx_event_t                   *wev;
    ngx_msec_int_t                 left;
    ngx_http_sendgrid_amp_slot_t  *slot;

    wev = ctx->request->connection->write;

    if (!wev->delayed || !wev->timer_set || ctx->slots == NULL) {
        return;
    }

    /* an upstream of another subrequest deletes the timer of the connection */

    left = (ngx_msec_int_t) (wev->timer.key - ngx_current_msec);

    for (i = 0; i < ctx->conf->concurrency; i++) {
        slot = &ctx->slots[i];

        if (ngx_http_sendgrid_amp_waits(slot->request)
            && !slot->timer.timer_set)
        {
            ngx_http_sendgrid_amp_set_timer(slot, (ngx_msec_t)
                                                  ngx_max(left, 1));
        }
    }
}


void
ngx_http_sendgrid_amp_end_delay(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_event_t  *wev;

    wev = ctx->request->connection->write;

    if (!wev->delayed) {
        return;
    }

    wev->delayed = 0;

    if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    ngx_http_sendgrid_amp_pass_event(ctx);
}


ngx_uint_t
ngx_http_sendgrid_amp_answered(ngx_http_sendgrid_amp_slot_t *slot)
{
    ngx_http_request_t  *sr;

    sr = slot->request;

    if (!sr->done) {
        return 0;
    }

    if (sr->headers_out.content_length_n > slot->received) {
        slot->last = 0;
    }

    if (slot->pool->log.failed
        && slot->status != 0 && slot->status != NGX_HTTP_OK)
    {
        ngx_log_error(NGX_LOG_ERR, sr->connection->log, 0,
                      "there was no memory for the whole request to "
                      "amplitude: its answer %ui is not believed",
                      slot->status);
        slot->status = 0;
    }

    return 1;
}


void
ngx_http_sendgrid_amp_answer_header(ngx_http_sendgrid_amp_slot_t *slot,
    ngx_http_request_t *sr)
{
    /* without "Content-Length" the body is a request of its own to a server */

    if (sr->upstream != NULL && slot->pool != NULL && slot->pool->log.failed) {
        sr->upstream->headers_in.connection_close = 1;
        sr->upstream->keepalive = 0;
    }
}


ngx_http_sendgrid_amp_slot_t *
ngx_http_sendgrid_amp_slot(ngx_http_request_t *r)
{
    if (r == r->main
        || r->post_subrequest == NULL
        || r->post_subrequest->handler != ngx_http_sendgrid_amp_done)
    {
        return NULL;
    }

    return r->post_subrequest->data;
}


void
ngx_http_sendgrid_amp_receive(ngx_http_sendgrid_amp_slot_t *slot,
    ngx_chain_t *in)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    for (cl = in; cl != NULL; cl = cl->next) {
        b = cl->buf;

        if (ngx_buf_in_memory(b)) {
            slot->received += b->last - b->pos;
            sgamp_response_feed(&slot->response, b->pos, b->last - b->pos);
            b->pos = b->last;
        }

        if (b->in_file) {
            b->file_pos = b->file_last;
        }

        if (b->last_buf || b->last_in_chain) {
            slot->last = 1;
        }
    }
}


void
ngx_http_sendgrid_amp_free_subrequest(ngx_http_sendgrid_amp_slot_t *slot)
{
    ngx_http_request_t  *r;

    if (slot->answered) {
        sgamp_response_done(&slot->response);
        slot->answered = 0;
    }

    if (slot->pool == NULL) {
        return;
    }

    r = slot->ctx->request;

    /* the log may have been about it */

    if (((ngx_http_log_ctx_t *) r->connection->log->data)->current_request
        == slot->request)
    {
        ngx_http_set_log_request(r->connection->log, r);
    }

    ngx_http_sendgrid_amp_drop_pool(slot);
    ngx_http_sendgrid_amp_destroy_pools(slot->ctx, 0);
}


static void
ngx_http_sendgrid_amp_drop_pool(ngx_http_sendgrid_amp_slot_t *slot)
{
    slot->pool->next = slot->ctx->pools;
    slot->ctx->pools = slot->pool;

    slot->pool = NULL;
    slot->request = NULL;
}


void
ngx_http_sendgrid_amp_destroy_pools(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_uint_t all)
{
    ngx_connection_t              *c;
    ngx_http_sendgrid_amp_pool_t  *p;

    if (!all
        && (ctx->pools == NULL || ngx_http_sendgrid_amp_pools_in_use(ctx)))
    {
        return;
    }

    while (ctx->pools != NULL) {
        p = ctx->pools;
        ctx->pools = p->next;

        /*
         * modules such as ssi give the webhook a context of their own, with
         * memory of the subrequest that they see first
         */

        if (ngx_memcmp(p->contexts, ctx->request->ctx,
                       sizeof(void *) * ngx_http_max_module)
            != 0)
        {
            p->next = ctx->kept;
            ctx->kept = p;
            continue;
        }

        ngx_http_sendgrid_amp_destroy_pool(p);
    }

    while (all && ctx->kept != NULL) {
        p = ctx->kept;
        ctx->kept = p->next;

        ngx_http_sendgrid_amp_destroy_pool(p);
    }

    /*
     * realip gives the address back that the connection had before its
     * subrequest, and this may be of another subrequest that has ended
     */

    c = ctx->request->connection;

    c->sockaddr = ctx->sockaddr;
    c->socklen = ctx->socklen;
    c->addr_text = ctx->addr_text;
}


static ngx_uint_t
ngx_http_sendgrid_amp_pools_in_use(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t           i, n;
    ngx_http_request_t  *r;

    /*
     * a subrequest may have subrequests of its own, of other modules, that
     * live in its pool and longer than it; the webhook's counter has them all
     */

    r = ctx->request;

    n = 1;

    for (i = 0; i < ctx->conf->concurrency; i++) {
        n += (ctx->slots[i].request != NULL && !ctx->slots[i].request->done);
    }

    return r->count > n || r->blocked;
}


static void
ngx_http_sendgrid_amp_destroy_pool(ngx_http_sendgrid_amp_pool_t *p)
{
    ngx_pool_cleanup_t  **cln;

    for (cln = &p->pool->cleanup; *cln != p->shared; cln = &(*cln)->next) {
        /* void */
    }

    *cln = NULL;

    ngx_destroy_pool(p->pool);
}
