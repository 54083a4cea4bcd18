
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_EVENT_RULES_H_INCLUDED_
#define _SGAMP_EVENT_RULES_H_INCLUDED_


#include "sgamp_kind.h"
#include "sgamp_names.h"


#define SGAMP_MAX_USER_KEYS   16
#define SGAMP_MAX_PROPERTIES  16


/* numbers of the keys that all rules begin with */

enum {
    SGAMP_KEY_EVENT = 0,
    SGAMP_KEY_TIMESTAMP,
    SGAMP_KEY_EVENT_ID,
    SGAMP_KEY_EMAIL,
    SGAMP_KEY_MACHINE_OPEN,
    SGAMP_KEY_COMMON /* number of these keys */
};


/* what becomes of the events with a name */

typedef struct {
    sgamp_str_t  name;       /* in lower case; not set for a known kind */
    sgamp_str_t  type;       /* event_type, JSON; NULL: prefix and name */
    unsigned     ignored:1;
} sgamp_rules_event_t;


/* how events are mapped, the same for all events of a location */

typedef struct {
    sgamp_names_t         names;               /* of keys, and with actions */
    sgamp_str_t           prefix;                      /* JSON */
    unsigned              users[SGAMP_MAX_USER_KEYS];  /* keys, first to last */
    unsigned              nusers;
    sgamp_rules_event_t   kinds[SGAMP_KINDS];  /* other: not in others */
    sgamp_rules_event_t  *others;              /* events of no known kind */
    unsigned              nothers;
    uint32_t              hashed;              /* bits of keys */
    uint32_t              properties[SGAMP_MAX_PROPERTIES];  /* key bits */
    unsigned              nproperties;
    unsigned              ip;                  /* key, if client_ip is set */
    unsigned              lowercase:1;
    unsigned              client_ip:1;
} sgamp_rules_t;


/*
 * Starts rules without keys for user_id; the rules must not be moved.  The
 * functions below that add to the rules return SGAMP_OK or, for too many,
 * SGAMP_TOO_LARGE.  Names and types have to outlive the rules.
 */
void sgamp_rules_init(sgamp_rules_t *rules);

/* adds the next key for user_id */
int sgamp_rules_user(sgamp_rules_t *rules, const sgamp_str_t *name);

/* sends the "ip" of an event that a reader causes, such as an open */
int sgamp_rules_client_ip(sgamp_rules_t *rules);

/*
 * Adds the next property, which is left out of events that send a member of
 * this name.  To be called after all names with actions were added.
 */
int sgamp_rules_property(sgamp_rules_t *rules, const sgamp_str_t *name);

/* to be called at the end: finds the keys whose values are hashed */
void sgamp_rules_done(sgamp_rules_t *rules);

/* what becomes of an event of this kind and name */
const sgamp_rules_event_t *sgamp_rules_event(const sgamp_rules_t *rules,
    sgamp_kind_e kind, const sgamp_str_t *name);


#endif /* _SGAMP_EVENT_RULES_H_INCLUDED_ */
