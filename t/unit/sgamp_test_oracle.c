
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "sgamp_test_oracle.h"
#include "sgamp_test_tree.h"


#define SGAMP_TEST_MEMBERS  64
#define SGAMP_TEST_KNOWN    16 /* strings to be hashed that are known */


typedef struct {
    sgamp_test_buf_t    name;
    sgamp_test_value_t  key;
    sgamp_test_value_t  value;
} sgamp_test_member_t;


typedef struct {
    const sgamp_test_oracle_rules_t  *rules;
    sgamp_test_member_t               members[SGAMP_TEST_MEMBERS];
    size_t                            n;
    const u_char                     *raw;
    size_t                            len;
} sgamp_test_tree_t;


static void sgamp_test_rest(sgamp_test_tree_t *t,
    const sgamp_test_buf_t *name, sgamp_test_buf_t *mapped);
static void sgamp_test_tree(sgamp_test_tree_t *t);
static const sgamp_test_value_t *sgamp_test_find(sgamp_test_tree_t *t,
    const char *name);
static int sgamp_test_listed(const char *list, const sgamp_test_buf_t *name,
    sgamp_test_buf_t *value);
static void sgamp_test_quote(sgamp_test_buf_t *buf,
    const sgamp_test_buf_t *text);
static int sgamp_test_name(sgamp_test_tree_t *t,
    const sgamp_test_value_t *type, sgamp_test_buf_t *name);
static int sgamp_test_user(sgamp_test_tree_t *t, sgamp_test_buf_t *out);
static int sgamp_test_is_reserved(const sgamp_test_chars_t *s);
static int sgamp_test_usable(const sgamp_test_value_t *value,
    sgamp_test_chars_t *s);
static void sgamp_test_hash(sgamp_test_tree_t *t, const char *name,
    const sgamp_test_value_t *value, unsigned cut, sgamp_test_buf_t *out);
static void sgamp_test_digest(sgamp_test_tree_t *t, const u_char *p,
    size_t n, unsigned keyed, sgamp_test_buf_t *out);
static int sgamp_test_clear(sgamp_test_tree_t *t,
    const sgamp_test_value_t *value, sgamp_test_buf_t *out);
static void sgamp_test_address(sgamp_test_tree_t *t,
    const sgamp_test_buf_t *name, sgamp_test_buf_t *out);
static void sgamp_test_members(sgamp_test_tree_t *t, sgamp_test_buf_t *out);
static int sgamp_test_member(sgamp_test_tree_t *t,
    const sgamp_test_member_t *m, sgamp_test_buf_t *hex);
static void sgamp_test_added(sgamp_test_tree_t *t, sgamp_test_buf_t *out,
    size_t start);


void
sgamp_test_oracle(const sgamp_test_oracle_rules_t *rules, const u_char *raw,
    size_t len, unsigned n, sgamp_test_buf_t *mapped,
    sgamp_test_buf_t *rejected)
{
    char                       text[64];
    int                        named;
    size_t                     i;
    const char                *reason;
    sgamp_test_buf_t           name, type, user, id;
    sgamp_test_tree_t          t;
    const sgamp_test_value_t  *value;

    memset(&t, 0, sizeof(sgamp_test_tree_t));
    memset(&name, 0, sizeof(sgamp_test_buf_t));
    memset(&type, 0, sizeof(sgamp_test_buf_t));
    memset(&user, 0, sizeof(sgamp_test_buf_t));
    memset(&id, 0, sizeof(sgamp_test_buf_t));

    t.rules = rules;
    t.raw = raw;
    t.len = len;

    reason = "not_an_object";

    if (raw[0] != '{') {
        goto rejected;
    }

    sgamp_test_tree(&t);

    reason = "no_event_type";
    value = sgamp_test_find(&t, "event");

    if (value == NULL || value->type != '"') {
        goto rejected;
    }

    named = sgamp_test_name(&t, value, &name);

    if (named < 0) {
        goto rejected;
    }

    /* lists of names have none of an event that is not named */

    if ((rules->events != NULL
         && !(named && sgamp_test_listed(rules->events, &name, NULL)))
        || (named && sgamp_test_listed(rules->ignore, &name, NULL)))
    {
        snprintf(text, sizeof(text), "== ignored %u\n", n);
        sgamp_test_puts(rejected, text);
        goto done;
    }

    if (named && sgamp_test_listed(rules->event_names, &name, &id)) {
        sgamp_test_quote(&type, &id);

    } else {
        sgamp_test_puts(&type, "[Sendgrid] ");

        if (!sgamp_test_clear(&t, value, &type)) {
            sgamp_test_tree_repaired(&type, value->start + 1, value->end - 1);
        }
    }

    reason = "no_user_id";

    if (!sgamp_test_user(&t, &user)) {
        goto rejected;
    }

    sgamp_test_puts(mapped, mapped->len ? ",{\"user_id\":\""
                                        : "{\"user_id\":\"");
    sgamp_test_put(mapped, user.data, user.len);
    sgamp_test_puts(mapped, "\",\"event_type\":\"");
    sgamp_test_put(mapped, type.data, type.len);
    sgamp_test_puts(mapped, "\"");
    sgamp_test_rest(&t, named ? &name : NULL, mapped);

    goto done;

rejected:

    snprintf(text, sizeof(text), "== rejected %u %s\n", n, reason);
    sgamp_test_puts(rejected, text);
    sgamp_test_put(rejected, raw, len);
    sgamp_test_puts(rejected, "\n");

done:

    for (i = 0; i < t.n; i++) {
        sgamp_test_free(&t.members[i].name);
    }

    sgamp_test_free(&name);
    sgamp_test_free(&type);
    sgamp_test_free(&user);
    sgamp_test_free(&id);
}


static void
sgamp_test_rest(sgamp_test_tree_t *t, const sgamp_test_buf_t *name,
    sgamp_test_buf_t *mapped)
{
    char                       text[64];
    uint64_t                   ms;
    sgamp_test_buf_t           id;
    const sgamp_test_value_t  *value;

    value = sgamp_test_find(t, "timestamp");

    if (value != NULL && sgamp_test_tree_time(value, &ms)) {
        snprintf(text, sizeof(text), ",\"time\":%llu",
                 (unsigned long long) ms);
        sgamp_test_puts(mapped, text);
    }

    if (name != NULL) {
        sgamp_test_address(t, name, mapped);
    }

    sgamp_test_puts(mapped, ",\"insert_id\":\"");

    value = sgamp_test_find(t, "sg_event_id");

    memset(&id, 0, sizeof(sgamp_test_buf_t));
    sgamp_test_puts(&id, "sg_event_id");

    if (value == NULL || value->type != '"' || value->end - value->start == 2) {
        sgamp_test_digest(t, t->raw, t->len, 0, mapped);

    } else if (sgamp_test_listed(t->rules->hash, &id, NULL)) {
        sgamp_test_hash(t, "sg_event_id", value, 0, mapped);

    } else if (!sgamp_test_clear(t, value, mapped)) {
        sgamp_test_tree_repaired(mapped, value->start + 1, value->end - 1);
    }

    sgamp_test_free(&id);

    sgamp_test_puts(mapped, "\",\"library\":\"sendgrid\","
                            "\"event_properties\":");
    sgamp_test_members(t, mapped);
    sgamp_test_puts(mapped, "}");
}


static void
sgamp_test_tree(sgamp_test_tree_t *t)
{
    const u_char         *p;
    sgamp_test_chars_t    s;
    sgamp_test_member_t  *m;

    for (p = sgamp_test_tree_skip(t->raw + 1); *p != '}';
         p = sgamp_test_tree_skip(p))
    {

        if (*p == ',') {
            p = sgamp_test_tree_skip(p + 1);
        }

        if (t->n == SGAMP_TEST_MEMBERS) {
            tap_bail("too many members");
        }

        m = &t->members[t->n++];

        p = sgamp_test_tree_skip(sgamp_test_tree_parse(p, &m->key));
        p = sgamp_test_tree_parse(sgamp_test_tree_skip(p + 1), &m->value);

        sgamp_test_tree_decode(&s, &m->key);
        sgamp_test_tree_text(&m->name, &s, 0);

        free(s.chars);
    }
}


static const sgamp_test_value_t *
sgamp_test_find(sgamp_test_tree_t *t, const char *name)
{
    size_t  i;

    /* of a key that comes twice, the last one counts */

    for (i = t->n; i > 0; i--) {
        if (t->members[i - 1].name.len == strlen(name)
            && memcmp(t->members[i - 1].name.data, name, strlen(name)) == 0)
        {
            return &t->members[i - 1].value;
        }
    }

    return NULL;
}


int
sgamp_test_oracle_item(const char **list, sgamp_test_buf_t *name,
    sgamp_test_buf_t *value)
{
    size_t       n, k;
    const char  *p;

    p = *list;

    if (p == NULL) {
        return 0;
    }

    n = strcspn(p, ",");
    k = strcspn(p, ",=");

    name->len = 0;
    sgamp_test_put(name, p, k);

    if (value != NULL) {
        value->len = 0;
        sgamp_test_put(value, p + k + (k < n), n - k - (k < n));
    }

    *list = (p[n] == ',') ? p + n + 1 : NULL;

    return 1;
}


static int
sgamp_test_listed(const char *list, const sgamp_test_buf_t *name,
    sgamp_test_buf_t *value)
{
    int               found;
    sgamp_test_buf_t  item;

    memset(&item, 0, sizeof(sgamp_test_buf_t));

    found = 0;

    while (!found && sgamp_test_oracle_item(&list, &item, value)) {
        found = item.len == name->len
                && memcmp(item.data, name->data, item.len) == 0;
    }

    sgamp_test_free(&item);

    return found;
}


static void
sgamp_test_quote(sgamp_test_buf_t *buf, const sgamp_test_buf_t *text)
{
    size_t  i;

    for (i = 0; i < text->len; i++) {

        if (strchr("\"\\", text->data[i]) != NULL) {
            sgamp_test_puts(buf, "\\");
        }

        sgamp_test_put(buf, &text->data[i], 1);
    }
}


static int
sgamp_test_name(sgamp_test_tree_t *t, const sgamp_test_value_t *type,
    sgamp_test_buf_t *name)
{
    size_t                     i;
    sgamp_test_chars_t         s;
    const sgamp_test_value_t  *machine;

    /* 1: this is the name for directives, 0: it has none, -1: it is blank */

    sgamp_test_tree_decode(&s, type);
    sgamp_test_tree_text(name, &s, 1);

    for (i = 0; i < s.n && sgamp_test_tree_is_white(s.chars[i].c); i++) {
        /* void */
    }

    free(s.chars);

    if (i == s.n) {
        return -1;
    }

    if (strlen((char *) name->data) != name->len) {
        return 1;
    }

    if (strcmp((char *) name->data, "machine_open") == 0) {
        return 0;
    }

    machine = sgamp_test_find(t, "sg_machine_open");

    if (machine != NULL && machine->type == 't'
        && strcmp((char *) name->data, "open") == 0)
    {
        name->len = 0;
        sgamp_test_puts(name, "machine_open");
    }

    return 1;
}


static int
sgamp_test_user(sgamp_test_tree_t *t, sgamp_test_buf_t *out)
{
    int                        found;
    unsigned                   lower;
    const char                *list;
    sgamp_test_buf_t           name;
    sgamp_test_chars_t         s;
    const sgamp_test_value_t  *value;

    memset(&name, 0, sizeof(sgamp_test_buf_t));

    list = t->rules->users;
    found = 0;

    while (!found && sgamp_test_oracle_item(&list, &name, NULL)) {
        value = sgamp_test_find(t, (char *) name.data);

        if (value == NULL || (value->type != '"' && value->type != '0')) {
            continue;
        }

        sgamp_test_tree_decode(&s, value);

        found = sgamp_test_usable(value, &s);

        if (!found) {
            free(s.chars);
            continue;
        }

        lower = t->rules->lowercase
                && strcmp((char *) name.data, "email") == 0;

        if (sgamp_test_listed(t->rules->hash, &name, NULL)) {
            sgamp_test_hash(t, (char *) name.data, value, 1, out);

        } else if (value->type != '"' || !sgamp_test_clear(t, value, out)) {
            sgamp_test_tree_out(out, &s, lower);
        }

        free(s.chars);
    }

    sgamp_test_free(&name);

    return found;
}


static int
sgamp_test_usable(const sgamp_test_value_t *value, sgamp_test_chars_t *s)
{
    sgamp_test_tree_cut(s);

    return s->n != 0 && s->n <= 1024 && !sgamp_test_is_reserved(s);
}


static int
sgamp_test_is_reserved(const sgamp_test_chars_t *s)
{
    int               found;
    sgamp_test_buf_t  text;

    static const char reserved[] =
        "anonymous,nil,none,null,n/a,na,undefined,unknown,{},lmy47d,0,-1,"
        "00000000-0000-0000-0000-000000000000";

    memset(&text, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_tree_text(&text, s, 1);

    found = sgamp_test_listed(reserved, &text, NULL);

    sgamp_test_free(&text);

    return found;
}


static void
sgamp_test_hash(sgamp_test_tree_t *t, const char *name,
    const sgamp_test_value_t *value, unsigned cut, sgamp_test_buf_t *out)
{
    unsigned            email;
    sgamp_test_buf_t    text;
    sgamp_test_chars_t  s;

    if (value->type != '"') {
        sgamp_test_digest(t, value->start, value->end - value->start, 1, out);
        return;
    }

    memset(&text, 0, sizeof(sgamp_test_buf_t));

    email = strcmp(name, "email") == 0;

    sgamp_test_tree_decode(&s, value);

    if (cut || email) {
        sgamp_test_tree_cut(&s);
    }

    sgamp_test_tree_text(&text, &s, email);
    sgamp_test_digest(t, text.data, text.len, 1, out);

    free(s.chars);
    sgamp_test_free(&text);
}


static void
sgamp_test_digest(sgamp_test_tree_t *t, const u_char *p, size_t n,
    unsigned keyed, sgamp_test_buf_t *out)
{
    char         hex[3];
    size_t       i;
    u_char       digest[SHA256_DIGEST_LENGTH];
    const char  *key;

    key = keyed ? t->rules->hash_key : NULL;

    if (key != NULL) {
        (void) HMAC(EVP_sha256(), key, (int) strlen(key), p, n, digest, NULL);

    } else {
        (void) SHA256(p, n, digest);
    }

    for (i = 0; i < sizeof(digest); i++) {
        snprintf(hex, sizeof(hex), "%02x", digest[i]);
        sgamp_test_puts(out, hex);
    }
}


static int
sgamp_test_clear(sgamp_test_tree_t *t, const sgamp_test_value_t *value,
    sgamp_test_buf_t *out)
{
    int                   found;
    size_t                i, n;
    unsigned              more;
    sgamp_test_buf_t      want, text;
    sgamp_test_chars_t    s;
    sgamp_test_member_t  *m;

    /* the hash of a string that is an address and is hashed in the event */

    memset(&want, 0, sizeof(sgamp_test_buf_t));
    memset(&text, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_tree_decode(&s, value);
    sgamp_test_tree_cut(&s);
    sgamp_test_tree_text(&want, &s, 1);
    free(s.chars);

    found = 0;
    more = 0;
    n = 0;

    for (i = 0; i < t->n && !found; i++) {
        m = &t->members[i];

        if (m->value.type != '"'
            || !sgamp_test_listed(t->rules->hash, &m->name, NULL))
        {
            continue;
        }

        text.len = 0;

        sgamp_test_tree_decode(&s, &m->value);
        sgamp_test_tree_cut(&s);
        sgamp_test_tree_text(&text, &s, 1);
        free(s.chars);

        n++;

        if (text.len == 0 || memchr(text.data, '@', text.len) == NULL) {
            continue;
        }

        if (n > SGAMP_TEST_KNOWN) {
            more = 1;
            break;
        }

        if (text.len == want.len
            && memcmp(text.data, want.data, want.len) == 0)
        {
            sgamp_test_hash(t, (char *) m->name.data, &m->value, 0, out);
            found = 1;
        }
    }

    /* one found no room: any address may be it */

    if (!found && more && want.len != 0
        && memchr(want.data, '@', want.len) != NULL)
    {
        sgamp_test_hash(t, "email", value, 1, out);
        found = 1;
    }

    sgamp_test_free(&want);
    sgamp_test_free(&text);

    return found;
}


static void
sgamp_test_address(sgamp_test_tree_t *t, const sgamp_test_buf_t *name,
    sgamp_test_buf_t *out)
{
    u_char                     addr[16];
    sgamp_test_buf_t           ip, text;
    sgamp_test_chars_t         s;
    const sgamp_test_value_t  *value;

    static const char readers[] = "open,click,unsubscribe,group_unsubscribe,"
                                  "group_resubscribe";

    memset(&ip, 0, sizeof(sgamp_test_buf_t));
    memset(&text, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_puts(&ip, "ip");

    value = sgamp_test_find(t, "ip");

    if (t->rules->client_ip
        && value != NULL && value->type == '"'
        && !sgamp_test_listed(t->rules->hash, &ip, NULL)
        && sgamp_test_listed(readers, name, NULL))
    {
        sgamp_test_tree_decode(&s, value);
        sgamp_test_tree_text(&text, &s, 0);
        free(s.chars);

        if (text.len != 0 && strlen((char *) text.data) == text.len
            && (inet_pton(AF_INET, (char *) text.data, addr) == 1
                || inet_pton(AF_INET6, (char *) text.data, addr) == 1))
        {
            sgamp_test_puts(out, ",\"ip\":\"");
            sgamp_test_put(out, text.data, text.len);
            sgamp_test_puts(out, "\"");
        }
    }

    sgamp_test_free(&ip);
    sgamp_test_free(&text);
}


static void
sgamp_test_members(sgamp_test_tree_t *t, sgamp_test_buf_t *out)
{
    int                   what;
    size_t                i, start;
    const u_char         *end;
    sgamp_test_buf_t      hex;
    sgamp_test_member_t  *m;

    memset(&hex, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_puts(out, "{");

    start = out->len;
    end = NULL;

    if (t->rules->drop == NULL && t->rules->keep == NULL
        && t->rules->hash == NULL)
    {
        sgamp_test_tree_repaired(out, t->raw + 1, t->raw + t->len - 1);
        sgamp_test_added(t, out, t->n ? 0 : out->len);
        return;
    }

    for (i = 0; i < t->n; i++) {
        m = &t->members[i];
        hex.len = 0;

        what = sgamp_test_member(t, m, &hex);

        if (what == 0) {
            end = NULL;
            continue;
        }

        /* white space stays between members that leave as they are */

        if (end != NULL) {
            sgamp_test_put(out, end, m->key.start - end);

        } else if (out->len != start) {
            sgamp_test_puts(out, ",");
        }

        sgamp_test_tree_repaired(out, m->key.start,
                            hex.len ? m->key.end : m->value.end);

        if (hex.len != 0) {
            sgamp_test_puts(out, ":\"");
            sgamp_test_put(out, hex.data, hex.len);
            sgamp_test_puts(out, "\"");
        }

        end = hex.len ? NULL : m->value.end;
    }

    sgamp_test_added(t, out, start);
    sgamp_test_free(&hex);
}


static int
sgamp_test_member(sgamp_test_tree_t *t, const sgamp_test_member_t *m,
    sgamp_test_buf_t *hex)
{
    /* whether it is sent, and the hash in place of its value, if any */

    if (sgamp_test_listed(t->rules->drop, &m->name, NULL)
        || (t->rules->keep != NULL
            && !sgamp_test_listed(t->rules->keep, &m->name, NULL)))
    {
        return 0;
    }

    if (hex == NULL) {
        return 1;
    }

    if (sgamp_test_listed(t->rules->hash, &m->name, NULL)) {
        if (m->value.type != 'n') {
            sgamp_test_hash(t, (char *) m->name.data, &m->value, 0, hex);
        }

    } else if (m->value.type == '"') {
        (void) sgamp_test_clear(t, &m->value, hex);
    }

    return 1;
}


static void
sgamp_test_added(sgamp_test_tree_t *t, sgamp_test_buf_t *out, size_t start)
{
    size_t                i;
    unsigned              own;
    const char           *list;
    sgamp_test_buf_t      name, value;
    sgamp_test_member_t  *m;

    memset(&name, 0, sizeof(sgamp_test_buf_t));
    memset(&value, 0, sizeof(sgamp_test_buf_t));

    list = t->rules->properties;

    while (sgamp_test_oracle_item(&list, &name, &value)) {
        own = 0;

        for (i = 0; i < t->n; i++) {
            m = &t->members[i];

            own |= m->name.len == name.len
                   && memcmp(m->name.data, name.data, name.len) == 0
                   && sgamp_test_member(t, m, NULL);
        }

        if (own) {
            continue;
        }

        sgamp_test_puts(out, (out->len != start) ? ",\"" : "\"");
        sgamp_test_quote(out, &name);
        sgamp_test_puts(out, "\":\"");
        sgamp_test_quote(out, &value);
        sgamp_test_puts(out, "\"");
    }

    sgamp_test_puts(out, "}");

    sgamp_test_free(&name);
    sgamp_test_free(&value);
}
