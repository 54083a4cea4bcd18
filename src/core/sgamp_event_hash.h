
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_EVENT_HASH_H_INCLUDED_
#define _SGAMP_EVENT_HASH_H_INCLUDED_


#include "sgamp_digest.h"
#include "sgamp_json.h"


#define SGAMP_HASHED_MAX  16  /* known strings of an event */


/* a string that is hashed */

typedef struct {
    const u_char        *quote;   /* where the string begins in the event */
    sgamp_json_value_t   value;
    sgamp_json_value_t   address; /* value without white space around; empty:
                                     value is no address */
    const u_char        *at;      /* the "@" of address, NULL: an escape */
    sgamp_hash_text_t    text;    /* decoded value, if brief */
    sgamp_hash_entry_t  *entry;   /* of text, if brief */
    u_char               hex[SGAMP_SHA256_HEX_LEN];
    unsigned             lower:1; /* hashed in lower case */
    unsigned             brief:1; /* text has room for the decoded value */
    unsigned             ready:1; /* hex is the hash */
} sgamp_hashed_value_t;


/* the known strings of one event; each is hashed once */

typedef struct {
    sgamp_hash_t          *hash;
    sgamp_hashed_value_t   values[SGAMP_HASHED_MAX];
    unsigned               n;
    sgamp_hashed_value_t   other;        /* an address beyond the values */
    unsigned               addresses;    /* 1: a string is an address */
    unsigned               more;         /* 1: an address found no room */
} sgamp_hashed_t;


static inline void sgamp_hashed_init(sgamp_hashed_t *hashed,
    sgamp_hash_t *hash);

/*
 * Makes the string known that begins with a quote in the event.  If lower is
 * set, the string is hashed in lower case, and has no white space around.
 * SGAMP_HASHED_MAX strings are known; if an address is beyond them, any string
 * with an "@" may be this address.
 */
void sgamp_hashed_add(sgamp_hashed_t *hashed, const u_char *quote,
    const sgamp_json_value_t *value, unsigned lower);

/* the known string that begins with this quote of the event, or NULL */
sgamp_hashed_value_t *sgamp_hashed_at(sgamp_hashed_t *hashed,
    const u_char *quote);

/*
 * Writes the hash of a value: of the decoded text of a string, or of the JSON
 * text of any other value.
 */
void sgamp_hashed_write(sgamp_hashed_t *hashed, sgamp_sink_t *sink,
    const sgamp_json_value_t *value, unsigned lower);

/*
 * Finds the known string that is the same address as a string which has an "@",
 * in any letter case, with any escapes and white space around.  If an address
 * found no room, any string with an "@" is found, and stays until the next
 * call.  NULL: the string is no known address.
 */
sgamp_hashed_value_t *sgamp_hashed_find(sgamp_hashed_t *hashed,
    const sgamp_str_t *string);

/*
 * Whether a known address may be in the event once more, besides where it
 * became known.  If not, *plain is set when the event is known to be ASCII
 * without an escape.
 */
int sgamp_hashed_elsewhere(const sgamp_hashed_t *hashed,
    const sgamp_str_t *raw, unsigned *plain);

/* writes the hash of a known string */
void sgamp_hashed_put(sgamp_hashed_t *hashed, sgamp_sink_t *sink,
    sgamp_hashed_value_t *value);


static inline void
sgamp_hashed_init(sgamp_hashed_t *hashed, sgamp_hash_t *hash)
{
    hashed->hash = hash;
    hashed->n = 0;
    hashed->addresses = 0;
    hashed->more = 0;
}


#endif /* _SGAMP_EVENT_HASH_H_INCLUDED_ */
