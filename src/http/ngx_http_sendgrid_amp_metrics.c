
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


#define NGX_HTTP_SENDGRID_AMP_MAGIC      0x7367616d70303031ull
#define NGX_HTTP_SENDGRID_AMP_MIN_PAGES  8


#define ngx_http_sendgrid_amp_add(counters, metric, n)                        \
    (void) ngx_atomic_fetch_add(&(counters)[metric], (ngx_atomic_int_t) (n))


static ngx_int_t ngx_http_sendgrid_amp_count_handler(ngx_http_request_t *r);
static void ngx_http_sendgrid_amp_count_webhook(ngx_atomic_t *counters,
    ngx_http_request_t *r);
static void ngx_http_sendgrid_amp_add_time(ngx_atomic_t *counters,
    unsigned histogram, ngx_msec_int_t ms);
static ngx_int_t ngx_http_sendgrid_amp_init_zone(ngx_shm_zone_t *zone,
    void *data);
static void ngx_http_sendgrid_amp_restore(ngx_shm_zone_t *zone,
    ngx_http_sendgrid_amp_shared_t *shared);
static ngx_shm_zone_t *ngx_http_sendgrid_amp_old_zone(ngx_cycle_t *cycle,
    ngx_str_t *name);
static ngx_http_sendgrid_amp_shared_t *ngx_http_sendgrid_amp_old_shared(
    ngx_shm_zone_t *zone);


void
ngx_http_sendgrid_amp_enter(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_sendgrid_amp_flight_t  *flight;

    if (ctx->counts.shared == NULL) {
        return;
    }

    /* the entry of this process; another process that had the entry is gone */

    flight = &ctx->worker->shared->flights[ngx_process_slot];

    if (flight->pid != ngx_pid) {
        flight->n = 0;
        flight->pid = ngx_pid;
    }

    flight->n++;
    ctx->counts.flying = 1;
}


void
ngx_http_sendgrid_amp_leave(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                         i;
    ngx_http_sendgrid_amp_signature_e  signature;

    if (ctx->counts.flying) {
        ctx->worker->shared->flights[ngx_process_slot].n--;
        ctx->counts.flying = 0;
    }

    ngx_http_sendgrid_amp_count(ctx, SGAMP_METRICS_RECEIVED_BYTES,
                                ctx->counts.bytes);

    signature = ngx_http_sendgrid_amp_access_signature(ctx);

    if (signature != NGX_HTTP_SENDGRID_AMP_UNSIGNED) {
        i = signature - NGX_HTTP_SENDGRID_AMP_SIGNED;
        ngx_http_sendgrid_amp_count(ctx, SGAMP_METRICS_SIGNED + i, 1);
    }
}


void
ngx_http_sendgrid_amp_count(ngx_http_sendgrid_amp_ctx_t *ctx, unsigned metric,
    uint64_t n)
{
    if (ctx->counts.shared != NULL && n != 0) {
        ngx_http_sendgrid_amp_add(ctx->counts.shared, metric, n);
    }
}


void
ngx_http_sendgrid_amp_count_time(ngx_http_sendgrid_amp_ctx_t *ctx,
    unsigned histogram, ngx_msec_t start)
{
    if (ctx->counts.shared != NULL) {
        ngx_http_sendgrid_amp_add_time(ctx->counts.shared, histogram,
                                       (ngx_msec_int_t) (ngx_current_msec
                                                         - start));
    }
}


static ngx_int_t
ngx_http_sendgrid_amp_count_handler(ngx_http_request_t *r)
{
    ngx_atomic_t                       *counters;
    ngx_http_sendgrid_amp_ctx_t        *ctx;
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    if (r != r->main || !ngx_http_sendgrid_amp_seen(r)) {
        return NGX_OK;
    }

    ctx = ngx_http_sendgrid_amp_find_ctx(r);

    if (ctx != NULL) {
        counters = ctx->counts.shared;

    } else {
        amcf = ngx_http_get_module_main_conf(r, ngx_http_sendgrid_amp_module);
        counters = amcf->shared->values;
    }

    if (counters != NULL) {
        ngx_http_sendgrid_amp_count_webhook(counters, r);
    }

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_count_webhook(ngx_atomic_t *counters,
    ngx_http_request_t *r)
{
    ngx_uint_t       status;
    ngx_time_t      *tp;
    ngx_msec_int_t   ms;

    tp = ngx_timeofday();

    /* as $status has the status */

    status = r->err_status ? r->err_status : r->headers_out.status;

    ms = (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                           + (tp->msec - r->start_msec));

    ngx_http_sendgrid_amp_add(counters, sgamp_metrics_webhook(status), 1);
    ngx_http_sendgrid_amp_add_time(counters, SGAMP_METRICS_WEBHOOK_TIME, ms);
}


static void
ngx_http_sendgrid_amp_add_time(ngx_atomic_t *counters, unsigned histogram,
    ngx_msec_int_t ms)
{
    ms = ngx_max(ms, 0);

    ngx_http_sendgrid_amp_add(counters, sgamp_metrics_bucket(histogram, ms),
                              1);
    ngx_http_sendgrid_amp_add(counters, histogram + SGAMP_METRICS_BUCKETS, ms);
}


void
ngx_http_sendgrid_amp_snapshot(ngx_http_sendgrid_amp_main_conf_t *amcf,
    sgamp_metrics_t *m)
{
    ngx_uint_t                       i;
    ngx_time_t                      *tp;
    ngx_http_sendgrid_amp_shared_t  *shared;
    ngx_http_sendgrid_amp_flight_t  *flight;

    shared = amcf->shared;
    tp = ngx_timeofday();

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


char *
ngx_http_sendgrid_amp_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sendgrid_amp_main_conf_t  *amcf = conf;

    u_char     *p;
    ssize_t     size, min;
    ngx_str_t  *value, name, s;

    if (amcf->zone != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;

    p = ngx_strlchr(value[1].data, value[1].data + value[1].len, ':');

    if (p == NULL || p == value[1].data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone \"%V\" in \"%V\" directive, it must "
                           "be \"name:size\"",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    name.data = value[1].data;
    name.len = p - name.data;

    s.data = p + 1;
    s.len = value[1].data + value[1].len - s.data;

    size = ngx_parse_size(&s);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone size \"%V\" in \"%V\" directive",
                           &s, &cmd->name);
        return NGX_CONF_ERROR;
    }

    min = NGX_HTTP_SENDGRID_AMP_MIN_PAGES * ngx_pagesize;

    if (size < min) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" in \"%V\" directive is too small, it "
                           "must have at least %zk",
                           &name, &cmd->name, min / 1024);
        return NGX_CONF_ERROR;
    }

    amcf->zone = ngx_shared_memory_add(cf, &name, size,
                                       &ngx_http_sendgrid_amp_module);
    if (amcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    amcf->old_cycle = cf->cycle->old_cycle;

    amcf->zone->init = ngx_http_sendgrid_amp_init_zone;
    amcf->zone->data = amcf;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_init_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_http_sendgrid_amp_main_conf_t  *oamcf = data;

    ngx_slab_pool_t                    *shpool;
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    amcf = zone->data;

    if (oamcf != NULL) {
        amcf->shared = oamcf->shared;
        return NGX_OK;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (zone->shm.exists) {
        amcf->shared = shpool->data;
        return NGX_OK;
    }

    amcf->shared = ngx_slab_calloc(shpool,
                                   sizeof(ngx_http_sendgrid_amp_shared_t));
    if (amcf->shared == NULL) {
        return NGX_ERROR;
    }

    amcf->shared->magic = NGX_HTTP_SENDGRID_AMP_MAGIC;
    amcf->shared->size = sizeof(ngx_http_sendgrid_amp_shared_t);
    amcf->shared->since = ngx_time();

    shpool->data = amcf->shared;

    ngx_http_sendgrid_amp_restore(zone, amcf->shared);

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_restore(ngx_shm_zone_t *zone,
    ngx_http_sendgrid_amp_shared_t *shared)
{
    ngx_uint_t                          i;
    ngx_shm_zone_t                     *old;
    ngx_http_sendgrid_amp_shared_t     *oshared;
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    amcf = zone->data;

    /* nginx frees a zone of another size as soon as there is the new one */

    old = ngx_http_sendgrid_amp_old_zone(amcf->old_cycle, &zone->shm.name);

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


static ngx_shm_zone_t *
ngx_http_sendgrid_amp_old_zone(ngx_cycle_t *cycle, ngx_str_t *name)
{
    ngx_uint_t        i;
    ngx_shm_zone_t   *zone;
    ngx_list_part_t  *part;

    part = &cycle->shared_memory.part;
    zone = part->elts;

    for (i = 0; /* void */; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            zone = part->elts;
            i = 0;
        }

        if (zone[i].shm.name.len == name->len
            && ngx_strncmp(zone[i].shm.name.data, name->data, name->len) == 0)
        {
            return &zone[i];
        }
    }

    return NULL;
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


ngx_int_t
ngx_http_sendgrid_amp_count_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt                *h;
    ngx_http_core_main_conf_t          *cmcf;
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    amcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_sendgrid_amp_module);

    if (amcf->zone == NULL) {
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_sendgrid_amp_count_handler;

    return NGX_OK;
}
