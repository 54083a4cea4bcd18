
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _NGX_HTTP_SENDGRID_AMP_EVENT_H_INCLUDED_
#define _NGX_HTTP_SENDGRID_AMP_EVENT_H_INCLUDED_


#include "ngx_http_sendgrid_amp.h"
#include "sgamp_event_answer.h"
#include "sgamp_event_map.h"


/* the flow of events: for its files only */


/* the directives of the flow of events */

typedef struct {
    sgamp_str_t               name;
    sgamp_str_t               head;  /* JSON up to the value */
    ngx_http_complex_value_t  value;
} ngx_http_sendgrid_amp_property_t;


typedef struct {
    ngx_array_t  *event_names;  /* ngx_keyval_t, keys in lower case */
    ngx_array_t  *events;       /* ngx_str_t; NULL: all */
    ngx_array_t  *ignore;       /* ngx_str_t, and so on */
    ngx_array_t  *drop;
    ngx_array_t  *keep;
    ngx_array_t  *hash;
    ngx_str_t     hash_key;     /* belongs to hash */
    ngx_array_t  *properties;   /* ..._property_t */
    ngx_flag_t    client_ip;
} ngx_http_sendgrid_amp_rules_conf_t;


typedef struct {
    ngx_http_complex_value_t            *api_key;
    ngx_array_t                         *users;         /* ngx_str_t */
    ngx_flag_t                           lowercase;
    ngx_str_t                            event_prefix;
    ngx_uint_t                           batch_events;
    size_t                               batch_size;
    ngx_http_sendgrid_amp_rules_conf_t   set;
    sgamp_rules_t                       *rules;         /* made of the above */
    sgamp_hash_t                        *hash;          /* in this worker */
} ngx_http_sendgrid_amp_event_conf_t;


extern ngx_module_t  ngx_http_sendgrid_amp_event_module;
extern const ngx_http_sendgrid_amp_flow_t  ngx_http_sendgrid_amp_events_flow;


/* makes conf->rules of the directives */
ngx_int_t ngx_http_sendgrid_amp_create_rules(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_event_conf_t *conf);

#define ngx_http_sendgrid_amp_count_names(names)                              \
    (((names) != NULL) ? (names)->nelts : 0)

/* makes the table of remembered hashes, once; hash is NULL or a location's */
void ngx_http_sendgrid_amp_remember_hashes(sgamp_hash_t *hash);


#endif /* _NGX_HTTP_SENDGRID_AMP_EVENT_H_INCLUDED_ */
