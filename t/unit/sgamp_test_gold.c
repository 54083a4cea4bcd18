
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>
#include <stdlib.h>

#include "sgamp_test_gold.h"


static void sgamp_test_rule(sgamp_test_gold_t *gold, char *name,
    char *value);
static void sgamp_test_users(sgamp_test_gold_t *gold, char *value);


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

    sgamp_test_run_init(&gold->run);

    sgamp_test_rules_init(&gold->rules, &gold->run);

    gold->run.rules.nusers = 0;
    gold->run.valid = 1;

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

        sgamp_test_rule(gold, p, value);
    }

    sgamp_test_rules_end(&gold->rules, &gold->run);

    gold->want.data = (u_char *) p;
    gold->want.len = gold->gold.data + gold->gold.len - gold->want.data;

    n = sizeof("t/data/") - 1;

    snprintf(gold->name, sizeof(gold->name), "%s", json + n);
    *strrchr(gold->name, '.') = '\0';
}


static void
sgamp_test_rule(sgamp_test_gold_t *gold, char *name, char *value)
{
    if (strcmp(name, "api_key") == 0) {
        sgamp_test_unhex(&gold->run.api_key, value);

    } else if (strcmp(name, "batch_events") == 0) {
        gold->run.max_events = atoi(value);

    } else if (strcmp(name, "batch_size") == 0) {
        gold->run.max_size = atoi(value);

    } else if (strcmp(name, "lowercase") == 0) {
        gold->run.rules.lowercase = strcmp(value, "on") == 0;

    } else if (strcmp(name, "prefix") == 0) {
        sgamp_test_set(&gold->run.rules.prefix, value);

    } else if (strcmp(name, "users") == 0) {
        sgamp_test_users(gold, value);

    } else if (!sgamp_test_rules_set(&gold->rules, &gold->run, name, value)) {
        tap_bail("unknown rule \"%s\"", name);
    }
}


static void
sgamp_test_users(sgamp_test_gold_t *gold, char *value)
{
    char         *next;
    sgamp_str_t   name;

    for ( /* void */ ; value != NULL; value = next) {
        next = strchr(value, ',');

        if (next != NULL) {
            *next++ = '\0';
        }

        sgamp_test_set(&name, value);

        if (sgamp_rules_user(&gold->run.rules, &name) != SGAMP_OK) {
            tap_bail("too many keys");
        }
    }
}


void
sgamp_test_gold_done(sgamp_test_gold_t *gold)
{
    sgamp_test_run_done(&gold->run);
    sgamp_test_rules_done(&gold->rules);
    sgamp_test_free(&gold->json);
    sgamp_test_free(&gold->gold);
}
