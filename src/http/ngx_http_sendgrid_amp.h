
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _NGX_HTTP_SENDGRID_AMP_H_INCLUDED_
#define _NGX_HTTP_SENDGRID_AMP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "sgamp_answer.h"
#include "sgamp_batch.h"
#include "sgamp_digest.h"
#include "sgamp_metrics.h"
#include "sgamp_parser.h"
#include "sgamp_secret.h"
#include "sgamp_signature.h"
#include "sgamp_store.h"


/* what differs between versions of nginx */

#if (nginx_version >= 1023000)
#define ngx_http_sendgrid_amp_unlink(h)  (h)->next = NULL
#else
#define ngx_http_sendgrid_amp_unlink(h)
#endif

#ifdef NGX_HTTP_LOG_PROP_LIST

/* Angie: a line of the error log is made of properties, which may be JSON */

typedef ngx_log_ext_handler_pt  ngx_http_sendgrid_amp_log_pt;

#define NGX_HTTP_SENDGRID_AMP_LOG_PROPERTIES  1

#define ngx_http_sendgrid_amp_log_args                                        \
    ngx_log_t *log, u_char *buf, u_char *last, void *data
#define ngx_http_sendgrid_amp_log_pass     log, buf, last, data
#define ngx_http_sendgrid_amp_log_main                                        \
    ((ngx_http_log_ctx_t *) data)->request
#define ngx_http_sendgrid_amp_log_current                                     \
    ((ngx_http_log_ctx_t *) data)->current_request

#define ngx_http_sendgrid_amp_log_add(p, key, head, format, tail, ...)        \
    ngx_log_property(log, p, last, key, format, __VA_ARGS__)

#else

typedef ngx_http_log_handler_pt  ngx_http_sendgrid_amp_log_pt;

#define NGX_HTTP_SENDGRID_AMP_LOG_PROPERTIES  0

#define ngx_http_sendgrid_amp_log_args                                        \
    ngx_http_request_t *r, ngx_http_request_t *sr, u_char *buf, size_t len
#define ngx_http_sendgrid_amp_log_pass     r, sr, buf, len
#define ngx_http_sendgrid_amp_log_main     r
#define ngx_http_sendgrid_amp_log_current  sr

#define ngx_http_sendgrid_amp_log_add(p, key, head, format, tail, ...)        \
    ngx_slprintf(p, buf + len, head format tail, __VA_ARGS__)

#endif


#define NGX_HTTP_SENDGRID_AMP_AUTH_OFF    0
#define NGX_HTTP_SENDGRID_AMP_AUTH_BASIC  1

#define NGX_HTTP_SENDGRID_AMP_SIGNATURE_ON      0
#define NGX_HTTP_SENDGRID_AMP_SIGNATURE_REPORT  1

#define NGX_HTTP_SENDGRID_AMP_FEED_SIZE   16384  /* bytes of a portion */
#define NGX_HTTP_SENDGRID_AMP_SUMMARY     256    /* bytes, at most */

/* why nothing is sent yet: the signature, or the message, which is not whole */

#define NGX_HTTP_SENDGRID_AMP_HOLD_SIGNATURE  0x1
#define NGX_HTTP_SENDGRID_AMP_HOLD_MESSAGE    0x2


typedef struct ngx_http_sendgrid_amp_ctx_s  ngx_http_sendgrid_amp_ctx_t;
typedef struct ngx_http_sendgrid_amp_job_s  ngx_http_sendgrid_amp_job_t;
typedef struct ngx_http_sendgrid_amp_call_s  ngx_http_sendgrid_amp_call_t;
typedef struct ngx_http_sendgrid_amp_pool_s  ngx_http_sendgrid_amp_pool_t;
typedef struct ngx_http_sendgrid_amp_shared_s  ngx_http_sendgrid_amp_shared_t;
typedef struct ngx_http_sendgrid_amp_file_s  ngx_http_sendgrid_amp_file_t;
typedef struct ngx_http_sendgrid_amp_lines_s  ngx_http_sendgrid_amp_lines_t;
typedef struct ngx_http_sendgrid_amp_rejected_s
    ngx_http_sendgrid_amp_rejected_t;


/*
 * Why a webhook is not answered with 200; of several reasons the last one in
 * this order counts.  From REFUSED on nothing more is sent to the peer.
 */

typedef enum {
    NGX_HTTP_SENDGRID_AMP_OK = 0,
    NGX_HTTP_SENDGRID_AMP_THROTTLED,
    NGX_HTTP_SENDGRID_AMP_UNAVAILABLE,
    NGX_HTTP_SENDGRID_AMP_REFUSED,
    NGX_HTTP_SENDGRID_AMP_IN_PROGRESS,
    NGX_HTTP_SENDGRID_AMP_NOT_FOUND,
    NGX_HTTP_SENDGRID_AMP_INVALID_MESSAGE,
    NGX_HTTP_SENDGRID_AMP_INVALID_JSON,
    NGX_HTTP_SENDGRID_AMP_BAD_SIGNATURE,
    NGX_HTTP_SENDGRID_AMP_UNAUTHORIZED,
    NGX_HTTP_SENDGRID_AMP_NOT_ALLOWED,
    NGX_HTTP_SENDGRID_AMP_TOO_LARGE,
    NGX_HTTP_SENDGRID_AMP_ENCODED,
    NGX_HTTP_SENDGRID_AMP_CLOSED,
    NGX_HTTP_SENDGRID_AMP_BAD_REQUEST,
    NGX_HTTP_SENDGRID_AMP_TIMED_OUT,
    NGX_HTTP_SENDGRID_AMP_INTERNAL
} ngx_http_sendgrid_amp_error_e;


/* what is known about the signature of a webhook */

typedef enum {
    NGX_HTTP_SENDGRID_AMP_UNSIGNED = 0, /* not asked for, or not verified yet */
    NGX_HTTP_SENDGRID_AMP_SIGNED,
    NGX_HTTP_SENDGRID_AMP_MISSING,
    NGX_HTTP_SENDGRID_AMP_MALFORMED,
    NGX_HTTP_SENDGRID_AMP_STALE,
    NGX_HTTP_SENDGRID_AMP_MISMATCH
} ngx_http_sendgrid_amp_signature_e;


/* configuration */

/* the directive of dead letters */

typedef struct {
    ngx_http_sendgrid_amp_file_t  *file;  /* NULL: "off" */
} ngx_http_sendgrid_amp_dead_letter_conf_t;


/* batches that the peer has accepted */

typedef struct {
    ngx_uint_t  n;
    ngx_msec_t  last;  /* when the last batch was accepted, ngx_current_msec */
    ngx_uint_t  way;   /* hash of the URI that this batch was sent to */
} ngx_http_sendgrid_amp_evidence_t;


/* of metrics.c, and what others count in */

typedef struct {
    ngx_atomic_t                    *counters;   /* NULL: there is no zone */
    ngx_http_sendgrid_amp_shared_t  *shared;     /* of the zone */
    ngx_shm_zone_t                  *zone;
    ngx_cycle_t                     *old_cycle;  /* while the zone is made */
} ngx_http_sendgrid_amp_metrics_conf_t;


/* of a worker: the configuration is its own copy after the fork */

typedef struct {
    sgamp_grow_t                      grow;
    sgamp_pieces_t                    pieces;
    sgamp_str_t                       reserve;
    ngx_http_handler_pt               handler;   /* of webhooks */
    ngx_http_sendgrid_amp_lines_t    *lines;     /* to be written, or NULL */
    ngx_http_sendgrid_amp_evidence_t  evidence;  /* the newest of all */
    sgamp_secrets_t                   secrets;   /* accepted ones */
} ngx_http_sendgrid_amp_main_conf_t;


typedef struct {
    u_char  digest[SGAMP_SHA256_LEN];
} ngx_http_sendgrid_amp_secret_t;


/* the directives of signatures */

typedef struct {
    ngx_array_t  *public_keys;  /* EVP_PKEY *, as set; NULL: "off" */
    ngx_array_t  *keys;         /* NULL: no signature is needed */
    ngx_uint_t    signature;
    time_t        window;       /* of the time in it, seconds; 0: any time */
} ngx_http_sendgrid_amp_key_conf_t;


/* the directives of all flows */

typedef struct {
    /* set by the directive of a flow, as sendgrid_amp */
    const struct ngx_http_sendgrid_amp_flow_s  *flow;   /* NULL: none */
    ngx_http_complex_value_t            *region;
    ngx_uint_t                           keyed;  /* a request may hold a key */

    ngx_uint_t                           auth;
    ngx_array_t                         *secrets;      /* ..._secret_t */
    ngx_uint_t                           concurrency;
    size_t                               max_event_size;
    ngx_uint_t                           retries;
    ngx_msec_t                           retry_delay;
    ngx_msec_t                           timeout;

    ngx_uint_t                           internal;     /* this location */
    ngx_http_sendgrid_amp_evidence_t     evidence;     /* in this worker */
} ngx_http_sendgrid_amp_loc_conf_t;


/*
 * What a flow counts in, of sgamp_metrics.h; SGAMP_METRICS: nothing is counted,
 * which is not possible for the answer and its time.
 */

typedef struct {
    unsigned                      (*answered)(unsigned status);
    const sgamp_metrics_answers_t  *answers;   /* to the client */
    unsigned                        time;      /* a histogram */
    unsigned                        received;  /* bytes of the body */
    unsigned                        sent;      /* bytes of requests */
    unsigned                        retries;
    unsigned                        in_flight;
} ngx_http_sendgrid_amp_figures_t;


/* a region of the peer by its name, and the internal location for it */

#define NGX_HTTP_SENDGRID_AMP_REGIONS  2  /* of each flow */

typedef struct {
    ngx_str_t  name;
    ngx_str_t  uri;
} ngx_http_sendgrid_amp_region_t;


/*
 * A flow: how the elements of a webhook become requests to a peer, and what
 * the peer's answers mean.  All files but those of the flow serve any flow.
 */

typedef struct ngx_http_sendgrid_amp_flow_s  ngx_http_sendgrid_amp_flow_t;

struct ngx_http_sendgrid_amp_flow_s {
    const char      *name;         /* of the directive; all are for logs */
    const char      *peer;
    const char      *noun;         /* and the member of a dead letter */
    const char      *nouns;
    const char      *a_noun;       /* with its article */
    const char      *id;           /* the member that tells elements apart */
    const char      *realm;        /* the value of WWW-Authenticate */
    const char *const  *states;    /* what nginx's log says of each state */

    size_t           answer_size;  /* bytes of job->answer, if there is
                                      listen(): begins with sgamp_answer_t */

    const ngx_http_sendgrid_amp_figures_t  *figures;

    /* for ..._set_flow() and ..._find_route() */
    const ngx_http_sendgrid_amp_region_t   *regions;
    size_t           path;         /* bytes of another location, at least */

    /* NGX_OK, NGX_DECLINED: the credentials are refused; NULL: none needed */
    ngx_int_t      (*authorize)(ngx_http_sendgrid_amp_ctx_t *ctx);

    /*
     * Sets ctx->route; NGX_OK, NGX_DECLINED: the webhook has failed, or,
     * logged, NGX_ERROR
     */
    ngx_int_t      (*route)(ngx_http_sendgrid_amp_ctx_t *ctx);

    /*
     * Makes the batcher ready, and returns the names of members that elements
     * are searched for; NULL: a failure, for which the webhook has failed.
     */
    const sgamp_names_t  *(*start)(ngx_http_sendgrid_amp_ctx_t *ctx);

    /* takes an element, data is ctx */
    sgamp_element_pt   element;

    /*
     * Names of arrays of elements in a root object and what takes the other
     * members, data is ctx, see sgamp_parser_root(); both NULL: the root is the
     * array.
     */
    const sgamp_str_t  *(*arrays)(ngx_http_sendgrid_amp_ctx_t *ctx,
                                  unsigned *n);
    sgamp_root_pt    member;

    /* takes the next bytes of the body before they are parsed; may be NULL */
    ngx_int_t      (*portion)(ngx_http_sendgrid_amp_ctx_t *ctx,
                              ngx_str_t *portion);

    /*
     * Called after the last byte of a webhook that may be processed, if the
     * flow has set NGX_HTTP_SENDGRID_AMP_HOLD_MESSAGE.  NGX_OK: batches are
     * sent; NGX_DONE: elements that were kept are forgotten; NGX_AGAIN: the
     * flow wakes the webhook, and is called again; NGX_ERROR: the webhook has
     * failed, with REFUSED or more.
     */
    ngx_int_t      (*message)(ngx_http_sendgrid_amp_ctx_t *ctx);

    /*
     * rejects an element that ngx_http_sendgrid_amp_hold_rejected() has kept
     */
    void           (*stored)(ngx_http_sendgrid_amp_ctx_t *ctx,
                           const sgamp_stored_t *element);

    /*
     * Called when a job is free and no batch waits, with elements left to add
     * perhaps; NULL if elements are added as they come.  NGX_OK or NGX_ERROR:
     * the webhook has failed.
     */
    ngx_int_t      (*supply)(ngx_http_sendgrid_amp_ctx_t *ctx);

    /*
     * Called before job->part is sent to the peer; may be NULL.  NGX_OK;
     * NGX_AGAIN: the part waits for job->wait ms; NGX_DECLINED: the elements
     * that are marked in job->marks leave the part; or NGX_ERROR.
     */
    ngx_int_t      (*before)(ngx_http_sendgrid_amp_job_t *job);

    /*
     * Sets the method, its name and the URI of job->call, and args and no_body
     * if the step needs them, with memory of the call's pool.
     */
    ngx_int_t      (*request)(ngx_http_sendgrid_amp_job_t *job,
                              ngx_pool_t *pool);

    /*
     * Begins to read an answer into job->answer, reads, and frees the answer;
     * listen is NULL if the status line says all.
     */
    void           (*listen)(ngx_http_sendgrid_amp_job_t *job);
    void           (*read)(ngx_http_sendgrid_amp_job_t *job, u_char *p,
                           size_t n);
    void           (*unlisten)(ngx_http_sendgrid_amp_job_t *job);

    /*
     * What the answer in job->answer and job->call leads to; sets job->marks
     * for SGAMP_REJECT, SGAMP_THROTTLE and SGAMP_SELECT, job->wait for
     * SGAMP_WAIT.  After SGAMP_NEXT and SGAMP_SELECT request() is called for
     * the step job->next, which is the following one unless it is set.
     */
    sgamp_action_e (*judge)(ngx_http_sendgrid_amp_job_t *job);

    /* counts a call that the webhook has ended without an answer; or NULL */
    void           (*unanswered)(ngx_http_sendgrid_amp_job_t *job);

    /* counts the elements that were accepted, in its own way; may be NULL */
    void           (*accepted)(ngx_http_sendgrid_amp_job_t *job,
                               sgamp_part_t *part);

    /*
     * The record of the i-th element of a part, which the peer refuses; freed
     * by ctx->worker->grow; NULL: no memory.
     */
    ngx_http_sendgrid_amp_rejected_t  *(*rejected)(
                               ngx_http_sendgrid_amp_job_t *job,
                               sgamp_part_t *part, uint32_t i);

    /* called when nothing is left to be sent, before the answer; or NULL */
    void           (*settled)(ngx_http_sendgrid_amp_ctx_t *ctx);

    /*
     * Writes the members of the answer to the client, in at most
     * NGX_HTTP_SENDGRID_AMP_SUMMARY bytes, and returns where they end;
     * ctx->data is NULL if the webhook was refused before authorize().
     */
    u_char        *(*summary)(ngx_http_sendgrid_amp_ctx_t *ctx, u_char *p);

    /* counts what is left to count when the webhook ends; may be NULL */
    void           (*finish)(ngx_http_sendgrid_amp_ctx_t *ctx);

    unsigned         is_signed:1;    /* SendGrid may sign the webhooks */
    unsigned         is_certain:1;   /* refusals need no evidence */
    unsigned         is_lasting:1;   /* goes on when the client has left */
    unsigned         has_api:1;      /* data begins with ..._api_t */
};


/* a transport takes parts of batches: calls to the peer, or a dry run */

typedef struct {
    ngx_int_t      (*init)(ngx_http_sendgrid_amp_ctx_t *ctx,
                           ngx_http_sendgrid_amp_job_t *jobs, ngx_uint_t n);

    /* begins to send job->part; NGX_ERROR: the webhook has failed */
    ngx_int_t      (*send)(ngx_http_sendgrid_amp_job_t *job);

    /* whether job->part has its answer; sets its action, if ops are live */
    ngx_uint_t     (*take)(ngx_http_sendgrid_amp_job_t *job,
                           sgamp_action_e *action);

    /* whether job is worth waiting for; NULL: always */
    ngx_uint_t     (*busy)(ngx_http_sendgrid_amp_job_t *job);

    /* frees what send() has allocated */
    void           (*close)(ngx_http_sendgrid_amp_job_t *job);

    /* called when the webhook is woken, before its end; may be NULL */
    void           (*attend)(ngx_http_sendgrid_amp_ctx_t *ctx);
    void           (*end)(ngx_http_sendgrid_amp_ctx_t *ctx);

    /* answers the client; returns what the request is finalized with */
    ngx_int_t      (*reply)(ngx_http_sendgrid_amp_ctx_t *ctx);

    unsigned         live;  /* the peer gets it: counted, retried, in time */
} ngx_http_sendgrid_amp_transport_ops_t;


typedef struct {
    const ngx_http_sendgrid_amp_transport_ops_t  *ops;
    void                                         *data;  /* the transport's */
} ngx_http_sendgrid_amp_transport_t;


/* the log of a pool, which notes that the pool found no memory */

typedef struct {
    ngx_log_t   log;
    ngx_log_t  *next;    /* names the request in a line */
    ngx_uint_t  failed;
} ngx_http_sendgrid_amp_log_t;


/*
 * A job is a batch on its way.  The parts of the batch wait in a list: one is
 * sent at a time, at once or, after an answer that may pass, when its time has
 * come.
 */

struct ngx_http_sendgrid_amp_job_s {
    ngx_http_sendgrid_amp_ctx_t   *ctx;
    sgamp_batch_t                 *batch;   /* NULL: the job is free */
    sgamp_part_t                  *parts;   /* to be sent */
    sgamp_part_t                  *part;    /* being sent */
    ngx_http_sendgrid_amp_call_t  *call;    /* NULL: a dry run */
    void                          *answer;  /* the flow's */
    const u_char                  *marks;   /* of the elements of part */
    ngx_msec_t                     wait;    /* set by the flow, or 0 */
    unsigned                       next;    /* step after this one */
    ngx_event_t                    timer;   /* of a retry */
};


/* a call is one request to the peer, a subrequest in a pool of its own */

struct ngx_http_sendgrid_amp_call_s {
    ngx_http_sendgrid_amp_ctx_t   *ctx;
    ngx_http_sendgrid_amp_job_t   *job;

    ngx_uint_t                     method;       /* set by the flow */
    ngx_str_t                      method_name;
    ngx_str_t                      uri;          /* an internal location */
    ngx_str_t                      args;

    ngx_http_sendgrid_amp_pool_t  *pool;
    ngx_http_request_t            *request;
    ngx_http_post_subrequest_t     post;
    ngx_http_upstream_t           *failed;       /* nginx gave up */
    ngx_event_t                    timer;        /* of a limit's delay */

    ngx_msec_t                     start;        /* of the request */
    off_t                          received;     /* bytes of the answer */
    ngx_uint_t                     status;       /* of the answer, 0: none */
    const char                    *body_kind;    /* of the answer */

    unsigned                       no_body:1;    /* set by the flow */
    unsigned                       listening:1;  /* the flow is */
    unsigned                       last:1; /* the answer was read to its end */
    unsigned                       local:1;      /* nginx itself has answered */
};


/*
 * The states of a webhook.  The main request is referenced once, from the
 * call of ngx_http_read_client_request_body() until it is finalized, and each
 * subrequest adds a reference.
 *
 *             read handler    timers                      leaves for
 *   READING   ..._readable()  client_body_timeout,        PAUSED, VERIFYING,
 *                             retries                     FAILED
 *   PAUSED    block reading   retries, turn               READING, FAILED
 *   VERIFYING block reading   retries, turn               DRAINING, FAILED
 *   DRAINING  block reading   retries                     REPLYING, FAILED
 *   FAILED    block reading   none: waits for what is     REPLYING
 *                             in flight
 *   REPLYING  block reading   none                        ENDED
 *   ENDED     nginx's         nginx's                     never: a late wake-up
 *                                                         returns at once
 */

typedef enum {
    NGX_HTTP_SENDGRID_AMP_READING = 0,
    NGX_HTTP_SENDGRID_AMP_PAUSED,
    NGX_HTTP_SENDGRID_AMP_VERIFYING,
    NGX_HTTP_SENDGRID_AMP_DRAINING,
    NGX_HTTP_SENDGRID_AMP_FAILED,
    NGX_HTTP_SENDGRID_AMP_REPLYING,
    NGX_HTTP_SENDGRID_AMP_ENDED
} ngx_http_sendgrid_amp_state_e;


/* numbers of a webhook */

typedef struct {
    ngx_uint_t     received;   /* elements */
    ngx_uint_t     forwarded;
    ngx_uint_t     ignored;
    ngx_uint_t     rejected;
    ngx_uint_t     batches;    /* requests, less retries */
    ngx_uint_t     retries;
    uint64_t       bytes;      /* of the body */
    uint64_t       at;         /* byte of the fault */
    time_t         retry_after; /* seconds, 0: the default */
    ngx_atomic_t  *shared;     /* counters, NULL: not counted */
} ngx_http_sendgrid_amp_counts_t;


/*
 * each of these structs belongs to the file that is named, and no other file
 * looks into the struct
 */

typedef struct {                               /* ctx.c */
    ngx_http_posted_request_t           posted;
    ngx_event_t                         turn;         /* to go on */
    size_t                              work;         /* bytes, in this turn */
} ngx_http_sendgrid_amp_own_t;


typedef struct {                               /* webhook.c */
    int                                 fault;        /* or SGAMP_OK */
    unsigned                            parsing:1;
    sgamp_parser_t                      parser;       /* not zeroed at first */
} ngx_http_sendgrid_amp_input_t;


typedef struct {                               /* webhook.c */
    ngx_chain_t                        *in;           /* not taken yet */
    ngx_buf_t                           buf;          /* a copy of in->buf */
    ngx_buf_t                          *file;  /* what is read from a file */
    ngx_msec_t                          read_until;
    unsigned                            readable:1;
    unsigned                            unbuffered:1;
} ngx_http_sendgrid_amp_body_t;


typedef struct {                               /* access.c */
    sgamp_signature_t                   hash;         /* of what has come */
    ngx_http_sendgrid_amp_signature_e   signature;
    unsigned                            hashing:1;
} ngx_http_sendgrid_amp_access_t;


typedef struct {                               /* delivery.c */
    sgamp_batcher_t                     batcher;
    ngx_http_sendgrid_amp_job_t        *jobs;
    ngx_uint_t                          n;            /* jobs */
    ngx_uint_t                          active;       /* have a batch */
    ngx_msec_t                          deadline;     /* of the last attempt */
    unsigned                            drained:1;    /* deadline is set */
    unsigned                            settled:1;    /* the flow was told */
} ngx_http_sendgrid_amp_delivery_t;


typedef struct {                               /* evidence.c */
    ngx_http_sendgrid_amp_job_t        *probe;        /* the only sender */
    ngx_http_sendgrid_amp_loc_conf_t   *where;        /* that refused last */
    ngx_http_sendgrid_amp_rejected_t   *suspects;
    ngx_uint_t                          nsuspects;
    ngx_uint_t                          refusals;     /* without evidence */
    ngx_uint_t                          refusal;      /* status of the last */
    const char                         *refused_by;   /* a kind of body */
    unsigned                            accepted:1;   /* by the peer */
} ngx_http_sendgrid_amp_suspicion_t;


typedef struct {                               /* reject.c */
    ngx_array_t                        *reasons;       /* that were logged */
    sgamp_store_t                       store;         /* while hold is set */
    sgamp_store_cursor_t                cursor;        /* in store */
    unsigned                            unwritten:1;
} ngx_http_sendgrid_amp_reject_t;


/* where the requests of a webhook are sent */

typedef struct {
    ngx_str_t  region;
    ngx_str_t  uri;      /* an internal location */
} ngx_http_sendgrid_amp_route_t;


struct ngx_http_sendgrid_amp_ctx_s {
    ngx_http_request_t                  *request;
    ngx_http_sendgrid_amp_loc_conf_t    *conf;
    ngx_http_sendgrid_amp_main_conf_t   *worker;
    const ngx_http_sendgrid_amp_flow_t  *flow;
    void                                *data;     /* of the flow */
    ngx_http_sendgrid_amp_state_e        state;
    ngx_http_sendgrid_amp_error_e        error;
    ngx_http_sendgrid_amp_counts_t       counts;
    ngx_http_sendgrid_amp_route_t        route;
    ngx_http_sendgrid_amp_own_t          own;
    ngx_http_sendgrid_amp_body_t         body;
    ngx_http_sendgrid_amp_access_t       access;
    ngx_http_sendgrid_amp_delivery_t     delivery;
    ngx_http_sendgrid_amp_suspicion_t    evidence;
    ngx_http_sendgrid_amp_transport_t    transport;
    ngx_http_sendgrid_amp_reject_t       reject;
    ngx_buf_t                           *replacement;  /* of nginx's answer */
    unsigned                             hold:2;   /* bits: nothing is sent */
    unsigned                             gone:1;   /* the client is */
    ngx_http_sendgrid_amp_input_t        input;    /* must be the last */
};


/*
 * Each file that hooks into nginx is a module of its own; these have a
 * configuration that other files look at, and the first has the contexts.
 */

extern ngx_module_t  ngx_http_sendgrid_amp_module;
extern ngx_module_t  ngx_http_sendgrid_amp_key_module;
extern ngx_module_t  ngx_http_sendgrid_amp_dead_letter_module;
extern ngx_module_t  ngx_http_sendgrid_amp_metrics_module;


/* conf */

/*
 * Makes the handler that of the location whose directive is read; logs if the
 * location has another handler, as ngx_http_sendgrid_amp_merge_handler() does
 * when all directives are known.
 */
char *ngx_http_sendgrid_amp_set_handler(ngx_conf_t *cf,
    ngx_http_handler_pt handler);
ngx_int_t ngx_http_sendgrid_amp_merge_handler(ngx_conf_t *cf,
    ngx_http_handler_pt handler, ngx_str_t *name);

/* reads the directive of a flow: the name of a region, or a location */
char *ngx_http_sendgrid_amp_set_flow(ngx_conf_t *cf, ngx_command_t *cmd,
    const ngx_http_sendgrid_amp_flow_t *flow);

/* sets ctx->route by the region; NGX_OK or, logged, NGX_ERROR */
ngx_int_t ngx_http_sendgrid_amp_find_route(ngx_http_sendgrid_amp_ctx_t *ctx);

/* adds the handler of a phase; nginx runs the last of most phases first */
ngx_int_t ngx_http_sendgrid_amp_add_handler(ngx_conf_t *cf, ngx_uint_t phase,
    ngx_http_handler_pt handler);

/*
 * Adds the zone "name:size" of a directive, which has at least min bytes and 8
 * pages; NULL: the reason was logged.
 */
ngx_shm_zone_t *ngx_http_sendgrid_amp_add_zone(ngx_conf_t *cf, size_t min,
    void *tag);

/* the zone that a cycle has with a name, or NULL */
ngx_shm_zone_t *ngx_http_sendgrid_amp_old_zone(ngx_cycle_t *cycle,
    ngx_str_t *name);

/* warns of a parameter with a variable, where variables are not evaluated */
void ngx_http_sendgrid_amp_no_variable(ngx_conf_t *cf, ngx_uint_t i);
ngx_uint_t ngx_http_sendgrid_amp_is_utf8(ngx_str_t *text);

/*
 * Makes an array of ngx_http_sendgrid_amp_secret_t of the parameters of the
 * directive that is read, or adds a secret to such an array.
 */
char *ngx_http_sendgrid_amp_set_secrets(ngx_conf_t *cf, ngx_array_t **secrets);
ngx_int_t ngx_http_sendgrid_amp_add_secret(ngx_conf_t *cf,
    ngx_array_t *secrets, ngx_str_t *secret);

/*
 * Evaluates as ngx_http_complex_value() does; NGX_ERROR, too, if there was no
 * memory for a variable.
 */
ngx_int_t ngx_http_sendgrid_amp_value(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_http_complex_value_t *cv, ngx_str_t *value);

/* a text as the inside of a JSON string, between two other texts */
ngx_int_t ngx_http_sendgrid_amp_escape(ngx_pool_t *pool, sgamp_str_t *json,
    const sgamp_str_t *before, const ngx_str_t *text, const char *after);


/* ctx */

/* returns NULL if there is no memory; freed with the request */
ngx_http_sendgrid_amp_ctx_t *ngx_http_sendgrid_amp_create_ctx(
    ngx_http_request_t *r);

/* the context, which a redirect takes from the request, or NULL */
ngx_http_sendgrid_amp_ctx_t *ngx_http_sendgrid_amp_find_ctx(
    ngx_http_request_t *r);

/* adds a cleanup handler, whose data is ctx, to the request's pool */
ngx_int_t ngx_http_sendgrid_amp_add_cleanup(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_pool_cleanup_pt handler);

/* notes why the webhook fails, unless there is a stronger reason already */
void ngx_http_sendgrid_amp_fail(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_http_sendgrid_amp_error_e error);

/* fails with what a status of nginx's stands for; 500 is logged */
void ngx_http_sendgrid_amp_fail_as(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_int_t rc);

/* fails with 500, and logs why */
void ngx_http_sendgrid_amp_internal(ngx_http_sendgrid_amp_ctx_t *ctx,
    char *why);

/*
 * Notes that the client has left.  The error of its connection is taken back
 * until the end: nginx would terminate the webhook, and with it the batches
 * on their way, as soon as one of them is answered.
 */
void ngx_http_sendgrid_amp_check_client(ngx_http_sendgrid_amp_ctx_t *ctx);

/* lets nginx run the webhook soon */
void ngx_http_sendgrid_amp_wake(ngx_http_sendgrid_amp_ctx_t *ctx);

/*
 * Runs the webhook at the end of the handler of an event that is not the
 * connection's; nothing may touch the request after it.
 */
void ngx_http_sendgrid_amp_wake_event(ngx_http_sendgrid_amp_ctx_t *ctx);

/* adds to what the webhook has done in this turn, in bytes */
void ngx_http_sendgrid_amp_work(ngx_http_sendgrid_amp_ctx_t *ctx, size_t size);

/*
 * Whether the webhook has done so much that it is the turn of the worker's
 * other connections; the webhook is run again after them.
 */
ngx_uint_t ngx_http_sendgrid_amp_turn_is_over(
    ngx_http_sendgrid_amp_ctx_t *ctx);

/* makes a log for a pool of "next", which has to stay */
void ngx_http_sendgrid_amp_pool_log(ngx_http_sendgrid_amp_log_t *log,
    ngx_log_t *next);

/* where a search among the client's headers is, zeroed at first */

typedef struct {
    ngx_list_part_t  *part;
    ngx_uint_t        i;
} ngx_http_sendgrid_amp_search_t;

/* the value of the next header of this name in any letter case, or NULL */
ngx_str_t *ngx_http_sendgrid_amp_next_header(ngx_http_request_t *r,
    ngx_http_sendgrid_amp_search_t *search, char *name);

/* returns NULL if there is no memory; the strings have to stay */
ngx_table_elt_t *ngx_http_sendgrid_amp_add_header(ngx_http_request_t *r,
    char *name, char *value);


/* access */

/*
 * Makes the context, if there is none, and looks at all but the bytes of the
 * body.  NGX_OK, or NGX_DECLINED: the webhook was answered, and rc is what the
 * handler returns.
 */
ngx_int_t ngx_http_sendgrid_amp_admit(ngx_http_request_t *r, ngx_int_t *rc);

/* Basic credentials: NGX_OK, NGX_DECLINED or NGX_ERROR */
ngx_int_t ngx_http_sendgrid_amp_access_basic(ngx_http_sendgrid_amp_ctx_t *ctx);

/* compares with the secrets of the location: NGX_OK, ..._DECLINED, _ERROR */
ngx_int_t ngx_http_sendgrid_amp_check_secret(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_str_t *secret);

/* takes the next bytes of the body for the signature */
ngx_int_t ngx_http_sendgrid_amp_access_update(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_str_t *portion);

/*
 * To be called after the last byte.  NGX_OK if the webhook may be processed,
 * NGX_ERROR if the webhook has failed.
 */
ngx_int_t ngx_http_sendgrid_amp_access_verify(
    ngx_http_sendgrid_amp_ctx_t *ctx);

/* the name of the state of the signature */
ngx_str_t *ngx_http_sendgrid_amp_signature_name(
    ngx_http_sendgrid_amp_ctx_t *ctx);


/* key file */

/* replaces a path, which begins with "/", by what the file has, trimmed */
ngx_int_t ngx_http_sendgrid_amp_read_secret(ngx_conf_t *cf, ngx_str_t *text);


/* call */

extern const ngx_http_sendgrid_amp_transport_ops_t
    ngx_http_sendgrid_amp_calling;

/* the call that a subrequest is, or NULL */
ngx_http_sendgrid_amp_call_t *ngx_http_sendgrid_amp_call(
    ngx_http_request_t *r);


/* answer */

/* the status of a subrequest that has ended, 0: there was no answer */
ngx_uint_t ngx_http_sendgrid_amp_final_status(ngx_http_request_t *sr,
    ngx_http_sendgrid_amp_call_t *call, ngx_int_t rc);

/* whether the answer is a page, as that of a proxy or a firewall */
ngx_uint_t ngx_http_sendgrid_amp_is_html(ngx_http_sendgrid_amp_call_t *call);

/* corrects last and status of job->call, and sets its body_kind */
void ngx_http_sendgrid_amp_check_answer(ngx_http_sendgrid_amp_job_t *job,
    ngx_uint_t no_memory);


/* dry run */

/* makes the dry run the transport of the webhook, if the directive says so */
ngx_int_t ngx_http_sendgrid_amp_dry_run(ngx_http_sendgrid_amp_ctx_t *ctx);


/* delivery */

/* the batcher, to which the flow adds elements */
#define ngx_http_sendgrid_amp_batcher(ctx)  (&(ctx)->delivery.batcher)

/*
 * Takes in the answers that have come, and sends all that can be sent now.
 * NGX_OK if nothing is on its way, NGX_AGAIN if something is, NGX_BUSY if a
 * batch waits for a job, too.  From DRAINING on the deadline runs, and when
 * nothing is on its way the suspects are decided about.
 */
ngx_int_t ngx_http_sendgrid_amp_deliver(ngx_http_sendgrid_amp_ctx_t *ctx);


/* evidence */

/* whether a part may be sent while n others are on their way */
ngx_uint_t ngx_http_sendgrid_amp_may_send(ngx_http_sendgrid_amp_job_t *job,
    ngx_uint_t n);

/* the only job that sends for now, or NULL: all do */
ngx_http_sendgrid_amp_job_t *ngx_http_sendgrid_amp_probe(
    ngx_http_sendgrid_amp_ctx_t *ctx);
void ngx_http_sendgrid_amp_end_probe(ngx_http_sendgrid_amp_job_t *job);

/*
 * Notes that a part was refused, and no element of the part named.  0: there is
 * evidence; if not, how often parts were refused so far.
 */
ngx_uint_t ngx_http_sendgrid_amp_refused(ngx_http_sendgrid_amp_job_t *job);

/* takes the only element of a part that was refused without evidence */
ngx_int_t ngx_http_sendgrid_amp_suspect(ngx_http_sendgrid_amp_job_t *job,
    sgamp_part_t *part);

/* notes that a part was accepted: the suspects are rejected */
void ngx_http_sendgrid_amp_note_evidence(ngx_http_sendgrid_amp_job_t *job);

/* decides about the suspects that are left at the end */
void ngx_http_sendgrid_amp_settle(ngx_http_sendgrid_amp_ctx_t *ctx);
void ngx_http_sendgrid_amp_free_suspects(ngx_http_sendgrid_amp_ctx_t *ctx);


/* dead letter */

/*
 * Writes whole lines, at p[-1] is room for a line feed.  NGX_OK, or NGX_ERROR
 * and the log says why.
 */
ngx_int_t ngx_http_sendgrid_amp_append(ngx_http_sendgrid_amp_file_t *dead,
    u_char *p, u_char *last, ngx_log_t *log);


/* reject */

#define NGX_HTTP_SENDGRID_AMP_REJECTED_COUNTERS  2
#define NGX_HTTP_SENDGRID_AMP_REASON             32  /* bytes, at most */

/* an element that cannot be delivered */

struct ngx_http_sendgrid_amp_rejected_s {
    ngx_http_sendgrid_amp_rejected_t  *next;
    sgamp_str_t                        reason;
    sgamp_str_t                        detail;   /* the field, or empty */
    sgamp_str_t                        id;       /* or empty */
    sgamp_str_t                        element;  /* JSON */
    sgamp_str_t                        sent;  /* JSON: an object with what was
                                                 sent besides, without its
                                                 closing bracket; or empty */

    /* of sgamp_metrics.h, SGAMP_METRICS: none */
    unsigned  counters[NGX_HTTP_SENDGRID_AMP_REJECTED_COUNTERS];
};


/*
 * The element is logged and counted, or a line is made, which waits in the
 * worker for ngx_http_sendgrid_amp_write_rejected().
 */
void ngx_http_sendgrid_amp_reject(ngx_http_sendgrid_amp_ctx_t *ctx,
    const ngx_http_sendgrid_amp_rejected_t *rejected);

/*
 * To be called after elements may have been rejected, before anything else is
 * waited for.  Elements count as rejected once their lines are written; if the
 * lines cannot be written the webhook fails.
 */
void ngx_http_sendgrid_amp_write_rejected(ngx_http_sendgrid_amp_ctx_t *ctx);

/*
 * Keeps an element that is to be rejected once the webhook may be processed;
 * SGAMP_OK or SGAMP_NOMEM.
 */
int ngx_http_sendgrid_amp_hold_rejected(ngx_http_sendgrid_amp_ctx_t *ctx,
    const sgamp_stored_t *element);

/*
 * Rejects the elements that were kept, or forgets them; NGX_OK, or NGX_AGAIN
 * if the turn is over.
 */
ngx_int_t ngx_http_sendgrid_amp_end_hold(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_uint_t reject);

/* logs how many elements were rejected that have no line in the error log */
void ngx_http_sendgrid_amp_log_more(ngx_http_sendgrid_amp_ctx_t *ctx);


/* metrics */

/* counts a webhook as in flight until its request ends, if its flow does so */
void ngx_http_sendgrid_amp_enter(ngx_http_sendgrid_amp_ctx_t *ctx);

/* adds to a counter of sgamp_metrics.h, SGAMP_METRICS: to none */
void ngx_http_sendgrid_amp_count(ngx_http_sendgrid_amp_ctx_t *ctx,
    unsigned metric, uint64_t n);

#define ngx_http_sendgrid_amp_add(counters, metric, n)                        \
    (void) ngx_atomic_fetch_add(&(counters)[metric], (ngx_atomic_int_t) (n))

/* an answer to the client, and when it was; counters must not be NULL */
void ngx_http_sendgrid_amp_count_answer(ngx_atomic_t *counters,
    const ngx_http_sendgrid_amp_figures_t *figures, ngx_uint_t status);

/* adds a time to a histogram; counters are NULL if nothing is counted */
void ngx_http_sendgrid_amp_count_time(ngx_atomic_t *counters,
    unsigned histogram, ngx_msec_int_t ms);

/* sets a gauge that has no value at first; counters may be NULL */
void ngx_http_sendgrid_amp_set(ngx_atomic_t *counters, unsigned metric,
    uint64_t n);


/* reply */

/* the keyword of the answer, empty for 200 */
const ngx_str_t *ngx_http_sendgrid_amp_keyword(
    ngx_http_sendgrid_amp_ctx_t *ctx);

/* sends the answer to the client, returns what the request is finalized with */
ngx_int_t ngx_http_sendgrid_amp_reply(ngx_http_sendgrid_amp_ctx_t *ctx);


/* log */

/* takes the value from $remote_user, or gives the value back */
void ngx_http_sendgrid_amp_hide_user(ngx_http_request_t *r, ngx_uint_t hide);


/* variables */

/* adds those of an array, which ends with one without a name */
ngx_int_t ngx_http_sendgrid_amp_add_variables(ngx_conf_t *cf,
    ngx_http_variable_t *vars);

/* set a variable; NULL: to "-" */
ngx_int_t ngx_http_sendgrid_amp_set_variable(ngx_http_variable_value_t *v,
    const ngx_str_t *value);
ngx_int_t ngx_http_sendgrid_amp_set_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_uint_t n);


/* webhook */

ngx_int_t ngx_http_sendgrid_amp_handler(ngx_http_request_t *r);

/* sends what the flow supplies, for a request that has no client */
void ngx_http_sendgrid_amp_detached(ngx_http_sendgrid_amp_ctx_t *ctx);


#endif /* _NGX_HTTP_SENDGRID_AMP_H_INCLUDED_ */
