#!/usr/bin/perl

# Messages of cohorts of many kinds, while one call of libc fails: each call in
# turn, until a message passes without a failure, as t/110-faults.t does with
# webhooks.  FAULTS=all takes all of them; FAULTS="posix_memalign send" these
# calls; KINDS=regexp some kinds.

use warnings;
use strict;

use Test::More;

use FindBin;
use JSON::PP ();
use Time::HiRes qw(time);

use lib "$FindBin::Bin/lib";

use Cohort;
use Faults;
use Gateway;
use Util qw(curl has_http2 spew written);
use Webhook;

if (my $why = Faults::missing()) {
	plan(skip_all => $why);
}

# calls that are counted up to here, and how many there are in between

use constant {
	MAX => 4000,
	PLAIN => 2,
	WAIT => 5,
	LINES => 20,
};

my $all = ($ENV{FAULTS} // '') ne '';
my @only = grep { $_ ne 'all' } split ' ', $ENV{FAULTS} // '';
my @calls = @only ? @only : Faults::calls();
my $root = Gateway::root();
my $key = Contacts::KEY;
my $secret = Cohort::SECRET;
my $json = JSON::PP->new()->utf8()->canonical();
my $faults = Faults->new();
my ($total, $n) = (0, 0);

# a minute's limits would end the test

my %limits = map { $_ => 1e8 } qw(lists get_list create put search identify
	remove job fields);

my $cohort = Cohort->new(limits => \%limits, window => 0, apply_window => 0, bad => qr/^bad/,
	fields => [ [ 'e1_T', 'plan', 'Text' ] ], timeout => Gateway::patience(WAIT),
	env => { $faults->env() }, location => rules(),
	server => server())->start();
my ($sg, $ngx) = ($cohort->sg(), $cohort->ngx());
my $worker;

$ngx->wait_for(sub { ($worker) = $ngx->workers() });

my %kinds = kinds();

for my $name (grep { !defined $ENV{KINDS} || /$ENV{KINDS}/ } sort keys %kinds) {
	for my $call (@calls) {

		# nginx itself crashes or loses a request, when each of its
		# allocations can fail

		if ($kinds{$name}{fragile} && Gateway::sanitized() && $call eq 'malloc') {
			next;
		}

		is(join("\n", each_call($kinds{$name}, $call)), '', "$name: $call");
	}
}

note("$total failures");
cmp_ok($total, '>', 0, 'calls have failed');

$ngx->done(qr{\(.*\) .*failed|could not be|no memory|line that is cut});
done_testing();

###############################################################################

# what went wrong while the first, second ... call failed

sub each_call {
	my ($kind, $call) = @_;
	my ($hits, @bad) = Faults::each_nth($call, MAX,
		$all ? 0 : PLAIN, sub {
		my ($nth, %how) = @_;

		return attempt($kind, $call, $nth, %how);
	});

	$total += $hits;

	return @bad;
}


# sends a message while calls fail; returns the failures, and what is wrong

sub attempt {
	my ($kind, $call, $nth, %how) = @_;
	my @bad;

	$n++;
	$sg->clear();
	truncate("$root/dead", 0);

	my $message = $kind->{make}->($n);
	my $from = -s "$root/error.log";

	$sg->script(@{ $kind->{script} || [] });
	$faults->arm($call, $nth, %how);

	my $r = send_message($kind, $message);
	my (undef, $hits) = $faults->disarm();

	$ngx->wait_for(sub { $sg->in_flight() == 0 }, WAIT)
		or push @bad, 'a request to SendGrid hangs';
	$sg->script();

	push @bad, truth($kind, $message, $r);

	my $status = $kind->{status} // 200;

	if ($r->{status} !~ /^(?:0|200|500|503|$status)$/) {
		push @bad, "$r->{status} $r->{content}";
	}

	if (!$hits && $r->{status} != $status) {
		push @bad, "no failure, and $r->{status} $r->{content}";
	}

	# the same message, as Amplitude sends it again; a full disk has cut a line

	truncate("$root/dead", 0);

	my $again = send_message($kind, $message);

	push @bad, map { "again: $_" } truth($kind, $message, $again);

	if ($again->{status} != $status) {
		push @bad, "again: $again->{status} $again->{content}";
	}

	my $after = send_message({}, { path => '', body => $cohort->message(enter => [ "after$n\@a.example" ]) });

	if ($after->{status} != 200) {
		push @bad, "the next message: $after->{status} $after->{content}";
	}

	if (($ngx->workers())[0] != $worker) {
		($worker) = $ngx->workers();
		push @bad, 'another worker';
	}

	my $log = $ngx->log($from);

	push @bad, grep { / \[alert\] / && !/\Q$call\E\w*\(.*\) failed/ }
		split /\n/, $log;

	# nginx leaves out a header without memory, and SendGrid says so

	if (!$hits || $log !~ /no memory for the whole request/) {
		push @bad, map { "violation: $_" } $sg->violations();
	}

	if (@bad) {
		my @lines = split /\n/, $log;

		push @bad, map { "log: $_" } @lines > LINES ? @lines[0 .. LINES - 1]
			: @lines;
	}

	return $hits, @bad;
}


# whether each user is where an answer of 200 says

sub truth {
	my ($kind, $message, $r) = @_;

	my @bad;

	if ($r->{status} != 200) {
		return;
	}

	# a file whose last byte cannot be read gets a line feed first

	push @bad, map { "dead letter: $_" } grep {
		!eval { JSON::PP::decode_json($_) } } grep { length }
		split /\n/, written("$root/dead");

	my %on = map { $_ => 1 } $message->{list} ? $sg->members($message->{list})
		: @{ $cohort->members($message->{name}) // [] };

	push @bad, map { "$_ is not on the list" } grep { !$on{$_} }
		@{ $message->{enter} || [] };
	push @bad, map { "$_ is on the list" } grep { $on{$_} }
		@{ $message->{exit} || [] };

	my $sum = 0;

	$sum += $r->{json}{$_} // 0 for qw(added removed skipped);

	if (defined $message->{sum}
		&& ($sum > $message->{sum} || $r->{json}{received} != $message->{sum}))
	{
		push @bad, "counted: $r->{content}";
	}

	if ($message->{create} && !$sg->lists()->{ $r->{json}{listId} // '' }) {
		push @bad, "no such list: $r->{content}";
	}

	return @bad;
}


sub send_message {
	my ($kind, $message) = @_;

	if ($kind->{http2}) {
		spew("$root/body", $message->{body});

		my ($out, $exit) = curl('--http2-prior-knowledge', '-m', WAIT, '-w',
			'\n%{http_code}', '-H', "Authorization: Bearer $secret",
			'--data-binary', "\@$root/body", 'http://127.0.0.1:'
			. Gateway->port(1) . "/cohorts$message->{path}");
		my ($content, $status) = $out =~ /^(.*)\n(\d+)$/s;

		return { status => $exit == 0 ? $status : 0, content => $content,
			json => scalar eval { $json->decode($content) } };
	}

	my $r = post($ngx->port(), $message->{body}, key => undef,
		uri => "/cohorts$message->{path}", timeout => Gateway->patience(WAIT),
		headers => [ "Authorization: Bearer $secret" ],
		$kind->{chunked} ? (chunked => $kind->{chunked}) : ());

	return { %$r, content => $r->{body} };
}

###############################################################################

sub kinds {
	my $make = sub {
		my ($direction, $n, $users, $path) = @_;
		my @users = map { ref $_ ? $_ : { user_id => $_, user_properties => {
			email => $_, plan => 'p', first_name => "\x{e9}" } } } @$users;

		return (name => "[Amplitude] Buyers [c$n]", path => $path // '',
			sum => scalar @$users, body => $cohort->message($direction, \@users,
				cohort_id => "c$n"));
	};

	my $addresses = sub {
		my ($n, $count) = @_;
		return map { "u$n-$_\@a.example" } 1 .. $count;
	};

	my $enter = sub {
		my ($path, $count, @more) = @_;

		return sub {
			my @users = $addresses->($_[0], $count);
			return { $make->(enter => $_[0], [ @users, @more ], $path),
				enter => \@users };
		};
	};

	my $leave = sub {
		my ($path, $count) = @_;

		return sub {
			my @users = $addresses->($_[0], $count);

			$sg->list("[Amplitude] Buyers [c$_[0]]", @users);

			return { $make->(exit => $_[0], [ @users, 'x@a.example' ], $path),
				exit => \@users };
		};
	};

	my $listed = sub {
		my ($what, $count) = @_;

		return sub {
			my @users = $addresses->($_[0], $count);
			my $id = $sg->list("L $_[0]", $what eq 'add' ? () : @users);

			return { list => $id, sum => $count + 1,
				body => $json->encode({ items => [ 'word',
					map { { email => $_ } } @users ] }),
				path => "/lists/$id/$what",
				($what eq 'add' ? 'enter' : 'exit') => \@users };
		};
	};

	return (
		'enter' => { make => $enter->('', 3) },
		'enter, some refused' => { make => $enter->('', 3, 'bad@a.example',
			'word', { user_id => 'x', user_properties => { email => 1 } }) },
		'enter, batches' => { make => $enter->('-small', 9) },
		'enter, chunked' => { make => $enter->('', 40), chunked => 700 },
		'enter, retried' => { make => $enter->('', 3), script => [
			{ status => 503 }, { reset => 'after' }, { cut => 5 } ] },
		'enter, whole body' => { make => $enter->('-mirror', 9), fragile => 1 },
		'leave' => { make => $leave->('', 3) },
		'leave, calls' => { make => $leave->('', 230) },
		'leave, gone' => { make => $leave->('', 3), script => [
			{ line => '^DELETE ', status => 404, times => 1 } ] },
		'list, create' => { make => sub { {
			path => '/lists', create => 1,
			body => $json->encode({ name => "[Amplitude] Buyers: c$_[0]" }) } } },
		'list, add' => { make => $listed->('add', 3) },
		'list, remove' => { make => $listed->('remove', 3) },
		'no json' => { status => 400, make => sub {
			my %message = $make->(enter => $_[0], [ 'a@a.example' ]);
			return { %message, body => "$message{body}x" } } },
		'no message' => { status => 400, make => sub {
			return { path => '', body => '{"users":[{"user_id":"a@a.example"}]}' } } },
		has_http2() ? ('HTTP/2' => { make => $enter->('-small', 9), http2 => 1,
			fragile => 1 }) : (),
	);
}


sub rules {
	return "sendgrid_amp_dead_letter $root/dead;
		sendgrid_amp_retry_delay 1ms;
		sendgrid_amp_retries 4;
		sendgrid_amp_contact plan plan;
		client_body_timeout @{[WAIT - 2]};
		send_timeout @{[WAIT - 2]};";
}


sub server {
	my $rules = rules();

	my $location = sub { "location $_[0] { sendgrid_amp_cohorts /sendgrid/test;
		sendgrid_amp_cohort_secret $secret; sendgrid_amp_marketing_key $key;
		sendgrid_amp_apply_window 0; $rules $_[1] }\n" };

	return $location->('/cohorts-small', 'sendgrid_amp_contact_batch 2;
			sendgrid_amp_concurrency 2;')
		. $location->('/cohorts-mirror', 'mirror /sink;
			client_body_buffer_size 1k;')
		. "location = /sink { internal; return 204; }\n";
}
