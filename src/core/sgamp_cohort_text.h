
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_COHORT_TEXT_H_INCLUDED_
#define _SGAMP_COHORT_TEXT_H_INCLUDED_


#include "sgamp_cohort.h"


/*
 * Texts in answers of SendGrid's: URLs of pages, what an error speaks of, names
 * without regard to the case of ASCII letters.
 */


#define SGAMP_PAGE_TOKEN   1024  /* bytes of a page's token */
#define SGAMP_HOST         253   /* bytes of a host's name */
#define SGAMP_ERROR_NAMES  32    /* contacts that a text names */


#define sgamp_alnum(c)                                                        \
    (((c) >= '0' && (c) <= '9') || ((c) >= 'a' && (c) <= 'z')                 \
     || ((c) >= 'A' && (c) <= 'Z'))


/* a table of these ends with an empty name, and the value for any other name */

typedef struct {
    sgamp_str_t  name;
    unsigned     value;
} sgamp_word_t;


/* the URL of a page of lists */

typedef struct {
    u_char    host[SGAMP_HOST];
    size_t    host_len;   /* 0: none, or no host's name */
    u_char    token[SGAMP_PAGE_TOKEN];
    size_t    token_len;  /* 0: none, or no page of lists */
    unsigned  given:1;    /* is there, and not empty */
    unsigned  relative:1; /* begins with a path */
} sgamp_page_url_t;


/* what a text of an error speaks of */

typedef struct {
    uint32_t  contacts[SGAMP_ERROR_NAMES]; /* numbers in the request */
    unsigned  n;
    unsigned  contact:1;  /* a contact, of the request or not */
    unsigned  list:1;     /* the id of a list */
    unsigned  custom:1;   /* a custom field */
} sgamp_speech_t;


/* how a contact is found, see sgamp_cohort_answer.h */
typedef int32_t (*sgamp_index_pt)(void *data, const sgamp_str_t *address);


/* whether a string is the len bytes at p, but for the case of letters */
int sgamp_alike(const sgamp_str_t *str, const u_char *p, size_t len);

unsigned sgamp_word(const sgamp_word_t *words, const u_char *p, size_t len);

/*
 * Copies a text with its letters in lower case, returns len; 0: there is no
 * room, nothing is copied
 */
size_t sgamp_lower(u_char *buf, size_t size, const u_char *p, size_t len);

/*
 * Copies an id of ASCII letters, digits and ch, returns len; 0: the text is no
 * such id, or there is no room
 */
size_t sgamp_plain_id(u_char *buf, size_t size, u_char ch, const u_char *p,
    size_t len);

/*
 * Whether text is a UUID in lower or upper case; writes the UUID in lower case,
 * and nothing if the text is none.
 */
int sgamp_uuid(u_char buf[SGAMP_UUID_LEN], const u_char *p, size_t len);

/* a count, of which sums do not overflow; 0 if the text is none */
uint64_t sgamp_count(const u_char *p, size_t len);

/*
 * Copies a URL without its query, returns the number of bytes; 0: there is no
 * room, or a byte cannot be printed
 */
size_t sgamp_url(u_char *buf, size_t size, const u_char *p, size_t len);


/* reads a URL, or a path that stands for one; nothing may be there */
void sgamp_page_url(sgamp_page_url_t *url, const u_char *p, size_t len);

/*
 * Whether a URL that is given is that of a page of SendGrid's, or of the host
 * that self has, and not self.
 */
int sgamp_page_follows(const sgamp_page_url_t *url,
    const sgamp_page_url_t *self);


/*
 * Reads contacts[N], and what else the text says.  Addresses are looked for if
 * index is not NULL and there is no such number below n; they are lower-cased.
 */
void sgamp_speech(sgamp_speech_t *speech, uint32_t n, sgamp_index_pt index,
    void *data, const u_char *p, size_t len);


#endif /* _SGAMP_COHORT_TEXT_H_INCLUDED_ */
