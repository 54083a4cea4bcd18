
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_METRICS_H_INCLUDED_
#define _SGAMP_METRICS_H_INCLUDED_


#include "sgamp_cohort.h"
#include "sgamp_kind.h"


/*
 * The counters.  All stand in one array, and the labels of each come from a
 * closed set, so that no sender can make more counters.
 */

#define SGAMP_METRICS_STATUSES    14 /* of answers to SendGrid */
#define SGAMP_METRICS_CODES       14 /* of Amplitude's answers */
#define SGAMP_METRICS_REASONS     7
#define SGAMP_METRICS_SIGNATURES  5
#define SGAMP_METRICS_BUCKETS     15 /* of a histogram, the last for the rest */
#define SGAMP_METRICS_QUANTILES   3
#define SGAMP_METRICS_MESSAGES    15 /* statuses of answers to Amplitude */
#define SGAMP_METRICS_ANSWERS     17 /* codes of SendGrid's answers */


typedef enum {
    SGAMP_METRICS_FORWARDED = 0,
    SGAMP_METRICS_IGNORED,
    SGAMP_METRICS_REJECTED,
    SGAMP_METRICS_RESULTS /* how many there are */
} sgamp_metrics_result_e;


/* where a family of counters begins */

#define SGAMP_METRICS_WEBHOOKS        0
#define SGAMP_METRICS_IN_FLIGHT                                               \
    (SGAMP_METRICS_WEBHOOKS + SGAMP_METRICS_STATUSES)
#define SGAMP_METRICS_EVENTS          (SGAMP_METRICS_IN_FLIGHT + 1)
#define SGAMP_METRICS_RESPONSES                                               \
    (SGAMP_METRICS_EVENTS + (unsigned) SGAMP_KINDS * SGAMP_METRICS_RESULTS)
#define SGAMP_METRICS_RETRIES                                                 \
    (SGAMP_METRICS_RESPONSES + SGAMP_METRICS_CODES)
#define SGAMP_METRICS_REJECTED_EVENTS (SGAMP_METRICS_RETRIES + 1)
#define SGAMP_METRICS_SIGNED                                                  \
    (SGAMP_METRICS_REJECTED_EVENTS + SGAMP_METRICS_REASONS)
#define SGAMP_METRICS_RECEIVED_BYTES                                          \
    (SGAMP_METRICS_SIGNED + SGAMP_METRICS_SIGNATURES)
#define SGAMP_METRICS_SENT_BYTES      (SGAMP_METRICS_RECEIVED_BYTES + 1)

/* the buckets of a histogram, without lower buckets, then the sum in ms */

#define SGAMP_METRICS_WEBHOOK_TIME    (SGAMP_METRICS_SENT_BYTES + 1)
#define SGAMP_METRICS_AMPLITUDE_TIME                                          \
    (SGAMP_METRICS_WEBHOOK_TIME + SGAMP_METRICS_BUCKETS + 1)

/* of cohorts */

#define SGAMP_METRICS_CONTACTS                                                \
    (SGAMP_METRICS_AMPLITUDE_TIME + SGAMP_METRICS_BUCKETS + 1)
#define SGAMP_METRICS_COHORTS                                                 \
    (SGAMP_METRICS_CONTACTS                                                   \
     + (unsigned) SGAMP_OPERATIONS * SGAMP_CONTACT_RESULTS)
#define SGAMP_METRICS_SENDGRID                                                \
    (SGAMP_METRICS_COHORTS + SGAMP_METRICS_MESSAGES)
#define SGAMP_METRICS_QUOTA                                                   \
    (SGAMP_METRICS_SENDGRID + (unsigned) SGAMP_CALLS * SGAMP_METRICS_ANSWERS)
#define SGAMP_METRICS_COHORT_TIME                                             \
    (SGAMP_METRICS_QUOTA + (unsigned) SGAMP_CALLS)
#define SGAMP_METRICS_APPLY_TIME                                              \
    (SGAMP_METRICS_COHORT_TIME + SGAMP_METRICS_BUCKETS + 1)

/* signatures that do not fit, of webhooks that were not refused for this */

#define SGAMP_METRICS_REPORTED                                                \
    (SGAMP_METRICS_APPLY_TIME + SGAMP_METRICS_BUCKETS + 1)

/*
 * Times in seconds since the epoch, n + 1 is n: of the last answer of a status,
 * and of the first answer of a status since the last 200
 */

#define SGAMP_METRICS_WEBHOOK_LAST                                            \
    (SGAMP_METRICS_REPORTED + SGAMP_METRICS_SIGNATURES)
#define SGAMP_METRICS_WEBHOOK_FIRST                                           \
    (SGAMP_METRICS_WEBHOOK_LAST + SGAMP_METRICS_STATUSES)
#define SGAMP_METRICS_COHORT_LAST                                             \
    (SGAMP_METRICS_WEBHOOK_FIRST + SGAMP_METRICS_STATUSES)
#define SGAMP_METRICS_COHORT_FIRST                                            \
    (SGAMP_METRICS_COHORT_LAST + SGAMP_METRICS_MESSAGES)

/* how many counters there are, and in place of a counter: nothing is counted */

#define SGAMP_METRICS                                                         \
    (SGAMP_METRICS_COHORT_FIRST + SGAMP_METRICS_MESSAGES)


/* the counters of elements that are rejected are among these */

#define SGAMP_METRICS_ELEMENTS        SGAMP_METRICS_EVENTS
#define SGAMP_METRICS_ELEMENTS_END    SGAMP_METRICS_COHORTS


#define SGAMP_METRICS_NONE            UINT64_MAX
#define SGAMP_METRICS_SECOND          1000000 /* in microseconds */


/* the values that a label may have */

typedef struct {
    const char   *name;
    const char *(*value)(unsigned i);
    unsigned      n;
} sgamp_metrics_label_t;


/*
 * Counters of one name; those of the last label stand side by side.  The
 * families of a group are the last ones.
 */

typedef struct {
    const char                   *name;       /* less its prefix */
    const char                   *help;
    const char                   *type;
    unsigned                      first;
    const sgamp_metrics_label_t  *labels[2];  /* or NULL */
    const char                   *group;  /* object in the JSON, or NULL */
    unsigned                      unset;  /* 0 is no value, n + 1 is n */
} sgamp_metrics_family_t;


/* all counters at one time */

typedef struct {
    uint64_t      values[SGAMP_METRICS];
    uint64_t      since;  /* when counting began, seconds since the epoch */
    uint64_t      now;    /* in ms, both since the epoch */
    sgamp_str_t   host;
    const char   *server; /* with its version, or NULL */
} sgamp_metrics_t;


/* the counters of answers to a client, by status: the first is of 200 */

typedef struct {
    unsigned  counters;
    unsigned  n;
    unsigned  last;  /* as many times */
    unsigned  first;
} sgamp_metrics_answers_t;


/* an estimate of a histogram */

typedef struct {
    const char  *name;
    unsigned     percent;
} sgamp_metrics_quantile_t;


/* all families, ends with one without a name */
extern const sgamp_metrics_family_t  sgamp_metrics_families[];

extern const sgamp_metrics_answers_t  sgamp_metrics_webhook_answers;
extern const sgamp_metrics_answers_t  sgamp_metrics_cohort_answers;

/* SGAMP_METRICS_QUANTILES of them */
extern const sgamp_metrics_quantile_t  sgamp_metrics_quantiles[];


/* the family whose first counter this is */
const sgamp_metrics_family_t *sgamp_metrics_family(unsigned first);

/* the counter of a webhook by the status of its answer */
unsigned sgamp_metrics_webhook(unsigned status);

/* the counter of an answer of Amplitude, 0: there was none */
unsigned sgamp_metrics_response(unsigned status);

/* the counter of a rejected event by the name of the reason */
unsigned sgamp_metrics_rejected(const sgamp_str_t *reason);

/* the counter of events of a kind with this result */
unsigned sgamp_metrics_event(sgamp_kind_e kind, sgamp_metrics_result_e result);

/* the counter of a cohort's message by the status of its answer */
unsigned sgamp_metrics_cohort_message(unsigned status);

/* the counter of contacts by what became of them */
unsigned sgamp_metrics_contact(sgamp_operation_e operation,
    sgamp_contact_result_e result);

/* the counter of an answer of SendGrid to a call, 0: there was none */
unsigned sgamp_metrics_sendgrid(sgamp_call_e call, unsigned status);

/* the gauge of the calls that SendGrid has left, which has n + 1 once set */
unsigned sgamp_metrics_quota(sgamp_call_e call);

/* the bucket of a histogram for a time in ms */
unsigned sgamp_metrics_bucket(unsigned histogram, uint64_t ms);

/* the upper bound of a bucket of a histogram, in seconds */
const char *sgamp_metrics_bound_label(unsigned histogram, unsigned i);

/* the sum of n counters */
uint64_t sgamp_metrics_sum(const sgamp_metrics_t *m, unsigned first,
    unsigned n);

/*
 * The time in microseconds that a part of all, in percent, did not exceed, as
 * Prometheus estimates it; SGAMP_METRICS_NONE if nothing was counted
 */
uint64_t sgamp_metrics_quantile(const sgamp_metrics_t *m, unsigned histogram,
    unsigned percent);

/* Prometheus' text format, version 0.0.4 */
void sgamp_metrics_prometheus(const sgamp_metrics_t *m, sgamp_sink_t *sink);

void sgamp_metrics_json(const sgamp_metrics_t *m, sgamp_sink_t *sink);

/* the name of the host, as JSON and HTML may have it */
void sgamp_metrics_host(const sgamp_metrics_t *m, sgamp_sink_t *sink);


#endif /* _SGAMP_METRICS_H_INCLUDED_ */
