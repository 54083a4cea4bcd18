
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_EVENT_MAP_H_INCLUDED_
#define _SGAMP_EVENT_MAP_H_INCLUDED_


#include "sgamp_batch.h"
#include "sgamp_event_filter.h"
#include "sgamp_event_rules.h"


/* bytes of an event up to its user_id's end: each character two escapes */

#define SGAMP_MAPPED_USER_SIZE                                                \
    (sizeof("{\"user_id\":\"\"") - 1 + 12 * SGAMP_MAX_USER_ID)


/* what became of an event */

typedef enum {
    SGAMP_IGNORED = -1, /* left out by a rule */
    SGAMP_MAPPED = 0,
    SGAMP_NOT_AN_OBJECT,
    SGAMP_NO_EVENT_TYPE,
    SGAMP_NO_USER_ID
} sgamp_reason_e;


/* a request of Amplitude's HTTP V2 API: texts around the API key and events */

#define SGAMP_EVENTS_BEFORE_KEY  "{\"api_key\":\""
#define SGAMP_EVENTS_AFTER_KEY   "\",\"events\":["
#define SGAMP_EVENTS_TAIL        "],\"options\":{\"min_id_length\":1}}"


/* how the events of a webhook are mapped */

typedef struct {
    const sgamp_rules_t  *rules;
    const sgamp_str_t    *properties;  /* of the rules, each a member */
    sgamp_hash_t         *hash;        /* NULL: nothing is hashed */
} sgamp_mapper_t;


/*
 * The writer of a batcher whose data is an sgamp_mapper_t: writes the Amplitude
 * event of a SendGrid event.  The id of the item is the insert_id, the kind is
 * an sgamp_kind_e.  Returns an sgamp_reason_e.  The same event always gives the
 * same bytes.
 */
int sgamp_map(void *data, const sgamp_element_t *event, sgamp_sink_t *sink,
    sgamp_item_t *item);

/* the event's sg_event_id between its quotes, empty if there is none */
void sgamp_event_id(const sgamp_element_t *event, sgamp_str_t *id);

/*
 * Three slices of an event that sgamp_map() has written with this item: head is
 * the text from the opening bracket to the end of the insert_id, id is the
 * value of the insert_id, properties is the object of event_properties.
 */
void sgamp_mapped_slices(const sgamp_str_t *mapped, const sgamp_item_t *item,
    sgamp_str_t *head, sgamp_str_t *id, sgamp_str_t *properties);

/*
 * The user_id of an event that sgamp_map() has written, of which at least the
 * first SGAMP_MAPPED_USER_SIZE bytes have to be there: JSON between quotes.
 */
void sgamp_mapped_user(const sgamp_str_t *mapped, sgamp_str_t *user);

/* the name of a reason but SGAMP_IGNORED, a string that is never freed */
const char *sgamp_reason(sgamp_reason_e reason);


#endif /* _SGAMP_EVENT_MAP_H_INCLUDED_ */
