
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_test_batch.h"
#include "sgamp_test_gold.h"


#define SGAMP_TEST_MAX_FAILS  5000
#define SGAMP_TEST_LONG       5000 /* bytes that are not fed one by one */
#define SGAMP_TEST_TOKEN      16000 /* bytes of a string in an answer */


static void sgamp_test_webhooks(void);
static void sgamp_test_fails(sgamp_test_env_t *env, const u_char *p,
    size_t n, const sgamp_str_t *want, const char *name);
static void sgamp_test_faults(void);
static void sgamp_test_batches(void);
static void sgamp_test_responses(void);
static void sgamp_test_refused(sgamp_test_env_t *env, const char *text,
    unsigned status, const char *name);
static sgamp_action_e sgamp_test_action(sgamp_test_env_t *env,
    const char *text, unsigned status);


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

        gold.env.valid = 0;

        sgamp_test_fails(&gold.env, gold.json.data, gold.json.len,
                         &gold.want, gold.name);

        sgamp_test_gold_done(&gold);
    }

    globfree(&names);
}


static void
sgamp_test_fails(sgamp_test_env_t *env, const u_char *p, size_t n,
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

        env->cut = cut ? sgamp_test_cut_fixed : NULL;
        env->cut_data = &cut;

        for (fail = 1; fail < SGAMP_TEST_MAX_FAILS; fail++) {
            env->heap.calls = 0;
            env->heap.fail = fail;
            env->heap.forever = forever;

            sgamp_test_run(env, p, n);

            if (env->heap.live != 0) {
                tap_diag("call %zu fails: %zu allocations were not freed",
                         fail, env->heap.live);
                env->heap.live = 0;
                bad++;
            }

            if (env->status != SGAMP_NOMEM
                && (env->out.len != want->len
                    || memcmp(env->out.data, want->data, want->len) != 0))
            {
                tap_diag("call %zu fails: status %d, something else comes out",
                         fail, env->status);
                bad++;
            }

            if (env->heap.calls < fail) {
                break;
            }
        }

        bad += env->status == SGAMP_NOMEM;
    }

    tap_is(bad, 0, "%s: allocations that fail", name);

    env->heap.fail = 0;
}


static void
sgamp_test_faults(void)
{
    size_t            i, k;
    sgamp_str_t       want;
    sgamp_test_buf_t  text, out;
    sgamp_test_env_t  env;

    /* the same error, or none of the memory to know it */

    static const char *tails[] = {
        "\"]", "\\x\"]", "\" 1]", "\"}", "", "\"],", "\",{\"a\":1 \"b\":2}]",
        "\",{\"a\":{\"b\":[nul]}}]", "\",[1,}]", "\",{1:2}]", NULL
    };

    memset(&out, 0, sizeof(sgamp_test_buf_t));
    memset(&text, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_env_init(&env);

    for (i = 0; tails[i] != NULL; i++) {
        text.len = 0;
        out.len = 0;

        sgamp_test_puts(&text, "[{\"event\":\"open\",\"email\":\"a\"},\"");

        for (k = 0; k < 300; k++) {
            sgamp_test_puts(&text, "0123456789abcdef \\u00e9");
        }

        sgamp_test_puts(&text, tails[i]);

        env.cut = NULL;
        sgamp_test_run(&env, text.data, text.len);

        sgamp_test_put(&out, env.out.data, env.out.len);

        want.data = out.data;
        want.len = out.len;

        sgamp_test_fails(&env, text.data, text.len, &want, tails[i]);
    }

    sgamp_test_free(&out);
    sgamp_test_free(&text);
    sgamp_test_env_done(&env);
}


static void
sgamp_test_batches(void)
{
    int               rc;
    size_t            i, n, fail;
    unsigned          bad, done;
    sgamp_batch_t    *batch;
    sgamp_test_env_t  env;

    /* what was closed before the failure stays good */

    bad = 0;
    done = 0;

    for (fail = 1; !done; fail++) {
        sgamp_test_batch_start(&env, 40000, 20);

        env.heap.fail = fail;
        rc = SGAMP_OK;

        for (i = 0; i < 100 && rc == SGAMP_OK; i++) {
            rc = sgamp_test_batch_add(&env, i, i * 7919 % 20000);
            bad += rc != env.batcher.sink.status;
        }

        if (rc == SGAMP_OK) {
            rc = sgamp_batcher_close(&env.batcher);
        }

        done = env.heap.calls < fail;

        bad += rc != (done ? SGAMP_OK : SGAMP_NOMEM);

        if (rc != SGAMP_OK) {
            bad += sgamp_test_batch_add(&env, i, 0) != SGAMP_NOMEM;
            bad += sgamp_batcher_close(&env.batcher) != SGAMP_NOMEM;
        }

        n = 0;

        for ( ;; ) {
            batch = sgamp_batcher_take(&env.batcher);

            if (batch == NULL) {
                break;
            }

            n = sgamp_test_batch_check(&env, batch, n);
            sgamp_batch_free(&env.pieces, batch);
        }

        bad += done && n != 100;
        bad += env.bad;

        sgamp_test_env_done(&env);
    }

    tap_is(bad, 0, "batches: %zu allocations that fail", fail - 2);
}


static void
sgamp_test_responses(void)
{
    size_t            i;
    sgamp_test_buf_t  body;
    sgamp_test_env_t  env;

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

    sgamp_test_batch_sent(&env, 3);

    for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        sgamp_test_refused(&env, answers[i].text, answers[i].status,
                           answers[i].text);
    }

    /* what is reserved is enough for a long token, too */

    memset(&body, 0, sizeof(sgamp_test_buf_t));
    sgamp_test_puts(&body, "{\"code\":200,\"x\":\"");

    while (body.len < SGAMP_TEST_TOKEN) {
        sgamp_test_puts(&body, "0123456789abcdef\\u00e9");
    }

    sgamp_test_puts(&body, "\",\"events_ingested\":3}");

    sgamp_test_refused(&env, (char *) body.data, 200, "a long string");

    sgamp_test_free(&body);
    sgamp_test_env_done(&env);
}


static void
sgamp_test_refused(sgamp_test_env_t *env, const char *text, unsigned status,
    const char *name)
{
    size_t          fail, live;
    unsigned        bad, forever;
    sgamp_action_e  want, got;

    live = env->heap.live;

    want = sgamp_test_action(env, text, status);
    bad = env->heap.live != live;

    for (forever = 0; forever < 2; forever++) {

        for (fail = 1; fail < SGAMP_TEST_MAX_FAILS; fail++) {
            env->heap.calls = 0;
            env->heap.fail = fail;
            env->heap.forever = forever;

            got = sgamp_test_action(env, text, status);

            bad += got != want && got != SGAMP_RETRY && got != SGAMP_WAIT;
            bad += env->heap.live != live;

            if (env->heap.calls < fail) {
                break;
            }
        }

        bad += got != want;
    }

    env->heap.fail = 0;

    tap_is(bad, 0, "answer %u: allocations that fail: %s", status, name);
}


static sgamp_action_e
sgamp_test_action(sgamp_test_env_t *env, const char *text, unsigned status)
{
    size_t          n, portion;
    sgamp_action_e  action;

    n = strlen(text);
    portion = (n > SGAMP_TEST_LONG) ? 500 : 1;

    sgamp_test_answer(env, text, n, portion, portion);

    action = sgamp_response_action(&env->answer, status, 1,
                                   env->batcher.closed, env->part);

    sgamp_test_answer_done(env);

    return action;
}
