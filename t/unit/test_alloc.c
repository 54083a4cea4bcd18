
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_response.h"
#include "sgamp_test_batch.h"
#include "sgamp_test_gold.h"


#define SGAMP_TEST_MAX_FAILS  5000
#define SGAMP_TEST_LONG       5000 /* bytes that are not fed one by one */
#define SGAMP_TEST_TOKEN      16000 /* bytes of a string in an answer */


static void sgamp_test_webhooks(void);
static void sgamp_test_fails(sgamp_test_run_t *run, const u_char *p,
    size_t n, const sgamp_str_t *want, const char *name);
static void sgamp_test_faults(void);
static void sgamp_test_batches(void);
static void sgamp_test_responses(void);
static void sgamp_test_answer(sgamp_test_batcher_t *t, const char *text,
    unsigned status, const char *name);
static sgamp_action_e sgamp_test_response(sgamp_test_heap_t *heap,
    sgamp_test_batcher_t *t, const char *text, unsigned status,
    size_t portion);


/* cuts that make the parser carry, hold back and read all at once */

static const size_t sgamp_test_cuts[] = { 0, 1, 30, 250, 4096 };


int
main(void)
{
    sgamp_test_webhooks();
    sgamp_test_faults();
    sgamp_test_batches();
    sgamp_test_responses();

    return tap_done();
}


static void
sgamp_test_webhooks(void)
{
    size_t             i;
    glob_t             names;
    sgamp_test_gold_t  gold;

    sgamp_test_golds(&names);

    for (i = 0; i < names.gl_pathc; i++) {
        sgamp_test_gold_init(&gold, names.gl_pathv[i]);

        gold.run.valid = 0;

        sgamp_test_fails(&gold.run, gold.json.data, gold.json.len,
                         &gold.want, gold.name);

        sgamp_test_gold_done(&gold);
    }

    globfree(&names);
}


static void
sgamp_test_fails(sgamp_test_run_t *run, const u_char *p, size_t n,
    const sgamp_str_t *want, const char *name)
{
    size_t    i, fail, cut;
    unsigned  bad, forever;

    bad = 0;

    for (i = 0; i < 2 * sizeof(sgamp_test_cuts) / sizeof(size_t); i++) {
        cut = sgamp_test_cuts[i / 2];
        forever = i % 2;

        /* yajl reads a long token anew in each portion */

        if (cut == 1 && n > SGAMP_TEST_LONG) {
            cut = 7;
        }


        run->cut = cut ? sgamp_test_cut_fixed : NULL;
        run->data = &cut;

        for (fail = 1; fail < SGAMP_TEST_MAX_FAILS; fail++) {
            run->heap.calls = 0;
            run->heap.fail = fail;
            run->heap.forever = forever;

            sgamp_test_run(run, p, n);

            if (run->heap.live != 0) {
                tap_diag("call %zu fails: %zu allocations were not freed",
                         fail, run->heap.live);
                run->heap.live = 0;
                bad++;
            }

            if (run->status != SGAMP_NOMEM
                && (run->out.len != want->len
                    || memcmp(run->out.data, want->data, want->len) != 0))
            {
                tap_diag("call %zu fails: status %d, something else comes out",
                         fail, run->status);
                bad++;
            }

            if (run->heap.calls < fail) {
                break;
            }
        }

        bad += run->status == SGAMP_NOMEM;
    }

    tap_is(bad, 0, "%s: allocations that fail", name);

    run->heap.fail = 0;
}


static void
sgamp_test_faults(void)
{
    size_t            i, k;
    sgamp_str_t       want;
    sgamp_test_buf_t  text, out;
    sgamp_test_run_t  run;

    /* the same error, or none of the memory to know it */

    static const char *tails[] = {
        "\"]", "\\x\"]", "\" 1]", "\"}", "", "\"],", "\",{\"a\":1 \"b\":2}]",
        "\",{\"a\":{\"b\":[nul]}}]", "\",[1,}]", "\",{1:2}]", NULL
    };

    memset(&out, 0, sizeof(sgamp_test_buf_t));
    memset(&text, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_run_init(&run);

    for (i = 0; tails[i] != NULL; i++) {
        text.len = 0;
        out.len = 0;

        sgamp_test_puts(&text, "[{\"event\":\"open\",\"email\":\"a\"},\"");

        for (k = 0; k < 300; k++) {
            sgamp_test_puts(&text, "0123456789abcdef \\u00e9");
        }

        sgamp_test_puts(&text, tails[i]);

        run.cut = NULL;
        sgamp_test_run(&run, text.data, text.len);

        sgamp_test_put(&out, run.out.data, run.out.len);

        want.data = out.data;
        want.len = out.len;

        sgamp_test_fails(&run, text.data, text.len, &want, tails[i]);
    }

    sgamp_test_free(&out);
    sgamp_test_free(&text);
    sgamp_test_run_done(&run);
}


static void
sgamp_test_batches(void)
{
    int                   rc;
    size_t                i, n, fail;
    unsigned              bad, done;
    sgamp_batch_t        *batch;
    sgamp_test_batcher_t  t;

    /* what was closed before the failure stays good */

    bad = 0;
    done = 0;

    for (fail = 1; !done; fail++) {
        sgamp_test_batch_start(&t, 40000, 20);

        t.heap.fail = fail;
        rc = SGAMP_OK;

        for (i = 0; i < 100 && rc == SGAMP_OK; i++) {
            rc = sgamp_test_batch_add(&t, i, i * 7919 % 20000);
            bad += rc != t.b.sink.status;
        }

        if (rc == SGAMP_OK) {
            rc = sgamp_batcher_close(&t.b);
        }

        done = t.heap.calls < fail;

        bad += rc != (done ? SGAMP_OK : SGAMP_NOMEM);

        if (rc != SGAMP_OK) {
            bad += sgamp_test_batch_add(&t, i, 0) != SGAMP_NOMEM;
            bad += sgamp_batcher_close(&t.b) != SGAMP_NOMEM;
        }

        n = 0;

        for ( ;; ) {
            batch = sgamp_batcher_take(&t.b);

            if (batch == NULL) {
                break;
            }

            n = sgamp_test_batch_check(&t, batch, n);
            sgamp_batch_free(&t.pieces, batch);
        }

        bad += done && n != 100;
        bad += t.bad;

        sgamp_test_batch_stop(&t);
    }

    tap_is(bad, 0, "batches: %zu allocations that fail", fail - 2);
}


static void
sgamp_test_responses(void)
{
    size_t                i;
    sgamp_test_buf_t      body;
    sgamp_test_batcher_t  t;

    /* an event must not be given up for want of memory */

    static const struct {
        const char  *text;
        unsigned     status;
    } answers[] = {
        { "{\"code\":200,\"events_ingested\":3", 200 },
        { "{\"code\":400,\"error\":\"Invalid API key: 0\"}", 400 },
        { "{\"events_with_invalid_fields\":{\"time\":[1]}}", 400 },
        { "{\"code\":200,\"events_ingested\":3}", 200 },
        { "{\"code\":429,\"throttled_users\":{\"u0\":5,\"u1\":7}}", 429 },
        { "{\"code\":429,\"throttled_events\":[0,2]}", 429 },
        { "<html>", 503 }
    };

    sgamp_test_batch_start(&t, 65536, 3);

    for (i = 0; i < 3; i++) {
        (void) sgamp_test_batch_add(&t, i, 10);
    }

    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        sgamp_test_answer(&t, answers[i].text, answers[i].status,
                          answers[i].text);
    }

    /* what is reserved is enough for a long token, too */

    memset(&body, 0, sizeof(sgamp_test_buf_t));
    sgamp_test_puts(&body, "{\"code\":200,\"x\":\"");

    while (body.len < SGAMP_TEST_TOKEN) {
        sgamp_test_puts(&body, "0123456789abcdef\\u00e9");
    }

    sgamp_test_puts(&body, "\",\"events_ingested\":3}");

    sgamp_test_answer(&t, (char *) body.data, 200, "a long string");

    sgamp_test_free(&body);
    sgamp_test_batch_stop(&t);
}


static void
sgamp_test_answer(sgamp_test_batcher_t *t, const char *text, unsigned status,
    const char *name)
{
    size_t             fail, portion;
    unsigned           bad, forever;
    sgamp_action_e     want, got;
    sgamp_test_heap_t  heap;

    portion = (strlen(text) > SGAMP_TEST_LONG) ? 500 : 1;

    sgamp_test_heap_init(&heap);

    want = sgamp_test_response(&heap, t, text, status, portion);
    bad = heap.live != 0;

    for (forever = 0; forever < 2; forever++) {

        for (fail = 1; fail < SGAMP_TEST_MAX_FAILS; fail++) {
            sgamp_test_heap_init(&heap);

            heap.fail = fail;
            heap.forever = forever;

            got = sgamp_test_response(&heap, t, text, status, portion);

            bad += got != want && got != SGAMP_RETRY && got != SGAMP_WAIT;
            bad += heap.live != 0;

            if (heap.calls < fail) {
                break;
            }
        }

        bad += got != want;
    }

    tap_is(bad, 0, "answer %u: allocations that fail: %s", status, name);
}


static sgamp_action_e
sgamp_test_response(sgamp_test_heap_t *heap, sgamp_test_batcher_t *t,
    const char *text, unsigned status, size_t portion)
{
    size_t             n, size;
    sgamp_str_t        reserve;
    sgamp_part_t      *part;
    sgamp_action_e     action;
    sgamp_response_t   rs;

    memset(&reserve, 0, sizeof(sgamp_str_t));

    part = sgamp_part_all(&t->heap.grow, t->b.closed);

    sgamp_test_poison(&rs, sizeof(sgamp_response_t));
    sgamp_response_init(&rs, part->n, &heap->grow, &reserve);

    for (n = strlen(text); n != 0; n -= size, text += size) {
        size = (portion < n) ? portion : n;
        sgamp_response_feed(&rs, (u_char *) text, size);
    }

    action = sgamp_response_action(&rs, status, 1, t->b.closed, part);

    sgamp_response_done(&rs);
    sgamp_part_free(&t->heap.grow, part);

    if (reserve.data != NULL) {
        heap->grow.free(heap, reserve.data);
    }

    return action;
}
