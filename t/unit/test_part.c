
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_part.h"
#include "sgamp_test_batch.h"


#define SGAMP_TEST_EVENTS  400
#define SGAMP_TEST_PARTS   40


static void sgamp_test_parts(void);
static void sgamp_test_part(sgamp_test_batcher_t *t,
    const sgamp_batch_t *batch, sgamp_test_random_t *random);


int
main(void)
{
    sgamp_test_parts();

    return tap_done();
}


static void
sgamp_test_parts(void)
{
    size_t                i;
    sgamp_batch_t        *batch;
    sgamp_test_random_t   random;
    sgamp_test_batcher_t  t;

    random.state = 5;

    sgamp_test_batch_start(&t, 300000, 50);

    for (i = 0; i < SGAMP_TEST_EVENTS; i++) {
        t.bad += sgamp_test_batch_add(&t, i, i * 7919 % 9000) != SGAMP_OK;
    }

    t.bad += sgamp_batcher_close(&t.b) != SGAMP_OK;

    for ( ;; ) {
        batch = sgamp_batcher_take(&t.b);

        if (batch == NULL) {
            break;
        }

        for (i = 0; i < SGAMP_TEST_PARTS; i++) {
            sgamp_test_part(&t, batch, &random);
        }

        sgamp_batch_free(&t.pieces, batch);
    }

    tap_is(t.bad, 0, "parts of batches");

    sgamp_test_batch_stop(&t);
}


static void
sgamp_test_part(sgamp_test_batcher_t *t, const sgamp_batch_t *batch,
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

    sgamp_test_batch_walk(&whole, batch);

    for (i = 0; i < batch->n; i++) {
        marks[i] = (sgamp_test_random(random, 3) == 0) ? 5 : 2;
    }

    marks[sgamp_test_random(random, batch->n)] = 4;

    sgamp_test_put(&want, whole.data, batch->head);

    for (i = 0; i < batch->n; i++) {
        from = (i == 0) ? batch->head : batch->ends[i - 1] + 1;

        sgamp_test_poison_stack();

        len = sgamp_batch_event(batch, i, copy, sizeof(copy));

        t->bad += len != batch->ends[i] - from
                  || memcmp(copy, whole.data + from, len) != 0;

        if (marks[i] & 4) {
            sgamp_test_puts(&want, (want.len > batch->head) ? "," : "");
            sgamp_test_put(&want, copy, len);
        }
    }

    sgamp_test_puts(&want, SGAMP_TEST_TAIL);

    all = sgamp_part_all(&t->heap.grow, batch);
    part = sgamp_part_marked(&t->heap.grow, all, marks, 4, 1);

    sgamp_test_poison(&cursor, sizeof(sgamp_cursor_t));
    sgamp_cursor_init(&cursor, batch, part);

    while (sgamp_cursor_next(&cursor, &slice)) {
        t->bad += slice.len == 0;
        sgamp_test_put(&got, slice.data, slice.len);
    }

    t->bad += sgamp_part_size(batch, part) != want.len
              || got.len != want.len
              || memcmp(got.data, want.data, want.len) != 0;

    sgamp_part_free(&t->heap.grow, part);
    sgamp_part_free(&t->heap.grow, all);

    sgamp_test_free(&got);
    sgamp_test_free(&want);
    sgamp_test_free(&whole);
}
