
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_id.h"
#include "sgamp_text.h"


#define SGAMP_ID_RESERVED_LEN  36  /* characters of the longest id */
#define SGAMP_ID_RESERVED_LENGTHS  0x10000002deull  /* bits of lengths */

#define sgamp_id_reserved_length(n)                                           \
    ((n) <= SGAMP_ID_RESERVED_LEN                                             \
     && (SGAMP_ID_RESERVED_LENGTHS & ((uint64_t) 1 << (n))) != 0)


static inline int sgamp_id_is_usual(const sgamp_json_value_t *value);

static int sgamp_id_reserved(const sgamp_json_value_t *value, size_t n);
static int sgamp_id_is_space(uint32_t c);


/* ids that Amplitude refuses as a user_id, in lower case */

static const sgamp_str_t sgamp_id_reserved_ids[] = {
    sgamp_str("anonymous"),
    sgamp_str("nil"),
    sgamp_str("none"),
    sgamp_str("null"),
    sgamp_str("n/a"),
    sgamp_str("na"),
    sgamp_str("undefined"),
    sgamp_str("unknown"),
    sgamp_str("{}"),
    sgamp_str("lmy47d"),
    sgamp_str("0"),
    sgamp_str("-1"),
    sgamp_str("00000000-0000-0000-0000-000000000000"),
    { 0, NULL }
};


int
sgamp_id_blank(const sgamp_json_value_t *value)
{
    const u_char  *p, *last;

    p = value->text.data;
    last = p + value->text.len;

    if (value->plain && p < last && *p > ' ') {
        return 0;
    }

    while (p < last) {
        if (!sgamp_id_is_space(sgamp_json_next(&p, last))) {
            return 0;
        }
    }

    return 1;
}


int
sgamp_id_usable(sgamp_json_value_t *value)
{
    size_t  n;

    if (sgamp_id_is_usual(value)) {
        return 1;
    }

    n = sgamp_id_cut(value);

    return n != 0 && n <= SGAMP_MAX_USER_ID
           && !sgamp_id_reserved(value, n);
}


static inline int
sgamp_id_is_usual(const sgamp_json_value_t *value)
{
    size_t         n;
    const u_char  *p;

    /*
     * most values have nothing to cut and no length of a reserved id, which
     * would need an escape if the value is not plain
     */

    p = value->text.data;
    n = value->text.len;

    if (n == 0 || n > SGAMP_MAX_USER_ID
        || p[0] <= ' ' || p[0] >= 0x80 || p[n - 1] <= ' ' || p[n - 1] >= 0x80)
    {
        return 0;
    }

    return value->plain ? !sgamp_id_reserved_length(n)
                        : memchr(p, '\\', n) == NULL;
}


size_t
sgamp_id_cut(sgamp_json_value_t *value)
{
    size_t         n, len;
    uint32_t       c;
    const u_char  *p, *last, *start, *end;

    p = value->text.data;
    last = p + value->text.len;

    if (value->plain) {

        while (p < last && *p <= ' ' && sgamp_id_is_space(*p)) {
            p++;
        }

        while (p < last && last[-1] <= ' ' && sgamp_id_is_space(last[-1])) {
            last--;
        }

        value->text.data = (u_char *) p;
        value->text.len = last - p;

        return value->text.len;
    }

    start = NULL;
    end = p;
    n = 0;
    len = 0;

    while (p < last) {

        if (start == NULL) {
            end = p;
        }

        c = sgamp_json_next(&p, last);

        if (sgamp_id_is_space(c)) {
            n += (start != NULL);
            continue;
        }

        if (start == NULL) {
            start = end;
        }

        end = p;
        len = ++n;
    }

    if (start == NULL) {
        start = end;
    }

    value->text.data = (u_char *) start;
    value->text.len = end - start;

    return len;
}


static int
sgamp_id_reserved(const sgamp_json_value_t *value, size_t n)
{
    u_char              id[SGAMP_ID_RESERVED_LEN];
    const sgamp_str_t  *reserved;

    /* few ids have the length of a reserved id */

    if (!sgamp_id_reserved_length(n)
        || sgamp_text_ascii(value, id, sizeof(id), 1) < 0)
    {
        return 0;
    }

    for (reserved = sgamp_id_reserved_ids; reserved->len; reserved++) {
        if (reserved->len == n && memcmp(reserved->data, id, n) == 0) {
            return 1;
        }
    }

    return 0;
}


static int
sgamp_id_is_space(uint32_t c)
{
    /* the White_Space property of Unicode */

    if (c < 0x80) {
        return c == ' ' || (c >= '\t' && c <= '\r');
    }

    return c == 0x85 || c == 0xa0 || c == 0x1680
           || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029
           || c == 0x202f || c == 0x205f || c == 0x3000;
}


void
sgamp_id_lowercase(sgamp_sink_t *sink, const sgamp_str_t *text)
{
    u_char         ch;
    uint32_t       c;
    const u_char  *p, *start, *last;

    p = text->data;
    last = p + text->len;

    while (p < last) {
        start = p;
        c = sgamp_json_next(&p, last);

        if (c >= 'A' && c <= 'Z') {
            ch = (u_char) (c | 0x20);
            sgamp_json_write(sink, &ch, 1);
            continue;
        }

        sgamp_json_copy(sink, start, p - start);
    }
}
