
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_DIGEST_H_INCLUDED_
#define _SGAMP_DIGEST_H_INCLUDED_


#include "sgamp.h"


#define SGAMP_SHA256_LEN      32  /* bytes */
#define SGAMP_SHA256_HEX_LEN  64  /* characters */


/*
 * The SHA-256 of n bytes.  SGAMP_OK, or SGAMP_NOMEM when the library could
 * not do it.
 */
int sgamp_sha256(u_char md[SGAMP_SHA256_LEN], const u_char *p, size_t n);

/* likewise in lower-case hex, not terminated */
int sgamp_sha256_hex(u_char hex[SGAMP_SHA256_HEX_LEN], const u_char *p,
    size_t n);


#endif /* _SGAMP_DIGEST_H_INCLUDED_ */
