
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#ifndef _NGX_HTTP_SENDGRID_AMP_COHORT_H_INCLUDED_
#define _NGX_HTTP_SENDGRID_AMP_COHORT_H_INCLUDED_


#include "ngx_http_sendgrid_amp.h"
#include "sgamp_cohort_ledger.h"


/* the flow of cohorts: for its files only */


/* the zone with the ledger */

typedef struct {
    sgamp_ledger_t   *ledger;
    ngx_slab_pool_t  *shpool;
    ngx_shm_zone_t   *zone;       /* NULL: there is no directive */
    ngx_cycle_t      *old_cycle;  /* while the zone is made */
} ngx_http_sendgrid_amp_cohort_zone_t;


/* its main configuration is a ngx_http_sendgrid_amp_cohort_zone_t */
extern ngx_module_t  ngx_http_sendgrid_amp_cohort_zone_module;


/* zone */

/*
 * The ledger, locked for this process until ..._unlock_ledger(); nginx frees
 * the lock if a worker is killed.
 */
sgamp_ledger_t *ngx_http_sendgrid_amp_lock_ledger(
    ngx_http_sendgrid_amp_cohort_zone_t *zone);
void ngx_http_sendgrid_amp_unlock_ledger(
    ngx_http_sendgrid_amp_cohort_zone_t *zone);

/* the time in the ledger, in ms */
uint64_t ngx_http_sendgrid_amp_ledger_now(void);

/* a sgamp_ledger_alive_pt, processes are known by their pid */
int ngx_http_sendgrid_amp_ledger_alive(uint64_t process);


#endif /* _NGX_HTTP_SENDGRID_AMP_COHORT_H_INCLUDED_ */
