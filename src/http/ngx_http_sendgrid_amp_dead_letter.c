
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"

#include <sys/ioctl.h>


#define NGX_HTTP_SENDGRID_AMP_MODE      0640   /* of the file, at most */
#define NGX_HTTP_SENDGRID_AMP_PATIENCE  50     /* ms, for all of a write */


/* a file of rejected elements, and what a worker knows of the file */

struct ngx_http_sendgrid_amp_file_s {
    ngx_open_file_t  *file;
    ngx_file_uniq_t   told;   /* the inode whose mode was told of */
    unsigned          cut:1;  /* a pipe ends in a line that is cut */
};


static void ngx_http_sendgrid_amp_prepare_file(
    ngx_http_sendgrid_amp_file_t *dead, ngx_file_info_t *fi,
    ngx_log_t *log);
static ngx_int_t ngx_http_sendgrid_amp_close_mode(ngx_open_file_t *file,
    ngx_file_info_t *fi);
static void ngx_http_sendgrid_amp_open_readable(ngx_open_file_t *file,
    ngx_file_info_t *fi);
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
static ngx_int_t ngx_http_sendgrid_amp_init_dead_letters(ngx_cycle_t *cycle);
static char *ngx_http_sendgrid_amp_dead_letter(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_http_sendgrid_amp_check_file(ngx_conf_t *cf,
    ngx_str_t *value);
static void *ngx_http_sendgrid_amp_dead_letter_create_main(ngx_conf_t *cf);
static void *ngx_http_sendgrid_amp_dead_letter_create_conf(ngx_conf_t *cf);
static char *ngx_http_sendgrid_amp_dead_letter_merge_conf(ngx_conf_t *cf,
    void *parent, void *child);


static ngx_command_t  ngx_http_sendgrid_amp_dead_letter_commands[] = {

    { ngx_string("sendgrid_amp_dead_letter"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_sendgrid_amp_dead_letter,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_sendgrid_amp_dead_letter_module_ctx = {
    NULL,                                   /* preconfiguration */
    NULL,                                   /* postconfiguration */
    ngx_http_sendgrid_amp_dead_letter_create_main,
    NULL,                                   /* init main configuration */
    NULL, NULL,                             /* server configuration */
    ngx_http_sendgrid_amp_dead_letter_create_conf,
    ngx_http_sendgrid_amp_dead_letter_merge_conf
};


ngx_module_t  ngx_http_sendgrid_amp_dead_letter_module = {
    NGX_MODULE_V1,
    &ngx_http_sendgrid_amp_dead_letter_module_ctx,
    ngx_http_sendgrid_amp_dead_letter_commands,
    NGX_HTTP_MODULE,                        /* module type */
    NULL,                                   /* init master */
    ngx_http_sendgrid_amp_init_dead_letters,/* init module */
    NULL, NULL,                             /* init */
    NULL, NULL, NULL,                       /* exit */
    NGX_MODULE_V1_PADDING
};


ngx_int_t
ngx_http_sendgrid_amp_append(ngx_http_sendgrid_amp_file_t *dead, u_char *p,
    u_char *last, ngx_log_t *log)
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


static ngx_int_t
ngx_http_sendgrid_amp_init_dead_letters(ngx_cycle_t *cycle)
{
    ngx_uint_t                      i;
    ngx_array_t                    *letters;
    ngx_file_info_t                 fi;
    ngx_http_sendgrid_amp_file_t  **dead;

    letters = ngx_http_cycle_get_module_main_conf(cycle,
                                    ngx_http_sendgrid_amp_dead_letter_module);

    if (letters == NULL || letters->nelts == 0) {
        return NGX_OK;
    }

    /* keeps other users from reading the files, as far as the process may */

    dead = letters->elts;

    for (i = 0; i < letters->nelts; i++) {

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


static char *
ngx_http_sendgrid_amp_dead_letter(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_sendgrid_amp_dead_letter_conf_t  *dcf = conf;

    char                           *rv;
    ngx_str_t                      *value;
    ngx_uint_t                      i;
    ngx_array_t                    *letters;
    ngx_open_file_t                *file;
    ngx_http_sendgrid_amp_file_t  **dead;

    if (dcf->file != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        dcf->file = NULL;
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

    letters = ngx_http_conf_get_module_main_conf(cf,
                                    ngx_http_sendgrid_amp_dead_letter_module);

    /* locations may share a file */

    dead = letters->elts;

    for (i = 0; i < letters->nelts; i++) {
        if (dead[i]->file == file) {
            dcf->file = dead[i];
            return NGX_CONF_OK;
        }
    }

    dead = ngx_array_push(letters);
    if (dead == NULL) {
        return NGX_CONF_ERROR;
    }

    *dead = ngx_pcalloc(cf->pool, sizeof(ngx_http_sendgrid_amp_file_t));
    if (*dead == NULL) {
        return NGX_CONF_ERROR;
    }

    (*dead)->file = file;
    dcf->file = *dead;

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


static void *
ngx_http_sendgrid_amp_dead_letter_create_main(ngx_conf_t *cf)
{
    /* the files of all locations: ngx_http_sendgrid_amp_file_t * */

    return ngx_array_create(cf->pool, 1,
                            sizeof(ngx_http_sendgrid_amp_file_t *));
}


static void *
ngx_http_sendgrid_amp_dead_letter_create_conf(ngx_conf_t *cf)
{
    ngx_http_sendgrid_amp_dead_letter_conf_t  *conf;

    conf = ngx_palloc(cf->pool,
                      sizeof(ngx_http_sendgrid_amp_dead_letter_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->file = NGX_CONF_UNSET_PTR;

    return conf;
}


static char *
ngx_http_sendgrid_amp_dead_letter_merge_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_sendgrid_amp_dead_letter_conf_t  *prev = parent;
    ngx_http_sendgrid_amp_dead_letter_conf_t  *conf = child;

    ngx_conf_merge_ptr_value(conf->file, prev->file, NULL);

    return NGX_CONF_OK;
}
