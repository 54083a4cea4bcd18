
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "sgamp_base64.h"
#include "sgamp_test_sign.h"


#define SGAMP_TEST_WHOLE  1000000 /* bytes, more than any body has */


static void sgamp_test_vectors(void);
static void sgamp_test_vector(const char *dir);
static int sgamp_test_squeeze(sgamp_test_buf_t *buf);
static void sgamp_test_bits(void);
static unsigned sgamp_test_flip(sgamp_test_vector_t *v, sgamp_test_buf_t *buf,
    EVP_PKEY **keys);
static void sgamp_test_lengths(void);
static void sgamp_test_several(void);
static void sgamp_test_times(void);


int
main(void)
{
    sgamp_test_vectors();
    sgamp_test_bits();
    sgamp_test_lengths();
    sgamp_test_several();
    sgamp_test_times();

    return tap_done();
}


static void
sgamp_test_vectors(void)
{
    size_t  i;
    glob_t  dirs;

    if (glob("t/data/signature/v*", 0, NULL, &dirs) != 0) {
        tap_bail("no vectors");
    }

    for (i = 0; i < dirs.gl_pathc; i++) {
        sgamp_test_vector(dirs.gl_pathv[i]);
    }

    globfree(&dirs);
}


static void
sgamp_test_vector(const char *dir)
{
    int                  rc, ok;
    size_t               i;
    EVP_PKEY            *key;
    const char          *found;
    sgamp_test_vector_t  v;

    static const size_t  sizes[] = { 1, 7, 64, SGAMP_TEST_WHOLE };

    sgamp_test_vector_read(&v, dir);

    tap_is(sgamp_public_key_read(&key, v.key.data, v.key.len, &found), SGAMP_OK,
           "%s: key", dir);

    /* "invalid", "valid", or "valid-..." with what has to be done for it */

    ok = v.expect.len > 5 && memcmp(v.expect.data, "valid", 5) == 0;

    if (sgamp_test_squeeze(&v.signature)) {
        tap_ok(ok, "%s: white space in the signature", dir);

        sgamp_test_vector_done(&v);
        sgamp_test_vector_read(&v, dir);

        tap_is(sgamp_test_verify(&v, &key, 1, 64), SGAMP_TOO_LARGE,
               "%s: is malformed with white space", dir);

        (void) sgamp_test_squeeze(&v.signature);
    }

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        rc = sgamp_test_verify(&v, &key, 1, sizes[i]);

        tap_ok((rc == SGAMP_OK) == ok, "%s: in portions of %zu", dir,
               sizes[i]);
    }

    tap_ok(sgamp_test_no_errors(), "%s: no error is left", dir);

    sgamp_public_key_free(key);
    sgamp_test_vector_done(&v);
}


static int
sgamp_test_squeeze(sgamp_test_buf_t *buf)
{
    size_t  i, n;

    n = 0;

    /* white space between characters of base64, not text after them */

    for (i = 0; i < buf->len; i++) {
        if (buf->data[i] != ' ' && buf->data[i] != '\n') {
            buf->data[n++] = buf->data[i];
        }
    }

    if (n == buf->len || n > 96) {
        return 0;
    }

    buf->len = n;

    return 1;
}


static void
sgamp_test_bits(void)
{
    size_t               i;
    u_char               der[256];
    ssize_t              n;
    EVP_PKEY            *key, *other;
    unsigned             bit, bad;
    const char          *found;
    sgamp_test_buf_t     text;
    sgamp_test_vector_t  v;

    sgamp_test_vector_read(&v, SGAMP_TEST_VALID);
    (void) sgamp_public_key_read(&key, v.key.data, v.key.len, &found);

    tap_is(sgamp_test_flip(&v, &v.body, &key), 0, "a bit of the body");
    tap_is(sgamp_test_flip(&v, &v.timestamp, &key), 0,
           "a bit of the timestamp");
    tap_is(sgamp_test_flip(&v, &v.signature, &key), 0,
           "a bit of the signature's text");

    n = sgamp_base64_decode(der, v.signature.data, v.signature.len);
    bad = 0;

    for (i = 0; i < (size_t) n; i++) {
        for (bit = 1; bit < 0x100; bit <<= 1) {
            der[i] ^= bit;
            bad += sgamp_test_der(&v, &key, der, n) == SGAMP_OK;
            der[i] ^= bit;
        }
    }

    tap_is(bad, 0, "a bit of the signature");

    memset(&text, 0, sizeof(sgamp_test_buf_t));
    n = sgamp_base64_decode(der, v.key.data, v.key.len);
    sgamp_test_vector_done(&v);
    sgamp_test_vector_read(&v, SGAMP_TEST_VALID);
    bad = 0;

    for (i = 0; i < (size_t) n; i++) {
        for (bit = 1; bit < 0x100; bit <<= 1) {
            der[i] ^= bit;
            sgamp_test_base64(&text, der, n);
            der[i] ^= bit;

            if (sgamp_public_key_read(&other, text.data, text.len, &found)
                == SGAMP_OK)
            {
                bad += sgamp_test_verify(&v, &other, 1, 64) == SGAMP_OK;
                sgamp_public_key_free(other);
            }
        }
    }

    tap_is(bad, 0, "a bit of the key");
    tap_is(sgamp_test_verify(&v, &key, 1, 64), SGAMP_OK, "no bit");
    tap_ok(sgamp_test_no_errors(), "no error is left");

    sgamp_public_key_free(key);
    sgamp_test_free(&text);
    sgamp_test_vector_done(&v);
}


static unsigned
sgamp_test_flip(sgamp_test_vector_t *v, sgamp_test_buf_t *buf,
    EVP_PKEY **keys)
{
    size_t    i;
    unsigned  bit, bad;

    bad = 0;

    for (i = 0; i < buf->len; i++) {
        for (bit = 1; bit < 0x100; bit <<= 1) {
            buf->data[i] ^= bit;
            bad += sgamp_test_verify(v, keys, 1, 64) == SGAMP_OK;
            buf->data[i] ^= bit;
        }
    }

    return bad;
}


static void
sgamp_test_lengths(void)
{
    size_t               i, n;
    EVP_PKEY            *key;
    unsigned             bad;
    sgamp_test_buf_t    *buf, *bufs[3];
    sgamp_test_vector_t  v;

    memset(&v, 0, sizeof(sgamp_test_vector_t));

    key = sgamp_test_key("prime256v1");

    sgamp_test_puts(&v.timestamp, "1600112502");

    /* a body of each length around the blocks of the hash */

    bad = 0;

    for (i = 0; i < 200; i++) {
        sgamp_test_sign(&v, key);

        for (n = 1; n < 70; n += 23) {
            bad += sgamp_test_verify(&v, &key, 1, n) != SGAMP_OK;
        }

        sgamp_test_puts(&v.body, "x");

        bad += sgamp_test_verify(&v, &key, 1, 64) == SGAMP_OK;
    }

    tap_is(bad, 0, "bodies of 0 to 199 bytes");

    /* a byte less, or more, of each */

    sgamp_test_sign(&v, key);

    bufs[0] = &v.body;
    bufs[1] = &v.timestamp;
    bufs[2] = &v.signature;

    for (i = 0; i < 3; i++) {
        buf = bufs[i];

        buf->len--;
        tap_ok(sgamp_test_verify(&v, &key, 1, 64) != SGAMP_OK, "%zu: cut", i);
        buf->len++;

        sgamp_test_puts(buf, " ");
        tap_ok(sgamp_test_verify(&v, &key, 1, 64) != SGAMP_OK, "%zu: longer",
               i);
        buf->len--;

        n = buf->len;
        buf->len = 0;
        tap_ok(sgamp_test_verify(&v, &key, 1, 64) != SGAMP_OK, "%zu: empty",
               i);
        buf->len = n;
    }

    tap_is(sgamp_test_verify(&v, &key, 1, 64), SGAMP_OK, "as they were");

    sgamp_public_key_free(key);
    sgamp_test_vector_done(&v);
}


static void
sgamp_test_several(void)
{
    size_t               i, n;
    EVP_PKEY            *keys[4], *other;
    sgamp_test_vector_t  v;

    memset(&v, 0, sizeof(sgamp_test_vector_t));
    sgamp_test_puts(&v.timestamp, "1600112502");
    sgamp_test_puts(&v.body, "[{}]\r\n");

    for (i = 0; i < 4; i++) {
        keys[i] = sgamp_test_key("prime256v1");
    }

    for (i = 0; i < 4; i++) {
        sgamp_test_sign(&v, keys[i]);

        for (n = 0; n <= 4; n++) {
            tap_is(sgamp_test_verify(&v, keys, n, 64),
                   (i < n) ? SGAMP_OK : SGAMP_INVALID,
                   "key %zu, %zu of them accepted", i, n);
        }
    }

    /* a valid signature of another curve, as large as one of this may be */

    other = sgamp_test_key("secp256k1");
    sgamp_test_sign(&v, other);

    tap_is(sgamp_test_verify(&v, keys, 4, 64), SGAMP_INVALID,
           "signed with another curve");
    tap_ok(sgamp_test_no_errors(), "no error is left");

    sgamp_public_key_free(other);

    other = sgamp_test_key("RSA");
    sgamp_test_sign(&v, other);

    tap_is(sgamp_test_verify(&v, keys, 4, 64), SGAMP_TOO_LARGE,
           "signed with RSA");

    sgamp_public_key_free(other);

    for (i = 0; i < 4; i++) {
        sgamp_public_key_free(keys[i]);
    }

    sgamp_test_vector_done(&v);
}


static void
sgamp_test_times(void)
{
    size_t       i;
    int64_t      seconds;
    sgamp_str_t  text;

    static const struct {
        const char  *text;
        int64_t      seconds; /* -1: malformed */
    } times[] = {
        { "0", 0 },
        { "1600112502", 1600112502 },
        { "0001600112502", 1600112502 },
        { "999999999999999999", 999999999999999999 },
        { "1000000000000000000", -1 },
        { "99999999999999999999999999", -1 },
        { "", -1 },
        { " 1600112502", -1 },
        { "1600112502 ", -1 },
        { "1600112502\n", -1 },
        { "-1600112502", -1 },
        { "+1600112502", -1 },
        { "1600112502.5", -1 },
        { "1.6e9", -1 },
        { "0x5f5fd1b6", -1 },
        { "1600112502,1600112502", -1 },
        { "yesterday", -1 }
    };

    for (i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        sgamp_test_set(&text, times[i].text);

        if (sgamp_signature_time(&text, &seconds) != SGAMP_OK) {
            seconds = -1;
        }

        tap_is(seconds, times[i].seconds, "timestamp \"%s\"", times[i].text);
    }
}
