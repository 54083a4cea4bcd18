
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdlib.h>

#include "sgamp_test_tree.h"


static void sgamp_test_unescape(const u_char **p, const u_char *last,
    sgamp_test_char_t *c);
static uint32_t sgamp_test_unit(const u_char *p, const u_char *last);
static void sgamp_test_utf8(const u_char **p, const u_char *last,
    sgamp_test_char_t *c);


static const u_char sgamp_test_replacement[] = "\xef\xbf\xbd";


const u_char *
sgamp_test_tree_skip(const u_char *p)
{
    while (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n') {
        p++;
    }

    return p;
}


const u_char *
sgamp_test_tree_parse(const u_char *p, sgamp_test_value_t *value)
{
    u_char              end;
    sgamp_test_value_t  inner;

    value->start = p;
    value->type = *p;

    if (*p == '"') {

        for (p++; *p != '"'; p++) {
            p += (*p == '\\');
        }

        p++;

    } else if (*p == '{' || *p == '[') {
        end = (*p == '{') ? '}' : ']';

        /* keys are strings among the values, colons and commas between */

        for (p = sgamp_test_tree_skip(p + 1); *p != end;
             p = sgamp_test_tree_skip(p))
        {
            p = (*p == ',' || *p == ':') ? p + 1
                                         : sgamp_test_tree_parse(p, &inner);
        }

        p++;

    } else {

        while (strchr("+-.0123456789eEtrufalsn", *p) != NULL && *p != '\0') {
            p++;
        }

        if (value->type == '-' || (value->type >= '0' && value->type <= '9')) {
            value->type = '0';
        }
    }

    value->end = p;

    return p;
}


void
sgamp_test_tree_decode(sgamp_test_chars_t *s, const sgamp_test_value_t *value)
{
    const u_char  *p, *last;

    /* of a string what stands between the quotes, of a number its digits */

    p = value->start + (value->type == '"');
    last = value->end - (value->type == '"');

    s->n = 0;
    s->chars = calloc(last - p + 1, sizeof(sgamp_test_char_t));

    if (s->chars == NULL) {
        tap_bail("no memory");
    }

    while (p < last) {
        if (*p == '\\') {
            sgamp_test_unescape(&p, last, &s->chars[s->n++]);

        } else {
            sgamp_test_utf8(&p, last, &s->chars[s->n++]);
        }
    }
}


static void
sgamp_test_unescape(const u_char **p, const u_char *last,
    sgamp_test_char_t *c)
{
    uint32_t       high, low;
    const char    *at;
    const u_char  *s;

    static const char letters[] = "bfnrt\"\\/";
    static const char meant[] = "\b\f\n\r\t\"\\/";

    s = *p;

    c->out = s;
    c->len = 2;

    if (s[1] != 'u') {
        at = strchr(letters, s[1]);
        c->c = (u_char) meant[at - letters];
        *p += c->len;
        return;
    }

    high = sgamp_test_unit(s, last);
    low = sgamp_test_unit(s + 6, last);

    c->c = high;
    c->len = 6;

    if (high / 0x400 == 0x36 && low / 0x400 == 0x37) {
        c->c = 0x10000 + high % 0x400 * 0x400 + low % 0x400;
        c->len = 12;

    } else if (high / 0x800 == 0x1b) {
        c->c = SGAMP_TEST_REPLACED;
        c->out = sgamp_test_replacement;
        c->len = 3;
        *p += 6;
        return;
    }

    *p += c->len;
}


static uint32_t
sgamp_test_unit(const u_char *p, const u_char *last)
{
    char  hex[5];

    if (last - p < 6 || p[0] != '\\' || p[1] != 'u') {
        return 0;
    }

    memcpy(hex, p + 2, 4);
    hex[4] = '\0';

    return (uint32_t) strtoul(hex, NULL, 16);
}


static void
sgamp_test_utf8(const u_char **p, const u_char *last, sgamp_test_char_t *c)
{
    size_t    k, n;
    uint32_t  least, most, from, to;

    static const uint32_t  first[] = { 0, 0, 0x80, 0x800, 0x10000 };
    static const uint32_t  final[] = { 0, 0x7f, 0x7ff, 0xffff, 0x10ffff };

    c->out = *p;
    c->c = **p;
    c->len = 1;

    if (**p < 0x80) {
        (*p)++;
        return;
    }

    for (n = 0; n < 5 && (**p & (0x80 >> n)) != 0; n++) {
        /* void */
    }

    n = (n == 1 || n == 5) ? 0 : n;

    c->c = (n == 0) ? 0 : **p & (0x7f >> n);

    /* whether the first k bytes begin a character: some are in the range */

    for (k = 1; n != 0 && k <= n; k++) {

        if (k > 1) {

            if (*p + k > last || (*p)[k - 1] / 0x40 != 2) {
                break;
            }

            c->c = c->c * 0x40 + (*p)[k - 1] % 0x40;
        }

        least = c->c << 6 * (n - k);
        most = least + (1 << 6 * (n - k)) - 1;

        from = (least > first[n]) ? least : first[n];
        to = (most < final[n]) ? most : final[n];

        if (from > to || (from >= 0xd800 && to <= 0xdfff)) {
            break;
        }
    }

    if (n != 0 && k == n + 1) {
        c->len = n;
        *p += n;
        return;
    }

    /* the longest part that could have begun one, at least a byte */

    *p += (k > 1) ? k - 1 : 1;

    c->c = SGAMP_TEST_REPLACED;
    c->out = sgamp_test_replacement;
    c->len = 3;
}


void
sgamp_test_tree_cut(sgamp_test_chars_t *s)
{
    size_t  n;

    while (s->n != 0 && sgamp_test_tree_is_white(s->chars[s->n - 1].c)) {
        s->n--;
    }

    for (n = 0; n < s->n && sgamp_test_tree_is_white(s->chars[n].c); n++) {
        /* void */
    }

    s->n -= n;

    memmove(s->chars, s->chars + n, s->n * sizeof(sgamp_test_char_t));
}


int
sgamp_test_tree_is_white(uint32_t c)
{
    size_t  i;

    static const uint32_t white[] = {
        0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20, 0x85, 0xa0, 0x1680, 0x2000, 0x2001,
        0x2002, 0x2003, 0x2004, 0x2005, 0x2006, 0x2007, 0x2008, 0x2009, 0x200a,
        0x2028, 0x2029, 0x202f, 0x205f, 0x3000
    };

    for (i = 0; i < sizeof(white) / sizeof(white[0]); i++) {
        if (white[i] == c) {
            return 1;
        }
    }

    return 0;
}


void
sgamp_test_tree_text(sgamp_test_buf_t *buf, const sgamp_test_chars_t *s,
    unsigned lower)
{
    size_t    i, n, k;
    u_char    utf8[4];
    uint32_t  c;

    /* an empty text is a text */

    sgamp_test_puts(buf, "");

    for (i = 0; i < s->n; i++) {
        c = s->chars[i].c;

        if (lower && c < 0x80 && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ", (int) c)
            && c != 0)
        {
            c += 'a' - 'A';
        }

        n = 1 + (c >= 0x80) + (c >= 0x800) + (c >= 0x10000);

        for (k = n; k > 1; k--) {
            utf8[k - 1] = (u_char) (0x80 + c % 0x40);
            c /= 0x40;
        }

        utf8[0] = (u_char) ((n == 1) ? c : (0xf00 >> n) % 0x100 + c);

        sgamp_test_put(buf, utf8, n);
    }
}


void
sgamp_test_tree_out(sgamp_test_buf_t *buf, const sgamp_test_chars_t *s,
    unsigned lower)
{
    size_t  i;
    u_char  ch;

    for (i = 0; i < s->n; i++) {
        if (lower && s->chars[i].c >= 'A' && s->chars[i].c <= 'Z') {
            ch = (u_char) (s->chars[i].c + 'a' - 'A');
            sgamp_test_put(buf, &ch, 1);

        } else {
            sgamp_test_put(buf, s->chars[i].out, s->chars[i].len);
        }
    }
}


void
sgamp_test_tree_repaired(sgamp_test_buf_t *buf, const u_char *p,
    const u_char *last)
{
    sgamp_test_chars_t  s;
    sgamp_test_value_t  value;

    value.type = '0';
    value.start = p;
    value.end = last;

    sgamp_test_tree_decode(&s, &value);
    sgamp_test_tree_out(buf, &s, 0);

    free(s.chars);
}
