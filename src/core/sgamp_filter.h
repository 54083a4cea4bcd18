
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_FILTER_H_INCLUDED_
#define _SGAMP_FILTER_H_INCLUDED_


#include "sgamp_digest.h"
#include "sgamp_json.h"
#include "sgamp_member.h"


#define SGAMP_FILTER_LENGTHS  64  /* of names; longer ones are taken as one */
#define SGAMP_FILTER_MEMBERS  48  /* of an event that are read once only */
#define SGAMP_FILTER_HASHED   16  /* strings of an event that are hashed once */

/* what becomes of a member */

#define SGAMP_FILTER_DROP     0x1
#define SGAMP_FILTER_KEEP     0x2
#define SGAMP_FILTER_HASH     0x4
#define SGAMP_FILTER_EMAIL    0x8 /* in lower case, without space around it */


/* names of members, as text; each is there once, with all it stands for */

typedef struct {
    sgamp_str_t  text;
    unsigned     actions;
} sgamp_filter_name_t;


/* zeroed: nothing is filtered */

typedef struct {
    sgamp_filter_name_t  *names;    /* by length, then in any order */
    sgamp_hash_t         *hash;
    uint64_t              lengths;  /* bits of the lengths that occur */
    uint32_t              first[SGAMP_FILTER_LENGTHS + 1];
    uint32_t              n;
    uint32_t              size;     /* names there is room for */
    unsigned              actions;  /* of all names */
} sgamp_filter_t;


/* a value that is hashed */

typedef struct {
    sgamp_json_value_t  value;
    sgamp_json_value_t  address;  /* likewise, if it is one, or empty */
    u_char              hex[SGAMP_SHA256_HEX_LEN];
    unsigned            email:1;
    unsigned            done:1;   /* hex is set */
} sgamp_filter_value_t;


typedef struct {
    sgamp_member_t  member;
    unsigned        actions;
} sgamp_filter_member_t;


/* what is known of an event */

typedef struct {
    const sgamp_filter_t   *filter;
    const u_char           *last;
    const u_char           *next;  /* of the members that are not here */
    sgamp_filter_member_t   members[SGAMP_FILTER_MEMBERS];
    sgamp_filter_value_t    values[SGAMP_FILTER_HASHED];
    unsigned                nmembers;
    unsigned                nvalues;
    unsigned                addresses:1;
} sgamp_filter_event_t;


/* the caller gives room for so many names */
void sgamp_filter_init(sgamp_filter_t *filter, sgamp_filter_name_t *names,
    uint32_t size);

/*
 * Adds one action to those of a name, whose text has to outlive the filter.
 * As soon as one name is kept, all that are not kept are dropped.
 */
int sgamp_filter_add(sgamp_filter_t *filter, const sgamp_str_t *name,
    unsigned action);

/* what becomes of members with a name, bits */
unsigned sgamp_filter_actions(const sgamp_filter_t *filter,
    const sgamp_str_t *name);

/* reads the members of an event, the text of an object */
void sgamp_filter_read(sgamp_filter_event_t *event,
    const sgamp_filter_t *filter, const sgamp_str_t *raw);

/*
 * Writes the object without its closing bracket, once.  The same event always
 * gives the same bytes.  Returns whether it has a member.
 */
int sgamp_filter_write(sgamp_filter_event_t *event, sgamp_sink_t *sink);

/* writes the hash of a value of a member with such actions */
void sgamp_filter_digest(sgamp_filter_event_t *event, sgamp_sink_t *sink,
    const sgamp_json_value_t *value, unsigned actions);

/*
 * Writes the hash of a value and returns 1 if it is an address that is hashed
 * elsewhere in the event, whatever its letter case and escapes are.
 */
int sgamp_filter_known(sgamp_filter_event_t *event, sgamp_sink_t *sink,
    const sgamp_json_value_t *value);


#endif /* _SGAMP_FILTER_H_INCLUDED_ */
