
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_ARENA_H_INCLUDED_
#define _SGAMP_ARENA_H_INCLUDED_


#include <yajl/yajl_parse.h>

#include "sgamp.h"


/*
 * Memory for yajl, which tests no allocation.  Blocks are taken as yajl asks
 * for them; when there is none, the request is served from the reserve, which
 * is large enough for one feed, and the arena is marked as failed.  A failed
 * arena must not see another feed.
 *
 * The reserve is shared by all arenas that are not fed at the same time, and
 * is the caller's: it starts zeroed, grows in sgamp_arena_reserve() and is
 * freed with the same sgamp_grow_t.
 */

#define SGAMP_ARENA_CLASSES  12  /* of small pieces, powers of two */


typedef struct sgamp_arena_block_s  sgamp_arena_block_t;


typedef struct {
    yajl_alloc_funcs      funcs;  /* what yajl_alloc() is given */
    sgamp_grow_t         *grow;
    sgamp_str_t          *reserve;
    sgamp_arena_block_t  *blocks;
    u_char               *pos;    /* free part of the newest small block */
    u_char               *last;
    size_t                used;   /* bytes of the reserve, in this feed */
    size_t                pending;  /* at least the bytes since a token */
    void                 *free[SGAMP_ARENA_CLASSES];
    unsigned              failed;
    unsigned              touched;  /* set by yajl's callbacks: a token */
} sgamp_arena_t;


void sgamp_arena_init(sgamp_arena_t *arena, sgamp_grow_t *grow,
    sgamp_str_t *reserve);

/*
 * A parser of yajl's that has its memory from the arena; each callback has to
 * set arena->touched.  Returns NULL if there is no memory.
 */
yajl_handle sgamp_arena_yajl(sgamp_arena_t *arena,
    const yajl_callbacks *callbacks, void *data);

/*
 * Lets yajl parse n bytes, and sets what yajl says.  SGAMP_OK or SGAMP_NOMEM,
 * after which the arena must not see another feed.
 */
int sgamp_arena_feed(sgamp_arena_t *arena, yajl_handle yajl, const u_char *p,
    size_t n, yajl_status *status);

/*
 * Makes sure that a feed of n bytes cannot run out of memory, with pending
 * bytes since the last token that yajl reported.  SGAMP_OK or SGAMP_NOMEM.
 */
int sgamp_arena_reserve(sgamp_arena_t *arena, size_t pending, size_t n);

/* frees all that yajl got: there is no need to call yajl_free() */
void sgamp_arena_done(sgamp_arena_t *arena);


#endif /* _SGAMP_ARENA_H_INCLUDED_ */
