
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_member.h"
#include "sgamp_parser.h"


/* lead bytes of U+FFFD, of surrogates and of what is made of pairs */

#define SGAMP_KEYS_DOUBTFUL  0xed


static int sgamp_keys_is_doubtful(const sgamp_str_t *name);
static void sgamp_keys_member(sgamp_event_t *event, const sgamp_keys_t *keys,
    const sgamp_member_t *member);


int
sgamp_keys_add(sgamp_keys_t *keys, const sgamp_str_t *name)
{
    unsigned  i, slot;

    slot = sgamp_names_slot(name->data, name->len);

    for (i = keys->first[slot]; i != 0; i = keys->next[i - 1]) {
        if (sgamp_same(&keys->names[i - 1], name->data, name->len)) {
            return i - 1;
        }
    }

    if (keys->n == SGAMP_MAX_KEYS) {
        return -1;
    }

    i = keys->n++;

    keys->names[i] = *name;
    keys->next[i] = keys->first[slot];
    keys->first[slot] = (u_char) (i + 1);
    keys->used[slot] = 1;
    keys->doubtful |= sgamp_keys_is_doubtful(name);

    return i;
}


static int
sgamp_keys_is_doubtful(const sgamp_str_t *name)
{
    size_t  i;

    for (i = 0; i < name->len; i++) {
        if (name->data[i] == '?' || name->data[i] >= SGAMP_KEYS_DOUBTFUL) {
            return 1;
        }
    }

    return 0;
}


void
sgamp_keys_mark_names(sgamp_keys_t *keys, const sgamp_names_t *names)
{
    unsigned  slot;

    keys->marked = names;

    for (slot = 0; slot < SGAMP_NAMES_SLOTS; slot++) {
        keys->used[slot] |= names->first[slot] < names->first[slot + 1];
    }
}


void
sgamp_keys_mark(const sgamp_keys_t *keys, sgamp_event_t *event,
    const sgamp_name_t *name, uint32_t start, uint32_t end)
{
    sgamp_mark_t  *mark;

    if (event->follow) {
        event->marks[event->nmarks - 1].next = start;
        event->follow = 0;
    }

    if (name == NULL) {
        return;
    }

    if (event->nmarks < SGAMP_MAX_MARKS) {
        mark = &event->marks[event->nmarks];
        mark->start = start;
        mark->end = end;
        mark->next = 0;
        mark->name = (uint32_t) (name - keys->marked->names);

        event->follow = 1;
    }

    event->nmarks++;
}


void
sgamp_keys_verify(const sgamp_keys_t *keys, sgamp_event_t *event)
{
    const u_char    *s, *last;
    sgamp_member_t   member;

    s = event->raw.data + 1;
    last = event->raw.data + event->raw.len;

    event->seen = 0;

    while (sgamp_member_next(&s, last, &member)) {
        sgamp_keys_member(event, keys, &member);
    }
}


static void
sgamp_keys_member(sgamp_event_t *event, const sgamp_keys_t *keys,
    const sgamp_member_t *member)
{
    unsigned            i;
    const sgamp_str_t  *key;

    key = &member->key;

    for (i = 0; i < keys->n; i++) {

        if (!sgamp_names_is(key, &keys->names[i])) {
            continue;
        }

        event->seen |= (uint32_t) 1 << i;
        event->ends[i] = (uint32_t) (key->data + key->len + 1
                                     - event->raw.data);
        return;
    }
}
