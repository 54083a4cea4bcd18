
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_test_env.h"


#define SGAMP_TEST_LIMITS  40


static void sgamp_test_limits(void);
static unsigned sgamp_test_limit(const char *text, size_t limit);
static void sgamp_test_exact(void);


int
main(void)
{
    sgamp_test_limits();
    sgamp_test_exact();

    return tap_done();
}


static void
sgamp_test_limits(void)
{
    size_t    i, limit;
    unsigned  bad;

    /* whatever the limit is and wherever the cuts are, the result is one */

    static const char *texts[] = {
        "[{\"event\":\"open\"},{},[],17,\"a text\"]",
        "[ {\"event\":\"open\"} , {} , [ ] , 17 , \"a text\" ] ",
        "[          {}          ,          {}          ]          ",
        "          [          ]          ",
        "          {          }          ",
        "\xef\xbb\xbf          [1          ,          22          ]",
        "[1          x", "[          x", "          x", "[{          x",
        "[]          x", "{}          x", "[1,          }",
        "[{\"a\":1          \"b\":2}]", "[{\"a\":1 \"bbbbbbbbbbbbb\":2}]",
        "[{\"a\":12345678901234567890 2}]", "[{12345678901234567890:2}]",
        "[{\"a\":\"12345678901234567890\\x\"}]", "[1 123456789012345]",
        "[\"12345678901234567890\" \"12345678901234567890\"]",
        "[123456789012345678901234567890]",
        "[[123456789012345678901234567890 ]]", "[true          false]",
        "[ttttttttttttttttttttttt]", "[1          \v]",
        "{\"a\":{\"b\":{\"c\":          \f}}}", "[{\"a\":1          ]",
        "[1          ", "[\"1          ",
        "[          12345678          ,          \"a\"          ]",
        "[1,          tru", "[1,          trux]", "[1,          2 3]",
        "[1,,          2]", "[,          2]", "[          \"a\\x\"]",
        "[1          ,          }", "[          :", "[          12x]", NULL
    };

    for (i = 0; texts[i] != NULL; i++) {
        bad = 0;

        for (limit = 1; limit <= SGAMP_TEST_LIMITS; limit++) {
            bad += sgamp_test_limit(texts[i], limit);
        }

        tap_is(bad, 0, "limits of text %zu", i + 1);
    }
}


static unsigned
sgamp_test_limit(const char *text, size_t limit)
{
    size_t             n;
    unsigned           bad;
    sgamp_test_env_t   env;
    sgamp_test_want_t  want;

    n = strlen(text);

    sgamp_test_env_init(&env);

    env.max_event = limit;

    sgamp_test_run(&env, (u_char *) text, n);
    sgamp_test_wanted(&env, &want);

    /* the bytes are not compared: they are those of the next run */

    want.out.data = NULL;

    bad = sgamp_test_every_cut(&env, (u_char *) text, n, n, &want);

    if (bad != 0) {
        tap_diag("the limit is %zu", limit);
    }

    sgamp_test_env_done(&env);

    return bad != 0;
}


static void
sgamp_test_exact(void)
{
    size_t            i;
    sgamp_test_env_t  env;

    /* the longest element or gap, and the limit that is just enough */

    static const struct {
        const char  *text;
        size_t       size;
    } exact[] = {
        { "[{\"event\":\"open\"}]", 16 },
        { "{\"event\":\"open\"}", 16 },
        { "[[1,2,3],1]", 7 },
        { "[\"1234567\"]", 9 },
        { "[{},   \"1234567\"]", 9 },
        { "[  1234567  ,\n 12345678\t]", 8 },
        { "[   true  ,  null]", 5 },
        { "[1,      2]", 7 },
        { "[1234567]", 7 },
        { "[{},      {}]", 7 },
        { "[      ]", 6 },
        { "[]      ", 6 },
        { "      []", 6 },
        { "\xef\xbb\xbf      []", 6 },
        { "\xef\xbb\xbf      {}", 6 },
        { "      {}", 6 },
        { "{}      ", 6 },
        { "[{}      ,{}]", 7 },
        { "[{}      ]", 6 }
    };

    sgamp_test_env_init(&env);

    for (i = 0; i < sizeof(exact) / sizeof(exact[0]); i++) {
        env.max_event = exact[i].size;
        sgamp_test_run(&env, (u_char *) exact[i].text, strlen(exact[i].text));
        tap_is(env.status, SGAMP_OK, "%s has room in %zu", exact[i].text,
               exact[i].size);

        env.max_event--;
        sgamp_test_run(&env, (u_char *) exact[i].text, strlen(exact[i].text));
        tap_is(env.status, SGAMP_TOO_LARGE, "and none in less");
    }

    sgamp_test_env_done(&env);
}
