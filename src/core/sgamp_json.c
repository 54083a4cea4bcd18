
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_json.h"
#include "sgamp_vector.h"


#define SGAMP_JSON_REPLACEMENT  0xfffd   /* U+FFFD REPLACEMENT CHARACTER */
#define SGAMP_JSON_MALFORMED    0x110000 /* no character */
#define SGAMP_JSON_ESCAPE_SIZE  6        /* bytes of one \uXXXX */

#define SGAMP_JSON_BLOCK        (4 * SGAMP_VECTOR_SIZE)

#define sgamp_json_is_high(c)   ((c) >= 0xd800 && (c) <= 0xdbff)
#define sgamp_json_is_low(c)    ((c) >= 0xdc00 && (c) <= 0xdfff)
#define sgamp_json_is_plain(c)  ((c) < 0x80 && (c) != '\\')

/* marks what is not plain */
#define sgamp_json_odd(v)                                                     \
    sgamp_vector_or(v, sgamp_vector_is(v, '\\'))


static const u_char *sgamp_json_copy_plain(sgamp_sink_t *sink,
    const u_char *p, const u_char *last);
static inline const u_char *sgamp_json_stop(const u_char *p,
    const u_char *last);
static inline sgamp_vector_t sgamp_json_odd_block(const sgamp_vector_t v[4]);
static inline const u_char *sgamp_json_skip_digits(const u_char *p,
    const u_char *last);
static const u_char *sgamp_json_safe(const u_char *p, const u_char *last);
static const u_char *sgamp_json_quote(const u_char *p, const u_char *last);
static size_t sgamp_json_odd_size(const u_char *p, const u_char *last,
    uint32_t *c);
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
    const u_char  *last;

    last = p + n;

    for ( ;; ) {

        p = sgamp_json_copy_plain(sink, p, last);

        if (p == last) {
            return;
        }

        size = sgamp_json_odd_size(p, last, &c);

        if (c != SGAMP_JSON_MALFORMED) {
            sgamp_json_put(sink, p, size);

        } else {
            sgamp_json_put(sink, (u_char *) "\xef\xbf\xbd", 3);
        }

        p += size;
    }
}


static const u_char *
sgamp_json_copy_plain(sgamp_sink_t *sink, const u_char *p, const u_char *last)
{
    size_t          n;
    u_char         *pos;
    const u_char   *start;
    sgamp_vector_t  v[4], odd;

    /*
     * Text is looked at while it is copied.  What was copied in vain, since it
     * is odd or behind what is odd, is written over.  Returns where the first
     * odd character is; a sink that has failed has taken all.
     */

    for ( ;; ) {

        n = sink->last - sink->pos;
        pos = sink->pos;
        start = p;

        if (n > (size_t) (last - p)) {
            n = last - p;
        }

        for ( /* void */ ; n >= SGAMP_JSON_BLOCK; n -= SGAMP_JSON_BLOCK) {

            v[0] = sgamp_vector_load(p);
            v[1] = sgamp_vector_load(p + SGAMP_VECTOR_SIZE);
            v[2] = sgamp_vector_load(p + 2 * SGAMP_VECTOR_SIZE);
            v[3] = sgamp_vector_load(p + 3 * SGAMP_VECTOR_SIZE);

            sgamp_vector_store(pos, v[0]);
            sgamp_vector_store(pos + SGAMP_VECTOR_SIZE, v[1]);
            sgamp_vector_store(pos + 2 * SGAMP_VECTOR_SIZE, v[2]);
            sgamp_vector_store(pos + 3 * SGAMP_VECTOR_SIZE, v[3]);

            odd = sgamp_json_odd_block(v);

            if (sgamp_vector_marks(odd)) {
                break;
            }

            p += SGAMP_JSON_BLOCK;
            pos += SGAMP_JSON_BLOCK;
        }

        for ( ;; ) {

            if (n < SGAMP_VECTOR_SIZE) {

                if (n == 0 || p - start < SGAMP_VECTOR_SIZE) {
                    break;
                }

                /* the last vector begins with bytes that were copied before */

                p -= SGAMP_VECTOR_SIZE - n;
                pos -= SGAMP_VECTOR_SIZE - n;
                n = SGAMP_VECTOR_SIZE;
            }

            v[0] = sgamp_vector_load(p);
            sgamp_vector_store(pos, v[0]);

            odd = sgamp_json_odd(v[0]);

            if (sgamp_vector_marks(odd)) {
                n = sgamp_vector_first(sgamp_vector_marks(odd));
                sink->pos = pos + n;
                return p + n;
            }

            p += SGAMP_VECTOR_SIZE;
            pos += SGAMP_VECTOR_SIZE;
            n -= SGAMP_VECTOR_SIZE;
        }

        for ( /* void */ ; n != 0; n--) {

            if (!sgamp_json_is_plain(*p)) {
                sink->pos = pos;
                return p;
            }

            *pos++ = *p++;
        }

        sink->pos = pos;

        if (p == last || !sgamp_sink_room(sink)) {
            return last;
        }
    }
}


static inline const u_char *
sgamp_json_stop(const u_char *p, const u_char *last)
{
    sgamp_vector_t  v, stop;

    /* the first byte that is a quote, a backslash or not ASCII, or last */

    while (last - p >= SGAMP_VECTOR_SIZE) {
        v = sgamp_vector_load(p);
        stop = sgamp_vector_or(sgamp_json_odd(v), sgamp_vector_is(v, '"'));

        if (sgamp_vector_marks(stop)) {
            return p + sgamp_vector_first(sgamp_vector_marks(stop));
        }

        p += SGAMP_VECTOR_SIZE;
    }

    while (p < last && sgamp_json_is_plain(*p) && *p != '"') {
        p++;
    }

    return p;
}


const u_char *
sgamp_json_digits(const u_char *p, const u_char *last)
{
    return sgamp_json_skip_digits(p, last);
}


static inline const u_char *
sgamp_json_skip_digits(const u_char *p, const u_char *last)
{
    sgamp_vector_t  other;

    /* inline for the value of each timestamp */

    while (last - p >= SGAMP_VECTOR_SIZE) {
        other = sgamp_vector_no_digit(sgamp_vector_load(p));

        if (sgamp_vector_marks(other)) {
            return p + sgamp_vector_first(sgamp_vector_marks(other));
        }

        p += SGAMP_VECTOR_SIZE;
    }

    while (p < last && *p >= '0' && *p <= '9') {
        p++;
    }

    return p;
}


const u_char *
sgamp_json_plain(const u_char *p, const u_char *last)
{
    sgamp_vector_t  v[4], odd;

    while (last - p >= SGAMP_JSON_BLOCK) {
        v[0] = sgamp_vector_load(p);
        v[1] = sgamp_vector_load(p + SGAMP_VECTOR_SIZE);
        v[2] = sgamp_vector_load(p + 2 * SGAMP_VECTOR_SIZE);
        v[3] = sgamp_vector_load(p + 3 * SGAMP_VECTOR_SIZE);

        odd = sgamp_json_odd_block(v);

        if (sgamp_vector_marks(odd)) {
            break;
        }

        p += SGAMP_JSON_BLOCK;
    }

    while (last - p >= SGAMP_VECTOR_SIZE) {
        v[0] = sgamp_vector_load(p);
        odd = sgamp_json_odd(v[0]);

        if (sgamp_vector_marks(odd)) {
            return p + sgamp_vector_first(sgamp_vector_marks(odd));
        }

        p += SGAMP_VECTOR_SIZE;
    }

    while (p < last && sgamp_json_is_plain(*p)) {
        p++;
    }

    return p;
}


static inline sgamp_vector_t
sgamp_json_odd_block(const sgamp_vector_t v[4])
{
    return sgamp_vector_or(sgamp_vector_or(sgamp_json_odd(v[0]),
                                           sgamp_json_odd(v[1])),
                           sgamp_vector_or(sgamp_json_odd(v[2]),
                                           sgamp_json_odd(v[3])));
}


static size_t
sgamp_json_odd_size(const u_char *p, const u_char *last, uint32_t *c)
{
    /* a character that is not plain, or an escape, of which c is any value */

    if (*p != '\\') {
        return sgamp_json_utf8(p, last, c);
    }

    if (last - p > 1 && p[1] == 'u') {
        return sgamp_json_unicode(p, last, c);
    }

    /* an escaped backslash must not be seen twice */

    *c = 0;

    return (last - p > 1) ? 2 : 1;
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
    const u_char  *run, *last;

    static const u_char hex[] = "0123456789abcdef";

    /* an empty text may be at NULL, and nothing may be added to NULL */

    if (n == 0) {
        return;
    }

    last = p + n;

    for ( ;; ) {
        run = p;
        p = sgamp_json_safe(p, last);

        sgamp_json_put(sink, run, p - run);

        if (p == last) {
            return;
        }

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


size_t
sgamp_json_escaped(const u_char *p, size_t n)
{
    size_t         size;
    const u_char  *last;

    size = n;

    if (n == 0) {
        return size;
    }

    last = p + n;

    for ( ;; ) {
        p = sgamp_json_safe(p, last);

        if (p == last) {
            return size;
        }

        size += SGAMP_JSON_ESCAPE_SIZE - 1;
        p++;
    }
}


static const u_char *
sgamp_json_safe(const u_char *p, const u_char *last)
{
    sgamp_vector_t  v, other;

    /* the first byte that is escaped or not ASCII, or last */

    while (last - p >= SGAMP_VECTOR_SIZE) {
        v = sgamp_vector_load(p);
        other = sgamp_vector_or(sgamp_json_odd(v),
                                sgamp_vector_or(sgamp_vector_is(v, '"'),
                                                sgamp_vector_control(v)));

        if (sgamp_vector_marks(other)) {
            return p + sgamp_vector_first(sgamp_vector_marks(other));
        }

        p += SGAMP_VECTOR_SIZE;
    }

    while (p < last && *p >= 0x20 && sgamp_json_is_plain(*p) && *p != '"') {
        p++;
    }

    return p;
}


void
sgamp_json_value(sgamp_json_value_t *value, const u_char *p,
    const u_char *last)
{
    const u_char  *start;

    while (p < last && (*p == ':' || *p <= ' ')) {
        p++;
    }

    start = p;

    if (p < last && *p == '"') {
        start++;

        /* most strings have no escape, and end at the first quote */

        p = sgamp_json_stop(start, last);

        value->type = SGAMP_JSON_STRING;
        value->plain = (p < last && *p == '"');

        if (!value->plain) {
            p = sgamp_json_quote(p, last);
        }

    } else if (p < last && (*p == '-' || (*p >= '0' && *p <= '9'))) {

        p = sgamp_json_skip_digits(p, last);

        value->type = SGAMP_JSON_NUMBER;
        value->plain = 1;
        value->digits = 1;

        while (p < last && *p > ' ' && *p != ',' && *p != '}' && *p != ']') {
            value->digits = 0;
            p++;
        }

    } else {
        value->type = (p == last) ? SGAMP_JSON_NONE
                                  : (*p == 't') ? SGAMP_JSON_TRUE
                                                : SGAMP_JSON_OTHER;
        value->plain = 0;
    }

    value->text.data = (u_char *) start;
    value->text.len = p - start;
}


static const u_char *
sgamp_json_quote(const u_char *p, const u_char *last)
{
    /* the quote at the end of a string, or last; an escape may be cut */

    while (p < last && *p != '"') {
        p += (*p == '\\') ? 2 : 1;
    }

    return (p < last) ? p : last;
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
