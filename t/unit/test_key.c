
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>
#include <stdlib.h>

#include <openssl/ec.h>
#include <openssl/pem.h>

#include "sgamp_base64.h"
#include "sgamp_test_sign.h"


#define SGAMP_TEST_PREFIX  27 /* bytes of a key before its coordinates */

#define SGAMP_TEST_BEGIN   "-----BEGIN PUBLIC KEY-----\n"
#define SGAMP_TEST_END     "-----END PUBLIC KEY-----\n"
#define SGAMP_TEST_CURVE                                                      \
    "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"                       \
    "-----END EC PARAMETERS-----\n"


static void sgamp_test_kinds(void);
static void sgamp_test_text_forms(void);
static void sgamp_test_der_forms(void);
static void sgamp_test_points(void);
static void sgamp_test_bounds(void);
static void sgamp_test_explicit(void);
static void sgamp_test_read_key(const char *text, size_t n, const char *want,
    const char *name);
static void sgamp_test_read_der(const u_char *der, size_t n, const char *want,
    const char *name);


static const char sgamp_test_spki[] =
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF"
    "9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";


int
main(void)
{
    sgamp_test_kinds();
    sgamp_test_text_forms();
    sgamp_test_der_forms();
    sgamp_test_points();
    sgamp_test_bounds();
    sgamp_test_explicit();

    return tap_done();
}


static void
sgamp_test_kinds(void)
{
    size_t            i;
    EVP_PKEY         *key;
    sgamp_test_buf_t  text;

    static const char *kinds[] = {
        "prime256v1", NULL,
        "secp384r1", "P-384",
        "secp521r1", "P-521",
        "secp224r1", "P-224",
        "secp256k1", "secp256k1",
        "brainpoolP256r1", "brainpoolP256r1",
        "RSA", "RSA",
        "RSA-PSS", "RSA-PSS",
        "Ed25519", "Ed25519",
        "X25519", "X25519"
    };

    memset(&text, 0, sizeof(sgamp_test_buf_t));

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i += 2) {
        key = sgamp_test_key(kinds[i]);

        sgamp_test_public(&text, key);
        sgamp_test_read_key((char *) text.data, text.len, kinds[i + 1],
                            kinds[i]);

        sgamp_test_private(&text, key);
        sgamp_test_read_key((char *) text.data, text.len, "a private key",
                            "its private key");

        EVP_PKEY_free(key);
    }

    sgamp_test_free(&text);
}


static void
sgamp_test_text_forms(void)
{
    size_t            i, j;
    sgamp_test_buf_t  text;

    /* "#" stands for the base64 of a key, "~" for it with white space */

    static const char *forms[] = {
        "#", NULL,
        "~", NULL,
        " #\n", NULL,
        "-----BEGIN PUBLIC KEY-----\n#\n-----END PUBLIC KEY-----\n", NULL,
        "-----BEGIN PUBLIC KEY-----\r\n~\r\n-----END PUBLIC KEY-----", NULL,
        "-----BEGIN PUBLIC KEY----- # -----END PUBLIC KEY-----", NULL,
        "text\n" SGAMP_TEST_BEGIN "~\n" SGAMP_TEST_END "more text", NULL,
        "-----BEGIN PUBLIC KEY-----#-----END PUBLIC KEY-----", NULL,
        "-----BEGIN PUBLIC KEY-----#-----END PUBLIC KEY----", "PEM without "
        "its last line",
        "", "nothing",
        " \t\r\n", "nothing",
        "##", "no base64",
        "#A", "no base64",
        "#\nMFkw", "no base64",
        "\"#\"", "a text in quotes",
        " '#'", "a text in quotes",
        "\xe2\x80\x9c#\xe2\x80\x9d", "a text in quotes",
        "\xef\xbb\xbf#", "a byte order mark before the text",
        "\xef\xbb\xbf" SGAMP_TEST_BEGIN "#\n" SGAMP_TEST_END, NULL,
        "\xff\xfeM", "UTF-16",
        "\xfe\xffM", "UTF-16",
        "{\"public_key\":\"#\"}\n",
        "JSON (the value of its \"public_key\" is the key)",
        " [\"#\"]", "JSON (the value of its \"public_key\" is the key)",
        "SG.abcdefghijklmnopqrstuv.0123456789", "an API key of SendGrid",
        "Bearer SG.abcdefghijklmnopqrstuv.0123456789\n",
        "an API key of SendGrid",
        "0123456789abcdef0123456789ABCDEF",
        "32 hex digits (as an API key of Amplitude has)",
        "0123456789abcdef 0123456789abcde", "no base64",
        "\t01234567 89abcdef\n0123456789ABCDEF\v",
        "32 hex digits (as an API key of Amplitude has)",
        "0123456789abcdef0123456789ABCDE", "no base64",
        "0123456789abcdef0123456789ABCDEF0", "no base64",
        "0123456789abcdef0123456789ABCDE/", "no public key",
        "0123456789abcdef0123456789ABCDE:", "no base64",
        "0123456789abcdef0123456789ABCDEG", "no public key",
        "0123456789abcdef0123456789ABCDE@", "no base64",
        "0123456789abcdef0123456789abcdeg", "no public key",
        "01234567-89ab-cdef-0123-456789abcdef", "no base64",
        "$key", "a variable",
        "-----BEGIN", "a part of PEM (in nginx.conf, PEM has to be in quotes)",
        "key", "no base64",
        "keys", "no public key",
        "AAAA", "no public key",
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE", "no public key",
        "ssh-rsa AAAAB3NzaC1yc2E= me", "a key of SSH",
        "ecdsa-sha2-nistp256 AAAAE2VjZHNh me", "a key of SSH",
        "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", "nothing",
        "-----BEGIN PUBLIC KEY-----\n#\n", "PEM without its last line",
        "-----BEGIN PUBLIC KEY-----\n#!\n-----END PUBLIC KEY-----\n",
        "no base64",
        SGAMP_TEST_BEGIN "#\n" SGAMP_TEST_END SGAMP_TEST_BEGIN "#\n",
        "more than one key",
        "-----BEGIN PRIVATE KEY-----\n#\n-----END PRIVATE KEY-----\n",
        "a private key",
        SGAMP_TEST_CURVE "-----BEGIN EC PRIVATE KEY-----\n", "a private key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n#\n", "a private key",
        SGAMP_TEST_CURVE, "the parameters of a curve",
        "-----BEGIN CERTIFICATE-----\n#\n-----END CERTIFICATE-----\n",
        "a certificate",
        "-----BEGIN RSA PUBLIC KEY-----\n#\n-----END RSA PUBLIC KEY-----\n",
        "RSA",
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n#\n", "PEM of another kind"
    };

    memset(&text, 0, sizeof(sgamp_test_buf_t));

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i += 2) {
        text.len = 0;

        for (j = 0; forms[i][j] != '\0'; j++) {

            if (forms[i][j] == '#') {
                sgamp_test_puts(&text, sgamp_test_spki);

            } else if (forms[i][j] == '~') {
                sgamp_test_put(&text, sgamp_test_spki, 64);
                sgamp_test_puts(&text, "\n \t\v\f\r\n");
                sgamp_test_puts(&text, sgamp_test_spki + 64);

            } else {
                sgamp_test_put(&text, forms[i] + j, 1);
            }
        }

        sgamp_test_read_key((char *) text.data, text.len, forms[i + 1],
                            forms[i]);
    }

    /* more text than any key has */

    text.len = 0;

    for (i = 0; i < 8193; i++) {
        sgamp_test_puts(&text, "A");
    }

    sgamp_test_read_key((char *) text.data, text.len, "too much text",
                        "a long text");
    sgamp_test_read_key((char *) text.data, 8192, "no public key",
                        "a text that is almost as long");

    sgamp_test_free(&text);
}


static void
sgamp_test_der_forms(void)
{
    u_char   der[128], other[128];
    ssize_t  n;

    n = sgamp_base64_decode(der, (u_char *) sgamp_test_spki,
                            sizeof(sgamp_test_spki) - 1);

    sgamp_test_read_der(der, n, NULL, "as it is");
    sgamp_test_read_key((char *) der, n, "DER (PEM or base64 is needed)",
                        "not in base64");
    sgamp_test_read_der(der, n - 1, "no public key", "a byte less");

    memcpy(other, der, n);
    other[n] = 0;
    sgamp_test_read_der(other, n + 1, "no DER, or more than one key",
                        "a byte more");

    /* the length in its long form */

    other[0] = der[0];
    other[1] = 0x81;
    memcpy(other + 2, der + 1, n - 1);
    sgamp_test_read_der(other, n + 1, "no DER, or more than one key",
                        "a length that is not the shortest");

    /* unused bits of the bit string */

    memcpy(other, der, n);
    other[SGAMP_TEST_PREFIX - 2] = 1;
    sgamp_test_read_der(other, n, "no DER, or more than one key",
                        "unused bits");

    /* the names of the algorithm and of the curve */

    memcpy(other, der, n);
    other[12]++;
    sgamp_test_read_der(other, n, "an unknown kind of key", "other algorithm");

    memcpy(other, der, n);
    other[22] = 0x7f;
    sgamp_test_read_der(other, n, "an unknown curve", "other curve");
}


static void
sgamp_test_points(void)
{
    u_char   der[128], other[128];
    size_t   i;
    ssize_t  n;

    n = sgamp_base64_decode(der, (u_char *) sgamp_test_spki,
                            sizeof(sgamp_test_spki) - 1);

    for (i = SGAMP_TEST_PREFIX; i < (size_t) n; i += 8) {
        memcpy(other, der, n);
        other[i] ^= 1;
        sgamp_test_read_der(other, n,
                            "a point that is not on the curve P-256",
                            "not on the curve");
    }

    memcpy(other, der, n);
    memset(other + SGAMP_TEST_PREFIX, 0xff, n - SGAMP_TEST_PREFIX);
    sgamp_test_read_der(other, n, "a point that is not on the curve P-256",
                        "coordinates over the field");

    memset(other + SGAMP_TEST_PREFIX, 0, n - SGAMP_TEST_PREFIX);
    sgamp_test_read_der(other, n, "a point that is not on the curve P-256",
                        "zeros");

    /* infinity is a single byte */

    memcpy(other, der, n);
    other[1] = 25;
    other[24] = 2;
    other[26] = 0;
    sgamp_test_read_der(other, 27, "a point that is not on the curve P-256",
                        "infinity");

    memcpy(other, der, n);
    other[26] = 6 + (der[n - 1] & 1);
    sgamp_test_read_der(other, n, "a point in hybrid form", "hybrid point");

    /* the same point by x and the parity of y */

    memcpy(other, der, n);
    other[1] = 57;
    other[24] = 34;
    other[26] = 2 + (der[n - 1] & 1);
    sgamp_test_read_der(other, 59, NULL, "compressed point");
}


static void
sgamp_test_bounds(void)
{
    size_t              i;
    u_char             *p;
    EVP_PKEY           *key;
    unsigned            bad;
    const char         *found;
    sgamp_test_guard_t  guard;

    /* nothing is read after the end */

    sgamp_test_guard_init(&guard, sizeof(sgamp_test_spki));
    bad = 0;

    for (i = 0; i < sizeof(sgamp_test_spki) - 1; i++) {
        p = sgamp_test_guard(&guard, sgamp_test_spki, i);
        bad += sgamp_public_key_read(&key, p, i, &found) != SGAMP_INVALID;
        bad += key != NULL;
        bad += !sgamp_test_no_errors();
    }

    tap_is(bad, 0, "a key cut anywhere");

    sgamp_test_guard_done(&guard);
}


static void
sgamp_test_explicit(void)
{
    EVP_PKEY          *key;
    EVP_PKEY_CTX      *ctx;
    sgamp_test_buf_t   text;

    memset(&text, 0, sizeof(sgamp_test_buf_t));

    key = NULL;
    ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);

    if (ctx == NULL
        || EVP_PKEY_keygen_init(ctx) != 1
        || EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, NID_X9_62_prime256v1)
           != 1
        || EVP_PKEY_CTX_set_ec_param_enc(ctx, OPENSSL_EC_EXPLICIT_CURVE) != 1
        || EVP_PKEY_keygen(ctx, &key) != 1)
    {
        tap_bail("no key with explicit parameters");
    }

    sgamp_test_public(&text, key);
    sgamp_test_read_key((char *) text.data, text.len,
                        "a curve that has no name", "explicit parameters");

    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    sgamp_test_free(&text);
}


static void
sgamp_test_read_der(const u_char *der, size_t n, const char *want,
    const char *name)
{
    sgamp_test_buf_t  text;

    memset(&text, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_base64(&text, der, n);
    sgamp_test_read_key((char *) text.data, text.len, want, name);

    sgamp_test_free(&text);
}


static void
sgamp_test_read_key(const char *text, size_t n, const char *want,
    const char *name)
{
    int          rc;
    size_t       i;
    char         line[64];
    EVP_PKEY    *key;
    const char  *found;

    /* a name that is one line */

    for (i = 0; name[i] != '\0' && i < sizeof(line) - 1; i++) {
        line[i] = (name[i] < ' ' || name[i] == '#') ? '.' : name[i];
    }

    line[i] = '\0';

    rc = sgamp_public_key_read(&key, (u_char *) text, n, &found);

    tap_ok(rc == (want ? SGAMP_INVALID : SGAMP_OK)
           && (key == NULL) == (want != NULL)
           && (want == NULL || strcmp(found, want) == 0)
           && sgamp_test_no_errors(),
           "key: %s: %s", line, want ? want : "fine");

    if (want != NULL && rc == SGAMP_INVALID && strcmp(found, want) != 0) {
        tap_diag("got \"%s\"", found);
    }

    sgamp_public_key_free(key);
}
