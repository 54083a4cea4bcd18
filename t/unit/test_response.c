
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_response.h"
#include "sgamp_test_batch.h"


#define SGAMP_TEST_EVENTS  10


/* one letter for each event: rejected, throttled, both or neither */

typedef struct {
    unsigned         status;
    sgamp_action_e   action;
    const char      *marks;
    const char      *body;
} sgamp_test_answer_t;


static void sgamp_test_answers(sgamp_test_batcher_t *t);
static int sgamp_test_answer(sgamp_test_batcher_t *t,
    const sgamp_test_answer_t *answer, size_t portion);
static void sgamp_test_statuses(sgamp_test_batcher_t *t);
static void sgamp_test_incomplete(sgamp_test_batcher_t *t);


static const sgamp_test_answer_t sgamp_test_table[] = {
    { 200, SGAMP_FORWARD, "", "{\"code\":200,\"events_ingested\":10}" },
    { 200, SGAMP_FORWARD, "", "" },
    { 200, SGAMP_FORWARD, "", "  \n" },
    { 200, SGAMP_FORWARD, "", "success" },
    { 200, SGAMP_FORWARD, "", "<html>" },
    { 200, SGAMP_RETRY, "", "{\"code\":200,\"events_ing" },
    { 200, SGAMP_RETRY, "", "{\"code\":200," },
    { 200, SGAMP_RETRY, "", "{\"code\":200}}" },
    { 400, SGAMP_REFUSE, "", "{\"error\":\"Invalid API key: 0000\"}" },
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
    { 400, SGAMP_HALVE, "",
      "{\"events_with_invalid_fields\":{\"time\":[10,-1,4294967296]}}" },
    { 400, SGAMP_HALVE, "", "{\"events_with_invalid_fields\":{\"time\":[]}}" },
    { 400, SGAMP_HALVE, "", "{\"events_with_invalid_fields\":{}}" },
    { 400, SGAMP_REJECT, ".r........",
      "{\"events_with_invalid_fields\":{\"time\":[1" },
    { 403, SGAMP_HALVE, "", "{\"code\":403,\"error\":\"Forbidden\"}" },
    { 413, SGAMP_HALVE, "", "{\"code\":413}" },
    { 429, SGAMP_THROTTLE, "...tt..t..",
      "{\"throttled_devices\":{\"d\":31},\"throttled_events\":[3,4,7]}" },
    { 429, SGAMP_THROTTLE, ".t..t.....",
      "{\"throttled_users\":{\"u1\":32,\"u4\":40,\"u99\":50}}" },
    { 429, SGAMP_THROTTLE, "..t.......",
      "{\"exceeded_daily_quota_users\":{\"u2\":500200}}" },
    { 429, SGAMP_THROTTLE, "t.t.....t.",
      "{\"throttled_events\":[0],\"throttled_users\":{\"u2\":1},"
      "\"exceeded_daily_quota_users\":{\"\\u00758\":1}}" },
    { 429, SGAMP_HOLD, "", "{\"code\":429,\"error\":\"Too many\"}" },
    { 429, SGAMP_HOLD, "", "{\"throttled_users\":{\"nobody\":1}}" },
    { 429, SGAMP_HOLD, "", "{\"throttled_users\":{},\"throttled_events\":[]}" },
    { 429, SGAMP_HOLD, "", "" },
    { 500, SGAMP_RETRY, "", "{\"code\":500}" },
    { 503, SGAMP_RETRY, "", "<html>" },
    { 408, SGAMP_RETRY, "", "{\"code\":408}" },
    { 0, SGAMP_FORWARD, NULL, NULL }
};


int
main(void)
{
    size_t                i;
    sgamp_test_batcher_t  t;

    sgamp_test_batch_start(&t, 65536, SGAMP_TEST_EVENTS);

    for (i = 0; i < SGAMP_TEST_EVENTS; i++) {
        (void) sgamp_test_batch_add(&t, i, 10);
    }

    sgamp_test_answers(&t);
    sgamp_test_statuses(&t);
    sgamp_test_incomplete(&t);

    sgamp_test_batch_stop(&t);

    return tap_done();
}


static void
sgamp_test_answers(sgamp_test_batcher_t *t)
{
    size_t                      n;
    unsigned                    bad;
    const sgamp_test_answer_t  *answer;

    for (answer = sgamp_test_table; answer->body != NULL; answer++) {
        bad = 0;

        for (n = 1; n <= strlen(answer->body) + 1; n++) {
            bad += sgamp_test_answer(t, answer, n);
        }

        tap_is(bad, 0, "%u %.50s", answer->status, answer->body);
    }
}


static int
sgamp_test_answer(sgamp_test_batcher_t *t, const sgamp_test_answer_t *answer,
    size_t portion)
{
    int                bad;
    size_t             n, size;
    uint32_t           i;
    unsigned           mark;
    const char        *p;
    sgamp_str_t        reserve;
    sgamp_part_t      *part;
    sgamp_action_e     action;
    sgamp_response_t   rs;

    memset(&reserve, 0, sizeof(sgamp_str_t));

    part = sgamp_part_all(&t->heap.grow, t->b.closed);

    sgamp_response_init(&rs, part->n, &t->heap.grow, &reserve);

    n = strlen(answer->body);

    for (p = answer->body; n != 0; p += size, n -= size) {
        size = (portion < n) ? portion : n;
        sgamp_response_feed(&rs, (u_char *) p, size);
    }

    action = sgamp_response_action(&rs, answer->status, 1, t->b.closed, part);

    bad = action != answer->action;

    if (bad) {
        tap_diag("portions of %zu: action %d, want %d", portion, action,
                 answer->action);
    }

    for (i = 0; answer->marks[0] != '\0' && i < part->n; i++) {
        mark = (rs.marks != NULL) ? rs.marks[i] : 0;

        if (((mark & SGAMP_RESPONSE_REJECTED) != 0)
                != (answer->marks[i] == 'r')
            || ((mark & SGAMP_RESPONSE_THROTTLED) != 0)
                   != (answer->marks[i] == 't'))
        {
            tap_diag("portions of %zu: event %u has mark %02x", portion, i,
                     mark);
            bad = 1;
        }
    }

    sgamp_response_done(&rs);
    sgamp_part_free(&t->heap.grow, part);

    if (reserve.data != NULL) {
        t->heap.grow.free(&t->heap, reserve.data);
    }

    return bad;
}


static void
sgamp_test_statuses(sgamp_test_batcher_t *t)
{
    unsigned             bad;
    sgamp_test_answer_t  answer;

    /* without a body that says more */

    answer.marks = "";
    answer.body = "";
    bad = 0;

    for (answer.status = 0; answer.status < 1000; answer.status++) {

        switch (answer.status) {

        case 200:
            answer.action = SGAMP_FORWARD;
            break;

        case 408:
            answer.action = SGAMP_RETRY;
            break;

        case 429:
            answer.action = SGAMP_HOLD;
            break;

        default:
            answer.action = SGAMP_RETRY;

            if ((answer.status >= 100 && answer.status < 200)
                || (answer.status >= 300 && answer.status < 500))
            {
                answer.action = SGAMP_HALVE;
            }
        }

        bad += sgamp_test_answer(t, &answer, 1);
    }

    tap_is(bad, 0, "status lines alone");
}


static void
sgamp_test_incomplete(sgamp_test_batcher_t *t)
{
    sgamp_str_t        reserve;
    sgamp_response_t   rs;

    memset(&reserve, 0, sizeof(sgamp_str_t));

    sgamp_response_init(&rs, SGAMP_TEST_EVENTS, &t->heap.grow, &reserve);

    tap_is(sgamp_response_action(&rs, 200, 0, t->b.closed, NULL), SGAMP_RETRY,
           "200, and the connection was cut");

    sgamp_response_done(&rs);
}
