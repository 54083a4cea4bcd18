
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_FORMAT_H_INCLUDED_
#define _SGAMP_FORMAT_H_INCLUDED_


#include "sgamp.h"


/* how figures are written */

typedef enum {
    SGAMP_FORMAT_HTML = 0,
    SGAMP_FORMAT_JSON,
    SGAMP_FORMAT_PROMETHEUS,
    SGAMP_FORMATS /* how many there are */
} sgamp_format_e;


/* the format of this name, SGAMP_FORMATS if there is none */
sgamp_format_e sgamp_format_lookup(const u_char *name, size_t len);

/*
 * The format that a client likes best by the value of its header "Accept",
 * RFC 9110, 12.5.1; the first one of those that it likes as much.
 */
sgamp_format_e sgamp_format_accept(const u_char *p, size_t len);


#endif /* _SGAMP_FORMAT_H_INCLUDED_ */
