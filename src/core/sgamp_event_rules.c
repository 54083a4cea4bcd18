
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_event_rules.h"
#include "sgamp_text.h"


static const sgamp_str_t sgamp_rules_keys[] = {
    sgamp_str("event"),
    sgamp_str("timestamp"),
    sgamp_str("sg_event_id"),
    sgamp_str("email"),
    sgamp_str("sg_machine_open")
};


void
sgamp_rules_init(sgamp_rules_t *rules)
{
    unsigned  i;

    memset(rules, 0, sizeof(sgamp_rules_t));

    sgamp_names_init(&rules->names);

    for (i = 0; i < SGAMP_KEY_COMMON; i++) {
        (void) sgamp_names_key(&rules->names, &sgamp_rules_keys[i]);
    }
}


int
sgamp_rules_user(sgamp_rules_t *rules, const sgamp_str_t *name)
{
    int  key;

    if (rules->nusers == SGAMP_MAX_USER_KEYS) {
        return SGAMP_TOO_LARGE;
    }

    key = sgamp_names_key(&rules->names, name);

    if (key < 0) {
        return SGAMP_TOO_LARGE;
    }

    rules->users[rules->nusers++] = key;

    return SGAMP_OK;
}


int
sgamp_rules_client_ip(sgamp_rules_t *rules)
{
    int  key;

    static const sgamp_str_t ip = sgamp_str("ip");

    key = sgamp_names_key(&rules->names, &ip);

    if (key < 0) {
        return SGAMP_TOO_LARGE;
    }

    rules->ip = key;
    rules->client_ip = 1;

    return SGAMP_OK;
}


int
sgamp_rules_property(sgamp_rules_t *rules, const sgamp_str_t *name)
{
    int       key;
    uint32_t  bit;

    if (rules->nproperties == SGAMP_MAX_PROPERTIES) {
        return SGAMP_TOO_LARGE;
    }

    bit = 0;

    if ((sgamp_names_actions(&rules->names, name) & SGAMP_NAMES_DROP) == 0) {
        key = sgamp_names_key(&rules->names, name);

        if (key < 0) {
            return SGAMP_TOO_LARGE;
        }

        bit = (uint32_t) 1 << key;
    }

    rules->properties[rules->nproperties++] = bit;

    return SGAMP_OK;
}


void
sgamp_rules_done(sgamp_rules_t *rules)
{
    uint32_t             i;
    const sgamp_name_t  *name;

    for (i = 0; i < rules->names.n; i++) {
        name = &rules->names.names[i];

        if (name->key != SGAMP_NAMES_NO_KEY
            && (name->actions & SGAMP_NAMES_HASH))
        {
            rules->hashed |= (uint32_t) 1 << name->key;
        }
    }

    if (rules->client_ip && (rules->hashed & ((uint32_t) 1 << rules->ip))) {
        rules->client_ip = 0;
    }
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
