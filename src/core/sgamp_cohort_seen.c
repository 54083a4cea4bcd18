
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_cohort_seen.h"


#define SGAMP_SEEN_TIME       22        /* bits below the time */
#define SGAMP_SEEN_MAX_ORDER  0x1fffff  /* in the bits below, but for one */
#define SGAMP_SEEN_PRIME      0x9e3779b97f4a7c15ull

#define sgamp_seen_order(change)  (((change) >> 1) & SGAMP_SEEN_MAX_ORDER)

/* keeps the order of writes, for who reads after a process was killed */
#define sgamp_seen_fence()        __atomic_signal_fence(__ATOMIC_SEQ_CST)


static uint64_t *sgamp_seen_word(const sgamp_seen_table_t *table, uint64_t id);
static sgamp_seen_t *sgamp_seen_set(const sgamp_seen_table_t *table,
    const uint64_t *word);
static uint64_t sgamp_seen_pack(uint64_t time, uint64_t order,
    sgamp_operation_e operation);
static void sgamp_seen_give_up(uint64_t *word, const sgamp_seen_t *seen,
    uint64_t now);
static void sgamp_seen_halve(const sgamp_seen_table_t *table, uint64_t *word);
static void sgamp_seen_copy_lost(const sgamp_seen_table_t *to,
    const sgamp_seen_table_t *from, uint64_t now);
static void sgamp_seen_copy_entry(const sgamp_seen_table_t *to,
    const sgamp_seen_t *seen, uint64_t now);
static void sgamp_seen_copy_order(const sgamp_seen_table_t *to,
    uint64_t *word);


uint64_t
sgamp_seen_id(uint64_t list, uint64_t address)
{
    uint64_t  id;

    id = (address ^ (list << 32 | list >> 32)) * SGAMP_SEEN_PRIME;
    id = (id ^ id >> 32) * SGAMP_SEEN_PRIME;

    /* 0 is that of a free entry */

    return (id != 0) ? id : 1;
}


sgamp_seen_t *
sgamp_seen_find(const sgamp_seen_table_t *table, uint64_t id)
{
    unsigned       i;
    sgamp_seen_t  *set;

    set = sgamp_seen_set(table, sgamp_seen_word(table, id));

    for (i = 0; i < SGAMP_SEEN_WAYS; i++) {
        if (set[i].id == id) {
            return &set[i];
        }
    }

    return NULL;
}


sgamp_seen_t *
sgamp_seen_make(const sgamp_seen_table_t *table, uint64_t id, uint64_t now)
{
    uint64_t      *word;
    unsigned       i;
    sgamp_seen_t  *set, *seen;

    word = sgamp_seen_word(table, id);
    set = sgamp_seen_set(table, word);
    seen = &set[0];

    for (i = 0; i < SGAMP_SEEN_WAYS; i++) {

        if (set[i].id == 0) {
            seen = &set[i];
            break;
        }

        if (sgamp_seen_order(set[i].change) < sgamp_seen_order(seen->change)) {
            seen = &set[i];
        }
    }

    if (seen->id != 0) {
        sgamp_seen_give_up(word, seen, now);

        sgamp_seen_fence();

        seen->id = 0;
    }

    sgamp_seen_fence();

    seen->run = 0;
    seen->change = 0;

    sgamp_seen_fence();

    seen->id = id;

    return seen;
}


void
sgamp_seen_touch(const sgamp_seen_table_t *table, sgamp_seen_t *seen)
{
    uint64_t  *word, order;

    word = sgamp_seen_word(table, seen->id);

    if (sgamp_seen_order(*word) == SGAMP_SEEN_MAX_ORDER) {
        sgamp_seen_halve(table, word);
    }

    order = sgamp_seen_order(*word) + 1;

    *word = sgamp_seen_pack(sgamp_seen_time(*word), order, SGAMP_ADD);

    seen->change = sgamp_seen_pack(sgamp_seen_time(seen->change), order,
                                   sgamp_seen_operation(seen->change));
}


void
sgamp_seen_change(sgamp_seen_t *seen, sgamp_operation_e operation,
    uint64_t now)
{
    seen->change = sgamp_seen_pack(now, sgamp_seen_order(seen->change),
                                   operation);
}


uint64_t
sgamp_seen_lost(const sgamp_seen_table_t *table, uint64_t id)
{
    return sgamp_seen_time(*sgamp_seen_word(table, id));
}


static uint64_t *
sgamp_seen_word(const sgamp_seen_table_t *table, uint64_t id)
{
    return &table->words[(id >> 32) * table->sets >> 32];
}


static sgamp_seen_t *
sgamp_seen_set(const sgamp_seen_table_t *table, const uint64_t *word)
{
    return &table->entries[(word - table->words) * SGAMP_SEEN_WAYS];
}


static uint64_t
sgamp_seen_pack(uint64_t time, uint64_t order, sgamp_operation_e operation)
{
    return time << SGAMP_SEEN_TIME | order << 1 | (uint64_t) operation;
}


static void
sgamp_seen_give_up(uint64_t *word, const sgamp_seen_t *seen, uint64_t now)
{
    uint64_t  time;

    time = sgamp_seen_newest(sgamp_seen_time(*word),
                             sgamp_seen_time(seen->change), now);

    *word = sgamp_seen_pack(time, sgamp_seen_order(*word), SGAMP_ADD);
}


static void
sgamp_seen_halve(const sgamp_seen_table_t *table, uint64_t *word)
{
    uint64_t       order;
    unsigned       i;
    sgamp_seen_t  *set;

    set = sgamp_seen_set(table, word);

    for (i = 0; i < SGAMP_SEEN_WAYS; i++) {
        order = sgamp_seen_order(set[i].change);

        set[i].change = sgamp_seen_pack(sgamp_seen_time(set[i].change),
                                        order / 2,
                                        sgamp_seen_operation(set[i].change));
    }

    *word = sgamp_seen_pack(sgamp_seen_time(*word), SGAMP_SEEN_MAX_ORDER / 2,
                            SGAMP_ADD);
}


void
sgamp_seen_copy(const sgamp_seen_table_t *to, const sgamp_seen_table_t *from,
    uint64_t now)
{
    uint64_t  i;

    sgamp_seen_copy_lost(to, from, now);

    for (i = 0; i < from->sets * SGAMP_SEEN_WAYS; i++) {
        if (from->entries[i].id != 0) {
            sgamp_seen_copy_entry(to, &from->entries[i], now);
        }
    }

    for (i = 0; i < to->sets; i++) {
        sgamp_seen_copy_order(to, &to->words[i]);
    }
}


static void
sgamp_seen_copy_lost(const sgamp_seen_table_t *to,
    const sgamp_seen_table_t *from, uint64_t now)
{
    uint64_t  i, j, last, time;

    /* sets are chosen by the upper bits of ids, so ranges of sets overlap */

    for (i = 0; i < to->sets; i++) {
        j = i * from->sets / to->sets;
        last = ((i + 1) * from->sets - 1) / to->sets;

        for (time = 0; j <= last; j++) {
            time = sgamp_seen_newest(time, sgamp_seen_time(from->words[j]),
                                     now);
        }

        to->words[i] = sgamp_seen_pack(time, 0, SGAMP_ADD);
    }
}


static void
sgamp_seen_copy_entry(const sgamp_seen_table_t *to, const sgamp_seen_t *seen,
    uint64_t now)
{
    uint64_t      *word;
    unsigned       i;
    sgamp_seen_t  *set, *oldest;

    word = sgamp_seen_word(to, seen->id);
    set = sgamp_seen_set(to, word);
    oldest = &set[0];

    for (i = 0; i < SGAMP_SEEN_WAYS; i++) {

        if (set[i].id == seen->id) {
            return;
        }

        if (set[i].id == 0) {
            set[i] = *seen;
            return;
        }

        if (set[i].change < oldest->change) {
            oldest = &set[i];
        }
    }

    if (seen->change < oldest->change) {
        sgamp_seen_give_up(word, seen, now);
        return;
    }

    sgamp_seen_give_up(word, oldest, now);

    *oldest = *seen;
}


static void
sgamp_seen_copy_order(const sgamp_seen_table_t *to, uint64_t *word)
{
    uint64_t       orders[SGAMP_SEEN_WAYS];
    unsigned       i, j;
    sgamp_seen_t  *set;

    /* contacts count as used in the order of their changes */

    set = sgamp_seen_set(to, word);

    for (i = 0; i < SGAMP_SEEN_WAYS; i++) {
        orders[i] = 0;

        for (j = 0; j < SGAMP_SEEN_WAYS; j++) {
            orders[i] += set[j].change < set[i].change
                         || (set[j].change == set[i].change && j < i);
        }
    }

    for (i = 0; i < SGAMP_SEEN_WAYS; i++) {
        set[i].change = sgamp_seen_pack(sgamp_seen_time(set[i].change),
                                        orders[i],
                                        sgamp_seen_operation(set[i].change));
    }

    *word = sgamp_seen_pack(sgamp_seen_time(*word), SGAMP_SEEN_WAYS,
                            SGAMP_ADD);
}


uint64_t
sgamp_seen_age(uint64_t time, uint64_t now)
{
    if (time == 0) {
        return SGAMP_SEEN_NEVER;
    }

    if (time > now) {
        return (time - now <= SGAMP_SEEN_SKEW) ? 0 : SGAMP_SEEN_NEVER;
    }

    return now - time;
}


uint64_t
sgamp_seen_left(uint64_t time, uint64_t window, uint64_t now)
{
    uint64_t  age;

    age = sgamp_seen_age(time, now);

    return (age < window) ? window - age : 0;
}


uint64_t
sgamp_seen_newest(uint64_t time, uint64_t other, uint64_t now)
{
    if (sgamp_seen_age(other, now) == SGAMP_SEEN_NEVER) {
        return time;
    }

    if (sgamp_seen_age(time, now) == SGAMP_SEEN_NEVER) {
        return other;
    }

    return (time > other) ? time : other;
}
