package Faults;

# Calls of libc that fail in nginx's workers:
#
#	my $faults = Faults->new();
#	my $ngx = Gateway->new(env => { $faults->env() }, ...)->start();
#	$faults->arm('posix_memalign', 3, size => 8192);
#	...
#	my ($seen, $hits) = $faults->disarm();
#
# The third call from then on fails that asks for 8192 bytes.  Options:
#
#	size => n		only calls that ask for so many bytes
#	forever => 1		later calls fail, too
#	half => 1		takes half of the bytes in place of an error
#	error => n		errno, in place of that of %error

use warnings;
use strict;

use Carp;
use Errno qw(ECONNABORTED ECONNREFUSED ECONNRESET EINVAL EIO EMFILE ENOBUFS
	ENOLCK ENOMEM ENOSPC EPERM);
use File::Temp ();
use FindBin;

use constant FORMAT => 'a32 l8';

my %error = (malloc => ENOMEM, calloc => ENOMEM, realloc => ENOMEM,
	posix_memalign => ENOMEM, mmap => ENOMEM, socket => EMFILE,
	connect => ECONNREFUSED, accept4 => ECONNABORTED, epoll_ctl => ENOMEM,
	ioctl => EINVAL, setsockopt => ENOBUFS, send => ECONNRESET,
	writev => ECONNRESET, sendfile => ECONNRESET, recv => ECONNRESET,
	readv => ECONNRESET, open => EMFILE, read => EIO, pread => EIO,
	write => ENOSPC, pwrite => ENOSPC, fstat => EIO, fchmod => EPERM,
	ftruncate => EIO, fcntl => ENOLCK);

my $library = "$FindBin::Bin/../build/faults.so";


# why there can be no faults, or nothing

sub missing {
	return !-f $library ? 'no build/faults.so'
		: $ENV{TEST_NGINX_USE_VALGRIND} ? 'valgrind allocates itself' : undef;
}


sub calls {
	return sort keys %error;
}


# whether half => 1 can be asked for: after half of what a socket takes or has,
# no event would tell of the rest

sub takes_bytes {
	return $_[0] =~ /^(?:p?read|p?write)$/;
}


# calls $attempt->($nth, %options of arm()) for the first, second ... call below
# $max until it tells of no failure: it returns how many there were, and what went
# wrong.  With $plain only each of so many first calls, and fewer and fewer of the
# later ones.  Returns the number of all failures, and all that went wrong.

sub each_nth {
	my ($call, $max, $plain, $attempt) = @_;
	my ($total, @bad) = (0);

	# a connection that is never accepted is no request

	my @how = ({}, $call eq 'accept4' ? () : { forever => 1 },
		takes_bytes($call) ? { half => 1 } : ());

	for my $how (@how) {
		my $step = 1;

		for (my $nth = 1; $nth < $max; $nth += $step) {
			my ($hits, @wrong) = $attempt->($nth, %$how);

			$total += $hits;
			push @bad, map { join(' ', $nth, keys %$how) . ": $_" } @wrong;

			if (!$hits || @bad > 5) {
				last;
			}

			# a slice: fewer and fewer calls of those that are many

			$step = 1 + int($nth / $plain) if $plain;
		}
	}

	return $total, @bad;
}


sub new {
	my ($class) = @_;
	my $self = bless { file => File::Temp->new() }, $class;

	$self->_write('', (0) x 8);

	return $self;
}


# what nginx has to have in its environment

sub env {
	my ($self) = @_;

	return FAULTS_FILE => $self->{file}->filename(), LD_PRELOAD => $library,
		ASAN_OPTIONS => join ',', 'verify_asan_link_order=0',
			$ENV{ASAN_OPTIONS} || ();
}


sub arm {
	my ($self, $call, $nth, %o) = @_;

	croak "no call $call" if !$error{$call};

	$self->_write($call, 1, $nth, $o{forever} // 0, $o{half} // 0,
		$o{error} // $error{$call}, $o{size} // 0, 0, 0);
}


# the number of calls and of failures since arm()

sub disarm {
	my ($self) = @_;
	my $fh = $self->{file};
	my $all;

	sysseek($fh, 0, 0);
	sysread($fh, $all, length pack(FORMAT, '', (0) x 8));

	my (undef, @control) = unpack(FORMAT, $all);

	$self->_write('', (0) x 8);

	return @control[6, 7];
}


sub _write {
	my ($self, @control) = @_;

	sysseek($self->{file}, 0, 0);
	syswrite($self->{file}, pack(FORMAT, @control)) or croak "faults: $!";
}

1;
