
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_response.h"
#include "sgamp_users.h"


#define SGAMP_RESPONSE_MAX_SIZE   1048576 /* bytes that are parsed */
#define SGAMP_RESPONSE_MAX_TOKEN  16384   /* bytes of a string or a number */
#define SGAMP_RESPONSE_MAX_DEPTH  40


/* what has to be true of an answer, for a rule to apply */

#define SGAMP_RESPONSE_ANY        0x00
#define SGAMP_RESPONSE_COMPLETE   0x01
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
static unsigned sgamp_response_facts(sgamp_response_t *rs, unsigned status,
    unsigned complete, const sgamp_batch_t *batch, const sgamp_part_t *part);
static int sgamp_response_integer(void *ctx, long long value);
static int sgamp_response_string(void *ctx, const u_char *value, size_t len);
static int sgamp_response_open(void *ctx);
static int sgamp_response_map_key(void *ctx, const u_char *key, size_t len);
static int sgamp_response_close(void *ctx);
static int sgamp_response_marks(sgamp_response_t *rs);
static void sgamp_response_mark(sgamp_response_t *rs, long long n);
static void sgamp_response_name(sgamp_response_t *rs, const u_char *name,
    size_t len);


/* the first rule that fits applies */

static const sgamp_response_rule_t sgamp_response_rules[] = {
    { 200, 200, SGAMP_RESPONSE_COMPLETE, SGAMP_FORWARD },
    { 400, 400, SGAMP_RESPONSE_REFUSES, SGAMP_REFUSE },
    { 400, 400, SGAMP_RESPONSE_REJECTS, SGAMP_REJECT },
    { 408, 408, SGAMP_RESPONSE_ANY, SGAMP_RETRY },
    { 429, 429, SGAMP_RESPONSE_THROTTLES, SGAMP_THROTTLE },
    { 429, 429, SGAMP_RESPONSE_ANY, SGAMP_HOLD },
    { 100, 199, SGAMP_RESPONSE_ANY, SGAMP_HALVE },
    { 300, 499, SGAMP_RESPONSE_ANY, SGAMP_HALVE },
    { 0, (unsigned) -1, SGAMP_RESPONSE_ANY, SGAMP_RETRY }
};


static const sgamp_response_name_t sgamp_response_keys[] = {
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


static const yajl_callbacks sgamp_response_callbacks = {
    NULL,
    NULL,
    sgamp_response_integer,
    NULL,
    NULL,
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
    size_t       size;
    yajl_status  status;

    while (n != 0 && rs->body == SGAMP_RESPONSE_EMPTY) {

        if (*data == '{') {
            sgamp_response_start(rs);

        } else if (*data > ' ') {
            rs->body = SGAMP_RESPONSE_OTHER;

        } else {
            data++;
            n--;
        }
    }

    while (n != 0 && rs->body == SGAMP_RESPONSE_JSON && !rs->failed) {
        size = (n < SGAMP_FEED_SIZE) ? n : SGAMP_FEED_SIZE;

        if (rs->size + size > SGAMP_RESPONSE_MAX_SIZE
            || rs->pending > SGAMP_RESPONSE_MAX_TOKEN)
        {
            rs->body = SGAMP_RESPONSE_OTHER;
            return;
        }

        if (sgamp_arena_reserve(&rs->arena, rs->pending, size) != SGAMP_OK) {
            rs->failed = 1;
            return;
        }

        rs->touched = 0;

        status = yajl_parse(rs->yajl, data, size);

        if (rs->arena.failed) {
            rs->failed = 1;
            return;
        }

        if (status != yajl_status_ok) {
            rs->body = SGAMP_RESPONSE_BROKEN;
            return;
        }

        rs->pending = rs->touched ? size : rs->pending + size;
        rs->size += size;
        data += size;
        n -= size;
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

    if (rs->body == SGAMP_RESPONSE_JSON && !rs->failed) {

        if (sgamp_arena_reserve(&rs->arena, rs->pending, 1) != SGAMP_OK) {
            rs->failed = 1;

        } else if (yajl_complete_parse(rs->yajl) != yajl_status_ok) {
            rs->body = SGAMP_RESPONSE_BROKEN;
        }

        rs->failed |= rs->arena.failed;
    }

    if (complete && rs->body != SGAMP_RESPONSE_BROKEN) {
        facts |= SGAMP_RESPONSE_COMPLETE;
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
sgamp_response_integer(void *ctx, long long value)
{
    sgamp_response_t  *rs = ctx;

    rs->touched = 1;

    if (rs->depth == 1) {

        if (rs->key == SGAMP_RESPONSE_INGESTED) {
            rs->ingested = value;
        }

        return 1;
    }

    switch (rs->key) {

    case SGAMP_RESPONSE_EVENTS_WITH:
    case SGAMP_RESPONSE_SILENCED_EVENTS:
    case SGAMP_RESPONSE_THROTTLED_EVENTS:
        sgamp_response_mark(rs, value);
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

    return ++rs->depth <= SGAMP_RESPONSE_MAX_DEPTH;
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

    if (rs->key == SGAMP_RESPONSE_SILENCED_EVENTS) {
        sgamp_response_name(rs, key, len);
    }

    return 1;
}


static void
sgamp_response_mark(sgamp_response_t *rs, long long n)
{
    /* indices that are not of this request are not believed */

    if (n < 0 || n >= rs->n || sgamp_response_marks(rs) != SGAMP_OK) {
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
