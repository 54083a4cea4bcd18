
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_store.h"
#include "sgamp_test.h"


typedef struct {
    sgamp_store_t        held;
    sgamp_test_buf_t    text;  /* all events, one after the other */
    sgamp_test_heap_t   heap;
    size_t              n;
} sgamp_test_kept_t;


static void sgamp_test_order(void);
static void sgamp_test_sizes(void);
static void sgamp_test_small(void);
static void sgamp_test_no_memory(void);
static void sgamp_test_parse(sgamp_test_kept_t *t, const char *text,
    size_t n);
static int sgamp_test_add(void *data, const sgamp_event_t *event);
static int sgamp_test_store(sgamp_store_t *store, const sgamp_event_t *event,
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
    unsigned             i;
    sgamp_test_kept_t    t;
    sgamp_stored_t   event;
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

    sgamp_test_heap_init(&t.heap);
    sgamp_test_poison(&t.held, sizeof(sgamp_store_t));
    sgamp_store_init(&t.held, &t.heap.grow);
    memset(&cursor, 0, sizeof(sgamp_store_cursor_t));

    tap_is(sgamp_store_next(&t.held, &cursor, &event), 0, "none is held");

    sgamp_test_parse(&t, text, sizeof(text) - 1);

    for (i = 0; sgamp_store_next(&t.held, &cursor, &event); i++) {

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

    sgamp_store_done(&t.held);
    sgamp_store_done(&t.held);
    sgamp_test_free(&t.text);

    tap_is(t.heap.live, 0, "all is freed");
}


static void
sgamp_test_sizes(void)
{
    size_t               i, n, size, bad;
    sgamp_event_t        event;
    sgamp_test_buf_t     raw;
    sgamp_test_heap_t    heap;
    sgamp_store_t         held;
    sgamp_stored_t        got;
    sgamp_store_cursor_t  cursor;

    static const size_t sizes[] = {
        1, 127, 128, 129, 16000, 16383, 16384, 16385, 5, 100000, 2097152, 1
    };

    memset(&raw, 0, sizeof(sgamp_test_buf_t));
    memset(&event, 0, sizeof(sgamp_event_t));
    memset(&cursor, 0, sizeof(sgamp_store_cursor_t));
    sgamp_test_heap_init(&heap);
    sgamp_test_poison(&held, sizeof(sgamp_store_t));
    sgamp_store_init(&held, &heap.grow);

    n = sizeof(sizes) / sizeof(sizes[0]);

    while (raw.len < 2097152) {
        sgamp_test_puts(&raw, "0123456789abcde");
    }

    for (i = 0; i < 3 * n; i++) {
        event.raw.data = raw.data;
        event.raw.len = sizes[i % n];

        (void) sgamp_test_store(&held, &event, SGAMP_NOT_AN_OBJECT);
    }

    bad = 0;

    for (i = 0; sgamp_store_next(&held, &cursor, &got); i++) {
        size = sizes[i % n];
        bad += got.raw.len != size || memcmp(got.raw.data, raw.data, size);
    }

    tap_is(i, 3 * n, "events of all sizes");
    tap_is(bad, 0, "are the same");

    sgamp_store_done(&held);
    sgamp_test_free(&raw);

    tap_is(heap.live, 0, "all is freed");
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

    sgamp_test_heap_init(&t.heap);
    sgamp_test_poison(&t.held, sizeof(sgamp_store_t));
    sgamp_store_init(&t.held, &t.heap.grow);
    sgamp_test_parse(&t, (char *) text.data, text.len);

    tap_is(t.n, 500001, "all are held");
    tap_ok(t.heap.bytes < 2 * text.len + 65536, "%zu bytes for %zu",
           t.heap.bytes, text.len);

    sgamp_store_done(&t.held);
    sgamp_test_free(&t.text);
    sgamp_test_free(&text);
}


static void
sgamp_test_no_memory(void)
{
    unsigned           i, n;
    sgamp_event_t      event;
    sgamp_test_kept_t  t;

    memset(&event, 0, sizeof(sgamp_event_t));
    event.raw.data = (u_char *) "[]";
    event.raw.len = 2;

    for (n = 1; n < 4; n++) {
        sgamp_test_heap_init(&t.heap);
        t.heap.fail = n;
        sgamp_test_poison(&t.held, sizeof(sgamp_store_t));
        sgamp_store_init(&t.held, &t.heap.grow);

        for (i = 0; i < 1000000; i++) {
            if (sgamp_test_store(&t.held, &event, SGAMP_NOT_AN_OBJECT)
                != SGAMP_OK)
            {
                break;
            }
        }

        tap_ok(i < 1000000, "allocation %u fails", n);

        sgamp_store_done(&t.held);

        tap_is(t.heap.live, 0, "all is freed");
    }
}


static void
sgamp_test_parse(sgamp_test_kept_t *t, const char *text, size_t n)
{
    sgamp_str_t     reserve;
    sgamp_rules_t   rules;
    sgamp_parser_t  parser;

    t->n = 0;
    memset(&t->text, 0, sizeof(sgamp_test_buf_t));
    memset(&reserve, 0, sizeof(sgamp_str_t));

    sgamp_test_poison(&rules, sizeof(sgamp_rules_t));
    sgamp_rules_init(&rules);

    sgamp_test_poison(&parser, sizeof(sgamp_parser_t));

    if (sgamp_parser_init(&parser, &rules.names, 1000, sgamp_test_add, t,
                          &t->heap.grow, &reserve)
            != SGAMP_OK
        || sgamp_parser_feed(&parser, (u_char *) text, n) != SGAMP_OK
        || sgamp_parser_finish(&parser) != SGAMP_OK)
    {
        tap_bail("the parser fails");
    }

    sgamp_parser_done(&parser);

    if (reserve.data != NULL) {
        t->heap.grow.free(t->heap.grow.data, reserve.data);
    }
}


static int
sgamp_test_add(void *data, const sgamp_event_t *event)
{
    sgamp_test_kept_t  *t = data;

    t->n++;

    return sgamp_test_store(&t->held, event,
                            event->object ? SGAMP_NO_USER_ID
                                          : SGAMP_NOT_AN_OBJECT);
}


static int
sgamp_test_store(sgamp_store_t *store, const sgamp_event_t *event,
    sgamp_reason_e reason)
{
    sgamp_stored_t  element;

    element.kind = sgamp_event_kind(event);
    element.reason = reason;
    element.raw = event->raw;

    sgamp_event_id(event, &element.id);

    return sgamp_store_add(store, &element);
}
