
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_address.h"
#include "sgamp_test.h"


#define SGAMP_TEST_TEXTS  100000


static void sgamp_test_forms(void);
static void sgamp_test_characters(void);
static void sgamp_test_sizes(void);
static void sgamp_test_size(size_t local, size_t label, size_t n,
    const char *want);
static void sgamp_test_random_texts(void);
static int sgamp_test_reference(char *address, const char *text);
static sgamp_address_e sgamp_test_address(const char *text, size_t n,
    char address[SGAMP_ADDRESS_LEN + 1]);


static sgamp_test_guard_t  sgamp_test_page;


int
main(void)
{
    sgamp_test_forms();
    sgamp_test_characters();
    sgamp_test_sizes();
    sgamp_test_random_texts();

    sgamp_test_guard_done(&sgamp_test_page);

    return tap_done();
}


static void
sgamp_test_forms(void)
{
    char             address[SGAMP_ADDRESS_LEN + 1];
    const char      *want;
    unsigned         i;
    sgamp_address_e  rc;

    /* JSON, and the address that is read; "": none, NULL: invalid */

    static const char *const forms[][2] = {
        { "\"a@b.co\"", "a@b.co" },
        { "\"Ann.Lee+x@Mail.Example.COM\"", "ann.lee+x@mail.example.com" },
        { "\"!#$%&'*+-/=?^_`{|}~9@b.co\"", "!#$%&'*+-/=?^_`{|}~9@b.co" },
        { "\"a@xn--bcher-kva.example\"", "a@xn--bcher-kva.example" },
        { "\"a@b.xn--p1ai\"", "a@b.xn--p1ai" },
        { "\"a@1.2b.co\"", "a@1.2b.co" },
        { "\"a@b-c.d--e.f0\"", "a@b-c.d--e.f0" },
        { "\"a@b.0f\"", "a@b.0f" },
        { "\"-@b.co\"", "-@b.co" },

        /* white space around */

        { "\" \\ta@b.co\\r\\n\"", "a@b.co" },
        { "\"\\u00a0a@b.co\\u2003\\u3000\"", "a@b.co" },
        { "\"\xe2\x80\xa8z@b.co\xc2\x85\"", "z@b.co" },
        { "\"\\u200ba@b.co\"", NULL },
        { "\"\\u0000a@b.co\"", NULL },
        { "\"a@b.co\\u0000\"", NULL },

        /* escapes */

        { "\"a\\u0040b.co\"", "a@b.co" },
        { "\"\\u0041\\u0042@\\u0043\\u002e\\u0043\\u004f\"", "ab@c.co" },
        { "\"a\\/b@c.co\"", "a/b@c.co" },
        { "\"a\\\"b@c.co\"", NULL },
        { "\"a\\\\b@c.co\"", NULL },
        { "\"a\\u0040b\\u0040c.co\"", NULL },

        /* nothing */

        { "\"\"", "" },
        { "\" \"", "" },
        { "\"\\t\\n\\u2003\"", "" },
        { "null", "" },
        { "true", "" },
        { "false", "" },
        { "12", "" },
        { "[\"a@b.co\"]", "" },
        { "{\"a\":\"a@b.co\"}", "" },

        /* "@" */

        { "\"a\"", NULL },
        { "\"@\"", NULL },
        { "\"a@\"", NULL },
        { "\"@b.co\"", NULL },
        { "\"a.b.co\"", NULL },
        { "\"a@b@c.co\"", NULL },
        { "\"a@b.co@\"", NULL },
        { "\"@a@b.co\"", NULL },

        /* local parts */

        { "\".a@b.co\"", NULL },
        { "\"a.@b.co\"", NULL },
        { "\"a..b@b.co\"", NULL },
        { "\".@b.co\"", NULL },
        { "\"a.b.c@b.co\"", "a.b.c@b.co" },
        { "\"a b@c.co\"", NULL },
        { "\"a\\tb@c.co\"", NULL },
        { "\"a\\u007f@c.co\"", NULL },
        { "\"\\\"a\\\"@b.co\"", NULL },
        { "\"Ann <a@b.co>\"", NULL },
        { "\"a@b.co, c@d.co\"", NULL },
        { "\"mailto:a@b.co\"", NULL },
        { "\"\xc3\xa4@b.co\"", NULL },
        { "\"\\u00e4@b.co\"", NULL },
        { "\"a\xff@b.co\"", NULL },
        { "\"\\ud800@b.co\"", NULL },

        /* domains */

        { "\"a@b\"", NULL },
        { "\"a@localhost\"", NULL },
        { "\"a@b.\"", NULL },
        { "\"a@b.co.\"", NULL },
        { "\"a@.co\"", NULL },
        { "\"a@b..co\"", NULL },
        { "\"a@b.c\"", NULL },
        { "\"a@b.12\"", NULL },
        { "\"a@1.2.3.44\"", NULL },
        { "\"a@[1.2.3.44]\"", NULL },
        { "\"a@-b.co\"", NULL },
        { "\"a@b-.co\"", NULL },
        { "\"a@b.-co\"", NULL },
        { "\"a@b.co-\"", NULL },
        { "\"a@b_c.co\"", NULL },
        { "\"a@b c.co\"", NULL },
        { "\"a@b.co\\u0001\"", NULL },
        { "\"a@m\xc3\xbcnster.example\"", NULL },
        { "\"a@b.c\xc3\xb6m\"", NULL }
    };

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        want = forms[i][1];
        rc = sgamp_test_address(forms[i][0], strlen(forms[i][0]), address);

        if (want == NULL || *want == '\0') {
            tap_is(rc, want ? SGAMP_ADDRESS_NONE : SGAMP_ADDRESS_INVALID,
                   "%s: %s", forms[i][0], want ? "none" : "invalid");
            continue;
        }

        tap_ok(rc == SGAMP_ADDRESS_VALID && strcmp(address, want) == 0, "%s",
               forms[i][0]);
    }
}


static void
sgamp_test_characters(void)
{
    int              lower, want;
    char             text[16], address[SGAMP_ADDRESS_LEN + 1];
    unsigned         i, place, bad;
    sgamp_address_e  rc;

    static const char local[] =
        "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-/=?^_`{|}~.";
    static const char domain[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";

    /* each character that may stand in JSON as it is, in each part */

    bad = 0;

    for (place = 0; place <= 1; place++) {
        for (i = ' '; i < 0x80; i++) {

            if (i == '"' || i == '\\') {
                continue;
            }

            snprintf(text, sizeof(text), "\"x%sy.zz\"",
                     place ? "@b?b" : "?x@y");
            *strchr(text, '?') = (char) i;

            rc = sgamp_test_address(text, strlen(text), address);

            lower = (i >= 'A' && i <= 'Z') ? (int) i + 'a' - 'A' : (int) i;
            want = strchr(place ? domain : local, lower) != NULL;

            if ((rc == SGAMP_ADDRESS_VALID) != want
                || (want && address[place ? 3 : 1] != (char) lower))
            {
                tap_diag("%s: %d", text, rc);
                bad++;
            }
        }
    }

    tap_is(bad, 0, "characters of both parts");
}


static void
sgamp_test_sizes(void)
{
    /* the local part, the labels and how many of these, ".com" */

    sgamp_test_size(64, 63, 1, "valid");
    sgamp_test_size(65, 63, 1, "invalid");
    sgamp_test_size(1, 64, 1, "invalid");
    sgamp_test_size(1, 1, 1, "valid");
    sgamp_test_size(0, 1, 1, "invalid");

    /* 254 bytes, and 255 */

    sgamp_test_size(58, 63, 3, "valid");
    sgamp_test_size(59, 63, 3, "invalid");
    sgamp_test_size(5, 48, 5, "valid");
    sgamp_test_size(6, 48, 5, "invalid");
    sgamp_test_size(1, 63, 4, "invalid");
    sgamp_test_size(64, 63, 100, "invalid");
}


static void
sgamp_test_size(size_t local, size_t label, size_t n, const char *want)
{
    char              address[SGAMP_ADDRESS_LEN + 1];
    size_t            i, j;
    sgamp_address_e   rc;
    sgamp_test_buf_t  text;

    memset(&text, 0, sizeof(sgamp_test_buf_t));

    sgamp_test_puts(&text, "\" ");

    for (i = 0; i < local; i++) {
        sgamp_test_puts(&text, "a");
    }

    sgamp_test_puts(&text, "@");

    for (i = 0; i < n; i++) {
        for (j = 0; j < label; j++) {
            sgamp_test_puts(&text, "b");
        }

        sgamp_test_puts(&text, ".");
    }

    sgamp_test_puts(&text, "com \"");

    rc = sgamp_test_address((char *) text.data, text.len, address);

    tap_ok(rc == (*want == 'v' ? SGAMP_ADDRESS_VALID : SGAMP_ADDRESS_INVALID)
           && (*want != 'v' || strlen(address) == text.len - 4),
           "%zu @ %zu labels of %zu: %s", local, n, label, want);

    sgamp_test_free(&text);
}


static void
sgamp_test_random_texts(void)
{
    int                  valid;
    char                 text[64], plain[64], quoted[256];
    char                 address[SGAMP_ADDRESS_LEN + 1];
    size_t               n;
    unsigned             i, j, bad, fine;
    sgamp_address_e      rc;
    sgamp_test_random_t  random;

    static const char *const tokens[] = {
        "a", "b", "Z", "9", "@", ".", "-", "co", ".com", "@x", "_", " ", "+"
    };

    random.state = 20;
    bad = 0;
    fine = 0;

    for (i = 0; i < SGAMP_TEST_TEXTS; i++) {
        plain[0] = '\0';

        for (j = 1 + sgamp_test_random(&random, 9); j > 0; j--) {
            strcat(plain, tokens[sgamp_test_random(&random, 13)]);
        }

        /* some characters are escaped */

        n = 0;
        quoted[n++] = '"';

        for (j = 0; plain[j] != '\0'; j++) {

            if (sgamp_test_random(&random, 20) == 0) {
                n += (size_t) sprintf(quoted + n, "\\u%04x", plain[j]);

            } else {
                quoted[n++] = plain[j];
            }
        }

        quoted[n++] = '"';

        valid = sgamp_test_reference(text, plain);
        rc = sgamp_test_address(quoted, n, address);

        fine += valid;

        if ((rc == SGAMP_ADDRESS_VALID) != valid
            || (valid && strcmp(text, address) != 0))
        {
            tap_diag("\"%s\": %d", plain, rc);
            bad++;
        }
    }

    tap_is(bad, 0, "random texts");
    tap_ok(fine > SGAMP_TEST_TEXTS / 200, "%u of them are addresses", fine);
}


static int
sgamp_test_reference(char *address, const char *text)
{
    size_t  i, n, ats, label;
    char    ch;

    /* the rules one after the other, for short texts of the tokens above */

    while (*text == ' ') {
        text++;
    }

    n = strlen(text);

    while (n > 0 && text[n - 1] == ' ') {
        n--;
    }

    memcpy(address, text, n);
    address[n] = '\0';

    ats = 0;

    for (i = 0; i < n; i++) {
        address[i] = (text[i] == 'Z') ? 'z' : text[i];
        ats += (text[i] == '@');
    }

    if (ats != 1 || strchr(address, ' ') != NULL
        || address[0] == '@' || address[0] == '.'
        || strstr(address, "..") != NULL
        || strstr(address, ".@") != NULL)
    {
        return 0;
    }

    text = strchr(address, '@') + 1;

    if (*text == '\0' || strpbrk(text, "_+") != NULL
        || strchr(text, '.') == NULL)
    {
        return 0;
    }

    label = 0;
    ch = '.';

    for (i = 0; i <= strlen(text); i++) {

        if (text[i] == '.' || text[i] == '\0') {
            if (label == 0 || ch == '-') {
                return 0;
            }

            label = 0;

        } else if (text[i] == '-' && label == 0) {
            return 0;

        } else {
            label++;
        }

        ch = text[i];
    }

    text = strrchr(text, '.') + 1;

    return strlen(text) > 1 && strspn(text, "9") != strlen(text);
}


static sgamp_address_e
sgamp_test_address(const char *text, size_t n,
    char address[SGAMP_ADDRESS_LEN + 1])
{
    size_t               len;
    u_char              *p, buf[SGAMP_ADDRESS_LEN + 1];
    sgamp_address_e      rc;
    sgamp_json_value_t   value;

    /* nothing is read after the value, nothing is written after the room */

    p = sgamp_test_guard(&sgamp_test_page, text, n);

    sgamp_test_poison(buf, sizeof(buf));
    len = 0;

    sgamp_json_value(&value, p, p + n);
    rc = sgamp_address(&value, buf, &len);

    if (buf[SGAMP_ADDRESS_LEN] != 0xa5 || len > SGAMP_ADDRESS_LEN) {
        tap_ok(0, "%.20s: the room", text);
        len = 0;
    }

    memcpy(address, buf, len);
    address[len] = '\0';

    return rc;
}
