
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_part.h"


static sgamp_part_t *sgamp_part_alloc(sgamp_grow_t *grow, uint32_t n);
static int sgamp_cursor_range(sgamp_cursor_t *cursor);
static void sgamp_part_bounds(const sgamp_batch_t *batch,
    const sgamp_part_t *part, uint32_t n, size_t *from, size_t *to);
static void sgamp_cursor_slice(sgamp_cursor_t *cursor, sgamp_str_t *slice);


sgamp_part_t *
sgamp_part_all(sgamp_grow_t *grow, const sgamp_batch_t *batch)
{
    uint32_t       i;
    sgamp_part_t  *part;

    part = sgamp_part_alloc(grow, batch->n);
    if (part == NULL) {
        return NULL;
    }

    for (i = 0; i < batch->n; i++) {
        part->index[i] = i;
    }

    return part;
}


sgamp_part_t *
sgamp_part_range(sgamp_grow_t *grow, const sgamp_part_t *part, uint32_t from,
    uint32_t n)
{
    sgamp_part_t  *range;

    range = sgamp_part_alloc(grow, n);
    if (range == NULL) {
        return NULL;
    }

    memcpy(range->index, &part->index[from], n * sizeof(uint32_t));

    return range;
}


sgamp_part_t *
sgamp_part_marked(sgamp_grow_t *grow, const sgamp_part_t *part,
    const u_char *marks, unsigned bits, unsigned on)
{
    uint32_t       i, n;
    sgamp_part_t  *marked;

    marked = sgamp_part_alloc(grow, part->n);
    if (marked == NULL) {
        return NULL;
    }

    n = 0;

    for (i = 0; i < part->n; i++) {
        if (((marks[i] & bits) != 0) == on) {
            marked->index[n++] = part->index[i];
        }
    }

    marked->n = n;
    marked->attempts = part->attempts;
    marked->rounds = part->rounds;

    return marked;
}


static sgamp_part_t *
sgamp_part_alloc(sgamp_grow_t *grow, uint32_t n)
{
    sgamp_part_t  *part;

    part = grow->alloc(grow->data,
                       sizeof(sgamp_part_t) + n * sizeof(uint32_t));
    if (part == NULL) {
        return NULL;
    }

    memset(part, 0, sizeof(sgamp_part_t));

    part->n = n;

    return part;
}


void
sgamp_part_free(sgamp_grow_t *grow, sgamp_part_t *part)
{
    grow->free(grow->data, part);
}


size_t
sgamp_part_size(const sgamp_batch_t *batch, const sgamp_part_t *part)
{
    size_t    size, from, to;
    uint32_t  i;

    size = 0;

    for (i = 0; i < part->n + 2; i++) {
        sgamp_part_bounds(batch, part, i, &from, &to);
        size += to - from;
    }

    return size;
}


void
sgamp_cursor_init(sgamp_cursor_t *cursor, const sgamp_batch_t *batch,
    const sgamp_part_t *part)
{
    memset(cursor, 0, sizeof(sgamp_cursor_t));

    cursor->batch = batch;
    cursor->part = part;
    cursor->piece = batch->first;
    cursor->base = 0 - batch->offset;

    if (part == NULL) {
        cursor->last = batch->size;
    }
}


int
sgamp_cursor_next(sgamp_cursor_t *cursor, sgamp_str_t *slice)
{
    if (cursor->pos == cursor->last && !sgamp_cursor_range(cursor)) {
        return 0;
    }

    sgamp_cursor_slice(cursor, slice);

    return 1;
}


static int
sgamp_cursor_range(sgamp_cursor_t *cursor)
{
    size_t    from, to;
    uint32_t  end;

    /* ranges that follow each other are one */

    end = (cursor->part != NULL) ? cursor->part->n + 2 : 0;

    if (cursor->n == end) {
        return 0;
    }

    sgamp_part_bounds(cursor->batch, cursor->part, cursor->n, &cursor->pos,
                      &cursor->last);

    for (cursor->n++; cursor->n < end; cursor->n++) {

        sgamp_part_bounds(cursor->batch, cursor->part, cursor->n, &from, &to);

        if (from != cursor->last) {
            break;
        }

        cursor->last = to;
    }

    return 1;
}


static void
sgamp_part_bounds(const sgamp_batch_t *batch, const sgamp_part_t *part,
    uint32_t n, size_t *from, size_t *to)
{
    uint32_t  i;

    /* the n-th range of a part's payload: the head, the events, the tail */

    if (n == 0) {
        *from = 0;
        *to = batch->head;
        return;
    }

    if (n == part->n + 1) {
        *from = batch->ends[batch->n - 1];
        *to = batch->size;
        return;
    }

    i = part->index[n - 1];

    *from = (i == 0) ? batch->head : batch->ends[i - 1];
    *to = batch->ends[i];

    if (n == 1 && i != 0) {
        /* the comma before the event is of no use to the first one */
        (*from)++;
    }
}


static void
sgamp_cursor_slice(sgamp_cursor_t *cursor, sgamp_str_t *slice)
{
    size_t  offset;

    while (cursor->pos - cursor->base >= SGAMP_PIECE_DATA) {
        cursor->base += SGAMP_PIECE_DATA;
        cursor->piece = cursor->piece->next;
    }

    offset = cursor->pos - cursor->base;

    slice->data = (u_char *) cursor->piece->data + offset;
    slice->len = SGAMP_PIECE_DATA - offset;

    if (slice->len > cursor->last - cursor->pos) {
        slice->len = cursor->last - cursor->pos;
    }

    cursor->pos += slice->len;
}


size_t
sgamp_batch_event(const sgamp_batch_t *batch, uint32_t i, u_char *p,
    size_t size)
{
    size_t          len;
    sgamp_str_t     slice;
    sgamp_cursor_t  cursor;

    sgamp_cursor_init(&cursor, batch, NULL);

    cursor.pos = (i == 0) ? batch->head : (size_t) batch->ends[i - 1] + 1;
    cursor.last = batch->ends[i];

    len = cursor.last - cursor.pos;

    if (size > len) {
        size = len;
    }

    cursor.last = cursor.pos + size;

    while (cursor.pos != cursor.last) {
        sgamp_cursor_slice(&cursor, &slice);
        memcpy(p, slice.data, slice.len);
        p += slice.len;
    }

    return len;
}
