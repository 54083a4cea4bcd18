
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>
#include <stdlib.h>

#include <openssl/bn.h>
#include <openssl/ec.h>

#include "sgamp_base64.h"
#include "sgamp_test_sign.h"


static void sgamp_test_base64_forms(void);
static void sgamp_test_der_forms(void);
static void sgamp_test_decode(void);
static void sgamp_test_high_s(void);


int
main(void)
{
    sgamp_test_base64_forms();
    sgamp_test_der_forms();
    sgamp_test_decode();
    sgamp_test_high_s();

    return tap_done();
}


static void
sgamp_test_base64_forms(void)
{
    size_t               i;
    EVP_PKEY            *key;
    const char          *found;
    sgamp_test_buf_t     good;
    sgamp_test_vector_t  v;

    /* the character at this place, from the start or the end, and another */

    static const struct {
        long         at;
        const char  *text;
        const char  *name;
    } forms[] = {
        { 0, " ", "blank first" },
        { 40, " ", "blank inside" },
        { 40, "\t", "tab inside" },
        { 40, "\r\n ", "folded line" },
        { 40, "-", "alphabet of URLs" },
        { 40, "_", "alphabet of URLs, too" },
        { 40, "=", "padding inside" },
        { 40, "%2B", "escape" },
        { 40, "\xff", "high byte" },
        { -1, "==", "more padding" },
        { -1, "A", "padding in the middle" },
        { -1, "\n", "line feed last" },
        { -1, "====", "a group of padding" },
        { -1, "AAAA", "a group more" },
        { 0, "\"", "quote first" },
        { 0, "AAAA", "a group before" }
    };

    sgamp_test_vector_read(&v, SGAMP_TEST_VALID);
    (void) sgamp_public_key_read(&key, v.key.data, v.key.len, &found);

    good = v.signature;
    memset(&v.signature, 0, sizeof(sgamp_test_buf_t));

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        v.signature.len = 0;

        if (forms[i].at < 0) {
            sgamp_test_put(&v.signature, good.data, good.len);
            sgamp_test_puts(&v.signature, forms[i].text);

        } else {
            sgamp_test_put(&v.signature, good.data, forms[i].at);
            sgamp_test_puts(&v.signature, forms[i].text);
            sgamp_test_put(&v.signature, good.data + forms[i].at,
                           good.len - forms[i].at);
        }

        tap_is(sgamp_test_verify(&v, &key, 1, 64), SGAMP_TOO_LARGE,
               "malformed base64: %s", forms[i].name);
    }

    /* bits that padding leaves over */

    v.signature.len = 0;
    sgamp_test_put(&v.signature, good.data, good.len);
    v.signature.data[good.len - 2]++;

    tap_is(sgamp_test_verify(&v, &key, 1, 64), SGAMP_TOO_LARGE,
           "malformed base64: bits left over");

    sgamp_test_free(&good);
    sgamp_test_vector_done(&v);
    sgamp_public_key_free(key);
}


static void
sgamp_test_der_forms(void)
{
    size_t               i;
    EVP_PKEY            *key;
    sgamp_test_vector_t  v;

    /* none of them is the signature; whether they could be one differs */

    static const struct {
        int          rc;
        size_t       n;
        const char  *der;
        const char  *name;
    } forms[] = {
        { SGAMP_INVALID, 8, "\x30\x06\x02\x01\x01\x02\x01\x01", "two ones" },
        { SGAMP_INVALID, 8, "\x30\x06\x02\x01\x00\x02\x01\x01", "zero" },
        { SGAMP_INVALID, 9, "\x30\x07\x02\x02\x00\x80\x02\x01\x01",
          "a zero that is needed" },
        { SGAMP_TOO_LARGE, 9, "\x30\x07\x02\x02\x00\x7f\x02\x01\x01",
          "a zero that is not needed" },
        { SGAMP_TOO_LARGE, 9, "\x30\x07\x02\x02\x00\x00\x02\x01\x01",
          "two zeros" },
        { SGAMP_TOO_LARGE, 8, "\x30\x06\x02\x01\x81\x02\x01\x01",
          "negative" },
        { SGAMP_TOO_LARGE, 8, "\x30\x06\x02\x01\x01\x02\x01\xff",
          "minus one" },
        { SGAMP_TOO_LARGE, 7, "\x30\x05\x02\x00\x02\x01\x01",
          "integer without a byte" },
        { SGAMP_TOO_LARGE, 9, "\x30\x06\x02\x01\x01\x02\x01\x01\x00",
          "byte after the end" },
        { SGAMP_TOO_LARGE, 9, "\x30\x07\x02\x01\x01\x02\x01\x01\x00",
          "byte after the integers" },
        { SGAMP_TOO_LARGE, 11, "\x30\x09\x02\x01\x01\x02\x01\x01\x02\x01\x01",
          "three integers" },
        { SGAMP_TOO_LARGE, 5, "\x30\x03\x02\x01\x01", "one integer" },
        { SGAMP_TOO_LARGE, 2, "\x30\x00", "no integer" },
        { SGAMP_TOO_LARGE, 1, "\x30", "a byte" },
        { SGAMP_TOO_LARGE, 9, "\x30\x81\x06\x02\x01\x01\x02\x01\x01",
          "long form of a length" },
        { SGAMP_TOO_LARGE, 10, "\x30\x80\x02\x01\x01\x02\x01\x01\x00\x00",
          "indefinite length" },
        { SGAMP_TOO_LARGE, 9, "\x30\x07\x02\x81\x01\x01\x02\x01\x01",
          "long form inside" },
        { SGAMP_TOO_LARGE, 8, "\x31\x06\x02\x01\x01\x02\x01\x01", "a set" },
        { SGAMP_TOO_LARGE, 8, "\x30\x06\x03\x01\x01\x02\x01\x01",
          "a bit string" },
        { SGAMP_TOO_LARGE, 8, "\x30\x06\x02\x01\x01\x0a\x01\x01",
          "an enumeration" },
        { SGAMP_TOO_LARGE, 8, "\x30\x06\x02\x05\x01\x02\x01\x01",
          "length over the end" },
        { SGAMP_TOO_LARGE, 7, "\x30\x05\x02\x01\x01\x02\x01",
          "cut integer" }
    };

    memset(&v, 0, sizeof(sgamp_test_vector_t));
    sgamp_test_puts(&v.timestamp, "1");
    key = sgamp_test_key("prime256v1");

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        tap_is(sgamp_test_der(&v, &key, (u_char *) forms[i].der, forms[i].n),
               forms[i].rc, "DER: %s", forms[i].name);
    }

    tap_ok(sgamp_test_no_errors(), "no error is left");

    sgamp_test_vector_done(&v);
    sgamp_public_key_free(key);
}


static void
sgamp_test_decode(void)
{
    size_t               i, n;
    u_char               bytes[100], back[100];
    ssize_t              rc;
    unsigned             bad;
    sgamp_test_buf_t     text;
    sgamp_test_random_t  random;

    random.state = 1;
    memset(&text, 0, sizeof(sgamp_test_buf_t));
    bad = 0;

    for (n = 1; n < sizeof(bytes); n++) {
        for (i = 0; i < n; i++) {
            bytes[i] = (u_char) sgamp_test_random(&random, 256);
        }

        sgamp_test_base64(&text, bytes, n);

        rc = sgamp_base64_decode(back, text.data, text.len);
        bad += rc != (ssize_t) n || memcmp(bytes, back, n) != 0;

        for (i = 1; i < 4; i++) {
            bad += sgamp_base64_decode(back, text.data, text.len - i) != -1;
        }
    }

    tap_is(bad, 0, "base64 of 1 to 99 bytes");

    sgamp_test_free(&text);
}


static void
sgamp_test_high_s(void)
{
    int                  n;
    u_char               in[SGAMP_SIGNATURE_DER + 2], *out;
    BIGNUM              *order, *r, *s, *other;
    EVP_PKEY            *key;
    ECDSA_SIG           *sig;
    const BIGNUM        *oldr, *olds;
    const u_char        *p;
    sgamp_test_vector_t  v;

    memset(&v, 0, sizeof(sgamp_test_vector_t));
    sgamp_test_puts(&v.timestamp, "1600112502");
    sgamp_test_puts(&v.body, "[{}]\r\n");

    key = sgamp_test_key("prime256v1");
    sgamp_test_sign(&v, key);

    /* the other of two signatures: n - s in place of s */

    n = (int) sgamp_base64_decode(in, v.signature.data, v.signature.len);
    p = in;
    out = NULL;
    order = NULL;

    sig = d2i_ECDSA_SIG(NULL, &p, n);
    ECDSA_SIG_get0(sig, &oldr, &olds);

    BN_hex2bn(&order, "ffffffff00000000ffffffffffffffff"
                      "bce6faada7179e84f3b9cac2fc632551");
    r = BN_dup(oldr);
    s = BN_dup(olds);
    other = BN_new();
    BN_sub(other, order, s);
    ECDSA_SIG_set0(sig, r, other);

    n = i2d_ECDSA_SIG(sig, &out);

    tap_is(sgamp_test_verify(&v, &key, 1, 64), SGAMP_OK, "one of two");
    tap_is(sgamp_test_der(&v, &key, out, n), SGAMP_OK, "the other, too");

    BN_free(s);
    BN_free(order);
    ECDSA_SIG_free(sig);
    OPENSSL_free(out);
    sgamp_public_key_free(key);
    sgamp_test_vector_done(&v);
}
