
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp_cohort.h"


/*
 * Calls to SendGrid's Marketing Campaigns: requests, limits and the key,
 * https://www.twilio.com/docs/sendgrid/api-reference/contacts and
 * https://www.twilio.com/docs/sendgrid/api-reference/lists.
 */


#define NGX_HTTP_SENDGRID_AMP_PAGE_SIZE   "page_size=1000"
#define NGX_HTTP_SENDGRID_AMP_PAGE_TOKEN  "&page_token="


typedef struct {
    ngx_str_t   name;     /* of the method */
    ngx_uint_t  no_body;
    char       *path;     /* "%V": the id of a list */
} ngx_http_sendgrid_amp_endpoint_t;


static ngx_int_t ngx_http_sendgrid_amp_api_uri(
    ngx_http_sendgrid_amp_job_t *job, ngx_pool_t *pool, char *path,
    ngx_str_t *id);
static ngx_int_t ngx_http_sendgrid_amp_api_page(
    ngx_http_sendgrid_amp_job_t *job, ngx_pool_t *pool);
static ngx_int_t ngx_http_sendgrid_amp_api_ids(
    ngx_http_sendgrid_amp_job_t *job, ngx_pool_t *pool);
static ngx_int_t ngx_http_sendgrid_amp_limit_key(ngx_str_t *uri,
    ngx_str_t *api_key, unsigned limit, sgamp_ledger_key_t *key);
static ngx_int_t ngx_http_sendgrid_amp_api_number(
    ngx_http_sendgrid_amp_job_t *job, char *name);
static ngx_int_t ngx_http_sendgrid_amp_api_key_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


static ngx_http_variable_t  ngx_http_sendgrid_amp_api_vars[] = {

    { ngx_string("sendgrid_amp_marketing_key"), NULL,
      ngx_http_sendgrid_amp_api_key_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


/* in the order of sgamp_call_e */

static const ngx_http_sendgrid_amp_endpoint_t
    ngx_http_sendgrid_amp_endpoints[] = {

    { ngx_string("GET"), 1, "/lists" },
    { ngx_string("POST"), 0, "/lists" },
    { ngx_string("GET"), 1, "/field_definitions" },
    { ngx_string("PUT"), 0, "/contacts" },
    { ngx_string("POST"), 0, "/contacts/search/emails" },
    { ngx_string("POST"), 0, "/contacts/search/identifiers/email" },
    { ngx_string("DELETE"), 1, "/lists/%V/contacts" },
    { ngx_string("GET"), 1, "/contacts/imports/%V" }
};


ngx_uint_t
ngx_http_sendgrid_amp_is_key(ngx_str_t *key)
{
    size_t  i;

    /* a line feed would be a header of its own */

    for (i = 0; i < key->len; i++) {
        if (key->data[i] <= ' ' || key->data[i] >= 0x7f) {
            return 0;
        }
    }

    return key->len != 0;
}


sgamp_call_e
ngx_http_sendgrid_amp_api_call(ngx_http_sendgrid_amp_job_t *job)
{
    sgamp_call_e  call;

    /* the batch says what its first step is */

    call = (sgamp_call_e) ngx_http_sendgrid_amp_item(job, 0)->kind;

    if (call == SGAMP_CALL_LISTS
        && job->part->step == NGX_HTTP_SENDGRID_AMP_STEP_CREATE)
    {
        return SGAMP_CALL_CREATE;
    }

    if ((call == SGAMP_CALL_SEARCH || call == SGAMP_CALL_IDENTIFY)
        && job->part->step == NGX_HTTP_SENDGRID_AMP_STEP_REMOVE)
    {
        return SGAMP_CALL_REMOVE;
    }

    return call;
}


ngx_int_t
ngx_http_sendgrid_amp_api_request(ngx_http_sendgrid_amp_job_t *job,
    ngx_pool_t *pool)
{
    char                                    *path;
    ngx_str_t                                id;
    sgamp_call_e                             call;
    ngx_http_sendgrid_amp_api_t             *api;
    const ngx_http_sendgrid_amp_endpoint_t  *endpoint;

    api = job->ctx->data;
    api->calls++;

    call = ngx_http_sendgrid_amp_api_call(job);
    endpoint = &ngx_http_sendgrid_amp_endpoints[call];

    /*
     * nginx sends a request once more when its connection is cut, unless the
     * method is POST: repeating is up to the flow
     */

    job->call->method = NGX_HTTP_POST;
    job->call->method_name = endpoint->name;
    job->call->no_body = endpoint->no_body;

    path = endpoint->path;

    id.len = api->id.len;
    id.data = api->id.data;

    if (call == SGAMP_CALL_LISTS && ngx_http_sendgrid_amp_is_one_list(job)) {
        path = "/lists/%V";
    }

    if (ngx_http_sendgrid_amp_api_uri(job, pool, path, &id) != NGX_OK) {
        return NGX_ERROR;
    }

    if (call == SGAMP_CALL_LISTS && !ngx_http_sendgrid_amp_is_one_list(job)) {
        return ngx_http_sendgrid_amp_api_page(job, pool);
    }

    if (call == SGAMP_CALL_REMOVE) {
        return ngx_http_sendgrid_amp_api_ids(job, pool);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_api_uri(ngx_http_sendgrid_amp_job_t *job,
    ngx_pool_t *pool, char *path, ngx_str_t *id)
{
    u_char     *p;
    size_t      len;
    ngx_str_t  *uri;

    uri = &job->ctx->route.uri;
    len = uri->len;

    if (len != 0 && uri->data[len - 1] == '/') {
        len--;
    }

    p = ngx_pnalloc(pool, len + sizeof(NGX_HTTP_SENDGRID_AMP_API)
                          + ngx_strlen(path) + id->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    job->call->uri.data = p;

    p = ngx_cpymem(p, uri->data, len);
    p = ngx_cpymem(p, NGX_HTTP_SENDGRID_AMP_API,
                   sizeof(NGX_HTTP_SENDGRID_AMP_API) - 1);
    p = ngx_sprintf(p, path, id);

    job->call->uri.len = p - job->call->uri.data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_api_page(ngx_http_sendgrid_amp_job_t *job,
    ngx_pool_t *pool)
{
    u_char                          *p;
    ngx_str_t                       *args;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = job->ctx->data;
    args = &job->call->args;

    p = ngx_pnalloc(pool, sizeof(NGX_HTTP_SENDGRID_AMP_PAGE_SIZE)
                          + sizeof(NGX_HTTP_SENDGRID_AMP_PAGE_TOKEN)
                          + cohort->work.token_len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    args->data = p;

    p = ngx_cpymem(p, NGX_HTTP_SENDGRID_AMP_PAGE_SIZE,
                   sizeof(NGX_HTTP_SENDGRID_AMP_PAGE_SIZE) - 1);

    if (cohort->work.token_len != 0) {
        p = ngx_cpymem(p, NGX_HTTP_SENDGRID_AMP_PAGE_TOKEN,
                       sizeof(NGX_HTTP_SENDGRID_AMP_PAGE_TOKEN) - 1);
        p = ngx_cpymem(p, cohort->work.token, cohort->work.token_len);
    }

    args->len = p - args->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_api_ids(ngx_http_sendgrid_amp_job_t *job,
    ngx_pool_t *pool)
{
    u_char                          *p;
    uint32_t                         i;
    ngx_str_t                       *args;
    sgamp_contact_t                 *contact;
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = job->ctx->data;
    args = &job->call->args;

    /* at most 100 ids: a URL of less than 4000 bytes */

    p = ngx_pnalloc(pool, sizeof("contact_ids=")
                          + job->part->n * (SGAMP_UUID_LEN + 1));
    if (p == NULL) {
        return NGX_ERROR;
    }

    args->data = p;

    p = ngx_cpymem(p, "contact_ids=", sizeof("contact_ids=") - 1);

    for (i = 0; i < job->part->n; i++) {
        contact = ngx_http_sendgrid_amp_contact_of(cohort, job, i);

        if (i != 0) {
            *p++ = ',';
        }

        p = ngx_cpymem(p, contact->id, SGAMP_UUID_LEN);
    }

    args->len = p - args->data;

    return NGX_OK;
}


unsigned
ngx_http_sendgrid_amp_limit(ngx_http_sendgrid_amp_job_t *job,
    sgamp_call_e call)
{
    /* SendGrid has a limit for each route */

    if (call == SGAMP_CALL_LISTS && ngx_http_sendgrid_amp_is_one_list(job)) {
        return SGAMP_CALLS;
    }

    return call;
}


ngx_int_t
ngx_http_sendgrid_amp_account_key(ngx_str_t *uri, ngx_str_t *api_key,
    const sgamp_str_t *texts, unsigned n, sgamp_ledger_key_t *key)
{
    sgamp_str_t  all[NGX_HTTP_SENDGRID_AMP_KEY_TEXTS + 2];

    all[0].data = uri->data;
    all[0].len = uri->len;
    all[1].data = api_key->data;
    all[1].len = api_key->len;

    ngx_memcpy(&all[2], texts, n * sizeof(sgamp_str_t));

    return (sgamp_ledger_key(key, all, n + 2) == SGAMP_OK) ? NGX_OK
                                                           : NGX_ERROR;
}


static ngx_int_t
ngx_http_sendgrid_amp_limit_key(ngx_str_t *uri, ngx_str_t *api_key,
    unsigned limit, sgamp_ledger_key_t *key)
{
    u_char       name;
    sgamp_str_t  text;

    name = (u_char) ('0' + limit);

    text.data = &name;
    text.len = 1;

    return ngx_http_sendgrid_amp_account_key(uri, api_key, &text, 1, key);
}


ngx_int_t
ngx_http_sendgrid_amp_list_key(ngx_http_sendgrid_amp_ctx_t *ctx,
    sgamp_ledger_key_t *key)
{
    sgamp_str_t                      texts[2];
    ngx_http_sendgrid_amp_cohort_t  *cohort;

    cohort = ctx->data;

    texts[0].data = (u_char *) "list";
    texts[0].len = sizeof("list") - 1;
    texts[1].data = cohort->id;
    texts[1].len = SGAMP_UUID_LEN;

    return ngx_http_sendgrid_amp_account_key(&ctx->route.uri,
                                             &cohort->api.key, texts, 2, key);
}


ngx_msec_t
ngx_http_sendgrid_amp_api_take(ngx_str_t *uri, ngx_str_t *api_key,
    sgamp_ledger_t *ledger, unsigned limit)
{
    sgamp_ledger_key_t  key;

    if (ngx_http_sendgrid_amp_limit_key(uri, api_key, limit, &key) != NGX_OK) {
        /* SendGrid itself tells if too many calls are made */
        return 0;
    }

    return (ngx_msec_t) sgamp_ledger_take(ledger, &key,
                                         ngx_http_sendgrid_amp_ledger_now());
}


void
ngx_http_sendgrid_amp_api_answered(ngx_http_sendgrid_amp_job_t *job,
    sgamp_call_e call, ngx_uint_t status)
{
    uint64_t                      reset;
    ngx_int_t                     limit, left, seconds;
    sgamp_ledger_t               *ledger;
    sgamp_ledger_key_t            key;
    ngx_http_sendgrid_amp_api_t  *api;

    api = job->ctx->data;

    ngx_http_sendgrid_amp_count(job->ctx,
                                sgamp_metrics_sendgrid(call,
                                                       (unsigned) status),
                                1);

    limit = ngx_http_sendgrid_amp_api_number(job, "x-ratelimit-limit");
    left = ngx_http_sendgrid_amp_api_number(job, "x-ratelimit-remaining");
    seconds = ngx_http_sendgrid_amp_api_number(job, "x-ratelimit-reset");

    if (status == NGX_HTTP_TOO_MANY_REQUESTS) {
        left = 0;

        if (seconds == NGX_ERROR) {
            seconds = ngx_http_sendgrid_amp_api_number(job, "retry-after");
        }
    }

    if (left == NGX_ERROR || seconds == NGX_ERROR) {
        return;
    }

    reset = sgamp_sendgrid_reset((uint64_t) seconds, (uint64_t) ngx_time());

    if (status == NGX_HTTP_TOO_MANY_REQUESTS) {
        job->wait = (ngx_msec_t) ngx_max(reset,
                                         NGX_HTTP_SENDGRID_AMP_MIN_WAIT);
    }

    if (job->ctx->counts.shared != NULL) {
        ngx_http_sendgrid_amp_set(job->ctx->counts.shared,
                                  sgamp_metrics_quota(call), left);
    }

    if (ngx_http_sendgrid_amp_limit_key(&job->ctx->route.uri, &api->key,
                                        ngx_http_sendgrid_amp_limit(job, call),
                                        &key)
        != NGX_OK)
    {
        return;
    }

    ledger = ngx_http_sendgrid_amp_lock_ledger(api->zone);

    sgamp_ledger_limit(ledger, &key, (uint32_t) ngx_max(limit, 0),
                       (uint32_t) left, reset,
                       ngx_http_sendgrid_amp_ledger_now());

    ngx_http_sendgrid_amp_unlock_ledger(api->zone);
}


static ngx_int_t
ngx_http_sendgrid_amp_api_number(ngx_http_sendgrid_amp_job_t *job, char *name)
{
    size_t                len;
    ngx_uint_t            i;
    ngx_list_part_t      *part;
    ngx_table_elt_t      *header;
    ngx_http_upstream_t  *u;

    u = job->call->request->upstream;

    if (u == NULL || job->call->status == 0) {
        return NGX_ERROR;
    }

    len = ngx_strlen(name);

    for (part = &u->headers_in.headers.part; part != NULL; part = part->next) {
        header = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (header[i].key.len == len
                && ngx_strncasecmp(header[i].key.data, (u_char *) name, len)
                   == 0)
            {
                return ngx_atoi(header[i].value.data, header[i].value.len);
            }
        }
    }

    return NGX_ERROR;
}


void
ngx_http_sendgrid_amp_api_listen(ngx_http_sendgrid_amp_job_t *job,
    const sgamp_sendgrid_question_t *question)
{
    ngx_http_sendgrid_amp_main_conf_t  *worker;

    worker = job->ctx->worker;

    sgamp_sendgrid_init(job->answer, question, &worker->grow,
                        &worker->reserve);
}


void
ngx_http_sendgrid_amp_api_read(ngx_http_sendgrid_amp_job_t *job, u_char *p,
    size_t n)
{
    sgamp_sendgrid_feed(job->answer, p, n);
}


void
ngx_http_sendgrid_amp_api_unlisten(ngx_http_sendgrid_amp_job_t *job)
{
    sgamp_sendgrid_done(job->answer);
}


void
ngx_http_sendgrid_amp_api_unanswered(ngx_http_sendgrid_amp_job_t *job)
{
    ngx_http_sendgrid_amp_count(job->ctx,
                                sgamp_metrics_sendgrid(
                                       ngx_http_sendgrid_amp_api_call(job), 0),
                                1);
}


void
ngx_http_sendgrid_amp_api_refused(ngx_http_sendgrid_amp_job_t *job)
{
    ngx_log_error(NGX_LOG_ERR, job->ctx->request->connection->log, 0,
                  "SendGrid answers %ui: check that the key of "
                  "\"sendgrid_amp_marketing_key\" is valid in the region "
                  "\"%V\" and has full access to Marketing",
                  job->call->status, &job->ctx->route.region);
}


static ngx_int_t
ngx_http_sendgrid_amp_api_key_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_sendgrid_amp_api_t       *api;
    ngx_http_sendgrid_amp_call_t      *call;
    ngx_http_sendgrid_amp_loc_conf_t  *conf;

    /* the key is for calls in an internal location only */

    call = ngx_http_sendgrid_amp_call(r);
    conf = ngx_http_get_module_loc_conf(r, ngx_http_sendgrid_amp_module);

    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;
    v->len = 0;
    v->data = (u_char *) "";

    if (call != NULL
        && call->ctx->flow->has_api
        && conf->internal)
    {
        api = call->ctx->data;

        v->len = api->key.len;
        v->data = api->key.data;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_sendgrid_amp_api_variables(ngx_conf_t *cf)
{
    return ngx_http_sendgrid_amp_add_variables(cf,
                                              ngx_http_sendgrid_amp_api_vars);
}
