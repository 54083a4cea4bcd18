
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_figure.h"
#include "sgamp_page.h"
#include "sgamp_time.h"
#include "sgamp_verdict.h"


#define sgamp_page_text(sink, text)                                           \
    sgamp_json_write(sink, (u_char *) text, sizeof(text) - 1)


/*
 * Tables of a family: what is linked has an explanation on the page, and what
 * is wrong has weight.  The share is that of the sum.
 */

typedef struct {
    unsigned      first;
    const char  **meanings;
    const char   *link;    /* before the label, or NULL */
    unsigned      share:1;
} sgamp_page_table_t;


static void sgamp_page_slot(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    sgamp_page_slot_e slot);
static void sgamp_page_about(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    sgamp_page_slot_e slot);
static void sgamp_page_cohort_slot(const sgamp_metrics_t *m,
    sgamp_sink_t *sink, sgamp_page_slot_e slot);
static void sgamp_page_contact(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    sgamp_operation_e operation, sgamp_contact_result_e result);
static void sgamp_page_contacts(const sgamp_metrics_t *m, sgamp_sink_t *sink);
static void sgamp_page_sendgrid(const sgamp_metrics_t *m, sgamp_sink_t *sink);
static void sgamp_page_events(const sgamp_metrics_t *m, sgamp_sink_t *sink);
static void sgamp_page_rows(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    const sgamp_page_table_t *table);
static void sgamp_page_signed(const sgamp_metrics_t *m, sgamp_sink_t *sink);
static void sgamp_page_verdict(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    sgamp_verdict_flow_e flow, unsigned part);
static void sgamp_page_row(sgamp_sink_t *sink, uint64_t n, int wrong,
    const char *paths, const char *label);
static void sgamp_page_head(sgamp_sink_t *sink, const char *link,
    const char *label, int fine);
static void sgamp_page_label(sgamp_sink_t *sink, const char *link,
    const char *label, int fine);
static int sgamp_page_is_fine(const char *label);
static int sgamp_page_is_wrong(const char *label);
static void sgamp_page_meaning(sgamp_sink_t *sink, const char *meaning);
static void sgamp_page_cell(sgamp_sink_t *sink,
    const sgamp_metrics_family_t *family, const char *label,
    const char *inner);
static void sgamp_page_path(sgamp_sink_t *sink, const char *before,
    const sgamp_metrics_family_t *family, const char *label);
static void sgamp_page_latency(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    unsigned first, const char *label);
static uint64_t sgamp_page_result(const sgamp_metrics_t *m,
    sgamp_metrics_result_e result);
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


static const sgamp_page_table_t  sgamp_page_webhook_table = {
    SGAMP_METRICS_WEBHOOKS, sgamp_page_statuses, "webhook", 1
};

static const sgamp_page_table_t  sgamp_page_amplitude_table = {
    SGAMP_METRICS_RESPONSES, sgamp_page_codes, "amplitude", 1
};

static const sgamp_page_table_t  sgamp_page_reason_table = {
    SGAMP_METRICS_REJECTED_EVENTS, sgamp_page_reasons, "reason", 1
};

static const sgamp_page_table_t  sgamp_page_message_table = {
    SGAMP_METRICS_COHORTS, sgamp_page_messages, "message", 1
};

static const sgamp_page_table_t  sgamp_page_quota_table = {
    SGAMP_METRICS_QUOTA, sgamp_page_calls, NULL, 0
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

    if (slot >= SGAMP_PAGE_HOST && slot <= SGAMP_PAGE_SINCE) {
        sgamp_page_about(m, sink, slot);
        return;
    }

    switch (slot) {

    case SGAMP_PAGE_FORWARDED:
        sgamp_figure_count(sink, sgamp_page_result(m, SGAMP_METRICS_FORWARDED));
        break;

    case SGAMP_PAGE_IGNORED:
        sgamp_figure_count(sink, sgamp_page_result(m, SGAMP_METRICS_IGNORED));
        break;

    case SGAMP_PAGE_REJECTED:
        sgamp_figure_count(sink, sgamp_page_result(m, SGAMP_METRICS_REJECTED));
        break;

    case SGAMP_PAGE_REJECTED_SHARE:
        n = sgamp_metrics_sum(m, SGAMP_METRICS_EVENTS,
                              SGAMP_KINDS * SGAMP_METRICS_RESULTS);
        sgamp_figure_share(sink, sgamp_page_result(m, SGAMP_METRICS_REJECTED),
                         n);
        break;

    case SGAMP_PAGE_REJECTED_WRONG:
        n = sgamp_page_result(m, SGAMP_METRICS_REJECTED);
        sgamp_page_string(sink, n ? "wrong" : "");
        break;

    case SGAMP_PAGE_WEBHOOKS:
        n = sgamp_metrics_sum(m, SGAMP_METRICS_WEBHOOKS,
                              SGAMP_METRICS_STATUSES);
        sgamp_figure_count(sink, n);
        break;

    case SGAMP_PAGE_FAILED:
        n = sgamp_metrics_sum(m, SGAMP_METRICS_WEBHOOKS + 1,
                              SGAMP_METRICS_STATUSES - 1);
        sgamp_figure_count(sink, n);
        break;

    case SGAMP_PAGE_FAILED_SHARE:
        n = sgamp_metrics_sum(m, SGAMP_METRICS_WEBHOOKS + 1,
                              SGAMP_METRICS_STATUSES - 1);
        sgamp_figure_share(sink, n, n + m->values[SGAMP_METRICS_WEBHOOKS]);
        break;

    case SGAMP_PAGE_FAILED_WRONG:
        n = sgamp_metrics_sum(m, SGAMP_METRICS_WEBHOOKS + 1,
                              SGAMP_METRICS_STATUSES - 1);
        sgamp_page_string(sink, n ? "wrong" : "");
        break;

    case SGAMP_PAGE_IN_FLIGHT:
        sgamp_figure_count(sink, m->values[SGAMP_METRICS_IN_FLIGHT]);
        break;

    case SGAMP_PAGE_RETRIES:
        sgamp_figure_count(sink, m->values[SGAMP_METRICS_RETRIES]);
        break;

    case SGAMP_PAGE_RECEIVED:
        sgamp_figure_bytes(sink, m->values[SGAMP_METRICS_RECEIVED_BYTES]);
        break;

    case SGAMP_PAGE_SENT:
        sgamp_figure_bytes(sink, m->values[SGAMP_METRICS_SENT_BYTES]);
        break;

    case SGAMP_PAGE_EVENT_ROWS:
        sgamp_page_events(m, sink);
        break;

    case SGAMP_PAGE_STATUS_ROWS:
        sgamp_page_rows(m, sink, &sgamp_page_webhook_table);
        break;

    case SGAMP_PAGE_CODE_ROWS:
        sgamp_page_rows(m, sink, &sgamp_page_amplitude_table);
        break;

    case SGAMP_PAGE_REASON_ROWS:
        sgamp_page_rows(m, sink, &sgamp_page_reason_table);
        break;

    case SGAMP_PAGE_SIGNATURE_ROWS:
        sgamp_page_signed(m, sink);
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
sgamp_page_about(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    sgamp_page_slot_e slot)
{
    switch (slot) {

    case SGAMP_PAGE_HOST:
        sgamp_metrics_host(m, sink);
        break;

    case SGAMP_PAGE_SERVER:
        sgamp_page_string(sink, m->server ? m->server : "");
        break;

    case SGAMP_PAGE_MODULE:
        sgamp_page_text(sink, SGAMP_VERSION);
        break;

    case SGAMP_PAGE_VERDICT_LEVEL:
    case SGAMP_PAGE_VERDICT:
    case SGAMP_PAGE_LAST:
    case SGAMP_PAGE_LAST_FAILURE:
    case SGAMP_PAGE_LAST_STATUS:
        sgamp_page_verdict(m, sink, SGAMP_VERDICT_WEBHOOKS,
                           slot - SGAMP_PAGE_VERDICT_LEVEL);
        break;

    case SGAMP_PAGE_SINCE_ISO:
        sgamp_time_write_date(sink, m->since);
        sgamp_page_text(sink, "T");
        sgamp_time_write_clock(sink, m->since);
        sgamp_page_text(sink, "Z");
        break;

    default: /* SGAMP_PAGE_SINCE */
        sgamp_figure_when(sink, m->since + 1);
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

    case SGAMP_PAGE_COHORT_LEVEL:
    case SGAMP_PAGE_COHORT_VERDICT:
    case SGAMP_PAGE_COHORT_LAST:
    case SGAMP_PAGE_COHORT_FAILURE:
    case SGAMP_PAGE_COHORT_STATUS:
        sgamp_page_verdict(m, sink, SGAMP_VERDICT_COHORTS,
                           slot - SGAMP_PAGE_COHORT_LEVEL);
        break;

    case SGAMP_PAGE_MESSAGES:
        sgamp_figure_count(sink, n);
        break;

    case SGAMP_PAGE_MESSAGES_FAILED:
        sgamp_figure_count(sink, failed);
        break;

    case SGAMP_PAGE_MESSAGES_SHARE:
        sgamp_figure_share(sink, failed, n);
        break;

    case SGAMP_PAGE_MESSAGES_WRONG:
        sgamp_page_string(sink, failed ? "wrong" : "");
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
        sgamp_page_rows(m, sink, &sgamp_page_message_table);
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
        sgamp_page_rows(m, sink, &sgamp_page_quota_table);
        break;
    }
}


static void
sgamp_page_contact(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    sgamp_operation_e operation, sgamp_contact_result_e result)
{
    sgamp_figure_count(sink,
                      m->values[sgamp_metrics_contact(operation, result)]);
}


static void
sgamp_page_contacts(const sgamp_metrics_t *m, sgamp_sink_t *sink)
{
    unsigned                       i, j;
    uint64_t                       n;
    const char                    *label;
    const sgamp_metrics_family_t  *family;

    family = sgamp_metrics_family(SGAMP_METRICS_CONTACTS);

    for (i = 0; i < SGAMP_CONTACT_RESULTS; i++) {
        label = family->labels[1]->value(i);
        n = 0;

        for (j = 0; j < SGAMP_OPERATIONS; j++) {
            n += m->values[sgamp_metrics_contact((sgamp_operation_e) j,
                                                 (sgamp_contact_result_e) i)];
        }

        sgamp_page_row(sink, n, i >= SGAMP_CONTACT_NO_EMAIL, NULL, label);
        sgamp_page_head(sink, "contact", label,
                        i < SGAMP_CONTACT_NO_EMAIL);
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

    family = sgamp_metrics_family(SGAMP_METRICS_SENDGRID);
    value = &m->values[SGAMP_METRICS_SENDGRID];

    for (i = 0; i < SGAMP_CALLS; i++) {
        call = family->labels[0]->value(i);

        for (j = 0; j < SGAMP_METRICS_ANSWERS; j++) {
            code = family->labels[1]->value(j);

            sgamp_page_row(sink, *value, sgamp_page_is_wrong(code), NULL, call);
            sgamp_page_head(sink, "", call, 1);

            sgamp_page_text(sink, "<td>");
            sgamp_page_label(sink, "sendgrid", code,
                             sgamp_page_is_fine(code));
            sgamp_page_text(sink, "</td>");
            sgamp_page_meaning(sink, sgamp_page_answers[j]);

            sgamp_page_cell(sink, family, call, code);
            sgamp_figure_count(sink, *value++);
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

    family = sgamp_metrics_family(SGAMP_METRICS_EVENTS);
    value = &m->values[SGAMP_METRICS_EVENTS];

    for (i = 0; i < SGAMP_KINDS; i++) {
        label = family->labels[0]->value(i);

        n = value[SGAMP_METRICS_FORWARDED] + value[SGAMP_METRICS_IGNORED]
            + value[SGAMP_METRICS_REJECTED];

        sgamp_page_row(sink, n, value[SGAMP_METRICS_REJECTED] != 0,
                       "events_total.%.rejected", label);
        sgamp_page_head(sink, "", label, 1);

        for (j = 0; j < SGAMP_METRICS_RESULTS; j++) {
            sgamp_page_cell(sink, family, label, family->labels[1]->value(j));
            sgamp_figure_count(sink, *value++);
            sgamp_page_text(sink, "</td>");
        }

        sgamp_page_text(sink, "</tr>\n");
    }
}


static void
sgamp_page_rows(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    const sgamp_page_table_t *table)
{
    int                            wrong;
    unsigned                       i;
    uint64_t                       n, all;
    const char                    *label;
    const sgamp_metrics_family_t  *family;

    family = sgamp_metrics_family(table->first);
    all = sgamp_metrics_sum(m, table->first, family->labels[0]->n);

    for (i = 0; i < family->labels[0]->n; i++) {
        label = family->labels[0]->value(i);
        n = m->values[table->first + i];

        wrong = table->first == SGAMP_METRICS_REJECTED_EVENTS
                || sgamp_page_is_wrong(label);

        sgamp_page_row(sink, n, wrong, NULL, label);
        sgamp_page_head(sink, table->link, label,
                        table->link == NULL || sgamp_page_is_fine(label));
        sgamp_page_meaning(sink, table->meanings[i]);

        if (table->share) {
            sgamp_page_text(sink, "<td class=\"s\"");
            sgamp_page_path(sink, " data-s=\"", family, label);
            sgamp_page_path(sink, " ", family, "*");
            sgamp_page_text(sink, "\">");
            sgamp_figure_share(sink, n, all);
            sgamp_page_text(sink, "</td>");
        }

        sgamp_page_cell(sink, family, label, NULL);

        if (family->unset && n == 0) {
            sgamp_page_text(sink, SGAMP_FIGURE_NONE);

        } else {
            sgamp_figure_count(sink, n - family->unset);
        }

        sgamp_page_text(sink, "</td></tr>\n");
    }
}


static void
sgamp_page_signed(const sgamp_metrics_t *m, sgamp_sink_t *sink)
{
    unsigned                       i;
    uint64_t                       n, through;
    const char                    *label;
    const sgamp_metrics_family_t  *family, *reported;

    family = sgamp_metrics_family(SGAMP_METRICS_SIGNED);
    reported = sgamp_metrics_family(SGAMP_METRICS_REPORTED);

    for (i = 0; i < SGAMP_METRICS_SIGNATURES; i++) {
        label = family->labels[0]->value(i);
        n = m->values[SGAMP_METRICS_SIGNED + i];
        through = m->values[SGAMP_METRICS_REPORTED + i];

        /* a signature that was only reported has refused nothing */

        sgamp_page_row(sink, n, i != 0 && n > through,
                       i != 0 ? "signatures_total.%"
                                " signatures_reported_total.%"
                              : NULL,
                       label);
        sgamp_page_head(sink, "signature", label, i == 0);
        sgamp_page_meaning(sink, sgamp_page_signatures[i]);

        sgamp_page_cell(sink, reported, label, NULL);
        sgamp_figure_count(sink, through);
        sgamp_page_text(sink, "</td>");

        sgamp_page_cell(sink, family, label, NULL);
        sgamp_figure_count(sink, n);
        sgamp_page_text(sink, "</td></tr>\n");
    }
}


static void
sgamp_page_verdict(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    sgamp_verdict_flow_e flow, unsigned part)
{
    sgamp_verdict_t  verdict;

    sgamp_verdict(m, flow, &verdict);

    switch (part) {

    case SGAMP_PAGE_VERDICT_LEVEL - SGAMP_PAGE_VERDICT_LEVEL:
        sgamp_page_string(sink, sgamp_verdict_level(&verdict));
        break;

    case SGAMP_PAGE_VERDICT - SGAMP_PAGE_VERDICT_LEVEL:
        sgamp_verdict_write(&verdict, sink);
        break;

    case SGAMP_PAGE_LAST - SGAMP_PAGE_VERDICT_LEVEL:
        sgamp_figure_when(sink, verdict.last);
        break;

    case SGAMP_PAGE_LAST_FAILURE - SGAMP_PAGE_VERDICT_LEVEL:
        sgamp_figure_when(sink, verdict.failure);
        break;

    default: /* the status of the failure */
        sgamp_page_string(sink, verdict.failure ? verdict.status : "");
        break;
    }
}


static void
sgamp_page_row(sgamp_sink_t *sink, uint64_t n, int wrong, const char *paths,
    const char *label)
{
    const char  *p;

    sgamp_page_text(sink, "<tr");

    if (wrong) {
        sgamp_page_text(sink, " class=\"wrong\"");
    }

    /* wrong is what the first has more than the second, if that is told */

    if (paths != NULL) {
        sgamp_page_text(sink, " data-w=\"");

        for (p = paths; *p != '\0'; p++) {
            if (*p == '%') {
                sgamp_page_string(sink, label);

            } else {
                sgamp_json_write(sink, (const u_char *) p, 1);
            }
        }

        sgamp_page_text(sink, "\"");
    }

    /* a figure that never happened has no line */

    if (n == 0) {
        sgamp_page_text(sink, " hidden");
    }

    sgamp_page_text(sink, ">");
}


static void
sgamp_page_head(sgamp_sink_t *sink, const char *link, const char *label,
    int fine)
{
    sgamp_page_text(sink, "<th scope=\"row\">");
    sgamp_page_label(sink, link, label, fine);
    sgamp_page_text(sink, "</th>");
}


static void
sgamp_page_label(sgamp_sink_t *sink, const char *link, const char *label,
    int fine)
{
    const char  *p;

    if (!fine) {
        sgamp_page_text(sink, "<a href=\"#");
        sgamp_page_string(sink, link);
        sgamp_page_text(sink, "-");
        sgamp_page_string(sink, label);
        sgamp_page_text(sink, "\">");
    }

    for (p = label; *p != '\0'; p++) {
        sgamp_json_write(sink, (const u_char *) p, 1);

        /* a long name may be broken */

        if (*p == '_') {
            sgamp_page_text(sink, "<wbr>");
        }
    }

    if (!fine) {
        sgamp_page_text(sink, "</a>");
    }
}


static int
sgamp_page_is_fine(const char *label)
{
    return label[0] == '2' || strcmp(label, "ok") == 0;
}


static int
sgamp_page_is_wrong(const char *label)
{
    size_t  i;

    /* what strangers, clients that leave and searches cause is usual */

    static const char *const  usual[] = { "404", "405", "408", "499", "other" };

    for (i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        if (strcmp(label, usual[i]) == 0) {
            return 0;
        }
    }

    return label[0] == '4' || label[0] == '5' || strcmp(label, "error") == 0;
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
    sgamp_page_path(sink, " data-v=\"", family, label);

    if (inner != NULL) {
        sgamp_page_text(sink, ".");
        sgamp_page_string(sink, inner);
    }

    sgamp_page_text(sink, "\">");
}


static void
sgamp_page_path(sgamp_sink_t *sink, const char *before,
    const sgamp_metrics_family_t *family, const char *label)
{
    /* the script finds the value under this name */

    sgamp_page_string(sink, before);

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

    family = sgamp_metrics_family(first);

    sgamp_page_row(sink, 1, 0, NULL, label);
    sgamp_page_head(sink, "", label, 1);

    for (i = 0; i < SGAMP_METRICS_QUANTILES; i++) {
        sgamp_page_text(sink, "<td data-f=\"time\"");
        sgamp_page_path(sink, " data-v=\"", family,
                        sgamp_metrics_quantiles[i].name);
        sgamp_page_text(sink, "\">");
        sgamp_figure_duration(sink,
                            sgamp_metrics_quantile(m, first,
                                         sgamp_metrics_quantiles[i].percent));
        sgamp_page_text(sink, "</td>");
    }

    sgamp_page_text(sink, "</tr>\n");
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
sgamp_page_string(sgamp_sink_t *sink, const char *text)
{
    sgamp_json_write(sink, (const u_char *) text, strlen(text));
}
