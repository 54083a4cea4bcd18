
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_ANSWER_H_INCLUDED_
#define _SGAMP_ANSWER_H_INCLUDED_


#include "sgamp_arena.h"


/*
 * Reads the body of an answer, a JSON object, as it comes, within limits that
 * are counted in bytes.  What the members mean is the reader's business.
 */


/* the mark of an element that an answer names */

#define SGAMP_ANSWER_REJECTED   0x0f  /* the reader's reason, 0: none */
#define SGAMP_ANSWER_THROTTLED  0x80


/* what an answer leads to */

typedef enum {
    SGAMP_FORWARD = 0, /* all elements were accepted */
    SGAMP_NEXT,        /* this step is done: the same elements, next step */
    SGAMP_SELECT,      /* so are the elements that are marked; next step */
    SGAMP_REFUSE,      /* none ever will be: the request itself is wrong */
    SGAMP_REJECT,      /* the elements that are marked never will be */
    SGAMP_HALVE,       /* some elements never will be; the answer names none */
    SGAMP_THROTTLE,    /* the elements that are marked may be later */
    SGAMP_WAIT,        /* all may be later, too many were sent */
    SGAMP_RETRY        /* all elements may be later, or were already */
} sgamp_action_e;


/* a table of these: the first rule that fits applies; the last fits always */

typedef struct {
    unsigned        from;   /* status lines, 0: there was no answer */
    unsigned        to;
    unsigned        needs;  /* facts that have to be true, the flow's bits */
    sgamp_action_e  action;
} sgamp_answer_rule_t;


typedef enum {
    SGAMP_ANSWER_EMPTY = 0,
    SGAMP_ANSWER_JSON,  /* an object so far */
    SGAMP_ANSWER_WHOLE, /* an object to its end, white space may follow */
    SGAMP_ANSWER_OTHER, /* not to be parsed */
    SGAMP_ANSWER_BROKEN /* began as an object, and is none */
} sgamp_answer_body_e;


/* where a byte of an answer stands */

typedef struct {
    size_t    token;    /* bytes of the open token */
    size_t    nesting;  /* open brackets */
    unsigned  quoted;   /* the open token is a string */
    unsigned  escaped;  /* by the backslash before */
} sgamp_answer_place_t;


typedef struct sgamp_answer_s  sgamp_answer_t;


/*
 * Takes what was read at answer->depth; a number is text of any length.  A
 * reader of brackets has both open() and close(): answer->depth counts the
 * bracket that opens, and no longer counts the bracket that closes.
 */

typedef struct {
    void  (*key)(sgamp_answer_t *answer, const u_char *p, size_t len);
    void  (*string)(sgamp_answer_t *answer, const u_char *p, size_t len);
    void  (*number)(sgamp_answer_t *answer, const u_char *p, size_t len);
    void  (*open)(sgamp_answer_t *answer, unsigned array);
    void  (*close)(sgamp_answer_t *answer);
} sgamp_answer_reader_t;


struct sgamp_answer_s {
    sgamp_arena_t                 arena;   /* must be the first */
    const sgamp_answer_reader_t  *reader;
    yajl_handle                   yajl;
    sgamp_grow_t                 *grow;
    size_t                        size;    /* bytes so far */
    size_t                        limit;   /* bytes, at most, see below */
    sgamp_answer_place_t          place;   /* of the next byte */
    sgamp_answer_body_e           body;
    unsigned                      depth;   /* open brackets that yajl saw */
    uint32_t                      n;       /* elements of the request */
    u_char                       *marks;   /* NULL: none is named */
    unsigned                      failed;  /* no memory; must be the last */
};


/*
 * Starts to read the answer to a request of n elements.  Needs
 * sgamp_answer_done(); reader, grow and reserve have to outlive it; reserve is
 * as in sgamp_arena.h.  1 MB is parsed, unless the reader then sets another
 * limit.
 */
void sgamp_answer_init(sgamp_answer_t *a, const sgamp_answer_reader_t *reader,
    uint32_t n, sgamp_grow_t *grow, sgamp_str_t *reserve);

/*
 * Reads the next n bytes.  The result does not depend on how an answer is
 * cut.  What is nested too deep is skipped; a token or an answer that is too
 * long ends the reading, and so the answer is never whole.
 */
void sgamp_answer_feed(sgamp_answer_t *a, const u_char *data, size_t n);

/* the answer's object has n bytes, which the reader has read without yajl */
void sgamp_answer_read(sgamp_answer_t *a, size_t n);

/*
 * The action of the first rule that fits a status line and facts; SGAMP_RETRY
 * if there was no memory for what the answer says.
 */
sgamp_action_e sgamp_answer_action(const sgamp_answer_t *a,
    const sgamp_answer_rule_t *rules, unsigned status, unsigned facts);

/* makes the marks, zeroed; SGAMP_NOMEM: the answer has failed */
int sgamp_answer_marks(sgamp_answer_t *a);

void sgamp_answer_done(sgamp_answer_t *a);


#endif /* _SGAMP_ANSWER_H_INCLUDED_ */
