
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>
#include <stdlib.h>

#include "sgamp_test_rules.h"


static void sgamp_test_rules_list(sgamp_test_rules_t *r,
    sgamp_test_run_t *run, const char *rule, char *list);
static void sgamp_test_rules_name(sgamp_test_rules_t *r,
    sgamp_test_run_t *run, const char *rule, const sgamp_str_t *name,
    const sgamp_str_t *value);
static void sgamp_test_rules_only(sgamp_rules_t *rules);
static sgamp_rules_event_t *sgamp_test_rules_event(sgamp_rules_t *rules,
    const sgamp_str_t *name);
static void sgamp_test_rules_text(sgamp_test_rules_t *r, sgamp_str_t *json,
    const sgamp_str_t *name, const sgamp_str_t *value);


void
sgamp_test_rules_init(sgamp_test_rules_t *r, sgamp_test_run_t *run)
{
    memset(r, 0, sizeof(sgamp_test_rules_t));

    sgamp_test_poison(r->names, sizeof(r->names));
    sgamp_names_reserve(&run->rules.names, r->names, SGAMP_TEST_NAMES);

    run->rules.others = r->others;
    run->properties = r->properties;
}


int
sgamp_test_rules_set(sgamp_test_rules_t *r, sgamp_test_run_t *run,
    const char *name, char *value)
{
    size_t  i;

    static const char *lists[] = {
        "drop", "event_names", "events", "hash", "ignore", "keep",
        "properties", NULL
    };

    if (strcmp(name, "client_ip") == 0) {
        (void) sgamp_rules_client_ip(&run->rules);
        return 1;
    }

    if (strcmp(name, "hash_key") == 0) {
        sgamp_test_unhex(&r->key, value);
        return 1;
    }

    for (i = 0; lists[i] != NULL; i++) {
        if (strcmp(name, lists[i]) == 0) {
            sgamp_test_rules_list(r, run, name, value);
            return 1;
        }
    }

    return 0;
}


static void
sgamp_test_rules_list(sgamp_test_rules_t *r, sgamp_test_run_t *run,
    const char *rule, char *list)
{
    char         *next, *second;
    sgamp_str_t   name, value;

    if (strcmp(rule, "events") == 0) {
        sgamp_test_rules_only(&run->rules);
    }

    for ( /* void */ ; list != NULL; list = next) {
        next = strchr(list, ',');

        if (next != NULL) {
            *next++ = '\0';
        }

        second = strchr(list, '=');
        value.len = 0;

        if (second != NULL) {
            *second++ = '\0';
            sgamp_test_unhex(&value, second);
        }

        sgamp_test_unhex(&name, list);
        sgamp_test_rules_name(r, run, rule, &name, &value);
    }
}


static void
sgamp_test_rules_name(sgamp_test_rules_t *r, sgamp_test_run_t *run,
    const char *rule, const sgamp_str_t *name, const sgamp_str_t *value)
{
    int             rc;
    sgamp_rules_t  *rules;
    sgamp_names_t  *names;

    rules = &run->rules;
    names = &rules->names;

    rc = SGAMP_OK;

    if (strcmp(rule, "drop") == 0) {
        rc = sgamp_names_add(names, name, SGAMP_NAMES_DROP);

    } else if (strcmp(rule, "keep") == 0) {
        rc = sgamp_names_add(names, name, SGAMP_NAMES_KEEP);

    } else if (strcmp(rule, "hash") == 0) {
        rc = sgamp_names_add(names, name, SGAMP_NAMES_HASH);
        run->hash = &r->hash;

    } else if (strcmp(rule, "events") == 0) {
        sgamp_test_rules_event(rules, name)->ignored = 0;

    } else if (strcmp(rule, "ignore") == 0) {
        sgamp_test_rules_event(rules, name)->ignored = 1;

    } else if (strcmp(rule, "event_names") == 0) {
        sgamp_test_rules_text(r, &sgamp_test_rules_event(rules, name)->type,
                              NULL, value);

    } else { /* properties */
        sgamp_test_rules_text(r, &r->properties[rules->nproperties], name,
                              value);
        rc = sgamp_rules_property(rules, name);
    }

    if (rc != SGAMP_OK) {
        tap_bail("too many names");
    }
}


static void
sgamp_test_rules_only(sgamp_rules_t *rules)
{
    unsigned  i;

    for (i = 0; i < SGAMP_KINDS; i++) {
        rules->kinds[i].ignored = 1;
    }

    for (i = 0; i < rules->nothers; i++) {
        rules->others[i].ignored = 1;
    }
}


static sgamp_rules_event_t *
sgamp_test_rules_event(sgamp_rules_t *rules, const sgamp_str_t *name)
{
    unsigned      i;
    sgamp_kind_e  kind;

    kind = sgamp_kind_lookup(name->data, name->len);

    if (kind != SGAMP_KIND_OTHER) {
        return &rules->kinds[kind];
    }

    for (i = 0; i < rules->nothers; i++) {
        if (rules->others[i].name.len == name->len
            && memcmp(rules->others[i].name.data, name->data, name->len) == 0)
        {
            return &rules->others[i];
        }
    }

    rules->others[i].name = *name;
    rules->others[i].ignored = rules->kinds[SGAMP_KIND_OTHER].ignored;
    rules->nothers++;

    return &rules->others[i];
}


static void
sgamp_test_rules_text(sgamp_test_rules_t *r, sgamp_str_t *json,
    const sgamp_str_t *name, const sgamp_str_t *value)
{
    sgamp_test_sink_t  sink;

    if (r->ntexts == SGAMP_TEST_TEXTS) {
        tap_bail("too many texts");
    }

    sgamp_test_sink_init(&sink, 7, 0);

    if (name != NULL) {
        sgamp_json_write(&sink.sink, (u_char *) "\"", 1);
        sgamp_json_escape(&sink.sink, name->data, name->len);
        sgamp_json_write(&sink.sink, (u_char *) "\":\"", 3);
    }

    sgamp_json_escape(&sink.sink, value->data, value->len);

    if (name != NULL) {
        sgamp_json_write(&sink.sink, (u_char *) "\"", 1);
    }

    sgamp_test_sink_flush(&sink);

    r->texts[r->ntexts++] = sink.buf;

    json->data = sink.buf.data;
    json->len = sink.buf.len;
}


void
sgamp_test_rules_end(sgamp_test_rules_t *r, sgamp_test_run_t *run)
{
    if (run->hash != NULL
        && sgamp_hash_init(&r->hash, (r->key.data != NULL) ? &r->key : NULL)
           != SGAMP_OK)
    {
        tap_bail("no SHA-256");
    }

    r->hash.entries = calloc(SGAMP_HASH_ENTRIES, sizeof(sgamp_hash_entry_t));
    if (r->hash.entries == NULL) {
        tap_bail("no memory");
    }

    sgamp_rules_done(&run->rules);
}


void
sgamp_test_rules_done(sgamp_test_rules_t *r)
{
    unsigned  i;

    for (i = 0; i < r->ntexts; i++) {
        sgamp_test_free(&r->texts[i]);
    }

    free(r->hash.entries);
    sgamp_hash_done(&r->hash);
}


void
sgamp_test_unhex(sgamp_str_t *str, char *value)
{
    size_t    i;
    unsigned  ch;

    str->data = (u_char *) value;
    str->len = strlen(value) / 2;

    for (i = 0; i < str->len; i++) {

        if (sscanf(value + 2 * i, "%2x", &ch) != 1) {
            tap_bail("not hex: %s", value);
        }

        str->data[i] = (u_char) ch;
    }
}
