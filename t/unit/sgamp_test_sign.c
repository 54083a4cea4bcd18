
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>
#include <stdlib.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "sgamp_digest.h"
#include "sgamp_test_sign.h"


static void sgamp_test_vector_file(sgamp_test_buf_t *buf, const char *dir,
    const char *name);


void
sgamp_test_vector_read(sgamp_test_vector_t *v, const char *dir)
{
    memset(v, 0, sizeof(sgamp_test_vector_t));

    sgamp_test_vector_file(&v->key, dir, "public_key.b64");
    sgamp_test_vector_file(&v->signature, dir, "signature.b64");
    sgamp_test_vector_file(&v->timestamp, dir, "timestamp.txt");
    sgamp_test_vector_file(&v->body, dir, "payload.bin");
    sgamp_test_vector_file(&v->expect, dir, "expect.txt");
}


static void
sgamp_test_vector_file(sgamp_test_buf_t *buf, const char *dir,
    const char *name)
{
    char  path[256];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    sgamp_test_read(buf, path);
}


void
sgamp_test_vector_done(sgamp_test_vector_t *v)
{
    sgamp_test_free(&v->key);
    sgamp_test_free(&v->signature);
    sgamp_test_free(&v->timestamp);
    sgamp_test_free(&v->body);
    sgamp_test_free(&v->expect);
}


EVP_PKEY *
sgamp_test_key(const char *what)
{
    int            id;
    EVP_PKEY      *key;
    EVP_PKEY_CTX  *ctx;

    id = (strcmp(what, "RSA") == 0)       ? EVP_PKEY_RSA
         : (strcmp(what, "RSA-PSS") == 0) ? EVP_PKEY_RSA_PSS
         : (strcmp(what, "Ed25519") == 0) ? EVP_PKEY_ED25519
         : (strcmp(what, "X25519") == 0)  ? EVP_PKEY_X25519
                                          : EVP_PKEY_EC;
    key = NULL;
    ctx = EVP_PKEY_CTX_new_id(id, NULL);

    if (ctx == NULL
        || EVP_PKEY_keygen_init(ctx) != 1
        || (id == EVP_PKEY_EC
            && EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, OBJ_sn2nid(what))
               != 1)
        || EVP_PKEY_keygen(ctx, &key) != 1)
    {
        tap_bail("no key of the kind %s", what);
    }

    EVP_PKEY_CTX_free(ctx);

    return key;
}


void
sgamp_test_public(sgamp_test_buf_t *buf, EVP_PKEY *key)
{
    int      n;
    u_char  *der;

    der = NULL;

    n = i2d_PUBKEY(key, &der);

    if (n <= 0) {
        tap_bail("i2d_PUBKEY() failed");
    }

    sgamp_test_base64(buf, der, n);

    OPENSSL_free(der);
}


void
sgamp_test_private(sgamp_test_buf_t *buf, EVP_PKEY *key)
{
    int      n;
    u_char  *der;

    der = NULL;

    n = i2d_PrivateKey(key, &der);

    if (n <= 0) {
        tap_bail("i2d_PrivateKey() failed");
    }

    sgamp_test_base64(buf, der, n);

    OPENSSL_free(der);
}


void
sgamp_test_base64(sgamp_test_buf_t *buf, const u_char *p, size_t n)
{
    u_char  *text;

    text = malloc(4 * n + 5);

    if (text == NULL) {
        tap_bail("no memory");
    }

    buf->len = 0;
    sgamp_test_put(buf, text, EVP_EncodeBlock(text, p, (int) n));

    free(text);
}


void
sgamp_test_sign(sgamp_test_vector_t *v, EVP_PKEY *key)
{
    size_t         size;
    u_char         md[SGAMP_SHA256_LEN], der[512];
    EVP_MD_CTX    *hash;
    EVP_PKEY_CTX  *ctx;

    size = sizeof(der);
    hash = EVP_MD_CTX_new();
    ctx = EVP_PKEY_CTX_new(key, NULL);

    if (hash == NULL
        || ctx == NULL
        || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1
        || EVP_DigestUpdate(hash, v->timestamp.data, v->timestamp.len) != 1
        || EVP_DigestUpdate(hash, v->body.data, v->body.len) != 1
        || EVP_DigestFinal_ex(hash, md, NULL) != 1
        || EVP_PKEY_sign_init(ctx) != 1
        || EVP_PKEY_sign(ctx, der, &size, md, sizeof(md)) != 1)
    {
        tap_bail("cannot sign");
    }

    sgamp_test_base64(&v->signature, der, size);

    EVP_PKEY_CTX_free(ctx);
    EVP_MD_CTX_free(hash);
}


int
sgamp_test_verify(sgamp_test_vector_t *v, EVP_PKEY **keys, size_t nkeys,
    size_t n)
{
    int                rc;
    size_t             i, len;
    sgamp_str_t        signature, timestamp;
    sgamp_signature_t  s;

    signature.data = v->signature.data;
    signature.len = v->signature.len;

    timestamp.data = v->timestamp.data;
    timestamp.len = v->timestamp.len;

    sgamp_test_poison(&s, sizeof(sgamp_signature_t));

    rc = sgamp_signature_init(&s, &signature, &timestamp);

    if (rc != SGAMP_OK) {
        sgamp_signature_done(&s);
        return (rc == SGAMP_INVALID) ? SGAMP_TOO_LARGE : rc;
    }

    for (i = 0; i < v->body.len; i += len) {
        len = (n < v->body.len - i) ? n : v->body.len - i;

        if (sgamp_signature_update(&s, v->body.data + i, len) != SGAMP_OK) {
            tap_bail("sgamp_signature_update() failed");
        }
    }

    rc = sgamp_signature_final(&s, keys, nkeys);

    sgamp_signature_done(&s);
    sgamp_signature_done(&s);

    return rc;
}


int
sgamp_test_der(sgamp_test_vector_t *v, EVP_PKEY **keys, const u_char *der,
    size_t n)
{
    sgamp_test_base64(&v->signature, der, n);

    return sgamp_test_verify(v, keys, 1, 64);
}


int
sgamp_test_no_errors(void)
{
    return ERR_peek_error() == 0;
}
