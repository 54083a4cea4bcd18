
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_fault.h"
#include "sgamp_json.h"
#include "sgamp_parser.h"


#define SGAMP_PARSER_CARRY_SIZE  1024 /* bytes at first */

/*
 * yajl reads a token that straddles two feeds from its beginning again.  A
 * long token is therefore fed in portions of at least a part of its length.
 */

#define SGAMP_PARSER_DEFER_SIZE   4096 /* bytes of a token */
#define SGAMP_PARSER_DEFER_SHARE  16   /* of its length */


static void sgamp_parser_scalars(sgamp_parser_t *p, unsigned on);
static int sgamp_parser_prologue(sgamp_parser_t *p, const u_char **data,
    size_t *n);
static int sgamp_parser_parse(sgamp_parser_t *p, const u_char *data, size_t n);
static int sgamp_parser_trailer(sgamp_parser_t *p, const u_char *data,
    size_t n);
static int sgamp_parser_fault(sgamp_parser_t *p, size_t n);
static int sgamp_parser_misplaced(sgamp_parser_t *p, size_t n, uint64_t *at,
    uint64_t *end);
static int sgamp_parser_is_over(sgamp_parser_t *p, uint64_t end);
static int sgamp_parser_keep(sgamp_parser_t *p, uint64_t end);
static int sgamp_parser_append(sgamp_parser_t *p, const u_char *data,
    size_t n);
static int sgamp_parser_boolean(void *ctx, int value);
static int sgamp_parser_number(void *ctx, const char *value, size_t len);
static int sgamp_parser_string(void *ctx, const u_char *value, size_t len);
static int sgamp_parser_start_map(void *ctx);
static int sgamp_parser_start_array(void *ctx);
static int sgamp_parser_key(void *ctx, const u_char *key, size_t len);
static int sgamp_parser_other_key(sgamp_parser_t *p, const u_char *key,
    size_t len) __attribute__((noinline));
static int sgamp_parser_root_key(void *ctx, const u_char *key, size_t len);
static int sgamp_parser_end(void *ctx);
static int sgamp_parser_array(sgamp_parser_t *p);
static int sgamp_parser_begin(sgamp_parser_t *p, unsigned object);
static int sgamp_parser_deeper(sgamp_parser_t *p);
static int sgamp_parser_scalar(void *ctx);
static int sgamp_parser_element(sgamp_parser_t *p);
static void sgamp_parser_gap_from(sgamp_parser_t *p, uint64_t from,
    u_char separates);
static uint64_t sgamp_parser_gap(sgamp_parser_t *p, uint64_t end);
static uint64_t sgamp_parser_consumed(sgamp_parser_t *p);
static int sgamp_parser_fail(sgamp_parser_t *p, int status, uint64_t at);


int
sgamp_parser_init(sgamp_parser_t *p, const sgamp_names_t *names,
    size_t max_size, sgamp_element_pt handler, void *data, sgamp_grow_t *grow,
    sgamp_str_t *reserve)
{
    sgamp_zero(p, sgamp_parser_t, callbacks, current);
    sgamp_element_begin(&p->current, 0);

    p->names = names;
    p->grow = grow;
    p->max_size = max_size;
    p->handler = handler;
    p->data = data;

    p->callbacks.yajl_start_map = sgamp_parser_start_map;
    p->callbacks.yajl_end_map = sgamp_parser_end;
    p->callbacks.yajl_start_array = sgamp_parser_start_array;
    p->callbacks.yajl_end_array = sgamp_parser_end;

    sgamp_parser_scalars(p, 1);

    sgamp_arena_init(&p->arena, grow, reserve);

    p->yajl = sgamp_arena_yajl(&p->arena, &p->callbacks, p);

    if (p->yajl == NULL) {
        return sgamp_parser_fail(p, SGAMP_NOMEM, 0);
    }

    return SGAMP_OK;
}


static void
sgamp_parser_scalars(sgamp_parser_t *p, unsigned on)
{
    p->callbacks.yajl_null = on ? sgamp_parser_scalar : NULL;
    p->callbacks.yajl_boolean = on ? sgamp_parser_boolean : NULL;
    p->callbacks.yajl_number = on ? sgamp_parser_number : NULL;
    p->callbacks.yajl_string = on ? sgamp_parser_string : NULL;
}


void
sgamp_parser_root(sgamp_parser_t *p, const sgamp_str_t *arrays,
    unsigned narrays, sgamp_root_pt handler)
{
    p->arrays = arrays;
    p->narrays = narrays;
    p->root = handler;
    p->name.data = p->text;
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

    if (p->deferred != 0) {

        if (sgamp_parser_append(p, data, n) != SGAMP_OK) {
            return p->status;
        }

        n += p->deferred;
        p->deferred = 0;

        p->src = p->carry.data;
        p->base = p->element;
    }

    end = p->offset + n;

    while (n != 0) {

        if (p->open && !p->last
            && p->arena.pending >= SGAMP_PARSER_DEFER_SIZE
            && n < p->arena.pending / SGAMP_PARSER_DEFER_SHARE)
        {
            p->deferred = n;
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

    if (p->state != SGAMP_PARSER_END) {
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
            p->from = ++p->bom;
            continue;
        }

        if (p->bom == 1 || p->bom == 2) {
            return sgamp_parser_fail(p, SGAMP_INVALID, 0);
        }

        if (ch == '[' || ch == '{') {
            p->state = SGAMP_PARSER_FIRST;
            return SGAMP_OK;
        }

        if (!sgamp_json_is_space(ch)) {
            return sgamp_parser_fail(p, SGAMP_INVALID, p->offset);
        }

        if (p->offset + 1 - p->from > p->max_size) {
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

    /* yajl takes a vertical tab and a form feed for white space */

    size = n;

    bad = memchr(data, '\v', size);

    if (bad != NULL) {
        size = bad - data;
    }

    bad = memchr(data, '\f', size);

    if (bad != NULL) {
        size = bad - data;
    }

    p->portion.data = (u_char *) data;
    p->portion.len = size;

    if (sgamp_arena_feed(&p->arena, p->yajl, data, size, &rc) != SGAMP_OK) {
        return sgamp_parser_fail(p, SGAMP_NOMEM, p->offset);
    }

    if (p->status != SGAMP_OK) {
        return p->status;
    }

    if (p->state == SGAMP_PARSER_END) {

        if (sgamp_parser_trailer(p, data, size) != SGAMP_OK) {
            return p->status;
        }

    } else if (rc != yajl_status_ok) {
        return sgamp_parser_fault(p, size);
    }

    p->offset += size;

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

    /* yajl reports only whole tokens of the text behind the end */

    i = (p->from > p->offset) ? p->from - p->offset : 0;

    while (i < n && sgamp_json_is_space(data[i])) {
        i++;
    }

    if (i == n) {
        return SGAMP_OK;
    }

    at = p->offset + i;
    rc = (at - p->from > p->max_size) ? SGAMP_TOO_LARGE : SGAMP_INVALID;

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

    if (sgamp_arena_reserve(&p->arena, p->arena.pending, n) != SGAMP_OK) {
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

    end = sgamp_parser_consumed(p);
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
    size_t         size, first, next;
    const u_char  *data;

    if (p->depth == 0 && p->state == SGAMP_PARSER_OBJECT) {

        /* between a name and a value; what yajl has consumed is of no use */

        if (!p->open) {
            p->element = sgamp_parser_gap(p, p->offset + n);
        }

    } else if (p->depth == 0) {

        /* between two elements; a second comma is taken for a gap */

        *at = p->open ? p->element : sgamp_parser_gap(p, *end);

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

    if (p->depth == 0) {
        *at = p->element;
        *end = p->element + sgamp_fault_token(data, data + size);

    } else if (sgamp_fault_find(data, data + size, &first, &next)) {
        *at = p->element + first;
        *end = p->element + next;
    }

    return SGAMP_OK;
}


static int
sgamp_parser_is_over(sgamp_parser_t *p, uint64_t end)
{
    uint64_t  from;

    /* the gap before an element does not count as a part of the element */

    if (!p->open
        && (p->state == SGAMP_PARSER_ARRAY || p->state == SGAMP_PARSER_OBJECT))
    {
        from = sgamp_parser_gap(p, end);

        if (from - p->from > p->max_size) {
            return 1;
        }

        if (from < end) {
            p->element = from;
            p->from = from;
            p->open = 1;
        }
    }

    return end - p->from > p->max_size;
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


static int
sgamp_parser_append(sgamp_parser_t *p, const u_char *data, size_t n)
{
    size_t   size;
    u_char  *carry;

    if (n > p->carry_size - p->carry.len) {
        size = p->carry_size ? p->carry_size : SGAMP_PARSER_CARRY_SIZE;

        /* a long element, most of the memory, grows by a quarter */

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


static int
sgamp_parser_boolean(void *ctx, int value)
{
    return sgamp_parser_scalar(ctx);
}


static int
sgamp_parser_number(void *ctx, const char *value, size_t len)
{
    return sgamp_parser_scalar(ctx);
}


static int
sgamp_parser_string(void *ctx, const u_char *value, size_t len)
{
    return sgamp_parser_scalar(ctx);
}


static int
sgamp_parser_start_map(void *ctx)
{
    sgamp_parser_t  *p = ctx;

    p->arena.touched = 1;

    if (p->depth != 0) {
        return sgamp_parser_deeper(p);
    }

    if (p->state == SGAMP_PARSER_FIRST) {

        if (p->root != NULL) {
            p->state = SGAMP_PARSER_OBJECT;
            sgamp_parser_gap_from(p, sgamp_parser_consumed(p), 0);
            p->callbacks.yajl_map_key = sgamp_parser_root_key;
            return 1;
        }

        p->state = SGAMP_PARSER_SINGLE;
    }

    return sgamp_parser_begin(p, 1);
}


static int
sgamp_parser_start_array(void *ctx)
{
    sgamp_parser_t  *p = ctx;

    p->arena.touched = 1;

    if (p->depth != 0) {
        return sgamp_parser_deeper(p);
    }

    if (p->state == SGAMP_PARSER_FIRST) {
        p->state = SGAMP_PARSER_ARRAY;
        p->from = sgamp_parser_consumed(p);
        return 1;
    }

    return (p->state == SGAMP_PARSER_OBJECT) ? sgamp_parser_array(p)
                                             : sgamp_parser_begin(p, 0);
}


static int
sgamp_parser_array(sgamp_parser_t *p)
{
    int          rc;
    unsigned     i;
    sgamp_str_t  none;

    /* an array in the root object: of elements, or the value of a member */

    for (i = 0; i < p->narrays; i++) {
        if (sgamp_same(&p->arrays[i], p->name.data, p->name.len)) {
            break;
        }
    }

    if (i == p->narrays) {
        return sgamp_parser_begin(p, 0);
    }

    p->state = SGAMP_PARSER_ARRAY;
    p->nested = 1;
    p->open = 0;
    p->from = sgamp_parser_consumed(p);

    none.len = 0;
    none.data = NULL;

    rc = p->root(p->data, &p->name, &none);

    if (rc != SGAMP_OK) {
        (void) sgamp_parser_fail(p, rc, p->from);
        return 0;
    }

    return 1;
}


static int
sgamp_parser_key(void *ctx, const u_char *key, size_t len)
{
    sgamp_parser_t  *p = ctx;

    unsigned             head;
    uintptr_t            at;
    const sgamp_name_t  *name;

    p->arena.touched = 1;

    /* most keys have no name; most others are the first of their slot */

    head = sgamp_names_head(p->names, key, len);

    if (head == 0 && p->current.treat == 0) {
        return 1;
    }

    name = (head != 0) ? &p->names->names[head - 1] : NULL;
    at = (uintptr_t) key - (uintptr_t) p->portion.data;

    if (name != NULL && !sgamp_same_brief(&name->text, key, len)) {

        if (!name->alone) {
            return sgamp_parser_other_key(p, key, len);
        }

        if (p->current.treat == 0) {
            return 1;
        }

        name = NULL;
    }

    if (at >= p->portion.len) {
        return sgamp_parser_other_key(p, key, len);
    }

    sgamp_element_key(&p->current, name, len,
                      p->offset + at + len + 1 - p->element);

    return 1;
}


static int
sgamp_parser_other_key(sgamp_parser_t *p, const u_char *key, size_t len)
{
    const sgamp_name_t  *name;

    name = sgamp_names_lookup(p->names, key, len);

    if (name == NULL && p->current.treat == 0) {
        return 1;
    }

    /* a key that yajl has copied, or decoded, is a hit: it has to be checked */

    if ((uintptr_t) key - (uintptr_t) p->portion.data >= p->portion.len) {
        p->current.unsure = 1;
        p->current.treat = ~p->current.treat;
    }

    sgamp_element_key(&p->current, name, len,
                      sgamp_parser_consumed(p) - p->element);

    return 1;
}


static int
sgamp_parser_root_key(void *ctx, const u_char *key, size_t len)
{
    sgamp_parser_t  *p = ctx;

    uint64_t  end;

    p->arena.touched = 1;

    end = sgamp_parser_consumed(p);

    if (!p->open) {
        p->element = sgamp_parser_gap(p, end);

        if (p->element - p->from > p->max_size) {
            (void) sgamp_parser_fail(p, SGAMP_TOO_LARGE, p->element);
            return 0;
        }

        p->from = p->element;
    }

    if (end - p->from > p->max_size) {
        (void) sgamp_parser_fail(p, SGAMP_TOO_LARGE, end);
        return 0;
    }

    /* a name that is cut here is longer than all names that are looked for */

    p->name.len = len;
    memcpy(p->text, key, (len < SGAMP_MAX_MEMBER) ? len : SGAMP_MAX_MEMBER);

    if (p->src != p->carry.data) {
        p->carry.len = 0;
    }

    p->open = 0;
    sgamp_parser_gap_from(p, end, ':');

    return 1;
}


static int
sgamp_parser_end(void *ctx)
{
    sgamp_parser_t  *p = ctx;

    uint64_t  end;

    /* the end of an object and of an array: yajl has matched the brackets */

    p->arena.touched = 1;

    if (p->depth == 0) {
        end = sgamp_parser_consumed(p);

        if (end - 1 - p->from > p->max_size) {
            (void) sgamp_parser_fail(p, SGAMP_TOO_LARGE, end - 1);
            return 0;
        }

        p->state = SGAMP_PARSER_END;
        sgamp_parser_gap_from(p, end, ',');

        if (p->nested) {
            p->state = SGAMP_PARSER_OBJECT;
            p->nested = 0;
            p->callbacks.yajl_map_key = sgamp_parser_root_key;
        }

        return 1;
    }

    p->depth--;

    if (p->depth == 0) {
        return sgamp_parser_element(p);
    }

    if (p->depth == 1 && p->current.object) {
        p->callbacks.yajl_map_key = sgamp_parser_key;
    }

    return 1;
}


static int
sgamp_parser_begin(sgamp_parser_t *p, unsigned object)
{
    p->element = sgamp_parser_consumed(p) - 1;

    if (p->element - p->from > p->max_size) {
        (void) sgamp_parser_fail(p, SGAMP_TOO_LARGE, p->element);
        return 0;
    }

    p->from = p->element;
    p->open = 1;
    p->depth = 1;

    sgamp_element_begin(&p->current,
                        object && p->state != SGAMP_PARSER_OBJECT);

    /* callbacks that nobody needs are off: yajl decodes no strings for them */

    sgamp_parser_scalars(p, 0);

    p->callbacks.yajl_map_key = p->current.object ? sgamp_parser_key : NULL;

    return 1;
}


static int
sgamp_parser_deeper(sgamp_parser_t *p)
{
    p->callbacks.yajl_map_key = NULL;

    if (p->depth == SGAMP_MAX_DEPTH) {
        (void) sgamp_parser_fail(p, SGAMP_INVALID,
                                 sgamp_parser_consumed(p) - 1);
        return 0;
    }

    p->depth++;

    return 1;
}


static int
sgamp_parser_scalar(void *ctx)
{
    sgamp_parser_t  *p = ctx;

    /* an element that is neither an object nor an array has just ended */

    p->arena.touched = 1;

    if (p->state != SGAMP_PARSER_ARRAY && p->state != SGAMP_PARSER_OBJECT) {
        return 1;
    }

    if (!p->open) {
        p->element = sgamp_parser_gap(p, sgamp_parser_consumed(p));

        if (p->element - p->from > p->max_size) {
            (void) sgamp_parser_fail(p, SGAMP_TOO_LARGE, p->element);
            return 0;
        }

        p->from = p->element;
        p->open = 1;
    }

    sgamp_element_begin(&p->current, 0);

    return sgamp_parser_element(p);
}


static int
sgamp_parser_element(sgamp_parser_t *p)
{
    int       rc;
    uint64_t  end;

    end = sgamp_parser_consumed(p);

    if (end - p->from > p->max_size) {
        (void) sgamp_parser_fail(p, SGAMP_TOO_LARGE, end);
        return 0;
    }

    if (p->element >= p->base) {
        p->current.raw.data = (u_char *) p->src + (p->element - p->base);

    } else {

        if (sgamp_parser_append(p, p->src, end - p->base) != SGAMP_OK) {
            return 0;
        }

        p->current.raw.data = p->carry.data;
    }

    p->current.raw.len = end - p->element;

    if (p->names->doubtful && p->current.object) {
        p->current.seen = sgamp_names_keys(p->names, &p->current.raw,
                                         p->current.ends);
    }

    if (p->state == SGAMP_PARSER_OBJECT) {
        rc = SGAMP_OK;

        if (p->name.len <= SGAMP_MAX_MEMBER) {
            rc = p->root(p->data, &p->name, &p->current.raw);
        }

        p->callbacks.yajl_map_key = sgamp_parser_root_key;

    } else {
        rc = p->handler(p->data, &p->current);
    }

    if (rc != SGAMP_OK) {
        (void) sgamp_parser_fail(p, rc, end);
        return 0;
    }

    if (p->src != p->carry.data) {
        p->carry.len = 0;
    }

    p->open = 0;
    sgamp_parser_gap_from(p, end, ',');

    if (p->state == SGAMP_PARSER_SINGLE) {
        p->state = SGAMP_PARSER_END;
    }

    sgamp_parser_scalars(p, 1);

    return 1;
}


static void
sgamp_parser_gap_from(sgamp_parser_t *p, uint64_t from, u_char separates)
{
    /* a gap in a root object has one separator at most */

    p->from = from;
    p->separator = 0;
    p->separates = separates;
}


static uint64_t
sgamp_parser_gap(sgamp_parser_t *p, uint64_t end)
{
    uint64_t       from;
    const u_char  *s, *last;

    from = (p->from > p->base) ? p->from : p->base;

    s = p->src + (from - p->base);
    last = p->src + (end - p->base);

    for ( /* void */ ; s < last; s++) {

        if (sgamp_json_is_space(*s)) {
            continue;
        }

        if (p->state != SGAMP_PARSER_OBJECT) {

            if (*s == ',') {
                continue;
            }

            break;
        }

        from = p->base + (s - p->src);

        if (*s != p->separates
            || (p->separator != 0 && p->separator != from))
        {
            break;
        }

        p->separator = from;
    }

    return p->base + (s - p->src);
}


static uint64_t
sgamp_parser_consumed(sgamp_parser_t *p)
{
    return p->offset + yajl_get_bytes_consumed(p->yajl);
}


static int
sgamp_parser_fail(sgamp_parser_t *p, int status, uint64_t at)
{
    p->status = status;
    p->at = at;

    return status;
}
