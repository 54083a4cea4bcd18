
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdlib.h>

#include "sgamp_test_ledger.h"


static void sgamp_test_sizes(void);
static void sgamp_test_opened(void);
static void sgamp_test_keys(void);
static void sgamp_test_ids(void);
static void sgamp_test_fields(void);
static void sgamp_test_given_up(void);
static void sgamp_test_message(void);
static void sgamp_test_forgotten(void);
static void sgamp_test_work_stays(void);
static void sgamp_test_contact(void);
static void sgamp_test_times(void);
static void sgamp_test_half(void);
static void sgamp_test_pushed(void);
static void sgamp_test_lists(void);
static void sgamp_test_order(void);
static void sgamp_test_limit(void);


int
main(void)
{
    sgamp_test_sizes();
    sgamp_test_opened();
    sgamp_test_keys();
    sgamp_test_ids();
    sgamp_test_fields();
    sgamp_test_given_up();
    sgamp_test_message();
    sgamp_test_forgotten();
    sgamp_test_work_stays();
    sgamp_test_contact();
    sgamp_test_times();
    sgamp_test_half();
    sgamp_test_pushed();
    sgamp_test_lists();
    sgamp_test_order();
    sgamp_test_limit();

    return tap_done();
}


static void
sgamp_test_sizes(void)
{
    size_t                i, size, bad;
    u_char               *p;
    sgamp_ledger_t       *l;
    sgamp_test_guard_t    guard;
    sgamp_test_random_t   random;
    sgamp_ledger_count_t  room;

    static const size_t sizes[] = {
        32768, 32832, 33024, 40000, 65536, 65600, 99968, 1048576, 1300032
    };

    random.state = 1;

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size = sizes[i];

        /* the ledger ends at a page that must not be touched */

        sgamp_test_guard_init(&guard, size);
        p = guard.end - size;

        l = sgamp_ledger_init(p, size, &sgamp_test_hash_key);

        if (!tap_ok(l != NULL, "%zu bytes", size)) {
            return;
        }

        bad = 0;

        sgamp_ledger_room(l, &room);

        bad += room.lists < 16 || room.fields < 16 || room.limits < 16
               || room.changed < 16 || room.messages < 48;

        bad += (size_t) room.contacts * 24 > size / 4 * 3
               || (size_t) room.contacts * 24 < size / 10 * 7;

        while (room.contacts != 0) {
            bad += sgamp_test_all(l, &random, SGAMP_TEST_NOW);
            room.contacts /= 2;
        }

        tap_is(bad, 0, "have room");
        tap_ok(sgamp_ledger_open(p, size) == l, "are found again");

        sgamp_test_guard_done(&guard);
    }
}


static void
sgamp_test_opened(void)
{
    size_t           i, bad;
    u_char          *p;
    sgamp_ledger_t  *l;

    l = sgamp_test_ledger(SGAMP_TEST_SIZE);
    p = (u_char *) l;

    tap_ok(sgamp_ledger_init(p, SGAMP_LEDGER_MIN_SIZE - 1,
                             &sgamp_test_hash_key)
           == NULL,
           "too small");
    tap_ok(memcmp(sgamp_ledger_hash_key(l), &sgamp_test_hash_key,
                  sizeof(sgamp_siphash_key_t))
           == 0,
           "the key");

    tap_ok(sgamp_ledger_open(p, SGAMP_TEST_SIZE + 64) == l,
           "more memory than the ledger has");
    tap_ok(sgamp_ledger_open(p, SGAMP_TEST_SIZE - 64) == NULL,
           "less memory");
    tap_ok(sgamp_ledger_open(p, SGAMP_LEDGER_MIN_SIZE - 64) == NULL,
           "too small to be one");

    bad = 0;

    for (i = 0; i < SGAMP_LEDGER_HEAD; i++) {
        p[i] ^= 1;
        bad += (sgamp_ledger_open(p, SGAMP_TEST_SIZE) == l);
        p[i] ^= 1;
    }

    /* the key may have any value, and some bytes are not used */

    tap_is(bad, sizeof(sgamp_siphash_key_t) + 56, "each byte of the head");

    memmove(p + 8, p, SGAMP_LEDGER_HEAD);
    tap_ok(sgamp_ledger_open(p + 8, SGAMP_TEST_SIZE) == NULL, "not aligned");

    memset(p, 0, SGAMP_LEDGER_HEAD);
    tap_ok(sgamp_ledger_open(p, SGAMP_TEST_SIZE) == NULL, "nothing there");

    free(p);
}


static void
sgamp_test_keys(void)
{
    unsigned            i, j, n, same;
    sgamp_str_t         texts[2];
    sgamp_ledger_key_t  keys[8];

    static const struct {
        const char  *texts[2];
        unsigned     n;
    } rows[] = {
        { { "", "" }, 0 },
        { { "", "" }, 1 },
        { { "", "" }, 2 },
        { { "ab", "c" }, 2 },
        { { "a", "bc" }, 2 },
        { { "c", "ab" }, 2 },
        { { "abc", "" }, 1 },
        { { "abc", "" }, 2 }
    };

    n = sizeof(rows) / sizeof(rows[0]);

    for (i = 0; i < n; i++) {
        sgamp_test_set(&texts[0], rows[i].texts[0]);
        sgamp_test_set(&texts[1], rows[i].texts[1]);

        sgamp_test_poison(&keys[i], sizeof(sgamp_ledger_key_t));

        tap_is(sgamp_ledger_key(&keys[i], texts, rows[i].n), SGAMP_OK,
               "key %u", i);
    }

    same = 0;

    for (i = 0; i < n; i++) {
        for (j = 0; j < n; j++) {
            same += memcmp(&keys[i], &keys[j], sizeof(keys[i])) == 0;
        }
    }

    tap_is(same, n, "all keys differ");

    texts[0].data = (u_char *) "a key";
    texts[0].len = 1;
    texts[1].data = (u_char *) "bcd";
    texts[1].len = 2;

    (void) sgamp_ledger_key(&keys[0], texts, 2);

    tap_ok(memcmp(&keys[0], &keys[4], sizeof(keys[0])) == 0,
           "the same texts have the same key");
}


static void
sgamp_test_ids(void)
{
    u_char              id[SGAMP_UUID_LEN], want[SGAMP_UUID_LEN];
    unsigned            i, bad;
    sgamp_ledger_t     *l;
    sgamp_ledger_key_t  key;

    l = sgamp_test_ledger(SGAMP_TEST_SIZE);
    bad = 0;

    for (i = 0; i < 60; i++) {
        sgamp_test_nth(&key, i);
        sgamp_test_id(want, i);

        bad += sgamp_ledger_list(l, &key, id, SGAMP_TEST_NOW);
        sgamp_ledger_set_list(l, &key, want, SGAMP_TEST_NOW);
    }

    tap_is(bad, 0, "no list is known");

    for (i = 0; i < 60; i++) {
        sgamp_test_nth(&key, i);
        sgamp_test_id(want, i);

        bad += !sgamp_ledger_list(l, &key, id, SGAMP_TEST_NOW)
               || memcmp(id, want, SGAMP_UUID_LEN) != 0;
    }

    tap_is(bad, 0, "all lists are known");

    sgamp_test_nth(&key, 5);
    sgamp_test_id(want, 500);
    sgamp_ledger_set_list(l, &key, want, SGAMP_TEST_NOW);

    tap_is(sgamp_ledger_list(l, &key, id, SGAMP_TEST_NOW), 1, "list 5");
    tap_bytes(id, SGAMP_UUID_LEN, want, SGAMP_UUID_LEN, "has another id");

    sgamp_ledger_forget_list(l, &key);
    sgamp_ledger_forget_list(l, &key);
    tap_is(sgamp_ledger_list(l, &key, id, SGAMP_TEST_NOW), 0, "is forgotten");

    /* half of a key is not the key */

    sgamp_test_nth(&key, 6);
    key.part[1]++;
    tap_is(sgamp_ledger_list(l, &key, id, SGAMP_TEST_NOW), 0, "another key");

    sgamp_test_nth(&key, 6);
    tap_is(sgamp_ledger_list(l, &key, id, SGAMP_TEST_NOW), 1, "list 6");

    free(l);
}


static void
sgamp_test_fields(void)
{
    sgamp_ledger_t           *l;
    sgamp_ledger_key_t        key;
    sgamp_field_definition_t  field, got;

    l = sgamp_test_ledger(SGAMP_LEDGER_MIN_SIZE);

    sgamp_test_nth(&key, 1);
    memset(field.id, 'x', SGAMP_FIELD_ID);
    field.len = SGAMP_FIELD_ID;
    field.type = SGAMP_TYPE_DATE;

    tap_is(sgamp_ledger_field(l, &key, &got, SGAMP_TEST_NOW), 0, "no field");

    sgamp_ledger_set_field(l, &key, &field, SGAMP_TEST_NOW);
    tap_is(sgamp_ledger_field(l, &key, &got, SGAMP_TEST_NOW), 1, "a field");
    tap_bytes(got.id, got.len, field.id, field.len, "its id");
    tap_is(got.type, SGAMP_TYPE_DATE, "its type");

    memcpy(field.id, "e2_T", 4);
    field.len = 4;
    field.type = SGAMP_TYPE_MISSING;

    sgamp_ledger_set_field(l, &key, &field, SGAMP_TEST_NOW);
    tap_is(sgamp_ledger_field(l, &key, &got, SGAMP_TEST_NOW), 1, "once more");
    tap_bytes(got.id, got.len, "e2_T", 4, "another id");
    tap_is(got.type, SGAMP_TYPE_MISSING, "another type");

    sgamp_ledger_forget_field(l, &key);
    tap_is(sgamp_ledger_field(l, &key, &got, SGAMP_TEST_NOW), 0, "forgotten");

    free(l);
}


static void
sgamp_test_given_up(void)
{
    u_char              id[SGAMP_UUID_LEN];
    unsigned            i, n, bad;
    sgamp_ledger_t     *l;
    sgamp_ledger_key_t  key;

    /* list 0 is used all the time, list 1 is not */

    l = sgamp_test_ledger(SGAMP_LEDGER_MIN_SIZE);
    bad = 0;

    for (i = 0; i < 1000; i++) {
        sgamp_test_nth(&key, i);
        sgamp_test_id(id, i);
        sgamp_ledger_set_list(l, &key, id, SGAMP_TEST_NOW + i);

        sgamp_test_nth(&key, 0);
        bad += !sgamp_ledger_list(l, &key, id, SGAMP_TEST_NOW + i);
    }

    tap_is(bad, 0, "what is used stays");

    n = 0;

    for (i = 0; i < 900; i++) {
        sgamp_test_nth(&key, i);
        n += sgamp_ledger_list(l, &key, id, SGAMP_TEST_NOW + 1000);
    }

    tap_is(n, 1, "what is not used is given up");

    for (n = 0, i = 900; i < 1000; i++) {
        sgamp_test_nth(&key, i);
        n += sgamp_ledger_list(l, &key, id, SGAMP_TEST_NOW + 1000);
    }

    tap_is(n, 15, "all of the room is used");

    free(l);
}


static void
sgamp_test_message(void)
{
    unsigned                i;
    uint64_t                run;
    sgamp_ledger_t         *l;
    sgamp_ledger_key_t      key;
    sgamp_ledger_owner_t    owner;
    sgamp_ledger_summary_t  summary;

    static const sgamp_ledger_summary_t done = { 1, 2, 3, 4, 5 };

    /* b: begins, e: ends, f: fails, g: ends and is forgotten */

    static const struct {
        const char              *name;
        uint64_t                 now;
        uint64_t                 run;
        uint64_t                 want_run;
        unsigned                 process;
        unsigned                 request;
        sgamp_ledger_message_e   want;
        char                     what;
    } rows[] = {
        { "the first", 1, 70, 70, 5, 1, SGAMP_LEDGER_BEGUN, 'b' },
        { "the same owner", 2, 71, 70, 5, 1, SGAMP_LEDGER_BEGUN, 'b' },
        { "another request", 3, 72, 70, 5, 2, SGAMP_LEDGER_IN_WORK, 'b' },
        { "another process", 4, 72, 70, 6, 1, SGAMP_LEDGER_IN_WORK, 'b' },
        { "fails by another", 5, 0, 0, 6, 1, SGAMP_LEDGER_BEGUN, 'f' },
        { "ends by another", 5, 0, 0, 5, 2, SGAMP_LEDGER_BEGUN, 'e' },
        { "is forgotten by another", 5, 0, 0, 5, 2, SGAMP_LEDGER_BEGUN, 'g' },
        { "still in work", 101, 72, 70, 6, 1, SGAMP_LEDGER_IN_WORK, 'b' },
        { "too late", 102, 72, 70, 6, 1, SGAMP_LEDGER_BEGUN, 'b' },
        { "ends too late", 103, 0, 0, 5, 1, SGAMP_LEDGER_BEGUN, 'e' },
        { "in work anew", 104, 73, 70, 5, 1, SGAMP_LEDGER_IN_WORK, 'b' },
        { "fails", 105, 0, 0, 6, 1, SGAMP_LEDGER_BEGUN, 'f' },
        { "after the failure", 106, 74, 70, 7, 9, SGAMP_LEDGER_BEGUN, 'b' },
        { "while in work", 107, 74, 70, 8, 9, SGAMP_LEDGER_IN_WORK, 'b' },
        { "ends", 108, 0, 0, 7, 9, SGAMP_LEDGER_BEGUN, 'e' },
        { "fails at last", 109, 0, 0, 7, 9, SGAMP_LEDGER_BEGUN, 'f' },
        { "is forgotten at last", 109, 0, 0, 7, 9, SGAMP_LEDGER_BEGUN, 'g' },
        { "done", 110, 75, 70, 7, 9, SGAMP_LEDGER_DONE, 'b' },
        { "done long ago", 100000110, 75, 70, 8, 1, SGAMP_LEDGER_DONE, 'b' }
    };

    l = sgamp_test_ledger(SGAMP_LEDGER_MIN_SIZE);
    sgamp_test_nth(&key, 7);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        owner.process = rows[i].process;
        owner.request = rows[i].request;
        run = rows[i].run;
        memset(&summary, 0, sizeof(sgamp_ledger_summary_t));

        if (rows[i].what != 'b') {
            sgamp_ledger_end(l, &key, &owner,
                             (rows[i].what == 'f') ? NULL : &done,
                             rows[i].what == 'g', rows[i].now);
            continue;
        }

        tap_is(sgamp_ledger_begin(l, &key, &owner, sgamp_test_alive, &run,
                                  rows[i].now + 100, rows[i].now, &summary),
               rows[i].want, "%s", rows[i].name);
        tap_is(run, rows[i].want_run, "its run");

        if (rows[i].want == SGAMP_LEDGER_DONE) {
            tap_bytes(&summary, sizeof(summary), &done, sizeof(done),
                      "its summary");
        }
    }

    free(l);
}


static void
sgamp_test_forgotten(void)
{
    uint64_t                run;
    sgamp_ledger_t         *l;
    sgamp_ledger_key_t      key;
    sgamp_ledger_owner_t    owner;
    sgamp_ledger_summary_t  summary;

    static const sgamp_ledger_summary_t done = { 1, 2, 3, 4, 5 };

    l = sgamp_test_ledger(SGAMP_LEDGER_MIN_SIZE);

    /* a process that is dead has nothing in work */

    sgamp_test_nth(&key, 8);
    owner.request = 1;
    owner.process = SGAMP_TEST_ALIVE;
    run = 1;

    tap_is(sgamp_ledger_begin(l, &key, &owner, sgamp_test_alive, &run, 1000,
                              1, &summary),
           SGAMP_LEDGER_BEGUN, "of a process that dies");

    owner.process = 5;
    run = 2;

    tap_is(sgamp_ledger_begin(l, &key, &owner, sgamp_test_alive, &run, 1000,
                              1, &summary),
           SGAMP_LEDGER_BEGUN, "after the death");
    tap_is(run, 1, "keeps its run");

    sgamp_ledger_end(l, &key, &owner, &done, 1, 2);

    run = 3;

    tap_is(sgamp_ledger_begin(l, &key, &owner, sgamp_test_alive, &run, 1000,
                              3, &summary),
           SGAMP_LEDGER_BEGUN, "done and forgotten");
    tap_is(run, 3, "has a new run");

    /* now in work, by another request than the next */

    sgamp_ledger_forget_message(l, &key);

    owner.process = 6;
    run = 4;

    tap_is(sgamp_ledger_begin(l, &key, &owner, sgamp_test_alive, &run, 1000,
                              4, &summary),
           SGAMP_LEDGER_IN_WORK, "in work, and not forgotten");

    owner.process = 5;
    sgamp_ledger_end(l, &key, &owner, &done, 0, 5);
    sgamp_ledger_forget_message(l, &key);

    run = 5;

    tap_is(sgamp_ledger_begin(l, &key, &owner, sgamp_test_alive, &run, 1000,
                              6, &summary),
           SGAMP_LEDGER_BEGUN, "done, and forgotten");
    tap_is(run, 5, "has a new run, too");

    free(l);
}


static void
sgamp_test_work_stays(void)
{
    unsigned                i, in_work;
    uint64_t                run;
    sgamp_ledger_t         *l;
    sgamp_ledger_key_t      key;
    sgamp_ledger_owner_t    owner, other;
    sgamp_ledger_summary_t  summary;

    /* messages that are done do not push out a message in work */

    l = sgamp_test_ledger(SGAMP_LEDGER_MIN_SIZE);
    memset(&summary, 0, sizeof(sgamp_ledger_summary_t));

    owner.process = 1;
    other.process = 2;

    for (i = 0; i < 1000; i++) {
        sgamp_test_nth(&key, i);
        owner.request = i;
        run = i;

        (void) sgamp_ledger_begin(l, &key, &owner, sgamp_test_alive, &run,
                                  SGAMP_TEST_NOW * 2, SGAMP_TEST_NOW + i,
                                  &summary);
        if (i >= 8) {
            sgamp_ledger_end(l, &key, &owner, &summary, 0, SGAMP_TEST_NOW + i);
        }
    }

    in_work = 0;
    other.request = 0;

    for (i = 0; i < 8; i++) {
        sgamp_test_nth(&key, i);

        in_work += sgamp_ledger_begin(l, &key, &other, sgamp_test_alive, &run,
                                      SGAMP_TEST_NOW * 2,
                                      SGAMP_TEST_NOW + 1000, &summary)
                   == SGAMP_LEDGER_IN_WORK;
    }

    tap_is(in_work, 8, "messages in work stay");

    /* after their time they do not */

    for (i = 1000; i < 2000; i++) {
        sgamp_test_nth(&key, i);
        owner.request = i;

        (void) sgamp_ledger_begin(l, &key, &owner, sgamp_test_alive, &run,
                                  SGAMP_TEST_NOW * 3,
                                  SGAMP_TEST_NOW * 2 + i, &summary);
        sgamp_ledger_end(l, &key, &owner, &summary, 0, SGAMP_TEST_NOW * 2 + i);
    }

    in_work = 0;

    for (i = 0; i < 8; i++) {
        sgamp_test_nth(&key, i);
        run = 77;

        (void) sgamp_ledger_begin(l, &key, &other, sgamp_test_alive, &run,
                                  SGAMP_TEST_NOW * 3,
                                  SGAMP_TEST_NOW * 2 + 2000, &summary);
        in_work += (run != 77);
    }

    tap_is(in_work, 0, "but no longer than they may take");

    free(l);
}


static void
sgamp_test_contact(void)
{
    unsigned               i;
    sgamp_ledger_t        *l;
    sgamp_ledger_change_t  change;

    /* c: a change, a: asks only, d: accepted, s: how long until settled */

    static const struct {
        const char         *name;
        unsigned            now;
        unsigned            run;
        sgamp_operation_e   operation;
        char                what;
        unsigned            want;
    } rows[] = {
        { "the first", 0, 10, SGAMP_ADD, 'c', SGAMP_LEDGER_CHANGE },
        { "again", 1, 10, SGAMP_ADD, 'c', SGAMP_LEDGER_CHANGE },
        { "older", 2, 9, SGAMP_ADD, 'c', SGAMP_LEDGER_STALE },
        { "older, back", 2, 9, SGAMP_REMOVE, 'c', SGAMP_LEDGER_STALE },
        { "same run, back", 3, 10, SGAMP_REMOVE, 'c', SGAMP_LEDGER_SETTLING },
        { "how long", 3, 10, SGAMP_REMOVE, 's', SGAMP_TEST_WINDOW - 2 },
        { "newer, back", 4, 11, SGAMP_REMOVE, 'c', SGAMP_LEDGER_SETTLING },
        { "older than settling", 5, 10, SGAMP_ADD, 'c', SGAMP_LEDGER_STALE },
        { "accepted", 1000, 10, SGAMP_ADD, 'd', 0 },
        { "older than the newest", 1001, 10, SGAMP_ADD, 'c',
          SGAMP_LEDGER_STALE },
        { "a ms early", 1000 + SGAMP_TEST_WINDOW - 1, 11, SGAMP_REMOVE, 'c',
          SGAMP_LEDGER_SETTLING },
        { "a ms", 1000 + SGAMP_TEST_WINDOW - 1, 11, SGAMP_REMOVE, 's', 1 },
        { "settled, asked", 1000 + SGAMP_TEST_WINDOW, 11, SGAMP_REMOVE, 'a',
          SGAMP_LEDGER_CHANGE },
        { "at least a ms", 1000 + SGAMP_TEST_WINDOW, 11, SGAMP_REMOVE, 's',
          1 },
        { "back, as it was asked only", 1000 + SGAMP_TEST_WINDOW, 11,
          SGAMP_ADD, 'a', SGAMP_LEDGER_CHANGE },
        { "settled", 1000 + SGAMP_TEST_WINDOW, 11, SGAMP_REMOVE, 'c',
          SGAMP_LEDGER_CHANGE },
        { "asked while on its way", 46001, 12, SGAMP_ADD, 'a',
          SGAMP_LEDGER_SETTLING },
        { "asked notes the run", 46002, 11, SGAMP_REMOVE, 'a',
          SGAMP_LEDGER_STALE },
        { "asked anew", 46003, 20, SGAMP_REMOVE, 'a', SGAMP_LEDGER_CHANGE },
        { "and notes this run", 46004, 19, SGAMP_REMOVE, 'c',
          SGAMP_LEDGER_STALE },
        { "long after", 460000, 20, SGAMP_ADD, 'c', SGAMP_LEDGER_CHANGE },
        { "stale for ever", 4600000, 19, SGAMP_REMOVE, 'c',
          SGAMP_LEDGER_STALE }
    };

    l = sgamp_test_ledger(SGAMP_LEDGER_MIN_SIZE);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sgamp_test_change(&change, 1, rows[i].operation, rows[i].run,
                          SGAMP_TEST_NOW + rows[i].now);

        switch (rows[i].what) {

        case 'd':
            sgamp_ledger_accepted(l, &change, 99);
            break;

        case 's':
            tap_is(sgamp_ledger_settles(l, &change, 99), rows[i].want, "%s",
                   rows[i].name);
            break;

        default:
            tap_is(sgamp_ledger_contact(l, &change, 99, rows[i].what == 'a'),
                   rows[i].want, "%s", rows[i].name);
            break;
        }
    }

    /* the contact of another list, and another contact of the list */

    sgamp_test_change(&change, 2, SGAMP_REMOVE, 1, SGAMP_TEST_NOW + 460001);
    tap_is(sgamp_ledger_contact(l, &change, 99, 0), SGAMP_LEDGER_CHANGE,
           "of another list");

    sgamp_test_change(&change, 1, SGAMP_REMOVE, 1, SGAMP_TEST_NOW + 460001);
    tap_is(sgamp_ledger_contact(l, &change, 98, 0), SGAMP_LEDGER_CHANGE,
           "another contact");

    free(l);
}


static void
sgamp_test_times(void)
{
    sgamp_ledger_t        *l;
    sgamp_ledger_change_t  change;

    /* the clock of the other process is late, or the time is none */

    l = sgamp_test_ledger(SGAMP_LEDGER_MIN_SIZE);

    sgamp_test_change(&change, 1, SGAMP_ADD, 1, SGAMP_TEST_NOW + 60000);
    (void) sgamp_ledger_contact(l, &change, 1, 0);

    sgamp_test_change(&change, 1, SGAMP_REMOVE, 1, SGAMP_TEST_NOW);
    tap_is(sgamp_ledger_contact(l, &change, 1, 1), SGAMP_LEDGER_SETTLING,
           "a clock that is late");
    tap_is(sgamp_ledger_settles(l, &change, 1), SGAMP_TEST_WINDOW,
           "settles after a window");

    change.now--;
    tap_is(sgamp_ledger_contact(l, &change, 1, 1), SGAMP_LEDGER_CHANGE,
           "a time that cannot be");

    /* the greatest time there is */

    sgamp_test_change(&change, 1, SGAMP_ADD, UINT64_MAX,
                      (1ull << 42) - 1 - SGAMP_TEST_WINDOW);
    (void) sgamp_ledger_contact(l, &change, 2, 0);

    change.operation = SGAMP_REMOVE;
    change.now += SGAMP_TEST_WINDOW - 1;
    tap_is(sgamp_ledger_contact(l, &change, 2, 1), SGAMP_LEDGER_SETTLING,
           "in the last window");

    change.now++;
    tap_is(sgamp_ledger_contact(l, &change, 2, 1), SGAMP_LEDGER_CHANGE,
           "at the last time");

    free(l);
}


static void
sgamp_test_half(void)
{
    u_char                *kept;
    unsigned               i, n;
    sgamp_ledger_t        *l;
    sgamp_ledger_count_t   room;
    sgamp_ledger_change_t  change;

    l = sgamp_test_ledger(SGAMP_TEST_SIZE);
    sgamp_ledger_room(l, &room);

    sgamp_test_change(&change, 1, SGAMP_ADD, 10, SGAMP_TEST_NOW);

    for (i = 0; i < room.contacts / 2; i++) {
        (void) sgamp_ledger_contact(l, &change, i, 0);
    }

    kept = malloc(SGAMP_TEST_SIZE);
    if (kept == NULL) {
        tap_bail("no memory");
    }

    memcpy(kept, l, SGAMP_TEST_SIZE);

    change.run = 9;
    n = 0;

    for (i = 0; i < room.contacts / 2; i++) {

        if (sgamp_ledger_contact(l, &change, i, 1) == SGAMP_LEDGER_STALE) {
            n++;

        } else {

            /* a contact that is made anew pushes out another */

            memcpy(l, kept, SGAMP_TEST_SIZE);
        }
    }

    tap_ok(n >= room.contacts / 2 / 1000 * 998, "%u of %u are known", n,
           room.contacts / 2);

    free(kept);
    free(l);
}


static void
sgamp_test_pushed(void)
{
    uint64_t               now;
    unsigned               i, counts[3];
    sgamp_ledger_t        *l;
    sgamp_ledger_change_t  change;

    l = sgamp_test_ledger(SGAMP_LEDGER_MIN_SIZE);
    now = SGAMP_TEST_NOW;

    /* list 1 adds one contact, list 2 pushes this contact out */

    sgamp_test_change(&change, 1, SGAMP_ADD, 10, now);
    (void) sgamp_ledger_contact(l, &change, 1, 0);

    sgamp_test_change(&change, 2, SGAMP_ADD, 10, now + 1000);

    for (i = 0; i < 20000; i++) {
        (void) sgamp_ledger_contact(l, &change, i, 0);
    }

    sgamp_test_change(&change, 1, SGAMP_REMOVE, 9, now + 2000);
    tap_is(sgamp_ledger_contact(l, &change, 1, 0), SGAMP_LEDGER_SETTLING,
           "given up, goes by the list's last change");
    tap_is(sgamp_ledger_settles(l, &change, 1), SGAMP_TEST_WINDOW - 2000,
           "as long as this change takes");

    change.now++;
    tap_is(sgamp_ledger_contact(l, &change, 1, 1), SGAMP_LEDGER_SETTLING,
           "and again, though there is an entry now");

    change.operation = SGAMP_ADD;
    tap_is(sgamp_ledger_contact(l, &change, 1, 1), SGAMP_LEDGER_CHANGE,
           "but not the same operation");

    sgamp_test_change(&change, 3, SGAMP_REMOVE, 9, now + 2000);
    tap_is(sgamp_ledger_contact(l, &change, 1, 0), SGAMP_LEDGER_CHANGE,
           "a list without changes");

    /* the list changes anew, but what was given up is older */

    sgamp_test_change(&change, 1, SGAMP_ADD, 9, now + 20000);
    (void) sgamp_ledger_contact(l, &change, 50000, 0);

    change.operation = SGAMP_REMOVE;
    tap_is(sgamp_ledger_settles(l, &change, 1), SGAMP_TEST_WINDOW - 19000,
           "no longer than the newest of all that were given up");

    sgamp_test_change(&change, 2, SGAMP_REMOVE, 10,
                             now + 999 + SGAMP_TEST_WINDOW);
    memset(counts, 0, sizeof(counts));

    for (i = 0; i < 20000; i++) {
        counts[sgamp_ledger_contact(l, &change, i, 1)]++;
    }

    tap_is(counts[SGAMP_LEDGER_SETTLING], 20000, "all may be on their way");

    change.now++;
    memset(counts, 0, sizeof(counts));

    for (i = 0; i < 20000; i++) {
        counts[sgamp_ledger_contact(l, &change, i, 1)]++;
    }

    tap_is(counts[SGAMP_LEDGER_CHANGE], 20000, "and have arrived");

    /* what is given up without a change, or long after, holds nothing up */

    sgamp_test_change(&change, 2, SGAMP_REMOVE, 10, change.now + 1000);
    (void) sgamp_ledger_contact(l, &change, 1, 0);

    change.operation = SGAMP_ADD;
    memset(counts, 0, sizeof(counts));

    for (i = 2; i < 20000; i++) {
        counts[sgamp_ledger_contact(l, &change, i, 1)]++;
    }

    tap_ok(counts[SGAMP_LEDGER_SETTLING] < 20000 / 25,
           "%u of all settle after two were given up",
           counts[SGAMP_LEDGER_SETTLING]);

    free(l);
}


static void
sgamp_test_lists(void)
{
    uint64_t               i;
    unsigned               n;
    sgamp_ledger_t        *l;
    sgamp_ledger_change_t  change;

    /* the lists are given up, too */

    l = sgamp_test_ledger(SGAMP_LEDGER_MIN_SIZE);

    for (i = 0; i < 20000; i++) {
        sgamp_test_change(&change, i << 40, SGAMP_ADD, 10, SGAMP_TEST_NOW);
        (void) sgamp_ledger_contact(l, &change, i, 0);
    }

    n = 0;

    for (i = 0; i < 20000; i++) {
        sgamp_test_change(&change, i << 40, SGAMP_REMOVE, 10,
                          SGAMP_TEST_NOW + 1);
        n += sgamp_ledger_contact(l, &change, i, 1) == SGAMP_LEDGER_SETTLING;
    }

    tap_is(n, 20000, "contacts of lists that were given up");

    /* a list that comes back may have changed before */

    sgamp_test_change(&change, 1ull << 40, SGAMP_REMOVE, 10,
                      SGAMP_TEST_NOW + 2);
    sgamp_ledger_accepted(l, &change, 77777);
    tap_is(sgamp_ledger_contact(l, &change, 1, 1), SGAMP_LEDGER_SETTLING,
           "a list that is back");

    free(l);
}


static void
sgamp_test_order(void)
{
    unsigned               i, j, n;
    sgamp_ledger_t        *l;
    sgamp_ledger_change_t  change;

    /* the order of use starts over, and what is used all the time stays */

    l = sgamp_test_ledger(SGAMP_LEDGER_MIN_SIZE);

    n = 0;

    for (i = 0; i < 5; i++) {
        sgamp_test_change(&change, 1, SGAMP_ADD, 10, SGAMP_TEST_NOW);

        for (j = 0; j < 500000; j++) {
            (void) sgamp_ledger_contact(l, &change, 1, 0);
        }

        for (j = 0; j < 3000; j++) {
            (void) sgamp_ledger_contact(l, &change, 100 + j + 3000 * i, 0);

            change.run = 9;
            n += sgamp_ledger_contact(l, &change, 1, 1) != SGAMP_LEDGER_STALE;
            change.run = 10;
        }
    }

    tap_is(n, 0, "a contact that is used stays");

    free(l);
}


static void
sgamp_test_limit(void)
{
    uint64_t            now;
    unsigned            i, n;
    sgamp_ledger_t     *l;
    sgamp_ledger_key_t  key;

    /* l: an answer, t: takes and waits for so long, n: takes so many */

    static const struct {
        const char  *name;
        char         what;
        unsigned     now;
        unsigned     limit;
        unsigned     remaining;
        unsigned     reset;
        unsigned     want;
    } rows[] = {
        { "not known", 't', 0, 0, 0, 0, 0 },
        { "", 'l', 0, 200, 25, 10000, 0 },
        { "a tenth is left", 'n', 1, 0, 0, 0, 5 },
        { "waits", 't', 2, 0, 0, 0, 9998 },
        { "", 'l', 3, 200, 199, 9000, 0 },
        { "an older answer", 't', 3, 0, 0, 0, 9997 },
        { "a ms before", 't', 9999, 0, 0, 0, 1 },
        { "time is over", 'n', 10000, 0, 0, 0, 1000 },
        { "", 'l', 10001, 200, 30, 60000, 0 },
        { "", 'l', 10002, 200, 22, 60500, 0 },
        { "the smaller counts", 'n', 10003, 0, 0, 0, 2 },
        { "", 'l', 10004, 200, 199, 1000, 0 },
        { "of the window before", 't', 10005, 0, 0, 0, 60497 },
        { "", 'l', 60000, 200, 199, 60000, 0 },
        { "a later window", 'n', 60001, 0, 0, 0, 179 },
        { "", 'l', 60002, 200, 0, 5000, 0 },
        { "429", 't', 60002, 0, 0, 0, 5000 },
        { "429 is over", 't', 65002, 0, 0, 0, 0 },
        { "", 'l', 100000, 200, 100, 0, 0 },
        { "no reset", 'n', 100000, 0, 0, 0, 1000 },
        { "", 'l', 200000, 0, 2, 30000, 0 },
        { "no limit, no reserve", 'n', 200000, 0, 0, 0, 2 },
        { "", 'l', 300000, 9, 2, 30000, 0 },
        { "a small limit, no reserve", 'n', 300000, 0, 0, 0, 2 },
        { "", 'l', 400000, 10, 10, 30000, 0 },
        { "a limit of 10", 'n', 400000, 0, 0, 0, 9 },
        { "", 'l', 500000, 11, 11, 30000, 0 },
        { "rounded up", 'n', 500000, 0, 0, 0, 9 },
        { "", 'l', 600000, 4294967295u, 429496732, 30000, 0 },
        { "a great limit", 'n', 600000, 0, 0, 0, 2 },
        { "", 'l', 600000, 0, 429496731, 30000, 0 },
        { "the limit is known", 't', 600001, 0, 0, 0, 29999 },
        { "", 'l', 700000, 10, 0, 4000000000u, 0 },
        { "bounded", 't', 700000, 0, 0, 0, SGAMP_LEDGER_MAX_RESET }
    };

    l = sgamp_test_ledger(SGAMP_LEDGER_MIN_SIZE);
    sgamp_test_nth(&key, 1);

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        now = SGAMP_TEST_NOW + rows[i].now;

        switch (rows[i].what) {

        case 'l':
            sgamp_ledger_limit(l, &key, rows[i].limit, rows[i].remaining,
                               rows[i].reset, now);
            break;

        case 't':
            tap_is(sgamp_ledger_take(l, &key, now), rows[i].want, "%s",
                   rows[i].name);
            break;

        default:
            for (n = 0; n < 1000; n++) {
                if (sgamp_ledger_take(l, &key, now) != 0) {
                    break;
                }
            }

            tap_is(n, rows[i].want, "%s", rows[i].name);
            break;
        }
    }

    sgamp_test_nth(&key, 2);
    tap_is(sgamp_ledger_take(l, &key, SGAMP_TEST_NOW + 700001), 0,
           "another limit");

    free(l);
}
