#!/usr/bin/perl

# Webhooks that are refused for their head: at once, with the module's own
# answer, whatever their body is; heads that are unusual and well.

use warnings;
use strict;

use Test::More;

use Digest::SHA qw(sha256);
use List::Util qw(first);
use MIME::Base64 qw(encode_base64);

use Amplitude;
use Faults;
use Gateway;
use Metrics qw(get);
use Sign;
use Util qw(has_http2 lines spew);
use Webhook;

my $amp = Amplitude->new();
my $access = Gateway::root() . '/access.log';
my $ngx = Gateway->new(amplitude => $amp,
	http => 'log_format answers "$server_protocol $status $sendgrid_amp_error";
		log_format regions "[$sendgrid_amp_region]";',
	server => "access_log $access answers;" . '
	location = /signed {
		sendgrid_amp us;
		sendgrid_amp_public_key "' . Sign->new()->base64() . '";
	}

	location = /region {
		sendgrid_amp $arg_region;
		access_log ' . Gateway::root() . '/regions.log regions;
	}

	location = /denied { sendgrid_amp us; deny all; }
	location = /mirror { sendgrid_amp us; mirror /copy; }
	location = /copy { return 204; }

	location = /mirror/small {
		sendgrid_amp us;
		mirror /copy;
		client_max_body_size 20;
	}

	location = /small { sendgrid_amp us; client_max_body_size 1; }

	location = /empty {
		sendgrid_amp us;
		sendgrid_amp_auth off;
		sendgrid_amp_api_key $arg_key;
	}

	location = /amplitude/eu {
		internal;
		proxy_pass http://127.0.0.1:' . $amp->port() . '/batch;
	}
')->start();

my $port = $ngx->port();
my $body = webhook(events(3));
my $basic = 'Authorization: Basic ' . encode_base64(KEY . ':' . SECRET, '');

# what is wrong, the status, the keyword or undef of nginx's own answer

my @refused = (
	[ 'no credentials', 401, 'unauthorized', key => undef ],
	[ 'wrong password', 401, 'unauthorized', secret => 'wrong' ],
	[ 'PUT', 405, 'method_not_allowed', method => 'PUT' ],
	[ 'GET', 405, 'method_not_allowed', method => 'GET' ],
	[ 'mirror, wrong password', 401, 'unauthorized', uri => '/mirror',
		secret => 'wrong' ],
	[ 'no signature', 403, 'bad_signature', uri => '/signed' ],
	[ 'gzip', 415, 'content_encoding',
		headers => [ 'Content-Encoding: gzip' ] ],
	[ 'unknown region', 500, 'internal', uri => '/region?region=x' ],
	[ 'too large', 413, 'too_large', uri => '/small' ],
	[ 'deny', 403, undef, uri => '/denied' ],
);

for my $case (@refused) {
	my ($name, $status, $keyword, @post) = @$case;

	# the client waits for an invitation

	my $client = Webhook->new($port, $body, @post, expect => 1, keepalive => 1,
		timeout => 5);
	my ($r) = Webhook::run($client);

	is($r->{status}, $status, "Expect, $name: status");
	is($r->{json}{error}, $keyword, "Expect, $name: keyword");
	ok(!$r->{interim}, "Expect, $name: no 100");

	if ($keyword && $status != 413) {
		is($r->{headers}{connection}, 'close', "Expect, $name: close");
		ok(closed($client), "Expect, $name: closed at once");
	}

	# the client does not wait

	$r = post($port, '', raw => head(@post, expect => 1) . $body,
		keepalive => 1);
	is($r->{status}, $status, "Expect and a body, $name: status");
	is($r->{json}{error}, $keyword, "Expect and a body, $name: keyword");
	ok(!$r->{interim}, "Expect and a body, $name: no 100");

	# broken chunks; nginx does not know that they are too large

	next if !$keyword || $status == 413;

	for my $chunks ("x\r\n", "5\r\nhello!\r\n", "5 \r\nhello\r\nx\r\n", "\r\n",
		'-1', 'f' x 40 . "\r\n")
	{
		my $text = $chunks =~ s/\r\n/ /gr;
		my $sent = head(@post, chunked => 1) . $chunks;

		$r = post($port, '', raw => $sent, timeout => 5);
		is($r->{status}, $status, "chunks $text, $name: status");
		is($r->{json}{error}, $keyword, "chunks $text, $name: keyword");
		is($r->{headers}{connection}, 'close', "chunks $text, $name: close");
	}
}

# the fault of the chunks comes after the answer

my $client = Webhook->new($port, '', raw => head(key => undef, chunked => 1)
	. "5\r\nhel", keepalive => 1);
my ($r) = Webhook::run($client);

is($r->{status}, 401, 'chunks that end later: status');
syswrite($client->{socket}, "lo, and more\r\n");
ok(closed($client), 'chunks that end later: closed');

# a body that is well is no reason to close

for my $how ([], [ chunked => 20 ]) {
	$client = Webhook->new($port, $body, key => undef, @$how, keepalive => 1);
	($r) = Webhook::run($client);

	my $name = @$how ? 'in chunks' : 'with a length';

	is($r->{status}, 401, "refused, a body $name: status");
	is(post($port, $body, after => $client)->{status}, 200,
		"refused, a body $name: the connection is kept");
}

# who is welcome is invited

$r = post($port, $body, expect => 1);
is($r->{status}, 200, 'Expect: status');
ok($r->{interim}, 'Expect: 100');

$r = post($port, $body, uri => '/mirror', expect => 1);
is($r->{json}{forwarded}, 3, 'Expect and mirror: forwarded');
ok($r->{interim}, 'Expect and mirror: 100');

$r = post($port, $body, uri => '/mirror/small', expect => 1, chunked => 100);
is($r->{status}, 413, 'Expect, mirror and a large body: status');
is($r->{json}{error}, 'too_large', 'Expect, mirror and a large body: keyword');

# mirror finds the fault of a body before the module is asked

$r = post($port, '', raw => head(uri => '/mirror', chunked => 1) . "x\r\n");
is("$r->{status} $r->{json}{error}", '400 bad_request', 'mirror, a broken body');

$r = post($port, '', raw => "HEAD /sendgrid HTTP/1.0\r\n\r\n");
like($r->{body}, qr!^HTTP/1\.1 405 Not Allowed\r\n.*\r\n\r\n\z!s,
	'HEAD: no body');

# HTTP/1.0 and HTTP/0.9

$r = post($port, '', raw => "POST /sendgrid HTTP/1.0\r\n\r\n");
is($r->{status}, 401, 'HTTP/1.0, no credentials');

$r = post($port, '', raw => "POST /sendgrid HTTP/1.0\r\n"
	. "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n[]");
is($r->{status}, 401, 'HTTP/1.0, no credentials, Expect');

$r = post($port, '', raw => "POST /sendgrid HTTP/1.0\r\n$basic\r\n\r\n");
is($r->{json}{at}, 0, 'HTTP/1.0, no length: an empty body');

$r = post($port, '', raw => "POST /sendgrid HTTP/1.0\r\n$basic\r\n"
	. "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n[]");
is($r->{status}, 200, 'HTTP/1.0, Expect');

$r = post($port, '', raw => "GET /sendgrid\r\n");
like($r->{body}, qr/"error":"method_not_allowed"/, 'HTTP/0.9');

# Content-Encoding

my @encodings = (
	[ 200, '' ], [ 200, 'identity' ], [ 200, 'Identity' ], [ 200, '  ' ],
	[ 200, '', '' ], [ 200, '', 'identity' ], [ 415, 'gzip' ],
	[ 415, '', 'gzip' ], [ 415, 'identity', 'gzip' ], [ 415, 'gzip', '' ],
	[ 415, 'identity, gzip' ], [ 415, 'identit' ], [ 415, 'identityx' ],
	[ 415, '"' ],
);

for my $case (@encodings) {
	my ($status, @values) = @$case;

	is(post($port, $body, headers =>
		[ map { "Content-Encoding: $_" } @values ])->{status}, $status,
		'Content-Encoding: ' . join ' and ', map { "\"$_\"" } @values);
}

# nginx keeps headers in lists of 20

my @many = map { "X-Header-$_: $_" } 1 .. 25;

for my $n (18 .. 25) {
	my @others = @many[0 .. $n - 1];

	is(post($port, $body, headers => [ @others, 'Content-Encoding: gzip' ])
		->{status}, 415, "Content-Encoding behind $n others");
	is(post($port, $body, headers => \@others)->{status}, 200,
		"none behind $n others");
}

is(post($port, $body, headers => [ 'Content-EncodingS: gzip',
	'Content-Encodin: gzip', 'X-Content-Encoding: gzip' ])->{status}, 200,
	'headers of similar names');
is(post($port, $body, headers => [ 'cONTENT-eNCODING: gzip' ])->{status}, 415,
	'Content-Encoding in another letter case');

# all that a refused webhook is told

my @answers = (
	[ 401, 'Unauthorized', 'unauthorized', { 'www-authenticate' =>
		'Basic realm="SendGrid Event Webhook"' }, key => undef ],
	[ 405, 'Not Allowed', 'method_not_allowed', { allow => 'POST' },
		method => 'PUT' ],
	[ 403, 'Forbidden', 'bad_signature', {}, uri => '/signed' ],
	[ 413, 'Request Entity Too Large', 'too_large', {}, uri => '/small' ],
	[ 415, 'Unsupported Media Type', 'content_encoding', {},
		headers => [ 'Content-Encoding: gzip' ] ],
	[ 500, 'Internal Server Error', 'internal', {},
		uri => '/region?region=x' ],
);

for my $case (@answers) {
	my ($status, $reason, $keyword, $headers, @post) = @$case;

	$r = post($port, $body, @post);
	delete @{ $r->{headers} }{qw(server date)};

	is("$r->{status} $r->{reason}", "$status $reason",
		"$status $keyword: status line");
	is($r->{body}, '{"received":0,"forwarded":0,"ignored":0,"rejected":0,'
		. qq("batches":0,"error":"$keyword"}\n), "$status $keyword: body");
	is_deeply($r->{headers}, { %$headers, connection => 'close',
		'content-type' => 'application/json',
		'content-length' => length $r->{body} },
		"$status $keyword: headers") or diag(explain($r->{headers}));
}

# regions, and where their batches go

for my $case ([ 'us', '/2/httpapi' ], [ 'eu', '/batch' ],
	[ '/amplitude/us', '/2/httpapi' ], [ '/amplitude/eu', '/batch' ])
{
	my ($region, $uri) = @$case;

	$amp->clear();
	is(post($port, $body, uri => "/region?region=$region")->{status}, 200,
		"region $region: status");
	is(join(' ', map { $_->{uri} } $amp->requests()), $uri,
		"region $region: where batches go");
}

my @unknown = ('usa', 'euro', 'u', 'e', 'ua', 'eo', 'as', 'au', 'US', 'us/',
	'amplitude/us', '');

for my $region (@unknown) {
	my $from = length $ngx->log();

	$amp->clear();
	is(post($port, $body, uri => "/region?region=$region")->{status}, 500,
		"region \"$region\": status");
	is(scalar($amp->requests()), 0, "region \"$region\": nothing is sent");
	is(said($from), qq([error] "sendgrid_amp" got the region "$region", it )
		. qq(must be "us", "eu" or an internal location\n)
		. '[error] "sendgrid_amp" failed: no way or form for the webhook',
		"region \"$region\": error log");
}

is_deeply([ regions(@unknown) ],
	[ map { "[$_]" } @unknown[0 .. $#unknown - 1], '-' ], 'unknown regions in the access log');

# passwords are compared as a whole, and so are their hashes

my $hash = substr(sha256(SECRET), 0, 2);
my $similar = first { substr(sha256($_), 0, 2) eq $hash } 1 .. 1000000;

is(post($port, $body, secret => $similar)->{status}, 401,
	"a password whose hash begins as that of the secret: $similar");

# what the error log tells of credentials

for my $case ([ 'client sent no credentials', key => undef ],
	[ 'client sent no credentials', key => '' ],
	[ 'client sent no credentials', key => undef,
		headers => [ 'Authorization: Bearer x' ] ],
	[ 'client sent a password that is not one of "sendgrid_amp_secret"',
		secret => 'wrong' ],
	[ '"sendgrid_amp_api_key" is empty', uri => '/empty?key=' ])
{
	my ($text, @post) = @$case;
	my $from = length $ngx->log();

	is(post($port, $body, @post)->{status}, 401, "@post[0 .. 0], $text: status");
	is(said($from), "[info] $text", "@post[0 .. 0], $text: error log");
}

# HTTP/2

SKIP: {
	skip('no HTTP/2', 8) if !has_http2();

	my $good = '-u ' . KEY . ':' . SECRET;
	my $file = Gateway::root() . '/webhook';

	spew($file, $body);

	my $data = "--data-binary \@$file";

	is(http2("-X POST"), '401 unauthorized', 'HTTP/2, no body and credentials');
	is(http2("$data"), '401 unauthorized', 'HTTP/2, no credentials');
	is(http2("$data -H 'Expect: 100-continue'"), '401 unauthorized',
		'HTTP/2, no credentials, Expect');
	is(http2("$good -X POST"), '400 invalid_json', 'HTTP/2, no body');
	is(http2("$good -X PUT"), '405 method_not_allowed', 'HTTP/2, PUT');
	is(http2("$good $data -H 'Content-Encoding;'"), '200 -',
		'HTTP/2, Content-Encoding: ""');
	is(http2("$good $data -H 'Content-Encoding: br'"), '415 content_encoding',
		'HTTP/2, Content-Encoding: "br"');
	is(http2("$good $data -H 'Expect: 100-continue'"), '200 -',
		'HTTP/2, Expect');
}

is_deeply([ $amp->violations() ], [], 'the contract is kept');
$ngx->done();

# what the error log says if there is no memory, wherever it is missed

subtest('no memory' => sub {
	plan(skip_all => Faults::missing()) if Faults::missing();
	plan(skip_all => 'calls of this nginx cannot be replaced')
		if Gateway::sanitized();

	my $faults = Faults->new();
	my $key = Sign->new();
	my @signed = (uri => '/signed', headers => [ $key->headers($body) ]);

	$ngx = Gateway->new(amplitude => $amp, env => { $faults->env() },
		http => 'sendgrid_amp_zone figures:64k;', server => '
			location = /status { sendgrid_amp_status; }

			location = /signed {
				sendgrid_amp us;
				sendgrid_amp_public_key "' . $key->base64() . '";
			}
		')->start();

	# a worker takes some memory for its first webhook

	post($port, $body, @signed);

	my %said;

	for my $case ([ signed => malloc => 20 ], [ plain => malloc => 12 ],
		[ plain => posix_memalign => 8 ], [ status => malloc => 6 ])
	{
		my ($what, $call, $max) = @$case;

		for my $nth (1 .. $max) {
			my $from = length $ngx->log();

			$faults->arm($call, $nth);

			my $answer = $what eq 'signed' ? post($port, $body, @signed)
				: $what eq 'plain' ? post($port, $body)
				: get($port, '/status');

			$faults->disarm();
			$ngx->wait_for(sub { !$amp->in_flight() });

			my $log = $ngx->log($from);

			$said{"$1 $2"}{ $answer->{status} } = 1 while $log
				=~ /(\[\w+\]) \d+#\d+: \*\d+ ("sendgrid_amp\w*" [^\n,]*)/g;
		}
	}

	my $failed = '[error] "sendgrid_amp" failed:';

	for my $text ("$failed credentials cannot be checked",
		"$failed OpenSSL cannot hash the body",
		"$failed OpenSSL cannot verify a signature while verifying SendGrid "
			. 'events',
		"$failed no memory to parse the webhook",
		"$failed no memory for an element of the webhook while reading SendGrid "
			. 'events',
		"$failed no memory to send a batch while verifying SendGrid events",
		'[error] "sendgrid_amp_status" has no memory for the figures')
	{
		is(join(' ', sort keys %{ $said{$text} || {} }), 500, $text);
	}

	$ngx->done(qr/\[emerg\].*(?:malloc|posix_memalign)/);
});

done_testing();

###############################################################################

sub head {
	return Webhook::request_head(length $body, keepalive => 1, @_);
}


# the last lines of the log of regions, as many as there are

sub regions {
	my $n = @_;
	my @lines;

	$ngx->wait_for(sub {
		chomp(@lines = lines(Gateway::root() . '/regions.log'));
		return ($lines[-1] // '') eq '[-]';
	});

	return @lines[-$n .. -1];
}


# what the error log tells of a request, less those that are with each line

sub said {
	my ($from) = @_;
	my @lines;

	$ngx->wait_for(sub {
		@lines = map { m!(\[\w+\]) \d+#\d+: \*\d+ (.*), client: ! ? "$1 $2" : () }
			split /\n/, $ngx->log($from);
		return @lines;
	});

	return join "\n", @lines;
}


# whether nginx closes the connection of a client soon

sub closed {
	my ($c) = @_;

	return $ngx->wait_for(sub {
		my $n = sysread($c->{socket}, my $in, 1024);
		return defined $n ? $n == 0 : !$!{EAGAIN};
	}, 2);
}


# the status and the keyword in the access log, since curl may miss an answer
# that comes before all of the body is sent

sub http2 {
	my ($arguments) = @_;
	my $url = 'http://127.0.0.1:' . $ngx->port(1) . '/sendgrid';
	my $at = -s $access;

	`curl -s --max-time 30 --http2-prior-knowledge $arguments $url`;

	return $ngx->wait_for(sub {
		my ($line) = map { m!^HTTP/2\.0 (.*)\n! } lines($access, $at);
		return $line;
	});
}
