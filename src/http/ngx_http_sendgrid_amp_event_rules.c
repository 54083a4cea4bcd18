
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"

#include <sys/mman.h>


static ngx_int_t ngx_http_sendgrid_amp_add_users(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf);
static ngx_int_t ngx_http_sendgrid_amp_add_events(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf);
static void ngx_http_sendgrid_amp_only_events(sgamp_rules_t *rules,
    ngx_array_t *events);
static sgamp_rules_event_t *ngx_http_sendgrid_amp_find_event(
    sgamp_rules_t *rules, ngx_str_t *name);
static ngx_int_t ngx_http_sendgrid_amp_add_filter(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf);
static ngx_int_t ngx_http_sendgrid_amp_add_names(sgamp_names_t *names,
    ngx_array_t *array, unsigned action);
static ngx_int_t ngx_http_sendgrid_amp_add_hash(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf);
static void ngx_http_sendgrid_amp_cleanup_hash(void *data);
static ngx_int_t ngx_http_sendgrid_amp_add_properties(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf);
static void ngx_http_sendgrid_amp_check_rules(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf);
static void ngx_http_sendgrid_amp_check_hash(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf, ngx_uint_t i);
static ngx_uint_t ngx_http_sendgrid_amp_is_user(sgamp_rules_t *rules,
    ngx_str_t *name);


static ngx_str_t  ngx_http_sendgrid_amp_default_users[] = {
    ngx_string("amp_user_id"),
    ngx_string("email"),
    ngx_null_string
};


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
ngx_http_sendgrid_amp_add_events(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf)
{
    ngx_str_t                           *name;
    ngx_uint_t                           i, n;
    sgamp_rules_t                       *rules;
    sgamp_rules_event_t                 *event;
    ngx_http_sendgrid_amp_event_name_t  *en;
    ngx_http_sendgrid_amp_rules_conf_t  *rcf;

    rcf = &conf->set;
    rules = conf->rules;

    n = ngx_http_sendgrid_amp_count_names(rcf->event_names)
        + ngx_http_sendgrid_amp_count_names(rcf->events)
        + ngx_http_sendgrid_amp_count_names(rcf->ignore);

    if (n == 0) {
        return NGX_OK;
    }

    rules->others = ngx_pcalloc(cf->pool, n * sizeof(sgamp_rules_event_t));
    if (rules->others == NULL) {
        return NGX_ERROR;
    }

    if (rcf->events != NULL) {
        ngx_http_sendgrid_amp_only_events(rules, rcf->events);
    }

    n = ngx_http_sendgrid_amp_count_names(rcf->ignore);
    name = (n != 0) ? rcf->ignore->elts : NULL;

    for (i = 0; i < n; i++) {
        event = ngx_http_sendgrid_amp_find_event(rules, &name[i]);

        if (event->ignored) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "event \"%V\" of \"sendgrid_amp_ignore\" is "
                               "not in \"sendgrid_amp_events\" either",
                               &name[i]);
        }

        event->ignored = 1;
    }

    n = ngx_http_sendgrid_amp_count_names(rcf->events);
    name = (n != 0) ? rcf->events->elts : NULL;

    for (i = 0; i < n; i++) {
        event = ngx_http_sendgrid_amp_find_event(rules, &name[i]);

        if (event->ignored) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "event \"%V\" of \"sendgrid_amp_events\" is "
                               "not forwarded, \"sendgrid_amp_ignore\" has "
                               "it, too",
                               &name[i]);
        }
    }

    n = ngx_http_sendgrid_amp_count_names(rcf->event_names);
    en = (n != 0) ? rcf->event_names->elts : NULL;

    for (i = 0; i < n; i++) {
        event = ngx_http_sendgrid_amp_find_event(rules, &en[i].event);

        if (event->ignored) {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "event \"%V\" of \"sendgrid_amp_event_name\" "
                               "is not forwarded",
                               &en[i].event);
        }

        event->type = en[i].type;
    }

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_only_events(sgamp_rules_t *rules, ngx_array_t *events)
{
    ngx_str_t   *name;
    ngx_uint_t   i;

    for (i = 0; i < SGAMP_KINDS; i++) {
        rules->kinds[i].ignored = 1;
    }

    name = events->elts;

    for (i = 0; i < events->nelts; i++) {
        ngx_http_sendgrid_amp_find_event(rules, &name[i])->ignored = 0;
    }
}


static sgamp_rules_event_t *
ngx_http_sendgrid_amp_find_event(sgamp_rules_t *rules, ngx_str_t *name)
{
    ngx_uint_t            i;
    sgamp_kind_e          kind;
    sgamp_rules_event_t  *event;

    kind = sgamp_kind_lookup(name->data, name->len);

    if (kind != SGAMP_KIND_OTHER) {
        return &rules->kinds[kind];
    }

    for (i = 0; i < rules->nothers; i++) {
        event = &rules->others[i];

        if (event->name.len == name->len
            && ngx_memcmp(event->name.data, name->data, name->len) == 0)
        {
            return event;
        }
    }

    /* until more is known, it is as any that has no name here */

    event = &rules->others[rules->nothers++];
    event->name.len = name->len;
    event->name.data = name->data;
    event->ignored = rules->kinds[SGAMP_KIND_OTHER].ignored;

    return event;
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
    names = &conf->rules->names;

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

    n += SGAMP_MAX_KEYS;

    room = ngx_palloc(cf->pool, n * sizeof(sgamp_name_t));
    if (room == NULL) {
        return NGX_ERROR;
    }

    sgamp_names_reserve(names, room, (uint32_t) n);

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


static void
ngx_http_sendgrid_amp_check_rules(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf)
{
    ngx_uint_t                 i, n;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    n = ngx_http_sendgrid_amp_count_names(conf->set.hash);

    for (i = 0; i < n; i++) {
        ngx_http_sendgrid_amp_check_hash(cf, conf, i);
    }

    if (conf->set.client_ip && !conf->rules->client_ip) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"sendgrid_amp_client_ip\" has no effect in "
                           "location \"%V\", where \"sendgrid_amp_hash\" has "
                           "\"ip\"",
                           &clcf->name);
    }

    if (conf->dry_run != NULL
        && conf->dry_run->lengths == NULL
        && ngx_http_sendgrid_amp_dry_run_is_on(&conf->dry_run->value))
    {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"sendgrid_amp_dry_run\" is always on in "
                           "location \"%V\": nothing of it is sent",
                           &clcf->name);
    }
}


static void
ngx_http_sendgrid_amp_check_hash(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf, ngx_uint_t i)
{
    ngx_str_t   *name;
    sgamp_str_t  text;

    static ngx_str_t  event = ngx_string("event");
    static ngx_str_t  timestamp = ngx_string("timestamp");
    static ngx_str_t  id = ngx_string("sg_event_id");

    name = conf->set.hash->elts;
    name += i;

    text.len = name->len;
    text.data = name->data;

    if ((name->len == event.len
         && ngx_strncmp(name->data, event.data, event.len) == 0)
        || (name->len == timestamp.len
            && ngx_strncmp(name->data, timestamp.data, timestamp.len) == 0))
    {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"%V\" of \"sendgrid_amp_hash\" is no secret: "
                           "\"event_type\" and \"time\" are sent as they are",
                           name);
        return;
    }

    if ((sgamp_names_actions(&conf->rules->names, &text) & SGAMP_NAMES_DROP)
        && !ngx_http_sendgrid_amp_is_user(conf->rules, name)
        && (name->len != id.len
            || ngx_strncmp(name->data, id.data, id.len) != 0))
    {
        /* a name may be a secret that "key=" is missing before */

        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "name %ui of \"sendgrid_amp_hash\" is not sent at "
                           "all",
                           i + 1);
    }
}


static ngx_uint_t
ngx_http_sendgrid_amp_is_user(sgamp_rules_t *rules, ngx_str_t *name)
{
    ngx_uint_t           i;
    const sgamp_name_t  *found;

    found = sgamp_names_lookup(&rules->names, name->data, name->len);

    if (found == NULL || found->key == SGAMP_NAMES_NO_KEY) {
        return 0;
    }

    for (i = 0; i < rules->nusers; i++) {
        if (rules->users[i] == (unsigned) found->key) {
            return 1;
        }
    }

    return 0;
}
