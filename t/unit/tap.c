
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"


#define TAP_DIAG_SIZE  240 /* bytes that are shown */


static int tap_result(int ok, const char *fmt, va_list args);


static unsigned  tap_tests;
static unsigned  tap_failures;


int
tap_ok(int ok, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    tap_result(ok, fmt, args);
    va_end(args);

    return ok;
}


int
tap_is(long long got, long long want, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    tap_result(got == want, fmt, args);
    va_end(args);

    if (got != want) {
        tap_diag("got %lld, want %lld", got, want);
    }

    return got == want;
}


int
tap_bytes(const void *got, size_t ngot, const void *want, size_t nwant,
    const char *fmt, ...)
{
    int            ok;
    size_t         i;
    va_list        args;
    const uint8_t *g, *w;

    ok = ngot == nwant && (ngot == 0 || memcmp(got, want, ngot) == 0);

    va_start(args, fmt);
    tap_result(ok, fmt, args);
    va_end(args);

    if (!ok) {
        g = got;
        w = want;

        for (i = 0; i < ngot && i < nwant && g[i] == w[i]; i++) {
            /* void */
        }

        tap_diag("%zu and %zu bytes, the first %zu are the same", ngot, nwant,
                 i);

        i = (i > TAP_DIAG_SIZE / 4) ? i - TAP_DIAG_SIZE / 4 : 0;

        tap_diag_bytes("got ", g + i, ngot - i);
        tap_diag_bytes("want", w + i, nwant - i);
    }

    return ok;
}


static int
tap_result(int ok, const char *fmt, va_list args)
{
    tap_tests++;
    tap_failures += !ok;

    printf("%sok %u - ", ok ? "" : "not ", tap_tests);
    vprintf(fmt, args);
    printf("\n");
    fflush(stdout);

    return ok;
}


void
tap_diag(const char *fmt, ...)
{
    va_list  args;

    printf("# ");

    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);

    printf("\n");
    fflush(stdout);
}


void
tap_diag_bytes(const char *name, const void *data, size_t n)
{
    size_t         i, size;
    const uint8_t  *p;

    p = data;
    size = (n < TAP_DIAG_SIZE) ? n : TAP_DIAG_SIZE;

    printf("# %s: ", name);

    for (i = 0; i < size; i++) {

        if (p[i] < ' ' || p[i] >= 0x7f) {
            printf("\\x%02x", p[i]);

        } else {
            printf("%c", p[i]);
        }
    }

    printf("%s\n", (size < n) ? "..." : "");
    fflush(stdout);
}


void
tap_bail(const char *fmt, ...)
{
    va_list  args;

    printf("Bail out! ");

    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);

    printf("\n");
    fflush(stdout);

    exit(EXIT_FAILURE);
}


int
tap_done(void)
{
    printf("1..%u\n", tap_tests);
    fflush(stdout);

    return (tap_failures != 0) ? EXIT_FAILURE : EXIT_SUCCESS;
}
