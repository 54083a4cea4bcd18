#!/usr/bin/perl

# However the body of a webhook comes: the same events leave, as soon as they
# can, and nobody waits longer than he has to.

use warnings;
use strict;

use Test::More;

use Time::HiRes qw(time);

use Amplitude;
use Gateway;
use Util qw(active has_http2 lines spew summary);
use Webhook;

my $amp = Amplitude->new();

# locations that differ in who reads the body first, and to where

my %read = (
	mirror => 'mirror /nothing;',
	'mirror, small buffer' => 'mirror /nothing; client_body_buffer_size 1;',
	'mirror, single buffer' => 'mirror /nothing;
		client_body_in_single_buffer on; client_body_buffer_size 64k;',
	'mirror, file' => 'mirror /nothing; client_body_in_file_only clean;',
	'mirror, file kept' => 'mirror /nothing; client_body_in_file_only on;',
	'mirror of the body' => 'mirror /mirrored;',
	auth_request => 'auth_request /nothing;',
	'small buffer' => 'client_body_buffer_size 1;',
	'single buffer' => 'client_body_in_single_buffer on;',
	'file' => 'client_body_in_file_only on;',
	'unbuffered' => 'proxy_request_buffering off; proxy_buffering off;',
	'large buffer' => 'client_body_buffer_size 4m;',
	'limited rate' => 'limit_rate 1m;',
);

my $i = 0;
my %uri = map { $_ => '/read/' . $i++ } sort keys %read;
my $locations = join '', map { qq(
	location = $uri{$_} {
		sendgrid_amp us;
		sendgrid_amp_batch_events 10;
		$read{$_}
	}) } sort keys %read;

my $log = Gateway::root() . '/status.log';
my $ngx = Gateway->new(amplitude => $amp, http => 'log_format status $status;',
	server => qq(
	$locations

	location = /nothing { internal; return 204; }
	location = /mirrored { internal; proxy_pass http://127.0.0.1:9/; }
	location = /stub { stub_status; }

	location = /ten {
		sendgrid_amp us;
		sendgrid_amp_batch_events 10;
	}

	location = /serial {
		sendgrid_amp us;
		sendgrid_amp_batch_events 10;
		sendgrid_amp_concurrency 1;
		client_body_timeout 700ms;
		client_body_buffer_size 8k;
		access_log $log status;
	}

	location = /sixteen {
		sendgrid_amp us;
		sendgrid_amp_batch_events 10;
		sendgrid_amp_concurrency 16;
	}
))->start();

my @events = events(25);
my $body = webhook(@events);

delivered('in one piece');
delivered('one byte a write', every => 1);
delivered('head and body apart', cuts => []);
delivered("chunks of $_ bytes", chunked => $_) for 1, 7, 1000, 100000;
delivered('chunks of 50 bytes, three bytes a write', chunked => 50,
	every => 3);
delivered('slowly', cuts => cuts($body, 20, 7), pause => 0.01);

for my $seed (1 .. 60) {
	delivered("cut at random, seed $seed", uri => '/ten',
		cuts => cuts($body, 1 + $seed % 20, $seed));
}

for my $name (sort keys %read) {
	delivered($name, uri => $uri{$name});
	delivered("$name, chunked", uri => $uri{$name}, chunked => 333);
	delivered("$name, in pieces", uri => $uri{$name},
		cuts => cuts($body, 5, 5), pause => 0.005);
}

# portions end with an event, if one ends in them

delivered('events larger than a portion', uri => $uri{'mirror, single buffer'},
	events => [ event(1), (map { event($_, pad => '"' . 'x' x 17000 . '"') } 2, 3),
		event(4, pad => '"' . '}' x 17000 . '"'), event(5) ]);

subtest('Expect: 100-continue' => sub {
	my $r = delivered('answer', expect => 1);
	ok($r->{interim}, 'continue');
});

subtest('two requests after each other on one connection' => sub {
	my $first = Webhook->new($ngx->port(), webhook(events(3, 'a')),
		keepalive => 1);
	Webhook::run($first);
	is($first->{response}{status}, 200, 'first');

	my $second = Webhook->new(undef, webhook(events(4, 'b')),
		after => $first);
	Webhook::run($second);
	is_deeply($second->{response}{json}, summary(4, forwarded => 4), 'second');
});

subtest('pipelined' => sub {
	$amp->clear();

	my $text = join '', map { my $body = webhook(events(5 * $_, "p$_-"));
		Webhook::request_head(length $body, keepalive => 1,
			uri => $_ % 2 ? '/ten' : '/sendgrid') . $body } 1 .. 6;
	my $client = Webhook->new($ngx->port(), '', raw => $text,
		keepalive => 1);

	Webhook::run($client);

	for my $i (1 .. 6) {
		is_deeply($client->{response}{json}, summary(5 * $i,
			forwarded => 5 * $i, batches => $i % 2
				? int((5 * $i + 9) / 10) : 1), "answer $i");

		if ($i < 6) {
			$client = Webhook->new(undef, '', raw => '', after => $client,
				keepalive => $i < 5);
			Webhook::run($client);
		}
	}

	is(keys %{ $amp->stored() }, 105, 'all stored');
});

subtest('pipelined after an error' => sub {
	my $text = join '', map { Webhook::request_head(length $_,
		keepalive => 1) . $_ } '[} ' . (' ' x 50000), webhook(event(1));
	my $client = Webhook->new($ngx->port(), '', raw => $text,
		keepalive => 1);

	Webhook::run($client);
	is($client->{response}{status}, 400, 'first');

	$client = Webhook->new(undef, '', raw => '', after => $client);
	Webhook::run($client);
	is($client->{response}{closed}, 1, 'closed, the end of the body is not known');
});

SKIP: {
	if (!has_http2()) {
		skip 'no HTTP/2', 1;
	}

	my $file = Gateway::root() . '/body';

	for my $n (25, 3000) {
		my @events = events($n);

		spew($file, webhook(@events));

		subtest("HTTP/2, $n events" => sub {
			http2(\@events, "--data-binary \@$file");
		});
		subtest("HTTP/2, $n events without a length" => sub {
			http2(\@events, "-X POST -T - < $file");
		});
	}

	subtest('HTTP/2, reading pauses' => sub {
		http2([ events(3000) ], "--data-binary \@$file", uri => '/ten',
			steps => [ { delay => 0.005, times => 0 } ]);
	});

	# one batch at a time, each longer than client_body_timeout

	subtest('HTTP/2, reading pauses for long' => sub {
		my $pad = '"' . ('x' x 100000) . '"';
		my @large = map { event($_, pad => $pad) } 1 .. 30;

		spew($file, webhook(@large));

		http2(\@large, "--data-binary \@$file", uri => '/serial',
			steps => [ { delay => 0.9, times => 0 } ]);
	});
}

subtest('events leave while the body still arrives' => sub {
	$amp->clear();

	my $at = length(webhook(@events[0 .. 10]));
	my $client = Webhook->new($ngx->port(), $body, uri => '/ten',
		stop => $at, length => length $body, keepalive => 1, timeout => 0.05);

	Webhook::run($client);
	ok($client->{response}{timed_out}, 'no answer yet');
	ok($ngx->wait_for(sub { keys %{ $amp->stored() } }), 'ten events left');
	is(keys %{ $amp->stored() }, 10, 'ten');

	$client = Webhook->new(undef, '', raw => substr($body, $at),
		after => $client);
	Webhook::run($client);
	is_deeply($client->{response}{json}, summary(25, forwarded => 25,
		batches => 3), 'answer');
	stored(@events);
});

subtest('a file that somebody cuts while it is read' => sub {
	$amp->clear();
	$amp->script({ delay => 0.2, times => 0 });

	my $client = Webhook->new($ngx->port(), webhook(events(1000)),
		uri => $uri{'mirror, file kept'}, keepalive => 1);

	ok($ngx->wait_for(sub { run_for($client, 0.05); $amp->in_flight() }),
		'a batch is on its way');
	truncate($_, 0) for glob Gateway::root() . '/client_body/*';
	run_for($client, Gateway->patience(30));

	is($client->{response}{status}, 500, 'status');
	is($client->{response}{json}{error}, 'internal', 'error');
	$amp->script();
});

subtest('a body that stops' => sub {
	for my $n (0, 5, 15, 24) {
		my $logged = logged();

		$amp->clear();

		my $at = length(webhook(@events[0 .. $n])) - 20;
		my $r = post($ngx->port(), $body, uri => '/serial', stop => $at,
			length => length $body, timeout => Gateway->patience(8));

		is($r->{closed}, 1, "after $n events: let go");
		is($r->{status}, 0, 'without an answer');
		ok($ngx->wait_for(sub { logged() > $logged }), 'status 408 in the log');
		cmp_ok($r->{time}, '>', 0.5, 'after client_body_timeout');

		my $left = int($n / 10) * 10;

		is(keys %{ $amp->stored() }, $left, "$left events left before");
	}
});

subtest('a body that stops while a batch is in flight' => sub {
	$amp->clear();
	$amp->script({ delay => 1.5, times => 0 });

	my $r = post($ngx->port(), $body, uri => '/serial', stop => 6000,
		length => length $body, timeout => Gateway->patience(8));

	is($r->{closed}, 1, 'let go');
	is($r->{status}, 0, 'without an answer');
	ok($ngx->wait_for(sub { !$amp->in_flight() }), 'nothing is in flight');
});

subtest('a slow body is no stalled one' => sub {
	delivered('answer', uri => '/serial', cuts => cuts($body, 9, 3),
		pause => 0.12);
});

subtest('client_body_timeout does not run while reading pauses' => sub {
	my $pad = '"' . ('x' x 100000) . '"';
	my @large = map { event($_, pad => $pad) } 1 .. 30;

	$amp->clear();
	$amp->script({ delay => 0.9, times => 0 });

	my $r = post($ngx->port(), webhook(@large), uri => '/serial');

	is($r->{status}, 200, 'answer') or diag($r->{body});
	is($r->{json}{forwarded}, 30, 'all');
	is($amp->max_in_flight(), 1, 'one batch at a time');
	stored(@large);
});

subtest('client_body_timeout does not run after the body' => sub {
	$amp->clear();
	$amp->script({ delay => 1.2, times => 0 });

	delivered('answer', uri => '/serial', events => [ events(9) ], keep => 1);
});

subtest('5000 events, 1.2 s an answer' => sub {
	my @many = events(5000);

	$amp->clear();
	$amp->script({ delay => 1.2, times => 0 });

	my $r = post($ngx->port(), webhook(@many));

	is_deeply($r->{json}, summary(5000, forwarded => 5000, batches => 5),
		'answer');
	is($amp->max_in_flight(), 2, 'two batches at a time');
	cmp_ok($r->{time}, '>=', 3.6, 'three rounds');
	stored(@many);
});

subtest('concurrency of 16' => sub {
	my @many = events(200);

	$amp->clear();
	$amp->script({ delay => 0.5, times => 0 });

	my $r = post($ngx->port(), webhook(@many), uri => '/sixteen');

	is_deeply($r->{json}, summary(200, forwarded => 200, batches => 20),
		'answer');
	is($amp->max_in_flight(), 16, '16 batches at a time');
	stored(@many);
});

subtest('a hundred webhooks at once, each with its own key' => sub {
	$amp->clear();
	$amp->script({ delay => 0.05, times => 0 });

	my @r = Webhook::run(map { Webhook->new($ngx->port(),
		webhook(events(20, "w$_-")), uri => '/ten', key => "key$_-",
		cuts => [ 500, 3000, 7000 ], pause => 0.02) } 1 .. 100);

	is(scalar(grep { $_->{status} == 200 } @r), 100, 'answers');
	is(keys %{ $amp->stored() }, 2000, 'all stored');

	my @mixed = grep {
		my ($key) = $_->{body} =~ /"api_key":"key(\d+-)"/;
		grep { $_ ne "w$key" } $_->{body} =~ /"insert_id":"event-(w\d+-)/g;
	} $amp->requests();

	is(scalar @mixed, 0, 'no batch has an event of another webhook');
});

subtest('clients that hang up' => sub {
	$amp->clear();
	$amp->script({ delay => 0.02, times => 0 });

	my @clients;

	for my $i (0 .. 119) {
		my $end = ('half', 'close', 'reset')[$i % 3];
		my $stop = int($i * length($body) / 100);

		push @clients, Webhook->new($ngx->port(), $body, uri =>
			('/ten', '/sendgrid', $uri{mirror}, $uri{'mirror, file'})[$i % 4],
			stop => $stop, length => length $body, end => $end,
			cuts => $i % 2 ? [ map { $_ * $stop / 5 } 1 .. 4 ] : [],
			pause => 0.005, timeout => 5);
	}

	Webhook::run(@clients);
	ok($ngx->wait_for(sub { !$amp->in_flight() }), 'nothing is in flight');
	ok($ngx->wait_for(sub { active($ngx) == 1 }), 'no connection is left')
		or diag(active($ngx));
	delivered('the next webhook');
});

is_deeply([ $amp->violations() ], [], 'the contract is kept');
$ngx->done(qr/the request body in ".*" was cut/);
done_testing();

###############################################################################

# posts and compares what is stored

sub delivered {
	my ($name, %options) = @_;
	my @sent = @{ $options{events} || \@events };
	my $r;

	subtest($name => sub {
		$amp->clear() if !$options{keep};
		$r = post($ngx->port(), webhook(@sent), %options);

		is($r->{status}, 200, 'answer') or diag($r->{body});
		is($r->{json}{forwarded}, scalar @sent, 'forwarded');
		stored(@sent);
	});

	return $r;
}


sub stored {
	my (@sent) = @_;
	my @expected = sort map { mapped($_) } @sent;
	my @stored = sort $amp->events();

	is(scalar @stored, scalar @expected, 'number of events');

	my @differ = grep { ($stored[$_] // '') ne $expected[$_] } 0 .. $#expected;

	ok(!@differ, 'events') or diag($expected[$differ[0]] . "\n"
		. ($stored[$differ[0]] // ''));
	is_deeply([ $amp->violations() ], [], 'contract');
}


# lets a client go on for so many seconds

sub run_for {
	my ($client, $seconds) = @_;

	delete $client->{response};
	@$client{qw(start timeout)} = (time(), $seconds);
	Webhook::run($client);
}


sub http2 {
	my ($events, $arguments, %o) = @_;

	$amp->clear();
	$amp->script(@{ $o{steps} || [] });

	my $url = 'http://127.0.0.1:' . $ngx->port(1) . ($o{uri} // '/sendgrid');
	my $out = `curl -s --max-time 30 --http2-prior-knowledge \\
		-w ' %{http_version}' -u @{[ KEY ]}:@{[ SECRET ]} $url $arguments`;

	like($out, qr/ 2$/, 'version');
	like($out, qr/"forwarded":@{[ scalar @$events ]},/, 'answer');
	stored(@$events);
}


# stalled webhooks in the access log

sub logged {
	return scalar grep { /^408$/ } lines($log);
}
