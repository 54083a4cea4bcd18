
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_DIGEST_H_INCLUDED_
#define _SGAMP_DIGEST_H_INCLUDED_


#include "sgamp.h"


#define SGAMP_SHA256_LEN      32  /* bytes */
#define SGAMP_SHA256_HEX_LEN  64  /* characters */


/*
 * SHA-256 or, with a key, HMAC-SHA-256, made ready for many short texts; one
 * is hashed at a time.  To be zeroed at first.
 */

typedef struct {
    void  *inner;  /* the state to begin with */
    void  *outer;  /* likewise of HMAC, or NULL */
    void  *state;
} sgamp_hash_t;


/*
 * The SHA-256 of n bytes.  SGAMP_OK, or SGAMP_NOMEM when the library could
 * not do it.
 */
int sgamp_sha256(u_char md[SGAMP_SHA256_LEN], const u_char *p, size_t n);

/* likewise in lower-case hex, not terminated */
int sgamp_sha256_hex(u_char hex[SGAMP_SHA256_HEX_LEN], const u_char *p,
    size_t n);

/* the key is used now only; NULL: there is none */
int sgamp_hash_init(sgamp_hash_t *hash, const sgamp_str_t *key);

int sgamp_hash_start(sgamp_hash_t *hash);
int sgamp_hash_update(sgamp_hash_t *hash, const u_char *p, size_t n);
int sgamp_hash_final(sgamp_hash_t *hash, u_char hex[SGAMP_SHA256_HEX_LEN]);

/* may be called more than once */
void sgamp_hash_done(sgamp_hash_t *hash);


#endif /* _SGAMP_DIGEST_H_INCLUDED_ */
