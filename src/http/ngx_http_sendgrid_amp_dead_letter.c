
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"

#include "sgamp_json.h"


#define NGX_HTTP_SENDGRID_AMP_MODE    0640  /* of the file, at most */
#define NGX_HTTP_SENDGRID_AMP_ID_LEN  100   /* characters that are logged */

/* a byte that is not UTF-8 becomes three, a control character six */

#define NGX_HTTP_SENDGRID_AMP_REPAIR  3
#define NGX_HTTP_SENDGRID_AMP_ESCAPE  6

#define ngx_http_sendgrid_amp_text(sink, text)                                \
    sgamp_json_write(sink, (u_char *) text, sizeof(text) - 1)


static void ngx_http_sendgrid_amp_log_rejected(
    ngx_http_sendgrid_amp_ctx_t *ctx,
    const ngx_http_sendgrid_amp_rejected_t *rejected);
static ngx_int_t ngx_http_sendgrid_amp_write_rejected(
    ngx_http_sendgrid_amp_ctx_t *ctx,
    const ngx_http_sendgrid_amp_rejected_t *rejected);
static void ngx_http_sendgrid_amp_line(sgamp_sink_t *sink, ngx_str_t *region,
    const ngx_http_sendgrid_amp_rejected_t *rejected);
static void ngx_http_sendgrid_amp_line_json(sgamp_sink_t *sink,
    const sgamp_str_t *text);
static ngx_int_t ngx_http_sendgrid_amp_close_mode(ngx_open_file_t *file,
    ngx_file_info_t *fi);
static ngx_int_t ngx_http_sendgrid_amp_append(ngx_open_file_t *file,
    u_char *line, size_t len, ngx_log_t *log);
static ngx_int_t ngx_http_sendgrid_amp_append_line(ngx_open_file_t *file,
    u_char *line, size_t len, ngx_uint_t locked, ngx_log_t *log);
static ngx_int_t ngx_http_sendgrid_amp_take_back(ngx_open_file_t *file,
    off_t size, off_t n);


void
ngx_http_sendgrid_amp_reject(ngx_http_sendgrid_amp_ctx_t *ctx,
    const ngx_http_sendgrid_amp_rejected_t *rejected)
{
    if (ctx->conf->dead_letter == NULL || ctx->dry_run != NULL) {
        ngx_http_sendgrid_amp_log_rejected(ctx, rejected);

    } else if (ngx_http_sendgrid_amp_write_rejected(ctx, rejected) != NGX_OK) {
        ngx_http_sendgrid_amp_fail(ctx, NGX_HTTP_SENDGRID_AMP_UNAVAILABLE);
        return;
    }

    ctx->rejected++;

    ngx_http_sendgrid_amp_count_rejected(ctx, rejected->kind,
                                         &rejected->reason);
}


void
ngx_http_sendgrid_amp_reject_unmapped(ngx_http_sendgrid_amp_ctx_t *ctx,
    sgamp_kind_e kind, sgamp_reason_e reason, const sgamp_str_t *id,
    const sgamp_str_t *raw)
{
    ngx_http_sendgrid_amp_rejected_t  rejected;

    ngx_memzero(&rejected, sizeof(ngx_http_sendgrid_amp_rejected_t));

    rejected.kind = kind;
    rejected.reason.data = (u_char *) sgamp_reason(reason);
    rejected.reason.len = ngx_strlen(rejected.reason.data);
    rejected.id = *id;
    rejected.event = *raw;

    ngx_http_sendgrid_amp_reject(ctx, &rejected);
}


static void
ngx_http_sendgrid_amp_log_rejected(ngx_http_sendgrid_amp_ctx_t *ctx,
    const ngx_http_sendgrid_amp_rejected_t *rejected)
{
    u_char      ch;
    ngx_str_t   id;
    ngx_uint_t  i;

    id.len = ngx_min(rejected->id.len, NGX_HTTP_SENDGRID_AMP_ID_LEN);
    id.data = rejected->id.data;

    for (i = 0; i < id.len; i++) {
        ch = id.data[i];

        if ((ch >= '0' && ch <= '9') || (ch >= 'A' && ch <= 'Z')
            || (ch >= 'a' && ch <= 'z') || ch == '-' || ch == '_'
            || ch == '=')
        {
            continue;
        }

        /* not of the alphabet of real ones: it could be an address */

        ngx_str_set(&id, "?");
        break;
    }

    ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                  "event rejected: %*s, field: \"%*s\", sg_event_id: \"%V\"",
                  rejected->reason.len, rejected->reason.data,
                  rejected->detail.len, rejected->detail.data, &id);
}


static ngx_int_t
ngx_http_sendgrid_amp_write_rejected(ngx_http_sendgrid_amp_ctx_t *ctx,
    const ngx_http_sendgrid_amp_rejected_t *rejected)
{
    size_t         size;
    u_char        *line;
    ngx_int_t      rc;
    sgamp_grow_t  *grow;
    sgamp_sink_t   sink;

    grow = &ctx->worker->grow;

    size = sizeof("{\"time\":\"\",\"reason\":\"\",\"detail\":\"\","
                  "\"region\":\"\",\"sent\":},\"event\":}\n")
           + ngx_cached_http_log_iso8601.len + rejected->reason.len
           + NGX_HTTP_SENDGRID_AMP_ESCAPE
             * (rejected->detail.len + ctx->region.len)
           + NGX_HTTP_SENDGRID_AMP_REPAIR
             * (rejected->sent.len + rejected->event.len);

    line = grow->alloc(grow->data, size);
    if (line == NULL) {
        return NGX_ERROR;
    }

    sgamp_sink_init(&sink, line, size);

    ngx_http_sendgrid_amp_line(&sink, &ctx->region, rejected);

    rc = ngx_http_sendgrid_amp_append(ctx->conf->dead_letter, line,
                                      sink.pos - line,
                                      ctx->request->connection->log);

    grow->free(grow->data, line);

    return (sink.status == SGAMP_OK) ? rc : NGX_ERROR;
}


static void
ngx_http_sendgrid_amp_line(sgamp_sink_t *sink, ngx_str_t *region,
    const ngx_http_sendgrid_amp_rejected_t *rejected)
{
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

    ngx_http_sendgrid_amp_text(sink, ",\"event\":");
    ngx_http_sendgrid_amp_line_json(sink, &rejected->event);
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


ngx_int_t
ngx_http_sendgrid_amp_init_dead_letters(ngx_cycle_t *cycle)
{
    ngx_uint_t                          i;
    ngx_file_info_t                     fi;
    ngx_open_file_t                   **files;
    ngx_http_sendgrid_amp_main_conf_t  *amcf;

    amcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_sendgrid_amp_module);

    if (amcf == NULL || amcf->dead_letters == NULL) {
        return NGX_OK;
    }

    files = amcf->dead_letters->elts;

    for (i = 0; i < amcf->dead_letters->nelts; i++) {

        if (ngx_fd_info(files[i]->fd, &fi) == NGX_FILE_ERROR
            || ngx_http_sendgrid_amp_close_mode(files[i], &fi) != NGX_OK)
        {
            ngx_log_error(NGX_LOG_WARN, cycle->log, ngx_errno,
                          "the mode of \"%V\" could not be changed",
                          &files[i]->name);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_close_mode(ngx_open_file_t *file, ngx_file_info_t *fi)
{
    ngx_uint_t  mode;

    /* nginx creates its files readable for all */

    mode = fi->st_mode & 0777;

    if (!ngx_is_file(fi) || (mode & ~NGX_HTTP_SENDGRID_AMP_MODE) == 0) {
        return NGX_OK;
    }

    if (fchmod(file->fd, mode & NGX_HTTP_SENDGRID_AMP_MODE) == -1) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_append(ngx_open_file_t *file, u_char *line, size_t len,
    ngx_log_t *log)
{
    ngx_err_t  err;
    ngx_int_t  rc;

    /*
     * a line is appended by one call, whatever other workers do; the lock
     * keeps them away while a cut one is taken back, and is not waited for
     */

    err = ngx_trylock_fd(file->fd);

    rc = ngx_http_sendgrid_amp_append_line(file, line, len, err == 0, log);

    if (err == 0) {
        (void) ngx_unlock_fd(file->fd);
    }

    return rc;
}


static ngx_int_t
ngx_http_sendgrid_amp_append_line(ngx_open_file_t *file, u_char *line,
    size_t len, ngx_uint_t locked, ngx_log_t *log)
{
    ssize_t          n;
    ngx_err_t        err;
    ngx_file_info_t  fi;

    if (ngx_fd_info(file->fd, &fi) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_CRIT, log, ngx_errno,
                      ngx_fd_info_n " \"%V\" failed", &file->name);
        return NGX_ERROR;
    }

    /* after a reopening the file is new, and the worker's */

    (void) ngx_http_sendgrid_amp_close_mode(file, &fi);

    n = ngx_write_fd(file->fd, line, len);

    if (n == (ssize_t) len) {
        return NGX_OK;
    }

    err = (n == -1) ? ngx_errno : NGX_ENOSPC;

    ngx_log_error(NGX_LOG_CRIT, log, err,
                  ngx_write_fd_n " to \"%V\" failed", &file->name);

    if (n > 0
        && (!locked
            || ngx_http_sendgrid_amp_take_back(file, ngx_file_size(&fi), n)
               != NGX_OK))
    {
        ngx_log_error(NGX_LOG_CRIT, log, 0,
                      "\"%V\" has a line that is cut", &file->name);
    }

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_sendgrid_amp_take_back(ngx_open_file_t *file, off_t size, off_t n)
{
    ngx_file_info_t  fi;

    /* only if nothing was appended by another worker */

    if (ngx_fd_info(file->fd, &fi) == NGX_FILE_ERROR
        || ngx_file_size(&fi) != size + n
        || ftruncate(file->fd, size) == -1)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}
