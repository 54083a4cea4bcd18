
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_COHORT_ANSWER_H_INCLUDED_
#define _SGAMP_COHORT_ANSWER_H_INCLUDED_


#include "sgamp_answer.h"
#include "sgamp_cohort_contact.h"
#include "sgamp_cohort_text.h"


/*
 * What SendGrid answers to the calls of sgamp_call_e,
 * https://github.com/twilio/sendgrid-oai, tsg_mc_contacts_v3, tsg_mc_lists_v3,
 * tsg_mc_custom_fields_v3.
 */


#define SGAMP_JOB_ID      64   /* bytes of a job's id */
#define SGAMP_ERRORS_URL  256  /* bytes of errors_url */


/* facts of an answer, bits */

#define SGAMP_SENDGRID_WHOLE          0x01  /* JSON to its end, and complete */
#define SGAMP_SENDGRID_EXPECTED       0x02  /* has the members that it must */
#define SGAMP_SENDGRID_NAMES          0x04  /* contacts are marked */
#define SGAMP_SENDGRID_UNKNOWN_LIST   0x08
#define SGAMP_SENDGRID_UNKNOWN_FIELD  0x10
#define SGAMP_SENDGRID_ERRORS         0x20  /* "errors", as SendGrid's are */
#define SGAMP_SENDGRID_LAST_PAGE      0x40


/* a contact that a search has found, slices valid while the handler runs */

typedef struct {
    sgamp_str_t  asked;    /* the key, lower-cased: the address in question */
    sgamp_str_t  email;    /* the contact's own, lower-cased, or empty */
    sgamp_str_t  id;       /* a UUID in lower case */
    unsigned     listed:1; /* is on the list that the search is about */
} sgamp_found_t;


typedef enum {
    SGAMP_IMPORT_PENDING = 0, /* or a word that is not known */
    SGAMP_IMPORT_COMPLETED,
    SGAMP_IMPORT_ERRORED,  /* some contacts */
    SGAMP_IMPORT_FAILED    /* all contacts */
} sgamp_import_e;


/* what is asked for, set by the caller; the rest is zeroed */

typedef struct {
    sgamp_call_e                  call;
    uint32_t                      n;      /* contacts of the request */
    const sgamp_str_t            *end;    /* LISTS: of the list's name */
    unsigned                      exact;  /* end is the whole name */
    const sgamp_str_t            *list;   /* SEARCH: UUID of the list */
    const sgamp_contact_rules_t  *rules;  /* FIELDS */

    /* FIELDS: one for each custom field of the rules, in their order */
    sgamp_field_definition_t     *definitions;

    /*
     * SEARCH, IDENTIFY: for each contact that was found, as the contact is
     * read: what was found counts only if the action is SGAMP_NEXT and the
     * status is 200; of two calls with the same address, the last
     */
    void                        (*found)(void *data,
                                    const sgamp_found_t *found);

    /*
     * PUT: the number in the request of an address that is named, which is
     * lower-cased, or -1
     */
    sgamp_index_pt                index;
    void                         *data;
} sgamp_sendgrid_question_t;


/* an element of an array, or a contact, that is being read */

typedef struct {
    u_char              id[SGAMP_UUID_LEN];
    u_char              field[SGAMP_FIELD_ID];   /* id of a custom field */
    u_char              email[SGAMP_ADDRESS_LEN];
    size_t              field_len;
    size_t              email_len;
    sgamp_field_type_e  type;
    unsigned            names;      /* LISTS, FIELDS: that match, bits */
    unsigned            uuid:1;     /* id is there */
    unsigned            listed:1;
} sgamp_sendgrid_item_t;


typedef struct {
    sgamp_answer_t             answer;  /* must be the first */
    sgamp_sendgrid_question_t  question;

    /* set by sgamp_sendgrid_action() */

    unsigned                   facts;
    sgamp_str_t                token;    /* LISTS: of the next page, as in the
                                            URL, for a query; or empty */
    unsigned                   bad_page:1;  /* "next" is no page of lists */
    uint64_t                   applied;  /* IMPORT: created + updated + ... */
    uint64_t                   requested;
    uint64_t                   errored;

    /* set as the answer is read */

    u_char                     id[SGAMP_UUID_LEN];  /* CREATE; LISTS: of the
                                            first list that matches */
    unsigned                   nlists;   /* LISTS: that match, on this page */
    u_char                     job[SGAMP_JOB_ID];   /* PUT */
    size_t                     job_len;  /* 0: none */
    sgamp_import_e             import;   /* IMPORT */
    u_char                     errors_url[SGAMP_ERRORS_URL];
    size_t                     errors_url_len;  /* without its query,
                                            printable; 0: none */

    /* further members are the file's own */
    uint64_t                   path;
    uint64_t                   counts[6];
    sgamp_page_url_t       self;
    sgamp_page_url_t       next;
    sgamp_speech_t      texts[3];
    sgamp_sendgrid_item_t      item;
    u_char                     asked[SGAMP_ADDRESS_LEN];
    size_t                     asked_len;
    unsigned                   expected:1;
    unsigned                   lied:1;
    unsigned                   errors:1;
    unsigned                   named:1;
    unsigned                   unknown_list:1;
    unsigned                   unknown_field:1;
} sgamp_sendgrid_answer_t;


/*
 * Begins to read, as sgamp_answer_init() does; what question points to has to
 * outlive the answer.  Definitions become SGAMP_TYPE_MISSING.
 */
void sgamp_sendgrid_init(sgamp_sendgrid_answer_t *a,
    const sgamp_sendgrid_question_t *question, sgamp_grow_t *grow,
    sgamp_str_t *reserve);

void sgamp_sendgrid_feed(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t n);

/*
 * What an answer leads to; last tells whether the body is complete, status 0
 * that there was no answer.
 *
 * SGAMP_FORWARD  PUT, REMOVE: accepted
 * SGAMP_NEXT     any other call: did what it should; a search that found
 *                nobody, too
 * SGAMP_REFUSE   SendGrid refuses the key
 * SGAMP_REJECT   PUT: contacts are marked; the facts may tell of a list or of a
 *                custom field, too.  CREATE: no list was made, the caller reads
 *                the lists again.  IMPORT: SendGrid does not know the job
 * SGAMP_HALVE    the request is wrong or too large.  404 of REMOVE: the list or
 *                a contact is gone, the caller looks at the status
 * SGAMP_WAIT     SendGrid's limit
 * SGAMP_RETRY    no answer, SendGrid fails or lies.  PUT: also a list or a
 *                custom field that is not known, see the facts
 */
sgamp_action_e sgamp_sendgrid_action(sgamp_sendgrid_answer_t *a,
    unsigned status, unsigned last);

void sgamp_sendgrid_done(sgamp_sendgrid_answer_t *a);


/*
 * A limit of SendGrid's as its headers say: seconds left, or a Unix time if
 * large; now is in seconds since the epoch.  Returns ms until the limit is full
 * again, an hour at most.
 */
uint64_t sgamp_sendgrid_reset(uint64_t value, uint64_t now);


#endif /* _SGAMP_COHORT_ANSWER_H_INCLUDED_ */
