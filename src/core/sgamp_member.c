
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_member.h"


#define SGAMP_MEMBER_ONES  0x0101010101010101ull
#define SGAMP_MEMBER_HIGH  0x8080808080808080ull

#define sgamp_member_is_space(ch)                                             \
    ((ch) == ' ' || (ch) == '\n' || (ch) == '\r' || (ch) == '\t')

/* the high bit of bytes that are the character, and maybe of some after it */

#define sgamp_member_has(w, ch)                                               \
    ((((w) ^ (SGAMP_MEMBER_ONES * (ch))) - SGAMP_MEMBER_ONES)                 \
     & ~((w) ^ (SGAMP_MEMBER_ONES * (ch))) & SGAMP_MEMBER_HIGH)


static inline const u_char *sgamp_member_quote(const u_char *p,
    const u_char *last);
static inline uint64_t sgamp_member_odd(const u_char *p, size_t n);
static const u_char *sgamp_member_nested(const u_char *p,
    const u_char *last);


int
sgamp_member_next(const u_char **p, const u_char *last,
    sgamp_member_t *member)
{
    const u_char  *s;

    s = *p;

    while (s < last && (*s == ',' || sgamp_member_is_space(*s))) {
        s++;
    }

    if (s == last || *s != '"') {
        return 0;
    }

    member->key.data = (u_char *) ++s;
    s = sgamp_member_quote(s, last);
    member->key.len = s - member->key.data;
    member->escaped = sgamp_member_odd(member->key.data, member->key.len) != 0;

    if (s == last) {
        return 0;
    }

    sgamp_member_value(member, s + 1, last);

    *p = member->end;

    return 1;
}


void
sgamp_member_value(sgamp_member_t *member, const u_char *p, const u_char *last)
{
    while (p < last && (*p == ':' || sgamp_member_is_space(*p))) {
        p++;
    }

    member->value = p;

    if (p == last) {
        /* void */

    } else if (*p == '"') {
        p = sgamp_member_quote(p + 1, last) + 1;

    } else if (*p == '{' || *p == '[') {
        p = sgamp_member_nested(p, last);

    } else {

        while (p < last && *p != ',' && *p != '}'
               && !sgamp_member_is_space(*p))
        {
            p++;
        }
    }

    member->end = (p < last) ? p : last;
}


static inline const u_char *
sgamp_member_quote(const u_char *p, const u_char *last)
{
    uint64_t       w;
    const u_char  *s, *start;

    /* the quote that ends a string */

    start = p;

    for ( ;; ) {

        while (last - p >= 8) {
            memcpy(&w, p, 8);

            if (sgamp_member_has(w, '"')) {
                break;
            }

            p += 8;
        }

        while (p < last && *p != '"') {
            p++;
        }

        if (p == last) {
            return last;
        }

        for (s = p; s > start && s[-1] == '\\'; s--) {
            /* void */
        }

        if (((p - s) & 1) == 0) {
            return p;
        }

        p++;
    }
}


static inline uint64_t
sgamp_member_odd(const u_char *p, size_t n)
{
    uint64_t  w, odd;

    odd = 0;

    for ( /* void */ ; n >= 8; p += 8, n -= 8) {
        memcpy(&w, p, 8);
        odd |= (w & SGAMP_MEMBER_HIGH) | sgamp_member_has(w, '\\');
    }

    for ( /* void */ ; n != 0; p++, n--) {
        odd |= (*p & 0x80) | (*p == '\\');
    }

    return odd;
}


static const u_char *
sgamp_member_nested(const u_char *p, const u_char *last)
{
    size_t  depth;

    depth = 0;

    for ( /* void */ ; p < last; p++) {

        switch (*p) {

        case '"':
            p = sgamp_member_quote(p + 1, last);

            if (p == last) {
                return last;
            }

            break;

        case '{':
        case '[':
            depth++;
            break;

        case '}':
        case ']':
            if (--depth == 0) {
                return p + 1;
            }

            break;

        default:
            break;
        }
    }

    return last;
}
