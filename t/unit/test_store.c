
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_store.h"
#include "sgamp_test_env.h"


typedef struct {
    sgamp_test_env_t  env;
    sgamp_store_t     store;
    size_t            n;  /* events */
} sgamp_test_kept_t;


static void sgamp_test_order(void);
static void sgamp_test_sizes(void);
static void sgamp_test_small(void);
static void sgamp_test_no_memory(void);
static void sgamp_test_start(sgamp_test_kept_t *t);
static void sgamp_test_parse(sgamp_test_kept_t *t, const char *text,
    size_t n);
static int sgamp_test_add(void *data, const sgamp_element_t *event);
static int sgamp_test_store(sgamp_store_t *store, const sgamp_element_t *event,
    sgamp_reason_e reason);


int
main(void)
{
    sgamp_test_order();
    sgamp_test_sizes();
    sgamp_test_small();
    sgamp_test_no_memory();

    return tap_done();
}


static void
sgamp_test_order(void)
{
    unsigned              i;
    sgamp_stored_t        event;
    sgamp_test_kept_t     t;
    sgamp_store_cursor_t  cursor;

    static const char text[] =
        "[1, {\"event\":\"open\",\"sg_event_id\":\"first\"}, \"two\","
        "{\"sg_event_id\":\"\"}, {\"sg_event_id\":5}, {}]";

    static const char *events[] = {
        "1", "",
        "{\"event\":\"open\",\"sg_event_id\":\"first\"}", "first",
        "\"two\"", "",
        "{\"sg_event_id\":\"\"}", "",
        "{\"sg_event_id\":5}", "",
        "{}", ""
    };

    static const sgamp_reason_e reasons[] = {
        SGAMP_NOT_AN_OBJECT, SGAMP_NO_USER_ID, SGAMP_NOT_AN_OBJECT,
        SGAMP_NO_USER_ID, SGAMP_NO_USER_ID, SGAMP_NO_USER_ID
    };

    static const sgamp_kind_e kinds[] = {
        SGAMP_KIND_OTHER, SGAMP_KIND_OPEN, SGAMP_KIND_OTHER,
        SGAMP_KIND_OTHER, SGAMP_KIND_OTHER, SGAMP_KIND_OTHER
    };

    sgamp_test_start(&t);
    memset(&cursor, 0, sizeof(sgamp_store_cursor_t));

    tap_is(sgamp_store_next(&t.store, &cursor, &event), 0, "none is held");

    sgamp_test_parse(&t, text, sizeof(text) - 1);

    for (i = 0; sgamp_store_next(&t.store, &cursor, &event); i++) {

        if (i == 6) {
            break;
        }

        tap_bytes(event.raw.data, event.raw.len, events[2 * i],
                  strlen(events[2 * i]), "event %u", i);
        tap_bytes(event.id.data, event.id.len, events[2 * i + 1],
                  strlen(events[2 * i + 1]), "its id");
        tap_is(event.reason, reasons[i], "its reason");
        tap_is(event.kind, kinds[i], "its kind");
    }

    tap_is(i, 6, "all of them");

    sgamp_store_done(&t.store);
    sgamp_store_done(&t.store);

    tap_is(t.env.heap.live, 0, "all is freed");

    sgamp_test_env_done(&t.env);
}


static void
sgamp_test_sizes(void)
{
    size_t                i, n, size, bad;
    sgamp_element_t       event;
    sgamp_stored_t        got;
    sgamp_test_buf_t      raw;
    sgamp_test_kept_t     t;
    sgamp_store_cursor_t  cursor;

    static const size_t sizes[] = {
        1, 127, 128, 129, 16000, 16383, 16384, 16385, 5, 100000, 2097152, 1
    };

    memset(&raw, 0, sizeof(sgamp_test_buf_t));
    memset(&event, 0, sizeof(sgamp_element_t));
    memset(&cursor, 0, sizeof(sgamp_store_cursor_t));
    sgamp_test_start(&t);

    n = sizeof(sizes) / sizeof(sizes[0]);

    while (raw.len < 2097152) {
        sgamp_test_puts(&raw, "0123456789abcde");
    }

    for (i = 0; i < 3 * n; i++) {
        event.raw.data = raw.data;
        event.raw.len = sizes[i % n];

        (void) sgamp_test_store(&t.store, &event, SGAMP_NOT_AN_OBJECT);
    }

    bad = 0;

    for (i = 0; sgamp_store_next(&t.store, &cursor, &got); i++) {
        size = sizes[i % n];
        bad += got.raw.len != size || memcmp(got.raw.data, raw.data, size);
    }

    tap_is(i, 3 * n, "events of all sizes");
    tap_is(bad, 0, "are the same");

    sgamp_store_done(&t.store);
    sgamp_test_free(&raw);

    tap_is(t.env.heap.live, 0, "all is freed");

    sgamp_test_env_done(&t.env);
}


static void
sgamp_test_small(void)
{
    size_t             i;
    sgamp_test_buf_t   text;
    sgamp_test_kept_t  t;

    /* the smallest events there are take up little more than they do */

    memset(&text, 0, sizeof(sgamp_test_buf_t));
    sgamp_test_puts(&text, "[1");

    for (i = 0; i < 500000; i++) {
        sgamp_test_puts(&text, ",1");
    }

    sgamp_test_puts(&text, "]");

    sgamp_test_start(&t);
    sgamp_test_parse(&t, (char *) text.data, text.len);

    tap_is(t.n, 500001, "all are held");
    tap_ok(t.env.heap.bytes < 2 * text.len + 65536, "%zu bytes for %zu",
           t.env.heap.bytes, text.len);

    sgamp_store_done(&t.store);
    sgamp_test_env_done(&t.env);
    sgamp_test_free(&text);
}


static void
sgamp_test_no_memory(void)
{
    unsigned           i, n;
    sgamp_element_t      event;
    sgamp_test_kept_t    t;

    memset(&event, 0, sizeof(sgamp_element_t));
    event.raw.data = (u_char *) "[]";
    event.raw.len = 2;

    for (n = 1; n < 4; n++) {
        sgamp_test_start(&t);
        t.env.heap.fail = n;

        for (i = 0; i < 1000000; i++) {
            if (sgamp_test_store(&t.store, &event, SGAMP_NOT_AN_OBJECT)
                != SGAMP_OK)
            {
                break;
            }
        }

        tap_ok(i < 1000000, "allocation %u fails", n);

        sgamp_store_done(&t.store);

        tap_is(t.env.heap.live, 0, "all is freed");

        sgamp_test_env_done(&t.env);
    }
}


static void
sgamp_test_start(sgamp_test_kept_t *t)
{
    sgamp_test_env_init(&t->env);

    t->env.max_event = 1000;
    t->env.handler = sgamp_test_add;
    t->env.data = t;
    t->n = 0;

    sgamp_test_poison(&t->store, sizeof(sgamp_store_t));
    sgamp_store_init(&t->store, &t->env.heap.grow);
}


static void
sgamp_test_parse(sgamp_test_kept_t *t, const char *text, size_t n)
{
    if (sgamp_test_parser(&t->env) != SGAMP_OK
        || sgamp_test_feed(&t->env, (u_char *) text, n) != SGAMP_OK
        || sgamp_parser_finish(&t->env.parser) != SGAMP_OK)
    {
        tap_bail("the parser fails");
    }

    sgamp_test_stop(&t->env);
}


static int
sgamp_test_add(void *data, const sgamp_element_t *event)
{
    sgamp_test_kept_t  *t = data;

    t->n++;

    return sgamp_test_store(&t->store, event,
                            event->object ? SGAMP_NO_USER_ID
                                          : SGAMP_NOT_AN_OBJECT);
}


static int
sgamp_test_store(sgamp_store_t *store, const sgamp_element_t *event,
    sgamp_reason_e reason)
{
    sgamp_stored_t      element;
    sgamp_json_value_t  name;

    name.type = SGAMP_JSON_NONE;

    if (event->seen & ((uint32_t) 1 << SGAMP_KEY_EVENT)) {
        sgamp_json_value(&name, event->raw.data + event->ends[SGAMP_KEY_EVENT],
                         event->raw.data + event->raw.len);
    }

    element.kind = sgamp_kind(&name);
    element.reason = reason;
    element.raw = event->raw;

    sgamp_event_id(event, &element.id);

    return sgamp_store_add(store, &element);
}
