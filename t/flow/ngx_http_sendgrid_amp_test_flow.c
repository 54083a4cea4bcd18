
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"
#include "sgamp_json.h"


/* {"users":[..],"list":NAME} is sent with PUT ?list=NAME, DELETE ?from=NAME */

static ngx_int_t
ngx_http_sendgrid_amp_test_route(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    return ngx_http_sendgrid_amp_value(ctx, ctx->conf->region,
                                       &ctx->route.uri);
}


static int
ngx_http_sendgrid_amp_test_write(void *data, const sgamp_element_t *element,
    sgamp_sink_t *sink, sgamp_item_t *item)
{
    sgamp_json_copy(sink, element->raw.data, element->raw.len);
    return 0;
}


static const sgamp_names_t *
ngx_http_sendgrid_amp_test_start(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    static const sgamp_str_t    head = sgamp_str("{\"contacts\":[");
    static const sgamp_str_t    tail = sgamp_str("]}");
    static const sgamp_names_t  names;

    ctx->hold |= NGX_HTTP_SENDGRID_AMP_HOLD_MESSAGE;

    sgamp_batcher_init(ngx_http_sendgrid_amp_batcher(ctx),
                       &ctx->worker->pieces, ngx_http_sendgrid_amp_test_write,
                       NULL, &head, &tail, 65536, 100);
    return &names;
}


static int
ngx_http_sendgrid_amp_test_element(void *data, const sgamp_element_t *element)
{
    int                           reason;
    ngx_http_sendgrid_amp_ctx_t  *ctx = data;

    ctx->counts.received++;
    return sgamp_batcher_add(ngx_http_sendgrid_amp_batcher(ctx), element,
                             &reason);
}


static const sgamp_str_t *
ngx_http_sendgrid_amp_test_arrays(ngx_http_sendgrid_amp_ctx_t *ctx,
    unsigned *n)
{
    static const sgamp_str_t  users = sgamp_str("users");

    *n = 1;
    return &users;
}


static int
ngx_http_sendgrid_amp_test_member(void *data, const sgamp_str_t *name,
    const sgamp_str_t *value)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx = data;

    if (name->len == 4 && ngx_memcmp(name->data, "list", 4) == 0) {
        ctx->data = ngx_pnalloc(ctx->request->pool, value->len + 1);
        if (ctx->data == NULL) {
            return SGAMP_NOMEM;
        }

        ngx_cpystrn(ctx->data, value->data, value->len + 1);
    }

    return SGAMP_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_test_message(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    if (ctx->data != NULL) {
        return NGX_OK;
    }

    ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_INVALID_MESSAGE);
    return NGX_ERROR;
}


static ngx_int_t
ngx_http_sendgrid_amp_test_request(ngx_http_sendgrid_amp_job_t *job,
    ngx_pool_t *pool)
{
    ngx_uint_t                     step = job->part->step;
    ngx_http_sendgrid_amp_call_t  *call = job->call;
    static ngx_str_t  names[] = { ngx_string("PUT"), ngx_string("DELETE") };

    call->args.data = ngx_pnalloc(pool, ngx_strlen(job->ctx->data) + 5);
    if (call->args.data == NULL) {
        return NGX_ERROR;
    }

    call->args.len = ngx_strlen(job->ctx->data) + 5;
    ngx_sprintf(call->args.data, step ? "from=%s" : "list=%s", job->ctx->data);

    call->uri = job->ctx->route.uri;
    call->method = step ? NGX_HTTP_DELETE : NGX_HTTP_PUT;
    call->method_name = names[step];
    call->no_body = step;

    return NGX_OK;
}


static sgamp_action_e
ngx_http_sendgrid_amp_test_judge(ngx_http_sendgrid_amp_job_t *job)
{
    if (job->call->status != NGX_HTTP_ACCEPTED) {
        return (job->call->status == 400) ? SGAMP_HALVE : SGAMP_RETRY;
    }

    return job->part->step ? SGAMP_FORWARD : SGAMP_NEXT;
}


static ngx_http_sendgrid_amp_rejected_t *
ngx_http_sendgrid_amp_test_rejected(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part, uint32_t i)
{
    return NULL;
}


static u_char *
ngx_http_sendgrid_amp_test_summary(ngx_http_sendgrid_amp_ctx_t *ctx, u_char *p)
{
    return ngx_sprintf(p, "\"received\":%ui,\"sent\":%ui,\"calls\":%ui",
                       ctx->counts.received, ctx->counts.forwarded,
                       ctx->counts.batches);
}


static const ngx_http_sendgrid_amp_figures_t
    ngx_http_sendgrid_amp_test_figures = {
    sgamp_metrics_cohort_message, &sgamp_metrics_cohort_answers,
    SGAMP_METRICS_COHORT_TIME, SGAMP_METRICS,
    SGAMP_METRICS, SGAMP_METRICS, SGAMP_METRICS
};


const ngx_http_sendgrid_amp_flow_t  ngx_http_sendgrid_amp_test_flow = {
    "test", "peer", "user", "users", "a user", "id", "Basic realm=\"test\"",
    (const char *const []) { "read", "pause", "verify", "drain", "fail",
                             "reply", "end" },
    0, &ngx_http_sendgrid_amp_test_figures, NULL, 0, NULL,
    ngx_http_sendgrid_amp_test_route,
    ngx_http_sendgrid_amp_test_start, ngx_http_sendgrid_amp_test_element,
    ngx_http_sendgrid_amp_test_arrays, ngx_http_sendgrid_amp_test_member, NULL,
    ngx_http_sendgrid_amp_test_message, NULL, NULL, NULL,
    ngx_http_sendgrid_amp_test_request, NULL, NULL, NULL,
    ngx_http_sendgrid_amp_test_judge, NULL, NULL,
    ngx_http_sendgrid_amp_test_rejected, NULL,
    ngx_http_sendgrid_amp_test_summary, NULL, 0, 0, 0, 0
};
