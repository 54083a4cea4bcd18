
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


static ngx_int_t ngx_http_sendgrid_amp_merge_keys(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *prev,
    ngx_http_sendgrid_amp_loc_conf_t *conf);
static ngx_int_t ngx_http_sendgrid_amp_check_auth(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf);
static ngx_int_t ngx_http_sendgrid_amp_default_secrets(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf);


/* Amplitude documents it for everyone */

static ngx_str_t  ngx_http_sendgrid_amp_public_secret =
    ngx_string("CJdAK9fWEn4dH2UzKht37sAM");


void *
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
     *     conf->region = NULL;
     *     conf->api_key = NULL;
     *     conf->rules = NULL;
     *     conf->keys = NULL;
     */

    conf->auth = NGX_CONF_UNSET_UINT;
    conf->secrets = NGX_CONF_UNSET_PTR;
    conf->public_keys = NGX_CONF_UNSET_PTR;
    conf->signature = NGX_CONF_UNSET_UINT;
    conf->signature_window = NGX_CONF_UNSET;
    conf->users = NGX_CONF_UNSET_PTR;
    conf->lowercase = NGX_CONF_UNSET;
    conf->event_prefix.data = NULL;
    conf->batch_events = NGX_CONF_UNSET_UINT;
    conf->batch_size = NGX_CONF_UNSET_SIZE;
    conf->concurrency = NGX_CONF_UNSET_UINT;
    conf->max_event_size = NGX_CONF_UNSET_SIZE;
    conf->retries = NGX_CONF_UNSET_UINT;
    conf->retry_delay = NGX_CONF_UNSET_MSEC;
    conf->timeout = NGX_CONF_UNSET_MSEC;
    conf->dead_letter = NGX_CONF_UNSET_PTR;
    conf->status = NGX_CONF_UNSET_UINT;

    ngx_http_sendgrid_amp_init_rules(&conf->set);

    return conf;
}


char *
ngx_http_sendgrid_amp_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_sendgrid_amp_loc_conf_t  *prev = parent;
    ngx_http_sendgrid_amp_loc_conf_t  *conf = child;

    ngx_http_core_loc_conf_t           *clcf;
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    static ngx_str_t  name = ngx_string("sendgrid_amp");

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* a block of "if" or "limit_except" is a part of its location */

    conf->internal = clcf->noname ? prev->internal
                                  : clcf->internal || clcf->named;

    if (conf->api_key == NULL) {
        conf->api_key = prev->api_key;
    }

    ngx_conf_merge_uint_value(conf->auth, prev->auth,
                              NGX_HTTP_SENDGRID_AMP_AUTH_BASIC);
    ngx_conf_merge_ptr_value(conf->secrets, prev->secrets, NULL);
    ngx_conf_merge_sec_value(conf->signature_window, prev->signature_window,
                             0);
    ngx_conf_merge_ptr_value(conf->users, prev->users, NULL);
    ngx_conf_merge_value(conf->lowercase, prev->lowercase, 0);
    ngx_conf_merge_str_value(conf->event_prefix, prev->event_prefix,
                             "[Sendgrid] ");
    ngx_conf_merge_uint_value(conf->batch_events, prev->batch_events, 1000);
    ngx_conf_merge_size_value(conf->batch_size, prev->batch_size,
                              900 * 1024);
    ngx_conf_merge_uint_value(conf->concurrency, prev->concurrency, 2);
    ngx_conf_merge_size_value(conf->max_event_size, prev->max_event_size,
                              256 * 1024);
    ngx_conf_merge_uint_value(conf->retries, prev->retries, 2);
    ngx_conf_merge_msec_value(conf->retry_delay, prev->retry_delay, 500);
    ngx_conf_merge_msec_value(conf->timeout, prev->timeout, 25000);
    ngx_conf_merge_ptr_value(conf->dead_letter, prev->dead_letter, NULL);

    ngx_http_sendgrid_amp_merge_rules(&prev->set, &conf->set);

    /* the blocks of "if" and "limit_except" are parts of their location */

    if (clcf->noname && conf->region == NULL) {
        conf->region = prev->region;
    }

    if (ngx_http_sendgrid_amp_merge_keys(cf, prev, conf) != NGX_OK
        || ngx_http_sendgrid_amp_merge_status(cf, prev, conf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (conf->region == NULL) {
        return NGX_CONF_OK;
    }

    amcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_sendgrid_amp_module);
    amcf->used = 1;

    if (ngx_http_sendgrid_amp_add_log(cf, clcf->error_log) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (clcf->lmt_excpt && clcf->handler == NULL) {
        clcf->handler = ngx_http_sendgrid_amp_handler;
    }

    if (ngx_http_sendgrid_amp_check_handler(cf, ngx_http_sendgrid_amp_handler,
                                            &name)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_sendgrid_amp_check_auth(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (conf->secrets == NULL
        && ngx_http_sendgrid_amp_default_secrets(cf, conf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_sendgrid_amp_create_rules(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_merge_keys(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *prev,
    ngx_http_sendgrid_amp_loc_conf_t *conf)
{
    ngx_uint_t  signature;

    /* what was set stays known, so that "off" is no missing key */

    signature = conf->signature;

    if (conf->signature == NGX_CONF_UNSET_UINT) {
        conf->signature = prev->signature;
    }

    if (conf->public_keys == NGX_CONF_UNSET_PTR) {
        conf->public_keys = prev->public_keys;
    }

    if (conf->public_keys != NGX_CONF_UNSET_PTR) {
        conf->keys = conf->public_keys;
    }

    if (conf->region != NULL
        && conf->keys == NULL
        && (signature != NGX_CONF_UNSET_UINT
            || (conf->signature != NGX_CONF_UNSET_UINT
                && conf->public_keys == NGX_CONF_UNSET_PTR)))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"sendgrid_amp_signature\" requires "
                           "\"sendgrid_amp_public_key\"");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_check_auth(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (conf->auth != NGX_HTTP_SENDGRID_AMP_AUTH_OFF) {
        return NGX_OK;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->api_key == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"sendgrid_amp_auth off\" requires "
                           "\"sendgrid_amp_api_key\" in location \"%V\"",
                           &clcf->name);
        return NGX_ERROR;
    }

    if (conf->keys == NULL) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "with \"sendgrid_amp_auth off\" and no public key "
                           "anybody can post to location \"%V\"",
                           &clcf->name);
    }

    return NGX_OK;
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
