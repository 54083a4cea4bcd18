
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_test_list.h"


#define SGAMP_TEST_MANY        100000  /* contacts */
#define SGAMP_TEST_USERS       5000
#define SGAMP_TEST_PROPERTIES  8       /* of a random user, with user_id */

#define SGAMP_TEST_VALUES                                                     \
    (sizeof(sgamp_test_values) / sizeof(sgamp_test_value_t))


/* a value of JSON, and what it is: NULL if it is no such thing */

typedef struct {
    const char  *json;
    const char  *address;  /* "": a string that is none; "@": with an "@" */
    const char  *name;
    const char  *text;
    const char  *number;
    const char  *date;
} sgamp_test_value_t;


static void sgamp_test_sizes(void);
static void sgamp_test_long_and_short(void);
static void sgamp_test_many(void);
static void sgamp_test_random_users(void);
static void sgamp_test_random_user(sgamp_test_random_t *random,
    sgamp_test_buf_t *user, unsigned item,
    const sgamp_test_value_t *values[SGAMP_TEST_PROPERTIES]);
static void sgamp_test_random_member(sgamp_test_random_t *random,
    sgamp_test_buf_t *object, const char *name, const char *value);
static char sgamp_test_expect(sgamp_test_buf_t *want, unsigned type,
    const sgamp_test_value_t *values[SGAMP_TEST_PROPERTIES]);
static void sgamp_test_no_memory(void);


/* values of random users, the first is that of a missing property */

static const sgamp_test_value_t  sgamp_test_values[] = {
    { NULL, NULL, NULL, NULL, NULL, NULL },
    { "null", NULL, NULL, NULL, NULL, NULL },
    { "false", NULL, NULL, "\"false\"", NULL, NULL },
    { "[\"a@b.co\"]", NULL, NULL, NULL, NULL, NULL },
    { "{\"email\":\"a@b.co\"}", NULL, NULL, NULL, NULL, NULL },
    { "\"  \"", NULL, NULL, NULL, NULL, NULL },
    { "\"x\"", "", "x", "\"x\"", NULL, NULL },
    { "\"x@\"", "@", "x@", "\"x@\"", NULL, NULL },
    { "12", NULL, "12", "\"12\"", "12", NULL },
    { "\"1\\u0033 \"", "", "1\\u0033", "\"1\\u0033\"", "13", NULL },
    { "\"2024-02-29\"", "", "2024-02-29", "\"2024-02-29\"", NULL,
      "\"2024-02-29\"" },
    { "\"\xc3\xa9\xff\"", "", "\xc3\xa9\xef\xbf\xbd",
      "\"\xc3\xa9\xef\xbf\xbd\"", NULL, NULL },
    { "\"A@b.co\"", "a@b.co", "A@b.co", "\"A@b.co\"", NULL, NULL },
    { "\" c\\u0040d.co\"", "c@d.co", "c\\u0040d.co", "\"c\\u0040d.co\"", NULL,
      NULL },
    { "\"e@f.co\"", "e@f.co", "e@f.co", "\"e@f.co\"", NULL, NULL }
};


int
main(void)
{
    sgamp_test_sizes();
    sgamp_test_long_and_short();
    sgamp_test_many();
    sgamp_test_random_users();
    sgamp_test_no_memory();

    return tap_done();
}


static void
sgamp_test_sizes(void)
{
    size_t             i, j, bytes;
    unsigned           bad;
    sgamp_test_buf_t   text, want;
    sgamp_test_list_t  t;

    /* where a size takes more bytes, a piece of text ends, and so on */

    static const size_t sizes[] = {
        1, 253, 254, 255, 256, 257, 4000, 4080, 4090, 4096, 4100, 8000, 65000,
        65520, 65536, 65540, 70000, 3, 300000, 5, 4000, 4000, 4000, 4000, 4000,
        4000, 4000, 4000, 4000, 4000, 4000, 4000, 4000, 4000, 4000, 4000, 4000
    };

    memset(&text, 0, sizeof(sgamp_test_buf_t));
    memset(&want, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_list_init(&t, SGAMP_TEST_CUSTOM, 1);

    t.env.max_event = 1048576;
    bytes = 0;

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        text.len = 0;

        sgamp_test_puts(&text, "[{\"p\":\"");

        for (j = 0; j < sizes[i]; j++) {
            sgamp_test_put(&text, (i & 1) ? "x" : "\xff", 1);
        }

        sgamp_test_puts(&text, "\",\"user_id\":\"a");
        sgamp_test_put(&text, &"abcdefghijklmnopqrstuvwxyz"[i % 26], 1);
        sgamp_test_put(&text, &"abcdefghijklmnopqrstuvwxyz"[i / 26], 1);
        sgamp_test_puts(&text, "@b.co\"}]");

        sgamp_test_list_parse(&t, text.data, text.len);

        bytes += (i & 1) ? sizes[i] : 3 * sizes[i];
    }

    tap_is(t.contacts.n, i, "contacts of all sizes");

    bad = 0;

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        want.len = 0;

        sgamp_test_puts(&want, "{\"email\":\"a");
        sgamp_test_put(&want, &"abcdefghijklmnopqrstuvwxyz"[i % 26], 1);
        sgamp_test_put(&want, &"abcdefghijklmnopqrstuvwxyz"[i / 26], 1);
        sgamp_test_puts(&want, "@b.co\",\"custom_fields\":{\"e1_T\":\"");

        for (j = 0; j < sizes[i]; j++) {
            sgamp_test_puts(&want, (i & 1) ? "x" : "\xef\xbf\xbd");
        }

        sgamp_test_puts(&want, "\"}}");

        sgamp_test_list_write(&t, (uint32_t) i);

        bad += t.out.len != want.len
               || memcmp(t.out.data, want.data, want.len) != 0;
    }

    tap_is(bad, 0, "are as they should be");
    tap_ok(t.heap.bytes < bytes / 8 * 9 + 65536 + 16384,
           "%zu bytes for %zu", t.heap.bytes, bytes);

    sgamp_test_free(&text);
    sgamp_test_free(&want);
    sgamp_test_list_done(&t);
}


static void
sgamp_test_long_and_short(void)
{
    size_t             i, j, bytes;
    char               address[32];
    sgamp_test_buf_t   text;
    sgamp_test_list_t  t;

    /* a long text does not hide the room that short texts have */

    memset(&text, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_list_init(&t, SGAMP_TEST_CUSTOM, 1);

    bytes = 0;

    for (i = 0; i < 60; i++) {
        text.len = 0;

        snprintf(address, sizeof(address), "a%zu@b.co", i);

        sgamp_test_puts(&text, "[{\"user_id\":\"");
        sgamp_test_puts(&text, address);
        sgamp_test_puts(&text, "\",\"p\":\"");

        for (j = (i & 1) ? 40000 : 5; j > 0; j--) {
            sgamp_test_puts(&text, "x");
        }

        sgamp_test_puts(&text, "\"}]");

        t.env.max_event = 70000;
        sgamp_test_list_parse(&t, text.data, text.len);

        bytes += text.len;
    }

    tap_is(t.contacts.n, i, "long and short texts");
    tap_ok(t.heap.bytes < bytes / 8 * 9 + 65536 + 256 * 64,
           "%zu bytes for %zu", t.heap.bytes, bytes);

    sgamp_test_free(&text);
    sgamp_test_list_done(&t);
}


static void
sgamp_test_many(void)
{
    int                i, n;
    char               address[64];
    size_t             bytes;
    unsigned           bad;
    sgamp_test_buf_t   text;
    sgamp_test_list_t  t;

    memset(&text, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_list_init(&t, SGAMP_TEST_DEFAULT, 1);

    sgamp_test_puts(&text, "[");
    bytes = 0;

    for (i = 0; i < SGAMP_TEST_MANY; i++) {
        n = snprintf(address, sizeof(address), "%s{\"email\":\"user%d@mail%d"
                                               ".example\"",
                     i ? "," : "", i, i % 7);
        sgamp_test_put(&text, address, (size_t) n);
        sgamp_test_puts(&text, ",\"first_name\":\"Ann\",\"last_name\":"
                               "\"Stevens\"}");

        /* the values: an address, two names */

        bytes += (size_t) n - (i != 0) - 11 + 3 + 7;
    }

    sgamp_test_puts(&text, "]");
    sgamp_test_list_parse(&t, text.data, text.len);

    tap_is(t.contacts.n, SGAMP_TEST_MANY, "many contacts");
    tap_is(t.crowded, 0, "a quarter of the slots is empty");

    bad = 0;

    for (i = 0; i < SGAMP_TEST_MANY; i++) {
        n = snprintf(address, sizeof(address), "user%d@mail%d.example", i,
                     i % 7);
        bad += sgamp_contacts_find(&t.contacts, (u_char *) address,
                                   (size_t) n)
               != i;

        n = snprintf(address, sizeof(address), "user%d@mail%d.example", i,
                     (i + 1) % 7);
        bad += sgamp_contacts_find(&t.contacts, (u_char *) address,
                                   (size_t) n)
               != -1;
    }

    tap_is(bad, 0, "are found, and nobody else is");

    tap_ok(sizeof(sgamp_contact_t) <= 64, "bytes of a contact");
    tap_ok(t.heap.bytes < (SGAMP_TEST_MANY * (64 + 8) + bytes) / 8 * 9,
           "%zu bytes, %zu of values", t.heap.bytes, bytes);
    tap_ok(t.contacts.nslots * sizeof(uint32_t) <= SGAMP_TEST_MANY * 8,
           "%u slots", t.contacts.nslots);

    /* all of them once more */

    n = (int) t.heap.calls;
    sgamp_test_list_parse(&t, text.data, text.len);

    tap_is(t.contacts.n, SGAMP_TEST_MANY, "the same contacts");
    tap_ok((int) t.heap.calls - n <= 1, "take the same memory");

    sgamp_test_free(&text);
    sgamp_test_list_done(&t);
}


static void
sgamp_test_random_users(void)
{
    char                       result;
    unsigned                   i, bad, type, results[3];
    sgamp_test_buf_t           user, want;
    sgamp_test_list_t          t;
    sgamp_test_random_t        random;
    const sgamp_test_value_t  *values[SGAMP_TEST_PROPERTIES];

    memset(&user, 0, sizeof(sgamp_test_buf_t));
    memset(&want, 0, sizeof(sgamp_test_buf_t));
    memset(results, 0, sizeof(results));

    random.state = 2024;
    bad = 0;

    for (i = 0; i < SGAMP_TEST_USERS; i++) {
        sgamp_test_list_init(&t, "email=p1 p2 user_id;first_name=p3 user_id;"
                             "*c=p4 p5 p6 p3;last_name=p7",
                         i & 1);

        t.env.cut = sgamp_test_cut_random;
        t.env.cut_data = &random;

        sgamp_test_random_user(&random, &user, i & 1, values);
        sgamp_test_list_parse(&t, user.data, user.len);

        type = sgamp_test_random(&random, 3);
        t.definitions[0].type = (sgamp_field_type_e) type;

        result = sgamp_test_expect(&want, type, values);
        sgamp_test_list_write(&t, 0);

        if (t.results.len != 1
            || t.results.data[0] != (u_char) result
            || t.out.len != want.len
            || (want.len != 0 && memcmp(t.out.data, want.data, want.len) != 0))
        {
            if (bad++ == 0) {
                tap_diag_bytes("user", user.data, user.len);
                tap_diag_bytes("want", want.data, want.len);
                tap_diag_bytes("got", t.out.data, t.out.len);
            }
        }

        results[(result == 'a') ? 0 : ((result == 'n') ? 1 : 2)]++;

        sgamp_test_list_done(&t);
    }

    tap_is(bad, 0, "random users");
    tap_ok(results[0] > 500 && results[1] > 100 && results[2] > 100,
           "%u contacts, %u without address, %u with a bad one", results[0],
           results[1], results[2]);

    sgamp_test_free(&user);
    sgamp_test_free(&want);
}


static void
sgamp_test_random_user(sgamp_test_random_t *random, sgamp_test_buf_t *user,
    unsigned item, const sgamp_test_value_t *values[SGAMP_TEST_PROPERTIES])
{
    char                       name[8];
    size_t                     i;
    unsigned                   n;
    sgamp_test_buf_t           object;
    const sgamp_test_value_t  *value;

    memset(&object, 0, sizeof(sgamp_test_buf_t));

    for (i = 0; i < SGAMP_TEST_PROPERTIES; i++) {
        values[i] = &sgamp_test_values[0];
    }

    user->len = 0;
    sgamp_test_puts(user, "[{");

    /* number 0 is user_id, which is a member of the user in both forms */

    for (n = sgamp_test_random(random, 16); n != 0; n--) {
        i = sgamp_test_random(random, SGAMP_TEST_PROPERTIES);

        value = &sgamp_test_values[1];
        value += sgamp_test_random(random, SGAMP_TEST_VALUES - 1);
        values[i] = value;

        snprintf(name, sizeof(name), "p%c", '0' + (char) i);

        sgamp_test_random_member(random, (item || i == 0) ? user : &object,
                                 i ? name : "user_id", values[i]->json);

        if (sgamp_test_random(random, 3) == 0) {
            sgamp_test_random_member(random, user, "p", "{\"p1\":\"z@z.co\"}");
        }
    }

    if (!item) {
        sgamp_test_puts(user, ",\"user_properties\":{\"p1\":\"z@z.co\"}"
                              + (user->data[user->len - 1] == '{'));
        sgamp_test_puts(user, ",\"p1\":\"y@y.co\",\"user_properties\":{");
        sgamp_test_put(user, object.data + (object.len != 0),
                       object.len - (object.len != 0));
        sgamp_test_puts(user, "}");
    }

    sgamp_test_puts(user, "}]");

    sgamp_test_free(&object);
}


static void
sgamp_test_random_member(sgamp_test_random_t *random,
    sgamp_test_buf_t *object, const char *name, const char *value)
{
    char  text[16];

    /* the comma comes before, unless the object begins */

    if (object->len == 0 || object->data[object->len - 1] != '{') {
        sgamp_test_puts(object, ",");
    }

    if (sgamp_test_random(random, 4) == 0) {
        snprintf(text, sizeof(text), "\"\\u%04x", name[0]);
        sgamp_test_puts(object, text);
        name++;

    } else {
        sgamp_test_puts(object, "\"");
    }

    sgamp_test_puts(object, name);
    sgamp_test_puts(object, sgamp_test_random(random, 4) ? "\":" : "\" : ");
    sgamp_test_puts(object, value);
}


static char
sgamp_test_expect(sgamp_test_buf_t *want, unsigned type,
    const sgamp_test_value_t *values[SGAMP_TEST_PROPERTIES])
{
    char                       result;
    unsigned                   i;
    const char                *text;
    const sgamp_test_value_t  *value;

    static const unsigned  emails[] = { 1, 2, 0 };
    static const unsigned  names[] = { 3, 0 };
    static const unsigned  customs[] = { 4, 5, 6, 3 };

    want->len = 0;
    result = 'n';

    for (i = 0; i < 3; i++) {

        if (values[emails[i]]->address == NULL) {
            continue;
        }

        if (strlen(values[emails[i]]->address) > 1) {
            break;
        }

        if (emails[i] != 0 || values[0]->address[0] == '@') {
            result = 'i';
        }
    }

    if (i == 3) {
        return result;
    }

    sgamp_test_puts(want, "{\"email\":\"");
    sgamp_test_puts(want, values[emails[i]]->address);
    sgamp_test_puts(want, "\"");

    for (i = 0; i < 2; i++) {
        if (values[names[i]]->name != NULL) {
            sgamp_test_puts(want, ",\"first_name\":\"");
            sgamp_test_puts(want, values[names[i]]->name);
            sgamp_test_puts(want, "\"");
            break;
        }
    }

    if (values[7]->name != NULL) {
        sgamp_test_puts(want, ",\"last_name\":\"");
        sgamp_test_puts(want, values[7]->name);
        sgamp_test_puts(want, "\"");
    }

    for (i = 0; i < 4; i++) {
        value = values[customs[i]];
        text = (type == SGAMP_TYPE_TEXT)
                   ? value->text
                   : ((type == SGAMP_TYPE_NUMBER) ? value->number
                                                  : value->date);
        if (text != NULL) {
            sgamp_test_puts(want, ",\"custom_fields\":{\"e1_T\":");
            sgamp_test_puts(want, text);
            sgamp_test_puts(want, "}");
            break;
        }
    }

    sgamp_test_puts(want, "}");

    return 'a';
}


static void
sgamp_test_no_memory(void)
{
    char               user[64];
    size_t             i, n, fails, bad;
    sgamp_contact_t   *contact;
    sgamp_test_buf_t   text;
    sgamp_test_list_t  t;

    memset(&text, 0, sizeof(sgamp_test_buf_t));

    /* the table grows several times, and a text has a piece of its own */

    sgamp_test_puts(&text, "[{\"user_id\":\"long@b.co\",\"p\":\"");

    for (i = 0; i < 70000; i++) {
        sgamp_test_puts(&text, "x");
    }

    sgamp_test_puts(&text, "\"}");

    for (i = 0; i < 2000; i++) {
        snprintf(user, sizeof(user), ",\"user.with.a.long.name%zu@b.co\"", i);
        sgamp_test_puts(&text, user);
    }

    sgamp_test_puts(&text, "]");

    fails = 0;
    bad = 0;

    for (n = 1; n < 100; n++) {
        sgamp_test_list_init(&t, SGAMP_TEST_CUSTOM, n & 1);

        t.env.max_event = 100000;
        t.heap.fail = n;

        sgamp_test_list_parse(&t, text.data, text.len);

        if (t.status == SGAMP_OK) {
            bad += t.contacts.n != 2001;
            sgamp_test_list_done(&t);
            break;
        }

        fails++;
        bad += t.status != SGAMP_NOMEM;
        bad += t.contacts.n != t.results.len;

        /* who was added before is there */

        for (i = 0; i < t.contacts.n; i++) {
            contact = sgamp_contact_at(&t.contacts, i);

            bad += sgamp_contacts_find(&t.contacts, contact->text,
                                       contact->address)
                   != (int32_t) i;
        }

        sgamp_test_list_done(&t);
    }

    tap_ok(fails > 10 && fails < 99, "%zu allocations fail", fails);
    tap_is(bad, 0, "and nothing else does");

    sgamp_test_free(&text);
}
