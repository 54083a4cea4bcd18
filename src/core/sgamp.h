
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_H_INCLUDED_
#define _SGAMP_H_INCLUDED_


/*
 * "-std=c99" and "-std=c11" hide u_char, unless this stands before the first
 * header of libc: files of the core include it first
 */

#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE  1
#endif

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>


#define SGAMP_VERSION  "0.1.0"


/*
 * The core maps SendGrid events to Amplitude payloads.  It does no I/O, reads
 * no clock and keeps no state of its own: every struct belongs to the caller,
 * and so does all memory, which is asked for through sgamp_grow_t.
 *
 * Functions that return int return one of the codes below.  Any code but
 * SGAMP_OK is final for the object that returned it: it is not used again.
 */

#define SGAMP_OK         0
#define SGAMP_INVALID    -1 /* not the JSON that a webhook has to be */
#define SGAMP_TOO_LARGE  -2 /* a token, a gap or an event over its limit */
#define SGAMP_NOMEM      -3 /* an allocation failed */


#define SGAMP_MAX_DEPTH    40    /* levels; the event itself is the first */
#define SGAMP_MAX_USER_ID  1024  /* characters */
#define SGAMP_MAX_KEYS     32    /* keys looked up in one event */
#define SGAMP_MAX_MEMBER   64    /* bytes of a name in a root object */
#define SGAMP_FEED_SIZE    16384  /* bytes given to yajl at a time */
#define SGAMP_PIECE_SIZE   16384 /* bytes allocated for a piece of payload */


#define SGAMP_LITTLE_ENDIAN  (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)


/* eight bytes at a time */

#define SGAMP_ONES  0x0101010101010101ull
#define SGAMP_HIGH  0x8080808080808080ull

/*
 * The high bits of bytes that are ch, and maybe of some that are more
 * significant: the lowest one is right, and is the first in memory if it is
 * little-endian.
 */

#define sgamp_bytes(w, ch)   sgamp_zeroes((w) ^ (SGAMP_ONES * (ch)))
#define sgamp_zeroes(w)      (((w) - SGAMP_ONES) & ~(w) & SGAMP_HIGH)


typedef struct {
    size_t   len;
    u_char  *data;
} sgamp_str_t;


#define sgamp_str(text)          { sizeof(text) - 1, (u_char *) text }

/* zeroes the members of a struct from one on and before another one */
#define sgamp_zero(p, type, from, to)                                         \
    memset((u_char *) (p) + offsetof(type, from), 0,                          \
           offsetof(type, to) - offsetof(type, from))

/* copies bytes, most often between 8 and 64 of them */
static inline void sgamp_copy(u_char *dst, const u_char *src, size_t n);

/* whether a string is the len bytes at p */
static inline int sgamp_same(const sgamp_str_t *str, const u_char *p,
    size_t len);

/* the same for at most 16 bytes; 0 if there are more */
static inline int sgamp_same_brief(const sgamp_str_t *str, const u_char *p,
    size_t len);


/*
 * Where memory comes from.  alloc() returns NULL when there is none; free()
 * gets what alloc() returned, never NULL.
 */

typedef struct {
    void  *(*alloc)(void *data, size_t size);
    void   (*free)(void *data, void *p);
    void  *data;
} sgamp_grow_t;


/*
 * Where bytes go.  [pos, last) is room to write; next() makes at least one
 * byte of room when the room is used up, or fails.  The first failure stays in
 * status, and nothing is written after the failure.
 */

typedef struct sgamp_sink_s  sgamp_sink_t;

struct sgamp_sink_s {
    u_char  *pos;
    u_char  *last;
    u_char  *start;   /* of the room, for sgamp_sink_size() only */
    size_t   before;  /* bytes that were written before start, may wrap */
    int      (*next)(sgamp_sink_t *sink);
    int      status;
};


/* bytes that were written so far */
#define sgamp_sink_size(sink)                                                 \
    ((sink)->before + ((sink)->pos - (sink)->start))


static inline void
sgamp_copy(u_char *dst, const u_char *src, size_t n)
{
    size_t  i;

    /* what is copied twice is cheaper than a call of memcpy() */

    if (n > 64 || n < 8) {
        memcpy(dst, src, n);
        return;
    }

    if (n <= 16) {
        memcpy(dst, src, 8);
        memcpy(dst + n - 8, src + n - 8, 8);
        return;
    }

    for (i = 0; i < n - 16; i += 16) {
        memcpy(dst + i, src + i, 16);
    }

    memcpy(dst + n - 16, src + n - 16, 16);
}


static inline int
sgamp_same(const sgamp_str_t *str, const u_char *p, size_t len)
{
    if (len <= 16) {
        return sgamp_same_brief(str, p, len);
    }

    return str->len == len && memcmp(str->data, p, len) == 0;
}


static inline int
sgamp_same_brief(const sgamp_str_t *str, const u_char *p, size_t len)
{
    uint32_t       h[4];
    uint64_t       w[4];
    const u_char  *s;

    /* a call of memcmp() costs more than this */

    if (str->len != len || len > 16) {
        return 0;
    }

    s = str->data;

    if (len >= 8) {
        memcpy(&w[0], s, 8);
        memcpy(&w[1], p, 8);
        memcpy(&w[2], s + len - 8, 8);
        memcpy(&w[3], p + len - 8, 8);

        return ((w[0] ^ w[1]) | (w[2] ^ w[3])) == 0;
    }

    if (len >= 4) {
        memcpy(&h[0], s, 4);
        memcpy(&h[1], p, 4);
        memcpy(&h[2], s + len - 4, 4);
        memcpy(&h[3], p + len - 4, 4);

        return ((h[0] ^ h[1]) | (h[2] ^ h[3])) == 0;
    }

    while (len != 0 && *s == *p) {
        s++;
        p++;
        len--;
    }

    return len == 0;
}


#endif /* _SGAMP_H_INCLUDED_ */
