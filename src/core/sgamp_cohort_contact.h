
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_COHORT_CONTACT_H_INCLUDED_
#define _SGAMP_COHORT_CONTACT_H_INCLUDED_


#include "sgamp_address.h"
#include "sgamp_cohort.h"
#include "sgamp_cohort_field.h"
#include "sgamp_parser.h"
#include "sgamp_siphash.h"


/*
 * The contacts of a message: users become contacts as they come, each address
 * once, and stay until the message has ended.
 */


#define SGAMP_CONTACT_FIELDS      16  /* of the directive, at most */
#define SGAMP_CONTACT_PROPERTIES  8   /* of a field, at most */
#define SGAMP_FIELD_ID            32  /* bytes of a custom field's id */


typedef enum {
    SGAMP_FIELD_EMAIL = 0, /* always the first field */
    SGAMP_FIELD_FIRST_NAME,
    SGAMP_FIELD_LAST_NAME,
    SGAMP_FIELD_EXTERNAL_ID,
    SGAMP_FIELD_CUSTOM     /* name is that of a custom field */
} sgamp_field_e;


/* what SendGrid says of a custom field */

typedef struct {
    u_char              id[SGAMP_FIELD_ID];
    unsigned            len;
    sgamp_field_type_e  type;
} sgamp_field_definition_t;


/* a field of a contact, and the properties that it is made of, best first */

typedef struct {
    sgamp_field_e  kind;
    sgamp_str_t    name;
    sgamp_str_t    properties[SGAMP_CONTACT_PROPERTIES];
    unsigned       n;

    /* set by sgamp_contact_rules() */
    uint8_t        keys[SGAMP_CONTACT_PROPERTIES];  /* of the properties */
    unsigned       custom;  /* number among the custom fields */
} sgamp_contact_field_t;


/*
 * The caller sets fields and n, sgamp_contact_rules() does the rest.  Names are
 * the keys of a user that the parser has to look up: user_id and
 * user_properties for the webhook, user_id and all properties for the list API.
 * The struct must not be moved after that.
 */

typedef struct {
    sgamp_contact_field_t  fields[SGAMP_CONTACT_FIELDS];
    unsigned               n;
    unsigned               ncustom;
    sgamp_names_t          webhook;
    sgamp_names_t          item;  /* looked up in user_properties, too */
} sgamp_contact_rules_t;


/* 64 bytes at most */

typedef struct {
    u_char    *text;      /* the address, then what else is sent */
    uint64_t   hash;      /* of the address */
    uint32_t   len;       /* bytes of text */
    uint8_t    address;   /* bytes of the address */
    uint8_t    state;     /* the caller's, 0 at first */
    u_char     id[SGAMP_UUID_LEN];  /* the caller's: of SendGrid's contact */
} sgamp_contact_t;


typedef struct sgamp_contact_piece_s  sgamp_contact_piece_t;


typedef struct {
    const sgamp_contact_rules_t  *rules;
    const sgamp_siphash_key_t    *key;
    sgamp_grow_t                 *grow;
    sgamp_contact_t             **chunks;    /* see sgamp_contact_at() */
    uint32_t                      nchunks;   /* there is room for */
    uint32_t                      n;
    unsigned                      item:1;    /* set by the caller: users are
                                                items of the list API */
    /* further members are the file's own */
    sgamp_contact_piece_t        *pieces;    /* of text, that with room first */
    uint32_t                     *slots;     /* number of a contact plus 1 */
    uint32_t                      nslots;
} sgamp_contacts_t;


#define SGAMP_CONTACT_CHUNK  512  /* contacts that are allocated at once */

/* the i-th contact, in the order of the first users */
#define sgamp_contact_at(c, i)                                                \
    (&(c)->chunks[(i) / SGAMP_CONTACT_CHUNK][(i) % SGAMP_CONTACT_CHUNK])


/* SGAMP_OK, or SGAMP_TOO_LARGE: too many different properties */
int sgamp_contact_rules(sgamp_contact_rules_t *rules);

/* rules, key and grow have to outlive the contacts */
void sgamp_contacts_init(sgamp_contacts_t *c,
    const sgamp_contact_rules_t *rules, const sgamp_siphash_key_t *key,
    sgamp_grow_t *grow);

/*
 * Adds a user, who is a string (a user_id) or an object, as the parser found
 * the user with the names of the rules.  A user with an address that was there
 * takes the place of the contact, which keeps its number, and what is the
 * caller's.  Sets *result to SGAMP_CONTACT_ACCEPTED, ..._NO_EMAIL or
 * ..._INVALID_EMAIL.  Returns SGAMP_OK or SGAMP_NOMEM.
 *
 * White space around values is cut.  Names are cut to 50 characters, and the
 * external_id to 254 bytes, at a character.
 */
int sgamp_contacts_add(sgamp_contacts_t *c, const sgamp_element_t *user,
    sgamp_contact_result_e *result);

/* the number of the contact with a lower-cased address, or -1 */
int32_t sgamp_contacts_find(const sgamp_contacts_t *c, const u_char *address,
    size_t len);

/*
 * Writes a contact as an element of "contacts" in PUT /v3/marketing/contacts.
 * definitions has one for each custom field of the rules, in their order; the
 * first of its values that fits the type of a field is written, see
 * sgamp_field_types().
 */
void sgamp_contact_write(const sgamp_contacts_t *c, uint32_t i,
    const sgamp_field_definition_t *definitions, sgamp_sink_t *sink);

/* forgets all contacts, frees all memory; may be called more than once */
void sgamp_contacts_done(sgamp_contacts_t *c);


#endif /* _SGAMP_COHORT_CONTACT_H_INCLUDED_ */
