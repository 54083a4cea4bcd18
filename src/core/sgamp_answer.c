
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_answer.h"
#include "sgamp_json.h"


#define SGAMP_ANSWER_MAX_SIZE   1048576 /* bytes that are parsed */
#define SGAMP_ANSWER_MAX_TOKEN  16384   /* bytes of a string or a number */
#define SGAMP_ANSWER_MAX_DEPTH  40      /* levels that yajl gets to see */


static void sgamp_answer_start(sgamp_answer_t *a);
static const u_char *sgamp_answer_scan(sgamp_answer_t *a, const u_char *p,
    const u_char *last);
static const u_char *sgamp_answer_plain(sgamp_answer_place_t *place,
    const u_char *p, const u_char *last);
static sgamp_answer_body_e sgamp_answer_byte(sgamp_answer_place_t *place,
    u_char ch);
static void sgamp_answer_parse(sgamp_answer_t *a, const u_char *p,
    const u_char *last);
static int sgamp_answer_number(void *ctx, const char *value, size_t len);
static int sgamp_answer_string(void *ctx, const u_char *value, size_t len);
static int sgamp_answer_open(void *ctx);
static int sgamp_answer_key(void *ctx, const u_char *key, size_t len);
static int sgamp_answer_close(void *ctx);
static int sgamp_answer_open_object(void *ctx);
static int sgamp_answer_open_array(void *ctx);
static int sgamp_answer_close_told(void *ctx);


static const u_char sgamp_answer_null[] = "null";


static const yajl_callbacks sgamp_answer_callbacks = {
    NULL,
    NULL,
    NULL,
    NULL,
    sgamp_answer_number,
    sgamp_answer_string,
    sgamp_answer_open,
    sgamp_answer_key,
    sgamp_answer_close,
    sgamp_answer_open,
    sgamp_answer_close
};


/* for a reader of brackets */

static const yajl_callbacks sgamp_answer_brackets = {
    NULL,
    NULL,
    NULL,
    NULL,
    sgamp_answer_number,
    sgamp_answer_string,
    sgamp_answer_open_object,
    sgamp_answer_key,
    sgamp_answer_close_told,
    sgamp_answer_open_array,
    sgamp_answer_close_told
};


void
sgamp_answer_init(sgamp_answer_t *a, const sgamp_answer_reader_t *reader,
    uint32_t n, sgamp_grow_t *grow, sgamp_str_t *reserve)
{
    sgamp_zero(a, sgamp_answer_t, reader, failed);

    sgamp_arena_init(&a->arena, grow, reserve);

    a->reader = reader;
    a->grow = grow;
    a->limit = SGAMP_ANSWER_MAX_SIZE;
    a->n = n;
    a->failed = 0;
}


void
sgamp_answer_feed(sgamp_answer_t *a, const u_char *data, size_t n)
{
    const u_char  *p, *last;

    last = data + n;

    for (p = data; p < last && !a->failed; /* void */) {

        if (a->body == SGAMP_ANSWER_OTHER
            || a->body == SGAMP_ANSWER_BROKEN)
        {
            return;
        }

        if (a->size == a->limit) {
            a->body = SGAMP_ANSWER_OTHER;
            return;
        }

        if (a->body == SGAMP_ANSWER_JSON) {
            p = sgamp_answer_scan(a, p, last);
            continue;
        }

        if (a->body == SGAMP_ANSWER_EMPTY && *p == '{') {
            sgamp_answer_start(a);
            continue;
        }

        /* before the object and behind the object */

        if (!sgamp_json_is_space(*p)) {
            a->body = SGAMP_ANSWER_OTHER;
            return;
        }

        a->size++;
        p++;
    }
}


void
sgamp_answer_read(sgamp_answer_t *a, size_t n)
{
    a->size = n;
    a->body = SGAMP_ANSWER_WHOLE;
}


static void
sgamp_answer_start(sgamp_answer_t *a)
{
    a->body = SGAMP_ANSWER_OTHER;

    a->yajl = sgamp_arena_yajl(&a->arena,
                               (a->reader->open == NULL)
                                   ? &sgamp_answer_callbacks
                                   : &sgamp_answer_brackets,
                               a);

    if (a->yajl == NULL) {
        a->failed = 1;
        return;
    }

    a->body = SGAMP_ANSWER_JSON;
}


static const u_char *
sgamp_answer_scan(sgamp_answer_t *a, const u_char *p, const u_char *last)
{
    unsigned              shown;
    const u_char         *begin, *start;
    sgamp_answer_body_e   body;
    sgamp_answer_place_t  place;

    /*
     * yajl buffers and nests without a limit, and tells what it has read only
     * at the end of a token: the limits are counted here, a byte at a time, so
     * that where an answer was cut has no say
     */

    if ((size_t) (last - p) > a->limit - a->size) {
        last = p + (a->limit - a->size);
    }

    if (last - p > SGAMP_FEED_SIZE) {
        last = p + SGAMP_FEED_SIZE;
    }

    begin = p;
    start = p;
    place = a->place;
    body = SGAMP_ANSWER_JSON;
    shown = place.nesting <= SGAMP_ANSWER_MAX_DEPTH;

    while (p < last && body == SGAMP_ANSWER_JSON) {

        p = sgamp_answer_plain(&place, p, last);

        if (p == last) {
            break;
        }

        body = sgamp_answer_byte(&place, *p++);

        if (shown && place.nesting > SGAMP_ANSWER_MAX_DEPTH) {

            /* yajl gets a null for all that is too deep */

            sgamp_answer_parse(a, start, p - 1);
            sgamp_answer_parse(a, sgamp_answer_null,
                                 sgamp_answer_null
                                 + sizeof(sgamp_answer_null) - 1);
            shown = 0;

        } else if (!shown && place.nesting == SGAMP_ANSWER_MAX_DEPTH) {
            start = p;
            shown = 1;
        }
    }

    a->place = place;
    a->size += p - begin;

    if (body == SGAMP_ANSWER_OTHER || body == SGAMP_ANSWER_BROKEN) {
        /* yajl does not see the byte that ends the reading */
        last = p - 1;

    } else {
        last = p;
    }

    if (shown) {
        sgamp_answer_parse(a, start, last);
    }

    if (a->body == SGAMP_ANSWER_JSON) {
        a->body = body;
    }

    return p;
}


static const u_char *
sgamp_answer_plain(sgamp_answer_place_t *place, const u_char *p,
    const u_char *last)
{
    const u_char  *begin;

    /* bytes of a token that neither end the token nor change what follows */

    if (place->token == 0 || place->escaped) {
        return p;
    }

    if ((size_t) (last - p) > SGAMP_ANSWER_MAX_TOKEN - place->token) {
        last = p + (SGAMP_ANSWER_MAX_TOKEN - place->token);
    }

    begin = p;

    if (place->quoted) {
        while (p < last && *p != '"' && *p != '\\') {
            p++;
        }

    } else {
        while (p < last && *p >= '0' && *p <= '9') {
            p++;
        }
    }

    place->token += p - begin;

    return p;
}


static sgamp_answer_body_e
sgamp_answer_byte(sgamp_answer_place_t *place, u_char ch)
{
    /* the state of the body after this byte, if yajl finds no fault */

    if (place->quoted) {
        place->quoted = (place->escaped || ch != '"');
        place->escaped = (!place->escaped && ch == '\\');
        place->token++;

    } else if (ch == '"') {
        place->quoted = 1;
        place->token = 1;

    } else if (ch == '\v' || ch == '\f') {

        /* yajl takes a vertical tab and a form feed for white space */

        return SGAMP_ANSWER_BROKEN;

    } else if (sgamp_json_is_space(ch) || ch == ',' || ch == ':') {
        place->token = 0;

    } else if (ch == '{' || ch == '[') {
        place->token = 0;
        place->nesting++;

    } else if (ch == '}' || ch == ']') {
        place->token = 0;
        place->nesting--;

        if (place->nesting == 0) {
            return SGAMP_ANSWER_WHOLE;
        }

    } else {
        place->token++;
    }

    return (place->token > SGAMP_ANSWER_MAX_TOKEN) ? SGAMP_ANSWER_OTHER
                                                     : SGAMP_ANSWER_JSON;
}


static void
sgamp_answer_parse(sgamp_answer_t *a, const u_char *p, const u_char *last)
{
    yajl_status  status;

    if (p == last || a->failed || a->body != SGAMP_ANSWER_JSON) {
        return;
    }

    if (sgamp_arena_feed(&a->arena, a->yajl, p, last - p, &status)
        != SGAMP_OK)
    {
        a->failed = 1;
        return;
    }

    if (status != yajl_status_ok) {
        a->body = SGAMP_ANSWER_BROKEN;
        return;
    }

    if (a->arena.pending > SGAMP_ANSWER_MAX_TOKEN) {
        a->arena.pending = SGAMP_ANSWER_MAX_TOKEN;
    }
}


sgamp_action_e
sgamp_answer_action(const sgamp_answer_t *a, const sgamp_answer_rule_t *rules,
    unsigned status, unsigned facts)
{
    const sgamp_answer_rule_t  *rule;

    if (a->failed) {
        return SGAMP_RETRY;
    }

    rule = rules;

    while (status < rule->from || status > rule->to
           || (facts & rule->needs) != rule->needs)
    {
        rule++;
    }

    return rule->action;
}


int
sgamp_answer_marks(sgamp_answer_t *a)
{
    if (a->marks != NULL) {
        return SGAMP_OK;
    }

    a->marks = a->grow->alloc(a->grow->data, a->n);
    if (a->marks == NULL) {
        a->failed = 1;
        return SGAMP_NOMEM;
    }

    memset(a->marks, 0, a->n);

    return SGAMP_OK;
}


void
sgamp_answer_done(sgamp_answer_t *a)
{
    sgamp_arena_done(&a->arena);

    if (a->marks != NULL) {
        a->grow->free(a->grow->data, a->marks);
        a->marks = NULL;
    }

    a->yajl = NULL;
}


static int
sgamp_answer_number(void *ctx, const char *value, size_t len)
{
    sgamp_answer_t  *a = ctx;

    a->arena.touched = 1;
    a->reader->number(a, (const u_char *) value, len);

    return 1;
}


static int
sgamp_answer_string(void *ctx, const u_char *value, size_t len)
{
    sgamp_answer_t  *a = ctx;

    a->arena.touched = 1;
    a->reader->string(a, value, len);

    return 1;
}


static int
sgamp_answer_open(void *ctx)
{
    sgamp_answer_t  *a = ctx;

    a->arena.touched = 1;
    a->depth++;

    return 1;
}


static int
sgamp_answer_key(void *ctx, const u_char *key, size_t len)
{
    sgamp_answer_t  *a = ctx;

    a->arena.touched = 1;
    a->reader->key(a, key, len);

    return 1;
}


static int
sgamp_answer_close(void *ctx)
{
    sgamp_answer_t  *a = ctx;

    a->arena.touched = 1;
    a->depth--;

    return 1;
}


static int
sgamp_answer_open_object(void *ctx)
{
    sgamp_answer_t  *a = ctx;

    a->arena.touched = 1;
    a->depth++;
    a->reader->open(a, 0);

    return 1;
}


static int
sgamp_answer_open_array(void *ctx)
{
    sgamp_answer_t  *a = ctx;

    a->arena.touched = 1;
    a->depth++;
    a->reader->open(a, 1);

    return 1;
}


static int
sgamp_answer_close_told(void *ctx)
{
    sgamp_answer_t  *a = ctx;

    a->arena.touched = 1;
    a->depth--;
    a->reader->close(a);

    return 1;
}
