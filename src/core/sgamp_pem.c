
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_pem.h"


#define SGAMP_PEM        "-----BEGIN "
#define SGAMP_PEM_BEGIN  "-----BEGIN PUBLIC KEY-----"
#define SGAMP_PEM_END    "-----END PUBLIC KEY-----"


/* what text tells that it is no public key */

typedef struct {
    const char  *text;
    const char  *found;
} sgamp_pem_label_t;


static const char *sgamp_pem_body(const u_char **text, size_t *n);
static const u_char *sgamp_pem_find(const u_char *p, size_t n,
    const char *text);
static const char *sgamp_pem_base64(u_char *der, size_t *size,
    const u_char *text, size_t n);


static const sgamp_pem_label_t sgamp_pem_labels[] = {
    { "PRIVATE KEY-----", "a private key" },
    { "-----BEGIN CERTIFICATE-----", "a certificate" },
    { "-----BEGIN RSA PUBLIC KEY-----", "RSA" },
    { "-----BEGIN EC PARAMETERS-----", "the parameters of a curve" },
    { NULL, NULL }
};


const char *
sgamp_pem_decode(u_char der[SGAMP_PEM_DER], size_t *size, const u_char *text,
    size_t n)
{
    const char  *found;

    found = sgamp_pem_body(&text, &n);

    if (found != NULL) {
        return found;
    }

    return sgamp_pem_base64(der, size, text, n);
}


static const char *
sgamp_pem_body(const u_char **text, size_t *n)
{
    const u_char             *begin, *end, *last;
    const sgamp_pem_label_t  *label;

    if (sgamp_pem_find(*text, *n, SGAMP_PEM) == NULL) {
        return NULL;
    }

    for (label = sgamp_pem_labels; label->text != NULL; label++) {
        if (sgamp_pem_find(*text, *n, label->text) != NULL) {
            return label->found;
        }
    }

    begin = sgamp_pem_find(*text, *n, SGAMP_PEM_BEGIN);

    if (begin == NULL) {
        return "PEM of another kind";
    }

    last = *text + *n;
    begin += sizeof(SGAMP_PEM_BEGIN) - 1;

    end = sgamp_pem_find(begin, last - begin, SGAMP_PEM_END);

    if (end == NULL) {
        return "PEM without its last line";
    }

    if (sgamp_pem_find(end, last - end, SGAMP_PEM) != NULL) {
        return "more than one key";
    }

    *text = begin;
    *n = end - begin;

    return NULL;
}


static const u_char *
sgamp_pem_find(const u_char *p, size_t n, const char *text)
{
    size_t  i, len;

    len = strlen(text);

    for (i = 0; i + len <= n; i++) {
        if (memcmp(p + i, text, len) == 0) {
            return p + i;
        }
    }

    return NULL;
}


static const char *
sgamp_pem_base64(u_char *der, size_t *size, const u_char *text, size_t n)
{
    size_t   i, len;
    u_char   buf[SGAMP_PEM_TEXT];
    ssize_t  rc;

    len = 0;

    for (i = 0; i < n; i++) {

        if (text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r')) {
            continue;
        }

        if (len == sizeof(buf)) {
            return "too much text";
        }

        buf[len++] = text[i];
    }

    if (len == 0) {
        return "nothing";
    }

    rc = sgamp_base64_decode(der, buf, len);

    if (rc == -1) {
        return "no base64";
    }

    *size = rc;

    return NULL;
}
