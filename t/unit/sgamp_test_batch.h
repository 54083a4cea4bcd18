
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TEST_BATCH_H_INCLUDED_
#define _SGAMP_TEST_BATCH_H_INCLUDED_


#include "sgamp_test.h"


#define SGAMP_TEST_KEEP  3 /* pieces on the free list */
#define SGAMP_TEST_TAIL  "],\"options\":{\"min_id_length\":1}}"


/* a batcher, and what it takes to have one */

typedef struct {
    sgamp_batcher_t    b;
    sgamp_pieces_t     pieces;
    sgamp_rules_t      rules;
    sgamp_test_heap_t  heap;
    sgamp_str_t        key;
    sgamp_mapper_t     mapper;
    sgamp_test_before_t  head;
    sgamp_test_buf_t   payload;
    unsigned           bad; /* faults that were found */
} sgamp_test_batcher_t;


void sgamp_test_batch_start(sgamp_test_batcher_t *t, size_t max_size,
    uint32_t max_events);

/* adds the n-th event, which is pad bytes longer than needed */
int sgamp_test_batch_add(sgamp_test_batcher_t *t, size_t n, size_t pad);

/* such an event, as it is sent or as it is mapped */
void sgamp_test_batch_text(sgamp_test_buf_t *buf, size_t n, size_t pad,
    int mapped);

void sgamp_test_batch_walk(sgamp_test_buf_t *buf, const sgamp_batch_t *batch);

/* looks at a batch from the n-th event on, returns the number of the next */
size_t sgamp_test_batch_check(sgamp_test_batcher_t *t,
    const sgamp_batch_t *batch, size_t n);

void sgamp_test_batch_stop(sgamp_test_batcher_t *t);


#endif /* _SGAMP_TEST_BATCH_H_INCLUDED_ */
