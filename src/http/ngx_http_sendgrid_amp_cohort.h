
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _NGX_HTTP_SENDGRID_AMP_COHORT_H_INCLUDED_
#define _NGX_HTTP_SENDGRID_AMP_COHORT_H_INCLUDED_


#include "ngx_http_sendgrid_amp.h"
#include "sgamp_cohort_answer.h"
#include "sgamp_cohort_ledger.h"
#include "sgamp_cohort_message.h"


/* the flow of cohorts: for its files only */


#define NGX_HTTP_SENDGRID_AMP_API      "/v3/marketing"  /* of SendGrid */
#define NGX_HTTP_SENDGRID_AMP_MAX_PUT  5767168          /* bytes of a body */


/* the configuration of the zone; no directive: zone is NULL */

typedef struct {
    sgamp_ledger_t   *ledger;
    ngx_slab_pool_t  *shpool;
    ngx_shm_zone_t   *zone;
    ngx_cycle_t      *old_cycle;  /* while the zone is made */
} ngx_http_sendgrid_amp_cohort_zone_t;


/* the directives of the flow of cohorts */

typedef struct {
    ngx_array_t                          *secrets;  /* NULL: "off" */
    ngx_http_complex_value_t             *key;      /* of SendGrid's API */
    ngx_str_t                             prefix;
    ngx_http_complex_value_t             *list_id;
    ngx_array_t                          *fields;  /* sgamp_contact_field_t */
    sgamp_contact_rules_t                *rules;    /* made of fields */
    ngx_uint_t                            batch;
    ngx_msec_t                            window;
    ngx_msec_t                            timeout;
    ngx_http_sendgrid_amp_cohort_zone_t  *zone;
} ngx_http_sendgrid_amp_cohort_conf_t;


/* what is done with a contact, sgamp_contact_t.state */

typedef enum {
    NGX_HTTP_SENDGRID_AMP_CONTACT_NEW = 0,
    NGX_HTTP_SENDGRID_AMP_CONTACT_TAKEN,    /* by a batch */
    NGX_HTTP_SENDGRID_AMP_CONTACT_LISTED,   /* found on the list */
    NGX_HTTP_SENDGRID_AMP_CONTACT_ENDED
} ngx_http_sendgrid_amp_contact_state_e;

/* a bit of the state */
#define NGX_HTTP_SENDGRID_AMP_CONTACT_AGAIN  0x80  /* was searched again */


/* what a message needs to be told or asked next */

typedef enum {
    NGX_HTTP_SENDGRID_AMP_FIND_LIST = 0,
    NGX_HTTP_SENDGRID_AMP_FIND_FIELDS,
    NGX_HTTP_SENDGRID_AMP_CHANGE,
    NGX_HTTP_SENDGRID_AMP_NOTHING
} ngx_http_sendgrid_amp_stage_e;


/* steps of the batch that finds the list */

#define NGX_HTTP_SENDGRID_AMP_STEP_PAGE    0
#define NGX_HTTP_SENDGRID_AMP_STEP_CREATE  1
#define NGX_HTTP_SENDGRID_AMP_STEP_AGAIN   2  /* pages, after a refusal */

/* the id of the element of such a batch: a list that is named, one step */
#define NGX_HTTP_SENDGRID_AMP_ONE_LIST     1

#define ngx_http_sendgrid_amp_is_one_list(job)                                \
    (ngx_http_sendgrid_amp_item(job, 0)->id == NGX_HTTP_SENDGRID_AMP_ONE_LIST)

/* steps of a batch of contacts to remove */

#define NGX_HTTP_SENDGRID_AMP_STEP_SEARCH  0
#define NGX_HTTP_SENDGRID_AMP_STEP_REMOVE  1


/* a message in the ledger */

typedef struct {
    sgamp_ledger_key_t      message;
    sgamp_ledger_key_t      list;
    sgamp_ledger_owner_t    owner;
    sgamp_ledger_change_t   change;
    sgamp_ledger_summary_t  summary;   /* of a message that was done before */
    unsigned                begun:1;
} ngx_http_sendgrid_amp_ledger_t;


/* of cohort_work.c */

typedef struct {
    ngx_http_sendgrid_amp_stage_e  stage;
    uint32_t                       next;      /* contact to be taken */
    unsigned                       matches;   /* lists with the wanted name */
    unsigned                       pages;
    u_char                         token[SGAMP_PAGE_TOKEN];
    size_t                         token_len;
    u_char                        *marks;     /* of a part */
    unsigned                       renewals;  /* of the id of the list */
    unsigned                       refreshes; /* of the fields */
    sgamp_call_e                   line;      /* of a dry run */

    /* sets head and tail of a batch of contacts in a dry run, or NULL */
    ngx_int_t  (*head)(ngx_http_sendgrid_amp_ctx_t *ctx, sgamp_call_e call);

    unsigned                       asked:1;   /* for the list or the fields */
} ngx_http_sendgrid_amp_work_t;


/* what the calls of a flow to SendGrid need, the begin of its ctx->data */

typedef struct {
    ngx_str_t                             key;    /* of SendGrid's API */
    sgamp_str_t                           id;     /* in the path of a call */
    ngx_uint_t                            calls;
    ngx_http_sendgrid_amp_cohort_zone_t  *zone;
} ngx_http_sendgrid_amp_api_t;


/* a message of Amplitude's */

typedef struct {
    ngx_http_sendgrid_amp_api_t           api;    /* must be the first */
    ngx_http_sendgrid_amp_cohort_conf_t  *conf;
    sgamp_operation_e                     operation;
    sgamp_message_t                       message;
    sgamp_contacts_t                      contacts;
    sgamp_hash_t                          hash;     /* of the body */
    sgamp_list_name_t                     name;     /* of the list */
    u_char                                id[SGAMP_UUID_LEN];  /* its id */
    sgamp_field_definition_t              definitions[SGAMP_CONTACT_FIELDS];
    ngx_http_sendgrid_amp_ledger_t        ledger;
    ngx_http_sendgrid_amp_work_t          work;

    ngx_uint_t                            added;
    ngx_uint_t                            removed;
    ngx_uint_t                            settling;
    ngx_msec_t                            settles;  /* until all have */

    ngx_event_t                           timer;      /* of a wait */
    ngx_msec_t                            wait_until;
    unsigned                              listed:1;   /* the list API */
    unsigned                              named:1;    /* the id was given */
    unsigned                              waited:1;
    unsigned                              done:1;     /* before */
} ngx_http_sendgrid_amp_cohort_t;


#define ngx_http_sendgrid_amp_item(job, i)                                    \
    (&(job)->batch->items[(job)->part->index[i]])

#define ngx_http_sendgrid_amp_contact_of(cohort, job, i)                      \
    sgamp_contact_at(&(cohort)->contacts,                                     \
                     ngx_http_sendgrid_amp_item(job, i)->id)


extern ngx_module_t  ngx_http_sendgrid_amp_cohort_module;
extern ngx_module_t  ngx_http_sendgrid_amp_cohort_zone_module;
extern const ngx_http_sendgrid_amp_flow_t  ngx_http_sendgrid_amp_cohorts_flow;


ngx_int_t ngx_http_sendgrid_amp_cohort_variables(ngx_conf_t *cf);


/* access: the members of the flow before the body */

ngx_int_t ngx_http_sendgrid_amp_cohort_authorize(
    ngx_http_sendgrid_amp_ctx_t *ctx);
ngx_int_t ngx_http_sendgrid_amp_cohort_route(ngx_http_sendgrid_amp_ctx_t *ctx);


/* claim: a message in the ledger */

/* sets the keys, the owner and the change of a message */
ngx_int_t ngx_http_sendgrid_amp_cohort_identify(
    ngx_http_sendgrid_amp_ctx_t *ctx);

/*
 * NGX_OK: the message is to be worked on; NGX_DONE: it was done; NGX_AGAIN:
 * the same message is in work, the webhook is woken up; NGX_ERROR: it failed
 */
ngx_int_t ngx_http_sendgrid_amp_cohort_claim(ngx_http_sendgrid_amp_ctx_t *ctx);

/* ends the work: done, or failed (NULL) */
void ngx_http_sendgrid_amp_cohort_unclaim(ngx_http_sendgrid_amp_ctx_t *ctx,
    const sgamp_ledger_summary_t *summary);


#define NGX_HTTP_SENDGRID_AMP_KEY_TEXTS  4

/*
 * A key in the ledger of n texts, at most NGX_HTTP_SENDGRID_AMP_KEY_TEXTS, of
 * the account that an API key has by an internal location.
 */
ngx_int_t ngx_http_sendgrid_amp_account_key(ngx_str_t *uri, ngx_str_t *api_key,
    const sgamp_str_t *texts, unsigned n, sgamp_ledger_key_t *key);

/* the key in the ledger of a list with an id */
ngx_int_t ngx_http_sendgrid_amp_list_key(ngx_http_sendgrid_amp_ctx_t *ctx,
    sgamp_ledger_key_t *key);


/* work: the members of the flow for the batches */

ngx_int_t ngx_http_sendgrid_amp_cohort_live_supply(
    ngx_http_sendgrid_amp_ctx_t *ctx);
ngx_int_t ngx_http_sendgrid_amp_cohort_before(
    ngx_http_sendgrid_amp_job_t *job);

/* the next batch of contacts, if there is one */
ngx_int_t ngx_http_sendgrid_amp_cohort_change(
    ngx_http_sendgrid_amp_ctx_t *ctx);

/* goes on with the list that was found or made, or that others use already */
void ngx_http_sendgrid_amp_set_list(ngx_http_sendgrid_amp_ctx_t *ctx);

/* the key in the ledger of the i-th custom field */
ngx_int_t ngx_http_sendgrid_amp_field_key(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_uint_t i, sgamp_ledger_key_t *key);


/* judge: the members of the flow for the answers */

void ngx_http_sendgrid_amp_cohort_listen(ngx_http_sendgrid_amp_job_t *job);
sgamp_action_e ngx_http_sendgrid_amp_cohort_judge(
    ngx_http_sendgrid_amp_job_t *job);
void ngx_http_sendgrid_amp_cohort_accepted(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part);


/* dry run: lines in place of requests */

ngx_int_t ngx_http_sendgrid_amp_cohort_dry_supply(
    ngx_http_sendgrid_amp_ctx_t *ctx);


/* api: calls to SendGrid, for flows whose ctx->data is ..._api_t at first */

#define NGX_HTTP_SENDGRID_AMP_MIN_WAIT  1000  /* ms after 429 */

/* whether a text may be a key of SendGrid's API */
ngx_uint_t ngx_http_sendgrid_amp_is_key(ngx_str_t *key);

/* the call that a part is in this step */
sgamp_call_e ngx_http_sendgrid_amp_api_call(ngx_http_sendgrid_amp_job_t *job);

/* which of SendGrid's limits holds for a call */
unsigned ngx_http_sendgrid_amp_limit(ngx_http_sendgrid_amp_job_t *job,
    sgamp_call_e call);

/* 0: a call may be made now, and is counted; or the ms to wait */
ngx_msec_t ngx_http_sendgrid_amp_api_take(ngx_str_t *uri, ngx_str_t *api_key,
    sgamp_ledger_t *ledger, unsigned limit);

ngx_int_t ngx_http_sendgrid_amp_api_request(ngx_http_sendgrid_amp_job_t *job,
    ngx_pool_t *pool);

void ngx_http_sendgrid_amp_api_listen(ngx_http_sendgrid_amp_job_t *job,
    const sgamp_sendgrid_question_t *question);
void ngx_http_sendgrid_amp_api_read(ngx_http_sendgrid_amp_job_t *job,
    u_char *p, size_t n);
void ngx_http_sendgrid_amp_api_unlisten(ngx_http_sendgrid_amp_job_t *job);

/* counts an answer, and notes the limit; sets job->wait after 429 */
void ngx_http_sendgrid_amp_api_answered(ngx_http_sendgrid_amp_job_t *job,
    sgamp_call_e call, ngx_uint_t status);
void ngx_http_sendgrid_amp_api_unanswered(ngx_http_sendgrid_amp_job_t *job);

/* counts contacts by what became of them */
#define ngx_http_sendgrid_amp_count_contacts(ctx, operation, result, n)       \
    ngx_http_sendgrid_amp_count(ctx, sgamp_metrics_contact(operation, result),\
                                n)

/* logs what to do when SendGrid refuses the key */
void ngx_http_sendgrid_amp_api_refused(ngx_http_sendgrid_amp_job_t *job);

ngx_int_t ngx_http_sendgrid_amp_api_variables(ngx_conf_t *cf);


/* import: jobs of SendGrid's that have taken contacts */

/* asks for a job later, after the message has ended */
void ngx_http_sendgrid_amp_import_add(ngx_http_sendgrid_amp_job_t *job,
    const sgamp_sendgrid_answer_t *answer, ngx_uint_t n);


/* zone */

/* takes the lock of the zone, which nginx frees when a worker is killed */
sgamp_ledger_t *ngx_http_sendgrid_amp_lock_ledger(
    ngx_http_sendgrid_amp_cohort_zone_t *zone);
void ngx_http_sendgrid_amp_unlock_ledger(
    ngx_http_sendgrid_amp_cohort_zone_t *zone);

/* the clock of the ledger in ms, never 0 */
uint64_t ngx_http_sendgrid_amp_ledger_now(void);

/* 0: the process is gone */
int ngx_http_sendgrid_amp_ledger_alive(uint64_t process);


#endif /* _NGX_HTTP_SENDGRID_AMP_COHORT_H_INCLUDED_ */
