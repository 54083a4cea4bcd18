
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


static ngx_int_t ngx_http_sendgrid_amp_log_handler(ngx_http_request_t *r);
static u_char *ngx_http_sendgrid_amp_log_any(ngx_http_request_t *r,
    ngx_http_request_t *sr, u_char *buf, size_t len);
static u_char *ngx_http_sendgrid_amp_log_keyed(ngx_http_request_t *r,
    ngx_http_request_t *sr, u_char *buf, size_t len);


static ngx_int_t
ngx_http_sendgrid_amp_log_handler(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    if (r != r->main
        || r->log_handler == ngx_http_sendgrid_amp_log_any
        || r->log_handler == ngx_http_sendgrid_amp_log_keyed)
    {
        return NGX_DECLINED;
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_sendgrid_amp_module);

    /* nginx's own, the same for all requests */

    amcf->log_handler = r->log_handler;
    r->log_handler = ngx_http_sendgrid_amp_log_any;

    return NGX_DECLINED;
}


static u_char *
ngx_http_sendgrid_amp_log_any(ngx_http_request_t *r, ngx_http_request_t *sr,
    u_char *buf, size_t len)
{
    ngx_http_sendgrid_amp_loc_conf_t   *conf;
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_sendgrid_amp_module);

    if (conf->region != NULL && conf->auth == NGX_HTTP_SENDGRID_AMP_AUTH_OFF) {

        /* from now on wherever the request is redirected to */

        r->log_handler = ngx_http_sendgrid_amp_log_keyed;

        return ngx_http_sendgrid_amp_log_keyed(r, sr, buf, len);
    }

    amcf = ngx_http_get_module_main_conf(r, ngx_http_sendgrid_amp_module);

    return amcf->log_handler(r, sr, buf, len);
}


static u_char *
ngx_http_sendgrid_amp_log_keyed(ngx_http_request_t *r, ngx_http_request_t *sr,
    u_char *buf, size_t len)
{
    u_char                    *p;
    ngx_http_upstream_t       *u;
    ngx_http_core_loc_conf_t  *clcf;
    ngx_http_core_srv_conf_t  *cscf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    p = ngx_snprintf(buf, len, ", server: %V, location: \"%V\"",
                     &cscf->server_name, &clcf->name);
    len -= p - buf;
    buf = p;

    if (r != sr) {
        p = ngx_snprintf(buf, len, ", subrequest: \"%V\"", &sr->uri);
        len -= p - buf;
        buf = p;
    }

    u = sr->upstream;

    if (u != NULL && u->peer.name != NULL) {
        buf = ngx_snprintf(buf, len, ", upstream: \"%V%V\"", &u->schema,
                           u->peer.name);
    }

    return buf;
}


ngx_int_t
ngx_http_sendgrid_amp_log_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt                *h;
    ngx_http_core_main_conf_t          *cmcf;
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    amcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_sendgrid_amp_module);

    if (!amcf->keyed) {
        return NGX_OK;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_POST_READ_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_sendgrid_amp_log_handler;

    return NGX_OK;
}
