
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_cohort_ledger.h"
#include "sgamp_cohort_seen.h"
#include "sgamp_digest.h"


#define SGAMP_LEDGER_MAGIC        0x7367616d706c6401ull /* and the layout */
#define SGAMP_LEDGER_ALIGN        64     /* bytes */
#define SGAMP_LEDGER_CLAIMED      0x8000000000000000ull
#define SGAMP_LEDGER_SAME_WINDOW  15000  /* ms between resets of a window */
#define SGAMP_LEDGER_RESERVE      10     /* the part left to others */
#define SGAMP_LEDGER_WAYS         8      /* entries of a set */
#define SGAMP_LEDGER_SHARES       64     /* of the memory for no contacts */

#define SGAMP_LEDGER_SEEN_SET     (SGAMP_SEEN_WAYS * sizeof(sgamp_seen_t))

#define sgamp_ledger_at(l, offset)  ((void *) ((u_char *) (l) + (offset)))

/* keeps the order of writes, for who reads after a process was killed */
#define sgamp_ledger_fence()  __atomic_signal_fence(__ATOMIC_SEQ_CST)


/* the tables of all but contacts */

typedef enum {
    SGAMP_LEDGER_LISTS = 0,
    SGAMP_LEDGER_FIELDS,
    SGAMP_LEDGER_LIMITS,
    SGAMP_LEDGER_CHANGED,
    SGAMP_LEDGER_MESSAGES, /* gets what the tables before have left */
    SGAMP_LEDGER_TABLES
} sgamp_ledger_table_e;


typedef enum {
    SGAMP_LEDGER_FAILED = 0,
    SGAMP_LEDGER_WORKING,
    SGAMP_LEDGER_ENDED
} sgamp_ledger_state_e;


/* begins each entry of these tables */

typedef struct {
    sgamp_ledger_key_t  key;
    uint64_t            used;  /* 0: the entry is free */
} sgamp_ledger_head_t;


typedef struct {
    sgamp_ledger_head_t  head;
    u_char               id[SGAMP_UUID_LEN];
    uint32_t             unused;
} sgamp_ledger_list_t;


typedef struct {
    sgamp_ledger_head_t  head;
    u_char               id[SGAMP_FIELD_ID];
    uint32_t             len;
    uint32_t             type;
} sgamp_ledger_field_t;


typedef struct {
    sgamp_ledger_head_t  head;
    uint32_t             limit;
    uint32_t             remaining;
    uint64_t             until;
} sgamp_ledger_limit_t;


typedef struct {
    sgamp_ledger_head_t  head;
    uint64_t             times[SGAMP_OPERATIONS];
} sgamp_ledger_changed_t;


typedef struct {
    sgamp_ledger_head_t     head;
    uint64_t                run;
    sgamp_ledger_owner_t    owner;
    uint64_t                until;
    sgamp_ledger_summary_t  summary;
    uint32_t                state;
} sgamp_ledger_message_t;


/* where the entries of a table are */

typedef struct {
    uint64_t  offset;
    uint64_t  sets;
} sgamp_ledger_place_t;


/* the first SGAMP_LEDGER_HEAD bytes are written by init() and copy() only */

struct sgamp_ledger_s {
    uint64_t              magic;
    uint64_t              size;
    sgamp_siphash_key_t   key;
    sgamp_ledger_place_t  seen;   /* sets of contacts */
    uint64_t              words;  /* where the words of these sets are */
    sgamp_ledger_place_t  tables[SGAMP_LEDGER_TABLES];
    uint64_t              unused[7];
    uint64_t              lost;   /* the newest change of lists given up */
};


static void sgamp_ledger_layout(sgamp_ledger_t *l, size_t size);
static sgamp_ledger_head_t *sgamp_ledger_set(const sgamp_ledger_t *l,
    sgamp_ledger_table_e table, const sgamp_ledger_key_t *key);
static void *sgamp_ledger_find(const sgamp_ledger_t *l,
    sgamp_ledger_table_e table, const sgamp_ledger_key_t *key);
static void *sgamp_ledger_claim(sgamp_ledger_t *l, sgamp_ledger_table_e table,
    const sgamp_ledger_key_t *key, uint64_t now);
static sgamp_ledger_head_t *sgamp_ledger_oldest(const sgamp_ledger_t *l,
    sgamp_ledger_table_e table, const sgamp_ledger_key_t *key, uint64_t now);
static uint64_t sgamp_ledger_rank(sgamp_ledger_table_e table,
    const sgamp_ledger_head_t *head, uint64_t now);
static void sgamp_ledger_lose(sgamp_ledger_t *l, sgamp_ledger_table_e table,
    const sgamp_ledger_head_t *head, uint64_t now);
static void sgamp_ledger_keep(sgamp_ledger_head_t *head, uint64_t now);
static void sgamp_ledger_forget(sgamp_ledger_t *l, sgamp_ledger_table_e table,
    const sgamp_ledger_key_t *key);

static void sgamp_ledger_seen(const sgamp_ledger_t *l,
    sgamp_seen_table_t *table);
static uint64_t sgamp_ledger_wait(const sgamp_ledger_t *l,
    const sgamp_ledger_change_t *change, uint64_t id,
    const sgamp_seen_t *seen);
static void sgamp_ledger_note(sgamp_ledger_t *l,
    const sgamp_ledger_change_t *change, uint64_t id, sgamp_seen_t *seen,
    unsigned changed);
static void sgamp_ledger_note_list(sgamp_ledger_t *l,
    const sgamp_ledger_change_t *change);
static unsigned sgamp_ledger_holds(const sgamp_ledger_limit_t *limit,
    uint64_t now);

static void sgamp_ledger_copy_table(sgamp_ledger_t *to,
    const sgamp_ledger_t *from, sgamp_ledger_table_e table, uint64_t now);


/* of the memory for no contacts: shares, and sets at least */

static const struct {
    uint32_t  size;
    uint32_t  shares;
    uint32_t  sets;
} sgamp_ledger_tables[] = {
    { sizeof(sgamp_ledger_list_t), 10, 2 },
    { sizeof(sgamp_ledger_field_t), 5, 2 },
    { sizeof(sgamp_ledger_limit_t), 1, 2 },
    { sizeof(sgamp_ledger_changed_t), 7, 2 },
    { sizeof(sgamp_ledger_message_t), SGAMP_LEDGER_SHARES, 0 }
};


int
sgamp_ledger_key(sgamp_ledger_key_t *key, const sgamp_str_t *texts, unsigned n)
{
    u_char    block[2 * SGAMP_SHA256_LEN];
    unsigned  i;

    /* a chain: no other texts have the same bytes in a row */

    memset(block, 0, sizeof(block));

    for (i = 0; i < n; i++) {
        if (sgamp_sha256(block + SGAMP_SHA256_LEN, texts[i].data, texts[i].len)
            != SGAMP_OK
            || sgamp_sha256(block, block, sizeof(block)) != SGAMP_OK)
        {
            return SGAMP_NOMEM;
        }
    }

    memcpy(key->part, block, sizeof(key->part));

    return SGAMP_OK;
}


sgamp_ledger_t *
sgamp_ledger_init(void *memory, size_t size, const sgamp_siphash_key_t *key)
{
    sgamp_ledger_t  *l;

    if (size < SGAMP_LEDGER_MIN_SIZE) {
        return NULL;
    }

    l = memory;

    memset(memory, 0, size);

    sgamp_ledger_layout(l, size);

    l->key = *key;

    sgamp_ledger_fence();

    l->magic = SGAMP_LEDGER_MAGIC;

    return l;
}


sgamp_ledger_t *
sgamp_ledger_open(void *memory, size_t size)
{
    sgamp_ledger_t  *l, want;

    if (size < SGAMP_LEDGER_MIN_SIZE
        || (uintptr_t) memory % SGAMP_LEDGER_ALIGN != 0)
    {
        return NULL;
    }

    l = memory;

    if (l->magic != SGAMP_LEDGER_MAGIC
        || l->size < SGAMP_LEDGER_MIN_SIZE
        || l->size > size)
    {
        return NULL;
    }

    memset(&want, 0, sizeof(sgamp_ledger_t));
    sgamp_ledger_layout(&want, l->size);

    if (memcmp(&l->seen, &want.seen, sizeof(want.seen)) != 0
        || l->words != want.words
        || memcmp(l->tables, want.tables, sizeof(want.tables)) != 0)
    {
        return NULL;
    }

    return l;
}


static void
sgamp_ledger_layout(sgamp_ledger_t *l, size_t size)
{
    uint64_t  n, rest, sets, used;
    unsigned  i;

    l->size = size;

    /* contacts: sets, and a word for each set */

    used = (sizeof(sgamp_ledger_t) + SGAMP_LEDGER_ALIGN - 1)
           / SGAMP_LEDGER_ALIGN * SGAMP_LEDGER_ALIGN;

    sets = (size - used) / 4 * 3 / (SGAMP_LEDGER_SEEN_SET + sizeof(uint64_t));

    l->seen.offset = used;
    l->seen.sets = sets;
    used += sets * SGAMP_LEDGER_SEEN_SET;

    l->words = used;
    used += sets * sizeof(uint64_t);

    /* the tables, of which the last one gets what is left */

    rest = size - used;

    for (i = 0; i < SGAMP_LEDGER_TABLES; i++) {
        n = SGAMP_LEDGER_WAYS * sgamp_ledger_tables[i].size;
        sets = rest / SGAMP_LEDGER_SHARES * sgamp_ledger_tables[i].shares / n;

        if (sets < sgamp_ledger_tables[i].sets) {
            sets = sgamp_ledger_tables[i].sets;
        }

        if (sets > (size - used) / n) {
            sets = (size - used) / n;
        }

        l->tables[i].offset = used;
        l->tables[i].sets = sets;
        used += sets * n;
    }
}


const sgamp_siphash_key_t *
sgamp_ledger_hash_key(const sgamp_ledger_t *l)
{
    return &l->key;
}


void
sgamp_ledger_room(const sgamp_ledger_t *l, sgamp_ledger_count_t *room)
{
    const sgamp_ledger_place_t  *tables;

    tables = l->tables;

    room->contacts = l->seen.sets * SGAMP_SEEN_WAYS;
    room->lists = tables[SGAMP_LEDGER_LISTS].sets * SGAMP_LEDGER_WAYS;
    room->fields = tables[SGAMP_LEDGER_FIELDS].sets * SGAMP_LEDGER_WAYS;
    room->limits = tables[SGAMP_LEDGER_LIMITS].sets * SGAMP_LEDGER_WAYS;
    room->changed = tables[SGAMP_LEDGER_CHANGED].sets * SGAMP_LEDGER_WAYS;
    room->messages = tables[SGAMP_LEDGER_MESSAGES].sets * SGAMP_LEDGER_WAYS;
}


int
sgamp_ledger_list(sgamp_ledger_t *l, const sgamp_ledger_key_t *key,
    u_char id[SGAMP_UUID_LEN], uint64_t now)
{
    sgamp_ledger_list_t  *list;

    list = sgamp_ledger_find(l, SGAMP_LEDGER_LISTS, key);
    if (list == NULL) {
        return 0;
    }

    memcpy(id, list->id, SGAMP_UUID_LEN);
    list->head.used = now;

    return 1;
}


void
sgamp_ledger_set_list(sgamp_ledger_t *l, const sgamp_ledger_key_t *key,
    const u_char id[SGAMP_UUID_LEN], uint64_t now)
{
    sgamp_ledger_list_t  *list;

    list = sgamp_ledger_claim(l, SGAMP_LEDGER_LISTS, key, now);

    memcpy(list->id, id, SGAMP_UUID_LEN);

    sgamp_ledger_keep(&list->head, now);
}


void
sgamp_ledger_forget_list(sgamp_ledger_t *l, const sgamp_ledger_key_t *key)
{
    sgamp_ledger_forget(l, SGAMP_LEDGER_LISTS, key);
}


int
sgamp_ledger_field(sgamp_ledger_t *l, const sgamp_ledger_key_t *key,
    sgamp_field_definition_t *definition, uint64_t now)
{
    sgamp_ledger_field_t  *field;

    field = sgamp_ledger_find(l, SGAMP_LEDGER_FIELDS, key);

    if (field == NULL
        || field->len > SGAMP_FIELD_ID
        || field->type > SGAMP_TYPE_MISSING)
    {
        return 0;
    }

    memcpy(definition->id, field->id, SGAMP_FIELD_ID);
    definition->len = field->len;
    definition->type = (sgamp_field_type_e) field->type;

    field->head.used = now;

    return 1;
}


void
sgamp_ledger_set_field(sgamp_ledger_t *l, const sgamp_ledger_key_t *key,
    const sgamp_field_definition_t *definition, uint64_t now)
{
    sgamp_ledger_field_t  *field;

    field = sgamp_ledger_claim(l, SGAMP_LEDGER_FIELDS, key, now);

    memset(field->id, 0, SGAMP_FIELD_ID);
    memcpy(field->id, definition->id, definition->len);
    field->len = definition->len;
    field->type = definition->type;

    sgamp_ledger_keep(&field->head, now);
}


void
sgamp_ledger_forget_field(sgamp_ledger_t *l, const sgamp_ledger_key_t *key)
{
    sgamp_ledger_forget(l, SGAMP_LEDGER_FIELDS, key);
}


sgamp_ledger_message_e
sgamp_ledger_begin(sgamp_ledger_t *l, const sgamp_ledger_key_t *key,
    const sgamp_ledger_owner_t *owner, sgamp_ledger_alive_pt alive,
    uint64_t *run, uint64_t until, uint64_t now,
    sgamp_ledger_summary_t *summary)
{
    sgamp_ledger_message_t  *message;

    message = sgamp_ledger_find(l, SGAMP_LEDGER_MESSAGES, key);

    if (message != NULL) {
        *run = message->run;

        if (message->state == SGAMP_LEDGER_ENDED) {
            *summary = message->summary;
            message->head.used = now;
            return SGAMP_LEDGER_DONE;
        }

        if (message->state == SGAMP_LEDGER_WORKING
            && now < message->until
            && memcmp(&message->owner, owner, sizeof(message->owner)) != 0
            && alive(message->owner.process))
        {
            message->head.used = now;
            return SGAMP_LEDGER_IN_WORK;
        }
    }

    message = sgamp_ledger_claim(l, SGAMP_LEDGER_MESSAGES, key, now);

    message->run = *run;
    message->owner = *owner;
    message->until = until;
    message->state = SGAMP_LEDGER_WORKING;

    sgamp_ledger_keep(&message->head, now);

    return SGAMP_LEDGER_BEGUN;
}


void
sgamp_ledger_forget_message(sgamp_ledger_t *l, const sgamp_ledger_key_t *key)
{
    sgamp_ledger_message_t  *message;

    message = sgamp_ledger_find(l, SGAMP_LEDGER_MESSAGES, key);

    if (message != NULL && message->state != SGAMP_LEDGER_WORKING) {
        message->head.used = 0;
    }
}


void
sgamp_ledger_end(sgamp_ledger_t *l, const sgamp_ledger_key_t *key,
    const sgamp_ledger_owner_t *owner, const sgamp_ledger_summary_t *summary,
    unsigned forget, uint64_t now)
{
    sgamp_ledger_message_t  *message;

    message = sgamp_ledger_find(l, SGAMP_LEDGER_MESSAGES, key);

    if (message == NULL
        || message->state != SGAMP_LEDGER_WORKING
        || memcmp(&message->owner, owner, sizeof(message->owner)) != 0)
    {
        return;
    }

    if (forget) {
        message->head.used = 0;
        return;
    }

    if (summary == NULL) {
        message->state = SGAMP_LEDGER_FAILED;

    } else {
        message->summary = *summary;
        sgamp_ledger_fence();
        message->state = SGAMP_LEDGER_ENDED;
    }

    message->head.used = now;
}


sgamp_ledger_contact_e
sgamp_ledger_contact(sgamp_ledger_t *l, const sgamp_ledger_change_t *change,
    uint64_t hash, unsigned ask)
{
    uint64_t            id;
    sgamp_seen_t       *seen;
    sgamp_seen_table_t  table;

    id = sgamp_seen_id(change->list, hash);

    sgamp_ledger_seen(l, &table);

    seen = sgamp_seen_find(&table, id);

    if (seen != NULL && seen->run > change->run) {
        sgamp_seen_touch(&table, seen);
        return SGAMP_LEDGER_STALE;
    }

    if (sgamp_ledger_wait(l, change, id, seen) != 0) {
        sgamp_ledger_note(l, change, id, seen, 0);
        return SGAMP_LEDGER_SETTLING;
    }

    sgamp_ledger_note(l, change, id, seen, !ask);

    return SGAMP_LEDGER_CHANGE;
}


void
sgamp_ledger_accepted(sgamp_ledger_t *l, const sgamp_ledger_change_t *change,
    uint64_t hash)
{
    uint64_t            id;
    sgamp_seen_table_t  table;

    id = sgamp_seen_id(change->list, hash);

    sgamp_ledger_seen(l, &table);
    sgamp_ledger_note(l, change, id, sgamp_seen_find(&table, id), 1);
}


uint64_t
sgamp_ledger_settles(sgamp_ledger_t *l, const sgamp_ledger_change_t *change,
    uint64_t hash)
{
    uint64_t            id, ms;
    sgamp_seen_table_t  table;

    id = sgamp_seen_id(change->list, hash);

    sgamp_ledger_seen(l, &table);

    ms = sgamp_ledger_wait(l, change, id, sgamp_seen_find(&table, id));

    return (ms != 0) ? ms : 1;
}


static void
sgamp_ledger_seen(const sgamp_ledger_t *l, sgamp_seen_table_t *table)
{
    table->entries = sgamp_ledger_at(l, l->seen.offset);
    table->words = sgamp_ledger_at(l, l->words);
    table->sets = l->seen.sets;
}


static uint64_t
sgamp_ledger_wait(const sgamp_ledger_t *l,
    const sgamp_ledger_change_t *change, uint64_t id,
    const sgamp_seen_t *seen)
{
    uint64_t                 time, lost, left;
    unsigned                 operation;
    sgamp_ledger_key_t       key;
    sgamp_seen_table_t       table;
    sgamp_ledger_changed_t  *changed;

    /* ms until no change of the other kind may be on its way */

    if (seen != NULL && sgamp_seen_time(seen->change) != 0) {

        if (sgamp_seen_operation(seen->change) == change->operation) {
            return 0;
        }

        return sgamp_seen_left(sgamp_seen_time(seen->change), change->window,
                               change->now);
    }

    /* the contact may be one of those that were given up */

    sgamp_ledger_seen(l, &table);

    lost = sgamp_seen_left(sgamp_seen_lost(&table, id), change->window,
                           change->now);

    if (lost == 0) {
        return 0;
    }

    key.part[0] = change->list;
    key.part[1] = 0;

    operation = (change->operation == SGAMP_ADD) ? SGAMP_REMOVE : SGAMP_ADD;
    changed = sgamp_ledger_find(l, SGAMP_LEDGER_CHANGED, &key);
    time = (changed != NULL) ? changed->times[operation] : l->lost;
    left = sgamp_seen_left(time, change->window, change->now);

    return (left < lost) ? left : lost;
}


static void
sgamp_ledger_note(sgamp_ledger_t *l, const sgamp_ledger_change_t *change,
    uint64_t id, sgamp_seen_t *seen, unsigned changed)
{
    sgamp_seen_table_t  table;

    /* the list first: the contact alone may be given up */

    if (changed) {
        sgamp_ledger_note_list(l, change);
    }

    sgamp_ledger_seen(l, &table);

    if (seen == NULL) {
        seen = sgamp_seen_make(&table, id, change->now);
    }

    if (seen->run < change->run) {
        seen->run = change->run;
    }

    if (changed) {
        sgamp_seen_change(seen, change->operation, change->now);
    }

    sgamp_seen_touch(&table, seen);
}


static void
sgamp_ledger_note_list(sgamp_ledger_t *l, const sgamp_ledger_change_t *change)
{
    uint64_t                 lost;
    sgamp_ledger_key_t       key;
    sgamp_ledger_changed_t  *changed;

    key.part[0] = change->list;
    key.part[1] = 0;

    lost = l->lost;
    changed = sgamp_ledger_find(l, SGAMP_LEDGER_CHANGED, &key);

    if (changed == NULL) {
        changed = sgamp_ledger_claim(l, SGAMP_LEDGER_CHANGED, &key,
                                     change->now);

        /* this list may be one of those that were given up */

        changed->times[SGAMP_ADD] = lost;
        changed->times[SGAMP_REMOVE] = lost;
    }

    changed->times[change->operation] = change->now;

    sgamp_ledger_keep(&changed->head, change->now);
}


uint64_t
sgamp_ledger_take(sgamp_ledger_t *l, const sgamp_ledger_key_t *key,
    uint64_t now)
{
    uint32_t               reserve;
    sgamp_ledger_limit_t  *limit;

    limit = sgamp_ledger_find(l, SGAMP_LEDGER_LIMITS, key);

    if (limit == NULL || !sgamp_ledger_holds(limit, now)) {
        return 0;
    }

    limit->head.used = now;

    reserve = (limit->limit < SGAMP_LEDGER_RESERVE)
              ? 0
              : (limit->limit - 1) / SGAMP_LEDGER_RESERVE + 1;

    if (limit->remaining <= reserve) {
        return limit->until - now;
    }

    limit->remaining--;

    return 0;
}


void
sgamp_ledger_limit(sgamp_ledger_t *l, const sgamp_ledger_key_t *key,
    uint32_t limit, uint32_t remaining, uint64_t reset, uint64_t now)
{
    uint64_t               until;
    sgamp_ledger_limit_t  *old;

    if (reset == 0) {
        return;
    }

    if (reset > SGAMP_LEDGER_MAX_RESET) {
        reset = SGAMP_LEDGER_MAX_RESET;
    }

    until = now + reset;

    old = sgamp_ledger_find(l, SGAMP_LEDGER_LIMITS, key);

    if (old != NULL
        && sgamp_ledger_holds(old, now)
        && until <= old->until + SGAMP_LEDGER_SAME_WINDOW)
    {
        if (until + SGAMP_LEDGER_SAME_WINDOW < old->until) {

            /* of an earlier window, which only counts if nobody may call */

            if (remaining != 0) {
                return;
            }

        } else {

            /* answers come out of order, and seconds are rounded */

            if (remaining > old->remaining) {
                remaining = old->remaining;
            }

            if (until < old->until) {
                until = old->until;
            }
        }

        if (limit == 0) {
            limit = old->limit;
        }
    }

    old = sgamp_ledger_claim(l, SGAMP_LEDGER_LIMITS, key, now);

    old->limit = limit;
    old->remaining = remaining;
    old->until = until;

    sgamp_ledger_keep(&old->head, now);
}


static unsigned
sgamp_ledger_holds(const sgamp_ledger_limit_t *limit, uint64_t now)
{
    /* whether the time of the limit goes on */

    return now < limit->until
           && limit->until - now <= SGAMP_LEDGER_MAX_RESET + SGAMP_SEEN_SKEW;
}


static sgamp_ledger_head_t *
sgamp_ledger_set(const sgamp_ledger_t *l, sgamp_ledger_table_e table,
    const sgamp_ledger_key_t *key)
{
    uint64_t                     i;
    const sgamp_ledger_place_t  *place;

    place = &l->tables[table];

    i = ((key->part[0] >> 32) * place->sets >> 32) * SGAMP_LEDGER_WAYS;

    return sgamp_ledger_at(l, place->offset
                              + i * sgamp_ledger_tables[table].size);
}


static void *
sgamp_ledger_find(const sgamp_ledger_t *l, sgamp_ledger_table_e table,
    const sgamp_ledger_key_t *key)
{
    unsigned              i;
    sgamp_ledger_head_t  *head;

    head = sgamp_ledger_set(l, table, key);

    for (i = 0; i < SGAMP_LEDGER_WAYS; i++) {

        if (head->used != 0
            && head->key.part[0] == key->part[0]
            && head->key.part[1] == key->part[1])
        {
            return head;
        }

        head = sgamp_ledger_at(head, sgamp_ledger_tables[table].size);
    }

    return NULL;
}


static void *
sgamp_ledger_claim(sgamp_ledger_t *l, sgamp_ledger_table_e table,
    const sgamp_ledger_key_t *key, uint64_t now)
{
    sgamp_ledger_head_t  *head;

    /*
     * the entry with the key, or a new one with zeroes: until the caller has
     * filled the entry and calls sgamp_ledger_keep() the entry is free
     */

    head = sgamp_ledger_find(l, table, key);

    if (head != NULL) {
        head->used = 0;
        sgamp_ledger_fence();
        return head;
    }

    head = sgamp_ledger_oldest(l, table, key, now);

    sgamp_ledger_lose(l, table, head, now);

    head->used = 0;

    sgamp_ledger_fence();

    memset(head, 0, sgamp_ledger_tables[table].size);
    head->key = *key;

    return head;
}


static sgamp_ledger_head_t *
sgamp_ledger_oldest(const sgamp_ledger_t *l, sgamp_ledger_table_e table,
    const sgamp_ledger_key_t *key, uint64_t now)
{
    uint64_t              rank, least;
    unsigned              i;
    sgamp_ledger_head_t  *head, *oldest;

    head = sgamp_ledger_set(l, table, key);
    oldest = head;
    least = SGAMP_SEEN_NEVER;

    for (i = 0; i < SGAMP_LEDGER_WAYS; i++) {
        rank = sgamp_ledger_rank(table, head, now);

        if (rank < least) {
            least = rank;
            oldest = head;
        }

        head = sgamp_ledger_at(head, sgamp_ledger_tables[table].size);
    }

    return oldest;
}


static uint64_t
sgamp_ledger_rank(sgamp_ledger_table_e table, const sgamp_ledger_head_t *head,
    uint64_t now)
{
    const sgamp_ledger_message_t  *message;

    /* the entry with the least is given up first */

    if (sgamp_seen_age(head->used, now) == SGAMP_SEEN_NEVER) {
        return (head->used != 0) ? 1 : 0;
    }

    message = (const sgamp_ledger_message_t *) head;

    if (table == SGAMP_LEDGER_MESSAGES
        && message->state == SGAMP_LEDGER_WORKING
        && now < message->until)
    {
        return head->used | SGAMP_LEDGER_CLAIMED;
    }

    return head->used;
}


static void
sgamp_ledger_lose(sgamp_ledger_t *l, sgamp_ledger_table_e table,
    const sgamp_ledger_head_t *head, uint64_t now)
{
    unsigned                       i;
    const sgamp_ledger_changed_t  *list;

    if (table != SGAMP_LEDGER_CHANGED || head->used == 0) {
        return;
    }

    list = (const sgamp_ledger_changed_t *) head;

    for (i = 0; i < SGAMP_OPERATIONS; i++) {
        l->lost = sgamp_seen_newest(l->lost, list->times[i], now);
    }
}


static void
sgamp_ledger_keep(sgamp_ledger_head_t *head, uint64_t now)
{
    sgamp_ledger_fence();

    head->used = now;
}


static void
sgamp_ledger_forget(sgamp_ledger_t *l, sgamp_ledger_table_e table,
    const sgamp_ledger_key_t *key)
{
    sgamp_ledger_head_t  *head;

    head = sgamp_ledger_find(l, table, key);

    if (head != NULL) {
        head->used = 0;
    }
}


void
sgamp_ledger_copy(sgamp_ledger_t *to, const sgamp_ledger_t *from,
    uint64_t now)
{
    unsigned            table;
    sgamp_seen_table_t  seen, oseen;

    to->key = from->key;
    to->lost = from->lost;

    for (table = 0; table < SGAMP_LEDGER_TABLES; table++) {
        sgamp_ledger_copy_table(to, from, (sgamp_ledger_table_e) table, now);
    }

    sgamp_ledger_seen(to, &seen);
    sgamp_ledger_seen(from, &oseen);

    sgamp_seen_copy(&seen, &oseen, now);
}


static void
sgamp_ledger_copy_table(sgamp_ledger_t *to, const sgamp_ledger_t *from,
    sgamp_ledger_table_e table, uint64_t now)
{
    size_t                i, n, size;
    sgamp_ledger_head_t  *head, *oldest;

    size = sgamp_ledger_tables[table].size;
    n = from->tables[table].sets * SGAMP_LEDGER_WAYS;

    for (i = 0; i < n; i++) {
        head = sgamp_ledger_at(from, from->tables[table].offset + i * size);

        if (head->used == 0
            || sgamp_ledger_find(to, table, &head->key) != NULL)
        {
            continue;
        }

        oldest = sgamp_ledger_oldest(to, table, &head->key, now);

        if (sgamp_ledger_rank(table, head, now)
            < sgamp_ledger_rank(table, oldest, now))
        {
            sgamp_ledger_lose(to, table, head, now);
            continue;
        }

        sgamp_ledger_lose(to, table, oldest, now);
        memcpy(oldest, head, size);
    }
}
