
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_member.h"
#include "sgamp_names.h"
#include "sgamp_text.h"


/* lead bytes of U+FFFD, of surrogates and of what is made of pairs */

#define SGAMP_NAMES_DOUBTFUL  0xed


static sgamp_name_t *sgamp_names_get(sgamp_names_t *names,
    const sgamp_str_t *name);
static int sgamp_names_doubtful(const sgamp_str_t *name);
static int sgamp_names_replaced(const sgamp_str_t *name);
static int sgamp_names_is(const sgamp_str_t *string, const sgamp_str_t *name);


void
sgamp_names_init(sgamp_names_t *names)
{
    memset(names, 0, sizeof(sgamp_names_t));

    names->names = names->keys;
    names->size = SGAMP_MAX_KEYS;
}


void
sgamp_names_reserve(sgamp_names_t *names, sgamp_name_t *room, uint32_t size)
{
    memcpy(room, names->names, names->n * sizeof(sgamp_name_t));

    names->names = room;
    names->size = size;
}


int
sgamp_names_key(sgamp_names_t *names, const sgamp_str_t *name)
{
    sgamp_name_t        *added;
    const sgamp_name_t  *found;

    found = sgamp_names_lookup(names, name->data, name->len);

    if (found != NULL && found->key != SGAMP_NAMES_NO_KEY) {
        return found->key;
    }

    if (names->nkeys == SGAMP_MAX_KEYS) {
        return -1;
    }

    added = sgamp_names_get(names, name);

    if (added == NULL) {
        return -1;
    }

    added->bit = (uint32_t) 1 << names->nkeys;
    added->place = names->nkeys;
    added->key = (int) names->nkeys++;
    names->doubtful |= sgamp_names_doubtful(name);

    return added->key;
}


int
sgamp_names_add(sgamp_names_t *names, const sgamp_str_t *name, unsigned action)
{
    sgamp_name_t  *added;

    static const sgamp_str_t  email = sgamp_str("email");

    added = sgamp_names_get(names, name);

    if (added == NULL) {
        return SGAMP_TOO_LARGE;
    }

    names->treat |= action;
    names->replaced |= sgamp_names_replaced(name);

    added->treat |= action;

    if (action == SGAMP_NAMES_HASH
        && sgamp_same(&email, name->data, name->len))
    {
        added->treat |= SGAMP_NAMES_LOWER;
    }

    return SGAMP_OK;
}


static sgamp_name_t *
sgamp_names_get(sgamp_names_t *names, const sgamp_str_t *name)
{
    unsigned       k, slot;
    uint32_t       i;
    sgamp_name_t  *added;

    /* the name in the table; a new name has no key and no treatment */

    slot = sgamp_names_slot(name->data, name->len);

    for (i = names->first[slot]; i < names->first[slot + 1]; i++) {
        if (sgamp_same(&names->names[i].text, name->data, name->len)) {
            return &names->names[i];
        }
    }

    if (names->n == names->size || names->n == SGAMP_NAMES_MAX) {
        return NULL;
    }

    added = &names->names[i];

    memmove(added + 1, added, (names->n - i) * sizeof(sgamp_name_t));

    added->text = *name;
    added->key = SGAMP_NAMES_NO_KEY;
    added->treat = 0;
    added->bit = 0;
    added->place = SGAMP_MAX_KEYS;

    names->n++;

    for (k = slot; k < SGAMP_NAMES_SLOTS; k++) {
        names->first[k + 1]++;

        i = names->first[k];
        names->heads[k] = (i != names->first[k + 1]) ? (uint16_t) (i + 1) : 0;
    }

    for (i = names->first[slot]; i < names->first[slot + 1]; i++) {
        names->names[i].alone = (names->first[slot + 1] - names->first[slot]
                                 == 1)
                                && names->names[i].text.len <= 16;
    }

    return added;
}


static int
sgamp_names_doubtful(const sgamp_str_t *name)
{
    size_t  i;

    for (i = 0; i < name->len; i++) {
        if (name->data[i] == '?' || name->data[i] >= SGAMP_NAMES_DOUBTFUL) {
            return 1;
        }
    }

    return 0;
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


int
sgamp_names_decode(const sgamp_names_t *names, const sgamp_str_t *string,
    sgamp_name_t *found)
{
    uint32_t             i;
    const u_char        *last;
    const sgamp_name_t  *name;

    last = string->data + string->len;

    if (sgamp_json_plain(string->data, last) == last) {
        name = sgamp_names_lookup(names, string->data, string->len);

        if (name == NULL) {
            return 0;
        }

        *found = *name;

        return 1;
    }

    found->text.data = NULL;
    found->key = SGAMP_NAMES_NO_KEY;
    found->treat = 0;

    for (i = 0; i < names->n; i++) {
        name = &names->names[i];

        if (!sgamp_names_is(string, &name->text)) {
            continue;
        }

        if (found->key == SGAMP_NAMES_NO_KEY
            || (name->key != SGAMP_NAMES_NO_KEY && name->key < found->key))
        {
            found->key = name->key;
        }

        found->text = name->text;
        found->treat |= name->treat;
    }

    return found->text.data != NULL;
}


static int
sgamp_names_is(const sgamp_str_t *string, const sgamp_str_t *name)
{
    /* a name of a configuration need not be UTF-8 */

    return sgamp_text_is(string, name, 0)
           || (sgamp_same(name, string->data, string->len)
               && memchr(string->data, '\\', string->len) == NULL);
}


uint32_t
sgamp_names_keys(const sgamp_names_t *names, const sgamp_str_t *object,
    uint32_t ends[SGAMP_MAX_KEYS])
{
    uint32_t         seen;
    const u_char    *p, *last;
    sgamp_name_t     name;
    sgamp_member_t   member;

    p = object->data + 1;
    last = object->data + object->len;

    seen = 0;

    while (sgamp_member_next(&p, last, &member)) {

        if (sgamp_names_decode(names, &member.key, &name)
            && name.key != SGAMP_NAMES_NO_KEY)
        {
            seen |= (uint32_t) 1 << name.key;
            ends[name.key] = (uint32_t) (member.key.data + member.key.len + 1
                                         - object->data);
        }
    }

    return seen;
}


unsigned
sgamp_names_treat(const sgamp_names_t *names, const sgamp_str_t *name)
{
    unsigned             treat;
    const sgamp_name_t  *found;

    found = sgamp_names_lookup(names, name->data, name->len);

    treat = (found != NULL) ? found->treat : 0;

    if ((names->treat & SGAMP_NAMES_KEEP)
        && (treat & SGAMP_NAMES_KEEP) == 0)
    {
        treat |= SGAMP_NAMES_DROP;
    }

    return treat;
}
