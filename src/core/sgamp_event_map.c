
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_event_map.h"
#include "sgamp_id.h"
#include "sgamp_text.h"
#include "sgamp_time.h"

#include <arpa/inet.h>


#define SGAMP_MAPPER_SECONDS_LEN   11  /* digits; more are milliseconds */

/* a mapped event: before its user_id, and between insert_id and properties */

#define SGAMP_MAPPED_USER   "{\"user_id\":\""
#define SGAMP_MAPPED_AFTER_ID                                                 \
    "\",\"library\":\"sendgrid\",\"event_properties\":"

#define sgamp_mapper_write(sink, text)                                        \
    sgamp_json_put(sink, (u_char *) text, sizeof(text) - 1)


static sgamp_kind_e sgamp_mapper_kind(const sgamp_element_t *event,
    sgamp_json_value_t *name);
static void sgamp_mapper_copy(sgamp_sink_t *sink,
    const sgamp_json_value_t *value);
static unsigned sgamp_mapper_user(const sgamp_rules_t *rules,
    const sgamp_element_t *event, sgamp_json_value_t *user);
static void sgamp_mapper_user_id(const sgamp_rules_t *rules,
    sgamp_filter_event_t *fe, unsigned key, const sgamp_json_value_t *user,
    sgamp_sink_t *sink);
static inline int sgamp_mapper_known(sgamp_filter_event_t *fe,
    const sgamp_json_value_t *value, sgamp_sink_t *sink);
static int sgamp_mapper_hashed(sgamp_filter_event_t *fe,
    const sgamp_json_value_t *value, sgamp_sink_t *sink);
static void sgamp_mapper_value(const sgamp_element_t *event, unsigned key,
    sgamp_json_value_t *value);
static void sgamp_mapper_time(sgamp_sink_t *sink,
    const sgamp_element_t *event);
static void sgamp_mapper_ip(const sgamp_rules_t *rules,
    const sgamp_element_t *event, sgamp_kind_e kind, sgamp_sink_t *sink);
static void sgamp_mapper_insert_id(const sgamp_rules_t *rules,
    const sgamp_element_t *event, sgamp_filter_event_t *fe, sgamp_sink_t *sink);
static void sgamp_mapper_properties(const sgamp_rules_t *rules,
    const sgamp_element_t *event, sgamp_filter_event_t *fe,
    const sgamp_str_t *properties, sgamp_sink_t *sink);


static const char *const sgamp_mapper_reasons[] = {
    "mapped",
    "not_an_object",
    "no_event_type",
    "no_user_id"
};


const char *
sgamp_reason(sgamp_reason_e reason)
{
    return sgamp_mapper_reasons[reason];
}


int
sgamp_map(void *data, const sgamp_element_t *event, sgamp_sink_t *sink,
    sgamp_item_t *item)
{
    sgamp_mapper_t  *mapper = data;

    size_t                      start;
    unsigned                    key;
    sgamp_kind_e                kind;
    const sgamp_rules_t        *rules;
    sgamp_json_value_t          type, user;
    sgamp_filter_event_t        filtered, *fe;
    const sgamp_rules_event_t  *rule;

    rules = mapper->rules;
    start = sgamp_sink_size(sink);

    kind = sgamp_mapper_kind(event, &type);
    item->kind = kind;

    if (!event->object) {
        return SGAMP_NOT_AN_OBJECT;
    }

    if (kind == SGAMP_KIND_OTHER
        && (type.type != SGAMP_JSON_STRING || sgamp_id_blank(&type)))
    {
        return SGAMP_NO_EVENT_TYPE;
    }

    rule = sgamp_rules_event(rules, kind, &type.text);

    if (rule->ignored) {
        return SGAMP_IGNORED;
    }

    key = sgamp_mapper_user(rules, event, &user);

    if (user.type == SGAMP_JSON_NONE) {
        return SGAMP_NO_USER_ID;
    }

    fe = NULL;

    if (rules->names.treat != 0) {
        fe = &filtered;
        sgamp_filter_read(fe, &rules->names, mapper->hash, event,
                          &user);
    }

    sgamp_mapper_write(sink, SGAMP_MAPPED_USER);
    sgamp_mapper_user_id(rules, fe, key, &user, sink);

    if (rule->type.data != NULL) {
        sgamp_json_put(sink, rule->type.data, rule->type.len);

    } else {
        sgamp_json_put(sink, rules->prefix.data, rules->prefix.len);

        if (kind != SGAMP_KIND_OTHER || !sgamp_mapper_known(fe, &type, sink)) {
            sgamp_mapper_copy(sink, &type);
        }
    }

    sgamp_mapper_time(sink, event);

    if (rules->client_ip) {
        sgamp_mapper_ip(rules, event, kind, sink);
    }

    sgamp_mapper_write(sink, ",\"insert_id\":\"");
    item->id = (uint32_t) (sgamp_sink_size(sink) - start);

    sgamp_mapper_insert_id(rules, event, fe, sink);
    item->id_end = (uint32_t) (sgamp_sink_size(sink) - start);

    sgamp_mapper_write(sink, SGAMP_MAPPED_AFTER_ID);
    sgamp_mapper_properties(rules, event, fe, mapper->properties, sink);
    sgamp_mapper_write(sink, "}");

    return SGAMP_MAPPED;
}


static sgamp_kind_e
sgamp_mapper_kind(const sgamp_element_t *event, sgamp_json_value_t *name)
{
    sgamp_kind_e        kind;
    sgamp_json_value_t  machine;

    /* sets the value of "event", too, if the event is an object */

    if (!event->object) {
        return SGAMP_KIND_OTHER;
    }

    sgamp_mapper_value(event, SGAMP_KEY_EVENT, name);

    kind = sgamp_kind(name);

    if (kind == SGAMP_KIND_OPEN) {
        sgamp_mapper_value(event, SGAMP_KEY_MACHINE_OPEN, &machine);

        if (machine.type == SGAMP_JSON_TRUE) {
            return SGAMP_KIND_MACHINE_OPEN;
        }
    }

    return kind;
}


void
sgamp_event_id(const sgamp_element_t *event, sgamp_str_t *id)
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
sgamp_mapped_slices(const sgamp_str_t *mapped, const sgamp_item_t *item,
    sgamp_str_t *head, sgamp_str_t *id, sgamp_str_t *properties)
{
    size_t  n;

    head->data = mapped->data;
    head->len = item->id_end + 1;

    id->data = mapped->data + item->id;
    id->len = item->id_end - item->id;

    /* the bracket at the end closes the event */

    n = item->id_end + sizeof(SGAMP_MAPPED_AFTER_ID) - 1;

    properties->data = mapped->data + n;
    properties->len = mapped->len - n - 1;
}


void
sgamp_mapped_user(const sgamp_str_t *mapped, sgamp_str_t *user)
{
    const u_char  *p, *last;

    p = mapped->data + sizeof(SGAMP_MAPPED_USER) - 1;
    last = mapped->data + mapped->len;

    user->data = (u_char *) p;

    while (p < last && *p != '"') {
        (void) sgamp_json_next(&p, last);
    }

    user->len = p - user->data;
}


static void
sgamp_mapper_copy(sgamp_sink_t *sink, const sgamp_json_value_t *value)
{
    if (value->plain) {
        sgamp_json_put(sink, value->text.data, value->text.len);
        return;
    }

    sgamp_json_copy(sink, value->text.data, value->text.len);
}


static unsigned
sgamp_mapper_user(const sgamp_rules_t *rules, const sgamp_element_t *event,
    sgamp_json_value_t *user)
{
    unsigned  i;

    /* sets the first usable value, or a value of type none; returns its key */

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
sgamp_mapper_user_id(const sgamp_rules_t *rules, sgamp_filter_event_t *fe,
    unsigned key, const sgamp_json_value_t *user, sgamp_sink_t *sink)
{
    if (rules->hashed & ((uint32_t) 1 << key)) {
        sgamp_hashed_write(&fe->hashed, sink, user, key == SGAMP_KEY_EMAIL);
        return;
    }

    if (sgamp_mapper_known(fe, user, sink)) {
        return;
    }

    if (rules->lowercase && key == SGAMP_KEY_EMAIL) {
        sgamp_id_lowercase(sink, &user->text);
        return;
    }

    sgamp_mapper_copy(sink, user);
}


static inline int
sgamp_mapper_known(sgamp_filter_event_t *fe, const sgamp_json_value_t *value,
    sgamp_sink_t *sink)
{
    /* writes the hash of an address that is hashed elsewhere in the event */

    return fe != NULL && fe->hashed.addresses
           && sgamp_mapper_hashed(fe, value, sink);
}


static int
sgamp_mapper_hashed(sgamp_filter_event_t *fe, const sgamp_json_value_t *value,
    sgamp_sink_t *sink)
{
    sgamp_hashed_value_t  *known;

    if (value->type != SGAMP_JSON_STRING
        || (value->plain
            && memchr(value->text.data, '@', value->text.len) == NULL))
    {
        return 0;
    }

    known = sgamp_hashed_find(&fe->hashed, &value->text);

    if (known == NULL) {
        return 0;
    }

    sgamp_hashed_put(&fe->hashed, sink, known);

    return 1;
}


static void
sgamp_mapper_value(const sgamp_element_t *event, unsigned key,
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
sgamp_mapper_time(sgamp_sink_t *sink, const sgamp_element_t *event)
{
    uint64_t            ms;
    sgamp_json_value_t  value;

    /* begins with the end of event_type */

    sgamp_mapper_value(event, SGAMP_KEY_TIMESTAMP, &value);

    /* a number of seconds, as SendGrid sends, needs no arithmetic */

    if (value.type == SGAMP_JSON_NUMBER
        && value.digits
        && value.text.len <= SGAMP_MAPPER_SECONDS_LEN
        && value.text.data[0] > '0')
    {
        sgamp_mapper_write(sink, "\",\"time\":");
        sgamp_json_put(sink, value.text.data, value.text.len);
        sgamp_mapper_write(sink, "000");

    } else if (sgamp_time(&value, &ms)) {
        sgamp_mapper_write(sink, "\",\"time\":");
        sgamp_json_decimal(sink, ms);

    } else {
        sgamp_mapper_write(sink, "\"");
    }
}


static void
sgamp_mapper_ip(const sgamp_rules_t *rules, const sgamp_element_t *event,
    sgamp_kind_e kind, sgamp_sink_t *sink)
{
    int                 n;
    char                text[INET6_ADDRSTRLEN];
    struct in6_addr     addr;
    sgamp_json_value_t  ip;

    /* the address of any other event is that of a server */

    if (kind != SGAMP_KIND_OPEN
        && kind != SGAMP_KIND_CLICK
        && kind != SGAMP_KIND_UNSUBSCRIBE
        && kind != SGAMP_KIND_GROUP_UNSUBSCRIBE
        && kind != SGAMP_KIND_GROUP_RESUBSCRIBE)
    {
        return;
    }

    sgamp_mapper_value(event, rules->ip, &ip);

    if (ip.type != SGAMP_JSON_STRING) {
        return;
    }

    n = sgamp_text_ascii(&ip, (u_char *) text, sizeof(text) - 1, 0);

    if (n < 0) {
        return;
    }

    text[n] = '\0';

    /* Amplitude would take "$remote" for the gateway */

    if (strlen(text) != (size_t) n
        || (inet_pton(AF_INET, text, &addr) != 1
            && inet_pton(AF_INET6, text, &addr) != 1))
    {
        return;
    }

    sgamp_mapper_write(sink, ",\"ip\":\"");
    sgamp_json_put(sink, (u_char *) text, (size_t) n);
    sgamp_mapper_write(sink, "\"");
}


static void
sgamp_mapper_insert_id(const sgamp_rules_t *rules, const sgamp_element_t *event,
    sgamp_filter_event_t *fe, sgamp_sink_t *sink)
{
    u_char              hex[SGAMP_SHA256_HEX_LEN];
    sgamp_json_value_t  id;

    sgamp_mapper_value(event, SGAMP_KEY_EVENT_ID, &id);

    if (id.type == SGAMP_JSON_STRING && id.text.len != 0) {

        if (rules->hashed & (1 << SGAMP_KEY_EVENT_ID)) {
            sgamp_hashed_write(&fe->hashed, sink, &id, 0);

        } else if (!sgamp_mapper_known(fe, &id, sink)) {
            sgamp_mapper_copy(sink, &id);
        }

    } else if (sgamp_sha256_hex(hex, event->raw.data, event->raw.len)
               == SGAMP_OK)
    {
        sgamp_json_put(sink, hex, sizeof(hex));

    } else {
        sink->status = SGAMP_NOMEM;
        sink->last = sink->pos;
    }
}


static void
sgamp_mapper_properties(const sgamp_rules_t *rules,
    const sgamp_element_t *event, sgamp_filter_event_t *fe,
    const sgamp_str_t *properties, sgamp_sink_t *sink)
{
    int       written;
    unsigned  i;

    if (fe != NULL) {
        written = sgamp_filter_write(fe, sink);

    } else {
        sgamp_json_copy(sink, event->raw.data, event->raw.len - 1);
        written = 1;
    }

    for (i = 0; i < rules->nproperties; i++) {

        if (event->seen & rules->properties[i]) {
            continue;
        }

        if (written) {
            sgamp_mapper_write(sink, ",");
        }

        sgamp_json_put(sink, properties[i].data, properties[i].len);
        written = 1;
    }

    sgamp_mapper_write(sink, "}");
}
