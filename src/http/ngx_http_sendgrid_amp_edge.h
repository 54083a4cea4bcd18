
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _NGX_HTTP_SENDGRID_AMP_EDGE_H_INCLUDED_
#define _NGX_HTTP_SENDGRID_AMP_EDGE_H_INCLUDED_


/* rules */

ngx_int_t ngx_http_sendgrid_amp_create_rules(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf);

/* evaluates the properties that are added to events */
ngx_int_t ngx_http_sendgrid_amp_properties(ngx_http_sendgrid_amp_ctx_t *ctx);


/* rules events */

ngx_int_t ngx_http_sendgrid_amp_add_events(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf);

/* warns of what cannot be meant */
void ngx_http_sendgrid_amp_check_rules(ngx_conf_t *cf,
    ngx_http_sendgrid_amp_loc_conf_t *conf);


/* dry run */

/* looks whether the webhook is a dry run, and hides the API key if it is */
ngx_int_t ngx_http_sendgrid_amp_dry_run(ngx_http_sendgrid_amp_ctx_t *ctx);

/* writes batches that are closed to the client, as far as it takes them */
void ngx_http_sendgrid_amp_dry_run_emit(ngx_http_sendgrid_amp_ctx_t *ctx);

/* writes more of a batch that the client did not take as a whole */
void ngx_http_sendgrid_amp_dry_run_flush(ngx_http_sendgrid_amp_ctx_t *ctx);

/* whether a batch is being written */
ngx_uint_t ngx_http_sendgrid_amp_dry_run_busy(
    ngx_http_sendgrid_amp_ctx_t *ctx);

/* ends the answer, returns what the request is finalized with */
ngx_int_t ngx_http_sendgrid_amp_dry_run_reply(
    ngx_http_sendgrid_amp_ctx_t *ctx);

void ngx_http_sendgrid_amp_dry_run_cleanup(ngx_http_sendgrid_amp_ctx_t *ctx);

/* whether a value of the directive turns it on */
ngx_uint_t ngx_http_sendgrid_amp_dry_run_is_on(ngx_str_t *value);


#endif /* _NGX_HTTP_SENDGRID_AMP_EDGE_H_INCLUDED_ */
