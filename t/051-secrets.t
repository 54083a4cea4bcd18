#!/usr/bin/perl

# The key of a webhook is in no log, whoever refuses the webhook and wherever
# a redirect leads; the user names of other requests are.

use warnings;
use strict;

use Test::More;

use Amplitude;
use Gateway;
use Metrics;
use Sign;
use Util qw(curl_post has_http2 spew written);
use Webhook;

my $root = Gateway::root();
my $amp = Amplitude->new();
my $path = 'fedcba9876543210fedcba9876543210';
my $public = Sign->new()->base64();

# what refuses a webhook, and with which status

my %refuse = (
	denied => [ 403, 'deny all;' ],
	small => [ 413, 'client_max_body_size 1k;' ],
	rate => [ 429, 'limit_req zone=rate; limit_req_status 429;' ],
	rate503 => [ 503, 'limit_req zone=rate;' ],
	conn => [ 503, 'limit_conn conn 1;' ],
	asked401 => [ 401, 'auth_request /answer401;' ],
	asked403 => [ 403, 'auth_request /answer403;' ],
	asked500 => [ 500, 'auth_request /answer404;' ],
	any => [ 403, 'satisfy any; deny all; auth_request /answer403;' ],
	basic => [ 401, 'auth_basic "x"; auth_basic_user_file /dev/null;' ],
	returned => [ 403, 'return 403;' ],
	if403 => [ 403, 'if ($request_method = POST) { return 403; }' ],
	if444 => [ 444, 'if ($request_method = POST) { return 444; }' ],
);

# where the webhook is logged: where it came to, or after a redirect

my %leave = (
	stay => '',
	page => 'error_page 401 403 404 413 429 500 503 /elsewhere;',
	named => 'error_page 401 403 404 413 429 500 503 @elsewhere;',
	missing => 'error_page 401 403 404 413 429 500 503 /no/such/file;',
);

my $locations = '';

for my $how (sort keys %refuse) {
	for my $leave (sort keys %leave) {
		$locations .= qq(
	location = /$how/$leave {
		sendgrid_amp us;
		$refuse{$how}[1]
		$leave{$leave}
	}

	location ~ "^/$how/$leave/(?<amp_key>[0-9a-f]{32})\$" {
		sendgrid_amp us;
		sendgrid_amp_auth off;
		sendgrid_amp_api_key \$amp_key;
		$refuse{$how}[1]
		$leave{$leave}
	}
);
	}
}

my $ngx = Gateway->new(amplitude => $amp, log => 'info', http => "
	log_format secrets '\$uri \$status [\$remote_user]';
	log_subrequest on;
	sendgrid_amp_zone figures:64k;

	limit_req_zone \$server_name zone=rate:1m rate=1r/m;
	limit_conn_zone \$server_name zone=conn:1m;

	map \$remote_user \$by_user { @{[ KEY ]} us; }
", server => "
	access_log $root/access.log secrets;

	# the user name is looked at before the location is known

	if (\$remote_user = nobody) { return 402; }

	rewrite ^/again(.*)\$ /again/x\$1;

	location = /status { sendgrid_amp_status; access_log off; }
	location = /elsewhere { return 204; }
	location \@elsewhere { return 204; }
	location = /plain { return 204; }
	location = /plain/small { client_max_body_size 1; error_page 413 /plain; }
	location = /plain/denied { deny all; error_page 403 \@elsewhere; }
	location = /held { sendgrid_amp us; limit_conn conn 1; }

	location = /answer401 { internal; return 401; }
	location = /answer403 { internal; return 403; }
	location = /answer404 { internal; return 404; }

	location = /internal { sendgrid_amp us; internal; }
	location = /mirror { sendgrid_amp us; mirror /plain; }
	location = /tried { sendgrid_amp us; try_files /none /elsewhere; }
	location = /rewritten { sendgrid_amp us; rewrite ^ /elsewhere last; }

	location = /limited {
		sendgrid_amp us;
		limit_except POST { deny all; }
		error_page 403 /elsewhere;
	}

	location = /quiet/page {
		sendgrid_amp us;
		error_log $root/quiet.log crit;
		client_max_body_size 1k;
		error_page 413 /elsewhere;
	}

	location = /quiet/named {
		sendgrid_amp us;
		error_log $root/quiet.log crit;
		client_max_body_size 1k;
		error_page 413 \@quiet;
	}

	location = /quiet/loud {
		sendgrid_amp us;
		error_log $root/quiet.log crit;
		client_max_body_size 1k;
		error_page 413 \@elsewhere;
	}

	location \@quiet { return 204; error_log $root/quiet.log crit; }

	# a redirect leads to what is refused, and this is logged

	location = /forbidden { deny all; }
	location \@forbidden { deny all; }

	location ~ '^/keyed/page/(?<amp_key>[0-9a-f]{32})\$' {
		sendgrid_amp us;
		sendgrid_amp_auth off;
		sendgrid_amp_api_key \$amp_key;
		error_log $root/quiet.log crit;
		client_max_body_size 1k;
		error_page 413 /forbidden;
	}

	location ~ '^/keyed/named/(?<amp_key>[0-9a-f]{32})\$' {
		sendgrid_amp us;
		sendgrid_amp_auth off;
		sendgrid_amp_api_key \$amp_key;
		error_log $root/quiet.log crit;
		client_max_body_size 1k;
		error_page 413 \@forbidden;
	}

	location ~ '^/keyed/rewritten/(?<amp_key>[0-9a-f]{32})\$' {
		sendgrid_amp us;
		sendgrid_amp_auth off;
		sendgrid_amp_api_key \$amp_key;
		rewrite ^ /forbidden last;
	}

	location ~ '^/keyed/webhook/(?<amp_key>[0-9a-f]{32})\$' {
		sendgrid_amp us;
		sendgrid_amp_auth off;
		sendgrid_amp_api_key \$amp_key;
		rewrite ^ /basic last;
	}

	location = /basic { sendgrid_amp us; sendgrid_amp_secret another; }

	location = /anybody {
		sendgrid_amp us;
		sendgrid_amp_auth off;
		sendgrid_amp_api_key constant;
		error_page 403 /forbidden;
		return 403;
	}

	location ~ '^/resolved/(?<amp_key>[0-9a-f]{32})\$' {
		sendgrid_amp /amplitude/resolved;
		sendgrid_amp_auth off;
		sendgrid_amp_api_key \$amp_key;
		sendgrid_amp_retries 0;
	}

	location = /amplitude/resolved {
		internal;
		set \$upstream amplitude.example;
		resolver 127.0.0.1:9;
		resolver_timeout 100ms;
		proxy_pass http://\$upstream/;
	}

	# a key that is a variable, and one that is not

	location ~ '^/open/(?<amp_key>[0-9a-f]{0,32})\$' {
		sendgrid_amp us;
		sendgrid_amp_auth off;
		sendgrid_amp_api_key \$amp_key;
		sendgrid_amp_public_key '$public';
		sendgrid_amp_signature report;
		sendgrid_amp_max_event_size 1k;
		sendgrid_amp_retries 0;
	}

	location = /constant {
		sendgrid_amp us;
		sendgrid_amp_api_key constant;
		error_page 403 /forbidden;
		return 403;
	}

	location = /quiet/stay {
		sendgrid_amp us;
		error_log $root/quiet.log crit;
		client_max_body_size 1k;
	}

	location = /asks { auth_request /asked/webhook; }
	location = /asked/webhook { sendgrid_amp us; }

	location = /plain/quiet {
		error_log $root/quiet.log crit;
		deny all;
		error_page 403 \@quiet;
	}

	location = /user {
		sendgrid_amp \$by_user;
		sendgrid_amp_auth off;
		sendgrid_amp_api_key \$remote_user;
	}

	location = /asked {
		sendgrid_amp us;
		auth_request /ask;
	}

	location = /ask {
		internal;
		if (\$http_authorization = '') { return 403; }
		return 204;
	}

	location = /both {
		sendgrid_amp us;
		auth_basic both;
		auth_basic_user_file $root.users;
	}

	location ~ '^/named/(?<amp_key>[0-9a-f]{32})\$' {
		sendgrid_amp us;
		sendgrid_amp_api_key \$amp_key;
		deny all;
	}
$locations
");

END { unlink "$root.users" }

spew("$root.users", KEY . ':{PLAIN}' . SECRET . "\n");
$ngx->start();

my $port = $ngx->port();
my $body = webhook(events(3));
my $held = Webhook->new($port, $body, uri => '/held', stop => 10,
	length => length $body, keepalive => 1);

# it takes the only place for a connection

$held->_send(0);
$ngx->wait_for(sub { metrics($port)->{sendgrid_amp_webhooks_in_flight} });
logged('[]', uri => '/rate/stay');

for my $how (sort keys %refuse) {
	for my $leave (sort keys %leave) {
		my $status = $refuse{$how}[0];

		# the file is not there, and nothing is sent after 444

		$status = 404 if $leave eq 'missing' && $status != 444;

		is(logged($body, uri => "/$how/$leave"), "$status [-]",
			"$how, $leave: no user name");
		logged($body, uri => "/$how/$leave/$path");
	}
}

is(logged($body), '200 [-]', '200: no user name');
is(logged($body, secret => 'wrong'), '401 [-]', '401: no user name');
is(logged($body, method => 'PUT'), '405 [-]', '405: no user name');
is(logged($body, headers => [ 'Content-Encoding: gzip' ]), '415 [-]',
	'415: no user name');
is(logged('x'), '400 [-]', '400: no user name');
is(logged($body, uri => '/limited', method => 'PUT'), '403 [-]',
	'limit_except: no user name');
is(logged($body, uri => '/quiet/page'), '413 [-]',
	'413 that is not in the error log, page: no user name');
is(logged($body, uri => '/quiet/named'), '413 [-]',
	'413 that is not in the error log, named: no user name');
is(logged($body, uri => '/quiet/loud'), '413 [-]',
	'413 that is not in the error log, named and loud: no user name');
is(logged($body, uri => '/quiet/stay'), '413 [-]',
	'413 that is not in the error log, no redirect: no user name');
is(logged($body, uri => '/internal'), '404 [-]', 'internal: no user name');
is(logged($body, uri => '/tried'), '204 [-]', 'try_files: no user name');
is(logged($body, uri => '/rewritten'), '204 [-]', 'rewrite: no user name');

is_deeply([ lines(2, $body, uri => '/mirror') ],
	[ '/mirror 200 [-]', '/plain 204 [-]' ], 'mirror: no user name');

# the path has the key, and the user name is none of the module's business

my $large = webhook(event(1, pad => '"' . 'x' x 2000 . '"'));

for my $case (
	[ 200, $body ],
	[ 400, 'x' ],
	[ 405, $body, method => 'PUT' ],
	[ 413, $large ],
	[ 413, $large, chunked => 100 ],
	[ 415, $body, headers => [ 'Content-Encoding: gzip' ] ],
	[ 401, $body, uri => '/open/' ])
{
	my ($status, $text, @post) = @$case;

	is(logged($text, uri => "/open/$path", @post),
		"$status [-]", "key in the path, $status: no user name");
}

for my $case ([ 503, { status => 500 } ], [ 429, { status => 429, body => '' } ],
	[ 502, { status => 400, body => '{"error":"Invalid API key"}' } ])
{
	my ($status, @script) = @$case;

	$amp->script(@script);
	is(logged($body, uri => "/open/$path"), "$status [-]",
		"key in the path, $status: no user name");
}

# what is logged after a redirect that has left the location

my $refused = 'access forbidden by rule, client: 127.0.0.1, server: localhost';

for my $case ([ "/keyed/page/$path", '/forbidden' ],
	[ "/keyed/named/$path", '@forbidden' ],
	[ "/keyed/rewritten/$path", '/forbidden' ])
{
	my ($uri, $location) = @$case;
	my ($name) = $uri =~ m!/(\w+)/!;

	is(told($uri, 'access forbidden'), qq($refused, location: "$location"),
		"key in the path, $name: no request line");
}

my $wrong = 'client sent a password that is not one of '
	. '"sendgrid_amp_secret", client: 127.0.0.1, server: localhost';

is(told("/keyed/webhook/$path", 'client sent'), qq($wrong, location: "/basic"),
	'key in the path, another webhook: no request line');
is(told('/basic', 'client sent'),
	qq($wrong, request: "POST /basic HTTP/1.1", host: "localhost"),
	'a webhook with credentials: request line');
is(told('/anybody', 'access forbidden'), qq($refused, location: "/forbidden"),
	'no credentials: no request line');
is(told('/constant', 'access forbidden'),
	qq($refused, request: "POST /constant HTTP/1.1", host: "localhost"),
	'key in the configuration: request line');
is(told("/resolved/$path", 'amplitude.example'),
	'amplitude.example could not be resolved (110: Operation timed out) '
	. 'while waiting for Amplitude, client: 127.0.0.1, '
	. 'server: localhost, location: "^/resolved/(?<amp_key>[0-9a-f]{32})$", '
	. 'subrequest: "/amplitude/resolved"',
	'key in the path, no upstream yet: no request line');

# the credentials are there for others

is(logged($body, uri => '/both'), '200 [-]', 'auth_basic has the credentials');
is(logged($body, uri => '/both', secret => 'wrong'), '401 [-]',
	'auth_basic refuses wrong credentials');
is_deeply([ lines(2, $body, uri => '/asked') ],
	[ '/ask 204 [-]', '/asked 200 [-]' ],
	'auth_request has the credentials');

is(logged($body, uri => '/user'), '200 [-]',
	'the API key and the region are made of the user name');

# requests that are no webhooks

my $user = '[' . KEY . ']';

is(logged($body, uri => '/plain'), "204 $user", 'another location: user name');
is(logged($body, uri => '/plain/small'), "413 $user",
	'413 of another location: user name');
is(logged($body, uri => '/plain/denied'), "403 $user",
	'another location and error_page: user name');
is(logged($body, uri => '/plain/quiet'), "403 $user",
	'another location, a named one, not in the error log: user name');
is_deeply([ lines(2, $body, uri => '/asks') ],
	[ "/asked/webhook 500 $user", "/asks 500 $user" ],
	'a subrequest to the location of webhooks: user name');
is(logged($body, uri => '/none'), "404 $user", 'no location: user name');

is((lines(1, $body, uri => '/again'))[0], "/again/x 404 $user",
	'a rewrite of the server is done once');

my $at = -s "$root/access.log";
my $client = Webhook->new($port, $body, keepalive => 1);

Webhook::run($client);
added(1, $at);
is(logged($body, uri => '/plain', after => $client), "204 $user",
	'after a webhook in the connection: user name');

# HTTP/2

SKIP: {
	skip('no HTTP/2', 4) if !has_http2();

	for my $case ([ '/sendgrid', 200 ], [ '/denied/page', 403 ],
		[ '/small/named', 413 ])
	{
		my ($uri, $status) = @$case;

		is(http2($uri), "$status [-]", "HTTP/2, $status: no user name");
	}

	is(http2('/plain'), "204 $user", 'HTTP/2, another location: user name');
}

# each of them is counted once

for my $case ([ '/denied/stay', 403 ], [ '/denied/page', 403 ],
	[ '/small/page', 413 ], [ '/small/named', 413 ], [ '/if444/stay', 'other' ],
	[ '/if403/named', 403 ], [ '/quiet/page', 413 ], [ '/quiet/named', 413 ],
	[ '/quiet/loud', 413 ], [ '/tried', 'other' ], [ '/asked403/stay', 403 ])
{
	my ($uri, $status) = @$case;
	my $before = metrics($port);

	logged($body, uri => $uri);
	counted($ngx, $before, { qq(webhooks_total{status="$status"}) => 1,
		webhook_duration_seconds_count => 1 }, "$uri: counted once");
}

# the path of a key, and the credentials

logged($body, uri => "/named/$path");
close $held->{socket};
$ngx->wait_for(sub { $ngx->log() =~ m!prematurely closed.*/held! });

my $log = $ngx->log();

is(join("\n", grep { /$path/ } split /\n/, $log), '',
	'no path of a key in the error log');

# auth_basic has it in a message of its own, which nobody can change

is(join("\n", grep { index($_, KEY) != -1 && !/: \*\d+ user "/ }
	split /\n/, $log), '', 'no user name in the error log');

for my $message ('access forbidden by rule', 'limiting requests',
	'limiting connections', 'too large body', 'auth request unexpected',
	'no user/password|was not found', 'open\(\)')
{
	like($log, qr/(?:$message)[^\n]*, location: /, "without it: $message");
}

like($log, qr!access forbidden[^\n]* "POST /denied/page HTTP!,
	'other request lines are in the error log');

$ngx->done();

# no log of a webhook leaves out that a body is too large

$ngx = Gateway->new(amplitude => $amp, http => "
	log_format secrets '\$uri \$status [\$remote_user]';
", server => "
	access_log $root/access.log secrets;
	error_log $root/error.log error;
	error_page 413 \@large;

	location = /plain { client_max_body_size 1; return 204; }
	location \@large { return 204; }
", sendgrid => 'client_max_body_size 1;')->start();

is(logged($body), '413 [-]', 'webhook, log of errors: no user name');
is(logged($body, uri => '/plain'), "413 $user",
	'another location, log of errors: user name');

$ngx->done();
done_testing();

###############################################################################

# posts a webhook, returns the status and the user name in the access log

sub logged {
	my ($line) = lines(1, @_);

	return $line =~ s/^\S+ //r;
}


sub lines {
	my ($n, $content, @post) = @_;
	my $at = -s "$root/access.log" // 0;

	post($port, $content, @post);

	return added($n, $at);
}


# posts a webhook, returns what nginx writes about it into the error log

sub told {
	my ($uri, $text) = @_;
	my $from = length $ngx->log();
	my @lines;

	logged($body, uri => $uri);

	$ngx->wait_for(sub {
		@lines = Gateway::plain($ngx->log($from)) =~ /\d+#\d+: \*\d+ (\Q$text\E[^\n]*)\n/g;
		return @lines;
	});

	return join "\n", @lines;
}


# the next n lines of the access log, sorted

sub added {
	my ($n, $at) = @_;
	my @lines;

	$ngx->wait_for(sub {
		@lines = grep { /\n$/ && !m!^/(?:amplitude|answer)! }
			split /^/, written("$root/access.log", $at);
		return @lines >= $n;
	});

	chomp @lines;

	return sort @lines;
}


sub http2 {
	my ($uri) = @_;
	my $at = -s "$root/access.log" // 0;

	curl_post($body, 'http://127.0.0.1:' . ($port + 1) . $uri,
		'--http2-prior-knowledge');

	return (added(1, $at))[0] =~ s/^\S+ //r;
}
