#!/usr/bin/perl

# No header of SendGrid's request goes to Amplitude, nothing secret or
# personal to the log or into an answer.

use warnings;
use strict;

use Test::More;

use FindBin;
use MIME::Base64 qw(encode_base64);

use Amplitude;
use Gateway;
use Util qw(slurp);
use Webhook;

my $amp = Amplitude->new();
my $upstream = 'http://127.0.0.1:' . $amp->port();

my $ngx = Gateway->new(amplitude => $amp, server => qq(
	location = /mirror { sendgrid_amp us; mirror /nothing; }
	location = /nothing { internal; return 204; }
	location = /small { sendgrid_amp us; sendgrid_amp_max_event_size 1k; }
	location = /region { sendgrid_amp \$arg_region; }

	location = /secret {
		sendgrid_amp us;
		sendgrid_amp_secret hidden-secret;
		sendgrid_amp_api_key hidden-key;
	}

	location = /extra { sendgrid_amp /amplitude/extra; }

	location = /amplitude/extra {
		internal;
		proxy_pass $upstream/batch;
		proxy_set_header Host api2.amplitude.com;
		proxy_set_header X-Static yes;
		proxy_set_header X-Cookie "[\$http_cookie]";
		proxy_set_header X-Error "\$sendgrid_amp_error";
		proxy_set_header X-Received "\$sendgrid_amp_received";
		proxy_set_header X-Region "\$sendgrid_amp_region";
		proxy_set_header X-Signature "\$sendgrid_amp_signature";
		proxy_set_header X-User "[\$remote_user]";
		proxy_set_header X-Authorization "[\$http_authorization]";
	}

	location = /plain { sendgrid_amp /amplitude/plain; }
	location = /amplitude/plain { internal; proxy_pass $upstream/2/httpapi; }

	location = /down { sendgrid_amp /amplitude/down; }
	location = /amplitude/down { internal; proxy_pass http://127.0.0.1:9/; }
))->start();

my @headers = (
	'Cookie: session=cookie-value', 'Accept-Encoding: gzip', 'Accept: */*',
	'X-Twilio-Email-Event-Webhook-Signature: signature-value',
	'X-Twilio-Email-Event-Webhook-Timestamp: 1700000000',
	'X-Forwarded-For: 198.51.100.7', 'X-Real-IP: 198.51.100.7',
	'Referer: http://referer.example/', 'Range: bytes=0-1',
	'If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT', 'If-None-Match: "x"',
	'TE: trailers', 'Trailer: X-Trailer', 'Upgrade: h2c',
	'Via: 1.1 proxy', 'Proxy-Authorization: Basic eDp5', 'Keep-Alive: 300',
	'Content-Language: en', 'Content-MD5: eHg=', 'X_Under_Score: 1',
	'X-Custom: custom-value', 'X-Custom: custom-value', 'Forwarded: for=x',
	'X-Long: ' . ('l' x 3000),
);

my $personal = event('p', email => '"person@private.example"',
	ip => '"192.0.2.77"', url => '"https://link.example/?token=t0ken"');

for my $uri ('/sendgrid', '/mirror', '/plain', '/sendgrid?token=t0ken') {
	for my $how ([], [ chunked => 50 ], [ expect => 1 ], [ every => 700 ]) {
		subtest("$uri @$how" => sub {
			$amp->clear();

			my $r = post($ngx->port(), webhook($personal), uri => $uri,
				headers => \@headers, @$how);

			is($r->{status}, 200, 'answer') or diag($r->{body});

			my ($request) = $amp->requests();
			# nginx sends a "Connection" of its own, or none in newer versions

			my @names = grep { $_ ne 'connection' || $uri !~ m!^/plain! }
				sort keys %{ $request->{headers} };

			is("@names", 'content-length content-type host', 'headers');
			is($request->{headers}{'content-type'}, 'application/json', 'type');
			is($request->{headers}{'content-length'}, length $request->{body},
				'length');
			is($request->{uri}, '/2/httpapi', 'path without arguments');
			is($request->{method}, 'POST', 'method');
		});
	}
}

subtest('headers that were asked for' => sub {
	$amp->clear();
	$amp->set(headers => 'x-static|x-cookie|x-user|x-authorization'
		. '|x-error|x-received|x-region|x-signature');
	post($ngx->port(), webhook($personal), uri => '/extra',
		headers => \@headers);

	my ($request) = $amp->requests();

	is($request->{headers}{host}, 'api2.amplitude.com', 'Host');
	is($request->{headers}{'x-static'}, 'yes', 'a constant');
	is($request->{headers}{'x-cookie'}, '[]', 'not even by a variable');
	is(join(' ', map { $request->{headers}{"x-$_"} }
		qw(error received region signature)), '- 1 /amplitude/extra -',
		'variables are those of the webhook');
	is($request->{headers}{'x-user'}, '[]', 'nor the user name');
	is($request->{headers}{'x-authorization'}, '[]', 'nor the credentials');
	is_deeply([ $amp->violations() ], [], 'the contract is kept');
});

# ids of rejected events, as far as they can be no address

for my $case ([ '', '' ], [ 'a' x 100, 'a' x 100 ], [ 'b' x 101, 'b' x 100 ],
	[ 'c' x 5000, 'c' x 100 ], [ ('d' x 100) . '@', 'd' x 100 ],
	[ ('e' x 99) . '@', '?' ], [ '@' . ('f' x 99), '?' ],
	[ '0189-AMZ_amz=', '0189-AMZ_amz=' ],
	map { [ "g${_}g", '?' ] } '/', ':', '@', '[', '`', '{', '.', '+', ',', '<',
	'>', '^', ' ', "\x7f", "\xc3\xa9")
{
	my ($id, $want) = @$case;
	my $from = length $ngx->log();

	post($ngx->port(), webhook(event(1, email => undef,
		sg_event_id => qq("$id"))));

	my @lines = $ngx->log($from)
		=~ /(\[\w+\]) [^\n]*?(event rejected: [^\n]*?)(?: while [^\n]*)?, client: /g;

	is("@lines", '[warn] event rejected: no_user_id, field: "", sg_event_id: '
		. qq("$want"), 'id "' . substr($id, 0, 5) . '", ' . length($id)
		. ' bytes');
}

# all that goes wrong, too

my $port = $ngx->port();
my $body = webhook($personal);
my @answers = (
	post($port, $body, key => 'hidden-key', secret => 'wr0ng-secret'),
	post($port, $body, key => undef,
		headers => [ 'Authorization: Bearer hidden-key' ]),
	post($port, $body, uri => '/secret', secret => 'hidden-secret'),
	post($port, $body, uri => '/secret', secret => 'hidden-secret2'),
	post($port, $body, uri => '/region?region=hidden', key => 'hidden-key'),
	post($port, $body, uri => '/down', key => 'hidden-key'),
	post($port, webhook(event('q', pad => '"' . ('hidden' x 500) . '"')),
		uri => '/small'),
	post($port, '[{"email":"person@private.example","event":hidden}]'),
	post($port, '["person@private.example",{"hidden":1}]'),
	post($port, '[{"email":"person@private.example"},{"event":"open",'
		. '"amp_user_id":" ","name":"hidden"}]'),
	post($port, $body, method => 'PUT', key => 'hidden-key'),
	post($port, $body, headers => [ 'Content-Encoding: gzip' ]),
	post($port, $body, stop => 200, end => 'close'),
	post($port, $body, stop => 200, end => 'reset'),
);

for my $file ('400-invalid-api-key.json', '400-html.html', '403-waf.json',
	'500-code-only.json', '429-http-v2-docs.json')
{
	$amp->script({ file => $file });
	push @answers, post($port, $body, key => 'hidden-key');
}

$ngx->wait_for(sub { !$amp->in_flight() });

my $log = $ngx->log() =~ s/region=hidden//gr;
my %hidden = (
	'API key' => KEY,
	'a wrong key' => 'hidden-key',
	'the secret' => SECRET,
	'a configured secret' => 'hidden-secret',
	'a wrong secret' => 'wr0ng',
	'encoded credentials' => substr(encode_base64(KEY . ':' . SECRET), 0, 20),
	'an address' => 'person@',
	'a part of an address' => 'private.example',
	'an IP of an event' => '192.0.2.77',
	'a link' => 'link.example',
	'a body' => 'newuser',
	'a value' => 'hiddenhidden',
	'a cookie' => 'cookie-value',
	'a signature' => 'signature-value',
	'the key in an answer' => '00000000000000000000000000000000',
);

for my $name (sort keys %hidden) {
	my @lines = grep { index($_, $hidden{$name}) != -1 } split /\n/, $log;

	is("@lines", '', "not in the log: $name");

	my @told = grep { index($_, $hidden{$name}) != -1 }
		map { ($_->{head} // '') . $_->{body} } @answers;

	is("@told", '', "not in an answer: $name");
}

like($log, qr/\[info\]/, 'the log is at info level');

is_deeply([ grep { !/Content-Length/ } $amp->violations() ], [],
	'the contract is kept');
$ngx->done();
# 500 is logged with its reason: one function alone makes it

my @silent = map { /ngx_http_sendgrid_amp_fail\([^;]*_INTERNAL\)/g }
	map { slurp($_) } map { glob "$FindBin::Bin/../$_" } qw(src/http/*.c *.c);

is(scalar @silent, 1, 'no 500 without a line in the log');

done_testing();
