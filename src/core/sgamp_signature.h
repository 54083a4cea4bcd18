
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_SIGNATURE_H_INCLUDED_
#define _SGAMP_SIGNATURE_H_INCLUDED_


#include <openssl/evp.h>

#include "sgamp.h"


#define SGAMP_SIGNATURE_DER     72 /* bytes of the longest signature */
#define SGAMP_SIGNATURE_DIGITS  18 /* of a timestamp, at most */


/*
 * An ECDSA signature with the curve P-256 and SHA-256 over a timestamp and the
 * body that follows it.  All is hashed once, however many keys there are.  The
 * functions here leave OpenSSL's queue of errors as it was.
 */

typedef struct {
    EVP_MD_CTX  *md;
    u_char       der[SGAMP_SIGNATURE_DER];
    size_t       len;
} sgamp_signature_t;


/*
 * Reads a public key: a SubjectPublicKeyInfo in base64, or in PEM; white space
 * may be anywhere in the base64 of both.  SGAMP_INVALID if it is not one of
 * the curve P-256: *found then is a text that says what it is, never freed.
 */
int sgamp_public_key_read(EVP_PKEY **key, const u_char *text, size_t n,
    const char **found);

void sgamp_public_key_free(EVP_PKEY *key);

/* the seconds of a timestamp, SGAMP_INVALID if it is not a decimal number */
int sgamp_signature_time(const sgamp_str_t *timestamp, int64_t *seconds);

/*
 * Starts with the values of the two headers.  SGAMP_INVALID if the signature
 * is not base64 of DER.  In any case sgamp_signature_done() is needed.
 */
int sgamp_signature_init(sgamp_signature_t *s, const sgamp_str_t *signature,
    const sgamp_str_t *timestamp);

/* takes the next n bytes of the body */
int sgamp_signature_update(sgamp_signature_t *s, const u_char *p, size_t n);

/*
 * SGAMP_OK if the signature was made with one of the keys, SGAMP_INVALID if
 * the signature was not, SGAMP_NOMEM if the library could not tell.
 */
int sgamp_signature_final(sgamp_signature_t *s, EVP_PKEY **keys, size_t n);

/* may be called more than once, also for a struct that is zeroed */
void sgamp_signature_done(sgamp_signature_t *s);


#endif /* _SGAMP_SIGNATURE_H_INCLUDED_ */
