#!/usr/bin/perl

# Cohorts of Amplitude's become lists of SendGrid's.

use warnings;
use strict;

use Test::More;

use FindBin;

use lib "$FindBin::Bin/lib";

use Cohort;
use Gateway;

my $cohort = Cohort->new(window => 0.5, log => $ENV{LOGLEVEL} // 'info')->start();
my ($sg, $ngx) = ($cohort->sg(), $cohort->ngx());

subtest('users enter' => sub {
	my $answer = $cohort->webhook(enter => [ 'A@a.example', 'b@a.example', 'a@A.example', 'nobody' ]);

	is($answer->{status}, 200, 'status');
	is_deeply($answer->{json}, { received => 4, added => 2, removed => 0,
		skipped => 1, calls => 3 }, 'answer') or diag explain $answer;
	is_deeply([ $sg->calls() ], [ qw(lists create put) ], 'calls');
	ok(Gateway->wait_for(sub { @{ $cohort->members() // [] } == 2 }), 'applied')
		or diag explain [ $sg->lists() ];
	$answer = $cohort->webhook(enter => [ 'c@a.example' ]);
	is($answer->{json}{calls}, 1, 'known');
	is_deeply([ $sg->violations() ], [], 'no violation');
});

subtest('users leave' => sub {
	sleep 1;
	my $answer = $cohort->webhook(exit => [ 'a@a.example', 'x@a.example' ]);
	is($answer->{status}, 200, 'status');
	is_deeply($answer->{json}, { received => 2, added => 0, removed => 1,
		skipped => 0, calls => 2 }, 'answer') or diag explain $answer;
	$answer = $cohort->webhook(enter => [ 'a@a.example', 'd@a.example' ]);
	is($answer->{status}, 503, 'too early');
	is_deeply($answer->{json}, { received => 2, added => 1, removed => 0,
		skipped => 0, calls => 1, error => 'unavailable' }, 'answer') or diag explain $answer;
	is($answer->{headers}{'retry-after'}, 1, 'Retry-After');
	ok(Gateway->wait_for(sub { @{ $cohort->members() // [] } == 3 }), 'applied')
		or diag explain [ $sg->lists() ];
	is_deeply([ $sg->violations() ], [], 'no violation');
});

subtest('list API' => sub {
	my $answer = $cohort->post('/lists', { name => '[Amplitude] Buyers: 7khm89cz' });
	is($answer->{status}, 200, 'status') or diag explain $answer;
	my $id = $answer->{json}{listId};
	is($answer->{json}{response}{list_id}, $id, 'id');
	$answer = $cohort->post("/lists/$id/add", { userIds => [ 'e@a.example' ] });
	is($answer->{status}, 200, 'status') or diag explain $answer;
	$answer = $cohort->post("/lists/$id/remove", { items => [ { email => 'b@a.example' }, 'word' ] });
	is($answer->{status}, 200, 'status') or diag explain $answer;
	is_deeply($answer->{json}, { received => 2, added => 0, removed => 1,
		skipped => 1, calls => 2 }, 'answer') or diag explain $answer;
	is_deeply([ $sg->violations() ], [], 'no violation');
});

sleep 3;
diag(grep { /import|job/ } @{ [ map { "$_\n" } $sg->calls() ] });
my $http = HTTP::Tiny->new();
diag($_) for grep { /contacts_total|sendgrid_resp|apply|quota|cohort_/ && !/ 0$/ } split /^/, $http->get('http://127.0.0.1:'.Gateway->port().'/status?format=prometheus')->{content};

$ngx->done();
done_testing();
