
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_test_gold.h"


#define SGAMP_TEST_MAX_CUT  31
#define SGAMP_TEST_SPLITS   20


static void sgamp_test_gold(sgamp_test_gold_t *gold);


int
main(void)
{
    size_t             i;
    glob_t             names;
    sgamp_test_gold_t  gold;

    sgamp_test_golds(&names);

    for (i = 0; i < names.gl_pathc; i++) {
        sgamp_test_gold_init(&gold, names.gl_pathv[i]);
        sgamp_test_gold(&gold);
        sgamp_test_gold_done(&gold);
    }

    globfree(&names);

    return tap_done();
}


static void
sgamp_test_gold(sgamp_test_gold_t *gold)
{
    size_t               n;
    u_char              *p;
    unsigned             bad;
    sgamp_test_env_t    *env;
    sgamp_test_want_t    want;
    sgamp_test_random_t  random;

    env = &gold->env;
    p = gold->json.data;
    n = gold->json.len;

    sgamp_test_run(env, p, n);

    tap_bytes(env->out.data, env->out.len, gold->want.data, gold->want.len,
              "%s: mapped as a whole", gold->name);

    tap_is(env->ninvalid, 0, "%s: payloads are valid JSON", gold->name);

    /* the second parser, which other tests rely on, agrees */

    sgamp_test_webhook(p, n, &want);

    tap_ok(want.status == SGAMP_OK && want.nevents == env->nevents,
           "%s: number of elements", gold->name);

    env->valid = 0;
    want.out = gold->want;

    bad = sgamp_test_every_cut(env, p, n, SGAMP_TEST_MAX_CUT, &want);

    tap_is(bad, 0, "%s: mapped in portions of 1 to %d bytes and more",
           gold->name, SGAMP_TEST_MAX_CUT);

    random.state = n;

    bad = sgamp_test_random_cuts(env, p, n, SGAMP_TEST_SPLITS, &random, &want);

    tap_is(bad, 0, "%s: mapped in random portions", gold->name);
}
