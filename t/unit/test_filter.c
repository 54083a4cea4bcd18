
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_test_env.h"


#define SGAMP_TEST_ROUNDS   200  /* sets of rules */
#define SGAMP_TEST_EVENTS   25   /* of each set */
#define SGAMP_TEST_MEMBERS  60   /* more than SGAMP_MAX_HITS */


/* the same rules twice: members are found by hits, and by a search */

typedef struct {
    sgamp_test_env_t     hits;
    sgamp_test_env_t     search;
    sgamp_test_random_t  random;
    sgamp_test_buf_t     event;
    unsigned             hashes; /* events with the hash of "s" */
} sgamp_test_filter_t;


/* what is dropped and kept, one letter each; members; event_properties */

typedef struct {
    const char  *drop;
    const char  *keep;
    const char  *members;
    const char  *properties;
} sgamp_test_row_t;


static void sgamp_test_members(const sgamp_test_row_t *row);
static void sgamp_test_add(sgamp_test_env_t *env, const char *rule,
    const char *letters);
static void sgamp_test_count(unsigned n);
static void sgamp_test_sources(void);
static void sgamp_test_random_rules(sgamp_test_filter_t *t);
static void sgamp_test_random_event(sgamp_test_filter_t *t);
static void sgamp_test_gap(sgamp_test_filter_t *t, const char *text);


static const sgamp_test_row_t sgamp_test_table[] = {
    { "a", "", "\"a\":1", "{\"event\":\"e\",\"email\":\"m\"}" },
    { "a", "", "\"a\":1 , \"b\" : 2\n,\"a\":3",
      "{\"event\":\"e\",\"email\":\"m\",\"b\" : 2}" },
    { "ab", "", "\"a\":1,\"b\":2,\"c\":3,\"b\":4,\"d\":5",
      "{\"event\":\"e\",\"email\":\"m\",\"c\":3,\"d\":5}" },
    { "ab", "", "\"c\":1,\"a\":[\"}\"],\"b\":{}  ,  \"d\":2",
      "{\"event\":\"e\",\"email\":\"m\",\"c\":1,\"d\":2}" },
    { "a", "", "\"\\u0061\":1,\"b\":2",
      "{\"event\":\"e\",\"email\":\"m\",\"b\":2}" },
    { "a", "", "\"a\":1,\"\\\"a\":2",
      "{\"event\":\"e\",\"email\":\"m\",\"\\\"a\":2}" },
    { "a", "", "\"\\\\a\":1,\"a\":2",
      "{\"event\":\"e\",\"email\":\"m\",\"\\\\a\":1}" },
    { "a", "", "\"a\":1,\"\\u0062\":2,\"c\":3",
      "{\"event\":\"e\",\"email\":\"m\",\"\\u0062\":2,\"c\":3}" },
    { "", "ab", "\"a\":1", "{\"a\":1}" },
    { "", "ab", "\"c\":1", "{}" },
    { "", "ab", "\"c\":1,\"a\":\"x\" ", "{\"a\":\"x\"}" },
    { "", "ab", "\"a\":1 ,\n\"b\" : 2 ,\"c\":3, \"a\":4 ",
      "{\"a\":1 ,\n\"b\" : 2,\"a\":4}" },
    { "", "ab", "\"a\":1,\"\\u0062\":2,\"c\":3,\"b\":\"\\\"b\"",
      "{\"a\":1,\"\\u0062\":2,\"b\":\"\\\"b\"}" },
    { NULL, NULL, NULL, NULL }
};


int
main(void)
{
    unsigned                 n;
    const sgamp_test_row_t  *row;

    for (row = sgamp_test_table; row->drop != NULL; row++) {
        sgamp_test_members(row);
    }

    for (n = SGAMP_MAX_HITS - 2; n <= SGAMP_MAX_HITS + 2; n++) {
        sgamp_test_count(n);
    }

    sgamp_test_sources();

    return tap_done();
}


static void
sgamp_test_members(const sgamp_test_row_t *row)
{
    char             *p, *last, text[256];
    sgamp_test_env_t  env;

    sgamp_test_env_init(&env);
    sgamp_test_add(&env, "drop", row->drop);
    sgamp_test_add(&env, "keep", row->keep);

    snprintf(text, sizeof(text), "{\"event\":\"e\",\"email\":\"m\",%s}",
             row->members);

    sgamp_test_run(&env, (u_char *) text, strlen(text));
    sgamp_test_puts(&env.out, "");

    p = strstr((char *) env.out.data, "\"event_properties\":");
    last = strstr((char *) env.out.data, "}],\"options\":");

    if (p == NULL || last == NULL) {
        p = (char *) env.out.data;
        last = p;

    } else {
        p += strlen("\"event_properties\":");
    }

    tap_bytes(p, last - p, row->properties, strlen(row->properties),
              "drop \"%s\", keep \"%s\": {%s}", row->drop, row->keep,
              row->members);

    sgamp_test_env_done(&env);
}


static void
sgamp_test_add(sgamp_test_env_t *env, const char *rule, const char *letters)
{
    char  name[] = "?";

    for ( /* void */ ; *letters != '\0'; letters++) {
        name[0] = *letters;
        sgamp_test_rules(env, rule, name);
    }
}


static void
sgamp_test_count(unsigned n)
{
    unsigned          i, drop;
    sgamp_test_buf_t  event;
    sgamp_test_env_t  env;

    /* n members with a name, an escape in the last */

    memset(&event, 0, sizeof(sgamp_test_buf_t));

    for (drop = 0; drop < 2; drop++) {
        event.len = 0;
        sgamp_test_puts(&event, "{\"event\":\"e\",\"email\":\"m\"");

        for (i = 0; i < n - drop; i++) {
            sgamp_test_puts(&event, ",\"a\":\"-\",\"b\":\"+\"");
        }

        sgamp_test_puts(&event, drop ? ",\"\\u0061\":\"-\"}" : "}");

        sgamp_test_env_init(&env);
        sgamp_test_rules(&env, "drop", "a");

        sgamp_test_run(&env, event.data, event.len);
        sgamp_test_puts(&env.out, "");

        for (i = 0; strstr((char *) env.out.data, "\"+\"") != NULL; i++) {
            memset(strstr((char *) env.out.data, "\"+\""), '.', 3);
        }

        tap_is(i, n - drop, "members without a name beside %u with one", n);
        tap_ok(strstr((char *) env.out.data, "\"-\"") == NULL,
               "and those with a name are dropped");

        sgamp_test_env_done(&env);
    }

    sgamp_test_free(&event);
}


static void
sgamp_test_sources(void)
{
    unsigned             i, k, bad;
    sgamp_test_filter_t  t;

    /* of the value "s" */

    static const char hash[] =
        "\"043a718774c572bd8a25adbeb1bfcd5c"
        "0256ae11cecf9f9c3f925d0e52beaf89\"";

    memset(&t, 0, sizeof(sgamp_test_filter_t));

    t.random.state = 10;
    bad = 0;

    for (i = 0; i < SGAMP_TEST_ROUNDS; i++) {
        sgamp_test_random_rules(&t);

        for (k = 0; k < SGAMP_TEST_EVENTS; k++) {
            sgamp_test_random_event(&t);

            sgamp_test_run(&t.hits, t.event.data, t.event.len);
            sgamp_test_run(&t.search, t.event.data, t.event.len);

            sgamp_test_puts(&t.hits.out, "");
            t.hashes += strstr((char *) t.hits.out.data, hash) != NULL;

            if (t.hits.out.len != t.search.out.len
                || memcmp(t.hits.out.data, t.search.out.data,
                          t.hits.out.len)
                   != 0)
            {
                if (bad++ == 0) {
                    tap_diag_bytes("event", t.event.data, t.event.len);
                    tap_diag_bytes("hits", t.hits.out.data,
                                   t.hits.out.len);
                    tap_diag_bytes("search", t.search.out.data,
                                   t.search.out.len);
                }
            }
        }

        sgamp_test_env_done(&t.hits);
        sgamp_test_env_done(&t.search);
    }

    tap_is(bad, 0, "members by hits are those that a search finds");
    tap_ok(t.hashes != 0, "some of them are hashed");

    sgamp_test_free(&t.event);
}


static void
sgamp_test_random_rules(sgamp_test_filter_t *t)
{
    size_t       i;
    const char  *rule, *other;

    static const char *names[] = {
        "a", "b", "c", "d", "email", "\"a", "x?", "caf\xc3\xa9", NULL
    };

    sgamp_test_env_init(&t->hits);
    sgamp_test_env_init(&t->search);

    other = sgamp_test_random(&t->random, 2) ? "keep" : "drop";

    for (i = 0; names[i] != NULL; i++) {

        switch (sgamp_test_random(&t->random, 4)) {

        case 0:
            continue;

        case 1:
            rule = "hash";
            break;

        default:
            rule = other;
        }

        sgamp_test_rules(&t->hits, rule, names[i]);
        sgamp_test_rules(&t->search, rule, names[i]);
    }

    /* no event has this name, whose like hits cannot tell */

    sgamp_test_rules(&t->search, other, "\xef\xbf\xbd!");
    sgamp_test_rules(&t->hits, other, "no!");
}


static void
sgamp_test_random_event(sgamp_test_filter_t *t)
{
    unsigned  i, n;

    static const char *keys[] = {
        "\"a\"", "\"b\"", "\"c\"", "\"d\"", "\"e\"", "\"email\"", "\"\"",
        "\"f\"", "\"g\"", "\"x?\"", "\"caf\xc3\xa9\"", "\"aa\"",
        "\"\\u0061\"", "\"\\\"a\"", "\"x\\ud800\"", "\"caf\\u00e9\"",
        "\"a\\\\\"", "\"\\u0061a\"", "\"caf\xc3\""
    };
    static const char *values[] = {
        "1", "-2.5e3", "null", "true", "\"\"", "\"s\"", "\"A@x.org\"",
        "\"a@x.org \"", "\"b@x.org\"", "\"\\\"\\\\\"", "{}", "[ ]",
        "{\"a\":[{\"b\":1}, 2]}", "\"caf\xc3\xa9\"", "\"\xc3\"",
        "\"a\\u0040x.org\""
    };

    /* an escape in few events only: with it there are no hits to compare */

    n = sgamp_test_random(&t->random, 3) ? 12 : sizeof(keys) / sizeof(keys[0]);

    t->event.len = 0;

    sgamp_test_puts(&t->event, "{\"event\":\"e\",\"amp_user_id\":\"u\"");

    for (i = sgamp_test_random(&t->random, SGAMP_TEST_MEMBERS); i != 0; i--) {
        sgamp_test_gap(t, ",");
        sgamp_test_puts(&t->event, keys[sgamp_test_random(&t->random, n)]);
        sgamp_test_gap(t, ":");
        sgamp_test_puts(&t->event,
                        values[sgamp_test_random(&t->random,
                                                 sizeof(values)
                                                 / sizeof(values[0]))]);
    }

    sgamp_test_gap(t, "}");
}


static void
sgamp_test_gap(sgamp_test_filter_t *t, const char *text)
{
    static const char *spaces[] = { "", "", "", " ", "\n\t" };

    sgamp_test_puts(&t->event, spaces[sgamp_test_random(&t->random, 5)]);
    sgamp_test_puts(&t->event, text);
    sgamp_test_puts(&t->event, spaces[sgamp_test_random(&t->random, 5)]);
}
