
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include <stdlib.h>

#include "sgamp_metrics.h"
#include "sgamp_test.h"


#define SGAMP_TEST_EVENTS   (14 + 1 + 45 + 14 + 1 + 7 + 5 + 2 + 2 * 17 + 5)
#define SGAMP_TEST_COHORTS  (15 + 2 * 8 + 8 * 17 + 8 + 2 * 17)


typedef void (*sgamp_test_metrics_pt)(const sgamp_metrics_t *m,
    sgamp_sink_t *sink);


static void sgamp_test_counters(void);
static void sgamp_test_cohorts(void);
static void sgamp_test_buckets(void);
static void sgamp_test_cohort_buckets(void);
static void sgamp_test_quantiles(void);
static void sgamp_test_prometheus(void);
static void sgamp_test_prometheus_cohorts(void);
static void sgamp_test_json(void);
static void sgamp_test_json_cohorts(void);
static void sgamp_test_sums(void);
static void sgamp_test_portions(sgamp_test_metrics_pt write,
    const char *name);
static void sgamp_test_metrics(sgamp_metrics_t *m);
static void sgamp_test_render(sgamp_test_buf_t *buf,
    sgamp_test_metrics_pt write, const sgamp_metrics_t *m);
static void sgamp_test_has(const sgamp_test_buf_t *buf, const char *text);


int
main(void)
{
    sgamp_test_counters();
    sgamp_test_cohorts();
    sgamp_test_buckets();
    sgamp_test_cohort_buckets();
    sgamp_test_quantiles();
    sgamp_test_prometheus();
    sgamp_test_prometheus_cohorts();
    sgamp_test_json();
    sgamp_test_json_cohorts();
    sgamp_test_sums();
    sgamp_test_portions(sgamp_metrics_prometheus, "Prometheus");
    sgamp_test_portions(sgamp_metrics_json, "JSON");

    return tap_done();
}


static void
sgamp_test_counters(void)
{
    unsigned      i, n, seen[SGAMP_METRICS];
    sgamp_str_t   reason;
    sgamp_kind_e  kind;

    static const char *reasons[] = {
        "not_an_object", "no_event_type", "no_user_id", "amplitude_400",
        "amplitude_403", "amplitude_413", "amplitude_404", "", "amplitude_4000",
        "amplitude_40", NULL
    };
    static const char *names[] = {
        "processed", "dropped", "deferred", "delivered", "bounce", "open",
        "click", "spamreport", "unsubscribe", "group_unsubscribe",
        "group_resubscribe", "account_status_change", "received",
        "machine_open", NULL
    };

    /* whatever the status, it is one of a family, and few are no other */

    memset(seen, 0, sizeof(seen));

    for (i = 0; i < 1000; i++) {
        seen[sgamp_metrics_webhook(i)]++;
        seen[sgamp_metrics_response(i)]++;
    }

    n = SGAMP_METRICS_WEBHOOKS + SGAMP_METRICS_STATUSES - 1;

    tap_is(seen[n], 1000 - 13, "statuses of webhooks that are another");

    for (i = SGAMP_METRICS_WEBHOOKS; i < n; i++) {
        tap_is(seen[i], 1, "statuses of counter %u", i);
    }

    n = SGAMP_METRICS_RESPONSES + SGAMP_METRICS_CODES - 1;

    tap_is(seen[n], 1, "codes that are none");
    tap_is(seen[n - 1], 1000 - 13, "codes that are another");

    for (i = SGAMP_METRICS_RESPONSES; i < n - 1; i++) {
        tap_is(seen[i], 1, "codes of counter %u", i);
    }

    tap_is(sgamp_metrics_webhook(200), SGAMP_METRICS_WEBHOOKS, "200");
    tap_is(sgamp_metrics_response(0), n, "no answer");

    for (i = 0; reasons[i] != NULL; i++) {
        sgamp_test_set(&reason, reasons[i]);

        tap_is(sgamp_metrics_rejected(&reason),
               SGAMP_METRICS_REJECTED_EVENTS + (i < 6 ? i : 6),
               "reason \"%s\"", reasons[i]);
    }

    memset(seen, 0, sizeof(seen));

    for (kind = 0; kind < SGAMP_KINDS; kind++) {
        for (i = 0; i < SGAMP_METRICS_RESULTS; i++) {
            seen[sgamp_metrics_event(kind, (sgamp_metrics_result_e) i)]++;
        }
    }

    n = 0;

    for (i = SGAMP_METRICS_EVENTS; i < SGAMP_METRICS_RESPONSES; i++) {
        n += (seen[i] == 1);
    }

    tap_is(n, SGAMP_KINDS * SGAMP_METRICS_RESULTS,
           "each event and result has a counter");

    /* SendGrid's own, with names that differ */

    for (i = 0; names[i] != NULL; i++) {
        kind = sgamp_kind_lookup((u_char *) names[i], strlen(names[i]));

        tap_ok(kind != SGAMP_KIND_OTHER
               && strcmp(sgamp_kind_name(kind), names[i]) == 0,
               "\"%s\" is known", names[i]);
    }

    tap_is(i, SGAMP_KIND_OTHER, "no other event is known");
}


static void
sgamp_test_cohorts(void)
{
    unsigned  i, j, n, seen[SGAMP_METRICS];

    memset(seen, 0, sizeof(seen));

    for (i = 0; i < 1000; i++) {
        seen[sgamp_metrics_cohort_message(i)]++;

        for (j = 0; j < SGAMP_CALLS; j++) {
            seen[sgamp_metrics_sendgrid((sgamp_call_e) j, i)]++;
        }
    }

    for (i = 0; i < SGAMP_OPERATIONS; i++) {
        for (j = 0; j < SGAMP_CONTACT_RESULTS; j++) {
            n = sgamp_metrics_contact((sgamp_operation_e) i,
                                      (sgamp_contact_result_e) j);
            seen[n]++;

            tap_ok(n >= SGAMP_METRICS_ELEMENTS
                   && n < SGAMP_METRICS_ELEMENTS_END,
                   "contact %u %u may be rejected", i, j);
        }
    }

    for (i = 0; i < SGAMP_CALLS; i++) {
        seen[sgamp_metrics_quota((sgamp_call_e) i)]++;
    }

    for (i = 0; i < SGAMP_METRICS_CONTACTS; i++) {
        if (seen[i] != 0) {
            break;
        }
    }

    tap_is(i, SGAMP_METRICS_CONTACTS, "no counter of events");

    n = SGAMP_METRICS_COHORTS + SGAMP_METRICS_MESSAGES - 1;

    tap_is(seen[n], 1000 - 14, "statuses of messages that are another");
    seen[n] = 1;

    for (i = 0; i < SGAMP_CALLS; i++) {
        n = SGAMP_METRICS_SENDGRID + (i + 1) * SGAMP_METRICS_ANSWERS - 2;

        tap_is(seen[n], 1000 - 16, "codes of call %u that are another", i);
        seen[n] = 1;

        tap_is(sgamp_metrics_sendgrid((sgamp_call_e) i, 0), n + 1,
               "no answer to call %u", i);
    }

    for (i = SGAMP_METRICS_CONTACTS; i < SGAMP_METRICS_COHORT_TIME; i++) {
        if (seen[i] != 1) {
            break;
        }
    }

    tap_is(i, SGAMP_METRICS_COHORT_TIME, "each counter is counted in once");

    tap_is(sgamp_metrics_cohort_message(200), SGAMP_METRICS_COHORTS, "200");
    tap_is(sgamp_metrics_cohort_message(409), SGAMP_METRICS_COHORTS + 6,
           "409");
    tap_is(sgamp_metrics_cohort_message(503), SGAMP_METRICS_COHORTS + 13,
           "503");
    tap_is(sgamp_metrics_contact(SGAMP_REMOVE, SGAMP_CONTACT_ABSENT),
           SGAMP_METRICS_CONTACTS + 10, "nothing to remove");
    tap_is(sgamp_metrics_sendgrid(SGAMP_CALL_PUT, 202),
           SGAMP_METRICS_SENDGRID + 3 * 17 + 2, "202 to PUT");
    tap_is(sgamp_metrics_sendgrid(SGAMP_CALL_IMPORT, 504),
           SGAMP_METRICS_SENDGRID + 7 * 17 + 14, "504 to a look at a job");
    tap_is(sgamp_metrics_quota(SGAMP_CALL_SEARCH), SGAMP_METRICS_QUOTA + 4,
           "searches left");
}


static void
sgamp_test_buckets(void)
{
    unsigned  i, first;
    uint64_t  ms;

    static const unsigned bounds[] = {
        1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000
    };

    first = SGAMP_METRICS_AMPLITUDE_TIME;

    tap_is(sgamp_metrics_bucket(first, 0), first, "0 ms");

    for (i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        ms = bounds[i];

        tap_is(sgamp_metrics_bucket(first, ms), first + i, "%u ms", bounds[i]);
        tap_is(sgamp_metrics_bucket(first, ms + 1), first + i + 1, "and more");
    }

    tap_is(sgamp_metrics_bucket(first, UINT64_MAX), first + i, "very long");
}


static void
sgamp_test_cohort_buckets(void)
{
    char      text[32];
    unsigned  i, j, first;

    /* in ms */

    static const unsigned bounds[2][SGAMP_METRICS_BUCKETS - 1] = {
        { 10, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 120000,
          300000, 600000 },
        { 1000, 5000, 10000, 20000, 30000, 45000, 60000, 90000, 120000, 180000,
          240000, 300000, 600000, 900000 }
    };

    for (i = 0; i < 2; i++) {
        first = (i == 0) ? SGAMP_METRICS_COHORT_TIME : SGAMP_METRICS_APPLY_TIME;

        for (j = 0; j < SGAMP_METRICS_BUCKETS - 1; j++) {
            (void) snprintf(text, sizeof(text), "%g", bounds[i][j] / 1000.0);

            tap_is(sgamp_metrics_bucket(first, bounds[i][j]), first + j,
                   "%u ms", bounds[i][j]);
            tap_is(sgamp_metrics_bucket(first, bounds[i][j] + 1),
                   first + j + 1, "and more");
            tap_ok(strcmp(sgamp_metrics_bound_label(first, j), text) == 0,
                   "%s s", text);
        }

        tap_ok(strcmp(sgamp_metrics_bound_label(first, j), "+Inf") == 0,
               "all");
    }
}


static void
sgamp_test_quantiles(void)
{
    unsigned         i;
    uint64_t        *buckets;
    sgamp_metrics_t  m;

    /* bucket and count twice, percent, microseconds as of Prometheus */

    static const struct {
        unsigned  bucket[2];
        unsigned  count[2];
        unsigned  percent;
        unsigned  us;
    } tests[] = {
        { { 0, 1 }, { 1, 0 }, 50, 500 },
        { { 0, 1 }, { 1, 0 }, 99, 990 },
        { { 0, 1 }, { 10, 10 }, 50, 1000 },
        { { 0, 1 }, { 10, 10 }, 95, 1900 },
        { { 3, 9 }, { 90, 10 }, 50, 7778 },
        { { 3, 9 }, { 90, 10 }, 95, 750000 },
        { { 12, 13 }, { 100, 0 }, 50, 7500000 },
        { { 13, 14 }, { 1, 99 }, 50, 30000000 },
        { { 14, 14 }, { 1, 0 }, 99, 30000000 }
    };

    memset(&m, 0, sizeof(sgamp_metrics_t));

    tap_ok(sgamp_metrics_quantile(&m, SGAMP_METRICS_WEBHOOK_TIME, 50)
           == SGAMP_METRICS_NONE,
           "of nothing");

    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        memset(&m, 0, sizeof(sgamp_metrics_t));

        buckets = &m.values[SGAMP_METRICS_WEBHOOK_TIME];
        buckets[tests[i].bucket[0]] += tests[i].count[0];
        buckets[tests[i].bucket[1]] += tests[i].count[1];

        tap_is(sgamp_metrics_quantile(&m, SGAMP_METRICS_WEBHOOK_TIME,
                                      tests[i].percent),
               tests[i].us, "p%u of test %u", tests[i].percent, i);
    }

    /* other bounds */

    memset(&m, 0, sizeof(sgamp_metrics_t));

    m.values[SGAMP_METRICS_COHORT_TIME + 10] = 10;
    m.values[SGAMP_METRICS_APPLY_TIME + 4] = 10;

    tap_is(sgamp_metrics_quantile(&m, SGAMP_METRICS_COHORT_TIME, 50),
           45 * SGAMP_METRICS_SECOND, "p50 of messages of cohorts");
    tap_is(sgamp_metrics_quantile(&m, SGAMP_METRICS_APPLY_TIME, 50),
           25 * SGAMP_METRICS_SECOND, "p50 of what was applied");

    m.values[SGAMP_METRICS_APPLY_TIME + 14] = 100;

    tap_is(sgamp_metrics_quantile(&m, SGAMP_METRICS_APPLY_TIME, 50),
           900 * SGAMP_METRICS_SECOND, "what took longer");
}


static void
sgamp_test_prometheus(void)
{
    char              *p, *last;
    size_t             lines, heads;
    unsigned           bad;
    sgamp_metrics_t    m;
    sgamp_test_buf_t   buf;

    sgamp_test_metrics(&m);
    sgamp_test_render(&buf, sgamp_metrics_prometheus, &m);

    bad = 0;
    lines = 0;
    heads = 0;

    for (p = (char *) buf.data; *p != '\0'; p = last + 1) {
        last = strchr(p, '\n');

        if (*p == '#') {
            heads++;

        } else {
            lines += (strncmp(p, "sendgrid_amp_", 13) == 0);

            /* counters come in their order, buckets are added up */

            bad += lines <= SGAMP_METRICS_WEBHOOK_TIME
                   && strtoul(strchr(p, ' '), NULL, 10) != lines;
        }
    }

    tap_is(bad, 0, "each sample has the value of its counter");

    tap_is(lines, SGAMP_TEST_EVENTS + SGAMP_TEST_COHORTS, "samples");
    tap_is(heads, 2 * 18, "lines of help and types");

    sgamp_test_has(&buf, "\nsendgrid_amp_webhooks_total{status=\"400\"} 2\n");
    sgamp_test_has(&buf,
                   "\nsendgrid_amp_webhooks_total{status=\"other\"} 14\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_webhooks_in_flight 15\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_events_total{event=\"processed\","
                         "result=\"forwarded\"} 16\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_events_total{event=\"processed\","
                         "result=\"rejected\"} 18\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_events_total{event=\"other\","
                         "result=\"rejected\"} 60\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_amplitude_responses_total"
                         "{code=\"error\"} 74\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_retries_total 75\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_rejected_total"
                         "{reason=\"not_an_object\"} 76\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_rejected_total"
                         "{reason=\"amplitude_other\"} 82\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_signatures_total{result=\"ok\"} 83\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_signatures_total"
                         "{result=\"mismatch\"} 87\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_received_bytes_total 88\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_sent_bytes_total 89\n");
    sgamp_test_has(&buf, "\n# TYPE sendgrid_amp_webhook_duration_seconds "
                         "histogram\n");

    /* buckets have 90 to 104, and the sum, in ms, 105 */

    sgamp_test_has(&buf, "\nsendgrid_amp_webhook_duration_seconds_bucket"
                         "{le=\"0.001\"} 90\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_webhook_duration_seconds_bucket"
                         "{le=\"0.002\"} 181\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_webhook_duration_seconds_bucket"
                         "{le=\"+Inf\"} 1455\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_webhook_duration_seconds_sum "
                         "0.105\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_webhook_duration_seconds_count "
                         "1455\n");

    /* likewise from 106 to 120, and 121 */

    sgamp_test_has(&buf, "\nsendgrid_amp_amplitude_duration_seconds_bucket"
                         "{le=\"0.001\"} 106\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_amplitude_duration_seconds_sum "
                         "0.121\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_amplitude_duration_seconds_count "
                         "1695\n");

    sgamp_test_free(&buf);
}


static void
sgamp_test_prometheus_cohorts(void)
{
    size_t             n;
    const char        *p;
    sgamp_metrics_t    m;
    sgamp_test_buf_t   buf;

    /* contacts have 122 to 137, messages 138 to 152, answers 153 to 288 */

    sgamp_test_metrics(&m);
    sgamp_test_render(&buf, sgamp_metrics_prometheus, &m);

    sgamp_test_has(&buf, "\nsendgrid_amp_contacts_total{operation=\"add\","
                         "result=\"accepted\"} 122\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_contacts_total{operation=\"remove\","
                         "result=\"absent\"} 132\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_contacts_total{operation=\"remove\","
                         "result=\"unknown\"} 137\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_cohort_messages_total"
                         "{status=\"200\"} 138\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_cohort_messages_total"
                         "{status=\"other\"} 152\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_sendgrid_responses_total"
                         "{call=\"lists\",code=\"200\"} 153\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_sendgrid_responses_total"
                         "{call=\"put\",code=\"202\"} 206\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_sendgrid_responses_total"
                         "{call=\"import\",code=\"error\"} 288\n");

    /* quotas 289 to 296, which is one more than what is left */

    sgamp_test_has(&buf, "\n# TYPE sendgrid_amp_sendgrid_quota gauge\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_sendgrid_quota{call=\"lists\"} "
                         "288\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_sendgrid_quota{call=\"import\"} "
                         "295\n");

    /* buckets of messages from 297, sum 312; of changes from 313, sum 328 */

    sgamp_test_has(&buf, "\nsendgrid_amp_cohort_duration_seconds_bucket"
                         "{le=\"0.01\"} 297\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_cohort_duration_seconds_bucket"
                         "{le=\"600\"} 4249\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_cohort_duration_seconds_sum "
                         "0.312\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_apply_seconds_bucket{le=\"1\"} "
                         "313\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_apply_seconds_bucket{le=\"+Inf\"} "
                         "4800\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_apply_seconds_sum 0.328\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_apply_seconds_count 4800\n");

    sgamp_test_free(&buf);

    /* what nobody has set is left out, and nothing left is not */

    memset(&m, 0, sizeof(sgamp_metrics_t));

    m.values[sgamp_metrics_quota(SGAMP_CALL_PUT)] = 1;
    m.values[sgamp_metrics_quota(SGAMP_CALL_SEARCH)] = 201;

    sgamp_test_render(&buf, sgamp_metrics_prometheus, &m);

    n = 0;

    for (p = (char *) buf.data; p != NULL; p = strchr(p + 1, '\n')) {
        n += (strncmp(p, "\nsendgrid_amp_sendgrid_quota", 28) == 0);
    }

    tap_is(n, 2, "gauges that were set");

    sgamp_test_has(&buf, "\nsendgrid_amp_sendgrid_quota{call=\"put\"} 0\n");
    sgamp_test_has(&buf, "\nsendgrid_amp_sendgrid_quota{call=\"search\"} "
                         "200\n");

    sgamp_test_free(&buf);
}


static void
sgamp_test_json(void)
{
    sgamp_metrics_t   m;
    sgamp_test_buf_t  buf;

    sgamp_test_metrics(&m);
    sgamp_test_render(&buf, sgamp_metrics_json, &m);

    tap_ok(sgamp_test_valid(buf.data, buf.len), "valid JSON");
    tap_ok(strchr((char *) buf.data, '\n') == (char *) &buf.data[buf.len - 1],
           "one line");

    sgamp_test_has(&buf, "{\"since\":1700000000,\"time\":1700000001.25,");
    sgamp_test_has(&buf, ",\"host\":\"gw1\",\"server\":\"nginx/1.22.1\","
                         "\"module\":\"" SGAMP_VERSION "\",\"verdict\":{");
    sgamp_test_has(&buf, "\"webhooks_total\":{\"200\":1,\"400\":2,");
    sgamp_test_has(&buf, ",\"webhooks_in_flight\":15,");
    sgamp_test_has(&buf, "\"events_total\":{\"processed\":{\"forwarded\":16,"
                         "\"ignored\":17,\"rejected\":18},");
    sgamp_test_has(&buf, "\"buckets\":{\"0.001\":90,\"0.002\":181,");
    sgamp_test_has(&buf, "\"+Inf\":1455},\"sum\":0.105,\"count\":1455,"
                         "\"p50\":0.");

    sgamp_test_free(&buf);

    memset(&m, 0, sizeof(sgamp_metrics_t));
    sgamp_test_render(&buf, sgamp_metrics_json, &m);

    tap_ok(sgamp_test_valid(buf.data, buf.len), "valid JSON of nothing");
    sgamp_test_has(&buf, "\"sum\":0,\"count\":0,\"p50\":null,\"p95\":null,");
    sgamp_test_has(&buf, "\"verdict\":{\"level\":\"idle\","
                         "\"text\":\"Nothing received yet\",\"last\":null,"
                         "\"last_failure\":null,"
                         "\"last_failure_status\":null},");

    sgamp_test_free(&buf);

    memset(&m, 0xff, sizeof(sgamp_metrics_t));
    m.host.len = 0;
    m.server = NULL;
    sgamp_test_render(&buf, sgamp_metrics_json, &m);

    tap_ok(sgamp_test_valid(buf.data, buf.len), "valid JSON of all ones");
    sgamp_test_has(&buf, "\"retries_total\":18446744073709551615,");

    sgamp_test_free(&buf);
}


static void
sgamp_test_json_cohorts(void)
{
    sgamp_metrics_t   m;
    sgamp_test_buf_t  buf;

    sgamp_test_metrics(&m);
    sgamp_test_render(&buf, sgamp_metrics_json, &m);

    sgamp_test_has(&buf, "},\"cohorts\":{\"cohort_messages_total\":"
                         "{\"200\":138,");
    sgamp_test_has(&buf, "},\"contacts_total\":{\"add\":{\"accepted\":122,");
    sgamp_test_has(&buf, "},\"remove\":{\"accepted\":130,");
    sgamp_test_has(&buf, "},\"sendgrid_responses_total\":{\"lists\":"
                         "{\"200\":153,");
    sgamp_test_has(&buf, "},\"sendgrid_quota\":{\"lists\":288,");
    sgamp_test_has(&buf, "},\"cohort_duration_seconds\":{\"buckets\":"
                         "{\"0.01\":297,");
    sgamp_test_has(&buf, "},\"apply_seconds\":{\"buckets\":{\"1\":313,");
    sgamp_test_has(&buf, "},\"verdict\":{\"level\":\"");
    sgamp_test_has(&buf, "\"last\":375,\"last_failure\":375,"
                         "\"last_failure_status\":\"other\"}}}\n");

    sgamp_test_free(&buf);

    memset(&m, 0, sizeof(sgamp_metrics_t));

    m.values[sgamp_metrics_quota(SGAMP_CALL_FIELDS)] = 1;

    sgamp_test_render(&buf, sgamp_metrics_json, &m);

    tap_ok(sgamp_test_valid(buf.data, buf.len), "valid JSON");
    sgamp_test_has(&buf, "\"sendgrid_quota\":{\"lists\":null,"
                         "\"create\":null,\"fields\":0,\"put\":null,");

    sgamp_test_free(&buf);
}


static void
sgamp_test_sums(void)
{
    size_t            i;
    sgamp_metrics_t   m;
    sgamp_test_buf_t  buf;

    /* milliseconds in seconds, as short as can be */

    static const struct {
        uint64_t     ms;
        const char  *text;
    } sums[] = {
        { 0, "_sum 0\n" },
        { 1, "_sum 0.001\n" },
        { 10, "_sum 0.01\n" },
        { 100, "_sum 0.1\n" },
        { 999, "_sum 0.999\n" },
        { 1000, "_sum 1\n" },
        { 1001, "_sum 1.001\n" },
        { 12340, "_sum 12.34\n" },
        { 86400000, "_sum 86400\n" },
        { 9007199254740993, "_sum 9007199254740.993\n" }
    };

    memset(&m, 0, sizeof(sgamp_metrics_t));

    for (i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
        m.values[SGAMP_METRICS_WEBHOOK_TIME + SGAMP_METRICS_BUCKETS] =
            sums[i].ms;

        sgamp_test_render(&buf, sgamp_metrics_prometheus, &m);
        sgamp_test_has(&buf, sums[i].text);
        sgamp_test_free(&buf);
    }
}


static void
sgamp_test_portions(sgamp_test_metrics_pt write, const char *name)
{
    size_t             portion, bad;
    sgamp_metrics_t    m;
    sgamp_test_buf_t   want;
    sgamp_test_sink_t  sink;

    sgamp_test_metrics(&m);
    sgamp_test_render(&want, write, &m);

    bad = 0;

    for (portion = 1; portion <= 64; portion++) {
        sgamp_test_sink_init(&sink, portion, 0);
        write(&m, &sink.sink);
        sgamp_test_sink_flush(&sink);

        bad += (sink.buf.len != want.len
                || memcmp(sink.buf.data, want.data, want.len) != 0);

        sgamp_test_free(&sink.buf);
    }

    tap_is(bad, 0, "%s in portions", name);

    sgamp_test_sink_init(&sink, 64, 5);
    write(&m, &sink.sink);
    tap_is(sink.sink.status, SGAMP_NOMEM, "%s without room", name);

    sgamp_test_free(&sink.buf);
    sgamp_test_free(&want);
}


static void
sgamp_test_metrics(sgamp_metrics_t *m)
{
    unsigned  i;

    for (i = 0; i < SGAMP_METRICS; i++) {
        m->values[i] = i + 1;
    }

    m->since = 1700000000;
    m->now = 1700000001250;
    m->server = "nginx/1.22.1";

    sgamp_test_set(&m->host, "gw1");
}


static void
sgamp_test_render(sgamp_test_buf_t *buf, sgamp_test_metrics_pt write,
    const sgamp_metrics_t *m)
{
    sgamp_test_sink_t  sink;

    sgamp_test_sink_init(&sink, 64, 0);
    write(m, &sink.sink);
    sgamp_test_sink_flush(&sink);

    *buf = sink.buf;

    tap_is(sink.sink.status, SGAMP_OK, "written");
}


static void
sgamp_test_has(const sgamp_test_buf_t *buf, const char *text)
{
    const char  *name;

    name = (*text == '\n') ? text + 1 : text;

    tap_ok(strstr((char *) buf->data, text) != NULL, "%.*s",
           (int) strcspn(name, "\n"), name);
}
