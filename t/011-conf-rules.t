#!/usr/bin/perl

# What nginx says to rules.  What they do: t/090-rules.t.

use warnings;
use strict;

use Blocks;

sub properties {
	return join ' ', map { "sendgrid_amp_property p$_ v;" } 1 .. $_[0];
}

run_blocks();

__DATA__

=== TEST: number of arguments
--- each
sendgrid_amp_events;
sendgrid_amp_ignore;
sendgrid_amp_drop;
sendgrid_amp_keep;
sendgrid_amp_hash;
sendgrid_amp_client_ip;
sendgrid_amp_dry_run;
sendgrid_amp_event_name a;
sendgrid_amp_property a;
sendgrid_amp_client_ip on on;
sendgrid_amp_dry_run on on;
sendgrid_amp_event_name a b c;
sendgrid_amp_property a b c;
--- emerg
invalid number of arguments in "%" directive



=== TEST: directives twice
--- each
sendgrid_amp_events open; sendgrid_amp_events open;
sendgrid_amp_events all; sendgrid_amp_events all;
sendgrid_amp_ignore click; sendgrid_amp_ignore click;
sendgrid_amp_drop a; sendgrid_amp_drop a;
sendgrid_amp_keep a; sendgrid_amp_keep a;
sendgrid_amp_keep all; sendgrid_amp_keep all;
sendgrid_amp_hash a; sendgrid_amp_hash a;
sendgrid_amp_client_ip on; sendgrid_amp_client_ip on;
sendgrid_amp_dry_run 1; sendgrid_amp_dry_run 1;
sendgrid_amp_keep all; sendgrid_amp_keep a;
sendgrid_amp_events all; sendgrid_amp_events click;
--- emerg
"%" directive is duplicate



=== TEST: an empty name of an event
--- each
sendgrid_amp_event_name open "";
sendgrid_amp_event_name "" a;
sendgrid_amp_events "";
sendgrid_amp_events open "";
sendgrid_amp_ignore "";
sendgrid_amp_ignore click "";
--- emerg
"%" directive must not be empty



=== TEST: a name for an event twice
--- each
sendgrid_amp_event_name open a; sendgrid_amp_event_name OPEN b;
sendgrid_amp_event_name click a; sendgrid_amp_event_name Open a; sendgrid_amp_event_name open b;
--- emerg
duplicate event "open" in "%" directive



=== TEST: all among other events
--- each
sendgrid_amp_events all open;
sendgrid_amp_events open all;
sendgrid_amp_events open ALL;
sendgrid_amp_events ALL;
--- emerg
"%" directive has "all" among other events



=== TEST: all is not ignored
--- each
sendgrid_amp_ignore all;
sendgrid_amp_ignore open All;
--- emerg
"%" directive does not take "all"



=== TEST: the second name again
--- each
sendgrid_amp_events open open;
sendgrid_amp_events open Open;
sendgrid_amp_ignore open OPEN;
sendgrid_amp_drop a a;
sendgrid_amp_drop "" "";
--- emerg
duplicate name in parameter 2 of "%" directive



=== TEST: the third name again
--- each
sendgrid_amp_keep a b a;
sendgrid_amp_hash a b b;
sendgrid_amp_hash a key=k a;
--- emerg
duplicate name in parameter 3 of "%" directive



=== TEST: keep after drop
--- each
sendgrid_amp_drop a; sendgrid_amp_keep b;
--- emerg
"sendgrid_amp_keep" directive is duplicate: "sendgrid_amp_drop" and "sendgrid_amp_keep" exclude each other



=== TEST: drop after keep
--- each
sendgrid_amp_keep a; sendgrid_amp_drop b;
--- emerg
"sendgrid_amp_drop" directive is duplicate: "sendgrid_amp_drop" and "sendgrid_amp_keep" exclude each other



=== TEST: hash: a key without names
--- each
sendgrid_amp_hash key=k;
--- emerg
"%" directive has a "key" without names



=== TEST: hash: an empty key
--- each
sendgrid_amp_hash email key=;
sendgrid_amp_hash key= email;
--- emerg
"%" directive has an empty "key"



=== TEST: hash: two keys
--- each
sendgrid_amp_hash a key=k key=l;
sendgrid_amp_hash key=k a key=k;
sendgrid_amp_hash key=k key=;
--- emerg
"%" directive has more than one "key"



=== TEST: hash: what may be meant as a key
--- each
sendgrid_amp_hash a KEY=k;
sendgrid_amp_hash a key = k;
sendgrid_amp_hash a key =k;
sendgrid_amp_hash a Key=;
sendgrid_amp_hash a "key =k";
sendgrid_amp_hash a hmac=k;
sendgrid_amp_hash a =;
sendgrid_amp_hash a k=;
sendgrid_amp_hash a keys=k;
--- emerg
"%" directive has a name with "=", and no "key" in lower case, without blanks, before it



=== TEST: a property twice
--- each
sendgrid_amp_property a b; sendgrid_amp_property a c;
sendgrid_amp_property b b; sendgrid_amp_property a b; sendgrid_amp_property a b;
--- emerg
duplicate property "a" in "%" directive



=== TEST: a property without a name twice
--- each
sendgrid_amp_property "" b; sendgrid_amp_property "" c;
--- emerg
duplicate property "" in "%" directive



=== TEST: property: a variable that is not known
--- each
sendgrid_amp_property a $nothing_of_the_kind;
--- emerg
unknown "nothing_of_the_kind" variable



=== TEST: property: more than 16
--- rules eval
main::properties(17)
--- emerg
"%" directive is there more than 16 times



=== TEST: more names than events have keys for
--- each eval
[ "sendgrid_amp_user_id @{[ 'a' .. 'p' ]}; @{[ main::properties(12) ]}",
"sendgrid_amp_user_id @{[ 'a' .. 'p' ]}; sendgrid_amp_client_ip on; @{[ main::properties(11) ]}" ]
--- emerg
too many names in "sendgrid_amp_user_id" and "sendgrid_amp_property" together



=== TEST: client_ip is on or off
--- each
sendgrid_amp_client_ip maybe;
--- emerg
invalid value "maybe" in "%" directive, it must be "on" or "off"



=== TEST: a comma between names
--- each
sendgrid_amp_drop email, ip;
sendgrid_amp_keep email, event;
sendgrid_amp_hash email, ip;
sendgrid_amp_property a, b;
--- emerg
"%" directive has a name that ends with ",": blanks separate names



=== TEST: names that are not UTF-8
--- each eval
[ "sendgrid_amp_drop 'a\xff';", "sendgrid_amp_keep '\xed\xbf\xbf';",
"sendgrid_amp_hash 'a\xf5\x80\x80\x80';", "sendgrid_amp_property '\x80' b;" ]
--- emerg
"%" directive has a name that is not UTF-8, as all keys are



=== TEST: an event that SendGrid does not have
--- each
sendgrid_amp_events opened;
sendgrid_amp_ignore Opened click;
sendgrid_amp_event_name OPENED x;
--- warn
SendGrid is not known to have the event "opened" of "%" directive



=== TEST: an event is ignored and not wanted either
--- each
sendgrid_amp_events open; sendgrid_amp_ignore click;
--- warn
event "click" of "sendgrid_amp_ignore" is not in "sendgrid_amp_events" either



=== TEST: a name for an event that is not forwarded
--- each
sendgrid_amp_events open; sendgrid_amp_event_name click x;
sendgrid_amp_ignore click; sendgrid_amp_event_name click x;
--- warn
event "click" of "sendgrid_amp_event_name" is not forwarded



=== TEST: an event is wanted and ignored
--- each
sendgrid_amp_events open Click; sendgrid_amp_ignore click;
--- warn
event "click" of "sendgrid_amp_events" is not forwarded, "sendgrid_amp_ignore" has it, too



=== TEST: the name of an event is no secret
--- each
sendgrid_amp_hash event;
sendgrid_amp_hash event; sendgrid_amp_drop event;
--- warn
"event" of "%" is no secret: "event_type" and "time" are sent as they are



=== TEST: the time of an event is no secret
--- each
sendgrid_amp_hash timestamp;
sendgrid_amp_hash timestamp; sendgrid_amp_drop timestamp;
--- warn
"timestamp" of "%" is no secret: "event_type" and "time" are sent as they are



=== TEST: hash: the first name is not sent
--- each
sendgrid_amp_hash reason; sendgrid_amp_drop reason;
sendgrid_amp_hash sg_event_ix; sendgrid_amp_drop sg_event_ix;
sendgrid_amp_hash sg_event_ids; sendgrid_amp_drop sg_event_ids;
sendgrid_amp_hash emai; sendgrid_amp_drop emai;
--- warn
name 1 of "%" is not sent at all



=== TEST: hash: the second name is not sent
--- each
sendgrid_amp_hash email reason; sendgrid_amp_keep email;
sendgrid_amp_hash a email; sendgrid_amp_user_id a; sendgrid_amp_drop a email;
--- warn
name 2 of "%" is not sent at all



=== TEST: the second name is a key of SendGrid in other letter case
--- each
sendgrid_amp_hash a Email;
sendgrid_amp_keep a emaiL;
sendgrid_amp_user_id a eMail;
--- warn
parameter 2 of "%" directive is not SendGrid's key "email", the letter case differs



=== TEST: property: a key of SendGrid in other letter case
--- each
sendgrid_amp_property Ip x;
--- warn
parameter 1 of "%" directive is not SendGrid's key "ip", the letter case differs



=== TEST: a blank around a name
--- each
sendgrid_amp_keep "email ";
sendgrid_amp_drop " email";
sendgrid_amp_drop " ";
--- warn
parameter 1 of "%" directive begins or ends with a blank, which is part of the name



=== TEST: an escape in a name
--- each
sendgrid_amp_drop '\\u0065mail';
sendgrid_amp_drop '\\u0a9f';
sendgrid_amp_drop '\\u09Af';
sendgrid_amp_drop 'x\\uFaAF';
sendgrid_amp_drop '\\u\\u000g\\u0000';
--- warn
parameter 1 of "%" directive has an escape of JSON, and is compared with decoded keys



=== TEST: what looks like a variable, first
--- each
sendgrid_amp_user_id $arg_user;
sendgrid_amp_property $name x;
sendgrid_amp_drop $name;
--- warn
parameter 1 of "%" directive looks as if it had a variable, and is taken as it is



=== TEST: what looks like a variable, second
--- each
sendgrid_amp_event_name open "${host} opened";
--- warn
parameter 2 of "%" directive looks as if it had a variable, and is taken as it is



=== TEST: an address that is hashed is not sent as ip
--- each
sendgrid_amp_client_ip on; sendgrid_amp_hash ip;
--- warn
"%" has no effect in location "$uri", where "sendgrid_amp_hash" has "ip"



=== TEST: what switches dry run on for good
--- each
sendgrid_amp_dry_run on;
sendgrid_amp_dry_run 1;
sendgrid_amp_dry_run 00;
sendgrid_amp_dry_run OFF;
sendgrid_amp_dry_run of;
sendgrid_amp_dry_run offf;
--- warn
"%" is always on in location "$uri": nothing of it is sent



=== TEST: good values
--- each
sendgrid_amp_events all;
sendgrid_amp_drop "";
sendgrid_amp_keep "";
sendgrid_amp_keep all;
sendgrid_amp_keep all; sendgrid_amp_drop a;
sendgrid_amp_drop a; sendgrid_amp_keep all;
sendgrid_amp_drop all;
sendgrid_amp_keep ALL;
sendgrid_amp_keep all a;
sendgrid_amp_hash key keys;
sendgrid_amp_hash key=k a;
sendgrid_amp_hash useragent email events timestamps;
sendgrid_amp_hash all;
sendgrid_amp_hash a key==;
sendgrid_amp_hash "" key=k;
sendgrid_amp_property "" "";
sendgrid_amp_property a 1; sendgrid_amp_property b 1; sendgrid_amp_property aa 1; sendgrid_amp_property A 1;
sendgrid_amp_event_name machine_open x;
sendgrid_amp_ignore machine_open;
sendgrid_amp_event_name open x; sendgrid_amp_event_name click x;
sendgrid_amp_events received;
sendgrid_amp_ignore Received;
sendgrid_amp_events open machine_open; sendgrid_amp_event_name open x;
sendgrid_amp_drop email; sendgrid_amp_hash email;
sendgrid_amp_drop sg_event_id; sendgrid_amp_hash sg_event_id;
sendgrid_amp_user_id u; sendgrid_amp_drop u; sendgrid_amp_hash u;
sendgrid_amp_drop '\\u006g';
sendgrid_amp_drop '\\u00/0';
sendgrid_amp_drop '\\u00:0';
sendgrid_amp_drop '\\u00`0';
sendgrid_amp_drop '\\U0065';
sendgrid_amp_drop 'u0065';
sendgrid_amp_drop '\\v0065';
sendgrid_amp_drop '\\u006';
sendgrid_amp_drop '\\u006,0';
sendgrid_amp_drop "a b" ",a";
sendgrid_amp_drop emails mail;
sendgrid_amp_dry_run $arg_dry;
sendgrid_amp_dry_run off;
sendgrid_amp_dry_run "";
sendgrid_amp_dry_run 0;
sendgrid_amp_client_ip on; sendgrid_amp_drop ip;



=== TEST: a key of SendGrid in other letter case
--- each
sendgrid_amp_drop AMP_USER_ID;
sendgrid_amp_drop CATEGORY;
sendgrid_amp_drop EMAIL;
sendgrid_amp_drop EVENT;
sendgrid_amp_drop IP;
sendgrid_amp_drop REASON;
sendgrid_amp_drop RESPONSE;
sendgrid_amp_drop SG_EVENT_ID;
sendgrid_amp_drop SG_MESSAGE_ID;
sendgrid_amp_drop SMTP-ID;
sendgrid_amp_drop TIMESTAMP;
sendgrid_amp_drop URL;
sendgrid_amp_drop USERAGENT;
--- warn
parameter 1 of "%" directive is not SendGrid's key "amp_user_id", the letter case differs
parameter 1 of "%" directive is not SendGrid's key "category", the letter case differs
parameter 1 of "%" directive is not SendGrid's key "email", the letter case differs
parameter 1 of "%" directive is not SendGrid's key "event", the letter case differs
parameter 1 of "%" directive is not SendGrid's key "ip", the letter case differs
parameter 1 of "%" directive is not SendGrid's key "reason", the letter case differs
parameter 1 of "%" directive is not SendGrid's key "response", the letter case differs
parameter 1 of "%" directive is not SendGrid's key "sg_event_id", the letter case differs
parameter 1 of "%" directive is not SendGrid's key "sg_message_id", the letter case differs
parameter 1 of "%" directive is not SendGrid's key "smtp-id", the letter case differs
parameter 1 of "%" directive is not SendGrid's key "timestamp", the letter case differs
parameter 1 of "%" directive is not SendGrid's key "url", the letter case differs
parameter 1 of "%" directive is not SendGrid's key "useragent", the letter case differs



=== TEST: good values: as many names as there may be
--- each eval
[ "sendgrid_amp_keep @{[ 1 .. 300 ]};", main::properties(16),
"sendgrid_amp_user_id @{[ 'a' .. 'p' ]}; @{[ main::properties(11) ]}",
"sendgrid_amp_user_id @{[ 'a' .. 'p' ]}; sendgrid_amp_client_ip on; @{[ main::properties(10) ]}" ]



=== TEST: a name may be a key that lacks "key=", and is in no message
--- rules
sendgrid_amp_hash a s3cret; sendgrid_amp_drop s3cret;
--- warn
name 2 of "sendgrid_amp_hash" is not sent at all



=== TEST: keep from above, drop of its own
--- http_config
sendgrid_amp_keep a;
--- rules
sendgrid_amp_drop b;
--- emerg
"sendgrid_amp_drop" and "sendgrid_amp_keep" exclude each other, also if one of them is inherited



=== TEST: drop from above, keep of its own
--- http_config
sendgrid_amp_drop a;
--- rules
sendgrid_amp_keep b;
--- emerg
"sendgrid_amp_drop" and "sendgrid_amp_keep" exclude each other, also if one of them is inherited



=== TEST: keep from above is taken back, drop of its own
--- http_config
sendgrid_amp_keep a;
--- rules
sendgrid_amp_keep all; sendgrid_amp_drop b;
--- warn



=== TEST: keep from above, drop where no webhook comes
--- http_config
sendgrid_amp_keep a;
server { listen 127.0.0.1:$TEST_NGINX_DOWN; location / { sendgrid_amp_drop b; } }
--- warn
