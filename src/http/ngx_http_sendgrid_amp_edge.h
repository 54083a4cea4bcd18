
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

/* gives the worker room for hashes, at the first webhook of a location */
void ngx_http_sendgrid_amp_remember_hashes(ngx_http_sendgrid_amp_ctx_t *ctx);


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

/* bytes of a payload at most */
size_t ngx_http_sendgrid_amp_batch_size(ngx_http_sendgrid_amp_ctx_t *ctx);


/* dead letter */

/* an event that cannot be delivered */

typedef struct {
    sgamp_kind_e  kind;
    sgamp_str_t   reason;
    sgamp_str_t   detail;  /* the field that is wrong, or empty */
    sgamp_str_t   id;      /* its sg_event_id, or empty */
    sgamp_str_t   event;   /* JSON, as it came or with the rules applied */
    sgamp_str_t   sent;    /* the latter: an object with what was sent besides,
                              without its closing bracket; or empty */
} ngx_http_sendgrid_amp_rejected_t;


/*
 * The event is logged and counted, or a line is made, which waits in the
 * worker for ngx_http_sendgrid_amp_write_rejected().
 */
void ngx_http_sendgrid_amp_reject(ngx_http_sendgrid_amp_ctx_t *ctx,
    const ngx_http_sendgrid_amp_rejected_t *rejected);

/* likewise, for one that was not mapped */
void ngx_http_sendgrid_amp_reject_unmapped(ngx_http_sendgrid_amp_ctx_t *ctx,
    sgamp_kind_e kind, sgamp_reason_e reason, const sgamp_str_t *id,
    const sgamp_str_t *raw);

/*
 * To be called after events may have been rejected, before anything else is
 * waited for.  Events count as rejected once their lines are written; if these
 * cannot be written the webhook fails.
 */
void ngx_http_sendgrid_amp_write_rejected(ngx_http_sendgrid_amp_ctx_t *ctx);

/* logs how many events were rejected that have no line in the error log */
void ngx_http_sendgrid_amp_log_more(ngx_http_sendgrid_amp_ctx_t *ctx);

/* keeps other users from reading dead letters, as far as the process may */
ngx_int_t ngx_http_sendgrid_amp_init_dead_letters(ngx_cycle_t *cycle);


#endif /* _NGX_HTTP_SENDGRID_AMP_EDGE_H_INCLUDED_ */
