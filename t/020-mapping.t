#!/usr/bin/perl

# What reaches Amplitude for an event, by section of docs/mapping.md.

use warnings;
use strict;

use Test::More;

use Digest::SHA qw(sha256_hex);
use JSON::PP ();

use Amplitude;
use Amplitude::Contract qw(values_of);
use Gateway;
use Webhook;

my $amp = Amplitude->new();
my $gold = gold();
my $ngx = Gateway->new(amplitude => $amp, server => "
	location = /lowercase { sendgrid_amp us; sendgrid_amp_lowercase on; }
	location = /prefix {
		sendgrid_amp us;
		sendgrid_amp_event_prefix 'Ma\xc3\xafl \"x\" ';
	}
	location = /ids {
		sendgrid_amp us;
		sendgrid_amp_user_id customer 'a key' id email;
		sendgrid_amp_lowercase on;
	}
	location = /none { sendgrid_amp us; sendgrid_amp_user_id customer; }
	location = /key {
		sendgrid_amp us;
		sendgrid_amp_api_key '\$arg_a\\\\\$arg_b';
	}
	$gold->{locations}
")->start();

my $json = JSON::PP->new()->utf8()->allow_nonref();
my $long = 'u' x 1024;
my $long2 = "\xc3\xa9" x 1024;

# [ name, members of an event, what is expected besides the defaults, uri ];
# defaults: the user_id is "u@x.com", the rest as for $base; undef: not there

my $base = '"event":"open","sg_event_id":"E1"';
my $mail = '"email":"u@x.com"';

my @table = (
	[ 'an event', qq($mail,"timestamp":1513299569), { time => 1513299569000 } ],

	# user_id

	[ 'amp_user_id first', qq($mail,"amp_user_id":"u1"), { user_id => 'u1' } ],
	[ 'amp_user_id, no email', '"amp_user_id":"u1"', { user_id => 'u1' } ],
	[ 'integer', qq($mail,"amp_user_id":42), { user_id => '42' } ],
	[ 'large integer', qq($mail,"amp_user_id":123456789012345678901234567890),
		{ user_id => '123456789012345678901234567890' } ],
	[ 'fraction', qq($mail,"amp_user_id":1.50), { user_id => '1.50' } ],
	[ 'negative', qq($mail,"amp_user_id":-7), { user_id => '-7' } ],
	[ 'exponent', qq($mail,"amp_user_id":1E5), { user_id => '1E5' } ],
	[ 'zero', qq($mail,"amp_user_id":0), {} ],
	[ 'minus one', qq($mail,"amp_user_id":-1), {} ],
	[ 'null', qq($mail,"amp_user_id":null), {} ],
	[ 'true', qq($mail,"amp_user_id":true), {} ],
	[ 'object', qq($mail,"amp_user_id":{"email":"no"}), {} ],
	[ 'array', qq($mail,"amp_user_id":["no"]), {} ],
	[ 'empty', qq($mail,"amp_user_id":""), {} ],
	[ 'blank', qq($mail,"amp_user_id":" \\t\\r\\n "), {} ],
	[ 'white space around', qq($mail,"amp_user_id":" \\t\\n a b \\r "),
		{ user_id => 'a b' } ],
	[ '1024 characters', qq($mail,"amp_user_id":"$long"),
		{ user_id => $long } ],
	[ '1025 characters', qq($mail,"amp_user_id":"${long}x"), {} ],
	[ '1024 characters of two bytes', qq($mail,"amp_user_id":"$long2"),
		{ user_id => $long2 } ],
	[ '1025 characters of two bytes', qq($mail,"amp_user_id":"${long2}x"),
		{} ],
	[ '1024 characters and white space', qq($mail,"amp_user_id":" $long "),
		{ user_id => $long } ],
	[ 'escapes', $mail . ',"amp_user_id":"\u0041\u00e9\ud83d\ude00\/\"\\\\"',
		{ user_id => "A\xc3\xa9\xf0\x9f\x98\x80/\"\\" } ],
	[ 'UTF-8', qq($mail,"amp_user_id":"Zo\xc3\xab"),
		{ user_id => "Zo\xc3\xab" } ],
	[ 'only in an object', '"pool":{"email":"no@x.com"}', undef ],
	[ 'no email', '"category":"x"', undef ],
	[ 'email null', '"email":null', undef ],
	[ 'email blank', '"email":" "', undef ],
	[ 'last email counts', '"email":"a@x.com","email":"b@x.com"',
		{ user_id => 'b@x.com' } ],
	[ 'last amp_user_id counts', qq("amp_user_id":"a",$mail,"amp_user_id":null),
		{} ],
	[ 'escaped key', '"em\u0061il":"u@x.com"', {} ],
	[ 'name and value of email swapped', '"u@x.com":"email"', undef ],
	[ 'short id', '"email":"a"', { user_id => 'a' } ],
	[ 'case of email', '"email":"User@X.com"', { user_id => 'User@X.com' } ],

	(map { [ "reserved $_", qq($mail,"amp_user_id":"$_"), {} ] }
		qw(anonymous Anonymous NIL none Null null N/A na Undefined UNKNOWN {}
		LMY47D 0 -1 00000000-0000-0000-0000-000000000000)),
	[ 'reserved after trim', qq($mail,"amp_user_id":" NULL "), {} ],
	[ 'reserved in escapes', $mail . ',"amp_user_id":"n\u002fA"', {} ],
	[ 'not reserved', qq($mail,"amp_user_id":"nullable"),
		{ user_id => 'nullable' } ],

	# event_type

	[ 'capital', qq($mail,"event":"Processed"),
		{ event_type => '[Sendgrid] Processed' } ],
	[ 'unknown event', qq($mail,"event":"teleported"),
		{ event_type => '[Sendgrid] teleported' } ],
	[ 'event in UTF-8', qq($mail,"event":"caf\xc3\xa9"),
		{ event_type => "[Sendgrid] caf\xc3\xa9" } ],
	[ 'event in escapes', $mail . ',"event":"o\u0070en \"1\""',
		{ event_type => '[Sendgrid] open "1"' } ],
	[ 'last event counts', qq($mail,"event":"click"),
		{ event_type => '[Sendgrid] click' } ],
	(map { [ "event $_", qq($mail,"event":$_), undef ] }
		qw(null 5 true {} [] "")),

	# time

	[ 'no timestamp', $mail, {} ],
	(map { my ($t, $ms) = @$_; [ "timestamp $t", qq($mail,"timestamp":$t),
		{ time => $ms } ] }
		[ '1513299569', 1513299569000 ], [ '"123456789"', 123456789000 ],
		[ '1513299569.5', 1513299569500 ],
		[ '1513299569.123456', 1513299569123 ],
		[ '1481050260.03746', 1481050260037 ],
		[ '1513299569.9999', 1513299569999 ],
		[ '1591726752372', 1591726752372 ],
		[ '"1591726752372"', 1591726752372 ],
		[ '1591726752372.9', 1591726752372 ],
		[ '100000000000', 100000000000 ], [ '99999999999', 99999999999000 ],
		[ 'null', undef ], [ 'true', undef ], [ '""', undef ],
		[ '"soon"', undef ], [ '[1513299569]', undef ], [ '{}', undef ],
		[ '-5', undef ], [ '1e400', undef ],
		[ '"0001513299569"', 1513299569000 ],
		[ '"2023-11-19T17:13:22.5+01:00"', 1700410402500 ],
		[ '"2023-11-31T17:13:22Z"', undef ]),
	[ 'last timestamp counts', qq("timestamp":1,$mail,"timestamp":2),
		{ time => 2000 } ],

	# insert_id

	[ 'padded id', qq($mail,"sg_event_id":"6g4ZI7SA-xmRDv57GoPIPw=="),
		{ insert_id => '6g4ZI7SA-xmRDv57GoPIPw==' } ],
	[ 'last id counts', qq($mail,"sg_event_id":"E2"), { insert_id => 'E2' } ],
	[ 'long id', qq($mail,"sg_event_id":"$long$long"),
		{ insert_id => $long . $long } ],
	(map { [ "sg_event_id $_", qq($mail,"sg_event_id":$_),
		{ insert_id => 'hash' } ] } qw("" null 5 true ["a"] {"a":1})),

	# event_properties

	[ 'numbers', $mail . ',"n":[0,-0,1.0,1.50,1e5,1E+5,-1.5e-300,'
		. '12345678901234567890123,0.1000000000000000055511151231257827]', {} ],
	[ 'escapes stay', $mail
		. ',"s":"\u0041\u00E9\ud83d\ude00\/\b\f\n\r\t\"\\\\ \u0000"', {} ],
	[ 'an escaped backslash before u', $mail . ',"s":"\\\\ud800 \\\\\\\\udc00"',
		{} ],
	[ 'white space', qq($mail ,\t"s" :\r\n[ 1 , { "a" : null } ] ), {} ],
	[ 'any key', qq($mail,"New Argument 1":"v","":"","a.b":1,"caf\xc3\xa9":2),
		{} ],
	[ 'same key twice', qq($mail,"k":1,"k":2), {} ],
	[ 'nested', qq($mail,"a":{"b":[{"c":[[],{}]}]},"t":true,"f":false), {} ],
	[ 'members of the payload', qq($mail,"user_id":"x","api_key":"y",)
		. '"event_properties":{},"insert_id":5,"library":"z"', {} ],
);

# byte sequences that are no UTF-8, and escapes that are no character: each
# run becomes one or more U+FFFD

my @repaired = (
	[ 'lone byte', "a\xffb", "a\x{fffd}+b" ],
	[ 'lone continuation', "a\x80b", "a\x{fffd}+b" ],
	[ 'overlong', "a\xc0\xafb", "a\x{fffd}+b" ],
	[ 'cut sequence', "a\xe2\x82b", "a\x{fffd}+b" ],
	[ 'cut sequence at the end', "a\xf0\x9f\x98", "a\x{fffd}+" ],
	[ 'surrogate', "a\xed\xa0\x80b", "a\x{fffd}+b" ],
	[ 'above U+10FFFF', "a\xf4\x90\x80\x80b", "a\x{fffd}+b" ],
	[ 'Latin-1', "caf\xe9", "caf\x{fffd}+" ],
	[ 'lone high escape', 'a\ud800b', "a\x{fffd}b" ],
	[ 'lone low escape', 'a\udc00b', "a\x{fffd}b" ],
	[ 'two high escapes', 'a\ud83d\ud83d\ude00b', "a\x{fffd}\x{1f600}b" ],
	[ 'high escape, then other', 'a\uD83D\u0041b', "a\x{fffd}Ab" ],
	[ 'high escape at the end', 'a\udbff', "a\x{fffd}" ],
);

for my $case (@table) {
	my ($name, $members, $expect) = @$case;
	my $event = "{$base,$members}";

	subtest($name => sub {
		one($event, $expect && { user_id => 'u@x.com',
			event_type => '[Sendgrid] open', insert_id => 'E1', %$expect });
	});
}

for my $case (@repaired) {
	my ($name, $bytes, $expect) = @$case;

	subtest("repaired: $name" => sub {
		my $text = send_one(qq({$base,$mail,"s":"$bytes","$bytes":1,)
			. qq("amp_user_id":"$bytes"})) or return;
		my $event = $json->decode($text);
		my $properties = $event->{event_properties};
		my ($key) = grep { /^$expect$/ } keys %$properties;

		like($event->{user_id}, qr/^$expect$/, 'user_id');
		like($properties->{s}, qr/^$expect$/, 'value');
		ok(defined $key, 'key');
	});
}

subtest('lowercase' => sub {
	my @at = (uri => '/lowercase');

	one(qq({$base,"email":"Alex.Smith\@Example.COM"}),
		{ user_id => 'alex.smith@example.com',
			event_type => '[Sendgrid] open', insert_id => 'E1' }, @at);
	one(qq({$base,"email":"\xc3\x84BC[]\@X.com"}),
		{ user_id => "\xc3\x84bc[]\@x.com", event_type => '[Sendgrid] open',
			insert_id => 'E1' }, @at);
	one(qq({$base,"email":"\\u0041B\@X.com"}), { user_id => 'ab@x.com',
		event_type => '[Sendgrid] open', insert_id => 'E1' }, @at);
	one(qq({$base,"email":"A\@x.com","amp_user_id":"ID"}), { user_id => 'ID',
		event_type => '[Sendgrid] open', insert_id => 'E1' }, @at);
});

subtest('event_prefix' => sub {
	one("{$base,$mail}", { user_id => 'u@x.com', insert_id => 'E1',
		event_type => "Ma\xc3\xafl \"x\" open" }, uri => '/prefix');
});

subtest('user_id' => sub {
	my @at = (uri => '/ids');
	my %other = (event_type => '[Sendgrid] open', insert_id => 'E1');

	one(qq({$base,"id":"3","a key":"2","customer":"C1",$mail}),
		{ user_id => 'C1', %other }, @at);
	one(qq({$base,"id":"3","a key":"2",$mail}), { user_id => '2', %other },
		@at);
	one(qq({$base,"id":3,"a key":"none",$mail}), { user_id => '3', %other },
		@at);
	one(qq({$base,"amp_user_id":"no","email":"U\@x.com"}),
		{ user_id => 'u@x.com', %other }, @at);
	one(qq({$base,"amp_user_id":"no",$mail}), undef, uri => '/none');
});

subtest('api_key' => sub {
	for my $key ('k', 'a b', 'k"\\', "k\xc3\xa9", 'k' x 300) {
		my $got = api_key(key => $key);

		is(bytes($json->decode($got)), $key, substr("of Basic: $key", 0, 50));
	}

	is($json->decode(api_key(uri => '/key?a=x&b=y%22"')), 'x\\y%22"',
		'of sendgrid_amp_api_key');
});

# all of the table in one webhook, in its order

my @events = map { "{$base,$_->[1]}" } @table;
my @mapped = grep { $_->[2] } @table;

$amp->clear();

my $r = post($ngx->port(), webhook(@events));
my ($request, @more) = $amp->requests();

is($r->{status}, 200, 'all at once');
is_deeply($r->{json}, { received => scalar @table, forwarded => scalar @mapped,
	ignored => 0, rejected => @table - @mapped, batches => 1 }, 'summary');
is(scalar @more, 0, 'one batch');

my ($inside) = $request->{body}
	=~ /^\{"api_key":"\w+","events":(.*),"options":/s;
my @got = map { properties($_) } values_of($inside);

is_deeply(\@got, [ map { "{$base,$_->[1]}" } @mapped ], 'in their order');

# the whole of a payload

$amp->clear();
post($ngx->port(), webhook(events(2, 'w')));

is(($amp->requests())[0]{body}, '{"api_key":"' . KEY . '","events":['
	. join(',', map { mapped($_) } events(2, 'w'))
	. '],"options":{"min_id_length":1}}', 'a payload');

# the same webhook twice is the same payload

$amp->clear();
post($ngx->port(), webhook(@events)) for 1 .. 2;

my ($first, $second) = map { $_->{body} } $amp->requests();

ok(defined $first && $first eq $second, 'the same bytes again');

# the tables of the unit tests

for my $webhook (@{ $gold->{webhooks} }) {
	$amp->clear();

	my $r = post($ngx->port(), $webhook->{body}, uri => $webhook->{uri},
		key => $webhook->{key});

	is_deeply([ map { $_->{body} } $amp->requests() ], $webhook->{payloads},
		"$webhook->{name}: payloads");
	is($r->{json}{rejected}, $webhook->{rejected},
		"$webhook->{name}: rejected");
	is($r->{status}, 200, "$webhook->{name}: answer");
}

is_deeply([ $amp->violations() ], [], 'the contract is kept');
$ngx->done();

# a key in the path; nginx does not free all of a regular expression

$ngx = Gateway->new(amplitude => $amp, leaks => 1, server => '
	location ~ "^/sendgrid/(?<amp_key>[0-9a-f]{32})$" {
		sendgrid_amp us;
		sendgrid_amp_auth off;
		sendgrid_amp_api_key $amp_key;
	}
')->start();

my $key = '0123456789abcdef' x 2;

is($json->decode(api_key(uri => "/sendgrid/$key", key => undef)), $key,
	'api_key of the path');
is(post($ngx->port(), '[]', uri => '/sendgrid/x', key => undef)->{status}, 404,
	'no key in the path');

$ngx->done();
done_testing();

###############################################################################

# sends one event, returns the text that reached Amplitude

sub send_one {
	my ($event, %options) = @_;

	$amp->clear();

	my $r = post($ngx->port(), webhook($event), %options);

	is($r->{status}, 200, 'answer') or diag($r->{body});

	my @requests = $amp->requests();

	if (!@requests) {
		is_deeply($r->{json}, { received => 1, forwarded => 0, ignored => 0,
			rejected => 1, batches => 0 }, 'rejected');
		return;
	}

	return $requests[0]{body} =~ /^\{"api_key":"\w+","events":\[(.*)\],
		"options":\{"min_id_length":1\}\}$/xs ? $1 : '';
}


sub one {
	my ($event, $expect, %options) = @_;
	my $text = send_one($event, %options);

	if (!$expect) {
		is($text, undef, 'nothing is sent');
		return;
	}

	my $got = eval { $json->decode($text) } || {};

	if (($expect->{insert_id} // '') eq 'hash') {
		$expect->{insert_id} = sha256_hex($event);
	}

	is(properties($text), $event, 'event_properties');

	delete $got->{event_properties};
	$_ = bytes($_) for values %$got;
	delete $expect->{time} if !defined $expect->{time};
	is_deeply($got, { library => 'sendgrid', %$expect }, 'the rest')
		or diag($text);
}


sub bytes {
	my ($text) = @_;

	utf8::encode($text);

	return $text;
}


sub properties {
	my ($text) = @_;
	return $text =~ /"event_properties":(\{.*\})\}$/s ? $1 : $text;
}


sub api_key {
	my (%options) = @_;

	$amp->clear();
	post($ngx->port(), webhook(event('k')), %options);

	my ($request) = $amp->requests();

	return $request->{body} =~ /^\{"api_key":("(?:[^"\\]|\\.)*"),/ ? $1 : '""';
}


# webhooks of t/data with their payloads, and locations for their rules

sub gold {
	my %gold = (locations => '', webhooks => []);

	for my $file (sort glob "$FindBin::Bin/data/*.gold") {
		my ($name) = $file =~ m!([^/]+)\.gold$!;
		my @sections = split /^(== .*)\n/m, slurp($file);
		my %rules = map { /^(\S+) (.*)$/ } split /\n/, $sections[2];
		my (@payloads, $rejected);

		for my $i (1 .. $#sections / 2) {
			my ($title, $text) = @sections[2 * $i - 1, 2 * $i];

			push @payloads, $text =~ s/\n$//r if $title =~ /payload/;
			$rejected++ if $title =~ /rejected/;
		}

		# what cannot be configured, or cannot be a user name

		my $key = pack('H*', $rules{api_key});

		next if $rules{batch_size} < 65536 || $key =~ /:/;

		# what may leave is a matter of its own suite

		next if $name =~ /^rules-/;

		my $users = join ' ', map { qq("$_") } split /,/, $rules{users};

		$gold{locations} .= qq(
			location = /gold/$name {
				sendgrid_amp us;
				sendgrid_amp_lowercase $rules{lowercase};
				sendgrid_amp_event_prefix "$rules{prefix}";
				sendgrid_amp_user_id $users;
				sendgrid_amp_batch_events $rules{batch_events};
				sendgrid_amp_batch_size $rules{batch_size};
				sendgrid_amp_concurrency 1;
			}
		);

		push @{ $gold{webhooks} }, { name => $name, uri => "/gold/$name",
			key => $key, body => slurp($file =~ s/gold$/json/r),
			payloads => \@payloads, rejected => $rejected // 0 };
	}

	return \%gold;
}


sub slurp {
	my ($name) = @_;

	open my $fh, '<:raw', $name or die "$name: $!\n";
	local $/;

	return scalar <$fh>;
}
