
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include "sgamp_cohort_answer.h"
#include "sgamp_text.h"


#define SGAMP_SENDGRID_SEARCH   16777216 /* bytes of a search's answer */
#define SGAMP_SENDGRID_PAGE     4194304  /* bytes of lists, fields, errors */
#define SGAMP_SENDGRID_LEVELS   7        /* levels of a path */
#define SGAMP_SENDGRID_SECONDS  100000   /* a larger time is a Unix time */
#define SGAMP_SENDGRID_HOUR     3600     /* seconds */

#define SGAMP_SENDGRID_MARK     1


/* what has to be true of an answer, for a rule to apply */

#define SGAMP_SENDGRID_ANY      0x00
#define SGAMP_SENDGRID_DONE     (SGAMP_SENDGRID_WHOLE                         \
                                 | SGAMP_SENDGRID_EXPECTED)


/*
 * Where a value stands: the call, then a word for each level, a byte each.  A
 * member has the word of its name, an element of an array has ITEM.
 */

#define sgamp_at(call, ...)                                                   \
    sgamp_at_levels(call, __VA_ARGS__, NONE, NONE, NONE, NONE, NONE)

#define sgamp_at_levels(call, a, b, c, d, e, ...)                             \
    ((uint64_t) SGAMP_CALL_##call | sgamp_level(SGAMP_WORD_##a, 1)            \
     | sgamp_level(SGAMP_WORD_##b, 2) | sgamp_level(SGAMP_WORD_##c, 3)        \
     | sgamp_level(SGAMP_WORD_##d, 4) | sgamp_level(SGAMP_WORD_##e, 5))

#define sgamp_level(word, depth)  ((uint64_t) (word) << (8 * (depth)))


typedef enum {
    SGAMP_WORD_NONE = 0,
    SGAMP_WORD_OTHER,
    SGAMP_WORD_ITEM,
    SGAMP_WORD_ASKED,     /* an address that was asked for */
    SGAMP_WORD_RESULT,
    SGAMP_WORD_METADATA,
    SGAMP_WORD_SELF,
    SGAMP_WORD_NEXT,
    SGAMP_WORD_ID,
    SGAMP_WORD_NAME,
    SGAMP_WORD_CUSTOM_FIELDS,
    SGAMP_WORD_FIELD_TYPE,
    SGAMP_WORD_JOB_ID,
    SGAMP_WORD_ERRORS,
    SGAMP_WORD_FIELD,     /* texts of an error, best first */
    SGAMP_WORD_PARAMETER,
    SGAMP_WORD_MESSAGE,
    SGAMP_WORD_CONTACT,
    SGAMP_WORD_EMAIL,
    SGAMP_WORD_LIST_IDS,
    SGAMP_WORD_STATUS,
    SGAMP_WORD_RESULTS,
    SGAMP_WORD_ERRORS_URL,
    SGAMP_WORD_REQUESTED, /* counts */
    SGAMP_WORD_ERRORED,
    SGAMP_WORD_CREATED,   /* applied, from here on */
    SGAMP_WORD_UPDATED,
    SGAMP_WORD_UNMODIFIED,
    SGAMP_WORD_DELETED
} sgamp_sendgrid_word_e;


/* takes a value at a place; the value is empty when its key is read */

typedef struct {
    uint64_t  path;
    void    (*take)(sgamp_sendgrid_answer_t *a, const u_char *p, size_t len);
} sgamp_sendgrid_place_t;


static void sgamp_sendgrid_key(sgamp_answer_t *answer, const u_char *p,
    size_t len);
static void sgamp_sendgrid_value(sgamp_answer_t *answer, const u_char *p,
    size_t len);
static void sgamp_sendgrid_open(sgamp_answer_t *answer, unsigned array);
static void sgamp_sendgrid_close(sgamp_answer_t *answer);
static unsigned sgamp_sendgrid_known(const u_char *p, size_t len);
static unsigned sgamp_sendgrid_word(const sgamp_sendgrid_answer_t *a);

static void sgamp_sendgrid_result(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len);
static void sgamp_sendgrid_item_id(sgamp_sendgrid_answer_t *a,
    const u_char *p, size_t len);
static void sgamp_sendgrid_list_name(sgamp_sendgrid_answer_t *a,
    const u_char *p, size_t len);
static void sgamp_sendgrid_list(sgamp_sendgrid_answer_t *a);
static void sgamp_sendgrid_metadata(sgamp_sendgrid_answer_t *a,
    const u_char *p, size_t len);
static void sgamp_sendgrid_link(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len);
static void sgamp_sendgrid_page(sgamp_sendgrid_answer_t *a);
static void sgamp_sendgrid_created(sgamp_sendgrid_answer_t *a,
    const u_char *p, size_t len);

static void sgamp_sendgrid_undefined(sgamp_sendgrid_answer_t *a,
    const u_char *p, size_t len);
static void sgamp_sendgrid_field_id(sgamp_sendgrid_answer_t *a,
    const u_char *p, size_t len);
static void sgamp_sendgrid_field_name(sgamp_sendgrid_answer_t *a,
    const u_char *p, size_t len);
static void sgamp_sendgrid_field_type(sgamp_sendgrid_answer_t *a,
    const u_char *p, size_t len);
static void sgamp_sendgrid_define(sgamp_sendgrid_answer_t *a);

static void sgamp_sendgrid_job(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len);
static void sgamp_sendgrid_errors(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len);
static void sgamp_sendgrid_bare(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len);
static void sgamp_sendgrid_member(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len);
static void sgamp_sendgrid_text(sgamp_sendgrid_answer_t *a, unsigned word,
    const u_char *p, size_t len);
static void sgamp_sendgrid_error(sgamp_sendgrid_answer_t *a);

static void sgamp_sendgrid_email(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len);
static void sgamp_sendgrid_unlisted(sgamp_sendgrid_answer_t *a,
    const u_char *p, size_t len);
static void sgamp_sendgrid_listed(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len);
static void sgamp_sendgrid_contact(sgamp_sendgrid_answer_t *a);

static void sgamp_sendgrid_status(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len);
static void sgamp_sendgrid_results(sgamp_sendgrid_answer_t *a,
    const u_char *p, size_t len);
static void sgamp_sendgrid_count(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len);
static void sgamp_sendgrid_errors_url(sgamp_sendgrid_answer_t *a,
    const u_char *p, size_t len);


/* the first rule that fits applies */

static const sgamp_answer_rule_t sgamp_sendgrid_get_rules[] = {
    { 200, 200, SGAMP_SENDGRID_DONE, SGAMP_NEXT },
    { 401, 401, SGAMP_SENDGRID_ANY, SGAMP_REFUSE },
    { 403, 403, SGAMP_SENDGRID_ANY, SGAMP_REFUSE },
    { 429, 429, SGAMP_SENDGRID_ANY, SGAMP_WAIT },
    { 0, (unsigned) -1, SGAMP_SENDGRID_ANY, SGAMP_RETRY }
};


static const sgamp_answer_rule_t sgamp_sendgrid_create_rules[] = {
    { 200, 201, SGAMP_SENDGRID_DONE, SGAMP_NEXT },
    { 401, 401, SGAMP_SENDGRID_ANY, SGAMP_REFUSE },
    { 403, 403, SGAMP_SENDGRID_ANY, SGAMP_REFUSE },
    { 408, 408, SGAMP_SENDGRID_ANY, SGAMP_RETRY },
    { 429, 429, SGAMP_SENDGRID_ANY, SGAMP_WAIT },
    { 400, 499, SGAMP_SENDGRID_ANY, SGAMP_REJECT },
    { 0, (unsigned) -1, SGAMP_SENDGRID_ANY, SGAMP_RETRY }
};


static const sgamp_answer_rule_t sgamp_sendgrid_put_rules[] = {
    { 202, 202, SGAMP_SENDGRID_DONE, SGAMP_FORWARD },
    { 400, 400, SGAMP_SENDGRID_NAMES, SGAMP_REJECT },
    { 400, 400, SGAMP_SENDGRID_UNKNOWN_LIST, SGAMP_RETRY },
    { 400, 400, SGAMP_SENDGRID_UNKNOWN_FIELD, SGAMP_RETRY },
    { 400, 400, SGAMP_SENDGRID_ANY, SGAMP_HALVE },
    { 401, 401, SGAMP_SENDGRID_ANY, SGAMP_REFUSE },
    { 403, 403, SGAMP_SENDGRID_ANY, SGAMP_REFUSE },
    { 413, 413, SGAMP_SENDGRID_ANY, SGAMP_HALVE },
    { 429, 429, SGAMP_SENDGRID_ANY, SGAMP_WAIT },
    { 0, (unsigned) -1, SGAMP_SENDGRID_ANY, SGAMP_RETRY }
};


static const sgamp_answer_rule_t sgamp_sendgrid_search_rules[] = {
    { 200, 200, SGAMP_SENDGRID_DONE, SGAMP_NEXT },
    { 400, 400, SGAMP_SENDGRID_ANY, SGAMP_HALVE },
    { 401, 401, SGAMP_SENDGRID_ANY, SGAMP_REFUSE },
    { 403, 403, SGAMP_SENDGRID_ANY, SGAMP_REFUSE },
    { 404, 404, SGAMP_SENDGRID_ANY, SGAMP_NEXT },
    { 413, 414, SGAMP_SENDGRID_ANY, SGAMP_HALVE },
    { 429, 429, SGAMP_SENDGRID_ANY, SGAMP_WAIT },
    { 0, (unsigned) -1, SGAMP_SENDGRID_ANY, SGAMP_RETRY }
};


static const sgamp_answer_rule_t sgamp_sendgrid_remove_rules[] = {
    { 200, 200, SGAMP_SENDGRID_ANY, SGAMP_FORWARD },
    { 202, 202, SGAMP_SENDGRID_ANY, SGAMP_FORWARD },
    { 204, 204, SGAMP_SENDGRID_ANY, SGAMP_FORWARD },
    { 400, 400, SGAMP_SENDGRID_ANY, SGAMP_HALVE },
    { 401, 401, SGAMP_SENDGRID_ANY, SGAMP_REFUSE },
    { 403, 403, SGAMP_SENDGRID_ANY, SGAMP_REFUSE },
    { 404, 404, SGAMP_SENDGRID_ANY, SGAMP_HALVE },
    { 413, 414, SGAMP_SENDGRID_ANY, SGAMP_HALVE },
    { 429, 429, SGAMP_SENDGRID_ANY, SGAMP_WAIT },
    { 0, (unsigned) -1, SGAMP_SENDGRID_ANY, SGAMP_RETRY }
};


static const sgamp_answer_rule_t sgamp_sendgrid_import_rules[] = {
    { 200, 200, SGAMP_SENDGRID_DONE, SGAMP_NEXT },
    { 400, 400, SGAMP_SENDGRID_ANY, SGAMP_REJECT },
    { 401, 401, SGAMP_SENDGRID_ANY, SGAMP_REFUSE },
    { 403, 403, SGAMP_SENDGRID_ANY, SGAMP_REFUSE },
    { 404, 404, SGAMP_SENDGRID_ANY, SGAMP_REJECT },
    { 429, 429, SGAMP_SENDGRID_ANY, SGAMP_WAIT },
    { 0, (unsigned) -1, SGAMP_SENDGRID_ANY, SGAMP_RETRY }
};


/* in the order of sgamp_call_e */

static const struct {
    const sgamp_answer_rule_t  *rules;
    size_t                      limit;    /* bytes of an answer, 0: usual */
    unsigned                    expected; /* any JSON object is */
} sgamp_sendgrid_calls[SGAMP_CALLS] = {
    { sgamp_sendgrid_get_rules, SGAMP_SENDGRID_PAGE, 0 },
    { sgamp_sendgrid_create_rules, 0, 0 },
    { sgamp_sendgrid_get_rules, SGAMP_SENDGRID_PAGE, 1 },
    { sgamp_sendgrid_put_rules, SGAMP_SENDGRID_PAGE, 1 },
    { sgamp_sendgrid_search_rules, SGAMP_SENDGRID_SEARCH, 0 },
    { sgamp_sendgrid_search_rules, SGAMP_SENDGRID_SEARCH, 0 },
    { sgamp_sendgrid_remove_rules, 0, 1 },
    { sgamp_sendgrid_import_rules, 0, 0 }
};


static const sgamp_word_t sgamp_sendgrid_keys[] = {
    { sgamp_str("result"), SGAMP_WORD_RESULT },
    { sgamp_str("_metadata"), SGAMP_WORD_METADATA },
    { sgamp_str("self"), SGAMP_WORD_SELF },
    { sgamp_str("next"), SGAMP_WORD_NEXT },
    { sgamp_str("id"), SGAMP_WORD_ID },
    { sgamp_str("name"), SGAMP_WORD_NAME },
    { sgamp_str("custom_fields"), SGAMP_WORD_CUSTOM_FIELDS },
    { sgamp_str("field_type"), SGAMP_WORD_FIELD_TYPE },
    { sgamp_str("job_id"), SGAMP_WORD_JOB_ID },
    { sgamp_str("errors"), SGAMP_WORD_ERRORS },
    { sgamp_str("field"), SGAMP_WORD_FIELD },
    { sgamp_str("parameter"), SGAMP_WORD_PARAMETER },
    { sgamp_str("message"), SGAMP_WORD_MESSAGE },
    { sgamp_str("contact"), SGAMP_WORD_CONTACT },
    { sgamp_str("email"), SGAMP_WORD_EMAIL },
    { sgamp_str("list_ids"), SGAMP_WORD_LIST_IDS },
    { sgamp_str("status"), SGAMP_WORD_STATUS },
    { sgamp_str("results"), SGAMP_WORD_RESULTS },
    { sgamp_str("errors_url"), SGAMP_WORD_ERRORS_URL },
    { sgamp_str("requested_count"), SGAMP_WORD_REQUESTED },
    { sgamp_str("errored_count"), SGAMP_WORD_ERRORED },
    { sgamp_str("created_count"), SGAMP_WORD_CREATED },
    { sgamp_str("updated_count"), SGAMP_WORD_UPDATED },
    { sgamp_str("unmodified_count"), SGAMP_WORD_UNMODIFIED },
    { sgamp_str("deleted_count"), SGAMP_WORD_DELETED },
    { { 0, NULL }, SGAMP_WORD_OTHER }
};


static const sgamp_word_t sgamp_sendgrid_types[] = {
    { sgamp_str("text"), SGAMP_TYPE_TEXT },
    { sgamp_str("number"), SGAMP_TYPE_NUMBER },
    { sgamp_str("date"), SGAMP_TYPE_DATE },
    { { 0, NULL }, SGAMP_TYPE_MISSING }
};


static const sgamp_word_t sgamp_sendgrid_statuses[] = {
    { sgamp_str("completed"), SGAMP_IMPORT_COMPLETED },
    { sgamp_str("errored"), SGAMP_IMPORT_ERRORED },
    { sgamp_str("failed"), SGAMP_IMPORT_FAILED },
    { { 0, NULL }, SGAMP_IMPORT_PENDING }
};


static const sgamp_sendgrid_place_t sgamp_sendgrid_places[] = {
    { sgamp_at(LISTS, RESULT), sgamp_sendgrid_result },
    { sgamp_at(LISTS, RESULT, ITEM, ID), sgamp_sendgrid_item_id },
    { sgamp_at(LISTS, RESULT, ITEM, NAME), sgamp_sendgrid_list_name },
    { sgamp_at(LISTS, METADATA), sgamp_sendgrid_metadata },
    { sgamp_at(LISTS, METADATA, SELF), sgamp_sendgrid_link },
    { sgamp_at(LISTS, METADATA, NEXT), sgamp_sendgrid_link },

    { sgamp_at(CREATE, ID), sgamp_sendgrid_created },

    { sgamp_at(FIELDS, CUSTOM_FIELDS), sgamp_sendgrid_undefined },
    { sgamp_at(FIELDS, CUSTOM_FIELDS, ITEM, ID), sgamp_sendgrid_field_id },
    { sgamp_at(FIELDS, CUSTOM_FIELDS, ITEM, NAME), sgamp_sendgrid_field_name },
    { sgamp_at(FIELDS, CUSTOM_FIELDS, ITEM, FIELD_TYPE),
      sgamp_sendgrid_field_type },

    { sgamp_at(PUT, JOB_ID), sgamp_sendgrid_job },
    { sgamp_at(PUT, ERRORS), sgamp_sendgrid_errors },
    { sgamp_at(PUT, ERRORS, ITEM), sgamp_sendgrid_bare },
    { sgamp_at(PUT, ERRORS, ITEM, FIELD), sgamp_sendgrid_member },
    { sgamp_at(PUT, ERRORS, ITEM, PARAMETER), sgamp_sendgrid_member },
    { sgamp_at(PUT, ERRORS, ITEM, MESSAGE), sgamp_sendgrid_member },

    { sgamp_at(SEARCH, RESULT), sgamp_sendgrid_result },
    { sgamp_at(SEARCH, RESULT, ASKED, CONTACT, ID), sgamp_sendgrid_item_id },
    { sgamp_at(SEARCH, RESULT, ASKED, CONTACT, EMAIL), sgamp_sendgrid_email },
    { sgamp_at(SEARCH, RESULT, ASKED, CONTACT, LIST_IDS),
      sgamp_sendgrid_unlisted },
    { sgamp_at(SEARCH, RESULT, ASKED, CONTACT, LIST_IDS, ITEM),
      sgamp_sendgrid_listed },

    { sgamp_at(IMPORT, STATUS), sgamp_sendgrid_status },
    { sgamp_at(IMPORT, RESULTS), sgamp_sendgrid_results },
    { sgamp_at(IMPORT, RESULTS, ERRORS_URL), sgamp_sendgrid_errors_url },
    { sgamp_at(IMPORT, RESULTS, REQUESTED), sgamp_sendgrid_count },
    { sgamp_at(IMPORT, RESULTS, ERRORED), sgamp_sendgrid_count },
    { sgamp_at(IMPORT, RESULTS, CREATED), sgamp_sendgrid_count },
    { sgamp_at(IMPORT, RESULTS, UPDATED), sgamp_sendgrid_count },
    { sgamp_at(IMPORT, RESULTS, UNMODIFIED), sgamp_sendgrid_count },
    { sgamp_at(IMPORT, RESULTS, DELETED), sgamp_sendgrid_count },

    { 0, NULL }
};


static const sgamp_answer_reader_t sgamp_sendgrid_reader = {
    sgamp_sendgrid_key,
    sgamp_sendgrid_value,
    sgamp_sendgrid_value,
    sgamp_sendgrid_open,
    sgamp_sendgrid_close
};


void
sgamp_sendgrid_init(sgamp_sendgrid_answer_t *a,
    const sgamp_sendgrid_question_t *question, sgamp_grow_t *grow,
    sgamp_str_t *reserve)
{
    sgamp_call_e  call;

    memset(a, 0, sizeof(sgamp_sendgrid_answer_t));

    call = question->call;

    sgamp_answer_init(&a->answer, &sgamp_sendgrid_reader, question->n, grow,
                      reserve);

    if (sgamp_sendgrid_calls[call].limit != 0) {
        a->answer.limit = sgamp_sendgrid_calls[call].limit;
    }

    a->question = *question;
    a->expected = sgamp_sendgrid_calls[call].expected;

    /* the two searches have the same answers */

    a->path = (call == SGAMP_CALL_IDENTIFY) ? SGAMP_CALL_SEARCH : call;

    if (call == SGAMP_CALL_FIELDS) {
        sgamp_sendgrid_undefined(a, NULL, 0);
    }
}


void
sgamp_sendgrid_feed(sgamp_sendgrid_answer_t *a, const u_char *p, size_t n)
{
    sgamp_answer_feed(&a->answer, p, n);
}


sgamp_action_e
sgamp_sendgrid_action(sgamp_sendgrid_answer_t *a, unsigned status,
    unsigned last)
{
    unsigned      facts;
    sgamp_call_e  call;

    call = a->question.call;
    facts = SGAMP_SENDGRID_ANY;

    if (last && a->answer.body == SGAMP_ANSWER_WHOLE) {
        facts |= SGAMP_SENDGRID_WHOLE;
    }

    if (call == SGAMP_CALL_LISTS) {
        sgamp_sendgrid_page(a);

        if (!a->next.given) {
            facts |= SGAMP_SENDGRID_LAST_PAGE;
        }
    }

    if (a->expected && !a->lied && !a->bad_page) {
        facts |= SGAMP_SENDGRID_EXPECTED;
    }

    if (a->errors) {
        facts |= SGAMP_SENDGRID_ERRORS;
    }

    if (a->named) {
        facts |= SGAMP_SENDGRID_NAMES;
    }

    if ((a->unknown_list && status == 400)
        || (call == SGAMP_CALL_PUT && status == 404))
    {
        facts |= SGAMP_SENDGRID_UNKNOWN_LIST;
    }

    if (a->unknown_field && status == 400) {
        facts |= SGAMP_SENDGRID_UNKNOWN_FIELD;
    }

    a->facts = facts;
    a->requested = a->counts[0];
    a->errored = a->counts[SGAMP_WORD_ERRORED - SGAMP_WORD_REQUESTED];
    a->applied = a->counts[SGAMP_WORD_CREATED - SGAMP_WORD_REQUESTED]
                 + a->counts[SGAMP_WORD_UPDATED - SGAMP_WORD_REQUESTED]
                 + a->counts[SGAMP_WORD_UNMODIFIED - SGAMP_WORD_REQUESTED]
                 + a->counts[SGAMP_WORD_DELETED - SGAMP_WORD_REQUESTED];

    return sgamp_answer_action(&a->answer, sgamp_sendgrid_calls[call].rules,
                               status, facts);
}


void
sgamp_sendgrid_done(sgamp_sendgrid_answer_t *a)
{
    sgamp_answer_done(&a->answer);
}


uint64_t
sgamp_sendgrid_reset(uint64_t value, uint64_t now)
{
    if (value >= SGAMP_SENDGRID_SECONDS) {
        value = (value > now) ? value - now : 0;
    }

    if (value > SGAMP_SENDGRID_HOUR) {
        value = SGAMP_SENDGRID_HOUR;
    }

    return value * 1000;
}


static void
sgamp_sendgrid_key(sgamp_answer_t *answer, const u_char *p, size_t len)
{
    sgamp_sendgrid_answer_t  *a = (sgamp_sendgrid_answer_t *) answer;

    unsigned  word;

    if (answer->depth > SGAMP_SENDGRID_LEVELS) {
        return;
    }

    a->path &= sgamp_level(1, answer->depth) - 1;

    if (answer->depth == 2
        && a->path == sgamp_at(SEARCH, RESULT))
    {
        a->asked_len = sgamp_lower(a->asked, sizeof(a->asked), p,
                                            len);
        word = SGAMP_WORD_ASKED;

    } else {
        word = sgamp_sendgrid_known(p, len);
    }

    a->path |= sgamp_level(word, answer->depth);

    /* of members with the same name, the last counts: forget what was before */

    sgamp_sendgrid_value(answer, NULL, 0);
}


static void
sgamp_sendgrid_value(sgamp_answer_t *answer, const u_char *p, size_t len)
{
    sgamp_sendgrid_answer_t  *a = (sgamp_sendgrid_answer_t *) answer;

    const sgamp_sendgrid_place_t  *place;

    if (answer->depth > SGAMP_SENDGRID_LEVELS) {
        return;
    }

    place = sgamp_sendgrid_places;

    while (place->take != NULL && place->path != a->path) {
        place++;
    }

    if (place->take != NULL) {
        place->take(a, p, len);
    }
}


static void
sgamp_sendgrid_open(sgamp_answer_t *answer, unsigned array)
{
    sgamp_sendgrid_answer_t  *a = (sgamp_sendgrid_answer_t *) answer;

    if (answer->depth > SGAMP_SENDGRID_LEVELS) {
        return;
    }

    switch (a->path) {

    case sgamp_at(LISTS, RESULT):
        a->expected = array;
        break;

    case sgamp_at(SEARCH, RESULT):
        a->expected = !array;
        break;

    case sgamp_at(IMPORT, RESULTS):
        a->expected = 1;
        break;

    case sgamp_at(LISTS, RESULT, ITEM):
    case sgamp_at(SEARCH, RESULT, ASKED, CONTACT):
    case sgamp_at(FIELDS, CUSTOM_FIELDS, ITEM):
        memset(&a->item, 0, sizeof(sgamp_sendgrid_item_t));
        a->item.type = SGAMP_TYPE_MISSING;
        break;

    case sgamp_at(PUT, ERRORS, ITEM):
        memset(a->texts, 0, sizeof(a->texts));
        break;

    default:
        break;
    }

    if (array && answer->depth == 2 && sgamp_sendgrid_word(a) == 0
        && a->path >> 8 == SGAMP_WORD_ERRORS)
    {
        a->errors = 1;
    }

    a->path |= sgamp_level(array ? SGAMP_WORD_ITEM : SGAMP_WORD_OTHER,
                           answer->depth);
}


static void
sgamp_sendgrid_close(sgamp_answer_t *answer)
{
    sgamp_sendgrid_answer_t  *a = (sgamp_sendgrid_answer_t *) answer;

    if (answer->depth >= SGAMP_SENDGRID_LEVELS) {
        return;
    }

    a->path &= sgamp_level(1, answer->depth + 1) - 1;

    switch (a->path) {

    case sgamp_at(LISTS, RESULT, ITEM):
        sgamp_sendgrid_list(a);
        break;

    case sgamp_at(FIELDS, CUSTOM_FIELDS, ITEM):
        sgamp_sendgrid_define(a);
        break;

    case sgamp_at(PUT, ERRORS, ITEM):
        sgamp_sendgrid_error(a);
        break;

    case sgamp_at(SEARCH, RESULT, ASKED, CONTACT):
        sgamp_sendgrid_contact(a);
        break;

    default:
        break;
    }
}


static unsigned
sgamp_sendgrid_known(const u_char *p, size_t len)
{
    const sgamp_word_t  *word;

    word = sgamp_sendgrid_keys;

    while (word->name.len != 0 && !sgamp_same(&word->name, p, len)) {
        word++;
    }

    return word->value;
}


static unsigned
sgamp_sendgrid_word(const sgamp_sendgrid_answer_t *a)
{
    return (a->path >> (8 * a->answer.depth)) & 0xff;
}


static void
sgamp_sendgrid_result(sgamp_sendgrid_answer_t *a, const u_char *p, size_t len)
{
    /* without any list, null may stand in place of an array */

    a->expected = (len == 0 && a->question.call == SGAMP_CALL_LISTS);
    a->lied = 0;
    a->nlists = 0;
}


static void
sgamp_sendgrid_item_id(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len)
{
    a->item.uuid = sgamp_uuid(a->item.id, p, len);
}


static void
sgamp_sendgrid_list_name(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len)
{
    const sgamp_str_t  *end;

    end = a->question.end;

    a->item.names = 0;

    if (end->len == 0 || len < end->len
        || (a->question.exact && len != end->len))
    {
        return;
    }

    a->item.names = sgamp_same(end, p + len - end->len, end->len);
}


static void
sgamp_sendgrid_list(sgamp_sendgrid_answer_t *a)
{
    if (!a->item.names) {
        return;
    }

    if (!a->item.uuid) {
        a->lied = 1;

    } else if (a->nlists == 0) {
        memcpy(a->id, a->item.id, SGAMP_UUID_LEN);
    }

    a->nlists++;
}


static void
sgamp_sendgrid_metadata(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len)
{
    memset(&a->self, 0, sizeof(sgamp_page_url_t));
    memset(&a->next, 0, sizeof(sgamp_page_url_t));
}


static void
sgamp_sendgrid_link(sgamp_sendgrid_answer_t *a, const u_char *p, size_t len)
{
    sgamp_page_url(sgamp_sendgrid_word(a) == SGAMP_WORD_SELF ? &a->self
                                                             : &a->next,
                   p, len);
}


static void
sgamp_sendgrid_page(sgamp_sendgrid_answer_t *a)
{
    a->bad_page = (a->next.given && !sgamp_page_follows(&a->next, &a->self));

    a->token.data = a->next.token;
    a->token.len = a->bad_page ? 0 : a->next.token_len;
}


static void
sgamp_sendgrid_created(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len)
{
    a->expected = sgamp_uuid(a->id, p, len);
}


static void
sgamp_sendgrid_undefined(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len)
{
    unsigned                      i;
    const sgamp_contact_rules_t  *rules;

    rules = a->question.rules;

    for (i = 0; i < rules->ncustom; i++) {
        a->question.definitions[i].len = 0;
        a->question.definitions[i].type = SGAMP_TYPE_MISSING;
    }
}


static void
sgamp_sendgrid_field_id(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len)
{
    a->item.field_len = sgamp_plain_id(a->item.field, SGAMP_FIELD_ID, '_', p,
                                       len);
}


static void
sgamp_sendgrid_field_name(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len)
{
    unsigned                      i;
    const sgamp_contact_rules_t  *rules;

    rules = a->question.rules;

    a->item.names = 0;

    for (i = 0; i < rules->n; i++) {

        if (rules->fields[i].kind == SGAMP_FIELD_CUSTOM
            && sgamp_alike(&rules->fields[i].name, p, len))
        {
            a->item.names |= 1u << i;
        }
    }
}


static void
sgamp_sendgrid_field_type(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len)
{
    a->item.type = sgamp_word(sgamp_sendgrid_types, p, len);
}


static void
sgamp_sendgrid_define(sgamp_sendgrid_answer_t *a)
{
    unsigned                      i, n;
    const sgamp_contact_rules_t  *rules;
    sgamp_field_definition_t     *definition;

    if (a->item.field_len == 0 || a->item.type == SGAMP_TYPE_MISSING) {
        return;
    }

    rules = a->question.rules;
    n = 0;

    for (i = 0; i < rules->n; i++) {

        if (rules->fields[i].kind != SGAMP_FIELD_CUSTOM) {
            continue;
        }

        definition = &a->question.definitions[n++];

        if (a->item.names & (1u << i)) {
            memcpy(definition->id, a->item.field, a->item.field_len);
            definition->len = a->item.field_len;
            definition->type = a->item.type;
        }
    }
}


static void
sgamp_sendgrid_job(sgamp_sendgrid_answer_t *a, const u_char *p, size_t len)
{
    a->job_len = sgamp_plain_id(a->job, SGAMP_JOB_ID, '-', p, len);
}


static void
sgamp_sendgrid_errors(sgamp_sendgrid_answer_t *a, const u_char *p, size_t len)
{
    a->errors = 0;
    a->named = 0;
    a->unknown_list = 0;
    a->unknown_field = 0;

    if (a->answer.marks != NULL) {
        memset(a->answer.marks, 0, a->answer.n);
    }
}


static void
sgamp_sendgrid_bare(sgamp_sendgrid_answer_t *a, const u_char *p, size_t len)
{
    /* a text in place of an object */

    memset(a->texts, 0, sizeof(a->texts));

    sgamp_sendgrid_text(a, SGAMP_WORD_MESSAGE, p, len);
    sgamp_sendgrid_error(a);
}


static void
sgamp_sendgrid_member(sgamp_sendgrid_answer_t *a, const u_char *p, size_t len)
{
    sgamp_sendgrid_text(a, sgamp_sendgrid_word(a), p, len);
}


static void
sgamp_sendgrid_text(sgamp_sendgrid_answer_t *a, unsigned word,
    const u_char *p, size_t len)
{
    sgamp_index_pt  index;

    index = (word == SGAMP_WORD_MESSAGE) ? a->question.index : NULL;

    sgamp_speech(&a->texts[word - SGAMP_WORD_FIELD], a->answer.n, index,
                 a->question.data, p, len);
}


static void
sgamp_sendgrid_error(sgamp_sendgrid_answer_t *a)
{
    unsigned               i, contact, list;
    const sgamp_speech_t  *text, *names;

    names = NULL;
    contact = 0;
    list = 0;

    for (i = 0; i < sizeof(a->texts) / sizeof(a->texts[0]); i++) {
        text = &a->texts[i];

        contact |= text->contact;
        list |= text->list;
        a->unknown_field |= text->custom;

        if (names == NULL && text->n != 0) {
            names = text;
        }
    }

    /* a contact's error may have all words, in its names and values */

    a->unknown_list |= (list && !contact);

    if (names == NULL || sgamp_answer_marks(&a->answer) != SGAMP_OK) {
        return;
    }

    a->named = 1;

    for (i = 0; i < names->n; i++) {
        a->answer.marks[names->contacts[i]] = SGAMP_SENDGRID_MARK;
    }
}


static void
sgamp_sendgrid_email(sgamp_sendgrid_answer_t *a, const u_char *p, size_t len)
{
    a->item.email_len = sgamp_lower(a->item.email, sizeof(a->item.email), p,
                                    len);
}


static void
sgamp_sendgrid_unlisted(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len)
{
    a->item.listed = 0;
}


static void
sgamp_sendgrid_listed(sgamp_sendgrid_answer_t *a, const u_char *p, size_t len)
{
    a->item.listed |= sgamp_alike(a->question.list, p, len);
}


static void
sgamp_sendgrid_contact(sgamp_sendgrid_answer_t *a)
{
    sgamp_found_t  found;

    if (!a->item.uuid) {
        a->lied = 1;
        return;
    }

    if (a->asked_len == 0) {
        return;
    }

    found.asked.data = a->asked;
    found.asked.len = a->asked_len;
    found.email.data = a->item.email;
    found.email.len = a->item.email_len;
    found.id.data = a->item.id;
    found.id.len = SGAMP_UUID_LEN;
    found.listed = a->item.listed;

    a->question.found(a->question.data, &found);
}


static void
sgamp_sendgrid_status(sgamp_sendgrid_answer_t *a, const u_char *p, size_t len)
{
    a->expected |= (len != 0);
    a->import = sgamp_word(sgamp_sendgrid_statuses, p, len);
}


static void
sgamp_sendgrid_results(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len)
{
    memset(a->counts, 0, sizeof(a->counts));
    a->errors_url_len = 0;
}


static void
sgamp_sendgrid_count(sgamp_sendgrid_answer_t *a, const u_char *p, size_t len)
{
    a->counts[sgamp_sendgrid_word(a) - SGAMP_WORD_REQUESTED] =
        sgamp_count(p, len);
}


static void
sgamp_sendgrid_errors_url(sgamp_sendgrid_answer_t *a, const u_char *p,
    size_t len)
{
    a->errors_url_len = sgamp_url(a->errors_url, SGAMP_ERRORS_URL, p, len);
}
