
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


#define NGX_HTTP_SENDGRID_AMP_POOL_SIZE  8192


/*
 * The pool of one subrequest.  The cleanup handlers of the webhook's pool
 * follow those of the subrequest's pool in the same list: modules that keep
 * data there, as realip does, find the data.  They are cut off before the
 * subrequest's pool is destroyed.
 */

struct ngx_http_sendgrid_amp_pool_s {
    ngx_http_sendgrid_amp_pool_t  *next;
    ngx_pool_t                    *pool;
    ngx_pool_cleanup_t            *shared;     /* the webhook's handlers */
    void                         **contexts;   /* of modules in the webhook */
    ngx_http_sendgrid_amp_log_t    log;        /* pool->log */
};


/* the calls of a webhook */

typedef struct {
    ngx_http_sendgrid_amp_call_t  *calls;
    ngx_uint_t                     n;
    ngx_http_sendgrid_amp_pool_t  *pools;      /* to be destroyed */
    ngx_http_sendgrid_amp_pool_t  *kept;       /* until the end */
    struct sockaddr               *sockaddr;   /* of the client */
    socklen_t                      socklen;
    ngx_str_t                      addr_text;
} ngx_http_sendgrid_amp_calls_t;


/* a header of each subrequest that has a body */

typedef struct {
    ngx_str_t                      name;
    u_char                        *lowcase;
    ngx_uint_t                     hash;       /* of lowcase */
} ngx_http_sendgrid_amp_call_header_t;


/* what a subrequest needs, made before there is a subrequest */

typedef struct {
    ngx_http_request_body_t    *body;          /* NULL: none */
    ngx_http_variable_value_t  *variables;
    ngx_list_t                  headers;
    ngx_table_elt_t            *content_type;
    ngx_table_elt_t            *content_length;
    size_t                      size;
} ngx_http_sendgrid_amp_message_t;


static ngx_int_t ngx_http_sendgrid_amp_call_init(
    ngx_http_sendgrid_amp_ctx_t *ctx, ngx_http_sendgrid_amp_job_t *jobs,
    ngx_uint_t n);
static void ngx_http_sendgrid_amp_call_cleanup(void *data);
static ngx_int_t ngx_http_sendgrid_amp_call_send(
    ngx_http_sendgrid_amp_job_t *job);
static ngx_int_t ngx_http_sendgrid_amp_create_pool(
    ngx_http_sendgrid_amp_call_t *call);
static ngx_int_t ngx_http_sendgrid_amp_create_message(
    ngx_http_sendgrid_amp_job_t *job, ngx_http_sendgrid_amp_message_t *m);
static ngx_int_t ngx_http_sendgrid_amp_create_body(
    ngx_http_sendgrid_amp_job_t *job, ngx_http_sendgrid_amp_message_t *m);
static ngx_int_t ngx_http_sendgrid_amp_create_headers(ngx_pool_t *pool,
    ngx_http_sendgrid_amp_message_t *m);
static ngx_table_elt_t *ngx_http_sendgrid_amp_push_header(ngx_list_t *headers,
    const ngx_http_sendgrid_amp_call_header_t *header);
static ngx_int_t ngx_http_sendgrid_amp_create_subrequest(
    ngx_http_sendgrid_amp_call_t *call);
static void ngx_http_sendgrid_amp_prepare(ngx_http_sendgrid_amp_call_t *call,
    ngx_http_sendgrid_amp_message_t *m);
static ngx_int_t ngx_http_sendgrid_amp_call_ended(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);
static ngx_uint_t ngx_http_sendgrid_amp_call_take(
    ngx_http_sendgrid_amp_job_t *job, sgamp_action_e *action);
static void ngx_http_sendgrid_amp_call_close(ngx_http_sendgrid_amp_job_t *job);
static void ngx_http_sendgrid_amp_drop_pool(
    ngx_http_sendgrid_amp_call_t *call);
static void ngx_http_sendgrid_amp_destroy_pools(
    ngx_http_sendgrid_amp_ctx_t *ctx, ngx_uint_t all);
static ngx_uint_t ngx_http_sendgrid_amp_pools_in_use(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_destroy_pool(
    ngx_http_sendgrid_amp_pool_t *p);
static void ngx_http_sendgrid_amp_watch_delay(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_end_delay(ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_post_delayed(
    ngx_http_sendgrid_amp_calls_t *calls);
static ngx_uint_t ngx_http_sendgrid_amp_is_delayed(ngx_http_request_t *sr);
static void ngx_http_sendgrid_amp_delay_handler(ngx_event_t *ev);
static ngx_int_t ngx_http_sendgrid_amp_preaccess_handler(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_call_header_filter(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_call_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_sendgrid_amp_call_hooks(ngx_conf_t *cf);


const ngx_http_sendgrid_amp_transport_ops_t  ngx_http_sendgrid_amp_calling = {
    ngx_http_sendgrid_amp_call_init,              /* init */
    ngx_http_sendgrid_amp_call_send,              /* send */
    ngx_http_sendgrid_amp_call_take,              /* take */
    NULL,                                         /* busy */
    ngx_http_sendgrid_amp_call_close,             /* close */
    ngx_http_sendgrid_amp_watch_delay,            /* attend */
    ngx_http_sendgrid_amp_end_delay,              /* end */
    ngx_http_sendgrid_amp_reply,                  /* reply */
    1                                             /* live */
};


static ngx_http_sendgrid_amp_call_header_t
    ngx_http_sendgrid_amp_call_headers[] = {
    { ngx_string("Content-Type"), (u_char *) "content-type", 0 },
    { ngx_string("Content-Length"), (u_char *) "content-length", 0 },
    { ngx_null_string, NULL, 0 }
};


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


static ngx_http_module_t  ngx_http_sendgrid_amp_call_module_ctx = {
    NULL,                                   /* preconfiguration */
    ngx_http_sendgrid_amp_call_hooks,       /* postconfiguration */
    NULL, NULL,                             /* main configuration */
    NULL, NULL,                             /* server configuration */
    NULL, NULL                              /* location configuration */
};


ngx_module_t  ngx_http_sendgrid_amp_call_module = {
    NGX_MODULE_V1,
    &ngx_http_sendgrid_amp_call_module_ctx, /* module context */
    NULL,                                   /* module directives */
    NGX_HTTP_MODULE,                        /* module type */
    NULL, NULL, NULL, NULL,                 /* init */
    NULL, NULL, NULL,                       /* exit */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_sendgrid_amp_call_init(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_http_sendgrid_amp_job_t *jobs, ngx_uint_t n)
{
    ngx_uint_t                      i;
    ngx_connection_t               *c;
    ngx_http_request_t             *r;
    ngx_http_sendgrid_amp_calls_t  *calls;

    r = ctx->request;
    c = r->connection;

    calls = ngx_pcalloc(r->pool, sizeof(ngx_http_sendgrid_amp_calls_t)
                                 + n * sizeof(ngx_http_sendgrid_amp_call_t));
    if (calls == NULL) {
        return NGX_ERROR;
    }

    calls->calls = (ngx_http_sendgrid_amp_call_t *) (calls + 1);
    calls->n = n;

    /* realip in an internal location changes the address until its end */

    calls->sockaddr = c->sockaddr;
    calls->socklen = c->socklen;
    calls->addr_text = c->addr_text;

    for (i = 0; i < n; i++) {
        jobs[i].call = &calls->calls[i];
        calls->calls[i].ctx = ctx;
        calls->calls[i].job = &jobs[i];
    }

    if (ngx_http_sendgrid_amp_add_cleanup(ctx,
                                          ngx_http_sendgrid_amp_call_cleanup)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ctx->transport.data = calls;

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_call_cleanup(void *data)
{
    ngx_http_sendgrid_amp_destroy_pools(data, 1);
}


static ngx_int_t
ngx_http_sendgrid_amp_call_send(ngx_http_sendgrid_amp_job_t *job)
{
    ngx_http_sendgrid_amp_ctx_t     *ctx;
    ngx_http_sendgrid_amp_call_t    *call;
    ngx_http_sendgrid_amp_message_t  message;

    ctx = job->ctx;
    call = job->call;

    call->no_body = 0;
    call->args.len = 0;
    call->body_kind = "a body";
    ngx_memzero(&message, sizeof(ngx_http_sendgrid_amp_message_t));

    if (ngx_http_sendgrid_amp_create_pool(call) != NGX_OK
        || ctx->flow->request(job, call->pool->pool) != NGX_OK
        || ngx_http_sendgrid_amp_create_message(job, &message) != NGX_OK
        || ngx_http_sendgrid_amp_create_subrequest(call) != NGX_OK)
    {
        if (call->pool != NULL) {
            ngx_http_sendgrid_amp_drop_pool(call);
        }

        ngx_http_sendgrid_amp_internal(ctx, "a batch cannot be sent");
        return NGX_ERROR;
    }

    ngx_http_sendgrid_amp_prepare(call, &message);

    if (ctx->flow->listen != NULL) {
        ctx->flow->listen(job);
        call->listening = 1;
    }

    call->last = 0;
    call->local = 0;
    call->received = 0;
    call->status = 0;
    call->failed = NULL;
    call->start = ngx_current_msec;

    ngx_http_sendgrid_amp_count(ctx, ctx->flow->figures->sent, message.size);

    /* the timer of the client has to be set again after the start */

    ngx_http_sendgrid_amp_wake(ctx);

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_create_pool(ngx_http_sendgrid_amp_call_t *call)
{
    size_t                         size;
    ngx_pool_t                    *pool;
    ngx_http_request_t            *r;
    ngx_http_sendgrid_amp_pool_t  *p;

    /* a long webhook needs no more memory than a few subrequests have */

    r = call->ctx->request;

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

    call->pool = p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_create_message(ngx_http_sendgrid_amp_job_t *job,
    ngx_http_sendgrid_amp_message_t *m)
{
    size_t                      size;
    ngx_pool_t                 *pool;
    ngx_http_request_t         *r;
    ngx_http_core_main_conf_t  *cmcf;

    r = job->ctx->request;
    pool = job->call->pool->pool;
    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    /* values of variables that a subrequest adds must not outlive its pool */

    size = cmcf->variables.nelts * sizeof(ngx_http_variable_value_t);

    m->variables = ngx_palloc(pool, size);
    if (m->variables == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(m->variables, r->variables, size);

    if (ngx_list_init(&m->headers, pool, 2, sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (job->call->no_body) {
        return NGX_OK;
    }

    if (ngx_http_sendgrid_amp_create_body(job, m) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_sendgrid_amp_create_headers(pool, m);
}


static ngx_int_t
ngx_http_sendgrid_amp_create_body(ngx_http_sendgrid_amp_job_t *job,
    ngx_http_sendgrid_amp_message_t *m)
{
    ngx_buf_t      *b;
    ngx_pool_t     *pool;
    sgamp_str_t     slice;
    ngx_chain_t    *cl, **ll;
    sgamp_cursor_t  cursor;

    pool = job->call->pool->pool;

    m->body = ngx_pcalloc(pool, sizeof(ngx_http_request_body_t));
    if (m->body == NULL) {
        return NGX_ERROR;
    }

    b = NULL;
    ll = &m->body->bufs;

    sgamp_cursor_init(&cursor, job->batch, job->part);

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

    m->content_type = ngx_http_sendgrid_amp_push_header(&m->headers,
                                    &ngx_http_sendgrid_amp_call_headers[0]);
    m->content_length = ngx_http_sendgrid_amp_push_header(&m->headers,
                                    &ngx_http_sendgrid_amp_call_headers[1]);

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
ngx_http_sendgrid_amp_push_header(ngx_list_t *headers,
    const ngx_http_sendgrid_amp_call_header_t *header)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(headers);
    if (h == NULL) {
        return NULL;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->key = header->name;
    h->lowcase_key = header->lowcase;
    h->hash = header->hash;

    return h;
}


static ngx_int_t
ngx_http_sendgrid_amp_create_subrequest(ngx_http_sendgrid_amp_call_t *call)
{
    ngx_int_t            rc;
    ngx_uint_t           count;
    ngx_pool_t          *pool;
    ngx_http_request_t  *r;

    r = call->ctx->request;

    call->post.handler = ngx_http_sendgrid_amp_call_ended;
    call->post.data = call;

    /* nginx allocates a subrequest from the pool of its parent */

    pool = r->pool;
    count = r->count;

    r->pool = call->pool->pool;

    rc = ngx_http_subrequest(r, &call->uri,
                             (call->args.len != 0) ? &call->args : NULL,
                             &call->request, &call->post,
                             NGX_HTTP_SUBREQUEST_BACKGROUND);

    r->pool = pool;

    if (rc != NGX_OK) {
        r->count = count;
        call->request = NULL;
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_prepare(ngx_http_sendgrid_amp_call_t *call,
    ngx_http_sendgrid_amp_message_t *m)
{
    ngx_http_request_t     *sr;
    ngx_http_headers_in_t  *in;

    sr = call->request;

    /* no header of the webhook is sent to the peer */

    in = &sr->headers_in;

    ngx_memzero(in, sizeof(ngx_http_headers_in_t));

    in->headers = m->headers;

    if (m->headers.last == &m->headers.part) {
        in->headers.last = &in->headers.part;
    }

    in->content_type = m->content_type;
    in->content_length = m->content_length;
    in->content_length_n = (m->body != NULL) ? (off_t) m->size : -1;
    in->keep_alive_n = -1;

    sr->request_body = m->body;
    sr->variables = m->variables;

    sr->method = call->method;
    sr->method_name = call->method_name;
    sr->unparsed_uri = sr->uri;

    /*
     * the filter reads the answer in memory, wherever nginx would put the
     * answer
     */

    sr->filter_need_in_memory = 1;
}


static ngx_int_t
ngx_http_sendgrid_amp_call_ended(ngx_http_request_t *sr, void *data,
    ngx_int_t rc)
{
    ngx_http_sendgrid_amp_call_t  *call = data;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, sr->connection->log, 0,
                   "sendgrid_amp done: %i, %ui",
                   rc, sr->headers_out.status);

    /*
     * may be called once more, when nginx has made an answer of an error;
     * the subrequest is not looked at before it is done
     */

    call->status = ngx_http_sendgrid_amp_final_status(sr, call, rc);

    ngx_http_sendgrid_amp_check_client(call->ctx);
    ngx_http_sendgrid_amp_wake(call->ctx);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_sendgrid_amp_call_take(ngx_http_sendgrid_amp_job_t *job,
    sgamp_action_e *action)
{
    ngx_http_request_t            *sr;
    ngx_http_sendgrid_amp_call_t  *call;

    call = job->call;
    sr = call->request;

    if (!sr->done) {
        return 0;
    }

    ngx_http_sendgrid_amp_check_answer(job, call->pool->log.failed);

    *action = job->ctx->flow->judge(job);

    return 1;
}


static void
ngx_http_sendgrid_amp_call_close(ngx_http_sendgrid_amp_job_t *job)
{
    ngx_http_request_t            *r;
    ngx_http_sendgrid_amp_call_t  *call;

    call = job->call;

    if (call->listening) {
        job->ctx->flow->unlisten(job);
        call->listening = 0;
    }

    if (call->timer.timer_set) {
        ngx_del_timer(&call->timer);
    }

    if (call->pool == NULL) {
        return;
    }

    r = job->ctx->request;

    /* the log of the connection may name the subrequest, which is freed now */

    if (((ngx_http_log_ctx_t *) r->connection->log->data)->current_request
        == call->request)
    {
        ngx_http_set_log_request(r->connection->log, r);
    }

    ngx_http_sendgrid_amp_drop_pool(call);
    ngx_http_sendgrid_amp_destroy_pools(job->ctx, 0);
}


static void
ngx_http_sendgrid_amp_drop_pool(ngx_http_sendgrid_amp_call_t *call)
{
    ngx_http_sendgrid_amp_calls_t  *calls;

    calls = call->ctx->transport.data;

    call->pool->next = calls->pools;
    calls->pools = call->pool;

    call->pool = NULL;
    call->request = NULL;
}


static void
ngx_http_sendgrid_amp_destroy_pools(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_uint_t all)
{
    ngx_connection_t               *c;
    ngx_http_sendgrid_amp_pool_t   *p;
    ngx_http_sendgrid_amp_calls_t  *calls;

    calls = ctx->transport.data;

    if (!all
        && (calls->pools == NULL || ngx_http_sendgrid_amp_pools_in_use(ctx)))
    {
        return;
    }

    while (calls->pools != NULL) {
        p = calls->pools;
        calls->pools = p->next;

        /*
         * modules such as ssi give the webhook a context of their own, with
         * memory of the subrequest that they see first
         */

        if (ngx_memcmp(p->contexts, ctx->request->ctx,
                       sizeof(void *) * ngx_http_max_module)
            != 0)
        {
            p->next = calls->kept;
            calls->kept = p;
            continue;
        }

        ngx_http_sendgrid_amp_destroy_pool(p);
    }

    while (all && calls->kept != NULL) {
        p = calls->kept;
        calls->kept = p->next;

        ngx_http_sendgrid_amp_destroy_pool(p);
    }

    /*
     * realip restores the address that the connection had before the
     * subrequest: this may be the address of another subrequest that has ended
     */

    c = ctx->request->connection;

    c->sockaddr = calls->sockaddr;
    c->socklen = calls->socklen;
    c->addr_text = calls->addr_text;
}


static ngx_uint_t
ngx_http_sendgrid_amp_pools_in_use(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                      i, n;
    ngx_http_request_t             *r, *sr;
    ngx_http_sendgrid_amp_calls_t  *calls;

    /*
     * a subrequest may have subrequests of its own, of other modules, that
     * live in its pool and longer than the subrequest; the webhook's counter
     * has all of them
     */

    r = ctx->request;
    calls = ctx->transport.data;

    n = 1;

    for (i = 0; i < calls->n; i++) {
        sr = calls->calls[i].request;
        n += (sr != NULL && !sr->done);
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


static void
ngx_http_sendgrid_amp_watch_delay(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                      i;
    ngx_event_t                    *wev;
    ngx_msec_int_t                  left;
    ngx_http_sendgrid_amp_call_t   *call;
    ngx_http_sendgrid_amp_calls_t  *calls;

    calls = ctx->transport.data;

    if (calls == NULL) {
        return;
    }

    /*
     * limit_req delays a subrequest with the write timer of the client's
     * connection, but nginx gives the events of this connection to the main
     * request only: the main request posts the subrequests that are delayed
     */

    ngx_http_sendgrid_amp_post_delayed(calls);

    wev = ctx->request->connection->write;

    if (!wev->delayed || !wev->timer_set) {
        return;
    }

    /*
     * the upstream of another subrequest deletes this timer, so each delayed
     * call gets a timer of its own
     */

    left = (ngx_msec_int_t) (wev->timer.key - ngx_current_msec);

    for (i = 0; i < calls->n; i++) {
        call = &calls->calls[i];

        if (ngx_http_sendgrid_amp_is_delayed(call->request)
            && !call->timer.timer_set)
        {
            call->timer.handler = ngx_http_sendgrid_amp_delay_handler;
            call->timer.data = call;
            call->timer.log = ctx->request->connection->log;

            ngx_add_timer(&call->timer, (ngx_msec_t) ngx_max(left, 1));
        }
    }
}


static void
ngx_http_sendgrid_amp_post_delayed(ngx_http_sendgrid_amp_calls_t *calls)
{
    ngx_uint_t           i;
    ngx_http_request_t  *sr;

    for (i = 0; i < calls->n; i++) {
        sr = calls->calls[i].request;

        if (ngx_http_sendgrid_amp_is_delayed(sr)) {
            (void) ngx_http_post_request(sr, NULL);
        }
    }
}


static ngx_uint_t
ngx_http_sendgrid_amp_is_delayed(ngx_http_request_t *sr)
{
    return sr != NULL && !sr->done && sr->upstream == NULL
           && sr->write_event_handler != ngx_http_handler
           && sr->write_event_handler != ngx_http_request_empty_handler;
}


static void
ngx_http_sendgrid_amp_delay_handler(ngx_event_t *ev)
{
    ngx_http_sendgrid_amp_call_t  *call = ev->data;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, ev->log, 0, "sendgrid_amp delay");

    ngx_http_sendgrid_amp_end_delay(call->ctx);
    ngx_http_sendgrid_amp_wake_event(call->ctx);
}


static void
ngx_http_sendgrid_amp_end_delay(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_event_t                    *wev;
    ngx_http_sendgrid_amp_calls_t  *calls;

    calls = ctx->transport.data;
    wev = ctx->request->connection->write;

    if (calls == NULL || !wev->delayed) {
        return;
    }

    wev->delayed = 0;

    if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    ngx_http_sendgrid_amp_post_delayed(calls);
}


ngx_http_sendgrid_amp_call_t *
ngx_http_sendgrid_amp_call(ngx_http_request_t *r)
{
    if (r == r->main
        || r->post_subrequest == NULL
        || r->post_subrequest->handler != ngx_http_sendgrid_amp_call_ended)
    {
        return NULL;
    }

    return r->post_subrequest->data;
}


static ngx_int_t
ngx_http_sendgrid_amp_preaccess_handler(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_loc_conf_t  *conf;

    if (ngx_http_sendgrid_amp_call(r) == NULL) {
        return NGX_DECLINED;
    }

    conf = ngx_http_get_module_loc_conf(r, ngx_http_sendgrid_amp_module);

    /* keys and addresses are sent to internal locations only */

    return conf->internal ? NGX_DECLINED : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


static ngx_int_t
ngx_http_sendgrid_amp_call_header_filter(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_call_t  *call;

    call = ngx_http_sendgrid_amp_call(r);

    /* without "Content-Length" a server takes the body for another request */

    if (call != NULL
        && r->upstream != NULL
        && call->pool != NULL
        && call->pool->log.failed)
    {
        r->upstream->headers_in.connection_close = 1;
        r->upstream->keepalive = 0;
    }

    return ngx_http_next_header_filter(r);
}


static ngx_int_t
ngx_http_sendgrid_amp_call_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t                     *b;
    ngx_chain_t                   *cl;
    ngx_http_sendgrid_amp_call_t  *call;

    call = ngx_http_sendgrid_amp_call(r);

    if (call == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    for (cl = in; cl != NULL; cl = cl->next) {
        b = cl->buf;

        if (ngx_buf_in_memory(b)) {
            call->received += b->last - b->pos;

            if (call->listening) {
                call->ctx->flow->read(call->job, b->pos, b->last - b->pos);
            }

            b->pos = b->last;
        }

        if (b->in_file) {
            b->file_pos = b->file_last;
        }

        if (b->last_buf || b->last_in_chain) {
            call->last = 1;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_call_hooks(ngx_conf_t *cf)
{
    ngx_http_sendgrid_amp_call_header_t  *h;

    for (h = ngx_http_sendgrid_amp_call_headers; h->lowcase != NULL; h++) {
        h->hash = ngx_hash_key(h->lowcase, h->name.len);
    }

    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_sendgrid_amp_call_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_sendgrid_amp_call_body_filter;

    return ngx_http_sendgrid_amp_add_handler(cf, NGX_HTTP_PREACCESS_PHASE,
                                      ngx_http_sendgrid_amp_preaccess_handler);
}
