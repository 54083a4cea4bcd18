
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_BATCH_H_INCLUDED_
#define _SGAMP_BATCH_H_INCLUDED_


#include "sgamp_parser.h"


/*
 * Payloads are written one after the other into pieces of a fixed size, and
 * neighbors share a piece: a reference is held for each payload that has
 * bytes in it, and one by the batcher for the piece it writes to.
 */

typedef struct sgamp_piece_s  sgamp_piece_t;

struct sgamp_piece_s {
    sgamp_piece_t  *next;  /* in the order of bytes, or of the free list */
    unsigned        refs;
    u_char          data[];
};


#define SGAMP_PIECE_DATA  (SGAMP_PIECE_SIZE - offsetof(sgamp_piece_t, data))


/* free pieces, for any number of batchers; zeroed but for grow and max */

typedef struct {
    sgamp_grow_t   *grow;
    sgamp_piece_t  *free;
    unsigned        nfree;
    unsigned        max;  /* pieces to keep, the rest is given back */
} sgamp_pieces_t;


#define SGAMP_BATCH_ITEMS  16  /* elements that a batch has room for at first */


/* what is known of an element in a payload, offsets in bytes */

typedef struct {
    uint32_t  end;     /* of the element in the payload */
    uint32_t  id;      /* from the begin of the element to its id */
    uint32_t  id_end;
    uint32_t  kind;    /* what the writer says */
} sgamp_item_t;


/* elements and what is around them: the text of one request at first */

typedef struct sgamp_batch_s  sgamp_batch_t;

struct sgamp_batch_s {
    sgamp_batch_t  *next;
    sgamp_piece_t  *first;
    size_t          offset;  /* of the payload in the first piece */
    size_t          head;    /* bytes before the first element */
    size_t          size;    /* bytes of the payload */
    sgamp_item_t   *items;   /* of the elements */
    uint32_t        n;       /* elements */
    uint32_t        nalloc;
    sgamp_item_t    few[SGAMP_BATCH_ITEMS];  /* the first room for items */
};


/*
 * Writes an element as JSON to the sink, and sets the id, its end and the kind
 * of the item, which is zeroed.  Returns 0, or the writer's reason why the
 * element is left out; what was written for it is taken back then.  A failure
 * of the sink stays in its status.
 */
typedef int (*sgamp_writer_pt)(void *data, const sgamp_element_t *element,
    sgamp_sink_t *sink, sgamp_item_t *item);


typedef struct {
    sgamp_sink_t      sink;      /* must be the first */
    sgamp_pieces_t   *pieces;
    sgamp_writer_pt   writer;
    void             *data;      /* of the writer */
    sgamp_str_t       head;      /* before the elements of a batch */
    sgamp_str_t       tail;      /* after the elements of a batch */
    size_t            max_size;
    uint32_t          max_n;

    sgamp_piece_t    *piece;     /* being written to */
    sgamp_item_t      item;      /* of the last element that was added */
    sgamp_batch_t    *open;
    sgamp_batch_t    *closed;    /* in the order of elements */
    sgamp_batch_t   **last;
} sgamp_batcher_t;


/*
 * Elements that are written by the writer, with commas between them, become
 * batches of at most max_n elements and max_size bytes, with the text of head
 * and tail around them.  All that is pointed to, the bytes of head and tail,
 * too, has to outlive the batcher.  The batcher must not be moved.
 */
void sgamp_batcher_init(sgamp_batcher_t *b, sgamp_pieces_t *pieces,
    sgamp_writer_pt writer, void *data, const sgamp_str_t *head,
    const sgamp_str_t *tail, size_t max_size, uint32_t max_n);

/*
 * Adds an element to the open batch, and closes batches as they become full.
 * Sets the reason to what the writer returned, and b->item.  Returns SGAMP_OK,
 * SGAMP_NOMEM, or SGAMP_TOO_LARGE: the element fits into no batch.
 */
int sgamp_batcher_add(sgamp_batcher_t *b, const sgamp_element_t *element,
    int *reason);

/* closes the open batch, if the batch has an element */
int sgamp_batcher_close(sgamp_batcher_t *b);

/* the next closed batch, which then is the caller's, or NULL */
sgamp_batch_t *sgamp_batcher_take(sgamp_batcher_t *b);

/* frees what was not taken */
void sgamp_batcher_done(sgamp_batcher_t *b);

void sgamp_batch_free(sgamp_pieces_t *pieces, sgamp_batch_t *batch);

void sgamp_pieces_done(sgamp_pieces_t *pieces);


/*
 * Elements of a batch that make one request: all elements at first, fewer when
 * the peer has refused some.  The payload of a part is put together from slices
 * of the batch's, and the n-th element of the request is the element index[n]
 * of the batch.
 */

typedef struct sgamp_part_s  sgamp_part_t;

struct sgamp_part_s {
    sgamp_part_t  *next;         /* for the caller's list */
    uint64_t       due;          /* for the caller's clock */
    uint32_t       n;            /* elements, at least one */
    unsigned       step;         /* for the caller: of requests that follow */
    unsigned       attempts;     /* answers that delayed the part */
    unsigned       rounds;       /* answers that named elements */
    unsigned       throttled:1;  /* the last such answer was a 429 */
    unsigned       tried:1;      /* it was sent */
    uint32_t       index[];
};


/* zeroed by sgamp_cursor_init() */

typedef struct {
    const sgamp_batch_t  *batch;
    const sgamp_part_t   *part;
    const sgamp_piece_t  *piece;
    size_t                base;  /* of the piece in the payload, may wrap */
    size_t                pos;   /* what is left of the payload's range */
    size_t                last;
    uint32_t              n;     /* ranges that were looked at */
} sgamp_cursor_t;


/* each of these returns NULL if there is no memory */

/* all elements of a batch */
sgamp_part_t *sgamp_part_all(sgamp_grow_t *grow, const sgamp_batch_t *batch);

/* n elements of a part, from a given one on, in its step; counters are zero */
sgamp_part_t *sgamp_part_range(sgamp_grow_t *grow, const sgamp_part_t *part,
    uint32_t from, uint32_t n);

/*
 * The elements of a part whose mark, one byte for each, has the given bits, if
 * on, or does not; counters are kept.  There must be such elements.
 */
sgamp_part_t *sgamp_part_marked(sgamp_grow_t *grow, const sgamp_part_t *part,
    const u_char *marks, unsigned bits, unsigned on);

void sgamp_part_free(sgamp_grow_t *grow, sgamp_part_t *part);

/* bytes of the payload */
size_t sgamp_part_size(const sgamp_batch_t *batch, const sgamp_part_t *part);

/* begins with a payload; NULL: the payload of the whole batch */
void sgamp_cursor_init(sgamp_cursor_t *cursor, const sgamp_batch_t *batch,
    const sgamp_part_t *part);

/* sets the next slice of the payload, returns 0 after the last one */
int sgamp_cursor_next(sgamp_cursor_t *cursor, sgamp_str_t *slice);

/*
 * Copies at most size bytes of the i-th element of a batch, returns how many
 * bytes the element has.
 */
size_t sgamp_batch_element(const sgamp_batch_t *batch, uint32_t i, u_char *p,
    size_t size);


#endif /* _SGAMP_BATCH_H_INCLUDED_ */
