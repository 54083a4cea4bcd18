
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"

#include "sgamp_format.h"

#include "ngx_http_sendgrid_amp_page.h"


#define NGX_HTTP_SENDGRID_AMP_MAGIC        0x7367616d70303031ull
#define NGX_HTTP_SENDGRID_AMP_STATUS_SIZE  16384  /* bytes of a buffer */


/* webhooks in flight in the process that has this entry */

typedef struct {
    ngx_pid_t   pid;
    ngx_uint_t  n;
} ngx_http_sendgrid_amp_flight_t;


/*
 * What all workers count, in shared memory.  Each process has an entry for its
 * webhooks in flight, by its number in nginx's table of processes, and writes
 * to no other entry.
 */

struct ngx_http_sendgrid_amp_shared_s {
    uint64_t                        magic;
    size_t                          size;    /* of this struct */
    time_t                          since;
    ngx_atomic_t                    values[SGAMP_METRICS];
    ngx_http_sendgrid_amp_flight_t  flights[NGX_MAX_PROCESSES];
};


typedef struct {
    ngx_uint_t  format;  /* sgamp_format_e, SGAMP_FORMATS: as is asked for */
} ngx_http_sendgrid_amp_status_conf_t;


/* the figures as text */

typedef struct {
    sgamp_sink_t   sink;  /* must be the first */
    ngx_pool_t    *pool;
    ngx_chain_t   *out;
    ngx_chain_t  **last;
    ngx_buf_t     *buf;
} ngx_http_sendgrid_amp_text_t;


static void ngx_http_sendgrid_amp_leave(void *data);
static ngx_int_t ngx_http_sendgrid_amp_status_handler(ngx_http_request_t *r);
static sgamp_format_e ngx_http_sendgrid_amp_status_format(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_status_refuse(ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_status_headers(ngx_http_request_t *r,
    sgamp_format_e format);
static ngx_int_t ngx_http_sendgrid_amp_status_write(ngx_http_request_t *r,
    sgamp_format_e format, ngx_http_sendgrid_amp_text_t *text);
static void ngx_http_sendgrid_amp_snapshot(
    ngx_http_sendgrid_amp_shared_t *shared, sgamp_metrics_t *m);
static int ngx_http_sendgrid_amp_status_next(sgamp_sink_t *sink);
static char *ngx_http_sendgrid_amp_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_sendgrid_amp_init_zone(ngx_shm_zone_t *zone,
    void *data);
static void ngx_http_sendgrid_amp_restore(ngx_shm_zone_t *zone,
    ngx_http_sendgrid_amp_shared_t *shared);
static ngx_http_sendgrid_amp_shared_t *ngx_http_sendgrid_amp_old_shared(
    ngx_shm_zone_t *zone);
static char *ngx_http_sendgrid_amp_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static void *ngx_http_sendgrid_amp_metrics_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_sendgrid_amp_metrics_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_sendgrid_amp_metrics_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);


/* in the order of sgamp_format_e */

static ngx_str_t  ngx_http_sendgrid_amp_status_types[] = {
    ngx_string("text/html; charset=utf-8"),
    ngx_string("application/json"),
    ngx_string("text/plain; version=0.0.4; charset=utf-8")
};


static ngx_command_t  ngx_http_sendgrid_amp_metrics_commands[] = {

    { ngx_string("sendgrid_amp_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_sendgrid_amp_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sendgrid_amp_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_sendgrid_amp_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_sendgrid_amp_metrics_module_ctx = {
    NULL,                                   /* preconfiguration */
    NULL,                                   /* postconfiguration */
    ngx_http_sendgrid_amp_metrics_create_main_conf,
    NULL,                                   /* init main configuration */
    NULL, NULL,                             /* server configuration */
    ngx_http_sendgrid_amp_metrics_create_loc_conf,
    ngx_http_sendgrid_amp_metrics_merge_loc_conf
};


ngx_module_t  ngx_http_sendgrid_amp_metrics_module = {
    NGX_MODULE_V1,
    &ngx_http_sendgrid_amp_metrics_module_ctx,
    ngx_http_sendgrid_amp_metrics_commands, /* module directives */
    NGX_HTTP_MODULE,                        /* module type */
    NULL, NULL, NULL, NULL,                 /* init */
    NULL, NULL, NULL,                       /* exit */
    NGX_MODULE_V1_PADDING
};


void
ngx_http_sendgrid_amp_enter(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_sendgrid_amp_flight_t        *flight;
    ngx_http_sendgrid_amp_metrics_conf_t  *mcf;

    /* a webhook that there is no memory for is not counted as in flight */

    if (ctx->counts.shared == NULL
        || ctx->flow->figures->in_flight == SGAMP_METRICS
        || ngx_http_sendgrid_amp_add_cleanup(ctx, ngx_http_sendgrid_amp_leave)
           != NGX_OK)
    {
        return;
    }

    mcf = ngx_http_get_module_main_conf(ctx->request,
                                        ngx_http_sendgrid_amp_metrics_module);

    /* the entry of this process; another process that had the entry is gone */

    flight = &mcf->shared->flights[ngx_process_slot];

    if (flight->pid != ngx_pid) {
        flight->n = 0;
        flight->pid = ngx_pid;
    }

    flight->n++;
}


static void
ngx_http_sendgrid_amp_leave(void *data)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx = data;

    ngx_http_sendgrid_amp_metrics_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(ctx->request,
                                        ngx_http_sendgrid_amp_metrics_module);

    mcf->shared->flights[ngx_process_slot].n--;
}


void
ngx_http_sendgrid_amp_count(ngx_http_sendgrid_amp_ctx_t *ctx, unsigned metric,
    uint64_t n)
{
    if (ctx->counts.shared != NULL && n != 0 && metric != SGAMP_METRICS) {
        ngx_http_sendgrid_amp_add(ctx->counts.shared, metric, n);
    }
}


void
ngx_http_sendgrid_amp_count_answer(ngx_atomic_t *counters,
    const ngx_http_sendgrid_amp_figures_t *figures, ngx_uint_t status)
{
    unsigned                        i, metric;
    const sgamp_metrics_answers_t  *answers;

    metric = figures->answered(status);
    answers = figures->answers;

    ngx_http_sendgrid_amp_add(counters, metric, 1);

    metric -= answers->counters;
    ngx_http_sendgrid_amp_set(counters, answers->last + metric, ngx_time());

    if (metric != 0) {
        (void) ngx_atomic_cmp_set(&counters[answers->first + metric], 0,
                                  (ngx_atomic_uint_t) ngx_time() + 1);
        return;
    }

    /* a delivery ends all troubles, which most often there are none of */

    for (i = 1; i < answers->n; i++) {
        if (counters[answers->first + i] != 0) {
            counters[answers->first + i] = 0;
        }
    }
}


void
ngx_http_sendgrid_amp_count_time(ngx_atomic_t *counters, unsigned histogram,
    ngx_msec_int_t ms)
{
    if (counters == NULL) {
        return;
    }

    ms = ngx_max(ms, 0);

    ngx_http_sendgrid_amp_add(counters, sgamp_metrics_bucket(histogram, ms),
                              1);
    ngx_http_sendgrid_amp_add(counters, histogram + SGAMP_METRICS_BUCKETS, ms);
}


void
ngx_http_sendgrid_amp_set(ngx_atomic_t *counters, unsigned metric, uint64_t n)
{
    /* 0 is a gauge that was never set */

    if (counters != NULL) {
        counters[metric] = (ngx_atomic_uint_t) n + 1;
    }
}


static ngx_int_t
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
    ngx_str_t                             value, *accept;
    sgamp_format_e                        format;
    ngx_http_sendgrid_amp_search_t        search;
    ngx_http_sendgrid_amp_status_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r,
                                        ngx_http_sendgrid_amp_metrics_module);

    if (conf->format != SGAMP_FORMATS) {
        return (sgamp_format_e) conf->format;
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
    off_t                                  size;
    ngx_chain_t                           *cl;
    sgamp_metrics_t                        m;
    ngx_http_sendgrid_amp_metrics_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r,
                                        ngx_http_sendgrid_amp_metrics_module);

    ngx_http_sendgrid_amp_snapshot(mcf->shared, &m);

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
                         / sizeof(sgamp_page_row_t),
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


static void
ngx_http_sendgrid_amp_snapshot(ngx_http_sendgrid_amp_shared_t *shared,
    sgamp_metrics_t *m)
{
    ngx_uint_t                       i;
    ngx_time_t                      *tp;
    ngx_http_sendgrid_amp_flight_t  *flight;

    tp = ngx_timeofday();

    m->host.data = ngx_cycle->hostname.data;
    m->host.len = ngx_cycle->hostname.len;
    m->server = NGINX_VER;

    m->since = shared->since;
    m->now = (uint64_t) tp->sec * 1000 + tp->msec;

    for (i = 0; i < SGAMP_METRICS; i++) {
        m->values[i] = shared->values[i];
    }

    for (i = 0; i < NGX_MAX_PROCESSES; i++) {
        flight = &shared->flights[i];

        /* a worker that was killed has left its own behind */

        if (flight->n != 0
            && (kill(flight->pid, 0) != -1 || ngx_errno != NGX_ESRCH))
        {
            m->values[SGAMP_METRICS_IN_FLIGHT] += flight->n;
        }
    }
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


static char *
ngx_http_sendgrid_amp_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sendgrid_amp_metrics_conf_t  *mcf = conf;

    if (mcf->zone != NULL) {
        return "is duplicate";
    }

    mcf->zone = ngx_http_sendgrid_amp_add_zone(cf, 0,
                                        &ngx_http_sendgrid_amp_metrics_module);
    if (mcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->old_cycle = cf->cycle->old_cycle;

    mcf->zone->init = ngx_http_sendgrid_amp_init_zone;
    mcf->zone->data = mcf;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_init_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_http_sendgrid_amp_metrics_conf_t  *omcf = data;

    ngx_slab_pool_t                       *shpool;
    ngx_http_sendgrid_amp_metrics_conf_t  *mcf;

    mcf = zone->data;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (omcf != NULL) {
        mcf->shared = omcf->shared;

    } else if (zone->shm.exists) {
        mcf->shared = shpool->data;

    } else {
        mcf->shared = ngx_slab_calloc(shpool,
                                      sizeof(ngx_http_sendgrid_amp_shared_t));
        if (mcf->shared == NULL) {
            return NGX_ERROR;
        }

        mcf->shared->magic = NGX_HTTP_SENDGRID_AMP_MAGIC;
        mcf->shared->size = sizeof(ngx_http_sendgrid_amp_shared_t);
        mcf->shared->since = ngx_time();

        shpool->data = mcf->shared;

        ngx_http_sendgrid_amp_restore(zone, mcf->shared);
    }

    mcf->counters = mcf->shared->values;

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_restore(ngx_shm_zone_t *zone,
    ngx_http_sendgrid_amp_shared_t *shared)
{
    ngx_uint_t                             i;
    ngx_shm_zone_t                        *old;
    ngx_http_sendgrid_amp_shared_t        *oshared;
    ngx_http_sendgrid_amp_metrics_conf_t  *mcf;

    mcf = zone->data;

    /* nginx frees a zone of another size as soon as there is the new one */

    old = ngx_http_sendgrid_amp_old_zone(mcf->old_cycle, &zone->shm.name);

    if (old == NULL) {
        return;
    }

    oshared = ngx_http_sendgrid_amp_old_shared(old);

    if (oshared == NULL) {
        ngx_log_error(NGX_LOG_NOTICE, zone->shm.log, 0,
                      "\"sendgrid_amp_zone\" begins to count anew: zone "
                      "\"%V\" was used otherwise",
                      &zone->shm.name);
        return;
    }

    shared->since = oshared->since;

    for (i = 0; i < SGAMP_METRICS; i++) {
        shared->values[i] = oshared->values[i];
    }

    ngx_log_error(NGX_LOG_NOTICE, zone->shm.log, 0,
                  "\"sendgrid_amp_zone\" goes on with the figures of zone "
                  "\"%V\" as its size was changed from %uz to %uz; webhooks "
                  "still in flight are not counted",
                  &zone->shm.name, old->shm.size, zone->shm.size);
}


static ngx_http_sendgrid_amp_shared_t *
ngx_http_sendgrid_amp_old_shared(ngx_shm_zone_t *zone)
{
    u_char                          *p;
    ngx_slab_pool_t                 *shpool;
    ngx_http_sendgrid_amp_shared_t  *shared;

    /* may be the zone of another module, or of another build of this one */

    if (zone->shm.addr == NULL) {
        return NULL;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    p = shpool->data;

    if (p < zone->shm.addr
        || p > zone->shm.addr + zone->shm.size
               - sizeof(ngx_http_sendgrid_amp_shared_t))
    {
        return NULL;
    }

    shared = (ngx_http_sendgrid_amp_shared_t *) p;

    if (shared->magic != NGX_HTTP_SENDGRID_AMP_MAGIC
        || shared->size != sizeof(ngx_http_sendgrid_amp_shared_t))
    {
        return NULL;
    }

    return shared;
}


static char *
ngx_http_sendgrid_amp_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sendgrid_amp_status_conf_t  *scf = conf;

    ngx_str_t  *value;

    if (scf->format != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    scf->format = SGAMP_FORMATS;

    if (cf->args->nelts == 2) {
        value = cf->args->elts;

        scf->format = sgamp_format_lookup(value[1].data, value[1].len);

        if (scf->format == SGAMP_FORMATS) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"%V\" in \"%V\" directive, it "
                               "must be \"html\", \"json\" or \"prometheus\"",
                               &value[1], &cmd->name);
            return NGX_CONF_ERROR;
        }
    }

    return ngx_http_sendgrid_amp_set_handler(cf,
                                        ngx_http_sendgrid_amp_status_handler);
}


static void *
ngx_http_sendgrid_amp_metrics_create_main_conf(ngx_conf_t *cf)
{
    /* zeroed: there is no zone */

    return ngx_pcalloc(cf->pool, sizeof(ngx_http_sendgrid_amp_metrics_conf_t));
}


static void *
ngx_http_sendgrid_amp_metrics_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_sendgrid_amp_status_conf_t  *conf;

    conf = ngx_palloc(cf->pool, sizeof(ngx_http_sendgrid_amp_status_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->format = NGX_CONF_UNSET_UINT;

    return conf;
}


static char *
ngx_http_sendgrid_amp_metrics_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_sendgrid_amp_status_conf_t  *prev = parent;
    ngx_http_sendgrid_amp_status_conf_t  *conf = child;

    ngx_http_core_loc_conf_t              *clcf;
    ngx_http_sendgrid_amp_metrics_conf_t  *mcf;

    static ngx_str_t  name = ngx_string("sendgrid_amp_status");

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* the blocks of "if" and "limit_except" are parts of their location */

    if (clcf->noname && conf->format == NGX_CONF_UNSET_UINT) {
        conf->format = prev->format;
    }

    if (conf->format == NGX_CONF_UNSET_UINT) {
        return NGX_CONF_OK;
    }

    if (ngx_http_sendgrid_amp_merge_handler(cf,
                                          ngx_http_sendgrid_amp_status_handler,
                                          &name)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf,
                                        ngx_http_sendgrid_amp_metrics_module);

    if (mcf->zone == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"sendgrid_amp_status\" in location \"%V\" "
                           "requires \"sendgrid_amp_zone\"",
                           &clcf->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
