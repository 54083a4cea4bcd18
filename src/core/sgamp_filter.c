
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_filter.h"
#include "sgamp_id.h"
#include "sgamp_run.h"


#define sgamp_filter_lower(actions)  (((actions) & SGAMP_NAMES_LOWER) != 0)

/* a quote inside of a key has a backslash before it */

#define sgamp_filter_is_key(p)       (*(p) == '"' && (p)[-1] != '\\')


static int sgamp_filter_is_plain(const sgamp_filter_event_t *fe);
static void sgamp_filter_marks(sgamp_filter_event_t *fe,
    const sgamp_event_t *event);
static int sgamp_filter_mark(sgamp_filter_event_t *fe,
    const sgamp_event_t *event, const sgamp_mark_t *mark,
    sgamp_filter_member_t *m);
static inline void sgamp_filter_end(const sgamp_event_t *event,
    const sgamp_mark_t *mark, sgamp_member_t *member);
static int sgamp_filter_search(sgamp_filter_event_t *fe,
    sgamp_filter_member_t *m);
static void sgamp_filter_rest(sgamp_filter_event_t *fe);
static void sgamp_filter_note(sgamp_filter_event_t *fe,
    sgamp_filter_member_t *m);
static void sgamp_filter_value(sgamp_json_value_t *value,
    const sgamp_filter_member_t *m);
static void sgamp_filter_known(sgamp_filter_event_t *fe,
    sgamp_filter_member_t *m);
static void sgamp_filter_plain(const sgamp_event_t *event, unsigned keep,
    sgamp_run_t *run);
static void sgamp_filter_member(sgamp_filter_event_t *fe,
    const sgamp_filter_member_t *m, sgamp_run_t *run);


void
sgamp_filter_read(sgamp_filter_event_t *fe, const sgamp_names_t *names,
    sgamp_hash_t *hash, const sgamp_event_t *event,
    const sgamp_json_value_t *user)
{
    fe->names = names;
    fe->event = event;
    fe->user = user;
    fe->next = event->raw.data + 1;
    fe->n = 0;
    fe->all = 0;
    fe->ascii = 0;

    sgamp_hashed_init(&fe->hashed, hash);

    fe->plain = sgamp_filter_is_plain(fe);

    if (fe->plain) {
        return;
    }

    if (!names->replaced) {
        sgamp_filter_marks(fe, event);
    }

    if (fe->next != NULL && (names->actions & SGAMP_NAMES_HASH)) {
        sgamp_filter_rest(fe);
    }

    if (sgamp_hashed_elsewhere(&fe->hashed, &event->raw, &fe->ascii)) {
        fe->next = event->raw.data + 1;
        fe->n = 0;
        fe->all = 1;
    }
}


static int
sgamp_filter_is_plain(const sgamp_filter_event_t *fe)
{
    unsigned              i;
    const u_char         *raw;
    const sgamp_mark_t   *mark;
    const sgamp_names_t  *names;

    /* true if all marks are of members to keep, or all of members to drop */

    names = fe->names;
    raw = fe->event->raw.data;

    if ((names->actions & SGAMP_NAMES_HASH)
        || names->replaced
        || fe->event->nmarks > SGAMP_MAX_MARKS)
    {
        return 0;
    }

    for (i = 0; i < fe->event->nmarks; i++) {
        mark = &fe->event->marks[i];

        if (!sgamp_filter_is_key(raw + mark->start)
            || (mark->next != 0 && !sgamp_filter_is_key(raw + mark->next)))
        {
            return 0;
        }
    }

    return 1;
}


static void
sgamp_filter_marks(sgamp_filter_event_t *fe, const sgamp_event_t *event)
{
    unsigned                i, n;
    sgamp_filter_member_t  *m;

    n = (event->nmarks < SGAMP_MAX_MARKS) ? event->nmarks : SGAMP_MAX_MARKS;

    for (i = 0; i < n; i++) {
        m = &fe->members[fe->n];

        if (!sgamp_filter_mark(fe, event, &event->marks[i], m)) {
            continue;
        }

        fe->n++;

        if (m->actions & SGAMP_NAMES_HASH) {
            sgamp_filter_note(fe, m);
        }
    }

    if (n == event->nmarks) {
        fe->next = NULL;
    }
}


static int
sgamp_filter_mark(sgamp_filter_event_t *fe, const sgamp_event_t *event,
    const sgamp_mark_t *mark, sgamp_filter_member_t *m)
{
    u_char        *start;
    sgamp_name_t   name;
    const u_char  *end;

    start = event->raw.data + mark->start;
    end = event->raw.data + mark->end - 1;

    m->hashed = NULL;

    if (sgamp_filter_is_key(start)) {
        m->actions = mark->actions;
        m->member.key.data = start + 1;
        m->member.key.len = end - m->member.key.data;

        sgamp_filter_end(event, mark, &m->member);

        fe->next = m->member.end;

        return 1;
    }

    /* the key has an escape: it begins somewhere after the last member */

    do {
        if (!sgamp_member_next(&fe->next, event->raw.data + event->raw.len,
                               &m->member))
        {
            return 0;
        }
    } while (m->member.key.data + m->member.key.len != end);

    /* yajl is lenient about surrogates */

    m->actions = 0;

    if (sgamp_names_decode(fe->names, &m->member.key, &name)) {
        m->actions = name.actions;
    }

    return m->actions != 0;
}


static inline void
sgamp_filter_end(const sgamp_event_t *event, const sgamp_mark_t *mark,
    sgamp_member_t *member)
{
    const u_char  *p;

    /* a value ends before the next key, and need not be read */

    p = event->raw.data + (mark->next ? mark->next : event->raw.len - 1);

    if (mark->next != 0 && !sgamp_filter_is_key(p)) {
        sgamp_member_value(member, event->raw.data + mark->end,
                           event->raw.data + event->raw.len);
        return;
    }

    while (sgamp_run_is_gap(p[-1])) {
        p--;
    }

    member->end = p;

    p = event->raw.data + mark->end;

    while (*p == ':' || *p <= ' ') {
        p++;
    }

    member->value = p;
}


static int
sgamp_filter_search(sgamp_filter_event_t *fe, sgamp_filter_member_t *m)
{
    const u_char  *last;
    sgamp_name_t   name;

    if (fe->next == NULL) {
        return 0;
    }

    last = fe->event->raw.data + fe->event->raw.len;

    while (sgamp_member_next(&fe->next, last, &m->member)) {

        m->actions = 0;
        m->hashed = NULL;

        if (sgamp_names_decode(fe->names, &m->member.key, &name)) {
            m->actions = name.actions;
        }

        if (fe->all && (m->actions & SGAMP_NAMES_HASH) == 0) {
            sgamp_filter_known(fe, m);
        }

        if (m->actions != 0 || m->hashed != NULL) {
            return 1;
        }
    }

    return 0;
}


static void
sgamp_filter_rest(sgamp_filter_event_t *fe)
{
    const u_char           *next;
    sgamp_filter_member_t   m;

    /* what is hashed has to be known before the first member is written */

    next = fe->next;

    while (sgamp_filter_search(fe, &m)) {
        if (m.actions & SGAMP_NAMES_HASH) {
            sgamp_filter_note(fe, &m);
        }
    }

    fe->next = next;
}


static void
sgamp_filter_note(sgamp_filter_event_t *fe, sgamp_filter_member_t *m)
{
    sgamp_json_value_t  value;

    if (*m->member.value != '"') {
        return;
    }

    if (sgamp_filter_lower(m->actions)
        && fe->user->type == SGAMP_JSON_STRING
        && fe->user->text.data == m->member.value + 1)
    {
        value = *fe->user;

    } else {
        sgamp_filter_value(&value, m);
    }

    m->hashed = sgamp_hashed_add(&fe->hashed, &value,
                                 sgamp_filter_lower(m->actions));
}


static void
sgamp_filter_value(sgamp_json_value_t *value, const sgamp_filter_member_t *m)
{
    sgamp_json_value(value, m->member.value, m->member.end);

    if (value->type != SGAMP_JSON_STRING) {
        value->text.data = (u_char *) m->member.value;
        value->text.len = m->member.end - m->member.value;

    } else if (m->actions & SGAMP_NAMES_LOWER) {
        (void) sgamp_id_cut(value);
    }
}


static void
sgamp_filter_known(sgamp_filter_event_t *fe, sgamp_filter_member_t *m)
{
    sgamp_str_t  string;

    if (*m->member.value != '"') {
        return;
    }

    string.data = (u_char *) m->member.value + 1;
    string.len = m->member.end - m->member.value - 2;

    m->hashed = sgamp_hashed_find(&fe->hashed, &string);
}


int
sgamp_filter_write(sgamp_filter_event_t *fe, sgamp_sink_t *sink)
{
    unsigned                      i, keep;
    const u_char                 *p;
    sgamp_run_t            run;
    sgamp_filter_member_t         other;
    const sgamp_filter_member_t  *m;

    sgamp_json_put(sink, (u_char *) "{", 1);

    sgamp_run_init(&run, sink, fe->ascii);

    p = fe->event->raw.data + 1;
    keep = fe->names->actions & SGAMP_NAMES_KEEP;

    if (fe->plain) {
        sgamp_filter_plain(fe->event, keep, &run);
        return run.written;
    }

    for (i = 0; /* void */; i++) {

        if (i < fe->n) {
            m = &fe->members[i];

        } else if (sgamp_filter_search(fe, &other)) {
            m = &other;

        } else {
            break;
        }

        if (!keep) {
            sgamp_run_add(&run, p, m->member.key.data - 1);
        }

        p = m->member.end;

        if ((m->actions & SGAMP_NAMES_DROP) == 0
            && (m->actions & SGAMP_NAMES_KEEP) == keep)
        {
            sgamp_filter_member(fe, m, &run);
        }
    }

    if (!keep) {
        sgamp_run_add(&run, p, fe->event->raw.data + fe->event->raw.len - 1);
    }

    sgamp_run_flush(&run);

    return run.written;
}


static void
sgamp_filter_plain(const sgamp_event_t *event, unsigned keep,
    sgamp_run_t *run)
{
    unsigned             i;
    const u_char        *raw, *p, *start, *last;
    const sgamp_mark_t  *mark;

    raw = event->raw.data;
    last = raw + event->raw.len - 1;
    p = raw + 1;

    for (i = 0; i < event->nmarks; i++) {
        mark = &event->marks[i];
        start = raw + mark->start;

        /* neighbors are taken together */

        while (i + 1 < event->nmarks && mark->next == mark[1].start) {
            mark++;
            i++;
        }

        if (!keep) {
            sgamp_run_add(run, p, start);
        }

        p = mark->next ? raw + mark->next : last;

        if (keep) {
            sgamp_run_add(run, start, p);
        }
    }

    if (!keep) {
        sgamp_run_add(run, p, last);
    }

    sgamp_run_flush(run);
}


static void
sgamp_filter_member(sgamp_filter_event_t *fe, const sgamp_filter_member_t *m,
    sgamp_run_t *run)
{
    const u_char        *start, *end;
    sgamp_json_value_t   value;

    start = m->member.key.data - 1;

    /* a null tells nothing */

    if (((m->actions & SGAMP_NAMES_HASH) == 0 && m->hashed == NULL)
        || *m->member.value == 'n')
    {
        sgamp_run_add(run, start, m->member.end);
        return;
    }

    end = m->member.key.data + m->member.key.len + 1;

    sgamp_run_add(run, start, end);
    sgamp_run_flush(run);

    sgamp_json_put(run->sink, (u_char *) ":\"", 2);

    if (m->hashed != NULL) {
        sgamp_hashed_put(&fe->hashed, run->sink, m->hashed);

    } else {
        sgamp_filter_value(&value, m);
        sgamp_hashed_write(&fe->hashed, run->sink, &value,
                           sgamp_filter_lower(m->actions));
    }

    sgamp_json_put(run->sink, (u_char *) "\"", 1);
}
