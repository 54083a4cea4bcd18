
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_json.h"


#define SGAMP_JSON_REPLACEMENT  0xfffd   /* U+FFFD REPLACEMENT CHARACTER */
#define SGAMP_JSON_MALFORMED    0x110000 /* no character */
#define SGAMP_JSON_ESCAPE_SIZE  6        /* bytes of one \uXXXX */

#define SGAMP_JSON_BLOCK        64  /* bytes looked at together */

#define sgamp_json_is_high(c)   ((c) >= 0xd800 && (c) <= 0xdbff)
#define sgamp_json_is_low(c)    ((c) >= 0xdc00 && (c) <= 0xdfff)


/* an extension that gcc and clang have for all processors */

typedef u_char sgamp_json_vector_t __attribute__((vector_size(16)));


static inline uint64_t sgamp_json_odd(const u_char *p);
static inline const u_char *sgamp_json_stop(const u_char *p,
    const u_char *last);
static inline uint64_t sgamp_json_odd_block(const u_char *p);
static size_t sgamp_json_utf8(const u_char *p, const u_char *last,
    uint32_t *c);
static size_t sgamp_json_unicode(const u_char *p, const u_char *last,
    uint32_t *c);
static uint32_t sgamp_json_hex4(const u_char *p);


void
sgamp_json_copy(sgamp_sink_t *sink, const u_char *p, size_t n)
{
    size_t         size;
    uint32_t       c;
    const u_char  *run, *last;

    run = p;
    last = p + n;

    for ( ;; ) {

        p = sgamp_json_plain(p, last);

        if (p == last) {
            break;
        }

        if (*p != '\\') {
            size = sgamp_json_utf8(p, last, &c);

        } else if (last - p > 1 && p[1] == 'u') {
            size = sgamp_json_unicode(p, last, &c);

        } else {
            /* an escaped backslash must not be seen twice */
            p += (last - p > 1) ? 2 : 1;
            continue;
        }

        if (c != SGAMP_JSON_MALFORMED) {
            p += size;
            continue;
        }

        sgamp_json_write(sink, run, p - run);
        sgamp_json_write(sink, (u_char *) "\xef\xbf\xbd", 3);

        p += size;
        run = p;
    }

    sgamp_json_write(sink, run, last - run);
}


static inline uint64_t
sgamp_json_odd(const u_char *p)
{
    uint64_t  w;

    /* not 0 if one of the eight bytes is not plain */

    memcpy(&w, p, 8);

    return (w & SGAMP_HIGH) | sgamp_bytes(w, '\\');
}


static inline const u_char *
sgamp_json_stop(const u_char *p, const u_char *last)
{
    uint64_t  w, stop;

    /* the first byte that is a quote, a backslash or not ASCII, or last */

    while (last - p >= 8) {
        memcpy(&w, p, 8);

        stop = (w & SGAMP_HIGH) | sgamp_bytes(w, '\\') | sgamp_bytes(w, '"');

        if (stop) {
#if (SGAMP_LITTLE_ENDIAN)
            return p + __builtin_ctzll(stop) / 8;
#else
            break;
#endif
        }

        p += 8;
    }

    while (p < last && *p < 0x80 && *p != '\\' && *p != '"') {
        p++;
    }

    return p;
}


static inline uint64_t
sgamp_json_odd_block(const u_char *p)
{
    uint64_t             w[2];
    sgamp_json_vector_t  v[SGAMP_JSON_BLOCK / 16], odd;

    memcpy(v, p, SGAMP_JSON_BLOCK);

    odd = v[0] | v[1] | v[2] | v[3]
          | (sgamp_json_vector_t) (v[0] == '\\')
          | (sgamp_json_vector_t) (v[1] == '\\')
          | (sgamp_json_vector_t) (v[2] == '\\')
          | (sgamp_json_vector_t) (v[3] == '\\');

    memcpy(w, &odd, 16);

    return (w[0] | w[1]) & SGAMP_HIGH;
}


const u_char *
sgamp_json_plain(const u_char *p, const u_char *last)
{
    /* ASCII other than a backslash needs no look, and goes a block at a time */

    while (last - p >= SGAMP_JSON_BLOCK) {

        if (sgamp_json_odd_block(p)) {
            break;
        }

        p += SGAMP_JSON_BLOCK;
    }

    while (last - p >= 8) {

        if (sgamp_json_odd(p)) {
            break;
        }

        p += 8;
    }

    while (p < last && *p < 0x80 && *p != '\\') {
        p++;
    }

    return p;
}


static size_t
sgamp_json_utf8(const u_char *p, const u_char *last, uint32_t *c)
{
    size_t    i, size;
    u_char    low, high;
    uint32_t  value;

    /*
     * Reads a character of two bytes or more, and returns its length.  Of a
     * malformed character these are the bytes that could have begun a well-
     * formed one.
     */

    low = 0x80;
    high = 0xbf;

    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        size = 2;
        value = p[0] & 0x1f;

    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        size = 3;
        value = p[0] & 0x0f;
        low = (p[0] == 0xe0) ? 0xa0 : 0x80;
        high = (p[0] == 0xed) ? 0x9f : 0xbf;

    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        size = 4;
        value = p[0] & 0x07;
        low = (p[0] == 0xf0) ? 0x90 : 0x80;
        high = (p[0] == 0xf4) ? 0x8f : 0xbf;

    } else {
        *c = SGAMP_JSON_MALFORMED;
        return 1;
    }

    for (i = 1; i < size; i++) {

        if (i == (size_t) (last - p) || p[i] < low || p[i] > high) {
            *c = SGAMP_JSON_MALFORMED;
            return i;
        }

        value = (value << 6) | (p[i] & 0x3f);
        low = 0x80;
        high = 0xbf;
    }

    *c = value;

    return size;
}


static size_t
sgamp_json_unicode(const u_char *p, const u_char *last, uint32_t *c)
{
    uint32_t  high, low;

    /*
     * reads \uXXXX, or two of them that are a pair of surrogates, as
     * sgamp_json_utf8() reads a character
     */

    if (last - p < SGAMP_JSON_ESCAPE_SIZE) {
        *c = SGAMP_JSON_MALFORMED;
        return last - p;
    }

    high = sgamp_json_hex4(p + 2);

    if (sgamp_json_is_high(high)
        && last - p >= 2 * SGAMP_JSON_ESCAPE_SIZE
        && p[6] == '\\' && p[7] == 'u')
    {
        low = sgamp_json_hex4(p + SGAMP_JSON_ESCAPE_SIZE + 2);

        if (sgamp_json_is_low(low)) {
            *c = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            return 2 * SGAMP_JSON_ESCAPE_SIZE;
        }
    }

    if (sgamp_json_is_high(high) || sgamp_json_is_low(high)) {
        high = SGAMP_JSON_MALFORMED;
    }

    *c = high;

    return SGAMP_JSON_ESCAPE_SIZE;
}


static uint32_t
sgamp_json_hex4(const u_char *p)
{
    u_char    ch;
    uint32_t  i, value;

    value = 0;

    for (i = 0; i < 4; i++) {
        ch = p[i];

        /* yajl has let nothing but hex digits pass */

        value = value * 16 + ((ch <= '9') ? ch - '0' : (ch | 0x20) - 'a' + 10);
    }

    return value;
}


void
sgamp_json_escape(sgamp_sink_t *sink, const u_char *p, size_t n)
{
    u_char         buf[SGAMP_JSON_ESCAPE_SIZE];
    size_t         size;
    uint32_t       c;
    const u_char  *last;

    static const u_char hex[] = "0123456789abcdef";

    /* an empty text may be at NULL, and nothing may be added to NULL */

    if (n == 0) {
        return;
    }

    last = p + n;

    while (p < last) {
        c = *p;
        size = 1;

        if (c >= 0x80) {
            size = sgamp_json_utf8(p, last, &c);
        }

        if (c == SGAMP_JSON_MALFORMED) {
            sgamp_json_write(sink, (u_char *) "\xef\xbf\xbd", 3);

        } else if (c == '"' || c == '\\') {
            buf[0] = '\\';
            buf[1] = (u_char) c;
            sgamp_json_write(sink, buf, 2);

        } else if (c < 0x20) {
            memcpy(buf, "\\u00", 4);
            buf[4] = hex[c >> 4];
            buf[5] = hex[c & 0xf];
            sgamp_json_write(sink, buf, SGAMP_JSON_ESCAPE_SIZE);

        } else {
            sgamp_json_write(sink, p, size);
        }

        p += size;
    }
}


void
sgamp_json_value(sgamp_json_value_t *value, const u_char *p,
    const u_char *last)
{
    const u_char  *start;

    while (p < last && (*p <= ' ' || *p == ':')) {
        p++;
    }

    value->type = SGAMP_JSON_OTHER;
    value->plain = 0;
    value->text.data = (u_char *) p;
    value->text.len = 0;

    if (p == last) {
        value->type = SGAMP_JSON_NONE;
        return;
    }

    start = p;

    if (*p == '"') {
        start = ++p;
        value->type = SGAMP_JSON_STRING;

        /* most strings have no escape, and end at the first quote */

        p = sgamp_json_stop(p, last);

        value->plain = (p < last && *p == '"');

        while (p < last && *p != '"') {
            p += (*p == '\\') ? 2 : 1;
        }

    } else if (*p == '-' || (*p >= '0' && *p <= '9')) {

        while (p < last && *p > ' ' && *p != ',' && *p != '}' && *p != ']') {
            p++;
        }

        value->type = SGAMP_JSON_NUMBER;
        value->plain = 1;

    } else if (*p == 't') {
        value->type = SGAMP_JSON_TRUE;
        return;

    } else {
        return;
    }

    value->text.data = (u_char *) start;
    value->text.len = ((p < last) ? p : last) - start;
}


uint32_t
sgamp_json_next(const u_char **p, const u_char *last)
{
    size_t         size;
    uint32_t       c;
    const u_char  *s;

    s = *p;

    if (*s != '\\') {
        c = *s;
        size = (c < 0x80) ? 1 : sgamp_json_utf8(s, last, &c);
        *p = s + size;
        return (c == SGAMP_JSON_MALFORMED) ? SGAMP_JSON_REPLACEMENT : c;
    }

    if (last - s > 1 && s[1] == 'u') {
        size = sgamp_json_unicode(s, last, &c);
        *p = s + size;
        return (c == SGAMP_JSON_MALFORMED) ? SGAMP_JSON_REPLACEMENT : c;
    }

    if (last - s == 1) {
        *p = last;
        return SGAMP_JSON_REPLACEMENT;
    }

    *p = s + 2;

    switch (s[1]) {

    case 'b':
        return '\b';

    case 'f':
        return '\f';

    case 'n':
        return '\n';

    case 'r':
        return '\r';

    case 't':
        return '\t';

    default: /* a quote, a backslash or a slash stands for itself */
        return s[1];
    }
}
