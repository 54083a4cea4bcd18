
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_DIGEST_H_INCLUDED_
#define _SGAMP_DIGEST_H_INCLUDED_


#include "sgamp.h"


#define SGAMP_SHA256_LEN      32  /* bytes */
#define SGAMP_SHA256_HEX_LEN  64  /* characters */

#define SGAMP_HASH_TEXT       64  /* a longer text is not remembered */
#define SGAMP_HASH_ENTRIES    4096
#define SGAMP_HASH_SET        4     /* entries that a text may be in */


/* a text followed by zeroes, its length in the last byte */

typedef u_char  sgamp_hash_text_t[SGAMP_HASH_TEXT];


/* a text and its hash, which are remembered */

typedef struct {
    sgamp_hash_text_t  text;
    u_char             hex[SGAMP_SHA256_HEX_LEN];
} sgamp_hash_entry_t;


/*
 * SHA-256 or, with a key, HMAC-SHA-256, made ready for many short texts, of
 * which one is hashed at a time.  The struct has to be zeroed before
 * sgamp_hash_init().
 */

typedef struct {
    void                *inner;    /* the state before a text */
    void                *outer;    /* the second state of HMAC, or NULL */
    void                *state;
    sgamp_hash_entry_t  *entries;  /* SGAMP_HASH_ENTRIES, zeroed, or NULL */
} sgamp_hash_t;


/*
 * The SHA-256 of n bytes.  SGAMP_OK, or SGAMP_NOMEM when the library has
 * failed.  OpenSSL's queue of errors stays as the queue was.
 */
int sgamp_sha256(u_char md[SGAMP_SHA256_LEN], const u_char *p, size_t n);

/* the SHA-256 of n bytes in lower-case hex, not terminated */
int sgamp_sha256_hex(u_char hex[SGAMP_SHA256_HEX_LEN], const u_char *p,
    size_t n);

/* the key is not used after the call; NULL: SHA-256 without a key */
int sgamp_hash_init(sgamp_hash_t *hash, const sgamp_str_t *key);

/*
 * The same addresses come again and again, with each event of a message: if the
 * caller sets entries, which remain the caller's, hashes are remembered.
 * sgamp_hash_entry() returns the first of SGAMP_HASH_SET entries that may have
 * a text, or NULL, and loads them into the processor's cache: other work should
 * come before sgamp_hash_text(), which writes the hash of the text in
 * lower-case hex, not terminated.
 */
sgamp_hash_entry_t *sgamp_hash_entry(const sgamp_hash_t *hash,
    const sgamp_hash_text_t text);
int sgamp_hash_text(sgamp_hash_t *hash, sgamp_hash_entry_t *entry,
    const sgamp_hash_text_t text, u_char hex[SGAMP_SHA256_HEX_LEN]);

/*
 * The hash of a text that comes in parts.  A failure of these functions, and of
 * sgamp_hash_text(), empties OpenSSL's queue of errors: a mark in the queue
 * would cost a fifth of a hash.
 */
int sgamp_hash_start(sgamp_hash_t *hash);
int sgamp_hash_update(sgamp_hash_t *hash, const u_char *p, size_t n);
int sgamp_hash_final(sgamp_hash_t *hash, u_char hex[SGAMP_SHA256_HEX_LEN]);

/* may be called more than once */
void sgamp_hash_done(sgamp_hash_t *hash);


#endif /* _SGAMP_DIGEST_H_INCLUDED_ */
