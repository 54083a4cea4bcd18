
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_EVENT_RULES_H_INCLUDED_
#define _SGAMP_EVENT_RULES_H_INCLUDED_


#include "sgamp_kind.h"
#include "sgamp_names.h"


#define SGAMP_MAX_USER_KEYS   16
#define SGAMP_MAX_PROPERTIES  16

/* what a type and the prefix begin with: the end of user_id, and the name */

#define SGAMP_RULES_BEFORE_TYPE  "\",\"event_type\":\""


/* numbers of the keys that all rules begin with */

enum {
    SGAMP_KEY_EVENT = 0,
    SGAMP_KEY_TIMESTAMP,
    SGAMP_KEY_EVENT_ID,
    SGAMP_KEY_EMAIL,
    SGAMP_KEY_MACHINE_OPEN,
    SGAMP_KEY_COMMON /* number of these keys */
};


/* what a rule says of a name: of an event, or of a member of events */

typedef enum {
    SGAMP_RULES_USER = 0, /* the member is the next key for user_id */
    SGAMP_RULES_ONLY,     /* the event is forwarded, and no event without
                             this rule is */
    SGAMP_RULES_IGNORE,   /* the event is not forwarded */
    SGAMP_RULES_TYPE,     /* the event has an event_type of its own */
    SGAMP_RULES_DROP,     /* the member is left out */
    SGAMP_RULES_KEEP,     /* all members without this rule are left out */
    SGAMP_RULES_HASH,     /* the value of the member is hashed */
    SGAMP_RULES_PROPERTY  /* the next property, which is left out of events
                             that send a member of this name */
} sgamp_rules_e;


/* what a rule changes */

typedef enum {
    SGAMP_RULES_USED = 0,
    SGAMP_RULES_UNUSED,   /* nothing, since another rule says so */
    SGAMP_RULES_PUBLIC    /* less than it may: what is hashed is sent as it
                             is, too */
} sgamp_rules_use_e;


/* what becomes of the events with a name */

typedef struct {
    sgamp_str_t  name;       /* in lower case; not set for a known kind */
    sgamp_str_t  type;       /* BEFORE_TYPE and the event_type, JSON; NULL:
                                prefix and name */
    unsigned     ignored:1;
    unsigned     only:1;     /* as the rules say */
    unsigned     ignore:1;
} sgamp_rules_event_t;


/* how events are mapped, the same for all events of a location */

typedef struct {
    sgamp_grow_t          grow;
    sgamp_names_t         names;               /* of keys, and of rules */
    sgamp_str_t           prefix;              /* as a type */
    unsigned              users[SGAMP_MAX_USER_KEYS];  /* keys, first to last */
    unsigned              nusers;
    sgamp_rules_event_t   kinds[SGAMP_KINDS];  /* other: not in others */
    sgamp_rules_event_t  *others;              /* events of no known kind */
    unsigned              nothers;
    unsigned              nalloc;              /* others */
    uint32_t              hashed;              /* bits of keys */
    uint32_t              properties[SGAMP_MAX_PROPERTIES];  /* key bits */
    unsigned              nproperties;
    unsigned              ip;                  /* key, if client_ip is set */
    unsigned              lowercase:1;         /* set by the caller */
    unsigned              client_ip:1;
    unsigned              only:1;              /* there is such a rule */
} sgamp_rules_t;


/*
 * Starts rules, which must not be moved and are freed by sgamp_rules_done().
 * The functions below that add to the rules return SGAMP_OK, SGAMP_TOO_LARGE
 * for too many, or SGAMP_NOMEM.
 */
void sgamp_rules_init(sgamp_rules_t *rules, const sgamp_grow_t *grow);

/* the text before the name of an event that has no type; has to be set */
int sgamp_rules_prefix(sgamp_rules_t *rules, const sgamp_str_t *text);

/*
 * Adds a rule, in any order but for properties, which come after the members
 * that are dropped or kept.  The name of an event is in lower case.  Names have
 * to outlive the rules.  The text is that of the type, which is copied, and is
 * not looked at for any other rule.
 */
int sgamp_rules_add(sgamp_rules_t *rules, sgamp_rules_e rule,
    const sgamp_str_t *name, const sgamp_str_t *text);

/* sends the "ip" of an event that a reader causes, such as an open */
int sgamp_rules_client_ip(sgamp_rules_t *rules);

/*
 * To be called when all rules were added.  The keys for user_id are
 * "amp_user_id" and "email" if no rule has set others.  An address that is
 * hashed is not sent as the reader's.
 */
int sgamp_rules_end(sgamp_rules_t *rules);

/* what a rule that was added changes, after the end */
sgamp_rules_use_e sgamp_rules_use(const sgamp_rules_t *rules,
    sgamp_rules_e rule, const sgamp_str_t *name);

/* what becomes of an event of this kind and name */
const sgamp_rules_event_t *sgamp_rules_event(const sgamp_rules_t *rules,
    sgamp_kind_e kind, const sgamp_str_t *name);

void sgamp_rules_done(sgamp_rules_t *rules);


#endif /* _SGAMP_EVENT_RULES_H_INCLUDED_ */
