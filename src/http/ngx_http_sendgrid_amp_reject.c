
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"

#include "sgamp_json.h"


#define NGX_HTTP_SENDGRID_AMP_ID_LEN     100    /* characters, logged */
#define NGX_HTTP_SENDGRID_AMP_LOG_LINES  3      /* for each reason */
#define NGX_HTTP_SENDGRID_AMP_LINES      65536  /* bytes in one write */

/* a byte that is not UTF-8 becomes three, a control character six */

#define NGX_HTTP_SENDGRID_AMP_REPAIR  3
#define NGX_HTTP_SENDGRID_AMP_ESCAPE  6

#define ngx_http_sendgrid_amp_text(sink, text)                                \
    sgamp_json_write(sink, (u_char *) text, sizeof(text) - 1)


/*
 * The lines of one portion of a webhook, or of one answer, and what to count
 * once the lines are written; data begins with room for a line feed.
 */

struct ngx_http_sendgrid_amp_lines_s {
    u_char      *last;
    u_char      *end;
    ngx_uint_t   n;
    uint32_t     counters[SGAMP_METRICS_ELEMENTS_END - SGAMP_METRICS_ELEMENTS];
    u_char       data[];
};


/* elements of a webhook that were logged for a reason */

typedef struct {
    u_char      data[NGX_HTTP_SENDGRID_AMP_REASON];
    size_t      len;
    ngx_uint_t  n;
} ngx_http_sendgrid_amp_reason_t;


static void ngx_http_sendgrid_amp_log_rejected(
    ngx_http_sendgrid_amp_ctx_t *ctx,
    const ngx_http_sendgrid_amp_rejected_t *rejected);
static void ngx_http_sendgrid_amp_harmless(const sgamp_str_t *text,
    ngx_uint_t id, ngx_str_t *logged);
static ngx_http_sendgrid_amp_reason_t *ngx_http_sendgrid_amp_reason(
    ngx_http_sendgrid_amp_ctx_t *ctx, const sgamp_str_t *name);
static void ngx_http_sendgrid_amp_add_line(ngx_http_sendgrid_amp_ctx_t *ctx,
    const ngx_http_sendgrid_amp_rejected_t *rejected);
static ngx_http_sendgrid_amp_lines_t *ngx_http_sendgrid_amp_lines(
    ngx_http_sendgrid_amp_ctx_t *ctx, size_t size);
static void ngx_http_sendgrid_amp_line(ngx_http_sendgrid_amp_ctx_t *ctx,
    sgamp_sink_t *sink, const ngx_http_sendgrid_amp_rejected_t *rejected);
static void ngx_http_sendgrid_amp_line_json(sgamp_sink_t *sink,
    const sgamp_str_t *text);
static void ngx_http_sendgrid_amp_reject_cleanup(void *data);
static void ngx_http_sendgrid_amp_unwritten(ngx_http_sendgrid_amp_ctx_t *ctx);


void
ngx_http_sendgrid_amp_reject(ngx_http_sendgrid_amp_ctx_t *ctx,
    const ngx_http_sendgrid_amp_rejected_t *rejected)
{
    ngx_uint_t                                 i;
    ngx_http_sendgrid_amp_dead_letter_conf_t  *dcf;

    dcf = ngx_http_get_module_loc_conf(ctx->request,
                                    ngx_http_sendgrid_amp_dead_letter_module);

    /* a dry run writes nothing */

    if (dcf->file != NULL && ctx->transport.ops->live) {
        ngx_http_sendgrid_amp_add_line(ctx, rejected);
        return;
    }

    ngx_http_sendgrid_amp_log_rejected(ctx, rejected);

    ctx->counts.rejected++;

    for (i = 0; i < NGX_HTTP_SENDGRID_AMP_REJECTED_COUNTERS; i++) {
        ngx_http_sendgrid_amp_count(ctx, rejected->counters[i], 1);
    }
}


static void
ngx_http_sendgrid_amp_log_rejected(ngx_http_sendgrid_amp_ctx_t *ctx,
    const ngx_http_sendgrid_amp_rejected_t *rejected)
{
    ngx_str_t                        field, id;
    ngx_http_sendgrid_amp_reason_t  *reason;

    reason = ngx_http_sendgrid_amp_reason(ctx, &rejected->reason);

    if (reason != NULL && reason->n++ >= NGX_HTTP_SENDGRID_AMP_LOG_LINES) {
        return;
    }

    /*
     * the id and the detail come from strangers, and could be an address, a
     * key or a line of a log
     */

    ngx_http_sendgrid_amp_harmless(&rejected->detail, 0, &field);
    ngx_http_sendgrid_amp_harmless(&rejected->id, 1, &id);

    ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                  "%s rejected: %*s, field: \"%V\", %s: \"%V\"",
                  ctx->flow->noun, rejected->reason.len,
                  rejected->reason.data, &field, ctx->flow->id, &id);
}


static void
ngx_http_sendgrid_amp_harmless(const sgamp_str_t *text, ngx_uint_t id,
    ngx_str_t *logged)
{
    u_char      ch;
    ngx_uint_t  i;

    logged->len = ngx_min(text->len, NGX_HTTP_SENDGRID_AMP_ID_LEN);
    logged->data = text->data;

    for (i = 0; i < logged->len; i++) {
        ch = logged->data[i];

        if ((ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') || ch == '_')
        {
            continue;
        }

        if (id && ((ch >= '0' && ch <= '9') || ch == '-' || ch == '=')) {
            continue;
        }

        /* real field names and ids have no such characters */

        ngx_str_set(logged, "?");
        return;
    }
}


static ngx_http_sendgrid_amp_reason_t *
ngx_http_sendgrid_amp_reason(ngx_http_sendgrid_amp_ctx_t *ctx,
    const sgamp_str_t *name)
{
    ngx_uint_t                       i;
    ngx_http_sendgrid_amp_reason_t  *reason;

    if (ctx->reject.reasons == NULL) {
        ctx->reject.reasons = ngx_array_create(ctx->request->pool, 1,
                                      sizeof(ngx_http_sendgrid_amp_reason_t));
        if (ctx->reject.reasons == NULL) {
            return NULL;
        }
    }

    reason = ctx->reject.reasons->elts;

    for (i = 0; i < ctx->reject.reasons->nelts; i++) {
        if (sgamp_same(name, reason[i].data, reason[i].len)) {
            return &reason[i];
        }
    }

    reason = ngx_array_push(ctx->reject.reasons);
    if (reason == NULL) {
        return NULL;
    }

    reason->n = 0;
    reason->len = ngx_min(name->len, sizeof(reason->data));
    ngx_memcpy(reason->data, name->data, reason->len);

    return reason;
}


void
ngx_http_sendgrid_amp_log_more(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_uint_t                       i;
    ngx_http_sendgrid_amp_reason_t  *reason;

    if (ctx->reject.reasons == NULL) {
        return;
    }

    reason = ctx->reject.reasons->elts;

    for (i = 0; i < ctx->reject.reasons->nelts; i++) {
        if (reason[i].n > NGX_HTTP_SENDGRID_AMP_LOG_LINES) {
            ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                          "%ui more %s rejected: %*s, region: \"%V\"",
                          reason[i].n - NGX_HTTP_SENDGRID_AMP_LOG_LINES,
                          ctx->flow->nouns, reason[i].len, reason[i].data,
                          &ctx->route.region);
        }
    }

    ctx->reject.reasons = NULL;
}


static void
ngx_http_sendgrid_amp_add_line(ngx_http_sendgrid_amp_ctx_t *ctx,
    const ngx_http_sendgrid_amp_rejected_t *rejected)
{
    size_t                          size;
    ngx_uint_t                      i;
    sgamp_sink_t                    sink;
    ngx_http_sendgrid_amp_lines_t  *lines;

    if (ctx->reject.unwritten) {
        /* the webhook fails, and will be posted again */
        return;
    }

    size = sizeof("{\"time\":\"\",\"reason\":\"\",\"detail\":\"\","
                  "\"region\":\"\",\"sent\":},\"\":}\n")
           + ngx_cached_http_log_iso8601.len + rejected->reason.len
           + ngx_strlen(ctx->flow->noun)
           + NGX_HTTP_SENDGRID_AMP_ESCAPE
             * (rejected->detail.len + ctx->route.region.len)
           + NGX_HTTP_SENDGRID_AMP_REPAIR
             * (rejected->sent.len + rejected->element.len);

    lines = ngx_http_sendgrid_amp_lines(ctx, size);
    if (lines == NULL) {
        ngx_http_sendgrid_amp_unwritten(ctx);
        return;
    }

    sgamp_sink_init(&sink, lines->last, lines->end - lines->last);

    ngx_http_sendgrid_amp_line(ctx, &sink, rejected);

    if (sink.status != SGAMP_OK) {
        ngx_http_sendgrid_amp_unwritten(ctx);
        return;
    }

    lines->last = sink.pos;
    lines->n++;

    for (i = 0; i < NGX_HTTP_SENDGRID_AMP_REJECTED_COUNTERS; i++) {
        if (rejected->counters[i] != SGAMP_METRICS) {
            lines->counters[rejected->counters[i] - SGAMP_METRICS_ELEMENTS]++;
        }
    }
}


static ngx_http_sendgrid_amp_lines_t *
ngx_http_sendgrid_amp_lines(ngx_http_sendgrid_amp_ctx_t *ctx, size_t size)
{
    sgamp_grow_t                   *grow;
    ngx_http_sendgrid_amp_lines_t  *lines;

    lines = ctx->worker->lines;

    if (lines != NULL) {

        if (size <= (size_t) (lines->end - lines->last)) {
            return lines;
        }

        ngx_http_sendgrid_amp_write_rejected(ctx);

        if (ctx->reject.unwritten) {
            return NULL;
        }
    }

    grow = &ctx->worker->grow;
    size = ngx_max(size, NGX_HTTP_SENDGRID_AMP_LINES);

    lines = grow->alloc(grow->data,
                        sizeof(ngx_http_sendgrid_amp_lines_t) + 1 + size);
    if (lines == NULL) {
        return NULL;
    }

    ngx_memzero(lines, sizeof(ngx_http_sendgrid_amp_lines_t));

    lines->last = lines->data + 1;
    lines->end = lines->last + size;

    ctx->worker->lines = lines;

    return lines;
}


static void
ngx_http_sendgrid_amp_line(ngx_http_sendgrid_amp_ctx_t *ctx,
    sgamp_sink_t *sink, const ngx_http_sendgrid_amp_rejected_t *rejected)
{
    ngx_str_t  *region;

    region = &ctx->route.region;

    ngx_http_sendgrid_amp_text(sink, "{\"time\":\"");
    sgamp_json_write(sink, ngx_cached_http_log_iso8601.data,
                     ngx_cached_http_log_iso8601.len);
    ngx_http_sendgrid_amp_text(sink, "\",\"reason\":\"");
    sgamp_json_write(sink, rejected->reason.data, rejected->reason.len);
    ngx_http_sendgrid_amp_text(sink, "\",\"detail\":\"");
    sgamp_json_escape(sink, rejected->detail.data, rejected->detail.len);
    ngx_http_sendgrid_amp_text(sink, "\",\"region\":\"");
    sgamp_json_escape(sink, region->data, region->len);
    ngx_http_sendgrid_amp_text(sink, "\"");

    if (rejected->sent.len != 0) {
        ngx_http_sendgrid_amp_text(sink, ",\"sent\":");
        ngx_http_sendgrid_amp_line_json(sink, &rejected->sent);
        ngx_http_sendgrid_amp_text(sink, "}");
    }

    ngx_http_sendgrid_amp_text(sink, ",\"");
    sgamp_json_write(sink, (u_char *) ctx->flow->noun,
                     ngx_strlen(ctx->flow->noun));
    ngx_http_sendgrid_amp_text(sink, "\":");
    ngx_http_sendgrid_amp_line_json(sink, &rejected->element);
    ngx_http_sendgrid_amp_text(sink, "}\n");
}


static void
ngx_http_sendgrid_amp_line_json(sgamp_sink_t *sink, const sgamp_str_t *text)
{
    u_char  *p;

    p = sink->pos;
    sgamp_json_copy(sink, text->data, text->len);

    /* a string has no line feed, only what stands between tokens may */

    for ( /* void */ ; p < sink->pos; p++) {
        if (*p == LF || *p == CR) {
            *p = ' ';
        }
    }
}


void
ngx_http_sendgrid_amp_write_rejected(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ngx_int_t                                  rc;
    ngx_uint_t                                 i;
    sgamp_grow_t                              *grow;
    ngx_http_sendgrid_amp_lines_t             *lines;
    ngx_http_sendgrid_amp_dead_letter_conf_t  *dcf;

    lines = ctx->worker->lines;

    if (lines == NULL) {
        return;
    }

    dcf = ngx_http_get_module_loc_conf(ctx->request,
                                    ngx_http_sendgrid_amp_dead_letter_module);

    rc = ngx_http_sendgrid_amp_append(dcf->file, lines->data + 1, lines->last,
                                      ctx->request->connection->log);

    if (rc == NGX_OK) {
        ctx->counts.rejected += lines->n;

        ngx_http_sendgrid_amp_work(ctx, lines->last - lines->data);

        for (i = SGAMP_METRICS_ELEMENTS; i < SGAMP_METRICS_ELEMENTS_END; i++) {
            ngx_http_sendgrid_amp_count(ctx, i,
                                  lines->counters[i - SGAMP_METRICS_ELEMENTS]);
        }

    } else {
        ngx_http_sendgrid_amp_unwritten(ctx);
    }

    grow = &ctx->worker->grow;
    grow->free(grow->data, lines);

    ctx->worker->lines = NULL;
}


int
ngx_http_sendgrid_amp_hold_rejected(ngx_http_sendgrid_amp_ctx_t *ctx,
    const sgamp_stored_t *element)
{
    if (ctx->reject.store.grow == NULL) {

        if (ngx_http_sendgrid_amp_add_cleanup(ctx,
                                        ngx_http_sendgrid_amp_reject_cleanup)
            != NGX_OK)
        {
            return SGAMP_NOMEM;
        }

        sgamp_store_init(&ctx->reject.store, &ctx->worker->grow);
    }

    return sgamp_store_add(&ctx->reject.store, element);
}


ngx_int_t
ngx_http_sendgrid_amp_end_hold(ngx_http_sendgrid_amp_ctx_t *ctx,
    ngx_uint_t reject)
{
    size_t          size;
    sgamp_stored_t  element;

    while (reject) {

        if (ngx_http_sendgrid_amp_turn_is_over(ctx)) {
            return NGX_AGAIN;
        }

        size = 0;

        while (size < NGX_HTTP_SENDGRID_AMP_FEED_SIZE) {

            if (!sgamp_store_next(&ctx->reject.store, &ctx->reject.cursor,
                                  &element))
            {
                reject = 0;
                break;
            }

            ctx->flow->stored(ctx, &element);
            size += element.raw.len;
        }

        ngx_http_sendgrid_amp_write_rejected(ctx);
        ngx_http_sendgrid_amp_work(ctx, size);
    }

    sgamp_store_done(&ctx->reject.store);

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_reject_cleanup(void *data)
{
    (void) ngx_http_sendgrid_amp_end_hold(data, 0);
}


static void
ngx_http_sendgrid_amp_unwritten(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ctx->reject.unwritten = 1;

    ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_UNAVAILABLE);
}
