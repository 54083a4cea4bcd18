
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_parser.h"
#include "sgamp_tokens.h"


#define SGAMP_PARSER_CARRY_SIZE  1024 /* bytes at first */

/*
 * When a token straddles two feeds, yajl reads it from its beginning again.
 * A long one is therefore not fed in portions of less than a part of it.
 */

#define SGAMP_PARSER_HOLD_SIZE   4096 /* bytes of a token */
#define SGAMP_PARSER_HOLD_PART   16   /* of its length */


static int sgamp_parser_prologue(sgamp_parser_t *p, const u_char **data,
    size_t *n);
static int sgamp_parser_parse(sgamp_parser_t *p, const u_char *data,
    size_t n);
static int sgamp_parser_trailer(sgamp_parser_t *p, const u_char *data,
    size_t n);
static int sgamp_parser_fault(sgamp_parser_t *p, size_t n);
static int sgamp_parser_misplaced(sgamp_parser_t *p, size_t n, uint64_t *at,
    uint64_t *end);
static int sgamp_parser_is_over(sgamp_parser_t *p, uint64_t end);
static int sgamp_parser_keep(sgamp_parser_t *p, uint64_t end);


int
sgamp_parser_init(sgamp_parser_t *p, const sgamp_keys_t *keys,
    size_t max_size, sgamp_event_pt handler, void *data, sgamp_grow_t *grow,
    sgamp_str_t *reserve)
{
    memset(p, 0, sizeof(sgamp_parser_t));

    p->keys = keys;
    p->grow = grow;
    p->max_size = max_size;
    p->handler = handler;
    p->data = data;

    sgamp_tokens_init(p);

    sgamp_arena_init(&p->arena, grow, reserve);

    if (sgamp_arena_reserve(&p->arena, 0, 0) != SGAMP_OK) {
        return sgamp_parser_fail(p, SGAMP_NOMEM, 0);
    }

    p->yajl = yajl_alloc(&p->callbacks, &p->arena.funcs, p);

    if (p->yajl == NULL || p->arena.failed) {
        return sgamp_parser_fail(p, SGAMP_NOMEM, 0);
    }

    (void) yajl_config(p->yajl, yajl_dont_validate_strings, 1);

    return SGAMP_OK;
}


int
sgamp_parser_feed(sgamp_parser_t *p, const u_char *data, size_t n)
{
    size_t    size;
    uint64_t  end;

    if (p->status != SGAMP_OK) {
        return p->status;
    }

    if (p->state == SGAMP_PARSER_START
        && sgamp_parser_prologue(p, &data, &n) != SGAMP_OK)
    {
        return p->status;
    }

    p->src = data;
    p->base = p->offset;

    if (p->held != 0) {

        if (sgamp_parser_append(p, data, n) != SGAMP_OK) {
            return p->status;
        }

        n += p->held;
        p->held = 0;

        p->src = p->carry.data;
        p->base = p->element;
    }

    end = p->offset + n;

    while (n != 0) {

        if (p->open && !p->last
            && p->pending >= SGAMP_PARSER_HOLD_SIZE
            && n < p->pending / SGAMP_PARSER_HOLD_PART)
        {
            p->held = n;
            break;
        }

        size = (n < SGAMP_FEED_SIZE) ? n : SGAMP_FEED_SIZE;

        if (sgamp_parser_parse(p, p->src + (p->offset - p->base), size)
            != SGAMP_OK)
        {
            return p->status;
        }

        n -= size;
    }

    return sgamp_parser_keep(p, end);
}


int
sgamp_parser_finish(sgamp_parser_t *p)
{
    p->last = 1;

    if (sgamp_parser_feed(p, (u_char *) "", 0) != SGAMP_OK) {
        return p->status;
    }

    if (p->state != SGAMP_PARSER_DONE) {
        return sgamp_parser_fail(p, SGAMP_INVALID, p->offset);
    }

    return SGAMP_OK;
}


void
sgamp_parser_done(sgamp_parser_t *p)
{
    sgamp_arena_done(&p->arena);

    if (p->carry.data != NULL) {
        p->grow->free(p->grow->data, p->carry.data);
        p->carry.data = NULL;
    }

    p->yajl = NULL;

    if (p->status == SGAMP_OK) {
        p->status = SGAMP_INVALID;
    }
}


static int
sgamp_parser_prologue(sgamp_parser_t *p, const u_char **data, size_t *n)
{
    u_char  ch;

    static const u_char bom[] = "\xef\xbb\xbf";

    for ( /* void */ ; *n != 0; (*data)++, (*n)--, p->offset++) {
        ch = **data;

        if (p->offset == p->bom && p->bom < 3 && ch == bom[p->bom]) {
            p->mark = ++p->bom;
            continue;
        }

        if (p->bom == 1 || p->bom == 2) {
            return sgamp_parser_fail(p, SGAMP_INVALID, 0);
        }

        if (ch == '[' || ch == '{') {
            p->state = SGAMP_PARSER_FIRST;
            return SGAMP_OK;
        }

        if (!sgamp_parser_is_space(ch)) {
            return sgamp_parser_fail(p, SGAMP_INVALID, p->offset);
        }

        if (p->offset + 1 - p->mark > p->max_size) {
            return sgamp_parser_fail(p, SGAMP_TOO_LARGE, p->offset);
        }
    }

    return SGAMP_OK;
}


static int
sgamp_parser_parse(sgamp_parser_t *p, const u_char *data, size_t n)
{
    size_t         size;
    yajl_status    rc;
    const u_char  *bad;

    /* yajl takes these two for white space */

    size = n;

    bad = memchr(data, '\v', size);

    if (bad != NULL) {
        size = bad - data;
    }

    bad = memchr(data, '\f', size);

    if (bad != NULL) {
        size = bad - data;
    }

    if (sgamp_arena_reserve(&p->arena, p->pending, size) != SGAMP_OK) {
        return sgamp_parser_fail(p, SGAMP_NOMEM, p->offset);
    }

    p->touched = 0;

    rc = yajl_parse(p->yajl, data, size);

    if (p->arena.failed) {
        return sgamp_parser_fail(p, SGAMP_NOMEM, p->offset);
    }

    if (p->status != SGAMP_OK) {
        return p->status;
    }

    if (p->state == SGAMP_PARSER_DONE) {

        if (sgamp_parser_trailer(p, data, size) != SGAMP_OK) {
            return p->status;
        }

    } else if (rc != yajl_status_ok) {
        return sgamp_parser_fault(p, size);
    }

    p->offset += size;
    p->pending = p->touched ? size : p->pending + size;

    if (sgamp_parser_is_over(p, p->offset)) {
        return sgamp_parser_fail(p, SGAMP_TOO_LARGE, p->offset);
    }

    if (size < n) {
        return sgamp_parser_fail(p, SGAMP_INVALID, p->offset);
    }

    return SGAMP_OK;
}


static int
sgamp_parser_trailer(sgamp_parser_t *p, const u_char *data, size_t n)
{
    int       rc;
    size_t    i;
    uint64_t  at;

    /* of what follows the end, yajl sees whole tokens only */

    i = (p->mark > p->offset) ? p->mark - p->offset : 0;

    while (i < n && sgamp_parser_is_space(data[i])) {
        i++;
    }

    if (i == n) {
        return SGAMP_OK;
    }

    at = p->offset + i;
    rc = (at - p->mark > p->max_size) ? SGAMP_TOO_LARGE : SGAMP_INVALID;

    return sgamp_parser_fail(p, rc, at);
}


static int
sgamp_parser_fault(sgamp_parser_t *p, size_t n)
{
    int          rc;
    u_char      *text;
    uint64_t     at, end;
    const char  *message;

    static const char lexical[] = "lexical error: ";
    static const char unknown[] = "invalid char in json text";

    if (sgamp_arena_reserve(&p->arena, p->pending, n) != SGAMP_OK) {
        return sgamp_parser_fail(p, SGAMP_NOMEM, p->offset);
    }

    text = yajl_get_error(p->yajl, 0, NULL, 0);

    if (text == NULL || p->arena.failed) {
        return sgamp_parser_fail(p, SGAMP_NOMEM, p->offset);
    }

    /*
     * yajl has stopped at the fault or, when a byte begins no token, just
     * after it, but anywhere when a whole token is out of place; only its
     * message tells which
     */

    message = (const char *) text;

    end = sgamp_tokens_consumed(p);
    at = end;

    if (strncmp(message, lexical, sizeof(lexical) - 1) != 0) {

        if (sgamp_parser_misplaced(p, n, &at, &end) != SGAMP_OK) {
            return p->status;
        }

    } else if (strstr(message, unknown) != NULL) {
        at--;
    }

    rc = sgamp_parser_is_over(p, end) ? SGAMP_TOO_LARGE : SGAMP_INVALID;

    return sgamp_parser_fail(p, rc, at);
}


static int
sgamp_parser_misplaced(sgamp_parser_t *p, size_t n, uint64_t *at,
    uint64_t *end)
{
    size_t         size;
    const u_char  *data;

    if (p->depth == 0) {

        /* between two elements; a second comma is taken for a gap */

        *at = p->open ? p->element : sgamp_tokens_gap(p, *end);

        if (*at == *end) {
            (*at)--;
        }

        return SGAMP_OK;
    }

    size = p->offset + n - p->element;

    if (p->element >= p->base) {
        data = p->src + (p->element - p->base);

    } else {

        if (sgamp_parser_append(p, p->src, p->offset + n - p->base)
            != SGAMP_OK)
        {
            return p->status;
        }

        data = p->carry.data;
    }

    (void) sgamp_tokens_misplaced(p, data, data + size, at, end);

    return SGAMP_OK;
}


static int
sgamp_parser_is_over(sgamp_parser_t *p, uint64_t end)
{
    uint64_t  from;

    /* the gap before an element does not count as a part of the element */

    if (!p->open && p->state == SGAMP_PARSER_ARRAY) {
        from = sgamp_tokens_gap(p, end);

        if (from - p->mark > p->max_size) {
            return 1;
        }

        if (from < end) {
            p->element = from;
            p->mark = from;
            p->open = 1;
        }
    }

    return end - p->mark > p->max_size;
}


static int
sgamp_parser_keep(sgamp_parser_t *p, uint64_t end)
{
    uint64_t  from;

    /* keeps the beginning of an element whose end has not come */

    if (!p->open) {
        p->carry.len = 0;
        return SGAMP_OK;
    }

    if (p->src == p->carry.data) {
        p->carry.len = end - p->element;

        if (p->element != p->base) {
            memmove(p->carry.data, p->carry.data + (p->element - p->base),
                    p->carry.len);
        }

        return SGAMP_OK;
    }

    from = (p->element > p->base) ? p->element : p->base;

    return sgamp_parser_append(p, p->src + (from - p->base), end - from);
}


int
sgamp_parser_append(sgamp_parser_t *p, const u_char *data, size_t n)
{
    size_t   size;
    u_char  *carry;

    if (n > p->carry_size - p->carry.len) {
        size = p->carry_size ? p->carry_size : SGAMP_PARSER_CARRY_SIZE;

        /* what is long is the most of what a webhook holds */

        while (size < p->carry.len + n) {
            size += (size < SGAMP_FEED_SIZE) ? size : size / 4;
        }

        carry = p->grow->alloc(p->grow->data, size);
        if (carry == NULL) {
            return sgamp_parser_fail(p, SGAMP_NOMEM, p->offset);
        }

        if (p->carry.data != NULL) {
            memcpy(carry, p->carry.data, p->carry.len);
            p->grow->free(p->grow->data, p->carry.data);
        }

        p->carry.data = carry;
        p->carry_size = size;
    }

    memcpy(p->carry.data + p->carry.len, data, n);
    p->carry.len += n;

    return SGAMP_OK;
}


int
sgamp_parser_fail(sgamp_parser_t *p, int status, uint64_t at)
{
    p->status = status;
    p->at = at;

    return status;
}
