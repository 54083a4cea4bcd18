
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_pem.h"


#define SGAMP_PEM        "-----BEGIN "
#define SGAMP_PEM_BEGIN  "-----BEGIN PUBLIC KEY-----"
#define SGAMP_PEM_END    "-----END PUBLIC KEY-----"

#define SGAMP_PEM_HEX    32 /* digits of an API key of Amplitude's */

#define sgamp_pem_blank(ch)  ((ch) == ' ' || ((ch) >= '\t' && (ch) <= '\r'))


/* a part or the beginning of a text, and the kind of the text */

typedef struct {
    const char  *text;
    const char  *found;
} sgamp_pem_label_t;


static const char *sgamp_pem_body(const u_char **text, size_t *n);
static const u_char *sgamp_pem_find(const u_char *p, size_t n,
    const char *text);
static size_t sgamp_pem_hex(const u_char *p, size_t n);
static const char *sgamp_pem_base64(u_char *der, size_t *size,
    const u_char *text, size_t n);


static const sgamp_pem_label_t sgamp_pem_labels[] = {
    { "PRIVATE KEY-----", "a private key" },
    { "-----BEGIN CERTIFICATE-----", "a certificate" },
    { "-----BEGIN RSA PUBLIC KEY-----", "RSA" },
    { "-----BEGIN EC PARAMETERS-----", "the parameters of a curve" },
    { NULL, NULL }
};


#define SGAMP_PEM_JSON    "JSON (the value of its \"public_key\" is the key)"
#define SGAMP_PEM_QUOTES  "a text in quotes"
#define SGAMP_PEM_SSH     "a key of SSH"

static const sgamp_pem_label_t sgamp_pem_starts[] = {
    { "{", SGAMP_PEM_JSON },
    { "[", SGAMP_PEM_JSON },
    { "\"", SGAMP_PEM_QUOTES },
    { "'", SGAMP_PEM_QUOTES },
    { "`", SGAMP_PEM_QUOTES },
    { "\xe2\x80", SGAMP_PEM_QUOTES },
    { "\xef\xbb\xbf", "a byte order mark before the text" },
    { "\xff\xfe", "UTF-16" },
    { "\xfe\xff", "UTF-16" },
    { "ssh-", SGAMP_PEM_SSH },
    { "ecdsa-sha2-", SGAMP_PEM_SSH },
    { "-----", "a part of PEM (in nginx.conf, PEM has to be in quotes)" },
    { "$", "a variable" },
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


const char *
sgamp_pem_other(const u_char *text, size_t n)
{
    size_t                    len;
    const sgamp_pem_label_t  *start;

    while (n > 0 && sgamp_pem_blank(text[0])) {
        text++;
        n--;
    }

    for (start = sgamp_pem_starts; start->text != NULL; start++) {
        len = strlen(start->text);

        if (n >= len && memcmp(text, start->text, len) == 0) {
            return start->found;
        }
    }

    if (sgamp_pem_find(text, n, "SG.") != NULL) {
        return "an API key of SendGrid";
    }

    if (sgamp_pem_hex(text, n) == SGAMP_PEM_HEX) {
        return "32 hex digits (as an API key of Amplitude has)";
    }

    return NULL;
}


static size_t
sgamp_pem_hex(const u_char *p, size_t n)
{
    u_char  ch;
    size_t  i, digits;

    digits = 0;

    for (i = 0; i < n; i++) {
        ch = p[i] | 0x20;

        if ((p[i] >= '0' && p[i] <= '9') || (ch >= 'a' && ch <= 'f')) {
            digits++;

        } else if (!sgamp_pem_blank(p[i])) {
            return 0;
        }
    }

    return digits;
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
    size_t       i, len;
    u_char       buf[SGAMP_PEM_TEXT];
    ssize_t      rc;
    const char  *found;

    found = sgamp_pem_other(text, n);

    if (found != NULL) {
        return found;
    }

    len = 0;

    for (i = 0; i < n; i++) {

        if (sgamp_pem_blank(text[i])) {
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
