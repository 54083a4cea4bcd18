
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TEST_LIST_H_INCLUDED_
#define _SGAMP_TEST_LIST_H_INCLUDED_


#include "sgamp_cohort_contact.h"
#include "sgamp_test_env.h"


#define SGAMP_TEST_FIELDS  4 /* custom fields, at most */

#define SGAMP_TEST_DEFAULT                                                    \
    "email=email user_id;first_name=first_name;last_name=last_name"
#define SGAMP_TEST_CUSTOM  "email=user_id;*c=p q r"


/* contacts, and what they are made with */

typedef struct {
    sgamp_test_env_t           env;      /* the parser */
    sgamp_contact_rules_t      rules;
    sgamp_siphash_key_t        key;
    sgamp_test_heap_t          heap;     /* of the contacts */
    sgamp_contacts_t           contacts;
    sgamp_field_definition_t   definitions[SGAMP_TEST_FIELDS];
    sgamp_test_buf_t           results;  /* for each user: a, n or i */
    sgamp_test_buf_t           out;
    size_t                     crowded;  /* users after whom slots are few */
    int                        status;
} sgamp_test_list_t;


/*
 * Rules are "field=property property ...;field=...", a custom field has an
 * asterisk before the name.  Fields have the ids e1_T, e2_T, and are texts.
 */
void sgamp_test_list_init(sgamp_test_list_t *t, const char *rules,
    unsigned item);

/* adds the users of an array */
void sgamp_test_list_parse(sgamp_test_list_t *t, const void *text, size_t n);

/* writes a contact to t->out, nothing if there is no such contact */
void sgamp_test_list_write(sgamp_test_list_t *t, uint32_t i);

/* sets the types of custom fields, a letter each: T, N, D, or missing */
void sgamp_test_list_types(sgamp_test_list_t *t, const char *types);

/* one test if memory was not freed, and no test otherwise */
void sgamp_test_list_done(sgamp_test_list_t *t);


#endif /* _SGAMP_TEST_LIST_H_INCLUDED_ */
