
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_COHORT_LEDGER_H_INCLUDED_
#define _SGAMP_COHORT_LEDGER_H_INCLUDED_


#include "sgamp_cohort_contact.h"


/*
 * What all workers know of what was sent to SendGrid: lists and custom fields,
 * messages in work and done, the newest run and the last change of each contact
 * of a list, and SendGrid's limits.
 *
 * All is in tables of a fixed size without a pointer, in memory of the
 * caller's: a process that is killed while it writes loses an entry at worst.
 * A table has sets of a few entries; the entry of a set that was not used for
 * the longest time is given up for a new one, but a message in work only if
 * all of its set are in work.
 *
 * Three quarters of the memory are for contacts, 24 bytes each and 8 bytes for
 * 16 of them; a message has 80 bytes, a list 64, a custom field 64, a limit 40,
 * and the last changes of a list have 40.
 *
 *        size   contacts  messages  lists  changed  fields  limits
 *       32768        992        56     16       16      16      16
 *       65536       1984       128     40       40      16      16
 *     1048576      32080      2104    640      712     320      96
 *    10485760     320976     20992   6400     7168    3200    1024
 *   104857600    3209904    209920  64000    71680   32000   10240
 *
 * Sets do not fill evenly: half as many contacts have room almost without loss.
 *
 * The caller holds a lock during each call.  Times are milliseconds of one
 * clock that all callers share and that never goes back, and are neither 0 nor
 * above 2^42, unless something else is said.  The clocks of two callers may be
 * a minute apart; a time in the ledger that is later is not believed.
 */


#define SGAMP_LEDGER_MIN_SIZE   32768    /* bytes */
#define SGAMP_LEDGER_HEAD       192      /* bytes that stay as they are */
#define SGAMP_LEDGER_MAX_RESET  3600000  /* ms: a limit holds no longer */


/* of a text, or of several in their order: made of their SHA-256 */

typedef struct {
    uint64_t  part[2];
} sgamp_ledger_key_t;


typedef struct sgamp_ledger_s  sgamp_ledger_t;


/* how many of each a ledger has room for */

typedef struct {
    uint32_t  lists;
    uint32_t  fields;
    uint32_t  messages;
    uint32_t  contacts;
    uint32_t  limits;
    uint32_t  changed;  /* lists whose last changes are known */
} sgamp_ledger_count_t;


/* the numbers of a message that is done */

typedef struct {
    uint32_t  received;
    uint32_t  added;
    uint32_t  removed;
    uint32_t  skipped;
    uint32_t  calls;
} sgamp_ledger_summary_t;


typedef enum {
    SGAMP_LEDGER_BEGUN = 0, /* the message is the caller's to work on */
    SGAMP_LEDGER_IN_WORK,   /* of another request */
    SGAMP_LEDGER_DONE
} sgamp_ledger_message_e;


/* who works on a message */

typedef struct {
    uint64_t  process;
    uint64_t  request;  /* unique in the process */
} sgamp_ledger_owner_t;


/* returns 0 if a process is gone */
typedef int (*sgamp_ledger_alive_pt)(uint64_t process);


/* what to do with a contact */

typedef enum {
    SGAMP_LEDGER_CHANGE = 0, /* make the change */
    SGAMP_LEDGER_STALE,      /* a newer run has decided: nothing is done */
    SGAMP_LEDGER_SETTLING    /* a change of the other kind may be on its way */
} sgamp_ledger_contact_e;


typedef struct {
    uint64_t           list;    /* sgamp_siphash() of the list's id */
    uint64_t           run;     /* ms since the epoch */
    sgamp_operation_e  operation;
    uint64_t           window;  /* ms: how long a change may be on its way */
    uint64_t           now;
} sgamp_ledger_change_t;


/* SGAMP_OK, or SGAMP_NOMEM: OpenSSL has failed */
int sgamp_ledger_key(sgamp_ledger_key_t *key, const sgamp_str_t *texts,
    unsigned n);

/*
 * Makes an empty ledger in size bytes of memory, aligned to 64 bytes; key is
 * for the hashes of contacts.  NULL: size is below SGAMP_LEDGER_MIN_SIZE.
 */
sgamp_ledger_t *sgamp_ledger_init(void *memory, size_t size,
    const sgamp_siphash_key_t *key);

/*
 * The ledger that somebody else has made in at most size bytes of memory, or
 * NULL: there is none, or that of another build.
 */
sgamp_ledger_t *sgamp_ledger_open(void *memory, size_t size);

const sgamp_siphash_key_t *sgamp_ledger_hash_key(const sgamp_ledger_t *l);

/*
 * Fills an empty ledger, whose key becomes that of the other ledger; of the
 * contacts of a set those with the newest changes stay, and of the rest those
 * that were used last.
 */
void sgamp_ledger_copy(sgamp_ledger_t *to, const sgamp_ledger_t *from,
    uint64_t now);

void sgamp_ledger_room(const sgamp_ledger_t *l, sgamp_ledger_count_t *room);


/* each returns 1 if the entry was found */

int sgamp_ledger_list(sgamp_ledger_t *l, const sgamp_ledger_key_t *key,
    u_char id[SGAMP_UUID_LEN], uint64_t now);
void sgamp_ledger_set_list(sgamp_ledger_t *l, const sgamp_ledger_key_t *key,
    const u_char id[SGAMP_UUID_LEN], uint64_t now);
void sgamp_ledger_forget_list(sgamp_ledger_t *l,
    const sgamp_ledger_key_t *key);

int sgamp_ledger_field(sgamp_ledger_t *l, const sgamp_ledger_key_t *key,
    sgamp_field_definition_t *definition, uint64_t now);
void sgamp_ledger_set_field(sgamp_ledger_t *l, const sgamp_ledger_key_t *key,
    const sgamp_field_definition_t *definition, uint64_t now);
void sgamp_ledger_forget_field(sgamp_ledger_t *l,
    const sgamp_ledger_key_t *key);


/*
 * Begins to work on a message, or tells that the message is in work, until at
 * most "until", by an owner whose process is alive, or that the message is
 * done, with its summary.  *run is set to the run that the first request of the
 * message gave; a message that failed is begun anew and keeps its run.
 */
sgamp_ledger_message_e sgamp_ledger_begin(sgamp_ledger_t *l,
    const sgamp_ledger_key_t *key, const sgamp_ledger_owner_t *owner,
    sgamp_ledger_alive_pt alive, uint64_t *run, uint64_t until, uint64_t now,
    sgamp_ledger_summary_t *summary);

/* forgets a message that is not in work */
void sgamp_ledger_forget_message(sgamp_ledger_t *l,
    const sgamp_ledger_key_t *key);

/*
 * Ends the work of an owner: done, with a summary, or failed (NULL).  Nothing
 * happens if another owner has the message, or if the message was given up.
 * If "forget" is set the message is forgotten.
 */
void sgamp_ledger_end(sgamp_ledger_t *l, const sgamp_ledger_key_t *key,
    const sgamp_ledger_owner_t *owner, const sgamp_ledger_summary_t *summary,
    unsigned forget, uint64_t now);

/*
 * Decides about the contact with a hash, and notes the run if it is the newest.
 * If the change is to be made it is noted as on its way from now on; call this
 * before each request that holds the contact.  With "ask" set nothing is noted
 * but the run.  A contact without a change, of whose set a contact was given up
 * less than a window after a change, goes by the last change of the list.
 */
sgamp_ledger_contact_e sgamp_ledger_contact(sgamp_ledger_t *l,
    const sgamp_ledger_change_t *change, uint64_t hash, unsigned ask);

/* a change that sgamp_ledger_contact() has noted was accepted now */
void sgamp_ledger_accepted(sgamp_ledger_t *l,
    const sgamp_ledger_change_t *change, uint64_t hash);

/* ms until a contact that is settling has settled, at least 1 */
uint64_t sgamp_ledger_settles(sgamp_ledger_t *l,
    const sgamp_ledger_change_t *change, uint64_t hash);


/*
 * Takes one call out of a limit.  Returns 0, or the ms to wait before asking
 * again.  A tenth of a limit from 10 on, rounded up, is left to others; a limit
 * that is not known, or whose time is over, has room.
 */
uint64_t sgamp_ledger_take(sgamp_ledger_t *l, const sgamp_ledger_key_t *key,
    uint64_t now);

/*
 * What an answer says; limit is 0 if unknown; reset in ms from now, 0: nothing
 * is noted.  A later window takes the place of the one before, in one window
 * the smaller remaining counts, and none remaining holds until the reset.
 */
void sgamp_ledger_limit(sgamp_ledger_t *l, const sgamp_ledger_key_t *key,
    uint32_t limit, uint32_t remaining, uint64_t reset, uint64_t now);


#endif /* _SGAMP_COHORT_LEDGER_H_INCLUDED_ */
