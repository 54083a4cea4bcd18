#!/usr/bin/perl

# An outbound proxy that knows CONNECT only: socat as docs/scaling.md has it, and
# TLS to Amplitude is verified through it.

use warnings;
use strict;

use Test::More;

use IO::Select;
use IO::Socket::INET;
use POSIX ();

use Amplitude;
use Gateway;
use Util qw(self_signed slurp summary);
use Webhook;

if (system('command -v socat > /dev/null 2>&1') != 0) {
	plan(skip_all => 'no socat');
}

my $tls = self_signed('api2.amplitude.com');
my $other = self_signed('amplitude.example');
my $amp = Amplitude->new(tls => $tls);
my $stranger = Amplitude->new(tls => $other);
my $tunnel = Gateway->port(3);
my @pids;

# the command of the documentation, with ports of the test

my ($command) = slurp("$FindBin::Bin/../docs/scaling.md")
	=~ /^    (socat TCP-LISTEN:8443.*?\n.*?)\n\n/ms
	or die "no socat in docs/scaling.md\n";

my $proxy = IO::Socket::INET->new(LocalAddr => '127.0.0.1:' . Gateway->port(4),
	Listen => 20, ReuseAddr => 1) or die "listen: $@\n";
my $to = $amp->port();

for (
	[ qr/8443/, $tunnel ],
	[ qr/proxy\.example\.com/, '127.0.0.1' ],
	[ qr/3128/, Gateway->port(4) ],
	[ qr/\\\n\s*/, '' ],
) {
	$command =~ s/$_->[0]/$_->[1]/ or die "no $_->[0] in the command\n";
}

my ($conf) = slurp("$FindBin::Bin/../conf/sendgrid_amp_locations.conf")
	=~ /^(location = \/amplitude\/us \{.*?^\})/ms;

$conf =~ s!/etc/ssl/certs/ca-certificates\.crt!$tls->{certificate}! or die;
$conf =~ s!/amplitude/us !/amplitude/tunnel ! or die;

# nginx never frees the TLS sessions that it keeps for an upstream

my $ngx = Gateway->new(amplitude => $amp, leaks => 1,
	http => "upstream amplitude_us { server 127.0.0.1:$tunnel; keepalive 32; }",
	server => $conf . 'location = /tunnel { sendgrid_amp /amplitude/tunnel;
		sendgrid_amp_retries 0; }')->start();

subtest('through the proxy' => sub {
	serve($amp->port());

	my $r = post($ngx->port(), webhook(events(5)), uri => '/tunnel');

	is($r->{status}, 200, 'delivered') or diag($ngx->log());
	is_deeply($r->{json}, summary(5, forwarded => 5), 'all of it');
	is(scalar(() = $amp->events()), 5, 'to Amplitude');
	is_deeply([ $amp->violations() ], [], 'as it has to be');
	finish();
});

subtest('to somebody else' => sub {
	serve($stranger->port());

	my $r = post($ngx->port(), webhook(events(5, 'other')), uri => '/tunnel');

	is($r->{status}, 503, 'refused');
	is(scalar(() = $stranger->events()), 0, 'no event was sent');
	like($ngx->log(), qr/upstream SSL certificate verify error/, 'TLS is verified');
	finish();
});

$ngx->done();
done_testing();

END {
	local $?;
	finish();
}

###############################################################################

# the tunnel, and a proxy that connects all names to a port

sub serve {
	my ($port) = @_;

	background(sub { exec "exec $command" });
	background(sub {
		while (my $client = $proxy->accept()) {
			my ($head, $byte) = ('');

			$head .= $byte while $head !~ /\r\n\r\n$/ && sysread($client, $byte, 1);
			$head =~ /^CONNECT api2\.amplitude\.com:443 HTTP/ or next;

			my $server = IO::Socket::INET->new("127.0.0.1:$port") or next;
			my %peer = ($client => $server, $server => $client);
			my $select = IO::Select->new($client, $server);

			syswrite $client, "HTTP/1.0 200 Connection established\r\n\r\n";

			PAIR: while (my @ready = $select->can_read()) {
				for (@ready) {
					sysread($_, my $data, 65536) or last PAIR;
					syswrite $peer{$_}, $data;
				}
			}
		}
	}, fileno $proxy);

	$ngx->wait_for(sub { IO::Socket::INET->new("127.0.0.1:$tunnel") });
}


# a group of its own; a stand-in ends when nobody else has its control socket

sub background {
	my ($code, $keep) = @_;
	my $pid = fork() // die "fork: $!\n";

	if ($pid == 0) {
		setpgrp;
		open STDERR, '>', '/dev/null';
		POSIX::close($_) for grep { $_ != ($keep // 0) } 3 .. 255;
		$code->();
		POSIX::_exit(1);
	}

	push @pids, $pid;
}


sub finish {
	my @groups = splice @pids;

	kill KILL => map { -$_ } @groups;
	waitpid($_, 0) for @groups;
}
