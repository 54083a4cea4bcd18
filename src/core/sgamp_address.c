
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_address.h"
#include "sgamp_id.h"
#include "sgamp_text.h"


#define SGAMP_ADDRESS_LOCAL  64  /* bytes of a local part, at most */
#define SGAMP_ADDRESS_LABEL  63  /* bytes of a label, at most */
#define SGAMP_ADDRESS_TLD    2   /* bytes of the last label, at least */

/* the high bits of bytes of ASCII that are letters in upper case */

#define sgamp_address_upper(w)                                                \
    (((w) + SGAMP_ONES * (0x80 - 'A'))                                        \
     & ~((w) + SGAMP_ONES * (0x7f - 'Z')) & SGAMP_HIGH)

#define sgamp_address_is_digit(ch)   ((ch) >= '0' && (ch) <= '9')
#define sgamp_address_is_letter(ch)  ((ch) >= 'a' && (ch) <= 'z')


static int sgamp_address_copy(u_char *buf, const sgamp_str_t *text);
static int sgamp_address_is_local(const u_char *p, const u_char *last);
static int sgamp_address_is_domain(const u_char *p, const u_char *last);


/* characters of a local part, a letter is in lower case */

static const uint32_t  sgamp_address_characters[] = {
    0x00000000,

    /*             ?>=< ;:98 7654 3210  /.-, +*)( '&%$ #"!  */
    0xa3ffecfa, /* 1010 0011 1111 1111  1110 1100 1111 1010 */

    /*             _^]\ [ZYX WVUT SRQP  ONML KJIH GFED CBA@ */
    0xc0000000, /* 1100 0000 0000 0000  0000 0000 0000 0000 */

    /*              ~}| {zyx wvut srqp  onml kjih gfed cba` */
    0x7fffffff  /* 0111 1111 1111 1111  1111 1111 1111 1111 */
};


sgamp_address_e
sgamp_address(const sgamp_json_value_t *value, u_char buf[SGAMP_ADDRESS_LEN],
    size_t *len)
{
    int                  n;
    u_char              *at, *last;
    sgamp_json_value_t   text;

    if (value->type != SGAMP_JSON_STRING) {
        return SGAMP_ADDRESS_NONE;
    }

    text = *value;

    if (sgamp_id_cut(&text) == 0) {
        return SGAMP_ADDRESS_NONE;
    }

    n = text.plain ? sgamp_address_copy(buf, &text.text)
                   : sgamp_text_ascii(&text, buf, SGAMP_ADDRESS_LEN, 1);

    if (n < 0) {
        return SGAMP_ADDRESS_INVALID;
    }

    at = memchr(buf, '@', (size_t) n);
    last = buf + n;

    /* neither a local part nor a domain has a second "@" */

    if (at == NULL
        || !sgamp_address_is_local(buf, at)
        || !sgamp_address_is_domain(at + 1, last))
    {
        return SGAMP_ADDRESS_INVALID;
    }

    *len = (size_t) n;

    return SGAMP_ADDRESS_VALID;
}


static int
sgamp_address_copy(u_char *buf, const sgamp_str_t *text)
{
    size_t    i;
    uint64_t  w;

    /* most addresses are ASCII without an escape, eight bytes at a time */

    if (text->len > SGAMP_ADDRESS_LEN) {
        return -1;
    }

    for (i = 0; i + 8 <= text->len; i += 8) {
        memcpy(&w, text->data + i, 8);
        w |= sgamp_address_upper(w) >> 2;
        memcpy(buf + i, &w, 8);
    }

    for ( /* void */ ; i < text->len; i++) {
        buf[i] = (u_char) sgamp_text_lower(text->data[i]);
    }

    return (int) i;
}


static int
sgamp_address_is_local(const u_char *p, const u_char *last)
{
    u_char  before;

    if (last - p > SGAMP_ADDRESS_LOCAL) {
        return 0;
    }

    /* a dot stands between other characters; nothing is like a dot */

    before = '.';

    for ( /* void */ ; p < last; p++) {

        if ((sgamp_address_characters[*p >> 5] & (1u << (*p & 0x1f))) == 0
            || (*p == '.' && before == '.'))
        {
            return 0;
        }

        before = *p;
    }

    return before != '.';
}


static int
sgamp_address_is_domain(const u_char *p, const u_char *last)
{
    unsigned       digits, labels;
    const u_char  *start;

    labels = 0;

    for ( ;; ) {
        start = p;
        digits = 1;

        for ( /* void */ ; p < last && *p != '.'; p++) {

            if (sgamp_address_is_digit(*p)) {
                continue;
            }

            if (!sgamp_address_is_letter(*p) && *p != '-') {
                return 0;
            }

            digits = 0;
        }

        labels++;

        if (p == start
            || p - start > SGAMP_ADDRESS_LABEL
            || *start == '-'
            || p[-1] == '-')
        {
            return 0;
        }

        if (p == last) {
            break;
        }

        p++;
    }

    /* the last label is the top-level domain, and no part of an IP address */

    return labels > 1 && p - start >= SGAMP_ADDRESS_TLD && !digits;
}
