
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TEXT_H_INCLUDED_
#define _SGAMP_TEXT_H_INCLUDED_


#include "sgamp_json.h"


#define SGAMP_TEXT_CHAR  4 /* bytes of a character at most */

/* a letter of ASCII in lower case, any other character as the character is */

#define sgamp_text_lower(c)  (((c) >= 'A' && (c) <= 'Z') ? (c) | 0x20 : (c))


/* writes a character as UTF-8, returns the number of bytes */
size_t sgamp_text_encode(u_char buf[SGAMP_TEXT_CHAR], uint32_t c);

/*
 * Decodes the inside of a JSON string to UTF-8, as far as size bytes allow, and
 * moves *p past what was read.  If lower is set, ASCII letters are written in
 * lower case.  Returns the number of bytes in buf.
 */
size_t sgamp_text_decode(u_char *buf, size_t size, const u_char **p,
    const u_char *last, unsigned lower);

/*
 * Decodes a JSON string of ASCII, with letters in lower case if lower is set.
 * Returns the number of characters, or -1: the string has a character beyond
 * ASCII, or more than size characters.
 */
int sgamp_text_ascii(const sgamp_json_value_t *string, u_char *buf,
    size_t size, unsigned lower);

/*
 * Whether the inside of a JSON string is a text in UTF-8.  If lower is set, the
 * ASCII letters of the string are read in lower case.
 */
int sgamp_text_is(const sgamp_str_t *string, const sgamp_str_t *text,
    unsigned lower);


#endif /* _SGAMP_TEXT_H_INCLUDED_ */
