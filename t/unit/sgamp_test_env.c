
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_json.h"
#include "sgamp_test_env.h"


#define SGAMP_TEST_MAX_EVENT   262144
#define SGAMP_TEST_BATCH_SIZE  921600
#define SGAMP_TEST_EVENTS      1000
#define SGAMP_TEST_CUTS        32
#define SGAMP_TEST_LONG        4096 /* bytes of the longest portion but all */


static int sgamp_test_event(void *data, const sgamp_element_t *event);
static void sgamp_test_payloads(sgamp_test_env_t *env);
static void sgamp_test_error(sgamp_test_env_t *env);
static unsigned sgamp_test_differs(sgamp_test_env_t *env,
    const sgamp_test_want_t *want, size_t portion);


void
sgamp_test_env_init(sgamp_test_env_t *env)
{
    memset(env, 0, sizeof(sgamp_test_env_t));

    sgamp_test_set(&env->api_key, "0123456789abcdef0123456789abcdef");

    env->max_event = SGAMP_TEST_MAX_EVENT;
    env->max_size = SGAMP_TEST_BATCH_SIZE;
    env->max_events = SGAMP_TEST_EVENTS;

    sgamp_test_heap_init(&env->heap);

    env->pieces.grow = &env->heap.grow;
    env->pieces.max = SGAMP_TEST_KEEP;

    sgamp_test_rules_init(env);
}


void
sgamp_test_env_done(sgamp_test_env_t *env)
{
    sgamp_test_stop(env);

    if (env->heap.live != 0) {
        tap_is(env->heap.live, 0, "allocations that were not freed");
    }

    sgamp_test_rules_done(env);
    sgamp_test_guard_done(&env->guard);
    sgamp_test_free(&env->out);
    sgamp_test_free(&env->rejected);
}


int
sgamp_test_parser(sgamp_test_env_t *env)
{
    sgamp_test_rules_end(env);

    sgamp_test_poison(&env->parser, sizeof(sgamp_parser_t));

    env->parsing = 1;

    return sgamp_parser_init(&env->parser,
                             env->names ? env->names : &env->rules.names,
                             env->max_event,
                             env->handler ? env->handler : sgamp_test_event,
                             env->handler ? env->data : env, &env->heap.grow,
                             &env->reserve);
}


void
sgamp_test_batcher(sgamp_test_env_t *env)
{
    sgamp_str_t   head;
    sgamp_sink_t  sink;

    static const sgamp_str_t  tail = sgamp_str(SGAMP_EVENTS_TAIL);

    sgamp_test_rules_end(env);

    sgamp_sink_init(&sink, env->head, sizeof(env->head));
    sgamp_json_write(&sink, (u_char *) SGAMP_EVENTS_BEFORE_KEY,
                     sizeof(SGAMP_EVENTS_BEFORE_KEY) - 1);
    sgamp_json_escape(&sink, env->api_key.data, env->api_key.len);
    sgamp_json_write(&sink, (u_char *) SGAMP_EVENTS_AFTER_KEY,
                     sizeof(SGAMP_EVENTS_AFTER_KEY) - 1);

    if (sink.status != SGAMP_OK) {
        tap_bail("the key is too long");
    }

    head.data = env->head;
    head.len = sgamp_sink_size(&sink);

    env->mapper.rules = &env->rules;
    env->mapper.properties = env->set.properties;
    env->mapper.hash = &env->set.hash;

    sgamp_test_poison(&env->batcher, sizeof(sgamp_batcher_t));

    sgamp_batcher_init(&env->batcher, &env->pieces, sgamp_map, &env->mapper,
                       &head, &tail, env->max_size, env->max_events);

    env->batching = 1;
}


int
sgamp_test_feed(sgamp_test_env_t *env, const u_char *p, size_t n)
{
    int     rc;
    size_t  size;

    do {
        size = (env->cut != NULL) ? env->cut(env->cut_data) : n;
        size = (size < n) ? size : n;

        rc = sgamp_parser_feed(&env->parser,
                               sgamp_test_guard(&env->guard, p, size), size);

        if (rc != SGAMP_OK) {
            return rc;
        }

        p += size;
        n -= size;

    } while (n != 0);

    return SGAMP_OK;
}


void
sgamp_test_stop(sgamp_test_env_t *env)
{
    if (env->part != NULL) {
        sgamp_part_free(&env->heap.grow, env->part);
        env->part = NULL;
    }

    if (env->batching) {
        sgamp_batcher_done(&env->batcher);
        env->batching = 0;
    }

    sgamp_pieces_done(&env->pieces);

    if (env->parsing) {
        sgamp_parser_done(&env->parser);
        env->parsing = 0;
    }

    if (env->reserve.data != NULL) {
        env->heap.grow.free(&env->heap, env->reserve.data);
        memset(&env->reserve, 0, sizeof(sgamp_str_t));
    }
}


void
sgamp_test_run(sgamp_test_env_t *env, const u_char *p, size_t n)
{
    env->out.len = 0;
    env->rejected.len = 0;
    env->at = 0;
    env->nevents = 0;
    env->ninvalid = 0;

    sgamp_test_batcher(env);

    env->status = sgamp_test_parser(env);

    if (env->status == SGAMP_OK) {
        env->status = sgamp_test_feed(env, p, n);
    }

    if (env->status == SGAMP_OK) {
        env->status = sgamp_parser_finish(&env->parser);
    }

    env->at = env->parser.at;

    if (env->status == SGAMP_OK) {
        env->status = sgamp_batcher_close(&env->batcher);
        sgamp_test_payloads(env);
    }

    sgamp_test_put(&env->out, env->rejected.data, env->rejected.len);
    sgamp_test_error(env);

    sgamp_test_stop(env);
}


static int
sgamp_test_event(void *data, const sgamp_element_t *event)
{
    sgamp_test_env_t  *env = data;

    int   rc, reason;
    char  text[64];

    sgamp_test_poison_stack();

    rc = sgamp_batcher_add(&env->batcher, event, &reason);

    if (rc != SGAMP_OK) {
        return rc;
    }

    if (reason == SGAMP_IGNORED) {
        snprintf(text, sizeof(text), "== ignored %u\n", env->nevents);
        sgamp_test_puts(&env->rejected, text);

    } else if (reason != SGAMP_MAPPED) {
        snprintf(text, sizeof(text), "== rejected %u %s\n", env->nevents,
                 sgamp_reason(reason));

        sgamp_test_puts(&env->rejected, text);
        sgamp_test_put(&env->rejected, event->raw.data, event->raw.len);
        sgamp_test_puts(&env->rejected, "\n");
    }

    env->nevents++;

    sgamp_test_payloads(env);

    return SGAMP_OK;
}


static void
sgamp_test_payloads(sgamp_test_env_t *env)
{
    size_t          start;
    sgamp_batch_t  *batch;

    for ( ;; ) {
        batch = sgamp_batcher_take(&env->batcher);

        if (batch == NULL) {
            return;
        }

        sgamp_test_puts(&env->out, "== payload\n");

        start = env->out.len;

        sgamp_test_payload(&env->out, batch);

        if (env->valid
            && !sgamp_test_valid(env->out.data + start, env->out.len - start))
        {
            env->ninvalid++;
        }

        sgamp_test_puts(&env->out, "\n");

        sgamp_batch_free(&env->pieces, batch);
    }
}


void
sgamp_test_payload(sgamp_test_buf_t *buf, const sgamp_batch_t *batch)
{
    sgamp_str_t     slice;
    sgamp_cursor_t  cursor;

    sgamp_cursor_init(&cursor, batch, NULL);

    while (sgamp_cursor_next(&cursor, &slice)) {
        sgamp_test_put(buf, slice.data, slice.len);
    }
}


static void
sgamp_test_error(sgamp_test_env_t *env)
{
    char  text[64];

    switch (env->status) {

    case SGAMP_OK:
        return;

    case SGAMP_INVALID:
        snprintf(text, sizeof(text), "== error invalid %llu\n",
                 (unsigned long long) env->at);
        break;

    case SGAMP_TOO_LARGE:
        snprintf(text, sizeof(text), "== error too_large\n");
        break;

    default: /* SGAMP_NOMEM */
        snprintf(text, sizeof(text), "== error nomem\n");
    }

    sgamp_test_puts(&env->out, text);
}


void
sgamp_test_wanted(const sgamp_test_env_t *env, sgamp_test_want_t *want)
{
    want->status = env->status;
    want->at = env->at;
    want->nevents = env->nevents;
    want->out.data = env->out.data;
    want->out.len = env->out.len;
}


unsigned
sgamp_test_every_cut(sgamp_test_env_t *env, const u_char *p, size_t n,
    size_t max, const sgamp_test_want_t *want)
{
    size_t    size;
    unsigned  bad;

    env->cut = sgamp_test_cut_fixed;
    env->cut_data = &size;
    bad = 0;

    for (size = 1; size <= max && size < n; size++) {
        sgamp_test_run(env, p, n);
        bad += sgamp_test_differs(env, want, size);
    }

    size = SGAMP_TEST_LONG;

    if (size > max && size < n) {
        sgamp_test_run(env, p, n);
        bad += sgamp_test_differs(env, want, size);
    }

    env->cut = NULL;

    sgamp_test_run(env, p, n);
    bad += sgamp_test_differs(env, want, n);

    return bad;
}


unsigned
sgamp_test_random_cuts(sgamp_test_env_t *env, const u_char *p, size_t n,
    unsigned times, sgamp_test_random_t *random, const sgamp_test_want_t *want)
{
    unsigned  bad;

    env->cut = sgamp_test_cut_random;
    env->cut_data = random;

    for (bad = 0; times != 0; times--) {
        sgamp_test_run(env, p, n);
        bad += sgamp_test_differs(env, want, 0);
    }

    env->cut = NULL;

    return bad;
}


static unsigned
sgamp_test_differs(sgamp_test_env_t *env, const sgamp_test_want_t *want,
    size_t portion)
{
    if (env->status != want->status
        || env->nevents != want->nevents
        || (env->status == SGAMP_INVALID && env->at != want->at)
        || env->heap.live != 0)
    {
        tap_diag("portions of %zu: status %d at %zu, %u events, "
                 "%zu allocations",
                 portion, env->status, (size_t) env->at, env->nevents,
                 env->heap.live);
        tap_diag("want: status %d at %zu, %zu events", want->status,
                 (size_t) want->at, want->nevents);
        return 1;
    }

    if (want->out.data != NULL
        && (env->out.len != want->out.len
            || memcmp(env->out.data, want->out.data, want->out.len) != 0))
    {
        tap_diag("portions of %zu: something else comes out", portion);
        tap_diag_bytes("out", env->out.data, env->out.len);
        return 1;
    }

    return 0;
}


void
sgamp_test_fault_at(sgamp_test_env_t *env, const u_char *p, size_t n, long at,
    const char *name)
{
    long               got;
    unsigned           bad;
    sgamp_test_want_t  want;

    /* the second parser has to know as well */

    sgamp_test_webhook(p, n, &want);

    got = (want.status == SGAMP_OK) ? SGAMP_TEST_FINE : (long) want.at;
    bad = got != at;

    if (bad) {
        tap_diag("the second parser says %ld, want %ld", got, at);
    }

    bad += sgamp_test_every_cut(env, p, n, SGAMP_TEST_CUTS, &want);

    if (at == SGAMP_TEST_FINE) {
        tap_ok(bad == 0, "%s is fine", name);

    } else {
        tap_ok(bad == 0, "%s fails at %ld", name, at);
    }
}


void
sgamp_test_answer(sgamp_test_env_t *env, const char *text, size_t n,
    size_t first, size_t portion)
{
    size_t  size;

    sgamp_test_poison(&env->answer, sizeof(sgamp_response_t));
    sgamp_response_init(&env->answer, env->part->n, &env->heap.grow,
                        &env->reserve);

    for (size = first; n != 0; n -= size, text += size, size = portion) {
        size = (size < n) ? size : n;
        sgamp_response_feed(&env->answer, (u_char *) text, size);
    }
}


void
sgamp_test_answer_done(sgamp_test_env_t *env)
{
    sgamp_response_done(&env->answer);

    if (env->reserve.data != NULL) {
        env->heap.grow.free(&env->heap, env->reserve.data);
        memset(&env->reserve, 0, sizeof(sgamp_str_t));
    }
}
