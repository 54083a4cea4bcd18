
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <yajl/yajl_parse.h>

#include "sgamp_test.h"


#define SGAMP_TEST_BUF_SIZE  256   /* bytes at first */
#define SGAMP_TEST_STACK     16384 /* more than the mapper needs */
#define SGAMP_TEST_POISON    0xa5
#define SGAMP_TEST_HEAD      (4 * sizeof(size_t))


/* precedes what is allocated, and keeps it aligned as malloc() aligns */

typedef union {
    size_t  size;
    u_char  align[SGAMP_TEST_HEAD];
} sgamp_test_head_t;


static void *sgamp_test_alloc(void *data, size_t size);
static void sgamp_test_release(void *data, void *p);
static int sgamp_test_sink_next(sgamp_sink_t *sink);


void
sgamp_test_set(sgamp_str_t *str, const char *text)
{
    str->len = strlen(text);
    str->data = (u_char *) text;
}


void
sgamp_test_heap_init(sgamp_test_heap_t *heap)
{
    memset(heap, 0, sizeof(sgamp_test_heap_t));

    heap->grow.alloc = sgamp_test_alloc;
    heap->grow.free = sgamp_test_release;
    heap->grow.data = heap;
}


static void *
sgamp_test_alloc(void *data, size_t size)
{
    sgamp_test_heap_t  *heap = data;

    sgamp_test_head_t  *head;

    heap->calls++;

    if (heap->fail != 0
        && (heap->calls == heap->fail
            || (heap->forever && heap->calls > heap->fail)))
    {
        return NULL;
    }

    head = malloc(sizeof(sgamp_test_head_t) + size);
    if (head == NULL) {
        tap_bail("no memory");
    }

    /* what is read before it is written must not be zero by chance */

    sgamp_test_poison(head, sizeof(sgamp_test_head_t) + size);

    head->size = size;

    heap->live++;
    heap->bytes += size;

    if (heap->bytes > heap->peak) {
        heap->peak = heap->bytes;
    }

    return head + 1;
}


static void
sgamp_test_release(void *data, void *p)
{
    sgamp_test_heap_t  *heap = data;

    sgamp_test_head_t  *head;

    head = (sgamp_test_head_t *) p - 1;

    heap->live--;
    heap->bytes -= head->size;

    free(head);
}


void
sgamp_test_poison(void *p, size_t size)
{
    memset(p, SGAMP_TEST_POISON, size);
}


void
sgamp_test_poison_stack(void)
{
    u_char                 room[SGAMP_TEST_STACK];
    void *(* volatile fill)(void *p, int byte, size_t size);

    /* by a pointer, since the compiler drops what nobody reads */

    fill = memset;

    (void) fill(room, SGAMP_TEST_POISON, sizeof(room));
}


u_char *
sgamp_test_heap_copy(const void *data, size_t n)
{
    u_char  *p;

    /* any byte before or behind is seen by the sanitizer */

    p = malloc(n);

    if (p == NULL) {
        tap_bail("no memory");
    }

    if (n != 0) {
        memcpy(p, data, n);
    }

    return p;
}


void
sgamp_test_put(sgamp_test_buf_t *buf, const void *data, size_t n)
{
    if (buf->len + n + 1 > buf->size) {

        if (buf->size == 0) {
            buf->size = SGAMP_TEST_BUF_SIZE;
        }

        while (buf->len + n + 1 > buf->size) {
            buf->size *= 2;
        }

        buf->data = realloc(buf->data, buf->size);
        if (buf->data == NULL) {
            tap_bail("no memory");
        }
    }

    if (n != 0) {
        memcpy(buf->data + buf->len, data, n);
        buf->len += n;
    }

    buf->data[buf->len] = '\0';
}


void
sgamp_test_puts(sgamp_test_buf_t *buf, const char *text)
{
    sgamp_test_put(buf, text, strlen(text));
}


void
sgamp_test_free(sgamp_test_buf_t *buf)
{
    free(buf->data);

    memset(buf, 0, sizeof(sgamp_test_buf_t));
}


void
sgamp_test_sink_init(sgamp_test_sink_t *sink, size_t portion, size_t limit)
{
    memset(sink, 0, sizeof(sgamp_test_sink_t));

    sink->portion = portion;
    sink->limit = limit;
    sink->sink.next = sgamp_test_sink_next;
    sink->sink.pos = sink->room;
    sink->sink.last = sink->room;
}


static int
sgamp_test_sink_next(sgamp_sink_t *sink)
{
    sgamp_test_sink_t  *s = (sgamp_test_sink_t *) sink;

    sgamp_test_sink_flush(s);

    if (s->limit != 0 && --s->limit == 0) {
        return SGAMP_NOMEM;
    }

    s->sink.pos = s->room;
    s->sink.last = s->room + s->portion;

    return SGAMP_OK;
}


void
sgamp_test_sink_flush(sgamp_test_sink_t *sink)
{
    sgamp_test_put(&sink->buf, sink->room, sink->sink.pos - sink->room);

    sink->sink.pos = sink->room;
    sink->sink.last = sink->room;
}


void
sgamp_test_guard_init(sgamp_test_guard_t *guard, size_t size)
{
    size_t  page;

    page = sysconf(_SC_PAGESIZE);

    size = (size + page - 1) / page * page;

    guard->used = 0;
    guard->size = size + page;
    guard->start = mmap(NULL, guard->size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (guard->start == MAP_FAILED) {
        tap_bail("no memory");
    }

    guard->end = guard->start + size;

    memset(guard->start, '"', size);

    if (mprotect(guard->end, page, PROT_NONE) != 0) {
        tap_bail("mprotect() failed");
    }
}


u_char *
sgamp_test_guard(sgamp_test_guard_t *guard, const void *data, size_t n)
{
    if (n > (size_t) (guard->end - guard->start) || guard->start == NULL) {
        sgamp_test_guard_done(guard);
        sgamp_test_guard_init(guard, n);
    }

    /* what was there before must not be read either */

    if (guard->used > n) {
        memset(guard->end - guard->used, '"', guard->used - n);
    }

    if (n != 0) {
        memcpy(guard->end - n, data, n);
    }

    guard->used = n;

    return guard->end - n;
}


void
sgamp_test_guard_done(sgamp_test_guard_t *guard)
{
    if (guard->start != NULL) {
        munmap(guard->start, guard->size);
        guard->start = NULL;
    }
}


uint32_t
sgamp_test_random(sgamp_test_random_t *random, uint32_t n)
{
    random->state = random->state * 6364136223846793005ull
                    + 1442695040888963407ull;

    return (uint32_t) (random->state >> 33) % n;
}


size_t
sgamp_test_cut_random(void *data)
{
    sgamp_test_random_t  *random = data;

    size_t  n;

    /* mostly short, at times longer than what is fed at a time */

    n = (size_t) 1 << sgamp_test_random(random, 14);

    return 1 + sgamp_test_random(random, n);
}


size_t
sgamp_test_cut_fixed(void *data)
{
    size_t  *n = data;

    return *n;
}


void
sgamp_test_read(sgamp_test_buf_t *buf, const char *path)
{
    FILE   *file;
    char    text[4096];
    size_t  n;

    file = fopen(path, "rb");
    if (file == NULL) {
        tap_bail("cannot open %s", path);
    }

    memset(buf, 0, sizeof(sgamp_test_buf_t));

    do {
        n = fread(text, 1, sizeof(text), file);
        sgamp_test_put(buf, text, n);
    } while (n != 0);

    if (ferror(file)) {
        tap_bail("cannot read %s", path);
    }

    fclose(file);
}


int
sgamp_test_valid(const u_char *p, size_t n)
{
    int          ok;
    yajl_handle  yajl;

    yajl = yajl_alloc(NULL, NULL, NULL);
    if (yajl == NULL) {
        tap_bail("no memory");
    }

    ok = yajl_parse(yajl, p, n) == yajl_status_ok
         && yajl_complete_parse(yajl) == yajl_status_ok;

    yajl_free(yajl);

    return ok;
}
