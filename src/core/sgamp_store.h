
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_STORE_H_INCLUDED_
#define _SGAMP_STORE_H_INCLUDED_


#include "sgamp.h"


/*
 * Elements that are kept until it is known whether the sender may send them.
 * They stand packed in pieces of memory, which take up little more than the
 * elements themselves, however small the elements are.
 */

typedef struct sgamp_store_piece_s  sgamp_store_piece_t;

struct sgamp_store_piece_s {
    sgamp_store_piece_t  *next;
    u_char               *last;
    u_char               *end;
    u_char                data[];
};


typedef struct {
    sgamp_grow_t          *grow;
    sgamp_store_piece_t   *first;
    sgamp_store_piece_t   *last;
} sgamp_store_t;


/* where sgamp_store_next() is, zeroed at first */

typedef struct {
    sgamp_store_piece_t  *piece;
    u_char               *pos;
} sgamp_store_cursor_t;


typedef struct {
    unsigned     kind;    /* the caller's, below 16 */
    unsigned     reason;  /* the caller's, below 16 */
    sgamp_str_t  id;      /* a slice of raw, or empty */
    sgamp_str_t  raw;     /* the element */
} sgamp_stored_t;


void sgamp_store_init(sgamp_store_t *store, sgamp_grow_t *grow);

/* copies an element: SGAMP_OK or SGAMP_NOMEM */
int sgamp_store_add(sgamp_store_t *store, const sgamp_stored_t *element);

/*
 * Sets the next element in the order of adding, slices of the store; returns 0
 * after the last one.
 */
int sgamp_store_next(const sgamp_store_t *store, sgamp_store_cursor_t *cursor,
    sgamp_stored_t *element);

/* may be called more than once */
void sgamp_store_done(sgamp_store_t *store);


#endif /* _SGAMP_STORE_H_INCLUDED_ */
