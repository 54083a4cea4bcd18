package Amplitude::Contract;

# The contract of Amplitude's HTTP V2 API: what it demands of a request, what
# it answers, and what it stores.  Stricter than Amplitude: keys and headers
# that the gateway has no reason to send are broken rules too.  Settings are
# max_bytes, max_events, headers, keep (see Amplitude).

use warnings;
use strict;

use base qw(Scripted::Contract Exporter);

our @EXPORT_OK = qw(unquote values_of);

use Time::HiRes qw(time);

# strings without lone surrogates, and values of any depth

my $hex = qr/[0-9A-Fa-f]/;

my $string = qr/"(?:[^"\\\x00-\x1f]++|\\(?:["\\\/bfnrt]
	|u(?:[0-9A-CEFa-cef]$hex{3}|[Dd][0-7]$hex{2}
		|[Dd][89ABab]$hex{2}\\u[Dd][C-Fc-f]$hex{2})))*+"/x;

my $number = qr/-?+(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[Ee][+-]?+[0-9]++)?+/;

my $ws = qr/[ \t\r\n]*+/;

my $value = qr/(?<V>$string|$number|true|false|null
	|\{$ws(?:$string$ws:$ws(?&V)$ws(?:,$ws$string$ws:$ws(?&V)$ws)*+)?+\}
	|\[$ws(?:(?&V)$ws(?:,$ws(?&V)$ws)*+)?+\])/x;

my %type = (
	user_id => $string, event_type => $string, insert_id => $string,
	library => $string, ip => $string, time => qr/-?+[0-9]++/,
	event_properties => qr/\{.*\}/s,
);

my @required = qw(user_id event_type insert_id library event_properties);

my %reserved = map { $_ => 1 } '', '{}', '0', '-1',
	'00000000-0000-0000-0000-000000000000', qw(anonymous nil none null
	n/a na undefined unknown lmy47d);

my %unquoted = (b => "\b", f => "\f", n => "\n", r => "\r", t => "\t");

###############################################################################

sub clear {
	my ($self) = @_;

	@$self{qw(stored accepted)} = ({}, 0);
	$self->SUPER::clear();
}


# notes the events as { parsed }: [ user_id, insert_id, text ] of each

sub check {
	my ($self, $request) = @_;
	my $bad = [];

	$request->{parsed} = [];
	$self->_headers($request, $bad);

	if (@$bad) {
		return $bad, _answer(400, error => '"Invalid request path"');
	}

	my $answer = $self->_body($request, $bad);

	$request->{events} = @{ $request->{parsed} };

	return $bad, $answer;
}


sub _body {
	my ($self, $request, $bad) = @_;
	my $body = $request->{body};

	if (length $body >= $self->{max_bytes}) {
		push @$bad, 'payload of ' . length($body) . ' bytes';
		return _answer(413, error => '"Payload too large"');
	}

	my ($events, $members) = _payload(\$body);

	if (!ref $events) {
		push @$bad, "$events: " . _excerpt($body);
		return _answer(400, error => '"Invalid JSON request body"');
	}

	$request->{parsed} = $events;

	if (@$events > $self->{max_events}) {
		push @$bad, @$events . ' events';
		return _answer(413, error => '"Payload too large"');
	}

	my $key = $members->{api_key};

	if (!defined $key || $key !~ /^".+"$/) {
		push @$bad, 'api_key: ' . (defined $key ? $key : 'missing');
		return _answer(400, error => '"Request missing required field"',
			missing_field => '"api_key"');
	}

	if (($members->{options} // '') ne '{"min_id_length":1}') {
		push @$bad, 'options: ' . ($members->{options} // 'missing');
	}

	if (!@$events) {
		push @$bad, 'no events';
	}

	return _events($events, $bad);
}


# steps of the script

sub wants {
	my ($self, $step, $request) = @_;
	my $events = $request->{parsed};

	if ($step->{max_events} && @$events <= $step->{max_events}) {
		return 0;
	}

	my @named = grep { $_ } @$step{qw(refuse throttle quota)};

	for my $re (map { ref $_ ? values %$_ : $_ } @named) {
		return 1 if grep { $_->[2] =~ /$re/ } @$events;
	}

	return !@named;
}


sub answer {
	my ($self, $step, $request) = @_;

	return $step->{max_events}
			? _answer(413, error => '"Payload too large"')
		: $step->{refuse} ? _refuse($step, $request->{parsed})
		: $step->{throttle} || $step->{quota}
			? _throttle($step, $request->{parsed})
		: $self->SUPER::answer($step, $request);
}


sub _refuse {
	my ($step, $events) = @_;
	my $name = $step->{name} // 'all';
	my $kind = $step->{kind} // 'events_with_invalid_fields';
	my $re = ref $step->{refuse} ? $step->{refuse}
		: { time => $step->{refuse} };
	my %where;

	for my $field ($name eq 'none' ? () : keys %$re) {
		my @i = grep { $events->[$_][2] =~ /$re->{$field}/ } 0 .. $#$events;

		$#i = 0 if @i && $name eq 'first';
		$where{$field} = '[' . join(',', @i) . ']' if @i;
	}

	return _answer($step->{status} // 400,
		error => '"Invalid field values on some events"', !%where ? ()
			: $kind eq 'silenced_events' ? ($kind => values %where)
			: ($kind => _object(\%where)));
}


sub _throttle {
	my ($step, $events) = @_;
	my $name = $step->{name} // 'all';
	my (%users, %quota, @i);

	for my $i (0 .. $#$events) {
		my ($user, undef, $text) = @{ $events->[$i] };

		$user =~ s/(["\\])/\\$1/g;

		if ($step->{throttle} && $text =~ /$step->{throttle}/) {
			$users{$user} = 31;
			push @i, $i;
		}

		if ($step->{quota} && $text =~ /$step->{quota}/) {
			$quota{$user} = 500200;
		}
	}

	return _answer(429,
		error => '"Too many requests for some devices and users"',
		eps_threshold => 30, $name eq 'none' ? () : (
		$name eq 'events' ? () : (throttled_users => _object(\%users)),
		!%quota ? () : (exceeded_daily_quota_users => _object(\%quota)),
		$name eq 'users' ? ()
			: (throttled_events => '[' . join(',', @i) . ']')));
}


sub reply {
	my ($self, $request, $step) = @_;

	return _answer(200,
		events_ingested => $step->{ingested} // $request->{events},
		payload_size_bytes => length $request->{body},
		server_upload_time => int(time() * 1000));
}


sub error {
	my ($self, $status) = @_;
	return _answer($status, error => '"Test"');
}


sub success {
	my ($self, $status) = @_;
	return $status == 200;
}


sub store {
	my ($self, $request) = @_;

	for my $event (@{ $request->{parsed} }) {
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


sub _answer {
	my ($status, @members) = @_;

	return { status => $status, headers => [ 'Trace-Id: Root=1-test' ],
		members => [ code => $status, @members ] };
}


# a JSON object of values that are JSON

sub _object {
	my ($map) = @_;

	return '{' . join(',', map { qq("$_":$map->{$_}) } sort keys %$map) . '}';
}

###############################################################################

sub unquote {
	my ($s) = @_;

	if ($s =~ /^"([^\\]*)"$/) {
		return $1;
	}

	$s =~ s/^"|"$//g;
	$s =~ s/\\u([Dd][89ABab]..)\\u([Dd][C-Fc-f]..)/_utf8(0x10000
		+ ((hex($1) - 0xd800) << 10) + hex($2) - 0xdc00)/ge;
	$s =~ s/\\(?:u(....)|(.))/defined $1 ? _utf8(hex $1)
		: $unquoted{$2} \/\/ $2/ge;

	return $s;
}


# the text of each value of a JSON array, or of the one value that it is

sub values_of {
	my ($text) = @_;
	my @values;

	$text =~ /\G$ws\[/gc;

	while ($text =~ /\G$ws,?$ws($value)/gc) {
		push @values, $1;
	}

	return @values;
}


sub _headers {
	my ($self, $request, $bad) = @_;
	my $headers = $request->{headers};

	if ($request->{method} ne 'POST') {
		push @$bad, "method $request->{method}";
	}

	if ($request->{uri} !~ m!^/(?:2/httpapi|batch)$!) {
		push @$bad, "path $request->{uri}";
	}

	if (lc($headers->{'content-type'} // '') !~ m!^application/json(?:;|$)!) {
		push @$bad, 'Content-Type: ' . ($headers->{'content-type'} // '');
	}

	if (!defined $headers->{'content-length'}) {
		push @$bad, 'no Content-Length';
	}

	for (sort keys %$headers) {
		next if /^(?:host|connection|content-type|content-length)$/;
		next if $self->{headers} && /^(?:$self->{headers})$/;

		push @$bad, "header $_";
	}

	for (grep { $headers->{$_} =~ /\0/ } sort keys %$headers) {
		push @$bad, "header $_ twice";
	}
}


# the events and the other members, or what is wrong

sub _payload {
	my ($body) = @_;
	my (%members, @events);

	if ($$body =~ /[\x80-\xff]/) {
		my $copy = $$body;

		if (!utf8::decode($copy)
			|| $$body =~ /\xed[\xa0-\xbf]|\xf4[\x90-\xbf]|[\xf5-\xff]/)
		{
			return 'not UTF-8';
		}
	}

	$$body =~ /\G$ws\{$ws/gc or return 'no object';

	do {
		$$body =~ /\G($string)$ws:$ws/gc or return 'no name';

		my $name = unquote($1);

		if (exists $members{$name}) {
			return "$name twice";
		}

		if ($name eq 'events') {
			my $error = _array($body, \@events);
			return $error if $error;
			$members{$name} = 1;

		} else {
			$$body =~ /\G($value)$ws/gc or return 'no value';
			$members{$name} = $1;
		}
	} while ($$body =~ /\G,$ws/gc);

	if ($$body !~ /\G\}$ws\z/gc) {
		return 'no end at ' . (pos($$body) // 0);
	}

	if (!delete $members{events}) {
		return 'no events member';
	}

	for (grep { !/^(?:api_key|options)$/ } sort keys %members) {
		return "member $_";
	}

	return \@events, \%members;
}


sub _array {
	my ($body, $events) = @_;

	$$body =~ /\G\[$ws/gc or return 'events is no array';

	while ($$body =~ /\G\{$ws/gc) {
		my $from = pos($$body) - 1;
		my %event;

		while ($$body =~ /\G($string)$ws:$ws($value)$ws,?$ws/gc) {
			return "$1 twice in an event" if exists $event{$1};
			$event{$1} = $2;
		}

		$$body =~ /(?<!,)\G\}/gc or return 'no member at '
			. (pos($$body) // 0);
		push @$events, [ \%event, undef, substr($$body, $from,
			pos($$body) - $from) ];
		$$body =~ /\G$ws(?:,$ws(?=\{))?/gc;
	}

	$$body =~ /\G\]$ws/gc or return 'no event at ' . (pos($$body) // 0);

	return '';
}


# replaces members by their user_id and insert_id, returns an answer if an
# event is wrong

sub _events {
	my ($events, $bad) = @_;
	my (%missing, %invalid, $reserved);

	for my $i (0 .. $#$events) {
		my %event = %{ $events->[$i][0] };
		my $say = sub { push @$bad, "event $i: @_: "
			. _excerpt($events->[$i][2]) };

		%event = map { unquote($_) => $event{$_} } keys %event;

		for (grep { !exists $event{$_} } @required) {
			push @{ $missing{$_} }, $i;
			$say->("no $_");
		}

		for (sort keys %event) {
			if (!$type{$_} || $event{$_} !~ /^$type{$_}\z/) {
				push @{ $invalid{$_} }, $i;
				$say->("bad $_");
			}
		}

		for (qw(user_id event_type insert_id)) {
			if (defined $event{$_} && $event{$_} !~ /\S/) {
				push @{ $invalid{$_} }, $i;
				$say->("blank $_");
			}
		}

		my $user = unquote($event{user_id} // '""');
		my $chars = $user;

		utf8::decode($chars);

		if ($reserved{lc $user} || $user =~ /^\s|\s$/
			|| length($chars) > 1024)
		{
			$reserved = 1;
			$say->('user_id not allowed');
		}

		if (($event{library} // '') ne '"sendgrid"') {
			$say->('library');
		}

		@{ $events->[$i] }[0, 1] = ($user, unquote($event{insert_id} // ''));
	}

	if (%missing || %invalid) {
		$_ = '[' . join(',', @$_) . ']' for values %missing, values %invalid;

		return _answer(400,
			error => '"Invalid field values on some events"',
			events_with_missing_fields => _object(\%missing),
			events_with_invalid_fields => _object(\%invalid));
	}

	return $reserved || @$bad ? _answer(400, error => '"Bad request"') : undef;
}


sub _utf8 {
	my $c = chr(shift);

	utf8::encode($c);

	return $c;
}


sub _excerpt {
	my ($s) = @_;

	return length($s) > 400 ? substr($s, 0, 400) . '...' : $s;
}

1;
