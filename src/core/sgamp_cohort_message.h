
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_COHORT_MESSAGE_H_INCLUDED_
#define _SGAMP_COHORT_MESSAGE_H_INCLUDED_


#include "sgamp_cohort.h"
#include "sgamp_json.h"


/*
 * What a message of Amplitude's says besides its users: the members of the root
 * object, in any order, of which the last with a name counts.
 */


#define SGAMP_MESSAGE_TEXT  1024  /* bytes of a text, the rest is cut */


typedef enum {
    SGAMP_MESSAGE_WEBHOOK = 0, /* the Cohort Webhook */
    SGAMP_MESSAGE_CREATE,      /* the list API: finds or makes a list */
    SGAMP_MESSAGE_ADD,
    SGAMP_MESSAGE_REMOVE
} sgamp_message_form_e;


/* must not be moved; texts are UTF-8, decoded and repaired, empty if missing */

typedef struct {
    sgamp_message_form_e  form;
    u_char                texts[3][SGAMP_MESSAGE_TEXT];
    sgamp_str_t           cohort_id;
    sgamp_str_t           name;        /* of the cohort, or of the list */
    sgamp_str_t           message_id;
    uint64_t              run;         /* computed_time in ms, or 0 */
    unsigned              users;       /* bits of the arrays of users */
    unsigned              in_cohort:1;
    unsigned              boolean:1;   /* in_cohort is a boolean */
    unsigned              mixed:1;     /* see sgamp_message_member() */
    unsigned              long_cohort_id:1;  /* was cut */
    unsigned              long_name:1;
    unsigned              long_message_id:1;
} sgamp_message_t;


/* how a list is named, and found; must not be moved */

typedef struct {
    u_char       buf[SGAMP_LIST_NAME];
    sgamp_str_t  name;
    sgamp_str_t  end;      /* of the names of the same list, a slice of name */
    sgamp_str_t  id;       /* of the cohort, a slice of the message; or empty */
    unsigned     exact:1;  /* end is the whole name of the list */
} sgamp_list_name_t;


/* names of the arrays of users in each form, for sgamp_parser_root() */
const sgamp_str_t *sgamp_message_arrays(sgamp_message_form_e form,
    unsigned *n);

void sgamp_message_init(sgamp_message_t *m, sgamp_message_form_e form);

/*
 * Takes a member of the root object, see sgamp_root_pt; returns 1 if the member
 * stands in place of an array of users with the same name, and 0 if not.  Then
 * the caller forgets all users that came before.  A message that has users in
 * an array of another name, too, is not valid: these would be forgotten.
 */
int sgamp_message_member(sgamp_message_t *m, const sgamp_str_t *name,
    const sgamp_str_t *value);

/*
 * Whether the members that the form needs are there and of the right kind, and
 * no id was cut.
 */
int sgamp_message_valid(const sgamp_message_t *m);

/*
 * Makes the name of the list of a valid message: prefix, name and
 * " [cohort_id]", at most SGAMP_LIST_NAME bytes, of which the name is cut at a
 * character, then the prefix.  Control characters become spaces.  For
 * SGAMP_MESSAGE_CREATE the cohort id is what stands behind the last ": " of
 * "[Amplitude] NAME: ID"; any other name is that of the list.  SGAMP_OK or
 * SGAMP_INVALID: the id or the other name is blank or has no room.
 */
int sgamp_list_name(sgamp_list_name_t *list, const sgamp_str_t *prefix,
    const sgamp_message_t *m);


#endif /* _SGAMP_COHORT_MESSAGE_H_INCLUDED_ */
