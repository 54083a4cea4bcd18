package Scripted::Server;

# The process behind Scripted.pm: one loop over all connections, which never
# blocks.  What a connection has to do is a list of [ send => bytes ],
# [ wait => seconds ], [ done => request ], [ close => 1 ], [ reset => 1 ] and
# [ stall => 1 ].  With TLS a connection has { greeting } until the handshake
# is done.

use warnings;
use strict;

use Errno qw(EAGAIN EINTR EWOULDBLOCK);
use IO::Select;
use Socket qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY);
use Storable qw(nfreeze thaw);
use Time::HiRes qw(time);

use base 'Exporter';

our @EXPORT_OK = qw(message);

my %reason = (200 => 'OK', 201 => 'Created', 202 => 'Accepted',
	204 => 'No Content', 302 => 'Found', 400 => 'Bad Request',
	401 => 'Unauthorized', 403 => 'Forbidden', 404 => 'Not Found',
	408 => 'Request Timeout', 413 => 'Request Entity Too Large',
	414 => 'Request-URI Too Large', 429 => 'Too Many Requests',
	500 => 'Internal Server Error', 502 => 'Bad Gateway',
	503 => 'Service Unavailable', 504 => 'Gateway Timeout');

# what a test may ask the server itself

my %own = map { $_ => 1 } qw(requests violations in_flight max_in_flight
	connections);


sub new {
	my ($class, %self) = @_;
	my $self = bless { %self }, $class;

	$self->{conns} = {};
	$self->{connections} = 0;
	$self->clear();

	if ($self->{tls}) {
		require IO::Socket::SSL;

		$self->{ssl} = IO::Socket::SSL::SSL_Context->new(SSL_server => 1,
			SSL_cert_file => $self->{tls}{certificate},
			SSL_key_file => $self->{tls}{key})
			or die "tls: $IO::Socket::SSL::SSL_ERROR\n";
	}

	return $self;
}


# what is left of the last test

sub clear {
	my ($self) = @_;

	@$self{qw(steps requests violations)} = ([], [], []);
	@$self{qw(in_flight max_in_flight)} = (0, 0);
	$self->{contract}->clear();
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

		if ($self->{ssl}) {
			IO::Socket::SSL->start_SSL($s, SSL_server => 1,
				SSL_startHandshake => 0, SSL_reuse_ctx => $self->{ssl});
		}

		$self->{connections}++;
		$self->{conns}{fileno $s} = { socket => $s, in => '', todo => [],
			n => $self->{connections}, greeting => defined $self->{ssl} };
		$self->{read}->add($s);
	}
}


# goes on with the handshake; returns whether it is done

sub _greet {
	my ($self, $c) = @_;

	if ($c->{socket}->accept_SSL()) {
		$c->{greeting} = 0;
		$c->{sni} = $c->{socket}->get_servername();
		return 1;
	}

	if ($IO::Socket::SSL::SSL_ERROR != IO::Socket::SSL::SSL_WANT_READ()
		&& $IO::Socket::SSL::SSL_ERROR != IO::Socket::SSL::SSL_WANT_WRITE())
	{
		$self->_close($c);
	}

	return 0;
}


sub _read {
	my ($self, $c) = @_;

	if ($c->{greeting} && !$self->_greet($c)) {
		return;
	}

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
			connection => $c->{n}, time => time(), body => '', status => 0,
			$self->{ssl} ? (sni => $c->{sni}) : (),
			_head(substr($c->{in}, 0, $end + 4, '')) };

		push @{ $self->{requests} }, $request;

		if (++$self->{in_flight} > $self->{max_in_flight}) {
			$self->{max_in_flight} = $self->{in_flight};
		}

		if ($self->_step($request, 1)) {
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

	# a body without a length would be taken for the next request

	if (!defined $length && ($request->{method} =~ /^(?:POST|PUT|PATCH)$/
		|| defined $request->{headers}{'transfer-encoding'}))
	{
		push @{ $c->{todo} }, [ close => 1 ];
	}

	if (!$self->{keep}) {
		$request->{body} = '';
	}

	$self->_work($c, time());
}


# what the head of a request says

sub _head {
	my ($head) = @_;
	my ($line, @lines) = split /\r\n/, $head;
	my ($method, $uri) = split / /, $line;
	my ($path, $arguments) = split /\?/, $uri // '', 2;
	my %headers;

	for (@lines) {
		my ($name, $value) = split /:\s*/, $_, 2;
		my $old = $headers{lc $name};

		$headers{lc $name} = defined $old ? "$old\0$value" : $value;
	}

	return head => $head, method => $method, uri => $uri, path => $path,
		arguments => $arguments, headers => \%headers;
}


# the first step that wants this request, at this time

sub _step {
	my ($self, $request, $early) = @_;

	for my $step (@{ $self->{steps} }) {
		if ($step->{times} < 0
			|| $early != (($step->{reset} // '') eq 'early')
			|| !$self->_wants($step, $request, $early))
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


# the body, and what a contract asks of it, are not there early

sub _wants {
	my ($self, $step, $request, $early) = @_;

	if (defined $step->{chance} && rand() >= $step->{chance}) {
		return 0;
	}

	if (defined $step->{line}
		&& "$request->{method} $request->{uri}" !~ /$step->{line}/)
	{
		return 0;
	}

	if ($early) {
		return 1;
	}

	if (defined $step->{match} && $request->{body} !~ /$step->{match}/) {
		return 0;
	}

	if ($step->{max_bytes} && length $request->{body} <= $step->{max_bytes}) {
		return 0;
	}

	return $self->{contract}->wants($step, $request);
}


sub _answer {
	my ($self, $request) = @_;
	my $contract = $self->{contract};

	$contract->due();

	my ($bad, $answer) = $contract->check($request);

	push @{ $self->{violations} }, map { "request $request->{n}: $_" } @$bad;

	my $step = $answer ? {} : $self->_step($request, 0) || {};

	if ($step->{max_bytes}) {
		$step = { status => 413, %$step };
	}

	$answer //= $contract->answer($step, $request);
	$request->{status} = $step->{status} // $answer->{status};

	my $store = $step->{store} // ($contract->success($request->{status})
		&& !$step->{stall} && ($step->{reset} // '') ne 'before');

	if ($store && $step->{later}) {
		my %copy = %$request;
		$contract->later($step->{later}, sub { $contract->store(\%copy) });

	} elsif ($store) {
		$contract->store($request);
	}

	delete $request->{parsed};

	my @todo = $step->{delay} ? [ wait => $step->{delay} ] : ();

	if ($step->{reset}) {
		return [ @todo, [ done => $request ], [ reset => 1 ] ];
	}

	if ($step->{stall}) {
		return [ @todo, [ stall => 1 ] ];
	}

	return [ @todo, $self->_response($step, $request, $answer) ];
}


sub _response {
	my ($self, $step, $request, $answer) = @_;
	my $status = $request->{status};
	my $body = $step->{body} // $answer->{body}
		// _object($answer->{members} || [], $step->{pad});
	my $type = $step->{type} // ($body =~ /^\s*</ ? 'text/html'
		: 'application/json');
	my $framing = $step->{framing} // 'length';
	my $close = $framing eq 'close' || defined $step->{cut} || $step->{close};

	my $head = "HTTP/1.1 $status " . ($reason{$status} // 'Test') . "\r\n"
		. "Content-Type: $type\r\n"
		. join('', map { "$_\r\n" } @{ $answer->{headers} || [] },
			@{ $step->{headers} || [] })
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


# a JSON object, with long strings behind its first member and at its end

sub _object {
	my ($members, $pad) = @_;
	my @all = @$members;

	if ($pad) {
		my ($before, $after) = map { '"' . ('x' x ($_ // 0)) . '"' }
			@$pad[0, 1];

		splice @all, 2, 0, before => $before;
		push @all, after => $after;
	}

	return '{' . join(',', map { qq("$all[2 * $_]":$all[2 * $_ + 1]) }
		0 .. @all / 2 - 1) . '}';
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

			return $self->_close($c, $what eq 'reset');
		}

		shift @{ $c->{todo} };
	}

	$self->_parse($c);
}


# a reset connection ends without a farewell of TLS

sub _close {
	my ($self, $c, $reset) = @_;

	if ($c->{request}) {
		$self->{in_flight}--;
	}

	delete $self->{conns}{fileno $c->{socket}};
	$self->{read}->remove($c->{socket});
	$self->{write}->remove($c->{socket});
	$c->{socket}->close($reset && $self->{ssl} ? (SSL_no_shutdown => 1) : ());
}


# a command of the test, and its answer

sub _control {
	my ($self) = @_;
	my $command = message($self->{control}) or return 0;
	my ($name, @args) = @$command;
	my $answer;

	$self->{contract}->due();

	if ($name eq 'script') {
		$self->{steps} = [ @args ];

	} elsif ($name eq 'clear') {
		$self->clear();

	} elsif ($name eq 'set') {
		$self->{contract}->set(@args);

	} elsif ($name eq 'open') {
		$answer = keys %{ $self->{conns} };

	} elsif ($own{$name}) {
		$answer = $self->{$name};

	} else {
		$answer = $self->{contract}->state($name);
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
