
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_figure.h"
#include "sgamp_metrics.h"
#include "sgamp_time.h"


#define SGAMP_FIGURE_SIZE  32  /* digits and commas of the longest */

#define sgamp_figure_text(sink, text)                                         \
    sgamp_json_write(sink, (u_char *) text, sizeof(text) - 1)


static void sgamp_figure_tenths(sgamp_sink_t *sink, uint64_t n);


void
sgamp_figure_count(sgamp_sink_t *sink, uint64_t n)
{
    u_char    *p, buf[SGAMP_FIGURE_SIZE];
    unsigned   digits;

    p = buf + sizeof(buf);
    digits = 0;

    do {
        if (digits != 0 && digits % 3 == 0) {
            *--p = ',';
        }

        *--p = (u_char) ('0' + n % 10);
        n /= 10;
        digits++;
    } while (n != 0);

    sgamp_json_write(sink, p, buf + sizeof(buf) - p);
}


void
sgamp_figure_bytes(sgamp_sink_t *sink, uint64_t n)
{
    unsigned  i;

    static const char  *units[] = { " kB", " MB", " GB", " TB" };

    if (n < 1000) {
        sgamp_json_decimal(sink, n);
        sgamp_figure_text(sink, " B");
        return;
    }

    /* cut after the first digit, as the script does */

    for (i = 0; i < sizeof(units) / sizeof(units[0]) - 1 && n >= 1000000; i++)
    {
        n /= 1000;
    }

    sgamp_figure_tenths(sink, n / 100);
    sgamp_json_write(sink, (const u_char *) units[i], strlen(units[i]));
}


void
sgamp_figure_share(sgamp_sink_t *sink, uint64_t n, uint64_t all)
{
    uint64_t  tenths;

    /* of a percent, cut as the script does */

    tenths = (n == 0) ? 0 : (uint64_t) ((double) n * 1000 / (double) all);

    if (n != 0 && tenths == 0) {
        sgamp_figure_text(sink, "&lt;0.1%");
        return;
    }

    if (tenths == 0 || tenths >= 100) {
        sgamp_json_decimal(sink, tenths / 10);

    } else {
        sgamp_figure_tenths(sink, tenths);
    }

    sgamp_figure_text(sink, "%");
}


void
sgamp_figure_when(sgamp_sink_t *sink, uint64_t time)
{
    if (time == 0) {
        sgamp_figure_text(sink, "never");
        return;
    }

    sgamp_time_write_date(sink, time - 1);
    sgamp_figure_text(sink, " ");
    sgamp_time_write_clock(sink, time - 1);
    sgamp_figure_text(sink, " UTC");
}


void
sgamp_figure_duration(sgamp_sink_t *sink, uint64_t us)
{
    if (us == SGAMP_METRICS_NONE) {
        sgamp_figure_text(sink, SGAMP_FIGURE_NONE);

    } else if (us < SGAMP_METRICS_SECOND) {
        sgamp_figure_tenths(sink, us / 100);
        sgamp_figure_text(sink, " ms");

    } else {
        sgamp_figure_tenths(sink, us / 100000);
        sgamp_figure_text(sink, " s");
    }
}


static void
sgamp_figure_tenths(sgamp_sink_t *sink, uint64_t n)
{
    sgamp_json_decimal(sink, n / 10);
    sgamp_figure_text(sink, ".");
    sgamp_json_decimal(sink, n % 10);
}
