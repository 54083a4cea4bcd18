
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_JSON_H_INCLUDED_
#define _SGAMP_JSON_H_INCLUDED_


#include "sgamp.h"


/* JSON text, RFC 8259; what is read here has passed yajl already */

typedef enum {
    SGAMP_JSON_NONE = 0,
    SGAMP_JSON_STRING, /* text is what stands between the quotes */
    SGAMP_JSON_NUMBER,
    SGAMP_JSON_TRUE,
    SGAMP_JSON_OTHER /* false, null, an object or an array; no text */
} sgamp_json_type_e;


typedef struct {
    sgamp_str_t        text;  /* a slice of the input */
    sgamp_json_type_e  type;
    unsigned           plain;   /* 1: ASCII without an escape */
    unsigned           digits;  /* of a number, 1: nothing but digits */
} sgamp_json_value_t;


#define sgamp_json_is_space(c)                                                \
    ((c) == ' ' || (c) == '\t' || (c) == '\n' || (c) == '\r')


/* a sink of size bytes at p; SGAMP_NOMEM: the text is longer */
void sgamp_sink_init(sgamp_sink_t *sink, u_char *p, size_t size);

/* makes room for at least one byte; returns 0 if the sink has failed */
int sgamp_sink_room(sgamp_sink_t *sink);

/* writes bytes as they are; sgamp_json_put() is for short and frequent texts */
void sgamp_json_write(sgamp_sink_t *sink, const u_char *p, size_t n);

static inline void sgamp_json_put(sgamp_sink_t *sink, const u_char *p,
    size_t n);

/*
 * JSON text or a part of it that splits no escape: malformed UTF-8 becomes
 * U+FFFD, one for each maximal subpart, and so does a lone surrogate escape
 */
void sgamp_json_copy(sgamp_sink_t *sink, const u_char *p, size_t n);

/* any bytes as the inside of a JSON string, with the same repairs */
void sgamp_json_escape(sgamp_sink_t *sink, const u_char *p, size_t n);

/* bytes that sgamp_json_escape() writes, at most */
size_t sgamp_json_escaped(const u_char *p, size_t n);

void sgamp_json_decimal(sgamp_sink_t *sink, uint64_t n);

/* the value that follows a key which ended just before p */
void sgamp_json_value(sgamp_json_value_t *value, const u_char *p,
    const u_char *last);

/*
 * The next character of the inside of a JSON string, escapes decoded and
 * faults read as U+FFFD; moves *p past it.  *p must be below last.
 */
uint32_t sgamp_json_next(const u_char **p, const u_char *last);

/* the first byte that is no digit, or last */
const u_char *sgamp_json_digits(const u_char *p, const u_char *last);

/* the first byte that is not ASCII or is a backslash, or last */
const u_char *sgamp_json_plain(const u_char *p, const u_char *last);


static inline void
sgamp_json_put(sgamp_sink_t *sink, const u_char *p, size_t n)
{
    /* there is nearly always room */

    if (n <= (size_t) (sink->last - sink->pos)) {

        if (__builtin_constant_p(n)) {
            memcpy(sink->pos, p, n);

        } else {
            sgamp_copy(sink->pos, p, n);
        }

        sink->pos += n;
        return;
    }

    sgamp_json_write(sink, p, n);
}


#endif /* _SGAMP_JSON_H_INCLUDED_ */
