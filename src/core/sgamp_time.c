
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_text.h"
#include "sgamp_time.h"


#define SGAMP_TIME_MS_DIGITS     12     /* of milliseconds, at least */
#define SGAMP_TIME_MAX_DIGITS    18     /* that fit into 64 bits */
#define SGAMP_TIME_MAX_EXPONENT  999999 /* of a number out of range */

#define SGAMP_TIME_DECODED       64     /* characters */

#define SGAMP_TIME_EPOCH         1970
#define SGAMP_TIME_LEAP          60     /* the second, at the end of a month */
#define SGAMP_TIME_MINUTE        60     /* in seconds */
#define SGAMP_TIME_HOUR          3600
#define SGAMP_TIME_DAY           86400

#define sgamp_time_is_digit(c)   ((c) >= '0' && (c) <= '9')
#define sgamp_time_two(p)        (((p)[0] - '0') * 10 + ((p)[1] - '0'))


/* a decimal number: digits[.digits] times 10 to the exponent */

typedef struct {
    const u_char  *integer;
    const u_char  *fraction;
    int            nintegers;
    int            nfractions;
    int            exponent;
} sgamp_time_number_t;


static int sgamp_time_date(const sgamp_str_t *text, uint64_t *ms);
static int sgamp_time_is_layout(const u_char *p, const char *layout);
static int sgamp_time_fraction(const u_char **p, const u_char *last);
static int sgamp_time_offset(const u_char *p, const u_char *last,
    int *offset);
static int64_t sgamp_time_days(int year, int month, int day);
static int sgamp_time_number(const sgamp_json_value_t *value,
    sgamp_time_number_t *n);
static const u_char *sgamp_time_digits(const u_char *p, const u_char *last,
    int *n);
static void sgamp_time_write_two(sgamp_sink_t *sink, const char *before,
    uint64_t n);


int
sgamp_time(const sgamp_json_value_t *value, uint64_t *ms)
{
    int                  i, n, point, want;
    u_char               ch, buf[SGAMP_TIME_DECODED];
    uint64_t             time;
    sgamp_json_value_t   decoded;
    sgamp_time_number_t  number;

    decoded = *value;

    /* a string may have escapes; a longer timestamp with them is none */

    if (value->type == SGAMP_JSON_STRING && !value->plain) {
        n = sgamp_text_ascii(value, buf, sizeof(buf), 0);

        if (n < 0) {
            return 0;
        }

        decoded.text.data = buf;
        decoded.text.len = (size_t) n;
    }

    if (!sgamp_time_number(&decoded, &number)) {
        return value->type == SGAMP_JSON_STRING
               && sgamp_time_date(&decoded.text, ms);
    }

    n = number.nintegers + number.nfractions;
    point = number.nintegers + number.exponent;
    want = 0;
    time = 0;

    for (i = 0; i < n; i++) {
        ch = (i < number.nintegers) ? number.integer[i]
                                    : number.fraction[i - number.nintegers];

        if (want == 0) {

            if (ch == '0') {
                point--;
                continue;
            }

            want = (point >= SGAMP_TIME_MS_DIGITS) ? point : point + 3;

            if (want > SGAMP_TIME_MAX_DIGITS) {
                return 0;
            }

            if (want <= 0) {
                break;
            }
        }

        time = time * 10 + (ch - '0');

        if (--want == 0) {
            break;
        }
    }

    for ( /* void */ ; want > 0; want--) {
        time *= 10;
    }

    *ms = time;

    return 1;
}


static int
sgamp_time_date(const sgamp_str_t *text, uint64_t *ms)
{
    int            year, month, second, offset, fraction;
    int64_t        time, first, next;
    const u_char  *p, *last, *clock;

    static const char layout[] = "yyyy-mm-ddThh:mm:ss";

    /* a date and time of RFC 3339 */

    p = text->data;
    last = p + text->len;

    if (text->len < sizeof(layout) - 1 || !sgamp_time_is_layout(p, layout)) {
        return 0;
    }

    year = sgamp_time_two(p) * 100 + sgamp_time_two(p + 2);
    month = sgamp_time_two(p + 5);
    time = sgamp_time_days(year, month, sgamp_time_two(p + 8));

    if (time < 0) {
        return 0;
    }

    clock = p + sizeof("yyyy-mm-ddT") - 1;
    second = sgamp_time_two(clock + 6);

    if (sgamp_time_two(clock) > 23
        || sgamp_time_two(clock + 3) > 59
        || second > SGAMP_TIME_LEAP)
    {
        return 0;
    }

    p += sizeof(layout) - 1;

    fraction = sgamp_time_fraction(&p, last);

    if (fraction < 0 || !sgamp_time_offset(p, last, &offset)) {
        return 0;
    }

    time = time * SGAMP_TIME_DAY + sgamp_time_two(clock) * SGAMP_TIME_HOUR
           + sgamp_time_two(clock + 3) * SGAMP_TIME_MINUTE + second - offset;

    if (time < 0) {
        return 0;
    }

    /* a leap second is the last second of a month in UTC */

    if (second == SGAMP_TIME_LEAP) {
        first = sgamp_time_days(year, month, 1);
        next = sgamp_time_days(year + month / 12, month % 12 + 1, 1);

        if (time != first * SGAMP_TIME_DAY && time != next * SGAMP_TIME_DAY) {
            return 0;
        }
    }

    *ms = (uint64_t) time * 1000 + fraction;

    return 1;
}


static int
sgamp_time_is_layout(const u_char *p, const char *layout)
{
    u_char  ch;

    for ( /* void */ ; *layout != '\0'; layout++, p++) {
        ch = *p;

        switch (*layout) {

        case '-':
        case ':':

            if (ch != *layout) {
                return 0;
            }

            break;

        case 'T':

            /* RFC 3339 allows a blank, for readability */

            if (ch != 'T' && ch != 't' && ch != ' ') {
                return 0;
            }

            break;

        default:

            if (!sgamp_time_is_digit(ch)) {
                return 0;
            }
        }
    }

    return 1;
}


static int
sgamp_time_fraction(const u_char **p, const u_char *last)
{
    int            i, n, ms;
    const u_char  *s;

    /* whole milliseconds; -1: no digit follows the point */

    if (*p == last || **p != '.') {
        return 0;
    }

    s = ++(*p);
    *p = sgamp_time_digits(s, last, &n);

    if (n == 0) {
        return -1;
    }

    ms = 0;

    for (i = 0; i < 3; i++) {
        ms = ms * 10 + ((i < n) ? s[i] - '0' : 0);
    }

    return ms;
}


static int
sgamp_time_offset(const u_char *p, const u_char *last, int *offset)
{
    static const char layout[] = "hh:mm";

    /* in seconds, positive to the east of Greenwich */

    *offset = 0;

    if (last - p == 1) {
        return *p == 'Z' || *p == 'z';
    }

    if (last - p != sizeof("+hh:mm") - 1
        || (*p != '+' && *p != '-')
        || !sgamp_time_is_layout(p + 1, layout)
        || sgamp_time_two(p + 1) > 23
        || sgamp_time_two(p + 4) > 59)
    {
        return 0;
    }

    *offset = sgamp_time_two(p + 1) * SGAMP_TIME_HOUR
              + sgamp_time_two(p + 4) * SGAMP_TIME_MINUTE;

    if (*p == '-') {
        *offset = -*offset;
    }

    return 1;
}


static int64_t
sgamp_time_days(int year, int month, int day)
{
    int      i, leap, length;
    int64_t  days;

    static const u_char lengths[] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };

    /* days since the epoch, -1: the calendar has no such day */

    if (year < SGAMP_TIME_EPOCH || month < 1 || month > 12 || day < 1) {
        return -1;
    }

    leap = (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));

    days = (int64_t) (year - SGAMP_TIME_EPOCH) * 365;

    /* leap days of all years before this year */

    year--;
    days += year / 4 - year / 100 + year / 400;

    year = SGAMP_TIME_EPOCH - 1;
    days -= year / 4 - year / 100 + year / 400;

    for (i = 1; /* void */; i++) {
        length = lengths[i - 1] + (i == 2 && leap);

        if (i == month) {
            break;
        }

        days += length;
    }

    return (day <= length) ? days + day - 1 : -1;
}


static int
sgamp_time_number(const sgamp_json_value_t *value, sgamp_time_number_t *n)
{
    int            i, digits, negative;
    const u_char  *p, *s, *last;

    /* a number that is not negative, or a string of digits, maybe with a dot */

    if (value->type != SGAMP_JSON_NUMBER && value->type != SGAMP_JSON_STRING) {
        return 0;
    }

    p = value->text.data;
    last = p + value->text.len;

    memset(n, 0, sizeof(sgamp_time_number_t));

    n->integer = p;
    p = sgamp_time_digits(p, last, &n->nintegers);

    if (n->nintegers == 0) {
        return 0;
    }

    if (p < last && *p == '.') {
        n->fraction = ++p;
        p = sgamp_time_digits(p, last, &n->nfractions);

        if (n->nfractions == 0) {
            return 0;
        }
    }

    if (p < last && value->type == SGAMP_JSON_NUMBER) {

        /* an exponent, which yajl has checked */

        p++;
        negative = (*p == '-');

        if (*p == '-' || *p == '+') {
            p++;
        }

        s = p;
        p = sgamp_time_digits(p, last, &digits);

        for (i = 0; i < digits && n->exponent < SGAMP_TIME_MAX_EXPONENT;
             i++)
        {
            n->exponent = n->exponent * 10 + (s[i] - '0');
        }

        n->exponent = negative ? -n->exponent : n->exponent;
    }

    return p == last;
}


static const u_char *
sgamp_time_digits(const u_char *p, const u_char *last, int *n)
{
    const u_char  *start;

    for (start = p; p < last && sgamp_time_is_digit(*p); p++) {
        /* void */
    }

    *n = (int) (p - start);

    return p;
}


void
sgamp_time_write_date(sgamp_sink_t *sink, uint64_t seconds)
{
    uint64_t  days, era, year, month;

    /* a year begins in March here, and its leap day is the last */

    days = seconds / SGAMP_TIME_DAY + 719468;
    era = days / 146097;
    days %= 146097;

    year = (days - days / 1460 + days / 36524 - days / 146096) / 365;
    days -= 365 * year + year / 4 - year / 100;
    month = (5 * days + 2) / 153;
    days -= (153 * month + 2) / 5;
    year += 400 * era + (month >= 10);
    month = (month < 10) ? month + 3 : month - 9;

    sgamp_json_decimal(sink, year);
    sgamp_time_write_two(sink, "-", month);
    sgamp_time_write_two(sink, "-", days + 1);
}


void
sgamp_time_write_clock(sgamp_sink_t *sink, uint64_t seconds)
{
    seconds %= SGAMP_TIME_DAY;

    sgamp_time_write_two(sink, "", seconds / SGAMP_TIME_HOUR);
    sgamp_time_write_two(sink, ":", seconds / SGAMP_TIME_MINUTE % 60);
    sgamp_time_write_two(sink, ":", seconds % 60);
}


static void
sgamp_time_write_two(sgamp_sink_t *sink, const char *before, uint64_t n)
{
    sgamp_json_write(sink, (const u_char *) before, strlen(before));
    sgamp_json_decimal(sink, n / 10);
    sgamp_json_decimal(sink, n % 10);
}
