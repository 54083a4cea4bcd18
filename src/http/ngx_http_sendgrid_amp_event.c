
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp_event.h"

#include "sgamp_json.h"


/*
 * The flow of events: SendGrid's Event Webhook becomes requests to Amplitude,
 * https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
 * and https://amplitude.com/docs/apis/analytics/http-v2.
 */


#define NGX_HTTP_SENDGRID_AMP_MASK  "***"  /* for the API key */

#define ngx_http_sendgrid_amp_event_count(sink, name, n)                      \
    sgamp_json_put(sink, (u_char *) name, sizeof(name) - 1);                  \
    sgamp_json_decimal(sink, n)


/* whether event_properties may be other than what SendGrid sent */

#define ngx_http_sendgrid_amp_changes_events(rules)                           \
    ((rules)->names.treat != 0 || (rules)->nproperties != 0)


typedef struct {
    ngx_http_sendgrid_amp_event_conf_t  *conf;
    ngx_str_t                            api_key;
    sgamp_mapper_t                       mapper;
    ngx_uint_t                           ignored[SGAMP_KINDS];
} ngx_http_sendgrid_amp_event_ctx_t;


/* what Amplitude refuses, with room for what the record points to */

typedef struct {
    ngx_http_sendgrid_amp_rejected_t  rejected;  /* must be the first */
    u_char                            reason[NGX_HTTP_SENDGRID_AMP_REASON];
    u_char                            detail[SGAMP_RESPONSE_FIELD_LEN];
    u_char                            event[];
} ngx_http_sendgrid_amp_refused_t;


static ngx_int_t ngx_http_sendgrid_amp_event_authorize(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static const sgamp_names_t *ngx_http_sendgrid_amp_event_start(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_event_mask(
    ngx_http_sendgrid_amp_ctx_t *ctx, size_t *size);
static ngx_int_t ngx_http_sendgrid_amp_properties(
    ngx_http_sendgrid_amp_ctx_t *ctx, const sgamp_str_t **properties);
static int ngx_http_sendgrid_amp_event_element(void *data,
    const sgamp_element_t *event);
static void ngx_http_sendgrid_amp_event_unmapped(
    ngx_http_sendgrid_amp_ctx_t *ctx, const sgamp_stored_t *event);
static void ngx_http_sendgrid_amp_event_counters(
    ngx_http_sendgrid_amp_rejected_t *rejected, sgamp_kind_e kind);
static ngx_int_t ngx_http_sendgrid_amp_event_request(
    ngx_http_sendgrid_amp_job_t *job, ngx_pool_t *pool);
static void ngx_http_sendgrid_amp_event_listen(
    ngx_http_sendgrid_amp_job_t *job);
static void ngx_http_sendgrid_amp_event_read(ngx_http_sendgrid_amp_job_t *job,
    u_char *p, size_t n);
static void ngx_http_sendgrid_amp_event_unlisten(
    ngx_http_sendgrid_amp_job_t *job);
static sgamp_action_e ngx_http_sendgrid_amp_event_judge(
    ngx_http_sendgrid_amp_job_t *job);
static void ngx_http_sendgrid_amp_event_refused(
    ngx_http_sendgrid_amp_job_t *job);
static void ngx_http_sendgrid_amp_event_unanswered(
    ngx_http_sendgrid_amp_job_t *job);
static void ngx_http_sendgrid_amp_event_answered(
    ngx_http_sendgrid_amp_job_t *job, ngx_uint_t status);
static void ngx_http_sendgrid_amp_event_accepted(
    ngx_http_sendgrid_amp_job_t *job, sgamp_part_t *part);
static ngx_http_sendgrid_amp_rejected_t *ngx_http_sendgrid_amp_event_rejected(
    ngx_http_sendgrid_amp_job_t *job, sgamp_part_t *part, uint32_t i);
static u_char *ngx_http_sendgrid_amp_event_summary(
    ngx_http_sendgrid_amp_ctx_t *ctx, u_char *p);
static void ngx_http_sendgrid_amp_event_finish(
    ngx_http_sendgrid_amp_ctx_t *ctx);


/* in the order of ngx_http_sendgrid_amp_state_e */

static const char *const  ngx_http_sendgrid_amp_event_states[] = {
    "reading SendGrid events",
    "waiting for Amplitude",
    "verifying SendGrid events",
    "waiting for Amplitude",
    "ending a failed webhook",
    "answering SendGrid",
    "answering SendGrid"
};


static const ngx_http_sendgrid_amp_figures_t
    ngx_http_sendgrid_amp_event_figures = {
    sgamp_metrics_webhook,                            /* answered */
    &sgamp_metrics_webhook_answers,                   /* answers */
    SGAMP_METRICS_WEBHOOK_TIME,                       /* time */
    SGAMP_METRICS_RECEIVED_BYTES,                     /* received */
    SGAMP_METRICS_SENT_BYTES,                         /* sent */
    SGAMP_METRICS_RETRIES,                            /* retries */
    SGAMP_METRICS_IN_FLIGHT                           /* in flight */
};


static const ngx_http_sendgrid_amp_region_t
    ngx_http_sendgrid_amp_event_regions[NGX_HTTP_SENDGRID_AMP_REGIONS] = {
    { ngx_string("us"), ngx_string("/amplitude/us") },
    { ngx_string("eu"), ngx_string("/amplitude/eu") }
};


const ngx_http_sendgrid_amp_flow_t  ngx_http_sendgrid_amp_events_flow = {
    "sendgrid_amp",                                   /* name */
    "amplitude",                                      /* peer */
    "event",                                          /* noun */
    "events",                                         /* nouns */
    "an event",                                       /* a noun */
    "sg_event_id",                                    /* id */
    "Basic realm=\"SendGrid Event Webhook\"",         /* realm */
    ngx_http_sendgrid_amp_event_states,               /* states */
    sizeof(sgamp_response_t),                         /* answer size */
    &ngx_http_sendgrid_amp_event_figures,             /* figures */
    ngx_http_sendgrid_amp_event_regions,              /* regions */
    sizeof("/") - 1,                                  /* path */
    ngx_http_sendgrid_amp_event_authorize,            /* authorize */
    ngx_http_sendgrid_amp_find_route,                 /* route */
    ngx_http_sendgrid_amp_event_start,                /* start */
    ngx_http_sendgrid_amp_event_element,              /* element */
    NULL,                                             /* arrays */
    NULL,                                             /* member */
    NULL,                                             /* portion */
    NULL,                                             /* message */
    ngx_http_sendgrid_amp_event_unmapped,             /* stored */
    NULL,                                             /* supply */
    NULL,                                             /* before */
    ngx_http_sendgrid_amp_event_request,              /* request */
    ngx_http_sendgrid_amp_event_listen,               /* listen */
    ngx_http_sendgrid_amp_event_read,                 /* read */
    ngx_http_sendgrid_amp_event_unlisten,             /* unlisten */
    ngx_http_sendgrid_amp_event_judge,                /* judge */
    ngx_http_sendgrid_amp_event_unanswered,           /* unanswered */
    ngx_http_sendgrid_amp_event_accepted,             /* accepted */
    ngx_http_sendgrid_amp_event_rejected,             /* rejected */
    NULL,                                             /* settled */
    ngx_http_sendgrid_amp_event_summary,              /* summary */
    ngx_http_sendgrid_amp_event_finish,               /* finish */
    1,                                                /* is signed */
    0,                                                /* is certain */
    0,                                                /* is lasting */
    0                                                 /* has api */
};


static ngx_str_t  ngx_http_sendgrid_amp_post_method = ngx_string("POST");


static ngx_int_t
ngx_http_sendgrid_amp_event_authorize(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t                           rc;
    ngx_http_sendgrid_amp_event_ctx_t  *ec;

    ec = ngx_pcalloc(ctx->request->pool,
                     sizeof(ngx_http_sendgrid_amp_event_ctx_t));
    if (ec == NULL) {
        return NGX_ERROR;
    }

    ec->conf = ngx_http_get_module_loc_conf(ctx->request,
                                          ngx_http_sendgrid_amp_event_module);
    ctx->data = ec;

    if (ctx->conf->auth == NGX_HTTP_SENDGRID_AMP_AUTH_BASIC) {
        rc = ngx_http_sendgrid_amp_access_basic(ctx);

        if (rc != NGX_OK) {
            return rc;
        }

        ec->api_key = ctx->request->headers_in.user;
    }

    if (ec->conf->api_key != NULL) {

        if (ngx_http_sendgrid_amp_value(ctx, ec->conf->api_key, &ec->api_key)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ec->api_key.len == 0) {
            ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                          "\"sendgrid_amp_api_key\" is empty");
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static const sgamp_names_t *
ngx_http_sendgrid_amp_event_start(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    size_t                              size;
    sgamp_str_t                         head;
    ngx_http_sendgrid_amp_event_ctx_t  *ec;

    static const sgamp_str_t  before = sgamp_str(SGAMP_EVENTS_BEFORE_KEY);
    static const sgamp_str_t  tail = sgamp_str(SGAMP_EVENTS_TAIL);

    ec = ctx->data;
    size = ec->conf->batch_size;

    if (!ctx->transport.ops->live
        && ngx_http_sendgrid_amp_event_mask(ctx, &size) != NGX_OK)
    {
        ngx_http_sendgrid_amp_internal(ctx, "no memory for an API key");
        return NULL;
    }

    if (ngx_http_sendgrid_amp_escape(ctx->request->pool, &head, &before,
                                     &ec->api_key, SGAMP_EVENTS_AFTER_KEY)
        != NGX_OK)
    {
        ngx_http_sendgrid_amp_internal(ctx, "no memory for an API key");
        return NULL;
    }

    ec->mapper.rules = ec->conf->rules;
    ec->mapper.hash = ec->conf->hash;

    if (ngx_http_sendgrid_amp_properties(ctx, &ec->mapper.properties)
        != NGX_OK)
    {
        ngx_http_sendgrid_amp_internal(ctx, "properties cannot be evaluated");
        return NULL;
    }

    sgamp_batcher_init(ngx_http_sendgrid_amp_batcher(ctx),
                       &ctx->worker->pieces, sgamp_map, &ec->mapper, &head,
                       &tail, size, (uint32_t) ec->conf->batch_events);

    ngx_http_sendgrid_amp_remember_hashes(ec->conf->hash);

    return &ec->conf->rules->names;
}


static ngx_int_t
ngx_http_sendgrid_amp_event_mask(ngx_http_sendgrid_amp_ctx_t *ctx,
    size_t *size)
{
    sgamp_str_t                         key, none;
    ngx_http_sendgrid_amp_event_ctx_t  *ec;

    ec = ctx->data;

    none.len = 0;
    none.data = (u_char *) "";

    if (ngx_http_sendgrid_amp_escape(ctx->request->pool, &key, &none,
                                     &ec->api_key, "")
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_str_set(&ec->api_key, NGX_HTTP_SENDGRID_AMP_MASK);

    /* as many events as there would be with the key in place of the mask */

    *size += ec->api_key.len;
    *size = (*size > key.len) ? *size - key.len : 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_properties(ngx_http_sendgrid_amp_ctx_t *ctx,
    const sgamp_str_t **properties)
{
    ngx_str_t                           text;
    ngx_uint_t                          i, n;
    sgamp_str_t                        *values;
    ngx_http_request_t                 *r;
    ngx_http_sendgrid_amp_property_t   *p;
    ngx_http_sendgrid_amp_event_ctx_t  *ec;

    ec = ctx->data;
    n = ngx_http_sendgrid_amp_count_names(ec->conf->set.properties);

    if (n == 0) {
        return NGX_OK;
    }

    r = ctx->request;
    p = ec->conf->set.properties->elts;

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

    *properties = values;

    return NGX_OK;
}


static int
ngx_http_sendgrid_amp_event_element(void *data, const sgamp_element_t *event)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx = data;

    int                                 rc, reason;
    sgamp_stored_t                      rejected;
    sgamp_batcher_t                    *batcher;
    ngx_http_sendgrid_amp_event_ctx_t  *ec;

    batcher = ngx_http_sendgrid_amp_batcher(ctx);

    ctx->counts.received++;

    rc = sgamp_batcher_add(batcher, event, &reason);

    if (rc != SGAMP_OK || reason == SGAMP_MAPPED) {
        return rc;
    }

    if (reason == SGAMP_IGNORED) {
        ec = ctx->data;

        ctx->counts.ignored++;
        ec->ignored[batcher->item.kind]++;

        return SGAMP_OK;
    }

    rejected.kind = batcher->item.kind;
    rejected.reason = reason;
    rejected.raw = event->raw;

    sgamp_event_id(event, &rejected.id);

    if (ctx->hold) {
        return ngx_http_sendgrid_amp_hold_rejected(ctx, &rejected);
    }

    ngx_http_sendgrid_amp_event_unmapped(ctx, &rejected);

    return SGAMP_OK;
}


static void
ngx_http_sendgrid_amp_event_unmapped(ngx_http_sendgrid_amp_ctx_t *ctx,
    const sgamp_stored_t *event)
{
    ngx_http_sendgrid_amp_rejected_t  rejected;

    ngx_memzero(&rejected, sizeof(ngx_http_sendgrid_amp_rejected_t));

    rejected.reason.data = (u_char *) sgamp_reason(event->reason);
    rejected.reason.len = ngx_strlen(rejected.reason.data);
    rejected.id = event->id;
    rejected.element = event->raw;

    ngx_http_sendgrid_amp_event_counters(&rejected, event->kind);

    ngx_http_sendgrid_amp_reject(ctx, &rejected);
}


static void
ngx_http_sendgrid_amp_event_counters(
    ngx_http_sendgrid_amp_rejected_t *rejected, sgamp_kind_e kind)
{
    rejected->counters[0] = sgamp_metrics_event(kind, SGAMP_METRICS_REJECTED);
    rejected->counters[1] = sgamp_metrics_rejected(&rejected->reason);
}


static ngx_int_t
ngx_http_sendgrid_amp_event_request(ngx_http_sendgrid_amp_job_t *job,
    ngx_pool_t *pool)
{
    ngx_http_sendgrid_amp_call_t  *call;

    call = job->call;

    call->method = NGX_HTTP_POST;
    call->method_name = ngx_http_sendgrid_amp_post_method;
    call->uri = job->ctx->route.uri;

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_event_listen(ngx_http_sendgrid_amp_job_t *job)
{
    ngx_http_sendgrid_amp_main_conf_t  *worker;

    worker = job->ctx->worker;

    sgamp_response_init(job->answer, job->part->n, &worker->grow,
                        &worker->reserve);
}


static void
ngx_http_sendgrid_amp_event_read(ngx_http_sendgrid_amp_job_t *job, u_char *p,
    size_t n)
{
    sgamp_response_feed(job->answer, p, n);
}


static void
ngx_http_sendgrid_amp_event_unlisten(ngx_http_sendgrid_amp_job_t *job)
{
    sgamp_response_done(job->answer);
}


static sgamp_action_e
ngx_http_sendgrid_amp_event_judge(ngx_http_sendgrid_amp_job_t *job)
{
    ngx_uint_t                     status;
    sgamp_action_e                 action;
    sgamp_response_t              *answer;
    ngx_http_sendgrid_amp_call_t  *call;

    call = job->call;
    answer = job->answer;

    action = sgamp_response_action(answer, (unsigned) call->status,
                                   call->last, job->batch, job->part);

    /*
     * a 200 that was cut short, or that is not Amplitude's, counts as no
     * answer
     */

    status = call->status;

    if (action == SGAMP_RETRY && status < NGX_HTTP_SPECIAL_RESPONSE) {
        status = 0;
    }

    ngx_http_sendgrid_amp_event_answered(job, status);

    if (action == SGAMP_REFUSE) {
        ngx_http_sendgrid_amp_event_refused(job);
    }

    job->marks = answer->answer.marks;

    return action;
}


static void
ngx_http_sendgrid_amp_event_refused(ngx_http_sendgrid_amp_job_t *job)
{
    ngx_log_error(NGX_LOG_ERR, job->ctx->request->connection->log, 0,
                  "amplitude refuses the API key or the whole request: check "
                  "the key and whether its project is in the region \"%V\"",
                  &job->ctx->route.region);
}


static void
ngx_http_sendgrid_amp_event_unanswered(ngx_http_sendgrid_amp_job_t *job)
{
    ngx_http_sendgrid_amp_event_answered(job, 0);
}


static void
ngx_http_sendgrid_amp_event_answered(ngx_http_sendgrid_amp_job_t *job,
    ngx_uint_t status)
{
    ngx_http_sendgrid_amp_count(job->ctx, sgamp_metrics_response(status), 1);
    ngx_http_sendgrid_amp_count_time(job->ctx->counts.shared,
                                     SGAMP_METRICS_AMPLITUDE_TIME,
                                     (ngx_msec_int_t) (ngx_current_msec
                                                       - job->call->start));
}


static void
ngx_http_sendgrid_amp_event_accepted(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part)
{
    uint32_t                      i, kinds[SGAMP_KINDS];
    sgamp_response_t             *answer;
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ctx = job->ctx;
    answer = job->answer;

    ngx_memzero(kinds, sizeof(kinds));

    for (i = 0; i < part->n; i++) {
        kinds[job->batch->items[part->index[i]].kind]++;
    }

    for (i = 0; i < SGAMP_KINDS; i++) {
        if (kinds[i] != 0) {
            ngx_http_sendgrid_amp_count(ctx,
                             sgamp_metrics_event(i, SGAMP_METRICS_FORWARDED),
                             kinds[i]);
        }
    }

    if (answer->ingested >= 0 && answer->ingested < (int64_t) part->n) {
        ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                      "amplitude accepted %uD events and says that it "
                      "ingested %L",
                      part->n, answer->ingested);
    }
}


static ngx_http_sendgrid_amp_rejected_t *
ngx_http_sendgrid_amp_event_rejected(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part, uint32_t i)
{
    uint32_t                            n;
    sgamp_str_t                         event, field;
    sgamp_item_t                       *item;
    sgamp_grow_t                       *grow;
    ngx_http_sendgrid_amp_refused_t    *refused;
    ngx_http_sendgrid_amp_rejected_t   *rejected;
    ngx_http_sendgrid_amp_event_ctx_t  *ec;

    ec = job->ctx->data;
    n = part->index[i];
    grow = &job->ctx->worker->grow;

    event.len = sgamp_batch_element(job->batch, n, NULL, 0);

    refused = grow->alloc(grow->data,
                          sizeof(ngx_http_sendgrid_amp_refused_t) + event.len);
    if (refused == NULL) {
        return NULL;
    }

    event.data = refused->event;

    (void) sgamp_batch_element(job->batch, n, event.data, event.len);

    rejected = &refused->rejected;
    rejected->next = NULL;

    item = &job->batch->items[n];

    sgamp_mapped_slices(&event, item, &rejected->sent, &rejected->id,
                       &rejected->element);

    if (!ngx_http_sendgrid_amp_changes_events(ec->conf->rules)) {
        rejected->sent.len = 0;
    }

    rejected->reason.data = refused->reason;
    rejected->reason.len = ngx_sprintf(refused->reason, "amplitude_%ui",
                                       job->call->status)
                           - refused->reason;

    field = sgamp_response_field(job->answer, i);

    rejected->detail.data = refused->detail;
    rejected->detail.len = ngx_min(field.len, sizeof(refused->detail));

    ngx_memcpy(refused->detail, field.data, rejected->detail.len);

    ngx_http_sendgrid_amp_event_counters(rejected, item->kind);

    return rejected;
}


static u_char *
ngx_http_sendgrid_amp_event_summary(ngx_http_sendgrid_amp_ctx_t *ctx,
    u_char *p)
{
    sgamp_sink_t  sink;

    /* ngx_sprintf() would take as long as the mapping of an event */

    sgamp_sink_init(&sink, p, NGX_HTTP_SENDGRID_AMP_SUMMARY);

    ngx_http_sendgrid_amp_event_count(&sink, "\"received\":",
                                      ctx->counts.received);
    ngx_http_sendgrid_amp_event_count(&sink, ",\"forwarded\":",
                                      ctx->counts.forwarded);
    ngx_http_sendgrid_amp_event_count(&sink, ",\"ignored\":",
                                      ctx->counts.ignored);
    ngx_http_sendgrid_amp_event_count(&sink, ",\"rejected\":",
                                      ctx->counts.rejected);
    ngx_http_sendgrid_amp_event_count(&sink, ",\"batches\":",
                                      ctx->counts.batches);

    return sink.pos;
}


static void
ngx_http_sendgrid_amp_event_finish(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                          i;
    ngx_http_sendgrid_amp_event_ctx_t  *ec;

    ec = ctx->data;

    /* events whose sender is not verified are not counted */

    if (ec == NULL || ctx->counts.ignored == 0 || ctx->hold) {
        return;
    }

    for (i = 0; i < SGAMP_KINDS; i++) {
        ngx_http_sendgrid_amp_count(ctx,
                               sgamp_metrics_event(i, SGAMP_METRICS_IGNORED),
                               ec->ignored[i]);
    }
}
