
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_ELEMENT_H_INCLUDED_
#define _SGAMP_ELEMENT_H_INCLUDED_


#include "sgamp_names.h"


#define SGAMP_MAX_HITS  48  /* of an element */


/*
 * Members from a key on, up to the next hit, that are treated alike.  A member
 * that is hashed is a hit of its own, and so is a member whose key may have an
 * escape.  Before the first hit are members whose names say nothing.
 */

typedef struct {
    uint32_t  start;   /* offset of the key */
    uint32_t  end;     /* past the key */
    unsigned  treat;   /* as the name of the key says, 0: has no name */
} sgamp_hit_t;


/* one element of the webhook's array, valid while its handler runs */

typedef struct {
    sgamp_str_t   raw;                   /* the element as it was sent */
    uint32_t      ends[SGAMP_MAX_KEYS + 1];  /* offset past the last such
                                                key; the last: of no key */
    uint32_t      seen;                  /* bits of the keys that occurred */
    sgamp_hit_t   hits[SGAMP_MAX_HITS];
    unsigned      nhits;                 /* may be above SGAMP_MAX_HITS */
    unsigned      treat;                 /* of the members that come now */
    unsigned      unsure;                /* keys of hits may have escapes */
    unsigned      object;
} sgamp_element_t;


/* what a parser sets; inline, since each key comes through here */

static inline void sgamp_element_begin(sgamp_element_t *element,
    unsigned object);

/*
 * A key of len bytes with this name, or with none if name is NULL; end is the
 * offset past the key.
 */
static inline void sgamp_element_key(sgamp_element_t *element,
    const sgamp_name_t *name, size_t len, uint64_t end);


static inline void
sgamp_element_begin(sgamp_element_t *element, unsigned object)
{
    element->seen = 0;
    element->nhits = 0;
    element->treat = 0;
    element->unsure = 0;
    element->object = object;
}


static inline void
sgamp_element_key(sgamp_element_t *element, const sgamp_name_t *name,
    size_t len, uint64_t end)
{
    unsigned      treat;
    sgamp_hit_t  *hit;

    treat = 0;

    if (name != NULL) {
        treat = name->treat;

        element->seen |= name->bit;
        element->ends[name->place] = (uint32_t) end;
    }

    if (treat == element->treat && (treat & SGAMP_NAMES_HASH) == 0) {
        return;
    }

    element->treat = treat;

    if (element->nhits < SGAMP_MAX_HITS) {
        hit = &element->hits[element->nhits];
        hit->start = (uint32_t) (end - len - 2);
        hit->end = (uint32_t) end;
        hit->treat = treat;
    }

    element->nhits++;
}


#endif /* _SGAMP_ELEMENT_H_INCLUDED_ */
