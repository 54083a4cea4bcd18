#!/usr/bin/perl

# What reaches Amplitude for an event, by section of docs/mapping.md.  The webhooks
# of the unit tests: t/021-payloads.t.

use warnings;
use strict;

use Blocks;

run_blocks();

__DATA__

=== TEST: an event
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":1513299569}
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","time":1513299569000,"insert_id":"E1",...}



=== TEST: user_id: amp_user_id comes before email
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"u1"}
{"event":"open","sg_event_id":"E1","amp_user_id":"u1"}
--- amplitude
{"user_id":"u1","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: user_id: a number becomes a string, digit by digit
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":42}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":123456789012345678901234567890}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":1.50}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":-7}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":1E5}
--- amplitude
{"user_id":"42","event_type":"[Sendgrid] open","insert_id":"E1",...}
{"user_id":"123456789012345678901234567890","event_type":"[Sendgrid] open","insert_id":"E1",...}
{"user_id":"1.50","event_type":"[Sendgrid] open","insert_id":"E1",...}
{"user_id":"-7","event_type":"[Sendgrid] open","insert_id":"E1",...}
{"user_id":"1E5","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: user_id: what is no id is passed over
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":0}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":-1}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":null}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":true}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":{"email":"no"}}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":["no"]}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":""}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":" \t\r\n "}
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: user_id: white space around an id
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":" \t\n a b \r "}
--- amplitude
{"user_id":"a b","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: user_id: escapes and UTF-8 are sent as they came
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"\u0041\u00e9\ud83d\ude00\/\"\\"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"Zoë"}
--- amplitude
{"user_id":"\u0041\u00e9\ud83d\ude00\/\"\\","event_type":"[Sendgrid] open","insert_id":"E1",...}
{"user_id":"Zoë","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: user_id: an event without an address
--- events
{"event":"open","sg_event_id":"E1","pool":{"email":"no@x.com"}}
{"event":"open","sg_event_id":"E1","category":"x"}
{"event":"open","sg_event_id":"E1","email":null}
{"event":"open","sg_event_id":"E1","email":" "}
{"event":"open","sg_event_id":"E1","u@x.com":"email"}
--- amplitude
rejected



=== TEST: user_id: of a key that an event has twice, the last counts
--- events
{"event":"open","sg_event_id":"E1","email":"a@x.com","email":"b@x.com"}
{"event":"open","sg_event_id":"E1","amp_user_id":"a","email":"u@x.com","amp_user_id":null}
--- amplitude
{"user_id":"b@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: user_id: an escape in a key
--- events
{"event":"open","sg_event_id":"E1","em\u0061il":"u@x.com"}
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: user_id: a short id, letter case
--- events
{"event":"open","sg_event_id":"E1","email":"a"}
{"event":"open","sg_event_id":"E1","email":"User@X.com"}
--- amplitude
{"user_id":"a","event_type":"[Sendgrid] open","insert_id":"E1",...}
{"user_id":"User@X.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: user_id: what Amplitude refuses as an id
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"anonymous"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"Anonymous"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"NIL"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"none"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"Null"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"null"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"N/A"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"na"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"Undefined"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"UNKNOWN"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"{}"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"LMY47D"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"0"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"-1"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"00000000-0000-0000-0000-000000000000"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":" NULL "}
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"n\u002fA"}
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: user_id: what only looks like such an id
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com","amp_user_id":"nullable"}
--- amplitude
{"user_id":"nullable","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: event_type: the event after the prefix
--- events
{"sg_event_id":"E1","email":"u@x.com","event":"Processed"}
{"sg_event_id":"E1","email":"u@x.com","event":"teleported"}
{"sg_event_id":"E1","email":"u@x.com","event":"café"}
{"sg_event_id":"E1","email":"u@x.com","event":"o\u0070en \"1\""}
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] Processed","insert_id":"E1",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] teleported","insert_id":"E1",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] café","insert_id":"E1",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] o\u0070en \"1\"","insert_id":"E1",...}



=== TEST: event_type: of two events, the last counts
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com","event":"click"}
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] click","insert_id":"E1",...}



=== TEST: event_type: no event
--- events
{"sg_event_id":"E1","email":"u@x.com","event":null}
{"sg_event_id":"E1","email":"u@x.com","event":5}
{"sg_event_id":"E1","email":"u@x.com","event":true}
{"sg_event_id":"E1","email":"u@x.com","event":{}}
{"sg_event_id":"E1","email":"u@x.com","event":[]}
{"sg_event_id":"E1","email":"u@x.com","event":""}
{"event":"open","sg_event_id":"E1","email":"u@x.com","event":null}
--- amplitude
rejected



=== TEST: time: no timestamp
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com"}
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: time: seconds, with a fraction that is cut
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":1513299569}
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":"123456789"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":1513299569.5}
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":1513299569.123456}
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":1481050260.03746}
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":1513299569.9999}
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":"0001513299569"}
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","time":1513299569000,"insert_id":"E1",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] open","time":123456789000,"insert_id":"E1",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] open","time":1513299569500,"insert_id":"E1",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] open","time":1513299569123,"insert_id":"E1",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] open","time":1481050260037,"insert_id":"E1",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] open","time":1513299569999,"insert_id":"E1",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] open","time":1513299569000,"insert_id":"E1",...}



=== TEST: time: milliseconds, from 12 digits on
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":1591726752372}
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":"1591726752372"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":1591726752372.9}
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":100000000000}
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":99999999999}
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","time":1591726752372,"insert_id":"E1",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] open","time":1591726752372,"insert_id":"E1",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] open","time":1591726752372,"insert_id":"E1",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] open","time":100000000000,"insert_id":"E1",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] open","time":99999999999000,"insert_id":"E1",...}



=== TEST: time: a date
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":"2023-11-19T17:13:22.5+01:00"}
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","time":1700410402500,"insert_id":"E1",...}



=== TEST: time: what is no time is not sent
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":null}
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":true}
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":""}
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":"soon"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":[1513299569]}
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":{}}
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":-5}
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":1e400}
{"event":"open","sg_event_id":"E1","email":"u@x.com","timestamp":"2023-11-31T17:13:22Z"}
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: time: of two timestamps, the last counts
--- events
{"event":"open","sg_event_id":"E1","timestamp":1,"email":"u@x.com","timestamp":2}
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","time":2000,"insert_id":"E1",...}



=== TEST: insert_id: sg_event_id
--- events
{"event":"open","email":"u@x.com","sg_event_id":"6g4ZI7SA-xmRDv57GoPIPw=="}
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"6g4ZI7SA-xmRDv57GoPIPw==",...}



=== TEST: insert_id: of two ids, the last counts
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com","sg_event_id":"E2"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","sg_event_id":null}
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E2",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"e45152fe157f12552579aefdbe2f6cdb8eeba5d9abbbb6fc902be7bd62cb4b7d",...}



=== TEST: insert_id: the SHA-256 of an event without an id
--- events
{"event":"open","email":"u@x.com","sg_event_id":""}
{"event":"open","email":"u@x.com","sg_event_id":null}
{"event":"open","email":"u@x.com","sg_event_id":5}
{"event":"open","email":"u@x.com","sg_event_id":true}
{"event":"open","email":"u@x.com","sg_event_id":["a"]}
{"event":"open","email":"u@x.com","sg_event_id":{"a":1}}
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"823302185044e29620c16f0a4347e28b1e0ee49a3a6b32940a8d6de22d9dc2b5",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"17e004b59be3dbd1b28fefcd7821a60e6715d893aafa4193a9103f7506748778",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"9153c3bf30cae4115403074e50feca1cbb8bdd8ef9138f616d9a15fe20207649",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"e3bbfaea333a51b0d988cc3e2b539ec3e808280521c45a941de224b2b8b23c1a",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"4611cb1d523b17e3b1964163516d89db39896b2cffc82b4a0db668ae58057bf7",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"6d0d55dfb370b8d3be7de7e699de12552271c266089b4e5e6ef817ff0cc75540",...}



=== TEST: event_properties: numbers keep their digits
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com","n":[0,-0,1.0,1.50,1e5,1E+5,-1.5e-300,12345678901234567890123,0.1000000000000000055511151231257827]}
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: event_properties: escapes stay
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com","s":"\u0041\u00E9\ud83d\ude00\/\b\f\n\r\t\"\\ \u0000"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","s":"\\ud800 \\\\udc00"}
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: event_properties: any key, twice too
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com","New Argument 1":"v","":"","a.b":1,"café":2}
{"event":"open","sg_event_id":"E1","email":"u@x.com","k":1,"k":2}
{"event":"open","sg_event_id":"E1","email":"u@x.com","a":{"b":[{"c":[[],{}]}]},"t":true,"f":false}
{"event":"open","sg_event_id":"E1","email":"u@x.com","user_id":"x","api_key":"y","event_properties":{},"insert_id":5,"library":"z"}
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: repaired: half of a surrogate pair
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com","s":"a\ud800b","a\ud800b":1,"amp_user_id":"a\ud800b"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","s":"a\udc00b","a\udc00b":1,"amp_user_id":"a\udc00b"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","s":"a\ud83d\ud83d\ude00b","a\ud83d\ud83d\ude00b":1,"amp_user_id":"a\ud83d\ud83d\ude00b"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","s":"a\uD83D\u0041b","a\uD83D\u0041b":1,"amp_user_id":"a\uD83D\u0041b"}
{"event":"open","sg_event_id":"E1","email":"u@x.com","s":"a\udbff","a\udbff":1,"amp_user_id":"a\udbff"}
--- amplitude
{"user_id":"a�b","event_type":"[Sendgrid] open","insert_id":"E1","library":"sendgrid","event_properties":{"event":"open","sg_event_id":"E1","email":"u@x.com","s":"a�b","a�b":1,"amp_user_id":"a�b"}}
{"user_id":"a�b","event_type":"[Sendgrid] open","insert_id":"E1","library":"sendgrid","event_properties":{"event":"open","sg_event_id":"E1","email":"u@x.com","s":"a�b","a�b":1,"amp_user_id":"a�b"}}
{"user_id":"a�\ud83d\ude00b","event_type":"[Sendgrid] open","insert_id":"E1","library":"sendgrid","event_properties":{"event":"open","sg_event_id":"E1","email":"u@x.com","s":"a�\ud83d\ude00b","a�\ud83d\ude00b":1,"amp_user_id":"a�\ud83d\ude00b"}}
{"user_id":"a�\u0041b","event_type":"[Sendgrid] open","insert_id":"E1","library":"sendgrid","event_properties":{"event":"open","sg_event_id":"E1","email":"u@x.com","s":"a�\u0041b","a�\u0041b":1,"amp_user_id":"a�\u0041b"}}
{"user_id":"a�","event_type":"[Sendgrid] open","insert_id":"E1","library":"sendgrid","event_properties":{"event":"open","sg_event_id":"E1","email":"u@x.com","s":"a�","a�":1,"amp_user_id":"a�"}}



=== TEST: user_id: 1024 characters, whatever their bytes, and white space around
--- events eval
[ map { qq({"event":"open","sg_event_id":"E1","email":"u\@x.com","amp_user_id":"$_"}) }
	'u' x 1024, "\xc3\xa9" x 1024, ' ' . 'u' x 1024 . ' ' ]
--- amplitude eval
[ map { qq({"user_id":"$_","event_type":"[Sendgrid] open","insert_id":"E1",...}) }
	'u' x 1024, "\xc3\xa9" x 1024, 'u' x 1024 ]



=== TEST: user_id: 1025 characters are too many
--- events eval
[ map { qq({"event":"open","sg_event_id":"E1","email":"u\@x.com","amp_user_id":"${_}x"}) }
	'u' x 1024, "\xc3\xa9" x 1024 ]
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: insert_id: a long id
--- events eval
[ qq({"event":"open","sg_event_id":"@{[ 'u' x 2048 ]}","email":"u\@x.com"}) ]
--- amplitude eval
[ qq({"user_id":"u\@x.com","event_type":"[Sendgrid] open","insert_id":"@{[ 'u' x 2048 ]}",...}) ]



=== TEST: event_properties: white space stays
--- events eval
[ qq({"event":"open","sg_event_id":"E1","email":"u\@x.com" ,\t"s" :\r\n[ 1 , { "a" : null } ] }) ]
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: repaired: bytes that are not UTF-8
--- events eval
[ map { qq({"event":"open","sg_event_id":"E1","email":"u\@x.com","s":"$_","$_":1,"amp_user_id":"$_"}) }
	"a\xffb", "a\x80b", "a\xe2\x82b", "a\xf0\x9f\x98", "caf\xe9" ]
--- amplitude eval
[ map { qq({"user_id":"$_","event_type":"[Sendgrid] open","insert_id":"E1","library":"sendgrid","event_properties":)
	. qq({"event":"open","sg_event_id":"E1","email":"u\@x.com","s":"$_","$_":1,"amp_user_id":"$_"}}) }
	"a\xef\xbf\xbdb", "a\xef\xbf\xbdb", "a\xef\xbf\xbdb", "a\xef\xbf\xbd", "caf\xef\xbf\xbd" ]



=== TEST: repaired: what UTF-8 does not allow, each byte by itself
--- events eval
[ map { qq({"event":"open","sg_event_id":"E1","email":"u\@x.com","s":"$_","$_":1,"amp_user_id":"$_"}) }
	"a\xc0\xafb", "a\xed\xa0\x80b", "a\xf4\x90\x80\x80b" ]
--- amplitude eval
[ map { qq({"user_id":"$_","event_type":"[Sendgrid] open","insert_id":"E1","library":"sendgrid","event_properties":)
	. qq({"event":"open","sg_event_id":"E1","email":"u\@x.com","s":"$_","$_":1,"amp_user_id":"$_"}}) }
	map { 'a' . "\xef\xbf\xbd" x $_ . 'b' } 2, 3, 4 ]



=== TEST: lowercase: the ASCII letters of an address, and no other id
--- rules
sendgrid_amp_lowercase on;
--- events
{"event":"open","sg_event_id":"E1","email":"Alex.Smith@Example.COM"}
{"event":"open","sg_event_id":"E1","email":"ÄBC[]@X.com"}
{"event":"open","sg_event_id":"E1","email":"\u0041B@X.com"}
{"event":"open","sg_event_id":"E1","email":"A@x.com","amp_user_id":"ID"}
--- amplitude
{"user_id":"alex.smith@example.com","event_type":"[Sendgrid] open","insert_id":"E1",...}
{"user_id":"Äbc[]@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}
{"user_id":"ab@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}
{"user_id":"ID","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: event_prefix
--- rules
sendgrid_amp_event_prefix 'Maïl "x" ';
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com"}
--- amplitude
{"user_id":"u@x.com","event_type":"Maïl \"x\" open","insert_id":"E1",...}



=== TEST: sendgrid_amp_user_id: the first key that has an id
--- rules
sendgrid_amp_user_id customer 'a key' id email;
sendgrid_amp_lowercase on;
--- events
{"event":"open","sg_event_id":"E1","id":"3","a key":"2","customer":"C1","email":"u@x.com"}
{"event":"open","sg_event_id":"E1","id":"3","a key":"2","email":"u@x.com"}
{"event":"open","sg_event_id":"E1","id":3,"a key":"none","email":"u@x.com"}
{"event":"open","sg_event_id":"E1","amp_user_id":"no","email":"U@x.com"}
--- amplitude
{"user_id":"C1","event_type":"[Sendgrid] open","insert_id":"E1",...}
{"user_id":"2","event_type":"[Sendgrid] open","insert_id":"E1",...}
{"user_id":"3","event_type":"[Sendgrid] open","insert_id":"E1",...}
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: sendgrid_amp_user_id: none of the keys
--- rules
sendgrid_amp_user_id customer;
--- events
{"event":"open","sg_event_id":"E1","amp_user_id":"no","email":"u@x.com"}
--- amplitude
rejected



=== TEST: api_key: the user name of the credentials
--- key
k:CJdAK9fWEn4dH2UzKht37sAM
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com"}
--- api_key
"k"
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: api_key: a blank
--- key
a b:CJdAK9fWEn4dH2UzKht37sAM
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com"}
--- api_key
"a b"
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: api_key: what JSON escapes
--- key
k"\:CJdAK9fWEn4dH2UzKht37sAM
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com"}
--- api_key
"k\"\\"
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: api_key: UTF-8
--- key
ké:CJdAK9fWEn4dH2UzKht37sAM
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com"}
--- api_key
"ké"
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: api_key: 300 characters
--- key eval
'k' x 300 . ':CJdAK9fWEn4dH2UzKht37sAM'
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com"}
--- api_key eval
'"' . 'k' x 300 . '"'
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: api_key: of sendgrid_amp_api_key
--- rules
sendgrid_amp_api_key '$arg_a\\$arg_b';
--- uri: /sendgrid?a=x&b=y%22"
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com"}
--- api_key
"x\\y%22\""
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: api_key: of the path
--- server
location ~ "^/sendgrid/(?<amp_key>[0-9a-f]{32})$" {
	sendgrid_amp us;
	sendgrid_amp_auth off;
	sendgrid_amp_api_key $amp_key;
}
--- uri: /sendgrid/0123456789abcdef0123456789abcdef
--- key
--- events
{"event":"open","sg_event_id":"E1","email":"u@x.com"}
--- api_key
"0123456789abcdef0123456789abcdef"
--- amplitude
{"user_id":"u@x.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: api_key: no key in the path
--- server
location ~ "^/sendgrid/(?<amp_key>[0-9a-f]{32})$" {
	sendgrid_amp us;
	sendgrid_amp_auth off;
	sendgrid_amp_api_key $amp_key;
}
--- uri: /sendgrid/x
--- key
--- webhook
[]
--- error_code: 404
--- no_error_log
[alert]



=== TEST: all that SendGrid puts into an event
--- events
{"email":"w1@example.com","timestamp":1700000001,"smtp-id":"<14c5d75ce93.dfd.64b469@ismtpd-555>","event":"open","category":["newuser","transactional"],"sg_event_id":"event-w1","sg_message_id":"14c5d75ce93.dfd.64b469.filter0001.16648.5515E0.0","sg_machine_open":false,"useragent":"Mozilla/5.0 (iPhone; CPU iPhone OS 7_1_2 like Mac OS X) AppleWebKit/537.51.2","ip":"203.0.113.9","order_id":"order-w1"}
{"email":"w2@example.com","timestamp":1700000002,"event":"click","category":"newuser","sg_event_id":"event-w2","url":"https:\/\/example.com\/?q=\u00e9","url_offset":{"index":0,"type":"html"}}
--- amplitude
{"user_id":"w1@example.com","event_type":"[Sendgrid] open","time":1700000001000,"insert_id":"event-w1",...}
{"user_id":"w2@example.com","event_type":"[Sendgrid] click","time":1700000002000,"insert_id":"event-w2",...}
