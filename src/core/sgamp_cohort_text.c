
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_cohort_text.h"
#include "sgamp_text.h"


#define SGAMP_COUNT_DIGITS    18   /* more are beyond any count */
#define SGAMP_SPEECH_DIGITS   9    /* of contacts[N] */
#define SGAMP_SPEECH_LOCAL    128  /* bytes looked at before an "@" */
#define SGAMP_SPEECH_ADDRESS  254  /* bytes of an address, at most */
#define SGAMP_SPEECH_TRIES    4    /* where an address may begin */
#define SGAMP_SPEECH_REACH    3    /* words from "list" to "id" */


/* words of an error's text */

typedef enum {
    SGAMP_SPEECH_OTHER = 0,
    SGAMP_SPEECH_LIST,
    SGAMP_SPEECH_ID,
    SGAMP_SPEECH_LIST_ID,
    SGAMP_SPEECH_CONTACT,
    SGAMP_SPEECH_CUSTOM,
    SGAMP_SPEECH_FIELD
} sgamp_speech_e;


static const u_char *sgamp_page_host(sgamp_page_url_t *url, const u_char *p,
    const u_char *last);
static void sgamp_page_query(sgamp_page_url_t *url, const u_char *p,
    const u_char *last);
static void sgamp_page_token(sgamp_page_url_t *url, const u_char *p,
    size_t len);
static void sgamp_speech_numbers(sgamp_speech_t *speech, uint32_t n,
    const u_char *p, const u_char *last);
static void sgamp_speech_addresses(sgamp_speech_t *speech, uint32_t n,
    sgamp_index_pt index, void *data, const u_char *p, const u_char *last);
static int64_t sgamp_speech_address(sgamp_index_pt index, void *data,
    const u_char *p, const u_char *at, const u_char *last);
static void sgamp_speech_name(sgamp_speech_t *speech, uint32_t n, int64_t i);
static void sgamp_speech_read(sgamp_speech_t *speech, const u_char *p,
    const u_char *last);
static int sgamp_any_of(const char *set, u_char ch);


static const sgamp_word_t sgamp_speech_words[] = {
    { sgamp_str("list"), SGAMP_SPEECH_LIST },
    { sgamp_str("lists"), SGAMP_SPEECH_LIST },
    { sgamp_str("id"), SGAMP_SPEECH_ID },
    { sgamp_str("ids"), SGAMP_SPEECH_ID },
    { sgamp_str("uuid"), SGAMP_SPEECH_ID },
    { sgamp_str("uuids"), SGAMP_SPEECH_ID },
    { sgamp_str("found"), SGAMP_SPEECH_ID },
    { sgamp_str("exist"), SGAMP_SPEECH_ID },
    { sgamp_str("listid"), SGAMP_SPEECH_LIST_ID },
    { sgamp_str("listids"), SGAMP_SPEECH_LIST_ID },
    { sgamp_str("list-id"), SGAMP_SPEECH_LIST_ID },
    { sgamp_str("list-ids"), SGAMP_SPEECH_LIST_ID },
    { sgamp_str("contact"), SGAMP_SPEECH_CONTACT },
    { sgamp_str("contacts"), SGAMP_SPEECH_CONTACT },
    { sgamp_str("email"), SGAMP_SPEECH_CONTACT },
    { sgamp_str("emails"), SGAMP_SPEECH_CONTACT },
    { sgamp_str("custom"), SGAMP_SPEECH_CUSTOM },
    { sgamp_str("field"), SGAMP_SPEECH_FIELD },
    { sgamp_str("fields"), SGAMP_SPEECH_FIELD },
    { { 0, NULL }, SGAMP_SPEECH_OTHER }
};


int
sgamp_alike(const sgamp_str_t *str, const u_char *p, size_t len)
{
    size_t  i;

    if (str->len != len) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if (sgamp_text_lower(str->data[i]) != sgamp_text_lower(p[i])) {
            return 0;
        }
    }

    return 1;
}


unsigned
sgamp_word(const sgamp_word_t *words, const u_char *p, size_t len)
{
    while (words->name.len != 0 && !sgamp_alike(&words->name, p, len)) {
        words++;
    }

    return words->value;
}


size_t
sgamp_lower(u_char *buf, size_t size, const u_char *p, size_t len)
{
    size_t  i;

    if (len > size) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        buf[i] = sgamp_text_lower(p[i]);
    }

    return len;
}


size_t
sgamp_plain_id(u_char *buf, size_t size, u_char ch, const u_char *p,
    size_t len)
{
    size_t  i;

    if (len > size) {
        return 0;
    }

    for (i = 0; i < len; i++) {
        if (!sgamp_alnum(p[i]) && p[i] != ch) {
            return 0;
        }

        buf[i] = p[i];
    }

    return len;
}


int
sgamp_uuid(u_char buf[SGAMP_UUID_LEN], const u_char *p, size_t len)
{
    size_t  i;
    u_char  ch, uuid[SGAMP_UUID_LEN];

    if (len != SGAMP_UUID_LEN) {
        return 0;
    }

    for (i = 0; i < SGAMP_UUID_LEN; i++) {
        ch = sgamp_text_lower(p[i]);

        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (ch != '-') {
                return 0;
            }

        } else if (!((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'f'))) {
            return 0;
        }

        uuid[i] = ch;
    }

    memcpy(buf, uuid, SGAMP_UUID_LEN);

    return 1;
}


uint64_t
sgamp_count(const u_char *p, size_t len)
{
    size_t    i;
    uint64_t  n;

    n = 0;

    for (i = 0; i < len; i++) {

        if (p[i] < '0' || p[i] > '9') {
            return 0;
        }

        if (i < SGAMP_COUNT_DIGITS) {
            n = n * 10 + (p[i] - '0');
        }
    }

    return n;
}


size_t
sgamp_url(u_char *buf, size_t size, const u_char *p, size_t len)
{
    size_t  i;

    for (i = 0; i < len && p[i] != '?' && p[i] != '#'; i++) {

        if (i == size || p[i] <= ' ' || p[i] > '~') {
            return 0;
        }

        buf[i] = p[i];
    }

    return i;
}


void
sgamp_page_url(sgamp_page_url_t *url, const u_char *p, size_t len)
{
    const u_char  *last;

    static const sgamp_str_t  path = sgamp_str("/v3/marketing/lists?");

    memset(url, 0, sizeof(sgamp_page_url_t));

    if (len == 0) {
        return;
    }

    last = p + len;
    url->given = 1;

    p = sgamp_page_host(url, p, last);

    if (p == NULL || (size_t) (last - p) < path.len
        || !sgamp_same(&path, p, path.len))
    {
        return;
    }

    sgamp_page_query(url, p + path.len, last);
}


static const u_char *
sgamp_page_host(sgamp_page_url_t *url, const u_char *p,
    const u_char *last)
{
    size_t         i;
    const u_char  *begin;

    static const sgamp_str_t schemes[] = {
        sgamp_str("https://"),
        sgamp_str("http://")
    };

    if (*p == '/') {
        url->relative = 1;
        return p;
    }

    for (i = 0; /* void */ ; i++) {

        if (i == sizeof(schemes) / sizeof(schemes[0])) {
            return NULL;
        }

        if ((size_t) (last - p) > schemes[i].len
            && sgamp_alike(&schemes[i], p, schemes[i].len))
        {
            p += schemes[i].len;
            break;
        }
    }

    begin = p;

    while (p < last
           && (sgamp_alnum(*p) || *p == '-' || *p == '.'))
    {
        p++;
    }

    i = p - begin;

    if (p < last && *p == ':') {
        p++;

        while (p < last && *p >= '0' && *p <= '9') {
            p++;
        }
    }

    /* a user's name would make a host of what is none */

    if (p == last || *p != '/') {
        return NULL;
    }

    url->host_len = sgamp_lower(url->host, sizeof(url->host), begin,
                                         i);

    return (url->host_len != 0) ? p : NULL;
}


static void
sgamp_page_query(sgamp_page_url_t *url, const u_char *p,
    const u_char *last)
{
    const u_char  *end;

    static const sgamp_str_t  name = sgamp_str("page_token=");

    for ( /* void */ ; p < last; p = end + 1) {
        end = p;

        while (end < last && *end != '&' && *end != '#') {
            end++;
        }

        if ((size_t) (end - p) > name.len && sgamp_same(&name, p, name.len)) {
            sgamp_page_token(url, p + name.len, end - p - name.len);
            return;
        }

        if (end == last || *end == '#') {
            return;
        }
    }
}


static void
sgamp_page_token(sgamp_page_url_t *url, const u_char *p, size_t len)
{
    size_t  i;

    static const char  hex[] = "0123456789abcdefABCDEF";

    if (len > SGAMP_PAGE_TOKEN) {
        return;
    }

    /* what may stand in a query as it is */

    for (i = 0; i < len; i++) {

        if (p[i] == '%') {

            if (len - i < 3 || !sgamp_any_of(hex, p[i + 1])
                || !sgamp_any_of(hex, p[i + 2]))
            {
                return;
            }

        } else if (!sgamp_alnum(p[i])
                   && !sgamp_any_of("-._~!$()*+,;=:@/?", p[i]))
        {
            return;
        }
    }

    memcpy(url->token, p, len);
    url->token_len = len;
}


int
sgamp_page_follows(const sgamp_page_url_t *url, const sgamp_page_url_t *self)
{
    size_t       len;
    sgamp_str_t  host, token;

    static const sgamp_str_t  domain = sgamp_str(".sendgrid.com");

    host.data = (u_char *) url->host;
    host.len = url->host_len;
    token.data = (u_char *) url->token;
    token.len = url->token_len;

    if (token.len == 0
        || sgamp_same(&token, self->token, self->token_len))
    {
        return 0;
    }

    if (url->relative || sgamp_same(&host, self->host, self->host_len)) {
        return 1;
    }

    len = domain.len;

    return host.len > len
           && sgamp_same(&domain, host.data + host.len - len, len);
}


void
sgamp_speech(sgamp_speech_t *speech, uint32_t n, sgamp_index_pt index,
    void *data, const u_char *p, size_t len)
{
    memset(speech, 0, sizeof(sgamp_speech_t));

    if (len == 0) {
        return;
    }

    sgamp_speech_numbers(speech, n, p, p + len);

    if (speech->n == 0 && index != NULL) {
        sgamp_speech_addresses(speech, n, index, data, p, p + len);
    }

    sgamp_speech_read(speech, p, p + len);
}


static void
sgamp_speech_numbers(sgamp_speech_t *speech, uint32_t n, const u_char *p,
    const u_char *last)
{
    int64_t        i;
    const u_char  *begin;

    static const sgamp_str_t  name = sgamp_str("contacts[");

    while ((size_t) (last - p) > name.len) {

        if (!sgamp_same(&name, p, name.len)) {
            p++;
            continue;
        }

        p += name.len;
        begin = p;
        i = 0;

        while (p < last && *p >= '0' && *p <= '9'
               && p - begin < SGAMP_SPEECH_DIGITS)
        {
            i = i * 10 + (*p++ - '0');
        }

        speech->contact = 1;

        if (p > begin && p < last && *p == ']') {
            sgamp_speech_name(speech, n, i);
        }
    }
}


static void
sgamp_speech_addresses(sgamp_speech_t *speech, uint32_t n,
    sgamp_index_pt index, void *data, const u_char *p, const u_char *last)
{
    const u_char  *at, *begin, *end;

    for (at = p; at < last && speech->n < SGAMP_ERROR_NAMES; at++) {

        if (*at != '@') {
            continue;
        }

        speech->contact = 1;

        begin = at;

        while (begin > p && at - begin < SGAMP_SPEECH_LOCAL
               && (sgamp_alnum(begin[-1])
                   || sgamp_any_of("!#$%&'*+-/=?^_`{|}~.", begin[-1])))
        {
            begin--;
        }

        end = at + 1;

        while (end < last && (sgamp_alnum(*end) || *end == '-' || *end == '.')
               && end - begin <= SGAMP_SPEECH_LOCAL + SGAMP_SPEECH_ADDRESS)
        {
            end++;
        }

        /* the end of a sentence */

        while (end[-1] == '.') {
            end--;
        }

        sgamp_speech_name(speech, n,
                          sgamp_speech_address(index, data, begin, at, end));
    }
}


static int64_t
sgamp_speech_address(sgamp_index_pt index, void *data, const u_char *p,
    const u_char *at, const u_char *last)
{
    u_char       buf[SGAMP_SPEECH_ADDRESS];
    int64_t      n;
    unsigned     i;
    sgamp_str_t  address;

    /*
     * a quote, a brace or "email=" before an address may be a part of it; never
     * does an address begin within another
     */

    for (i = 0; i < SGAMP_SPEECH_TRIES && p < at; i++) {

        address.data = buf;
        address.len = sgamp_lower(buf, sizeof(buf), p, last - p);

        if (address.len != 0) {
            n = index(data, &address);
            if (n >= 0) {
                return n;
            }
        }

        if (!sgamp_any_of("'`{", *p)) {

            while (p < at && *p != '=') {
                p++;
            }
        }

        p++;
    }

    return -1;
}


static void
sgamp_speech_name(sgamp_speech_t *speech, uint32_t n, int64_t i)
{
    /* a contact that the request does not have is not believed */

    if (i >= 0 && i < n && speech->n < SGAMP_ERROR_NAMES) {
        speech->contacts[speech->n++] = (uint32_t) i;
    }
}


static void
sgamp_speech_read(sgamp_speech_t *speech, const u_char *p,
    const u_char *last)
{
    unsigned       custom, reach;
    const u_char  *begin;

    custom = 0;
    reach = 0;

    while (p < last) {
        begin = p;

        while (p < last && (sgamp_alnum(*p) || *p == '-')) {
            p++;
        }

        if (p == begin) {
            p++;
            continue;
        }

        switch (sgamp_word(sgamp_speech_words, begin, p - begin)) {

        case SGAMP_SPEECH_LIST:
            reach = SGAMP_SPEECH_REACH + 1;
            break;

        case SGAMP_SPEECH_ID:
            speech->list |= (reach != 0);
            break;

        case SGAMP_SPEECH_LIST_ID:
            speech->list = 1;
            break;

        case SGAMP_SPEECH_CONTACT:
            reach = 0;
            break;

        case SGAMP_SPEECH_CUSTOM:
            custom = 2;
            break;

        case SGAMP_SPEECH_FIELD:
            speech->custom |= (custom != 0);
            break;

        default:
            break;
        }

        reach -= (reach != 0);
        custom -= (custom != 0);
    }
}


static int
sgamp_any_of(const char *set, u_char ch)
{
    while (*set != '\0' && (u_char) *set != ch) {
        set++;
    }

    return *set != '\0';
}
