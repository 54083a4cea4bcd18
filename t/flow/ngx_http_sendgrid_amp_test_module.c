
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "ngx_http_sendgrid_amp.h"


/*
 * The directive "sendgrid_amp_test_flow", which stands behind "sendgrid_amp" in
 * a location and replaces its flow, for tests only.
 */


extern const ngx_http_sendgrid_amp_flow_t  ngx_http_sendgrid_amp_test_flow;
extern ngx_module_t  ngx_http_sendgrid_amp_test_ledger_module;


static char *ngx_http_sendgrid_amp_test(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_command_t  ngx_http_sendgrid_amp_test_commands[] = {

    { ngx_string("sendgrid_amp_test_flow"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_sendgrid_amp_test,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_sendgrid_amp_test_module_ctx = {
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
};


ngx_module_t  ngx_http_sendgrid_amp_test_module = {
    NGX_MODULE_V1,
    &ngx_http_sendgrid_amp_test_module_ctx,
    ngx_http_sendgrid_amp_test_commands,
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


#if (NGX_HTTP_SENDGRID_AMP_TEST_DYNAMIC)

/* what nginx's configure would write for a dynamic module */

ngx_module_t  *ngx_modules[] = { &ngx_http_sendgrid_amp_test_module,
                                 &ngx_http_sendgrid_amp_test_ledger_module,
                                 NULL };
char          *ngx_module_names[] = { "ngx_http_sendgrid_amp_test_module",
                                      "ngx_http_sendgrid_amp_test_ledger_"
                                      "module",
                                      NULL };
char          *ngx_module_order[] = { NULL };

#endif


static char *
ngx_http_sendgrid_amp_test(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_sendgrid_amp_loc_conf_t  *alcf;

    alcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_sendgrid_amp_module);

    alcf->flow = &ngx_http_sendgrid_amp_test_flow;

    return NGX_CONF_OK;
}
