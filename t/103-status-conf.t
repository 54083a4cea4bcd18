#!/usr/bin/perl

# The status location and the zone: where they may stand, what is asked of them,
# and what nginx says to a wrong configuration of them.

use warnings;
use strict;

use Test::More;

use POSIX ();

use Amplitude;
use Directives;
use Gateway;
use Metrics;
use Webhook;

my $amp = Amplitude->new();
my $good = webhook(events(3));
my $zone = 'sendgrid_amp_zone figures:64k;';

my $ngx = Gateway->new(amplitude => $amp, http => $zone, server => '
	location = /status { sendgrid_amp_status; }
	location = /json { sendgrid_amp_status json; }
')->start();

subtest('Accept behind others' => sub {
	for my $n (18 .. 25) {
		my $r = get($ngx->port(), '/status', headers => [ (map { "X-$_: $_" } 1 .. $n),
			'Accept: application/json' ]);

		is($r->{headers}{'content-type'}, 'application/json', "behind $n");
	}
});

subtest('methods' => sub {
	for (qw(POST PUT DELETE OPTIONS PATCH)) {
		my $r = post($ngx->port(), 'body', method => $_, uri => '/status',
			key => undef);

		is($r->{status}, 405, $_);
		is($r->{headers}{allow}, 'GET, HEAD', 'what is allowed');
		is($r->{headers}{'cache-control'}, 'no-store', 'is not kept');
	}

	is(post($ngx->port(), 'body', method => 'GET', uri => '/json',
		key => undef)->{status}, 200, 'GET with a body');

	my $client = Webhook->new($ngx->port(), 'body', method => 'GET', uri => '/json',
		key => undef, keepalive => 1);

	Webhook::run($client);
	is(post($ngx->port(), '[]', after => $client)->{status}, 200,
		'the body is not the next request');
});

$ngx->done();

subtest('without a zone' => sub {
	my $ngx = Gateway->new(amplitude => $amp)->start();

	is(post($ngx->port(), $good)->{status}, 200, 'webhook');
	is(post($ngx->port(), 'x')->{status}, 400, 'not JSON');
	is(post($ngx->port(), webhook(5))->{json}{rejected}, 1, 'rejected');

	$ngx->done();
});

subtest('one process' => sub {
	my $ngx = Gateway->new(amplitude => $amp, http => $zone,
		main => 'master_process off;',
		server => 'location = /status { sendgrid_amp_status; }')->start();
	my $before = metrics($ngx->port());

	is(post($ngx->port(), $good)->{status}, 200, 'webhook');
	is(changed($before, metrics($ngx->port()))
		->{'events_total{event="open",result="forwarded"}'}, 3, 'counted');
	is(metrics($ngx->port())->{sendgrid_amp_webhooks_in_flight}, 0,
		'none in flight');

	$ngx->done();
});

subtest('parts of a location' => sub {
	my $ngx = Gateway->new(amplitude => $amp, http => $zone, server => '
		location = /status {
			sendgrid_amp_status json;

			if ($arg_x) {
				set $y 1;
			}

			limit_except GET {
				deny all;
			}
		}

		location = /allowed {
			sendgrid_amp_status;

			limit_except GET {
				allow all;
			}
		}
	')->start();

	is(figures($ngx->port(), '/status')->{retries_total}, 0, 'location');
	is(figures($ngx->port(), '/status?x=1')->{retries_total}, 0, 'if');
	is(post($ngx->port(), '', uri => '/status')->{status}, 403,
		'limit_except');
	is(post($ngx->port(), '', uri => '/allowed')->{headers}{allow},
		'GET, HEAD', 'limit_except that allows');

	$ngx->done();
});

subtest('configuration' => sub {
	my $status = 'location = /status { sendgrid_amp_status; }';
	my $page = POSIX::sysconf(&POSIX::_SC_PAGESIZE);

	for ([ 'fine', $zone, $status, undef ],
		[ 'smallest', 'sendgrid_amp_zone z:' . 8 * $page . ';', $status, undef ],
		[ 'without a zone', '', $status,
			'"sendgrid_amp_status" in location "/status" requires '
			. '"sendgrid_amp_zone"' ],
		[ 'two zones', "$zone sendgrid_amp_zone other:64k;", '',
			'"sendgrid_amp_zone" directive is duplicate' ],
		[ 'no size', 'sendgrid_amp_zone figures;', '',
			'invalid zone "figures" in "sendgrid_amp_zone" directive, it '
			. 'must be "name:size"' ],
		[ 'no name', 'sendgrid_amp_zone :64k;', '',
			'invalid zone ":64k" in "sendgrid_amp_zone" directive, it must be '
			. '"name:size"' ],
		[ 'wrong size', 'sendgrid_amp_zone figures:big;', '',
			'invalid zone size "big" in "sendgrid_amp_zone" directive' ],
		[ 'empty size', 'sendgrid_amp_zone figures:;', '',
			'invalid zone size "" in "sendgrid_amp_zone" directive' ],
		[ 'a byte less', 'sendgrid_amp_zone figures:' . (8 * $page - 1) . ';', '',
			'zone "figures" in "sendgrid_amp_zone" directive is too small, '
			. 'it must have at least ' . 8 * $page / 1024 . 'k' ],
		[ 'small', 'sendgrid_amp_zone figures:8k;', '',
			'zone "figures" in "sendgrid_amp_zone" directive is too small, '
			. 'it must have at least ' . 8 * $page / 1024 . 'k' ],
		[ 'taken', 'limit_req_zone $remote_addr zone=figures:1m rate=1r/s;'
			. $zone, '', 'the shared memory zone "figures" is already declared '
			. 'for a different use' ],
		[ 'server', '', $zone,
			'"sendgrid_amp_zone" directive is not allowed here' ],
		[ 'format', $zone, 'location /s { sendgrid_amp_status xml; }',
			'invalid value "xml" in "sendgrid_amp_status" directive, it must '
			. 'be "html", "json" or "prometheus"' ],
		[ 'twice', $zone, 'location /s { sendgrid_amp_status;
			sendgrid_amp_status json; }',
			'"sendgrid_amp_status" directive is duplicate' ],
		[ 'both', $zone, 'location /s { sendgrid_amp_status;
			sendgrid_amp us; }', '"sendgrid_amp" cannot share location "/s" '
			. 'with another directive that answers requests, such as '
			. '"proxy_pass": give each a location of its own' ],
		[ 'http', "$zone sendgrid_amp_status;", '',
			'"sendgrid_amp_status" directive is not allowed here' ])
	{
		my ($name, $http, $server, $want) = @$_;

		says([ amplitude => $amp, http => $http, server => $server ],
			$want ? [ 1, "[emerg] $want" ] : [ 0 ], $name);
	}
});

done_testing();
