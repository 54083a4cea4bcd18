
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _TAP_H_INCLUDED_
#define _TAP_H_INCLUDED_


#include <stddef.h>
#include <stdint.h>


#define tap_printf(n, m)  __attribute__((format(printf, n, m)))


/* one test each; the text says what is as it should be */

int tap_ok(int ok, const char *fmt, ...) tap_printf(2, 3);
int tap_is(long long got, long long want, const char *fmt, ...)
    tap_printf(3, 4);
int tap_bytes(const void *got, size_t ngot, const void *want, size_t nwant,
    const char *fmt, ...) tap_printf(5, 6);

void tap_diag(const char *fmt, ...) tap_printf(1, 2);
void tap_diag_bytes(const char *name, const void *data, size_t n);

/* ends the program if what the test itself needs is not there */
void tap_bail(const char *fmt, ...) tap_printf(1, 2);

/* prints the plan, returns the exit status */
int tap_done(void);


#endif /* _TAP_H_INCLUDED_ */
