#!/usr/bin/perl

# Users leave a cohort: they are looked up, and who is on the list is taken off;
# two changes of a contact in one window.

use warnings;
use strict;

use Test::More;

use FindBin;
use JSON::PP ();
use List::Util qw(max);
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";

use Cohort;
use Gateway;
use Util qw(lines);
use Webhook ();

use constant {
	OTHER => '507e6937-484f-41c5-8e45-6b296ca50001',
	SEARCH => qr!^POST .*/search/!,
	REMOVE => qr!^DELETE !,
};

my $key = Contacts::KEY;
my $secret = Cohort::SECRET;
my $dead = Gateway->root() . '/dead.json';
my $cohort = Cohort->new(window => 0, apply_window => 1200, limits => {
	map { $_ => 100000 } qw(lists get_list create put search identify remove
	job) },
	location => "
		sendgrid_amp_retry_delay 10ms;
		sendgrid_amp_retries 2;
		sendgrid_amp_dead_letter $dead;
	", server => <<"EOS")->start();
	location /three {
		sendgrid_amp_cohorts /sendgrid/test;
		sendgrid_amp_cohort_secret $secret;
		sendgrid_amp_marketing_key $key;
		sendgrid_amp_apply_window 1ms;
		sendgrid_amp_concurrency 3;
	}
EOS
my ($sg, $ngx) = ($cohort->sg(), $cohort->ngx());
my $round = 0;
my $cid;

subtest('no list' => sub {
	fresh();
	answers(leave('a@a.example'), 200, { received => 1, removed => 0,
		skipped => 0, calls => 1 }, 'answer');
	is_deeply([ calls() ], [ 'lists' ], 'none is made');
	is(keys %{ $sg->lists() }, 0, 'lists');
});

subtest('a page in place of SendGrid' => sub {
	fresh('s1@a.example');
	$sg->script({ line => SEARCH, status => 404, type => 'text/html',
		body => '<html>404</html>', times => 0 });
	answers(leave('s1@a.example'), 503, { removed => 0,
		error => 'unavailable' }, 'nobody knows');
	$sg->script();
	answers(leave('s1@a.example'), 200, { removed => 1 }, 'SendGrid');
});

subtest('who is on the list' => sub {
	my $long = ('l' x 60) . '@' . ('d' x 40) . '.example';
	my $from = -s $dead // 0;

	fresh(qw(a@a.example b@a.example stays@a.example), $long);
	contact('known@a.example');
	contact('main@a.example', alternate_emails => [ 'alt@a.example' ], on => 1);

	answers(leave('A@a.example', "\tb\@a.example ", 'known@a.example',
		'stranger@a.example', 'alt@a.example', $long, 'word',
		'bad@@a.example', 'a@a.example'), 200, { received => 9, removed => 3,
		skipped => 2, calls => 5 }, 'answer');
	is_deeply([ sort(calls()) ], [ qw(identify lists remove remove search) ],
		'calls');
	is_deeply(members(), [ qw(main@a.example stays@a.example) ], 'members');

	my ($search) = grep { $_->{call} eq 'search' } $sg->requests();

	is_deeply([ sort @{ JSON::PP::decode_json($search->{body})->{emails} } ],
		[ qw(a@a.example alt@a.example b@a.example known@a.example
		stranger@a.example) ], 'searched, each once');

	is_deeply([ sort map { JSON::PP::decode_json($_)->{reason} }
		lines($dead, $from) ], [ ('invalid_email') x 2 ], 'dead letter');
	answers(leave('a@a.example'), 200, { removed => 0, calls => 1 },
		'nobody is known');

	fresh('on@a.example');
	$sg->set(contacts => { %{ $sg->contacts() }, 'gone@a.example' => {
		id => OTHER, email => 'gone@a.example', alternate_emails => [] } });
	answers(leave('gone@a.example'), 200, { removed => 0, calls => 2 },
		'on another list only');
	is_deeply([ calls() ], [ qw(lists search) ], 'calls');
	is(keys %{ $sg->contacts() }, 2, 'no contact is deleted');
});

subtest('numbers' => sub {
	for my $n (1, 99, 100, 101, 250) {
		my @all = map { "n$_\@a.example" } 1 .. $n;

		fresh(@all, 'stays@a.example');
		answers(leave(@all), 200, { received => $n, removed => $n,
			calls => 1 + 2 * int(($n + 99) / 100) }, "$n leave");
		is_deeply(members(), [ 'stays@a.example' ], 'members');
		cmp_ok(max(map { length $_->{uri} } $sg->requests()), '<=', 8000,
			'URL');
	}
});

subtest('concurrency' => sub {
	my @all = map { "c$_\@a.example" } 1 .. 300;

	for ([ '/cohorts', 2 ], [ '/three', 3 ]) {
		my ($uri, $n) = @$_;

		fresh(@all);
		$sg->script({ line => qr/./, times => 0, delay => 0.05 });
		answers(leave([ uri => $uri ], @all), 200, { removed => 300,
			calls => 7 }, "$n at a time");
		is_deeply(members(), [], 'members');
		is($sg->max_in_flight(), $n, 'at once');
	}
});

subtest('a list that is not there any more' => sub {
	fresh('a@a.example');
	leave('nobody@a.example');
	$sg->set(lists => {}, order => []);
	answers(leave('a@a.example'), 200, { removed => 0, calls => 1 },
		'answer');
});

subtest('what SendGrid answers to a search' => sub {
	my @all = map { "s$_\@a.example" } 1 .. 8;

	# a request that is refused is halved, a single address is skipped

	for my $status (400, 413, 414) {
		my $from = -s $dead // 0;

		fresh(@all);
		$sg->script({ line => SEARCH, match => 's3@', status => $status,
			times => 0 });
		answers(leave(@all), 200, { removed => 7, skipped => 1 },
			"status $status");
		is_deeply(members(), [ 's3@a.example' ], 'members');
		is_deeply([ map { my $d = JSON::PP::decode_json($_);
			"$d->{reason} $d->{user}{email}" } lines($dead, $from) ],
			[ "sendgrid_$status s3\@a.example" ], 'dead letter');
	}

	for my $status (500, 503, 408) {
		fresh(@all);
		$sg->script({ line => SEARCH, status => $status });
		answers(leave(@all), 200, { removed => 8 }, "$status, then well");
		fresh(@all);
		$sg->script({ line => SEARCH, status => $status, times => 0 });
		answers(leave(@all), 503, 'unavailable', "status $status");
	}

	for my $status (401, 403) {
		fresh(@all);
		$sg->script({ line => SEARCH, status => $status, times => 0 });
		answers(leave(@all), 502, 'refused', "status $status");
	}

	# what cannot be true

	my $good = '"id":"' . OTHER . '","email":"s1@a.example","list_ids":["LIST"]';
	my @rows = (
		[ 'no JSON', '<html>', 503 ], [ 'nothing', '', 503 ],
		[ 'an array', '[]', 503 ], [ 'no result', '{}', 503 ],
		[ 'result an array', '{"result":[]}', 503 ],
		[ 'an id that is no UUID', '{"result":{"s1@a.example":{"contact":{'
			. '"id":"../x","email":"s1@a.example","list_ids":["LIST"]}}}}',
			503 ],
		[ 'an id with a comma', '{"result":{"s1@a.example":{"contact":{'
			. '"id":"' . OTHER . ',' . OTHER . '","email":"s1@a.example",'
			. '"list_ids":["LIST"]}}}}', 503 ],
		[ 'nobody', '{"result":{}}', 200 ],
		[ 'somebody else', qq({"result":{"x\@a.example":{"contact":{$good}}}})
			=~ s/s1@/x@/r, 200 ],
		[ 'somebody else under our name', qq({"result":{"s1\@a.example":{)
			. qq("contact":{$good}}}}) =~ s/email":"s1@/email":"x@/r, 200 ],
		[ 'us under another name', qq({"result":{"x\@a.example":{"contact":{)
			. qq($good}}}}), 200 ],
		[ 'cut', qq({"result":{"s1\@a.example":{"contact":{$good}), 503 ],
		[ '17 MB', '{"result":{"x@a.example":{"error":"' . ('x' x 17e6)
			. '"}}}', 503 ],
	);

	for (@rows) {
		my ($name, $body, $status) = @$_;

		fresh(@all);

		my ($list) = keys %{ $sg->lists() };

		$body =~ s/LIST/$list/;
		$sg->script({ line => SEARCH, body => $body, times => 0 });
		answers(leave('s1@a.example'), $status, $status == 200
			? { removed => 0 } : 'unavailable', $name);
		is(scalar(grep { $_ eq 'remove' } calls()), 0, 'nobody is removed');
	}
});

subtest('what SendGrid answers to a removal' => sub {
	my @all = map { "r$_\@a.example" } 1 .. 8;

	fresh(@all);
	$sg->script({ line => REMOVE, status => 404 });
	answers(leave(@all), 200, { removed => 8, calls => 5 }, 'unknown');
	is_deeply([ calls() ], [ qw(lists search remove search remove) ],
		'searched again');
	is_deeply(members(), [], 'members');

	# a contact that gets another id after the search

	fresh(@all);

	my $id = $sg->contacts()->{'r3@a.example'}{id};

	$sg->script({ line => qr/^DELETE.*\Q$id\E/, status => 404, times => 0 });

	my $answer = leave(@all);

	is($answer->{status}, 200, 'an id that is never known');
	is_deeply(members(), [ 'r3@a.example' ], 'all others');
	cmp_ok($answer->{json}{calls}, '<=', 20, 'calls');
	is($answer->{json}{skipped}, 0, 'none is skipped');

	fresh(@all);
	$sg->script({ line => REMOVE, status => 404, times => 0 });
	$answer = leave(@all);
	is($answer->{status}, 200, 'no id is ever known');
	cmp_ok($answer->{json}{calls}, '<=', 20, 'calls');

	fresh(@all);
	$sg->script({ line => qr/^DELETE .{180,}/, status => 414, times => 0,
		body => '<html>414</html>' });
	answers(leave(@all), 200, { removed => 8 }, 'a URL that is too long');
	is_deeply(members(), [], 'members');

	fresh(@all);
	$id = $sg->contacts()->{'r5@a.example'}{id};
	$sg->script({ line => qr/^DELETE.*\Q$id\E/, status => 400, times => 0 });
	answers(leave(@all), 200, { removed => 7, skipped => 1 },
		'one is refused');
	is_deeply(members(), [ 'r5@a.example' ], 'members');

	for my $status (500, 503, 408) {
		fresh(@all);
		$sg->script({ line => REMOVE, status => $status });
		answers(leave(@all), 200, { removed => 8 }, "$status, then well");
		fresh(@all);
		$sg->script({ line => REMOVE, status => $status, times => 0 });
		answers(leave(@all), 503, 'unavailable', "status $status");
	}

	for ({ reset => 'before' }, { reset => 'after' }, { reset => 'early' }) {
		fresh(@all);
		$sg->script({ line => REMOVE, %$_ });
		is(leave(@all)->{status}, 200, join ' ', %$_);
		is_deeply(members(), [], 'members');
	}

	fresh(@all);
	$sg->script({ line => REMOVE, status => 202, store => 1, body => '<html>' });
	answers(leave(@all), 200, { removed => 8 }, '202 with HTML');

	fresh(@all);
	$sg->script({ line => REMOVE, status => 403 });
	answers(leave(@all), 502, 'refused', 'status 403');
});

subtest('two changes in a window' => sub {
	my $message;

	# leaves after having entered

	fresh('old@a.example');
	$sg->set(window => 0.8);
	answers(enter('new@a.example'), 200, { added => 1 }, 'enters');
	$message = $cohort->message(exit => [ 'new@a.example', 'old@a.example' ],
		cohort_id => $cid);

	my $answer = $cohort->ask('', $message);

	answers($answer, 503, { received => 2, removed => 1, error =>
		'unavailable' }, 'leaves too early');
	like($answer->{headers}{'retry-after'}, qr/^[12]$/, 'Retry-After');
	unlike(join('', map { $_->{body} } grep { $_->{call} eq 'search' }
		$sg->requests()), qr/new@/, 'is left out');

	sleep 1.3;
	is_deeply(members(), [ 'new@a.example' ], 'the rest is done');

	# its address is not searched before it has settled, the other is gone

	answers($cohort->ask('', $message), 200, { received => 2, removed => 1 },
		'the repeat');
	answers($cohort->ask('', $message), 200, { received => 2, removed => 1 },
		'done');

	# enters after having left

	$message = $cohort->message(enter => [ 'new@a.example', 'more@a.example' ],
		cohort_id => $cid);
	$answer = $cohort->ask('', $message);
	answers($answer, 503, { received => 2, added => 1, error =>
		'unavailable' }, 'enters too early');
	like($answer->{headers}{'retry-after'}, qr/^[12]$/, 'Retry-After');

	sleep 1.3;
	answers($cohort->ask('', $message), 200, { received => 2, added => 2 },
		'the repeat');

	# a change of the same kind need not wait

	answers(enter('new@a.example', 'third@a.example'), 200, { added => 2 },
		'enters again');
	sleep 1;
	is_deeply(members(), [ qw(more@a.example new@a.example third@a.example) ],
		'members');

	# other lists do not matter

	answers($cohort->ask('', $cohort->message(exit => [ 'new@a.example' ],
		cohort_id => "$cid-other")), 200, { removed => 0 }, 'another list');

	# nor does who was not on the list when asked to leave

	answers(leave('fresh@a.example'), 200, { removed => 0 }, 'not on the list');
	answers(enter('fresh@a.example'), 200, { added => 1 }, 'enters');

	# an attempt that SendGrid has not answered may be on its way

	$sg->script({ line => qr/^PUT/, times => 0, reset => 'after' });
	answers(enter('maybe@a.example'), 503, 'unavailable', 'no answer');
	$sg->script();
	answers(leave('maybe@a.example'), 503, { removed => 0,
		error => 'unavailable' }, 'may be on its way');

	# one that SendGrid has refused is not

	$sg->set(bad => qr/^refused@/);
	answers(enter('refused@a.example'), 200, { skipped => 1 }, 'refused');
	$sg->set(bad => undef, window => 0);
});

subtest('the list API' => sub {
	fresh('a@a.example', 'b@a.example');

	my ($list) = keys %{ $sg->lists() };

	answers($cohort->ask("/lists/$list/remove", { items => [ 'a@a.example',
		{ email => 'B@a.example' } ] }), 200, { received => 2, removed => 2 },
		'remove');
	is_deeply(members(), [], 'members');
	answers($cohort->ask("/lists/$list/add", { userIds => [ 'a@a.example' ] }),
		503, 'unavailable', 'add, too early');
});

subtest('a list that the list API does not find' => sub {
	fresh('a@a.example');

	for (qw(remove add)) {
		answers($cohort->ask('/lists/' . OTHER . "/$_", { userIds =>
			[ 'a@a.example' ] }), 404, 'not_found', $_);
	}

	is_deeply(members(), [ 'a@a.example' ], 'members');
});

subtest('two changes at once' => sub {
	my %script = (enter => qr/^PUT /, exit => REMOVE);
	my %other = (enter => 'exit', exit => 'enter');

	for my $first (qw(enter exit)) {
		fresh('a@a.example');
		leave('nobody@a.example');
		$sg->script({ line => $script{$first}, delay => 0.4 });

		my $client = $cohort->begin('', $cohort->message($first =>
			[ 'a@a.example' ], cohort_id => $cid));

		$ngx->wait_for(sub { grep { /^(?:put|remove)$/ } $sg->calls() });
		answers($cohort->ask('', $cohort->message($other{$first} =>
			[ 'a@a.example' ], cohort_id => $cid)), 503, 'unavailable',
			"$other{$first} while one is on its way");

		my ($answer) = Webhook::run($client);

		answers($answer, 200, { received => 1 }, $first);
		is(scalar(grep { /^(?:put|remove)$/ } $sg->calls()), 1,
			'one change is sent');
	}
});

is_deeply([ $sg->violations() ], [], 'no violation');
$cohort->quiet('7khm89cz');
$ngx->done();
done_testing();

###############################################################################

# a cohort that nobody knows, and its list with these contacts, if any

sub fresh {
	my (@members) = @_;

	$cid = 'leave' . ++$round;
	$sg->clear();
	$sg->set(lists => {}, contacts => {}, order => [], bad => undef);
	$sg->script();
	$sg->list("Name [$cid]", @members) if @members;
}


# SendGrid knows a contact that is on the list, or not

sub contact {
	my ($address, %members) = @_;
	my ($contacts, $lists) = ($sg->contacts(), $sg->lists());

	if (delete $members{on}) {
		$_->{members}{$address} = 1 for values %$lists;
	}

	$contacts->{$address} = { id => sprintf('%s%04d', substr(OTHER, 0, 32),
		1000 + keys %$contacts), email => $address, alternate_emails => [],
		%members };
	$sg->set(contacts => $contacts, lists => $lists);
}


# answers to users who leave or enter; options may come first

sub leave {
	my (@users) = @_;
	my @options = ref $users[0] ? @{ shift @users } : ();

	return $cohort->ask('', $cohort->message(exit => \@users,
		cohort_id => $cid), @options);
}


sub enter {
	my (@users) = @_;

	return $cohort->ask('', $cohort->message(enter => \@users,
		cohort_id => $cid));
}


sub members {
	return $cohort->members("Name [$cid]");
}


# the calls that came, but for those that ask for a job

sub calls {
	return grep { $_ ne 'job' } $sg->calls();
}
