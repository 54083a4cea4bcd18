#!/usr/bin/perl

# What is counted, exactly: over two workers, a reload and another size of the
# zone; how the figures are served.

use warnings;
use strict;

use Test::More;

use POSIX ();
use Time::HiRes qw(sleep time);

use Amplitude;
use Gateway;
use Http2;
use Metrics;
use Sign;
use Util qw(lines);
use Webhook;

my $root = Gateway::root();
my $amp = Amplitude->new();
my $key = Sign->new();

my $gauge = 'sendgrid_amp_webhooks_in_flight';
my $zone = 'sendgrid_amp_zone figures:64k;';
my $log = 'log_format figures "$pid $status $sendgrid_amp_received '
	. '$sendgrid_amp_forwarded $sendgrid_amp_ignored $sendgrid_amp_rejected '
	. '$sendgrid_amp_batches $sendgrid_amp_retries $sendgrid_amp_error '
	. '$sendgrid_amp_region $sendgrid_amp_signature";';

my $server = '
	# no value is kept from here on

	set $early "$sendgrid_amp_received $sendgrid_amp_forwarded
		$sendgrid_amp_ignored $sendgrid_amp_rejected $sendgrid_amp_batches
		$sendgrid_amp_retries $sendgrid_amp_error $sendgrid_amp_region
		$sendgrid_amp_signature";

	location = /status { sendgrid_amp_status; }
	location = /page { sendgrid_amp_status html; }
	location = /json { sendgrid_amp_status json; }
	location = /prometheus { sendgrid_amp_status prometheus; }

	location = /denied { sendgrid_amp us; deny all; }
	location = /small { sendgrid_amp us; client_max_body_size 1k; }
	location = /event { sendgrid_amp us; sendgrid_amp_max_event_size 1k; }
	location = /slow { sendgrid_amp us; client_body_timeout 100ms; }
	location = /region { sendgrid_amp $arg_region; }
	location = /batches { sendgrid_amp us; sendgrid_amp_batch_events 3; }
	location = /nowhere { sendgrid_amp /nowhere/at/all; }
	location = /ignore { sendgrid_amp us; sendgrid_amp_ignore click what; }
	location = /dry { sendgrid_amp us; sendgrid_amp_dry_run $arg_dry; }

	location = /redirected {
		sendgrid_amp us;
		error_page 413 /elsewhere;
		client_max_body_size 1k;
	}

	location = /elsewhere { return 204; }

	location = /signed {
		sendgrid_amp us;
		sendgrid_amp_public_key "' . $key->base64() . '";
		sendgrid_amp_signature_window 60s;
		sendgrid_amp_ignore click;
	}

	location = /reported {
		sendgrid_amp us;
		sendgrid_amp_public_key "' . $key->base64() . '";
		sendgrid_amp_signature report;
	}
';

my $began = int(time());
my $ngx = Gateway->new(amplitude => $amp, main => 'worker_processes 2;',
	http => "$zone $log", sendgrid => '
		sendgrid_amp_retries 2;
		sendgrid_amp_retry_delay 5ms;
	', server => "access_log $root/access.log figures; $server")->start();

my $port = $ngx->port();
my $started = time();

###############################################################################
# one webhook at a time: what follows from it, and what the log has

my $good = webhook(events(3));
my $size = length $good;
my $click = webhook(event(1, event => '"click"'));

# name, how it is posted, steps of Amplitude, what is counted, what is logged
# but for the process

my @cases = (
	[ 'good', [ $good ], [], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="open",result="forwarded"}' => 3,
		'amplitude_responses_total{code="200"}' => 1,
	}, '200 3 3 0 0 1 0 - us -' ],

	[ 'kinds', [ webhook(
			map { event($_->[0], event => qq("$_->[1]"),
				sg_machine_open => $_->[2] // 'false') }
				[ 1, 'processed' ], [ 2, 'Delivered' ], [ 3, 'open', 'true' ],
				[ 4, 'open' ], [ 5, 'open', '"true"' ],
				[ 6, 'machine_open' ], [ 7, 'what' ], [ 8, 'cl\u0069ck' ],
				[ 9, 'group_resubscribe' ], [ 10, 'Received' ]) ], [], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="processed",result="forwarded"}' => 1,
		'events_total{event="delivered",result="forwarded"}' => 1,
		'events_total{event="machine_open",result="forwarded"}' => 1,
		'events_total{event="open",result="forwarded"}' => 2,
		'events_total{event="other",result="forwarded"}' => 2,
		'events_total{event="click",result="forwarded"}' => 1,
		'events_total{event="group_resubscribe",result="forwarded"}' => 1,
		'events_total{event="received",result="forwarded"}' => 1,
		'amplitude_responses_total{code="200"}' => 1,
	}, '200 10 10 0 0 1 0 - us -' ],

	[ 'empty', [ '[]' ], [], {
		'webhooks_total{status="200"}' => 1,
	}, '200 0 0 0 0 0 0 - us -' ],

	[ 'several batches', [ webhook(events(7)), uri => '/batches' ], [], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="open",result="forwarded"}' => 7,
		'amplitude_responses_total{code="200"}' => 3,
	}, '200 7 7 0 0 3 0 - us -' ],

	[ 'rejected by the gateway', [ webhook(event(1), 5,
			event(2, event => undef), event(3, email => '""'),
			event(4, email => undef, event => '"bounce"')) ], [], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="open",result="forwarded"}' => 1,
		'events_total{event="open",result="rejected"}' => 1,
		'events_total{event="bounce",result="rejected"}' => 1,
		'events_total{event="other",result="rejected"}' => 2,
		'rejected_total{reason="not_an_object"}' => 1,
		'rejected_total{reason="no_event_type"}' => 1,
		'rejected_total{reason="no_user_id"}' => 2,
		'amplitude_responses_total{code="200"}' => 1,
	}, '200 5 1 0 4 1 0 - us -' ],

	[ 'rejected by name', [ webhook(events(9), event('x', event => '"click"'),
			event('y', event => '"bounce"')) ],
		[ { refuse => qr/"event-[2x]"/, name => 'all' } ], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="open",result="forwarded"}' => 8,
		'events_total{event="bounce",result="forwarded"}' => 1,
		'events_total{event="open",result="rejected"}' => 1,
		'events_total{event="click",result="rejected"}' => 1,
		'rejected_total{reason="amplitude_400"}' => 2,
		'amplitude_responses_total{code="400"}' => 1,
		'amplitude_responses_total{code="200"}' => 1,
	}, '200 11 9 0 2 2 0 - us -' ],

	[ 'rejected with 403', [ webhook(event(1, event => '"click"')) ],
		[ { status => 403, body => '<html>' } ], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="click",result="rejected"}' => 1,
		'rejected_total{reason="amplitude_403"}' => 1,
		'amplitude_responses_total{code="403"}' => 1,
	}, '200 1 0 0 1 1 0 - us -' ],

	[ 'halved', [ webhook(event(1), event(2, event => '"click"')) ],
		[ { status => 413, body => '' }, { status => 413, body => '' } ], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="open",result="rejected"}' => 1,
		'events_total{event="click",result="forwarded"}' => 1,
		'rejected_total{reason="amplitude_413"}' => 1,
		'amplitude_responses_total{code="413"}' => 2,
		'amplitude_responses_total{code="200"}' => 1,
	}, '200 2 1 0 1 3 0 - us -' ],

	[ 'rejected with 422', [ webhook(event(1)) ],
		[ { status => 422, body => '{}' } ], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="open",result="rejected"}' => 1,
		'rejected_total{reason="amplitude_other"}' => 1,
		'amplitude_responses_total{code="other"}' => 1,
	}, '200 1 0 0 1 1 0 - us -' ],

	[ 'retried', [ $good ],
		[ { status => 503 }, { reset => 'before' } ], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="open",result="forwarded"}' => 3,
		'retries_total' => 2,
		'amplitude_responses_total{code="503"}' => 1,
		'amplitude_responses_total{code="error"}' => 1,
		'amplitude_responses_total{code="200"}' => 1,
	}, '200 3 3 0 0 1 2 - us -' ],

	[ 'cut short', [ $good ], [ { cut => 10 } ], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="open",result="forwarded"}' => 3,
		'retries_total' => 1,
		'amplitude_responses_total{code="error"}' => 1,
		'amplitude_responses_total{code="200"}' => 1,
	}, '200 3 3 0 0 1 1 - us -' ],

	[ 'a stranger', [ $good ], [ { body => '<html>', store => 0 } ], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="open",result="forwarded"}' => 3,
		'retries_total' => 1,
		'amplitude_responses_total{code="error"}' => 1,
		'amplitude_responses_total{code="200"}' => 1,
	}, '200 3 3 0 0 1 1 - us -' ],

	# what is held back goes again, and the others go for the first time

	[ 'throttled in part', [ $good ],
		[ { throttle => qr/"event-2"/, name => 'events' } ], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="open",result="forwarded"}' => 3,
		'retries_total' => 1,
		'amplitude_responses_total{code="429"}' => 1,
		'amplitude_responses_total{code="200"}' => 2,
	}, '200 3 3 0 0 2 1 - us -' ],

	[ 'unavailable', [ $good ], [ { status => 500, times => 3 } ], {
		'webhooks_total{status="503"}' => 1,
		'retries_total' => 2,
		'amplitude_responses_total{code="500"}' => 3,
	}, '503 3 0 0 0 1 2 unavailable us -' ],

	[ 'throttled', [ $good ], [ { status => 429, body => '', times => 3 } ], {
		'webhooks_total{status="429"}' => 1,
		'retries_total' => 2,
		'amplitude_responses_total{code="429"}' => 3,
	}, '429 3 0 0 0 1 2 throttled us -' ],

	[ 'refused', [ $good ],
		[ { status => 400, body => '{"code":400,"error":"Invalid API key"}' } ],
		{
		'webhooks_total{status="502"}' => 1,
		'amplitude_responses_total{code="400"}' => 1,
	}, '502 3 0 0 0 1 0 refused us -' ],

	[ 'no location', [ $good, uri => '/nowhere' ], [], {
		'webhooks_total{status="503"}' => 1,
		'retries_total' => 2,
		'amplitude_responses_total{code="error"}' => 3,
	}, '503 3 0 0 0 1 2 unavailable /nowhere/at/all -' ],

	[ 'not JSON', [ 'x' x 100 ], [], {
		'webhooks_total{status="400"}' => 1,
	}, '400 0 0 0 0 0 0 invalid_json us -' ],

	[ 'cut', [ substr($good, 0, -3) ], [], {
		'webhooks_total{status="400"}' => 1,
	}, '400 3 0 0 0 0 0 invalid_json us -' ],

	[ 'no credentials', [ $good, key => undef ], [], {
		'webhooks_total{status="401"}' => 1,
	}, '401 0 0 0 0 0 0 unauthorized us -', 0 ],

	[ 'denied', [ $good, uri => '/denied' ], [], {
		'webhooks_total{status="403"}' => 1,
	}, '403 0 0 0 0 0 0 - us -', 0 ],

	[ 'GET', [ '', method => 'GET' ], [], {
		'webhooks_total{status="405"}' => 1,
	}, '405 0 0 0 0 0 0 method_not_allowed us -' ],

	[ 'stalled', [ $good, uri => '/slow', length => $size + 1 ], [], {
		'webhooks_total{status="408"}' => 1,
	}, '408 3 0 0 0 0 0 timed_out us -' ],

	[ 'body too large', [ $good, uri => '/small' ], [], {
		'webhooks_total{status="413"}' => 1,
	}, '413 0 0 0 0 0 0 too_large us -', 0 ],

	[ 'body too large, in chunks', [ $good, uri => '/small', chunked => 100 ],
		[], {
		'webhooks_total{status="413"}' => 1,
	}, '413 0 0 0 0 0 0 too_large us -', 0 ],

	[ 'event too large', [ webhook(event(1, x => '"' . 'x' x 2000 . '"')),
			uri => '/event' ], [], {
		'webhooks_total{status="413"}' => 1,
	}, '413 0 0 0 0 0 0 too_large us -' ],

	[ 'encoded', [ $good, headers => [ 'Content-Encoding: gzip' ] ], [], {
		'webhooks_total{status="415"}' => 1,
	}, '415 0 0 0 0 0 0 content_encoding us -', 0 ],

	[ 'no region', [ $good, uri => '/region?region=uk' ], [], {
		'webhooks_total{status="500"}' => 1,
	}, '500 0 0 0 0 0 0 internal uk -', 0 ],

	[ 'signed', [ $good, uri => '/signed',
			headers => [ $key->headers($good) ] ], [], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="open",result="forwarded"}' => 3,
		'amplitude_responses_total{code="200"}' => 1,
		'signatures_total{result="ok"}' => 1,
	}, '200 3 3 0 0 1 0 - us ok' ],

	[ 'signed and rejected', [ '[1]', uri => '/signed',
			headers => [ $key->headers('[1]') ] ], [], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="other",result="rejected"}' => 1,
		'rejected_total{reason="not_an_object"}' => 1,
		'signatures_total{result="ok"}' => 1,
	}, '200 1 0 0 1 0 0 - us ok' ],

	[ 'signed and rejected, an event that is known',
		[ '[{"event":"bounce"}]', uri => '/signed',
			headers => [ $key->headers('[{"event":"bounce"}]') ] ], [], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="bounce",result="rejected"}' => 1,
		'rejected_total{reason="no_user_id"}' => 1,
		'signatures_total{result="ok"}' => 1,
	}, '200 1 0 0 1 0 0 - us ok' ],

	[ 'not signed', [ $good, uri => '/signed' ], [], {
		'webhooks_total{status="403"}' => 1,
		'signatures_total{result="missing"}' => 1,
	}, '403 0 0 0 0 0 0 bad_signature us missing', 0 ],

	[ 'malformed', [ $good, uri => '/signed',
			headers => [ $key->headers($good, signature => 'x') ] ], [], {
		'webhooks_total{status="403"}' => 1,
		'signatures_total{result="malformed"}' => 1,
	}, '403 0 0 0 0 0 0 bad_signature us malformed', 0 ],

	[ 'stale', [ $good, uri => '/signed',
			headers => [ $key->headers($good, time => 1700000000) ] ], [], {
		'webhooks_total{status="403"}' => 1,
		'signatures_total{result="stale"}' => 1,
	}, '403 0 0 0 0 0 0 bad_signature us stale', 0 ],

	[ 'mismatch', [ $good, uri => '/signed',
			headers => [ $key->headers('[]') ] ], [], {
		'webhooks_total{status="403"}' => 1,
		'signatures_total{result="mismatch"}' => 1,
	}, '403 3 0 0 0 0 0 bad_signature us mismatch' ],

	[ 'mismatch reported', [ $good, uri => '/reported',
			headers => [ $key->headers('[]') ] ], [], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="open",result="forwarded"}' => 3,
		'amplitude_responses_total{code="200"}' => 1,
		'signatures_total{result="mismatch"}' => 1,
		'signatures_reported_total{result="mismatch"}' => 1,
	}, '200 3 3 0 0 1 0 - us mismatch' ],

	[ 'ignored', [ webhook(event(1), event(2, event => '"click"'),
			event(3, event => '"What"'), event(4, event => '"click"')),
			uri => '/ignore' ], [], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="open",result="forwarded"}' => 1,
		'events_total{event="click",result="ignored"}' => 2,
		'events_total{event="other",result="ignored"}' => 1,
		'amplitude_responses_total{code="200"}' => 1,
	}, '200 4 1 3 0 1 0 - us -' ],

	[ 'signed and ignored', [ $click, uri => '/signed',
			headers => [ $key->headers($click) ] ], [], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="click",result="ignored"}' => 1,
		'signatures_total{result="ok"}' => 1,
	}, '200 1 0 1 0 0 0 - us ok' ],

	[ 'ignored of a stranger', [ $click, uri => '/signed',
			headers => [ $key->headers('[]') ] ], [], {
		'webhooks_total{status="403"}' => 1,
		'signatures_total{result="mismatch"}' => 1,
	}, '403 1 0 1 0 0 0 bad_signature us mismatch' ],

	[ 'dry run', [ webhook(events(3), 5), uri => '/dry?dry=1' ], [], {
	}, '200 4 0 0 1 0 0 - us -', 0 ],

	[ 'no dry run', [ $good, uri => '/dry?dry=0' ], [], {
		'webhooks_total{status="200"}' => 1,
		'events_total{event="open",result="forwarded"}' => 3,
		'amplitude_responses_total{code="200"}' => 1,
	}, '200 3 3 0 0 1 0 - us -' ],
);

# a lone event is rejected by a worker only that Amplitude has accepted others
# from

ok($ngx->wait_for(sub {
	Webhook::run(map { Webhook->new($port, $good) } 1 .. 20);

	my %workers = map { /^(\d+) / ? ($1 => 1) : () } logged();

	return keys %workers == 2;
}), 'both workers have delivered');

# bytes of a payload of $good, which is sent where nobody is as well

my $payload = length(($amp->requests())[0]{body});
my %delivered = (
	'webhooks_total{status="200"}' => 1,
	webhook_duration_seconds_count => 1,
	'events_total{event="open",result="forwarded"}' => 3,
	'amplitude_responses_total{code="200"}' => 1,
	amplitude_duration_seconds_count => 1,
	sent_bytes_total => $payload,
	received_bytes_total => $size,
);

# bytes of the body that were read are all of them unless they are given

for my $case (@cases) {
	my ($name, $post, $script, $want, $logged, $received) = @$case;
	my ($body) = @$post;

	$received = length $body if @$case < 6;

	subtest($name => sub {
		$amp->clear();
		$amp->script(@$script);

		my $at = -s "$root/access.log" // 0;
		my $before = metrics($port);
		my $r = post($port, @$post);
		my ($status) = $logged =~ /^(\d+)/;

		is($r->{status}, $status, 'answer')
			if $r->{status} || $status !~ /^(?:400|408)$/;

		ok($ngx->wait_for(sub { (-s "$root/access.log" // 0) > $at
			&& metrics($port)->{sendgrid_amp_webhooks_in_flight} == 0 }),
			'its end');

		my $sent = $name eq 'no location' ? 3 * $payload : 0;

		$sent += length $_->{body} // '' for $amp->requests();

		my %want = (%$want, %$want
			? (webhook_duration_seconds_count => 1) : ());
		my ($answers) = map { my $n = 0; $n += $want->{$_} for @$_; $n }
			[ grep { /^amplitude_responses/ } keys %$want ];

		$want{'amplitude_duration_seconds_count'} = $answers if $answers;
		$want{'sent_bytes_total'} = $sent if $sent;
		$want{'received_bytes_total'} = $received if $received;

		counted($ngx, $before, \%want, 'counted');
		is(join("\n", webhooks_logged($at)), $logged, 'logged');
	});
}

###############################################################################

subtest('client gone' => sub {
	my $at = -s "$root/access.log";
	my $before = metrics($port);
	my $body = webhook(events(5));
	my $read = length($body) - 50;

	$amp->clear();

	my $client = Webhook->new($port, $body, uri => '/batches', stop => $read);

	# all that was sent has been parsed once a batch of it arrives

	$client->_send(0);
	ok($ngx->wait_for(sub { $amp->requests() }), 'it is read');
	close $client->{socket};

	my %want = (%delivered, 'webhooks_total{status="400"}' => 1,
		received_bytes_total => $read);

	delete $want{'webhooks_total{status="200"}'};

	counted($ngx, $before, \%want, 'counted');
	is(join("\n", webhooks_logged($at)), '400 4 3 0 0 1 0 bad_request us -',
		'logged');
});

subtest('a redirect by error_page' => sub {
	my $before = metrics($port);
	my $r = post($port, $good, uri => '/redirected');

	is($r->{status}, 413, 'answer');

	counted($ngx, $before, { 'webhooks_total{status="413"}' => 1,
		webhook_duration_seconds_count => 1 }, 'counted once');
});

subtest('200 invented events' => sub {
	my $before = metrics($port);
	my @events = map { event($_, event => qq("name $_\\u0000\\"{}")) } 1 .. 200;

	is(post($port, webhook(@events))->{status}, 200, 'answer');

	my $after = metrics($port);

	is($after->{'sendgrid_amp_events_total{event="other",result="forwarded"}'}
		- $before->{'sendgrid_amp_events_total{event="other",'
			. 'result="forwarded"}'}, 200, 'are counted as other');
	is(keys %$after, keys %$before, 'and make no more figures');
});

subtest('two workers at once, and a reload' => sub {
	my $before = metrics($port);
	my $at = -s "$root/access.log";
	my %old = map { $_ => 1 } $ngx->workers();
	my $received = 0;
	my %status;

	$amp->clear();
	$amp->script({ status => 503, times => 30 },
		{ refuse => qr/"event-\d+-7"/, name => 'all', times => 0 });

	for my $round (1 .. 4) {
		my @clients;

		for my $i (1 .. 100) {
			my $body = $i % 10 == 0 ? '['
				: webhook(events(10, "$round$i-"));

			push @clients, Webhook->new($port, $body,
				$i % 10 == 1 ? (secret => 'wrong') : ());

			# the body of a stranger is not read

			$received += length $body if $i % 10 != 1;
		}

		# the third round meets workers that come and go, the last one is for
		# the new ones

		if ($round == 3) {
			kill HUP => $ngx->{pid};
		}

		if ($round == 4) {
			ok($ngx->wait_for(sub {
				my @now = $ngx->workers();
				return @now == 2 && !grep { $old{$_} } @now;
			}), 'new workers');
		}

		for (Webhook::run(@clients)) {
			$status{ $_->{status} }++;
		}
	}

	my @requests = $amp->requests();
	my ($sent, %code) = (0);

	for (@requests) {
		$sent += length $_->{body};
		$code{ $_->{status} }++;
	}

	my @log;

	ok($ngx->wait_for(sub {
		@log = map { [ split / / ] } logged($at);
		return @log == 400;
	}), 'all are logged');

	my %pids = map { $_->[0] => 1 } @log;

	# a good webhook of ten events has one that is refused

	my $good = $status{200};
	my %want = (
		(map { (qq(webhooks_total{status="$_"}) => $status{$_}) }
			keys %status),
		webhook_duration_seconds_count => 400,
		'events_total{event="open",result="forwarded"}' => 9 * $good,
		'events_total{event="open",result="rejected"}' => $good,
		'rejected_total{reason="amplitude_400"}' => $good,
		retries_total => sum(7, @log),
		amplitude_duration_seconds_count => scalar @requests,
		sent_bytes_total => $sent,
		received_bytes_total => $received,
		(map { (qq(amplitude_responses_total{code="$_"}) => $code{$_}) }
			keys %code),
	);

	counted($ngx, $before, \%want, 'counted');
	is($status{400}, 40, 'broken ones');
	is($status{401}, 40, 'strangers');
	is(sum(3, @log), 9 * $good, 'events forwarded by the log');
	is(sum(5, @log), $good, 'events rejected by the log');
	cmp_ok(scalar(grep { $old{$_} } keys %pids), '>=', 1,
		'workers of before the reload took part');
	cmp_ok(scalar(grep { !$old{$_} } keys %pids), '>=', 1,
		'and workers of after it');
	note(join ', ', map { "$_: $status{$_}" } sort keys %status);
});

subtest('two looks a second under load' => sub {
	my $before = metrics($port);
	my ($bad, $n, $last) = (0, 0, $before);

	$amp->clear();

	my $pid = fork() // die "fork: $!\n";

	if ($pid == 0) {
		my $ok = 1;

		for my $i (1 .. 60) {
			my @r = Webhook::run(map { Webhook->new($port,
				webhook(events(10, "l$i-$_-"))) } 1 .. 20);
			$ok = 0 if grep { $_->{status} != 200 } @r;
		}

		POSIX::_exit($ok ? 0 : 1);
	}

	while (waitpid($pid, POSIX::WNOHANG) == 0) {
		my $now = metrics($port);

		# what never goes down, and is consistent in itself

		for (grep { !/in_flight/ } keys %$now) {
			$bad++ if $now->{$_} < $last->{$_};
		}

		my $prefix = 'sendgrid_amp_webhook_duration_seconds';
		$bad++ if $now->{"${prefix}_count"}
			!= $now->{$prefix . '_bucket{le="+Inf"}'};

		$last = $now;
		$n++;
		sleep 0.5;
	}

	is($?, 0, 'all webhooks are answered with 200');
	is($bad, 0, "figures that went down in $n looks");

	my ($sent, $received) = (0, 0);

	$sent += length $_->{body} for $amp->requests();

	for my $i (1 .. 60) {
		$received += length webhook(events(10, "l$i-$_-")) for 1 .. 20;
	}

	counted($ngx, $before, {
		'webhooks_total{status="200"}' => 1200,
		webhook_duration_seconds_count => 1200,
		'events_total{event="open",result="forwarded"}' => 12000,
		'amplitude_responses_total{code="200"}' => 1200,
		amplitude_duration_seconds_count => 1200,
		sent_bytes_total => $sent,
		received_bytes_total => $received,
	}, 'counted');
});

subtest('formats' => sub {
	my %type = (html => 'text/html; charset=utf-8',
		json => 'application/json',
		prometheus => 'text/plain; version=0.0.4; charset=utf-8');

	for ([ '/status', undef, 'html' ],
		[ '/status', '*/*', 'html' ],
		[ '/status', 'application/json', 'json' ],
		[ '/status', 'text/plain;version=0.0.4;q=0.5,*/*;q=0.1',
			'prometheus' ],
		[ '/status?format=html', 'application/json', 'html' ],
		[ '/status?format=json', 'text/html', 'json' ],
		[ '/status?format=prometheus', 'text/html', 'prometheus' ],
		[ '/status?a=b&format=json&c=d', undef, 'json' ],
		[ '/status?format=xml', 'application/json', 'json' ],
		[ '/status?format=', undef, 'html' ],
		[ '/page?format=json', 'application/json', 'html' ],
		[ '/json?format=html', 'text/html', 'json' ],
		[ '/prometheus', 'text/html', 'prometheus' ])
	{
		my ($uri, $accept, $format) = @$_;
		my $name = $uri . ' ' . ($accept // '');
		my $r = get($port, $uri, headers => [ $accept
			? "Accept: $accept" : () ]);
		my %h = %{ $r->{headers} };
		my $policy = delete $h{'content-security-policy'};

		delete @h{qw(server date)};

		is($r->{status}, 200, $name);
		is_deeply(\%h, {
			'content-type' => $type{$format},
			'content-length' => length $r->{body},
			'cache-control' => 'no-store',
			'x-content-type-options' => 'nosniff',
			$format eq 'html' ? ('referrer-policy' => 'no-referrer') : (),
			connection => 'close',
		}, 'its headers') or diag(explain(\%h));
		is(!!$policy, $format eq 'html', 'policy');

		my $head = post($port, '', key => undef, uri => $uri,
			raw => "HEAD $uri HTTP/1.0\r\n"
				. ($accept ? "Accept: $accept\r\n" : '') . "\r\n");

		like($head->{body} // '', qr!^HTTP/1\.1 200 OK\r\n.*\r\n\r\n\z!s,
			'HEAD has no body');
		like($head->{body} // '', qr/^Content-Type: \Q$type{$format}\E\r$/m,
			'but the same type');
	}
});

subtest('since when, and the time' => sub {
	my $before;

	# late in a second, so that milliseconds are seen

	$ngx->wait_for(sub { $before = time(); return $before - int($before) > 0.5 });

	my $json = figures($port);
	my $after = time();

	cmp_ok($json->{since}, '>=', $began, 'since the start');
	cmp_ok($json->{since}, '<=', $started, 'and no later');
	cmp_ok($json->{time}, '>=', $before - 0.1, 'the time');
	cmp_ok($json->{time}, '<=', $after + 0.1, 'and no later');
});

subtest('the same figures in both formats' => sub {
	my $metrics = metrics($port);
	my $json = figures($port);
	my %flat;

	delete @$json{qw(since time host server module verdict)};
	delete $json->{cohorts}{verdict};
	flatten(\%flat, '', $json);

	for (keys %$metrics) {
		my ($name, $labels) = /^sendgrid_amp_(\w+?)(?:\{(.*)\})?$/;
		my @path = ($name, map { /="(.*)"/ } split /,/, $labels // '');

		if ($name =~ /^(\w+seconds)_(bucket|sum|count)$/) {
			@path = ($1, $2 eq 'bucket' ? ('buckets', $path[1]) : $2);
		}

		unshift @path, 'cohorts' if $name =~ /^(?:cohort|contacts|sendgrid|apply)_/;

		is(delete $flat{join ' ', @path}, $metrics->{$_}, $_);
	}

	# nobody has set what is left of a limit

	for (qw(lists create fields put search identify remove import)) {
		is(delete($flat{"cohorts sendgrid_quota $_"}) // 'null', 'null',
			"$_: not known what is left");
	}

	is_deeply([ sort keys %flat ], [ map { my $f = $_;
		map { "${f}_seconds $_" } qw(p50 p95 p99) }
		('amplitude_duration', 'cohorts apply', 'cohorts cohort_duration',
			'webhook_duration') ], 'others are estimates');
});

subtest('webhooks in flight, and a worker that is killed' => sub {
	my $before = metrics($port);

	$amp->clear();
	$amp->script({ delay => 30, times => 6 });

	my @clients = map { Webhook->new($port, $good, timeout => 20) } 1 .. 6;

	$_->_send(0) for @clients;

	ok($ngx->wait_for(sub { $amp->in_flight() == 6 }), 'six are sent');
	is(metrics($port)->{$gauge}, 6, 'six are in flight');

	kill KILL => $ngx->workers();

	ok($ngx->wait_for(sub { eval { metrics($port)->{$gauge} == 0 } }), 'none')
		or diag(metrics($port)->{$gauge});

	is(post($port, $good)->{status}, 200, 'the next webhook');

	# those of the killed workers were sent, and nobody is left to count more

	counted($ngx, $before, { %delivered, sent_bytes_total => 7 * $payload },
		'counted');
});

$amp->clear();

subtest('another size of the zone' => sub {
	my $before = metrics($port);
	my $since = figures($port)->{since};

	$ngx->{http} = "sendgrid_amp_zone figures:128k; $log";

	my $from = length $ngx->log();

	ok($ngx->reload(), 'reload');
	ok($ngx->wait_for(sub { $ngx->workers() == 2 }), 'old workers are gone');
	is_deeply(changed($before, metrics($port)), {}, 'figures are kept');
	is(figures($port)->{since}, $since, 'since when, too');

	like($ngx->log($from), qr/zone "figures" as its size was changed from 65536 to/,
		'it is logged');

	is(post($port, $good)->{status}, 200, 'webhook');
	counted($ngx, $before, \%delivered, 'counted');
});

subtest('a zone of another name' => sub {
	$ngx->{http} = "sendgrid_amp_zone others:64k; $log";

	ok($ngx->reload(), 'reload');
	ok($ngx->wait_for(sub { $ngx->workers() == 2 }), 'old workers are gone');

	my $now = metrics($port);

	is_deeply([ grep { $now->{$_} } keys %$now ], [], 'begins with nothing');
});

subtest('a zone that was of another module' => sub {
	my $from = length $ngx->log();

	$ngx->{http} = "sendgrid_amp_zone figures:64k; $log"
		. 'limit_req_zone $remote_addr zone=other:1m rate=1000r/s;';
	ok($ngx->reload(), 'reload');

	$ngx->{http} = "sendgrid_amp_zone other:64k; $log";
	ok($ngx->reload(), 'reload');
	ok($ngx->wait_for(sub { $ngx->workers() == 2 }), 'old workers are gone');

	my $now = metrics($port);

	is_deeply([ grep { $now->{$_} } keys %$now ], [], 'begins with nothing');
	like($ngx->log($from), qr/begins to count anew: zone "other" was used/,
		'it is logged');
	is(post($port, $good)->{status}, 200, 'webhook');
});

is_deeply([ $amp->violations() ], [], 'the contract is kept');
$ngx->done(qr/worker process \d+ exited on signal 9/);

###############################################################################

# one worker, so that its figures are whole at any time

$ngx = Gateway->new(amplitude => $amp, main => 'worker_shutdown_timeout 50ms;',
	http => $zone, server => 'location = /status { sendgrid_amp_status; }')
	->start();

subtest('slow answers, and clients that leave meanwhile' => sub {
	my $http2 = Gateway::has('http_v2_module');
	my $n = $http2 ? 3 : 2;
	my $before = metrics($port);
	my $start = time();

	$amp->clear();
	$amp->script({ delay => 1.1, times => $n });

	my $patient = Webhook->new($port, $good);
	my $leaving = Webhook->new($port, $good);
	my $reset = $http2 && Http2->new($ngx->port(1), uri => '/sendgrid',
		length => $size);

	$_->_send(0) for $patient, $leaving;
	$reset->data($good, end => 1) if $reset;

	ok($ngx->wait_for(sub { $amp->in_flight() == $n }), 'all are sent');
	is(metrics($port)->{$gauge}, $n, 'all are in flight');
	is(post($port, '[]')->{status}, 200, 'one more is answered');

	$ngx->wait_for(sub { metrics($port)->{$gauge} <= $n });
	is(metrics($port)->{$gauge}, $n, 'the others are still in flight');

	close $leaving->{socket};
	$reset->reset() if $reset;

	is((Webhook::run($patient))[0]{status}, 200, 'who waits is answered');

	# what is on its way is waited for, whoever is gone

	counted($ngx, $before, {
		'webhooks_total{status="200"}' => 3,
		$http2 ? ('webhooks_total{status="499"}' => 1) : (),
		webhook_duration_seconds_count => $n + 1,
		'events_total{event="open",result="forwarded"}' => 3 * $n,
		'amplitude_responses_total{code="200"}' => $n,
		amplitude_duration_seconds_count => $n,
		sent_bytes_total => $n * $payload,
		received_bytes_total => $n * $size + 2,
	}, 'counted');

	# the clock of a worker stands still for some ms

	my $after = metrics($port);
	my $most = ($n + 1) * (1000 * (time() - $start) + 10);

	for my $case ([ 'webhook', 1 ], [ 'amplitude', 0 ]) {
		my ($name, $quick) = @$case;
		my ($sum, $buckets) = histogram($before, $after, "${name}_duration");
		my $below = 0;

		$below += $_->[1] for grep { $_->[0] <= 1000 } @$buckets;

		cmp_ok($sum, '>=', $n * 1090, "$name: the sum of what they took");
		cmp_ok($sum, '<=', $most, "$name: and not more");
		is($below, $quick, "$name: those that took a second at most");
	}
});

subtest('the figures of a killed worker' => sub {
	my ($old) = $ngx->workers();

	$amp->clear();
	$amp->script({ delay => 30, times => 4 });

	my @clients = map { Webhook->new($port, $good) } 1 .. 3;

	$_->_send(0) for @clients;

	ok($ngx->wait_for(sub { $amp->in_flight() == 3 }), 'three are sent');
	is(metrics($port)->{$gauge}, 3, 'three are in flight');

	kill KILL => $old;

	ok($ngx->wait_for(sub { grep { $_ != $old } $ngx->workers() }),
		'another worker');
	is(metrics($port)->{$gauge}, 0, 'none is in flight');

	push @clients, Webhook->new($port, $good);
	$clients[3]->_send(0);

	ok($ngx->wait_for(sub { $amp->requests() == 4 }), 'one is sent');
	is(metrics($port)->{$gauge}, 1, 'one is in flight: the others are gone');

	# worker_shutdown_timeout cuts it off

	my $before = metrics($port);

	ok($ngx->reload(), 'reload');
	counted($ngx, $before, {
		'webhooks_total{status="other"}' => 1,
		webhook_duration_seconds_count => 1,
		'amplitude_responses_total{code="error"}' => 1,
		amplitude_duration_seconds_count => 1,
		received_bytes_total => $size,
		webhooks_in_flight => -1,
	}, 'a request that is cut off was not answered');

	$amp->clear();
});

$ngx->done(qr/worker process \d+ exited on signal 9/);

done_testing();

###############################################################################

sub logged {
	my ($at) = @_;

	# the looks of this test are in it as well, which have no region

	return grep { !/ - -$/ } map { s/\n\z//r }
		lines("$root/access.log", $at);
}


sub webhooks_logged {
	return map { s/^\d+ //r } logged(@_);
}


sub sum {
	my ($column, @rows) = @_;
	my $sum = 0;

	$sum += $_->[$column] for @rows;

	return $sum;
}


sub flatten {
	my ($flat, $path, $value) = @_;

	if (ref $value eq 'HASH') {
		flatten($flat, $path eq '' ? $_ : "$path $_", $value->{$_})
			for keys %$value;
		return;
	}

	$flat->{$path} = $value;
}
