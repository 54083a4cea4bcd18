package Scripted;

# A server that misbehaves as its script says, in a process of its own.  What
# a request has to be, and what the answer is, a contract knows
# (Scripted::Contract):
#
#	my $server = Scripted->new(contract => Some::Contract->new());
#	$server->script({ status => 503, times => 2 }, ...);
#	...                             # requests to $server->port()
#	$server->requests();
#
# Options of new():
#
#	contract		an object
#	keep => 0		the bodies of requests are not kept
#	folder			of t/data, with recorded answers
#	tls => { certificate => file, key => file }
#
# A request that breaks the contract goes to violations().  Any other request
# is answered by the first step of the script that wants it, and as the
# contract says if there is none.  A step has
#
#	times => n		requests it answers, 0: all; 1 unless set
#	chance => p		only some of the requests
#	line => regexp		only requests with such a request line
#	match => regexp		only requests with such a body
#	max_bytes		only requests with a larger body, answered 413
#	status, headers, body	of the answer; a body that is not set is that of
#				the contract
#	type			Content-Type
#	file			body from the folder of recorded answers, status
#				from its name
#	pad => [ n, m ]		bytes added to the JSON: at its start, at its end
#	store => 0 or 1		whether the request has its effect, whatever the
#				status
#	later => seconds	the effect comes so much later
#	delay => seconds	before the answer
#	reset			'early': before the body was read, 'before' or
#				'after' the request has its effect
#	stall => 1		no answer
#	framing			'length', 'chunked' or 'close'
#	cut => n		bytes of the body to send, and then to close
#	every => n, pause => s	answer sent in pieces of n bytes
#	interim => 103		an answer before the answer
#	close => 1		no keepalive
#
# and what its contract adds.

use warnings;
use strict;

use Carp;
use FindBin;
use IO::Socket::INET;
use POSIX ();
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);

use Scripted::Server qw(message);
use Util qw(slurp);

# a server ends when its control socket is closed, so that no other server may
# have a copy

my %controls;


sub new {
	my ($class, %options) = @_;

	my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1:0',
		Listen => 1024) or croak "listen: $@";

	socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
		or croak "socketpair: $!";

	my $pid = fork() // croak "fork: $!";

	if ($pid == 0) {
		close $_ for $ours, values %controls;
		$SIG{PIPE} = 'IGNORE';
		$SIG{INT} = $SIG{TERM} = 'DEFAULT';

		my $ok = eval {
			Scripted::Server->new(keep => 1, %options, listen => $listen,
				control => $theirs)->run();
			1;
		};

		warn $@ if !$ok;
		POSIX::_exit($ok ? 0 : 1);
	}

	$controls{$pid} = $ours;

	return bless { pid => $pid, control => $ours, owner => $$,
		port => $listen->sockport(), folder => $options{folder} }, $class;
}


sub port {
	return $_[0]{port};
}


# replaces what is left of the last script

sub script {
	my ($self, @steps) = @_;

	for my $step (@steps) {
		$step = _plain({ %$step, times => $step->{times} // 1 });

		if (defined $step->{file}) {
			($step->{body}, $step->{status}) = $self->_recorded($step->{file});
		}
	}

	return $self->ask('script', @steps);
}


# a step with the text of each regexp, since only plain values can be sent to
# the other process

sub _plain {
	my ($value) = @_;

	return ref $value eq 'HASH'
			? { map { $_ => _plain($value->{$_}) } keys %$value }
		: ref $value eq 'Regexp' ? "$value" : $value;
}


# body and status of a recorded answer

sub _recorded {
	my ($self, $name) = @_;
	my ($status) = $name =~ /^(\d+)/;

	return slurp("$FindBin::Bin/data/$self->{folder}/$name"), $status;
}


# [ { method, uri, headers, head, body, status, time, answered, connection },
# ... ] in the order of arrival; with TLS also { sni }

sub requests {
	return @{ $_[0]->ask('requests') };
}


sub violations {
	return @{ $_[0]->ask('violations') };
}


sub in_flight {
	return $_[0]->ask('in_flight');
}


sub max_in_flight {
	return $_[0]->ask('max_in_flight');
}


# connections since the start, and those that are open

sub connections {
	return $_[0]->ask('connections');
}


sub open_connections {
	return $_[0]->ask('open');
}


sub clear {
	return $_[0]->ask('clear');
}


# settings of the contract

sub set {
	my ($self, %settings) = @_;
	return $self->ask('set', %settings);
}


sub stop {
	my ($self) = @_;

	if ($self->{control} && $self->{owner} == $$) {
		delete $controls{$self->{pid}};
		close delete $self->{control};
		local $?;
		waitpid($self->{pid}, 0);
	}
}


sub DESTROY {
	$_[0]->stop();
}


# what the server or the contract has by this name

sub ask {
	my ($self, @command) = @_;

	message($self->{control}, \@command);

	my $answer = message($self->{control}) or croak ref($self) . ' is gone';

	return $answer->[0];
}


1;
