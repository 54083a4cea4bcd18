
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_test.h"


#define SGAMP_TEST_LIMITS  40


static void sgamp_test_limits(void);
static int sgamp_test_limit(const char *text, size_t limit);
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
    int     bad;
    size_t  i, limit;

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


static int
sgamp_test_limit(const char *text, size_t limit)
{
    int               bad;
    size_t            i, n;
    sgamp_test_run_t  run, whole;

    n = strlen(text);

    sgamp_test_run_init(&whole);
    sgamp_test_run_init(&run);

    whole.max_event = limit;
    run.max_event = limit;

    sgamp_test_run(&whole, (u_char *) text, n);

    run.cut = sgamp_test_cut_fixed;
    run.data = &i;
    bad = 0;

    for (i = 1; i < n; i++) {
        sgamp_test_run(&run, (u_char *) text, n);

        if (run.status != whole.status || run.nevents != whole.nevents
            || (run.status == SGAMP_INVALID && run.at != whole.at))
        {
            tap_diag("limit %zu, as a whole: status %d at %zu, %u events",
                     limit, whole.status, (size_t) whole.at, whole.nevents);
            tap_diag("portions of %zu: status %d at %zu, %u events", i,
                     run.status, (size_t) run.at, run.nevents);
            bad = 1;
        }
    }

    sgamp_test_run_done(&whole);
    sgamp_test_run_done(&run);

    return bad;
}


static void
sgamp_test_exact(void)
{
    size_t            i;
    sgamp_test_run_t  run;

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

    sgamp_test_run_init(&run);

    for (i = 0; i < sizeof(exact) / sizeof(exact[0]); i++) {
        run.max_event = exact[i].size;
        sgamp_test_run(&run, (u_char *) exact[i].text, strlen(exact[i].text));
        tap_is(run.status, SGAMP_OK, "%s has room in %zu", exact[i].text,
               exact[i].size);

        run.max_event--;
        sgamp_test_run(&run, (u_char *) exact[i].text, strlen(exact[i].text));
        tap_is(run.status, SGAMP_TOO_LARGE, "and none in less");
    }

    sgamp_test_run_done(&run);
}
