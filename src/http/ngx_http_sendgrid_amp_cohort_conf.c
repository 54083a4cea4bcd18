
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp_cohort.h"


#define NGX_HTTP_SENDGRID_AMP_MAX_CONTACTS  30000  /* of a PUT */
#define NGX_HTTP_SENDGRID_AMP_MAX_PREFIX    64     /* bytes */


static char *ngx_http_sendgrid_amp_cohorts(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sendgrid_amp_cohort_secret(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_sendgrid_amp_marketing_key(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_sendgrid_amp_list_prefix(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_sendgrid_amp_list_id(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_sendgrid_amp_contact(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_sendgrid_amp_add_field(ngx_conf_t *cf,
    ngx_array_t *fields, ngx_str_t *value, ngx_uint_t n);
static ngx_uint_t ngx_http_sendgrid_amp_is_field_name(ngx_str_t *name);
static char *ngx_http_sendgrid_amp_check_contacts(ngx_conf_t *cf, void *post,
    void *data);
static char *ngx_http_sendgrid_amp_check_time(ngx_conf_t *cf, void *post,
    void *data);
static void *ngx_http_sendgrid_amp_cohort_create_conf(ngx_conf_t *cf);
static char *ngx_http_sendgrid_amp_cohort_merge_conf(ngx_conf_t *cf,
    void *parent, void *child);
static ngx_int_t ngx_http_sendgrid_amp_default_fields(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_cohort_conf_t *conf);
static ngx_int_t ngx_http_sendgrid_amp_check_cohorts(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_cohort_conf_t *conf);
static ngx_int_t ngx_http_sendgrid_amp_create_contact_rules(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_cohort_conf_t *conf);


static ngx_conf_post_t  ngx_http_sendgrid_amp_contacts_post = {
    ngx_http_sendgrid_amp_check_contacts
};

static ngx_conf_post_t  ngx_http_sendgrid_amp_time_post = {
    ngx_http_sendgrid_amp_check_time
};


static ngx_command_t  ngx_http_sendgrid_amp_cohort_commands[] = {

    { ngx_string("sendgrid_amp_cohorts"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_sendgrid_amp_cohorts,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_loc_conf_t, region),
      NULL },

    { ngx_string("sendgrid_amp_cohort_secret"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_sendgrid_amp_cohort_secret,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sendgrid_amp_marketing_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_sendgrid_amp_marketing_key,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_cohort_conf_t, key),
      NULL },

    { ngx_string("sendgrid_amp_list_prefix"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_sendgrid_amp_list_prefix,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sendgrid_amp_list_id"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_sendgrid_amp_list_id,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_cohort_conf_t, list_id),
      NULL },

    { ngx_string("sendgrid_amp_contact"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_2MORE,
      ngx_http_sendgrid_amp_contact,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sendgrid_amp_contact_batch"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_cohort_conf_t, batch),
      &ngx_http_sendgrid_amp_contacts_post },

    { ngx_string("sendgrid_amp_apply_window"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_cohort_conf_t, window),
      NULL },

    { ngx_string("sendgrid_amp_cohort_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_cohort_conf_t, timeout),
      &ngx_http_sendgrid_amp_time_post },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_sendgrid_amp_cohort_module_ctx = {
    ngx_http_sendgrid_amp_cohort_variables, /* preconfiguration */
    NULL,                                   /* postconfiguration */
    NULL, NULL,                             /* main configuration */
    NULL, NULL,                             /* server configuration */
    ngx_http_sendgrid_amp_cohort_create_conf,
    ngx_http_sendgrid_amp_cohort_merge_conf
};


ngx_module_t  ngx_http_sendgrid_amp_cohort_module = {
    NGX_MODULE_V1,
    &ngx_http_sendgrid_amp_cohort_module_ctx,
    ngx_http_sendgrid_amp_cohort_commands,  /* module directives */
    NGX_HTTP_MODULE,                        /* module type */
    NULL, NULL, NULL, NULL,                 /* init */
    NULL, NULL, NULL,                       /* exit */
    NGX_MODULE_V1_PADDING
};


static char *
ngx_http_sendgrid_amp_cohorts(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_http_sendgrid_amp_set_flow(cf, cmd,
                                          &ngx_http_sendgrid_amp_cohorts_flow);
}


static char *
ngx_http_sendgrid_amp_cohort_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_sendgrid_amp_cohort_conf_t  *ccf = conf;

    ngx_str_t   *value;
    ngx_uint_t   i;

    if (ccf->secrets != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        ccf->secrets = NULL;
        return NGX_CONF_OK;
    }

    for (i = 1; i < cf->args->nelts; i++) {
        if (ngx_strcmp(value[i].data, "off") == 0) {
            return "has \"off\" among its secrets";
        }
    }

    return ngx_http_sendgrid_amp_set_secrets(cf, &ccf->secrets);
}


static char *
ngx_http_sendgrid_amp_marketing_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_sendgrid_amp_cohort_conf_t  *ccf = conf;

    char       *rv;
    ngx_str_t  *key;

    rv = ngx_http_set_complex_value_slot(cf, cmd, conf);

    if (rv != NGX_CONF_OK || ccf->key->lengths != NULL) {
        return rv;
    }

    key = &ccf->key->value;

    if (ngx_http_sendgrid_amp_read_secret(cf, key) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (key->len == 0) {
        return "must not be empty";
    }

    if (!ngx_http_sendgrid_amp_is_key(key)) {
        return "has a key with a character that no key of SendGrid has";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_list_prefix(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_sendgrid_amp_cohort_conf_t  *ccf = conf;

    ngx_str_t  *value;

    if (ccf->prefix.data != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len > NGX_HTTP_SENDGRID_AMP_MAX_PREFIX) {
        return "must not be longer than 64 bytes";
    }

    if (!ngx_http_sendgrid_amp_is_utf8(&value[1])) {
        return "must be UTF-8";
    }

    ngx_http_sendgrid_amp_no_variable(cf, 1);

    ccf->prefix = value[1];

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_list_id(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sendgrid_amp_cohort_conf_t  *ccf = conf;

    char                      *rv;
    u_char                     id[SGAMP_UUID_LEN];
    ngx_http_complex_value_t  *list_id;

    rv = ngx_http_set_complex_value_slot(cf, cmd, conf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    list_id = ccf->list_id;

    if (list_id->lengths == NULL
        && list_id->value.len != 0
        && !sgamp_uuid(id, list_id->value.data, list_id->value.len))
    {
        return "must be the id of a list, a UUID";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_contact(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sendgrid_amp_cohort_conf_t  *ccf = conf;

    ngx_str_t              *value;
    ngx_uint_t              i;
    sgamp_contact_field_t  *field;

    value = cf->args->elts;

    if (ccf->fields == NGX_CONF_UNSET_PTR) {
        ccf->fields = ngx_array_create(cf->pool, 4,
                                       sizeof(sgamp_contact_field_t));
        if (ccf->fields == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].len == 0) {
            return "must not have an empty parameter";
        }

        if (!ngx_http_sendgrid_amp_is_utf8(&value[i])) {
            return "has a name that is not UTF-8, as all keys are";
        }

        if (i > 1) {
            ngx_http_sendgrid_amp_no_variable(cf, i);
        }
    }

    if (cf->args->nelts - 2 > SGAMP_CONTACT_PROPERTIES) {
        return "must not have more than 8 properties";
    }

    field = ccf->fields->elts;

    for (i = 0; i < ccf->fields->nelts; i++) {

        if (field[i].name.len == value[1].len
            && ngx_strncasecmp(field[i].name.data, value[1].data,
                               value[1].len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate field \"%V\" in \"%V\" directive",
                               &value[1], &cmd->name);
            return NGX_CONF_ERROR;
        }
    }

    if (ccf->fields->nelts == SGAMP_CONTACT_FIELDS) {
        return "must not be repeated more than 16 times";
    }

    if (!ngx_http_sendgrid_amp_is_field_name(&value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid field \"%V\" in \"%V\" directive, it must "
                           "be \"email\", \"first_name\", \"last_name\", "
                           "\"external_id\" or the name of a custom field, "
                           "which has letters, digits and \"_\"",
                           &value[1], &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_sendgrid_amp_add_field(cf, ccf->fields, &value[1],
                                        cf->args->nelts - 2)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_add_field(ngx_conf_t *cf, ngx_array_t *fields,
    ngx_str_t *value, ngx_uint_t n)
{
    ngx_uint_t              i;
    sgamp_contact_field_t  *field;

    /* in the order of sgamp_field_e */

    static char  *kinds[] = {
        "email", "first_name", "last_name", "external_id"
    };

    field = ngx_array_push(fields);
    if (field == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(field, sizeof(sgamp_contact_field_t));

    field->kind = SGAMP_FIELD_CUSTOM;
    field->name.data = value[0].data;
    field->name.len = value[0].len;

    for (i = 0; i < SGAMP_FIELD_CUSTOM; i++) {

        if (ngx_strlen(kinds[i]) == value[0].len
            && ngx_strncasecmp((u_char *) kinds[i], value[0].data,
                               value[0].len)
               == 0)
        {
            field->kind = (sgamp_field_e) i;
        }
    }

    for (i = 0; i < n; i++) {
        field->properties[i].data = value[i + 1].data;
        field->properties[i].len = value[i + 1].len;
    }

    field->n = (unsigned) n;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_sendgrid_amp_is_field_name(ngx_str_t *name)
{
    u_char      ch;
    ngx_uint_t  i;

    for (i = 0; i < name->len; i++) {
        ch = (u_char) (name->data[i] | 0x20);

        if (!(ch >= 'a' && ch <= 'z')
            && !(name->data[i] >= '0' && name->data[i] <= '9')
            && name->data[i] != '_')
        {
            return 0;
        }
    }

    return name->len <= SGAMP_LIST_NAME;
}


static char *
ngx_http_sendgrid_amp_check_contacts(ngx_conf_t *cf, void *post, void *data)
{
    ngx_uint_t  *n = data;

    if (*n < 1 || *n > NGX_HTTP_SENDGRID_AMP_MAX_CONTACTS) {
        return "must be between 1 and 30000";
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_check_time(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t  *msec = data;

    if (*msec == 0) {
        return "must be greater than 0";
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_sendgrid_amp_cohort_create_conf(ngx_conf_t *cf)
{
    ngx_http_sendgrid_amp_cohort_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_sendgrid_amp_cohort_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->key = NULL;
     *     conf->prefix = { 0, NULL };
     *     conf->list_id = NULL;
     *     conf->rules = NULL;
     *     conf->zone = NULL;
     */

    conf->secrets = NGX_CONF_UNSET_PTR;
    conf->fields = NGX_CONF_UNSET_PTR;
    conf->batch = NGX_CONF_UNSET_UINT;
    conf->window = NGX_CONF_UNSET_MSEC;
    conf->timeout = NGX_CONF_UNSET_MSEC;

    return conf;
}


static char *
ngx_http_sendgrid_amp_cohort_merge_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_sendgrid_amp_cohort_conf_t  *prev = parent;
    ngx_http_sendgrid_amp_cohort_conf_t  *conf = child;

    ngx_http_sendgrid_amp_loc_conf_t  *alcf;

    ngx_conf_merge_ptr_value(conf->secrets, prev->secrets,
                             NGX_CONF_UNSET_PTR);
    ngx_conf_merge_ptr_value(conf->fields, prev->fields, NGX_CONF_UNSET_PTR);
    ngx_conf_merge_str_value(conf->prefix, prev->prefix, "[Amplitude] ");
    ngx_conf_merge_uint_value(conf->batch, prev->batch, 5000);
    ngx_conf_merge_msec_value(conf->window, prev->window, 45000);
    ngx_conf_merge_msec_value(conf->timeout, prev->timeout, 300000);

    if (conf->key == NULL) {
        conf->key = prev->key;
    }

    if (conf->list_id == NULL) {
        conf->list_id = prev->list_id;
    }

    /* the main module has merged its own configuration before */

    alcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_sendgrid_amp_module);

    if (alcf->flow != &ngx_http_sendgrid_amp_cohorts_flow) {
        return NGX_CONF_OK;
    }

    alcf->timeout = conf->timeout;

    /* variables in the key mean that the request may hold the key */

    alcf->keyed = (conf->key != NULL && conf->key->lengths != NULL);

    if (ngx_http_sendgrid_amp_check_cohorts(cf, conf) != NGX_OK
        || ngx_http_sendgrid_amp_default_fields(cf, conf) != NGX_OK
        || ngx_http_sendgrid_amp_create_contact_rules(cf, conf) != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    alcf->secrets = conf->secrets;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_check_cohorts(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_cohort_conf_t *conf)
{
    char                      *missing;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    conf->zone = ngx_http_conf_get_module_main_conf(cf,
                                    ngx_http_sendgrid_amp_cohort_zone_module);

    missing = NULL;

    if (conf->secrets == NGX_CONF_UNSET_PTR) {
        missing = "sendgrid_amp_cohort_secret";

    } else if (conf->key == NULL) {
        missing = "sendgrid_amp_marketing_key";

    } else if (conf->zone->zone == NULL) {
        missing = "sendgrid_amp_cohort_zone";
    }

    if (missing != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"sendgrid_amp_cohorts\" in location \"%V\" "
                           "requires \"%s\"",
                           &clcf->name, missing);
        return NGX_ERROR;
    }

    if (conf->secrets == NULL) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "with \"sendgrid_amp_cohort_secret off\" anybody "
                           "can change lists by location \"%V\"",
                           &clcf->name);
    }

    if (conf->window == 0) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "with \"sendgrid_amp_apply_window 0\" a contact "
                           "that is added and removed within a minute may end "
                           "on the list or not, in location \"%V\"",
                           &clcf->name);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_default_fields(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_cohort_conf_t *conf)
{
    ngx_uint_t              i, n;
    ngx_array_t            *fields;
    sgamp_contact_field_t  *field;

    static ngx_str_t  email[] = {
        ngx_string("email"), ngx_string("email"), ngx_string("user_id")
    };

    static ngx_str_t  first_name[] = {
        ngx_string("first_name"), ngx_string("first_name")
    };

    static ngx_str_t  last_name[] = {
        ngx_string("last_name"), ngx_string("last_name")
    };

    if (conf->fields != NGX_CONF_UNSET_PTR) {
        field = conf->fields->elts;
        n = conf->fields->nelts;

        for (i = 0; i < n && field[i].kind != SGAMP_FIELD_EMAIL; i++) {
            /* void */
        }

        if (i < n) {
            return NGX_OK;
        }

        /* no contact is without an address */

        fields = ngx_array_create(cf->pool, n + 1,
                                  sizeof(sgamp_contact_field_t));

        if (fields == NULL
            || ngx_http_sendgrid_amp_add_field(cf, fields, email, 2) != NGX_OK)
        {
            return NGX_ERROR;
        }

        for (i = 0; i < n; i++) {
            ((sgamp_contact_field_t *) fields->elts)[i + 1] = field[i];
        }

        fields->nelts = n + 1;
        conf->fields = fields;

        return NGX_OK;
    }

    conf->fields = ngx_array_create(cf->pool, 3,
                                    sizeof(sgamp_contact_field_t));

    if (conf->fields == NULL
        || ngx_http_sendgrid_amp_add_field(cf, conf->fields, email, 2)
           != NGX_OK
        || ngx_http_sendgrid_amp_add_field(cf, conf->fields, first_name, 1)
           != NGX_OK
        || ngx_http_sendgrid_amp_add_field(cf, conf->fields, last_name, 1)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_create_contact_rules(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_cohort_conf_t *conf)
{
    ngx_uint_t              i, n;
    sgamp_contact_field_t  *field;

    conf->rules = ngx_pcalloc(cf->pool, sizeof(sgamp_contact_rules_t));
    if (conf->rules == NULL) {
        return NGX_ERROR;
    }

    field = conf->fields->elts;
    n = 1;

    for (i = 0; i < conf->fields->nelts; i++) {

        if (n > SGAMP_CONTACT_FIELDS - 1
            && field[i].kind != SGAMP_FIELD_EMAIL)
        {
            break;
        }

        conf->rules->fields[(field[i].kind == SGAMP_FIELD_EMAIL) ? 0 : n++] =
                                                                     field[i];
    }

    conf->rules->n = (unsigned) n;

    if (i != conf->fields->nelts
        || sgamp_contact_rules(conf->rules) != SGAMP_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many fields or properties in "
                           "\"sendgrid_amp_contact\" directives");
        return NGX_ERROR;
    }

    return NGX_OK;
}
