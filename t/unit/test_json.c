
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include <stdlib.h>

#include "sgamp_json.h"
#include "sgamp_test.h"


#define SGAMP_TEST_RANDOMS  20000
#define SGAMP_TEST_MAX      48
#define SGAMP_TEST_ROOM     8
#define SGAMP_TEST_BLOCK    64 /* bytes that are looked at together */


static void sgamp_test_utf8(void);
static void sgamp_test_utf8_random(void);
static void sgamp_test_surrogates(void);
static void sgamp_test_escape(void);
static void sgamp_test_portions(void);
static void sgamp_test_failure(void);
static void sgamp_test_exact(void);
static void sgamp_test_room(const char *name, sgamp_test_write_pt write);
static void sgamp_test_decimal(void);
static void sgamp_test_plain(void);
static void sgamp_test_cut_escapes(void);


int
main(void)
{
    sgamp_test_utf8();
    sgamp_test_utf8_random();
    sgamp_test_surrogates();
    sgamp_test_escape();
    sgamp_test_portions();
    sgamp_test_failure();
    sgamp_test_exact();
    sgamp_test_decimal();
    sgamp_test_plain();
    sgamp_test_cut_escapes();

    return tap_done();
}


static void
sgamp_test_utf8(void)
{
    u_char            text[6];
    size_t            i, k, n, rest, total;
    unsigned          bad;
    sgamp_test_buf_t  want;

    /* the first and last bytes of each range, in each order */

    static const u_char edges[] = {
        0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2,
        0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4,
        0xf5, 0xff
    };

    memset(&want, 0, sizeof(sgamp_test_buf_t));

    bad = 0;
    total = 1;

    for (n = 1; n <= 4; n++) {
        total *= sizeof(edges);

        for (i = 0; i < total; i++) {

            rest = i;

            for (k = 0; k < n; k++) {
                text[k] = edges[rest % sizeof(edges)];
                rest /= sizeof(edges);
            }

            want.len = 0;
            sgamp_test_repair(&want, text, n);
            bad += !sgamp_test_writes(sgamp_json_copy, text, n, &want);
        }
    }

    tap_is(bad, 0, "UTF-8 of up to four bytes is repaired");

    bad = 0;

    for (i = 0; i < 65536; i++) {
        text[0] = (u_char) (i >> 8);
        text[1] = (u_char) i;

        if (text[0] == '\\' || text[1] == '\\') {
            continue;
        }

        want.len = 0;
        sgamp_test_repair(&want, text, 2);
        bad += !sgamp_test_writes(sgamp_json_copy, text, 2, &want);
    }

    tap_is(bad, 0, "and any two bytes");

    sgamp_test_free(&want);
}


static void
sgamp_test_utf8_random(void)
{
    u_char               ch, text[SGAMP_TEST_MAX];
    size_t               i, n;
    uint32_t             run;
    unsigned             bad;
    sgamp_test_buf_t     want;
    sgamp_test_random_t  random;

    memset(&want, 0, sizeof(sgamp_test_buf_t));

    random.state = 1;
    bad = 0;

    /* long runs of ASCII with little else, and the other way around */

    for (run = 0; run < SGAMP_TEST_RANDOMS; run++) {
        n = sgamp_test_random(&random, SGAMP_TEST_MAX + 1);

        for (i = 0; i < n; i++) {
            ch = (u_char) sgamp_test_random(&random, 256);

            if (sgamp_test_random(&random, 1 + run % 16) != 0) {
                ch &= 0x7f;
            }

            text[i] = (ch == '\\') ? '/' : ch;
        }

        want.len = 0;
        sgamp_test_repair(&want, text, n);
        bad += !sgamp_test_writes(sgamp_json_copy, text, n, &want);
    }

    tap_is(bad, 0, "%d random texts are repaired", SGAMP_TEST_RANDOMS);

    sgamp_test_free(&want);
}


static void
sgamp_test_surrogates(void)
{
    size_t            i, k, n, place[4];
    unsigned          bad;
    sgamp_test_buf_t  text, want;

    static const char *parts[] = {
        "\\ud800", "\\uDBFF", "\\uDaBc", "\\udc00", "\\uDfFf", "\\uDe0e",
        "\\ud7ff", "\\ue000", "\\u0000", "\\\\", "\\n", "ud800", "x",
        "\xc3\xa9"
    };

    /* high, low and other ones */

    static const char kinds[] = "hhhlllooooooooo";

    n = sizeof(parts) / sizeof(parts[0]);

    memset(&text, 0, sizeof(sgamp_test_buf_t));
    memset(&want, 0, sizeof(sgamp_test_buf_t));

    bad = 0;

    for (i = 0; i < n * n * n * n; i++) {
        place[0] = i % n;
        place[1] = i / n % n;
        place[2] = i / n / n % n;
        place[3] = i / n / n / n;

        text.len = 0;
        want.len = 0;

        for (k = 0; k < 4; k++) {
            sgamp_test_puts(&text, parts[place[k]]);

            if (kinds[place[k]] == 'o') {
                sgamp_test_puts(&want, parts[place[k]]);

            } else if (k < 3 && kinds[place[k]] == 'h'
                       && kinds[place[k + 1]] == 'l')
            {
                sgamp_test_puts(&want, parts[place[k]]);
                sgamp_test_puts(&want, parts[place[++k]]);
                sgamp_test_puts(&text, parts[place[k]]);

            } else {
                sgamp_test_puts(&want, "\xef\xbf\xbd");
            }
        }

        bad += !sgamp_test_writes(sgamp_json_copy, text.data, text.len,
                                  &want);
    }

    tap_is(bad, 0, "lone surrogates are repaired, pairs are kept");

    sgamp_test_free(&text);
    sgamp_test_free(&want);
}


static void
sgamp_test_escape(void)
{
    u_char               ch, text[SGAMP_TEST_MAX];
    size_t               i, n;
    uint32_t             run;
    unsigned             bad;
    sgamp_test_buf_t     want, repaired, json;
    sgamp_test_random_t  random;

    static const char plain[] = "\"\\\0\n\x1f /\x7f\xc3\xa9\xff\xe2\x82";
    static const char escaped[] =
        "\\\"\\\\\\u0000\\u000a\\u001f /\x7f\xc3\xa9"
        "\xef\xbf\xbd\xef\xbf\xbd";

    memset(&want, 0, sizeof(sgamp_test_buf_t));
    memset(&json, 0, sizeof(sgamp_test_buf_t));
    memset(&repaired, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_puts(&want, escaped);

    bad = !sgamp_test_writes(sgamp_json_escape, (u_char *) plain,
                             sizeof(plain) - 1, &want);

    tap_is(bad, 0, "what has to be escaped is");

    random.state = 2;
    bad = 0;

    for (run = 0; run < SGAMP_TEST_RANDOMS; run++) {
        n = sgamp_test_random(&random, SGAMP_TEST_MAX + 1);

        for (i = 0; i < n; i++) {
            text[i] = (u_char) sgamp_test_random(&random, 256);
        }

        /* repair first, and then escape byte by byte */

        repaired.len = 0;
        sgamp_test_repair(&repaired, text, n);

        want.len = 0;

        for (i = 0; i < repaired.len; i++) {
            ch = repaired.data[i];

            if (ch < ' ') {
                sgamp_test_puts(&want, "\\u00");
                sgamp_test_put(&want, &"0123456789abcdef"[ch / 16], 1);
                sgamp_test_put(&want, &"0123456789abcdef"[ch % 16], 1);
                continue;
            }

            if (ch == '"' || ch == '\\') {
                sgamp_test_puts(&want, "\\");
            }

            sgamp_test_put(&want, &ch, 1);
        }

        bad += !sgamp_test_writes(sgamp_json_escape, text, n, &want);

        json.len = 0;
        sgamp_test_puts(&json, "\"");
        sgamp_test_put(&json, want.data, want.len);
        sgamp_test_puts(&json, "\"");

        bad += !sgamp_test_valid(json.data, json.len);
    }

    tap_is(bad, 0, "%d random texts are escaped", SGAMP_TEST_RANDOMS);

    sgamp_test_free(&want);
    sgamp_test_free(&json);
    sgamp_test_free(&repaired);
}


static void
sgamp_test_portions(void)
{
    size_t             i;
    unsigned           bad;
    sgamp_test_sink_t  sink;

    static const char text[] = "{\"a\":\"\\ud800\xe2\x82\"} and more of it";
    static const char want[] =
        "{\"a\":\"\xef\xbf\xbd\xef\xbf\xbd\"} and more of it"
        "{\\\"a18446744073709551615";

    bad = 0;

    for (i = 1; i <= sizeof(sink.room); i++) {
        sgamp_test_sink_init(&sink, i, 0);

        sgamp_json_copy(&sink.sink, (u_char *) text, sizeof(text) - 1);
        sgamp_json_escape(&sink.sink, (u_char *) text, 3);
        sgamp_json_write(&sink.sink, (u_char *) text, 0);
        sgamp_json_decimal(&sink.sink, UINT64_MAX);

        sgamp_test_sink_flush(&sink);

        if (sink.sink.status != SGAMP_OK || sink.buf.len != sizeof(want) - 1
            || memcmp(sink.buf.data, want, sizeof(want) - 1) != 0)
        {
            bad++;
            tap_diag_bytes("out", sink.buf.data, sink.buf.len);
        }

        sgamp_test_free(&sink.buf);
    }

    tap_is(bad, 0, "the size of the sink's portions does not matter");
}


static void
sgamp_test_failure(void)
{
    size_t             i;
    unsigned           bad;
    sgamp_test_sink_t  sink;

    bad = 0;

    for (i = 1; i <= 10; i++) {
        sgamp_test_sink_init(&sink, 3, i);

        /* 30 bytes */

        sgamp_json_write(&sink.sink, (u_char *) "0123456789", 10);
        sgamp_json_copy(&sink.sink, (u_char *) "01\xffyz\xff", 6);
        sgamp_json_escape(&sink.sink, (u_char *) "\0z", 2);
        sgamp_json_decimal(&sink.sink, 123);

        sgamp_test_sink_flush(&sink);

        if (sink.sink.status != SGAMP_NOMEM || sink.buf.len != 3 * (i - 1)
            || memcmp(sink.buf.data ? sink.buf.data : (u_char *) "",
                      "012345678901\xef\xbf\xbdyz\xef\xbf\xbd\\u0000z",
                      sink.buf.len)
               != 0)
        {
            bad++;
            tap_diag("portion %zu fails: %zu bytes, status %d", i,
                     sink.buf.len, sink.sink.status);
        }

        sgamp_test_free(&sink.buf);
    }

    tap_is(bad, 0, "nothing is written after a failure");
}


static void
sgamp_test_exact(void)
{
    /* a sink of fixed size takes as much as it has room for, and no more */

    sgamp_test_room("write", sgamp_json_write);
    sgamp_test_room("put", sgamp_json_put);
    sgamp_test_room("copy", sgamp_json_copy);
    sgamp_test_room("escape", sgamp_json_escape);
}


static void
sgamp_test_room(const char *name, sgamp_test_write_pt write)
{
    u_char        *room;
    size_t         n, more, want;
    unsigned       bad;
    sgamp_sink_t   sink;

    static const u_char text[] = "0123456789abcdefghij";

    bad = 0;

    for (n = 1; n < 10; n++) {

        for (more = 0; more < 10; more++) {
            room = malloc(SGAMP_TEST_ROOM);

            if (room == NULL) {
                tap_bail("no memory");
            }

            sgamp_test_poison(&sink, sizeof(sgamp_sink_t));
            sgamp_sink_init(&sink, room, SGAMP_TEST_ROOM);

            write(&sink, text, n);
            write(&sink, text + n, more);

            want = (n + more < SGAMP_TEST_ROOM) ? n + more : SGAMP_TEST_ROOM;

            bad += sink.status
                   != ((n + more <= SGAMP_TEST_ROOM) ? SGAMP_OK : SGAMP_NOMEM);
            bad += memcmp(room, text, want) != 0 && write != sgamp_json_escape;

            free(room);
        }
    }

    tap_is(bad, 0, "%s fills a sink of %d bytes", name, SGAMP_TEST_ROOM);
}


static void
sgamp_test_plain(void)
{
    u_char         text[3 * SGAMP_TEST_BLOCK];
    size_t         i, k, n, from;
    unsigned       bad;
    const u_char  *p;

    /* one odd byte or more in any place of any block */

    static const u_char odd[] = { '\\', 0x80, 0xff };
    static const size_t runs[] = { 1, 8, 16, SGAMP_TEST_BLOCK };

    bad = 0;

    for (i = 0; i < sizeof(odd) * sizeof(runs) / sizeof(runs[0]); i++) {
        n = runs[i / sizeof(odd)];

        for (from = 0; from + n <= sizeof(text); from++) {
            memset(text, (from % 2) ? 0x7f : '[', sizeof(text));
            memset(text + from, odd[i % sizeof(odd)], n);

            for (k = 0; k < 10; k++) {
                p = sgamp_json_plain(text + k, text + sizeof(text));
                bad += k <= from && p != text + from;
            }

            p = sgamp_json_plain(text, text + from);
            bad += p != text + from;
        }
    }

    tap_is(bad, 0, "where a text is not plain any more");
}


static void
sgamp_test_cut_escapes(void)
{
    u_char        *text;
    size_t         i, n;
    uint32_t       c;
    const u_char  *p;

    /* an escape that is cut is one character, and read to its end */

    static const char *escapes[] = {
        "\\", "\\u", "\\u1", "\\u12", "\\u123", "\xf0\x9f\x98", NULL
    };

    for (i = 0; escapes[i] != NULL; i++) {
        n = strlen(escapes[i]);
        text = malloc(n);

        if (text == NULL) {
            tap_bail("no memory");
        }

        memcpy(text, escapes[i], n);

        p = text;
        c = sgamp_json_next(&p, text + n);

        tap_is(c, 0xfffd, "cut escape %zu is replaced", i);
        tap_is(p - text, (long long) n, "and read to its end");

        free(text);
    }
}


static void
sgamp_test_decimal(void)
{
    char               text[32];
    size_t             i;
    sgamp_test_sink_t  sink;

    static const uint64_t numbers[] = {
        0, 7, 10, 4294967296, 1700414002000, UINT64_MAX
    };

    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        sgamp_test_sink_init(&sink, sizeof(sink.room), 0);
        sgamp_json_decimal(&sink.sink, numbers[i]);
        sgamp_test_sink_flush(&sink);

        snprintf(text, sizeof(text), "%llu", (unsigned long long) numbers[i]);

        tap_bytes(sink.buf.data, sink.buf.len, text, strlen(text),
                  "decimal %s", text);

        sgamp_test_free(&sink.buf);
    }
}
