
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_text.h"


size_t
sgamp_text_encode(u_char buf[SGAMP_TEXT_CHAR], uint32_t c)
{
    if (c < 0x80) {
        buf[0] = (u_char) c;
        return 1;
    }

    if (c < 0x800) {
        buf[0] = (u_char) (0xc0 | (c >> 6));
        buf[1] = (u_char) (0x80 | (c & 0x3f));
        return 2;
    }

    if (c < 0x10000) {
        buf[0] = (u_char) (0xe0 | (c >> 12));
        buf[1] = (u_char) (0x80 | ((c >> 6) & 0x3f));
        buf[2] = (u_char) (0x80 | (c & 0x3f));
        return 3;
    }

    buf[0] = (u_char) (0xf0 | (c >> 18));
    buf[1] = (u_char) (0x80 | ((c >> 12) & 0x3f));
    buf[2] = (u_char) (0x80 | ((c >> 6) & 0x3f));
    buf[3] = (u_char) (0x80 | (c & 0x3f));

    return 4;
}


size_t
sgamp_text_decode(u_char *buf, size_t size, const u_char **p,
    const u_char *last, unsigned lower)
{
    size_t    n;
    uint32_t  c;

    n = 0;

    while (*p < last && n + SGAMP_TEXT_CHAR <= size) {
        c = **p;

        if (c < 0x80 && c != '\\') {
            buf[n++] = (u_char) (lower ? sgamp_text_lower(c) : c);
            (*p)++;
            continue;
        }

        c = sgamp_json_next(p, last);
        n += sgamp_text_encode(buf + n, lower ? sgamp_text_lower(c) : c);
    }

    return n;
}


int
sgamp_text_ascii(const sgamp_json_value_t *string, u_char *buf, size_t size,
    unsigned lower)
{
    size_t         n;
    uint32_t       c;
    const u_char  *p, *last;

    p = string->text.data;
    last = p + string->text.len;

    for (n = 0; p < last; n++) {
        c = string->plain ? *p++ : sgamp_json_next(&p, last);

        if (n == size || c >= 0x80) {
            return -1;
        }

        buf[n] = (u_char) (lower ? sgamp_text_lower(c) : c);
    }

    return (int) n;
}


int
sgamp_text_is(const sgamp_str_t *string, const sgamp_str_t *text,
    unsigned lower)
{
    size_t         n, done;
    u_char         buf[SGAMP_TEXT_CHAR];
    uint32_t       c;
    const u_char  *p, *last;

    p = string->data;
    last = p + string->len;

    done = 0;

    while (p < last) {
        c = sgamp_json_next(&p, last);
        n = sgamp_text_encode(buf, lower ? sgamp_text_lower(c) : c);

        if (n > text->len - done || memcmp(text->data + done, buf, n) != 0) {
            return 0;
        }

        done += n;
    }

    return done == text->len;
}
