
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_kind.h"
#include "sgamp_text.h"


#define SGAMP_KIND_MAX_LEN  21  /* characters of the longest name */

#define sgamp_kind_has_length(len)                                            \
    ((len) <= SGAMP_KIND_MAX_LEN && sgamp_kind_lengths[len][0] != 0)


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


/* the kinds whose names have a length, one or two */

static const u_char  sgamp_kind_lengths[SGAMP_KIND_MAX_LEN + 1][2] = {
    [4] = { SGAMP_KIND_OPEN, SGAMP_KIND_OPEN },
    [5] = { SGAMP_KIND_CLICK, SGAMP_KIND_CLICK },
    [6] = { SGAMP_KIND_BOUNCE, SGAMP_KIND_BOUNCE },
    [7] = { SGAMP_KIND_DROPPED, SGAMP_KIND_DROPPED },
    [8] = { SGAMP_KIND_DEFERRED, SGAMP_KIND_RECEIVED },
    [9] = { SGAMP_KIND_DELIVERED, SGAMP_KIND_PROCESSED },
    [10] = { SGAMP_KIND_SPAMREPORT, SGAMP_KIND_SPAMREPORT },
    [11] = { SGAMP_KIND_UNSUBSCRIBE, SGAMP_KIND_UNSUBSCRIBE },
    [12] = { SGAMP_KIND_MACHINE_OPEN, SGAMP_KIND_MACHINE_OPEN },
    [17] = { SGAMP_KIND_GROUP_UNSUBSCRIBE, SGAMP_KIND_GROUP_RESUBSCRIBE },
    [21] = { SGAMP_KIND_ACCOUNT_STATUS_CHANGE,
             SGAMP_KIND_ACCOUNT_STATUS_CHANGE }
};


sgamp_kind_e
sgamp_kind(const sgamp_json_value_t *name)
{
    int           n;
    u_char        lower[SGAMP_KIND_MAX_LEN];
    sgamp_kind_e  kind;

    if (name->type != SGAMP_JSON_STRING) {
        return SGAMP_KIND_OTHER;
    }

    /* SendGrid sends the names as they are here */

    kind = sgamp_kind_lookup(name->text.data, name->text.len);

    if (kind == SGAMP_KIND_OTHER
        && (!name->plain || sgamp_kind_has_length(name->text.len)))
    {
        n = sgamp_text_ascii(name, lower, sizeof(lower), 1);

        if (n < 0) {
            return SGAMP_KIND_OTHER;
        }

        kind = sgamp_kind_lookup(lower, (size_t) n);
    }

    /* SendGrid has no event with the name "machine_open" */

    return (kind == SGAMP_KIND_MACHINE_OPEN) ? SGAMP_KIND_OTHER : kind;
}


sgamp_kind_e
sgamp_kind_lookup(const u_char *name, size_t len)
{
    unsigned       i;
    const u_char  *kinds;

    if (!sgamp_kind_has_length(len)) {
        return SGAMP_KIND_OTHER;
    }

    kinds = sgamp_kind_lengths[len];

    for (i = 0; i < 2; i++) {
        if (memcmp(sgamp_kinds[kinds[i]].data, name, len) == 0) {
            return (sgamp_kind_e) kinds[i];
        }
    }

    return SGAMP_KIND_OTHER;
}


const char *
sgamp_kind_name(sgamp_kind_e kind)
{
    return (const char *) sgamp_kinds[kind].data;
}
