
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_PART_H_INCLUDED_
#define _SGAMP_PART_H_INCLUDED_


#include "sgamp_batch.h"


/*
 * Events of a batch that make one request: all of them at first, fewer when
 * Amplitude has refused some.  The payload of a part is put together from
 * slices of the batch's, and the n-th event of the request is the event
 * index[n] of the batch.
 */

typedef struct sgamp_part_s  sgamp_part_t;

struct sgamp_part_s {
    sgamp_part_t  *next;         /* for the caller's list */
    uint64_t       due;          /* for the caller's clock */
    uint32_t       n;            /* events, at least one */
    unsigned       attempts;     /* answers that may pass, so far */
    unsigned       rounds;       /* answers that named events, so far */
    unsigned       throttled:1;  /* the last of them was a 429 */
    unsigned       sent:1;
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

/* all events of a batch */
sgamp_part_t *sgamp_part_all(sgamp_grow_t *grow, const sgamp_batch_t *batch);

/* n events of a part, beginning with a given one; counters are zero */
sgamp_part_t *sgamp_part_range(sgamp_grow_t *grow, const sgamp_part_t *part,
    uint32_t from, uint32_t n);

/*
 * The events of a part whose mark, one byte for each, has the given bits, if
 * on, or does not; counters are kept.  There must be such events.
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

/* copies at most size bytes of an event of a batch, returns how many it has */
size_t sgamp_batch_event(const sgamp_batch_t *batch, uint32_t i, u_char *p,
    size_t size);


#endif /* _SGAMP_PART_H_INCLUDED_ */
