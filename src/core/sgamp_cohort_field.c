
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_cohort_field.h"
#include "sgamp_id.h"
#include "sgamp_text.h"


#define SGAMP_FIELD_DECODED  64  /* characters of a number or a date */

#define sgamp_field_is_digit(ch)  ((ch) >= '0' && (ch) <= '9')


static int sgamp_field_boolean(sgamp_json_value_t *value);
static int sgamp_field_is_number(const u_char *p, const u_char *last);
static const u_char *sgamp_field_digits(const u_char *p, const u_char *last);
static int sgamp_field_is_date(const u_char *p, const u_char *last);
static int sgamp_field_is_layout(const u_char *p, const u_char *last,
    const char *layout);
static unsigned sgamp_field_decimal(const u_char *p, unsigned n);
static int sgamp_field_is_day(unsigned year, unsigned month, unsigned day);
static int sgamp_field_is_clock(const u_char *p, const u_char *last);


int
sgamp_field_usable(sgamp_json_value_t *value, unsigned booleans)
{
    switch (value->type) {

    case SGAMP_JSON_NUMBER:
        return 1;

    case SGAMP_JSON_STRING:
        return sgamp_id_cut(value) != 0;

    case SGAMP_JSON_NONE:
        return 0;

    default:
        return booleans && sgamp_field_boolean(value);
    }
}


static int
sgamp_field_boolean(sgamp_json_value_t *value)
{
    static const sgamp_str_t  yes = sgamp_str("true");
    static const sgamp_str_t  no = sgamp_str("false");

    if (value->type == SGAMP_JSON_TRUE) {
        value->text = yes;

    } else if (value->type == SGAMP_JSON_OTHER && *value->text.data == 'f') {
        value->text = no;

    } else {
        return 0;
    }

    value->type = SGAMP_JSON_STRING;
    value->plain = 1;

    return 1;
}


void
sgamp_field_cut(sgamp_json_value_t *value, size_t max, unsigned bytes)
{
    size_t         n;
    u_char         buf[SGAMP_TEXT_CHAR];
    uint32_t       c;
    const u_char  *p, *last, *end;

    /* a fault of one byte becomes a character of three */

    if (value->text.len <= max && (value->plain || !bytes)) {
        return;
    }

    p = value->text.data;
    last = p + value->text.len;
    n = 0;

    do {
        end = p;
        c = sgamp_json_next(&p, last);
        n += bytes ? sgamp_text_encode(buf, c) : 1;

        if (n > max) {
            break;
        }

        end = p;

    } while (p < last);

    value->text.len = end - value->text.data;

    /* the last character that is left may be white space */

    (void) sgamp_id_cut(value);
}


unsigned
sgamp_field_types(const sgamp_json_value_t *value)
{
    int            n;
    u_char         buf[SGAMP_FIELD_DECODED];
    unsigned       types;
    const u_char  *p, *last;

    types = sgamp_field_bit(SGAMP_TYPE_TEXT);

    p = value->text.data;
    last = p + value->text.len;

    /* a string may have escapes; a longer number or date with them is none */

    if (!value->plain) {
        n = sgamp_text_ascii(value, buf, sizeof(buf), 0);

        if (n < 0) {
            return types;
        }

        p = buf;
        last = buf + n;
    }

    if (sgamp_field_is_number(p, last)) {
        types |= sgamp_field_bit(SGAMP_TYPE_NUMBER);

    } else if (sgamp_field_is_date(p, last)) {
        types |= sgamp_field_bit(SGAMP_TYPE_DATE);
    }

    return types;
}


static int
sgamp_field_is_number(const u_char *p, const u_char *last)
{
    const u_char  *s;

    /* as RFC 8259 has it */

    if (p < last && *p == '-') {
        p++;
    }

    s = sgamp_field_digits(p, last);

    if (s == p || (*p == '0' && s - p > 1)) {
        return 0;
    }

    p = s;

    if (p < last && *p == '.') {
        s = sgamp_field_digits(++p, last);

        if (s == p) {
            return 0;
        }

        p = s;
    }

    if (p < last && (*p == 'e' || *p == 'E')) {
        p++;

        if (p < last && (*p == '-' || *p == '+')) {
            p++;
        }

        s = sgamp_field_digits(p, last);

        if (s == p) {
            return 0;
        }

        p = s;
    }

    return p == last;
}


static const u_char *
sgamp_field_digits(const u_char *p, const u_char *last)
{
    while (p < last && sgamp_field_is_digit(*p)) {
        p++;
    }

    return p;
}


static int
sgamp_field_is_date(const u_char *p, const u_char *last)
{
    static const char  american[] = "MM/DD/YYYY";
    static const char  iso[] = "YYYY-MM-DD";

    if (sgamp_field_is_layout(p, last, american)) {
        return last - p == sizeof(american) - 1
               && sgamp_field_is_day(sgamp_field_decimal(p + 6, 4),
                                       sgamp_field_decimal(p, 2),
                                       sgamp_field_decimal(p + 3, 2));
    }

    if (!sgamp_field_is_layout(p, last, iso)
        || !sgamp_field_is_day(sgamp_field_decimal(p, 4),
                                 sgamp_field_decimal(p + 5, 2),
                                 sgamp_field_decimal(p + 8, 2)))
    {
        return 0;
    }

    p += sizeof(iso) - 1;

    return p == last || sgamp_field_is_clock(p, last);
}


static int
sgamp_field_is_layout(const u_char *p, const u_char *last,
    const char *layout)
{
    /* whether a text begins so; a letter, but for "T", is a digit */

    for ( /* void */ ; *layout != '\0'; layout++, p++) {

        if (p == last) {
            return 0;
        }

        if (*layout >= 'A' && *layout <= 'Z' && *layout != 'T') {

            if (!sgamp_field_is_digit(*p)) {
                return 0;
            }

        } else if (*p != (u_char) *layout) {
            return 0;
        }
    }

    return 1;
}


static unsigned
sgamp_field_decimal(const u_char *p, unsigned n)
{
    unsigned  value;

    for (value = 0; n > 0; n--) {
        value = value * 10 + (*p++ - '0');
    }

    return value;
}


static int
sgamp_field_is_day(unsigned year, unsigned month, unsigned day)
{
    unsigned  length;

    static const u_char  lengths[] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };

    if (year == 0 || month < 1 || month > 12) {
        return 0;
    }

    length = lengths[month - 1];

    if (month == 2
        && year % 4 == 0
        && (year % 100 != 0 || year % 400 == 0))
    {
        length++;
    }

    return day >= 1 && day <= length;
}


static int
sgamp_field_is_clock(const u_char *p, const u_char *last)
{
    const u_char  *s;

    static const char  clock[] = "THH:MM:SS";
    static const char  offset[] = "HH:MM";

    /* from the "T" on */

    if (!sgamp_field_is_layout(p, last, clock)
        || sgamp_field_decimal(p + 1, 2) > 23
        || sgamp_field_decimal(p + 4, 2) > 59
        || sgamp_field_decimal(p + 7, 2) > 59)
    {
        return 0;
    }

    p += sizeof(clock) - 1;

    if (p < last && *p == '.') {
        s = sgamp_field_digits(++p, last);

        if (s == p) {
            return 0;
        }

        p = s;
    }

    if (last - p == 1) {
        return *p == 'Z';
    }

    if (p == last || (*p != '+' && *p != '-')) {
        return 0;
    }

    p++;

    return last - p == sizeof(offset) - 1
           && sgamp_field_is_layout(p, last, offset)
           && sgamp_field_decimal(p, 2) <= 23
           && sgamp_field_decimal(p + 3, 2) <= 59;
}


void
sgamp_field_number(sgamp_sink_t *sink, const sgamp_str_t *text)
{
    u_char         ch;
    const u_char  *p, *last;

    /* a number has no escape, but a string with a number may have escapes */

    p = text->data;
    last = p + text->len;

    while (p < last) {
        ch = (u_char) sgamp_json_next(&p, last);
        sgamp_json_put(sink, &ch, 1);
    }
}
