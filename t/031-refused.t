#!/usr/bin/perl

# Webhooks that are not JSON, credentials that are not right, and what the log says
# of them.  What is too large, and what was forwarded before: t/033-too-large.t.

use warnings;
use strict;

use Blocks;

locations(<<'EOC');
	location = /one {
		sendgrid_amp us;
		sendgrid_amp_batch_events 1;
		sendgrid_amp_concurrency 1;
		sendgrid_amp_max_event_size 2m;
	}
EOC

run_blocks();

__DATA__

=== TEST: nothing, white space, byte order marks
--- refused eval
[ [ 0, '' ], [ 4, " \r\n\t" ], [ 3, "\xef\xbb\xbf" ], [ 0, "\xef\xbb[]" ],
[ 3, "\xef\xbb\xbf\xef\xbb\xbf[]" ], [ 0, "\xff\xfe[\0]\0" ] ]



=== TEST: neither an array nor an object
--- refused
0 hello
0 email=a%40x.com&event=open
0 "text"
0 5
0 true
0 null
0 ,
0 ]
0 /* a */ []



=== TEST: a webhook that is cut
--- refused
1 [
2 [{
20 [{"email":"a@x.com",
35 [{"email":"a@x.com","event":"open"}
36 [{"email":"a@x.com","event":"open"},
70 [{"email":"a@x.com","event":"open"},{"email":"a@x.com","event":"open"}
33 {"email":"a@x.com","event":"open"



=== TEST: more after the end
--- refused
3 [] x
2 [][]
3 {} {}
2 []{"email":"a@x.com","event":"open"}
2 []]
36 [{"email":"a@x.com","event":"open"}]}



=== TEST: commas and brackets between events
--- refused
35 [{"email":"a@x.com","event":"open"}{"email":"a@x.com","event":"open"}]
36 [{"email":"a@x.com","event":"open"},,{"email":"a@x.com","event":"open"}]
36 [{"email":"a@x.com","event":"open"},]
1 [,{"email":"a@x.com","event":"open"}]
7 [{"a":1]
1 [}



=== TEST: members without a name or a value
--- refused
6 [{"a":}]
6 [{"a" 1}]
2 [{:1}]
8 [{"a":1,}]
2 [{a:1}]
2 [{'a':1}]



=== TEST: what JSON does not have
--- refused
6 [{"a":NaN}]
7 [{"a":-Infinity}]
7 [{"a":0x10}]
7 [{"a":01}]
6 [{"a":+1}]
8 [{"a":1.}]
6 [{"a":.5}]
8 [{"a":1e}]
6 [{"a":True}]
6 [{"a":undefined}]
2 [{/* a */"a":1}]



=== TEST: strings
--- refused
8 [{"a":"\x"}]
11 [{"a":"\u12"}]
10 [{"a":"x}]



=== TEST: control characters
--- refused eval
[ [ 8, qq([{"a":"x\ny"}]) ], [ 8, qq([{"a":"x\0y"}]) ], [ 2, "[]\0" ] ]



=== TEST: 41 levels are too many
--- refused eval
[ [ 201, '[' . '{"a":' x 41 . '1' . '}' x 41 . ']' ],
[ 45, '[{"a":' . '[' x 40 . ']' x 40 . '}]' ],
[ 41, '[' x 42 . ']' x 42 ],
[ 41, '[' x 100000 ],
[ 201, '[' . '{"a":' x 100000 ] ]



=== TEST: 40 levels of objects
--- webhook eval
'[{"email":"a@x.com","event":"open","a":' . '{"a":' x 39 . '1' . '}' x 39 . '}]'
--- answer
{"received":1,"forwarded":1,"ignored":0,"rejected":0,"batches":1}
--- stored: 1



=== TEST: 40 levels of arrays
--- webhook eval
'[{"email":"a@x.com","event":"open","a":' . '[' x 39 . ']' x 39 . '}]'
--- answer
{"received":1,"forwarded":1,"ignored":0,"rejected":0,"batches":1}
--- stored: 1



=== TEST: no credentials, no scheme, another scheme
--- unauthorized eval
[ undef, '', 'Basic', 'Basic ',
'Bearer {0123456789abcdef0123456789abcdef:CJdAK9fWEn4dH2UzKht37sAM}',
'{0123456789abcdef0123456789abcdef:CJdAK9fWEn4dH2UzKht37sAM}' ]



=== TEST: not encoded
--- unauthorized
Basic 0123456789abcdef0123456789abcdef:CJdAK9fWEn4dH2UzKht37sAM
Basic !!!!
Basic MDEyMzQ1Njc4OWFiY2Rl



=== TEST: a password that is missing, cut, longer or another
--- unauthorized
Basic {0123456789abcdef0123456789abcdef}
Basic {0123456789abcdef0123456789abcdef:}
Basic {0123456789abcdef0123456789abcdef:cjdak9fwen4dh2uzkht37sam}
Basic {0123456789abcdef0123456789abcdef:CJdAK9fWEn4dH2UzKht37sA}
Basic {0123456789abcdef0123456789abcdef:CJdAK9fWEn4dH2UzKht37sAMx}
Basic {0123456789abcdef0123456789abcdef:CJdAK9fWEn4dH2UzKht37sAMCJdAK9fWEn4dH2UzKht37sAM}
Basic {0123456789abcdef0123456789abcdef: CJdAK9fWEn4dH2UzKht37sAM}
Basic {0123456789abcdef0123456789abcdef::CJdAK9fWEn4dH2UzKht37sAM}



=== TEST: a password with a NUL
--- unauthorized eval
[ "Basic {0123456789abcdef0123456789abcdef:CJdAK9fWEn4dH2UzKht37sAM\0}" ]



=== TEST: no user name, no password, one in the place of the other
--- unauthorized
Basic {:CJdAK9fWEn4dH2UzKht37sAM}
Basic {:}
Basic {CJdAK9fWEn4dH2UzKht37sAM:0123456789abcdef0123456789abcdef}



=== TEST: the scheme in any letter case
--- authorization
basic {0123456789abcdef0123456789abcdef:CJdAK9fWEn4dH2UzKht37sAM}
BASIC {0123456789abcdef0123456789abcdef:CJdAK9fWEn4dH2UzKht37sAM}
--- webhook
[]
--- answer
{"received":0,"forwarded":0,"ignored":0,"rejected":0,"batches":0}



=== TEST: logged: no JSON
--- webhook
[x
--- error_code: 400
--- logged
[info] client sent an invalid webhook, at byte 1 while reading SendGrid events



=== TEST: logged: an event that is too large
--- rules
sendgrid_amp_max_event_size 100;
--- webhook
[1,{"email":"a@x.com","event":"open","sg_event_id":"1","a":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}]
--- error_code: 413
--- logged
[info] client sent an event that is too large, at byte 122 while reading SendGrid events



=== TEST: logged: no object
--- webhook
[1]
--- answer
{"received":1,"forwarded":0,"ignored":0,"rejected":1,"batches":0}
--- logged
[warn] event rejected: not_an_object, field: "", sg_event_id: "" while reading SendGrid events



=== TEST: logged: Amplitude answers 503
--- rules
sendgrid_amp_retries 0;
--- script eval
{ status => 503, times => 0 }
--- webhook
[{"email":"a@x.com","event":"open","sg_event_id":"1"}]
--- error_code: 503
--- answer
{"received":1,"forwarded":0,"ignored":0,"rejected":0,"batches":1,
"error":"unavailable"}
--- logged
[warn] amplitude answered 503 to 1 events of the region "us" while waiting for Amplitude
--- no_error_log
[alert]



=== TEST: logged: a subrequest
--- server
location = /subrequest { auth_request /sendgrid; empty_gif; }
--- uri: /subrequest
--- webhook
[{"email":"a@x.com","event":"open","sg_event_id":"1"}]
--- error_code: 500
--- logged
[error] "sendgrid_amp" cannot serve the subrequest "/sendgrid"
