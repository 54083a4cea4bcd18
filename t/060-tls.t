#!/usr/bin/perl

# The shipped files of conf/: TLS to Amplitude and SendGrid is verified, and kept
# alive.  Only addresses and the list of trusted certificates are replaced in
# them.

use warnings;
use strict;

use Test::More;

use File::Temp qw(tempdir);

use Amplitude;
use Contacts;
use Gateway;
use Util qw(curl curl_post openssl self_signed slurp spew);
use Webhook;

my $conf = "$FindBin::Bin/../conf";

if (!-f "$conf/sendgrid_amp_locations.conf") {
	plan(skip_all => 'no conf/');
}

if (system('openssl version > /dev/null 2>&1') != 0) {
	plan(skip_all => 'no openssl');
}

if (!eval { require IO::Socket::SSL }) {
	plan(skip_all => 'no IO::Socket::SSL');
}

my $dir = tempdir(CLEANUP => 1);
my ($ca, $other) = map { self_signed($_) } qw(ca other);
my @names = qw(api2.amplitude.com api.eu.amplitude.com);
my @hosts = qw(api.sendgrid.com api.eu.sendgrid.com);

# Amplitude, and two who have no right to be taken for it

my ($amp, $other_name, $other_ca) = map { Amplitude->new(tls => $_) }
	certificate('good', $ca, @names),
	certificate('other-name', $ca, 'api2.amplitude.example', 'amplitude.com'),
	certificate('other-ca', $other, @names);

my ($sg, $sg_other) = map { Contacts->new(tls => $_) }
	certificate('sendgrid', $ca, @hosts),
	certificate('sendgrid-other', $other, @hosts);

subtest('the right certificate' => sub {
	my $ngx = gateway($amp);

	for my $case ([ '/sendgrid', 'api2.amplitude.com' ],
		[ '/eu', 'api.eu.amplitude.com' ])
	{
		my ($uri, $name) = @$case;

		$amp->clear();

		for my $i (1 .. 3) {
			my $r = post($ngx->port(), webhook(event($i)), uri => $uri);
			is($r->{status}, 200, "$uri: answer $i") or diag($r->{body});
		}

		my @requests = $amp->requests();
		my %connections = map { $_->{connection} => 1 } @requests;

		is($requests[0]{sni}, $name, "$uri: SNI");
		is($requests[0]{headers}{host}, $name, "$uri: Host");
		is(scalar @requests, 3, "$uri: three batches");
		is(scalar keys %connections, 1, "$uri: one connection");
	}

	is(keys %{ $amp->stored() }, 3, 'stored');
	is_deeply([ $amp->violations() ], [], 'the contract is kept');
	$ngx->done();
});

for my $case ([ 'the certificate of another name', $other_name ],
	[ 'the certificate of another authority', $other_ca ])
{
	my ($name, $stranger) = @$case;

	subtest($name => sub {
		my $ngx = gateway($stranger);

		for my $uri ('/sendgrid', '/eu') {
			my $r = post($ngx->port(), webhook(event(1)), uri => $uri);

			is($r->{status}, 503, "$uri: answer");
			is($r->{json}{error}, 'unavailable', "$uri: error");
			is($r->{headers}{'retry-after'}, 30, "$uri: Retry-After");
		}

		cmp_ok($stranger->connections(), '>', 0, 'is looked at');
		is(scalar($stranger->requests()), 0, 'nothing is sent');
		like($ngx->log(), qr/upstream SSL certificate/, 'the log says why');
		$ngx->done();
	});
}

for my $dead (3, 6) {
	subtest("$dead dead addresses before the good one" => sub {
		my $ngx = gateway($amp, dead => $dead);

		for my $i (1 .. 4) {
			my $r = post($ngx->port(), webhook(event($i)));

			is($r->{status}, 200, "answer $i");
			is($r->{json}{forwarded}, 1, "forwarded $i");
		}

		$ngx->done();
	});
}

subtest('SendGrid' => sub {
	my $ngx = gateway($amp, sendgrid => $sg, dead => 1);

	for my $case ([ '/cohorts', 'api.sendgrid.com' ],
		[ '/eu/cohorts', 'api.eu.sendgrid.com' ])
	{
		my ($uri, $name) = @$case;

		$sg->clear();

		for my $i (1 .. 3) {
			my $r = cohort($ngx, $uri, "test$i");
			is($r->{status}, 200, "$uri: answer $i") or diag($r->{body});
		}

		my @requests = $sg->requests();
		my %connections = map { $_->{connection} => 1 } @requests;

		is($requests[0]{sni}, $name, "$uri: SNI");
		is($requests[0]{headers}{host}, $name, "$uri: Host");
		cmp_ok(scalar @requests, '>=', 7, "$uri: lists and contacts");
		is(scalar keys %connections, 1, "$uri: one connection");
		is_deeply([ $sg->violations() ], [], "$uri: the contract is kept");
	}

	$ngx->done();
});

subtest('SendGrid, the certificate of another authority' => sub {
	my $ngx = gateway($amp, sendgrid => $sg_other);

	for my $uri ('/cohorts', '/eu/cohorts') {
		is(cohort($ngx, $uri, 'test')->{status}, 503, "$uri: answer");
	}

	is(scalar($sg_other->requests()), 0, 'nothing is sent');
	like($ngx->log(), qr/upstream SSL certificate/, 'the log says why');
	$ngx->done();
});

# nginx has another address to try, and the module does not repeat

subtest('a change that was sent is not sent again by nginx' => sub {
	my $ngx = gateway($amp, sendgrid => $sg, twice => 1,
		cohorts => 'sendgrid_amp_retries 0;');

	for my $method (qw(PUT DELETE)) {
		$sg->clear();
		$sg->list("List [$method]", "$method\@example.com");
		$sg->script({ line => "^$method ", reset => 'before' });

		is(cohort($ngx, '/cohorts', $method, $method eq 'PUT')->{status}, 503,
			"$method: answer");
		is(scalar(grep { $_->{method} eq $method } $sg->requests()), 1,
			"$method: sent once");
	}

	$ngx->done();
});

subtest('the sample' => sub {
	my $port = Gateway->port();
	my $text = slurp("$conf/nginx.conf");
	my $root = Gateway::root();
	my $modules = Gateway::load_modules();
	my $user = $> == 0 ? 'user root;' : '';

	$text =~ s/^load_module .*\n/$modules/m or fail('load_module');
	$text =~ s/^user .*/$user/m;
	$text =~ s/^pid .*/pid $root\/nginx.pid;/m;
	$text =~ s!/var/log/nginx!$root!g;
	$text =~ s/^\s*listen \[::\].*\n//m;
	$text =~ s/listen 443 ssl/listen 127.0.0.1:$port ssl/;
	$text =~ s!ssl_certificate /\S+;!ssl_certificate $dir/good.crt;!;
	$text =~ s!ssl_certificate_key /\S+;!ssl_certificate_key $dir/good.key;!;
	$text =~ s!include (\S+);!include $dir/$1;!g;
	$text =~ s/^http \{/http {\n@{[ Gateway::temp_paths() ]}/m;

	my $ngx = gateway($amp, conf => $text);
	my $url = "https://localhost:$port/sendgrid";

	my @options = ('-k', '--resolve', "localhost:$port:127.0.0.1");

	$amp->clear();

	my ($out, $exit) = curl_post(webhook(events(10)), $url, @options);

	SKIP: {
		skip 'no curl', 3 if $exit == 127;

		like($out, qr/"forwarded":10,/, 'answer');
		is(keys %{ $amp->stored() }, 10, 'stored');

		($out) = curl(@options, '-o', '/dev/null', '-w', '%{http_code}',
			'-u', KEY . ':' . SECRET, "$url/x");

		is($out, 404, 'nothing else is served');
	}

	my $log = slurp("$root/access.log");

	unlike($log, qr/@{[ KEY ]}|sendgrid/, 'no key and no path in the log');
	like($log, qr/POST .* 200 /, 'status in the log');
	$ngx->done();

	# the way back is turned on as the sample says

	spew("$dir/sendgrid.key", Contacts::KEY . "\n");

	for my $head ('log_format cohorts', 'sendgrid_amp_cohort_zone',
		'location /cohorts')
	{
		$text =~ s!^( *)#$head.*\n(?:\1#[ }].*\n)*!
			$& =~ s/^ *\K#//mgr!me or fail($head);
	}

	$text =~ s!/etc/nginx/sendgrid\.key!$dir/sendgrid.key!;

	$ngx = gateway($amp, sendgrid => $sg, conf => $text);
	$sg->clear();

	($out, $exit) = curl(@options, '-H',
		'Authorization: Bearer a long random string', '--data-binary',
		message('test'), "https://localhost:$port/cohorts");

	SKIP: {
		skip 'no curl', 1 if $exit == 127;
		like($out, qr/"added":1,/, 'the answer to a cohort');
	}

	$ngx->done();
	like(slurp("$root/access.log"), qr/ cohort=test list=[0-9a-f-]{36} /,
		'the log of cohorts');
});

done_testing();

###############################################################################

# nginx with the shipped files, and such a stand-in for Amplitude

sub gateway {
	my ($server, %more) = @_;
	my $port = $server->port();
	my $upstreams = slurp("$conf/sendgrid_amp_upstreams.conf");
	my $locations = slurp("$conf/sendgrid_amp_locations.conf");
	my ($sendgrid, $dead, $twice, $cohorts)
		= delete @more{qw(sendgrid dead twice cohorts)};
	my %ports = (amplitude => $port,
		sendgrid => $sendgrid ? $sendgrid->port() : 9);

	for my $name (keys %ports) {
		my $to = join '', (map {
			"server 127.0.0.$_:$ports{$name} fail_timeout=1s;"
		} 2 .. 1 + ($dead // 0)), ("server 127.0.0.1:$ports{$name};")
			x ($twice ? 2 : 1);

		$upstreams =~ s/^upstream ${name}_\w+ \{\s*\Kserver \S+:443;/$to/mg;
	}

	$locations =~ s/(trusted_certificate) \S+;/$1 $ca->{certificate};/g;

	spew("$dir/sendgrid_amp_upstreams.conf", $upstreams);
	spew("$dir/sendgrid_amp_locations.conf", $locations);

	# nginx never frees the TLS sessions that it keeps for an upstream

	return Gateway->new(leaks => 1, conf => <<"EOC", %more)->start();
@{[ Gateway::load_modules() ]}
@{[ $> == 0 ? 'user root;' : '' ]}
pid @{[ Gateway::root() ]}/nginx.pid;
error_log @{[ Gateway::root() ]}/error.log info;
events { }

http {
	access_log off;
	@{[ Gateway::temp_paths() ]}
	include $dir/sendgrid_amp_upstreams.conf;
	sendgrid_amp_cohort_zone cohorts:1m;

	server {
		listen 127.0.0.1:@{[ Gateway->port() ]};
		include $dir/sendgrid_amp_locations.conf;
		location = /sendgrid { sendgrid_amp us; }
		location = /eu { sendgrid_amp eu; }
		sendgrid_amp_cohort_secret secret;
		sendgrid_amp_marketing_key @{[ Contacts::KEY ]};
		@{[ $cohorts // '' ]}
		location /cohorts { sendgrid_amp_cohorts global; }
		location /eu/cohorts { sendgrid_amp_cohorts eu; }
	}
}
EOC
}


# a message of a cohort with a user of its own, and the answer to such a message

sub message {
	my ($id, $in) = @_;

	return '{"cohort_id":"' . $id . '","cohort_name":"Test","in_cohort":'
		. ($in // 1 ? 'true' : 'false')
		. ',"users":[{"user_id":"' . $id . '@example.com"}]}';
}


sub cohort {
	my ($ngx, $uri, @message) = @_;

	return post($ngx->port(), message(@message), uri => $uri, key => undef,
		headers => [ 'Authorization: Bearer secret' ]);
}


# the files { certificate, key } of a server with these names

sub certificate {
	my ($name, $authority, @names) = @_;
	my %files = (certificate => "$dir/$name.crt", key => "$dir/$name.key");

	spew("$dir/ext", 'subjectAltName=' . join(',', map { "DNS:$_" } @names)
		. "\n");
	spew("$dir/csr", openssl('', qw(req -newkey ec -pkeyopt
		ec_paramgen_curve:P-256 -nodes), '-keyout', $files{key}, '-subj',
		"/CN=$names[0]"));
	openssl('', qw(x509 -req -CAcreateserial -days 2), '-in', "$dir/csr",
		'-CA', $authority->{certificate}, '-CAkey', $authority->{key},
		'-extfile', "$dir/ext", '-out', $files{certificate});

	return \%files;
}
