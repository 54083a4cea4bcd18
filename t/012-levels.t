#!/usr/bin/perl

# What the values of directives do, and their inheritance: where requests, their
# number, their size and their times tell.  What nginx says: t/010-conf.t.

use warnings;
use strict;

use Test::More;

use Amplitude;
use Gateway;
use Webhook;

# inheritance: A of http is in effect in the first server, B of the second
# server in its first location, C in its second

my @levels = (
	[ 'sendgrid_amp_secret a1 a2;', 'sendgrid_amp_secret b1;',
		'sendgrid_amp_secret c1;' ],
	[ 'sendgrid_amp_api_key ka;', 'sendgrid_amp_api_key kb;',
		'sendgrid_amp_api_key $arg_k;' ],
	[ 'sendgrid_amp_user_id ida;', 'sendgrid_amp_user_id none idb;',
		'sendgrid_amp_user_id email;' ],
	[ 'sendgrid_amp_lowercase off;', 'sendgrid_amp_lowercase off;',
		'sendgrid_amp_lowercase on;' ],
	[ 'sendgrid_amp_event_prefix "A ";', 'sendgrid_amp_event_prefix "B ";',
		'sendgrid_amp_event_prefix "";' ],
	[ 'sendgrid_amp_batch_events 1;', 'sendgrid_amp_batch_events 2;',
		'sendgrid_amp_batch_events 3;' ],
	[ 'sendgrid_amp_concurrency 1;', 'sendgrid_amp_concurrency 2;',
		'sendgrid_amp_concurrency 3;' ],
	[ 'sendgrid_amp_max_event_size 1k;', 'sendgrid_amp_max_event_size 2k;',
		'sendgrid_amp_max_event_size 3k;' ],
	[ 'sendgrid_amp_retries 0;', 'sendgrid_amp_retries 1;',
		'sendgrid_amp_retries 3;' ],
	[ 'sendgrid_amp_retry_delay 10ms;', 'sendgrid_amp_retry_delay 400ms;',
		'sendgrid_amp_retry_delay 20ms;' ],
	[ 'sendgrid_amp_timeout 10s;', 'sendgrid_amp_timeout 20s;',
		'sendgrid_amp_timeout 30s;' ],
);

my $amp = Amplitude->new();
my $root = Gateway::root();

my $ngx = levels(@levels)->start();

my %where = (
	a => [ $ngx->port(), '/sendgrid' ],
	b => [ $ngx->port(2), '/b' ],
	c => [ $ngx->port(2), '/c?k=kc' ],
);

my %expect = (
	a => { key => 'ka', user => 'a%d', name => 'A open', batches => 12,
		in_flight => 1, secrets => 'a1 a2', size => 1024,
		tries => 1, delay => 0 },
	b => { key => 'kb', user => 'b%d', name => 'B open', batches => 6,
		in_flight => 2, secrets => 'b1', size => 2048,
		tries => 2, delay => 0.2 },
	c => { key => 'kc', user => 'u%d@x.com', name => 'open', batches => 4,
		in_flight => 3, secrets => 'c1', size => 3072,
		tries => 4, delay => 0.01 },
);

for my $level (sort keys %where) {
	my ($port, $uri) = @{ $where{$level} };
	my $expect = $expect{$level};

	$amp->clear();
	$amp->script({ delay => 0.1 * $expect->{in_flight}, times => 0 });

	my $r = post($port, webhook(map { event($_, email => qq("U$_\@x.com"),
		ida => qq("a$_"), idb => qq("b$_")) } 1 .. 12), uri => $uri,
		secret => (split ' ', $expect->{secrets})[-1]);

	is($r->{status}, 200, "$level: answer") or diag($r->{body});

	my @requests = $amp->requests();
	my @events = map { $_->{body} =~ /"user_id":"([^"]*)"/g } @requests;

	is(join(' ', sort @events), join(' ', sort map { sprintf $expect->{user},
		$_ } 1 .. 12), "$level: user_id");
	is(scalar @requests, $expect->{batches}, "$level: batch_events");
	is($amp->max_in_flight(), $expect->{in_flight}, "$level: concurrency");

	is_deeply([ uniq(map { $_->{body} =~ /"event_type":"([^"]*)"/g }
		@requests) ], [ $expect->{name} ], "$level: event_prefix");
	is_deeply([ uniq(map { $_->{body} =~ /"api_key":"([^"]*)"/g } @requests) ],
		[ $expect->{key} ], "$level: api_key");

	my @accepted = grep { post($port, '[]', uri => $uri, secret => $_)->{status}
		== 200 } qw(a1 a2 b1 c1), SECRET;

	is("@accepted", $expect->{secrets}, "$level: secret");

	$amp->clear();
	$amp->script({ status => 503, times => 0 });
	post($port, webhook(event(1, email => '"u@x.com"', ida => '"a1"',
		idb => '"b1"')), uri => $uri,
		secret => (split ' ', $expect->{secrets})[0]);

	my @times = map { $_->{time} } $amp->requests();

	is(scalar @times, $expect->{tries}, "$level: retries");
	cmp_ok($times[1] - $times[0], '>=', $expect->{delay} - 0.005,
		"$level: retry_delay") if @times > 1;
	$amp->clear();

	my $size = length event(1, email => '"u@x.com"', ida => '"a1"',
		idb => '"b1"', pad => '""');

	for my $more (0, 1) {
		my $pad = 'x' x ($expect->{size} - $size + $more);
		my $body = webhook(event(1, email => '"u@x.com"', ida => '"a1"',
			idb => '"b1"', pad => qq("$pad")));

		is(post($port, $body, uri => $uri,
			secret => (split ' ', $expect->{secrets})[0])->{status},
			$more ? 413 : 200, "$level: max_event_size + $more");
	}
}

is_deeply([ $amp->violations() ], [], 'the contract is kept');

$ngx->done();

# batch_size, which needs large batches, and more

$ngx = levels([ 'sendgrid_amp_batch_size 64k;',
		'sendgrid_amp_batch_size 128k;', 'sendgrid_amp_batch_size 192k;' ],
	[ 'sendgrid_amp_lowercase on;', 'sendgrid_amp_lowercase off;',
		'sendgrid_amp_lowercase on;' ],
	[ "sendgrid_amp_dead_letter $root/a;", "sendgrid_amp_dead_letter $root/b;",
		'sendgrid_amp_dead_letter off;' ])
	->start();

for my $level (sort keys %where) {
	my ($port, $uri) = @{ $where{$level} };
	my $limit = { a => 65536, b => 131072, c => 196608 }->{$level};

	$amp->clear();
	post($port, webhook(events(400)), uri => $uri);

	my ($first, @rest) = sort { $b <=> $a } map { length $_->{body} }
		$amp->requests();

	cmp_ok($first, '<=', $limit, "$level: batch_size is not exceeded");
	cmp_ok($first, '>', $limit - 1000, "$level: batch_size is used");

	$amp->clear();
	post($port, webhook(event(1, email => '"U@X.com"')), uri => $uri);

	my ($request) = $amp->requests();

	like($request->{body}, $level eq 'b' ? qr/"user_id":"U\@X\.com"/
		: qr/"user_id":"u\@x\.com"/, "$level: lowercase");

	truncate("$root/$_", 0) for qw(a b);
	post($port, '[1]', uri => $uri);

	is(join(' ', grep { -s "$root/$_" } qw(a b)), $level eq 'c' ? '' : $level,
		"$level: dead_letter");
}

$ngx->done();

# timeout: the short ones are shorter than the shortest delay

$ngx = levels([ 'sendgrid_amp_timeout 100ms;', 'sendgrid_amp_timeout 20s;',
		'sendgrid_amp_timeout 100ms;' ],
	[ 'sendgrid_amp_retry_delay 250ms; sendgrid_amp_retries 1;', '', '' ])
	->start();

for my $level (sort keys %where) {
	my ($port, $uri) = @{ $where{$level} };

	$amp->clear();
	$amp->script({ status => 503, times => 0 });
	post($port, webhook(event(1)), uri => $uri);

	is(scalar $amp->requests(), $level eq 'b' ? 2 : 1, "$level: timeout");
}

$ngx->done();

# defaults that no other suite depends on

$ngx = Gateway->new(amplitude => $amp, server => '
	location = /late { sendgrid_amp us; sendgrid_amp_retry_delay 51s; }
')->start();

$amp->script();

for my $more (0, 1) {
	my $large = sized(262144 + $more, 1);

	is(post($ngx->port(), "[$large]")->{status}, $more ? 413 : 200,
		"default: max_event_size + $more");

	$amp->clear();
	post($ngx->port(), '[' . join(',', ('{"event":"a","email":"b"}')
		x (1000 + $more)) . ']');
	is(scalar $amp->requests(), 1 + $more, "default: batch_events + $more");

	my @four = map { sized(225000, $_) } 1 .. 4;

	$amp->clear();
	post($ngx->port(), webhook(@four));
	my ($request) = $amp->requests();
	my $fifth = sized(225000 + 921600 - length($request->{body}) + $more, 4);

	$amp->clear();
	post($ngx->port(), webhook(@four[0 .. 2], $fifth));
	is(scalar $amp->requests(), 1 + $more, "default: batch_size + $more");
}

$amp->clear();
$amp->script({ status => 503, times => 0 });
post($ngx->port(), webhook(event(1)));

my @times = map { $_->{time} } $amp->requests();

is(scalar @times, 3, 'default: retries');
cmp_ok($times[1] - $times[0], '>=', 0.245, 'default: retry_delay');
cmp_ok($times[2] - $times[1], '>=', 0.495, 'default: retry_delay, twice');

$amp->clear();
$amp->script({ status => 503, times => 0 });
is(post($ngx->port(), webhook(event(1)), uri => '/late')->{status}, 503,
	'default: timeout');

$ngx->done();
done_testing();

###############################################################################

# a gateway with the values of the three levels

sub levels {
	my (@values) = @_;
	my ($http, $server, $location) = map { my $i = $_;
		join "\n", map { $_->[$i] } @values } 0 .. 2;
	my $port = Gateway->port(2);
	my $upstream = 'http://127.0.0.1:' . $amp->port() . '/2/httpapi';

	return Gateway->new(amplitude => $amp, http => "$http
		server {
			listen 127.0.0.1:$port;
			$server
			location = /b { sendgrid_amp us; }
			location = /c { sendgrid_amp us; $location }
			location = /amplitude/us { internal; proxy_pass $upstream; }
		}");
}


# an event of so many bytes

sub sized {
	my ($size, $id) = @_;
	my $pad = $size - length event($id, pad => '""');

	return event($id, pad => '"' . 'x' x $pad . '"');
}


sub uniq {
	my %seen;
	return grep { !$seen{$_}++ } @_;
}
