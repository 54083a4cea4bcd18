
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_test_gold.h"


#define SGAMP_TEST_MAX_CUT  31
#define SGAMP_TEST_SPLITS   20


static void sgamp_test_gold(sgamp_test_gold_t *gold);
static void sgamp_test_cuts(sgamp_test_gold_t *gold);
static void sgamp_test_splits(sgamp_test_gold_t *gold);
static int sgamp_test_same(sgamp_test_gold_t *gold);


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
        sgamp_test_cuts(&gold);
        sgamp_test_splits(&gold);
        sgamp_test_gold_done(&gold);
    }

    globfree(&names);

    return tap_done();
}


static void
sgamp_test_gold(sgamp_test_gold_t *gold)
{
    size_t                n, at;
    sgamp_test_run_t     *run;
    sgamp_test_element_t  none;

    run = &gold->run;

    sgamp_test_run(run, gold->json.data, gold->json.len);

    tap_bytes(run->out.data, run->out.len, gold->want.data, gold->want.len,
              "%s: mapped as a whole", gold->name);

    tap_is(run->ninvalid, 0, "%s: payloads are valid JSON", gold->name);

    /* the second parser, which other tests rely on, agrees */

    tap_ok(sgamp_test_webhook(gold->json.data, gold->json.len, &at, &none, 0,
                              &n)
               == SGAMP_OK
           && n == run->nevents,
           "%s: number of elements", gold->name);

    run->valid = 0;
}


static void
sgamp_test_cuts(sgamp_test_gold_t *gold)
{
    size_t              n;
    unsigned            bad;
    sgamp_test_guard_t  guard;

    sgamp_test_guard_init(&guard, gold->json.len);

    gold->run.cut = sgamp_test_cut_fixed;
    gold->run.data = &n;
    gold->run.guard = &guard;
    bad = 0;

    for (n = 1; n <= SGAMP_TEST_MAX_CUT; n++) {
        bad += !sgamp_test_same(gold);
    }

    n = 4096;
    bad += !sgamp_test_same(gold);

    n = gold->json.len;
    bad += !sgamp_test_same(gold);

    tap_is(bad, 0, "%s: mapped in portions of 1 to %d bytes and more",
           gold->name, SGAMP_TEST_MAX_CUT);

    gold->run.guard = NULL;

    sgamp_test_guard_done(&guard);
}


static void
sgamp_test_splits(sgamp_test_gold_t *gold)
{
    unsigned             i, bad;
    sgamp_test_random_t  random;

    random.state = gold->json.len;

    gold->run.cut = sgamp_test_cut_random;
    gold->run.data = &random;
    bad = 0;

    for (i = 0; i < SGAMP_TEST_SPLITS; i++) {
        bad += !sgamp_test_same(gold);
    }

    tap_is(bad, 0, "%s: mapped in random portions", gold->name);

    gold->run.cut = NULL;
}


static int
sgamp_test_same(sgamp_test_gold_t *gold)
{
    int                same;
    sgamp_test_run_t  *run;

    run = &gold->run;

    sgamp_test_run(run, gold->json.data, gold->json.len);

    same = run->out.len == gold->want.len
           && memcmp(run->out.data, gold->want.data, gold->want.len) == 0;

    if (!same) {
        tap_diag("%s: something else comes out", gold->name);
        tap_diag_bytes("out", run->out.data, run->out.len);
    }

    if (run->heap.live != 0) {
        tap_diag("%s: %zu allocations were not freed", gold->name,
                 run->heap.live);
        return 0;
    }

    return same;
}
