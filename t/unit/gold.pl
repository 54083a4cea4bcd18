#!/usr/bin/perl

# Makes t/data/NAME.gold of t/data/NAME.json by a mapping of its own, which is
# slow and shares nothing with src/core.
# usage: gold.pl [--check] [NAME]...

use warnings;
use strict;

use Digest::SHA qw(sha256_hex);
use FindBin;

# Rules other than the defaults, by the name of the webhook.

my %rules = (
	'api-key' => { api_key => qq{a"b\\c/d\x01\t\xc3\xa9\xff} },
	'batch-events' => { batch_events => 3 },
	'batch-size' => { batch_size => 1500, batch_events => 4 },
	'lowercase' => { lowercase => 'on' },
	'prefix' => { prefix => '' },
	'users' => {
		prefix => 'Mail: ',
		users => "member,cl\xc3\xa9,"
			. 'a_key_that_is_longer_than_any_key_of_sendgrid,email',
		lowercase => 'on'
	},
);

use constant {
	MAX_USER_ID => 1024,
	MS_DIGITS => 12,
	MAX_DIGITS => 18,
	REPLACEMENT => "\xef\xbf\xbd",
};

my %reserved = map { $_ => 1 } qw(
	anonymous nil none null n/a na undefined unknown {} lmy47d 0 -1
	00000000-0000-0000-0000-000000000000
);

# Unicode's table of well-formed byte sequences, and what may begin them

my $TAIL = qr/[\x80-\xbf]/;
my $FORMED = qr/
	[\x00-\x7f] | [\xc2-\xdf]$TAIL
	| \xe0[\xa0-\xbf]$TAIL | [\xe1-\xec\xee\xef]$TAIL$TAIL
	| \xed[\x80-\x9f]$TAIL
	| \xf0[\x90-\xbf]$TAIL$TAIL | [\xf1-\xf3]$TAIL$TAIL$TAIL
	| \xf4[\x80-\x8f]$TAIL$TAIL
/x;
my $BEGUN = qr/
	\xe0[\xa0-\xbf] | [\xe1-\xec\xee\xef]$TAIL | \xed[\x80-\x9f]
	| \xf0[\x90-\xbf]$TAIL? | [\xf1-\xf3]$TAIL$TAIL? | \xf4[\x80-\x8f]$TAIL?
/x;

my $HIGH = qr/\\u[Dd][89ABab][0-9A-Fa-f]{2}/;
my $LOW = qr/\\u[Dd][C-Fc-f][0-9A-Fa-f]{2}/;

###############################################################################

chdir "$FindBin::Bin/../data" or die "chdir: $!\n";

my $check = @ARGV && $ARGV[0] eq '--check' && shift @ARGV;
my @names = @ARGV ? @ARGV : map { s/\.json$//r } sort glob '*.json';
my $bad = 0;

for my $name (@names) {
	my $gold = gold($name);

	if ($check) {
		my $old = -f "$name.gold" ? get("$name.gold") : '';

		if ($old ne $gold) {
			print "$name.gold differs\n";
			$bad++;
		}

		next;
	}

	open my $fh, '>:raw', "$name.gold" or die "$name.gold: $!\n";
	print $fh $gold;
	close $fh or die "$name.gold: $!\n";
}

exit($bad ? 1 : 0);

###############################################################################

sub get {
	my ($file) = @_;

	local $/;

	open my $fh, '<:raw', $file or die "$file: $!\n";
	my $text = <$fh>;
	close $fh;

	return $text;
}

sub gold {
	my ($name) = @_;

	my %r = (
		api_key => '0123456789abcdef0123456789abcdef',
		prefix => '[Sendgrid] ',
		users => 'amp_user_id,email',
		lowercase => 'off',
		batch_events => 1000,
		batch_size => 921600,
		%{ $rules{$name} || {} }
	);

	my $gold = "== rules\n" . join('', map { "$_ " . ($_ eq 'api_key'
		? unpack('H*', $r{$_}) : $r{$_}) . "\n" } sort keys %r);

	my (@payloads, @events, $rejected);
	my $head = '{"api_key":"' . quote($r{api_key}) . '","events":[';
	my $tail = '],"options":{"min_id_length":1}}';
	my $size = length($head) + length($tail);

	my $close = sub {
		push @payloads, $head . join(',', @events) . $tail if @events;
		@events = ();
		$size = length($head) + length($tail);
	};

	my @elements = elements(get("$name.json"), $name);

	for my $i (0 .. $#elements) {
		my ($event, $reason) = map_event(\%r, $elements[$i]);

		if (!defined $event) {
			$rejected .= "== rejected $i $reason\n"
				. "$elements[$i]{raw}\n";
			next;
		}

		if ($size + length($event) + (@events ? 1 : 0) > $r{batch_size}) {
			$close->();
		}

		$size += length($event) + (@events ? 1 : 0);
		push @events, $event;

		$close->() if @events == $r{batch_events};
	}

	$close->();

	return $gold . join('', map { "== payload\n$_\n" } @payloads)
		. ($rejected // '');
}

###############################################################################

# section 2 of the mapping: an event, or undef and the reason

sub map_event {
	my ($r, $element) = @_;

	return (undef, 'not_an_object') if $element->{type} ne 'object';

	my %value = map { $_->[0] => $_->[1] } @{ $element->{members} };

	my $type = $value{event};

	if (!$type || $type->{type} ne 'string'
		|| text($type->{inside}) !~ /\P{White_Space}/)
	{
		return (undef, 'no_event_type');
	}

	my $user;

	for my $key (split /,/, $r->{users}) {
		$user = user_id($value{$key}, $key eq 'email'
			&& $r->{lowercase} eq 'on');
		last if defined $user;
	}

	return (undef, 'no_user_id') if !defined $user;

	my $ms = milliseconds($value{timestamp});
	my $id = $value{sg_event_id};

	$id = $id && $id->{type} eq 'string' && $id->{inside} ne ''
		? repair($id->{inside}) : sha256_hex($element->{raw});

	return qq({"user_id":"$user","event_type":")
		. $r->{prefix} . repair($type->{inside}) . '"'
		. (defined $ms ? qq(,"time":$ms) : '')
		. qq(,"insert_id":"$id","library":"sendgrid","event_properties":)
		. repair($element->{raw}) . '}';
}

sub user_id {
	my ($value, $lowercase) = @_;

	return undef if !$value;
	return undef if $value->{type} ne 'string'
		&& $value->{type} ne 'number';

	my @c = characters($value->{inside});

	shift @c while @c && $c[0][0] =~ /\p{White_Space}/;
	pop @c while @c && $c[-1][0] =~ /\p{White_Space}/;

	return undef if !@c || @c > MAX_USER_ID;
	return undef if $reserved{ join('', map { $_->[0] } @c) =~ tr/A-Z/a-z/r };

	return join '', map {
		$lowercase && $_->[0] =~ /^[A-Z]$/ ? lc($_->[0]) : $_->[1]
	} @c;
}

sub milliseconds {
	my ($value) = @_;

	return undef if !$value;

	my ($i, $f, $e) = ('', '', 0);

	if ($value->{type} eq 'number') {
		return undef if $value->{inside} =~ /^-/;

		$value->{inside} =~ /^(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/
			or die "not a number: $value->{inside}\n";
		($i, $f, $e) = ($1, $2 // '', $3 // 0);

	} elsif ($value->{type} eq 'string') {
		return undef if $value->{inside} !~ /^([0-9]+)(?:\.([0-9]+))?\z/;

		($i, $f) = ($1, $2 // '');

	} else {
		return undef;
	}

	return 0 if "$i$f" !~ /[1-9]/;
	return undef if $e > 100;
	return 0 if $e < -100;

	# moves the point

	while ($e > 0) {
		$i .= length($f) ? substr($f, 0, 1, '') : '0';
		$e--;
	}

	while ($e < 0) {
		$f = (length($i) ? chop $i : '0') . $f;
		$e++;
	}

	$i =~ s/^0+//;

	if (length($i) < MS_DIGITS) {
		$i .= substr("${f}000", 0, 3);
		$i =~ s/^0+//;
	}

	return undef if length($i) > MAX_DIGITS;

	return $i eq '' ? 0 : $i;
}

###############################################################################

# the inside of a JSON string: [ character, its well-formed bytes ], ...

sub characters {
	my ($s) = @_;

	my %short = (b => "\b", f => "\f", n => "\n", r => "\r", t => "\t");
	my @c;

	pos($s) = 0;

	while (pos($s) < length($s)) {
		if ($s =~ /\G($HIGH)($LOW)/gc) {
			my ($h, $l) = map { hex(substr($_, 2)) } $1, $2;
			push @c, [ chr(0x10000 + (($h & 0x3ff) << 10) + ($l & 0x3ff)),
				"$1$2" ];

		} elsif ($s =~ /\G(?:$HIGH|$LOW)/gc) {
			push @c, [ "\x{fffd}", REPLACEMENT ];

		} elsif ($s =~ /\G(\\u([0-9A-Fa-f]{4}))/gc) {
			push @c, [ chr(hex($2)), $1 ];

		} elsif ($s =~ /\G(\\(.))/gcs) {
			push @c, [ $short{$2} // $2, $1 ];

		} elsif ($s =~ /\G($FORMED)/gc) {
			my $bytes = my $c = $1;
			utf8::decode($c);
			push @c, [ $c, $bytes ];

		} elsif ($s =~ /\G(?:$BEGUN|.)/gcs) {
			push @c, [ "\x{fffd}", REPLACEMENT ];
		}
	}

	return @c;
}

sub text {
	return join '', map { $_->[0] } characters($_[0]);
}

sub repair {
	return join '', map { $_->[1] } characters($_[0]);
}

# bytes of a configuration as the inside of a JSON string

sub quote {
	my ($s) = @_;

	$s =~ s/($FORMED)|$BEGUN|./$1 \/\/ REPLACEMENT/gse;
	$s =~ s/(["\\])/\\$1/g;
	$s =~ s/([\x00-\x1f])/sprintf('\\u%04x', ord($1))/ge;

	return $s;
}

###############################################################################

# the elements of a webhook, which has to be well-formed

sub elements {
	my ($s, $name) = @_;

	$s =~ s/^\xef\xbb\xbf//;
	pos($s) = 0;

	my $value = value(\$s);

	$s =~ /\G[ \t\r\n]*\z/gc or die "$name: text after the end\n";

	return $value if $value->{type} eq 'object';
	return @{ $value->{elements} };
}

sub value {
	my ($s) = @_;

	my %v = (type => 'other', elements => [], members => []);
	my $fail = sub { die 'malformed at ' . pos($$s) . ": $_[0]\n" };

	$$s =~ /\G[ \t\r\n]+/gc;

	my $start = pos($$s);

	if ($$s =~ /\G"((?:[^"\\\x00-\x1f]|\\(?:["\\\/bfnrt]|u[0-9A-Fa-f]{4}))*)"/gc)
	{
		$v{type} = 'string';
		$v{inside} = $1;

	} elsif ($$s =~ /\G(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)/gc)
	{
		$v{type} = 'number';
		$v{inside} = $1;

	} elsif ($$s =~ /\G(?:true|false|null)/gc) {
		# no text

	} elsif ($$s =~ /\G([\[{])[ \t\r\n]*/gc) {
		my $object = $1 eq '{';
		my $end = $object ? qr/\G\}/ : qr/\G\]/;
		my $n = 0;

		$v{type} = $object ? 'object' : 'array';

		while ($$s !~ /$end/gc) {
			if ($n++) {
				$$s =~ /\G,[ \t\r\n]*/gc or $fail->('no comma');
			}

			my $key;

			if ($object) {
				$key = value($s);
				$key->{type} eq 'string' or $fail->('no key');
				$$s =~ /\G[ \t\r\n]*:/gc or $fail->('no colon');
			}

			my $value = value($s);

			if ($object) {
				my $name = text($key->{inside});
				utf8::encode($name);
				push @{ $v{members} }, [ $name, $value ];

			} else {
				push @{ $v{elements} }, $value;
			}

			$$s =~ /\G[ \t\r\n]+/gc;
		}

	} else {
		$fail->('no value');
	}

	$v{raw} = substr($$s, $start, pos($$s) - $start);

	return \%v;
}
