#!/usr/bin/perl

# Cohorts that change run by run, an Amplitude that repeats its messages, leaves
# early and comes late, a SendGrid that fails at random and applies changes in
# any order, workers that are killed, reloads: each 200 is true, and in the end
# each list is its cohort.  SEED=n takes the random numbers of an earlier run,
# RUNS=n sets the number of runs of each cohort.

use warnings;
use strict;

use Test::More;

use JSON::PP ();
use List::Util qw(shuffle);
use Time::HiRes qw(sleep time);

use Cohort;
use Gateway;
use Webhook;

use constant {
	RUNS => 12,
	USERS => 24,
	BATCH => 4,		# users of a message, at most
	FLIPS => 0.2,		# of the users enter or leave in a run
	AT_ONCE => 4,		# messages of a cohort
	PATIENCE => 0.4,	# seconds that Amplitude waits for an answer
	WINDOW => 0.2,
	JITTER => 0.15,
	APPLY => 700,		# ms
	OUTAGE => 2,		# seconds, at most
	APPLIED => 0.6,		# seconds until a change has taken effect
	LOOK => 0.2,		# seconds between two looks at the lists
	BUDGET => 3,		# seconds of a message
	KEEP => 40,		# old messages that may come again
	EPOCH => 1700000000,	# computed_time, before the first run
};

# the stand-in has its random numbers from here as well

my $seed = $ENV{SEED} || int(rand(1000000)) + 1;
my $runs = $ENV{RUNS} || RUNS;

diag("SEED=$seed");
srand($seed);

my $json = JSON::PP->new()->utf8()->canonical();
my $gateway = Cohort->new(window => WINDOW, jitter => JITTER,
	apply_window => APPLY, bad => '^bad', keep => 0, zone => '64k',
	minute => 2, limits => { map { $_ => 1e6 } qw(lists create get_list put
		search identify remove job fields) },
	read_timeout => '500ms', main => 'worker_processes 2;', log => 'notice',
	location => 'sendgrid_amp_retries 5;
		sendgrid_amp_retry_delay 30ms;
		sendgrid_amp_cohort_timeout ' . BUDGET . 's;
		sendgrid_amp_concurrency 3;
		sendgrid_amp_contact_batch 3;')->start();
my ($sg, $ngx) = ($gateway->sg(), $gateway->ngx());

my @users = ((map { "user$_\@a.example" } 1 .. USERS - 1), 'bad@a.example');

# a list with the same contacts that belongs to nobody here

my $other = $sg->list('Other [x]', @users[0 .. 9]);

my @script = (
	{ times => 0, chance => 0.03, status => 503 },
	{ times => 0, chance => 0.02, status => 500 },
	{ times => 0, chance => 0.02, status => 502, store => 1 },
	{ times => 0, chance => 0.01, status => 429 },
	{ times => 0, chance => 0.02, reset => 'early' },
	{ times => 0, chance => 0.02, reset => 'before' },
	{ times => 0, chance => 0.02, reset => 'after' },
	{ times => 0, chance => 0.02, cut => 10 },
	{ times => 0, chance => 0.02, close => 1 },
	{ times => 0, chance => 0.01, stall => 1 },
	{ times => 0, chance => 0.01, stall => 1, store => 1 },
	{ times => 0, chance => 0.05, delay => 0.1 },
	{ times => 0, chance => 0.02, delay => 0.45 },
	map({ { times => 0, chance => 0.02, line => 'contacts', delay => 0.1,
		later => 0.1, %$_ } } {}, { reset => 'after' }),
);

$sg->script(@script);

# of the Cohort Webhook, with and without what orders and names its messages,
# and of the list API

my @cohorts = map { { members => {}, old => [], run => 0, batch => BATCH, %$_ } }
	{ id => 'hook1' }, { id => 'hook2' }, { id => 'plain', plain => 1 },
	{ id => 'list1', listed => 1 }, { id => 'list2', listed => 1, batch => 1 };
my (%status, %faults, %broken);
my @names = qw(identifier email first address none);
my ($outage, $checked) = (0, 0);
my $until = time() + Gateway->patience(60 + 4 * $runs);

for (grep { $_->{listed} } @cohorts) {
	$_->{todo} = [ { uri => '/cohorts/lists', body => $json->encode({
		name => "[Amplitude] $_->{id}: $_->{id}" }) } ];
}

while (time() < $until) {
	my @messages;

	for my $cohort (@cohorts) {
		# in some runs nobody enters or leaves

		next_run($cohort) while !@{ $cohort->{todo} || [] }
			&& $cohort->{run} < $runs;

		my @todo = shuffle(@{ $cohort->{todo} || [] });

		push @messages, splice @todo, 0, 1 + int(rand(AT_ONCE));
	}

	last if !@messages;

	disturb();
	repeat_old(\@messages);
	post_all(@messages);

	done($_) for @cohorts;
	check();

	sleep 0.03;
}

$sg->script();
is(scalar(grep { @{ $_->{todo} || [] } || $_->{run} < $runs } @cohorts), 0,
	"$runs runs of each cohort");

# messages that everybody has forgotten

post_all(map { @{ $_->{old} } } @cohorts);
note(join ', ', map { "$_: $status{$_}" } sort keys %status);
note(join ', ', map { "$_: $faults{$_}" } sort keys %faults);
is_deeply([ grep { !/^(?:0|200|409|429|503)$/ } keys %status ], [],
	'no other answers');

Gateway->wait_for(sub { !grep { wrong($_) } @cohorts }, BUDGET + 2);
sleep BUDGET;

for my $cohort (@cohorts) {
	is(join(', ', wrong($cohort)), '', "the list of $cohort->{id}");
}

is(join(', ', sort keys %broken), '', 'each 200 was true');
is_deeply([ $sg->members($other) ], [ sort @users[0 .. 9] ], 'another list');

my $contacts = $sg->contacts();

is_deeply([ grep { !$contacts->{$_} && !/^bad/ } @users ], [],
	'no contact was deleted');
is(scalar keys %{ $sg->lists() }, 1 + @cohorts, 'no list is there twice');
is_deeply([ $sg->violations() ], [], 'the contract is kept');
$ngx->done(qr/worker process \d+ exited on signal 9|was locked by/);
done_testing();

###############################################################################

# users enter and leave; Amplitude tells in messages of a few users each

sub next_run {
	my ($cohort) = @_;
	my $members = $cohort->{members};
	my %again = map { $_ => 1 } @{ delete $cohort->{again} || [] };
	my (@enter, @exit);

	$cohort->{run}++;

	for my $user (@users) {
		my $flips = rand() < FLIPS;

		if ($flips) {
			$members->{$user} = !$members->{$user};
		}

		if ($flips || $again{$user}) {
			delete $cohort->{told}{$user};
			push @{ $members->{$user} ? \@enter : \@exit }, $user;
		}
	}

	$cohort->{todo} = [ messages($cohort, 'enter', @enter),
		messages($cohort, 'exit', @exit) ];
}


sub messages {
	my ($cohort, $direction, @users) = @_;
	my @messages;

	while (@users) {
		my @some = splice @users, 0, 1 + int(rand($cohort->{batch}));

		push @messages, { users => [ @some ], $cohort->{listed}
			? listed($cohort, $direction, @some)
			: hook($cohort, $direction, @some) };
	}

	return @messages;
}


sub hook {
	my ($cohort, $direction, @users) = @_;

	return uri => '/cohorts', body => $gateway->message($direction,
		[ map { spelled($_) } @users ], cohort_id => $cohort->{id},
		cohort_name => $cohort->{id}, computed_time => EPOCH + $cohort->{run},
		$cohort->{plain} ? (computed_time => undef, message_id => undef) : ());
}


sub listed {
	my ($cohort, $direction, @users) = @_;

	return uri => "/cohorts/lists/$cohort->{list}/"
		. ($direction eq 'enter' ? 'add' : 'remove'),
		body => $json->encode({ userIds => \@users });
}


sub spelled {
	my ($user) = @_;
	return rand() < 0.1 ? ucfirst $user : $user;
}


# posts all of them at the same time; Amplitude leaves before the end, or
# before there is any answer

sub post_all {
	my (@messages) = @_;

	my @clients = map { Webhook->new($ngx->port(), $_->{body}, key => undef,
		uri => $_->{uri}, headers => [ 'Authorization: Bearer '
		. Cohort::SECRET ], timeout => rand() < 0.1 ? rand(0.05)
		: Gateway->patience(PATIENCE)) } @messages;

	Webhook::run(@clients);

	for my $i (0 .. $#messages) {
		$messages[$i]{answer} = $clients[$i]{response};
		$status{ $messages[$i]{answer}{status} }++;
	}
}


# what has its answer is over, and with it the run if all have theirs; now and
# then Amplitude gives up a run, and tells again in the next who was in it

sub done {
	my ($cohort) = @_;
	my @todo = @{ $cohort->{todo} || [] };

	for my $message (grep { ($_->{answer}{status} // 0) == 200 } @todo) {
		$cohort->{list} //= $message->{answer}{json}{listId};
		$cohort->{told}{$_} = time() for @{ $message->{users} || [] };
		keep_old($cohort, $message);
	}

	@todo = grep { ($_->{answer}{status} // 0) != 200 } @todo;

	if (@todo && $cohort->{run} && $cohort->{run} < $runs && rand() < 0.04) {
		$faults{'given up'}++;
		keep_old($cohort, $_) for @todo;
		$cohort->{again} = [ map { @{ $_->{users} } } @todo ];
		@todo = ();
	}

	$cohort->{todo} = \@todo;
}


# what has no order but that of arrival does not come again

sub keep_old {
	my ($cohort, $message) = @_;
	my $old = $cohort->{old};

	if (!$cohort->{listed} && !$cohort->{plain}) {
		push @$old, $message;
		splice @$old, int(rand(@$old)), 1 if @$old > KEEP;
	}
}


sub repeat_old {
	my ($messages) = @_;

	for my $cohort (@cohorts) {
		my $old = $cohort->{old};

		push @$messages, $old->[rand(@$old)] if @$old && rand() < 0.1;
	}
}


# a worker dies, nginx is reloaded, SendGrid is away for a while

sub disturb {
	my @workers = $ngx->workers();
	my $what = rand();

	if ($outage && time() >= $outage) {
		$outage = 0;
		$sg->script(@script);
	}

	# what a refusal names

	$sg->set(name => $names[rand(@names)]);

	if ($what < 0.02 && @workers) {
		$faults{killed}++;
		kill KILL => $workers[rand(@workers)];

	} elsif ($what < 0.03) {
		$faults{reloaded}++;
		kill HUP => $ngx->{pid};

	} elsif ($what < 0.045 && !$outage) {
		$faults{outages}++;
		$outage = time() + rand(OUTAGE);
		$sg->script({ times => 0, status => 503 });
	}
}


# looks for users of whom Amplitude was told 200 and SendGrid does not know

sub check {
	return if $checked > time() - LOOK;

	$checked = time();

	for my $cohort (@cohorts) {
		my $told = $cohort->{told};
		my %late = map { $_ => 1 } grep { $told->{$_} < $checked - APPLIED }
			keys %{ $told || {} };

		$broken{"$cohort->{id}, run $cohort->{run}: $_"} = 1
			for grep { /^(\S+)/ && delete $late{$1} } wrong($cohort);
	}
}


# who is on the list or not, and should not be so

sub wrong {
	my ($cohort) = @_;
	my $name = "[Amplitude] $cohort->{id} [$cohort->{id}]";
	my %list = map { $_ => 1 } @{ $gateway->members($name) || [] };
	my %cohort = map { $_ => 1 } grep { $cohort->{members}{$_} && !/^bad/ }
		@users;

	return (map { "$_ is not on the list" } grep { !$list{$_} }
		sort keys %cohort), map { "$_ is on the list" }
		grep { !$cohort{$_} } sort keys %list;
}
