
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_event_rules.h"
#include "sgamp_json.h"
#include "sgamp_text.h"


#define SGAMP_RULES_ROOM     8 /* events that there is room for at first */


static int sgamp_rules_user(sgamp_rules_t *rules, const sgamp_str_t *name);
static int sgamp_rules_key(sgamp_rules_t *rules, const sgamp_str_t *name,
    int *key);
static int sgamp_rules_action(sgamp_rules_t *rules, const sgamp_str_t *name,
    unsigned action);
static int sgamp_rules_property(sgamp_rules_t *rules, const sgamp_str_t *name);
static sgamp_rules_event_t *sgamp_rules_named(sgamp_rules_t *rules,
    const sgamp_str_t *name);
static const sgamp_rules_event_t *sgamp_rules_find(const sgamp_rules_t *rules,
    const sgamp_str_t *name);
static int sgamp_rules_text(sgamp_rules_t *rules, sgamp_str_t *json,
    const sgamp_str_t *text);
static int sgamp_rules_room(sgamp_rules_t *rules);
static void sgamp_rules_ignored(const sgamp_rules_t *rules,
    sgamp_rules_event_t *event);
static sgamp_rules_use_e sgamp_rules_use_hash(const sgamp_rules_t *rules,
    const sgamp_str_t *name);
static unsigned sgamp_rules_is_user(const sgamp_rules_t *rules,
    const sgamp_str_t *name);
static void sgamp_rules_free(sgamp_rules_t *rules, void *p);


static const sgamp_str_t sgamp_rules_keys[] = {
    sgamp_str("event"),
    sgamp_str("timestamp"),
    sgamp_str("sg_event_id"),
    sgamp_str("email"),
    sgamp_str("sg_machine_open")
};


void
sgamp_rules_init(sgamp_rules_t *rules, const sgamp_grow_t *grow)
{
    unsigned  i;

    memset(rules, 0, sizeof(sgamp_rules_t));

    rules->grow = *grow;

    sgamp_names_init(&rules->names);

    for (i = 0; i < SGAMP_KEY_COMMON; i++) {
        (void) sgamp_names_key(&rules->names, &sgamp_rules_keys[i]);
    }
}


int
sgamp_rules_prefix(sgamp_rules_t *rules, const sgamp_str_t *text)
{
    return sgamp_rules_text(rules, &rules->prefix, text);
}


int
sgamp_rules_add(sgamp_rules_t *rules, sgamp_rules_e rule,
    const sgamp_str_t *name, const sgamp_str_t *text)
{
    sgamp_rules_event_t  *event;

    switch (rule) {

    case SGAMP_RULES_USER:
        return sgamp_rules_user(rules, name);

    case SGAMP_RULES_DROP:
        return sgamp_rules_action(rules, name, SGAMP_NAMES_DROP);

    case SGAMP_RULES_KEEP:
        return sgamp_rules_action(rules, name, SGAMP_NAMES_KEEP);

    case SGAMP_RULES_HASH:
        return sgamp_rules_action(rules, name, SGAMP_NAMES_HASH);

    case SGAMP_RULES_PROPERTY:
        return sgamp_rules_property(rules, name);

    default: /* of an event */
        break;
    }

    event = sgamp_rules_named(rules, name);

    if (event == NULL) {
        return SGAMP_NOMEM;
    }

    if (rule == SGAMP_RULES_TYPE) {
        return sgamp_rules_text(rules, &event->type, text);
    }

    if (rule == SGAMP_RULES_ONLY) {
        rules->only = 1;
        event->only = 1;

    } else {
        event->ignore = 1;
    }

    return SGAMP_OK;
}


static int
sgamp_rules_user(sgamp_rules_t *rules, const sgamp_str_t *name)
{
    int  rc, key;

    if (rules->nusers == SGAMP_MAX_USER_KEYS) {
        return SGAMP_TOO_LARGE;
    }

    rc = sgamp_rules_key(rules, name, &key);

    if (rc == SGAMP_OK) {
        rules->users[rules->nusers++] = key;
    }

    return rc;
}


int
sgamp_rules_client_ip(sgamp_rules_t *rules)
{
    int  rc, key;

    static const sgamp_str_t  ip = sgamp_str("ip");

    rc = sgamp_rules_key(rules, &ip, &key);

    if (rc == SGAMP_OK) {
        rules->ip = key;
        rules->client_ip = 1;
    }

    return rc;
}


static int
sgamp_rules_property(sgamp_rules_t *rules, const sgamp_str_t *name)
{
    int       rc, key;
    uint32_t  bit;

    if (rules->nproperties == SGAMP_MAX_PROPERTIES) {
        return SGAMP_TOO_LARGE;
    }

    bit = 0;

    if ((sgamp_names_treat(&rules->names, name) & SGAMP_NAMES_DROP) == 0) {
        rc = sgamp_rules_key(rules, name, &key);

        if (rc != SGAMP_OK) {
            return rc;
        }

        bit = (uint32_t) 1 << key;
    }

    rules->properties[rules->nproperties++] = bit;

    return SGAMP_OK;
}


static int
sgamp_rules_key(sgamp_rules_t *rules, const sgamp_str_t *name, int *key)
{
    if (sgamp_rules_room(rules) != SGAMP_OK) {
        return SGAMP_NOMEM;
    }

    *key = sgamp_names_key(&rules->names, name);

    return (*key >= 0) ? SGAMP_OK : SGAMP_TOO_LARGE;
}


static int
sgamp_rules_action(sgamp_rules_t *rules, const sgamp_str_t *name,
    unsigned action)
{
    if (sgamp_rules_room(rules) != SGAMP_OK) {
        return SGAMP_NOMEM;
    }

    return sgamp_names_add(&rules->names, name, action);
}


static int
sgamp_rules_room(sgamp_rules_t *rules)
{
    uint32_t        size;
    sgamp_name_t   *old, *room;
    sgamp_names_t  *names;

    /* for one more name */

    names = &rules->names;

    if (names->n < names->size) {
        return SGAMP_OK;
    }

    size = 2 * names->size;

    room = rules->grow.alloc(rules->grow.data, size * sizeof(sgamp_name_t));
    if (room == NULL) {
        return SGAMP_NOMEM;
    }

    old = names->names;

    sgamp_names_reserve(names, room, size);

    if (old != names->keys) {
        sgamp_rules_free(rules, old);
    }

    return SGAMP_OK;
}


static sgamp_rules_event_t *
sgamp_rules_named(sgamp_rules_t *rules, const sgamp_str_t *name)
{
    unsigned              nalloc;
    sgamp_rules_event_t  *event;

    event = (sgamp_rules_event_t *) sgamp_rules_find(rules, name);

    if (event != NULL) {
        return event;
    }

    if (rules->nothers == rules->nalloc) {
        nalloc = rules->nalloc ? 2 * rules->nalloc : SGAMP_RULES_ROOM;

        event = rules->grow.alloc(rules->grow.data,
                                  nalloc * sizeof(sgamp_rules_event_t));
        if (event == NULL) {
            return NULL;
        }

        if (rules->others != NULL) {
            memcpy(event, rules->others,
                   rules->nothers * sizeof(sgamp_rules_event_t));
        }

        sgamp_rules_free(rules, rules->others);

        rules->others = event;
        rules->nalloc = nalloc;
    }

    event = &rules->others[rules->nothers++];

    memset(event, 0, sizeof(sgamp_rules_event_t));

    event->name = *name;

    return event;
}


static const sgamp_rules_event_t *
sgamp_rules_find(const sgamp_rules_t *rules, const sgamp_str_t *name)
{
    unsigned      i;
    sgamp_kind_e  kind;

    kind = sgamp_kind_lookup(name->data, name->len);

    if (kind != SGAMP_KIND_OTHER) {
        return &rules->kinds[kind];
    }

    for (i = 0; i < rules->nothers; i++) {
        if (sgamp_same(&rules->others[i].name, name->data, name->len)) {
            return &rules->others[i];
        }
    }

    return NULL;
}


static int
sgamp_rules_text(sgamp_rules_t *rules, sgamp_str_t *json,
    const sgamp_str_t *text)
{
    size_t         size;
    u_char        *p;
    sgamp_sink_t   sink;

    static const sgamp_str_t  before = sgamp_str(SGAMP_RULES_BEFORE_TYPE);

    /* one write for each event: the name of the member is in the text */

    size = before.len + sgamp_json_escaped(text->data, text->len);

    p = rules->grow.alloc(rules->grow.data, size);
    if (p == NULL) {
        return SGAMP_NOMEM;
    }

    sgamp_sink_init(&sink, p, size);
    sgamp_json_write(&sink, before.data, before.len);
    sgamp_json_escape(&sink, text->data, text->len);

    sgamp_rules_free(rules, json->data);

    json->data = p;
    json->len = sink.pos - p;

    return SGAMP_OK;
}


int
sgamp_rules_end(sgamp_rules_t *rules)
{
    int                  rc;
    uint32_t             i;
    const sgamp_name_t  *name;

    static const sgamp_str_t users[] = {
        sgamp_str("amp_user_id"),
        sgamp_str("email")
    };

    for (i = rules->nusers ? 2 : 0; i < 2; i++) {
        rc = sgamp_rules_user(rules, &users[i]);

        if (rc != SGAMP_OK) {
            return rc;
        }
    }

    for (i = 0; i < SGAMP_KINDS; i++) {
        sgamp_rules_ignored(rules, &rules->kinds[i]);
    }

    for (i = 0; i < rules->nothers; i++) {
        sgamp_rules_ignored(rules, &rules->others[i]);
    }

    for (i = 0; i < rules->names.n; i++) {
        name = &rules->names.names[i];

        if (name->key != SGAMP_NAMES_NO_KEY
            && (name->treat & SGAMP_NAMES_HASH))
        {
            rules->hashed |= (uint32_t) 1 << name->key;
        }
    }

    if (rules->client_ip && (rules->hashed & ((uint32_t) 1 << rules->ip))) {
        rules->client_ip = 0;
    }

    return SGAMP_OK;
}


static void
sgamp_rules_ignored(const sgamp_rules_t *rules, sgamp_rules_event_t *event)
{
    event->ignored = event->ignore || (rules->only && !event->only);
}


sgamp_rules_use_e
sgamp_rules_use(const sgamp_rules_t *rules, sgamp_rules_e rule,
    const sgamp_str_t *name)
{
    unsigned                    unused;
    const sgamp_rules_event_t  *event;

    if (rule == SGAMP_RULES_HASH) {
        return sgamp_rules_use_hash(rules, name);
    }

    event = sgamp_rules_find(rules, name);

    switch (rule) {

    case SGAMP_RULES_ONLY:
    case SGAMP_RULES_TYPE:
        unused = event->ignored;
        break;

    case SGAMP_RULES_IGNORE:
        unused = rules->only && !event->only;
        break;

    default:
        unused = 0;
    }

    return unused ? SGAMP_RULES_UNUSED : SGAMP_RULES_USED;
}


static sgamp_rules_use_e
sgamp_rules_use_hash(const sgamp_rules_t *rules, const sgamp_str_t *name)
{
    const sgamp_str_t  *keys;

    keys = sgamp_rules_keys;

    if (sgamp_same(&keys[SGAMP_KEY_EVENT], name->data, name->len)
        || sgamp_same(&keys[SGAMP_KEY_TIMESTAMP], name->data, name->len))
    {
        return SGAMP_RULES_PUBLIC;
    }

    /* a member that is dropped is sent as user_id or as insert_id only */

    if ((sgamp_names_treat(&rules->names, name) & SGAMP_NAMES_DROP)
        && !sgamp_same(&keys[SGAMP_KEY_EVENT_ID], name->data, name->len)
        && !sgamp_rules_is_user(rules, name))
    {
        return SGAMP_RULES_UNUSED;
    }

    return SGAMP_RULES_USED;
}


static unsigned
sgamp_rules_is_user(const sgamp_rules_t *rules, const sgamp_str_t *name)
{
    unsigned             i;
    const sgamp_name_t  *found;

    found = sgamp_names_lookup(&rules->names, name->data, name->len);

    if (found == NULL || found->key == SGAMP_NAMES_NO_KEY) {
        return 0;
    }

    for (i = 0; i < rules->nusers; i++) {
        if (rules->users[i] == (unsigned) found->key) {
            return 1;
        }
    }

    return 0;
}


const sgamp_rules_event_t *
sgamp_rules_event(const sgamp_rules_t *rules, sgamp_kind_e kind,
    const sgamp_str_t *name)
{
    unsigned  i;

    if (kind == SGAMP_KIND_OTHER) {

        for (i = 0; i < rules->nothers; i++) {
            if (sgamp_text_is(name, &rules->others[i].name, 1)) {
                return &rules->others[i];
            }
        }
    }

    return &rules->kinds[kind];
}


void
sgamp_rules_done(sgamp_rules_t *rules)
{
    unsigned  i;

    for (i = 0; i < SGAMP_KINDS; i++) {
        sgamp_rules_free(rules, rules->kinds[i].type.data);
    }

    for (i = 0; i < rules->nothers; i++) {
        sgamp_rules_free(rules, rules->others[i].type.data);
    }

    if (rules->names.names != rules->names.keys) {
        sgamp_rules_free(rules, rules->names.names);
    }

    sgamp_rules_free(rules, rules->others);
    sgamp_rules_free(rules, rules->prefix.data);
}


static void
sgamp_rules_free(sgamp_rules_t *rules, void *p)
{
    if (p != NULL) {
        rules->grow.free(rules->grow.data, p);
    }
}
