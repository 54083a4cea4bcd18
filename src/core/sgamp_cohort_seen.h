
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_COHORT_SEEN_H_INCLUDED_
#define _SGAMP_COHORT_SEEN_H_INCLUDED_


#include "sgamp_cohort.h"


/*
 * The part of the ledger that knows contacts, see sgamp_cohort_ledger.h: sets
 * of entries, and a word for each set.  Memory may hold any bytes.
 */


#define SGAMP_SEEN_WAYS   16     /* entries of a set */
#define SGAMP_SEEN_SKEW   60000  /* ms: how far clocks are apart */
#define SGAMP_SEEN_NEVER  UINT64_MAX


/*
 * What is known of a contact of a list.  A change is the time, then the order
 * of use in the set, then the operation; so is the word of a set, whose time is
 * the newest change of the contacts that were given up.
 */

typedef struct {
    uint64_t  id;      /* of list and address, 0: the entry is free */
    uint64_t  run;
    uint64_t  change;  /* time 0: none is known */
} sgamp_seen_t;


typedef struct {
    sgamp_seen_t  *entries;
    uint64_t      *words;
    uint64_t       sets;  /* at least 1, below 2^32 */
} sgamp_seen_table_t;


#define sgamp_seen_time(change)       ((change) >> 22)
#define sgamp_seen_operation(change)  ((sgamp_operation_e) ((change) & 1))


/* the id of a contact, of two hashes; the upper bits choose the set */
uint64_t sgamp_seen_id(uint64_t list, uint64_t address);

/* the entry of a contact, or NULL */
sgamp_seen_t *sgamp_seen_find(const sgamp_seen_table_t *table, uint64_t id);

/*
 * The entry of a contact that has none, in place of the entry of the set that
 * was not used for the longest time.
 */
sgamp_seen_t *sgamp_seen_make(const sgamp_seen_table_t *table, uint64_t id,
    uint64_t now);

/* the entry is used now */
void sgamp_seen_touch(const sgamp_seen_table_t *table, sgamp_seen_t *seen);

void sgamp_seen_change(sgamp_seen_t *seen, sgamp_operation_e operation,
    uint64_t now);

/* the newest change of contacts that were given up in the set of a contact */
uint64_t sgamp_seen_lost(const sgamp_seen_table_t *table, uint64_t id);

/* fills an empty table; contacts with the newest changes stay */
void sgamp_seen_copy(const sgamp_seen_table_t *to,
    const sgamp_seen_table_t *from, uint64_t now);


/* SGAMP_SEEN_NEVER: time is 0, or too late to be believed */
uint64_t sgamp_seen_age(uint64_t time, uint64_t now);

/* ms of a window after a time that are left, or 0 */
uint64_t sgamp_seen_left(uint64_t time, uint64_t window, uint64_t now);

/* the later of two times that are believed */
uint64_t sgamp_seen_newest(uint64_t time, uint64_t other, uint64_t now);


#endif /* _SGAMP_COHORT_SEEN_H_INCLUDED_ */
