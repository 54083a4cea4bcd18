
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_test_sendgrid.h"


/* what an answer leads to, and all that was read, as text */

typedef struct {
    sgamp_call_e   call;
    unsigned       status;
    const char    *body;
    const char    *want;
} sgamp_test_case_t;


static void sgamp_test_answers(sgamp_test_sendgrid_t *t,
    const sgamp_test_case_t *test);
static unsigned sgamp_test_cut(sgamp_test_sendgrid_t *t, const char *body,
    size_t len, sgamp_action_e whole);
static void sgamp_test_exact(sgamp_test_sendgrid_t *t);
static void sgamp_test_statuses(sgamp_test_sendgrid_t *t);
static void sgamp_test_no_memory(sgamp_test_sendgrid_t *t);
static void sgamp_test_mutations(sgamp_test_sendgrid_t *t);


/*
 * facts: W whole, E expected, N names, L unknown list, F unknown field, R
 * errors, P last page
 */

static const sgamp_test_case_t sgamp_test_lists[] = {
    { SGAMP_CALL_LISTS, 200,
      "{\"result\":[{\"id\":\"" ID1 "\",\"name\":\"A [7]\","
      "\"contact_count\":3,\"_metadata\":{\"self\":\"" HOST "/x\"}},"
      "{\"id\":\"" ID2 "\",\"name\":\"B [8]\"}],"
      "\"_metadata\":{\"self\":\"" HOST PAGE "\",\"count\":2}}",
      "next WEP 1 " ID1 },
    { SGAMP_CALL_LISTS, 200,
      "{\"_metadata\":{\"next\":\"" HOST PAGE "a%2Fb\"},\"result\":["
      "{\"name\":\"B [7]x\",\"id\":\"" ID3 "\"},"
      "{\"name\":\"B \\u005b7\\u005D\",\"id\":\"" ID2 "\"},"
      "{\"name\":\" [7]\",\"id\":\"" ID1 "\"}]}",
      "next WE 2 " ID2 " a%2Fb" },
    { SGAMP_CALL_LISTS, 200,
      "{\"result\":[{\"name\":\"7]\",\"id\":\"" ID1 "\"},{\"name\":\"\"},{}],"
      "\"_metadata\":{\"next\":null}}",
      "next WEP 0" },
    { SGAMP_CALL_LISTS, 200, "{\"result\":[],\"_metadata\":{\"next\":\"\"}}",
      "next WEP 0" },
    { SGAMP_CALL_LISTS, 200, "{\"result\":null}", "next WEP 0" },
    { SGAMP_CALL_LISTS, 200, "{\"result\":[]}", "next WEP 0" },
    { SGAMP_CALL_LISTS, 200,
      "{\"result\":[{\"id\":\"AAAAAAAA-AAAA-AAAA-AAAA-AAAAAAAAAAAA\","
      "\"name\":\"[7] [7]\"}]}",
      "next WEP 1 aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" },

    /* the last of members with the same name */

    { SGAMP_CALL_LISTS, 200,
      "{\"result\":[{\"id\":\"" ID1 "\",\"name\":\"A [7]\"},{\"name\":"
      "\"A [7]\"}],\"result\":[{\"id\":\"" ID2 "\",\"name\":\"A [7]\","
      "\"id\":\"" ID3 "\"}],\"_metadata\":{\"next\":\"x\",\"next\":\"" PAGE
      "b\",\"next\":null}}",
      "next WEP 1 " ID3 },
    { SGAMP_CALL_LISTS, 200,
      "{\"result\":[{\"id\":\"" ID1 "\",\"name\":\"A [7]\",\"name\":null}],"
      "\"_metadata\":{\"next\":\"x\"},\"_metadata\":{}}",
      "next WEP 0" },
    { SGAMP_CALL_LISTS, 200,
      "{\"result\":[{\"id\":\"" ID1 "\",\"name\":\"A [7]\",\"id\":null}]}",
      "retry WP 1" },

    { SGAMP_CALL_LISTS, 200,
      "{\"result\":[],\"_metadata\":{\"self\":\"https://b.example" PAGE
      "\"},\"_metadata\":{\"next\":\"https://b.example" PAGE "2\"}}",
      "retry W 0 bad" },

    /* no list, or elsewhere */

    { SGAMP_CALL_LISTS, 200,
      "{\"result\":[[{\"id\":\"" ID1 "\",\"name\":\"A [7]\"}],"
      "{\"a\":{\"id\":\"" ID1 "\",\"name\":\"A [7]\"}},\"A [7]\",7],"
      "\"a\":[{\"id\":\"" ID1 "\",\"name\":\"A [7]\"}],"
      "\"Result\":5,\"id\":\"" ID1 "\",\"name\":\"A [7]\","
      "\"_metadata\":[{\"next\":\"x\"},{\"a\":{\"next\":\"x\"}}]}",
      "next WEP 0" },
    { SGAMP_CALL_LISTS, 200, "{\"result\":{\"a\":{}}}", "retry WP 0" },
    { SGAMP_CALL_LISTS, 200, "{\"result\":5}", "retry WP 0" },
    { SGAMP_CALL_LISTS, 200, "{\"result\":\"a\"}", "retry WP 0" },
    { SGAMP_CALL_LISTS, 200, "{\"result\":[],\"result\":1}", "retry WP 0" },
    { SGAMP_CALL_LISTS, 200, "{}", "retry WP 0" },
    { SGAMP_CALL_LISTS, 200, "[]", "retry P 0" },
    { SGAMP_CALL_LISTS, 200, "", "retry P 0" },
    { SGAMP_CALL_LISTS, 200, "<html>", "retry P 0" },
    { SGAMP_CALL_LISTS, 200, "{\"result\":[]}}", "retry EP 0" },
    { SGAMP_CALL_LISTS, 200,
      "{\"result\":[{\"id\":\"7\",\"name\":\"A [7]\"}]}", "retry WP 1" },
    { SGAMP_CALL_LISTS, 200,
      "{\"result\":[{\"id\":\"7\",\"name\":\"A [8]\"}]}", "next WEP 0" },
    { SGAMP_CALL_LISTS, 400, "{\"errors\":[{\"message\":\"list ids\"}]}",
      "retry WRP 0" },
    { SGAMP_CALL_LISTS, 400, "{\"errors\":\"a\"}", "retry WP 0" },
    { SGAMP_CALL_LISTS, 400, "{\"a\":{\"errors\":[{}]}}", "retry WP 0" },

    { SGAMP_CALL_CREATE, 201,
      "{\"id\":\"" ID1 "\",\"name\":\"A [7]\",\"contact_count\":0,"
      "\"_metadata\":{\"id\":\"x\",\"self\":\"" HOST "\"}}",
      "next WE " ID1 },
    { SGAMP_CALL_CREATE, 201, "{\"a\":{\"id\":\"" ID1 "\"}}", "retry W" },
    { SGAMP_CALL_CREATE, 201, "{\"id\":\"1\"}", "retry W" },
    { SGAMP_CALL_CREATE, 201, "{\"id\":\"" ID1 "\",\"id\":null}", "retry W" },
    { SGAMP_CALL_CREATE, 201, "{\"id\":[\"" ID1 "\"]}", "retry W" },
    { SGAMP_CALL_CREATE, 400, "{\"errors\":[{\"message\":\"name\"}]}",
      "reject WR" },
    { SGAMP_CALLS, 0, NULL, NULL }
};


/* custom fields of the rules: plan, seats, since */

static const sgamp_test_case_t sgamp_test_fields[] = {
    { SGAMP_CALL_FIELDS, 200,
      "{\"custom_fields\":[{\"id\":\"e1_T\",\"name\":\"plan\",\"field_type\":"
      "\"Text\",\"_metadata\":{\"id\":\"x\"}},{\"field_type\":\"Number\","
      "\"name\":\"Seats\",\"id\":\"e2_N\"},{\"name\":\"SINCE\","
      "\"field_type\":\"date\",\"id\":\"e3_D\"},{\"name\":\"other\","
      "\"field_type\":\"date\",\"id\":\"e4_D\"}],\"reserved_fields\":["
      "{\"id\":\"_rf0_T\",\"name\":\"plan\",\"field_type\":\"Text\"}]}",
      "next WE e1_T:0 e2_N:1 e3_D:2" },
    { SGAMP_CALL_FIELDS, 200,
      "{\"reserved_fields\":[{\"id\":\"r\",\"name\":\"plan\",\"field_type\":"
      "\"Text\"}],\"custom_fields\":[{\"id\":\"a-b\",\"name\":\"plan\","
      "\"field_type\":\"Text\"},{\"id\":\"\",\"name\":\"seats\","
      "\"field_type\":\"Text\"},{\"name\":\"since\",\"field_type\":\"Date\"},"
      "{\"id\":\"abcdefghijklmnopqrstuvwxyz0123456\",\"name\":\"plan\","
      "\"field_type\":\"Text\"},{\"id\":\"e1\",\"name\":\"plan\","
      "\"field_type\":\"Blob\"},{\"id\":\"e1\",\"name\":\"plan\"},"
      "{\"id\":\"e1\",\"field_type\":\"Text\"},"
      "[{\"id\":\"e1\",\"name\":\"plan\",\"field_type\":\"Text\"}],"
      "{\"id\":\"e1\",\"name\":\"first_name\",\"field_type\":\"Text\"}]}",
      "next WE - - -" },
    { SGAMP_CALL_FIELDS, 200,
      "{\"custom_fields\":[{\"id\":\"e1\",\"name\":\"plan\",\"field_type\":"
      "\"Text\"}],\"custom_fields\":[{\"id\":"
      "\"abcdefghijklmnopqrstuvwxyz012345\",\"name\":\"seats\","
      "\"field_type\":\"Text\"}]}",
      "next WE - abcdefghijklmnopqrstuvwxyz012345:0 -" },
    { SGAMP_CALL_FIELDS, 200, "{}", "next WE - - -" },
    { SGAMP_CALL_FIELDS, 200, "{\"custom_fields\":[]}", "next WE - - -" },
    { SGAMP_CALL_FIELDS, 200, "{\"custom_fields\":null}", "next WE - - -" },
    { SGAMP_CALL_FIELDS, 200, "[]", "retry E - - -" },
    { SGAMP_CALL_FIELDS, 404, "{}", "retry WE - - -" },
    { SGAMP_CALLS, 0, NULL, NULL }
};


static const sgamp_test_case_t sgamp_test_contacts[] = {
    { SGAMP_CALL_PUT, 202, "{\"job_id\":\"" ID1 "\"}", "forward WE " ID1 },
    { SGAMP_CALL_PUT, 202, "{}", "forward WE" },
    { SGAMP_CALL_PUT, 202, "{\"job_id\":\"a/../b\"}", "forward WE" },
    { SGAMP_CALL_PUT, 202, "{\"job_id\":\"a\",\"job_id\":null}",
      "forward WE" },
    { SGAMP_CALL_PUT, 202, "{\"a\":{\"job_id\":\"a\"}} \n", "forward WE" },
    { SGAMP_CALL_PUT, 202, "", "retry E" },
    { SGAMP_CALL_PUT, 202, "accepted", "retry E" },
    { SGAMP_CALL_PUT, 202, "[]", "retry E" },
    { SGAMP_CALL_PUT, 200, "{\"job_id\":\"a\"}", "retry WE a" },
    { SGAMP_CALL_PUT, 404, "{}", "retry WEL" },
    { SGAMP_CALL_PUT, 404, "[{\"field\":\"id\"}]", "retry EL" },
    { SGAMP_CALL_PUT, 500,
      "{\"errors\":[{\"message\":\"list ids, custom field\"}]}",
      "retry WER" },
    { SGAMP_CALL_PUT, 400, "{\"errors\":[\"list id is unknown\"]}",
      "retry WELR" },
    { SGAMP_CALL_PUT, 400, "{\"errors\":[\"bad: contacts[2]\"]}",
      "reject WENR ..r..." },
    { SGAMP_CALL_PUT, 400,
      "{\"errors\":[{\"field\":\"contacts[1]\"},\"list ids\"]}",
      "reject WENLR .r...." },
    { SGAMP_CALL_PUT, 400, "<html>contacts[2] list ids</html>", "halve E" },
    { SGAMP_CALL_PUT, 400,
      "{\"errors\":[{\"field\":\"contacts[0].email\",\"message\":\"a\","
      "\"parameter\":\"contacts[1]\",\"error_id\":\"b\"},"
      "{\"message\":\"contacts[2]\",\"field\":null},"
      "{\"message\":\"zoe@x.com\",\"parameter\":\"contacts[3].email\"}],"
      "\"id\":\"contacts[4]\"}",
      "reject WENR r.rr.." },
    { SGAMP_CALL_PUT, 400,
      "{\"errors\":[{\"field\":\"contacts[0]\"}],\"errors\":["
      "{\"field\":\"contacts[1]\",\"field\":\"contacts[2]\","
      "\"message\":\"list id\",\"message\":\"\"}]}",
      "reject WENR ..r..." },
    { SGAMP_CALL_PUT, 400,
      "{\"errors\":[{\"field\":\"contacts[0]\",\"field\":null}]}",
      "halve WER" },
    { SGAMP_CALL_PUT, 400,
      "{\"errors\":[{\"field\":\"contacts[0]\"}],\"errors\":null}",
      "halve WE ......" },
    { SGAMP_CALL_PUT, 400,
      "{\"errors\":[{\"message\":\"list ids\"},{\"message\":"
      "\"custom field\"},{\"field\":\"contacts[5]\"}]}",
      "reject WENLFR .....r" },
    { SGAMP_CALL_PUT, 400,
      "{\"errors\":[{\"a\":{\"field\":\"contacts[0]\"}},"
      "[{\"field\":\"contacts[0]\"}],{\"a\":[\"contacts[0]\"]}],"
      "\"field\":\"contacts[0]\",\"a\":[{\"field\":\"contacts[0]\"}]}",
      "halve WER" },
    { SGAMP_CALL_PUT, 413, "<html>", "halve E" },

    { SGAMP_CALL_REMOVE, 202, "{\"job_id\":\"a\"}", "forward WE" },
    { SGAMP_CALL_REMOVE, 202, "<html>", "forward E" },
    { SGAMP_CALL_REMOVE, 204, "", "forward E" },
    { SGAMP_CALL_REMOVE, 200, "{", "forward E" },
    { SGAMP_CALL_REMOVE, 404, "{}", "halve WE" },
    { SGAMP_CALL_REMOVE, 414, "<html>414</html>", "halve E" },
    { SGAMP_CALLS, 0, NULL, NULL }
};


/* the search is about the list ID2 */

static const sgamp_test_case_t sgamp_test_searches[] = {
    { SGAMP_CALL_SEARCH, 200,
      SEARCHED "\"email\":\"a@x.com\",\"list_ids\":[\"" ID1 "\",\"" ID2
      "\"],\"alternate_emails\":[\"" ID2 "\"],\"custom_fields\":"
      "{\"id\":\"x\",\"email\":\"x\",\"list_ids\":[\"" ID2 "\"]}}},"
      "\"b@x.com\":{\"error\":\"contact not found\"},"
      "\"C@X.com\":{\"contact\":{\"list_ids\":[\"" ID1 "\"],\"email\":"
      "\"Own@X.com\",\"custom_fields\":{\"a\":[{}]},\"id\":\"" ID3 "\"}}}}",
      "next WE a@x.com a@x.com " ID1 " listed; c@x.com own@x.com " ID3 ";" },
    { SGAMP_CALL_IDENTIFY, 200,
      SEARCHED "\"list_ids\":[\"22222222-2222-4222-8222-22222222222B\"]}}}}",
      "next WE a@x.com - " ID1 " listed;" },
    { SGAMP_CALL_SEARCH, 200, "{\"result\":{}}", "next WE" },
    { SGAMP_CALL_SEARCH, 200, "{\"result\":{\"a@x.com\":{\"error\":\"a\"}}}",
      "next WE" },
    { SGAMP_CALL_SEARCH, 200,
      "{\"result\":{\"id\":{\"contact\":{\"id\":\"" ID1 "\"}},"
      "\"contact\":{\"contact\":{\"id\":\"" ID2 "\"}}}}",
      "next WE id - " ID1 "; contact - " ID2 ";" },
    { SGAMP_CALL_SEARCH, 200,
      SEARCHED "\"list_ids\":[\"" ID2 "\"],\"list_ids\":[]}}}}",
      "next WE a@x.com - " ID1 ";" },
    { SGAMP_CALL_SEARCH, 200,
      SEARCHED "\"list_ids\":[\"" ID2 "\"],\"list_ids\":null,\"email\":\"a\","
      "\"email\":1}}}}",
      "next WE a@x.com 1 " ID1 ";" },
    { SGAMP_CALL_SEARCH, 200,
      SEARCHED "\"list_ids\":\"" ID2 "\",\"lists\":[\"" ID2 "\"]}}}}",
      "next WE a@x.com - " ID1 ";" },
    { SGAMP_CALL_SEARCH, 200,
      SEARCHED "\"list_ids\":[[\"" ID2 "\"],{\"a\":\"" ID2 "\"},\"2222\"]}}}}",
      "next WE a@x.com - " ID1 ";" },
    { SGAMP_CALL_SEARCH, 200,
      SEARCHED "\"list_ids\":[\"" ID2 "\"]},\"contact\":{\"id\":\"" ID3
      "\"}}}}",
      "next WE a@x.com - " ID1 " listed; a@x.com - " ID3 ";" },
    { SGAMP_CALL_SEARCH, 200, SEARCHED "\"a\":1}},\"b@x.com\":{\"contact\":{"
      "\"email\":\"b@x.com\"}}}}",
      "retry W a@x.com - " ID1 ";" },
    { SGAMP_CALL_SEARCH, 200, SEARCHED "\"id\":\"1\"}}}}", "retry W" },
    { SGAMP_CALL_SEARCH, 200, "{\"result\":{\"a\":{\"contact\":{}}}}",
      "retry W" },
    { SGAMP_CALL_SEARCH, 200, "{\"result\":{\"a\":{\"contact\":null}}}",
      "next WE" },
    { SGAMP_CALL_SEARCH, 200, "{\"result\":[{\"a\":{\"contact\":{}}}]}",
      "retry W" },
    { SGAMP_CALL_SEARCH, 200, "{\"result\":null}", "retry W" },
    { SGAMP_CALL_SEARCH, 200, "{}", "retry W" },
    { SGAMP_CALL_SEARCH, 200, "", "retry" },
    { SGAMP_CALL_SEARCH, 404, "{}", "next W" },
    { SGAMP_CALL_IDENTIFY, 404, "", "next" },
    { SGAMP_CALL_SEARCH, 404, "[{\"message\":\"a\"}]", "next" },
    { SGAMP_CALL_SEARCH, 400, "{\"errors\":[{\"field\":\"contacts[0]\"}]}",
      "halve WR" },

    { SGAMP_CALL_IMPORT, 200,
      "{\"id\":\"a\",\"status\":\"completed\",\"job_type\":\"upsert\","
      "\"results\":{\"requested_count\":100,\"created_count\":1,"
      "\"updated_count\":20,\"unmodified_count\":30,\"deleted_count\":4,"
      "\"errored_count\":5,\"errors_url\":\"https://s3.x/e.csv?Key=1\"},"
      "\"started_at\":\"a\",\"finished_at\":\"b\"}",
      "next WE 1 100 55 5 https://s3.x/e.csv" },
    { SGAMP_CALL_IMPORT, 200,
      "{\"results\":{\"requested_count\":7},\"status\":\"pending\"}",
      "next WE 0 7 0 0" },
    { SGAMP_CALL_IMPORT, 200, "{\"status\":\"errored\"}", "next WE 2 0 0 0" },
    { SGAMP_CALL_IMPORT, 200, "{\"status\":\"Failed\"}", "next WE 3 0 0 0" },
    { SGAMP_CALL_IMPORT, 200, "{\"status\":\"new\"}", "next WE 0 0 0 0" },
    { SGAMP_CALL_IMPORT, 200, "{\"results\":{}}", "next WE 0 0 0 0" },
    { SGAMP_CALL_IMPORT, 200,
      "{\"results\":{\"requested_count\":-1,\"created_count\":"
      "99999999999999999999,\"updated_count\":999999999999999999,"
      "\"deleted_count\":1e3,\"errored_count\":2,\"errored_count\":null,"
      "\"errors_url\":\"a b\",\"a\":{\"errored_count\":9}}}",
      "next WE 0 0 1999999999999999998 0" },
    { SGAMP_CALL_IMPORT, 200,
      "{\"status\":\"failed\",\"results\":{\"created_count\":1,"
      "\"errors_url\":\"a\"},\"results\":{\"errored_count\":1,\"errors_url\":"
      "\"a#b\"},\"created_count\":5}",
      "next WE 3 0 0 1 a" },
    { SGAMP_CALL_IMPORT, 200, "{\"results\":{\"errors_url\":\"a\\u00e9\"}}",
      "next WE 0 0 0 0" },
    { SGAMP_CALL_IMPORT, 200, "{\"results\":{\"errors_url\":\"a\\n\"}}",
      "next WE 0 0 0 0" },
    { SGAMP_CALL_IMPORT, 200,
      "{\"results\":{\"errors_url\":\"!~\"},\"status\":null}",
      "next WE 0 0 0 0 !~" },
    { SGAMP_CALL_IMPORT, 200, "{}", "retry W 0 0 0 0" },
    { SGAMP_CALL_IMPORT, 404, "{}", "reject W 0 0 0 0" },
    { SGAMP_CALLS, 0, NULL, NULL }
};


static const sgamp_test_case_t *sgamp_test_tables[] = {
    sgamp_test_lists, sgamp_test_fields, sgamp_test_contacts,
    sgamp_test_searches
};


int
main(void)
{
    size_t                 i;
    sgamp_test_sendgrid_t  t;

    sgamp_test_sendgrid_init(&t);

    for (i = 0; i < sizeof(sgamp_test_tables) / sizeof(sgamp_test_tables[0]);
         i++)
    {
        sgamp_test_answers(&t, sgamp_test_tables[i]);
    }

    sgamp_test_exact(&t);
    sgamp_test_statuses(&t);
    sgamp_test_no_memory(&t);
    sgamp_test_mutations(&t);

    sgamp_test_sendgrid_done(&t);

    return tap_done();
}


static void
sgamp_test_answers(sgamp_test_sendgrid_t *t, const sgamp_test_case_t *test)
{
    size_t          i, len;
    unsigned        bad;
    sgamp_action_e  whole;

    whole = SGAMP_RETRY;

    for ( /* void */ ; test->body != NULL; test++) {
        len = strlen(test->body);
        bad = 0;

        for (i = 1; i <= len + 1; i++) {
            sgamp_test_sendgrid_start(t, test->call, test->status);
            sgamp_test_sendgrid_read(t, test->body, len, i);

            whole = t->action;

            if (strcmp((char *) t->got.data, test->want) != 0) {
                tap_diag("portions of %zu: %s", i, t->got.data);
                tap_diag("want %s", test->want);
                bad = 1;
                break;
            }
        }

        t->question.call = test->call;
        t->status = test->status;

        for (i = 0; i < len; i++) {
            bad += sgamp_test_cut(t, test->body, i, whole);
        }

        tap_is(bad, 0, "call %d, status %u, body %.*s", test->call,
               test->status, (int) strcspn(test->body, "\n"), test->body);
    }
}


static unsigned
sgamp_test_cut(sgamp_test_sendgrid_t *t, const char *body, size_t len,
    sgamp_action_e whole)
{
    size_t        i;
    sgamp_call_e  call;

    static const size_t  portions[] = { 1, 7, 64 };

    call = t->question.call;

    sgamp_test_sendgrid_start(t, call, t->status);
    sgamp_test_sendgrid_read(t, body, len, len + 1);

    /* what is cut and yet complete has lost but white space */

    if (t->status < 300 && call != SGAMP_CALL_REMOVE
        && whole != SGAMP_RETRY && t->action != SGAMP_RETRY
        && strspn(body + len, " \n") == 0)
    {
        tap_diag("cut at %zu: %s", len, t->got.data);
        return 1;
    }

    t->first.len = 0;
    sgamp_test_put(&t->first, t->got.data, t->got.len);

    for (i = 0; i < sizeof(portions) / sizeof(portions[0]); i++) {
        sgamp_test_sendgrid_start(t, call, t->status);
        sgamp_test_sendgrid_read(t, body, len, portions[i]);

        if (strcmp((char *) t->got.data, (char *) t->first.data) != 0) {
            tap_diag("cut at %zu: %s", len, t->first.data);
            tap_diag("portions of %zu: %s", portions[i], t->got.data);
            return 1;
        }
    }

    return 0;
}


static void
sgamp_test_exact(sgamp_test_sendgrid_t *t)
{
    static const char body[] =
        "{\"result\":[{\"id\":\"" ID1 "\",\"name\":\"A [7]\"},"
        "{\"id\":\"" ID2 "\",\"name\":\" [7]\"}]}";

    t->question.exact = 1;
    sgamp_test_sendgrid_start(t, SGAMP_CALL_LISTS, 200);
    sgamp_test_sendgrid_read(t, body, strlen(body), 1000);
    sgamp_test_sendgrid_got(t, "next WEP 1 " ID2, "an exact name");

    sgamp_test_set(&t->end, "");
    sgamp_test_sendgrid_start(t, SGAMP_CALL_LISTS, 200);
    sgamp_test_sendgrid_read(t, body, strlen(body), 1000);
    sgamp_test_sendgrid_got(t, "next WEP 0", "an empty end is that of no name");
    sgamp_test_set(&t->end, " [7]");

    sgamp_test_sendgrid_start(t, SGAMP_CALL_LISTS, 200);
    sgamp_test_sendgrid_feed(t, (const u_char *) body, strlen(body), 1000);
    sgamp_test_sendgrid_judge(t, 0);
    sgamp_test_sendgrid_got(t, "retry EP 2 " ID1, "the connection was cut");
}


static void
sgamp_test_statuses(sgamp_test_sendgrid_t *t)
{
    size_t         i;
    unsigned       bad, status;
    const char    *want, *p;
    sgamp_call_e   call;

    /* of whole answers that say nothing, in the order of the calls */

    static const struct {
        unsigned     from, to;
        const char  *actions;
    } rules[] = {
        { 0, 199, "rrrrrrrr" },
        { 200, 200, "rrnrrrfr" },
        { 201, 201, "rrrrrrrr" },
        { 202, 202, "rrrfrrfr" },
        { 203, 203, "rrrrrrrr" },
        { 204, 204, "rrrrrrfr" },
        { 205, 399, "rrrrrrrr" },
        { 400, 400, "rjrhhhhj" },
        { 401, 401, "kkkkkkkk" },
        { 402, 402, "rjrrrrrr" },
        { 403, 403, "kkkkkkkk" },
        { 404, 404, "rjrrnnhj" },
        { 405, 407, "rjrrrrrr" },
        { 408, 408, "rrrrrrrr" },
        { 409, 412, "rjrrrrrr" },
        { 413, 413, "rjrhhhhr" },
        { 414, 414, "rjrrhhhr" },
        { 415, 428, "rjrrrrrr" },
        { 429, 429, "wwwwwwww" },
        { 430, 499, "rjrrrrrr" },
        { 500, 999, "rrrrrrrr" }
    };

    static const char letters[] = "fnskjhtwr";

    for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        want = rules[i].actions;
        bad = 0;

        for (status = rules[i].from; status <= rules[i].to; status++) {

            for (call = SGAMP_CALL_LISTS; call < SGAMP_CALLS; call++) {
                sgamp_test_sendgrid_start(t, call, status);
                sgamp_test_sendgrid_read(t, "{}", 2, 2);

                p = strchr(letters, want[call]);

                if (t->action != (sgamp_action_e) (p - letters)) {
                    tap_diag("call %d, status %u: %s", call, status,
                             t->got.data);
                    bad++;
                }
            }
        }

        tap_is(bad, 0, "status %u to %u", rules[i].from, rules[i].to);
    }
}


static void
sgamp_test_no_memory(sgamp_test_sendgrid_t *t)
{
    size_t                    i, live, calls;
    unsigned                  bad;
    const sgamp_test_case_t  *test;

    bad = 0;

    for (i = 0; i < sizeof(sgamp_test_tables) / sizeof(sgamp_test_tables[0]);
         i++)
    {
        for (test = sgamp_test_tables[i]; test->body != NULL; test++) {

            /* as the first answer of a worker */

            calls = 0;

            do {
                if (t->reserve.data != NULL) {
                    t->heap.grow.free(&t->heap, t->reserve.data);
                    t->reserve.data = NULL;
                    t->reserve.len = 0;
                }

                live = t->heap.live;
                t->heap.calls = 0;
                t->heap.fail = ++calls;

                sgamp_test_sendgrid_start(t, test->call, test->status);
                sgamp_test_sendgrid_read(t, test->body, strlen(test->body), 5);

                bad += (t->heap.calls >= calls && t->action != SGAMP_RETRY);
                bad += (t->heap.live != live + (t->reserve.data != NULL));

            } while (t->heap.calls >= calls && calls < 100);

            bad += strcmp((char *) t->got.data, test->want) != 0;
        }
    }

    t->heap.fail = 0;

    tap_is(bad, 0, "no answer without memory leads to anything or leaks");
}


static void
sgamp_test_mutations(sgamp_test_sendgrid_t *t)
{
    size_t                    i, k, n, len;
    unsigned                  bad;
    sgamp_test_buf_t          body;
    const sgamp_test_case_t  *test;
    sgamp_test_random_t       random;

    static const char  bytes[] = "{}[]\",:\\0a \x80";

    memset(&body, 0, sizeof(sgamp_test_buf_t));

    random.state = 1;
    bad = 0;

    for (i = 0; i < sizeof(sgamp_test_tables) / sizeof(sgamp_test_tables[0]);
         i++)
    {
        for (test = sgamp_test_tables[i]; test->body != NULL; test++) {
            len = strlen(test->body);

            for (k = 0; k < 20 && len != 0; k++) {
                body.len = 0;
                sgamp_test_put(&body, test->body, len);

                for (n = 1 + sgamp_test_random(&random, 3); n != 0; n--) {
                    body.data[sgamp_test_random(&random, len)] =
                        bytes[sgamp_test_random(&random, sizeof(bytes) - 1)];
                }

                sgamp_test_sendgrid_start(t, test->call, test->status);
                sgamp_test_sendgrid_read(t, body.data, len, len);

                t->first.len = 0;
                sgamp_test_put(&t->first, t->got.data, t->got.len);

                sgamp_test_sendgrid_start(t, test->call, test->status);
                sgamp_test_sendgrid_read(t, body.data, len,
                                         1 + sgamp_test_random(&random, 9));

                if (strcmp((char *) t->got.data, (char *) t->first.data)) {
                    tap_diag("%s: %s, whole %s", body.data, t->got.data,
                             t->first.data);
                    bad++;
                }
            }
        }
    }

    tap_is(bad, 0, "answers with faults are the same in any portions");

    sgamp_test_free(&body);
}
