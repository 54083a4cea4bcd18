
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


#define NGX_HTTP_SENDGRID_AMP_MAX_EVENTS       2000
#define NGX_HTTP_SENDGRID_AMP_MIN_BATCH        65536
#define NGX_HTTP_SENDGRID_AMP_MAX_BATCH        (20 * 1024 * 1024)
#define NGX_HTTP_SENDGRID_AMP_MAX_CONCURRENCY  16
#define NGX_HTTP_SENDGRID_AMP_MAX_RETRIES      100


static char *ngx_http_sendgrid_amp_check_file(ngx_conf_t *cf,
    ngx_str_t *value);
static char *ngx_http_sendgrid_amp_check_prefix(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_sendgrid_amp_check_events(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_sendgrid_amp_check_size(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_sendgrid_amp_check_concurrency(ngx_conf_t *cf,
    void *post, void *data);
static char *ngx_http_sendgrid_amp_check_event_size(ngx_conf_t *cf,
    void *post, void *data);
static char *ngx_http_sendgrid_amp_check_retries(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_sendgrid_amp_check_msec(ngx_conf_t *cf, void *post,
    void *data);


ngx_conf_post_t  ngx_http_sendgrid_amp_event_prefix_post = {
    ngx_http_sendgrid_amp_check_prefix
};

ngx_conf_post_t  ngx_http_sendgrid_amp_batch_events_post = {
    ngx_http_sendgrid_amp_check_events
};

ngx_conf_post_t  ngx_http_sendgrid_amp_batch_size_post = {
    ngx_http_sendgrid_amp_check_size
};

ngx_conf_post_t  ngx_http_sendgrid_amp_concurrency_post = {
    ngx_http_sendgrid_amp_check_concurrency
};

ngx_conf_post_t  ngx_http_sendgrid_amp_event_size_post = {
    ngx_http_sendgrid_amp_check_event_size
};

ngx_conf_post_t  ngx_http_sendgrid_amp_retries_post = {
    ngx_http_sendgrid_amp_check_retries
};

ngx_conf_post_t  ngx_http_sendgrid_amp_msec_post = {
    ngx_http_sendgrid_amp_check_msec
};


char *
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

    return ngx_http_sendgrid_amp_set_handler(cf,
                                             ngx_http_sendgrid_amp_handler);
}


char *
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


ngx_int_t
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


char *
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


char *
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


ngx_int_t
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


char *
ngx_http_sendgrid_amp_public_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_sendgrid_amp_loc_conf_t  *alcf = conf;

    ngx_str_t  *value;
    ngx_uint_t  i;

    if (alcf->public_keys != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        alcf->public_keys = NULL;
        return NGX_CONF_OK;
    }

    alcf->public_keys = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                         sizeof(EVP_PKEY *));
    if (alcf->public_keys == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "off") == 0) {
            return "has \"off\" among its keys";
        }

        if (ngx_http_sendgrid_amp_add_key(cf, alcf->public_keys, i)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


char *
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


char *
ngx_http_sendgrid_amp_users(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (cf->args->nelts - 1 > SGAMP_MAX_USER_KEYS) {
        return "has more than 16 names";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {
        if (value[i].len == 0) {
            return "has an empty name";
        }
    }

    return ngx_http_sendgrid_amp_names(cf, cmd, conf);
}


char *
ngx_http_sendgrid_amp_dead_letter(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_sendgrid_amp_loc_conf_t  *alcf = conf;

    char                               *rv;
    ngx_str_t                          *value;
    ngx_uint_t                          i;
    ngx_open_file_t                    *file;
    ngx_http_sendgrid_amp_file_t      **dead;
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    if (alcf->dead_letter != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        alcf->dead_letter = NULL;
        return NGX_CONF_OK;
    }

    rv = ngx_http_sendgrid_amp_check_file(cf, &value[1]);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    file = ngx_conf_open_file(cf->cycle, &value[1]);
    if (file == NULL) {
        return NGX_CONF_ERROR;
    }

    amcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_sendgrid_amp_module);

    if (amcf->dead_letters == NULL) {
        amcf->dead_letters = ngx_array_create(cf->pool, 1,
                                       sizeof(ngx_http_sendgrid_amp_file_t *));
        if (amcf->dead_letters == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    dead = amcf->dead_letters->elts;

    for (i = 0; i < amcf->dead_letters->nelts; i++) {
        if (dead[i]->file == file) {
            alcf->dead_letter = dead[i];
            return NGX_CONF_OK;
        }
    }

    dead = ngx_array_push(amcf->dead_letters);
    if (dead == NULL) {
        return NGX_CONF_ERROR;
    }

    *dead = ngx_pcalloc(cf->pool, sizeof(ngx_http_sendgrid_amp_file_t));
    if (*dead == NULL) {
        return NGX_CONF_ERROR;
    }

    (*dead)->file = file;
    alcf->dead_letter = *dead;

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_check_file(ngx_conf_t *cf, ngx_str_t *value)
{
    size_t            i;
    ngx_str_t         name;
    ngx_uint_t        n;
    ngx_file_info_t   fi;

    static const char *words[] = {
        "off", "on", "no", "yes", "none", "null", "all", "stdout", "stderr",
        "syslog", "memory", NULL
    };

    if (value->len == 0) {
        return "must name a file, or be \"off\"";
    }

    /* what other directives take would be the name of a file here */

    for (n = 0; words[n] != NULL; n++) {
        if (ngx_strcasecmp(value->data, (u_char *) words[n]) == 0) {
            return "must name a file, such as \"/dev/stderr\", or be \"off\"";
        }
    }

    if (value->data[0] == '|') {
        return "must name a file, not a command";
    }

    for (i = 0; i < value->len && value->data[i] != '/'; i++) {
        if (value->data[i] == ':') {
            return "must name a file, and takes no prefix such as \"syslog:\" "
                   "or \"memory:\"";
        }
    }

    if (ngx_strlchr(value->data, value->data + value->len, '$') != NULL) {
        return "must name a file, and takes no variables";
    }

    name = *value;

    if (ngx_conf_full_name(cf->cycle, &name, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (value->data[value->len - 1] == '/'
        || (ngx_file_info(name.data, &fi) != NGX_FILE_ERROR
            && ngx_is_dir(&fi)))
    {
        return "must name a file, not a directory";
    }

    return NGX_CONF_OK;
}


char *
ngx_http_sendgrid_amp_api_key(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "must not be empty";
    }

    if (ngx_strncmp(value[1].data, "SG.", 3) == 0) {
        return "must be an API key of Amplitude, not of SendGrid";
    }

    return ngx_http_set_complex_value_slot(cf, cmd, conf);
}


static char *
ngx_http_sendgrid_amp_check_prefix(ngx_conf_t *cf, void *post, void *data)
{
    ngx_http_sendgrid_amp_no_variable(cf, 1);

    return NGX_CONF_OK;
}


void
ngx_http_sendgrid_amp_no_variable(ngx_conf_t *cf, ngx_uint_t i)
{
    u_char     *p, *last, ch;
    ngx_str_t  *value;

    value = cf->args->elts;

    p = value[i].data;
    last = p + value[i].len;

    for ( ;; ) {
        p = ngx_strlchr(p, last, '$');

        if (p == NULL || ++p == last) {
            return;
        }

        ch = (u_char) (*p | 0x20);

        if (*p == '{' || *p == '_' || (ch >= 'a' && ch <= 'z')) {
            break;
        }
    }

    /* the parameter may be a secret */

    ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                       "parameter %ui of \"%V\" directive looks as if it had "
                       "a variable, and is taken as it is",
                       i, &value[0]);
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
