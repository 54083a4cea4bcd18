
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_base64.h"
#include "sgamp_digest.h"
#include "sgamp_pem.h"
#include "sgamp_signature.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>


#define SGAMP_SIGNATURE_TEXT  (SGAMP_SIGNATURE_DER / 3 * 4)
#define SGAMP_INTEGER_SIZE    33 /* bytes of one integer, with the sign */

#define SGAMP_DER_SEQUENCE    0x30
#define SGAMP_DER_INTEGER     0x02

#define SGAMP_KEY_HYBRID      6 /* a form of points that nobody uses */


/* what else a key may be */

typedef struct {
    int          nid;
    const char  *found;
} sgamp_key_type_t;


static const char *sgamp_key_der(EVP_PKEY **key, const u_char *der, size_t n);
static const char *sgamp_key_type(X509_PUBKEY *pub);
static const char *sgamp_key_name(int nid, const char *unknown);
static int sgamp_key_same(EVP_PKEY *key, const u_char *der, size_t n);
static int sgamp_key_check(EVP_PKEY *key);
static int sgamp_key_try(EVP_PKEY *key);
static int sgamp_key_is_der(const u_char *p, size_t n);
static const char *sgamp_key_other(const u_char *der, size_t n,
    const char *unknown);
static void sgamp_key_forget(void);
static int sgamp_signature_valid(const u_char *p, size_t n);
static int sgamp_signature_start(sgamp_signature_t *s,
    const sgamp_str_t *timestamp);
static int sgamp_signature_end(sgamp_signature_t *s, EVP_PKEY **keys,
    size_t n);
static int sgamp_signature_verify(sgamp_signature_t *s, EVP_PKEY *key,
    const u_char *digest);


static const sgamp_key_type_t sgamp_key_types[] = {
    { NID_rsaEncryption, "RSA" },
    { NID_rsassaPss, "RSA-PSS" },
    { NID_ED25519, "Ed25519" },
    { NID_ED448, "Ed448" },
    { 0, NULL }
};


int
sgamp_public_key_read(EVP_PKEY **key, const u_char *text, size_t n,
    const char **found)
{
    u_char  der[SGAMP_PEM_DER];
    size_t  size;

    *key = NULL;

    if (sgamp_key_is_der(text, n)) {
        (void) ERR_set_mark();

        *found = sgamp_key_other(text, n, "DER (PEM or base64 is needed)");

        (void) ERR_pop_to_mark();

        return SGAMP_INVALID;
    }

    *found = sgamp_pem_decode(der, &size, text, n);

    if (*found == NULL) {
        (void) ERR_set_mark();

        *found = sgamp_key_der(key, der, size);

        (void) ERR_pop_to_mark();
    }

    return (*found == NULL) ? SGAMP_OK : SGAMP_INVALID;
}


void
sgamp_public_key_free(EVP_PKEY *key)
{
    EVP_PKEY_free(key);
}


static const char *
sgamp_key_der(EVP_PKEY **key, const u_char *der, size_t n)
{
    const char     *found;
    X509_PUBKEY    *pub;
    const u_char   *p;

    p = der;

    pub = d2i_X509_PUBKEY(NULL, &p, (long) n);
    if (pub == NULL) {
        return sgamp_key_other(der, n, "no public key");
    }

    found = sgamp_key_type(pub);

    if (found == NULL) {
        *key = X509_PUBKEY_get(pub);

        if (*key == NULL || sgamp_key_check(*key) != SGAMP_OK) {
            found = "a point that is not on the curve P-256";

        } else if (p != der + n || sgamp_key_same(*key, der, n) != SGAMP_OK) {
            found = "no DER, or more than one key";

        } else if (sgamp_key_try(*key) != SGAMP_OK) {
            found = "a key that OpenSSL cannot verify with";
        }
    }

    if (found != NULL) {
        EVP_PKEY_free(*key);
        *key = NULL;
    }

    X509_PUBKEY_free(pub);

    return found;
}


static const char *
sgamp_key_type(X509_PUBKEY *pub)
{
    int                      nid, type, len;
    X509_ALGOR              *algorithm;
    const void              *value;
    const char              *name;
    ASN1_OBJECT             *id;
    const u_char            *point;
    const ASN1_OBJECT       *curve;
    const sgamp_key_type_t  *t;

    if (X509_PUBKEY_get0_param(&id, &point, &len, &algorithm, pub) != 1) {
        return "no public key";
    }

    nid = OBJ_obj2nid(id);

    for (t = sgamp_key_types; t->found != NULL; t++) {
        if (t->nid == nid) {
            return t->found;
        }
    }

    if (nid != NID_X9_62_id_ecPublicKey) {
        return sgamp_key_name(nid, "an unknown kind of key");
    }

    X509_ALGOR_get0(NULL, &type, &value, algorithm);

    if (type != V_ASN1_OBJECT) {
        return "a curve that has no name";
    }

    curve = value;
    nid = OBJ_obj2nid(curve);

    if (nid == NID_X9_62_prime256v1) {
        return (len > 0 && point[0] < SGAMP_KEY_HYBRID)
               ? NULL
               : "a point in hybrid form";
    }

    name = EC_curve_nid2nist(nid);

    return (name != NULL) ? name : sgamp_key_name(nid, "an unknown curve");
}


static const char *
sgamp_key_name(int nid, const char *unknown)
{
    const char  *name;

    name = (nid != NID_undef) ? OBJ_nid2sn(nid) : NULL;

    return (name != NULL) ? name : unknown;
}


static int
sgamp_key_same(EVP_PKEY *key, const u_char *der, size_t n)
{
    int      len, rc;
    u_char  *p;

    p = NULL;

    len = i2d_PUBKEY(key, &p);
    if (len <= 0) {
        return SGAMP_INVALID;
    }

    rc = ((size_t) len == n && memcmp(p, der, n) == 0) ? SGAMP_OK
                                                        : SGAMP_INVALID;
    OPENSSL_free(p);

    return rc;
}


static int
sgamp_key_check(EVP_PKEY *key)
{
    int            rc;
    EVP_PKEY_CTX  *ctx;

    ctx = EVP_PKEY_CTX_new(key, NULL);
    if (ctx == NULL) {
        return SGAMP_NOMEM;
    }

    rc = EVP_PKEY_public_check(ctx);

    EVP_PKEY_CTX_free(ctx);

    return (rc == 1) ? SGAMP_OK : SGAMP_INVALID;
}


static int
sgamp_key_try(EVP_PKEY *key)
{
    int                rc;
    sgamp_str_t        none;
    sgamp_signature_t  s;

    static const u_char der[] = { SGAMP_DER_SEQUENCE, 6,
                                  SGAMP_DER_INTEGER, 1, 1,
                                  SGAMP_DER_INTEGER, 1, 1 };

    /*
     * OpenSSL fetches an algorithm at its first use, and never again after a
     * fetch that failed half-way: done here, all processes inherit the fetch
     */

    none.len = 0;
    none.data = (u_char *) "";

    s.len = sizeof(der);
    memcpy(s.der, der, sizeof(der));

    rc = sgamp_signature_start(&s, &none);

    if (rc == SGAMP_OK) {
        rc = sgamp_signature_end(&s, &key, 1);
    }

    sgamp_signature_done(&s);

    return (rc == SGAMP_INVALID) ? SGAMP_OK : SGAMP_NOMEM;
}


static int
sgamp_key_is_der(const u_char *p, size_t n)
{
    size_t  i;

    if (n == 0 || p[0] != SGAMP_DER_SEQUENCE) {
        return 0;
    }

    /* a text may begin with this byte as well, the digit 0 */

    for (i = 0; i < n; i++) {
        if (p[i] < '\t' || p[i] > '~') {
            return 1;
        }
    }

    return 0;
}


static const char *
sgamp_key_other(const u_char *der, size_t n, const char *unknown)
{
    X509          *cert;
    EVP_PKEY      *key;
    const u_char  *p;

    sgamp_key_forget();

    p = der;
    key = d2i_AutoPrivateKey(NULL, &p, (long) n);

    if (key != NULL) {
        EVP_PKEY_free(key);
        return "a private key";
    }

    sgamp_key_forget();

    p = der;
    cert = d2i_X509(NULL, &p, (long) n);

    if (cert != NULL) {
        X509_free(cert);
        return "a certificate";
    }

    return unknown;
}


static void
sgamp_key_forget(void)
{
    /* the queue is short: many errors would take the place of older errors */

    (void) ERR_pop_to_mark();
    (void) ERR_set_mark();
}


int
sgamp_signature_time(const sgamp_str_t *timestamp, int64_t *seconds)
{
    size_t  i;
    u_char  ch;

    if (timestamp->len == 0 || timestamp->len > SGAMP_SIGNATURE_DIGITS) {
        return SGAMP_INVALID;
    }

    *seconds = 0;

    for (i = 0; i < timestamp->len; i++) {
        ch = timestamp->data[i];

        if (ch < '0' || ch > '9') {
            return SGAMP_INVALID;
        }

        *seconds = *seconds * 10 + (ch - '0');
    }

    return SGAMP_OK;
}


int
sgamp_signature_init(sgamp_signature_t *s, const sgamp_str_t *signature,
    const sgamp_str_t *timestamp)
{
    int      rc;
    ssize_t  n;

    s->md = NULL;

    if (signature->len > SGAMP_SIGNATURE_TEXT) {
        return SGAMP_INVALID;
    }

    n = sgamp_base64_decode(s->der, signature->data, signature->len);

    if (n == -1 || !sgamp_signature_valid(s->der, n)) {
        return SGAMP_INVALID;
    }

    s->len = n;

    (void) ERR_set_mark();

    rc = sgamp_signature_start(s, timestamp);

    (void) ERR_pop_to_mark();

    return rc;
}


static int
sgamp_signature_valid(const u_char *p, size_t n)
{
    size_t    i, len;
    unsigned  k;

    /* two integers, each positive, below 2^256 and in its shortest form */

    if (n < 2 || p[0] != SGAMP_DER_SEQUENCE || p[1] != n - 2) {
        return 0;
    }

    i = 2;

    for (k = 0; k < 2; k++) {

        if (n - i < 3 || p[i] != SGAMP_DER_INTEGER) {
            return 0;
        }

        len = p[i + 1];
        i += 2;

        if (len == 0 || len > SGAMP_INTEGER_SIZE || len > n - i
            || (p[i] & 0x80) != 0
            || (len == SGAMP_INTEGER_SIZE && p[i] != 0)
            || (len > 1 && p[i] == 0 && (p[i + 1] & 0x80) == 0))
        {
            return 0;
        }

        i += len;
    }

    return i == n;
}


static int
sgamp_signature_start(sgamp_signature_t *s, const sgamp_str_t *timestamp)
{
    s->md = EVP_MD_CTX_new();

    if (s->md == NULL
        || EVP_DigestInit_ex(s->md, EVP_sha256(), NULL) != 1
        || EVP_DigestUpdate(s->md, timestamp->data, timestamp->len) != 1)
    {
        return SGAMP_NOMEM;
    }

    return SGAMP_OK;
}


int
sgamp_signature_update(sgamp_signature_t *s, const u_char *p, size_t n)
{
    int  rc;

    (void) ERR_set_mark();

    rc = EVP_DigestUpdate(s->md, p, n);

    (void) ERR_pop_to_mark();

    return (rc == 1) ? SGAMP_OK : SGAMP_NOMEM;
}


int
sgamp_signature_final(sgamp_signature_t *s, EVP_PKEY **keys, size_t n)
{
    int  rc;

    (void) ERR_set_mark();

    rc = sgamp_signature_end(s, keys, n);

    (void) ERR_pop_to_mark();

    return rc;
}


static int
sgamp_signature_end(sgamp_signature_t *s, EVP_PKEY **keys, size_t n)
{
    int     rc;
    size_t  i;
    u_char  digest[SGAMP_SHA256_LEN];

    if (EVP_DigestFinal_ex(s->md, digest, NULL) != 1) {
        return SGAMP_NOMEM;
    }

    rc = SGAMP_INVALID;

    for (i = 0; i < n && rc == SGAMP_INVALID; i++) {
        rc = sgamp_signature_verify(s, keys[i], digest);
    }

    return rc;
}


static int
sgamp_signature_verify(sgamp_signature_t *s, EVP_PKEY *key,
    const u_char *digest)
{
    int            rc;
    EVP_PKEY_CTX  *ctx;

    ctx = EVP_PKEY_CTX_new(key, NULL);

    if (ctx == NULL || EVP_PKEY_verify_init(ctx) != 1) {
        EVP_PKEY_CTX_free(ctx);
        return SGAMP_NOMEM;
    }

    rc = EVP_PKEY_verify(ctx, s->der, s->len, digest, SGAMP_SHA256_LEN);

    EVP_PKEY_CTX_free(ctx);

    switch (rc) {

    case 1:
        return SGAMP_OK;

    case 0:
        return SGAMP_INVALID;

    default:
        /* the DER was checked before, so OpenSSL could not tell */
        return SGAMP_NOMEM;
    }
}


void
sgamp_signature_done(sgamp_signature_t *s)
{
    EVP_MD_CTX_free(s->md);
    s->md = NULL;
}
