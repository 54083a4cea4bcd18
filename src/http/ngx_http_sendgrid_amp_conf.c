
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"

#include "sgamp_json.h"


#define NGX_HTTP_SENDGRID_AMP_MIN_PAGES   8  /* of a zone */
#define NGX_HTTP_SENDGRID_AMP_SURROGATES  0xd800  /* and 2047 code points */


static ngx_int_t ngx_http_sendgrid_amp_find_region(
    const ngx_http_sendgrid_amp_flow_t *flow, const ngx_str_t *region,
    const ngx_str_t **uri);
static ngx_int_t ngx_http_sendgrid_amp_check_handler(ngx_conf_t *cf,
    ngx_http_handler_pt handler, ngx_str_t *name);


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


char *
ngx_http_sendgrid_amp_set_flow(ngx_conf_t *cf, ngx_command_t *cmd,
    const ngx_http_sendgrid_amp_flow_t *flow)
{
    char                               *rv;
    const ngx_str_t                    *uri;
    ngx_http_complex_value_t           *region;
    ngx_http_sendgrid_amp_loc_conf_t   *alcf;
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    alcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_sendgrid_amp_module);
    amcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_sendgrid_amp_module);

    if (alcf->flow != NULL && alcf->flow != flow) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" directive cannot share a location with "
                           "\"%s\"",
                           &cmd->name, alcf->flow->name);
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_set_complex_value_slot(cf, cmd, alcf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    region = alcf->region;

    /* a value that may be a secret is not logged */

    if (region->lengths == NULL
        && ngx_http_sendgrid_amp_find_region(flow, &region->value, &uri)
           != NGX_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid region in \"%V\" directive, it must be "
                           "\"%V\", \"%V\" or an internal location",
                           &cmd->name, &flow->regions[0].name,
                           &flow->regions[1].name);
        return NGX_CONF_ERROR;
    }

    alcf->flow = flow;

    return ngx_http_sendgrid_amp_set_handler(cf, amcf->handler);
}


static ngx_int_t
ngx_http_sendgrid_amp_find_region(const ngx_http_sendgrid_amp_flow_t *flow,
    const ngx_str_t *region, const ngx_str_t **uri)
{
    ngx_uint_t        i;
    const ngx_str_t  *name;

    for (i = 0; i < NGX_HTTP_SENDGRID_AMP_REGIONS; i++) {
        name = &flow->regions[i].name;

        if (region->len == name->len
            && ngx_strncmp(region->data, name->data, name->len) == 0)
        {
            *uri = &flow->regions[i].uri;
            return NGX_OK;
        }
    }

    if (region->len >= flow->path && region->data[0] == '/') {
        *uri = region;
        return NGX_OK;
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_sendgrid_amp_find_route(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    const ngx_str_t                     *uri;
    const ngx_http_sendgrid_amp_flow_t  *flow;

    flow = ctx->flow;

    if (ngx_http_sendgrid_amp_value(ctx, ctx->conf->region, &ctx->route.region)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_sendgrid_amp_find_region(flow, &ctx->route.region, &uri)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "\"%s\" got the region \"%V\", it must be \"%V\", "
                      "\"%V\" or an internal location",
                      flow->name, &ctx->route.region, &flow->regions[0].name,
                      &flow->regions[1].name);
        return NGX_ERROR;
    }

    ctx->route.uri = *uri;

    return NGX_OK;
}


ngx_int_t
ngx_http_sendgrid_amp_merge_handler(ngx_conf_t *cf,
    ngx_http_handler_pt handler, ngx_str_t *name)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->lmt_excpt && clcf->handler == NULL) {
        clcf->handler = handler;
    }

    return ngx_http_sendgrid_amp_check_handler(cf, handler, name);
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


ngx_int_t
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


ngx_shm_zone_t *
ngx_http_sendgrid_amp_add_zone(ngx_conf_t *cf, size_t min, void *tag)
{
    u_char     *p;
    ssize_t     size;
    ngx_str_t  *value, name, s;

    value = cf->args->elts;

    p = ngx_strlchr(value[1].data, value[1].data + value[1].len, ':');

    if (p == NULL || p == value[1].data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone \"%V\" in \"%V\" directive, it must "
                           "be \"name:size\"",
                           &value[1], &value[0]);
        return NULL;
    }

    name.data = value[1].data;
    name.len = p - name.data;

    s.data = p + 1;
    s.len = value[1].data + value[1].len - s.data;

    size = ngx_parse_size(&s);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone size \"%V\" in \"%V\" directive",
                           &s, &value[0]);
        return NULL;
    }

    min = ngx_max(min, NGX_HTTP_SENDGRID_AMP_MIN_PAGES * ngx_pagesize);

    if ((size_t) size < min) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" in \"%V\" directive is too small, it "
                           "must have at least %uzk",
                           &name, &value[0], min / 1024);
        return NULL;
    }

    return ngx_shared_memory_add(cf, &name, size, tag);
}


ngx_shm_zone_t *
ngx_http_sendgrid_amp_old_zone(ngx_cycle_t *cycle, ngx_str_t *name)
{
    ngx_uint_t        i;
    ngx_shm_zone_t   *zone;
    ngx_list_part_t  *part;

    part = &cycle->shared_memory.part;
    zone = part->elts;

    for (i = 0; /* void */; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            zone = part->elts;
            i = 0;
        }

        if (zone[i].shm.name.len == name->len
            && ngx_strncmp(zone[i].shm.name.data, name->data, name->len) == 0)
        {
            return &zone[i];
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_sendgrid_amp_is_utf8(ngx_str_t *text)
{
    u_char    *p, *last;
    uint32_t   c;

    p = text->data;
    last = p + text->len;

    while (p < last) {

        if (*p < 0x80) {
            p++;
            continue;
        }

        c = ngx_utf8_decode(&p, last - p);

        if (c > 0x10ffff || (c & ~0x7ffu) == NGX_HTTP_SENDGRID_AMP_SURROGATES)
        {
            return 0;
        }
    }

    return 1;
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


char *
ngx_http_sendgrid_amp_set_secrets(ngx_conf_t *cf, ngx_array_t **secrets)
{
    ngx_str_t  *value, secret;
    ngx_uint_t  i;

    *secrets = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                sizeof(ngx_http_sendgrid_amp_secret_t));
    if (*secrets == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].len == 0) {
            return "must not be empty";
        }

        ngx_http_sendgrid_amp_no_variable(cf, i);

        secret = value[i];

        if (ngx_http_sendgrid_amp_read_secret(cf, &secret) != NGX_OK
            || ngx_http_sendgrid_amp_add_secret(cf, *secrets, &secret)
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
                           "a secret needs SHA-256, which the OpenSSL library "
                           "does not provide");
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_sendgrid_amp_value(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_http_complex_value_t *cv, ngx_str_t *value)
{
    ngx_int_t                     rc;
    ngx_log_t                    *log;
    ngx_pool_t                   *pool;
    ngx_http_sendgrid_amp_log_t  *watch;

    if (cv->lengths == NULL) {
        *value = cv->value;
        return NGX_OK;
    }

    pool = ctx->request->pool;
    log = pool->log;

    /* not on the stack: a variable may keep the log of the pool */

    watch = ngx_palloc(pool, sizeof(ngx_http_sendgrid_amp_log_t));
    if (watch == NULL) {
        return NGX_ERROR;
    }

    ngx_http_sendgrid_amp_pool_log(watch, log);

    pool->log = &watch->log;

    rc = ngx_http_complex_value(ctx->request, cv, value);

    pool->log = log;

    /* a variable that finds no memory looks empty to nginx */

    return watch->failed ? NGX_ERROR : rc;
}


ngx_int_t
ngx_http_sendgrid_amp_escape(ngx_pool_t *pool, sgamp_str_t *json,
    const sgamp_str_t *before, const ngx_str_t *text, const char *after)
{
    size_t        size;
    sgamp_sink_t  sink;

    size = before->len + sgamp_json_escaped(text->data, text->len)
           + ngx_strlen(after);

    json->data = ngx_pnalloc(pool, size + 1);
    if (json->data == NULL) {
        return NGX_ERROR;
    }

    sgamp_sink_init(&sink, json->data, size);

    sgamp_json_write(&sink, before->data, before->len);
    sgamp_json_escape(&sink, text->data, text->len);
    sgamp_json_write(&sink, (u_char *) after, ngx_strlen(after));

    json->len = sink.pos - json->data;

    return (sink.status == SGAMP_OK) ? NGX_OK : NGX_ERROR;
}
