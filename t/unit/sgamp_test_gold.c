
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>
#include <stdlib.h>

#include "sgamp_test_gold.h"


static void sgamp_test_gold_rule(sgamp_test_env_t *env, const char *rule,
    char *value);
static void sgamp_test_gold_list(sgamp_test_env_t *env, const char *rule,
    char *list);
static void sgamp_test_unhex(sgamp_str_t *str, char *value);


void
sgamp_test_golds(glob_t *names)
{
    if (glob("t/data/*.json", 0, NULL, names) != 0) {
        tap_bail("no t/data/*.json");
    }
}


void
sgamp_test_gold_init(sgamp_test_gold_t *gold, const char *json)
{
    char    path[256];
    char   *p, *value, *next;
    size_t  n;

    memset(gold, 0, sizeof(sgamp_test_gold_t));

    sgamp_test_env_init(&gold->env);

    gold->env.valid = 1;

    n = strlen(json) - (sizeof(".json") - 1);

    snprintf(path, sizeof(path), "%.*s.gold", (int) n, json);

    sgamp_test_read(&gold->json, json);
    sgamp_test_read(&gold->gold, path);

    /* the lines of the rules are cut in place, the rest is what has to be */

    p = (char *) gold->gold.data;

    for (p = strchr(p, '\n') + 1; *p != '\0' && *p != '='; p = next) {
        next = strchr(p, '\n');
        *next++ = '\0';

        value = strchr(p, ' ');
        *value++ = '\0';

        sgamp_test_gold_rule(&gold->env, p, value);
    }

    gold->want.data = (u_char *) p;
    gold->want.len = gold->gold.data + gold->gold.len - gold->want.data;

    n = sizeof("t/data/") - 1;

    snprintf(gold->name, sizeof(gold->name), "%s", json + n);
    *strrchr(gold->name, '.') = '\0';
}


static void
sgamp_test_gold_rule(sgamp_test_env_t *env, const char *rule, char *value)
{
    sgamp_str_t  text;

    if (strcmp(rule, "api_key") == 0) {
        sgamp_test_unhex(&env->api_key, value);

    } else if (strcmp(rule, "batch_events") == 0) {
        env->max_events = atoi(value);

    } else if (strcmp(rule, "batch_size") == 0) {
        env->max_size = atoi(value);

    } else if (strcmp(rule, "users") == 0) {
        sgamp_test_rules(env, rule, value);

    } else if (strcmp(rule, "client_ip") == 0
               || strcmp(rule, "lowercase") == 0
               || strcmp(rule, "prefix") == 0)
    {
        sgamp_test_set(&text, value);
        sgamp_test_rule(env, rule, &text, NULL);

    } else {
        sgamp_test_gold_list(env, rule, value);
    }
}


static void
sgamp_test_gold_list(sgamp_test_env_t *env, const char *rule, char *list)
{
    char        *next, *second;
    sgamp_str_t  name, value;

    /* each name and value is in hex */

    for ( /* void */ ; list != NULL; list = next) {
        next = strchr(list, ',');

        if (next != NULL) {
            *next++ = '\0';
        }

        second = strchr(list, '=');
        sgamp_test_set(&value, "");

        if (second != NULL) {
            *second++ = '\0';
            sgamp_test_unhex(&value, second);
        }

        sgamp_test_unhex(&name, list);
        sgamp_test_rule(env, rule, &name, &value);
    }
}


static void
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


void
sgamp_test_gold_done(sgamp_test_gold_t *gold)
{
    sgamp_test_env_done(&gold->env);
    sgamp_test_free(&gold->json);
    sgamp_test_free(&gold->gold);
}
