
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_NAMES_H_INCLUDED_
#define _SGAMP_NAMES_H_INCLUDED_


#include "sgamp.h"


#define SGAMP_NAMES_SLOTS    256
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


/* names of top-level members, by slot; zeroed: none */

typedef struct {
    sgamp_name_t  *names;
    uint32_t       first[SGAMP_NAMES_SLOTS + 1];
    uint32_t       n;
    uint32_t       size;       /* names there is room for */
    unsigned       actions;    /* of all names */
    unsigned       replaced:1; /* a name has a U+FFFD */
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

/* whether the inside of a JSON string is a name when decoded */
int sgamp_names_is(const sgamp_str_t *string, const sgamp_str_t *name);

/* what becomes of members with a name, bits */
unsigned sgamp_names_actions(const sgamp_names_t *names,
    const sgamp_str_t *name);


static inline unsigned
sgamp_names_slot(const u_char *text, size_t len)
{
    if (len == 0) {
        return 0;
    }

    /* keeps the keys that most events have apart */

    return ((unsigned) len + 4 * text[0] + 13 * text[len - 1])
           % SGAMP_NAMES_SLOTS;
}


static inline const sgamp_name_t *
sgamp_names_find(const sgamp_names_t *names, unsigned slot,
    const u_char *text, size_t len)
{
    uint32_t  i;

    /* the name that is the text, whose slot this is, or NULL */

    for (i = names->first[slot]; i < names->first[slot + 1]; i++) {
        if (sgamp_same(&names->names[i].text, text, len)) {
            return &names->names[i];
        }
    }

    return NULL;
}


static inline const sgamp_name_t *
sgamp_names_lookup(const sgamp_names_t *names, const u_char *text, size_t len)
{
    return sgamp_names_find(names, sgamp_names_slot(text, len), text, len);
}


#endif /* _SGAMP_NAMES_H_INCLUDED_ */
