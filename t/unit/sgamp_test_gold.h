
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TEST_GOLD_H_INCLUDED_
#define _SGAMP_TEST_GOLD_H_INCLUDED_


#include <glob.h>

#include "sgamp_test_env.h"


/* a webhook of t/data, its rules, and what becomes of the webhook */

typedef struct {
    sgamp_test_env_t  env;
    sgamp_test_buf_t  json;
    sgamp_test_buf_t  gold;
    sgamp_str_t       want; /* the payloads and the rejected events */
    char              name[64];
} sgamp_test_gold_t;


/* all webhooks, to be freed with globfree() */
void sgamp_test_golds(glob_t *names);

void sgamp_test_gold_init(sgamp_test_gold_t *gold, const char *json);
void sgamp_test_gold_done(sgamp_test_gold_t *gold);


#endif /* _SGAMP_TEST_GOLD_H_INCLUDED_ */
