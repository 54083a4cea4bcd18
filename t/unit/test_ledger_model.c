
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdlib.h>

#include "sgamp_test_ledger.h"


#define SGAMP_TEST_CONTACTS  8000
#define SGAMP_TEST_LISTS     24
#define SGAMP_TEST_MESSAGES  30
#define SGAMP_TEST_CALLS     4000


/* a contact of a list as the slow model knows it, which forgets nothing */

typedef struct {
    uint64_t  run;
    uint64_t  times[SGAMP_OPERATIONS];
} sgamp_test_known_t;


typedef struct {
    sgamp_ledger_message_e  state;
    sgamp_ledger_owner_t    owner;
    sgamp_ledger_summary_t  summary;
    uint64_t                run;
    uint64_t                until;
    unsigned                known:1;
} sgamp_test_message_t;


/* a call to a server with a limit a minute, and its answer */

typedef struct {
    uint64_t  time;  /* of the answer, 0: no call */
    uint32_t  remaining;
    uint64_t  reset;
} sgamp_test_call_t;


static void sgamp_test_messages(void);
static void sgamp_test_begin(sgamp_ledger_t *l, sgamp_test_message_t *m,
    const sgamp_ledger_key_t *key, const sgamp_ledger_owner_t *owner,
    uint64_t now);
static void sgamp_test_model(size_t size, uint32_t contacts,
    const char *name);
static sgamp_ledger_contact_e sgamp_test_expect(sgamp_test_known_t *known,
    const sgamp_ledger_change_t *change);
static unsigned sgamp_test_on_its_way(const sgamp_test_known_t *known,
    const sgamp_ledger_change_t *change);
static void sgamp_test_minutes(void);
static uint32_t sgamp_test_answers(sgamp_ledger_t *l,
    sgamp_test_call_t *calls, uint64_t now);
static void sgamp_test_copy(size_t size, size_t other, const char *name);
static void sgamp_test_copy_newest(void);
static void sgamp_test_copy_lists(unsigned descending);
static void sgamp_test_copy_lost(void);
static void sgamp_test_copy_order(void);
static void sgamp_test_corrupt(void);
static void sgamp_test_corrupt_entries(void);


int
main(void)
{
    sgamp_test_messages();
    sgamp_test_model(SGAMP_TEST_SIZE, 300, "few contacts");
    sgamp_test_model(SGAMP_LEDGER_MIN_SIZE, SGAMP_TEST_CONTACTS,
                     "more contacts than room");
    sgamp_test_minutes();
    sgamp_test_copy(SGAMP_TEST_SIZE, SGAMP_TEST_SIZE, "the same size");
    sgamp_test_copy(65536, 3 * SGAMP_TEST_SIZE + 64, "a larger ledger");
    sgamp_test_copy(SGAMP_TEST_SIZE, SGAMP_TEST_SIZE / 4, "a smaller ledger");
    sgamp_test_copy_newest();
    sgamp_test_copy_lists(0);
    sgamp_test_copy_lists(1);
    sgamp_test_copy_lost();
    sgamp_test_copy_order();
    sgamp_test_corrupt();
    sgamp_test_corrupt_entries();

    return tap_done();
}


static void
sgamp_test_messages(void)
{
    unsigned                i, n;
    uint64_t                now;
    sgamp_ledger_t         *l;
    sgamp_ledger_key_t      key;
    sgamp_test_random_t     random;
    sgamp_test_message_t    messages[SGAMP_TEST_MESSAGES], *m;
    sgamp_ledger_owner_t    owner;
    sgamp_ledger_summary_t  summary;

    l = sgamp_test_ledger(SGAMP_TEST_SIZE);
    memset(messages, 0, sizeof(messages));
    random.state = 3;
    now = SGAMP_TEST_NOW;

    for (i = 0; i < 20000; i++) {
        now += sgamp_test_random(&random, 20);
        n = sgamp_test_random(&random, SGAMP_TEST_MESSAGES);
        m = &messages[n];

        sgamp_test_nth(&key, n);
        owner.process = SGAMP_TEST_ALIVE - 2 + sgamp_test_random(&random, 3);
        owner.request = sgamp_test_random(&random, 3);

        if (sgamp_test_random(&random, 2) == 0) {
            sgamp_test_begin(l, m, &key, &owner, now);
            continue;
        }

        memset(&summary, 0, sizeof(sgamp_ledger_summary_t));
        summary.received = i;
        n = sgamp_test_random(&random, 4);

        sgamp_ledger_end(l, &key, &owner, (n < 2) ? &summary : NULL, n == 1,
                         now);

        if (!m->known
            || m->state != SGAMP_LEDGER_IN_WORK
            || memcmp(&m->owner, &owner, sizeof(owner)) != 0)
        {
            continue;
        }

        m->known = (n != 1);
        m->summary = summary;
        m->state = (n == 0) ? SGAMP_LEDGER_DONE : SGAMP_LEDGER_BEGUN;
    }

    n = 0;

    for (i = 0; i < SGAMP_TEST_MESSAGES; i++) {
        n += messages[i].known && messages[i].state == SGAMP_LEDGER_DONE;
    }

    tap_ok(n > 0, "%u of %u messages are done", n, SGAMP_TEST_MESSAGES);

    free(l);
}


static void
sgamp_test_begin(sgamp_ledger_t *l, sgamp_test_message_t *m,
    const sgamp_ledger_key_t *key, const sgamp_ledger_owner_t *owner,
    uint64_t now)
{
    uint64_t                run;
    sgamp_ledger_message_e  got, want;
    sgamp_ledger_summary_t  summary;

    memset(&summary, 0, sizeof(sgamp_ledger_summary_t));

    run = now * 3;
    got = sgamp_ledger_begin(l, key, owner, sgamp_test_alive, &run, now + 300,
                             now, &summary);

    if (!m->known) {
        memset(m, 0, sizeof(sgamp_test_message_t));
        m->known = 1;
        m->run = now * 3;
        m->state = SGAMP_LEDGER_BEGUN;
    }

    want = m->state;

    if (m->state == SGAMP_LEDGER_IN_WORK
        && (memcmp(&m->owner, owner, sizeof(sgamp_ledger_owner_t)) == 0
            || !sgamp_test_alive(m->owner.process)
            || now >= m->until))
    {
        want = SGAMP_LEDGER_BEGUN;
    }

    if (got != want
        || run != m->run
        || (got == SGAMP_LEDGER_DONE
            && summary.received != m->summary.received))
    {
        tap_ok(0, "message: got %d, want %d", got, want);
    }

    if (want == SGAMP_LEDGER_BEGUN) {
        m->state = SGAMP_LEDGER_IN_WORK;
        m->owner = *owner;
        m->until = now + 300;
    }
}


static void
sgamp_test_model(size_t size, uint32_t contacts, const char *name)
{
    uint32_t                i, n, hash, list, wrong, differ, counts[3];
    uint64_t                now;
    unsigned                ask;
    sgamp_ledger_t         *l;
    sgamp_test_known_t     *known, *contact;
    sgamp_test_random_t     random;
    sgamp_ledger_change_t   change;
    sgamp_ledger_contact_e  got, want;

    l = sgamp_test_ledger(size);
    random.state = 5;
    now = SGAMP_TEST_NOW;
    wrong = 0;
    differ = 0;
    memset(counts, 0, sizeof(counts));

    known = calloc(SGAMP_TEST_LISTS * contacts, sizeof(sgamp_test_known_t));
    if (known == NULL) {
        tap_bail("no memory");
    }

    for (i = 0; i < 300000; i++) {
        now += sgamp_test_random(&random, 60);

        /* most are of a few contacts and lists */

        n = 1 + sgamp_test_random(&random, contacts);
        hash = sgamp_test_random(&random, n);
        n = 1 + sgamp_test_random(&random, SGAMP_TEST_LISTS);
        list = sgamp_test_random(&random, n);

        sgamp_test_change(&change, list,
                          (sgamp_operation_e) sgamp_test_random(&random, 2),
                          now / 20000 + sgamp_test_random(&random, 3), now);
        ask = (sgamp_test_random(&random, 4) == 0);

        contact = &known[list * contacts + hash];
        want = sgamp_test_expect(contact, &change);
        got = sgamp_ledger_contact(l, &change, hash, ask);

        counts[want]++;
        differ += (got != want);

        /*
         * a ledger that had to give up contacts may take a stale change for a
         * change, or wait, but lets no two changes be on their way
         */

        wrong += got != want
                 && (got == SGAMP_LEDGER_STALE || want == SGAMP_LEDGER_SETTLING
                     || size != SGAMP_LEDGER_MIN_SIZE);

        if (got != SGAMP_LEDGER_CHANGE || ask) {
            continue;
        }

        wrong += sgamp_test_on_its_way(contact, &change);

        if (sgamp_test_random(&random, 2) == 0) {
            change.now += 20;
            sgamp_ledger_accepted(l, &change, hash);
        }

        contact->times[change.operation] = change.now;
    }

    tap_is(wrong, 0, "%s: %u, %u, %u, %u", name, counts[0], counts[1],
           counts[2], differ);
    tap_ok(counts[0] > 1000 && counts[1] > 1000 && counts[2] > 1000,
           "all answers");
    tap_ok((differ != 0) == (size == SGAMP_LEDGER_MIN_SIZE),
           "contacts are given up if there are too many");

    free(known);
    free(l);
}


static sgamp_ledger_contact_e
sgamp_test_expect(sgamp_test_known_t *known,
    const sgamp_ledger_change_t *change)
{
    if (known->run > change->run) {
        return SGAMP_LEDGER_STALE;
    }

    known->run = change->run;

    if (sgamp_test_on_its_way(known, change)) {
        return SGAMP_LEDGER_SETTLING;
    }

    return SGAMP_LEDGER_CHANGE;
}


static unsigned
sgamp_test_on_its_way(const sgamp_test_known_t *known,
    const sgamp_ledger_change_t *change)
{
    uint64_t  time;

    time = known->times[!change->operation];

    return time != 0 && change->now < time + change->window;
}


static void
sgamp_test_minutes(void)
{
    uint32_t             i, remaining, refused, flight, most, done[10];
    uint64_t             now, wait;
    sgamp_ledger_t      *l;
    sgamp_test_call_t    calls[SGAMP_TEST_CALLS];
    sgamp_ledger_key_t   key;
    sgamp_test_random_t  random;

    /*
     * a server that takes 200 calls a minute, answers within 3 s out of order,
     * and tells seconds only; others take up to 15 calls a minute
     */

    l = sgamp_test_ledger(SGAMP_LEDGER_MIN_SIZE);
    sgamp_test_nth(&key, 0);
    memset(calls, 0, sizeof(calls));
    memset(done, 0, sizeof(done));
    random.state = 9;
    remaining = 0;
    refused = 0;
    most = 0;
    i = 0;

    for (now = 600000; now < 1200000; now += 10) {

        if (now % 60000 == 0) {
            remaining = 200;
        }

        if (now % 4000 == 0 && remaining != 0) {
            remaining--;
        }

        flight = sgamp_test_answers(l, calls, now);

        if (flight >= 16 || i == SGAMP_TEST_CALLS) {
            continue;
        }

        wait = sgamp_ledger_take(l, &key, now);

        if (wait != 0) {
            most = (wait > most) ? (uint32_t) wait : most;
            continue;
        }

        refused += (remaining == 0);
        remaining -= (remaining != 0);
        done[now / 60000 - 10]++;

        calls[i].time = now + 10 + 10 * sgamp_test_random(&random, 290);
        calls[i].remaining = remaining;
        calls[i].reset = 60000 - now % 60000 / 1000 * 1000;
        i++;
    }

    tap_is(refused, 0, "no call is refused");
    tap_ok(most <= 64000, "nobody waits for %u ms", most);

    for (i = 0; i < 10; i++) {
        tap_ok(done[i] >= 150 && done[i] <= 185, "%u calls in minute %u",
               done[i], i);
    }

    free(l);
}


static uint32_t
sgamp_test_answers(sgamp_ledger_t *l, sgamp_test_call_t *calls, uint64_t now)
{
    uint32_t            i, flight;
    sgamp_ledger_key_t  key;

    sgamp_test_nth(&key, 0);
    flight = 0;

    for (i = 0; i < SGAMP_TEST_CALLS; i++) {

        if (calls[i].time == now) {
            sgamp_ledger_limit(l, &key, 200, calls[i].remaining,
                               calls[i].reset, now);
        }

        flight += (calls[i].time > now);
    }

    return flight;
}


static void
sgamp_test_copy(size_t size, size_t other, const char *name)
{
    u_char                    id[SGAMP_UUID_LEN], want[SGAMP_UUID_LEN];
    uint64_t                  run;
    unsigned                  i, bad;
    sgamp_ledger_t           *from, *to;
    sgamp_ledger_key_t        key;
    sgamp_siphash_key_t       hash_key;
    sgamp_ledger_owner_t      owner;
    sgamp_ledger_change_t     change;
    sgamp_ledger_summary_t    summary;
    sgamp_field_definition_t  field;

    from = sgamp_test_ledger(size);
    to = sgamp_test_ledger(other);

    hash_key.k[0] = 5;
    hash_key.k[1] = 6;
    (void) sgamp_ledger_init(from, size, &hash_key);

    owner.process = 1;
    owner.request = 1;
    memset(&summary, 0, sizeof(sgamp_ledger_summary_t));
    memset(&field, 0, sizeof(sgamp_field_definition_t));

    for (i = 0; i < 16; i++) {
        run = 100 + i;
        field.len = i;
        summary.calls = i;
        sgamp_test_nth(&key, i);
        sgamp_test_id(id, i);

        sgamp_ledger_set_list(from, &key, id, SGAMP_TEST_NOW);
        sgamp_ledger_set_field(from, &key, &field, SGAMP_TEST_NOW);
        sgamp_ledger_limit(from, &key, 10, 1, 1000, SGAMP_TEST_NOW);

        (void) sgamp_ledger_begin(from, &key, &owner, sgamp_test_alive, &run,
                                  SGAMP_TEST_NOW + 100, SGAMP_TEST_NOW,
                                  &summary);
        if (i < 8) {
            sgamp_ledger_end(from, &key, &owner, &summary, 0, SGAMP_TEST_NOW);
        }
    }

    sgamp_test_change(&change, 1, SGAMP_ADD, 10, SGAMP_TEST_NOW);

    for (i = 0; i < 800; i++) {
        (void) sgamp_ledger_contact(from, &change, i, 0);
    }

    sgamp_ledger_copy(to, from, SGAMP_TEST_NOW);

    tap_ok(memcmp(sgamp_ledger_hash_key(to), &hash_key, sizeof(hash_key))
           == 0,
           "%s has the key", name);
    tap_ok(sgamp_ledger_open(to, other) == to, "is a ledger");

    bad = 0;
    owner.process = 2;

    for (i = 0; i < 16; i++) {
        run = 1;
        summary.calls = 100;
        sgamp_test_nth(&key, i);
        sgamp_test_id(want, i);

        bad += !sgamp_ledger_list(to, &key, id, SGAMP_TEST_NOW)
               || memcmp(id, want, SGAMP_UUID_LEN) != 0;
        bad += !sgamp_ledger_field(to, &key, &field, SGAMP_TEST_NOW)
               || field.len != i;
        bad += sgamp_ledger_take(to, &key, SGAMP_TEST_NOW) != 1000;
        bad += sgamp_ledger_begin(to, &key, &owner, sgamp_test_alive, &run,
                                  SGAMP_TEST_NOW + 100, SGAMP_TEST_NOW,
                                  &summary)
               != ((i < 8) ? SGAMP_LEDGER_DONE : SGAMP_LEDGER_IN_WORK);
        bad += run != 100 + i || (i < 8 && summary.calls != i);
    }

    tap_is(bad, 0, "has lists, fields, limits and messages");

    bad = 0;
    change.run = 9;

    for (i = 0; i < 800; i++) {
        bad += sgamp_ledger_contact(to, &change, i, 0) != SGAMP_LEDGER_STALE;
    }

    tap_is(bad, 0, "has the contacts");

    change.run = 10;
    change.operation = SGAMP_REMOVE;

    for (i = 0; i < 800; i++) {
        bad += sgamp_ledger_contact(to, &change, i, 0)
               != SGAMP_LEDGER_SETTLING;
    }

    tap_is(bad, 0, "and their changes");

    free(from);
    free(to);
}


static void
sgamp_test_copy_newest(void)
{
    uint64_t                run;
    unsigned                i, n, bad;
    sgamp_ledger_t         *from, *to, *last;
    sgamp_ledger_key_t      key;
    sgamp_ledger_owner_t    owner;
    sgamp_ledger_change_t   change;
    sgamp_ledger_summary_t  summary;

    from = sgamp_test_ledger(SGAMP_TEST_SIZE);
    to = sgamp_test_ledger(SGAMP_LEDGER_MIN_SIZE);
    last = sgamp_test_ledger(SGAMP_TEST_SIZE);

    /* 500 contacts have newer changes than 10000 that come before and after */

    for (i = 0; i < 10500; i++) {
        n = (i >= 5000 && i < 5500);
        sgamp_test_change(&change, 1, SGAMP_ADD, 10,
                          SGAMP_TEST_NOW + (n ? 20000 : i));
        (void) sgamp_ledger_contact(from, &change, i, 0);
    }

    /* eight messages are in work, a thousand are done later */

    owner.process = 1;
    owner.request = 1;
    memset(&summary, 0, sizeof(sgamp_ledger_summary_t));

    for (i = 0; i < 1000; i++) {
        run = 7;
        sgamp_test_nth(&key, i);

        (void) sgamp_ledger_begin(from, &key, &owner, sgamp_test_alive, &run,
                                  SGAMP_TEST_NOW * 2, SGAMP_TEST_NOW + i,
                                  &summary);
        if (i >= 8) {
            sgamp_ledger_end(from, &key, &owner, &summary, 0,
                             SGAMP_TEST_NOW + i);
        }
    }

    sgamp_ledger_copy(to, from, SGAMP_TEST_NOW + 30000);

    sgamp_test_change(&change, 1, SGAMP_ADD, 9, SGAMP_TEST_NOW + 30000);
    bad = 0;

    for (i = 5000; i < 5500; i++) {
        bad += sgamp_ledger_contact(to, &change, i, 1) != SGAMP_LEDGER_STALE;
    }

    tap_ok(bad <= 5, "the newest stay, but for %u of a full set", bad);

    for (n = 0, i = 0; i < 10500; i++) {
        change.run = 9;
        n += sgamp_ledger_contact(to, &change, i, 1) == SGAMP_LEDGER_STALE;
    }

    tap_ok(n < 1000, "%u stay in all", n);

    for (n = 0, i = 0; i < 8; i++) {
        owner.request = 2;
        sgamp_test_nth(&key, i);
        n += sgamp_ledger_begin(to, &key, &owner, sgamp_test_alive, &run,
                                SGAMP_TEST_NOW * 2, SGAMP_TEST_NOW + 30000,
                                &summary)
             == SGAMP_LEDGER_IN_WORK;
    }

    tap_is(n, 8, "messages in work stay");

    /* nobody who may be on his way is forgotten, in the third ledger either */

    sgamp_ledger_copy(last, to, SGAMP_TEST_NOW + 30000);

    change.run = 10;
    change.operation = SGAMP_REMOVE;
    change.now = SGAMP_TEST_NOW + 30000;

    for (n = 0, bad = 0, i = 0; i < 10500; i++) {
        n += sgamp_ledger_contact(to, &change, i, 1) != SGAMP_LEDGER_SETTLING;
        bad += sgamp_ledger_contact(last, &change, i, 1)
               != SGAMP_LEDGER_SETTLING;
    }

    tap_is(n, 0, "those without room may be on their way");
    tap_is(bad, 0, "after the next copy, too");

    free(from);
    free(to);
    free(last);
}


static void
sgamp_test_copy_lists(unsigned descending)
{
    uint64_t               i, n, list, time;
    unsigned               bad;
    sgamp_ledger_t        *from, *to, *last;
    sgamp_ledger_change_t  change;

    /* lists come in the order of their hashes, 10 ms apart; few have room */

    from = sgamp_test_ledger(SGAMP_TEST_SIZE);
    to = sgamp_test_ledger(SGAMP_LEDGER_MIN_SIZE);
    last = sgamp_test_ledger(SGAMP_TEST_SIZE);

    n = 340;

    for (i = 0; i < 8 * n; i++) {
        list = i / 8 * (UINT64_MAX / n);
        time = SGAMP_TEST_NOW + 10 * (descending ? n - i / 8 : i / 8);

        sgamp_test_change(&change, list, SGAMP_ADD, 10, time);
        (void) sgamp_ledger_contact(from, &change, i, 0);
    }

    sgamp_ledger_copy(to, from, SGAMP_TEST_NOW + 10000);
    sgamp_ledger_copy(last, to, SGAMP_TEST_NOW + 10000);

    bad = 0;

    for (i = 0; i < 8 * n; i++) {
        list = i / 8 * (UINT64_MAX / n);
        sgamp_test_change(&change, list, SGAMP_REMOVE, 10,
                          SGAMP_TEST_NOW + 10000);

        bad += sgamp_ledger_settles(from, &change, i) == 1;
        bad += sgamp_ledger_settles(to, &change, i) == 1;
        bad += sgamp_ledger_settles(last, &change, i) == 1;
    }

    tap_is(bad, 0, "lists without room, newest %s",
           descending ? "first" : "last");

    free(from);
    free(to);
    free(last);
}


static void
sgamp_test_copy_lost(void)
{
    unsigned               i, bad;
    sgamp_ledger_t        *from, *to;
    sgamp_ledger_change_t  change;

    from = sgamp_test_ledger(65536);
    to = sgamp_test_ledger(49152);

    /* a few contacts are given up for those without a change */

    sgamp_test_change(&change, 1, SGAMP_ADD, 10, SGAMP_TEST_NOW);

    for (i = 0; i < 60; i++) {
        (void) sgamp_ledger_contact(from, &change, i, 0);
    }

    change.list = 2;

    for (i = 0; i < 20000; i++) {
        (void) sgamp_ledger_contact(from, &change, i, 1);
    }

    sgamp_ledger_copy(to, from, SGAMP_TEST_NOW);

    sgamp_test_change(&change, 1, SGAMP_REMOVE, 10, SGAMP_TEST_NOW);
    bad = 0;

    for (i = 0; i < 60; i++) {
        bad += sgamp_ledger_settles(to, &change, i) == 1;
    }

    tap_is(bad, 0, "what was given up before");

    free(to);

    /* a change every 10 ms: the old ones are over, of the rest none is lost */

    sgamp_ledger_init(from, 65536, &sgamp_test_hash_key);
    to = sgamp_test_ledger(SGAMP_LEDGER_MIN_SIZE);

    for (i = 0; i < 9000; i++) {
        sgamp_test_change(&change, 1, SGAMP_ADD, 10, SGAMP_TEST_NOW + 10 * i);
        (void) sgamp_ledger_contact(from, &change, i, 0);
    }

    sgamp_ledger_copy(to, from, SGAMP_TEST_NOW + 90000);

    bad = 0;

    for (i = 0; i < 9000; i++) {
        sgamp_test_change(&change, 1, SGAMP_REMOVE, 10,
                          SGAMP_TEST_NOW + 10 * i + SGAMP_TEST_WINDOW - 2);
        bad += change.now >= SGAMP_TEST_NOW + 90000
               && sgamp_ledger_settles(to, &change, i) == 1;
    }

    tap_is(bad, 0, "what is given up by the copy");

    free(from);
    free(to);
}


static void
sgamp_test_copy_order(void)
{
    unsigned               i, old, new;
    sgamp_ledger_t        *from, *to;
    sgamp_ledger_change_t  change;

    from = sgamp_test_ledger(65536);
    to = sgamp_test_ledger(49152);

    for (i = 0; i < 20000; i++) {
        sgamp_test_change(&change, 1, SGAMP_ADD, 10, SGAMP_TEST_NOW + i);
        (void) sgamp_ledger_contact(from, &change, i, 0);
    }

    sgamp_ledger_copy(to, from, SGAMP_TEST_NOW + 20000);

    sgamp_test_change(&change, 2, SGAMP_ADD, 10, SGAMP_TEST_NOW + 20000);

    for (i = 0; i < 300; i++) {
        (void) sgamp_ledger_contact(to, &change, i, 1);
    }

    old = 0;
    new = 0;
    change.run = 9;

    for (i = 0; i < 300; i++) {
        new += sgamp_ledger_contact(to, &change, i, 1) != SGAMP_LEDGER_STALE;
    }

    change.list = 1;

    for (i = 19800; i < 20000; i++) {
        old += sgamp_ledger_contact(to, &change, i, 1) != SGAMP_LEDGER_STALE;
    }

    tap_is(new, 0, "contacts that come after a copy stay");
    tap_is(old, 0, "and so do those with the last changes before");

    free(from);
    free(to);
}


static void
sgamp_test_corrupt(void)
{
    size_t               i, j, n, size, other;
    u_char              *p;
    unsigned             bad, round;
    sgamp_ledger_t      *l, *to;
    sgamp_test_buf_t     head;
    sgamp_test_guard_t   guard, oguard;
    sgamp_test_random_t  random;

    random.state = 11;
    size = SGAMP_LEDGER_MIN_SIZE;
    other = SGAMP_LEDGER_MIN_SIZE + 8192;

    sgamp_test_guard_init(&guard, size);
    sgamp_test_guard_init(&oguard, other);
    memset(&head, 0, sizeof(sgamp_test_buf_t));

    p = guard.end - size;
    bad = 0;

    for (round = 0; round < 60; round++) {
        l = sgamp_ledger_init(p, size, &sgamp_test_hash_key);
        to = sgamp_ledger_init(oguard.end - other, other,
                               &sgamp_test_hash_key);

        head.len = 0;
        sgamp_test_put(&head, p, SGAMP_LEDGER_HEAD);

        /* all, a part, or a few bytes */

        n = (round % 3 == 0) ? size : 1 + sgamp_test_random(&random, 20000);

        for (i = 0; i < 200; i++) {
            bad += sgamp_test_all(l, &random, SGAMP_TEST_NOW + i);
        }

        for (i = 0; i < n; i++) {
            j = (n == size) ? i : sgamp_test_random(&random, size);

            if (j >= SGAMP_LEDGER_HEAD) {
                p[j] = (round % 2) ? 0xff
                                   : (u_char) sgamp_test_random(&random, 256);
            }
        }

        for (i = 0; i < 300; i++) {
            bad += sgamp_test_all(l, &random, SGAMP_TEST_NOW + i);
        }

        sgamp_ledger_copy(to, l, SGAMP_TEST_NOW);

        for (i = 0; i < 100; i++) {
            bad += sgamp_test_all(to, &random, SGAMP_TEST_NOW + i);
        }

        bad += memcmp(p, head.data, SGAMP_LEDGER_HEAD) != 0;
        bad += sgamp_ledger_open(p, size) != l;
    }

    tap_is(bad, 0, "no harm by any bytes");

    sgamp_test_free(&head);
    sgamp_test_guard_done(&guard);
    sgamp_test_guard_done(&oguard);
}


static void
sgamp_test_corrupt_entries(void)
{
    size_t                    i, j;
    u_char                   *p, id[SGAMP_UUID_LEN];
    uint64_t                  run;
    unsigned                  n, round, bad;
    sgamp_ledger_t           *l;
    sgamp_ledger_key_t        key;
    sgamp_test_random_t       random;
    sgamp_ledger_owner_t      owner;
    sgamp_ledger_summary_t    summary;
    sgamp_field_definition_t  field;

    random.state = 13;
    bad = 0;
    n = 0;

    memset(&summary, 0, sizeof(sgamp_ledger_summary_t));
    memset(&field, 0, sizeof(sgamp_field_definition_t));
    sgamp_test_nth(&key, 1);
    sgamp_test_id(id, 1);
    owner.process = 1;
    owner.request = 1;

    for (round = 0; round < 200; round++) {
        l = sgamp_test_ledger(SGAMP_LEDGER_MIN_SIZE);
        run = 1;

        sgamp_ledger_set_list(l, &key, id, SGAMP_TEST_NOW);
        sgamp_ledger_set_field(l, &key, &field, SGAMP_TEST_NOW);
        sgamp_ledger_limit(l, &key, 200, 100, 1000, SGAMP_TEST_NOW);
        (void) sgamp_ledger_begin(l, &key, &owner, sgamp_test_alive, &run,
                                  SGAMP_TEST_NOW * 2, SGAMP_TEST_NOW,
                                  &summary);

        /* whatever follows the key */

        p = (u_char *) l;

        for (i = 0; i + 64 <= SGAMP_LEDGER_MIN_SIZE; i += 8) {

            if (memcmp(p + i, &key, sizeof(key)) != 0) {
                continue;
            }

            n++;

            for (j = sizeof(key); j < 40 + 4 * (round % 7); j++) {
                p[i + j] = (u_char) sgamp_test_random(&random, 256);
            }
        }

        bad += sgamp_ledger_field(l, &key, &field, SGAMP_TEST_NOW)
               && (field.len > SGAMP_FIELD_ID
                   || field.type > SGAMP_TYPE_MISSING);
        bad += sgamp_ledger_take(l, &key, SGAMP_TEST_NOW)
               > SGAMP_LEDGER_MAX_RESET + 60000;

        (void) sgamp_ledger_list(l, &key, id, SGAMP_TEST_NOW);
        bad += sgamp_ledger_begin(l, &key, &owner, sgamp_test_alive, &run,
                                  SGAMP_TEST_NOW * 2, SGAMP_TEST_NOW,
                                  &summary)
               > SGAMP_LEDGER_DONE;

        bad += sgamp_test_all(l, &random, SGAMP_TEST_NOW);

        free(l);
    }

    tap_is(n, 800, "entries of a list, a field, a limit and a message");
    tap_is(bad, 0, "with any bytes");
}
