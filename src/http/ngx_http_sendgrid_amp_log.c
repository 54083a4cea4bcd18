
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


/*
 * Keeps the user name of the credentials out of $remote_user, and request
 * lines that may hold a key out of the error log, from the moment on when the
 * location is known.
 *
 * The log handler of a request tells what is known about its secrets, since
 * redirects keep the handler:
 *
 *   ..._log_any()      no location of a webhook was seen so far
 *   ..._log_webhook()  the user name may be a key
 *   ..._log_keyed()    the request line may hold a key, too
 */


/* set up by a location of webhooks; without one nothing is hidden */

typedef struct {
    ngx_array_t                   logs;         /* of webhooks: ngx_log_t * */
    ngx_http_sendgrid_amp_log_pt  log_handler;      /* nginx's own */
    ngx_http_handler_pt           rewrite_handler;  /* nginx's, or NULL */
    ngx_uint_t                    remote_user;      /* variable's index */

    /* of the first location: of a webhook whose location is not known */
    const ngx_http_sendgrid_amp_flow_t  *flow;
} ngx_http_sendgrid_amp_log_conf_t;


static ngx_int_t ngx_http_sendgrid_amp_post_read_handler(
    ngx_http_request_t *r);
static void ngx_http_sendgrid_amp_set_log_handler(ngx_http_request_t *r,
    ngx_http_sendgrid_amp_log_pt handler);
static ngx_uint_t ngx_http_sendgrid_amp_seen(ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_server_rewrite_handler(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_rewrite_handler(ngx_http_request_t *r);
static ngx_uint_t ngx_http_sendgrid_amp_is_quiet(
    ngx_http_sendgrid_amp_log_conf_t *lcf);
static ngx_int_t ngx_http_sendgrid_amp_log_phase_handler(
    ngx_http_request_t *r);
static void ngx_http_sendgrid_amp_count_webhook(ngx_http_request_t *r);
static const ngx_http_sendgrid_amp_flow_t *ngx_http_sendgrid_amp_known_flow(
    ngx_http_request_t *r);
static void ngx_http_sendgrid_amp_look(ngx_http_request_t *r);
static void ngx_http_sendgrid_amp_hide(ngx_http_request_t *r,
    const ngx_http_sendgrid_amp_flow_t *flow,
    ngx_http_sendgrid_amp_log_pt handler);
static u_char *ngx_http_sendgrid_amp_log_any(
    ngx_http_sendgrid_amp_log_args);
static u_char *ngx_http_sendgrid_amp_log_webhook(
    ngx_http_sendgrid_amp_log_args);
static u_char *ngx_http_sendgrid_amp_log_keyed(
    ngx_http_sendgrid_amp_log_args);
static void *ngx_http_sendgrid_amp_log_create_conf(ngx_conf_t *cf);
static char *ngx_http_sendgrid_amp_log_merge(ngx_conf_t *cf, void *parent,
    void *child);
#if (NGX_HTTP_SENDGRID_AMP_LOG_PROPERTIES)
static ngx_int_t ngx_http_sendgrid_amp_log_add_location(ngx_conf_t *cf);
#endif
static ngx_int_t ngx_http_sendgrid_amp_log_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_sendgrid_amp_take_places(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_log_conf_t *lcf);


#if (NGX_HTTP_SENDGRID_AMP_LOG_PROPERTIES)

/* its number is set as those of the properties of HTTP are */

static ngx_log_property_t  ngx_http_sendgrid_amp_log_location =
    ngx_log_prop_decl("location", "sendgrid_amp", NGX_LOG_PT_STR);

#define ngx_http_sendgrid_amp_log_key                                         \
    ((ngx_log_property_key_t) { ngx_http_sendgrid_amp_log_location.index })

#else

#define ngx_http_sendgrid_amp_log_add_location  NULL

#endif


static ngx_http_module_t  ngx_http_sendgrid_amp_log_module_ctx = {
    ngx_http_sendgrid_amp_log_add_location, /* preconfiguration */
    ngx_http_sendgrid_amp_log_init,         /* postconfiguration */
    ngx_http_sendgrid_amp_log_create_conf,  /* create main configuration */
    NULL,                                   /* init main configuration */
    NULL, NULL,                             /* server configuration */
    NULL,                                   /* create location configuration */
    ngx_http_sendgrid_amp_log_merge         /* merge location configuration */
};


ngx_module_t  ngx_http_sendgrid_amp_log_module = {
    NGX_MODULE_V1,
    &ngx_http_sendgrid_amp_log_module_ctx,  /* module context */
    NULL,                                   /* module directives */
    NGX_HTTP_MODULE,                        /* module type */
    NULL, NULL, NULL, NULL,                 /* init */
    NULL, NULL, NULL,                       /* exit */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_sendgrid_amp_post_read_handler(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_set_log_handler(r, ngx_http_sendgrid_amp_log_any);

    return NGX_DECLINED;
}


static void
ngx_http_sendgrid_amp_set_log_handler(ngx_http_request_t *r,
    ngx_http_sendgrid_amp_log_pt handler)
{
    ngx_http_sendgrid_amp_log_conf_t  *lcf;

    if (r->log_handler != ngx_http_sendgrid_amp_log_any
        && !ngx_http_sendgrid_amp_seen(r))
    {
        /* nginx's own, the same for all requests */

        lcf = ngx_http_get_module_main_conf(r,
                                            ngx_http_sendgrid_amp_log_module);
        lcf->log_handler = r->log_handler;
    }

    r->log_handler = handler;
}


static ngx_uint_t
ngx_http_sendgrid_amp_seen(ngx_http_request_t *r)
{
    return r->log_handler == ngx_http_sendgrid_amp_log_webhook
           || r->log_handler == ngx_http_sendgrid_amp_log_keyed;
}


static ngx_int_t
ngx_http_sendgrid_amp_server_rewrite_handler(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_log_conf_t   *lcf;
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    amcf = ngx_http_get_module_main_conf(r, ngx_http_sendgrid_amp_module);
    lcf = ngx_http_get_module_main_conf(r, ngx_http_sendgrid_amp_log_module);

    /*
     * a body over "client_max_body_size" is refused before the rewrite phase;
     * after a redirect of "error_page" the content handler is still that of
     * the location before, whose settings are not known any more
     */

    if (r == r->main
        && r->internal
        && r->content_handler == amcf->handler
        && !ngx_http_sendgrid_amp_seen(r))
    {
        ngx_http_sendgrid_amp_hide(r, lcf->flow,
                                   ngx_http_sendgrid_amp_log_keyed);
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_http_sendgrid_amp_rewrite_handler(ngx_http_request_t *r)
{
    ngx_http_core_loc_conf_t          *clcf;
    ngx_http_sendgrid_amp_log_conf_t  *lcf;

    lcf = ngx_http_get_module_main_conf(r, ngx_http_sendgrid_amp_log_module);

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    ngx_http_sendgrid_amp_look(r);

    /*
     * a named location of "error_page", and the location before was not looked
     * at if the message about the body was not logged: the request may be a
     * webhook
     */

    if (r == r->main
        && clcf->named
        && r->err_status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE
        && r->log_handler == ngx_http_sendgrid_amp_log_any
        && ngx_http_sendgrid_amp_is_quiet(lcf))
    {
        ngx_http_sendgrid_amp_hide(r, lcf->flow,
                                   ngx_http_sendgrid_amp_log_keyed);
    }

    return (lcf->rewrite_handler != NULL) ? lcf->rewrite_handler(r)
                                           : NGX_DECLINED;
}


static ngx_uint_t
ngx_http_sendgrid_amp_is_quiet(ngx_http_sendgrid_amp_log_conf_t *lcf)
{
    ngx_log_t   **log;
    ngx_uint_t    i;

    /* whether a webhook's error log leaves out a body that is too large */

    log = lcf->logs.elts;

    for (i = 0; i < lcf->logs.nelts; i++) {
        if (log[i]->log_level < NGX_LOG_ERR) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_sendgrid_amp_log_phase_handler(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_look(r);

    if (r == r->main && ngx_http_sendgrid_amp_seen(r)) {
        ngx_http_sendgrid_amp_count_webhook(r);
    }

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_count_webhook(ngx_http_request_t *r)
{
    ngx_uint_t                              status;
    ngx_time_t                             *tp;
    ngx_atomic_t                           *counters;
    ngx_msec_int_t                          ms;
    ngx_http_sendgrid_amp_ctx_t            *ctx;
    const ngx_http_sendgrid_amp_flow_t     *flow;
    ngx_http_sendgrid_amp_metrics_conf_t   *mcf;
    const ngx_http_sendgrid_amp_figures_t  *figures;

    ctx = ngx_http_sendgrid_amp_find_ctx(r);

    if (ctx != NULL) {
        flow = ctx->flow;
        counters = ctx->counts.shared;

    } else {
        flow = ngx_http_sendgrid_amp_known_flow(r);
        mcf = ngx_http_get_module_main_conf(r,
                                        ngx_http_sendgrid_amp_metrics_module);
        counters = mcf->counters;
    }

    if (counters == NULL) {
        return;
    }

    tp = ngx_timeofday();

    /* as $status has the status */

    status = r->err_status ? r->err_status : r->headers_out.status;

    ms = (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                           + (tp->msec - r->start_msec));

    figures = flow->figures;

    ngx_http_sendgrid_amp_count_answer(counters, figures, status);
    ngx_http_sendgrid_amp_count_time(counters, figures->time, ms);
}


static const ngx_http_sendgrid_amp_flow_t *
ngx_http_sendgrid_amp_known_flow(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_log_conf_t  *lcf;
    ngx_http_sendgrid_amp_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_sendgrid_amp_module);

    if (conf->flow != NULL) {
        return conf->flow;
    }

    /* a redirect has left the location, and keeps the variables */

    lcf = ngx_http_get_module_main_conf(r, ngx_http_sendgrid_amp_log_module);

    return (void *) r->variables[lcf->remote_user].data;
}


static void
ngx_http_sendgrid_amp_look(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(r, ngx_http_sendgrid_amp_module);

    if (r != r->main || conf->flow == NULL) {
        return;
    }

    ngx_http_sendgrid_amp_hide(r, conf->flow,
                               conf->keyed
                               ? ngx_http_sendgrid_amp_log_keyed
                               : ngx_http_sendgrid_amp_log_webhook);
}


static void
ngx_http_sendgrid_amp_hide(ngx_http_request_t *r,
    const ngx_http_sendgrid_amp_flow_t *flow,
    ngx_http_sendgrid_amp_log_pt handler)
{
    ngx_http_sendgrid_amp_log_conf_t  *lcf;

    if (r->log_handler == ngx_http_sendgrid_amp_log_keyed) {
        return;
    }

    ngx_http_sendgrid_amp_set_log_handler(r, handler);
    ngx_http_sendgrid_amp_hide_user(r, 1);

    /* nobody reads the data of a variable that is not found */

    lcf = ngx_http_get_module_main_conf(r, ngx_http_sendgrid_amp_log_module);
    r->variables[lcf->remote_user].data = (void *) flow;
}


void
ngx_http_sendgrid_amp_hide_user(ngx_http_request_t *r, ngx_uint_t hide)
{
    ngx_http_variable_value_t         *user;
    ngx_http_sendgrid_amp_log_conf_t  *lcf;

    /* the header stays as nginx and its modules need the credentials */

    lcf = ngx_http_get_module_main_conf(r, ngx_http_sendgrid_amp_log_module);

    user = &r->variables[lcf->remote_user];
    ngx_memzero(user, sizeof(ngx_http_variable_value_t));

    user->not_found = hide;
}


static u_char *
ngx_http_sendgrid_amp_log_any(ngx_http_sendgrid_amp_log_args)
{
    ngx_http_request_t  *main;

    main = ngx_http_sendgrid_amp_log_main;

    ngx_http_sendgrid_amp_look(main);

    return (main->log_handler == ngx_http_sendgrid_amp_log_keyed)
           ? ngx_http_sendgrid_amp_log_keyed(ngx_http_sendgrid_amp_log_pass)
           : ngx_http_sendgrid_amp_log_webhook(ngx_http_sendgrid_amp_log_pass);
}


static u_char *
ngx_http_sendgrid_amp_log_webhook(ngx_http_sendgrid_amp_log_args)
{
    ngx_http_sendgrid_amp_log_conf_t  *lcf;

    lcf = ngx_http_get_module_main_conf(ngx_http_sendgrid_amp_log_main,
                                        ngx_http_sendgrid_amp_log_module);

    return lcf->log_handler(ngx_http_sendgrid_amp_log_pass);
}


static u_char *
ngx_http_sendgrid_amp_log_keyed(ngx_http_sendgrid_amp_log_args)
{
    u_char                    *p;
    ngx_http_request_t        *main, *current;
    ngx_http_upstream_t       *u;
    ngx_http_core_loc_conf_t  *clcf;
    ngx_http_core_srv_conf_t  *cscf;

    main = ngx_http_sendgrid_amp_log_main;
    current = ngx_http_sendgrid_amp_log_current;

    clcf = ngx_http_get_module_loc_conf(main, ngx_http_core_module);
    cscf = ngx_http_get_module_srv_conf(main, ngx_http_core_module);

    p = ngx_http_sendgrid_amp_log_add(buf, ngx_http_log_prop(SERVER),
                                      ", server: ", "%V", "",
                                      &cscf->server_name);

    p = ngx_http_sendgrid_amp_log_add(p, ngx_http_sendgrid_amp_log_key,
                                      ", location: \"", "%V", "\"",
                                      &clcf->name);

    if (main != current) {
        p = ngx_http_sendgrid_amp_log_add(p, ngx_http_log_prop(SUBREQUEST),
                                          ", subrequest: \"", "%V", "\"",
                                          &current->uri);
    }

    u = current->upstream;

    if (u != NULL && u->peer.name != NULL) {
        p = ngx_http_sendgrid_amp_log_add(p, ngx_http_log_prop(UPSTREAM),
                                          ", upstream: \"", "%V%V", "\"",
                                          &u->schema, u->peer.name);
    }

    return p;
}


static void *
ngx_http_sendgrid_amp_log_create_conf(ngx_conf_t *cf)
{
    ngx_http_sendgrid_amp_log_conf_t  *lcf;

    lcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_sendgrid_amp_log_conf_t));
    if (lcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&lcf->logs, cf->pool, 4, sizeof(ngx_log_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return lcf;
}


static char *
ngx_http_sendgrid_amp_log_merge(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_log_t                         **log;
    ngx_http_core_loc_conf_t           *clcf;
    ngx_http_sendgrid_amp_log_conf_t   *lcf;
    ngx_http_sendgrid_amp_loc_conf_t   *alcf;

    /* no configuration of a location: its error log is remembered */

    alcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_sendgrid_amp_module);

    if (alcf->flow == NULL) {
        return NGX_CONF_OK;
    }

    lcf = ngx_http_conf_get_module_main_conf(cf,
                                            ngx_http_sendgrid_amp_log_module);

    if (lcf->logs.nelts == 0) {
        lcf->flow = alcf->flow;
    }

    log = ngx_array_push(&lcf->logs);
    if (log == NULL) {
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    *log = clcf->error_log;

    return NGX_CONF_OK;
}


#if (NGX_HTTP_SENDGRID_AMP_LOG_PROPERTIES)

static ngx_int_t
ngx_http_sendgrid_amp_log_add_location(ngx_conf_t *cf)
{
    return ngx_log_add_property(cf->cycle,
                                &ngx_http_sendgrid_amp_log_location);
}

#endif


static ngx_int_t
ngx_http_sendgrid_amp_log_init(ngx_conf_t *cf)
{
    ngx_int_t                          index;
    ngx_http_sendgrid_amp_log_conf_t  *lcf;

    static ngx_str_t  remote_user = ngx_string("remote_user");

    lcf = ngx_http_conf_get_module_main_conf(cf,
                                            ngx_http_sendgrid_amp_log_module);

    if (lcf->logs.nelts == 0) {
        return NGX_OK;
    }

    index = ngx_http_get_variable_index(cf, &remote_user);
    if (index == NGX_ERROR) {
        return NGX_ERROR;
    }

    lcf->remote_user = index;

    if (ngx_http_sendgrid_amp_add_handler(cf, NGX_HTTP_POST_READ_PHASE,
                                      ngx_http_sendgrid_amp_post_read_handler)
        != NGX_OK
        || ngx_http_sendgrid_amp_add_handler(cf, NGX_HTTP_SERVER_REWRITE_PHASE,
                                 ngx_http_sendgrid_amp_server_rewrite_handler)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_sendgrid_amp_take_places(cf, lcf);
}


static ngx_int_t
ngx_http_sendgrid_amp_take_places(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_log_conf_t *lcf)
{
    ngx_array_t                *handlers;
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    /*
     * the rewrite module has to be the first of the phase, else its server's
     * directives run again for a request without a location: the handler here
     * takes the place and calls the module
     */

    handlers = &cmcf->phases[NGX_HTTP_REWRITE_PHASE].handlers;

    if (handlers->nelts == 0) {
        h = ngx_array_push(handlers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        *h = NULL;
    }

    h = handlers->elts;

    lcf->rewrite_handler = *h;
    *h = ngx_http_sendgrid_amp_rewrite_handler;

    /* before the access log */

    handlers = &cmcf->phases[NGX_HTTP_LOG_PHASE].handlers;

    if (ngx_array_push(handlers) == NULL) {
        return NGX_ERROR;
    }

    h = handlers->elts;
    ngx_memmove(&h[1], h, (handlers->nelts - 1) * sizeof(ngx_http_handler_pt));

    *h = ngx_http_sendgrid_amp_log_phase_handler;

    return NGX_OK;
}
