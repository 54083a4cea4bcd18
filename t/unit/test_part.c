
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_test_batch.h"


#define SGAMP_TEST_EVENTS  400
#define SGAMP_TEST_PARTS   40
#define SGAMP_TEST_RANGE   30


static void sgamp_test_parts(void);
static void sgamp_test_part(sgamp_test_env_t *env,
    const sgamp_batch_t *batch, sgamp_test_random_t *random);
static void sgamp_test_ranges(void);
static void sgamp_test_range(sgamp_test_env_t *env,
    const sgamp_part_t *part, uint32_t from, uint32_t n);
static void sgamp_test_begins(void);


int
main(void)
{
    sgamp_test_parts();
    sgamp_test_ranges();
    sgamp_test_begins();

    return tap_done();
}


static void
sgamp_test_parts(void)
{
    size_t               i;
    sgamp_batch_t       *batch;
    sgamp_test_env_t     env;
    sgamp_test_random_t  random;

    random.state = 5;

    sgamp_test_batch_start(&env, 300000, 50);

    for (i = 0; i < SGAMP_TEST_EVENTS; i++) {
        env.bad += sgamp_test_batch_add(&env, i, i * 7919 % 9000) != SGAMP_OK;
    }

    env.bad += sgamp_batcher_close(&env.batcher) != SGAMP_OK;

    for ( ;; ) {
        batch = sgamp_batcher_take(&env.batcher);

        if (batch == NULL) {
            break;
        }

        for (i = 0; i < SGAMP_TEST_PARTS; i++) {
            sgamp_test_part(&env, batch, &random);
        }

        sgamp_batch_free(&env.pieces, batch);
    }

    tap_is(env.bad, 0, "parts of batches");

    sgamp_test_env_done(&env);
}


static void
sgamp_test_part(sgamp_test_env_t *env, const sgamp_batch_t *batch,
    sgamp_test_random_t *random)
{
    u_char            marks[64], copy[16384];
    size_t            from, len;
    uint32_t          i;
    sgamp_str_t       slice;
    sgamp_part_t     *all, *part;
    sgamp_cursor_t    cursor;
    sgamp_test_buf_t  whole, want, got;

    memset(&got, 0, sizeof(sgamp_test_buf_t));
    memset(&want, 0, sizeof(sgamp_test_buf_t));
    memset(&whole, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_payload(&whole, batch);

    for (i = 0; i < batch->n; i++) {
        marks[i] = (sgamp_test_random(random, 3) == 0) ? 5 : 2;
    }

    marks[sgamp_test_random(random, batch->n)] = 4;

    sgamp_test_put(&want, whole.data, batch->head);

    for (i = 0; i < batch->n; i++) {
        from = (i == 0) ? batch->head : batch->items[i - 1].end + 1;

        sgamp_test_poison_stack();

        len = sgamp_batch_element(batch, i, copy, sizeof(copy));

        env->bad += len != batch->items[i].end - from
                    || memcmp(copy, whole.data + from, len) != 0;

        if (marks[i] & 4) {
            sgamp_test_puts(&want, (want.len > batch->head) ? "," : "");
            sgamp_test_put(&want, copy, len);
        }
    }

    sgamp_test_puts(&want, SGAMP_TEST_TAIL);

    all = sgamp_part_all(&env->heap.grow, batch);
    part = sgamp_part_marked(&env->heap.grow, all, marks, 4, 1);

    sgamp_test_poison(&cursor, sizeof(sgamp_cursor_t));
    sgamp_cursor_init(&cursor, batch, part);

    while (sgamp_cursor_next(&cursor, &slice)) {
        env->bad += slice.len == 0;
        sgamp_test_put(&got, slice.data, slice.len);
    }

    env->bad += sgamp_part_size(batch, part) != want.len
                || got.len != want.len
                || memcmp(got.data, want.data, want.len) != 0;

    sgamp_part_free(&env->heap.grow, part);
    sgamp_part_free(&env->heap.grow, all);

    sgamp_test_free(&got);
    sgamp_test_free(&want);
    sgamp_test_free(&whole);
}


static void
sgamp_test_ranges(void)
{
    u_char            marks[SGAMP_TEST_RANGE];
    uint32_t          i, from, n;
    sgamp_part_t     *all, *part;
    sgamp_batch_t    *batch;
    sgamp_test_env_t  env;

    sgamp_test_batch_start(&env, 65536, SGAMP_TEST_RANGE);

    for (i = 0; i < SGAMP_TEST_RANGE; i++) {
        (void) sgamp_test_batch_add(&env, i, 10);
        marks[i] = (i % 3 == 0) ? 0x80 : 0x0f;
    }

    batch = sgamp_batcher_take(&env.batcher);

    all = sgamp_part_all(&env.heap.grow, batch);
    all->attempts = 3;
    all->rounds = 4;

    /* every third event is left out, in both ways to say so */

    for (i = 0; i < 2; i++) {
        part = sgamp_part_marked(&env.heap.grow, all, marks, i ? 0x0f : 0x80,
                                 i);

        tap_is(part->n, SGAMP_TEST_RANGE * 2 / 3, "events of a marked part");
        tap_ok(part->index[0] == 1 && part->index[1] == 2
                   && part->index[2] == 4,
               "are those that it is made of");
        tap_is(part->attempts, 3, "its attempts are those of the other");
        tap_is(part->rounds, 4, "and so are its rounds");

        for (from = 0; from < part->n; from++) {
            for (n = 1; from + n <= part->n; n++) {
                sgamp_test_range(&env, part, from, n);
            }
        }

        sgamp_part_free(&env.heap.grow, part);
    }

    tap_is(env.bad, 0, "ranges of a part");

    sgamp_part_free(&env.heap.grow, all);
    sgamp_batch_free(&env.pieces, batch);
    sgamp_test_env_done(&env);
}


static void
sgamp_test_range(sgamp_test_env_t *env, const sgamp_part_t *part,
    uint32_t from, uint32_t n)
{
    uint32_t       i;
    sgamp_part_t  *range;

    range = sgamp_part_range(&env->heap.grow, part, from, n);

    env->bad += range->n != n || range->attempts != 0 || range->rounds != 0;

    for (i = 0; i < n; i++) {
        env->bad += range->index[i] != part->index[from + i];
    }

    sgamp_part_free(&env->heap.grow, range);
}


static void
sgamp_test_begins(void)
{
    u_char            copy[40000];
    size_t            size, len;
    unsigned          bad;
    sgamp_batch_t    *batch;
    sgamp_test_buf_t  want;
    sgamp_test_env_t  env;

    /* no more of an event than there is room for, in one piece and in more */

    memset(&want, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_batch_start(&env, 65536, 2);

    (void) sgamp_test_batch_add(&env, 0, 10);
    (void) sgamp_test_batch_add(&env, 1, 30000);

    batch = sgamp_batcher_take(&env.batcher);

    sgamp_test_batch_text(&want, 1, 30000, 1);

    bad = 0;

    for (size = 0; size < sizeof(copy) - 1; size = size * 5 / 4 + 1) {
        sgamp_test_poison(copy, sizeof(copy));

        len = sgamp_batch_element(batch, 1, copy, size);

        bad += len != want.len;

        len = (size < len) ? size : len;

        bad += memcmp(copy, want.data, len) != 0 || copy[len] != 0xa5;
    }

    tap_is(bad, 0, "the beginning of an event");

    sgamp_test_free(&want);
    sgamp_batch_free(&env.pieces, batch);
    sgamp_test_env_done(&env);
}
