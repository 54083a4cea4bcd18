#!/usr/bin/perl

# A second flow, of t/flow, proves the seams: elements in a member of an object
# that comes before the members that explain them, PUT and DELETE with arguments
# and without a body, two steps for a part.

use warnings;
use strict;

use Test::More;

use FindBin;

use lib "$FindBin::Bin/lib";

use Gateway;
use Metrics;
use Sign;
use Util qw(lines);
use Webhook qw(post);

my $ngx = Gateway->new();
my ($port, $peer, $sink, $refusing) = map { $ngx->port($_) } 0, 2, 3, 4;
my $root = $ngx->root();
my $key = Sign->new();

$ngx->{conf} = conf();
$ngx->start();

my $before = metrics($port);

# members before and after the users

for my $body ('{"users":[{"u":1},"two"],"list":"a"}',
	'{"list":"a","users":[{"u":1},"two"]}',
	'{"x":[{"users":[0]}],"users":[{"u":1}],"list":"a","users":["two"]}')
{
	my $got = send_to($body);

	is($got->{status}, 200, "$body: status");
	is($got->{body}, '{"received":2,"sent":2,"calls":2}' . "\n", 'answer');
	is_deeply([ calls() ], [
		'PUT /peer?list="a" 28 application/json <{"contacts":[{"u":1},"two"]}>',
		'DELETE /peer?from="a" - - <->',
	], 'a request with a body, then one without');
}

# nothing is sent before the message is whole

is(send_to('{"users":[1,2]}')->{status}, 400, 'no list: 400');
is(send_to('{"users":[1,2],"list":"a"')->{status}, 400, 'cut short: 400');
is_deeply([ calls() ], [], 'nothing was sent');

# signatures are SendGrid's, and this flow does not ask for them

is(post($port, '{"users":[1],"list":"a"}', uri => '/keys')->{status}, 200,
	'no signature is needed where a key is inherited');
is(post($port, '{"users":[1],"list":"a"}', uri => '/report')->{status}, 200,
	'nor reported');
unlike($ngx->log(), qr/signature/, 'nothing is said of signatures');
calls();

# batches: each has its own steps

is(send_to('{"users":[' . join(',', 1 .. 150) . '],"list":"b"}')->{body},
	'{"received":150,"sent":150,"calls":4}' . "\n", 'two batches');
is_deeply([ sort map { s/ \d+ .*//sr } calls() ],
	[ ('DELETE /peer?from="b" - - <->') x 2, ('PUT /peer?list="b"') x 2 ],
	'each is sent in two steps');

# halves begin with the step of the whole

is(send_to('{"users":["xxxxxxxx","yyyyyyyy"],"list":"small"}')->{body},
	'{"received":2,"sent":2,"calls":5}' . "\n", 'two halves');
is_deeply([ map { s/ application\S+//r } calls() ], [
	'PUT /peer?list="small" 36 <{"contacts":["xxxxxxxx","yyyyyyyy"]}>',
	'PUT /peer?list="small" 25 <{"contacts":["xxxxxxxx"]}>',
	'DELETE /peer?from="small" - - <->',
	'PUT /peer?list="small" 25 <{"contacts":["yyyyyyyy"]}>',
	'DELETE /peer?from="small" - - <->',
], 'the first half with its steps, then the second');

is(send_to('{"users":["x"],"list":"late"}')->{status}, 200, 'a step that is done');
calls();

is(send_to('{"users":["xxxxxxxx","yyyyyyyy"],"list":"late"}')->{body},
	'{"received":2,"sent":2,"calls":4}' . "\n", 'halves in the second step');
is_deeply([ map { s/ .*list| .*from//r =~ s/ application\S+//r } calls() ], [
	'PUT="late" 36 <{"contacts":["xxxxxxxx","yyyyyyyy"]}>',
	'DELETE="late" - - <->',
	'DELETE="late" - - <->',
	'DELETE="late" - - <->',
], 'are not sent with PUT again');

# a step is retried, and the steps before it are not

my $got = send_to('{"users":["x"],"list":"flaky"}');

is($got->{status}, 503, 'the second step fails: 503');
is($got->{body}, '{"received":1,"sent":0,"calls":2,"error":"unavailable"}' . "\n",
	'answer');
is_deeply([ map { (split ' ')[0] } calls() ],
	[ qw(PUT DELETE DELETE DELETE) ], 'only the second step is retried');

# the rest of the house serves this flow, too

like($ngx->log(), qr/1 users were not delivered .* peer is unavailable/,
	'its words in the log');
unlike($ngx->log(), qr/amplitude|sendgrid events/i, 'no words of another flow');

is(send_to('{"users":["' . 'x' x 3000 . '"],"list":"a"}')->{status}, 413,
	'a user that is too large');
like($ngx->log(), qr/client sent a user that is too large, at byte/,
	'with a line in the log');

# the figures of events are those of another flow, also after a redirect that
# leaves the location before there is anything but its request

is(post($port, 'x' x 2000, uri => '/small')->{status}, 413, 'a redirect');

counted($ngx, $before, {
	'cohort_messages_total{status="200"}' => 9,
	'cohort_messages_total{status="400"}' => 2,
	'cohort_messages_total{status="413"}' => 2,
	'cohort_messages_total{status="503"}' => 1,
	cohort_duration_seconds_count => 14,
}, 'no figures of events');
like(get($port, '/status')->{body}, qr/<div id="cohorts">/, 'shown on the page');

$ngx->done();
done_testing();

###############################################################################

sub send_to {
	my ($body) = @_;
	return post($port, $body);
}


# the requests since the last call

sub calls {
	my $name = "$root/calls.log";

	my @lines = map { s/\n\z//r } lines($name);

	truncate($name, 0) or die "$name: $!";

	return @lines;
}


sub conf {
	my $user = $> == 0 ? 'user root;' : '';
	my $modules = Gateway::load_modules();
	my $flow = "$FindBin::Bin/../build/flow.so";

	# a module that is built in has this flow built in, too

	$modules .= "load_module $flow;\n" if $modules;

	return <<"EOC";
$modules$user
pid $root/nginx.pid;
error_log $root/error.log info;

events {
}

http {
	access_log off;
	sendgrid_amp_zone figures:64k;
	@{[ Gateway::temp_paths() ]}

	log_format calls escape=none '\$request_method \$request_uri '
		'\$calls_length \$calls_type <\$calls_body>';

	map \$content_length \$calls_length { '' -; default \$content_length; }
	map \$content_type \$calls_type { '' -; default \$content_type; }
	map \$request_body \$calls_body { '' -; default \$request_body; }

	map "\$request_method \$arg_list\$arg_from \$content_length" \$refused {
		'PUT "small" 36'	400;
		default			0;
	}

	map "\$request_method \$arg_from" \$failed {
		'DELETE "flaky"'	1;
		default			0;
	}

	# the second of three in turn is refused

	upstream late {
		server 127.0.0.1:$refusing;
		server 127.0.0.1:$sink weight=2;
	}

	map \$arg_from \$to {
		'"late"'	late;
		default		127.0.0.1:$sink;
	}

	server {
		listen 127.0.0.1:$port;

		location = /events { sendgrid_amp us; }

		location = /sendgrid {
			sendgrid_amp /peer;
			sendgrid_amp_test_flow;
			sendgrid_amp_concurrency 1;
			sendgrid_amp_retries 2;
			sendgrid_amp_retry_delay 10ms;
			sendgrid_amp_max_event_size 2k;
		}

		location = /status { sendgrid_amp_status; }

		location = /small {
			sendgrid_amp /peer;
			sendgrid_amp_test_flow;
			client_max_body_size 1k;
			error_page 413 /elsewhere;
		}

		location = /elsewhere { return 204; }

		location = /keys {
			sendgrid_amp /peer;
			sendgrid_amp_test_flow;
			sendgrid_amp_public_key "@{[ $key->base64() ]}";
		}

		location = /report {
			sendgrid_amp /peer;
			sendgrid_amp_test_flow;
			sendgrid_amp_public_key "@{[ $key->base64() ]}";
			sendgrid_amp_signature report;
		}

		location = /peer {
			internal;
			proxy_pass http://127.0.0.1:$peer/peer;
		}
	}

	server {
		listen 127.0.0.1:$peer;
		access_log $root/calls.log calls;

		location / {
			proxy_pass http://\$to;
		}
	}

	server {
		listen 127.0.0.1:$refusing;
		keepalive_timeout 0;
		return 400;
	}

	server {
		listen 127.0.0.1:$sink;
		keepalive_timeout 0;

		location / {
			if (\$refused) {
				return 400;
			}

			if (\$failed) {
				return 503;
			}

			return 202;
		}
	}
}
EOC
}
