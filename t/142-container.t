#!/usr/bin/perl

# The container: its entry point, as a user who is nobody, with a file system
# that cannot be written, and with no DNS.  CONTAINER_ROOT=folder takes the root
# that container/build and container/setup have made, see "make container".

use warnings;
use strict;

use Test::More;

use File::Temp qw(tempdir);
use IO::Socket::INET;
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep);

use Gateway;
use Util qw(curl self_signed slurp spew written);
use Webhook;

use constant {
	USER => 10001,
	SIOCSIFFLAGS => 0x8914,
	IFF_UP => 1,
};

my $top = "$FindBin::Bin/..";
my $image = $ENV{CONTAINER_ROOT};

if ($> != 0) {
	plan(skip_all => 'not root');
}

if (!$image && Gateway::load_modules()
	!~ m!/build/ngx_http_sendgrid_amp_module\.so!)
{
	plan(skip_all => 'the container has the module of build/');
}

for my $program (qw(curl envsubst socat)) {
	if (system("command -v $program > /dev/null 2>&1") != 0) {
		plan(skip_all => "no $program");
	}
}

# names of its own, and a network of its own: ports and the name server are for
# this test only

if (!$ENV{CONTAINER_TEST}) {
	if (system('unshare --net --mount true 2> /dev/null') != 0) {
		plan(skip_all => 'no file system can be mounted');
	}

	$ENV{CONTAINER_TEST} = 1;
	exec 'unshare', '--net', '--mount', $^X, (map { "-I$_" } @INC), $0
		or die "unshare: $!\n";
}

# the stand-ins begin inside

require Amplitude;
require Contacts;
require Sign;

my $lo = IO::Socket::INET->new(Proto => 'udp');
my $up = pack('a16 s x22', 'lo', IFF_UP);
ioctl($lo, SIOCSIFFLAGS, $up) or die "lo: $!\n";

my $dir = tempdir(CLEANUP => 1);
my $owner = $$;
my $runs = 0;
my @pids;

END {
	if ($owner && $$ == $owner) {
		local $?;
		kill KILL => map { -$_ } @pids;
		waitpid($_, 0) for @pids;
	}
}

my %host = ('api2.amplitude.com' => '127.0.0.1', 'api.sendgrid.com' => '127.0.0.2');
my %tls = map { $_ => self_signed($_) } keys %host;
my $amp = Amplitude->new(tls => $tls{'api2.amplitude.com'});
my $sg = Contacts->new(tls => $tls{'api.sendgrid.com'});
my $key = Sign->new();

chmod 0755, $dir;
mkdir "$dir/$_" for qw(templates conf out none password cohorts signed empty
	unreadable);

spew("$dir/ca.pem", join '', map { slurp($_->{certificate}) } values %tls);
spew("$dir/resolv.conf", "nameserver 127.0.0.1\n");
spew("$dir/conf/" . s!.*/!!r, slurp($_)) for glob "$top/conf/sendgrid_amp_*.conf";
spew("$dir/templates/" . s!.*/!!r, slurp($_))
	for glob "$top/container/templates/*.template";
spew("$dir/module.so", slurp("$top/build/ngx_http_sendgrid_amp_module.so"))
	if !$image;
spew("$dir/start", slurp("$top/container/start"));
chmod 0755, "$dir/start";

my $password = 'p "\\ 4';

secret($_, 'password', "$password\nolder\n") for qw(password cohorts);
secret('cohorts', 'cohort_secret', "cohort-secret\n");
secret('cohorts', 'marketing_key', Contacts::KEY() . "\n");
secret('signed', 'api_key', KEY . "\n");
secret('signed', 'public_key', $key->base64() . "\n");
secret('empty', 'password', "\n");
secret('unreadable', 'password', "secret\n");
chmod 0600, "$dir/unreadable/password";
chown 0, 0, "$dir/unreadable/password";

socat("TCP-LISTEN:443,bind=$host{'api2.amplitude.com'}", $amp->port());
socat("TCP-LISTEN:443,bind=$host{'api.sendgrid.com'}", $sg->port());

my $body = webhook(events(20));

subtest('no DNS at the start' => sub {
	my $c = container('cohorts');

	is(status($c, '/health'), 200, 'healthy');
	is(status($c, '/health', 8081), 200, 'on the port of probes, too');
	is(status($c, '/status', 8081), 200, 'figures');
	is(status($c, '/status'), 404, 'and not for the Internet');

	my $early = Webhook->new(8080, $body, secret => $password);

	$early->_send(0);

	my ($pid) = workers($c);

	like(written("/proc/$pid/status"), qr/^Uid:\s+${\USER}\s.*?^Gid:\s+${\USER}\s/ms,
		'nginx is nobody');
	like(written("/proc/$pid/mountinfo"), qr!^\d+ \d+ \S+ \S+ / ro!m,
		'and its root cannot be written');
	like(written("/proc/$c->{pid}/status"), qr/^CapEff:\s+0+$/m,
		'with no capability');

	is_deeply([ $amp->events() ], [], 'no event comes');
	nameserver();

	# an nginx that follows the addresses asks again after some seconds

	my ($r) = Webhook::run($early);
	my $posts = 4;

	like($r->{status}, qr/^(?:200|503)$/, 'a webhook that came before is answered');

	for (1 .. 150) {
		last if $r->{status} == 200;
		sleep 0.2;
		$r = post(8080, $body, secret => $password);
		$posts++;
	}

	is($r->{status}, 200, 'webhooks are delivered when DNS answers, with no restart');
	is($r->{json}{forwarded}, 20, 'with all events');
	is(post(8080, $body, secret => 'older')->{status}, 200, 'the second password');
	is(post(8080, $body)->{status}, 401, "and not Amplitude's");
	is_deeply([ $amp->violations() ], [], 'requests to Amplitude are as they have to be');

	# the other direction, whose calls have paths of their own

	my ($out) = curl('-d', '{"cohort_id":"c1","cohort_name":"Buyers","in_cohort":true,'
		. '"users":[{"user_id":"a@a.example"}]}', '-H',
		'Authorization: Bearer cohort-secret', 'http://127.0.0.1:8080/cohorts');

	like($out, qr/"added":1/, 'a message of a cohort');
	is_deeply([ $sg->violations() ], [], "and SendGrid's rules are kept");

	# an event that cannot be delivered

	is(post(8080, '[{"email":"a@example.com"}]', secret => $password)
		->{json}{rejected}, 1, 'an event is rejected');

	my @modes = map { (stat "/proc/$c->{pid}/root$dir/out/$_")[2] // 0777 }
		qw(access.conf cohorts.conf nginx.conf);

	is(scalar(grep { $_ & 0077 } @modes), 0,
		'files with secrets are for their owner only');

	stop($c);

	my @lines = split /\n/, slurp("$c->{out}");
	my @json = grep { defined } map { eval { JSON::PP::decode_json($_) } } @lines;

	is(scalar @json, scalar @lines, 'standard output has nothing but JSON')
		or diag(slurp($c->{out}));
	is(scalar(grep { ($_->{reason} // '') eq 'no_event_type' } @json), 1,
		'the dead letter is there');
	is(scalar(grep { ($_->{log} // '') eq 'webhook' && $_->{status} != 404 } @json), $posts,
		'and a line for each webhook');
	is(scalar(grep { ($_->{log} // '') eq 'cohorts' } @json), 1,
		'and for the message');
	unlike(slurp($c->{out}) . slurp($c->{err}), qr/p \\?"|cohort-secret|SG\.test|
		${\KEY}|older/x, 'no secret in either');
	unlike(slurp($c->{err}), qr/\[(?:alert|emerg|crit)\]/, 'no alert')
		or diag(slurp($c->{err}));
});

subtest('a signature in place of a password' => sub {
	my $c = container('signed');

	is(post(8080, $body, key => undef, headers => [ $key->headers($body) ])
		->{status}, 200, 'signed');
	is(post(8080, $body, key => undef)->{status}, 403, 'not signed');
	stop($c);
});

subtest('a webhook in flight while it stops' => sub {
	my $c = container('password');
	my @events = events(1, 'slow');

	$amp->script({ delay => 2 });

	my $client = Webhook->new(8080, webhook(@events), secret => $password);

	$client->_send(0);
	sleep 0.5;
	kill QUIT => $c->{pid};
	sleep 0.3;
	is(status($c, '/health'), 0, 'no more connections');

	my ($r) = Webhook::run($client);

	is($r->{status}, 200, 'is answered');
	stop($c);
});

subtest('PROXY protocol' => sub {
	my $c = container('password', SENDGRID_AMP_LISTEN => '8080 proxy_protocol',
		SENDGRID_AMP_TRUSTED_PROXIES => '127.0.0.0/8');

	my $r = post(8080, '', raw => "PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n"
		. Webhook::request_head(length $body, secret => $password) . $body);

	is($r->{status}, 200, 'delivered');
	stop($c);
	like(slurp($c->{out}), qr/"client":"192\.0\.2\.7"/, 'the client in the log');
});

subtest('a balancer that names the client in a header' => sub {
	my $c = container('password', SENDGRID_AMP_TRUSTED_PROXIES => '127.0.0.0/8');

	is(post(8080, $body, secret => $password, headers =>
		[ 'X-Forwarded-For: 192.0.2.8' ])->{status}, 200, 'delivered');
	stop($c);
	like(slurp($c->{out}), qr/"client":"192\.0\.2\.8"/, 'the client in the log');
});

subtest('TLS' => sub {
	my $tls = self_signed('webhook.example.com');

	mkdir "$dir/tls";

	for ([ 'tls.crt', $tls->{certificate} ], [ 'tls.key', $tls->{key} ]) {
		spew("$dir/tls/$_->[0]", slurp($_->[1]));
		chown USER, USER, "$dir/tls/$_->[0]";
	}

	my $c = container('password', SENDGRID_AMP_TLS => "$dir/tls");
	my ($out) = curl('--cacert', $tls->{certificate}, '--resolve',
		'webhook.example.com:8443:127.0.0.1', 'https://webhook.example.com:8443/health');

	is($out, "ok\n", 'the certificate of the secret');
	stop($c);
});

subtest('what is wrong is told' => sub {
	for (
		[ 'none', qr/SENDGRID_AMP_REGION is us or eu/, SENDGRID_AMP_REGION => 'uk' ],
		[ 'none', qr/SENDGRID_AMP_MAX_BODY has a character/,
			SENDGRID_AMP_MAX_BODY => '1m; daemon on' ],
		[ 'none', qr/SENDGRID_AMP_LISTEN has a character/,
			SENDGRID_AMP_LISTEN => "80\n80" ],
		[ 'empty', qr/password is empty/ ],
		[ 'unreadable', qr/password cannot be read by user ${\USER}/ ],
		[ 'none', qr/cannot be written: mount a tmpfs/,
			NGINX_ENVSUBST_OUTPUT_DIR => '/usr/nginx' ],
	) {
		my ($secrets, $like, %env) = @$_;
		my $c = begin($secrets, %env);

		waitpid($c->{pid}, 0);
		isnt($?, 0, 'it does not start');
		like(slurp($c->{err}), $like, 'and says why');
	}

	my $c = container('none');

	stop($c);
	like(slurp($c->{err}), qr/the password is the one that Amplitude publishes/,
		'no secret at all is a warning');
});

done_testing();

###############################################################################

sub secret {
	my ($folder, $name, $text) = @_;

	spew("$dir/$folder/$name", $text);
	chmod 0400, "$dir/$folder/$name";
	chown USER, USER, "$dir/$folder/$name";
}


sub socat {
	my ($listen, $port) = @_;

	background(sub { exec 'socat', "$listen,fork,reuseaddr", "TCP:127.0.0.1:$port" });
}


sub background {
	my ($code, $keep) = @_;
	my $pid = fork() // die "fork: $!\n";

	# a group of its own, with all that it starts; a stand-in ends when nobody
	# else has its control socket

	if ($pid == 0) {
		setpgrp;
		open STDOUT, '>', '/dev/null';
		POSIX::close($_) for grep { $_ != ($keep // 0) } 3 .. 255;
		$code->();
		POSIX::_exit(1);
	}

	push @pids, $pid;
}


# a name server that knows %host, by IPv4

sub nameserver {
	my $socket = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1:53')
		or die "port 53: $!\n";

	background(sub {
		while (my $from = recv($socket, my $query, 512, 0)) {
			my ($id, $name) = ($query =~ /^(..).{10}(.*?)\0/s);
			my $host = join '.', unpack '(C/a)*', $name;
			my ($type) = unpack 'n', substr($query, 13 + length $name, 2);
			my $ip = $type == 1 ? $host{$host} : undef;

			send $socket, $id . pack('n5', 0x8180 + ($host{$host} ? 0 : 3), 1,
				$ip ? 1 : 0, 0, 0)
				. substr($query, 12, length($name) + 5) . ($ip
				? pack('n3Nna4', 0xc00c, 1, 1, 1, 4,
					pack('C4', split /\./, $ip)) : ''), 0, $from;
		}
	}, fileno $socket);
}


# starts the entry point, with names of files and pipes that it may open

sub begin {
	my ($secrets, %env) = @_;
	my $n = ++$runs;
	my %c = (out => "$dir/stdout.$n", err => "$dir/stderr.$n");

	my %all = (PATH => '/usr/sbin:/usr/bin:/sbin:/bin', SENDGRID_AMP_CA_FILE =>
		"$dir/ca.pem", SENDGRID_AMP_SECRETS => "$dir/$secrets",
		NGINX_ENVSUBST_OUTPUT_DIR => "$dir/out", $image ? () : (
		SENDGRID_AMP_NGINX => $ENV{TEST_NGINX_BINARY}, SENDGRID_AMP_MODULE =>
		"$dir/module.so", SENDGRID_AMP_CONF => "$dir/conf",
		NGINX_ENVSUBST_TEMPLATE_DIR => "$dir/templates"), %env);

	my $root = $image // '';

	# the root of the image has the same folder, so that names are the same

	my $script = 'set -e; root=$1 dir=$2; shift 2
		mount --make-rprivate /
		if [ -n "$root" ]; then
			mount --bind "$root" "$root"
			mkdir -p "$root$dir"
			mount --bind "$dir" "$root$dir"
			mount --rbind /dev "$root/dev"
			mount --rbind /proc "$root/proc"
		fi
		mount -t tmpfs -o mode=755,uid=' . USER . ',gid=' . USER . ' tmpfs "$root$dir/out"
		mount --bind "$dir/resolv.conf" "$root$(readlink -f /etc/resolv.conf)"
		mount -o remount,bind,ro "${root:-/}"
		cd "${root:-/}"
		exec ' . ($image ? 'chroot "$root" ' : '') . 'setpriv --reuid ' . USER
		. ' --regid ' . USER . ' --clear-groups --no-new-privs --bounding-set=-all'
		. ' --inh-caps=-all "$@"';

	# standard output is a pipe, as in a container

	pipe(my $reader, my $writer) or die "pipe: $!\n";
	chown USER, USER, $writer;

	$c{reader} = fork() // die "fork: $!\n";

	if ($c{reader} == 0) {
		close $writer;
		open STDIN, '<&', $reader;
		open STDOUT, '>', $c{out};
		exec 'cat' or POSIX::_exit(127);
	}

	close $reader;
	$c{pid} = fork() // die "fork: $!\n";

	if ($c{pid} == 0) {
		open STDIN, '<', '/dev/null';
		open STDOUT, '>&', $writer;
		open STDERR, '>>', $c{err};

		%ENV = %all;
		exec 'unshare', '--mount', 'sh', '-c', $script, 'sh', $root, $dir,
			$image ? '/usr/local/bin/sendgrid-amp' : "$dir/start"
			or POSIX::_exit(127);
	}

	return \%c;
}


sub container {
	my $c = begin(@_);

	for (1 .. 200) {
		last if waitpid($c->{pid}, WNOHANG) != 0
			|| IO::Socket::INET->new('127.0.0.1:8081');
		sleep 0.05;
	}

	if (!kill 0 => $c->{pid}) {
		fail('it starts');
		diag(slurp($c->{err}));
	}

	return $c;
}


sub workers {
	my ($c) = @_;

	return split ' ', written("/proc/$c->{pid}/task/$c->{pid}/children");
}


sub status {
	my ($c, $uri, $port) = @_;
	my ($out) = curl('-o', '/dev/null', '-w', '%{http_code}',
		'http://127.0.0.1:' . ($port // 8080) . $uri);

	return $out + 0;
}


# one test: it ended by itself

sub stop {
	my ($c) = @_;

	kill QUIT => $c->{pid};
	waitpid($c->{pid}, 0);
	is($?, 0, 'it ends well');
	waitpid($c->{reader}, 0);
}
