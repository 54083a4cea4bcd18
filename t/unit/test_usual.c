
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>
#include <stdlib.h>

#include "sgamp_test_batch.h"


#define SGAMP_TEST_EVENTS   10
#define SGAMP_TEST_ANSWERS  60000
#define SGAMP_TEST_LEN      512


/* what an answer says */

typedef struct {
    sgamp_action_e       action[3];  /* with 200, 400 and 429 */
    sgamp_answer_body_e  body;
    int64_t              ingested;
} sgamp_test_said_t;


static void sgamp_test_memory(sgamp_test_env_t *env);
static void sgamp_test_random_answers(sgamp_test_env_t *env);
static int sgamp_test_differ(const sgamp_test_said_t *a,
    const sgamp_test_said_t *b);
static void sgamp_test_long(sgamp_test_env_t *env);
static size_t sgamp_test_compose(sgamp_test_random_t *random, char *text);
static void sgamp_test_say(sgamp_test_env_t *env, const char *text, size_t len,
    size_t first, size_t portion, sgamp_test_said_t *said);


/*
 * An answer that comes whole may be read without yajl, one that comes in parts
 * never is: both have to say the same.
 */

int
main(void)
{
    sgamp_test_env_t  env;

    sgamp_test_batch_sent(&env, SGAMP_TEST_EVENTS);

    sgamp_test_memory(&env);
    sgamp_test_random_answers(&env);
    sgamp_test_long(&env);

    sgamp_test_env_done(&env);

    return tap_done();
}


static void
sgamp_test_memory(sgamp_test_env_t *env)
{
    size_t             calls;
    sgamp_test_said_t  said;

    static const char usual[] =
        "{\"code\":200,\"events_ingested\":10,\"payload_size_bytes\":4000,"
        "\"server_upload_time\":1700417763000}";

    calls = env->heap.calls;
    sgamp_test_say(env, usual, sizeof(usual) - 1, sizeof(usual), 1, &said);

    tap_is(env->heap.calls - calls, 0, "the usual answer needs no memory");
    tap_is(said.action[0], SGAMP_FORWARD, "and is understood");
    tap_is(said.ingested, 10, "with what was ingested");
}


static void
sgamp_test_random_answers(sgamp_test_env_t *env)
{
    char                *exact, text[SGAMP_TEST_LEN];
    size_t               len;
    unsigned             i, bad, whole;
    sgamp_test_said_t    once, parts, cut;
    sgamp_test_random_t  random;

    random.state = 17;
    bad = 0;
    whole = 0;

    for (i = 0; i < SGAMP_TEST_ANSWERS; i++) {
        len = sgamp_test_compose(&random, text);

        /* nothing behind the answer is read */

        exact = (char *) sgamp_test_heap_copy(text, len);

        sgamp_test_say(env, exact, len, len + 1, len + 1, &once);
        sgamp_test_say(env, exact, len, 1 + i % 3, 1 + i % 5, &parts);
        sgamp_test_say(env, exact, len, sgamp_test_random(&random, 7), len + 1,
                       &cut);

        free(exact);

        whole += once.body == SGAMP_ANSWER_WHOLE;

        if (sgamp_test_differ(&once, &parts) || sgamp_test_differ(&cut, &parts))
        {
            if (bad == 0) {
                tap_diag("first difference: %.*s", (int) len, text);
            }

            bad++;
        }
    }

    tap_is(bad, 0, "%d answers say the same in parts", SGAMP_TEST_ANSWERS);
    tap_ok(whole > SGAMP_TEST_ANSWERS / 4 && whole < SGAMP_TEST_ANSWERS,
           "%u of them are whole", whole);
}


static int
sgamp_test_differ(const sgamp_test_said_t *a, const sgamp_test_said_t *b)
{
    return memcmp(a->action, b->action, sizeof(a->action)) != 0
           || a->body != b->body
           || a->ingested != b->ingested;
}


static void
sgamp_test_long(sgamp_test_env_t *env)
{
    char               *text;
    size_t              n, len;
    unsigned            i, bad;
    sgamp_test_said_t   once, parts;

    static const size_t  digits[] = {
        17, 18, 19, 400, 500, 600, 16383, 16384, 16385, 20000, 1048500, 1048600
    };

    bad = 0;

    for (i = 0; i < sizeof(digits) / sizeof(digits[0]); i++) {
        n = digits[i];

        text = malloc(n + SGAMP_TEST_LEN);
        if (text == NULL) {
            tap_bail("no memory");
        }

        len = (size_t) sprintf(text, "{\"code\":200,\"server_upload_time\":");
        memset(text + len, '1', n);
        len += n;
        len += (size_t) sprintf(text + len, "}");

        sgamp_test_say(env, text, len, len, len, &once);
        sgamp_test_say(env, text, len, 1, len, &parts);

        bad += sgamp_test_differ(&once, &parts);

        free(text);
    }

    tap_is(bad, 0, "numbers of any length");
}


static size_t
sgamp_test_compose(sgamp_test_random_t *random, char *text)
{
    int          n;
    char         ch;
    size_t       i, len, start;
    const char  *name, *value;

    static const char *fronts[] = {
        " ", "\n\n", "x", "[", "{", "<!-- -->", "\xef\xbb\xbf", "\v"
    };

    static const char *names[] = {
        "code", "events_ingested", "payload_size_bytes", "server_upload_time",
        "code", "events_ingested", "codes", "cod", "events", "error", "",
        "c\\u006fde", "server_upload_times"
    };

    static const char *values[] = {
        "200", "200", "200", "0", "10", "1700417763000", "00", "0200", "-1",
        "2e2", "200.0", "\"200\"", "null", "true", "{}", "[200]", "2000", "",
        "999999999999999999", "9999999999999999999", "18446744073709551616"
    };

    static const char noise[] = "{}[]\",: \n\v09ce\\";

    /* some have something in front, which may come alone */

    name = "";

    if (sgamp_test_random(random, 4) == 0) {
        name = fronts[sgamp_test_random(random, 8)];
    }

    len = (size_t) snprintf(text, SGAMP_TEST_LEN, "%s{", name);
    start = len;

    for (i = 1 + sgamp_test_random(random, 5); i > 0; i--) {

        n = sgamp_test_random(random, 4) ? 4 : 13;
        name = names[sgamp_test_random(random, (uint32_t) n)];

        n = sgamp_test_random(random, 4) ? 6 : 21;
        value = values[sgamp_test_random(random, (uint32_t) n)];

        len += (size_t) snprintf(text + len, SGAMP_TEST_LEN - len,
                                 "%s\"%s\":%s", (len > start) ? "," : "", name,
                                 value);
    }

    len += (size_t) snprintf(text + len, SGAMP_TEST_LEN - len, "}");

    /* half of them are as they are, others lose or get a byte, or end early */

    ch = noise[sgamp_test_random(random, sizeof(noise) - 1)];
    i = sgamp_test_random(random, (uint32_t) len);

    switch (sgamp_test_random(random, 8)) {

    case 0:
        text[i] = ch;
        break;

    case 1:
        memmove(text + i, text + i + 1, len - i - 1);
        len--;
        break;

    case 2:
        memmove(text + i + 1, text + i, len - i);
        text[i] = ch;
        len++;
        break;

    case 3:
        len = sgamp_test_random(random, 2) ? i : len + 1;
        text[len - (len != 0)] = ch;
        break;

    default:
        break;
    }

    return len;
}


static void
sgamp_test_say(sgamp_test_env_t *env, const char *text, size_t len,
    size_t first, size_t portion, sgamp_test_said_t *said)
{
    unsigned  i;

    static const unsigned  statuses[] = { 200, 400, 429 };

    memset(said, 0, sizeof(sgamp_test_said_t));

    sgamp_test_answer(env, text, len, first, portion);

    for (i = 0; i < 3; i++) {
        said->action[i] = sgamp_response_action(&env->answer, statuses[i], 1,
                                                env->batcher.closed,
                                                env->part);
    }

    said->body = env->answer.answer.body;

    /* what is ingested counts only if the answer is whole */

    if (said->body == SGAMP_ANSWER_WHOLE) {
        said->ingested = env->answer.ingested;
    }

    sgamp_test_answer_done(env);
}
