
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdlib.h>

#include "sgamp_test_ledger.h"


static unsigned sgamp_test_all_contacts(sgamp_ledger_t *l,
    sgamp_test_random_t *random, uint64_t now);


const sgamp_siphash_key_t  sgamp_test_hash_key = { { 1, 2 } };


sgamp_ledger_t *
sgamp_test_ledger(size_t size)
{
    void            *memory;
    sgamp_ledger_t  *l;

    memory = NULL;

    if (posix_memalign(&memory, 64, size / 64 * 64) != 0) {
        tap_bail("no memory");
    }

    sgamp_test_poison(memory, size / 64 * 64);

    l = sgamp_ledger_init(memory, size / 64 * 64, &sgamp_test_hash_key);
    if (l == NULL) {
        tap_bail("no ledger");
    }

    return l;
}


void
sgamp_test_nth(sgamp_ledger_key_t *key, uint64_t n)
{
    key->part[0] = (n + 1) * 0x9e3779b97f4a7c15ull;
    key->part[1] = n;
}


void
sgamp_test_id(u_char id[SGAMP_UUID_LEN], unsigned n)
{
    memset(id, '0', SGAMP_UUID_LEN);
    memcpy(id, &n, sizeof(n));
}


void
sgamp_test_change(sgamp_ledger_change_t *change, uint64_t list,
    sgamp_operation_e operation, uint64_t run, uint64_t now)
{
    change->list = list;
    change->run = run;
    change->operation = operation;
    change->window = SGAMP_TEST_WINDOW;
    change->now = now;
}


int
sgamp_test_alive(uint64_t process)
{
    return process < SGAMP_TEST_ALIVE;
}


unsigned
sgamp_test_all(sgamp_ledger_t *l, sgamp_test_random_t *random, uint64_t now)
{
    u_char                    id[SGAMP_UUID_LEN];
    uint64_t                  run;
    unsigned                  bad;
    sgamp_ledger_key_t        key;
    sgamp_ledger_owner_t      owner;
    sgamp_ledger_message_e    state;
    sgamp_ledger_summary_t    summary;
    sgamp_field_definition_t  field;

    bad = 0;
    run = now;
    owner.process = sgamp_test_random(random, 2000);
    owner.request = 1;

    sgamp_test_nth(&key, sgamp_test_random(random, 100000));
    sgamp_test_id(id, 5);

    bad += sgamp_ledger_list(l, &key, id, now) > 1;
    sgamp_ledger_set_list(l, &key, id, now);
    bad += sgamp_ledger_list(l, &key, id, now) != 1;

    if (sgamp_ledger_field(l, &key, &field, now)) {
        bad += field.len > SGAMP_FIELD_ID || field.type > SGAMP_TYPE_MISSING;
    }

    field.len = SGAMP_FIELD_ID;
    field.type = SGAMP_TYPE_DATE;
    memset(field.id, 'f', SGAMP_FIELD_ID);

    sgamp_ledger_set_field(l, &key, &field, now);
    bad += sgamp_ledger_field(l, &key, &field, now) != 1 || field.len != 32;

    state = sgamp_ledger_begin(l, &key, &owner, sgamp_test_alive, &run,
                               now + 100, now, &summary);
    bad += state > SGAMP_LEDGER_DONE;
    sgamp_ledger_end(l, &key, &owner, &summary, 0, now);

    bad += sgamp_ledger_take(l, &key, now) > SGAMP_LEDGER_MAX_RESET + 60000;
    sgamp_ledger_limit(l, &key, sgamp_test_random(random, 300),
                       sgamp_test_random(random, 300),
                       sgamp_test_random(random, 60000), now);
    bad += sgamp_ledger_take(l, &key, now) > SGAMP_LEDGER_MAX_RESET + 60000;

    bad += sgamp_test_all_contacts(l, random, now);

    switch (sgamp_test_random(random, 10)) {

    case 0:
        sgamp_ledger_forget_list(l, &key);
        bad += sgamp_ledger_list(l, &key, id, now) != 0;
        break;

    case 1:
        sgamp_ledger_forget_field(l, &key);
        bad += sgamp_ledger_field(l, &key, &field, now) != 0;
        break;

    default:
        break;
    }

    return bad;
}


static unsigned
sgamp_test_all_contacts(sgamp_ledger_t *l, sgamp_test_random_t *random,
    uint64_t now)
{
    uint64_t                hash, ms;
    unsigned                bad;
    sgamp_ledger_change_t   change;
    sgamp_ledger_contact_e  got;

    bad = 0;
    hash = (uint64_t) sgamp_test_random(random, 0xffffffff) << 32;

    sgamp_test_change(&change, sgamp_test_random(random, 1000),
                      (sgamp_operation_e) sgamp_test_random(random, 2),
                      sgamp_test_random(random, 1000), now);

    got = sgamp_ledger_contact(l, &change, hash, 1);
    bad += got > SGAMP_LEDGER_SETTLING;

    got = sgamp_ledger_contact(l, &change, hash, 0);
    bad += got > SGAMP_LEDGER_SETTLING;

    ms = sgamp_ledger_settles(l, &change, hash);
    bad += ms == 0 || ms > SGAMP_TEST_WINDOW;

    sgamp_ledger_accepted(l, &change, hash);

    change.run = UINT64_MAX;
    change.operation = (sgamp_operation_e) !change.operation;
    bad += sgamp_ledger_contact(l, &change, hash, 0) != SGAMP_LEDGER_SETTLING;

    change.run = 0;
    bad += sgamp_ledger_contact(l, &change, hash, 0) != SGAMP_LEDGER_STALE;

    return bad;
}
