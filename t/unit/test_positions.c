
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>
#include <stdlib.h>

#include "sgamp_parser.h"
#include "sgamp_test.h"


#define SGAMP_TEST_SLAB      4000000
#define SGAMP_TEST_ALIGN     16    /* bytes, of what the slab gives */
#define SGAMP_TEST_ELEMENTS  4     /* of a webhook at most */
#define SGAMP_TEST_SHORT     40    /* webhooks that are cut at each byte */
#define SGAMP_TEST_LONG      150   /* and at random */
#define SGAMP_TEST_EVENT     262144


/* an element, and what the parser has to find */

typedef struct {
    size_t       start;  /* in the webhook */
    size_t       len;
    uint32_t     ends[SGAMP_MAX_KEYS];
    uint32_t     seen;
    sgamp_hit_t  hits[SGAMP_MAX_HITS];
    unsigned     nhits;
    unsigned     treat;  /* of the last key */
} sgamp_test_element_t;


/*
 * memory one piece behind the other: portions are next to what yajl and the
 * parser have, or where they soon have something
 */

typedef struct {
    sgamp_grow_t  grow;
    u_char       *start;
    u_char       *pos;
    unsigned      calls;
} sgamp_test_slab_t;


typedef struct {
    sgamp_names_t         names;
    sgamp_name_t          room[64];
    sgamp_test_buf_t      text;
    sgamp_test_element_t  elements[SGAMP_TEST_ELEMENTS];
    unsigned              nelements;
    unsigned              n;    /* elements that came */
    unsigned              bad;
    unsigned              lengthy:1;
    sgamp_test_slab_t     slab;
    sgamp_test_random_t   random;
} sgamp_test_positions_t;


static void sgamp_test_names(sgamp_test_positions_t *t, unsigned treated);
static void sgamp_test_each_cut(sgamp_test_positions_t *t, const char *name);
static void sgamp_test_random_cuts(sgamp_test_positions_t *t,
    const char *name);
static void sgamp_test_webhook(sgamp_test_positions_t *t);
static void sgamp_test_object(sgamp_test_positions_t *t,
    sgamp_test_element_t *element);
static void sgamp_test_key(sgamp_test_positions_t *t,
    sgamp_test_element_t *element);
static size_t sgamp_test_key_text(sgamp_test_positions_t *t,
    const char *key);
static void sgamp_test_value(sgamp_test_positions_t *t);
static void sgamp_test_space(sgamp_test_positions_t *t);
static void sgamp_test_cut(sgamp_test_positions_t *t, size_t first,
    size_t most);
static int sgamp_test_portion(sgamp_test_positions_t *t,
    sgamp_parser_t *parser, const u_char *data, size_t n);
static int sgamp_test_see(void *data, const sgamp_element_t *event);
static void *sgamp_test_slab_alloc(void *data, size_t size);
static void sgamp_test_slab_free(void *data, void *p);


/* keys with and without a name, of lengths around those of a comparison */

static const char *const sgamp_test_keys[] = {
    "event", "timestamp", "sg_event_id", "email", "amp_user_id",
    "sg_machine_open", "", "k", "sixteen_bytes_16", "seventeen_bytes17",
    "caf\xc3\xa9", "a name that is longer than those of most members of events",
    "dropped", "hashed_and_key",
    /* no names */
    "Email", "emai1", "events", "even", "timestamq", "sg_event_ie", "kk",
    "sixteen_bytes_17", "seventeen_bytes18", "x",
    /* no names, but in the slots of names */
    "eveNt", "timeztamp", "eMail", "sixteen_b1tes_16", "seventeen.bytes17",
    "dRopped"
};

#define SGAMP_TEST_KEYS     (sizeof(sgamp_test_keys) / sizeof(char *))
#define SGAMP_TEST_NAMED    12
#define SGAMP_TEST_TREATED  14


int
main(void)
{
    sgamp_test_positions_t  t;

    memset(&t, 0, sizeof(sgamp_test_positions_t));

    t.random.state = 5;
    t.slab.grow.alloc = sgamp_test_slab_alloc;
    t.slab.grow.free = sgamp_test_slab_free;
    t.slab.grow.data = &t.slab;

    t.slab.start = malloc(SGAMP_TEST_SLAB);
    if (t.slab.start == NULL) {
        tap_bail("no memory");
    }

    sgamp_test_names(&t, 0);
    sgamp_test_each_cut(&t, "keys");
    sgamp_test_random_cuts(&t, "keys");

    sgamp_test_names(&t, 1);
    sgamp_test_each_cut(&t, "keys and rules");
    sgamp_test_random_cuts(&t, "keys and rules");

    free(t.slab.start);
    sgamp_test_free(&t.text);

    return tap_done();
}


static void
sgamp_test_names(sgamp_test_positions_t *t, unsigned treated)
{
    unsigned     i;
    sgamp_str_t  name;

    sgamp_test_poison(&t->names, sizeof(sgamp_names_t));
    sgamp_names_init(&t->names);
    sgamp_names_reserve(&t->names, t->room, 64);

    for (i = 0; i < SGAMP_TEST_NAMED; i++) {
        sgamp_test_set(&name, sgamp_test_keys[i]);
        (void) sgamp_names_key(&t->names, &name);
    }

    if (!treated) {
        return;
    }

    for ( /* void */ ; i < SGAMP_TEST_TREATED; i++) {
        sgamp_test_set(&name, sgamp_test_keys[i]);
        (void) sgamp_names_add(&t->names, &name,
                               (i % 2) ? SGAMP_NAMES_HASH : SGAMP_NAMES_DROP);
    }

    (void) sgamp_names_key(&t->names, &name);

    sgamp_test_set(&name, "email");
    (void) sgamp_names_add(&t->names, &name, SGAMP_NAMES_HASH);
}


static void
sgamp_test_each_cut(sgamp_test_positions_t *t, const char *name)
{
    size_t    n;
    unsigned  i;

    t->bad = 0;
    t->lengthy = 0;

    for (i = 0; i < SGAMP_TEST_SHORT; i++) {
        sgamp_test_webhook(t);

        /* a piece and the rest, and pieces of the same size */

        for (n = 1; n <= t->text.len; n++) {
            sgamp_test_cut(t, n, t->text.len);
        }

        for (n = 1; n < 20; n++) {
            sgamp_test_cut(t, n, n);
        }
    }

    tap_is(t->bad, 0, "%s of elements that are cut at each byte", name);
}


static void
sgamp_test_random_cuts(sgamp_test_positions_t *t, const char *name)
{
    unsigned  i, k;

    t->bad = 0;
    t->lengthy = 1;

    for (i = 0; i < SGAMP_TEST_LONG; i++) {
        sgamp_test_webhook(t);

        for (k = 0; k < 8; k++) {
            sgamp_test_cut(t, 0, (k % 2) ? 100 : 40000);
        }
    }

    tap_is(t->bad, 0, "%s of long elements that are cut at random", name);
}


static void
sgamp_test_webhook(sgamp_test_positions_t *t)
{
    unsigned  i;

    t->text.len = 0;
    t->nelements = 1 + sgamp_test_random(&t->random, SGAMP_TEST_ELEMENTS);

    sgamp_test_puts(&t->text, "[");

    for (i = 0; i < t->nelements; i++) {
        sgamp_test_puts(&t->text, i ? "," : "");
        sgamp_test_space(t);
        sgamp_test_object(t, &t->elements[i]);
        sgamp_test_space(t);
    }

    sgamp_test_puts(&t->text, "]");
}


static void
sgamp_test_object(sgamp_test_positions_t *t, sgamp_test_element_t *element)
{
    unsigned  n;

    memset(element, 0, sizeof(sgamp_test_element_t));

    element->start = t->text.len;

    sgamp_test_puts(&t->text, "{");
    sgamp_test_space(t);

    for (n = sgamp_test_random(&t->random, 9); n != 0; n--) {
        sgamp_test_key(t, element);
        sgamp_test_space(t);
        sgamp_test_puts(&t->text, ":");
        sgamp_test_space(t);
        sgamp_test_value(t);
        sgamp_test_space(t);

        if (n > 1) {
            sgamp_test_puts(&t->text, ",");
            sgamp_test_space(t);
        }
    }

    sgamp_test_puts(&t->text, "}");

    element->len = t->text.len - element->start;
}


static void
sgamp_test_key(sgamp_test_positions_t *t, sgamp_test_element_t *element)
{
    size_t         len;
    uint32_t       end, start;
    const char    *key;
    sgamp_str_t    text;
    sgamp_hit_t   *hit;
    sgamp_name_t  *name;
    unsigned       i, treat;

    key = sgamp_test_keys[sgamp_test_random(&t->random, SGAMP_TEST_KEYS)];

    len = sgamp_test_key_text(t, key);

    end = (uint32_t) (t->text.len - element->start);
    start = end - (uint32_t) len - 2;

    treat = 0;

    sgamp_test_set(&text, key);

    for (i = 0; i < t->names.n; i++) {
        name = &t->names.names[i];

        if (len != name->text.len || memcmp(name->text.data, key, len) != 0) {
            continue;
        }

        if (name->key != SGAMP_NAMES_NO_KEY) {
            element->seen |= (uint32_t) 1 << name->key;
            element->ends[name->key] = end;
        }

        treat = name->treat;
    }

    /* a hit for each change, and for each member that is hashed */

    if (treat != element->treat || (treat & SGAMP_NAMES_HASH)) {
        element->treat = treat;

        hit = &element->hits[element->nhits++];
        hit->start = start;
        hit->end = end;
        hit->treat = treat;
    }
}


static size_t
sgamp_test_key_text(sgamp_test_positions_t *t, const char *key)
{
    char      text[16];
    size_t    n;
    u_char    ch;
    unsigned  escapes;

    /* writes a key, returns its length when decoded; some have no name */

    sgamp_test_puts(&t->text, "\"");

    escapes = sgamp_test_random(&t->random, 4);

    for (n = 0; key[n] != '\0'; n++) {
        ch = (u_char) key[n];

        if (escapes != 0 || (ch & 0xc0) == 0x80
            || sgamp_test_random(&t->random, 3) != 0)
        {
            sgamp_test_put(&t->text, &ch, 1);
            continue;
        }

        if (ch >= 0x80) {
            ch = (u_char) (((ch & 0x3) << 6) | (key[++n] & 0x3f));
        }

        (void) snprintf(text, sizeof(text), "\\u%04x", ch);
        sgamp_test_puts(&t->text, text);
    }

    sgamp_test_puts(&t->text, "\"");

    return n;
}


static void
sgamp_test_value(sgamp_test_positions_t *t)
{
    size_t  n;

    /* keys within a value, which are none of the element's */

    static const char *values[] = {
        "1700000000", "null", "true", "\"\"", "\"a@b.c\"", "-1.5e3", "[]",
        "{\"email\":1,\"dropped\":{\"event\":2}}", "[{\"event\":\"x\"},3]",
        "\"\\\"email\\\":\\\\\"", "\"\xc3\xa9\\ud83d\\ude00\""
    };

    if (t->lengthy && sgamp_test_random(&t->random, 3) == 0) {
        n = (size_t) 1 << sgamp_test_random(&t->random, 16);

        sgamp_test_puts(&t->text, "\"");

        for (n = sgamp_test_random(&t->random, n); n != 0; n--) {
            sgamp_test_puts(&t->text, (n % 512) ? "v" : "\\n");
        }

        sgamp_test_puts(&t->text, "\"");
        return;
    }

    n = sgamp_test_random(&t->random, sizeof(values) / sizeof(values[0]));
    sgamp_test_puts(&t->text, values[n]);
}


static void
sgamp_test_space(sgamp_test_positions_t *t)
{
    static const char *spaces[] = { " ", "\n", "\r\n\t" };

    if (sgamp_test_random(&t->random, 6) == 0) {
        sgamp_test_puts(&t->text, spaces[sgamp_test_random(&t->random, 3)]);
    }
}


static void
sgamp_test_cut(sgamp_test_positions_t *t, size_t first, size_t most)
{
    int             rc;
    size_t          n, size;
    unsigned        bad;
    sgamp_str_t     reserve;
    sgamp_parser_t  parser;

    t->n = 0;
    t->slab.pos = t->slab.start;
    bad = t->bad;

    memset(&reserve, 0, sizeof(sgamp_str_t));
    sgamp_test_poison(&parser, sizeof(sgamp_parser_t));

    rc = sgamp_parser_init(&parser, &t->names, SGAMP_TEST_EVENT,
                           sgamp_test_see, t, &t->slab.grow, &reserve);

    size = first ? first : 1 + sgamp_test_random(&t->random, (uint32_t) most);

    for (n = 0; rc == SGAMP_OK && n < t->text.len; n += size, size = most) {

        if (first == 0) {
            size = 1 + sgamp_test_random(&t->random, (uint32_t) most);
        }

        size = (size < t->text.len - n) ? size : t->text.len - n;
        rc = sgamp_test_portion(t, &parser, t->text.data + n, size);
    }

    if (rc == SGAMP_OK) {
        rc = sgamp_parser_finish(&parser);
    }

    sgamp_parser_done(&parser);

    t->bad += rc != SGAMP_OK || t->n != t->nelements;

    if (t->bad != bad && bad == 0) {
        tap_diag("%zu bytes, then %zu: status %d, %u elements", first, most, rc,
                 t->n);
        tap_diag_bytes("text", t->text.data, t->text.len);
    }
}


static int
sgamp_test_portion(sgamp_test_positions_t *t, sgamp_parser_t *parser,
    const u_char *data, size_t n)
{
    int        rc;
    u_char    *p, *end;
    unsigned   calls, kind;

    kind = sgamp_test_random(&t->random, 3);

    p = t->slab.pos;

    if (kind == 0) {

        /* the next allocation begins where the portion ends */

        end = p + n;
        p += (SGAMP_TEST_ALIGN - (end - t->slab.start) % SGAMP_TEST_ALIGN)
             % SGAMP_TEST_ALIGN;
    }

    /* otherwise the portion begins where the last allocation ends */

    memcpy(p, data, n);

    end = t->slab.pos;
    t->slab.pos = p + n;
    calls = t->slab.calls;

    rc = sgamp_parser_feed(parser, p, n);

    /* a portion that is gone may be where the next allocation is */

    if (kind == 1 && calls == t->slab.calls) {
        sgamp_test_poison(p, n);
        t->slab.pos = end;
    }

    return rc;
}


static int
sgamp_test_see(void *data, const sgamp_element_t *event)
{
    sgamp_test_positions_t  *t = data;

    unsigned               i, n, bad, treat;
    sgamp_hit_t            hits[SGAMP_MAX_HITS];
    sgamp_test_element_t  *want;

    if (t->n == t->nelements) {
        t->bad++;
        return SGAMP_OK;
    }

    want = &t->elements[t->n++];

    bad = event->raw.len != want->len
          || memcmp(event->raw.data, t->text.data + want->start, want->len)
             != 0;

    bad += event->seen != want->seen;

    /* a key that was cut may be a hit without a change */

    n = 0;
    treat = 0;

    for (i = 0; i < event->nhits && i < SGAMP_MAX_HITS; i++) {
        if (event->hits[i].treat != treat
            || (event->hits[i].treat & SGAMP_NAMES_HASH))
        {
            treat = event->hits[i].treat;
            hits[n++] = event->hits[i];
        }
    }

    bad += n != want->nhits;

    for (i = 0; i < SGAMP_MAX_KEYS; i++) {
        bad += (want->seen & ((uint32_t) 1 << i)) != 0
               && event->ends[i] != want->ends[i];
    }

    for (i = 0; bad == 0 && i < want->nhits; i++) {
        bad += hits[i].start != want->hits[i].start
               || hits[i].end != want->hits[i].end
               || hits[i].treat != want->hits[i].treat;
    }

    t->bad += bad;

    return SGAMP_OK;
}


static void *
sgamp_test_slab_alloc(void *data, size_t size)
{
    sgamp_test_slab_t  *slab = data;

    size_t   used;
    u_char  *p;

    used = slab->pos - slab->start;
    used += (SGAMP_TEST_ALIGN - used % SGAMP_TEST_ALIGN) % SGAMP_TEST_ALIGN;

    if (size > SGAMP_TEST_SLAB - used) {
        tap_bail("the slab is full");
    }

    p = slab->start + used;

    slab->pos = p + size;
    slab->calls++;

    return p;
}


static void
sgamp_test_slab_free(void *data, void *p)
{
    (void) data;
    (void) p;
}
