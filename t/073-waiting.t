#!/usr/bin/perl

# Webhooks that wait for a retry cost no CPU, and no more memory than others.

use warnings;
use strict;

use Test::More;

use Time::HiRes qw(setitimer ITIMER_REAL time);

use Amplitude;
use Gateway;
use Util qw(active);
use Webhook;

my $amp = Amplitude->new(keep => 0);
my $ngx = Gateway->new(amplitude => $amp, sendgrid => '
	sendgrid_amp_retries 4;
	sendgrid_amp_retry_delay 2s;
', server => '
	location = /short {
		sendgrid_amp us;
		sendgrid_amp_retries 1;
		sendgrid_amp_retry_delay 1s;
	}

	location = /stub { stub_status; }
')->start();

subtest('500 webhooks wait for a retry' => sub {
	my @samples;

	$amp->script({ status => 503, times => 500 });

	local $SIG{ALRM} = sub { push @samples, [ time(), $ngx->worker_time() ] };

	setitimer(ITIMER_REAL, 0.1, 0.1);

	my @r = Webhook::run(map { Webhook->new($ngx->port(),
		webhook(events(10, "$_-")), timeout => 60) } 1 .. 500);

	setitimer(ITIMER_REAL, 0);

	is(scalar(grep { $_->{status} == 200 } @r), 500, 'answers');
	is(keys %{ $amp->stored() }, 5000, 'stored');

	my @requests = $amp->requests();

	is(scalar @requests, 1000, 'requests');

	my @idle = grep { $_->[0] > $requests[499]{time}
		&& $_->[0] < $requests[500]{time} } @samples;

	SKIP: {
		skip 'too slow to see', 1 if @idle < 2;

		cmp_ok($idle[-1][1] - $idle[0][1], '<=', 0.05,
			'CPU time of the worker while all wait');
	}
});

subtest('clients that leave while their webhook waits' => sub {
	$amp->clear();
	$amp->script({ status => 503, times => 0 });

	Webhook::run(map { Webhook->new($ngx->port(), webhook(events(5, "l$_-")),
		uri => '/short', end => ('reset', 'close')[$_ % 2]) } 1 .. 50);

	ok($ngx->wait_for(sub { active($ngx) == 1 }, 15), 'are not kept for ever');
	is($amp->in_flight(), 0, 'nothing is in flight');
});

SKIP: {
	skip 'memory of sanitizers', 1 if Gateway::sanitized()
		|| $ENV{TEST_NGINX_USE_VALGRIND};

	for my $case ([ 'each batch fails once', { status => 503, times => 0,
			chance => 0.5 } ],
		[ 'each batch is cut in parts', { max_bytes => 100000, times => 0 } ],
		[ 'an event of each batch is refused', { refuse => qr/"event-\d*77"/,
			times => 0 } ],
		[ 'a poisoned event in each batch', { refuse => qr/"event-\d*077"/,
			name => 'none', times => 0 } ],
		[ 'long answers', { refuse => qr/"event-\d*077"/, times => 0,
			pad => [ 300000, 300000 ] } ])
	{
		my ($name, $step) = @$case;

		subtest("memory, $name" => sub {
			$ngx->stop();
			$ngx = Gateway->new(amplitude => $amp, sendgrid => '
				sendgrid_amp_retries 10;
				sendgrid_amp_retry_delay 5ms;
			')->start();
			$amp->clear();
			post($ngx->port(), webhook(events(10)));

			my $before = $ngx->worker_status('VmHWM');

			$amp->script($step);

			my $r = post($ngx->port(), webhook(events(8000)),
				timeout => 60);
			my $grown = $ngx->worker_status('VmHWM') - $before;

			is($r->{status}, 200, 'answer') or diag($r->{body});
			cmp_ok($grown, '<', 3 * 900 + 128 + 768, 'memory, kB');
			note("grown by $grown kB");
		});
	}
}

is_deeply([ $amp->violations() ], [], 'the contract is kept');
$ngx->done();
done_testing();
