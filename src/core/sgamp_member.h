
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_MEMBER_H_INCLUDED_
#define _SGAMP_MEMBER_H_INCLUDED_


#include "sgamp.h"


/* a member of an object that yajl has parsed, slices of its text */

typedef struct {
    sgamp_str_t    key;    /* what stands between the quotes */
    const u_char  *value;  /* the first byte of the value */
    const u_char  *end;    /* just past the value */
} sgamp_member_t;


/*
 * Finds the next member of an object from *p on, which is just past the opening
 * bracket at first, and moves *p past the member.  Returns 0 if there is no
 * further member.
 */
int sgamp_member_next(const u_char **p, const u_char *last,
    sgamp_member_t *member);


#endif /* _SGAMP_MEMBER_H_INCLUDED_ */
