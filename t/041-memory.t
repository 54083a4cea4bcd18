#!/usr/bin/perl

# However large a webhook is, it needs the memory of a few batches.

use warnings;
use strict;

use Test::More;

use Amplitude;
use Gateway;
use Sign;
use Webhook;

if (Gateway::sanitized() || $ENV{TEST_NGINX_USE_VALGRIND}) {
	plan(skip_all => 'memory of sanitizers');
}

use constant BATCH => 900;

my $amp = Amplitude->new(keep => 0);

for my $case ([ 'a webhook of 17 MB', 40000, 2 ],
	[ 'chunked', 10000, 2, chunked => 5000 ],
	[ 'slow answers', 10000, 1, delay => 0.02 ],
	[ 'concurrency of 4', 15000, 4 ])
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
		my $r = post($ngx->port(), $all, timeout => 600, %options);
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

# however a webhook ends, it leaves nothing behind

my $sign = Sign->new();
my $ngx = Gateway->new(amplitude => $amp, sendgrid =>
	'sendgrid_amp_ignore open;', server => qq(
	location = /signed {
		sendgrid_amp us;
		sendgrid_amp_public_key "@{[ $sign->base64() ]}";
	}
))->start();

my $cut = webhook(('{}') x 1000, events(20), event(1, pad => '"' . 'x' x 30000
	. '"'));
my @cut = (stop => length($cut) - 1000, length => length $cut, end => 'close');
my $signed = webhook(events(100), ('{}') x 1000);

for my $case (
	[ 'invalid', 400, '[' . join(',', events(200, '', event => '"click"')) . '}' ],
	[ 'all ignored', 200, webhook(events(200)) ],
	[ 'a bad signature', 403, $signed, uri => '/signed',
		headers => [ $sign->headers("$signed ") ] ],
	[ 'cut', 0, $cut, @cut ], [ 'signed and cut', 0, $cut, @cut,
		uri => '/signed', headers => [ $sign->headers($cut) ] ])
{
	my ($name, $status, $body, @options) = @$case;
	my ($before, %status);

	for my $i (1 .. 200) {
		$before = $ngx->worker_status('VmRSS') if $i == 20;
		$status{post($ngx->port(), $body, @options)->{status}}++;
	}

	my $grown = $ngx->worker_status('VmRSS') - $before;

	is_deeply(\%status, { $status => 200 }, "$name: answers");
	cmp_ok($grown, '<', 512, "$name: memory, kB");
	note("grown by $grown kB");
}

$ngx->done();
done_testing();
