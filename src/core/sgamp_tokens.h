
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TOKENS_H_INCLUDED_
#define _SGAMP_TOKENS_H_INCLUDED_


#include "sgamp_parser.h"


/*
 * The two halves of the parser: sgamp_parser.c gives bytes to yajl, and
 * sgamp_tokens.c hears from yajl what they mean.
 */

#define sgamp_parser_is_space(c)                                              \
    ((c) == ' ' || (c) == '\t' || (c) == '\n' || (c) == '\r')


void sgamp_tokens_init(sgamp_parser_t *p);

/* notes a key of the open element */
int sgamp_keys_note(void *ctx, const u_char *key, size_t len);

/*
 * Reads the keys of an object at its end once more, if that is needed: yajl
 * takes half of a surrogate pair for a question mark, or for a part of another
 * character, and everything else here takes it for U+FFFD.
 */
void sgamp_keys_verify(sgamp_parser_t *p);

/* where something other than white space and a comma begins, or end */
uint64_t sgamp_tokens_gap(sgamp_parser_t *p, uint64_t end);

/*
 * Sets from and to to the token that is out of place in the open element,
 * whose bytes begin at data and are well-formed tokens up to it.  Returns 0 if
 * there is none before last.
 */
int sgamp_tokens_misplaced(sgamp_parser_t *p, const u_char *data,
    const u_char *last, uint64_t *from, uint64_t *to);

/* the offset just past the token that yajl reports */
uint64_t sgamp_tokens_consumed(sgamp_parser_t *p);

/* adds to the open element; SGAMP_OK or SGAMP_NOMEM */
int sgamp_parser_append(sgamp_parser_t *p, const u_char *data, size_t n);

/* notes the first and final fault, returns the status */
int sgamp_parser_fail(sgamp_parser_t *p, int status, uint64_t at);


#endif /* _SGAMP_TOKENS_H_INCLUDED_ */
