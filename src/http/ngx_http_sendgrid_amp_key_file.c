
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"

#include "sgamp_pem.h"


#define NGX_HTTP_SENDGRID_AMP_KEY_FILE  65536  /* bytes */
#define NGX_HTTP_SENDGRID_AMP_KEY_LEN   40     /* of any key, at least */
#define NGX_HTTP_SENDGRID_AMP_WORD_LEN  16     /* of a secret, at least */


/* what a parameter has to be, and what was found instead */

#define NGX_HTTP_SENDGRID_AMP_NO_KEY                                          \
    "parameter %ui of \"%V\" directive must be a public key of the curve "    \
    "P-256 or the path of its file, %s"


static char *ngx_http_sendgrid_amp_public_key(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_http_sendgrid_amp_add_key(ngx_conf_t *cf,
    ngx_array_t *keys, ngx_uint_t i);
static ngx_uint_t ngx_http_sendgrid_amp_is_file(ngx_str_t *value);
static ngx_int_t ngx_http_sendgrid_amp_read_key(ngx_conf_t *cf,
    ngx_uint_t i, ngx_str_t *name, ngx_str_t *text);
static void ngx_http_sendgrid_amp_no_file(ngx_conf_t *cf, ngx_uint_t i,
    ngx_str_t *name, ngx_err_t err);
static ngx_uint_t ngx_http_sendgrid_amp_is_path(ngx_str_t *value);
static ngx_int_t ngx_http_sendgrid_amp_read_open(ngx_conf_t *cf, ngx_fd_t fd,
    ngx_str_t *name, ngx_str_t *text);
static ngx_int_t ngx_http_sendgrid_amp_read_all(ngx_conf_t *cf, ngx_fd_t fd,
    ngx_str_t *name, ngx_str_t *text);
static void ngx_http_sendgrid_amp_cleanup_key(void *data);
static char *ngx_http_sendgrid_amp_signature(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static void *ngx_http_sendgrid_amp_key_create_conf(ngx_conf_t *cf);
static char *ngx_http_sendgrid_amp_key_merge_conf(ngx_conf_t *cf, void *parent,
    void *child);


static ngx_command_t  ngx_http_sendgrid_amp_key_commands[] = {

    { ngx_string("sendgrid_amp_public_key"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_sendgrid_amp_public_key,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sendgrid_amp_signature"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_sendgrid_amp_signature,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("sendgrid_amp_signature_window"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_sendgrid_amp_key_conf_t, window),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_sendgrid_amp_key_module_ctx = {
    NULL,                                   /* preconfiguration */
    NULL,                                   /* postconfiguration */
    NULL, NULL,                             /* main configuration */
    NULL, NULL,                             /* server configuration */
    ngx_http_sendgrid_amp_key_create_conf,  /* create location configuration */
    ngx_http_sendgrid_amp_key_merge_conf    /* merge location configuration */
};


ngx_module_t  ngx_http_sendgrid_amp_key_module = {
    NGX_MODULE_V1,
    &ngx_http_sendgrid_amp_key_module_ctx,  /* module context */
    ngx_http_sendgrid_amp_key_commands,     /* module directives */
    NGX_HTTP_MODULE,                        /* module type */
    NULL, NULL, NULL, NULL,                 /* init */
    NULL, NULL, NULL,                       /* exit */
    NGX_MODULE_V1_PADDING
};


static char *
ngx_http_sendgrid_amp_public_key(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_sendgrid_amp_key_conf_t  *kcf = conf;

    ngx_str_t  *value;
    ngx_uint_t  i;

    if (kcf->public_keys != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        kcf->public_keys = NULL;
        return NGX_CONF_OK;
    }

    kcf->public_keys = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                        sizeof(EVP_PKEY *));
    if (kcf->public_keys == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "off") == 0) {
            return "has \"off\" among its keys";
        }

        if (ngx_http_sendgrid_amp_add_key(cf, kcf->public_keys, i)
            != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_add_key(ngx_conf_t *cf, ngx_array_t *keys,
    ngx_uint_t i)
{
    EVP_PKEY            *key, **k;
    ngx_str_t           *value, name, text;
    const char          *found;
    ngx_pool_cleanup_t  *cln;

    value = cf->args->elts;

    text = value[i];
    ngx_str_null(&name);

    if (ngx_http_sendgrid_amp_is_file(&text)) {
        name = text;

        if (ngx_conf_full_name(cf->cycle, &name, 1) != NGX_OK
            || ngx_http_sendgrid_amp_read_key(cf, i, &name, &text) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    k = ngx_array_push(keys);
    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (k == NULL || cln == NULL) {
        return NGX_ERROR;
    }

    if (sgamp_public_key_read(&key, text.data, text.len, &found) != SGAMP_OK) {

        /* a key is not logged, it may be a private one */

        if (name.len != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" of \"%V\" directive must hold a public "
                               "key of the curve P-256, %s was found",
                               &name, &value[0], found);
            return NGX_ERROR;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           NGX_HTTP_SENDGRID_AMP_NO_KEY " was found",
                           i, &value[0], found);
        return NGX_ERROR;
    }

    cln->handler = ngx_http_sendgrid_amp_cleanup_key;
    cln->data = key;

    *k = key;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_sendgrid_amp_is_file(ngx_str_t *value)
{
    size_t  i;

    /*
     * no key in base64 begins with "/", has a "." or is that short; PEM has
     * both "-" and blanks
     */

    if (value->len == 0 || value->data[0] == '-') {
        return 0;
    }

    if (value->data[0] == '/' || value->len < NGX_HTTP_SENDGRID_AMP_KEY_LEN) {
        return 1;
    }

    for (i = 0; i < value->len; i++) {
        if (value->data[i] == '.') {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_sendgrid_amp_read_key(ngx_conf_t *cf, ngx_uint_t i, ngx_str_t *name,
    ngx_str_t *text)
{
    ngx_fd_t  fd;

    fd = ngx_open_file(name->data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_http_sendgrid_amp_no_file(cf, i, name, ngx_errno);
        return NGX_ERROR;
    }

    return ngx_http_sendgrid_amp_read_open(cf, fd, name, text);
}


ngx_int_t
ngx_http_sendgrid_amp_read_secret(ngx_conf_t *cf, ngx_str_t *text)
{
    u_char     *p, *last;
    ngx_fd_t    fd;
    ngx_err_t   err;
    ngx_str_t  *value, name;

    if (text->len == 0 || text->data[0] != '/') {
        return NGX_OK;
    }

    value = cf->args->elts;
    name = *text;

    fd = ngx_open_file(name.data, NGX_FILE_RDONLY|NGX_FILE_NONBLOCK,
                       NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        err = ngx_errno;

        /* what may be a secret that begins with a slash is not logged */

        if (!ngx_http_sendgrid_amp_is_path(&name)) {
            ngx_str_set(&name, "a file, whose name begins with \"/\"");
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                           "\"%V\" cannot read \"%V\"", &value[0], &name);
        return NGX_ERROR;
    }

    if (ngx_http_sendgrid_amp_read_open(cf, fd, &name, text) != NGX_OK) {
        return NGX_ERROR;
    }

    p = text->data;
    last = p + text->len;

    while (p < last && *p <= ' ') {
        p++;
    }

    while (p < last && last[-1] <= ' ') {
        last--;
    }

    if (p == last) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" finds nothing in \"%V\"", &value[0],
                           &name);
        return NGX_ERROR;
    }

    text->len = last - p;
    text->data = ngx_pnalloc(cf->pool, text->len);

    if (text->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(text->data, p, text->len);

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_no_file(ngx_conf_t *cf, ngx_uint_t i, ngx_str_t *name,
    ngx_err_t err)
{
    ngx_str_t   *value;
    const char  *found;

    value = cf->args->elts;

    /* what may be a secret that was taken for a path is not logged */

    found = sgamp_pem_other(value[i].data, value[i].len);

    if (found != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           NGX_HTTP_SENDGRID_AMP_NO_KEY " was found",
                           i, &value[0], found);
        return;
    }

    if (ngx_http_sendgrid_amp_is_path(&value[i])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                           "\"%V\" cannot read \"%V\"", &value[0], name);
        return;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, err, NGX_HTTP_SENDGRID_AMP_NO_KEY,
                       i, &value[0], "and nginx cannot read such a file");
}


static ngx_uint_t
ngx_http_sendgrid_amp_is_path(ngx_str_t *value)
{
    u_char      *p, *last, ch;
    ngx_uint_t   n, digits;

    p = value->data;
    last = p + value->len;

    if (ngx_strncmp(p, "/", 1) != 0
        && ngx_strncmp(p, "./", 2) != 0
        && ngx_strncmp(p, "../", 3) != 0)
    {
        return 0;
    }

    n = 0;
    digits = 0;

    /* a secret has a long word with digits, and base64 may have "+" or "=" */

    for ( /* void */ ; p < last; p++) {
        ch = (u_char) (*p | 0x20);

        if (*p >= '0' && *p <= '9') {
            n++;
            digits++;

        } else if (ch >= 'a' && ch <= 'z') {
            n++;

        } else if (*p == '/' || *p == '.' || *p == '-' || *p == '_') {
            n = 0;
            digits = 0;

        } else {
            return 0;
        }

        if (n >= NGX_HTTP_SENDGRID_AMP_WORD_LEN && digits != 0) {
            return 0;
        }
    }

    return 1;
}


static ngx_int_t
ngx_http_sendgrid_amp_read_open(ngx_conf_t *cf, ngx_fd_t fd, ngx_str_t *name,
    ngx_str_t *text)
{
    ngx_int_t  rc;

    rc = ngx_http_sendgrid_amp_read_all(cf, fd, name, text);

    if (ngx_close_file(fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", name);
    }

    return rc;
}


static ngx_int_t
ngx_http_sendgrid_amp_read_all(ngx_conf_t *cf, ngx_fd_t fd, ngx_str_t *name,
    ngx_str_t *text)
{
    ssize_t          n;
    ngx_err_t        err;
    ngx_str_t       *value;
    ngx_file_info_t  fi;

    value = cf->args->elts;

    if (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR
        || !ngx_is_file(&fi)
        || ngx_file_size(&fi) > NGX_HTTP_SENDGRID_AMP_KEY_FILE)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" cannot read \"%V\": it is no file of at "
                           "most 64k",
                           &value[0], name);
        return NGX_ERROR;
    }

    text->data = ngx_pnalloc(cf->temp_pool, NGX_HTTP_SENDGRID_AMP_KEY_FILE);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    n = ngx_read_fd(fd, text->data, NGX_HTTP_SENDGRID_AMP_KEY_FILE);

    if (n == -1) {
        err = ngx_errno;
        ngx_conf_log_error(NGX_LOG_EMERG, cf, err,
                           "\"%V\" cannot read \"%V\"", &value[0], name);
        return NGX_ERROR;
    }

    text->len = n;

    return NGX_OK;
}


static void
ngx_http_sendgrid_amp_cleanup_key(void *data)
{
    sgamp_public_key_free(data);
}


static char *
ngx_http_sendgrid_amp_signature(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_sendgrid_amp_key_conf_t  *kcf = conf;

    ngx_str_t  *value;

    if (kcf->signature != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "on") == 0) {
        kcf->signature = NGX_HTTP_SENDGRID_AMP_SIGNATURE_ON;

    } else if (ngx_strcmp(value[1].data, "report") == 0) {
        kcf->signature = NGX_HTTP_SENDGRID_AMP_SIGNATURE_REPORT;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value in \"%V\" directive, it must be "
                           "\"on\" or \"report\"",
                           &cmd->name);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static void *
ngx_http_sendgrid_amp_key_create_conf(ngx_conf_t *cf)
{
    ngx_http_sendgrid_amp_key_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_sendgrid_amp_key_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->keys = NULL;
     */

    conf->public_keys = NGX_CONF_UNSET_PTR;
    conf->signature = NGX_CONF_UNSET_UINT;
    conf->window = NGX_CONF_UNSET;

    return conf;
}


static char *
ngx_http_sendgrid_amp_key_merge_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_sendgrid_amp_key_conf_t  *prev = parent;
    ngx_http_sendgrid_amp_key_conf_t  *conf = child;

    ngx_uint_t                         signature;
    ngx_http_sendgrid_amp_loc_conf_t  *alcf;

    ngx_conf_merge_sec_value(conf->window, prev->window, 0);

    /* what was set stays known, so that "off" is no missing key */

    signature = conf->signature;

    if (conf->signature == NGX_CONF_UNSET_UINT) {
        conf->signature = prev->signature;
    }

    if (conf->public_keys == NGX_CONF_UNSET_PTR) {
        conf->public_keys = prev->public_keys;
    }

    if (conf->public_keys != NGX_CONF_UNSET_PTR) {
        conf->keys = conf->public_keys;
    }

    alcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_sendgrid_amp_module);

    if (alcf->flow != NULL
        && conf->keys == NULL
        && (signature != NGX_CONF_UNSET_UINT
            || (conf->signature != NGX_CONF_UNSET_UINT
                && conf->public_keys == NGX_CONF_UNSET_PTR)))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"sendgrid_amp_signature\" requires "
                           "\"sendgrid_amp_public_key\"");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
