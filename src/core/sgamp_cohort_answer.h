
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_COHORT_ANSWER_H_INCLUDED_
#define _SGAMP_COHORT_ANSWER_H_INCLUDED_


#include "sgamp_answer.h"
#include "sgamp_cohort_contact.h"


/*
 * What SendGrid answers to the calls of sgamp_call_e,
 * https://github.com/twilio/sendgrid-oai, tsg_mc_contacts_v3, tsg_mc_lists_v3,
 * tsg_mc_custom_fields_v3.
 */


#define SGAMP_PAGE_TOKEN  1024  /* bytes of a page's token */
#define SGAMP_JOB_ID      64    /* bytes of a job's id */


/* facts of an answer, bits for sgamp_answer_action() */

#define SGAMP_SENDGRID_WHOLE          0x01  /* JSON to its end, and complete */
#define SGAMP_SENDGRID_EXPECTED       0x02  /* has the members that it must */
#define SGAMP_SENDGRID_NAMES          0x04  /* contacts are marked */
#define SGAMP_SENDGRID_UNKNOWN_LIST   0x08
#define SGAMP_SENDGRID_UNKNOWN_FIELD  0x10
#define SGAMP_SENDGRID_ERRORS         0x20  /* "errors", as SendGrid's are */
#define SGAMP_SENDGRID_LAST_PAGE      0x40


/* a contact that a search has found, slices valid while the handler runs */

typedef struct {
    sgamp_str_t  asked;    /* the key: the address that was asked for */
    sgamp_str_t  email;    /* the contact's own address */
    sgamp_str_t  id;       /* a UUID in lower case */
    unsigned     listed:1; /* is on the list that the search is about */
} sgamp_found_t;


typedef enum {
    SGAMP_IMPORT_PENDING = 0,
    SGAMP_IMPORT_COMPLETED,
    SGAMP_IMPORT_ERRORED,  /* some contacts */
    SGAMP_IMPORT_FAILED    /* all contacts */
} sgamp_import_e;


/* what is asked for, set by the caller; the rest is zeroed */

typedef struct {
    sgamp_call_e               call;
    uint32_t                   n;           /* contacts of the request */
    const sgamp_str_t         *end;         /* LISTS: of the list's name */
    unsigned                   exact;       /* end is the whole name */
    const sgamp_str_t         *list;        /* SEARCH, PUT: UUID of the list */
    const sgamp_contact_rules_t  *rules;    /* FIELDS */
    sgamp_field_definition_t  *definitions; /* FIELDS: one per custom field */

    /* SEARCH: for each contact that was found */
    void   (*found)(void *data, const sgamp_found_t *found);

    /* PUT: the number in the request of an address that is named, or -1 */
    int32_t  (*index)(void *data, const sgamp_str_t *address);
    void     *data;
} sgamp_sendgrid_question_t;


typedef struct {
    sgamp_answer_t             answer;  /* must be the first */
    sgamp_sendgrid_question_t  question;

    unsigned        facts;               /* all but WHOLE, as read so far */
    u_char          id[SGAMP_UUID_LEN];  /* LISTS, CREATE: of the list */
    unsigned        nlists;              /* LISTS: that match, on this page */
    u_char          token[SGAMP_PAGE_TOKEN]; /* LISTS: as it was, decoded */
    size_t          token_len;           /* of the next page; 0: none */
    unsigned        bad_page:1;          /* "next" is no page of SendGrid's */
    u_char          job[SGAMP_JOB_ID];   /* PUT */
    size_t          job_len;
    sgamp_import_e  import;              /* IMPORT */
    uint64_t        requested;           /* counts; created + updated + ... */
    uint64_t        applied;
    uint64_t        errored;
    u_char          errors_url[256];     /* without its query, printable */
    size_t          errors_url_len;

    /* further members are the file's own */
    u_char          text[SGAMP_PAGE_TOKEN + 256];
    unsigned        state;
} sgamp_sendgrid_answer_t;


/* begins to read; as sgamp_answer_init() */
void sgamp_sendgrid_init(sgamp_sendgrid_answer_t *a,
    const sgamp_sendgrid_question_t *question, sgamp_grow_t *grow,
    sgamp_str_t *reserve);

void sgamp_sendgrid_feed(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t n);

/*
 * What an answer leads to, by one table for all calls; last tells whether the
 * body is complete.  SGAMP_REFUSE: SendGrid refuses the key, or a list cannot
 * be made.  SGAMP_NEXT and SGAMP_FORWARD: the call did what it should.
 */
sgamp_action_e sgamp_sendgrid_action(sgamp_sendgrid_answer_t *a,
    unsigned status, unsigned last);

void sgamp_sendgrid_done(sgamp_sendgrid_answer_t *a);


/*
 * A limit of SendGrid's as its headers say: seconds left, or a Unix time if
 * large; now is in seconds since the epoch.  Returns ms until the limit is full
 * again.
 */
uint64_t sgamp_sendgrid_reset(uint64_t value, uint64_t now);

/* whether text is a UUID in lower or upper case; writes it in lower case */
int sgamp_uuid(u_char buf[SGAMP_UUID_LEN], const u_char *p, size_t len);


#endif /* _SGAMP_COHORT_ANSWER_H_INCLUDED_ */
