
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_json.h"
#include "sgamp_time.h"
#include "sgamp_verdict.h"


#define SGAMP_VERDICT_DAY     86400 /* in seconds, as the next ones */
#define SGAMP_VERDICT_HOUR    3600
#define SGAMP_VERDICT_SILENT  7200  /* mail is sent more often than that */
#define SGAMP_VERDICT_RECENT  300   /* a failure among deliveries */
#define SGAMP_VERDICT_GRACE   60    /* for what strangers cause, too */

#define sgamp_verdict_literal(sink, text)                                     \
    sgamp_json_write(sink, (u_char *) text, sizeof(text) - 1)


/* what an answer to the client means, if there was none of 200 after it */

typedef struct {
    sgamp_verdict_level_e   level; /* SGAMP_VERDICT_IDLE: nothing */
    const char             *text;
} sgamp_verdict_trouble_t;


static void sgamp_verdict_times(const sgamp_metrics_t *m,
    const sgamp_metrics_answers_t *answers, sgamp_verdict_t *verdict);
static void sgamp_verdict_trouble(const sgamp_metrics_t *m,
    const sgamp_metrics_answers_t *answers,
    const sgamp_verdict_trouble_t *troubles, sgamp_verdict_t *verdict);
static void sgamp_verdict_mixed(const sgamp_metrics_t *m,
    const sgamp_metrics_answers_t *answers,
    const sgamp_verdict_trouble_t *troubles, sgamp_verdict_t *verdict);
static int sgamp_verdict_rejects_all(const sgamp_metrics_t *m);
static void sgamp_verdict_time(const sgamp_verdict_t *verdict,
    sgamp_sink_t *sink);
static void sgamp_verdict_silence(uint64_t seconds, sgamp_sink_t *sink);
static void sgamp_verdict_string(sgamp_sink_t *sink, const char *text);


/* in the order of the labels */

static const sgamp_verdict_trouble_t  sgamp_verdict_webhooks[] = {
    { SGAMP_VERDICT_GOOD, "Delivering" },
    { SGAMP_VERDICT_WARN, "Refusing webhooks with 400 invalid_json" },
    { SGAMP_VERDICT_WARN, "Refusing webhooks with 401 unauthorized" },
    { SGAMP_VERDICT_WARN, "Refusing webhooks with 403 bad_signature" },
    { SGAMP_VERDICT_IDLE, "" },
    { SGAMP_VERDICT_WARN, "Senders stall, 408" },
    { SGAMP_VERDICT_WARN, "Refusing webhooks with 413 too_large" },
    { SGAMP_VERDICT_WARN, "Refusing webhooks with 415 content_encoding" },
    { SGAMP_VERDICT_BAD, "Throttled by Amplitude" },
    { SGAMP_VERDICT_WARN, "Senders leave before the answer, 499" },
    { SGAMP_VERDICT_BAD, "Failing with 500 internal" },
    { SGAMP_VERDICT_BAD, "Refused by Amplitude" },
    { SGAMP_VERDICT_BAD, "Failing with 503 unavailable" },
    { SGAMP_VERDICT_IDLE, "" }
};

static const sgamp_verdict_trouble_t  sgamp_verdict_cohorts[] = {
    { SGAMP_VERDICT_GOOD, "Delivering" },
    { SGAMP_VERDICT_WARN, "Refusing messages with 400 invalid_message" },
    { SGAMP_VERDICT_WARN, "Refusing messages with 401 unauthorized" },
    { SGAMP_VERDICT_WARN, "Refusing messages with 404, no such list" },
    { SGAMP_VERDICT_IDLE, "" },
    { SGAMP_VERDICT_WARN, "Senders stall, 408" },
    { SGAMP_VERDICT_WARN, "Refusing messages with 409 in_progress" },
    { SGAMP_VERDICT_WARN, "Refusing messages with 413 too_large" },
    { SGAMP_VERDICT_WARN, "Refusing messages with 415 content_encoding" },
    { SGAMP_VERDICT_BAD, "Throttled by SendGrid" },
    { SGAMP_VERDICT_WARN, "Senders leave before the answer, 499" },
    { SGAMP_VERDICT_BAD, "Failing with 500 internal" },
    { SGAMP_VERDICT_BAD, "Refused by SendGrid" },
    { SGAMP_VERDICT_BAD, "Failing with 503 unavailable" },
    { SGAMP_VERDICT_IDLE, "" }
};


void
sgamp_verdict(const sgamp_metrics_t *m, sgamp_verdict_flow_e flow,
    sgamp_verdict_t *verdict)
{
    uint64_t                        silence;
    const sgamp_metrics_answers_t  *answers;
    const sgamp_verdict_trouble_t  *troubles;

    if (flow == SGAMP_VERDICT_WEBHOOKS) {
        answers = &sgamp_metrics_webhook_answers;
        troubles = sgamp_verdict_webhooks;

    } else {
        answers = &sgamp_metrics_cohort_answers;
        troubles = sgamp_verdict_cohorts;
    }

    memset(verdict, 0, sizeof(sgamp_verdict_t));

    verdict->text = "Nothing received yet";
    verdict->now = m->now / 1000;

    sgamp_verdict_times(m, answers, verdict);

    if (verdict->last == 0) {
        return;
    }

    verdict->level = SGAMP_VERDICT_GOOD;
    verdict->text = troubles[0].text;

    sgamp_verdict_trouble(m, answers, troubles, verdict);

    if (flow == SGAMP_VERDICT_COHORTS) {
        return;
    }

    if (!verdict->trouble && !verdict->mixed && sgamp_verdict_rejects_all(m)) {
        verdict->level = SGAMP_VERDICT_BAD;
        verdict->text = "Rejecting all events";
        verdict->trouble = 1;
    }

    silence = verdict->now - (verdict->last - 1);

    if (verdict->last - 1 < verdict->now && silence >= SGAMP_VERDICT_SILENT) {
        verdict->silence = silence;

        if (verdict->level == SGAMP_VERDICT_GOOD) {
            verdict->level = SGAMP_VERDICT_WARN;
        }
    }
}


static void
sgamp_verdict_times(const sgamp_metrics_t *m,
    const sgamp_metrics_answers_t *answers, sgamp_verdict_t *verdict)
{
    unsigned                       i;
    uint64_t                       time;
    const sgamp_metrics_family_t  *family;

    family = sgamp_metrics_family(answers->counters);

    for (i = 0; i < answers->n; i++) {
        time = m->values[answers->last + i];

        if (time > verdict->last) {
            verdict->last = time;
        }

        if (i != 0 && time > verdict->failure) {
            verdict->failure = time;
            verdict->status = family->labels[0]->value(i);
        }
    }
}


static void
sgamp_verdict_trouble(const sgamp_metrics_t *m,
    const sgamp_metrics_answers_t *answers,
    const sgamp_verdict_trouble_t *troubles, sgamp_verdict_t *verdict)
{
    unsigned               i;
    uint64_t               time, first, latest;
    sgamp_verdict_level_e  level;

    latest = 0;

    for (i = 1; i < answers->n; i++) {
        level = troubles[i].level;
        time = m->values[answers->last + i];
        first = m->values[answers->first + i];

        if (first == 0 || level < verdict->level
            || (level == verdict->level && time < latest))
        {
            continue;
        }

        if (level == SGAMP_VERDICT_WARN && m->values[answers->last] != 0
            && m->values[answers->last] + SGAMP_VERDICT_GRACE > verdict->now)
        {
            continue;
        }

        verdict->level = level;
        verdict->text = troubles[i].text;
        verdict->preposition = " since ";
        verdict->time = first;
        verdict->trouble = 1;

        latest = time;
    }

    if (!verdict->trouble) {
        sgamp_verdict_mixed(m, answers, troubles, verdict);
    }
}


static void
sgamp_verdict_mixed(const sgamp_metrics_t *m,
    const sgamp_metrics_answers_t *answers,
    const sgamp_verdict_trouble_t *troubles, sgamp_verdict_t *verdict)
{
    unsigned               i;
    uint64_t               time, latest;
    sgamp_verdict_level_e  level, most;

    /* a place that fails beside another place that delivers */

    most = SGAMP_VERDICT_IDLE;
    latest = 0;

    for (i = 1; i < answers->n; i++) {
        level = troubles[i].level;
        time = m->values[answers->last + i];

        if (level == SGAMP_VERDICT_IDLE || time == 0
            || time + SGAMP_VERDICT_RECENT <= verdict->now
            || level < most || (level == most && time < latest))
        {
            continue;
        }

        verdict->text = troubles[i].text;
        verdict->preposition = " at ";
        verdict->time = time;
        verdict->mixed = 1;

        most = level;
        latest = time;
    }

    if (most == SGAMP_VERDICT_BAD) {
        verdict->level = SGAMP_VERDICT_WARN;
    }
}


static int
sgamp_verdict_rejects_all(const sgamp_metrics_t *m)
{
    unsigned  i;
    uint64_t  n[SGAMP_METRICS_RESULTS];

    memset(n, 0, sizeof(n));

    for (i = 0; i < SGAMP_KINDS * SGAMP_METRICS_RESULTS; i++) {
        n[i % SGAMP_METRICS_RESULTS] += m->values[SGAMP_METRICS_EVENTS + i];
    }

    return n[SGAMP_METRICS_REJECTED] != 0 && n[SGAMP_METRICS_FORWARDED] == 0
           && n[SGAMP_METRICS_IGNORED] == 0;
}


void
sgamp_verdict_write(const sgamp_verdict_t *verdict, sgamp_sink_t *sink)
{
    u_char  ch;

    if (verdict->silence && !verdict->trouble && !verdict->mixed) {
        sgamp_verdict_literal(sink, "Nothing received for ");
        sgamp_verdict_silence(verdict->silence, sink);
        return;
    }

    if (verdict->mixed) {
        sgamp_verdict_literal(sink, "Delivering, but ");

        ch = (u_char) (verdict->text[0] | 0x20);
        sgamp_json_write(sink, &ch, 1);
        sgamp_verdict_string(sink, verdict->text + 1);

    } else {
        sgamp_verdict_string(sink, verdict->text);
    }

    if (verdict->time != 0) {
        sgamp_verdict_string(sink, verdict->preposition);
        sgamp_verdict_time(verdict, sink);
    }

    if (verdict->silence) {
        sgamp_verdict_literal(sink, ", nothing received for ");
        sgamp_verdict_silence(verdict->silence, sink);
    }
}


static void
sgamp_verdict_time(const sgamp_verdict_t *verdict, sgamp_sink_t *sink)
{
    uint64_t  time;

    time = verdict->time - 1;

    if (time / SGAMP_VERDICT_DAY != verdict->now / SGAMP_VERDICT_DAY) {
        sgamp_time_write_date(sink, time);
        sgamp_verdict_literal(sink, " ");
    }

    sgamp_time_write_clock(sink, time);
    sgamp_verdict_literal(sink, " UTC");
}


static void
sgamp_verdict_silence(uint64_t seconds, sgamp_sink_t *sink)
{
    /* there are two of a unit at least */

    if (seconds < 2 * SGAMP_VERDICT_DAY) {
        sgamp_json_decimal(sink, seconds / SGAMP_VERDICT_HOUR);
        sgamp_verdict_literal(sink, " hours");

    } else {
        sgamp_json_decimal(sink, seconds / SGAMP_VERDICT_DAY);
        sgamp_verdict_literal(sink, " days");
    }
}


const char *
sgamp_verdict_level(const sgamp_verdict_t *verdict)
{
    /* in the order of sgamp_verdict_level_e */

    static const char *const  levels[] = { "idle", "good", "warn", "bad" };

    return levels[verdict->level];
}


static void
sgamp_verdict_string(sgamp_sink_t *sink, const char *text)
{
    sgamp_json_write(sink, (const u_char *) text, strlen(text));
}
