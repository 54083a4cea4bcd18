
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_EVENT_FILTER_H_INCLUDED_
#define _SGAMP_EVENT_FILTER_H_INCLUDED_


#include "sgamp_event_hash.h"
#include "sgamp_parser.h"


/* an event whose members are dropped, kept and hashed as the names say */

typedef struct {
    const sgamp_names_t       *names;
    const sgamp_element_t     *event;
    const sgamp_json_value_t  *user;
    unsigned                   all_hits;    /* hits tell all named members */
    unsigned                   all;         /* any string may be hashed */
    unsigned                   ascii;       /* the event has no escape, too */
    sgamp_hashed_t             hashed;
} sgamp_filter_event_t;


/*
 * Finds what is hashed in an event.  The names, the hash and the event have to
 * outlive fe; the hash may be NULL if no name is hashed.  The user is the value
 * of the user_id, without white space around.
 */
void sgamp_filter_read(sgamp_filter_event_t *fe, const sgamp_names_t *names,
    sgamp_hash_t *hash, const sgamp_element_t *event,
    const sgamp_json_value_t *user);

/*
 * Writes the object of the event without the closing bracket.  The same event
 * always gives the same bytes.  Returns whether the object has a member.
 */
int sgamp_filter_write(sgamp_filter_event_t *fe, sgamp_sink_t *sink);


#endif /* _SGAMP_EVENT_FILTER_H_INCLUDED_ */
