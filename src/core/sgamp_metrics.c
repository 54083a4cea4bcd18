
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_metrics.h"


static unsigned sgamp_metrics_lookup(const unsigned *statuses, unsigned n,
    unsigned status);
static const char *sgamp_metrics_kind_label(unsigned i);
static const char *sgamp_metrics_result_label(unsigned i);
static const char *sgamp_metrics_status_label(unsigned i);
static const char *sgamp_metrics_code_label(unsigned i);
static const char *sgamp_metrics_reason_label(unsigned i);
static const char *sgamp_metrics_signature_label(unsigned i);


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


/* upper bounds of all buckets but the last */

static const unsigned  sgamp_metrics_bounds[] = {
    1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000
};

static const char  *sgamp_metrics_bound_labels[] = {
    "0.001", "0.002", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5",
    "1", "2.5", "5", "10", "30", "+Inf"
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


const sgamp_metrics_family_t  sgamp_metrics_families[] = {

    { "webhooks_total",
      "Webhooks by the status they were answered with.",
      "counter",
      SGAMP_METRICS_WEBHOOKS,
      { &sgamp_metrics_status, NULL } },

    { "webhooks_in_flight",
      "Webhooks that are not answered yet.",
      "gauge",
      SGAMP_METRICS_IN_FLIGHT,
      { NULL, NULL } },

    { "events_total",
      "Events of webhooks by what became of them.",
      "counter",
      SGAMP_METRICS_EVENTS,
      { &sgamp_metrics_kind, &sgamp_metrics_result } },

    { "amplitude_responses_total",
      "Answers of Amplitude by status, error: none that was whole.",
      "counter",
      SGAMP_METRICS_RESPONSES,
      { &sgamp_metrics_code, NULL } },

    { "retries_total",
      "Requests to Amplitude that repeat an earlier one.",
      "counter",
      SGAMP_METRICS_RETRIES,
      { NULL, NULL } },

    { "rejected_total",
      "Events that cannot be delivered by the reason.",
      "counter",
      SGAMP_METRICS_REJECTED_EVENTS,
      { &sgamp_metrics_reason, NULL } },

    { "signatures_total",
      "Signatures of webhooks by the result of their check.",
      "counter",
      SGAMP_METRICS_SIGNED,
      { &sgamp_metrics_signature, NULL } },

    { "received_bytes_total",
      "Bytes of the bodies of webhooks.",
      "counter",
      SGAMP_METRICS_RECEIVED_BYTES,
      { NULL, NULL } },

    { "sent_bytes_total",
      "Bytes of the bodies of requests to Amplitude.",
      "counter",
      SGAMP_METRICS_SENT_BYTES,
      { NULL, NULL } },

    { "webhook_duration_seconds",
      "Time from the first byte of a webhook to the last of its answer.",
      "histogram",
      SGAMP_METRICS_WEBHOOK_TIME,
      { NULL, NULL } },

    { "amplitude_duration_seconds",
      "Time from the start of a request to Amplitude to its end.",
      "histogram",
      SGAMP_METRICS_AMPLITUDE_TIME,
      { NULL, NULL } },

    { NULL, NULL, NULL, 0, { NULL, NULL } }
};


const sgamp_metrics_quantile_t  sgamp_metrics_quantiles[] = {
    { "p50", 50 },
    { "p95", 95 },
    { "p99", 99 }
};


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
sgamp_metrics_bucket(unsigned histogram, uint64_t ms)
{
    unsigned  i;

    for (i = 0; i < SGAMP_METRICS_BUCKETS - 1; i++) {
        if (ms <= sgamp_metrics_bounds[i]) {
            break;
        }
    }

    return histogram + i;
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

    count = sgamp_metrics_sum(m, histogram, SGAMP_METRICS_BUCKETS);

    if (count == 0) {
        return SGAMP_METRICS_NONE;
    }

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
        return (uint64_t) sgamp_metrics_bounds[i - 1] * 1000;
    }

    low = (i == 0) ? 0 : sgamp_metrics_bounds[i - 1];
    high = sgamp_metrics_bounds[i];
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


const char *
sgamp_metrics_bound_label(unsigned i)
{
    return sgamp_metrics_bound_labels[i];
}
