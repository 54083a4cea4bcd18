
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "sgamp_digest.h"
#include "sgamp_test_env.h"
#include "sgamp_test_sign.h"


#define SGAMP_TEST_MAX_CALLS  2000
#define SGAMP_TEST_MOST       20000 /* more than any call allocates */
#define SGAMP_TEST_DENSE      100   /* that fail one by one */
#define SGAMP_TEST_STALE      77 /* reason of an error by another module */


/* OpenSSL's allocations, of which one or all from one on fail */

typedef struct {
    unsigned  calls;
    unsigned  fail;     /* 0: none */
    unsigned  forever;
} sgamp_test_calls_t;


typedef int (*sgamp_test_call_pt)(sgamp_test_vector_t *v, EVP_PKEY **key);


static void *sgamp_test_malloc(size_t n, const char *file, int line);
static void *sgamp_test_realloc(void *p, size_t n, const char *file,
    int line);
static void sgamp_test_crypto_free(void *p, const char *file, int line);
static int sgamp_test_fails(void);
static void sgamp_test_first(unsigned forever);
static int sgamp_test_first_process(unsigned fail, unsigned forever);
static void sgamp_test_queue(sgamp_test_call_pt call, int want,
    unsigned stale, const char *name);
static unsigned sgamp_test_queue_is(unsigned stale, unsigned full);
static int sgamp_test_call_read(sgamp_test_vector_t *v, EVP_PKEY **key);
static int sgamp_test_call_verify(sgamp_test_vector_t *v, EVP_PKEY **key);
static int sgamp_test_call_mismatch(sgamp_test_vector_t *v, EVP_PKEY **key);
static int sgamp_test_call_noise(sgamp_test_vector_t *v, EVP_PKEY **key);
static int sgamp_test_call_digest(sgamp_test_vector_t *v, EVP_PKEY **key);
static int sgamp_test_call_hash(sgamp_test_vector_t *v, EVP_PKEY **key);
static int sgamp_test_call_text(sgamp_test_vector_t *v, EVP_PKEY **key);
static int sgamp_test_call_event(sgamp_test_vector_t *v, EVP_PKEY **key);
static void sgamp_test_short(sgamp_hash_text_t text);
static int sgamp_test_right(int rc, const u_char hex[SGAMP_SHA256_HEX_LEN],
    const char *want);


static sgamp_test_calls_t  sgamp_test_calls;
static sgamp_hash_t        sgamp_test_hash;
static sgamp_test_env_t    sgamp_test_events;
static sgamp_test_buf_t    sgamp_test_want; /* what the events become */

/* longer than a block: such a key is hashed */

static const char sgamp_test_long_key[] =
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";

/* of "abc", by another library: without and with this key */

static const char sgamp_test_sha256[] =
    "ba7816bf8f01cfea414140de5dae2223"
    "b00361a396177a9cb410ff61f20015ad";
static const char sgamp_test_hmac[] =
    "ed378e5dfa30dc98814ba09b2e610d9b"
    "6af66054922ceef9480da094a3f11b2d";


int
main(void)
{
    sgamp_str_t  key;

    if (CRYPTO_set_mem_functions(sgamp_test_malloc, sgamp_test_realloc,
                                 sgamp_test_crypto_free)
        != 1)
    {
        tap_bail("OpenSSL has allocated already");
    }

    /* before this process has fetched any algorithm */

    sgamp_test_first(0);
    sgamp_test_first(1);

    sgamp_test_set(&key, sgamp_test_long_key);

    if (sgamp_hash_init(&sgamp_test_hash, &key) != SGAMP_OK) {
        tap_bail("no SHA-256");
    }

    sgamp_test_queue(sgamp_test_call_digest, SGAMP_OK, 1, "digest");
    sgamp_test_queue(sgamp_test_call_hash, SGAMP_OK, 1, "start of hashes");
    sgamp_test_queue(sgamp_test_call_text, SGAMP_OK, 0, "hash");
    sgamp_test_queue(sgamp_test_call_read, SGAMP_OK, 1, "key");
    sgamp_test_queue(sgamp_test_call_noise, SGAMP_INVALID, 1, "no key");
    sgamp_test_queue(sgamp_test_call_verify, SGAMP_OK, 1, "right signature");
    sgamp_test_queue(sgamp_test_call_mismatch, SGAMP_INVALID, 1,
                     "wrong signature");

    sgamp_test_env_init(&sgamp_test_events);
    sgamp_test_rules(&sgamp_test_events, "hash", "x");
    sgamp_test_rules(&sgamp_test_events, "hash_key", sgamp_test_long_key);

    sgamp_test_events.forget = 1;

    (void) sgamp_test_call_event(NULL, NULL);
    sgamp_test_put(&sgamp_test_want, sgamp_test_events.out.data,
                   sgamp_test_events.out.len);

    tap_ok(strstr((char *) sgamp_test_want.data, sgamp_test_hmac) != NULL,
           "an event with a hash");

    sgamp_test_queue(sgamp_test_call_event, SGAMP_OK, 0, "events");

    sgamp_test_env_done(&sgamp_test_events);
    sgamp_test_free(&sgamp_test_want);
    sgamp_hash_done(&sgamp_test_hash);

    return tap_done();
}


static void *
sgamp_test_malloc(size_t n, const char *file, int line)
{
    return sgamp_test_fails() ? NULL : malloc(n);
}


static void *
sgamp_test_realloc(void *p, size_t n, const char *file, int line)
{
    return sgamp_test_fails() ? NULL : realloc(p, n);
}


static void
sgamp_test_crypto_free(void *p, const char *file, int line)
{
    free(p);
}


static int
sgamp_test_fails(void)
{
    sgamp_test_calls_t  *c;

    c = &sgamp_test_calls;
    c->calls++;

    return c->fail != 0
           && (c->calls == c->fail || (c->forever && c->calls > c->fail));
}


static void
sgamp_test_first(unsigned forever)
{
    int       rc;
    unsigned  fail, bad;

    /* a worker's first signature, without memory, and the next */

    bad = 0;

    for (fail = 1; fail < SGAMP_TEST_MAX_CALLS; fail++) {
        rc = sgamp_test_first_process(fail, forever);

        if (rc == 1) {
            break;
        }

        if (rc != 0) {
            tap_diag("allocation %u fails%s: %s", fail,
                     forever ? ", and all after it" : "",
                     (rc == 2) ? "a right signature is called wrong"
                               : "no signature is verified after it");
            bad++;
        }
    }

    tap_is(bad, 0, "first signature, %u allocations that fail%s", fail - 1,
           forever ? " for a time" : "");
}


static int
sgamp_test_first_process(unsigned fail, unsigned forever)
{
    int                  rc, status;
    pid_t                pid;
    EVP_PKEY            *key;
    const char          *found;
    sgamp_test_calls_t  *c;
    sgamp_test_vector_t  v;

    /* 0: as it should be, 1: nothing failed, 2 and 3: what is wrong */

    pid = fork();

    if (pid == -1) {
        tap_bail("fork() failed");
    }

    if (pid != 0) {
        (void) waitpid(pid, &status, 0);

        return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
    }

    sgamp_test_vector_read(&v, SGAMP_TEST_VALID);

    if (sgamp_public_key_read(&key, v.key.data, v.key.len, &found)
        != SGAMP_OK)
    {
        _exit(3);
    }

    c = &sgamp_test_calls;
    c->calls = 0;
    c->fail = fail;
    c->forever = forever;

    rc = sgamp_test_verify(&v, &key, 1, SGAMP_TEST_MAX_CALLS);

    c->fail = 0;

    if (rc == SGAMP_INVALID) {
        _exit(2);
    }

    if (c->calls < fail) {
        _exit(1);
    }

    rc = sgamp_test_verify(&v, &key, 1, SGAMP_TEST_MAX_CALLS);

    _exit((rc == SGAMP_OK) ? 0 : 3);
}


static void
sgamp_test_queue(sgamp_test_call_pt call, int want, unsigned stale,
    const char *name)
{
    int                  rc;
    EVP_PKEY            *key;
    unsigned             i, bad, fail, wrong;
    const char          *found;
    sgamp_test_calls_t  *c;
    sgamp_test_vector_t  v;

    sgamp_test_vector_read(&v, SGAMP_TEST_VALID);

    if (sgamp_public_key_read(&key, v.key.data, v.key.len, &found)
        != SGAMP_OK)
    {
        tap_bail("no key");
    }

    c = &sgamp_test_calls;
    bad = 0;
    fail = 0;
    wrong = 0;

    for (i = 0; fail < SGAMP_TEST_MOST; i++) {

        ERR_clear_error();

        if (stale) {
            ERR_put_error(ERR_LIB_USER, 0, SGAMP_TEST_STALE, __FILE__,
                          __LINE__);
        }

        /* the first time nothing fails; of very many calls, some do */

        c->calls = 0;
        c->fail = fail;
        c->forever = i % 2;

        rc = call(&v, &key);

        wrong += rc != want && (i == 0 || rc != SGAMP_NOMEM);

        /* a queue is short, many failures push older errors out */

        bad += !sgamp_test_queue_is(stale, c->forever);

        if (i != 0 && c->calls < c->fail) {
            break;
        }

        if (i % 2 == 0) {
            fail += 1 + fail / SGAMP_TEST_DENSE;
        }
    }

    c->fail = 0;

    ERR_clear_error();

    tap_ok(fail < SGAMP_TEST_MOST, "%s: all allocations fail", name);
    tap_is(wrong, 0, "%s: right, or no memory", name);
    tap_is(bad, 0, "%s: the queue of errors stays as it was", name);

    sgamp_public_key_free(key);
    sgamp_test_vector_done(&v);
}


static unsigned
sgamp_test_queue_is(unsigned stale, unsigned full)
{
    if (full && sgamp_test_no_errors()) {
        return 1;
    }

    if (stale && ERR_GET_REASON(ERR_get_error()) != SGAMP_TEST_STALE) {
        return 0;
    }

    return sgamp_test_no_errors();
}


static int
sgamp_test_call_read(sgamp_test_vector_t *v, EVP_PKEY **key)
{
    int          rc;
    EVP_PKEY    *other;
    const char  *found;

    rc = sgamp_public_key_read(&other, v->key.data, v->key.len, &found);

    sgamp_public_key_free(other);

    /* without memory nothing can be told of a key */

    return (rc == SGAMP_OK) ? rc : SGAMP_NOMEM;
}


static int
sgamp_test_call_noise(sgamp_test_vector_t *v, EVP_PKEY **key)
{
    EVP_PKEY    *other;
    const char  *found;

    return sgamp_public_key_read(&other,
                                 (u_char *) "MFkwEwYHKoZIzj0CAQYIKoZIzj0D",
                                 28, &found);
}


static int
sgamp_test_call_verify(sgamp_test_vector_t *v, EVP_PKEY **key)
{
    return sgamp_test_verify(v, key, 1, SGAMP_TEST_MAX_CALLS);
}


static int
sgamp_test_call_mismatch(sgamp_test_vector_t *v, EVP_PKEY **key)
{
    int  rc;

    v->body.data[0]++;

    rc = sgamp_test_verify(v, key, 1, SGAMP_TEST_MAX_CALLS);

    v->body.data[0]--;

    return rc;
}


static int
sgamp_test_call_digest(sgamp_test_vector_t *v, EVP_PKEY **key)
{
    int     rc;
    u_char  hex[SGAMP_SHA256_HEX_LEN];

    sgamp_test_poison(hex, sizeof(hex));

    rc = sgamp_sha256_hex(hex, (u_char *) "abc", 3);

    return sgamp_test_right(rc, hex, sgamp_test_sha256);
}


static int
sgamp_test_call_hash(sgamp_test_vector_t *v, EVP_PKEY **key)
{
    int                rc;
    u_char             hex[SGAMP_SHA256_HEX_LEN];
    unsigned           fail;
    sgamp_str_t        secret;
    sgamp_hash_t       hash;
    sgamp_hash_text_t  text;

    sgamp_test_set(&secret, sgamp_test_long_key);

    memset(&hash, 0, sizeof(sgamp_hash_t));

    rc = sgamp_hash_init(&hash, &secret);

    /* what could be begun has to end in the right hash */

    fail = sgamp_test_calls.fail;
    sgamp_test_calls.fail = 0;

    if (rc == SGAMP_OK) {
        sgamp_test_short(text);
        rc = sgamp_hash_text(&hash, NULL, text, hex);
        rc = sgamp_test_right(rc, hex, sgamp_test_hmac);
    }

    sgamp_test_calls.fail = fail;

    sgamp_hash_done(&hash);

    return rc;
}


static int
sgamp_test_call_text(sgamp_test_vector_t *v, EVP_PKEY **key)
{
    int                rc;
    u_char             hex[SGAMP_SHA256_HEX_LEN];
    sgamp_hash_text_t  text;

    sgamp_test_poison(hex, sizeof(hex));
    sgamp_test_short(text);

    rc = sgamp_hash_text(&sgamp_test_hash, NULL, text, hex);

    return sgamp_test_right(rc, hex, sgamp_test_hmac);
}


static int
sgamp_test_call_event(sgamp_test_vector_t *v, EVP_PKEY **key)
{
    int                rc;
    sgamp_test_env_t  *env;

    /* an event without an id, and one with a member that is hashed */

    static const char text[] =
        "[{\"event\":\"open\",\"email\":\"a\"},"
        "{\"event\":\"open\",\"email\":\"b\",\"sg_event_id\":\"i\","
        "\"x\":\"abc\"}]";

    env = &sgamp_test_events;

    sgamp_test_run(env, (u_char *) text, sizeof(text) - 1);
    rc = env->status;

    if (rc == SGAMP_OK && sgamp_test_want.len != 0
        && (env->out.len != sgamp_test_want.len
            || memcmp(env->out.data, sgamp_test_want.data, env->out.len) != 0))
    {
        return SGAMP_INVALID;
    }

    return rc;
}


static void
sgamp_test_short(sgamp_hash_text_t text)
{
    memset(text, 0, SGAMP_HASH_TEXT);
    memcpy(text, "abc", 3);
    text[SGAMP_HASH_TEXT - 1] = 3;
}


static int
sgamp_test_right(int rc, const u_char hex[SGAMP_SHA256_HEX_LEN],
    const char *want)
{
    if (rc == SGAMP_OK && memcmp(hex, want, SGAMP_SHA256_HEX_LEN) != 0) {
        return SGAMP_INVALID;
    }

    return rc;
}
