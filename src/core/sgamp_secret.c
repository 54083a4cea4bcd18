
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_secret.h"


#define sgamp_secret_slot(entry)  ((entry)->hash[0] % SGAMP_SECRET_ENTRIES)


void
sgamp_secret_hash(const sgamp_secrets_t *secrets, const void *owner,
    const u_char *p, size_t n, sgamp_secret_entry_t *entry)
{
    entry->owner = (n <= SGAMP_SECRET_MAX) ? owner : NULL;

    if (entry->owner == NULL) {
        return;
    }

    entry->hash[0] = sgamp_siphash(&secrets->keys[0], p, n);
    entry->hash[1] = sgamp_siphash(&secrets->keys[1], p, n);
}


int
sgamp_secret_known(const sgamp_secrets_t *secrets,
    const sgamp_secret_entry_t *entry)
{
    const sgamp_secret_entry_t  *known;

    if (entry->owner == NULL) {
        return 0;
    }

    known = &secrets->entries[sgamp_secret_slot(entry)];

    return (((uintptr_t) known->owner ^ (uintptr_t) entry->owner)
            | (known->hash[0] ^ entry->hash[0])
            | (known->hash[1] ^ entry->hash[1]))
           == 0;
}


void
sgamp_secret_add(sgamp_secrets_t *secrets, const sgamp_secret_entry_t *entry)
{
    if (entry->owner != NULL) {
        secrets->entries[sgamp_secret_slot(entry)] = *entry;
    }
}
