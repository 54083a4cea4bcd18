#!/usr/bin/perl

# Directives: good values, bad ones, duplicates, inheritance.

use warnings;
use strict;

use Test::More;

use Amplitude;
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
	'sendgrid_amp_user_id email;',
	'sendgrid_amp_user_id amp_user_id customer "a key" email;',
	'sendgrid_amp_lowercase on;',
	'sendgrid_amp_lowercase off;',
	'sendgrid_amp_event_prefix "";',
	'sendgrid_amp_event_prefix "Mail \"quoted\" ";',
	'sendgrid_amp_batch_events 1;',
	'sendgrid_amp_batch_events 2000;',
	'sendgrid_amp_batch_size 64k;',
	'sendgrid_amp_batch_size 20m;',
	'sendgrid_amp_concurrency 1;',
	'sendgrid_amp_concurrency 16;',
	'sendgrid_amp_max_event_size 4k;',
	'sendgrid_amp_max_event_size 1m;',
	'sendgrid_amp_timeout 500ms;',
	'sendgrid_amp_timeout 1m;',
	'sendgrid_amp_retries 0;',
	'sendgrid_amp_retries 10;',
	'sendgrid_amp_retry_delay 10ms;',
	'sendgrid_amp_retry_delay 5s;',
	'sendgrid_amp_dead_letter off;',
	"sendgrid_amp_dead_letter @{[ Gateway::root() ]}/dead;",
	"sendgrid_amp_dead_letter @{[ Gateway::root() ]}/de:ad;",
	'sendgrid_amp_dead_letter dead;',
	'sendgrid_amp_dead_letter ./syslog;',
	'sendgrid_amp_dead_letter /dev/stdout;',
	'sendgrid_amp_dead_letter /dev/stderr;',
	'sendgrid_amp_dead_letter /dev/null;',
);

# these fail, and the message names the first directive of them

my @bad = (
	'sendgrid_amp_auth digest;',
	'sendgrid_amp_auth on;',
	'sendgrid_amp_auth;',
	'sendgrid_amp_auth off;',
	'sendgrid_amp_secret;',
	'sendgrid_amp_secret "";',
	'sendgrid_amp_secret good "";',
	'sendgrid_amp_api_key;',
	'sendgrid_amp_api_key "";',
	'sendgrid_amp_api_key a b;',
	'sendgrid_amp_user_id;',
	'sendgrid_amp_user_id "";',
	'sendgrid_amp_user_id ' . join(' ', map { "key$_" } 1 .. 100) . ';',
	'sendgrid_amp_lowercase yes;',
	'sendgrid_amp_lowercase;',
	'sendgrid_amp_event_prefix;',
	'sendgrid_amp_event_prefix a b;',
	'sendgrid_amp_batch_events 0;',
	'sendgrid_amp_batch_events 2001;',
	'sendgrid_amp_batch_events -1;',
	'sendgrid_amp_batch_events many;',
	'sendgrid_amp_batch_size 65535;',
	'sendgrid_amp_batch_size 0;',
	'sendgrid_amp_batch_size 20481k;',
	'sendgrid_amp_batch_size big;',
	'sendgrid_amp_concurrency 0;',
	'sendgrid_amp_concurrency 17;',
	'sendgrid_amp_concurrency two;',
	'sendgrid_amp_max_event_size 0;',
	'sendgrid_amp_max_event_size big;',
	'sendgrid_amp_max_event_size;',
	'sendgrid_amp_timeout soon;',
	'sendgrid_amp_timeout;',
	'sendgrid_amp_retries -1;',
	'sendgrid_amp_retries often;',
	'sendgrid_amp_retries;',
	'sendgrid_amp_retry_delay soon;',
	'sendgrid_amp_retry_delay;',
	'sendgrid_amp_dead_letter;',
	'sendgrid_amp_dead_letter "";',
	'sendgrid_amp_dead_letter a b;',
	'sendgrid_amp_dead_letter syslog:server=127.0.0.1;',
	'sendgrid_amp_dead_letter syslog:server=unix:/dev/log,tag=dead;',
	'sendgrid_amp_dead_letter memory:32m;',
	'sendgrid_amp_dead_letter file:/tmp/dead;',
	'sendgrid_amp_dead_letter http://127.0.0.1/;',
	'sendgrid_amp_dead_letter "|cat";',
	'sendgrid_amp_dead_letter stderr;',
	'sendgrid_amp_dead_letter stdout;',
	'sendgrid_amp_dead_letter on;',
	'sendgrid_amp_dead_letter OFF;',
	'sendgrid_amp_dead_letter none;',
	'sendgrid_amp_dead_letter /tmp/$host;',
	'sendgrid_amp_dead_letter $file;',
	'sendgrid_amp_dead_letter /tmp/${host}.json;',
	'sendgrid_amp_dead_letter /tmp;',
	'sendgrid_amp_dead_letter /tmp/;',
	'sendgrid_amp_dead_letter /tmp/none/;',
	'sendgrid_amp_dead_letter .;',
	'sendgrid_amp_user_id email email;',
	'sendgrid_amp_user_id "amp_user_id," email;',
	"sendgrid_amp_user_id 'caf\xe9';",
	"sendgrid_amp_user_id 'caf\xed\xa0\x80';",
	"sendgrid_amp_user_id 'caf\xc0\x80';",
	'sendgrid_amp_secret a; sendgrid_amp_secret b;',
	'sendgrid_amp_auth basic; sendgrid_amp_auth basic;',
	'sendgrid_amp_api_key a; sendgrid_amp_api_key b;',
	'sendgrid_amp_user_id a; sendgrid_amp_user_id b;',
	'sendgrid_amp_lowercase on; sendgrid_amp_lowercase on;',
	'sendgrid_amp_event_prefix a; sendgrid_amp_event_prefix b;',
	'sendgrid_amp_batch_events 5; sendgrid_amp_batch_events 5;',
	'sendgrid_amp_batch_size 1m; sendgrid_amp_batch_size 1m;',
	'sendgrid_amp_concurrency 3; sendgrid_amp_concurrency 3;',
	'sendgrid_amp_max_event_size 1m; sendgrid_amp_max_event_size 1m;',
	'sendgrid_amp_timeout 1s; sendgrid_amp_timeout 1s;',
	'sendgrid_amp_retries 1; sendgrid_amp_retries 1;',
	'sendgrid_amp_retry_delay 1s; sendgrid_amp_retry_delay 1s;',
	'sendgrid_amp_dead_letter off; sendgrid_amp_dead_letter off;',
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
	'location /x { sendgrid_amp; }',
	'location /x { sendgrid_amp us eu; }',
	'location /x { sendgrid_amp asia; }',
	'location /x { sendgrid_amp US; }',
	'location /x { sendgrid_amp ""; }',
	'location /x { sendgrid_amp http://api2.amplitude.com/; }',
	'location /x { sendgrid_amp us; sendgrid_amp us; }',
	'sendgrid_amp us;',
);

for my $text (@good) {
	my ($status, $out) = check(sendgrid => $text);
	is($status, 0, "good: $text") or diag($out);
}

for my $text (@good_endpoints) {
	my ($status, $out) = check(server => $text);
	is($status, 0, "good: $text") or diag($out);
}

for my $text (@bad) {
	my ($name) = $text =~ /(\w+)/;
	refused(check(sendgrid => $text), $name,
		'bad: ' . substr($text, 0, 70));
}

for my $text (@bad_endpoints) {
	refused(check(server => $text), 'sendgrid_amp', "bad: $text");
}

refused(check(http => 'sendgrid_amp us;'), 'sendgrid_amp',
	'sendgrid_amp in http');

for my $case ((map { [ 'location', $_ ] } @shared),
	map { [ 'a block of location', $_ ] } @blocks)
{
	my ($where, $text) = @$case;
	my ($status, $out) = check(http => 'sendgrid_amp_zone z:64k;',
		server => "location /x { $text }");

	isnt($status, 0, "bad: $text");
	like($out, qr!\[emerg\].*"sendgrid_amp(_status)?" cannot share $where "/x"!,
		'the message names it');
	like($out, qr/such as "proxy_pass": give each a location of its own/,
		'and the mend');
}

my ($status, $out) = check(http => 'sendgrid_amp_auth off;',
	sendgrid => 'sendgrid_amp_api_key k;');
is($status, 0, 'auth off from above, api_key of its own') or diag($out);
like($out, qr/\[warn\].*sendgrid_amp_auth/, 'auth off: anybody can post');

($status, $out) = check();
unlike($out, qr/\[warn\].*sendgrid_amp/, 'auth basic: no warning');

($status, $out) = check(http => 'sendgrid_amp_auth off;',
	sendgrid => 'sendgrid_amp_auth basic;');
is($status, 0, 'auth off from above is not used') or diag($out);

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

($status, $out) = check(sendgrid =>
	"sendgrid_amp_dead_letter @{[ Gateway::root() ]}/none/dead;");
isnt($status, 0, 'dead_letter in a folder that there is not');
like($out, qr/\[emerg\].*none\/dead/, 'the message names the file');

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
	$amp->script({ delay => 0.1, times => 0 });

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

# batch_size, which needs large batches

$ngx = levels([ 'sendgrid_amp_batch_size 64k;',
	'sendgrid_amp_batch_size 128k;', 'sendgrid_amp_batch_size 192k;' ])
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
}

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


sub check {
	return Gateway::check(Gateway->new(@_)->conf());
}


sub refused {
	my ($status, $out, $directive, $name) = @_;

	isnt($status, 0, $name);
	like($out, qr/\[emerg\].*"?\b$directive\b/, 'the message names it');
}


sub uniq {
	my %seen;
	return grep { !$seen{$_}++ } @_;
}
