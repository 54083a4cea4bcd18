
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp_cohort.h"

#include <openssl/err.h>
#include <openssl/rand.h>


#define NGX_HTTP_SENDGRID_AMP_COHORT_MIN   65536  /* bytes of the zone */
#define NGX_HTTP_SENDGRID_AMP_COHORT_WAIT  100    /* ms for the old lock */


static char *ngx_http_sendgrid_amp_cohort_zone(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_http_sendgrid_amp_init_cohort_zone(ngx_shm_zone_t *zone,
    void *data);
static ngx_int_t ngx_http_sendgrid_amp_make_ledger(ngx_shm_zone_t *zone);
static void ngx_http_sendgrid_amp_restore_ledger(ngx_shm_zone_t *zone);
static sgamp_ledger_t *ngx_http_sendgrid_amp_old_ledger(ngx_shm_zone_t *zone);
static void ngx_http_sendgrid_amp_copy_ledger(sgamp_ledger_t *ledger,
    sgamp_ledger_t *old, ngx_slab_pool_t *shpool);
static void *ngx_http_sendgrid_amp_cohort_zone_create_main_conf(
    ngx_conf_t *cf);


static ngx_command_t  ngx_http_sendgrid_amp_cohort_zone_commands[] = {

    { ngx_string("sendgrid_amp_cohort_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_sendgrid_amp_cohort_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_sendgrid_amp_cohort_zone_module_ctx = {
    NULL,                                   /* preconfiguration */
    NULL,                                   /* postconfiguration */
    ngx_http_sendgrid_amp_cohort_zone_create_main_conf,
    NULL,                                   /* init main configuration */
    NULL, NULL,                             /* server configuration */
    NULL, NULL                              /* location configuration */
};


ngx_module_t  ngx_http_sendgrid_amp_cohort_zone_module = {
    NGX_MODULE_V1,
    &ngx_http_sendgrid_amp_cohort_zone_module_ctx,
    ngx_http_sendgrid_amp_cohort_zone_commands, /* module directives */
    NGX_HTTP_MODULE,                        /* module type */
    NULL, NULL, NULL, NULL,                 /* init */
    NULL, NULL, NULL,                       /* exit */
    NGX_MODULE_V1_PADDING
};


sgamp_ledger_t *
ngx_http_sendgrid_amp_lock_ledger(ngx_http_sendgrid_amp_cohort_zone_t *zone)
{
    ngx_shmtx_lock(&zone->shpool->mutex);

    return zone->ledger;
}


void
ngx_http_sendgrid_amp_unlock_ledger(ngx_http_sendgrid_amp_cohort_zone_t *zone)
{
    ngx_shmtx_unlock(&zone->shpool->mutex);
}


uint64_t
ngx_http_sendgrid_amp_ledger_now(void)
{
    ngx_msec_t  now;

    now = ngx_current_msec;

    return (now != 0) ? now : 1;
}


int
ngx_http_sendgrid_amp_ledger_alive(uint64_t process)
{
    /* 0 and what looks negative stand for groups of processes */

    if (process == 0 || process > NGX_MAX_INT32_VALUE) {
        return 0;
    }

    return kill((ngx_pid_t) process, 0) != -1 || ngx_errno != NGX_ESRCH;
}


static char *
ngx_http_sendgrid_amp_cohort_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_sendgrid_amp_cohort_zone_t  *zcf = conf;

    if (zcf->zone != NULL) {
        return "is duplicate";
    }

    zcf->zone = ngx_http_sendgrid_amp_add_zone(cf,
                                     NGX_HTTP_SENDGRID_AMP_COHORT_MIN,
                                     &ngx_http_sendgrid_amp_cohort_zone_module);
    if (zcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    zcf->old_cycle = cf->cycle->old_cycle;

    zcf->zone->init = ngx_http_sendgrid_amp_init_cohort_zone;
    zcf->zone->data = zcf;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_init_cohort_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_http_sendgrid_amp_cohort_zone_t  *ozcf = data;

    ngx_http_sendgrid_amp_cohort_zone_t  *zcf;

    zcf = zone->data;

    zcf->shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (ozcf != NULL) {
        zcf->ledger = ozcf->ledger;
        return NGX_OK;
    }

    if (zone->shm.exists) {
        zcf->ledger = zcf->shpool->data;
        return NGX_OK;
    }

    if (ngx_http_sendgrid_amp_make_ledger(zone) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_sendgrid_amp_restore_ledger(zone);

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_make_ledger(ngx_shm_zone_t *zone)
{
    size_t                                size;
    u_char                               *p;
    sgamp_siphash_key_t                   key;
    ngx_http_sendgrid_amp_cohort_zone_t  *zcf;

    zcf = zone->data;

    /* all pages that nginx has left, in one piece */

    zcf->shpool->log_nomem = 0;

    size = zone->shm.size / ngx_pagesize * ngx_pagesize;

    for ( ;; ) {
        p = ngx_slab_alloc(zcf->shpool, size);

        if (p != NULL) {
            break;
        }

        size -= ngx_pagesize;

        if (size < SGAMP_LEDGER_MIN_SIZE) {
            return NGX_ERROR;
        }
    }

    if (RAND_bytes((u_char *) key.k, sizeof(key.k)) != 1) {
        ERR_clear_error();

        key.k[0] = (uint64_t) ngx_random() << 32 ^ ngx_random();
        key.k[1] = (uint64_t) ngx_random() << 32 ^ ngx_random();
    }

    zcf->ledger = sgamp_ledger_init(p, size, &key);
    zcf->shpool->data = zcf->ledger;

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_restore_ledger(ngx_shm_zone_t *zone)
{
    ngx_shm_zone_t                       *old;
    sgamp_ledger_t                       *oledger;
    ngx_http_sendgrid_amp_cohort_zone_t  *zcf;

    zcf = zone->data;

    /* nginx frees a zone of another size as soon as there is the new one */

    old = ngx_http_sendgrid_amp_old_zone(zcf->old_cycle, &zone->shm.name);

    if (old == NULL) {
        return;
    }

    oledger = ngx_http_sendgrid_amp_old_ledger(old);

    if (oledger == NULL) {
        ngx_log_error(NGX_LOG_NOTICE, zone->shm.log, 0,
                      "\"sendgrid_amp_cohort_zone\" begins anew: zone \"%V\" "
                      "was used otherwise",
                      &zone->shm.name);
        return;
    }

    ngx_http_sendgrid_amp_copy_ledger(zcf->ledger, oledger,
                                      (ngx_slab_pool_t *) old->shm.addr);

    ngx_log_error(NGX_LOG_NOTICE, zone->shm.log, 0,
                  "\"sendgrid_amp_cohort_zone\" goes on with the contents of "
                  "zone \"%V\" as its size was changed from %uz to %uz; "
                  "messages still in work are known as such until their "
                  "process ends",
                  &zone->shm.name, old->shm.size, zone->shm.size);
}


static sgamp_ledger_t *
ngx_http_sendgrid_amp_old_ledger(ngx_shm_zone_t *zone)
{
    u_char           *p, *last;
    ngx_slab_pool_t  *shpool;

    /* may be the zone of another module, or of another build of this one */

    if (zone->shm.addr == NULL) {
        return NULL;
    }

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    p = shpool->data;
    last = zone->shm.addr + zone->shm.size;

    if (p < zone->shm.addr || p >= last) {
        return NULL;
    }

    return sgamp_ledger_open(p, last - p);
}


static void
ngx_http_sendgrid_amp_copy_ledger(sgamp_ledger_t *ledger, sgamp_ledger_t *old,
    ngx_slab_pool_t *shpool)
{
    ngx_uint_t  i, locked;

    /*
     * old workers go on with the old ledger; this process cannot wait for
     * ever, as the lock of a worker that was killed is freed by this process
     */

    locked = 0;

    for (i = 0; i < NGX_HTTP_SENDGRID_AMP_COHORT_WAIT; i++) {
        locked = ngx_shmtx_trylock(&shpool->mutex);

        if (locked) {
            break;
        }

        ngx_msleep(1);
    }

    sgamp_ledger_copy(ledger, old, ngx_http_sendgrid_amp_ledger_now());

    if (locked) {
        ngx_shmtx_unlock(&shpool->mutex);
    }
}


static void *
ngx_http_sendgrid_amp_cohort_zone_create_main_conf(ngx_conf_t *cf)
{
    /* zeroed: there is no zone */

    return ngx_pcalloc(cf->pool, sizeof(ngx_http_sendgrid_amp_cohort_zone_t));
}
