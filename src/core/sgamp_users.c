
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_text.h"
#include "sgamp_users.h"


#define SGAMP_USERS_FIRST  16   /* ids that there is room for at first */
#define SGAMP_USERS_MAX    2000 /* a request has no more events */

/* bytes of an event that hold its user_id, each character a pair of escapes */

#define SGAMP_USERS_HEAD   (sizeof("{\"user_id\":\"\"") - 1)
#define SGAMP_USERS_SIZE   (SGAMP_USERS_HEAD + 12 * SGAMP_MAX_USER_ID)

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */

#define SGAMP_USERS_BASIS  0xcbf29ce484222325ull
#define SGAMP_USERS_PRIME  0x100000001b3ull


static uint64_t sgamp_users_hash(uint64_t hash, const u_char *p, size_t n);
static uint64_t sgamp_users_event(const sgamp_batch_t *batch, uint32_t i);


int
sgamp_users_add(sgamp_grow_t *grow, uint64_t **users, uint32_t *n,
    uint32_t *nalloc, const u_char *id, size_t len)
{
    uint32_t   size;
    uint64_t  *array;

    if (*n == SGAMP_USERS_MAX) {
        return SGAMP_OK;
    }

    if (*n == *nalloc) {
        size = *nalloc ? 2 * *nalloc : SGAMP_USERS_FIRST;

        array = grow->alloc(grow->data, size * sizeof(uint64_t));
        if (array == NULL) {
            return SGAMP_NOMEM;
        }

        if (*users != NULL) {
            memcpy(array, *users, *n * sizeof(uint64_t));
            grow->free(grow->data, *users);
        }

        *users = array;
        *nalloc = size;
    }

    (*users)[(*n)++] = sgamp_users_hash(SGAMP_USERS_BASIS, id, len);

    return SGAMP_OK;
}


void
sgamp_users_mark(const sgamp_batch_t *batch, const sgamp_part_t *part,
    const uint64_t *users, uint32_t n, u_char *marks, unsigned bits)
{
    uint32_t  i, k;
    uint64_t  hash;

    for (i = 0; i < part->n; i++) {
        hash = sgamp_users_event(batch, part->index[i]);

        for (k = 0; k < n; k++) {
            if (users[k] == hash) {
                marks[i] |= bits;
                break;
            }
        }
    }
}


static uint64_t
sgamp_users_hash(uint64_t hash, const u_char *p, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        hash = (hash ^ p[i]) * SGAMP_USERS_PRIME;
    }

    return hash;
}


static uint64_t
sgamp_users_event(const sgamp_batch_t *batch, uint32_t i)
{
    u_char         utf8[SGAMP_TEXT_CHAR], buf[SGAMP_USERS_SIZE];
    size_t         len;
    uint64_t       hash;
    const u_char  *p, *last;

    /* of the id as it is, however it is escaped in the payload */

    len = sgamp_batch_event(batch, i, buf, sizeof(buf));

    p = buf + SGAMP_USERS_HEAD - 1;
    last = buf + ((len < sizeof(buf)) ? len : sizeof(buf));

    hash = SGAMP_USERS_BASIS;

    while (p < last && *p != '"') {
        len = sgamp_text_encode(utf8, sgamp_json_next(&p, last));
        hash = sgamp_users_hash(hash, utf8, len);
    }

    return hash;
}
