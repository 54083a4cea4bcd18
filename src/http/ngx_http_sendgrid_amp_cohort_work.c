
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp_cohort.h"

#include "sgamp_json.h"


/*
 * The work on a message: the list is found or made, custom fields are looked
 * up, and contacts are put on the list or taken off.
 */


#define NGX_HTTP_SENDGRID_AMP_MAX_SEARCH  100      /* addresses, or ids */
#define NGX_HTTP_SENDGRID_AMP_CONTACT     1024  /* bytes besides its values */
#define NGX_HTTP_SENDGRID_AMP_EMAIL_LEN   100  /* of search/emails, at most */


static ngx_int_t ngx_http_sendgrid_amp_find_list(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_find_fields(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_int_t ngx_http_sendgrid_amp_ask(ngx_http_sendgrid_amp_ctx_t *ctx,
    sgamp_call_e call);
static int ngx_http_sendgrid_amp_write_name(void *data,
    const sgamp_element_t *element, sgamp_sink_t *sink, sgamp_item_t *item);
static int ngx_http_sendgrid_amp_write_nothing(void *data,
    const sgamp_element_t *element, sgamp_sink_t *sink, sgamp_item_t *item);
static ngx_uint_t ngx_http_sendgrid_amp_has_room(
    ngx_http_sendgrid_amp_cohort_t *cohort, sgamp_batcher_t *batcher);
static ngx_int_t ngx_http_sendgrid_amp_put_head(
    ngx_http_sendgrid_amp_ctx_t *ctx);
static ngx_uint_t ngx_http_sendgrid_amp_is_next(
    ngx_http_sendgrid_amp_cohort_t *cohort, sgamp_call_e *call);
static sgamp_call_e ngx_http_sendgrid_amp_search_call(
    sgamp_contact_t *contact);
static int ngx_http_sendgrid_amp_write_contact(void *data,
    const sgamp_element_t *element, sgamp_sink_t *sink, sgamp_item_t *item);
static int ngx_http_sendgrid_amp_write_address(void *data,
    const sgamp_element_t *element, sgamp_sink_t *sink, sgamp_item_t *item);
static ngx_uint_t ngx_http_sendgrid_amp_decide(
    ngx_http_sendgrid_amp_job_t *job, sgamp_ledger_t *ledger);
static void ngx_http_sendgrid_amp_note_change(
    ngx_http_sendgrid_amp_job_t *job, sgamp_ledger_t *ledger);
static void ngx_http_sendgrid_amp_leaves(ngx_http_sendgrid_amp_job_t *job,
    uint32_t i, sgamp_ledger_contact_e verdict, sgamp_ledger_t *ledger);


ngx_int_t
ngx_http_sendgrid_amp_cohort_live_supply(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t                        rc;
    sgamp_batcher_t                 *batcher;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;
    batcher = ngx_http_sendgrid_amp_batcher(ctx);

    do {

        switch (cohort->work.stage) {

        case NGX_HTTP_SENDGRID_AMP_FIND_LIST:
            rc = ngx_http_sendgrid_amp_find_list(ctx);
            break;

        case NGX_HTTP_SENDGRID_AMP_FIND_FIELDS:
            rc = ngx_http_sendgrid_amp_find_fields(ctx);
            break;

        case NGX_HTTP_SENDGRID_AMP_CHANGE:
            rc = ngx_http_sendgrid_amp_cohort_change(ctx);
            break;

        default: /* NGX_HTTP_SENDGRID_AMP_NOTHING */
            return NGX_OK;
        }

        /* NGX_DONE: the next stage */

    } while (rc == NGX_DONE);

    if (rc == NGX_OK && batcher->sink.status != SGAMP_OK) {
        rc = NGX_ERROR;
    }

    if (rc == NGX_ERROR) {
        ngx_http_sendgrid_amp_internal(ctx, "no memory for a request");
    }

    return rc;
}


static ngx_int_t
ngx_http_sendgrid_amp_find_list(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                       found;
    sgamp_ledger_t                  *ledger;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;

    if (cohort->work.asked) {
        return NGX_OK;
    }

    if (!cohort->named
        || (cohort->listed && cohort->operation == SGAMP_REMOVE))
    {
        ledger = ngx_http_sendgrid_amp_lock_ledger(cohort->api.zone);

        found = sgamp_ledger_list(ledger, &cohort->ledger.list, cohort->id,
                                  ngx_http_sendgrid_amp_ledger_now());

        ngx_http_sendgrid_amp_unlock_ledger(cohort->api.zone);

        if (!found) {
            cohort->work.matches = 0;
            cohort->work.pages = 0;
            cohort->work.token_len = 0;

            return ngx_http_sendgrid_amp_ask(ctx, SGAMP_CALL_LISTS);
        }
    }

    ngx_http_sendgrid_amp_set_list(ctx);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_sendgrid_amp_find_fields(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                       i, found;
    sgamp_ledger_t                  *ledger;
    sgamp_ledger_key_t               key;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;

    if (cohort->work.asked) {
        return NGX_OK;
    }

    found = 1;

    if (cohort->operation == SGAMP_ADD) {
        ledger = ngx_http_sendgrid_amp_lock_ledger(cohort->api.zone);

        for (i = 0; found && i < cohort->conf->rules->ncustom; i++) {
            found = ngx_http_sendgrid_amp_field_key(ctx, i, &key) == NGX_OK
                    && sgamp_ledger_field(ledger, &key,
                                          &cohort->definitions[i],
                                          ngx_http_sendgrid_amp_ledger_now());
        }

        ngx_http_sendgrid_amp_unlock_ledger(cohort->api.zone);
    }

    if (!found) {
        return ngx_http_sendgrid_amp_ask(ctx, SGAMP_CALL_FIELDS);
    }

    cohort->work.stage = NGX_HTTP_SENDGRID_AMP_CHANGE;

    return NGX_DONE;
}


static ngx_int_t
ngx_http_sendgrid_amp_ask(ngx_http_sendgrid_amp_ctx_t *ctx, sgamp_call_e call)
{
    int                              reason;
    sgamp_batcher_t                 *batcher;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    static const sgamp_str_t  head = sgamp_str("{\"name\":\"");
    static const sgamp_str_t  tail = sgamp_str("\"}");
    static const sgamp_str_t  none = sgamp_str("");

    cohort = ctx->data;
    batcher = ngx_http_sendgrid_amp_batcher(ctx);

    /* a batch of one element: the body of a call that makes a list */

    batcher->head = (call == SGAMP_CALL_LISTS) ? head : none;
    batcher->tail = (call == SGAMP_CALL_LISTS) ? tail : none;
    batcher->writer = (call == SGAMP_CALL_LISTS)
                      ? ngx_http_sendgrid_amp_write_name
                      : ngx_http_sendgrid_amp_write_nothing;
    batcher->data = cohort;
    batcher->max_n = 1;

    cohort->work.asked = 1;

    if (sgamp_batcher_add(batcher, NULL, &reason) != SGAMP_OK
        || sgamp_batcher_close(batcher) != SGAMP_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static int
ngx_http_sendgrid_amp_write_name(void *data, const sgamp_element_t *element,
    sgamp_sink_t *sink, sgamp_item_t *item)
{
    ngx_http_sendgrid_amp_cohort_t  *cohort = data;

    sgamp_json_escape(sink, cohort->name.name.data, cohort->name.name.len);

    item->kind = SGAMP_CALL_LISTS;

    /* whether a list that was named is there, or which list has the name */

    item->id = cohort->named ? NGX_HTTP_SENDGRID_AMP_ONE_LIST : 0;

    return 0;
}


static int
ngx_http_sendgrid_amp_write_nothing(void *data, const sgamp_element_t *element,
    sgamp_sink_t *sink, sgamp_item_t *item)
{
    item->kind = SGAMP_CALL_FIELDS;

    return 0;
}


ngx_int_t
ngx_http_sendgrid_amp_cohort_change(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    int                              reason;
    uint32_t                         size;
    sgamp_call_e                     call, first;
    sgamp_batcher_t                 *batcher;
    ngx_http_sendgrid_amp_work_t    *work;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    static const sgamp_str_t  emails = sgamp_str("{\"emails\":[");
    static const sgamp_str_t  identifiers = sgamp_str("{\"identifiers\":[");
    static const sgamp_str_t  tail = sgamp_str("]}");

    cohort = ctx->data;
    work = &cohort->work;
    batcher = ngx_http_sendgrid_amp_batcher(ctx);

    if (!ngx_http_sendgrid_amp_is_next(cohort, &first)) {
        return NGX_OK;
    }

    size = (cohort->operation == SGAMP_ADD)
           ? (uint32_t) cohort->conf->batch
           : NGX_HTTP_SENDGRID_AMP_MAX_SEARCH;

    if (work->marks == NULL) {
        work->marks = ngx_pnalloc(ctx->request->pool,
                                  ngx_min(size, cohort->contacts.n));
        if (work->marks == NULL) {
            return NGX_ERROR;
        }
    }

    batcher->data = cohort;
    batcher->max_n = size;
    batcher->tail = tail;

    if (first == SGAMP_CALL_PUT) {
        batcher->writer = ngx_http_sendgrid_amp_write_contact;

        if (ngx_http_sendgrid_amp_put_head(ctx) != NGX_OK) {
            return NGX_ERROR;
        }

    } else {
        batcher->writer = ngx_http_sendgrid_amp_write_address;
        batcher->head = (first == SGAMP_CALL_SEARCH) ? emails : identifiers;
    }

    if (work->head != NULL && work->head(ctx, first) != NGX_OK) {
        return NGX_ERROR;
    }

    /* all contacts of a batch are sent by the same call */

    while (batcher->closed == NULL
           && ngx_http_sendgrid_amp_is_next(cohort, &call)
           && call == first
           && ngx_http_sendgrid_amp_has_room(cohort, batcher))
    {
        if (sgamp_batcher_add(batcher, NULL, &reason) != SGAMP_OK) {
            return NGX_ERROR;
        }

        sgamp_contact_at(&cohort->contacts, work->next)->state =
                                       NGX_HTTP_SENDGRID_AMP_CONTACT_TAKEN;
        work->next++;
    }

    return (sgamp_batcher_close(batcher) == SGAMP_OK) ? NGX_OK : NGX_ERROR;
}


static ngx_uint_t
ngx_http_sendgrid_amp_has_room(ngx_http_sendgrid_amp_cohort_t *cohort,
    sgamp_batcher_t *batcher)
{
    /* a contact that the batcher finds too large would be sent alone */

    return batcher->open == NULL
           || batcher->open->n == 0
           || sgamp_sink_size(&batcher->sink)
              + sgamp_contact_at(&cohort->contacts, cohort->work.next)->len
              + NGX_HTTP_SENDGRID_AMP_CONTACT
              <= batcher->max_size;
}


static ngx_int_t
ngx_http_sendgrid_amp_put_head(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    u_char                          *p;
    sgamp_str_t                     *head;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;
    head = &ngx_http_sendgrid_amp_batcher(ctx)->head;

    p = ngx_pnalloc(ctx->request->pool,
                    sizeof("{\"list_ids\":[\"\"],\"contacts\":[")
                    + SGAMP_UUID_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    head->data = p;
    head->len = ngx_sprintf(p, "{\"list_ids\":[\"%*s\"],\"contacts\":[",
                            (size_t) SGAMP_UUID_LEN, cohort->id)
                - p;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_sendgrid_amp_is_next(ngx_http_sendgrid_amp_cohort_t *cohort,
    sgamp_call_e *call)
{
    sgamp_contact_t  *contact;

    for ( /* void */ ; cohort->work.next < cohort->contacts.n;
         cohort->work.next++)
    {
        contact = sgamp_contact_at(&cohort->contacts, cohort->work.next);

        if (contact->state != NGX_HTTP_SENDGRID_AMP_CONTACT_NEW) {
            continue;
        }

        if (cohort->operation == SGAMP_ADD) {
            *call = SGAMP_CALL_PUT;

        } else {
            *call = ngx_http_sendgrid_amp_search_call(contact);
        }

        return 1;
    }

    return 0;
}


static sgamp_call_e
ngx_http_sendgrid_amp_search_call(sgamp_contact_t *contact)
{
    if (contact->address <= NGX_HTTP_SENDGRID_AMP_EMAIL_LEN) {
        return SGAMP_CALL_SEARCH;
    }

    return SGAMP_CALL_IDENTIFY;
}


static int
ngx_http_sendgrid_amp_write_contact(void *data, const sgamp_element_t *element,
    sgamp_sink_t *sink, sgamp_item_t *item)
{
    ngx_http_sendgrid_amp_cohort_t  *cohort = data;

    sgamp_contact_write(&cohort->contacts, cohort->work.next,
                        cohort->definitions, sink);

    item->kind = SGAMP_CALL_PUT;
    item->id = cohort->work.next;
    item->id_end = cohort->work.renewals + cohort->work.refreshes;

    return 0;
}


static int
ngx_http_sendgrid_amp_write_address(void *data, const sgamp_element_t *element,
    sgamp_sink_t *sink, sgamp_item_t *item)
{
    ngx_http_sendgrid_amp_cohort_t  *cohort = data;

    sgamp_contact_t  *contact;

    contact = sgamp_contact_at(&cohort->contacts, cohort->work.next);

    /* an address needs no escape */

    sgamp_json_put(sink, (u_char *) "\"", 1);
    sgamp_json_put(sink, contact->text, contact->address);
    sgamp_json_put(sink, (u_char *) "\"", 1);

    item->kind = ngx_http_sendgrid_amp_search_call(contact);
    item->id = cohort->work.next;

    return 0;
}


ngx_int_t
ngx_http_sendgrid_amp_cohort_before(ngx_http_sendgrid_amp_job_t *job)
{
    ngx_int_t                        rc;
    sgamp_call_e                     call;
    sgamp_ledger_t                  *ledger;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = job->ctx->data;
    call = ngx_http_sendgrid_amp_api_call(job);

    /* contacts first, the limit then: no call is counted that is not made */

    ledger = ngx_http_sendgrid_amp_lock_ledger(cohort->api.zone);

    if (call >= SGAMP_CALL_PUT
        && ngx_http_sendgrid_amp_decide(job, ledger) != 0)
    {
        job->marks = cohort->work.marks;
        rc = NGX_DECLINED;

    } else {
        job->wait = ngx_http_sendgrid_amp_api_take(&job->ctx->route.uri,
                                      &cohort->api.key, ledger,
                                      ngx_http_sendgrid_amp_limit(job, call));
        rc = (job->wait != 0) ? NGX_AGAIN : NGX_OK;
    }

    if (rc == NGX_OK
        && (call == SGAMP_CALL_PUT || call == SGAMP_CALL_REMOVE))
    {
        ngx_http_sendgrid_amp_note_change(job, ledger);
    }

    ngx_http_sendgrid_amp_unlock_ledger(cohort->api.zone);

    return rc;
}


static ngx_uint_t
ngx_http_sendgrid_amp_decide(ngx_http_sendgrid_amp_job_t *job,
    sgamp_ledger_t *ledger)
{
    uint32_t                         i;
    ngx_uint_t                       n;
    sgamp_contact_t                 *contact;
    sgamp_ledger_change_t           *change;
    sgamp_ledger_contact_e           verdict;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    n = 0;
    cohort = job->ctx->data;
    change = &cohort->ledger.change;

    change->now = ngx_http_sendgrid_amp_ledger_now();

    for (i = 0; i < job->part->n; i++) {
        contact = ngx_http_sendgrid_amp_contact_of(cohort, job, i);

        verdict = sgamp_ledger_contact(ledger, change, contact->hash, 1);

        cohort->work.marks[i] = (verdict != SGAMP_LEDGER_CHANGE);

        if (verdict != SGAMP_LEDGER_CHANGE) {
            ngx_http_sendgrid_amp_leaves(job, i, verdict, ledger);
            n++;
        }
    }

    return n;
}


static void
ngx_http_sendgrid_amp_note_change(ngx_http_sendgrid_amp_job_t *job,
    sgamp_ledger_t *ledger)
{
    uint32_t                         i;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = job->ctx->data;

    for (i = 0; i < job->part->n; i++) {
        (void) sgamp_ledger_contact(ledger, &cohort->ledger.change,
                    ngx_http_sendgrid_amp_contact_of(cohort, job, i)->hash, 0);
    }
}


static void
ngx_http_sendgrid_amp_leaves(ngx_http_sendgrid_amp_job_t *job, uint32_t i,
    sgamp_ledger_contact_e verdict, sgamp_ledger_t *ledger)
{
    ngx_msec_t                       settles;
    sgamp_contact_t                 *contact;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = job->ctx->data;
    contact = ngx_http_sendgrid_amp_contact_of(cohort, job, i);
    contact->state = NGX_HTTP_SENDGRID_AMP_CONTACT_ENDED;

    if (verdict == SGAMP_LEDGER_STALE) {
        ngx_http_sendgrid_amp_count_contacts(job->ctx, cohort->operation,
                                             SGAMP_CONTACT_STALE, 1);
        return;
    }

    /* the repeat of the message finds the contact settled */

    settles = (ngx_msec_t) sgamp_ledger_settles(ledger,
                                                &cohort->ledger.change,
                                                contact->hash);

    cohort->settling++;
    cohort->settles = ngx_max(cohort->settles, settles);
}


void
ngx_http_sendgrid_amp_set_list(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    sgamp_ledger_t                  *ledger;
    sgamp_ledger_key_t               key;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;

    cohort->api.id.data = cohort->id;
    cohort->api.id.len = SGAMP_UUID_LEN;

    ledger = ngx_http_sendgrid_amp_lock_ledger(cohort->api.zone);

    /* of two lists that were made at the same time the first counts */

    if (!sgamp_ledger_list(ledger, &cohort->ledger.list, cohort->id,
                           ngx_http_sendgrid_amp_ledger_now()))
    {
        sgamp_ledger_set_list(ledger, &cohort->ledger.list, cohort->id,
                              ngx_http_sendgrid_amp_ledger_now());
    }

    if (cohort->message.form == SGAMP_MESSAGE_CREATE
        && ngx_http_sendgrid_amp_list_key(ctx, &key) == NGX_OK)
    {
        /* the list API names the list by its id from now on */
        sgamp_ledger_set_list(ledger, &key, cohort->id,
                              ngx_http_sendgrid_amp_ledger_now());
    }

    cohort->ledger.change.list = sgamp_siphash(sgamp_ledger_hash_key(ledger),
                                               cohort->id, SGAMP_UUID_LEN);

    ngx_http_sendgrid_amp_unlock_ledger(cohort->api.zone);

    cohort->work.stage = (cohort->contacts.n != 0)
                         ? NGX_HTTP_SENDGRID_AMP_FIND_FIELDS
                         : NGX_HTTP_SENDGRID_AMP_NOTHING;
}


ngx_int_t
ngx_http_sendgrid_amp_field_key(ngx_http_sendgrid_amp_ctx_t *ctx, ngx_uint_t i,
    sgamp_ledger_key_t *key)
{
    sgamp_str_t                      texts[2];
    sgamp_contact_field_t           *field;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;
    field = cohort->conf->rules->fields;

    while (field->kind != SGAMP_FIELD_CUSTOM || field->custom != i) {
        field++;
    }

    texts[0].data = (u_char *) "field";
    texts[0].len = sizeof("field") - 1;
    texts[1] = field->name;

    return ngx_http_sendgrid_amp_account_key(&ctx->route.uri,
                                             &cohort->api.key, texts, 2, key);
}
