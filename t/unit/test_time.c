
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>
#include <time.h>

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
static void sgamp_test_days(void);


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
    { "\"00001513299569.25\"", 1513299569250 },
    { "\"0099999999999\"", 99999999999000 },
    { "\"000100000000000\"", 100000000000 },
    { "\"0001639468221000\"", 1639468221000 },
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
    { "true", SGAMP_TEST_NONE },
    { "false", SGAMP_TEST_NONE },
    { "null", SGAMP_TEST_NONE },
    { "[]", SGAMP_TEST_NONE },
    { "[1]", SGAMP_TEST_NONE },
    { "{}", SGAMP_TEST_NONE },
    { "{\"1\":2}", SGAMP_TEST_NONE },
    { NULL, 0 }
};


static const sgamp_test_time_t sgamp_test_dates[] = {
    { "\"2017-12-15T00:59:29Z\"", 1513299569000 },
    { "\"2017-12-15t00:59:29z\"", 1513299569000 },
    { "\"2017-12-15 00:59:29Z\"", 1513299569000 },
    { "\"2017-12-15 00:59:29.5z\"", 1513299569500 },
    { "\"2017\\u002d12-15T00:59:29\\u005a\"", 1513299569000 },
    { "\"2023-11-19T13:20:02.123Z\"", 1700400002123 },
    { "\"2023-11-19T13:20:02.1Z\"", 1700400002100 },
    { "\"2023-11-19T13:20:02.001Z\"", 1700400002001 },
    { "\"2023-11-19T13:20:02.0009Z\"", 1700400002000 },
    { "\"2023-11-19T13:20:02.99999999999999999999999Z\"", 1700400002999 },
    { "\"2023-11-19T15:20:02+02:00\"", 1700400002000 },
    { "\"2023-11-19T15:20:02.25+02:00\"", 1700400002250 },
    { "\"2023-11-19T07:50:02-05:30\"", 1700400002000 },
    { "\"2023-11-19T13:20:02-00:00\"", 1700400002000 },
    { "\"2023-11-19T13:20:02+00:00\"", 1700400002000 },
    { "\"2023-11-20T13:19:02+23:59\"", 1700400002000 },
    { "\"1970-01-01T00:00:00Z\"", 0 },
    { "\"1970-01-01T00:00:00.999Z\"", 999 },
    { "\"1970-01-01T00:00:00-00:01\"", 60000 },
    { "\"1970-01-01T02:00:00+02:00\"", 0 },
    { "\"1970-03-01T00:00:00Z\"", 5097600000 },
    { "\"1972-02-29T00:00:00Z\"", 68169600000 },
    { "\"1999-12-31T23:59:59Z\"", 946684799000 },
    { "\"2000-02-29T12:00:00Z\"", 951825600000 },
    { "\"2024-02-29T00:00:00Z\"", 1709164800000 },
    { "\"2024-12-31T23:59:59.999Z\"", 1735689599999 },
    { "\"2100-03-01T00:00:00Z\"", 4107542400000 },
    { "\"9999-12-31T23:59:59Z\"", 253402300799000 },
    { "\"1990-12-31T23:59:60Z\"", 662688000000 },
    { "\"1990-12-31T15:59:60-08:00\"", 662688000000 },
    { "\"1991-01-01T00:59:60.5+01:00\"", 662688000500 },
    { "\"2015-06-30T23:59:60Z\"", 1435708800000 },
    { "\"1990-12-30T23:59:60Z\"", SGAMP_TEST_NONE },
    { "\"1990-12-31T22:59:60Z\"", SGAMP_TEST_NONE },
    { "\"1990-12-31T23:58:60Z\"", SGAMP_TEST_NONE },
    { "\"1990-12-31T23:59:60+01:00\"", SGAMP_TEST_NONE },
    { "\"1990-12-31T23:59:61Z\"", SGAMP_TEST_NONE },
    { "\"1969-12-31T23:59:59Z\"", SGAMP_TEST_NONE },
    { "\"1970-01-01T00:00:00+00:01\"", SGAMP_TEST_NONE },
    { "\"0000-01-01T00:00:00Z\"", SGAMP_TEST_NONE },
    { "\"2023-00-19T13:20:02Z\"", SGAMP_TEST_NONE },
    { "\"2023-13-19T13:20:02Z\"", SGAMP_TEST_NONE },
    { "\"2023-11-00T13:20:02Z\"", SGAMP_TEST_NONE },
    { "\"2023-11-31T13:20:02Z\"", SGAMP_TEST_NONE },
    { "\"2023-12-32T13:20:02Z\"", SGAMP_TEST_NONE },
    { "\"2023-02-29T13:20:02Z\"", SGAMP_TEST_NONE },
    { "\"2100-02-29T13:20:02Z\"", SGAMP_TEST_NONE },
    { "\"2024-02-30T13:20:02Z\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T24:00:00Z\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:60:02Z\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:20:02\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:20:02.Z\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:20:02,5Z\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:20:02.5\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:20:02.5xZ\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:20Z\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13Z\"", SGAMP_TEST_NONE },
    { "\"2023-11-19\"", SGAMP_TEST_NONE },
    { "\"2023-11-19_13:20:02Z\"", SGAMP_TEST_NONE },
    { "\"2023-11-19  13:20:02Z\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:20:02 Z\"", SGAMP_TEST_NONE },
    { "\" 2023-11-19T13:20:02Z\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:20:02Z \"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:20:02ZZ\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:20:02Z\\u0000\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:20:02+0200\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:20:02+02\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:20:02+24:00\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:20:02+02:60\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:20:02+2:00\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:20:02*02:00\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:20:02Z+02:00\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T1a:20:02Z\"", SGAMP_TEST_NONE },
    { "\"2023/11/19T13:20:02Z\"", SGAMP_TEST_NONE },
    { "\"23-11-19T13:20:02Z\"", SGAMP_TEST_NONE },
    { "\"+2023-11-19T13:20:02Z\"", SGAMP_TEST_NONE },
    { "\"12023-11-19T13:20:02Z\"", SGAMP_TEST_NONE },
    { "\"2023-1-19T13:20:02Z\"", SGAMP_TEST_NONE },
    { "\"20231119T132002Z\"", SGAMP_TEST_NONE },
    { "\"2023-11-19T13:20:02\xe2\x88\x92\x30\x32:00\"", SGAMP_TEST_NONE },
    { "\"Sun, 19 Nov 2023 13:20:02 GMT\"", SGAMP_TEST_NONE },
    { NULL, 0 }
};


int
main(void)
{
    sgamp_test_times(sgamp_test_numbers);
    sgamp_test_times(sgamp_test_strings);
    sgamp_test_times(sgamp_test_dates);
    sgamp_test_days();
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


static void
sgamp_test_days(void)
{
    char       text[64];
    time_t     t;
    uint64_t   ms;
    unsigned   bad;
    struct tm  tm;

    sgamp_json_value_t  value;

    /* one time of each day, against the calendar of libc */

    bad = 0;

    for (t = 0; t < 253402300800; t += 86400 + 11) {
        gmtime_r(&t, &tm);

        value.type = SGAMP_JSON_STRING;
        value.plain = 1;
        value.text.data = (u_char *) text;
        value.text.len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ",
                                  &tm);

        if (!sgamp_time(&value, &ms) || ms != (uint64_t) t * 1000) {
            bad++;
        }
    }

    tap_is(bad, 0, "a time of each day of 8029 years");
}
