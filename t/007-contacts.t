#!/usr/bin/perl

# The stand-in for SendGrid's lists and contacts: what its contract answers,
# when changes take effect, and which rules it watches.

use warnings;
use strict;

use Test::More;

use HTTP::Tiny;
use JSON::PP ();
use Time::HiRes qw(sleep time);

use Contacts;
use Gateway;

my $base = '/v3/marketing';
my $window = 0.2;
my $sg = Contacts->new(window => $window, headers => qr/^user-agent$/);
my $http = HTTP::Tiny->new(agent => 'test');
my $none = '00000000-0000-4000-8000-000000000000';

subtest('lists' => sub {
	my $made = ask(POST => '/lists', { name => 'One [1]' });

	is($made->{status}, 201, 'a list is made');
	is($made->{json}{name}, 'One [1]', 'its name');
	is(ask(POST => '/lists', { name => 'One [1]' })->{status}, 400,
		'the same name');
	is(ask(POST => '/lists', { name => "\x{df}" x 51 })->{status}, 400,
		'more than 100 bytes');
	is(ask(POST => '/lists', { name => "\x{df}" x 50 })->{status}, 201,
		'100 bytes');

	is(ask(GET => "/lists/$made->{json}{id}")->{json}{contact_count}, 0,
		'no contact yet');
	is(ask(GET => "/lists/$none")->{status}, 404, 'a list that is not there');

	$sg->list("More $_") for 1 .. 3;

	my $page = ask(GET => '/lists?page_size=2')->{json};

	is(@{ $page->{result} }, 2, 'a page');
	is($page->{_metadata}{count}, 5, 'of all');

	my ($next) = ($page->{_metadata}{next} // '')
		=~ m!^https://api\.sendgrid\.com\Q$base\E(/.*)!;

	is(ask(GET => $next)->{json}{result}[0]{name}, 'More 1', 'the next page');
	ok(!ask(GET => '/lists?page_size=5')->{json}{_metadata}{next}, 'no more');

	$sg->set(page_size => 1);
	is(@{ ask(GET => '/lists?page_size=1000')->{json}{result} }, 1,
		'a page that is smaller than was asked for');
	$sg->set(page_size => undef);

	$sg->set(max_lists => 5);
	is(ask(POST => '/lists', { name => 'x' })->{status}, 400, 'too many lists');
	is_deeply([ $sg->violations() ], [], 'no violation');
});

subtest('adding' => sub {
	$sg->clear();

	my $id = $sg->list('One', 'old@a.example');
	my $put = put([ $id ], 'a@a.example', 'b@a.example');

	is($put->{status}, 202, 'accepted');
	is_deeply([ $sg->members($id) ], [ 'old@a.example' ], 'not applied yet');
	is(job($put)->{status}, 'pending', 'nor is the job');
	ok(!exists job($put)->{results}{created_count}, 'whose counts are not known');

	ok(Gateway->wait_for(sub { $sg->members($id) == 3 }), 'applied');
	is_deeply(job($put), { id => $put->{json}{job_id}, status => 'completed',
		job_type => 'upsert_contacts',
		results => { requested_count => 2, created_count => 2 } }, 'the job');
	is(ask(GET => "/contacts/imports/$none")->{status}, 404, 'another job');
	is(put([ $none ], 'a@a.example')->{status}, 404, 'a list that is not there');

	$sg->set(unknown_list => 400);
	is(put([ $none ], 'a@a.example')->{status}, 400, 'told otherwise');

	# what a refusal names

	$sg->set(bad => '^bad');

	for ([ 'identifier', [ map { "contacts[$_].identifier" } 1, 2 ] ],
		[ 'email', [ map { "contacts[$_].email" } 1, 2 ] ],
		[ 'first', [ 'contacts[1].identifier' ] ],
		[ 'address', [ undef, undef ] ], [ 'none', [ undef ] ])
	{
		my ($name, $fields) = @$_;

		$sg->set(name => $name);

		my $r = put([ $id ], map { "$_\@a.example" } qw(x bad1 bad2));

		is($r->{status}, 400, "$name: refused");
		is_deeply([ map { $_->{field} } @{ $r->{json}{errors} } ], $fields,
			'what it names');
		like($r->{json}{errors}[0]{message}, $name eq 'none' ? qr/^invalid/
			: qr/^email 'bad1\@a\.example' is not valid$/, 'the message');
	}

	sleep $window + 0.1;
	is($sg->members($id), 3, 'nobody was added');
	is_deeply([ $sg->violations() ], [], 'no violation');
});

subtest('searching and removing' => sub {
	$sg->clear();

	my ($one, $two) = ($sg->list('One', 'a@a.example', 'b@a.example'),
		$sg->list('Two', 'b@a.example', 'c@a.example'));
	my $found = ask(POST => '/contacts/search/emails',
		{ emails => [ 'B@a.example', 'no@a.example' ] });

	is($found->{status}, 200, 'found');
	is_deeply($found->{json}{result}{'b@a.example'}{contact}{list_ids},
		[ $one, $two ], 'the lists of a contact');
	ok($found->{json}{result}{'no@a.example'}{error}, 'nobody else');

	my $b = $found->{json}{result}{'b@a.example'}{contact}{id};

	is(ask(POST => '/contacts/search/emails', { emails => [ 'x@y.example' ] })
		->{status}, 404, 'none is found');
	is(ask(POST => '/contacts/search/identifiers/email',
		{ identifiers => [ 'b@a.example' ] })->{status}, 200,
		'by another way');

	is(remove($one, $b)->{status}, 202, 'removed');
	is_deeply([ $sg->members($one) ], [ map { "$_\@a.example" } qw(a b) ],
		'not applied yet');
	ok(Gateway->wait_for(sub { $sg->members($one) == 1 }), 'applied');
	is_deeply([ $sg->members($two) ], [ map { "$_\@a.example" } qw(b c) ],
		'on the other list still');
	ok($sg->contacts()->{'b@a.example'}, 'and not deleted');

	is(remove($one, $b, $none)->{status}, 404, 'an id that is not there');
	is(remove($none, $b)->{status}, 404, 'a list that is not there');
	is_deeply([ $sg->violations() ], [], 'no violation');
});

subtest('in any order' => sub {
	$sg->clear();
	$sg->set(jitter => 1);

	my $id = $sg->list('One', map { "old$_\@a.example" } 1 .. 20);
	my @old = map { $_->{id} } values %{ $sg->contacts() };
	my $put = put([ $id ], map { "new$_\@a.example" } 1 .. 20);

	remove($id, @old);
	put([ $id ], map { "old$_\@a.example" } 1 .. 20);

	# each contact has its own time

	sleep $window + 0.3;

	my $n = grep { /^new/ } $sg->members($id);

	ok($n > 0 && $n < 20, 'some are applied') || diag($n);
	is(job($put)->{status}, 'pending', 'the job is not done');
	sleep 0.8;
	is(scalar(grep { /^new/ } $sg->members($id)), 20, 'all are applied');
	is(job($put)->{status}, 'completed', 'the job is done');

	# removed and added within one window

	$n = grep { /^old/ } $sg->members($id);
	ok($n > 0 && $n < 20, 'which came last is chance') || diag($n);
	is_deeply([ $sg->violations() ], [], 'no violation');
	$sg->set(jitter => 0);
});

subtest('limits' => sub {
	$sg->clear();
	$sg->set(limits => { lists => 2 });

	# not at the end of a minute

	sleep 2 if int(time()) % 60 > 57;

	my @r = map { ask(GET => '/lists') } 1 .. 3;

	is_deeply([ map { $_->{status} } @r ], [ 200, 200, 429 ], 'two a minute');
	is_deeply([ map { $_->{headers}{'x-ratelimit-remaining'} } @r ],
		[ 1, 0, 0 ], 'how many are left');
	cmp_ok($r[2]{headers}{'x-ratelimit-reset'}, '<=', 60, 'seconds left');
	is($r[2]{json}{errors}[0]{message}, 'too many requests', 'the message');
	is(ask(GET => '/field_definitions')->{status}, 200, 'another bucket');

	$sg->set(minute => 1);
	sleep 1;
	is(ask(GET => '/lists')->{headers}{'x-ratelimit-reset'}, 1,
		'a shorter minute');
	$sg->script({ status => 429 });

	my $r = ask(GET => '/lists');

	is($r->{status}, 429, 'throttled by the script');
	is($r->{headers}{'x-ratelimit-remaining'}, 0, 'none is left');

	$sg->set(limits => {}, minute => 60);
});

subtest('keys and faults' => sub {
	$sg->clear();
	$sg->set(fields => [ [ 'e1_T', 'plan', 'Text' ] ]);

	is(ask(GET => '/field_definitions')->{json}{custom_fields}[0]{id}, 'e1_T',
		'a custom field');
	is($http->get('http://127.0.0.1:' . $sg->port() . "$base/lists")->{status},
		401, 'no key');

	my $id = $sg->list('One');

	$sg->script({ status => 503 }, { status => 500, store => 1 });

	is(put([ $id ], 'a@a.example')->{status}, 503, 'a fault of the script');
	is(put([ $id ], 'b@a.example')->{status}, 500, 'a fault with its effect');
	ok(Gateway->wait_for(sub { $sg->members($id) == 1 }), 'applied');
	is_deeply([ $sg->members($id) ], [ 'b@a.example' ], 'which it was');
	is_deeply([ $sg->calls() ], [ qw(fields lists put put) ], 'the calls');

	# answers that are lost, and requests that are taken late

	$sg->set(bad => '^bad');
	$sg->script({ reset => 'after' }, { status => 502, store => 1 },
		{ reset => 'after', delay => 0.1, later => 0.1 });
	is(put([ $id ], 'c@a.example')->{status}, 599, 'no answer');
	is(put([ $id ], 'd@a.example', 'bad@a.example')->{status}, 502,
		'with the effect of a refusal');

	my $time = time();

	is(put([ $id ], 'e@a.example')->{status}, 599, 'no answer, later');
	ok(Gateway->wait_for(sub { $sg->members($id) == 3 }), 'applied');
	cmp_ok(time() - $time, '>=', $window + 0.1, 'after the request was taken');
	is_deeply([ $sg->members($id) ], [ map { "$_\@a.example" } qw(b c e) ],
		'all but a refused one');
	$sg->set(bad => undef);
	is_deeply([ $sg->violations() ], [], 'no violation');
});

subtest('rules' => sub {
	for (
		[ 'upper case', PUT => '/contacts',
			{ list_ids => [], contacts => [ { email => 'A@a.example' } ] } ],
		[ 'an address twice', PUT => '/contacts', { list_ids => [],
			contacts => [ ({ email => 'a@a.example' }) x 2 ] } ],
		[ 'a contact without an address', PUT => '/contacts',
			{ list_ids => [], contacts => [ { first_name => 'A' } ] } ],
		[ 'contacts', PUT => '/contacts', { list_ids => [] } ],
		[ 'list_ids', PUT => '/contacts', { list_ids => [ 'x' ],
			contacts => [ { email => 'a@a.example' } ] } ],
		[ 'not 1 to 100 addresses', POST => '/contacts/search/emails',
			{ emails => [ map { "a$_\@a.example" } 1 .. 101 ] } ],
		[ 'an address of more than 100 characters',
			POST => '/contacts/search/emails',
			{ emails => [ 'a' x 100 . '@a.example' ] } ],
		[ 'contact_ids: contact_ids=x', DELETE =>
			"/lists/$none/contacts?contact_ids=x" ],
		[ 'contact_ids: missing', DELETE => "/lists/$none/contacts" ],
		[ "DELETE $base/contacts?ids=$none", DELETE => "/contacts?ids=$none" ],
		[ "DELETE $base/lists/$none?delete_contacts=true", DELETE =>
			"/lists/$none?delete_contacts=true" ],
		[ 'header cookie', GET => '/lists', undef, { cookie => 'a=b' } ],
		[ 'Content-Type: text/plain', POST => '/lists', { name => 'x' },
			{ 'content-type' => 'text/plain' } ],
		[ 'a body', GET => '/lists', {} ])
	{
		my ($want, @request) = @$_;

		$sg->clear();
		ask(@request);

		my @got = map { s/^request \d+: //r } $sg->violations();

		ok((grep { $_ eq $want } @got) == 1, $want) || diag("got @got");
	}

	# ids that SendGrid would take, in a URL that is too long for it

	$sg->clear();
	is(remove($none, ($none) x 230)->{status}, 414, 'a long URL');
	like(join(' ', $sg->violations()), qr/a URL of 85\d\d bytes/, 'is told');
});

$sg->stop();
done_testing();

###############################################################################

sub ask {
	my ($method, $uri, $body, $headers) = @_;
	my $r = $http->request($method,
		'http://127.0.0.1:' . $sg->port() . "$base$uri", {
			headers => { authorization => 'Bearer ' . Contacts::KEY,
				$body ? ('content-type' => 'application/json') : (),
				%{ $headers || {} } },
			$body ? (content => JSON::PP->new()->utf8()->encode($body)) : (),
		});

	$r->{json} = eval { JSON::PP::decode_json($r->{content}) };

	return $r;
}


sub put {
	my ($lists, @addresses) = @_;

	return ask(PUT => '/contacts', { list_ids => $lists,
		contacts => [ map { { email => $_ } } @addresses ] });
}


sub job {
	my ($put) = @_;
	return ask(GET => "/contacts/imports/$put->{json}{job_id}")->{json};
}


sub remove {
	my ($list, @ids) = @_;

	return ask(DELETE => "/lists/$list/contacts?contact_ids="
		. join ',', @ids);
}
