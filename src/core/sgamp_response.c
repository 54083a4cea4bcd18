
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_json.h"
#include "sgamp_response.h"
#include "sgamp_users.h"


#define SGAMP_RESPONSE_MAX_SIZE   1048576 /* bytes that are parsed */
#define SGAMP_RESPONSE_MAX_TOKEN  16384   /* bytes of a string or a number */
#define SGAMP_RESPONSE_MAX_DEPTH  40      /* levels that yajl gets to see */
#define SGAMP_RESPONSE_DIGITS     18      /* more are beyond any count */


/* what has to be true of an answer, for a rule to apply */

#define SGAMP_RESPONSE_ANY        0x00
#define SGAMP_RESPONSE_ACCEPTS    0x01
#define SGAMP_RESPONSE_REFUSES    0x02
#define SGAMP_RESPONSE_REJECTS    0x04
#define SGAMP_RESPONSE_THROTTLES  0x08


typedef struct {
    unsigned        from;  /* status lines */
    unsigned        to;
    unsigned        needs;
    sgamp_action_e  action;
} sgamp_response_rule_t;


typedef struct {
    sgamp_str_t           name;
    sgamp_response_key_e  key;
} sgamp_response_name_t;


static void sgamp_response_start(sgamp_response_t *rs);
static const u_char *sgamp_response_scan(sgamp_response_t *rs,
    const u_char *p, const u_char *last);
static const u_char *sgamp_response_plain(sgamp_response_place_t *place,
    const u_char *p, const u_char *last);
static sgamp_response_body_e sgamp_response_byte(
    sgamp_response_place_t *place, u_char ch);
static void sgamp_response_parse(sgamp_response_t *rs, const u_char *p,
    const u_char *last);
static unsigned sgamp_response_facts(sgamp_response_t *rs, unsigned status,
    unsigned complete, const sgamp_batch_t *batch, const sgamp_part_t *part);
static int sgamp_response_number(void *ctx, const char *value, size_t len);
static int sgamp_response_string(void *ctx, const u_char *value, size_t len);
static int sgamp_response_open(void *ctx);
static int sgamp_response_map_key(void *ctx, const u_char *key, size_t len);
static int sgamp_response_close(void *ctx);
static int sgamp_response_marks(sgamp_response_t *rs);
static void sgamp_response_mark(sgamp_response_t *rs, int64_t n);
static void sgamp_response_name(sgamp_response_t *rs, const u_char *name,
    size_t len);


/* the first rule that fits applies */

static const sgamp_response_rule_t sgamp_response_rules[] = {
    { 200, 200, SGAMP_RESPONSE_ACCEPTS, SGAMP_FORWARD },
    { 400, 400, SGAMP_RESPONSE_REFUSES, SGAMP_REFUSE },
    { 400, 400, SGAMP_RESPONSE_REJECTS, SGAMP_REJECT },
    { 408, 408, SGAMP_RESPONSE_ANY, SGAMP_RETRY },
    { 429, 429, SGAMP_RESPONSE_THROTTLES, SGAMP_THROTTLE },
    { 429, 429, SGAMP_RESPONSE_ANY, SGAMP_WAIT },
    { 100, 199, SGAMP_RESPONSE_ANY, SGAMP_HALVE },
    { 300, 499, SGAMP_RESPONSE_ANY, SGAMP_HALVE },
    { 0, (unsigned) -1, SGAMP_RESPONSE_ANY, SGAMP_RETRY }
};


static const sgamp_response_name_t sgamp_response_keys[] = {
    { sgamp_str("code"), SGAMP_RESPONSE_CODE },
    { sgamp_str("error"), SGAMP_RESPONSE_ERROR },
    { sgamp_str("missing_field"), SGAMP_RESPONSE_MISSING_FIELD },
    { sgamp_str("events_ingested"), SGAMP_RESPONSE_INGESTED },
    { sgamp_str("silenced_events"), SGAMP_RESPONSE_SILENCED_EVENTS },
    { sgamp_str("throttled_events"), SGAMP_RESPONSE_THROTTLED_EVENTS },
    { sgamp_str("throttled_users"), SGAMP_RESPONSE_THROTTLED_USERS },
    { sgamp_str("exceeded_daily_quota_users"),
      SGAMP_RESPONSE_THROTTLED_USERS },
    { { 0, NULL }, SGAMP_RESPONSE_UNKNOWN }
};


static const u_char sgamp_response_null[] = "null";


static const yajl_callbacks sgamp_response_callbacks = {
    NULL,
    NULL,
    NULL,
    NULL,
    sgamp_response_number,
    sgamp_response_string,
    sgamp_response_open,
    sgamp_response_map_key,
    sgamp_response_close,
    sgamp_response_open,
    sgamp_response_close
};


void
sgamp_response_init(sgamp_response_t *rs, uint32_t n, sgamp_grow_t *grow,
    sgamp_str_t *reserve)
{
    memset(rs, 0, sizeof(sgamp_response_t));

    sgamp_arena_init(&rs->arena, grow, reserve);

    rs->grow = grow;
    rs->n = n;
    rs->ingested = -1;
}


void
sgamp_response_feed(sgamp_response_t *rs, const u_char *data, size_t n)
{
    const u_char  *p, *last;

    last = data + n;

    for (p = data; p < last && !rs->failed; /* void */) {

        if (rs->body == SGAMP_RESPONSE_OTHER
            || rs->body == SGAMP_RESPONSE_BROKEN)
        {
            return;
        }

        if (rs->size == SGAMP_RESPONSE_MAX_SIZE) {
            rs->body = SGAMP_RESPONSE_OTHER;
            return;
        }

        if (rs->body == SGAMP_RESPONSE_JSON) {
            p = sgamp_response_scan(rs, p, last);
            continue;
        }

        if (rs->body == SGAMP_RESPONSE_EMPTY && *p == '{') {
            sgamp_response_start(rs);
            continue;
        }

        /* before the object and behind the object */

        if (!sgamp_json_is_space(*p)) {
            rs->body = SGAMP_RESPONSE_OTHER;
            return;
        }

        rs->size++;
        p++;
    }
}


static void
sgamp_response_start(sgamp_response_t *rs)
{
    rs->body = SGAMP_RESPONSE_OTHER;

    if (sgamp_arena_reserve(&rs->arena, 0, 0) != SGAMP_OK) {
        rs->failed = 1;
        return;
    }

    rs->yajl = yajl_alloc(&sgamp_response_callbacks, &rs->arena.funcs, rs);

    if (rs->yajl == NULL || rs->arena.failed) {
        rs->failed = 1;
        return;
    }

    (void) yajl_config(rs->yajl, yajl_dont_validate_strings, 1);

    rs->body = SGAMP_RESPONSE_JSON;
}


static const u_char *
sgamp_response_scan(sgamp_response_t *rs, const u_char *p, const u_char *last)
{
    unsigned                shown;
    const u_char           *begin, *start;
    sgamp_response_body_e   body;
    sgamp_response_place_t  place;

    /*
     * yajl buffers and nests without a limit, and tells what it has read only
     * at the end of a token: the limits are counted here, a byte at a time, so
     * that where an answer was cut has no say
     */

    if ((size_t) (last - p) > SGAMP_RESPONSE_MAX_SIZE - rs->size) {
        last = p + (SGAMP_RESPONSE_MAX_SIZE - rs->size);
    }

    if (last - p > SGAMP_FEED_SIZE) {
        last = p + SGAMP_FEED_SIZE;
    }

    begin = p;
    start = p;
    place = rs->place;
    body = SGAMP_RESPONSE_JSON;
    shown = place.nesting <= SGAMP_RESPONSE_MAX_DEPTH;

    while (p < last && body == SGAMP_RESPONSE_JSON) {

        p = sgamp_response_plain(&place, p, last);

        if (p == last) {
            break;
        }

        body = sgamp_response_byte(&place, *p++);

        if (shown && place.nesting > SGAMP_RESPONSE_MAX_DEPTH) {

            /* yajl gets a null for all that is too deep */

            sgamp_response_parse(rs, start, p - 1);
            sgamp_response_parse(rs, sgamp_response_null,
                                 sgamp_response_null
                                 + sizeof(sgamp_response_null) - 1);
            shown = 0;

        } else if (!shown && place.nesting == SGAMP_RESPONSE_MAX_DEPTH) {
            start = p;
            shown = 1;
        }
    }

    rs->place = place;
    rs->size += p - begin;

    if (body == SGAMP_RESPONSE_OTHER || body == SGAMP_RESPONSE_BROKEN) {
        /* yajl does not see the byte that ends the reading */
        last = p - 1;

    } else {
        last = p;
    }

    if (shown) {
        sgamp_response_parse(rs, start, last);
    }

    if (rs->body == SGAMP_RESPONSE_JSON) {
        rs->body = body;
    }

    return p;
}


static const u_char *
sgamp_response_plain(sgamp_response_place_t *place, const u_char *p,
    const u_char *last)
{
    const u_char  *begin;

    /* bytes of a token that neither end the token nor change what follows */

    if (place->token == 0 || place->escaped) {
        return p;
    }

    if ((size_t) (last - p) > SGAMP_RESPONSE_MAX_TOKEN - place->token) {
        last = p + (SGAMP_RESPONSE_MAX_TOKEN - place->token);
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


static sgamp_response_body_e
sgamp_response_byte(sgamp_response_place_t *place, u_char ch)
{
    /* what the body is with this byte, if yajl agrees */

    if (place->quoted) {
        place->quoted = (place->escaped || ch != '"');
        place->escaped = (!place->escaped && ch == '\\');
        place->token++;

    } else if (ch == '"') {
        place->quoted = 1;
        place->token = 1;

    } else if (ch == '\v' || ch == '\f') {

        /* yajl takes these two for white space */

        return SGAMP_RESPONSE_BROKEN;

    } else if (sgamp_json_is_space(ch) || ch == ',' || ch == ':') {
        place->token = 0;

    } else if (ch == '{' || ch == '[') {
        place->token = 0;
        place->nesting++;

    } else if (ch == '}' || ch == ']') {
        place->token = 0;
        place->nesting--;

        if (place->nesting == 0) {
            return SGAMP_RESPONSE_WHOLE;
        }

    } else {
        place->token++;
    }

    return (place->token > SGAMP_RESPONSE_MAX_TOKEN) ? SGAMP_RESPONSE_OTHER
                                                     : SGAMP_RESPONSE_JSON;
}


static void
sgamp_response_parse(sgamp_response_t *rs, const u_char *p, const u_char *last)
{
    size_t       n;
    yajl_status  status;

    n = last - p;

    if (n == 0 || rs->failed || rs->body != SGAMP_RESPONSE_JSON) {
        return;
    }

    if (sgamp_arena_reserve(&rs->arena, rs->pending, n) != SGAMP_OK) {
        rs->failed = 1;
        return;
    }

    rs->touched = 0;

    status = yajl_parse(rs->yajl, p, n);

    if (rs->arena.failed) {
        rs->failed = 1;
        return;
    }

    if (status != yajl_status_ok) {
        rs->body = SGAMP_RESPONSE_BROKEN;
        return;
    }

    rs->pending = rs->touched ? n : rs->pending + n;

    if (rs->pending > SGAMP_RESPONSE_MAX_TOKEN) {
        rs->pending = SGAMP_RESPONSE_MAX_TOKEN;
    }
}


sgamp_action_e
sgamp_response_action(sgamp_response_t *rs, unsigned status,
    unsigned complete, const sgamp_batch_t *batch, const sgamp_part_t *part)
{
    unsigned                      facts;
    const sgamp_response_rule_t  *rule;

    facts = sgamp_response_facts(rs, status, complete, batch, part);

    if (rs->failed) {
        return SGAMP_RETRY;
    }

    rule = sgamp_response_rules;

    while (status < rule->from || status > rule->to
           || (facts & rule->needs) != rule->needs)
    {
        rule++;
    }

    return rule->action;
}


static unsigned
sgamp_response_facts(sgamp_response_t *rs, unsigned status,
    unsigned complete, const sgamp_batch_t *batch, const sgamp_part_t *part)
{
    uint32_t  i;
    unsigned  facts;

    facts = SGAMP_RESPONSE_ANY;

    /*
     * a connection that ends with the body cannot tell a whole answer from
     * one cut short, but an object can
     */

    if (complete && rs->body == SGAMP_RESPONSE_WHOLE
        && (rs->code || rs->counted))
    {
        facts |= SGAMP_RESPONSE_ACCEPTS;
    }

    if (rs->refused) {
        facts |= SGAMP_RESPONSE_REFUSES;
    }

    if (rs->rejected) {
        facts |= SGAMP_RESPONSE_REJECTS;
    }

    if (status == 429 && rs->nusers != 0
        && sgamp_response_marks(rs) == SGAMP_OK)
    {
        sgamp_users_mark(batch, part, rs->users, rs->nusers, rs->marks,
                         SGAMP_RESPONSE_THROTTLED);
    }

    for (i = 0; rs->marks != NULL && i < rs->n; i++) {
        if (rs->marks[i] & SGAMP_RESPONSE_THROTTLED) {
            facts |= SGAMP_RESPONSE_THROTTLES;
            break;
        }
    }

    return facts;
}


sgamp_str_t
sgamp_response_field(const sgamp_response_t *rs, uint32_t n)
{
    unsigned     i;
    sgamp_str_t  field;

    i = (rs->marks == NULL) ? 0 : rs->marks[n] & SGAMP_RESPONSE_REJECTED;

    field.len = (i == 0) ? 0 : rs->fields[i - 1].len;
    field.data = (i == 0) ? NULL : (u_char *) rs->fields[i - 1].data;

    return field;
}


void
sgamp_response_done(sgamp_response_t *rs)
{
    sgamp_arena_done(&rs->arena);

    if (rs->marks != NULL) {
        rs->grow->free(rs->grow->data, rs->marks);
        rs->marks = NULL;
    }

    if (rs->users != NULL) {
        rs->grow->free(rs->grow->data, rs->users);
        rs->users = NULL;
    }

    rs->yajl = NULL;
}


static int
sgamp_response_number(void *ctx, const char *value, size_t len)
{
    sgamp_response_t  *rs = ctx;

    size_t   i;
    int64_t  n;

    static const char code[] = "200";

    rs->touched = 1;

    if (rs->depth == 1 && rs->key == SGAMP_RESPONSE_CODE) {
        rs->code = (len == sizeof(code) - 1 && memcmp(value, code, len) == 0);
        return 1;
    }

    /* a number is text here, of any length */

    n = 0;

    for (i = 0; i < len; i++) {

        if (value[i] < '0' || value[i] > '9') {
            return 1;
        }

        n = (i < SGAMP_RESPONSE_DIGITS) ? n * 10 + (value[i] - '0')
                                        : INT64_MAX;
    }

    if (rs->depth == 1) {

        if (rs->key == SGAMP_RESPONSE_INGESTED) {
            rs->ingested = n;
        }

        return 1;
    }

    switch (rs->key) {

    case SGAMP_RESPONSE_EVENTS_WITH:
    case SGAMP_RESPONSE_SILENCED_EVENTS:
    case SGAMP_RESPONSE_THROTTLED_EVENTS:
        sgamp_response_mark(rs, n);
        break;

    default:
        break;
    }

    return 1;
}


static int
sgamp_response_string(void *ctx, const u_char *value, size_t len)
{
    sgamp_response_t  *rs = ctx;

    static const char invalid_key[] = "Invalid API key";

    rs->touched = 1;

    if (rs->depth != 1) {
        return 1;
    }

    if (rs->key == SGAMP_RESPONSE_MISSING_FIELD && len != 0) {
        rs->refused = 1;
    }

    if (rs->key == SGAMP_RESPONSE_ERROR
        && len >= sizeof(invalid_key) - 1
        && memcmp(value, invalid_key, sizeof(invalid_key) - 1) == 0)
    {
        rs->refused = 1;
    }

    return 1;
}


static int
sgamp_response_open(void *ctx)
{
    sgamp_response_t  *rs = ctx;

    rs->touched = 1;

    rs->depth++;

    return 1;
}


static int
sgamp_response_close(void *ctx)
{
    sgamp_response_t  *rs = ctx;

    rs->touched = 1;
    rs->depth--;

    return 1;
}


static int
sgamp_response_map_key(void *ctx, const u_char *key, size_t len)
{
    sgamp_response_t  *rs = ctx;

    const sgamp_response_name_t  *name;

    static const char events_with[] = "events_with_";

    rs->touched = 1;

    if (rs->depth == 2) {

        if (rs->key == SGAMP_RESPONSE_EVENTS_WITH) {
            sgamp_response_name(rs, key, len);
        }

        if (rs->key == SGAMP_RESPONSE_THROTTLED_USERS
            && sgamp_users_add(rs->grow, &rs->users, &rs->nusers,
                               &rs->nalloc, key, len)
                   != SGAMP_OK)
        {
            rs->failed = 1;
        }
    }

    if (rs->depth != 1) {
        return 1;
    }

    rs->key = SGAMP_RESPONSE_UNKNOWN;

    if (len > sizeof(events_with) - 1
        && memcmp(key, events_with, sizeof(events_with) - 1) == 0)
    {
        rs->key = SGAMP_RESPONSE_EVENTS_WITH;
        sgamp_response_name(rs, key, len);
        return 1;
    }

    for (name = sgamp_response_keys; name->name.len != 0; name++) {
        if (name->name.len == len && memcmp(name->name.data, key, len) == 0) {
            rs->key = name->key;
            break;
        }
    }

    switch (rs->key) {

    case SGAMP_RESPONSE_CODE:
        rs->code = 0;
        break;

    case SGAMP_RESPONSE_INGESTED:
        rs->counted = 1;
        break;

    case SGAMP_RESPONSE_SILENCED_EVENTS:
        sgamp_response_name(rs, key, len);
        break;

    default:
        break;
    }

    return 1;
}


static void
sgamp_response_mark(sgamp_response_t *rs, int64_t n)
{
    /* indices that are not of this request are not believed */

    if (n >= rs->n || sgamp_response_marks(rs) != SGAMP_OK) {
        return;
    }

    if (rs->key == SGAMP_RESPONSE_THROTTLED_EVENTS) {
        rs->marks[n] |= SGAMP_RESPONSE_THROTTLED;
        return;
    }

    rs->rejected = 1;

    if ((rs->marks[n] & SGAMP_RESPONSE_REJECTED) == 0) {
        rs->marks[n] |= rs->field + 1;
    }
}


static int
sgamp_response_marks(sgamp_response_t *rs)
{
    if (rs->marks != NULL) {
        return SGAMP_OK;
    }

    rs->marks = rs->grow->alloc(rs->grow->data, rs->n);
    if (rs->marks == NULL) {
        rs->failed = 1;
        return SGAMP_NOMEM;
    }

    memset(rs->marks, 0, rs->n);

    return SGAMP_OK;
}


static void
sgamp_response_name(sgamp_response_t *rs, const u_char *name, size_t len)
{
    if (len > SGAMP_RESPONSE_FIELD_LEN) {
        len = SGAMP_RESPONSE_FIELD_LEN;
    }

    if (rs->nfields < SGAMP_RESPONSE_FIELDS) {
        rs->nfields++;
    }

    rs->field = rs->nfields - 1;

    memcpy(rs->fields[rs->field].data, name, len);
    rs->fields[rs->field].len = len;
}
