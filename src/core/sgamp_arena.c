
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_arena.h"


#define SGAMP_ARENA_BLOCK_SIZE  8192 /* bytes, holds a whole idle parser */
#define SGAMP_ARENA_MIN_SHIFT   5    /* the smallest class, 32 bytes */
#define SGAMP_ARENA_SMALL       4096 /* bytes; larger ones have own blocks */


struct sgamp_arena_block_s {
    sgamp_arena_block_t  *next;
    size_t                size;  /* keeps what follows aligned */
};


/* precedes every piece of memory that yajl gets */

typedef struct {
    size_t  shift;
    size_t  unused;
} sgamp_arena_head_t;


static void *sgamp_arena_malloc(void *data, size_t size);
static void *sgamp_arena_realloc(void *data, void *p, size_t size);
static void sgamp_arena_free(void *data, void *p);
static u_char *sgamp_arena_take(sgamp_arena_t *arena, size_t size);
static u_char *sgamp_arena_block(sgamp_arena_t *arena, size_t size);
static void sgamp_arena_return(sgamp_arena_t *arena, const void *piece);


void
sgamp_arena_init(sgamp_arena_t *arena, sgamp_grow_t *grow,
    sgamp_str_t *reserve)
{
    memset(arena, 0, sizeof(sgamp_arena_t));

    arena->funcs.malloc = sgamp_arena_malloc;
    arena->funcs.realloc = sgamp_arena_realloc;
    arena->funcs.free = sgamp_arena_free;
    arena->funcs.ctx = arena;
    arena->grow = grow;
    arena->reserve = reserve;
}


yajl_handle
sgamp_arena_yajl(sgamp_arena_t *arena, const yajl_callbacks *callbacks,
    void *data)
{
    yajl_handle  yajl;

    if (sgamp_arena_reserve(arena, 0, 0) != SGAMP_OK) {
        return NULL;
    }

    yajl = yajl_alloc(callbacks, &arena->funcs, data);

    if (yajl == NULL || arena->failed) {
        return NULL;
    }

    /* malformed UTF-8 is repaired where text is copied */

    (void) yajl_config(yajl, yajl_dont_validate_strings, 1);

    return yajl;
}


int
sgamp_arena_feed(sgamp_arena_t *arena, yajl_handle yajl, const u_char *p,
    size_t n, yajl_status *status)
{
    if (sgamp_arena_reserve(arena, arena->pending, n) != SGAMP_OK) {
        return SGAMP_NOMEM;
    }

    arena->touched = 0;

    *status = yajl_parse(yajl, p, n);

    arena->pending = arena->touched ? n : arena->pending + n;

    return arena->failed ? SGAMP_NOMEM : SGAMP_OK;
}


int
sgamp_arena_reserve(sgamp_arena_t *arena, size_t pending, size_t n)
{
    size_t   size;
    u_char  *p;

    arena->used = 0;

    /*
     * two buffers that double up to the length of a token, each of which is
     * never reused here, the stack of states, the parser itself and the heads
     */

    size = 8 * (pending + n) + 4 * SGAMP_MAX_DEPTH + 12 * 1024;

    if (arena->reserve->len >= size) {
        return SGAMP_OK;
    }

    /*
     * an eighth more, so that feeds of a few bytes seldom make the reserve
     * grow
     */

    size += size / 8;

    p = arena->grow->alloc(arena->grow->data, size);
    if (p == NULL) {
        return SGAMP_NOMEM;
    }

    if (arena->reserve->data != NULL) {
        arena->grow->free(arena->grow->data, arena->reserve->data);
    }

    arena->reserve->data = p;
    arena->reserve->len = size;

    return SGAMP_OK;
}


static void *
sgamp_arena_malloc(void *data, size_t size)
{
    sgamp_arena_t  *arena = data;

    void                *p;
    size_t               shift;
    sgamp_arena_head_t  *head;

    shift = SGAMP_ARENA_MIN_SHIFT;

    while (((size_t) 1 << shift) < size) {
        shift++;
    }

    p = (shift < SGAMP_ARENA_CLASSES) ? arena->free[shift] : NULL;

    if (p != NULL) {
        memcpy(&arena->free[shift], p, sizeof(void *));
        return p;
    }

    head = (void *) sgamp_arena_take(arena, sizeof(sgamp_arena_head_t)
                                            + ((size_t) 1 << shift));
    if (head == NULL) {
        return NULL;
    }

    head->shift = shift;

    return head + 1;
}


static void *
sgamp_arena_realloc(void *data, void *p, size_t size)
{
    void   *new;
    size_t  old;

    if (p == NULL) {
        return sgamp_arena_malloc(data, size);
    }

    old = (size_t) 1 << ((sgamp_arena_head_t *) p - 1)->shift;

    if (size <= old) {
        return p;
    }

    new = sgamp_arena_malloc(data, size);
    if (new == NULL) {
        return NULL;
    }

    memcpy(new, p, old);
    sgamp_arena_free(data, p);

    return new;
}


static void
sgamp_arena_free(void *data, void *p)
{
    sgamp_arena_t  *arena = data;

    size_t  shift;

    if (p == NULL) {
        return;
    }

    shift = ((sgamp_arena_head_t *) p - 1)->shift;

    if (sizeof(sgamp_arena_head_t) + ((size_t) 1 << shift)
        > SGAMP_ARENA_SMALL)
    {
        sgamp_arena_return(arena, (sgamp_arena_head_t *) p - 1);
        return;
    }

    memcpy(p, &arena->free[shift], sizeof(void *));
    arena->free[shift] = p;
}


static u_char *
sgamp_arena_take(sgamp_arena_t *arena, size_t size)
{
    u_char  *p;

    if (!arena->failed) {

        if (size <= (size_t) (arena->last - arena->pos)) {
            p = arena->pos;
            arena->pos += size;
            return p;
        }

        p = sgamp_arena_block(arena, size);
        if (p != NULL) {
            return p;
        }

        arena->failed = 1;
    }

    if (size > arena->reserve->len - arena->used) {
        return NULL;
    }

    p = arena->reserve->data + arena->used;
    arena->used += size;

    return p;
}


static u_char *
sgamp_arena_block(sgamp_arena_t *arena, size_t size)
{
    u_char               *p;
    size_t                total;
    sgamp_arena_block_t  *block;

    total = (size <= SGAMP_ARENA_SMALL) ? SGAMP_ARENA_BLOCK_SIZE : size;

    block = arena->grow->alloc(arena->grow->data,
                               sizeof(sgamp_arena_block_t) + total);
    if (block == NULL) {
        return NULL;
    }

    block->next = arena->blocks;
    block->size = total;
    arena->blocks = block;

    p = (u_char *) (block + 1);

    if (total > size) {
        arena->pos = p + size;
        arena->last = p + total;
    }

    return p;
}


static void
sgamp_arena_return(sgamp_arena_t *arena, const void *piece)
{
    sgamp_arena_block_t  *block, **p;

    /* frees a buffer that yajl has outgrown, unless it is in the reserve */

    for (p = &arena->blocks; *p != NULL; p = &block->next) {
        block = *p;

        if ((const void *) (block + 1) == piece) {
            *p = block->next;
            arena->grow->free(arena->grow->data, block);
            return;
        }
    }
}


void
sgamp_arena_done(sgamp_arena_t *arena)
{
    sgamp_arena_block_t  *block, *next;

    for (block = arena->blocks; block != NULL; block = next) {
        next = block->next;
        arena->grow->free(arena->grow->data, block);
    }

    arena->blocks = NULL;
    arena->pos = NULL;
    arena->last = NULL;

    memset(arena->free, 0, sizeof(arena->free));
}
