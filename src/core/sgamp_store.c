
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_store.h"


#define SGAMP_STORE_NUMBER  10 /* bytes of a number, at most */
#define SGAMP_STORE_KIND    4  /* bits of the reason, below the kind */
#define SGAMP_STORE_DATA    (SGAMP_PIECE_SIZE                                  \
                            - offsetof(sgamp_store_piece_t, data))


static sgamp_store_piece_t *sgamp_store_room(sgamp_store_t *store, size_t size);
static u_char *sgamp_store_write(u_char *p, size_t n);
static u_char *sgamp_store_read(u_char *p, size_t *n);


void
sgamp_store_init(sgamp_store_t *store, sgamp_grow_t *grow)
{
    store->grow = grow;
    store->first = NULL;
    store->last = NULL;
}


int
sgamp_store_add(sgamp_store_t *store, const sgamp_stored_t *element)
{
    u_char               *p;
    sgamp_store_piece_t  *piece;

    piece = sgamp_store_room(store, 1 + 3 * SGAMP_STORE_NUMBER
                                    + element->raw.len);
    if (piece == NULL) {
        return SGAMP_NOMEM;
    }

    /* the reason and the kind, the length, where the id is, the element */

    p = piece->last;
    *p++ = (u_char) (element->reason | element->kind << SGAMP_STORE_KIND);
    p = sgamp_store_write(p, element->raw.len);
    p = sgamp_store_write(p, element->id.len);

    if (element->id.len != 0) {
        p = sgamp_store_write(p, element->id.data - element->raw.data);
    }

    memcpy(p, element->raw.data, element->raw.len);
    piece->last = p + element->raw.len;

    return SGAMP_OK;
}


static sgamp_store_piece_t *
sgamp_store_room(sgamp_store_t *store, size_t size)
{
    size_t                n;
    sgamp_store_piece_t  *piece;

    piece = store->last;

    if (piece != NULL && size <= (size_t) (piece->end - piece->last)) {
        return piece;
    }

    n = (size > SGAMP_STORE_DATA) ? size : SGAMP_STORE_DATA;

    piece = store->grow->alloc(store->grow->data,
                              offsetof(sgamp_store_piece_t, data) + n);
    if (piece == NULL) {
        return NULL;
    }

    piece->next = NULL;
    piece->last = piece->data;
    piece->end = piece->data + n;

    if (store->last != NULL) {
        store->last->next = piece;

    } else {
        store->first = piece;
    }

    store->last = piece;

    return piece;
}


int
sgamp_store_next(const sgamp_store_t *store, sgamp_store_cursor_t *cursor,
    sgamp_stored_t *element)
{
    size_t   offset;
    u_char  *p;

    if (cursor->piece == NULL) {
        cursor->piece = store->first;

    } else if (cursor->pos == cursor->piece->last) {
        cursor->piece = cursor->piece->next;
        cursor->pos = NULL;
    }

    if (cursor->piece == NULL) {
        return 0;
    }

    p = (cursor->pos != NULL) ? cursor->pos : cursor->piece->data;

    element->reason = *p & ((1 << SGAMP_STORE_KIND) - 1);
    element->kind = *p++ >> SGAMP_STORE_KIND;
    p = sgamp_store_read(p, &element->raw.len);
    p = sgamp_store_read(p, &element->id.len);

    offset = 0;

    if (element->id.len != 0) {
        p = sgamp_store_read(p, &offset);
    }

    element->raw.data = p;
    element->id.data = p + offset;

    cursor->pos = p + element->raw.len;

    return 1;
}


void
sgamp_store_done(sgamp_store_t *store)
{
    sgamp_store_piece_t  *piece, *next;

    for (piece = store->first; piece != NULL; piece = next) {
        next = piece->next;
        store->grow->free(store->grow->data, piece);
    }

    store->first = NULL;
    store->last = NULL;
}


static u_char *
sgamp_store_write(u_char *p, size_t n)
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
sgamp_store_read(u_char *p, size_t *n)
{
    unsigned  shift;

    *n = 0;

    for (shift = 0; *p & 0x80; shift += 7) {
        *n |= (size_t) (*p++ & 0x7f) << shift;
    }

    *n |= (size_t) *p++ << shift;

    return p;
}
