
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_test.h"
#include "sgamp_time.h"


#define SGAMP_TEST_NONE  UINT64_MAX /* not usable */


typedef struct {
    const char  *text; /* as it stands in JSON */
    uint64_t     ms;
} sgamp_test_time_t;


static void sgamp_test_times(const sgamp_test_time_t *time);
static uint64_t sgamp_test_ms(const char *text);
static void sgamp_test_seconds(void);


static const sgamp_test_time_t sgamp_test_numbers[] = {
    { "0", 0 },
    { "1", 1000 },
    { "1513299569", 1513299569000 },
    { "1700414002", 1700414002000 },
    { "99999999999", 99999999999000 },
    { "100000000000", 100000000000 },
    { "1591726752372", 1591726752372 },
    { "999999999999999999", 999999999999999999 },
    { "1000000000000000000", SGAMP_TEST_NONE },
    { "18446744073709551615", SGAMP_TEST_NONE },
    { "18446744073709551617", SGAMP_TEST_NONE },
    { "99999999999999999999999999999999999999", SGAMP_TEST_NONE },
    { "1481050260.03746", 1481050260037 },
    { "1513299569.0", 1513299569000 },
    { "1513299569.9", 1513299569900 },
    { "1513299569.09", 1513299569090 },
    { "1513299569.009", 1513299569009 },
    { "1513299569.0009", 1513299569000 },
    { "1513299569.9999999999999999999999999", 1513299569999 },
    { "1591726752372.9", 1591726752372 },
    { "0.001", 1 },
    { "0.0019", 1 },
    { "0.0001", 0 },
    { "0.00000000000000000000", 0 },
    { "0.999", 999 },
    { "1.5", 1500 },
    { "-0", SGAMP_TEST_NONE },
    { "-1", SGAMP_TEST_NONE },
    { "-1513299569.5", SGAMP_TEST_NONE },
    { "1.513299569e9", 1513299569000 },
    { "1.513299569E9", 1513299569000 },
    { "1.513299569e+9", 1513299569000 },
    { "1.513299569e+0009", 1513299569000 },
    { "15.13299569e8", 1513299569000 },
    { "1513299569e0", 1513299569000 },
    { "1513299569e-0", 1513299569000 },
    { "15132995695e-1", 1513299569500 },
    { "1513299569123456e-6", 1513299569123 },
    { "1e9", 1000000000000 },
    { "1e10", 10000000000000 },
    { "1e11", 100000000000 },
    { "1e17", 100000000000000000 },
    { "1e18", SGAMP_TEST_NONE },
    { "1e400", SGAMP_TEST_NONE },
    { "1e1000000", SGAMP_TEST_NONE },
    { "1e99999999999999999999999", SGAMP_TEST_NONE },
    { "1e2147483647", SGAMP_TEST_NONE },
    { "1e2147483648", SGAMP_TEST_NONE },
    { "1e4294967295", SGAMP_TEST_NONE },
    { "1e4294967296", SGAMP_TEST_NONE },
    { "1e-3", 1 },
    { "1e-4", 0 },
    { "12e-4", 1 },
    { "1e-2147483648", 0 },
    { "1e-99999999999999999999999", 0 },
    { "0e99999999999999999999999", 0 },
    { "0.0e5", 0 },
    { "0.000001e15", 1000000000000 },
    { "0.000001e17", 100000000000 },
    { "1.5e0", 1500 },
    { NULL, 0 }
};


static const sgamp_test_time_t sgamp_test_strings[] = {
    { "\"0\"", 0 },
    { "\"00\"", 0 },
    { "\"1513299569\"", 1513299569000 },
    { "\"123456789\"", 123456789000 },
    { "\"1639468221\"", 1639468221000 },
    { "\"1639468221000\"", 1639468221000 },
    { "\"0001513299569\"", 1513299569000 },
    { "\"000000000000000000000000001\"", 1000 },
    { "\"1513299569.25\"", 1513299569250 },
    { "\"1591726752372.9\"", 1591726752372 },
    { "\"999999999999999999\"", 999999999999999999 },
    { "\"1000000000000000000\"", SGAMP_TEST_NONE },
    { "\"99999999999999999999999\"", SGAMP_TEST_NONE },
    { "\"\"", SGAMP_TEST_NONE },
    { "\" \"", SGAMP_TEST_NONE },
    { "\".\"", SGAMP_TEST_NONE },
    { "\".5\"", SGAMP_TEST_NONE },
    { "\"5.\"", SGAMP_TEST_NONE },
    { "\"5..5\"", SGAMP_TEST_NONE },
    { "\"1.2.3\"", SGAMP_TEST_NONE },
    { "\"-5\"", SGAMP_TEST_NONE },
    { "\"+5\"", SGAMP_TEST_NONE },
    { "\" 5\"", SGAMP_TEST_NONE },
    { "\"5 \"", SGAMP_TEST_NONE },
    { "\"5s\"", SGAMP_TEST_NONE },
    { "\"1e9\"", SGAMP_TEST_NONE },
    { "\"1.5e9\"", SGAMP_TEST_NONE },
    { "\"0x5\"", SGAMP_TEST_NONE },
    { "\"1,5\"", SGAMP_TEST_NONE },
    { "\"5\\n\"", SGAMP_TEST_NONE },
    { "\"5\\u0000\"", SGAMP_TEST_NONE },
    { "\"\xd9\xa1\"", SGAMP_TEST_NONE },
    { "\"2017-12-15T00:59:29Z\"", SGAMP_TEST_NONE },
    { "true", SGAMP_TEST_NONE },
    { "false", SGAMP_TEST_NONE },
    { "null", SGAMP_TEST_NONE },
    { "[]", SGAMP_TEST_NONE },
    { "[1]", SGAMP_TEST_NONE },
    { "{}", SGAMP_TEST_NONE },
    { "{\"1\":2}", SGAMP_TEST_NONE },
    { NULL, 0 }
};


int
main(void)
{
    sgamp_test_times(sgamp_test_numbers);
    sgamp_test_times(sgamp_test_strings);
    sgamp_test_seconds();

    return tap_done();
}


static void
sgamp_test_times(const sgamp_test_time_t *time)
{
    uint64_t  ms;

    for ( /* void */ ; time->text != NULL; time++) {
        ms = sgamp_test_ms(time->text);

        if (time->ms == SGAMP_TEST_NONE) {
            tap_ok(ms == SGAMP_TEST_NONE, "%s is not usable", time->text);

        } else {
            tap_is((long long) ms, (long long) time->ms, "%s is %llu ms",
                   time->text, (unsigned long long) time->ms);
        }
    }
}


static uint64_t
sgamp_test_ms(const char *text)
{
    size_t              i, n;
    u_char             *p;
    uint64_t            ms, got;
    sgamp_test_buf_t    buf;
    sgamp_test_guard_t  guard;
    sgamp_json_value_t  value;

    /* what follows the value is of no matter, nor what precedes it */

    static const char *before[] = { ":", " : ", "\n:\t" };
    static const char *after[] = { "}", ",\"a\":1}", " }", "\n,\"1\":2}" };

    memset(&buf, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_guard_init(&guard, 1);

    got = 0;

    for (i = 0; i < 12; i++) {
        buf.len = 0;

        sgamp_test_puts(&buf, before[i % 3]);
        sgamp_test_puts(&buf, text);
        sgamp_test_puts(&buf, after[i / 3]);

        n = buf.len;
        p = sgamp_test_guard(&guard, buf.data, n);

        sgamp_json_value(&value, p, p + n);

        if (!sgamp_time(&value, &ms)) {
            ms = SGAMP_TEST_NONE;
        }

        if (i != 0 && ms != got) {
            tap_diag_bytes("other time", buf.data, buf.len);
            ms = 0xbad;
        }

        got = ms;
    }

    sgamp_test_free(&buf);
    sgamp_test_guard_done(&guard);

    return got;
}


static void
sgamp_test_seconds(void)
{
    u_char              text[32];
    uint64_t            ms, n, scale;
    unsigned            bad;
    sgamp_json_value_t  value;

    /* whole numbers of any length, against plain arithmetic */

    bad = 0;

    for (scale = 10; scale < 100000000000000000; scale *= 10) {

        for (n = scale - 3; n < scale + 3; n++) {
            value.type = (n % 2) ? SGAMP_JSON_NUMBER : SGAMP_JSON_STRING;
            value.text.data = text;
            value.text.len = snprintf((char *) text, sizeof(text), "%llu",
                                      (unsigned long long) n);

            if (!sgamp_time(&value, &ms)
                || ms != ((n < 100000000000) ? n * 1000 : n))
            {
                tap_diag("%s is %llu", text, (unsigned long long) ms);
                bad++;
            }
        }
    }

    tap_is(bad, 0, "around powers of ten");
}
