
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <openssl/evp.h>

#include "sgamp_digest.h"


int
sgamp_sha256(u_char md[SGAMP_SHA256_LEN], const u_char *p, size_t n)
{
    unsigned  size;

    if (EVP_Digest(p, n, md, &size, EVP_sha256(), NULL) != 1) {
        return SGAMP_NOMEM;
    }

    return SGAMP_OK;
}


int
sgamp_sha256_hex(u_char hex[SGAMP_SHA256_HEX_LEN], const u_char *p, size_t n)
{
    u_char    md[SGAMP_SHA256_LEN];
    unsigned  i;

    static const u_char digits[] = "0123456789abcdef";

    if (sgamp_sha256(md, p, n) != SGAMP_OK) {
        return SGAMP_NOMEM;
    }

    for (i = 0; i < sizeof(md); i++) {
        hex[2 * i] = digits[md[i] >> 4];
        hex[2 * i + 1] = digits[md[i] & 0xf];
    }

    return SGAMP_OK;
}
