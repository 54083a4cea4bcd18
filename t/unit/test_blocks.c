
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdlib.h>

#include "sgamp_json.h"
#include "sgamp_test.h"


#define SGAMP_TEST_LENGTH   300  /* bytes of the longest text */
#define SGAMP_TEST_SHORT    80   /* of one that has each odd character */
#define SGAMP_TEST_BRIEF    200
#define SGAMP_TEST_RANDOMS  4000
#define SGAMP_TEST_ROOM     100  /* bytes of the largest room */


/* what is odd in a text, how it is copied, and how escaped */

typedef struct {
    const char  *text;
    const char  *copied;
    const char  *escaped;
} sgamp_test_odd_t;


/* a text of plain characters but for one, in allocations of exact size */

typedef struct {
    u_char            *text;
    size_t             len;
    size_t             at;
    sgamp_test_buf_t   copied;
    sgamp_test_buf_t   escaped;
} sgamp_test_text_t;


/* a sink whose rooms are allocations of exact size */

typedef struct {
    sgamp_sink_t          sink; /* must be the first */
    sgamp_test_buf_t      out;
    u_char               *room;
    u_char                none[1]; /* before the first room */
    size_t                size;  /* of the next room; 0: random */
    unsigned              calls; /* that succeed */
    unsigned              early; /* calls before the room was used up */
    sgamp_test_random_t  *random;
} sgamp_test_rooms_t;


static void sgamp_test_places(void);
static void sgamp_test_ends(void);
static void sgamp_test_rooms(void);
static void sgamp_test_rooms_text(sgamp_test_buf_t *text,
    sgamp_test_text_t *t, sgamp_test_random_t *random);
static void sgamp_test_strings(void);
static unsigned sgamp_test_string(const sgamp_test_text_t *t,
    const sgamp_test_odd_t *odd);
static void sgamp_test_open_strings(void);
static void sgamp_test_numbers(void);
static void sgamp_test_others(void);
static void sgamp_test_copies(void);
static void sgamp_test_same(void);
static void sgamp_test_text(sgamp_test_text_t *t, size_t n, size_t at,
    const sgamp_test_odd_t *odd);
static void sgamp_test_text_done(sgamp_test_text_t *t);
static unsigned sgamp_test_fits(sgamp_test_write_pt write,
    const sgamp_test_text_t *t, size_t room, const sgamp_test_buf_t *want);
static unsigned sgamp_test_takes(sgamp_test_rooms_t *rooms,
    sgamp_test_write_pt write, const sgamp_test_text_t *t,
    const sgamp_test_buf_t *want);
static int sgamp_test_next(sgamp_sink_t *sink);
static void sgamp_test_flush(sgamp_test_rooms_t *rooms);


static const sgamp_test_odd_t  sgamp_test_odds[] = {
    { "\\n", "\\n", "\\\\n" },
    { "\xc3\xa9", "\xc3\xa9", "\xc3\xa9" },
    { "\\\\", "\\\\", "\\\\\\\\" },
    { "\\\"", "\\\"", "\\\\\\\"" },
    { "\\u00e9", "\\u00e9", "\\\\u00e9" },
    { "\\ud83d\\ude00", "\\ud83d\\ude00", "\\\\ud83d\\\\ude00" },
    { "\\ud83d", "\xef\xbf\xbd", "\\\\ud83d" },
    { "\\uDE00", "\xef\xbf\xbd", "\\\\uDE00" },
    { "\xe2\x82\xac", "\xe2\x82\xac", "\xe2\x82\xac" },
    { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
    { "\xff", "\xef\xbf\xbd", "\xef\xbf\xbd" },
    { "\xe2\x82", "\xef\xbf\xbd", "\xef\xbf\xbd" },
    { "\xf0\x9f\x98", "\xef\xbf\xbd", "\xef\xbf\xbd" },
    { "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd",
      "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },

    /* these are plain */
    { "\"", "\"", "\\\"" },
    { "\x1f", "\x1f", "\\u001f" },
    { "\x7f", "\x7f", "\x7f" },
    { "", "", "" }
};

#define SGAMP_TEST_ODDS    (sizeof(sgamp_test_odds) / sizeof(sgamp_test_odd_t))
#define SGAMP_TEST_PLAINS  4


int
main(void)
{
    sgamp_test_places();
    sgamp_test_ends();
    sgamp_test_rooms();
    sgamp_test_strings();
    sgamp_test_open_strings();
    sgamp_test_numbers();
    sgamp_test_others();
    sgamp_test_copies();
    sgamp_test_same();

    return tap_done();
}


static void
sgamp_test_places(void)
{
    size_t             n, at, i, last, odd;
    unsigned           copy, escape, plain;
    const u_char      *p;
    sgamp_test_text_t  t;

    copy = 0;
    escape = 0;
    plain = 0;

    /* each character is in each place, of a long text each time another */

    for (n = 0; n <= SGAMP_TEST_LENGTH; n++) {
        for (at = 0; at <= n; at++) {

            i = (n <= SGAMP_TEST_SHORT) ? 0 : (n + at) % SGAMP_TEST_ODDS;
            last = (n <= SGAMP_TEST_SHORT) ? SGAMP_TEST_ODDS : i + 1;

            for ( /* void */ ; i < last; i++) {
                sgamp_test_text(&t, n, at, &sgamp_test_odds[i]);

                copy += sgamp_test_fits(sgamp_json_copy, &t, t.copied.len,
                                        &t.copied);
                escape += sgamp_test_fits(sgamp_json_escape, &t,
                                          t.escaped.len, &t.escaped);

                p = sgamp_json_plain(t.text, t.text + t.len);

                odd = (i < SGAMP_TEST_ODDS - SGAMP_TEST_PLAINS) ? at : t.len;
                plain += p != t.text + odd;

                sgamp_test_text_done(&t);
            }
        }
    }

    tap_is(copy, 0, "each odd character is copied in each place");
    tap_is(escape, 0, "... and escaped");
    tap_is(plain, 0, "... and found");
}


static void
sgamp_test_ends(void)
{
    size_t             n, at, room;
    unsigned           copy, escape;
    sgamp_test_text_t  t;

    copy = 0;
    escape = 0;

    /* the room ends in each place */

    for (n = 0; n <= SGAMP_TEST_LENGTH; n += 1 + n / 16) {
        for (at = 0; at <= n; at += 1 + at / 4) {

            sgamp_test_text(&t, n, at,
                            &sgamp_test_odds[(n + at) % SGAMP_TEST_ODDS]);

            for (room = 0; room <= t.copied.len; room++) {
                copy += sgamp_test_fits(sgamp_json_copy, &t, room, &t.copied);
            }

            for (room = 0; room <= t.escaped.len; room++) {
                escape += sgamp_test_fits(sgamp_json_escape, &t, room,
                                          &t.escaped);
            }

            sgamp_test_text_done(&t);
        }
    }

    tap_is(copy, 0, "a copy ends where the room does");
    tap_is(escape, 0, "so does what is escaped");
}


static void
sgamp_test_rooms(void)
{
    size_t               i;
    unsigned             bad, early;
    sgamp_test_buf_t     text;
    sgamp_test_text_t    t;
    sgamp_test_rooms_t   rooms;
    sgamp_test_random_t  random;

    memset(&text, 0, sizeof(sgamp_test_buf_t));

    random.state = 3;
    bad = 0;
    early = 0;

    for (i = 0; i < SGAMP_TEST_RANDOMS; i++) {
        sgamp_test_rooms_text(&text, &t, &random);

        memset(&rooms, 0, sizeof(sgamp_test_rooms_t));

        rooms.random = &random;
        rooms.size = (i % 8 == 0) ? 1 + i % SGAMP_TEST_ROOM : 0;
        rooms.calls = (i % 4 == 1) ? sgamp_test_random(&random, 8) : UINT32_MAX;

        bad += sgamp_test_takes(&rooms, sgamp_json_copy, &t, &t.copied);
        bad += sgamp_test_takes(&rooms, sgamp_json_escape, &t, &t.escaped);

        early += rooms.early;

        sgamp_test_text_done(&t);
    }

    tap_is(bad, 0, "%d texts in rooms of random sizes", SGAMP_TEST_RANDOMS);
    tap_is(early, 0, "each room was used up before the next");

    sgamp_test_free(&text);
}


static void
sgamp_test_rooms_text(sgamp_test_buf_t *text, sgamp_test_text_t *t,
    sgamp_test_random_t *random)
{
    size_t                   k, parts;
    const sgamp_test_odd_t  *odd;

    text->len = 0;
    memset(t, 0, sizeof(sgamp_test_text_t));

    parts = sgamp_test_random(random, 12);

    /* odd characters in a row, but for halves of surrogate pairs */

    for ( /* void */ ; parts != 0; parts--) {
        odd = &sgamp_test_odds[sgamp_test_random(random, SGAMP_TEST_ODDS)];

        k = sgamp_test_random(random, 3) ? sgamp_test_random(random, 150) : 0;
        k += odd->text[0] == '\\' && odd->text[1] == 'u';

        for ( /* void */ ; k != 0; k--) {
            sgamp_test_puts(text, "k");
            sgamp_test_puts(&t->copied, "k");
            sgamp_test_puts(&t->escaped, "k");
        }

        sgamp_test_puts(text, odd->text);
        sgamp_test_puts(&t->copied, odd->copied);
        sgamp_test_puts(&t->escaped, odd->escaped);
    }

    t->len = text->len;
    t->text = sgamp_test_heap_copy(text->data, text->len);
}


static void
sgamp_test_strings(void)
{
    size_t             n, at, i, last;
    unsigned           bad;
    sgamp_test_text_t  t;

    bad = 0;

    for (n = 0; n <= SGAMP_TEST_LENGTH; n++) {
        for (at = 0; at <= n; at++) {

            i = (n <= SGAMP_TEST_SHORT / 2) ? 0 : (n + at) % SGAMP_TEST_ODDS;
            last = (n <= SGAMP_TEST_SHORT / 2) ? SGAMP_TEST_ODDS : i + 1;

            for ( /* void */ ; i < last; i++) {
                sgamp_test_text(&t, n, at, &sgamp_test_odds[i]);
                bad += sgamp_test_string(&t, &sgamp_test_odds[i]);
                sgamp_test_text_done(&t);
            }
        }
    }

    tap_is(bad, 0, "a string ends at its quote, and is plain or is not");
}


static unsigned
sgamp_test_string(const sgamp_test_text_t *t, const sgamp_test_odd_t *odd)
{
    u_char              *text;
    size_t               len, want, from;
    unsigned             bad, plain;
    const char          *before, *behind;
    sgamp_json_value_t   value;
    sgamp_test_buf_t     buf;

    static const char *befores[] = { "\"", ":\"", " : \"", "\n\t:\r\n\"" };
    static const char *behinds[] = { "\"", "\",\"\\\"\":1}", "\" }" };

    memset(&buf, 0, sizeof(sgamp_test_buf_t));

    before = befores[t->at % 4];
    behind = behinds[t->len % 3];
    from = strlen(before);

    sgamp_test_puts(&buf, before);
    sgamp_test_put(&buf, t->text, t->len);
    sgamp_test_puts(&buf, behind);

    len = buf.len;
    text = sgamp_test_heap_copy(buf.data, len);

    plain = (odd->text[0] != '\\' && (u_char) odd->text[0] < 0x80);
    want = t->len;

    /* nothing but a quote that is not escaped ends a string */

    if (odd->text[0] == '"') {
        want = t->at;
    }

    sgamp_test_poison(&value, sizeof(sgamp_json_value_t));
    sgamp_json_value(&value, text, text + len);

    bad = value.type != SGAMP_JSON_STRING || value.plain != plain
          || value.text.data != text + from || value.text.len != want;

    if (bad) {
        tap_diag_bytes("text", text, len);
        tap_diag("type %d, plain %u, %zu bytes, want %zu", value.type,
                 value.plain, value.text.len, want);
    }

    free(text);
    sgamp_test_free(&buf);

    return bad;
}


static void
sgamp_test_open_strings(void)
{
    u_char              *text;
    size_t               n, i;
    unsigned             bad;
    sgamp_json_value_t   value;
    sgamp_test_buf_t     buf;

    static const char *parts[] = { "o", "o", "o", "\\\"", "\xc3\xa9" };
    static const char *ends[] = { "", "\\", "\\\"", "", "\\" };

    /* the end of the text is in a string, or in an escape */

    memset(&buf, 0, sizeof(sgamp_test_buf_t));

    bad = 0;

    for (n = 1; n <= SGAMP_TEST_LENGTH; n++) {
        for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {

            buf.len = 0;
            sgamp_test_puts(&buf, "\"");

            while (buf.len < n) {
                sgamp_test_puts(&buf, parts[i]);
            }

            sgamp_test_puts(&buf, ends[i]);

            text = sgamp_test_heap_copy(buf.data, buf.len);
            sgamp_json_value(&value, text, text + buf.len);

            bad += value.type != SGAMP_JSON_STRING || value.plain
                   || value.text.data != text + 1
                   || value.text.len != buf.len - 1;

            free(text);
        }
    }

    tap_is(bad, 0, "a string that is cut goes to the end");

    sgamp_test_free(&buf);
}


static void
sgamp_test_numbers(void)
{
    u_char              *text;
    size_t               n, i, k, len;
    unsigned             bad;
    sgamp_json_value_t   value;
    sgamp_test_buf_t     buf;

    /* what follows the digits, and whether that is a part of the number */

    static const char *behinds[] = {
        "", ",", "}", "]", " ", "\n", "\t", "\r", ",1", "}1111111111111111111",
        " 11111111111111111111", NULL
    };
    static const char *parts[] = {
        "", ".5", "e1", "E+10", "-", "/", ":", "\x80", "\xff", ".", NULL
    };

    memset(&buf, 0, sizeof(sgamp_test_buf_t));

    bad = 0;

    for (n = 1; n <= SGAMP_TEST_LENGTH; n++) {
        for (i = 0; parts[i] != NULL; i++) {
            for (k = 0; behinds[k] != NULL; k++) {

                buf.len = 0;

                while (buf.len < n) {
                    sgamp_test_put(&buf, &"0123456789"[(n + buf.len) % 10], 1);
                }

                sgamp_test_puts(&buf, parts[i]);
                len = buf.len;
                sgamp_test_puts(&buf, behinds[k]);

                text = sgamp_test_heap_copy(buf.data, buf.len);

                sgamp_test_poison(&value, sizeof(sgamp_json_value_t));
                sgamp_json_value(&value, text, text + buf.len);

                bad += value.type != SGAMP_JSON_NUMBER || value.plain != 1
                       || value.digits != (parts[i][0] == '\0')
                       || value.text.data != text || value.text.len != len;

                if ((n + i) % 4 == 0) {
                    text[0] = '-';
                    sgamp_json_value(&value, text, text + buf.len);

                    bad += value.type != SGAMP_JSON_NUMBER
                           || value.plain != 1 || value.digits != 0
                           || value.text.len != len;
                }

                free(text);
            }
        }
    }

    tap_is(bad, 0, "a number of any length ends, and is of digits or is not");

    sgamp_test_free(&buf);
}


static void
sgamp_test_others(void)
{
    u_char              *text;
    size_t               i, n;
    sgamp_json_value_t   value;

    static const struct {
        const char         *text;
        sgamp_json_type_e   type;
    } others[] = {
        { "", SGAMP_JSON_NONE },
        { ":", SGAMP_JSON_NONE },
        { " : ", SGAMP_JSON_NONE },
        { ":true", SGAMP_JSON_TRUE },
        { ":t", SGAMP_JSON_TRUE },
        { ": false", SGAMP_JSON_OTHER },
        { ":null}", SGAMP_JSON_OTHER },
        { ":{", SGAMP_JSON_OTHER },
        { ":[1]", SGAMP_JSON_OTHER },
        { NULL, SGAMP_JSON_NONE }
    };

    for (i = 0; others[i].text != NULL; i++) {
        n = strlen(others[i].text);
        text = sgamp_test_heap_copy(others[i].text, n);

        sgamp_test_poison(&value, sizeof(sgamp_json_value_t));
        sgamp_json_value(&value, text, text + n);

        tap_ok(value.type == others[i].type && value.text.len == 0
                   && value.plain == 0,
               "\"%s\" has no text", others[i].text);

        free(text);
    }
}


static void
sgamp_test_copies(void)
{
    u_char    *src, *dst, bytes[SGAMP_TEST_BRIEF];
    size_t     n;
    unsigned   bad;

    for (n = 0; n < SGAMP_TEST_BRIEF; n++) {
        bytes[n] = (u_char) (n * 7 + 1);
    }

    bad = 0;

    for (n = 0; n <= SGAMP_TEST_BRIEF; n++) {
        src = sgamp_test_heap_copy(bytes, n);
        dst = sgamp_test_heap_copy(bytes, n);

        memset(dst, 0, n);
        sgamp_copy(dst, src, n);

        bad += memcmp(dst, bytes, n) != 0 || memcmp(src, bytes, n) != 0;

        free(src);
        free(dst);
    }

    tap_is(bad, 0, "sgamp_copy(), 0 to %d bytes", SGAMP_TEST_BRIEF);
}


static void
sgamp_test_same(void)
{
    u_char       *p, *q, bytes[SGAMP_TEST_BRIEF];
    size_t        n, i;
    unsigned      bad, brief;
    sgamp_str_t   str;

    for (n = 0; n < SGAMP_TEST_BRIEF; n++) {
        bytes[n] = (u_char) (n * 7 + 1);
    }

    bad = 0;
    brief = 0;

    for (n = 0; n <= SGAMP_TEST_BRIEF; n++) {
        p = sgamp_test_heap_copy(bytes, n);
        q = sgamp_test_heap_copy(bytes, n);

        str.data = p;
        str.len = n;

        bad += !sgamp_same(&str, q, n);
        brief += sgamp_same_brief(&str, q, n) != (n <= 16);

        /* one bit of any byte */

        for (i = 0; i < 8 * n; i++) {
            q[i / 8] ^= (u_char) (1 << i % 8);

            bad += sgamp_same(&str, q, n) != 0;
            brief += sgamp_same_brief(&str, q, n) != 0;

            q[i / 8] ^= (u_char) (1 << i % 8);
        }

        /* another length, of which no byte is read */

        for (i = 0; i <= 32; i++) {
            if (i != n) {
                bad += sgamp_same(&str, q, i) != 0;
                brief += sgamp_same_brief(&str, q, i) != 0;
            }
        }

        free(p);
        free(q);
    }

    tap_is(bad, 0, "sgamp_same(), 0 to %d bytes", SGAMP_TEST_BRIEF);
    tap_is(brief, 0, "sgamp_same_brief()");
}


static void
sgamp_test_text(sgamp_test_text_t *t, size_t n, size_t at,
    const sgamp_test_odd_t *odd)
{
    size_t            i;
    sgamp_test_buf_t  buf;

    memset(t, 0, sizeof(sgamp_test_text_t));
    memset(&buf, 0, sizeof(sgamp_test_buf_t));

    for (i = 0; i <= n; i++) {

        if (i == at) {
            sgamp_test_puts(&buf, odd->text);
            sgamp_test_puts(&t->copied, odd->copied);
            sgamp_test_puts(&t->escaped, odd->escaped);
        }

        if (i < n) {
            sgamp_test_put(&buf, &"0123456789abcdef"[i % 16], 1);
            sgamp_test_put(&t->copied, &"0123456789abcdef"[i % 16], 1);
            sgamp_test_put(&t->escaped, &"0123456789abcdef"[i % 16], 1);
        }
    }

    t->at = at;
    t->len = buf.len;
    t->text = sgamp_test_heap_copy(buf.data, buf.len);

    sgamp_test_free(&buf);
}


static void
sgamp_test_text_done(sgamp_test_text_t *t)
{
    free(t->text);
    sgamp_test_free(&t->copied);
    sgamp_test_free(&t->escaped);
}


static unsigned
sgamp_test_fits(sgamp_test_write_pt write, const sgamp_test_text_t *t,
    size_t room, const sgamp_test_buf_t *want)
{
    u_char        *p;
    size_t         size;
    unsigned       bad;
    sgamp_sink_t   sink;

    /* what fits is taken, though the rest does not */

    p = malloc(room);
    if (p == NULL) {
        tap_bail("no memory");
    }

    sgamp_sink_init(&sink, p, room);
    write(&sink, t->text, t->len);

    size = (want->len < room) ? want->len : room;

    bad = sink.status != (want->len <= room ? SGAMP_OK : SGAMP_NOMEM)
          || sgamp_sink_size(&sink) != size
          || (size != 0 && memcmp(p, want->data, size) != 0);

    if (bad) {
        tap_diag("room for %zu bytes, status %d", room, sink.status);
        tap_diag_bytes("text", t->text, t->len);
        tap_diag_bytes("got ", p, sgamp_sink_size(&sink));
    }

    free(p);

    return bad;
}


static unsigned
sgamp_test_takes(sgamp_test_rooms_t *rooms, sgamp_test_write_pt write,
    const sgamp_test_text_t *t, const sgamp_test_buf_t *want)
{
    size_t    size;
    unsigned  bad, calls;

    calls = rooms->calls;

    memset(&rooms->sink, 0, sizeof(sgamp_sink_t));
    rooms->sink.next = sgamp_test_next;
    rooms->sink.pos = rooms->none;
    rooms->sink.last = rooms->none;
    rooms->out.len = 0;

    write(&rooms->sink, t->text, t->len);

    bad = rooms->sink.status != SGAMP_OK && rooms->calls != 0;

    /* nothing comes behind a failure */

    if (rooms->sink.status != SGAMP_OK) {
        write(&rooms->sink, (u_char *) "x", 1);
        bad += rooms->sink.pos != rooms->sink.last;
    }

    sgamp_test_flush(rooms);

    size = rooms->out.len;

    bad += size > want->len
           || (size < want->len) != (rooms->sink.status != SGAMP_OK)
           || (size != 0 && memcmp(rooms->out.data, want->data, size) != 0);

    if (bad) {
        tap_diag("%zu of %zu bytes, status %d", size, want->len,
                 rooms->sink.status);
        tap_diag_bytes("text", t->text, t->len);
    }

    sgamp_test_free(&rooms->out);

    rooms->calls = calls;

    return bad;
}


static int
sgamp_test_next(sgamp_sink_t *sink)
{
    sgamp_test_rooms_t  *rooms = (sgamp_test_rooms_t *) sink;

    size_t  size;

    rooms->early += sink->pos != sink->last;

    if (rooms->calls == 0) {
        return SGAMP_NOMEM;
    }

    rooms->calls--;

    sgamp_test_flush(rooms);

    size = rooms->size ? rooms->size
                       : 1 + sgamp_test_random(rooms->random, SGAMP_TEST_ROOM);

    rooms->room = malloc(size);
    if (rooms->room == NULL) {
        tap_bail("no memory");
    }

    sink->pos = rooms->room;
    sink->last = rooms->room + size;

    return SGAMP_OK;
}


static void
sgamp_test_flush(sgamp_test_rooms_t *rooms)
{
    if (rooms->room != NULL) {
        sgamp_test_put(&rooms->out, rooms->room,
                       rooms->sink.pos - rooms->room);
        free(rooms->room);
        rooms->room = NULL;
    }
}
