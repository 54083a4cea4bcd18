
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_H_INCLUDED_
#define _SGAMP_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>


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
#define SGAMP_FEED_SIZE    16384  /* bytes given to yajl at a time */
#define SGAMP_PIECE_SIZE   16384 /* bytes allocated for a piece of payload */


typedef struct {
    size_t   len;
    u_char  *data;
} sgamp_str_t;


#define sgamp_str(text)          { sizeof(text) - 1, (u_char *) text }


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
 * byte of it when it is used up, or fails.  The first failure stays in
 * status, and nothing is written after it.
 */

typedef struct sgamp_sink_s  sgamp_sink_t;

struct sgamp_sink_s {
    u_char  *pos;
    u_char  *last;
    int      (*next)(sgamp_sink_t *sink);
    int      status;
};


#endif /* _SGAMP_H_INCLUDED_ */
