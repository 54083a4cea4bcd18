#!/usr/bin/perl

# Dry runs: the same payloads as in earnest, to the client in place of
# Amplitude, with bounded memory; nothing is sent, counted or written.

use warnings;
use strict;

use Test::More;

use IO::Select;
use JSON::PP ();
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Time::HiRes qw(sleep time);

use Amplitude;
use Gateway;
use Metrics qw(metrics changed);
use Sign;
use Util qw(curl_post has_http2 written);
use Webhook;

my $amp = Amplitude->new();
my $key = Sign->new();
my $root = Gateway::root();

my $ngx = Gateway->new(amplitude => $amp, http => '
	sendgrid_amp_zone figures:64k;
	log_format figures "$uri $status $sendgrid_amp_received '
		. '$sendgrid_amp_forwarded $sendgrid_amp_ignored '
		. '$sendgrid_amp_rejected $sendgrid_amp_batches $sendgrid_amp_error";
	server {
		listen 127.0.0.1:' . Gateway->port(4) . ';
		return 200 ok;
	}
	geo $operator { default 0; 127.0.0.1 1; }
	map $operator$arg_dry_run $dry_run { default 0; 11 1; }
	map "" $nobody { default 0; }
	map $nobody$arg_dry_run $not_allowed { default 0; 11 1; }',
	server => qq(
	access_log $root/access.log figures;

	sendgrid_amp_dry_run \$arg_dry;
	sendgrid_amp_dead_letter $root/dead.json;
	sendgrid_amp_ignore bounce;

	location = /status { sendgrid_amp_status; }
	location = /three { sendgrid_amp us; sendgrid_amp_batch_events 3; }
	location = /geo { sendgrid_amp us; sendgrid_amp_dry_run \$dry_run; }
	location = /geo2 { sendgrid_amp us; sendgrid_amp_dry_run \$not_allowed; }
	location = /off { sendgrid_amp us; sendgrid_amp_dry_run off; }
	location = /region { sendgrid_amp \$arg_region; }

	location = /signed {
		sendgrid_amp us;
		sendgrid_amp_public_key "@{[$key->base64()]}";
		sendgrid_amp_batch_events 2;
	}

	location = /rules {
		sendgrid_amp us;
		sendgrid_amp_hash email key=k;
		sendgrid_amp_drop ip;
		sendgrid_amp_property env \$host;
		sendgrid_amp_batch_events 2;
	}

	location = /slow { sendgrid_amp us; sendgrid_amp_batch_size 64k; }

	location = /stuck {
		sendgrid_amp us;
		sendgrid_amp_batch_size 64k;
		send_timeout 300ms;
	}

	location = /rate {
		sendgrid_amp us;
		sendgrid_amp_batch_size 64k;
		limit_rate 1m;
	}

	location = /after {
		proxy_pass http://127.0.0.1:@{[ Gateway->port(4) ]};
		post_action /dry;
	}

	location = /dry { sendgrid_amp us; sendgrid_amp_dry_run \$uri; }
))->start();

my $port = $ngx->port();
my $json = JSON::PP->new()->utf8();

my @events = (
	map({ event($_) } 1 .. 4), event(5, event => '"bounce"'), '{"event":"open"}',
	"{\r\n\t\"event\" : \"open\" ,\n\"email\":\"a\@x.com\",\r\"x\":[\n1,\n{}\n]\r\n}",
	17, map({ event($_, s => '"\n\r\u000a"') } 8 .. 12),
);

# values of the directive

for my $value ('', '0', 'off') {
	$amp->clear();
	my $r = post($port, webhook(event(1)), uri => "/sendgrid?dry=$value");
	is($r->{json}{forwarded}, 1, "in earnest: \"$value\"") or diag($r->{body});
	is(scalar $amp->requests(), 1, '... sent');
}

for my $value ('1', 'on', 'yes', '00', 'OFF') {
	$amp->clear();
	my $r = post($port, webhook(event(1)), uri => "/sendgrid?dry=$value");
	is($r->{status}, 200, "dry run: \"$value\"");
	like($r->{body}, qr/\A\{"api_key":"\*\*\*","events":\[.*\}\n\z/, '... a line');
	is(scalar $amp->requests(), 0, '... not sent');
}

for my $case ([ '/geo?dry_run=1', 0 ], [ '/geo?dry_run=0', 1 ], [ '/geo', 1 ],
	[ '/geo2?dry_run=1', 1 ], [ '/off?dry=1', 1 ])
{
	$amp->clear();
	post($port, webhook(event(1)), uri => $case->[0]);
	is(scalar $amp->requests(), $case->[1], "$case->[0]: requests");
}

# the same payloads, one a line, and nothing else happens

for my $uri ('/sendgrid', '/three', '/rules') {
	for my $how ([], [ chunked => 50 ], [ every => 1 ], [ every => 777 ]) {
		$amp->clear();
		truncate("$root/dead.json", 0);
		my $logged = logged($uri);
		my $earnest = post($port, webhook(@events), uri => $uri);
		my @sent = sort map { $_->{body} } $amp->requests();
		my $dead = -s "$root/dead.json";

		is($earnest->{json}{rejected}, 2, "$uri: in earnest");
		$ngx->wait_for(sub { logged($uri) > $logged });

		$amp->clear();
		my $before = metrics($port);
		my $r = post($port, webhook(@events), uri => "$uri?dry=1", @$how);

		is($r->{status}, 200, "$uri @$how: answer");
		is($r->{headers}{'content-type'}, 'application/x-ndjson', 'type');
		is_deeply([ sort split /\n/, $r->{body} ],
			[ map { s/[\r\n]/ /gr =~ s/@{[KEY]}/***/r } @sent ], 'payloads');
		like($r->{body}, qr/\n\z/, 'the last line is one');
		is(scalar $amp->requests(), 0, 'nothing is sent');
		is(-s "$root/dead.json", $dead, 'no dead letter');
		$ngx->wait_for(sub { logged($uri) > $logged + 1 });
		is_deeply(changed($before, metrics($port)), {}, 'nothing is counted');
	}
}

# batches end where they do in earnest, whose key is longer than the mask

for my $n (1 .. 8) {
	srand($n);
	my $webhook = webhook(map { event($_, x => '"' . 'x' x rand(900) . '"') }
		1 .. 400);

	$amp->clear();
	post($port, $webhook, uri => '/slow');
	my @sent = sort map { $_->{body} =~ s/@{[KEY]}/***/r } $amp->requests();
	my $dry = post($port, $webhook, uri => '/slow?dry=1');

	is_deeply([ sort split /\n/, $dry->{body} ], \@sent, "full batches, $n");
}

$amp->clear();
post($port, webhook(event(1, x => '""')), uri => '/slow');
my ($payload) = map { length $_->{body} } $amp->requests();

for my $case ([ 65536, 200 ], [ 65537, 413 ]) {
	my ($size, $status) = @$case;
	my $webhook = webhook(event(1, x => '"' . 'x' x ($size - $payload) . '"'));

	is(post($port, $webhook, uri => '/slow')->{status}, $status,
		"a payload of $size bytes");
	is(post($port, $webhook, uri => '/slow?dry=1')->{status}, $status,
		'... and dry');
}

my $r = post($port, '[]', uri => '/three?dry=1');
is_deeply([ @$r{qw(status body)} ], [ 200, '' ], 'no events');
is($r->{headers}{'content-type'}, 'application/x-ndjson', '... type');

$r = post($port, webhook(event(5, event => '"bounce"')), uri => '/three?dry=1');
is_deeply([ @$r{qw(status body)} ], [ 200, '' ], 'all are ignored');

# a connection is of use afterwards

my $first = Webhook->new($port, webhook(@events), uri => '/three?dry=1',
	keepalive => 1);
Webhook::run($first);
my $second = Webhook->new($port, webhook(event(1)), uri => '/three',
	after => $first);
Webhook::run($second);
is($second->{response}{json}{forwarded}, 1, 'keepalive');

# after an answer of another handler there is nobody to write to

subtest('post_action' => sub {
	my $c = Webhook->new($port, webhook(@events), uri => '/after',
		keepalive => 1);
	my ($r) = Webhook::run($c);

	is($r->{body}, 'ok', 'the answer');
	ok($ngx->wait_for(sub { logged('/dry') }), 'the dry run');
	ok(!IO::Select->new($c->{socket})->can_read(0), 'nothing follows it');

	my $next = Webhook->new($port, webhook(event(1)), uri => '/three',
		after => $c);

	Webhook::run($next);
	is($next->{response}{json}{forwarded}, 1, 'the connection is of use');
});

# what is refused is refused as ever

for my $case (
	[ 401, 'unauthorized', key => undef ], [ 401, 'unauthorized', secret => 'x' ],
	[ 405, 'method_not_allowed', method => 'PUT' ],
	[ 415, 'content_encoding', headers => [ 'Content-Encoding: gzip' ] ],
	[ 500, 'internal', uri => '/region?dry=1' ],
	[ 400, 'invalid_json', body => '{' ], [ 400, 'invalid_json', body => '' ],
	[ 400, 'invalid_json', body => '[' . event(1) . ',]' ],
	[ 403, 'bad_signature', uri => '/signed?dry=1' ],
	[ 413, 'too_large', body => '[{"x":"' . ('x' x 300000) . '"}]' ])
{
	my ($status, $keyword, %o) = @$case;
	my $answer = post($port, delete $o{body} // webhook(@events),
		uri => '/sendgrid?dry=1', %o);

	is($answer->{status}, $status, "$keyword: status");
	is($answer->{json}{error}, $keyword, '... error');
	is($answer->{headers}{'content-type'}, 'application/json', '... type');
}

# a fault after lines have left ends them so that it is seen

for my $body ('[' . join(',', map { event($_) } 1 .. 7) . '}',
	'[' . join(',', map { event($_) } 1 .. 7))
{
	my $answer = post($port, $body, uri => '/three?dry=1', every => 300,
		pause => 0.01);

	is($answer->{status}, 0, 'invalid JSON after some lines: no end');
	like($answer->{body}, qr/^HTTP.*200 OK.*"sg_event_id":"event-6"/s,
		'... but lines');
}

my ($out, $exit) = curl_post('[' . join(',', map { event($_) } 1 .. 300) . '}',
	"http://127.0.0.1:$port/three?dry=1");
is($exit, 18, 'curl sees that it is cut short');

# signed webhooks

my $body = webhook(@events);
$amp->clear();
$r = post($port, $body, uri => '/signed?dry=1',
	headers => [ $key->headers($body) ]);
is($r->{status}, 200, 'signed');
is(() = $r->{body} =~ /\n/g, 5, '... lines');
$r = post($port, $body, uri => '/signed?dry=1',
	headers => [ $key->headers("$body ") ]);
is($r->{status}, 403, 'signed by nobody');
is($r->{json}{error}, 'bad_signature', '... error, no line');
is(scalar $amp->requests(), 0, '... nothing is sent');

# HTTP/2

SKIP: {
	skip('no HTTP/2', 4) if !has_http2();

	my $many = webhook(events(3000));
	my $port2 = $port + 1;

	($out, $exit) = curl_post($many, "http://127.0.0.1:$port2/three?dry=1",
		'--http2-prior-knowledge');
	is($exit, 0, 'HTTP/2');
	is(() = $out =~ /\n/g, 1000, '... lines');
	ok(eval { $json->decode($_) for split /\n/, $out; 1 }, '... of JSON');

	($out, $exit) = curl_post("$many}", "http://127.0.0.1:$port2/three?dry=1",
		'--http2-prior-knowledge');
	isnt($exit, 0, '... cut short');
}

# a client that takes it slowly, or at a limited rate, gets all of it

my $large = webhook(events(20000, 'slow'));
my $before = $ngx->worker_status('VmHWM');

for my $case ([ '/slow', 0.002 ], [ '/rate', 0 ]) {
	my ($uri, $pause) = @$case;
	my ($lines, $end) = slow("$uri?dry=1", $large, $pause,
		$uri eq '/rate' ? 3000000 : 0);

	if ($uri eq '/rate') {
		cmp_ok($lines, '>', 10, "$uri: lines");
		next;
	}

	is($end, 1, "$uri: to its end");
	cmp_ok($lines, '>', 100, '... lines');
}

my $grown = $ngx->worker_status('VmHWM') - $before;

SKIP: {
	skip('memory of sanitizers', 1) if Gateway::sanitized()
		|| $ENV{TEST_NGINX_USE_VALGRIND};

	cmp_ok($grown, '<', 2048, 'memory, kB');
	note("grown by $grown kB");
}

# one that takes nothing is not waited for

my $log = length $ngx->log();
my $stuck = Webhook->new($port, '', raw => Webhook::request_head(length $large,
	uri => '/stuck?dry=1'));
my $fh = $stuck->{socket};
setsockopt($fh, SOL_SOCKET, SO_RCVBUF, 4096);
send_all($fh, $stuck->{todo}[0][1] . $large, 2);
ok($ngx->wait_for(sub { $ngx->log($log) =~ /client timed out/ }, 10),
	'a client that does not read');
close $fh;

# one that goes away

for my $stop (1000, 300000, 3000000) {
	post($port, $large, uri => '/slow?dry=1', stop => $stop, end => 'reset');
}

is(post($port, webhook(event(1)), uri => '/three?dry=1')->{status}, 200,
	'... and others are served');

like(written("$root/access.log"), qr!^/three 200 13 0 1 2 0 -$!m,
	'variables');

$ngx->done();
done_testing();

###############################################################################

# lines that a slow reader gets until the end or a number of bytes, and whether
# it was the end

sub slow {
	my ($uri, $body, $pause, $enough) = @_;
	my $client = Webhook->new($port, '', raw => Webhook::request_head(
		length $body, uri => $uri));
	my $s = $client->{socket};
	my ($out, $bytes, $lines, $end) = ($client->{todo}[0][1] . $body, 0, 0, 0);
	my $until = time() + Gateway::patience(60);
	my $last = '';

	while (time() < $until) {
		my $select = IO::Select->new($s);
		my ($r, $w) = IO::Select::select($select,
			$out ne '' ? $select : undef, undef, 5);

		if ($w && @$w) {
			my $n = syswrite($s, $out, 65536);
			substr($out, 0, $n, '') if $n;
		}

		if ($r && @$r) {
			my $n = sysread($s, my $in, 65536);
			last if !$n;
			$bytes += $n;
			$lines += () = $in =~ /\n\{?|\}\n/g;
			$last = substr($last . $in, -5);
			sleep $pause if $pause;
		}

		$end = $last eq "0\r\n\r\n";
		last if $end || $enough && $bytes > $enough;
	}

	close $s;

	return $lines, $end;
}


# as much as is taken within some seconds

sub send_all {
	my ($s, $text, $seconds) = @_;
	my $until = time() + $seconds;

	while ($text ne '' && time() < $until) {
		my $n = syswrite($s, $text, 65536);

		if ($n) {
			substr($text, 0, $n, '');
		} else {
			IO::Select->new($s)->can_write(0.1);
		}
	}
}


# requests to a URI that nginx has ended

sub logged {
	my ($uri) = @_;

	return scalar(() = written("$root/access.log") =~ /^\Q$uri\E /mg);
}
