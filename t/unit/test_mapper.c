
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_digest.h"
#include "sgamp_test_env.h"


#define SGAMP_TEST_REFUSED  NULL


typedef struct {
    const char  *value; /* JSON */
    const char  *id;    /* what user_id has to be, NULL: not usable */
} sgamp_test_user_t;


static void sgamp_test_users(void);
static void sgamp_test_user(const char *value, const char *id);
static void sgamp_test_spaces(void);
static void sgamp_test_lengths(void);
static void sgamp_test_reasons(void);
static void sgamp_test_order(void);
static void sgamp_test_insert_ids(void);
static void sgamp_test_lenient(void);
static void sgamp_test_lenient_run(sgamp_test_env_t *env, const char *key);
static void sgamp_test_ips(void);
static void sgamp_test_find(const sgamp_test_env_t *env, const char *key,
    sgamp_str_t *value);
static void sgamp_test_keys(void);


static const sgamp_test_user_t sgamp_test_user_ids[] = {
    { "\"a@example.com\"", "a@example.com" },
    { "\" a@example.com\\t\"", "a@example.com" },
    { "\"\\u0020a b\\u00a0\"", "a b" },
    { "\"\\u3000\xe2\x80\x82z\xc2\xa0\"", "z" },
    { "\"\\u200ba\"", "\\u200ba" },
    { "\"\\ufeffa\"", "\\ufeffa" },
    { "\"\\u180ea\"", "\\u180ea" },
    { "\"A\\\"B\\\\\"", "A\\\"B\\\\" },
    { "\"\xff\"", "\xef\xbf\xbd" },
    { "\" \xff \"", "\xef\xbf\xbd" },
    { "\"\\ud800\"", "\xef\xbf\xbd" },
    { "\"\\u0000\"", "\\u0000" },
    { "7", "7" },
    { "-7", "-7" },
    { "1.50", "1.50" },
    { "-1.0", "-1.0" },
    { "-0", "-0" },
    { "0.0", "0.0" },
    { "1E+400", "1E+400" },
    { "123456789012345678901234567890", "123456789012345678901234567890" },
    { "\"00\"", "00" },
    { "\"nulls\"", "nulls" },
    { "\"nul\"", "nul" },
    { "\"null.\"", "null." },
    { "\"n / a\"", "n / a" },
    { "\"{ }\"", "{ }" },
    { "\"1\"", "1" },
    { "\"-10\"", "-10" },
    { "\"nu\xc5\x82\xc5\x82\"", "nu\xc5\x82\xc5\x82" },
    { "\"00000000-0000-0000-0000-00000000000\"",
      "00000000-0000-0000-0000-00000000000" },
    { "\"00000000-0000-0000-0000-0000000000000\"",
      "00000000-0000-0000-0000-0000000000000" },
    { "\"\"", SGAMP_TEST_REFUSED },
    { "\" \"", SGAMP_TEST_REFUSED },
    { "\"\\t\\n\\r\\f\\u000b\\u0085\"", SGAMP_TEST_REFUSED },
    { "0", SGAMP_TEST_REFUSED },
    { "-1", SGAMP_TEST_REFUSED },
    { "true", SGAMP_TEST_REFUSED },
    { "false", SGAMP_TEST_REFUSED },
    { "null", SGAMP_TEST_REFUSED },
    { "[]", SGAMP_TEST_REFUSED },
    { "[\"a\"]", SGAMP_TEST_REFUSED },
    { "{}", SGAMP_TEST_REFUSED },
    { "{\"email\":\"a\"}", SGAMP_TEST_REFUSED },
    { NULL, NULL }
};


/* in any letter case, with white space around and with escapes */

static const char *const sgamp_test_reserved[] = {
    "anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown",
    "{}", "lmy47d", "0", "-1", "00000000-0000-0000-0000-000000000000", NULL
};


int
main(void)
{
    sgamp_test_users();
    sgamp_test_spaces();
    sgamp_test_lengths();
    sgamp_test_reasons();
    sgamp_test_order();
    sgamp_test_insert_ids();
    sgamp_test_keys();
    sgamp_test_lenient();
    sgamp_test_ips();

    return tap_done();
}


static void
sgamp_test_users(void)
{
    char    ch, value[512];
    size_t  i, k, n, form;

    for (i = 0; sgamp_test_user_ids[i].value != NULL; i++) {
        sgamp_test_user(sgamp_test_user_ids[i].value,
                        sgamp_test_user_ids[i].id);
    }

    for (i = 0; sgamp_test_reserved[i] != NULL; i++) {

        for (form = 0; form < 8; form++) {
            n = snprintf(value, sizeof(value), "\"%s",
                         (form & 1) ? " \\t" : "");

            for (k = 0; sgamp_test_reserved[i][k] != '\0'; k++) {
                ch = sgamp_test_reserved[i][k];

                if ((form & 2) && (k % 2 == 0) && ch >= 'a' && ch <= 'z') {
                    ch ^= 0x20;
                }

                n += snprintf(value + n, sizeof(value) - n,
                              (form & 4) ? "\\u%04x" : "%c", ch);
            }

            snprintf(value + n, sizeof(value) - n, "%s\"",
                     (form & 1) ? "\\u2003" : "");

            sgamp_test_user(value, SGAMP_TEST_REFUSED);
        }
    }
}


static void
sgamp_test_user(const char *value, const char *id)
{
    sgamp_str_t       got;
    sgamp_test_buf_t  buf;
    sgamp_test_env_t  env;

    memset(&buf, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_env_init(&env);

    sgamp_test_puts(&buf, "[{\"event\":\"open\",\"email\":");
    sgamp_test_puts(&buf, value);
    sgamp_test_puts(&buf, "}]");

    sgamp_test_run(&env, buf.data, buf.len);

    if (id == SGAMP_TEST_REFUSED) {
        tap_ok(env.out.len != 0
                   && strstr((char *) env.out.data, "no_user_id") != NULL,
               "%.60s is not usable", value);

    } else {
        sgamp_test_find(&env, "\"user_id\":\"", &got);
        tap_bytes(got.data, got.len, id, strlen(id), "user_id of %.60s",
                  value);
    }

    sgamp_test_free(&buf);
    sgamp_test_env_done(&env);
}


static void
sgamp_test_spaces(void)
{
    char              ch[8], text[128];
    uint32_t          c;
    unsigned          bad, space;
    sgamp_test_env_t  env;

    /* each character of two and three bytes, as such and escaped */

    sgamp_test_env_init(&env);

    bad = 0;

    for (c = 0x80; c <= 0xffff; c++) {

        if (c >= 0xd800 && c <= 0xdfff) {
            continue;
        }

        if (c < 0x800) {
            snprintf(ch, sizeof(ch), "%c%c", 0xc0 | c >> 6, 0x80 | (c & 0x3f));

        } else {
            snprintf(ch, sizeof(ch), "%c%c%c", 0xe0 | c >> 12,
                     0x80 | (c >> 6 & 0x3f), 0x80 | (c & 0x3f));
        }

        snprintf(text, sizeof(text),
                 "{\"event\":\"open\",\"email\":\"%s\\u%04x\"}", ch, c);

        sgamp_test_run(&env, (u_char *) text, strlen(text));

        switch (c) {

        case 0x85:
        case 0xa0:
        case 0x1680:
        case 0x2028:
        case 0x2029:
        case 0x202f:
        case 0x205f:
        case 0x3000:
            space = 1;
            break;

        default:
            space = c >= 0x2000 && c <= 0x200a;
        }

        if ((strstr((char *) env.out.data, "no_user_id") != NULL) != space) {
            tap_diag("U+%04X", c);
            bad++;
        }
    }

    tap_is(bad, 0, "white space of Unicode is blank, and nothing else is");

    sgamp_test_env_done(&env);
}


static void
sgamp_test_lengths(void)
{
    size_t            i, k, n;
    sgamp_test_buf_t  id, value;

    /* characters count, however many bytes they have */

    static const char *chars[] = {
        "x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\\u0041",
        "\\ud83d\\ude00", "\\\"", NULL
    };

    memset(&id, 0, sizeof(sgamp_test_buf_t));
    memset(&value, 0, sizeof(sgamp_test_buf_t));

    for (i = 0; chars[i] != NULL; i++) {

        for (n = 1023; n <= 1026; n++) {
            id.len = 0;
            value.len = 0;

            for (k = 0; k < n; k++) {
                sgamp_test_puts(&id, chars[i]);
            }

            sgamp_test_puts(&value, "\"  ");
            sgamp_test_put(&value, id.data, id.len);
            sgamp_test_puts(&value, "\\t \"");

            sgamp_test_user((char *) value.data,
                            (n <= 1024) ? (char *) id.data : NULL);
        }
    }

    /* white space inside of an id counts, that around the id does not */

    for (n = 1022; n <= 1024; n++) {
        id.len = 0;
        value.len = 0;

        sgamp_test_puts(&id, "\\u0061");

        for (k = 0; k < n; k++) {
            sgamp_test_puts(&id, " ");
        }

        sgamp_test_puts(&id, "b");

        sgamp_test_puts(&value, "\"");
        sgamp_test_put(&value, id.data, id.len);
        sgamp_test_puts(&value, " \"");

        sgamp_test_user((char *) value.data,
                        (n <= 1022) ? (char *) id.data : NULL);
    }

    sgamp_test_free(&id);
    sgamp_test_free(&value);
}


static void
sgamp_test_reasons(void)
{
    size_t            i;
    sgamp_str_t       want;
    sgamp_test_env_t  env;

    static const char *events[] = {
        "not_an_object", "[17]",
        "not_an_object", "[\"event\"]",
        "not_an_object", "[[{\"event\":\"open\",\"email\":\"a\"}]]",
        "no_event_type", "{}",
        "no_event_type", "{\"email\":\"a\"}",
        "no_event_type", "{\"email\":\"a\",\"event\":\"\"}",
        "no_event_type", "{\"email\":\"a\",\"event\":\"\\n\\u2003\"}",
        "no_event_type", "{\"email\":\"a\",\"event\":5}",
        "no_event_type", "{\"email\":\"a\",\"event\":null}",
        "no_event_type", "{\"email\":\"a\",\"Event\":\"open\"}",
        "no_user_id", "{\"event\":\"account_status_change\"}",
        "no_user_id", "{\"event\":\"open\",\"email\":\"\"}",
        "no_user_id", "{\"event\":\"open\",\"a\":{\"email\":\"b\"}}",
        NULL
    };

    sgamp_test_env_init(&env);

    for (i = 0; events[i] != NULL; i += 2) {
        sgamp_test_run(&env, (u_char *) events[i + 1], strlen(events[i + 1]));
        sgamp_test_find(&env, "== rejected 0 ", &want);

        tap_bytes(want.data, want.len, events[i], strlen(events[i]),
                  "%s: %s", events[i], events[i + 1]);
    }

    sgamp_test_env_done(&env);
}


static void
sgamp_test_order(void)
{
    char              text[256];
    size_t            i;
    sgamp_str_t       got;
    sgamp_test_env_t  env;

    static const char *events[] = {
        "\"a\":\"1\",\"b\":\"2\",\"email\":\"3@X\"", "1",
        "\"email\":\"3@X\",\"b\":\"2\",\"a\":\"1\"", "1",
        "\"email\":\"3@X\",\"b\":\"2\",\"a\":null", "2",
        "\"email\":\"3@X\",\"b\":\"B\"", "B",
        "\"email\":\"3@X\",\"b\":0,\"a\":\" \"", "3@x",
        "\"email\":\"\\u0041\\u005a\\u00c9\\n\\/\"", "az\\u00c9\\n\\/",
        NULL
    };

    sgamp_test_env_init(&env);
    sgamp_test_rules(&env, "users", "a,b,email");
    sgamp_test_rules(&env, "prefix", "");
    sgamp_test_rules(&env, "lowercase", "on");

    for (i = 0; events[i] != NULL; i += 2) {
        snprintf(text, sizeof(text), "{\"event\":\"Open\",%s}", events[i]);

        sgamp_test_run(&env, (u_char *) text, strlen(text));
        sgamp_test_find(&env, "\"user_id\":\"", &got);

        tap_bytes(got.data, got.len, events[i + 1], strlen(events[i + 1]),
                  "user_id of {%s}", events[i]);
    }

    sgamp_test_find(&env, "\"event_type\":\"", &got);
    tap_bytes(got.data, got.len, "Open", 4, "event_type without a prefix");

    sgamp_test_env_done(&env);
}


static void
sgamp_test_insert_ids(void)
{
    char              text[256], hex[SGAMP_SHA256_HEX_LEN + 1];
    size_t            i;
    sgamp_str_t       got;
    sgamp_test_env_t  env;

    static const char *ids[] = {
        "\"abc\"", "abc", "\" \"", " ", "\"a\\\"\\\\\"", "a\\\"\\\\",
        "\"\\u0000\"", "\\u0000", "\"\\udc00\"", "\xef\xbf\xbd",
        "\"\"", NULL, "7", NULL, "null", NULL, "[\"abc\"]", NULL, NULL
    };

    sgamp_test_env_init(&env);

    hex[SGAMP_SHA256_HEX_LEN] = '\0';

    for (i = 0; ids[i] != NULL; i += 2) {
        snprintf(text, sizeof(text),
                 "{\"event\":\"open\",\"email\":\"a\",\"sg_event_id\":%s}",
                 ids[i]);

        sgamp_test_run(&env, (u_char *) text, strlen(text));
        sgamp_test_find(&env, "\"insert_id\":\"", &got);

        (void) sgamp_sha256_hex((u_char *) hex, (u_char *) text,
                                strlen(text));

        tap_bytes(got.data, got.len, ids[i + 1] ? ids[i + 1] : hex,
                  strlen(ids[i + 1] ? ids[i + 1] : hex),
                  "insert_id of the sg_event_id %s", ids[i]);
    }

    sgamp_test_env_done(&env);
}


static void
sgamp_test_keys(void)
{
    int               rc;
    char              text[64][64];
    unsigned          i, bad, own;
    sgamp_str_t       name;
    sgamp_rules_t    *rules;
    sgamp_test_env_t  env;

    sgamp_test_env_init(&env);

    rules = &env.rules;
    bad = 0;
    own = rules->names.nkeys;

    for (i = 0; i < SGAMP_MAX_KEYS; i++) {
        snprintf(text[i], sizeof(text[i]), "key %*u", (int) i + 1, i);
        sgamp_test_set(&name, text[i]);

        rc = sgamp_names_key(&rules->names, &name);

        bad += rc != ((i < SGAMP_MAX_KEYS - own) ? (int) (i + own) : -1);
        bad += rc >= 0 && sgamp_names_key(&rules->names, &name) != rc;
    }

    tap_is(bad, 0, "%d keys, each of them once", SGAMP_MAX_KEYS);

    sgamp_test_set(&name, "email");
    tap_is(sgamp_rules_add(rules, SGAMP_RULES_USER, &name, NULL), SGAMP_OK,
           "a known key is no further one");

    sgamp_test_set(&name, "other");
    tap_is(sgamp_rules_add(rules, SGAMP_RULES_USER, &name, NULL),
           SGAMP_TOO_LARGE, "another is");

    sgamp_test_env_done(&env);
    sgamp_test_env_init(&env);

    for (i = 0; i < SGAMP_MAX_USER_KEYS; i++) {
        sgamp_test_set(&name, text[i]);

        if (sgamp_rules_add(rules, SGAMP_RULES_USER, &name, NULL)
            != SGAMP_OK)
        {
            break;
        }
    }

    tap_is(i, SGAMP_MAX_USER_KEYS, "keys for user_id");
    tap_is(sgamp_rules_add(rules, SGAMP_RULES_USER, &name, NULL),
           SGAMP_TOO_LARGE, "too many");

    sgamp_test_env_done(&env);
}


static void
sgamp_test_lenient(void)
{
    size_t            i;
    sgamp_str_t       got;
    sgamp_test_env_t  env;

    /* a name that yajl takes a half of a surrogate pair for, and the key */

    static const char *keys[] = {
        "a?", "a\\ud800", "?a", "\\ud800a", "b\xed\xb0\x80", "b\\udc00",
        "c\xed\xbf\xbf", "c\\udfff", "\xf0\x90\x80\x80", "\\ud800\\u0000",
        "\xef\xbf\xbd", "?", NULL
    };

    for (i = 0; keys[i] != NULL; i += 2) {
        sgamp_test_env_init(&env);
        sgamp_test_rules(&env, "users", keys[i]);
        sgamp_test_rules(&env, "users", "email");

        sgamp_test_lenient_run(&env, keys[i + 1]);
        sgamp_test_find(&env, "\"user_id\":\"", &got);

        tap_bytes(got.data, got.len, "right", 5, "\"%s\" is another name",
                  keys[i + 1]);

        sgamp_test_env_done(&env);
    }
}


static void
sgamp_test_lenient_run(sgamp_test_env_t *env, const char *key)
{
    char  text[128];

    (void) snprintf(text, sizeof(text),
                    "{\"event\":\"open\",\"%s\":\"wrong\","
                    "\"email\":\"right\"}",
                    key);

    sgamp_test_run(env, (u_char *) text, strlen(text));
}


static void
sgamp_test_ips(void)
{
    char              text[256];
    size_t            i;
    sgamp_str_t       got;
    sgamp_test_env_t  env;

    /* address, and whether it is sent; the longest one has 45 characters */

    static const struct {
        const char  *ip;
        unsigned     sent;
    } ips[] = {
        { "1.2.3.4", 1 },
        { "255.255.255.255", 1 },
        { "::", 1 },
        { "2001:DB8::1", 1 },
        { "0000:0000:0000:0000:0000:ffff:255.255.255.255", 1 },
        { "0000:0000:0000:0000:0000:ffff:255.255.255.2551", 0 },
        { "0000:0000:0000:0000:0000:ffff:255.255.255.25511", 0 },
        { "0000:0000:0000:0000:0000:ffff:255.255.255.255111", 0 },
        { "0000:0000:0000:0000:0000:ffff:255.255.255.2551.2.3.4.5.6", 0 },
        { "256.1.1.1", 0 },
        { "1.2.3", 0 },
        { "$remote", 0 },
        { "", 0 }
    };

    sgamp_test_env_init(&env);
    sgamp_test_rules(&env, "client_ip", "on");

    for (i = 0; i < sizeof(ips) / sizeof(ips[0]); i++) {
        snprintf(text, sizeof(text),
                 "{\"event\":\"open\",\"email\":\"a\",\"ip\":\"%s\"}",
                 ips[i].ip);

        sgamp_test_run(&env, (u_char *) text, strlen(text));

        *strstr((char *) env.out.data, "event_properties") = '\0';
        sgamp_test_find(&env, "\"ip\":\"", &got);

        tap_bytes(got.data, got.len, ips[i].ip,
                  ips[i].sent ? strlen(ips[i].ip) : 0, "the address %s",
                  ips[i].ip);
    }

    sgamp_test_env_done(&env);
}


static void
sgamp_test_find(const sgamp_test_env_t *env, const char *key,
    sgamp_str_t *value)
{
    char  *p, *end;

    /* up to a quote that is not escaped, or the end of the line */

    value->data = NULL;
    value->len = 0;

    p = strstr((char *) env->out.data, key);

    if (p == NULL) {
        return;
    }

    p += strlen(key);

    for (end = p; *end != '"' && *end != '\n' && *end != '\0'; end++) {
        end += (*end == '\\');
    }

    value->data = (u_char *) p;
    value->len = end - p;
}
