
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>
#include <stdlib.h>

#include "sgamp_secret.h"
#include "sgamp_test.h"


#define SGAMP_TEST_SECRETS  10000


static void sgamp_test_known(void);
static void sgamp_test_lengths(void);
static void sgamp_test_many(void);
static int sgamp_test_is_known(const sgamp_secrets_t *secrets,
    const void *owner, const char *text, size_t len);
static void sgamp_test_add(sgamp_secrets_t *secrets, const void *owner,
    const char *text, size_t len);


static const sgamp_siphash_key_t  sgamp_test_keys[2] = {
    { { 0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull } },
    { { 0x1716151413121110ull, 0x1f1e1d1c1b1a1918ull } }
};


int
main(void)
{
    sgamp_test_known();
    sgamp_test_lengths();
    sgamp_test_many();

    return tap_done();
}


static void
sgamp_test_known(void)
{
    sgamp_secrets_t  secrets, others;

    static const int  one, other;

    memset(&secrets, 0, sizeof(sgamp_secrets_t));
    memcpy(secrets.keys, sgamp_test_keys, sizeof(sgamp_test_keys));

    tap_ok(!sgamp_test_is_known(&secrets, &one, "password", 8),
           "no secret is known at first");
    tap_ok(!sgamp_test_is_known(&secrets, NULL, "password", 8),
           "nor without an owner");

    sgamp_test_add(&secrets, &one, "password", 8);

    tap_ok(sgamp_test_is_known(&secrets, &one, "password", 8),
           "an accepted secret is known");
    tap_ok(!sgamp_test_is_known(&secrets, &other, "password", 8),
           "to its owner only");
    tap_ok(!sgamp_test_is_known(&secrets, &one, "password", 7)
           && !sgamp_test_is_known(&secrets, &one, "password\0", 9)
           && !sgamp_test_is_known(&secrets, &one, "Password", 8)
           && !sgamp_test_is_known(&secrets, &one, "", 0),
           "a text like it is not");

    others = secrets;
    others.keys[1].k[0] ^= 1;

    tap_ok(!sgamp_test_is_known(&others, &one, "password", 8),
           "half of a hash is not enough");

    others = secrets;
    others.keys[0].k[0] ^= 1;

    tap_ok(!sgamp_test_is_known(&others, &one, "password", 8),
           "nor is the other half");

    sgamp_test_add(&secrets, &one, "", 0);
    tap_ok(sgamp_test_is_known(&secrets, &one, "", 0), "an empty secret");
}


static void
sgamp_test_lengths(void)
{
    char             *text;
    size_t            n;
    unsigned          bad;
    sgamp_secrets_t  *secrets;

    /* each in a buffer of its own length: nothing behind the text is read */

    bad = 0;

    for (n = 1; n <= SGAMP_SECRET_MAX + 8; n++) {

        text = malloc(n);
        secrets = calloc(1, sizeof(sgamp_secrets_t));

        if (text == NULL || secrets == NULL) {
            tap_bail("no memory");
        }

        memset(text, 'x', n);
        memcpy(secrets->keys, sgamp_test_keys, sizeof(sgamp_test_keys));

        sgamp_test_add(secrets, text, text, n);

        bad += sgamp_test_is_known(secrets, text, text, n)
               != (n <= SGAMP_SECRET_MAX);

        text[n - 1] = 'y';

        bad += sgamp_test_is_known(secrets, text, text, n);

        free(secrets);
        free(text);
    }

    tap_is(bad, 0, "secrets of up to %d bytes are known", SGAMP_SECRET_MAX);
}


static void
sgamp_test_many(void)
{
    int              len;
    char             text[32];
    unsigned         i, known;
    sgamp_secrets_t  secrets;

    memset(&secrets, 0, sizeof(sgamp_secrets_t));
    memcpy(secrets.keys, sgamp_test_keys, sizeof(sgamp_test_keys));

    known = 0;

    for (i = 0; i < SGAMP_TEST_SECRETS; i++) {
        len = snprintf(text, sizeof(text), "secret %u", i);
        sgamp_test_add(&secrets, &secrets, text, (size_t) len);

        known += sgamp_test_is_known(&secrets, &secrets, text, (size_t) len);
    }

    tap_is(known, SGAMP_TEST_SECRETS, "the newest secret is known");

    known = 0;

    for (i = 0; i < SGAMP_TEST_SECRETS; i++) {
        len = snprintf(text, sizeof(text), "secret %u", i);
        known += sgamp_test_is_known(&secrets, &secrets, text, (size_t) len);
    }

    tap_is(known, SGAMP_SECRET_ENTRIES, "each entry has one of the others");
}


static int
sgamp_test_is_known(const sgamp_secrets_t *secrets, const void *owner,
    const char *text, size_t len)
{
    sgamp_secret_entry_t  entry;

    sgamp_secret_hash(secrets, owner, (const u_char *) text, len, &entry);

    return sgamp_secret_known(secrets, &entry);
}


static void
sgamp_test_add(sgamp_secrets_t *secrets, const void *owner, const char *text,
    size_t len)
{
    sgamp_secret_entry_t  entry;

    sgamp_secret_hash(secrets, owner, (const u_char *) text, len, &entry);
    sgamp_secret_add(secrets, &entry);
}
