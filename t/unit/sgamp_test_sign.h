
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TEST_SIGN_H_INCLUDED_
#define _SGAMP_TEST_SIGN_H_INCLUDED_


#include "sgamp_signature.h"
#include "sgamp_test.h"


#define SGAMP_TEST_VALID  "t/data/signature/v1-single"


/* a webhook with its signature, as it is in t/data/signature */

typedef struct {
    sgamp_test_buf_t  key;
    sgamp_test_buf_t  signature;
    sgamp_test_buf_t  timestamp;
    sgamp_test_buf_t  body;
    sgamp_test_buf_t  expect;
} sgamp_test_vector_t;


void sgamp_test_vector_read(sgamp_test_vector_t *v, const char *dir);
void sgamp_test_vector_done(sgamp_test_vector_t *v);

/* a new key; what names a curve of OpenSSL's, or "RSA", "Ed25519" ... */
EVP_PKEY *sgamp_test_key(const char *what);

/* puts base64 of the DER of a key */
void sgamp_test_public(sgamp_test_buf_t *buf, EVP_PKEY *key);
void sgamp_test_private(sgamp_test_buf_t *buf, EVP_PKEY *key);

void sgamp_test_base64(sgamp_test_buf_t *buf, const u_char *p, size_t n);

/* sets the signature of the timestamp and the body */
void sgamp_test_sign(sgamp_test_vector_t *v, EVP_PKEY *key);

/*
 * The body is given in portions of n bytes.  SGAMP_OK, SGAMP_INVALID, or
 * SGAMP_TOO_LARGE to tell that the signature was malformed.
 */
int sgamp_test_verify(sgamp_test_vector_t *v, EVP_PKEY **keys, size_t nkeys,
    size_t n);

/* likewise, with this DER for a signature */
int sgamp_test_der(sgamp_test_vector_t *v, EVP_PKEY **keys, const u_char *der,
    size_t n);

/* 1 if OpenSSL's queue of errors is empty */
int sgamp_test_no_errors(void);


#endif /* _SGAMP_TEST_SIGN_H_INCLUDED_ */
