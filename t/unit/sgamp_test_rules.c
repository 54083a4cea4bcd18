
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdlib.h>

#include "sgamp_json.h"
#include "sgamp_test_env.h"


static void sgamp_test_rules_property(sgamp_test_env_t *env,
    const sgamp_str_t *name, const sgamp_str_t *value);
static void sgamp_test_rules_copy(sgamp_test_env_t *env, sgamp_str_t *copy,
    const sgamp_str_t *text);


/* rules of a name, by their names in t/data/(*).gold */

static const struct {
    const char     *name;
    sgamp_rules_e   rule;
} sgamp_test_names[] = {
    { "drop", SGAMP_RULES_DROP },
    { "event_names", SGAMP_RULES_TYPE },
    { "events", SGAMP_RULES_ONLY },
    { "hash", SGAMP_RULES_HASH },
    { "ignore", SGAMP_RULES_IGNORE },
    { "keep", SGAMP_RULES_KEEP },
    { "properties", SGAMP_RULES_PROPERTY },
    { "users", SGAMP_RULES_USER },
    { NULL, SGAMP_RULES_USER }
};


void
sgamp_test_rules_init(sgamp_test_env_t *env)
{
    sgamp_test_heap_init(&env->set.heap);

    sgamp_test_poison(&env->rules, sizeof(sgamp_rules_t));
    sgamp_rules_init(&env->rules, &env->set.heap.grow);

    sgamp_test_rules(env, "prefix", "[Sendgrid] ");
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
    int             rc;
    unsigned        i;
    sgamp_str_t     copy;
    sgamp_rules_t  *rules;

    rules = &env->rules;
    rc = SGAMP_OK;

    sgamp_test_rules_copy(env, &copy, name);

    if (strcmp(rule, "prefix") == 0) {
        rc = sgamp_rules_prefix(rules, &copy);

    } else if (strcmp(rule, "lowercase") == 0) {
        rules->lowercase = sgamp_same(&copy, (u_char *) "on", 2);

    } else if (strcmp(rule, "client_ip") == 0) {
        rc = sgamp_rules_client_ip(rules);

    } else if (strcmp(rule, "hash_key") == 0) {
        env->set.key = copy;

    } else {

        for (i = 0; strcmp(rule, sgamp_test_names[i].name) != 0; i++) {
            if (sgamp_test_names[i + 1].name == NULL) {
                tap_bail("unknown rule \"%s\"", rule);
            }
        }

        if (sgamp_test_names[i].rule == SGAMP_RULES_PROPERTY) {
            sgamp_test_rules_property(env, &copy, value);
        }

        rc = sgamp_rules_add(rules, sgamp_test_names[i].rule, &copy, value);
    }

    if (rc != SGAMP_OK) {
        tap_bail("rule \"%s\": status %d", rule, rc);
    }
}


static void
sgamp_test_rules_property(sgamp_test_env_t *env, const sgamp_str_t *name,
    const sgamp_str_t *value)
{
    sgamp_str_t        text, *json;
    sgamp_test_sink_t  sink;

    json = &env->set.properties[env->rules.nproperties];

    sgamp_test_sink_init(&sink, 7, 0);

    sgamp_json_write(&sink.sink, (u_char *) "\"", 1);
    sgamp_json_escape(&sink.sink, name->data, name->len);
    sgamp_json_write(&sink.sink, (u_char *) "\":\"", 3);
    sgamp_json_escape(&sink.sink, value->data, value->len);
    sgamp_json_write(&sink.sink, (u_char *) "\"", 1);

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

    if (env->rules.names.treat & SGAMP_NAMES_HASH) {

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

    if (sgamp_rules_end(&env->rules) != SGAMP_OK) {
        tap_bail("no default users");
    }

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
    sgamp_rules_done(&env->rules);

    if (env->set.heap.live != 0) {
        tap_is(env->set.heap.live, 0, "allocations of rules");
    }
}
