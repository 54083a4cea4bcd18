#!/usr/bin/perl

# Jobs of SendGrid's, which a worker asks for by requests without a client: what
# becomes of them when SendGrid fails, when the worker ends, when there is no
# memory, and when other modules have a say.

use warnings;
use strict;

use Test::More;

use FindBin;

use lib "$FindBin::Bin/lib";

use Cohort;
use Faults;
use Gateway;
use Metrics;
use Util qw(active written);

use constant {
	WINDOW => 0.2,	# seconds
	SLICE => 7,	# calls that fail in turn, at most
	WAIT => 8,
};

my $job = qr{^GET .*/imports/};
my $root = Gateway::root();
my $key = Contacts::KEY;
my $secret = Cohort::SECRET;
my $faults = Faults->new();
my $users = 0;

my $cohort = Cohort->new(window => WINDOW, http => http(), server => server(),
	main => 'worker_shutdown_timeout 1s;',
	Faults::missing() ? () : (env => { $faults->env() }))->start();
my ($sg, $ngx) = ($cohort->sg(), $cohort->ngx());

subtest('a job is asked for' => sub {
	my $before = metrics($ngx->port());

	is(enter(2), 200, 'accepted');
	ok(counted_as($before, applied => 2), 'applied');
	is(idle(), 1, 'no connection is left');
});

subtest('other modules' => sub {
	my $before = metrics($ngx->port());

	is(enter(1, '-limited'), 200, 'accepted') for 1 .. 3;
	ok(counted_as($before, applied => 3), 'applied');
	is(idle(), 1, 'no connection is left');

	my $lines = () = written("$root/calls.log")
		=~ m!^/v3/marketing/contacts/imports/\S+ unix: !mg;

	cmp_ok($lines, '>=', 3, 'subrequests are logged, if nginx is told to');
	is_deeply([ $sg->violations() ], [], 'no violation');
});

subtest('SendGrid fails' => sub {
	for my $step ({ stall => 1 }, { reset => 'early' }, { reset => 'after' },
		{ cut => 10 }, { status => 503 }, { status => 200, body => 'x' },
		{ status => 200, body => '[]' }, { status => 301 })
	{
		my $before = metrics($ngx->port());
		my $asked = asked();

		$sg->script({ %$step, line => $job });
		is(enter(1), 200, 'accepted');
		ok($ngx->wait_for(sub { asked() > $asked }), 'asked for');
		ok(counted_as($before, applied => 1), "applied after @{[%$step]}");
	}

	is(idle(), 1, 'no connection is left');
});

subtest('SendGrid does not know the job' => sub {
	for my $status (400, 401, 403, 404) {
		my $before = metrics($ngx->port());

		$sg->script({ status => $status, line => $job });
		is(enter(1), 200, 'accepted');
		ok(counted_as($before, unknown => 1), "unknown after $status");
	}
});

SKIP: {
	if (my $why = Faults::missing()) {
		skip($why, 1);
	}

	subtest('no memory' => \&no_memory);
}

# nginx's number of connections is wrong after TERM

subtest('the worker is told to end' => sub {
	for my $signal (qw(TERM QUIT)) {
		my $before = metrics($ngx->port());
		my ($worker) = $ngx->workers();
		my $asked = asked();

		$sg->script({ line => $job, stall => 1, times => 0 });
		is(enter(4), 200, 'accepted');
		ok($ngx->wait_for(sub { asked() > $asked }), 'asked for');
		is(enter(3), 200, 'another message, whose job waits');

		kill $signal => $worker;

		ok($ngx->wait_for(sub {
			my ($now) = $ngx->workers();
			return defined $now && $now != $worker;
		}, WAIT), "$signal: another worker");

		$sg->script();
		ok(counted_as($before, unknown => 7), 'all are unknown');
	}
});

subtest('a reload' => sub {
	my $before = metrics($ngx->port());
	my $asked = asked();

	$sg->script({ line => $job, delay => 0.3 });
	is(enter(4), 200, 'accepted');
	ok($ngx->wait_for(sub { asked() > $asked }), 'asked for');
	is(enter(3), 200, 'another message, whose job waits');
	ok($ngx->reload(), 'reload');

	# the old worker ends later, and may be told in time

	ok($ngx->wait_for(sub {
		my $n = results($before);
		return ($n->{applied} // 0) + ($n->{unknown} // 0) == 7;
	}), 'all are counted');
});

$ngx->done(qr/\(.*\) .*failed|no memory/);
done_testing();

###############################################################################

sub no_memory {
	my ($worker) = $ngx->workers();
	my ($total, @bad) = (0);

	for my $call (qw(posix_memalign malloc socket connect epoll_ctl writev
		recv ioctl))
	{
		for my $nth (1 .. SLICE) {
			my $before = metrics($ngx->port());
			my $asked = asked();

			if (enter(1) != 200) {
				push @bad, "$call $nth: not accepted";
			}

			$faults->arm($call, $nth);

			$ngx->wait_for(sub { asked() > $asked }, 2 * WINDOW);

			my (undef, $hits) = $faults->disarm();

			if (!counted_as($before, applied => 1)) {
				push @bad, "$call $nth: not applied";
			}

			if (($ngx->workers())[0] != $worker) {
				push @bad, "$call $nth: another worker";
				($worker) = $ngx->workers();
			}

			$total += $hits;

			last if !$hits || @bad > 5;
		}
	}

	is(join("\n", @bad), '', 'applied, and the worker lives');
	cmp_ok($total, '>', 10, 'calls have failed');
	is(idle(), 1, 'no connection is left');
}


sub enter {
	my ($n, $path) = @_;
	my @users = map { 'u' . ++$users . '@a.example' } 1 .. $n;

	# no connection of the client is left

	$cohort->{http} = HTTP::Tiny->new(agent => 'Amplitude', keep_alive => 0);

	return $cohort->post($path // '', $cohort->message(enter => \@users))
		->{status};
}


sub asked {
	return scalar grep { $_->{uri} =~ m!/imports/! } $sg->requests();
}


# how many contacts have which result since then

sub results {
	my ($before) = @_;
	my $after = eval { metrics($ngx->port()) } or return {};
	my %n;

	for (keys %$after) {
		if (/contacts_total\{operation="add",result="(.*)"\}/) {
			$n{$1} = $after->{$_} - $before->{$_};
		}
	}

	return \%n;
}


# whether so many contacts have these results, in a while

sub counted_as {
	my ($before, %n) = @_;

	return $ngx->wait_for(sub {
		my $results = results($before);

		return !grep { ($results->{$_} // 0) != $n{$_} } keys %n;
	}, WAIT);
}


# connections that nginx has at last, the one of the question included

sub idle {
	my $left;

	$ngx->wait_for(sub {
		return ($left = active($ngx)) == 1;
	});

	return $left;
}


sub http {
	return <<'EOC';
	limit_req_zone $server_name zone=one:64k rate=4r/s;
	limit_conn_zone $binary_remote_addr zone=two:64k;
	geo $geo { default 0; 127.0.0.1 1; }
	log_format call "$uri $remote_addr $binary_remote_addr $remote_port "
		"$server_addr $server_port $request $host $scheme $status $geo "
		"$connection $connection_requests $request_time $bytes_sent $pipe "
		"$request_length $http_x $limit_rate $proxy_protocol_addr $args "
		"$tcpinfo_rtt $request_id $realip_remote_addr $body_bytes_sent";
EOC
}


sub server {
	return <<"EOC";
	location = /stub { stub_status; }

	location /cohorts-limited {
		sendgrid_amp_cohorts /limited;
		sendgrid_amp_cohort_secret $secret;
		sendgrid_amp_marketing_key $key;
		sendgrid_amp_apply_window 200ms;
		post_action /nobody;
		error_page 500 502 /nobody;
	}

	location /limited/ {
		internal;
		limit_req zone=one burst=20;
		limit_conn two 20;
		allow 127.0.0.1;
		deny all;
		set_real_ip_from unix:;
		real_ip_header X-Real-IP;
		auth_request /nobody;
		mirror /nobody;
		log_subrequest on;
		access_log $root/calls.log call;
		set \$peer sendgrid;
		rewrite ^/limited(/.*) \$1 break;
		proxy_pass http://\$peer;
		proxy_http_version 1.1;
		proxy_pass_request_headers off;
		proxy_set_header Host api.sendgrid.com;
		proxy_set_header Authorization "Bearer \$sendgrid_amp_marketing_key";
		proxy_set_header Accept application/json;
		proxy_set_header Content-Type \$content_type;
		proxy_set_header Connection "";
		proxy_store $root/store;
		error_page 503 /nobody;
		post_action /nobody;
	}

	location = /nobody { internal; return 444; }
EOC
}
