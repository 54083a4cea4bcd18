
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp_cohort.h"


/*
 * The directive "sendgrid_amp_test_ledger" makes a location that calls a
 * function of the ledger and answers with the process and the result, for tests
 * only.  Arguments of the request: do, key, list, run, remove, ask.
 */


#define NGX_HTTP_SENDGRID_AMP_TEST_TEXT    256
#define NGX_HTTP_SENDGRID_AMP_TEST_WINDOW  45000  /* ms */
#define NGX_HTTP_SENDGRID_AMP_TEST_TIME    60000  /* ms */


static char *ngx_http_sendgrid_amp_test_ledger(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static ngx_int_t ngx_http_sendgrid_amp_test_handler(ngx_http_request_t *r);
static u_char *ngx_http_sendgrid_amp_test_call(ngx_http_request_t *r,
    sgamp_ledger_t *ledger, ngx_str_t *name, u_char *p, u_char *last);
static u_char *ngx_http_sendgrid_amp_test_begin(ngx_http_request_t *r,
    sgamp_ledger_t *ledger, u_char *p, u_char *last);
static ngx_uint_t ngx_http_sendgrid_amp_test_number(ngx_http_request_t *r,
    const char *name);


static ngx_command_t  ngx_http_sendgrid_amp_test_ledger_commands[] = {

    { ngx_string("sendgrid_amp_test_ledger"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_sendgrid_amp_test_ledger,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_sendgrid_amp_test_ledger_module_ctx = {
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
};


ngx_module_t  ngx_http_sendgrid_amp_test_ledger_module = {
    NGX_MODULE_V1,
    &ngx_http_sendgrid_amp_test_ledger_module_ctx,
    ngx_http_sendgrid_amp_test_ledger_commands,
    NGX_HTTP_MODULE,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NGX_MODULE_V1_PADDING
};


static char *
ngx_http_sendgrid_amp_test_ledger(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    clcf->handler = ngx_http_sendgrid_amp_test_handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_sendgrid_amp_test_handler(ngx_http_request_t *r)
{
    u_char                               *p, *last;
    ngx_str_t                             name;
    sgamp_ledger_t                       *ledger;
    ngx_http_complex_value_t              cv;
    ngx_http_sendgrid_amp_cohort_zone_t  *zcf;

    static ngx_str_t  type = ngx_string("text/plain");

    zcf = ngx_http_get_module_main_conf(r,
                                    ngx_http_sendgrid_amp_cohort_zone_module);

    ngx_memzero(&cv, sizeof(ngx_http_complex_value_t));

    cv.value.data = ngx_pnalloc(r->pool, NGX_HTTP_SENDGRID_AMP_TEST_TEXT);

    if (cv.value.data == NULL
        || ngx_http_arg(r, (u_char *) "do", sizeof("do") - 1, &name) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = cv.value.data;
    last = p + NGX_HTTP_SENDGRID_AMP_TEST_TEXT;

    p = ngx_slprintf(p, last, "%P ", ngx_pid);

    ledger = ngx_http_sendgrid_amp_lock_ledger(zcf);

    p = ngx_http_sendgrid_amp_test_call(r, ledger, &name, p, last);

    ngx_http_sendgrid_amp_unlock_ledger(zcf);

    cv.value.len = p - cv.value.data;

    return ngx_http_send_response(r, NGX_HTTP_OK, &type, &cv);
}


static u_char *
ngx_http_sendgrid_amp_test_call(ngx_http_request_t *r, sgamp_ledger_t *ledger,
    ngx_str_t *name, u_char *p, u_char *last)
{
    ngx_uint_t             ask;
    sgamp_ledger_count_t   room;
    sgamp_ledger_change_t  change;

    switch (name->data[0]) {

    case 'b': /* begin */
        return ngx_http_sendgrid_amp_test_begin(r, ledger, p, last);

    case 'd': /* die, with the lock */
        (void) raise(SIGKILL);
        return p;

    case 'r': /* room */
        sgamp_ledger_room(ledger, &room);
        return ngx_slprintf(p, last, "%uD %uD", room.contacts, room.messages);

    case 'h': /* hash key */
        return ngx_slprintf(p, last, "%016xL%016xL",
                            sgamp_ledger_hash_key(ledger)->k[0],
                            sgamp_ledger_hash_key(ledger)->k[1]);

    default: /* contact */
        change.list = ngx_http_sendgrid_amp_test_number(r, "list");
        change.run = ngx_http_sendgrid_amp_test_number(r, "run");
        change.operation = ngx_http_sendgrid_amp_test_number(r, "remove")
                           ? SGAMP_REMOVE
                           : SGAMP_ADD;
        change.window = NGX_HTTP_SENDGRID_AMP_TEST_WINDOW;
        change.now = ngx_http_sendgrid_amp_ledger_now();

        ask = ngx_http_sendgrid_amp_test_number(r, "ask");

        return ngx_slprintf(p, last, "%d",
                            (int) sgamp_ledger_contact(ledger, &change,
                                ngx_http_sendgrid_amp_test_number(r, "key"),
                                ask));
    }
}


static u_char *
ngx_http_sendgrid_amp_test_begin(ngx_http_request_t *r, sgamp_ledger_t *ledger,
    u_char *p, u_char *last)
{
    int                     state;
    uint64_t                run, now;
    sgamp_ledger_key_t      key;
    sgamp_ledger_owner_t    owner;
    sgamp_ledger_summary_t  summary;

    now = ngx_http_sendgrid_amp_ledger_now();
    run = ngx_http_sendgrid_amp_test_number(r, "run");

    owner.process = ngx_pid;
    owner.request = r->connection->number;

    key.part[0] = (uint64_t) ngx_http_sendgrid_amp_test_number(r, "key") << 40;
    key.part[1] = 1;

    state = sgamp_ledger_begin(ledger, &key, &owner,
                               ngx_http_sendgrid_amp_ledger_alive, &run,
                               now + NGX_HTTP_SENDGRID_AMP_TEST_TIME, now,
                               &summary);

    return ngx_slprintf(p, last, "%d %uL", state, run);
}


static ngx_uint_t
ngx_http_sendgrid_amp_test_number(ngx_http_request_t *r, const char *name)
{
    ngx_int_t  n;
    ngx_str_t  value;

    if (ngx_http_arg(r, (u_char *) name, ngx_strlen(name), &value) != NGX_OK) {
        return 0;
    }

    n = ngx_atoi(value.data, value.len);

    return (n != NGX_ERROR) ? (ngx_uint_t) n : 0;
}
