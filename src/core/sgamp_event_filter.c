
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_event_filter.h"
#include "sgamp_id.h"
#include "sgamp_member.h"
#include "sgamp_span.h"


#define sgamp_filter_lower(treat)  (((treat) & SGAMP_NAMES_LOWER) != 0)

/* whether a key begins at p: a quote inside of a key follows a backslash */

#define sgamp_filter_is_key(p)       (*(p) == '"' && (p)[-1] != '\\')


/* a walk over the members of an event; members that are skipped have no name */

typedef struct {
    const sgamp_filter_event_t  *fe;
    unsigned                     hit;  /* the next hit */
    const u_char                *next;  /* where the search goes on */
} sgamp_filter_walk_t;


typedef struct {
    const u_char  *start;   /* the quote before the key */
    const u_char  *key;     /* just past the key */
    const u_char  *value;   /* set by sgamp_filter_value() */
    const u_char  *end;     /* past the value, and maybe past the gap after */
    unsigned       treat;
} sgamp_filter_member_t;


static unsigned sgamp_filter_has_hits(const sgamp_filter_event_t *fe);
static void sgamp_filter_note(sgamp_filter_event_t *fe);
static void sgamp_filter_walk(sgamp_filter_walk_t *walk,
    const sgamp_filter_event_t *fe);
static inline int sgamp_filter_next(sgamp_filter_walk_t *walk,
    sgamp_filter_member_t *m);
static int sgamp_filter_search(sgamp_filter_walk_t *walk,
    sgamp_filter_member_t *m);
static void sgamp_filter_value(sgamp_filter_member_t *m);
static void sgamp_filter_decode(sgamp_json_value_t *value,
    const sgamp_filter_member_t *m);
static void sgamp_filter_hash(sgamp_filter_event_t *fe,
    sgamp_filter_member_t *m, sgamp_span_t *span);
static sgamp_hashed_value_t *sgamp_filter_known(sgamp_filter_event_t *fe,
    const sgamp_filter_member_t *m);


void
sgamp_filter_read(sgamp_filter_event_t *fe, const sgamp_names_t *names,
    sgamp_hash_t *hash, const sgamp_element_t *event,
    const sgamp_json_value_t *user)
{
    fe->names = names;
    fe->event = event;
    fe->user = user;
    fe->all = 0;
    fe->ascii = 0;

    fe->all_hits = sgamp_filter_has_hits(fe);

    sgamp_hashed_init(&fe->hashed, hash);

    if ((names->treat & SGAMP_NAMES_HASH) == 0) {
        return;
    }

    sgamp_filter_note(fe);

    if (sgamp_hashed_elsewhere(&fe->hashed, &event->raw, &fe->ascii)) {
        fe->all_hits = 0;
        fe->all = 1;
    }
}


static unsigned
sgamp_filter_has_hits(const sgamp_filter_event_t *fe)
{
    unsigned            i;
    const u_char       *raw;
    const sgamp_hit_t  *hit;

    /*
     * hits do not tell where a key with an escape begins, nor do they know a
     * key with broken UTF-8 that is sent with U+FFFD
     */

    if (fe->names->replaced || fe->event->nhits > SGAMP_MAX_HITS) {
        return 0;
    }

    raw = fe->event->raw.data;

    for (i = 0; i < fe->event->nhits; i++) {
        hit = &fe->event->hits[i];

        if (!sgamp_filter_is_key(raw + hit->start)
            || (hit->next != 0 && !sgamp_filter_is_key(raw + hit->next)))
        {
            return 0;
        }
    }

    return 1;
}


static void
sgamp_filter_note(sgamp_filter_event_t *fe)
{
    unsigned               lower;
    sgamp_json_value_t     value;
    sgamp_filter_walk_t    walk;
    sgamp_filter_member_t  m;

    /* all that is hashed has to be known before the first member is written */

    sgamp_filter_walk(&walk, fe);

    while (sgamp_filter_next(&walk, &m)) {

        if ((m.treat & SGAMP_NAMES_HASH) == 0) {
            continue;
        }

        sgamp_filter_value(&m);

        if (*m.value != '"') {
            continue;
        }

        lower = sgamp_filter_lower(m.treat);

        if (lower
            && fe->user->type == SGAMP_JSON_STRING
            && fe->user->text.data == m.value + 1)
        {
            value = *fe->user;

        } else {
            sgamp_filter_decode(&value, &m);
        }

        sgamp_hashed_add(&fe->hashed, m.value, &value, lower);
    }
}


static void
sgamp_filter_walk(sgamp_filter_walk_t *walk, const sgamp_filter_event_t *fe)
{
    walk->fe = fe;
    walk->hit = 0;
    walk->next = fe->event->raw.data + 1;
}


static inline int
sgamp_filter_next(sgamp_filter_walk_t *walk, sgamp_filter_member_t *m)
{
    const u_char           *raw;
    const sgamp_hit_t      *hit;
    const sgamp_element_t  *event;

    if (!walk->fe->all_hits) {
        return sgamp_filter_search(walk, m);
    }

    event = walk->fe->event;

    if (walk->hit == event->nhits) {
        return 0;
    }

    raw = event->raw.data;
    hit = &event->hits[walk->hit++];

    m->start = raw + hit->start;
    m->key = raw + hit->end;
    m->end = raw + (hit->next ? hit->next : event->raw.len - 1);
    m->treat = hit->treat;

    return 1;
}


static int
sgamp_filter_search(sgamp_filter_walk_t *walk, sgamp_filter_member_t *m)
{
    const u_char   *last;
    sgamp_name_t    name;
    sgamp_member_t  member;

    last = walk->fe->event->raw.data + walk->fe->event->raw.len;

    while (sgamp_member_next(&walk->next, last, &member)) {

        if (sgamp_names_decode(walk->fe->names, &member.key, &name)) {
            m->treat = name.treat;

        } else {
            m->treat = 0;
        }

        if (m->treat != 0 || walk->fe->all) {
            m->start = member.key.data - 1;
            m->key = member.key.data + member.key.len + 1;
            m->end = member.end;

            return 1;
        }
    }

    return 0;
}


static void
sgamp_filter_value(sgamp_filter_member_t *m)
{
    const u_char  *p;

    while (sgamp_span_is_gap(m->end[-1])) {
        m->end--;
    }

    p = m->key;

    while (*p == ':' || *p <= ' ') {
        p++;
    }

    m->value = p;
}


static void
sgamp_filter_decode(sgamp_json_value_t *value, const sgamp_filter_member_t *m)
{
    sgamp_json_value(value, m->value, m->end);

    if (value->type != SGAMP_JSON_STRING) {
        value->text.data = (u_char *) m->value;
        value->text.len = m->end - m->value;

    } else if (sgamp_filter_lower(m->treat)) {
        (void) sgamp_id_cut(value);
    }
}


int
sgamp_filter_write(sgamp_filter_event_t *fe, sgamp_sink_t *sink)
{
    unsigned               keep;
    sgamp_span_t           span;
    const u_char          *p;
    sgamp_filter_walk_t    walk;
    sgamp_filter_member_t  m;

    sgamp_json_put(sink, (u_char *) "{", 1);

    sgamp_span_init(&span, sink, fe->ascii);
    sgamp_filter_walk(&walk, fe);

    p = walk.next;
    keep = fe->names->treat & SGAMP_NAMES_KEEP;

    while (sgamp_filter_next(&walk, &m)) {

        /* members without a name are sent, unless members are kept */

        if (!keep && p != m.start) {
            sgamp_span_add(&span, p, m.start);
        }

        p = m.end;

        if ((m.treat & SGAMP_NAMES_DROP)
            || (m.treat & SGAMP_NAMES_KEEP) != keep)
        {
            continue;
        }

        if (fe->all || (m.treat & SGAMP_NAMES_HASH)) {
            sgamp_filter_hash(fe, &m, &span);
            continue;
        }

        sgamp_span_add(&span, m.start, m.end);
    }

    if (!keep) {
        sgamp_span_add(&span, p, fe->event->raw.data + fe->event->raw.len - 1);
    }

    sgamp_span_flush(&span);

    return span.written;
}


static void
sgamp_filter_hash(sgamp_filter_event_t *fe, sgamp_filter_member_t *m,
    sgamp_span_t *span)
{
    sgamp_json_value_t     value;
    sgamp_hashed_value_t  *known;

    sgamp_filter_value(m);

    known = (*m->value == '"') ? sgamp_filter_known(fe, m) : NULL;

    /* null has nothing to hash */

    if (known == NULL
        && ((m->treat & SGAMP_NAMES_HASH) == 0 || *m->value == 'n'))
    {
        sgamp_span_add(span, m->start, m->end);
        return;
    }

    sgamp_span_add(span, m->start, m->key);
    sgamp_span_flush(span);

    sgamp_json_put(span->sink, (u_char *) ":\"", 2);

    if (known != NULL) {
        sgamp_hashed_put(&fe->hashed, span->sink, known);

    } else {
        sgamp_filter_decode(&value, m);
        sgamp_hashed_write(&fe->hashed, span->sink, &value,
                           sgamp_filter_lower(m->treat));
    }

    sgamp_json_put(span->sink, (u_char *) "\"", 1);
}


static sgamp_hashed_value_t *
sgamp_filter_known(sgamp_filter_event_t *fe, const sgamp_filter_member_t *m)
{
    sgamp_str_t  string;

    if (m->treat & SGAMP_NAMES_HASH) {
        return sgamp_hashed_at(&fe->hashed, m->value);
    }

    string.data = (u_char *) m->value + 1;
    string.len = m->end - m->value - 2;

    return sgamp_hashed_find(&fe->hashed, &string);
}
