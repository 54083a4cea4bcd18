
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_PARSER_H_INCLUDED_
#define _SGAMP_PARSER_H_INCLUDED_


#include "sgamp_arena.h"
#include "sgamp_element.h"


/* any return value but SGAMP_OK ends the parsing with it */
typedef int (*sgamp_element_pt)(void *data, const sgamp_element_t *event);

/*
 * Takes a member of the root object, valid while the handler runs: the name,
 * decoded, and the value as it was sent, empty if an array of elements begins.
 * The handler returns as that of elements does.
 */
typedef int (*sgamp_root_pt)(void *data, const sgamp_str_t *name,
    const sgamp_str_t *value);


typedef enum {
    SGAMP_PARSER_START = 0, /* byte order mark, white space */
    SGAMP_PARSER_FIRST,     /* the first bracket is next */
    SGAMP_PARSER_ARRAY,
    SGAMP_PARSER_OBJECT, /* members of the root object, see sgamp_root_pt */
    SGAMP_PARSER_SINGLE, /* one element without an array */
    SGAMP_PARSER_END    /* nothing but white space may follow */
} sgamp_parser_state_e;


/* offsets count the bytes of the webhook from 0 */

typedef struct {
    sgamp_arena_t         arena;
    yajl_callbacks        callbacks;
    yajl_handle           yajl;
    const sgamp_names_t  *names;
    sgamp_grow_t         *grow;
    size_t                max_size;   /* bytes of an event, or of a gap */
    sgamp_element_pt      handler;
    sgamp_root_pt         root;       /* NULL: a root object is an element */
    void                 *data;

    const sgamp_str_t    *arrays;     /* names of arrays of elements */
    unsigned              narrays;

    const u_char         *src;        /* what is being parsed */
    uint64_t              base;       /* offset of src */
    sgamp_str_t           portion;    /* of src, what yajl parses now */
    uint64_t              offset;     /* bytes before it were parsed */
    uint64_t              from;       /* where the element or gap begins */
    uint64_t              element;    /* where the open element begins */
    uint64_t              at;         /* where the fault is */

    sgamp_str_t           carry;      /* the open element between two feeds */
    size_t                carry_size;
    size_t                deferred;   /* the end of carry, not parsed yet */

    sgamp_parser_state_e  state;
    sgamp_str_t           name;       /* of a root member, in text */
    uint64_t              separator;  /* offset of the one that was seen */
    u_char                separates;  /* the one that comes next, or 0 */
    unsigned              depth;      /* open brackets of the element */
    unsigned              bom;        /* bytes of the byte order mark */
    int                   status;

    unsigned              open:1;     /* inside an element */
    unsigned              nested:1;   /* the array is a root member */
    unsigned              last:1;     /* no more bytes will come */

    /* not zeroed at first */
    sgamp_element_t       current;
    u_char                text[SGAMP_MAX_MEMBER];
} sgamp_parser_t;


/*
 * The parser must not be moved after it was initialized, and needs
 * sgamp_parser_done() whatever sgamp_parser_init() returned.  The names, grow
 * and reserve have to outlive the parser; reserve is as in sgamp_arena.h.
 */
int sgamp_parser_init(sgamp_parser_t *p, const sgamp_names_t *names,
    size_t max_size, sgamp_element_pt handler, void *data, sgamp_grow_t *grow,
    sgamp_str_t *reserve);

/*
 * To be called before the first byte: elements are those of the arrays with
 * these names in a root object, whose other members the handler gets.  A member
 * whose name has more than SGAMP_MAX_MEMBER bytes is skipped.  A root array
 * is read as ever.
 */
void sgamp_parser_root(sgamp_parser_t *p, const sgamp_str_t *arrays,
    unsigned narrays, sgamp_root_pt handler);

/*
 * Reads the next n bytes of a webhook, and calls the handler for each element
 * that ends in them.  The result does not depend on how a webhook is cut.
 * SGAMP_INVALID leaves the offset of the fault in p->at.
 */
int sgamp_parser_feed(sgamp_parser_t *p, const u_char *data, size_t n);

/* to be called after the last byte */
int sgamp_parser_finish(sgamp_parser_t *p);

void sgamp_parser_done(sgamp_parser_t *p);


#endif /* _SGAMP_PARSER_H_INCLUDED_ */
