
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


static ngx_command_t  ngx_http_sendgrid_amp_commands[] = {

    { ngx_string("sendgrid_amp"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_sendgrid_amp,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sendgrid_amp_auth"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_sendgrid_amp_auth,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sendgrid_amp_secret"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_sendgrid_amp_secret,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sendgrid_amp_api_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_sendgrid_amp_api_key,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, api_key),
      NULL },

    { ngx_string("sendgrid_amp_public_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_sendgrid_amp_public_key,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sendgrid_amp_signature"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_sendgrid_amp_signature,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sendgrid_amp_signature_window"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, signature_window),
      NULL },

    { ngx_string("sendgrid_amp_user_id"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_sendgrid_amp_users,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, users),
      NULL },

    { ngx_string("sendgrid_amp_lowercase"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, lowercase),
      NULL },

    { ngx_string("sendgrid_amp_event_prefix"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, event_prefix),
      &ngx_http_sendgrid_amp_event_prefix_post },

    { ngx_string("sendgrid_amp_event_name"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_http_sendgrid_amp_event_name,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sendgrid_amp_events"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_sendgrid_amp_events,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, set.events),
      (void *) "all" },

    { ngx_string("sendgrid_amp_ignore"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_sendgrid_amp_events,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, set.ignore),
      NULL },

    { ngx_string("sendgrid_amp_drop"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_sendgrid_amp_names,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, set.drop),
      NULL },

    { ngx_string("sendgrid_amp_keep"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_sendgrid_amp_names,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, set.keep),
      (void *) "all" },

    { ngx_string("sendgrid_amp_hash"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_sendgrid_amp_hash,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sendgrid_amp_property"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_http_sendgrid_amp_property,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sendgrid_amp_client_ip"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, set.client_ip),
      NULL },

    { ngx_string("sendgrid_amp_batch_events"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, batch_events),
      &ngx_http_sendgrid_amp_batch_events_post },

    { ngx_string("sendgrid_amp_batch_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, batch_size),
      &ngx_http_sendgrid_amp_batch_size_post },

    { ngx_string("sendgrid_amp_concurrency"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, concurrency),
      &ngx_http_sendgrid_amp_concurrency_post },

    { ngx_string("sendgrid_amp_max_event_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, max_event_size),
      &ngx_http_sendgrid_amp_event_size_post },

    { ngx_string("sendgrid_amp_retries"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, retries),
      &ngx_http_sendgrid_amp_retries_post },

    { ngx_string("sendgrid_amp_retry_delay"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, retry_delay),
      &ngx_http_sendgrid_amp_msec_post },

    { ngx_string("sendgrid_amp_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, timeout),
      &ngx_http_sendgrid_amp_msec_post },

    { ngx_string("sendgrid_amp_dead_letter"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_sendgrid_amp_dead_letter,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sendgrid_amp_dry_run"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, set.dry_run),
      NULL },

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
    if (ngx_http_sendgrid_amp_filter_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

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
