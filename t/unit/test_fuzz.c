
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <limits.h>
#include <stdlib.h>
#include <time.h>

#include "sgamp_test_gold.h"


#define SGAMP_TEST_ROUNDS    1000 /* of each webhook, ... */
#define SGAMP_TEST_LEAST     200  /* ... and on a slow machine */
#define SGAMP_TEST_MAX_SIZE  3000
#define SGAMP_TEST_SECONDS   10
#define SGAMP_TEST_SEED      7


static unsigned sgamp_test_number(const char *name, unsigned otherwise);
static unsigned sgamp_test_fuzz(sgamp_test_gold_t *gold, unsigned rounds,
    unsigned seed, clock_t until);
static void sgamp_test_mutate(sgamp_test_buf_t *buf,
    const sgamp_test_buf_t *json, sgamp_test_random_t *random);
static unsigned sgamp_test_compare(sgamp_test_gold_t *gold,
    const sgamp_test_buf_t *buf, sgamp_test_random_t *random);


int
main(void)
{
    size_t             i;
    glob_t             names;
    clock_t            until;
    unsigned           n, max, rounds, least, seed;
    sgamp_test_gold_t  gold;

    /* the same on each machine, unless it is a slow one */

    seed = sgamp_test_number("FUZZ_SEED", SGAMP_TEST_SEED);
    max = sgamp_test_number("FUZZ_ROUNDS", SGAMP_TEST_ROUNDS);
    rounds = 0;
    least = UINT_MAX;

    until = clock() + SGAMP_TEST_SECONDS * CLOCKS_PER_SEC;

    sgamp_test_golds(&names);

    for (i = 0; i < names.gl_pathc; i++) {
        sgamp_test_gold_init(&gold, names.gl_pathv[i]);
        n = sgamp_test_fuzz(&gold, max, seed, until);
        sgamp_test_gold_done(&gold);

        rounds += n;
        least = (n < least) ? n : least;
    }

    tap_diag("%u rounds with the seed %u (FUZZ_SEED=%u), %u or more of each "
             "webhook",
             rounds, seed, seed, least);
    tap_ok(least >= SGAMP_TEST_LEAST, "each webhook was changed %d times",
           SGAMP_TEST_LEAST);

    globfree(&names);

    return tap_done();
}


static unsigned
sgamp_test_number(const char *name, unsigned otherwise)
{
    const char  *text;

    text = getenv(name);

    return (text != NULL) ? (unsigned) strtoul(text, NULL, 10) : otherwise;
}


static unsigned
sgamp_test_fuzz(sgamp_test_gold_t *gold, unsigned rounds, unsigned seed,
    clock_t until)
{
    unsigned             i, bad;
    sgamp_test_buf_t     buf;
    sgamp_test_random_t  random;

    memset(&buf, 0, sizeof(sgamp_test_buf_t));

    random.state = seed;
    bad = 0;

    for (i = 0;
         i < SGAMP_TEST_LEAST || (i < rounds && clock() < until);
         i++)
    {
        sgamp_test_mutate(&buf, &gold->json, &random);
        bad += sgamp_test_compare(gold, &buf, &random);

        if (bad != 0) {
            tap_diag("round %u", i);
            tap_diag_bytes("text", buf.data, buf.len);
            break;
        }
    }

    tap_is(bad, 0, "%s: random changes", gold->name);

    sgamp_test_free(&buf);

    return i;
}


static void
sgamp_test_mutate(sgamp_test_buf_t *buf, const sgamp_test_buf_t *json,
    sgamp_test_random_t *random)
{
    u_char    ch;
    size_t    from, n, at;
    unsigned  changes;

    static const char *texts[] = {
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud83d", "\\ude00",
        "null", "true", "fals", "-", "0", "1.5e+7", " ", "\r\n", "\v", "\f",
        "\"email\"", "\"event\":\"x\"", "\"timestamp\":1e9", "\xef\xbb\xbf",
        "{\"event\":\"open\",\"email\":\"a\"},", "[[[[[[[[[[[[[[[[[[[[[[["
    };

    /* a part of a long webhook will do */

    n = json->len;
    from = 0;

    if (n > SGAMP_TEST_MAX_SIZE) {
        n = 1 + sgamp_test_random(random, SGAMP_TEST_MAX_SIZE);
        from = sgamp_test_random(random, json->len - n);
    }

    buf->len = 0;

    if (from != 0) {
        sgamp_test_puts(buf, "[\"");
    }

    sgamp_test_put(buf, json->data + from, n);

    for (changes = sgamp_test_random(random, 4); changes > 0; changes--) {
        at = sgamp_test_random(random, buf->len + 1);

        switch (sgamp_test_random(random, 4)) {

        case 0: /* another byte */
            ch = (u_char) sgamp_test_random(random, 256);

            if (at < buf->len) {
                buf->data[at] = ch;
            }

            break;

        case 1: /* some less */
            n = 1 + sgamp_test_random(random, 20);
            n = (n < buf->len - at) ? n : buf->len - at;

            memmove(buf->data + at, buf->data + at + n, buf->len - at - n);
            buf->len -= n;
            break;

        case 2: /* cut short */
            if (sgamp_test_random(random, 8) == 0) {
                buf->len = at;
            }

            break;

        default: /* some more */
            n = sgamp_test_random(random, sizeof(texts) / sizeof(texts[0]));
            from = strlen(texts[n]);

            sgamp_test_put(buf, texts[n], from);
            memmove(buf->data + at + from, buf->data + at,
                    buf->len - at - from);
            memcpy(buf->data + at, texts[n], from);
        }
    }
}


static unsigned
sgamp_test_compare(sgamp_test_gold_t *gold, const sgamp_test_buf_t *buf,
    sgamp_test_random_t *random)
{
    unsigned           bad;
    sgamp_test_buf_t   out;
    sgamp_test_env_t  *env;
    sgamp_test_want_t  want;

    env = &gold->env;

    /* the second parser has to have the same opinion */

    sgamp_test_webhook(buf->data, buf->len, &want);

    env->valid = 1;

    if (sgamp_test_every_cut(env, buf->data, buf->len, 0, &want) != 0) {
        return 1;
    }

    if (env->ninvalid != 0) {
        tap_diag("%u payloads are no JSON", env->ninvalid);
        return 1;
    }

    env->valid = 0;

    memset(&out, 0, sizeof(sgamp_test_buf_t));
    sgamp_test_put(&out, env->out.data, env->out.len);

    want.out.data = out.data;
    want.out.len = out.len;

    bad = sgamp_test_random_cuts(env, buf->data, buf->len, 2, random, &want);

    sgamp_test_free(&out);

    return bad;
}
