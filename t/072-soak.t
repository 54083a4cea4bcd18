#!/usr/bin/perl

# Senders that post until they get 2xx, an Amplitude that fails at random,
# workers that are killed, reloads: nothing is lost, nothing is stored twice.
# SEED=n takes the random numbers of an earlier run.

use warnings;
use strict;

use Test::More;

use JSON::PP ();
use Time::HiRes qw(setitimer ITIMER_REAL time);

use Amplitude;
use Gateway;
use Util qw(lines);
use Webhook;

use constant {
	SENDERS => 30,
	WEBHOOKS => 600,
	EVENTS => 30,
	FAULTS => 80,
	SECONDS => 600,
};

# the stand-in has its random numbers from here as well

my $seed = $ENV{SEED} || int(rand(1000000)) + 1;

diag("SEED=$seed");
srand($seed);

my $amp = Amplitude->new();
my $root = Gateway::root();
my $ngx = Gateway->new(amplitude => $amp, main => 'worker_processes 2;',
	sendgrid => "
		sendgrid_amp_batch_events 10;
		sendgrid_amp_concurrency 3;
		sendgrid_amp_retry_delay 10ms;
		sendgrid_amp_dead_letter $root/dead;
	")->start();

my $refused = qr/"sg_event_id":"event-\d+-13"/;
my $poison = qr/"sg_event_id":"event-\d*7-22"/;

$amp->script(
	{ times => 0, refuse => $refused, name => 'first' },
	{ times => 0, refuse => $poison, name => 'none', status => 403 },
	{ times => 0, chance => 0.04, status => 503 },
	{ times => 0, chance => 0.02, status => 500, store => 1 },
	{ times => 0, chance => 0.03, reset => 'early' },
	{ times => 0, chance => 0.03, reset => 'before' },
	{ times => 0, chance => 0.03, reset => 'after' },
	{ times => 0, chance => 0.03, cut => 20 },
	{ times => 0, chance => 0.02, cut => 20, store => 0 },
	{ times => 0, chance => 0.02, framing => 'chunked', cut => 40 },
	{ times => 0, chance => 0.04, status => 429, body => '' },
	{ times => 0, chance => 0.10, throttle => qr/"event-\d+-4"/ },
	{ times => 0, chance => 0.10, max_events => 4 },
	{ times => 0, chance => 0.10, every => 50, pause => 0.005 },
	{ times => 0, delay => 0.01 },
);

my @webhooks = map { my $i = $_; [ events(EVENTS, "$i-") ] } 1 .. WEBHOOKS;
my @todo = map { webhook(@$_) } @webhooks;
my %status;

# kills a worker or reloads, in turn, and not forever on a slow machine

my $n = 0;
my @which = map { rand() } 1 .. FAULTS;

$SIG{ALRM} = sub {
	setitimer(ITIMER_REAL, 0) if $n + 1 == FAULTS;

	if ($n++ % 2) {
		kill HUP => $ngx->{pid};
		return;
	}

	my @workers = $ngx->workers();

	kill KILL => $workers[$which[$n - 1] * @workers] if @workers;
};

setitimer(ITIMER_REAL, 0.3, 0.3);

my $until = time() + Gateway->patience(SECONDS);

while (@todo && time() < $until) {
	my @now = splice @todo, 0, SENDERS;
	my @clients = map { Webhook->new($ngx->port(), $_, cuts =>
		cuts($_, 3, $seed++), pause => 0.005) } @now;

	Webhook::run(@clients);

	for my $i (0 .. $#clients) {
		my $status = $clients[$i]{response}{status};

		$status{$status}++;
		push @todo, $now[$i] if $status != 200;
	}
}

setitimer(ITIMER_REAL, 0);
note(join ', ', map { "$_: $status{$_}" } sort keys %status);

is(scalar @todo, 0, 'all webhooks ended with 200');
is_deeply([ grep { !/^(?:0|200|429|503)$/ } keys %status ], [],
	'no other answers');

my @events = map { @$_ } @webhooks;
my @bad = grep { /$refused|$poison/ } @events;
my %bad = map { $_ => 1 } @bad;
my %stored = %{ $amp->stored() };
my @lines = lines("$root/dead");
my %dead = map { $_ => 1 } map { /"event":(.*)\}$/ ? $1 : $_ } @lines;

is(scalar keys %stored, @events - @bad, 'number of events stored');
is_deeply([ sort map { $_->{text} } values %stored ],
	[ sort map { mapped($_) } grep { !$bad{$_} } @events ], 'stored');
is_deeply([ sort keys %dead ], [ sort @bad ], 'dead letter');
is(scalar(grep { !eval { JSON::PP::decode_json($_) } } @lines), 0,
	'its lines are whole');

ok($ngx->wait_for(sub { $amp->in_flight() == 0 }), 'nothing is in flight');
is_deeply([ $amp->violations() ], [], 'the contract is kept');
$ngx->done(qr/worker process \d+ exited on signal 9/);
done_testing();
