
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_rules.h"
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

    for (i = 0; i < SGAMP_KEY_COMMON; i++) {
        (void) sgamp_keys_add(&rules->keys, &sgamp_rules_keys[i]);
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


int
sgamp_rules_client_ip(sgamp_rules_t *rules)
{
    int  key;

    static const sgamp_str_t ip = sgamp_str("ip");

    key = sgamp_keys_add(&rules->keys, &ip);

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

    if ((sgamp_names_actions(&rules->filter.names, name) & SGAMP_NAMES_DROP)
        == 0)
    {
        key = sgamp_keys_add(&rules->keys, name);

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
    unsigned        i;
    sgamp_names_t  *names;

    names = &rules->filter.names;

    if (names->n == 0) {
        return;
    }

    sgamp_keys_mark_names(&rules->keys, names);

    for (i = 0; i < rules->keys.n; i++) {
        if (sgamp_names_actions(names, &rules->keys.names[i])
            & SGAMP_NAMES_HASH)
        {
            rules->hashed |= (uint32_t) 1 << i;
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
