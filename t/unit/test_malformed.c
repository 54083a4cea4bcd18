
/*
 * Copyright (C) the nginx-sendgrid-amp authors
 */


#include <stdio.h>

#include "sgamp_test_env.h"


#define sgamp_test_text(text)  text, sizeof(text) - 1


typedef struct {
    const char  *text;
    size_t       len;
    long         at; /* of the fault, or SGAMP_TEST_FINE */
} sgamp_test_body_t;


static void sgamp_test_bodies(const sgamp_test_body_t *body);


/* what is at the top */

static const sgamp_test_body_t sgamp_test_top[] = {
    { sgamp_test_text(""), 0 },
    { sgamp_test_text(" "), 1 },
    { sgamp_test_text(" \r\n\t"), 4 },
    { sgamp_test_text("1"), 0 },
    { sgamp_test_text("-"), 0 },
    { sgamp_test_text(" 17"), 1 },
    { sgamp_test_text("\"text\""), 0 },
    { sgamp_test_text("true"), 0 },
    { sgamp_test_text("null"), 0 },
    { sgamp_test_text("\n\nfalse"), 2 },
    { sgamp_test_text("event=open&email=a%40example.com"), 0 },
    { sgamp_test_text("<html>"), 0 },
    { sgamp_test_text("]"), 0 },
    { sgamp_test_text("}"), 0 },
    { sgamp_test_text(","), 0 },
    { sgamp_test_text(":"), 0 },
    { sgamp_test_text("/* */[]"), 0 },
    { sgamp_test_text("\0"), 0 },
    { sgamp_test_text("\0[]"), 0 },
    { sgamp_test_text(" \0[]"), 1 },
    { sgamp_test_text("\v[]"), 0 },
    { sgamp_test_text("\f[]"), 0 },
    { sgamp_test_text("\x7f[]"), 0 },
    { sgamp_test_text("\xc2\xa0[]"), 0 },
    { sgamp_test_text("\xef"), 1 },
    { sgamp_test_text("\xef\xbb"), 2 },
    { sgamp_test_text("\xef\xbb\xbf"), 3 },
    { sgamp_test_text("\xef\xbb\xbf "), 4 },
    { sgamp_test_text("\xef\xbb[]"), 0 },
    { sgamp_test_text("\xef[]"), 0 },
    { sgamp_test_text("\xef\xbf\xbf[]"), 0 },
    { sgamp_test_text("\xef\xbb\xbf\xef\xbb\xbf[]"), 3 },
    { sgamp_test_text(" \xef\xbb\xbf[]"), 1 },
    { sgamp_test_text("\xfe\xff\0[\0]"), 0 },
    { sgamp_test_text("\xff\xfe[\0]\0"), 0 },
    { sgamp_test_text("\xef\xbb\xbf[]"), SGAMP_TEST_FINE },
    { sgamp_test_text("\xef\xbb\xbf{}"), SGAMP_TEST_FINE },
    { sgamp_test_text("\xef\xbb\xbf\r\n []"), SGAMP_TEST_FINE },
    { sgamp_test_text("[]"), SGAMP_TEST_FINE },
    { sgamp_test_text("{}"), SGAMP_TEST_FINE },
    { sgamp_test_text(" [ ] "), SGAMP_TEST_FINE },
    { sgamp_test_text(" { } "), SGAMP_TEST_FINE },
    { NULL, 0, 0 }
};


/* what comes after the end */

static const sgamp_test_body_t sgamp_test_after[] = {
    { sgamp_test_text("[]x"), 2 },
    { sgamp_test_text("[] x"), 3 },
    { sgamp_test_text("[]]"), 2 },
    { sgamp_test_text("[]}"), 2 },
    { sgamp_test_text("[],"), 2 },
    { sgamp_test_text("[]:"), 2 },
    { sgamp_test_text("[][]"), 2 },
    { sgamp_test_text("[]\n[]"), 3 },
    { sgamp_test_text("[]1"), 2 },
    { sgamp_test_text("[]-"), 2 },
    { sgamp_test_text("[]\t17 "), 3 },
    { sgamp_test_text("[] true"), 3 },
    { sgamp_test_text("[] tru"), 3 },
    { sgamp_test_text("[] nul!"), 3 },
    { sgamp_test_text("[] \""), 3 },
    { sgamp_test_text("[] \"text"), 3 },
    { sgamp_test_text("[] \"text\""), 3 },
    { sgamp_test_text("[] \"te\\xt\""), 3 },
    { sgamp_test_text("[]\0"), 2 },
    { sgamp_test_text("[]\n\0"), 3 },
    { sgamp_test_text("[]\v"), 2 },
    { sgamp_test_text("[] \f"), 3 },
    { sgamp_test_text("[]\xef\xbb\xbf"), 2 },
    { sgamp_test_text("[]\xff"), 2 },
    { sgamp_test_text("[]/"), 2 },
    { sgamp_test_text("[1]2"), 3 },
    { sgamp_test_text("[1,{}]  2"), 8 },
    { sgamp_test_text("{}{}"), 2 },
    { sgamp_test_text("{}\r\n{}"), 4 },
    { sgamp_test_text("{},{}"), 2 },
    { sgamp_test_text("{}]"), 2 },
    { sgamp_test_text("{} 0"), 3 },
    { sgamp_test_text("{\"a\":1} \""), 8 },
    { sgamp_test_text("\xef\xbb\xbf[] \xef\xbb\xbf"), 6 },
    { sgamp_test_text("[]\r\n"), SGAMP_TEST_FINE },
    { sgamp_test_text("{}\r\n\t "), SGAMP_TEST_FINE },
    { NULL, 0, 0 }
};


/* inside: the faults of tokens, of their order, and texts cut short */

static const sgamp_test_body_t sgamp_test_inside[] = {
    { sgamp_test_text("["), 1 },
    { sgamp_test_text("{"), 1 },
    { sgamp_test_text("[ "), 2 },
    { sgamp_test_text("[}"), 1 },
    { sgamp_test_text("{]"), 1 },
    { sgamp_test_text("[,"), 1 },
    { sgamp_test_text("[,]"), 1 },
    { sgamp_test_text("[:]"), 1 },
    { sgamp_test_text("[1,]"), 3 },
    { sgamp_test_text("[1,,2]"), 3 },
    { sgamp_test_text("[1 2]"), 3 },
    { sgamp_test_text("[1 20,3]"), 3 },
    { sgamp_test_text("{\"a\":-1.5e+7 \"b\":2}"), 13 },
    { sgamp_test_text("{\"a\":1E-10 2}"), 11 },
    { sgamp_test_text("{\"a\":0.5e10 2}"), 12 },
    { sgamp_test_text("{\"a\":[1,20.25,-0,0] \"b\":2}"), 20 },
    { sgamp_test_text("{\"a\":{\"b\":[{},[]]},\"c\":{\"d\":[]} 1}"), 32 },
    { sgamp_test_text("{\"a\":[true,false,null] \"b\"}"), 23 },
    { sgamp_test_text("{\"a\":[{\"b\":1},2:3]}"), 15 },
    { sgamp_test_text("[1:2]"), 2 },
    { sgamp_test_text("[1}"), 2 },
    { sgamp_test_text("[{}{}]"), 3 },
    { sgamp_test_text("[{} {}]"), 4 },
    { sgamp_test_text("[{},]"), 4 },
    { sgamp_test_text("[{},"), 4 },
    { sgamp_test_text("[{}"), 3 },
    { sgamp_test_text("[{]"), 2 },
    { sgamp_test_text("[{,}]"), 2 },
    { sgamp_test_text("[{1:2}]"), 2 },
    { sgamp_test_text("[{12:2}]"), 2 },
    { sgamp_test_text("[{null:2}]"), 2 },
    { sgamp_test_text("[{\"a\"}]"), 5 },
    { sgamp_test_text("[{\"a\",1}]"), 5 },
    { sgamp_test_text("[{\"a\":}]"), 6 },
    { sgamp_test_text("[{\"a\":,}]"), 6 },
    { sgamp_test_text("[{\"a\"::1}]"), 6 },
    { sgamp_test_text("[{\"a\":1,}]"), 8 },
    { sgamp_test_text("[{\"a\":1,,\"b\":2}]"), 8 },
    { sgamp_test_text("[{\"a\":1 \"b\":2}]"), 8 },
    { sgamp_test_text("[{\"a\" \"b\":2}]"), 6 },
    { sgamp_test_text("[{\"a\":1]"), 7 },
    { sgamp_test_text("[{\"a\":[1}]"), 8 },
    { sgamp_test_text("[{\"a\":1:2}]"), 7 },
    { sgamp_test_text("[{\"a\":true false}]"), 11 },
    { sgamp_test_text("[{a:1}]"), 2 },
    { sgamp_test_text("[{'a':1}]"), 2 },
    { sgamp_test_text("[{\"a\":'b'}]"), 6 },
    { sgamp_test_text("[{\"a\":undefined}]"), 6 },
    { sgamp_test_text("[{\"a\":NaN}]"), 6 },
    { sgamp_test_text("[{\"a\":Infinity}]"), 6 },
    { sgamp_test_text("[tru]"), 4 },
    { sgamp_test_text("[truE]"), 4 },
    { sgamp_test_text("[trues]"), 5 },
    { sgamp_test_text("[fals"), 5 },
    { sgamp_test_text("[falsy]"), 5 },
    { sgamp_test_text("[nu"), 3 },
    { sgamp_test_text("[nil]"), 2 },
    { sgamp_test_text("[-]"), 2 },
    { sgamp_test_text("[-"), 2 },
    { sgamp_test_text("[-a]"), 2 },
    { sgamp_test_text("[+1]"), 1 },
    { sgamp_test_text("[.5]"), 1 },
    { sgamp_test_text("[01]"), 2 },
    { sgamp_test_text("[-01]"), 3 },
    { sgamp_test_text("[00]"), 2 },
    { sgamp_test_text("[1.]"), 3 },
    { sgamp_test_text("[1.e5]"), 3 },
    { sgamp_test_text("[1.5.2]"), 4 },
    { sgamp_test_text("[1e]"), 3 },
    { sgamp_test_text("[1e+]"), 4 },
    { sgamp_test_text("[1e5.2]"), 4 },
    { sgamp_test_text("[1e"), 3 },
    { sgamp_test_text("[0x10]"), 2 },
    { sgamp_test_text("[1-2]"), 2 },
    { sgamp_test_text("[\"]"), 3 },
    { sgamp_test_text("[\"a"), 3 },
    { sgamp_test_text("[\"\\\"]"), 5 },
    { sgamp_test_text("[\"\\x41\"]"), 3 },
    { sgamp_test_text("[\"\\'\"]"), 3 },
    { sgamp_test_text("[\"\\U0041\"]"), 3 },
    { sgamp_test_text("[\"\\\0\"]"), 3 },
    { sgamp_test_text("[\"\\\n\"]"), 3 },
    { sgamp_test_text("[\"\\u\"]"), 4 },
    { sgamp_test_text("[\"\\u004\"]"), 7 },
    { sgamp_test_text("[\"\\u00g1\"]"), 6 },
    { sgamp_test_text("[\"\\u12\xff\xff\"]"), 6 },
    { sgamp_test_text("[\"\\u004"), 7 },
    { sgamp_test_text("[\"\0\"]"), 2 },
    { sgamp_test_text("[\"a\nb\"]"), 3 },
    { sgamp_test_text("[\"a\tb\"]"), 3 },
    { sgamp_test_text("[\"a\x1f\"]"), 3 },
    { sgamp_test_text("[\"a\v\"]"), 3 },
    { sgamp_test_text("[\"\f\"]"), 2 },
    { sgamp_test_text("[{\"a\0\":1}]"), 4 },
    { sgamp_test_text("[\0]"), 1 },
    { sgamp_test_text("[1,\0]"), 3 },
    { sgamp_test_text("[1\0]"), 2 },
    { sgamp_test_text("[{}\0]"), 3 },
    { sgamp_test_text("[\v]"), 1 },
    { sgamp_test_text("[\f]"), 1 },
    { sgamp_test_text("[1,\v2]"), 3 },
    { sgamp_test_text("[1\f]"), 2 },
    { sgamp_test_text("[12\v,3]"), 3 },
    { sgamp_test_text("[{\v}]"), 2 },
    { sgamp_test_text("[{\"a\"\f:1}]"), 5 },
    { sgamp_test_text("[{\"a\":\v1}]"), 6 },
    { sgamp_test_text("[{\"a\":1\f}]"), 7 },
    { sgamp_test_text("{\"a\":1\v}"), 6 },
    { sgamp_test_text("[\f\v]"), 1 },
    { sgamp_test_text("[\x85]"), 1 },
    { sgamp_test_text("[\xc2\xa0]"), 1 },
    { sgamp_test_text("[1,\xef\xbb\xbf]"), 3 },
    { sgamp_test_text("[/* */]"), 1 },
    { sgamp_test_text("[1// x\n]"), 2 },
    { sgamp_test_text("[{\"a\":1/**/}]"), 7 },
    { sgamp_test_text("[#]"), 1 },
    { sgamp_test_text("{\"a\":1"), 6 },
    { sgamp_test_text("{\"a\":"), 5 },
    { sgamp_test_text("{\"a\""), 4 },
    { sgamp_test_text("{\"a"), 3 },
    { sgamp_test_text("{\"a\":1,"), 7 },
    { sgamp_test_text("{\"a\":["), 6 },
    { sgamp_test_text("{\"a\":1}}"), 7 },
    { sgamp_test_text("{\"a\":tru}"), 8 },
    { sgamp_test_text("[{\"event\":\"open\"},{\"event\":\"open\""), 33 },
    { sgamp_test_text("[{\"event\":\"open\"} {\"event\":\"open\"}]"), 18 },
    { NULL, 0, 0 }
};


int
main(void)
{
    sgamp_test_bodies(sgamp_test_top);
    sgamp_test_bodies(sgamp_test_after);
    sgamp_test_bodies(sgamp_test_inside);

    return tap_done();
}


static void
sgamp_test_bodies(const sgamp_test_body_t *body)
{
    char              name[128];
    u_char            ch;
    size_t            i, n;
    sgamp_test_env_t  env;

    sgamp_test_env_init(&env);

    for ( /* void */ ; body->text != NULL; body++) {
        n = 0;

        for (i = 0; i < body->len && n < sizeof(name) - 5; i++) {

            ch = body->text[i];

            if (ch < ' ' || ch >= 0x7f || ch == '#' || ch == '\\') {
                n += snprintf(name + n, 5, "<%02x>", ch);

            } else {
                name[n++] = ch;
            }
        }

        name[n] = '\0';

        sgamp_test_fault_at(&env, (u_char *) body->text, body->len, body->at,
                            name);
    }

    sgamp_test_env_done(&env);
}
