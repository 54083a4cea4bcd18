
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_arena.h"
#include "sgamp_test.h"


#define SGAMP_TEST_ROUNDS  3000
#define SGAMP_TEST_BLOCKS  64
#define SGAMP_TEST_LARGE   2048
#define SGAMP_TEST_ALIGN   (2 * sizeof(void *))


typedef struct {
    u_char  *data;
    size_t   size;
    u_char   byte;
} sgamp_test_block_t;


static void sgamp_test_blocks(void);
static unsigned sgamp_test_block(sgamp_arena_t *arena,
    sgamp_test_block_t *block, sgamp_test_random_t *random, size_t max);
static void sgamp_test_classes(void);
static void sgamp_test_reserve(void);
static void sgamp_test_reserve_fails(void);
static void sgamp_test_failed(void);
static void sgamp_test_release(sgamp_test_heap_t *heap, sgamp_str_t *reserve);


int
main(void)
{
    sgamp_test_blocks();
    sgamp_test_classes();
    sgamp_test_reserve();
    sgamp_test_reserve_fails();
    sgamp_test_failed();

    return tap_done();
}


static void
sgamp_test_blocks(void)
{
    size_t               i, n;
    unsigned             bad;
    sgamp_str_t          reserve;
    sgamp_arena_t        arena, before;
    sgamp_test_heap_t    heap;
    sgamp_test_block_t   blocks[SGAMP_TEST_BLOCKS];
    sgamp_test_random_t  random;

    /* blocks of any size keep their bytes, whatever happens to others */

    memset(blocks, 0, sizeof(blocks));
    memset(&reserve, 0, sizeof(sgamp_str_t));

    sgamp_test_heap_init(&heap);
    sgamp_test_poison(&arena, sizeof(sgamp_arena_t));
    sgamp_arena_init(&arena, &heap.grow, &reserve);

    random.state = 6;
    bad = 0;

    for (i = 0; i < SGAMP_TEST_ROUNDS; i++) {
        n = sgamp_test_random(&random, SGAMP_TEST_BLOCKS);
        bad += sgamp_test_block(&arena, &blocks[n], &random, 1 << 14);
    }

    tap_is(bad, 0, "blocks are aligned and keep their bytes");
    tap_is(arena.failed, 0, "there was memory");

    before = arena;
    arena.funcs.free(arena.funcs.ctx, NULL);
    tap_bytes(&arena, sizeof(sgamp_arena_t), &before, sizeof(sgamp_arena_t),
              "to free nothing changes nothing");

    sgamp_arena_done(&arena);

    tap_is(heap.live, 0, "all is given back at once");
}


static unsigned
sgamp_test_block(sgamp_arena_t *arena, sgamp_test_block_t *block,
    sgamp_test_random_t *random, size_t max)
{
    size_t             i, size;
    u_char            *data;
    unsigned           bad;
    yajl_alloc_funcs  *f;

    f = &arena->funcs;
    bad = 0;

    for (i = 0; i < block->size; i++) {
        bad += block->data[i] != block->byte;
    }

    if (block->data != NULL && sgamp_test_random(random, 3) == 0) {
        f->free(f->ctx, block->data);
        block->data = NULL;
        block->size = 0;
        return bad;
    }

    size = 1 + sgamp_test_random(random, max);

    data = f->realloc(f->ctx, block->data, size);
    if (data == NULL) {
        return bad + 1;
    }

    bad += (uintptr_t) data % SGAMP_TEST_ALIGN != 0;

    for (i = 0; i < block->size && i < size; i++) {
        bad += data[i] != block->byte;
    }

    block->data = data;
    block->size = size;
    block->byte = (u_char) sgamp_test_random(random, 256);

    memset(data, block->byte, size);

    return bad;
}


static void
sgamp_test_classes(void)
{
    void               *p, *again;
    size_t              size, calls, live, bytes;
    unsigned            bad, large;
    sgamp_str_t         reserve;
    sgamp_arena_t       arena;
    sgamp_test_heap_t   heap;

    /* what was freed is used again, or is given back if it is large */

    memset(&reserve, 0, sizeof(sgamp_str_t));

    sgamp_test_heap_init(&heap);
    sgamp_test_poison(&arena, sizeof(sgamp_arena_t));
    sgamp_arena_init(&arena, &heap.grow, &reserve);

    bad = 0;

    for (size = 1; size < 1 << 20; size = size * 3 / 2 + 1) {
        live = heap.live;

        p = arena.funcs.malloc(&arena, size);
        large = heap.live != live && size > SGAMP_TEST_LARGE;
        arena.funcs.free(&arena, p);

        calls = heap.calls;
        bad += large != (heap.live == live && size > SGAMP_TEST_LARGE);

        again = arena.funcs.malloc(&arena, size);
        bad += !large && (again != p || heap.calls != calls);

        bad += arena.funcs.realloc(&arena, again, size) != again;
        bad += arena.funcs.realloc(&arena, again, 1) != again;
    }

    tap_is(bad, 0, "freed blocks are used again");
    tap_ok(heap.live > 12, "large ones are not freed before");

    /* a large one has memory of its own, and leaves the rest of a small one */

    (void) arena.funcs.malloc(&arena, 32);
    (void) arena.funcs.malloc(&arena, 4 * SGAMP_TEST_LARGE);
    calls = heap.calls;
    (void) arena.funcs.malloc(&arena, 32);
    tap_is(heap.calls, calls, "a small one has room behind a large one");

    /* one that is outgrown */

    p = arena.funcs.malloc(&arena, SGAMP_TEST_LARGE + 1);
    bytes = heap.bytes;

    p = arena.funcs.realloc(&arena, p, 4 * SGAMP_TEST_LARGE);
    tap_ok(p != NULL && heap.bytes < bytes + 4 * SGAMP_TEST_LARGE,
           "a large one that is outgrown is given back");

    sgamp_arena_done(&arena);

    tap_is(heap.live, 0, "all is given back");
}


static void
sgamp_test_reserve(void)
{
    size_t             n, calls;
    unsigned           bad;
    sgamp_str_t        reserve;
    sgamp_arena_t      arena;
    sgamp_test_heap_t  heap;

    memset(&reserve, 0, sizeof(sgamp_str_t));

    sgamp_test_heap_init(&heap);
    sgamp_test_poison(&arena, sizeof(sgamp_arena_t));
    sgamp_arena_init(&arena, &heap.grow, &reserve);

    bad = 0;

    /* 8 (p + n) bytes, 4 a level, 12k, and an eighth of the sum */

    (void) sgamp_arena_reserve(&arena, 0, 0);
    tap_is(reserve.len, 14004, "the reserve of a parser that was not fed");

    for (n = 0; n < 100000; n++) {
        bad += sgamp_arena_reserve(&arena, n, 1) != SGAMP_OK;
        bad += reserve.len > 9 * (n + 1) + 14004;
        bad += reserve.len < 8 * (n + 1) + 4 * 2048 + SGAMP_MAX_DEPTH + 768;
    }

    tap_is(bad, 0, "the reserve is large enough, and not too large");
    tap_is(heap.live, 1, "one of it");
    tap_ok(heap.calls < 60, "it grows by steps");

    calls = heap.calls;

    for (n = 0; n < 100000; n += 1000) {
        bad += sgamp_arena_reserve(&arena, 0, n) != SGAMP_OK;
    }

    tap_is(heap.calls, calls, "and does not shrink");

    sgamp_test_release(&heap, &reserve);
}


static void
sgamp_test_reserve_fails(void)
{
    size_t             len;
    sgamp_str_t        reserve;
    sgamp_arena_t      arena;
    sgamp_test_heap_t  heap;

    memset(&reserve, 0, sizeof(sgamp_str_t));

    sgamp_test_heap_init(&heap);
    sgamp_test_poison(&arena, sizeof(sgamp_arena_t));
    sgamp_arena_init(&arena, &heap.grow, &reserve);

    heap.fail = 1;

    tap_is(sgamp_arena_reserve(&arena, 0, 1), SGAMP_NOMEM, "no reserve");
    tap_is(sgamp_arena_reserve(&arena, 0, 1), SGAMP_OK, "a reserve");

    heap.fail = 3;
    len = reserve.len;

    tap_is(sgamp_arena_reserve(&arena, len, 1), SGAMP_NOMEM, "no more of it");
    tap_is(reserve.len, (long long) len, "the old one is kept");
    tap_is(sgamp_arena_reserve(&arena, 0, 1), SGAMP_OK, "and is enough");

    sgamp_test_release(&heap, &reserve);
}


static void
sgamp_test_failed(void)
{
    void               *p;
    size_t              n, total;
    unsigned            bad;
    sgamp_str_t         reserve;
    sgamp_arena_t       arena;
    sgamp_test_heap_t   heap;

    /* without memory the reserve serves, up to its end */

    memset(&reserve, 0, sizeof(sgamp_str_t));

    sgamp_test_heap_init(&heap);
    sgamp_test_poison(&arena, sizeof(sgamp_arena_t));
    sgamp_arena_init(&arena, &heap.grow, &reserve);

    tap_is(sgamp_arena_reserve(&arena, 0, 0), SGAMP_OK, "a reserve");

    heap.fail = 2;
    heap.forever = 1;

    bad = 0;
    total = 0;

    for (n = 0; n < 1000; n++) {
        p = arena.funcs.malloc(&arena, 100);

        if (p == NULL) {
            break;
        }

        bad += (u_char *) p < reserve.data
               || (u_char *) p + 100 > reserve.data + reserve.len
               || (uintptr_t) p % SGAMP_TEST_ALIGN != 0;

        memset(p, 0, 100);
        total += 100;
    }

    tap_is(arena.failed, 1, "the arena has failed");
    tap_is(heap.calls, 2, "and does not ask again");
    tap_is(bad, 0, "memory is that of the reserve");
    tap_ok(total > reserve.len / 2, "much of it");
    tap_ok(arena.funcs.malloc(&arena, 100) == NULL, "then there is none");
    tap_ok(arena.funcs.realloc(&arena, NULL, 100) == NULL, "none");

    sgamp_arena_done(&arena);

    tap_is(heap.live, 1, "nothing is left but the reserve");

    sgamp_test_release(&heap, &reserve);
}


static void
sgamp_test_release(sgamp_test_heap_t *heap, sgamp_str_t *reserve)
{
    heap->grow.free(heap, reserve->data);

    tap_is(heap->live, 0, "all is given back");
}
