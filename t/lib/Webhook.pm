package Webhook;

# A client that posts webhooks as nobody should.  post() sends one and returns
# the answer { status, reason, headers, body, json, interim, time, closed };
# new() and run() do the same for many at once.
#
#	post($port, $body, every => 1, pause => 0.001);
#	Webhook::run(map { Webhook->new($port, $_) } @bodies);
#
# Options:
#
#	key, secret		Basic credentials; key => undef: none
#	method, uri, headers	headers are lines
#	length			of Content-Length, if it is to be wrong
#	chunked => n		in chunks of n bytes
#	every => n		in writes of n bytes
#	cuts => [ offset, ... ]	in writes that end at these bytes of the body
#	pause => s		between two writes
#	expect => 1		waits for 100 (Continue)
#	stop => n		ends after n bytes of the body
#	end			after the last byte: 'half' closes our side, 'close'
#				and 'reset' do not wait for an answer
#	keepalive => 1		keeps the connection
#	after			a client whose connection is to be used
#	raw			bytes in place of a request
#	timeout => s		for all of it, 30 unless set

use warnings;
use strict;

use base 'Exporter';

our @EXPORT = qw(post event events webhook mapped cuts SECRET KEY);

use Carp;
use Errno qw(EAGAIN EINTR EWOULDBLOCK);
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Socket qw(SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

use constant {
	KEY => '0123456789abcdef0123456789abcdef',
	SECRET => 'CJdAK9fWEn4dH2UzKht37sAM',
};


# a server may close its end at any time, and the answer may be there already

$SIG{PIPE} = 'IGNORE';


sub new {
	my ($class, $port, $body, %o) = @_;
	my $self = bless { in => '', start => time(), timeout => 30, %o }, $class;

	if ($o{after}) {
		@$self{qw(socket in)} = @{ $o{after} }{qw(socket in)};

	} else {
		$self->{socket} = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
			PeerPort => $port, Timeout => 10) or croak "connect: $@";
		setsockopt($self->{socket}, IPPROTO_TCP, TCP_NODELAY, 1);
		$self->{socket}->blocking(0);
	}

	my @pieces = defined $o{raw} ? () : _pieces($body, \%o);
	my $head = $o{raw} // request_head(length $body, %o);

	if ($o{every} && !$o{chunked}) {
		@pieces = unpack("(a$o{every})*", join '', $head, @pieces);

	} elsif ($o{expect} || $o{cuts}) {
		unshift @pieces, $head;

	} else {
		$pieces[0] = $head . ($pieces[0] // '');
	}

	for (@pieces) {
		push @{ $self->{todo} }, [ send => $_ ],
			$o{pause} ? [ wait => $o{pause} ] : ();
	}

	if ($o{expect}) {
		splice @{ $self->{todo} }, 1, 0, [ 'continue' ];
	}

	push @{ $self->{todo} }, $o{end} ? [ $o{end} ] : ();

	return $self;
}


sub post {
	my ($port, $body, %o) = @_;
	my $client = Webhook->new($port, $body, %o);

	run($client);

	return $client->{response};
}


# the start of a request with a body of so many bytes

sub request_head {
	my ($length, %o) = @_;
	my $key = exists $o{key} ? $o{key} : KEY;
	my @headers = ('Host: localhost');

	push @headers, 'User-Agent: SendGrid Event API',
		'Content-Type: application/json;charset=utf-8', @{ $o{headers} || [] };

	if (defined $key) {
		push @headers, 'Authorization: Basic '
			. encode_base64("$key:" . ($o{secret} // SECRET), '');
	}

	push @headers, $o{chunked} ? 'Transfer-Encoding: chunked'
		: 'Content-Length: ' . ($o{length} // $length);
	push @headers, 'Expect: 100-continue' if $o{expect};
	push @headers, 'Connection: close' if !$o{keepalive};

	return ($o{method} // 'POST') . ' ' . ($o{uri} // '/sendgrid')
		. " HTTP/1.1\r\n" . join('', map { "$_\r\n" } @headers) . "\r\n";
}


sub _pieces {
	my ($body, $o) = @_;

	if (defined $o->{stop}) {
		$body = substr($body, 0, $o->{stop});
	}

	if ($o->{chunked}) {
		my @chunks = map { sprintf("%x\r\n%s\r\n", length $_, $_) }
			unpack("(a$o->{chunked})*", $body);

		push @chunks, "0\r\n\r\n" if !defined $o->{stop};

		return $o->{every} ? unpack("(a$o->{every})*", join '', @chunks)
			: $o->{pause} ? @chunks : join('', @chunks);
	}

	if ($o->{cuts}) {
		my @at = (0, @{ $o->{cuts} }, length $body);

		return map { substr($body, $at[$_ - 1], $at[$_] - $at[$_ - 1]) }
			1 .. $#at;
	}

	return $body;
}


# n places to cut a body, always the same for a seed

sub cuts {
	my ($body, $n, $seed) = @_;

	srand($seed);
	my %at = map { 1 + int(rand(length($body) - 1)) => 1 } 1 .. $n;

	return [ sort { $a <=> $b } keys %at ];
}


# until all clients have their answers

sub run {
	my (@clients) = @_;
	my %open = map { fileno($_->{socket}) => $_ } @clients;

	for (@clients) {
		$_->{response} = $_->_response() if $_->{in} ne '';
	}

	while (%open) {
		my ($read, $write) = (IO::Select->new(), IO::Select->new());
		my $timeout = 1;
		my $now = time();

		for my $fd (keys %open) {
			my $c = $open{$fd};
			my $left = $c->{start} + $c->{timeout} - $now;

			$c->_send($now);

			if ($c->{response} || $left <= 0) {
				$c->{response} ||= { status => 0, body => '', timed_out => 1,
					time => $now - $c->{start}, headers => {} };
				$c->_finish();
				delete $open{$fd};
				next;
			}

			$left = $c->{until} - $now if defined $c->{until};
			$timeout = $left if $left < $timeout;

			$read->add($c->{socket});
			$write->add($c->{socket}) if $c->{blocked};
		}

		next if !%open;

		my ($r) = IO::Select::select($read, $write, undef,
			$timeout > 0 ? $timeout : 0);

		for (@{ $r || [] }) {
			$open{fileno $_}->_read();
		}
	}

	return map { $_->{response} } @clients;
}


sub _send {
	my ($self, $now) = @_;
	my $s = $self->{socket};

	$self->{blocked} = 0;

	while (my $do = $self->{todo}[0]) {
		my ($what, $arg) = @$do;

		return if $self->{response};

		if ($what eq 'send') {
			my $n = syswrite($s, $arg);

			if (!defined $n && ($! == EAGAIN || $! == EWOULDBLOCK)) {
				$self->{blocked} = 1;
				return;
			}

			# an answer may be there although nobody reads

			if (!defined $n) {
				$self->{todo} = [];
				return;
			}

			if ($n < length $arg) {
				$do->[1] = substr($arg, $n);
				next;
			}

		} elsif ($what eq 'wait') {
			$self->{until} //= $now + $arg;

			return if $self->{until} > $now;

			delete $self->{until};

		} elsif ($what eq 'continue') {
			return if !$self->{interim};

		} elsif ($what eq 'half') {
			shutdown($s, 1);

		} else {
			if ($what eq 'reset') {
				setsockopt($s, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0));
			}

			$self->{response} = { status => 0, body => '', headers => {} };
			return;
		}

		shift @{ $self->{todo} };
	}
}


sub _read {
	my ($self) = @_;
	my $n = sysread($self->{socket}, $self->{in}, 1048576, length $self->{in});

	if (!defined $n && ($! == EAGAIN || $! == EWOULDBLOCK || $! == EINTR)) {
		return;
	}

	$self->{closed} = !$n;
	$self->{response} = $self->_response();

	if (!$self->{response} && $self->{closed}) {
		$self->{response} = { status => 0, body => $self->{in}, closed => 1,
			headers => {}, time => time() - $self->{start} };
	}
}


# the answer, if all of it is there

sub _response {
	my ($self) = @_;
	my ($head, $body) = $self->{in} =~ /^(.*?\r\n)\r\n(.*)/s or return;
	my ($status, $reason) = $head =~ m!^HTTP/1\.[01] (\d+) ?(.*?)\r\n!
		or return;

	if ($status < 200) {
		$self->{interim} = 1;
		$self->{in} = $body;
		return $self->_response();
	}

	my %headers;

	for (split /\r\n/, $head =~ s/^.*?\r\n//r) {
		my ($name, $value) = split /:\s*/, $_, 2;
		$headers{lc $name} = $value;
	}

	my $length = $headers{'content-length'};
	my $rest = '';

	if (($headers{'transfer-encoding'} // '') eq 'chunked') {
		($body, $rest) = _dechunk($body) or return;

	} elsif (defined $length) {
		return if length $body < $length;
		($body, $rest) = (substr($body, 0, $length), substr($body, $length));

	} elsif (!$self->{closed}) {
		return;
	}

	$self->{in} = $rest;

	return { status => $status, reason => $reason, head => $head,
		headers => \%headers, body => $body, interim => $self->{interim},
		json => scalar(eval { JSON::PP::decode_json($body) }),
		time => time() - $self->{start} };
}


sub _dechunk {
	my ($in) = @_;
	my $out = '';

	while ($in =~ s/^([0-9a-f]+)\r\n//i) {
		my $n = hex $1;

		return if length $in < $n + 2;

		$out .= substr($in, 0, $n);
		substr($in, 0, $n + 2, '');

		return $out, $in if $n == 0;
	}

	return;
}


sub _finish {
	my ($self) = @_;

	if (!$self->{keepalive}) {
		close $self->{socket};
	}
}

###############################################################################

# an event as SendGrid writes it, of about 425 bytes; members that are given
# as JSON text replace those of the same name, or are added

sub event {
	my ($id, %members) = @_;

	my @all = (
		email => qq("user$id\@example.com"),
		timestamp => 1700000000 + ($id =~ /(\d+)$/ ? $1 : 0),
		'smtp-id' => '"<14c5d75ce93.dfd.64b469@ismtpd-555>"',
		event => '"open"',
		category => '["newuser","transactional"]',
		sg_event_id => qq("event-$id"),
		sg_message_id => '"14c5d75ce93.dfd.64b469.filter0001.16648.5515E0.0"',
		sg_machine_open => 'false',
		useragent => '"Mozilla/5.0 (iPhone; CPU iPhone OS 7_1_2 like Mac OS X)'
			. ' AppleWebKit/537.51.2"',
		ip => '"203.0.113.9"',
		order_id => qq("order-$id"),
	);

	my @text;

	for my $i (0 .. $#all / 2) {
		my ($name, $value) = @all[2 * $i, 2 * $i + 1];
		$value = delete $members{$name} if exists $members{$name};
		push @text, qq("$name":$value) if defined $value;
	}

	push @text, map { qq("$_":$members{$_}) } sort keys %members;

	return '{' . join(',', @text) . '}';
}


sub events {
	my ($n, $prefix, %members) = @_;
	$prefix //= '';

	return map { event("$prefix$_", %members) } 1 .. $n;
}


# a webhook, with SendGrid's own line ends

sub webhook {
	return '[' . join(",\r\n", @_) . "]\r\n";
}


# what Amplitude has to get for an event of event()

sub mapped {
	my ($text, %o) = @_;
	my ($user) = $text =~ /"email":"([^"]*)"/;
	my ($name) = $text =~ /"event":"([^"]*)"/;
	my ($time) = $text =~ /"timestamp":(\d+)/;
	my ($id) = $text =~ /"sg_event_id":"([^"]*)"/;

	return qq({"user_id":"$user","event_type":"[Sendgrid] $name",)
		. qq("time":${time}000,"insert_id":"$id","library":"sendgrid",)
		. qq("event_properties":$text});
}

1;
