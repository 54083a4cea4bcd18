
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TEST_H_INCLUDED_
#define _SGAMP_TEST_H_INCLUDED_


#include "sgamp.h"
#include "tap.h"


/* memory for the core: counted, and failing on demand */

typedef struct {
    sgamp_grow_t  grow;
    size_t        calls;   /* of alloc() */
    size_t        live;    /* allocations that were not freed */
    size_t        bytes;   /* of these */
    size_t        peak;    /* the most of these */
    size_t        fail;    /* number of the call that fails, 0: none */
    unsigned      forever; /* and so do all that follow */
} sgamp_test_heap_t;


/* bytes, a zero after them; zeroed at first */

typedef struct {
    u_char  *data;
    size_t   len;
    size_t   size;
} sgamp_test_buf_t;


/* a sink that writes to a buffer, in portions of limited size */

typedef struct {
    sgamp_sink_t      sink; /* must be the first */
    sgamp_test_buf_t  buf;
    u_char            room[64];
    size_t            portion; /* bytes of room that are used */
    size_t            limit;   /* of portions, then it fails; 0: none */
} sgamp_test_sink_t;


/* memory that ends at a page which cannot be read; zeroed at first */

typedef struct {
    u_char  *start;
    u_char  *end;
    size_t   size;
    size_t   used; /* bytes before the end that are not quotes */
} sgamp_test_guard_t;


typedef struct {
    uint64_t  state;
} sgamp_test_random_t;


/* how long the next portion is, at least 1 */
typedef size_t (*sgamp_test_cut_pt)(void *data);


void sgamp_test_set(sgamp_str_t *str, const char *text);

void sgamp_test_heap_init(sgamp_test_heap_t *heap);

/* before a struct is initialized: what is not set must not be zero by chance */
void sgamp_test_poison(void *p, size_t size);

/* the same for the structs of the functions that are called next */
void sgamp_test_poison_stack(void);

/* a copy on the heap of just this size, which is freed by free() */
u_char *sgamp_test_heap_copy(const void *data, size_t n);

void sgamp_test_put(sgamp_test_buf_t *buf, const void *data, size_t n);
void sgamp_test_puts(sgamp_test_buf_t *buf, const char *text);
void sgamp_test_free(sgamp_test_buf_t *buf);

void sgamp_test_sink_init(sgamp_test_sink_t *sink, size_t portion,
    size_t limit);
void sgamp_test_sink_flush(sgamp_test_sink_t *sink);

/* makes room, which is done for what is copied, too */
void sgamp_test_guard_init(sgamp_test_guard_t *guard, size_t size);

/* copies n bytes before the page, quotes before them */
u_char *sgamp_test_guard(sgamp_test_guard_t *guard, const void *data,
    size_t n);
void sgamp_test_guard_done(sgamp_test_guard_t *guard);

uint32_t sgamp_test_random(sgamp_test_random_t *random, uint32_t n);
size_t sgamp_test_cut_random(void *data);
size_t sgamp_test_cut_fixed(void *data);

void sgamp_test_read(sgamp_test_buf_t *buf, const char *path);

/* strict JSON, by a parser that is given all at once */
int sgamp_test_valid(const u_char *p, size_t n);

/* what a function writes for n bytes that end at a page is as it should be */
typedef void (*sgamp_test_write_pt)(sgamp_sink_t *sink, const u_char *p,
    size_t n);

int sgamp_test_writes(sgamp_test_write_pt write, const u_char *p, size_t n,
    const sgamp_test_buf_t *want);

/* bytes without backslashes, their UTF-8 repaired by brute force */
void sgamp_test_repair(sgamp_test_buf_t *buf, const u_char *p, size_t n);


#endif /* _SGAMP_TEST_H_INCLUDED_ */
