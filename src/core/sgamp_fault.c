
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_fault.h"
#include "sgamp_json.h"


static const u_char *sgamp_fault_skip(const u_char *p, const u_char *last);
static const u_char *sgamp_fault_digits(const u_char *p,
    const u_char *last);


/* what may come next, by the first byte of the token */

enum {
    SGAMP_FAULT_VALUE = 0,
    SGAMP_FAULT_FIRST_VALUE,
    SGAMP_FAULT_KEY,
    SGAMP_FAULT_FIRST_KEY,
    SGAMP_FAULT_COLON,
    SGAMP_FAULT_NEXT_VALUE,
    SGAMP_FAULT_NEXT_KEY
};


static const char *const sgamp_fault_allowed[] = {
    "{[\"-0123456789tfn",
    "{[\"-0123456789tfn]",
    "\"",
    "\"}",
    ":",
    ",]",
    ",}"
};


size_t
sgamp_fault_token(const u_char *p, const u_char *last)
{
    const u_char  *s;

    s = p + 1;

    if (*p == '"') {

        while (s < last && *s != '"') {
            s += (*s == '\\') ? 2 : 1;
        }

        s++;

    } else if (strchr("{}[],:", *p) == NULL) {

        while (s < last && !sgamp_json_is_space(*s)
               && strchr("{}[],:\"", *s) == NULL)
        {
            s++;
        }
    }

    return ((s < last) ? s : last) - p;
}


int
sgamp_fault_find(const u_char *data, const u_char *last, size_t *from,
    size_t *to)
{
    unsigned       depth, expected;
    uint64_t       objects;
    const u_char  *s, *end;

    depth = 0;
    objects = 0;
    expected = SGAMP_FAULT_VALUE;

    for (s = data; s < last; s = end) {
        end = sgamp_fault_skip(s, last);

        if (sgamp_json_is_space(*s)) {
            continue;
        }

        if (*s == '\0' || strchr(sgamp_fault_allowed[expected], *s) == NULL) {
            *from = s - data;
            *to = end - data;
            return 1;
        }

        switch (*s) {

        case '{':
        case '[':
            depth++;
            objects = (objects << 1) | (*s == '{');
            expected = (*s == '{') ? SGAMP_FAULT_FIRST_KEY
                                   : SGAMP_FAULT_FIRST_VALUE;
            continue;

        case '}':
        case ']':
            depth--;
            objects >>= 1;
            break;

        case ':':
            expected = SGAMP_FAULT_VALUE;
            continue;

        case ',':
            expected = (objects & 1) ? SGAMP_FAULT_KEY : SGAMP_FAULT_VALUE;
            continue;

        default:

            if (expected == SGAMP_FAULT_KEY
                || expected == SGAMP_FAULT_FIRST_KEY)
            {
                expected = SGAMP_FAULT_COLON;
                continue;
            }
        }

        if (depth == 0) {
            break;
        }

        expected = (objects & 1) ? SGAMP_FAULT_NEXT_KEY
                                 : SGAMP_FAULT_NEXT_VALUE;
    }

    return 0;
}


static const u_char *
sgamp_fault_skip(const u_char *p, const u_char *last)
{
    const u_char  *end;

    end = p + 1;

    switch (*p) {

    case '"':

        while (end < last && *end != '"') {
            end += (*end == '\\') ? 2 : 1;
        }

        end++;
        break;

    case 't':
    case 'n':
        end = p + sizeof("true") - 1;
        break;

    case 'f':
        end = p + sizeof("false") - 1;
        break;

    default:

        if (*p != '-' && (*p < '0' || *p > '9')) {
            break;
        }

        end = p + (*p == '-');

        /* a zero is not followed by digits */

        end = (end < last && *end == '0') ? end + 1
                                          : sgamp_fault_digits(end, last);

        if (end < last && *end == '.') {
            end = sgamp_fault_digits(end + 1, last);
        }

        if (end < last && (*end == 'e' || *end == 'E')) {
            end++;

            if (end < last && (*end == '+' || *end == '-')) {
                end++;
            }

            end = sgamp_fault_digits(end, last);
        }
    }

    return (end < last) ? end : last;
}


static const u_char *
sgamp_fault_digits(const u_char *p, const u_char *last)
{
    while (p < last && *p >= '0' && *p <= '9') {
        p++;
    }

    return p;
}
