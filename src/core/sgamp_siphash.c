
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_siphash.h"


#define sgamp_siphash_rotate(w, n)  (((w) << (n)) | ((w) >> (64 - (n))))


static inline void sgamp_siphash_rounds(uint64_t v[4], unsigned n);
static inline uint64_t sgamp_siphash_word(const u_char *p);


uint64_t
sgamp_siphash(const sgamp_siphash_key_t *key, const u_char *p, size_t n)
{
    u_char         tail[8];
    uint64_t       w, v[4];
    const u_char  *last;

    v[0] = key->k[0] ^ 0x736f6d6570736575ull;
    v[1] = key->k[1] ^ 0x646f72616e646f6dull;
    v[2] = key->k[0] ^ 0x6c7967656e657261ull;
    v[3] = key->k[1] ^ 0x7465646279746573ull;

    memset(tail, 0, 8);
    tail[7] = (u_char) n;

    /* an empty text may be at NULL */

    if (n != 0) {

        for (last = p + n / 8 * 8; p < last; p += 8) {
            w = sgamp_siphash_word(p);

            v[3] ^= w;
            sgamp_siphash_rounds(v, 2);
            v[0] ^= w;
        }

        memcpy(tail, p, n % 8);
    }

    w = sgamp_siphash_word(tail);

    v[3] ^= w;
    sgamp_siphash_rounds(v, 2);
    v[0] ^= w;

    v[2] ^= 0xff;
    sgamp_siphash_rounds(v, 4);

    return v[0] ^ v[1] ^ v[2] ^ v[3];
}


static inline void
sgamp_siphash_rounds(uint64_t v[4], unsigned n)
{
    for ( /* void */ ; n > 0; n--) {
        v[0] += v[1];
        v[1] = sgamp_siphash_rotate(v[1], 13) ^ v[0];
        v[0] = sgamp_siphash_rotate(v[0], 32);

        v[2] += v[3];
        v[3] = sgamp_siphash_rotate(v[3], 16) ^ v[2];

        v[0] += v[3];
        v[3] = sgamp_siphash_rotate(v[3], 21) ^ v[0];

        v[2] += v[1];
        v[1] = sgamp_siphash_rotate(v[1], 17) ^ v[2];
        v[2] = sgamp_siphash_rotate(v[2], 32);
    }
}


static inline uint64_t
sgamp_siphash_word(const u_char *p)
{
    uint64_t  w;

    /* eight bytes, the least significant first */

    memcpy(&w, p, 8);

    return SGAMP_LITTLE_ENDIAN ? w : __builtin_bswap64(w);
}
