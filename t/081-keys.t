#!/usr/bin/perl

# Public keys in the configuration, and an API key in the path.

use warnings;
use strict;

use Test::More;

use Fcntl qw(O_NONBLOCK O_WRONLY);
use JSON::PP qw(decode_json);
use MIME::Base64 qw(decode_base64);
use POSIX ();

use Amplitude;
use Gateway;
use Sign;
use Util qw(slurp written);
use Webhook;

my $root = Gateway::root();
my $port = Gateway->port();

my ($one, $two) = map { Sign->new() } 1 .. 2;
my ($k1, $k2) = map { $_->base64() } $one, $two;

my $lines = $k1 =~ s/(.{64})/$1\n\t  /r;
my $pem = Sign::file($one->pem());
my $crlf = Sign::file($one->pem() =~ s/\n/\r\n/gr);
my $bare = Sign::file("$k1\n");
my $text = $one->pem() =~ s/\n/ /gr;

my %kinds = (
	RSA => Sign->new('RSA'),
	secp256k1 => Sign->new('secp256k1'),
	'P-384' => Sign->new('secp384r1'),
	'P-521' => Sign->new('secp521r1'),
	Ed25519 => Sign->new('ED25519'),
);

my %file = map { $_ => Sign::file($kinds{$_}->pem()) } keys %kinds;

my $private = Sign::file(slurp($one->private()));
my $private_text = join '', grep { !/-----/ } split /^/, slurp($private);
my $both = Sign::file($one->pem() . $two->pem());
my $empty = Sign::file('');
my $noise = Sign::file("no key here\n");
my $binary = Sign::file(decode_base64($k1));
my $bom = Sign::file("\xef\xbb\xbf$k1\n");
my $utf16 = Sign::file("\xff\xfe" . join "\0", split(//, $k1), '');
my $quoted = Sign::file(qq("$k1"\n));
my $json = Sign::file(qq({"public_key":"$k1"}\n));
my $private_der = Sign::file(decode_base64($private_text));
my $api_key = 'SG.' . 'aB3-x_' x 4 . '.' . 'Zy9_Wv-8' x 5;
my $api_file = Sign::file("$api_key\n");
my $password = 'CJdAK9fWEn4dH2UzKht37sAM';
my $large = Sign::file("\n" x 70000 . $one->pem());
my $cut = substr($k1, 0, 64);

# what goes into location = /sendgrid, after "sendgrid_amp us;"

my @good = (
	"sendgrid_amp_public_key $k1;",
	"sendgrid_amp_public_key '$k1';",
	"sendgrid_amp_public_key \"$lines\";",
	"sendgrid_amp_public_key \" $k1\n\";",
	"sendgrid_amp_public_key $pem;",
	"sendgrid_amp_public_key $crlf;",
	"sendgrid_amp_public_key $bare;",
	"sendgrid_amp_public_key \"$text\";",
	"sendgrid_amp_public_key $k1 $k2;",
	"sendgrid_amp_public_key $k1 $pem $k2;",
	'sendgrid_amp_public_key off;',
	"sendgrid_amp_public_key $k1; sendgrid_amp_signature on;",
	"sendgrid_amp_signature report; sendgrid_amp_public_key $k1;",
	"sendgrid_amp_public_key $k1; sendgrid_amp_signature_window 1d;",
	'sendgrid_amp_signature_window 0;',
	"sendgrid_amp_auth off; sendgrid_amp_api_key k;
		sendgrid_amp_public_key $k1;",
);

# these fail: [ text, what the message has ]

my @bad = (
	[ 'sendgrid_amp_public_key;', 'sendgrid_amp_public_key' ],
	[ 'sendgrid_amp_public_key "";', 'nothing' ],
	[ "sendgrid_amp_public_key off $k1;", 'off' ],
	[ "sendgrid_amp_public_key $k1 off;", 'off' ],
	[ "sendgrid_amp_public_key $k1 '';", 'parameter 2.* nothing' ],
	[ "sendgrid_amp_public_key $k1; sendgrid_amp_public_key $k2;",
		'duplicate' ],
	[ "sendgrid_amp_public_key '$k1$k2';", 'no base64' ],
	[ "sendgrid_amp_public_key $cut;", 'no public key' ],
	[ 'sendgrid_amp_public_key ' . substr($k1, 0, -1) . ';', 'no base64' ],
	[ 'sendgrid_amp_public_key ' . $k1 =~ s/A/!/r . ';', 'no base64' ],
	[ 'sendgrid_amp_public_key ' . $k1 =~ s/^(.{60})./$1-/r . ';',
		'no base64' ],
	[ "sendgrid_amp_public_key '$private_text';", 'a private key' ],
	[ "sendgrid_amp_public_key $private;", 'a private key' ],
	[ "sendgrid_amp_public_key $both;", 'more than one key' ],
	[ "sendgrid_amp_public_key $empty;", 'nothing' ],
	[ "sendgrid_amp_public_key $noise;", 'no base64' ],
	[ "sendgrid_amp_public_key $binary;", 'DER .* was found' ],
	[ "sendgrid_amp_public_key $private_der;", 'a private key' ],
	[ "sendgrid_amp_public_key $bom;", 'a byte order mark' ],
	[ "sendgrid_amp_public_key $utf16;", 'UTF-16' ],
	[ "sendgrid_amp_public_key $quoted;", 'a text in quotes' ],
	[ "sendgrid_amp_public_key $json;", 'JSON .*"public_key"' ],
	[ "sendgrid_amp_public_key $api_file;", 'an API key of SendGrid' ],
	[ "sendgrid_amp_public_key $large;", 'cannot read' ],
	[ "sendgrid_amp_public_key $root/none.pem;", 'cannot read .*No such' ],
	[ 'sendgrid_amp_public_key ./none.pem;', 'cannot read .*/./none.pem' ],
	[ 'sendgrid_amp_public_key ../none.pem;', 'cannot read .*/../none.pem' ],
	[ 'sendgrid_amp_public_key none.pem;', 'parameter 1 .*No such file' ],
	[ 'sendgrid_amp_public_key none;', 'parameter 1 .*No such file' ],
	[ 'sendgrid_amp_public_key /;', 'cannot read' ],
	[ 'sendgrid_amp_public_key /dev/null;', 'cannot read' ],
	(map { [ "sendgrid_amp_public_key $file{$_};", $_ ],
		[ "sendgrid_amp_public_key " . $kinds{$_}->base64() . ';', $_ ],
		[ "sendgrid_amp_public_key $k1 $file{$_};", $_ ] } sort keys %kinds),
	[ 'sendgrid_amp_signature;', 'sendgrid_amp_signature' ],
	[ "sendgrid_amp_signature off; sendgrid_amp_public_key $k1;",
		'sendgrid_amp_signature' ],
	[ "sendgrid_amp_signature on report; sendgrid_amp_public_key $k1;",
		'sendgrid_amp_signature' ],
	[ "sendgrid_amp_public_key $k1; sendgrid_amp_signature on;
		sendgrid_amp_signature on;", 'sendgrid_amp_signature.*duplicate' ],
	[ 'sendgrid_amp_signature on;', 'requires "sendgrid_amp_public_key"' ],
	[ 'sendgrid_amp_signature report;',
		'requires "sendgrid_amp_public_key"' ],
	[ 'sendgrid_amp_signature report; sendgrid_amp_public_key off;',
		'requires "sendgrid_amp_public_key"' ],
	[ 'sendgrid_amp_signature_window;', 'sendgrid_amp_signature_window' ],
	[ 'sendgrid_amp_signature_window soon;', 'sendgrid_amp_signature_window' ],
	[ 'sendgrid_amp_signature_window -1;', 'sendgrid_amp_signature_window' ],
	[ 'sendgrid_amp_signature_window 1m; sendgrid_amp_signature_window 2m;',
		'sendgrid_amp_signature_window.*duplicate' ],
);

# what may be a secret: [ the secret, what the message has ]

my @secrets = (
	[ $api_key, 'an API key of SendGrid was found' ],
	[ "Bearer $api_key", 'an API key of SendGrid was found' ],
	[ "/$api_key", 'an API key of SendGrid was found' ],
	[ "./$api_key", 'an API key of SendGrid was found' ],
	[ qq({"public_key":"$k1"}), 'JSON .*"public_key".* was found' ],
	[ qq({"a":"https://api.sendgrid.com","public_key":"$k1"}),
		'JSON .* was found' ],
	[ qq("$k1"), 'a text in quotes was found' ],
	[ qq("$api_key"), 'a text in quotes was found' ],
	[ "\xef\xbb\xbf$k1", 'a byte order mark .* was found' ],
	[ $private_text, 'a private key was found' ],
	[ slurp($private), 'a private key was found' ],
	[ KEY, '32 hex digits' ],
	[ $password, 'cannot read such a file' ],
	[ "/$password", 'cannot read such a file' ],
	[ "./$password.pem", 'cannot read such a file' ],
	[ "correct.horse-battery", 'cannot read such a file' ],
	[ '/3q2+7w==' x 5, 'cannot read such a file' ],
	[ 'f00dFACE' x 8, 'no public key was found' ],
	[ '$sendgrid_key', 'a variable was found' ],
);

for my $case (@secrets) {
	my ($secret, $text) = @$case;

	for my $first ('', $k1) {
		my $n = $first ? 2 : 1;
		my ($status, $out) = check(sendgrid =>
			"sendgrid_amp_public_key $first '$secret';");

		isnt($status, 0, 'secret: ' . short($secret));
		like($out, qr/parameter $n of "sendgrid_amp_public_key".*$text/,
			'the message tells what was found');
		unlike($out, qr/\Q@{[ substr $secret, 0, 7 ]}\E|\Q@{[ substr $secret,
			-9, 8 ]}\E/, 'and does not show it');
	}
}

# where else a secret may be by mistake

for my $text ("sendgrid_amp_signature $password;",
	"sendgrid_amp_auth $password;", "sendgrid_amp_api_key $api_key;",
	"sendgrid_amp_hash email $password $password;",
	"sendgrid_amp_hash email key $password; sendgrid_amp_keep event;",
	"sendgrid_amp_secret \$$password $password;",
	"sendgrid_amp_secret $password ''; sendgrid_amp_secret $password;")
{
	my ($status, $out) = check(sendgrid => $text);

	like($out, qr/\[(?:emerg|warn)\].*"sendgrid_amp_/, "wrong: $text");
	unlike($out, qr/\Q$password\E|\Q$api_key\E/, 'the secret is not shown');
}

for my $text ($password, KEY, "https://${\KEY}:$password\@example.com/") {
	my ($status, $out) = check(server => "location /x { sendgrid_amp $text; }");

	like($out, qr/\[emerg\] .*"sendgrid_amp"/, "wrong: sendgrid_amp $text");
	unlike($out, qr/\Q$password\E|\Q${\KEY}\E/, 'the secret is not shown');
}

for my $conf (@good) {
	my ($status, $out) = check(sendgrid => $conf);

	is($status, 0, 'good: ' . short($conf)) or diag($out);
	unlike($out, qr/\[warn\].*sendgrid_amp/, 'no warning');
}

for my $case (@bad) {
	my ($conf, $text) = @$case;
	my ($status, $out) = check(sendgrid => $conf);

	isnt($status, 0, 'bad: ' . short($conf));
	like($out, qr/\[emerg\].*$text/, 'the message tells what was found');
	like($out, qr/\[emerg\].*sendgrid_amp_(?:public_key|signature)/,
		'and the directive');
	unlike($out, qr/\Q$k1\E|\Q@{[substr $private_text, 0, 40]}\E/, 'no key');
}

# a path is relative to the folder of nginx.conf, not to that of nginx

my ($name) = $pem =~ m!([^/]+)$!;

check();
system('cp', $pem, "$root/conf/$name");

my (undef, $said) = Gateway::check(Gateway->new(sendgrid =>
	"sendgrid_amp_public_key $name;")->conf(), 'conf/nginx.conf');

like($said, qr/test is successful/, 'relative path');

# what nginx cannot read is shown if it is a path, and can be no secret:
# [ parameter, whether it is shown ]

my @paths = (
	[ '/none.pem', 1 ],
	[ './none.pem', 1 ],
	[ '../none.pem', 1 ],
	[ 'none.pem', 0 ],
	[ '.none/none.pem', 0 ],
	[ '..none/none.pem', 0 ],
	[ '/none.pem+', 0 ],
	[ '/none@none', 0 ],
	[ '/none=', 0 ],
	[ '/abcdefghijklmn0', 1 ],
	[ '/abcdefghijklmno0', 0 ],
	[ '/abcdefghijklmno9', 0 ],
	[ '/0aaaaaaaaaaaaaaa', 0 ],
	[ '/9zzzzzzzzzzzzzzz', 0 ],
	[ '/0AAAAAAAAAAAAAAA', 0 ],
	[ '/9ZZZZZZZZZZZZZZZ', 0 ],
	[ '/0123456789012345', 0 ],
	[ '/012345678901234', 1 ],
	[ '/azAZabcdefghijklmnop', 1 ],
	(map { [ "/abcdefgh0${_}abcdefgh1", 1 ] } '/', '.', '-', '_'),
	(map { [ "/abc0${_}abcdefghijklmnopqr", 1 ] } '/', '.', '-', '_'),
);

my $no_key = 'parameter 1 of "sendgrid_amp_public_key" directive must be a '
	. 'public key of the curve P-256 or the path of its file, ';
my $no_file = '(2: No such file or directory)';

for my $case (@paths) {
	my ($parameter, $shown) = @$case;
	my $full = $parameter =~ m!^/! ? $parameter : "$root/$parameter";

	is(emerg("sendgrid_amp_public_key $parameter;"), $shown
		? qq("sendgrid_amp_public_key" cannot read "$full" $no_file)
		: "${no_key}and nginx cannot read such a file $no_file",
		"no such file: $parameter");
}

# a key is longer than a name of a file without a point

is(emerg('sendgrid_amp_public_key ' . 'A' x 39 . ';'),
	"${no_key}and nginx cannot read such a file $no_file", '39 bytes: a file');
is(emerg('sendgrid_amp_public_key ' . 'A' x 40 . ';'),
	"${no_key}no public key was found", '40 bytes: a key');

is(emerg("sendgrid_amp_public_key '-----BEGIN PUBLIC KEY-----';"),
	"${no_key}PEM without its last line was found", 'a short text in PEM: a key');

my $long = 'a-name-of-more-than-forty-characters-in-all.pem';

check();
system('cp', $pem, "$root/$long");
is((check(sendgrid => "sendgrid_amp_public_key $long;"))[0], 0,
	'a long name with a point: a file');

# files of 64k at most

my $no_text = '"sendgrid_amp_public_key" cannot read "%s": it is no file of '
	. 'at most 64k';
my $blank = "\n" x (65536 - length $one->pem());
my $most = Sign::file($blank . $one->pem());
my $more = Sign::file("\n$blank" . $one->pem());
my $fifo = "$root/fifo";

is((check(sendgrid => "sendgrid_amp_public_key $most;"))[0], 0, '64k');
is(emerg("sendgrid_amp_public_key $more;"), sprintf($no_text, $more),
	'64k and a byte');
is(emerg("sendgrid_amp_public_key $root/conf;"),
	sprintf($no_text, "$root/conf"), 'a folder');
is(emerg("sendgrid_amp_public_key $noise;"),
	qq("$noise" of "sendgrid_amp_public_key" directive must hold a public key )
	. 'of the curve P-256, no base64 was found', 'a file without a key');

POSIX::mkfifo($fifo, 0600) or die "$fifo: $!\n";

my $message = eval {
	local $SIG{ALRM} = sub { die "nginx waits\n" };

	alarm(Gateway::patience(10));
	my $text = emerg("sendgrid_amp_public_key $fifo;");
	alarm(0);

	return $text;
};

# who waits for a writer gets one

sysopen(my $writer, $fifo, O_WRONLY | O_NONBLOCK) if !defined $message;

is($message // $@, sprintf($no_text, $fifo), 'a pipe is not waited for');

# other levels

for my $case (
	[ 1, 'key above', http => "sendgrid_amp_public_key $k1;", sendgrid =>
		'sendgrid_amp_signature report;' ],
	[ 1, 'both above', http => "sendgrid_amp_public_key $k1;
		sendgrid_amp_signature report;" ],
	[ 1, 'both above, off here', http => "sendgrid_amp_public_key $k1;
		sendgrid_amp_signature report;", sendgrid =>
		'sendgrid_amp_public_key off;' ],
	[ 1, 'key here', http => 'sendgrid_amp_signature report;', sendgrid =>
		"sendgrid_amp_public_key $k1;" ],
	[ 0, 'no key', http => 'sendgrid_amp_signature on;' ],
	[ 0, 'no key, server', server => 'sendgrid_amp_signature report;' ],
	[ 0, 'key is off', http => "sendgrid_amp_public_key $k1;", sendgrid =>
		'sendgrid_amp_public_key off; sendgrid_amp_signature on;' ],
	[ 0, 'key of another location', server => "location /x { sendgrid_amp us;
		sendgrid_amp_public_key $k1; }", sendgrid =>
		'sendgrid_amp_signature on;' ])
{
	my ($good, $name, @conf) = @$case;
	my ($status, $out) = check(@conf);

	is($status == 0 ? 1 : 0, $good, "levels: $name") or diag($out);
}

my ($status, $out) = check(sendgrid => 'sendgrid_amp_auth off;
	sendgrid_amp_api_key k; sendgrid_amp_public_key off;');

like($out, qr/\[warn\].*anybody can post/, 'neither credentials nor key');

# a key in the path

my $amp = Amplitude->new();
my $location = 'location ~ "^/sendgrid/(?<amp_key>[0-9a-f]{32})$"';

my $ngx = Gateway->new(amplitude => $amp, http => q(
	log_format webhook '$remote_addr [$time_iso8601] $request_method $host '
		'$status $sendgrid_amp_signature $sendgrid_amp_error';
	limit_req_zone $server_port zone=webhook:1m rate=1r/m;
), server => qq(
	access_log $root/access.log webhook;

	$location {
		sendgrid_amp us;
		sendgrid_amp_auth off;
		sendgrid_amp_api_key \$amp_key;
		sendgrid_amp_public_key $k1;
		sendgrid_amp_retries 0;
		client_max_body_size 10k;
	}

	location ~ "^/down/(?<amp_key>[0-9a-f]{32})\$" {
		sendgrid_amp /down;
		sendgrid_amp_auth off;
		sendgrid_amp_api_key \$amp_key;
		sendgrid_amp_public_key $k1;
		sendgrid_amp_retries 0;
	}

	location ~ "^/limited/(?<amp_key>[0-9a-f]{32})\$" {
		sendgrid_amp us;
		sendgrid_amp_auth off;
		sendgrid_amp_api_key \$amp_key;
		sendgrid_amp_public_key $k1;
		limit_req zone=webhook;
	}

	location = /down { internal; proxy_pass http://127.0.0.1:9; }
))->start();

my $body = webhook(event(1), event(2, email => 'null'));
my @signed = (key => undef, headers => [ $one->headers($body) ]);

is(answer("/sendgrid/${\KEY}", $body, @signed), 200, 'key in the path');
like(($amp->requests())[0]{body}, qr/"api_key":"${\KEY}"/, 'is the API key');

is(answer("/sendgrid/${\KEY}", $body, key => undef), 403, 'not signed');
is(answer("/sendgrid/${\KEY}?a=1", $body, @signed), 200, 'with arguments');
is(answer("/sendgrid/${\KEY}0", $body, @signed), 404, 'no such location');
is(answer("/sendgrid/${\KEY}", $body, method => 'PUT'), 405, 'PUT');
is(answer("/sendgrid/${\KEY}", '[', @signed), 403, 'another body');
is(answer("/sendgrid/${\KEY}", 'x' x 20000, @signed), 413, 'too large');
is(answer("/sendgrid/${\KEY}", 'x' x 20000, chunked => 1000, @signed), 413,
	'too large in chunks');
is(answer("/down/${\KEY}", $body, @signed), 503, 'unavailable');
is(answer("/limited/${\KEY}", $body, @signed), 200, 'limited');
is(answer("/limited/${\KEY}", $body, @signed), 503, 'over the limit');
is(post($port, $body, uri => "/sendgrid/${\KEY}", stop => 9, end => 'reset',
	@signed)->{status}, 0, 'client gone');

$amp->script({ status => 400, body => '{"error":"Invalid API key: ' . KEY
	. '"}' });
is(answer("/sendgrid/${\KEY}", $body, @signed), 502, 'refused');

is(answer('/sendgrid/nothing', $body, @signed), 404, 'elsewhere');

my $log = Gateway::plain($ngx->log());

unlike($log =~ s/.*\b404\b.*|.*(?:No such file|is not found).*//gr, qr/${\KEY}/,
	'no key in the error log');
unlike(written("$root/access.log"), qr/${\KEY}/, 'nor in the access log');

my ($line) = $log =~ /([^\n]*connect\(\) failed[^\n]*)/;

like($line, qr/client: 127\.0\.0\.1, server: localhost, location: "\^\/down/,
	'the error log tells the location');
like($line, qr!subrequest: "/down", upstream: "http://127\.0\.0\.1:9"!,
	'and the upstream');
like($log, qr/limiting requests.*location: "\^\/limited/, 'of limit_req');
like($log, qr/too large body.*location: "\^\/sendgrid/, 'of a large body');
like($log, qr/request: "POST \/sendgrid\/nothing/, 'others as ever');

$ngx->done();

# Angie's log in JSON

if (Gateway::has_json_log()) {
	$ngx = Gateway->new(amplitude => $amp, log => 'info format=json',
		server => qq(
		$location {
			sendgrid_amp us;
			sendgrid_amp_auth off;
			sendgrid_amp_api_key \$amp_key;
			client_max_body_size 1k;
		}
	))->start();

	is(answer("/sendgrid/${\KEY}", 'x' x 2000, key => undef), 413,
		'a log in JSON');

	my ($line) = map { decode_json($_) } grep { /too large body/ }
		split /\n/, $ngx->log();

	is($line->{http}{request}{location} // $line->{request}{location},
		'^/sendgrid/(?<amp_key>[0-9a-f]{32})$', 'the location in JSON');
	unlike($ngx->log(), qr/${\KEY}/, 'no key in JSON');
	$ngx->done();
}

# nginx's own users of the whole site

$ngx = Gateway->new(amplitude => $amp, server => qq(
	auth_basic site;
	auth_basic_user_file $empty;
), sendgrid => 'auth_basic off;')->start();

is(answer('/sendgrid', $body), 200, 'auth_basic off');
unlike($ngx->log(), qr/${\KEY}/, 'the key is not logged as a user');

$ngx->done();

is_deeply([ $amp->violations() ], [], 'the contract is kept');
done_testing();

###############################################################################

sub check {
	return Gateway::check(Gateway->new(@_)->conf());
}


# the message that makes a configuration fail, less its place

sub emerg {
	my ($conf) = @_;
	my ($status, $out) = check(sendgrid => $conf);

	return join "\n", $out =~ /\[emerg\] \d+#\d+: (.*) in \S+:\d+$/mg;
}


sub answer {
	my ($uri, $body, @options) = @_;

	return post($port, $body, uri => $uri, @options)->{status};
}


sub short {
	return substr($_[0] =~ s/\s+/ /gr, 0, 70);
}
