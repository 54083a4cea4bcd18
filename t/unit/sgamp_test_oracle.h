
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TEST_ORACLE_H_INCLUDED_
#define _SGAMP_TEST_ORACLE_H_INCLUDED_


#include "sgamp_test.h"


/*
 * The mapping told once more: slow, with a tree and malloc(), and without a
 * line of src/core.
 */

/* lists as in a configuration, with commas, and "=" in pairs; NULL: not set */

typedef struct {
    const char  *name;
    const char  *users;
    const char  *drop;
    const char  *event_names;
    const char  *events;
    const char  *hash;
    const char  *hash_key;
    const char  *ignore;
    const char  *keep;
    const char  *properties;
    unsigned     client_ip:1;
    unsigned     lowercase:1;
} sgamp_test_oracle_rules_t;


/*
 * Adds to mapped what an event becomes, with a comma before if there is some
 * already, or to rejected why there is nothing, as the n-th of a webhook.
 */
void sgamp_test_oracle(const sgamp_test_oracle_rules_t *rules,
    const u_char *raw, size_t len, unsigned n, sgamp_test_buf_t *mapped,
    sgamp_test_buf_t *rejected);

/* the next item of a list and what stands behind its "="; 0: there is none */
int sgamp_test_oracle_item(const char **list, sgamp_test_buf_t *name,
    sgamp_test_buf_t *value);


#endif /* _SGAMP_TEST_ORACLE_H_INCLUDED_ */
