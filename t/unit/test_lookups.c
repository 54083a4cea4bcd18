
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>
#include <stdlib.h>

#include "sgamp_id.h"
#include "sgamp_kind.h"
#include "sgamp_names.h"
#include "sgamp_test.h"


#define SGAMP_TEST_TABLES  12
#define SGAMP_TEST_NAMES   400  /* of a table */
#define SGAMP_TEST_NAME    40   /* bytes of the longest */
#define SGAMP_TEST_DIGITS  4    /* of a name in a table that is full */
#define SGAMP_TEST_IDS     60000
#define SGAMP_TEST_CHARS   1100 /* of the longest id, but for white space */


/* a name as it has to be in the table */

typedef struct {
    u_char    text[SGAMP_TEST_NAME];
    size_t    len;
    int       key;
    unsigned  treat;
} sgamp_test_name_t;


/* the inside of a JSON string, and its characters */

typedef struct {
    sgamp_test_buf_t  json;
    uint32_t          chars[SGAMP_TEST_CHARS + 32];
    size_t            starts[SGAMP_TEST_CHARS + 32];
    size_t            n;
} sgamp_test_id_t;


static void sgamp_test_names(void);
static unsigned sgamp_test_names_add(sgamp_names_t *names,
    sgamp_test_name_t *model, unsigned n, sgamp_test_random_t *random);
static unsigned sgamp_test_names_differ(const sgamp_names_t *names,
    const sgamp_test_name_t *model, unsigned n);
static unsigned sgamp_test_slots_differ(const sgamp_names_t *names);
static void sgamp_test_names_full(void);
static void sgamp_test_kinds(void);
static unsigned sgamp_test_kind(const u_char *text, size_t n);
static sgamp_kind_e sgamp_test_kind_of(const u_char *text, size_t n,
    unsigned lower);
static void sgamp_test_kind_escapes(void);
static void sgamp_test_ids(void);
static void sgamp_test_id(sgamp_test_id_t *id, sgamp_test_random_t *random);
static void sgamp_test_id_spaces(sgamp_test_id_t *id,
    sgamp_test_random_t *random);
static void sgamp_test_id_reserved(sgamp_test_id_t *id,
    sgamp_test_random_t *random);
static void sgamp_test_id_char(sgamp_test_id_t *id, uint32_t c,
    const char *json);
static unsigned sgamp_test_id_differs(sgamp_test_id_t *id,
    unsigned *usable);
static int sgamp_test_is_reserved(const uint32_t *chars, size_t n);
static int sgamp_test_is_space(uint32_t c);


static const struct {
    const char    *name;
    sgamp_kind_e   kind;
} sgamp_test_kinds_known[] = {
    { "processed", SGAMP_KIND_PROCESSED },
    { "dropped", SGAMP_KIND_DROPPED },
    { "deferred", SGAMP_KIND_DEFERRED },
    { "delivered", SGAMP_KIND_DELIVERED },
    { "bounce", SGAMP_KIND_BOUNCE },
    { "open", SGAMP_KIND_OPEN },
    { "click", SGAMP_KIND_CLICK },
    { "spamreport", SGAMP_KIND_SPAMREPORT },
    { "unsubscribe", SGAMP_KIND_UNSUBSCRIBE },
    { "group_unsubscribe", SGAMP_KIND_GROUP_UNSUBSCRIBE },
    { "group_resubscribe", SGAMP_KIND_GROUP_RESUBSCRIBE },
    { "account_status_change", SGAMP_KIND_ACCOUNT_STATUS_CHANGE },
    { "received", SGAMP_KIND_RECEIVED },
    { "machine_open", SGAMP_KIND_MACHINE_OPEN },
    { NULL, SGAMP_KIND_OTHER }
};


static const char *const sgamp_test_reserved[] = {
    "anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown",
    "{}", "lmy47d", "0", "-1", "00000000-0000-0000-0000-000000000000"
};

#define SGAMP_TEST_RESERVED                                                   \
    (sizeof(sgamp_test_reserved) / sizeof(sgamp_test_reserved[0]))


/* the property White_Space of Unicode */

static const uint32_t sgamp_test_spaces[] = {
    0x9, 0xa, 0xb, 0xc, 0xd, 0x20, 0x85, 0xa0, 0x1680, 0x2000, 0x2001, 0x2002,
    0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200a, 0x2028,
    0x2029, 0x202f, 0x205f, 0x3000
};

#define SGAMP_TEST_SPACES                                                     \
    (sizeof(sgamp_test_spaces) / sizeof(sgamp_test_spaces[0]))


/* other characters, and what is read as U+FFFD */

static const struct {
    uint32_t     c;
    const char  *json;
} sgamp_test_chars[] = {
    { 0xe9, "\xc3\xa9" },
    { 0xe9, "\\u00e9" },
    { 0x20ac, "\xe2\x82\xac" },
    { 0x1f600, "\\ud83d\\ude00" },
    { 0x1f600, "\xf0\x9f\x98\x80" },
    { 0xfffd, "\xff" },
    { 0xfffd, "\xe2\x82" },
    { 0xfffd, "\\ud800" },
    { 0x200b, "\xe2\x80\x8b" },
    { '"', "\\\"" },
    { '\\', "\\\\" },
    { 0, "\\u0000" },
    { ' ', " " },
    { 0x2003, "\\u2003" },
    { 0x7f, "\x7f" }
};

#define SGAMP_TEST_OTHERS                                                     \
    (sizeof(sgamp_test_chars) / sizeof(sgamp_test_chars[0]))


int
main(void)
{
    sgamp_test_names();
    sgamp_test_names_full();
    sgamp_test_kinds();
    sgamp_test_kind_escapes();
    sgamp_test_ids();

    return tap_done();
}


static void
sgamp_test_names(void)
{
    unsigned             i, n, bad;
    sgamp_name_t        *room, *old;
    sgamp_names_t        names;
    sgamp_test_name_t   *model;
    sgamp_test_random_t  random;

    model = malloc(SGAMP_TEST_NAMES * sizeof(sgamp_test_name_t));
    if (model == NULL) {
        tap_bail("no memory");
    }

    random.state = 6;
    bad = 0;

    for (i = 0; i < SGAMP_TEST_TABLES; i++) {
        sgamp_test_poison(&names, sizeof(sgamp_names_t));
        sgamp_names_init(&names);

        room = NULL;
        n = 0;

        while (n < SGAMP_TEST_NAMES) {

            if (names.n == names.size) {
                old = room;
                room = malloc(2 * names.size * sizeof(sgamp_name_t));

                if (room == NULL) {
                    tap_bail("no memory");
                }

                sgamp_test_poison(room, 2 * names.size * sizeof(sgamp_name_t));
                sgamp_names_reserve(&names, room, 2 * names.size);
                free(old);
            }

            n = sgamp_test_names_add(&names, model, n, &random);
            bad += sgamp_test_names_differ(&names, model, n);

            if (n % 16 == 0) {
                bad += sgamp_test_slots_differ(&names);
            }
        }

        bad += sgamp_test_slots_differ(&names);

        free(room);
    }

    tap_is(bad, 0, "a table is right after each of %d names", SGAMP_TEST_NAMES);

    free(model);
}


static unsigned
sgamp_test_names_add(sgamp_names_t *names, sgamp_test_name_t *model,
    unsigned n, sgamp_test_random_t *random)
{
    int                 key;
    unsigned            i, k, keys, treat;
    sgamp_str_t         text;
    sgamp_test_name_t  *name;

    static const unsigned treats[] = {
        SGAMP_NAMES_DROP, SGAMP_NAMES_KEEP, SGAMP_NAMES_HASH
    };

    /* adds a name, or what a name is for; returns how many there are */

    name = &model[n];

    name->len = sgamp_test_random(random, SGAMP_TEST_NAME + 1);
    name->len = sgamp_test_random(random, 1 + name->len);
    name->key = SGAMP_NAMES_NO_KEY;
    name->treat = 0;

    for (i = 0; i < name->len; i++) {
        name->text[i] = "abcxyz_\xc3"[sgamp_test_random(random, 8)];
    }

    keys = 0;
    k = n;

    for (i = n; i-- != 0; /* void */ ) {
        keys += model[i].key != SGAMP_NAMES_NO_KEY;

        if (model[i].len == name->len
            && memcmp(model[i].text, name->text, name->len) == 0)
        {
            k = i;
        }
    }

    name = &model[k];

    text.data = name->text;
    text.len = name->len;

    if (sgamp_test_random(random, 3) == 0) {
        key = sgamp_names_key(names, &text);

        if (name->key == SGAMP_NAMES_NO_KEY && keys < SGAMP_MAX_KEYS) {
            name->key = (int) keys;
        }

        if (key != name->key) {
            tap_diag("key %d, not %d", key, name->key);
            return SGAMP_TEST_NAMES;
        }

        /* there is no room for another key, and the name is not added */

        return (k == n && key >= 0) ? n + 1 : n;
    }

    treat = treats[sgamp_test_random(random, 3)];
    name->treat |= treat;

    if (sgamp_names_add(names, &text, treat) != SGAMP_OK) {
        return SGAMP_TEST_NAMES;
    }

    return (k == n) ? n + 1 : n;
}


static unsigned
sgamp_test_names_differ(const sgamp_names_t *names,
    const sgamp_test_name_t *model, unsigned n)
{
    unsigned             i, bad, head;
    const sgamp_name_t  *found;

    bad = names->n != n;

    for (i = 0; i < n; i++) {
        found = sgamp_names_lookup(names, model[i].text, model[i].len);
        head = sgamp_names_head(names, model[i].text, model[i].len);

        bad += found == NULL || found->key != model[i].key
               || found->treat != model[i].treat
               || head == 0 || &names->names[head - 1] > found;
    }

    return bad;
}


static unsigned
sgamp_test_slots_differ(const sgamp_names_t *names)
{
    unsigned       slot, i, bad, head, first;
    sgamp_str_t   *text;

    bad = 0;

    for (slot = 0; slot < SGAMP_NAMES_SLOTS; slot++) {
        head = 0;
        first = 0;

        for (i = names->n; i-- != 0; /* void */ ) {
            text = &names->names[i].text;

            if (sgamp_names_slot(text->data, text->len) == slot) {
                head = i + 1;
            }

            first += sgamp_names_slot(text->data, text->len) < slot;
        }

        bad += names->heads[slot] != head || names->first[slot] != first;
    }

    return bad + (names->first[SGAMP_NAMES_SLOTS] != names->n);
}


static void
sgamp_test_names_full(void)
{
    u_char         *texts, *text;
    unsigned        i, k, n, slot, refused;
    sgamp_str_t     name;
    sgamp_name_t   *room;
    sgamp_names_t   names;

    texts = malloc((SGAMP_NAMES_MAX + 1) * SGAMP_TEST_DIGITS);
    room = malloc((SGAMP_NAMES_MAX + 1) * sizeof(sgamp_name_t));

    if (texts == NULL || room == NULL) {
        tap_bail("no memory");
    }

    sgamp_names_init(&names);
    sgamp_names_reserve(&names, room, SGAMP_NAMES_MAX + 1);

    for (i = 0; i <= SGAMP_NAMES_MAX; i++) {
        n = i;

        for (k = 0; k < SGAMP_TEST_DIGITS; k++, n /= 16) {
            texts[SGAMP_TEST_DIGITS * i + k] = (u_char) ('A' + 3 * (n % 16));
        }
    }

    refused = 0;
    name.len = SGAMP_TEST_DIGITS;

    /* in the order of slots, since each name is put behind all others then */

    for (slot = 0; slot < SGAMP_NAMES_SLOTS; slot++) {
        for (i = 0; i <= SGAMP_NAMES_MAX; i++) {
            text = texts + SGAMP_TEST_DIGITS * i;

            if (sgamp_names_slot(text, SGAMP_TEST_DIGITS) != slot) {
                continue;
            }

            name.data = text;

            refused += sgamp_names_add(&names, &name, SGAMP_NAMES_DROP)
                       == SGAMP_TOO_LARGE;
        }
    }

    tap_is(names.n, SGAMP_NAMES_MAX, "a table takes %d names",
           SGAMP_NAMES_MAX);
    tap_is(refused, 1, "and no other one");
    tap_is(sgamp_test_slots_differ(&names), 0,
           "all slots of a full table are right");

    free(texts);
    free(room);
}


static void
sgamp_test_kinds(void)
{
    u_char       text[64];
    size_t       i, k, n;
    unsigned     bad, byte;
    const char  *name;

    bad = 0;

    for (i = 0; sgamp_test_kinds_known[i].name != NULL; i++) {
        name = sgamp_test_kinds_known[i].name;
        n = strlen(name);

        bad += sgamp_kind_lookup((u_char *) name, n)
               != sgamp_test_kinds_known[i].kind;

        memcpy(text, name, n);

        /* cut, longer, with another byte, and in upper case */

        for (k = 0; k <= n; k++) {
            bad += sgamp_test_kind(text, k);
        }

        for (byte = 0; byte < 256; byte++) {
            text[n] = (u_char) byte;
            bad += sgamp_test_kind(text, n + 1);

            for (k = 0; k < n; k++) {
                text[k] = (u_char) byte;
                bad += sgamp_test_kind(text, n);
                text[k] = (u_char) name[k];
            }
        }

        for (k = 0; k < n; k++) {
            if (text[k] >= 'a' && text[k] <= 'z') {
                text[k] &= 0xdf;
            }

            bad += sgamp_test_kind(text, n);
        }

        for (k = 0; sgamp_test_kinds_known[k].name != NULL; k++) {
            n = (size_t) snprintf((char *) text, sizeof(text), "%s%s", name,
                                  sgamp_test_kinds_known[k].name);
            bad += sgamp_test_kind(text, n);
        }
    }

    tap_is(bad, 0, "kinds, and what is nearly the name of a kind");
}


static unsigned
sgamp_test_kind(const u_char *text, size_t n)
{
    u_char              *p;
    unsigned             bad;
    sgamp_kind_e         kind;
    sgamp_json_value_t   value;

    p = sgamp_test_heap_copy(text, n);

    bad = sgamp_kind_lookup(p, n) != sgamp_test_kind_of(p, n, 0);

    value.type = SGAMP_JSON_STRING;
    value.plain = sgamp_json_plain(p, p + n) == p + n;
    value.text.data = p;
    value.text.len = n;

    kind = sgamp_test_kind_of(p, n, 1);

    /* there is no event with this name */

    if (kind == SGAMP_KIND_MACHINE_OPEN) {
        kind = SGAMP_KIND_OTHER;
    }

    bad += sgamp_kind(&value) != kind;

    value.plain = 0;
    bad += sgamp_kind(&value) != kind;

    value.type = SGAMP_JSON_NUMBER;
    bad += sgamp_kind(&value) != SGAMP_KIND_OTHER;

    if (bad) {
        tap_diag_bytes("name", text, n);
    }

    free(p);

    return bad;
}


static sgamp_kind_e
sgamp_test_kind_of(const u_char *text, size_t n, unsigned lower)
{
    char         ch;
    size_t       i, k;
    const char  *name;

    for (i = 0; sgamp_test_kinds_known[i].name != NULL; i++) {
        name = sgamp_test_kinds_known[i].name;

        for (k = 0; k < n && name[k] != '\0'; k++) {
            ch = (char) text[k];

            if (lower && ch >= 'A' && ch <= 'Z') {
                ch |= 0x20;
            }

            if (ch != name[k]) {
                break;
            }
        }

        if (k == n && name[k] == '\0') {
            break;
        }
    }

    return sgamp_test_kinds_known[i].kind;
}


static void
sgamp_test_kind_escapes(void)
{
    char                 text[8];
    size_t               i, k, n;
    u_char               ch, *p;
    unsigned             bad;
    const char          *name;
    sgamp_kind_e         kind;
    sgamp_test_buf_t     json;
    sgamp_json_value_t   value;
    sgamp_test_random_t  random;

    memset(&json, 0, sizeof(sgamp_test_buf_t));

    random.state = 7;
    bad = 0;

    for (i = 0; sgamp_test_kinds_known[i].name != NULL; i++) {
        for (n = 0; n < 200; n++) {

            name = sgamp_test_kinds_known[i].name;
            json.len = 0;

            for (k = 0; name[k] != '\0'; k++) {
                ch = (u_char) name[k];

                if (ch != '_' && sgamp_test_random(&random, 3) == 0) {
                    ch &= 0xdf;
                }

                if (n == 0 || sgamp_test_random(&random, 3) == 0) {
                    (void) snprintf(text, sizeof(text), "\\u%04X", ch);
                    sgamp_test_puts(&json, text);

                } else {
                    sgamp_test_put(&json, &ch, 1);
                }
            }

            /* one character more at times */

            if (n % 8 == 7) {
                sgamp_test_puts(&json, (n % 16 == 7) ? "\\u0000" : "\\u00e9");
            }

            p = sgamp_test_heap_copy(json.data, json.len);

            value.type = SGAMP_JSON_STRING;
            value.plain = memchr(p, '\\', json.len) == NULL;
            value.text.data = p;
            value.text.len = json.len;

            kind = sgamp_test_kinds_known[i].kind;

            if (n % 8 == 7 || kind == SGAMP_KIND_MACHINE_OPEN) {
                kind = SGAMP_KIND_OTHER;
            }

            bad += sgamp_kind(&value) != kind;

            free(p);
        }
    }

    tap_is(bad, 0, "names of kinds with escapes");

    sgamp_test_free(&json);
}


static void
sgamp_test_ids(void)
{
    unsigned             i, bad, usable;
    sgamp_test_id_t     *id;
    sgamp_test_random_t  random;

    id = calloc(1, sizeof(sgamp_test_id_t));
    if (id == NULL) {
        tap_bail("no memory");
    }

    random.state = 8;
    bad = 0;
    usable = 0;

    for (i = 0; i < SGAMP_TEST_IDS && bad < 5; i++) {
        sgamp_test_id(id, &random);
        bad += sgamp_test_id_differs(id, &usable);
    }

    tap_is(bad, 0, "%d ids are usable or not, %u are", SGAMP_TEST_IDS, usable);
    tap_ok(usable > SGAMP_TEST_IDS / 4 && usable < SGAMP_TEST_IDS * 3 / 4,
           "some are, and some are not");

    sgamp_test_free(&id->json);
    free(id);
}


static void
sgamp_test_id(sgamp_test_id_t *id, sgamp_test_random_t *random)
{
    size_t    n;
    unsigned  odd, i;

    id->n = 0;
    id->json.len = 0;

    if (sgamp_test_random(random, 3) == 0) {
        sgamp_test_id_spaces(id, random);
    }

    switch (sgamp_test_random(random, 8)) {

    case 0:
    case 1:
    case 2:
        sgamp_test_id_reserved(id, random);
        n = sgamp_test_random(random, 8) ? 0 : 1;
        break;

    case 3:
        n = 1018 + sgamp_test_random(random, 12);
        break;

    case 4:
        n = sgamp_test_random(random, SGAMP_TEST_CHARS);
        n = sgamp_test_random(random, 4) ? n % 64 : n;
        break;

    default:
        n = sgamp_test_random(random, 40);
    }

    odd = 1 + sgamp_test_random(random, 1 + 2 * (uint32_t) n);

    for ( /* void */ ; n != 0; n--) {

        if (sgamp_test_random(random, odd) == 0) {
            i = sgamp_test_random(random, SGAMP_TEST_OTHERS);
            sgamp_test_id_char(id, sgamp_test_chars[i].c,
                               sgamp_test_chars[i].json);

        } else {
            sgamp_test_id_char(id, 'k', "k");
        }
    }

    if (sgamp_test_random(random, 3) == 0) {
        sgamp_test_id_spaces(id, random);
    }
}


static void
sgamp_test_id_spaces(sgamp_test_id_t *id, sgamp_test_random_t *random)
{
    char      text[8];
    size_t    n;
    uint32_t  c;

    for (n = 1 + sgamp_test_random(random, 4); n != 0; n--) {

        c = sgamp_test_spaces[sgamp_test_random(random, SGAMP_TEST_SPACES)];

        if (sgamp_test_random(random, 2)) {
            (void) snprintf(text, sizeof(text), "\\u%04x", c);

        } else if (c < 0x80) {
            c = ' ';
            (void) snprintf(text, sizeof(text), " ");

        } else if (c < 0x800) {
            (void) snprintf(text, sizeof(text), "%c%c", 0xc0 | (c >> 6),
                            0x80 | (c & 0x3f));

        } else {
            (void) snprintf(text, sizeof(text), "%c%c%c", 0xe0 | (c >> 12),
                            0x80 | ((c >> 6) & 0x3f), 0x80 | (c & 0x3f));
        }

        sgamp_test_id_char(id, c, text);
    }
}


static void
sgamp_test_id_reserved(sgamp_test_id_t *id, sgamp_test_random_t *random)
{
    char         text[8];
    u_char       ch;
    unsigned     escapes, upper;
    const char  *p;

    p = sgamp_test_reserved[sgamp_test_random(random, SGAMP_TEST_RESERVED)];

    escapes = sgamp_test_random(random, 4);
    upper = sgamp_test_random(random, 2);

    for ( /* void */ ; *p != '\0'; p++) {
        ch = (u_char) *p;

        if (upper && ch >= 'a' && ch <= 'z'
            && sgamp_test_random(random, 2) == 0)
        {
            ch &= 0xdf;
        }

        /* nearly the same at times */

        if (sgamp_test_random(random, 40) == 0) {
            ch ^= 0x01;
        }

        if (escapes == 0 && sgamp_test_random(random, 3) == 0) {
            (void) snprintf(text, sizeof(text), "\\u%04x", ch);

        } else {
            (void) snprintf(text, sizeof(text), "%c", ch);
        }

        sgamp_test_id_char(id, ch, text);
    }
}


static void
sgamp_test_id_char(sgamp_test_id_t *id, uint32_t c, const char *json)
{
    id->chars[id->n] = c;
    id->starts[id->n++] = id->json.len;

    sgamp_test_puts(&id->json, json);

    id->starts[id->n] = id->json.len;
}


static unsigned
sgamp_test_id_differs(sgamp_test_id_t *id, unsigned *usable)
{
    int                  want, got;
    size_t               from, to, i;
    u_char              *p;
    unsigned             bad;
    sgamp_json_value_t   value;

    p = sgamp_test_heap_copy(id->json.data, id->json.len);

    value.type = SGAMP_JSON_STRING;
    value.plain = 1;
    value.text.data = p;
    value.text.len = id->json.len;

    for (i = 0; i < id->json.len; i++) {
        if (p[i] == '\\' || p[i] >= 0x80) {
            value.plain = 0;
        }
    }

    from = 0;
    to = id->n;

    while (from < to && sgamp_test_is_space(id->chars[from])) {
        from++;
    }

    while (from < to && sgamp_test_is_space(id->chars[to - 1])) {
        to--;
    }

    want = to - from != 0 && to - from <= SGAMP_MAX_USER_ID
           && !sgamp_test_is_reserved(id->chars + from, to - from);

    got = sgamp_id_usable(&value);

    bad = got != want;

    if (got && want) {
        bad += value.text.data != p + id->starts[from]
               || value.text.len != id->starts[to] - id->starts[from];
    }

    if (bad) {
        tap_diag("usable: %d, want %d", got, want);
        tap_diag_bytes("id", p, id->json.len);
    }

    *usable += want;

    free(p);

    return bad;
}


static int
sgamp_test_is_reserved(const uint32_t *chars, size_t n)
{
    size_t       i, k;
    uint32_t     c;
    const char  *name;

    for (i = 0; i < SGAMP_TEST_RESERVED; i++) {
        name = sgamp_test_reserved[i];

        for (k = 0; k < n && name[k] != '\0'; k++) {
            c = chars[k];
            c += (c >= 'A' && c <= 'Z') ? 0x20 : 0;

            if (c != (u_char) name[k]) {
                break;
            }
        }

        if (k == n && name[k] == '\0') {
            return 1;
        }
    }

    return 0;
}


static int
sgamp_test_is_space(uint32_t c)
{
    size_t  i;

    for (i = 0; i < SGAMP_TEST_SPACES; i++) {
        if (sgamp_test_spaces[i] == c) {
            return 1;
        }
    }

    return 0;
}
