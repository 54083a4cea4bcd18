
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


#define NGX_HTTP_SENDGRID_AMP_ROUNDS     10       /* answers that name events */
#define NGX_HTTP_SENDGRID_AMP_MAX_DELAY  3600000  /* ms between two attempts */


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


void
ngx_http_sendgrid_amp_outcome(ngx_http_sendgrid_amp_slot_t *slot)
{
    ngx_log_t      *log;
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

    ngx_http_sendgrid_amp_count_answer(slot);

    if (action != SGAMP_FORWARD) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "amplitude answered %ui%s to %uD events of the region "
                      "\"%V\"",
                      slot->status, slot->last ? "" : ", not to its end,",
                      part->n, &slot->ctx->region);
    }

    if (ngx_http_sendgrid_amp_act(slot, part, action) != NGX_OK) {
        ngx_http_sendgrid_amp_fail(slot->ctx, NGX_HTTP_SENDGRID_AMP_INTERNAL);
    }

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
        if (part->rounds < NGX_HTTP_SENDGRID_AMP_ROUNDS) {
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
        ngx_http_sendgrid_amp_push(slot, rest, ngx_current_msec);
    }

    if (bits == SGAMP_RESPONSE_THROTTLED) {
        named = sgamp_part_marked(grow, part, marks, bits, 1);
        if (named == NULL) {
            return NGX_ERROR;
        }

        named->sent = (n == part->n);
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
    uint32_t       half;
    sgamp_str_t    field;
    sgamp_grow_t  *grow;
    sgamp_part_t  *range;

    if (part->n == 1) {
        field = sgamp_response_field(&slot->response, 0);
        return ngx_http_sendgrid_amp_reject_sent(slot, part->index[0], &field);
    }

    grow = &slot->ctx->worker->grow;
    half = part->n / 2;

    range = sgamp_part_range(grow, part, half, part->n - half);
    if (range == NULL) {
        return NGX_ERROR;
    }

    ngx_http_sendgrid_amp_push(slot, range, ngx_current_msec);

    range = sgamp_part_range(grow, part, 0, half);
    if (range == NULL) {
        return NGX_ERROR;
    }

    ngx_http_sendgrid_amp_push(slot, range, ngx_current_msec);

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
    u_char                            name[sizeof("amplitude_")
                                           + NGX_INT_T_LEN];
    sgamp_str_t                       event;
    sgamp_grow_t                     *grow;
    ngx_http_sendgrid_amp_rejected_t  rejected;

    grow = &slot->ctx->worker->grow;

    event.len = sgamp_batch_event(slot->batch, i, NULL, 0);

    event.data = grow->alloc(grow->data, event.len);
    if (event.data == NULL) {
        return NGX_ERROR;
    }

    (void) sgamp_batch_event(slot->batch, i, event.data, event.len);

    sgamp_mapped_parts(&event, &rejected.sent, &rejected.id, &rejected.event);

    if (!ngx_http_sendgrid_amp_changes_events(slot->ctx->conf)) {
        rejected.sent.len = 0;
    }

    rejected.kind = slot->batch->kinds[i];
    rejected.reason.data = name;
    rejected.reason.len = ngx_sprintf(name, "amplitude_%ui", slot->status)
                          - name;
    rejected.detail = *detail;

    ngx_http_sendgrid_amp_reject(slot->ctx, &rejected);

    grow->free(grow->data, event.data);

    return NGX_OK;
}
