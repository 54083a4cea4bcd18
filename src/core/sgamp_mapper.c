
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_digest.h"
#include "sgamp_mapper.h"
#include "sgamp_time.h"


#define SGAMP_MAPPER_RESERVED_LEN  36 /* characters of the longest one */

#define sgamp_mapper_write(sink, text)                                        \
    sgamp_json_write(sink, (u_char *) text, sizeof(text) - 1)


/* the keys that every set of rules begins with */

enum {
    SGAMP_KEY_EVENT = 0,
    SGAMP_KEY_TIMESTAMP,
    SGAMP_KEY_EVENT_ID,
    SGAMP_KEY_EMAIL
};


static u_char *sgamp_mapper_find(u_char *p, u_char *last, const char *text);
static int sgamp_mapper_blank(const sgamp_str_t *text);
static unsigned sgamp_mapper_user(const sgamp_rules_t *rules,
    const sgamp_event_t *event, sgamp_json_value_t *user);
static int sgamp_mapper_trim(sgamp_str_t *text);
static int sgamp_mapper_reserved(const sgamp_str_t *text, size_t n);
static int sgamp_mapper_is_space(uint32_t c);
static void sgamp_mapper_value(const sgamp_event_t *event, unsigned key,
    sgamp_json_value_t *value);
static void sgamp_mapper_lowercase(sgamp_sink_t *sink,
    const sgamp_str_t *text);
static void sgamp_mapper_insert_id(sgamp_sink_t *sink,
    const sgamp_event_t *event);


static const sgamp_str_t sgamp_mapper_keys[] = {
    sgamp_str("event"),
    sgamp_str("timestamp"),
    sgamp_str("sg_event_id"),
    sgamp_str("email")
};


/* what Amplitude refuses as a user_id, in lower case */

static const sgamp_str_t sgamp_mapper_reserved_ids[] = {
    sgamp_str("anonymous"),
    sgamp_str("nil"),
    sgamp_str("none"),
    sgamp_str("null"),
    sgamp_str("n/a"),
    sgamp_str("na"),
    sgamp_str("undefined"),
    sgamp_str("unknown"),
    sgamp_str("{}"),
    sgamp_str("lmy47d"),
    sgamp_str("0"),
    sgamp_str("-1"),
    sgamp_str("00000000-0000-0000-0000-000000000000"),
    { 0, NULL }
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

    for (i = 0; i <= SGAMP_KEY_EMAIL; i++) {
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
    uint64_t            ms;
    sgamp_json_value_t  type, user, timestamp;

    if (!event->object) {
        return SGAMP_NOT_AN_OBJECT;
    }

    sgamp_mapper_value(event, SGAMP_KEY_EVENT, &type);

    if (type.type != SGAMP_JSON_STRING || sgamp_mapper_blank(&type.text)) {
        return SGAMP_NO_EVENT_TYPE;
    }

    key = sgamp_mapper_user(rules, event, &user);

    if (user.type == SGAMP_JSON_NONE) {
        return SGAMP_NO_USER_ID;
    }

    sgamp_mapper_write(sink, "{\"user_id\":\"");

    if (rules->lowercase && key == SGAMP_KEY_EMAIL) {
        sgamp_mapper_lowercase(sink, &user.text);

    } else {
        sgamp_json_copy(sink, user.text.data, user.text.len);
    }

    sgamp_mapper_write(sink, "\",\"event_type\":\"");
    sgamp_json_write(sink, rules->prefix.data, rules->prefix.len);
    sgamp_json_copy(sink, type.text.data, type.text.len);
    sgamp_mapper_write(sink, "\"");

    sgamp_mapper_value(event, SGAMP_KEY_TIMESTAMP, &timestamp);

    if (sgamp_time(&timestamp, &ms)) {
        sgamp_mapper_write(sink, ",\"time\":");
        sgamp_json_decimal(sink, ms);
    }

    sgamp_mapper_insert_id(sink, event);

    sgamp_mapper_write(sink,
                       ",\"library\":\"sendgrid\",\"event_properties\":");
    sgamp_json_copy(sink, event->raw.data, event->raw.len);
    sgamp_mapper_write(sink, "}");

    return SGAMP_MAPPED;
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


static int
sgamp_mapper_blank(const sgamp_str_t *text)
{
    const u_char  *p, *last;

    p = text->data;
    last = p + text->len;

    while (p < last) {
        if (!sgamp_mapper_is_space(sgamp_json_next(&p, last))) {
            return 0;
        }
    }

    return 1;
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
            && sgamp_mapper_trim(&user->text))
        {
            return rules->users[i];
        }
    }

    user->type = SGAMP_JSON_NONE;

    return 0;
}


static int
sgamp_mapper_trim(sgamp_str_t *text)
{
    size_t         n, len;
    uint32_t       c;
    const u_char  *p, *last, *start, *end;

    /* cuts surrounding white space, and tells if what is left is usable */

    p = text->data;
    last = p + text->len;

    start = NULL;
    end = NULL;
    n = 0;
    len = 0;

    while (p < last) {

        if (start == NULL) {
            end = p;
        }

        c = sgamp_json_next(&p, last);

        if (sgamp_mapper_is_space(c)) {
            n += (start != NULL);
            continue;
        }

        if (start == NULL) {
            start = end;
        }

        end = p;
        len = ++n;
    }

    if (start == NULL || len > SGAMP_MAX_USER_ID) {
        return 0;
    }

    text->data = (u_char *) start;
    text->len = end - start;

    return !sgamp_mapper_reserved(text, len);
}


static int
sgamp_mapper_reserved(const sgamp_str_t *text, size_t n)
{
    u_char              id[SGAMP_MAPPER_RESERVED_LEN];
    size_t              i;
    uint32_t            c;
    const u_char       *p;
    const sgamp_str_t  *reserved;

    if (n > SGAMP_MAPPER_RESERVED_LEN) {
        return 0;
    }

    p = text->data;

    for (i = 0; i < n; i++) {
        c = sgamp_json_next(&p, text->data + text->len);

        if (c >= 0x80) {
            return 0;
        }

        id[i] = (c >= 'A' && c <= 'Z') ? c | 0x20 : c;
    }

    for (reserved = sgamp_mapper_reserved_ids; reserved->len; reserved++) {
        if (reserved->len == n && memcmp(reserved->data, id, n) == 0) {
            return 1;
        }
    }

    return 0;
}


static int
sgamp_mapper_is_space(uint32_t c)
{
    /* the White_Space property of Unicode */

    if (c < 0x80) {
        return c == ' ' || (c >= '\t' && c <= '\r');
    }

    return c == 0x85 || c == 0xa0 || c == 0x1680
           || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029
           || c == 0x202f || c == 0x205f || c == 0x3000;
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
sgamp_mapper_lowercase(sgamp_sink_t *sink, const sgamp_str_t *text)
{
    u_char         ch;
    uint32_t       c;
    const u_char  *p, *start, *last;

    p = text->data;
    last = p + text->len;

    while (p < last) {
        start = p;
        c = sgamp_json_next(&p, last);

        if (c >= 'A' && c <= 'Z') {
            ch = (u_char) (c | 0x20);
            sgamp_json_write(sink, &ch, 1);
            continue;
        }

        sgamp_json_copy(sink, start, p - start);
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
    }

    sgamp_mapper_write(sink, ",\"insert_id\":\"");
    sgamp_json_copy(sink, id.text.data, id.text.len);
    sgamp_mapper_write(sink, "\"");
}
