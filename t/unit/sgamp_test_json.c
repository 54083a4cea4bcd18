
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_test.h"


static size_t sgamp_test_well_formed(const u_char *p, size_t n);
static int sgamp_test_possible(const u_char *p, size_t n, size_t size);


int
sgamp_test_writes(sgamp_test_write_pt write, const u_char *p, size_t n,
    const sgamp_test_buf_t *want)
{
    int                        ok;
    u_char                    *data;
    sgamp_test_sink_t          sink;

    static int                 made;
    static sgamp_test_guard_t  guard;

    if (!made) {
        sgamp_test_guard_init(&guard, 1);
        made = 1;
    }

    data = guard.end - n;
    memcpy(data, p, n);

    sgamp_test_sink_init(&sink, sizeof(sink.room), 0);
    write(&sink.sink, data, n);
    sgamp_test_sink_flush(&sink);

    ok = sink.sink.status == SGAMP_OK && sink.buf.len == want->len
         && (want->len == 0
             || memcmp(sink.buf.data, want->data, want->len) == 0);

    if (!ok) {
        tap_diag_bytes("text", p, n);
        tap_diag_bytes("got ", sink.buf.data, sink.buf.len);
        tap_diag_bytes("want", want->data, want->len);
    }

    sgamp_test_free(&sink.buf);

    return ok;
}


void
sgamp_test_repair(sgamp_test_buf_t *buf, const u_char *p, size_t n)
{
    size_t  i, k, size;

    /* one U+FFFD for each longest part that could have begun a character */

    for (i = 0; i < n; i += k) {
        k = sgamp_test_well_formed(p + i, n - i);

        if (k != 0) {
            sgamp_test_put(buf, p + i, k);
            continue;
        }

        sgamp_test_puts(buf, "\xef\xbf\xbd");

        for (k = (n - i < 4) ? n - i : 4; k > 1; k--) {

            for (size = k + 1; size <= 4; size++) {
                if (sgamp_test_possible(p + i, k, size)) {
                    break;
                }
            }

            if (size <= 4) {
                break;
            }
        }
    }
}


static size_t
sgamp_test_well_formed(const u_char *p, size_t n)
{
    size_t  size;

    for (size = 1; size <= 4 && size <= n; size++) {
        if (sgamp_test_possible(p, size, size)) {
            return size;
        }
    }

    return 0;
}


static int
sgamp_test_possible(const u_char *p, size_t n, size_t size)
{
    size_t    i;
    uint32_t  low, high;

    /*
     * can n bytes begin a character of size bytes: the lowest and the highest
     * one that they can, less those that are too short and no characters
     */

    static const u_char   bits[] = { 0, 0x00, 0xc0, 0xe0, 0xf0 };
    static const u_char   masks[] = { 0, 0x80, 0xe0, 0xf0, 0xf8 };
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };

    if ((p[0] & masks[size]) != bits[size]) {
        return 0;
    }

    low = p[0] & ~masks[size] & 0xff;
    high = low;

    for (i = 1; i < size; i++) {

        if (i < n && (p[i] & 0xc0) != 0x80) {
            return 0;
        }

        low = low * 64 + ((i < n) ? p[i] & 0x3f : 0);
        high = high * 64 + ((i < n) ? p[i] & 0x3f : 0x3f);
    }

    low = (low < least[size]) ? least[size] : low;
    high = (high > 0x10ffff) ? 0x10ffff : high;

    if (low >= 0xd800 && low <= 0xdfff) {
        low = 0xe000;
    }

    if (high >= 0xd800 && high <= 0xdfff) {
        high = 0xd7ff;
    }

    return low <= high;
}
