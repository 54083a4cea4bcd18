
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TEST_LEDGER_H_INCLUDED_
#define _SGAMP_TEST_LEDGER_H_INCLUDED_


#include "sgamp_cohort_ledger.h"
#include "sgamp_test.h"


#define SGAMP_TEST_SIZE    1048576
#define SGAMP_TEST_NOW     1000000
#define SGAMP_TEST_WINDOW  45000
#define SGAMP_TEST_ALIVE   1000  /* processes below are alive */


extern const sgamp_siphash_key_t  sgamp_test_hash_key;


/* an empty ledger, to be freed by free(); size is cut to a multiple of 64 */
sgamp_ledger_t *sgamp_test_ledger(size_t size);

/* the n-th key, and the n-th id of a list */
void sgamp_test_nth(sgamp_ledger_key_t *key, uint64_t n);
void sgamp_test_id(u_char id[SGAMP_UUID_LEN], unsigned n);

void sgamp_test_change(sgamp_ledger_change_t *change, uint64_t list,
    sgamp_operation_e operation, uint64_t run, uint64_t now);
int sgamp_test_alive(uint64_t process);

/* calls each function at random, returns how many results cannot be */
unsigned sgamp_test_all(sgamp_ledger_t *l,
    sgamp_test_random_t *random, uint64_t now);


#endif /* _SGAMP_TEST_LEDGER_H_INCLUDED_ */
