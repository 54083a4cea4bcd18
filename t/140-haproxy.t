#!/usr/bin/perl

# Two gateways behind HAProxy, with the configuration of docs/scaling.md: nodes
# are drained, upgraded, reloaded and killed while webhooks come.  Nothing is
# lost, and nothing is stored twice.

use warnings;
use strict;

use Test::More;

use File::Path qw(make_path remove_tree);
use IO::Socket::INET;
use IO::Socket::UNIX;
use List::Util qw(sum);
use POSIX ();
use Time::HiRes qw(sleep time);

use Amplitude;
use Cohort;
use Contacts;
use Gateway;
use Metrics;
use Util qw(lines slurp spew written);
use Webhook;

use constant {
	EVENTS => 10,
	SENDERS => 12,
	SECONDS => 60,
};

my ($haproxy) = grep { -x } map { "$_/haproxy" } split /:/, $ENV{PATH};

if (!$haproxy) {
	plan(skip_all => 'no haproxy');
}

my $root = Gateway::root();
my $port = Gateway->port();
my @nodes = (undef, Gateway->port(1), Gateway->port(2));
my @status = (undef, Gateway->port(3), Gateway->port(4));
my $amp = Amplitude->new();
my $sg = Contacts->new();
my $owner = $$;
my $webhooks = 0;
my $cohort = bless {}, 'Cohort';
my $balancer;

remove_tree($root);
make_path("$root/node$_") for 1, 2;
chmod 0755, $root, glob "$root/*";

conf($_) for 1, 2;
start($_) for 1, 2;
$balancer = balance(0);

# answers take a while, so that there are always webhooks in flight

$amp->script({ times => 0, delay => 0.02 });

subtest('each node has its figures, and they are added' => sub {
	my ($events, $status) = load(sub { sleep 1 });
	my @n = map { Metrics::metrics($status[$_], '/status?format=prometheus')
		->{'sendgrid_amp_webhooks_total{status="200"}'} } 1, 2;

	cmp_ok($_, '>', 0, 'a node has webhooks') for @n;
	is(sum(@n), @$events / EVENTS, 'together they have all');
	is_deeply([ keys %$status ], [ 200 ], 'each was answered with 200');
	exact($events);

	my %client = map { (split)[0] => 1 } map { lines("$root/node$_/access.log") } 1, 2;

	is_deeply([ keys %client ], [ '127.0.0.1' ],
		'the address of the PROXY protocol is in the log');
});

subtest('drained and started again' => sub {
	gentle(sub {
		for my $n (1, 2) {
			admin("set server events/node$n state drain");
			quit($n);
			start($n);
			admin("set server events/node$n state ready");
			sleep 0.3;
		}
	});
});

subtest('upgraded and reloaded' => sub {
	gentle(sub {
		for my $n (1, 2) {
			my $old = pid($n);

			kill USR2 => $old;
			until_true(sub { -s "$root/node$n/nginx.pid.oldbin" && (pid($n) // $old) != $old
				&& children(pid($n)) });
			kill QUIT => $old;
			until_true(sub { gone($old) });
			kill HUP => pid($n);
			sleep 0.3;
		}
	});
});

subtest('killed' => sub {
	my ($events, $status) = load(sub {
		for my $n (1, 2, 1) {
			crash($n);
			sleep 0.5;
			start($n);
			sleep 0.3;
		}
	});

	is_deeply([ grep { !/^(?:200|502|503|504)$/ } keys %$status ], [],
		'no answer that SendGrid does not repeat');
	whole($events);
});

subtest('both nodes are down' => sub {
	my ($events, $status) = load(sub {
		crash(1);
		quit(2);
		sleep 0.5;
		start($_) for 1, 2;
	});

	cmp_ok($status->{503} // 0, '>', 0, 'SendGrid is told to post again');
	whole($events);
});

subtest('cohorts: a node in use and a node in reserve' => sub {
	my $list = sub { message('enter', map { "u$_[0]-$_\@a.example" } 1 .. 5) };

	is($list->($_), 200, 'a message') for 1 .. 3;
	is_deeply([ map { messages($_) } 1, 2 ], [ 3, 0 ], 'all to the first node');

	crash(1);

	is($list->($_), 200, 'a message while the first node is down') for 4 .. 6;
	is(messages(2), 3, 'to the second node');
	is(message('leave', 'u1-1@a.example'), 200, 'a user leaves');

	start(1);
	until_true(sub { $list->(7) == 200 && messages(1) });

	my ($id) = keys %{ $sg->lists() };
	my @want = sort grep { $_ ne 'u1-1@a.example' }
		map { my $n = $_; map { "u$n-$_\@a.example" } 1 .. 5 } 1 .. 7;

	until_true(sub { "@{[ $sg->members($id) ]}" eq "@want" });
	is(scalar keys %{ $sg->lists() }, 1, 'a single list');
	is_deeply([ $sg->members($id) ], \@want, 'with the users of all messages');
	is_deeply([ $sg->violations() ], [], "and SendGrid's rules are kept");
});

subtest('cohorts: a node for each list' => sub {
	my $hash = balance(5, sub {
		$_[0] =~ s/^    use_backend cohorts .*\n/example('frontend')/me
			or die "no cohorts in the frontend\n";
		$_[0] =~ s/^# one node at a time.*/example('backends')/mse
			or die "no backend of cohorts\n";
	});
	my @uris = ((map { ("/cohorts/lists/$_/add", "/cohorts/lists/$_/remove") }
		1 .. 20), (map { ("/cohorts?d$_") x 2 } 1 .. 20));

	# without a secret nothing is done

	is(join(' ', grep { $_ != 401 } map { post(Gateway->port(5), '{}', uri => $_,
		key => undef)->{status} } @uris), '', 'messages are refused by a node');

	my %at;

	for my $n (1, 2) {
		for (lines("$root/node$n/access.log")) {
			$at{ $1 // $2 }{$n} = 1 if m! 401 (?:(/cohorts/lists/\w+)|(/cohorts\?d\d+))!;
		}
	}

	for my $kind (qr/lists/, qr/\?/) {
		my @nodes = map { join '', keys %{ $at{$_} } } grep { /$kind/ } keys %at;

		is(scalar @nodes, 20, 'all came');
		is(join(' ', grep { length > 1 } @nodes), '', 'each to a single node');
		is(scalar keys %{ { map { $_ => 1 } @nodes } }, 2, 'both nodes have some');
	}

	kill TERM => $hash;
	waitpid($hash, 0);
});

is_deeply([ $amp->violations() ], [], 'requests to Amplitude are as they have to be');

my @bad = grep { /\[(?:alert|emerg|crit)\]/ && !/exited on signal 9/ }
	map { lines("$root/node$_/error.log") } 1, 2;

is_deeply(\@bad, [], 'no alert in the logs');

done_testing();

END {
	if (defined $owner && $$ == $owner) {
		local $?;
		crash($_) for grep { defined pid($_) } 1, 2;

		if ($balancer) {
			kill TERM => $balancer;
			waitpid($balancer, 0);
		}
	}
}

###############################################################################

# posts webhooks, again and again until they are answered with 200, as long as
# the code runs in another process; returns the events, and how often each
# status was the answer

sub load {
	my ($code) = @_;
	my $pid = fork() // die "fork: $!\n";

	if ($pid == 0) {
		my $ok = eval { $code->(); 1 };
		warn $@ if !$ok;
		POSIX::_exit($ok ? 0 : 1);
	}

	my $until = time() + Gateway->patience(SECONDS);
	my $running = 1;
	my (@todo, @events, %status);

	while (($running || @todo) && time() < $until) {
		$running = waitpid($pid, POSIX::WNOHANG()) == 0 if $running;

		while ($running && @todo < SENDERS) {
			my @new = events(EVENTS, 'w' . ++$webhooks . '-');

			push @events, @new;
			push @todo, webhook(@new);
		}

		my @now = splice @todo, 0, SENDERS;
		my @answers = Webhook::run(map { Webhook->new($port, $_) } @now);

		for my $i (0 .. $#now) {
			$status{ $answers[$i]{status} }++;
			push @todo, $now[$i] if $answers[$i]{status} != 200;
		}

		sleep 0.05 if grep { $_->{status} != 200 } @answers;
	}

	is($running ? 'runs' : $?, 0, 'all was done to the nodes');
	is(scalar @todo, 0, 'all webhooks ended with 200');
	note(join ', ', map { "$_: $status{$_}" } sort keys %status);

	return \@events, \%status;
}


# nothing is lost and nothing is stored twice

sub whole {
	my ($events) = @_;
	my %text = map { $_->{text} => 1 } values %{ $amp->stored() };
	my @lost = grep { !$text{ mapped($_) } } @$events;

	is(scalar @lost, 0, 'no event is lost') or diag($lost[0]);
	is(scalar keys %{ $amp->stored() }, $webhooks * EVENTS,
		'no event is stored twice');
}


# each event was sent once, too

sub exact {
	my ($events) = @_;
	my %times = map { $_->{text} => $_->{times} } values %{ $amp->stored() };

	whole($events);
	is(scalar(grep { ($times{ mapped($_) } // 0) != 1 } @$events), 0,
		'each event was sent once');
}


sub gentle {
	my ($code) = @_;
	my ($events, $status) = load($code);

	is_deeply([ keys %$status ], [ 200 ], 'no webhook failed')
		or diag(explain($status));
	exact($events);
}

###############################################################################
# nodes

sub conf {
	my ($n) = @_;
	my $dir = "$root/node$n";
	my $modules = Gateway::load_modules();
	my $user = $> == 0 ? 'user root;' : '';
	my $temp = Gateway::temp_paths() =~ s/\Q$root\E/$dir/gr;
	my ($amplitude, $contacts) = ($amp->port(), $sg->port());
	my ($secret, $key) = (Cohort::SECRET, Contacts::KEY);

	spew("$dir/nginx.conf", <<"EOC");
$modules
$user
pid $dir/nginx.pid;
error_log $dir/error.log info;

events {
}

http {
	$temp
	log_format client '\$remote_addr \$status \$request_uri';
	access_log $dir/access.log client;
	sendgrid_amp_zone figures:64k;
	sendgrid_amp_cohort_zone cohorts:1m;

	upstream amplitude { server 127.0.0.1:$amplitude; keepalive 8; }

	server {
		listen 127.0.0.1:$nodes[$n] proxy_protocol;
		set_real_ip_from 127.0.0.0/8;
		real_ip_header proxy_protocol;
		client_max_body_size 20m;

		location = /sendgrid { sendgrid_amp us; }

		location = /amplitude/us {
			internal;
			proxy_pass http://amplitude/2/httpapi;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_pass_request_headers off;
			proxy_set_header Content-Type application/json;
		}

		location /cohorts {
			sendgrid_amp_cohorts /sendgrid/test;
			sendgrid_amp_cohort_secret $secret;
			sendgrid_amp_marketing_key $key;
			sendgrid_amp_apply_window 1500ms;
		}

		location /sendgrid/test/ {
			internal;
			proxy_pass http://127.0.0.1:$contacts/;
			proxy_http_version 1.1;
			proxy_pass_request_headers off;
			proxy_set_header Host api.sendgrid.com;
			proxy_set_header Authorization "Bearer \$sendgrid_amp_marketing_key";
			proxy_set_header Accept application/json;
			proxy_set_header Content-Type \$content_type;
			proxy_set_header Connection "";
		}

		location = /health { access_log off; return 200 "ok\\n"; }
	}

	server {
		listen 127.0.0.1:$status[$n];
		access_log off;
		location = /status { sendgrid_amp_status; }
	}
}
EOC
}


sub start {
	my ($n) = @_;

	# nginx frees nothing in the process that goes to the background

	local $ENV{ASAN_OPTIONS} = Gateway::no_leaks();

	unlink "$root/node$n/nginx.pid";
	system($ENV{TEST_NGINX_BINARY}, '-p', "$root/node$n/", '-c',
		"$root/node$n/nginx.conf", '-e', "$root/node$n/error.log") == 0
		or die "node $n does not start\n", slurp("$root/node$n/error.log");
	until_true(sub { -s "$root/node$n/nginx.pid"
		&& IO::Socket::INET->new("127.0.0.1:$nodes[$n]") })
		or die "node $n is not there\n";
}


sub pid {
	return written("$root/node$_[0]/nginx.pid") =~ /(\d+)/ ? $1 : undef;
}


sub children {
	return split ' ', written("/proc/$_[0]/task/$_[0]/children");
}


# a process that nobody has waited for has no command line

sub gone {
	return written("/proc/$_[0]/cmdline") eq '';
}


sub quit {
	my $pid = pid($_[0]);

	kill QUIT => $pid;
	until_true(sub { gone($pid) }) or die "node $_[0] does not end\n";
}


sub crash {
	my $pid = pid($_[0]);
	my @all = ($pid, children($pid));

	kill KILL => @all;
	until_true(sub { !grep { !gone($_) } @all });
}


sub until_true {
	my ($code) = @_;

	return Gateway->wait_for($code, 20);
}

###############################################################################
# HAProxy

# the configuration of the documentation, with addresses of the test

sub balance {
	my ($n, $change) = @_;
	my $listen = Gateway->port($n);
	my $conf = example();

	$change->($conf) if $change;

	for (
		[ qr!/run/haproxy/admin\.sock mode 660!, "$root/admin$n.sock mode 600" ],
		[ qr!:443 ssl crt \S+!, "127.0.0.1:$listen" ],
		[ qr!192\.0\.2\.11:8080!, "127.0.0.1:$nodes[1]" ],
		[ qr!192\.0\.2\.12:8080!, "127.0.0.1:$nodes[2]" ],
		[ qr!inter 2s!, 'inter 200ms' ],
	) {
		$conf =~ s/$_->[0]/$_->[1]/g or die "no $_->[0] in the configuration\n";
	}

	spew("$root/haproxy$n.cfg", $conf);

	my $pid = fork() // die "fork: $!\n";

	if ($pid == 0) {
		open STDOUT, '>', "$root/haproxy$n.log";
		open STDERR, '>&', \*STDOUT;
		exec $haproxy, '-db', '-f', "$root/haproxy$n.cfg" or POSIX::_exit(127);
	}

	until_true(sub { IO::Socket::INET->new("127.0.0.1:$listen") })
		or BAIL_OUT('HAProxy does not start: ' . slurp("$root/haproxy$n.log"));

	return $pid;
}


sub example {
	my ($name) = @_;
	my $mark = quotemeta('t/140-haproxy.t' . (defined $name ? ": $name" : ''));

	return $1 if slurp("$FindBin::Bin/../docs/scaling.md")
		=~ /<!-- $mark -->\s*```haproxy\n(.*?)```/s;

	die "no such configuration in docs/scaling.md\n";
}


sub admin {
	my ($command) = @_;
	my $socket = IO::Socket::UNIX->new("$root/admin0.sock") or die "admin.sock: $!\n";

	print $socket "$command\n";

	my $answer = join '', <$socket>;

	die "$command: $answer\n" if $answer =~ /\S/;
}

###############################################################################
# cohorts

sub message {
	my ($direction, @users) = @_;
	my $body = $cohort->message($direction, \@users);
	my $status = 0;

	# as Amplitude does

	for (1 .. 50) {
		$status = post($port, $body, uri => '/cohorts', key => undef,
			headers => [ 'Authorization: Bearer ' . Cohort::SECRET ])->{status};
		last if $status == 200;
		sleep 0.2;
	}

	return $status;
}


sub messages {
	return Metrics::metrics($status[$_[0]], '/status?format=prometheus')
		->{'sendgrid_amp_cohort_messages_total{status="200"}'};
}
