
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_event_filter.h"
#include "sgamp_id.h"
#include "sgamp_member.h"
#include "sgamp_span.h"


#define sgamp_filter_lower(treat)  (((treat) & SGAMP_NAMES_LOWER) != 0)


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


static unsigned sgamp_filter_are_plain(const sgamp_element_t *event);
static void sgamp_filter_note(sgamp_filter_event_t *fe)
    __attribute__((noinline));
static void sgamp_filter_walk(sgamp_filter_walk_t *walk,
    const sgamp_filter_event_t *fe);
static inline int sgamp_filter_next(sgamp_filter_walk_t *walk,
    sgamp_filter_member_t *m);
static inline void sgamp_filter_hit(sgamp_filter_member_t *m,
    const sgamp_element_t *event, const sgamp_hit_t *hit, const u_char *last);
static int sgamp_filter_search(sgamp_filter_walk_t *walk,
    sgamp_filter_member_t *m);
static void sgamp_filter_value(sgamp_filter_member_t *m);
static void sgamp_filter_decode(sgamp_json_value_t *value,
    const sgamp_filter_member_t *m);
static void sgamp_filter_write_hits(sgamp_filter_event_t *fe,
    sgamp_span_t *span);
static int sgamp_filter_hash_hit(sgamp_filter_event_t *fe,
    sgamp_span_t *span, const sgamp_hit_t *hit, const u_char *from,
    const u_char *next);
static void sgamp_filter_write_members(sgamp_filter_event_t *fe,
    sgamp_span_t *span);
static int sgamp_filter_hash(sgamp_filter_event_t *fe, sgamp_span_t *span,
    sgamp_filter_member_t *m);
static int sgamp_filter_is_hashed(sgamp_filter_event_t *fe,
    sgamp_filter_member_t *m, sgamp_hashed_value_t **known);
static void sgamp_filter_write_hash(sgamp_filter_event_t *fe,
    sgamp_sink_t *sink, const sgamp_filter_member_t *m,
    sgamp_hashed_value_t *known);


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

    /*
     * hits do not know a key with broken UTF-8 that is sent with U+FFFD, nor
     * where a key with an escape begins and what yajl took for U+FFFD there
     */

    fe->all_hits = (!names->replaced
                    && event->nhits <= SGAMP_MAX_HITS
                    && (!event->unsure || sgamp_filter_are_plain(event)));

    sgamp_hashed_init(&fe->hashed, hash);

    if (names->treat & SGAMP_NAMES_HASH) {
        sgamp_filter_note(fe);
    }
}


static unsigned
sgamp_filter_are_plain(const sgamp_element_t *event)
{
    unsigned            i;
    const u_char       *p;
    const sgamp_hit_t  *hit;

    /* whether no key of a hit has an escape, which hides where it begins */

    for (i = 0; i < event->nhits; i++) {
        hit = &event->hits[i];
        p = event->raw.data + hit->start;

        if (*p != '"' || memchr(p - 1, '\\', hit->end - hit->start) != NULL) {
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

    if (sgamp_hashed_elsewhere(&fe->hashed, &fe->event->raw, &fe->ascii)) {
        fe->all_hits = 0;
        fe->all = 1;
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
    uint32_t                last;
    const sgamp_hit_t      *hit;
    const sgamp_element_t  *event;

    if (!walk->fe->all_hits) {
        return sgamp_filter_search(walk, m);
    }

    event = walk->fe->event;

    if (walk->hit == event->nhits) {
        return 0;
    }

    hit = &event->hits[walk->hit++];

    last = (walk->hit < event->nhits) ? hit[1].start
                                      : (uint32_t) event->raw.len - 1;

    sgamp_filter_hit(m, event, hit, event->raw.data + last);

    return 1;
}


static inline void
sgamp_filter_hit(sgamp_filter_member_t *m, const sgamp_element_t *event,
    const sgamp_hit_t *hit, const u_char *last)
{
    m->start = event->raw.data + hit->start;
    m->key = event->raw.data + hit->end;
    m->end = last;
    m->treat = hit->treat;
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
    sgamp_span_t  span;

    sgamp_json_put(sink, (u_char *) "{", 1);

    sgamp_span_init(&span, sink, fe->ascii);

    if (fe->all_hits) {
        sgamp_filter_write_hits(fe, &span);

    } else {
        sgamp_filter_write_members(fe, &span);
    }

    return span.written;
}


static void
sgamp_filter_write_hits(sgamp_filter_event_t *fe, sgamp_span_t *span)
{
    unsigned            treat, sent;
    const u_char       *raw, *p, *next, *from;
    const sgamp_hit_t  *hit, *end;

    hit = fe->event->hits;
    end = hit + fe->event->nhits;
    raw = fe->event->raw.data;

    /* members without a name are sent, unless members are kept */

    sent = fe->names->treat & SGAMP_NAMES_KEEP;
    treat = 0;
    next = raw + 1;

    /* where the members begin that are to be written together */

    from = NULL;

    for ( /* void */ ; /* void */ ; hit++) {
        p = next;
        next = raw + ((hit != end) ? hit->start : fe->event->raw.len - 1);

        if ((treat & (SGAMP_NAMES_DROP|SGAMP_NAMES_KEEP)) != sent) {

            if (from != NULL) {
                sgamp_span_write(span, from, p);
                from = NULL;
            }

        } else {

            if (from == NULL) {
                from = p;
            }

            if ((treat & SGAMP_NAMES_HASH)
                && sgamp_filter_hash_hit(fe, span, hit - 1, from, next))
            {
                from = NULL;
            }
        }

        if (hit == end) {
            break;
        }

        treat = hit->treat;
    }

    if (from != NULL) {
        sgamp_span_write(span, from, next);
    }
}


static int
sgamp_filter_hash_hit(sgamp_filter_event_t *fe, sgamp_span_t *span,
    const sgamp_hit_t *hit, const u_char *from, const u_char *next)
{
    sgamp_filter_member_t  m;

    sgamp_filter_hit(&m, fe->event, hit, next);

    /* what is to be written together ends with the key */

    m.start = from;

    return sgamp_filter_hash(fe, span, &m);
}


static void
sgamp_filter_write_members(sgamp_filter_event_t *fe, sgamp_span_t *span)
{
    unsigned               keep;
    const u_char          *p;
    sgamp_filter_walk_t    walk;
    sgamp_filter_member_t  m;

    sgamp_filter_walk(&walk, fe);

    p = walk.next;
    keep = fe->names->treat & SGAMP_NAMES_KEEP;

    while (sgamp_filter_search(&walk, &m)) {

        /* members without a name are sent, unless members are kept */

        if (!keep && p != m.start) {
            sgamp_span_add(span, p, m.start);
        }

        p = m.end;

        if ((m.treat & (SGAMP_NAMES_DROP|SGAMP_NAMES_KEEP)) != keep) {
            continue;
        }

        if ((!fe->all && (m.treat & SGAMP_NAMES_HASH) == 0)
            || !sgamp_filter_hash(fe, span, &m))
        {
            sgamp_span_add(span, m.start, m.end);
        }
    }

    if (!keep) {
        sgamp_span_add(span, p, fe->event->raw.data + fe->event->raw.len - 1);
    }

    sgamp_span_flush(span);
}


static int
sgamp_filter_hash(sgamp_filter_event_t *fe, sgamp_span_t *span,
    sgamp_filter_member_t *m)
{
    sgamp_hashed_value_t  *known;

    if (!sgamp_filter_is_hashed(fe, m, &known)) {
        return 0;
    }

    sgamp_span_add(span, m->start, m->key);
    sgamp_span_flush(span);

    sgamp_filter_write_hash(fe, span->sink, m, known);

    return 1;
}


static int
sgamp_filter_is_hashed(sgamp_filter_event_t *fe, sgamp_filter_member_t *m,
    sgamp_hashed_value_t **known)
{
    sgamp_str_t  string;

    sgamp_filter_value(m);

    *known = NULL;

    /* null has nothing to hash */

    if (*m->value != '"') {
        return (m->treat & SGAMP_NAMES_HASH) && *m->value != 'n';
    }

    if (m->treat & SGAMP_NAMES_HASH) {
        *known = sgamp_hashed_at(&fe->hashed, m->value);
        return 1;
    }

    string.data = (u_char *) m->value + 1;
    string.len = m->end - m->value - 2;

    *known = sgamp_hashed_find(&fe->hashed, &string);

    return *known != NULL;
}


static void
sgamp_filter_write_hash(sgamp_filter_event_t *fe, sgamp_sink_t *sink,
    const sgamp_filter_member_t *m, sgamp_hashed_value_t *known)
{
    sgamp_json_value_t  value;

    sgamp_json_put(sink, (u_char *) ":\"", 2);

    if (known != NULL) {
        sgamp_hashed_put(&fe->hashed, sink, known);

    } else {
        sgamp_filter_decode(&value, m);
        sgamp_hashed_write(&fe->hashed, sink, &value,
                           sgamp_filter_lower(m->treat));
    }

    sgamp_json_put(sink, (u_char *) "\"", 1);
}
