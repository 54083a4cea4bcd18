
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_SECRET_H_INCLUDED_
#define _SGAMP_SECRET_H_INCLUDED_


#include "sgamp_siphash.h"


/*
 * Secrets that were accepted.  This file exists for speed only: a webhook has
 * the same secret as the webhook before, and SHA-256 takes more instructions
 * than the mapping of two events.
 *
 * No secret is kept, but 128 bits of a keyed hash.  The key is the caller's,
 * random, and known to nobody else: nobody can make another secret that has the
 * hash of an accepted secret.
 */

#define SGAMP_SECRET_ENTRIES  64
#define SGAMP_SECRET_MAX      512  /* bytes; a longer secret is not known */


typedef struct {
    const void  *owner;  /* NULL: unused */
    uint64_t     hash[2];
} sgamp_secret_entry_t;


typedef struct {
    sgamp_siphash_key_t   keys[2];
    unsigned              ready;  /* the keys are set */
    sgamp_secret_entry_t  entries[SGAMP_SECRET_ENTRIES];
} sgamp_secrets_t;


/*
 * Sets the entry that a secret would have.  The owner is what has accepted the
 * secret, and is only compared.  To be called when the keys are set.
 */
void sgamp_secret_hash(const sgamp_secrets_t *secrets, const void *owner,
    const u_char *p, size_t n, sgamp_secret_entry_t *entry);

/* whether the secret was accepted; the time does not tell how much differs */
int sgamp_secret_known(const sgamp_secrets_t *secrets,
    const sgamp_secret_entry_t *entry);

/* makes an accepted secret known, in place of another that is older */
void sgamp_secret_add(sgamp_secrets_t *secrets,
    const sgamp_secret_entry_t *entry);


#endif /* _SGAMP_SECRET_H_INCLUDED_ */
