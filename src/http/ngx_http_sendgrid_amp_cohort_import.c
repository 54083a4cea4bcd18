
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp_cohort.h"


/*
 * Jobs of SendGrid's: contacts that a PUT has brought take effect later, and a
 * job tells what became of them.  A job is asked for when its message has
 * ended, by a request that has no client; a worker that ends forgets its jobs.
 */


#define NGX_HTTP_SENDGRID_AMP_MAX_IMPORTS  1024    /* that wait in a worker */
#define NGX_HTTP_SENDGRID_AMP_IMPORT_TIME  600000  /* ms until it is unknown */
#define NGX_HTTP_SENDGRID_AMP_IMPORT_WAIT  45000   /* ms, without a window */
#define NGX_HTTP_SENDGRID_AMP_INTERVALS    4


typedef struct {
    ngx_queue_t            queue;        /* must be the first */
    ngx_msec_t             start;        /* when SendGrid has accepted */
    ngx_msec_t             due;
    ngx_uint_t             asked;        /* times */
    ngx_uint_t             n;            /* contacts */
    ngx_msec_t             window;
    ngx_listening_t       *listening;    /* of the message's connection */
    ngx_event_handler_pt   handler;      /* of that connection's events */
    ngx_log_handler_pt     log_handler;
    void                 **main_conf;
    void                 **srv_conf;
    void                 **loc_conf;
    ngx_str_t              uri;          /* an internal location */
    ngx_str_t              region;
    ngx_str_t              key;          /* of SendGrid's API */
    sgamp_str_t            id;           /* of the job */
    ngx_uint_t             live;         /* is counted */
    u_char                 data[];
} ngx_http_sendgrid_amp_import_t;


/* of a worker: the configuration is its own copy after the fork */

typedef struct {
    ngx_queue_t   waiting;  /* in the order of their creation */
    ngx_queue_t   asking;   /* that have a request */
    ngx_uint_t    n;
    ngx_event_t   timer;
} ngx_http_sendgrid_amp_imports_t;


/* a job that is asked for */

typedef struct {
    ngx_http_sendgrid_amp_api_t       api;       /* must be the first */
    ngx_http_sendgrid_amp_import_t   *import;
    ngx_http_sendgrid_amp_imports_t  *imports;
    ngx_uint_t                        supplied;
    ngx_uint_t                        ended;     /* the job is */
} ngx_http_sendgrid_amp_import_ctx_t;


static ngx_http_sendgrid_amp_imports_t *ngx_http_sendgrid_amp_imports(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_http_sendgrid_amp_import_t *ngx_http_sendgrid_amp_create_import(
    ngx_http_sendgrid_amp_ctx_t *ctx, const sgamp_sendgrid_answer_t *answer);
static ngx_msec_t ngx_http_sendgrid_amp_import_interval(
    ngx_http_sendgrid_amp_import_t *import);
static void ngx_http_sendgrid_amp_import_wait(
    ngx_http_sendgrid_amp_imports_t *imports,
    ngx_http_sendgrid_amp_import_t *import);
static void ngx_http_sendgrid_amp_import_timer(
    ngx_http_sendgrid_amp_imports_t *imports);
static void ngx_http_sendgrid_amp_import_handler(ngx_event_t *ev);
static ngx_msec_t ngx_http_sendgrid_amp_import_limit(
    ngx_http_sendgrid_amp_import_t *import);
static void ngx_http_sendgrid_amp_import_ask(
    ngx_http_sendgrid_amp_imports_t *imports,
    ngx_http_sendgrid_amp_import_t *import);
static ngx_http_request_t *ngx_http_sendgrid_amp_import_create_request(
    ngx_http_sendgrid_amp_import_t *import);
static ngx_connection_t *ngx_http_sendgrid_amp_import_connect(ngx_log_t *log);
static ngx_int_t ngx_http_sendgrid_amp_import_init_connection(
    ngx_connection_t *c, ngx_http_sendgrid_amp_import_t *import);
static ngx_int_t ngx_http_sendgrid_amp_import_supply(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static int ngx_http_sendgrid_amp_import_write(void *data,
    const sgamp_element_t *element, sgamp_sink_t *sink, sgamp_item_t *item);
static void ngx_http_sendgrid_amp_import_listen(
    ngx_http_sendgrid_amp_job_t *job);
static sgamp_action_e ngx_http_sendgrid_amp_import_judge(
    ngx_http_sendgrid_amp_job_t *job);
static void ngx_http_sendgrid_amp_import_result(
    ngx_http_sendgrid_amp_ctx_t *ctx, const sgamp_sendgrid_answer_t *answer);
static void ngx_http_sendgrid_amp_import_warn(
    ngx_http_sendgrid_amp_ctx_t *ctx, const sgamp_sendgrid_answer_t *answer);
static ngx_http_sendgrid_amp_rejected_t *ngx_http_sendgrid_amp_import_rejected(
    ngx_http_sendgrid_amp_job_t *job, sgamp_part_t *part, uint32_t i);
static u_char *ngx_http_sendgrid_amp_import_summary(
    ngx_http_sendgrid_amp_ctx_t *ctx, u_char *p);
static void ngx_http_sendgrid_amp_import_finish(void *data);
static void ngx_http_sendgrid_amp_import_again(
    ngx_http_sendgrid_amp_imports_t *imports,
    ngx_http_sendgrid_amp_import_t *import);
static void ngx_http_sendgrid_amp_import_end(
    ngx_http_sendgrid_amp_imports_t *imports,
    ngx_http_sendgrid_amp_import_t *import, ngx_uint_t unknown);
static void *ngx_http_sendgrid_amp_import_create_conf(ngx_conf_t *cf);
static void ngx_http_sendgrid_amp_import_exit(ngx_cycle_t *cycle);
static void ngx_http_sendgrid_amp_import_forget(
    ngx_http_sendgrid_amp_imports_t *imports, ngx_queue_t *queue);


/* in the order of ngx_http_sendgrid_amp_state_e */

static const char *const  ngx_http_sendgrid_amp_import_states[] = {
    "asking SendGrid for a job",
    "asking SendGrid for a job",
    "asking SendGrid for a job",
    "asking SendGrid for a job",
    "ending to ask SendGrid for a job",
    "ending to ask SendGrid for a job",
    "ending to ask SendGrid for a job"
};


static const ngx_http_sendgrid_amp_figures_t
    ngx_http_sendgrid_amp_import_figures = {
    NULL,                                     /* answered */
    NULL,                                     /* answers */
    SGAMP_METRICS,                            /* time */
    SGAMP_METRICS,                            /* received */
    SGAMP_METRICS,                            /* sent */
    SGAMP_METRICS,                            /* retries */
    SGAMP_METRICS                             /* in flight */
};


static const ngx_http_sendgrid_amp_flow_t
    ngx_http_sendgrid_amp_imports_flow = {
    "sendgrid_amp_cohorts",                           /* name */
    "SendGrid",                                       /* peer */
    "job",                                            /* noun */
    "jobs",                                           /* nouns */
    "a job",                                          /* a noun */
    "id",                                             /* id */
    NULL,                                             /* realm */
    ngx_http_sendgrid_amp_import_states,              /* states */
    sizeof(sgamp_sendgrid_answer_t),                  /* answer size */
    &ngx_http_sendgrid_amp_import_figures,            /* figures */
    NULL,                                             /* regions */
    0,                                                /* path */
    NULL,                                             /* authorize */
    NULL,                                             /* route */
    NULL,                                             /* start */
    NULL,                                             /* element */
    NULL,                                             /* arrays */
    NULL,                                             /* member */
    NULL,                                             /* portion */
    NULL,                                             /* message */
    NULL,                                             /* stored */
    ngx_http_sendgrid_amp_import_supply,              /* supply */
    NULL,                                             /* before */
    ngx_http_sendgrid_amp_api_request,                /* request */
    ngx_http_sendgrid_amp_import_listen,              /* listen */
    ngx_http_sendgrid_amp_api_read,                   /* read */
    ngx_http_sendgrid_amp_api_unlisten,               /* unlisten */
    ngx_http_sendgrid_amp_import_judge,               /* judge */
    ngx_http_sendgrid_amp_api_unanswered,             /* unanswered */
    NULL,                                             /* accepted */
    ngx_http_sendgrid_amp_import_rejected,            /* rejected */
    NULL,                                             /* settled */
    ngx_http_sendgrid_amp_import_summary,             /* summary */
    NULL,                                             /* finish */
    0,                                                /* is signed */
    1,                                                /* is certain */
    1,                                                /* is lasting */
    1                                                 /* has api */
};


static ngx_http_module_t  ngx_http_sendgrid_amp_import_module_ctx = {
    NULL,                                     /* preconfiguration */
    NULL,                                     /* postconfiguration */
    ngx_http_sendgrid_amp_import_create_conf, /* create main configuration */
    NULL,                                     /* init main configuration */
    NULL, NULL,                               /* server configuration */
    NULL, NULL                                /* location configuration */
};


ngx_module_t  ngx_http_sendgrid_amp_import_module = {
    NGX_MODULE_V1,
    &ngx_http_sendgrid_amp_import_module_ctx, /* module context */
    NULL,                                     /* module directives */
    NGX_HTTP_MODULE,                          /* module type */
    NULL, NULL, NULL, NULL,                   /* init */
    NULL,                                     /* exit thread */
    ngx_http_sendgrid_amp_import_exit,        /* exit process */
    NULL,                                     /* exit master */
    NGX_MODULE_V1_PADDING
};


void
ngx_http_sendgrid_amp_import_add(ngx_http_sendgrid_amp_job_t *job,
    const sgamp_sendgrid_answer_t *answer, ngx_uint_t n)
{
    ngx_http_sendgrid_amp_ctx_t      *ctx;
    ngx_http_sendgrid_amp_import_t   *import;
    ngx_http_sendgrid_amp_imports_t  *imports;

    ctx = job->ctx;
    imports = ngx_http_sendgrid_amp_imports(ctx);
    import = NULL;

    if (answer->job_len != 0
        && imports->n < NGX_HTTP_SENDGRID_AMP_MAX_IMPORTS)
    {
        import = ngx_http_sendgrid_amp_create_import(ctx, answer);
    }

    if (import == NULL) {
        ngx_http_sendgrid_amp_count_contacts(ctx, SGAMP_ADD,
                                             SGAMP_CONTACT_UNKNOWN, n);
        return;
    }

    import->n = n;
    imports->n++;

    ngx_http_sendgrid_amp_import_wait(imports, import);
}


static ngx_http_sendgrid_amp_imports_t *
ngx_http_sendgrid_amp_imports(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    return ngx_http_get_module_main_conf(ctx->request,
                                         ngx_http_sendgrid_amp_import_module);
}


static ngx_http_sendgrid_amp_import_t *
ngx_http_sendgrid_amp_create_import(ngx_http_sendgrid_amp_ctx_t *ctx,
    const sgamp_sendgrid_answer_t *answer)
{
    u_char                           *p;
    ngx_http_request_t               *r;
    ngx_http_sendgrid_amp_cohort_t   *cohort;
    ngx_http_sendgrid_amp_import_t   *import;

    r = ctx->request;
    cohort = ctx->data;

    import = ngx_alloc(sizeof(ngx_http_sendgrid_amp_import_t)
                       + ctx->route.uri.len + ctx->route.region.len
                       + cohort->api.key.len + answer->job_len,
                       r->connection->log);
    if (import == NULL) {
        return NULL;
    }

    ngx_memzero(import, sizeof(ngx_http_sendgrid_amp_import_t));
    ngx_queue_init(&import->queue);

    import->start = ngx_current_msec;
    import->window = cohort->conf->window ? cohort->conf->window
                                          : NGX_HTTP_SENDGRID_AMP_IMPORT_WAIT;
    import->listening = r->connection->listening;
    import->handler = r->connection->read->handler;
    import->log_handler = r->connection->log->handler;
    import->main_conf = r->main_conf;
    import->srv_conf = r->srv_conf;
    import->loc_conf = r->loc_conf;
    import->live = (ctx->counts.shared != NULL);

    p = import->data;

    import->uri.len = ctx->route.uri.len;
    import->uri.data = p;
    p = ngx_cpymem(p, ctx->route.uri.data, ctx->route.uri.len);

    import->region.len = ctx->route.region.len;
    import->region.data = p;
    p = ngx_cpymem(p, ctx->route.region.data, ctx->route.region.len);

    import->key.len = cohort->api.key.len;
    import->key.data = p;
    p = ngx_cpymem(p, cohort->api.key.data, cohort->api.key.len);

    import->id.len = answer->job_len;
    import->id.data = p;
    ngx_memcpy(p, answer->job, answer->job_len);

    return import;
}


static ngx_msec_t
ngx_http_sendgrid_amp_import_interval(ngx_http_sendgrid_amp_import_t *import)
{
    ngx_uint_t  i;

    /* ninths of the window: 35, 15, 30 and 60 seconds of 45 */

    static const ngx_uint_t  ninths[NGX_HTTP_SENDGRID_AMP_INTERVALS] = {
        7, 3, 6, 12
    };

    i = ngx_min(import->asked, NGX_HTTP_SENDGRID_AMP_INTERVALS - 1);

    return import->window * ninths[i] / 9 + 1;
}


static void
ngx_http_sendgrid_amp_import_wait(ngx_http_sendgrid_amp_imports_t *imports,
    ngx_http_sendgrid_amp_import_t *import)
{
    import->due = ngx_current_msec
                  + ngx_http_sendgrid_amp_import_interval(import);

    ngx_queue_remove(&import->queue);
    ngx_queue_insert_tail(&imports->waiting, &import->queue);

    ngx_http_sendgrid_amp_import_timer(imports);
}


static void
ngx_http_sendgrid_amp_import_timer(ngx_http_sendgrid_amp_imports_t *imports)
{
    ngx_queue_t                     *q;
    ngx_event_t                     *ev;
    ngx_msec_int_t                   left, first;
    ngx_http_sendgrid_amp_import_t  *import;

    ev = &imports->timer;
    first = -1;

    for (q = ngx_queue_head(&imports->waiting);
         q != ngx_queue_sentinel(&imports->waiting);
         q = ngx_queue_next(q))
    {
        import = (ngx_http_sendgrid_amp_import_t *) q;

        left = (ngx_msec_int_t) (import->due - ngx_current_msec);
        left = ngx_max(left, 1);

        if (first == -1 || left < first) {
            first = left;
        }
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    if (first == -1) {
        return;
    }

    /* a worker that shuts down does not wait for the timer */

    ev->handler = ngx_http_sendgrid_amp_import_handler;
    ev->data = imports;
    ev->log = ngx_cycle->log;
    ev->cancelable = 1;

    ngx_add_timer(ev, (ngx_msec_t) first);
}


static void
ngx_http_sendgrid_amp_import_handler(ngx_event_t *ev)
{
    ngx_http_sendgrid_amp_imports_t  *imports = ev->data;

    ngx_msec_t                       wait;
    ngx_queue_t                     *q, *next;
    ngx_http_sendgrid_amp_import_t  *import;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, ev->log, 0,
                   "sendgrid_amp import handler");

    for (q = ngx_queue_head(&imports->waiting);
         q != ngx_queue_sentinel(&imports->waiting);
         q = next)
    {
        next = ngx_queue_next(q);
        import = (ngx_http_sendgrid_amp_import_t *) q;

        if ((ngx_msec_int_t) (import->due - ngx_current_msec) > 0) {
            continue;
        }

        wait = ngx_http_sendgrid_amp_import_limit(import);

        if (wait != 0) {
            import->due = ngx_current_msec + wait;
            continue;
        }

        ngx_http_sendgrid_amp_import_ask(imports, import);
    }

    ngx_http_sendgrid_amp_import_timer(imports);
}


static ngx_msec_t
ngx_http_sendgrid_amp_import_limit(ngx_http_sendgrid_amp_import_t *import)
{
    ngx_uint_t                            i;
    ngx_msec_t                            wait;
    sgamp_ledger_t                       *ledger;
    ngx_http_sendgrid_amp_cohort_zone_t  *zone;

    i = ngx_http_sendgrid_amp_cohort_zone_module.ctx_index;
    zone = import->main_conf[i];

    ledger = ngx_http_sendgrid_amp_lock_ledger(zone);

    wait = ngx_http_sendgrid_amp_api_take(&import->uri, &import->key, ledger,
                                          SGAMP_CALL_IMPORT);

    ngx_http_sendgrid_amp_unlock_ledger(zone);

    return wait;
}


static void
ngx_http_sendgrid_amp_import_ask(ngx_http_sendgrid_amp_imports_t *imports,
    ngx_http_sendgrid_amp_import_t *import)
{
    ngx_http_request_t                  *r;
    ngx_connection_t                    *c;
    ngx_pool_cleanup_t                  *cln;
    ngx_http_sendgrid_amp_ctx_t         *ctx;
    ngx_http_sendgrid_amp_import_ctx_t  *ic;

    static const sgamp_str_t  none = sgamp_str("");

    import->asked++;

    ngx_queue_remove(&import->queue);
    ngx_queue_insert_tail(&imports->asking, &import->queue);

    r = ngx_http_sendgrid_amp_import_create_request(import);

    if (r == NULL) {
        ngx_http_sendgrid_amp_import_again(imports, import);
        return;
    }

    c = r->connection;

    ctx = ngx_http_sendgrid_amp_create_ctx(r);
    cln = ngx_pool_cleanup_add(r->pool,
                               sizeof(ngx_http_sendgrid_amp_import_ctx_t));

    if (ctx == NULL || cln == NULL) {
        ngx_http_sendgrid_amp_import_again(imports, import);
        c->error = 1;
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    ic = cln->data;
    ngx_memzero(ic, sizeof(ngx_http_sendgrid_amp_import_ctx_t));

    cln->handler = ngx_http_sendgrid_amp_import_finish;

    ic->api.key = import->key;
    ic->api.id = import->id;
    ic->api.zone = ngx_http_get_module_main_conf(r,
                                    ngx_http_sendgrid_amp_cohort_zone_module);
    ic->import = import;
    ic->imports = imports;

    ctx->flow = &ngx_http_sendgrid_amp_imports_flow;
    ctx->data = ic;
    ctx->route.uri = import->uri;
    ctx->route.region = import->region;
    ctx->transport.ops = &ngx_http_sendgrid_amp_calling;

    if (!import->live) {
        ctx->counts.shared = NULL;
    }

    sgamp_batcher_init(ngx_http_sendgrid_amp_batcher(ctx),
                       &ctx->worker->pieces,
                       ngx_http_sendgrid_amp_import_write, ic, &none, &none,
                       SGAMP_JOB_ID, 1);

    ngx_http_sendgrid_amp_detached(ctx);

    ngx_http_run_posted_requests(c);
}


static ngx_http_request_t *
ngx_http_sendgrid_amp_import_create_request(
    ngx_http_sendgrid_amp_import_t *import)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    c = ngx_http_sendgrid_amp_import_connect(ngx_cycle->log);
    if (c == NULL) {
        return NULL;
    }

    if (ngx_http_sendgrid_amp_import_init_connection(c, import) != NGX_OK) {
        ngx_http_close_connection(c);
        return NULL;
    }

    r = ngx_http_create_request(c);
    if (r == NULL) {
        ngx_http_close_connection(c);
        return NULL;
    }

    c->data = r;

    /* no line in the access log, and no "post_action" */

    r->logged = 1;
    r->post_action = 1;
    r->uri_changes = 0;

    r->method = NGX_HTTP_GET;
    r->http_version = NGX_HTTP_VERSION_11;
    ngx_str_set(&r->method_name, "GET");
    ngx_str_set(&r->http_protocol, "HTTP/1.1");
    ngx_str_set(&r->uri, "/");
    r->unparsed_uri = r->uri;

    r->headers_in.content_length_n = -1;
    r->headers_in.keep_alive_n = -1;
    r->headers_out.content_length_n = -1;
    r->headers_out.last_modified_time = -1;

    if (ngx_list_init(&r->headers_in.headers, r->pool, 1,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        c->error = 1;
        ngx_http_finalize_request(r, NGX_ERROR);
        return NULL;
    }

    return r;
}


static ngx_connection_t *
ngx_http_sendgrid_amp_import_connect(ngx_log_t *log)
{
    ngx_socket_t       fd;
    ngx_connection_t  *c;

    /* nginx wants a descriptor, which is never written to and has no events */

    fd = ngx_socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd == (ngx_socket_t) -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_socket_errno,
                      ngx_socket_n " failed");
        return NULL;
    }

    c = ngx_get_connection(fd, log);

    if (c == NULL) {

        if (ngx_close_socket(fd) == -1) {
            ngx_log_error(NGX_LOG_ALERT, log, ngx_socket_errno,
                          ngx_close_socket_n " failed");
        }

        return NULL;
    }

    /* ngx_http_close_connection() needs a pool */

    c->pool = ngx_create_pool(1024, log);

    if (c->pool == NULL) {
        ngx_close_connection(c);
        return NULL;
    }

#if (NGX_STAT_STUB)
    (void) ngx_atomic_fetch_add(ngx_stat_active, 1);
#endif

    c->recv = ngx_recv;
    c->send = ngx_send;
    c->recv_chain = ngx_recv_chain;
    c->send_chain = ngx_send_chain;

    c->write->ready = 1;

    if (ngx_event_flags & NGX_USE_CLEAR_EVENT) {
        c->read->active = 1;
        c->write->active = 1;
    }

    return c;
}


static ngx_int_t
ngx_http_sendgrid_amp_import_init_connection(ngx_connection_t *c,
    ngx_http_sendgrid_amp_import_t *import)
{
    ngx_log_t              *log;
    struct sockaddr        *sa;
    ngx_http_log_ctx_t     *ctx;
    ngx_http_connection_t  *hc;

    log = ngx_palloc(c->pool, sizeof(ngx_log_t));
    ctx = ngx_pcalloc(c->pool, sizeof(ngx_http_log_ctx_t));
    hc = ngx_pcalloc(c->pool, sizeof(ngx_http_connection_t));
    sa = ngx_pcalloc(c->pool, sizeof(struct sockaddr));

    if (log == NULL || ctx == NULL || hc == NULL || sa == NULL) {
        return NGX_ERROR;
    }

    hc->conf_ctx = ngx_pcalloc(c->pool, sizeof(ngx_http_conf_ctx_t));
    if (hc->conf_ctx == NULL) {
        return NGX_ERROR;
    }

    hc->conf_ctx->main_conf = import->main_conf;
    hc->conf_ctx->srv_conf = import->srv_conf;
    hc->conf_ctx->loc_conf = import->loc_conf;

    *log = *c->log;

    log->handler = import->log_handler;
    log->data = ctx;
    log->action = "asking SendGrid for a job";
    log->connection = c->number = ngx_atomic_fetch_add(
                                                 ngx_connection_counter, 1);

    ctx->connection = c;

    c->log = log;
    c->pool->log = log;
    c->read->log = log;
    c->write->log = log;

    /* nginx ends the request when the time of the worker is over */

    c->read->handler = import->handler;
    c->write->handler = import->handler;

    /* nginx's log names the listener until there is a request */

    c->listening = import->listening;
    c->log_error = NGX_ERROR_INFO;
    c->tcp_nodelay = NGX_TCP_NODELAY_DISABLED;
    c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;

    sa->sa_family = AF_UNIX;

    c->sockaddr = sa;
    c->socklen = sizeof(struct sockaddr);
    c->local_sockaddr = sa;
    c->local_socklen = sizeof(struct sockaddr);
    ngx_str_set(&c->addr_text, "unix:");

    c->data = hc;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_import_supply(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    int                                  reason;
    sgamp_batcher_t                     *batcher;
    ngx_http_sendgrid_amp_import_ctx_t  *ic;

    ic = ctx->data;
    batcher = ngx_http_sendgrid_amp_batcher(ctx);

    if (ic->supplied) {
        return NGX_OK;
    }

    ic->supplied = 1;

    if (sgamp_batcher_add(batcher, NULL, &reason) != SGAMP_OK
        || sgamp_batcher_close(batcher) != SGAMP_OK)
    {
        ngx_http_sendgrid_amp_internal(ctx, "no memory for a request");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static int
ngx_http_sendgrid_amp_import_write(void *data, const sgamp_element_t *element,
    sgamp_sink_t *sink, sgamp_item_t *item)
{
    item->kind = SGAMP_CALL_IMPORT;

    return 0;
}


static void
ngx_http_sendgrid_amp_import_listen(ngx_http_sendgrid_amp_job_t *job)
{
    sgamp_sendgrid_question_t  question;

    ngx_memzero(&question, sizeof(sgamp_sendgrid_question_t));

    question.call = SGAMP_CALL_IMPORT;
    question.n = 1;

    ngx_http_sendgrid_amp_api_listen(job, &question);
}


static sgamp_action_e
ngx_http_sendgrid_amp_import_judge(ngx_http_sendgrid_amp_job_t *job)
{
    sgamp_action_e                       action;
    sgamp_sendgrid_answer_t             *answer;
    ngx_http_sendgrid_amp_import_ctx_t  *ic;

    answer = job->answer;
    ic = job->ctx->data;

    action = sgamp_sendgrid_action(answer, (unsigned) job->call->status,
                                   job->call->last);

    ngx_http_sendgrid_amp_api_answered(job, SGAMP_CALL_IMPORT,
                                       job->call->status);

    if (action == SGAMP_NEXT) {
        ngx_http_sendgrid_amp_import_result(job->ctx, answer);

    } else if (action != SGAMP_RETRY && action != SGAMP_WAIT) {
        /* SendGrid does not know the job, or refuses the key */
        ngx_http_sendgrid_amp_count_contacts(job->ctx, SGAMP_ADD,
                                             SGAMP_CONTACT_UNKNOWN,
                                             ic->import->n);
        ic->ended = 1;
    }

    /* there is no retry: the job is asked for again later */

    return SGAMP_FORWARD;
}


static void
ngx_http_sendgrid_amp_import_result(ngx_http_sendgrid_amp_ctx_t *ctx,
    const sgamp_sendgrid_answer_t *answer)
{
    ngx_uint_t                           applied, errored, unknown;
    ngx_http_sendgrid_amp_import_t      *import;
    ngx_http_sendgrid_amp_import_ctx_t  *ic;

    ic = ctx->data;
    import = ic->import;

    applied = (ngx_uint_t) ngx_min(answer->applied, import->n);
    errored = (ngx_uint_t) ngx_min(answer->errored, import->n - applied);

    if (answer->import == SGAMP_IMPORT_PENDING
        && applied + errored < import->n)
    {
        return;
    }

    ic->ended = 1;

    if (answer->import == SGAMP_IMPORT_FAILED) {
        errored = import->n - applied;
    }

    unknown = import->n - applied - errored;

    ngx_http_sendgrid_amp_count_contacts(ctx, SGAMP_ADD,
                                         SGAMP_CONTACT_APPLIED, applied);
    ngx_http_sendgrid_amp_count_contacts(ctx, SGAMP_ADD,
                                         SGAMP_CONTACT_REFUSED, errored);
    ngx_http_sendgrid_amp_count_contacts(ctx, SGAMP_ADD,
                                         SGAMP_CONTACT_UNKNOWN, unknown);

    if (applied != 0) {
        ngx_http_sendgrid_amp_count_time(ctx->counts.shared,
                                         SGAMP_METRICS_APPLY_TIME,
                                         (ngx_msec_int_t) (ngx_current_msec
                                                           - import->start));
    }

    if (errored != 0) {
        ngx_http_sendgrid_amp_import_warn(ctx, answer);
    }
}


static void
ngx_http_sendgrid_amp_import_warn(ngx_http_sendgrid_amp_ctx_t *ctx,
    const sgamp_sendgrid_answer_t *answer)
{
    ngx_str_t                            url;
    ngx_http_sendgrid_amp_import_ctx_t  *ic;

    ic = ctx->data;

    url.data = (u_char *) answer->errors_url;
    url.len = answer->errors_url_len;

    ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                  "SendGrid has accepted %ui contacts and refuses %uL of "
                  "them, %s, job \"%*s\", its errors: \"%V\"",
                  ic->import->n, answer->errored,
                  (answer->import == SGAMP_IMPORT_FAILED)
                      ? "the job has failed"
                      : "the others are on the list",
                  ic->import->id.len, ic->import->id.data, &url);
}


static ngx_http_sendgrid_amp_rejected_t *
ngx_http_sendgrid_amp_import_rejected(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part, uint32_t i)
{
    /* judge() refuses nothing */

    return NULL;
}


static u_char *
ngx_http_sendgrid_amp_import_summary(ngx_http_sendgrid_amp_ctx_t *ctx,
    u_char *p)
{
    return p;
}


static void
ngx_http_sendgrid_amp_import_finish(void *data)
{
    ngx_http_sendgrid_amp_import_ctx_t  *ic = data;

    ngx_http_sendgrid_amp_import_t  *import;

    import = ic->import;

    if (import == NULL) {
        return;
    }

    if (ic->ended) {
        ngx_http_sendgrid_amp_import_end(ic->imports, import, 0);
        return;
    }

    ngx_http_sendgrid_amp_import_again(ic->imports, import);
}


static void
ngx_http_sendgrid_amp_import_again(ngx_http_sendgrid_amp_imports_t *imports,
    ngx_http_sendgrid_amp_import_t *import)
{
    if (ngx_current_msec - import->start >= NGX_HTTP_SENDGRID_AMP_IMPORT_TIME
        || ngx_exiting)
    {
        ngx_http_sendgrid_amp_import_end(imports, import, import->n);
        return;
    }

    ngx_http_sendgrid_amp_import_wait(imports, import);
}


static void
ngx_http_sendgrid_amp_import_end(ngx_http_sendgrid_amp_imports_t *imports,
    ngx_http_sendgrid_amp_import_t *import, ngx_uint_t unknown)
{
    ngx_http_sendgrid_amp_metrics_conf_t  *mcf;

    mcf = import->main_conf[ngx_http_sendgrid_amp_metrics_module.ctx_index];

    if (unknown != 0 && import->live && mcf->counters != NULL) {
        ngx_http_sendgrid_amp_add(mcf->counters,
                                  sgamp_metrics_contact(SGAMP_ADD,
                                                      SGAMP_CONTACT_UNKNOWN),
                                  unknown);
    }

    imports->n--;

    ngx_queue_remove(&import->queue);

    ngx_explicit_memzero(import->key.data, import->key.len);
    ngx_free(import);
}


static void *
ngx_http_sendgrid_amp_import_create_conf(ngx_conf_t *cf)
{
    ngx_http_sendgrid_amp_imports_t  *imports;

    imports = ngx_pcalloc(cf->pool, sizeof(ngx_http_sendgrid_amp_imports_t));
    if (imports == NULL) {
        return NULL;
    }

    ngx_queue_init(&imports->waiting);
    ngx_queue_init(&imports->asking);

    return imports;
}


static void
ngx_http_sendgrid_amp_import_exit(ngx_cycle_t *cycle)
{
    ngx_http_sendgrid_amp_imports_t  *imports;

    imports = ngx_http_cycle_get_module_main_conf(cycle,
                                         ngx_http_sendgrid_amp_import_module);

    if (imports != NULL) {
        ngx_http_sendgrid_amp_import_forget(imports, &imports->waiting);
        ngx_http_sendgrid_amp_import_forget(imports, &imports->asking);
    }
}


static void
ngx_http_sendgrid_amp_import_forget(ngx_http_sendgrid_amp_imports_t *imports,
    ngx_queue_t *queue)
{
    ngx_http_sendgrid_amp_import_t  *import;

    while (!ngx_queue_empty(queue)) {
        import = (ngx_http_sendgrid_amp_import_t *) ngx_queue_head(queue);

        ngx_http_sendgrid_amp_import_end(imports, import, import->n);
    }
}
