
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_batch.h"
#include "sgamp_json.h"


/* a place to go back to */

typedef struct {
    sgamp_piece_t  *piece;
    u_char         *pos;
    size_t          before;
} sgamp_batch_save_t;


static int sgamp_batcher_open(sgamp_batcher_t *b);
static int sgamp_batcher_end(sgamp_batcher_t *b);
static int sgamp_batcher_shut(sgamp_batcher_t *b);
static int sgamp_batcher_next(sgamp_sink_t *sink);
static void sgamp_batcher_save(sgamp_batcher_t *b, sgamp_batch_save_t *save);
static void sgamp_batcher_rollback(sgamp_batcher_t *b,
    sgamp_batch_save_t *save);
static void sgamp_batch_release(sgamp_pieces_t *pieces, sgamp_batch_t *batch,
    size_t size);
static sgamp_piece_t *sgamp_pieces_get(sgamp_pieces_t *pieces);
static void sgamp_pieces_put(sgamp_pieces_t *pieces, sgamp_piece_t *piece);
static sgamp_part_t *sgamp_part_alloc(sgamp_grow_t *grow, uint32_t n);
static int sgamp_cursor_range(sgamp_cursor_t *cursor);
static void sgamp_part_bounds(const sgamp_batch_t *batch,
    const sgamp_part_t *part, uint32_t n, size_t *from, size_t *to);
static void sgamp_cursor_slice(sgamp_cursor_t *cursor, sgamp_str_t *slice);


void
sgamp_batcher_init(sgamp_batcher_t *b, sgamp_pieces_t *pieces,
    sgamp_writer_pt writer, void *data, const sgamp_str_t *head,
    const sgamp_str_t *tail, size_t max_size, uint32_t max_n)
{
    memset(b, 0, sizeof(sgamp_batcher_t));

    b->sink.next = sgamp_batcher_next;
    b->pieces = pieces;
    b->writer = writer;
    b->data = data;
    b->head = *head;
    b->tail = *tail;
    b->max_size = max_size;
    b->max_n = max_n;
    b->last = &b->closed;
}


int
sgamp_batcher_add(sgamp_batcher_t *b, const sgamp_element_t *element,
    int *reason)
{
    sgamp_batch_save_t  save;

    for ( ;; ) {

        if (b->open == NULL && sgamp_batcher_open(b) != SGAMP_OK) {
            return b->sink.status;
        }

        sgamp_batcher_save(b, &save);

        if (b->open->n != 0) {
            sgamp_json_put(&b->sink, (u_char *) ",", 1);
        }

        memset(&b->item, 0, sizeof(sgamp_item_t));

        *reason = b->writer(b->data, element, &b->sink, &b->item);

        if (b->sink.status != SGAMP_OK) {
            return b->sink.status;
        }

        if (*reason != 0) {
            sgamp_batcher_rollback(b, &save);
            return SGAMP_OK;
        }

        if (sgamp_sink_size(&b->sink) + b->tail.len <= b->max_size) {
            return sgamp_batcher_end(b);
        }

        /* a full batch is closed before the element, which opens the next */

        sgamp_batcher_rollback(b, &save);

        if (b->open->n == 0) {
            return SGAMP_TOO_LARGE;
        }

        if (sgamp_batcher_shut(b) != SGAMP_OK) {
            return b->sink.status;
        }
    }
}


int
sgamp_batcher_close(sgamp_batcher_t *b)
{
    if (b->sink.status != SGAMP_OK) {
        return b->sink.status;
    }

    if (b->open == NULL || b->open->n == 0) {
        return SGAMP_OK;
    }

    return sgamp_batcher_shut(b);
}


sgamp_batch_t *
sgamp_batcher_take(sgamp_batcher_t *b)
{
    sgamp_batch_t  *batch;

    batch = b->closed;

    if (batch == NULL) {
        return NULL;
    }

    b->closed = batch->next;
    batch->next = NULL;

    if (b->closed == NULL) {
        b->last = &b->closed;
    }

    return batch;
}


void
sgamp_batcher_done(sgamp_batcher_t *b)
{
    sgamp_batch_t  *batch;

    for ( ;; ) {
        batch = sgamp_batcher_take(b);

        if (batch == NULL) {
            break;
        }

        sgamp_batch_free(b->pieces, batch);
    }

    if (b->open != NULL) {
        b->open->size = sgamp_sink_size(&b->sink);
        sgamp_batch_free(b->pieces, b->open);
        b->open = NULL;
    }

    if (b->piece != NULL) {
        sgamp_pieces_put(b->pieces, b->piece);
        b->piece = NULL;
    }

    b->sink.pos = NULL;
    b->sink.last = NULL;
    b->sink.status = SGAMP_NOMEM;
}


static int
sgamp_batcher_open(sgamp_batcher_t *b)
{
    sgamp_grow_t   *grow;
    sgamp_batch_t  *batch;

    if (b->sink.status != SGAMP_OK) {
        return b->sink.status;
    }

    if (b->sink.pos == b->sink.last) {
        b->sink.status = sgamp_batcher_next(&b->sink);

        if (b->sink.status != SGAMP_OK) {
            return b->sink.status;
        }
    }

    grow = b->pieces->grow;

    batch = grow->alloc(grow->data, sizeof(sgamp_batch_t));
    if (batch == NULL) {
        b->sink.status = SGAMP_NOMEM;
        return SGAMP_NOMEM;
    }

    memset(batch, 0, offsetof(sgamp_batch_t, few));

    batch->items = batch->few;
    batch->nalloc = SGAMP_BATCH_ITEMS;
    batch->first = b->piece;
    batch->offset = b->sink.pos - b->piece->data;

    b->piece->refs++;
    b->sink.before = 0 - batch->offset;
    b->open = batch;

    sgamp_json_write(&b->sink, b->head.data, b->head.len);

    batch->head = b->head.len;

    return b->sink.status;
}


static int
sgamp_batcher_end(sgamp_batcher_t *b)
{
    size_t          n;
    sgamp_item_t   *items;
    sgamp_grow_t   *grow;
    sgamp_batch_t  *batch;

    batch = b->open;

    if (batch->n == batch->nalloc) {
        n = 2 * (size_t) batch->nalloc;

        grow = b->pieces->grow;

        items = grow->alloc(grow->data, n * sizeof(sgamp_item_t));
        if (items == NULL) {
            b->sink.status = SGAMP_NOMEM;
            return SGAMP_NOMEM;
        }

        memcpy(items, batch->items, batch->n * sizeof(sgamp_item_t));

        if (batch->items != batch->few) {
            grow->free(grow->data, batch->items);
        }

        batch->items = items;
        batch->nalloc = n;
    }

    b->item.end = (uint32_t) sgamp_sink_size(&b->sink);
    batch->items[batch->n++] = b->item;

    if (batch->n == b->max_n) {
        return sgamp_batcher_shut(b);
    }

    return SGAMP_OK;
}


static int
sgamp_batcher_shut(sgamp_batcher_t *b)
{
    sgamp_json_write(&b->sink, b->tail.data, b->tail.len);

    if (b->sink.status != SGAMP_OK) {
        return b->sink.status;
    }

    b->open->size = sgamp_sink_size(&b->sink);

    *b->last = b->open;
    b->last = &b->open->next;
    b->open = NULL;

    return SGAMP_OK;
}


static int
sgamp_batcher_next(sgamp_sink_t *sink)
{
    sgamp_batcher_t  *b = (sgamp_batcher_t *) sink;

    sgamp_piece_t  *piece;

    /* the piece is full: the payload goes on in a new piece */

    piece = sgamp_pieces_get(b->pieces);
    if (piece == NULL) {
        return SGAMP_NOMEM;
    }

    if (b->piece != NULL) {
        sink->before += SGAMP_PIECE_DATA;
        b->piece->next = piece;
        sgamp_pieces_put(b->pieces, b->piece);
    }

    if (b->open != NULL) {
        piece->refs++;
    }

    b->piece = piece;
    sink->start = piece->data;
    sink->pos = piece->data;
    sink->last = piece->data + SGAMP_PIECE_DATA;

    return SGAMP_OK;
}


static void
sgamp_batcher_save(sgamp_batcher_t *b, sgamp_batch_save_t *save)
{
    save->piece = b->piece;
    save->pos = b->sink.pos;
    save->before = b->sink.before;
}


static void
sgamp_batcher_rollback(sgamp_batcher_t *b, sgamp_batch_save_t *save)
{
    sgamp_piece_t  *piece, *next;

    if (b->piece != save->piece) {
        save->piece->refs++;

        for (piece = save->piece->next; piece != b->piece; piece = next) {
            next = piece->next;
            sgamp_pieces_put(b->pieces, piece);
        }

        /* drops the batch's and the batcher's reference */

        sgamp_pieces_put(b->pieces, piece);
        sgamp_pieces_put(b->pieces, piece);
    }

    b->piece = save->piece;
    b->sink.before = save->before;
    b->sink.start = save->piece->data;
    b->sink.pos = save->pos;
    b->sink.last = save->piece->data + SGAMP_PIECE_DATA;
}


void
sgamp_batch_free(sgamp_pieces_t *pieces, sgamp_batch_t *batch)
{
    sgamp_batch_release(pieces, batch, batch->size);

    if (batch->items != batch->few) {
        pieces->grow->free(pieces->grow->data, batch->items);
    }

    pieces->grow->free(pieces->grow->data, batch);
}


static void
sgamp_batch_release(sgamp_pieces_t *pieces, sgamp_batch_t *batch, size_t size)
{
    size_t          room;
    sgamp_piece_t  *piece, *next;

    piece = batch->first;
    room = SGAMP_PIECE_DATA - batch->offset;

    for ( ;; ) {
        next = piece->next;
        sgamp_pieces_put(pieces, piece);

        if (size <= room) {
            break;
        }

        size -= room;
        room = SGAMP_PIECE_DATA;
        piece = next;
    }
}


static sgamp_piece_t *
sgamp_pieces_get(sgamp_pieces_t *pieces)
{
    sgamp_piece_t  *piece;

    piece = pieces->free;

    if (piece != NULL) {
        pieces->free = piece->next;
        pieces->nfree--;

    } else {
        piece = pieces->grow->alloc(pieces->grow->data, SGAMP_PIECE_SIZE);
        if (piece == NULL) {
            return NULL;
        }
    }

    piece->next = NULL;
    piece->refs = 1;

    return piece;
}


static void
sgamp_pieces_put(sgamp_pieces_t *pieces, sgamp_piece_t *piece)
{
    if (--piece->refs != 0) {
        return;
    }

    if (pieces->nfree >= pieces->max) {
        pieces->grow->free(pieces->grow->data, piece);
        return;
    }

    piece->next = pieces->free;
    pieces->free = piece;
    pieces->nfree++;
}


void
sgamp_pieces_done(sgamp_pieces_t *pieces)
{
    sgamp_piece_t  *piece, *next;

    for (piece = pieces->free; piece != NULL; piece = next) {
        next = piece->next;
        pieces->grow->free(pieces->grow->data, piece);
    }

    pieces->free = NULL;
    pieces->nfree = 0;
}


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

    range->step = part->step;

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
    marked->step = part->step;

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
    cursor->piece = batch->first;
    cursor->base = 0 - batch->offset;

    /* a part with all elements is the whole payload */

    if (part == NULL || part->n == batch->n) {
        cursor->last = batch->size;

    } else {
        cursor->part = part;
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

    /* adjacent ranges make one slice */

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

    /* the n-th range of a part's payload: the head, the elements, the tail */

    if (n == 0) {
        *from = 0;
        *to = batch->head;
        return;
    }

    if (n == part->n + 1) {
        *from = batch->items[batch->n - 1].end;
        *to = batch->size;
        return;
    }

    i = part->index[n - 1];

    *from = (i == 0) ? batch->head : batch->items[i - 1].end;
    *to = batch->items[i].end;

    if (n == 1 && i != 0) {
        /* the first element of a payload has no comma before it */
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
sgamp_batch_element(const sgamp_batch_t *batch, uint32_t i, u_char *p,
    size_t size)
{
    size_t          len;
    sgamp_str_t     slice;
    sgamp_cursor_t  cursor;

    sgamp_cursor_init(&cursor, batch, NULL);

    cursor.pos = (i == 0) ? batch->head : (size_t) batch->items[i - 1].end + 1;
    cursor.last = batch->items[i].end;

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
