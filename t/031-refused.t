#!/usr/bin/perl

# Webhooks that are not JSON, and credentials that are not right: tables.

use warnings;
use strict;

use Test::More;

use MIME::Base64 qw(encode_base64);

use Amplitude;
use Gateway;
use Webhook;

my $amp = Amplitude->new();
my $ngx = Gateway->new(amplitude => $amp, server => '
	location = /one {
		sendgrid_amp us;
		sendgrid_amp_batch_events 1;
		sendgrid_amp_concurrency 1;
		sendgrid_amp_max_event_size 2m;
	}

	location = /small { sendgrid_amp us; sendgrid_amp_max_event_size 100; }
	location = /once { sendgrid_amp us; sendgrid_amp_retries 0; }
	location = /subrequest { auth_request /sendgrid; empty_gif; }
')->start();

my $event = event(1);
my $n = length $event;

# [ name, body, where the fault is or undef ]

my @invalid = (
	[ 'nothing', '', 0 ],
	[ 'white space', " \r\n\t", 4 ],
	[ 'byte order mark', "\xef\xbb\xbf", 3 ],
	[ 'half of a byte order mark', "\xef\xbb[]", 0 ],
	[ 'two byte order marks', "\xef\xbb\xbf\xef\xbb\xbf[]", 3 ],
	[ 'UTF-16', "\xff\xfe[\0]\0", 0 ],
	[ 'text', 'hello', 0 ],
	[ 'form', 'email=a%40x.com&event=open', 0 ],
	[ 'string', '"text"', 0 ],
	[ 'number', '5', 0 ],
	[ 'true', 'true', 0 ],
	[ 'null', 'null', 0 ],
	[ 'comma', ',', 0 ],
	[ 'closing bracket', ']', 0 ],
	[ 'comment', '/* a */ []', 0 ],
	[ 'cut after [', '[', 1 ],
	[ 'cut after {', '[{', 2 ],
	[ 'cut in an event', substr("[$event", 0, 100), 100 ],
	[ 'cut after an event', "[$event", 1 + $n ],
	[ 'cut after a comma', "[$event,", 2 + $n ],
	[ 'cut after the second event', "[$event,$event", 2 + 2 * $n ],
	[ 'cut in a single event', substr($event, 0, -1), $n - 1 ],
	[ 'text after the end', '[] x', 3 ],
	[ 'two arrays', '[][]', 2 ],
	[ 'two events without an array', '{} {}', 3 ],
	[ 'event after the array', "[]$event", 2 ],
	[ 'bracket after the array', '[]]', 2 ],
	[ 'brace after the array', "[$event]}", 2 + $n ],
	[ 'no comma', "[$event$event]", 1 + $n ],
	[ 'two commas', "[$event,,$event]", 2 + $n ],
	[ 'comma before ]', "[$event,]", 2 + $n ],
	[ 'comma first', "[,$event]", 1 ],
	[ 'wrong bracket', '[{"a":1]', undef ],
	[ 'wrong brace', '[}', 1 ],
	[ 'no value', '[{"a":}]', undef ],
	[ 'no colon', '[{"a" 1}]', undef ],
	[ 'no name', '[{:1}]', undef ],
	[ 'comma before }', '[{"a":1,}]', undef ],
	[ 'name without quotes', '[{a:1}]', undef ],
	[ 'single quotes', "[{'a':1}]", undef ],
	[ 'NaN', '[{"a":NaN}]', undef ],
	[ 'Infinity', '[{"a":-Infinity}]', undef ],
	[ 'hexadecimal', '[{"a":0x10}]', undef ],
	[ 'leading zero', '[{"a":01}]', undef ],
	[ 'leading plus', '[{"a":+1}]', undef ],
	[ 'no digit after the point', '[{"a":1.}]', undef ],
	[ 'no digit before the point', '[{"a":.5}]', undef ],
	[ 'no digit in the exponent', '[{"a":1e}]', undef ],
	[ 'True', '[{"a":True}]', undef ],
	[ 'undefined', '[{"a":undefined}]', undef ],
	[ 'comment in an event', '[{/* a */"a":1}]', undef ],
	[ 'line feed in a string', qq([{"a":"x\ny"}]), undef ],
	[ 'NUL in a string', qq([{"a":"x\0y"}]), undef ],
	[ 'NUL after the end', "[]\0", 2 ],
	[ 'unknown escape', '[{"a":"\x"}]', undef ],
	[ 'short escape', '[{"a":"\u12"}]', undef ],
	[ 'string without an end', '[{"a":"x}]', undef ],
	[ '41 levels', '[' . ('{"a":' x 41) . '1' . ('}' x 41) . ']', undef ],
	[ '41 levels of arrays', '[{"a":' . ('[' x 40) . (']' x 40) . '}]',
		undef ],
	[ '41 levels without an event', ('[' x 42) . (']' x 42), undef ],
	[ 'a hundred thousand brackets', '[' x 100000, undef ],
	[ 'a hundred thousand braces', '[' . ('{"a":' x 100000), undef ],
);

for my $case (@invalid) {
	my ($name, $body, $at) = @$case;

	subtest("400: $name" => sub {
		for my $uri ('/sendgrid', '/one') {
			refused(post($ngx->port(), $body, uri => $uri), $at, length $body);
		}

		refused(post($ngx->port(), $body, every => 1), $at, length $body)
			if length $body < 1000;
	});
}

subtest('40 levels are well' => sub {
	my $deep = ('{"a":' x 39) . '1' . ('}' x 39);

	is(post($ngx->port(), webhook(event(1, a => $deep)))->{status}, 200,
		'objects');

	$deep = ('[' x 39) . (']' x 39);

	is(post($ngx->port(), webhook(event(1, a => $deep)))->{status}, 200,
		'arrays');
});

subtest('what was forwarded before the fault is told' => sub {
	$amp->clear();

	my $body = webhook(events(3)) =~ s/\]\r\n$/,x]/r;
	my $r = post($ngx->port(), $body, uri => '/one');

	is($r->{status}, 400, 'status');
	is($r->{json}{error}, 'invalid_json', 'error');
	is($r->{json}{at}, length($body) - 2, 'at');
	is($r->{json}{forwarded}, scalar keys %{ $amp->stored() }, 'forwarded');
	is($r->{json}{received}, 3, 'received');
});

# limits that need much input and must not need much memory

my @large = (
	[ 'endless string', '[{"a":"' . ('x' x 4000000) ],
	[ 'endless key', '[{"' . ('x' x 4000000) ],
	[ 'endless number', '[{"a":' . ('1' x 4000000) ],
	[ 'endless white space in an event', '[{"a":' . (' ' x 4000000) ],
	[ 'endless white space first', ' ' x 4000000 ],
	[ 'endless white space between events', "[$event,"
		. (' ' x 4000000) . "$event]", 1 ],
	[ 'endless white space last', "[$event]" . (' ' x 4000000), 1 ],
	[ 'endless escapes', '[{"a":"' . ('\u00e9' x 700000) ],
	[ 'large event', '[{"a":[' . join(',', (1) x 2000000) . ']}]' ],
	[ 'large number of members', '[{' . join(',', map { qq("k$_":$_) }
		1 .. 200000) . '}]' ],
);

my $before = $ngx->worker_status('VmHWM');

for my $case (@large) {
	my ($name, $body, $received) = @$case;
	my $r = post($ngx->port(), $body);

	is($r->{status}, 413, $name) or diag($r->{body});
	is($r->{json}{error}, 'too_large', 'error');
	is($r->{json}{received}, $received // 0, 'received');
}

SKIP: {
	skip 'memory of sanitizers', 1 if Gateway::sanitized();

	cmp_ok($ngx->worker_status('VmHWM') - $before, '<', 4096, 'flat memory');
}

# credentials

my $good = encode_base64(KEY . ':' . SECRET, '');

my %wrong = (
	'none' => undef,
	'empty' => '',
	'scheme only' => 'Basic',
	'scheme and a blank' => 'Basic ',
	'other scheme' => "Bearer $good",
	'no scheme' => $good,
	'not encoded' => 'Basic ' . KEY . ':' . SECRET,
	'not base64' => 'Basic !!!!',
	'cut base64' => 'Basic ' . substr($good, 0, 20),
	'password missing' => basic(KEY),
	'password empty' => basic(KEY . ':'),
	'password in other case' => basic(KEY . ':' . lc SECRET),
	'password cut' => basic(KEY . ':' . substr(SECRET, 0, -1)),
	'password with more' => basic(KEY . ':' . SECRET . 'x'),
	'password with NUL' => basic(KEY . ':' . SECRET . "\0"),
	'password twice' => basic(KEY . ':' . SECRET . SECRET),
	'password with a space' => basic(KEY . ': ' . SECRET),
	'user empty' => basic(':' . SECRET),
	'both empty' => basic(':'),
	'both swapped' => basic(SECRET . ':' . KEY),
	'two colons' => basic(KEY . '::' . SECRET),
);

$amp->clear();

for my $name (sort keys %wrong) {
	subtest("401: $name" => sub {
		my $r = post($ngx->port(), webhook($event), key => undef, headers =>
			[ defined $wrong{$name} ? "Authorization: $wrong{$name}" : () ]);

		is($r->{status}, 401, 'status');
		is($r->{json}{error}, 'unauthorized', 'error');
		is($r->{headers}{'www-authenticate'},
			'Basic realm="SendGrid Event Webhook"', 'WWW-Authenticate');
		is(scalar($amp->requests()), 0, 'nothing is sent');
	});
}

for my $value (basic(KEY . ':' . SECRET) =~ s/Basic/basic/r,
	basic(KEY . ':' . SECRET) =~ s/Basic/BASIC/r)
{
	is(post($ngx->port(), '[]', key => undef, headers =>
		[ "Authorization: $value" ])->{status}, 200,
		substr($value, 0, 5) . ' is Basic');
}

# a large body is not read before it is refused

my $r = post($ngx->port(), '', key => undef, length => 150000000);

is($r->{status}, 401, '401 before the body');

$r = post($ngx->port(), '', length => 300000000);

is($r->{status}, 413, '413 before the body');
is($r->{json}{error}, 'too_large', 'error');

# the log says why, and what the worker was at

my @log = (
	[ 'no JSON', '[x', '[info] client sent an invalid webhook, at byte 1 while '
		. 'reading SendGrid events' ],
	[ 'large event', '[1,' . event(1, a => '"' . 'x' x 60 . '"') . ']',
		'[info] client sent an event that is too large, at byte '
		. (3 + length event(1, a => '"' . 'x' x 60 . '"')) . ' while reading '
		. 'SendGrid events', uri => '/small' ],
	[ 'no object', '[1]', '[warn] event rejected: not_an_object, field: "", '
		. 'sg_event_id: "" while reading SendGrid events' ],
	[ 'Amplitude answers 503', "[$event]", '[warn] amplitude answered 503 to 1 '
		. 'events of the region "us" while waiting for Amplitude',
		uri => '/once' ],
	[ 'a subrequest', "[$event]", '[error] "sendgrid_amp" cannot serve the '
		. 'subrequest "/sendgrid"', uri => '/subrequest' ],
);

$amp->script({ status => 503, times => 0 });

for my $case (@log) {
	my ($name, $body, $message, @options) = @$case;
	my $from = length $ngx->log();

	post($ngx->port(), $body, @options);

	my @lines = map { s/\d+#\d+: \*\d+ //r =~ s/^\S+ \S+ |, client: .*//gr }
		split /\n/, $ngx->log($from);

	is(scalar(grep { $_ eq $message } @lines), 1, "log: $name")
		or diag(explain(\@lines));
}

is_deeply([ $amp->violations() ], [], 'the contract is kept');
$ngx->done();
done_testing();

###############################################################################

sub refused {
	my ($r, $at, $length) = @_;

	is($r->{status}, 400, 'status') or diag($r->{body});
	is($r->{json}{error}, 'invalid_json', 'error');

	if (defined $at) {
		is($r->{json}{at}, $at, 'at');

	} else {
		like($r->{json}{at}, qr/^\d+$/, 'at');
		cmp_ok($r->{json}{at} // -1, '<=', $length, 'at is inside');
	}

	is($r->{headers}{'content-type'}, 'application/json', 'type');
}


sub basic {
	return 'Basic ' . encode_base64($_[0], '');
}
