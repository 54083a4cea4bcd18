
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_json.h"
#include "sgamp_member.h"


static inline void sgamp_member_value(sgamp_member_t *member,
    const u_char *p, const u_char *last);
static inline const u_char *sgamp_member_quote(const u_char *p,
    const u_char *last);
static const u_char *sgamp_member_nested(const u_char *p,
    const u_char *last);


int
sgamp_member_next(const u_char **p, const u_char *last,
    sgamp_member_t *member)
{
    const u_char  *s;

    s = *p;

    while (s < last && (*s == ',' || sgamp_json_is_space(*s))) {
        s++;
    }

    if (s == last || *s != '"') {
        return 0;
    }

    member->key.data = (u_char *) ++s;
    s = sgamp_member_quote(s, last);
    member->key.len = s - member->key.data;

    if (s == last) {
        return 0;
    }

    sgamp_member_value(member, s + 1, last);

    *p = member->end;

    return 1;
}


static inline void
sgamp_member_value(sgamp_member_t *member, const u_char *p, const u_char *last)
{
    while (p < last && (*p == ':' || sgamp_json_is_space(*p))) {
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
               && !sgamp_json_is_space(*p))
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

    /* the quote at the end of a string, whose inside begins at p */

    start = p;

    for ( ;; ) {

        while (last - p >= 8) {
            memcpy(&w, p, 8);

            if (sgamp_bytes(w, '"')) {
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
