
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TEST_SENDGRID_H_INCLUDED_
#define _SGAMP_TEST_SENDGRID_H_INCLUDED_


#include "sgamp_cohort_answer.h"
#include "sgamp_test.h"


#define ID1  "11111111-1111-4111-8111-11111111111a"
#define ID2  "22222222-2222-4222-8222-22222222222b"
#define ID3  "33333333-3333-4333-8333-33333333333c"

#define PAGE  "/v3/marketing/lists?page_size=1000&page_token="
#define HOST  "https://api.sendgrid.com"

/* a contact that was found for a@x.com, to be continued */

#define SEARCHED  "{\"result\":{\"a@x.com\":{\"contact\":{\"id\":\"" ID1 "\","


/* an answer of SendGrid's, and all that was read of the answer, as text */

typedef struct {
    sgamp_test_heap_t          heap;
    sgamp_str_t                reserve;
    sgamp_test_guard_t         guard;
    sgamp_sendgrid_question_t  question;
    sgamp_sendgrid_answer_t    answer;
    sgamp_contact_rules_t      rules;
    sgamp_field_definition_t   definitions[3];
    sgamp_str_t                end;
    sgamp_str_t                list;
    sgamp_test_buf_t           found;
    sgamp_test_buf_t           got;
    sgamp_test_buf_t           first;
    sgamp_action_e             action;
    unsigned                   status;
    unsigned                   upper; /* addresses that were not lower-cased */
} sgamp_test_sendgrid_t;


void sgamp_test_sendgrid_init(sgamp_test_sendgrid_t *t);

/* tests that all is freed */
void sgamp_test_sendgrid_done(sgamp_test_sendgrid_t *t);

/* begins to read an answer; question.n and question.exact may be set before */
void sgamp_test_sendgrid_start(sgamp_test_sendgrid_t *t, sgamp_call_e call,
    unsigned status);

void sgamp_test_sendgrid_feed(sgamp_test_sendgrid_t *t, const u_char *body,
    size_t len, size_t portion);

/* ends an answer: action is set, and got to its text */
void sgamp_test_sendgrid_judge(sgamp_test_sendgrid_t *t, unsigned last);

/* feeds and ends an answer */
void sgamp_test_sendgrid_read(sgamp_test_sendgrid_t *t, const void *body,
    size_t len, size_t portion);

int sgamp_test_sendgrid_got(sgamp_test_sendgrid_t *t, const char *want,
    const char *fmt, ...) tap_printf(3, 4);

/* a run of a character between two texts */
void sgamp_test_fill(sgamp_test_buf_t *buf, const char *before, char ch,
    size_t n, const char *after);
void sgamp_test_printf(sgamp_test_buf_t *buf, const char *fmt, ...)
    tap_printf(2, 3);


#endif /* _SGAMP_TEST_SENDGRID_H_INCLUDED_ */
