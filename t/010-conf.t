#!/usr/bin/perl

# Directives: good values, bad ones, duplicates, inheritance.

use warnings;
use strict;

use Test::More;

use Amplitude;
use Directives;
use Gateway;
use Webhook;

# what goes into location = /sendgrid, after "sendgrid_amp us;"

my @good = (
	'',
	'sendgrid_amp_auth basic;',
	'sendgrid_amp_auth off; sendgrid_amp_api_key k;',
	'sendgrid_amp_auth off; sendgrid_amp_api_key $host;',
	'sendgrid_amp_secret one;',
	'sendgrid_amp_secret one two three;',
	'sendgrid_amp_api_key k;',
	'sendgrid_amp_api_key $arg_key;',
	'sendgrid_amp_api_key SG;',
	'sendgrid_amp_api_key SGx;',
	'sendgrid_amp_api_key sg.x;',
	'sendgrid_amp_api_key xSG.;',
	'sendgrid_amp_user_id email;',
	'sendgrid_amp_user_id amp_user_id customer "a key" email;',
	'sendgrid_amp_user_id ' . join(' ', map { "key$_" } 1 .. 16) . ';',
	"sendgrid_amp_user_id '\xed\x9f\xbf' '\xee\x80\x80' '\xf4\x8f\xbf\xbf' '\x7f';",
	"sendgrid_amp_user_id ',a' ;",
	'sendgrid_amp_lowercase on;',
	'sendgrid_amp_lowercase off;',
	'sendgrid_amp_event_prefix "";',
	'sendgrid_amp_event_prefix "Mail \"quoted\" ";',
	(map { "sendgrid_amp_event_prefix '$_';" } '$', 'a $', '$1', '$@a', '$`a',
		'$[a', '$}', '$ a'),
	'sendgrid_amp_batch_events 1;',
	'sendgrid_amp_batch_events 2000;',
	'sendgrid_amp_batch_size 64k;',
	'sendgrid_amp_batch_size 20m;',
	'sendgrid_amp_concurrency 1;',
	'sendgrid_amp_concurrency 16;',
	'sendgrid_amp_max_event_size 1;',
	'sendgrid_amp_max_event_size 20m;',
	'sendgrid_amp_timeout 1ms;',
	'sendgrid_amp_timeout 1m;',
	'sendgrid_amp_retries 0;',
	'sendgrid_amp_retries 100;',
	'sendgrid_amp_retry_delay 1ms;',
	'sendgrid_amp_retry_delay 5s;',
	'sendgrid_amp_signature_window 0;',
	'sendgrid_amp_signature_window 1d;',
	'sendgrid_amp_public_key off;',
	'sendgrid_amp_public_key off; sendgrid_amp_signature_window 1s;',
	'sendgrid_amp_dead_letter off;',
	"sendgrid_amp_dead_letter @{[ Gateway::root() ]}/dead;",
	"sendgrid_amp_dead_letter @{[ Gateway::root() ]}/de:ad;",
	'sendgrid_amp_dead_letter dead;',
	'sendgrid_amp_dead_letter ./syslog;',
	'sendgrid_amp_dead_letter offline;',
	'sendgrid_amp_dead_letter "a|cat";',
	'sendgrid_amp_dead_letter /dev/stdout;',
	'sendgrid_amp_dead_letter /dev/stderr;',
	'sendgrid_amp_dead_letter /dev/null;',
);

# these fail; "%" of the message is the first directive

my @bad = (
	[ 'invalid number of arguments in "%" directive', (map { "$_;" }
		qw(sendgrid_amp_auth sendgrid_amp_secret sendgrid_amp_api_key
		sendgrid_amp_user_id sendgrid_amp_lowercase sendgrid_amp_event_prefix
		sendgrid_amp_batch_events sendgrid_amp_batch_size
		sendgrid_amp_concurrency sendgrid_amp_max_event_size
		sendgrid_amp_timeout sendgrid_amp_retries sendgrid_amp_retry_delay
		sendgrid_amp_dead_letter sendgrid_amp_public_key sendgrid_amp_signature
		sendgrid_amp_signature_window)), (map { "$_ 1 2;" }
		qw(sendgrid_amp_auth sendgrid_amp_api_key sendgrid_amp_lowercase
		sendgrid_amp_event_prefix sendgrid_amp_batch_events
		sendgrid_amp_batch_size sendgrid_amp_concurrency
		sendgrid_amp_max_event_size sendgrid_amp_timeout sendgrid_amp_retries
		sendgrid_amp_retry_delay sendgrid_amp_dead_letter
		sendgrid_amp_signature sendgrid_amp_signature_window)) ],

	[ 'invalid value in "%" directive, it must be "basic" or "off"',
		'sendgrid_amp_auth digest;', 'sendgrid_amp_auth on;',
		'sendgrid_amp_auth Off;' ],
	[ '"sendgrid_amp_auth off" requires "sendgrid_amp_api_key" in location '
		. '"/sendgrid"', 'sendgrid_amp_auth off;' ],

	[ '"%" directive must not be empty', 'sendgrid_amp_secret "";',
		'sendgrid_amp_secret good "";', 'sendgrid_amp_secret "" good;',
		'sendgrid_amp_api_key "";' ],
	[ '"%" directive must be an API key of Amplitude, not of SendGrid',
		'sendgrid_amp_api_key SG.;', 'sendgrid_amp_api_key SG.abc.def;' ],

	[ '"%" directive has an empty name', 'sendgrid_amp_user_id "";',
		'sendgrid_amp_user_id email "";', 'sendgrid_amp_user_id "" email;' ],
	[ '"%" directive has more than 16 names',
		'sendgrid_amp_user_id ' . join(' ', map { "key$_" } 1 .. 17) . ';',
		'sendgrid_amp_user_id ' . join(' ', map { "key$_" } 1 .. 100) . ';' ],
	[ 'duplicate name in parameter 2 of "%" directive',
		'sendgrid_amp_user_id email email;' ],
	[ 'duplicate name in parameter 4 of "%" directive',
		'sendgrid_amp_user_id a b email b;' ],
	[ '"%" directive has a name that ends with ",": blanks separate names',
		'sendgrid_amp_user_id "amp_user_id," email;',
		'sendgrid_amp_user_id email ",";' ],
	[ '"%" directive has a name that is not UTF-8, as all keys are',
		map { "sendgrid_amp_user_id '$_';" } "caf\xe9", "caf\xed\xa0\x80",
		"caf\xed\xbf\xbf", "caf\xc0\x80", "\x80", "\xff,", "a\xf4\x90\x80\x80",
		"a\xe2\x82" ],

	[ 'invalid value "yes" in "%" directive, it must be "on" or "off"',
		'sendgrid_amp_lowercase yes;' ],

	# numbers, sizes and times: one beside the least and the greatest

	[ '"%" directive must be between 1 and 2000',
		'sendgrid_amp_batch_events 0;', 'sendgrid_amp_batch_events 2001;' ],
	[ '"%" directive must be between 64k and 20m',
		'sendgrid_amp_batch_size 0;', 'sendgrid_amp_batch_size 65535;',
		'sendgrid_amp_batch_size 20971521;' ],
	[ '"%" directive must be between 1 and 16',
		'sendgrid_amp_concurrency 0;', 'sendgrid_amp_concurrency 17;' ],
	[ '"%" directive must be between 1 and 20m',
		'sendgrid_amp_max_event_size 0;',
		'sendgrid_amp_max_event_size 20971521;' ],
	[ '"%" directive must be between 0 and 100', 'sendgrid_amp_retries 101;' ],
	[ '"%" directive must be greater than 0', 'sendgrid_amp_timeout 0;',
		'sendgrid_amp_retry_delay 0;' ],

	[ '"%" directive invalid number', map { ("$_ -1;", "$_ many;", "$_ 1k;") }
		qw(sendgrid_amp_batch_events sendgrid_amp_concurrency
		sendgrid_amp_retries) ],
	[ '"%" directive invalid value', map { ("$_ -1;", "$_ big;") }
		qw(sendgrid_amp_batch_size sendgrid_amp_max_event_size
		sendgrid_amp_timeout sendgrid_amp_retry_delay
		sendgrid_amp_signature_window) ],

	[ '"%" directive must name a file, or be "off"',
		'sendgrid_amp_dead_letter "";' ],
	[ '"%" directive must name a file, such as "/dev/stderr", or be "off"',
		map { "sendgrid_amp_dead_letter $_;" } qw(OFF on no yes none null all
		stdout stderr syslog memory), qw(Off ON NO YES NONE NULL ALL STDOUT
		STDERR SysLog MEMORY) ],
	[ '"%" directive must name a file, not a command',
		'sendgrid_amp_dead_letter "|cat";', 'sendgrid_amp_dead_letter "|";' ],
	[ '"%" directive must name a file, and takes no prefix such as "syslog:" '
		. 'or "memory:"',
		'sendgrid_amp_dead_letter syslog:server=127.0.0.1;',
		'sendgrid_amp_dead_letter syslog:server=unix:/dev/log,tag=dead;',
		'sendgrid_amp_dead_letter memory:32m;',
		'sendgrid_amp_dead_letter file:/tmp/dead;',
		'sendgrid_amp_dead_letter http://127.0.0.1/;',
		'sendgrid_amp_dead_letter dead:;', 'sendgrid_amp_dead_letter :dead;' ],
	[ '"%" directive must name a file, and takes no variables',
		'sendgrid_amp_dead_letter /tmp/$host;',
		'sendgrid_amp_dead_letter $file;', 'sendgrid_amp_dead_letter dead$;',
		'sendgrid_amp_dead_letter /tmp/${host}.json;' ],
	[ '"%" directive must name a file, not a directory',
		'sendgrid_amp_dead_letter /tmp;', 'sendgrid_amp_dead_letter /tmp/;',
		'sendgrid_amp_dead_letter /tmp/none/;', 'sendgrid_amp_dead_letter .;',
		'sendgrid_amp_dead_letter conf;', 'sendgrid_amp_dead_letter /;' ],

	[ 'invalid value in "%" directive, it must be "on" or "report"',
		'sendgrid_amp_signature off;', 'sendgrid_amp_signature Report;' ],
	[ '"sendgrid_amp_signature" requires "sendgrid_amp_public_key"',
		'sendgrid_amp_signature on;', 'sendgrid_amp_signature report;' ],
	[ '"%" directive has "off" among its keys',
		'sendgrid_amp_public_key off off;' ],

	[ '"%" directive is duplicate', map { "$_ $_" }
		'sendgrid_amp_secret a;', 'sendgrid_amp_auth basic;',
		'sendgrid_amp_api_key a;', 'sendgrid_amp_user_id a;',
		'sendgrid_amp_lowercase on;', 'sendgrid_amp_event_prefix a;',
		'sendgrid_amp_batch_events 5;', 'sendgrid_amp_batch_size 1m;',
		'sendgrid_amp_concurrency 3;', 'sendgrid_amp_max_event_size 1m;',
		'sendgrid_amp_timeout 1s;', 'sendgrid_amp_retries 1;',
		'sendgrid_amp_retry_delay 1s;', 'sendgrid_amp_dead_letter off;',
		'sendgrid_amp_public_key off;', 'sendgrid_amp_signature on;',
		'sendgrid_amp_signature_window 1s;' ],
);

# these are warned of

my @odd = (
	[ 'parameter 1 of "%" directive looks as if it had a variable, and is taken '
		. 'as it is', (map { "sendgrid_amp_event_prefix '$_';" } '$host ', '$a',
		'$z', '$A', '$Z', '$_x', '${x}', '$$h', 'a$1$h', 'x $' . 'y'),
		'sendgrid_amp_secret $a;', 'sendgrid_amp_secret $a b;' ],
	[ 'parameter 2 of "%" directive looks as if it had a variable, and is taken '
		. 'as it is', 'sendgrid_amp_secret a $b;',
		'sendgrid_amp_user_id email $host;' ],
);

# sendgrid_amp itself, in the server block

my @good_endpoints = (
	'location /x { sendgrid_amp eu; }',
	'location /x { sendgrid_amp /amplitude/us; }',
	'location /x { sendgrid_amp $host; }',
	'location /x { sendgrid_amp "${host}"; }',
	'location ~ "^/sendgrid/(?<amp_key>[0-9a-f]{32})$" { sendgrid_amp us;
		sendgrid_amp_auth off; sendgrid_amp_api_key $amp_key; }',
	'location /x { sendgrid_amp us; location /x/y { sendgrid_amp eu; } }',
	'location /x { sendgrid_amp us; location /x/y { empty_gif; } }',
	'location /x { empty_gif; location /x/y { sendgrid_amp us; } }',
	'location /x { location /x/y { empty_gif; } sendgrid_amp us; }',
	'location /x { sendgrid_amp us; } location /y { empty_gif; }',
	'location /x { sendgrid_amp us; if ($arg_x) { set $x 1; } }',
	'location /x { sendgrid_amp us; if ($arg_x) { return 404; } }',
	'location /x { sendgrid_amp us; limit_except POST { deny all; } }',
	'location /x { sendgrid_amp us; location ~ y { empty_gif;
		limit_except GET { deny all; } } }',
	'location /x { sendgrid_amp us; return 404; }',
	'if ($arg_x) { return 404; } location /x { sendgrid_amp us; }',
	'location @x { sendgrid_amp us; }',
);

# what answers the requests of a location, in its place

my @handlers = (
	'proxy_pass http://127.0.0.1:9;',
	'proxy_pass http://$host;',
	'fastcgi_pass 127.0.0.1:9;',
	'uwsgi_pass 127.0.0.1:9;',
	'scgi_pass 127.0.0.1:9;',
	'memcached_pass 127.0.0.1:9;',
	'empty_gif;',
	(map { Gateway::has("http_${_}_module") ? "$_;" : () }
		qw(stub_status flv mp4)),
	Gateway::has('http_v2_module') ? 'grpc_pass 127.0.0.1:9;' : (),
);

my @shared = (
	(map { ("sendgrid_amp us; $_", "$_ sendgrid_amp us;",
		"sendgrid_amp_status; $_", "$_ sendgrid_amp_status;") } @handlers),
	'sendgrid_amp us; sendgrid_amp_status;',
	'sendgrid_amp_status; sendgrid_amp us;',
	'sendgrid_amp us; location /x/y { empty_gif; } empty_gif;',
);

# the handlers that may be in blocks

my @blocks = map { ("sendgrid_amp us; $_ }", "$_ } sendgrid_amp us;",
	"sendgrid_amp_status; $_ }") } (
	(map { ("if (\$arg_x) { $_", "limit_except POST { $_") } @handlers[0, 1]),
	"if (\$arg_x) { $handlers[2]",
	"limit_except GET { $handlers[0]",
);

my @bad_endpoints = (
	[ 'invalid number of arguments in "%" directive',
		'location /x { sendgrid_amp; }', 'location /x { sendgrid_amp us eu; }' ],
	[ 'invalid region in "%" directive, it must be "us", "eu" or an internal '
		. 'location', map { "location /x { sendgrid_amp $_; }" } qw(asia US usa
		euro u e us/ "" http://api2.amplitude.com/) ],
	[ '"%" directive is duplicate',
		'location /x { sendgrid_amp us; sendgrid_amp us; }' ],
	[ '"%" directive is not allowed here', 'sendgrid_amp us;' ],
);

for my $text (@good) {
	says([ sendgrid => $text ], [ 0, $text =~ /_auth off;/
		? '[warn] with "sendgrid_amp_auth off" and no public key anybody can '
			. 'post to location "/sendgrid"' : () ], "good: $text");
}

for my $text (@good_endpoints) {
	says([ server => $text ], [ 0, $text =~ /_auth off;/
		? '[warn] with "sendgrid_amp_auth off" and no public key anybody can '
			. 'post to location "^/sendgrid/(?<amp_key>[0-9a-f]{32})$"' : () ],
		"good: $text");
}

each_text('bad', sendgrid => 1, '[emerg]', @bad);
each_text('odd', sendgrid => 0, '[warn]', @odd);
each_text('bad', server => 1, '[emerg]', @bad_endpoints);
each_text('bad', http => 1, '[emerg]',
	[ '"%" directive is not allowed here', 'sendgrid_amp us;' ]);

for my $case ((map { [ 'location', $_ ] } @shared),
	map { [ 'a block of location', $_ ] } @blocks)
{
	my ($where, $text) = @$case;
	my ($directive) = $text =~ /(sendgrid_amp\w*)(?!.*sendgrid_amp)/;

	says([ http => 'sendgrid_amp_zone z:64k;', server =>
		"location /x { $text }" ], [ 1, qq([emerg] "$directive" cannot share )
		. qq($where "/x" with another directive that answers requests, such as )
		. '"proxy_pass": give each a location of its own' ], "bad: $text");
}

says([ http => 'sendgrid_amp_auth off;',
	sendgrid => 'sendgrid_amp_api_key k;' ],
	[ 0, '[warn] with "sendgrid_amp_auth off" and no public key anybody can '
		. 'post to location "/sendgrid"' ],
	'auth off from above, api_key of its own');

says([ http => 'sendgrid_amp_auth off;', sendgrid => 'sendgrid_amp_auth basic;' ],
	[ 0 ], 'auth off from above is not used');

# inheritance: A of http is in effect in the first server, B of the second
# server in its first location, C in its second

my @levels = (
	[ 'sendgrid_amp_secret a1 a2;', 'sendgrid_amp_secret b1;',
		'sendgrid_amp_secret c1;' ],
	[ 'sendgrid_amp_api_key ka;', 'sendgrid_amp_api_key kb;',
		'sendgrid_amp_api_key $arg_k;' ],
	[ 'sendgrid_amp_user_id ida;', 'sendgrid_amp_user_id none idb;',
		'sendgrid_amp_user_id email;' ],
	[ 'sendgrid_amp_lowercase off;', 'sendgrid_amp_lowercase off;',
		'sendgrid_amp_lowercase on;' ],
	[ 'sendgrid_amp_event_prefix "A ";', 'sendgrid_amp_event_prefix "B ";',
		'sendgrid_amp_event_prefix "";' ],
	[ 'sendgrid_amp_batch_events 1;', 'sendgrid_amp_batch_events 2;',
		'sendgrid_amp_batch_events 3;' ],
	[ 'sendgrid_amp_concurrency 1;', 'sendgrid_amp_concurrency 2;',
		'sendgrid_amp_concurrency 3;' ],
	[ 'sendgrid_amp_max_event_size 1k;', 'sendgrid_amp_max_event_size 2k;',
		'sendgrid_amp_max_event_size 3k;' ],
	[ 'sendgrid_amp_retries 0;', 'sendgrid_amp_retries 1;',
		'sendgrid_amp_retries 3;' ],
	[ 'sendgrid_amp_retry_delay 10ms;', 'sendgrid_amp_retry_delay 400ms;',
		'sendgrid_amp_retry_delay 20ms;' ],
	[ 'sendgrid_amp_timeout 10s;', 'sendgrid_amp_timeout 20s;',
		'sendgrid_amp_timeout 30s;' ],
);

my $amp = Amplitude->new();
my $root = Gateway::root();

says([ sendgrid => "sendgrid_amp_dead_letter $root/none/dead;" ],
	[ 1, qq{[emerg] open() "$root/none/dead" failed (2: No such file or }
		. 'directory)' ], 'dead_letter in a folder that there is not');

my $ngx = levels(@levels)->start();

my %where = (
	a => [ $ngx->port(), '/sendgrid' ],
	b => [ $ngx->port(2), '/b' ],
	c => [ $ngx->port(2), '/c?k=kc' ],
);

my %expect = (
	a => { key => 'ka', user => 'a%d', name => 'A open', batches => 12,
		in_flight => 1, secrets => 'a1 a2', size => 1024,
		tries => 1, delay => 0 },
	b => { key => 'kb', user => 'b%d', name => 'B open', batches => 6,
		in_flight => 2, secrets => 'b1', size => 2048,
		tries => 2, delay => 0.2 },
	c => { key => 'kc', user => 'u%d@x.com', name => 'open', batches => 4,
		in_flight => 3, secrets => 'c1', size => 3072,
		tries => 4, delay => 0.01 },
);

for my $level (sort keys %where) {
	my ($port, $uri) = @{ $where{$level} };
	my $expect = $expect{$level};

	$amp->clear();
	$amp->script({ delay => 0.1 * $expect->{in_flight}, times => 0 });

	my $r = post($port, webhook(map { event($_, email => qq("U$_\@x.com"),
		ida => qq("a$_"), idb => qq("b$_")) } 1 .. 12), uri => $uri,
		secret => (split ' ', $expect->{secrets})[-1]);

	is($r->{status}, 200, "$level: answer") or diag($r->{body});

	my @requests = $amp->requests();
	my @events = map { $_->{body} =~ /"user_id":"([^"]*)"/g } @requests;

	is(join(' ', sort @events), join(' ', sort map { sprintf $expect->{user},
		$_ } 1 .. 12), "$level: user_id");
	is(scalar @requests, $expect->{batches}, "$level: batch_events");
	is($amp->max_in_flight(), $expect->{in_flight}, "$level: concurrency");

	is_deeply([ uniq(map { $_->{body} =~ /"event_type":"([^"]*)"/g }
		@requests) ], [ $expect->{name} ], "$level: event_prefix");
	is_deeply([ uniq(map { $_->{body} =~ /"api_key":"([^"]*)"/g } @requests) ],
		[ $expect->{key} ], "$level: api_key");

	my @accepted = grep { post($port, '[]', uri => $uri, secret => $_)->{status}
		== 200 } qw(a1 a2 b1 c1), SECRET;

	is("@accepted", $expect->{secrets}, "$level: secret");

	$amp->clear();
	$amp->script({ status => 503, times => 0 });
	post($port, webhook(event(1, email => '"u@x.com"', ida => '"a1"',
		idb => '"b1"')), uri => $uri,
		secret => (split ' ', $expect->{secrets})[0]);

	my @times = map { $_->{time} } $amp->requests();

	is(scalar @times, $expect->{tries}, "$level: retries");
	cmp_ok($times[1] - $times[0], '>=', $expect->{delay} - 0.005,
		"$level: retry_delay") if @times > 1;
	$amp->clear();

	my $size = length event(1, email => '"u@x.com"', ida => '"a1"',
		idb => '"b1"', pad => '""');

	for my $more (0, 1) {
		my $pad = 'x' x ($expect->{size} - $size + $more);
		my $body = webhook(event(1, email => '"u@x.com"', ida => '"a1"',
			idb => '"b1"', pad => qq("$pad")));

		is(post($port, $body, uri => $uri,
			secret => (split ' ', $expect->{secrets})[0])->{status},
			$more ? 413 : 200, "$level: max_event_size + $more");
	}
}

is_deeply([ $amp->violations() ], [], 'the contract is kept');

$ngx->done();

# batch_size, which needs large batches, and more

$ngx = levels([ 'sendgrid_amp_batch_size 64k;',
		'sendgrid_amp_batch_size 128k;', 'sendgrid_amp_batch_size 192k;' ],
	[ 'sendgrid_amp_lowercase on;', 'sendgrid_amp_lowercase off;',
		'sendgrid_amp_lowercase on;' ],
	[ "sendgrid_amp_dead_letter $root/a;", "sendgrid_amp_dead_letter $root/b;",
		'sendgrid_amp_dead_letter off;' ])
	->start();

for my $level (sort keys %where) {
	my ($port, $uri) = @{ $where{$level} };
	my $limit = { a => 65536, b => 131072, c => 196608 }->{$level};

	$amp->clear();
	post($port, webhook(events(400)), uri => $uri);

	my ($first, @rest) = sort { $b <=> $a } map { length $_->{body} }
		$amp->requests();

	cmp_ok($first, '<=', $limit, "$level: batch_size is not exceeded");
	cmp_ok($first, '>', $limit - 1000, "$level: batch_size is used");

	$amp->clear();
	post($port, webhook(event(1, email => '"U@X.com"')), uri => $uri);

	my ($request) = $amp->requests();

	like($request->{body}, $level eq 'b' ? qr/"user_id":"U\@X\.com"/
		: qr/"user_id":"u\@x\.com"/, "$level: lowercase");

	truncate("$root/$_", 0) for qw(a b);
	post($port, '[1]', uri => $uri);

	is(join(' ', grep { -s "$root/$_" } qw(a b)), $level eq 'c' ? '' : $level,
		"$level: dead_letter");
}

$ngx->done();

# timeout: the short ones are shorter than the shortest delay

$ngx = levels([ 'sendgrid_amp_timeout 100ms;', 'sendgrid_amp_timeout 20s;',
		'sendgrid_amp_timeout 100ms;' ],
	[ 'sendgrid_amp_retry_delay 250ms; sendgrid_amp_retries 1;', '', '' ])
	->start();

for my $level (sort keys %where) {
	my ($port, $uri) = @{ $where{$level} };

	$amp->clear();
	$amp->script({ status => 503, times => 0 });
	post($port, webhook(event(1)), uri => $uri);

	is(scalar $amp->requests(), $level eq 'b' ? 2 : 1, "$level: timeout");
}

$ngx->done();

# defaults that no other suite depends on

$ngx = Gateway->new(amplitude => $amp, server => '
	location = /late { sendgrid_amp us; sendgrid_amp_retry_delay 51s; }
')->start();

$amp->script();

for my $more (0, 1) {
	my $large = sized(262144 + $more, 1);

	is(post($ngx->port(), "[$large]")->{status}, $more ? 413 : 200,
		"default: max_event_size + $more");

	$amp->clear();
	post($ngx->port(), '[' . join(',', ('{"event":"a","email":"b"}')
		x (1000 + $more)) . ']');
	is(scalar $amp->requests(), 1 + $more, "default: batch_events + $more");

	my @four = map { sized(225000, $_) } 1 .. 4;

	$amp->clear();
	post($ngx->port(), webhook(@four));
	my ($request) = $amp->requests();
	my $fifth = sized(225000 + 921600 - length($request->{body}) + $more, 4);

	$amp->clear();
	post($ngx->port(), webhook(@four[0 .. 2], $fifth));
	is(scalar $amp->requests(), 1 + $more, "default: batch_size + $more");
}

$amp->clear();
$amp->script({ status => 503, times => 0 });
post($ngx->port(), webhook(event(1)));

my @times = map { $_->{time} } $amp->requests();

is(scalar @times, 3, 'default: retries');
cmp_ok($times[1] - $times[0], '>=', 0.245, 'default: retry_delay');
cmp_ok($times[2] - $times[1], '>=', 0.495, 'default: retry_delay, twice');

$amp->clear();
$amp->script({ status => 503, times => 0 });
is(post($ngx->port(), webhook(event(1)), uri => '/late')->{status}, 503,
	'default: timeout');

$ngx->done();
done_testing();

###############################################################################

# a gateway with the values of the three levels

sub levels {
	my (@values) = @_;
	my ($http, $server, $location) = map { my $i = $_;
		join "\n", map { $_->[$i] } @values } 0 .. 2;
	my $port = Gateway->port(2);
	my $upstream = 'http://127.0.0.1:' . $amp->port() . '/2/httpapi';

	return Gateway->new(amplitude => $amp, http => "$http
		server {
			listen 127.0.0.1:$port;
			$server
			location = /b { sendgrid_amp us; }
			location = /c { sendgrid_amp us; $location }
			location = /amplitude/us { internal; proxy_pass $upstream; }
		}");
}


# an event of so many bytes

sub sized {
	my ($size, $id) = @_;
	my $pad = $size - length event($id, pad => '""');

	return event($id, pad => '"' . 'x' x $pad . '"');
}


sub uniq {
	my %seen;
	return grep { !$seen{$_}++ } @_;
}
