
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sgamp_test_tree.h"


#define SGAMP_TEST_NUMBER    4096 /* digits, once the point was moved */
#define SGAMP_TEST_EXPONENT  1000


static int sgamp_test_decimal(const char *text, unsigned number,
    uint64_t *ms);
static int sgamp_test_date(const char *text, uint64_t *ms);


int
sgamp_test_tree_time(const sgamp_test_value_t *value, uint64_t *ms)
{
    int                 ok;
    const char         *text;
    sgamp_test_buf_t    buf;
    sgamp_test_chars_t  s;

    if (value->type != '"' && value->type != '0') {
        return 0;
    }

    memset(&buf, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_tree_decode(&s, value);
    sgamp_test_tree_text(&buf, &s, 0);
    free(s.chars);

    text = (char *) buf.data;
    ok = 0;

    if (buf.len != 0 && strlen(text) == buf.len) {
        ok = sgamp_test_decimal(text, value->type == '0', ms)
             || (value->type == '"' && sgamp_test_date(text, ms));
    }

    sgamp_test_free(&buf);

    return ok;
}


static int
sgamp_test_decimal(const char *text, unsigned number, uint64_t *ms)
{
    char    digits[SGAMP_TEST_NUMBER], zeros[SGAMP_TEST_NUMBER];
    long    exponent, point, i;
    size_t  n, k;

    /* digits, a point and digits; the exponent moves the point */

    n = strspn(text, "0123456789");
    k = (text[n] == '.') ? strspn(text + n + 1, "0123456789") : 0;

    if (n == 0 || (text[n] == '.' && k == 0)) {
        return 0;
    }

    snprintf(digits, sizeof(digits), "%.*s%.*s", (int) n, text, (int) k,
             text + n + 1);

    exponent = 0;
    text += n + (k ? k + 1 : 0);

    if (*text != '\0') {

        if (!number || strspn(text, "eE") != 1) {
            return 0;
        }

        exponent = strtol(text + 1, NULL, 10);
    }

    point = (long) n;

    if (strspn(digits, "0") == strlen(digits)) {
        *ms = 0;
        return 1;
    }

    if (exponent > SGAMP_TEST_EXPONENT) {
        return 0;
    }

    if (exponent < -SGAMP_TEST_EXPONENT) {
        *ms = 0;
        return 1;
    }

    /* zeros on either side, so that the point is never outside */

    memset(zeros, '0', sizeof(zeros));
    memcpy(zeros + SGAMP_TEST_EXPONENT, digits, strlen(digits));

    point += SGAMP_TEST_EXPONENT + exponent;

    for (i = 0; i < point && zeros[i] == '0'; i++) {
        /* void */
    }

    if (point - i < 12) {
        point += 3;
    }

    if (point - i > 18) {
        return 0;
    }

    for (*ms = 0; i < point; i++) {
        *ms = *ms * 10 + (uint64_t) (zeros[i] - '0');
    }

    return 1;
}


static int
sgamp_test_date(const char *text, uint64_t *ms)
{
    int        n, sign, hours, minutes;
    char       milli[4], blank, zone;
    size_t     i, k;
    time_t     t, leap;
    struct tm  tm, back;

    static const char *layout = "dddd-dd-ddTdd:dd:dd";

    for (i = 0; layout[i] != '\0'; i++) {
        if (layout[i] == 'd' ? strspn(text + i, "0123456789") == 0
            : layout[i] == 'T' ? strspn(text + i, "Tt ") == 0
                               : text[i] != layout[i])
        {
            return 0;
        }
    }

    memset(&tm, 0, sizeof(struct tm));

    (void) sscanf(text, "%4d-%2d-%2d%c%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon,
                  &tm.tm_mday, &blank, &tm.tm_hour, &tm.tm_min, &tm.tm_sec);

    leap = (tm.tm_sec == 60);

    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    tm.tm_sec -= (int) leap;

    back = tm;
    t = timegm(&back);

    /* what is not of the calendar comes back as something else */

    if (tm.tm_year < 70 || back.tm_mon != tm.tm_mon
        || back.tm_mday != tm.tm_mday || back.tm_hour != tm.tm_hour
        || back.tm_min != tm.tm_min || back.tm_sec != tm.tm_sec)
    {
        return 0;
    }

    text += i;
    memcpy(milli, "000", 4);

    if (*text == '.') {
        k = strspn(++text, "0123456789");

        if (k == 0) {
            return 0;
        }

        memcpy(milli, text, (k < 3) ? k : 3);
        text += k;
    }

    if (strcmp(text, "Z") != 0 && strcmp(text, "z") != 0) {

        if (strlen(text) != 6 || strspn(text, "+-") != 1
            || strspn(text + 1, "0123456789") != 2 || text[3] != ':'
            || strspn(text + 4, "0123456789") != 2
            || sscanf(text, "%c%2d:%2d%n", &zone, &hours, &minutes, &n) != 3
            || hours > 23 || minutes > 59)
        {
            return 0;
        }

        sign = (zone == '-') ? 1 : -1;
        t += sign * (hours * 60 + minutes) * 60;
    }

    t += leap;

    if (t < 0) {
        return 0;
    }

    gmtime_r(&t, &back);

    if (leap && (back.tm_mday != 1 || back.tm_hour != 0 || back.tm_min != 0)) {
        return 0;
    }

    *ms = (uint64_t) t * 1000 + strtoul(milli, NULL, 10);

    return 1;
}
