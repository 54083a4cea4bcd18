
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_USERS_H_INCLUDED_
#define _SGAMP_USERS_H_INCLUDED_


#include "sgamp_part.h"


/*
 * Ids of users that Amplitude names, kept as hashes.  Two ids with the same
 * hash are taken for one: an event then waits without need, and is not lost.
 */

/*
 * Adds an id, UTF-8, to an array that starts as NULL and is freed by the
 * caller; ids past a limit are left out.  SGAMP_OK or SGAMP_NOMEM.
 */
int sgamp_users_add(sgamp_grow_t *grow, uint64_t **users, uint32_t *n,
    uint32_t *nalloc, const u_char *id, size_t len);

/* adds the bits to the mark of each event of the part that has such an id */
void sgamp_users_mark(const sgamp_batch_t *batch, const sgamp_part_t *part,
    const uint64_t *users, uint32_t n, u_char *marks, unsigned bits);


#endif /* _SGAMP_USERS_H_INCLUDED_ */
