
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_ADDRESS_H_INCLUDED_
#define _SGAMP_ADDRESS_H_INCLUDED_


#include "sgamp_json.h"


#define SGAMP_ADDRESS_LEN  254  /* bytes of an address, at most */


typedef enum {
    SGAMP_ADDRESS_VALID = 0,
    SGAMP_ADDRESS_NONE,    /* no string, or nothing but white space */
    SGAMP_ADDRESS_INVALID
} sgamp_address_e;


/*
 * Reads a value of JSON as an e-mail address that SendGrid takes: white space
 * around the address is cut, letters are lower-cased, and the rules are those
 * of https://www.twilio.com/docs/sendgrid/ui/sending-email/invalid-emails, less
 * quoted local parts.  The address in buf needs no escape in JSON.
 */
sgamp_address_e sgamp_address(const sgamp_json_value_t *value,
    u_char buf[SGAMP_ADDRESS_LEN], size_t *len);


#endif /* _SGAMP_ADDRESS_H_INCLUDED_ */
