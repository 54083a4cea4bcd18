#!/usr/bin/perl

# Other modules in the same location, clients that leave, and a connection
# whose timers belong to somebody else.

use warnings;
use strict;

use Test::More;

use IO::Socket::INET;
use List::Util qw(sum);
use Time::HiRes qw(sleep time);

use Amplitude;
use Gateway;
use Http2;
use Metrics qw(figures);
use Util qw(written);
use Webhook;

my $amp = Amplitude->new();
my $root = Gateway::root();
my $server = 'http://127.0.0.1:' . $amp->port();
my $port = Gateway::port();
my $port2 = Gateway->port(1);
my ($pp, $closed) = (Gateway->port(2), Gateway->port(3));
my $realip = Gateway::has('http_realip_module');
my $http2 = Gateway::has('http_v2_module');

my $real_http = !$realip ? '' : qq(
	log_format pp '\$uri \$remote_addr \$remote_port';

	server {
		listen 127.0.0.1:$pp proxy_protocol;
		access_log $root/pp.log pp;
		log_subrequest on;
		real_ip_header proxy_protocol;

		set_real_ip_from 0.0.0.0/0;

		location = /sendgrid {
			sendgrid_amp /amplitude/us;
			sendgrid_amp_batch_events 1;
			sendgrid_amp_concurrency 2;
			client_max_body_size 0;
		}

		location = /amplitude/us {
			internal;
			proxy_pass $server/2/httpapi;
		}
	}

	server {
		listen 127.0.0.1:@{[ Gateway->port(4) ]} proxy_protocol;
		access_log $root/pp.log pp;
		log_subrequest on;
		real_ip_header proxy_protocol;

		location = /sendgrid {
			sendgrid_amp /amplitude/us;
			sendgrid_amp_batch_events 1;
			sendgrid_amp_concurrency 2;
		}

		location = /amplitude/us {
			internal;
			set_real_ip_from 0.0.0.0/0;
			proxy_pass $server/2/httpapi;
		}
	}
);

my $ngx = Gateway->new(amplitude => $amp, poison => 1, http => qq(
	sendgrid_amp_retry_delay 20ms;
	sendgrid_amp_dead_letter $root/dead;
	sendgrid_amp_zone figures:64k;

	log_format status '\$request_method \$uri \$status \$sendgrid_amp_received '
		'\$sendgrid_amp_forwarded \$sendgrid_amp_error';
	limit_req_zone \$server_port zone=slow:32k rate=3r/s;
	limit_req_zone \$server_port zone=full:32k rate=1r/m;
	proxy_cache_path $root/cache keys_zone=answers:64k;
	$real_http
), server => qq(
	access_log $root/access.log status;

	location = /status { sendgrid_amp_status json; access_log off; }

	location = /small {
		sendgrid_amp us;
		client_max_body_size 1k;
		error_page 413 = \@big;
	}

	location = /small/plain {
		sendgrid_amp us;
		client_max_body_size 1k;
		error_page 413 \@big;
	}

	location \@big { sendgrid_amp us; }

	location = /fb {
		proxy_pass http://127.0.0.1:$closed;
		proxy_request_buffering off;
		proxy_http_version 1.1;
		error_page 502 = \@direct;
	}

	location = /fb/200 {
		proxy_pass http://127.0.0.1:$closed;
		proxy_request_buffering off;
		proxy_http_version 1.1;
		error_page 502 =200 \@direct;
	}

	location = /buffered {
		proxy_pass http://127.0.0.1:$closed;
		error_page 502 = \@direct;
	}

	location = /buffered/200 {
		proxy_pass http://127.0.0.1:$closed;
		error_page 502 =200 \@down;
	}

	location = /mirrored {
		mirror /copy;
		sendgrid_amp us;
	}

	location = /copy { return 204; }

	location = /mirrored/file {
		mirror /copy;
		sendgrid_amp us;
		client_body_temp_path $root/none;
		client_body_in_file_only on;
	}

	location \@direct { sendgrid_amp us; }

	location \@down {
		sendgrid_amp us;
		sendgrid_amp_retries 0;
	}

	location = /serial {
		sendgrid_amp us;
		sendgrid_amp_batch_events 1;
		sendgrid_amp_concurrency 1;
		client_body_timeout 1s;
	}

	location = /pair {
		sendgrid_amp us;
		sendgrid_amp_batch_events 1;
		sendgrid_amp_concurrency 2;
	}

	location = /stalled {
		sendgrid_amp us;
		sendgrid_amp_batch_events 1;
		client_body_timeout 800ms;
	}

	location = /cached {
		sendgrid_amp /amplitude/cached;
		sendgrid_amp_batch_events 1;
		sendgrid_amp_concurrency 1;
	}

	location = /amplitude/cached {
		internal;
		proxy_pass $server/2/httpapi;
		proxy_cache answers;
		proxy_cache_methods POST;
		proxy_cache_key \$uri;
		proxy_cache_valid 200 1s;
		proxy_cache_use_stale updating;
		proxy_cache_background_update on;
	}

	location = /full { sendgrid_amp /amplitude/full; }

	location = /amplitude/full {
		internal;
		limit_req zone=full;
		limit_req_status 403;
		proxy_pass $server/2/httpapi;
	}

	location = /no/uri { sendgrid_amp /2/httpapi; }

	location = /2/httpapi {
		internal;
		proxy_pass $server;
	}

	location = /request/uri { sendgrid_amp /batch; }

	location = /batch {
		internal;
		proxy_pass $server\$request_uri;
	}

	location = /limited {
		sendgrid_amp /amplitude/limited;
		sendgrid_amp_batch_events 1;
		sendgrid_amp_concurrency 2;
	}

	location = /filtered {
		sendgrid_amp /amplitude/filtered;
		sendgrid_amp_batch_events 1;
	}

	location = /amplitude/filtered {
		internal;
		ssi on;
		ssi_types *;
		gzip on;
		gzip_types *;
		gzip_min_length 1;
		proxy_pass $server/2/httpapi;
	}

	location = /amplitude/limited {
		internal;
		limit_req zone=slow burst=10;
		proxy_pass $server/2/httpapi;
		proxy_buffering off;
	}
))->start();

# an answer that a cache has for the end of these tests

is(post($port, webhook(event(1)), uri => '/cached')->{status}, 200, 'cached');

my $cached = time();

# a body that somebody else has begun to read, or throws away

for my $uri ('/small', '/small/plain') {
	subtest("a body that nginx discards: $uri" => sub {
		my ($r, $log) = sent(webhook(events(100)), uri => $uri,
			cuts => [ 3000 ], pause => 0.3, keepalive => 1);

		is($r->{status}, 413, 'status');
		is($r->{json}{error}, 'too_large', 'error');
		like($log, qr/\[error\].*discards the body/, 'it is logged');
		is($r->{headers}{connection}, 'close', 'no keepalive');
	});
}

if ($http2) {
	subtest('a body that nginx discards: HTTP/2' => sub {
		my $body = webhook(events(10));
		my $from = length $ngx->log();
		my $c = Http2->new($port2, uri => '/small', length => length $body);

		$c->data($body, end => 1);

		my $r = $c->answer(Gateway::patience(5)) // {};

		is($r->{status}, 413, 'status');
		is($r->{json}{error}, 'too_large', 'error');
		like($ngx->log($from), qr/\[error\].*discards the body/,
			'it is logged');
	});
}

for my $case ([ 'in two pieces', cuts => [ 3000 ], pause => 0.3 ],
	[ 'in chunks', chunked => 2000, pause => 0.1 ],
	[ 'in one chunk', chunked => 100000 ])
{
	my ($name, %o) = @$case;

	subtest("a body that a proxy has read a part of: $name" => sub {
		my ($r, $log) = sent(webhook(events(100)), uri => '/fb', %o,
			keepalive => 1);

		is($r->{status}, 500, 'status');
		is($r->{json}{error}, 'internal', 'error');
		like($log, qr/\[error\].*has read a part of the body/, 'it is logged');
		is($r->{headers}{connection}, 'close', 'no keepalive');
		is(scalar $amp->requests(), 0, 'nothing is sent');
	});
}

subtest('an error_page that says 200' => sub {
	my ($r) = sent(webhook(events(100)), uri => '/fb/200', cuts => [ 3000 ],
		pause => 0.3);

	is($r->{status}, 500, 'a body that was read in part');

	$amp->clear();
	$amp->script({ status => 503, times => 0 });
	$r = post($port, webhook(event(1)), uri => '/buffered/200');

	is($r->{status}, 503, 'Amplitude is down');
});

for my $uri ('/buffered', '/mirrored') {
	for my $case ([ 'at once' ], [ 'in pieces', cuts => [ 3000, 9000 ],
			pause => 0.1 ], [ 'in chunks', chunked => 5000 ])
	{
		my ($name, %o) = @$case;

		subtest("a body that was read as a whole, $name: $uri" => sub {
			my ($r) = sent(webhook(events(100)), uri => $uri, %o);

			is($r->{status}, 200, 'status');
			is($r->{json}{forwarded}, 100, 'forwarded');
		});
	}
}

# a body that mirror reads, and that is at fault

for my $case ([ 'chunks that are none', 400, 'bad_request', '/mirrored',
		chunked => 1, "2\r\n[]\r\nzz\r\n\r\n" ],
	[ 'no file for it', 500, 'internal', '/mirrored/file', length => 2, '[]' ])
{
	my ($name, $status, $error, $uri, $how, $value, $body) = @$case;

	rmdir "$root/none";

	subtest("a body that mirror cannot read: $name" => sub {
		my $before = figure('webhooks');
		my $head = $how eq 'chunked'
			? Webhook::request_head(0, chunked => 1, uri => $uri)
			: Webhook::request_head($value, uri => $uri);
		my $r = post($port, '', raw => "$head$body");

		is($r->{status}, $status, 'status');
		is($r->{json}{error}, $error, 'error');
		is(figure('webhooks') - $before, 1, 'it is counted');
	});
}

if ($http2) {
	subtest('a body that mirror cannot read: HTTP/2, a wrong length' => sub {
		my $c = Http2->new($port2, uri => '/mirrored', length => 500);

		$c->data('[]', end => 1);

		my $r = $c->answer(Gateway::patience(5)) // {};

		is($r->{status}, 400, 'status');
		is($r->{json}{error}, 'bad_request', 'error');
	});
}

# what realip keeps in the pools of subrequests

for my $listen ($realip ? ($pp, Gateway->port(4)) : ()) {
	subtest("realip by PROXY protocol, port $listen" => sub {
		$amp->clear();
		$amp->script({ match => qr/event-1"/, delay => 0.05 },
			{ match => qr/event-2"/, delay => 0.4 },
			{ match => qr/event-3"/, delay => 0.1 });

		my $lines = written("$root/pp.log") =~ tr/\n//;
		my $body = webhook(events(6));
		my $r = post($listen, '', raw => "PROXY TCP4 203.0.113.7 192.0.2.1 "
			. "4711 80\r\n" . Webhook::request_head(length $body) . $body);

		is($r->{status}, 200, 'status');
		is($r->{json}{forwarded}, 6, 'forwarded');

		my @log;

		$ngx->wait_for(sub {
			@log = split /\n/, written("$root/pp.log");
			splice @log, 0, $lines;
			return @log == 7;
		});

		# realip of a location to Amplitude changes the one address that all
		# subrequests have

		is(scalar(grep { m!^/amplitude/us 203\.0\.113\.7 4711$! } @log), 6,
			'the address in the log of subrequests') if $listen == $pp;
		is(scalar(grep { $listen == $pp ? m!^/sendgrid 203\.0\.113\.7 4711$!
			: m!^/sendgrid 127\.0\.0\.1 ! } @log), 1,
			'the address in the log of the webhook');
	});
}

# ssi gives the webhook a context, in the memory of the first subrequest

subtest('filters in the location to Amplitude' => sub {
	for my $n (1, 10) {
		my ($r) = sent(webhook(events($n, "$n-")), uri => '/filtered');

		is($r->{status}, 200, "$n events: status");
		is($r->{json}{forwarded}, $n, "$n events: forwarded");
	}
});

# a subrequest of a subrequest lives in its pool, and longer

subtest('a cache is updated in the background' => sub {
	$amp->clear();
	$amp->script({ delay => 0.5 });

	# nginx counts whole seconds, and the answer is valid for one

	sleep 0.1 while time() < $cached + 2.1;

	my $r = post($port, webhook(events(30)), uri => '/cached');

	is($r->{status}, 200, 'status');
	is($r->{json}{batches}, 30, 'batches');

	# the update may be on its way still

	$ngx->wait_for(sub { scalar $amp->requests() });
	is_deeply([ map { $_->{events} } $amp->requests() ], [ 1 ],
		'one request, of the update');
});

# HTTP/2: frames that come while nobody reads

SKIP: {
	skip 'no HTTP/2', 1 if !$http2;

	subtest('HTTP/2: the rest of a body comes while we wait' => sub {
		my @events = events(3);

		$amp->clear();
		$amp->script({ delay => 2.5, times => 1 });

		my $c = Http2->new($port2, uri => '/serial');

		$c->data("[$events[0],$events[1],");
		$ngx->wait_for(sub { scalar $amp->requests() });
		$c->data("$events[2]]", end => 1);

		my $r = $c->answer(10) // {};

		is($r->{status}, 200, 'status');
		is($r->{json}{forwarded}, 3, 'forwarded');
	});

	subtest('HTTP/2: the rest comes in time after we have waited' => sub {
		my @events = events(3);

		$amp->clear();
		$amp->script({ delay => 1.5, times => 1 });

		my $c = Http2->new($port2, uri => '/serial');

		$c->data("[$events[0],$events[1],");
		sleep 0.8;
		$c->data(substr($events[2], 0, 50));
		sleep 1.4;
		$c->data(substr($events[2], 50) . ']', end => 1);

		my $r = $c->answer(10) // {};

		is($r->{status}, 200, 'status');
		is($r->{json}{forwarded}, 3, 'forwarded');
	});

	subtest('HTTP/2: a client that stalls is still timed out' => sub {
		my $start = time();
		my $c = Http2->new($port2, uri => '/serial');

		$c->data('[' . event(1));

		my $r = $c->answer(10) // {};

		is($r->{status}, undef, 'no answer');
		ok(defined $r->{reset}, 'the stream is reset');
		cmp_ok(time() - $start, '<', Gateway::patience(4), 'in time');
	});
}

# a sender that hangs up

for my $case ([ 'HTTP/1, closed' => 'close', 400 ],
	[ 'HTTP/1, reset' => 'reset', 400 ],
	$http2 ? ([ 'HTTP/2, reset while reading' => 'rst', 499 ],
		[ 'HTTP/2, reset while waiting' => 'rst_end', 499 ],
		[ 'HTTP/2, connection closed' => 'h2close', 499 ]) : ())
{
	my ($name, $how, $status) = @$case;

	subtest("a sender that hangs up: $name" => sub {
		my @events = events(2);
		my $from = written("$root/access.log") =~ tr/\n//;

		$amp->clear();
		$amp->script({ match => qr/event-1"/, delay => 0.5 },
			{ match => qr/event-2"/, delay => 1 });

		my $before = figure();

		if ($how eq 'close' || $how eq 'reset') {
			my $body = "[$events[0],$events[1],";
			post($port, "$body {", uri => '/pair', length => 1000000,
				cuts => [ length $body ], pause => 0.2, end => $how);

		} else {
			my $c = Http2->new($port2, uri => '/pair');

			$c->data("[$events[0],$events[1]" . ($how eq 'rst' ? ',' : ']'),
				end => $how ne 'rst');
			$ngx->wait_for(sub { scalar($amp->requests()) == 2 });
			$how eq 'h2close' ? $c->close() : $c->reset();
			$c->answer(0.1) if $how ne 'h2close';
		}

		my $line = $ngx->wait_for(sub {
			(split /\n/, written("$root/access.log"))[$from] }) // '';

		like($line, qr!^POST /pair (?:$status) 2 2 !, 'the log');
		is(keys %{ $amp->stored() }, 2, 'stored');
		is(figure() - $before, 2, 'both are counted as forwarded');
	});
}

if ($http2) {
	subtest('HTTP/2: a window update finds that the connection is lost' => sub {
		my ($worker) = $ngx->workers();
		my $from = written("$root/access.log") =~ tr/\n//;
		my $log = length $ngx->log();
		my @e = events(3);

		$amp->clear();
		$amp->script({ delay => 0.3, times => 0 });

		my $c = Http2->new($port2, uri => '/serial');

		# the answer to the first event waits when the connection is reset,
		# and is the first that the worker sees

		$c->data('[' . join(',', @e[0, 1]) . ',' . substr($e[2], 0, 300));
		$ngx->wait_for(sub { scalar $amp->requests() });
		kill STOP => $worker;
		$ngx->wait_for(sub { ($amp->requests())[0]{answered} });
		$c->close();
		sleep 0.1;
		kill CONT => $worker;

		my $line = $ngx->wait_for(sub {
			(split /\n/, written("$root/access.log"))[$from] }) // '';

		like($line, qr!^POST /serial (?:400|499) !, 'the log');
		unlike($ngx->log($log), qr/\[error\]/, 'no error');
	});
}

# the client's timer, which the start of each subrequest deletes

subtest('a client that stalls while a batch is sent again' => sub {
	my $body = '[' . event(1);
	my $from = written("$root/access.log") =~ tr/\n//;

	$amp->clear();
	$amp->script({ status => 503 }, { delay => 2.5 });

	# a retry is started by no event of the client's connection

	my $c = Webhook->new($port, '', raw => Webhook::request_head(
		1 + length $body, uri => '/stalled') . $body);

	push @{ $c->{todo} }, [ wait => 1.8 ], [ send => ']' ];

	my ($r) = Webhook::run($c);

	is($r->{closed}, 1, 'the connection is closed');
	is($r->{body}, '', 'without an answer');
	is(keys %{ $amp->stored() }, 1, 'the batch is delivered');

	my $line = $ngx->wait_for(sub {
		(split /\n/, written("$root/access.log"))[$from] }) // '';

	like($line, qr!^POST /stalled 408 1 1 timed_out$!, 'the log');
});

# how the location to Amplitude makes a path

for my $case ([ 'proxy_pass without a URI', '/no/uri', '/2/httpapi' ],
	[ '$request_uri', '/request/uri', '/batch' ])
{
	my ($name, $uri, $path) = @$case;

	subtest($name => sub {
		my ($r) = sent(webhook(event(1)), uri => "$uri?a=b");

		is($r->{status}, 200, 'status');
		is(join(' ', map { $_->{uri} } $amp->requests()), $path, 'path');
	});
}

# a limit in the location to Amplitude

subtest('limit_req refuses a batch: no answer of Amplitude' => sub {
	my ($r) = sent(webhook(event(1)), uri => '/full');

	is($r->{status}, 200, 'the first one is in time');

	($r, my $log) = sent(webhook(event(2)), uri => '/full');

	is_deeply($r->{json}, { received => 1, forwarded => 1, ignored => 0,
		rejected => 0, batches => 1 }, 'the second one is sent again');
	like($log, qr!\[error\].*"/amplitude/full" answers 403 and passes nothing!,
		'it is logged');
});

subtest('limit_req delays one of two batches' => sub {
	for my $round (1 .. 3) {
		$amp->clear();
		$amp->script({ every => 120, pause => 0.1, times => 0 });

		my $r = post($port, webhook(events(2, "$round-")),
			uri => '/limited', timeout => 15);

		is($r->{status}, 200, "round $round");
	}
});

$ngx->done(qr/none.* failed \(2:/);

is_deeply([ $amp->violations() ], [], 'requests keep the contract');

done_testing();

###############################################################################

sub sent {
	my ($body, %o) = @_;
	my $from = length $ngx->log();

	$amp->clear();
	$amp->script({ times => 0 });

	my $r = post($port, $body, %o);

	return ($r, $ngx->log($from));
}


# by the status: events forwarded, or webhooks answered

sub figure {
	my ($what) = @_;
	my $figures = figures($port, '/status');

	return sum(($what // '') eq 'webhooks'
		? values %{ $figures->{webhooks_total} }
		: map { $_->{forwarded} } values %{ $figures->{events_total} });
}
