#!/usr/bin/perl

# Messages with many users: how much memory they take, and how many requests.

use warnings;
use strict;

use Test::More;

use FindBin;
use JSON::PP ();

use lib "$FindBin::Bin/lib";

use Gateway;
use Util qw(lines);
use Webhook ();

if (Gateway::sanitized() || $ENV{TEST_NGINX_USE_VALGRIND}) {
	plan(skip_all => 'memory of sanitizers');
}

use constant {
	USERS => 100000,
	LIST => '507e6937-484f-41c5-8e45-6b296ca50001',
	MAX_PUT => 5.5 * 1024 * 1024,
};

my $log = Gateway->root() . '/puts.log';
my $port = Gateway->port(3);
my $list = LIST;

# nginx is SendGrid, as a stand-in would be too slow: it takes all

my $ngx = Gateway->new(http => "
	sendgrid_amp_cohort_zone cohorts:4m;
	log_format puts '\$request_method \$request_length';

	server {
		listen 127.0.0.1:$port;
		client_max_body_size 0;
		default_type application/json;

		location / {
			access_log $log puts;
			rewrite ^ /answer break;
			proxy_pass http://127.0.0.1:$port;
			proxy_http_version 1.1;
			proxy_request_buffering off;
		}

		location = /answer {
			return 202 '{\"job_id\":\"job\"}';
		}
	}
", server => "
	location /cohorts {
		sendgrid_amp_cohorts /sendgrid/test;
		sendgrid_amp_cohort_secret secret;
		sendgrid_amp_marketing_key key;
		sendgrid_amp_list_id $list;
		client_max_body_size 30m;

		location = /cohorts/batch {
			sendgrid_amp_cohorts /sendgrid/test;
			sendgrid_amp_contact_batch 30000;
			rewrite ^ /cohorts break;
		}
	}

	location /sendgrid/test/ {
		internal;
		proxy_pass http://127.0.0.1:$port/;
		proxy_pass_request_headers off;
		proxy_buffering off;
	}
")->start();

my $small = post(message(1000));

is($small->{status}, 200, '1000 users');
is_deeply($small->{json}, { received => 1000, added => 1000, removed => 0,
	skipped => 0, calls => 1 }, 'one request');
ok(Gateway->wait_for(sub { lines($log) == 1 }), 'SendGrid has had one');

my $large = message(USERS);

cmp_ok(length $large, '>', 18 * 1024 * 1024, 'a message of 18 MB');

for ([ 5000, '/cohorts' ], [ 30000, '/cohorts/batch' ]) {
	my ($batch, $uri) = @$_;

	subtest("$batch contacts a request" => sub {
		my $before = $ngx->worker_status('VmHWM');
		my $had = lines($log);
		my $answer = post($large, $uri);
		my $grown = $ngx->worker_status('VmHWM') - $before;
		my $n = int((USERS + $batch - 1) / $batch);

		# a request is logged after its answer

		ok(Gateway->wait_for(sub { lines($log) == $had + $n }), 'requests');

		my @sizes = map { (split)[1] } (lines($log))[$had .. $had + $n - 1];

		is($answer->{status}, 200, 'answer');
		is($answer->{json}{added}, USERS, 'added');
		is_deeply([ grep { $_ > MAX_PUT } @sizes ], [], 'sizes');
		cmp_ok($grown, '<', 30 * 1024, 'memory, kB');
		note("grown by $grown kB");
	});
}

$ngx->done();
done_testing();


sub message {
	my ($n) = @_;

	return JSON::PP::encode_json({ cohort_id => '7khm89cz', cohort_name => 'Many',
		in_cohort => JSON::PP::true, users => [ map { { user_id => "user-$_",
		user_properties => { email => "somebody.with.a.name$_\@example$_.com",
		first_name => "First$_", last_name => "Lastname$_",
		plan => 'x' x 40 } } } 1 .. $n ] });
}


sub post {
	my ($body, $uri) = @_;

	return Webhook::post($ngx->port(), $body, uri => $uri // '/cohorts',
		key => undef, headers => [ 'Authorization: Bearer secret' ],
		timeout => 120);
}
