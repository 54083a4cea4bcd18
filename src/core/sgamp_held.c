
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_held.h"


#define SGAMP_HELD_NUMBER  10 /* bytes of a number, at most */
#define SGAMP_HELD_KIND    4  /* bits below the kind, as many are for it */
#define SGAMP_HELD_DATA    (SGAMP_PIECE_SIZE                                  \
                            - offsetof(sgamp_held_piece_t, data))


static sgamp_held_piece_t *sgamp_held_room(sgamp_held_t *held, size_t size);
static u_char *sgamp_held_write(u_char *p, size_t n);
static u_char *sgamp_held_read(u_char *p, size_t *n);


void
sgamp_held_init(sgamp_held_t *held, sgamp_grow_t *grow)
{
    held->grow = grow;
    held->first = NULL;
    held->last = NULL;
}


int
sgamp_held_add(sgamp_held_t *held, const sgamp_event_t *event,
    sgamp_reason_e reason)
{
    u_char              *p;
    sgamp_str_t          id;
    sgamp_held_piece_t  *piece;

    piece = sgamp_held_room(held, 1 + 3 * SGAMP_HELD_NUMBER + event->raw.len);
    if (piece == NULL) {
        return SGAMP_NOMEM;
    }

    /* the reason and the kind, the length, where the id is, the event */

    p = piece->last;
    *p++ = (u_char) (reason | sgamp_event_kind(event) << SGAMP_HELD_KIND);
    p = sgamp_held_write(p, event->raw.len);

    sgamp_event_id(event, &id);

    p = sgamp_held_write(p, id.len);

    if (id.len != 0) {
        p = sgamp_held_write(p, id.data - event->raw.data);
    }

    memcpy(p, event->raw.data, event->raw.len);
    piece->last = p + event->raw.len;

    return SGAMP_OK;
}


static sgamp_held_piece_t *
sgamp_held_room(sgamp_held_t *held, size_t size)
{
    size_t               n;
    sgamp_held_piece_t  *piece;

    piece = held->last;

    if (piece != NULL && size <= (size_t) (piece->end - piece->last)) {
        return piece;
    }

    n = (size > SGAMP_HELD_DATA) ? size : SGAMP_HELD_DATA;

    piece = held->grow->alloc(held->grow->data,
                              offsetof(sgamp_held_piece_t, data) + n);
    if (piece == NULL) {
        return NULL;
    }

    piece->next = NULL;
    piece->last = piece->data;
    piece->end = piece->data + n;

    if (held->last != NULL) {
        held->last->next = piece;

    } else {
        held->first = piece;
    }

    held->last = piece;

    return piece;
}


int
sgamp_held_next(const sgamp_held_t *held, sgamp_held_cursor_t *cursor,
    sgamp_held_event_t *event)
{
    size_t   offset;
    u_char  *p;

    if (cursor->piece == NULL) {
        cursor->piece = held->first;

    } else if (cursor->pos == cursor->piece->last) {
        cursor->piece = cursor->piece->next;
        cursor->pos = NULL;
    }

    if (cursor->piece == NULL) {
        return 0;
    }

    p = (cursor->pos != NULL) ? cursor->pos : cursor->piece->data;

    event->reason = *p & ((1 << SGAMP_HELD_KIND) - 1);
    event->kind = *p++ >> SGAMP_HELD_KIND;
    p = sgamp_held_read(p, &event->raw.len);
    p = sgamp_held_read(p, &event->id.len);

    offset = 0;

    if (event->id.len != 0) {
        p = sgamp_held_read(p, &offset);
    }

    event->raw.data = p;
    event->id.data = p + offset;

    cursor->pos = p + event->raw.len;

    return 1;
}


void
sgamp_held_done(sgamp_held_t *held)
{
    sgamp_held_piece_t  *piece, *next;

    for (piece = held->first; piece != NULL; piece = next) {
        next = piece->next;
        held->grow->free(held->grow->data, piece);
    }

    held->first = NULL;
    held->last = NULL;
}


static u_char *
sgamp_held_write(u_char *p, size_t n)
{
    /* seven bits a byte, the lowest first, the highest bit: more follow */

    while (n > 0x7f) {
        *p++ = (u_char) (n | 0x80);
        n >>= 7;
    }

    *p++ = (u_char) n;

    return p;
}


static u_char *
sgamp_held_read(u_char *p, size_t *n)
{
    unsigned  shift;

    *n = 0;

    for (shift = 0; *p & 0x80; shift += 7) {
        *n |= (size_t) (*p++ & 0x7f) << shift;
    }

    *n |= (size_t) *p++ << shift;

    return p;
}
