
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


/* what the answer to a call is worth, whatever the peer */


static ngx_uint_t ngx_http_sendgrid_amp_upstream_status(ngx_http_upstream_t *u,
    ngx_http_sendgrid_amp_call_t *call, ngx_int_t rc);
static const char *ngx_http_sendgrid_amp_body_kind(
    ngx_http_sendgrid_amp_call_t *call, sgamp_answer_t *answer);


ngx_uint_t
ngx_http_sendgrid_amp_final_status(ngx_http_request_t *sr,
    ngx_http_sendgrid_amp_call_t *call, ngx_int_t rc)
{
    ngx_http_core_loc_conf_t          *clcf;
    ngx_http_sendgrid_amp_loc_conf_t  *conf;

    conf = ngx_http_get_module_loc_conf(sr, ngx_http_sendgrid_amp_module);

    if (!conf->internal) {
        clcf = ngx_http_get_module_loc_conf(sr, ngx_http_core_module);

        ngx_log_error(NGX_LOG_ERR, sr->connection->log, 0,
                      "\"%s\" sends nothing to \"%V\", the location "
                      "\"%V\" is not \"internal\": is "
                      "\"sendgrid_amp_locations.conf\" included in this server",
                      call->ctx->flow->name, &call->uri, &clcf->name);
        return 0;
    }

    call->local = (sr->upstream == NULL);

    if (!call->local) {
        return ngx_http_sendgrid_amp_upstream_status(sr->upstream, call, rc);
    }

    return sr->headers_out.status ? sr->headers_out.status
                                  : (ngx_uint_t) ngx_max(rc, 0);
}


static ngx_uint_t
ngx_http_sendgrid_amp_upstream_status(ngx_http_upstream_t *u,
    ngx_http_sendgrid_amp_call_t *call, ngx_int_t rc)
{
    /* nginx may have the status line and not the rest of the header */

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE
        && (ngx_uint_t) rc != u->headers_in.status_n)
    {
        call->failed = u;
    }

    return (call->failed != u) ? u->headers_in.status_n : 0;
}


void
ngx_http_sendgrid_amp_check_answer(ngx_http_sendgrid_amp_job_t *job,
    ngx_uint_t no_memory)
{
    ngx_log_t                     *log;
    sgamp_answer_t                *answer;
    ngx_http_request_t            *sr;
    ngx_http_sendgrid_amp_call_t  *call;

    call = job->call;
    sr = call->request;
    log = sr->connection->log;
    answer = call->listening ? job->answer : NULL;

    if (sr->headers_out.content_length_n > call->received) {
        call->last = 0;
    }

    if (no_memory && call->status >= NGX_HTTP_SPECIAL_RESPONSE) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "there was no memory for the whole request to "
                      "%s: its answer %ui is not believed",
                      job->ctx->flow->peer, call->status);
        call->status = 0;
    }

    call->body_kind = ngx_http_sendgrid_amp_body_kind(call, answer);

    /* an error page of nginx's own says nothing about the elements */

    if (call->local
        && call->status >= NGX_HTTP_SPECIAL_RESPONSE
        && (answer == NULL || answer->body != SGAMP_ANSWER_WHOLE))
    {
        ngx_http_set_log_request(log, sr);
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "\"%V\" answers %ui and passes nothing to %s",
                      &sr->uri, call->status, job->ctx->flow->peer);
        ngx_http_set_log_request(log, job->ctx->request);

        call->status = 0;
    }
}


static const char *
ngx_http_sendgrid_amp_body_kind(ngx_http_sendgrid_amp_call_t *call,
    sgamp_answer_t *answer)
{
    if (call->received == 0) {
        return "an empty body";
    }

    if (answer != NULL && answer->body == SGAMP_ANSWER_WHOLE) {
        return "JSON";
    }

    return ngx_http_sendgrid_amp_is_html(call) ? "HTML"
                                               : "a body that is not JSON";
}


ngx_uint_t
ngx_http_sendgrid_amp_is_html(ngx_http_sendgrid_amp_call_t *call)
{
    ngx_str_t  *type;

    type = &call->request->headers_out.content_type;

    return type->len >= sizeof("text/html") - 1
           && ngx_strncasecmp(type->data, (u_char *) "text/html",
                              sizeof("text/html") - 1)
              == 0;
}
