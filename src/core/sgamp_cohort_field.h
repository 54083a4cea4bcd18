
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_COHORT_FIELD_H_INCLUDED_
#define _SGAMP_COHORT_FIELD_H_INCLUDED_


#include "sgamp_json.h"


/* what values of JSON are as fields of SendGrid's contacts */

typedef enum {
    SGAMP_TYPE_TEXT = 0,
    SGAMP_TYPE_NUMBER,
    SGAMP_TYPE_DATE,
    SGAMP_TYPE_MISSING     /* SendGrid has no custom field of this name */
} sgamp_field_type_e;


#define sgamp_field_bit(type)  (1u << (type))

#define SGAMP_FIELD_ALL_TYPES  (sgamp_field_bit(SGAMP_TYPE_MISSING) - 1)


/*
 * Whether a field can have a value: a number, or a string that is not blank,
 * and then the white space around is cut.  If booleans is set, true and false
 * are strings with the text "true" and "false".
 */
int sgamp_field_usable(sgamp_json_value_t *value, unsigned booleans);

/*
 * Cuts a usable value to max characters, or, if bytes is set, to max bytes at a
 * character.
 */
void sgamp_field_cut(sgamp_json_value_t *value, size_t max, unsigned bytes);

/*
 * The types of fields that a usable value fits, bits: any value is a text.  A
 * number is one of JSON, or a string that is.  A date is a string of the form
 * MM/DD/YYYY or YYYY-MM-DD, or a date and time of RFC 3339 with "T", and with
 * "Z" or an offset; the calendar has the day.
 */
unsigned sgamp_field_types(const sgamp_json_value_t *value);

/* writes the number that a text, of a number or inside of a string, is */
void sgamp_field_number(sgamp_sink_t *sink, const sgamp_str_t *text);


#endif /* _SGAMP_COHORT_FIELD_H_INCLUDED_ */
