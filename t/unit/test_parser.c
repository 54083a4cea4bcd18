
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_test_env.h"


#define SGAMP_TEST_EVENT_SIZE  100000 /* limit of an endless event */
#define SGAMP_TEST_ENDLESS     4000000
#define SGAMP_TEST_SPLITS      60


/* what the handler sees and says */

typedef struct {
    sgamp_test_buf_t  raw;
    unsigned          n;
    unsigned          stop; /* at this event, 0: at none */
    int               rc;
} sgamp_test_seen_t;


typedef struct {
    sgamp_test_env_t   env;
    sgamp_names_t      names;
    sgamp_test_seen_t  seen;
} sgamp_test_parser_t;


static void sgamp_test_endless(void);
static void sgamp_test_endless_feed(const char *name, const char *head,
    const char *body, size_t portion);
static void sgamp_test_handler(void);
static void sgamp_test_ends(void);
static void sgamp_test_slots(void);
static void sgamp_test_carry(void);
static void sgamp_test_states(void);
static void sgamp_test_reserved(void);
static void sgamp_test_no_memory(void);
static void sgamp_test_start(sgamp_test_parser_t *t, size_t max_size);
static int sgamp_test_see(void *data, const sgamp_element_t *event);
static void sgamp_test_end(sgamp_test_parser_t *t);


int
main(void)
{
    sgamp_test_endless();
    sgamp_test_handler();
    sgamp_test_ends();
    sgamp_test_slots();
    sgamp_test_carry();
    sgamp_test_states();
    sgamp_test_reserved();
    sgamp_test_no_memory();

    return tap_done();
}


static void
sgamp_test_endless(void)
{
    size_t    i, k;

    static const size_t  portions[] = { 1, 1000, 16384 };

    static const char *texts[] = {
        "a string", "[\"", "a",
        "a string that is held back", "[\"", "\\u00e9",
        "an escaped string", "[{\"a\":\"", "\\n",
        "a key", "[{\"", "a",
        "a number", "[", "1",
        "a fraction", "[{\"a\":0.", "0",
        "white space before", "", " ",
        "white space in an array", "[", " ",
        "white space in an event", "[{", "\n",
        "white space between elements", "[{},", "\t",
        "white space after an element", "[{}", "\r",
        "white space after the end", "[]", " ",
        "white space after an event alone", "{}", "\n",
        "an event", "[{\"b\":[0", ",0",
        "an event alone", "{\"b\":[0", ",{}",
        "an array", "[[0", ",0",
        NULL
    };

    for (i = 0; texts[i] != NULL; i += 3) {
        for (k = 0; k < 3; k++) {
            sgamp_test_endless_feed(texts[i], texts[i + 1], texts[i + 2],
                                    portions[k]);
        }
    }
}


static void
sgamp_test_endless_feed(const char *name, const char *head, const char *body,
    size_t portion)
{
    int                  rc;
    size_t               n;
    sgamp_test_buf_t     buf;
    sgamp_test_parser_t  t;

    memset(&buf, 0, sizeof(sgamp_test_buf_t));

    while (buf.len < portion) {
        sgamp_test_puts(&buf, body);
    }

    sgamp_test_start(&t, SGAMP_TEST_EVENT_SIZE);

    rc = sgamp_test_feed(&t.env, (u_char *) head, strlen(head));

    for (n = 0; rc == SGAMP_OK && n < SGAMP_TEST_ENDLESS; n += buf.len) {
        rc = sgamp_test_feed(&t.env, buf.data, buf.len);
    }

    /* what is held back is seen late, and not lost */

    tap_ok(rc == SGAMP_TOO_LARGE
               && n <= SGAMP_TEST_EVENT_SIZE * 17 / 16 + 2 * buf.len
               && n + buf.len + 8 >= SGAMP_TEST_EVENT_SIZE,
           "%s without end, in portions of %zu", name, buf.len);

    if (rc != SGAMP_TOO_LARGE) {
        tap_diag("status %d after %zu bytes", rc, n);
    }

    /* yajl's buffers double, the reserve is eight times more */

    if (t.env.heap.peak > 24 * SGAMP_TEST_EVENT_SIZE) {
        tap_is(t.env.heap.peak, 0, "%s: memory", name);
    }

    sgamp_test_end(&t);
    sgamp_test_free(&buf);
}


static void
sgamp_test_handler(void)
{
    int                  rc;
    size_t               i;
    unsigned             stop, bad;
    sgamp_test_parser_t  t;

    /* its code ends the parsing, and comes again from then on */

    static const char text[] = "[1,{\"a\":2},\"3\",[4]] x";
    static const uint64_t ends[] = { 2, 10, 14, 18 };

    bad = 0;

    for (stop = 1; stop <= 4; stop++) {
        sgamp_test_start(&t, 1000);

        t.seen.stop = stop;
        rc = SGAMP_OK;

        for (i = 0; i < sizeof(text) - 1 && rc == SGAMP_OK; i++) {
            rc = sgamp_test_feed(&t.env, (u_char *) &text[i], 1);
        }

        bad += rc != 7 || t.seen.n != stop;
        bad += t.env.parser.at != ends[stop - 1];
        bad += sgamp_test_feed(&t.env, (u_char *) "]", 1) != 7;
        bad += sgamp_parser_finish(&t.env.parser) != 7;
        bad += t.seen.n != stop;

        sgamp_test_end(&t);
    }

    tap_is(bad, 0, "what the handler returns ends the parsing");

    bad = 0;

    for (stop = 1; stop <= 4; stop++) {
        sgamp_test_start(&t, 1000);

        t.seen.stop = stop;

        bad += sgamp_test_feed(&t.env, (u_char *) text, sizeof(text) - 1)
               != 7;
        bad += t.seen.n != stop;

        sgamp_test_end(&t);
    }

    tap_is(bad, 0, "in the middle of a portion, too");
}


static void
sgamp_test_ends(void)
{
    unsigned             i;
    const char          *p;
    sgamp_str_t          name;
    sgamp_element_t     *event;
    sgamp_test_parser_t  t;

    /* the last key of a name counts, on the first level only */

    static const char text[] =
        "[{\"a\":{\"b\":1},\"b\":2,\"\\u0061\":3,\"c\":{\"d\":4},"
        "\"x\":[{\"e\":5}],\"y\":{\"z\":{},\"f\":6},\"y\":[[],{\"f\":6}],"
        "\"a key that is as long as no other one\":6,"
        "\"a key that is as long as no other 0ne\":7}]";

    static const char *names[] = {
        "a", "b", "c", "d", "e", "f", "a key that is as long as no other one",
        "a key that is longer than that of any event", NULL
    };

    static const char *found[] = { ":3", ":2", ":{", "", "", "", ":6", "" };

    sgamp_test_start(&t, 1000);

    for (i = 0; names[i] != NULL; i++) {
        sgamp_test_set(&name, names[i]);
        (void) sgamp_names_key(&t.names, &name);
    }

    tap_is(sgamp_test_feed(&t.env, (u_char *) text, sizeof(text) - 3),
           SGAMP_OK, "all but the end of an event");

    event = &t.env.parser.current;

    for (i = 0; names[i] != NULL; i++) {
        p = text + 1 + event->ends[i];

        if (found[i][0] == '\0') {
            tap_ok((event->seen & (1u << i)) == 0, "\"%s\" is not there",
                   names[i]);
            continue;
        }

        tap_ok((event->seen & (1u << i)) != 0
                   && strncmp(p, found[i], strlen(found[i])) == 0,
               "\"%s\" is there", names[i]);
    }

    tap_is(sgamp_test_feed(&t.env, (u_char *) "}]", 2), SGAMP_OK, "end");
    tap_is(sgamp_parser_finish(&t.env.parser), SGAMP_OK, "of the text");

    sgamp_test_end(&t);
}


static void
sgamp_test_slots(void)
{
    char                 text[SGAMP_MAX_KEYS][8];
    unsigned             i, bad;
    sgamp_str_t          name;
    sgamp_element_t     *event;
    sgamp_test_buf_t     buf;
    sgamp_test_parser_t  t;

    /* names of three slots in turn: all but their middle is the same */

    memset(&buf, 0, sizeof(sgamp_test_buf_t));
    sgamp_test_start(&t, 1000);
    sgamp_test_puts(&buf, "{\"k\":0");

    for (i = 0; i < SGAMP_MAX_KEYS; i++) {
        (void) snprintf(text[i], sizeof(text[i]), "k%02ux%u", i, i % 3);

        sgamp_test_puts(&buf, ",\"");
        sgamp_test_puts(&buf, text[i]);
        sgamp_test_puts(&buf, "\":");
        sgamp_test_put(&buf, &"0123456789"[i % 10], 1);

        sgamp_test_set(&name, text[i]);

        tap_is(sgamp_names_key(&t.names, &name), i, "key %u is another", i);
    }

    (void) sgamp_test_feed(&t.env, buf.data, buf.len);

    event = &t.env.parser.current;
    bad = 0;

    for (i = 0; i < SGAMP_MAX_KEYS; i++) {
        sgamp_test_set(&name, text[i]);

        bad += sgamp_names_key(&t.names, &name) != (int) i;
        bad += (event->seen & ((uint32_t) 1 << i)) == 0
               || buf.data[event->ends[i]] != ':'
               || buf.data[event->ends[i] + 1] != '0' + i % 10;
    }

    tap_is(bad, 0, "keys of the same slot are found");
    sgamp_test_free(&buf);
    sgamp_test_end(&t);
}


static void
sgamp_test_carry(void)
{
    size_t               i, k, n, at, max;
    unsigned             bad;
    sgamp_test_buf_t     buf, want;
    sgamp_test_random_t  random;
    sgamp_test_parser_t  t;

    /* elements of any length, some longer than what is fed at a time */

    memset(&buf, 0, sizeof(sgamp_test_buf_t));
    memset(&want, 0, sizeof(sgamp_test_buf_t));

    random.state = 4;
    bad = 0;

    for (i = 0; i < SGAMP_TEST_SPLITS; i++) {
        buf.len = 0;
        want.len = 0;

        for (k = 0; k < 30; k++) {
            n = (size_t) 1 << sgamp_test_random(&random, 15);
            n = 1 + sgamp_test_random(&random, n);

            sgamp_test_puts(&buf, k ? ", " : "[\n");
            at = buf.len;

            switch (sgamp_test_random(&random, 3)) {

            case 0:
                sgamp_test_puts(&buf, "\"");

                while (buf.len - at < n) {
                    sgamp_test_puts(&buf, "\\\"text, ");
                }

                sgamp_test_puts(&buf, "\"");
                break;

            case 1:
                sgamp_test_puts(&buf, "{\"a\":[0");

                while (buf.len - at < n) {
                    sgamp_test_puts(&buf, ",{\"b\":null}");
                }

                sgamp_test_puts(&buf, "]}");
                break;

            default:
                sgamp_test_puts(&buf, "1");

                while (buf.len - at < n) {
                    sgamp_test_puts(&buf, "0");
                }
            }

            sgamp_test_put(&want, buf.data + at, buf.len - at);
            sgamp_test_puts(&want, "\n");
        }

        sgamp_test_puts(&buf, "]");

        sgamp_test_start(&t, SGAMP_TEST_EVENT_SIZE);

        max = (i % 3) ? 100000 : 50;

        for (at = 0; at < buf.len; at += n) {
            n = 1 + sgamp_test_random(&random, max);
            n = (n < buf.len - at) ? n : buf.len - at;

            bad += sgamp_test_feed(&t.env, buf.data + at, n) != SGAMP_OK;
        }

        bad += sgamp_parser_finish(&t.env.parser) != SGAMP_OK;
        bad += t.seen.raw.len != want.len
               || memcmp(t.seen.raw.data, want.data, want.len) != 0;

        sgamp_test_end(&t);
    }

    tap_is(bad, 0, "long elements in random portions");

    sgamp_test_free(&buf);
    sgamp_test_free(&want);
}


static void
sgamp_test_states(void)
{
    sgamp_test_parser_t  t;

    static const char gaps[] = "[          1,          2]";

    sgamp_test_start(&t, 1000);
    tap_is(sgamp_parser_finish(&t.env.parser), SGAMP_INVALID,
           "nothing was fed");
    tap_is(sgamp_test_feed(&t.env, (u_char *) "[]", 2), SGAMP_INVALID,
           "and now it is too late");
    sgamp_test_end(&t);

    sgamp_test_start(&t, 1000);
    tap_is(sgamp_test_feed(&t.env, (u_char *) "", 0), SGAMP_OK,
           "no bytes");
    tap_is(sgamp_test_feed(&t.env, (u_char *) "[", 1), SGAMP_OK, "one");
    tap_is(sgamp_test_feed(&t.env, (u_char *) "", 0), SGAMP_OK, "none");
    tap_is(sgamp_test_feed(&t.env, (u_char *) "1]", 2), SGAMP_OK, "two");
    tap_is(sgamp_test_feed(&t.env, (u_char *) "", 0), SGAMP_OK, "none");
    tap_is(sgamp_parser_finish(&t.env.parser), SGAMP_OK, "the end");
    tap_is(t.seen.n, 1, "one element");

    sgamp_parser_done(&t.env.parser);

    tap_is(sgamp_test_feed(&t.env, (u_char *) " ", 1), SGAMP_INVALID,
           "nothing is read after the end");
    tap_is(sgamp_parser_finish(&t.env.parser), SGAMP_INVALID, "nor finished");

    sgamp_test_end(&t);

    /* the fault of before is kept */

    sgamp_test_start(&t, 3);
    tap_is(sgamp_test_feed(&t.env, (u_char *) "[12", 3), SGAMP_OK,
           "the beginning of a number");
    tap_is(sgamp_test_feed(&t.env, (u_char *) "345", 3),
           SGAMP_TOO_LARGE, "which is too long");
    sgamp_parser_done(&t.env.parser);
    tap_is(t.env.heap.live, 1, "nothing is kept but what is reserved");
    tap_is(sgamp_parser_finish(&t.env.parser), SGAMP_TOO_LARGE,
           "is still too long after the end");
    sgamp_test_end(&t);

    /* the first of two gaps is told, and nothing behind it is read */

    sgamp_test_start(&t, 5);
    tap_is(sgamp_test_feed(&t.env, (u_char *) gaps, sizeof(gaps) - 1),
           SGAMP_TOO_LARGE, "two gaps that are too long");
    tap_is(t.env.parser.at, 11, "the offset behind the first one");
    tap_is(t.seen.n, 0, "no element");
    sgamp_test_end(&t);
}


static void
sgamp_test_reserved(void)
{
    size_t               i, k, n;
    sgamp_test_buf_t     buf;
    sgamp_test_parser_t  t;

    /*
     * what yajl may need for a portion does not grow with the webhook: any
     * token that is reported ends what is pending
     */

    static const char *texts[] = {
        "1,", "null,", "true,", "\"a\",", "[],", "{},", "{\"a\":1},",
        "[[]],", "[{\"a\":{}}],", NULL
    };
    static const char *brackets[] = {
        "[[\"", "\",[\"",
        "[[\"", "\",{\"a\":\"",
        "[[[\"", "\"],\"",
        "[[{\"a\":\"", "\"},\"",
        "[[\"", "\"],\"",
        "[\"", "\",\"",
        "[{\"", "\":\"",
        NULL
    };

    memset(&buf, 0, sizeof(sgamp_test_buf_t));

    for (i = 0; texts[i] != NULL; i++) {
        n = strlen(texts[i]);

        sgamp_test_start(&t, 1000);
        (void) sgamp_test_feed(&t.env, (u_char *) "[", 1);

        for (k = 0; k < 2000; k++) {
            (void) sgamp_test_feed(&t.env, (u_char *) texts[i], n);
        }

        tap_is(t.seen.n, k, "\"%s\" is read often", texts[i]);
        tap_ok(t.env.reserve.len <= 14004 + 9 * 2 * n, "and reserves %zu bytes",
               t.env.reserve.len);

        sgamp_test_end(&t);
    }

    /* nor does a bracket between two long strings leave the first pending */

    for (i = 0; brackets[i] != NULL; i += 2) {
        buf.len = 0;

        sgamp_test_puts(&buf, brackets[i]);

        for (k = 0; k < 500; k++) {
            sgamp_test_puts(&buf, "0123456789");
        }

        sgamp_test_puts(&buf, brackets[i + 1]);

        for (k = 0; k < 500; k++) {
            sgamp_test_puts(&buf, "0123456789");
        }

        sgamp_test_start(&t, 20000);

        for (k = 0; k < buf.len; k += n) {
            n = (buf.len - k < 100) ? buf.len - k : 100;
            (void) sgamp_test_feed(&t.env, buf.data + k, n);
        }

        tap_ok(t.env.reserve.len < 14004 + 9 * 7000,
               "\"%s\" between two strings: %zu bytes", brackets[i + 1],
               t.env.reserve.len);

        sgamp_test_end(&t);
    }

    /* what is reserved is for the bytes of one feed of yajl, and no more */

    buf.len = 0;

    while (buf.len < 200000) {
        sgamp_test_puts(&buf, buf.len ? ",1" : "[1");
    }

    sgamp_test_start(&t, 1000);
    tap_is(sgamp_test_feed(&t.env, buf.data, buf.len), SGAMP_OK,
           "a long portion");
    tap_ok(t.env.reserve.len <= 14004 + 9 * 2 * SGAMP_FEED_SIZE,
           "reserves %zu bytes", t.env.reserve.len);
    sgamp_test_end(&t);

    sgamp_test_free(&buf);
}


static void
sgamp_test_no_memory(void)
{
    size_t               i;
    sgamp_test_buf_t     buf;
    sgamp_test_parser_t  t;

    /* an element that cannot be kept is the last that is read */

    memset(&buf, 0, sizeof(sgamp_test_buf_t));
    sgamp_test_start(&t, 100000);

    (void) sgamp_arena_reserve(&t.env.parser.arena, 20000, 20000);

    tap_is(sgamp_test_feed(&t.env, (u_char *) "[{\"a\":\"b", 8), SGAMP_OK,
           "the beginning of an element");

    for (i = 0; i < 500; i++) {
        sgamp_test_puts(&buf, "0123456789");
    }

    sgamp_test_puts(&buf, "\"},{\"c\":1},2,[3]]");

    t.env.heap.fail = t.env.heap.calls + 1;
    t.env.heap.forever = 1;

    tap_is(sgamp_test_feed(&t.env, buf.data, buf.len), SGAMP_NOMEM,
           "no memory for the rest");
    tap_is(t.seen.n, 0, "no element that follows is read");

    sgamp_test_end(&t);
    sgamp_test_free(&buf);
}


static void
sgamp_test_start(sgamp_test_parser_t *t, size_t max_size)
{
    memset(t, 0, sizeof(sgamp_test_parser_t));

    sgamp_test_env_init(&t->env);

    sgamp_test_poison(&t->names, sizeof(sgamp_names_t));
    sgamp_names_init(&t->names);

    t->env.max_event = max_size;
    t->env.names = &t->names;
    t->env.handler = sgamp_test_see;
    t->env.data = &t->seen;

    if (sgamp_test_parser(&t->env) != SGAMP_OK) {
        tap_bail("no parser");
    }
}


static int
sgamp_test_see(void *data, const sgamp_element_t *event)
{
    sgamp_test_seen_t  *seen = data;

    sgamp_test_put(&seen->raw, event->raw.data, event->raw.len);
    sgamp_test_puts(&seen->raw, "\n");

    return (++seen->n == seen->stop) ? 7 : SGAMP_OK;
}


static void
sgamp_test_end(sgamp_test_parser_t *t)
{
    sgamp_test_env_done(&t->env);
    sgamp_test_free(&t->seen.raw);
}
