
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_test_env.h"


#define SGAMP_TEST_LEVELS  50
#define SGAMP_TEST_LONG    20000


static void sgamp_test_prefixes(void);
static void sgamp_test_bytes(void);
static void sgamp_test_depth(void);
static void sgamp_test_nested(sgamp_test_buf_t *buf, size_t levels,
    unsigned kind);
static void sgamp_test_long(void);


int
main(void)
{
    sgamp_test_prefixes();
    sgamp_test_bytes();
    sgamp_test_depth();
    sgamp_test_long();

    return tap_done();
}


static void
sgamp_test_prefixes(void)
{
    /* whatever is cut short is at fault where it ends */

    size_t             i;
    unsigned           bad;
    sgamp_test_env_t   env;
    sgamp_test_want_t  want;

    static const char text[] =
        "\xef\xbb\xbf [{\"email\":\"a\\u00e9\\n\xc3\xa9@example.com\", "
        "\"event\" : \"open\",\"a\":[true,false,null,{}],\"b\":-1.5e+7},"
        "17 , \"x\" ,[[1],[]] ]";

    sgamp_test_env_init(&env);

    bad = 0;

    for (i = 0; i < sizeof(text) - 1; i++) {
        sgamp_test_webhook((u_char *) text, i, &want);

        bad += want.status != SGAMP_INVALID || want.at != i;
        bad += sgamp_test_every_cut(&env, (u_char *) text, i, i, &want);
    }

    tap_is(bad, 0, "each beginning of a webhook fails at its end");

    sgamp_test_run(&env, (u_char *) text, i);

    tap_is(env.status, SGAMP_OK, "and the whole one does not");

    sgamp_test_env_done(&env);
}


static void
sgamp_test_bytes(void)
{
    /* each byte in each place that has something else around it */

    u_char             text[16];
    size_t             i, ch, n;
    unsigned           bad;
    sgamp_test_env_t   env;
    sgamp_test_want_t  want;

    static const char *places[] = {
        "?[]", "[?]", "[]?", "[1?2]", "[1,?2]", "[\"?\"]", "[\"\\?\"]",
        "[\"\\u00?0\"]", "{?\"a\":1}", "{\"a\"?:1}", "{\"a\":?}", "[-?]",
        "[0?]", "[1.?]", "[1e?]", "[t?]", "{\"a\":1?}", "[{}?]", " ?{}",
        "[tr?e]", "{?", "[\"a\"?", NULL
    };

    sgamp_test_env_init(&env);

    for (i = 0; places[i] != NULL; i++) {
        bad = 0;

        for (ch = 0; ch < 256; ch++) {

            for (n = 0; places[i][n] != '\0'; n++) {
                text[n] = (places[i][n] == '?') ? (u_char) ch : places[i][n];
            }

            sgamp_test_webhook(text, n, &want);

            if (sgamp_test_every_cut(&env, text, n, n, &want) != 0) {
                tap_diag("byte %02zx", ch);
                bad++;
            }
        }

        tap_ok(bad == 0, "any byte in \"%s\"", places[i]);
    }

    sgamp_test_env_done(&env);
}


static void
sgamp_test_depth(void)
{
    long              at;
    char              name[64];
    size_t            levels;
    unsigned          kind;
    sgamp_test_buf_t  buf;
    sgamp_test_env_t  env;

    static const char *kinds[] = { "arrays", "objects", "unfinished arrays" };

    memset(&buf, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_env_init(&env);

    for (kind = 0; kind < 3; kind++) {

        for (levels = SGAMP_MAX_DEPTH - 1; levels < SGAMP_TEST_LEVELS;
             levels++)
        {
            sgamp_test_nested(&buf, levels, kind);

            at = SGAMP_TEST_FINE;

            if (levels > 40) {

                /* ",[" and the brackets, or the keys and brackets */

                at = 4 + ((kind == 1) ? 40 * 5 : 40);
            }

            snprintf(name, sizeof(name), "%zu levels of %s", levels,
                     kinds[kind]);

            if (kind == 2 && levels <= 40) {
                at = (long) buf.len;
            }

            sgamp_test_fault_at(&env, buf.data, buf.len, at, name);
        }
    }

    sgamp_test_free(&buf);
    sgamp_test_env_done(&env);
}


static void
sgamp_test_nested(sgamp_test_buf_t *buf, size_t levels, unsigned kind)
{
    size_t  i;

    buf->len = 0;

    sgamp_test_puts(buf, "[{},");

    for (i = 0; i < levels; i++) {
        sgamp_test_puts(buf, (kind == 1) ? "{\"a\":" : "[");
    }

    if (kind == 2) {
        return;
    }

    if (kind == 1) {
        sgamp_test_puts(buf, "1");
    }

    for (i = 0; i < levels; i++) {
        sgamp_test_puts(buf, (kind == 1) ? "}" : "]");
    }

    sgamp_test_puts(buf, ",{}]");
}


static void
sgamp_test_long(void)
{
    /* a fault behind long tokens, which are held back when cut */

    size_t            i, k, n, start;
    unsigned          bad;
    sgamp_test_buf_t  buf;
    sgamp_test_env_t  env;

    static const char *tails[] = {
        "\x01\"]", "\\x\"]", "\"x]", "\"]x", "\" \"y\"]", "\"", "", "\v",
        "\"\v", "\",\f", NULL
    };

    static const size_t  behind[] = { 0, 1, 1, 2, 2, 1, 0, 0, 1, 2 };
    static const size_t  cuts[] = { 1, 7, 100, 255, 256, 1000, 4096, 5000, 0 };

    memset(&buf, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_env_init(&env);

    env.cut = sgamp_test_cut_fixed;
    env.cut_data = &n;

    sgamp_test_puts(&buf, "[{},\"");

    while (buf.len < SGAMP_TEST_LONG) {
        sgamp_test_puts(&buf, "0123456789 \\u00e9 ");
    }

    start = buf.len;

    for (i = 0; tails[i] != NULL; i++) {
        buf.len = start;

        sgamp_test_puts(&buf, tails[i]);

        bad = 0;

        for (k = 0; cuts[k] != 0; k++) {
            n = cuts[k];

            sgamp_test_run(&env, buf.data, buf.len);

            if (env.status != SGAMP_INVALID || env.at != start + behind[i]) {
                tap_diag("portions of %zu: status %d at %zu, want %zu", n,
                         env.status, (size_t) env.at, start + behind[i]);
                bad++;
            }
        }

        tap_is(bad, 0, "fault %zu behind a long string", i + 1);
    }

    sgamp_test_free(&buf);
    sgamp_test_env_done(&env);
}
