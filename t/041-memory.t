#!/usr/bin/perl

# However large a webhook is, it needs the memory of a few batches.

use warnings;
use strict;

use Test::More;

use Amplitude;
use Gateway;
use Webhook;

if (Gateway::sanitized() || $ENV{TEST_NGINX_USE_VALGRIND}) {
	plan(skip_all => 'memory of sanitizers');
}

use constant BATCH => 900;

my $amp = Amplitude->new(keep => 0);

for my $case ([ 'a webhook of 30 MB', 70000, 2 ],
	[ 'chunked', 20000, 2, chunked => 5000 ],
	[ 'slow answers', 20000, 1, delay => 0.02 ],
	[ 'concurrency of 4', 20000, 4 ])
{
	my ($name, $n, $concurrency, %options) = @$case;
	my $all = webhook(events($n, 'large'));

	subtest($name => sub {
		my $ngx = Gateway->new(amplitude => $amp, sendgrid =>
			"sendgrid_amp_concurrency $concurrency;")->start();

		post($ngx->port(), webhook(events(10)));
		$amp->clear();
		$amp->script({ delay => delete $options{delay} // 0, times => 0 });

		my $before = $ngx->worker_status('VmHWM');
		my $r = post($ngx->port(), $all, timeout => 120, %options);
		my $grown = $ngx->worker_status('VmHWM') - $before;

		is($r->{status}, 200, 'answer') or diag($r->{body});
		is($r->{json}{forwarded}, $n, 'forwarded');
		is(keys %{ $amp->stored() }, $n, 'stored');
		cmp_ok($grown, '<', ($concurrency + 1) * BATCH + 128 + 512,
			'memory, kB');
		note("grown by $grown kB");
		is_deeply([ $amp->violations() ], [], 'the contract is kept');
		$ngx->done();
	});
}

done_testing();
