
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_FAULT_H_INCLUDED_
#define _SGAMP_FAULT_H_INCLUDED_


#include "sgamp.h"


/*
 * Finds the first token that is out of place in the text of a JSON value,
 * RFC 8259, which begins at data and has well-formed tokens up to that one.
 * Sets the offsets of its first byte and of the byte behind it.  Returns 0 if
 * no token is out of place before last.
 */
int sgamp_fault_find(const u_char *data, const u_char *last, size_t *from,
    size_t *to);


/* the length of the token at p, which yajl has found to be well-formed */
size_t sgamp_fault_token(const u_char *p, const u_char *last);


#endif /* _SGAMP_FAULT_H_INCLUDED_ */
