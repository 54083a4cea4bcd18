
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_cohort_message.h"
#include "sgamp_id.h"
#include "sgamp_text.h"
#include "sgamp_time.h"


#define SGAMP_MESSAGE_COHORT_ID   0  /* texts */
#define SGAMP_MESSAGE_NAME        1
#define SGAMP_MESSAGE_MESSAGE_ID  2

#define SGAMP_LIST_BRACKETS       3  /* bytes around an id */

#define sgamp_message_is_control(ch)  ((ch) < 0x20 || (ch) == 0x7f)
#define sgamp_message_is_inside(ch)   (((ch) & 0xc0) == 0x80)


static void sgamp_message_webhook(sgamp_message_t *m, const sgamp_str_t *name,
    const sgamp_json_value_t *value);
static void sgamp_message_name(sgamp_message_t *m,
    const sgamp_json_value_t *value);
static unsigned sgamp_message_id(sgamp_message_t *m, unsigned i,
    sgamp_str_t *id, const sgamp_json_value_t *value);
static unsigned sgamp_message_text(sgamp_message_t *m, unsigned i,
    sgamp_str_t *text, const sgamp_json_value_t *value);
static int sgamp_list_cohort(sgamp_str_t *name, sgamp_str_t *id);
static int sgamp_list_whole(u_char *buf, size_t size, const sgamp_str_t *text,
    size_t *n);
static size_t sgamp_list_copy(u_char *buf, size_t size,
    const sgamp_str_t *text, unsigned *whole);


const sgamp_str_t *
sgamp_message_arrays(sgamp_message_form_e form, unsigned *n)
{
    /* the name that the webhook has is the first */

    static const sgamp_str_t  names[] = {
        sgamp_str("users"),
        sgamp_str("userIds"),
        sgamp_str("user_ids"),
        sgamp_str("items")
    };

    switch (form) {

    case SGAMP_MESSAGE_WEBHOOK:
        *n = 1;
        break;

    case SGAMP_MESSAGE_CREATE:
        *n = 0;
        break;

    default:
        *n = sizeof(names) / sizeof(names[0]);
    }

    return names;
}


void
sgamp_message_init(sgamp_message_t *m, sgamp_message_form_e form)
{
    memset(m, 0, sizeof(sgamp_message_t));

    m->form = form;
}


int
sgamp_message_member(sgamp_message_t *m, const sgamp_str_t *name,
    const sgamp_str_t *value)
{
    unsigned             i, n, bit, again;
    const sgamp_str_t   *arrays;
    sgamp_json_value_t   v;

    static const sgamp_str_t  list_name = sgamp_str("name");

    arrays = sgamp_message_arrays(m->form, &n);

    for (i = 0; i < n; i++) {

        if (!sgamp_same(&arrays[i], name->data, name->len)) {
            continue;
        }

        bit = 1u << i;
        again = m->users & bit;

        m->users &= ~bit;
        m->mixed |= (again && m->users != 0);

        if (value->len == 0) {
            m->users |= bit;
        }

        return again != 0;
    }

    if (value->len == 0) {
        return 0;
    }

    sgamp_json_value(&v, value->data, value->data + value->len);

    if (m->form == SGAMP_MESSAGE_WEBHOOK) {
        sgamp_message_webhook(m, name, &v);

    } else if (m->form == SGAMP_MESSAGE_CREATE
               && sgamp_same(&list_name, name->data, name->len))
    {
        sgamp_message_name(m, &v);
    }

    return 0;
}


static void
sgamp_message_webhook(sgamp_message_t *m, const sgamp_str_t *name,
    const sgamp_json_value_t *value)
{
    static const sgamp_str_t  cohort_id = sgamp_str("cohort_id");
    static const sgamp_str_t  cohort_name = sgamp_str("cohort_name");
    static const sgamp_str_t  in_cohort = sgamp_str("in_cohort");
    static const sgamp_str_t  computed_time = sgamp_str("computed_time");
    static const sgamp_str_t  message_id = sgamp_str("message_id");

    if (sgamp_same(&cohort_id, name->data, name->len)) {
        m->long_cohort_id = sgamp_message_id(m, SGAMP_MESSAGE_COHORT_ID,
                                             &m->cohort_id, value);

    } else if (sgamp_same(&cohort_name, name->data, name->len)) {
        sgamp_message_name(m, value);

    } else if (sgamp_same(&in_cohort, name->data, name->len)) {
        m->in_cohort = (value->type == SGAMP_JSON_TRUE);
        m->boolean = (m->in_cohort
                      || (value->type == SGAMP_JSON_OTHER
                          && *value->text.data == 'f'));

    } else if (sgamp_same(&computed_time, name->data, name->len)) {

        if (!sgamp_time(value, &m->run)) {
            m->run = 0;
        }

    } else if (sgamp_same(&message_id, name->data, name->len)) {
        m->long_message_id = sgamp_message_id(m, SGAMP_MESSAGE_MESSAGE_ID,
                                              &m->message_id, value);
    }
}


static void
sgamp_message_name(sgamp_message_t *m, const sgamp_json_value_t *value)
{
    m->name.len = 0;
    m->long_name = 0;

    if (value->type == SGAMP_JSON_STRING) {
        m->long_name = sgamp_message_text(m, SGAMP_MESSAGE_NAME, &m->name,
                                          value);
    }
}


static unsigned
sgamp_message_id(sgamp_message_t *m, unsigned i, sgamp_str_t *id,
    const sgamp_json_value_t *value)
{
    id->len = 0;

    if (value->type != SGAMP_JSON_STRING && value->type != SGAMP_JSON_NUMBER) {
        return 0;
    }

    return sgamp_message_text(m, i, id, value);
}


static unsigned
sgamp_message_text(sgamp_message_t *m, unsigned i, sgamp_str_t *text,
    const sgamp_json_value_t *value)
{
    size_t         n;
    u_char         buf[SGAMP_TEXT_CHAR];
    const u_char  *p, *last;

    /* returns whether the text is cut; a blank text is as good as none */

    text->data = m->texts[i];
    text->len = 0;

    if (sgamp_id_blank(value)) {
        return 0;
    }

    p = value->text.data;
    last = p + value->text.len;

    while (p < last) {
        n = sgamp_text_encode(buf, sgamp_json_next(&p, last));

        if (n > SGAMP_MESSAGE_TEXT - text->len) {
            return 1;
        }

        memcpy(text->data + text->len, buf, n);
        text->len += n;
    }

    return 0;
}


int
sgamp_message_valid(const sgamp_message_t *m)
{
    switch (m->form) {

    case SGAMP_MESSAGE_WEBHOOK:
        return m->boolean
               && m->cohort_id.len != 0
               && !m->long_cohort_id
               && !m->long_message_id
               && m->users != 0;

    case SGAMP_MESSAGE_CREATE:

        /* the id is at the end of the name */

        return m->name.len != 0 && !m->long_name;

    default:
        return m->users != 0 && !m->mixed;
    }
}


int
sgamp_list_name(sgamp_list_name_t *list, const sgamp_str_t *prefix,
    const sgamp_message_t *m)
{
    size_t        n;
    u_char       *p, *end;
    unsigned      whole;
    sgamp_str_t   name;

    name = m->name;

    list->id = m->cohort_id;
    list->exact = (m->form == SGAMP_MESSAGE_CREATE
                   && !sgamp_list_cohort(&name, &list->id));

    p = list->buf;
    end = p + SGAMP_LIST_NAME;

    list->name.data = p;
    list->end.data = p;

    if (list->exact) {
        list->id.len = 0;

        if (!sgamp_list_whole(p, SGAMP_LIST_NAME, &name, &n)) {
            return SGAMP_INVALID;
        }

        list->name.len = n;
        list->end.len = n;

        return SGAMP_OK;
    }

    /* the id first, where the end of the name is at most */

    if (!sgamp_list_whole(p, SGAMP_LIST_NAME - SGAMP_LIST_BRACKETS, &list->id,
                          &n))
    {
        return SGAMP_INVALID;
    }

    end -= n + SGAMP_LIST_BRACKETS;

    memmove(end + 2, p, n);
    memcpy(end, " [", 2);
    end[2 + n] = ']';

    p += sgamp_list_copy(p, end - p, prefix, &whole);

    if (whole) {
        p += sgamp_list_copy(p, end - p, &name, &whole);
    }

    n += SGAMP_LIST_BRACKETS;

    memmove(p, end, n);

    list->end.data = p;
    list->end.len = n;
    list->name.len = p + n - list->buf;

    return SGAMP_OK;
}


static int
sgamp_list_cohort(sgamp_str_t *name, sgamp_str_t *id)
{
    size_t         i;
    const u_char  *p;

    static const sgamp_str_t  start = sgamp_str("[Amplitude] ");

    /* "[Amplitude] NAME: ID", the name of a list that Amplitude makes up */

    if (name->len < start.len
        || memcmp(name->data, start.data, start.len) != 0)
    {
        return 0;
    }

    p = name->data + start.len;

    for (i = name->len - start.len; i >= 2; i--) {

        if (p[i - 2] != ':' || p[i - 1] != ' ') {
            continue;
        }

        if (p + i == name->data + name->len) {
            return 0;
        }

        id->data = (u_char *) p + i;
        id->len = name->data + name->len - id->data;

        name->data = (u_char *) p;
        name->len = i - 2;

        return 1;
    }

    return 0;
}


static int
sgamp_list_whole(u_char *buf, size_t size, const sgamp_str_t *text, size_t *n)
{
    size_t    i;
    unsigned  whole;

    /* whether there is room for all of the text, and the text is not blank */

    *n = sgamp_list_copy(buf, size, text, &whole);

    for (i = 0; i < *n && buf[i] == ' '; i++) {
        /* void */
    }

    return whole && i < *n;
}


static size_t
sgamp_list_copy(u_char *buf, size_t size, const sgamp_str_t *text,
    unsigned *whole)
{
    size_t         n, used;
    const u_char  *p, *next, *last;

    /* as many characters as there is room for */

    used = 0;
    *whole = 1;

    /* a text that is missing is at NULL */

    if (text->len == 0) {
        return 0;
    }

    p = text->data;
    last = p + text->len;

    for ( /* void */ ; p < last; p = next) {

        next = p + 1;

        while (next < last && sgamp_message_is_inside(*next)) {
            next++;
        }

        n = next - p;

        /* U+0080 to U+009F are controls, too */

        if (sgamp_message_is_control(*p)
            || (n == 2 && p[0] == 0xc2 && p[1] < 0xa0))
        {
            n = 1;
            p = (u_char *) " ";
        }

        if (n > size - used) {
            break;
        }

        memcpy(buf + used, p, n);
        used += n;
    }

    *whole = (p == last);

    return used;
}
