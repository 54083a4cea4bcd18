
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_TEXT_H_INCLUDED_
#define _SGAMP_TEXT_H_INCLUDED_


#include "sgamp_json.h"


#define SGAMP_TEXT_CHAR  4 /* bytes of a character at most */

/* of ASCII letters */

#define sgamp_text_lower(c)  (((c) >= 'A' && (c) <= 'Z') ? (c) | 0x20 : (c))


/* a character as UTF-8, returns how many bytes it takes */
size_t sgamp_text_encode(u_char buf[SGAMP_TEXT_CHAR], uint32_t c);

/*
 * Decodes the inside of a JSON string to UTF-8, ASCII letters in lower case if
 * asked for, as far as size bytes allow; moves *p past what was read.  Returns
 * how many bytes there are.
 */
size_t sgamp_text_decode(u_char *buf, size_t size, const u_char **p,
    const u_char *last, unsigned lower);

/*
 * Decodes a JSON string of ASCII, letters in lower case if asked for.  Returns
 * how many characters there are, -1 if there are others or more than size.
 */
int sgamp_text_ascii(const sgamp_json_value_t *string, u_char *buf,
    size_t size, unsigned lower);

/*
 * Whether the inside of a JSON string is a text in UTF-8, its ASCII letters in
 * lower case if asked for.
 */
int sgamp_text_is(const sgamp_str_t *string, const sgamp_str_t *text,
    unsigned lower);


#endif /* _SGAMP_TEXT_H_INCLUDED_ */
