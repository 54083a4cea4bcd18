#!/usr/bin/perl

# What nginx says to a configuration: good values, bad ones, duplicates.  What the
# values do, and their inheritance: t/012-levels.t.

use warnings;
use strict;

use Blocks;
use Gateway;

# what answers the requests of a location, in its place

sub handlers {
	return 'proxy_pass http://127.0.0.1:9;', 'proxy_pass http://$host;',
		'fastcgi_pass 127.0.0.1:9;', 'uwsgi_pass 127.0.0.1:9;',
		'scgi_pass 127.0.0.1:9;', 'memcached_pass 127.0.0.1:9;', 'empty_gif;',
		map({ Gateway::has("http_${_}_module") ? "$_;" : () }
			qw(stub_status flv mp4)),
		Gateway::has('http_v2_module') ? 'grpc_pass 127.0.0.1:9;' : ();
}

sub user_id {
	return 'sendgrid_amp_user_id ' . join(' ', map { "key$_" } 1 .. $_[0])
		. ';';
}

run_blocks();

__DATA__

=== TEST: number of arguments
--- each
sendgrid_amp_auth;
sendgrid_amp_secret;
sendgrid_amp_api_key;
sendgrid_amp_user_id;
sendgrid_amp_lowercase;
sendgrid_amp_event_prefix;
sendgrid_amp_batch_events;
sendgrid_amp_batch_size;
sendgrid_amp_concurrency;
sendgrid_amp_max_event_size;
sendgrid_amp_timeout;
sendgrid_amp_retries;
sendgrid_amp_retry_delay;
sendgrid_amp_dead_letter;
sendgrid_amp_public_key;
sendgrid_amp_signature;
sendgrid_amp_signature_window;
sendgrid_amp_auth 1 2;
sendgrid_amp_api_key 1 2;
sendgrid_amp_lowercase 1 2;
sendgrid_amp_event_prefix 1 2;
sendgrid_amp_batch_events 1 2;
sendgrid_amp_batch_size 1 2;
sendgrid_amp_concurrency 1 2;
sendgrid_amp_max_event_size 1 2;
sendgrid_amp_timeout 1 2;
sendgrid_amp_retries 1 2;
sendgrid_amp_retry_delay 1 2;
sendgrid_amp_dead_letter 1 2;
sendgrid_amp_signature 1 2;
sendgrid_amp_signature_window 1 2;
--- emerg
invalid number of arguments in "%" directive



=== TEST: sendgrid_amp_auth is basic or off
--- each
sendgrid_amp_auth digest;
sendgrid_amp_auth on;
sendgrid_amp_auth Off;
--- emerg
invalid value in "%" directive, it must be "basic" or "off"



=== TEST: off needs a key of its own
--- each
sendgrid_amp_auth off;
--- emerg
"sendgrid_amp_auth off" requires "sendgrid_amp_api_key" in location "/sendgrid"



=== TEST: an empty secret or key
--- each
sendgrid_amp_secret "";
sendgrid_amp_secret good "";
sendgrid_amp_secret "" good;
sendgrid_amp_api_key "";
--- emerg
"%" directive must not be empty



=== TEST: a key of SendGrid in place of one of Amplitude
--- each
sendgrid_amp_api_key SG.;
sendgrid_amp_api_key SG.abc.def;
--- emerg
"%" directive must be an API key of Amplitude, not of SendGrid



=== TEST: user_id: an empty name
--- each
sendgrid_amp_user_id "";
sendgrid_amp_user_id email "";
sendgrid_amp_user_id "" email;
--- emerg
"%" directive has an empty name



=== TEST: user_id: more than 16 names
--- each eval
[ main::user_id(17), main::user_id(100) ]
--- emerg
"%" directive has more than 16 names



=== TEST: user_id: the second name again
--- each
sendgrid_amp_user_id email email;
--- emerg
duplicate name in parameter 2 of "%" directive



=== TEST: user_id: the fourth name again
--- each
sendgrid_amp_user_id a b email b;
--- emerg
duplicate name in parameter 4 of "%" directive



=== TEST: user_id: a comma between names
--- each
sendgrid_amp_user_id "amp_user_id," email;
sendgrid_amp_user_id email ",";
--- emerg
"%" directive has a name that ends with ",": blanks separate names



=== TEST: user_id: names that are not UTF-8
--- each eval
[ map { "sendgrid_amp_user_id '$_';" } "caf\xe9", "caf\xed\xa0\x80",
	"caf\xed\xbf\xbf", "caf\xc0\x80", "\x80", "\xff,", "a\xf4\x90\x80\x80", "a\xe2\x82" ]
--- emerg
"%" directive has a name that is not UTF-8, as all keys are



=== TEST: on or off
--- each
sendgrid_amp_lowercase yes;
--- emerg
invalid value "yes" in "%" directive, it must be "on" or "off"



=== TEST: batch_events: beside the least and the greatest
--- each
sendgrid_amp_batch_events 0;
sendgrid_amp_batch_events 2001;
--- emerg
"%" directive must be between 1 and 2000



=== TEST: batch_size: beside the least and the greatest
--- each
sendgrid_amp_batch_size 0;
sendgrid_amp_batch_size 65535;
sendgrid_amp_batch_size 20971521;
--- emerg
"%" directive must be between 64k and 20m



=== TEST: concurrency: beside the least and the greatest
--- each
sendgrid_amp_concurrency 0;
sendgrid_amp_concurrency 17;
--- emerg
"%" directive must be between 1 and 16



=== TEST: max_event_size: beside the least and the greatest
--- each
sendgrid_amp_max_event_size 0;
sendgrid_amp_max_event_size 20971521;
--- emerg
"%" directive must be between 1 and 20m



=== TEST: retries: beside the greatest
--- each
sendgrid_amp_retries 101;
--- emerg
"%" directive must be between 0 and 100



=== TEST: times of nothing
--- each
sendgrid_amp_timeout 0;
sendgrid_amp_retry_delay 0;
--- emerg
"%" directive must be greater than 0



=== TEST: not a number
--- each
sendgrid_amp_batch_events -1;
sendgrid_amp_batch_events many;
sendgrid_amp_batch_events 1k;
sendgrid_amp_concurrency -1;
sendgrid_amp_concurrency many;
sendgrid_amp_concurrency 1k;
sendgrid_amp_retries -1;
sendgrid_amp_retries many;
sendgrid_amp_retries 1k;
--- emerg
"%" directive invalid number



=== TEST: not a size, not a time
--- each
sendgrid_amp_batch_size -1;
sendgrid_amp_batch_size big;
sendgrid_amp_max_event_size -1;
sendgrid_amp_max_event_size big;
sendgrid_amp_timeout -1;
sendgrid_amp_timeout big;
sendgrid_amp_retry_delay -1;
sendgrid_amp_retry_delay big;
sendgrid_amp_signature_window -1;
sendgrid_amp_signature_window big;
--- emerg
"%" directive invalid value



=== TEST: dead_letter: no name
--- each
sendgrid_amp_dead_letter "";
--- emerg
"%" directive must name a file, or be "off"



=== TEST: dead_letter: a word in place of a file
--- each
sendgrid_amp_dead_letter OFF;
sendgrid_amp_dead_letter on;
sendgrid_amp_dead_letter no;
sendgrid_amp_dead_letter yes;
sendgrid_amp_dead_letter none;
sendgrid_amp_dead_letter null;
sendgrid_amp_dead_letter all;
sendgrid_amp_dead_letter stdout;
sendgrid_amp_dead_letter stderr;
sendgrid_amp_dead_letter syslog;
sendgrid_amp_dead_letter memory;
sendgrid_amp_dead_letter Off;
sendgrid_amp_dead_letter ON;
sendgrid_amp_dead_letter NO;
sendgrid_amp_dead_letter YES;
sendgrid_amp_dead_letter NONE;
sendgrid_amp_dead_letter NULL;
sendgrid_amp_dead_letter ALL;
sendgrid_amp_dead_letter STDOUT;
sendgrid_amp_dead_letter STDERR;
sendgrid_amp_dead_letter SysLog;
sendgrid_amp_dead_letter MEMORY;
--- emerg
"%" directive must name a file, such as "/dev/stderr", or be "off"



=== TEST: dead_letter: a command
--- each
sendgrid_amp_dead_letter "|cat";
sendgrid_amp_dead_letter "|";
--- emerg
"%" directive must name a file, not a command



=== TEST: dead_letter: a prefix
--- each
sendgrid_amp_dead_letter syslog:server=127.0.0.1;
sendgrid_amp_dead_letter syslog:server=unix:/dev/log,tag=dead;
sendgrid_amp_dead_letter memory:32m;
sendgrid_amp_dead_letter file:/tmp/dead;
sendgrid_amp_dead_letter http://127.0.0.1/;
sendgrid_amp_dead_letter dead:;
sendgrid_amp_dead_letter :dead;
--- emerg
"%" directive must name a file, and takes no prefix such as "syslog:" or "memory:"



=== TEST: dead_letter: a variable
--- each
sendgrid_amp_dead_letter /tmp/$host;
sendgrid_amp_dead_letter $file;
sendgrid_amp_dead_letter dead$;
sendgrid_amp_dead_letter /tmp/${host}.json;
--- emerg
"%" directive must name a file, and takes no variables



=== TEST: dead_letter: a directory
--- each
sendgrid_amp_dead_letter /tmp;
sendgrid_amp_dead_letter /tmp/;
sendgrid_amp_dead_letter /tmp/none/;
sendgrid_amp_dead_letter .;
sendgrid_amp_dead_letter conf;
sendgrid_amp_dead_letter /;
--- emerg
"%" directive must name a file, not a directory



=== TEST: sendgrid_amp_signature is on or report
--- each
sendgrid_amp_signature off;
sendgrid_amp_signature Report;
--- emerg
invalid value in "%" directive, it must be "on" or "report"



=== TEST: a signature needs a public key
--- each
sendgrid_amp_signature on;
sendgrid_amp_signature report;
--- emerg
"sendgrid_amp_signature" requires "sendgrid_amp_public_key"



=== TEST: off is not a key among others
--- each
sendgrid_amp_public_key off off;
--- emerg
"%" directive has "off" among its keys



=== TEST: directives twice
--- each
sendgrid_amp_secret a; sendgrid_amp_secret a;
sendgrid_amp_auth basic; sendgrid_amp_auth basic;
sendgrid_amp_api_key a; sendgrid_amp_api_key a;
sendgrid_amp_user_id a; sendgrid_amp_user_id a;
sendgrid_amp_lowercase on; sendgrid_amp_lowercase on;
sendgrid_amp_event_prefix a; sendgrid_amp_event_prefix a;
sendgrid_amp_batch_events 5; sendgrid_amp_batch_events 5;
sendgrid_amp_batch_size 1m; sendgrid_amp_batch_size 1m;
sendgrid_amp_concurrency 3; sendgrid_amp_concurrency 3;
sendgrid_amp_max_event_size 1m; sendgrid_amp_max_event_size 1m;
sendgrid_amp_timeout 1s; sendgrid_amp_timeout 1s;
sendgrid_amp_retries 1; sendgrid_amp_retries 1;
sendgrid_amp_retry_delay 1s; sendgrid_amp_retry_delay 1s;
sendgrid_amp_dead_letter off; sendgrid_amp_dead_letter off;
sendgrid_amp_public_key off; sendgrid_amp_public_key off;
sendgrid_amp_signature on; sendgrid_amp_signature on;
sendgrid_amp_signature_window 1s; sendgrid_amp_signature_window 1s;
--- emerg
"%" directive is duplicate



=== TEST: sendgrid_amp: number of arguments
--- each_server
location /x { sendgrid_amp; }
location /x { sendgrid_amp us eu; }
--- emerg
invalid number of arguments in "%" directive



=== TEST: sendgrid_amp: no region
--- each_server
location /x { sendgrid_amp asia; }
location /x { sendgrid_amp US; }
location /x { sendgrid_amp usa; }
location /x { sendgrid_amp euro; }
location /x { sendgrid_amp u; }
location /x { sendgrid_amp e; }
location /x { sendgrid_amp us/; }
location /x { sendgrid_amp ""; }
location /x { sendgrid_amp http://api2.amplitude.com/; }
--- emerg
invalid region in "%" directive, it must be "us", "eu" or an internal location



=== TEST: sendgrid_amp twice
--- each_server
location /x { sendgrid_amp us; sendgrid_amp us; }
--- emerg
"%" directive is duplicate



=== TEST: sendgrid_amp in a server
--- each_server
sendgrid_amp us;
--- emerg
"%" directive is not allowed here



=== TEST: what looks like a variable, first
--- each
sendgrid_amp_event_prefix '$host ';
sendgrid_amp_event_prefix '$a';
sendgrid_amp_event_prefix '$z';
sendgrid_amp_event_prefix '$A';
sendgrid_amp_event_prefix '$Z';
sendgrid_amp_event_prefix '$_x';
sendgrid_amp_event_prefix '${x}';
sendgrid_amp_event_prefix '$$h';
sendgrid_amp_event_prefix 'a$1$h';
sendgrid_amp_event_prefix 'x $y';
sendgrid_amp_secret $a;
sendgrid_amp_secret $a b;
--- warn
parameter 1 of "%" directive looks as if it had a variable, and is taken as it is



=== TEST: what looks like a variable, second
--- each
sendgrid_amp_secret a $b;
sendgrid_amp_user_id email $host;
--- warn
parameter 2 of "%" directive looks as if it had a variable, and is taken as it is



=== TEST: good values
--- each
sendgrid_amp_auth basic;
sendgrid_amp_secret one;
sendgrid_amp_secret one two three;
sendgrid_amp_api_key k;
sendgrid_amp_api_key $arg_key;
sendgrid_amp_api_key SG;
sendgrid_amp_api_key SGx;
sendgrid_amp_api_key sg.x;
sendgrid_amp_api_key xSG.;
sendgrid_amp_user_id email;
sendgrid_amp_user_id amp_user_id customer "a key" email;
sendgrid_amp_user_id ',a' ;
sendgrid_amp_lowercase on;
sendgrid_amp_lowercase off;
sendgrid_amp_event_prefix "";
sendgrid_amp_event_prefix "Mail \"quoted\" ";
sendgrid_amp_event_prefix '$';
sendgrid_amp_event_prefix 'a $';
sendgrid_amp_event_prefix '$1';
sendgrid_amp_event_prefix '$@a';
sendgrid_amp_event_prefix '$`a';
sendgrid_amp_event_prefix '$[a';
sendgrid_amp_event_prefix '$}';
sendgrid_amp_event_prefix '$ a';
sendgrid_amp_batch_events 1;
sendgrid_amp_batch_events 2000;
sendgrid_amp_batch_size 64k;
sendgrid_amp_batch_size 20m;
sendgrid_amp_concurrency 1;
sendgrid_amp_concurrency 16;
sendgrid_amp_max_event_size 1;
sendgrid_amp_max_event_size 20m;
sendgrid_amp_timeout 1ms;
sendgrid_amp_timeout 1m;
sendgrid_amp_retries 0;
sendgrid_amp_retries 100;
sendgrid_amp_retry_delay 1ms;
sendgrid_amp_retry_delay 5s;
sendgrid_amp_signature_window 0;
sendgrid_amp_signature_window 1d;
sendgrid_amp_public_key off;
sendgrid_amp_public_key off; sendgrid_amp_signature_window 1s;



=== TEST: good locations
--- each_server
location /x { sendgrid_amp eu; }
location /x { sendgrid_amp /amplitude/us; }
location /x { sendgrid_amp $host; }
location /x { sendgrid_amp "${host}"; }
location /x { sendgrid_amp us; location /x/y { sendgrid_amp eu; } }
location /x { sendgrid_amp us; location /x/y { empty_gif; } }
location /x { empty_gif; location /x/y { sendgrid_amp us; } }
location /x { location /x/y { empty_gif; } sendgrid_amp us; }
location /x { sendgrid_amp us; } location /y { empty_gif; }
location /x { sendgrid_amp us; if ($arg_x) { set $x 1; } }
location /x { sendgrid_amp us; if ($arg_x) { return 404; } }
location /x { sendgrid_amp us; limit_except POST { deny all; } }
location /x { sendgrid_amp us; location ~ y { empty_gif; limit_except GET { deny all; } } }
location /x { sendgrid_amp us; return 404; }
if ($arg_x) { return 404; } location /x { sendgrid_amp us; }
location @x { sendgrid_amp us; }



=== TEST: no directive but sendgrid_amp
--- warn



=== TEST: user_id: 16 names, and the last characters before and after surrogates
--- each eval
[ main::user_id(16),
"sendgrid_amp_user_id '\xed\x9f\xbf' '\xee\x80\x80' '\xf4\x8f\xbf\xbf' '\x7f';" ]



=== TEST: dead_letter: files
--- each
sendgrid_amp_dead_letter off;
sendgrid_amp_dead_letter $TEST_NGINX_SERVER_ROOT/dead;
sendgrid_amp_dead_letter $TEST_NGINX_SERVER_ROOT/de:ad;
sendgrid_amp_dead_letter dead;
sendgrid_amp_dead_letter ./syslog;
sendgrid_amp_dead_letter offline;
sendgrid_amp_dead_letter "a|cat";
sendgrid_amp_dead_letter /dev/stdout;
sendgrid_amp_dead_letter /dev/stderr;
sendgrid_amp_dead_letter /dev/null;



=== TEST: dead_letter: a folder that is missing
--- rules
sendgrid_amp_dead_letter $TEST_NGINX_SERVER_ROOT/none/dead;
--- emerg
open() "$TEST_NGINX_SERVER_ROOT/none/dead" failed (2: No such file or directory)



=== TEST: no credentials, no signature
--- each
sendgrid_amp_auth off; sendgrid_amp_api_key k;
sendgrid_amp_auth off; sendgrid_amp_api_key $host;
--- warn
with "sendgrid_amp_auth off" and no public key anybody can post to location "$uri"



=== TEST: no credentials, no signature, a key in the path
--- server
location ~ "^/sendgrid/(?<amp_key>[0-9a-f]{32})$" { sendgrid_amp us; sendgrid_amp_auth off; sendgrid_amp_api_key $amp_key; }
--- warn
with "sendgrid_amp_auth off" and no public key anybody can post to location "^/sendgrid/(?<amp_key>[0-9a-f]{32})$"



=== TEST: off from above, a key of its own
--- http_config
sendgrid_amp_auth off;
--- rules
sendgrid_amp_api_key k;
--- warn
with "sendgrid_amp_auth off" and no public key anybody can post to location "/sendgrid"



=== TEST: off from above is not used
--- http_config
sendgrid_amp_auth off;
--- rules
sendgrid_amp_auth basic;
--- warn



=== TEST: sendgrid_amp outside of a server
--- http_config
sendgrid_amp us;
--- emerg
"sendgrid_amp" directive is not allowed here



=== TEST: another handler in a location
--- http_config
sendgrid_amp_zone z:64k;
--- each_server eval
[ map { "location /x { $_ }" } 'sendgrid_amp us; location /x/y { empty_gif; } empty_gif;',
	map { ("sendgrid_amp us; $_", "$_ sendgrid_amp us;",
		"sendgrid_amp_status; $_", "$_ sendgrid_amp_status;") } main::handlers() ]
--- emerg
"%" cannot share location "/x" with another directive that answers requests, such as "proxy_pass": give each a location of its own



=== TEST: another handler in a block of a location
--- http_config
sendgrid_amp_zone z:64k;
--- each_server eval
[ map { "location /x { $_ }" } map { ("sendgrid_amp us; $_ }", "$_ } sendgrid_amp us;",
		"sendgrid_amp_status; $_ }") }
	'if ($arg_x) { proxy_pass http://127.0.0.1:9;', 'limit_except POST { proxy_pass http://127.0.0.1:9;',
	'if ($arg_x) { proxy_pass http://$host;', 'limit_except POST { proxy_pass http://$host;',
	'if ($arg_x) { fastcgi_pass 127.0.0.1:9;', 'limit_except GET { proxy_pass http://127.0.0.1:9;' ]
--- emerg
"%" cannot share a block of location "/x" with another directive that answers requests, such as "proxy_pass": give each a location of its own



=== TEST: the webhook and the status in a location
--- http_config
sendgrid_amp_zone z:64k;
--- server
location /x { sendgrid_amp us; sendgrid_amp_status; }
--- emerg
"sendgrid_amp_status" cannot share location "/x" with another directive that answers requests, such as "proxy_pass": give each a location of its own



=== TEST: the status and the webhook in a location
--- http_config
sendgrid_amp_zone z:64k;
--- server
location /x { sendgrid_amp_status; sendgrid_amp us; }
--- emerg
"sendgrid_amp" cannot share location "/x" with another directive that answers requests, such as "proxy_pass": give each a location of its own
