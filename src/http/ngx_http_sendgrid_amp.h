
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _NGX_HTTP_SENDGRID_AMP_H_INCLUDED_
#define _NGX_HTTP_SENDGRID_AMP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "sgamp_batch.h"
#include "sgamp_digest.h"
#include "sgamp_held.h"
#include "sgamp_mapper.h"
#include "sgamp_parser.h"
#include "sgamp_part.h"
#include "sgamp_response.h"
#include "sgamp_signature.h"

#include "ngx_http_sendgrid_amp_rules.h"


/* what differs between versions of nginx */

#if (nginx_version >= 1023000)
#define ngx_http_sendgrid_amp_unlink(h)  (h)->next = NULL
#else
#define ngx_http_sendgrid_amp_unlink(h)
#endif


#define NGX_HTTP_SENDGRID_AMP_AUTH_OFF    0
#define NGX_HTTP_SENDGRID_AMP_AUTH_BASIC  1

#define NGX_HTTP_SENDGRID_AMP_SIGNATURE_ON      0
#define NGX_HTTP_SENDGRID_AMP_SIGNATURE_REPORT  1

#define NGX_HTTP_SENDGRID_AMP_FEED_SIZE   16384  /* bytes between two looks */
#define NGX_HTTP_SENDGRID_AMP_TURN_SIZE   131072  /* bytes of work in a turn */


/*
 * Why a webhook is not answered with 200; of several reasons the last one in
 * this order counts.  From REFUSED on nothing more is sent to Amplitude.
 */

typedef enum {
    NGX_HTTP_SENDGRID_AMP_OK = 0,
    NGX_HTTP_SENDGRID_AMP_THROTTLED,
    NGX_HTTP_SENDGRID_AMP_UNAVAILABLE,
    NGX_HTTP_SENDGRID_AMP_REFUSED,
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


typedef struct {
    ngx_uint_t  status;
    ngx_str_t   keyword;
    ngx_uint_t  retry_after;  /* whether SendGrid is asked to wait */
} ngx_http_sendgrid_amp_error_t;


/* what is known about the signature of a webhook */

typedef enum {
    NGX_HTTP_SENDGRID_AMP_UNSIGNED = 0, /* none is asked for, or not yet */
    NGX_HTTP_SENDGRID_AMP_SIGNED,
    NGX_HTTP_SENDGRID_AMP_MISSING,
    NGX_HTTP_SENDGRID_AMP_MALFORMED,
    NGX_HTTP_SENDGRID_AMP_STALE,
    NGX_HTTP_SENDGRID_AMP_MISMATCH
} ngx_http_sendgrid_amp_signature_e;


typedef struct ngx_http_sendgrid_amp_shared_s  ngx_http_sendgrid_amp_shared_t;
typedef struct ngx_http_sendgrid_amp_lines_s  ngx_http_sendgrid_amp_lines_t;


/* a file of rejected events, and what a worker knows of it */

typedef struct {
    ngx_open_file_t  *file;
    ngx_file_uniq_t   told;   /* the inode whose mode was told of */
    unsigned          cut:1;  /* a pipe ends in a line that is cut */
} ngx_http_sendgrid_amp_file_t;


/* batches that Amplitude has accepted */

typedef struct {
    ngx_uint_t  n;
    ngx_msec_t  last;  /* when the last batch was accepted, ngx_current_msec */
    ngx_uint_t  way;   /* hash of the URI that this batch was sent to */
} ngx_http_sendgrid_amp_evidence_t;


/* of a worker: the configuration is its own copy after the fork */

typedef struct {
    sgamp_grow_t                      grow;
    sgamp_pieces_t                    pieces;
    sgamp_str_t                       reserve;
    ngx_uint_t                        used;      /* by a location */
    ngx_http_log_handler_pt           log_handler;     /* nginx's own */
    ngx_http_handler_pt               rewrite_handler; /* nginx's, or NULL */
    ngx_uint_t                        remote_user;     /* variable's index */
    ngx_array_t                      *logs;      /* of webhooks: ngx_log_t * */
    ngx_array_t                      *dead_letters;  /* ..._file_t * */
    ngx_http_sendgrid_amp_lines_t    *lines;     /* to be written, or NULL */
    ngx_http_sendgrid_amp_evidence_t  evidence;  /* the newest of all */
    ngx_shm_zone_t                   *zone;
    ngx_cycle_t                      *old_cycle; /* while the zone is made */
    ngx_http_sendgrid_amp_shared_t   *shared;    /* of the zone, or NULL */
} ngx_http_sendgrid_amp_main_conf_t;


typedef struct {
    u_char  digest[SGAMP_SHA256_LEN];
} ngx_http_sendgrid_amp_secret_t;


typedef struct {
    ngx_http_complex_value_t            *region;
    ngx_http_complex_value_t            *api_key;
    ngx_uint_t                           auth;
    ngx_array_t                         *secrets;      /* ..._secret_t */
    ngx_array_t                         *public_keys;  /* EVP_PKEY *, or NULL */
    ngx_uint_t                           signature;
    time_t                               signature_window;
    ngx_array_t                         *users;        /* ngx_str_t */
    ngx_flag_t                           lowercase;
    ngx_str_t                            event_prefix;
    ngx_uint_t                           batch_events;
    size_t                               batch_size;
    ngx_uint_t                           concurrency;
    size_t                               max_event_size;
    ngx_uint_t                           retries;
    ngx_msec_t                           retry_delay;
    ngx_msec_t                           timeout;
    ngx_http_sendgrid_amp_file_t        *dead_letter;
    ngx_http_sendgrid_amp_rules_conf_t   set;
    sgamp_rules_t                       *rules;        /* made of the above */
    ngx_array_t                         *keys;         /* NULL: not needed */
    ngx_uint_t                           status;       /* sgamp_format_e */

    ngx_uint_t                           internal;     /* this location */
    ngx_http_sendgrid_amp_evidence_t     evidence;     /* in this worker */
} ngx_http_sendgrid_amp_loc_conf_t;


typedef struct ngx_http_sendgrid_amp_ctx_s  ngx_http_sendgrid_amp_ctx_t;

typedef struct ngx_http_sendgrid_amp_suspect_s
    ngx_http_sendgrid_amp_suspect_t;


/* the log of a pool, which notes that the pool found no memory */

typedef struct {
    ngx_log_t   log;
    ngx_log_t  *next;    /* names the request in a line */
    ngx_uint_t  failed;
} ngx_http_sendgrid_amp_log_t;


/*
 * The pool of one subrequest.  The cleanup handlers of the webhook's pool
 * follow those of the subrequest's pool in the same list: modules that keep
 * data there, as realip does, find the data.  They are cut off before the
 * subrequest's pool is destroyed.
 */

typedef struct ngx_http_sendgrid_amp_pool_s  ngx_http_sendgrid_amp_pool_t;

struct ngx_http_sendgrid_amp_pool_s {
    ngx_http_sendgrid_amp_pool_t  *next;
    ngx_pool_t                    *pool;
    ngx_pool_cleanup_t            *shared;     /* the webhook's handlers */
    void                         **contexts;   /* of modules in the webhook */
    ngx_http_sendgrid_amp_log_t    log;        /* pool->log */
};


/*
 * A place for one batch in flight.  Its parts wait in a list: one is sent at
 * a time, at once or, after an answer that may pass, when its time has come.
 * A subrequest lives in a pool of its own and is freed after it is done.
 */

typedef struct {
    ngx_http_sendgrid_amp_ctx_t   *ctx;
    sgamp_batch_t                 *batch;      /* NULL: the place is free */
    sgamp_part_t                  *parts;      /* to be sent */
    sgamp_part_t                  *part;       /* being sent */

    ngx_http_sendgrid_amp_pool_t  *pool;
    ngx_http_request_t            *request;
    ngx_http_post_subrequest_t     post;
    sgamp_response_t               response;
    off_t                          received;   /* bytes of the answer */
    ngx_uint_t                     status;     /* its status line, 0: none */
    ngx_http_upstream_t           *failed;     /* nginx gave up */

    ngx_event_t                    timer;      /* of a retry or a limit */

    ngx_msec_t                     start;      /* of the request */

    unsigned                       answered:1; /* response is in use */
    unsigned                       last:1; /* the answer was read to its end */
} ngx_http_sendgrid_amp_slot_t;


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
 *   REPLYING  block reading   none                        DONE
 *   DONE      nginx's         nginx's                     never: a late wake-up
 *                                                         returns at once
 */

typedef enum {
    NGX_HTTP_SENDGRID_AMP_READING = 0,
    NGX_HTTP_SENDGRID_AMP_PAUSED,
    NGX_HTTP_SENDGRID_AMP_VERIFYING,
    NGX_HTTP_SENDGRID_AMP_DRAINING,
    NGX_HTTP_SENDGRID_AMP_FAILED,
    NGX_HTTP_SENDGRID_AMP_REPLYING,
    NGX_HTTP_SENDGRID_AMP_DONE
} ngx_http_sendgrid_amp_state_e;


struct ngx_http_sendgrid_amp_ctx_s {
    ngx_http_request_t                 *request;
    ngx_http_sendgrid_amp_loc_conf_t   *conf;
    ngx_http_sendgrid_amp_main_conf_t  *worker;
    ngx_http_sendgrid_amp_state_e       state;
    ngx_http_sendgrid_amp_error_e       error;

    ngx_str_t                           api_key;
    ngx_str_t                           region;
    ngx_str_t                           location;  /* where batches are sent */

    sgamp_parser_t                      parser;
    sgamp_batcher_t                     batcher;
    sgamp_signature_t                   hash;         /* of what has come */
    sgamp_held_t                        held;         /* while hold is set */
    sgamp_held_cursor_t                 cursor;       /* in held */
    ngx_http_sendgrid_amp_signature_e   signature;
    ngx_http_sendgrid_amp_slot_t       *slots;        /* conf->concurrency */
    ngx_http_sendgrid_amp_slot_t       *probe;        /* the only sender */
    ngx_http_sendgrid_amp_pool_t       *pools;        /* to be destroyed */
    ngx_http_sendgrid_amp_pool_t       *kept;         /* until the end */
    ngx_http_sendgrid_amp_loc_conf_t   *way;          /* that has refused */
    ngx_http_sendgrid_amp_suspect_t    *suspects;
    ngx_uint_t                          nsuspects;
    ngx_uint_t                          refusals;     /* without evidence */
    ngx_uint_t                          refusal;      /* status of the last */
    const char                         *refused_by;   /* its kind of body */
    struct sockaddr                    *sockaddr;     /* of the client */
    socklen_t                           socklen;
    ngx_str_t                           addr_text;
    ngx_http_posted_request_t           posted;
    ngx_event_t                         turn;         /* to go on */
    size_t                              work;         /* bytes, in this turn */
    ngx_http_sendgrid_amp_log_t         log;          /* of request->pool */
    ngx_http_sendgrid_amp_dry_run_t    *dry_run;      /* NULL: it is none */

    ngx_chain_t                        *in;           /* body to be parsed */
    ngx_buf_t                           buf;          /* a copy of in->buf */
    ngx_buf_t                          *file;  /* what is read from a file */
    ngx_buf_t                          *replacement;  /* of nginx's answer */
    ngx_msec_t                          read_until;
    ngx_msec_t                          deadline;     /* of the last attempt */

    ngx_uint_t                          received;     /* events */
    ngx_uint_t                          forwarded;
    ngx_uint_t                          ignored;
    ngx_uint_t                          rejected;
    ngx_array_t                        *reasons;      /* that were logged */
    ngx_uint_t                          ignored_kinds[SGAMP_KINDS];
    ngx_uint_t                          batches;  /* requests, less retries */
    ngx_uint_t                          retries;
    uint64_t                            bytes;        /* of the body */
    uint64_t                            at;           /* byte of the fault */
    int                                 fault;        /* why it is one, or OK */

    unsigned                            parsing:1;
    unsigned                            readable:1;
    unsigned                            unbuffered:1;
    unsigned                            drained:1;    /* deadline is set */
    unsigned                            hashing:1;
    unsigned                            flying:1;  /* counted as in flight */
    unsigned                            accepted:1;   /* by Amplitude */
    unsigned                            gone:1;       /* the client is */
    unsigned                            unwritten:1;  /* in the dead letter */
    unsigned                            hold:1;       /* nothing may leave */
};


extern ngx_module_t  ngx_http_sendgrid_amp_module;


/* request */

ngx_int_t ngx_http_sendgrid_amp_handler(ngx_http_request_t *r);

/* looks at the head of a webhook, before a module such as mirror reads more */
ngx_int_t ngx_http_sendgrid_amp_precontent_handler(ngx_http_request_t *r);

/* returns NULL if there is no memory; freed with the request */
ngx_http_sendgrid_amp_ctx_t *ngx_http_sendgrid_amp_create_ctx(
    ngx_http_request_t *r);

/* the context, which a redirect takes from the request, or NULL */
ngx_http_sendgrid_amp_ctx_t *ngx_http_sendgrid_amp_find_ctx(
    ngx_http_request_t *r);

/* does all that can be done now; nothing may touch the request after it */
void ngx_http_sendgrid_amp_run(ngx_http_sendgrid_amp_ctx_t *ctx);

/* does so in the handler of an event that is not the connection's */
void ngx_http_sendgrid_amp_run_event(ngx_http_sendgrid_amp_ctx_t *ctx);

/* lets nginx call ngx_http_sendgrid_amp_run() soon */
void ngx_http_sendgrid_amp_wake(ngx_http_sendgrid_amp_ctx_t *ctx);

/*
 * Notes that the client has left.  The error of its connection is taken back
 * until the end: nginx would terminate the webhook, and with it the batches
 * on their way, as soon as one of them is answered.
 */
void ngx_http_sendgrid_amp_check_client(ngx_http_sendgrid_amp_ctx_t *ctx);

/*
 * Whether the webhook has done so much that it is the turn of the worker's
 * other connections; ngx_http_sendgrid_amp_run() is called after them.
 */
ngx_uint_t ngx_http_sendgrid_amp_turn(ngx_http_sendgrid_amp_ctx_t *ctx);

/* notes why the webhook fails, unless there is a stronger reason already */
void ngx_http_sendgrid_amp_fail(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_http_sendgrid_amp_error_e error);

/* fails with 500, and logs why */
void ngx_http_sendgrid_amp_internal(ngx_http_sendgrid_amp_ctx_t *ctx,
    char *why);


/* accept */

/*
 * Looks at all but the body.  NGX_OK, or NGX_DECLINED and the webhook has
 * failed.
 */
ngx_int_t ngx_http_sendgrid_amp_accept(ngx_http_sendgrid_amp_ctx_t *ctx);

/* where a search among the client's headers is, zeroed at first */

typedef struct {
    ngx_list_part_t  *part;
    ngx_uint_t        i;
} ngx_http_sendgrid_amp_search_t;

/* the value of the next header of this name in any letter case, or NULL */
ngx_str_t *ngx_http_sendgrid_amp_next_header(ngx_http_request_t *r,
    ngx_http_sendgrid_amp_search_t *search, char *name);


/* body */

/*
 * Looks whether the body can still be read as a whole, by whomever it was
 * read so far.  NGX_OK, or NGX_DECLINED and the webhook has failed.
 */
ngx_int_t ngx_http_sendgrid_amp_body_check(ngx_http_sendgrid_amp_ctx_t *ctx);

/*
 * Starts to read; the first bytes are taken from what nginx has read.
 */
void ngx_http_sendgrid_amp_body_start(ngx_http_sendgrid_amp_ctx_t *ctx);

/*
 * Parses what has come.  NGX_OK after the last byte, NGX_AGAIN if more has to
 * come, NGX_BUSY if there is no place for a batch or the turn is over,
 * NGX_ERROR if the webhook has failed.
 */
ngx_int_t ngx_http_sendgrid_amp_body_read(ngx_http_sendgrid_amp_ctx_t *ctx);

/* reads no more, until ngx_http_sendgrid_amp_body_resume() */
void ngx_http_sendgrid_amp_body_stop(ngx_http_sendgrid_amp_ctx_t *ctx);
void ngx_http_sendgrid_amp_body_resume(ngx_http_sendgrid_amp_ctx_t *ctx);

/* logs why a webhook cannot be parsed, and notes it */
void ngx_http_sendgrid_amp_body_fault(ngx_http_sendgrid_amp_ctx_t *ctx);

/* the error that stands for a status of nginx's; 500 is logged */
ngx_http_sendgrid_amp_error_e ngx_http_sendgrid_amp_body_error(
    ngx_http_sendgrid_amp_ctx_t *ctx, ngx_int_t rc);


/* auth */

/* NGX_OK with the API key set, NGX_DECLINED without, or NGX_ERROR */
ngx_int_t ngx_http_sendgrid_amp_authorize(ngx_http_sendgrid_amp_ctx_t *ctx);


/* memory */

/* makes a log for a pool of "next", which has to stay */
void ngx_http_sendgrid_amp_pool_log(ngx_http_sendgrid_amp_log_t *log,
    ngx_log_t *next);

/*
 * Evaluates as ngx_http_complex_value() does; NGX_ERROR, too, if there was no
 * memory for a variable.
 */
ngx_int_t ngx_http_sendgrid_amp_value(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_http_complex_value_t *cv, ngx_str_t *value);


/* delivery */

/* sends batches that are closed, as far as there are places for them */
void ngx_http_sendgrid_amp_emit(ngx_http_sendgrid_amp_ctx_t *ctx);

/* takes in the answers that have come and sends parts whose time has come */
void ngx_http_sendgrid_amp_deliver(ngx_http_sendgrid_amp_ctx_t *ctx);

/* the number of places in use */
ngx_uint_t ngx_http_sendgrid_amp_in_flight(ngx_http_sendgrid_amp_ctx_t *ctx);

/* makes the places for batches, and the handler that frees all of them */
ngx_int_t ngx_http_sendgrid_amp_delivery_init(
    ngx_http_sendgrid_amp_ctx_t *ctx);

/* runs the webhook after a time, in ms, and ends what delays a subrequest */
void ngx_http_sendgrid_amp_set_timer(ngx_http_sendgrid_amp_slot_t *slot,
    ngx_msec_t wait);

/* adds a part to those of a batch, to be sent when its time has come, in ms */
void ngx_http_sendgrid_amp_push(ngx_http_sendgrid_amp_slot_t *slot,
    sgamp_part_t *part, ngx_msec_t due);

/* frees a part that is not delivered */
void ngx_http_sendgrid_amp_give_up(ngx_http_sendgrid_amp_slot_t *slot,
    sgamp_part_t *part);


/* outcome */

/* does what the answer to slot->part leads to */
void ngx_http_sendgrid_amp_outcome(ngx_http_sendgrid_amp_slot_t *slot);

/*
 * Whether Amplitude has accepted a batch that was sent to the same URI; a
 * worker remembers the last batch that was accepted.
 */
ngx_uint_t ngx_http_sendgrid_amp_has_accepted(
    ngx_http_sendgrid_amp_ctx_t *ctx);

/*
 * Decides about the events that were refused without evidence, after all
 * other events were dealt with.
 */
void ngx_http_sendgrid_amp_settle(ngx_http_sendgrid_amp_ctx_t *ctx);

void ngx_http_sendgrid_amp_free_suspects(ngx_http_sendgrid_amp_ctx_t *ctx);


/* subrequest */

/* sends slot->part */
ngx_int_t ngx_http_sendgrid_amp_send(ngx_http_sendgrid_amp_slot_t *slot);

/* resumes subrequests that wait for an event of the client's connection */
void ngx_http_sendgrid_amp_pass_event(ngx_http_sendgrid_amp_ctx_t *ctx);

/* sets a timer of our own for a subrequest that a limit delays */
void ngx_http_sendgrid_amp_watch_delay(ngx_http_sendgrid_amp_ctx_t *ctx);

/* ends the delay */
void ngx_http_sendgrid_amp_end_delay(ngx_http_sendgrid_amp_ctx_t *ctx);

/* destroys the pools of subrequests, as far as or whether they are in use */
void ngx_http_sendgrid_amp_destroy_pools(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_uint_t all);

/* lets batches go to internal locations only */
ngx_int_t ngx_http_sendgrid_amp_preaccess_handler(ngx_http_request_t *r);

/* whether the answer to slot->part is there, as whole as it will be */
ngx_uint_t ngx_http_sendgrid_amp_answered(ngx_http_sendgrid_amp_slot_t *slot);

/* closes the connection after the answer to a request that is not whole */
void ngx_http_sendgrid_amp_answer_header(ngx_http_sendgrid_amp_slot_t *slot,
    ngx_http_request_t *sr);

void ngx_http_sendgrid_amp_free_subrequest(ngx_http_sendgrid_amp_slot_t *slot);

/* the place that a subrequest belongs to, or NULL */
ngx_http_sendgrid_amp_slot_t *ngx_http_sendgrid_amp_slot(ngx_http_request_t *r);

/* takes the body of an answer */
void ngx_http_sendgrid_amp_receive(ngx_http_sendgrid_amp_slot_t *slot,
    ngx_chain_t *in);


/* verify */

/*
 * Looks at the headers of a signature, if one is asked for: NGX_OK if the body
 * is to be read, NGX_DECLINED if the webhook has to be refused, or NGX_ERROR.
 */
ngx_int_t ngx_http_sendgrid_amp_verify_headers(
    ngx_http_sendgrid_amp_ctx_t *ctx);

/* takes the next bytes of the body */
ngx_int_t ngx_http_sendgrid_amp_verify_update(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_str_t *part);

/*
 * To be called after the last byte.  NGX_OK if what was held may leave,
 * NGX_AGAIN if the turn is over, NGX_ERROR if the webhook has failed.
 */
ngx_int_t ngx_http_sendgrid_amp_verify(ngx_http_sendgrid_amp_ctx_t *ctx);

/* the name of a result, for logs */
ngx_str_t *ngx_http_sendgrid_amp_signature_name(
    ngx_http_sendgrid_amp_signature_e signature);


/* reply */

/* the keyword of the answer, empty if it is 200 */
const ngx_str_t *ngx_http_sendgrid_amp_keyword(
    ngx_http_sendgrid_amp_ctx_t *ctx);

/* the status of the answer */
ngx_uint_t ngx_http_sendgrid_amp_status_of(ngx_http_sendgrid_amp_ctx_t *ctx);

/* sends the answer to SendGrid, returns what the request is finalized with */
ngx_int_t ngx_http_sendgrid_amp_reply(ngx_http_sendgrid_amp_ctx_t *ctx);

/* returns NULL if there is no memory; the strings have to stay */
ngx_table_elt_t *ngx_http_sendgrid_amp_add_header(ngx_http_request_t *r,
    char *name, char *value);

ngx_int_t ngx_http_sendgrid_amp_filter_init(ngx_conf_t *cf);


/* variables */

ngx_int_t ngx_http_sendgrid_amp_add_variables(ngx_conf_t *cf);


/* log */

/*
 * Keeps the user name of the credentials out of $remote_user, and request
 * lines that may hold a key out of the error log, from the moment on when the
 * location is known.
 */
ngx_int_t ngx_http_sendgrid_amp_log_init(ngx_conf_t *cf);

/* remembers the error log of a location of webhooks */
ngx_int_t ngx_http_sendgrid_amp_add_log(ngx_conf_t *cf, ngx_log_t *log);

/* takes the value from $remote_user, or gives the value back */
void ngx_http_sendgrid_amp_hide_user(ngx_http_request_t *r, ngx_uint_t hide);

/* whether a main request is a webhook, or was before a redirect */
ngx_uint_t ngx_http_sendgrid_amp_seen(ngx_http_request_t *r);


/* conf */

extern ngx_conf_post_t  ngx_http_sendgrid_amp_event_prefix_post;
extern ngx_conf_post_t  ngx_http_sendgrid_amp_batch_events_post;
extern ngx_conf_post_t  ngx_http_sendgrid_amp_batch_size_post;
extern ngx_conf_post_t  ngx_http_sendgrid_amp_concurrency_post;
extern ngx_conf_post_t  ngx_http_sendgrid_amp_event_size_post;
extern ngx_conf_post_t  ngx_http_sendgrid_amp_retries_post;
extern ngx_conf_post_t  ngx_http_sendgrid_amp_msec_post;

char *ngx_http_sendgrid_amp(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_sendgrid_amp_auth(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sendgrid_amp_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sendgrid_amp_public_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sendgrid_amp_signature(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sendgrid_amp_api_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sendgrid_amp_users(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_sendgrid_amp_dead_letter(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* makes a location answer by this handler, unless there is another already */
char *ngx_http_sendgrid_amp_set_handler(ngx_conf_t *cf,
    ngx_http_handler_pt handler);

/* NGX_ERROR if another directive than the named answers in this location */
ngx_int_t ngx_http_sendgrid_amp_check_handler(ngx_conf_t *cf,
    ngx_http_handler_pt handler, ngx_str_t *name);

/* warns of a parameter with a variable, where variables are not evaluated */
void ngx_http_sendgrid_amp_no_variable(ngx_conf_t *cf, ngx_uint_t i);

/* adds the public key that a parameter of the directive is, or names */
ngx_int_t ngx_http_sendgrid_amp_add_key(ngx_conf_t *cf, ngx_array_t *keys,
    ngx_uint_t i);

/* adds an accepted password */
ngx_int_t ngx_http_sendgrid_amp_add_secret(ngx_conf_t *cf,
    ngx_array_t *secrets, ngx_str_t *secret);


/* merge */

void *ngx_http_sendgrid_amp_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_sendgrid_amp_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);


#include "ngx_http_sendgrid_amp_edge.h"
#include "ngx_http_sendgrid_amp_metrics.h"


#endif /* _NGX_HTTP_SENDGRID_AMP_H_INCLUDED_ */
