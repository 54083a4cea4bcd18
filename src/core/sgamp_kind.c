
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_kind.h"
#include "sgamp_text.h"


#define SGAMP_KIND_MAX_LEN  21  /* characters of the longest name */


static const sgamp_str_t  sgamp_kinds[] = {
    sgamp_str("processed"),
    sgamp_str("dropped"),
    sgamp_str("deferred"),
    sgamp_str("delivered"),
    sgamp_str("bounce"),
    sgamp_str("open"),
    sgamp_str("click"),
    sgamp_str("spamreport"),
    sgamp_str("unsubscribe"),
    sgamp_str("group_unsubscribe"),
    sgamp_str("group_resubscribe"),
    sgamp_str("account_status_change"),
    sgamp_str("received"),
    sgamp_str("machine_open"),
    sgamp_str("other")
};


sgamp_kind_e
sgamp_kind(const sgamp_json_value_t *name, const sgamp_json_value_t *machine)
{
    int           n;
    u_char        lower[SGAMP_KIND_MAX_LEN];
    sgamp_kind_e  kind;

    if (name->type != SGAMP_JSON_STRING) {
        return SGAMP_KIND_OTHER;
    }

    n = sgamp_text_ascii(name, lower, sizeof(lower), 1);

    if (n < 0) {
        return SGAMP_KIND_OTHER;
    }

    kind = sgamp_kind_lookup(lower, (size_t) n);

    if (kind == SGAMP_KIND_OPEN && machine->type == SGAMP_JSON_TRUE) {
        return SGAMP_KIND_MACHINE_OPEN;
    }

    /* SendGrid has no event with the name "machine_open" */

    return (kind == SGAMP_KIND_MACHINE_OPEN) ? SGAMP_KIND_OTHER : kind;
}


sgamp_kind_e
sgamp_kind_lookup(const u_char *name, size_t len)
{
    unsigned  i;

    for (i = 0; i < SGAMP_KIND_OTHER; i++) {
        if (sgamp_same(&sgamp_kinds[i], name, len)) {
            return (sgamp_kind_e) i;
        }
    }

    return SGAMP_KIND_OTHER;
}


const char *
sgamp_kind_name(sgamp_kind_e kind)
{
    return (const char *) sgamp_kinds[kind].data;
}
