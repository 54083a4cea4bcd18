#!/usr/bin/perl

# What operators decide to send: names of events, filters, properties, hashes, the
# reader's address.  What nginx says to rules: t/011-conf-rules.t; all rules with
# all events: t/092-rules-all.t.

use warnings;
use strict;

use Blocks;

run_blocks();

__DATA__

=== TEST: event_name: a whole name, in place of prefix and event
--- rules
sendgrid_amp_event_name Open "Email \"opened\" \\ é";
sendgrid_amp_event_name machine_open "Prefetched";
--- events
{"event":"OPEN","sg_event_id":"E1","email":"Ada@Example.com"}
{"event":"o\u0070en","sg_event_id":"E1","email":"Ada@Example.com"}
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com","sg_machine_open":true}
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com","sg_machine_open":"true"}
{"event":"click","sg_event_id":"E1","email":"Ada@Example.com"}
--- amplitude
{"user_id":"Ada@Example.com","event_type":"Email \"opened\" \\ é","insert_id":"E1",...}
{"user_id":"Ada@Example.com","event_type":"Email \"opened\" \\ é","insert_id":"E1",...}
{"user_id":"Ada@Example.com","event_type":"Prefetched","insert_id":"E1",...}
{"user_id":"Ada@Example.com","event_type":"Email \"opened\" \\ é","insert_id":"E1",...}
{"user_id":"Ada@Example.com","event_type":"[Sendgrid] click","insert_id":"E1",...}



=== TEST: event_name: control characters are escaped
--- rules eval
"sendgrid_amp_event_prefix \x01\x02;
sendgrid_amp_event_name click \x03\x04;
sendgrid_amp_property \x05\x06 \x0e\x0f;"
--- events
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com"}
{"event":"click","sg_event_id":"E1","email":"Ada@Example.com"}
--- amplitude
{"user_id":"Ada@Example.com","event_type":"\u0001\u0002open","insert_id":"E1","library":"sendgrid","event_properties":{"event":"open","sg_event_id":"E1","email":"Ada@Example.com","\u0005\u0006":"\u000e\u000f"}}
{"user_id":"Ada@Example.com","event_type":"\u0003\u0004","insert_id":"E1","library":"sendgrid","event_properties":{"event":"click","sg_event_id":"E1","email":"Ada@Example.com","\u0005\u0006":"\u000e\u000f"}}



=== TEST: events: none but these, whatever the rest has or lacks
--- rules
sendgrid_amp_events Open CLICK;
--- events
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com"}
{"event":"click","sg_event_id":"E1","email":"Ada@Example.com"}
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com","sg_machine_open":true}
{"event":"bounce","sg_event_id":"E1","email":"Ada@Example.com"}
{"event":"processed"}
{"event":"open","sg_event_id":"E1"}
{"email":"Ada@Example.com"}
--- amplitude
{"user_id":"Ada@Example.com","event_type":"[Sendgrid] open","insert_id":"E1",...}
{"user_id":"Ada@Example.com","event_type":"[Sendgrid] click","insert_id":"E1",...}
ignored
ignored
ignored
rejected
rejected



=== TEST: events: all are ignored, and Amplitude is not called
--- rules
sendgrid_amp_events open click teleported;
--- events
{"event":"processed"}
{"event":"x","email":"Ada@Example.com"}
--- amplitude
ignored



=== TEST: ignore: all but these
--- rules
sendgrid_amp_ignore machine_open Delivered;
--- events
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com"}
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com","sg_machine_open":true}
{"event":"delivered","sg_event_id":"E1","email":"Ada@Example.com"}
--- amplitude
{"user_id":"Ada@Example.com","event_type":"[Sendgrid] open","insert_id":"E1",...}
ignored
ignored



=== TEST: drop: properties are left out, the user_id is not
--- rules
sendgrid_amp_drop email ip;
--- events
{"ip":"203.0.113.9","event":"open", "n":1.50,"\u0065mail":"Ada@Example.com","sg_event_id":"E1"}
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com","list":{"email":"Ada@Example.com"}}
--- amplitude
{"user_id":"Ada@Example.com","event_type":"[Sendgrid] open","insert_id":"E1","library":"sendgrid","event_properties":{"event":"open", "n":1.50,"sg_event_id":"E1"}}
{"user_id":"Ada@Example.com","event_type":"[Sendgrid] open","insert_id":"E1","library":"sendgrid","event_properties":{"event":"open","sg_event_id":"E1","list":{"email":"Ada@Example.com"}}}



=== TEST: keep: no other property
--- rules
sendgrid_amp_keep email event;
--- events
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com","ip":"203.0.113.9"}
--- amplitude
{"user_id":"Ada@Example.com","event_type":"[Sendgrid] open","insert_id":"E1","library":"sendgrid","event_properties":{"event":"open","email":"Ada@Example.com"}}



=== TEST: keep: nothing
--- rules
sendgrid_amp_keep nothing;
--- events
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com"}
--- amplitude
{"user_id":"Ada@Example.com","event_type":"[Sendgrid] open","insert_id":"E1","library":"sendgrid","event_properties":{}}



=== TEST: hash: the user_id and properties, in lower case and without blanks
--- rules
sendgrid_amp_hash email ip;
--- events
{"event":"open","sg_event_id":"E1","\u0065mail":" Ada@Example.com\t","ip":"1.2.3.4"}
--- amplitude
{"user_id":"sha256(ada@example.com)","event_type":"[Sendgrid] open","insert_id":"E1","library":"sendgrid","event_properties":{"event":"open","sg_event_id":"E1","\u0065mail":"sha256(ada@example.com)","ip":"sha256(1.2.3.4)"}}



=== TEST: hash: the address in other fields
--- rules
sendgrid_amp_hash email;
--- events
{"event":"ADA@example.com","email":"ada@example.com","sg_event_id":"\u0061da@example.com"}
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com","to":"ada@example.com"}
--- amplitude
{"user_id":"sha256(ada@example.com)","event_type":"[Sendgrid] sha256(ada@example.com)","insert_id":"sha256(ada@example.com)","library":"sendgrid","event_properties":{"event":"sha256(ada@example.com)","email":"sha256(ada@example.com)","sg_event_id":"sha256(ada@example.com)"}}
{"user_id":"sha256(ada@example.com)","event_type":"[Sendgrid] open","insert_id":"E1","library":"sendgrid","event_properties":{"event":"open","sg_event_id":"E1","email":"sha256(ada@example.com)","to":"sha256(ada@example.com)"}}



=== TEST: hash: a key, and a number as user_id
--- rules
sendgrid_amp_hash "key=s3cret é" email customer;
sendgrid_amp_user_id customer email;
--- events
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com","customer":42}
--- amplitude
{"user_id":"hmac(s3cret é,42)","event_type":"[Sendgrid] open","insert_id":"E1","library":"sendgrid","event_properties":{"event":"open","sg_event_id":"E1","email":"hmac(s3cret é,ada@example.com)","customer":"hmac(s3cret é,42)"}}



=== TEST: hash and drop: the user_id only
--- rules
sendgrid_amp_hash email;
sendgrid_amp_drop email reason;
--- events
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com"}
--- amplitude
{"user_id":"sha256(ada@example.com)","event_type":"[Sendgrid] open","insert_id":"E1","library":"sendgrid","event_properties":{"event":"open","sg_event_id":"E1"}}



=== TEST: hash and keep: the insert_id too
--- rules
sendgrid_amp_hash email sg_event_id;
sendgrid_amp_keep email event;
--- events
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com"}
--- amplitude
{"user_id":"sha256(ada@example.com)","event_type":"[Sendgrid] open","insert_id":"sha256(E1)","library":"sendgrid","event_properties":{"event":"open","email":"sha256(ada@example.com)"}}



=== TEST: property: after the event's own, unless the event has the name
--- rules
sendgrid_amp_property env eu;
--- events
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com"}
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com","env":"own"}
--- amplitude
{"user_id":"Ada@Example.com","event_type":"[Sendgrid] open","insert_id":"E1","library":"sendgrid","event_properties":{"event":"open","sg_event_id":"E1","email":"Ada@Example.com","env":"eu"}}
{"user_id":"Ada@Example.com","event_type":"[Sendgrid] open","insert_id":"E1",...}



=== TEST: property: variables
--- rules
sendgrid_amp_property env $host;
sendgrid_amp_property "p \"q\"" "${arg_p}/\"";
--- uri: /sendgrid?p=v%22%0A
--- events
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com"}
--- amplitude
{"user_id":"Ada@Example.com","event_type":"[Sendgrid] open","insert_id":"E1","library":"sendgrid","event_properties":{"event":"open","sg_event_id":"E1","email":"Ada@Example.com","env":"localhost","p \"q\"":"v%22%0A/\""}}



=== TEST: client_ip: of what a reader does, and no machine
--- rules
sendgrid_amp_client_ip on;
--- events
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com","ip":"203.0.113.9"}
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com","ip":"203.0.113.9","sg_machine_open":true}
{"event":"delivered","sg_event_id":"E1","email":"Ada@Example.com","ip":"203.0.113.9"}
{"event":"click","sg_event_id":"E1","email":"Ada@Example.com","ip":"2001:db8::1"}
{"event":"click","sg_event_id":"E1","email":"Ada@Example.com","ip":"1.1.1.256"}
--- amplitude
{"user_id":"Ada@Example.com","event_type":"[Sendgrid] open","ip":"203.0.113.9","insert_id":"E1",...}
{"user_id":"Ada@Example.com","event_type":"[Sendgrid] open","insert_id":"E1",...}
{"user_id":"Ada@Example.com","event_type":"[Sendgrid] delivered","insert_id":"E1",...}
{"user_id":"Ada@Example.com","event_type":"[Sendgrid] click","ip":"2001:db8::1","insert_id":"E1",...}
{"user_id":"Ada@Example.com","event_type":"[Sendgrid] click","insert_id":"E1",...}



=== TEST: inheritance: of http
--- http_config
sendgrid_amp_event_name open A;
sendgrid_amp_event_name click A;
sendgrid_amp_events open click;
sendgrid_amp_ignore bounce;
sendgrid_amp_drop a b;
sendgrid_amp_hash d e key=k;
sendgrid_amp_property p 1;
sendgrid_amp_property q 1;
sendgrid_amp_client_ip on;
sendgrid_amp_keep all;
--- events
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com","a":1,"b":2,"c":3,"d":"d","e":"e","ip":"1.1.1.1"}
{"event":"click","sg_event_id":"E1","email":"Ada@Example.com","a":1,"b":2,"c":3,"d":"d","e":"e","ip":"1.1.1.1"}
{"event":"bounce","sg_event_id":"E1","email":"Ada@Example.com","a":1,"b":2,"c":3,"d":"d","e":"e","ip":"1.1.1.1"}
--- amplitude
{"user_id":"Ada@Example.com","event_type":"A","ip":"1.1.1.1","insert_id":"E1","library":"sendgrid","event_properties":{"event":"open","sg_event_id":"E1","email":"Ada@Example.com","c":3,"d":"hmac(k,d)","e":"hmac(k,e)","ip":"1.1.1.1","p":"1","q":"1"}}
{"user_id":"Ada@Example.com","event_type":"A","ip":"1.1.1.1","insert_id":"E1","library":"sendgrid","event_properties":{"event":"click","sg_event_id":"E1","email":"Ada@Example.com","c":3,"d":"hmac(k,d)","e":"hmac(k,e)","ip":"1.1.1.1","p":"1","q":"1"}}
ignored



=== TEST: inheritance: a list of the server replaces that of http
--- http_config
sendgrid_amp_event_name open A;
sendgrid_amp_event_name click A;
sendgrid_amp_events open click;
sendgrid_amp_ignore bounce;
sendgrid_amp_drop a b;
sendgrid_amp_hash d e key=k;
sendgrid_amp_property p 1;
sendgrid_amp_property q 1;
sendgrid_amp_client_ip on;
sendgrid_amp_keep all;
--- server
sendgrid_amp_event_name open B;
sendgrid_amp_events click;
sendgrid_amp_ignore dropped;
sendgrid_amp_drop b;
sendgrid_amp_hash e;
sendgrid_amp_property q 2;
sendgrid_amp_client_ip off;
--- events
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com","a":1,"b":2,"c":3,"d":"d","e":"e","ip":"1.1.1.1"}
{"event":"click","sg_event_id":"E1","email":"Ada@Example.com","a":1,"b":2,"c":3,"d":"d","e":"e","ip":"1.1.1.1"}
{"event":"bounce","sg_event_id":"E1","email":"Ada@Example.com","a":1,"b":2,"c":3,"d":"d","e":"e","ip":"1.1.1.1"}
--- amplitude
ignored
{"user_id":"Ada@Example.com","event_type":"[Sendgrid] click","insert_id":"E1","library":"sendgrid","event_properties":{"event":"click","sg_event_id":"E1","email":"Ada@Example.com","a":1,"c":3,"d":"d","e":"sha256(e)","ip":"1.1.1.1","q":"2"}}
ignored



=== TEST: inheritance: a list of the location replaces that of the server
--- http_config
sendgrid_amp_event_name open A;
sendgrid_amp_event_name click A;
sendgrid_amp_events open click;
sendgrid_amp_ignore bounce;
sendgrid_amp_drop a b;
sendgrid_amp_hash d e key=k;
sendgrid_amp_property p 1;
sendgrid_amp_property q 1;
sendgrid_amp_client_ip on;
sendgrid_amp_keep all;
--- server
sendgrid_amp_event_name open B;
sendgrid_amp_events click;
sendgrid_amp_ignore dropped;
sendgrid_amp_drop b;
sendgrid_amp_hash e;
sendgrid_amp_property q 2;
sendgrid_amp_client_ip off;
--- rules
sendgrid_amp_event_name click C;
sendgrid_amp_events all;
sendgrid_amp_ignore open;
sendgrid_amp_drop c;
sendgrid_amp_hash d key=l;
sendgrid_amp_property p 3;
sendgrid_amp_keep all;
sendgrid_amp_client_ip on;
--- events
{"event":"open","sg_event_id":"E1","email":"Ada@Example.com","a":1,"b":2,"c":3,"d":"d","e":"e","ip":"1.1.1.1"}
{"event":"click","sg_event_id":"E1","email":"Ada@Example.com","a":1,"b":2,"c":3,"d":"d","e":"e","ip":"1.1.1.1"}
{"event":"bounce","sg_event_id":"E1","email":"Ada@Example.com","a":1,"b":2,"c":3,"d":"d","e":"e","ip":"1.1.1.1"}
--- amplitude
ignored
{"user_id":"Ada@Example.com","event_type":"C","ip":"1.1.1.1","insert_id":"E1","library":"sendgrid","event_properties":{"event":"click","sg_event_id":"E1","email":"Ada@Example.com","a":1,"b":2,"d":"hmac(l,d)","e":"e","ip":"1.1.1.1","p":"3"}}
{"user_id":"Ada@Example.com","event_type":"[Sendgrid] bounce","insert_id":"E1","library":"sendgrid","event_properties":{"event":"bounce","sg_event_id":"E1","email":"Ada@Example.com","a":1,"b":2,"d":"hmac(l,d)","e":"e","ip":"1.1.1.1","p":"3"}}



=== TEST: hash: an id that could be an address is not logged
--- rules
sendgrid_amp_hash email;
--- webhook
[{"email":"zoe@example.com","sg_event_id":"zoe@example.com"},
{"email":"zoe@example.com","sg_event_id":"Ab-1_="}]
--- answer
{"received":2,"forwarded":0,"ignored":0,"rejected":2,"batches":0}
--- logged
[warn] event rejected: no_event_type, field: "", sg_event_id: "?" while reading SendGrid events
[warn] event rejected: no_event_type, field: "", sg_event_id: "Ab-1_=" while reading SendGrid events
--- no_error_log
[alert]
zoe
