
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp_cohort.h"


/* what the answers of SendGrid mean for a message */


#define NGX_HTTP_SENDGRID_AMP_MAX_PAGES   200
#define NGX_HTTP_SENDGRID_AMP_RENEWALS    1    /* of an id that is unknown */


static void ngx_http_sendgrid_amp_found(void *data,
    const sgamp_found_t *found);
static int32_t ngx_http_sendgrid_amp_index(void *data,
    const sgamp_str_t *address);
static sgamp_action_e ngx_http_sendgrid_amp_judge_one(
    ngx_http_sendgrid_amp_job_t *job);
static sgamp_action_e ngx_http_sendgrid_amp_judge_page(
    ngx_http_sendgrid_amp_job_t *job, sgamp_action_e action);
static sgamp_action_e ngx_http_sendgrid_amp_judge_list(
    ngx_http_sendgrid_amp_job_t *job);
static sgamp_action_e ngx_http_sendgrid_amp_judge_create(
    ngx_http_sendgrid_amp_job_t *job, sgamp_action_e action);
static sgamp_action_e ngx_http_sendgrid_amp_judge_put(
    ngx_http_sendgrid_amp_job_t *job, sgamp_action_e action);
static sgamp_action_e ngx_http_sendgrid_amp_renew(
    ngx_http_sendgrid_amp_job_t *job, unsigned facts);
static sgamp_action_e ngx_http_sendgrid_amp_no_list(
    ngx_http_sendgrid_amp_job_t *job);
static sgamp_action_e ngx_http_sendgrid_amp_judge_search(
    ngx_http_sendgrid_amp_job_t *job, sgamp_action_e action);
static sgamp_action_e ngx_http_sendgrid_amp_judge_remove(
    ngx_http_sendgrid_amp_job_t *job, sgamp_action_e action);
static void ngx_http_sendgrid_amp_note_sent(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part, sgamp_call_e call);
static void ngx_http_sendgrid_amp_end_contacts(
    ngx_http_sendgrid_amp_job_t *job, sgamp_part_t *part);
static void ngx_http_sendgrid_amp_set_fields(
    ngx_http_sendgrid_amp_ctx_t *ctx);


void
ngx_http_sendgrid_amp_cohort_listen(ngx_http_sendgrid_amp_job_t *job)
{
    uint32_t                         i;
    sgamp_call_e                     call;
    sgamp_contact_t                 *contact;
    sgamp_sendgrid_question_t        question;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = job->ctx->data;
    call = ngx_http_sendgrid_amp_api_call(job);

    ngx_memzero(&question, sizeof(sgamp_sendgrid_question_t));

    question.call = call;
    question.n = job->part->n;
    question.end = &cohort->name.end;
    question.exact = cohort->name.exact;
    question.list = &cohort->api.id;
    question.rules = cohort->conf->rules;
    question.definitions = cohort->definitions;
    question.found = ngx_http_sendgrid_amp_found;
    question.index = ngx_http_sendgrid_amp_index;
    question.data = job;

    ngx_http_sendgrid_amp_api_listen(job, &question);

    if (call != SGAMP_CALL_SEARCH && call != SGAMP_CALL_IDENTIFY) {
        return;
    }

    /* what an answer before has found does not count */

    for (i = 0; i < job->part->n; i++) {
        contact = ngx_http_sendgrid_amp_contact_of(cohort, job, i);

        contact->state = (contact->state
                          & NGX_HTTP_SENDGRID_AMP_CONTACT_AGAIN)
                         | NGX_HTTP_SENDGRID_AMP_CONTACT_TAKEN;
    }
}


static void
ngx_http_sendgrid_amp_found(void *data, const sgamp_found_t *found)
{
    ngx_http_sendgrid_amp_job_t  *job = data;

    int32_t                          i;
    sgamp_contact_t                 *contact;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = job->ctx->data;

    /* an alternate address of a contact is found, too */

    i = sgamp_contacts_find(&cohort->contacts, found->email.data,
                            found->email.len);

    if (i == -1 || !found->listed) {
        return;
    }

    contact = sgamp_contact_at(&cohort->contacts, i);

    if ((contact->state & ~NGX_HTTP_SENDGRID_AMP_CONTACT_AGAIN)
        != NGX_HTTP_SENDGRID_AMP_CONTACT_TAKEN
        || !sgamp_same(&found->asked, found->email.data, found->email.len))
    {
        return;
    }

    ngx_memcpy(contact->id, found->id.data, SGAMP_UUID_LEN);

    contact->state = (contact->state & NGX_HTTP_SENDGRID_AMP_CONTACT_AGAIN)
                     | NGX_HTTP_SENDGRID_AMP_CONTACT_LISTED;
}


static int32_t
ngx_http_sendgrid_amp_index(void *data, const sgamp_str_t *address)
{
    ngx_http_sendgrid_amp_job_t  *job = data;

    int32_t                          contact;
    uint32_t                         i;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = job->ctx->data;

    contact = sgamp_contacts_find(&cohort->contacts, address->data,
                                  address->len);
    if (contact == -1) {
        return -1;
    }

    for (i = 0; i < job->part->n; i++) {
        if (job->batch->items[job->part->index[i]].id == (uint32_t) contact) {
            return (int32_t) i;
        }
    }

    return -1;
}


sgamp_action_e
ngx_http_sendgrid_amp_cohort_judge(ngx_http_sendgrid_amp_job_t *job)
{
    ngx_uint_t                status;
    sgamp_call_e              call;
    sgamp_action_e            action;
    sgamp_sendgrid_answer_t  *answer;

    answer = job->answer;
    call = ngx_http_sendgrid_amp_api_call(job);

    action = sgamp_sendgrid_action(answer, (unsigned) job->call->status,
                                   job->call->last);

    job->marks = answer->answer.marks;

    /* a success that was cut, or that is not SendGrid's, is no answer */

    status = job->call->status;

    if (action == SGAMP_RETRY && status < NGX_HTTP_SPECIAL_RESPONSE) {
        status = 0;
    }

    ngx_http_sendgrid_amp_api_answered(job, call, status);

    if (action == SGAMP_REFUSE) {
        ngx_http_sendgrid_amp_api_refused(job);
        return SGAMP_REFUSE;
    }

    if (action == SGAMP_WAIT) {
        return SGAMP_WAIT;
    }

    if (status == 0 || status >= NGX_HTTP_INTERNAL_SERVER_ERROR) {
        /* the change may have been accepted until now */
        ngx_http_sendgrid_amp_note_sent(job, job->part, call);
    }

    switch (call) {

    case SGAMP_CALL_LISTS:

        if (ngx_http_sendgrid_amp_is_one_list(job)) {
            return ngx_http_sendgrid_amp_judge_one(job);
        }

        return ngx_http_sendgrid_amp_judge_page(job, action);

    case SGAMP_CALL_CREATE:
        return ngx_http_sendgrid_amp_judge_create(job, action);

    case SGAMP_CALL_PUT:
        return ngx_http_sendgrid_amp_judge_put(job, action);

    case SGAMP_CALL_SEARCH:
    case SGAMP_CALL_IDENTIFY:
        return ngx_http_sendgrid_amp_judge_search(job, action);

    case SGAMP_CALL_REMOVE:
        return ngx_http_sendgrid_amp_judge_remove(job, action);

    default: /* SGAMP_CALL_FIELDS */
        return (action == SGAMP_NEXT) ? SGAMP_FORWARD : SGAMP_RETRY;
    }
}


static sgamp_action_e
ngx_http_sendgrid_amp_judge_one(ngx_http_sendgrid_amp_job_t *job)
{
    switch (job->call->status) {

    case NGX_HTTP_OK:
        ngx_http_sendgrid_amp_set_list(job->ctx);
        return SGAMP_FORWARD;

    case NGX_HTTP_BAD_REQUEST:
    case NGX_HTTP_NOT_FOUND:
        return ngx_http_sendgrid_amp_no_list(job);

    default:
        return SGAMP_RETRY;
    }
}


static sgamp_action_e
ngx_http_sendgrid_amp_judge_page(ngx_http_sendgrid_amp_job_t *job,
    sgamp_action_e action)
{
    sgamp_sendgrid_answer_t         *answer;
    ngx_http_sendgrid_amp_work_t    *work;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = job->ctx->data;
    answer = job->answer;
    work = &cohort->work;

    if (action != SGAMP_NEXT) {
        return SGAMP_RETRY;
    }

    /* of several lists with the wanted name the first one counts */

    if (answer->nlists != 0 && work->matches == 0) {
        ngx_memcpy(cohort->id, answer->id, SGAMP_UUID_LEN);
    }

    work->matches += answer->nlists;

    if (answer->facts & SGAMP_SENDGRID_LAST_PAGE) {
        return ngx_http_sendgrid_amp_judge_list(job);
    }

    if (++work->pages >= NGX_HTTP_SENDGRID_AMP_MAX_PAGES
        || sgamp_same(&answer->token, work->token, work->token_len))
    {
        ngx_log_error(NGX_LOG_ERR, job->ctx->request->connection->log, 0,
                      "SendGrid's pages of lists have no end");

        ngx_http_sendgrid_amp_fail(job->ctx,
                                   NGX_HTTP_SENDGRID_AMP_UNAVAILABLE);

        work->stage = NGX_HTTP_SENDGRID_AMP_NOTHING;

        return SGAMP_FORWARD;
    }

    work->token_len = answer->token.len;
    ngx_memcpy(work->token, answer->token.data, answer->token.len);

    job->next = job->part->step;

    return SGAMP_NEXT;
}


static sgamp_action_e
ngx_http_sendgrid_amp_judge_list(ngx_http_sendgrid_amp_job_t *job)
{
    ngx_log_t                       *log;
    ngx_http_sendgrid_amp_work_t    *work;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = job->ctx->data;
    work = &cohort->work;
    log = job->ctx->request->connection->log;

    if (work->matches > 1) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "SendGrid has %ui lists for one cohort, the first one "
                      "is used: delete or rename the others",
                      (ngx_uint_t) work->matches);
    }

    if (work->matches != 0) {
        ngx_http_sendgrid_amp_set_list(job->ctx);
        return SGAMP_FORWARD;
    }

    if (cohort->operation == SGAMP_REMOVE) {
        /* nobody is on a list that is not there */
        ngx_http_sendgrid_amp_count(job->ctx,
                                sgamp_metrics_contact(cohort->operation,
                                                      SGAMP_CONTACT_ABSENT),
                                cohort->contacts.n);

        work->stage = NGX_HTTP_SENDGRID_AMP_NOTHING;

        return SGAMP_FORWARD;
    }

    if (job->part->step == NGX_HTTP_SENDGRID_AMP_STEP_AGAIN) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "SendGrid refuses to make a list, and has no list for "
                      "the cohort: check whether the account has 1000 lists "
                      "already, and the length of the name");
        return SGAMP_REFUSE;
    }

    job->next = NGX_HTTP_SENDGRID_AMP_STEP_CREATE;

    return SGAMP_NEXT;
}


static sgamp_action_e
ngx_http_sendgrid_amp_judge_create(ngx_http_sendgrid_amp_job_t *job,
    sgamp_action_e action)
{
    sgamp_sendgrid_answer_t         *answer;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = job->ctx->data;
    answer = job->answer;

    if (action == SGAMP_NEXT) {
        ngx_memcpy(cohort->id, answer->id, SGAMP_UUID_LEN);
        ngx_http_sendgrid_amp_set_list(job->ctx);
        return SGAMP_FORWARD;
    }

    if (action == SGAMP_RETRY) {
        return SGAMP_RETRY;
    }

    /* another node may have made the list: lists are read once more */

    cohort->work.matches = 0;
    cohort->work.pages = 0;
    cohort->work.token_len = 0;

    job->next = NGX_HTTP_SENDGRID_AMP_STEP_AGAIN;

    return SGAMP_NEXT;
}


static sgamp_action_e
ngx_http_sendgrid_amp_judge_put(ngx_http_sendgrid_amp_job_t *job,
    sgamp_action_e action)
{
    unsigned                  facts;
    sgamp_sendgrid_answer_t  *answer;

    answer = job->answer;

    facts = answer->facts
            & (SGAMP_SENDGRID_UNKNOWN_LIST|SGAMP_SENDGRID_UNKNOWN_FIELD);

    if (job->call->status == NGX_HTTP_NOT_FOUND) {
        facts = SGAMP_SENDGRID_UNKNOWN_LIST;

    } else if (job->call->status != NGX_HTTP_BAD_REQUEST) {
        facts = 0;
    }

    if (facts != 0 && action != SGAMP_REJECT) {
        return ngx_http_sendgrid_amp_renew(job, facts);
    }

    return action;
}


static sgamp_action_e
ngx_http_sendgrid_amp_renew(ngx_http_sendgrid_amp_job_t *job, unsigned facts)
{
    uint32_t                         i;
    ngx_uint_t                       current, fresh;
    sgamp_contact_t                 *contact;
    sgamp_ledger_t                  *ledger;
    sgamp_ledger_key_t               key;
    ngx_http_sendgrid_amp_work_t    *work;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = job->ctx->data;
    work = &cohort->work;

    /* a request of before the renewal is made anew */

    current = (job->batch->items[job->part->index[0]].id_end
               == work->renewals + work->refreshes);

    if (current && facts == SGAMP_SENDGRID_UNKNOWN_FIELD) {

        if (work->refreshes == NGX_HTTP_SENDGRID_AMP_RENEWALS) {
            return SGAMP_HALVE;
        }

        work->refreshes++;
        work->asked = 0;
        work->stage = NGX_HTTP_SENDGRID_AMP_FIND_FIELDS;

        ledger = ngx_http_sendgrid_amp_lock_ledger(cohort->api.zone);

        for (i = 0; i < cohort->conf->rules->ncustom; i++) {

            if (ngx_http_sendgrid_amp_field_key(job->ctx, i, &key) == NGX_OK) {
                sgamp_ledger_forget_field(ledger, &key);
            }
        }

        ngx_http_sendgrid_amp_unlock_ledger(cohort->api.zone);

    } else if (current) {

        if (cohort->named) {
            return ngx_http_sendgrid_amp_no_list(job);
        }

        fresh = (work->renewals == NGX_HTTP_SENDGRID_AMP_RENEWALS);

        ledger = ngx_http_sendgrid_amp_lock_ledger(cohort->api.zone);

        sgamp_ledger_forget_list(ledger, &cohort->ledger.list);

        ngx_http_sendgrid_amp_unlock_ledger(cohort->api.zone);

        if (fresh) {
            return SGAMP_RETRY;
        }

        work->renewals++;
        work->asked = 0;
        work->stage = NGX_HTTP_SENDGRID_AMP_FIND_LIST;
    }

    work->next = 0;

    for (i = 0; i < job->part->n; i++) {
        contact = ngx_http_sendgrid_amp_contact_of(cohort, job, i);
        contact->state = NGX_HTTP_SENDGRID_AMP_CONTACT_NEW;
        work->marks[i] = 1;
    }

    job->marks = work->marks;

    return SGAMP_SELECT;
}


static sgamp_action_e
ngx_http_sendgrid_amp_no_list(ngx_http_sendgrid_amp_job_t *job)
{
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = job->ctx->data;

    if (!cohort->listed) {
        ngx_log_error(NGX_LOG_ERR, job->ctx->request->connection->log, 0,
                      "SendGrid has no list with the id of "
                      "\"sendgrid_amp_list_id\"");
    }

    ngx_http_sendgrid_amp_fail(job->ctx, NGX_HTTP_SENDGRID_AMP_NOT_FOUND);

    return SGAMP_REFUSE;
}


static sgamp_action_e
ngx_http_sendgrid_amp_judge_search(ngx_http_sendgrid_amp_job_t *job,
    sgamp_action_e action)
{
    uint32_t                         i;
    ngx_uint_t                       n;
    sgamp_contact_t                 *contact;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = job->ctx->data;

    if (action != SGAMP_NEXT) {
        return action;
    }

    /* a page says nothing about contacts: the way to SendGrid is wrong */

    if (job->call->status == NGX_HTTP_NOT_FOUND
        && ngx_http_sendgrid_amp_is_html(job->call))
    {
        return SGAMP_RETRY;
    }

    n = 0;

    for (i = 0; i < job->part->n; i++) {
        contact = ngx_http_sendgrid_amp_contact_of(cohort, job, i);

        cohort->work.marks[i] =
                      (job->call->status == NGX_HTTP_NOT_FOUND
                       || (contact->state
                           & ~NGX_HTTP_SENDGRID_AMP_CONTACT_AGAIN)
                          != NGX_HTTP_SENDGRID_AMP_CONTACT_LISTED);

        if (cohort->work.marks[i]) {
            contact->state = NGX_HTTP_SENDGRID_AMP_CONTACT_ENDED;
            n++;
        }
    }

    ngx_http_sendgrid_amp_count_contacts(job->ctx, cohort->operation,
                                         SGAMP_CONTACT_ABSENT, n);

    job->marks = cohort->work.marks;

    return SGAMP_SELECT;
}


static sgamp_action_e
ngx_http_sendgrid_amp_judge_remove(ngx_http_sendgrid_amp_job_t *job,
    sgamp_action_e action)
{
    uint32_t                         i;
    sgamp_contact_t                 *contact;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = job->ctx->data;

    if (job->call->status != NGX_HTTP_NOT_FOUND) {
        return action;
    }

    contact = ngx_http_sendgrid_amp_contact_of(cohort, job, 0);

    if (!(contact->state & NGX_HTTP_SENDGRID_AMP_CONTACT_AGAIN)) {

        /* a contact has another id now, or is gone: searched once more */

        for (i = 0; i < job->part->n; i++) {
            contact = ngx_http_sendgrid_amp_contact_of(cohort, job, i);
            contact->state |= NGX_HTTP_SENDGRID_AMP_CONTACT_AGAIN;
        }

        job->next = NGX_HTTP_SENDGRID_AMP_STEP_SEARCH;

        return SGAMP_NEXT;
    }

    if (job->part->n > 1) {
        return SGAMP_HALVE;
    }

    contact->state = NGX_HTTP_SENDGRID_AMP_CONTACT_ENDED;

    ngx_http_sendgrid_amp_count_contacts(job->ctx, cohort->operation,
                                         SGAMP_CONTACT_ABSENT, 1);

    cohort->work.marks[0] = 1;
    job->marks = cohort->work.marks;

    return SGAMP_SELECT;
}


void
ngx_http_sendgrid_amp_cohort_accepted(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part)
{
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = job->ctx->data;

    switch (job->batch->items[part->index[0]].kind) {

    case SGAMP_CALL_LISTS:
        cohort->work.asked = 0;
        break;

    case SGAMP_CALL_FIELDS:
        cohort->work.asked = 0;
        ngx_http_sendgrid_amp_set_fields(job->ctx);
        break;

    case SGAMP_CALL_PUT:
        cohort->added += part->n;
        ngx_http_sendgrid_amp_note_sent(job, part, SGAMP_CALL_PUT);
        ngx_http_sendgrid_amp_end_contacts(job, part);
        ngx_http_sendgrid_amp_import_add(job, job->answer, part->n);
        break;

    default: /* SGAMP_CALL_SEARCH, SGAMP_CALL_IDENTIFY */
        cohort->removed += part->n;
        ngx_http_sendgrid_amp_note_sent(job, part, SGAMP_CALL_REMOVE);
        ngx_http_sendgrid_amp_end_contacts(job, part);
        break;
    }
}


static void
ngx_http_sendgrid_amp_note_sent(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part, sgamp_call_e call)
{
    uint32_t                         i, n;
    sgamp_ledger_t                  *ledger;
    sgamp_ledger_change_t           *change;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    if (call != SGAMP_CALL_PUT && call != SGAMP_CALL_REMOVE) {
        return;
    }

    cohort = job->ctx->data;
    change = &cohort->ledger.change;

    change->now = ngx_http_sendgrid_amp_ledger_now();

    ledger = ngx_http_sendgrid_amp_lock_ledger(cohort->api.zone);

    for (i = 0; i < part->n; i++) {
        n = job->batch->items[part->index[i]].id;

        sgamp_ledger_accepted(ledger, change,
                              sgamp_contact_at(&cohort->contacts, n)->hash);
    }

    ngx_http_sendgrid_amp_unlock_ledger(cohort->api.zone);
}


static void
ngx_http_sendgrid_amp_end_contacts(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part)
{
    uint32_t                         i, n;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = job->ctx->data;

    for (i = 0; i < part->n; i++) {
        n = job->batch->items[part->index[i]].id;

        sgamp_contact_at(&cohort->contacts, n)->state =
                                       NGX_HTTP_SENDGRID_AMP_CONTACT_ENDED;
    }

    ngx_http_sendgrid_amp_count_contacts(job->ctx, cohort->operation,
                                         SGAMP_CONTACT_ACCEPTED, part->n);
}


static void
ngx_http_sendgrid_amp_set_fields(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                       i, n;
    sgamp_ledger_t                  *ledger;
    sgamp_ledger_key_t               key;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    n = 0;
    cohort = ctx->data;

    ledger = ngx_http_sendgrid_amp_lock_ledger(cohort->api.zone);

    for (i = 0; i < cohort->conf->rules->ncustom; i++) {

        if (cohort->definitions[i].type == SGAMP_TYPE_MISSING) {
            n++;
            continue;
        }

        if (ngx_http_sendgrid_amp_field_key(ctx, i, &key) == NGX_OK) {
            sgamp_ledger_set_field(ledger, &key, &cohort->definitions[i],
                                   ngx_http_sendgrid_amp_ledger_now());
        }
    }

    ngx_http_sendgrid_amp_unlock_ledger(cohort->api.zone);

    if (n != 0) {
        ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                      "SendGrid has no custom field for %ui "
                      "\"sendgrid_amp_contact\": their values are not sent",
                      n);
    }

    cohort->work.stage = NGX_HTTP_SENDGRID_AMP_CHANGE;
}
