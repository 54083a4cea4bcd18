
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_json.h"
#include "sgamp_event_answer.h"
#include "sgamp_text.h"


#define SGAMP_RESPONSE_DIGITS       18    /* more are beyond any count */
#define SGAMP_RESPONSE_FIRST_USERS  16    /* ids that have room at first */
#define SGAMP_RESPONSE_USERS        2000  /* a request has no more events */

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */

#define SGAMP_RESPONSE_BASIS        0xcbf29ce484222325ull
#define SGAMP_RESPONSE_PRIME        0x100000001b3ull


/* what has to be true of an answer, for a rule to apply */

#define SGAMP_RESPONSE_ANY        0x00
#define SGAMP_RESPONSE_ACCEPTS    0x01
#define SGAMP_RESPONSE_REFUSES    0x02
#define SGAMP_RESPONSE_REJECTS    0x04
#define SGAMP_RESPONSE_THROTTLES  0x08


typedef struct {
    sgamp_str_t           name;
    sgamp_response_key_e  key;
} sgamp_response_name_t;


static int sgamp_response_is_usual(sgamp_response_t *rs, const u_char *p,
    size_t n);
static unsigned sgamp_response_facts(sgamp_response_t *rs, unsigned status,
    unsigned complete, const sgamp_batch_t *batch, const sgamp_part_t *part);
static void sgamp_response_number(sgamp_answer_t *a, const u_char *p,
    size_t len);
static void sgamp_response_string(sgamp_answer_t *a, const u_char *p,
    size_t len);
static void sgamp_response_key(sgamp_answer_t *a, const u_char *key,
    size_t len);
static sgamp_response_key_e sgamp_response_find(const u_char *key,
    size_t len);
static void sgamp_response_mark(sgamp_response_t *rs, int64_t n);
static void sgamp_response_name(sgamp_response_t *rs, const u_char *name,
    size_t len);
static int sgamp_response_user(sgamp_response_t *rs, const u_char *id,
    size_t len);
static void sgamp_response_mark_users(sgamp_response_t *rs,
    const sgamp_batch_t *batch, const sgamp_part_t *part);
static uint64_t sgamp_response_hash(uint64_t hash, const u_char *p, size_t n);
static uint64_t sgamp_response_hash_user(const sgamp_batch_t *batch,
    uint32_t i);


/* the first rule that fits applies */

static const sgamp_answer_rule_t sgamp_response_rules[] = {
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


/* of an answer to a request that was accepted; two of them tell something */

static const sgamp_str_t sgamp_response_counts[] = {
    sgamp_str("code\":"),
    sgamp_str("events_ingested\":"),
    sgamp_str("payload_size_bytes\":"),
    sgamp_str("server_upload_time\":")
};

#define SGAMP_RESPONSE_COUNTS                                                 \
    (sizeof(sgamp_response_counts) / sizeof(sgamp_response_counts[0]))


static const sgamp_answer_reader_t sgamp_response_reader = {
    sgamp_response_key,
    sgamp_response_string,
    sgamp_response_number,
    NULL,
    NULL
};


void
sgamp_response_init(sgamp_response_t *rs, uint32_t n, sgamp_grow_t *grow,
    sgamp_str_t *reserve)
{
    sgamp_zero(rs, sgamp_response_t, key, fields);

    sgamp_answer_init(&rs->answer, &sgamp_response_reader, n, grow, reserve);

    rs->ingested = -1;
}


void
sgamp_response_feed(sgamp_response_t *rs, const u_char *data, size_t n)
{
    if (rs->answer.body == SGAMP_ANSWER_EMPTY
        && rs->answer.size == 0
        && sgamp_response_is_usual(rs, data, n))
    {
        sgamp_answer_read(&rs->answer, n);
        return;
    }

    sgamp_answer_feed(&rs->answer, data, n);
}


static int
sgamp_response_is_usual(sgamp_response_t *rs, const u_char *p, size_t n)
{
    unsigned            i, seen;
    sgamp_str_t         counts[SGAMP_RESPONSE_COUNTS];
    const u_char       *last;
    const sgamp_str_t  *name;

    /*
     * Most answers come whole, and have nothing but these members, each once at
     * most, whose values are whole numbers.  They are read here, for speed:
     * yajl takes as long to start as for half an event.  Any other text is left
     * to yajl.
     */

    last = p + n;
    seen = 0;

    while (last - p > 2 && *p == (seen ? ',' : '{') && p[1] == '"') {

        p += 2;

        for (i = 0; i < SGAMP_RESPONSE_COUNTS; i++) {
            if (sgamp_response_counts[i].data[0] == *p) {
                break;
            }
        }

        if (i == SGAMP_RESPONSE_COUNTS || (seen & (1u << i))) {
            return 0;
        }

        name = &sgamp_response_counts[i];

        if ((size_t) (last - p) <= name->len
            || memcmp(p, name->data, name->len) != 0)
        {
            return 0;
        }

        p += name->len;

        counts[i].data = (u_char *) p;
        p = sgamp_json_digits(p, last);
        counts[i].len = p - counts[i].data;

        if (counts[i].len == 0
            || counts[i].len > SGAMP_RESPONSE_DIGITS
            || (counts[i].len > 1 && counts[i].data[0] == '0'))
        {
            return 0;
        }

        seen |= 1u << i;
    }

    if (seen == 0 || last - p != 1 || *p != '}') {
        return 0;
    }

    rs->answer.depth = 1;

    for (i = 0; i < 2; i++) {

        if (seen & (1u << i)) {
            rs->key = SGAMP_RESPONSE_CODE;

            if (i == 1) {
                rs->key = SGAMP_RESPONSE_INGESTED;
                rs->counted = 1;
            }

            sgamp_response_number(&rs->answer, counts[i].data, counts[i].len);
        }
    }

    rs->answer.depth = 0;

    return 1;
}


sgamp_action_e
sgamp_response_action(sgamp_response_t *rs, unsigned status,
    unsigned complete, const sgamp_batch_t *batch, const sgamp_part_t *part)
{
    unsigned  facts;

    facts = sgamp_response_facts(rs, status, complete, batch, part);

    return sgamp_answer_action(&rs->answer, sgamp_response_rules, status,
                               facts);
}


static unsigned
sgamp_response_facts(sgamp_response_t *rs, unsigned status,
    unsigned complete, const sgamp_batch_t *batch, const sgamp_part_t *part)
{
    uint32_t  i;
    unsigned  facts;

    facts = SGAMP_RESPONSE_ANY;

    /*
     * without a length a connection cannot tell a whole answer from an answer
     * that was cut short, but the end of the object can
     */

    if (complete && rs->answer.body == SGAMP_ANSWER_WHOLE
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
        && sgamp_answer_marks(&rs->answer) == SGAMP_OK)
    {
        sgamp_response_mark_users(rs, batch, part);
    }

    for (i = 0; rs->answer.marks != NULL && i < rs->answer.n; i++) {
        if (rs->answer.marks[i] & SGAMP_ANSWER_THROTTLED) {
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

    i = 0;

    if (rs->answer.marks != NULL) {
        i = rs->answer.marks[n] & SGAMP_ANSWER_REJECTED;
    }

    field.len = (i == 0) ? 0 : rs->fields[i - 1].len;
    field.data = (i == 0) ? NULL : (u_char *) rs->fields[i - 1].data;

    return field;
}


void
sgamp_response_done(sgamp_response_t *rs)
{
    sgamp_grow_t  *grow;

    grow = rs->answer.grow;

    sgamp_answer_done(&rs->answer);

    if (rs->users != NULL) {
        grow->free(grow->data, rs->users);
        rs->users = NULL;
    }
}


static void
sgamp_response_number(sgamp_answer_t *a, const u_char *p, size_t len)
{
    sgamp_response_t  *rs = (sgamp_response_t *) a;

    size_t   i;
    int64_t  n;

    static const sgamp_str_t  code = sgamp_str("200");

    if (a->depth == 1 && rs->key == SGAMP_RESPONSE_CODE) {
        rs->code = sgamp_same(&code, p, len);
        return;
    }

    n = 0;

    for (i = 0; i < len; i++) {

        if (p[i] < '0' || p[i] > '9') {
            return;
        }

        n = (i < SGAMP_RESPONSE_DIGITS) ? n * 10 + (p[i] - '0') : INT64_MAX;
    }

    if (a->depth == 1) {

        if (rs->key == SGAMP_RESPONSE_INGESTED) {
            rs->ingested = n;
        }

        return;
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
}


static void
sgamp_response_string(sgamp_answer_t *a, const u_char *p, size_t len)
{
    sgamp_response_t  *rs = (sgamp_response_t *) a;

    static const char invalid_key[] = "Invalid API key";

    if (a->depth != 1) {
        return;
    }

    if (rs->key == SGAMP_RESPONSE_MISSING_FIELD && len != 0) {
        rs->refused = 1;
    }

    if (rs->key == SGAMP_RESPONSE_ERROR
        && len >= sizeof(invalid_key) - 1
        && memcmp(p, invalid_key, sizeof(invalid_key) - 1) == 0)
    {
        rs->refused = 1;
    }
}


static void
sgamp_response_key(sgamp_answer_t *a, const u_char *key, size_t len)
{
    sgamp_response_t  *rs = (sgamp_response_t *) a;

    if (a->depth == 2) {

        if (rs->key == SGAMP_RESPONSE_EVENTS_WITH) {
            sgamp_response_name(rs, key, len);
        }

        if (rs->key == SGAMP_RESPONSE_THROTTLED_USERS
            && sgamp_response_user(rs, key, len) != SGAMP_OK)
        {
            a->failed = 1;
        }
    }

    if (a->depth != 1) {
        return;
    }

    rs->key = sgamp_response_find(key, len);

    switch (rs->key) {

    case SGAMP_RESPONSE_CODE:
        rs->code = 0;
        break;

    case SGAMP_RESPONSE_INGESTED:
        rs->counted = 1;
        break;

    case SGAMP_RESPONSE_EVENTS_WITH:
    case SGAMP_RESPONSE_SILENCED_EVENTS:
        sgamp_response_name(rs, key, len);
        break;

    default:
        break;
    }
}


static sgamp_response_key_e
sgamp_response_find(const u_char *key, size_t len)
{
    const sgamp_response_name_t  *name;

    static const char events_with[] = "events_with_";

    if (len > sizeof(events_with) - 1
        && memcmp(key, events_with, sizeof(events_with) - 1) == 0)
    {
        return SGAMP_RESPONSE_EVENTS_WITH;
    }

    name = sgamp_response_keys;

    while (name->name.len != 0 && !sgamp_same(&name->name, key, len)) {
        name++;
    }

    return name->key;
}


static void
sgamp_response_mark(sgamp_response_t *rs, int64_t n)
{
    /* an index that the request does not have is not believed */

    if (n >= rs->answer.n || sgamp_answer_marks(&rs->answer) != SGAMP_OK) {
        return;
    }

    if (rs->key == SGAMP_RESPONSE_THROTTLED_EVENTS) {
        rs->answer.marks[n] |= SGAMP_ANSWER_THROTTLED;
        return;
    }

    rs->rejected = 1;

    if ((rs->answer.marks[n] & SGAMP_ANSWER_REJECTED) == 0) {
        rs->answer.marks[n] |= rs->field + 1;
    }
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


static int
sgamp_response_user(sgamp_response_t *rs, const u_char *id, size_t len)
{
    uint32_t       size;
    uint64_t      *users;
    sgamp_grow_t  *grow;

    /*
     * ids are kept as hashes: two ids with the same hash are taken for one, and
     * an event waits without need
     */

    if (rs->nusers == SGAMP_RESPONSE_USERS) {
        return SGAMP_OK;
    }

    if (rs->nusers == rs->nalloc) {
        size = rs->nalloc ? 2 * rs->nalloc : SGAMP_RESPONSE_FIRST_USERS;

        grow = rs->answer.grow;

        users = grow->alloc(grow->data, size * sizeof(uint64_t));
        if (users == NULL) {
            return SGAMP_NOMEM;
        }

        if (rs->users != NULL) {
            memcpy(users, rs->users, rs->nusers * sizeof(uint64_t));
            grow->free(grow->data, rs->users);
        }

        rs->users = users;
        rs->nalloc = size;
    }

    rs->users[rs->nusers++] = sgamp_response_hash(SGAMP_RESPONSE_BASIS, id,
                                                  len);

    return SGAMP_OK;
}


static void
sgamp_response_mark_users(sgamp_response_t *rs, const sgamp_batch_t *batch,
    const sgamp_part_t *part)
{
    uint32_t  i, k;
    uint64_t  hash;

    for (i = 0; i < part->n; i++) {
        hash = sgamp_response_hash_user(batch, part->index[i]);

        for (k = 0; k < rs->nusers; k++) {
            if (rs->users[k] == hash) {
                rs->answer.marks[i] |= SGAMP_ANSWER_THROTTLED;
                break;
            }
        }
    }
}


static uint64_t
sgamp_response_hash(uint64_t hash, const u_char *p, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        hash = (hash ^ p[i]) * SGAMP_RESPONSE_PRIME;
    }

    return hash;
}


static uint64_t
sgamp_response_hash_user(const sgamp_batch_t *batch, uint32_t i)
{
    u_char         utf8[SGAMP_TEXT_CHAR], buf[SGAMP_MAPPED_USER_SIZE];
    size_t         len;
    uint64_t       hash;
    sgamp_str_t    mapped, user;
    const u_char  *p, *last;

    /* the hash of the decoded id, however the payload escapes the id */

    len = sgamp_batch_element(batch, i, buf, sizeof(buf));

    mapped.data = buf;
    mapped.len = (len < sizeof(buf)) ? len : sizeof(buf);

    sgamp_mapped_user(&mapped, &user);

    p = user.data;
    last = p + user.len;

    hash = SGAMP_RESPONSE_BASIS;

    while (p < last) {
        len = sgamp_text_encode(utf8, sgamp_json_next(&p, last));
        hash = sgamp_response_hash(hash, utf8, len);
    }

    return hash;
}
