#!/usr/bin/perl

# "make run": both directions with the stand-ins, and what it refuses.

use warnings;
use strict;

use Test::More;

use File::Temp qw(tempdir);
use POSIX qw(WNOHANG);

use Gateway;
use Util qw(written);

my $top = "$FindBin::Bin/..";
my $port = Gateway->port();

if (!-x "$top/.ci/demo") {
	plan(skip_all => 'no .ci/demo');
}

for my $program (qw(curl jq)) {
	if (system("$program --version > /dev/null 2>&1") != 0) {
		plan(skip_all => "no $program");
	}
}

if (Gateway::load_modules() !~ m!/build/ngx_http_sendgrid_amp_module\.so!) {
	plan(skip_all => 'the demo has the module of build/');
}

my $dir = tempdir(CLEANUP => 1);

# the workers of root's nginx are nobody

chmod 0755, $dir;

$ENV{NGINX} = $ENV{TEST_NGINX_BINARY};
$ENV{PORT} = $port;
$ENV{TMPDIR} = $dir;
delete @ENV{qw(AMPLITUDE API_KEY SENDGRID SENDGRID_KEY)};

subtest('both directions' => sub {
	my $demo = start();
	my $url = "http://127.0.0.1:$port";

	if (!ok(shown($demo, qr/^Ctrl-C ends it$/m), 'it is ready')) {
		diag(written($demo->{out}), written($demo->{err}));
		finish($demo, 'INT');
		return;
	}

	my $out = written($demo->{out});

	like($out, qr!^$url/sendgrid takes .* Amplitude is a stand-in$!m,
		'the endpoint of webhooks');
	like($out, qr!^$url/cohorts takes .* SendGrid is a stand-in$!m,
		'the endpoint of cohorts');

	like($out, qr/^\Q{"received":6,"forwarded":6,"ignored":0,"rejected":0,\E/m,
		'the answer to the webhook');
	like($out, qr/^  "event_type": "\[Sendgrid\] processed",$/m, 'an event');
	like($out, qr/^6 event\(s\) arrived:$/m, 'all events');

	like($out, qr/^\Q{"received":5,"added":3,"removed":0,"skipped":2,\E/m,
		'the answer to the cohort');
	like($out, qr/^\["no_email",\{.*"customer-2041".*\n
		\["invalid_email",\{.*"customer-2042"/mx, 'who was skipped');
	like($out, qr/^\ \ \[Amplitude\]\ Trial\ users\ \[7khm89cz\]:
		\ 3\ contact\(s\)\n
		\ +ada\@example\.com\ +Ada\ +Lovelace\n
		\ +alan\@example\.net\ +Alan\ +-\n
		\ +grace\@example\.com\ +Grace\ "Amazing"\ +Hopper\n/mx, 'the list');

	# the command that is shown takes the contacts off the list again; the
	# change before is on its way for some seconds, as the module sees it

	my ($command) = $out =~ /^  (jq .*)$/m;

	ok(Gateway->wait_for(sub {
		sleep 1;
		return `cd '$top' && $command -s` =~ /"removed":3,.*"skipped":2,/;
	}, 20), 'the command to remove');
	ok(shown($demo, qr/^  \[Amplitude\] Trial users \[7khm89cz\]: 0 /m),
		'the list is empty');

	my ($first) = $out =~ /^  (curl .*)$/m;

	like(`cd '$top' && $first -s`, qr/"forwarded":6,/, 'the command to post');

	# as Ctrl-C does

	is(finish($demo, 'INT'), 0, 'it ends well');
	is(written($demo->{err}), '', 'no warning');
	is_deeply([ glob "$dir/tmp.*" ], [], 'nothing is left behind');
	ok(Gateway->wait_for(sub { !kill 0 => -$demo->{pid} }),
		'nor does anything run');
});

for (
	[ 'a region of Amplitude', { AMPLITUDE => 'uk' },
		qr/^AMPLITUDE is us, eu or nothing, not "uk"$/ ],
	[ 'a region of SendGrid', { SENDGRID => 'us', SENDGRID_KEY => 'x' },
		qr/^SENDGRID is global, eu or nothing, not "us"$/ ],
	[ 'no key', { SENDGRID => 'eu' },
		qr/^SENDGRID needs the SENDGRID_KEY of an account there$/ ],
	[ 'a key of other characters', { SENDGRID_KEY => "SG.a;\nb" },
		qr/^SENDGRID_KEY holds other characters than an API key$/ ])
{
	my ($name, $env, $want) = @$_;

	local @ENV{keys %$env} = values %$env;

	my $demo = start();

	is(finish($demo), 1, "$name: refused");
	like(written($demo->{err}), $want, "$name: the message");
}

done_testing();

###############################################################################

# runs the demo in a process group of its own

sub start {
	my %demo = (out => "$dir/out", err => "$dir/err");

	$demo{pid} = fork() // die "fork: $!";

	if ($demo{pid} == 0) {
		setpgrp(0, 0);
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', $demo{out};
		open STDERR, '>', $demo{err};
		exec { "$top/.ci/demo" } 'demo' or POSIX::_exit(127);
	}

	return \%demo;
}


# whether it prints this, before it ends

sub shown {
	my ($demo, $text) = @_;

	Gateway->wait_for(sub {
		return written($demo->{out}) =~ $text
			|| waitpid($demo->{pid}, WNOHANG) != 0;
	}, 30);

	return written($demo->{out}) =~ $text;
}


# its exit status, after a signal to all of its processes

sub finish {
	my ($demo, $signal) = @_;

	kill $signal => -$demo->{pid} if defined $signal;

	my $gone = Gateway->wait_for(sub {
		return waitpid($demo->{pid}, WNOHANG) != 0;
	}, 20);

	my $status = $?;

	kill KILL => -$demo->{pid} if !$gone;

	return $gone ? $status >> 8 : 'did not end';
}
