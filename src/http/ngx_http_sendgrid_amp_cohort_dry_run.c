
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp_cohort.h"

#include "sgamp_json.h"


/*
 * The dry run of a message: a line of JSON for each request that would be made,
 * as far as SendGrid's answers are not needed to know the request.
 */


#define NGX_HTTP_SENDGRID_AMP_DRY_KEY   "\",\"authorization\":\"Bearer ***\""
#define NGX_HTTP_SENDGRID_AMP_DRY_LIST  "LIST_ID"  /* is not known yet */
#define NGX_HTTP_SENDGRID_AMP_DRY_HEAD  256        /* bytes, at most */


static ngx_uint_t ngx_http_sendgrid_amp_dry_knows(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_dry_head(
    ngx_http_sendgrid_amp_ctx_t *ctx, sgamp_call_e call);
static ngx_int_t ngx_http_sendgrid_amp_dry_line(
    ngx_http_sendgrid_amp_ctx_t *ctx, sgamp_call_e call);
static int ngx_http_sendgrid_amp_dry_write(void *data,
    const sgamp_element_t *element, sgamp_sink_t *sink, sgamp_item_t *item);
static void ngx_http_sendgrid_amp_dry_put(sgamp_sink_t *sink,
    const char *method, const char *url);
static void ngx_http_sendgrid_amp_dry_text(sgamp_sink_t *sink,
    const char *text);


ngx_int_t
ngx_http_sendgrid_amp_cohort_dry_supply(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_http_sendgrid_amp_work_t    *work;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;
    work = &cohort->work;

    if (work->stage == NGX_HTTP_SENDGRID_AMP_NOTHING) {
        return NGX_OK;
    }

    /* the lines that come before those of contacts, each once */

    if (work->stage == NGX_HTTP_SENDGRID_AMP_FIND_LIST) {

        if (ngx_http_sendgrid_amp_dry_knows(ctx)) {
            work->stage = NGX_HTTP_SENDGRID_AMP_FIND_FIELDS;

        } else if (work->pages++ == 0) {
            return ngx_http_sendgrid_amp_dry_line(ctx, SGAMP_CALL_LISTS);

        } else {
            work->stage = NGX_HTTP_SENDGRID_AMP_FIND_FIELDS;

            if (cohort->operation == SGAMP_ADD) {
                return ngx_http_sendgrid_amp_dry_line(ctx, SGAMP_CALL_CREATE);
            }
        }
    }

    if (work->stage == NGX_HTTP_SENDGRID_AMP_FIND_FIELDS) {
        work->stage = NGX_HTTP_SENDGRID_AMP_CHANGE;

        if (cohort->operation == SGAMP_ADD
            && cohort->contacts.n != 0
            && cohort->conf->rules->ncustom != 0)
        {
            return ngx_http_sendgrid_amp_dry_line(ctx, SGAMP_CALL_FIELDS);
        }
    }

    /* a search is followed by the removal of those whom it finds */

    if (work->asked) {
        work->asked = 0;
        return ngx_http_sendgrid_amp_dry_line(ctx, SGAMP_CALL_REMOVE);
    }

    work->head = ngx_http_sendgrid_amp_dry_head;

    if (ngx_http_sendgrid_amp_cohort_change(ctx) != NGX_OK) {
        ngx_http_sendgrid_amp_internal(ctx, "no memory for a dry run");
        return NGX_ERROR;
    }

    work->asked = (cohort->operation == SGAMP_REMOVE
                   && ngx_http_sendgrid_amp_batcher(ctx)->closed != NULL);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_sendgrid_amp_dry_knows(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                       i, found;
    sgamp_ledger_t                  *ledger;
    sgamp_contact_field_t           *field;
    sgamp_field_definition_t        *definition;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;

    /* the ids of custom fields are not asked for: names stand in the lines */

    for (i = 0; i < cohort->conf->rules->n; i++) {
        field = &cohort->conf->rules->fields[i];

        if (field->kind == SGAMP_FIELD_CUSTOM) {
            definition = &cohort->definitions[field->custom];

            definition->type = SGAMP_TYPE_TEXT;
            definition->len = (unsigned) ngx_min(SGAMP_FIELD_ID,
                                                 field->name.len);

            ngx_memcpy(definition->id, field->name.data, definition->len);
        }
    }

    found = cohort->named;

    if (!found) {
        ledger = ngx_http_sendgrid_amp_lock_ledger(cohort->api.zone);

        found = sgamp_ledger_list(ledger, &cohort->ledger.list, cohort->id,
                                  ngx_http_sendgrid_amp_ledger_now());

        ngx_http_sendgrid_amp_unlock_ledger(cohort->api.zone);
    }

    if (found) {
        cohort->api.id.data = cohort->id;
        cohort->api.id.len = SGAMP_UUID_LEN;

    } else {
        cohort->api.id.data = (u_char *) NGX_HTTP_SENDGRID_AMP_DRY_LIST;
        cohort->api.id.len = sizeof(NGX_HTTP_SENDGRID_AMP_DRY_LIST) - 1;
    }

    return found;
}


static ngx_int_t
ngx_http_sendgrid_amp_dry_head(ngx_http_sendgrid_amp_ctx_t *ctx,
    sgamp_call_e call)
{
    char                            *url;
    u_char                          *p;
    sgamp_batcher_t                 *batcher;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    static const sgamp_str_t  tail = sgamp_str("]}}");

    cohort = ctx->data;
    batcher = ngx_http_sendgrid_amp_batcher(ctx);

    p = ngx_pnalloc(ctx->request->pool, NGX_HTTP_SENDGRID_AMP_DRY_HEAD);
    if (p == NULL) {
        return NGX_ERROR;
    }

    batcher->head.data = p;
    batcher->tail = tail;

    url = "/search/identifiers/email";

    if (call == SGAMP_CALL_PUT) {
        url = "";

    } else if (call == SGAMP_CALL_SEARCH) {
        url = "/search/emails";
    }

    p = ngx_sprintf(p,
                    "{\"method\":\"%s\",\"url\":\"%s/contacts%s%s,"
                    "\"body\":{",
                    (call == SGAMP_CALL_PUT) ? "PUT" : "POST",
                    NGX_HTTP_SENDGRID_AMP_API, url,
                    NGX_HTTP_SENDGRID_AMP_DRY_KEY);

    if (call == SGAMP_CALL_PUT) {
        p = ngx_sprintf(p, "\"list_ids\":[\"%*s\"],\"contacts\":[",
                        cohort->api.id.len, cohort->api.id.data);

    } else {
        p = ngx_sprintf(p, "\"%s\":[",
                        (call == SGAMP_CALL_SEARCH) ? "emails"
                                                    : "identifiers");
    }

    batcher->head.len = p - batcher->head.data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_dry_line(ngx_http_sendgrid_amp_ctx_t *ctx,
    sgamp_call_e call)
{
    int                              reason;
    sgamp_batcher_t                 *batcher;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    static const sgamp_str_t  none = sgamp_str("");

    cohort = ctx->data;
    cohort->work.line = call;

    batcher = ngx_http_sendgrid_amp_batcher(ctx);

    batcher->head = none;
    batcher->tail = none;
    batcher->max_n = 1;
    batcher->writer = ngx_http_sendgrid_amp_dry_write;
    batcher->data = cohort;

    if (sgamp_batcher_add(batcher, NULL, &reason) != SGAMP_OK
        || sgamp_batcher_close(batcher) != SGAMP_OK)
    {
        ngx_http_sendgrid_amp_internal(ctx, "no memory for a dry run");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static int
ngx_http_sendgrid_amp_dry_write(void *data, const sgamp_element_t *element,
    sgamp_sink_t *sink, sgamp_item_t *item)
{
    ngx_http_sendgrid_amp_cohort_t  *cohort = data;

    u_char  url[NGX_HTTP_SENDGRID_AMP_DRY_HEAD];

    item->kind = cohort->work.line;

    switch (cohort->work.line) {

    case SGAMP_CALL_LISTS:
        ngx_http_sendgrid_amp_dry_put(sink, "GET", "/lists?page_size=1000");
        break;

    case SGAMP_CALL_CREATE:
        ngx_http_sendgrid_amp_dry_put(sink, "POST", "/lists");
        ngx_http_sendgrid_amp_dry_text(sink, ",\"body\":{\"name\":\"");
        sgamp_json_escape(sink, cohort->name.name.data, cohort->name.name.len);
        ngx_http_sendgrid_amp_dry_text(sink, "\"}");
        break;

    case SGAMP_CALL_FIELDS:
        ngx_http_sendgrid_amp_dry_put(sink, "GET", "/field_definitions");
        break;

    default: /* SGAMP_CALL_REMOVE */
        ngx_sprintf(url, "/lists/%*s/contacts?contact_ids=FOUND_IDS%Z",
                    cohort->api.id.len, cohort->api.id.data);

        ngx_http_sendgrid_amp_dry_put(sink, "DELETE", (char *) url);
        break;
    }

    ngx_http_sendgrid_amp_dry_text(sink, "}");

    return 0;
}


static void
ngx_http_sendgrid_amp_dry_put(sgamp_sink_t *sink, const char *method,
    const char *url)
{
    ngx_http_sendgrid_amp_dry_text(sink, "{\"method\":\"");
    ngx_http_sendgrid_amp_dry_text(sink, method);
    ngx_http_sendgrid_amp_dry_text(sink, "\",\"url\":\"");
    ngx_http_sendgrid_amp_dry_text(sink, NGX_HTTP_SENDGRID_AMP_API);
    ngx_http_sendgrid_amp_dry_text(sink, url);
    ngx_http_sendgrid_amp_dry_text(sink, NGX_HTTP_SENDGRID_AMP_DRY_KEY);
}


static void
ngx_http_sendgrid_amp_dry_text(sgamp_sink_t *sink, const char *text)
{
    sgamp_json_put(sink, (const u_char *) text, ngx_strlen(text));
}
