
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TEST_RULES_H_INCLUDED_
#define _SGAMP_TEST_RULES_H_INCLUDED_


#include "sgamp_test.h"


#define SGAMP_TEST_NAMES  96
#define SGAMP_TEST_TEXTS  64


/* rules that are more than a flag or a number, and what they point to */

typedef struct {
    sgamp_name_t          names[SGAMP_TEST_NAMES];
    sgamp_rules_event_t   others[SGAMP_TEST_NAMES];
    sgamp_str_t           properties[SGAMP_MAX_PROPERTIES];
    sgamp_test_buf_t      texts[SGAMP_TEST_TEXTS]; /* JSON */
    sgamp_hash_t          hash;
    sgamp_str_t           key;
    unsigned              ntexts;
} sgamp_test_rules_t;


/* zeroes it, and starts the rules of the run */
void sgamp_test_rules_init(sgamp_test_rules_t *r, sgamp_test_run_t *run);

/*
 * A line of "== rules" in t/data/(*).gold, whose value is decoded in place;
 * in alphabetical order.  Returns 0 if it is not known.
 */
int sgamp_test_rules_set(sgamp_test_rules_t *r, sgamp_test_run_t *run,
    const char *name, char *value);

/* after the last one */
void sgamp_test_rules_end(sgamp_test_rules_t *r, sgamp_test_run_t *run);

void sgamp_test_rules_done(sgamp_test_rules_t *r);

/* text in hex, which is decoded in place */
void sgamp_test_unhex(sgamp_str_t *str, char *value);


#endif /* _SGAMP_TEST_RULES_H_INCLUDED_ */
