
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp_event.h"

#include <sys/mman.h>


/* bytes of the table of remembered hashes */

#define NGX_HTTP_SENDGRID_AMP_HASHES                                          \
    (SGAMP_HASH_ENTRIES * sizeof(sgamp_hash_entry_t))


static void *ngx_http_sendgrid_amp_rules_alloc(void *data, size_t size);
static void ngx_http_sendgrid_amp_rules_free(void *data, void *p);
static ngx_int_t ngx_http_sendgrid_amp_add_rules(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_event_conf_t *conf);
static int ngx_http_sendgrid_amp_add_names(sgamp_rules_t *rules,
    sgamp_rules_e rule, ngx_array_t *names);
static ngx_int_t ngx_http_sendgrid_amp_add_hash(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_event_conf_t *conf);
static void ngx_http_sendgrid_amp_cleanup_hash(void *data);
static ngx_int_t ngx_http_sendgrid_amp_add_properties(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_event_conf_t *conf);
static void ngx_http_sendgrid_amp_check_rules(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_event_conf_t *conf);
static void ngx_http_sendgrid_amp_check_names(ngx_conf_t *cf,
    sgamp_rules_t *rules, sgamp_rules_e rule, ngx_array_t *names);
static void ngx_http_sendgrid_amp_warn(ngx_conf_t *cf, sgamp_rules_e rule,
    sgamp_rules_use_e use, ngx_str_t *name, ngx_uint_t i);


/* the directives with names, in the order of the warnings */

static const struct {
    sgamp_rules_e   rule;
    size_t          offset;
} ngx_http_sendgrid_amp_lists[] = {
    { SGAMP_RULES_IGNORE,
      offsetof(ngx_http_sendgrid_amp_rules_conf_t, ignore) },
    { SGAMP_RULES_ONLY,
      offsetof(ngx_http_sendgrid_amp_rules_conf_t, events) },
    { SGAMP_RULES_TYPE,
      offsetof(ngx_http_sendgrid_amp_rules_conf_t, event_names) },
    { SGAMP_RULES_DROP, offsetof(ngx_http_sendgrid_amp_rules_conf_t, drop) },
    { SGAMP_RULES_KEEP, offsetof(ngx_http_sendgrid_amp_rules_conf_t, keep) },
    { SGAMP_RULES_HASH, offsetof(ngx_http_sendgrid_amp_rules_conf_t, hash) }
};

#define NGX_HTTP_SENDGRID_AMP_LISTS                                           \
    (sizeof(ngx_http_sendgrid_amp_lists)                                      \
     / sizeof(ngx_http_sendgrid_amp_lists[0]))

#define ngx_http_sendgrid_amp_list(rcf, i)                                    \
    (*(ngx_array_t **) ((u_char *) (rcf)                                      \
                        + ngx_http_sendgrid_amp_lists[i].offset))


ngx_int_t
ngx_http_sendgrid_amp_create_rules(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_event_conf_t *conf)
{
    sgamp_grow_t  grow;

    conf->rules = ngx_palloc(cf->pool, sizeof(sgamp_rules_t));
    if (conf->rules == NULL) {
        return NGX_ERROR;
    }

    grow.alloc = ngx_http_sendgrid_amp_rules_alloc;
    grow.free = ngx_http_sendgrid_amp_rules_free;
    grow.data = cf->pool;

    /* the pool frees the rules */

    sgamp_rules_init(conf->rules, &grow);

    conf->rules->lowercase = conf->lowercase;

    if (ngx_http_sendgrid_amp_add_rules(cf, conf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (sgamp_rules_end(conf->rules) != SGAMP_OK) {
        return NGX_ERROR;
    }

    ngx_http_sendgrid_amp_check_rules(cf, conf);

    return NGX_OK;
}


static void *
ngx_http_sendgrid_amp_rules_alloc(void *data, size_t size)
{
    return ngx_palloc(data, size);
}


static void
ngx_http_sendgrid_amp_rules_free(void *data, void *p)
{
    (void) ngx_pfree(data, p);
}


static ngx_int_t
ngx_http_sendgrid_amp_add_rules(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_event_conf_t *conf)
{
    int                                  rc;
    ngx_uint_t                           i;
    ngx_array_t                         *names;
    sgamp_str_t                          prefix;
    sgamp_rules_e                        rule;
    sgamp_rules_t                       *rules;
    ngx_http_sendgrid_amp_rules_conf_t  *rcf;

    rcf = &conf->set;
    rules = conf->rules;

    rc = ngx_http_sendgrid_amp_add_names(rules, SGAMP_RULES_USER, conf->users);

    if (rc == SGAMP_TOO_LARGE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many names in \"sendgrid_amp_user_id\"");
        return NGX_ERROR;
    }

    if (rcf->drop != NULL && rcf->keep != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"sendgrid_amp_drop\" and \"sendgrid_amp_keep\" "
                           "exclude each other, also if one of them is "
                           "inherited");
        return NGX_ERROR;
    }

    prefix.len = conf->event_prefix.len;
    prefix.data = conf->event_prefix.data;

    if (rc != SGAMP_OK || sgamp_rules_prefix(rules, &prefix) != SGAMP_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_HTTP_SENDGRID_AMP_LISTS; i++) {
        rule = ngx_http_sendgrid_amp_lists[i].rule;
        names = ngx_http_sendgrid_amp_list(rcf, i);

        if (ngx_http_sendgrid_amp_add_names(rules, rule, names) != SGAMP_OK) {
            return NGX_ERROR;
        }
    }

    if (rcf->hash != NULL
        && ngx_http_sendgrid_amp_add_hash(cf, conf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_sendgrid_amp_add_properties(cf, conf);
}


static int
ngx_http_sendgrid_amp_add_names(sgamp_rules_t *rules, sgamp_rules_e rule,
    ngx_array_t *names)
{
    int          rc;
    u_char      *p;
    ngx_str_t   *value;
    ngx_uint_t   i, n;
    sgamp_str_t  name, text;

    n = ngx_http_sendgrid_amp_count_names(names);
    p = (n != 0) ? names->elts : NULL;

    text.len = 0;
    text.data = NULL;

    for (i = 0; i < n; i++, p += names->size) {
        value = (ngx_str_t *) p;

        name.len = value[0].len;
        name.data = value[0].data;

        if (rule == SGAMP_RULES_TYPE) {
            text.len = value[1].len;
            text.data = value[1].data;
        }

        rc = sgamp_rules_add(rules, rule, &name, &text);

        if (rc != SGAMP_OK) {
            return rc;
        }
    }

    return SGAMP_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_add_hash(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_event_conf_t *conf)
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

    conf->hash = hash;

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


void
ngx_http_sendgrid_amp_remember_hashes(sgamp_hash_t *hash)
{
#if (NGX_HAVE_MAP_ANON)
    void  *p;
#endif

    if (hash == NULL || hash->entries != NULL) {
        return;
    }

    /*
     * the table is zeroed, and pages that are not used take no memory; without
     * the table each hash is computed again
     */

#if (NGX_HAVE_MAP_ANON)

    p = mmap(NULL, NGX_HTTP_SENDGRID_AMP_HASHES, PROT_READ|PROT_WRITE,
             MAP_ANON|MAP_PRIVATE, -1, 0);

    if (p != MAP_FAILED) {
        hash->entries = p;
    }

#endif
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


static ngx_int_t
ngx_http_sendgrid_amp_add_properties(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_event_conf_t *conf)
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
        rc = sgamp_rules_add(conf->rules, SGAMP_RULES_PROPERTY, &p[i].name,
                             NULL);
    }

    if (rc == SGAMP_TOO_LARGE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "too many names in \"sendgrid_amp_user_id\" and "
                           "\"sendgrid_amp_property\" together");
    }

    return (rc == SGAMP_OK) ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_sendgrid_amp_check_rules(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_event_conf_t *conf)
{
    ngx_uint_t                           i;
    ngx_array_t                         *names;
    sgamp_rules_e                        rule;
    sgamp_rules_t                       *rules;
    ngx_http_core_loc_conf_t            *clcf;
    ngx_http_sendgrid_amp_rules_conf_t  *rcf;

    rcf = &conf->set;
    rules = conf->rules;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    for (i = 0; i < NGX_HTTP_SENDGRID_AMP_LISTS; i++) {
        rule = ngx_http_sendgrid_amp_lists[i].rule;
        names = ngx_http_sendgrid_amp_list(rcf, i);

        ngx_http_sendgrid_amp_check_names(cf, rules, rule, names);
    }

    if (rcf->client_ip && !rules->client_ip) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"sendgrid_amp_client_ip\" has no effect in "
                           "location \"%V\", where \"sendgrid_amp_hash\" has "
                           "\"ip\"",
                           &clcf->name);
    }
}


static void
ngx_http_sendgrid_amp_check_names(ngx_conf_t *cf, sgamp_rules_t *rules,
    sgamp_rules_e rule, ngx_array_t *names)
{
    u_char            *p;
    ngx_str_t         *value;
    ngx_uint_t         i, n;
    sgamp_str_t        name;
    sgamp_rules_use_e  use;

    n = ngx_http_sendgrid_amp_count_names(names);
    p = (n != 0) ? names->elts : NULL;

    for (i = 0; i < n; i++, p += names->size) {
        value = (ngx_str_t *) p;

        name.len = value->len;
        name.data = value->data;

        use = sgamp_rules_use(rules, rule, &name);

        if (use != SGAMP_RULES_USED) {
            ngx_http_sendgrid_amp_warn(cf, rule, use, value, i);
        }
    }
}


static void
ngx_http_sendgrid_amp_warn(ngx_conf_t *cf, sgamp_rules_e rule,
    sgamp_rules_use_e use, ngx_str_t *name, ngx_uint_t i)
{
    switch (rule) {

    case SGAMP_RULES_IGNORE:
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "event \"%V\" of \"sendgrid_amp_ignore\" is "
                           "not in \"sendgrid_amp_events\" either",
                           name);
        return;

    case SGAMP_RULES_ONLY:
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "event \"%V\" of \"sendgrid_amp_events\" is "
                           "not forwarded, \"sendgrid_amp_ignore\" has "
                           "it, too",
                           name);
        return;

    case SGAMP_RULES_TYPE:
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "event \"%V\" of \"sendgrid_amp_event_name\" "
                           "is not forwarded",
                           name);
        return;

    default: /* SGAMP_RULES_HASH */
        break;
    }

    if (use == SGAMP_RULES_PUBLIC) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"%V\" of \"sendgrid_amp_hash\" is no secret: "
                           "\"event_type\" and \"time\" are sent as they are",
                           name);
        return;
    }

    /* a name may be a secret that "key=" is missing before */

    ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                       "name %ui of \"sendgrid_amp_hash\" is not sent at "
                       "all",
                       i + 1);
}
