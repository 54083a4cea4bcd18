
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include <time.h>

#include "sgamp_format.h"
#include "sgamp_page.h"
#include "sgamp_test.h"


#define SGAMP_TEST_DAYS  219150


static void sgamp_test_numbers(void);
static void sgamp_test_bytes(void);
static void sgamp_test_shares(void);
static void sgamp_test_weights(void);
static void sgamp_test_signatures(void);
static void sgamp_test_verdicts(void);
static void sgamp_test_times(void);
static void sgamp_test_durations(void);
static void sgamp_test_rows(void);
static void sgamp_test_meanings(void);
static void sgamp_test_cohorts(void);
static void sgamp_test_contacts(void);
static void sgamp_test_sendgrid(void);
static void sgamp_test_quota(void);
static void sgamp_test_parts(void);
static void sgamp_test_formats(void);
static void sgamp_test_slot(const sgamp_metrics_t *m, sgamp_page_slot_e slot,
    const char *want);
static void sgamp_test_write(sgamp_test_buf_t *buf, const sgamp_metrics_t *m,
    sgamp_page_slot_e slot);
static size_t sgamp_test_count(const sgamp_test_buf_t *buf, const char *text);


int
main(void)
{
    sgamp_test_numbers();
    sgamp_test_bytes();
    sgamp_test_shares();
    sgamp_test_weights();
    sgamp_test_signatures();
    sgamp_test_verdicts();
    sgamp_test_times();
    sgamp_test_durations();
    sgamp_test_rows();
    sgamp_test_meanings();
    sgamp_test_cohorts();
    sgamp_test_contacts();
    sgamp_test_sendgrid();
    sgamp_test_quota();
    sgamp_test_parts();
    sgamp_test_formats();

    return tap_done();
}


static void
sgamp_test_numbers(void)
{
    size_t           i, other;
    sgamp_metrics_t  m;

    static const struct {
        uint64_t     n;
        const char  *text;
    } tests[] = {
        { 0, "0" },
        { 9, "9" },
        { 10, "10" },
        { 999, "999" },
        { 1000, "1,000" },
        { 12345, "12,345" },
        { 999999, "999,999" },
        { 1000000, "1,000,000" },
        { UINT64_MAX, "18,446,744,073,709,551,615" }
    };

    memset(&m, 0, sizeof(sgamp_metrics_t));

    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        m.values[SGAMP_METRICS_RETRIES] = tests[i].n;
        sgamp_test_slot(&m, SGAMP_PAGE_RETRIES, tests[i].text);
    }

    for (i = 0; i < SGAMP_METRICS_STATUSES; i++) {
        m.values[SGAMP_METRICS_WEBHOOKS + i] = i + 1;
    }

    sgamp_test_slot(&m, SGAMP_PAGE_WEBHOOKS, "105");
    sgamp_test_slot(&m, SGAMP_PAGE_FAILED, "104");

    m.values[sgamp_metrics_event(SGAMP_KIND_OPEN, SGAMP_METRICS_FORWARDED)] = 5;
    other = sgamp_metrics_event(SGAMP_KIND_OTHER, SGAMP_METRICS_FORWARDED);
    m.values[other] = 6;
    m.values[sgamp_metrics_event(SGAMP_KIND_OPEN, SGAMP_METRICS_IGNORED)] = 7;
    m.values[sgamp_metrics_event(SGAMP_KIND_CLICK, SGAMP_METRICS_REJECTED)] = 8;
    m.values[SGAMP_METRICS_IN_FLIGHT] = 9;

    sgamp_test_slot(&m, SGAMP_PAGE_FORWARDED, "11");
    sgamp_test_slot(&m, SGAMP_PAGE_IGNORED, "7");
    sgamp_test_slot(&m, SGAMP_PAGE_REJECTED, "8");
    sgamp_test_slot(&m, SGAMP_PAGE_IN_FLIGHT, "9");
}


static void
sgamp_test_bytes(void)
{
    size_t           i;
    sgamp_metrics_t  m;

    static const struct {
        uint64_t     n;
        const char  *text;
    } tests[] = {
        { 0, "0 B" },
        { 999, "999 B" },
        { 1000, "1.0 kB" },
        { 1099, "1.0 kB" },
        { 1100, "1.1 kB" },
        { 999999, "999.9 kB" },
        { 1000000, "1.0 MB" },
        { 1234567890, "1.2 GB" },
        { 999999999999, "999.9 GB" },
        { 1000000000000, "1.0 TB" },
        { 1234567000000000, "1234.5 TB" }
    };

    memset(&m, 0, sizeof(sgamp_metrics_t));

    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        m.values[SGAMP_METRICS_RECEIVED_BYTES] = tests[i].n;
        sgamp_test_slot(&m, SGAMP_PAGE_RECEIVED, tests[i].text);
    }

    m.values[SGAMP_METRICS_SENT_BYTES] = 5;
    sgamp_test_slot(&m, SGAMP_PAGE_SENT, "5 B");
}


static void
sgamp_test_shares(void)
{
    size_t           i;
    sgamp_metrics_t  m;

    static const struct {
        uint64_t     failed;
        uint64_t     good;
        const char  *text;
    } tests[] = {
        { 0, 0, "0%" },
        { 0, 5, "0%" },
        { 5, 0, "100%" },
        { 1, 999, "0.1%" },
        { 1, 1000, "&lt;0.1%" },
        { 12, 988, "1.2%" },
        { 99, 901, "9.9%" },
        { 100, 900, "10%" },
        { 109, 891, "10%" },
        { 9999, 1, "99%" },
        { UINT64_MAX / 2, UINT64_MAX / 2, "50%" }
    };

    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        memset(&m, 0, sizeof(sgamp_metrics_t));

        m.values[SGAMP_METRICS_WEBHOOKS] = tests[i].good;
        m.values[sgamp_metrics_webhook(503)] = tests[i].failed;

        sgamp_test_slot(&m, SGAMP_PAGE_FAILED_SHARE, tests[i].text);
        sgamp_test_slot(&m, SGAMP_PAGE_FAILED_WRONG,
                        tests[i].failed ? "wrong" : "");

        m.values[SGAMP_METRICS_COHORTS] = tests[i].good;
        m.values[sgamp_metrics_cohort_message(503)] = tests[i].failed;

        sgamp_test_slot(&m, SGAMP_PAGE_MESSAGES_SHARE, tests[i].text);
        sgamp_test_slot(&m, SGAMP_PAGE_MESSAGES_WRONG,
                        tests[i].failed ? "wrong" : "");

        m.values[sgamp_metrics_event(SGAMP_KIND_OPEN, SGAMP_METRICS_IGNORED)] =
            tests[i].good;
        m.values[sgamp_metrics_event(SGAMP_KIND_OPEN, SGAMP_METRICS_REJECTED)] =
            tests[i].failed;

        sgamp_test_slot(&m, SGAMP_PAGE_REJECTED_SHARE, tests[i].text);
        sgamp_test_slot(&m, SGAMP_PAGE_REJECTED_WRONG,
                        tests[i].failed ? "wrong" : "");
    }
}


static void
sgamp_test_weights(void)
{
    size_t            i;
    char              text[64];
    sgamp_metrics_t   m;
    sgamp_test_buf_t  buf;

    static const struct {
        unsigned     status;
        const char  *row;
        unsigned     linked;
    } tests[] = {
        { 200, "<tr>", 0 },
        { 400, "<tr class=\"wrong\">", 1 },
        { 401, "<tr class=\"wrong\">", 1 },
        { 403, "<tr class=\"wrong\">", 1 },
        { 405, "<tr>", 1 },
        { 408, "<tr>", 1 },
        { 413, "<tr class=\"wrong\">", 1 },
        { 429, "<tr class=\"wrong\">", 1 },
        { 499, "<tr>", 1 },
        { 500, "<tr class=\"wrong\">", 1 },
        { 502, "<tr class=\"wrong\">", 1 },
        { 503, "<tr class=\"wrong\">", 1 }
    };

    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        memset(&m, 0, sizeof(sgamp_metrics_t));

        m.values[sgamp_metrics_webhook(tests[i].status)] = 1;

        sgamp_test_write(&buf, &m, SGAMP_PAGE_STATUS_ROWS);

        (void) snprintf(text, sizeof(text),
                        tests[i].linked ? "%s<th scope=\"row\">"
                                          "<a href=\"#webhook-%u\">"
                                        : "%s<th scope=\"row\">%u",
                        tests[i].row, tests[i].status);

        tap_is(sgamp_test_count(&buf, text), 1, "row of %u",
               tests[i].status);

        sgamp_test_free(&buf);
    }
}


static void
sgamp_test_signatures(void)
{
    sgamp_metrics_t   m;
    sgamp_test_buf_t  buf;

    /* "report" does not look like a refusal */

    memset(&m, 0, sizeof(sgamp_metrics_t));

    m.values[SGAMP_METRICS_SIGNED + 1] = 5;
    m.values[SGAMP_METRICS_REPORTED + 1] = 5;
    m.values[SGAMP_METRICS_SIGNED + 2] = 5;
    m.values[SGAMP_METRICS_REPORTED + 2] = 4;

    sgamp_test_write(&buf, &m, SGAMP_PAGE_SIGNATURE_ROWS);

    tap_is(sgamp_test_count(&buf, "class=\"wrong\""), 1, "one is refused");
    tap_is(sgamp_test_count(&buf,
                            "<tr data-w=\"signatures_total.missing "
                            "signatures_reported_total.missing\">"
                            "<th scope=\"row\"><a href=\"#signature-missing\">"
                            "missing</a></th>"
                            "<td class=\"m\">no signature or timestamp</td>"
                            "<td data-v=\"signatures_reported_total.missing\">"
                            "5</td><td data-v=\"signatures_total.missing\">5"
                            "</td></tr>\n"),
           1, "only reported");
    tap_is(sgamp_test_count(&buf,
                            "<tr class=\"wrong\" data-w=\"signatures_total"
                            ".malformed "),
           1, "in part");

    sgamp_test_free(&buf);
}


static void
sgamp_test_verdicts(void)
{
    sgamp_metrics_t  m;

    memset(&m, 0, sizeof(sgamp_metrics_t));

    sgamp_test_slot(&m, SGAMP_PAGE_HOST, "");
    sgamp_test_slot(&m, SGAMP_PAGE_SERVER, "");
    sgamp_test_slot(&m, SGAMP_PAGE_MODULE, SGAMP_VERSION);
    sgamp_test_slot(&m, SGAMP_PAGE_VERDICT_LEVEL, "idle");
    sgamp_test_slot(&m, SGAMP_PAGE_VERDICT, "Nothing received yet");
    sgamp_test_slot(&m, SGAMP_PAGE_LAST, "never");
    sgamp_test_slot(&m, SGAMP_PAGE_LAST_FAILURE, "never");
    sgamp_test_slot(&m, SGAMP_PAGE_LAST_STATUS, "");

    sgamp_test_set(&m.host, "gw-1.a_B<&\">");
    m.server = "nginx/1.22.1";
    m.now = 1700000000000;

    m.values[SGAMP_METRICS_WEBHOOK_LAST] = 1699999901;
    m.values[SGAMP_METRICS_WEBHOOK_LAST + 11] = 1699999991;
    m.values[SGAMP_METRICS_WEBHOOK_FIRST + 11] = 1699999931;

    sgamp_test_slot(&m, SGAMP_PAGE_HOST, "gw-1.a_B????");
    sgamp_test_slot(&m, SGAMP_PAGE_SERVER, "nginx/1.22.1");
    sgamp_test_slot(&m, SGAMP_PAGE_VERDICT_LEVEL, "bad");
    sgamp_test_slot(&m, SGAMP_PAGE_VERDICT,
                    "Refused by Amplitude since 22:12:10 UTC");
    sgamp_test_slot(&m, SGAMP_PAGE_LAST, "2023-11-14 22:13:10 UTC");
    sgamp_test_slot(&m, SGAMP_PAGE_LAST_FAILURE, "2023-11-14 22:13:10 UTC");
    sgamp_test_slot(&m, SGAMP_PAGE_LAST_STATUS, "502");

    sgamp_test_slot(&m, SGAMP_PAGE_COHORT_LEVEL, "idle");

    m.values[SGAMP_METRICS_COHORT_LAST] = 1699999901;
    m.values[SGAMP_METRICS_COHORT_LAST + 3] = 1699999801;

    sgamp_test_slot(&m, SGAMP_PAGE_COHORT_LEVEL, "good");
    sgamp_test_slot(&m, SGAMP_PAGE_COHORT_LAST, "2023-11-14 22:11:40 UTC");
    sgamp_test_slot(&m, SGAMP_PAGE_COHORT_FAILURE, "2023-11-14 22:10:00 UTC");
    sgamp_test_slot(&m, SGAMP_PAGE_COHORT_STATUS, "404");
}


static void
sgamp_test_times(void)
{
    char              text[32];
    size_t            i;
    time_t            seconds;
    unsigned          bad;
    sgamp_metrics_t   m;
    sgamp_test_buf_t  buf;

    static const struct {
        uint64_t     seconds;
        const char  *text;
    } tests[] = {
        { 0, "1970-01-01 00:00:00 UTC" },
        { 951782399, "2000-02-28 23:59:59 UTC" },
        { 951782400, "2000-02-29 00:00:00 UTC" },
        { 951868800, "2000-03-01 00:00:00 UTC" },
        { 1700414002, "2023-11-19 17:13:22 UTC" },
        { 1704067199, "2023-12-31 23:59:59 UTC" },
        { 1704067200, "2024-01-01 00:00:00 UTC" },
        { 1709251199, "2024-02-29 23:59:59 UTC" },
        { 4107542399, "2100-02-28 23:59:59 UTC" },
        { 4107542400, "2100-03-01 00:00:00 UTC" }
    };

    memset(&m, 0, sizeof(sgamp_metrics_t));

    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        m.since = tests[i].seconds;
        sgamp_test_slot(&m, SGAMP_PAGE_SINCE, tests[i].text);
    }

    sgamp_test_slot(&m, SGAMP_PAGE_SINCE_ISO, "2100-03-01T00:00:00Z");

    /* a time of each day of 600 years, by libc */

    bad = 0;

    for (i = 0; i < SGAMP_TEST_DAYS; i++) {
        m.since = i * 86400 + i * 7919 % 86400;
        seconds = (time_t) m.since;

        (void) strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC",
                        gmtime(&seconds));

        sgamp_test_write(&buf, &m, SGAMP_PAGE_SINCE);

        if (buf.len != strlen(text) || memcmp(buf.data, text, buf.len) != 0) {

            if (bad++ == 0) {
                tap_diag_bytes(text, buf.data, buf.len);
            }
        }

        sgamp_test_free(&buf);
    }

    tap_is(bad, 0, "any day is the one that libc says");
}


static void
sgamp_test_durations(void)
{
    sgamp_metrics_t   m;
    sgamp_test_buf_t  buf;

    memset(&m, 0, sizeof(sgamp_metrics_t));
    sgamp_test_write(&buf, &m, SGAMP_PAGE_LATENCY_ROWS);

    tap_is(sgamp_test_count(&buf, ">\xe2\x80\x93</td>"), 6, "of nothing");
    tap_is(sgamp_test_count(&buf, "<tr>"), 2, "two rows");

    sgamp_test_free(&buf);

    m.values[SGAMP_METRICS_WEBHOOK_TIME] = 100;
    m.values[SGAMP_METRICS_AMPLITUDE_TIME + 10] = 100;
    sgamp_test_write(&buf, &m, SGAMP_PAGE_LATENCY_ROWS);

    tap_is(sgamp_test_count(&buf, "webhook_duration_seconds.p50\">0.5 ms</td>"),
           1, "p50 of webhooks");
    tap_is(sgamp_test_count(&buf, "webhook_duration_seconds.p99\">0.9 ms</td>"),
           1, "p99");
    tap_is(sgamp_test_count(&buf,
                            "amplitude_duration_seconds.p50\">1.7 s</td>"),
           1, "p50 of requests to Amplitude");

    sgamp_test_free(&buf);

    /* the bound of a bucket, and a rank that is in the middle of one */

    memset(&m, 0, sizeof(sgamp_metrics_t));
    m.values[SGAMP_METRICS_WEBHOOK_TIME + 9] = 200;
    m.values[SGAMP_METRICS_WEBHOOK_TIME + 12] = 198;
    m.values[SGAMP_METRICS_AMPLITUDE_TIME + 9] = 2500;
    sgamp_test_write(&buf, &m, SGAMP_PAGE_LATENCY_ROWS);

    tap_is(sgamp_test_count(&buf,
                            "webhook_duration_seconds.p50\">997.5 ms</td>"),
           1, "less than a second");
    tap_is(sgamp_test_count(&buf, "webhook_duration_seconds.p99\">9.8 s</td>"),
           1, "more than a second");
    tap_is(sgamp_test_count(&buf,
                            "amplitude_duration_seconds.p95\">975.0 ms</td>"),
           1, "p95 of one bucket");

    sgamp_test_free(&buf);

    m.values[SGAMP_METRICS_WEBHOOK_TIME + 12] = 200;
    sgamp_test_write(&buf, &m, SGAMP_PAGE_LATENCY_ROWS);

    tap_is(sgamp_test_count(&buf, "webhook_duration_seconds.p50\">1.0 s</td>"),
           1, "a second");

    sgamp_test_free(&buf);
}


static void
sgamp_test_rows(void)
{
    sgamp_metrics_t   m;
    sgamp_test_buf_t  buf;

    memset(&m, 0, sizeof(sgamp_metrics_t));

    m.values[sgamp_metrics_event(SGAMP_KIND_ACCOUNT_STATUS_CHANGE,
                                 SGAMP_METRICS_REJECTED)] = 1234;

    sgamp_test_write(&buf, &m, SGAMP_PAGE_EVENT_ROWS);

    tap_is(sgamp_test_count(&buf, "<tr"), SGAMP_KINDS, "rows of events");
    tap_is(sgamp_test_count(&buf, "\" hidden>"), SGAMP_KINDS - 1, "hidden");
    tap_is(sgamp_test_count(&buf, "class=\"wrong\""), 1, "wrong");
    tap_is(sgamp_test_count(&buf,
                            "<tr class=\"wrong\" data-w=\"events_total"
                            ".account_status_change.rejected\">"
                            "<th scope=\"row\">account_<wbr>status_<wbr>"
                            "change</th>"
                            "<td data-v=\"events_total.account_status_change"
                            ".forwarded\">0</td>"
                            "<td data-v=\"events_total.account_status_change"
                            ".ignored\">0</td>"
                            "<td data-v=\"events_total.account_status_change"
                            ".rejected\">1,234</td></tr>\n"),
           1, "the one that is not");

    sgamp_test_free(&buf);

    m.values[sgamp_metrics_response(0)] = 3;
    sgamp_test_write(&buf, &m, SGAMP_PAGE_CODE_ROWS);

    tap_is(sgamp_test_count(&buf, "<tr"), SGAMP_METRICS_CODES,
           "rows of codes");
    tap_is(sgamp_test_count(&buf,
                            "<tr class=\"wrong\"><th scope=\"row\">"
                            "<a href=\"#amplitude-error\">error</a></th>"
                            "<td class=\"m\">no whole answer</td>"
                            "<td class=\"s\" data-s=\""
                            "amplitude_responses_total.error "
                            "amplitude_responses_total.*\">100%</td>"
                            "<td data-v=\"amplitude_responses_total.error\">"
                            "3</td></tr>\n"),
           1, "the one that is not hidden");

    sgamp_test_free(&buf);
}


static void
sgamp_test_meanings(void)
{
    size_t            i;
    sgamp_metrics_t   m;
    sgamp_test_buf_t  buf;

    /* one row of each table, and how many of its rows are not hidden */

    static const struct {
        sgamp_page_slot_e  slot;
        unsigned           first;
        unsigned           n;
        unsigned           row;
        const char        *text;
    } tables[] = {
        { SGAMP_PAGE_STATUS_ROWS, SGAMP_METRICS_WEBHOOKS,
          SGAMP_METRICS_STATUSES, 9,
          "<tr><th scope=\"row\"><a href=\"#webhook-499\">499</a></th>"
          "<td class=\"m\">sender gone</td>"
          "<td class=\"s\" data-s=\"webhooks_total.499 webhooks_total.*\">"
          "99%</td>"
          "<td data-v=\"webhooks_total.499\">1,009</td></tr>\n" },
        { SGAMP_PAGE_CODE_ROWS, SGAMP_METRICS_RESPONSES, SGAMP_METRICS_CODES,
          7,
          "<tr class=\"wrong\"><th scope=\"row\"><a href=\"#amplitude-429\">"
          "429</a></th><td class=\"m\">throttled</td>"
          "<td class=\"s\" data-s=\"amplitude_responses_total.429 "
          "amplitude_responses_total.*\">99%</td>"
          "<td data-v=\"amplitude_responses_total.429\">1,007</td></tr>\n" },
        { SGAMP_PAGE_REASON_ROWS, SGAMP_METRICS_REJECTED_EVENTS,
          SGAMP_METRICS_REASONS, 1,
          "<tr class=\"wrong\"><th scope=\"row\">"
          "<a href=\"#reason-no_event_type\">no_<wbr>event_<wbr>type</a></th>"
          "<td class=\"m\">has no event name</td>"
          "<td class=\"s\" data-s=\"rejected_total.no_event_type "
          "rejected_total.*\">99%</td>"
          "<td data-v=\"rejected_total.no_event_type\">1,001</td></tr>\n" },
        { SGAMP_PAGE_SIGNATURE_ROWS, SGAMP_METRICS_SIGNED,
          SGAMP_METRICS_SIGNATURES, 3,
          "<tr class=\"wrong\" data-w=\"signatures_total.stale "
          "signatures_reported_total.stale\"><th scope=\"row\">"
          "<a href=\"#signature-stale\">stale</a></th>"
          "<td class=\"m\">outside of the time window</td>"
          "<td data-v=\"signatures_reported_total.stale\">0</td>"
          "<td data-v=\"signatures_total.stale\">1,003</td></tr>\n" },
        { SGAMP_PAGE_MESSAGE_ROWS, SGAMP_METRICS_COHORTS,
          SGAMP_METRICS_MESSAGES, 6,
          "<tr class=\"wrong\"><th scope=\"row\"><a href=\"#message-409\">"
          "409</a></th><td class=\"m\">in_progress</td>"
          "<td class=\"s\" data-s=\"cohorts.cohort_messages_total.409 "
          "cohorts.cohort_messages_total.*\">99%</td>"
          "<td data-v=\"cohorts.cohort_messages_total.409\">1,006</td>"
          "</tr>\n" }
    };

    for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        memset(&m, 0, sizeof(sgamp_metrics_t));

        m.values[tables[i].first + tables[i].row] = 1000 + tables[i].row;
        m.values[tables[i].first] = 1;

        sgamp_test_write(&buf, &m, tables[i].slot);

        tap_is(sgamp_test_count(&buf, "<tr"), tables[i].n, "rows of table %zu",
               i);
        tap_is(sgamp_test_count(&buf, " hidden>"), tables[i].n - 2,
               "two are not hidden");
        tap_is(sgamp_test_count(&buf, tables[i].text), 1, "%.*s",
               (int) strcspn(tables[i].text, "\n"), tables[i].text);

        sgamp_test_free(&buf);
    }
}


static void
sgamp_test_cohorts(void)
{
    size_t            i;
    sgamp_metrics_t   m;
    sgamp_test_buf_t  buf;

    static const struct {
        sgamp_operation_e       operation;
        sgamp_contact_result_e  result;
        sgamp_page_slot_e       slot;
    } tests[] = {
        { SGAMP_ADD, SGAMP_CONTACT_ACCEPTED, SGAMP_PAGE_ADDED },
        { SGAMP_ADD, SGAMP_CONTACT_APPLIED, SGAMP_PAGE_ADDED_APPLIED },
        { SGAMP_REMOVE, SGAMP_CONTACT_ACCEPTED, SGAMP_PAGE_REMOVED },
        { SGAMP_REMOVE, SGAMP_CONTACT_ABSENT, SGAMP_PAGE_REMOVED_ABSENT }
    };

    memset(&m, 0, sizeof(sgamp_metrics_t));

    /* hidden before the first message, whatever the status of its answer */

    sgamp_test_slot(&m, SGAMP_PAGE_NO_COHORTS, " hidden");
    sgamp_test_slot(&m, SGAMP_PAGE_MESSAGES, "0");

    for (i = SGAMP_PAGE_CONTACT_ROWS; i <= SGAMP_PAGE_QUOTA_ROWS; i++) {
        sgamp_test_slot(&m, (sgamp_page_slot_e) i, "");
    }

    for (i = 0; i < SGAMP_METRICS_MESSAGES; i++) {
        memset(&m, 0, sizeof(sgamp_metrics_t));

        m.values[SGAMP_METRICS_COHORTS + i] = 1;

        sgamp_test_slot(&m, SGAMP_PAGE_NO_COHORTS, "");
        sgamp_test_slot(&m, SGAMP_PAGE_MESSAGES, "1");
        sgamp_test_slot(&m, SGAMP_PAGE_MESSAGES_FAILED, i == 0 ? "0" : "1");
    }

    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        memset(&m, 0, sizeof(sgamp_metrics_t));

        m.values[sgamp_metrics_contact(tests[i].operation, tests[i].result)] =
            1234;

        sgamp_test_slot(&m, tests[i].slot, "1,234");
    }

    memset(&m, 0, sizeof(sgamp_metrics_t));

    m.values[SGAMP_METRICS_COHORTS] = 1;
    m.values[SGAMP_METRICS_COHORT_TIME + 4] = 100;
    m.values[SGAMP_METRICS_APPLY_TIME + 4] = 100;

    sgamp_test_write(&buf, &m, SGAMP_PAGE_COHORT_LATENCY_ROWS);

    tap_is(sgamp_test_count(&buf, "<tr>"), 2, "two rows");
    tap_is(sgamp_test_count(&buf, "<th scope=\"row\">Message</th>"
                                  "<td data-f=\"time\" data-v=\"cohorts"
                                  ".cohort_duration_seconds.p50\">375.0 ms"
                                  "</td>"),
           1, "p50 of messages");
    tap_is(sgamp_test_count(&buf, "<td data-f=\"time\" data-v=\"cohorts"
                                  ".apply_seconds.p99\">29.9 s</td>"),
           1, "p99 of what was applied");

    sgamp_test_free(&buf);
}


static void
sgamp_test_contacts(void)
{
    sgamp_metrics_t   m;
    sgamp_test_buf_t  buf;

    /* a row is not hidden if there is a figure in one of its columns */

    memset(&m, 0, sizeof(sgamp_metrics_t));

    m.values[SGAMP_METRICS_COHORTS] = 1;
    m.values[sgamp_metrics_contact(SGAMP_ADD, SGAMP_CONTACT_NO_EMAIL)] = 5;
    m.values[sgamp_metrics_contact(SGAMP_REMOVE, SGAMP_CONTACT_STALE)] = 1001;

    sgamp_test_write(&buf, &m, SGAMP_PAGE_CONTACT_ROWS);

    tap_is(sgamp_test_count(&buf, "<tr"), SGAMP_CONTACT_RESULTS,
           "rows of contacts");
    tap_is(sgamp_test_count(&buf, " hidden>"), SGAMP_CONTACT_RESULTS - 2,
           "two are not hidden");
    tap_is(sgamp_test_count(&buf,
                            "<tr><th scope=\"row\">stale</th>"
                            "<td class=\"m\">a newer run has decided</td>"
                            "<td data-v=\"cohorts.contacts_total.add.stale\">"
                            "0</td>"
                            "<td data-v=\"cohorts.contacts_total.remove.stale"
                            "\">1,001</td></tr>\n"),
           1, "of those who are removed");
    tap_is(sgamp_test_count(&buf,
                            "<tr class=\"wrong\"><th scope=\"row\">"
                            "<a href=\"#contact-no_email\">no_<wbr>email</a>"),
           1, "users who are skipped");
    tap_is(sgamp_test_count(&buf,
                            "<td data-v=\"cohorts.contacts_total.add.no_email"
                            "\">5</td>"),
           1, "of those who are added");

    sgamp_test_free(&buf);
}


static void
sgamp_test_sendgrid(void)
{
    sgamp_metrics_t   m;
    sgamp_test_buf_t  buf;

    memset(&m, 0, sizeof(sgamp_metrics_t));

    m.values[SGAMP_METRICS_COHORTS] = 1;
    m.values[sgamp_metrics_sendgrid(SGAMP_CALL_PUT, 202)] = 1234;
    m.values[sgamp_metrics_sendgrid(SGAMP_CALL_IMPORT, 0)] = 6;

    sgamp_test_write(&buf, &m, SGAMP_PAGE_SENDGRID_ROWS);

    tap_is(sgamp_test_count(&buf, "<tr"), SGAMP_CALLS * SGAMP_METRICS_ANSWERS,
           "rows of calls and codes");
    tap_is(sgamp_test_count(&buf, " hidden>"),
           SGAMP_CALLS * SGAMP_METRICS_ANSWERS - 2, "two are not hidden");
    tap_is(sgamp_test_count(&buf,
                            "<tr><th scope=\"row\">put</th><td>202</td>"
                            "<td class=\"m\">accepted</td>"
                            "<td data-v=\"cohorts.sendgrid_responses_total.put"
                            ".202\">1,234</td></tr>\n"),
           1, "a call and a code");
    tap_is(sgamp_test_count(&buf,
                            "<tr class=\"wrong\"><th scope=\"row\">import</th>"
                            "<td><a href=\"#sendgrid-error\">error</a></td>"
                            "<td class=\"m\">no whole answer</td>"
                            "<td data-v=\"cohorts.sendgrid_responses_total"
                            ".import.error\">6</td></tr>\n"),
           1, "no answer");

    sgamp_test_free(&buf);
}


static void
sgamp_test_quota(void)
{
    sgamp_metrics_t   m;
    sgamp_test_buf_t  buf;

    /* nothing left is told, and nothing known is not */

    memset(&m, 0, sizeof(sgamp_metrics_t));

    m.values[SGAMP_METRICS_COHORTS] = 1;
    m.values[sgamp_metrics_quota(SGAMP_CALL_LISTS)] = 1;
    m.values[sgamp_metrics_quota(SGAMP_CALL_REMOVE)] = 1501;

    sgamp_test_write(&buf, &m, SGAMP_PAGE_QUOTA_ROWS);

    tap_is(sgamp_test_count(&buf, "<tr"), SGAMP_CALLS, "rows of calls");
    tap_is(sgamp_test_count(&buf, "<tr>"), 2, "two are not hidden");
    tap_is(sgamp_test_count(&buf,
                            "<tr><th scope=\"row\">lists</th>"
                            "<td class=\"m\">looks for a list</td>"
                            "<td data-f=\"left\" data-v=\"cohorts"
                            ".sendgrid_quota.lists\">0</td></tr>\n"),
           1, "none is left");
    tap_is(sgamp_test_count(&buf, ".remove\">1,500</td></tr>\n"), 1,
           "some are left");
    tap_is(sgamp_test_count(&buf, ".put\">\xe2\x80\x93</td></tr>\n"), 1,
           "not known");

    sgamp_test_free(&buf);
}


static void
sgamp_test_parts(void)
{
    sgamp_metrics_t    m;
    sgamp_page_row_t  parts[3];
    sgamp_test_buf_t   json;
    sgamp_test_sink_t  sink;

    /* texts and what stands in between, in their order */

    memset(&m, 0, sizeof(sgamp_metrics_t));

    m.values[SGAMP_METRICS_RETRIES] = 7;

    sgamp_test_set(&parts[0].text, "a ");
    parts[0].slot = SGAMP_PAGE_RETRIES;
    sgamp_test_set(&parts[1].text, " b ");
    parts[1].slot = SGAMP_PAGE_IN_FLIGHT;
    sgamp_test_set(&parts[2].text, " c");
    parts[2].slot = SGAMP_PAGE_NOTHING;

    sgamp_test_sink_init(&sink, 64, 0);
    sgamp_page_write(parts, 3, &m, &sink.sink);
    sgamp_test_sink_flush(&sink);

    tap_bytes(sink.buf.data, sink.buf.len, "a 7 b 0 c", 9, "parts of a page");

    sgamp_test_free(&sink.buf);

    sgamp_test_write(&json, &m, SGAMP_PAGE_JSON);
    tap_is(sgamp_test_count(&json, "\"retries_total\":7,"), 1,
           "the figures for the script");

    sgamp_test_free(&json);
}


static void
sgamp_test_formats(void)
{
    size_t  i;

    /* what clients send */

    static const struct {
        const char      *accept;
        sgamp_format_e   format;
    } tests[] = {
        { "", SGAMP_FORMAT_HTML },
        { "*/*", SGAMP_FORMAT_HTML },
        { "text/html,application/xhtml+xml,application/xml;q=0.9,"
          "image/avif,image/webp,*/*;q=0.8",
          SGAMP_FORMAT_HTML },
        { "application/json", SGAMP_FORMAT_JSON },
        { "Application/JSON", SGAMP_FORMAT_JSON },
        { " application/json ; charset=utf-8 ", SGAMP_FORMAT_JSON },
        { "application/json, */*;q=0.5", SGAMP_FORMAT_JSON },
        { "application/json, text/html;q=0.9", SGAMP_FORMAT_JSON },
        { "application/json;q=0.8, text/html;q=0.9", SGAMP_FORMAT_HTML },
        { "application/json, text/javascript, */*; q=0.01",
          SGAMP_FORMAT_JSON },
        { "application/*", SGAMP_FORMAT_JSON },
        { "text/*", SGAMP_FORMAT_HTML },
        { "text/plain", SGAMP_FORMAT_PROMETHEUS },
        { "text/plain;version=0.0.4;q=1,*/*;q=0.1", SGAMP_FORMAT_PROMETHEUS },
        { "application/openmetrics-text;version=1.0.0,"
          "application/openmetrics-text;version=0.0.1;q=0.75,"
          "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
          SGAMP_FORMAT_PROMETHEUS },
        { "application/vnd.google.protobuf;"
          "proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,"
          "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;"
          "q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
          "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
          SGAMP_FORMAT_PROMETHEUS },
        { "text/html;q=0, */*", SGAMP_FORMAT_JSON },
        { "text/html;q=0.0, application/json;q=0.000, */*",
          SGAMP_FORMAT_PROMETHEUS },
        { "text/html;q=0.5, application/json;q=0.501", SGAMP_FORMAT_JSON },
        { "text/plain;Q=0.2, application/json;q=.9, text/html;q=0.3",
          SGAMP_FORMAT_JSON },
        { "image/png", SGAMP_FORMAT_HTML },
        { ",,;;,=;q,q=;/*", SGAMP_FORMAT_HTML },
        { "application/json;", SGAMP_FORMAT_JSON },
        { "application/json;q", SGAMP_FORMAT_JSON },
        { "application/json;q=", SGAMP_FORMAT_JSON },
        { "application/json;q=0", SGAMP_FORMAT_HTML },
        { "application/json;q=0.", SGAMP_FORMAT_HTML },
        { "text/html;q=05, application/json;q=0.2", SGAMP_FORMAT_HTML },
        { "text/html;q=0.5, application/json;q=0.5009", SGAMP_FORMAT_HTML },
        { "text/html;q=0.5, application/json;q=0.51", SGAMP_FORMAT_JSON },
        { "text/html;q=0.5, application/json;q=0.5:", SGAMP_FORMAT_HTML },
        { "text/html;q=0.5, application/json;q=0.5/", SGAMP_FORMAT_HTML },
        { "text/html;q=0.9, application/json;q=1", SGAMP_FORMAT_JSON },
        { "text/html;q=0.9, application/json;q=1.0", SGAMP_FORMAT_JSON },
        { "text/html;a=0;q=0.1;q=1, application/json;q=0.2",
          SGAMP_FORMAT_JSON },
        { "text/html;q=0.1, text/html;q=0.3, application/json;q=0.2",
          SGAMP_FORMAT_HTML },
        { "text/html;q=0.1, */*;q=0.3, application/json;q=0.2",
          SGAMP_FORMAT_PROMETHEUS },
        { "text/*;q=0.1, text/html;q=0.3, application/json;q=0.2",
          SGAMP_FORMAT_HTML },
        { "text/html;q=0.3, text/*;q=0.1, application/json;q=0.2",
          SGAMP_FORMAT_HTML },
        { "\ttext/plain\t;\tq\t=1", SGAMP_FORMAT_PROMETHEUS },
        { "text/plain ,image/png", SGAMP_FORMAT_PROMETHEUS },
        { "TEXT/PLAIN", SGAMP_FORMAT_PROMETHEUS },
        { "TeXt/plaiN\t", SGAMP_FORMAT_PROMETHEUS },
        { "text/plai", SGAMP_FORMAT_HTML },
        { "application/openmetrics-text", SGAMP_FORMAT_PROMETHEUS }
    };

    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        tap_is(sgamp_format_accept((u_char *) tests[i].accept,
                                   strlen(tests[i].accept)),
               tests[i].format, "\"%s\"", tests[i].accept);
    }

    tap_is(sgamp_format_accept(NULL, 0), SGAMP_FORMAT_HTML, "no header");

    tap_is(sgamp_format_lookup((u_char *) "html", 4), SGAMP_FORMAT_HTML,
           "html");
    tap_is(sgamp_format_lookup((u_char *) "json", 4), SGAMP_FORMAT_JSON,
           "json");
    tap_is(sgamp_format_lookup((u_char *) "prometheus", 10),
           SGAMP_FORMAT_PROMETHEUS, "prometheus");
    tap_is(sgamp_format_lookup((u_char *) "jso", 3), SGAMP_FORMATS,
           "of another name");
}


static void
sgamp_test_slot(const sgamp_metrics_t *m, sgamp_page_slot_e slot,
    const char *want)
{
    sgamp_test_buf_t  buf;

    sgamp_test_write(&buf, m, slot);

    tap_bytes(buf.data, buf.len, want, strlen(want), "%s", want);

    sgamp_test_free(&buf);
}


static void
sgamp_test_write(sgamp_test_buf_t *buf, const sgamp_metrics_t *m,
    sgamp_page_slot_e slot)
{
    sgamp_page_row_t  part;
    sgamp_test_sink_t  sink;

    part.text.data = (u_char *) "";
    part.text.len = 0;
    part.slot = slot;

    sgamp_test_sink_init(&sink, 64, 0);
    sgamp_page_write(&part, 1, m, &sink.sink);
    sgamp_test_sink_flush(&sink);

    *buf = sink.buf;
}


static size_t
sgamp_test_count(const sgamp_test_buf_t *buf, const char *text)
{
    char    *p;
    size_t   n;

    n = 0;

    for (p = strstr((char *) buf->data, text); p != NULL;
         p = strstr(p + 1, text))
    {
        n++;
    }

    return n;
}
