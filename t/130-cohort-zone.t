#!/usr/bin/perl

# The zone of the ledger of cohorts: what nginx says to a wrong one, and what all
# workers know after a reload, with another size, and when a worker is killed.
# A location of t/flow calls the functions of the ledger.

use warnings;
use strict;

use Test::More;

use FindBin;
use POSIX ();

use lib "$FindBin::Bin/lib";

use Directives;
use Gateway;
use Metrics qw(get);

use constant {
	CHANGE => 0, STALE => 1, SETTLING => 2,
	BEGUN => 0, IN_WORK => 1,
	WORKERS => 2,
};

my $zone = 'sendgrid_amp_cohort_zone cohorts:64k;';
my $pid;	# of the worker that had the last call

# a module that is built in has those for tests built in, too

my $main = 'worker_processes ' . WORKERS . ';';

$main .= "\nload_module $FindBin::Bin/../build/flow.so;"
	if Gateway::load_modules();

my $ngx = Gateway->new(http => $zone, main => $main, log => 'notice',
	server => 'location = /ledger { sendgrid_amp_test_ledger; }')->start();

my ($contacts) = split ' ', call('do=room');
my $key = call('do=hash');

cmp_ok($contacts, '>', 1000, 'contacts have room');
like($key, qr/^[0-9a-f]{32}$/, 'a key');
isnt($key, '0' x 32, 'is random');

subtest('two workers' => sub {
	is(call('do=contact&list=1&key=5&run=10'), CHANGE, 'a contact is added');
	is_deeply([ all('do=contact&list=1&key=5&run=9') ], [ (STALE) x WORKERS ],
		'an older message');
	is_deeply([ all('do=contact&list=1&key=5&run=10&remove=1&ask=1') ],
		[ (SETTLING) x WORKERS ], 'is on its way');
	is_deeply([ all('do=contact&list=1&key=6&run=9&remove=1&ask=1') ],
		[ (CHANGE) x WORKERS ], 'another contact');
});

subtest('a message in work, and its worker is killed' => sub {
	my ($state) = begin('key=1&run=70');
	my $owner = $pid;

	is($state, BEGUN, 'begun');
	is_deeply([ begin('key=1&run=71') ], [ IN_WORK, 70 ], 'in work');

	kill KILL => $owner;
	ok($ngx->wait_for(sub { !grep { $_ == $owner } $ngx->workers() }),
		'the worker is gone');
	ok($ngx->wait_for(sub { $ngx->workers() == WORKERS }), 'there is another');

	is_deeply([ begin('key=1&run=72') ], [ BEGUN, 70 ], 'begun anew');
	is_deeply([ begin('key=1&run=73') ], [ IN_WORK, 70 ], 'and in work');
});

subtest('a worker that is killed with the lock' => sub {
	for (1 .. 3) {
		get($ngx->port(), '/ledger?do=die');
		is(call('do=contact&list=1&key=5&run=9'), STALE, 'the lock is free');
	}

	ok($ngx->wait_for(sub { $ngx->workers() == WORKERS }), 'all workers');
});

subtest('reload' => sub {
	reload($zone);

	is(call('do=hash'), $key, 'the key is kept');
	is_deeply([ all('do=contact&list=1&key=5&run=9') ], [ (STALE) x WORKERS ],
		'contacts are');
});

subtest('another size' => sub {
	my $from = length $ngx->log();

	reload('sendgrid_amp_cohort_zone cohorts:1m;');

	my ($more) = split ' ', call('do=room');

	cmp_ok($more, '>', 15 * $contacts, 'more contacts have room');
	is(call('do=hash'), $key, 'the key is kept');
	is_deeply([ all('do=contact&list=1&key=5&run=9') ], [ (STALE) x WORKERS ],
		'contacts are');
	is_deeply([ all('do=contact&list=1&key=5&run=10&remove=1&ask=1') ],
		[ (SETTLING) x WORKERS ], 'and their changes');
	is_deeply([ begin('key=1&run=74') ], [ BEGUN, 70 ],
		'of a worker that is gone, too');

	like($ngx->log($from), qr/\[notice\] .*"sendgrid_amp_cohort_zone" goes on with /,
		'it is logged');
	like($ngx->log($from),
		qr/zone "cohorts" as its size was changed from 65536 to 1048576;/,
		'with the sizes');

	$from = length $ngx->log();

	reload($zone);

	is((split ' ', call('do=room'))[0], $contacts, 'as many as before');
	is_deeply([ all('do=contact&list=1&key=5&run=9') ], [ (STALE) x WORKERS ],
		'contacts are kept');
	like($ngx->log($from), qr/changed from 1048576 to 65536;/, 'it is logged');
});

subtest('a zone of another name' => sub {
	my $from = length $ngx->log();

	reload('sendgrid_amp_cohort_zone others:64k;');

	isnt(call('do=hash'), $key, 'another key');
	is(call('do=contact&list=1&key=5&run=9'), CHANGE, 'nothing is known');
	unlike($ngx->log($from), qr/sendgrid_amp_cohort_zone/, 'nothing is said');
});

subtest('a zone that was of another module' => sub {
	for my $other ('limit_req_zone $remote_addr zone=third:1m rate=1r/s;',
		'sendgrid_amp_zone third:128k;')
	{
		my $from = length $ngx->log();

		reload("sendgrid_amp_cohort_zone others:64k; $other");
		reload('sendgrid_amp_cohort_zone third:64k;');

		is(call('do=contact&list=1&key=5&run=9'), CHANGE, 'nothing is known');
		like($ngx->log($from), qr/"sendgrid_amp_cohort_zone" begins anew: zone "third"/,
			'it is logged');
	}
});

$ngx->done(qr/exited on signal 9|shared memory zone "\w+" was locked by/);

subtest('one process' => sub {
	my $ngx = Gateway->new(http => $zone, main =>
		"$main\nmaster_process off;", server =>
		'location = /ledger { sendgrid_amp_test_ledger; }')->start();

	like(get($ngx->port(), '/ledger?do=contact&key=1')->{body}, qr/^\d+ 0$/,
		'a contact');

	$ngx->done();
});

subtest('configuration' => sub {
	my $page = POSIX::sysconf(&POSIX::_SC_PAGESIZE);
	my $min = 8 * $page > 65536 ? 8 * $page : 65536;
	my $small = 'zone "z" in "sendgrid_amp_cohort_zone" directive is too small, '
		. 'it must have at least ' . $min / 1024 . 'k';
	my $form = 'in "sendgrid_amp_cohort_zone" directive, it must be '
		. '"name:size"';

	for ([ 'fine', $zone, undef ],
		[ 'large', 'sendgrid_amp_cohort_zone z:20m;', undef ],
		[ 'smallest', "sendgrid_amp_cohort_zone z:$min;", undef ],
		[ 'no pages', 'sendgrid_amp_cohort_zone z:' . ($min + 1) . ';', undef ],
		[ 'two zones', "$zone sendgrid_amp_cohort_zone other:64k;",
			'"sendgrid_amp_cohort_zone" directive is duplicate' ],
		[ 'no size', 'sendgrid_amp_cohort_zone z;', qq(invalid zone "z" $form) ],
		[ 'no name', 'sendgrid_amp_cohort_zone :64k;',
			qq(invalid zone ":64k" $form) ],
		[ 'wrong size', 'sendgrid_amp_cohort_zone z:big;',
			'invalid zone size "big" in "sendgrid_amp_cohort_zone" directive' ],
		[ 'empty size', 'sendgrid_amp_cohort_zone z:;',
			'invalid zone size "" in "sendgrid_amp_cohort_zone" directive' ],
		[ 'a byte less', 'sendgrid_amp_cohort_zone z:' . ($min - 1) . ';',
			$small ],
		[ 'small', 'sendgrid_amp_cohort_zone z:8k;', $small ],
		[ 'no parameter', 'sendgrid_amp_cohort_zone;',
			'invalid number of arguments in "sendgrid_amp_cohort_zone" '
			. 'directive' ],
		[ 'taken', 'sendgrid_amp_zone cohorts:64k;' . $zone,
			'the shared memory zone "cohorts" is already declared for a '
			. 'different use' ])
	{
		my ($name, $http, $want) = @$_;

		says([ http => $http ], $want ? [ 1, "[emerg] $want" ] : [ 0 ], $name);
	}

	says([ server => $zone ], [ 1,
		'[emerg] "sendgrid_amp_cohort_zone" directive is not allowed here' ],
		'server');
});

done_testing();

###############################################################################

# the result of a call, by any worker

sub call {
	my ($args) = @_;
	my $body = get($ngx->port(), "/ledger?$args")->{body};

	($pid, my $result) = $body =~ /^(\d+) (.*)$/ or return "no result: $body";

	return $result;
}


# the results of all workers

sub all {
	my ($args) = @_;
	my %results;

	$ngx->wait_for(sub {
		my $result = call($args);

		$results{$pid} = $result;
		return keys %results == WORKERS;
	});

	return values %results;
}


sub begin {
	my ($args) = @_;
	return split ' ', call("do=begin&$args");
}


# another zone, and old workers are gone

sub reload {
	my ($http) = @_;

	$ngx->{http} = $http;

	ok($ngx->reload(), 'reload');
	ok($ngx->wait_for(sub { $ngx->workers() == WORKERS }),
		'old workers are gone');
}
