
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdarg.h>
#include <stdio.h>

#include "sgamp_test_sendgrid.h"


#define SGAMP_TEST_CONTACTS  6


static void sgamp_test_tell(sgamp_test_sendgrid_t *t);
static void sgamp_test_found(void *data, const sgamp_found_t *found);
static int32_t sgamp_test_index(void *data, const sgamp_str_t *address);


static const char *sgamp_test_actions[] = {
    "forward", "next", "select", "refuse", "reject", "halve", "throttle",
    "wait", "retry"
};


void
sgamp_test_sendgrid_init(sgamp_test_sendgrid_t *t)
{
    size_t  i;

    static const struct {
        sgamp_field_e  kind;
        const char    *name;
    } fields[] = {
        { SGAMP_FIELD_EMAIL, "email" },
        { SGAMP_FIELD_CUSTOM, "plan" },
        { SGAMP_FIELD_FIRST_NAME, "first_name" },
        { SGAMP_FIELD_CUSTOM, "seats" },
        { SGAMP_FIELD_CUSTOM, "Since" }
    };

    memset(t, 0, sizeof(sgamp_test_sendgrid_t));

    sgamp_test_heap_init(&t->heap);
    sgamp_test_set(&t->end, " [7]");
    sgamp_test_set(&t->list, ID2);

    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        t->rules.fields[i].kind = fields[i].kind;
        sgamp_test_set(&t->rules.fields[i].name, fields[i].name);
    }

    t->rules.n = i;
    t->rules.ncustom = 3;
}


void
sgamp_test_sendgrid_done(sgamp_test_sendgrid_t *t)
{
    tap_is(t->upper, 0, "addresses are asked for in lower case");

    if (t->reserve.data != NULL) {
        t->heap.grow.free(&t->heap, t->reserve.data);
    }

    tap_is(t->heap.live, 0, "all is freed");

    sgamp_test_free(&t->found);
    sgamp_test_free(&t->got);
    sgamp_test_free(&t->first);
    sgamp_test_guard_done(&t->guard);
}


void
sgamp_test_sendgrid_start(sgamp_test_sendgrid_t *t, sgamp_call_e call,
    unsigned status)
{
    sgamp_sendgrid_question_t  *question;

    question = &t->question;

    if (question->n == 0) {
        question->n = SGAMP_TEST_CONTACTS;
    }

    question->call = call;
    question->end = &t->end;
    question->list = &t->list;
    question->rules = &t->rules;
    question->definitions = t->definitions;
    question->found = sgamp_test_found;
    question->index = sgamp_test_index;
    question->data = t;

    t->status = status;
    t->found.len = 0;

    sgamp_test_poison(t->definitions, sizeof(t->definitions));
    sgamp_test_poison(&t->answer, sizeof(sgamp_sendgrid_answer_t));

    sgamp_sendgrid_init(&t->answer, question, &t->heap.grow, &t->reserve);

    question->n = 0;
    question->exact = 0;
}


void
sgamp_test_sendgrid_feed(sgamp_test_sendgrid_t *t, const u_char *body,
    size_t len, size_t portion)
{
    size_t  n;

    for ( /* void */ ; len != 0; len -= n) {
        n = (len < portion) ? len : portion;

        sgamp_sendgrid_feed(&t->answer, sgamp_test_guard(&t->guard, body, n),
                            n);
        body += n;
    }
}


void
sgamp_test_sendgrid_judge(sgamp_test_sendgrid_t *t, unsigned last)
{
    t->action = sgamp_sendgrid_action(&t->answer, t->status, last);

    sgamp_test_tell(t);

    sgamp_sendgrid_done(&t->answer);
    sgamp_sendgrid_done(&t->answer);
}


void
sgamp_test_sendgrid_read(sgamp_test_sendgrid_t *t, const void *body, size_t len,
    size_t portion)
{
    sgamp_test_sendgrid_feed(t, body, len, portion);
    sgamp_test_sendgrid_judge(t, 1);
}


int
sgamp_test_sendgrid_got(sgamp_test_sendgrid_t *t, const char *want,
    const char *fmt, ...)
{
    int      ok;
    char     name[300];
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(name, sizeof(name), fmt, args);
    va_end(args);

    ok = strcmp((char *) t->got.data, want) == 0;

    if (!ok) {
        tap_diag("got %s, want %s", t->got.data, want);
    }

    return tap_ok(ok, "%s", name);
}


void
sgamp_test_fill(sgamp_test_buf_t *buf, const char *before, char ch, size_t n,
    const char *after)
{
    u_char  run[1024];
    size_t  size;

    memset(run, ch, sizeof(run));

    buf->len = 0;
    sgamp_test_puts(buf, before);

    for ( /* void */ ; n != 0; n -= size) {
        size = (n < sizeof(run)) ? n : sizeof(run);
        sgamp_test_put(buf, run, size);
    }

    sgamp_test_puts(buf, after);
}


void
sgamp_test_printf(sgamp_test_buf_t *buf, const char *fmt, ...)
{
    char     text[2048];
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    sgamp_test_puts(buf, text);
}


static void
sgamp_test_tell(sgamp_test_sendgrid_t *t)
{
    unsigned                   i, facts, rejected;
    sgamp_test_buf_t          *got;
    sgamp_sendgrid_answer_t   *a;
    sgamp_field_definition_t  *field;

    static const char  letters[] = "WENLFRP";

    a = &t->answer;
    got = &t->got;
    facts = a->facts;

    got->len = 0;
    sgamp_test_printf(got, "%s%s", sgamp_test_actions[t->action],
                      facts ? " " : "");

    for (i = 0; letters[i] != '\0'; i++) {
        if (facts & (1u << i)) {
            sgamp_test_put(got, &letters[i], 1);
        }
    }

    switch (a->question.call) {

    case SGAMP_CALL_LISTS:
        sgamp_test_printf(got, " %u", a->nlists);

        if (a->nlists != 0 && a->id[0] != '\0') {
            sgamp_test_printf(got, " %.36s", a->id);
        }

        sgamp_test_printf(got, "%s%.*s%s", a->token.len ? " " : "",
                          (int) a->token.len, a->token.data,
                          a->bad_page ? " bad" : "");
        break;

    case SGAMP_CALL_CREATE:
        if (facts & SGAMP_SENDGRID_EXPECTED) {
            sgamp_test_printf(got, " %.36s", a->id);
        }

        break;

    case SGAMP_CALL_FIELDS:
        for (i = 0; i < 3; i++) {
            field = &t->definitions[i];

            if (field->type == SGAMP_TYPE_MISSING && field->len == 0) {
                sgamp_test_puts(got, " -");
                continue;
            }

            sgamp_test_printf(got, " %.*s:%d", (int) field->len, field->id,
                              field->type);
        }

        break;

    case SGAMP_CALL_IMPORT:
        sgamp_test_printf(got, " %d %llu %llu %llu", a->import,
                          (unsigned long long) a->requested,
                          (unsigned long long) a->applied,
                          (unsigned long long) a->errored);
        sgamp_test_printf(got, "%s%.*s", a->errors_url_len ? " " : "",
                          (int) a->errors_url_len, a->errors_url);
        break;

    default:
        sgamp_test_put(got, t->found.data, t->found.len);
        sgamp_test_printf(got, "%s%.*s", a->job_len ? " " : "",
                          (int) a->job_len, a->job);

        for (i = 0; a->answer.marks != NULL && i < a->answer.n; i++) {
            rejected = (a->answer.marks[i] & SGAMP_ANSWER_REJECTED) != 0;

            sgamp_test_printf(got, "%s%s", i ? "" : " ", rejected ? "r" : ".");
        }

        break;
    }
}


static void
sgamp_test_found(void *data, const sgamp_found_t *found)
{
    sgamp_test_sendgrid_t  *t = data;

    sgamp_test_printf(&t->found, " %.*s %.*s %.*s%s;",
                      (int) found->asked.len, found->asked.data,
                      found->email.len ? (int) found->email.len : 1,
                      found->email.len ? (char *) found->email.data : "-",
                      (int) found->id.len, found->id.data,
                      found->listed ? " listed" : "");
}


static int32_t
sgamp_test_index(void *data, const sgamp_str_t *address)
{
    sgamp_test_sendgrid_t  *t = data;

    size_t  i;

    static const sgamp_str_t addresses[] = {
        sgamp_str("amy@x.com"), sgamp_str("joe@x.com"),
        sgamp_str("o'neil@x.com"), sgamp_str("zoe@x.com"),
        sgamp_str("a=b@x.com")
    };

    for (i = 0; i < address->len; i++) {
        t->upper += (address->data[i] >= 'A' && address->data[i] <= 'Z');
    }

    for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        if (sgamp_same(&addresses[i], address->data, address->len)) {
            return i;
        }
    }

    return -1;
}
