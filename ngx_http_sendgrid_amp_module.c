
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


#define NGX_HTTP_SENDGRID_AMP_MAX_SIZE         (20 * 1024 * 1024)
#define NGX_HTTP_SENDGRID_AMP_MAX_CONCURRENCY  16
#define NGX_HTTP_SENDGRID_AMP_MAX_RETRIES      100
#define NGX_HTTP_SENDGRID_AMP_FREE_PIECES      128  /* kept by a worker */


static char *ngx_http_sendgrid_amp_auth(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sendgrid_amp_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sendgrid_amp_check_concurrency(ngx_conf_t *cf,
    void *post, void *data);
static char *ngx_http_sendgrid_amp_check_event_size(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_sendgrid_amp_check_retries(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_sendgrid_amp_check_msec(ngx_conf_t *cf, void *post,
    void *data);
static void *ngx_http_sendgrid_amp_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_sendgrid_amp_alloc(void *data, size_t size);
static void ngx_http_sendgrid_amp_free(void *data, void *p);
static void ngx_http_sendgrid_amp_cleanup_worker(void *data);
static void *ngx_http_sendgrid_amp_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_sendgrid_amp_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_sendgrid_amp_default_secrets(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf);


/* Amplitude documents it for everyone */

static ngx_str_t  ngx_http_sendgrid_amp_public_secret =
    ngx_string("CJdAK9fWEn4dH2UzKht37sAM");


static ngx_conf_post_t  ngx_http_sendgrid_amp_concurrency_post = {
    ngx_http_sendgrid_amp_check_concurrency
};

static ngx_conf_post_t  ngx_http_sendgrid_amp_event_size_post = {
    ngx_http_sendgrid_amp_check_event_size
};

static ngx_conf_post_t  ngx_http_sendgrid_amp_retries_post = {
    ngx_http_sendgrid_amp_check_retries
};

static ngx_conf_post_t  ngx_http_sendgrid_amp_msec_post = {
    ngx_http_sendgrid_amp_check_msec
};


static ngx_command_t  ngx_http_sendgrid_amp_commands[] = {

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

      ngx_null_command
};


static ngx_http_module_t  ngx_http_sendgrid_amp_module_ctx = {
    NULL,                                   /* preconfiguration */
    NULL,                                   /* postconfiguration */

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
    NULL,                                   /* init module */
    NULL,                                   /* init process */
    NULL,                                   /* init thread */
    NULL,                                   /* exit thread */
    NULL,                                   /* exit process */
    NULL,                                   /* exit master */
    NGX_MODULE_V1_PADDING
};


static char *
ngx_http_sendgrid_amp_auth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sendgrid_amp_loc_conf_t  *alcf = conf;

    ngx_str_t  *value;

    if (alcf->auth != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "basic") == 0) {
        alcf->auth = NGX_HTTP_SENDGRID_AMP_AUTH_BASIC;

    } else if (ngx_strcmp(value[1].data, "off") == 0) {
        alcf->auth = NGX_HTTP_SENDGRID_AMP_AUTH_OFF;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value in \"%V\" directive, it must be "
                           "\"basic\" or \"off\"",
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sendgrid_amp_loc_conf_t  *alcf = conf;

    if (alcf->secrets != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    return ngx_http_sendgrid_amp_set_secrets(cf, &alcf->secrets);
}


static char *
ngx_http_sendgrid_amp_check_concurrency(ngx_conf_t *cf, void *post,
    void *data)
{
    ngx_uint_t  *n = data;

    if (*n < 1 || *n > NGX_HTTP_SENDGRID_AMP_MAX_CONCURRENCY) {
        return "must be between 1 and 16";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_check_event_size(ngx_conf_t *cf, void *post, void *data)
{
    size_t  *size = data;

    if (*size < 1 || *size > NGX_HTTP_SENDGRID_AMP_MAX_SIZE) {
        return "must be between 1 and 20m";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_check_retries(ngx_conf_t *cf, void *post, void *data)
{
    ngx_uint_t  *n = data;

    if (*n > NGX_HTTP_SENDGRID_AMP_MAX_RETRIES) {
        return "must be between 0 and 100";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_check_msec(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t  *msec = data;

    if (*msec == 0) {
        return "must be greater than 0";
    }

    return NGX_CONF_OK;
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


static void *
ngx_http_sendgrid_amp_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_sendgrid_amp_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_sendgrid_amp_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->flow = NULL;
     *     conf->region = NULL;
     */

    conf->auth = NGX_CONF_UNSET_UINT;
    conf->secrets = NGX_CONF_UNSET_PTR;
    conf->concurrency = NGX_CONF_UNSET_UINT;
    conf->max_event_size = NGX_CONF_UNSET_SIZE;
    conf->retries = NGX_CONF_UNSET_UINT;
    conf->retry_delay = NGX_CONF_UNSET_MSEC;
    conf->timeout = NGX_CONF_UNSET_MSEC;

    return conf;
}


static char *
ngx_http_sendgrid_amp_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_sendgrid_amp_loc_conf_t  *prev = parent;
    ngx_http_sendgrid_amp_loc_conf_t  *conf = child;

    ngx_str_t                  name;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* a block of "if" or "limit_except" is a part of its location */

    conf->internal = clcf->noname ? prev->internal
                                  : clcf->internal || clcf->named;

    ngx_conf_merge_uint_value(conf->auth, prev->auth,
                              NGX_HTTP_SENDGRID_AMP_AUTH_BASIC);
    ngx_conf_merge_ptr_value(conf->secrets, prev->secrets, NULL);
    ngx_conf_merge_uint_value(conf->concurrency, prev->concurrency, 2);
    ngx_conf_merge_size_value(conf->max_event_size, prev->max_event_size,
                              256 * 1024);
    ngx_conf_merge_uint_value(conf->retries, prev->retries, 2);
    ngx_conf_merge_msec_value(conf->retry_delay, prev->retry_delay, 500);
    ngx_conf_merge_msec_value(conf->timeout, prev->timeout, 25000);

    /* the blocks of "if" and "limit_except" are parts of their location */

    if (clcf->noname && conf->flow == NULL) {
        conf->region = prev->region;
        conf->flow = prev->flow;
    }

    if (conf->flow == NULL) {
        return NGX_CONF_OK;
    }

    name.data = (u_char *) conf->flow->name;
    name.len = ngx_strlen(name.data);

    if (ngx_http_sendgrid_amp_merge_handler(cf, ngx_http_sendgrid_amp_handler,
                                            &name)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (conf->secrets == NULL
        && ngx_http_sendgrid_amp_default_secrets(cf, conf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_default_secrets(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf)
{
    conf->secrets = ngx_array_create(cf->pool, 1,
                                     sizeof(ngx_http_sendgrid_amp_secret_t));
    if (conf->secrets == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_sendgrid_amp_add_secret(cf, conf->secrets,
                                         &ngx_http_sendgrid_amp_public_secret);
}
