
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_batch.h"


#define SGAMP_BATCH_ENDS  16 /* events that a batch has room for at first */

#define sgamp_batcher_write(b, text)                                          \
    sgamp_json_write(&(b)->sink, (u_char *) text, sizeof(text) - 1)

/* bytes of the open payload so far */

#define sgamp_batcher_size(b)                                                 \
    ((b)->before + ((b)->sink.pos - (b)->piece->data))


/* a place to go back to */

typedef struct {
    sgamp_piece_t  *piece;
    u_char         *pos;
    size_t          before;
} sgamp_batch_mark_t;


static int sgamp_batcher_open(sgamp_batcher_t *b);
static int sgamp_batcher_end(sgamp_batcher_t *b);
static int sgamp_batcher_shut(sgamp_batcher_t *b);
static int sgamp_batcher_next(sgamp_sink_t *sink);
static void sgamp_batcher_mark(sgamp_batcher_t *b, sgamp_batch_mark_t *mark);
static void sgamp_batcher_rollback(sgamp_batcher_t *b,
    sgamp_batch_mark_t *mark);
static void sgamp_batch_release(sgamp_pieces_t *pieces, sgamp_batch_t *batch,
    size_t size);
static sgamp_piece_t *sgamp_pieces_get(sgamp_pieces_t *pieces);
static void sgamp_pieces_put(sgamp_pieces_t *pieces, sgamp_piece_t *piece);


static const char sgamp_batch_tail[] = "],\"options\":{\"min_id_length\":1}}";


void
sgamp_batcher_init(sgamp_batcher_t *b, sgamp_pieces_t *pieces,
    const sgamp_rules_t *rules, const sgamp_str_t *api_key, size_t max_size,
    uint32_t max_events)
{
    memset(b, 0, sizeof(sgamp_batcher_t));

    b->sink.next = sgamp_batcher_next;
    b->pieces = pieces;
    b->rules = rules;
    b->api_key = *api_key;
    b->max_size = max_size;
    b->max_events = max_events;
    b->last = &b->closed;
}


int
sgamp_batcher_add(sgamp_batcher_t *b, const sgamp_event_t *event,
    sgamp_reason_e *reason)
{
    sgamp_batch_mark_t  mark;

    b->kind = sgamp_event_kind(event);

    for ( ;; ) {

        if (b->open == NULL && sgamp_batcher_open(b) != SGAMP_OK) {
            return b->sink.status;
        }

        sgamp_batcher_mark(b, &mark);

        if (b->open->n != 0) {
            sgamp_batcher_write(b, ",");
        }

        *reason = sgamp_map(b->rules, event, b->kind, b->properties, &b->sink);

        if (b->sink.status != SGAMP_OK) {
            return b->sink.status;
        }

        if (*reason != SGAMP_MAPPED) {
            sgamp_batcher_rollback(b, &mark);
            return SGAMP_OK;
        }

        if (sgamp_batcher_size(b) + sizeof(sgamp_batch_tail) - 1
            <= b->max_size)
        {
            return sgamp_batcher_end(b);
        }

        /* a full batch is closed before the event, which opens the next */

        sgamp_batcher_rollback(b, &mark);

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
        b->open->size = sgamp_batcher_size(b);
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

    memset(batch, 0, sizeof(sgamp_batch_t));

    batch->first = b->piece;
    batch->offset = b->sink.pos - b->piece->data;

    b->piece->refs++;
    b->before = 0 - batch->offset;
    b->open = batch;

    sgamp_batcher_write(b, "{\"api_key\":\"");
    sgamp_json_escape(&b->sink, b->api_key.data, b->api_key.len);
    sgamp_batcher_write(b, "\",\"events\":[");

    batch->head = sgamp_batcher_size(b);

    return b->sink.status;
}


static int
sgamp_batcher_end(sgamp_batcher_t *b)
{
    size_t          n;
    uint32_t       *ends;
    sgamp_grow_t   *grow;
    sgamp_batch_t  *batch;

    batch = b->open;

    if (batch->n == batch->nalloc) {
        n = batch->nalloc ? 2 * (size_t) batch->nalloc : SGAMP_BATCH_ENDS;

        grow = b->pieces->grow;

        /* the kinds stand behind the ends, in the same memory */

        ends = grow->alloc(grow->data, n * (sizeof(uint32_t) + 1));
        if (ends == NULL) {
            b->sink.status = SGAMP_NOMEM;
            return SGAMP_NOMEM;
        }

        if (batch->ends != NULL) {
            memcpy(ends, batch->ends, batch->n * sizeof(uint32_t));
            memcpy(ends + n, batch->kinds, batch->n);
            grow->free(grow->data, batch->ends);
        }

        batch->ends = ends;
        batch->kinds = (u_char *) (ends + n);
        batch->nalloc = n;
    }

    batch->kinds[batch->n] = (u_char) b->kind;
    batch->ends[batch->n++] = sgamp_batcher_size(b);

    if (batch->n == b->max_events) {
        return sgamp_batcher_shut(b);
    }

    return SGAMP_OK;
}


static int
sgamp_batcher_shut(sgamp_batcher_t *b)
{
    sgamp_json_write(&b->sink, (u_char *) sgamp_batch_tail,
                     sizeof(sgamp_batch_tail) - 1);

    if (b->sink.status != SGAMP_OK) {
        return b->sink.status;
    }

    b->open->size = sgamp_batcher_size(b);

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
        b->before += SGAMP_PIECE_DATA;
        b->piece->next = piece;
        sgamp_pieces_put(b->pieces, b->piece);
    }

    if (b->open != NULL) {
        piece->refs++;
    }

    b->piece = piece;
    sink->pos = piece->data;
    sink->last = piece->data + SGAMP_PIECE_DATA;

    return SGAMP_OK;
}


static void
sgamp_batcher_mark(sgamp_batcher_t *b, sgamp_batch_mark_t *mark)
{
    mark->piece = b->piece;
    mark->pos = b->sink.pos;
    mark->before = b->before;
}


static void
sgamp_batcher_rollback(sgamp_batcher_t *b, sgamp_batch_mark_t *mark)
{
    sgamp_piece_t  *piece, *next;

    if (b->piece != mark->piece) {
        mark->piece->refs++;

        for (piece = mark->piece->next; piece != b->piece; piece = next) {
            next = piece->next;
            sgamp_pieces_put(b->pieces, piece);
        }

        /* the reference of the batch, and the one of the batcher */

        sgamp_pieces_put(b->pieces, piece);
        sgamp_pieces_put(b->pieces, piece);
    }

    b->piece = mark->piece;
    b->before = mark->before;
    b->sink.pos = mark->pos;
    b->sink.last = mark->piece->data + SGAMP_PIECE_DATA;
}


void
sgamp_batch_free(sgamp_pieces_t *pieces, sgamp_batch_t *batch)
{
    sgamp_batch_release(pieces, batch, batch->size);

    if (batch->ends != NULL) {
        pieces->grow->free(pieces->grow->data, batch->ends);
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
