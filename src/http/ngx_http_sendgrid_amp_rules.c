
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"

#include <sys/mman.h>

#include "sgamp_json.h"


#define NGX_HTTP_SENDGRID_AMP_ESCAPED  6  /* characters of one, at most */


/* bytes of the table of remembered hashes */

#define NGX_HTTP_SENDGRID_AMP_HASHES                                          \
    (SGAMP_HASH_ENTRIES * sizeof(sgamp_hash_entry_t))


static ngx_int_t ngx_http_sendgrid_amp_add_users(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf);
static ngx_int_t ngx_http_sendgrid_amp_add_filter(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf);
static ngx_int_t ngx_http_sendgrid_amp_add_hash(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf);
static void ngx_http_sendgrid_amp_cleanup_hash(void *data);
static ngx_int_t ngx_http_sendgrid_amp_add_names(sgamp_names_t *names,
    ngx_array_t *array, unsigned action);
static ngx_int_t ngx_http_sendgrid_amp_add_properties(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf);


static ngx_str_t  ngx_http_sendgrid_amp_default_users[] = {
    ngx_string("amp_user_id"),
    ngx_string("email"),
    ngx_null_string
};


void
ngx_http_sendgrid_amp_init_rules(ngx_http_sendgrid_amp_rules_conf_t *rcf)
{
    /*
     * set by ngx_pcalloc():
     *
     *     rcf->hash_key = { 0, NULL };
     *     rcf->dry_run = NULL;
     */

    rcf->event_names = NGX_CONF_UNSET_PTR;
    rcf->events = NGX_CONF_UNSET_PTR;
    rcf->ignore = NGX_CONF_UNSET_PTR;
    rcf->drop = NGX_CONF_UNSET_PTR;
    rcf->keep = NGX_CONF_UNSET_PTR;
    rcf->hash = NGX_CONF_UNSET_PTR;
    rcf->properties = NGX_CONF_UNSET_PTR;
    rcf->client_ip = NGX_CONF_UNSET;
}


void
ngx_http_sendgrid_amp_merge_rules(ngx_http_sendgrid_amp_rules_conf_t *prev,
    ngx_http_sendgrid_amp_rules_conf_t *rcf)
{
    if (rcf->hash == NGX_CONF_UNSET_PTR) {
        rcf->hash_key = prev->hash_key;
    }

    if (rcf->dry_run == NULL) {
        rcf->dry_run = prev->dry_run;
    }

    ngx_conf_merge_ptr_value(rcf->event_names, prev->event_names, NULL);
    ngx_conf_merge_ptr_value(rcf->events, prev->events, NULL);
    ngx_conf_merge_ptr_value(rcf->ignore, prev->ignore, NULL);
    ngx_conf_merge_ptr_value(rcf->drop, prev->drop, NULL);
    ngx_conf_merge_ptr_value(rcf->keep, prev->keep, NULL);
    ngx_conf_merge_ptr_value(rcf->hash, prev->hash, NULL);
    ngx_conf_merge_ptr_value(rcf->properties, prev->properties, NULL);
    ngx_conf_merge_value(rcf->client_ip, prev->client_ip, 0);
}


ngx_int_t
ngx_http_sendgrid_amp_create_rules(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf)
{
    sgamp_str_t  none;

    conf->rules = ngx_palloc(cf->pool, sizeof(sgamp_rules_t));
    if (conf->rules == NULL) {
        return NGX_ERROR;
    }

    sgamp_rules_init(conf->rules);

    conf->rules->lowercase = conf->lowercase;

    none.len = 0;
    none.data = (u_char *) "";

    if (ngx_http_sendgrid_amp_escape(cf->pool, &conf->rules->prefix, &none,
                                     &conf->event_prefix, "")
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_sendgrid_amp_add_users(cf, conf) != NGX_OK
        || ngx_http_sendgrid_amp_add_events(cf, conf) != NGX_OK
        || ngx_http_sendgrid_amp_add_filter(cf, conf) != NGX_OK
        || ngx_http_sendgrid_amp_add_properties(cf, conf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    sgamp_rules_done(conf->rules);

    ngx_http_sendgrid_amp_check_rules(cf, conf);

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_add_users(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf)
{
    ngx_str_t   *user;
    ngx_uint_t   i, n;
    sgamp_str_t  name;

    if (conf->users != NULL) {
        user = conf->users->elts;
        n = conf->users->nelts;

    } else {
        user = ngx_http_sendgrid_amp_default_users;
        n = 2;
    }

    for (i = 0; i < n; i++) {
        name.len = user[i].len;
        name.data = user[i].data;

        if (sgamp_rules_user(conf->rules, &name) != SGAMP_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "too many names in \"sendgrid_amp_user_id\"");
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_add_filter(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf)
{
    ngx_uint_t                           n;
    sgamp_name_t                        *room;
    sgamp_names_t                       *names;
    ngx_http_sendgrid_amp_rules_conf_t  *rcf;

    rcf = &conf->set;
    names = &conf->rules->filter.names;

    if (rcf->drop != NULL && rcf->keep != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"sendgrid_amp_drop\" and \"sendgrid_amp_keep\" "
                           "exclude each other, also if one of them is "
                           "inherited");
        return NGX_ERROR;
    }

    n = ngx_http_sendgrid_amp_count_names(rcf->drop)
        + ngx_http_sendgrid_amp_count_names(rcf->keep)
        + ngx_http_sendgrid_amp_count_names(rcf->hash);

    if (n == 0) {
        return NGX_OK;
    }

    room = ngx_palloc(cf->pool, n * sizeof(sgamp_name_t));
    if (room == NULL) {
        return NGX_ERROR;
    }

    sgamp_names_init(names, room, (uint32_t) n);

    if (ngx_http_sendgrid_amp_add_names(names, rcf->drop, SGAMP_NAMES_DROP)
        != NGX_OK
        || ngx_http_sendgrid_amp_add_names(names, rcf->keep, SGAMP_NAMES_KEEP)
           != NGX_OK
        || ngx_http_sendgrid_amp_add_names(names, rcf->hash, SGAMP_NAMES_HASH)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return (rcf->hash != NULL) ? ngx_http_sendgrid_amp_add_hash(cf, conf)
                               : NGX_OK;
}


ngx_uint_t
ngx_http_sendgrid_amp_count_names(ngx_array_t *names)
{
    return (names != NULL) ? names->nelts : 0;
}


static ngx_int_t
ngx_http_sendgrid_amp_add_names(sgamp_names_t *names, ngx_array_t *array,
    unsigned action)
{
    ngx_str_t   *value;
    ngx_uint_t   i;
    sgamp_str_t  name;

    if (array == NULL) {
        return NGX_OK;
    }

    value = array->elts;

    for (i = 0; i < array->nelts; i++) {
        name.len = value[i].len;
        name.data = value[i].data;

        if (sgamp_names_add(names, &name, action) != SGAMP_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_add_hash(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf)
{
    sgamp_str_t          key;
    sgamp_hash_t        *hash;
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(cf->pool, sizeof(sgamp_hash_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    hash = cln->data;
    ngx_memzero(hash, sizeof(sgamp_hash_t));

    cln->handler = ngx_http_sendgrid_amp_cleanup_hash;

    conf->rules->filter.hash = hash;

    key.len = conf->set.hash_key.len;
    key.data = conf->set.hash_key.data;

    if (sgamp_hash_init(hash, (key.data != NULL) ? &key : NULL) != SGAMP_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"sendgrid_amp_hash\" needs SHA-256, which the "
                           "OpenSSL library does not provide");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_cleanup_hash(void *data)
{
    sgamp_hash_t  *hash = data;

    if (hash->entries != NULL) {
        (void) munmap(hash->entries, NGX_HTTP_SENDGRID_AMP_HASHES);
        hash->entries = NULL;
    }

    sgamp_hash_done(hash);
}


void
ngx_http_sendgrid_amp_remember_hashes(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    sgamp_hash_t  *hash;
#if (NGX_HAVE_MAP_ANON)
    void          *p;
#endif

    hash = ctx->conf->rules->filter.hash;

    if (hash == NULL || hash->entries != NULL) {
        return;
    }

    /* zeroed, and pages that are not used take no memory; it is not vital */

#if (NGX_HAVE_MAP_ANON)

    p = mmap(NULL, NGX_HTTP_SENDGRID_AMP_HASHES, PROT_READ|PROT_WRITE,
             MAP_ANON|MAP_PRIVATE, -1, 0);

    if (p != MAP_FAILED) {
        hash->entries = p;
    }

#endif
}


static ngx_int_t
ngx_http_sendgrid_amp_add_properties(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf)
{
    int                                rc;
    ngx_uint_t                         i, n;
    ngx_http_sendgrid_amp_property_t  *p;

    rc = SGAMP_OK;

    if (conf->set.client_ip) {
        rc = sgamp_rules_client_ip(conf->rules);
    }

    n = ngx_http_sendgrid_amp_count_names(conf->set.properties);
    p = (n != 0) ? conf->set.properties->elts : NULL;

    for (i = 0; i < n && rc == SGAMP_OK; i++) {
        rc = sgamp_rules_property(conf->rules, &p[i].name);
    }

    if (rc != SGAMP_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many names in \"sendgrid_amp_user_id\" and "
                           "\"sendgrid_amp_property\" together");
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_sendgrid_amp_properties(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_str_t                          text;
    ngx_uint_t                         i, n;
    sgamp_str_t                       *values;
    ngx_http_request_t                *r;
    ngx_http_sendgrid_amp_property_t  *p;

    n = ngx_http_sendgrid_amp_count_names(ctx->conf->set.properties);

    if (n == 0) {
        return NGX_OK;
    }

    r = ctx->request;
    p = ctx->conf->set.properties->elts;

    values = ngx_palloc(r->pool, n * sizeof(sgamp_str_t));
    if (values == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {

        if (ngx_http_sendgrid_amp_value(ctx, &p[i].value, &text) != NGX_OK
            || ngx_http_sendgrid_amp_escape(r->pool, &values[i], &p[i].head,
                                            &text, "\"")
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    ctx->batcher.properties = values;

    return NGX_OK;
}


ngx_int_t
ngx_http_sendgrid_amp_escape(ngx_pool_t *pool, sgamp_str_t *json,
    const sgamp_str_t *before, const ngx_str_t *text, const char *after)
{
    size_t        size;
    sgamp_sink_t  sink;

    size = before->len + NGX_HTTP_SENDGRID_AMP_ESCAPED * text->len
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
