
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_ELEMENT_H_INCLUDED_
#define _SGAMP_ELEMENT_H_INCLUDED_


#include "sgamp_names.h"


#define SGAMP_MAX_HITS  48  /* of an element */


/* a member of an element whose name says how to treat the member */

typedef struct {
    uint32_t  start;   /* offset of the key, if the key has no escape */
    uint32_t  end;     /* past the key */
    uint32_t  next;    /* start of the next key; 0: none follows yet */
    unsigned  treat; /* of the name */
} sgamp_hit_t;


/* one element of the webhook's array, valid while its handler runs */

typedef struct {
    sgamp_str_t   raw;                   /* the element as it was sent */
    uint32_t      ends[SGAMP_MAX_KEYS];  /* offset past the last such key */
    uint32_t      seen;                  /* bits of the keys that occurred */
    sgamp_hit_t   hits[SGAMP_MAX_HITS];
    unsigned      nhits;                 /* may be above SGAMP_MAX_HITS */
    unsigned      follow;                /* the last hit has no next yet */
    unsigned      object;
} sgamp_element_t;


/* what a parser sets; inline, since each key comes through here */

static inline void sgamp_element_begin(sgamp_element_t *element,
    unsigned object);
static inline void sgamp_element_key(sgamp_element_t *element, int key,
    uint32_t end);

/* a key with this name, or with none if name is NULL */
static inline void sgamp_element_hit(sgamp_element_t *element,
    const sgamp_name_t *name, uint32_t start, uint32_t end);


static inline void
sgamp_element_begin(sgamp_element_t *element, unsigned object)
{
    element->seen = 0;
    element->nhits = 0;
    element->follow = 0;
    element->object = object;
}


static inline void
sgamp_element_key(sgamp_element_t *element, int key, uint32_t end)
{
    element->seen |= (uint32_t) 1 << key;
    element->ends[key] = end;
}


static inline void
sgamp_element_hit(sgamp_element_t *element, const sgamp_name_t *name,
    uint32_t start, uint32_t end)
{
    sgamp_hit_t  *hit;

    if (element->follow) {
        element->hits[element->nhits - 1].next = start;
        element->follow = 0;
    }

    if (name == NULL || name->treat == 0) {
        return;
    }

    if (element->nhits < SGAMP_MAX_HITS) {
        hit = &element->hits[element->nhits];
        hit->start = start;
        hit->end = end;
        hit->next = 0;
        hit->treat = name->treat;

        element->follow = 1;
    }

    element->nhits++;
}


#endif /* _SGAMP_ELEMENT_H_INCLUDED_ */
