
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_tokens.h"


static int sgamp_tokens_null(void *ctx);
static int sgamp_tokens_boolean(void *ctx, int value);
static int sgamp_tokens_number(void *ctx, const char *value, size_t len);
static int sgamp_tokens_string(void *ctx, const u_char *value, size_t len);
static int sgamp_tokens_start_map(void *ctx);
static int sgamp_tokens_start_array(void *ctx);
static int sgamp_tokens_end(void *ctx);
static int sgamp_tokens_begin(sgamp_parser_t *p, unsigned object);
static int sgamp_tokens_deeper(sgamp_parser_t *p);
static int sgamp_tokens_scalar(sgamp_parser_t *p);
static int sgamp_tokens_element(sgamp_parser_t *p);
static const u_char *sgamp_tokens_skip(const u_char *p, const u_char *last);
static const u_char *sgamp_tokens_digits(const u_char *p,
    const u_char *last);
static void sgamp_tokens_scalars(sgamp_parser_t *p, unsigned on);


/* what may come next, by the first byte of the token */

enum {
    SGAMP_TOKENS_VALUE = 0,
    SGAMP_TOKENS_FIRST_VALUE,
    SGAMP_TOKENS_KEY,
    SGAMP_TOKENS_FIRST_KEY,
    SGAMP_TOKENS_COLON,
    SGAMP_TOKENS_NEXT_VALUE,
    SGAMP_TOKENS_NEXT_KEY
};


static const char *const sgamp_tokens_allowed[] = {
    "{[\"-0123456789tfn",
    "{[\"-0123456789tfn]",
    "\"",
    "\"}",
    ":",
    ",]",
    ",}"
};


void
sgamp_tokens_init(sgamp_parser_t *p)
{
    p->callbacks.yajl_start_map = sgamp_tokens_start_map;
    p->callbacks.yajl_end_map = sgamp_tokens_end;
    p->callbacks.yajl_start_array = sgamp_tokens_start_array;
    p->callbacks.yajl_end_array = sgamp_tokens_end;

    sgamp_tokens_scalars(p, 1);
}


static int
sgamp_tokens_null(void *ctx)
{
    return sgamp_tokens_scalar(ctx);
}


static int
sgamp_tokens_boolean(void *ctx, int value)
{
    return sgamp_tokens_scalar(ctx);
}


static int
sgamp_tokens_number(void *ctx, const char *value, size_t len)
{
    return sgamp_tokens_scalar(ctx);
}


static int
sgamp_tokens_string(void *ctx, const u_char *value, size_t len)
{
    return sgamp_tokens_scalar(ctx);
}


static int
sgamp_tokens_start_map(void *ctx)
{
    sgamp_parser_t  *p = ctx;

    p->touched = 1;

    if (p->depth != 0) {
        return sgamp_tokens_deeper(p);
    }

    if (p->state == SGAMP_PARSER_FIRST) {
        p->state = SGAMP_PARSER_SINGLE;
    }

    return sgamp_tokens_begin(p, 1);
}


static int
sgamp_tokens_start_array(void *ctx)
{
    sgamp_parser_t  *p = ctx;

    p->touched = 1;

    if (p->depth != 0) {
        return sgamp_tokens_deeper(p);
    }

    if (p->state == SGAMP_PARSER_FIRST) {
        p->state = SGAMP_PARSER_ARRAY;
        p->mark = sgamp_tokens_consumed(p);
        return 1;
    }

    return sgamp_tokens_begin(p, 0);
}


static int
sgamp_tokens_end(void *ctx)
{
    sgamp_parser_t  *p = ctx;

    uint64_t  end;

    /* the end of an object and of an array: yajl has matched the brackets */

    p->touched = 1;

    if (p->depth == 0) {
        end = sgamp_tokens_consumed(p);

        if (end - 1 - p->mark > p->max_size) {
            (void) sgamp_parser_fail(p, SGAMP_TOO_LARGE, end - 1);
            return 0;
        }

        p->state = SGAMP_PARSER_DONE;
        p->mark = end;

        return 1;
    }

    p->depth--;

    if (p->depth == 0) {
        return sgamp_tokens_element(p);
    }

    if (p->depth == 1 && p->event.object) {
        p->callbacks.yajl_map_key = sgamp_keys_note;
    }

    return 1;
}


static int
sgamp_tokens_begin(sgamp_parser_t *p, unsigned object)
{
    p->element = sgamp_tokens_consumed(p) - 1;

    if (p->element - p->mark > p->max_size) {
        (void) sgamp_parser_fail(p, SGAMP_TOO_LARGE, p->element);
        return 0;
    }

    p->mark = p->element;
    p->open = 1;
    p->depth = 1;

    p->event.seen = 0;
    p->event.nmarks = 0;
    p->event.follow = 0;
    p->event.object = object;

    /* what is not asked for costs no call, and strings are not decoded */

    sgamp_tokens_scalars(p, 0);

    p->callbacks.yajl_map_key = object ? sgamp_keys_note : NULL;

    return 1;
}


static int
sgamp_tokens_deeper(sgamp_parser_t *p)
{
    p->callbacks.yajl_map_key = NULL;

    if (p->depth == SGAMP_MAX_DEPTH) {
        (void) sgamp_parser_fail(p, SGAMP_INVALID,
                                 sgamp_tokens_consumed(p) - 1);
        return 0;
    }

    p->depth++;

    return 1;
}


static int
sgamp_tokens_scalar(sgamp_parser_t *p)
{
    /* an element that is neither an object nor an array has just ended */

    p->touched = 1;

    if (p->state != SGAMP_PARSER_ARRAY) {
        return 1;
    }

    if (!p->open) {
        p->element = sgamp_tokens_gap(p, sgamp_tokens_consumed(p));

        if (p->element - p->mark > p->max_size) {
            (void) sgamp_parser_fail(p, SGAMP_TOO_LARGE, p->element);
            return 0;
        }

        p->mark = p->element;
        p->open = 1;
    }

    p->event.seen = 0;
    p->event.object = 0;

    return sgamp_tokens_element(p);
}


uint64_t
sgamp_tokens_gap(sgamp_parser_t *p, uint64_t end)
{
    uint64_t       from;
    const u_char  *s, *last;

    from = (p->mark > p->base) ? p->mark : p->base;

    s = p->src + (from - p->base);
    last = p->src + (end - p->base);

    while (s < last && (sgamp_parser_is_space(*s) || *s == ',')) {
        s++;
    }

    return p->base + (s - p->src);
}


static int
sgamp_tokens_element(sgamp_parser_t *p)
{
    int       rc;
    uint64_t  end;

    end = sgamp_tokens_consumed(p);

    if (end - p->mark > p->max_size) {
        (void) sgamp_parser_fail(p, SGAMP_TOO_LARGE, end);
        return 0;
    }

    if (p->element >= p->base) {
        p->event.raw.data = (u_char *) p->src + (p->element - p->base);

    } else {

        if (sgamp_parser_append(p, p->src, end - p->base) != SGAMP_OK) {
            return 0;
        }

        p->event.raw.data = p->carry.data;
    }

    p->event.raw.len = end - p->element;

    if (p->keys->doubtful && p->event.object) {
        sgamp_keys_verify(p);
    }

    rc = p->handler(p->data, &p->event);

    if (rc != SGAMP_OK) {
        (void) sgamp_parser_fail(p, rc, end);
        return 0;
    }

    if (p->src != p->carry.data) {
        p->carry.len = 0;
    }

    p->open = 0;
    p->mark = end;
    p->event.seen = 0;

    if (p->state == SGAMP_PARSER_SINGLE) {
        p->state = SGAMP_PARSER_DONE;
    }

    sgamp_tokens_scalars(p, 1);

    return 1;
}


int
sgamp_tokens_misplaced(sgamp_parser_t *p, const u_char *data,
    const u_char *last, uint64_t *from, uint64_t *to)
{
    unsigned       depth, expected;
    uint64_t       objects;
    const u_char  *s, *end;

    depth = 0;
    objects = 0;
    expected = SGAMP_TOKENS_VALUE;

    for (s = data; s < last; s = end) {
        end = sgamp_tokens_skip(s, last);

        if (sgamp_parser_is_space(*s)) {
            continue;
        }

        if (*s == '\0' || strchr(sgamp_tokens_allowed[expected], *s) == NULL) {
            *from = p->element + (s - data);
            *to = p->element + (end - data);
            return 1;
        }

        switch (*s) {

        case '{':
        case '[':
            depth++;
            objects = (objects << 1) | (*s == '{');
            expected = (*s == '{') ? SGAMP_TOKENS_FIRST_KEY
                                   : SGAMP_TOKENS_FIRST_VALUE;
            continue;

        case '}':
        case ']':
            depth--;
            objects >>= 1;
            break;

        case ':':
            expected = SGAMP_TOKENS_VALUE;
            continue;

        case ',':
            expected = (objects & 1) ? SGAMP_TOKENS_KEY : SGAMP_TOKENS_VALUE;
            continue;

        default:

            if (expected == SGAMP_TOKENS_KEY
                || expected == SGAMP_TOKENS_FIRST_KEY)
            {
                expected = SGAMP_TOKENS_COLON;
                continue;
            }
        }

        if (depth == 0) {
            break;
        }

        expected = (objects & 1) ? SGAMP_TOKENS_NEXT_KEY
                                 : SGAMP_TOKENS_NEXT_VALUE;
    }

    return 0;
}


static const u_char *
sgamp_tokens_skip(const u_char *p, const u_char *last)
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
                                          : sgamp_tokens_digits(end, last);

        if (end < last && *end == '.') {
            end = sgamp_tokens_digits(end + 1, last);
        }

        if (end < last && (*end == 'e' || *end == 'E')) {
            end++;

            if (end < last && (*end == '+' || *end == '-')) {
                end++;
            }

            end = sgamp_tokens_digits(end, last);
        }
    }

    return (end < last) ? end : last;
}


static const u_char *
sgamp_tokens_digits(const u_char *p, const u_char *last)
{
    while (p < last && *p >= '0' && *p <= '9') {
        p++;
    }

    return p;
}


uint64_t
sgamp_tokens_consumed(sgamp_parser_t *p)
{
    return p->offset + yajl_get_bytes_consumed(p->yajl);
}


static void
sgamp_tokens_scalars(sgamp_parser_t *p, unsigned on)
{
    p->callbacks.yajl_null = on ? sgamp_tokens_null : NULL;
    p->callbacks.yajl_boolean = on ? sgamp_tokens_boolean : NULL;
    p->callbacks.yajl_number = on ? sgamp_tokens_number : NULL;
    p->callbacks.yajl_string = on ? sgamp_tokens_string : NULL;
}
