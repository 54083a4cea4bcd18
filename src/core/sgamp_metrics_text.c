
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_json.h"
#include "sgamp_verdict.h"


#define SGAMP_METRICS_PREFIX  "sendgrid_amp_"

#define sgamp_metrics_text(sink, text)                                        \
    sgamp_json_write(sink, (u_char *) text, sizeof(text) - 1)


static void sgamp_metrics_head(sgamp_sink_t *sink,
    const sgamp_metrics_family_t *family);
static void sgamp_metrics_line(sgamp_sink_t *sink,
    const sgamp_metrics_family_t *family, const unsigned *label,
    uint64_t value);
static void sgamp_metrics_histogram(const sgamp_metrics_t *m,
    sgamp_sink_t *sink, const sgamp_metrics_family_t *family);
static void sgamp_metrics_json_verdict(const sgamp_metrics_t *m,
    sgamp_sink_t *sink, sgamp_verdict_flow_e flow);
static void sgamp_metrics_json_time(sgamp_sink_t *sink, uint64_t time);
static void sgamp_metrics_json_family(const sgamp_metrics_t *m,
    sgamp_sink_t *sink, const sgamp_metrics_family_t *family);
static void sgamp_metrics_json_object(const sgamp_metrics_t *m,
    sgamp_sink_t *sink, const sgamp_metrics_family_t *family);
static void sgamp_metrics_json_histogram(const sgamp_metrics_t *m,
    sgamp_sink_t *sink, const sgamp_metrics_family_t *family);
static void sgamp_metrics_json_value(sgamp_sink_t *sink,
    const sgamp_metrics_family_t *family, uint64_t value);
static void sgamp_metrics_json_key(sgamp_sink_t *sink, unsigned i,
    const char *key);
static void sgamp_metrics_seconds(sgamp_sink_t *sink, uint64_t us);
static void sgamp_metrics_string(sgamp_sink_t *sink, const char *text);


void
sgamp_metrics_prometheus(const sgamp_metrics_t *m, sgamp_sink_t *sink)
{
    unsigned                       i, label[2], n[2];
    const uint64_t                *value;
    const sgamp_metrics_family_t  *family;

    for (family = sgamp_metrics_families; family->name != NULL; family++) {

        sgamp_metrics_head(sink, family);

        if (family->type[0] == 'h') {
            sgamp_metrics_histogram(m, sink, family);
            continue;
        }

        for (i = 0; i < 2; i++) {
            n[i] = (family->labels[i] != NULL) ? family->labels[i]->n : 1;
        }

        value = &m->values[family->first];

        for (label[0] = 0; label[0] < n[0]; label[0]++) {
            for (label[1] = 0; label[1] < n[1]; label[1]++) {
                sgamp_metrics_line(sink, family, label, *value++);
            }
        }
    }
}


static void
sgamp_metrics_head(sgamp_sink_t *sink, const sgamp_metrics_family_t *family)
{
    sgamp_metrics_text(sink, "# HELP " SGAMP_METRICS_PREFIX);
    sgamp_metrics_string(sink, family->name);
    sgamp_metrics_text(sink, " ");
    sgamp_metrics_string(sink, family->help);
    sgamp_metrics_text(sink, "\n# TYPE " SGAMP_METRICS_PREFIX);
    sgamp_metrics_string(sink, family->name);
    sgamp_metrics_text(sink, " ");
    sgamp_metrics_string(sink, family->type);
    sgamp_metrics_text(sink, "\n");
}


static void
sgamp_metrics_line(sgamp_sink_t *sink, const sgamp_metrics_family_t *family,
    const unsigned *label, uint64_t value)
{
    unsigned  i;

    /* a gauge that was never set is left out */

    if (family->unset && value == 0) {
        return;
    }

    sgamp_metrics_text(sink, SGAMP_METRICS_PREFIX);
    sgamp_metrics_string(sink, family->name);

    for (i = 0; i < 2 && family->labels[i] != NULL; i++) {
        sgamp_json_write(sink, (u_char *) (i ? "," : "{"), 1);
        sgamp_metrics_string(sink, family->labels[i]->name);
        sgamp_metrics_text(sink, "=\"");
        sgamp_metrics_string(sink, family->labels[i]->value(label[i]));
        sgamp_metrics_text(sink, "\"");
    }

    if (i != 0) {
        sgamp_metrics_text(sink, "}");
    }

    sgamp_metrics_text(sink, " ");
    sgamp_json_decimal(sink, value - family->unset);
    sgamp_metrics_text(sink, "\n");
}


static void
sgamp_metrics_histogram(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    const sgamp_metrics_family_t *family)
{
    unsigned  i;
    uint64_t  count;

    count = 0;

    for (i = 0; i < SGAMP_METRICS_BUCKETS; i++) {
        count += m->values[family->first + i];

        sgamp_metrics_text(sink, SGAMP_METRICS_PREFIX);
        sgamp_metrics_string(sink, family->name);
        sgamp_metrics_text(sink, "_bucket{le=\"");
        sgamp_metrics_string(sink,
                             sgamp_metrics_bound_label(family->first, i));
        sgamp_metrics_text(sink, "\"} ");
        sgamp_json_decimal(sink, count);
        sgamp_metrics_text(sink, "\n");
    }

    sgamp_metrics_text(sink, SGAMP_METRICS_PREFIX);
    sgamp_metrics_string(sink, family->name);
    sgamp_metrics_text(sink, "_sum ");
    sgamp_metrics_seconds(sink, 1000 * m->values[family->first + i]);
    sgamp_metrics_text(sink, "\n" SGAMP_METRICS_PREFIX);
    sgamp_metrics_string(sink, family->name);
    sgamp_metrics_text(sink, "_count ");
    sgamp_json_decimal(sink, count);
    sgamp_metrics_text(sink, "\n");
}


void
sgamp_metrics_json(const sgamp_metrics_t *m, sgamp_sink_t *sink)
{
    unsigned                       i;
    const char                    *group;
    const sgamp_metrics_family_t  *family;

    i = 1;
    group = NULL;

    sgamp_metrics_text(sink, "{\"since\":");
    sgamp_json_decimal(sink, m->since);
    sgamp_metrics_text(sink, ",\"time\":");
    sgamp_metrics_seconds(sink, 1000 * m->now);

    sgamp_metrics_text(sink, ",\"host\":\"");
    sgamp_metrics_host(m, sink);
    sgamp_metrics_text(sink, "\",\"server\":\"");
    sgamp_metrics_string(sink, m->server ? m->server : "");
    sgamp_metrics_text(sink, "\",\"module\":\"" SGAMP_VERSION "\"");
    sgamp_metrics_json_verdict(m, sink, SGAMP_VERDICT_WEBHOOKS);

    for (family = sgamp_metrics_families; family->name != NULL; family++) {

        if (family->group != group) {
            group = family->group;

            sgamp_metrics_json_key(sink, 1, group);
            sgamp_metrics_text(sink, "{");

            i = 0;
        }

        sgamp_metrics_json_key(sink, i++, family->name);
        sgamp_metrics_json_family(m, sink, family);
    }

    sgamp_metrics_json_verdict(m, sink, SGAMP_VERDICT_COHORTS);
    sgamp_metrics_text(sink, "}}\n");
}


void
sgamp_metrics_host(const sgamp_metrics_t *m, sgamp_sink_t *sink)
{
    size_t  i;
    u_char  ch;

    for (i = 0; i < m->host.len; i++) {
        ch = m->host.data[i];

        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
              || (ch >= '0' && ch <= '9') || ch == '.' || ch == '-'
              || ch == '_'))
        {
            ch = '?';
        }

        sgamp_json_write(sink, &ch, 1);
    }
}


static void
sgamp_metrics_json_verdict(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    sgamp_verdict_flow_e flow)
{
    sgamp_verdict_t  verdict;

    sgamp_verdict(m, flow, &verdict);

    sgamp_metrics_text(sink, ",\"verdict\":{\"level\":\"");
    sgamp_metrics_string(sink, sgamp_verdict_level(&verdict));
    sgamp_metrics_text(sink, "\",\"text\":\"");
    sgamp_verdict_write(&verdict, sink);
    sgamp_metrics_text(sink, "\",\"last\":");
    sgamp_metrics_json_time(sink, verdict.last);
    sgamp_metrics_text(sink, ",\"last_failure\":");
    sgamp_metrics_json_time(sink, verdict.failure);
    sgamp_metrics_text(sink, ",\"last_failure_status\":");

    if (verdict.failure == 0) {
        sgamp_metrics_text(sink, "null}");
        return;
    }

    sgamp_metrics_text(sink, "\"");
    sgamp_metrics_string(sink, verdict.status);
    sgamp_metrics_text(sink, "\"}");
}


static void
sgamp_metrics_json_time(sgamp_sink_t *sink, uint64_t time)
{
    if (time == 0) {
        sgamp_metrics_text(sink, "null");

    } else {
        sgamp_json_decimal(sink, time - 1);
    }
}


static void
sgamp_metrics_json_family(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    const sgamp_metrics_family_t *family)
{
    if (family->type[0] == 'h') {
        sgamp_metrics_json_histogram(m, sink, family);

    } else if (family->labels[0] != NULL) {
        sgamp_metrics_json_object(m, sink, family);

    } else {
        sgamp_json_decimal(sink, m->values[family->first]);
    }
}


static void
sgamp_metrics_json_object(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    const sgamp_metrics_family_t *family)
{
    unsigned                      i, j;
    const uint64_t               *value;
    const sgamp_metrics_label_t  *label, *inner;

    value = &m->values[family->first];
    label = family->labels[0];
    inner = family->labels[1];

    sgamp_metrics_text(sink, "{");

    for (i = 0; i < label->n; i++) {

        sgamp_metrics_json_key(sink, i, label->value(i));

        if (inner == NULL) {
            sgamp_metrics_json_value(sink, family, *value++);
            continue;
        }

        sgamp_metrics_text(sink, "{");

        for (j = 0; j < inner->n; j++) {
            sgamp_metrics_json_key(sink, j, inner->value(j));
            sgamp_json_decimal(sink, *value++);
        }

        sgamp_metrics_text(sink, "}");
    }

    sgamp_metrics_text(sink, "}");
}


static void
sgamp_metrics_json_value(sgamp_sink_t *sink,
    const sgamp_metrics_family_t *family, uint64_t value)
{
    if (family->unset && value == 0) {
        sgamp_metrics_text(sink, "null");

    } else {
        sgamp_json_decimal(sink, value - family->unset);
    }
}


static void
sgamp_metrics_json_histogram(const sgamp_metrics_t *m, sgamp_sink_t *sink,
    const sgamp_metrics_family_t *family)
{
    unsigned  i;
    uint64_t  us, count;

    count = 0;

    sgamp_metrics_text(sink, "{\"buckets\":{");

    for (i = 0; i < SGAMP_METRICS_BUCKETS; i++) {
        count += m->values[family->first + i];

        sgamp_metrics_json_key(sink, i,
                               sgamp_metrics_bound_label(family->first, i));
        sgamp_json_decimal(sink, count);
    }

    sgamp_metrics_text(sink, "},\"sum\":");
    sgamp_metrics_seconds(sink, 1000 * m->values[family->first + i]);
    sgamp_metrics_text(sink, ",\"count\":");
    sgamp_json_decimal(sink, count);

    for (i = 0; i < SGAMP_METRICS_QUANTILES; i++) {
        us = sgamp_metrics_quantile(m, family->first,
                                    sgamp_metrics_quantiles[i].percent);

        sgamp_metrics_json_key(sink, 1, sgamp_metrics_quantiles[i].name);

        if (us == SGAMP_METRICS_NONE) {
            sgamp_metrics_text(sink, "null");

        } else {
            sgamp_metrics_seconds(sink, us);
        }
    }

    sgamp_metrics_text(sink, "}");
}


static void
sgamp_metrics_json_key(sgamp_sink_t *sink, unsigned i, const char *key)
{
    if (i != 0) {
        sgamp_metrics_text(sink, ",");
    }

    sgamp_metrics_text(sink, "\"");
    sgamp_metrics_string(sink, key);
    sgamp_metrics_text(sink, "\":");
}


static void
sgamp_metrics_seconds(sgamp_sink_t *sink, uint64_t us)
{
    u_char    buf[sizeof(".000000") - 1];
    size_t    n;
    uint64_t  rest;

    sgamp_json_decimal(sink, us / SGAMP_METRICS_SECOND);

    rest = us % SGAMP_METRICS_SECOND;

    if (rest == 0) {
        return;
    }

    buf[0] = '.';

    for (n = sizeof(buf) - 1; n != 0; n--) {
        buf[n] = (u_char) ('0' + rest % 10);
        rest /= 10;
    }

    n = sizeof(buf);

    while (buf[n - 1] == '0') {
        n--;
    }

    sgamp_json_write(sink, buf, n);
}


static void
sgamp_metrics_string(sgamp_sink_t *sink, const char *text)
{
    sgamp_json_write(sink, (const u_char *) text, strlen(text));
}
