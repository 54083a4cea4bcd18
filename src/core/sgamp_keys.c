
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_tokens.h"


static void sgamp_keys_mark(sgamp_parser_t *p, const sgamp_name_t *name,
    uint32_t start, uint32_t end);


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

    return i;
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


int
sgamp_keys_note(void *ctx, const u_char *key, size_t len)
{
    sgamp_parser_t  *p = ctx;

    unsigned             i, slot;
    uint32_t             end;
    const sgamp_keys_t  *keys;

    /* most keys are not asked for, nor do they follow one that is marked */

    p->touched = 1;

    keys = p->keys;
    slot = sgamp_names_slot(key, len);

    if (!keys->used[slot] && !p->event.follow) {
        return 1;
    }

    end = (uint32_t) (sgamp_tokens_consumed(p) - p->element);

    for (i = keys->first[slot]; i != 0; i = keys->next[i - 1]) {
        if (sgamp_same(&keys->names[i - 1], key, len)) {
            p->event.seen |= (uint32_t) 1 << (i - 1);
            p->event.ends[i - 1] = end;
            break;
        }
    }

    if (keys->marked != NULL) {
        sgamp_keys_mark(p, sgamp_names_find(keys->marked, slot, key, len),
                        end - (uint32_t) len - 2, end);
    }

    return 1;
}


static void
sgamp_keys_mark(sgamp_parser_t *p, const sgamp_name_t *name, uint32_t start,
    uint32_t end)
{
    sgamp_mark_t   *mark;
    sgamp_event_t  *event;

    event = &p->event;

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
        mark->name = (uint32_t) (name - p->keys->marked->names);

        event->follow = 1;
    }

    event->nmarks++;
}
