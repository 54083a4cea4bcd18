
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_cohort_message.h"
#include "sgamp_test_env.h"


#define SGAMP_TEST_NAMES  5000

#define SGAMP_TEST_PREFIX  "[Amplitude] "

#define SGAMP_TEST_CHARACTERS                                                 \
    (sizeof(sgamp_test_characters) / sizeof(sgamp_test_characters[0]))

#define SGAMP_TEST_50                                                         \
    "01234567890123456789012345678901234567890123456789"


/* a message as it was read */

typedef struct {
    sgamp_test_env_t   env;
    sgamp_names_t      names;    /* none */
    sgamp_message_t    message;
    size_t             users;    /* that are not forgotten */
    size_t             all;
} sgamp_test_text_t;


/* a text of characters that have a number each */

typedef struct {
    sgamp_test_buf_t  raw;
    u_char            units[64];
    size_t            n;
} sgamp_test_units_t;


static void sgamp_test_members(void);
static void sgamp_test_times(void);
static void sgamp_test_users(void);
static void sgamp_test_long(void);
static void sgamp_test_long_text(const char *member, size_t n,
    const char *last, size_t want, int valid);
static void sgamp_test_lists(void);
static void sgamp_test_creations(void);
static void sgamp_test_rooms(void);
static void sgamp_test_random_names(void);
static void sgamp_test_units(sgamp_test_random_t *random,
    sgamp_test_units_t *units, unsigned max);
static void sgamp_test_unit_put(sgamp_test_buf_t *buf,
    const sgamp_test_units_t *units, size_t n);
static void sgamp_test_name(sgamp_message_form_e form, const char *prefix,
    const char *name, const char *id, const char *want, const char *end);
static void sgamp_test_parse(sgamp_test_text_t *t, sgamp_message_form_e form,
    const char *text, size_t portion);
static int sgamp_test_user(void *data, const sgamp_element_t *user);
static int sgamp_test_member(void *data, const sgamp_str_t *name,
    const sgamp_str_t *value);
static void sgamp_test_print(sgamp_test_buf_t *buf,
    const sgamp_test_text_t *t);


/* messages, and what is read: validity, texts, in_cohort, the run, users */

static const struct {
    sgamp_message_form_e  form;
    const char           *text;
    const char           *want;
} sgamp_test_messages[] = {

    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":\"c1\",\"cohort_name\":\"Big Spenders\",\"in_cohort\":"
      "true,\"computed_time\":\"1700000000\",\"message_id\":\"m::0\","
      "\"users\":[1,2]}",
      "valid c1|Big Spenders|m::0|in|1700000000000|2" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"users\":[1],\"in_cohort\":false,\"cohort_id\":12}",
      "valid 12|||out|0|1" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"users\":[],\"in_cohort\":false,\"cohort_id\":-1.5e3,"
      "\"message_id\":7,\"computed_time\":17.5}",
      "valid -1.5e3||7|out|17500|0" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"x\":{\"cohort_id\":1},\"in_\\u0063ohort\":true,\"\\u0063ohort_id\":"
      "\"\\u0041\\\"\\ud83d\\ude00\",\"cohort_name\":\"a\xff\\ud800\\n\","
      "\"user\\u0073\":[],\"name\":\"n\"}",
      "valid A\"\xf0\x9f\x98\x80|a\xef\xbf\xbd\xef\xbf\xbd\n||in|0|0" },

    /* what is needed */

    { SGAMP_MESSAGE_WEBHOOK, "{}", "invalid |||-|0|none" },
    { SGAMP_MESSAGE_WEBHOOK, "{\"in_cohort\":true,\"users\":[]}",
      "invalid |||in|0|0" },
    { SGAMP_MESSAGE_WEBHOOK, "{\"cohort_id\":\"c\",\"users\":[]}",
      "invalid c|||-|0|0" },
    { SGAMP_MESSAGE_WEBHOOK, "{\"cohort_id\":\"c\",\"in_cohort\":true}",
      "invalid c|||in|0|none" },

    /* kinds */

    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":\"\",\"in_cohort\":true,\"users\":[]}",
      "invalid |||in|0|0" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":\" \\u2003\",\"in_cohort\":true,\"users\":[]}",
      "invalid |||in|0|0" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":true,\"in_cohort\":true,\"users\":[]}",
      "invalid |||in|0|0" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":[\"c\"],\"in_cohort\":true,\"users\":[]}",
      "invalid |||in|0|0" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":null,\"in_cohort\":true,\"users\":[]}",
      "invalid |||in|0|0" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":\"c\",\"in_cohort\":\"true\",\"users\":[]}",
      "invalid c|||-|0|0" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":\"c\",\"in_cohort\":\"false\",\"users\":[]}",
      "invalid c|||-|0|0" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":\"c\",\"in_cohort\":1,\"users\":[]}",
      "invalid c|||-|0|0" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":\"c\",\"in_cohort\":null,\"users\":[]}",
      "invalid c|||-|0|0" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":\"c\",\"in_cohort\":[true],\"users\":[]}",
      "invalid c|||-|0|0" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":\"c\",\"in_cohort\":true,\"users\":{\"a\":1}}",
      "invalid c|||in|0|none" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":\"c\",\"in_cohort\":true,\"users\":null}",
      "invalid c|||in|0|none" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":\"c\",\"in_cohort\":true,\"items\":[]}",
      "invalid c|||in|0|none" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":\"c\",\"in_cohort\":true,\"users\":[],\"message_id\":"
      "\" \",\"cohort_name\":12}",
      "valid c|||in|0|0" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":\"c\",\"in_cohort\":true,\"users\":[],\"message_id\":"
      "{},\"cohort_name\":null}",
      "valid c|||in|0|0" },

    /* the last of a name, of whatever kind */

    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":\"c\",\"in_cohort\":true,\"users\":[],\"cohort_id\":"
      "\"d\",\"in_cohort\":false,\"message_id\":1,\"message_id\":2,"
      "\"cohort_name\":\"long\",\"cohort_name\":\"x\",\"computed_time\":1,"
      "\"computed_time\":2}",
      "valid d|x|2|out|2000|0" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":\"c\",\"in_cohort\":true,\"users\":[],\"cohort_id\":"
      "null}",
      "invalid |||in|0|0" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":\"c\",\"in_cohort\":true,\"users\":[],\"in_cohort\":"
      "\"x\"}",
      "invalid c|||-|0|0" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":\"c\",\"in_cohort\":true,\"users\":[],\"message_id\":1,"
      "\"message_id\":[],\"cohort_name\":\"x\",\"cohort_name\":{},"
      "\"computed_time\":1,\"computed_time\":\"x\"}",
      "valid c|||in|0|0" },
    { SGAMP_MESSAGE_WEBHOOK,
      "{\"cohort_id\":[],\"in_cohort\":0,\"users\":{},\"cohort_id\":\"c\","
      "\"in_cohort\":true,\"users\":[1]}",
      "valid c|||in|0|1" },

    /* the list API */

    { SGAMP_MESSAGE_CREATE, "{\"name\":\"n\"}", "valid |n||-|0|none" },
    { SGAMP_MESSAGE_CREATE, "{\"name\":\"a\\u0042\",\"users\":[1]}",
      "valid |aB||-|0|none" },
    { SGAMP_MESSAGE_CREATE, "{}", "invalid |||-|0|none" },
    { SGAMP_MESSAGE_CREATE, "{\"name\":\" \"}", "invalid |||-|0|none" },
    { SGAMP_MESSAGE_CREATE, "{\"name\":12}", "invalid |||-|0|none" },
    { SGAMP_MESSAGE_CREATE, "{\"name\":[\"n\"]}", "invalid |||-|0|none" },
    { SGAMP_MESSAGE_CREATE, "{\"name\":\"n\",\"name\":null}",
      "invalid |||-|0|none" },
    { SGAMP_MESSAGE_CREATE, "{\"name\":0,\"name\":\"n\"}",
      "valid |n||-|0|none" },
    { SGAMP_MESSAGE_CREATE,
      "{\"cohort_name\":\"n\",\"cohort_id\":\"c\",\"message_id\":1}",
      "invalid |||-|0|none" },
    { SGAMP_MESSAGE_ADD, "{\"userIds\":[1,2,3]}", "valid |||-|0|3" },
    { SGAMP_MESSAGE_ADD, "{\"user_ids\":[1]}", "valid |||-|0|1" },
    { SGAMP_MESSAGE_ADD, "{\"users\":[1]}", "valid |||-|0|1" },
    { SGAMP_MESSAGE_REMOVE, "{\"items\":[1]}", "valid |||-|0|1" },
    { SGAMP_MESSAGE_REMOVE, "{\"items\":[],\"name\":\"n\",\"cohort_id\":1}",
      "valid |||-|0|0" },
    { SGAMP_MESSAGE_ADD, "{}", "invalid |||-|0|none" },
    { SGAMP_MESSAGE_ADD, "{\"userids\":[1]}", "invalid |||-|0|none" },
    { SGAMP_MESSAGE_REMOVE, "{\"items\":{\"a\":1}}", "invalid |||-|0|none" },
    { SGAMP_MESSAGE_REMOVE, "{\"items\":\"a\"}", "invalid |||-|0|none" }
};


/* characters, and what is written */

static const char *const  sgamp_test_characters[][2] = {
    { "x", "x" },
    { "]", "]" },
    { " ", " " },
    { "\t", " " },
    { "\x7f", " " },
    { "\xc2\x80", " " },
    { "\xc2\x9f", " " },
    { "\xc2\xa0", "\xc2\xa0" },
    { "\xc3\x80", "\xc3\x80" },
    { "\xe2\x82\x80", "\xe2\x82\x80" },
    { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" }
};


int
main(void)
{
    sgamp_test_members();
    sgamp_test_times();
    sgamp_test_users();
    sgamp_test_long();
    sgamp_test_lists();
    sgamp_test_creations();
    sgamp_test_rooms();
    sgamp_test_random_names();

    return tap_done();
}


static void
sgamp_test_members(void)
{
    size_t             i, portion;
    unsigned           bad;
    sgamp_test_buf_t   got;
    sgamp_test_text_t  t;

    memset(&got, 0, sizeof(sgamp_test_buf_t));

    for (i = 0;
         i < sizeof(sgamp_test_messages) / sizeof(sgamp_test_messages[0]); i++)
    {
        bad = 0;

        for (portion = 1; portion < 300; portion += portion / 4 + 1) {
            sgamp_test_parse(&t, sgamp_test_messages[i].form,
                             sgamp_test_messages[i].text, portion);
            sgamp_test_print(&got, &t);

            if (strcmp((char *) got.data, sgamp_test_messages[i].want) != 0
                && bad++ == 0)
            {
                tap_diag("got %s, want %s", got.data,
                         sgamp_test_messages[i].want);
            }
        }

        tap_is(bad, 0, "%.70s", sgamp_test_messages[i].text);
    }

    sgamp_test_free(&got);
}


static void
sgamp_test_times(void)
{
    char               text[128];
    size_t             i;
    sgamp_test_text_t  t;

    static const struct {
        const char  *time;
        uint64_t     run;
    } times[] = {
        { "\"1700000000\"", 1700000000000ull },
        { "1700000000", 1700000000000ull },
        { "1700000000.123", 1700000000123ull },
        { "\"1700000000.5\"", 1700000000500ull },
        { "1.7e9", 1700000000000ull },
        { "\"2024-01-31T00:00:00Z\"", 1706659200000ull },
        { "1700000000123", 1700000000123ull },
        { "-1", 0 },
        { "\"\"", 0 },
        { "\"1,234\"", 0 },
        { "\"now\"", 0 },
        { "null", 0 },
        { "true", 0 },
        { "[1]", 0 },
        { "1e300", 0 }
    };

    for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        snprintf(text, sizeof(text), "{\"computed_time\":5,"
                                     "\"computed_time\":%s}",
                 times[i].time);

        sgamp_test_parse(&t, SGAMP_MESSAGE_WEBHOOK, text, 100);

        tap_is((long long) t.message.run, (long long) times[i].run, "%s",
               times[i].time);
    }
}


static void
sgamp_test_users(void)
{
    char               got[64];
    size_t             i;
    sgamp_test_text_t  t;

    /* arrays of the list API, and how many users are forgotten when */

    static const char *const arrays[][2] = {
        { "{\"users\":[1,2],\"items\":[3],\"userIds\":[4],\"user_ids\":[]}",
          "valid 4 of 4" },
        { "{\"users\":[1,2],\"users\":[3]}", "valid 1 of 3" },
        { "{\"users\":[1],\"users\":[2],\"users\":[3,4]}", "valid 2 of 4" },
        { "{\"users\":[1,2],\"users\":[]}", "valid 0 of 2" },
        { "{\"users\":[],\"users\":[3]}", "valid 1 of 1" },
        { "{\"users\":null,\"users\":[3]}", "valid 1 of 1" },
        { "{\"users\":[3],\"users\":null}", "invalid 0 of 1" },
        { "{\"users\":[3],\"users\":{\"a\":[1]}}", "invalid 0 of 1" },
        { "{\"users\":[3],\"users\":0,\"users\":[4]}", "valid 1 of 2" },
        { "{\"users\":[3],\"users\":0,\"items\":[4]}", "valid 1 of 2" },
        { "{\"users\":[1],\"users\":[2],\"items\":[3]}", "valid 2 of 3" },
        { "{\"items\":0,\"users\":[1],\"users\":[2]}", "valid 1 of 2" },
        { "{\"items\":[1],\"users\":0}", "valid 1 of 1" },

        /* users of other names would be forgotten, too */

        { "{\"items\":[1],\"users\":[2],\"users\":[3]}", "invalid 1 of 3" },
        { "{\"users\":[1],\"items\":[2],\"users\":null}", "invalid 0 of 2" },
        { "{\"users\":[1],\"items\":[2],\"users\":[3],\"items\":0,"
          "\"users\":[4]}",
          "invalid 1 of 4" }
    };

    for (i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        sgamp_test_parse(&t, SGAMP_MESSAGE_ADD, arrays[i][0], 100);

        snprintf(got, sizeof(got), "%s %zu of %zu",
                 sgamp_message_valid(&t.message) ? "valid" : "invalid",
                 t.users, t.all);

        tap_bytes(got, strlen(got), arrays[i][1], strlen(arrays[i][1]), "%s",
                  arrays[i][0]);
    }
}


static void
sgamp_test_long(void)
{
    /* at most 1024 bytes; what is cut is cut at a character */

    sgamp_test_long_text("cohort_name", 1023, "x", 1024, 1);
    sgamp_test_long_text("cohort_name", 1024, "x", 1024, 1);
    sgamp_test_long_text("cohort_name", 5000, "x", 1024, 1);
    sgamp_test_long_text("cohort_name", 1022, "\\u00e9", 1024, 1);
    sgamp_test_long_text("cohort_name", 1023, "\xc3\xa9", 1023, 1);
    sgamp_test_long_text("cohort_name", 1021, "\xe2\x82\xac", 1024, 1);
    sgamp_test_long_text("cohort_name", 1022, "\\u20ac", 1022, 1);
    sgamp_test_long_text("cohort_name", 1020, "\\ud83d\\ude00", 1024, 1);
    sgamp_test_long_text("cohort_name", 1021, "\xf0\x9f\x98\x80", 1021, 1);
    sgamp_test_long_text("cohort_name", 1022, "\xff", 1022, 1);

    /* an id is not cut */

    sgamp_test_long_text("cohort_id", 1023, "x", 1024, 1);
    sgamp_test_long_text("cohort_id", 1024, "x", 1024, 0);
    sgamp_test_long_text("message_id", 1023, "x", 1024, 1);
    sgamp_test_long_text("message_id", 1024, "x", 1024, 0);
    sgamp_test_long_text("message_id", 1022, "\\u20ac", 1022, 0);

    /* nor is the name that ends with an id */

    sgamp_test_long_text("name", 1023, "x", 1024, 1);
    sgamp_test_long_text("name", 1024, "x", 1024, 0);
}


static void
sgamp_test_long_text(const char *member, size_t n, const char *last,
    size_t want, int valid)
{
    size_t                 i, again;
    sgamp_test_buf_t       text;
    sgamp_test_text_t      t;
    const sgamp_str_t     *got;
    sgamp_message_form_e   form;

    memset(&text, 0, sizeof(sgamp_test_buf_t));

    form = (strcmp(member, "name") == 0) ? SGAMP_MESSAGE_CREATE
                                         : SGAMP_MESSAGE_WEBHOOK;

    for (again = 0; again < 2; again++) {
        text.len = 0;

        sgamp_test_puts(&text, "{\"cohort_id\":\"c\",\"in_cohort\":true,"
                               "\"users\":[],\"");
        sgamp_test_puts(&text, member);
        sgamp_test_puts(&text, "\":\"");

        for (i = 0; i < n; i++) {
            sgamp_test_puts(&text, "a");
        }

        sgamp_test_puts(&text, last);
        sgamp_test_puts(&text, "\"");

        /* the last counts here, too */

        if (again) {
            sgamp_test_puts(&text, ",\"");
            sgamp_test_puts(&text, member);
            sgamp_test_puts(&text, "\":\"short\"");

            want = 5;
            valid = 1;
        }

        sgamp_test_puts(&text, "}");

        sgamp_test_parse(&t, form, (char *) text.data, 4000);

        got = (strcmp(member, "cohort_id") == 0)
                  ? &t.message.cohort_id
                  : ((strcmp(member, "message_id") == 0)
                         ? &t.message.message_id
                         : &t.message.name);

        tap_is((long long) got->len, (long long) want, "%s of %zu", member, n);
        tap_is(sgamp_message_valid(&t.message) != 0, valid, "and valid or not");
    }

    sgamp_test_free(&text);
}


static void
sgamp_test_lists(void)
{
    unsigned  i;

    static const char *const lists[][5] = {
        { SGAMP_TEST_PREFIX, "Big", "c1", "[Amplitude] Big [c1]", " [c1]" },
        { "", "Big", "c1", "Big [c1]", " [c1]" },
        { "P: ", "", "c1", "P:  [c1]", " [c1]" },
        { "", "", "c1", " [c1]", " [c1]" },
        { "P ", "a\tb\x01\x1f\x7fz", "x\ny", "P a b   z [x y]", " [x y]" },
        { "P\t", "a\xc2\x80z\xc2\x9fz\xc2\xa0z\xc3\x80", "c\xc2\x85",
          "P a z z\xc2\xa0z\xc3\x80 [c ]", " [c ]" },
        { "", "a [c2]", "c1", "a [c2] [c1]", " [c1]" },
        { "", "x", "]", "x []]", " []]" },
        { SGAMP_TEST_PREFIX, "[Amplitude] x: y", "c",
          "[Amplitude] [Amplitude] x: y [c]", " [c]" },
        { "P", "x", "", NULL, NULL },
        { "P", "x", " ", NULL, NULL },
        { "P", "x", "\x01\xc2\x80", NULL, NULL },

        /* 100 bytes, and more */

        { SGAMP_TEST_50, SGAMP_TEST_50, "c",
          SGAMP_TEST_50 "0123456789012345678901234567890123456789012345 [c]",
          " [c]" },
        { SGAMP_TEST_50 "0123456789012345678901234567890123456789012345",
          "name", "c",
          SGAMP_TEST_50 "0123456789012345678901234567890123456789012345 [c]",
          " [c]" },
        { SGAMP_TEST_50, "name", SGAMP_TEST_50 "012345678901234567890",
          "01234567890123456789012345 [" SGAMP_TEST_50 "012345678901234567890]",
          " [" SGAMP_TEST_50 "012345678901234567890]" }
    };

    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        sgamp_test_name(SGAMP_MESSAGE_WEBHOOK, lists[i][0], lists[i][1],
                        lists[i][2], lists[i][3], lists[i][4]);
    }
}


static void
sgamp_test_creations(void)
{
    unsigned  i;

    static const char *const names[][3] = {
        { "[Amplitude] Big: c1", "P Big [c1]", " [c1]" },
        { "[Amplitude] Big: Bigger: c1", "P Big: Bigger [c1]", " [c1]" },
        { "[Amplitude] : c1", "P  [c1]", " [c1]" },
        { "[Amplitude] Big:: c1", "P Big: [c1]", " [c1]" },
        { "[Amplitude] a: b c", "P a [b c]", " [b c]" },
        { "[Amplitude] a: \tb", "P a [ b]", " [ b]" },
        { "[Amplitude] a\n: b", "P a  [b]", " [b]" },

        /* other names are those of lists */

        { "Big: c1", "Big: c1", "Big: c1" },
        { "[Amplitude] Big", "[Amplitude] Big", "[Amplitude] Big" },
        { "[Amplitude] Big:c1", "[Amplitude] Big:c1", "[Amplitude] Big:c1" },
        { "[Amplitude] Big: ", "[Amplitude] Big: ", "[Amplitude] Big: " },
        { "[Amplitude] Big: a: ", "[Amplitude] Big: a: ",
          "[Amplitude] Big: a: " },
        { "[Amplitude] ", "[Amplitude] ", "[Amplitude] " },
        { "[Amplitude]: c1", "[Amplitude]: c1", "[Amplitude]: c1" },
        { "[amplitude] Big: c1", "[amplitude] Big: c1",
          "[amplitude] Big: c1" },
        { " [Amplitude] Big: c1", " [Amplitude] Big: c1",
          " [Amplitude] Big: c1" },
        { "[Amplitude] : ", "[Amplitude] : ", "[Amplitude] : " },
        { "a\tb\xc2\x81z\xc3\x81", "a b z\xc3\x81", "a b z\xc3\x81" },
        { SGAMP_TEST_50 SGAMP_TEST_50, SGAMP_TEST_50 SGAMP_TEST_50,
          SGAMP_TEST_50 SGAMP_TEST_50 },
        { SGAMP_TEST_50 SGAMP_TEST_50 "x", NULL, NULL },
        { "[Amplitude] a:  ", NULL, NULL },
        { "\x01", NULL, NULL }
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        sgamp_test_name(SGAMP_MESSAGE_CREATE, "P ", names[i][0], "other",
                        names[i][1], names[i][2]);
    }
}


static void
sgamp_test_rooms(void)
{
    char      id[128], want[256], end[256];
    unsigned  n;

    /* an id has room, or not */

    for (n = 90; n <= 110; n++) {
        memset(id, 'i', n);
        id[n] = '\0';

        snprintf(want, sizeof(want), "%.*s [%s]", (n < 97) ? 97 - (int) n : 0,
                 "Prefix-", id);
        snprintf(end, sizeof(end), " [%s]", id);

        sgamp_test_name(SGAMP_MESSAGE_WEBHOOK, "Prefix-", "", id,
                        (n <= 97) ? want : NULL, end);
    }

    /* a character of two bytes counts as one if the character is a control */

    strcpy(id + 96, "\xc2\x80");
    memset(id, 'i', 96);
    memset(want, 'i', 100);
    memcpy(want, " [", 2);
    strcpy(want + 98, " ]");

    sgamp_test_name(SGAMP_MESSAGE_WEBHOOK, "", "", id, want, want);

    strcpy(id + 96, "\xc3\x80");
    sgamp_test_name(SGAMP_MESSAGE_WEBHOOK, "", "", id, NULL, NULL);
}


static void
sgamp_test_random_names(void)
{
    size_t               i, n[3];
    unsigned             bad, cut;
    sgamp_str_t          prefix;
    sgamp_message_t      message;
    sgamp_test_buf_t     want;
    sgamp_test_units_t   units[3];
    sgamp_list_name_t    list;
    sgamp_test_random_t  random;

    memset(units, 0, sizeof(units));
    memset(&want, 0, sizeof(sgamp_test_buf_t));

    random.state = 100;
    bad = 0;
    cut = 0;

    for (i = 0; i < SGAMP_TEST_NAMES; i++) {
        sgamp_test_units(&random, &units[0], 35);
        sgamp_test_units(&random, &units[1], 60);
        sgamp_test_units(&random, &units[2], 20);

        sgamp_message_init(&message, SGAMP_MESSAGE_WEBHOOK);

        prefix.data = units[0].raw.data;
        prefix.len = units[0].raw.len;
        message.name.data = units[1].raw.data;
        message.name.len = units[1].raw.len;
        message.cohort_id.data = units[2].raw.data;
        message.cohort_id.len = units[2].raw.len;

        /* the name loses characters until there is room, then the prefix */

        n[0] = units[0].n;
        n[1] = units[1].n;
        n[2] = units[2].n;

        for ( ;; ) {
            want.len = 0;

            sgamp_test_unit_put(&want, &units[0], n[0]);
            sgamp_test_unit_put(&want, &units[1], n[1]);
            sgamp_test_puts(&want, " [");
            sgamp_test_unit_put(&want, &units[2], n[2]);
            sgamp_test_puts(&want, "]");

            if (want.len <= SGAMP_LIST_NAME) {
                break;
            }

            cut += (n[1] == 0);
            n[n[1] == 0 ? 0 : 1]--;
        }

        sgamp_test_poison(&list, sizeof(sgamp_list_name_t));

        if (sgamp_list_name(&list, &prefix, &message) != SGAMP_OK
            || list.name.len != want.len
            || memcmp(list.name.data, want.data, want.len) != 0
            || list.end.data + list.end.len
               != list.name.data + list.name.len)
        {
            tap_diag("want %s", want.data);
            bad++;
        }
    }

    tap_is(bad, 0, "random names");
    tap_ok(cut > SGAMP_TEST_NAMES / 100, "of some the prefix is cut");

    for (i = 0; i < 3; i++) {
        sgamp_test_free(&units[i].raw);
    }

    sgamp_test_free(&want);
}


static void
sgamp_test_units(sgamp_test_random_t *random, sgamp_test_units_t *units,
    unsigned max)
{
    unsigned  i;

    /* at first "x": no text is blank */

    units->raw.len = 0;
    units->n = 0;
    i = 0;

    do {
        units->units[units->n++] = (u_char) i;
        sgamp_test_puts(&units->raw, sgamp_test_characters[i][0]);

        i = sgamp_test_random(random, SGAMP_TEST_CHARACTERS);

    } while (units->n < max && sgamp_test_random(random, max) != 0);
}


static void
sgamp_test_unit_put(sgamp_test_buf_t *buf, const sgamp_test_units_t *units,
    size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        sgamp_test_puts(buf, sgamp_test_characters[units->units[i]][1]);
    }
}


static void
sgamp_test_name(sgamp_message_form_e form, const char *prefix,
    const char *name, const char *id, const char *want, const char *end)
{
    int                rc;
    unsigned           exact;
    sgamp_str_t        start;
    sgamp_message_t    message;
    sgamp_list_name_t  list;

    sgamp_message_init(&message, form);
    sgamp_test_set(&start, prefix);
    sgamp_test_set(&message.name, name);

    if (form != SGAMP_MESSAGE_CREATE) {
        sgamp_test_set(&message.cohort_id, id);
    }

    sgamp_test_poison(&list, sizeof(sgamp_list_name_t));
    rc = sgamp_list_name(&list, &start, &message);

    if (want == NULL) {
        tap_is(rc, SGAMP_INVALID, "no list for a name or an id");
        return;
    }

    exact = (form == SGAMP_MESSAGE_CREATE && strcmp(want, end) == 0);

    tap_bytes(list.name.data, list.name.len, want, strlen(want),
              "a list's name");
    tap_bytes(list.end.data, list.end.len, end, strlen(end), "its end");

    tap_ok(rc == SGAMP_OK
           && list.end.data + list.end.len == list.name.data + list.name.len
           && list.name.len <= SGAMP_LIST_NAME
           && list.exact == exact
           && list.id.len <= list.end.len
           && (list.exact ? list.id.len == 0 : list.id.len != 0),
           "the rest of the name");
}


static void
sgamp_test_parse(sgamp_test_text_t *t, sgamp_message_form_e form,
    const char *text, size_t portion)
{
    unsigned            n;
    const sgamp_str_t  *arrays;

    sgamp_test_env_init(&t->env);
    sgamp_names_init(&t->names);

    t->env.names = &t->names;
    t->env.handler = sgamp_test_user;
    t->env.data = t;
    t->env.max_event = 10000;
    t->env.cut = sgamp_test_cut_fixed;
    t->env.cut_data = &portion;

    t->users = 0;
    t->all = 0;

    sgamp_test_poison(&t->message, sizeof(sgamp_message_t));
    sgamp_message_init(&t->message, form);

    arrays = sgamp_message_arrays(form, &n);

    if (sgamp_test_parser(&t->env) != SGAMP_OK) {
        tap_bail("no parser");
    }

    sgamp_parser_root(&t->env.parser, arrays, n, sgamp_test_member);

    if (sgamp_test_feed(&t->env, (u_char *) text, strlen(text)) != SGAMP_OK
        || sgamp_parser_finish(&t->env.parser) != SGAMP_OK)
    {
        tap_ok(0, "the parser fails: %s", text);
    }

    sgamp_test_env_done(&t->env);
}


static int
sgamp_test_user(void *data, const sgamp_element_t *user)
{
    sgamp_test_text_t  *t = data;

    t->users++;
    t->all++;

    return SGAMP_OK;
}


static int
sgamp_test_member(void *data, const sgamp_str_t *name,
    const sgamp_str_t *value)
{
    sgamp_test_text_t  *t = data;

    sgamp_test_poison_stack();

    if (sgamp_message_member(&t->message, name, value)) {
        t->users = 0;
    }

    return SGAMP_OK;
}


static void
sgamp_test_print(sgamp_test_buf_t *buf, const sgamp_test_text_t *t)
{
    char                    text[64];
    const sgamp_message_t  *m;

    m = &t->message;

    buf->len = 0;

    sgamp_test_puts(buf, sgamp_message_valid(m) ? "valid " : "invalid ");
    sgamp_test_put(buf, m->cohort_id.data, m->cohort_id.len);
    sgamp_test_puts(buf, "|");
    sgamp_test_put(buf, m->name.data, m->name.len);
    sgamp_test_puts(buf, "|");
    sgamp_test_put(buf, m->message_id.data, m->message_id.len);
    sgamp_test_puts(buf, !m->boolean ? "|-" : (m->in_cohort ? "|in" : "|out"));

    snprintf(text, sizeof(text), "|%llu|", (unsigned long long) m->run);
    sgamp_test_puts(buf, text);

    snprintf(text, sizeof(text), "%zu", t->users);
    sgamp_test_puts(buf, m->users ? text : "none");
}
