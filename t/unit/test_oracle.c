
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>
#include <stdlib.h>

#include "sgamp_test_env.h"
#include "sgamp_test_oracle.h"


#define SGAMP_TEST_WEBHOOKS  250   /* for each set of rules */
#define SGAMP_TEST_ELEMENTS  16    /* of a webhook */
#define SGAMP_TEST_LEAST     40000 /* events to be compared in all */
#define SGAMP_TEST_SEED      12
#define SGAMP_TEST_BEFORE    60    /* bytes shown before a difference */


/* a set of rules for both mappings */

typedef struct {
    const sgamp_test_oracle_rules_t  *rules;
    sgamp_test_env_t                  env;
    sgamp_test_buf_t                  webhook;
    sgamp_test_buf_t                  mapped;
    sgamp_test_buf_t                  rejected;
    sgamp_test_buf_t                  want;
    sgamp_test_random_t               random;
    size_t                            nevents;
    size_t                            nmapped;
} sgamp_test_pair_t;


static void sgamp_test_pair(sgamp_test_pair_t *pair);
static void sgamp_test_set_rules(sgamp_test_pair_t *pair);
static int sgamp_test_compare(sgamp_test_pair_t *pair);
static void sgamp_test_differ(const sgamp_test_buf_t *out,
    const sgamp_test_buf_t *want);
static void sgamp_test_event(sgamp_test_pair_t *pair);
static void sgamp_test_member(sgamp_test_pair_t *pair);
static void sgamp_test_value(sgamp_test_pair_t *pair, const char *key);
static void sgamp_test_white(sgamp_test_pair_t *pair);
static void sgamp_test_string(sgamp_test_pair_t *pair, const char *text);
static const char *sgamp_test_pick(sgamp_test_pair_t *pair,
    const char *const *texts);


static const sgamp_test_oracle_rules_t sgamp_test_sets[] = {
    { "no rules", "amp_user_id,email", NULL, NULL, NULL, NULL, NULL, NULL,
      NULL, NULL, 0, 0 },
    { "user ids", "a?b,a\xef\xbf\xbd"
                  "b,caf\xc3\xa9,amp_user_id,email",
      NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 1, 1 },
    { "names", "email,amp_user_id", NULL,
      "open=Opened \"it\",machine_open=M\\,teleported=T,\xc3\xa9v=E,other=O",
      NULL, NULL, NULL, "click,received,", NULL, NULL, 1, 0 },
    { "events", "email", NULL, "open=O", "open,teleported,machine_open",
      NULL, NULL, "open", NULL, "env=new,a?b=q,caf\xc3\xa9=\"", 0, 1 },
    { "drop", "amp_user_id,email",
      "email,ip,,a\xef\xbf\xbd"
      "b,a\"b,to,caf\xc3\xa9",
      NULL, NULL, NULL, NULL, NULL, NULL, "env=new,email=own,x=1", 1, 0 },
    { "keep", "amp_user_id,email", NULL, NULL, NULL, NULL, NULL, NULL,
      "event,x,a?b,caf\xc3\xa9,env,", "env=new,to=t", 0, 0 },
    { "hash", "amp_user_id,email", NULL, NULL, NULL,
      "email,to,caf\xc3\xa9,a\"b", NULL, NULL, NULL, "env=e", 1, 1 },
    { "hash with a key", "email,amp_user_id", "x", NULL, NULL,
      "email,sg_event_id,amp_user_id,ip,a?b", "secret", "open", NULL, NULL, 1,
      1 },
    { "hash and keep", "to,email", NULL, "open=O", NULL, "to,x,env", "k",
      NULL, "to,event,email,env", "env=1,x=2", 1, 0 },
    { "drop and hash", "amp_user_id,email", "to,a?b,env", "click=C", NULL,
      "email,x,to", NULL, "teleported", NULL, "env=1,to=2,q=3", 0, 0 },
    { NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0 }
};


static const char *const sgamp_test_keys[] = {
    "email", "email", "email", "amp_user_id", "amp_user_id", "event", "event",
    "event", "timestamp", "timestamp", "sg_event_id", "sg_machine_open", "ip",
    "to", "x", "env", "", "a?b", "a\\ud800b", "a\\udfffb", "a\\ufffdb",
    "a\xef\xbf\xbd"
    "b",
    "a\xff"
    "b",
    "a\xed\xa0\x80"
    "b",
    "a\\ud83d\\u0041b", "caf\xc3\xa9", "caf\\u00e9", "caf\xc3", "caf\xe9",
    "a\\\"b", "a\\u0022b", "a\\\\b", "\\u0065mail", "ema\\u0069l", "Email",
    "email\\u0000", "em\\\\u0061il", "\\u0065vent", "time\\u0073tamp",
    "sg\\u005fevent_id", "\\u0074o", "\\u0069p", "q", NULL
};

static const char *const sgamp_test_strings[] = {
    "ada@example.com", "ADA@Example.com", " ada@example.com\\t",
    "ada\\u0040example.com", "\\u0061da@example.com", "ada@example.co",
    "\\u2003ada@example.com\xc2\xa0", "bob@example.com", "@", "a@", "@a",
    "\xc3\xa9@x.com", "\\u00e9@x.com", "\xc3\x89@x.com", "a\xff@x.com",
    "a\\ud800@x.com", "a\xef\xbf\xbd@x.com", "", " ", "\\u2003\\t",
    "\xe3\x80\x80", "anonymous", "NULL ", "n\\/a", "N/A", "\\u007b}", "0",
    "-1", "00000000-0000-0000-0000-000000000000", "Lmy47D", "nullx", "u-1",
    " U-1 ", "\\ud83d\\ude00", "\xf0\x9f\x98\x80", "\\ude00\\ud83d", "\\ud83d",
    "\\ud800\\ud800\\udc00", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\xaf",
    "\xe2\x82", "\xf0\x9f\x98", "\x80", "a\xe2\x82z", "\\u0000", "a\\\\",
    "\\\\ud800", "\\\"", "a,\\\"email\\\":\\\"b", "{\\\"a\\\":1}", "]}",
    "203.0.113.9", "2001:db8::1", "::ffff:1.2.3.4", "1.2.3",
    "203.0.113.\\u0039", "1.1.1.1\\u0000", " 1.1.1.1",
    "6g4ZI7SA-xmRDv57GoPIPw==", "id", NULL
};

static const char *const sgamp_test_names[] = {
    "open", "open", "open", "Open", "o\\u0070en", "click", "CLICK", "bounce",
    "received", "Received", "machine_open", "Machine_Open", "teleported",
    "TELE\\u0050orted", "\xc3\xa9v", "\\u00e9v", "\xc3\x89v", "other", " open",
    "open ", "open\\u0000", "", " ", "\\u00a0", "\xff", "\\ud800",
    "unsubscribe", "group_unsubscribe", "group_resubscribe", "a@b.c",
    "ada@example.com", NULL
};

static const char *const sgamp_test_times[] = {
    "1700414002", "0", "00", "0001700414002", "000100000000000",
    "1700414002987", "99999999999", "100000000000", "999999999999999999",
    "1000000000000000000", "1700414002.5", "1700414002.", ".5", "1.2.3", "-5",
    "+5", " 5", "5 ", "1e9", "170041400\\u0032", "2023-11-19T13:20:02.123Z",
    "2023-11-19t13:20:02z", "2023-11-19 13:20:02+02:00", "2023-02-29T00:00:00Z",
    "2024-02-29T23:59:59.9999-23:59", "1990-12-31T23:59:60Z",
    "1990-12-31T15:59:60-08:00", "1990-12-30T23:59:60Z",
    "1991-01-01T00:59:60+01:00", "1970-01-01T00:00:00Z",
    "1970-01-01T00:00:00+00:01", "1969-12-31T23:59:59-01:00",
    "2023-13-01T00:00:00Z", "2023-00-01T00:00:00Z", "2023-04-31T00:00:00Z",
    "2023-04-00T00:00:00Z", "2023-11-19T24:00:00Z", "2023-11-19T13:60:00Z",
    "2023-11-19T13:20:61Z", "2023-11-19T13:20:02", "2023-11-19T13:20:02.Z",
    "2023-11-19T13:20:02+2400", "2023-11-19T13:20:02+24:00",
    "2023-11-19T13:20:02-00:60", "2023-11-19T13:20:02Zz", "2023-11-19",
    "9999-12-31T23:59:59.999-23:59", "2023\\u002d11-19T13:20:02Z", NULL
};

static const char *const sgamp_test_numbers[] = {
    "1700414002", "1700414002", "1700414002987", "99999999999", "100000000000",
    "0", "-0", "-1", "-1.5", "0.0", "1.50", "0.0009", "1700414002.9999",
    "1.700414002e9", "17004140020e-1", "1E+2", "12e-4", "1e17", "1e18",
    "1e400", "1e-400", "0e9", "1e11", "999999999999999999",
    "1000000000000000000", "18446744073709551617", "42", NULL
};

static const char *const sgamp_test_others[] = {
    "true", "false", "null", "null", "{}", "[]", "[ ]",
    "{\"email\":\"n@x.com\"}", "[\"ada@example.com\"]", "{ \"event\" : \"x\" }",
    "[1,[2,{\"a\":\"]}\\\"\"}]]", "[\"\xff\",\"\\ud800\"]", NULL
};

static const char *const sgamp_test_spaces[] = {
    "", "", "", "", "", "", " ", "\n", "\t ", "\r\n", NULL
};


int
main(void)
{
    size_t              i, nevents, nmapped;
    sgamp_test_pair_t  *pair;

    nevents = 0;
    nmapped = 0;

    pair = calloc(1, sizeof(sgamp_test_pair_t));
    if (pair == NULL) {
        tap_bail("no memory");
    }

    for (i = 0; sgamp_test_sets[i].name != NULL; i++) {
        memset(pair, 0, sizeof(sgamp_test_pair_t));

        pair->rules = &sgamp_test_sets[i];
        pair->random.state = SGAMP_TEST_SEED + i;

        sgamp_test_pair(pair);

        nevents += pair->nevents;
        nmapped += pair->nmapped;
    }

    free(pair);

    tap_diag("%zu events were compared, %zu of them mapped", nevents, nmapped);
    tap_ok(nevents >= SGAMP_TEST_LEAST, "enough events were compared");
    tap_ok(nmapped >= nevents / 3, "enough of them were mapped");

    return tap_done();
}


static void
sgamp_test_pair(sgamp_test_pair_t *pair)
{
    size_t    i;
    unsigned  bad;

    sgamp_test_set_rules(pair);

    bad = 0;

    for (i = 0; i < SGAMP_TEST_WEBHOOKS && bad == 0; i++) {
        bad += sgamp_test_compare(pair);
    }

    tap_is(bad, 0, "%s: both mappings agree", pair->rules->name);

    sgamp_test_env_done(&pair->env);

    sgamp_test_free(&pair->webhook);
    sgamp_test_free(&pair->mapped);
    sgamp_test_free(&pair->rejected);
    sgamp_test_free(&pair->want);
}


static void
sgamp_test_set_rules(sgamp_test_pair_t *pair)
{
    sgamp_test_env_t                 *env;
    const sgamp_test_oracle_rules_t  *rules;

    env = &pair->env;
    rules = pair->rules;

    sgamp_test_env_init(env);

    env->valid = 1;

    sgamp_test_rules(env, "users", rules->users);
    sgamp_test_rules(env, "lowercase", rules->lowercase ? "on" : "off");
    sgamp_test_rules(env, "client_ip", rules->client_ip ? "on" : NULL);
    sgamp_test_rules(env, "drop", rules->drop);
    sgamp_test_rules(env, "event_names", rules->event_names);
    sgamp_test_rules(env, "events", rules->events);
    sgamp_test_rules(env, "hash", rules->hash);
    sgamp_test_rules(env, "hash_key", rules->hash_key);
    sgamp_test_rules(env, "ignore", rules->ignore);
    sgamp_test_rules(env, "keep", rules->keep);
    sgamp_test_rules(env, "properties", rules->properties);
}


static int
sgamp_test_compare(sgamp_test_pair_t *pair)
{
    size_t             i, n, start;
    sgamp_test_buf_t  *want;

    want = &pair->want;

    pair->webhook.len = 0;
    pair->mapped.len = 0;
    pair->rejected.len = 0;
    want->len = 0;

    sgamp_test_puts(&pair->webhook, "[");

    for (i = 0; i < SGAMP_TEST_ELEMENTS; i++) {
        sgamp_test_white(pair);

        start = pair->webhook.len;
        sgamp_test_event(pair);

        n = pair->mapped.len;

        sgamp_test_oracle(pair->rules, pair->webhook.data + start,
                          pair->webhook.len - start, (unsigned) i,
                          &pair->mapped, &pair->rejected);

        pair->nmapped += pair->mapped.len != n;

        sgamp_test_white(pair);
        sgamp_test_puts(&pair->webhook,
                        (i + 1 < SGAMP_TEST_ELEMENTS) ? "," : "]");
    }

    pair->nevents += SGAMP_TEST_ELEMENTS;

    if (pair->mapped.len != 0) {
        sgamp_test_puts(want, "== payload\n{\"api_key\":\""
                              "0123456789abcdef0123456789abcdef"
                              "\",\"events\":[");
        sgamp_test_put(want, pair->mapped.data, pair->mapped.len);
        sgamp_test_puts(want, "],\"options\":{\"min_id_length\":1}}\n");
    }

    sgamp_test_put(want, pair->rejected.data, pair->rejected.len);

    /* as a whole and cut at random */

    for (i = 0; i < 2; i++) {
        pair->env.cut = (i == 0) ? NULL : sgamp_test_cut_random;
        pair->env.cut_data = &pair->random;

        sgamp_test_run(&pair->env, pair->webhook.data, pair->webhook.len);

        if (pair->env.out.len != want->len || pair->env.ninvalid != 0
            || pair->env.heap.live != 0
            || memcmp(pair->env.out.data, want->data, want->len) != 0)
        {
            sgamp_test_differ(&pair->env.out, want);
            return 1;
        }
    }

    return 0;
}


static void
sgamp_test_differ(const sgamp_test_buf_t *out, const sgamp_test_buf_t *want)
{
    size_t  i, from;

    for (i = 0; i < out->len && i < want->len; i++) {
        if (out->data[i] != want->data[i]) {
            break;
        }
    }

    /* what differs, and what stands before */

    from = (i > SGAMP_TEST_BEFORE) ? i - SGAMP_TEST_BEFORE : 0;

    tap_diag_bytes("out", out->data + from, out->len - from);
    tap_diag_bytes("want", want->data + from, want->len - from);
}


static void
sgamp_test_event(sgamp_test_pair_t *pair)
{
    unsigned  n, i;

    /* some are no object, and few have so many members */

    if (sgamp_test_random(&pair->random, 40) == 0) {
        sgamp_test_puts(&pair->webhook,
                        sgamp_test_pick(pair, sgamp_test_others + 4));
        return;
    }

    n = (sgamp_test_random(&pair->random, 30) == 0) ? 60 : 10;
    n = sgamp_test_random(&pair->random, n);

    sgamp_test_puts(&pair->webhook, "{");
    sgamp_test_white(pair);

    /* most have what they need, which may come again and differ */

    if (sgamp_test_random(&pair->random, 6) != 0) {
        sgamp_test_puts(&pair->webhook, "\"event\":\"");
        sgamp_test_puts(&pair->webhook,
                        sgamp_test_pick(pair, sgamp_test_names));
        sgamp_test_puts(&pair->webhook, "\",\"email\":\"");
        sgamp_test_puts(&pair->webhook,
                        sgamp_test_pick(pair, sgamp_test_strings));
        sgamp_test_puts(&pair->webhook, n ? "\"," : "\"");
    }

    for (i = 0; i < n; i++) {
        sgamp_test_member(pair);

        if (i + 1 < n) {
            sgamp_test_puts(&pair->webhook, ",");
            sgamp_test_white(pair);
        }
    }

    sgamp_test_puts(&pair->webhook, "}");
}


static void
sgamp_test_member(sgamp_test_pair_t *pair)
{
    const char  *key;

    key = sgamp_test_pick(pair, sgamp_test_keys);

    sgamp_test_string(pair, key);
    sgamp_test_white(pair);
    sgamp_test_puts(&pair->webhook, ":");
    sgamp_test_white(pair);
    sgamp_test_value(pair, key);
    sgamp_test_white(pair);
}


static void
sgamp_test_value(sgamp_test_pair_t *pair, const char *key)
{
    size_t              n;
    const char *const  *texts;

    texts = sgamp_test_strings;

    if (strstr(key, "tamp") != NULL) {
        texts = sgamp_test_times;

    } else if (strstr(key, "vent") != NULL && strchr(key, 'd') == NULL) {
        texts = sgamp_test_names;
    }

    switch (sgamp_test_random(&pair->random, 8)) {

    case 0:
        sgamp_test_puts(&pair->webhook,
                        sgamp_test_pick(pair, sgamp_test_others));
        return;

    case 1:
    case 2:
        sgamp_test_puts(&pair->webhook,
                        sgamp_test_pick(pair, sgamp_test_numbers));
        return;

    default:
        break;
    }

    /* ids of a length around the limit */

    if (sgamp_test_random(&pair->random, 100) == 0) {
        n = 1023 + sgamp_test_random(&pair->random, 3);

        sgamp_test_puts(&pair->webhook, "\" ");

        while (n-- != 0) {
            sgamp_test_puts(&pair->webhook, (n % 5) ? "u" : "\\u00e9");
        }

        sgamp_test_puts(&pair->webhook, "\"");
        return;
    }

    sgamp_test_string(pair, sgamp_test_pick(pair, texts));
}


static void
sgamp_test_white(sgamp_test_pair_t *pair)
{
    sgamp_test_puts(&pair->webhook, sgamp_test_pick(pair, sgamp_test_spaces));
}


static void
sgamp_test_string(sgamp_test_pair_t *pair, const char *text)
{
    sgamp_test_puts(&pair->webhook, "\"");
    sgamp_test_puts(&pair->webhook, text);
    sgamp_test_puts(&pair->webhook, "\"");
}


static const char *
sgamp_test_pick(sgamp_test_pair_t *pair, const char *const *texts)
{
    uint32_t  n;

    for (n = 0; texts[n] != NULL; n++) {
        /* void */
    }

    return texts[sgamp_test_random(&pair->random, n)];
}
