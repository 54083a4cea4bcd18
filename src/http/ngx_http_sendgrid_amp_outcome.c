
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


#define NGX_HTTP_SENDGRID_AMP_ROUNDS     10       /* answers that name events */
#define NGX_HTTP_SENDGRID_AMP_MAX_DELAY  3600000  /* ms between two attempts */
#define NGX_HTTP_SENDGRID_AMP_EVIDENCE   600000   /* ms after an acceptance */
#define NGX_HTTP_SENDGRID_AMP_SUSPECTS   3        /* lone events in a row */
#define NGX_HTTP_SENDGRID_AMP_REFUSALS   6        /* before lone events go */


#define ngx_http_sendgrid_amp_way(ctx)                                        \
    ngx_hash_key((ctx)->location.data, (ctx)->location.len)


/*
 * A lone event that was refused while nothing tells whether Amplitude takes
 * any event by the same way.
 */

struct ngx_http_sendgrid_amp_suspect_s {
    ngx_http_sendgrid_amp_suspect_t   *next;
    ngx_http_sendgrid_amp_rejected_t   rejected;
    u_char                             reason[sizeof("amplitude_")
                                              + NGX_INT_T_LEN];
    u_char                             detail[SGAMP_RESPONSE_FIELD_LEN];
    u_char                             event[];
};


static ngx_int_t ngx_http_sendgrid_amp_act(ngx_http_sendgrid_amp_slot_t *slot,
    sgamp_part_t *part, sgamp_action_e action);
static void ngx_http_sendgrid_amp_forwarded(
    ngx_http_sendgrid_amp_slot_t *slot, sgamp_part_t *part);
static ngx_int_t ngx_http_sendgrid_amp_separate(
    ngx_http_sendgrid_amp_slot_t *slot, sgamp_part_t *part, unsigned bits);
static ngx_int_t ngx_http_sendgrid_amp_halve(
    ngx_http_sendgrid_amp_slot_t *slot, sgamp_part_t *part);
static void ngx_http_sendgrid_amp_hold(ngx_http_sendgrid_amp_slot_t *slot,
    sgamp_part_t *part, unsigned throttled);
static ngx_int_t ngx_http_sendgrid_amp_reject_sent(
    ngx_http_sendgrid_amp_slot_t *slot, uint32_t i, sgamp_str_t *detail);
static ngx_http_sendgrid_amp_suspect_t *ngx_http_sendgrid_amp_create_suspect(
    ngx_http_sendgrid_amp_slot_t *slot, uint32_t i, sgamp_str_t *detail);
static ngx_int_t ngx_http_sendgrid_amp_suspect(
    ngx_http_sendgrid_amp_slot_t *slot, uint32_t i, sgamp_str_t *detail);
static void ngx_http_sendgrid_amp_note_evidence(
    ngx_http_sendgrid_amp_slot_t *slot);
static ngx_uint_t ngx_http_sendgrid_amp_has_evidence(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_uint_t ngx_http_sendgrid_amp_is_recent(
    ngx_http_sendgrid_amp_evidence_t *evidence);
static void ngx_http_sendgrid_amp_reject_suspects(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_wrong_way(ngx_http_sendgrid_amp_ctx_t *ctx);
static void ngx_http_sendgrid_amp_note_kind(
    ngx_http_sendgrid_amp_slot_t *slot);


void
ngx_http_sendgrid_amp_outcome(ngx_http_sendgrid_amp_slot_t *slot)
{
    ngx_log_t      *log;
    ngx_uint_t      status;
    sgamp_part_t   *part;
    sgamp_action_e  action;

    part = slot->part;
    log = slot->ctx->request->connection->log;

    action = sgamp_response_action(&slot->response, (unsigned) slot->status,
                                   slot->last, slot->batch, part);

    ngx_log_debug4(NGX_LOG_DEBUG_HTTP, log, 0,
                   "sendgrid_amp answer: %ui, last: %d, action: %d, "
                   "events: %uD",
                   slot->status, slot->last, action, part->n);

    /* a success that was cut short, or of a stranger, is no answer */

    status = slot->status;

    if (action == SGAMP_RETRY && status < NGX_HTTP_SPECIAL_RESPONSE) {
        status = 0;
    }

    ngx_http_sendgrid_amp_count_answer(slot, status);

    if (action != SGAMP_FORWARD) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "amplitude answered %ui%s to %uD events of the region "
                      "\"%V\"",
                      slot->status, slot->last ? "" : ", not to its end,",
                      part->n, &slot->ctx->region);
    }

    if (ngx_http_sendgrid_amp_act(slot, part, action) != NGX_OK) {
        ngx_http_sendgrid_amp_internal(slot->ctx,
                                       "no memory for what an answer asks");
    }

    ngx_http_sendgrid_amp_write_rejected(slot->ctx);

    ngx_http_sendgrid_amp_free_subrequest(slot);
}


static ngx_int_t
ngx_http_sendgrid_amp_act(ngx_http_sendgrid_amp_slot_t *slot,
    sgamp_part_t *part, sgamp_action_e action)
{
    ngx_int_t  rc;

    /* what is not kept in the list of parts is freed here */

    rc = NGX_OK;
    slot->part = NULL;

    switch (action) {

    case SGAMP_FORWARD:
        ngx_http_sendgrid_amp_forwarded(slot, part);
        break;

    case SGAMP_REFUSE:
        ngx_log_error(NGX_LOG_ERR, slot->ctx->request->connection->log, 0,
                      "amplitude refuses the API key or the whole request: "
                      "check the key and whether its project is in the region "
                      "\"%V\"",
                      &slot->ctx->region);

        ngx_http_sendgrid_amp_fail(slot->ctx, NGX_HTTP_SENDGRID_AMP_REFUSED);
        break;

    case SGAMP_REJECT:

        /* an event that is named alone needs no other round */

        if (part->rounds < NGX_HTTP_SENDGRID_AMP_ROUNDS || part->n == 1) {
            rc = ngx_http_sendgrid_amp_separate(slot, part,
                                                SGAMP_RESPONSE_REJECTED);
            break;
        }

        /* fall through */

    case SGAMP_HALVE:
        rc = ngx_http_sendgrid_amp_halve(slot, part);
        break;

    case SGAMP_THROTTLE:
        if (part->rounds < NGX_HTTP_SENDGRID_AMP_ROUNDS) {
            rc = ngx_http_sendgrid_amp_separate(slot, part,
                                                SGAMP_RESPONSE_THROTTLED);
            break;
        }

        /* fall through */

    case SGAMP_HOLD:
        ngx_http_sendgrid_amp_hold(slot, part, 1);
        return NGX_OK;

    default: /* SGAMP_RETRY */
        ngx_http_sendgrid_amp_hold(slot, part, 0);
        return NGX_OK;
    }

    sgamp_part_free(&slot->ctx->worker->grow, part);

    return rc;
}


static void
ngx_http_sendgrid_amp_forwarded(ngx_http_sendgrid_amp_slot_t *slot,
    sgamp_part_t *part)
{
    slot->ctx->forwarded += part->n;

    ngx_http_sendgrid_amp_count_forwarded(slot, part);
    ngx_http_sendgrid_amp_note_evidence(slot);

    if (slot->response.ingested >= 0
        && slot->response.ingested < (int64_t) part->n)
    {
        ngx_log_error(NGX_LOG_WARN, slot->ctx->request->connection->log, 0,
                      "amplitude accepted %uD events and says that it "
                      "ingested %L",
                      part->n, slot->response.ingested);
    }
}


static ngx_int_t
ngx_http_sendgrid_amp_separate(ngx_http_sendgrid_amp_slot_t *slot,
    sgamp_part_t *part, unsigned bits)
{
    uint32_t       i, n;
    u_char        *marks;
    sgamp_str_t    field;
    sgamp_grow_t  *grow;
    sgamp_part_t  *named, *rest;

    /* those that the answer does not name go again at once */

    grow = &slot->ctx->worker->grow;
    marks = slot->response.marks;

    n = 0;

    for (i = 0; i < part->n; i++) {
        n += ((marks[i] & bits) != 0);
    }

    if (n < part->n) {
        rest = sgamp_part_marked(grow, part, marks, bits, 0);
        if (rest == NULL) {
            return NGX_ERROR;
        }

        rest->rounds++;
        ngx_http_sendgrid_amp_push(slot, rest, (ngx_msec_t) part->due);
    }

    if (bits == SGAMP_RESPONSE_THROTTLED) {
        named = sgamp_part_marked(grow, part, marks, bits, 1);
        if (named == NULL) {
            return NGX_ERROR;
        }

        named->sent = 1;
        ngx_http_sendgrid_amp_hold(slot, named, 1);

        return NGX_OK;
    }

    for (i = 0; i < part->n; i++) {

        if (marks[i] & bits) {
            field = sgamp_response_field(&slot->response, i);

            if (ngx_http_sendgrid_amp_reject_sent(slot, part->index[i], &field)
                != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_halve(ngx_http_sendgrid_amp_slot_t *slot,
    sgamp_part_t *part)
{
    uint32_t                      first;
    ngx_uint_t                    evidence;
    sgamp_str_t                   field;
    sgamp_grow_t                 *grow;
    sgamp_part_t                 *range;
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ctx = slot->ctx;

    ctx->way = ngx_http_get_module_loc_conf(slot->request,
                                            ngx_http_sendgrid_amp_module);

    evidence = ngx_http_sendgrid_amp_has_evidence(ctx);

    if (evidence) {
        ngx_http_sendgrid_amp_reject_suspects(ctx);

    } else {
        ctx->refusals++;

        if (ctx->probe == NULL) {
            ctx->probe = slot;
        }
    }

    if (part->n == 1) {
        field = sgamp_response_field(&slot->response, 0);

        return evidence
               ? ngx_http_sendgrid_amp_reject_sent(slot, part->index[0], &field)
               : ngx_http_sendgrid_amp_suspect(slot, part->index[0], &field);
    }

    /*
     * halves are sent at once, the first of them first and with all that
     * becomes of it; if everything is refused, lone events tell it sooner
     */

    first = (ctx->refusals < NGX_HTTP_SENDGRID_AMP_REFUSALS) ? part->n / 2 : 1;

    grow = &ctx->worker->grow;

    range = sgamp_part_range(grow, part, first, part->n - first);
    if (range == NULL) {
        return NGX_ERROR;
    }

    ngx_http_sendgrid_amp_push(slot, range, (ngx_msec_t) part->due);

    range = sgamp_part_range(grow, part, 0, first);
    if (range == NULL) {
        return NGX_ERROR;
    }

    ngx_http_sendgrid_amp_push(slot, range, (ngx_msec_t) part->due);

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_hold(ngx_http_sendgrid_amp_slot_t *slot,
    sgamp_part_t *part, unsigned throttled)
{
    ngx_uint_t                         i;
    ngx_msec_t                         delay;
    ngx_http_sendgrid_amp_loc_conf_t  *conf;

    conf = slot->ctx->conf;

    part->throttled = throttled;

    if (part->attempts >= conf->retries) {
        ngx_http_sendgrid_amp_give_up(slot, part);
        return;
    }

    delay = conf->retry_delay;

    for (i = 0; i < part->attempts && delay < NGX_HTTP_SENDGRID_AMP_MAX_DELAY;
         i++)
    {
        delay *= 2;
    }

    part->attempts++;

    /* half of it and a random part of as much again */

    delay = delay / 2 + (ngx_msec_t) ngx_random() % (delay + 1);

    ngx_http_sendgrid_amp_push(slot, part, ngx_current_msec + delay);
}


static ngx_int_t
ngx_http_sendgrid_amp_reject_sent(ngx_http_sendgrid_amp_slot_t *slot,
    uint32_t i, sgamp_str_t *detail)
{
    sgamp_grow_t                     *grow;
    ngx_http_sendgrid_amp_suspect_t  *suspect;

    /* after 502 nothing is rejected: SendGrid posts the event again */

    if (slot->ctx->error == NGX_HTTP_SENDGRID_AMP_REFUSED) {
        return NGX_OK;
    }

    suspect = ngx_http_sendgrid_amp_create_suspect(slot, i, detail);
    if (suspect == NULL) {
        return NGX_ERROR;
    }

    ngx_http_sendgrid_amp_reject(slot->ctx, &suspect->rejected);

    grow = &slot->ctx->worker->grow;
    grow->free(grow->data, suspect);

    return NGX_OK;
}


static ngx_http_sendgrid_amp_suspect_t *
ngx_http_sendgrid_amp_create_suspect(ngx_http_sendgrid_amp_slot_t *slot,
    uint32_t i, sgamp_str_t *detail)
{
    sgamp_str_t                        event;
    sgamp_grow_t                      *grow;
    ngx_http_sendgrid_amp_suspect_t   *suspect;
    ngx_http_sendgrid_amp_rejected_t  *rejected;

    grow = &slot->ctx->worker->grow;

    event.len = sgamp_batch_event(slot->batch, i, NULL, 0);

    suspect = grow->alloc(grow->data,
                          sizeof(ngx_http_sendgrid_amp_suspect_t) + event.len);
    if (suspect == NULL) {
        return NULL;
    }

    event.data = suspect->event;

    (void) sgamp_batch_event(slot->batch, i, event.data, event.len);

    suspect->next = NULL;
    rejected = &suspect->rejected;

    sgamp_mapped_parts(&event, &rejected->sent, &rejected->id,
                       &rejected->event);

    if (!ngx_http_sendgrid_amp_changes_events(slot->ctx->conf)) {
        rejected->sent.len = 0;
    }

    rejected->kind = slot->batch->kinds[i];
    rejected->reason.data = suspect->reason;
    rejected->reason.len = ngx_sprintf(suspect->reason, "amplitude_%ui",
                                       slot->status)
                           - suspect->reason;

    rejected->detail.data = suspect->detail;
    rejected->detail.len = ngx_min(detail->len, sizeof(suspect->detail));

    ngx_memcpy(suspect->detail, detail->data, rejected->detail.len);

    return suspect;
}


static ngx_int_t
ngx_http_sendgrid_amp_suspect(ngx_http_sendgrid_amp_slot_t *slot, uint32_t i,
    sgamp_str_t *detail)
{
    ngx_http_sendgrid_amp_ctx_t      *ctx;
    ngx_http_sendgrid_amp_suspect_t  *suspect;

    ctx = slot->ctx;

    ngx_http_sendgrid_amp_note_kind(slot);

    if (++ctx->nsuspects == NGX_HTTP_SENDGRID_AMP_SUSPECTS) {
        ngx_http_sendgrid_amp_wrong_way(ctx);
        return NGX_OK;
    }

    suspect = ngx_http_sendgrid_amp_create_suspect(slot, i, detail);
    if (suspect == NULL) {
        return NGX_ERROR;
    }

    suspect->next = ctx->suspects;
    ctx->suspects = suspect;

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_note_evidence(ngx_http_sendgrid_amp_slot_t *slot)
{
    ngx_http_sendgrid_amp_loc_conf_t  *conf;

    /* in the location that has answered */

    conf = ngx_http_get_module_loc_conf(slot->request,
                                        ngx_http_sendgrid_amp_module);
    conf->evidence.n++;
    conf->evidence.last = ngx_current_msec;

    slot->ctx->worker->evidence = conf->evidence;
    slot->ctx->worker->evidence.way = ngx_http_sendgrid_amp_way(slot->ctx);
    slot->ctx->accepted = 1;

    ngx_http_sendgrid_amp_reject_suspects(slot->ctx);
}


static ngx_uint_t
ngx_http_sendgrid_amp_has_evidence(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    return ctx->accepted
           || ngx_http_sendgrid_amp_is_recent(&ctx->way->evidence);
}


ngx_uint_t
ngx_http_sendgrid_amp_has_accepted(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_sendgrid_amp_evidence_t  *evidence;

    evidence = &ctx->worker->evidence;

    return ctx->accepted
           || (ngx_http_sendgrid_amp_is_recent(evidence)
               && evidence->way == ngx_http_sendgrid_amp_way(ctx));
}


static ngx_uint_t
ngx_http_sendgrid_amp_is_recent(ngx_http_sendgrid_amp_evidence_t *evidence)
{
    return evidence->n != 0
           && ngx_current_msec - evidence->last
              < NGX_HTTP_SENDGRID_AMP_EVIDENCE;
}


static void
ngx_http_sendgrid_amp_reject_suspects(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_sendgrid_amp_suspect_t  *suspect;

    ctx->refusals = 0;
    ctx->probe = NULL;

    for (suspect = ctx->suspects; suspect != NULL; suspect = suspect->next) {

        if (ctx->error != NGX_HTTP_SENDGRID_AMP_REFUSED) {
            ngx_http_sendgrid_amp_reject(ctx, &suspect->rejected);
        }
    }

    ngx_http_sendgrid_amp_free_suspects(ctx);
}


void
ngx_http_sendgrid_amp_settle(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    /* with another error the way may be right, and SendGrid posts again */

    if (ctx->suspects == NULL || ctx->error != NGX_HTTP_SENDGRID_AMP_OK) {
        return;
    }

    if (ngx_http_sendgrid_amp_has_evidence(ctx)) {
        /* by another webhook meanwhile */
        ngx_http_sendgrid_amp_reject_suspects(ctx);
        ngx_http_sendgrid_amp_write_rejected(ctx);
        return;
    }

    ngx_http_sendgrid_amp_wrong_way(ctx);
}


void
ngx_http_sendgrid_amp_free_suspects(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    sgamp_grow_t                     *grow;
    ngx_http_sendgrid_amp_suspect_t  *suspect;

    grow = &ctx->worker->grow;

    while (ctx->suspects != NULL) {
        suspect = ctx->suspects;
        ctx->suspects = suspect->next;

        grow->free(grow->data, suspect);
    }

    ctx->nsuspects = 0;
}


static void
ngx_http_sendgrid_amp_wrong_way(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                  "the location \"%V\" answers %ui with %s to each event, "
                  "amplitude has accepted none: check the path and the host of "
                  "\"proxy_pass\", and for a proxy, a firewall or a login page "
                  "on the way",
                  &ctx->location, ctx->refusal, ctx->refused_by);

    ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_REFUSED);
}


static void
ngx_http_sendgrid_amp_note_kind(ngx_http_sendgrid_amp_slot_t *slot)
{
    ngx_str_t                    *type;
    ngx_http_sendgrid_amp_ctx_t  *ctx;

    ctx = slot->ctx;
    type = &slot->request->headers_out.content_type;

    ctx->refusal = slot->status;

    if (slot->received == 0) {
        ctx->refused_by = "an empty body";

    } else if (slot->response.body == SGAMP_RESPONSE_WHOLE) {
        ctx->refused_by = "JSON";

    } else if (type->len >= sizeof("text/html") - 1
               && ngx_strncasecmp(type->data, (u_char *) "text/html",
                                  sizeof("text/html") - 1)
                  == 0)
    {
        ctx->refused_by = "HTML";

    } else {
        ctx->refused_by = "a body that is not JSON";
    }
}
