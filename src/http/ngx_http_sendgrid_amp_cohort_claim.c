
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp_cohort.h"


/*
 * A message in the ledger: which message this is, whether the same message is
 * in work or done, and by which time its contacts are decided.
 */


#define NGX_HTTP_SENDGRID_AMP_POLL    50        /* ms between two looks */
#define NGX_HTTP_SENDGRID_AMP_WAIT    20000     /* ms for a message in work */
#define NGX_HTTP_SENDGRID_AMP_MARGIN  10000     /* ms after the budget */
#define NGX_HTTP_SENDGRID_AMP_FUTURE  86400000  /* ms a run may be ahead */


static sgamp_ledger_message_e ngx_http_sendgrid_amp_claim_begin(
    ngx_http_sendgrid_amp_ctx_t *ctx, sgamp_ledger_t *ledger, uint64_t *run);
static ngx_uint_t ngx_http_sendgrid_amp_claim_outdated(
    ngx_http_sendgrid_amp_cohort_t *cohort, sgamp_ledger_t *ledger,
    uint64_t run);
static ngx_int_t ngx_http_sendgrid_amp_claim_wait(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_claim_handler(ngx_event_t *ev);


ngx_int_t
ngx_http_sendgrid_amp_cohort_identify(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    u_char                           run[NGX_INT64_LEN];
    u_char                           hex[SGAMP_SHA256_HEX_LEN];
    uint64_t                         now;
    unsigned                         n;
    ngx_int_t                        rc;
    ngx_str_t                       *uri, *key;
    ngx_time_t                      *tp;
    sgamp_str_t                      texts[NGX_HTTP_SENDGRID_AMP_KEY_TEXTS];
    sgamp_message_t                 *message;
    ngx_http_sendgrid_amp_cohort_t  *cohort;
    ngx_http_sendgrid_amp_ledger_t  *ledger;

    cohort = ctx->data;
    ledger = &cohort->ledger;
    message = &cohort->message;
    uri = &ctx->route.uri;
    key = &cohort->api.key;

    if (cohort->named) {

        cohort->api.id.data = cohort->id;
        cohort->api.id.len = SGAMP_UUID_LEN;

        rc = ngx_http_sendgrid_amp_list_key(ctx, &ledger->list);

    } else {
        rc = ngx_http_sendgrid_amp_account_key(uri, key, &cohort->name.end, 1,
                                               &ledger->list);
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (cohort->listed) {

        if (sgamp_hash_final(&cohort->hash, hex) != SGAMP_OK) {
            return NGX_ERROR;
        }

        n = 2;

        texts[0].data = ctx->request->uri.data;
        texts[0].len = ctx->request->uri.len;
        texts[1].data = hex;
        texts[1].len = sizeof(hex);

    } else {
        n = 4;

        texts[0] = message->cohort_id;
        texts[1] = message->message_id;
        texts[2].data = run;
        texts[2].len = ngx_sprintf(run, "%uL", message->run) - run;
        texts[3].data = (u_char *) (message->in_cohort ? "1" : "0");
        texts[3].len = 1;
    }

    if (ngx_http_sendgrid_amp_account_key(uri, key, texts, n, &ledger->message)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    tp = ngx_timeofday();

    ledger->owner.process = ngx_pid;
    ledger->owner.request = (uintptr_t) ctx;

    now = (uint64_t) tp->sec * 1000 + tp->msec;

    ledger->change.run = message->run;
    ledger->change.operation = cohort->operation;
    ledger->change.window = cohort->conf->window;

    /* a run of the far future would make each later run stale */

    if (message->run == 0
        || message->run > now + NGX_HTTP_SENDGRID_AMP_FUTURE)
    {
        ledger->change.run = now;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_sendgrid_amp_cohort_claim(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    uint64_t                         run;
    sgamp_ledger_t                  *ledger;
    sgamp_ledger_message_e           state;
    ngx_http_sendgrid_amp_cohort_t  *cohort;
    ngx_http_sendgrid_amp_ledger_t  *entry;

    cohort = ctx->data;
    entry = &cohort->ledger;

    /* without an id each message is another one */

    if (!cohort->listed && cohort->message.message_id.len == 0) {
        return NGX_OK;
    }

    ledger = ngx_http_sendgrid_amp_lock_ledger(cohort->api.zone);

    /* a message of the list API joins what is in work, nothing that is done */

    if (cohort->listed && !cohort->waited) {
        sgamp_ledger_forget_message(ledger, &entry->message);
    }

    run = entry->change.run;
    state = ngx_http_sendgrid_amp_claim_begin(ctx, ledger, &run);

    if (!cohort->listed) {
        entry->change.run = run;

    } else if (run != entry->change.run
               && (state == SGAMP_LEDGER_BEGUN
                   || (state == SGAMP_LEDGER_DONE
                       && ngx_http_sendgrid_amp_claim_outdated(cohort, ledger,
                                                               run))))
    {
        /* its own arrival counts, not that of the message before */

        sgamp_ledger_end(ledger, &entry->message, &entry->owner, NULL, 1,
                         ngx_http_sendgrid_amp_ledger_now());
        sgamp_ledger_forget_message(ledger, &entry->message);

        run = entry->change.run;
        state = ngx_http_sendgrid_amp_claim_begin(ctx, ledger, &run);
    }

    ngx_http_sendgrid_amp_unlock_ledger(cohort->api.zone);

    switch (state) {

    case SGAMP_LEDGER_BEGUN:
        entry->begun = 1;
        return NGX_OK;

    case SGAMP_LEDGER_DONE:
        cohort->done = 1;
        cohort->work.stage = (cohort->message.form == SGAMP_MESSAGE_CREATE)
                             ? NGX_HTTP_SENDGRID_AMP_FIND_LIST
                             : NGX_HTTP_SENDGRID_AMP_NOTHING;
        return NGX_DONE;

    default: /* SGAMP_LEDGER_IN_WORK */
        return ngx_http_sendgrid_amp_claim_wait(ctx);
    }
}


static sgamp_ledger_message_e
ngx_http_sendgrid_amp_claim_begin(ngx_http_sendgrid_amp_ctx_t *ctx,
    sgamp_ledger_t *ledger, uint64_t *run)
{
    uint64_t                         now;
    ngx_http_sendgrid_amp_cohort_t  *cohort;
    ngx_http_sendgrid_amp_ledger_t  *entry;

    cohort = ctx->data;
    entry = &cohort->ledger;
    now = ngx_http_sendgrid_amp_ledger_now();

    return sgamp_ledger_begin(ledger, &entry->message, &entry->owner,
                              ngx_http_sendgrid_amp_ledger_alive, run,
                              now + ctx->conf->timeout
                              + NGX_HTTP_SENDGRID_AMP_MARGIN,
                              now, &entry->summary);
}


static ngx_uint_t
ngx_http_sendgrid_amp_claim_outdated(ngx_http_sendgrid_amp_cohort_t *cohort,
    sgamp_ledger_t *ledger, uint64_t run)
{
    uint32_t                i;
    sgamp_contact_t        *contact;
    sgamp_ledger_change_t   change;

    /* whether a newer message has decided about a contact since the run */

    change = cohort->ledger.change;

    change.list = sgamp_siphash(sgamp_ledger_hash_key(ledger), cohort->id,
                                SGAMP_UUID_LEN);
    change.run = run;
    change.now = ngx_http_sendgrid_amp_ledger_now();

    for (i = 0; i < cohort->contacts.n; i++) {
        contact = sgamp_contact_at(&cohort->contacts, i);

        if (sgamp_ledger_contact(ledger, &change, contact->hash, 1)
            == SGAMP_LEDGER_STALE)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_sendgrid_amp_claim_wait(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_event_t                     *ev;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;
    ev = &cohort->timer;

    if (!cohort->waited) {
        cohort->waited = 1;
        cohort->wait_until = ngx_current_msec + NGX_HTTP_SENDGRID_AMP_WAIT;
    }

    if (ctx->gone) {
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_CLOSED);
        return NGX_ERROR;
    }

    if ((ngx_msec_int_t) (ngx_current_msec - cohort->wait_until) >= 0) {
        ctx->counts.retry_after = 1;
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_IN_PROGRESS);
        return NGX_ERROR;
    }

    if (!ev->timer_set) {
        ev->handler = ngx_http_sendgrid_amp_claim_handler;
        ev->data = ctx;
        ev->log = ctx->request->connection->log;

        ngx_add_timer(ev, NGX_HTTP_SENDGRID_AMP_POLL);
    }

    return NGX_AGAIN;
}


static void
ngx_http_sendgrid_amp_claim_handler(ngx_event_t *ev)
{
    ngx_http_sendgrid_amp_ctx_t  *ctx = ev->data;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, ev->log, 0,
                   "sendgrid_amp cohort timer");

    ngx_http_sendgrid_amp_wake_event(ctx);
}


void
ngx_http_sendgrid_amp_cohort_unclaim(ngx_http_sendgrid_amp_ctx_t *ctx,
    const sgamp_ledger_summary_t *summary)
{
    sgamp_ledger_t                  *ledger;
    ngx_http_sendgrid_amp_cohort_t  *cohort;
    ngx_http_sendgrid_amp_ledger_t  *entry;

    cohort = ctx->data;
    entry = &cohort->ledger;

    if (cohort->timer.timer_set) {
        ngx_del_timer(&cohort->timer);
    }

    if (!entry->begun) {
        return;
    }

    entry->begun = 0;

    ledger = ngx_http_sendgrid_amp_lock_ledger(cohort->api.zone);

    sgamp_ledger_end(ledger, &entry->message, &entry->owner, summary, 0,
                     ngx_http_sendgrid_amp_ledger_now());

    ngx_http_sendgrid_amp_unlock_ledger(cohort->api.zone);
}
