
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdlib.h>
#include <time.h>

#include "sgamp_test_gold.h"


#define SGAMP_TEST_ROUNDS    1000 /* of each webhook, ... */
#define SGAMP_TEST_LEAST     200  /* ... and on a slow machine */
#define SGAMP_TEST_ELEMENTS  512
#define SGAMP_TEST_MAX_SIZE  3000
#define SGAMP_TEST_SECONDS   10
#define SGAMP_TEST_SEED      7


static unsigned sgamp_test_seed(void);
static unsigned sgamp_test_fuzz(sgamp_test_gold_t *gold, unsigned seed,
    clock_t until);
static void sgamp_test_mutate(sgamp_test_buf_t *buf,
    const sgamp_test_buf_t *json, sgamp_test_random_t *random);
static unsigned sgamp_test_compare(sgamp_test_gold_t *gold,
    const sgamp_test_buf_t *buf, sgamp_test_run_t *whole,
    sgamp_test_random_t *random);
static unsigned sgamp_test_second(const sgamp_test_buf_t *buf,
    const sgamp_test_run_t *whole);


int
main(void)
{
    size_t             i;
    glob_t             names;
    clock_t            until;
    unsigned           n, rounds, least, seed;
    sgamp_test_gold_t  gold;

    /* the same on each machine, unless it is a slow one */

    seed = sgamp_test_seed();
    rounds = 0;
    least = SGAMP_TEST_ROUNDS;

    until = clock() + SGAMP_TEST_SECONDS * CLOCKS_PER_SEC;

    sgamp_test_golds(&names);

    for (i = 0; i < names.gl_pathc; i++) {
        sgamp_test_gold_init(&gold, names.gl_pathv[i]);
        n = sgamp_test_fuzz(&gold, seed, until);
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
sgamp_test_seed(void)
{
    const char  *text;

    text = getenv("FUZZ_SEED");

    return (text != NULL) ? (unsigned) strtoul(text, NULL, 10)
                          : SGAMP_TEST_SEED;
}


static unsigned
sgamp_test_fuzz(sgamp_test_gold_t *gold, unsigned seed, clock_t until)
{
    unsigned             i, bad;
    sgamp_test_buf_t     buf;
    sgamp_test_run_t     whole;
    sgamp_test_random_t  random;

    memset(&buf, 0, sizeof(sgamp_test_buf_t));

    whole = gold->run;
    whole.heap.grow.data = &whole.heap;

    random.state = seed;
    bad = 0;

    for (i = 0;
         i < SGAMP_TEST_LEAST || (i < SGAMP_TEST_ROUNDS && clock() < until);
         i++)
    {
        sgamp_test_mutate(&buf, &gold->json, &random);
        bad += sgamp_test_compare(gold, &buf, &whole, &random);

        if (bad != 0) {
            tap_diag("round %u", i);
            tap_diag_bytes("text", buf.data, buf.len);
            break;
        }
    }

    tap_is(bad, 0, "%s: random changes", gold->name);

    sgamp_test_free(&buf);
    sgamp_test_run_done(&whole);

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
    sgamp_test_run_t *whole, sgamp_test_random_t *random)
{
    unsigned           i;
    sgamp_test_run_t  *run;

    run = &gold->run;

    whole->cut = NULL;
    whole->valid = 1;

    sgamp_test_run(whole, buf->data, buf->len);

    if (whole->ninvalid != 0 || whole->heap.live != 0
        || sgamp_test_second(buf, whole) != 0)
    {
        tap_diag("status %d at %zu, %u payloads are no JSON", whole->status,
                 (size_t) whole->at, whole->ninvalid);
        return 1;
    }

    run->cut = sgamp_test_cut_random;
    run->data = random;
    run->valid = 0;

    for (i = 0; i < 2; i++) {
        sgamp_test_run(run, buf->data, buf->len);

        if (run->status != whole->status || run->heap.live != 0
            || run->out.len != whole->out.len
            || (run->out.len != 0
                && memcmp(run->out.data, whole->out.data, run->out.len)
                   != 0))
        {
            tap_diag("cut: status %d at %zu, as a whole: status %d at %zu",
                     run->status, (size_t) run->at, whole->status,
                     (size_t) whole->at);
            return 1;
        }
    }

    return 0;
}


static unsigned
sgamp_test_second(const sgamp_test_buf_t *buf, const sgamp_test_run_t *whole)
{
    int                   rc;
    size_t                n, at;
    sgamp_test_element_t  elements[SGAMP_TEST_ELEMENTS];

    /* the second parser has to have the same opinion */

    rc = sgamp_test_webhook(buf->data, buf->len, &at, elements,
                            SGAMP_TEST_ELEMENTS, &n);

    if (rc != whole->status
        || (rc != SGAMP_OK && at != (size_t) whole->at)
        || n != whole->nevents)
    {
        tap_diag("the second parser: status %d at %zu, %zu elements and not "
                 "%u",
                 rc, at, n, whole->nevents);
        return 1;
    }

    return 0;
}
