
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_test_batch.h"


static void sgamp_test_batch_key(sgamp_test_batcher_t *t,
    const char *name, sgamp_event_t *event, const char *text);


void
sgamp_test_batch_start(sgamp_test_batcher_t *t, size_t max_size,
    uint32_t max_events)
{
    sgamp_str_t  user;

    memset(t, 0, sizeof(sgamp_test_batcher_t));

    sgamp_test_heap_init(&t->heap);

    t->pieces.grow = &t->heap.grow;
    t->pieces.max = SGAMP_TEST_KEEP;

    sgamp_test_set(&user, "email");
    sgamp_test_poison(&t->rules, sizeof(sgamp_rules_t));
    sgamp_rules_init(&t->rules);
    (void) sgamp_rules_user(&t->rules, &user);

    sgamp_test_set(&t->rules.prefix, "");
    sgamp_test_set(&t->key, "k\"y");

    sgamp_test_poison(&t->b, sizeof(sgamp_batcher_t));
    t->mapper.rules = &t->rules;
    t->mapper.properties = NULL;

    sgamp_test_before(&t->head, &t->key);

    sgamp_batcher_init(&t->b, &t->pieces, sgamp_map, &t->mapper, &t->head.str,
                       &sgamp_test_tail, max_size, max_events);
}


int
sgamp_test_batch_add(sgamp_test_batcher_t *t, size_t n, size_t pad)
{
    int               rc, reason;
    sgamp_event_t     event;
    sgamp_test_buf_t  buf;

    memset(&buf, 0, sizeof(sgamp_test_buf_t));
    memset(&event, 0, sizeof(sgamp_event_t));

    sgamp_test_batch_text(&buf, n, pad, 0);

    event.raw.data = buf.data;
    event.raw.len = buf.len;
    event.object = 1;

    sgamp_test_batch_key(t, "email", &event, (char *) buf.data);
    sgamp_test_batch_key(t, "event", &event, (char *) buf.data);
    sgamp_test_batch_key(t, "sg_event_id", &event, (char *) buf.data);

    sgamp_test_poison_stack();

    rc = sgamp_batcher_add(&t->b, &event, &reason);

    t->bad += rc == SGAMP_OK && reason != SGAMP_MAPPED;

    sgamp_test_free(&buf);

    return rc;
}


static void
sgamp_test_batch_key(sgamp_test_batcher_t *t, const char *name,
    sgamp_event_t *event, const char *text)
{
    int          key;
    const char  *p;
    sgamp_str_t  str;

    sgamp_test_set(&str, name);

    key = sgamp_names_key(&t->rules.names, &str);
    p = strstr(text, name) + str.len + 1;

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


void
sgamp_test_batch_walk(sgamp_test_buf_t *buf, const sgamp_batch_t *batch)
{
    sgamp_str_t     part;
    sgamp_cursor_t  cursor;

    sgamp_cursor_init(&cursor, batch, NULL);

    while (sgamp_cursor_next(&cursor, &part)) {
        sgamp_test_put(buf, part.data, part.len);
    }
}


size_t
sgamp_test_batch_check(sgamp_test_batcher_t *t, const sgamp_batch_t *batch,
    size_t n)
{
    char               id[32];
    size_t             pos, end;
    uint32_t           i;
    sgamp_test_buf_t  *p;

    /* the bytes are JSON, and the ends are where the events end */

    p = &t->payload;
    p->len = 0;

    sgamp_test_batch_walk(p, batch);

    t->bad += p->len != batch->size;
    t->bad += !sgamp_test_valid(p->data, p->len);
    t->bad += strncmp((char *) p->data, "{\"api_key\":\"k\\\"y\",\"events\":[",
                      batch->head)
              != 0;
    t->bad += strcmp((char *) p->data + batch->items[batch->n - 1].end,
                     SGAMP_TEST_TAIL)
              != 0;

    pos = batch->head;

    for (i = 0; i < batch->n; i++, n++) {
        end = batch->items[i].end;

        t->bad += i != 0 && p->data[pos++] != ',';
        t->bad += !sgamp_test_valid(p->data + pos, end - pos);

        snprintf(id, sizeof(id), "{\"user_id\":\"u%zu\"", n);
        t->bad += strncmp((char *) p->data + pos, id, strlen(id)) != 0;

        pos = end;
    }

    return n;
}


void
sgamp_test_batch_stop(sgamp_test_batcher_t *t)
{
    sgamp_batcher_done(&t->b);
    sgamp_pieces_done(&t->pieces);
    sgamp_test_free(&t->payload);

    if (t->heap.live != 0) {
        tap_is(t->heap.live, 0, "allocations that were not freed");
    }
}
