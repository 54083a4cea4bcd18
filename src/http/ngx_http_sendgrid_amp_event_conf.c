
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp_event.h"


#define NGX_HTTP_SENDGRID_AMP_MAX_EVENTS  2000
#define NGX_HTTP_SENDGRID_AMP_MIN_BATCH   65536
#define NGX_HTTP_SENDGRID_AMP_MAX_BATCH   (20 * 1024 * 1024)


/* set here, and not to "all" */

#define ngx_http_sendgrid_amp_is_list(names)                                  \
    ((names) != NULL && (names) != NGX_CONF_UNSET_PTR)


static char *ngx_http_sendgrid_amp(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sendgrid_amp_api_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sendgrid_amp_users(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sendgrid_amp_event_name(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_sendgrid_amp_events(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sendgrid_amp_names(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sendgrid_amp_hash(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sendgrid_amp_property(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sendgrid_amp_create_names(ngx_conf_t *cf,
    ngx_command_t *cmd, ngx_array_t **names);
static char *ngx_http_sendgrid_amp_add_name(ngx_conf_t *cf, ngx_array_t *names,
    ngx_uint_t i);
static char *ngx_http_sendgrid_amp_check_name(ngx_conf_t *cf, ngx_uint_t i);
static ngx_uint_t ngx_http_sendgrid_amp_has_escape(ngx_str_t *text);
static void ngx_http_sendgrid_amp_known_event(ngx_conf_t *cf,
    ngx_str_t *name);
static char *ngx_http_sendgrid_amp_hash_key(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_rules_conf_t *rcf, ngx_str_t *value);
static char *ngx_http_sendgrid_amp_check_prefix(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_sendgrid_amp_check_events(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_sendgrid_amp_check_size(ngx_conf_t *cf, void *post,
    void *data);
static void *ngx_http_sendgrid_amp_event_create_conf(ngx_conf_t *cf);
static char *ngx_http_sendgrid_amp_event_merge_conf(ngx_conf_t *cf,
    void *parent, void *child);
static ngx_int_t ngx_http_sendgrid_amp_check_auth(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_event_conf_t *conf);


/* keys of SendGrid's events: another letter case is another key */

static ngx_str_t  ngx_http_sendgrid_amp_sendgrid_keys[] = {
    ngx_string("amp_user_id"),
    ngx_string("category"),
    ngx_string("email"),
    ngx_string("event"),
    ngx_string("ip"),
    ngx_string("reason"),
    ngx_string("response"),
    ngx_string("sg_event_id"),
    ngx_string("sg_message_id"),
    ngx_string("smtp-id"),
    ngx_string("timestamp"),
    ngx_string("url"),
    ngx_string("useragent"),
    ngx_null_string
};


static ngx_conf_post_t  ngx_http_sendgrid_amp_event_prefix_post = {
    ngx_http_sendgrid_amp_check_prefix
};

static ngx_conf_post_t  ngx_http_sendgrid_amp_batch_events_post = {
    ngx_http_sendgrid_amp_check_events
};

static ngx_conf_post_t  ngx_http_sendgrid_amp_batch_size_post = {
    ngx_http_sendgrid_amp_check_size
};


static ngx_command_t  ngx_http_sendgrid_amp_event_commands[] = {

    { ngx_string("sendgrid_amp"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_sendgrid_amp,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, region),
      NULL },

    { ngx_string("sendgrid_amp_api_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_sendgrid_amp_api_key,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_event_conf_t, api_key),
      NULL },

    { ngx_string("sendgrid_amp_user_id"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_sendgrid_amp_users,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_event_conf_t, users),
      NULL },

    { ngx_string("sendgrid_amp_lowercase"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_event_conf_t, lowercase),
      NULL },

    { ngx_string("sendgrid_amp_event_prefix"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_event_conf_t, event_prefix),
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
      offsetof(ngx_http_sendgrid_amp_event_conf_t, set.events),
      (void *) "all" },

    { ngx_string("sendgrid_amp_ignore"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_sendgrid_amp_events,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_event_conf_t, set.ignore),
      NULL },

    { ngx_string("sendgrid_amp_drop"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_sendgrid_amp_names,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_event_conf_t, set.drop),
      NULL },

    { ngx_string("sendgrid_amp_keep"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_sendgrid_amp_names,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_event_conf_t, set.keep),
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
      offsetof(ngx_http_sendgrid_amp_event_conf_t, set.client_ip),
      NULL },

    { ngx_string("sendgrid_amp_batch_events"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_event_conf_t, batch_events),
      &ngx_http_sendgrid_amp_batch_events_post },

    { ngx_string("sendgrid_amp_batch_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_event_conf_t, batch_size),
      &ngx_http_sendgrid_amp_batch_size_post },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_sendgrid_amp_event_module_ctx = {
    NULL,                                   /* preconfiguration */
    NULL,                                   /* postconfiguration */
    NULL, NULL,                             /* main configuration */
    NULL, NULL,                             /* server configuration */
    ngx_http_sendgrid_amp_event_create_conf,
    ngx_http_sendgrid_amp_event_merge_conf
};


ngx_module_t  ngx_http_sendgrid_amp_event_module = {
    NGX_MODULE_V1,
    &ngx_http_sendgrid_amp_event_module_ctx,/* module context */
    ngx_http_sendgrid_amp_event_commands,   /* module directives */
    NGX_HTTP_MODULE,                        /* module type */
    NULL, NULL, NULL, NULL,                 /* init */
    NULL, NULL, NULL,                       /* exit */
    NGX_MODULE_V1_PADDING
};


static char *
ngx_http_sendgrid_amp(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_sendgrid_amp_set_flow(cf, cmd,
                                          &ngx_http_sendgrid_amp_events_flow);
}


static char *
ngx_http_sendgrid_amp_event_name(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_sendgrid_amp_event_conf_t  *ecf = conf;

    ngx_str_t      *value;
    ngx_uint_t      i;
    ngx_array_t   **names;
    ngx_keyval_t   *kv;

    value = cf->args->elts;
    names = &ecf->set.event_names;

    if (value[1].len == 0 || value[2].len == 0) {
        return "must not be empty";
    }

    if (*names == NGX_CONF_UNSET_PTR) {
        *names = ngx_array_create(cf->pool, 4, sizeof(ngx_keyval_t));
        if (*names == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    ngx_strlow(value[1].data, value[1].data, value[1].len);

    kv = (*names)->elts;

    for (i = 0; i < (*names)->nelts; i++) {
        if (kv[i].key.len == value[1].len
            && ngx_strncmp(kv[i].key.data, value[1].data, value[1].len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate event \"%V\" in \"%V\" directive",
                               &value[1], &cmd->name);
            return NGX_CONF_ERROR;
        }
    }

    kv = ngx_array_push(*names);
    if (kv == NULL) {
        return NGX_CONF_ERROR;
    }

    kv->key = value[1];
    kv->value = value[2];

    ngx_http_sendgrid_amp_no_variable(cf, 2);

    ngx_http_sendgrid_amp_known_event(cf, &value[1]);

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_events(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    char          *rv;
    ngx_str_t     *value;
    ngx_uint_t     i;
    ngx_array_t  **names;

    names = (ngx_array_t **) (p + cmd->offset);

    rv = ngx_http_sendgrid_amp_create_names(cf, cmd, names);

    if (rv != NGX_CONF_OK || *names == NULL) {
        return rv;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].len == 0) {
            return "must not be empty";
        }

        ngx_strlow(value[i].data, value[i].data, value[i].len);

        if (ngx_strcmp(value[i].data, "all") == 0) {
            return (cmd->post != NULL) ? "has \"all\" among other events"
                                       : "does not take \"all\"";
        }

        rv = ngx_http_sendgrid_amp_add_name(cf, *names, i);

        if (rv != NGX_CONF_OK) {
            return rv;
        }

        ngx_http_sendgrid_amp_known_event(cf, &value[i]);
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_create_names(ngx_conf_t *cf, ngx_command_t *cmd,
    ngx_array_t **names)
{
    ngx_str_t  *value;

    if (*names != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    /* the directives that take "all" have no names then */

    if (cmd->post != NULL
        && cf->args->nelts == 2
        && ngx_strcmp(value[1].data, "all") == 0)
    {
        *names = NULL;
        return NGX_CONF_OK;
    }

    *names = ngx_array_create(cf->pool, cf->args->nelts - 1,
                              sizeof(ngx_str_t));

    return (*names != NULL) ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static void
ngx_http_sendgrid_amp_known_event(ngx_conf_t *cf, ngx_str_t *name)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    /* it may be known to SendGrid one day */

    if (sgamp_kind_lookup(name->data, name->len) == SGAMP_KIND_OTHER) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "SendGrid is not known to have the event \"%V\" of "
                           "\"%V\" directive",
                           name, &value[0]);
    }
}


static char *
ngx_http_sendgrid_amp_add_name(ngx_conf_t *cf, ngx_array_t *names,
    ngx_uint_t i)
{
    ngx_str_t   *n, *value;
    ngx_uint_t   k;

    n = names->elts;
    value = cf->args->elts;

    for (k = 0; k < names->nelts; k++) {
        if (n[k].len == value[i].len
            && ngx_memcmp(n[k].data, value[i].data, value[i].len) == 0)
        {
            /* a name may be a secret that "key=" is missing before */

            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate name in parameter %ui of \"%V\" "
                               "directive",
                               i, &value[0]);
            return NGX_CONF_ERROR;
        }
    }

    n = ngx_array_push(names);
    if (n == NULL) {
        return NGX_CONF_ERROR;
    }

    *n = value[i];

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_check_name(ngx_conf_t *cf, ngx_uint_t i)
{
    size_t       len;
    u_char      *p;
    ngx_str_t   *value, *key;
    ngx_uint_t   k;

    value = cf->args->elts;

    p = value[i].data;
    len = value[i].len;

    if (len == 0) {
        return NGX_CONF_OK;
    }

    if (!ngx_http_sendgrid_amp_is_utf8(&value[i])) {
        return "has a name that is not UTF-8, as all keys are";
    }

    if (p[len - 1] == ',') {
        return "has a name that ends with \",\": blanks separate names";
    }

    ngx_http_sendgrid_amp_no_variable(cf, i);

    if (p[0] == ' ' || p[len - 1] == ' ') {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "parameter %ui of \"%V\" directive begins or ends "
                           "with a blank, which is part of the name",
                           i, &value[0]);
    }

    if (ngx_http_sendgrid_amp_has_escape(&value[i])) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "parameter %ui of \"%V\" directive has an escape "
                           "of JSON, and is compared with decoded keys",
                           i, &value[0]);
    }

    for (k = 0; ngx_http_sendgrid_amp_sendgrid_keys[k].len != 0; k++) {
        key = &ngx_http_sendgrid_amp_sendgrid_keys[k];

        if (key->len == len
            && ngx_strncasecmp(key->data, p, len) == 0
            && ngx_strncmp(key->data, p, len) != 0)
        {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "parameter %ui of \"%V\" directive is not "
                               "SendGrid's key \"%V\", the letter case "
                               "differs",
                               i, &value[0], key);
        }
    }

    return NGX_CONF_OK;
}


static ngx_uint_t
ngx_http_sendgrid_amp_has_escape(ngx_str_t *text)
{
    size_t  i, k;
    u_char  ch;

    for (i = 0; i + 6 <= text->len; i++) {

        if (text->data[i] != '\\' || text->data[i + 1] != 'u') {
            continue;
        }

        for (k = i + 2; k < i + 6; k++) {
            ch = (u_char) (text->data[k] | 0x20);

            if ((ch < '0' || ch > '9') && (ch < 'a' || ch > 'f')) {
                break;
            }
        }

        if (k == i + 6) {
            return 1;
        }
    }

    return 0;
}


static char *
ngx_http_sendgrid_amp_names(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    char                                *rv;
    ngx_uint_t                           i;
    ngx_array_t                        **names;
    ngx_http_sendgrid_amp_event_conf_t  *ecf;

    ecf = conf;
    names = (ngx_array_t **) (p + cmd->offset);

    rv = ngx_http_sendgrid_amp_create_names(cf, cmd, names);

    if (rv != NGX_CONF_OK || *names == NULL) {
        return rv;
    }

    if (ngx_http_sendgrid_amp_is_list(ecf->set.drop)
        && ngx_http_sendgrid_amp_is_list(ecf->set.keep))
    {
        return "is duplicate: \"sendgrid_amp_drop\" and \"sendgrid_amp_keep\" "
               "exclude each other";
    }

    for (i = 1; i < cf->args->nelts; i++) {
        rv = ngx_http_sendgrid_amp_check_name(cf, i);

        if (rv == NGX_CONF_OK) {
            rv = ngx_http_sendgrid_amp_add_name(cf, *names, i);
        }

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_hash(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sendgrid_amp_event_conf_t  *ecf = conf;

    char                                *rv;
    ngx_str_t                           *value;
    ngx_uint_t                           i;
    ngx_http_sendgrid_amp_rules_conf_t  *rcf;

    rcf = &ecf->set;

    rv = ngx_http_sendgrid_amp_create_names(cf, cmd, &rcf->hash);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "key=", 4) == 0) {
            rv = ngx_http_sendgrid_amp_hash_key(cf, rcf, &value[i]);

        } else if (ngx_strlchr(value[i].data, value[i].data + value[i].len, '=')
                   != NULL)
        {
            /* a mistaken key would hash without one, and is not logged */

            return "has a name with \"=\", and no \"key\" in lower case, "
                   "without blanks, before it";

        } else {
            rv = ngx_http_sendgrid_amp_check_name(cf, i);

            if (rv == NGX_CONF_OK) {
                rv = ngx_http_sendgrid_amp_add_name(cf, rcf->hash, i);
            }
        }

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (rcf->hash->nelts == 0) {
        return "has a \"key\" without names";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_hash_key(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_rules_conf_t *rcf, ngx_str_t *value)
{
    if (rcf->hash_key.data != NULL) {
        return "has more than one \"key\"";
    }

    rcf->hash_key.len = value->len - 4;
    rcf->hash_key.data = value->data + 4;

    if (rcf->hash_key.len == 0) {
        return "has an empty \"key\"";
    }

    if (ngx_http_sendgrid_amp_read_secret(cf, &rcf->hash_key) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_property(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sendgrid_amp_event_conf_t  *ecf = conf;

    char                               *rv;
    ngx_str_t                          *value;
    ngx_uint_t                          i;
    sgamp_str_t                         quote;
    ngx_array_t                       **properties;
    ngx_http_compile_complex_value_t    ccv;
    ngx_http_sendgrid_amp_property_t   *p;

    value = cf->args->elts;
    properties = &ecf->set.properties;

    rv = ngx_http_sendgrid_amp_check_name(cf, 1);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (*properties == NGX_CONF_UNSET_PTR) {
        *properties = ngx_array_create(cf->pool, 4,
                                     sizeof(ngx_http_sendgrid_amp_property_t));
        if (*properties == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    p = (*properties)->elts;

    for (i = 0; i < (*properties)->nelts; i++) {
        if (p[i].name.len == value[1].len
            && ngx_memcmp(p[i].name.data, value[1].data, value[1].len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate property \"%V\" in \"%V\" directive",
                               &value[1], &cmd->name);
            return NGX_CONF_ERROR;
        }
    }

    if ((*properties)->nelts == SGAMP_MAX_PROPERTIES) {
        return "is there more than 16 times";
    }

    p = ngx_array_push(*properties);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    p->name.len = value[1].len;
    p->name.data = value[1].data;

    quote.len = 1;
    quote.data = (u_char *) "\"";

    if (ngx_http_sendgrid_amp_escape(cf->pool, &p->head, &quote, &value[1],
                                     "\":\"")
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[2];
    ccv.complex_value = &p->value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
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


static void *
ngx_http_sendgrid_amp_event_create_conf(ngx_conf_t *cf)
{
    ngx_http_sendgrid_amp_event_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_sendgrid_amp_event_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->api_key = NULL;
     *     conf->event_prefix = { 0, NULL };
     *     conf->set.hash_key = { 0, NULL };
     *     conf->rules = NULL;
     *     conf->hash = NULL;
     */

    conf->users = NGX_CONF_UNSET_PTR;
    conf->lowercase = NGX_CONF_UNSET;
    conf->batch_events = NGX_CONF_UNSET_UINT;
    conf->batch_size = NGX_CONF_UNSET_SIZE;

    conf->set.event_names = NGX_CONF_UNSET_PTR;
    conf->set.events = NGX_CONF_UNSET_PTR;
    conf->set.ignore = NGX_CONF_UNSET_PTR;
    conf->set.drop = NGX_CONF_UNSET_PTR;
    conf->set.keep = NGX_CONF_UNSET_PTR;
    conf->set.hash = NGX_CONF_UNSET_PTR;
    conf->set.properties = NGX_CONF_UNSET_PTR;
    conf->set.client_ip = NGX_CONF_UNSET;

    return conf;
}


static char *
ngx_http_sendgrid_amp_event_merge_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_sendgrid_amp_event_conf_t  *prev = parent;
    ngx_http_sendgrid_amp_event_conf_t  *conf = child;

    ngx_http_sendgrid_amp_loc_conf_t  *alcf;

    if (conf->api_key == NULL) {
        conf->api_key = prev->api_key;
    }

    ngx_conf_merge_ptr_value(conf->users, prev->users, NULL);
    ngx_conf_merge_value(conf->lowercase, prev->lowercase, 0);
    ngx_conf_merge_str_value(conf->event_prefix, prev->event_prefix,
                             "[Sendgrid] ");
    ngx_conf_merge_uint_value(conf->batch_events, prev->batch_events, 1000);
    ngx_conf_merge_size_value(conf->batch_size, prev->batch_size,
                              900 * 1024);

    if (conf->set.hash == NGX_CONF_UNSET_PTR) {
        conf->set.hash_key = prev->set.hash_key;
    }

    ngx_conf_merge_ptr_value(conf->set.event_names, prev->set.event_names,
                             NULL);
    ngx_conf_merge_ptr_value(conf->set.events, prev->set.events, NULL);
    ngx_conf_merge_ptr_value(conf->set.ignore, prev->set.ignore, NULL);
    ngx_conf_merge_ptr_value(conf->set.drop, prev->set.drop, NULL);
    ngx_conf_merge_ptr_value(conf->set.keep, prev->set.keep, NULL);
    ngx_conf_merge_ptr_value(conf->set.hash, prev->set.hash, NULL);
    ngx_conf_merge_ptr_value(conf->set.properties, prev->set.properties, NULL);
    ngx_conf_merge_value(conf->set.client_ip, prev->set.client_ip, 0);

    /* the main module has merged its own configuration before */

    alcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_sendgrid_amp_module);

    if (alcf->flow != &ngx_http_sendgrid_amp_events_flow) {
        return NGX_CONF_OK;
    }

    /* variables in the API key mean that the request may hold the key */

    alcf->keyed = (alcf->auth == NGX_HTTP_SENDGRID_AMP_AUTH_OFF
                   || (conf->api_key != NULL
                       && conf->api_key->lengths != NULL));

    if (ngx_http_sendgrid_amp_check_auth(cf, conf) != NGX_OK
        || ngx_http_sendgrid_amp_create_rules(cf, conf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_check_auth(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_event_conf_t *conf)
{
    ngx_http_core_loc_conf_t          *clcf;
    ngx_http_sendgrid_amp_key_conf_t  *kcf;
    ngx_http_sendgrid_amp_loc_conf_t  *alcf;

    alcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_sendgrid_amp_module);

    if (alcf->auth != NGX_HTTP_SENDGRID_AMP_AUTH_OFF) {
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

    kcf = ngx_http_conf_get_module_loc_conf(cf,
                                            ngx_http_sendgrid_amp_key_module);

    if (kcf->keys == NULL) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "with \"sendgrid_amp_auth off\" and no public key "
                           "anybody can post to location \"%V\"",
                           &clcf->name);
    }

    return NGX_OK;
}
