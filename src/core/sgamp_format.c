
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_format.h"


#define SGAMP_FORMAT_WEIGHT  1000 /* of a range without "q", thousandths */


/* a media range, and how well it fits a format: the more exact the better */

typedef struct {
    sgamp_str_t     name;
    sgamp_format_e  format;
    unsigned        exact;
} sgamp_format_range_t;


/* the best fit of a format so far */

typedef struct {
    unsigned  exact;
    unsigned  weight;
} sgamp_format_fit_t;


static void sgamp_format_range(sgamp_format_fit_t *fits, const u_char *p,
    const u_char *last);
static unsigned sgamp_format_weight(const u_char *p, const u_char *last);
static const u_char *sgamp_format_find(const u_char *p, const u_char *last,
    u_char ch);
static unsigned sgamp_format_same(const u_char *p, const u_char *last,
    const sgamp_str_t *name);


static const sgamp_format_range_t  sgamp_format_ranges[] = {
    { sgamp_str("text/html"), SGAMP_FORMAT_HTML, 3 },
    { sgamp_str("text/*"), SGAMP_FORMAT_HTML, 2 },
    { sgamp_str("*/*"), SGAMP_FORMAT_HTML, 1 },
    { sgamp_str("application/json"), SGAMP_FORMAT_JSON, 3 },
    { sgamp_str("application/*"), SGAMP_FORMAT_JSON, 2 },
    { sgamp_str("*/*"), SGAMP_FORMAT_JSON, 1 },
    { sgamp_str("text/plain"), SGAMP_FORMAT_PROMETHEUS, 3 },
    { sgamp_str("application/openmetrics-text"), SGAMP_FORMAT_PROMETHEUS, 3 },
    { sgamp_str("text/*"), SGAMP_FORMAT_PROMETHEUS, 2 },
    { sgamp_str("*/*"), SGAMP_FORMAT_PROMETHEUS, 1 }
};

static const sgamp_str_t  sgamp_format_names[] = {
    sgamp_str("html"),
    sgamp_str("json"),
    sgamp_str("prometheus")
};


sgamp_format_e
sgamp_format_lookup(const u_char *name, size_t len)
{
    unsigned  i;

    for (i = 0; i < SGAMP_FORMATS; i++) {
        if (sgamp_format_names[i].len == len
            && memcmp(sgamp_format_names[i].data, name, len) == 0)
        {
            break;
        }
    }

    return (sgamp_format_e) i;
}


sgamp_format_e
sgamp_format_accept(const u_char *p, size_t len)
{
    unsigned            i, best;
    const u_char       *last, *end;
    sgamp_format_fit_t  fits[SGAMP_FORMATS];

    memset(fits, 0, sizeof(fits));

    /*
     * without a header the text is at NULL, and nothing may be added to NULL
     */

    last = (len != 0) ? p + len : p;

    while (p < last) {
        end = sgamp_format_find(p, last, ',');
        sgamp_format_range(fits, p, end);
        p = end + 1;
    }

    best = 0;

    for (i = 1; i < SGAMP_FORMATS; i++) {
        if (fits[i].weight > fits[best].weight) {
            best = i;
        }
    }

    return (sgamp_format_e) best;
}


static void
sgamp_format_range(sgamp_format_fit_t *fits, const u_char *p,
    const u_char *last)
{
    unsigned                     i, weight;
    const u_char                *end;
    sgamp_format_fit_t          *fit;
    const sgamp_format_range_t  *range;

    end = sgamp_format_find(p, last, ';');
    weight = sgamp_format_weight(end, last);

    for (i = 0; i < sizeof(sgamp_format_ranges) / sizeof(*range); i++) {
        range = &sgamp_format_ranges[i];
        fit = &fits[range->format];

        if (!sgamp_format_same(p, end, &range->name)
            || range->exact < fit->exact
            || (range->exact == fit->exact && weight <= fit->weight))
        {
            continue;
        }

        fit->exact = range->exact;
        fit->weight = weight;
    }
}


static unsigned
sgamp_format_weight(const u_char *p, const u_char *last)
{
    unsigned       digit, weight;
    const u_char  *end;

    static const sgamp_str_t  name = sgamp_str("q");

    for ( /* void */ ; p < last; p = sgamp_format_find(p, last, ';')) {
        p++;
        end = sgamp_format_find(p, last, '=');

        if (end == last || !sgamp_format_same(p, end, &name)) {
            continue;
        }

        p = end + 1;

        if (p == last || *p != '0') {
            return SGAMP_FORMAT_WEIGHT;
        }

        weight = 0;
        digit = SGAMP_FORMAT_WEIGHT / 10;

        if (last - p > 1 && p[1] == '.') {
            p++;
        }

        for (p++; p < last && *p >= '0' && *p <= '9' && digit != 0; p++) {
            weight += (unsigned) (*p - '0') * digit;
            digit /= 10;
        }

        return weight;
    }

    return SGAMP_FORMAT_WEIGHT;
}


static const u_char *
sgamp_format_find(const u_char *p, const u_char *last, u_char ch)
{
    while (p < last && *p != ch) {
        p++;
    }

    return p;
}


static unsigned
sgamp_format_same(const u_char *p, const u_char *last,
    const sgamp_str_t *name)
{
    size_t  i;
    u_char  ch;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    while (p < last && (last[-1] == ' ' || last[-1] == '\t')) {
        last--;
    }

    if ((size_t) (last - p) != name->len) {
        return 0;
    }

    for (i = 0; i < name->len; i++) {
        ch = p[i];

        if (ch >= 'A' && ch <= 'Z') {
            ch |= 0x20;
        }

        if (ch != name->data[i]) {
            return 0;
        }
    }

    return 1;
}
