
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_member.h"
#include "sgamp_test_env.h"
#include "sgamp_text.h"


#define SGAMP_TEST_TABLE  200
#define SGAMP_TEST_MANY   40


/* rules of events, and what they lead to */

typedef struct {
    const char  *lists[3]; /* of each rule, NULL: none */
    const char  *want;     /* the events that are forwarded, and the names in
                              the lists that change nothing */
} sgamp_test_told_t;


static void sgamp_test_events(void);
static void sgamp_test_outcome(const sgamp_rules_t *rules,
    const sgamp_test_told_t *told, sgamp_test_buf_t *buf);
static void sgamp_test_uses(void);
static void sgamp_test_no_memory(void);
static void sgamp_test_names(void);
static void sgamp_test_numbers(void);
static void sgamp_test_decoded(void);
static void sgamp_test_broken(void);
static void sgamp_test_searched(void);
static void sgamp_test_members(void);
static void sgamp_test_cut_members(void);
static void sgamp_test_encode(void);
static void sgamp_test_properties(void);
static int sgamp_test_property(sgamp_rules_t *rules, const sgamp_str_t *name);
static void sgamp_test_hashed(void);
static void sgamp_test_parts(void);


static const char *const sgamp_test_rule_names[] = {
    "ignore", "events", "event_names"
};

static const sgamp_rules_e sgamp_test_rule_numbers[] = {
    SGAMP_RULES_IGNORE, SGAMP_RULES_ONLY, SGAMP_RULES_TYPE
};

static const sgamp_test_told_t sgamp_test_told[] = {
    { { NULL, NULL, NULL }, "open click machine_open x y" },
    { { NULL, NULL, "open=O,x=X" }, "open click machine_open x y" },
    { { NULL, "open", NULL }, "open" },
    { { NULL, "x,open", "open=O,x=X" }, "open x" },
    { { "open,x", NULL, NULL }, "click machine_open y" },
    { { "open,x", NULL, "open=O,click=C,x=X" },
      "click machine_open y event_names:open event_names:x" },
    { { "open,x", "open,x,click", NULL }, "click events:open events:x" },
    { { "click,y", "open", NULL }, "open ignore:click ignore:y" },
    { { "x,y", "open,x", "x=X,open=O,y=Y,click=C" },
      "open ignore:y events:x event_names:x event_names:y event_names:click" },
    { { NULL, NULL, NULL }, NULL }
};


int
main(void)
{
    sgamp_test_events();
    sgamp_test_uses();
    sgamp_test_no_memory();
    sgamp_test_names();
    sgamp_test_numbers();
    sgamp_test_decoded();
    sgamp_test_broken();
    sgamp_test_searched();
    sgamp_test_members();
    sgamp_test_cut_members();
    sgamp_test_encode();
    sgamp_test_properties();
    sgamp_test_hashed();
    sgamp_test_parts();

    return tap_done();
}


static void
sgamp_test_events(void)
{
    unsigned                  i, k, bad;
    sgamp_test_buf_t          buf;
    sgamp_test_env_t          env;
    const sgamp_test_told_t  *told;

    /* the order in which rules are told does not matter */

    static const unsigned orders[][3] = {
        { 0, 1, 2 },
        { 0, 2, 1 },
        { 1, 0, 2 },
        { 1, 2, 0 },
        { 2, 0, 1 },
        { 2, 1, 0 }
    };

    memset(&buf, 0, sizeof(sgamp_test_buf_t));

    for (told = sgamp_test_told; told->want != NULL; told++) {
        bad = 0;

        for (i = 0; i < 6; i++) {
            sgamp_test_env_init(&env);

            for (k = 0; k < 3; k++) {
                sgamp_test_rules(&env, sgamp_test_rule_names[orders[i][k]],
                                 told->lists[orders[i][k]]);
            }

            sgamp_test_rules_end(&env);
            sgamp_test_outcome(&env.rules, told, &buf);

            if (strcmp((char *) buf.data, told->want) != 0) {
                tap_diag("order %u: %s", i, (char *) buf.data);
                bad++;
            }

            sgamp_test_env_done(&env);
        }

        tap_is(bad, 0, "rules of events: %s", told->want);
    }

    sgamp_test_free(&buf);
}


static void
sgamp_test_outcome(const sgamp_rules_t *rules, const sgamp_test_told_t *told,
    sgamp_test_buf_t *buf)
{
    size_t       n;
    unsigned     i;
    const char  *list;
    sgamp_str_t  name;

    static const char *events[] = {
        "open", "click", "machine_open", "x", "y", NULL
    };

    buf->len = 0;

    for (i = 0; events[i] != NULL; i++) {
        sgamp_test_set(&name, events[i]);

        if (!sgamp_rules_event(rules, sgamp_kind_lookup(name.data, name.len),
                               &name)
                 ->ignored)
        {
            sgamp_test_puts(buf, buf->len ? " " : "");
            sgamp_test_puts(buf, events[i]);
        }
    }

    for (i = 0; i < 3; i++) {

        for (list = told->lists[i]; list != NULL; list = list[n] ? list + n + 1
                                                                 : NULL)
        {
            n = strcspn(list, ",");

            name.data = (u_char *) list;
            name.len = strcspn(list, ",=");

            if (sgamp_rules_use(rules, sgamp_test_rule_numbers[i], &name)
                == SGAMP_RULES_UNUSED)
            {
                sgamp_test_puts(buf, " ");
                sgamp_test_puts(buf, sgamp_test_rule_names[i]);
                sgamp_test_puts(buf, ":");
                sgamp_test_put(buf, name.data, name.len);
            }
        }
    }
}


static void
sgamp_test_uses(void)
{
    unsigned           i, k, bad;
    sgamp_str_t        name;
    sgamp_test_env_t   env;
    sgamp_rules_use_e  use;

    /* a key that is hashed, and its use with each of the rules below */

    static const struct {
        const char  *name;
        const char  *uses; /* used, public, or "-" */
    } hashed[] = {
        { "event", "ppp" },
        { "timestamp", "ppp" },
        { "sg_event_id", "uuu" },
        { "amp_user_id", "uuu" },
        { "email", "uuu" },
        { "sg_machine_open", "uu-" },
        { "x", "u-u" },
        { "y", "uu-" }
    };

    static const char *rules[] = { "drop", "drop", "keep" };
    static const char *lists[] = { NULL, "x,email,sg_event_id", "x" };

    for (i = 0; i < 3; i++) {
        sgamp_test_env_init(&env);
        sgamp_test_rules(&env, rules[i], lists[i]);

        for (k = 0; k < sizeof(hashed) / sizeof(hashed[0]); k++) {
            sgamp_test_rules(&env, "hash", hashed[k].name);
        }

        sgamp_test_rules_end(&env);

        bad = 0;

        for (k = 0; k < sizeof(hashed) / sizeof(hashed[0]); k++) {
            sgamp_test_set(&name, hashed[k].name);

            use = sgamp_rules_use(&env.rules, SGAMP_RULES_HASH, &name);

            if ("u-p"[use] != hashed[k].uses[i]) {
                tap_diag("use of \"%s\": %d", hashed[k].name, use);
                bad++;
            }
        }

        tap_is(bad, 0, "what is hashed, and the rule \"%s\": %s", rules[i],
               lists[i] ? lists[i] : "none");

        sgamp_test_env_done(&env);
    }
}


static void
sgamp_test_no_memory(void)
{
    int                         rc;
    char                        text[SGAMP_TEST_MANY][8];
    size_t                      fail;
    unsigned                    i, k, bad, done;
    sgamp_str_t                 name, type;
    sgamp_rules_t              *rules;
    sgamp_test_env_t            env;
    const sgamp_rules_event_t  *event;

    static const size_t  before = sizeof(SGAMP_RULES_BEFORE_TYPE) - 1;

    /* many names need memory, and those before a failure stay good */

    bad = 0;
    done = 0;

    for (i = 0; i < SGAMP_TEST_MANY; i++) {
        (void) snprintf(text[i], sizeof(text[i]), "n%u", i);
    }

    for (fail = 1; !done; fail++) {
        sgamp_test_env_init(&env);

        rules = &env.rules;

        env.set.heap.calls = 0;
        env.set.heap.fail = fail;

        rc = sgamp_rules_prefix(rules, &env.api_key);

        for (i = 0; i < SGAMP_TEST_MANY && rc == SGAMP_OK; i++) {
            sgamp_test_set(&name, text[i]);

            rc = sgamp_rules_add(rules, SGAMP_RULES_TYPE, &name, &name);

            if (rc == SGAMP_OK) {
                rc = sgamp_rules_add(rules, SGAMP_RULES_HASH, &name, NULL);
            }
        }

        /* a key that has an action already, and one that is new */

        sgamp_test_set(&name, text[1]);

        if (rc == SGAMP_OK) {
            rc = sgamp_rules_add(rules, SGAMP_RULES_USER, &name, NULL);
        }

        if (rc == SGAMP_OK) {
            rc = sgamp_rules_client_ip(rules);
        }

        done = env.set.heap.calls < fail;
        bad += rc != (done ? SGAMP_OK : SGAMP_NOMEM);
        bad += done && rules->nothers != SGAMP_TEST_MANY;

        env.set.heap.fail = 0;

        sgamp_test_rules_end(&env);

        for (k = 0; k + 1 < i; k++) {
            sgamp_test_set(&name, text[k]);

            event = sgamp_rules_event(rules, SGAMP_KIND_OTHER, &name);

            type.data = event->type.data + before;
            type.len = event->type.len - before;

            bad += !sgamp_same(&type, name.data, name.len);
            bad += sgamp_names_treat(&rules->names, &name)
                   != SGAMP_NAMES_HASH;
        }

        sgamp_test_env_done(&env);
    }

    tap_is(bad, 0, "rules: %zu allocations that fail", fail - 2);
}


static void
sgamp_test_names(void)
{
    char                 text[SGAMP_TEST_TABLE][SGAMP_TEST_TABLE + 1];
    unsigned             i, k, bad;
    sgamp_str_t          name;
    sgamp_name_t         room[SGAMP_TEST_TABLE];
    sgamp_names_t        names;
    const sgamp_name_t  *found;

    /* of all lengths, in an order that is none */

    sgamp_test_poison(room, sizeof(room));
    sgamp_test_poison(&names, sizeof(sgamp_names_t));
    sgamp_names_init(&names);
    sgamp_names_reserve(&names, room, SGAMP_TEST_TABLE);

    bad = 0;

    for (i = 0; i < SGAMP_TEST_TABLE; i++) {
        k = i * 7 % SGAMP_TEST_TABLE;
        memset(text[k], 'a' + k % 3, SGAMP_TEST_TABLE);
        text[k][k] = '\0';
        sgamp_test_set(&name, text[k]);

        bad += sgamp_names_lookup(&names, name.data, name.len) != NULL;
        bad += sgamp_names_add(&names, &name, SGAMP_NAMES_DROP) != SGAMP_OK;
        bad += sgamp_names_add(&names, &name, SGAMP_NAMES_HASH) != SGAMP_OK;
    }

    for (i = 0; i < SGAMP_TEST_TABLE; i++) {
        sgamp_test_set(&name, text[i]);
        found = sgamp_names_lookup(&names, name.data, name.len);

        bad += found == NULL || found->text.data != (u_char *) text[i]
               || found->treat != (SGAMP_NAMES_DROP | SGAMP_NAMES_HASH);

        if (i != 0) {
            text[i][i - 1] ^= 1;
            bad += sgamp_names_lookup(&names, (u_char *) text[i - 1], i - 1)
                   == NULL;
            bad += sgamp_names_lookup(&names, (u_char *) "?", 1) != NULL;
            text[i][i - 1] ^= 1;
        }
    }

    tap_is(bad, 0, "names of all lengths are found");

    sgamp_test_set(&name, "another");
    tap_is(sgamp_names_add(&names, &name, SGAMP_NAMES_DROP), SGAMP_TOO_LARGE,
           "no room for another");

    sgamp_names_init(&names);
    tap_is(sgamp_names_treat(&names, &name), 0, "no names: all leave");

    sgamp_test_set(&name, "kept");
    (void) sgamp_names_add(&names, &name, SGAMP_NAMES_KEEP);
    tap_is(sgamp_names_treat(&names, &name), SGAMP_NAMES_KEEP, "kept");

    sgamp_test_set(&name, "email");
    tap_is(sgamp_names_treat(&names, &name), SGAMP_NAMES_DROP,
           "others are not");

    (void) sgamp_names_add(&names, &name, SGAMP_NAMES_HASH);
    tap_is(sgamp_names_treat(&names, &name),
           SGAMP_NAMES_DROP | SGAMP_NAMES_HASH | SGAMP_NAMES_LOWER,
           "an address is hashed in lower case");
}


static void
sgamp_test_numbers(void)
{
    char                 text[SGAMP_TEST_TABLE][8];
    int                  key;
    unsigned             i, bad, treat;
    sgamp_str_t          name;
    sgamp_name_t         room[SGAMP_TEST_TABLE];
    sgamp_names_t        names;
    const sgamp_name_t  *found;

    /* each second name has treat, the others numbers, some have both */

    sgamp_test_poison(room, sizeof(room));
    sgamp_test_poison(&names, sizeof(sgamp_names_t));
    sgamp_names_init(&names);
    sgamp_names_reserve(&names, room, SGAMP_TEST_TABLE);

    bad = 0;

    for (i = 0; i < 2 * SGAMP_MAX_KEYS; i++) {
        (void) snprintf(text[i], sizeof(text[i]), "k%02ux%u", i, i % 3);
        sgamp_test_set(&name, text[i]);

        bad += (i % 2 || i % 8 == 0)
               && sgamp_names_add(&names, &name, SGAMP_NAMES_DROP) != SGAMP_OK;
        bad += i % 2 == 0 && sgamp_names_key(&names, &name) != (int) i / 2;
    }

    tap_is(bad, 0, "names with a number, with treat, and with both");
    tap_is(names.n, 2 * SGAMP_MAX_KEYS, "each name is there once");

    for (i = 0; i < 2 * SGAMP_MAX_KEYS; i++) {
        found = sgamp_names_lookup(&names, (u_char *) text[i],
                                   strlen(text[i]));

        key = (i % 2) ? SGAMP_NAMES_NO_KEY : (int) i / 2;
        treat = (i % 2 || i % 8 == 0) ? SGAMP_NAMES_DROP : 0;

        bad += found == NULL || found->key != key || found->treat != treat;
    }

    tap_is(bad, 0, "a name is looked up once for both");

    sgamp_test_set(&name, text[1]);
    tap_is(sgamp_names_key(&names, &name), -1,
           "no number is left for a name with treat");
    sgamp_test_set(&name, text[2]);
    tap_is(sgamp_names_key(&names, &name), 1, "a number stays what it was");
    sgamp_test_set(&name, "another");
    tap_is(sgamp_names_key(&names, &name), -1, "nor for a new name");
    tap_is(names.n, 2 * SGAMP_MAX_KEYS, "which is not added then");
}


static void
sgamp_test_decoded(void)
{
    int            is;
    size_t         i;
    sgamp_str_t    name, key;
    sgamp_name_t   found;
    sgamp_names_t  names;

    /* key, the name it is or NULL */

    static const char *keys[] = {
        "email", "email", "\\u0065mail", "email", "emai\\u006C", "email",
        "\\u0065\\u006d\\u0061\\u0069\\u006c", "email",
        "email\\u0000", NULL, "\\u0000email", NULL, "emai", NULL,
        "emaill", NULL, "Email", NULL, "\\\\u0065mail", NULL, "", NULL,
        "caf\xc3\xa9", "caf\xc3\xa9", "caf\\u00e9", "caf\xc3\xa9",
        "caf\\u00E9", "caf\xc3\xa9", "cafe\\u0301", NULL, "caf\xe9", NULL,
        "\\ud83d\\ude00", "\xf0\x9f\x98\x80",
        "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\\ud83d", NULL,
        "a\\n\\t\\/\\\"b", "a\n\t/\"b", "a\\u000a\\u0009/\\u0022b",
        "a\n\t/\"b", NULL
    };

    sgamp_test_poison(&names, sizeof(sgamp_names_t));
    sgamp_names_init(&names);

    for (i = 0; keys[i] != NULL; i += 2) {

        if (keys[i + 1] != NULL) {
            sgamp_test_set(&name, keys[i + 1]);

            if (sgamp_names_add(&names, &name, SGAMP_NAMES_DROP) != SGAMP_OK) {
                tap_bail("too many names");
            }
        }
    }

    for (i = 0; keys[i] != NULL; i += 2) {
        sgamp_test_set(&key, keys[i]);
        is = sgamp_names_decode(&names, &key, &found);

        if (keys[i + 1] == NULL) {
            tap_ok(!is, "\"%s\" is none of the names", keys[i]);

        } else {
            tap_bytes(is ? found.text.data : NULL, is ? found.text.len : 0,
                      keys[i + 1],
                      strlen(keys[i + 1]), "\"%s\" is a name", keys[i]);
        }
    }
}


static void
sgamp_test_broken(void)
{
    sgamp_str_t    replaced, bytes, key;
    sgamp_name_t   found;
    sgamp_names_t  names;

    /* a key with broken UTF-8 is both names */

    sgamp_test_set(&replaced, "a\xef\xbf\xbd");
    sgamp_test_set(&bytes, "a\xff");

    sgamp_names_init(&names);
    (void) sgamp_names_key(&names, &replaced);
    (void) sgamp_names_key(&names, &bytes);
    (void) sgamp_names_add(&names, &replaced, SGAMP_NAMES_DROP);
    (void) sgamp_names_add(&names, &bytes, SGAMP_NAMES_HASH);

    tap_is(sgamp_names_decode(&names, &bytes, &found), 1, "broken UTF-8");
    tap_is(found.key, 0, "the first number of two names");
    tap_is(found.treat, SGAMP_NAMES_DROP | SGAMP_NAMES_HASH,
           "the treat of both");

    sgamp_test_set(&key, "a\\ud800");
    tap_is(sgamp_names_decode(&names, &key, &found), 1, "half of a pair");
    tap_is(found.treat, SGAMP_NAMES_DROP, "is the name with U+FFFD only");

    /* a name with a number, another one with treat */

    sgamp_names_init(&names);
    (void) sgamp_names_add(&names, &replaced, SGAMP_NAMES_DROP);
    (void) sgamp_names_key(&names, &bytes);

    tap_is(sgamp_names_decode(&names, &bytes, &found), 1, "two names");
    tap_is(found.key, 0, "one has the number");
    tap_is(found.treat, SGAMP_NAMES_DROP, "the other one has the treat");
}


static void
sgamp_test_searched(void)
{
    uint32_t       ends[SGAMP_MAX_KEYS];
    sgamp_str_t    name, object;
    sgamp_names_t  names;

    static const char text[] =
        "{\"a\":1,\"b\" : 2,\"c\":{\"d\":3},\"\\u0061\":4,\"e\":5}";

    sgamp_names_init(&names);
    sgamp_test_poison(ends, sizeof(ends));

    sgamp_test_set(&name, "e");
    (void) sgamp_names_add(&names, &name, SGAMP_NAMES_DROP);
    sgamp_test_set(&name, "d");
    (void) sgamp_names_key(&names, &name);
    sgamp_test_set(&name, "b");
    (void) sgamp_names_key(&names, &name);
    sgamp_test_set(&name, "a");
    (void) sgamp_names_key(&names, &name);

    sgamp_test_set(&object, text);

    tap_is(sgamp_names_keys(&names, &object, ends), 0x6,
           "keys that a search finds");
    tap_is(ends[1], strstr(text, " : 2") - text, "where a key ends");
    tap_is(ends[2], strstr(text, ":4") - text, "where the last key ends");
}


static void
sgamp_test_members(void)
{
    size_t             i;
    const u_char      *p, *last;
    sgamp_member_t     m;
    sgamp_test_buf_t   buf;

    /* an object, and its members with a bar after each key and value */

    static const char *objects[] = {
        "{}", "", "{ \n}", "", "{\"a\":1}", "a|1|",
        "{ \"a\" : -1.5e+3 , \"b\":true\n,\"c\" :null\t}",
        "a|-1.5e+3|b|true|c|null|",
        "{\"\":\"\",\"\\\"\":\"\\\"\",\"\\\\\":\"\\\\\"}",
        "|\"\"|\\\"|\"\\\"\"|\\\\|\"\\\\\"|",
        "{\"a\":{\"b\":[\"}\",\"]\\\"\",{}]},\"c\":[[],[{\"d\":\"[\"}]]}",
        "a|{\"b\":[\"}\",\"]\\\"\",{}]}|c|[[],[{\"d\":\"[\"}]]|",
        "{\"a\":\"0123456789\\\\\\\\\\\"0123456789\\\\\",\"b\":2}",
        "a|\"0123456789\\\\\\\\\\\"0123456789\\\\\"|b|2|",
        "{\"aaaaaaaaaaaaaaaaaaaaaaa\\\"\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
        "aaaaaaaaaaaaaaaaaaaaaaa\\\"|\"aaaaaaaaaaaaaaaaaaaaaaaaaaa\"|",
        NULL
    };

    memset(&buf, 0, sizeof(sgamp_test_buf_t));

    for (i = 0; objects[i] != NULL; i += 2) {
        p = (u_char *) objects[i] + 1;
        last = (u_char *) objects[i] + strlen(objects[i]);
        buf.len = 0;
        sgamp_test_puts(&buf, "");

        while (sgamp_member_next(&p, last, &m)) {
            sgamp_test_put(&buf, m.key.data, m.key.len);
            sgamp_test_puts(&buf, "|");
            sgamp_test_put(&buf, m.value, m.end - m.value);
            sgamp_test_puts(&buf, "|");
        }

        tap_bytes(buf.data, buf.len, objects[i + 1], strlen(objects[i + 1]),
                  "members of object %zu", i / 2);
    }

    sgamp_test_free(&buf);
}


static void
sgamp_test_cut_members(void)
{
    size_t              n, len;
    u_char             *data;
    unsigned            i, bad;
    const u_char       *p;
    sgamp_member_t      m;
    sgamp_test_guard_t  guard;

    /* what has not passed yajl is not read beyond its end either */

    static const char text[] =
        "{\"a\\\\\":\"\\\"\\\\\",\"b\":[{\"c\":\"]\"},\"x\\\"\"],\"d\":12345 ,"
        "\"0123456789abcdef\":\"0123456789\\u0041bcdef\\\\\\\\\"}";

    sgamp_test_guard_init(&guard, sizeof(text));

    bad = 0;
    len = sizeof(text) - 1;

    for (n = 1; n <= len; n++) {
        data = sgamp_test_guard(&guard, text, n);
        p = data + 1;

        for (i = 0; sgamp_member_next(&p, data + n, &m); i++) {
            bad += m.end > data + n || m.value > m.end || p > data + n;

            if (i == len) {
                bad++;
                break;
            }
        }
    }

    tap_is(bad, 0, "an object that is cut");

    sgamp_test_guard_done(&guard);
}


static void
sgamp_test_encode(void)
{
    u_char         buf[SGAMP_TEXT_CHAR];
    size_t         n;
    uint32_t       c;
    unsigned       bad;
    const u_char  *p;

    bad = 0;

    for (c = 1; c <= 0x10ffff; c++) {

        if (c == '\\' || (c >= 0xd800 && c <= 0xdfff)) {
            continue;
        }

        n = sgamp_text_encode(buf, c);
        p = buf;

        bad += sgamp_json_next(&p, buf + n) != c || p != buf + n;
    }

    tap_is(bad, 0, "each character of Unicode is written as it is read");
}


static void
sgamp_test_properties(void)
{
    char              text[SGAMP_MAX_KEYS][16];
    unsigned          i;
    sgamp_str_t       name;
    sgamp_rules_t    *rules;
    sgamp_test_env_t  env;

    for (i = 0; i < SGAMP_MAX_KEYS; i++) {
        snprintf(text[i], sizeof(text[i]), "p%u", i);
    }

    sgamp_test_env_init(&env);

    rules = &env.rules;

    for (i = 0; i < SGAMP_MAX_KEYS; i++) {
        sgamp_test_set(&name, text[i]);

        if (sgamp_test_property(rules, &name) != SGAMP_OK) {
            break;
        }
    }

    tap_is(i, SGAMP_MAX_PROPERTIES, "properties");

    /* the first of all keys is a key as any other */

    sgamp_test_env_done(&env);
    sgamp_test_env_init(&env);
    sgamp_test_set(&name, "event");

    tap_is(sgamp_test_property(rules, &name), SGAMP_OK, "a property \"event\"");
    tap_is(rules->properties[0], 1 << SGAMP_KEY_EVENT, "which events have");
    tap_is(sgamp_rules_add(rules, SGAMP_RULES_USER, &name, NULL), SGAMP_OK,
           "and a user_id of \"event\"");

    /* keys for user_id may have taken the room */

    sgamp_test_env_done(&env);
    sgamp_test_env_init(&env);

    for (i = 0; i < SGAMP_MAX_USER_KEYS; i++) {
        sgamp_test_set(&name, text[i]);
        (void) sgamp_rules_add(rules, SGAMP_RULES_USER, &name, NULL);
    }

    tap_is(sgamp_rules_client_ip(rules), SGAMP_OK, "and the address");

    for (i = 0; i < SGAMP_MAX_KEYS; i++) {
        sgamp_test_set(&name, text[SGAMP_MAX_KEYS - 1 - i]);

        if (sgamp_test_property(rules, &name) != SGAMP_OK) {
            break;
        }
    }

    tap_is(i, SGAMP_MAX_KEYS - SGAMP_KEY_COMMON - SGAMP_MAX_USER_KEYS - 1,
           "properties besides");
    tap_is(sgamp_rules_client_ip(rules), SGAMP_OK, "which is there already");

    /* properties may have taken the room before the address */

    sgamp_test_env_done(&env);
    sgamp_test_env_init(&env);

    for (i = 0; i < SGAMP_MAX_USER_KEYS; i++) {
        sgamp_test_set(&name, text[i]);
        (void) sgamp_rules_add(rules, SGAMP_RULES_USER, &name, NULL);
    }

    while (sgamp_test_property(rules, &name) == SGAMP_OK) {
        sgamp_test_set(&name, text[i < SGAMP_MAX_KEYS ? i++ : 0]);
    }

    tap_is(sgamp_rules_client_ip(rules), SGAMP_TOO_LARGE,
           "no room for the address");
    tap_is(rules->client_ip, 0, "which is not sent then");

    sgamp_test_env_done(&env);
}


static int
sgamp_test_property(sgamp_rules_t *rules, const sgamp_str_t *name)
{
    return sgamp_rules_add(rules, SGAMP_RULES_PROPERTY, name, NULL);
}


static void
sgamp_test_hashed(void)
{
    sgamp_rules_t    *rules;
    sgamp_test_env_t  env;

    sgamp_test_env_init(&env);
    sgamp_test_rules(&env, "client_ip", "on");

    rules = &env.rules;

    /* a name that no key has: keys that are not used have none */

    sgamp_test_rules(&env, "hash", "");
    sgamp_rules_end(rules);
    tap_is(rules->hashed, 0, "no key is hashed");
    tap_is(rules->client_ip, 1, "and the address is sent");

    sgamp_test_rules(&env, "hash", "sg_event_id");
    sgamp_test_rules(&env, "drop", "email");
    sgamp_rules_end(rules);
    tap_is(rules->hashed, 1 << SGAMP_KEY_EVENT_ID, "one key is hashed");

    sgamp_test_rules(&env, "hash", "ip");
    sgamp_rules_end(rules);
    tap_is(rules->client_ip, 0, "an address that is hashed is not sent");

    sgamp_test_env_done(&env);
}


static void
sgamp_test_parts(void)
{
    sgamp_item_t  item;
    sgamp_str_t   mapped, head, id, properties, user;

    static const char begin[] =
        "{\"user_id\":\"u\\\"v\",\"event_type\":"
        "\"a\\\",\\\"insert_id\\\":\\\"x\","
        "\"time\":1,\"ip\":\"1.2.3.4\",\"insert_id\":\"id\"";

    static const char text[] =
        "{\"user_id\":\"u\\\"v\",\"event_type\":"
        "\"a\\\",\\\"insert_id\\\":\\\"x\","
        "\"time\":1,\"ip\":\"1.2.3.4\",\"insert_id\":\"id\","
        "\"library\":\"sendgrid\",\"event_properties\":"
        "{\"a\":1,\"env\":\"e\"}}";

    memset(&item, 0, sizeof(sgamp_item_t));

    item.id_end = sizeof(begin) - 2;
    item.id = item.id_end - 2;

    sgamp_test_set(&mapped, text);
    sgamp_mapped_slices(&mapped, &item, &head, &id, &properties);

    tap_bytes(head.data, head.len, begin, sizeof(begin) - 1,
              "what comes before the library");
    tap_bytes(id.data, id.len, "id", 2, "insert_id of a mapped event");
    tap_bytes(properties.data, properties.len, "{\"a\":1,\"env\":\"e\"}", 17,
              "event_properties of a mapped event");

    sgamp_mapped_user(&mapped, &user);
    tap_bytes(user.data, user.len, "u\\\"v", 4, "user_id of a mapped event");
}
