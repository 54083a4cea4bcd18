
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_COHORT_H_INCLUDED_
#define _SGAMP_COHORT_H_INCLUDED_


#include "sgamp.h"


/*
 * The words of the flow of cohorts: Amplitude's cohorts become contacts on
 * lists of SendGrid's Marketing Campaigns.
 */


#define SGAMP_UUID_LEN   36   /* characters of an id of SendGrid's */
#define SGAMP_LIST_NAME  100  /* bytes of a list's name, at most */


/* calls to SendGrid, in the order of the label "call" */

typedef enum {
    SGAMP_CALL_LISTS = 0, /* GET lists: a page */
    SGAMP_CALL_CREATE,    /* POST lists */
    SGAMP_CALL_FIELDS,    /* GET field_definitions */
    SGAMP_CALL_PUT,       /* PUT contacts */
    SGAMP_CALL_SEARCH,    /* POST contacts/search/emails */
    SGAMP_CALL_IDENTIFY,  /* POST contacts/search/identifiers/email */
    SGAMP_CALL_REMOVE,    /* DELETE lists/ID/contacts */
    SGAMP_CALL_IMPORT,    /* GET contacts/imports/JOB */
    SGAMP_CALLS           /* how many there are */
} sgamp_call_e;


/* what a message does to its contacts, the label "operation" */

typedef enum {
    SGAMP_ADD = 0,
    SGAMP_REMOVE,
    SGAMP_OPERATIONS
} sgamp_operation_e;


/* what became of a contact or a user, the label "result" */

typedef enum {
    SGAMP_CONTACT_ACCEPTED = 0, /* SendGrid has answered 202 */
    SGAMP_CONTACT_APPLIED,      /* the change took effect */
    SGAMP_CONTACT_ABSENT,       /* not on the list: nothing to remove */
    SGAMP_CONTACT_STALE,        /* a newer run has decided already */
    SGAMP_CONTACT_NO_EMAIL,
    SGAMP_CONTACT_INVALID_EMAIL,
    SGAMP_CONTACT_REFUSED,      /* by SendGrid */
    SGAMP_CONTACT_UNKNOWN,      /* whether the change took effect */
    SGAMP_CONTACT_RESULTS
} sgamp_contact_result_e;


#endif /* _SGAMP_COHORT_H_INCLUDED_ */
