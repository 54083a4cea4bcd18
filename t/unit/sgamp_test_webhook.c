
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_test_env.h"


/*
 * A second parser of webhooks, to compare the first one with.  It is given
 * all bytes, knows no limits of size and makes nothing of what it reads.
 *
 * The fault is the first byte that no token goes on with; the first byte of a
 * whole token that is out of place; a bracket of one level too many; the
 * first byte after the end; or the end of a text that was cut short.
 */


typedef enum {
    SGAMP_TEST_END = 0, /* of the text, maybe inside of a token */
    SGAMP_TEST_FAULT,
    SGAMP_TEST_MARK, /* one of []{},: */
    SGAMP_TEST_STRING,
    SGAMP_TEST_SCALAR /* a number, true, false or null */
} sgamp_test_token_e;


typedef struct {
    const u_char        *start; /* of the text */
    const u_char        *last;
    const u_char        *p;     /* past the token, or the fault */
    const u_char        *token;
    unsigned             depth;
    sgamp_test_token_e   type;
    u_char               mark;
} sgamp_test_reader_t;


static int sgamp_test_bom(sgamp_test_reader_t *r);
static int sgamp_test_document(sgamp_test_reader_t *r, size_t *n);
static int sgamp_test_value(sgamp_test_reader_t *r);
static int sgamp_test_object(sgamp_test_reader_t *r);
static int sgamp_test_array(sgamp_test_reader_t *r);
static int sgamp_test_misplaced(sgamp_test_reader_t *r);
static void sgamp_test_token(sgamp_test_reader_t *r);
static sgamp_test_token_e sgamp_test_string(sgamp_test_reader_t *r);
static sgamp_test_token_e sgamp_test_number(sgamp_test_reader_t *r);
static sgamp_test_token_e sgamp_test_digits(sgamp_test_reader_t *r);
static sgamp_test_token_e sgamp_test_word(sgamp_test_reader_t *r,
    const char *word);
static int sgamp_test_is_mark(sgamp_test_reader_t *r, u_char mark);


void
sgamp_test_webhook(const u_char *p, size_t n, sgamp_test_want_t *want)
{
    sgamp_test_reader_t  r;

    memset(want, 0, sizeof(sgamp_test_want_t));
    memset(&r, 0, sizeof(sgamp_test_reader_t));

    r.start = p;
    r.last = p + n;
    r.p = p;

    want->status = sgamp_test_bom(&r);

    if (want->status == SGAMP_OK) {
        want->status = sgamp_test_document(&r, &want->nevents);
    }

    want->at = r.p - r.start;
}


static int
sgamp_test_bom(sgamp_test_reader_t *r)
{
    size_t  len;

    if (r->p == r->last || r->p[0] != 0xef) {
        return SGAMP_OK;
    }

    /* cut short or not */

    len = r->last - r->p;
    len = (len < 3) ? len : 3;

    if (memcmp(r->p, "\xef\xbb\xbf", len) != 0) {
        return SGAMP_INVALID;
    }

    r->p += len;

    return SGAMP_OK;
}


static int
sgamp_test_document(sgamp_test_reader_t *r, size_t *n)
{
    int  rc, array;

    while (r->p < r->last && strchr(" \t\n\r", *r->p) && *r->p != '\0') {
        r->p++;
    }

    if (r->p == r->last || (*r->p != '[' && *r->p != '{')) {
        return SGAMP_INVALID;
    }

    array = *r->p == '[';

    if (array) {
        sgamp_test_token(r);
    }

    for ( ;; ) {
        sgamp_test_token(r);

        if (array && *n == 0 && sgamp_test_is_mark(r, ']')) {
            break;
        }

        r->depth = 0;

        rc = sgamp_test_value(r);

        if (rc != SGAMP_OK) {
            return rc;
        }

        (*n)++;

        if (!array) {
            break;
        }

        sgamp_test_token(r);

        if (sgamp_test_is_mark(r, ']')) {
            break;
        }

        if (!sgamp_test_is_mark(r, ',')) {
            return sgamp_test_misplaced(r);
        }
    }

    while (r->p < r->last && strchr(" \t\n\r", *r->p) && *r->p != '\0') {
        r->p++;
    }

    return (r->p == r->last) ? SGAMP_OK : SGAMP_INVALID;
}


static int
sgamp_test_value(sgamp_test_reader_t *r)
{
    int  rc;

    if (r->type == SGAMP_TEST_STRING || r->type == SGAMP_TEST_SCALAR) {
        return SGAMP_OK;
    }

    if (!sgamp_test_is_mark(r, '{') && !sgamp_test_is_mark(r, '[')) {
        return sgamp_test_misplaced(r);
    }

    if (r->depth == 40) {
        return sgamp_test_misplaced(r);
    }

    r->depth++;

    rc = (r->mark == '{') ? sgamp_test_object(r) : sgamp_test_array(r);

    r->depth--;

    return rc;
}


static int
sgamp_test_object(sgamp_test_reader_t *r)
{
    int       rc;
    unsigned  first;

    for (first = 1; /* void */; first = 0) {
        sgamp_test_token(r);

        if (first && sgamp_test_is_mark(r, '}')) {
            return SGAMP_OK;
        }

        if (r->type != SGAMP_TEST_STRING) {
            return sgamp_test_misplaced(r);
        }

        sgamp_test_token(r);

        if (!sgamp_test_is_mark(r, ':')) {
            return sgamp_test_misplaced(r);
        }

        sgamp_test_token(r);

        rc = sgamp_test_value(r);

        if (rc != SGAMP_OK) {
            return rc;
        }

        sgamp_test_token(r);

        if (sgamp_test_is_mark(r, '}')) {
            return SGAMP_OK;
        }

        if (!sgamp_test_is_mark(r, ',')) {
            return sgamp_test_misplaced(r);
        }
    }
}


static int
sgamp_test_array(sgamp_test_reader_t *r)
{
    int       rc;
    unsigned  first;

    for (first = 1; /* void */; first = 0) {
        sgamp_test_token(r);

        if (first && sgamp_test_is_mark(r, ']')) {
            return SGAMP_OK;
        }

        rc = sgamp_test_value(r);

        if (rc != SGAMP_OK) {
            return rc;
        }

        sgamp_test_token(r);

        if (sgamp_test_is_mark(r, ']')) {
            return SGAMP_OK;
        }

        if (!sgamp_test_is_mark(r, ',')) {
            return sgamp_test_misplaced(r);
        }
    }
}


static int
sgamp_test_misplaced(sgamp_test_reader_t *r)
{
    if (r->type != SGAMP_TEST_END && r->type != SGAMP_TEST_FAULT) {
        r->p = r->token;
    }

    return SGAMP_INVALID;
}


static void
sgamp_test_token(sgamp_test_reader_t *r)
{
    while (r->p < r->last
           && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n'
               || *r->p == '\r'))
    {
        r->p++;
    }

    r->token = r->p;
    r->mark = 0;

    if (r->p == r->last) {
        r->type = SGAMP_TEST_END;
        return;
    }

    switch (*r->p) {

    case '[':
    case ']':
    case '{':
    case '}':
    case ',':
    case ':':
        r->type = SGAMP_TEST_MARK;
        r->mark = *r->p++;
        return;

    case '"':
        r->type = sgamp_test_string(r);
        return;

    case 't':
        r->type = sgamp_test_word(r, "true");
        return;

    case 'f':
        r->type = sgamp_test_word(r, "false");
        return;

    case 'n':
        r->type = sgamp_test_word(r, "null");
        return;

    default:
        r->type = sgamp_test_number(r);
    }
}


static sgamp_test_token_e
sgamp_test_string(sgamp_test_reader_t *r)
{
    u_char    ch;
    unsigned  hex, escaped;

    hex = 0;
    escaped = 0;

    for (r->p++; r->p < r->last; r->p++) {
        ch = *r->p;

        if (ch < ' ') {
            return SGAMP_TEST_FAULT;
        }

        if (hex != 0) {

            if (!strchr("0123456789abcdefABCDEF", ch)) {
                return SGAMP_TEST_FAULT;
            }

            hex--;

        } else if (escaped) {

            if (!strchr("\"\\/bfnrtu", ch)) {
                return SGAMP_TEST_FAULT;
            }

            escaped = 0;
            hex = (ch == 'u') ? 4 : 0;

        } else if (ch == '\\') {
            escaped = 1;

        } else if (ch == '"') {
            r->p++;
            return SGAMP_TEST_STRING;
        }
    }

    return SGAMP_TEST_END;
}


static sgamp_test_token_e
sgamp_test_number(sgamp_test_reader_t *r)
{
    sgamp_test_token_e  type;

    if (*r->p == '-') {
        r->p++;

    } else if (*r->p < '0' || *r->p > '9') {
        return SGAMP_TEST_FAULT;
    }

    if (r->p < r->last && *r->p == '0') {
        r->p++;

    } else {
        type = sgamp_test_digits(r);

        if (type != SGAMP_TEST_SCALAR) {
            return type;
        }
    }

    if (r->p < r->last && *r->p == '.') {
        r->p++;

        type = sgamp_test_digits(r);

        if (type != SGAMP_TEST_SCALAR) {
            return type;
        }
    }

    if (r->p < r->last && (*r->p == 'e' || *r->p == 'E')) {
        r->p++;

        if (r->p < r->last && (*r->p == '+' || *r->p == '-')) {
            r->p++;
        }

        type = sgamp_test_digits(r);

        if (type != SGAMP_TEST_SCALAR) {
            return type;
        }
    }

    /* only the byte that follows ends a number, and it may be no token */

    if (r->p == r->last) {
        return SGAMP_TEST_END;
    }

    if (*r->p == '\v' || *r->p == '\f') {
        return SGAMP_TEST_FAULT;
    }

    return SGAMP_TEST_SCALAR;
}


static sgamp_test_token_e
sgamp_test_digits(sgamp_test_reader_t *r)
{
    const u_char  *start;

    for (start = r->p; r->p < r->last && *r->p >= '0' && *r->p <= '9'; r->p++)
    {
        /* void */
    }

    if (r->p > start) {
        return SGAMP_TEST_SCALAR;
    }

    return (r->p == r->last) ? SGAMP_TEST_END : SGAMP_TEST_FAULT;
}


static sgamp_test_token_e
sgamp_test_word(sgamp_test_reader_t *r, const char *word)
{
    for ( /* void */ ; *word != '\0'; word++) {

        if (r->p == r->last) {
            return SGAMP_TEST_END;
        }

        if (*r->p != (u_char) *word) {
            return SGAMP_TEST_FAULT;
        }

        r->p++;
    }

    return SGAMP_TEST_SCALAR;
}


static int
sgamp_test_is_mark(sgamp_test_reader_t *r, u_char mark)
{
    return r->type == SGAMP_TEST_MARK && r->mark == mark;
}
