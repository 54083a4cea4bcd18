
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_test_sendgrid.h"


static void sgamp_test_pages(sgamp_test_sendgrid_t *t);
static void sgamp_test_tokens(sgamp_test_sendgrid_t *t);
static void sgamp_test_texts(sgamp_test_sendgrid_t *t);
static void sgamp_test_many_errors(sgamp_test_sendgrid_t *t);
static void sgamp_test_sizes(sgamp_test_sendgrid_t *t);
static void sgamp_test_depths(sgamp_test_sendgrid_t *t);
static void sgamp_test_lengths(sgamp_test_sendgrid_t *t);
static void sgamp_test_resets(void);
static void sgamp_test_uuids(void);


int
main(void)
{
    sgamp_test_sendgrid_t  t;

    sgamp_test_sendgrid_init(&t);

    sgamp_test_pages(&t);
    sgamp_test_tokens(&t);
    sgamp_test_texts(&t);
    sgamp_test_many_errors(&t);
    sgamp_test_sizes(&t);
    sgamp_test_depths(&t);
    sgamp_test_lengths(&t);
    sgamp_test_resets();
    sgamp_test_uuids();

    sgamp_test_sendgrid_done(&t);

    return tap_done();
}


static void
sgamp_test_pages(sgamp_test_sendgrid_t *t)
{
    size_t            i, k;
    sgamp_test_buf_t  body;

    /* NULL: a bad page */

    static const struct {
        const char  *self;
        const char  *next;
        const char  *token;
    } pages[] = {
        { HOST PAGE, HOST PAGE "abc", "abc" },
        { "", PAGE "abc", "abc" },
        { "", "/v3/marketing/lists?page_token=a&page_size=5", "a" },
        { "", "HTTPS://API.EU.SendGrid.COM" PAGE "a", "a" },
        { "", "http://api.sendgrid.com:80" PAGE "a", "a" },
        { "http://127.0.0.1:8080" PAGE "1", "http://127.0.0.1:8080" PAGE "2",
          "2" },
        { "http://127.0.0.1/x", "http://127.0.0.1" PAGE "2", "2" },
        { "https://Proxy.example" PAGE, "https://proxy.Example" PAGE "2",
          "2" },
        { "https://a.example" PAGE "1", "https://b.example" PAGE "2", NULL },
        { "https://a.example" PAGE "1", HOST PAGE "2", "2" },
        { PAGE "1", "https://b.example" PAGE "2", NULL },
        { "", "https://sendgrid.com" PAGE "2", NULL },
        { "", "https://.sendgrid.com" PAGE "2", NULL },
        { "", "https://evilsendgrid.com" PAGE "2", NULL },
        { "", "https://api.sendgrid.com.evil.example" PAGE "2", NULL },
        { "", "https://api.sendgrid.com@evil.example" PAGE "2", NULL },
        { "", "https://evil.example/.sendgrid.com" PAGE "2", NULL },
        { "", "https://evil.example#.sendgrid.com" PAGE "2", NULL },
        { "", "https://evil.example?.sendgrid.com" PAGE "2", NULL },
        { "", "https://" PAGE "2", NULL },
        { "", "https://:80" PAGE "2", NULL },
        { "", "//api.sendgrid.com" PAGE "2", NULL },
        { "", "ftp://api.sendgrid.com" PAGE "2", NULL },
        { "", "javascript:" PAGE "2", NULL },
        { "", "https:" PAGE "2", NULL },
        { "", "https://api.sendgrid.com", NULL },
        { "", "h", NULL },
        { "", "/", NULL },
        { "", "v3/marketing/lists?page_token=2", NULL },
        { "", "?page_token=2", NULL },
        { "", "/v3/marketing/lists", NULL },
        { "", "/v3/marketing/lists?", NULL },
        { "", "/v3/marketing/lists/x?page_token=2", NULL },
        { "", "/v3/marketing/../lists?page_token=2", NULL },
        { "", "/V3/marketing/lists?page_token=2", NULL },
        { "", "/v3/marketing/listz?page_token=2", NULL },
        { "", HOST "/v3/x/v3/marketing/lists?page_token=2", NULL },
        { "", "/v3/marketing/lists?page_size=2", NULL },
        { "", "/v3/marketing/lists?page_token=", NULL },
        { "", "/v3/marketing/lists?page_token", NULL },
        { "", "/v3/marketing/lists?xpage_token=2", NULL },
        { "", "/v3/marketing/lists?a&&page_token=2&page_token=3#4", "2" },
        { "", "/v3/marketing/lists?page_token=2#a", "2" },
        { "", "/v3/marketing/lists?#page_token=2", NULL },
        { "", "/v3/marketing/lists?a#&page_token=2", NULL },
        { HOST PAGE "7", HOST PAGE "7", NULL },
        { HOST PAGE "7", PAGE "7", NULL },
        { PAGE "7", PAGE "77", "77" },
        { HOST PAGE "1", PAGE "2", "2" },
        { "", "https://api.sendgrid.com:9090" PAGE "2", "2" },
        { "x", PAGE "7", "7" }
    };

    memset(&body, 0, sizeof(sgamp_test_buf_t));

    for (i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {

        /* in both orders */

        for (k = 0; k < 2; k++) {
            body.len = 0;

            sgamp_test_printf(&body, "{\"result\":[],\"_metadata\":{"
                              "\"%s\":\"%s\",\"%s\":\"%s\"}}",
                              k ? "self" : "next",
                              k ? pages[i].self : pages[i].next,
                              k ? "next" : "self",
                              k ? pages[i].next : pages[i].self);

            sgamp_test_sendgrid_start(t, SGAMP_CALL_LISTS, 200);
            sgamp_test_sendgrid_read(t, body.data, body.len, body.len);

            body.len = 0;

            sgamp_test_printf(&body,
                              pages[i].token ? "next WE 0 %s"
                                             : "retry W 0 bad",
                              pages[i].token);
            sgamp_test_sendgrid_got(t, (char *) body.data, "page %s, next %s",
                                    pages[i].self, pages[i].next);
        }
    }

    sgamp_test_free(&body);
}


static void
sgamp_test_tokens(sgamp_test_sendgrid_t *t)
{
    size_t            i;
    sgamp_test_buf_t  body;

    static const char before[] =
        "{\"result\":[],\"_metadata\":{\"next\":\"" PAGE;
    static const char after[] = "&page_size=1\"}}";

    static const char *bad[] = {
        " ", "a b", "%", "%2", "%2&", "%zz", "%z0", "%0g", "\\u0000", "\\n",
        "\\u00e9", "<", "\\\"", "\\\\", "a'b", "[", "{a}", "^", "`", "|", "\x7f"
    };

    memset(&body, 0, sizeof(sgamp_test_buf_t));

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        body.len = 0;
        sgamp_test_printf(&body, "%s%s%s", before, bad[i], after);
        sgamp_test_sendgrid_start(t, SGAMP_CALL_LISTS, 200);
        sgamp_test_sendgrid_read(t, body.data, body.len, body.len);
        sgamp_test_sendgrid_got(t, "retry W 0 bad", "bad token %zu", i);
    }

    body.len = 0;
    sgamp_test_printf(&body, "%saZ09-._~%%2f%%Fa!$()*+,;=:@/?%s", before,
                      after);
    sgamp_test_sendgrid_start(t, SGAMP_CALL_LISTS, 200);
    sgamp_test_sendgrid_read(t, body.data, body.len, body.len);
    sgamp_test_sendgrid_got(t, "next WE 0 aZ09-._~%2f%Fa!$()*+,;=:@/?",
                            "all characters of a token");

    for (i = SGAMP_PAGE_TOKEN; i <= SGAMP_PAGE_TOKEN + 1; i++) {
        sgamp_test_fill(&body, before, 'a', i, after);
        sgamp_test_sendgrid_start(t, SGAMP_CALL_LISTS, 200);
        sgamp_test_sendgrid_read(t, body.data, body.len, body.len);

        tap_is(t->answer.bad_page, i > SGAMP_PAGE_TOKEN,
               "a token of %zu bytes", i);
    }

    sgamp_test_fill(&body, "{\"result\":[],\"_metadata\":{\"next\":\"https://",
                    'a', SGAMP_HOST + 1 - strlen(".sendgrid.com"),
                    ".sendgrid.com" PAGE "2\"}}");
    sgamp_test_sendgrid_start(t, SGAMP_CALL_LISTS, 200);
    sgamp_test_sendgrid_read(t, body.data, body.len, body.len);
    sgamp_test_sendgrid_got(t, "retry W 0 bad", "a host that is too long");

    sgamp_test_free(&body);
}


static void
sgamp_test_texts(sgamp_test_sendgrid_t *t)
{
    size_t            i, k;
    sgamp_test_buf_t  body;

    /* the request has joe@x.com, o'neil@x.com, zoe@x.com, a=b@x.com */

    static const struct {
        const char  *field;
        const char  *message;
        const char  *want;
    } texts[] = {
        { "contacts[3].identifier", "email 'zoe@x.com' is bad",
          "reject WENR ...r.." },
        { "contacts[5]", "", "reject WENR .....r" },
        { "contacts[6]", "", "halve WER" },
        { "contacts[6]", "'zoe@x.com'", "reject WENR ...r.." },
        { "contacts[4294967296]", "", "halve WER" },
        { "contacts[-1]", "", "halve WER" },
        { "contacts[]", "", "halve WER" },
        { "contacts[1", "", "halve WER" },
        { "contacts[1x]", "", "halve WER" },
        { "contacts[", "", "halve WER" },
        { "a.contacts[1]", "", "reject WENR .r...." },
        { "", "contacts[0], contacts[2]contacts[4]: bad",
          "reject WENR r.r.r." },
        { "", "contacts[9], zoe@x.com", "reject WENR ...r.." },
        { "", "email 'joe@x.com' is not valid", "reject WENR .r...." },
        { "", "email \\\"joe@x.com\\\" is not valid", "reject WENR .r...." },
        { "email", "joe@x.com", "reject WENR .r...." },
        { "", "JOE@X.com", "reject WENR .r...." },
        { "", "bad: joe@x.com.", "reject WENR .r...." },
        { "", "<joe@x.com>", "reject WENR .r...." },
        { "", "{joe@x.com}", "reject WENR .r...." },
        { "", "email=joe@x.com,zoe@x.com", "reject WENR .r.r.." },
        { "", "email='joe@x.com'", "reject WENR .r...." },
        { "", "'o'neil@x.com' and 'a=b@x.com'", "reject WENR ..r.r." },
        { "", "'{`joe@x.com", "reject WENR .r...." },
        { "", "'{`'joe@x.com", "halve WER" },
        { "", "neil@x.com, xjoe@x.com, x-joe@x.com, joe@x.com.au",
          "halve WER" },
        { "", "joe@x.co joe@ @x.com @ joe@@x.com", "halve WER" },
        { "", "joe@x.comx x.joe@x.com", "halve WER" },
        { "zoe@x.com", "", "halve WER" },

        { "list_ids", "not found", "retry WELR" },
        { "list_ids[0]", "", "retry WELR" },
        { "", "list_ids: not found", "retry WELR" },
        { "", "list ids not found", "retry WELR" },
        { "", "Invalid list id", "retry WELR" },
        { "", "List with ID " ID1 " is unknown", "retry WELR" },
        { "", "lists with the ids a", "retry WELR" },
        { "", "list '" ID1 "' not found", "retry WELR" },
        { "", "list does not exist", "retry WELR" },
        { "", "listIds", "retry WELR" },
        { "", "list-ids", "retry WELR" },
        { "", "contact list with id 7 is missing", "retry WELR" },
        { "", "contacts refused: list_ids", "retry WELR" },
        { "", "the list of contacts exceeds its id", "halve WER" },
        { "", "list of contact ids is invalid", "halve WER" },
        { "", "id of a list", "halve WER" },
        { "", "list a b c id", "halve WER" },
        { "", "listed id", "halve WER" },
        { "", "alist ids", "halve WER" },
        { "contacts[0].list_ids", "not found", "reject WENR r....." },
        { "contacts[7]", "list ids", "halve WER" },
        { "list_ids", "contacts[7]", "halve WER" },
        { "", "email 'list_ids@x.com' list ids", "halve WER" },

        { "", "invalid custom field ids supplied - a,b", "retry WEFR" },
        { "", "Custom_Fields", "retry WEFR" },
        { "", "custom", "halve WER" },
        { "", "custom a field", "halve WER" },
        { "", "field custom", "halve WER" },
        { "contacts[1]", "custom field a is no date", "reject WENFR .r...." },
        { "custom_fields", "list ids", "retry WELFR" }
    };

    memset(&body, 0, sizeof(sgamp_test_buf_t));

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {

        for (k = 0; k < 2; k++) {
            body.len = 0;
            sgamp_test_printf(&body,
                              "{\"errors\":[{\"%s\":\"%s\",\"%s\":\"%s\"}]}",
                              k ? "message" : "field",
                              k ? texts[i].message : texts[i].field,
                              k ? "field" : "message",
                              k ? texts[i].field : texts[i].message);

            sgamp_test_sendgrid_start(t, SGAMP_CALL_PUT, 400);
            sgamp_test_sendgrid_read(t, body.data, body.len, body.len);
            sgamp_test_sendgrid_got(t, texts[i].want, "field %s, message %s",
                                    texts[i].field, texts[i].message);
        }
    }

    sgamp_test_free(&body);
}


static void
sgamp_test_many_errors(sgamp_test_sendgrid_t *t)
{
    unsigned          i, bad;
    sgamp_test_buf_t  body;

    memset(&body, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_puts(&body, "{\"errors\":[{}");

    for (i = 0; i < 60000; i++) {
        sgamp_test_printf(&body, ",{\"field\":\"contacts[%u].identifier\","
                          "\"message\":\"email 'a%u@x.com' is not valid\"}",
                          i / 2, i);
    }

    sgamp_test_puts(&body, "]}");

    tap_ok(body.len > 4194304, "more than 4 MB of errors");

    t->question.n = 30000;
    sgamp_test_sendgrid_start(t, SGAMP_CALL_PUT, 400);
    sgamp_test_sendgrid_feed(t, body.data, body.len, 16384);
    t->action = sgamp_sendgrid_action(&t->answer, 400, 1);

    tap_is(t->action, SGAMP_REJECT, "are believed as far as they are read");
    tap_is(t->answer.facts & SGAMP_SENDGRID_WHOLE, 0, "and are not whole");

    bad = 0;

    for (i = 0; i < 20000; i++) {
        bad += !t->answer.answer.marks[i];
    }

    tap_is(bad, 0, "the first contacts are marked");
    tap_is(t->answer.answer.marks[29999], 0, "the last contact is not");

    sgamp_sendgrid_done(&t->answer);

    sgamp_test_fill(&body, "{\"errors\":[{\"message\":\"", '@', 16000,
                    " joe@x.com contacts[0]\"}]}");
    sgamp_test_sendgrid_start(t, SGAMP_CALL_PUT, 400);
    sgamp_test_sendgrid_read(t, body.data, body.len, 500);
    sgamp_test_sendgrid_got(t, "reject WENR r.....", "a message of 16k");

    body.len = 0;
    sgamp_test_puts(&body, "{\"errors\":[{\"message\":\"");

    for (i = 0; i < SGAMP_ERROR_NAMES; i++) {
        sgamp_test_puts(&body, "joe@x.com ");
    }

    sgamp_test_puts(&body, "zoe@x.com\"}]}");
    sgamp_test_sendgrid_start(t, SGAMP_CALL_PUT, 400);
    sgamp_test_sendgrid_read(t, body.data, body.len, 500);
    sgamp_test_sendgrid_got(t, "reject WENR .r....",
                            "more names than have room");

    sgamp_test_free(&body);
}


static void
sgamp_test_sizes(sgamp_test_sendgrid_t *t)
{
    size_t            i, n;
    sgamp_test_buf_t  body;

    static const struct {
        sgamp_call_e  call;
        unsigned      status;
        size_t        limit;
        const char   *body;
    } sizes[] = {
        { SGAMP_CALL_LISTS, 200, 4194304, "{\"result\":[]}" },
        { SGAMP_CALL_CREATE, 201, 1048576, "{\"id\":\"" ID1 "\"}" },
        { SGAMP_CALL_FIELDS, 200, 4194304, "{}" },
        { SGAMP_CALL_PUT, 202, 4194304, "{}" },
        { SGAMP_CALL_SEARCH, 200, 16777216, "{\"result\":{}}" },
        { SGAMP_CALL_IDENTIFY, 200, 16777216, "{\"result\":{}}" },
        { SGAMP_CALL_IMPORT, 200, 1048576, "{\"results\":{}}" }
    };

    memset(&body, 0, sizeof(sgamp_test_buf_t));

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {

        for (n = sizes[i].limit; n <= sizes[i].limit + 1; n++) {
            sgamp_test_fill(&body, "", ' ', n - strlen(sizes[i].body),
                            sizes[i].body);
            sgamp_test_sendgrid_start(t, sizes[i].call, sizes[i].status);
            sgamp_test_sendgrid_feed(t, body.data, body.len, 100000);
            sgamp_test_sendgrid_judge(t, 1);

            tap_is(t->action == SGAMP_RETRY, n > sizes[i].limit,
                   "call %d, %zu bytes", sizes[i].call, n);
        }
    }

    sgamp_test_free(&body);
}


static void
sgamp_test_depths(sgamp_test_sendgrid_t *t)
{
    size_t            i, n;
    sgamp_test_buf_t  body;

    static const size_t  depths[] = { 1, 2, 3, 4, 5, 6, 7, 8, 40, 20000 };

    memset(&body, 0, sizeof(sgamp_test_buf_t));

    for (i = 0; i < sizeof(depths) / sizeof(depths[0]); i++) {
        body.len = 0;
        sgamp_test_puts(&body, SEARCHED "\"a\":");

        for (n = 0; n < depths[i]; n++) {
            sgamp_test_puts(&body, (n & 1) ? "[" : "{\"id\":");
        }

        sgamp_test_puts(&body, "{\"id\":\"x\",\"email\":\"x\"}");

        while (n-- != 0) {
            sgamp_test_puts(&body, (n & 1) ? "]" : "}");
        }

        sgamp_test_puts(&body, ",\"email\":\"a\",\"list_ids\":[\"" ID2
                               "\"]}},\"b\":{\"error\":\"a\"}}}");

        sgamp_test_sendgrid_start(t, SGAMP_CALL_SEARCH, 200);
        sgamp_test_sendgrid_read(t, body.data, body.len, 1000);
        sgamp_test_sendgrid_got(t, "next WE a@x.com a " ID1 " listed;",
                                "%zu levels in a contact", depths[i]);
    }

    sgamp_test_free(&body);
}


static void
sgamp_test_lengths(sgamp_test_sendgrid_t *t)
{
    size_t            n, len;
    sgamp_test_buf_t  body;

    memset(&body, 0, sizeof(sgamp_test_buf_t));

    for (n = SGAMP_ADDRESS_LEN; n <= SGAMP_ADDRESS_LEN + 1; n++) {
        sgamp_test_fill(&body, "{\"result\":{\"", 'A', n,
                        "\":{\"contact\":{\"id\":\"" ID1 "\"}}}}");
        sgamp_test_sendgrid_start(t, SGAMP_CALL_SEARCH, 200);
        sgamp_test_sendgrid_read(t, body.data, body.len, body.len);

        tap_is(t->action, SGAMP_NEXT, "a key of %zu bytes", n);
        tap_is(t->found.len, (n > SGAMP_ADDRESS_LEN) ? 0 : n + 41,
               "no longer than an address may be");

        sgamp_test_fill(&body, SEARCHED "\"email\":\"", 'a', n, "\"}}}}");
        sgamp_test_sendgrid_start(t, SGAMP_CALL_SEARCH, 200);
        sgamp_test_sendgrid_read(t, body.data, body.len, body.len);

        len = (n > SGAMP_ADDRESS_LEN) ? 1 : n;

        tap_is(t->found.len, strlen(" a@x.com  ;" ID1) + len,
               "an address of %zu bytes", n);
    }

    for (n = SGAMP_JOB_ID; n <= SGAMP_JOB_ID + 1; n++) {
        sgamp_test_fill(&body, "{\"job_id\":\"", 'a', n, "\"}");
        sgamp_test_sendgrid_start(t, SGAMP_CALL_PUT, 202);
        sgamp_test_sendgrid_read(t, body.data, body.len, body.len);

        tap_is(t->answer.job_len, (n > SGAMP_JOB_ID) ? 0 : n,
               "a job's id of %zu bytes", n);
    }

    for (n = SGAMP_ERRORS_URL; n <= SGAMP_ERRORS_URL + 1; n++) {
        sgamp_test_fill(&body, "{\"results\":{\"errors_url\":\"", 'a', n,
                        "?b\"}}");
        sgamp_test_sendgrid_start(t, SGAMP_CALL_IMPORT, 200);
        sgamp_test_sendgrid_read(t, body.data, body.len, body.len);

        tap_is(t->answer.errors_url_len, (n > SGAMP_ERRORS_URL) ? 0 : n,
               "a URL of %zu bytes", n);
    }

    sgamp_test_free(&body);
}


static void
sgamp_test_resets(void)
{
    size_t  i;

    static const struct {
        uint64_t  value;
        uint64_t  now;
        uint64_t  ms;
    } resets[] = {
        { 0, 0, 0 },
        { 41, 1700000000, 41000 },
        { 3600, 1700000000, 3600000 },
        { 3601, 1700000000, 3600000 },
        { 99999, 1700000000, 3600000 },
        { 100000, 1700000000, 0 },
        { 1700000041, 1700000000, 41000 },
        { 1700000000, 1700000000, 0 },
        { 1699999999, 1700000000, 0 },
        { 1700009999, 1700000000, 3600000 },
        { UINT64_MAX, 1700000000, 3600000 }
    };

    for (i = 0; i < sizeof(resets) / sizeof(resets[0]); i++) {
        tap_is(sgamp_sendgrid_reset(resets[i].value, resets[i].now),
               resets[i].ms, "a limit that is reset at %llu",
               (unsigned long long) resets[i].value);
    }
}


static void
sgamp_test_uuids(void)
{
    size_t  i;
    u_char  buf[SGAMP_UUID_LEN], text[SGAMP_UUID_LEN + 1];

    static const char  uuid[] = "01234567-89AB-cdef-ABCD-eF0123456789";
    static const char  lower[] = "01234567-89ab-cdef-abcd-ef0123456789";

    sgamp_test_poison(buf, sizeof(buf));

    tap_is(sgamp_uuid(buf, (u_char *) uuid, 35), 0, "35 characters");
    tap_is(sgamp_uuid(buf, (u_char *) uuid, 37), 0, "37 characters");
    tap_is(sgamp_uuid(buf, NULL, 0), 0, "no character");

    for (i = 0; i < SGAMP_UUID_LEN; i++) {
        memcpy(text, uuid, sizeof(text));
        text[i] = (text[i] == '-') ? 'a' : 'g';

        tap_is(sgamp_uuid(buf, text, SGAMP_UUID_LEN), 0,
               "a wrong character at %zu", i);
    }

    tap_is(buf[0], 0xa5, "nothing is written");
    tap_is(sgamp_uuid(buf, (u_char *) uuid, 36), 1, "a UUID");
    tap_bytes(buf, sizeof(buf), lower, 36, "is written in lower case");
}
