
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_NAMES_H_INCLUDED_
#define _SGAMP_NAMES_H_INCLUDED_


#include "sgamp.h"


#define SGAMP_NAMES_LENGTHS  64  /* longer ones share the last */
#define SGAMP_MAX_MARKS      48  /* of an event; more are looked for again */

/* what becomes of the members of a name */

#define SGAMP_NAMES_DROP     0x1
#define SGAMP_NAMES_KEEP     0x2
#define SGAMP_NAMES_HASH     0x4
#define SGAMP_NAMES_LOWER    0x8  /* in lower case, no space around it */


typedef struct {
    sgamp_str_t  text;
    unsigned     actions;
} sgamp_name_t;


/* names of top-level members, by length; zeroed: none */

typedef struct {
    sgamp_name_t  *names;
    uint64_t       hints;      /* bits of lengths and first characters */
    uint32_t       first[SGAMP_NAMES_LENGTHS + 1];
    uint32_t       n;
    uint32_t       size;       /* names there is room for */
    unsigned       actions;    /* of all names */
    unsigned       replaced:1; /* one has a U+FFFD */
} sgamp_names_t;


/* a top-level member that has one of the names */

typedef struct {
    uint32_t  start; /* offset of the key, if it has no escape */
    uint32_t  end;   /* past the key */
    uint32_t  next;  /* of the next key, if it has no escape; 0: none */
    uint32_t  name;  /* number of the name */
} sgamp_mark_t;


/* the caller gives room for so many names */
void sgamp_names_init(sgamp_names_t *names, sgamp_name_t *room,
    uint32_t size);

/*
 * Adds one action to those of a name, whose text has to outlive the table.
 * As soon as one name is kept, all that are not kept are dropped.
 */
int sgamp_names_add(sgamp_names_t *names, const sgamp_str_t *name,
    unsigned action);

/* the name that the inside of a JSON string is when decoded, or NULL */
const sgamp_name_t *sgamp_names_decode(const sgamp_names_t *names,
    const sgamp_str_t *string);

/* what becomes of members with a name, bits */
unsigned sgamp_names_actions(const sgamp_names_t *names,
    const sgamp_str_t *name);


static inline int
sgamp_names_same(const u_char *a, const u_char *b, size_t len)
{
    uint32_t  u, v;
    uint64_t  w, x, y, z;

    /* names are short, and a call of memcmp() costs more than this */

    if (len > 16) {
        return memcmp(a, b, len) == 0;
    }

    if (len >= 8) {
        memcpy(&w, a, 8);
        memcpy(&x, b, 8);
        memcpy(&y, a + len - 8, 8);
        memcpy(&z, b + len - 8, 8);

        return ((w ^ x) | (y ^ z)) == 0;
    }

    if (len >= 4) {
        memcpy(&u, a, 4);
        memcpy(&v, b, 4);

        if (u != v) {
            return 0;
        }

        a += len - 4;
        b += len - 4;
        len = 4;
    }

    while (len != 0 && *a == *b) {
        a++;
        b++;
        len--;
    }

    return len == 0;
}


static inline size_t
sgamp_names_slot(size_t len)
{
    return (len < SGAMP_NAMES_LENGTHS) ? len : SGAMP_NAMES_LENGTHS - 1;
}


static inline uint64_t
sgamp_names_hint(const u_char *text, size_t len)
{
    return (uint64_t) 1 << ((4 * len + (len ? text[0] : 0))
                            % SGAMP_NAMES_LENGTHS);
}


static inline const sgamp_name_t *
sgamp_names_find(const sgamp_names_t *names, const u_char *text, size_t len)
{
    size_t               slot;
    const sgamp_name_t  *name, *last;

    /* the name that is the text, or NULL */

    if ((names->hints & sgamp_names_hint(text, len)) == 0) {
        return NULL;
    }

    slot = sgamp_names_slot(len);

    last = names->names + names->first[slot + 1];

    for (name = names->names + names->first[slot]; name < last; name++) {
        if (name->text.len == len
            && sgamp_names_same(name->text.data, text, len))
        {
            return name;
        }
    }

    return NULL;
}


#endif /* _SGAMP_NAMES_H_INCLUDED_ */
