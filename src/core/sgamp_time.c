
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_text.h"
#include "sgamp_time.h"


#define SGAMP_TIME_MS_DIGITS     12     /* before the point: milliseconds */
#define SGAMP_TIME_MAX_DIGITS    18     /* more do not fit */
#define SGAMP_TIME_MAX_EXPONENT  999999 /* more changes nothing */

#define SGAMP_TIME_DECODED       64     /* characters */

#define sgamp_time_is_digit(c)   ((c) >= '0' && (c) <= '9')


/* a decimal number: digits[.digits] times 10 to the exponent */

typedef struct {
    const u_char  *integer;
    const u_char  *fraction;
    int            nintegers;
    int            nfractions;
    int            exponent;
} sgamp_time_number_t;


static int sgamp_time_number(const sgamp_json_value_t *value,
    sgamp_time_number_t *n);
static const u_char *sgamp_time_digits(const u_char *p, const u_char *last,
    int *n);


int
sgamp_time(const sgamp_json_value_t *value, uint64_t *ms)
{
    int                  i, n, point, want;
    u_char               ch, buf[SGAMP_TIME_DECODED];
    uint64_t             time;
    sgamp_json_value_t   decoded;
    sgamp_time_number_t  number;

    decoded = *value;

    /* digits may be escaped, too; there are not so many then */

    if (value->type == SGAMP_JSON_STRING && !value->plain) {
        n = sgamp_text_ascii(value, buf, sizeof(buf), 0);

        if (n < 0) {
            return 0;
        }

        decoded.text.data = buf;
        decoded.text.len = (size_t) n;
    }

    if (!sgamp_time_number(&decoded, &number)) {
        return 0;
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

        /* yajl has checked that this is an exponent */

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
