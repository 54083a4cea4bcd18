
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_cohort_field.h"
#include "sgamp_test.h"


static void sgamp_test_types(void);
static void sgamp_test_usable(void);
static void sgamp_test_days(void);
static void sgamp_test_escaped(void);
static void sgamp_test_cuts(void);
static void sgamp_test_cut(const char *text, size_t max, unsigned bytes,
    const char *want);
static int sgamp_test_value(sgamp_json_value_t *value, const char *text,
    size_t n);
static void sgamp_test_copy(sgamp_test_buf_t *buf, const sgamp_str_t *text,
    unsigned number);


static sgamp_test_guard_t  sgamp_test_page;


/* a value, and what becomes of the value as text, number and date */

static const char *const  sgamp_test_values[][4] = {
    { "\"x\"", "\"x\"", NULL, NULL },
    { "\" x\\ty\\u3000\"", "\"x\\ty\"", NULL, NULL },
    { "\"\"", NULL, NULL, NULL },
    { "\" \\u2003\"", NULL, NULL, NULL },
    { "null", NULL, NULL, NULL },
    { "[1]", NULL, NULL, NULL },
    { "{\"a\":\"x\"}", NULL, NULL, NULL },
    { "true", "\"true\"", NULL, NULL },
    { "false", "\"false\"", NULL, NULL },
    { "\"true\"", "\"true\"", NULL, NULL },
    { "\"a\xff\\ud800\"", "\"a\xef\xbf\xbd\xef\xbf\xbd\"", NULL, NULL },

    /* numbers */

    { "5", "\"5\"", "5", NULL },
    { "-1.50e+3", "\"-1.50e+3\"", "-1.50e+3", NULL },
    { "0", "\"0\"", "0", NULL },
    { "-0", "\"-0\"", "-0", NULL },
    { "20240131", "\"20240131\"", "20240131", NULL },
    { "\"5\"", "\"5\"", "5", NULL },
    { "\" 5.25\\n\"", "\"5.25\"", "5.25", NULL },
    { "\"\\u00a05\\u2003\"", "\"5\"", "5", NULL },
    { "\"\\u0035\\u002e\\u0032\"", "\"\\u0035\\u002e\\u0032\"", "5.2",
      NULL },
    { "\"-0.5E-10\"", "\"-0.5E-10\"", "-0.5E-10", NULL },
    { "\"1e5\"", "\"1e5\"", "1e5", NULL },
    { "\"1E+05\"", "\"1E+05\"", "1E+05", NULL },
    { "\"12345678901234567890123456789012345678901234567890123456789012"
      "34567890\"",
      "\"123456789012345678901234567890123456789012345678901234567890123"
      "4567890\"",
      "12345678901234567890123456789012345678901234567890123456789012345"
      "67890",
      NULL },
    { "\"05\"", "\"05\"", NULL, NULL },
    { "\"00\"", "\"00\"", NULL, NULL },
    { "\"-\"", "\"-\"", NULL, NULL },
    { "\"-05\"", "\"-05\"", NULL, NULL },
    { "\"+5\"", "\"+5\"", NULL, NULL },
    { "\".5\"", "\".5\"", NULL, NULL },
    { "\"5.\"", "\"5.\"", NULL, NULL },
    { "\"5.e1\"", "\"5.e1\"", NULL, NULL },
    { "\"5e\"", "\"5e\"", NULL, NULL },
    { "\"5e+\"", "\"5e+\"", NULL, NULL },
    { "\"5,1\"", "\"5,1\"", NULL, NULL },
    { "\"5 1\"", "\"5 1\"", NULL, NULL },
    { "\"0x5\"", "\"0x5\"", NULL, NULL },
    { "\"NaN\"", "\"NaN\"", NULL, NULL },
    { "\"5\\u0000\"", "\"5\\u0000\"", NULL, NULL },
    { "\"5\xff\"", "\"5\xef\xbf\xbd\"", NULL, NULL },
    { "\"\xd9\xa5\"", "\"\xd9\xa5\"", NULL, NULL },

    /* dates */

    { "\"01/31/2024\"", "\"01/31/2024\"", NULL, "\"01/31/2024\"" },
    { "\"01\\/31\\/2024\"", "\"01\\/31\\/2024\"", NULL,
      "\"01\\/31\\/2024\"" },
    { "\" 01/31/2024 \"", "\"01/31/2024\"", NULL, "\"01/31/2024\"" },
    { "\"2024-01-31\"", "\"2024-01-31\"", NULL, "\"2024-01-31\"" },
    { "\"2024-02-29\"", "\"2024-02-29\"", NULL, "\"2024-02-29\"" },
    { "\"2000-02-29\"", "\"2000-02-29\"", NULL, "\"2000-02-29\"" },
    { "\"1931-12-31\"", "\"1931-12-31\"", NULL, "\"1931-12-31\"" },
    { "\"0001-01-01\"", "\"0001-01-01\"", NULL, "\"0001-01-01\"" },
    { "\"12/31/1899\"", "\"12/31/1899\"", NULL, "\"12/31/1899\"" },
    { "\"2024-01-31T00:00:00Z\"", "\"2024-01-31T00:00:00Z\"", NULL,
      "\"2024-01-31T00:00:00Z\"" },
    { "\"2024-01-31T23:59:59.123456Z\"",
      "\"2024-01-31T23:59:59.123456Z\"", NULL,
      "\"2024-01-31T23:59:59.123456Z\"" },
    { "\"2024-01-31T23:59:59+23:59\"", "\"2024-01-31T23:59:59+23:59\"",
      NULL, "\"2024-01-31T23:59:59+23:59\"" },
    { "\"2024-01-31T23:59:59.0-00:00\"",
      "\"2024-01-31T23:59:59.0-00:00\"", NULL,
      "\"2024-01-31T23:59:59.0-00:00\"" },
    { "\"2023-02-29\"", "\"2023-02-29\"", NULL, NULL },
    { "\"1900-02-29\"", "\"1900-02-29\"", NULL, NULL },
    { "\"2024-02-30\"", "\"2024-02-30\"", NULL, NULL },
    { "\"02/30/2024\"", "\"02/30/2024\"", NULL, NULL },
    { "\"2024-04-31\"", "\"2024-04-31\"", NULL, NULL },
    { "\"2024-00-01\"", "\"2024-00-01\"", NULL, NULL },
    { "\"2024-13-01\"", "\"2024-13-01\"", NULL, NULL },
    { "\"2024-01-00\"", "\"2024-01-00\"", NULL, NULL },
    { "\"2024-01-32\"", "\"2024-01-32\"", NULL, NULL },
    { "\"0000-01-01\"", "\"0000-01-01\"", NULL, NULL },
    { "\"31/01/2024\"", "\"31/01/2024\"", NULL, NULL },
    { "\"1/31/2024\"", "\"1/31/2024\"", NULL, NULL },
    { "\"01/31/24\"", "\"01/31/24\"", NULL, NULL },
    { "\"01/31/20245\"", "\"01/31/20245\"", NULL, NULL },
    { "\"01/31/2024T00:00:00Z\"", "\"01/31/2024T00:00:00Z\"", NULL,
      NULL },
    { "\"01-31-2024\"", "\"01-31-2024\"", NULL, NULL },
    { "\"2024/01/31\"", "\"2024/01/31\"", NULL, NULL },
    { "\"2024-1-31\"", "\"2024-1-31\"", NULL, NULL },
    { "\"2024-01-31Z\"", "\"2024-01-31Z\"", NULL, NULL },
    { "\"2024-01-31T\"", "\"2024-01-31T\"", NULL, NULL },
    { "\"2024-01-31T00:00:00\"", "\"2024-01-31T00:00:00\"", NULL, NULL },
    { "\"2024-01-31 00:00:00Z\"", "\"2024-01-31 00:00:00Z\"", NULL,
      NULL },
    { "\"2024-01-31T24:00:00Z\"", "\"2024-01-31T24:00:00Z\"", NULL,
      NULL },
    { "\"2024-01-31T00:60:00Z\"", "\"2024-01-31T00:60:00Z\"", NULL,
      NULL },
    { "\"2024-01-31T00:00:60Z\"", "\"2024-01-31T00:00:60Z\"", NULL,
      NULL },
    { "\"2024-01-31T00:00:00.Z\"", "\"2024-01-31T00:00:00.Z\"", NULL,
      NULL },
    { "\"2024-01-31T00:00:00ZZ\"", "\"2024-01-31T00:00:00ZZ\"", NULL,
      NULL },
    { "\"2024-01-31T00:00:00+24:00\"", "\"2024-01-31T00:00:00+24:00\"",
      NULL, NULL },
    { "\"2024-01-31T00:00:00+00:60\"", "\"2024-01-31T00:00:00+00:60\"",
      NULL, NULL },
    { "\"2024-01-31T00:00:00+0000\"", "\"2024-01-31T00:00:00+0000\"",
      NULL, NULL },
    { "\"2024-01-31T00:00:00+\"", "\"2024-01-31T00:00:00+\"", NULL,
      NULL },
    { "\"2024-01-31T00:00:00+00:0\"", "\"2024-01-31T00:00:00+00:0\"",
      NULL, NULL },
    { "\"AAAAA\"", "\"AAAAA\"", NULL, NULL }
};


int
main(void)
{
    sgamp_test_types();
    sgamp_test_usable();
    sgamp_test_days();
    sgamp_test_escaped();
    sgamp_test_cuts();

    sgamp_test_guard_done(&sgamp_test_page);

    return tap_done();
}


static void
sgamp_test_types(void)
{
    size_t               i, type;
    unsigned             types;
    const char          *text, *want;
    sgamp_test_buf_t     got;
    sgamp_json_value_t   value;

    memset(&got, 0, sizeof(sgamp_test_buf_t));

    for (i = 0; i < sizeof(sgamp_test_values) / sizeof(sgamp_test_values[0]);
         i++)
    {
        text = sgamp_test_values[i][0];

        if (!sgamp_test_value(&value, text, strlen(text))) {
            tap_ok(sgamp_test_values[i][1] == NULL, "%s: no value", text);
            continue;
        }

        types = sgamp_field_types(&value);

        for (type = SGAMP_TYPE_TEXT; type <= SGAMP_TYPE_DATE; type++) {
            want = sgamp_test_values[i][type + 1];

            if (want == NULL || (types & sgamp_field_bit(type)) == 0) {
                tap_ok(want == NULL && (types & sgamp_field_bit(type)) == 0,
                       "%s: not of type %zu", text, type);
                continue;
            }

            sgamp_test_copy(&got, &value.text, type == SGAMP_TYPE_NUMBER);

            tap_bytes(got.data, got.len, want, strlen(want),
                      "%s: of type %zu", text, type);
        }

        tap_is(types & ~SGAMP_FIELD_ALL_TYPES, 0, "and of no other type");
    }

    sgamp_test_free(&got);
}


static void
sgamp_test_usable(void)
{
    size_t               i;
    u_char              *p;
    sgamp_json_value_t   value;

    static const struct {
        const char  *text;
        int          usable;
        int          booleans;
    } values[] = {
        { "\"x\"", 1, 1 },
        { "1", 1, 1 },
        { "true", 0, 1 },
        { "false", 0, 1 },
        { "null", 0, 0 },
        { "[]", 0, 0 },
        { "{}", 0, 0 },
        { "\"\"", 0, 0 },
        { "", 0, 0 }
    };

    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        p = sgamp_test_guard(&sgamp_test_page, values[i].text,
                             strlen(values[i].text));

        sgamp_json_value(&value, p, p + strlen(values[i].text));
        tap_is(sgamp_field_usable(&value, 0) != 0, values[i].usable,
               "%s: usable or not", values[i].text);

        sgamp_json_value(&value, p, p + strlen(values[i].text));
        tap_is(sgamp_field_usable(&value, 1) != 0, values[i].booleans,
               "with booleans");
    }
}


static void
sgamp_test_days(void)
{
    char                 text[64];
    unsigned             year, month, day, n, all, leap;
    sgamp_json_value_t   value;

    /* four hundred years have as many days as the calendar says */

    n = 0;
    all = 0;
    leap = 0;

    for (year = 1801; year <= 2200; year++) {
        for (month = 0; month <= 13; month++) {
            for (day = 27; day <= 32; day++) {

                snprintf(text, sizeof(text),
                         (year & 1) ? "\"%02u/%02u/%04u\""
                                    : "\"%3$04u-%1$02u-%2$02u\"",
                         month, day, year);

                (void) sgamp_test_value(&value, text, strlen(text));

                if (sgamp_field_types(&value)
                    & sgamp_field_bit(SGAMP_TYPE_DATE))
                {
                    n++;
                    leap += (month == 2 && day == 29);
                }

                all++;
            }
        }
    }

    tap_is(n, 146097 - 400 * 12 * 26, "days from the 27th on");
    tap_is(leap, 97, "leap days");
}


static void
sgamp_test_escaped(void)
{
    char                 text[1024];
    size_t               n;
    unsigned             i, escape, types;
    sgamp_test_buf_t     got;
    sgamp_json_value_t   value;

    memset(&got, 0, sizeof(sgamp_test_buf_t));

    /* a number in a string, all digits or the last as an escape */

    for (escape = 0; escape <= 1; escape++) {
        for (i = 62; i <= 66; i++) {
            n = (size_t) sprintf(text, "\"%0*d%s\"", (int) i - 1, 0,
                                 escape ? "\\u0037" : "7");
            text[1] = '1';

            (void) sgamp_test_value(&value, text, n);
            types = sgamp_field_types(&value);

            tap_is((types & sgamp_field_bit(SGAMP_TYPE_NUMBER)) != 0,
                   !escape || i <= 64, "%u digits, %u escapes", i, escape);

            sgamp_test_copy(&got, &value.text, 1);

            tap_ok(got.len == i && got.data[i - 1] == '7', "are written");
        }
    }

    sgamp_test_free(&got);
}


static void
sgamp_test_cuts(void)
{
    /* characters */

    sgamp_test_cut("\"abc\"", 3, 0, "abc");
    sgamp_test_cut("\"abc\"", 2, 0, "ab");
    sgamp_test_cut("\"abc\"", 1, 0, "a");
    sgamp_test_cut("\" abc\"", 2, 0, "ab");
    sgamp_test_cut("\"a bc\"", 2, 0, "a");
    sgamp_test_cut("\"a\\u2003bc\"", 2, 0, "a");
    sgamp_test_cut("\"a  \\n \\u00e9\"", 5, 0, "a");
    sgamp_test_cut("\"\xc3\xa9\xc3\xa9\xc3\xa9\"", 2, 0, "\xc3\xa9\xc3\xa9");
    sgamp_test_cut("\"\xc3\xa9\xc3\xa9\"", 2, 0, "\xc3\xa9\xc3\xa9");
    sgamp_test_cut("\"\\u00e9\\u00e9x\"", 2, 0, "\\u00e9\\u00e9");
    sgamp_test_cut("\"\\ud83d\\ude00x\"", 1, 0, "\\ud83d\\ude00");
    sgamp_test_cut("\"\\ud83dx\"", 1, 0, "\\ud83d");
    sgamp_test_cut("\"\\\"\\\\x\"", 2, 0, "\\\"\\\\");
    sgamp_test_cut("\"\xf0\x9f\x98y\"", 1, 0, "\xf0\x9f\x98");
    sgamp_test_cut("12345", 3, 0, "123");

    /* bytes */

    sgamp_test_cut("\"abc\"", 2, 1, "ab");
    sgamp_test_cut("\"a\xc3\xa9\xc3\xa9\"", 3, 1, "a\xc3\xa9");
    sgamp_test_cut("\"a\xc3\xa9\xc3\xa9\"", 4, 1, "a\xc3\xa9");
    sgamp_test_cut("\"a\xc3\xa9\xc3\xa9\"", 5, 1, "a\xc3\xa9\xc3\xa9");
    sgamp_test_cut("\"a\\u20ac\\u20ac\"", 6, 1, "a\\u20ac");
    sgamp_test_cut("\"a\\u20ac\\u20ac\"", 7, 1, "a\\u20ac\\u20ac");
    sgamp_test_cut("\"\\ud83d\\ude00\\ud83d\\ude00\"", 7, 1,
                   "\\ud83d\\ude00");
    sgamp_test_cut("\"\xff\xff\"", 5, 1, "\xff");
    sgamp_test_cut("\"\xff\xff\"", 6, 1, "\xff\xff");
    sgamp_test_cut("\"a \xff\"", 3, 1, "a");
}


static void
sgamp_test_cut(const char *text, size_t max, unsigned bytes, const char *want)
{
    sgamp_json_value_t  value;

    if (!sgamp_test_value(&value, text, strlen(text))) {
        tap_bail("%s is not usable", text);
    }

    sgamp_field_cut(&value, max, bytes);

    tap_bytes(value.text.data, value.text.len, want, strlen(want),
              "%s, %zu %s", text, max, bytes ? "bytes" : "characters");
}


static int
sgamp_test_value(sgamp_json_value_t *value, const char *text, size_t n)
{
    u_char  *p;

    p = sgamp_test_guard(&sgamp_test_page, text, n);

    sgamp_json_value(value, p, p + n);

    return sgamp_field_usable(value, 1);
}


static void
sgamp_test_copy(sgamp_test_buf_t *buf, const sgamp_str_t *text,
    unsigned number)
{
    sgamp_test_sink_t  sink;

    sgamp_test_sink_init(&sink, 5, 0);

    if (number) {
        sgamp_field_number(&sink.sink, text);

    } else {
        sgamp_json_put(&sink.sink, (u_char *) "\"", 1);
        sgamp_json_copy(&sink.sink, text->data, text->len);
        sgamp_json_put(&sink.sink, (u_char *) "\"", 1);
    }

    sgamp_test_sink_flush(&sink);

    buf->len = 0;
    sgamp_test_put(buf, sink.buf.data, sink.buf.len);

    sgamp_test_free(&sink.buf);
}
