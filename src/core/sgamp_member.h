
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_MEMBER_H_INCLUDED_
#define _SGAMP_MEMBER_H_INCLUDED_


#include "sgamp.h"


/* a member of an object, slices of its text, which has passed yajl already */

typedef struct {
    sgamp_str_t    key;       /* what stands between its quotes */
    const u_char  *value;     /* the first byte of the value */
    const u_char  *end;       /* just past the value */
} sgamp_member_t;


/*
 * The next member of an object, from *p on, which is just past the opening
 * bracket at first; moves *p past the member.  Returns 0 after the last one.
 */
int sgamp_member_next(const u_char **p, const u_char *last,
    sgamp_member_t *member);

/* sets the value of a member whose key ended just before p */
void sgamp_member_value(sgamp_member_t *member, const u_char *p,
    const u_char *last);


#endif /* _SGAMP_MEMBER_H_INCLUDED_ */
