
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_test_batch.h"


#define SGAMP_TEST_EVENTS  10


/* one letter for each event: rejected, throttled, both or neither */

typedef struct {
    unsigned         status;
    sgamp_action_e   action;
    const char      *marks;
    const char      *body;
} sgamp_test_answer_t;


static void sgamp_test_answers(sgamp_test_env_t *env);
static int sgamp_test_judge(sgamp_test_env_t *env,
    const sgamp_test_answer_t *answer, size_t portion);
static void sgamp_test_statuses(sgamp_test_env_t *env);
static void sgamp_test_incomplete(sgamp_test_env_t *env);
static void sgamp_test_fields(sgamp_test_env_t *env);
static void sgamp_test_field_lengths(sgamp_test_env_t *env);
static void sgamp_test_many_fields(sgamp_test_env_t *env);
static void sgamp_test_ingested(sgamp_test_env_t *env);
static void sgamp_test_users(sgamp_test_env_t *env);
static unsigned sgamp_test_user(sgamp_test_env_t *env, size_t n);
static void sgamp_test_read_answer(sgamp_test_env_t *env, const char *body);


static const sgamp_test_answer_t sgamp_test_table[] = {
    { 200, SGAMP_FORWARD, "", "{\"code\":200,\"events_ingested\":10}" },
    { 200, SGAMP_FORWARD, "", "{\"code\":200}" },
    { 200, SGAMP_FORWARD, "", " \r\n\t{ \"code\" : 200 } \r\n\t" },
    { 200, SGAMP_FORWARD, "", "{\"a\":[{}],\"c\\u006fde\":200,\"b\":null}" },
    { 200, SGAMP_FORWARD, "", "{\"events_ingested\":0}" },
    { 200, SGAMP_FORWARD, "", "{\"code\":0,\"events_ingested\":null}" },
    { 200, SGAMP_FORWARD, "", "{\"code\":500,\"code\":200}" },
    { 200, SGAMP_FORWARD, "",
      "{\"code\":200,\"events_ingested\":18446744073709551616,"
      "\"a\":-99999999999999999999999999,\"b\":[1e999]}" },
    { 200, SGAMP_RETRY, "", "" },
    { 200, SGAMP_RETRY, "", "  \n" },
    { 200, SGAMP_RETRY, "", "success" },
    { 200, SGAMP_RETRY, "", "200" },
    { 200, SGAMP_RETRY, "", "null" },
    { 200, SGAMP_RETRY, "", "<html>" },
    { 200, SGAMP_RETRY, "", "[]" },
    { 200, SGAMP_RETRY, "", "[{\"code\":200}]" },
    { 200, SGAMP_RETRY, "", "{}" },
    { 200, SGAMP_RETRY, "", "{\"hello\":1}" },
    { 200, SGAMP_RETRY, "", "{\"code\":\"200\"}" },
    { 200, SGAMP_RETRY, "", "{\"code\":2000}" },
    { 200, SGAMP_RETRY, "", "{\"code\":20}" },
    { 200, SGAMP_RETRY, "", "{\"code\":-200}" },
    { 200, SGAMP_RETRY, "", "{\"code\":200,\"code\":500}" },
    { 200, SGAMP_RETRY, "", "{\"code\":200,\"code\":null}" },
    { 200, SGAMP_RETRY, "", "{\"code\":[200]}" },
    { 200, SGAMP_RETRY, "", "{\"Code\":200}" },
    { 200, SGAMP_RETRY, "", "{\"a\":{\"code\":200}}" },
    { 200, SGAMP_RETRY, "", "{\"code\":{\"a\":200}}" },
    { 200, SGAMP_RETRY, "", "{\"a\":[{\"events_ingested\":10}]}" },
    { 200, SGAMP_RETRY, "", "{\"a\":\"events_ingested\"}" },
    { 200, SGAMP_RETRY, "", "{\"code\":200,\"events_ing" },
    { 200, SGAMP_RETRY, "", "{\"code\":200," },
    { 200, SGAMP_RETRY, "", "{\"code\":200" },
    { 200, SGAMP_RETRY, "", "{\"code\":200,\"a\":{\"b\":1}" },
    { 200, SGAMP_RETRY, "", "{\"code\":200]" },
    { 200, SGAMP_RETRY, "", "{\"code\":200,}" },
    { 200, SGAMP_RETRY, "", "{\"code\":200}}" },
    { 200, SGAMP_RETRY, "", "{\"code\":200}{\"code\":200}" },
    { 200, SGAMP_RETRY, "", "{\"code\":200} 1" },
    { 200, SGAMP_RETRY, "", "{\"code\":200}\"" },
    { 200, SGAMP_RETRY, "", "{\"code\":200}t" },
    { 200, SGAMP_RETRY, "", "{\"code\":200}\v" },
    { 200, SGAMP_RETRY, "", "{\"code\":200,\v\"a\":1}" },
    { 200, SGAMP_RETRY, "", "{\"code\":200,\"a\":1\f}" },
    { 200, SGAMP_RETRY, "", "\v{\"code\":200}" },
    { 200, SGAMP_RETRY, "", "\xef\xbb\xbf{\"code\":200}" },
    { 201, SGAMP_RETRY, "", "{\"code\":200,\"events_ingested\":10}" },
    { 204, SGAMP_RETRY, "", "" },
    { 400, SGAMP_REFUSE, "", "{\"error\":\"Invalid API key: 0000\"}" },
    { 400, SGAMP_REFUSE, "", "{\"error\":\"Invalid API key\"}" },
    { 400, SGAMP_HALVE, "", "{\"error\":\"Invalid API ke\"}" },
    { 400, SGAMP_HALVE, "", "{\"error\":\"invalid API key\"}" },
    { 400, SGAMP_HALVE, "", "{\"error\":\"Invalid API kez\"}" },
    { 400, SGAMP_HALVE, "", "{\"other\":\"Invalid API key\"}" },
    { 400, SGAMP_REFUSE, "", "{\"missing_field\":\"api_key\"}" },
    { 400, SGAMP_REFUSE, "...r......",
      "{\"missing_field\":\"api_key\","
      "\"events_with_missing_fields\":{\"event_type\":[3]}}" },
    { 400, SGAMP_HALVE, "", "{\"missing_field\":null}" },
    { 400, SGAMP_HALVE, "", "{\"missing_field\":\"\"}" },
    { 400, SGAMP_HALVE, "", "{\"error\":\"other\"}" },
    { 400, SGAMP_HALVE, "", "{\"a\":{\"error\":\"Invalid API key\"}}" },
    { 400, SGAMP_HALVE, "", "{\"a\":{\"missing_field\":\"api_key\"}}" },
    { 400, SGAMP_HALVE, "", "<html><h1>400 Bad Request</h1></html>" },
    { 400, SGAMP_HALVE, "", "" },
    { 400, SGAMP_REJECT, "r.........",
      "{\"events_with_invalid_fields\":{\"time\":[0]}}" },
    { 400, SGAMP_REJECT, "rr.rr.r..r",
      "{\"events_with_invalid_fields\":{\"time\":[0, 1]},"
      "\"events_with_missing_fields\":{\"event_type\":[1,3],\"a\":[4]},"
      "\"events_with_invalid_id_lengths\":{\"user_id\":[6]},"
      "\"silenced_events\":[9]}" },
    { 400, SGAMP_REJECT, "...tt.r...",
      "{\"throttled_events\":[3,4],\"silenced_events\":[6]}" },
    { 400, SGAMP_REJECT, "...bt.b...",
      "{\"throttled_events\":[3,4],\"silenced_events\":[3,6],"
      "\"throttled_events\":[6]}" },
    { 400, SGAMP_HALVE, "..........", "{\"silenced_events\":[1\v" },
    { 400, SGAMP_HALVE, "..........", "{\"silenced_events\":[1\f]}" },
    { 400, SGAMP_REJECT, ".........r", "{\"silenced_events\":[9,10]}" },
    { 400, SGAMP_HALVE, "..........", "{\"silenced_events\":9}" },
    { 400, SGAMP_HALVE, "..........", "{\"events_with_\":[9]}" },
    { 400, SGAMP_REJECT, ".........r", "{\"events_with_a\":[9]}" },
    { 400, SGAMP_HALVE, "..........", "{\"events_without\":[9]}" },
    { 400, SGAMP_HALVE, "..........", "{\"a\":{\"silenced_events\":[9]}}" },
    { 400, SGAMP_HALVE, "",
      "{\"events_with_invalid_fields\":{\"time\":[10,-1,4294967296]}}" },
    { 400, SGAMP_HALVE, "", "{\"events_with_invalid_fields\":{\"time\":[]}}" },
    { 400, SGAMP_HALVE, "", "{\"events_with_invalid_fields\":{}}" },
    { 400, SGAMP_REJECT, ".r........",
      "{\"events_with_invalid_fields\":{\"time\":[1," },
    { 400, SGAMP_HALVE, "..........",
      "{\"events_with_invalid_fields\":{\"time\":[1" },
    { 400, SGAMP_REJECT, "..r.......",
      "{\"events_with_invalid_fields\":{\"time\":["
      "18446744073709551617,1.0,1e0,-1,2,\v3]}}" },
    { 400, SGAMP_REJECT, "..r.......",
      "{\"events_with_invalid_fields\":{\"time\":["
      "9223372036854775809,2]}}" },
    { 403, SGAMP_HALVE, "", "{\"code\":403,\"error\":\"Forbidden\"}" },
    { 413, SGAMP_HALVE, "", "{\"code\":413}" },
    { 429, SGAMP_THROTTLE, "...tt..t..",
      "{\"throttled_devices\":{\"d\":31},\"throttled_events\":[3,4,7]}" },
    { 429, SGAMP_THROTTLE, ".t..t.....",
      "{\"throttled_users\":{\"u1\":32,\"u4\":40,\"u99\":50}}" },
    { 429, SGAMP_THROTTLE, "t.........", "{\"throttled_users\":{\"u0\":1}}" },
    { 429, SGAMP_THROTTLE, "..t.......",
      "{\"exceeded_daily_quota_users\":{\"u2\":500200}}" },
    { 429, SGAMP_THROTTLE, "t.t.....t.",
      "{\"throttled_events\":[0],\"throttled_users\":{\"u2\":1},"
      "\"exceeded_daily_quota_users\":{\"\\u00758\":1}}" },
    { 429, SGAMP_WAIT, "", "{\"code\":429,\"error\":\"Too many\"}" },
    { 429, SGAMP_WAIT, "", "{\"throttled_users\":{\"nobody\":1}}" },
    { 429, SGAMP_WAIT, "", "{\"throttled_users\":{},\"throttled_events\":[]}" },
    { 429, SGAMP_WAIT, "", "" },
    { 500, SGAMP_RETRY, "", "{\"code\":500}" },
    { 503, SGAMP_RETRY, "", "<html>" },
    { 408, SGAMP_RETRY, "", "{\"code\":408}" },
    { 0, SGAMP_FORWARD, NULL, NULL }
};


int
main(void)
{
    sgamp_test_env_t  env;

    sgamp_test_batch_sent(&env, SGAMP_TEST_EVENTS);

    sgamp_test_answers(&env);
    sgamp_test_statuses(&env);
    sgamp_test_incomplete(&env);
    sgamp_test_fields(&env);
    sgamp_test_field_lengths(&env);
    sgamp_test_many_fields(&env);
    sgamp_test_ingested(&env);
    sgamp_test_users(&env);

    sgamp_test_env_done(&env);

    return tap_done();
}


static void
sgamp_test_answers(sgamp_test_env_t *env)
{
    size_t                      n;
    unsigned                    bad;
    const sgamp_test_answer_t  *answer;

    for (answer = sgamp_test_table; answer->body != NULL; answer++) {
        bad = 0;

        for (n = 1; n <= strlen(answer->body) + 1; n++) {
            bad += sgamp_test_judge(env, answer, n);
        }

        /* a line end in a name would be no part of the line of TAP */

        tap_is(bad, 0, "status %u, body %.*s", answer->status,
               (int) strcspn(answer->body, "\r\n"), answer->body);
    }
}


static int
sgamp_test_judge(sgamp_test_env_t *env, const sgamp_test_answer_t *answer,
    size_t portion)
{
    int             bad;
    uint32_t        i;
    unsigned        mark;
    const u_char   *marks;
    sgamp_action_e  action;

    sgamp_test_answer(env, answer->body, strlen(answer->body), portion,
                      portion);

    action = sgamp_response_action(&env->answer, answer->status, 1,
                                   env->batcher.closed, env->part);
    marks = env->answer.answer.marks;

    bad = action != answer->action;

    if (bad) {
        tap_diag("portions of %zu: action %d, want %d", portion, action,
                 answer->action);
    }

    for (i = 0; answer->marks[0] != '\0' && i < env->part->n; i++) {
        mark = (marks != NULL) ? marks[i] : 0;

        if (((mark & SGAMP_ANSWER_REJECTED) != 0)
                != (answer->marks[i] == 'r' || answer->marks[i] == 'b')
            || ((mark & SGAMP_ANSWER_THROTTLED) != 0)
                   != (answer->marks[i] == 't' || answer->marks[i] == 'b'))
        {
            tap_diag("portions of %zu: event %u has mark %02x", portion, i,
                     mark);
            bad = 1;
        }
    }

    sgamp_test_answer_done(env);

    return bad;
}


static void
sgamp_test_statuses(sgamp_test_env_t *env)
{
    unsigned             bad;
    sgamp_test_answer_t  answer;

    /* without a body, which a delivery has */

    answer.marks = "";
    answer.body = "";
    bad = 0;

    for (answer.status = 0; answer.status < 1000; answer.status++) {

        switch (answer.status) {

        case 408:
            answer.action = SGAMP_RETRY;
            break;

        case 429:
            answer.action = SGAMP_WAIT;
            break;

        default:
            answer.action = SGAMP_RETRY;

            if ((answer.status >= 100 && answer.status < 200)
                || (answer.status >= 300 && answer.status < 500))
            {
                answer.action = SGAMP_HALVE;
            }
        }

        bad += sgamp_test_judge(env, &answer, 1);
    }

    tap_is(bad, 0, "status lines alone");
}


static void
sgamp_test_incomplete(sgamp_test_env_t *env)
{
    sgamp_batch_t     *batch;
    sgamp_response_t  *rs;

    rs = &env->answer;
    batch = env->batcher.closed;

    sgamp_test_read_answer(env, "{\"code\":200,\"events_ingested\":10}");

    tap_is(sgamp_response_action(rs, 200, 0, batch, NULL), SGAMP_RETRY,
           "200, and the connection was cut");
    tap_is(sgamp_response_action(rs, 200, 1, batch, NULL), SGAMP_FORWARD,
           "200, and the connection was not");

    sgamp_test_answer_done(env);
}


static void
sgamp_test_fields(sgamp_test_env_t *env)
{
    size_t       i;
    sgamp_str_t  field;

    static const char body[] =
        "{\"events_with_invalid_fields\":{\"time\":[0,1],\"ip\":[1,2]},"
        "\"throttled_events\":[3],\"silenced_events\":[4,0],"
        "\"events_with_missing_fields\":[5],"
        "\"events_with_missing_fields\":{\"a\":[6]}}";

    static const char *fields[] = {
        "time", "time", "ip", "", "silenced_events",
        "events_with_missing_fields", "a", "", "", ""
    };

    sgamp_test_read_answer(env, body);

    for (i = 0; i < SGAMP_TEST_EVENTS; i++) {
        field = sgamp_response_field(&env->answer, i);

        tap_bytes(field.data, field.len, fields[i], strlen(fields[i]),
                  "event %zu is rejected for \"%s\"", i, fields[i]);
    }

    tap_ok(env->reserve.len <= 14004 + 9 * sizeof(body),
           "%zu bytes are reserved", env->reserve.len);

    sgamp_test_answer_done(env);

    sgamp_test_read_answer(env, "{}");

    tap_is(sgamp_response_field(&env->answer, 0).len, 0,
           "no event is rejected");

    sgamp_test_answer_done(env);
}


static void
sgamp_test_field_lengths(sgamp_test_env_t *env)
{
    char         name[2 * SGAMP_RESPONSE_FIELD_LEN], body[512];
    size_t       n, want;
    sgamp_str_t  field;

    memset(name, 'x', sizeof(name));

    for (n = SGAMP_RESPONSE_FIELD_LEN - 1; n <= SGAMP_RESPONSE_FIELD_LEN + 1;
         n++)
    {
        snprintf(body, sizeof(body), "{\"events_with_a\":{\"%.*s\":[7]}}",
                 (int) n, name);

        sgamp_test_read_answer(env, body);

        field = sgamp_response_field(&env->answer, 7);
        want = (n < 64) ? n : 64;

        tap_bytes(field.data, field.len, name, want, "a field of %zu bytes",
                  n);

        sgamp_test_answer_done(env);
    }
}


static void
sgamp_test_many_fields(sgamp_test_env_t *env)
{
    char              name[16];
    size_t            i;
    sgamp_str_t       field;
    sgamp_test_buf_t  body;

    /* fields 14 to 19 share the last place; "events_with_a" has the first */

    static const char *names[] = {
        "f2", "f11", "f12", "f13", "f19", "f19", "f19", "f19", "f19", "f19"
    };

    memset(&body, 0, sizeof(sgamp_test_buf_t));
    sgamp_test_puts(&body, "{\"events_with_a\":{\"x\":[]");

    for (i = 2; i < 20; i++) {
        snprintf(name, sizeof(name), ",\"f%zu\":[%zu]", i,
                 (i < 10) ? 0 : i - 10);
        sgamp_test_puts(&body, name);
    }

    sgamp_test_puts(&body, "}}");

    sgamp_test_read_answer(env, (char *) body.data);

    for (i = 0; i < SGAMP_TEST_EVENTS; i++) {
        field = sgamp_response_field(&env->answer, i);

        tap_bytes(field.data, field.len, names[i], strlen(names[i]),
                  "event %zu is rejected for \"%s\"", i, names[i]);
    }

    sgamp_test_answer_done(env);
    sgamp_test_free(&body);
}


static void
sgamp_test_ingested(sgamp_test_env_t *env)
{
    size_t  i;

    static const struct {
        const char  *body;
        int64_t      n;
    } bodies[] = {
        { "{\"code\":200}", -1 },
        { "{\"events_ingested\":0}", 0 },
        { "{\"events_ingested\":10}", 10 },
        { "{\"events_ingested\":3,\"events_ingested\":4,\"a\":5}", 4 },
        { "{\"a\":{\"events_ingested\":3}}", -1 },
        { "{\"events_ingested\":[3]}", -1 },
        { "{\"events_ingested\":\"3\"}", -1 },
        { "{\"events_ingested\":-3}", -1 },
        { "{\"events_ingested\":1.5}", -1 },
        { "{\"events_ingested\":999999999999999999}", 999999999999999999 },
        { "{\"events_ingested\":1000000000000000000}", INT64_MAX },
        { "{\"events_ingested\":18446744073709551617}", INT64_MAX }
    };

    for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        sgamp_test_read_answer(env, bodies[i].body);

        tap_is(env->answer.ingested, bodies[i].n, "events of %s",
               bodies[i].body);

        sgamp_test_answer_done(env);
    }
}


static void
sgamp_test_users(sgamp_test_env_t *env)
{
    size_t    n;
    unsigned  bad;

    /* ids that are named, of which the last one is of an event */

    bad = 0;

    for (n = 1; n < 70; n++) {
        bad += sgamp_test_user(env, n) != 1 << 4;
    }

    tap_is(bad, 0, "one throttled user among others");

    tap_is(sgamp_test_user(env, 2000), 1 << 4, "one among 2000");
    tap_is(sgamp_test_user(env, 2001), 0, "more than a request can have");
}


static unsigned
sgamp_test_user(sgamp_test_env_t *env, size_t n)
{
    char              id[32];
    unsigned          i, marked;
    const u_char     *marks;
    sgamp_test_buf_t  body;

    memset(&body, 0, sizeof(sgamp_test_buf_t));
    sgamp_test_puts(&body, "{\"throttled_users\":{");

    while (--n != 0) {
        (void) snprintf(id, sizeof(id), "\"other%zu\":1,", n);
        sgamp_test_puts(&body, id);
    }

    sgamp_test_puts(&body, "\"u4\":1}}");

    sgamp_test_read_answer(env, (char *) body.data);
    (void) sgamp_response_action(&env->answer, 429, 1, env->batcher.closed,
                                 env->part);

    marks = env->answer.answer.marks;
    marked = 0;

    for (i = 0; marks != NULL && i < env->part->n; i++) {
        marked |= (unsigned) (marks[i] == SGAMP_ANSWER_THROTTLED) << i;
    }

    sgamp_test_answer_done(env);
    sgamp_test_free(&body);

    return marked;
}


static void
sgamp_test_read_answer(sgamp_test_env_t *env, const char *body)
{
    sgamp_test_answer(env, body, strlen(body), 1, 1);
}
