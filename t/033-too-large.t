#!/usr/bin/perl

# Webhooks that are too large, which must not need much memory, and what is told
# of a webhook that was forwarded in part.

use warnings;
use strict;

use Test::More;

use Amplitude;
use Gateway;
use Webhook;

my $amp = Amplitude->new();
my $ngx = Gateway->new(amplitude => $amp, server => '
	location = /one {
		sendgrid_amp us;
		sendgrid_amp_batch_events 1;
		sendgrid_amp_concurrency 1;
	}
')->start();

my $event = event(1);

# limits that need much input and must not need much memory

my @large = (
	[ 'endless string', '[{"a":"' . ('x' x 4000000) ],
	[ 'endless key', '[{"' . ('x' x 4000000) ],
	[ 'endless number', '[{"a":' . ('1' x 4000000) ],
	[ 'endless white space in an event', '[{"a":' . (' ' x 4000000) ],
	[ 'endless white space first', ' ' x 4000000 ],
	[ 'endless white space between events', "[$event,"
		. (' ' x 4000000) . "$event]", 1 ],
	[ 'endless white space last', "[$event]" . (' ' x 4000000), 1 ],
	[ 'endless escapes', '[{"a":"' . ('\u00e9' x 700000) ],
	[ 'large event', '[{"a":[' . join(',', (1) x 2000000) . ']}]' ],
	[ 'large number of members', '[{' . join(',', map { qq("k$_":$_) }
		1 .. 200000) . '}]' ],
);

post($ngx->port(), webhook(events(10)));

my $before = $ngx->worker_status('VmHWM');

for my $case (@large) {
	my ($name, $body, $received) = @$case;
	my $r = post($ngx->port(), $body);

	is($r->{status}, 413, $name) or diag($r->{body});
	is($r->{json}{error}, 'too_large', 'error');
	is($r->{json}{received}, $received // 0, 'received');
}

SKIP: {
	skip 'memory of sanitizers', 1 if Gateway::sanitized();

	cmp_ok($ngx->worker_status('VmHWM') - $before, '<', 4096, 'flat memory');
}

# a large body is not read before it is refused

my $r = post($ngx->port(), '', key => undef, length => 150000000);

is($r->{status}, 401, '401 before the body');

$r = post($ngx->port(), '', length => 300000000);

is($r->{status}, 413, '413 before the body');
is($r->{json}{error}, 'too_large', 'error');

subtest('what was forwarded before the fault is told' => sub {
	$amp->clear();

	my $body = webhook(events(3)) =~ s/\]\r\n$/,x]/r;
	my $r = post($ngx->port(), $body, uri => '/one');

	is($r->{status}, 400, 'status');
	is($r->{json}{error}, 'invalid_json', 'error');
	is($r->{json}{at}, length($body) - 2, 'at');
	is($r->{json}{forwarded}, scalar keys %{ $amp->stored() }, 'forwarded');
	is($r->{json}{received}, 3, 'received');
});

is_deeply([ $amp->violations() ], [], 'the contract is kept');
$ngx->done();
done_testing();
