
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_digest.h"
#include "sgamp_id.h"
#include "sgamp_mapper.h"
#include "sgamp_time.h"


#define SGAMP_MAPPER_SECONDS_LEN   11  /* digits; more are milliseconds */

#define sgamp_mapper_write(sink, text)                                        \
    sgamp_mapper_put(sink, (u_char *) text, sizeof(text) - 1)


/* the keys that every set of rules begins with */

enum {
    SGAMP_KEY_EVENT = 0,
    SGAMP_KEY_TIMESTAMP,
    SGAMP_KEY_EVENT_ID,
    SGAMP_KEY_EMAIL,
    SGAMP_KEY_MACHINE_OPEN,
    SGAMP_KEY_COMMON /* how many there are */
};


static u_char *sgamp_mapper_find(u_char *p, u_char *last, const char *text);
static inline void sgamp_mapper_put(sgamp_sink_t *sink, const u_char *p,
    size_t n);
static void sgamp_mapper_copy(sgamp_sink_t *sink,
    const sgamp_json_value_t *value);
static unsigned sgamp_mapper_user(const sgamp_rules_t *rules,
    const sgamp_event_t *event, sgamp_json_value_t *user);
static void sgamp_mapper_value(const sgamp_event_t *event, unsigned key,
    sgamp_json_value_t *value);
static void sgamp_mapper_time(sgamp_sink_t *sink,
    const sgamp_event_t *event);
static void sgamp_mapper_insert_id(sgamp_sink_t *sink,
    const sgamp_event_t *event);


static const sgamp_str_t sgamp_mapper_keys[] = {
    sgamp_str("event"),
    sgamp_str("timestamp"),
    sgamp_str("sg_event_id"),
    sgamp_str("email"),
    sgamp_str("sg_machine_open")
};


static const char *const sgamp_mapper_reasons[] = {
    "mapped",
    "not_an_object",
    "no_event_type",
    "no_user_id"
};


void
sgamp_rules_init(sgamp_rules_t *rules)
{
    unsigned  i;

    memset(rules, 0, sizeof(sgamp_rules_t));

    for (i = 0; i < SGAMP_KEY_COMMON; i++) {
        (void) sgamp_keys_add(&rules->keys, &sgamp_mapper_keys[i]);
    }
}


int
sgamp_rules_user(sgamp_rules_t *rules, const sgamp_str_t *name)
{
    int  key;

    if (rules->nusers == SGAMP_MAX_USER_KEYS) {
        return SGAMP_TOO_LARGE;
    }

    key = sgamp_keys_add(&rules->keys, name);

    if (key < 0) {
        return SGAMP_TOO_LARGE;
    }

    rules->users[rules->nusers++] = key;

    return SGAMP_OK;
}


const char *
sgamp_reason(sgamp_reason_e reason)
{
    return sgamp_mapper_reasons[reason];
}


sgamp_reason_e
sgamp_map(const sgamp_rules_t *rules, const sgamp_event_t *event,
    sgamp_sink_t *sink)
{
    unsigned            key;
    sgamp_json_value_t  type, user;

    if (!event->object) {
        return SGAMP_NOT_AN_OBJECT;
    }

    sgamp_mapper_value(event, SGAMP_KEY_EVENT, &type);

    if (type.type != SGAMP_JSON_STRING || sgamp_id_blank(&type)) {
        return SGAMP_NO_EVENT_TYPE;
    }

    key = sgamp_mapper_user(rules, event, &user);

    if (user.type == SGAMP_JSON_NONE) {
        return SGAMP_NO_USER_ID;
    }

    sgamp_mapper_write(sink, "{\"user_id\":\"");

    if (rules->lowercase && key == SGAMP_KEY_EMAIL) {
        sgamp_id_lowercase(sink, &user.text);

    } else {
        sgamp_mapper_copy(sink, &user);
    }

    sgamp_mapper_write(sink, "\",\"event_type\":\"");
    sgamp_mapper_put(sink, rules->prefix.data, rules->prefix.len);
    sgamp_mapper_copy(sink, &type);
    sgamp_mapper_write(sink, "\"");

    sgamp_mapper_time(sink, event);
    sgamp_mapper_insert_id(sink, event);

    sgamp_mapper_write(sink,
                       ",\"library\":\"sendgrid\",\"event_properties\":");
    sgamp_json_copy(sink, event->raw.data, event->raw.len);
    sgamp_mapper_write(sink, "}");

    return SGAMP_MAPPED;
}


sgamp_kind_e
sgamp_event_kind(const sgamp_event_t *event)
{
    sgamp_json_value_t  name, machine;

    if (!event->object) {
        return SGAMP_KIND_OTHER;
    }

    sgamp_mapper_value(event, SGAMP_KEY_EVENT, &name);
    sgamp_mapper_value(event, SGAMP_KEY_MACHINE_OPEN, &machine);

    return sgamp_kind(&name, &machine);
}


void
sgamp_event_id(const sgamp_event_t *event, sgamp_str_t *id)
{
    sgamp_json_value_t  value;

    id->len = 0;
    id->data = NULL;

    if (!event->object) {
        return;
    }

    sgamp_mapper_value(event, SGAMP_KEY_EVENT_ID, &value);

    if (value.type == SGAMP_JSON_STRING) {
        *id = value.text;
    }
}


void
sgamp_mapped_parts(const sgamp_str_t *mapped, sgamp_str_t *id,
    sgamp_str_t *properties)
{
    u_char  *p, *last;

    p = mapped->data;
    last = p + mapped->len;

    p = sgamp_mapper_find(p, last, ",\"insert_id\":\"");
    id->data = p;

    p = sgamp_mapper_find(p, last, "\",\"library\":\"sendgrid\",");
    id->len = p - id->data - (sizeof("\",\"library\":\"sendgrid\",") - 1);

    p = sgamp_mapper_find(p, last, "\"event_properties\":");
    properties->data = p;
    properties->len = last - p - 1;
}


static u_char *
sgamp_mapper_find(u_char *p, u_char *last, const char *text)
{
    size_t  len;

    /*
     * just past the text, which is there: a quote that no backslash precedes
     * does not occur inside of a string
     */

    len = strlen(text);

    for ( /* void */ ; (size_t) (last - p) >= len; p++) {
        if (memcmp(p, text, len) == 0) {
            return p + len;
        }
    }

    return last;
}


static inline void
sgamp_mapper_put(sgamp_sink_t *sink, const u_char *p, size_t n)
{
    if (n <= (size_t) (sink->last - sink->pos)) {
        memcpy(sink->pos, p, n);
        sink->pos += n;
        return;
    }

    sgamp_json_write(sink, p, n);
}


static void
sgamp_mapper_copy(sgamp_sink_t *sink, const sgamp_json_value_t *value)
{
    if (value->plain) {
        sgamp_mapper_put(sink, value->text.data, value->text.len);
        return;
    }

    sgamp_json_copy(sink, value->text.data, value->text.len);
}


static unsigned
sgamp_mapper_user(const sgamp_rules_t *rules, const sgamp_event_t *event,
    sgamp_json_value_t *user)
{
    unsigned  i;

    /* the first usable value, of type none if there is none, and its key */

    for (i = 0; i < rules->nusers; i++) {

        sgamp_mapper_value(event, rules->users[i], user);

        if ((user->type == SGAMP_JSON_STRING
             || user->type == SGAMP_JSON_NUMBER)
            && sgamp_id_usable(user))
        {
            return rules->users[i];
        }
    }

    user->type = SGAMP_JSON_NONE;

    return 0;
}


static void
sgamp_mapper_value(const sgamp_event_t *event, unsigned key,
    sgamp_json_value_t *value)
{
    if ((event->seen & ((uint32_t) 1 << key)) == 0) {
        value->type = SGAMP_JSON_NONE;
        return;
    }

    sgamp_json_value(value, event->raw.data + event->ends[key],
                     event->raw.data + event->raw.len);
}


static void
sgamp_mapper_time(sgamp_sink_t *sink, const sgamp_event_t *event)
{
    size_t              i;
    uint64_t            ms;
    sgamp_json_value_t  value;

    sgamp_mapper_value(event, SGAMP_KEY_TIMESTAMP, &value);

    /* seconds as SendGrid sends them need no arithmetic */

    if (value.type == SGAMP_JSON_NUMBER
        && value.text.len <= SGAMP_MAPPER_SECONDS_LEN
        && value.text.data[0] > '0')
    {
        for (i = 0; i < value.text.len; i++) {
            if (value.text.data[i] < '0' || value.text.data[i] > '9') {
                break;
            }
        }

        if (i == value.text.len) {
            sgamp_mapper_write(sink, ",\"time\":");
            sgamp_mapper_put(sink, value.text.data, value.text.len);
            sgamp_mapper_write(sink, "000");
            return;
        }
    }

    if (sgamp_time(&value, &ms)) {
        sgamp_mapper_write(sink, ",\"time\":");
        sgamp_json_decimal(sink, ms);
    }
}


static void
sgamp_mapper_insert_id(sgamp_sink_t *sink, const sgamp_event_t *event)
{
    u_char              hex[SGAMP_SHA256_HEX_LEN];
    sgamp_json_value_t  id;

    sgamp_mapper_value(event, SGAMP_KEY_EVENT_ID, &id);

    if (id.type != SGAMP_JSON_STRING || id.text.len == 0) {

        if (sgamp_sha256_hex(hex, event->raw.data, event->raw.len)
            != SGAMP_OK)
        {
            sink->status = SGAMP_NOMEM;
            sink->last = sink->pos;
            return;
        }

        id.text.data = hex;
        id.text.len = sizeof(hex);
        id.plain = 1;
    }

    sgamp_mapper_write(sink, ",\"insert_id\":\"");
    sgamp_mapper_copy(sink, &id);
    sgamp_mapper_write(sink, "\"");
}
