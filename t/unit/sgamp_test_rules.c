
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdlib.h>

#include "sgamp_test_env.h"


static void sgamp_test_rules_only(sgamp_rules_t *rules);
static sgamp_rules_event_t *sgamp_test_rules_event(sgamp_rules_t *rules,
    const sgamp_str_t *name);
static void sgamp_test_rules_text(sgamp_test_env_t *env, sgamp_str_t *json,
    const sgamp_str_t *name, const sgamp_str_t *value);
static void sgamp_test_rules_copy(sgamp_test_env_t *env, sgamp_str_t *copy,
    const sgamp_str_t *text);


void
sgamp_test_rules_init(sgamp_test_env_t *env)
{
    sgamp_test_set_t  *set;

    set = &env->set;

    sgamp_test_poison(&env->rules, sizeof(sgamp_rules_t));
    sgamp_rules_init(&env->rules);

    sgamp_test_poison(set->names, sizeof(set->names));
    sgamp_names_reserve(&env->rules.names, set->names,
                        SGAMP_MAX_KEYS + SGAMP_TEST_MAX_NAMES);

    env->rules.others = set->others;

    sgamp_test_set(&env->rules.prefix, "[Sendgrid] ");
}


void
sgamp_test_rules(sgamp_test_env_t *env, const char *rule, const char *list)
{
    size_t       n, k;
    sgamp_str_t  name, value;

    for ( /* void */ ; list != NULL; list = (list[n] == ',') ? list + n + 1
                                                           : NULL)
    {
        n = strcspn(list, ",");
        k = strcspn(list, ",=");

        name.data = (u_char *) list;
        name.len = k;

        k += (k < n);

        value.data = (u_char *) list + k;
        value.len = n - k;

        sgamp_test_rule(env, rule, &name, &value);
    }
}


void
sgamp_test_rule(sgamp_test_env_t *env, const char *rule,
    const sgamp_str_t *name, const sgamp_str_t *value)
{
    int                rc;
    sgamp_str_t        copy;
    sgamp_names_t     *names;
    sgamp_rules_t     *rules;
    sgamp_test_set_t  *set;

    set = &env->set;
    rules = &env->rules;
    names = &rules->names;

    sgamp_test_rules_copy(env, &copy, name);

    rc = SGAMP_OK;

    if (strcmp(rule, "users") == 0) {
        rc = sgamp_rules_user(rules, &copy);

    } else if (strcmp(rule, "prefix") == 0) {
        rules->prefix = copy;

    } else if (strcmp(rule, "lowercase") == 0) {
        rules->lowercase = sgamp_same(&copy, (u_char *) "on", 2);

    } else if (strcmp(rule, "client_ip") == 0) {
        rc = sgamp_rules_client_ip(rules);

    } else if (strcmp(rule, "drop") == 0) {
        rc = sgamp_names_add(names, &copy, SGAMP_NAMES_DROP);

    } else if (strcmp(rule, "keep") == 0) {
        rc = sgamp_names_add(names, &copy, SGAMP_NAMES_KEEP);

    } else if (strcmp(rule, "hash") == 0) {
        rc = sgamp_names_add(names, &copy, SGAMP_NAMES_HASH);

    } else if (strcmp(rule, "hash_key") == 0) {
        set->key = copy;

    } else if (strcmp(rule, "events") == 0) {

        if (!set->only) {
            sgamp_test_rules_only(rules);
            set->only = 1;
        }

        sgamp_test_rules_event(rules, &copy)->ignored = 0;

    } else if (strcmp(rule, "ignore") == 0) {
        sgamp_test_rules_event(rules, &copy)->ignored = 1;

    } else if (strcmp(rule, "event_names") == 0) {
        sgamp_test_rules_text(env, &sgamp_test_rules_event(rules, &copy)->type,
                              NULL, value);

    } else if (strcmp(rule, "properties") == 0) {
        sgamp_test_rules_text(env, &set->properties[rules->nproperties], &copy,
                              value);
        rc = sgamp_rules_property(rules, &copy);

    } else {
        tap_bail("unknown rule \"%s\"", rule);
    }

    if (rc != SGAMP_OK) {
        tap_bail("too many names in \"%s\"", rule);
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
        if (sgamp_same(&rules->others[i].name, name->data, name->len)) {
            return &rules->others[i];
        }
    }

    rules->others[i].name = *name;
    rules->others[i].ignored = rules->kinds[SGAMP_KIND_OTHER].ignored;
    rules->nothers++;

    return &rules->others[i];
}


static void
sgamp_test_rules_text(sgamp_test_env_t *env, sgamp_str_t *json,
    const sgamp_str_t *name, const sgamp_str_t *value)
{
    sgamp_str_t        text;
    sgamp_test_sink_t  sink;

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

    text.data = sink.buf.data;
    text.len = sink.buf.len;

    sgamp_test_rules_copy(env, json, &text);
    sgamp_test_free(&sink.buf);
}


static void
sgamp_test_rules_copy(sgamp_test_env_t *env, sgamp_str_t *copy,
    const sgamp_str_t *text)
{
    sgamp_test_buf_t  *buf;

    if (env->set.ntexts == SGAMP_TEST_MAX_TEXTS) {
        tap_bail("too many texts");
    }

    buf = &env->set.texts[env->set.ntexts++];

    sgamp_test_put(buf, text->data, text->len);

    copy->data = buf->data;
    copy->len = buf->len;
}


void
sgamp_test_rules_end(sgamp_test_env_t *env)
{
    sgamp_test_set_t  *set;

    set = &env->set;

    if (set->done) {
        return;
    }

    if (env->rules.nusers == 0) {
        sgamp_test_rules(env, "users", "amp_user_id,email");
    }

    if (env->rules.names.actions & SGAMP_NAMES_HASH) {

        if (sgamp_hash_init(&set->hash, set->key.data ? &set->key : NULL)
            != SGAMP_OK)
        {
            tap_bail("no SHA-256");
        }

        if (!env->forget) {
            set->hash.entries = calloc(SGAMP_HASH_ENTRIES,
                                       sizeof(sgamp_hash_entry_t));
            if (set->hash.entries == NULL) {
                tap_bail("no memory");
            }
        }
    }

    sgamp_rules_done(&env->rules);

    set->done = 1;
}


void
sgamp_test_rules_done(sgamp_test_env_t *env)
{
    unsigned  i;

    for (i = 0; i < env->set.ntexts; i++) {
        sgamp_test_free(&env->set.texts[i]);
    }

    free(env->set.hash.entries);
    sgamp_hash_done(&env->set.hash);
}
