
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TEST_BATCH_H_INCLUDED_
#define _SGAMP_TEST_BATCH_H_INCLUDED_


#include "sgamp_test_env.h"


/* events with numbers, in the batches of an environment */

#define SGAMP_TEST_TAIL  "],\"options\":{\"min_id_length\":1}}"


/* an environment with a batcher */
void sgamp_test_batch_start(sgamp_test_env_t *env, size_t max_size,
    uint32_t max_events);

/* the same, with a closed batch of n events and the part of all of them */
void sgamp_test_batch_sent(sgamp_test_env_t *env, uint32_t n);

/* adds the n-th event, which is pad bytes longer than needed */
int sgamp_test_batch_add(sgamp_test_env_t *env, size_t n, size_t pad);

/* such an event, as it is sent or as it is mapped */
void sgamp_test_batch_text(sgamp_test_buf_t *buf, size_t n, size_t pad,
    int mapped);

/* looks at a batch from the n-th event on, returns the number of the next */
size_t sgamp_test_batch_check(sgamp_test_env_t *env,
    const sgamp_batch_t *batch, size_t n);


#endif /* _SGAMP_TEST_BATCH_H_INCLUDED_ */
