
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_FILTER_H_INCLUDED_
#define _SGAMP_FILTER_H_INCLUDED_


#include "sgamp_hashed.h"
#include "sgamp_member.h"
#include "sgamp_parser.h"


typedef struct {
    sgamp_member_t         member;
    sgamp_hashed_value_t  *hashed;  /* what its value is, or NULL */
    unsigned               actions;
} sgamp_filter_member_t;


/*
 * An event with those of its members that a name stands for.  If these are
 * too many, or if others have to be looked at, they are searched for again.
 */

typedef struct {
    const sgamp_names_t       *names;
    const sgamp_event_t       *event;
    const sgamp_json_value_t  *user;
    const u_char              *next;    /* where the search goes on, or NULL */
    sgamp_filter_member_t      members[SGAMP_MAX_MARKS];
    unsigned                   n;
    unsigned                   plain:1; /* the marks tell all that is asked */
    unsigned                   all:1;   /* any string may be to be hashed */
    unsigned                   ascii;   /* the event has nothing else, and no
                                           escape */
    sgamp_hashed_t             hashed;
} sgamp_filter_event_t;


/*
 * The names, the hash and the event have to outlive fe; the hash may be NULL
 * if no name is hashed.  The user is the value of the user_id, without white
 * space around.
 */
void sgamp_filter_read(sgamp_filter_event_t *fe, const sgamp_names_t *names,
    sgamp_hash_t *hash, const sgamp_event_t *event,
    const sgamp_json_value_t *user);

/*
 * Writes the object without its closing bracket, once.  The same event always
 * gives the same bytes.  Returns whether it has a member.
 */
int sgamp_filter_write(sgamp_filter_event_t *fe, sgamp_sink_t *sink);


#endif /* _SGAMP_FILTER_H_INCLUDED_ */
