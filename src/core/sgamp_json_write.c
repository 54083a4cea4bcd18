
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_json.h"


static int sgamp_sink_full(sgamp_sink_t *sink);


void
sgamp_sink_init(sgamp_sink_t *sink, u_char *p, size_t size)
{
    sink->pos = p;
    sink->last = p + size;
    sink->start = p;
    sink->before = 0;
    sink->next = sgamp_sink_full;
    sink->status = SGAMP_OK;
}


static int
sgamp_sink_full(sgamp_sink_t *sink)
{
    (void) sink;

    return SGAMP_NOMEM;
}


void
sgamp_json_write(sgamp_sink_t *sink, const u_char *p, size_t n)
{
    size_t  size;

    for ( ;; ) {

        size = sink->last - sink->pos;

        if (n <= size) {
            memcpy(sink->pos, p, n);
            sink->pos += n;
            return;
        }

        if (sink->status != SGAMP_OK) {
            return;
        }

        memcpy(sink->pos, p, size);
        sink->pos += size;
        p += size;
        n -= size;

        if (!sgamp_sink_room(sink)) {
            return;
        }
    }
}


int
sgamp_sink_room(sgamp_sink_t *sink)
{
    if (sink->pos != sink->last) {
        return 1;
    }

    if (sink->status == SGAMP_OK) {
        sink->status = sink->next(sink);
    }

    if (sink->status != SGAMP_OK) {
        sink->last = sink->pos;
        return 0;
    }

    return 1;
}


void
sgamp_json_decimal(sgamp_sink_t *sink, uint64_t n)
{
    u_char  *p, buf[sizeof("18446744073709551615") - 1];

    p = buf + sizeof(buf);

    do {
        *--p = (u_char) ('0' + n % 10);
        n /= 10;
    } while (n != 0);

    sgamp_json_put(sink, p, buf + sizeof(buf) - p);
}
