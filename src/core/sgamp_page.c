
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_json.h"
#include "sgamp_page.h"


#define SGAMP_PAGE_DAY          86400
#define SGAMP_PAGE_NUMBER_SIZE  32  /* digits and commas of the longest */
#define SGAMP_PAGE_DASH         "\xe2\x80\x93"  /* where there is no figure */

#define sgamp_page_text(sink, text)                                           \
    sgamp_json_write(sink, (u_char *) text, sizeof(text) - 1)


static void sgamp_page_slot(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    sgamp_page_slot_e slot);
static void sgamp_page_cohort_slot(const sgamp_metrics_t *m,
    sgamp_sink_t *sink, sgamp_page_slot_e slot);
static void sgamp_page_contact(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    sgamp_operation_e operation, sgamp_contact_result_e result);
static void sgamp_page_contacts(const sgamp_metrics_t *m, sgamp_sink_t *sink);
static void sgamp_page_sendgrid(const sgamp_metrics_t *m, sgamp_sink_t *sink);
static void sgamp_page_events(const sgamp_metrics_t *m, sgamp_sink_t *sink);
static void sgamp_page_rows(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    unsigned first, const char **meanings);
static void sgamp_page_row(sgamp_sink_t *sink, uint64_t n, const char *label,
    const char *after);
static void sgamp_page_meaning(sgamp_sink_t *sink, const char *meaning);
static void sgamp_page_cell(sgamp_sink_t *sink,
    const sgamp_metrics_family_t *family, const char *label,
    const char *inner);
static void sgamp_page_path(sgamp_sink_t *sink,
    const sgamp_metrics_family_t *family, const char *label);
static void sgamp_page_latency(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    unsigned first, const char *label);
static const sgamp_metrics_family_t *sgamp_page_family(unsigned first);
static uint64_t sgamp_page_result(const sgamp_metrics_t *m,
    sgamp_metrics_result_e result);
static void sgamp_page_number(sgamp_sink_t *sink, uint64_t n);
static void sgamp_page_bytes(sgamp_sink_t *sink, uint64_t n);
static void sgamp_page_duration(sgamp_sink_t *sink, uint64_t us);
static void sgamp_page_tenths(sgamp_sink_t *sink, uint64_t n);
static void sgamp_page_time(sgamp_sink_t *sink, uint64_t seconds, char *form);
static void sgamp_page_string(sgamp_sink_t *sink, const char *text);


/* in the order of the labels; words of the answer where it has one */

static const char  *sgamp_page_statuses[] = {
    "delivered",
    "invalid_json, bad_request",
    "unauthorized",
    "bad_signature, or denied",
    "method_not_allowed",
    "timed_out",
    "too_large",
    "content_encoding",
    "throttled",
    "sender gone",
    "internal",
    "refused",
    "unavailable",
    ""
};

static const char  *sgamp_page_codes[] = {
    "accepted",
    "events or API key refused",
    "unauthorized",
    "forbidden",
    "not found",
    "timed out",
    "too large",
    "throttled",
    "failed",
    "failed",
    "unavailable",
    "failed",
    "",
    "no whole answer"
};

static const char  *sgamp_page_reasons[] = {
    "not a JSON object",
    "has no event name",
    "has no usable id or address",
    "refused by Amplitude",
    "blocked by Amplitude",
    "too large for Amplitude",
    "another answer of Amplitude"
};

static const char  *sgamp_page_signatures[] = {
    "valid",
    "no signature or timestamp",
    "not readable",
    "outside of the time window",
    "another key or body"
};

static const char  *sgamp_page_messages[] = {
    "done",
    "invalid_json, invalid_message",
    "unauthorized",
    "no such list",
    "method_not_allowed",
    "timed_out",
    "in_progress",
    "too_large",
    "content_encoding",
    "throttled",
    "sender gone",
    "internal",
    "refused",
    "unavailable",
    ""
};

static const char  *sgamp_page_results[] = {
    "SendGrid has taken the change",
    "the change was seen to take effect",
    "nothing to remove",
    "a newer run has decided",
    "has no address",
    "has no usable address",
    "refused by SendGrid",
    "not seen to take effect"
};

static const char  *sgamp_page_answers[] = {
    "answered",
    "list made",
    "accepted",
    "refused",
    "unauthorized",
    "forbidden",
    "not found",
    "timed out",
    "too large",
    "too long",
    "throttled",
    "failed",
    "failed",
    "unavailable",
    "failed",
    "",
    "no whole answer"
};

static const char  *sgamp_page_calls[] = {
    "looks for a list",
    "makes a list",
    "looks for custom fields",
    "adds contacts",
    "finds contacts",
    "finds contacts by long addresses",
    "removes contacts",
    "sees whether contacts were added"
};


void
sgamp_page_write(const sgamp_page_row_t *part, unsigned n,
    const sgamp_metrics_t *m, sgamp_sink_t *sink)
{
    unsigned  i;

    for (i = 0; i < n; i++) {
        sgamp_json_write(sink, part[i].text.data, part[i].text.len);
        sgamp_page_slot(m, sink, part[i].slot);
    }
}


static void
sgamp_page_slot(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    sgamp_page_slot_e slot)
{
    uint64_t  n;

    switch (slot) {

    case SGAMP_PAGE_SINCE_ISO:
        sgamp_page_time(sink, m->since, "TZ");
        break;

    case SGAMP_PAGE_SINCE:
        sgamp_page_time(sink, m->since, " ");
        break;

    case SGAMP_PAGE_FORWARDED:
        sgamp_page_number(sink, sgamp_page_result(m, SGAMP_METRICS_FORWARDED));
        break;

    case SGAMP_PAGE_IGNORED:
        sgamp_page_number(sink, sgamp_page_result(m, SGAMP_METRICS_IGNORED));
        break;

    case SGAMP_PAGE_REJECTED:
        sgamp_page_number(sink, sgamp_page_result(m, SGAMP_METRICS_REJECTED));
        break;

    case SGAMP_PAGE_WEBHOOKS:
        n = sgamp_metrics_sum(m, SGAMP_METRICS_WEBHOOKS,
                              SGAMP_METRICS_STATUSES);
        sgamp_page_number(sink, n);
        break;

    case SGAMP_PAGE_FAILED:
        n = sgamp_metrics_sum(m, SGAMP_METRICS_WEBHOOKS + 1,
                              SGAMP_METRICS_STATUSES - 1);
        sgamp_page_number(sink, n);
        break;

    case SGAMP_PAGE_IN_FLIGHT:
        sgamp_page_number(sink, m->values[SGAMP_METRICS_IN_FLIGHT]);
        break;

    case SGAMP_PAGE_RETRIES:
        sgamp_page_number(sink, m->values[SGAMP_METRICS_RETRIES]);
        break;

    case SGAMP_PAGE_RECEIVED:
        sgamp_page_bytes(sink, m->values[SGAMP_METRICS_RECEIVED_BYTES]);
        break;

    case SGAMP_PAGE_SENT:
        sgamp_page_bytes(sink, m->values[SGAMP_METRICS_SENT_BYTES]);
        break;

    case SGAMP_PAGE_EVENT_ROWS:
        sgamp_page_events(m, sink);
        break;

    case SGAMP_PAGE_STATUS_ROWS:
        sgamp_page_rows(m, sink, SGAMP_METRICS_WEBHOOKS, sgamp_page_statuses);
        break;

    case SGAMP_PAGE_CODE_ROWS:
        sgamp_page_rows(m, sink, SGAMP_METRICS_RESPONSES, sgamp_page_codes);
        break;

    case SGAMP_PAGE_REASON_ROWS:
        sgamp_page_rows(m, sink, SGAMP_METRICS_REJECTED_EVENTS,
                        sgamp_page_reasons);
        break;

    case SGAMP_PAGE_SIGNATURE_ROWS:
        sgamp_page_rows(m, sink, SGAMP_METRICS_SIGNED, sgamp_page_signatures);
        break;

    case SGAMP_PAGE_LATENCY_ROWS:
        sgamp_page_latency(m, sink, SGAMP_METRICS_WEBHOOK_TIME, "Webhook");
        sgamp_page_latency(m, sink, SGAMP_METRICS_AMPLITUDE_TIME,
                           "Request to Amplitude");
        break;

    case SGAMP_PAGE_JSON:
        sgamp_metrics_json(m, sink);
        break;

    case SGAMP_PAGE_NOTHING:
        break;

    default:
        sgamp_page_cohort_slot(m, sink, slot);
        break;
    }
}


static void
sgamp_page_cohort_slot(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    sgamp_page_slot_e slot)
{
    uint64_t  n, failed;

    failed = sgamp_metrics_sum(m, SGAMP_METRICS_COHORTS + 1,
                               SGAMP_METRICS_MESSAGES - 1);
    n = failed + m->values[SGAMP_METRICS_COHORTS];

    /* before the first message nothing is shown, and there are no rows */

    if (n == 0 && slot >= SGAMP_PAGE_CONTACT_ROWS) {
        return;
    }

    switch (slot) {

    case SGAMP_PAGE_NO_COHORTS:
        if (n == 0) {
            sgamp_page_text(sink, " hidden");
        }

        break;

    case SGAMP_PAGE_MESSAGES:
        sgamp_page_number(sink, n);
        break;

    case SGAMP_PAGE_MESSAGES_FAILED:
        sgamp_page_number(sink, failed);
        break;

    case SGAMP_PAGE_ADDED:
        sgamp_page_contact(m, sink, SGAMP_ADD, SGAMP_CONTACT_ACCEPTED);
        break;

    case SGAMP_PAGE_ADDED_APPLIED:
        sgamp_page_contact(m, sink, SGAMP_ADD, SGAMP_CONTACT_APPLIED);
        break;

    case SGAMP_PAGE_REMOVED:
        sgamp_page_contact(m, sink, SGAMP_REMOVE, SGAMP_CONTACT_ACCEPTED);
        break;

    case SGAMP_PAGE_REMOVED_ABSENT:
        sgamp_page_contact(m, sink, SGAMP_REMOVE, SGAMP_CONTACT_ABSENT);
        break;

    case SGAMP_PAGE_CONTACT_ROWS:
        sgamp_page_contacts(m, sink);
        break;

    case SGAMP_PAGE_MESSAGE_ROWS:
        sgamp_page_rows(m, sink, SGAMP_METRICS_COHORTS, sgamp_page_messages);
        break;

    case SGAMP_PAGE_SENDGRID_ROWS:
        sgamp_page_sendgrid(m, sink);
        break;

    case SGAMP_PAGE_COHORT_LATENCY_ROWS:
        sgamp_page_latency(m, sink, SGAMP_METRICS_COHORT_TIME, "Message");
        sgamp_page_latency(m, sink, SGAMP_METRICS_APPLY_TIME,
                           "Until applied");
        break;

    default: /* SGAMP_PAGE_QUOTA_ROWS */
        sgamp_page_rows(m, sink, SGAMP_METRICS_QUOTA, sgamp_page_calls);
        break;
    }
}


static void
sgamp_page_contact(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    sgamp_operation_e operation, sgamp_contact_result_e result)
{
    sgamp_page_number(sink,
                      m->values[sgamp_metrics_contact(operation, result)]);
}


static void
sgamp_page_contacts(const sgamp_metrics_t *m, sgamp_sink_t *sink)
{
    unsigned                       i, j;
    uint64_t                       n;
    const char                    *label;
    const sgamp_metrics_family_t  *family;

    family = sgamp_page_family(SGAMP_METRICS_CONTACTS);

    for (i = 0; i < SGAMP_CONTACT_RESULTS; i++) {
        label = family->labels[1]->value(i);
        n = 0;

        for (j = 0; j < SGAMP_OPERATIONS; j++) {
            n += m->values[sgamp_metrics_contact((sgamp_operation_e) j,
                                                 (sgamp_contact_result_e) i)];
        }

        sgamp_page_row(sink, n, label, "");
        sgamp_page_meaning(sink, sgamp_page_results[i]);

        for (j = 0; j < SGAMP_OPERATIONS; j++) {
            sgamp_page_cell(sink, family, family->labels[0]->value(j), label);
            sgamp_page_contact(m, sink, (sgamp_operation_e) j,
                               (sgamp_contact_result_e) i);
            sgamp_page_text(sink, "</td>");
        }

        sgamp_page_text(sink, "</tr>\n");
    }
}


static void
sgamp_page_sendgrid(const sgamp_metrics_t *m, sgamp_sink_t *sink)
{
    unsigned                       i, j;
    const char                    *call, *code;
    const uint64_t                *value;
    const sgamp_metrics_family_t  *family;

    family = sgamp_page_family(SGAMP_METRICS_SENDGRID);
    value = &m->values[SGAMP_METRICS_SENDGRID];

    for (i = 0; i < SGAMP_CALLS; i++) {
        call = family->labels[0]->value(i);

        for (j = 0; j < SGAMP_METRICS_ANSWERS; j++) {
            code = family->labels[1]->value(j);

            sgamp_page_row(sink, *value, call, "");

            sgamp_page_text(sink, "<td>");
            sgamp_page_string(sink, code);
            sgamp_page_text(sink, "</td>");
            sgamp_page_meaning(sink, sgamp_page_answers[j]);

            sgamp_page_cell(sink, family, call, code);
            sgamp_page_number(sink, *value++);
            sgamp_page_text(sink, "</td></tr>\n");
        }
    }
}


static void
sgamp_page_events(const sgamp_metrics_t *m, sgamp_sink_t *sink)
{
    unsigned                       i, j;
    uint64_t                       n;
    const char                    *label;
    const uint64_t                *value;
    const sgamp_metrics_family_t  *family;

    family = sgamp_page_family(SGAMP_METRICS_EVENTS);
    value = &m->values[SGAMP_METRICS_EVENTS];

    for (i = 0; i < SGAMP_KINDS; i++) {
        label = family->labels[0]->value(i);

        n = value[SGAMP_METRICS_FORWARDED] + value[SGAMP_METRICS_IGNORED]
            + value[SGAMP_METRICS_REJECTED];

        /* a long name may be broken */

        sgamp_page_row(sink, n, label, "<wbr>");

        for (j = 0; j < SGAMP_METRICS_RESULTS; j++) {
            sgamp_page_cell(sink, family, label, family->labels[1]->value(j));
            sgamp_page_number(sink, *value++);
            sgamp_page_text(sink, "</td>");
        }

        sgamp_page_text(sink, "</tr>\n");
    }
}


static void
sgamp_page_rows(const sgamp_metrics_t *m, sgamp_sink_t *sink, unsigned first,
    const char **meanings)
{
    unsigned                       i;
    uint64_t                       n;
    const char                    *label;
    const sgamp_metrics_family_t  *family;

    family = sgamp_page_family(first);

    for (i = 0; i < family->labels[0]->n; i++) {
        label = family->labels[0]->value(i);
        n = m->values[first + i];

        sgamp_page_row(sink, n, label, "");
        sgamp_page_meaning(sink, meanings[i]);
        sgamp_page_cell(sink, family, label, NULL);

        if (family->unset && n == 0) {
            sgamp_page_text(sink, SGAMP_PAGE_DASH);

        } else {
            sgamp_page_number(sink, n - family->unset);
        }

        sgamp_page_text(sink, "</td></tr>\n");
    }
}


static void
sgamp_page_row(sgamp_sink_t *sink, uint64_t n, const char *label,
    const char *after)
{
    /* a figure that never happened has no line */

    if (n == 0) {
        sgamp_page_text(sink, "<tr hidden>");

    } else {
        sgamp_page_text(sink, "<tr>");
    }

    sgamp_page_text(sink, "<th scope=\"row\">");

    for ( /* void */ ; *label != '\0'; label++) {
        sgamp_json_write(sink, (const u_char *) label, 1);

        if (*label == '_') {
            sgamp_page_string(sink, after);
        }
    }

    sgamp_page_text(sink, "</th>");
}


static void
sgamp_page_meaning(sgamp_sink_t *sink, const char *meaning)
{
    sgamp_page_text(sink, "<td class=\"m\">");
    sgamp_page_string(sink, meaning);
    sgamp_page_text(sink, "</td>");
}


static void
sgamp_page_cell(sgamp_sink_t *sink, const sgamp_metrics_family_t *family,
    const char *label, const char *inner)
{
    sgamp_page_string(sink, family->unset ? "<td data-f=\"left\"" : "<td");
    sgamp_page_path(sink, family, label);

    if (inner != NULL) {
        sgamp_page_text(sink, ".");
        sgamp_page_string(sink, inner);
    }

    sgamp_page_text(sink, "\">");
}


static void
sgamp_page_path(sgamp_sink_t *sink, const sgamp_metrics_family_t *family,
    const char *label)
{
    /* the script finds the value under this name */

    sgamp_page_text(sink, " data-v=\"");

    if (family->group != NULL) {
        sgamp_page_string(sink, family->group);
        sgamp_page_text(sink, ".");
    }

    sgamp_page_string(sink, family->name);
    sgamp_page_text(sink, ".");
    sgamp_page_string(sink, label);
}


static void
sgamp_page_latency(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    unsigned first, const char *label)
{
    unsigned                       i;
    const sgamp_metrics_family_t  *family;

    family = sgamp_page_family(first);

    sgamp_page_row(sink, 1, label, "");

    for (i = 0; i < SGAMP_METRICS_QUANTILES; i++) {
        sgamp_page_text(sink, "<td data-f=\"time\"");
        sgamp_page_path(sink, family, sgamp_metrics_quantiles[i].name);
        sgamp_page_text(sink, "\">");
        sgamp_page_duration(sink,
                            sgamp_metrics_quantile(m, first,
                                         sgamp_metrics_quantiles[i].percent));
        sgamp_page_text(sink, "</td>");
    }

    sgamp_page_text(sink, "</tr>\n");
}


static const sgamp_metrics_family_t *
sgamp_page_family(unsigned first)
{
    const sgamp_metrics_family_t  *family;

    family = sgamp_metrics_families;

    while (family->first != first) {
        family++;
    }

    return family;
}


static uint64_t
sgamp_page_result(const sgamp_metrics_t *m, sgamp_metrics_result_e result)
{
    unsigned  i;
    uint64_t  n;

    n = 0;

    for (i = 0; i < SGAMP_KINDS; i++) {
        n += m->values[sgamp_metrics_event((sgamp_kind_e) i, result)];
    }

    return n;
}


static void
sgamp_page_number(sgamp_sink_t *sink, uint64_t n)
{
    u_char    *p, buf[SGAMP_PAGE_NUMBER_SIZE];
    unsigned   digits;

    p = buf + sizeof(buf);
    digits = 0;

    do {
        if (digits != 0 && digits % 3 == 0) {
            *--p = ',';
        }

        *--p = (u_char) ('0' + n % 10);
        n /= 10;
        digits++;
    } while (n != 0);

    sgamp_json_write(sink, p, buf + sizeof(buf) - p);
}


static void
sgamp_page_bytes(sgamp_sink_t *sink, uint64_t n)
{
    unsigned  i;

    static const char  *units[] = { " kB", " MB", " GB", " TB" };

    if (n < 1000) {
        sgamp_json_decimal(sink, n);
        sgamp_page_text(sink, " B");
        return;
    }

    /* cut after the first digit, as the script does */

    for (i = 0; i < sizeof(units) / sizeof(units[0]) - 1 && n >= 1000000; i++)
    {
        n /= 1000;
    }

    sgamp_page_tenths(sink, n / 100);
    sgamp_page_string(sink, units[i]);
}


static void
sgamp_page_duration(sgamp_sink_t *sink, uint64_t us)
{
    if (us == SGAMP_METRICS_NONE) {
        sgamp_page_text(sink, SGAMP_PAGE_DASH);

    } else if (us < SGAMP_METRICS_SECOND) {
        sgamp_page_tenths(sink, us / 100);
        sgamp_page_text(sink, " ms");

    } else {
        sgamp_page_tenths(sink, us / 100000);
        sgamp_page_text(sink, " s");
    }
}


static void
sgamp_page_tenths(sgamp_sink_t *sink, uint64_t n)
{
    sgamp_json_decimal(sink, n / 10);
    sgamp_page_text(sink, ".");
    sgamp_json_decimal(sink, n % 10);
}


static void
sgamp_page_time(sgamp_sink_t *sink, uint64_t seconds, char *form)
{
    unsigned  i;
    uint64_t  days, era, year, month, parts[3];

    /* a year begins in March here, and its leap day is the last */

    days = seconds / SGAMP_PAGE_DAY + 719468;
    era = days / 146097;
    days %= 146097;

    year = (days - days / 1460 + days / 36524 - days / 146096) / 365;
    days -= 365 * year + year / 4 - year / 100;
    month = (5 * days + 2) / 153;
    days -= (153 * month + 2) / 5;
    year += 400 * era + (month >= 10);
    month = (month < 10) ? month + 3 : month - 9;

    sgamp_json_decimal(sink, year);

    parts[0] = month;
    parts[1] = days + 1;

    for (i = 0; i < 2; i++) {
        sgamp_page_text(sink, "-");
        sgamp_json_decimal(sink, parts[i] / 10);
        sgamp_json_decimal(sink, parts[i] % 10);
    }

    sgamp_json_write(sink, (u_char *) form, 1);

    seconds %= SGAMP_PAGE_DAY;
    parts[0] = seconds / 3600;
    parts[1] = seconds / 60 % 60;
    parts[2] = seconds % 60;

    for (i = 0; i < 3; i++) {
        sgamp_json_write(sink, (u_char *) ":", i != 0);
        sgamp_json_decimal(sink, parts[i] / 10);
        sgamp_json_decimal(sink, parts[i] % 10);
    }

    sgamp_page_string(sink, form + 1);
}


static void
sgamp_page_string(sgamp_sink_t *sink, const char *text)
{
    sgamp_json_write(sink, (const u_char *) text, strlen(text));
}
