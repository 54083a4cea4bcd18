package Amplitude::Server;

# The process behind Amplitude.pm: one loop over all connections, which never
# blocks.  What a connection has to do is a list of [ send => bytes ],
# [ wait => seconds ], [ done => request ], [ close => 1 ], [ reset => 1 ] and
# [ stall => 1 ].

use warnings;
use strict;

use Errno qw(EAGAIN EINTR EWOULDBLOCK);
use IO::Select;
use Socket qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY);
use Storable qw(nfreeze thaw);
use Time::HiRes qw(time);

use Amplitude::Contract qw(check);

use base 'Exporter';

our @EXPORT_OK = qw(message);

my %reason = (200 => 'OK', 302 => 'Found', 400 => 'Bad Request',
	403 => 'Forbidden', 404 => 'Not Found', 408 => 'Request Timeout',
	413 => 'Request Entity Too Large', 429 => 'Too Many Requests',
	500 => 'Internal Server Error', 502 => 'Bad Gateway',
	503 => 'Service Unavailable', 504 => 'Gateway Timeout');


sub new {
	my ($class, %self) = @_;
	my $self = bless { %self }, $class;

	$self->{conns} = {};
	$self->{connections} = 0;
	$self->clear();

	return $self;
}


# what is left of the last test

sub clear {
	my ($self) = @_;

	@$self{qw(steps requests violations)} = ([], [], []);
	@$self{qw(stored accepted in_flight max_in_flight)} = ({}, 0, 0, 0);
}


# until the other end of the control socket is closed

sub run {
	my ($self) = @_;
	my ($listen, $control) = @$self{qw(listen control)};
	my $read = IO::Select->new($listen, $control);
	my $write = IO::Select->new();

	@$self{qw(read write)} = ($read, $write);
	$listen->blocking(0);

	while (1) {
		my $now = time();
		my $timeout;

		for my $c (values %{ $self->{conns} }) {
			$self->_work($c, $now);

			if (defined $c->{until} && (!defined $timeout
				|| $c->{until} - $now < $timeout))
			{
				$timeout = $c->{until} - $now;
			}
		}

		if (defined $timeout && $timeout < 0) {
			$timeout = 0;
		}

		my ($r, $w) = IO::Select::select($read, $write, undef, $timeout);

		for my $s (@{ $r || [] }) {
			if ($s == $listen) {
				$self->_accept();

			} elsif ($s == $control) {
				$self->_control() or return;

			} elsif (defined fileno $s) {
				$self->_read($self->{conns}{fileno $s});
			}
		}
	}
}


sub _accept {
	my ($self) = @_;

	while (my $s = $self->{listen}->accept()) {
		$s->blocking(0);
		setsockopt($s, IPPROTO_TCP, TCP_NODELAY, 1);

		$self->{connections}++;
		$self->{conns}{fileno $s} = { socket => $s, in => '', todo => [],
			n => $self->{connections} };
		$self->{read}->add($s);
	}
}


sub _read {
	my ($self, $c) = @_;

	while (1) {
		my $n = sysread($c->{socket}, $c->{in}, 1048576, length $c->{in});

		if (!defined $n && $! == EINTR) {
			next;
		}

		if (!defined $n && ($! == EAGAIN || $! == EWOULDBLOCK)) {
			last;
		}

		if (!$n) {
			return $self->_close($c);
		}
	}

	$self->_parse($c);
}


# the next request, unless the last one is not answered yet

sub _parse {
	my ($self, $c) = @_;

	if (@{ $c->{todo} } || $c->{in} eq '') {
		return;
	}

	if (!$c->{request}) {
		my $end = index($c->{in}, "\r\n\r\n");

		if ($end == -1) {
			return;
		}

		my $request = $c->{request} = { n => scalar @{ $self->{requests} },
			connection => $c->{n}, time => time(), events => 0, body => '',
			head => substr($c->{in}, 0, $end + 4, ''), status => 0 };

		my ($line, @headers) = split /\r\n/, $request->{head};

		@$request{qw(method uri)} = split / /, $line;

		for (@headers) {
			my ($name, $value) = split /:\s*/, $_, 2;
			my $old = $request->{headers}{lc $name};

			$request->{headers}{lc $name} = defined $old
				? "$old\0$value" : $value;
		}

		push @{ $self->{requests} }, $request;

		if (++$self->{in_flight} > $self->{max_in_flight}) {
			$self->{max_in_flight} = $self->{in_flight};
		}

		if ($self->_step($request, 'early')) {
			$c->{todo} = [ [ reset => 1 ] ];
			return $self->_work($c, time());
		}
	}

	my $request = $c->{request};
	my $length = $request->{headers}{'content-length'};

	if (defined $length && length $c->{in} < $length) {
		return;
	}

	$request->{body} = substr($c->{in}, 0, $length // 0, '');
	$c->{todo} = $self->_answer($request);

	if (!defined $length) {
		push @{ $c->{todo} }, [ close => 1 ];
	}

	if (!$self->{keep}) {
		$request->{body} = '';
	}

	$self->_work($c, time());
}


# the first step that wants this request, at this time

sub _step {
	my ($self, $request, $early) = @_;

	for my $step (@{ $self->{steps} }) {
		if ($early ? ($step->{reset} // '') ne 'early'
			: ($step->{reset} // '') eq 'early')
		{
			next;
		}

		if ($step->{times} < 0
			|| ($early ? rand() >= ($step->{chance} // 1)
				: !_wants($step, $request)))
		{
			next;
		}

		if ($step->{times} == 1) {
			$step->{times} = -1;

		} elsif ($step->{times}) {
			$step->{times}--;
		}

		return $step;
	}

	return;
}


sub _wants {
	my ($step, $request) = @_;

	if (defined $step->{chance} && rand() >= $step->{chance}) {
		return 0;
	}

	if (defined $step->{match} && $request->{body} !~ /$step->{match}/) {
		return 0;
	}

	if ($step->{max_bytes} || $step->{max_events}) {
		return ($step->{max_bytes}
				&& length $request->{body} > $step->{max_bytes})
			|| ($step->{max_events}
				&& @{ $request->{list} } > $step->{max_events});
	}

	for my $regexps (grep { $_ } @$step{qw(refuse throttle quota)}) {
		for my $re (ref $regexps ? values %$regexps : $regexps) {
			return 1 if grep { $_->[2] =~ /$re/ } @{ $request->{list} };
		}
	}

	return !$step->{refuse} && !$step->{throttle} && !$step->{quota};
}


sub _answer {
	my ($self, $request) = @_;
	my ($bad, $status, $members, $events) = check($request, $self->{limits});

	$request->{list} = $events;
	$request->{events} = @$events;
	push @{ $self->{violations} }, map { "request $request->{n}: $_" } @$bad;

	my $step = $status ? {} : $self->_step($request, 0) || {};

	if (!$status) {
		($status, $members) = $self->_judge($step, $request);
	}

	delete $request->{list};
	$request->{status} = $status;

	my $store = $step->{store} // ($status == 200 && !$step->{stall}
		&& ($step->{reset} // '') ne 'before');

	if ($store) {
		$self->_store($events);
	}

	my @todo = $step->{delay} ? [ wait => $step->{delay} ] : ();

	if ($step->{reset}) {
		return [ @todo, [ done => $request ], [ reset => 1 ] ];
	}

	if ($step->{stall}) {
		return [ @todo, [ stall => 1 ] ];
	}

	return [ @todo, $self->_response($step, $request, $status, $members) ];
}


# status and members of the body that a step wants; no members: its own body

sub _judge {
	my ($self, $step, $request) = @_;
	my $list = $request->{list};
	my $named = ($step->{name} // 'all') eq 'none' ? sub { }
		: ($step->{name} // 'all') eq 'first' ? sub { $_[0] } : sub { @_ };

	my $where = sub {
		my ($re) = @_;
		return grep { $list->[$_][2] =~ /$re/ } 0 .. $#$list;
	};

	if ($step->{max_bytes} || $step->{max_events}) {
		return 413, [ error => '"Payload too large"' ];
	}

	if ($step->{refuse}) {
		my $re = ref $step->{refuse} ? $step->{refuse}
			: { time => $step->{refuse} };
		my %where = map { my @i = $named->($where->($re->{$_}));
			@i ? ($_ => '[' . join(',', @i) . ']') : () } keys %$re;
		my $kind = $step->{kind} // 'events_with_invalid_fields';

		return $step->{status} // 400, [
			error => '"Invalid field values on some events"', !%where ? ()
				: $kind eq 'silenced_events' ? ($kind => values %where)
				: ($kind => _object(\%where)) ];
	}

	if ($step->{throttle} || $step->{quota}) {
		my (%users, %quota, @i);

		for my $i (0 .. $#$list) {
			my $user = $list->[$i][0] =~ s/(["\\])/\\$1/gr;

			if ($step->{throttle} && $list->[$i][2] =~ /$step->{throttle}/) {
				$users{$user} = 31;
				push @i, $i;
			}

			if ($step->{quota} && $list->[$i][2] =~ /$step->{quota}/) {
				$quota{$user} = 500200;
			}
		}

		my $which = $step->{name} // 'all';

		return 429, [
			error => '"Too many requests for some devices and users"',
			eps_threshold => 30, $which eq 'none' ? () : (
			$which eq 'events' ? () : (throttled_users => _object(\%users)),
			!%quota ? () : (exceeded_daily_quota_users => _object(\%quota)),
			$which eq 'users' ? ()
				: (throttled_events => '[' . join(',', @i) . ']')) ];
	}

	my $status = $step->{status} // 200;

	return $status, $status == 200
		? [ events_ingested => $step->{ingested} // scalar @$list,
			payload_size_bytes => length $request->{body},
			server_upload_time => int(time() * 1000) ]
		: [ error => '"Test"' ];
}


sub _object {
	my ($map) = @_;

	return '{' . join(',', map { qq("$_":$map->{$_}) } sort keys %$map) . '}';
}


sub _response {
	my ($self, $step, $request, $status, $members) = @_;
	my $body = $step->{body};

	if (!defined $body) {
		my ($before, $after) = map { '"' . ('x' x ($_ // 0)) . '"' }
			@{ $step->{pad} || [] }[0, 1];
		my @all = (code => $status, !$step->{pad} ? @$members
			: (before => $before, @$members, after => $after));

		$body = '{' . join(',', map { qq("$all[2 * $_]":$all[2 * $_ + 1]) }
			0 .. @all / 2 - 1) . '}';
	}

	my $type = $step->{type} // ($body =~ /^\s*</ ? 'text/html'
		: 'application/json');
	my $framing = $step->{framing} // 'length';
	my $close = $framing eq 'close' || defined $step->{cut} || $step->{close};

	my $head = "HTTP/1.1 $status " . ($reason{$status} // 'Test') . "\r\n"
		. "Content-Type: $type\r\nTrace-Id: Root=1-test\r\n"
		. join('', map { "$_\r\n" } @{ $step->{headers} || [] })
		. ($close ? "Connection: close\r\n" : '');

	if ($framing eq 'length') {
		$head .= 'Content-Length: ' . length($body) . "\r\n";

	} elsif ($framing eq 'chunked') {
		$head .= "Transfer-Encoding: chunked\r\n";
		$body = join('', map { sprintf("%x\r\n%s\r\n", length $_, $_) }
			unpack('(a1000)*', $body)) . "0\r\n\r\n";
	}

	if (defined $step->{cut}) {
		$body = substr($body, 0, $step->{cut});
	}

	my @bytes = ($step->{interim} ? "HTTP/1.1 $step->{interim} Test\r\n\r\n"
		: '') . "$head\r\n$body";

	if ($step->{every}) {
		@bytes = unpack("(a$step->{every})*", $bytes[0]);
	}

	return (map { ([ send => $_ ], $step->{every} && $step->{pause}
			? [ wait => $step->{pause} ] : ()) } @bytes),
		[ done => $request ], $close ? [ close => 1 ] : ();
}


sub _store {
	my ($self, $events) = @_;

	for my $event (@$events) {
		my $key = "$event->[0]\0$event->[1]";

		$self->{accepted}++;

		if ($self->{stored}{$key}) {
			$self->{stored}{$key}{times}++;
			next;
		}

		$self->{stored}{$key} = { times => 1,
			text => $self->{keep} ? $event->[2] : '' };
	}
}


sub _work {
	my ($self, $c, $now) = @_;
	my $s = $c->{socket};

	while (my $do = $c->{todo}[0]) {
		my ($what, $arg) = @$do;

		if ($what eq 'send') {
			my $n = syswrite($s, $arg);

			if (!defined $n && ($! == EAGAIN || $! == EWOULDBLOCK)) {
				return $self->{write}->add($s);
			}

			if (!defined $n) {
				return $self->_close($c);
			}

			if ($n < length $arg) {
				$do->[1] = substr($arg, $n);
				next;
			}

			$self->{write}->remove($s);

		} elsif ($what eq 'wait') {
			$c->{until} //= $now + $arg;

			return if $c->{until} > $now;

			delete $c->{until};

		} elsif ($what eq 'done') {
			$arg->{answered} = $now;
			$self->{in_flight}--;
			delete $c->{request};

		} elsif ($what eq 'stall') {
			return;

		} else {
			if ($what eq 'reset') {
				setsockopt($s, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
			}

			return $self->_close($c);
		}

		shift @{ $c->{todo} };
	}

	$self->_parse($c);
}


sub _close {
	my ($self, $c) = @_;

	if ($c->{request}) {
		$self->{in_flight}--;
	}

	delete $self->{conns}{fileno $c->{socket}};
	$self->{read}->remove($c->{socket});
	$self->{write}->remove($c->{socket});
	close $c->{socket};
}


# a command of the test, and its answer

sub _control {
	my ($self) = @_;
	my $command = message($self->{control}) or return 0;
	my ($name, @args) = @$command;
	my $answer;

	if ($name eq 'script') {
		$self->{steps} = [ @args ];

	} elsif ($name eq 'clear') {
		$self->clear();

	} elsif ($name eq 'set') {
		$self->{limits} = { %{ $self->{limits} }, @args };

	} elsif ($name eq 'open') {
		$answer = keys %{ $self->{conns} };

	} else {
		$answer = $self->{$name};
	}

	return message($self->{control}, [ $answer ]);
}


# sends a message to the other process, or returns the next one from it

sub message {
	my ($socket, $message) = @_;

	if (!defined $message) {
		my $size = _bytes($socket, 4) // return;

		return thaw(_bytes($socket, unpack('N', $size)) // return);
	}

	my $data = nfreeze($message);

	$data = pack('N', length $data) . $data;

	while ($data ne '') {
		my $n = syswrite($socket, $data) // return;
		substr($data, 0, $n, '');
	}

	return 1;
}


sub _bytes {
	my ($socket, $n) = @_;
	my $data = '';

	while (length $data < $n) {
		sysread($socket, $data, $n - length $data, length $data)
			or return;
	}

	return $data;
}

1;
