
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_HELD_H_INCLUDED_
#define _SGAMP_HELD_H_INCLUDED_


#include "sgamp_mapper.h"


/*
 * Events that were not mapped, kept until it is known whether the webhook is
 * SendGrid's.  They stand packed in pieces of memory, which take up little
 * more than the events themselves, however small these are.
 */

typedef struct sgamp_held_piece_s  sgamp_held_piece_t;

struct sgamp_held_piece_s {
    sgamp_held_piece_t  *next;
    u_char              *last;
    u_char              *end;
    u_char               data[];
};


typedef struct {
    sgamp_grow_t         *grow;
    sgamp_held_piece_t   *first;
    sgamp_held_piece_t   *last;
} sgamp_held_t;


/* where sgamp_held_next() is, zeroed at first */

typedef struct {
    sgamp_held_piece_t  *piece;
    u_char              *pos;
} sgamp_held_cursor_t;


typedef struct {
    sgamp_kind_e    kind;
    sgamp_reason_e  reason;
    sgamp_str_t     id;   /* as of sgamp_event_id() */
    sgamp_str_t     raw;
} sgamp_held_event_t;


void sgamp_held_init(sgamp_held_t *held, sgamp_grow_t *grow);

int sgamp_held_add(sgamp_held_t *held, const sgamp_event_t *event,
    sgamp_reason_e reason);

/* sets the next event in the order of adding, returns 0 after the last one */
int sgamp_held_next(const sgamp_held_t *held, sgamp_held_cursor_t *cursor,
    sgamp_held_event_t *event);

/* may be called more than once */
void sgamp_held_done(sgamp_held_t *held);


#endif /* _SGAMP_HELD_H_INCLUDED_ */
