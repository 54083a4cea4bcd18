
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_HASHED_H_INCLUDED_
#define _SGAMP_HASHED_H_INCLUDED_


#include "sgamp_digest.h"
#include "sgamp_json.h"


#define SGAMP_HASHED_MAX  16  /* strings of an event that are known */


typedef struct {
    sgamp_json_value_t   value;
    sgamp_json_value_t   address; /* value without white space around, empty:
                                     value is no address */
    const u_char        *at;      /* its "@", NULL: it is escaped */
    sgamp_hash_text_t    text;    /* what is hashed, if it is brief */
    sgamp_hash_entry_t  *entry;   /* of text, if it is brief */
    u_char               hex[SGAMP_SHA256_HEX_LEN];
    unsigned             lower:1;
    unsigned             brief:1;
    unsigned             done:1;  /* hex is set */
} sgamp_hashed_value_t;


/* what is hashed in one event, each value once only */

typedef struct {
    sgamp_hash_t          *hash;
    sgamp_hashed_value_t   values[SGAMP_HASHED_MAX];
    unsigned               n;
    sgamp_hashed_value_t   other;        /* what was found last beyond them */
    unsigned               addresses:1;  /* there is one */
    unsigned               more:1;       /* an address found no room */
} sgamp_hashed_t;


void sgamp_hashed_init(sgamp_hashed_t *hashed, sgamp_hash_t *hash);

/*
 * Makes a string known, NULL if there are too many: then any string with an
 * "@" may be it.  If lower is set, it is hashed in lower case, and has no white
 * space around it.
 */
sgamp_hashed_value_t *sgamp_hashed_add(sgamp_hashed_t *hashed,
    const sgamp_json_value_t *value, unsigned lower);

/*
 * Writes the hash of a value: of the text of a string, decoded, or of the JSON
 * text of any other.
 */
void sgamp_hashed_write(sgamp_hashed_t *hashed, sgamp_sink_t *sink,
    const sgamp_json_value_t *value, unsigned lower);

/*
 * Finds a known string that is an address, which is to have an "@", whatever
 * the letter case, the escapes and the white space around it are; if one found
 * no room, any string with an "@" may be it, and is found until the next call.
 * NULL if there is none.
 */
sgamp_hashed_value_t *sgamp_hashed_find(sgamp_hashed_t *hashed,
    const sgamp_str_t *string);

/*
 * Whether such a string may be in an event besides where it was found.  If
 * not, *plain is set when the event is known to be ASCII without an escape.
 */
int sgamp_hashed_elsewhere(const sgamp_hashed_t *hashed,
    const sgamp_str_t *raw, unsigned *plain);

/* writes the hash of a known string */
void sgamp_hashed_put(sgamp_hashed_t *hashed, sgamp_sink_t *sink,
    sgamp_hashed_value_t *value);


#endif /* _SGAMP_HASHED_H_INCLUDED_ */
