
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_test_batch.h"


#define SGAMP_TEST_SENT  65536 /* bytes that a batch may have */


static void sgamp_test_batch_key(sgamp_element_t *event, unsigned key,
    const char *text, const char *name);


void
sgamp_test_batch_start(sgamp_test_env_t *env, size_t max_size,
    uint32_t max_events)
{
    sgamp_test_env_init(env);

    sgamp_test_set(&env->api_key, "k\"y");
    sgamp_test_rules(env, "prefix", "");

    env->max_size = max_size;
    env->max_events = max_events;

    sgamp_test_batcher(env);
}


void
sgamp_test_batch_sent(sgamp_test_env_t *env, uint32_t n)
{
    uint32_t  i;

    sgamp_test_batch_start(env, SGAMP_TEST_SENT, n);

    for (i = 0; i < n; i++) {
        (void) sgamp_test_batch_add(env, i, 10);
    }

    env->part = sgamp_part_all(&env->heap.grow, env->batcher.closed);
}


int
sgamp_test_batch_add(sgamp_test_env_t *env, size_t n, size_t pad)
{
    int               rc, reason;
    sgamp_element_t     event;
    sgamp_test_buf_t    buf;

    memset(&buf, 0, sizeof(sgamp_test_buf_t));
    memset(&event, 0, sizeof(sgamp_element_t));

    sgamp_test_batch_text(&buf, n, pad, 0);

    event.raw.data = buf.data;
    event.raw.len = buf.len;
    event.object = 1;

    sgamp_test_batch_key(&event, SGAMP_KEY_EMAIL, (char *) buf.data, "email");
    sgamp_test_batch_key(&event, SGAMP_KEY_EVENT, (char *) buf.data, "event");
    sgamp_test_batch_key(&event, SGAMP_KEY_EVENT_ID, (char *) buf.data,
                         "sg_event_id");

    sgamp_test_poison_stack();

    rc = sgamp_batcher_add(&env->batcher, &event, &reason);

    env->bad += rc == SGAMP_OK && reason != SGAMP_MAPPED;

    sgamp_test_free(&buf);

    return rc;
}


static void
sgamp_test_batch_key(sgamp_element_t *event, unsigned key, const char *text,
    const char *name)
{
    const char  *p;

    p = strstr(text, name) + strlen(name) + 1;

    event->seen |= (uint32_t) 1 << key;
    event->ends[key] = (uint32_t) (p - text);
}


void
sgamp_test_batch_text(sgamp_test_buf_t *buf, size_t n, size_t pad, int mapped)
{
    char    text[256];
    size_t  i;

    if (mapped) {
        snprintf(text, sizeof(text),
                 "{\"user_id\":\"u%zu\",\"event_type\":\"e\","
                 "\"insert_id\":\"i%zu\",\"library\":\"sendgrid\","
                 "\"event_properties\":",
                 n, n);
        sgamp_test_puts(buf, text);
    }

    snprintf(text, sizeof(text),
             "{\"email\":\"u%zu\",\"event\":\"e\",\"sg_event_id\":\"i%zu\","
             "\"pad\":\"",
             n, n);
    sgamp_test_puts(buf, text);

    for (i = 0; i < pad; i++) {
        text[0] = (char) ('a' + (n + i / 10) % 26);
        sgamp_test_put(buf, text, 1);
    }

    sgamp_test_puts(buf, mapped ? "\"}}" : "\"}");
}


size_t
sgamp_test_batch_check(sgamp_test_env_t *env, const sgamp_batch_t *batch,
    size_t n)
{
    char               id[32];
    size_t             pos, end;
    uint32_t           i;
    sgamp_test_buf_t  *p;

    /* the bytes are JSON, and the ends are where the events end */

    p = &env->out;
    p->len = 0;

    sgamp_test_payload(p, batch);

    env->bad += p->len != batch->size;
    env->bad += !sgamp_test_valid(p->data, p->len);
    env->bad += strncmp((char *) p->data,
                        "{\"api_key\":\"k\\\"y\",\"events\":[", batch->head)
                != 0;
    env->bad += strcmp((char *) p->data + batch->items[batch->n - 1].end,
                       SGAMP_TEST_TAIL)
                != 0;

    pos = batch->head;

    for (i = 0; i < batch->n; i++, n++) {
        end = batch->items[i].end;

        env->bad += i != 0 && p->data[pos++] != ',';
        env->bad += !sgamp_test_valid(p->data + pos, end - pos);

        snprintf(id, sizeof(id), "{\"user_id\":\"u%zu\"", n);
        env->bad += strncmp((char *) p->data + pos, id, strlen(id)) != 0;

        pos = end;
    }

    return n;
}
