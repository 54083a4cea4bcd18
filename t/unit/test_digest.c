
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>
#include <stdlib.h>

#include "sgamp_digest.h"
#include "sgamp_test.h"


#define SGAMP_TEST_TEXTS  5000


static void sgamp_test_digests(void);
static void sgamp_test_hmacs(void);
static void sgamp_test_addresses(const char *format);
static void sgamp_test_text(sgamp_hash_text_t text, const u_char *p,
    size_t len);
static void sgamp_test_remembered(const sgamp_str_t *key, unsigned room);
static void sgamp_test_entries(void);
static void sgamp_test_spread(const sgamp_hash_t *hash);
static void sgamp_test_hmac(const sgamp_str_t *key, const sgamp_str_t *text,
    const char *want, const char *name);


int
main(void)
{
    sgamp_test_digests();
    sgamp_test_hmacs();
    sgamp_test_entries();

    return tap_done();
}


static void
sgamp_test_digests(void)
{
    u_char  hex[SGAMP_SHA256_HEX_LEN];
    size_t  i;

    /* FIPS 180-4 */

    static const char *digests[] = {
        "",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "abc",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        NULL
    };

    for (i = 0; digests[i] != NULL; i += 2) {
        tap_is(sgamp_sha256_hex(hex, (u_char *) digests[i],
                                strlen(digests[i])),
               SGAMP_OK, "SHA-256 of \"%s\"", digests[i]);
        tap_bytes(hex, sizeof(hex), digests[i + 1], strlen(digests[i + 1]),
                  "is right");
    }
}


static void
sgamp_test_hmacs(void)
{
    u_char       bytes[131], data[50];
    unsigned     i;
    const char  *want;
    sgamp_str_t  key, text;

    static const char *formats[] = {
        "%u@example.com", "user%u@example.com", "user%06u@example.com",
        "reader%u@example.com", "member-%08u@mail.example", "test%04u@x.org",
        "a.b%03u@gmail.com", "0000-%08x@list.example.net", "jo%u", NULL
    };

    /* RFC 4231; keys of a block and just above it, by another library */

    key.data = bytes;
    text.data = data;

    memset(bytes, 0x0b, 20);
    key.len = 20;
    sgamp_test_set(&text, "Hi There");
    want = "b0344c61d8db38535ca8afceaf0bf12b"
           "881dc200c9833da726e9376c2e32cff7";
    sgamp_test_hmac(&key, &text, want, "case 1");

    sgamp_test_set(&key, "Jefe");
    sgamp_test_set(&text, "what do ya want for nothing?");
    want = "5bdcc146bf60754e6a042426089575c7"
           "5a003f089d2739839dec58b964ec3843";
    sgamp_test_hmac(&key, &text, want, "case 2");

    memset(bytes, 0xaa, sizeof(bytes));
    memset(data, 0xdd, sizeof(data));
    key.data = bytes;
    key.len = 20;
    text.data = data;
    text.len = 50;
    want = "773ea91e36800e46854db8ebd09181a7"
           "2959098b3ef8c122d9635514ced565fe";
    sgamp_test_hmac(&key, &text, want, "case 3");

    key.len = 131;
    sgamp_test_set(&text, "Test Using Larger Than Block-Size Key - Hash Key "
                          "First");
    want = "60e431591ee0b67f0d8a26aacbf5b77f"
           "8e0bc6213728c5140546040f0ee37f54";
    sgamp_test_hmac(&key, &text, want, "case 6");

    for (i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (u_char) i;
    }

    sgamp_test_set(&text, "");

    key.len = 64;
    want = "3499f163f48604c0b15ac89e4e7c66f3"
           "14fb3b203b8ac2f564828e62f6be9d9d";
    sgamp_test_hmac(&key, &text, want, "a key of 64 bytes, no text");

    key.len = 65;
    want = "93ff3114f20ef700222fc1c0334737a5"
           "1a88740dc0dd2ce0ab3151f0a4a0e85a";
    sgamp_test_hmac(&key, &text, want, "a key of 65 bytes, no text");

    key.len = 1;
    want = "b613679a0814d9ec772f95d778c35fc5"
           "ff1697c493715653c6c712144292c5ad";
    sgamp_test_hmac(&key, &text, want, "a key that is a zero");

    sgamp_test_set(&text, "abc");
    want = "ba7816bf8f01cfea414140de5dae2223"
           "b00361a396177a9cb410ff61f20015ad";
    sgamp_test_hmac(NULL, &text, want, "no key");

    sgamp_test_set(&text, "a key");
    sgamp_test_remembered(NULL, 0);
    sgamp_test_remembered(NULL, 1);
    sgamp_test_remembered(&text, 1);

    for (i = 0; formats[i] != NULL; i++) {
        sgamp_test_addresses(formats[i]);
    }
}


static void
sgamp_test_hmac(const sgamp_str_t *key, const sgamp_str_t *text,
    const char *want, const char *name)
{
    u_char        hex[SGAMP_SHA256_HEX_LEN];
    size_t        i;
    unsigned      n, bad;
    sgamp_hash_t  hash;

    memset(&hash, 0, sizeof(sgamp_hash_t));

    bad = sgamp_hash_init(&hash, key) != SGAMP_OK;

    /* as often as one likes, in one piece and byte by byte */

    for (n = 0; n < 3; n++) {
        bad += sgamp_hash_start(&hash) != SGAMP_OK;

        if (n == 1) {
            bad += sgamp_hash_update(&hash, text->data, text->len)
                   != SGAMP_OK;

        } else {

            for (i = 0; i < text->len; i++) {
                bad += sgamp_hash_update(&hash, text->data + i, 1) != SGAMP_OK;
            }
        }

        bad += sgamp_hash_final(&hash, hex) != SGAMP_OK;
        bad += memcmp(hex, want, sizeof(hex)) != 0;
    }

    sgamp_hash_done(&hash);
    sgamp_hash_done(&hash);

    tap_is(bad, 0, "HMAC-SHA-256, %s", name);
}


static void
sgamp_test_remembered(const sgamp_str_t *key, unsigned room)
{
    size_t               len;
    u_char               bytes[SGAMP_HASH_TEXT];
    u_char               got[SGAMP_SHA256_HEX_LEN], want[SGAMP_SHA256_HEX_LEN];
    unsigned             i, n, bad, found;
    sgamp_hash_t         hash;
    sgamp_hash_text_t    text;
    sgamp_hash_entry_t  *entry;

    /* more than there is room for, of every length, each one often */

    memset(&hash, 0, sizeof(sgamp_hash_t));

    bad = sgamp_hash_init(&hash, key) != SGAMP_OK;
    found = 0;

    if (room) {
        hash.entries = calloc(SGAMP_HASH_ENTRIES, sizeof(sgamp_hash_entry_t));
    }

    for (n = 0; n < 3 * SGAMP_TEST_TEXTS; n++) {
        i = n % SGAMP_TEST_TEXTS;
        len = i % SGAMP_HASH_TEXT;

        memset(bytes, 'a', len);
        memcpy(bytes, &i, (len < sizeof(i)) ? len : sizeof(i));
        sgamp_test_text(text, bytes, len);

        entry = sgamp_hash_entry(&hash, text);
        found += entry != NULL && memcmp(entry->text, text, sizeof(text)) == 0;

        bad += sgamp_hash_text(&hash, entry, text, got) != SGAMP_OK
               || sgamp_hash_start(&hash) != SGAMP_OK
               || sgamp_hash_update(&hash, text, len) != SGAMP_OK
               || sgamp_hash_final(&hash, want) != SGAMP_OK
               || memcmp(got, want, sizeof(got)) != 0;
    }

    free(hash.entries);
    sgamp_hash_done(&hash);

    tap_is(bad, 0, "hashes of short texts");
    tap_is(found != 0, room, "some were remembered: %u", found);
}


static void
sgamp_test_addresses(const char *format)
{
    int                  len;
    char                 address[SGAMP_HASH_TEXT];
    u_char               hex[SGAMP_SHA256_HEX_LEN];
    unsigned             i, n, found;
    sgamp_hash_t         hash;
    sgamp_hash_text_t    text;
    sgamp_hash_entry_t  *entry;

    /* a quarter of what there is room for, twice */

    memset(&hash, 0, sizeof(sgamp_hash_t));

    if (sgamp_hash_init(&hash, NULL) != SGAMP_OK) {
        tap_bail("no SHA-256");
    }

    hash.entries = calloc(SGAMP_HASH_ENTRIES, sizeof(sgamp_hash_entry_t));
    found = 0;

    for (n = 0; n < SGAMP_HASH_ENTRIES / 2; n++) {
        len = snprintf(address, sizeof(address), format,
                       n % (SGAMP_HASH_ENTRIES / 4));

        sgamp_test_text(text, (u_char *) address, (size_t) len);

        entry = sgamp_hash_entry(&hash, text);

        for (i = 0; i < SGAMP_HASH_SET; i++) {
            found += memcmp(entry[i].text, text, sizeof(text)) == 0;
        }

        (void) sgamp_hash_text(&hash, entry, text, hex);
    }

    free(hash.entries);
    sgamp_hash_done(&hash);

    tap_ok(found > SGAMP_HASH_ENTRIES * 9 / 40,
           "\"%s\": %u of %u were remembered",
           format, found, SGAMP_HASH_ENTRIES / 4);
}


static void
sgamp_test_text(sgamp_hash_text_t text, const u_char *p, size_t len)
{
    memset(text, 0, SGAMP_HASH_TEXT);
    memcpy(text, p, len);
    text[SGAMP_HASH_TEXT - 1] = (u_char) len;
}


static void
sgamp_test_entries(void)
{
    u_char               hex[SGAMP_SHA256_HEX_LEN];
    unsigned             i;
    sgamp_hash_t         hash;
    sgamp_hash_text_t    text[3], none;
    sgamp_hash_entry_t   entry[SGAMP_HASH_SET];

    static const char *names[] = { "newest", "older", "another" };

    /* a remembered hash is not computed again: here no hash is right */

    memset(&hash, 0, sizeof(sgamp_hash_t));
    memset(entry, 0, sizeof(entry));

    if (sgamp_hash_init(&hash, NULL) != SGAMP_OK) {
        tap_bail("no SHA-256");
    }

    for (i = 0; i < 3; i++) {
        sgamp_test_text(text[i], (u_char *) names[i], strlen(names[i]));
    }

    for (i = 0; i < 2; i++) {
        memcpy(entry[i].text, text[i], sizeof(text[i]));
        memset(entry[i].hex, '0' + i, sizeof(hex));
    }

    for (i = 0; i < 2; i++) {
        tap_is(sgamp_hash_text(&hash, entry, text[i], hex), SGAMP_OK,
               "the hash of the %s text", names[i]);
        tap_bytes(hex, sizeof(hex), entry[i].hex, sizeof(hex),
                  "is the one that is remembered");
    }

    (void) sgamp_hash_text(&hash, entry, text[2], hex);

    tap_bytes(entry[0].text, sizeof(text[2]), text[2], sizeof(text[2]),
              "a text that is not remembered becomes the newest");
    tap_bytes(entry[0].hex, sizeof(hex), hex, sizeof(hex), "with its hash");
    tap_bytes(entry[1].text, sizeof(text[0]), text[0], sizeof(text[0]),
              "and the newest one becomes the older");
    tap_is(entry[1].hex[0], '0', "with the hash of before");

    /* the first and the last entries are used as well as others */

    memset(none, 0, sizeof(none));
    tap_ok(sgamp_hash_entry(&hash, text[0]) == NULL, "no entries, no entry");

    hash.entries = calloc(SGAMP_HASH_ENTRIES, sizeof(sgamp_hash_entry_t));
    tap_ok(sgamp_hash_entry(&hash, none) == NULL, "an empty text has none");

    sgamp_test_spread(&hash);

    free(hash.entries);
    sgamp_hash_done(&hash);
}


static void
sgamp_test_spread(const sgamp_hash_t *hash)
{
    char                 name[32];
    size_t               at;
    u_char              *used;
    unsigned             i, n;
    sgamp_hash_text_t    text;
    sgamp_hash_entry_t  *entry;

    used = calloc(SGAMP_HASH_ENTRIES, 1);
    if (used == NULL) {
        tap_bail("no memory");
    }

    for (i = 0; i < 8 * SGAMP_HASH_ENTRIES; i++) {
        (void) snprintf(name, sizeof(name), "user%u@example.com", i);
        sgamp_test_text(text, (u_char *) name, strlen(name));

        entry = sgamp_hash_entry(hash, text);
        at = (size_t) (entry - hash->entries);

        if (at + SGAMP_HASH_SET <= SGAMP_HASH_ENTRIES) {
            used[at]++;
        }
    }

    n = 0;

    for (i = 0; i < SGAMP_HASH_ENTRIES; i += SGAMP_HASH_SET) {
        n += (used[i] != 0);
    }

    tap_is(n, SGAMP_HASH_ENTRIES / SGAMP_HASH_SET,
           "all sets of entries are used");

    free(used);
}
