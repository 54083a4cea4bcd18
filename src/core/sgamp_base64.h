
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_BASE64_H_INCLUDED_
#define _SGAMP_BASE64_H_INCLUDED_


#include "sgamp.h"


/* bytes that n characters decode to, at most */

#define sgamp_base64_decoded(n)  ((n) / 4 * 3)


/*
 * Decodes n characters of the standard alphabet to dst, which has room for
 * sgamp_base64_decoded(n) bytes.  Padding has to be complete and the bits that
 * it leaves over to be zero, so that there is one text only for any bytes.
 * Returns the number of bytes, or -1.
 */
ssize_t sgamp_base64_decode(u_char *dst, const u_char *src, size_t n);


#endif /* _SGAMP_BASE64_H_INCLUDED_ */
