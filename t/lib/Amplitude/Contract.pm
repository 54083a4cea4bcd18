package Amplitude::Contract;

# What Amplitude's HTTP V2 API demands of a request, and what it would answer
# to one that breaks a rule.  Stricter than Amplitude: keys and headers that
# the gateway has no reason to send are broken rules too.

use warnings;
use strict;

use base 'Exporter';

our @EXPORT_OK = qw(check unquote values_of);

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

# Checks { method, uri, headers, body } by { max_bytes, max_events, headers }.
# Returns what is wrong, the answer's status and members of its body (nothing
# if all is well), and the events as [ user_id, insert_id, text ].

sub check {
	my ($request, $limits) = @_;
	my ($bad, $body) = ([], $request->{body});

	_headers($request, $limits, $bad);

	if (@$bad) {
		return $bad, 400, [ error => '"Invalid request path"' ], [];
	}

	if (length $body >= $limits->{max_bytes}) {
		push @$bad, 'payload of ' . length($body) . ' bytes';
		return $bad, 413, [ error => '"Payload too large"' ], [];
	}

	my ($events, $members) = _payload(\$body);

	if (!ref $events) {
		push @$bad, "$events: " . _excerpt($body);
		return $bad, 400, [ error => '"Invalid JSON request body"' ], [];
	}

	if (@$events > $limits->{max_events}) {
		push @$bad, @$events . ' events';
		return $bad, 413, [ error => '"Payload too large"' ], $events;
	}

	my $key = $members->{api_key};

	if (!defined $key || $key !~ /^".+"$/) {
		push @$bad, 'api_key: ' . (defined $key ? $key : 'missing');
		return $bad, 400, [ error => '"Request missing required field"',
			missing_field => '"api_key"' ], $events;
	}

	if (($members->{options} // '') ne '{"min_id_length":1}') {
		push @$bad, 'options: ' . ($members->{options} // 'missing');
	}

	if (!@$events) {
		push @$bad, 'no events';
	}

	return $bad, _events($events, $bad), $events;
}


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
	my ($request, $limits, $bad) = @_;
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
		next if $limits->{headers} && /^(?:$limits->{headers})$/;

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


# replaces members by their user_id and insert_id, returns an answer if one
# of them is wrong

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
		return 400, [ error => '"Invalid field values on some events"',
			events_with_missing_fields => _map(\%missing),
			events_with_invalid_fields => _map(\%invalid) ];
	}

	return $reserved || @$bad ? (400, [ error => '"Bad request"' ]) : (0, []);
}


sub _map {
	my ($map) = @_;

	return '{' . join(',', map { qq("$_":[) . join(',', @{ $map->{$_} })
		. ']' } sort keys %$map) . '}';
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
