
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_cohort_contact.h"


#define SGAMP_CONTACT_USER_ID      0  /* keys in the names of the rules */
#define SGAMP_CONTACT_OBJECT       1

#define SGAMP_CONTACT_NAME         50   /* characters, at most */
#define SGAMP_CONTACT_EXTERNAL_ID  254  /* bytes, at most */
#define SGAMP_CONTACT_COUNTED      64   /* bytes counted at a time */

#define SGAMP_CONTACT_FIRST        64    /* slots at first */
#define SGAMP_CONTACT_PIECE        65536 /* bytes of a piece of text */
#define SGAMP_CONTACT_DATA         (SGAMP_CONTACT_PIECE                       \
                                    - offsetof(sgamp_contact_piece_t, data))

/* a longer text has a piece of its own, so that little room is lost */

#define SGAMP_CONTACT_LONG         (SGAMP_CONTACT_PIECE / 16)

/* of each field, values that are the first of their type are kept */

#define SGAMP_CONTACT_VALUES       (SGAMP_CONTACT_FIELDS * SGAMP_TYPE_MISSING)

/*
 * What precedes a value in the text of a contact: a byte with its field and its
 * types, a byte with its size, and four bytes more with a large size.
 */

#define SGAMP_CONTACT_TYPES        4     /* bits of the field, below types */
#define SGAMP_CONTACT_FIELD        0x0f
#define SGAMP_CONTACT_SIZE         0xff
#define sgamp_contact_prefix(n)    (((n) < SGAMP_CONTACT_SIZE) ? 2 : 6)


struct sgamp_contact_piece_s {
    sgamp_contact_piece_t  *next;
    u_char                 *pos;
    u_char                 *last;
    u_char                  data[];
};


/* a user while being read */

typedef struct {
    sgamp_json_value_t   id;
    sgamp_str_t          object;  /* whose members the properties are */
    const uint32_t      *ends;    /* of keys in the object */
    uint32_t             room[SGAMP_MAX_KEYS];
    uint32_t             seen;
} sgamp_contact_user_t;


/* a value of a contact: a slice of the user, and of the text of the contact */

typedef struct {
    sgamp_json_value_t  value;
    size_t              size;    /* in the text */
    unsigned            head;    /* field and types */
} sgamp_contact_value_t;


static int sgamp_contact_user(const sgamp_contacts_t *c,
    const sgamp_element_t *element, sgamp_contact_user_t *user);
static sgamp_contact_result_e sgamp_contact_email(
    const sgamp_contact_field_t *field, const sgamp_contact_user_t *user,
    u_char buf[SGAMP_ADDRESS_LEN], size_t *len);
static int sgamp_contact_property(const sgamp_contact_user_t *user,
    unsigned key, sgamp_json_value_t *value);
static int sgamp_contact_get(const sgamp_contact_user_t *user, unsigned key,
    sgamp_json_value_t *value);
static int sgamp_contact_has_at(const sgamp_json_value_t *value);
static unsigned sgamp_contact_values(const sgamp_contact_rules_t *rules,
    const sgamp_contact_user_t *user, sgamp_contact_value_t *values);
static unsigned sgamp_contact_standard(const sgamp_contact_field_t *field,
    const sgamp_contact_user_t *user, sgamp_contact_value_t *values);
static unsigned sgamp_contact_custom(const sgamp_contact_field_t *field,
    const sgamp_contact_user_t *user, sgamp_contact_value_t *values);
static size_t sgamp_contact_size(const sgamp_json_value_t *value);
static int sgamp_contact_count(sgamp_sink_t *sink);
static int sgamp_contact_put(sgamp_contacts_t *c, const u_char *address,
    size_t len, const sgamp_contact_value_t *values, unsigned n);
static int sgamp_contact_slots(sgamp_contacts_t *c);
static int sgamp_contact_array(sgamp_contacts_t *c);
static uint32_t *sgamp_contact_slot(const sgamp_contacts_t *c, uint64_t hash,
    const u_char *address, size_t len);
static uint32_t *sgamp_contact_home(const sgamp_contacts_t *c, uint64_t hash);
static uint32_t *sgamp_contact_beside(const sgamp_contacts_t *c,
    uint32_t *slot);
static u_char *sgamp_contact_room(sgamp_contacts_t *c, size_t size);
static u_char *sgamp_contact_copy(u_char *p,
    const sgamp_contact_value_t *value);
static void sgamp_contact_write_custom(const sgamp_contacts_t *c,
    const sgamp_contact_t *contact,
    const sgamp_field_definition_t *definitions, sgamp_sink_t *sink);
static const u_char *sgamp_contact_next(const u_char *p,
    sgamp_contact_value_t *value);


int
sgamp_contact_rules(sgamp_contact_rules_t *rules)
{
    int                     key;
    unsigned                i, j;
    sgamp_contact_field_t  *field;

    static const sgamp_str_t  id = sgamp_str("user_id");
    static const sgamp_str_t  object = sgamp_str("user_properties");

    sgamp_names_init(&rules->webhook);
    (void) sgamp_names_key(&rules->webhook, &id);
    (void) sgamp_names_key(&rules->webhook, &object);

    sgamp_names_init(&rules->item);
    (void) sgamp_names_key(&rules->item, &id);

    rules->ncustom = 0;

    for (i = 0; i < rules->n; i++) {
        field = &rules->fields[i];

        field->custom = rules->ncustom;
        rules->ncustom += (field->kind == SGAMP_FIELD_CUSTOM);

        for (j = 0; j < field->n; j++) {
            key = sgamp_names_key(&rules->item, &field->properties[j]);

            if (key < 0) {
                return SGAMP_TOO_LARGE;
            }

            field->keys[j] = (uint8_t) key;
        }
    }

    return SGAMP_OK;
}


void
sgamp_contacts_init(sgamp_contacts_t *c, const sgamp_contact_rules_t *rules,
    const sgamp_siphash_key_t *key, sgamp_grow_t *grow)
{
    memset(c, 0, sizeof(sgamp_contacts_t));

    c->rules = rules;
    c->key = key;
    c->grow = grow;
}


int
sgamp_contacts_add(sgamp_contacts_t *c, const sgamp_element_t *element,
    sgamp_contact_result_e *result)
{
    size_t                 len;
    u_char                 address[SGAMP_ADDRESS_LEN];
    unsigned               n;
    sgamp_contact_user_t   user;
    sgamp_contact_value_t  values[SGAMP_CONTACT_VALUES];

    if (!sgamp_contact_user(c, element, &user)) {
        *result = SGAMP_CONTACT_NO_EMAIL;
        return SGAMP_OK;
    }

    *result = sgamp_contact_email(&c->rules->fields[SGAMP_FIELD_EMAIL], &user,
                                  address, &len);

    if (*result != SGAMP_CONTACT_ACCEPTED) {
        return SGAMP_OK;
    }

    n = sgamp_contact_values(c->rules, &user, values);

    return sgamp_contact_put(c, address, len, values, n);
}


static int
sgamp_contact_user(const sgamp_contacts_t *c, const sgamp_element_t *element,
    sgamp_contact_user_t *user)
{
    u_char              *last;
    sgamp_json_value_t   value;

    user->id.type = SGAMP_JSON_NONE;
    user->object = element->raw;
    user->ends = element->ends;
    user->seen = 0;

    last = element->raw.data + element->raw.len;

    if (!element->object) {
        sgamp_json_value(&user->id, element->raw.data, last);
        return user->id.type == SGAMP_JSON_STRING;
    }

    user->seen = element->seen;

    (void) sgamp_contact_get(user, SGAMP_CONTACT_USER_ID, &user->id);

    if (c->item) {
        return 1;
    }

    if (!sgamp_contact_get(user, SGAMP_CONTACT_OBJECT, &value)
        || *value.text.data != '{')
    {
        user->seen = 0;
        return 1;
    }

    user->object.data = value.text.data;
    user->object.len = last - value.text.data;
    user->ends = user->room;
    user->seen = sgamp_names_keys(&c->rules->item, &user->object, user->room);

    return 1;
}


static sgamp_contact_result_e
sgamp_contact_email(const sgamp_contact_field_t *field,
    const sgamp_contact_user_t *user, u_char buf[SGAMP_ADDRESS_LEN],
    size_t *len)
{
    unsigned                i;
    sgamp_address_e         rc;
    sgamp_json_value_t      value;
    sgamp_contact_result_e  result;

    result = SGAMP_CONTACT_NO_EMAIL;

    for (i = 0; i < field->n; i++) {

        if (!sgamp_contact_property(user, field->keys[i], &value)) {
            continue;
        }

        rc = sgamp_address(&value, buf, len);

        if (rc == SGAMP_ADDRESS_VALID) {
            return SGAMP_CONTACT_ACCEPTED;
        }

        /* a user_id without "@" was not meant as an address */

        if (rc == SGAMP_ADDRESS_INVALID
            && (field->keys[i] != SGAMP_CONTACT_USER_ID
                || sgamp_contact_has_at(&value)))
        {
            result = SGAMP_CONTACT_INVALID_EMAIL;
        }
    }

    return result;
}


static int
sgamp_contact_property(const sgamp_contact_user_t *user, unsigned key,
    sgamp_json_value_t *value)
{
    if (key != SGAMP_CONTACT_USER_ID) {
        return sgamp_contact_get(user, key, value);
    }

    /* "user_id" is the user's, whatever the object has under this name */

    *value = user->id;

    return value->type != SGAMP_JSON_NONE;
}


static int
sgamp_contact_get(const sgamp_contact_user_t *user, unsigned key,
    sgamp_json_value_t *value)
{
    if ((user->seen & ((uint32_t) 1 << key)) == 0) {
        return 0;
    }

    sgamp_json_value(value, user->object.data + user->ends[key],
                     user->object.data + user->object.len);

    return 1;
}


static int
sgamp_contact_has_at(const sgamp_json_value_t *value)
{
    const u_char  *p, *last;

    p = value->text.data;
    last = p + value->text.len;

    while (p < last) {
        if (sgamp_json_next(&p, last) == '@') {
            return 1;
        }
    }

    return 0;
}


static unsigned
sgamp_contact_values(const sgamp_contact_rules_t *rules,
    const sgamp_contact_user_t *user, sgamp_contact_value_t *values)
{
    unsigned                      i, n, first;
    const sgamp_contact_field_t  *field;

    /* all that is sent besides the address, fields in their order */

    n = 0;

    for (i = 0; i < rules->n; i++) {
        field = &rules->fields[i];
        first = n;

        switch (field->kind) {

        case SGAMP_FIELD_EMAIL:
            break;

        case SGAMP_FIELD_CUSTOM:
            n += sgamp_contact_custom(field, user, values + n);
            break;

        default:
            n += sgamp_contact_standard(field, user, values + n);
        }

        for ( /* void */ ; first < n; first++) {
            values[first].head |= i;
            values[first].size = sgamp_contact_size(&values[first].value);
        }
    }

    return n;
}


static unsigned
sgamp_contact_standard(const sgamp_contact_field_t *field,
    const sgamp_contact_user_t *user, sgamp_contact_value_t *values)
{
    unsigned             i;
    sgamp_json_value_t  *value;

    value = &values->value;

    for (i = 0; i < field->n; i++) {

        if (!sgamp_contact_property(user, field->keys[i], value)
            || !sgamp_field_usable(value, 0))
        {
            continue;
        }

        if (field->kind == SGAMP_FIELD_EXTERNAL_ID) {
            sgamp_field_cut(value, SGAMP_CONTACT_EXTERNAL_ID, 1);

        } else {
            sgamp_field_cut(value, SGAMP_CONTACT_NAME, 0);
        }

        values->head = 0;

        return 1;
    }

    return 0;
}


static unsigned
sgamp_contact_custom(const sgamp_contact_field_t *field,
    const sgamp_contact_user_t *user, sgamp_contact_value_t *values)
{
    unsigned            i, n, types, known;
    sgamp_json_value_t  value;

    /* the type of the field is not known yet: the first value of each type */

    n = 0;
    known = 0;

    for (i = 0; i < field->n && known != SGAMP_FIELD_ALL_TYPES; i++) {

        if (!sgamp_contact_property(user, field->keys[i], &value)
            || !sgamp_field_usable(&value, 1))
        {
            continue;
        }

        types = sgamp_field_types(&value) & ~known;

        if (types == 0) {
            continue;
        }

        known |= types;

        values[n].value = value;
        values[n++].head = types << SGAMP_CONTACT_TYPES;
    }

    return n;
}


static size_t
sgamp_contact_size(const sgamp_json_value_t *value)
{
    u_char        room[SGAMP_CONTACT_COUNTED];
    sgamp_sink_t  sink;

    if (value->plain) {
        return value->text.len;
    }

    /* repairs make a text longer */

    sgamp_sink_init(&sink, room, sizeof(room));
    sink.next = sgamp_contact_count;

    sgamp_json_copy(&sink, value->text.data, value->text.len);

    return sgamp_sink_size(&sink);
}


static int
sgamp_contact_count(sgamp_sink_t *sink)
{
    /* what was written is only counted */

    sink->before += sink->pos - sink->start;
    sink->pos = sink->start;

    return SGAMP_OK;
}


static int
sgamp_contact_put(sgamp_contacts_t *c, const u_char *address, size_t len,
    const sgamp_contact_value_t *values, unsigned n)
{
    size_t            size;
    u_char           *text;
    uint32_t         *slot;
    uint64_t          hash;
    unsigned          i;
    sgamp_contact_t  *contact;

    if (sgamp_contact_slots(c) != SGAMP_OK
        || sgamp_contact_array(c) != SGAMP_OK)
    {
        return SGAMP_NOMEM;
    }

    size = len;

    for (i = 0; i < n; i++) {
        size += sgamp_contact_prefix(values[i].size) + values[i].size;
    }

    hash = sgamp_siphash(c->key, address, len);
    slot = sgamp_contact_slot(c, hash, address, len);

    contact = sgamp_contact_at(c, (*slot != 0) ? *slot - 1 : c->n);

    if (*slot != 0 && size <= contact->len) {
        text = contact->text;

    } else {
        text = sgamp_contact_room(c, size);
        if (text == NULL) {
            return SGAMP_NOMEM;
        }
    }

    if (*slot == 0) {
        contact->hash = hash;
        contact->address = (uint8_t) len;
        contact->state = 0;
        memset(contact->id, 0, SGAMP_UUID_LEN);

        *slot = ++c->n;
    }

    contact->text = text;
    contact->len = (uint32_t) size;

    memcpy(text, address, len);
    text += len;

    for (i = 0; i < n; i++) {
        text = sgamp_contact_copy(text, &values[i]);
    }

    return SGAMP_OK;
}


static int
sgamp_contact_slots(sgamp_contacts_t *c)
{
    uint32_t  i, n, *old, *slots;

    /* room for one more, a quarter of the slots is empty */

    if (c->n < c->nslots / 4 * 3) {
        return SGAMP_OK;
    }

    n = (c->nslots != 0) ? c->nslots + c->nslots / 2 : SGAMP_CONTACT_FIRST;

    slots = c->grow->alloc(c->grow->data, n * sizeof(uint32_t));
    if (slots == NULL) {
        return SGAMP_NOMEM;
    }

    memset(slots, 0, n * sizeof(uint32_t));

    old = c->slots;
    c->slots = slots;
    c->nslots = n;

    if (old != NULL) {
        c->grow->free(c->grow->data, old);
    }

    for (i = 0; i < c->n; i++) {
        slots = sgamp_contact_home(c, sgamp_contact_at(c, i)->hash);

        while (*slots != 0) {
            slots = sgamp_contact_beside(c, slots);
        }

        *slots = i + 1;
    }

    return SGAMP_OK;
}


static int
sgamp_contact_array(sgamp_contacts_t *c)
{
    uint32_t          i, n;
    sgamp_contact_t  *chunk, **chunks;

    /* room for one more */

    if (c->n % SGAMP_CONTACT_CHUNK != 0) {
        return SGAMP_OK;
    }

    i = c->n / SGAMP_CONTACT_CHUNK;

    if (i < c->nchunks && c->chunks[i] != NULL) {
        return SGAMP_OK;
    }

    if (i == c->nchunks) {
        n = (i != 0) ? 2 * i : 1;

        chunks = c->grow->alloc(c->grow->data, n * sizeof(sgamp_contact_t *));
        if (chunks == NULL) {
            return SGAMP_NOMEM;
        }

        memset(chunks, 0, n * sizeof(sgamp_contact_t *));

        if (i != 0) {
            memcpy(chunks, c->chunks, i * sizeof(sgamp_contact_t *));
            c->grow->free(c->grow->data, c->chunks);
        }

        c->chunks = chunks;
        c->nchunks = n;
    }

    chunk = c->grow->alloc(c->grow->data,
                           SGAMP_CONTACT_CHUNK * sizeof(sgamp_contact_t));
    if (chunk == NULL) {
        return SGAMP_NOMEM;
    }

    c->chunks[i] = chunk;

    return SGAMP_OK;
}


static uint32_t *
sgamp_contact_slot(const sgamp_contacts_t *c, uint64_t hash,
    const u_char *address, size_t len)
{
    uint32_t               *slot;
    const sgamp_contact_t  *contact;

    /* the slot of the contact with an address, or the one to put it into */

    slot = sgamp_contact_home(c, hash);

    while (*slot != 0) {
        contact = sgamp_contact_at(c, *slot - 1);

        if (contact->hash == hash
            && contact->address == len
            && memcmp(contact->text, address, len) == 0)
        {
            break;
        }

        slot = sgamp_contact_beside(c, slot);
    }

    return slot;
}


static uint32_t *
sgamp_contact_home(const sgamp_contacts_t *c, uint64_t hash)
{
    /* the upper half of a hash is as good as the lower half */

    return &c->slots[(hash >> 32) * c->nslots >> 32];
}


static uint32_t *
sgamp_contact_beside(const sgamp_contacts_t *c, uint32_t *slot)
{
    return (++slot == c->slots + c->nslots) ? c->slots : slot;
}


static u_char *
sgamp_contact_room(sgamp_contacts_t *c, size_t size)
{
    size_t                  n;
    u_char                 *p;
    sgamp_contact_piece_t  *piece;

    piece = c->pieces;

    if (piece == NULL || size > (size_t) (piece->last - piece->pos)) {

        n = (size > SGAMP_CONTACT_LONG) ? size : SGAMP_CONTACT_DATA;

        piece = c->grow->alloc(c->grow->data,
                               offsetof(sgamp_contact_piece_t, data) + n);
        if (piece == NULL) {
            return NULL;
        }

        piece->pos = piece->data;
        piece->last = piece->data + n;

        /* a piece of a single text does not hide the room of the first */

        if (size > SGAMP_CONTACT_LONG && c->pieces != NULL) {
            piece->next = c->pieces->next;
            c->pieces->next = piece;

        } else {
            piece->next = c->pieces;
            c->pieces = piece;
        }
    }

    p = piece->pos;
    piece->pos += size;

    return p;
}


static u_char *
sgamp_contact_copy(u_char *p, const sgamp_contact_value_t *value)
{
    uint32_t      size;
    sgamp_sink_t  sink;

    size = (uint32_t) value->size;

    p[0] = (u_char) value->head;

    if (size < SGAMP_CONTACT_SIZE) {
        p[1] = (u_char) size;

    } else {
        p[1] = SGAMP_CONTACT_SIZE;
        memcpy(p + 2, &size, sizeof(uint32_t));
    }

    p += sgamp_contact_prefix(size);

    if (value->value.plain) {
        memcpy(p, value->value.text.data, size);
        return p + size;
    }

    sgamp_sink_init(&sink, p, size);
    sgamp_json_copy(&sink, value->value.text.data, value->value.text.len);

    return p + size;
}


int32_t
sgamp_contacts_find(const sgamp_contacts_t *c, const u_char *address,
    size_t len)
{
    uint64_t  hash;

    if (c->n == 0) {
        return -1;
    }

    hash = sgamp_siphash(c->key, address, len);

    /* the number of an empty slot is 0 */

    return (int32_t) *sgamp_contact_slot(c, hash, address, len) - 1;
}


void
sgamp_contact_write(const sgamp_contacts_t *c, uint32_t i,
    const sgamp_field_definition_t *definitions, sgamp_sink_t *sink)
{
    const u_char                 *p, *last;
    sgamp_contact_value_t         value;
    const sgamp_contact_t        *contact;
    const sgamp_contact_field_t  *field;

    static const sgamp_str_t  names[] = {
        sgamp_str(""), /* the address, which is always written */
        sgamp_str(",\"first_name\":\""),
        sgamp_str(",\"last_name\":\""),
        sgamp_str(",\"external_id\":\"")
    };

    contact = sgamp_contact_at(c, i);

    p = contact->text + contact->address;
    last = contact->text + contact->len;

    sgamp_json_put(sink, (u_char *) "{\"email\":\"", 10);
    sgamp_json_put(sink, contact->text, contact->address);
    sgamp_json_put(sink, (u_char *) "\"", 1);

    while (p < last) {
        p = sgamp_contact_next(p, &value);
        field = &c->rules->fields[value.head & SGAMP_CONTACT_FIELD];

        if (field->kind == SGAMP_FIELD_CUSTOM) {
            continue;
        }

        sgamp_json_put(sink, names[field->kind].data, names[field->kind].len);
        sgamp_json_put(sink, value.value.text.data, value.value.text.len);
        sgamp_json_put(sink, (u_char *) "\"", 1);
    }

    if (c->rules->ncustom != 0) {
        sgamp_contact_write_custom(c, contact, definitions, sink);
    }

    sgamp_json_put(sink, (u_char *) "}", 1);
}


static void
sgamp_contact_write_custom(const sgamp_contacts_t *c,
    const sgamp_contact_t *contact,
    const sgamp_field_definition_t *definitions, sgamp_sink_t *sink)
{
    unsigned                         n, types;
    const u_char                    *p, *last;
    sgamp_contact_value_t            value;
    const sgamp_contact_field_t     *field;
    const sgamp_field_definition_t  *definition;

    p = contact->text + contact->address;
    last = contact->text + contact->len;

    n = 0;

    while (p < last) {
        p = sgamp_contact_next(p, &value);
        field = &c->rules->fields[value.head & SGAMP_CONTACT_FIELD];

        if (field->kind != SGAMP_FIELD_CUSTOM) {
            continue;
        }

        definition = &definitions[field->custom];

        /* of the values of a field, one at most is that of a type */

        types = value.head >> SGAMP_CONTACT_TYPES;

        if ((types & sgamp_field_bit(definition->type)) == 0) {
            continue;
        }

        if (n++ == 0) {
            sgamp_json_put(sink, (u_char *) ",\"custom_fields\":{", 18);

        } else {
            sgamp_json_put(sink, (u_char *) ",", 1);
        }

        sgamp_json_put(sink, (u_char *) "\"", 1);
        sgamp_json_escape(sink, definition->id, definition->len);
        sgamp_json_put(sink, (u_char *) "\":", 2);

        if (definition->type == SGAMP_TYPE_NUMBER) {
            sgamp_field_number(sink, &value.value.text);
            continue;
        }

        sgamp_json_put(sink, (u_char *) "\"", 1);
        sgamp_json_put(sink, value.value.text.data, value.value.text.len);
        sgamp_json_put(sink, (u_char *) "\"", 1);
    }

    if (n != 0) {
        sgamp_json_put(sink, (u_char *) "}", 1);
    }
}


static const u_char *
sgamp_contact_next(const u_char *p, sgamp_contact_value_t *value)
{
    uint32_t  size;

    value->head = p[0];
    size = p[1];

    if (size == SGAMP_CONTACT_SIZE) {
        memcpy(&size, p + 2, sizeof(uint32_t));
    }

    p += sgamp_contact_prefix(size);

    value->value.text.data = (u_char *) p;
    value->value.text.len = size;

    return p + size;
}


void
sgamp_contacts_done(sgamp_contacts_t *c)
{
    uint32_t                i;
    sgamp_contact_piece_t  *piece, *next;

    for (piece = c->pieces; piece != NULL; piece = next) {
        next = piece->next;
        c->grow->free(c->grow->data, piece);
    }

    for (i = 0; i < c->nchunks && c->chunks[i] != NULL; i++) {
        c->grow->free(c->grow->data, c->chunks[i]);
    }

    if (c->chunks != NULL) {
        c->grow->free(c->grow->data, c->chunks);
    }

    if (c->slots != NULL) {
        c->grow->free(c->grow->data, c->slots);
    }

    c->pieces = NULL;
    c->chunks = NULL;
    c->slots = NULL;

    c->n = 0;
    c->nchunks = 0;
    c->nslots = 0;
}
