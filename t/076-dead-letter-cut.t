#!/usr/bin/perl

# Lines of the dead letter are whole: a file that ends in a cut line, a limit
# of its size, a disk that is full, workers that write at once, a lock that is
# held elsewhere, a pipe.

use warnings;
use strict;

use Test::More;

use Fcntl qw(:flock :seek F_SETLK F_WRLCK O_ACCMODE O_NONBLOCK O_RDONLY
	O_WRONLY);
use JSON::PP ();
use POSIX qw(mkfifo);

use constant FIONREAD => 0x541b;

use Amplitude;
use Gateway;
use Util qw(slurp spew written);
use Webhook;

my $amp = Amplitude->new();
my $root = Gateway::root();
my $dir = "$root.dead";
my $file = "$dir/dead";
my $json = JSON::PP->new()->utf8();
my $failed = qr/\[crit\].*(?:write\(\) to .* failed|has a line that is cut)/;

mkdir $dir;

my $ngx = gateway();

subtest('a line that was cut before nginx started' => sub {
	spew($file, '{"time":"cut');
	$ngx->start();

	is(rejected(1)->{status}, 200, 'status');
	is_deeply(read_ids(), [ 'cut', 1 ], 'the next line is its own');
});

subtest('a line that was cut by somebody else' => sub {
	for my $how (qw(append reopen reload)) {
		spew($file, qq({"time":"$how));

		if ($how eq 'reopen') {
			kill USR1 => $ngx->{pid};
			ok(reopened(), 'reopened');
		}

		$ngx->reload() if $how eq 'reload';

		rejected($how, 2);
		is_deeply(read_ids(), [ 'cut', $how, 2 ], "after $how");
	}
});

subtest('the name is of another file since it was reopened' => sub {
	spew($file, '');
	kill USR1 => $ngx->{pid};
	ok(reopened(), 'reopened');
	rename $file, "$dir/moved";
	spew($file, '');
	rejected(1);

	is(slurp($file), '', 'nothing in the other file');
	is(slurp("$dir/moved") =~ tr/\n//, 1, 'a line in its own');
	kill USR1 => $ngx->{pid};
	ok(reopened(), 'reopened again');
});

subtest('an event without a line feed is no cut line' => sub {
	spew($file, '');
	rejected(1);
	rejected(2);

	is(slurp($file) =~ tr/\n//, 2, 'no empty lines');
});

subtest('a file that may not be read' => sub {
	plan(skip_all => 'root reads all') if $> == 0;

	chmod 0200, $file;
	spew($file, '{"time":"cut');
	kill USR1 => $ngx->{pid};
	ok(reopened(), 'reopened');
	rejected(1);
	chmod 0600, $file;

	is_deeply(read_ids(), [ 'cut', 1 ], 'the next line is its own');
});

$ngx->done();

# one worker, a limit at the end of a line, and a byte before it

subtest('what the log says of a limit' => sub {
	plan(skip_all => 'no prlimit') if system('prlimit > /dev/null 2>&1');

	# the limit is one of the error log as well, which is shorter

	$ngx = gateway();
	spew($file, "\n" x 300000);
	$ngx->start();
	rejected(1);

	my ($worker) = $ngx->workers();
	my $length = (-s $file) - 300000;

	for my $case ([ 0, 0 ], [ 1, 1 ]) {
		my ($less, $cut) = @$case;
		my $from = length $ngx->log();

		limit($worker, (-s $file) + $length - $less);
		is(rejected(2, 3)->{status}, 503, 'status');

		my $log = $ngx->log($from);

		like($log, qr/write\(\) to .* failed \(28: /, 'the disk is full');
		is(scalar(() = $log =~ /has a line that is cut/g), $cut,
			"$less bytes less than a line");
	}

	limit($worker, 'unlimited');
	$ngx->done($failed);
});

# two workers, a limit that a write reaches in its midst

subtest('a limit of the size' => sub {
	plan(skip_all => 'no prlimit') if system('prlimit > /dev/null 2>&1');

	$ngx = gateway(main => 'worker_processes 2;');
	spew($file, "\n" x 300000);
	$ngx->start();

	my @workers;
	my %acked;

	$ngx->wait_for(sub { @workers = $ngx->workers(); @workers == 2 });

	for my $round (1 .. 3) {
		limit($_, (-s $file) + 4000 + $round) for $ngx->workers();

		my @r = Webhook::run(map { client("$round-$_", 10) } 1 .. 20);

		for my $i (1 .. 20) {
			my $r = $r[$i - 1];

			if ($r->{status} == 200) {
				$acked{"$round-$i-$_"} = 1 for 1 .. 10;
			}
		}

		is(scalar(grep { $_->{status} == 503 && $_->{json}{rejected} == 0 }
			@r), scalar(grep { $_->{status} != 200 } @r),
			'503 for all that are not written');
		cmp_ok(scalar(grep { $_->{status} == 503 } @r), '>', 0, 'reached');

		limit($_, 'unlimited') for $ngx->workers();
		is(rejected("after-$round")->{status}, 200, 'and raised');
		$acked{"after-$round"} = 1;
	}

	is_deeply([ sort $ngx->workers() ], [ sort @workers ],
		'no worker has ended');
	whole(\%acked, 3);
	$ngx->done($failed);
});

subtest('a disk that is full' => sub {
	my $disk = "$dir/disk";

	mkdir $disk;
	plan(skip_all => 'no file system can be mounted') if $> != 0
		|| system("mount -t tmpfs -o size=64k tmpfs $disk 2> /dev/null");

	$file = "$disk/dead";
	$ngx = gateway(main => 'worker_processes 2;')->start();

	my %acked;

	for my $round (1 .. 20) {
		my @r = Webhook::run(map { client("$round-$_", 7) } 1 .. 10);

		for my $i (1 .. 10) {
			if ($r[$i - 1]{status} == 200) {
				$acked{"$round-$i-$_"} = 1 for 1 .. 7;
			}
		}

		# a page is free again, and soon full

		system("mount -o remount,size=" . (64 + 4 * $round) . "k $disk");
	}

	whole(\%acked, 40);
	$ngx->done($failed);
	system('umount', $disk);
	$file = "$dir/dead";
});

# another process has the file: no line without the lock

subtest('a lock that is held' => sub {
	$ngx = gateway(server => 'location = /x { return 204; }');
	spew($file, '');
	$ngx->start();

	open my $fh, '>>', $file or die "$file: $!\n";

	my $lock = pack('s s x!8 q q l x!8', F_WRLCK, SEEK_SET, 0, 0, 0);
	fcntl($fh, F_SETLK, $lock) or die "fcntl: $!\n";

	my $r = rejected(1);

	is($r->{status}, 503, 'status');
	is(-s $file, 0, 'nothing is written');
	cmp_ok($r->{time}, '>=', 0.05, 'it is waited for');
	cmp_ok($r->{time}, '<', Gateway->patience(2), 'nobody waits for long');

	close $fh;
	is(rejected(2)->{status}, 200, 'and released');
	$ngx->done(qr/\[crit\].*fcntl\(F_SETLK/);
});

subtest('many workers, long and short lines' => sub {
	$ngx = gateway(main => 'worker_processes 4;');
	spew($file, '');
	$ngx->start();

	my @r = Webhook::run(map { client($_, 300, 10 ** ($_ % 5)) } 1 .. 40);

	is(scalar(grep { $_->{status} == 200 && $_->{json}{rejected} == 300 } @r),
		40, 'answers');

	my %all;

	for my $i (1 .. 40) {
		$all{"$i-$_"} = 1 for 1 .. 300;
	}

	whole(\%all, 0);
	$ngx->done();
});

subtest('a pipe' => sub {
	$file = "$dir/pipe";
	mkfifo($file, 0600) or die "mkfifo: $!\n";

	sysopen my $fh, $file, O_RDONLY | O_NONBLOCK or die "$file: $!\n";

	$ngx = gateway(main => 'worker_processes 2;', server =>
		'location = /x { return 204; }')->start();

	# somebody reads

	my $pid = fork() // die "fork: $!\n";

	if ($pid == 0) {
		exec 'sh', '-c', 'exec cat < "$0" > "$1"', $file, "$dir/read";
	}

	$ngx->wait_for(sub { (readlink("/proc/$pid/fd/0") // '') eq $file });

	my @r = Webhook::run(map { client($_, 40, 10 ** ($_ % 6)) } 1 .. 20);
	my %acked;

	for my $i (1 .. 20) {
		next if $r[$i - 1]{status} != 200;
		$acked{"$i-$_"} = 1 for 1 .. 40;
	}

	ok(!!$acked{'4-1'}, 'lines of 10k are written');
	ok(!!$acked{'5-1'}, 'lines of 100k are written');

	# the reader waits: all of the pipe is in its file

	$ngx->wait_for(sub { held($fh) == 0 && state($pid) eq 'S' });
	kill TERM => $pid;
	waitpid $pid, 0;

	# nobody reads

	my $r;

	for my $i (1 .. 100) {
		$r = rejected("late-$i", 40);
		last if $r->{status} != 200;
		$acked{"late-$i-$_"} = 1 for 1 .. 40;
	}

	is($r->{status}, 503, 'a reader that sleeps: status');
	cmp_ok($r->{time}, '<', Gateway->patience(2), 'nobody waits for long');
	is(post($ngx->port(), '', method => 'GET', uri => '/x')->{status}, 204,
		'the worker serves');

	my $rest = '';

	while (sysread($fh, $rest, 65536, length $rest)) {
		# till it is empty
	}

	open my $out, '>>', "$dir/read" or die "read: $!\n";
	print $out $rest;
	close $out;

	my $pipe = $file;

	$file = "$dir/read";
	whole(\%acked, 1);
	$file = $pipe;

	# short lines are added to what is in the pipe, a long one is not

	is(rejected('short', 40)->{status}, 200, 'short lines: status');
	is(rejected('more', 100)->{status}, 200, 'many short lines: status');

	my $n = held($fh);

	is(post($ngx->port(), body('long', 0, 65000))->{status}, 503,
		'a long line: status');
	is(held($fh), $n, 'nothing of the long line is in the pipe');

	# nobody else's writes to the pipe are told that it is full

	is(scalar(grep { flags($_, $pipe) & O_NONBLOCK } $ngx->workers()), 0,
		'the pipe is as it was');

	$ngx->done($failed);
	$file = "$dir/dead";
});

# a mode that cannot be changed is told once

SKIP: {
	skip 'not root', 1 if $> != 0;

	subtest('a mode that cannot be changed' => sub {
		my $user = (grep { getpwnam $_ } qw(www-data nobody))[0];

		chmod 0755, $dir;
		$ngx = gateway(user => $user);
		spew($file, '');
		$ngx->start();
		chmod 0666, $file;
		rejected($_) for 1 .. 5;

		is(scalar(() = $ngx->log()
			=~ /\[warn\].*the mode of "[^"]*" could not be changed/g), 1,
			'is told once');
		$ngx->done();
	});
}

is_deeply([ $amp->violations() ], [], 'the contract is kept');
done_testing();

END {
	local $?;

	# of a test that has died, too

	system("umount $dir/disk 2> /dev/null") if -d "$dir/disk";
	system('rm', '-rf', $dir);
}

###############################################################################

sub gateway {
	return Gateway->new(amplitude => $amp, poison => 1, sendgrid =>
		"sendgrid_amp_dead_letter $file;", @_);
}


sub body {
	my ($id, $n, $pad) = @_;

	$pad = 'x' x ($pad // 0);

	return webhook(map { qq({"event":"open","id":"$_","pad":"$pad"}) }
		$n ? map { "$id-$_" } 1 .. $n : $id);
}


sub client {
	return Webhook->new($ngx->port(), body(@_), timeout => 60);
}


# posts an event, or so many

sub rejected {
	my ($first, @more) = @_;

	return post($ngx->port(), @more && $more[0] >= 40 ? body(@_)
		: webhook(map { qq({"event":"open","id":"$_"}) } @_));
}


sub limit {
	my ($pid, $size) = @_;
	system('prlimit', '--pid', $pid, "--fsize=$size:") == 0
		or die "prlimit: $?\n";
}


# whether the worker has opened the file again, and not written since: nginx
# opens it for writing only

sub reopened {
	return $ngx->wait_for(sub {
		(flags($ngx->workers(), $file) & O_ACCMODE) == O_WRONLY;
	});
}


# how a process has a file open

sub flags {
	my ($pid, $name) = @_;

	for my $link (glob "/proc/$pid/fd/*") {
		next if (readlink($link) // '') ne $name;

		return oct $1
			if written($link =~ s!/fd/!/fdinfo/!r) =~ /^flags:\s+(\d+)/m;
	}

	return 0;
}


# bytes in a pipe

sub held {
	my ($fh) = @_;
	my $n = pack 'i', 0;

	ioctl($fh, FIONREAD, $n) or die "ioctl: $!\n";

	return unpack 'i', $n;
}


# S: sleeps

sub state {
	my ($pid) = @_;

	return written("/proc/$pid/stat") =~ /^.*\) (\S)/ ? $1 : '';
}


# the ids of the lines, or what they are

sub read_ids {
	return [ map { (eval { $json->decode($_) } || {})->{event}{id} // 'cut' }
		split /\n/, slurp($file) ];
}


# all events that were acknowledged are there, in lines that are whole; at
# most so many are cut, and none has another one in it

sub whole {
	my ($acked, $max) = @_;
	my ($cut, $glued, %seen) = (0, 0);

	for (grep { $_ ne '' } split /\n/, slurp($file)) {
		# JSON::PP reads each character of a string by itself

		my $line = eval { $json->decode(s/x{20,}/x/gr) };

		$line ? ($seen{$line->{event}{id}} = 1) : $cut++;
		$glued++ if (() = /\{"time"/g) > 1;
	}

	is(scalar(grep { !$seen{$_} } keys %$acked), 0,
		keys(%$acked) . ' acknowledged, none is missing');
	cmp_ok($cut, '<=', $max, 'lines that are cut');
	is($glued, 0, 'lines that are glued');
}
