package Amplitude;

# A strict stand-in for Amplitude, in a process of its own:
#
#	my $amp = Amplitude->new();     # listens on $amp->port()
#	$amp->script({ status => 503, times => 2 }, ...);
#	...
#	$amp->requests();
#
# A request that breaks the contract (Amplitude::Contract) is answered 400 and
# goes to violations().  Any other is answered by the first step of the script
# that wants it, and with a plain 200 if there is none.  Events of a request
# that was answered 200 are stored; one that is there already (same user_id,
# same insert_id) is not stored again.
#
# A step has
#
#	times => n		requests it answers, 0: all; 1 unless set
#	chance => p		only some of the requests
#	match => regexp		only requests with such a body
#	max_bytes, max_events	only requests above it, answered 413
#	refuse => regexp	only requests with such an event, answered 400; or
#				{ field => regexp, ... }
#	throttle, quota		likewise, answered 429
#	name			what refuse names: 'all', 'first' of each field,
#				'none'; and throttle: 'all', 'users', 'events',
#				'none'
#	kind			member that names what is refused, or
#				'silenced_events'
#	status, headers, body	of the answer; a body that is not set is JSON
#	file			body from t/data/amplitude, status from its name
#	ingested		events_ingested, if not all
#	pad => [ n, m ]		bytes added to the JSON: at its start, at its end
#	store => 0 or 1		whatever the status
#	delay => seconds	before the answer
#	reset			'early': before the body was read, 'before' or
#				'after' the events were stored
#	stall => 1		no answer
#	framing			'length', 'chunked' or 'close'
#	cut => n		bytes of the body to send, and then to close
#	every => n, pause => s	answer sent in pieces of n bytes
#	interim => 103		an answer before the answer
#	close => 1		no keepalive

use warnings;
use strict;

use Carp;
use FindBin;
use IO::Handle;
use IO::Socket::INET;
use POSIX ();
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);

use Amplitude::Server qw(message);


sub new {
	my ($class, %options) = @_;

	my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1:0',
		Listen => 1024) or croak "listen: $@";

	socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC)
		or croak "socketpair: $!";

	my $pid = fork() // croak "fork: $!";

	if ($pid == 0) {
		close $ours;
		$SIG{PIPE} = 'IGNORE';
		$SIG{INT} = $SIG{TERM} = 'DEFAULT';

		my $ok = eval {
			Amplitude::Server->new(listen => $listen, control => $theirs,
				keep => $options{keep} // 1, limits => {
					max_bytes => $options{max_bytes} // 1000000,
					max_events => $options{max_events} // 2000,
					headers => $options{headers},
				})->run();
			1;
		};

		warn $@ if !$ok;
		POSIX::_exit($ok ? 0 : 1);
	}

	return bless { pid => $pid, control => $ours, owner => $$,
		port => $listen->sockport() }, $class;
}


sub port {
	return $_[0]{port};
}


# replaces what is left of the last script

sub script {
	my ($self, @steps) = @_;

	for my $step (@steps) {
		$step = { %$step, times => $step->{times} // 1 };

		if (defined $step->{file}) {
			($step->{body}, $step->{status}) = recorded($step->{file});
		}

		# what crosses to the other process is plain text

		for (@$step{qw(match refuse throttle quota)}) {
			next if !defined $_;

			my $set = $_;
			$_ = ref $set eq 'HASH'
				? { map { $_ => "$set->{$_}" } keys %$set } : "$set";
		}
	}

	return $self->_ask('script', @steps);
}


# body and status of a recorded answer

sub recorded {
	my ($name) = @_;
	my ($status) = $name =~ /^(\d+)/;

	open my $fh, '<:raw', "$FindBin::Bin/data/amplitude/$name"
		or croak "$name: $!";
	local $/;

	return scalar <$fh>, $status;
}


# [ { method, uri, headers, head, body, status, events, time, answered,
# connection }, ... ] in the order of arrival

sub requests {
	return @{ $_[0]->_ask('requests') };
}


sub violations {
	return @{ $_[0]->_ask('violations') };
}


# { "user_id\0insert_id" => { text, times }, ... }

sub stored {
	return $_[0]->_ask('stored');
}


# the text of each stored event

sub events {
	return map { $_->{text} } values %{ $_[0]->stored() };
}


# events in requests that were answered 200

sub accepted {
	return $_[0]->_ask('accepted');
}


sub in_flight {
	return $_[0]->_ask('in_flight');
}


sub max_in_flight {
	return $_[0]->_ask('max_in_flight');
}


# connections since the start, and those that are open

sub connections {
	return $_[0]->_ask('connections');
}


sub open_connections {
	return $_[0]->_ask('open');
}


sub clear {
	return $_[0]->_ask('clear');
}


# max_bytes, max_events, headers

sub set {
	my ($self, %limits) = @_;
	return $self->_ask('set', %limits);
}


sub stop {
	my ($self) = @_;

	if ($self->{control} && $self->{owner} == $$) {
		close delete $self->{control};
		local $?;
		waitpid($self->{pid}, 0);
	}
}


sub DESTROY {
	$_[0]->stop();
}


sub _ask {
	my ($self, @command) = @_;

	message($self->{control}, \@command);

	my $answer = message($self->{control}) or croak 'Amplitude is gone';

	return $answer->[0];
}


1;
