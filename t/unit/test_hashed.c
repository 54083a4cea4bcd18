
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_test_env.h"


#define SGAMP_TEST_KNOWN  16 /* strings of an event that are known */


typedef struct {
    sgamp_test_env_t  env; /* whose rules hash members */
    sgamp_test_buf_t  text;
} sgamp_test_hashed_t;


static void sgamp_test_many(sgamp_test_hashed_t *t);
static void sgamp_test_fill(sgamp_test_hashed_t *t, size_t n,
    const char *after);
static void sgamp_test_spaces(sgamp_test_hashed_t *t);
static void sgamp_test_lengths(sgamp_test_hashed_t *t);
static void sgamp_test_ends(sgamp_test_hashed_t *t);
static void sgamp_test_lenient(sgamp_test_hashed_t *t);
static void sgamp_test_remembered(sgamp_test_hashed_t *t);
static void sgamp_test_start(sgamp_test_hashed_t *t);
static int sgamp_test_becomes(sgamp_test_hashed_t *t, const char *event,
    const char *member, const char *text);


int
main(void)
{
    sgamp_test_hashed_t  t;

    sgamp_test_start(&t);

    sgamp_test_many(&t);
    sgamp_test_spaces(&t);
    sgamp_test_lengths(&t);
    sgamp_test_ends(&t);
    sgamp_test_lenient(&t);
    sgamp_test_remembered(&t);

    sgamp_test_env_done(&t.env);
    sgamp_test_free(&t.text);

    return tap_done();
}


static void
sgamp_test_many(sgamp_test_hashed_t *t)
{
    const char  *event;

    /* strings without "@" beyond those that are known are no addresses */

    sgamp_test_fill(t, SGAMP_TEST_KNOWN + 1, "\"to\":\"z@x.org\",\"u\":\"v\"");
    event = (char *) t->text.data;

    tap_ok(sgamp_test_becomes(t, event, "\"to\":\"z@x.org\"", NULL),
           "17 strings that are no addresses leave an address alone");
    tap_ok(sgamp_test_becomes(t, event, "\"q\":", "s16"),
           "the last one is hashed");

    /* one address among those beyond: any string with "@" may be it */

    sgamp_test_fill(t, SGAMP_TEST_KNOWN,
                    "\"q\":\"a@x.org\",\"to\":\" A@X.org\",\"cc\":\"z@x.org\","
                    "\"u\":\"v\"");

    tap_ok(sgamp_test_becomes(t, event, "\"q\":", "a@x.org"),
           "an address beyond 16 strings is hashed");
    tap_ok(sgamp_test_becomes(t, event, "\"to\":", "a@x.org"),
           "and so is another spelling elsewhere");
    tap_ok(sgamp_test_becomes(t, event, "\"cc\":", "z@x.org"),
           "any other address, too");
    tap_ok(sgamp_test_becomes(t, event, "\"u\":\"v\"", NULL),
           "what is no address is not");

    sgamp_test_fill(t, SGAMP_TEST_KNOWN,
                    "\"q\":\"a\\u0040x.org\",\"to\":\"z\\u0040x.org\"");

    tap_ok(sgamp_test_becomes(t, event, "\"to\":", "z@x.org"),
           "any other address is hashed if the first one has an escape");

    sgamp_test_fill(t, SGAMP_TEST_KNOWN - 1,
                    "\"p\":\"a@x.org\",\"to\":\"A@x.org\",\"cc\":\"z@x.org\"");

    tap_ok(sgamp_test_becomes(t, event, "\"to\":", "a@x.org"),
           "the last known string may be an address");
    tap_ok(sgamp_test_becomes(t, event, "\"cc\":\"z@x.org\"", NULL),
           "and then others are known to be others");
}


static void
sgamp_test_fill(sgamp_test_hashed_t *t, size_t n, const char *after)
{
    char    member[64];
    size_t  i;

    /* n members that are hashed, in the order of their names */

    t->text.len = 0;

    for (i = 0; i < n; i++) {
        (void) snprintf(member, sizeof(member), "\"%c\":\"s%zu\",",
                        (char) ('a' + i), i);
        sgamp_test_puts(&t->text, member);
    }

    sgamp_test_puts(&t->text, after);
}


static void
sgamp_test_spaces(sgamp_test_hashed_t *t)
{
    char    event[128];
    size_t  i;

    /* an address that is hashed, "a@x.org", in any spelling elsewhere */

    static const char *spellings[] = {
        "a@x.org", "A@X.ORG", "a@x.org ", " a@x.org", "a@x.org\\t",
        "\\na@x.org", "a@x.org\\u00a0", "\\u00a0a@x.org", "a@x.org\302\240",
        "\302\240a@x.org", " a@x.org ", "\\u0061@x.org", "a\\u0040x.org",
        "a@x.or\\u0067", "a@x\\u002eorg", "\\u0041@x.org", NULL
    };
    static const char *others[] = {
        "a@x.or", "a@x.orgg", "aa@x.org", "b@x.org", "a@y.org", "a.@x.org",
        "a@x.org.", "a @x.org", "a@@x.org", "a@x.org,a@x.orh", "@",
        "a@", "@x.org", "\\u0062@x.org", NULL
    };

    for (i = 0; spellings[i] != NULL; i++) {
        (void) snprintf(event, sizeof(event),
                        "\"a\":\"a@x.org\",\"to\":\"%s\"", spellings[i]);

        tap_ok(sgamp_test_becomes(t, event, "\"to\":", "a@x.org"),
               "\"%s\" is the address that is hashed", spellings[i]);
    }

    for (i = 0; others[i] != NULL; i++) {
        (void) snprintf(event, sizeof(event),
                        "\"a\":\"a@x.org\",\"to\":\"%s\"", others[i]);

        tap_ok(sgamp_test_becomes(t, event, strstr(event, "\"to\""), NULL),
               "\"%s\" is another address", others[i]);
    }
}


static void
sgamp_test_lengths(sgamp_test_hashed_t *t)
{
    size_t            i, k, n;
    unsigned          bad;
    sgamp_test_buf_t  event, text;

    /* what is malformed grows when it is decoded, and may be long then */

    static const char *tails[] = {
        "", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"
    };

    memset(&event, 0, sizeof(sgamp_test_buf_t));
    memset(&text, 0, sizeof(sgamp_test_buf_t));

    bad = 0;

    for (i = 0; i < 2 * sizeof(tails) / sizeof(tails[0]); i++) {

        for (n = 0; n < 300; n = (n == 70) ? 240 : n + 1) {
            event.len = 0;
            text.len = 0;

            sgamp_test_puts(&event, "\"a\":\"");

            for (k = 0; k < n; k++) {
                sgamp_test_puts(&event, (i % 2) ? "\xff" : "A");
                sgamp_test_puts(&text, (i % 2) ? "\xef\xbf\xbd" : "A");
            }

            sgamp_test_puts(&event, tails[i / 2]);
            sgamp_test_puts(&text, tails[i / 2]);
            sgamp_test_puts(&event, "\"");

            bad += !sgamp_test_becomes(t, (char *) event.data, "\"a\":",
                                       (char *) text.data);
        }
    }

    tap_is(bad, 0, "strings of any length are hashed");

    /* "email" is hashed in lower case, at any place of eight bytes */

    bad = 0;

    for (n = 0; n < 70; n++) {

        for (k = 0; k <= n; k++) {
            event.len = 0;
            text.len = 0;

            sgamp_test_puts(&event, "\"email\":\"");

            for (i = 0; i <= n; i++) {
                sgamp_test_put(&event, (i == k) ? "Z" : &"@["[i % 2], 1);
                sgamp_test_put(&text, (i == k) ? "z" : &"@["[i % 2], 1);
            }

            sgamp_test_puts(&event, "\"");

            bad += !sgamp_test_becomes(t, (char *) event.data, "\"email\":",
                                       (char *) text.data);
        }
    }

    tap_is(bad, 0, "addresses of any length are hashed in lower case");

    sgamp_test_free(&event);
    sgamp_test_free(&text);
}


static void
sgamp_test_ends(sgamp_test_hashed_t *t)
{
    char      event[64];
    size_t    n;
    unsigned  bad;

    /* a short string at the end of what can be read */

    bad = 0;

    for (n = 1; n < 20; n++) {
        (void) snprintf(event, sizeof(event), "\"email\":\"%.*s\"", (int) n,
                        "A@bcdefghijklmnopqrst");

        bad += !sgamp_test_becomes(t, event, "\"email\":", NULL);
    }

    tap_is(bad, 0, "short strings at the end of memory");
}


static void
sgamp_test_lenient(sgamp_test_hashed_t *t)
{
    /*
     * yajl takes half of a surrogate pair for a question mark, and the second
     * half alone for three bytes; such a key is none of the names
     */

    tap_ok(sgamp_test_becomes(t, "\"x\\ud800\":\"1\",\"a\":\"2\"",
                              "\"x\xef\xbf\xbd\":\"1\"", NULL),
           "the first half of a pair is no question mark of a name");
    tap_ok(sgamp_test_becomes(t, "\"a\":\"2\",\"y\\udc00\":\"1\"",
                              "\"y\xef\xbf\xbd\":\"1\"", NULL),
           "the second half is no three bytes of a name");
    tap_ok(sgamp_test_becomes(t, "\"x\\ud800\":\"1\",\"x?\":\"2\"",
                              "\"x?\":", "2"),
           "the name behind such a key is hashed");
    tap_ok(sgamp_test_becomes(t, "\"\\u0061\":\"1\",\"x\\ud800\":\"2\"",
                              "\"\\u0061\":", "1"),
           "a key with an escape is the name that it stands for");
}


static void
sgamp_test_remembered(sgamp_test_hashed_t *t)
{
    char    text[SGAMP_HASH_TEXT + 1], event[80];
    size_t  n, i;

    /* a hash that is remembered is not computed again: here none is right */

    for (n = SGAMP_HASH_TEXT - 2; n <= SGAMP_HASH_TEXT; n++) {
        memset(text, 'r', n);
        text[n] = '\0';

        (void) snprintf(event, sizeof(event), "\"a\":\"%s\"", text);

        tap_ok(sgamp_test_becomes(t, event, "\"a\":", text),
               "a string of %zu bytes is hashed", n);

        for (i = 0; i < SGAMP_HASH_ENTRIES; i++) {
            memset(t->env.set.hash.entries[i].hex, '=',
                   SGAMP_SHA256_HEX_LEN);
        }

        if (n < SGAMP_HASH_TEXT) {
            tap_ok(sgamp_test_becomes(t, event, "\"a\":\"====", NULL),
                   "and remembered");
            continue;
        }

        tap_ok(sgamp_test_becomes(t, event, "\"a\":", text),
               "and too long to be remembered");
    }
}


static void
sgamp_test_start(sgamp_test_hashed_t *t)
{
    memset(t, 0, sizeof(sgamp_test_hashed_t));

    sgamp_test_env_init(&t->env);
    sgamp_test_rules(&t->env, "hash",
                     "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,"
                     "email,x?,y\xed\xb0\x80");
}


static int
sgamp_test_becomes(sgamp_test_hashed_t *t, const char *event,
    const char *member, const char *text)
{
    char              *p;
    u_char             hex[SGAMP_SHA256_HEX_LEN];
    sgamp_test_buf_t   buf;

    /* the member is there; with a text, its value is the hash of the text */

    memset(&buf, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_puts(&buf, "{\"event\":\"open\",\"amp_user_id\":\"u\",");
    sgamp_test_puts(&buf, event);
    sgamp_test_puts(&buf, "}");

    sgamp_test_run(&t->env, buf.data, buf.len);

    p = strstr((char *) t->env.out.data, "\"event_properties\":{");

    if (p != NULL) {
        p = strstr(p, member);
    }

    if (p != NULL && text != NULL) {
        (void) sgamp_sha256_hex(hex, (u_char *) text, strlen(text));

        p += strlen(member) + 1;
        p = (memcmp(p, hex, sizeof(hex)) == 0 && p[sizeof(hex)] == '"') ? p
                                                                        : NULL;
    }

    if (p == NULL) {
        tap_diag_bytes("event", event, strlen(event));
        tap_diag_bytes("out", t->env.out.data, t->env.out.len);
    }

    sgamp_test_free(&buf);

    return p != NULL;
}
