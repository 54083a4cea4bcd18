#!/usr/bin/perl

# Every answer of Amplitude: what becomes of the events, what SendGrid gets,
# how many requests it takes.  After each: stored + dead letter = sent.

use warnings;
use strict;

use Test::More;

use JSON::PP ();
use List::Util qw(max min uniq);

use Amplitude;
use Gateway;
use Util qw(lines summary);
use Webhook;

my $amp = Amplitude->new();
my $root = Gateway::root();
my $upstream = 'http://127.0.0.1:' . $amp->port() . '/2/httpapi';

my $ngx = Gateway->new(amplitude => $amp, poison => 1, http => '
	sendgrid_amp_retry_delay 20ms;
', sendgrid => "
	sendgrid_amp_dead_letter $root/dead;
", server => qq(
	sendfile on;

	location = /ten {
		sendgrid_amp us;
		sendgrid_amp_batch_events 10;
		sendgrid_amp_dead_letter $root/dead;
	}

	location = /twice {
		sendgrid_amp us;
		sendgrid_amp_retries 1;
		sendgrid_amp_dead_letter $root/dead;
	}

	location = /once {
		sendgrid_amp us;
		sendgrid_amp_retries 0;
		sendgrid_amp_dead_letter $root/dead;
	}

	location = /serial {
		sendgrid_amp us;
		sendgrid_amp_batch_events 1;
		sendgrid_amp_concurrency 1;
		sendgrid_amp_retries 0;
		sendgrid_amp_dead_letter $root/dead;
	}

	location = /pair {
		sendgrid_amp us;
		sendgrid_amp_batch_events 1;
		sendgrid_amp_concurrency 2;
		sendgrid_amp_retries 0;
		sendgrid_amp_dead_letter $root/dead;
	}

	location = /backoff {
		sendgrid_amp us;
		sendgrid_amp_batch_events 1;
		sendgrid_amp_concurrency 16;
		sendgrid_amp_retries 3;
		sendgrid_amp_retry_delay 200ms;
	}

	location = /patient {
		sendgrid_amp us;
		sendgrid_amp_batch_events 1;
		sendgrid_amp_retry_delay 60s;
		sendgrid_amp_timeout 10m;
	}

	location = /late {
		sendgrid_amp us;
		sendgrid_amp_retry_delay 60s;
	}

	location = /budget {
		sendgrid_amp us;
		sendgrid_amp_retries 100;
		sendgrid_amp_retry_delay 50ms;
		sendgrid_amp_timeout 1s;
	}

	location = /log { sendgrid_amp us; }

	location = /impatient {
		sendgrid_amp /amplitude/impatient;
		sendgrid_amp_dead_letter $root/dead;
	}

	location = /amplitude/impatient {
		internal;
		proxy_pass $upstream;
		proxy_read_timeout 300ms;
	}

	location = /unbuffered {
		sendgrid_amp /amplitude/unbuffered;
		sendgrid_amp_dead_letter $root/dead;
	}

	location = /amplitude/unbuffered {
		internal;
		proxy_pass $upstream;
		proxy_buffering off;
		proxy_http_version 1.1;
		proxy_set_header Connection "";
	}

	location = /down {
		sendgrid_amp /amplitude/down;
		sendgrid_amp_dead_letter $root/dead;
	}

	location = /amplitude/down {
		internal;
		proxy_pass http://127.0.0.1:9/2/httpapi;
	}
))->start();

my $json = JSON::PP->new()->utf8()->canonical();

# recorded answers, each given once, with the events it assumes: what follows

my @recorded = (
	[ '200-success.json', 50 ],
	[ '200-success-one.json', 1 ],
	[ '200-ingested-zero.json', 1 ],
	[ '200-empty-body.txt', 3, requests => [ 3, 3 ], retries => 1 ],
	[ '400-missing-field-api_key.json', 4, status => 502 ],
	[ '400-batch-docs-full.json', 8, status => 502 ],
	[ '400-invalid-api-key.json', 3, status => 502 ],
	[ '400-missing-event-type.json', 2, rejected => [ 0 ],
		field => 'event_type' ],
	[ '400-invalid-fields-device_id.json', 2, rejected => [ 1 ],
		field => 'device_id' ],
	[ '400-invalid-fields-time.json', 3, rejected => [ 0 ],
		field => 'time' ],
	[ '400-mixed-indices.json', 100, rejected => [ 0 .. 19 ] ],
	[ '400-silenced-devices.json', 7, rejected => [ 5, 6 ] ],
	[ '400-html.html', 4, requests => [ 4, 2, 2 ] ],
	[ '403-waf.json', 5, requests => [ 5, 2, 3 ] ],
	[ '408-timeout.json', 3, requests => [ 3, 3 ], retries => 1 ],
	[ '413-payload-too-large.json', 4, requests => [ 4, 2, 2 ] ],
	[ '429-http-v2-docs.json', 8, requests => [ 8, 5, 3 ], retries => 1 ],
	[ '429-batch-docs-daily-quota.json', 8, requests => [ 8, 5, 3 ],
		retries => 1 ],
	[ '500-code-only.json', 3, requests => [ 3, 3 ], retries => 1 ],
	[ '503-html.html', 3, requests => [ 3, 3 ], retries => 1 ],
);

for my $case (@recorded) {
	my ($file, $n, %o) = @$case;
	my @rejected = @{ $o{rejected} || [] };
	my $rest = $n - @rejected;
	my @requests = @{ $o{requests} || [ $n,
		@rejected && !$o{status} ? $rest : () ] };

	if (($o{status} // 200) == 502) {
		subtest($file => sub {
			my $r = sent([ events($n) ], steps => [ { file => $file } ],
				status => 502);

			is($r->{json}{error}, 'refused', 'error');
			is($r->{headers}{'retry-after'}, undef, 'no Retry-After');
			is_deeply($r->{counts}, [ $n ], 'no retry');
			is(scalar @{ $r->{dead} }, 0, 'nothing goes to the dead letter');
		});

		next;
	}

	for my $uri ('/sendgrid', '/unbuffered') {
		subtest("$file, $uri" => sub {
			my @events = events($n);
			my $r = sent(\@events, steps => [ { file => $file } ],
				status => 200, uri => $uri);

			is($r->{json}{rejected}, scalar @rejected, 'rejected');
			is($r->{json}{forwarded}, $rest, 'forwarded');
			is_deeply($r->{counts}, \@requests, 'requests');
			is($r->{json}{batches}, @requests - ($o{retries} // 0),
				'batches');
			is_deeply([ sort map { $_->{raw} } @{ $r->{dead} } ],
				[ sort map { $events[$_] } @rejected ], 'dead letter');
			is_deeply([ uniq(map { $_->{reason} } @{ $r->{dead} }) ],
				[ @rejected ? 'amplitude_400' : () ], 'reason');
			like($_->{detail}, qr/$o{field}/, 'field')
				for $o{field} ? @{ $r->{dead} } : ();
		});
	}
}

# answers that may pass: the same bytes again, then 503 when retries are used

my @passing = (
	[ '200, cut', cut => 20 ],
	[ '200, cut at the head', cut => 0 ],
	[ '200, cut before the last byte', cut => 100, body => '{"code":200,'
		. '"events_ingested":3,"payload_size_bytes":50,"server_upload_time":1}'
		. (' ' x 100) ],
	[ '200, chunked and cut', framing => 'chunked', cut => 30 ],
	[ '200, cut without a length', framing => 'close', cut => 20 ],
	[ 'reset before storing', reset => 'before' ],
	[ 'reset after storing', reset => 'after' ],
	[ 'reset at once', reset => 'early' ],
	[ 'cut before storing', cut => 20, store => 0 ],
	[ 'no answer', stall => 1 ],
	[ 'no answer, but stored', stall => 1, store => 1 ],
	[ 'too slow', every => 1, pause => 0.4, timeout => 1 ],
	[ '201', status => 201, body => '{"code":200,"events_ingested":3}' ],
	[ '204', status => 204, body => '' ],
	( map { [ "200, $_->[0]", store => 0, @$_[1, 2] ] }
		[ 'no body', body => '' ], [ 'HTML', body => '<html>OK</html>' ],
		[ 'text', body => 'ok' ], [ 'an array', body => '[{"code":200}]' ],
		[ 'foreign JSON', body => '{"hello":1}' ],
		[ 'text behind the object', body => '{"code":200}x' ],
		[ 'a 400 in the body', body => '{"code":400,"error":"no",'
			. '"events_with_invalid_fields":{"time":[0]}}' ],
		[ 'a string of 300 kB', pad => [ 0, 300000 ] ],
		[ 'more than 1 MB', body => '{"code":200}' . (' ' x 1048576) ] ),
	map { [ $_, status => $_ ] } 408, 500, 502, 503, 504, 599,
);

for my $case (@passing) {
	my ($name, %step) = @$case;
	my $uri = $step{stall} || delete $step{timeout} ? '/impatient'
		: '/sendgrid';

	subtest("$name, once" => sub {
		my $r = sent([ events(3) ], steps => [ { %step } ], status => 200,
			uri => $uri);

		is_deeply($r->{json}, summary(3, forwarded => 3), 'summary');
		is(scalar @{ $r->{bodies} }, 2, 'two requests');
		is($r->{bodies}[0], $r->{bodies}[1], 'of the same bytes')
			if ($step{reset} // '') ne 'early';
	});

	subtest("$name, always" => sub {
		my $r = sent([ events(3) ], steps => [ { %step, times => 0 } ],
			status => 503, uri => $uri);

		is_deeply($r->{json}, summary(3, error => 'unavailable'), 'summary');
		is($r->{headers}{'retry-after'}, 30, 'Retry-After');
		is(scalar @{ $r->{bodies} }, 3, 'three requests');
		is(scalar @{ $r->{dead} }, 0, 'nothing goes to the dead letter');
	});
}

subtest('no connection' => sub {
	my $r = sent([ events(3) ], status => 503, uri => '/down');

	is($r->{json}{error}, 'unavailable', 'error');
	is($r->{headers}{'retry-after'}, 30, 'Retry-After');
});

# 200 and a body that is Amplitude's

for my $case ([ 'code alone', body => '{"code":200}' ],
	[ 'events_ingested alone', body => ' {"events_ingested":3}' ],
	[ 'huge integers', body => '{"code":200,"server_upload_time":'
		. '99999999999999999999,"events_ingested":18446744073709551617}' ],
	[ 'a thousand levels', body => '{"code":200,"x":' . ('[' x 1000)
		. (']' x 1000) . '}' ],
	[ 'chunked', framing => 'chunked' ],
	[ 'close', close => 1 ], [ 'without a length', framing => 'close' ],
	[ 'byte by byte', every => 1 ],
	[ '300 kB', body => '{"code":200}' . (' ' x 300000) ],
	[ '300 kB first', body => (' ' x 300000) . '{"code":200}' ])
{
	my ($name, %step) = @$case;

	subtest("200: $name" => sub {
		my $from = length $ngx->log();
		my $r = sent([ events(3) ], steps => [ { %step } ], status => 200);

		is_deeply($r->{json}, summary(3, forwarded => 3), 'summary');
		is_deeply($r->{counts}, [ 3 ], 'one request');
		unlike($ngx->log($from), qr/amplitude a/, 'nothing is logged');
	});
}

subtest('200: events_ingested is lower' => sub {
	my $from = length $ngx->log();
	my $r = sent([ events(3) ], steps => [ { ingested => 1 } ],
		status => 200);

	is_deeply($r->{json}, summary(3, forwarded => 3), 'summary');
	like($ngx->log($from), qr/\[warn\].* accepted 3 .* ingested 1 /,
		'it is logged');
});

# 400 that names events

my $bad = qr/"sg_event_id":"event-\d*[37]"/;

for my $case ([ 'all', 100, 2, name => 'all' ],
	[ 'the first', 20, 5, name => 'first' ],
	[ 'all of 300 kB', 100, 2, pad => [ 0, 300000 ] ],
	[ 'all, late in 300 kB', 100, 135, pad => [ 300000, 0 ] ],
	[ 'byte by byte', 20, 2, every => 1 ],
	[ 'chunked', 100, 2, framing => 'chunked' ],
	[ 'as missing fields', 20, 2, kind => 'events_with_missing_fields' ],
	[ 'as id lengths', 20, 2, kind => 'events_with_invalid_id_lengths' ],
	[ 'as silenced', 20, 2, kind => 'silenced_events' ],
	[ 'the first of two fields', 20, 3, name => 'first',
		refuse => { time => '"event-\d*3"', ip => '"event-\d*7"' } ])
{
	my ($name, $n, $requests, %step) = @$case;

	subtest("400 names $name" => sub {
		my @events = events($n);
		my $r = sent(\@events, steps => [ { refuse => $bad, times => 0,
			%step } ], status => 200);
		my @bad = grep { /$bad/ } @events;

		is_deeply($r->{json}, summary($n, forwarded => $n - @bad,
			rejected => scalar @bad, batches => $requests), 'summary');
		is(scalar @{ $r->{bodies} }, $requests, 'requests');
		is_deeply([ sort map { $_->{raw} } @{ $r->{dead} } ], [ sort @bad ],
			'dead letter');
		is_deeply([ uniq(map { $_->{reason} } @{ $r->{dead} }) ],
			[ 'amplitude_400' ], 'reason');
	});
}

subtest('400 names one of forty at a time: 10 rounds, then halves' => sub {
	my @events = events(200);
	my $bad = qr/"sg_event_id":"event-\d*[05]"/;
	my $r = sent(\@events, steps => [ { refuse => $bad, name => 'first',
		times => 0 } ], status => 200);

	is($r->{json}{rejected}, 40, 'rejected');
	is($r->{json}{forwarded}, 160, 'forwarded');
	is_deeply([ sort map { $_->{raw} } @{ $r->{dead} } ],
		[ sort grep { /$bad/ } @events ], 'dead letter');
	is(scalar @{ $r->{bodies} }, 47, 'requests');
	is($r->{counts}[11], 95, 'the first half, after ten rounds');
});

for my $case ([ 'an index that there is not', '[3]' ],
	[ 'a negative index', '[-1]' ], [ 'no number', '["0",null,{}]' ],
	[ 'a fraction', '[0.5]' ],
	[ 'a huge index', '[18446744073709551616]' ], [ 'nothing', '[]' ])
{
	my ($name, $value) = @$case;

	subtest("400 names $name" => sub {
		my $r = sent([ events(3) ], steps => [ { status => 400, times => 1,
			body => qq({"code":400,"events_with_invalid_fields":)
				. qq({"time":$value}}) } ], status => 200);

		is($r->{json}{rejected}, 0, 'halves, nobody is rejected');
		is($r->{json}{forwarded}, 3, 'forwarded');
	});
}

subtest('400 names each of them' => sub {
	my $r = sent([ events(3) ], steps => [ { refuse => qr/./ } ],
		status => 200);

	is_deeply($r->{json}, summary(3, rejected => 3), 'summary');
	is_deeply($r->{counts}, [ 3 ], 'requests');
});

# answers that name nobody: halves, down to the one

my $poison = qr/"sg_event_id":"event-37"/;

my %halves = (1000 => [ 1000, 500, 250, 125, 62, 31, 31, 15, 7, 3, 4, 2, 2,
		1, 1, 8, 16, 63, 125, 250, 500 ],
	50 => [ 50, 25, 25, 12, 6, 6, 3, 3, 1, 2, 1, 1, 13 ]);

for my $case ([ 400, 1000 ], [ 403, 1000 ], [ 403, 50 ], [ 404, 50 ],
	[ 401, 50 ], [ 418, 50 ], [ 302, 50 ], [ 400, 50, body => '' ],
	[ 403, 50, body => '<html></html>' ], [ 400, 50, body => '{"code":400' ],
	[ 400, 50, cut => 30 ], [ 400, 50, body => '<' x 300000 ],
	[ 400, 50, body => '{"code":200,"events_ingested":50}' ])
{
	my ($status, $n, %step) = @$case;
	my $name = defined $step{body} ? ', ' . length($step{body}) . ' bytes'
		: '';

	subtest("$status names nobody, $n events$name" => sub {
		my @events = events($n);
		my $r = sent(\@events, steps => [ { refuse => $poison, name => 'none',
			status => $status, times => 0, headers => $status == 302
				? [ 'Location: http://127.0.0.1:9/' ] : [], %step } ],
			status => 200);

		is($r->{json}{rejected}, 1, 'one is rejected');
		is($r->{json}{forwarded}, $n - 1, 'the others are forwarded');
		is_deeply([ map { $_->{raw} } @{ $r->{dead} } ],
			[ grep { /$poison/ } @events ], 'dead letter');
		is($r->{dead}[0]{reason}, "amplitude_$status", 'reason');
		is_deeply($r->{counts}, $halves{$n}, 'requests')
			or diag("@{ $r->{counts} }");
	});
}

subtest('all are refused' => sub {
	my $r = sent([ events(4) ], steps => [ { status => 404, times => 0 } ],
		status => 200);

	is_deeply($r->{json}, summary(4, rejected => 4, batches => 7),
		'summary');
	is_deeply($r->{counts}, [ 4, 2, 1, 1, 2, 1, 1 ], 'requests');
});

# an older nginx takes any status for the last one

my $interim = Gateway::version() >= 1029000;

subtest('103, then 200' => sub {
	my $r = sent([ events(3) ], steps => [ { interim => 103 } ],
		status => 200, uri => '/impatient');

	is_deeply($r->{counts}, $interim ? [ 3 ] : [ 3, 1, 2 ], 'requests')
		or diag("@{ $r->{counts} }");
});

subtest('103 and no more' => sub {
	my $r = sent([ events(4) ], steps => [ { status => 103, body => '',
		framing => 'close' } ], status => 200);

	is_deeply($r->{counts}, $interim ? [ 4, 4 ] : [ 4, 2, 2 ], 'requests')
		or diag("@{ $r->{counts} }");
});

# 413

subtest('413 by size' => sub {
	my $r = sent([ events(300) ], steps => [ { max_bytes => 30000,
		times => 0 } ], status => 200);

	is_deeply($r->{json}, summary(300, forwarded => 300, batches => 15),
		'summary');
	is(scalar @{ $r->{bodies} }, 15, 'requests');
});

subtest('413 by count' => sub {
	my $r = sent([ events(100) ], steps => [ { max_events => 7,
		times => 0 } ], status => 200);

	is($r->{json}{forwarded}, 100, 'forwarded');
	is(scalar @{ $r->{bodies} }, 31, 'requests');
});

subtest('413 for a lone event' => sub {
	my @events = (events(3), event('large', pad => '"' . ('x' x 2000) . '"'),
		events(3, 'b'));
	my $r = sent(\@events, steps => [ { max_bytes => 1500, times => 0 } ],
		status => 200);

	is($r->{json}{rejected}, 1, 'rejected');
	is($r->{json}{forwarded}, 6, 'forwarded');
	is($r->{dead}[0]{reason}, 'amplitude_413', 'reason');
	is($r->{dead}[0]{raw}, $events[3], 'dead letter');
});

# 429

for my $which ('all', 'users', 'events') {
	my $few = qr/"sg_event_id":"event-\d*4"/;

	subtest("429 names $which, once" => sub {
		my $r = sent([ events(50) ], steps => [ { throttle => $few,
			name => $which } ], status => 200);

		is_deeply($r->{json}, summary(50, forwarded => 50, batches => 2),
			'summary: a part that was throttled is a retry');
		is_deeply($r->{counts}, [ 50, 45, 5 ], 'the others at once');
	});

	subtest("429 names $which, always" => sub {
		my @events = events(50);
		my $r = sent(\@events, steps => [ { throttle => $few, times => 0,
			name => $which } ], status => 429);

		is_deeply($r->{json}, summary(50, forwarded => 45,
			error => 'throttled', batches => 2), 'summary');
		is($r->{headers}{'retry-after'}, 30, 'Retry-After');
		is_deeply($r->{counts}, [ 50, 45, 5, 5 ], 'requests')
			or diag("@{ $r->{counts} }");
		is(scalar @{ $r->{dead} }, 0, 'nothing goes to the dead letter');

		# SendGrid posts it again

		$r = sent(\@events, status => 200, keep => 1);

		is(keys %{ $amp->stored() }, 50, 'the next post completes it');
	});
}

subtest('429 with a daily quota' => sub {
	my $r = sent([ events(20) ], steps => [ { times => 0,
		quota => qr/"event-5"/, name => 'users' } ], status => 429);

	is($r->{json}{forwarded}, 19, 'the others are forwarded');
	is($r->{json}{error}, 'throttled', 'error');
});

subtest('429 with a quota and a throttled user' => sub {
	my $r = sent([ events(20) ], steps => [ { quota => qr/"event-5"/,
		throttle => qr/"event-6"/, times => 0 } ], status => 429);

	is($r->{json}{forwarded}, 18, 'the others are forwarded');
});

for my $case ([ 'JSON', name => 'none', throttle => qr/./ ],
	[ 'HTML', status => 429, body => '<html></html>' ],
	[ 'empty', status => 429, body => '' ])
{
	my ($name, %step) = @$case;

	subtest("429 names nobody: $name" => sub {
		my $r = sent([ events(3) ], steps => [ { %step } ], status => 200);

		is_deeply($r->{counts}, [ 3, 3 ], 'all again');

		$r = sent([ events(3) ], steps => [ { %step, times => 0 } ],
			status => 429);

		is_deeply($r->{counts}, [ 3, 3, 3 ], 'as often as retries allow');
		is($r->{json}{error}, 'throttled', 'error');
		is($r->{headers}{'retry-after'}, 30, 'Retry-After');
	});
}

subtest('429 names one at a time: 10 rounds, then all are held' => sub {
	my $r = sent([ events(20) ], steps => [ { status => 429, times => 0,
		body => '{"code":429,"throttled_events":[0]}' } ], status => 429,
		uri => '/once');

	is_deeply($r->{counts}, [ reverse 10 .. 20 ], 'requests');
	is_deeply($r->{json}, summary(20, error => 'throttled', batches => 11),
		'summary');
});

# one answer after the other

subtest('a mixture' => sub {
	my @events = events(60);
	my $r = sent(\@events, steps => [ { status => 503 },
		{ max_events => 25, times => 2 }, { refuse => qr/"event-7"/ },
		{ throttle => qr/"event-8"/ }, { reset => 'before' },
		{ refuse => $poison, name => 'none', times => 0 } ], status => 200);

	# 503, 429 and the reset are answered by a retry each

	is_deeply($r->{json}, summary(60, forwarded => 58, rejected => 2,
		batches => 17), 'summary');
	is(scalar @{ $r->{bodies} }, 20, 'requests');
	is_deeply([ sort map { $_->{raw} } @{ $r->{dead} } ],
		[ sort @events[6, 36] ], 'dead letter');
});

# several batches

subtest('the rest of a webhook is delivered all the same' => sub {
	my $r = sent([ events(50) ], steps => [ { status => 503, times => 0,
		match => '"insert_id":"event-25"' } ], status => 503, uri => '/ten');

	is_deeply($r->{json}, summary(50, forwarded => 40,
		error => 'unavailable', batches => 5), 'summary');
});

subtest('throttled and unavailable: 503' => sub {
	my $r = sent([ events(50) ], steps => [
		{ status => 503, times => 0, match => '"insert_id":"event-25"' },
		{ throttle => qr/"event-4"/, times => 0 } ], uri => '/ten');

	is($r->{status}, 503, 'status');
	is($r->{json}{forwarded}, 39, 'forwarded');
});

# the strongest reason wins, whichever comes first

my $throttled = [ 'throttled', status => 429 ];
my $unavailable = [ 'unavailable', status => 503 ];
my $refused = [ 'refused', file => '400-invalid-api-key.json' ];

for my $case ([ $throttled, $unavailable, 503 ],
	[ $unavailable, $throttled, 503 ], [ $unavailable, $refused, 502 ],
	[ $refused, $unavailable, 502 ])
{
	my ($first, $second, $status) = @$case;
	my ($one, @one) = @$first;
	my ($two, @two) = @$second;

	subtest("$one, then $two: $status" => sub {
		my $r = sent([ events(2) ], steps => [ { @one, match => '"event-1"' },
			{ @two, match => '"event-2"', delay => 0.15 } ],
			status => $status, uri => '/pair');

		is($r->{json}{error}, $status == 503 ? 'unavailable' : 'refused',
			'error');
		is_deeply($r->{counts}, [ 1, 1 ], 'requests');
	});
}

subtest('nothing more is sent after a refusal' => sub {
	my $r = sent([ events(5) ], steps => [ { status => 200 },
		{ file => '400-invalid-api-key.json', times => 0 } ],
		status => 502, uri => '/serial');

	is_deeply($r->{counts}, [ 1, 1 ], 'requests');
	is($r->{json}{forwarded}, 1, 'forwarded');
});

subtest('a retry that waits is given up after a refusal' => sub {
	my $r = sent([ events(2) ], steps => [
		{ status => 503, match => '"event-1"' },
		{ file => '400-invalid-api-key.json', delay => 0.15 } ],
		status => 502, uri => '/patient', dead => 0,
		timeout => Gateway->patience(10));

	is_deeply($r->{counts}, [ 1, 1 ], 'requests');
});

subtest('batches are retried independently' => sub {
	my $r = sent([ events(50) ], steps => [ map { { status => 503,
		match => qq("insert_id":"event-$_") } } 5, 15, 35, 45 ],
		status => 200, uri => '/ten');

	is_deeply($r->{json}, summary(50, forwarded => 50, batches => 5),
		'summary');
	is(scalar @{ $r->{bodies} }, 9, 'requests');
});

# retries, retry_delay, timeout

subtest('no retries' => sub {
	my $r = sent([ events(3) ], steps => [ { status => 503 } ],
		status => 503, uri => '/once');

	is(scalar @{ $r->{bodies} }, 1, 'one request');
});

subtest('one retry' => sub {
	my $r = sent([ events(3) ], steps => [ { status => 503, times => 0 } ],
		status => 503, uri => '/twice');

	is(scalar @{ $r->{bodies} }, 2, 'two requests');
});

# sixteen batches at once: the times between the requests of each event

subtest('the delay doubles, and is a half to three halves of that' => sub {
	my (%times, @gaps);

	sent([ events(16) ], steps => [ { status => 503, times => 0 } ],
		status => 503, uri => '/backoff', dead => 0);

	for my $request ($amp->requests()) {
		my ($id) = $request->{body} =~ /"sg_event_id":"(.*?)"/;
		push @{ $times{$id} }, $request->{time};
	}

	for my $times (values %times) {
		push @{ $gaps[$_ - 1] }, $times->[$_] - $times->[$_ - 1]
			for 1 .. $#$times;
	}

	is_deeply([ map { scalar @$_ } @gaps ], [ 16, 16, 16 ], 'three retries');

	for my $i (0 .. 2) {
		cmp_ok(min(@{ $gaps[$i] }), '>=', 0.1 * 2 ** $i - 0.01,
			"gap $i, at least");
	}

	cmp_ok(max((map { $_ / 2 } @{ $gaps[1] }), map { $_ / 4 } @{ $gaps[2] }),
		'>', 0.22, 'the longest');
	cmp_ok(min(@{ $gaps[2] }), '<', Gateway->patience(0.85),
		'gap 2, the shortest');
});

subtest('no attempt after sendgrid_amp_timeout' => sub {
	my $r = sent([ events(3) ], steps => [ { status => 503, times => 0 } ],
		status => 503, uri => '/budget', dead => 0);

	my @times = map { $_->{time} } $amp->requests();

	cmp_ok($r->{time}, '<', Gateway->patience(1.8), 'answer in time');
	cmp_ok(scalar @times, '>', 2, 'several attempts');
	cmp_ok($times[-1] - $times[0], '<', 1.1, 'none after it');
});

subtest('no wait that ends after sendgrid_amp_timeout' => sub {
	my $r = sent([ events(3) ], steps => [ { status => 503, times => 0 } ],
		status => 503, uri => '/late', dead => 0,
		timeout => Gateway->patience(10));

	is_deeply($r->{counts}, [ 3 ], 'no retry');
});

# what the log says

subtest('an API key that is refused' => sub {
	my $from = length $ngx->log();

	sent([ events(3) ], steps => [ { file => '400-invalid-api-key.json' } ],
		status => 502);

	my $log = $ngx->log($from);

	like($log, qr/\[error\].*region/, 'what to do');
	unlike($log, qr/0{32}|@{[ KEY ]}/, 'no key');
});

subtest('a rejected event without a dead letter' => sub {
	my $from = length $ngx->log();
	my $r = sent([ events(3), '{"event":"open","sg_event_id":"nobody"}' ],
		steps => [ { refuse => qr/"event-2"/ } ], status => 200,
		uri => '/log', dead => 0);

	is($r->{json}{rejected}, 2, 'rejected');

	my $log = $ngx->log($from);

	like($log, qr/amplitude_400.*event-2/, 'amplitude_400');
	like($log, qr/no_user_id.*nobody/, 'no_user_id');
	unlike($log, qr/\@example/, 'no address');
});

is_deeply([ $amp->violations() ], [], 'the contract is kept');
$ngx->done();
done_testing();

###############################################################################

# posts events and checks what holds for any answer; the result is the answer
# with { bodies, counts (events of each request), dead (lines) }

sub sent {
	my ($events, %o) = @_;
	my $file = "$root/dead";
	my $from = -s $file // 0;

	$amp->clear() if !$o{keep};
	$amp->script(@{ $o{steps} || [] });

	my $r = post($ngx->port(), webhook(@$events), uri => $o{uri}
		// '/sendgrid', timeout => $o{timeout} // 60);

	if ($o{status}) {
		is($r->{status}, $o{status}, 'status') or diag($r->{body});
	}

	my %sum = %{ $r->{json} || {} };
	my @dead = map { line($_) } lines($file, $from);
	my @requests = $amp->requests();
	my %stored = %{ $amp->stored() };

	$r->{dead} = \@dead;
	$r->{bodies} = [ map { $_->{body} } @requests ];
	$r->{counts} = [ map { $_->{events} } @requests ];

	is($sum{received}, scalar @$events, 'received');
	is($sum{ignored}, 0, 'ignored');

	my $undelivered = $sum{received} - $sum{forwarded} - $sum{rejected};

	is($undelivered == 0, $r->{status} == 200, 'all delivered is 200')
		if $r->{status} != 502;
	cmp_ok(scalar keys %stored, '>=', $sum{forwarded}, 'forwarded is stored');

	if (!defined $o{dead} || $o{dead}) {
		is(scalar @dead, $sum{rejected}, 'rejected is in the dead letter');
	}

	# each event is in one place, and as it was sent

	my %dead = map { $_->{raw} => 1 } @dead;
	my %texts = map { $_->{text} => 1 } values %stored;
	my @lost = grep { /"email"/ && !$dead{$_} && !$texts{mapped($_)} }
		@$events;
	my @both = grep { /"email"/ && $dead{$_} && $texts{mapped($_)} }
		@$events;

	if ($r->{status} == 200 && $o{dead} // 1) {
		is(scalar @lost, 0, 'stored or in the dead letter')
			or diag($lost[0]);
	}

	is(scalar @both, 0, 'not both');

	if ($r->{status} != 200 && !grep { $_->{reset} || $_->{stall}
		|| defined $_->{cut} || $_->{every} } @{ $o{steps} || [] })
	{
		is(scalar @lost, $undelivered, 'undelivered');
	}

	is_deeply([ $amp->violations() ], [], 'the contract is kept');

	return $r;
}


sub line {
	my ($text) = @_;
	my $line = eval { $json->decode($text) };

	ok($line, 'a line of JSON') or diag($text);
	is(join(' ', sort keys %$line), 'detail event reason region time',
		'members of a line');
	like($line->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/, 'its time');
	ok($text =~ /,"event":(.*)\}\n\z/s, 'ends with the event');

	return { %$line, raw => $1 };
}
