
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_test_batch.h"


#define SGAMP_TEST_EVENTS   400


static void sgamp_test_bounds(void);
static void sgamp_test_bound(size_t max_size, uint32_t max_events,
    size_t pad);
static void sgamp_test_exact(void);
static void sgamp_test_alone(void);
static void sgamp_test_rejected(void);
static void sgamp_test_pieces(void);
static void sgamp_test_after_done(void);
static void sgamp_test_allocations(void);


int
main(void)
{
    sgamp_test_bounds();
    sgamp_test_exact();
    sgamp_test_alone();
    sgamp_test_rejected();
    sgamp_test_pieces();
    sgamp_test_after_done();
    sgamp_test_allocations();

    return tap_done();
}


static void
sgamp_test_bounds(void)
{
    sgamp_test_bound(921600, 1000, 300);
    sgamp_test_bound(921600, 1, 300);
    sgamp_test_bound(921600, 7, 300);
    sgamp_test_bound(65536, 2000, 300);
    sgamp_test_bound(65536, 2000, 20000);
    sgamp_test_bound(40000, 3, 20000);
    sgamp_test_bound(SGAMP_PIECE_DATA, 2000, 700);
    sgamp_test_bound(2000, 2000, 300);
    sgamp_test_bound(1800, 4, 600);
}


static void
sgamp_test_bound(size_t max_size, uint32_t max_events, size_t pad)
{
    size_t            i, n, size, next;
    sgamp_batch_t    *batch;
    sgamp_test_buf_t  event;
    sgamp_test_env_t  env;

    /* each batch is as full as it can be, and no more than it may be */

    memset(&event, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_batch_start(&env, max_size, max_events);

    n = 0;

    for (i = 0; i < SGAMP_TEST_EVENTS; i++) {
        env.bad += sgamp_test_batch_add(&env, i, i * 7919 % pad) != SGAMP_OK;

        if (i == SGAMP_TEST_EVENTS - 1) {
            env.bad += sgamp_batcher_close(&env.batcher) != SGAMP_OK;
        }

        for ( ;; ) {
            batch = sgamp_batcher_take(&env.batcher);

            if (batch == NULL) {
                break;
            }

            size = batch->size;

            env.bad += size > max_size || batch->n > max_events;

            n = sgamp_test_batch_check(&env, batch, n);

            if (n < SGAMP_TEST_EVENTS && n <= i && batch->n < max_events) {
                event.len = 0;
                sgamp_test_batch_text(&event, n, n * 7919 % pad, 1);

                next = size + 1 + event.len;
                env.bad += next <= max_size;
            }

            sgamp_batch_free(&env.pieces, batch);
        }
    }

    env.bad += n != SGAMP_TEST_EVENTS;

    tap_is(env.bad, 0, "batches of %zu bytes and %u events", max_size,
           max_events);

    sgamp_test_free(&event);
    sgamp_test_env_done(&env);
}


static void
sgamp_test_exact(void)
{
    int               rc;
    size_t            size, limit;
    sgamp_batch_t    *batch;
    sgamp_test_buf_t  event;
    sgamp_test_env_t  env;

    memset(&event, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_batch_text(&event, 0, 100, 1);

    size = sizeof("{\"api_key\":\"k\\\"y\",\"events\":[") - 1 + event.len
           + sizeof(SGAMP_TEST_TAIL) - 1;

    for (limit = size - 1; limit <= size + 1; limit++) {
        sgamp_test_batch_start(&env, limit, 1000);

        rc = sgamp_test_batch_add(&env, 0, 100);

        tap_is(rc, (limit < size) ? SGAMP_TOO_LARGE : SGAMP_OK,
               "an event of %zu bytes in a batch of %zu", event.len, limit);

        sgamp_test_env_done(&env);
    }

    size += 1 + event.len;

    for (limit = size - 1; limit <= size + 1; limit++) {
        sgamp_test_batch_start(&env, limit, 1000);

        env.bad += sgamp_test_batch_add(&env, 0, 100) != SGAMP_OK;
        env.bad += sgamp_test_batch_add(&env, 1, 100) != SGAMP_OK;
        env.bad += sgamp_batcher_close(&env.batcher) != SGAMP_OK;

        batch = sgamp_batcher_take(&env.batcher);

        tap_ok(env.bad == 0 && batch != NULL
                   && batch->n == ((limit < size) ? 1 : 2),
               "two of them in a batch of %zu", limit);

        if (batch != NULL) {
            sgamp_batch_free(&env.pieces, batch);
        }

        sgamp_test_env_done(&env);
    }

    sgamp_test_free(&event);
}


static void
sgamp_test_alone(void)
{
    sgamp_batch_t    *batch;
    sgamp_test_env_t  env;

    /* one that is too large closes the batch before it, and spoils nothing */

    sgamp_test_batch_start(&env, 50000, 1000);

    tap_is(sgamp_test_batch_add(&env, 0, 10), SGAMP_OK, "a small event");
    tap_is(sgamp_test_batch_add(&env, 9, 50000), SGAMP_TOO_LARGE,
           "a large one");
    tap_is(sgamp_test_batch_add(&env, 1, 10), SGAMP_OK, "a small one");
    tap_is(sgamp_batcher_close(&env.batcher), SGAMP_OK, "close");

    batch = sgamp_batcher_take(&env.batcher);
    tap_is(sgamp_test_batch_check(&env, batch, 0), 1, "the first");
    sgamp_batch_free(&env.pieces, batch);

    batch = sgamp_batcher_take(&env.batcher);
    tap_is(sgamp_test_batch_check(&env, batch, 1), 2, "the second");
    sgamp_batch_free(&env.pieces, batch);

    tap_ok(sgamp_batcher_take(&env.batcher) == NULL, "no more");
    tap_is(env.bad, 0, "are as they should be");

    sgamp_test_env_done(&env);
}


static void
sgamp_test_rejected(void)
{
    int               reason;
    size_t            i;
    sgamp_batch_t    *batch;
    sgamp_element_t   event;
    sgamp_test_env_t  env;

    sgamp_test_batch_start(&env, 65536, 1000);

    memset(&event, 0, sizeof(sgamp_element_t));
    sgamp_test_set(&event.raw, "17");

    for (i = 0; i < 3; i++) {
        env.bad += sgamp_batcher_add(&env.batcher, &event, &reason) != SGAMP_OK
                   || reason != SGAMP_NOT_AN_OBJECT;
    }

    tap_is(sgamp_batcher_close(&env.batcher), SGAMP_OK,
           "close without an event");
    tap_ok(sgamp_batcher_take(&env.batcher) == NULL,
           "no batch of rejected events");

    for (i = 0; i < 3; i++) {
        env.bad += sgamp_batcher_add(&env.batcher, &event, &reason) != SGAMP_OK;
        env.bad += sgamp_test_batch_add(&env, i, 10) != SGAMP_OK;
        env.bad += sgamp_batcher_add(&env.batcher, &event, &reason) != SGAMP_OK;
    }

    tap_is(sgamp_batcher_close(&env.batcher), SGAMP_OK, "close");

    batch = sgamp_batcher_take(&env.batcher);
    tap_is(sgamp_test_batch_check(&env, batch, 0), 3, "they leave nothing");
    sgamp_batch_free(&env.pieces, batch);

    tap_is(sgamp_batcher_close(&env.batcher), SGAMP_OK, "close once more");
    tap_ok(sgamp_batcher_take(&env.batcher) == NULL, "no empty batch");
    tap_is(env.bad, 0, "all went well");

    sgamp_test_env_done(&env);
}


static void
sgamp_test_pieces(void)
{
    size_t            i, n, calls;
    unsigned          most;
    sgamp_batch_t    *batch, *batches;
    sgamp_test_env_t  env;

    /* neighbors share pieces; free ones are used again, and are few */

    sgamp_test_batch_start(&env, 65536, 3);

    batches = NULL;
    most = 0;
    n = 0;

    for (i = 0; i < SGAMP_TEST_EVENTS; i++) {
        env.bad += sgamp_test_batch_add(&env, i, i * 31 % 3000) != SGAMP_OK;

        batch = sgamp_batcher_take(&env.batcher);

        if (batch == NULL) {
            continue;
        }

        batch->next = batches;
        batches = batch;

        /* the newest ones are freed first, then all */

        if (++n % 10 < 7 && n % 50 != 0) {
            continue;
        }

        while (batches != NULL) {
            batch = batches;
            batches = batch->next;
            sgamp_batch_free(&env.pieces, batch);

            most = (env.pieces.nfree > most) ? env.pieces.nfree : most;

            if (n % 50 != 0) {
                break;
            }
        }
    }

    while (batches != NULL) {
        batch = batches;
        batches = batch->next;
        sgamp_batch_free(&env.pieces, batch);
    }

    tap_is(most, SGAMP_TEST_KEEP, "pieces on the free list");

    calls = env.heap.calls;

    for (i = 0; i < 3; i++) {
        env.bad += sgamp_test_batch_add(&env, i, 5000) != SGAMP_OK;
    }

    tap_ok(env.heap.calls - calls <= 3, "which are used again");
    tap_is(env.bad, 0, "all went well");

    sgamp_test_env_done(&env);
}


static void
sgamp_test_after_done(void)
{
    size_t            pad;
    sgamp_test_env_t  env;

    /* with an open batch in one piece and in more, and with a closed one */

    for (pad = 10; pad < 100000; pad *= 3000) {
        sgamp_test_batch_start(&env, 65536, 2);

        env.bad += sgamp_test_batch_add(&env, 0, 10) != SGAMP_OK;
        env.bad += sgamp_test_batch_add(&env, 1, 10) != SGAMP_OK;
        env.bad += sgamp_test_batch_add(&env, 2, pad) != SGAMP_OK;

        tap_is(env.bad, 0, "a closed batch, and an open one of %zu bytes", pad);

        sgamp_batcher_done(&env.batcher);

        tap_is(sgamp_test_batch_add(&env, 3, 10), SGAMP_NOMEM,
               "nothing is added after the end");
        tap_is(sgamp_batcher_close(&env.batcher), SGAMP_NOMEM, "nor closed");
        tap_ok(sgamp_batcher_take(&env.batcher) == NULL, "and nothing is left");
        tap_is(env.heap.live, env.pieces.nfree, "but free pieces");

        sgamp_test_env_done(&env);
    }
}


static void
sgamp_test_allocations(void)
{
    size_t            i, size;
    sgamp_batch_t    *batch;
    sgamp_test_env_t  env;

    /* room for 16 events in the batch itself, which doubles, and the pieces */

    sgamp_test_batch_start(&env, 20 * 1024 * 1024, 1000);

    for (i = 0; i < 1000; i++) {
        env.bad += sgamp_test_batch_add(&env, i, 10) != SGAMP_OK;
    }

    batch = sgamp_batcher_take(&env.batcher);
    size = (batch->offset + batch->size) / SGAMP_PIECE_DATA + 1;

    tap_is(env.bad, 0, "1000 events in a batch");
    tap_is(env.heap.calls, 1 + size + 6, "cost few allocations");

    sgamp_batch_free(&env.pieces, batch);
    sgamp_test_env_done(&env);
}
