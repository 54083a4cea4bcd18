
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"

#include "sgamp_json.h"

#include <sys/ioctl.h>


#define NGX_HTTP_SENDGRID_AMP_MODE       0640   /* of the file, at most */
#define NGX_HTTP_SENDGRID_AMP_ID_LEN     100    /* characters, logged */
#define NGX_HTTP_SENDGRID_AMP_LOG_LINES  3      /* for each reason */
#define NGX_HTTP_SENDGRID_AMP_LINES      65536  /* bytes in one write */
#define NGX_HTTP_SENDGRID_AMP_PATIENCE   50     /* ms, for all of a write */

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
    uint32_t     counters[SGAMP_METRICS];
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
static void ngx_http_sendgrid_amp_prepare_file(
    ngx_http_sendgrid_amp_file_t *dead, ngx_file_info_t *fi,
    ngx_log_t *log);
static ngx_int_t ngx_http_sendgrid_amp_close_mode(ngx_open_file_t *file,
    ngx_file_info_t *fi);
static void ngx_http_sendgrid_amp_open_readable(ngx_open_file_t *file,
    ngx_file_info_t *fi);
static ngx_int_t ngx_http_sendgrid_amp_append(
    ngx_http_sendgrid_amp_file_t *dead, u_char *p, u_char *last,
    ngx_log_t *log);
static ngx_int_t ngx_http_sendgrid_amp_lock(ngx_open_file_t *file,
    ngx_uint_t *patience, ngx_log_t *log);
static ngx_int_t ngx_http_sendgrid_amp_append_file(ngx_open_file_t *file,
    u_char *p, u_char *last, ngx_log_t *log);
static ngx_int_t ngx_http_sendgrid_amp_append_pipe(
    ngx_http_sendgrid_amp_file_t *dead, u_char *p, u_char *last,
    ngx_uint_t *patience, ngx_log_t *log);
static u_char *ngx_http_sendgrid_amp_whole_lines(u_char *p, u_char *last);
static ssize_t ngx_http_sendgrid_amp_write_pipe(ngx_fd_t fd, u_char *p,
    size_t size, ngx_uint_t *patience);
static ngx_uint_t ngx_http_sendgrid_amp_fits_pipe(ngx_fd_t fd, size_t size);
static void ngx_http_sendgrid_amp_write_failed(ngx_open_file_t *file,
    u_char *p, ssize_t n, ngx_err_t err, ngx_log_t *log);
static char *ngx_http_sendgrid_amp_check_file(ngx_conf_t *cf,
    ngx_str_t *value);


void
ngx_http_sendgrid_amp_reject(ngx_http_sendgrid_amp_ctx_t *ctx,
    const ngx_http_sendgrid_amp_rejected_t *rejected)
{
    ngx_uint_t  i;

    /* a dry run writes nothing */

    if (ctx->conf->dead_letter != NULL && ctx->transport.ops->live) {
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
        lines->counters[rejected->counters[i]]++;
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
    ngx_int_t                       rc;
    ngx_uint_t                      i;
    sgamp_grow_t                   *grow;
    ngx_http_sendgrid_amp_lines_t  *lines;

    lines = ctx->worker->lines;

    if (lines == NULL) {
        return;
    }

    rc = ngx_http_sendgrid_amp_append(ctx->conf->dead_letter, lines->data + 1,
                                      lines->last,
                                      ctx->request->connection->log);

    if (rc == NGX_OK) {
        ctx->counts.rejected += lines->n;

        ngx_http_sendgrid_amp_work(ctx, lines->last - lines->data);

        for (i = 0; i < SGAMP_METRICS; i++) {
            ngx_http_sendgrid_amp_count(ctx, i, lines->counters[i]);
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
    if (ctx->reject.held.grow == NULL) {

        if (ngx_http_sendgrid_amp_add_cleanup(ctx,
                                        ngx_http_sendgrid_amp_reject_cleanup)
            != NGX_OK)
        {
            return SGAMP_NOMEM;
        }

        sgamp_store_init(&ctx->reject.held, &ctx->worker->grow);
    }

    return sgamp_store_add(&ctx->reject.held, element);
}


ngx_int_t
ngx_http_sendgrid_amp_release_held(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    size_t          size;
    sgamp_stored_t  event;

    for ( ;; ) {

        if (ngx_http_sendgrid_amp_turn_is_over(ctx)) {
            return NGX_AGAIN;
        }

        size = 0;

        while (size < NGX_HTTP_SENDGRID_AMP_FEED_SIZE) {

            if (!sgamp_store_next(&ctx->reject.held, &ctx->reject.cursor,
                                 &event))
            {
                ngx_http_sendgrid_amp_write_rejected(ctx);
                sgamp_store_done(&ctx->reject.held);
                return NGX_OK;
            }

            ctx->flow->held(ctx, &event);
            size += event.raw.len;
        }

        ngx_http_sendgrid_amp_write_rejected(ctx);
        ngx_http_sendgrid_amp_work(ctx, size);
    }
}


void
ngx_http_sendgrid_amp_drop_held(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    sgamp_store_done(&ctx->reject.held);
}


static void
ngx_http_sendgrid_amp_reject_cleanup(void *data)
{
    ngx_http_sendgrid_amp_drop_held(data);
}


static void
ngx_http_sendgrid_amp_unwritten(ngx_http_sendgrid_amp_ctx_t *ctx)
{
    ctx->reject.unwritten = 1;

    ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_UNAVAILABLE);
}


ngx_int_t
ngx_http_sendgrid_amp_init_dead_letters(ngx_cycle_t *cycle)
{
    ngx_uint_t                          i;
    ngx_file_info_t                     fi;
    ngx_http_sendgrid_amp_file_t      **dead;
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    amcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_sendgrid_amp_module);

    if (amcf == NULL || amcf->dead_letters == NULL) {
        return NGX_OK;
    }

    dead = amcf->dead_letters->elts;

    for (i = 0; i < amcf->dead_letters->nelts; i++) {

        if (ngx_fd_info(dead[i]->file->fd, &fi) == NGX_FILE_ERROR) {
            ngx_log_error(NGX_LOG_WARN, cycle->log, ngx_errno,
                          ngx_fd_info_n " \"%V\" failed",
                          &dead[i]->file->name);
            continue;
        }

        ngx_http_sendgrid_amp_prepare_file(dead[i], &fi, cycle->log);
    }

    /* a file that reaches a limit of its size must not end the worker */

    (void) signal(SIGXFSZ, SIG_IGN);

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_prepare_file(ngx_http_sendgrid_amp_file_t *dead,
    ngx_file_info_t *fi, ngx_log_t *log)
{
    /* after a reopening the name may stand for another file */

    if (!ngx_is_file(fi)) {
        return;
    }

    if (ngx_http_sendgrid_amp_close_mode(dead->file, fi) != NGX_OK
        && dead->told != ngx_file_uniq(fi))
    {
        ngx_log_error(NGX_LOG_WARN, log, ngx_errno,
                      "the mode of \"%V\" could not be changed",
                      &dead->file->name);

        dead->told = ngx_file_uniq(fi);
    }

    ngx_http_sendgrid_amp_open_readable(dead->file, fi);
}


static ngx_int_t
ngx_http_sendgrid_amp_close_mode(ngx_open_file_t *file, ngx_file_info_t *fi)
{
    ngx_uint_t  mode;

    /* nginx creates its files readable for all */

    mode = fi->st_mode & 0777;

    if ((mode & ~NGX_HTTP_SENDGRID_AMP_MODE) == 0) {
        return NGX_OK;
    }

    if (fchmod(file->fd, mode & NGX_HTTP_SENDGRID_AMP_MODE) == -1) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_open_readable(ngx_open_file_t *file, ngx_file_info_t *fi)
{
    int              flags;
    ngx_fd_t         fd;
    ngx_file_info_t  opened;

    /*
     * nginx opens its logs for writing only; the last byte is looked at
     * before lines are added
     */

    flags = fcntl(file->fd, F_GETFL);

    if (flags == -1 || (flags & O_ACCMODE) != O_WRONLY) {
        return;
    }

    fd = ngx_open_file(file->name.data, O_RDWR|O_APPEND, NGX_FILE_OPEN, 0);
    if (fd == NGX_INVALID_FILE) {
        return;
    }

    /* another file may have this name by now */

    if (ngx_fd_info(fd, &opened) != NGX_FILE_ERROR
        && ngx_file_uniq(&opened) == ngx_file_uniq(fi)
        && opened.st_dev == fi->st_dev
        && dup2(fd, file->fd) != -1)
    {
        (void) fcntl(file->fd, F_SETFD, FD_CLOEXEC);
    }

    (void) ngx_close_file(fd);
}


static ngx_int_t
ngx_http_sendgrid_amp_append(ngx_http_sendgrid_amp_file_t *dead,
    u_char *p, u_char *last, ngx_log_t *log)
{
    ngx_int_t        rc;
    ngx_uint_t       patience;
    ngx_file_info_t  fi;

    if (ngx_fd_info(dead->file->fd, &fi) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_CRIT, log, ngx_errno,
                      ngx_fd_info_n " \"%V\" failed", &dead->file->name);
        return NGX_ERROR;
    }

    ngx_http_sendgrid_amp_prepare_file(dead, &fi, log);

    patience = NGX_HTTP_SENDGRID_AMP_PATIENCE;

    if (ngx_http_sendgrid_amp_lock(dead->file, &patience, log) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_is_file(&fi)
         ? ngx_http_sendgrid_amp_append_file(dead->file, p, last, log)
         : ngx_http_sendgrid_amp_append_pipe(dead, p, last, &patience, log);

    (void) ngx_unlock_fd(dead->file->fd);

    return rc;
}


static ngx_int_t
ngx_http_sendgrid_amp_lock(ngx_open_file_t *file, ngx_uint_t *patience,
    ngx_log_t *log)
{
    ngx_err_t  err;

    /*
     * the next process has to see the line that a process has cut, so a
     * process writes under a lock; the lock ends with the process, and nobody
     * waits for a process that hangs
     */

    for ( ;; ) {
        err = ngx_trylock_fd(file->fd);

        if (err == 0) {
            return NGX_OK;
        }

        if ((err != NGX_EAGAIN && err != NGX_EACCES) || *patience == 0) {
            break;
        }

        ngx_msleep(1);
        (*patience)--;
    }

    ngx_log_error(NGX_LOG_CRIT, log, err,
                  ngx_trylock_fd_n " \"%V\" failed", &file->name);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_sendgrid_amp_append_file(ngx_open_file_t *file, u_char *p,
    u_char *last, ngx_log_t *log)
{
    u_char           ch;
    ssize_t          n;
    ngx_file_info_t  fi;

    if (ngx_fd_info(file->fd, &fi) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_CRIT, log, ngx_errno,
                      ngx_fd_info_n " \"%V\" failed", &file->name);
        return NGX_ERROR;
    }

    /* another process may have cut the last line; an empty line is no harm */

    if (ngx_file_size(&fi) != 0
        && (pread(file->fd, &ch, 1, ngx_file_size(&fi) - 1) != 1 || ch != LF))
    {
        *--p = LF;
    }

    n = ngx_write_fd(file->fd, p, last - p);

    if (n == last - p) {
        return NGX_OK;
    }

    ngx_http_sendgrid_amp_write_failed(file, p, n, ngx_errno, log);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_sendgrid_amp_append_pipe(ngx_http_sendgrid_amp_file_t *dead,
    u_char *p, u_char *last, ngx_uint_t *patience, ngx_log_t *log)
{
    int         flags;
    u_char     *end;
    ssize_t     n;
    ngx_fd_t    fd;
    ngx_err_t   err;

    fd = dead->file->fd;

    /* a reader that is slow does not stop the worker */

    flags = fcntl(fd, F_GETFL);

    if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1) {
        ngx_log_error(NGX_LOG_CRIT, log, ngx_errno,
                      "fcntl(O_NONBLOCK) \"%V\" failed", &dead->file->name);
        return NGX_ERROR;
    }

    n = 0;
    err = 0;

    for (end = p; p < last; p = end) {

        if (dead->cut) {
            *--p = LF;
        }

        end = ngx_http_sendgrid_amp_whole_lines(p, last);

        n = ngx_http_sendgrid_amp_write_pipe(fd, p, end - p, patience);

        if (n != end - p) {
            err = ngx_errno;
            break;
        }

        dead->cut = 0;
    }

    (void) fcntl(fd, F_SETFL, flags);

    if (p == last) {
        return NGX_OK;
    }

    if (n > 0) {
        dead->cut = (p[n - 1] != LF);
    }

    ngx_http_sendgrid_amp_write_failed(dead->file, p, n, err, log);

    return NGX_ERROR;
}


static u_char *
ngx_http_sendgrid_amp_whole_lines(u_char *p, u_char *last)
{
    u_char  *end;

    /* as many lines as a pipe takes as a whole, at least one line */

    if (last - p <= PIPE_BUF) {
        return last;
    }

    for (end = p + PIPE_BUF; end > p + 1; end--) {
        if (end[-1] == LF) {
            return end;
        }
    }

    return (u_char *) memchr(p + 1, LF, last - p - 1) + 1;
}


static ssize_t
ngx_http_sendgrid_amp_write_pipe(ngx_fd_t fd, u_char *p, size_t size,
    ngx_uint_t *patience)
{
    ssize_t  n;

    for ( ;; ) {

        if (ngx_http_sendgrid_amp_fits_pipe(fd, size)) {
            n = ngx_write_fd(fd, p, size);

        } else {
            n = -1;
            ngx_set_errno(NGX_EAGAIN);
        }

        if (n != -1 || ngx_errno != NGX_EAGAIN || *patience == 0) {
            return n;
        }

        ngx_msleep(1);
        (*patience)--;
    }
}


static ngx_uint_t
ngx_http_sendgrid_amp_fits_pipe(ngx_fd_t fd, size_t size)
{
#ifdef F_SETPIPE_SZ
    int  n, room;

    /* a longer line is cut unless there is nothing else in the pipe */

    if (size <= PIPE_BUF) {
        return 1;
    }

    room = fcntl(fd, F_GETPIPE_SZ);

    if (room == -1) {
        /* another kind of device */
        return 1;
    }

    if ((size_t) room < size) {
        room = fcntl(fd, F_SETPIPE_SZ, (int) size);
    }

    return room != -1 && ioctl(fd, FIONREAD, &n) != -1 && n == 0;
#else
    return 1;
#endif
}


static void
ngx_http_sendgrid_amp_write_failed(ngx_open_file_t *file, u_char *p,
    ssize_t n, ngx_err_t err, ngx_log_t *log)
{
    ngx_log_error(NGX_LOG_CRIT, log, (n == -1) ? err : NGX_ENOSPC,
                  ngx_write_fd_n " to \"%V\" failed", &file->name);

    if (n > 0 && p[n - 1] != LF) {
        ngx_log_error(NGX_LOG_CRIT, log, 0, "\"%V\" has a line that is cut",
                      &file->name);
    }
}


char *
ngx_http_sendgrid_amp_dead_letter(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_sendgrid_amp_loc_conf_t  *alcf = conf;

    char                               *rv;
    ngx_str_t                          *value;
    ngx_uint_t                          i;
    ngx_open_file_t                    *file;
    ngx_http_sendgrid_amp_file_t      **dead;
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    if (alcf->dead_letter != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        alcf->dead_letter = NULL;
        return NGX_CONF_OK;
    }

    rv = ngx_http_sendgrid_amp_check_file(cf, &value[1]);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    file = ngx_conf_open_file(cf->cycle, &value[1]);
    if (file == NULL) {
        return NGX_CONF_ERROR;
    }

    amcf = ngx_http_conf_get_module_main_conf(cf,
                                              ngx_http_sendgrid_amp_module);

    if (amcf->dead_letters == NULL) {
        amcf->dead_letters = ngx_array_create(cf->pool, 1,
                                       sizeof(ngx_http_sendgrid_amp_file_t *));
        if (amcf->dead_letters == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    dead = amcf->dead_letters->elts;

    for (i = 0; i < amcf->dead_letters->nelts; i++) {
        if (dead[i]->file == file) {
            alcf->dead_letter = dead[i];
            return NGX_CONF_OK;
        }
    }

    dead = ngx_array_push(amcf->dead_letters);
    if (dead == NULL) {
        return NGX_CONF_ERROR;
    }

    *dead = ngx_pcalloc(cf->pool, sizeof(ngx_http_sendgrid_amp_file_t));
    if (*dead == NULL) {
        return NGX_CONF_ERROR;
    }

    (*dead)->file = file;
    alcf->dead_letter = *dead;

    return NGX_CONF_OK;
}


static char *
ngx_http_sendgrid_amp_check_file(ngx_conf_t *cf, ngx_str_t *value)
{
    size_t            i;
    ngx_str_t         name;
    ngx_uint_t        n;
    ngx_file_info_t   fi;

    static const char *words[] = {
        "off", "on", "no", "yes", "none", "null", "all", "stdout", "stderr",
        "syslog", "memory", NULL
    };

    if (value->len == 0) {
        return "must name a file, or be \"off\"";
    }

    /* words that other directives take would become names of files here */

    for (n = 0; words[n] != NULL; n++) {
        if (ngx_strcasecmp(value->data, (u_char *) words[n]) == 0) {
            return "must name a file, such as \"/dev/stderr\", or be \"off\"";
        }
    }

    if (value->data[0] == '|') {
        return "must name a file, not a command";
    }

    for (i = 0; i < value->len && value->data[i] != '/'; i++) {
        if (value->data[i] == ':') {
            return "must name a file, and takes no prefix such as \"syslog:\" "
                   "or \"memory:\"";
        }
    }

    if (ngx_strlchr(value->data, value->data + value->len, '$') != NULL) {
        return "must name a file, and takes no variables";
    }

    name = *value;

    if (ngx_conf_full_name(cf->cycle, &name, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (value->data[value->len - 1] == '/'
        || (ngx_file_info(name.data, &fi) != NGX_FILE_ERROR
            && ngx_is_dir(&fi)))
    {
        return "must name a file, not a directory";
    }

    return NGX_CONF_OK;
}
