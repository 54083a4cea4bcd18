
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


static ngx_int_t ngx_http_sendgrid_amp_number_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_sendgrid_amp_error_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_sendgrid_amp_region_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_sendgrid_amp_signature_variable(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_sendgrid_amp_variables_init(ngx_conf_t *cf);


static ngx_str_t  ngx_http_sendgrid_amp_none = ngx_string("-");


static ngx_http_variable_t  ngx_http_sendgrid_amp_vars[] = {

    { ngx_string("sendgrid_amp_received"), NULL,
      ngx_http_sendgrid_amp_number_variable,
      offsetof(ngx_http_sendgrid_amp_ctx_t, counts.received),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sendgrid_amp_forwarded"), NULL,
      ngx_http_sendgrid_amp_number_variable,
      offsetof(ngx_http_sendgrid_amp_ctx_t, counts.forwarded),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sendgrid_amp_ignored"), NULL,
      ngx_http_sendgrid_amp_number_variable,
      offsetof(ngx_http_sendgrid_amp_ctx_t, counts.ignored),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sendgrid_amp_rejected"), NULL,
      ngx_http_sendgrid_amp_number_variable,
      offsetof(ngx_http_sendgrid_amp_ctx_t, counts.rejected),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sendgrid_amp_batches"), NULL,
      ngx_http_sendgrid_amp_number_variable,
      offsetof(ngx_http_sendgrid_amp_ctx_t, counts.batches),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sendgrid_amp_retries"), NULL,
      ngx_http_sendgrid_amp_number_variable,
      offsetof(ngx_http_sendgrid_amp_ctx_t, counts.retries),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sendgrid_amp_error"), NULL,
      ngx_http_sendgrid_amp_error_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sendgrid_amp_region"), NULL,
      ngx_http_sendgrid_amp_region_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sendgrid_amp_signature"), NULL,
      ngx_http_sendgrid_amp_signature_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


static ngx_http_module_t  ngx_http_sendgrid_amp_variables_module_ctx = {
    ngx_http_sendgrid_amp_variables_init,   /* preconfiguration */
    NULL,                                   /* postconfiguration */
    NULL, NULL,                             /* main configuration */
    NULL, NULL,                             /* server configuration */
    NULL, NULL                              /* location configuration */
};


ngx_module_t  ngx_http_sendgrid_amp_variables_module = {
    NGX_MODULE_V1,
    &ngx_http_sendgrid_amp_variables_module_ctx,
    NULL,                                   /* module directives */
    NGX_HTTP_MODULE,                        /* module type */
    NULL, NULL, NULL, NULL,                 /* init */
    NULL, NULL, NULL,                       /* exit */
    NGX_MODULE_V1_PADDING
};


/* all are those of the webhook, in its subrequests too */

#define ngx_http_sendgrid_amp_webhook(r)                                      \
    ngx_http_get_module_ctx((r)->main, ngx_http_sendgrid_amp_module)


static ngx_int_t
ngx_http_sendgrid_amp_number_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_uint_t                    n;
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ctx = ngx_http_sendgrid_amp_webhook(r);

    n = (ctx != NULL) ? *(ngx_uint_t *) ((u_char *) ctx + data) : 0;

    return ngx_http_sendgrid_amp_set_number(r, v, n);
}


ngx_int_t
ngx_http_sendgrid_amp_set_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_uint_t n)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->len = ngx_sprintf(p, "%ui", n) - p;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = p;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_error_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    const ngx_str_t              *keyword;
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ctx = ngx_http_sendgrid_amp_webhook(r);

    if (ctx == NULL) {
        return ngx_http_sendgrid_amp_set_variable(v, NULL);
    }

    keyword = ngx_http_sendgrid_amp_keyword(ctx);

    return ngx_http_sendgrid_amp_set_variable(v, keyword->len ? keyword
                                                              : NULL);
}


static ngx_int_t
ngx_http_sendgrid_amp_region_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                          region;
    ngx_http_sendgrid_amp_ctx_t       *ctx;
    ngx_http_sendgrid_amp_loc_conf_t  *conf;

    ctx = ngx_http_sendgrid_amp_webhook(r);

    if (ctx != NULL && ctx->route.region.len != 0) {
        return ngx_http_sendgrid_amp_set_variable(v, &ctx->route.region);
    }

    conf = ngx_http_get_module_loc_conf(r->main, ngx_http_sendgrid_amp_module);

    if (conf->region == NULL) {
        return ngx_http_sendgrid_amp_set_variable(v, NULL);
    }

    /* of a webhook that was refused before anything was looked up */

    if (ngx_http_complex_value(r->main, conf->region, &region) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_sendgrid_amp_set_variable(v, region.len ? &region : NULL);
}


static ngx_int_t
ngx_http_sendgrid_amp_signature_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ctx = ngx_http_sendgrid_amp_webhook(r);

    if (ctx == NULL) {
        return ngx_http_sendgrid_amp_set_variable(v, NULL);
    }

    return ngx_http_sendgrid_amp_set_variable(v,
                                   ngx_http_sendgrid_amp_signature_name(ctx));
}


ngx_int_t
ngx_http_sendgrid_amp_set_variable(ngx_http_variable_value_t *v,
    const ngx_str_t *value)
{
    if (value == NULL) {
        value = &ngx_http_sendgrid_amp_none;
    }

    v->len = value->len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = value->data;

    return NGX_OK;
}


ngx_int_t
ngx_http_sendgrid_amp_add_variables(ngx_conf_t *cf, ngx_http_variable_t *vars)
{
    ngx_http_variable_t  *var, *v;

    for (v = vars; v->name.len != 0; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_variables_init(ngx_conf_t *cf)
{
    return ngx_http_sendgrid_amp_add_variables(cf, ngx_http_sendgrid_amp_vars);
}
