
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TEST_ENV_H_INCLUDED_
#define _SGAMP_TEST_ENV_H_INCLUDED_


#include "sgamp_event_answer.h"
#include "sgamp_test.h"


#define SGAMP_TEST_MAX_TEXTS  256
#define SGAMP_TEST_KEEP       3   /* pieces on the free list */
#define SGAMP_TEST_HEAD       512 /* bytes before the events of a payload */


/* what the rules point to, and what belongs to them */

typedef struct {
    sgamp_test_heap_t  heap;
    sgamp_str_t        properties[SGAMP_MAX_PROPERTIES];
    sgamp_test_buf_t   texts[SGAMP_TEST_MAX_TEXTS];
    sgamp_hash_t       hash;
    sgamp_str_t        key;
    unsigned           ntexts;
    unsigned           done:1;
} sgamp_test_set_t;


/*
 * What the core needs to be used, and what comes out.  A test changes the
 * first members after sgamp_test_env_init() and before a parser or a batcher
 * is started.
 */

typedef struct {
    sgamp_str_t          api_key;
    size_t               max_event;
    size_t               max_size;
    uint32_t             max_events;
    unsigned             valid;   /* payloads are parsed once more */
    unsigned             forget;  /* each hash is computed anew */

    sgamp_test_cut_pt    cut;     /* NULL: all bytes at once */
    void                *cut_data;

    sgamp_names_t       *names;    /* NULL: those of the rules */
    sgamp_element_pt     handler;  /* NULL: adds the event to the batcher */
    void                *data;

    sgamp_rules_t        rules;
    sgamp_test_set_t     set;
    sgamp_test_heap_t    heap;    /* of all that follows */
    sgamp_str_t          reserve;
    sgamp_pieces_t       pieces;
    sgamp_parser_t       parser;
    sgamp_mapper_t       mapper;
    u_char               head[SGAMP_TEST_HEAD]; /* of the batcher */
    sgamp_batcher_t      batcher;
    sgamp_response_t     answer;
    sgamp_part_t        *part;    /* all events of the batch of an answer */
    sgamp_test_guard_t   guard;
    unsigned             parsing:1;
    unsigned             batching:1;

    sgamp_test_buf_t     out;     /* as t/data/(*).gold after the rules */
    sgamp_test_buf_t     rejected;
    uint64_t             at;
    uint32_t             nevents;
    uint32_t             ninvalid; /* payloads that are no JSON */
    int                  status;
    unsigned             bad;     /* faults that a test has found */
} sgamp_test_env_t;


/* what a webhook has to lead to */

typedef struct {
    int          status;
    uint64_t     at;      /* of the fault, if the status is SGAMP_INVALID */
    size_t       nevents;
    sgamp_str_t  out;     /* no data: is not compared */
} sgamp_test_want_t;


/* the defaults of the directives, and a key of Amplitude */
void sgamp_test_env_init(sgamp_test_env_t *env);

/* one test if memory was not freed, and no test otherwise */
void sgamp_test_env_done(sgamp_test_env_t *env);

/*
 * Adds a name, and the value that some rules have, to a rule.  Rules are named
 * as in t/data/(*).gold; names and values are copied.  The first user replaces
 * the default ones.
 */
void sgamp_test_rule(sgamp_test_env_t *env, const char *rule,
    const sgamp_str_t *name, const sgamp_str_t *value);

/* the same for a list with commas, and "=" before values; NULL: no rule */
void sgamp_test_rules(sgamp_test_env_t *env, const char *rule,
    const char *list);

void sgamp_test_rules_init(sgamp_test_env_t *env);

/* completes the rules, once; a parser or a batcher that is started does */
void sgamp_test_rules_end(sgamp_test_env_t *env);
void sgamp_test_rules_done(sgamp_test_env_t *env);

/* starts a parser alone, or a batcher alone */
int sgamp_test_parser(sgamp_test_env_t *env);
void sgamp_test_batcher(sgamp_test_env_t *env);

/* each portion ends at a page that cannot be read */
int sgamp_test_feed(sgamp_test_env_t *env, const u_char *p, size_t n);

/* frees all but the rules and what came out */
void sgamp_test_stop(sgamp_test_env_t *env);

/* a webhook from its first byte to its payloads */
void sgamp_test_run(sgamp_test_env_t *env, const u_char *p, size_t n);

/* what the last webhook led to; the bytes are valid until the next */
void sgamp_test_wanted(const sgamp_test_env_t *env, sgamp_test_want_t *want);

/*
 * Runs a webhook in portions of 1 to max bytes and more, and as a whole, or so
 * many times in random portions.  Returns how often something else came out.
 */
unsigned sgamp_test_every_cut(sgamp_test_env_t *env, const u_char *p,
    size_t n, size_t max, const sgamp_test_want_t *want);
unsigned sgamp_test_random_cuts(sgamp_test_env_t *env, const u_char *p,
    size_t n, unsigned times, sgamp_test_random_t *random,
    const sgamp_test_want_t *want);

/*
 * One test: a text has its fault in the same place, or SGAMP_TEST_FINE, in
 * portions of 1 to 32 bytes and as a whole, for both parsers
 */

#define SGAMP_TEST_FINE  -1

void sgamp_test_fault_at(sgamp_test_env_t *env, const u_char *p, size_t n,
    long at, const char *name);

/* adds the payload of a batch to a buffer */
void sgamp_test_payload(sgamp_test_buf_t *buf, const sgamp_batch_t *batch);

/*
 * Reads an answer for all events of the first closed batch, in a first portion
 * and in portions of another size.
 */
void sgamp_test_answer(sgamp_test_env_t *env, const char *text, size_t n,
    size_t first, size_t portion);
void sgamp_test_answer_done(sgamp_test_env_t *env);

/*
 * Reads a webhook without yajl, and without the core: what it has to lead to,
 * but for the bytes that come out.
 */
void sgamp_test_webhook(const u_char *p, size_t n, sgamp_test_want_t *want);


#endif /* _SGAMP_TEST_ENV_H_INCLUDED_ */
