#!/usr/bin/perl

# Signed webhooks: what is refused, that nothing of it leaves, and keys.
# SEED=n takes the random numbers of an earlier run.

use warnings;
use strict;

use Test::More;

use IO::Socket::INET;
use MIME::Base64 qw(decode_base64 encode_base64);
use Time::HiRes qw(sleep time);

use Amplitude;
use Gateway;
use Sign;
use Util qw(curl_post has_http2 slurp written);
use Webhook;

my $amp = Amplitude->new();
my $root = Gateway::root();
my $port = Gateway->port();

my ($one, $two, $other) = map { Sign->new() } 1 .. 3;
my ($k1, $k2) = map { $_->base64() } $one, $two;
my $secp256k1 = Sign->new('secp256k1');
my $rsa = Sign->new('RSA');

# what the official libraries are tested with

my %vectors = map { m!([^/]+)$! => { map { $_ => slurp($_) } glob "$_/*" } }
	glob "$FindBin::Bin/data/signature/v*";

my $vectors = join '', map {
	my $key = member($vectors{$_}, 'public_key.b64');
	qq(
	location = /vector/$_ {
		sendgrid_amp us;
		sendgrid_amp_public_key "$key";
	})
} sort keys %vectors;

my $pem = Sign::file($two->pem());

my $server = qq(
	access_log $root/access.log webhook;
	sendgrid_amp_public_key "$k1" $pem;

	$vectors

	location = /window {
		sendgrid_amp us;
		sendgrid_amp_signature_window 60s;
	}

	location = /report {
		sendgrid_amp us;
		sendgrid_amp_signature report;
		sendgrid_amp_signature_window 60s;
		sendgrid_amp_batch_events 10;
	}

	location = /small {
		sendgrid_amp us;
		sendgrid_amp_batch_events 10;
		sendgrid_amp_max_event_size 4k;
		client_max_body_size 1m;
	}

	location = /off {
		sendgrid_amp us;
		sendgrid_amp_public_key off;
	}

	location = /anybody {
		sendgrid_amp us;
		sendgrid_amp_auth off;
		sendgrid_amp_api_key 0123456789abcdef0123456789abcdef;
	}

	location = /dead {
		sendgrid_amp us;
		sendgrid_amp_dead_letter $root/dead;
	}

	location = /dead/report {
		sendgrid_amp us;
		sendgrid_amp_signature report;
		sendgrid_amp_dead_letter $root/dead;
	}

	location = /mirror {
		sendgrid_amp us;
		mirror /nothing;
	}

	location = /file {
		sendgrid_amp us;
		mirror /nothing;
		client_body_in_file_only clean;
	}

	location = /split {
		sendgrid_amp us;
		mirror /nothing;
		client_body_buffer_size 1k;
	}

	location = /nothing { internal; return 204; }
);

my $log = q(
	log_format webhook '$status $sendgrid_amp_signature $sendgrid_amp_error '
		'$sendgrid_amp_received $sendgrid_amp_forwarded '
		'$sendgrid_amp_ignored $sendgrid_amp_rejected '
		'$sendgrid_amp_batches $sendgrid_amp_retries $sendgrid_amp_region';
);

my $ngx = Gateway->new(amplitude => $amp, http => $log, server => $server)
	->start();

my $body = webhook(events(3));

# good ones

my %good = (
	'/sendgrid' => {},
	'/window' => {},
	'/small' => {},
	'/report' => {},
	'/dead' => {},
	'/mirror' => {},
	'/file' => {},
	'/split' => {},
	'/anybody' => { key => undef },
	'chunks' => { chunked => 10 },
	'chunks of a byte' => { chunked => 1 },
	'a byte a write' => { every => 1 },
	'a byte a write in chunks' => { every => 1, chunked => 7 },
	'cut' => { cuts => cuts($body, 5, 1), pause => 0.01 },
);

for my $name (sort keys %good) {
	subtest("signed: $name" => sub {
		my %o = %{ $good{$name} };
		$o{uri} = $name if $name =~ m!^/!;

		for my $key ($one, $two) {
			$amp->clear();

			my $r = post($port, $body, %o, headers => [ $key->headers($body) ]);

			is($r->{status}, 200, 'status') or diag($r->{body});
			is_deeply([ sort $amp->events() ], [ sort map { mapped($_) }
				events(3) ], 'all events are stored');
			logged('200 ok - 3 3 0 0 1 0 us');
		}
	});
}

subtest('letter case of the headers' => sub {
	for my $change (sub { lc $_[0] }, sub { uc $_[0] }) {
		my @headers = map { s/^([^:]+)/$change->($1)/er } $one->headers($body);

		is(post($port, $body, headers => \@headers)->{status}, 200,
			$headers[0] =~ s/:.*//r);
	}
});

# nginx keeps headers in lists of 20, so that either may begin the second one

subtest('headers behind others' => sub {
	my @others = map { "X-Header-$_: $_" } 1 .. 25;

	for my $n (14 .. 25) {
		my @headers = (@others[0 .. $n - 1], $one->headers($body));

		is(post($port, $body, headers => \@headers)->{status}, 200,
			"both behind $n");
		is(post($port, $body, headers => [ @headers[0 .. $n] ])->{status}, 403,
			"a signature alone behind $n");
	}

	is(post($port, $body, headers => [ map { s/^([^:]+)/$1s/r }
		$one->headers($body) ])->{status}, 403, 'similar names');
});

# the timestamp is signed as it is, and may be any without a window

for my $time (0, 1600112502, '0001600112502', 99999999999, '999999999999999999')
{
	is(signed($body, $one, time => $time)->{status}, 200, "time: $time");
}

# refused ones: [ name, result, options of headers(), others ]

my $signature = encode_base64($one->sign("1600112502$body"), '');
my $der = decode_base64($signature);
my $at = '1600112502';

my @bad = (
	[ 'no header', 'missing', { signature => undef, timestamp => undef } ],
	[ 'no signature', 'missing', { signature => undef } ],
	[ 'no timestamp', 'missing', { timestamp => undef } ],
	[ 'empty signature', 'malformed', { signature => '' } ],
	[ 'empty timestamp', 'malformed', { timestamp => '' } ],
	[ 'two signatures', 'malformed', {}, [ Sign::SIGNATURE . ": $signature" ] ],
	[ 'two timestamps', 'malformed', {}, [ Sign::TIMESTAMP . ": $at" ] ],
	[ 'no base64', 'malformed', { signature => '!!!' } ],
	[ 'cut base64', 'malformed', { signature => substr($signature, 0, -1) } ],
	[ 'longer base64', 'malformed', { signature => $signature . 'AAAA' } ],
	[ 'text after', 'malformed', { signature => "$signature failure" } ],
	[ 'blank inside', 'malformed', { signature => $signature =~ s/^(.{9})/$1 /r
	} ],
	[ 'base64 of URLs', 'malformed', { signature => $signature
		=~ s/^(.{9})./$1-/r } ],
	[ 'no DER', 'malformed', { signature => encode_base64('x' x 70, '') } ],
	[ 'byte after DER', 'malformed', { signature => encode_base64(
		$der . "\0", '') } ],
	[ 'r and s only', 'malformed', { signature => encode_base64('r' x 64, '')
	} ],
	[ 'hexadecimal', 'malformed', { signature => unpack('H*', $der) } ],
	[ 'endless signature', 'malformed', { signature => 'A' x 4000 } ],
	[ 'timestamp with a point', 'malformed', { timestamp => "$at.0" } ],
	[ 'negative timestamp', 'malformed', { timestamp => "-$at" } ],
	[ 'hexadecimal timestamp', 'malformed', { timestamp => '0x5f5fd1b6' } ],
	[ 'endless timestamp', 'malformed', { timestamp => '1' x 4000 } ],
	[ 'date', 'malformed', { timestamp => 'Mon, 14 Sep 2020 19:41:42 GMT' } ],
	[ 'later timestamp', 'mismatch', { timestamp => $at + 1 } ],
	[ 'longer timestamp', 'mismatch', { timestamp => "0$at" } ],
	[ 'shorter timestamp', 'mismatch', { timestamp => substr($at, 0, -1) } ],
	[ 'zeros', 'mismatch', { signature => encode_base64(
		"0\x06\x02\x01\0\x02\x01\0", '') } ],
	[ 'ones', 'mismatch', { signature => encode_base64(
		"0\x06\x02\x01\x01\x02\x01\x01", '') } ],
	[ 'key of somebody else', 'mismatch', { by => $other } ],
	[ 'other curve', 'mismatch', { by => $secp256k1 } ],
	[ 'RSA', 'malformed', { by => $rsa } ],
	[ 'body without its end', 'mismatch', { of => $body =~ s/\r\n$//r } ],
	[ 'body with more', 'mismatch', { of => "$body " } ],
	[ 'body in other words', 'mismatch', { of => $body =~ s/1/2/r } ],
	[ 'no body', 'mismatch', { of => '' } ],
);

for my $case (@bad) {
	my ($name, $result, $o, $more) = @$case;

	subtest("403: $name" => sub {
		my @headers = (($o->{by} // $one)->headers($o->{of} // $body,
			time => $at, %$o), @{ $more || [] });

		for my $uri (qw(/sendgrid /small /dead /mirror /file /anybody)) {
			refused($result, $body, uri => $uri, headers => \@headers);
		}

		refused($result, $body, chunked => 50, headers => \@headers);
		refused($result, $body, every => 1, headers => \@headers);

		my $report = $result eq 'mismatch' ? 'stale' : $result;
		my $from = length $ngx->log();

		$amp->clear();

		is(post($port, $body, uri => '/report', headers => \@headers)->{status},
			200, 'is only reported');
		logged("200 $report - 3 3 0 0 1 0 us");
		like($ngx->log($from), qr/\[warn\].*bad signature: $report,/, 'warn');
		is(scalar keys %{ $amp->stored() }, 3, 'events are forwarded');
	});
}

# what the error log says, and at which level

subtest('what is wrong with a signature' => sub {
	my ($signature_name, $timestamp_name) = (Sign::SIGNATURE, Sign::TIMESTAMP);

	for my $case (
		[ 'missing', qq(there is no "$signature_name"),
			{ signature => undef } ],
		[ 'missing', qq(there is no "$timestamp_name"),
			{ timestamp => undef } ],
		[ 'malformed', qq(there is more than one "$signature_name"), {},
			"$signature_name: $signature" ],
		[ 'malformed', qq(there is more than one "$timestamp_name"), {},
			"$timestamp_name: $at" ],
		[ 'malformed', qq(no signature in base64 is in "$signature_name"),
			{ signature => 'x' } ],
		[ 'malformed', qq(no decimal number is in "$timestamp_name"),
			{ timestamp => 'x' } ],
		[ 'stale', '"sendgrid_amp_signature_window" does not allow the time '
			. qq(in "$timestamp_name"), { time => $at } ],
		[ 'mismatch', 'another key, timestamp or body belongs to '
			. qq("$signature_name" while verifying SendGrid events),
			{ by => $other } ])
	{
		my ($result, $text, $o, @more) = @$case;
		my @headers = (($o->{by} // $one)->headers($body, %$o), @more);

		for my $to ([ '/window', 'info' ], [ '/report', 'warn' ]) {
			my ($uri, $level) = @$to;
			my $from = length $ngx->log();

			post($port, $body, uri => $uri, headers => \@headers);

			is(join("\n", $ngx->log($from)
				=~ /(\[\w+\]) [^\n]*? (client sent [^\n]*?), client: /g),
				"[$level]\nclient sent a bad signature: $result, $text",
				"$uri: $text");
		}
	}
});

subtest('one bit off in the body' => sub {
	my @headers = $one->headers($body);
	my $seed = $ENV{SEED} || int(rand(1000000)) + 1;

	srand($seed);
	diag("SEED=$seed");
	$amp->clear();

	for my $i (map { int(rand(length $body)) } 1 .. 50) {
		my $changed = $body;

		vec($changed, 8 * $i + int(rand(8)), 1) ^= 1;
		is(post($port, $changed, headers => \@headers)->{status}, 403,
			"byte $i") or diag($changed);
	}

	is(scalar $amp->requests(), 0, 'nothing is sent');
});

# official vectors

for my $name (sort keys %vectors) {
	subtest("vector $name" => sub {
		my $v = $vectors{$name};
		my $payload = member($v, 'payload.bin');
		my $expect = member($v, 'expect.txt');
		my $value = member($v, 'signature.b64');

		# no header has a line feed

		my $text = $value =~ s/\n\s*//gr;

		for my $o ({}, { chunked => 7 }, { chunked => 64 }, { every => 1 }) {
			$amp->clear();

			my $r = post($port, $payload, uri => "/vector/$name", %$o, headers =>
				[ $one->headers('', signature => $text,
				timestamp => member($v, 'timestamp.txt')) ]);

			is($r->{status}, $expect =~ /^valid/ ? 200 : 403, 'status');
			is(scalar($amp->requests()), $expect =~ /^valid/ ? 1 : 0, 'sent');
		}
	});
}

# what is wrong with a webhook is told to SendGrid only

my $large = webhook(event(1), event(2, pad => '"' . 'x' x 5000 . '"'));

for my $case ([ 400, 'invalid_json', webhook(events(30)) =~ s/\]\r\n$/,x]/r ],
	[ 400, 'invalid_json', 'payload' ], [ 400, 'invalid_json', '[' ],
	[ 413, 'too_large', $large ], [ 400, 'invalid_json', '' ])
{
	my ($status, $error, $text) = @$case;

	subtest("$status: " . substr($text, 0, 10) => sub {
		$amp->clear();

		for my $o ({}, { chunked => 10 }, { every => 1 }) {
			my $r = post($port, $text, uri => '/small', %$o,
				headers => [ $one->headers($text) ]);

			is($r->{status}, $status, 'signed: status');
			is($r->{json}{error}, $error, 'error');
			is($r->{json}{forwarded}, 0, 'nothing is forwarded');

			refused('mismatch', $text, uri => '/small', %$o,
				headers => [ $other->headers($text) ]);
		}

		is(scalar $amp->requests(), 0, 'nothing is sent');
		logged("403 mismatch bad_signature");
	});
}

# events that cannot be delivered

subtest('no rejected event is written before verification' => sub {
	my $text = webhook('1', event('a', event => 'null'), event('b'),
		event('c', email => 'null'), '"x"');

	for my $uri ('/dead', '/sendgrid') {
		my $from = length $ngx->log();

		refused('mismatch', $text, uri => $uri,
			headers => [ $other->headers($text) ]);
		is(written("$root/dead"), '', 'no dead letter');
		unlike($ngx->log($from), qr/rejected/, 'nothing is logged');
	}

	$amp->clear();

	my $r = signed($text, $one, uri => '/dead');

	is($r->{status}, 200, 'signed: status');
	is($r->{json}{rejected}, 4, 'rejected');
	is($r->{json}{forwarded}, 1, 'forwarded');
	logged('200 ok - 5 1 0 4 1 0 us');

	my @reasons = written("$root/dead") =~ /"reason":"(\w+)"/g;

	is("@reasons", 'not_an_object no_event_type no_user_id not_an_object',
		'in their order');

	my $from = length $ngx->log();

	is(signed($text, $two)->{json}{rejected}, 4, 'without a dead letter');

	my @ids = $ngx->log($from) =~ /event rejected.*sg_event_id: "([^"]*)"/g;

	is("@ids", ' event-a event-c ', 'logged in their order');

	is(post($port, $text, uri => '/dead/report', headers =>
		[ $other->headers($text) ])->{status}, 200, 'report writes them');
	is(scalar(() = written("$root/dead") =~ /\n/g), 8, 'four more lines');
});

# nothing leaves before the last byte

for my $case ([ '/small', 0 ], [ '/report', 1 ]) {
	my ($uri, $early) = @$case;

	subtest("$uri: when events leave" => sub {
		my $text = webhook(events(300));
		my $head = Webhook::request_head(length $text, uri => $uri,
			headers => [ $one->headers($text) ]);

		$amp->clear();

		my $s = IO::Socket::INET->new("127.0.0.1:$port") or die "connect: $!";

		$s->print($head, substr($text, 0, -1));

		my $n = $ngx->wait_for(sub { $amp->requests() }, $early ? 10 : 0.5);

		ok($early ? $n > 0 : $n == 0, 'before the last byte');

		$s->print(substr($text, -1));

		my $answer = join '', $s->getlines();

		like($answer, qr/"forwarded":300,/, 'after it');
		is(scalar keys %{ $amp->stored() }, 300, 'all are stored');
	});
}

subtest('many events, by either key' => sub {
	for my $key ($one, $two) {
		for my $case ([ '/sendgrid', 3000, 3 ], [ '/file', 3000, 3 ],
			[ '/report', 300, 30 ])
		{
			my ($uri, $n, $batches) = @$case;
			my $text = webhook(events($n));

			$amp->clear();

			my $r = signed($text, $key, uri => $uri);

			is($r->{json}{forwarded}, $n, "$uri: forwarded")
				or diag($r->{body});
			is(scalar keys %{ $amp->stored() }, $n, 'stored');
			is(scalar $amp->requests(), $batches, 'batches');

			refused('mismatch', $text, uri => $uri, headers =>
				[ $other->headers($text) ]) if $uri ne '/report';
		}
	}
});

# window

for my $case ([ 0, 200 ], [ -55, 200 ], [ 55, 200 ], [ -70, 403 ], [ 70, 403 ],
	[ -86400, 403 ], [ 86400, 403 ], [ 10 ** 15, 403 ])
{
	my ($diff, $status) = @$case;
	my $r = signed($body, $one, uri => '/window', time => int(time()) + $diff);

	is($r->{status}, $status, "window: $diff");
	logged($status == 200 ? '200 ok -' : '403 stale bad_signature');
}

subtest('window: to the second' => sub {
	my @diff = (-61, -60, 60, 61);
	my ($second, @answers);

	# all are posted within the second that they are signed for

	for (1 .. 20) {
		$second = int(time()) + 1;

		my @headers = map { [ $one->headers($body, time => $second + $_) ] }
			@diff;

		next if time() >= $second;

		sleep($second - time() + 0.01);

		@answers = Webhook::run(map { Webhook->new($port, $body,
			uri => '/window', headers => $_) } @headers);

		last if int(time()) == $second;
	}

	is(join(' ', map { $_->{status} } @answers), '403 200 200 403',
		"status at a difference of @diff seconds");
});

is(signed($body, $other, uri => '/window')->{status}, 403,
	'the window alone does not do');

# a body is not read for nothing

for my $o ([], [ Sign::TIMESTAMP . ': 1' ], [ Sign::TIMESTAMP . ': 1',
	Sign::SIGNATURE . ': x' ])
{
	my $r = post($port, '', length => 150000000, headers => $o);

	is($r->{status}, 403, '403 before the body');
	is($r->{json}{error}, 'bad_signature', 'error');
}

# other answers, and what the log has

$amp->clear();

for my $case ([ 401, '401 - unauthorized', {}, key => undef ],
	[ 405, '405 - method_not_allowed', {}, method => 'PUT' ],
	[ 415, '415 - content_encoding', {}, headers => [ $one->headers($body),
		'Content-Encoding: gzip' ] ],
	[ 413, '413 - too_large', {}, uri => '/small', length => 2000000,
		headers => [ $one->headers($body) ] ],
	[ 413, '413 - too_large', { length => 1100000 }, uri => '/small',
		chunked => 50000 ])
{
	my ($status, $line, $o, @options) = @$case;
	my $text = $o->{length} ? 'x' x $o->{length} : $body;
	my $r = post($port, $text, $o->{length} ? (headers =>
		[ $one->headers($text) ]) : (), @options);

	is($r->{status}, $status, $line);
	logged("$line 0 0 0 0 0 0 us");
}

is(post($port, $body, uri => '/off')->{status}, 200, 'off: no signature');
logged('200 - - 3 3 0 0 1 0 us');

$amp->script({ status => 503, times => 1 });
is(signed($body, $one)->{status}, 200, 'a retry');
logged('200 ok - 3 3 0 0 1 1 us');

$amp->script({ status => 400, body => '{"error":"Invalid API key: x"}' });
is(signed($body, $one)->{status}, 502, 'refused');
logged('502 ok refused 3 0 0 0 1 0 us');

is(post($port, $body, uri => '/nowhere')->{status}, 404, 'another location');
logged('404 - - 0 0 0 0 0 0 -');

# the client goes away

for my $end (qw(half close reset)) {
	post($port, webhook(events(2000)), uri => '/small', stop => 500000,
		end => $end, headers => [ $one->headers('') ]);
}

is(signed($body, $one)->{status}, 200, 'after clients that went away');

SKIP: {
	skip 'no HTTP/2', 4 if !has_http2();

	my $text = webhook(events(1000));
	my $url = 'http://127.0.0.1:' . ($port + 1) . '/sendgrid';

	for my $case ([ $one, 200, 1000 ], [ $other, 403, 0 ]) {
		my ($key, $status, $n) = @$case;
		my @headers = map { ('-H', $_) } $key->headers($text);

		$amp->clear();

		my ($out) = curl_post($text, $url, '--http2-prior-knowledge', '-w',
			'%{http_code} %{http_version}', @headers);

		like($out, qr/$status 2$/, "HTTP/2: $status");
		is(scalar keys %{ $amp->stored() }, $n, 'stored');
	}
}

# memory

subtest('many held webhooks' => sub {
	plan(skip_all => 'memory of sanitizers') if Gateway::sanitized();

	my $text = webhook(events(2000));
	my $before = $ngx->worker_status('VmRSS');
	my @s;

	for my $i (1 .. 40) {
		my $head = Webhook::request_head(length $text,
			headers => [ $other->headers($text) ]);
		my $s = IO::Socket::INET->new("127.0.0.1:$port") or die "connect: $!";

		$s->print($head, substr($text, 0, -1));
		push @s, $s;
	}

	# all of them is held

	my $held;

	$ngx->wait_for(sub {
		$held = ($ngx->worker_status('VmRSS') - $before) * 1024;
		return $held >= @s * length $text;
	});

	cmp_ok($held, '>=', @s * length $text, 'all are read');
	cmp_ok($held, '<', 40 * (65536 + 1.6 * length $text), 'memory is bounded')
		or diag("$held for " . 40 * length $text);

	for my $s (@s) {
		$s->print(substr($text, -1));
		like(join('', $s->getlines()), qr/ 403 /, 'refused');
	}
});

subtest('memory of rejected events' => sub {
	plan(skip_all => 'memory of sanitizers') if Gateway::sanitized();

	my $before = $ngx->worker_status('VmHWM');
	my $text = '[' . join(',', (1) x 5000000) . ']';

	refused('mismatch', $text, headers => [ $other->headers($text) ]);

	cmp_ok(($ngx->worker_status('VmHWM') - $before) * 1024, '<',
		2 * length $text, 'is no more than twice that of the webhook');
});

unlike($ngx->log() . written("$root/access.log"), qr/\Q$signature\E|\Q$k1\E|
	\Q$k2\E|\Q${\SECRET}\E|\Q${\KEY}\E/x, 'no signature or key in a log');

is_deeply([ $amp->violations() ], [], 'the contract is kept');

# rotation

$ngx->{server} = qq(
	access_log $root/access.log webhook;
	sendgrid_amp_public_key "$k2";
	sendgrid_amp_secret new;
);
renew();

is(signed($body, $one, secret => 'new')->{status}, 403,
	'the first key is accepted no more');
is(signed($body, $two, secret => 'new')->{status}, 200, 'the second is');
is(signed($body, $two)->{status}, 401, 'nor is the old secret');

$ngx->{server} =~ s/(sendgrid_amp_secret) new/$1 new newer/;
renew();

is(signed($body, $two, secret => 'newer')->{status}, 200, 'two secrets: one');
is(signed($body, $two, secret => 'new')->{status}, 200, 'the other');

$ngx->done();
done_testing();

###############################################################################

# waits until the old worker is gone

sub renew {
	my ($old) = $ngx->workers();

	$ngx->reload();
	$ngx->wait_for(sub { !grep { $_ == $old } $ngx->workers() });
}


sub signed {
	my ($text, $key, %o) = @_;
	my %time = map { $_ => delete $o{$_} } grep { exists $o{$_} } 'time';

	return post($port, $text, headers => [ $key->headers($text, %time) ], %o);
}


# a webhook that is answered 403, and of which nothing is sent

sub refused {
	my ($result, $text, @options) = @_;
	my $from = length $ngx->log();

	$amp->clear();

	my $r = post($port, $text, @options);

	is($r->{status}, 403, 'status') or diag($r->{body});
	is($r->{json}{error}, 'bad_signature', 'error');
	is($r->{json}{forwarded}, 0, 'nothing is forwarded');
	is($r->{json}{rejected}, 0, 'nothing is rejected');
	is($r->{json}{batches}, 0, 'no batch');
	is(scalar($amp->requests()), 0, 'nothing is sent');
	logged("403 $result bad_signature");

	my @lines = grep { /client sent/ } split /\n/, $ngx->log($from);

	is(scalar @lines, 1, 'one line');
	like($lines[0], qr/\[info\].*bad signature: $result, /, 'says it');
}


# the last line of the access log

sub logged {
	my ($want) = @_;
	my $last;

	$ngx->wait_for(sub {
		($last) = written("$root/access.log") =~ /([^\n]*)\n\z/;
		return defined $last && $last =~ /^\Q$want\E/;
	}, 1);

	like($last, qr/^\Q$want\E/, "log: $want");
}


sub member {
	my ($v, $name) = @_;

	return (map { $v->{$_} } grep { m!/\Q$name\E$! } keys %$v)[0];
}
