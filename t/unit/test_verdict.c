
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_test.h"
#include "sgamp_verdict.h"


#define SGAMP_TEST_NOW  1700000000 /* 2023-11-14 22:13:20 UTC */


/* seconds ago, 0: never; first: since the last 200 */

typedef struct {
    unsigned  status;
    unsigned  last;
    unsigned  first;
} sgamp_test_answer_t;


static void sgamp_test_lines(void);
static void sgamp_test_statuses(void);
static void sgamp_test_rejected(void);
static void sgamp_test_clock(void);
static void sgamp_test_is(const sgamp_metrics_t *m, sgamp_verdict_flow_e flow,
    const char *level, const char *want);


int
main(void)
{
    sgamp_test_lines();
    sgamp_test_statuses();
    sgamp_test_rejected();
    sgamp_test_clock();

    return tap_done();
}


static void
sgamp_test_lines(void)
{
    size_t           i, j;
    unsigned         n;
    uint64_t         failure;
    sgamp_verdict_t  verdict;
    sgamp_metrics_t  m;

    static const struct {
        sgamp_test_answer_t  answers[3];
        const char          *level;
        const char          *text;
        unsigned             failure;  /* seconds ago */
    } tests[] = {
        { { { 0, 0, 0 } }, "idle", "Nothing received yet", 0 },

        { { { 200, 1, 0 } }, "good", "Delivering", 0 },
        { { { 200, 7199, 0 } }, "good", "Delivering", 0 },
        { { { 200, 7200, 0 } }, "warn", "Nothing received for 2 hours", 0 },
        { { { 200, 172799, 0 } }, "warn", "Nothing received for 47 hours", 0 },
        { { { 200, 172800, 0 } }, "warn", "Nothing received for 2 days", 0 },

        /* since the last 200 */

        { { { 200, 100, 0 }, { 502, 5, 70 } },
          "bad",
          "Refused by Amplitude since 22:12:10 UTC",
          5 },
        { { { 502, 5, 86400 } },
          "bad",
          "Refused by Amplitude since 2023-11-13 22:13:20 UTC",
          5 },
        { { { 502, 7300, 7400 } },
          "bad",
          "Refused by Amplitude since 20:10:00 UTC, "
          "nothing received for 2 hours",
          7300 },

        /* the worse one, else the later one */

        { { { 502, 50, 70 }, { 401, 1, 60 } },
          "bad",
          "Refused by Amplitude since 22:12:10 UTC",
          1 },
        { { { 502, 50, 70 }, { 503, 1, 60 } },
          "bad",
          "Failing with 503 unavailable since 22:12:20 UTC",
          1 },
        { { { 502, 1, 70 }, { 503, 50, 60 } },
          "bad",
          "Refused by Amplitude since 22:12:10 UTC",
          1 },
        { { { 401, 2, 70 }, { 413, 1, 60 } },
          "warn",
          "Refusing webhooks with 413 too_large since 22:12:20 UTC",
          1 },

        /* strangers cause 401 beside deliveries */

        { { { 200, 50, 0 }, { 401, 5, 10 } },
          "good",
          "Delivering, but refusing webhooks with 401 unauthorized at "
          "22:13:15 UTC",
          5 },
        { { { 200, 60, 0 }, { 401, 5, 10 } },
          "good",
          "Delivering, but refusing webhooks with 401 unauthorized at "
          "22:13:15 UTC",
          5 },
        { { { 200, 61, 0 }, { 401, 5, 10 } },
          "warn",
          "Refusing webhooks with 401 unauthorized since 22:13:10 UTC",
          5 },

        /* a place fails beside another place that delivers */

        { { { 200, 1, 0 }, { 502, 20, 0 } },
          "warn",
          "Delivering, but refused by Amplitude at 22:13:00 UTC",
          20 },
        { { { 200, 1, 0 }, { 502, 300, 0 } },
          "warn",
          "Delivering, but refused by Amplitude at 22:08:20 UTC",
          300 },
        { { { 200, 1, 0 }, { 502, 301, 0 } }, "good", "Delivering", 301 },
        { { { 200, 1, 0 }, { 502, 20, 0 }, { 400, 10, 0 } },
          "warn",
          "Delivering, but refused by Amplitude at 22:13:00 UTC",
          10 },

        /* what is no trouble */

        { { { 200, 100, 0 }, { 405, 5, 70 } }, "good", "Delivering", 5 },
        { { { 405, 5, 70 } }, "good", "Delivering", 5 }
    };

    for (i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        memset(&m, 0, sizeof(sgamp_metrics_t));
        m.now = SGAMP_TEST_NOW * 1000ull + 999;

        for (j = 0; j < 3 && tests[i].answers[j].status != 0; j++) {
            n = sgamp_metrics_webhook(tests[i].answers[j].status)
                - SGAMP_METRICS_WEBHOOKS;

            m.values[SGAMP_METRICS_WEBHOOK_LAST + n] =
                SGAMP_TEST_NOW - tests[i].answers[j].last + 1;
            if (tests[i].answers[j].first != 0) {
                m.values[SGAMP_METRICS_WEBHOOK_FIRST + n] =
                    SGAMP_TEST_NOW - tests[i].answers[j].first + 1;
            }
        }

        sgamp_test_is(&m, SGAMP_VERDICT_WEBHOOKS, tests[i].level,
                      tests[i].text);
        sgamp_verdict(&m, SGAMP_VERDICT_WEBHOOKS, &verdict);

        failure = tests[i].failure ? SGAMP_TEST_NOW - tests[i].failure + 1 : 0;
        tap_is(verdict.failure, failure, "the last failure");
    }
}


static void
sgamp_test_statuses(void)
{
    unsigned         i;
    sgamp_metrics_t  m;

    static const char *const  webhooks[] = {
        NULL, "400 invalid_json", "401 unauthorized", "403 bad_signature", NULL,
        "stall, 408", "413 too_large", "415 content_encoding",
        "Throttled by Amplitude", "499", "500 internal", "Refused by Amplitude",
        "503 unavailable", NULL
    };
    static const char *const  cohorts[] = {
        NULL, "400 invalid_message", "401 unauthorized", "404, no such list",
        NULL, "stall, 408", "409 in_progress", "413 too_large",
        "415 content_encoding", "Throttled by SendGrid", "499", "500 internal",
        "Refused by SendGrid", "503 unavailable", NULL
    };
    const struct {
        sgamp_verdict_flow_e            flow;
        const sgamp_metrics_answers_t  *answers;
        const char *const              *texts;
    } flows[] = {
        { SGAMP_VERDICT_WEBHOOKS, &sgamp_metrics_webhook_answers, webhooks },
        { SGAMP_VERDICT_COHORTS, &sgamp_metrics_cohort_answers, cohorts }
    };
    size_t             j;
    const char        *text;
    sgamp_verdict_t    verdict;
    sgamp_test_buf_t   buf;
    sgamp_test_sink_t  sink;

    /* the text of each status, and that it names the status or the peer */

    for (j = 0; j < sizeof(flows) / sizeof(flows[0]); j++) {
        for (i = 0; i < flows[j].answers->n; i++) {
            memset(&m, 0, sizeof(sgamp_metrics_t));
            m.now = SGAMP_TEST_NOW * 1000ull;

            m.values[flows[j].answers->last + i] = SGAMP_TEST_NOW;
            m.values[flows[j].answers->first + i] = i ? SGAMP_TEST_NOW : 0;

            sgamp_verdict(&m, flows[j].flow, &verdict);
            sgamp_test_sink_init(&sink, 64, 0);
            sgamp_verdict_write(&verdict, &sink.sink);
            sgamp_test_sink_flush(&sink);

            buf = sink.buf;
            text = flows[j].texts[i] ? flows[j].texts[i] : "Delivering";

            tap_ok(strstr((char *) buf.data, text) != NULL, "flow %zu: %s", j,
                   text);

            sgamp_test_free(&buf);
        }
    }

    /* cohorts are silent for a day, and that is usual */

    memset(&m, 0, sizeof(sgamp_metrics_t));
    m.now = SGAMP_TEST_NOW * 1000ull;
    m.values[SGAMP_METRICS_COHORT_LAST] = SGAMP_TEST_NOW - 100000;

    sgamp_test_is(&m, SGAMP_VERDICT_COHORTS, "good", "Delivering");
}


static void
sgamp_test_rejected(void)
{
    unsigned         rejected, other;
    sgamp_metrics_t  m;

    /* a 200 is no delivery if all is rejected */

    memset(&m, 0, sizeof(sgamp_metrics_t));
    m.now = SGAMP_TEST_NOW * 1000ull;
    m.values[SGAMP_METRICS_WEBHOOK_LAST] = SGAMP_TEST_NOW;

    rejected = sgamp_metrics_event(SGAMP_KIND_OPEN, SGAMP_METRICS_REJECTED);
    m.values[rejected] = 1;

    sgamp_test_is(&m, SGAMP_VERDICT_WEBHOOKS, "bad", "Rejecting all events");

    other = sgamp_metrics_event(SGAMP_KIND_CLICK, SGAMP_METRICS_FORWARDED);
    m.values[other] = 1;

    sgamp_test_is(&m, SGAMP_VERDICT_WEBHOOKS, "good", "Delivering");

    m.values[other] = 0;
    m.values[sgamp_metrics_event(SGAMP_KIND_CLICK, SGAMP_METRICS_IGNORED)] = 1;

    sgamp_test_is(&m, SGAMP_VERDICT_WEBHOOKS, "good", "Delivering");
}


static void
sgamp_test_clock(void)
{
    sgamp_metrics_t  m;

    /* a clock that was set back */

    memset(&m, 0, sizeof(sgamp_metrics_t));
    m.now = SGAMP_TEST_NOW * 1000ull;
    m.values[SGAMP_METRICS_WEBHOOK_LAST] = SGAMP_TEST_NOW + 100000;

    sgamp_test_is(&m, SGAMP_VERDICT_WEBHOOKS, "good", "Delivering");
}


static void
sgamp_test_is(const sgamp_metrics_t *m, sgamp_verdict_flow_e flow,
    const char *level, const char *want)
{
    sgamp_verdict_t    verdict;
    sgamp_test_sink_t  sink;

    sgamp_verdict(m, flow, &verdict);

    sgamp_test_sink_init(&sink, 64, 0);
    sgamp_verdict_write(&verdict, &sink.sink);
    sgamp_test_sink_flush(&sink);

    tap_bytes(sink.buf.data, sink.buf.len, want, strlen(want), "%s", want);
    tap_ok(strcmp(sgamp_verdict_level(&verdict), level) == 0, "is %s", level);

    sgamp_test_free(&sink.buf);
}
