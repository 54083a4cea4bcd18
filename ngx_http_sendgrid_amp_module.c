
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


#define NGX_HTTP_SENDGRID_AMP_FREE_PIECES  128  /* kept by a worker */


static ngx_int_t ngx_http_sendgrid_amp_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_sendgrid_amp_add_handler(ngx_conf_t *cf,
    ngx_uint_t phase, ngx_http_handler_pt handler);
static void *ngx_http_sendgrid_amp_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_sendgrid_amp_alloc(void *data, size_t size);
static void ngx_http_sendgrid_amp_free(void *data, void *p);
static void ngx_http_sendgrid_amp_cleanup_worker(void *data);


static ngx_http_module_t  ngx_http_sendgrid_amp_module_ctx = {
    ngx_http_sendgrid_amp_add_variables,    /* preconfiguration */
    ngx_http_sendgrid_amp_init,             /* postconfiguration */

    ngx_http_sendgrid_amp_create_main_conf, /* create main configuration */
    NULL,                                   /* init main configuration */

    NULL,                                   /* create server configuration */
    NULL,                                   /* merge server configuration */

    ngx_http_sendgrid_amp_create_loc_conf,  /* create location configuration */
    ngx_http_sendgrid_amp_merge_loc_conf    /* merge location configuration */
};


ngx_module_t  ngx_http_sendgrid_amp_module = {
    NGX_MODULE_V1,
    &ngx_http_sendgrid_amp_module_ctx,      /* module context */
    ngx_http_sendgrid_amp_commands,         /* module directives */
    NGX_HTTP_MODULE,                        /* module type */
    NULL,                                   /* init master */
    ngx_http_sendgrid_amp_init_dead_letters,/* init module */
    NULL,                                   /* init process */
    NULL,                                   /* init thread */
    NULL,                                   /* exit thread */
    NULL,                                   /* exit process */
    NULL,                                   /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_sendgrid_amp_init(ngx_conf_t *cf)
{
    ngx_http_sendgrid_amp_reply_filter_init();
    ngx_http_sendgrid_amp_call_filter_init();

    if (ngx_http_sendgrid_amp_add_handler(cf, NGX_HTTP_PREACCESS_PHASE,
                                       ngx_http_sendgrid_amp_preaccess_handler)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_sendgrid_amp_add_handler(cf, NGX_HTTP_PRECONTENT_PHASE,
                                      ngx_http_sendgrid_amp_precontent_handler)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_sendgrid_amp_count_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_sendgrid_amp_log_init(cf);
}


static ngx_int_t
ngx_http_sendgrid_amp_add_handler(ngx_conf_t *cf, ngx_uint_t phase,
    ngx_http_handler_pt handler)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[phase].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = handler;

    return NGX_OK;
}


static void *
ngx_http_sendgrid_amp_create_main_conf(ngx_conf_t *cf)
{
    ngx_pool_cleanup_t                 *cln;
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    cln = ngx_pool_cleanup_add(cf->pool,
                               sizeof(ngx_http_sendgrid_amp_main_conf_t));
    if (cln == NULL) {
        return NULL;
    }

    amcf = cln->data;
    ngx_memzero(amcf, sizeof(ngx_http_sendgrid_amp_main_conf_t));

    amcf->grow.alloc = ngx_http_sendgrid_amp_alloc;
    amcf->grow.free = ngx_http_sendgrid_amp_free;
    amcf->grow.data = cf->cycle->log;

    amcf->handler = ngx_http_sendgrid_amp_handler;

    amcf->pieces.grow = &amcf->grow;
    amcf->pieces.max = NGX_HTTP_SENDGRID_AMP_FREE_PIECES;

    cln->handler = ngx_http_sendgrid_amp_cleanup_worker;

    return amcf;
}


static void *
ngx_http_sendgrid_amp_alloc(void *data, size_t size)
{
    return ngx_alloc(size, ngx_cycle->log);
}


static void
ngx_http_sendgrid_amp_free(void *data, void *p)
{
    ngx_free(p);
}


static void
ngx_http_sendgrid_amp_cleanup_worker(void *data)
{
    ngx_http_sendgrid_amp_main_conf_t  *amcf = data;

    sgamp_pieces_done(&amcf->pieces);

    if (amcf->reserve.data != NULL) {
        ngx_free(amcf->reserve.data);
        amcf->reserve.data = NULL;
        amcf->reserve.len = 0;
    }
}
