
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_test_env.h"


#define SGAMP_TEST_SIZE   262144 /* bytes of an event */
#define SGAMP_TEST_BASE   65536  /* bytes that a webhook may hold, and ... */
#define SGAMP_TEST_RATE   16     /* ... tenths of what was received */
#define SGAMP_TEST_TOKEN  27     /* likewise, if that is a single token */
#define SGAMP_TEST_PEAK   37     /* likewise, while a buffer grows */


typedef struct {
    const char  *name;
    const char  *head;
    const char  *body; /* repeated */
    size_t       rate;
} sgamp_test_text_t;


static void sgamp_test_held(const sgamp_test_text_t *text, size_t portion);
static int sgamp_test_skip(void *data, const sgamp_element_t *event);


int
main(void)
{
    size_t  i, k;

    static const size_t  portions[] = { 100, 1448, 4096, 16384, 65536, 262144 };

    static const sgamp_test_text_t texts[] = {
        { "a string", "[{\"x\":\"", "a", SGAMP_TEST_TOKEN },
        { "a string alone", "[\"", "a", SGAMP_TEST_TOKEN },
        { "escapes", "[{\"x\":\"", "\\u00e9", SGAMP_TEST_TOKEN },
        { "a key", "[{\"", "a", SGAMP_TEST_TOKEN },
        { "a number", "[{\"x\":1", "0", SGAMP_TEST_TOKEN },
        { "many numbers", "[{\"x\":[0", ",0", SGAMP_TEST_RATE },
        { "many strings", "[{\"x\":[0", ",\"abcdefgh\"", SGAMP_TEST_RATE },
        { "many keys", "[{\"x\":0", ",\"abcdefgh\":1", SGAMP_TEST_RATE },
        { "white space", "[{\"x\":", " ", SGAMP_TEST_RATE }
    };

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (k = 0; k < sizeof(portions) / sizeof(portions[0]); k++) {
            sgamp_test_held(&texts[i], portions[k]);
        }
    }

    return tap_done();
}


static void
sgamp_test_held(const sgamp_test_text_t *text, size_t portion)
{
    size_t              n, sent, size, held, peak;
    sgamp_test_buf_t    buf;
    sgamp_test_env_t    env;
    sgamp_test_heap_t  *heap;

    memset(&buf, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_puts(&buf, text->head);

    n = strlen(text->body);

    while (buf.len < SGAMP_TEST_SIZE - n) {
        sgamp_test_puts(&buf, text->body);
    }

    sgamp_test_env_init(&env);

    env.max_event = SGAMP_TEST_SIZE;
    env.handler = sgamp_test_skip;

    (void) sgamp_test_parser(&env);

    /* the reserve is the worker's, and has its size from the beginning */

    (void) sgamp_arena_reserve(&env.parser.arena, SGAMP_TEST_SIZE,
                               SGAMP_TEST_SIZE);
    heap = &env.heap;
    held = 0;
    peak = 0;

    for (sent = 0; sent < buf.len; sent += size) {
        size = (portion < buf.len - sent) ? portion : buf.len - sent;

        heap->peak = heap->bytes;

        if (sgamp_test_feed(&env, buf.data + sent, size) != SGAMP_OK) {
            break;
        }

        n = SGAMP_TEST_BASE + text->rate * (sent + size) / 10 + env.reserve.len;
        held += heap->bytes > n;

        n = SGAMP_TEST_BASE + SGAMP_TEST_PEAK * (sent + size) / 10
            + env.reserve.len;
        peak += heap->peak > n;
    }

    tap_is(sent, (long long) buf.len, "%s is fed by %zu", text->name, portion);
    tap_is(held, 0, "%s by %zu: what is held", text->name, portion);
    tap_is(peak, 0, "%s by %zu: the most", text->name, portion);

    sgamp_test_env_done(&env);
    sgamp_test_free(&buf);
}


static int
sgamp_test_skip(void *data, const sgamp_element_t *event)
{
    return SGAMP_OK;
}
