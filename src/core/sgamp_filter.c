
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_filter.h"
#include "sgamp_id.h"


#define SGAMP_FILTER_BUF  256  /* bytes that are hashed at a time */

#define sgamp_filter_slot(len)                                                \
    (((len) < SGAMP_FILTER_LENGTHS) ? (len) : SGAMP_FILTER_LENGTHS - 1)


static inline unsigned sgamp_filter_lookup(const sgamp_filter_t *filter,
    const sgamp_member_t *member);
static unsigned sgamp_filter_resolve(const sgamp_filter_t *filter,
    unsigned actions);
static int sgamp_filter_next(sgamp_filter_event_t *event,
    sgamp_filter_member_t *m);
static void sgamp_filter_note(sgamp_filter_event_t *event,
    const sgamp_member_t *member, unsigned actions);
static int sgamp_filter_has_at(const sgamp_str_t *text);
static void sgamp_filter_value(sgamp_json_value_t *value,
    const sgamp_member_t *member, unsigned actions);
static int sgamp_filter_flush(sgamp_sink_t *sink, const u_char *run,
    const u_char *end, int written);
static inline int sgamp_filter_is_hashed(sgamp_filter_event_t *event,
    const sgamp_filter_member_t *m);
static void sgamp_filter_hashed(sgamp_filter_event_t *event,
    const sgamp_filter_member_t *m, sgamp_sink_t *sink, int written);
static sgamp_filter_value_t *sgamp_filter_address(
    sgamp_filter_event_t *event, const sgamp_str_t *text);
static inline int sgamp_filter_differ(const sgamp_json_value_t *address,
    const sgamp_str_t *text);
static int sgamp_filter_equal(const sgamp_str_t *a, const sgamp_str_t *b);
static void sgamp_filter_put(sgamp_filter_event_t *event, sgamp_sink_t *sink,
    sgamp_filter_value_t *value);
static int sgamp_filter_hash(sgamp_hash_t *hash, sgamp_filter_value_t *value);
static size_t sgamp_filter_decode(u_char buf[SGAMP_FILTER_BUF],
    const u_char **p, const u_char *last, unsigned lower);


void
sgamp_filter_init(sgamp_filter_t *filter, sgamp_filter_name_t *names,
    uint32_t size)
{
    memset(filter, 0, sizeof(sgamp_filter_t));

    filter->names = names;
    filter->size = size;
}


int
sgamp_filter_add(sgamp_filter_t *filter, const sgamp_str_t *name,
    unsigned action)
{
    size_t    slot;
    uint32_t  i;

    filter->actions |= action;

    if (action == SGAMP_FILTER_HASH
        && name->len == sizeof("email") - 1
        && memcmp(name->data, "email", name->len) == 0)
    {
        action |= SGAMP_FILTER_EMAIL;
    }

    slot = sgamp_filter_slot(name->len);

    for (i = filter->first[slot]; i < filter->first[slot + 1]; i++) {
        if (filter->names[i].text.len == name->len
            && memcmp(filter->names[i].text.data, name->data, name->len) == 0)
        {
            filter->names[i].actions |= action;
            return SGAMP_OK;
        }
    }

    if (filter->n == filter->size) {
        return SGAMP_TOO_LARGE;
    }

    memmove(&filter->names[i + 1], &filter->names[i],
            (filter->n - i) * sizeof(sgamp_filter_name_t));

    filter->names[i].text = *name;
    filter->names[i].actions = action;
    filter->n++;
    filter->lengths |= (uint64_t) 1 << slot;

    for (slot++; slot <= SGAMP_FILTER_LENGTHS; slot++) {
        filter->first[slot]++;
    }

    return SGAMP_OK;
}


unsigned
sgamp_filter_actions(const sgamp_filter_t *filter, const sgamp_str_t *name)
{
    sgamp_member_t  member;

    member.key = *name;
    member.escaped = 0;

    return sgamp_filter_resolve(filter, sgamp_filter_lookup(filter, &member));
}


static inline unsigned
sgamp_filter_lookup(const sgamp_filter_t *filter, const sgamp_member_t *member)
{
    size_t                slot;
    u_char                ch;
    uint32_t              i;
    sgamp_filter_name_t  *name;

    slot = sgamp_filter_slot(member->key.len);

    if (filter->lengths & ((uint64_t) 1 << slot)) {
        ch = member->key.len ? member->key.data[0] : 0;

        for (i = filter->first[slot]; i < filter->first[slot + 1]; i++) {
            name = &filter->names[i];

            if (name->text.len == member->key.len
                && (name->text.len == 0
                    || (name->text.data[0] == ch
                        && memcmp(name->text.data, member->key.data,
                                  name->text.len) == 0)))
            {
                return name->actions;
            }
        }
    }

    if (!member->escaped) {
        return 0;
    }

    for (i = 0; i < filter->n; i++) {
        if (sgamp_json_is(&member->key, &filter->names[i].text, 0)) {
            return filter->names[i].actions;
        }
    }

    return 0;
}


static unsigned
sgamp_filter_resolve(const sgamp_filter_t *filter, unsigned actions)
{
    if ((filter->actions & SGAMP_FILTER_KEEP)
        && (actions & SGAMP_FILTER_KEEP) == 0)
    {
        actions |= SGAMP_FILTER_DROP;
    }

    return actions;
}


void
sgamp_filter_read(sgamp_filter_event_t *event, const sgamp_filter_t *filter,
    const sgamp_str_t *raw)
{
    const u_char           *next;
    sgamp_filter_member_t   other, *m;

    event->filter = filter;
    event->next = raw->data + 1;
    event->last = raw->data + raw->len;
    event->nmembers = 0;
    event->nvalues = 0;
    event->addresses = 0;

    for (m = event->members; event->nmembers < SGAMP_FILTER_MEMBERS; m++) {

        if (!sgamp_filter_next(event, m)) {
            return;
        }

        event->nmembers++;

        if (m->actions & SGAMP_FILTER_HASH) {
            sgamp_filter_note(event, &m->member, m->actions);
        }
    }

    if ((filter->actions & SGAMP_FILTER_HASH) == 0) {
        return;
    }

    /* of the others, only what is hashed has to be known before */

    next = event->next;

    while (sgamp_filter_next(event, &other)) {
        if (other.actions & SGAMP_FILTER_HASH) {
            sgamp_filter_note(event, &other.member, other.actions);
        }
    }

    event->next = next;
}


static int
sgamp_filter_next(sgamp_filter_event_t *event, sgamp_filter_member_t *m)
{
    unsigned  actions;

    if (!sgamp_member_next(&event->next, event->last, &m->member)) {
        return 0;
    }

    actions = sgamp_filter_lookup(event->filter, &m->member);

    m->actions = sgamp_filter_resolve(event->filter, actions);

    return 1;
}


static void
sgamp_filter_note(sgamp_filter_event_t *event, const sgamp_member_t *member,
    unsigned actions)
{
    sgamp_filter_value_t  *value;

    if (*member->value != '"' || event->nvalues == SGAMP_FILTER_HASHED) {
        return;
    }

    value = &event->values[event->nvalues++];

    sgamp_filter_value(&value->value, member, actions);

    value->email = (actions & SGAMP_FILTER_EMAIL) != 0;
    value->done = 0;

    value->address = value->value;
    (void) sgamp_id_cut(&value->address);

    if (!sgamp_filter_has_at(&value->address.text)) {
        value->address.text.len = 0;
        return;
    }

    event->addresses = 1;
}


static int
sgamp_filter_has_at(const sgamp_str_t *text)
{
    const u_char  *p, *last;

    p = text->data;
    last = p + text->len;

    if (memchr(p, '@', text->len) != NULL) {
        return 1;
    }

    if (memchr(p, '\\', text->len) == NULL) {
        return 0;
    }

    while (p < last) {
        if (sgamp_json_next(&p, last) == '@') {
            return 1;
        }
    }

    return 0;
}


static void
sgamp_filter_value(sgamp_json_value_t *value, const sgamp_member_t *member,
    unsigned actions)
{
    sgamp_json_value(value, member->value, member->end);

    if (value->type != SGAMP_JSON_STRING) {
        value->text.data = (u_char *) member->value;
        value->text.len = member->end - member->value;

    } else if (actions & SGAMP_FILTER_EMAIL) {
        (void) sgamp_id_cut(value);
    }
}


int
sgamp_filter_write(sgamp_filter_event_t *event, sgamp_sink_t *sink)
{
    int                           written;
    unsigned                      i;
    const u_char                 *run, *end;
    sgamp_filter_member_t         other;
    const sgamp_filter_member_t  *m;

    sgamp_json_write(sink, (u_char *) "{", 1);

    run = NULL;
    end = NULL;
    written = 0;

    for (i = 0; /* void */; i++) {

        if (i < event->nmembers) {
            m = &event->members[i];

        } else if (sgamp_filter_next(event, &other)) {
            m = &other;

        } else {
            break;
        }

        /* members that stay as they are leave together */

        if ((m->actions & SGAMP_FILTER_DROP) == 0
            && !sgamp_filter_is_hashed(event, m))
        {
            run = (run != NULL) ? run : m->member.key.data - 1;
            end = m->member.end;
            continue;
        }

        written |= sgamp_filter_flush(sink, run, end, written);
        run = NULL;

        if ((m->actions & SGAMP_FILTER_DROP) == 0) {
            sgamp_filter_hashed(event, m, sink, written);
            written = 1;
        }
    }

    return written | sgamp_filter_flush(sink, run, end, written);
}


static int
sgamp_filter_flush(sgamp_sink_t *sink, const u_char *run, const u_char *end,
    int written)
{
    if (run == NULL) {
        return 0;
    }

    if (written) {
        sgamp_json_write(sink, (u_char *) ",", 1);
    }

    sgamp_json_copy(sink, run, end - run);

    return 1;
}


static inline int
sgamp_filter_is_hashed(sgamp_filter_event_t *event,
    const sgamp_filter_member_t *m)
{
    sgamp_str_t  text;

    /* a null tells nothing */

    if (m->actions & SGAMP_FILTER_HASH) {
        return *m->member.value != 'n';
    }

    if (!event->addresses || *m->member.value != '"') {
        return 0;
    }

    text.data = (u_char *) m->member.value + 1;
    text.len = m->member.end - m->member.value - 2;

    return sgamp_filter_address(event, &text) != NULL;
}


static void
sgamp_filter_hashed(sgamp_filter_event_t *event,
    const sgamp_filter_member_t *m, sgamp_sink_t *sink, int written)
{
    sgamp_json_value_t  value;

    if (written) {
        sgamp_json_write(sink, (u_char *) ",", 1);
    }

    sgamp_json_copy(sink, m->member.key.data - 1, m->member.key.len + 2);
    sgamp_json_write(sink, (u_char *) ":\"", 2);

    sgamp_filter_value(&value, &m->member, m->actions);

    if ((m->actions & SGAMP_FILTER_HASH)
        || !sgamp_filter_known(event, sink, &value))
    {
        sgamp_filter_digest(event, sink, &value, m->actions);
    }

    sgamp_json_write(sink, (u_char *) "\"", 1);
}


void
sgamp_filter_digest(sgamp_filter_event_t *event, sgamp_sink_t *sink,
    const sgamp_json_value_t *value, unsigned actions)
{
    unsigned              i;
    sgamp_filter_value_t  other, *v;

    for (i = 0; i < event->nvalues; i++) {
        v = &event->values[i];

        if (v->value.text.data == value->text.data
            && v->value.text.len == value->text.len)
        {
            sgamp_filter_put(event, sink, v);
            return;
        }
    }

    other.value = *value;
    other.email = (actions & SGAMP_FILTER_EMAIL) != 0;
    other.done = 0;

    sgamp_filter_put(event, sink, &other);
}


int
sgamp_filter_known(sgamp_filter_event_t *event, sgamp_sink_t *sink,
    const sgamp_json_value_t *value)
{
    sgamp_filter_value_t  *v;

    if (!event->addresses || value->type != SGAMP_JSON_STRING) {
        return 0;
    }

    v = sgamp_filter_address(event, &value->text);

    if (v == NULL) {
        return 0;
    }

    sgamp_filter_put(event, sink, v);

    return 1;
}


static sgamp_filter_value_t *
sgamp_filter_address(sgamp_filter_event_t *event, const sgamp_str_t *text)
{
    unsigned              i;
    sgamp_json_value_t    value;
    sgamp_filter_value_t  *v;

    for (i = 0; i < event->nvalues; i++) {
        v = &event->values[i];

        if (v->address.text.len == 0
            || sgamp_filter_differ(&v->address, text))
        {
            continue;
        }

        value.text = *text;
        value.plain = 0;
        (void) sgamp_id_cut(&value);

        if (sgamp_filter_equal(&value.text, &v->address.text)) {
            return v;
        }
    }

    return NULL;
}


static inline int
sgamp_filter_differ(const sgamp_json_value_t *address, const sgamp_str_t *text)
{
    u_char  first, last;

    /* most strings have another length, and no escape that could be why */

    if (!address->plain || text->len == address->text.len) {
        return 0;
    }

    if (text->len < address->text.len) {
        return 1;
    }

    first = text->data[0];
    last = text->data[text->len - 1];

    return first > ' ' && first < 0x80 && last > ' ' && last < 0x80
           && memchr(text->data, '\\', text->len) == NULL;
}


static int
sgamp_filter_equal(const sgamp_str_t *a, const sgamp_str_t *b)
{
    uint32_t       c, d;
    const u_char  *p, *q, *alast, *blast;

    p = a->data;
    q = b->data;
    alast = p + a->len;
    blast = q + b->len;

    while (p < alast && q < blast) {
        c = sgamp_json_next(&p, alast);
        d = sgamp_json_next(&q, blast);

        if (sgamp_json_lower(c) != sgamp_json_lower(d)) {
            return 0;
        }
    }

    return p == alast && q == blast;
}


static void
sgamp_filter_put(sgamp_filter_event_t *event, sgamp_sink_t *sink,
    sgamp_filter_value_t *value)
{
    if (!value->done
        && sgamp_filter_hash(event->filter->hash, value) != SGAMP_OK)
    {
        sink->status = SGAMP_NOMEM;
        sink->last = sink->pos;
        return;
    }

    value->done = 1;

    sgamp_json_write(sink, value->hex, SGAMP_SHA256_HEX_LEN);
}


static int
sgamp_filter_hash(sgamp_hash_t *hash, sgamp_filter_value_t *value)
{
    int            rc;
    size_t         n;
    u_char         buf[SGAMP_FILTER_BUF];
    const u_char  *p, *last;

    p = value->value.text.data;
    last = p + value->value.text.len;

    rc = sgamp_hash_start(hash);

    if (value->value.type != SGAMP_JSON_STRING
        || (value->value.plain && !value->email))
    {
        if (rc == SGAMP_OK) {
            rc = sgamp_hash_update(hash, p, last - p);
        }

        p = last;
    }

    while (rc == SGAMP_OK && p < last) {
        n = sgamp_filter_decode(buf, &p, last, value->email);
        rc = sgamp_hash_update(hash, buf, n);
    }

    return (rc == SGAMP_OK) ? sgamp_hash_final(hash, value->hex) : rc;
}


static size_t
sgamp_filter_decode(u_char buf[SGAMP_FILTER_BUF], const u_char **p,
    const u_char *last, unsigned lower)
{
    size_t    n;
    uint32_t  c;

    for (n = 0; *p < last && n <= SGAMP_FILTER_BUF - SGAMP_JSON_CHAR; /* void */)
    {
        c = sgamp_json_next(p, last);
        n += sgamp_json_encode(buf + n, lower ? sgamp_json_lower(c) : c);
    }

    return n;
}
