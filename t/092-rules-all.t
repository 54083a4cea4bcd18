#!/usr/bin/perl

# All events with all rules, compared with the mapping of t/unit/gold.pl, which is
# none of the module's; and where rules meet the dead letter, figures and the
# commands of the documentation.  Rules one by one: t/090-rules.t.

use warnings;
use strict;

use Test::More;

use Digest::SHA qw(hmac_sha256_hex sha256_hex);
use FindBin;
use JSON::PP ();

use Amplitude;
use Gateway;
use Metrics qw(metrics changed);
use Util qw(slurp spew);
use Webhook;

require "$FindBin::Bin/unit/gold.pl";

# configurations: the directives, and the rules that gold.pl knows them by

my %conf = (
	none => [ '', {} ],
	names => [ 'sendgrid_amp_event_name Open "Email \"opened\" \\\\ é";
		sendgrid_amp_event_name machine_open "Prefetched";
		sendgrid_amp_event_name teleported Beamed;',
		{ event_names => [ [ open => "Email \"opened\" \\ \xc3\xa9" ],
			[ machine_open => 'Prefetched' ], [ teleported => 'Beamed' ] ] } ],
	only => [ 'sendgrid_amp_events Open CLICK teleported;',
		{ events => [ qw(open click teleported) ] } ],
	machine => [ 'sendgrid_amp_events machine_open;',
		{ events => [ 'machine_open' ] } ],
	ignore => [ 'sendgrid_amp_ignore machine_open Delivered beamed;',
		{ ignore => [ qw(machine_open delivered beamed) ] } ],
	both => [ 'sendgrid_amp_events open click bounce; sendgrid_amp_ignore
		bounce;', { events => [ qw(open click bounce) ],
			ignore => [ 'bounce' ] } ],
	drop => [ 'sendgrid_amp_drop email ip "" café "a\"b\\\\c" __proto__
		event_properties user_id "a key" 😀;',
		{ drop => [ 'email', 'ip', '', "caf\xc3\xa9", 'a"b\\c', '__proto__',
			'event_properties', 'user_id', 'a key', "\xf0\x9f\x98\x80" ] } ],
	keep => [ 'sendgrid_amp_keep email event "" café __proto__;',
		{ keep => [ 'email', 'event', '', "caf\xc3\xa9", '__proto__' ] } ],
	'keep-one' => [ 'sendgrid_amp_keep nothing;', { keep => [ 'nothing' ] } ],
	hash => [ 'sendgrid_amp_hash email ip "" café;',
		{ hash => [ 'email', 'ip', '', "caf\xc3\xa9" ] } ],
	hmac => [ 'sendgrid_amp_hash "key=s3cret é" email customer;
		sendgrid_amp_user_id customer email;',
		{ hash => [ qw(email customer) ], hash_key => "s3cret \xc3\xa9",
			users => 'customer,email' } ],
	'hash-drop' => [ 'sendgrid_amp_hash email; sendgrid_amp_drop email reason;',
		{ hash => [ 'email' ], drop => [ qw(email reason) ] } ],
	'hash-keep' => [ 'sendgrid_amp_hash email sg_event_id; sendgrid_amp_keep
		email event;', { hash => [ qw(email sg_event_id) ],
			keep => [ qw(email event) ] } ],
	property => [ 'sendgrid_amp_property env $host; sendgrid_amp_property
		"p \"q\"" "${arg_p}/\"";',
		{ properties => [ [ env => 'localhost' ], [ 'p "q"' => '/"' ] ] } ],
	'property-drop' => [ 'sendgrid_amp_property env new; sendgrid_amp_drop env;',
		{ properties => [ [ env => 'new' ] ], drop => [ 'env' ] } ],
	'property-keep' => [ 'sendgrid_amp_property env new; sendgrid_amp_keep
		nothing;', { properties => [ [ env => 'new' ] ],
			keep => [ 'nothing' ] } ],
	ip => [ 'sendgrid_amp_client_ip on;', { client_ip => 'on' } ],
	'ip-drop' => [ 'sendgrid_amp_client_ip on; sendgrid_amp_drop ip;',
		{ client_ip => 'on', drop => [ 'ip' ] } ],
	'ip-hash' => [ 'sendgrid_amp_client_ip on; sendgrid_amp_hash ip;',
		{ client_ip => 'on', hash => [ 'ip' ] } ],
	all => [ 'sendgrid_amp_client_ip on; sendgrid_amp_hash email key=k;
		sendgrid_amp_drop url; sendgrid_amp_property env x; sendgrid_amp_ignore
		bounce; sendgrid_amp_event_name click Clicked;
		sendgrid_amp_lowercase on;',
		{ client_ip => 'on', hash => [ 'email' ], hash_key => 'k',
			drop => [ 'url' ], properties => [ [ env => 'x' ] ],
			ignore => [ 'bounce' ], event_names => [ [ click => 'Clicked' ] ],
			lowercase => 'on' } ],
);

# members of events; $e has a name, an id and an address

my $e = '"event":"open","sg_event_id":"E1"';
my $m = '"email":"Ada@Example.com"';

my @events = (
	map({ qq({"event":"$_",$m}) } qw(open Open oPEN click bounce delivered
		teleported Teleported machine_open other), 'o\u0070en', 'b\u0065amed'),
	map({ qq({"event":"open",$m,"sg_machine_open":$_}) } qw(true false "true")),
	map({ qq({"event":"$_"}) } qw(open click delivered teleported)),
	'{"event":"","email":"a@x.com"}', '{"email":"a@x.com"}', '17', '{}',
	map({ my $x = $_; qq({$x,$e}), qq({$e,$x}), qq({"event":"open",$x,"z":[1]}) }
		$m, qq($m,"ip":"203.0.113.9"), qq("x":1,$m,"y":2,"ip":"::1","w":"")),
	qq({$e,"em\\u0061il":"Ada\@Example.com","\\u0069p":"1.2.3.4"}),
	qq({$e,"email":"one\@x.com",$m,"email":null,"email":" TWO\@x.com "}),
	qq({$e,$m,"":"empty","":{}}),
	qq({$e,$m,"caf\xc3\xa9":"1","caf\\u00e9":"2","caf\\u00E9":3,"cafe\xcc\x81":4}),
	qq({$e,$m,"a\\"b\\\\c":1,"a\\u0022b\\u005Cc":2,"\\\\":3}),
	qq({$e,$m,"__proto__":{"x":1},"constructor":2,"\\u005f_proto__":3}),
	qq({$e,$m,"event_properties":{"email":"b\@x.com"},"user_id":"u","insert_id":1}),
	qq({$e,$m,"a key":"a","a key ":"b","A key":"c"}),
	qq({$e,$m,"\xf0\x9f\x98\x80":1,"\\ud83d\\ude00":2,"\\ud83d":3}),
	qq({$e,$m,"ip":{"ip":"1.2.3.4"},"o":{"email":"n\@x.com"},"s":"]}\\"{,"}),
	qq({ $e , $m ,\r\n\t"ip" : "1.2.3.4" , "k"\n: [ 1 , { } ] }),
	qq({$e,$m,"ip":"\xff\xfe","caf\xc3\xa9":"\xc3","\xff":"\xed\xa0\x80"}),
	map({ qq({$e,"email":$_,"amp_user_id":"u1","ip":$_}) } qw(null true 0 -1.5
		"" [] {"a":"b@x.com"} ["b@x.com"])),
	qq({$e,"email":"A\@x.com","amp_user_id":"a\@X.com","to":"\\u0061\@x.com"}),
	qq({$e,"email":"a\@x.com","list":["a\@x.com"],"url":"https://x/?a\@x.com"}),
	qq({$e,"email":"a\@x.com","customer":" C-7 "}),
	qq({$e,"email":"a\@x.com","customer":7,"amp_user_id":8}),
	qq({$e,"email":"a\@x.com","customer":"null"}),
	qq({$e,$m,"env":"own"}), qq({$e,$m,"\\u0065nv":null}), qq({$e,$m,"Env":1}),
	map({ qq({"event":"$_",$m,"ip":"203.0.113.9"}) } qw(open click unsubscribe
		group_unsubscribe group_resubscribe delivered bounce spamreport)),
	qq({$e,$m,"ip":"203.0.113.9","sg_machine_open":true}),
	map({ qq({$e,$m,"ip":"$_"}) } '$remote', 'X.XX.XXX.XX', '2001:db8::1', ' 1.1.1.1',
		'1.1.1.1\u0000', '1.1.1.256'),
);

my $locations = join '', map { qq(
	location = /$_ { sendgrid_amp us; $conf{$_}[0] }) } sort keys %conf;

my $amp = Amplitude->new();
my $dead = Gateway::root() . '/dead.json';

my $ngx = Gateway->new(amplitude => $amp, http => '
	sendgrid_amp_zone figures:64k;
	log_format webhook "$sendgrid_amp_ignored";',
	server => qq(
	access_log $dead.log webhook;
	$locations

	location = /dead {
		sendgrid_amp us;
		sendgrid_amp_hash email key=k;
		sendgrid_amp_drop ip;
		sendgrid_amp_property env eu;
		sendgrid_amp_dead_letter $dead;
	}

	location = /pepper { sendgrid_amp us; sendgrid_amp_hash email key=pepper; }
	location = /status { sendgrid_amp_status; }
))->start();
my $json = JSON::PP->new()->utf8()->canonical();

# each event by itself, and all of them together, in pieces

for my $name (sort keys %conf) {
	my $r = { api_key => KEY, prefix => '[Sendgrid] ', lowercase => 'off',
		users => 'amp_user_id,email', %{ $conf{$name}[1] } };
	my (@expect, %count);

	for my $event (@events) {
		my ($mapped, $reason) = map_event($r, elements("[$event]", $name));

		push @expect, $mapped if defined $mapped;
		$count{ defined $mapped ? 'forwarded'
			: $reason eq 'ignored' ? 'ignored' : 'rejected' }++;
	}

	for my $how ([], [ every => 1 ], [ chunked => 7 ]) {
		$amp->clear();

		my $answer = post($ngx->port(), webhook(@events), uri => "/$name",
			@$how);

		is_deeply($answer->{json}, { received => scalar @events,
			forwarded => 0, ignored => 0, rejected => 0, %count,
			batches => @expect ? 1 : 0 }, "$name: summary @$how")
			or diag($answer->{body});

		my @bodies = map { $_->{body} } $amp->requests();

		is(join('', @bodies), @expect ? '{"api_key":"' . KEY . '","events":['
			. join(',', @expect) . '],"options":{"min_id_length":1}}' : '',
			"$name: payload @$how");
	}

	subtest("$name: one by one" => sub {
		for my $i (0 .. $#events) {
			my ($mapped) = map_event($r, elements("[$events[$i]]", $name));

			$amp->clear();
			post($ngx->port(), "[$events[$i]]", uri => "/$name");

			my @sent = map { $_->{body} =~ /"events":\[(.*)\],"options"/s }
				$amp->requests();

			is("@sent", $mapped // '', "event $events[$i]");
		}
	});
}

is_deeply([ $amp->violations() ], [], 'the contract is kept');

# more than are remembered, twice

for my $round (1, 2) {
	my @users = map { "u$_\@example.com" } 1 .. 6000;
	my (undef, @all) = sent('/hash', map { qq({$e,"email":"$_"}) } @users);

	is_deeply([ sort map { $_->{user_id} } @all ],
		[ sort map { sha256_hex($_) } @users ], 'hashes of many addresses');
}

# what the commands of docs/privacy.md print is what it says, and what is sent

my $privacy = slurp("$FindBin::Bin/../docs/privacy.md");
my @printed = map { `$_` =~ /\b([0-9a-f]{64})\b/ } $privacy =~ /^ {4}(printf .*)$/mg;

is_deeply(\@printed, [ $privacy =~ /`([0-9a-f]{64})`/g ],
	'docs/privacy.md: hashes');
is_deeply([ map { my ($uri) = $_; map { sent($uri,
	qq({$e,"email":"$_"}))->{user_id} } $privacy =~ /` (Ada\S+) ` and `(\S+)`/ }
	'/hash', '/pepper' ], [ map { ($_, $_) } @printed ], '... that are sent');

# the clear value leaves in no field

for my $uri (qw(/hash /hmac /hash-drop /hash-keep /all)) {
	for my $text ('Ada@Example.com', 'ada@example.com', ' ADA@EXAMPLE.COM ',
		'\u0041da@Example.com', 'Ada\u0040Example\u002ecom', 'Ada@Example.com\n')
	{
		my $body = qq([{$e,"email":"$text","amp_user_id":"$text","customer":)
			. qq("$text","x":"Ada\@Example.com","\\u0065mail":"$text","y":)
			. qq("ada\\u0040example.com","ip":"192.0.2.7"}]);

		$amp->clear();
		post($ngx->port(), $body, uri => $uri);

		my ($request) = $amp->requests();
		my $all = join ' ', map { ref $_ ? %$_ : $_ }
			%{ $json->decode($request->{body})->{events}[0] };

		unlike($all, qr/ada\@example/i, "$uri: $text");
		unlike($all, qr/192\.0\.2\.7/, "$uri: no ip") if $uri eq '/hash';
	}
}

# the dead letter

$amp->clear();
$amp->script({ refuse => { time => qr/refused/ }, name => 'all', times => 0 });
post($ngx->port(), qq([{$e,$m,"ip":"1.2.3.4","x":"refused"},{$m,"ip":"1.2.3.4"}]),
	uri => '/dead');

my @lines = map { $json->decode($_) } split /\n/, slurp($dead);

is_deeply({ map { $_->{reason} => $_->{event} } @lines }, {
	no_event_type => { email => 'Ada@Example.com', ip => '1.2.3.4' },
	amplitude_400 => { event => 'open', sg_event_id => 'E1', env => 'eu',
		email => hmac_sha256_hex('ada@example.com', 'k'), x => 'refused' },
}, 'the dead letter: as it was sent, or as it came');

is_deeply({ map { $_->{reason} => $_->{sent} } @lines }, {
	no_event_type => undef,
	amplitude_400 => { user_id => hmac_sha256_hex('ada@example.com', 'k'),
		event_type => '[Sendgrid] open', insert_id => 'E1' },
}, '... with what was sent besides');

# as docs/operations.md puts them together

my ($refused) = map { @{ $json->decode($_->{body})->{events} } }
	$amp->requests();
my ($again) = grep { $_->{sent} } @lines;

is_deeply({ %{ $again->{sent} }, library => 'sendgrid',
	event_properties => $again->{event} }, $refused, '... all of it');

# the commands of the documentation

my $commands = join("\n", slurp("$FindBin::Bin/../docs/operations.md")
	=~ /^ {4}((?:text|head|event|sent)=.+)$/mg);
my $script = Gateway::root() . '/replay.sh';

spew($script, "$commands\n" . join('', map {
	qq(sed -nE "\$$_" "\$1" > "\$1.$_"\n)
} qw(event sent)));
system('sh', $script, $dead);

my $sed = slurp("$dead.sent");
is($sed =~ tr/\n//, 1, 'docs/operations.md: as it was sent, one event');
is_deeply($json->decode($sed), $refused, '... that one');
is(slurp("$dead.event"), join('', map { /,"event":(.*)\}$/ ? "$1\n" : () }
	grep { !/"sent":/ } split /\n/, slurp($dead)),
	'docs/operations.md: unchanged, the others');

$amp->script();

# figures

my $before = metrics($ngx->port());
sent('/both', '{"event":"bounce"}', qq({"event":"open",$m}),
	qq({"event":"open",$m,"sg_machine_open":true}), '{"event":"x"}');
my %counted;

# some are counted when the request ends, after its answer

$ngx->wait_for(sub {
	my $changed = changed($before, metrics($ngx->port()));

	%counted = map {
		/^events_total\{event="(\w+)",result="(\w+)"/
			? ("$1 $2" => $changed->{$_}) : ()
	} keys %$changed;

	return keys %counted == 4;
});

is_deeply(\%counted, { 'bounce ignored' => 1, 'machine_open ignored' => 1,
	'other ignored' => 1, 'open forwarded' => 1 },
	'events are counted by their names');

ok((grep { $_ eq '3' } split /\n/, slurp("$dead.log")),
	'$sendgrid_amp_ignored');

$ngx->done();

done_testing();

###############################################################################

# the answer, and what Amplitude got; the first of it in scalar context

sub sent {
	my ($uri, @posted) = @_;

	$amp->clear();

	my $answer = post($ngx->port(), '[' . join(',', @posted) . ']', uri => $uri);
	my @sent = map { @{ $json->decode($_->{body})->{events} } } $amp->requests();

	return wantarray ? ($answer, @sent) : $sent[0];
}
