
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"

#include "sgamp_format.h"


#define NGX_HTTP_SENDGRID_AMP_MAX_EVENTS       2000
#define NGX_HTTP_SENDGRID_AMP_MIN_BATCH        65536
#define NGX_HTTP_SENDGRID_AMP_MAX_BATCH        (20 * 1024 * 1024)
#define NGX_HTTP_SENDGRID_AMP_MAX_CONCURRENCY  16
#define NGX_HTTP_SENDGRID_AMP_MAX_RETRIES      100


static char *ngx_http_sendgrid_amp(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sendgrid_amp_set_handler(ngx_conf_t *cf,
    ngx_http_handler_pt handler);
static ngx_int_t ngx_http_sendgrid_amp_check_handler(ngx_conf_t *cf,
    ngx_http_handler_pt handler, ngx_str_t *name);
static char *ngx_http_sendgrid_amp_auth(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sendgrid_amp_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_sendgrid_amp_add_secret(ngx_conf_t *cf,
    ngx_array_t *secrets, ngx_str_t *secret);
static char *ngx_http_sendgrid_amp_signature(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_sendgrid_amp_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sendgrid_amp_check_prefix(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_sendgrid_amp_check_events(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_sendgrid_amp_check_size(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_sendgrid_amp_check_concurrency(ngx_conf_t *cf,
    void *post, void *data);
static char *ngx_http_sendgrid_amp_check_event_size(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_sendgrid_amp_check_retries(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_sendgrid_amp_check_msec(ngx_conf_t *cf, void *post,
    void *data);
static ngx_int_t ngx_http_sendgrid_amp_merge_keys(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *prev,
    ngx_http_sendgrid_amp_loc_conf_t *conf);
static ngx_int_t ngx_http_sendgrid_amp_check_auth(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf);
static ngx_int_t ngx_http_sendgrid_amp_default_secrets(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf);
static ngx_int_t ngx_http_sendgrid_amp_merge_status(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *prev,
    ngx_http_sendgrid_amp_loc_conf_t *conf);


/* Amplitude documents it for everyone */

static ngx_str_t  ngx_http_sendgrid_amp_public_secret =
    ngx_string("CJdAK9fWEn4dH2UzKht37sAM");


static ngx_conf_post_t  ngx_http_sendgrid_amp_event_prefix_post = {
    ngx_http_sendgrid_amp_check_prefix
};

static ngx_conf_post_t  ngx_http_sendgrid_amp_batch_events_post = {
    ngx_http_sendgrid_amp_check_events
};

static ngx_conf_post_t  ngx_http_sendgrid_amp_batch_size_post = {
    ngx_http_sendgrid_amp_check_size
};

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


ngx_command_t  ngx_http_sendgrid_amp_commands[] = {

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
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, dry_run),
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


static char *
ngx_http_sendgrid_amp(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sendgrid_amp_loc_conf_t  *alcf = conf;

    ngx_str_t                        *value;
    ngx_http_compile_complex_value_t  ccv;

    if (alcf->region != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;

    alcf->region = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (alcf->region == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = alcf->region;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    /* a value that may be a secret is not logged, here and below */

    if (alcf->region->lengths == NULL
        && ngx_strcmp(value[1].data, "us") != 0
        && ngx_strcmp(value[1].data, "eu") != 0
        && (value[1].len == 0 || value[1].data[0] != '/'))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid region in \"%V\" directive, it must be "
                           "\"us\", \"eu\" or an internal location",
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    alcf->flow = &ngx_http_sendgrid_amp_events_flow;

    return ngx_http_sendgrid_amp_set_handler(cf,
                                             ngx_http_sendgrid_amp_handler);
}


static char *
ngx_http_sendgrid_amp_set_handler(ngx_conf_t *cf, ngx_http_handler_pt handler)
{
    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler == NULL) {
        clcf->handler = handler;
    }

    value = cf->args->elts;

    if (ngx_http_sendgrid_amp_check_handler(cf, handler, &value[0]) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_check_handler(ngx_conf_t *cf,
    ngx_http_handler_pt handler, ngx_str_t *name)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* NULL in a block of "if": the handler of the location stays */

    if (clcf->handler == NULL || clcf->handler == handler) {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" cannot share %slocation \"%V\" with another "
                       "directive that answers requests, such as "
                       "\"proxy_pass\": give each a location of its own",
                       name, clcf->noname ? "a block of " : "", &clcf->name);

    return NGX_ERROR;
}


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

    ngx_str_t  *value;
    ngx_uint_t  i;

    if (alcf->secrets != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    alcf->secrets = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                     sizeof(ngx_http_sendgrid_amp_secret_t));
    if (alcf->secrets == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].len == 0) {
            return "must not be empty";
        }

        ngx_http_sendgrid_amp_no_variable(cf, i);

        if (ngx_http_sendgrid_amp_add_secret(cf, alcf->secrets, &value[i])
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_add_secret(ngx_conf_t *cf, ngx_array_t *secrets,
    ngx_str_t *secret)
{
    ngx_http_sendgrid_amp_secret_t  *s;

    s = ngx_array_push(secrets);
    if (s == NULL) {
        return NGX_ERROR;
    }

    /* the first use: workers inherit the SHA-256 that OpenSSL fetches here */

    if (sgamp_sha256(s->digest, secret->data, secret->len) != SGAMP_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"sendgrid_amp_secret\" needs SHA-256, which the "
                           "OpenSSL library does not provide");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static char *
ngx_http_sendgrid_amp_signature(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_sendgrid_amp_loc_conf_t  *alcf = conf;

    ngx_str_t  *value;

    if (alcf->signature != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "on") == 0) {
        alcf->signature = NGX_HTTP_SENDGRID_AMP_SIGNATURE_ON;

    } else if (ngx_strcmp(value[1].data, "report") == 0) {
        alcf->signature = NGX_HTTP_SENDGRID_AMP_SIGNATURE_REPORT;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value in \"%V\" directive, it must be "
                           "\"on\" or \"report\"",
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sendgrid_amp_loc_conf_t  *alcf = conf;

    ngx_str_t  *value;

    if (alcf->status != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    alcf->status = SGAMP_FORMATS;

    if (cf->args->nelts == 2) {
        value = cf->args->elts;

        alcf->status = sgamp_format_lookup(value[1].data, value[1].len);

        if (alcf->status == SGAMP_FORMATS) {
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


static char *
ngx_http_sendgrid_amp_check_prefix(ngx_conf_t *cf, void *post, void *data)
{
    ngx_http_sendgrid_amp_no_variable(cf, 1);

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_check_events(ngx_conf_t *cf, void *post, void *data)
{
    ngx_uint_t  *n = data;

    if (*n < 1 || *n > NGX_HTTP_SENDGRID_AMP_MAX_EVENTS) {
        return "must be between 1 and 2000";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_check_size(ngx_conf_t *cf, void *post, void *data)
{
    size_t  *size = data;

    if (*size < NGX_HTTP_SENDGRID_AMP_MIN_BATCH
        || *size > NGX_HTTP_SENDGRID_AMP_MAX_BATCH)
    {
        return "must be between 64k and 20m";
    }

    return NGX_CONF_OK;
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

    if (*size < 1 || *size > NGX_HTTP_SENDGRID_AMP_MAX_BATCH) {
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
     *     conf->flow = NULL;
     *     conf->region = NULL;
     *     conf->api_key = NULL;
     *     conf->dry_run = NULL;
     *     conf->rules = NULL;
     *     conf->hash = NULL;
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

    if (conf->dry_run == NULL) {
        conf->dry_run = prev->dry_run;
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
        conf->flow = prev->flow;
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


static ngx_int_t
ngx_http_sendgrid_amp_merge_status(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *prev,
    ngx_http_sendgrid_amp_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t           *clcf;
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    static ngx_str_t  name = ngx_string("sendgrid_amp_status");

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* the blocks of "if" and "limit_except" are parts of their location */

    if (clcf->noname && conf->status == NGX_CONF_UNSET_UINT) {
        conf->status = prev->status;
    }

    if (conf->status == NGX_CONF_UNSET_UINT) {
        return NGX_OK;
    }

    if (clcf->lmt_excpt && clcf->handler == NULL) {
        clcf->handler = ngx_http_sendgrid_amp_status_handler;
    }

    if (ngx_http_sendgrid_amp_check_handler(cf,
                                          ngx_http_sendgrid_amp_status_handler,
                                          &name)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    amcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_sendgrid_amp_module);

    if (amcf->zone == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"sendgrid_amp_status\" in location \"%V\" "
                           "requires \"sendgrid_amp_zone\"",
                           &clcf->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}
