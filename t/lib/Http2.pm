package Http2;

# A client that posts a webhook over HTTP/2 frame by frame:
#
#	my $c = Http2->new($port, uri => '/sendgrid', length => n);
#	$c->data('[', end => 0);
#	$c->data(']', end => 1);
#	$c->reset();
#	$c->answer(5);   # { status, body, json, reset } or nothing in 5 seconds
#
# length is that of the header Content-Length, which is left out without it.
# The windows are not looked at: nginx allows 64 KB before it has read a body.

use warnings;
use strict;

use Carp;
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Time::HiRes qw(time);

use Webhook ();

use constant {
	DATA => 0, HEADERS => 1, RST_STREAM => 3, SETTINGS => 4, PING => 6,
	GOAWAY => 7, END_STREAM => 1, END_HEADERS => 4, ACK => 1, CANCEL => 8,
};

# names and values of HPACK's static table, of those that begin an answer

my %status = (8 => 200, 9 => 204, 10 => 206, 11 => 304, 12 => 400, 13 => 404,
	14 => 500);


sub new {
	my ($class, $port, %o) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
		PeerPort => $port, Timeout => 10) or croak "connect: $@";
	my $self = bless { socket => $socket, in => '' }, $class;
	my $key = exists $o{key} ? $o{key} : Webhook::KEY;
	my @headers = (':method' => $o{method} // 'POST', ':scheme' => 'http',
		':path' => $o{uri} // '/sendgrid', ':authority' => 'localhost',
		'content-type' => 'application/json', @{ $o{headers} || [] });

	if (defined $key) {
		push @headers, authorization => 'Basic '
			. encode_base64("$key:" . Webhook::SECRET, '');
	}

	if (defined $o{length}) {
		push @headers, 'content-length' => $o{length};
	}

	$self->_write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	$self->_frame(SETTINGS, 0, 0, '');
	$self->_frame(HEADERS, END_HEADERS | ($o{end} ? END_STREAM : 0), 1,
		_literals(@headers));

	return $self;
}


# fields that are not indexed, their names and values as they are

sub _literals {
	my (@fields) = @_;
	my $out = '';

	while (my ($name, $value) = splice @fields, 0, 2) {
		$out .= "\0" . _integer(length $name) . $name
			. _integer(length $value) . $value;
	}

	return $out;
}


sub _integer {
	my ($n) = @_;

	return chr $n if $n < 127;

	$n -= 127;
	my $out = "\x7f";

	while ($n >= 128) {
		$out .= chr($n % 128 + 128);
		$n = int($n / 128);
	}

	return $out . chr $n;
}


sub data {
	my ($self, $bytes, %o) = @_;

	return $self->_frame(DATA, $o{end} ? END_STREAM : 0, 1, $bytes);
}


sub reset {
	my ($self) = @_;

	return $self->_frame(RST_STREAM, 0, 1, pack('N', CANCEL));
}


sub close {
	my ($self) = @_;

	return CORE::close($self->{socket});
}


sub _frame {
	my ($self, $type, $flags, $stream, $payload) = @_;

	return $self->_write(substr(pack('N', length $payload), 1)
		. pack('CCN', $type, $flags, $stream) . $payload);
}


sub _write {
	my ($self, $bytes) = @_;

	while ($bytes ne '') {
		my $n = syswrite($self->{socket}, $bytes) // return 0;
		substr($bytes, 0, $n, '');
	}

	return 1;
}


sub answer {
	my ($self, $seconds) = @_;
	my $until = time() + $seconds;
	my %answer = (body => '');

	while (1) {
		while (my ($type, $flags, $stream, $payload) = $self->_next()) {

			if ($type == SETTINGS && !($flags & ACK)) {
				$self->_frame(SETTINGS, ACK, 0, '');
			}

			if ($type == GOAWAY) {
				return { %answer, reset => unpack('x4 N', $payload) };
			}

			next if $stream != 1;

			$answer{status} = _status($payload) if $type == HEADERS;
			$answer{body} .= $payload if $type == DATA;

			if ($type == RST_STREAM) {
				return { %answer, reset => unpack('N', $payload) };
			}

			if ($flags & END_STREAM && ($type == DATA || $type == HEADERS)) {
				$answer{json} = eval {
					JSON::PP::decode_json($answer{body}) };
				return \%answer;
			}
		}

		my $left = $until - time();

		return if $left <= 0;

		if (IO::Select->new($self->{socket})->can_read($left)) {
			my $n = sysread($self->{socket}, $self->{in}, 65536,
				length $self->{in});

			return { %answer, closed => 1 } if !$n;
		}
	}
}


# the next frame that is there as a whole

sub _next {
	my ($self) = @_;

	return if length $self->{in} < 9;

	my ($high, $low, $type, $flags, $stream) = unpack('CnCCN', $self->{in});
	my $length = $high * 65536 + $low;

	return if length $self->{in} < 9 + $length;

	my $payload = substr($self->{in}, 9, $length);
	substr($self->{in}, 0, 9 + $length, '');

	return ($type, $flags, $stream & 0x7fffffff, $payload);
}


sub _status {
	my ($block) = @_;

	# a change of the table's size may come first

	$block =~ s/^[\x20-\x3f]//;

	my $first = ord $block;

	return $first >= 128 ? $status{ $first - 128 }
		: $block =~ /^[\x08\x48\x18]\x03(\d\d\d)/ ? $1 : '?';
}

1;
