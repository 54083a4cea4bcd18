
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_EVENT_ANSWER_H_INCLUDED_
#define _SGAMP_EVENT_ANSWER_H_INCLUDED_


#include "sgamp_answer.h"
#include "sgamp_event_map.h"


/*
 * Answers of Amplitude's HTTP V2 and Batch APIs,
 * https://amplitude.com/docs/apis/analytics/http-v2.  Events that an answer
 * names are marked, a byte for each event of the request.
 */

#define SGAMP_RESPONSE_FIELDS     15   /* names of fields that are kept */
#define SGAMP_RESPONSE_FIELD_LEN  64   /* bytes of such a name */


typedef struct {
    u_char  data[SGAMP_RESPONSE_FIELD_LEN];
    size_t  len;
} sgamp_response_field_t;


/* the top-level keys that are looked at */

typedef enum {
    SGAMP_RESPONSE_UNKNOWN = 0,
    SGAMP_RESPONSE_CODE,
    SGAMP_RESPONSE_ERROR,
    SGAMP_RESPONSE_MISSING_FIELD,
    SGAMP_RESPONSE_INGESTED,
    SGAMP_RESPONSE_EVENTS_WITH,
    SGAMP_RESPONSE_SILENCED_EVENTS,
    SGAMP_RESPONSE_THROTTLED_EVENTS,
    SGAMP_RESPONSE_THROTTLED_USERS
} sgamp_response_key_e;


/* reads the body of an answer as it comes and keeps what the answer names */

typedef struct {
    sgamp_answer_t          answer;      /* must be the first */
    sgamp_response_key_e    key;         /* the top-level key that is open */
    uint64_t               *users;       /* hashes of the ids that were named */
    uint32_t                nusers;
    uint32_t                nalloc;

    int64_t                 ingested;    /* events, -1: the answer has none */

    unsigned                code:1;      /* "code" is 200 */
    unsigned                counted:1;   /* there is "events_ingested" */
    unsigned                refused:1;   /* missing field, invalid key */
    unsigned                rejected:1;  /* an event was named */

    /* the fields that events were rejected for; the last entry takes all
       fields that find no room; entries that are not used are not set */
    unsigned                nfields;
    unsigned                field;       /* being read */
    sgamp_response_field_t  fields[SGAMP_RESPONSE_FIELDS];
} sgamp_response_t;


/*
 * Starts to read the answer to a request of n events.  Needs
 * sgamp_response_done(); grow and reserve have to outlive it.
 */
void sgamp_response_init(sgamp_response_t *rs, uint32_t n, sgamp_grow_t *grow,
    sgamp_str_t *reserve);

/* reads the next n bytes, as sgamp_answer_feed() does */
void sgamp_response_feed(sgamp_response_t *rs, const u_char *data, size_t n);

/*
 * The action that follows from an answer with this status, 0: no answer.
 * complete says whether the body was read to the end that the connection has
 * told.
 */
sgamp_action_e sgamp_response_action(sgamp_response_t *rs, unsigned status,
    unsigned complete, const sgamp_batch_t *batch, const sgamp_part_t *part);

/* the field that the n-th event of the request was rejected for, or empty */
sgamp_str_t sgamp_response_field(const sgamp_response_t *rs, uint32_t n);

void sgamp_response_done(sgamp_response_t *rs);


#endif /* _SGAMP_EVENT_ANSWER_H_INCLUDED_ */
