#!/usr/bin/perl

# The way to Amplitude is wrong: a stranger answers in its place.  Nothing is
# rejected, nothing is told 200, and few requests are made.  An event that
# Amplitude itself refuses costs only this event.

use warnings;
use strict;

use Test::More;

use JSON::PP ();

use Amplitude;
use Gateway;
use Util qw(written);
use Webhook;

my $amp = Amplitude->new();
my $root = Gateway::root();
my $server = 'http://127.0.0.1:' . $amp->port();
my $upstream = "$server/2/httpapi";
my $port = Gateway::port();
my $port2 = Gateway->port(2);

# each way has a location of its own, which so has no evidence

my @ways = map { "way$_" } 1 .. 140;

my $ngx = Gateway->new(amplitude => $amp, poison => 1, http => qq(
	sendgrid_amp_retry_delay 20ms;
	sendgrid_amp_dead_letter $root/dead;

	server {
		listen 127.0.0.1:$port2;
		access_log $root/app.log;
		location / { return 200 '{"code":200,"events_ingested":3}'; }
	}
), server => join('', map({ "
	location = /$_ { sendgrid_amp /amplitude/$_; }
	location = /ten/$_ {
		sendgrid_amp /amplitude/$_;
		sendgrid_amp_batch_events 10;
	}
	location = /many/$_ {
		sendgrid_amp /amplitude/$_;
		sendgrid_amp_batch_events 1;
		sendgrid_amp_concurrency 16;
	}
	location = /one/$_ {
		sendgrid_amp /amplitude/$_;
		sendgrid_amp_batch_events 1;
		sendgrid_amp_concurrency 1;
	}
	location = /eight/$_ {
		sendgrid_amp /amplitude/$_;
		sendgrid_amp_batch_events 10;
		sendgrid_amp_concurrency 8;
	}
	location = /off/$_ {
		sendgrid_amp /amplitude/$_;
		sendgrid_amp_dead_letter off;
	}
	location = /four/$_ {
		sendgrid_amp /amplitude/$_;
		sendgrid_amp_batch_events 1;
		sendgrid_amp_concurrency 4;
	}
	location = /amplitude/$_ { internal; proxy_pass $upstream; }
" } @ways), qq(
	location = /typo {
		sendgrid_amp /amplitude/typo;
		sendgrid_amp_retries 1;
	}

	location = /returns {
		sendgrid_amp /amplitude/returns;
		sendgrid_amp_retries 0;
	}

	location = /amplitude/returns {
		return 200 '{"code":200,"events_ingested":3}';
	}

	location = /rewritten {
		sendgrid_amp /amplitude/rewritten;
		sendgrid_amp_retries 0;
	}

	location = /amplitude/rewritten {
		internal;
		rewrite ^ /app last;
	}

	location = /tried {
		sendgrid_amp /amplitude/tried;
		sendgrid_amp_retries 0;
	}

	location = /amplitude/tried {
		internal;
		try_files /nothing /app;
	}

	location = /answers { sendgrid_amp /amplitude/answers; }
	location = /amplitude/answers { internal; return 403; }

	location = /answers/json { sendgrid_amp /amplitude/answers/json; }

	location = /amplitude/answers/json {
		internal;
		return 403 '{"code":403}';
	}

	location = /if { sendgrid_amp /amplitude/if; }

	location = /amplitude/if {
		internal;
		if (\$request_method = POST) {
			rewrite ^ /2/httpapi break;
			proxy_pass $server;
		}
	}

	location = /named { sendgrid_amp /amplitude/named; }

	location = /amplitude/named {
		internal;
		try_files /nothing \@named;
	}

	location \@named {
		rewrite ^ /2/httpapi break;
		proxy_pass $server;
	}

	location = /nested { sendgrid_amp /amplitude/nested/us; }

	location /amplitude/nested {
		internal;
		location /amplitude/nested/us {
			proxy_pass $upstream;
		}
	}

	location / { proxy_pass http://127.0.0.1:$port2; }
)))->start();

my $json = JSON::PP->new()->utf8();

# the answers of strangers

my $html = "<html>\r\n<head><title>Sorry</title></head></html>\r\n";

for my $case ([ 404, $html ], [ 403, $html ], [ 302, '' ], [ 301, $html ],
	[ 401, $html ], [ 405, $html ], [ 407, 'proxy' ], [ 413, $html ],
	[ 421, '' ], [ 426, '{"error":"upgrade"}' ], [ 400, $html ])
{
	my ($status, $body) = @$case;

	# halves, the first one first, and lone events after six refusals

	my %requests = (1 => [ 1 ], 2 => [ 2, 1, 1 ], 3 => [ 3, 1, 2, 1, 1 ],
		200 => [ 200, 100, 50, 25, 12, 6, 1, 5, 1, 4, 1 ],
		1000 => [ 1000, 500, 250, 125, 62, 31, 1, 30, 1, 29, 1 ]);

	for my $n (sort { $a <=> $b } keys %requests) {
		next if $n != 200 && $status != 404 && $status != 413;

		subtest("$status to all, $n events" => sub {
			my $r = sent(way(), [ events($n) ],
				{ status => $status, body => $body, times => 0 });
			my @lines = $r->{log} =~ /^(.*\[error\].*)$/mg;

			is($r->{status}, 502, 'status');
			is($r->{json}{error}, 'refused', 'error');
			is($r->{json}{rejected}, 0, 'nothing is rejected');
			is($r->{dead}, '', 'nothing goes to the dead letter');
			is_deeply([ map { $_->{events} } @{ $r->{requests} } ],
				$requests{$n}, 'requests');
			is(scalar @lines, 1, 'one error line');
			like($lines[0], qr/answers $status with .*proxy_pass/,
				'it names the status and what to look at');
		});
	}
}

for my $case ([ 'many', 6, delay => 0.3 ], [ 'eight', 6, delay => 0.3 ],
	[ 'ten' ], [ 'one', 1 ])
{
	my ($way, $at_once, %step) = @$case;

	subtest("404 to all, 200 events, small batches: /$way" => sub {
		my $r = sent("/$way" . way(), [ events(200) ],
			{ status => 404, body => $html, times => 0, %step });

		is($r->{status}, 502, 'status');
		is($r->{dead}, '', 'nothing goes to the dead letter');
		cmp_ok(scalar @{ $r->{requests} }, '<=', 12, 'requests');
		is($amp->max_in_flight(), $at_once, 'at once') if $at_once;
	});
}

subtest('the kind of answer is logged' => sub {
	for my $case ([ $html, 'HTML' ], [ '', 'an empty body' ],
		[ '{"error":"no"}', 'JSON' ], [ 'no', 'a body that is not JSON' ])
	{
		my ($body, $kind) = @$case;
		my $r = sent(way(), [ event(1) ],
			{ status => 403, body => $body, times => 0 });

		like($r->{log}, qr/answers 403 with $kind to each event/, $kind);
	}
});

subtest('the kind of the last answer is logged' => sub {
	my $r = sent('/one' . way(), [ events(3) ],
		{ status => 403, body => $html, times => 2 },
		{ status => 404, body => '' });

	like($r->{log}, qr/answers 404 with an empty body/, 'an empty body');
});

# a 200 that is not Amplitude's

for my $case ([ 'a login page', 200, $html ], [ 'JSON', 200, '{"hello":1}' ],
	[ 'nothing', 200, '' ], [ '204', 204, '' ], [ '201', 201, '' ],
	[ 'an array', 200, '[{"code":200}]' ],
	[ 'another code', 200, '{"code":"ok"}' ])
{
	my ($name, $status, $body) = @$case;

	subtest("success of a stranger: $name" => sub {
		my $r = sent(way(), [ events(5) ], { status => $status,
			body => $body, times => 0, store => 0,
			$status == 204 ? (framing => 'none') : () });

		is($r->{status}, 503, 'status');
		is($r->{json}{forwarded}, 0, 'nothing is forwarded');
		is($r->{json}{rejected}, 0, 'nothing is rejected');
		is(scalar @{ $r->{requests} }, 3, 'requests');
	});
}

# one bad event among good ones

for my $case ([ 2, 1 ], [ 2, 2 ], [ 3, 2 ], [ 50, 1 ], [ 50, 37 ], [ 50, 50 ],
	[ 1000, 1 ], [ 1000, 500 ])
{
	my ($n, $i) = @$case;

	for my $status (400, 403, 413) {
		subtest("$status to event $i of $n" => sub {
			my @events = events($n);
			my $r = sent(way(), \@events, { match =>
				qr/"sg_event_id":"event-$i"/, status => $status,
				body => $html, times => 0 });

			is($r->{status}, 200, 'status');
			is($r->{json}{forwarded}, $n - 1, 'forwarded');
			is($r->{json}{rejected}, 1, 'rejected');
			is(index($r->{dead}, $events[$i - 1]) > 0, 1,
				'the event is in the dead letter');
			like($r->{dead}, qr/"reason":"amplitude_$status"/, 'reason');
		});
	}
}

subtest('a batch waits for another that ends without evidence' => sub {
	my $html404 = sub { return { status => 404, body => $html, @_ } };
	my $r = sent('/ten' . way(), [ events(12) ],
		$html404->(match => qr/"event-11".*"event-12"/),
		$html404->(match => qr/"event-1[12]"/, delay => 0.2, times => 0),
		$html404->(delay => 0.1, times => 0));

	is($r->{status}, 502, 'status');
});

subtest('a refusal whose header cannot be read is no answer' => sub {
	my $r = sent('/one' . way(), [ events(2) ], { match => qr/"event-2"/,
		status => 400, body => '', times => 0,
		headers => [ map { "X-$_: " . 'x' x 500 } 1 .. 40 ] });

	is($r->{status}, 503, 'status');
	is($r->{json}{rejected}, 0, 'nothing is rejected');
});

subtest('two bad ones first' => sub {
	my $r = sent('/one' . way(), [ events(4) ], { match =>
		qr/"sg_event_id":"event-[12]"/, status => 400, body => '',
		times => 0 });

	is($r->{status}, 200, 'status');
	is($r->{json}{rejected}, 2, 'rejected');
	is($r->{json}{forwarded}, 2, 'forwarded');
});

subtest('three bad ones first' => sub {
	my $r = sent('/one' . way(), [ events(4) ], { match =>
		qr/"sg_event_id":"event-[123]"/, status => 400, body => '',
		times => 0 });

	is($r->{status}, 502, 'status');
	is($r->{dead}, '', 'nothing goes to the dead letter');
	is(scalar @{ $r->{requests} }, 3, 'requests');
});

subtest('three bad ones in a row after a good one' => sub {
	my $r = sent('/one' . way(), [ events(5) ], { match =>
		qr/"sg_event_id":"event-[234]"/, status => 400, body => '',
		times => 0 });

	is($r->{status}, 200, 'status');
	is($r->{json}{rejected}, 3, 'rejected');
});

subtest('a bad one alone, after others have passed' => sub {
	my $way = way();

	is(sent($way, [ event(1) ])->{status}, 200, 'a good one');

	my $r = sent($way, [ event(2) ], { status => 400, body => '',
		times => 0 });

	is($r->{status}, 200, 'status');
	is($r->{json}{rejected}, 1, 'rejected');
	is(scalar @{ $r->{requests} }, 1, 'requests');

	$r = sent(way(), [ event(2) ], { status => 400, body => '',
		times => 0 });

	is($r->{status}, 502, 'no evidence by another location');
});

subtest('another way is good' => sub {
	my $other = way();
	my $events = [ events(200) ];
	my @refused = ({ status => 404, body => $html, times => 0 });

	is(sent($other, [ event(1) ])->{status}, 200, 'the other way');

	my $r = sent('/many' . way(), $events, @refused);

	is($r->{status}, 502, 'status');
	cmp_ok(scalar @{ $r->{requests} }, '<=', 12, 'requests');
});

subtest('an event is accepted after the webhook was refused' => sub {
	my $r = sent('/four' . way(), [ events(4) ], { match =>
		qr/"event-[123]"/, status => 400, body => '', times => 0 },
		{ match => qr/"event-4"/, delay => 0.3 });

	is($r->{status}, 502, 'status');
	is($r->{json}{rejected}, 0, 'rejected');
	is($r->{json}{forwarded}, 1, 'forwarded');
	is($r->{dead}, '', 'nothing goes to the dead letter');
});

subtest('an event is named after the webhook was refused' => sub {
	my $r = sent('/four' . way(), [ events(2) ], { match => qr/"event-1"/,
		status => 400, body => '{"code":400,"error":"Invalid API key: x"}' },
		{ match => qr/"event-2"/, delay => 0.3, status => 400, body =>
		'{"code":400,"events_with_invalid_fields":{"time":[0]}}' });

	is($r->{status}, 502, 'status');
	is($r->{json}{rejected}, 0, 'rejected');
	is($r->{dead}, '', 'nothing goes to the dead letter');
});

# one more than the rounds: what is left is named alone

for my $n (10, 11, 12) {
	subtest("Amplitude names the first of $n, again and again" => sub {
		my $r = sent(way(), [ events($n) ], { refuse => qr/event/,
			name => 'first', times => 0 });

		is($r->{status}, 200, 'status');
		is($r->{json}{rejected}, $n, 'rejected');
		is($r->{dead} =~ tr/\n//, $n, 'lines of the dead letter');
	});
}

for my $name ('user1@example.com', KEY, 'a\\nb [alert] 1#1: forged',
	'a\\u001b[1m', '15551234567')
{
	subtest("a stranger names a field: $name" => sub {
		my $r = sent('/off' . way(), [ event(1) ], { status => 400, body =>
			qq({"code":400,"events_with_invalid_fields":{"$name":[0]}}) });

		is($r->{status}, 200, 'status');
		like($r->{log}, qr/event rejected: amplitude_400, field: "\?", /,
			'the name is not logged');
	});
}

subtest('Amplitude names a field' => sub {
	my $r = sent('/off' . way(), [ event(1) ], { status => 400, body =>
		qq({"code":400,"events_with_missing_fields":{"Event_type":[0]}}) });

	like($r->{log}, qr/event rejected: amplitude_400, field: "Event_type", /,
		'the name is logged');
});

subtest('many at once, after others have passed' => sub {
	my $way = way();
	my %slow = (delay => 0.3, times => 0);

	my $r = sent("/many$way", [ events(24) ],
		{ match => qr/event-1"/, status => 400, body => '' }, { %slow });

	is($r->{json}{forwarded}, 23, 'a bad one first: forwarded');
	is($amp->max_in_flight(), 16, 'a bad one first: at once');

	$r = sent("/many$way", [ events(24) ], { %slow });

	is($r->{json}{forwarded}, 24, 'good ones: forwarded');
	is($amp->max_in_flight(), 16, 'good ones: at once');
});

subtest('batches that wait for another are sent at once after it' => sub {
	# both batches are on their way before either is answered

	my $r = sent('/ten' . way(), [ events(20) ],
		{ max_events => 9, delay => 0.3, times => 0 },
		{ delay => 0.3, times => 0 });
	my @requests = @{ $r->{requests} };

	is(join(' ', map { $_->{events} } @requests), '10 10 5 5 5 5',
		'requests');
	cmp_ok($requests[3]{time}, '>', $requests[2]{answered}, 'one alone');
	cmp_ok($requests[4]{time}, '<', $requests[3]{answered}, 'two at once');
});

subtest('another webhook tells that a bad one is one' => sub {
	my $way = way();
	my $body = '[' . event('bad');
	my $dead = length written("$root/dead");

	$amp->clear();
	$amp->script({ match => qr/event-bad/, status => 400, body => '' },
		{ delay => 0.2 });

	# the bad one is refused before another is accepted, and decided about
	# after that

	my $c = Webhook->new($port, '', raw => Webhook::request_head(
		3 + length $body, uri => "/one$way") . "$body,7");

	push @{ $c->{todo} }, [ wait => 0.6 ], [ send => ']' ];

	my ($first, $second) = Webhook::run($c,
		Webhook->new($port, webhook(event('good')), uri => $way));

	is($second->{status}, 200, 'the other one');
	is($first->{status}, 200, 'status');
	is($first->{json}{rejected}, 2, 'rejected');
	like(written("$root/dead", $dead), qr/amplitude_400.*event-bad/,
		'dead letter');
});

subtest('a bad one, and the others are throttled' => sub {
	my $r = sent('/one' . way(), [ events(2) ],
		{ match => qr/event-1"/, status => 400, body => '' },
		{ status => 429, body => '', times => 0 });

	is($r->{status}, 429, 'status');
	is($r->{json}{rejected}, 0, 'rejected');
	is($r->{dead}, '', 'nothing goes to the dead letter');
});

# a location that is not internal gets nothing

for my $uri (qw(/typo /returns /rewritten /tried)) {
	subtest("not internal: $uri" => sub {
		my $r = sent($uri, [ events(3) ]);

		is($r->{status}, 503, 'status');
		is($r->{json}{forwarded}, 0, 'forwarded');
		is(-s "$root/app.log", 0, 'nothing reaches the application');
		like($r->{log}, qr/\[error\].*\Q"\/amplitude\E.*not "internal"/,
			'an error names the location');
	});
}

# a location that answers by itself: an error of nginx's is no answer

subtest('internal, and returns a status' => sub {
	my $r = sent('/answers', [ event(1) ]);

	is($r->{json}{error}, 'unavailable', 'error');
	is($r->{json}{batches}, 1, 'batches');
	like($r->{log}, qr!"/amplitude/answers" answers 403 and passes nothing!,
		'it is logged');
});

subtest('internal, and returns JSON' => sub {
	my $r = sent('/answers/json', [ event(1) ]);

	is($r->{json}{error}, 'refused', 'error');
});

for my $uri (qw(/if /named /nested)) {
	subtest("internal: $uri" => sub {
		my $r = sent($uri, [ events(3) ]);

		is($r->{status}, 200, 'status');
		is($r->{json}{forwarded}, 3, 'forwarded');
	});
}

$ngx->done();

is_deeply([ $amp->violations() ], [], 'requests keep the contract');

done_testing();

###############################################################################

sub way {
	return '/' . (shift @ways // die 'no more ways');
}


# posts events to a location, with what Amplitude does for it

sub sent {
	my ($uri, $events, @steps) = @_;
	my $from = length $ngx->log();
	my $dead = length written("$root/dead");

	$amp->clear();
	$amp->script(@steps) if @steps;

	my $r = post($port, webhook(@$events), uri => $uri);

	$r->{requests} = [ $amp->requests() ];
	$r->{log} = $ngx->log($from);
	$r->{dead} = written("$root/dead", $dead);

	return $r;
}
