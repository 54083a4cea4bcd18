
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_PEM_H_INCLUDED_
#define _SGAMP_PEM_H_INCLUDED_


#include "sgamp_base64.h"


#define SGAMP_PEM_TEXT  8192 /* characters of base64, at most */
#define SGAMP_PEM_DER   sgamp_base64_decoded(SGAMP_PEM_TEXT)


/*
 * Decodes a public key in PEM, or in base64 without the lines that PEM has
 * before and after it; white space may be anywhere in the base64 of both.
 * Returns NULL, or a text that says what else it is, never freed.
 */
const char *sgamp_pem_decode(u_char der[SGAMP_PEM_DER], size_t *size,
    const u_char *text, size_t n);

/* the kind of a text that is no key, never freed; NULL: not known */
const char *sgamp_pem_other(const u_char *text, size_t n);


#endif /* _SGAMP_PEM_H_INCLUDED_ */
