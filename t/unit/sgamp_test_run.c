
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_test.h"


#define SGAMP_TEST_MAX_EVENT   262144
#define SGAMP_TEST_BATCH_SIZE  921600
#define SGAMP_TEST_EVENTS      1000
#define SGAMP_TEST_CUTS        33


typedef struct {
    sgamp_test_run_t  *run;
    sgamp_batcher_t    batcher;
    sgamp_mapper_t     mapper;
    sgamp_test_before_t  head;
    sgamp_pieces_t     pieces;
} sgamp_test_webhook_t;


static int sgamp_test_event(void *data, const sgamp_event_t *event);
static void sgamp_test_payloads(sgamp_test_webhook_t *webhook);
static int sgamp_test_feed(sgamp_test_run_t *run, sgamp_parser_t *parser,
    const u_char *p, size_t n);
static void sgamp_test_error(sgamp_test_run_t *run);


void
sgamp_test_run_init(sgamp_test_run_t *run)
{
    static const sgamp_str_t users[] = {
        sgamp_str("amp_user_id"),
        sgamp_str("email")
    };

    memset(run, 0, sizeof(sgamp_test_run_t));

    sgamp_test_poison(&run->rules, sizeof(sgamp_rules_t));
    sgamp_rules_init(&run->rules);
    (void) sgamp_rules_user(&run->rules, &users[0]);
    (void) sgamp_rules_user(&run->rules, &users[1]);

    sgamp_test_set(&run->rules.prefix, "[Sendgrid] ");
    sgamp_test_set(&run->api_key, "0123456789abcdef0123456789abcdef");

    run->max_event = SGAMP_TEST_MAX_EVENT;
    run->max_size = SGAMP_TEST_BATCH_SIZE;
    run->max_events = SGAMP_TEST_EVENTS;

    sgamp_test_heap_init(&run->heap);
}


void
sgamp_test_run(sgamp_test_run_t *run, const u_char *p, size_t n)
{
    sgamp_str_t           reserve;
    sgamp_parser_t        parser;
    sgamp_test_webhook_t  webhook;

    run->out.len = 0;
    run->rejected.len = 0;
    run->at = 0;
    run->nevents = 0;
    run->ninvalid = 0;

    memset(&reserve, 0, sizeof(sgamp_str_t));
    memset(&webhook, 0, sizeof(sgamp_test_webhook_t));

    webhook.run = run;
    webhook.pieces.grow = &run->heap.grow;
    webhook.pieces.max = 4;

    sgamp_test_poison(&parser, sizeof(sgamp_parser_t));
    sgamp_test_poison(&webhook.batcher, sizeof(sgamp_batcher_t));

    webhook.mapper.rules = &run->rules;
    webhook.mapper.properties = run->properties;
    webhook.mapper.hash = run->hash;

    sgamp_test_before(&webhook.head, &run->api_key);

    sgamp_batcher_init(&webhook.batcher, &webhook.pieces, sgamp_map,
                       &webhook.mapper, &webhook.head.str, &sgamp_test_tail,
                       run->max_size, run->max_events);

    run->status = sgamp_parser_init(&parser, &run->rules.names, run->max_event,
                                    sgamp_test_event, &webhook,
                                    &run->heap.grow, &reserve);

    if (run->status == SGAMP_OK) {
        run->status = sgamp_test_feed(run, &parser, p, n);
    }

    if (run->status == SGAMP_OK) {
        run->status = sgamp_parser_finish(&parser);
    }

    run->at = parser.at;

    if (run->status == SGAMP_OK) {
        run->status = sgamp_batcher_close(&webhook.batcher);
        sgamp_test_payloads(&webhook);
    }

    sgamp_test_put(&run->out, run->rejected.data, run->rejected.len);
    sgamp_test_error(run);

    sgamp_batcher_done(&webhook.batcher);
    sgamp_pieces_done(&webhook.pieces);
    sgamp_parser_done(&parser);

    if (reserve.data != NULL) {
        run->heap.grow.free(&run->heap, reserve.data);
    }
}


static int
sgamp_test_feed(sgamp_test_run_t *run, sgamp_parser_t *parser,
    const u_char *p, size_t n)
{
    int           rc;
    size_t        size;
    const u_char *data;

    while (n != 0) {
        size = (run->cut != NULL) ? run->cut(run->data) : n;
        size = (size < n) ? size : n;

        data = p;

        if (run->guard != NULL) {
            data = sgamp_test_guard(run->guard, p, size);
        }

        rc = sgamp_parser_feed(parser, data, size);

        if (rc != SGAMP_OK) {
            return rc;
        }

        p += size;
        n -= size;
    }

    return SGAMP_OK;
}


static int
sgamp_test_event(void *data, const sgamp_event_t *event)
{
    sgamp_test_webhook_t *webhook = data;

    int                rc, reason;
    char               text[64];
    sgamp_test_run_t  *run;

    run = webhook->run;

    sgamp_test_poison_stack();

    rc = sgamp_batcher_add(&webhook->batcher, event, &reason);

    if (rc != SGAMP_OK) {
        return rc;
    }

    if (reason == SGAMP_IGNORED) {
        snprintf(text, sizeof(text), "== ignored %u\n", run->nevents);
        sgamp_test_puts(&run->rejected, text);

    } else if (reason != SGAMP_MAPPED) {
        snprintf(text, sizeof(text), "== rejected %u %s\n", run->nevents,
                 sgamp_reason(reason));

        sgamp_test_puts(&run->rejected, text);
        sgamp_test_put(&run->rejected, event->raw.data, event->raw.len);
        sgamp_test_puts(&run->rejected, "\n");
    }

    run->nevents++;

    sgamp_test_payloads(webhook);

    return SGAMP_OK;
}


static void
sgamp_test_payloads(sgamp_test_webhook_t *webhook)
{
    size_t             start;
    sgamp_str_t        part;
    sgamp_batch_t     *batch;
    sgamp_cursor_t     cursor;
    sgamp_test_run_t  *run;

    run = webhook->run;

    for ( ;; ) {
        batch = sgamp_batcher_take(&webhook->batcher);

        if (batch == NULL) {
            return;
        }

        sgamp_test_puts(&run->out, "== payload\n");

        start = run->out.len;

        sgamp_cursor_init(&cursor, batch, NULL);

        while (sgamp_cursor_next(&cursor, &part)) {
            sgamp_test_put(&run->out, part.data, part.len);
        }

        if (run->valid
            && !sgamp_test_valid(run->out.data + start, run->out.len - start))
        {
            run->ninvalid++;
        }

        sgamp_test_puts(&run->out, "\n");

        sgamp_batch_free(&webhook->pieces, batch);
    }
}


static void
sgamp_test_error(sgamp_test_run_t *run)
{
    char  text[64];

    switch (run->status) {

    case SGAMP_OK:
        return;

    case SGAMP_INVALID:
        snprintf(text, sizeof(text), "== error invalid %llu\n",
                 (unsigned long long) run->at);
        break;

    case SGAMP_TOO_LARGE:
        snprintf(text, sizeof(text), "== error too_large\n");
        break;

    default: /* SGAMP_NOMEM */
        snprintf(text, sizeof(text), "== error nomem\n");
    }

    sgamp_test_puts(&run->out, text);
}


void
sgamp_test_run_done(sgamp_test_run_t *run)
{
    sgamp_test_free(&run->out);
    sgamp_test_free(&run->rejected);
}


void
sgamp_test_every_cut(sgamp_test_run_t *run, const u_char *p, size_t n,
    long at, const char *name)
{
    long                   got;
    size_t                 i, fault, elements;
    unsigned               bad;
    sgamp_test_guard_t     guard;
    sgamp_test_element_t   none;

    sgamp_test_guard_init(&guard, n);

    run->cut = sgamp_test_cut_fixed;
    run->data = &i;
    run->guard = &guard;
    bad = 0;

    for (i = 1; i <= SGAMP_TEST_CUTS; i++) {

        if (i == SGAMP_TEST_CUTS) {
            run->cut = NULL;
        }

        sgamp_test_run(run, p, n);

        got = (run->status == SGAMP_OK) ? SGAMP_TEST_FINE : (long) run->at;

        if (got != at
            || (run->status != SGAMP_OK && run->status != SGAMP_INVALID)
            || run->heap.live != 0)
        {
            if (bad++ == 0) {
                tap_diag("portions of %zu: status %d at %ld, want %ld", i,
                         run->status, got, at);
            }
        }
    }

    /* the second parser has to know as well */

    got = SGAMP_TEST_FINE;

    if (sgamp_test_webhook(p, n, &fault, &none, 0, &elements) != SGAMP_OK) {
        got = (long) fault;
    }

    if (got != at) {
        tap_diag("the second parser says %ld, want %ld", got, at);
        bad++;
    }

    if (at == SGAMP_TEST_FINE) {
        tap_ok(bad == 0, "%s is fine", name);

    } else {
        tap_ok(bad == 0, "%s fails at %ld", name, at);
    }

    sgamp_test_guard_done(&guard);
}
