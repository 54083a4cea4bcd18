
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_base64.h"


static int sgamp_base64_value(u_char ch);


ssize_t
sgamp_base64_decode(u_char *dst, const u_char *src, size_t n)
{
    int       value;
    size_t    i, pad;
    u_char   *p;
    uint32_t  bits;

    if (n == 0 || n % 4 != 0) {
        return -1;
    }

    pad = (src[n - 1] == '=') + (src[n - 1] == '=' && src[n - 2] == '=');

    p = dst;
    bits = 0;

    for (i = 0; i < n - pad; i++) {
        value = sgamp_base64_value(src[i]);

        if (value == -1) {
            return -1;
        }

        bits = (bits << 6 | (uint32_t) value) & 0xffffff;

        if (i % 4 == 3) {
            *p++ = (u_char) (bits >> 16);
            *p++ = (u_char) (bits >> 8);
            *p++ = (u_char) bits;
        }
    }

    if (pad == 1) {

        if (bits & 0x3) {
            return -1;
        }

        *p++ = (u_char) (bits >> 10);
        *p++ = (u_char) (bits >> 2);
    }

    if (pad == 2) {

        if (bits & 0xf) {
            return -1;
        }

        *p++ = (u_char) (bits >> 4);
    }

    return p - dst;
}


static int
sgamp_base64_value(u_char ch)
{
    if (ch >= 'A' && ch <= 'Z') {
        return ch - 'A';
    }

    if (ch >= 'a' && ch <= 'z') {
        return ch - 'a' + 26;
    }

    if (ch >= '0' && ch <= '9') {
        return ch - '0' + 52;
    }

    if (ch == '+') {
        return 62;
    }

    if (ch == '/') {
        return 63;
    }

    return -1;
}
