
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_digest.h"
#include "sgamp_test.h"


static void sgamp_test_digests(void);


int
main(void)
{
    sgamp_test_digests();

    return tap_done();
}


static void
sgamp_test_digests(void)
{
    u_char  hex[SGAMP_SHA256_HEX_LEN];
    size_t  i;

    /* FIPS 180-4 */

    static const char *digests[] = {
        "",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "abc",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        NULL
    };

    for (i = 0; digests[i] != NULL; i += 2) {
        tap_is(sgamp_sha256_hex(hex, (u_char *) digests[i],
                                strlen(digests[i])),
               SGAMP_OK, "SHA-256 of \"%s\"", digests[i]);
        tap_bytes(hex, sizeof(hex), digests[i + 1], strlen(digests[i + 1]),
                  "is right");
    }
}
