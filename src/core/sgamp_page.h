
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _SGAMP_PAGE_H_INCLUDED_
#define _SGAMP_PAGE_H_INCLUDED_


#include "sgamp_metrics.h"


/* what is filled in on the status page */

typedef enum {
    SGAMP_PAGE_NOTHING = 0,
    SGAMP_PAGE_HOST,  /* the first of those about the gateway */
    SGAMP_PAGE_SERVER,
    SGAMP_PAGE_MODULE,
    SGAMP_PAGE_VERDICT_LEVEL,
    SGAMP_PAGE_VERDICT,
    SGAMP_PAGE_LAST,
    SGAMP_PAGE_LAST_FAILURE,
    SGAMP_PAGE_LAST_STATUS,
    SGAMP_PAGE_SINCE_ISO,
    SGAMP_PAGE_SINCE, /* and the last */
    SGAMP_PAGE_FORWARDED,
    SGAMP_PAGE_IGNORED,
    SGAMP_PAGE_REJECTED,
    SGAMP_PAGE_REJECTED_SHARE,
    SGAMP_PAGE_REJECTED_WRONG,
    SGAMP_PAGE_WEBHOOKS,
    SGAMP_PAGE_FAILED,
    SGAMP_PAGE_FAILED_SHARE,
    SGAMP_PAGE_FAILED_WRONG,
    SGAMP_PAGE_IN_FLIGHT,
    SGAMP_PAGE_RETRIES,
    SGAMP_PAGE_RECEIVED,
    SGAMP_PAGE_SENT,
    SGAMP_PAGE_EVENT_ROWS,
    SGAMP_PAGE_STATUS_ROWS,
    SGAMP_PAGE_CODE_ROWS,
    SGAMP_PAGE_REASON_ROWS,
    SGAMP_PAGE_SIGNATURE_ROWS,
    SGAMP_PAGE_LATENCY_ROWS,
    SGAMP_PAGE_NO_COHORTS,
    SGAMP_PAGE_COHORT_LEVEL,
    SGAMP_PAGE_COHORT_VERDICT,
    SGAMP_PAGE_COHORT_LAST,
    SGAMP_PAGE_COHORT_FAILURE,
    SGAMP_PAGE_COHORT_STATUS,
    SGAMP_PAGE_MESSAGES,
    SGAMP_PAGE_MESSAGES_FAILED,
    SGAMP_PAGE_MESSAGES_SHARE,
    SGAMP_PAGE_MESSAGES_WRONG,
    SGAMP_PAGE_ADDED,
    SGAMP_PAGE_ADDED_APPLIED,
    SGAMP_PAGE_REMOVED,
    SGAMP_PAGE_REMOVED_ABSENT,
    SGAMP_PAGE_CONTACT_ROWS, /* the first of the rows of cohorts */
    SGAMP_PAGE_MESSAGE_ROWS,
    SGAMP_PAGE_SENDGRID_ROWS,
    SGAMP_PAGE_COHORT_LATENCY_ROWS,
    SGAMP_PAGE_QUOTA_ROWS,
    SGAMP_PAGE_JSON
} sgamp_page_slot_e;


/* text of the page, and what follows it */

typedef struct {
    sgamp_str_t        text;
    sgamp_page_slot_e  slot;
} sgamp_page_row_t;


void sgamp_page_write(const sgamp_page_row_t *part, unsigned n,
    const sgamp_metrics_t *m, sgamp_sink_t *sink);


#endif /* _SGAMP_PAGE_H_INCLUDED_ */
