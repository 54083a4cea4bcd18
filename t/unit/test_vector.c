
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdlib.h>

#include "sgamp_test.h"
#include "sgamp_vector.h"


#define SGAMP_TEST_RANDOMS  200000
#define SGAMP_TEST_ALIGN    64 /* bytes of a line of any cache */


static void sgamp_test_memory(void);
static void sgamp_test_is(void);
static unsigned sgamp_test_is_alone(u_char *bytes, u_char ch);
static void sgamp_test_no_digit(void);
static void sgamp_test_behind(void);
static unsigned sgamp_test_first(sgamp_vector_t v);
static unsigned sgamp_test_want(const u_char *bytes,
    int (*marked)(u_char byte, u_char ch), u_char ch);
static int sgamp_test_same(u_char byte, u_char ch);
static int sgamp_test_other(u_char byte, u_char ch);
static int sgamp_test_odd(u_char byte, u_char ch);
static int sgamp_test_stop(u_char byte, u_char ch);


int
main(void)
{
    tap_diag("vectors of %d bytes", SGAMP_VECTOR_SIZE);

    sgamp_test_memory();
    sgamp_test_is();
    sgamp_test_no_digit();
    sgamp_test_behind();

    return tap_done();
}


static void
sgamp_test_memory(void)
{
    u_char              *src, *dst, want[SGAMP_VECTOR_SIZE];
    size_t               i, k, from, to;
    unsigned             bad;
    sgamp_test_random_t  random;

    /* the last byte of the source and of the target ends an allocation */

    random.state = 1;
    bad = 0;

    for (i = 0; i < SGAMP_TEST_ALIGN; i++) {
        for (k = 0; k < SGAMP_TEST_ALIGN; k++) {
            src = malloc(i + SGAMP_VECTOR_SIZE);
            dst = malloc(k + SGAMP_VECTOR_SIZE);

            if (src == NULL || dst == NULL) {
                tap_bail("no memory");
            }

            for (from = 0; from < SGAMP_VECTOR_SIZE; from++) {
                want[from] = (u_char) sgamp_test_random(&random, 256);
            }

            memcpy(src + i, want, SGAMP_VECTOR_SIZE);
            sgamp_test_poison(dst, k + SGAMP_VECTOR_SIZE);

            to = dst[0];

            sgamp_vector_store(dst + k, sgamp_vector_load(src + i));

            bad += memcmp(dst + k, want, SGAMP_VECTOR_SIZE) != 0;

            for (from = 0; from < k; from++) {
                bad += dst[from] != to;
            }

            free(src);
            free(dst);
        }
    }

    tap_is(bad, 0, "a vector is what was loaded, from any address to any");
}


static void
sgamp_test_is(void)
{
    u_char    bytes[SGAMP_VECTOR_SIZE];
    unsigned  bad, ch, i;

    /* what differs by one or in the high bit is next to what is looked for */

    static const u_char  masks[] = { 0x01, 0x80, 0x81, 0xff, 0x40 };

    bad = 0;

    for (ch = 0; ch < 0x80; ch++) {
        for (i = 0; i < sizeof(masks); i++) {
            memset(bytes, (int) (ch ^ masks[i]), SGAMP_VECTOR_SIZE);
            bad += sgamp_test_is_alone(bytes, (u_char) ch);
        }
    }

    tap_is(bad, 0, "a byte in any place is each character of ASCII or is not");
}


static unsigned
sgamp_test_is_alone(u_char *bytes, u_char ch)
{
    u_char          before;
    unsigned        at, bad, value, want;
    sgamp_vector_t  v;

    bad = 0;

    for (at = 0; at < SGAMP_VECTOR_SIZE; at++) {
        before = bytes[at];

        for (value = 0; value < 256; value++) {
            bytes[at] = (u_char) value;

            v = sgamp_vector_is(sgamp_vector_load(bytes), ch);
            want = (value == ch) ? at : SGAMP_VECTOR_SIZE;

            bad += sgamp_test_first(v) != want;
        }

        bytes[at] = before;
    }

    return bad;
}


static void
sgamp_test_no_digit(void)
{
    u_char          bytes[SGAMP_VECTOR_SIZE];
    unsigned        at, bad, digit, value, want;
    sgamp_vector_t  v;

    bad = 0;

    for (digit = '0'; digit <= '9'; digit++) {
        for (at = 0; at < SGAMP_VECTOR_SIZE; at++) {
            for (value = 0; value < 256; value++) {
                memset(bytes, (int) digit, SGAMP_VECTOR_SIZE);
                bytes[at] = (u_char) value;

                v = sgamp_vector_no_digit(sgamp_vector_load(bytes));
                want = (value >= '0' && value <= '9') ? SGAMP_VECTOR_SIZE : at;

                bad += sgamp_test_first(v) != want;
            }
        }
    }

    tap_is(bad, 0, "a byte in any place is a digit or is not");
}


static void
sgamp_test_behind(void)
{
    u_char               bytes[SGAMP_VECTOR_SIZE], ch, some[8];
    size_t               i, k;
    unsigned             bad[4];
    sgamp_vector_t       v, odd;
    sgamp_test_random_t  random;

    /* few values, so that much is marked behind the first mark */

    random.state = 2;
    memset(bad, 0, sizeof(bad));

    for (i = 0; i < SGAMP_TEST_RANDOMS; i++) {

        ch = (u_char) sgamp_test_random(&random, 0x80);

        for (k = 0; k < sizeof(some); k++) {
            some[k] = (u_char) sgamp_test_random(&random, 256);
        }

        some[0] = ch;
        some[1] = ch ^ 0x01;
        some[2] = ch ^ 0x80;
        some[3] = "\"\\0/9:\x80\xff"[sgamp_test_random(&random, 8)];

        for (k = 0; k < SGAMP_VECTOR_SIZE; k++) {
            bytes[k] = some[sgamp_test_random(&random, 1 + i % sizeof(some))];
        }

        if (i % 3 != 0) {
            memset(bytes, '0' + (int) (i % 10), i % SGAMP_VECTOR_SIZE);
        }

        v = sgamp_vector_load(bytes);

        bad[0] += sgamp_test_first(sgamp_vector_is(v, ch))
                  != sgamp_test_want(bytes, sgamp_test_same, ch);
        bad[1] += sgamp_test_first(sgamp_vector_no_digit(v))
                  != sgamp_test_want(bytes, sgamp_test_other, 0);

        odd = sgamp_vector_or(v, sgamp_vector_is(v, '\\'));

        bad[2] += sgamp_test_first(odd)
                  != sgamp_test_want(bytes, sgamp_test_odd, 0);

        odd = sgamp_vector_or(odd, sgamp_vector_is(v, ch));

        bad[3] += sgamp_test_first(odd)
                  != sgamp_test_want(bytes, sgamp_test_stop, ch);
    }

    tap_is(bad[0], 0, "the first of characters that are the same");
    tap_is(bad[1], 0, "the first of bytes that are no digits");
    tap_is(bad[2], 0, "the first byte that is not ASCII or is a backslash");
    tap_is(bad[3], 0, "... or is any other character");
}


static unsigned
sgamp_test_first(sgamp_vector_t v)
{
    /* the size of a vector: no byte is marked */

    if (sgamp_vector_marks(v) == 0) {
        return SGAMP_VECTOR_SIZE;
    }

    return sgamp_vector_first(sgamp_vector_marks(v));
}


static unsigned
sgamp_test_want(const u_char *bytes, int (*marked)(u_char byte, u_char ch),
    u_char ch)
{
    unsigned  i;

    for (i = 0; i < SGAMP_VECTOR_SIZE && !marked(bytes[i], ch); i++) {
        /* void */
    }

    return i;
}


static int
sgamp_test_same(u_char byte, u_char ch)
{
    return byte == ch;
}


static int
sgamp_test_other(u_char byte, u_char ch)
{
    return byte < '0' || byte > '9';
}


static int
sgamp_test_odd(u_char byte, u_char ch)
{
    return byte >= 0x80 || byte == '\\';
}


static int
sgamp_test_stop(u_char byte, u_char ch)
{
    return sgamp_test_odd(byte, ch) || byte == ch;
}
