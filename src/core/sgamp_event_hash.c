
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_event_hash.h"
#include "sgamp_id.h"
#include "sgamp_text.h"


#define SGAMP_HASHED_BUF     256  /* bytes that are decoded at a time */
#define SGAMP_HASHED_ESCAPE  6    /* bytes of one \uXXXX */


static inline void sgamp_hashed_brief(const sgamp_hash_t *hash,
    sgamp_hashed_value_t *value);
static int sgamp_hashed_is_address(const sgamp_str_t *string);
static int sgamp_hashed_escaped_at(const sgamp_str_t *string);
static int sgamp_hashed_around(const sgamp_hashed_t *hashed,
    const sgamp_str_t *raw, const u_char *at);
static int sgamp_hashed_neighbors(const sgamp_hashed_value_t *value,
    const sgamp_str_t *raw, const u_char *at);
static inline int sgamp_hashed_differs(const sgamp_json_value_t *address,
    const sgamp_str_t *string);
static int sgamp_hashed_equal(const sgamp_str_t *a, const sgamp_str_t *b);
static int sgamp_hashed_digest(sgamp_hash_t *hash,
    sgamp_hashed_value_t *value);
static inline void sgamp_hashed_lower(u_char *buf, const u_char *p, size_t n);
static inline uint64_t sgamp_hashed_lower_word(uint64_t w);


void
sgamp_hashed_add(sgamp_hashed_t *hashed, const u_char *quote,
    const sgamp_json_value_t *value, unsigned lower)
{
    sgamp_hashed_value_t  *v;

    if (hashed->n == SGAMP_HASHED_MAX) {

        if (sgamp_hashed_is_address(&value->text)) {
            hashed->addresses = 1;
            hashed->more = 1;
        }

        return;
    }

    v = &hashed->values[hashed->n++];

    v->quote = quote;
    v->value = *value;
    v->address = *value;
    v->lower = lower;
    v->ready = 0;

    sgamp_hashed_brief(hashed->hash, v);

    v->at = memchr(value->text.data, '@', value->text.len);

    if (v->at == NULL && !sgamp_hashed_escaped_at(&v->address.text)) {
        v->address.text.len = 0;
        return;
    }

    if (!lower) {
        (void) sgamp_id_cut(&v->address);
    }

    hashed->addresses = 1;
}


sgamp_hashed_value_t *
sgamp_hashed_at(sgamp_hashed_t *hashed, const u_char *quote)
{
    unsigned  i;

    for (i = 0; i < hashed->n; i++) {
        if (hashed->values[i].quote == quote) {
            return &hashed->values[i];
        }
    }

    return NULL;
}


void
sgamp_hashed_write(sgamp_hashed_t *hashed, sgamp_sink_t *sink,
    const sgamp_json_value_t *value, unsigned lower)
{
    unsigned              i;
    sgamp_hashed_value_t  other, *v;

    for (i = 0; i < hashed->n; i++) {
        v = &hashed->values[i];

        if (v->value.text.data == value->text.data
            && v->value.text.len == value->text.len
            && v->lower == lower)
        {
            sgamp_hashed_put(hashed, sink, v);
            return;
        }
    }

    other.value = *value;
    other.lower = lower;
    other.brief = 0;
    other.ready = 0;

    sgamp_hashed_put(hashed, sink, &other);
}


static inline void
sgamp_hashed_brief(const sgamp_hash_t *hash, sgamp_hashed_value_t *value)
{
    size_t         n;
    const u_char  *p, *last;

    p = value->value.text.data;
    n = value->value.text.len;
    last = p + n;

    value->brief = 0;

    if (n >= SGAMP_HASH_TEXT) {
        return;
    }

    memset(value->text, 0, SGAMP_HASH_TEXT);

    if (!value->value.plain) {

        /* only malformed UTF-8 is longer when decoded */

        n = sgamp_text_decode(value->text, SGAMP_HASH_TEXT - 1, &p, last,
                              value->lower);
        if (p != last) {
            return;
        }

    } else if (value->lower) {
        sgamp_hashed_lower(value->text, p, n);

    } else {
        memcpy(value->text, p, n);
    }

    value->text[SGAMP_HASH_TEXT - 1] = (u_char) n;
    value->entry = sgamp_hash_entry(hash, value->text);
    value->brief = 1;
}


int
sgamp_hashed_elsewhere(const sgamp_hashed_t *hashed, const sgamp_str_t *raw,
    unsigned *plain)
{
    unsigned                     i;
    const u_char                *p, *last;
    const sgamp_hashed_value_t  *v;

    *plain = 0;

    if (!hashed->addresses) {
        return 0;
    }

    if (hashed->more) {
        return 1;
    }

    for (i = 0; i < hashed->n; i++) {
        v = &hashed->values[i];

        if (v->address.text.len != 0
            && (v->at == NULL
                || (!v->address.plain
                    && memchr(v->address.text.data, '\\',
                              v->address.text.len)
                       != NULL)))
        {
            return 1;
        }
    }

    last = raw->data + raw->len;

    *plain = sgamp_json_plain(raw->data, last) == last;

    if (!*plain && sgamp_hashed_escaped_at(raw)) {
        return 1;
    }

    for (p = raw->data; /* void */; p++) {
        p = memchr(p, '@', last - p);

        if (p == NULL) {
            return 0;
        }

        if (sgamp_hashed_around(hashed, raw, p)) {
            return 1;
        }
    }
}


static int
sgamp_hashed_is_address(const sgamp_str_t *string)
{
    return memchr(string->data, '@', string->len) != NULL
           || sgamp_hashed_escaped_at(string);
}


static int
sgamp_hashed_escaped_at(const sgamp_str_t *string)
{
    const u_char  *p, *last;

    last = string->data + string->len;

    for (p = string->data; p < last; p += 2) {
        p = memchr(p, '\\', last - p);

        if (p == NULL) {
            return 0;
        }

        if (last - p >= SGAMP_HASHED_ESCAPE
            && memcmp(p, "\\u0040", SGAMP_HASHED_ESCAPE) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static int
sgamp_hashed_around(const sgamp_hashed_t *hashed, const sgamp_str_t *raw,
    const u_char *at)
{
    unsigned                     i;
    const u_char                *text;
    const sgamp_hashed_value_t  *v;

    /*
     * the "@" of a known string was looked at already; any other "@" rarely
     * has the same characters beside it
     */

    for (i = 0; i < hashed->n; i++) {
        text = hashed->values[i].value.text.data;

        if (at >= text && at < text + hashed->values[i].value.text.len) {
            return 0;
        }
    }

    for (i = 0; i < hashed->n; i++) {
        v = &hashed->values[i];

        if (v->address.text.len != 0
            && sgamp_hashed_neighbors(v, raw, at))
        {
            return 1;
        }
    }

    return 0;
}


static int
sgamp_hashed_neighbors(const sgamp_hashed_value_t *value,
    const sgamp_str_t *raw, const u_char *at)
{
    const u_char       *p;
    const sgamp_str_t  *address;

    /* a character beyond ASCII may be written as itself or as an escape */

    p = value->at;
    address = &value->address.text;

    if (p != address->data
        && p[-1] < 0x80
        && sgamp_text_lower(p[-1]) != sgamp_text_lower(at[-1])
        && (at - raw->data < SGAMP_HASHED_ESCAPE
            || at[-SGAMP_HASHED_ESCAPE] != '\\'))
    {
        return 0;
    }

    return p + 1 == address->data + address->len
           || p[1] >= 0x80
           || sgamp_text_lower(p[1]) == sgamp_text_lower(at[1])
           || at[1] == '\\';
}


sgamp_hashed_value_t *
sgamp_hashed_find(sgamp_hashed_t *hashed, const sgamp_str_t *string)
{
    unsigned               i;
    sgamp_json_value_t     value;
    sgamp_hashed_value_t  *v;

    value.text.data = NULL;

    for (i = 0; i < hashed->n; i++) {
        v = &hashed->values[i];

        if (v->address.text.len == 0
            || sgamp_hashed_differs(&v->address, string))
        {
            continue;
        }

        if (value.text.data == NULL) {
            value.text = *string;
            value.plain = 0;
            (void) sgamp_id_cut(&value);
        }

        if (sgamp_hashed_equal(&value.text, &v->address.text)) {
            return v;
        }
    }

    if (!hashed->more || !sgamp_hashed_is_address(string)) {
        return NULL;
    }

    v = &hashed->other;

    v->value.text = *string;
    v->value.type = SGAMP_JSON_STRING;
    v->value.plain = 0;
    v->lower = 1;
    v->brief = 0;
    v->ready = 0;

    (void) sgamp_id_cut(&v->value);

    return v;
}


static inline int
sgamp_hashed_differs(const sgamp_json_value_t *address,
    const sgamp_str_t *string)
{
    u_char  first, last;

    /*
     * a string of another length differs, unless white space or escapes make
     * the string longer
     */

    if (!address->plain || string->len == address->text.len) {
        return 0;
    }

    if (string->len < address->text.len) {
        return 1;
    }

    first = string->data[0];
    last = string->data[string->len - 1];

    return first > ' ' && first < 0x80 && last > ' ' && last < 0x80
           && memchr(string->data, '\\', string->len) == NULL;
}


static int
sgamp_hashed_equal(const sgamp_str_t *a, const sgamp_str_t *b)
{
    uint32_t       c, d;
    const u_char  *p, *q, *alast, *blast;

    p = a->data;
    q = b->data;
    alast = p + a->len;
    blast = q + b->len;

    while (p < alast && q < blast) {
        c = sgamp_json_next(&p, alast);
        d = sgamp_json_next(&q, blast);

        if (sgamp_text_lower(c) != sgamp_text_lower(d)) {
            return 0;
        }
    }

    return p == alast && q == blast;
}


void
sgamp_hashed_put(sgamp_hashed_t *hashed, sgamp_sink_t *sink,
    sgamp_hashed_value_t *value)
{
    if (!value->ready && sgamp_hashed_digest(hashed->hash, value) != SGAMP_OK) {
        sink->status = SGAMP_NOMEM;
        sink->last = sink->pos;
        return;
    }

    value->ready = 1;

    sgamp_json_put(sink, value->hex, SGAMP_SHA256_HEX_LEN);
}


static int
sgamp_hashed_digest(sgamp_hash_t *hash, sgamp_hashed_value_t *value)
{
    int            rc;
    size_t         n;
    u_char         buf[SGAMP_HASHED_BUF];
    const u_char  *p, *last;

    if (value->brief) {
        return sgamp_hash_text(hash, value->entry, value->text, value->hex);
    }

    p = value->value.text.data;
    last = p + value->value.text.len;

    rc = sgamp_hash_start(hash);

    if (rc == SGAMP_OK
        && (value->value.type != SGAMP_JSON_STRING
            || (value->value.plain && !value->lower)))
    {
        rc = sgamp_hash_update(hash, p, last - p);
        p = last;
    }

    while (rc == SGAMP_OK && p < last) {
        n = sgamp_text_decode(buf, sizeof(buf), &p, last, value->lower);
        rc = sgamp_hash_update(hash, buf, n);
    }

    return (rc == SGAMP_OK) ? sgamp_hash_final(hash, value->hex) : rc;
}


static inline void
sgamp_hashed_lower(u_char *buf, const u_char *p, size_t n)
{
    size_t    i;
    uint64_t  w;

    /* eight characters at a time; the last eight may have been done in part */

    for (i = 0; n - i >= 8; i += 8) {
        memcpy(&w, p + i, 8);
        w = sgamp_hashed_lower_word(w);
        memcpy(buf + i, &w, 8);
    }

    if (i == 0) {

        for ( /* void */ ; i < n; i++) {
            buf[i] = (u_char) sgamp_text_lower(p[i]);
        }

    } else if (i < n) {
        memcpy(&w, p + n - 8, 8);
        w = sgamp_hashed_lower_word(w);
        memcpy(buf + n - 8, &w, 8);
    }
}


static inline uint64_t
sgamp_hashed_lower_word(uint64_t w)
{
    uint64_t  high;

    /* eight characters of ASCII; high bits of those from "A" to "Z" */

    high = (w + SGAMP_ONES * (0x7f - '@'))
           & ~(w + SGAMP_ONES * (0x7f - 'Z'))
           & SGAMP_HIGH;

    return w | high >> 2;
}
