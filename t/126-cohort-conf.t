#!/usr/bin/perl

# What nginx says to directives of cohorts: good values, bad ones, duplicates,
# contradictions, and what is inherited.

use warnings;
use strict;

use Test::More;

use FindBin;
use JSON::PP ();

use lib "$FindBin::Bin/lib";

use Cohort;
use Directives;
use Gateway;
use Util qw(spew);
use Webhook ();

use constant UUID => '507e6937-484f-41c5-8e45-6b296ca50001';

my $uuid = UUID;
my $files = Gateway->root() . '-files';
my $key = 'sendgrid_amp_marketing_key SG.key;';
my $secret = 'sendgrid_amp_cohort_secret secret;';
my $zone = 'sendgrid_amp_cohort_zone cohorts:1m;';
my $all = "sendgrid_amp_cohorts global; $secret $key";
my $open = '[warn] with "sendgrid_amp_cohort_secret off" anybody can change '
	. 'lists by location "/cohorts"';
my $shared = 'cannot share location "/cohorts" with another directive that '
	. 'answers requests, such as "proxy_pass": give each a location of its own';
my $fields = 'it must be "email", "first_name", "last_name", "external_id" or '
	. 'the name of a custom field, which has letters, digits and "_"';
my $no_file = '"sendgrid_amp_marketing_key" cannot read';

mkdir $files;
spew("$files/key", "\n\t SG.key \r\n");
spew("$files/empty", " \n");
spew("$files/two", "SG.one\nSG.two\n");
spew("$files/large", 'S' x 65537);

# name, text of the location in place of all, or what is added to all, and what
# nginx says, if it is an error; or [ warnings ]

my @rows = (
	[ 'all' ],

	[ 'sendgrid_amp_cohorts eu', "sendgrid_amp_cohorts eu; $secret $key" ],
	[ 'a location', "sendgrid_amp_cohorts /sendgrid/x; $secret $key" ],
	[ 'a variable', "sendgrid_amp_cohorts \$host; $secret $key" ],
	(map { [ "the region $_", "sendgrid_amp_cohorts $_; $secret $key",
		'invalid region in "sendgrid_amp_cohorts" directive, it must be '
		. '"global", "eu" or an internal location' ] }
		qw(us Global sendgrid / ""), '" global"'),
	[ 'two regions', "sendgrid_amp_cohorts global eu; $secret $key",
		'invalid number of arguments in "sendgrid_amp_cohorts" directive' ],
	[ 'twice', '+sendgrid_amp_cohorts eu;',
		'"sendgrid_amp_cohorts" directive is duplicate' ],
	[ 'without a secret', "sendgrid_amp_cohorts global; $key",
		'"sendgrid_amp_cohorts" in location "/cohorts" requires '
		. '"sendgrid_amp_cohort_secret"' ],
	[ 'without a key', "sendgrid_amp_cohorts global; $secret",
		'"sendgrid_amp_cohorts" in location "/cohorts" requires '
		. '"sendgrid_amp_marketing_key"' ],
	[ 'without a zone', $all, '"sendgrid_amp_cohorts" in location "/cohorts" '
		. 'requires "sendgrid_amp_cohort_zone"', '' ],
	[ 'beside events', '+sendgrid_amp us;', '"sendgrid_amp" directive cannot '
		. 'share a location with "sendgrid_amp_cohorts"' ],
	[ 'behind events', "sendgrid_amp us; $all", '"sendgrid_amp_cohorts" '
		. 'directive cannot share a location with "sendgrid_amp"' ],
	(map { [ "beside $_", "+$_;", '"sendgrid_amp_cohorts" ' . $shared ],
		[ "behind $_", "$_; $all", '"sendgrid_amp_cohorts" ' . $shared ] }
		'proxy_pass http://127.0.0.1:9', 'empty_gif'),
	[ 'beside the status', '+sendgrid_amp_status;',
		'"sendgrid_amp_status" ' . $shared ],
	[ 'in if', '+if ($arg_x) { sendgrid_amp_cohorts eu; }',
		'"sendgrid_amp_cohorts" directive is not allowed here' ],
	[ 'beside if', '+if ($arg_x) { set $y 1; }' ],
	[ 'beside limit_except', '+limit_except POST { deny all; }' ],
	[ 'nested', "+location /cohorts/x { sendgrid_amp_cohorts eu; }" ],

	[ 'several secrets', "sendgrid_amp_cohorts global; $key "
		. 'sendgrid_amp_cohort_secret a "b c" d:;' ],
	[ 'no secret', "sendgrid_amp_cohorts global; $key "
		. 'sendgrid_amp_cohort_secret off;', [ $open ] ],
	(map { [ "$_ as secrets", "sendgrid_amp_cohorts global; $key "
		. "sendgrid_amp_cohort_secret $_;", '"sendgrid_amp_cohort_secret" '
		. 'directive has "off" among its secrets' ] } 'off a', 'a off'),
	[ 'an empty secret', "sendgrid_amp_cohorts global; $key "
		. 'sendgrid_amp_cohort_secret a "";',
		'"sendgrid_amp_cohort_secret" directive must not be empty' ],
	[ 'a secret like a variable', "sendgrid_amp_cohorts global; $key "
		. 'sendgrid_amp_cohort_secret a $host;', [ '[warn] parameter 2 of '
		. '"sendgrid_amp_cohort_secret" directive looks as if it had a '
		. 'variable, and is taken as it is' ] ],
	[ 'secrets twice', "+$secret",
		'"sendgrid_amp_cohort_secret" directive is duplicate' ],

	(map { [ "the key $_->[0]", "sendgrid_amp_cohorts global; $secret "
		. "sendgrid_amp_marketing_key $_->[1];", @$_[2 .. $#$_] ] }
		[ 'in a file', "$files/key" ], [ 'by a variable', '$host' ],
		[ 'in part by a variable', '"SG.$host"' ],
		[ 'empty', '""', '"sendgrid_amp_marketing_key" directive must not be '
			. 'empty' ],
		[ 'in a file that is empty', "$files/empty",
			"\"sendgrid_amp_marketing_key\" finds nothing in \"$files/empty\"" ],
		(map { [ "with bytes that no key has: $_", $_,
			'"sendgrid_amp_marketing_key" directive has a key with a '
			. 'character that no key of SendGrid has' ] } '"a b"', "\"a\tb\"",
			'"Bearer SG.key"', "\xc3\xa9", "$files/two"),
		[ 'in no file', "$files/none", "$no_file \"$files/none\" (2: No such "
			. 'file or directory)' ],
		[ 'in a folder', $files, "$no_file \"$files\": it is no file of at "
			. 'most 64k' ],
		[ 'in a file that is too large', "$files/large",
			"$no_file \"$files/large\": it is no file of at most 64k" ],
		[ 'by no variable', '$no_such', 'unknown "no_such" variable' ]),
	[ 'keys twice', "+$key",
		'"sendgrid_amp_marketing_key" directive is duplicate' ],

	(map { [ "prefix $_", "+sendgrid_amp_list_prefix $_;" ] } '""', '"X: "',
		"\"\xc3\xa9\"", 'x' x 64),
	[ 'a long prefix', '+sendgrid_amp_list_prefix ' . ('x' x 65) . ';',
		'"sendgrid_amp_list_prefix" directive must not be longer than 64 '
		. 'bytes' ],
	[ 'a prefix that is not UTF-8', "+sendgrid_amp_list_prefix \"a\xff\";",
		'"sendgrid_amp_list_prefix" directive must be UTF-8' ],
	[ 'a prefix like a variable', '+sendgrid_amp_list_prefix $host;',
		[ '[warn] parameter 1 of "sendgrid_amp_list_prefix" directive looks '
		. 'as if it had a variable, and is taken as it is' ] ],
	twice('sendgrid_amp_list_prefix', 'x'),

	(map { [ "list $_", "+sendgrid_amp_list_id $_;" ] } $uuid, uc $uuid, '""',
		'$host', '$sendgrid_amp_cohort_id'),
	(map { [ "list $_", "+sendgrid_amp_list_id $_;", '"sendgrid_amp_list_id" '
		. 'directive must be the id of a list, a UUID' ] } 'x', "${uuid}0",
		$uuid =~ s/-//gr, $uuid =~ s/5/g/r, "\" $uuid\""),
	[ 'a list by no variable', '+sendgrid_amp_list_id $no_such;',
		'unknown "no_such" variable' ],
	twice('sendgrid_amp_list_id', UUID),

	(map { [ "contact $_", "+sendgrid_amp_contact $_;" ] } 'email a',
		'Email a', 'email a b c d e f g h', 'external_id user_id', '_x9 "a b"',
		'9 x', ('n' x 100) . ' x', "x \"\xc3\xa9\""),
	[ 'a contact without properties', '+sendgrid_amp_contact email;',
		'invalid number of arguments in "sendgrid_amp_contact" directive' ],
	[ 'too many properties', '+sendgrid_amp_contact email 1 2 3 4 5 6 7 8 9;',
		'"sendgrid_amp_contact" directive must not have more than 8 '
		. 'properties' ],
	(map { [ "the field $_", "+sendgrid_amp_contact $_ x;",
		'invalid field "' . s/"//gr . '" in "sendgrid_amp_contact" directive, '
		. $fields ] } '"a b"', 'a-b', '$host', "a\xc3\xa9", 'n' x 101),
	(map { [ "empty: $_", "+sendgrid_amp_contact $_;",
		'"sendgrid_amp_contact" directive must not have an empty parameter' ] }
		'"" x', 'x ""', 'x y ""'),
	[ 'a property that is not UTF-8', "+sendgrid_amp_contact x \"\xff\";",
		'"sendgrid_amp_contact" directive has a name that is not UTF-8, as all '
		. 'keys are' ],
	[ 'a property like a variable', '+sendgrid_amp_contact x $host;',
		[ '[warn] parameter 2 of "sendgrid_amp_contact" directive looks as if '
		. 'it had a variable, and is taken as it is' ] ],
	(map { [ "twice: @$_", join(' ', '+', map { "sendgrid_amp_contact $_ x;" }
		@$_), qq(duplicate field "$_->[1]" in "sendgrid_amp_contact" )
		. 'directive' ] } [ qw(email email) ], [ qw(Plan plan) ],
		[ qw(email EMAIL) ]),
	[ '16 fields', '+' . join('', map { "sendgrid_amp_contact $_ x;" } 'email',
		map { "f$_" } 1 .. 15) ],
	[ '16 fields and the address', '+' . join('', map {
		"sendgrid_amp_contact f$_ x;" } 1 .. 16), 'too many fields or '
		. 'properties in "sendgrid_amp_contact" directives' ],
	[ 'too many names', '+' . join('', map { my $i = $_; join ' ',
		"sendgrid_amp_contact f$i", (map { "p$i$_" } 1 .. 8), ';' } 1 .. 5),
		'too many fields or properties in "sendgrid_amp_contact" directives' ],

	(map { [ "batch $_", "+sendgrid_amp_contact_batch $_;" ] } 1, 30000),
	(map { [ "batch $_", "+sendgrid_amp_contact_batch $_;",
		'"sendgrid_amp_contact_batch" directive must be between 1 and 30000' ] }
		0, 30001),
	(map { [ "batch $_", "+sendgrid_amp_contact_batch $_;",
		'"sendgrid_amp_contact_batch" directive invalid number' ] }
		qw(x -1 1k 5.5)),
	twice('sendgrid_amp_contact_batch', 5),

	(map { [ "window $_", "+sendgrid_amp_apply_window $_;" ] }
		qw(1ms 45s 1h)),
	(map { my $name = $_; map { [ "$name $_", "+$name $_;",
		"\"$name\" directive invalid value" ] } qw(x -1 100y ""), '"1 q"' }
		qw(sendgrid_amp_apply_window sendgrid_amp_cohort_timeout)),
	[ 'no window', '+sendgrid_amp_apply_window 0;', [ '[warn] with "sendgrid_amp_apply_window 0" a contact that '
		. 'is added and removed within a minute may end on the list '
		. 'or not, in location "/cohorts"' ] ],
	twice('sendgrid_amp_apply_window', '5s'),
	(map { [ "timeout $_", "+sendgrid_amp_cohort_timeout $_;" ] } qw(1ms 1d)),
	[ 'no timeout', '+sendgrid_amp_cohort_timeout 0;',
		'"sendgrid_amp_cohort_timeout" directive must be greater than 0' ],
	twice('sendgrid_amp_cohort_timeout', '5s'),

	(map { [ "zone $_", $all, undef, "sendgrid_amp_cohort_zone $_;" ] }
		qw(z:64k z:1m z:65536)),
	(map { [ "zone $_->[0]", $all, $_->[1],
		"sendgrid_amp_cohort_zone $_->[0];" ] }
		[ 'z', 'invalid zone "z" in "sendgrid_amp_cohort_zone" directive, it '
			. 'must be "name:size"' ],
		[ ':1m', 'invalid zone ":1m" in "sendgrid_amp_cohort_zone" directive, '
			. 'it must be "name:size"' ],
		(map { [ "z:$_", "invalid zone size \"$_\" in "
			. '"sendgrid_amp_cohort_zone" directive' ] } '', 'x', '-1'),
		(map { [ "z:$_", 'zone "z" in "sendgrid_amp_cohort_zone" directive is '
			. 'too small, it must have at least 64k' ] } qw(0 1k 63k 65535))),
	[ 'zone twice', $all, '"sendgrid_amp_cohort_zone" directive is duplicate',
		"$zone sendgrid_amp_cohort_zone other:1m;" ],
	[ 'the zone of the figures', $all, 'the shared memory zone "cohorts" is '
		. 'already declared for a different use',
		"$zone sendgrid_amp_zone cohorts:1m;" ],
	[ 'a zone in a location', "+$zone",
		'"sendgrid_amp_cohort_zone" directive is not allowed here' ],
	[ 'a zone alone', '' ],

	(map { [ $_, "+$_;" ] } 'sendgrid_amp_concurrency 4',
		'sendgrid_amp_retries 0', 'sendgrid_amp_retry_delay 1ms',
		"sendgrid_amp_dead_letter $files/dead", 'sendgrid_amp_dry_run $arg_x',
		'sendgrid_amp_max_event_size 64k'),
	[ 'a dry run', '+sendgrid_amp_dry_run on;', [ '[warn] '
		. '"sendgrid_amp_dry_run" is always on in location "/cohorts": nothing '
		. 'of it is sent' ] ],

	[ 'inherited from http', 'sendgrid_amp_cohorts global;', undef,
		"$zone $secret $key" ],
	[ 'inherited from the server', 'sendgrid_amp_cohorts global;', undef, undef,
		"$secret $key" ],
	[ 'no secret, inherited', "sendgrid_amp_cohorts global; $key", [ $open ],
		"$zone sendgrid_amp_cohort_secret off;" ],
	[ 'a secret in place of none', $all, undef,
		"$zone sendgrid_amp_cohort_secret off;" ],
	(map { [ "no $_ in the server", $all, "\"$_\" directive is not allowed "
		. 'here', undef, "$_ global;" ] } 'sendgrid_amp_cohorts'),
);

subtest('configurations' => sub {
	for (@rows) {
		my ($name, $text, $expect, $http, $server) = @$_;
		my $location = $text // $all;

		$location =~ s/^\+/$all /;
		says([ http => $http // $zone, server => ($server // '')
			. "location /cohorts { $location }" ], ref $expect
			? [ 0, @$expect ] : defined $expect ? [ 1, "[emerg] $expect" ]
			: [ 0 ], substr($name, 0, 70));
	}
});

# what is inherited does what it says

my $sendgrid_key = Contacts::KEY;
my $other = Contacts->new(window => 0, key => 'SG.other');
my $port = $other->port();
my $cohort = Cohort->new(window => 0, apply_window => 1, http => <<"EOC",
	sendgrid_amp_cohort_secret of-http;
	sendgrid_amp_marketing_key $sendgrid_key;
	sendgrid_amp_list_prefix "H ";
	sendgrid_amp_contact_batch 2;
	sendgrid_amp_contact email h;
	sendgrid_amp_contact first_name first;
EOC
	server => <<"EOS")->start();
	sendgrid_amp_list_prefix "S ";
	sendgrid_amp_contact email s;

	location /inherits {
		sendgrid_amp_cohorts /sendgrid/test;
	}

	location /replaces {
		sendgrid_amp_cohorts /sendgrid/test;
		sendgrid_amp_cohort_secret own;
		sendgrid_amp_list_prefix "L ";
		sendgrid_amp_contact_batch 3;
		sendgrid_amp_contact email l;
		sendgrid_amp_contact last_name last;
	}

	location /list {
		sendgrid_amp_cohorts /sendgrid/test;
		sendgrid_amp_list_id $uuid;

		location /list/none {
			sendgrid_amp_cohorts /sendgrid/test;
			sendgrid_amp_list_id "";
		}
	}

	location ~ "^/key/(?<sendgrid_key>[^/]*)\$" {
		sendgrid_amp_cohorts /sendgrid/other;
		sendgrid_amp_marketing_key \$sendgrid_key;
	}

	location /sendgrid/other/ {
		internal;
		proxy_pass http://127.0.0.1:$port/;
		proxy_http_version 1.1;
		proxy_pass_request_headers off;
		proxy_set_header Authorization "Bearer \$sendgrid_amp_marketing_key";
		proxy_set_header Content-Type \$content_type;
		proxy_set_header Connection "";
	}

	location ~ "^/region/(?<where>[a-z]*)\$" {
		sendgrid_amp_cohorts \$where;
	}

	location /open {
		sendgrid_amp_cohorts /echo;
	}

	location /echo {
		return 200 "[\$sendgrid_amp_marketing_key]";
	}
EOS
my ($sg, $ngx) = ($cohort->sg(), $cohort->ngx());
my $round = 0;

subtest('inheritance' => sub {
	my @users = map { my $n = $_; { user_id => "u$n", user_properties =>
		{ first => 'F', last => 'L', map { $_ => "$_$n\@a.example" }
		qw(h s l email) } } } 1 .. 5;

	my $answer = post('/inherits', 'of-http', \@users);

	is($answer->{status}, 200, 'of http') or diag($answer->{body});
	is($answer->{json}{calls}, 5, 'batches of 2');
	is_deeply($cohort->members('S N [conf]'), [ map { "s$_\@a.example" }
		1 .. 5 ], 'prefix and address of the server');
	is_deeply($sg->contacts()->{'s1@a.example'}{first_name}, undef,
		'fields that are set replace the others');
	is(post('/inherits', 'own', [])->{status}, 401, 'not own');

	$answer = post('/replaces', 'own', \@users);
	is($answer->{status}, 200, 'own') or diag($answer->{body});
	is($answer->{json}{calls}, 2, 'batches of 3, the list is known');
	is(post('/replaces', 'of-http', [])->{status}, 401, 'not of http');
	is($sg->contacts()->{'l5@a.example'}{last_name}, 'L', 'own fields');

	my $lists = $sg->lists();

	$lists->{ UUID() } = { name => 'Mine', members => {} };
	$sg->set(lists => $lists, order => [ sort keys %$lists ]);
	is(post('/list', 'of-http', [ $users[0] ])->{json}{calls}, 1, 'a list');
	is_deeply($cohort->members('Mine'), [ 's1@a.example' ], 'members');
	is(post('/list/none', 'of-http', [ $users[1] ])->{status}, 200, 'none');
	is_deeply($cohort->members('Mine'), [ 's1@a.example' ], 'members');
});

subtest('variables' => sub {
	my @users = ({ user_properties => { s => 'v@a.example' } });

	is(post('/key/SG.other', 'of-http', \@users)->{status}, 200, 'a key');
	is(post('/key/SG.wrong', 'of-http', \@users)->{status}, 502, 'another');
	is(post('/key/', 'of-http', \@users)->{status}, 401, 'none');

	my $requests = $other->requests();

	for ('SG.other%0d%0aX-Evil:%201', 'SG.other%0a', '%20SG.other',
		'SG.%c3%a9', 'SG%7f')
	{
		is(post("/key/$_", 'of-http', \@users)->{status}, 401, "no key: $_");
	}

	is(scalar $other->requests(), $requests, 'nothing is sent');
	is(scalar(grep { /evil/i } map { $_->{head} } $other->requests()), 0,
		'no header');

	for ('', 'us', 'x') {
		my $answer = post("/region/$_", 'of-http', \@users);

		is($answer->{status}, 500, "the region \"$_\"");
		is($answer->{json}{error}, 'internal', 'error');
	}
});

subtest('a location that is not internal' => sub {
	my $answer = post('/open', 'of-http',
		[ { user_properties => { s => 'o@a.example' } } ]);

	cmp_ok($answer->{status}, '>=', 500, 'is not used')
		or diag($answer->{body});
	is(Webhook::post(Gateway->port(), '', uri => '/echo', method => 'GET',
		key => undef)->{body}, '[]', 'the key is for calls only');
});

subtest('both halves' => sub {
	my $answer = Webhook::post(Gateway->port(), Webhook::webhook(
		Webhook::events(2)));

	is($answer->{status}, 503, 'events: nobody listens')
		or diag($answer->{body});
	like($answer->{body}, qr/^\{"received":2,"forwarded":0,/, 'their answer');
});

is_deeply([ $sg->violations() ], [], 'no violation');
$cohort->quiet('of-http', 'SG.other', 'SG.wrong', 'evil');
$ngx->done();
system('rm', '-rf', $files);
done_testing();

###############################################################################

sub twice {
	my ($name, $value) = @_;

	return [ "$name twice", "+$name $value; $name $value;",
		"\"$name\" directive is duplicate" ];
}


# the answer to users who enter

sub post {
	my ($uri, $secret, $users) = @_;

	return $cohort->ask('', $cohort->message(enter => $users,
		cohort_id => 'conf', cohort_name => 'N'), uri => $uri,
		bearer => $secret);
}
