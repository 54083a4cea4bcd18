
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_NAMES_H_INCLUDED_
#define _SGAMP_NAMES_H_INCLUDED_


#include "sgamp.h"


#define SGAMP_NAMES_SLOTS   256
#define SGAMP_NAMES_NO_KEY  -1
#define SGAMP_NAMES_MAX     UINT16_MAX

/* how the members with a name are treated, bits */

#define SGAMP_NAMES_DROP    0x1
#define SGAMP_NAMES_KEEP    0x2
#define SGAMP_NAMES_HASH    0x4
#define SGAMP_NAMES_LOWER   0x8  /* hashed in lower case, white space cut */


typedef struct {
    sgamp_str_t  text;
    int          key;      /* number of the key, or SGAMP_NAMES_NO_KEY */
    unsigned     treat;
    uint32_t     bit;      /* of the key, or 0 */
    uint32_t     place;    /* key, or SGAMP_MAX_KEYS */
    unsigned     alone;    /* 1: of its slot, and at most 16 bytes long */
} sgamp_name_t;


/*
 * The names of top-level members that rules have.  A name is looked up once,
 * and tells the number of a key, how to treat members, or both.  A table of
 * zeroes has no name.
 */

typedef struct {
    sgamp_name_t  *names;                         /* in the order of slots */
    uint32_t       first[SGAMP_NAMES_SLOTS + 1];  /* name of a slot */
    uint16_t       heads[SGAMP_NAMES_SLOTS];      /* the same from 1, 0: none */
    uint32_t       n;
    uint32_t       size;        /* names there is room for */
    unsigned       nkeys;
    unsigned       treat;     /* of all names */
    unsigned       doubtful:1;  /* yajl may take other text for a key's name */
    unsigned       replaced:1;  /* a treated name has U+FFFD */
    sgamp_name_t   keys[SGAMP_MAX_KEYS];          /* room for the first names */
} sgamp_names_t;


/* the table has room for SGAMP_MAX_KEYS names, and must not be moved */
void sgamp_names_init(sgamp_names_t *names);

/* moves the names to larger room of the caller, for size names in all */
void sgamp_names_reserve(sgamp_names_t *names, sgamp_name_t *room,
    uint32_t size);

/*
 * Both functions add a name, unless the table has the name already.  The text
 * of the name has to outlive the table.
 */

/* returns the number of the key, counted from 0, or -1: too many keys */
int sgamp_names_key(sgamp_names_t *names, const sgamp_str_t *name);

/*
 * Adds one action to those of a name.  As soon as one name is kept, all that
 * are not kept are dropped.  SGAMP_TOO_LARGE if there is no room.
 */
int sgamp_names_add(sgamp_names_t *names, const sgamp_str_t *name,
    unsigned action);

/*
 * Finds the name that the inside of a JSON string is when decoded; returns 0
 * if there is no such name.  Broken UTF-8 may be two names, one with the same
 * bytes and one with U+FFFD in their place: members are treated as both say.
 */
int sgamp_names_decode(const sgamp_names_t *names, const sgamp_str_t *string,
    sgamp_name_t *found);

/*
 * Searches an object for keys: sets ends[i] to the offset past the last key
 * with number i, and returns the bits of the numbers that occur.  yajl takes
 * half of a surrogate pair for a question mark, or for a part of another
 * character; this function takes the half for U+FFFD, as all other code does.
 */
uint32_t sgamp_names_keys(const sgamp_names_t *names,
    const sgamp_str_t *object, uint32_t ends[SGAMP_MAX_KEYS]);

/* what becomes of members with a name, bits */
unsigned sgamp_names_treat(const sgamp_names_t *names,
    const sgamp_str_t *name);


static inline unsigned
sgamp_names_slot(const u_char *text, size_t len)
{
    if (len == 0) {
        return 0;
    }

    /* the keys that most events have are in slots of their own */

    return ((unsigned) len + text[0] + 8 * text[len - 1]) % SGAMP_NAMES_SLOTS;
}


static inline unsigned
sgamp_names_head(const sgamp_names_t *names, const u_char *text, size_t len)
{
    /* the number, from 1, of the first name that may have this text, or 0 */

    return names->heads[sgamp_names_slot(text, len)];
}


static inline const sgamp_name_t *
sgamp_names_lookup(const sgamp_names_t *names, const u_char *text, size_t len)
{
    uint32_t  i;
    unsigned  slot;

    /* the name with this text, or NULL */

    slot = sgamp_names_slot(text, len);

    for (i = names->first[slot]; i < names->first[slot + 1]; i++) {
        if (sgamp_same(&names->names[i].text, text, len)) {
            return &names->names[i];
        }
    }

    return NULL;
}


#endif /* _SGAMP_NAMES_H_INCLUDED_ */
