#!/usr/bin/perl

# Messages that meet each other, and changes whose end nobody knows: what was
# answered with 200 stays true.

use warnings;
use strict;

use Test::More;

use Time::HiRes qw(sleep);

use Cohort;
use Gateway;
use Webhook;

my $cohort = Cohort->new(window => 0.2, apply_window => 600,
	location => 'sendgrid_amp_retry_delay 2s;')->start();
my ($sg, $ngx) = ($cohort->sg(), $cohort->ngx());

subtest('a message of the list API meets one like it that is outdated' => sub {
	my $id = $cohort->post('/lists', { name => '[Amplitude] One: 1' })
		->{json}{listId};
	my $add = qq({"userIds":["a\@a.example"]});

	$sg->script({ line => 'PUT', status => 503 });
	leave("/lists/$id/add", $add);
	sleep 0.7;

	# the first tries again in 1 to 3 seconds

	is($cohort->post("/lists/$id/remove", $add)->{status}, 200, 'leaves');
	is($cohort->post("/lists/$id/add", $add)->{status}, 200, 'comes back');
	ok(Gateway->wait_for(sub { $sg->members($id) == 1 }, 1), 'is on the list');
	is_deeply([ $sg->violations() ], [], 'no violation');
});

subtest('a worker dies with a message of the list API' => sub {
	my $id = $cohort->post('/lists', { name => '[Amplitude] Two: 2' })
		->{json}{listId};
	my $add = qq({"userIds":["b\@a.example"]});

	$sg->script({ line => 'PUT', stall => 1 });
	leave("/lists/$id/add", $add);

	my @old = $ngx->workers();

	kill KILL => @old;
	ok($ngx->wait_for(sub { my ($new) = $ngx->workers();
		defined $new && $new != $old[0] }), 'another worker');
	sleep 0.7;

	is($cohort->post("/lists/$id/remove", $add)->{status}, 200, 'leaves');
	is($cohort->post("/lists/$id/add", $add)->{status}, 200, 'comes back');
	ok(Gateway->wait_for(sub { $sg->members($id) == 1 }, 1), 'is on the list');
	is_deeply([ $sg->violations() ], [], 'no violation');
});

subtest('SendGrid takes a change late, and its answer is lost' => sub {
	my @enter = (enter => [ 'c@a.example' ], computed_time => 1700000001,
		cohort_id => '3');
	my @exit = (exit => [ 'c@a.example' ], computed_time => 1700000002,
		cohort_id => '3', message_id => 'exit');

	$cohort->webhook(enter => [ 'd@a.example' ], cohort_id => '3');
	$sg->script({ line => 'PUT', delay => 0.5, later => 0.5,
		reset => 'after' });
	leave('', $cohort->message(@enter));
	is($cohort->webhook(@exit)->{status}, 503, 'may be on the way');
	sleep 0.4;

	# the call has ended, nobody knows how; the window begins again

	is($cohort->webhook(@exit)->{status}, 503, 'may still be on the way');

	my $answer;

	ok(Gateway->wait_for(sub {
		$answer = $cohort->webhook(@exit);
		$answer->{status} == 200;
	}), 'has settled');
	is($answer->{json}{removed}, 1, 'and is removed');
	sleep 0.4;
	is_deeply($cohort->members('[Amplitude] Buyers [3]'), [ 'd@a.example' ],
		'is not on the list');
	is_deeply([ $sg->violations() ], [], 'no violation');
});

subtest('SendGrid makes a list twice' => sub {
	$sg->script({ line => 'POST /v3/marketing/lists', times => 2,
		delay => 0.3, later => 0.3 });

	my @clients = map { Webhook->new($ngx->port(), $cohort->message(
		enter => [ "$_\@a.example" ], cohort_id => '4'), key => undef,
		uri => '/cohorts', headers => [ 'Authorization: Bearer '
		. Cohort::SECRET ]) } qw(e f);

	is_deeply([ map { $_->{status} } Webhook::run(@clients) ], [ 200, 200 ],
		'two messages at once');
	sleep 0.4;

	my @lists = map { [ sort keys %{ $_->{members} } ] }
		grep { $_->{name} =~ / \[4\]$/ } values %{ $sg->lists() };

	is_deeply([ sort { @$a <=> @$b } @lists ],
		[ [], [ 'e@a.example', 'f@a.example' ] ], 'all are on one of them')
		or diag(explain(\@lists));
	is_deeply([ $sg->violations() ], [], 'no violation');
});

$ngx->done(qr/worker process \d+ exited on signal 9/);
done_testing();

###############################################################################

# posts a message, and leaves before the answer

sub leave {
	my ($path, $body) = @_;

	post($ngx->port(), $body, key => undef, uri => "/cohorts$path",
		headers => [ 'Authorization: Bearer ' . Cohort::SECRET ],
		timeout => 0.2);
}
