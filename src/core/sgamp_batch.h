
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_BATCH_H_INCLUDED_
#define _SGAMP_BATCH_H_INCLUDED_


#include "sgamp_mapper.h"


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


/* one request to Amplitude */

typedef struct sgamp_batch_s  sgamp_batch_t;

struct sgamp_batch_s {
    sgamp_batch_t  *next;
    sgamp_piece_t  *first;
    size_t          offset;  /* of the payload in the first piece */
    size_t          head;    /* bytes before the first event */
    size_t          size;    /* bytes of the payload */
    uint32_t       *ends;    /* where each event ends in the payload */
    u_char         *kinds;   /* of the events, sgamp_kind_e */
    uint32_t        n;       /* events */
    uint32_t        nalloc;
};


typedef struct {
    sgamp_sink_t          sink;     /* must be the first */
    sgamp_pieces_t       *pieces;
    const sgamp_rules_t  *rules;
    const sgamp_str_t    *properties; /* may be set after init */
    sgamp_str_t           api_key;  /* bytes, not JSON */
    size_t                max_size;
    uint32_t              max_events;

    sgamp_piece_t        *piece;    /* being written to */
    size_t                before;   /* payload bytes before it, may wrap */
    sgamp_kind_e          kind;     /* of the last event that was added */
    sgamp_batch_t        *open;
    sgamp_batch_t        *closed;   /* in the order of events */
    sgamp_batch_t       **last;
} sgamp_batcher_t;


/*
 * All that is pointed to, the bytes of api_key too, has to outlive the
 * batcher.  It must not be moved.
 */
void sgamp_batcher_init(sgamp_batcher_t *b, sgamp_pieces_t *pieces,
    const sgamp_rules_t *rules, const sgamp_str_t *api_key, size_t max_size,
    uint32_t max_events);

/*
 * Maps an event to the end of the open batch, and closes batches as they
 * become full: none has more than max_events or max_size bytes.  An event
 * that was not mapped has its reason set.  SGAMP_TOO_LARGE if it does not
 * fit into a batch of its own.
 */
int sgamp_batcher_add(sgamp_batcher_t *b, const sgamp_event_t *event,
    sgamp_reason_e *reason);

/* closes the open batch, if there is an event in it */
int sgamp_batcher_close(sgamp_batcher_t *b);

/* the next closed batch, which then is the caller's, or NULL */
sgamp_batch_t *sgamp_batcher_take(sgamp_batcher_t *b);

/* frees what was not taken */
void sgamp_batcher_done(sgamp_batcher_t *b);

void sgamp_batch_free(sgamp_pieces_t *pieces, sgamp_batch_t *batch);

void sgamp_pieces_done(sgamp_pieces_t *pieces);


#endif /* _SGAMP_BATCH_H_INCLUDED_ */
