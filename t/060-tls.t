#!/usr/bin/perl

# The shipped files of conf/: TLS to Amplitude is verified, and kept alive.
# Only addresses and the list of trusted certificates are replaced in them.

use warnings;
use strict;

use Test::More;

use File::Temp qw(tempdir);

use Amplitude;
use Gateway;
use Webhook;

my $conf = "$FindBin::Bin/../conf";

if (!-f "$conf/sendgrid_amp_locations.conf") {
	plan(skip_all => 'no conf/');
}

if (system('openssl version > /dev/null 2>&1') != 0) {
	plan(skip_all => 'no openssl');
}

my $dir = tempdir(CLEANUP => 1);
my $amp = Amplitude->new(headers => 'x-sni|x-connection|x-host');

my ($good, $other_name, $other_ca) = map { Gateway->port($_) } 2 .. 4;

authority('ca');
authority('ca2');
certificate('good', 'ca', 'api2.amplitude.com', 'api.eu.amplitude.com');
certificate('other-name', 'ca', 'api2.amplitude.example', 'amplitude.com');
certificate('other-ca', 'ca2', 'api2.amplitude.com', 'api.eu.amplitude.com');

subtest('the right certificate' => sub {
	my $ngx = gateway($good);

	for my $case ([ '/sendgrid', 'api2.amplitude.com' ],
		[ '/eu', 'api.eu.amplitude.com' ])
	{
		my ($uri, $name) = @$case;

		$amp->clear();

		for my $i (1 .. 3) {
			my $r = post($ngx->port(), webhook(event($i)), uri => $uri);
			is($r->{status}, 200, "$uri: answer $i") or diag($r->{body});
		}

		my @headers = map { $_->{headers} } $amp->requests();
		my %connections = map { $_->{'x-connection'} => 1 } @headers;

		is($headers[0]{'x-sni'}, $name, "$uri: SNI");
		is($headers[0]{'x-host'}, $name, "$uri: Host");
		is(scalar @headers, 3, "$uri: three batches");
		is(scalar keys %connections, 1, "$uri: one connection");
	}

	is(keys %{ $amp->stored() }, 3, 'stored');
	is_deeply([ $amp->violations() ], [], 'the contract is kept');
	$ngx->done();
});

for my $case ([ 'the certificate of another name', $other_name ],
	[ 'the certificate of another authority', $other_ca ])
{
	my ($name, $port) = @$case;

	subtest($name => sub {
		my $ngx = gateway($port);

		$amp->clear();

		for my $uri ('/sendgrid', '/eu') {
			my $r = post($ngx->port(), webhook(event(1)), uri => $uri);

			is($r->{status}, 503, "$uri: answer");
			is($r->{json}{error}, 'unavailable', "$uri: error");
			is($r->{headers}{'retry-after'}, 30, "$uri: Retry-After");
		}

		is(scalar($amp->requests()), 0, 'nothing is sent');
		like($ngx->log(), qr/upstream SSL certificate/, 'the log says why');
		$ngx->done();
	});
}

for my $dead (3, 6) {
	subtest("$dead dead addresses before the good one" => sub {
		my $ngx = gateway($good, dead => $dead);

		for my $i (1 .. 4) {
			my $r = post($ngx->port(), webhook(event($i)));

			is($r->{status}, 200, "answer $i");
			is($r->{json}{forwarded}, 1, "forwarded $i");
		}

		$ngx->done();
	});
}

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
	$text =~ s/^http \{/http {\n@{[ front() ]}\n@{[ temp() ]}/m;

	my $ngx = gateway($good, conf => $text);
	my $url = "https://localhost:$port/sendgrid";

	spew("$dir/body", webhook(events(10)));
	$amp->clear();

	my $curl = "curl -sk --max-time 20 --resolve localhost:$port:127.0.0.1"
		. " -u @{[ KEY ]}:@{[ SECRET ]}";
	my $out = `$curl --data-binary \@$dir/body $url 2>&1`;

	SKIP: {
		skip 'no curl', 3 if $? == 127 << 8;

		like($out, qr/"forwarded":10,/, 'answer');
		is(keys %{ $amp->stored() }, 10, 'stored');

		my $other = `$curl -o /dev/null -w '%{http_code}' $url/x 2>&1`;

		is($other, 404, 'nothing else is served');
	}

	my $log = slurp("$root/access.log");

	unlike($log, qr/@{[ KEY ]}|sendgrid/, 'no key and no path in the log');
	like($log, qr/POST .* 200 /, 'status in the log');
	$ngx->done();
});

done_testing();

###############################################################################

# nginx with the shipped files, and Amplitude's TLS at this port

sub gateway {
	my ($port, %more) = @_;
	my $upstreams = slurp("$conf/sendgrid_amp_upstreams.conf");
	my $locations = slurp("$conf/sendgrid_amp_locations.conf");

	my $dead = join '', map { "server 127.0.0.$_:$port fail_timeout=1s;" }
		2 .. 1 + (delete $more{dead} // 0);

	$upstreams =~ s/^(\s*)server \S+:443;/$1$dead server 127.0.0.1:$port;/mg;
	$locations =~ s/(trusted_certificate) \S+;/$1 $dir\/ca.crt;/g;

	spew("$dir/sendgrid_amp_upstreams.conf", $upstreams);
	spew("$dir/sendgrid_amp_locations.conf", $locations);

	my $front = front();

	# nginx never frees the TLS sessions that it keeps for an upstream

	return Gateway->new(leaks => 1, conf => <<"EOC", %more)->start();
@{[ Gateway::load_modules() ]}
@{[ $> == 0 ? 'user root;' : '' ]}
pid @{[ Gateway::root() ]}/nginx.pid;
error_log @{[ Gateway::root() ]}/error.log info;
events { }

http {
	access_log off;
	@{[ temp() ]}
	include $dir/sendgrid_amp_upstreams.conf;
	$front

	server {
		listen 127.0.0.1:@{[ Gateway->port() ]};
		include $dir/sendgrid_amp_locations.conf;
		location = /sendgrid { sendgrid_amp us; }
		location = /eu { sendgrid_amp eu; }
	}
}
EOC
}


# servers that speak TLS in front of the stand-in

sub front {
	my $port = $amp->port();

	return join '', map {
		my ($listen, $name) = @$_;
		"server {
			listen 127.0.0.1:$listen ssl;
			ssl_certificate $dir/$name.crt;
			ssl_certificate_key $dir/$name.key;
			access_log off;

			location / {
				proxy_pass http://127.0.0.1:$port;
				proxy_set_header X-SNI \$ssl_server_name;
				proxy_set_header X-Host \$http_host;
				proxy_set_header X-Connection \$connection;
			}
		}\n"
	} [ $good, 'good' ], [ $other_name, 'other-name' ],
		[ $other_ca, 'other-ca' ];
}


sub temp {
	return join ' ', map { "${_}_temp_path " . Gateway::root() . "/$_;" }
		qw(client_body proxy fastcgi uwsgi scgi);
}


sub authority {
	my ($name) = @_;

	openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
		. " -keyout $dir/$name.key -out $dir/$name.crt -days 2"
		. " -subj '/CN=$name'");
}


sub certificate {
	my ($name, $ca, @names) = @_;

	spew("$dir/$name.ext", 'subjectAltName=' . join(',',
		map { "DNS:$_" } @names) . "\n");
	openssl("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
		. " -keyout $dir/$name.key -out $dir/$name.csr -subj '/CN=$names[0]'");
	openssl("x509 -req -in $dir/$name.csr -CA $dir/$ca.crt -CAkey $dir/$ca.key"
		. " -CAcreateserial -out $dir/$name.crt -days 2"
		. " -extfile $dir/$name.ext");
}


sub openssl {
	my ($command) = @_;
	my $out = `openssl $command 2>&1`;

	$? == 0 or die "openssl $command: $out\n";
}


sub slurp {
	my ($name) = @_;

	open my $fh, '<', $name or die "$name: $!\n";
	local $/;

	return scalar <$fh>;
}


sub spew {
	my ($name, $text) = @_;

	open my $fh, '>', $name or die "$name: $!\n";
	print $fh $text;
}
