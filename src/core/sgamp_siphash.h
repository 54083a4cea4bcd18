
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_SIPHASH_H_INCLUDED_
#define _SGAMP_SIPHASH_H_INCLUDED_


#include "sgamp.h"


/*
 * SipHash-2-4, https://www.aumasson.jp/siphash/siphash.pdf: a keyed hash of
 * short texts, whose collisions cannot be found without the key.
 */

typedef struct {
    uint64_t  k[2];
} sgamp_siphash_key_t;


uint64_t sgamp_siphash(const sgamp_siphash_key_t *key, const u_char *p,
    size_t n);


#endif /* _SGAMP_SIPHASH_H_INCLUDED_ */
