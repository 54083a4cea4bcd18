#!/usr/bin/perl

# Messages that come twice, clients that leave, workers that end, runs in the
# wrong order, and SendGrid's limits.

use warnings;
use strict;

use Test::More;

use FindBin;
use JSON::PP ();
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";

use Cohort;
use Gateway;
use Http2;
use Metrics;
use Webhook ();

use constant {
	PUT => qr!^PUT !,
	PATIENCE => 20,		# seconds for a message in work
};

my $key = Contacts::KEY;
my $secret = Cohort::SECRET;
my $slow = Contacts->new(window => 0);
my $port = $slow->port();
my $common = "sendgrid_amp_cohort_secret $secret;
	sendgrid_amp_marketing_key $key;
	sendgrid_amp_apply_window 1ms;
	sendgrid_amp_retry_delay 10ms;
	sendgrid_amp_retries 2;";
my %calls = map { $_ => 100000 } qw(lists create put search remove job);
my $cohort = Cohort->new(window => 0, apply_window => 1, limits => \%calls,
	location => 'sendgrid_amp_retry_delay 10ms; sendgrid_amp_retries 2;',
	server => <<"EOS")->start();
	location /slow {
		sendgrid_amp_cohorts /sendgrid/slow;
		$common
	}

	location /sendgrid/slow/ {
		internal;
		proxy_pass http://127.0.0.1:$port/;
		proxy_http_version 1.1;
		proxy_pass_request_headers off;
		proxy_set_header Authorization "Bearer \$sendgrid_amp_marketing_key";
		proxy_set_header Content-Type \$content_type;
		proxy_set_header Connection "";
		proxy_read_timeout 60s;
	}

	location /limits {
		sendgrid_amp_cohorts /sendgrid/limits;
		$common
	}

	location /short {
		sendgrid_amp_cohorts /sendgrid/short;
		sendgrid_amp_cohort_timeout 1s;
		$common
	}

	# each has limits of its own

	location ~ ^/sendgrid/(?:limits|short)(?<path>/.*) {
		internal;
		proxy_pass http://sendgrid\$path\$is_args\$args;
		proxy_http_version 1.1;
		proxy_pass_request_headers off;
		proxy_set_header Authorization "Bearer \$sendgrid_amp_marketing_key";
		proxy_set_header Content-Type \$content_type;
		proxy_set_header Connection "";
		client_max_body_size 0;
	}
EOS
my ($sg, $ngx) = ($cohort->sg(), $cohort->ngx());
my $round = 0;
my $cid;

# a message that takes longer than its repeat waits, and 409 at the end

my $long = $cohort->message(enter => [ 'long@a.example' ], cohort_id => 'long');
my @long;

$slow->script({ line => PUT, delay => PATIENCE + 2 });
push @long, $cohort->begin('', $long, uri => '/slow', timeout => 60);
$ngx->wait_for(sub { grep { $_ eq 'put' } $slow->calls() });
push @long, $cohort->begin('', $long, uri => '/slow', timeout => 60);

subtest('the same message' => sub {
	fresh();

	my $message = enters(map { "m$_\@a.example" } 1 .. 5);

	$sg->script({ line => PUT, delay => 0.5 });

	my @answers = Webhook::run(map { $cohort->client('', $message) } 1 .. 8);

	is_deeply([ map { "$_->{status} $_->{body}" } @answers ],
		[ ("200 $answers[0]{body}") x 8 ], 'in work: the same answer');
	answers($answers[0], 200, { received => 5, added => 5 }, 'answer');
	is(puts(), 1, 'done once');

	my $answer = $cohort->ask('', $message);

	is($answer->{body}, $answers[0]{body}, 'done: the same answer');
	is(puts(), 1, 'nothing is sent');

	# it is the message that has been done, whatever its users are now

	answers($cohort->ask('', $message =~ s/m1@/x@/r), 200, { added => 5 },
		'the same id');
	answers($cohort->ask('', $message =~ s/"in_cohort":true/"in_cohort":false/r),
		200, { added => 0, removed => 5 }, 'but not the other direction');

	# failed

	$message = enters('f@a.example');
	$sg->script({ line => PUT, status => 500, times => 3 });
	answers($cohort->ask('', $message), 503, 'unavailable', 'fails');
	answers($cohort->ask('', $message), 200, { added => 1 }, 'done anew');

	# those who wait for a message that fails do the work themselves

	$message = enters('w@a.example');
	$sg->script({ line => PUT, status => 500, times => 3, delay => 0.1 });
	@answers = Webhook::run(map { $cohort->client('', $message) } 1 .. 3);

	my %statuses;

	$statuses{ $_->{status} }++ for @answers;
	is_deeply(\%statuses, { 200 => 2, 503 => 1 }, 'one fails')
		or diag(explain(\%statuses));

	# without an id each message is another one

	my $puts = puts();

	$message = enters([ message_id => undef ], 'n@a.example');
	answers($cohort->ask('', $message), 200, { added => 1 }, 'no id')
		for 1 .. 2;
	is(puts(), $puts + 2, 'done twice');
});

subtest('the same request of the list API' => sub {
	fresh();

	my $list = $sg->list('List');
	my ($add, $body) = ("/lists/$list/add", '{"userIds":["l@a.example"]}');

	$sg->script({ line => PUT, delay => 0.4 });

	my @answers = Webhook::run(map { $cohort->client($add, $body) } 1 .. 4);

	is_deeply([ map { $_->{status} } @answers ], [ (200) x 4 ], 'joined');
	is(puts(), 1, 'done once');
	answers($cohort->ask($add, $body), 200, { added => 1 }, 'again');
	is(puts(), 2, 'done anew');

	$sg->script({ line => PUT, delay => 0.2, times => 2 });
	Webhook::run($cohort->client($add, $body), $cohort->client($add, "$body "));
	is(puts(), 4, 'other bytes');

	sleep 0.01;
	answers($cohort->ask("/lists/$list/remove", $body), 200,
		{ removed => 1 }, 'leaves');
	sleep 0.01;
	answers($cohort->ask($add, $body), 200, { added => 1 }, 'comes back');
	is_deeply([ $sg->members($list) ], [ 'l@a.example' ], 'members');

	$sg->script({ line => qr!^POST .*/lists$!, delay => 0.3 });
	@answers = Webhook::run(map { $cohort->client('/lists',
		'{"name":"[Amplitude] x: join"}') } 1 .. 4);
	is_deeply([ map { $_->{json}{listId} } @answers ],
		[ ($answers[0]{json}{listId}) x 4 ], 'one list is made');
	is(scalar(grep { /join/ } map { $_->{name} } values %{ $sg->lists() }), 1,
		'lists');
});

subtest('messages of a run at once' => sub {
	fresh();
	$sg->script({ line => qr!^POST .*/lists$!, times => 0, delay => 0.1 });

	my @answers = Webhook::run(map { $cohort->client('',
		enters("b$_\@a.example")) } 1 .. 6);

	is_deeply([ map { $_->{status} } @answers ], [ (200) x 6 ], 'answers');
	is(scalar(keys %{ $sg->lists() }), 1, 'one list');
	is(@{ members() }, 6, 'members');
});

subtest('clients that leave' => sub {
	for my $end (qw(close reset)) {
		fresh();

		my $message = enters('gone@a.example');

		$sg->script({ line => PUT, delay => 0.5 });

		my $client = $cohort->client('', $message, timeout => 0.2);

		Webhook::run($client);
		is($client->{response}{timed_out}, 1, "$end: leaves");

		my $answer = $cohort->ask('', $message);

		answers($answer, 200, { received => 1, added => 1 },
			'the repeat gets the answer');
		is(puts(), 1, 'done once');

		# nobody waits any more

		$message = enters('nobody@a.example');
		$sg->script({ line => PUT, delay => 0.3 });
		Webhook::run($cohort->client('', $message, $end eq 'reset'
			? (end => 'reset') : (timeout => 0.1)));

		ok($ngx->wait_for(sub { 2 == grep { $_->{answered}
			&& $_->{call} eq 'put' } $sg->requests() }), 'goes on');
		sleep 0.05;
		answers($cohort->ask('', $message), 200, { added => 1 }, 'is done');
		is(puts(), 2, 'done once');
	}

	# the rest of a body that does not come

	fresh();
	Webhook::run($cohort->client('', enters('half@a.example'), stop => 50,
		end => 'close'));
	sleep 0.2;
	is($sg->requests(), 0, 'half a message');

	SKIP: {
		skip 'no HTTP/2', 2 if !Gateway::has('http_v2_module');

		my $message = enters('h2@a.example');

		$sg->script({ line => PUT, delay => 0.5 });

		my $client = Http2->new(Gateway->port(1), uri => '/cohorts',
			key => undef, headers => [ authorization => "Bearer $secret" ],
			length => length $message);

		$client->data($message, end => 1);
		$ngx->wait_for(sub { $sg->in_flight() });
		$client->reset();
		answers($cohort->ask('', $message), 200, { added => 1 },
			'a stream that is reset');
		is(puts(), 1, 'done once');
	}
});

subtest('runs' => sub {
	my %when = map { $_ => { computed_time => 1700000000 + $_ } } 1 .. 9;
	my $before = metrics(Gateway->port());

	fresh('kept@a.example', 'left@a.example');
	answers(run(5, 'enter', 'new@a.example', 'kept@a.example'), 200,
		{ added => 2 }, 'a run');
	sleep 0.05;
	answers(run(4, 'exit', 'new@a.example', 'left@a.example'), 200,
		{ received => 2, removed => 1 }, 'an older run');
	is_deeply(members(), [ qw(kept@a.example new@a.example) ], 'members');
	answers(run(5, 'exit', 'left@a.example'), 200, { removed => 0 },
		'the same run');
	sleep 0.05;
	answers(run(6, 'exit', 'new@a.example'), 200, { removed => 1 },
		'a newer run');
	sleep 0.05;
	answers(run(5, 'enter', 'new@a.example', 'b@a.example'), 200,
		{ added => 1 }, 'an older run');
	is_deeply(members(), [ qw(b@a.example kept@a.example) ], 'members');
	is(changed($before, metrics(Gateway->port()))
		->{"contacts_total{operation=\"$_\",result=\"stale\"}"}, 1,
		"stale, $_") for qw(add remove);

	# the repeat of a message that failed comes late

	for my $time (7, undef) {
		my $who = 'late' . ($time // '') . '@a.example';
		my $late = enters([ computed_time => defined $time
			? 1700000000 + $time : undef ], $who, "o$who");

		$sg->script({ line => PUT, status => 500, times => 3 });
		answers($cohort->ask('', $late), 503, 'unavailable', 'fails');
		sleep 0.05;
		answers($cohort->ask('', $cohort->message(exit => [ $who ],
			cohort_id => $cid, computed_time => defined $time
			? 1700000000 + $time + 1 : undef)), 200, { removed => 0 },
			'a newer run');
		sleep 0.05;
		answers($cohort->ask('', $late), 200, { added => 1 },
			'the late repeat');
		ok(!(grep { $_ eq $who } @{ members() }), 'is stale');
	}
});

subtest('SendGrid refuses the key' => sub {
	for my $status (401, 403) {
		fresh();
		enter('first@a.example');
		$sg->script({ line => PUT, status => $status, times => 0 });

		my $from = -s Gateway->root() . '/error.log';
		my $answer = $cohort->ask('', enters([ cohort_id => "key$status" ],
			map { "k$_\@a.example" } 1 .. 10));

		answers($answer, 502, 'refused', "status $status");
		ok(!exists $answer->{headers}{'retry-after'}, 'no Retry-After');
		like($ngx->log($from), qr/\[error\].*"sendgrid_amp_marketing_key"/,
			'logged');
	}

	$sg->script();
});

subtest('limits' => sub {
	fresh();

	# 2 calls in 2 seconds

	$sg->set(limits => { %calls, put => 2 }, minute => 2);
	limited('first@a.example');
	next_minute(2);

	my $start = time();

	for my $n (1 .. 5) {
		answers(limited("limit$n\@a.example"), 200, { added => 1 }, "call $n");
	}

	my @puts = grep { $_->{call} eq 'put' } $sg->requests();

	is(scalar(grep { $_->{status} == 429 } @puts), 0, 'no call too many');
	cmp_ok(time() - $start, '>', 1.9, 'waits');

	$sg->set(reset => 'unix');
	next_minute(2);

	for my $n (1 .. 3) {
		answers(limited("unix$n\@a.example"), 200, { added => 1 },
			"a Unix time $n");
	}

	is(scalar(grep { $_->{status} == 429 } $sg->requests()), 0,
		'no call too many');
	$sg->set(reset => undef, limits => \%calls);

	# SendGrid throttles

	fresh();
	next_minute(2);
	limited('first@a.example');
	$sg->script({ line => PUT, status => 429 });
	$start = time();
	answers(limited('wait@a.example'), 200, { added => 1 }, '429, then well');
	cmp_ok(time() - $start, '>', 0.5, 'waits');
	cmp_ok(time() - $start, '<', 4.5, 'not for long');

	$sg->set(reset => 'none');
	fresh();
	limited('first@a.example');
	$sg->script({ line => PUT, status => 429 });
	answers(limited('some@a.example'), 200, { added => 1 },
		'429 that says no time, then well');
	$sg->script({ line => PUT, status => 429, times => 0 });

	my $answer = limited('no@a.example');

	answers($answer, 429, 'throttled', '429 that says no time');
	like($answer->{headers}{'retry-after'}, qr/^\d+$/, 'Retry-After');

	# a tenth is left; the rest would be beyond the budget

	fresh();
	$sg->set(reset => undef, minute => 3600, limits => { %calls, put => 20 });
	$sg->script();

	my @statuses = map { enter([ uri => '/short' ], "tenth$_\@a.example")
		->{status} } 1 .. 20;

	is_deeply(\@statuses, [ (200) x 18, 429, 429 ], 'a tenth is left');
	is(puts(), 18, 'calls');
	$start = time();
	$answer = enter([ uri => '/short' ], 'more@a.example');
	answers($answer, 429, 'throttled', 'beyond the budget');
	cmp_ok(time() - $start, '<', 0.5, 'at once');
	like($answer->{headers}{'retry-after'}, qr/^\d+$/, 'Retry-After');
	cmp_ok($answer->{headers}{'retry-after'} // 0, '<=', 3601,
		'as SendGrid says');

	# other calls go on

	answers($cohort->ask('', $cohort->message(exit => [ 'tenth1@a.example' ],
		cohort_id => $cid), uri => '/short'), 200, { removed => 1 },
		'another call');
	$sg->set(minute => 60, limits => \%calls);
});

subtest('the same message for too long' => sub {
	my ($first, $second) = Webhook::run(@long);

	answers($second, 409, 'in_progress', 'the repeat');
	like($second->{headers}{'retry-after'}, qr/^\d+$/, 'Retry-After');
	cmp_ok($second->{time}, '>', PATIENCE - 1, 'time');
	answers($first, 200, { added => 1 }, 'the first');
	answers($cohort->ask('', $long, uri => '/slow'), 200, { added => 1 },
		'done');
});

is_deeply([ $sg->violations() ], [], 'no violation');
$cohort->quiet();
$ngx->done();

done_testing();

###############################################################################

# a cohort that nobody knows, and its list with these contacts, if any

sub fresh {
	my (@members) = @_;

	$cid = 'again' . ++$round;
	$sg->clear();
	$sg->set(lists => {}, contacts => {}, order => [], bad => undef);
	$sg->script();
	$sg->list("Name [$cid]", @members) if @members;
}


# a message of users who enter; members of the message may come first

sub enters {
	my (@users) = @_;
	my @members = ref $users[0] ? @{ shift @users } : ();

	return $cohort->message(enter => \@users, cohort_id => $cid,
		cohort_name => 'N', @members);
}


# the answer to such a message; options of the client may come first

sub enter {
	my (@users) = @_;
	my @options = ref $users[0] ? @{ shift @users } : ();

	return $cohort->ask('', enters(@users), @options);
}


sub limited {
	return enter([ uri => '/limits' ], @_);
}


# the answer to a message of a run

sub run {
	my ($n, $direction, @users) = @_;

	return $cohort->ask('', $cohort->message($direction => \@users,
		cohort_id => $cid, computed_time => 1700000000 + $n));
}


# how many PUTs have come

sub puts {
	return scalar grep { $_ eq 'put' } $sg->calls();
}


sub members {
	return $cohort->members("Name [$cid]")
		// $cohort->members("[Amplitude] N [$cid]");
}


# waits for the begin of a minute of so many seconds

sub next_minute {
	my ($length) = @_;

	sleep 0.01 while int(time()) % $length != 0;
}
