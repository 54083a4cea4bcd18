
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_test_list.h"


static void sgamp_test_list_rules(sgamp_contact_rules_t *rules,
    const char *text);
static int sgamp_test_list_add(void *data, const sgamp_element_t *user);


void
sgamp_test_list_init(sgamp_test_list_t *t, const char *rules, unsigned item)
{
    unsigned  i;

    sgamp_test_env_init(&t->env);
    sgamp_test_heap_init(&t->heap);

    sgamp_test_poison(&t->rules, sizeof(sgamp_contact_rules_t));
    sgamp_test_list_rules(&t->rules, rules);

    if (sgamp_contact_rules(&t->rules) != SGAMP_OK) {
        tap_bail("no rules: %s", rules);
    }

    t->key.k[0] = 0x0123456789abcdefull;
    t->key.k[1] = 0xfedcba9876543210ull;

    sgamp_test_poison(&t->contacts, sizeof(sgamp_contacts_t));
    sgamp_contacts_init(&t->contacts, &t->rules, &t->key, &t->heap.grow);
    t->contacts.item = item;

    t->env.names = item ? &t->rules.item : &t->rules.webhook;
    t->env.handler = sgamp_test_list_add;
    t->env.data = t;

    t->crowded = 0;

    memset(&t->results, 0, sizeof(sgamp_test_buf_t));
    memset(&t->out, 0, sizeof(sgamp_test_buf_t));

    for (i = 0; i < SGAMP_TEST_FIELDS; i++) {
        t->definitions[i].type = SGAMP_TYPE_TEXT;
        t->definitions[i].len = 4;

        memcpy(t->definitions[i].id, "e1_T", 4);
        t->definitions[i].id[1] = (u_char) ('1' + i);
    }
}


static void
sgamp_test_list_rules(sgamp_contact_rules_t *rules, const char *text)
{
    size_t                  i, len;
    sgamp_contact_field_t  *field;

    static const char *const names[] = {
        "email", "first_name", "last_name", "external_id"
    };

    /* "field=property ...;...", a custom field has an asterisk before */

    rules->n = 0;

    for ( ;; ) {
        field = &rules->fields[rules->n++];
        field->n = 0;

        len = strcspn(text, "=");
        field->kind = SGAMP_FIELD_CUSTOM;

        for (i = 0; i < 4; i++) {
            if (strlen(names[i]) == len && memcmp(names[i], text, len) == 0) {
                field->kind = (sgamp_field_e) i;
            }
        }

        field->name.data = (u_char *) text + (*text == '*');
        field->name.len = len - (*text == '*');

        text += len;

        while (*text == '=' || *text == ' ') {
            text++;
            len = strcspn(text, " ;");

            field->properties[field->n].data = (u_char *) text;
            field->properties[field->n++].len = len;

            text += len;
        }

        if (*text == '\0') {
            return;
        }

        text++;
    }
}


void
sgamp_test_list_parse(sgamp_test_list_t *t, const void *text, size_t n)
{
    t->status = sgamp_test_parser(&t->env);

    if (t->status == SGAMP_OK) {
        t->status = sgamp_test_feed(&t->env, text, n);
    }

    if (t->status == SGAMP_OK) {
        t->status = sgamp_parser_finish(&t->env.parser);
    }

    sgamp_test_stop(&t->env);
}


static int
sgamp_test_list_add(void *data, const sgamp_element_t *user)
{
    sgamp_test_list_t  *t = data;

    int                     rc;
    sgamp_contact_result_e  result;

    result = SGAMP_CONTACT_RESULTS;

    sgamp_test_poison_stack();

    rc = sgamp_contacts_add(&t->contacts, user, &result);

    if (rc != SGAMP_OK) {
        return rc;
    }

    t->crowded += t->contacts.n > t->contacts.nslots / 4 * 3;

    switch (result) {

    case SGAMP_CONTACT_ACCEPTED:
        sgamp_test_puts(&t->results, "a");
        break;

    case SGAMP_CONTACT_NO_EMAIL:
        sgamp_test_puts(&t->results, "n");
        break;

    case SGAMP_CONTACT_INVALID_EMAIL:
        sgamp_test_puts(&t->results, "i");
        break;

    default:
        sgamp_test_puts(&t->results, "?");
    }

    return SGAMP_OK;
}


void
sgamp_test_list_write(sgamp_test_list_t *t, uint32_t i)
{
    sgamp_test_sink_t  sink;

    /* in portions that are short */

    sgamp_test_sink_init(&sink, 7, 0);

    if (i < t->contacts.n) {
        sgamp_contact_write(&t->contacts, i, t->definitions, &sink.sink);
        sgamp_test_sink_flush(&sink);
    }

    t->out.len = 0;
    sgamp_test_put(&t->out, sink.buf.data, sink.buf.len);

    sgamp_test_free(&sink.buf);
}


void
sgamp_test_list_types(sgamp_test_list_t *t, const char *types)
{
    unsigned  i;

    for (i = 0; types[i] != '\0'; i++) {
        switch (types[i]) {

        case 'T':
            t->definitions[i].type = SGAMP_TYPE_TEXT;
            break;

        case 'N':
            t->definitions[i].type = SGAMP_TYPE_NUMBER;
            break;

        case 'D':
            t->definitions[i].type = SGAMP_TYPE_DATE;
            break;

        default:
            t->definitions[i].type = SGAMP_TYPE_MISSING;
        }
    }
}


void
sgamp_test_list_done(sgamp_test_list_t *t)
{
    sgamp_contacts_done(&t->contacts);
    sgamp_contacts_done(&t->contacts);

    if (t->heap.live != 0) {
        tap_is(t->heap.live, 0, "allocations that were not freed");
    }

    sgamp_test_free(&t->results);
    sgamp_test_free(&t->out);
    sgamp_test_env_done(&t->env);
}
