#!/usr/bin/perl

# What Amplitude sends: messages of the Cohort Webhook and of the list API, and
# the answers to them.

use warnings;
use strict;

use Test::More;

use FindBin;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);

use lib "$FindBin::Bin/lib";

use Cohort;
use Gateway;
use Util qw(lines);
use Webhook ();

use constant UUID => '507e6937-484f-41c5-8e45-6b296ca50001';

my $secret = Cohort::SECRET;
my $key = Contacts::KEY;
my $dead = Gateway->root() . '/dead.json';
my $common = "sendgrid_amp_cohorts /sendgrid/test;
	sendgrid_amp_marketing_key $key;";
my $cohort = Cohort->new(window => 0,
	limits => { map { $_ => 100000 } qw(lists create put search remove) },
	server => <<"EOS")->start();
	location /several {
		$common
		sendgrid_amp_cohort_secret first "the second" third:;
	}

	location /dead {
		$common
		sendgrid_amp_cohort_secret $secret;
		sendgrid_amp_dead_letter $dead;
	}

	location /blocks {
		$common
		sendgrid_amp_cohort_secret $secret;

		if (\$arg_if) {
			set \$x 1;
		}

		limit_except GET {
			allow all;
		}
	}

	location /slash/ {
		$common
		sendgrid_amp_cohort_secret $secret;
	}

	location = /exact {
		$common
		sendgrid_amp_cohort_secret $secret;
	}

	location ~ ^/regex/[a-z]+ {
		$common
		sendgrid_amp_cohort_secret $secret;
	}

	location /rewritten/ {
		rewrite ^/rewritten(.*) /cohorts\$1 last;
	}

	location /named {
		error_page 418 = \@named;
		return 418;
	}

	location \@named {
		$common
		sendgrid_amp_cohort_secret $secret;
	}

	location /off {
		$common
		sendgrid_amp_cohort_secret off;
	}

	location /small {
		$common
		sendgrid_amp_cohort_secret $secret;
		sendgrid_amp_max_event_size 1k;
		client_max_body_size 4k;
	}
EOS
my ($sg, $ngx) = ($cohort->sg(), $cohort->ngx());
my $id = 0;

subtest('members in any order' => sub {
	my @members = ('"cohort_id":"orders"', '"cohort_name":"Buyers"',
		'"in_cohort":true', '"computed_time":"1700000000"',
		'"message_id":"ID"', '"users":[{"user_id":"o@a.example"}]',
		'"other":{"users":[{"user_id":"x@a.example"}],"in_cohort":false}');
	my %answers;

	for my $n (0 .. 59) {
		my @order = order($n * 83, @members);
		my $body = '{' . join(',', @order) . '}';
		my $message = "order-$n";

		$body =~ s/ID/$message/;

		my $answer = $cohort->ask('', $body);

		$answers{"$answer->{status} " . $answer->{body} =~ s/\s+\z//r}++;
		$answer->{status} == 200 or diag($body);
	}

	my $summary = '200 {"received":1,"added":1,"removed":0,"skipped":0,';

	is_deeply(\%answers, { "$summary\"calls\":3}" => 1,
		"$summary\"calls\":1}" => 59 }, 'answers');
	is_deeply($cohort->members('[Amplitude] Buyers [orders]'),
		[ 'o@a.example' ], 'members');
});

subtest('messages' => sub {
	my @rows = (
		[ 'a number as cohort id', { cohort_id => 17 }, 200, { added => 1 } ],
		[ 'computed_time as a number', { computed_time => 1700000000.5 }, 200,
			{ added => 1 } ],
		[ 'computed_time that is none', { computed_time => 'soon' }, 200,
			{ added => 1 } ],
		[ 'computed_time null', '"computed_time":null', 200, { added => 1 } ],
		[ 'no computed_time', { computed_time => undef }, 200, { added => 1 } ],
		[ 'no message_id', { message_id => undef }, 200, { added => 1 } ],
		[ 'no cohort_name', { cohort_name => undef }, 200, { added => 1 } ],
		[ 'no users', { users => [] }, 200,
			{ received => 0, added => 0, calls => 0 } ],
		[ 'plain words', { users => [ qw(word other) ] }, 200,
			{ received => 2, added => 0, skipped => 2, calls => 0 } ],
		[ 'users that are none', '"users":[1,null,true,[],{},"",[["x"]]]', 200,
			{ received => 7, added => 0, skipped => 7, calls => 0 } ],
		[ 'strings with addresses', { users => [ 's@a.example' ] }, 200,
			{ received => 1, added => 1 } ],
		[ 'an address in user_id', { users => [ { user_id => 'U@a.example',
			user_properties => { email => '' } } ] }, 200, { added => 1 } ],
		[ 'user_properties null', '"users":[{"user_id":"n@a.example",'
			. '"user_properties":null}]', 200, { added => 1 } ],
		[ 'user_properties twice: the last', '"users":[{"user_properties":'
			. '{"email":"bad"},"user_properties":{"email":"l@a.example"}}]',
			200, { added => 1 } ],
		[ 'email twice: the last', '"users":[{"user_properties":'
			. '{"email":"l2@a.example","email":"bad"}}]', 200,
			{ added => 0, skipped => 1 } ],
		[ 'escapes in keys', '"\u0075sers":[{"user\u005fproperties":'
			. '{"\u0065mail":"e\u0040a.example"}}]', 200, { added => 1 } ],
		[ 'users twice: the last', '"users":["t1@a.example","t2@a.example",'
			. '"no"],"users":["t3@a.example"]', 200,
			{ received => 1, added => 1, skipped => 0 } ],
		[ 'users twice: the last is none', '"users":["t4@a.example"],"users":1',
			400, 'invalid_message' ],
		[ 'in_cohort twice: the last', '"in_cohort":"x","in_cohort":true', 200,
			{ added => 1 } ],
		[ 'in_cohort twice: the last is none', '"in_cohort":true,'
			. '"in_cohort":"true"', 400, 'invalid_message' ],
		[ 'in_cohort a string', { in_cohort => 'true' }, 400,
			'invalid_message' ],
		[ 'in_cohort a number', { in_cohort => 1 }, 400, 'invalid_message' ],
		[ 'in_cohort null', '"in_cohort":null', 400, 'invalid_message' ],
		[ 'no in_cohort', { in_cohort => undef }, 400, 'invalid_message' ],
		[ 'no cohort_id', { cohort_id => undef }, 400, 'invalid_message' ],
		[ 'cohort_id empty', { cohort_id => '' }, 400, 'invalid_message' ],
		[ 'cohort_id blank', { cohort_id => "\t \n" }, 400,
			'invalid_message' ],
		[ 'cohort_id null', '"cohort_id":null', 400, 'invalid_message' ],
		[ 'cohort_id an object', '"cohort_id":{}', 400, 'invalid_message' ],
		[ 'cohort_id too long', { cohort_id => 'x' x 98 }, 400,
			'invalid_message' ],
		[ 'no array of users', { users => undef }, 400, 'invalid_message' ],
		[ 'users an object', { users => {} }, 400, 'invalid_message' ],
		[ 'users null', '"users":null', 400, 'invalid_message' ],
		[ 'depth 40', '"deep":' . ('[' x 39) . (']' x 39), 200,
			{ added => 1 } ],
		[ 'depth 400', '"deep":' . ('[' x 400) . (']' x 400), 400,
			'invalid_json' ],
		[ 'a user of depth 40', '"users":[{"user_id":"d@a.example","x":'
			. ('[' x 39) . (']' x 39) . '}]', 200, { added => 1 } ],
		[ 'a user of depth 41', '"users":[{"user_id":"d@a.example","x":'
			. ('[' x 40) . (']' x 40) . '}]', 400, 'invalid_json' ],
	);

	for (@rows) {
		my ($name, $members, $status, $expect) = @$_;
		my $body = ref $members ? $cohort->message(enter => [ "r$id\@a.example" ],
			cohort_id => 'rows', message_id => 'row-' . $id++, %$members)
			: $cohort->message(enter => [ "r$id\@a.example" ],
				cohort_id => 'rows', message_id => 'row-' . $id++)
				=~ s/\}\z/,$members}/r;

		answers($cohort->ask('', $body), $status, $expect, $name);
	}
});

subtest('not JSON' => sub {
	my $good = $cohort->message(enter => [ 'j@a.example' ]);
	my @rows = (
		[ 'nothing', '' ], [ 'a word', 'users' ], [ 'a string', '"users"' ],
		[ 'a number', '1' ], [ 'cut', substr($good, 0, -1) ],
		[ 'text behind', "$good}" ], [ 'two', $good . $good ],
		[ 'a comma', $good =~ s/\}\z/,}/r ], [ 'quotes',
			$good =~ s/Buyers/Say "hi"/r ],
	);

	for (@rows) {
		my ($name, $body) = @$_;
		my $answer = $cohort->ask('', $body);

		answers($answer, 400, 'invalid_json', $name);
		like($answer->{json}{at} // '', qr/^\d+$/, 'where');
	}

	for ([ 'an array', '[]' ], [ 'an array of users', '["x@a.example"]' ],
		[ 'an empty object', '{}' ])
	{
		my $answer = $cohort->ask('', $_->[1]);

		is($answer->{status}, 400, $_->[0]) or diag(explain($answer));
		like($answer->{json}{error} // '', qr/^invalid_(?:json|message)$/,
			'error');
	}

	is($cohort->ask('', "\xef\xbb\xbf$good")->{status}, 200, 'a mark of UTF-8');
});

subtest('names' => sub {
	my $replacement = "\x{fffd}";
	my @rows = (
		[ 'controls', 'a\u0000b\nc\u007fd\u0085e', 'a b c d e' ],
		[ 'quotes', 'Say \"hi\" \\\\ \/ </script>', 'Say "hi" \\ / </script>' ],
		[ '4 bytes', "x\xf0\x9f\x98\x80y", "x\x{1f600}y" ],
		[ '4 bytes, escaped', 'x\ud83d\ude00y', "x\x{1f600}y" ],
		[ 'a lone surrogate', 'x\ud83dy', "x${replacement}y" ],
		[ 'surrogates the wrong way', 'x\ude00\ud83dy',
			"x$replacement${replacement}y" ],
		[ 'broken UTF-8', "x\xffy\xc3", "x${replacement}y$replacement" ],
		[ 'overlong UTF-8', "x\xc0\xafy", "x$replacement${replacement}y" ],
		[ '200 bytes', 'n' x 200, 'n' x 82 ],
		[ '200 bytes of 2', "\xc3\xa9" x 100, "\x{e9}" x 41 ],
		[ '200 bytes of 3', 'a' . ("\xe2\x82\xac" x 66) . 'a',
			'a' . "\x{20ac}" x 27 ],
		[ '200 bytes of 4', "\xf0\x9f\x98\x80" x 50, "\x{1f600}" x 20 ],
		[ 'brackets', 'a [b] [c]', 'a [b] [c]' ],
		[ 'of a list', '[Amplitude] a: b', '[Amplitude] a: b' ],
		[ 'percent', '%s%n%V%00', '%s%n%V%00' ],
	);

	for my $n (0 .. $#rows) {
		my ($name, $text, $expect) = @{ $rows[$n] };
		my $cid = sprintf 'n%02d', $n;

		my $body = $cohort->message(enter => [ 'n@a.example' ],
			cohort_id => $cid, cohort_name => 'NAME') =~ s/NAME/$text/r;

		answers($cohort->ask('', $body), 200, { added => 1 }, $name);
		is(listed($cid), "[Amplitude] $expect [$cid]", 'its name');

		$body = $cohort->message(enter => [ 'n@a.example' ], cohort_id => $cid,
			cohort_name => 'Another');
		answers($cohort->ask('', $body), 200, { added => 1, calls => 1 },
			'another name, the same list');
	}
});

subtest('cohort ids' => sub {
	my @rows = (
		[ 'a number', '12345', '12345' ],
		[ 'a large number', '12345678901234567890123',
			'12345678901234567890123' ],
		[ 'a number as a string', '"12346"', '12346' ],
		[ 'the same as the number', '12346', '12346', 1 ],
		[ 'controls', '"i\u0001\n1"', 'i  1' ],
		[ 'quotes', '"i\"2"', 'i"2' ],
		[ '4 bytes', "\"i\xf0\x9f\x98\x80\"", "i\x{1f600}" ],
		[ 'brackets', '"i] [3"', 'i] [3' ],
		[ 'longest', '"' . ('l' x 97) . '"', 'l' x 97 ],
		[ 'a URL', '"../../?a=b&c#d%2f"', '../../?a=b&c#d%2f' ],
	);

	for (@rows) {
		my ($name, $text, $expect, $known) = @$_;
		my $body = $cohort->message(enter => [ 'i@a.example' ],
			cohort_id => 'ID', cohort_name => '') =~ s/"ID"/$text/r;
		my $answer = $cohort->ask('', $body);

		is($answer->{status}, 200, $name) or diag(explain($answer));
		is($answer->{json}{calls}, $known ? 1 : 3, 'calls');
		like(listed($expect), length $expect == 97 ? qr/\A \[/
			: qr/\A\[Amplitude\] +\[/, 'list');
	}
});

subtest('values' => sub {
	my $body = $cohort->message(enter => [], cohort_id => 'values');
	my $users = join ',', map { '{"user_id":"x","user_properties":'
		. "{\"email\":\"$_->[0]\",\"first_name\":\"$_->[1]\"}}" }
		[ 'v1@a.example', 'a\ud83db' ], [ 'v2@a.example', "a\xffb" ],
		[ ' V3@A.example\n', 'Say \"hi\"\u0000' ],
		[ 'v4@a.example', "\xf0\x9f\x98\x80" ], [ 'v5@a.example', '' ],
		[ "v6\xff\@a.example", '' ], [ 'v7@a', '' ], [ 'v8@@a.example', '' ];

	$body =~ s/"users":\[\]/"users":[$users]/;
	answers($cohort->ask('', $body), 200, { received => 8, added => 5,
		skipped => 3 }, 'answer');
	$ngx->wait_for(sub { $sg->contacts()->{'v4@a.example'} });

	my $contacts = $sg->contacts();

	is_deeply([ map { $contacts->{"v$_\@a.example"}{first_name} } 1 .. 5 ],
		[ "a\x{fffd}b", "a\x{fffd}b", "Say \"hi\"\0", "\x{1f600}", undef ],
		'first names') or diag(explain($contacts));
});

subtest('the dead letter' => sub {
	my @users = ("\"a\xffb\"", '"lone \ud83d"', '"\u0000\u001f\\\\\\""',
		"\"\xf0\x9f\x98\x80\"", "{\"user_id\":\"x\",\"a\":\"\xc3\x28\"}", '7', 'null',
		'[[]]', '{"a":1,"a":2}', '{"user_properties":{"email":"x y"}}',
		'"' . ('w' x 5000) . '"');
	my $body = $cohort->message(enter => [], cohort_id => 'dead');

	$body =~ s/"users":\[\]/'"users":[' . join(',', @users) . ']'/e;
	answers($cohort->ask('', $body, uri => '/dead'), 200, { received => 11,
		skipped => 11 }, 'answer');

	my @lines = lines($dead);

	is(scalar @lines, 11, 'lines');
	is(scalar(grep { eval { JSON::PP->new()->utf8()->decode($_) } } @lines),
		11, 'are JSON');
	is(scalar(grep { utf8::decode(my $line = $_) } @lines), 11, 'are UTF-8');
});

subtest('in portions' => sub {
	my $body = $cohort->message(enter => [ map { "p$_\@a.example" } 1 .. 30 ],
		cohort_id => 'portions', message_id => undef);

	$cohort->ask('', $body);

	for (1, 7, 100) {
		answers($cohort->ask('', $body, every => $_, pause => 0.0001), 200,
			{ received => 30, added => 30, calls => 1 }, "of $_");
		answers($cohort->ask('', $body, chunked => $_), 200,
			{ received => 30, added => 30, calls => 1 }, "chunks of $_");
	}

	answers($cohort->ask('', $body, expect => 1), 200, { added => 30 },
		'100-continue');
});

subtest('list API' => sub {
	my ($list) = map { $_->{json}{listId} } $cohort->ask('/lists',
		{ name => '[Amplitude] Many: words: portal' });

	is(listed('portal'), '[Amplitude] Many: words [portal]', 'name');

	my @names = (
		[ 'the same cohort', '{"name":"[Amplitude] Renamed: portal"}', 200,
			$list ],
		[ 'the same list for the webhook', undef, 200, $list ],
		[ 'another name', '{"name":"Taken \"whole\": x"}', 200 ],
		[ 'no id', '{"name":"[Amplitude] none: "}', 200 ],
		[ 'name twice', '{"name":1,"name":"[Amplitude] x: portal"}', 200,
			$list ],
		[ 'other members', '{"a":[{"name":"x"}],"name":'
			. '"[Amplitude] x: portal","userIds":[]}', 200, $list ],
		[ 'no name', '{}', 400 ], [ 'empty', '{"name":""}', 400 ],
		[ 'blank', '{"name":" \n"}', 400 ],
		[ 'a number', '{"name":5}', 400 ],
		[ 'an array', '{"name":["x"]}', 400 ],
		[ 'too long', '{"name":"' . ('x' x 101) . '"}', 400 ],
	);

	for (@names) {
		my ($name, $body, $status, $expect) = @$_;

		if (!defined $body) {
			$cohort->ask('', $cohort->message(enter => [ 'l@a.example' ],
				cohort_id => 'portal'));
			ok($sg->lists()->{$list}{members}{'l@a.example'}, $name);
			next;
		}

		my $answer = $cohort->ask('/lists', $body);

		is($answer->{status}, $status, $name) or diag(explain($answer));

		if ($status == 200) {
			my $made = $answer->{json}{listId} // '';

			is_deeply($answer->{json}, { listId => $made, list_id => $made,
				response => { listId => $made, list_id => $made } }, 'answer');
			like($made, qr/\A[0-9a-f-]{36}\z/, 'id');
			is($made, $expect, 'the list') if defined $expect;

		} else {
			is($answer->{json}{error}, 'invalid_message', 'error');
		}
	}

	# a name that is taken whole is no end of another

	my %made;

	for (1, 2) {
		for ('whole', 'not whole', 'whole [x]', '[Amplitude] whole') {
			$made{ $cohort->ask('/lists', { name => $_ })->{json}{listId} }++;
		}
	}

	is_deeply([ values %made ], [ (2) x 4 ], 'whole names');

	my @lists = map { $_->{name} } values %{ $sg->lists() };

	is(scalar(grep { $_ eq 'Taken "whole": x' } @lists), 1, 'another name')
		or diag(explain(\@lists));

	my @users = (
		[ 'userIds', '{"userIds":["u1@a.example"]}', { added => 1 } ],
		[ 'user_ids', '{"user_ids":["u1@a.example"]}', { added => 1 } ],
		[ 'users', '{"users":["u1@a.example"]}', { added => 1 } ],
		[ 'items', '{"items":[{"email":"u1@a.example","first_name":"F"}]}',
			{ added => 1 } ],
		[ 'user_id of an item', '{"items":[{"user_id":"U2@a.example"}]}',
			{ added => 1 } ],
		[ 'both', '{"items":["u3@a.example",{"email":"u3@A.example"},"word",'
			. '7,{"email":"x"}]}', { received => 5, added => 1, skipped => 3 } ],
		[ 'plain words', '{"userIds":["user1","user2"]}', { received => 2,
			added => 0, skipped => 2, calls => 0 } ],
		[ 'unknown members', '{"x":{"items":[1]},"items":["u4@a.example"],'
			. '"y":null}', { received => 1, added => 1 } ],
		[ 'the last of two', '{"items":[1,2],"items":["u5@a.example"]}',
			{ received => 1, added => 1, skipped => 0 } ],
		[ 'an empty array', '{"items":[]}', 400 ],
		[ 'an empty array at last', '{"items":["u@a.example"],"items":[]}',
			400 ],
		[ 'no array', '{"items":"u@a.example"}', 400 ],
		[ 'nothing', '{}', 400 ], [ 'another', '{"ids":["u@a.example"]}', 400 ],
	);

	for (@users) {
		my ($name, $body, $expect) = @$_;

		for my $do ($expect eq '400' ? qw(add remove) : 'add') {
			answers($cohort->ask("/lists/$list/$do", $body),
				ref $expect ? 200 : 400, ref $expect ? $expect
				: 'invalid_message', "$do, $name");
		}
	}

	answers($cohort->ask("/lists/\U$list\E/add", $users[0][1]), 200,
		{ added => 1 }, 'an id in upper case');
	answers($cohort->ask("/lists/$list/add/?x=y", $users[0][1]), 200,
		{ added => 1 }, 'arguments');
	answers($cohort->ask("/lists/$list/add", 'x'), 400, 'invalid_json',
		'not JSON');

	for ('/x', 'x', '/listsx', 'lists', "lists/$list/add", '/lists/add', '/lists//add',
		'/lists/1/add', "/lists/$list", "/lists/$list/", "/lists/$list/x",
		"/lists/$list/addx", "/lists/$list/add/x", "/lists/${list}0/add",
		"/lists/x$list/add", '/lists/' . ($list =~ s/-/_/r) . '/add',
		'/lists/' . ($list =~ s/\A./g/r) . '/add', "/x/lists/$list/add",
		"/lists/$list%2fadd/x", '/LISTS')
	{
		answers($cohort->ask($_, $users[0][1] =~ s/\}/,"name":"x"}/r), 404,
			'not_found', "no path: $_");
	}

	answers($cohort->ask('/lists/' . UUID . '/add', $users[0][1]), 404,
		'not_found', 'no list');
});

subtest('heads' => sub {
	my $good = $cohort->message(enter => [ 'h@a.example' ],
		cohort_id => 'heads', message_id => undef);
	my @paths = ('', '/lists', '/lists/' . UUID . '/add');

	for my $path (@paths) {
		for (qw(GET PUT DELETE PATCH OPTIONS)) {
			my $answer = $cohort->ask($path, '', method => $_);

			is($answer->{status}, 405, "$_ $path");
			is($answer->{json}{error}, 'method_not_allowed', 'error');
			is($answer->{headers}{allow}, 'POST', 'Allow');
		}

		for (qw(gzip deflate br)) {
			answers($cohort->ask($path, $good,
				headers => [ "Content-Encoding: $_" ]), 415,
				'content_encoding', "$_, $path");
		}

		my %wrong = (none => undef, wrong => "${secret}x",
			short => substr($secret, 0, -1), empty => '', blank => " ",
			case => uc $secret, twice => "$secret $secret");

		for (sort keys %wrong) {
			my $answer = $cohort->ask($path, $good, bearer => $wrong{$_});

			answers($answer, 401, 'unauthorized', "$_, $path");
			like($answer->{headers}{'www-authenticate'} // '', qr/\ABearer /,
				'what is asked for');
		}
	}

	answers($cohort->ask('', $good, headers =>
		[ 'Content-Encoding: identity' ]), 200, { added => 1 }, 'identity');

	my @basic = ([ "any:$secret", 200 ], [ ":$secret", 200 ],
		[ "$secret:", 200 ], [ "$secret:x", 401 ], [ $secret, 401 ],
		[ "x:${secret}x", 401 ], [ ":", 401 ], [ "", 401 ],
		[ "x:$secret:", 401 ], [ "x::$secret", 401 ]);

	for (@basic) {
		my ($text, $status) = @$_;
		my $answer = $cohort->ask('', $good, bearer => undef,
			headers => [ 'Authorization: Basic ' . encode_base64($text, '') ]);

		is($answer->{status}, $status, "Basic $text");
	}

	for ("basic " . encode_base64("x:$secret", ''), "BEARER $secret",
		"bearer  $secret")
	{
		is($cohort->ask('', $good, bearer => undef,
			headers => [ "Authorization: $_" ])->{status}, 200, $_);
	}

	for ($secret, "Token $secret", "Bearer", "Basic $secret", "Basic !!!",
		"Bearer=$secret", "Bearer\t$secret")
	{
		is($cohort->ask('', $good, bearer => undef,
			headers => [ "Authorization: $_" ])->{status}, 401, $_);
	}

	for ([ 'first', 200 ], [ 'the second', 200 ], [ 'third:', 200 ],
		[ $secret, 401 ], [ 'first the second', 401 ], [ undef, 401 ])
	{
		is($cohort->ask('', $good, uri => '/several', bearer => $_->[0])
			->{status}, $_->[1], 'several: ' . ($_->[0] // 'none'));
	}

	is($cohort->ask('', $good, uri => '/several', bearer => undef, headers =>
		[ 'Authorization: Basic ' . encode_base64('x:third:', '') ])->{status},
		200, 'a colon in the password');
	is($cohort->ask('', $good, uri => '/off', bearer => $_)->{status}, 200,
		'off: ' . ($_ // 'none')) for undef, 'any';
});

subtest('locations' => sub {
	my ($list) = map { $_->{json}{listId} } $cohort->ask('/lists',
		{ name => 'Of locations' });
	my $users = '{"userIds":["w@a.example"]}';

	for ('/cohorts', '/cohorts/', '/cohorts//', '/blocks', '/blocks?if=1',
		'/slash/', '/exact', '/regex/abc', '/rewritten/', '/named')
	{
		answers($cohort->ask('', $cohort->message(enter => [ 'w@a.example' ],
			cohort_id => 'where'), uri => $_), 200, { added => 1 }, $_);
	}

	for ('/cohorts', '/blocks', '/slash', '/regex/abc', '/rewritten',
		'/named')
	{
		is($cohort->ask('', '{"name":"Of locations"}', uri => "$_/lists")
			->{json}{listId}, $list, "$_/lists");
		answers($cohort->ask('', $users, uri => "$_/lists/$list/add"), 200,
			{ added => 1 }, "$_/lists/ID/add");
		answers($cohort->ask('', $users, uri => "$_/lists/$list/x"), 404,
			'not_found', "$_/lists/ID/x");
	}

	answers($cohort->ask('', $users, uri => "/blocks/lists/$list/add?if=1"),
		200, { added => 1 }, 'a block of if');
});

subtest('sizes' => sub {
	my %user = (user_id => 'z@a.example');
	my @rows = (
		[ 'a user of 1k', { %user, x => 'x' x 980 }, 200, { added => 1 } ],
		[ 'a larger user', { %user, x => 'x' x 1100 }, 413, 'too_large' ],
		[ 'a larger word', 'x' x 1100, 413, 'too_large' ],
		[ 'a larger body', [ (\%user) x 300 ], 413, 'too_large' ],
	);

	for (@rows) {
		my ($name, $user, $status, $expect) = @$_;
		my $body = $cohort->message(enter => ref $user eq 'ARRAY' ? $user
			: [ ref $user ? $user : { user_id => $user } ],
			cohort_id => 'sizes');

		answers($cohort->ask('', $body, uri => '/small'), $status, $expect,
			$name);
		answers($cohort->ask('', $body, uri => '/small', chunked => 50),
			$status, $expect, "$name, chunked") if $status != 200;
	}
});

subtest('a large message' => sub {
	my $n = 30000;
	my $body = $cohort->message(enter => [ map { "large$_\@a.example" }
		1 .. $n ], cohort_id => 'large');

	answers($cohort->ask('', $body), 200, { received => $n, added => $n,
		skipped => 0, calls => 2 + $n / 5000 }, 'answer');
});

is_deeply([ $sg->violations() ], [], 'no violation');
$cohort->quiet('Say "', 'hi"', 'orders', 'portal', 'third:', 'the second');
$ngx->done();
done_testing();

###############################################################################

# the members in the n-th order

sub order {
	my ($n, @left) = @_;
	my @order;

	while (@left) {
		push @order, splice @left, $n % @left, 1;
		$n = int($n / (@left + 1));
	}

	return @order;
}


# the name of the list of a cohort

sub listed {
	my ($cid) = @_;
	my ($name) = grep { substr($_, -length(" [$cid]")) eq " [$cid]" }
		map { $_->{name} } values %{ $sg->lists() };

	return $name // '';
}
