
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_digest.h"

#include <openssl/err.h>
#include <openssl/evp.h>


#define SGAMP_SHA256_BLOCK  64  /* bytes */
#define SGAMP_HASH_PRIME    0x9e3779b97f4a7c15ull
#define SGAMP_HMAC_INNER    0x36
#define SGAMP_HMAC_OUTER    0x5c


static int sgamp_digest(u_char md[SGAMP_SHA256_LEN], const u_char *p,
    size_t n);
static int sgamp_hash_states(sgamp_hash_t *hash, const sgamp_str_t *key);
static int sgamp_hash_pad(EVP_MD_CTX *state, const u_char *key, size_t n,
    u_char pad);
static void sgamp_digest_hex(u_char hex[SGAMP_SHA256_HEX_LEN],
    const u_char md[SGAMP_SHA256_LEN]);


int
sgamp_sha256(u_char md[SGAMP_SHA256_LEN], const u_char *p, size_t n)
{
    int  rc;

    (void) ERR_set_mark();

    rc = sgamp_digest(md, p, n);

    (void) ERR_pop_to_mark();

    return rc;
}


static int
sgamp_digest(u_char md[SGAMP_SHA256_LEN], const u_char *p, size_t n)
{
    unsigned  size;

    if (EVP_Digest(p, n, md, &size, EVP_sha256(), NULL) != 1) {
        return SGAMP_NOMEM;
    }

    return SGAMP_OK;
}


int
sgamp_sha256_hex(u_char hex[SGAMP_SHA256_HEX_LEN], const u_char *p, size_t n)
{
    u_char  md[SGAMP_SHA256_LEN];

    if (sgamp_sha256(md, p, n) != SGAMP_OK) {
        return SGAMP_NOMEM;
    }

    sgamp_digest_hex(hex, md);

    return SGAMP_OK;
}


int
sgamp_hash_init(sgamp_hash_t *hash, const sgamp_str_t *key)
{
    int  rc;

    (void) ERR_set_mark();

    rc = sgamp_hash_states(hash, key);

    (void) ERR_pop_to_mark();

    return rc;
}


static int
sgamp_hash_states(sgamp_hash_t *hash, const sgamp_str_t *key)
{
    size_t  n;
    u_char  block[SGAMP_SHA256_BLOCK];

    hash->inner = EVP_MD_CTX_new();
    hash->state = EVP_MD_CTX_new();

    if (hash->inner == NULL
        || hash->state == NULL
        || EVP_DigestInit_ex(hash->inner, EVP_sha256(), NULL) != 1)
    {
        return SGAMP_NOMEM;
    }

    if (key == NULL) {
        return SGAMP_OK;
    }

    /* RFC 2104: a long key is hashed, a short one is followed by zeroes */

    n = key->len;

    if (n <= sizeof(block)) {
        memcpy(block, key->data, n);

    } else {
        n = SGAMP_SHA256_LEN;

        if (sgamp_digest(block, key->data, key->len) != SGAMP_OK) {
            return SGAMP_NOMEM;
        }
    }

    hash->outer = EVP_MD_CTX_new();

    if (hash->outer == NULL
        || EVP_DigestInit_ex(hash->outer, EVP_sha256(), NULL) != 1
        || sgamp_hash_pad(hash->inner, block, n, SGAMP_HMAC_INNER) != SGAMP_OK
        || sgamp_hash_pad(hash->outer, block, n, SGAMP_HMAC_OUTER) != SGAMP_OK)
    {
        return SGAMP_NOMEM;
    }

    return SGAMP_OK;
}


static int
sgamp_hash_pad(EVP_MD_CTX *state, const u_char *key, size_t n, u_char pad)
{
    size_t  i;
    u_char  block[SGAMP_SHA256_BLOCK];

    for (i = 0; i < sizeof(block); i++) {
        block[i] = (i < n) ? key[i] ^ pad : pad;
    }

    if (EVP_DigestUpdate(state, block, sizeof(block)) != 1) {
        return SGAMP_NOMEM;
    }

    return SGAMP_OK;
}


sgamp_hash_entry_t *
sgamp_hash_entry(const sgamp_hash_t *hash, const sgamp_hash_text_t text)
{
    size_t               i, n;
    uint64_t             w, sum;
    sgamp_hash_entry_t  *entry;

    n = text[SGAMP_HASH_TEXT - 1];
    sum = n;

    /* an unused entry has an empty text, which is therefore not remembered */

    if (hash->entries == NULL || n == 0) {
        return NULL;
    }

    for (i = 0; i < n; i += 8) {
        memcpy(&w, text + i, 8);

        sum += w * (SGAMP_HASH_PRIME * (2 * i + 1));
    }

    /* the upper bits depend on all of the text */

    sum = (sum ^ (sum >> 32)) * SGAMP_HASH_PRIME;

    /* of the entries of a set, the last is the oldest */

    entry = &hash->entries[SGAMP_HASH_SET
                           * ((sum >> 48)
                              % (SGAMP_HASH_ENTRIES / SGAMP_HASH_SET))];

    __builtin_prefetch(entry[0].text);
    __builtin_prefetch(entry[0].hex);
    __builtin_prefetch(entry[1].text);

    return entry;
}


int
sgamp_hash_text(sgamp_hash_t *hash, sgamp_hash_entry_t *entry,
    const sgamp_hash_text_t text, u_char hex[SGAMP_SHA256_HEX_LEN])
{
    unsigned  i;
    uint64_t  head[2];

    memcpy(&head[0], text, 8);

    for (i = 0; entry != NULL && i < SGAMP_HASH_SET; i++) {

        memcpy(&head[1], entry[i].text, 8);

        if (head[0] == head[1]
            && memcmp(entry[i].text, text, SGAMP_HASH_TEXT) == 0)
        {
            memcpy(hex, entry[i].hex, SGAMP_SHA256_HEX_LEN);
            return SGAMP_OK;
        }
    }

    if (sgamp_hash_start(hash) != SGAMP_OK
        || sgamp_hash_update(hash, text, text[SGAMP_HASH_TEXT - 1])
           != SGAMP_OK
        || sgamp_hash_final(hash, hex) != SGAMP_OK)
    {
        return SGAMP_NOMEM;
    }

    if (entry != NULL) {
        memmove(&entry[1], &entry[0],
                (SGAMP_HASH_SET - 1) * sizeof(sgamp_hash_entry_t));
        memcpy(entry[0].text, text, SGAMP_HASH_TEXT);
        memcpy(entry[0].hex, hex, SGAMP_SHA256_HEX_LEN);
    }

    return SGAMP_OK;
}


int
sgamp_hash_start(sgamp_hash_t *hash)
{
    /* the copy of a state costs less than a new state */

    if (EVP_MD_CTX_copy_ex(hash->state, hash->inner) != 1) {
        ERR_clear_error();
        return SGAMP_NOMEM;
    }

    return SGAMP_OK;
}


int
sgamp_hash_update(sgamp_hash_t *hash, const u_char *p, size_t n)
{
    if (EVP_DigestUpdate(hash->state, p, n) != 1) {
        ERR_clear_error();
        return SGAMP_NOMEM;
    }

    return SGAMP_OK;
}


int
sgamp_hash_final(sgamp_hash_t *hash, u_char hex[SGAMP_SHA256_HEX_LEN])
{
    u_char  md[SGAMP_SHA256_LEN];

    if (EVP_DigestFinal_ex(hash->state, md, NULL) != 1
        || (hash->outer != NULL
            && (EVP_MD_CTX_copy_ex(hash->state, hash->outer) != 1
                || EVP_DigestUpdate(hash->state, md, sizeof(md)) != 1
                || EVP_DigestFinal_ex(hash->state, md, NULL) != 1)))
    {
        ERR_clear_error();
        return SGAMP_NOMEM;
    }

    sgamp_digest_hex(hex, md);

    return SGAMP_OK;
}


void
sgamp_hash_done(sgamp_hash_t *hash)
{
    EVP_MD_CTX_free(hash->inner);
    EVP_MD_CTX_free(hash->outer);
    EVP_MD_CTX_free(hash->state);

    memset(hash, 0, sizeof(sgamp_hash_t));
}


static void
sgamp_digest_hex(u_char hex[SGAMP_SHA256_HEX_LEN],
    const u_char md[SGAMP_SHA256_LEN])
{
    unsigned  i;
    uint64_t  w;

    /* four bytes at a time: eight halves of bytes, each in a byte of w */

    for (i = 0; i < SGAMP_SHA256_LEN; i += 4) {
        w = md[i] | (uint64_t) md[i + 1] << 16 | (uint64_t) md[i + 2] << 32
            | (uint64_t) md[i + 3] << 48;

        w = ((w >> 4) | (w << 8)) & (SGAMP_ONES * 0xf);

        /* a half below 10 counts from '0', any other half from 'a' */

        w += SGAMP_ONES * '0'
             + (((w + SGAMP_ONES * 6) >> 4) & SGAMP_ONES)
               * ('a' - '0' - 10);

#if !(SGAMP_LITTLE_ENDIAN)
        w = __builtin_bswap64(w);
#endif

        memcpy(hex + 2 * i, &w, 8);
    }
}
