#!/usr/bin/perl

# The file of rejected events: its lines, its mode, reopening, what happens
# when it cannot be written.

use warnings;
use strict;

use Test::More;

use JSON::PP ();
use POSIX qw(strftime);

use Amplitude;
use Gateway;
use Util qw(lines);
use Webhook;

my $amp = Amplitude->new();
my $root = Gateway::root();
my $json = JSON::PP->new()->utf8()->canonical();

my @unusable = (
	[ 'not_an_object', '"text with \"quotes\""' ],
	[ 'not_an_object', '-1.50e+3' ],
	[ 'not_an_object', '[1,{"email":"a@x.com","event":"open"}]' ],
	[ 'not_an_object', 'null' ],
	[ 'no_event_type', '{"email":"a@x.com","n":1.0}' ],
	[ 'no_event_type', '{}' ],
	[ 'no_user_id', '{"event":"account_status_change","type":"reactivate",'
		. '"sg_event_id":"a\/b\u00e9","n":12345678901234567890}' ],
	[ 'no_user_id', qq({"event":"open","caf\xc3\xa9":"\xf0\x9f\x98\x80"}) ],
	[ 'no_user_id', '{"event":"open","pad":"' . ('x' x 100000) . '"}' ],
);

my $ngx = Gateway->new(amplitude => $amp, poison => 1,
	main => 'worker_processes 4;',
	sendgrid => "sendgrid_amp_dead_letter $root/dead;", server => qq(
	location = /inherited { sendgrid_amp us; }
	location = /off { sendgrid_amp us; sendgrid_amp_dead_letter off; }
	location = /other {
		sendgrid_amp /amplitude/us;
		sendgrid_amp_dead_letter $root/other;
	}

	location = /quoted {
		sendgrid_amp '/a"b\\\\c';
		sendgrid_amp_dead_letter $root/dead;
	}

	set \$tabs "@{[ "\t" x 2000 ]}";

	location = /control {
		sendgrid_amp "/\$tabs\$tabs\$tabs\$tabs\$tabs\$tabs\$tabs\$tabs";
		sendgrid_amp_dead_letter $root/dead;
	}

	sendgrid_amp_dead_letter $root/server;
))->start();

subtest('mode, before a line is written' => sub {
	is(mode('dead'), '0640', 'of the file');
});

subtest('a line for each' => sub {
	my $r = post($ngx->port(), webhook(event(1), (map { $_->[1] } @unusable),
		event(2)));

	is_deeply($r->{json}, { received => 11, forwarded => 2, ignored => 0,
		rejected => 9, batches => 1 }, 'answer');

	my @lines = lines("$root/dead");

	is(scalar @lines, scalar @unusable, 'lines');

	for my $i (0 .. $#unusable) {
		my ($reason, $event) = @{ $unusable[$i] };
		my $line = eval { $json->decode($lines[$i] =~ s/x{20,}/x/gr) } || {};

		is($line->{reason}, $reason, 'reason');
		is($line->{region}, 'us', 'region');
		ok(index($lines[$i], qq(,"event":$event}\n)) > 0, 'event');
		like($line->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d
			(?:Z|[+-]\d\d:\d\d)$/x, 'ISO 8601');
		is(substr($line->{time}, 0, 13), strftime('%Y-%m-%dT%H',
			localtime), 'now') if $line->{time} !~ /Z$/;
	}
});

subtest('an event with line feeds stays on its line' => sub {
	truncate "$root/dead", 0;
	post($ngx->port(),
		qq([{\r\n\t"event" : "open" ,\r\n"a":[\n1\n,\n2]\n}]));

	my @lines = lines("$root/dead");

	is(scalar @lines, 1, 'one line');
	is_deeply(eval { $json->decode($lines[0])->{event} },
		{ event => 'open', a => [ 1, 2 ] }, 'event');
});

subtest('white space between tokens' => sub {
	is_deeply(written(qq([{"event"\r:\t"open"\n}\r\n,[\r]])),
		[ qq({"event" :\t"open" }), '[ ]' ], 'line ends become spaces');
});

subtest('control characters in a string' => sub {
	my $event = '{"a\u0001\t\r":"\u001f' . "\x7f" . '\n"}';

	is_deeply(written("[$event]"), [ $event ], 'as they came');
	is_deeply(written(qq(["a\rb"])), [], 'a webhook that is none');
});

subtest('bytes that are no UTF-8' => sub {
	my $repaired = "\xef\xbf\xbd";

	is_deeply(written(qq([{"event":"open","a":"caf\xe9"}])),
		[ qq({"event":"open","a":"caf$repaired"}) ], 'one byte');
	is_deeply(written('["' . ("\xff" x 1000) . '"]'),
		[ '"' . ($repaired x 1000) . '"' ], '1000 bytes');
	is_deeply(written('["' . ("\xff" x 30000) . '"]'),
		[ '"' . ($repaired x 30000) . '"' ], '30000 bytes');
});

subtest('regions' => sub {
	for my $case ([ '/quoted', '/a"b\\c' ],
		[ '/control', '/' . "\t" x 16000 ])
	{
		my ($uri, $region) = @$case;

		truncate "$root/dead", 0;
		is(post($ngx->port(), '[7]', uri => $uri)->{status}, 200,
			"$uri: status");

		my $line = eval { $json->decode((lines("$root/dead"))[0]) } || {};

		is($line->{region}, $region, $uri);
	}
});

# what was given less is not given more

subtest('mode' => sub {
	for my $case ([ 0644, '0640' ], [ 0666, '0640' ], [ 0640, '0640' ],
		[ 0600, '0600' ], [ 0604, '0600' ], [ 0641, '0640' ])
	{
		my ($mode, $want) = @$case;

		chmod $mode, "$root/dead";
		post($ngx->port(), '[7]');
		is(mode('dead'), $want, sprintf 'of a file with %04o', $mode);
	}

	chmod 0640, "$root/dead";
});

subtest('inheritance' => sub {
	my @files = qw(dead other server);

	for my $case ([ '/inherited', 'server' ], [ '/other', 'other' ],
		[ '/off', undef ])
	{
		my ($uri, $file) = @$case;
		my %before = map { $_ => scalar(() = lines("$root/$_")) } @files;
		my $r = post($ngx->port(), '[7]', uri => $uri);
		my %more = map { $_ => scalar(() = lines("$root/$_"))
			- $before{$_} } @files;

		is($r->{status}, 200, 'answer');
		is($r->{json}{rejected}, 1, 'rejected');
		is(join(' ', grep { $more{$_} } @files), $file // '', $uri);
	}

	like((lines("$root/other"))[0], qr!"region":"/amplitude/us"!, 'region');
});

subtest('whole lines, however many write' => sub {
	truncate "$root/dead", 0;

	my @bodies = map { my $i = $_; webhook(map { my $n = 10 ** ($_ % 6);
		qq({"event":"open","id":"$i-$_","pad":") . ('x' x $n) . '"}' }
		1 .. 12) } 1 .. 60;
	my @r = Webhook::run(map { Webhook->new($ngx->port(), $_) } @bodies);

	is(scalar(grep { $_->{status} == 200 && $_->{json}{rejected} == 12 } @r),
		60, 'answers');

	my @lines = lines("$root/dead");
	# JSON::PP reads each character of a string by itself

	my %seen = map { my $line = eval { $json->decode(s/x{20,}/x/gr) } || {};
		($line->{event}{id} // '') => 1 } @lines;

	is(scalar @lines, 720, 'lines');
	is(scalar keys %seen, 720, 'all of them whole');
});

subtest('reopened on USR1' => sub {
	rename "$root/dead", "$root/dead.1";
	post($ngx->port(), '[1]');
	kill USR1 => $ngx->{pid};

	ok($ngx->wait_for(sub { -f "$root/dead" }), 'a new file');

	# the workers follow the master

	ok($ngx->wait_for(sub {
		post($ngx->port(), '[2]');
		my @lines = lines("$root/dead");
		return @lines >= 4;
	}), 'is written to');
	is(mode('dead'), '0640', 'mode');
	is(scalar(grep { m!/dead! } map { readlink($_) // '' }
		glob '/proc/' . ($ngx->workers())[0] . '/fd/*'), 1,
		'a worker has it open once');
});

$ngx->done();

# a disk that is full: a device that takes nothing, its own as root could
# change the mode of the common one

SKIP: {
	if ($> != 0) {
		skip 'not root', 1;
	}

	subtest('a disk that is full' => sub {
		$ngx = Gateway->new(amplitude => $amp, sendgrid =>
			"sendgrid_amp_dead_letter $root.full;");

		unlink "$root.full";
		system("mknod $root.full c 1 7 2> /dev/null") == 0
			or plan(skip_all => 'no mknod');
		open my $fh, '>', "$root.full" or plan(skip_all => 'no devices');
		close $fh;

		my $mode = (stat "$root.full")[2];

		$ngx->start();
		$amp->clear();

		my $r = post($ngx->port(), webhook(event(1), 7, event(2)));

		is($r->{status}, 503, 'status') or diag($r->{body});
		is($r->{json}{error}, 'unavailable', 'error');
		is($r->{headers}{'retry-after'}, 30, 'Retry-After');
		is($r->{json}{rejected}, 0, 'rejected');

		$amp->script({ refuse => qr/event-2/, times => 0 });
		$r = post($ngx->port(), webhook(events(3)));

		is($r->{status}, 503, 'refused by Amplitude: status');
		is($r->{json}{rejected}, 0, 'rejected');

		is(post($ngx->port(), webhook(event(1)))->{status}, 200,
			'nothing to write: status');

		is((stat "$root.full")[2], $mode, 'a device keeps its mode');
		like($ngx->log(), qr/\[crit\].*write/, 'the log says so');
		$ngx->done(qr/\[crit\].*write/);
		unlink "$root.full";
	});

	# the file belongs to root, the worker does not

	subtest('a worker without privileges' => sub {
		my $user = (grep { getpwnam $_ } qw(www-data nobody))[0];
		my $dir = "/tmp/sendgrid-amp-test-$$";

		mkdir $dir or die "$dir: $!\n";

		# it also opens its log again, wherever the tests are

		$ngx = Gateway->new(amplitude => $amp, user => $user,
			error_log => "$dir/error.log",
			sendgrid => "sendgrid_amp_dead_letter $dir/dead;")->start();

		my $r = post($ngx->port(), webhook(event(1), 7));

		is($r->{status}, 200, 'status') or diag($r->{body});
		is(-s "$dir/dead" ? 1 : 0, 1, 'written');
		is(sprintf('%04o', (stat "$dir/dead")[2] & 07777), '0640', 'mode');

		rename "$dir/dead", "$dir/dead.1";
		kill USR1 => $ngx->{pid};

		ok($ngx->wait_for(sub {
			post($ngx->port(), '[2]')->{status} == 200 && -s "$dir/dead";
		}), 'reopened');

		$ngx->reload();
		is(post($ngx->port(), '[3]')->{status}, 200, 'after a reload');

		$ngx->done();
		unlink glob "$dir/*";
		rmdir $dir;
	});
}

is_deeply([ $amp->violations() ], [], 'the contract is kept');
done_testing();

###############################################################################

# posts a webhook; the text of the events that are written for it

sub written {
	my ($body) = @_;

	truncate "$root/dead", 0;
	post($ngx->port(), $body);

	return [ map { /,"event":(.*)\}\n\z/ ? $1 : "no line: $_" }
		lines("$root/dead") ];
}


sub mode {
	my ($name) = @_;

	return sprintf '%04o', (stat "$root/$name")[2] & 07777;
}
