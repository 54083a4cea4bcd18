
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp_cohort.h"

#include "sgamp_json.h"


/*
 * The flow of cohorts: messages of Amplitude's Cohort Webhook and of its list
 * API, https://amplitude.com/docs/data/destination-catalog/cohort-webhooks and
 * https://amplitude.com/docs/partners/create-a-cohort-sync-integration.
 */


#define NGX_HTTP_SENDGRID_AMP_REALM  "Bearer realm=\"Amplitude cohorts\""


/* what SendGrid refuses, with room for what the record points to */

typedef struct {
    ngx_http_sendgrid_amp_rejected_t  rejected;  /* must be the first */
    u_char                            reason[NGX_HTTP_SENDGRID_AMP_REASON];
    u_char                            user[];
} ngx_http_sendgrid_amp_refused_user_t;


static const sgamp_names_t *ngx_http_sendgrid_amp_cohort_start(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_cohort_init_contacts(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static const sgamp_str_t *ngx_http_sendgrid_amp_cohort_arrays(
    ngx_http_sendgrid_amp_ctx_t *ctx, unsigned *n);
static int ngx_http_sendgrid_amp_cohort_user(void *data,
    const sgamp_element_t *user);
static int ngx_http_sendgrid_amp_cohort_member(void *data,
    const sgamp_str_t *name, const sgamp_str_t *value);
static ngx_int_t ngx_http_sendgrid_amp_cohort_portion(
    ngx_http_sendgrid_amp_ctx_t *ctx, ngx_str_t *portion);
static ngx_int_t ngx_http_sendgrid_amp_cohort_message(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_cohort_check(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_cohort_list(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_cohort_supply(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_cohort_stored(
    ngx_http_sendgrid_amp_ctx_t *ctx, const sgamp_stored_t *user);
static ngx_http_sendgrid_amp_rejected_t *ngx_http_sendgrid_amp_cohort_rejected(
    ngx_http_sendgrid_amp_job_t *job, sgamp_part_t *part, uint32_t i);
static void ngx_http_sendgrid_amp_cohort_settled(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_cohort_sum(ngx_http_sendgrid_amp_ctx_t *ctx,
    sgamp_ledger_summary_t *summary);
static u_char *ngx_http_sendgrid_amp_cohort_summary(
    ngx_http_sendgrid_amp_ctx_t *ctx, u_char *p);
static void ngx_http_sendgrid_amp_cohort_finish(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_http_sendgrid_amp_cohort_t *ngx_http_sendgrid_amp_cohort(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_sendgrid_amp_cohort_text_variable(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_sendgrid_amp_cohort_number_variable(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);


typedef enum {
    NGX_HTTP_SENDGRID_AMP_COHORT_ID = 0,
    NGX_HTTP_SENDGRID_AMP_COHORT_NAME,
    NGX_HTTP_SENDGRID_AMP_LIST_ID
} ngx_http_sendgrid_amp_cohort_text_e;


static ngx_http_variable_t  ngx_http_sendgrid_amp_cohort_vars[] = {

    { ngx_string("sendgrid_amp_cohort_id"), NULL,
      ngx_http_sendgrid_amp_cohort_text_variable,
      NGX_HTTP_SENDGRID_AMP_COHORT_ID,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sendgrid_amp_cohort_name"), NULL,
      ngx_http_sendgrid_amp_cohort_text_variable,
      NGX_HTTP_SENDGRID_AMP_COHORT_NAME,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sendgrid_amp_list_id"), NULL,
      ngx_http_sendgrid_amp_cohort_text_variable,
      NGX_HTTP_SENDGRID_AMP_LIST_ID,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sendgrid_amp_added"), NULL,
      ngx_http_sendgrid_amp_cohort_number_variable,
      offsetof(sgamp_ledger_summary_t, added),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sendgrid_amp_removed"), NULL,
      ngx_http_sendgrid_amp_cohort_number_variable,
      offsetof(sgamp_ledger_summary_t, removed),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sendgrid_amp_skipped"), NULL,
      ngx_http_sendgrid_amp_cohort_number_variable,
      offsetof(sgamp_ledger_summary_t, skipped),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("sendgrid_amp_calls"), NULL,
      ngx_http_sendgrid_amp_cohort_number_variable,
      offsetof(sgamp_ledger_summary_t, calls),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


/* in the order of ngx_http_sendgrid_amp_state_e */

static const char *const  ngx_http_sendgrid_amp_cohort_states[] = {
    "reading a cohort",
    "waiting for SendGrid",
    "waiting for the same message",
    "waiting for SendGrid",
    "ending a failed message",
    "answering Amplitude",
    "answering Amplitude"
};


static const ngx_http_sendgrid_amp_figures_t
    ngx_http_sendgrid_amp_cohort_figures = {
    sgamp_metrics_cohort_message,             /* answered */
    &sgamp_metrics_cohort_answers,            /* answers */
    SGAMP_METRICS_COHORT_TIME,                /* time */
    SGAMP_METRICS,                            /* received */
    SGAMP_METRICS,                            /* sent */
    SGAMP_METRICS,                            /* retries */
    SGAMP_METRICS                             /* in flight */
};


static const ngx_http_sendgrid_amp_region_t
    ngx_http_sendgrid_amp_cohort_regions[NGX_HTTP_SENDGRID_AMP_REGIONS] = {
    { ngx_string("global"), ngx_string("/sendgrid/global") },
    { ngx_string("eu"), ngx_string("/sendgrid/eu") }
};


const ngx_http_sendgrid_amp_flow_t  ngx_http_sendgrid_amp_cohorts_flow = {
    "sendgrid_amp_cohorts",                           /* name */
    "SendGrid",                                       /* peer */
    "user",                                           /* noun */
    "users",                                          /* nouns */
    "a user",                                         /* a noun */
    "user_id",                                        /* id */
    NGX_HTTP_SENDGRID_AMP_REALM,                      /* realm */
    ngx_http_sendgrid_amp_cohort_states,              /* states */
    sizeof(sgamp_sendgrid_answer_t),                  /* answer size */
    &ngx_http_sendgrid_amp_cohort_figures,            /* figures */
    ngx_http_sendgrid_amp_cohort_regions,             /* regions */
    sizeof("/x") - 1,                                 /* path */
    ngx_http_sendgrid_amp_cohort_authorize,           /* authorize */
    ngx_http_sendgrid_amp_cohort_route,               /* route */
    ngx_http_sendgrid_amp_cohort_start,               /* start */
    ngx_http_sendgrid_amp_cohort_user,                /* element */
    ngx_http_sendgrid_amp_cohort_arrays,              /* arrays */
    ngx_http_sendgrid_amp_cohort_member,              /* member */
    ngx_http_sendgrid_amp_cohort_portion,             /* portion */
    ngx_http_sendgrid_amp_cohort_message,             /* message */
    ngx_http_sendgrid_amp_cohort_stored,              /* stored */
    ngx_http_sendgrid_amp_cohort_supply,              /* supply */
    ngx_http_sendgrid_amp_cohort_before,              /* before */
    ngx_http_sendgrid_amp_api_request,                /* request */
    ngx_http_sendgrid_amp_cohort_listen,              /* listen */
    ngx_http_sendgrid_amp_api_read,                   /* read */
    ngx_http_sendgrid_amp_api_unlisten,               /* unlisten */
    ngx_http_sendgrid_amp_cohort_judge,               /* judge */
    ngx_http_sendgrid_amp_api_unanswered,             /* unanswered */
    ngx_http_sendgrid_amp_cohort_accepted,            /* accepted */
    ngx_http_sendgrid_amp_cohort_rejected,            /* rejected */
    ngx_http_sendgrid_amp_cohort_settled,             /* settled */
    ngx_http_sendgrid_amp_cohort_summary,             /* summary */
    ngx_http_sendgrid_amp_cohort_finish,              /* finish */
    0,                                                /* is signed */
    1,                                                /* is certain */
    1,                                                /* is lasting */
    1                                                 /* has api */
};


static const sgamp_names_t *
ngx_http_sendgrid_amp_cohort_start(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    static const sgamp_str_t  none = sgamp_str("");

    cohort = ctx->data;

    /* what is to be done is known when the last byte has come */

    ctx->hold |= NGX_HTTP_SENDGRID_AMP_HOLD_MESSAGE;

    sgamp_batcher_init(ngx_http_sendgrid_amp_batcher(ctx),
                       &ctx->worker->pieces, NULL, cohort, &none, &none,
                       NGX_HTTP_SENDGRID_AMP_MAX_PUT, 1);

    ngx_http_sendgrid_amp_cohort_init_contacts(ctx);

    if (cohort->listed) {

        if (sgamp_hash_init(&cohort->hash, NULL) != SGAMP_OK
            || sgamp_hash_start(&cohort->hash) != SGAMP_OK)
        {
            ngx_http_sendgrid_amp_internal(ctx, "OpenSSL cannot hash the body");
            return NULL;
        }
    }

    return cohort->listed ? &cohort->conf->rules->item
                          : &cohort->conf->rules->webhook;
}


static void
ngx_http_sendgrid_amp_cohort_init_contacts(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    sgamp_ledger_t                  *ledger;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;

    /* the key of the ledger never changes */

    ledger = cohort->api.zone->ledger;

    sgamp_contacts_init(&cohort->contacts, cohort->conf->rules,
                        sgamp_ledger_hash_key(ledger), &ctx->worker->grow);

    cohort->contacts.item = cohort->listed;
}


static const sgamp_str_t *
ngx_http_sendgrid_amp_cohort_arrays(ngx_http_sendgrid_amp_ctx_t *ctx,
    unsigned *n)
{
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;

    return sgamp_message_arrays(cohort->message.form, n);
}


static int
ngx_http_sendgrid_amp_cohort_user(void *data, const sgamp_element_t *user)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx = data;

    int                              rc;
    sgamp_stored_t                   rejected;
    sgamp_contact_result_e           result;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;

    ctx->counts.received++;

    rc = sgamp_contacts_add(&cohort->contacts, user, &result);

    if (rc != SGAMP_OK || result == SGAMP_CONTACT_ACCEPTED) {
        return rc;
    }

    ngx_memzero(&rejected, sizeof(sgamp_stored_t));

    rejected.reason = result;
    rejected.raw = user->raw;

    return ngx_http_sendgrid_amp_hold_rejected(ctx, &rejected);
}


static int
ngx_http_sendgrid_amp_cohort_member(void *data, const sgamp_str_t *name,
    const sgamp_str_t *value)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx = data;

    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;

    if (sgamp_message_member(&cohort->message, name, value)) {

        /* the last of several members with a name counts */

        ctx->counts.received = 0;

        sgamp_contacts_done(&cohort->contacts);
        ngx_http_sendgrid_amp_cohort_init_contacts(ctx);

        (void) ngx_http_sendgrid_amp_end_hold(ctx, 0);
    }

    return SGAMP_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_cohort_portion(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_str_t *portion)
{
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;

    if (!cohort->listed) {
        return NGX_OK;
    }

    if (sgamp_hash_update(&cohort->hash, portion->data, portion->len)
        != SGAMP_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_cohort_message(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;

    if (!cohort->waited) {

        if (ngx_http_sendgrid_amp_cohort_check(ctx) != NGX_OK) {
            return NGX_ERROR;
        }

        if (ngx_http_sendgrid_amp_cohort_identify(ctx) != NGX_OK) {
            ngx_http_sendgrid_amp_internal(ctx, "no memory for a message");
            return NGX_ERROR;
        }

        if (cohort->contacts.n == 0
            && cohort->message.form != SGAMP_MESSAGE_CREATE)
        {
            cohort->work.stage = NGX_HTTP_SENDGRID_AMP_NOTHING;
        }
    }

    /* a dry run leaves no trace */

    return ctx->transport.ops->live ? ngx_http_sendgrid_amp_cohort_claim(ctx)
                                    : NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_cohort_check(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                       valid;
    sgamp_str_t                      prefix;
    sgamp_message_t                 *message;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;
    message = &cohort->message;

    cohort->operation = SGAMP_ADD;

    if (message->form == SGAMP_MESSAGE_REMOVE
        || (message->form == SGAMP_MESSAGE_WEBHOOK && !message->in_cohort))
    {
        cohort->operation = SGAMP_REMOVE;
    }

    prefix.data = cohort->conf->prefix.data;
    prefix.len = cohort->conf->prefix.len;

    valid = sgamp_message_valid(message);

    switch (message->form) {

    case SGAMP_MESSAGE_WEBHOOK:
    case SGAMP_MESSAGE_CREATE:
        valid = valid
                && sgamp_list_name(&cohort->name, &prefix, message)
                   == SGAMP_OK;
        break;

    default: /* SGAMP_MESSAGE_ADD, SGAMP_MESSAGE_REMOVE */
        valid = valid && ctx->counts.received != 0;
        break;
    }

    if (!valid) {
        ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                      "client sent a message that says no cohort, no users, "
                      "or not whether the users enter or leave");

        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_INVALID_MESSAGE);
        return NGX_ERROR;
    }

    return ngx_http_sendgrid_amp_cohort_list(ctx);
}


static ngx_int_t
ngx_http_sendgrid_amp_cohort_list(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_str_t                        id;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;

    if (cohort->named || cohort->conf->list_id == NULL) {
        return NGX_OK;
    }

    if (ngx_http_sendgrid_amp_value(ctx, cohort->conf->list_id, &id)
        != NGX_OK)
    {
        ngx_http_sendgrid_amp_internal(ctx, "no memory for the id of a list");
        return NGX_ERROR;
    }

    if (id.len == 0) {
        return NGX_OK;
    }

    if (!sgamp_uuid(cohort->id, id.data, id.len)) {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "the value of \"sendgrid_amp_list_id\" is not the id "
                      "of a list");

        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_NOT_FOUND);
        return NGX_ERROR;
    }

    cohort->named = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_cohort_supply(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    return ctx->transport.ops->live
           ? ngx_http_sendgrid_amp_cohort_live_supply(ctx)
           : ngx_http_sendgrid_amp_cohort_dry_supply(ctx);
}


static void
ngx_http_sendgrid_amp_cohort_stored(ngx_http_sendgrid_amp_ctx_t *ctx,
    const sgamp_stored_t *user)
{
    ngx_http_sendgrid_amp_cohort_t    *cohort;
    ngx_http_sendgrid_amp_rejected_t   rejected;

    static const sgamp_str_t  no_email = sgamp_str("no_email");
    static const sgamp_str_t  invalid_email = sgamp_str("invalid_email");

    cohort = ctx->data;

    ngx_memzero(&rejected, sizeof(ngx_http_sendgrid_amp_rejected_t));

    rejected.reason = (user->reason == SGAMP_CONTACT_NO_EMAIL) ? no_email
                                                               : invalid_email;
    rejected.element = user->raw;

    rejected.counters[0] = sgamp_metrics_contact(cohort->operation,
                                     (sgamp_contact_result_e) user->reason);
    rejected.counters[1] = SGAMP_METRICS;

    ngx_http_sendgrid_amp_reject(ctx, &rejected);
}


static ngx_http_sendgrid_amp_rejected_t *
ngx_http_sendgrid_amp_cohort_rejected(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part, uint32_t i)
{
    u_char                                *p;
    size_t                                 len;
    uint32_t                               n;
    ngx_uint_t                             bare;
    sgamp_grow_t                          *grow;
    ngx_http_sendgrid_amp_cohort_t        *cohort;
    ngx_http_sendgrid_amp_rejected_t      *rejected;
    ngx_http_sendgrid_amp_refused_user_t  *refused;

    cohort = job->ctx->data;
    n = part->index[i];
    grow = &job->ctx->worker->grow;

    len = sgamp_batch_element(job->batch, n, NULL, 0);

    refused = grow->alloc(grow->data,
                          sizeof(ngx_http_sendgrid_amp_refused_user_t)
                          + sizeof("{\"email\":}") + len);
    if (refused == NULL) {
        return NULL;
    }

    rejected = &refused->rejected;
    ngx_memzero(rejected, sizeof(ngx_http_sendgrid_amp_rejected_t));

    /* a search has nothing but addresses */

    p = refused->user;
    bare = (job->batch->items[n].kind != SGAMP_CALL_PUT);

    if (bare) {
        p = ngx_cpymem(p, "{\"email\":", sizeof("{\"email\":") - 1);
    }

    (void) sgamp_batch_element(job->batch, n, p, len);
    p += len;

    if (bare) {
        *p++ = '}';
    }

    rejected->element.data = refused->user;
    rejected->element.len = p - refused->user;

    rejected->reason.data = refused->reason;
    rejected->reason.len = ngx_sprintf(refused->reason, "sendgrid_%ui",
                                       job->call->status)
                           - refused->reason;

    rejected->counters[0] = sgamp_metrics_contact(cohort->operation,
                                                  SGAMP_CONTACT_REFUSED);
    rejected->counters[1] = SGAMP_METRICS;

    sgamp_contact_at(&cohort->contacts, job->batch->items[n].id)->state =
                                       NGX_HTTP_SENDGRID_AMP_CONTACT_ENDED;

    return rejected;
}


static void
ngx_http_sendgrid_amp_cohort_settled(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    sgamp_ledger_summary_t           summary, *done;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;

    if (cohort->settling != 0 && ctx->error == NGX_HTTP_SENDGRID_AMP_OK) {
        ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                      "%ui users have another change on its way: they are "
                      "left for the repeat of the message",
                      cohort->settling);

        ctx->counts.retry_after = cohort->settles / 1000 + 1;

        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_UNAVAILABLE);
    }

    ngx_http_sendgrid_amp_cohort_sum(ctx, &summary);

    done = (ctx->error == NGX_HTTP_SENDGRID_AMP_OK) ? &summary : NULL;

    ngx_http_sendgrid_amp_cohort_unclaim(ctx, done);
}


static void
ngx_http_sendgrid_amp_cohort_sum(ngx_http_sendgrid_amp_ctx_t *ctx,
    sgamp_ledger_summary_t *summary)
{
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    ngx_memzero(summary, sizeof(sgamp_ledger_summary_t));

    cohort = ctx->data;

    summary->received = (uint32_t) ctx->counts.received;
    summary->skipped = (uint32_t) ctx->counts.rejected;

    if (cohort != NULL) {
        summary->added = (uint32_t) cohort->added;
        summary->removed = (uint32_t) cohort->removed;
        summary->calls = (uint32_t) cohort->api.calls;
    }

    if (cohort != NULL && cohort->done) {
        *summary = cohort->ledger.summary;
    }
}


static u_char *
ngx_http_sendgrid_amp_cohort_summary(ngx_http_sendgrid_amp_ctx_t *ctx,
    u_char *p)
{
    size_t                           len;
    sgamp_ledger_summary_t           summary;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;

    if (ctx->error == NGX_HTTP_SENDGRID_AMP_OK
        && cohort->message.form == SGAMP_MESSAGE_CREATE)
    {
        /* Amplitude's portal is told where to find the id */

        len = SGAMP_UUID_LEN;

        return ngx_sprintf(p, "\"listId\":\"%*s\",\"list_id\":\"%*s\","
                           "\"response\":{\"listId\":\"%*s\","
                           "\"list_id\":\"%*s\"}",
                           len, cohort->id, len, cohort->id,
                           len, cohort->id, len, cohort->id);
    }

    ngx_http_sendgrid_amp_cohort_sum(ctx, &summary);

    return ngx_sprintf(p, "\"received\":%uD,\"added\":%uD,\"removed\":%uD,"
                       "\"skipped\":%uD,\"calls\":%uD",
                       summary.received, summary.added, summary.removed,
                       summary.skipped, summary.calls);
}


static void
ngx_http_sendgrid_amp_cohort_finish(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;

    if (cohort == NULL) {
        return;
    }

    ngx_http_sendgrid_amp_cohort_unclaim(ctx, NULL);

    sgamp_hash_done(&cohort->hash);
    sgamp_contacts_done(&cohort->contacts);
}


static ngx_http_sendgrid_amp_cohort_t *
ngx_http_sendgrid_amp_cohort(ngx_http_request_t *r)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    /* in the log phase the context may be that of a redirect */

    ctx = ngx_http_get_module_ctx(r->main, ngx_http_sendgrid_amp_module);

    if (ctx == NULL || ctx->flow != &ngx_http_sendgrid_amp_cohorts_flow) {
        return NULL;
    }

    return ctx->data;
}


static ngx_int_t
ngx_http_sendgrid_amp_cohort_text_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                        value;
    sgamp_str_t                     *text;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ngx_http_sendgrid_amp_cohort(r);

    if (cohort == NULL) {
        return ngx_http_sendgrid_amp_set_variable(v, NULL);
    }

    switch (data) {

    case NGX_HTTP_SENDGRID_AMP_COHORT_ID:
        text = (cohort->message.form == SGAMP_MESSAGE_CREATE)
                   ? &cohort->name.id
                   : &cohort->message.cohort_id;
        break;

    case NGX_HTTP_SENDGRID_AMP_COHORT_NAME:
        text = &cohort->message.name;
        break;

    default: /* NGX_HTTP_SENDGRID_AMP_LIST_ID */
        text = &cohort->api.id;
        break;
    }

    value.len = text->len;
    value.data = text->data;

    return ngx_http_sendgrid_amp_set_variable(v, value.len ? &value : NULL);
}


static ngx_int_t
ngx_http_sendgrid_amp_cohort_number_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    sgamp_ledger_summary_t        summary;
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    if (ngx_http_sendgrid_amp_cohort(r) == NULL) {
        return ngx_http_sendgrid_amp_set_number(r, v, 0);
    }

    ctx = ngx_http_get_module_ctx(r->main, ngx_http_sendgrid_amp_module);

    ngx_http_sendgrid_amp_cohort_sum(ctx, &summary);

    return ngx_http_sendgrid_amp_set_number(r, v,
                                 *(uint32_t *) ((u_char *) &summary + data));
}


ngx_int_t
ngx_http_sendgrid_amp_cohort_variables(ngx_conf_t *cf)
{
    if (ngx_http_sendgrid_amp_api_variables(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_sendgrid_amp_add_variables(cf,
                                           ngx_http_sendgrid_amp_cohort_vars);
}
