
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _NGX_HTTP_SENDGRID_AMP_RULES_H_INCLUDED_
#define _NGX_HTTP_SENDGRID_AMP_RULES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "sgamp_mapper.h"


typedef struct {
    ngx_str_t    event;  /* in lower case */
    sgamp_str_t  type;   /* JSON */
} ngx_http_sendgrid_amp_event_name_t;


typedef struct {
    sgamp_str_t               name;
    sgamp_str_t               head;  /* JSON up to the value */
    ngx_http_complex_value_t  value;
} ngx_http_sendgrid_amp_property_t;


/* the directives that rules are made of */

typedef struct {
    ngx_array_t               *event_names;  /* ..._event_name_t */
    ngx_array_t               *events;       /* ngx_str_t; NULL: all */
    ngx_array_t               *ignore;       /* ngx_str_t, and so on */
    ngx_array_t               *drop;
    ngx_array_t               *keep;
    ngx_array_t               *hash;
    ngx_str_t                  hash_key;     /* belongs to hash */
    ngx_array_t               *properties;   /* ..._property_t */
    ngx_flag_t                 client_ip;
    ngx_http_complex_value_t  *dry_run;
} ngx_http_sendgrid_amp_rules_conf_t;


typedef struct ngx_http_sendgrid_amp_dry_run_s  ngx_http_sendgrid_amp_dry_run_t;


/* rules conf */

char *ngx_http_sendgrid_amp_event_name(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sendgrid_amp_events(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sendgrid_amp_names(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sendgrid_amp_hash(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sendgrid_amp_property(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


/* rules */

void ngx_http_sendgrid_amp_init_rules(ngx_http_sendgrid_amp_rules_conf_t *rcf);
void ngx_http_sendgrid_amp_merge_rules(
    ngx_http_sendgrid_amp_rules_conf_t *prev,
    ngx_http_sendgrid_amp_rules_conf_t *rcf);

ngx_uint_t ngx_http_sendgrid_amp_count_names(ngx_array_t *names);

/* whether event_properties may be other than what SendGrid sent */

#define ngx_http_sendgrid_amp_changes_events(conf)                            \
    ((conf)->rules->filter.names.n != 0 || (conf)->rules->nproperties != 0)

/* a text as the inside of a JSON string, between two other texts */
ngx_int_t ngx_http_sendgrid_amp_escape(ngx_pool_t *pool, sgamp_str_t *json,
    const sgamp_str_t *before, const ngx_str_t *text, const char *after);


#endif /* _NGX_HTTP_SENDGRID_AMP_RULES_H_INCLUDED_ */
