#!/usr/bin/perl

# Webhooks with very many events that are rejected: how often the worker
# writes, what the error log says, whether others are served meanwhile.

use warnings;
use strict;

use Test::More;

use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep);

use Amplitude;
use Gateway;
use Sign;
use Util qw(written);
use Webhook;

my $amp = Amplitude->new();
my $root = Gateway::root();
my $port = Gateway->port();
my $sign = Sign->new();
my $key = $sign->base64();

my $ngx = Gateway->new(amplitude => $amp, sendgrid =>
	"sendgrid_amp_dead_letter $root/dead;", server => qq(
	location = /x { return 204; }
	location = /mirror { internal; return 204; }

	location = /memory {
		sendgrid_amp us;
		sendgrid_amp_dead_letter $root/dead;
		client_body_buffer_size 20m;
		mirror /mirror;
	}

	location = /file {
		sendgrid_amp us;
		sendgrid_amp_dead_letter $root/dead;
		client_body_in_file_only clean;
		mirror /mirror;
	}

	location = /logged {
		sendgrid_amp us;
		client_body_buffer_size 20m;
		mirror /mirror;
	}

	location = /signed {
		sendgrid_amp us;
		sendgrid_amp_public_key "$key";
		client_body_buffer_size 20m;
		mirror /mirror;
		sendgrid_amp_dead_letter $root/dead;
	}

	location = /short {
		sendgrid_amp us;
		sendgrid_amp_dead_letter $root/dead;
		client_body_buffer_size 20m;
		client_body_timeout 1s;
	}
))->start();

my $n = Gateway::sanitized() ? 400000 : 600000;
my $many = webhook(('{}') x $n);

subtest('lines are written together' => sub {
	my $before = writes();

	is(post($port, webhook(('{}') x 3000))->{json}{rejected}, 3000,
		'rejected');
	cmp_ok(writes() - $before, '<', 60, 'writes of 3000 lines');
	is(written("$root/dead") =~ tr/\n//, 3000, 'lines');
});

subtest('a line is written although it is alone' => sub {
	truncate "$root/dead", 0;
	is(post($port, webhook(event(1), '{}', event(2)))->{json}{rejected}, 1,
		'rejected');
	is(written("$root/dead") =~ tr/\n//, 1, 'lines');
});

subtest('events that Amplitude rejects are written together' => sub {
	truncate "$root/dead", 0;
	$amp->script({ status => 400, body => '{"code":400,"error":"x",'
		. '"events_with_invalid_fields":{"time":['
		. join(',', 0 .. 498) . ']}}' });

	my $before = writes();

	is(post($port, webhook(events(500)))->{json}{rejected}, 499, 'rejected');
	cmp_ok(writes() - $before, '<', 60, 'writes');
	is(written("$root/dead") =~ tr/\n//, 499, 'lines');
	$amp->clear();
});

for my $uri ('/sendgrid', '/memory', '/file', '/logged', '/signed', '/short') {
	subtest("others are served meanwhile: $uri" => sub {
		my @headers = $uri eq '/signed' ? $sign->headers($many) : ();
		my ($r, $time, $wait);

		# a busy machine can make one wait, but not each time

		for (1 .. 5) {
			truncate "$root/dead", 0;
			($r, $time, $wait) = meanwhile($uri, \@headers);

			last if $wait < $time / 3;
		}

		is($r, "200 $n", 'answer');
		cmp_ok($wait, '<', $time / 3, 'the longest that another waits');
		is(written("$root/dead") =~ tr/\n//, $uri eq '/logged' ? 0 : $n,
			'lines');
	});
}

subtest('the error log is short' => sub {
	my $from = length $ngx->log();
	my $r = post($port, webhook((map { event($_, email => 'null') } 1 .. 10),
		('{}') x 4, ('7') x 3), uri => '/logged');

	is($r->{json}{rejected}, 17, 'rejected');

	# the webhook is at its end when another request is answered

	post($port, '', method => 'GET', uri => '/x');

	my $log = $ngx->log($from);

	is(scalar(() = $log =~ /event rejected: no_user_id/g), 3,
		'lines of a reason');
	is(scalar(() = $log =~ /event rejected: not_an_object/g), 3,
		'and of another one');
	is(join(' | ', $log =~ /(\d+ more events rejected: .*?"\w*")/g),
		'7 more events rejected: no_user_id, region: "us"'
		. ' | 1 more events rejected: no_event_type, region: "us"',
		'the rest of both');
});

subtest('the ids that are logged' => sub {
	my $from = length $ngx->log();
	my @odd = map { "a${_}b" } '/', ':', '@', '[', '`', '{', '.', ' ';

	post($port, webhook(event(1, email => 'null', sg_event_id => qq("$_"))),
		uri => '/logged') for 'aZ09', '-_=zA', @odd;

	is(join(' ', $ngx->log($from) =~ /sg_event_id: "([^"]*)"/g),
		join(' ', 'aZ09', '-_=zA', ('?') x @odd), 'ids');
});

subtest('a webhook that fails says how many were rejected' => sub {
	my $from = length $ngx->log();

	is(post($port, '[' . '{},' x 10 . 'x]', uri => '/logged')->{status}, 400,
		'status');
	like($ngx->log($from), qr/7 more events rejected: no_event_type/, 'log');
});

subtest('a worker that ends lets a webhook end' => sub {
	my ($r) = meanwhile('/memory', [], sub { kill HUP => $ngx->{pid} });

	is($r, "200 $n", 'answer');
});

$ngx->done();
is_deeply([ $amp->violations() ], [], 'the contract is kept');
done_testing();

###############################################################################

# calls of write() by the worker so far

sub writes {
	my ($pid) = $ngx->workers();

	return written("/proc/$pid/io") =~ /^syscw: (\d+)/m ? $1 : 0;
}


# posts many events; the answer, when it came, and the longest time that one
# of many other requests had to wait meanwhile

sub meanwhile {
	my ($uri, $headers, $do) = @_;

	pipe(my $read, my $write) or die "pipe: $!\n";

	my $pid = fork() // die "fork: $!\n";

	if ($pid == 0) {
		my $r = post($port, $many, uri => $uri, headers => $headers,
			timeout => Gateway->patience(60));

		syswrite($write, "$r->{status} " . ($r->{json}{rejected} // '')
			. "|$r->{time}");
		POSIX::_exit(0);
	}

	close $write;

	my ($served, $longest) = (0, 0);

	while (waitpid($pid, WNOHANG) == 0) {
		my $r = post($port, '', method => 'GET', uri => '/x',
			timeout => Gateway->patience(60));

		$longest = $r->{time} if $r->{time} > $longest;
		$do->() if $do && ++$served == 20;
		sleep 0.001;
	}

	return split(/\|/, scalar <$read>), $longest;
}
