#!/usr/bin/perl

# Messages of cohorts with several workers, with workers that are killed, and
# while nginx reloads or ends.

use warnings;
use strict;

use Test::More;

use FindBin;
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";

use Cohort;
use Gateway;
use Metrics;
use Webhook ();

use constant PUT => qr!^PUT !;

my %limits = map { $_ => 100000 } qw(lists create put search remove job);
my $location = '
	sendgrid_amp_retry_delay 10ms;
	sendgrid_amp_contact_batch 2;
	sendgrid_amp_concurrency 1;
	add_header X-Worker $pid always;
';
my $cohort = Cohort->new(window => 0, apply_window => 60000,
	limits => \%limits, location => $location,
	main => 'worker_processes 2;')->start();
my ($sg, $ngx) = ($cohort->sg(), $cohort->ngx());
my $round = 0;
my $cid;

subtest('two workers' => sub {
	my (%workers, %bodies);

	for my $n (1 .. 20) {
		fresh();

		my $message = enters("two$n\@a.example");

		$sg->script({ line => PUT, delay => 0.1 });

		my @answers = Webhook::run(map { $cohort->client('', $message) }
			1 .. 12);

		$workers{ $_->{headers}{'x-worker'} // '' }++ for @answers;
		$bodies{"$_->{status} $_->{body}"}++ for @answers;
		is(puts(), 1, 'done once') if puts() != 1 || $n == 1;

		last if keys %workers == 2 && $n > 3;
	}

	is(keys %workers, 2, 'workers') or diag(explain(\%workers));
	is(keys %bodies, 1, 'one answer for all') or diag(explain(\%bodies));

	# what one has done the other knows

	my $message = enters('later@a.example');

	$cohort->ask('', $message);

	my $puts = puts();

	%workers = ();

	for (1 .. 100) {
		my $answer = $cohort->ask('', $message);

		$workers{ $answer->{headers}{'x-worker'} }++;
		is($answer->{status}, 200, 'status') if $answer->{status} != 200;
		last if keys %workers == 2;
	}

	is(puts(), $puts, 'nothing is sent');
	is(scalar(grep { $_ eq 'lists' } $sg->calls()), 1, 'the list is known');

	# both have the same limits

	$sg->set(limits => { %limits, put => 20 }, minute => 3600);
	$sg->script();
	Webhook::run(map { $cohort->client('', enters("q$_\@a.example"),
		timeout => 0.5) } 1 .. 30);

	my @refused = grep { $_->{status} == 429 } $sg->requests();

	# answers of calls that were on their way tell too late

	cmp_ok(scalar @refused, '<=', 12, 'refused');
	$sg->set(limits => \%limits, minute => 60);
});

$ngx->stop();
$cohort = Cohort->new(window => 0, apply_window => 60000, limits => \%limits,
	location => $location)->start();
($sg, $ngx) = ($cohort->sg(), $cohort->ngx());

subtest('a worker that is killed' => sub {
	fresh();

	my $message = enters(map { "k$_\@a.example" } 1 .. 6);

	$sg->script({ line => PUT, delay => 2 });

	my $client = $cohort->begin('', $message);

	$ngx->wait_for(sub { puts() == 1 });

	my @old = $ngx->workers();

	kill KILL => @old;

	my ($answer) = Webhook::run($client);

	is($answer->{status}, 0, 'no answer');
	$ngx->wait_for(sub { my @now = $ngx->workers(); @now && $now[0] != $old[0] });

	my $start = time();

	answers($cohort->ask('', $message), 200, { received => 6, added => 6 },
		'the repeat');
	cmp_ok(time() - $start, '<', 3, 'does not wait for the dead');
	is(@{ $cohort->members("[Amplitude] N [$cid]") }, 6, 'members');

	# what was done before is known to the next worker

	my $puts = puts();

	kill KILL => $ngx->workers();
	sleep 0.3;
	answers($cohort->ask('', $message), 200, { added => 6 }, 'done');
	is(puts(), $puts, 'nothing is sent');
});

subtest('reload' => sub {
	fresh();

	my $message = enters(map { "r$_\@a.example" } 1 .. 4);

	$sg->script({ line => PUT, delay => 0.5, times => 2 });

	my $client = $cohort->begin('', $message);

	$ngx->wait_for(sub { puts() == 1 });
	reload();

	my ($repeat, $answer) = Webhook::run($cohort->begin('', $message), $client);

	answers($answer, 200, { added => 4 }, 'the message');
	is($repeat->{body}, $answer->{body}, 'its repeat, at another worker');
	isnt($repeat->{headers}{'x-worker'}, $answer->{headers}{'x-worker'},
		'workers');
	is(puts(), 2, 'done once');
	ok($ngx->wait_for(sub { 1 == $ngx->workers() }), 'the old worker ends');

	# somebody who waits for a message in the old worker, when the client is
	# gone

	$message = enters(map { "g$_\@a.example" } 1 .. 4);
	$sg->script({ line => PUT, delay => 0.5, times => 2 });
	Webhook::run($cohort->client('', $message, timeout => 0.1));
	reload();
	answers($cohort->ask('', $message), 200, { added => 4 },
		'a message whose client has left');
	is(puts(), 4, 'done once');
});

subtest('jobs that are not asked for any more' => sub {
	fresh();
	$ngx->wait_for(sub { 1 == $ngx->workers() });

	my $before = metrics(Gateway->port());
	my $unknown = 'contacts_total{operation="add",result="unknown"}';

	$cohort->ask('', enters(map { "j$_\@a.example" } 1 .. 3));
	reload();
	ok($ngx->wait_for(sub { 1 == $ngx->workers() }, 3),
		'the old worker does not wait for SendGrid');
	ok($ngx->wait_for(sub { 3 == (changed($before, metrics(Gateway->port()))
		->{$unknown} // 0) }), 'counted')
		or diag(explain(changed($before, metrics(Gateway->port()))));
});

subtest('the end' => sub {
	fresh();

	my $message = enters(map { "e$_\@a.example" } 1 .. 4);
	my $other = enters(map { "o$_\@a.example" } 1 .. 4);

	$sg->script({ line => PUT, delay => 0.4, times => 4 });

	my $client = $cohort->begin('', $message);

	$ngx->wait_for(sub { puts() == 1 });
	Webhook::run($cohort->client('', $other, timeout => 0.1));

	my $waiting = $cohort->begin('', $message);

	sleep 0.05;
	kill QUIT => $ngx->{pid};

	my ($answer, $repeat) = Webhook::run($client, $waiting);

	answers($answer, 200, { added => 4 }, 'a message in work');
	answers($repeat, 200, { added => 4 }, 'one that waits for it');
	$ngx->stop();
	is(@{ $cohort->members("[Amplitude] N [$cid]") }, 8,
		'a message whose client has left');
});

is_deeply([ $sg->violations() ], [], 'no violation');
$cohort->quiet();
$ngx->done(qr/exited on signal 9/);
done_testing();

###############################################################################

# a cohort that nobody knows

sub fresh {
	$cid = 'workers' . ++$round;
	$sg->clear();
	$sg->set(lists => {}, contacts => {}, order => []);
	$sg->script();
}


sub enters {
	my (@users) = @_;

	return $cohort->message(enter => \@users, cohort_id => $cid,
		cohort_name => 'N');
}


# how many PUTs have come

sub puts {
	return scalar grep { $_ eq 'put' } $sg->calls();
}


# until the old worker takes no connections any more

sub reload {
	my $from = -s Gateway->root() . '/error.log';

	local $Test::Builder::Level = $Test::Builder::Level + 1;

	ok($ngx->reload() && $ngx->wait_for(sub {
		$ngx->log($from) =~ /gracefully shutting down/ }), 'reload');
}
