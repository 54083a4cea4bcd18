#!/usr/bin/perl

# Cohorts of Amplitude's become lists of SendGrid's: the main path of both forms.

use warnings;
use strict;

use Test::More;

use FindBin;

use lib "$FindBin::Bin/lib";

use Cohort;
use Gateway;

my $cohort = Cohort->new(window => 0.5)->start();
my ($sg, $ngx) = ($cohort->sg(), $cohort->ngx());

subtest('users enter' => sub {
	my $answer = $cohort->webhook(enter => [ 'A@a.example',
		'b@a.example', 'a@A.example', 'nobody' ]);

	is($answer->{status}, 200, 'status');
	is_deeply($answer->{json}, { received => 4, added => 2, removed => 0,
		skipped => 1, calls => 3 }, 'answer');
	is_deeply([ $sg->calls() ], [ qw(lists create put) ], 'calls');
	ok(Gateway->wait_for(sub { @{ $cohort->members() // [] } == 2 }), 'applied');
	$answer = $cohort->webhook(enter => [ 'c@a.example' ]);
	is($answer->{json}{calls}, 1, 'known');
	is_deeply([ $sg->violations() ], [], 'no violation');
});

subtest('users leave' => sub {
	sleep(1);	# the window

	my $answer = $cohort->webhook(exit => [ 'a@a.example', 'x@a.example' ]);
	is($answer->{status}, 200, 'status');
	is_deeply($answer->{json}, { received => 2, added => 0, removed => 1,
		skipped => 0, calls => 2 }, 'answer');
	$answer = $cohort->webhook(enter => [ 'a@a.example', 'd@a.example' ]);
	is($answer->{status}, 503, 'too early');
	is_deeply($answer->{json}, { received => 2, added => 1, removed => 0,
		skipped => 0, calls => 1, error => 'unavailable' }, 'answer');
	is($answer->{headers}{'retry-after'}, 1, 'Retry-After');
	ok(Gateway->wait_for(sub { @{ $cohort->members() // [] } == 3 }), 'applied');
	is_deeply([ $sg->violations() ], [], 'no violation');
});

subtest('list API' => sub {
	my $answer = $cohort->post('/lists', { name => '[Amplitude] Buyers: 7khm89cz' });
	is($answer->{status}, 200, 'status');
	my $id = $answer->{json}{listId};
	is($answer->{json}{response}{list_id}, $id, 'id');
	$answer = $cohort->post("/lists/$id/add", { userIds => [ 'e@a.example' ] });
	is($answer->{status}, 200, 'status');
	$answer = $cohort->post("/lists/$id/remove", { items => [ { email => 'b@a.example' }, 'word' ] });
	is($answer->{status}, 200, 'status');
	is_deeply($answer->{json}, { received => 2, added => 0, removed => 1,
		skipped => 1, calls => 2 }, 'answer');
	is_deeply([ $sg->violations() ], [], 'no violation');
});

$ngx->done();
done_testing();
