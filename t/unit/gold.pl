#!/usr/bin/perl

# Makes t/data/NAME.gold of t/data/NAME.json by a mapping of its own, which is
# slow and shares nothing with src/core.
# usage: gold.pl [--check] [NAME]...

use warnings;
use strict;

use Digest::SHA qw(hmac_sha256_hex sha256_hex);
use FindBin;
use Socket qw(inet_pton AF_INET AF_INET6);
use Time::Local qw(timegm_modern);

# Rules other than the defaults, by the name of the webhook.

my @ten = ('email', 'ip', '', "caf\xc3\xa9", 'a"b\\c', "a\x01b", '__proto__',
	'event_properties', 'a key', "\xf0\x9f\x98\x80");

my %rules = (
	'rules-drop' => { drop => \@ten },
	'rules-keep' => { keep => [ @ten, 'event', 'user_id' ] },
	'rules-hash' => { hash => \@ten },
	'rules-hmac' => { hash => [ @ten, 'sg_event_id', 'amp_user_id', 'nothing' ],
		hash_key => "k\x00\xff", users => 'amp_user_id,nothing,email',
		lowercase => 'on' },
	'rules-hmac-long' => { hash => [ 'email' ], hash_key => 'k' x 65,
		drop => [ 'email' ] },
	'rules-keep-hash' => { keep => [ 'email', 'x', "\xef\xbf\xbd" ],
		hash => [ 'email', 'y', 'amp_user_id' ] },
	'rules-addresses' => { hash => [ 'email', 'to' ] },
	'rules-many' => { hash => [ 'a' ], drop => [ 'b' ],
		properties => [ [ 'b', 'new' ], [ 'c', 'new' ] ] },
	'rules-names' => { event_names => [ [ 'open', 'Opened "it" \\' ],
		[ 'machine_open', "Opened by a machine\t" ],
		[ 'teleported', "T\xc3\xa9l\xff" ], [ "\xc3\xa9v\xc3\xa9nement", 'E' ],
		[ 'other', 'O' ] ] },
	'rules-events' => { events => [ 'open', 'click', 'teleported', 'bounce' ],
		ignore => [ 'bounce', 'dropped' ],
		event_names => [ [ 'click', 'Clicked' ] ] },
	'rules-ignore' => { ignore => [ 'machine_open', 'teleported',
		"\xc3\xa9v\xc3\xa9nement", 'other' ] },
	'rules-properties' => { properties => [ [ 'env', "pro\"d\x01\xff" ],
		[ 'email', 'never' ], [ '', '' ], [ "\xc3\xa9\"", "\xc3\xa9" ] ] },
	'rules-properties-drop' => { properties => [ [ 'env', 'new' ],
		[ 'only', 'one' ] ], drop => [ 'env', 'email', 'event', 'sg_event_id' ] },
	'rules-properties-keep' => { properties => [ [ 'env', 'new' ],
		[ 'email', 'new' ] ], keep => [ 'email' ] },
	'rules-client-ip' => { client_ip => 'on' },
	'rules-client-ip-hash' => { client_ip => 'on', hash => [ 'ip' ] },
	'rules-client-ip-drop' => { client_ip => 'on', drop => [ 'ip' ] },
	'rules-all' => { client_ip => 'on', hash => [ 'email' ],
		drop => [ 'useragent', 'url', 'category' ], hash_key => 'secret',
		ignore => [ 'processed' ], event_names => [ [ 'click', 'Clicked' ] ],
		properties => [ [ 'env', 'eu' ], [ 'order', 'no' ] ] },
	'keys-surrogates' => {
		users => "a?b,a\xef\xbf\xbdb,a\xf0\x90\x80\x80b,c\\u0064,email" },
	'rules-properties-surrogates' => { properties => [ [ 'p?q', 'new' ],
		[ "p\xef\xbf\xbdq", 'new' ] ] },
	'rules-surrogates' => { drop => [ 'a?b', "p\xef\xbf\xbdq", 'c\\u0064',
		"a\xf0\x90\x80\x80b" ], hash => [ "a\xef\xbf\xbdb", 'p?q' ] },
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

my %readers = map { $_ => 1 } qw(
	open click unsubscribe group_unsubscribe group_resubscribe
);

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

# other tests have a use for the functions

main() if !caller;

sub main {
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
}

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

	my $gold = "== rules\n" . join('', map { "$_ " . rule($_, $r{$_}) . "\n" }
		sort keys %r);

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

		if (!defined $event && $reason eq 'ignored') {
			$rejected .= "== ignored $i\n";
			next;
		}

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

# lists as hex, with commas between names and "=" in pairs

sub rule {
	my ($name, $value) = @_;

	return unpack('H*', $value) if $name =~ /key$/;
	return $value if !ref $value;

	return join ',', map { join '=', map { unpack('H*', $_) }
		ref $_ ? @$_ : $_ } @$value;
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

	my $name = lower(text($type->{inside}));

	if ($name eq 'open' && $value{sg_machine_open}
		&& $value{sg_machine_open}{raw} eq 'true')
	{
		$name = 'machine_open';

	} elsif ($name eq 'machine_open') {
		$name = undef;
	}

	my $event_type;

	if (defined $name) {
		utf8::encode($name);

		for (@{ $r->{event_names} || [] }) {
			$event_type = quote($_->[1]) if $_->[0] eq $name;
		}
	}

	return (undef, 'ignored') if $r->{events}
		&& !grep { defined $name && $_ eq $name } @{ $r->{events} };
	return (undef, 'ignored')
		if grep { defined $name && $_ eq $name } @{ $r->{ignore} || [] };

	my %hash = map { $_ => 1 } @{ $r->{hash} || [] };
	my $clear = addresses($r, \%hash, $element);
	my $user;

	$event_type //= $r->{prefix}
		. ($clear->($type->{inside}) // repair($type->{inside}));

	for my $key (split /,/, $r->{users}) {
		$user = user_id($value{$key}, $key eq 'email'
			&& $r->{lowercase} eq 'on') // next;

		$user = $hash{$key} ? hashed($r, $key, $value{$key}, 1)
			: $value{$key}{type} eq 'string'
			? $clear->($value{$key}{inside}) // $user : $user;
		last;
	}

	return (undef, 'no_user_id') if !defined $user;

	my $ms = milliseconds($value{timestamp});
	my $id = $value{sg_event_id};

	$id = !$id || $id->{type} ne 'string' || $id->{inside} eq ''
		? sha256_hex($element->{raw})
		: $hash{sg_event_id} ? hashed($r, 'sg_event_id', $id)
		: $clear->($id->{inside}) // repair($id->{inside});

	my $ip = $r->{client_ip} && !$hash{ip} && defined $name && $readers{$name}
		? address($value{ip}) : undef;

	return qq({"user_id":"$user","event_type":"$event_type")
		. (defined $ms ? qq(,"time":$ms) : '')
		. (defined $ip ? qq(,"ip":"$ip") : '')
		. qq(,"insert_id":"$id","library":"sendgrid","event_properties":)
		. properties($r, \%hash, $clear, $element) . '}';
}

sub lower {
	return $_[0] =~ tr/A-Z/a-z/r;
}

sub cut {
	return text($_[0]) =~ s/^\p{White_Space}+|\p{White_Space}+$//gr;
}

# what a value becomes: of a string its text, of others their JSON

sub hashed {
	my ($r, $key, $value, $cut) = @_;
	my $text = $value->{raw};

	if ($value->{type} eq 'string') {
		$text = $cut || $key eq 'email' ? cut($value->{inside})
			: text($value->{inside});
		$text = lower($text) if $key eq 'email';
		utf8::encode($text);
	}

	return defined $r->{hash_key} ? hmac_sha256_hex($text, $r->{hash_key})
		: sha256_hex($text);
}

# a function that gives the hash of what else must not leave, or undef: of the
# first of the strings that are hashed, and if there are more, of any address

sub addresses {
	my ($r, $hash, $element) = @_;
	my (%clear, $n, $more);

	for (@{ $element->{members} }) {
		my ($name, $value) = @$_;

		next if !$hash->{$name} || $value->{type} ne 'string';

		my $text = lower(cut($value->{inside}));

		next if $text !~ /@/ && ++$n;

		$more = 1 if ++$n > 16;
		$clear{$text} //= hashed($r, $name, $value) if !$more;
	}

	return sub {
		my $text = lower(cut($_[0]));

		return $clear{$text} // ($more && $text =~ /@/
			? hashed($r, 'email', { type => 'string', inside => $_[0] })
			: undef);
	};
}

sub address {
	my ($value) = @_;

	return undef if !$value || $value->{type} ne 'string';

	my $text = text($value->{inside});

	return undef if $text !~ /^[0-9a-fA-F:.]+\z/;
	return inet_pton(AF_INET, $text) || inet_pton(AF_INET6, $text)
		? $text : undef;
}

sub properties {
	my ($r, $hash, $clear, $element) = @_;
	my $raw = $element->{raw};

	if (!grep { $r->{$_} } qw(drop keep hash properties)) {
		return repair($raw);
	}

	my %drop = map { $_ => 1 } @{ $r->{drop} || [] };
	my %keep = map { $_ => 1 } @{ $r->{keep} || [] };
	my ($out, $end, %own) = ('');

	for (@{ $element->{members} }) {
		my ($name, $value, $from, $to, $key) = @$_;

		if ($drop{$name} || $r->{keep} && !$keep{$name}) {
			$end = undef;
			next;
		}

		my $hex;

		if ($hash->{$name}) {
			$hex = hashed($r, $name, $value) if $value->{raw} ne 'null';

		} elsif ($value->{type} eq 'string') {
			$hex = $clear->($value->{inside});
		}

		$own{$name} = 1;

		# white space stays between members that leave as they are

		$out .= defined $end ? substr($raw, $end, $from - $end)
			: $out ne '' ? ',' : '';
		$out .= repair(defined $hex ? $key : substr($raw, $from, $to - $from));
		$out .= qq(:"$hex") if defined $hex;
		$end = defined $hex ? undef : $to;
	}

	# without a filter, there is white space at the ends as well

	if (!grep { $r->{$_} } qw(drop keep hash)) {
		$out = repair($raw) =~ s/^\{|\}$//gr;
	}

	for (@{ $r->{properties} || [] }) {
		next if $own{ $_->[0] };

		$out .= ($out ne '' ? ',' : '') . '"' . quote($_->[0]) . '":"'
			. quote($_->[1]) . '"';
	}

	return "{$out}";
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
		my $text = text($value->{inside});

		# with an escape in it, no more than 64 characters are read

		return undef if length $text > 64 && $value->{inside} =~ /\\/;
		return date($text) if $text !~ /^([0-9]+)(?:\.([0-9]+))?\z/;

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

# RFC 3339, a leap second being the last of a month

sub date {
	my ($text) = @_;

	return undef if $text !~ /^([0-9]{4})-(0[1-9]|1[0-2])-([0-3][0-9])
		[Tt\ ]([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)
		(?:\.([0-9]+))?
		(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))\z/x;

	my ($year, $month, $day, $hour, $minute, $second) = ($1, $2, $3, $4, $5, $6);
	my $ms = substr(($7 // '') . '000', 0, 3);
	my $east = defined $8 ? "${8}1" * ($9 * 60 + $10) * 60 : 0;

	my $midnight = $year >= 1970
		&& eval { timegm_modern(0, 0, 0, $day, $month - 1, $year) };

	return undef if !defined $midnight || $year < 1970;

	my $time = $midnight + ($hour * 60 + $minute) * 60 + $second - $east;

	return undef if $time < 0 || $second == 60 && ($time % 86400 != 0
		|| (gmtime($time))[3] != 1);

	return ($time . $ms) =~ s/^0+(?=.)//r;
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

			my ($key, $from);

			if ($object) {
				$from = pos($$s) - $start;
				$key = value($s);
				$key->{type} eq 'string' or $fail->('no key');
				$$s =~ /\G[ \t\r\n]*:/gc or $fail->('no colon');
			}

			my $value = value($s);

			if ($object) {
				my $name = text($key->{inside});
				utf8::encode($name);
				push @{ $v{members} }, [ $name, $value, $from,
					pos($$s) - $start, $key->{raw} ];

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

1;
