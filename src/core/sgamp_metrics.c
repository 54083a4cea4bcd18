
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_metrics.h"


/* upper bounds of all buckets but the last, in ms */

typedef struct {
    unsigned     ms[SGAMP_METRICS_BUCKETS - 1];
    const char  *labels[SGAMP_METRICS_BUCKETS];
} sgamp_metrics_bounds_t;


static unsigned sgamp_metrics_lookup(const unsigned *statuses, unsigned n,
    unsigned status);
static const sgamp_metrics_bounds_t *sgamp_metrics_bounds(unsigned histogram);
static const char *sgamp_metrics_kind_label(unsigned i);
static const char *sgamp_metrics_result_label(unsigned i);
static const char *sgamp_metrics_status_label(unsigned i);
static const char *sgamp_metrics_code_label(unsigned i);
static const char *sgamp_metrics_reason_label(unsigned i);
static const char *sgamp_metrics_signature_label(unsigned i);
static const char *sgamp_metrics_message_label(unsigned i);
static const char *sgamp_metrics_operation_label(unsigned i);
static const char *sgamp_metrics_contact_label(unsigned i);
static const char *sgamp_metrics_call_label(unsigned i);
static const char *sgamp_metrics_answer_label(unsigned i);


/* the labels behind those of single statuses are for all other statuses */

static const unsigned  sgamp_metrics_statuses[] = {
    200, 400, 401, 403, 405, 408, 413, 415, 429, 499, 500, 502, 503
};

static const char  *sgamp_metrics_status_labels[] = {
    "200", "400", "401", "403", "405", "408", "413", "415", "429", "499",
    "500", "502", "503", "other"
};


static const unsigned  sgamp_metrics_codes[] = {
    200, 400, 401, 403, 404, 408, 413, 429, 500, 502, 503, 504
};

static const char  *sgamp_metrics_code_labels[] = {
    "200", "400", "401", "403", "404", "408", "413", "429", "500", "502",
    "503", "504", "other", "error"
};


static const char  *sgamp_metrics_result_labels[] = {
    "forwarded", "ignored", "rejected"
};

static const char  *sgamp_metrics_reason_labels[] = {
    "not_an_object", "no_event_type", "no_user_id", "amplitude_400",
    "amplitude_403", "amplitude_413", "amplitude_other"
};

static const char  *sgamp_metrics_signature_labels[] = {
    "ok", "missing", "malformed", "stale", "mismatch"
};


static const unsigned  sgamp_metrics_messages[] = {
    200, 400, 401, 404, 405, 408, 409, 413, 415, 429, 499, 500, 502, 503
};

static const char  *sgamp_metrics_message_labels[] = {
    "200", "400", "401", "404", "405", "408", "409", "413", "415", "429",
    "499", "500", "502", "503", "other"
};


static const unsigned  sgamp_metrics_answers[] = {
    200, 201, 202, 400, 401, 403, 404, 408, 413, 414, 429, 500, 502, 503, 504
};

static const char  *sgamp_metrics_answer_labels[] = {
    "200", "201", "202", "400", "401", "403", "404", "408", "413", "414",
    "429", "500", "502", "503", "504", "other", "error"
};


/* in the order of sgamp_operation_e */

static const char  *sgamp_metrics_operation_labels[] = { "add", "remove" };

/* in the order of sgamp_contact_result_e */

static const char  *sgamp_metrics_contact_labels[] = {
    "accepted", "applied", "absent", "stale", "no_email", "invalid_email",
    "refused", "unknown"
};

/* in the order of sgamp_call_e */

static const char  *sgamp_metrics_call_labels[] = {
    "lists", "create", "fields", "put", "search", "identify", "remove",
    "import"
};


static const sgamp_metrics_bounds_t  sgamp_metrics_request_bounds = {
    { 1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000 },
    { "0.001", "0.002", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5",
      "1", "2.5", "5", "10", "30", "+Inf" }
};

/* a message may take as long as its budget allows */

static const sgamp_metrics_bounds_t  sgamp_metrics_cohort_bounds = {
    { 10, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 120000,
      300000, 600000 },
    { "0.01", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "60",
      "120", "300", "600", "+Inf" }
};

/* most changes are seen after half a minute */

static const sgamp_metrics_bounds_t  sgamp_metrics_apply_bounds = {
    { 1000, 5000, 10000, 20000, 30000, 45000, 60000, 90000, 120000, 180000,
      240000, 300000, 600000, 900000 },
    { "1", "5", "10", "20", "30", "45", "60", "90", "120", "180", "240", "300",
      "600", "900", "+Inf" }
};


static const sgamp_metrics_label_t  sgamp_metrics_status = {
    "status",
    sgamp_metrics_status_label,
    SGAMP_METRICS_STATUSES
};

static const sgamp_metrics_label_t  sgamp_metrics_kind = {
    "event",
    sgamp_metrics_kind_label,
    SGAMP_KINDS
};

static const sgamp_metrics_label_t  sgamp_metrics_result = {
    "result",
    sgamp_metrics_result_label,
    SGAMP_METRICS_RESULTS
};

static const sgamp_metrics_label_t  sgamp_metrics_code = {
    "code",
    sgamp_metrics_code_label,
    SGAMP_METRICS_CODES
};

static const sgamp_metrics_label_t  sgamp_metrics_reason = {
    "reason",
    sgamp_metrics_reason_label,
    SGAMP_METRICS_REASONS
};

static const sgamp_metrics_label_t  sgamp_metrics_signature = {
    "result",
    sgamp_metrics_signature_label,
    SGAMP_METRICS_SIGNATURES
};

static const sgamp_metrics_label_t  sgamp_metrics_message = {
    "status",
    sgamp_metrics_message_label,
    SGAMP_METRICS_MESSAGES
};

static const sgamp_metrics_label_t  sgamp_metrics_operation = {
    "operation",
    sgamp_metrics_operation_label,
    SGAMP_OPERATIONS
};

static const sgamp_metrics_label_t  sgamp_metrics_contact_result = {
    "result",
    sgamp_metrics_contact_label,
    SGAMP_CONTACT_RESULTS
};

static const sgamp_metrics_label_t  sgamp_metrics_call = {
    "call",
    sgamp_metrics_call_label,
    SGAMP_CALLS
};

static const sgamp_metrics_label_t  sgamp_metrics_answer = {
    "code",
    sgamp_metrics_answer_label,
    SGAMP_METRICS_ANSWERS
};


static const char  sgamp_metrics_cohorts[] = "cohorts";


const sgamp_metrics_family_t  sgamp_metrics_families[] = {

    { "webhooks_total",
      "Webhooks by the status they were answered with.",
      "counter",
      SGAMP_METRICS_WEBHOOKS,
      { &sgamp_metrics_status, NULL },
      NULL,
      0 },

    { "webhooks_in_flight",
      "Webhooks that are not answered yet.",
      "gauge",
      SGAMP_METRICS_IN_FLIGHT,
      { NULL, NULL },
      NULL,
      0 },

    { "events_total",
      "Events of webhooks by what became of them.",
      "counter",
      SGAMP_METRICS_EVENTS,
      { &sgamp_metrics_kind, &sgamp_metrics_result },
      NULL,
      0 },

    { "amplitude_responses_total",
      "Answers of Amplitude by status, error: none that was whole.",
      "counter",
      SGAMP_METRICS_RESPONSES,
      { &sgamp_metrics_code, NULL },
      NULL,
      0 },

    { "retries_total",
      "Requests to Amplitude that repeat an earlier one.",
      "counter",
      SGAMP_METRICS_RETRIES,
      { NULL, NULL },
      NULL,
      0 },

    { "rejected_total",
      "Events that cannot be delivered by the reason.",
      "counter",
      SGAMP_METRICS_REJECTED_EVENTS,
      { &sgamp_metrics_reason, NULL },
      NULL,
      0 },

    { "signatures_total",
      "Signatures of webhooks by the result of their check.",
      "counter",
      SGAMP_METRICS_SIGNED,
      { &sgamp_metrics_signature, NULL },
      NULL,
      0 },

    { "received_bytes_total",
      "Bytes of the bodies of webhooks.",
      "counter",
      SGAMP_METRICS_RECEIVED_BYTES,
      { NULL, NULL },
      NULL,
      0 },

    { "sent_bytes_total",
      "Bytes of the bodies of requests to Amplitude.",
      "counter",
      SGAMP_METRICS_SENT_BYTES,
      { NULL, NULL },
      NULL,
      0 },

    { "webhook_duration_seconds",
      "Time from the first byte of a webhook to the last of its answer.",
      "histogram",
      SGAMP_METRICS_WEBHOOK_TIME,
      { NULL, NULL },
      NULL,
      0 },

    { "amplitude_duration_seconds",
      "Time from the start of a request to Amplitude to its end.",
      "histogram",
      SGAMP_METRICS_AMPLITUDE_TIME,
      { NULL, NULL },
      NULL,
      0 },

    { "signatures_reported_total",
      "Signatures that do not fit, of webhooks that were let through.",
      "counter",
      SGAMP_METRICS_REPORTED,
      { &sgamp_metrics_signature, NULL },
      NULL,
      0 },

    { "cohort_messages_total",
      "Messages of cohorts by the status they were answered with.",
      "counter",
      SGAMP_METRICS_COHORTS,
      { &sgamp_metrics_message, NULL },
      sgamp_metrics_cohorts,
      0 },

    { "contacts_total",
      "Contacts of cohorts by what became of them.",
      "counter",
      SGAMP_METRICS_CONTACTS,
      { &sgamp_metrics_operation, &sgamp_metrics_contact_result },
      sgamp_metrics_cohorts,
      0 },

    { "sendgrid_responses_total",
      "Answers of SendGrid by call and status, error: none that was whole.",
      "counter",
      SGAMP_METRICS_SENDGRID,
      { &sgamp_metrics_call, &sgamp_metrics_answer },
      sgamp_metrics_cohorts,
      0 },

    { "sendgrid_quota",
      "Calls that SendGrid has last said to be left in a minute.",
      "gauge",
      SGAMP_METRICS_QUOTA,
      { &sgamp_metrics_call, NULL },
      sgamp_metrics_cohorts,
      1 },

    { "cohort_duration_seconds",
      "Time from the first byte of a cohort's message to its answer's last.",
      "histogram",
      SGAMP_METRICS_COHORT_TIME,
      { NULL, NULL },
      sgamp_metrics_cohorts,
      0 },

    { "apply_seconds",
      "Time from the acceptance of a change until it was seen to be applied.",
      "histogram",
      SGAMP_METRICS_APPLY_TIME,
      { NULL, NULL },
      sgamp_metrics_cohorts,
      0 },

    { NULL, NULL, NULL, 0, { NULL, NULL }, NULL, 0 }
};


const sgamp_metrics_answers_t  sgamp_metrics_webhook_answers = {
    SGAMP_METRICS_WEBHOOKS,
    SGAMP_METRICS_STATUSES,
    SGAMP_METRICS_WEBHOOK_LAST,
    SGAMP_METRICS_WEBHOOK_FIRST
};

const sgamp_metrics_answers_t  sgamp_metrics_cohort_answers = {
    SGAMP_METRICS_COHORTS,
    SGAMP_METRICS_MESSAGES,
    SGAMP_METRICS_COHORT_LAST,
    SGAMP_METRICS_COHORT_FIRST
};


const sgamp_metrics_quantile_t  sgamp_metrics_quantiles[] = {
    { "p50", 50 },
    { "p95", 95 },
    { "p99", 99 }
};


const sgamp_metrics_family_t *
sgamp_metrics_family(unsigned first)
{
    const sgamp_metrics_family_t  *family;

    family = sgamp_metrics_families;

    while (family->first != first) {
        family++;
    }

    return family;
}


unsigned
sgamp_metrics_webhook(unsigned status)
{
    return SGAMP_METRICS_WEBHOOKS
           + sgamp_metrics_lookup(sgamp_metrics_statuses,
                                  SGAMP_METRICS_STATUSES - 1, status);
}


unsigned
sgamp_metrics_response(unsigned status)
{
    if (status == 0) {
        return SGAMP_METRICS_RESPONSES + SGAMP_METRICS_CODES - 1;
    }

    return SGAMP_METRICS_RESPONSES
           + sgamp_metrics_lookup(sgamp_metrics_codes, SGAMP_METRICS_CODES - 2,
                                  status);
}


static unsigned
sgamp_metrics_lookup(const unsigned *statuses, unsigned n, unsigned status)
{
    unsigned  i;

    for (i = 0; i < n; i++) {
        if (statuses[i] == status) {
            break;
        }
    }

    return i;
}


unsigned
sgamp_metrics_rejected(const sgamp_str_t *reason)
{
    unsigned     i;
    const char  *label;

    for (i = 0; i < SGAMP_METRICS_REASONS - 1; i++) {
        label = sgamp_metrics_reason_labels[i];

        if (strlen(label) == reason->len
            && memcmp(label, reason->data, reason->len) == 0)
        {
            break;
        }
    }

    return SGAMP_METRICS_REJECTED_EVENTS + i;
}


unsigned
sgamp_metrics_event(sgamp_kind_e kind, sgamp_metrics_result_e result)
{
    return SGAMP_METRICS_EVENTS + kind * SGAMP_METRICS_RESULTS + result;
}


unsigned
sgamp_metrics_cohort_message(unsigned status)
{
    return SGAMP_METRICS_COHORTS
           + sgamp_metrics_lookup(sgamp_metrics_messages,
                                  SGAMP_METRICS_MESSAGES - 1, status);
}


unsigned
sgamp_metrics_contact(sgamp_operation_e operation,
    sgamp_contact_result_e result)
{
    return SGAMP_METRICS_CONTACTS
           + (unsigned) operation * SGAMP_CONTACT_RESULTS + result;
}


unsigned
sgamp_metrics_sendgrid(sgamp_call_e call, unsigned status)
{
    unsigned  i;

    i = SGAMP_METRICS_ANSWERS - 1;

    if (status != 0) {
        i = sgamp_metrics_lookup(sgamp_metrics_answers,
                                 SGAMP_METRICS_ANSWERS - 2, status);
    }

    return SGAMP_METRICS_SENDGRID + call * SGAMP_METRICS_ANSWERS + i;
}


unsigned
sgamp_metrics_quota(sgamp_call_e call)
{
    return SGAMP_METRICS_QUOTA + call;
}


unsigned
sgamp_metrics_bucket(unsigned histogram, uint64_t ms)
{
    unsigned                       i;
    const sgamp_metrics_bounds_t  *bounds;

    bounds = sgamp_metrics_bounds(histogram);

    for (i = 0; i < SGAMP_METRICS_BUCKETS - 1; i++) {
        if (ms <= bounds->ms[i]) {
            break;
        }
    }

    return histogram + i;
}


static const sgamp_metrics_bounds_t *
sgamp_metrics_bounds(unsigned histogram)
{
    switch (histogram) {

    case SGAMP_METRICS_COHORT_TIME:
        return &sgamp_metrics_cohort_bounds;

    case SGAMP_METRICS_APPLY_TIME:
        return &sgamp_metrics_apply_bounds;

    default:
        return &sgamp_metrics_request_bounds;
    }
}


uint64_t
sgamp_metrics_sum(const sgamp_metrics_t *m, unsigned first, unsigned n)
{
    unsigned  i;
    uint64_t  sum;

    sum = 0;

    for (i = first; i < first + n; i++) {
        sum += m->values[i];
    }

    return sum;
}


uint64_t
sgamp_metrics_quantile(const sgamp_metrics_t *m, unsigned histogram,
    unsigned percent)
{
    double           rank, low, high, share;
    unsigned         i;
    uint64_t         count;
    const uint64_t  *buckets;
    const unsigned  *ms;

    count = sgamp_metrics_sum(m, histogram, SGAMP_METRICS_BUCKETS);

    if (count == 0) {
        return SGAMP_METRICS_NONE;
    }

    ms = sgamp_metrics_bounds(histogram)->ms;
    buckets = &m->values[histogram];
    rank = (double) count * percent / 100;

    for (i = 0; i < SGAMP_METRICS_BUCKETS - 1; i++) {

        if (rank <= (double) buckets[i]) {
            break;
        }

        rank -= (double) buckets[i];
    }

    /* nothing is known about times above all bounds */

    if (i == SGAMP_METRICS_BUCKETS - 1) {
        return (uint64_t) ms[i - 1] * 1000;
    }

    low = (i == 0) ? 0 : ms[i - 1];
    high = ms[i];
    share = (buckets[i] == 0) ? 0 : rank / (double) buckets[i];

    return (uint64_t) ((low + (high - low) * share) * 1000 + 0.5);
}


static const char *
sgamp_metrics_kind_label(unsigned i)
{
    return sgamp_kind_name((sgamp_kind_e) i);
}


static const char *
sgamp_metrics_result_label(unsigned i)
{
    return sgamp_metrics_result_labels[i];
}


static const char *
sgamp_metrics_status_label(unsigned i)
{
    return sgamp_metrics_status_labels[i];
}


static const char *
sgamp_metrics_code_label(unsigned i)
{
    return sgamp_metrics_code_labels[i];
}


static const char *
sgamp_metrics_reason_label(unsigned i)
{
    return sgamp_metrics_reason_labels[i];
}


static const char *
sgamp_metrics_signature_label(unsigned i)
{
    return sgamp_metrics_signature_labels[i];
}


static const char *
sgamp_metrics_message_label(unsigned i)
{
    return sgamp_metrics_message_labels[i];
}


static const char *
sgamp_metrics_operation_label(unsigned i)
{
    return sgamp_metrics_operation_labels[i];
}


static const char *
sgamp_metrics_contact_label(unsigned i)
{
    return sgamp_metrics_contact_labels[i];
}


static const char *
sgamp_metrics_call_label(unsigned i)
{
    return sgamp_metrics_call_labels[i];
}


static const char *
sgamp_metrics_answer_label(unsigned i)
{
    return sgamp_metrics_answer_labels[i];
}


const char *
sgamp_metrics_bound_label(unsigned histogram, unsigned i)
{
    return sgamp_metrics_bounds(histogram)->labels[i];
}
