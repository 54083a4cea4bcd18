
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_MAPPER_H_INCLUDED_
#define _SGAMP_MAPPER_H_INCLUDED_


#include "sgamp_rules.h"


/* what became of an event */

typedef enum {
    SGAMP_IGNORED = -1, /* as the rules want it */
    SGAMP_MAPPED = 0,
    SGAMP_NOT_AN_OBJECT,
    SGAMP_NO_EVENT_TYPE,
    SGAMP_NO_USER_ID,
    SGAMP_REASONS /* how many there are */
} sgamp_reason_e;


/*
 * Writes the Amplitude event of a SendGrid event to the sink, or writes
 * nothing and says why there is none.  The same event always gives the same
 * bytes.  What fails is seen in the status of the sink.  The properties are
 * those of the rules, each a member of an object.
 */
sgamp_reason_e sgamp_map(const sgamp_rules_t *rules,
    const sgamp_event_t *event, sgamp_kind_e kind,
    const sgamp_str_t *properties, sgamp_sink_t *sink);

sgamp_kind_e sgamp_event_kind(const sgamp_event_t *event);

/* the event's sg_event_id between its quotes, empty if there is none */
void sgamp_event_id(const sgamp_event_t *event, sgamp_str_t *id);

/*
 * Finds three slices of an event that sgamp_map() has written: head is the
 * text from the opening bracket to the end of the insert_id, id is the value of
 * the insert_id, properties is the object of event_properties.
 */
void sgamp_mapped_parts(const sgamp_str_t *mapped, sgamp_str_t *head,
    sgamp_str_t *id, sgamp_str_t *properties);

/* the name of a reason but SGAMP_IGNORED, a string that is never freed */
const char *sgamp_reason(sgamp_reason_e reason);


#endif /* _SGAMP_MAPPER_H_INCLUDED_ */
