
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_test_env.h"


#define SGAMP_TEST_MAX   100  /* bytes of an element, of a member, of a gap */
#define SGAMP_TEST_TEXTS 3000
#define SGAMP_TEST_STOP  77   /* what a handler returns */


/* an object, and what the handlers of its members and elements are given */

typedef struct {
    const char  *text;
    const char  *log;
} sgamp_test_object_t;


typedef struct {
    sgamp_test_env_t   env;
    sgamp_test_buf_t   log;
    sgamp_names_t      names;    /* "k" */
    const char        *stop;    /* the member whose handler fails */
    int                status;
} sgamp_test_root_t;


static void sgamp_test_objects(void);
static void sgamp_test_every(const sgamp_test_object_t *object,
    const char *text, size_t n);
static void sgamp_test_random_texts(void);
static void sgamp_test_sizes(void);
static void sgamp_test_no_root(void);
static void sgamp_test_handler(void);
static void sgamp_test_no_memory(void);
static void sgamp_test_start(sgamp_test_root_t *t);
static void sgamp_test_parse(sgamp_test_root_t *t, const char *text, size_t n,
    size_t size, unsigned root);
static int sgamp_test_element(void *data, const sgamp_element_t *event);
static int sgamp_test_member(void *data, const sgamp_str_t *name,
    const sgamp_str_t *value);
static void sgamp_test_end(sgamp_test_root_t *t);


static const sgamp_str_t  sgamp_test_arrays[] = {
    sgamp_str("users"),
    sgamp_str("items")
};


#define SGAMP_TEST_NAME                                                       \
    "0123456789012345678901234567890123456789012345678901234567890123"

static const sgamp_test_object_t  sgamp_test_texts[] = {

    { "{}", "ok" },
    { " \n{ \t} ", "ok" },
    { "\xef\xbb\xbf{\"a\":1}", "a=1;ok" },
    { "{\"a\":1}", "a=1;ok" },
    { "{\"a\" : -1.5e3 , \"b\" :\"x\\\"y\",\"c\":true,\"d\":null}",
      "a=-1.5e3;b=\"x\\\"y\";c=true;d=null;ok" },
    { "{\"a\":{\"users\":[1,{\"b\":2}]},\"b\":[1,[2]],\"c\":{}}",
      "a={\"users\":[1,{\"b\":2}]};b=[1,[2]];c={};ok" },

    /* elements before and after other members */

    { "{\"users\":[]}", "users=;ok" },
    { "{\"users\":[{\"k\":1},2,\"x\",[3],null]}",
      "users=;{\"k\":1}@4;2;\"x\";[3];null;ok" },
    { "{ \"users\" : [ {\"k\":1} , {} ] , \"z\":0 }",
      "users=;{\"k\":1}@4;{};z=0;ok" },
    { "{\"z\":\"0\",\"users\":[{\"a\":{\"k\":1}}],\"y\":{\"k\":1}}",
      "z=\"0\";users=;{\"a\":{\"k\":1}};y={\"k\":1};ok" },
    { "{\"users\":[1],\"items\":[2],\"a\":3,\"users\":[4]}",
      "users=;1;items=;2;a=3;users=;4;ok" },

    /* what only looks like them */

    { "{\"users\":5,\"items\":{\"a\":[1]}}", "users=5;items={\"a\":[1]};ok" },
    { "{\"a\":[{\"users\":[1]}],\"Users\":[2]}",
      "a=[{\"users\":[1]}];Users=[2];ok" },
    { "{\"\\u0075sers\":[1],\"\":2,\"a\\n\":3}", "users=;1;=2;a\n=3;ok" },
    { "{\"" SGAMP_TEST_NAME "\":1,\"a\":2}", SGAMP_TEST_NAME "=1;a=2;ok" },
    { "{\"" SGAMP_TEST_NAME "x\":1,\"a\":2}", "a=2;ok" },
    { "{\"" SGAMP_TEST_NAME "x\":[1],\"a\":2}", "a=2;ok" },
    { "[{\"users\":[1]},2]", "{\"users\":[1]};2;ok" },

    /* faults: where they are does not depend on how the text is cut */

    { "{", "invalid 1" },
    { "{\"a\"", "invalid 4" },
    { "{\"a\":1", "invalid 6" },
    { "{\"users\":[1", "users=;invalid 11" },
    { "{\"users\":[1]", "users=;1;invalid 12" },
    { "{,\"a\":1}", "invalid 1" },
    { "{\"a\":1,}", "a=1;invalid 7" },
    { "{\"a\":1,,\"b\":2}", "a=1;invalid 7" },
    { "{\"a\"::1}", "invalid 5" },
    { "{\"a\" 1 }", "invalid 5" },
    { "{\"a\",1}", "invalid 4" },
    { "{\"a\":1 \"b\":2}", "a=1;invalid 7" },
    { "{\"a\":1 2 }", "a=1;invalid 7" },
    { "{\"a\" \"b\"}", "invalid 5" },
    { "{\"a\":,}", "invalid 5" },
    { "{1:2}", "invalid 1" },
    { "{a:2}", "invalid 1" },
    { "{\"a\":1]", "a=1;invalid 6" },
    { "{\"a\":[1}", "invalid 7" },
    { "{\"a\":{\"b\" 1}}", "invalid 10" },
    { "{\"users\":[1}", "users=;1;invalid 11" },
    { "{\"users\":[1 2 ]}", "users=;1;invalid 12" },
    { "{\"users\":[{\"a\" 1}]}", "users=;invalid 15" },
    { "{\"users\":[1],}", "users=;1;invalid 13" },
    { "{\"users\":[1]:2}", "users=;1;invalid 12" },
    { "{\"a\":1}x", "a=1;invalid 7" },
    { "{\"a\":1}{", "a=1;invalid 7" },
    { "{\"a\":tru}", "invalid 8" },
    { "{\"a\":\"\\x\"}", "invalid 7" },
    { NULL, NULL }
};


int
main(void)
{
    sgamp_test_objects();
    sgamp_test_random_texts();
    sgamp_test_sizes();
    sgamp_test_no_root();
    sgamp_test_handler();
    sgamp_test_no_memory();

    return tap_done();
}


static void
sgamp_test_objects(void)
{
    const sgamp_test_object_t  *object;

    for (object = sgamp_test_texts; object->text != NULL; object++) {
        sgamp_test_every(object, object->text, strlen(object->text));
    }
}


static void
sgamp_test_every(const sgamp_test_object_t *object, const char *text, size_t n)
{
    size_t             size, bad;
    sgamp_test_root_t  t;

    /* portions of 1, 2, ... bytes, and all bytes at once */

    sgamp_test_start(&t);

    bad = 0;

    for (size = 1; size <= n; size++) {
        sgamp_test_parse(&t, text, n, size, 1);

        if (strcmp((char *) t.log.data, object->log) != 0 && bad++ == 0) {
            tap_diag("portions of %zu: got %s, want %s", size, t.log.data,
                     object->log);
        }

        bad += t.env.heap.live != 0;
    }

    /* a line end in a text would be no part of the line of TAP */

    tap_ok(bad == 0, "%.*s", (int) strcspn(object->text, "\n"), object->text);

    sgamp_test_end(&t);
}


static void
sgamp_test_random_texts(void)
{
    char                 text[256];
    size_t               i, n, size, bad, fine;
    sgamp_test_buf_t     log;
    sgamp_test_root_t    t;
    sgamp_test_random_t  random;

    /* tokens of an object in nearly the right order, cut in every way */

    static const char *const tokens[] = {
        "{", "}", "[", "]", ":", ",", "\"users\"", "\"a\"", "1", "tru", "null",
        " ", "\"", "\\", "-", "\"x\\n\""
    };

    static const char *const good[] = {
        "\"users\":[1,{\"k\":2}]", "\"a\":1", "\"b\" : {\"c\":[]}",
        "\"d\":\"e\""
    };

    random.state = 4711;
    memset(&log, 0, sizeof(sgamp_test_buf_t));
    sgamp_test_start(&t);

    bad = 0;
    fine = 0;

    for (i = 0; i < SGAMP_TEST_TEXTS; i++) {
        strcpy(text, "{");

        while (strlen(text) < 40 && sgamp_test_random(&random, 8) != 0) {

            if (sgamp_test_random(&random, 8) == 0) {
                strcat(text, tokens[sgamp_test_random(&random, 16)]);
                continue;
            }

            strcat(text, good[sgamp_test_random(&random, 4)]);
            strcat(text, (sgamp_test_random(&random, 10) == 0) ? "" : ",");
        }

        n = strlen(text);

        if (text[n - 1] == ',' && sgamp_test_random(&random, 4) != 0) {
            n--;
        }

        text[n++] = '}';
        text[n] = '\0';

        for (size = n; size != 0; size--) {
            sgamp_test_parse(&t, text, n, size, 1);

            if (size == n) {
                log.len = 0;
                sgamp_test_put(&log, t.log.data, t.log.len);

                fine += (t.status == SGAMP_OK);
                bad += (t.status == SGAMP_OK)
                       != sgamp_test_valid((u_char *) text, n);

            } else if (strcmp((char *) log.data, (char *) t.log.data) != 0
                       && bad++ == 0)
            {
                tap_diag("%s in portions of %zu: %s, want %s", text, size,
                         t.log.data, log.data);
            }

            bad += t.env.heap.live != 0;
        }
    }

    sgamp_test_end(&t);
    sgamp_test_free(&log);

    tap_is(bad, 0, "objects and what is nearly one, cut in every way");
    tap_ok(fine > SGAMP_TEST_TEXTS / 10, "some of them are fine");
}


static void
sgamp_test_sizes(void)
{
    int                  over;
    char                 text[8 * SGAMP_TEST_MAX], log[8 * SGAMP_TEST_MAX];
    char                 fill[SGAMP_TEST_MAX + 2];
    size_t               i, n;
    sgamp_test_object_t  object;

    /* each has SGAMP_TEST_MAX bytes, or a byte more */

    static const struct {
        const char  *before;
        char         fill;
        const char  *after;
        size_t       other;  /* bytes that count, too */
        const char  *log;
        const char  *fault;
    } sizes[] = {
        { "{\"a\":\"", 'x', "\"}", 2, "a=\"%s\";ok", "" },
        { "{\"a\":[\"", 'x', "\"]}", 4, "a=[\"%s\"];ok", "" },
        { "{\"a\":1", ' ', ",\"b\":2}", 1, "a=1;b=2;ok", "a=1;" },
        { "{\"a\":", ' ', "1}", 1, "a=1;ok", "" },
        { "{", ' ', "\"a\":1}", 0, "a=1;ok", "" },
        { "{\"a\":1", ' ', "}", 0, "a=1;ok", "a=1;" },
        { "{\"", 'x', "\":1}", 2, "ok", "" },
        { "{\"users\":[", ' ', "1]}", 0, "users=;1;ok", "users=;" },
        { "{\"users\":[1]", ' ', ",\"b\":2}", 1, "users=;1;b=2;ok",
          "users=;1;" },
        { "{\"users\":[\"", 'x', "\"]}", 2, "users=;\"%s\";ok", "users=;" },
        { NULL, 0, NULL, 0, NULL, NULL }
    };

    for (i = 0; sizes[i].before != NULL; i++) {
        for (over = 0; over <= 1; over++) {
            n = SGAMP_TEST_MAX - sizes[i].other + over;

            memset(fill, sizes[i].fill, n);
            fill[n] = '\0';

            snprintf(text, sizeof(text), "%s%s%s", sizes[i].before, fill,
                     sizes[i].after);

            if (over) {
                snprintf(log, sizeof(log), "%stoo large", sizes[i].fault);

            } else {
                snprintf(log, sizeof(log), sizes[i].log, fill);
            }

            object.text = sizes[i].before;
            object.log = log;

            sgamp_test_every(&object, text, strlen(text));
        }
    }
}


static void
sgamp_test_no_root(void)
{
    sgamp_test_root_t  t;

    static const char text[] = "{\"users\":[1],\"k\":2}";

    sgamp_test_start(&t);
    sgamp_test_parse(&t, text, sizeof(text) - 1, sizeof(text), 0);

    tap_ok(strcmp((char *) t.log.data, "{\"users\":[1],\"k\":2}@16;ok") == 0,
           "without handler a root object is an element");

    sgamp_test_end(&t);
}


static void
sgamp_test_handler(void)
{
    size_t             i;
    sgamp_test_root_t  t;

    static const char text[] = "{\"a\":1,\"users\":[2],\"b\":3}";

    static const struct {
        const char  *stop;
        const char  *log;
    } stops[] = {
        { "a", "a=1;stopped 6" },
        { "users", "a=1;users=;stopped 16" },
        { "b", "a=1;users=;2;b=3;stopped 24" }
    };

    for (i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
        sgamp_test_start(&t);
        t.stop = stops[i].stop;

        sgamp_test_parse(&t, text, sizeof(text) - 1, 1, 1);

        tap_bytes(t.log.data, t.log.len - 1, stops[i].log,
                  strlen(stops[i].log), "the handler of %s fails", t.stop);

        sgamp_test_end(&t);
    }
}


static void
sgamp_test_no_memory(void)
{
    unsigned           n, bad;
    sgamp_test_root_t  t;

    static const char text[] =
        "{\"users\":[{\"k\":1},2],\"name\":\"a name in two feeds\"}";

    sgamp_test_start(&t);

    bad = 0;
    t.status = SGAMP_NOMEM;

    for (n = 1; n < 100 && t.status != SGAMP_OK; n++) {
        t.env.heap.calls = 0;
        t.env.heap.fail = n;

        sgamp_test_parse(&t, text, sizeof(text) - 1, 7, 1);

        bad += t.status != SGAMP_OK && t.status != SGAMP_NOMEM;
        bad += t.env.heap.live != 0;
    }

    sgamp_test_end(&t);

    tap_ok(n > 3 && n < 100, "allocations fail");
    tap_is(bad, 0, "and nothing else does");
}


static void
sgamp_test_parse(sgamp_test_root_t *t, const char *text, size_t n, size_t size,
    unsigned root)
{
    char               end[64];
    sgamp_test_env_t  *env;

    env = &t->env;
    env->cut = sgamp_test_cut_fixed;
    env->cut_data = &size;

    t->log.len = 0;
    t->status = sgamp_test_parser(env);

    if (root) {
        sgamp_parser_root(&env->parser, sgamp_test_arrays, 2,
                          sgamp_test_member);
    }

    if (t->status == SGAMP_OK) {
        t->status = sgamp_test_feed(env, (u_char *) text, n);
    }

    if (t->status == SGAMP_OK) {
        t->status = sgamp_parser_finish(&env->parser);
    }

    switch (t->status) {

    case SGAMP_OK:
        sgamp_test_puts(&t->log, "ok");
        break;

    case SGAMP_TOO_LARGE:
        sgamp_test_puts(&t->log, "too large");
        break;

    default:
        snprintf(end, sizeof(end), "%s %u",
                 (t->status == SGAMP_INVALID) ? "invalid" : "stopped",
                 (unsigned) env->parser.at);
        sgamp_test_puts(&t->log, end);
        break;
    }

    sgamp_test_put(&t->log, "", 1);

    sgamp_test_stop(env);
}


static void
sgamp_test_start(sgamp_test_root_t *t)
{
    sgamp_str_t  key;

    memset(t, 0, sizeof(sgamp_test_root_t));

    sgamp_names_init(&t->names);
    sgamp_test_set(&key, "k");
    (void) sgamp_names_key(&t->names, &key);

    sgamp_test_env_init(&t->env);

    t->env.max_event = SGAMP_TEST_MAX;
    t->env.names = &t->names;
    t->env.handler = sgamp_test_element;
    t->env.data = t;
}


static int
sgamp_test_element(void *data, const sgamp_element_t *event)
{
    sgamp_test_root_t  *t = data;

    char  text[32];

    sgamp_test_put(&t->log, event->raw.data, event->raw.len);

    if (event->seen) {
        snprintf(text, sizeof(text), "@%u", event->ends[0]);
        sgamp_test_puts(&t->log, text);
    }

    sgamp_test_puts(&t->log, ";");

    return SGAMP_OK;
}


static int
sgamp_test_member(void *data, const sgamp_str_t *name,
    const sgamp_str_t *value)
{
    sgamp_test_root_t  *t = data;

    sgamp_test_put(&t->log, name->data, name->len);
    sgamp_test_puts(&t->log, "=");

    if (value->len != 0) {
        sgamp_test_put(&t->log, value->data, value->len);
    }

    sgamp_test_puts(&t->log, ";");

    if (t->stop != NULL && strlen(t->stop) == name->len
        && memcmp(t->stop, name->data, name->len) == 0)
    {
        return SGAMP_TEST_STOP;
    }

    return SGAMP_OK;
}


static void
sgamp_test_end(sgamp_test_root_t *t)
{
    sgamp_test_env_done(&t->env);
    sgamp_test_free(&t->log);
}
