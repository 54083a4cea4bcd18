
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_names.h"
#include "sgamp_text.h"


static int sgamp_names_replaced(const sgamp_str_t *name);


void
sgamp_names_init(sgamp_names_t *names, sgamp_name_t *room, uint32_t size)
{
    memset(names, 0, sizeof(sgamp_names_t));

    names->names = room;
    names->size = size;
}


int
sgamp_names_add(sgamp_names_t *names, const sgamp_str_t *name,
    unsigned action)
{
    unsigned  slot;
    uint32_t  i;

    static const sgamp_str_t email = sgamp_str("email");

    names->actions |= action;

    if (action == SGAMP_NAMES_HASH
        && sgamp_same(&email, name->data, name->len))
    {
        action |= SGAMP_NAMES_LOWER;
    }

    slot = sgamp_names_slot(name->data, name->len);

    for (i = names->first[slot]; i < names->first[slot + 1]; i++) {
        if (sgamp_same(&names->names[i].text, name->data, name->len)) {
            names->names[i].actions |= action;
            return SGAMP_OK;
        }
    }

    if (names->n == names->size) {
        return SGAMP_TOO_LARGE;
    }

    memmove(&names->names[i + 1], &names->names[i],
            (names->n - i) * sizeof(sgamp_name_t));

    names->names[i].text = *name;
    names->names[i].actions = action;
    names->n++;

    names->replaced |= sgamp_names_replaced(name);

    for (slot++; slot <= SGAMP_NAMES_SLOTS; slot++) {
        names->first[slot]++;
    }

    return SGAMP_OK;
}


static int
sgamp_names_replaced(const sgamp_str_t *name)
{
    size_t  i;

    for (i = 0; i + 3 <= name->len; i++) {
        if (memcmp(name->data + i, "\xef\xbf\xbd", 3) == 0) {
            return 1;
        }
    }

    return 0;
}


const sgamp_name_t *
sgamp_names_decode(const sgamp_names_t *names, const sgamp_str_t *string)
{
    uint32_t  i;

    for (i = 0; i < names->n; i++) {
        if (sgamp_names_is(string, &names->names[i].text)) {
            return &names->names[i];
        }
    }

    return NULL;
}


int
sgamp_names_is(const sgamp_str_t *string, const sgamp_str_t *name)
{
    /* a name of a configuration need not be UTF-8 */

    return sgamp_text_is(string, name, 0)
           || (sgamp_same(name, string->data, string->len)
               && memchr(string->data, '\\', string->len) == NULL);
}


unsigned
sgamp_names_actions(const sgamp_names_t *names, const sgamp_str_t *name)
{
    unsigned             actions;
    const sgamp_name_t  *found;

    found = sgamp_names_lookup(names, name->data, name->len);

    actions = (found != NULL) ? found->actions : 0;

    if ((names->actions & SGAMP_NAMES_KEEP)
        && (actions & SGAMP_NAMES_KEEP) == 0)
    {
        actions |= SGAMP_NAMES_DROP;
    }

    return actions;
}
