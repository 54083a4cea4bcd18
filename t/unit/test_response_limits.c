
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_test_batch.h"


#define SGAMP_TEST_EVENTS  10
#define SGAMP_TEST_TOKEN   16384
#define SGAMP_TEST_ANSWER  1048576
#define SGAMP_TEST_PEAK    131072 /* bytes, with a reserve of 16k fed at once */

#define SGAMP_TEST_NAMES                                                      \
    "\"events_with_invalid_fields\":{\"time\":[3]},\"events_ingested\":10}"


/* what an answer with a limit of its own leads to, however it is cut */

typedef struct {
    sgamp_test_env_t  env;
    sgamp_test_buf_t  body;
    size_t            reserved; /* the most bytes */
    sgamp_action_e    action;
    unsigned          marked; /* bits of the events */
} sgamp_test_answer_t;


static void sgamp_test_tokens(sgamp_test_answer_t *a);
static void sgamp_test_sizes(sgamp_test_answer_t *a);
static void sgamp_test_depths(sgamp_test_answer_t *a);
static void sgamp_test_brackets(sgamp_test_answer_t *a);
static void sgamp_test_fill(sgamp_test_answer_t *a, const char *before,
    char ch, size_t n, const char *after);
static unsigned sgamp_test_cuts(sgamp_test_answer_t *a, unsigned status,
    sgamp_action_e action, unsigned marked);
static void sgamp_test_read_answer(sgamp_test_answer_t *a, unsigned status,
    size_t first, size_t portion);


int
main(void)
{
    sgamp_test_answer_t  a;

    memset(&a, 0, sizeof(sgamp_test_answer_t));

    sgamp_test_batch_sent(&a.env, SGAMP_TEST_EVENTS);

    sgamp_test_tokens(&a);
    sgamp_test_sizes(&a);
    sgamp_test_depths(&a);
    sgamp_test_brackets(&a);

    sgamp_test_free(&a.body);
    sgamp_test_env_done(&a.env);

    return tap_done();
}


static void
sgamp_test_tokens(sgamp_test_answer_t *a)
{
    size_t    i, n;
    unsigned  over;

    /* the quotes of a string count, and so does what is nested too deep */

    static const struct {
        const char  *before;
        const char  *after;
        const char  *name;
        size_t       quotes;
        char         ch;
    } texts[] = {
        { "{\"x\":\"", "\"," SGAMP_TEST_NAMES, "a string", 2, 'a' },
        { "{\"x\":\"\\\"", "\"," SGAMP_TEST_NAMES, "an escape", 4, 'a' },
        { "{\"", "\":0," SGAMP_TEST_NAMES, "a key", 2, 'a' },
        { "{\"x\":1", "," SGAMP_TEST_NAMES, "a number", 1, '0' },
        { "{\"x\":[1,2 , \"", "\"] , " SGAMP_TEST_NAMES, "an item", 2, '{' }
    };

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {

        for (n = SGAMP_TEST_TOKEN - 1; n <= 2 * SGAMP_TEST_TOKEN + 1; n++) {

            if (n == SGAMP_TEST_TOKEN + 3) {
                n = 2 * SGAMP_TEST_TOKEN - 1;
            }

            over = n > SGAMP_TEST_TOKEN;

            sgamp_test_fill(a, texts[i].before, texts[i].ch,
                            n - texts[i].quotes, texts[i].after);

            tap_is(sgamp_test_cuts(a, 400, over ? SGAMP_HALVE : SGAMP_REJECT,
                                   over ? 0 : 1 << 3),
                   0, "400, %s of %zu bytes", texts[i].name, n);
            tap_is(sgamp_test_cuts(a, 200, over ? SGAMP_RETRY : SGAMP_FORWARD,
                                   over ? 0 : 1 << 3),
                   0, "200, %s of %zu bytes", texts[i].name, n);
        }
    }

    /* white space is no token, and what came before one still counts */

    sgamp_test_fill(a, "{", ' ', 3 * SGAMP_TEST_TOKEN, SGAMP_TEST_NAMES);
    tap_is(sgamp_test_cuts(a, 200, SGAMP_FORWARD, 1 << 3), 0,
           "200, 48k of white space");

    sgamp_test_fill(a, "{\"events_with_a\":{\"b\":[3]},\"x\":\"", 'a',
                    2 * SGAMP_TEST_TOKEN, "");
    tap_is(sgamp_test_cuts(a, 400, SGAMP_REJECT, 1 << 3), 0,
           "400, an event is named before a string that is too long");

    /* a fault before the limit is seen first, and is no delivery either */

    sgamp_test_fill(a, "{\"code\":200,\"x\":\"\\q", 'a', 2 * SGAMP_TEST_TOKEN,
                    "\"}");
    tap_is(sgamp_test_cuts(a, 200, SGAMP_RETRY, 0), 0,
           "200, a bad escape in a string that is too long");
}


static void
sgamp_test_sizes(sgamp_test_answer_t *a)
{
    size_t    n, len;
    unsigned  over;

    len = strlen("{" SGAMP_TEST_NAMES);

    for (n = SGAMP_TEST_ANSWER - 1; n <= SGAMP_TEST_ANSWER + 1; n++) {
        over = n > SGAMP_TEST_ANSWER;

        sgamp_test_fill(a, "{", ' ', n - len, SGAMP_TEST_NAMES);
        tap_is(sgamp_test_cuts(a, 200, over ? SGAMP_RETRY : SGAMP_FORWARD,
                               1 << 3),
               0, "200, %zu bytes", n);
        tap_is(sgamp_test_cuts(a, 400, SGAMP_REJECT, 1 << 3), 0,
               "400, %zu bytes", n);

        sgamp_test_fill(a, "{" SGAMP_TEST_NAMES, '\n', n - len, "");
        tap_is(sgamp_test_cuts(a, 200, over ? SGAMP_RETRY : SGAMP_FORWARD,
                               1 << 3),
               0, "200, %zu bytes, the object first", n);

        sgamp_test_fill(a, "", '\t', n - len, "{" SGAMP_TEST_NAMES);
        tap_is(sgamp_test_cuts(a, 200, over ? SGAMP_RETRY : SGAMP_FORWARD,
                               1 << 3),
               0, "200, %zu bytes, the object last", n);
    }

    sgamp_test_fill(a, "{\"x\":[0", ' ', SGAMP_TEST_ANSWER,
                    "]," SGAMP_TEST_NAMES);
    tap_is(sgamp_test_cuts(a, 400, SGAMP_HALVE, 0), 0,
           "400, an event is named too late");
}


static void
sgamp_test_depths(sgamp_test_answer_t *a)
{
    size_t  i, n;

    static const size_t  depths[] = { 1, 38, 39, 40, 41, 42, 100, 20000 };

    for (i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
        n = depths[i];

        sgamp_test_fill(a, "{\"x\":", '[', n, "");
        sgamp_test_puts(&a->body, "{\"events_with_\":[1],\"[\":\"\\\"]\"}");

        for ( /* void */ ; n != 0; n--) {
            sgamp_test_puts(&a->body, "]");
        }

        sgamp_test_puts(&a->body, "," SGAMP_TEST_NAMES);

        tap_is(sgamp_test_cuts(a, 200, SGAMP_FORWARD, 1 << 3), 0,
               "200, %zu levels", depths[i]);

        /* less one bracket */

        a->body.len -= strlen("," SGAMP_TEST_NAMES) + 1;

        sgamp_test_puts(&a->body, "," SGAMP_TEST_NAMES);

        tap_is(sgamp_test_cuts(a, 200, SGAMP_RETRY, 0), 0,
               "200, %zu levels and not as many ends", depths[i]);
    }
}


static void
sgamp_test_brackets(sgamp_test_answer_t *a)
{
    /* yajl keeps a state for each level, and never sees most of these */

    sgamp_test_fill(a, "{\"code\":200,\"x\":", '[', SGAMP_TEST_ANSWER, "");

    a->env.heap.peak = a->env.heap.bytes;
    a->reserved = 0;

    tap_is(sgamp_test_cuts(a, 200, SGAMP_RETRY, 0), 0, "200, 1M of brackets");
    tap_ok(a->env.heap.peak < SGAMP_TEST_PEAK + a->reserved,
           "which take no memory");
}


static void
sgamp_test_fill(sgamp_test_answer_t *a, const char *before, char ch, size_t n,
    const char *after)
{
    u_char  run[1024];
    size_t  size;

    memset(run, ch, sizeof(run));

    a->body.len = 0;

    sgamp_test_puts(&a->body, before);

    for ( /* void */ ; n != 0; n -= size) {
        size = (n < sizeof(run)) ? n : sizeof(run);
        sgamp_test_put(&a->body, run, size);
    }

    sgamp_test_puts(&a->body, after);
}


static unsigned
sgamp_test_cuts(sgamp_test_answer_t *a, unsigned status,
    sgamp_action_e action, unsigned marked)
{
    size_t    i, k, first;
    unsigned  bad;

    static const size_t portions[] = {
        1, 7, 1000, 16383, 16384, 16385, 32768, 1048576, 2097152
    };
    static const size_t cuts[] = {
        8, 16384, 16388, 16393, 32768, 32773, 1048576
    };

    bad = 0;

    /* yajl reads a long token anew in each portion */

    for (i = (a->body.len > 5000) ? 2 : 0;
         i < sizeof(portions) / sizeof(portions[0]); i++)
    {
        sgamp_test_read_answer(a, status, portions[i], portions[i]);
        bad += (a->action != action || a->marked != marked);
    }

    for (i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {

        for (k = 0; k < 5 && bad == 0; k++) {
            first = cuts[i] + k - 2;

            if (first < a->body.len && first > a->body.len / 4) {
                sgamp_test_read_answer(a, status, first, a->body.len);
                bad += (a->action != action || a->marked != marked);
            }
        }
    }

    if (bad != 0) {
        tap_diag("action %d, want %d, marks %x, want %x", a->action, action,
                 a->marked, marked);
    }

    return bad;
}


static void
sgamp_test_read_answer(sgamp_test_answer_t *a, unsigned status, size_t first,
    size_t portion)
{
    u_char            *marks;
    uint32_t           i;
    sgamp_test_env_t  *env;
    sgamp_response_t  *rs;

    env = &a->env;
    rs = &env->answer;

    sgamp_test_answer(env, (char *) a->body.data, a->body.len, first, portion);

    a->action = sgamp_response_action(rs, status, 1, env->batcher.closed,
                                      env->part);
    a->marked = 0;
    marks = rs->answer.marks;

    for (i = 0; marks != NULL && i < env->part->n; i++) {
        a->marked |= (marks[i] != 0) << i;
    }

    if (env->reserve.len > a->reserved) {
        a->reserved = env->reserve.len;
    }

    sgamp_test_answer_done(env);
}
