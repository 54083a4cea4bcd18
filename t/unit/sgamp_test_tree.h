
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TEST_TREE_H_INCLUDED_
#define _SGAMP_TEST_TREE_H_INCLUDED_


#include "sgamp_test.h"


/* well-formed JSON, read a value and a character at a time */

#define SGAMP_TEST_REPLACED  0xfffd


typedef struct {
    uint32_t       c;
    const u_char  *out; /* its bytes as they are sent */
    size_t         len;
} sgamp_test_char_t;


typedef struct {
    sgamp_test_char_t  *chars;
    size_t              n;
} sgamp_test_chars_t;


typedef struct {
    u_char         type;   /* of JSON, by its first byte */
    const u_char  *start;
    const u_char  *end;
} sgamp_test_value_t;


/* the first byte that is no white space */
const u_char *sgamp_test_tree_skip(const u_char *p);

/* reads a value, returns where the value ends */
const u_char *sgamp_test_tree_parse(const u_char *p, sgamp_test_value_t *value);

/*
 * The characters of a string, or of the text of any other value, to be freed
 * with free(); malformed ones are U+FFFD.
 */
void sgamp_test_tree_decode(sgamp_test_chars_t *s,
    const sgamp_test_value_t *value);

/* less the white space around */
void sgamp_test_tree_cut(sgamp_test_chars_t *s);

int sgamp_test_tree_is_white(uint32_t c);

/* adds characters as UTF-8, and as they are sent */
void sgamp_test_tree_text(sgamp_test_buf_t *buf, const sgamp_test_chars_t *s,
    unsigned lower);
void sgamp_test_tree_out(sgamp_test_buf_t *buf, const sgamp_test_chars_t *s,
    unsigned lower);
void sgamp_test_tree_repaired(sgamp_test_buf_t *buf, const u_char *p,
    const u_char *last);

/* a timestamp in milliseconds, 0: the value is none */
int sgamp_test_tree_time(const sgamp_test_value_t *value, uint64_t *ms);


#endif /* _SGAMP_TEST_TREE_H_INCLUDED_ */
