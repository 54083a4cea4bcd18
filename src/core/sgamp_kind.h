
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_KIND_H_INCLUDED_
#define _SGAMP_KIND_H_INCLUDED_


#include "sgamp_json.h"


/* the events of SendGrid's Event Webhook, and opens by a machine */

typedef enum {
    SGAMP_KIND_PROCESSED = 0,
    SGAMP_KIND_DROPPED,
    SGAMP_KIND_DEFERRED,
    SGAMP_KIND_DELIVERED,
    SGAMP_KIND_BOUNCE,
    SGAMP_KIND_OPEN,
    SGAMP_KIND_CLICK,
    SGAMP_KIND_SPAMREPORT,
    SGAMP_KIND_UNSUBSCRIBE,
    SGAMP_KIND_GROUP_UNSUBSCRIBE,
    SGAMP_KIND_GROUP_RESUBSCRIBE,
    SGAMP_KIND_ACCOUNT_STATUS_CHANGE,
    SGAMP_KIND_RECEIVED,
    SGAMP_KIND_MACHINE_OPEN,
    SGAMP_KIND_OTHER,
    SGAMP_KINDS /* number of kinds */
} sgamp_kind_e;


/*
 * The kind of an event from the value of "event", whose letter case does not
 * matter, nor do escapes.  An open by a machine is SGAMP_KIND_OPEN here.
 */
sgamp_kind_e sgamp_kind(const sgamp_json_value_t *name);

/* the kind with a name in lower case, or SGAMP_KIND_OTHER */
sgamp_kind_e sgamp_kind_lookup(const u_char *name, size_t len);

/* the name of a kind, a string that is never freed */
const char *sgamp_kind_name(sgamp_kind_e kind);


#endif /* _SGAMP_KIND_H_INCLUDED_ */
