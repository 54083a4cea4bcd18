#!/usr/bin/perl

# Webhooks of many kinds, while one call of libc fails: each call in turn, until
# a webhook passes without a failure.  FAULTS=all takes all of them, and all
# sizes of pools; FAULTS="posix_memalign send" these calls.

use warnings;
use strict;

use Test::More;

use JSON::PP ();
use Time::HiRes qw(time);

use Amplitude;
use Faults;
use Gateway;
use Sign;
use Util qw(curl_post written);
use Webhook;

if (my $why = Faults::missing()) {
	plan(skip_all => $why);
}

# calls that are counted up to here, and how many there are in between

use constant {
	MAX => 2000,
	PLAIN => 3,
	WAIT => 5,
	LINES => 20,
	POOL => 8192,
};

my $all = ($ENV{FAULTS} // '') ne '';
my @only = grep { $_ ne 'all' } split ' ', $ENV{FAULTS} // '';
my @calls = @only ? @only : Faults::calls();

# nginx takes a block of memory for each so many bytes of a request

my @pools = ('4k', $all ? qw(512 608 832 1696) : 608);

my $amp = Amplitude->new(headers => 'x-pad');
my $faults = Faults->new();
my $key = Sign->new();
my $root = Gateway::root();
my $locations = locations();
my $n = 2;

my $ngx = Gateway->new(amplitude => $amp, env => { $faults->env() },
	sendgrid => rules(), server => $locations,
	http => "upstream amplitude { server 127.0.0.1:@{[$amp->port()]};
		keepalive 4; }
		client_header_buffer_size 5k;
		map \$arg_env \$env { default '\${arg_env}x'; }
		map \$pad \$padded { default '\${pad}x'; }
		sendgrid_amp_zone figures:64k;\n"
		. join('', map { server($n++, $_) } @pools[1 .. $#pools]))->start();

my $worker;

$ngx->wait_for(sub { ($worker) = $ngx->workers() });
my %webhooks = webhooks();
my $total = 0;
my @sent;

if (!seen('posix_memalign', $webhooks{plain})) {
	$ngx->stop();
	plan(skip_all => 'calls of this nginx cannot be replaced');
}

# the table of hashes is made by the first webhook that may need it

is(seen('mmap', $webhooks{rules}), 1, 'hashes are remembered');
is(seen('mmap', $webhooks{rules}), 0, '... by the same worker');

for my $name (sort keys %webhooks) {
	my $w = $webhooks{$name};

	for my $i (0 .. ($w->{http2} ? 0 : $#pools)) {
		my $port = $ngx->port($i && $i + 1);

		for my $call ($i ? 'posix_memalign' : @calls) {

			# nginx itself crashes or loses a request, when each of its
			# allocations can fail

			if ($w->{fragile} && Gateway::sanitized() && $call eq 'malloc') {
				next;
			}

			is(join("\n", each_call($w, $call, $port)), '',
				"$name, pools of $pools[$i]: $call");
		}
	}
}

is(join("\n", each_pad($ngx->port())), '', 'no memory for Content-Length');

# the end of a block of the request's pool is moved by an argument, which is
# evaluated when the webhook is accepted, or by a header, which is there before

for my $name ('dry run', 'plain') {
	is(join("\n", each_size($webhooks{$name}, sub {
		uri => "$webhooks{$name}{options}{uri}?pad=$_[0]" })), '',
		"$name, blocks of $pools[1] that end anywhere");
}

for my $name ('plain', 'signed') {
	my @headers = @{ $webhooks{$name}{options}{headers} || [] };

	is(join("\n", each_size($webhooks{$name}, sub {
		uri => $webhooks{$name}{options}{uri},
		headers => [ @headers, "x$_[0]: 1" ] })), '',
		"$name, blocks of $pools[1] that end anywhere, by a header");
}

note("$total failures");

is(in_flight(), 0, 'no webhook is in flight');
$ngx->done(qr{\(.*\) .*failed|could not be|no memory|line that is cut});
done_testing();

###############################################################################

# what went wrong while the first, second ... call failed

sub each_call {
	my ($w, $call, $port) = @_;
	my ($hits, @bad) = Faults::each_nth($call, MAX,
		$all ? 0 : PLAIN, sub {
		my ($nth, %how) = @_;

		return attempt($w, $call, $nth, $port, %how);
	});

	$total += $hits;

	return @bad;
}


# the same while nginx finds no memory for "Content-Length": a variable in front
# of that header takes so much of the subrequest's pool that the rest is too small

sub each_pad {
	my ($port) = @_;
	my ($high, $step, $cut) = (0, 64, 0);
	my @bad;

	# where the variable itself finds no memory

	for ( ; $step >= 1 && $high < POOL / 2; $high += $step) {
		pad($high, $port);

		if (grep { !length($_->{headers}{'x-pad'} // '') } @sent) {
			$high -= $step;
			$step /= 4;
		}
	}

	for my $pad ($high - ($all ? 500 : 20) .. $high + 5) {
		push @bad, map { "$pad: $_" } pad($pad, $port);
		$cut += grep { !defined $_->{headers}{'content-length'} } @sent;

		last if @bad > 5;
	}

	note("$cut requests without Content-Length");

	return $cut || Gateway::sanitized() ? () : 'no request was cut', @bad;
}


# the same while nginx finds no block of memory for a request: a property takes
# so much of the pool that each allocation is the first of a block in turn

sub each_size {
	my ($w, $options) = @_;
	my %w = %$w;
	my @bad;

	for (my $pad = 0; $pad < $pools[1] && @bad < 6; $pad += 8) {
		$w{options} = { $options->('x' x $pad) };

		for my $nth (1 .. MAX) {
			my ($hits, @wrong) = attempt(\%w, 'posix_memalign', $nth,
				$ngx->port(2), size => $pools[1]);

			$total += $hits;
			push @bad, map { "$pad, $nth: $_" } @wrong;

			last if !$hits;
		}
	}

	return @bad;
}


sub pad {
	my ($pad, $port) = @_;
	my %w = (%{ $webhooks{plain} },
		options => { uri => '/pad?pad=' . 'x' x $pad });
	my ($hits, @bad) = attempt(\%w, 'posix_memalign', 2, $port, size => POOL);

	$total += $hits;

	return @bad;
}


# posts a webhook while calls fail; returns the failures, and what is wrong

sub attempt {
	my ($w, $call, $nth, $port, %how) = @_;
	my @bad;

	$amp->clear();
	$amp->script(@{ $w->{script} || [] });
	truncate("$root/dead", 0);

	my $from = -s "$root/error.log";

	$faults->arm($call, $nth, %how);

	my $r = $w->{http2} ? http2($w, $port) : post($port, $w->{body},
		timeout => Gateway->patience(WAIT), %{ $w->{options} || {} });

	my (undef, $hits) = $faults->disarm();

	if (!wait_idle()) {
		push @bad, 'a request to Amplitude hangs';
	}

	@sent = $amp->requests();
	$amp->script();

	my $plain = post($port, webhook(event('after')), timeout => WAIT);

	if ($plain->{status} != 200) {
		push @bad, "the next webhook: $plain->{status} $plain->{body}";
	}

	if (($ngx->workers())[0] != $worker) {
		($worker) = $ngx->workers();
		push @bad, 'another worker';
	}

	if ($r->{timed_out}) {
		push @bad, 'no answer';
	}

	my $log = $ngx->log($from);

	push @bad, grep { / \[alert\] / && !/\Q$call\E\w*\(.*\) failed/ }
		split /\n/, $log;
	push @bad, $w->{dry} ? dry($w, $r) : delivered($w, $r, $log, $hits);

	if (!$hits && $r->{status} != $w->{status}) {
		push @bad, "no failure, and $r->{status} $r->{body}";
	}

	if (@bad) {
		my @lines = split /\n/, $log;

		push @bad, map { "log: $_" } @lines > LINES ? @lines[0 .. LINES - 1] : @lines;
	}

	return $hits, @bad;
}


# whether each event is where the answer says

sub delivered {
	my ($w, $r, $log, $hits) = @_;
	my @bad;

	if ($r->{status} !~ /^(?:0|200|500|503|$w->{status})$/) {
		push @bad, "$r->{status} $r->{body}";
	}

	my %stored = map { /"insert_id":"(.*?)"/ ? ($1 => $_) : () }
		$amp->events();
	my $dead = written("$root/dead");
	my @lines = split /\n/, $dead;

	# a line that a full disk has cut is logged, and SendGrid keeps its event

	my $cut = $r->{status} != 200 && $log =~ /has a line that is cut/;

	for (@lines) {
		push @bad, "dead letter: $_"
			if !$cut && !eval { JSON::PP::decode_json($_) };
	}

	for my $event (@{ $w->{events} }) {
		my ($id) = $event =~ /"sg_event_id":"(.*?)"/;
		my $is_dead = grep { index($_, qq("event":) . $event =~ s/}$//r)
			>= 0 } @lines;
		my $to_be_dead = $w->{dead} && $event =~ $w->{dead};

		if ($is_dead && !$to_be_dead) {
			push @bad, "rejected: $id";
		}

		if ($r->{status} != 200) {
			next;
		}

		if ($to_be_dead ? !$is_dead : !$stored{$id}) {
			push @bad, "lost: $id";

		} elsif (!$to_be_dead && $w->{mapped}
			&& $stored{$id} !~ $w->{mapped})
		{
			push @bad, "mapped: $stored{$id}";
		}
	}

	if ($r->{status} == 200 && !$w->{raw}) {
		my $sum = 0;

		$sum += $r->{json}{$_} // 0 for qw(forwarded ignored rejected);
		push @bad, "counted: $r->{body}" if $sum != @{ $w->{events} };
	}

	# an attempt that Amplitude took is repeated if its answer was lost

	my $lost = () = $log =~ /amplitude answered (?:0|200)\D/g;

	for (values %{ $amp->stored() }) {
		push @bad, "stored $_->{times} times" if $_->{times} > 1 + $lost;
	}

	# what nginx had no memory for is not sent, and Amplitude says so

	return @bad, map { "violation: $_" } grep { !$hits || !/no Content-Length/ }
		$amp->violations();
}


sub dry {
	my ($w, $r) = @_;
	my @bad;

	if ($amp->accepted() > 1) {
		push @bad, 'a dry run was sent';
	}

	if ($r->{status} !~ /^(?:0|200|500|503)$/) {
		push @bad, "$r->{status} $r->{body}";
	}

	if ($r->{status} == 200) {
		push @bad, map { "lost: $_" }
			grep { index($r->{body}, s!}$!!r) < 0 } @{ $w->{events} };
	}

	return @bad;
}


sub wait_idle {
	return $ngx->wait_for(sub { $amp->in_flight() == 0 }, WAIT);
}


# how often it is called in a webhook without a failure

sub seen {
	my ($call, $w) = @_;

	$faults->arm($call, MAX);
	post($ngx->port(), $w->{body}, %{ $w->{options} || {} });

	return ($faults->disarm())[0];
}


sub in_flight {
	my $r = post($ngx->port(), '', method => 'GET', key => undef,
		uri => '/status?format=json');

	return $r->{json}{webhooks_in_flight} // $r->{body};
}


sub http2 {
	my ($w, $port) = @_;
	my $until = time() + WAIT;

	my $url = 'http://127.0.0.1:' . $ngx->port(1) . $w->{options}{uri};
	my ($out, $exit) = curl_post($w->{body}, $url, '--http2-prior-knowledge',
		'-m', WAIT, '-w', '\n%{http_code}');
	my ($body, $status) = $out =~ /^(.*)\n(\d+)$/s;

	return { status => $exit == 0 ? $status : 0, body => $body, headers => {},
		timed_out => time() >= $until,
		json => scalar(eval { JSON::PP::decode_json($body) }) };
}


###############################################################################

sub webhooks {
	my @one = event(1);
	my @nine = events(9, '', hashed => '"me@example.com"');
	my @mixed = (events(5), event(6, email => '" "'), event(7, event => '""'));
	my @large = events(12, '', text => '"' . 'x' x 25000 . '"');
	my $signed = webhook(@nine);

	my $to = sub {
		my ($uri, $events, %o) = @_;

		return { body => webhook(@$events), events => $events, status => 200,
			%o, options => { uri => $uri, %{ $o{options} || {} } } };
	};

	return (
		plain => $to->('/sendgrid', \@one),
		batches => $to->('/three', \@nine),
		chunked => $to->('/three', \@nine, options => { chunked => 700 }),
		signed => $to->('/signed', \@nine,
			options => { headers => [ $key->headers($signed) ] }),
		'bad signature' => $to->('/signed', \@nine, status => 403,
			options => { headers => [ $key->headers("$signed ") ] }),
		'dry run' => $to->('/dry', \@nine, dry => 1),
		'retry' => $to->('/three', \@nine, script => [ { status => 503,
			times => 2 }, { reset => 'after' } ]),
		'named' => $to->('/three', \@nine, dead => qr/"event-5"/,
			script => [ { refuse => qr/"event-5"/, times => 0 } ]),
		'throttled' => $to->('/three', \@nine,
			script => [ { throttle => qr/"event-[38]"/ } ]),
		'dead letter' => $to->('/sendgrid', \@mixed,
			dead => qr/"event-[67]"/),
		'whole body' => $to->('/mirror', \@nine, fragile => 1),
		'large' => $to->('/large', \@large),
		'variables' => $to->('/variables?env=a&api=k', \@one,
			mapped => qr/"env":"ax"/),
		'rules' => $to->('/rules', \@nine, mapped => qr/"hashed":"[0-9a-f]{64}"/),
		'status page' => $to->('/status', [], raw => 1,
			options => { method => 'GET', key => undef }),
		'unauthorized' => $to->('/sendgrid', \@one, status => 401,
			options => { secret => 'x' }),
		'too large' => $to->('/small', \@one, status => 413),
		'no json' => $to->('/three', \@nine, status => 400,
			body => webhook(@nine) . 'x'),
		Gateway::has('http_v2_module')
			? ('HTTP/2' => $to->('/three', \@nine, http2 => 1,
				fragile => 1)) : (),
	);
}


sub rules {
	return "sendgrid_amp_dead_letter $root/dead;
		sendgrid_amp_property pad \$arg_pad;
		sendgrid_amp_retry_delay 1ms;
		client_body_timeout @{[WAIT - 2]};
		send_timeout @{[WAIT - 2]};";
}


sub locations {
	my $rules = rules();
	my $location = sub { "location = $_[0] { sendgrid_amp us; $rules $_[1] }\n" };

	return join '',
		$location->('/three', 'sendgrid_amp_batch_events 3;
			sendgrid_amp_concurrency 2;'),
		$location->('/signed', "sendgrid_amp_public_key @{[$key->base64()]};
			sendgrid_amp_batch_events 4;"),
		$location->('/dry', 'sendgrid_amp_dry_run on;
			sendgrid_amp_batch_events 3;'),
		$location->('/large', 'sendgrid_amp_batch_size 64k;'),
		$location->('/small', 'client_max_body_size 10;'),
		$location->('/mirror', 'mirror /sink; client_body_buffer_size 1k;
			sendgrid_amp_batch_events 4;'),
		$location->('/variables', 'sendgrid_amp_auth off;
			sendgrid_amp_api_key $arg_api; sendgrid_amp_property env $env;
			sendgrid_amp_public_key off;'),
		$location->('/rules', 'sendgrid_amp_hash hashed key=k;
			sendgrid_amp_drop ip; sendgrid_amp_ignore bounce;'),
		$location->('/pad', 'set $pad $arg_pad;') =~ s/amp us/amp \/padded/r,
		"location = /padded { internal; proxy_set_header X-Pad \$padded;
			proxy_pass http://amplitude/2/httpapi; proxy_http_version 1.1;
			proxy_set_header Connection ''; }\n",
		"location = /sink { internal; return 204; }\n",
		"location = /status { sendgrid_amp_status; }\n";
}


# a server with pools of another size

sub server {
	my ($n, $size) = @_;
	my $port = $ngx ? $ngx->port($n) : Gateway->port($n);
	my $rules = rules();

	return "server {
		listen 127.0.0.1:$port;
		request_pool_size $size;
		location = /sendgrid { sendgrid_amp us; $rules }
		location = /amplitude/us { internal;
			proxy_pass http://amplitude/2/httpapi; proxy_http_version 1.1;
			proxy_set_header Connection ''; }
		$locations
	}\n";
}
