
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_tokens.h"


int
sgamp_marks_map_key(void *ctx, const u_char *key, size_t len)
{
    sgamp_parser_t  *p = ctx;

    uint32_t              start, end;
    sgamp_mark_t         *mark;
    const sgamp_name_t   *name;
    const sgamp_names_t  *names;

    names = p->keys->marked;

    name = sgamp_names_find(names, key, len);

    if (name != NULL || p->event.follow) {
        end = (uint32_t) (sgamp_tokens_consumed(p) - p->element);
        start = end - (uint32_t) len - 2;

        if (p->event.follow) {
            p->event.marks[p->event.nmarks - 1].next = start;
            p->event.follow = 0;
        }

        if (name != NULL) {

            if (p->event.nmarks < SGAMP_MAX_MARKS) {
                mark = &p->event.marks[p->event.nmarks];
                mark->start = start;
                mark->end = end;
                mark->next = 0;
                mark->name = (uint32_t) (name - names->names);

                p->event.follow = 1;
            }

            p->event.nmarks++;
        }
    }

    return sgamp_tokens_map_key(ctx, key, len);
}
