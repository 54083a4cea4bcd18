
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_test_list.h"


#define SGAMP_TEST_ALL                                                        \
    "email=email mail user_id;first_name=first_name nick;"                    \
    "last_name=last_name;external_id=eid user_id"


static void sgamp_test_webhook_users(void);
static void sgamp_test_items(void);
static void sgamp_test_texts(void);
static void sgamp_test_lengths(void);
static void sgamp_test_length(const char *property, const char *field,
    const char *character, size_t max);
static void sgamp_test_custom(void);
static void sgamp_test_custom_order(void);
static void sgamp_test_two_fields(void);
static void sgamp_test_rules_limits(void);
static void sgamp_test_again(void);
static void sgamp_test_neighbors(void);
static void sgamp_test_form(const char *rules, unsigned item, const char *user,
    const char *want);


/* a user of the webhook, and what becomes of the user */

static const char *const  sgamp_test_users[][2] = {

    /* user_id */

    { "{\"user_id\":\"A@b.co\"}", "{\"email\":\"a@b.co\"}" },
    { "{\"user_id\":\"\\u0041\\u0040b.co \"}", "{\"email\":\"a@b.co\"}" },
    { "{\"user\\u005fid\":\"a@b.co\"}", "{\"email\":\"a@b.co\"}" },
    { "{\"user_id\":\"a@b.co\",\"user_properties\":null}",
      "{\"email\":\"a@b.co\"}" },
    { "{\"user_id\":\"a@b.co\",\"user_properties\":[{\"email\":1}]}",
      "{\"email\":\"a@b.co\"}" },
    { "{\"user_id\":\"a@b.co\",\"user_properties\":\"{\"}",
      "{\"email\":\"a@b.co\"}" },
    { "\"A@b.co\"", "{\"email\":\"a@b.co\"}" },
    { "\"\\u0061@b.co\"", "{\"email\":\"a@b.co\"}" },

    /* user_properties */

    { "{\"user_id\":\"u1\",\"user_properties\":{\"email\":\"a@b.co\"}}",
      "{\"email\":\"a@b.co\"}" },
    { "{\"user_properties\":{\"email\":\"a@b.co\"},\"user_id\":7}",
      "{\"email\":\"a@b.co\"}" },
    { "{\"user_\\u0070roperties\":{\"em\\u0061il\":\"a@b.co\"}}",
      "{\"email\":\"a@b.co\"}" },
    { "{\"user_properties\" : { \"email\" : \"a@b.co\" , \"first_name\" :"
      " \"Ann\" , \"last_name\" : \"Lee\" } }",
      "{\"email\":\"a@b.co\",\"first_name\":\"Ann\","
      "\"last_name\":\"Lee\"}" },
    { "{\"user_properties\":{\"last_name\":\"Lee\",\"x\":{\"email\":1,"
      "\"last_name\":\"no\"},\"email\":\"a@b.co\",\"first_name\":\"Ann\"}}",
      "{\"email\":\"a@b.co\",\"first_name\":\"Ann\","
      "\"last_name\":\"Lee\"}" },

    /* keys of the wrong level */

    { "{\"email\":\"a@b.co\",\"first_name\":\"Ann\"}", "none" },
    { "{\"user_properties\":{\"user_id\":\"a@b.co\"}}", "none" },
    { "{\"user_properties\":{\"user_properties\":{\"email\":\"a@b.co\"}}}",
      "none" },
    { "{\"user_id\":\"a@b.co\",\"user_properties\":{\"user_id\":"
      "\"c@d.co\"}}",
      "{\"email\":\"a@b.co\"}" },
    { "{\"user_id\":\"a@b.co\",\"email\":\"c@d.co\",\"first_name\":"
      "\"Ann\"}",
      "{\"email\":\"a@b.co\"}" },

    /* the first that is valid */

    { "{\"user_id\":\"c@d.co\",\"user_properties\":{\"email\":"
      "\"a@b.co\"}}",
      "{\"email\":\"a@b.co\"}" },
    { "{\"user_id\":\"a@b.co\",\"user_properties\":{\"email\":\"x\"}}",
      "{\"email\":\"a@b.co\"}" },
    { "{\"user_id\":\"a@b.co\",\"user_properties\":{\"email\":\" \"}}",
      "{\"email\":\"a@b.co\"}" },
    { "{\"user_id\":\"a@b.co\",\"user_properties\":{\"email\":12}}",
      "{\"email\":\"a@b.co\"}" },
    { "{\"user_id\":\"a@b.co\",\"user_properties\":{\"email\":null}}",
      "{\"email\":\"a@b.co\"}" },

    /* the last of a name */

    { "{\"user_id\":\"a@b.co\",\"user_id\":\"c@d.co\"}",
      "{\"email\":\"c@d.co\"}" },
    { "{\"user_id\":\"a@b.co\",\"user_id\":null}", "none" },
    { "{\"user_properties\":{\"email\":\"a@b.co\"},\"user_properties\":"
      "{\"email\":\"c@d.co\"}}",
      "{\"email\":\"c@d.co\"}" },
    { "{\"user_properties\":{\"email\":\"a@b.co\"},\"user_properties\":"
      "null}",
      "none" },
    { "{\"user_properties\":{\"email\":\"a@b.co\",\"email\":\"c@d.co\","
      "\"first_name\":\"Ann\",\"first_name\":\"Bea\"}}",
      "{\"email\":\"c@d.co\",\"first_name\":\"Bea\"}" },
    { "{\"user_properties\":{\"email\":\"a@b.co\",\"\\u0065mail\":"
      "\"x\"}}",
      "invalid" },
    { "{\"user_properties\":{\"email\":\"a@b.co\",\"first_name\":\"Ann\","
      "\"first_name\":null}}",
      "{\"email\":\"a@b.co\"}" },

    /* none, and invalid */

    { "{}", "none" },
    { "{\"user_properties\":\"a@b.co\"}", "none" },
    { "{\"user_id\":\"u1\",\"user_properties\":\"x\"}", "none" },
    { "{\"user_properties\":{}}", "none" },
    { "{\"user_id\":\"u1\"}", "none" },
    { "{\"user_id\":\"\"}", "none" },
    { "{\"user_id\":12}", "none" },
    { "{\"user_id\":{\"email\":\"a@b.co\"}}", "none" },
    { "{\"user_id\":\"u1@\"}", "invalid" },
    { "{\"user_id\":\"u1\\u0040\"}", "invalid" },
    { "{\"user_id\":\"u1\\u0041\"}", "none" },
    { "{\"user_id\":\"\xc3\xa4@b.co\"}", "invalid" },
    { "{\"user_id\":\"u1\",\"user_properties\":{\"email\":\"x\"}}",
      "invalid" },
    { "{\"user_id\":\"u1\",\"user_properties\":{\"email\":\" \\u2003\"}}",
      "none" },
    { "{\"user_id\":\"u1\",\"user_properties\":{\"email\":false}}",
      "none" },
    { "{\"user_id\":\"u1\",\"user_properties\":{\"email\":[\"a@b.co\"]}}",
      "none" },
    { "{\"user_id\":\"u1@\",\"user_properties\":{\"email\":7}}",
      "invalid" },
    { "\"u1\"", "none" },
    { "\"\"", "none" },
    { "\"u1@b\"", "invalid" },
    { "12", "none" },
    { "null", "none" },
    { "true", "none" },
    { "[\"a@b.co\"]", "none" },
    { "[{\"user_id\":\"a@b.co\"}]", "none" }
};


int
main(void)
{
    sgamp_test_webhook_users();
    sgamp_test_items();
    sgamp_test_texts();
    sgamp_test_lengths();
    sgamp_test_custom();
    sgamp_test_custom_order();
    sgamp_test_two_fields();
    sgamp_test_rules_limits();
    sgamp_test_again();
    sgamp_test_neighbors();

    return tap_done();
}


static void
sgamp_test_webhook_users(void)
{
    unsigned  i;

    for (i = 0; i < sizeof(sgamp_test_users) / sizeof(sgamp_test_users[0]);
         i++)
    {
        sgamp_test_form(SGAMP_TEST_DEFAULT, 0, sgamp_test_users[i][0],
                        sgamp_test_users[i][1]);
    }

    /* user_id is looked at only if the rules say so */

    sgamp_test_form("email=email", 0, "\"a@b.co\"", "none");
    sgamp_test_form("email=email", 0, "{\"user_id\":\"u@\"}", "none");
    sgamp_test_form("email=user_id email", 0,
                    "{\"user_id\":\"a@b.co\",\"user_properties\":"
                    "{\"email\":\"c@d.co\"}}",
                    "{\"email\":\"a@b.co\"}");
    sgamp_test_form("email=user_properties", 0,
                    "{\"user_properties\":{\"user_properties\":"
                    "\"c@d.co\"}}",
                    "{\"email\":\"c@d.co\"}");
}


static void
sgamp_test_items(void)
{
    unsigned  i;

    static const char *const items[][2] = {
        { "\"a@b.co\"", "{\"email\":\"a@b.co\"}" },
        { "\"u1\"", "none" },
        { "\"u1@\"", "invalid" },
        { "{\"email\":\"a@b.co\"}", "{\"email\":\"a@b.co\"}" },
        { "{\"user_id\":\"a@b.co\"}", "{\"email\":\"a@b.co\"}" },
        { "{\"last_name\":\"Lee\",\"email\":\"a@b.co\",\"user_id\":\"u1\","
          "\"first_name\":\"Ann\"}",
          "{\"email\":\"a@b.co\",\"first_name\":\"Ann\","
          "\"last_name\":\"Lee\"}" },
        { "{\"em\\u0061il\":\"a@b.co\",\"first_n\\u0061me\":\"Ann\"}",
          "{\"email\":\"a@b.co\",\"first_name\":\"Ann\"}" },
        { "{\"email\":\"a@b.co\",\"email\":\"c@d.co\"}",
          "{\"email\":\"c@d.co\"}" },
        { "{\"email\":\"a@b.co\",\"email\":\"x\"}", "invalid" },
        { "{\"user_properties\":{\"email\":\"a@b.co\"}}", "none" },
        { "{\"x\":{\"email\":\"a@b.co\"}}", "none" },
        { "{}", "none" },
        { "5", "none" },
        { "[]", "none" }
    };

    for (i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
        sgamp_test_form(SGAMP_TEST_DEFAULT, 1, items[i][0], items[i][1]);
    }

    sgamp_test_form("email=user_properties", 1,
                    "{\"user_properties\":\"a@b.co\"}",
                    "{\"email\":\"a@b.co\"}");
    sgamp_test_form("email=user_id;first_name=user_id", 1, "\"a@b.co\"",
                    "{\"email\":\"a@b.co\",\"first_name\":\"a@b.co\"}");

    /* names beyond ASCII, and with what yajl reads for half a pair */

    sgamp_test_form("email=e\xc3\xa9?", 1, "{\"e\xc3\xa9?\":\"a@b.co\"}",
                    "{\"email\":\"a@b.co\"}");
    sgamp_test_form("email=e\xc3\xa9?", 1, "{\"e\\u00e9\\u003f\":\"a@b.co\"}",
                    "{\"email\":\"a@b.co\"}");
    sgamp_test_form("email=e\xc3\xa9?", 1, "{\"e\xc3\xa9\\ud800\":\"a@b.co\"}",
                    "none");
    sgamp_test_form("email=\xf0\x9f\x98\x80", 1,
                    "{\"\\ud83d\\ude00\":\"a@b.co\"}",
                    "{\"email\":\"a@b.co\"}");
    sgamp_test_form("email=\xf0\x9f\x98\x80", 0,
                    "{\"user_properties\":{\"\\ud83d\\ude00\":\"a@b.co\"}}",
                    "{\"email\":\"a@b.co\"}");
    sgamp_test_form("email=e?", 0,
                    "{\"user_properties\":{\"e\\ud83d\":\"a@b.co\"}}",
                    "none");
}


static void
sgamp_test_texts(void)
{
    char      user[512], want[512];
    unsigned  i;

    static const char  webhook[] =
        "{\"user_id\":\"u\",\"user_properties\":{\"first_name\":%s,"
        "\"email\":\"a@b.co\"}}";

    static const char  item[] =
        "{\"eid\":7,\"first_name\":%s,\"nick\":\"N\",\"email\":\"a@b.co\"}";

    static const char  out[] =
        "{\"email\":\"a@b.co\"%s%s%s,\"external_id\":\"%s\"}";

    static const char  first[] = ",\"first_name\":\"";

    /* a value of JSON, and what becomes of a name; NULL: left out */

    static const char *const values[][2] = {
        { "\"Ann\"", "Ann" },
        { "\" \\tAnn Lee\\u00a0\"", "Ann Lee" },
        { "\"\"", NULL },
        { "\" \\n\\u2028 \"", NULL },
        { "\"\xe3\x80\x80\"", NULL },
        { "null", NULL },
        { "true", NULL },
        { "false", NULL },
        { "[\"Ann\"]", NULL },
        { "{\"a\":\"Ann\"}", NULL },
        { "12", "12" },
        { "-1.5e3", "-1.5e3" },
        { "0", "0" },
        { "\"\\\"A\\\\\\/\\u0001\\n\\\"\"", "\\\"A\\\\\\/\\u0001\\n\\\"" },
        { "\"\\u00e9\xc3\xa9\"", "\\u00e9\xc3\xa9" },
        { "\"a\xff\"", "a\xef\xbf\xbd" },
        { "\"\xc3 b\"", "\xef\xbf\xbd b" },
        { "\"\xed\xa0\x80\"", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "\"x\\ud800y\"", "x\xef\xbf\xbdy" },
        { "\"\\ude00\"", "\xef\xbf\xbd" },
        { "\"\\ud83d\\ude00\"", "\\ud83d\\ude00" },
        { "\",}]:\"", ",}]:" }
    };

    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {

        /* the next property is tried, then the field is left out */

        snprintf(user, sizeof(user), webhook, values[i][0]);

        snprintf(want, sizeof(want), out, values[i][1] ? first : "",
                 values[i][1] ? values[i][1] : "", values[i][1] ? "\"" : "",
                 "u");

        sgamp_test_form(SGAMP_TEST_ALL, 0, user, want);

        snprintf(user, sizeof(user), item, values[i][0]);

        snprintf(want, sizeof(want), out, first,
                 values[i][1] ? values[i][1] : "N", "\"", "7");

        sgamp_test_form(SGAMP_TEST_ALL, 1, user, want);
    }

    /* in the order of the rules */

    sgamp_test_form("email=mail;external_id=user_id;last_name=l;first_name=f",
                    1, "{\"f\":\"F\",\"l\":\"L\",\"mail\":\"a@b.co\","
                    "\"user_id\":5}",
                    "{\"email\":\"a@b.co\",\"external_id\":\"5\","
                    "\"last_name\":\"L\",\"first_name\":\"F\"}");
}


static void
sgamp_test_lengths(void)
{
    /* fifty characters, 254 bytes when decoded */

    sgamp_test_length("last_name", "last_name", "a", 50);
    sgamp_test_length("last_name", "last_name", "\\u00e9", 50);
    sgamp_test_length("first_name", "first_name", "\xf0\x9f\x98\x80", 50);
    sgamp_test_length("first_name", "first_name", "\\ud83d\\ude00", 50);

    sgamp_test_length("eid", "external_id", "a", 254);
    sgamp_test_length("eid", "external_id", "\\u0041", 254);
    sgamp_test_length("eid", "external_id", "\xc3\xa9", 127);
    sgamp_test_length("eid", "external_id", "\\u20ac", 84);
    sgamp_test_length("eid", "external_id", "\xf0\x9f\x98\x80", 63);
}


static void
sgamp_test_length(const char *property, const char *field,
    const char *character, size_t max)
{
    size_t            i, n;
    char              user[2048], want[2048];
    sgamp_test_buf_t  text, cut;

    static const char  in[] = "{\"email\":\"a@b.co\",\"%s\":\" %s\"}";
    static const char  out[] = "{\"email\":\"a@b.co\",\"%s\":\"%s\"}";

    memset(&text, 0, sizeof(sgamp_test_buf_t));
    memset(&cut, 0, sizeof(sgamp_test_buf_t));

    for (n = max - 1; n <= max + 1; n++) {
        text.len = 0;
        cut.len = 0;

        for (i = 0; i < n; i++) {
            sgamp_test_puts(&text, character);
            sgamp_test_puts(&cut, (i < max) ? character : "");
        }

        snprintf(user, sizeof(user), in, property, text.data);
        snprintf(want, sizeof(want), out, field, cut.data);

        sgamp_test_form(SGAMP_TEST_ALL, 1, user, want);
    }

    sgamp_test_free(&text);
    sgamp_test_free(&cut);
}


static void
sgamp_test_custom(void)
{
    char               user[1024], want[1024];
    unsigned           i, type;
    sgamp_test_list_t  t;

    static const char  none[] = "{\"email\":\"a@b.co\"}";

    static const char  in[] =
        "[{\"user_id\":\"a@b.co\",\"user_properties\":{\"p\":%s}}]";

    static const char  out[] =
        "{\"email\":\"a@b.co\",\"custom_fields\":{\"e1_T\":%s}}";

    /* a value, and what becomes of the value as text, number and date */

    static const char *const values[][4] = {
        { "\"x\"", "\"x\"", NULL, NULL },
        { "\" x\\ty\\u3000\"", "\"x\\ty\"", NULL, NULL },
        { "\" \\u2003\"", NULL, NULL, NULL },
        { "null", NULL, NULL, NULL },
        { "[1]", NULL, NULL, NULL },
        { "{\"a\":\"x\"}", NULL, NULL, NULL },
        { "true", "\"true\"", NULL, NULL },
        { "false", "\"false\"", NULL, NULL },
        { "\"a\xff\\ud800\"", "\"a\xef\xbf\xbd\xef\xbf\xbd\"", NULL, NULL },
        { "-1.50e+3", "\"-1.50e+3\"", "-1.50e+3", NULL },
        { "\" 5.25\\n\"", "\"5.25\"", "5.25", NULL },
        { "\"\\u0035.\\u0032\"", "\"\\u0035.\\u0032\"", "5.2", NULL },
        { "\"05\"", "\"05\"", NULL, NULL },
        { "\"01\\/31\\/2024 \"", "\"01\\/31\\/2024\"", NULL,
          "\"01\\/31\\/2024\"" },
        { "\"2024-01-31\"", "\"2024-01-31\"", NULL, "\"2024-01-31\"" },
        { "\"2024-02-30\"", "\"2024-02-30\"", NULL, NULL }
    };

    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        sgamp_test_list_init(&t, SGAMP_TEST_CUSTOM, 0);

        snprintf(user, sizeof(user), in, values[i][0]);

        sgamp_test_list_parse(&t, user, strlen(user));

        for (type = SGAMP_TYPE_TEXT; type <= SGAMP_TYPE_MISSING; type++) {
            t.definitions[0].type = (sgamp_field_type_e) type;
            sgamp_test_list_write(&t, 0);

            if (type == SGAMP_TYPE_MISSING || values[i][type + 1] == NULL) {
                snprintf(want, sizeof(want), none);

            } else {
                snprintf(want, sizeof(want), out, values[i][type + 1]);
            }

            tap_bytes(t.out.data, t.out.len, want, strlen(want), "%.60s: %u",
                      values[i][0], type);
        }

        sgamp_test_list_done(&t);
    }
}


static void
sgamp_test_custom_order(void)
{
    char               user[512], want[512];
    unsigned           i, type;
    sgamp_test_list_t  t;

    static const char  in[] =
        "[{\"user_id\":\"a@b.co\",\"r\":%s,\"q\":%s,\"p\":%s}]";

    /* the first that fits the type, which is known only at the end */

    static const char *const values[][6] = {
        { "1", "2", "3", "\"1\"", "1", NULL },
        { "\"x\"", "2", "3", "\"x\"", "2", NULL },
        { "\"x\"", "\"y\"", "\"3\"", "\"x\"", "3", NULL },
        { "\"x\"", "\"2024-01-31\"", "3", "\"x\"", "3", "\"2024-01-31\"" },
        { "5", "\"2024-01-31\"", "\"x\"", "\"5\"", "5", "\"2024-01-31\"" },
        { "\"01/02/2024\"", "\"2024-01-31\"", "\"7\"", "\"01/02/2024\"", "7",
          "\"01/02/2024\"" },
        { "null", "true", "6", "\"true\"", "6", NULL },
        { "[]", "\" \"", "\"x\"", "\"x\"", NULL, NULL },
        { "{}", "null", "\"\"", NULL, NULL, NULL }
    };

    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        sgamp_test_list_init(&t, SGAMP_TEST_CUSTOM, 1);

        snprintf(user, sizeof(user), in, values[i][2], values[i][1],
                 values[i][0]);

        sgamp_test_list_parse(&t, user, strlen(user));

        for (type = SGAMP_TYPE_TEXT; type <= SGAMP_TYPE_DATE; type++) {
            t.definitions[0].type = (sgamp_field_type_e) type;
            sgamp_test_list_write(&t, 0);

            snprintf(want, sizeof(want), "{\"email\":\"a@b.co\"%s%s%s}",
                     values[i][type + 3] ? ",\"custom_fields\":{\"e1_T\":"
                                         : "",
                     values[i][type + 3] ? values[i][type + 3] : "",
                     values[i][type + 3] ? "}" : "");

            tap_bytes(t.out.data, t.out.len, want, strlen(want),
                      "%s, %s, %s: %u", values[i][0], values[i][1],
                      values[i][2], type);
        }

        sgamp_test_list_done(&t);
    }
}


static void
sgamp_test_two_fields(void)
{
    char               want[512];
    unsigned           i;
    sgamp_test_list_t  t;

    static const char  rules[] =
        "email=user_id;*one=a;first_name=first_name;*two=b;*three=c;*four=d";

    static const char  user[] =
        "[{\"user_id\":\"a@b.co\",\"b\":2,\"c\":\"2024-01-31\",\"d\":\"x\","
        "\"first_name\":\"Ann\",\"a\":\"1\"}]";

    static const char  start[] =
        "{\"email\":\"a@b.co\",\"first_name\":\"Ann\"%s}";

    static const char *const types[][2] = {
        { "TTTT", ",\"custom_fields\":{\"e1_T\":\"1\",\"e2_T\":\"2\","
                  "\"e3_T\":\"2024-01-31\",\"e4_T\":\"x\"}" },
        { "NNDT", ",\"custom_fields\":{\"e1_T\":1,\"e2_T\":2,"
                  "\"e3_T\":\"2024-01-31\",\"e4_T\":\"x\"}" },
        { "DNDN", ",\"custom_fields\":{\"e2_T\":2,\"e3_T\":\"2024-01-31\"}" },
        { "--N-", "" },
        { "-T--", ",\"custom_fields\":{\"e2_T\":\"2\"}" },
        { "---T", ",\"custom_fields\":{\"e4_T\":\"x\"}" },
        { "----", "" }
    };

    sgamp_test_list_init(&t, rules, 1);
    sgamp_test_list_parse(&t, user, sizeof(user) - 1);

    tap_is(t.rules.ncustom, 4, "custom fields");

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        sgamp_test_list_types(&t, types[i][0]);
        sgamp_test_list_write(&t, 0);

        snprintf(want, sizeof(want), start, types[i][1]);

        tap_bytes(t.out.data, t.out.len, want, strlen(want), "types %s",
                  types[i][0]);
    }

    /* an id that SendGrid would not have */

    memcpy(t.definitions[3].id, "\"\xff", 2);
    t.definitions[3].len = 2;
    sgamp_test_list_types(&t, "---T");
    sgamp_test_list_write(&t, 0);

    tap_ok(strstr((char *) t.out.data, "{\"\\\"\xef\xbf\xbd\":\"x\"}") != NULL,
           "the id of a field is escaped");

    sgamp_test_list_done(&t);
}


static void
sgamp_test_rules_limits(void)
{
    char                   names[64][8];
    unsigned               i, n;
    sgamp_contact_rules_t  rules;

    /* 32 names, of which user_id is the first */

    for (n = 30; n <= 34; n++) {
        sgamp_test_poison(&rules, sizeof(sgamp_contact_rules_t));

        rules.n = 5;

        for (i = 0; i < 5; i++) {
            rules.fields[i].kind = i ? SGAMP_FIELD_CUSTOM : SGAMP_FIELD_EMAIL;
            rules.fields[i].n = 0;
        }

        for (i = 0; i < n; i++) {
            snprintf(names[i], sizeof(names[i]), "p%u", i);
            sgamp_test_set(&rules.fields[i / 8]
                                .properties[rules.fields[i / 8].n++],
                           i ? names[i] : "user_id");
        }

        /* a name that was there does not count */

        sgamp_test_set(&rules.fields[4].properties[rules.fields[4].n++],
                       "user_id");
        sgamp_test_set(&rules.fields[4].properties[rules.fields[4].n++],
                       "p1");

        tap_is(sgamp_contact_rules(&rules),
               (n <= 32) ? SGAMP_OK : SGAMP_TOO_LARGE, "%u names", n);

        if (n <= 32) {
            tap_is(rules.ncustom, 4, "custom fields");
            tap_ok(rules.item.nkeys == n && rules.webhook.nkeys == 2,
                   "keys of a user");
        }
    }
}


static void
sgamp_test_again(void)
{
    size_t             i, n;
    uint32_t           id;
    unsigned           bad;
    sgamp_test_buf_t   text, want;
    sgamp_test_list_t  t;

    static const char  users[] =
        "[{\"email\":\"a@b.co\",\"first_name\":\"Ann\"},\"c@d.co\","
        "{\"email\":\" A@B.CO\",\"last_name\":\"Lee\"},\"u1\",\"C@d.co\","
        "\"e@f.co\",{\"user_id\":\"c@d.co\",\"first_name\":\"A long name\"}]";

    static const char *const wanted[] = {
        "{\"email\":\"a@b.co\",\"last_name\":\"Lee\"}",
        "{\"email\":\"c@d.co\",\"first_name\":\"A long name\"}",
        "{\"email\":\"e@f.co\"}"
    };

    sgamp_test_list_init(&t, SGAMP_TEST_DEFAULT, 1);

    tap_is(sgamp_contacts_find(&t.contacts, (u_char *) "a@b.co", 6), -1,
           "nobody is found at first");

    sgamp_test_list_parse(&t, users, sizeof(users) - 1);

    tap_bytes(t.results.data, t.results.len, "aaanaaa", 7, "users");
    tap_is(t.contacts.n, 3, "contacts, each address once");

    for (i = 0; i < 3; i++) {
        sgamp_test_list_write(&t, (uint32_t) i);
        tap_bytes(t.out.data, t.out.len, wanted[i], strlen(wanted[i]),
                  "the last user with the address");

        bad = sgamp_contact_at(&t.contacts, i)->state != 0;

        for (n = 0; n < SGAMP_UUID_LEN; n++) {
            bad += sgamp_contact_at(&t.contacts, i)->id[n] != 0;
        }

        tap_is(bad, 0, "nothing of the caller's");
    }

    tap_is(sgamp_contacts_find(&t.contacts, (u_char *) "c@d.co", 6), 1,
           "an address");
    tap_is(sgamp_contacts_find(&t.contacts, (u_char *) "C@d.co", 6), -1,
           "an address in upper case is none");
    tap_is(sgamp_contacts_find(&t.contacts, (u_char *) "c@d.com", 7), -1,
           "a longer address");
    tap_is(sgamp_contacts_find(&t.contacts, NULL, 0), -1, "no address");

    /* what is the caller's stays; values of all lengths, down and up */

    sgamp_contact_at(&t.contacts, 1)->state = 7;
    memset(sgamp_contact_at(&t.contacts, 1)->id, 'i', SGAMP_UUID_LEN);

    memset(&text, 0, sizeof(sgamp_test_buf_t));
    memset(&want, 0, sizeof(sgamp_test_buf_t));

    bad = 0;
    id = t.contacts.n;

    for (n = 0; n < 100; n++) {
        text.len = 0;
        want.len = 0;

        sgamp_test_puts(&text, "[{\"user_id\":\"c@d.co\",\"last_name\":\"x");
        sgamp_test_puts(&want, "{\"email\":\"c@d.co\",\"last_name\":\"x");

        for (i = 0; i < ((n < 50) ? 49 - n : n - 50); i++) {
            sgamp_test_puts(&text, "y");
            sgamp_test_puts(&want, "y");
        }

        sgamp_test_puts(&text, "\"}]");
        sgamp_test_puts(&want, "\"}");

        sgamp_test_list_parse(&t, text.data, text.len);
        sgamp_test_list_write(&t, 1);

        bad += t.out.len != want.len
               || memcmp(t.out.data, want.data, want.len) != 0;

        sgamp_test_list_write(&t, 2);

        bad += t.out.len != strlen(wanted[2])
               || memcmp(t.out.data, wanted[2], t.out.len) != 0;
    }

    tap_is(bad, 0, "a contact that changes a hundred times");
    tap_ok(t.contacts.n == id
           && sgamp_contact_at(&t.contacts, 1)->state == 7
           && sgamp_contact_at(&t.contacts, 1)->id[SGAMP_UUID_LEN - 1] == 'i',
           "keeps what is the caller's");

    /* all is forgotten, and begins anew */

    sgamp_contacts_done(&t.contacts);

    tap_is(sgamp_contacts_find(&t.contacts, (u_char *) "c@d.co", 6), -1,
           "nobody is found at last");
    tap_ok(t.contacts.n == 0 && t.heap.live == 0, "all is freed");

    sgamp_test_list_parse(&t, users, sizeof(users) - 1);

    tap_is(t.contacts.n, 3, "contacts once more");

    sgamp_test_free(&text);
    sgamp_test_free(&want);
    sgamp_test_list_done(&t);
}


static void
sgamp_test_neighbors(void)
{
    char               text[64], want[64];
    unsigned           i, bad;
    sgamp_test_list_t  t;

    static const char  in[] =
        "[{\"user_id\":\"a%u@b.co\",\"last_name\":\"%.*s\"}]";

    static const char  out[] =
        "{\"email\":\"a%u@b.co\",\"last_name\":\"%.*s\"}";

    /* two contacts beside each other, a value of one grows by a byte a time */

    sgamp_test_list_init(&t, SGAMP_TEST_DEFAULT, 1);

    bad = 0;

    for (i = 0; i < 20; i++) {
        snprintf(text, sizeof(text), in, i & 1, (int) (1 + i / 2),
                 (i & 1) ? "0123456789" : "abcdefghij");
        sgamp_test_list_parse(&t, text, strlen(text));

        sgamp_test_list_write(&t, i & 1);
        snprintf(want, sizeof(want), out, i & 1, (int) (1 + i / 2),
                 (i & 1) ? "0123456789" : "abcdefghij");

        bad += t.out.len != strlen(want)
               || memcmp(t.out.data, want, t.out.len) != 0;

        if (i == 0) {
            continue;
        }

        sgamp_test_list_write(&t, !(i & 1));
        snprintf(want, sizeof(want), out, !(i & 1), (int) (1 + (i - 1) / 2),
                 (i & 1) ? "abcdefghij" : "0123456789");

        bad += t.out.len != strlen(want)
               || memcmp(t.out.data, want, t.out.len) != 0;
    }

    tap_is(bad, 0, "a contact that grows does not touch another");

    sgamp_test_list_done(&t);
}


static void
sgamp_test_form(const char *rules, unsigned item, const char *user,
    const char *want)
{
    size_t             n, size;
    char               text[4200];
    unsigned           bad;
    const char        *result;
    sgamp_test_list_t  t;

    /* one user, in portions of all sizes */

    n = (size_t) snprintf(text, sizeof(text), "[%s]", user);
    bad = 0;

    for (size = (n > 200) ? n / 2 : 1; size <= n; size++) {
        sgamp_test_list_init(&t, rules, item);

        t.env.cut = sgamp_test_cut_fixed;
        t.env.cut_data = &size;

        sgamp_test_list_parse(&t, text, n);

        if (t.contacts.n == 1) {
            sgamp_test_list_write(&t, 0);
        }

        result = (strcmp(want, "none") == 0)
                     ? "n"
                     : ((strcmp(want, "invalid") == 0) ? "i" : "a");

        if (t.results.len != 1
            || t.results.data[0] != *result
            || t.contacts.n != (*result == 'a')
            || (*result == 'a'
                && (t.out.len != strlen(want)
                    || memcmp(t.out.data, want, t.out.len) != 0)))
        {
            if (bad++ == 0) {
                tap_diag("portions of %zu: %s %.*s", size, t.results.data,
                         (int) t.out.len, t.out.data);
            }
        }

        sgamp_test_list_done(&t);

        /* of a long user, three sizes are enough */

        if (n > 200 && size < n) {
            size += n / 4;
        }
    }

    tap_ok(bad == 0, "%.100s: %.20s", user, want);
}
