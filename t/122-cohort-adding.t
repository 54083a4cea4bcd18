#!/usr/bin/perl

# Users enter a cohort: the list is found or made, contacts are put on it, and
# what SendGrid refuses is skipped, halved or asked for again.

use warnings;
use strict;

use Test::More;

use FindBin;
use JSON::PP ();
use Time::HiRes qw(sleep time);

use lib "$FindBin::Bin/lib";

use Cohort;
use Gateway;
use Util qw(lines);
use Webhook ();

use constant {
	UUID => '507e6937-484f-41c5-8e45-6b296ca50001',
	LISTS => qr!^GET /v3/marketing/lists\?!,
	CREATE => qr!^POST /v3/marketing/lists$!,
};

my $key = Contacts::KEY;
my $secret = Cohort::SECRET;
my $dead = Gateway->root() . '/dead.json';
my $bytes = Gateway->root() . '/bytes.log';
my $port = Gateway->port(5);
my $uuid = UUID;
my $common = "sendgrid_amp_cohort_secret $secret;
	sendgrid_amp_marketing_key $key;
	sendgrid_amp_apply_window 1ms;
	sendgrid_amp_retry_delay 10ms;
	client_max_body_size 100m;";
my $cohort = Cohort->new(window => 0, limits => { map { $_ => 100000 }
	qw(lists create put search remove fields) }, http => <<"EOC",
	map \$arg_list \$list {
		known   507e6937-484f-41c5-8e45-6b296ca50001;
		bad     507e6937;
		default "";
	}

	log_format bytes "\$request_method \$content_length";

	# a SendGrid that takes all there is

	server {
		listen 127.0.0.1:$port;
		client_max_body_size 0;
		default_type application/json;
		access_log $bytes bytes;

		location /v3/marketing/lists {
			return 200 '{"result":[{"id":"$uuid","name":"N [bytes]"}]}';
		}

		location /v3/marketing/field_definitions {
			return 200 '{"custom_fields":[{"id":"e1_T","name":"plan",
				"field_type":"Text"}]}';
		}

		location / { return 202 '{"job_id":"$uuid"}'; }
	}
EOC
	location => "
		sendgrid_amp_retry_delay 10ms;
		sendgrid_amp_retries 2;
		sendgrid_amp_dead_letter $dead;
	", server => <<"EOS")->start();
	location /small {
		sendgrid_amp_cohorts /sendgrid/test;
		$common
		sendgrid_amp_contact_batch 7;
		sendgrid_amp_dead_letter off;
	}

	location /bytes {
		sendgrid_amp_cohorts /sendgrid/bytes;
		$common
		sendgrid_amp_contact plan plan;
	}

	location /sendgrid/bytes/ {
		internal;
		proxy_pass http://127.0.0.1:$port/;
		client_max_body_size 0;
	}

	location /prefix {
		sendgrid_amp_cohorts /sendgrid/test;
		$common
		sendgrid_amp_list_prefix "";
	}

	location /id {
		sendgrid_amp_cohorts /sendgrid/test;
		$common
		sendgrid_amp_list_id \$list;
	}

	location /fields {
		sendgrid_amp_cohorts /sendgrid/test;
		$common
		sendgrid_amp_contact email mail;
		sendgrid_amp_contact first_name given other;
		sendgrid_amp_contact external_id user_id;
		sendgrid_amp_contact plan plan;
		sendgrid_amp_contact age age;
		sendgrid_amp_contact born born birthday;
		sendgrid_amp_contact none none;
	}
EOS
my ($sg, $ngx) = ($cohort->sg(), $cohort->ngx());
my $ids = 0;

subtest('the list' => sub {
	my $answer = $cohort->webhook(enter => [ 'a@a.example' ]);

	answers($answer, 200, { added => 1, calls => 3 }, 'is made');
	is_deeply([ calls() ], [ qw(lists create put) ], 'calls');
	like(($sg->requests())[0]{uri}, qr/\?page_size=1000$/, 'page');

	$answer = $cohort->webhook(enter => [ map { "k$_\@a.example" } 1 .. 1000 ]);
	answers($answer, 200, { added => 1000, calls => 1 }, '1000, list known');

	# the zone does not know the list any more

	fresh([ 'Other [a]' ], [ 'Renamed by hand [7khm89cz]' ],
		[ 'Buyers [7khm89c]' ], [ '[7khm89cz] Buyers' ], [ 'x[7khm89cz]' ]);
	answers($cohort->webhook(enter => [ 'r@a.example' ]), 200,
		{ added => 1, calls => 3 }, 'renamed');
	is_deeply([ calls() ], [ qw(put lists put) ], 'calls');
	is_deeply($cohort->members('Renamed by hand [7khm89cz]'),
		[ 'r@a.example' ], 'members');
});

subtest('pages' => sub {
	fresh(map { [ "List $_ [x$_]" ] } 1 .. 25);
	$sg->set(page_size => 10);
	answers(cohort('x23'), 200, { added => 1, calls => 4 },
		'on the third page');
	is_deeply([ calls() ], [ qw(lists lists lists put) ], 'calls');
	fresh(map { [ "List $_ [y$_]" ] } 1 .. 25);
	answers(cohort('none'), 200, { added => 1, calls => 5 }, 'on no page');
	is_deeply([ calls() ], [ qw(lists lists lists create put) ], 'calls');

	my $from = log_size();

	fresh(map { [ "List $_ [z]" ] } 1 .. 25);
	answers(cohort('z'), 200, { added => 1, calls => 4 }, 'there 25 times');
	is_deeply($cohort->members('List 1 [z]'), [ 'z@a.example' ],
		'the first counts');
	like($ngx->log($from), qr/\[warn\].* 25 lists/, 'warning');
	$sg->set(page_size => undef);
});

subtest('a SendGrid that lies' => sub {
	my $page = 'https://api.sendgrid.com/v3/marketing/lists?page_size=1000';
	my $good = JSON::PP::encode_json({ id => UUID, name => "Lie [LIE]" });
	my @rows = (
		[ 'an id that is no UUID', qq({"result":[{"id":"../contacts?","name":)
			. qq("Lie [LIE]"}],"_metadata":{}}) ],
		[ 'an id that is a number',
			qq({"result":[{"id":7,"name":"Lie [LIE]"}],"_metadata":{}}) ],
		[ 'a list without an id',
			qq({"result":[{"name":"Lie [LIE]"}],"_metadata":{}}) ],
		[ 'a page that points to itself', qq({"result":[],"_metadata":{)
			. qq("self":"$page&page_token=a","next":"$page&page_token=a"}}) ],
		[ 'another host', qq({"result":[],"_metadata":{"self":"$page",)
			. qq("next":"https://evil.example/v3/marketing/lists?page_token=b"}}) ],
		[ 'another host that looks alike', qq({"result":[],"_metadata":{"self")
			. qq(:"$page","next":"https://api.sendgrid.com.evil.example)
			. qq(/v3/marketing/lists?page_token=b"}}) ],
		[ 'a user in the URL', qq({"result":[],"_metadata":{"self":"$page",)
			. qq("next":"https://api.sendgrid.com\@evil.example)
			. qq(/v3/marketing/lists?page_token=b"}}) ],
		[ 'another path', qq({"result":[],"_metadata":{"self":"$page",)
			. qq("next":"https://api.sendgrid.com/v3/x?page_token=b"}}) ],
		[ 'a token with a line', qq({"result":[],"_metadata":{"self":"$page",)
			. qq("next":"$page&page_token=a\\r\\nX-Evil: 1"}}) ],
		[ 'not JSON', '<html>' ], [ 'an array', "[$good]" ],
		[ 'no result', '{"_metadata":{}}' ], [ 'cut', qq({"result":[$good) ],
		[ 'nothing', '' ], [ 'two', qq({"result":[]}{"result":[]}) ],
	);

	for (@rows) {
		my ($name, $body) = @$_;
		my $cid = 'lie' . ++$ids;
		my $from = log_size();

		fresh();
		$sg->script({ line => LISTS, times => 0, body => $body
			=~ s/LIE/$cid/r });

		my $answer = cohort($cid);

		answers($answer, 503, 'unavailable', $name);
		like($answer->{headers}{'retry-after'} // '', qr/^\d+$/,
			'Retry-After');
		cmp_ok($answer->{json}{calls} // 99, '<=', 3, 'calls');
		is(scalar(grep { $_ ne 'lists' } calls()), 0, 'nothing else');
		is(scalar(grep { $_->{uri} =~ /page_token/ } $sg->requests()), 0,
			'the page is not asked for');
		like($ngx->log($from), qr/\[(?:warn|error)\].*SendGrid/, 'logged');
	}

	fresh();
	$sg->script({ line => CREATE, times => 0, status => 201,
		body => '{"id":"../x","name":"x"}' });
	answers(cohort('lie'), 503, 'unavailable', 'a new list without a UUID');

	fresh(map { [ "$_" ] } 1 .. 250);
	$sg->set(page_size => 1);

	my $answer = cohort('endless');

	answers($answer, 503, 'unavailable', 'pages without an end');
	cmp_ok($answer->{json}{calls}, '<=', 200, 'bounded');
	$sg->set(page_size => undef);

	fresh();
	$sg->script({ line => LISTS, times => 0, status => 200,
		body => '{"result":[' . join(',', ('{"x":"' . 'y' x 1000 . '"}')
		x 6000) . ']}' });
	answers(cohort('mega'), 503, 'unavailable', 'a page of 6 MB');

	fresh();
	$sg->script({ line => qr/PUT/, times => 0, status => 400,
		body => '{"errors":[' . join(',', ('{"field":"x","message":"'
		. 'y' x 1000 . '"}') x 6000) . ']}' });
	cmp_ok(cohort('errors')->{status}, '<=', 503, 'megabytes of errors');
});

subtest('a list that cannot be made' => sub {
	my $from = log_size();

	fresh(map { [ "List $_" ] } 1 .. 1000);
	answers(cohort('many'), 502, 'refused', '1000 lists');
	is_deeply([ calls() ], [ qw(lists create lists) ], 'calls');
	like($ngx->log($from), qr/\[error\].*1000 lists/, 'logged');

	# another node is faster

	fresh();
	$sg->script({ line => CREATE, status => 400, store => 1 });

	my $answer = cohort('conflict');

	answers($answer, 200, { added => 1, calls => 4 }, 'a conflict');
	is_deeply([ calls() ], [ qw(lists create lists put) ], 'calls');
	is_deeply($cohort->members('[Amplitude] N [conflict]'),
		[ 'conflict@a.example' ], 'found');

	for my $status (500, 503) {
		fresh();
		$sg->script({ line => CREATE, status => $status });
		answers(cohort("c$status"), 200, { added => 1 }, "$status, then well");
	}

	for my $status (401, 403) {
		$from = log_size();
		fresh();
		$sg->script({ line => CREATE, status => $status });
		answers(cohort("c$status"), 502, 'refused', "status $status");
		like($ngx->log($from), qr/\[error\].*marketing_key/, 'logged');
	}
});

subtest('a list that is forgotten' => sub {
	for my $status (404, 400) {
		fresh();
		$sg->set(unknown_list => $status);
		answers(cohort('gone'), 200, { added => 1 }, 'made');
		fresh();

		my $answer = cohort('gone', 'g2@a.example');

		answers($answer, 200, { added => 1, calls => 4 }, "$status: renewed");
		is_deeply([ calls() ], [ qw(put lists create put) ], 'calls');
		is_deeply($cohort->members('[Amplitude] N [gone]'),
			[ 'g2@a.example' ], 'members');

		# several requests at once have the old id

		fresh();
		$answer = small(20, cohort_id => 'gone');
		answers($answer, 200, { added => 20 }, 'several at once');
		is(scalar(grep { /lists|create/ } calls()), 2, 'renewed once');
		is(@{ $cohort->members('[Amplitude] N [gone]') }, 20, 'members');

		# SendGrid never has what it says

		fresh();
		$sg->script({ line => qr/^PUT/, times => 0, status => $status,
			body => '{"errors":[{"field":"list_ids","message":'
			. '"list ids not found"}]}' });
		$answer = cohort('gone', 'g3@a.example');
		answers($answer, 503, 'unavailable', 'never there');
		is(scalar(grep { /lists/ } calls()), 1, 'renewed once');
	}

	$sg->set(unknown_list => 404);
});

subtest('contacts that are refused' => sub {
	for my $name (qw(identifier email address first none)) {
		for my $bad (0, 1, 3, 20) {
			my $from = -s $dead // 0;
			my @users = map { { user_id => "x$_", user_properties => {
				email => "$name$_" . ($_ <= $bad ? '+bad' : '')
				. '@a.example' } } } 1 .. 20;

			fresh([ 'N [refuse]' ]);
			$sg->set(bad => qr/\+bad/, name => $name);

			my $answer = cohort('refuse', @users);

			answers($answer, 200, { received => 20, added => 20 - $bad,
				skipped => $bad }, "$name, $bad bad");
			is(@{ $cohort->members('N [refuse]') }, 20 - $bad, 'members');
			cmp_ok($answer->{json}{calls}, '<=', 45, 'calls');

			my @dead = map { JSON::PP::decode_json($_) } lines($dead, $from);

			is_deeply([ sort map { $_->{reason} } @dead ],
				[ ('sendgrid_400') x $bad ], 'dead letter');
			is_deeply([ sort map { $_->{user}{email} // '' } @dead ],
				[ sort map { "$name$_+bad\@a.example" } 1 .. $bad ], 'users')
				or diag(explain(\@dead));
		}
	}

	$sg->set(bad => undef);

	# names that cannot be believed

	for my $body ('{"errors":[{"field":"contacts[20].email"}]}',
		'{"errors":[{"field":"contacts[99999999999999999999]"}]}',
		'{"errors":[{"field":"contacts[-1]"}]}',
		'{"errors":[{"message":"email \'z@b.example\' is not valid"}]}',
		'{"errors":"x"}', '[]', '{}', '', '<html>bad</html>')
	{
		fresh([ 'N [believe]' ]);
		$sg->script({ line => qr/^PUT/, status => 400, body => $body });

		my $answer = cohort('believe', map { "b$_\@a.example" } 1 .. 20);

		answers($answer, 200, { added => 20, skipped => 0 },
			"not believed: $body");
	}

	fresh([ 'N [large]' ]);
	$sg->script({ line => qr/^PUT/, times => 0, max_bytes => 700 });

	my $answer = cohort('large', map { "l$_\@a.example" } 1 .. 100);

	answers($answer, 200, { added => 100, skipped => 0 }, 'status 413');
	is(@{ $cohort->members('N [large]') }, 100, 'members');

	for my $status (500, 503, 408) {
		fresh([ 'N [again]' ]);
		$sg->script({ line => qr/^PUT/, status => $status });
		answers(cohort('again'), 200, { added => 1 }, "$status, then well");
		$sg->script({ line => qr/^PUT/, status => $status, times => 0 });

		my $failed = cohort('again');

		answers($failed, 503, 'unavailable', "status $status");
		like($failed->{headers}{'retry-after'}, qr/^\d+$/, 'Retry-After');
	}

	for ([ 'no JSON', 'x' ], [ 'nothing', '' ], [ 'an array', '[]' ]) {
		fresh([ 'N [again]' ]);
		$sg->script({ line => qr/^PUT/, status => 202, body => $_->[1],
			times => 0 });
		answers(cohort('again'), 503, 'unavailable', "202 with $_->[0]");
	}

	for ({ cut => 5 }, { reset => 'before' }, { reset => 'after' },
		{ reset => 'early' })
	{
		fresh([ 'N [again]' ]);
		$sg->script({ line => qr/^PUT/, %$_ });
		answers(cohort('again'), 200, { added => 1 }, join ' ', %$_);
	}
});

subtest('jobs with an id that is none' => sub {
	for my $id ('"../../../v3/evil"', '"a/b"', '"a?b"', '"%2e"', '7', '""',
		'"' . ('j' x 5000) . '"', '{}', '"a\\r\\nb"')
	{
		fresh([ 'N [job]' ]);
		$sg->script({ line => qr/^PUT/, status => 202, times => 1,
			body => "{\"job_id\":$id}" });
		like(cohort('job')->{status}, qr/^(?:200|503)$/,
			'id ' . substr($id, 0, 20));
	}

	sleep 0.2;
	is_deeply([ grep { !/^(?:put|job)$/ } $sg->calls() ], [], 'calls');
});

subtest('duplicates' => sub {
	fresh([ 'N [twice]' ]);

	my $answer = cohort('twice', map { { user_id => $_->[0], user_properties =>
		{ email => $_->[1], first_name => $_->[2] } } }
		[ 'a', 'Twice@a.example', 'First' ], [ 'b', 'twice@a.EXAMPLE', 'Last' ],
		[ 'c', " twice\@a.example\t", '' ]);

	answers($answer, 200, { received => 3, added => 1, skipped => 0 },
		'answer');
	is_deeply([ map { JSON::PP::decode_json($_->{body})->{contacts} }
		($sg->requests())[-1] ], [ [ { email => 'twice@a.example' } ] ],
		'the last counts');
});

subtest('batches' => sub {
	fresh([ 'N [batch]' ]);

	my $answer = small(20, cohort_id => 'batch');
	my @puts;

	answers($answer, 200, { added => 20, calls => 4 }, '20 by 7');
	is_deeply([ sort { $a <=> $b } map { scalar @{ JSON::PP::decode_json(
		$_->{body})->{contacts} } } grep { $_->{call} eq 'put' }
		$sg->requests() ], [ 6, 7, 7 ], 'contacts');

	# contacts of 2 KB, of which 5.5 MB are fewer than 5000

	answers($cohort->ask('', $cohort->message(enter => [ map { {
		user_id => "x$_", user_properties => { email => "h$_\@a.example",
		plan => 'x' x 2000 } } } 1 .. 6000 ], cohort_id => 'bytes'),
		uri => '/bytes'), 200, { added => 6000, calls => 5 }, '12 MB');

	# the log is written after the answer

	$ngx->wait_for(sub { 3 <= grep { /^PUT/ } lines($bytes) });

	# a request is logged after its answer

	Gateway->wait_for(sub { 3 == grep { /^PUT / } lines($bytes) });

	my @sizes = map { /^PUT (\d+)/ ? $1 : () } lines($bytes);

	is_deeply([ grep { $_ < 500000 || $_ > 5.5 * 1024 * 1024 } @sizes ], [],
		'bytes') or diag(explain(\@sizes));
	is(scalar @sizes, 3, 'requests');
});

subtest('a prefix' => sub {
	fresh();
	answers($cohort->ask('', $cohort->message(enter => [ 'p@a.example' ],
		cohort_id => 'prefix', cohort_name => 'N'), uri => '/prefix'), 200,
		{ added => 1 }, 'answer');
	ok($cohort->members('N [prefix]'), 'name');
});

subtest('sendgrid_amp_list_id' => sub {
	fresh();

	my $lists = $sg->lists();

	$lists->{ UUID() } = { name => 'Mine', members => {} };
	$sg->set(lists => $lists, order => [ keys %$lists ]);
	answers(ask_id('known'), 200, { added => 1, calls => 1 }, 'known');
	is_deeply($cohort->members('Mine'), [ 'id@a.example' ], 'members');

	my $answer = ask_id('');

	answers($answer, 200, { added => 1 }, 'empty: by the name');
	ok($cohort->members('[Amplitude] N [id]'), 'made');

	fresh();
	$answer = ask_id('known');
	is($answer->{json}{added}, 0, 'not there');
	is($answer->{status}, 404, 'status');
	is_deeply([ calls() ], [ 'put' ], 'none is made');

	$answer = ask_id('bad');
	is($answer->{status}, 404, 'no UUID');
	is_deeply([ calls() ], [ 'put' ], 'no call');
});

subtest('custom fields' => sub {
	my @fields = ([ 'e1_T', 'plan', 'Text' ], [ 'e2_N', 'Age', 'Number' ],
		[ 'e3_D', 'born', 'Date' ], [ 'e4_T', 'other', 'Text' ]);
	my $from = log_size();

	fresh([ 'N [fields]' ]);
	$sg->set(fields => \@fields);

	is_deeply(fields(plan => 'pro', age => 41, born => '2001-02-03',
		given => 'G', other => 'O', none => 'x', user_id => 'id7'),
		{ email => 'f@a.example', first_name => 'G', external_id => 'id7',
		custom_fields => { e1_T => 'pro', e2_N => 41, e3_D => '2001-02-03' } },
		'values');
	is_deeply([ calls() ], [ qw(lists fields put) ], 'calls');
	like($ngx->log($from), qr/\[warn\].*no custom field for 1/, 'one missing');

	is_deeply(fields(plan => 5, age => '7.5', born => 'yesterday',
		birthday => '02/03/2001', given => '', other => 'O'),
		{ email => 'f@a.example', first_name => 'O', external_id => 'u',
		custom_fields => { e1_T => '5', e2_N => 7.5, e3_D => '02/03/2001' } },
		'values of other types');

	is_deeply(fields(plan => undef, age => 'old', born => '2001-02-30'),
		{ email => 'f@a.example', external_id => 'u' }, 'bad values');

	# the field that is missing is not asked for with each message

	$sg->clear();
	fresh([ 'N [fields]' ]);
	fields(plan => 'x');
	fields(plan => 'y');
	cmp_ok(scalar(grep { $_ eq 'fields' } calls()), '<=', 2, 'asked');

	# a field that was deleted

	fresh([ 'N [fields]' ]);
	fields(plan => 'before');
	$sg->set(fields => [ @fields[1 .. 3] ]);
	$sg->script({ line => qr/^PUT/, match => 'e1_T', times => 0, status => 400,
		body => '{"errors":[{"field":"custom_fields","message":"invalid '
		. 'custom field ids supplied - e1_T"}]}' });

	is_deeply(fields(plan => 'after', age => 3), { email => 'f@a.example',
		external_id => 'u', custom_fields => { e2_N => 3 } }, 'deleted');

	# a field with another id

	$sg->set(fields => [ [ 'e9_T', 'plan', 'Text' ], @fields[1 .. 3] ]);
	$sg->script({ line => qr/^PUT/, match => 'e2_N', status => 400,
		body => '{"errors":[{"message":"invalid custom field ids supplied - '
		. 'e2_N"}]}' });
	is_deeply(fields(plan => 'again', age => 3), { email => 'f@a.example',
		external_id => 'u', custom_fields => { e2_N => 3, e9_T => 'again' } },
		'made anew');

	$sg->script({ line => qr/field_definitions/, status => 500, times => 0 });
	fresh([ 'N [fields]' ]);
});

is_deeply([ grep { !/against/ } $sg->violations() ], [], 'no violation');
$cohort->quiet('Renamed by', '[7khm89cz]', 'evil.example');
$ngx->done();
done_testing();

###############################################################################

# SendGrid has these lists, and no contacts

sub fresh {
	my (@lists) = @_;

	$sg->clear();
	$sg->set(lists => {}, contacts => {}, order => [], bad => undef);
	$sg->script();
	$sg->list(@$_) for @lists;
}


# the answer to users who enter a cohort

sub cohort {
	my ($cid, @users) = @_;

	@users = "$cid\@a.example" if !@users;

	return $cohort->ask('', $cohort->message(enter => \@users,
		cohort_id => $cid, cohort_name => 'N'));
}


# n users, 7 in a request

sub small {
	my ($n, %members) = @_;

	return $cohort->ask('', $cohort->message(enter => [ map { "s$_\@a.example" }
		1 .. $n ], cohort_name => 'N', %members), uri => '/small');
}


sub ask_id {
	my ($list) = @_;

	return $cohort->ask('', $cohort->message(enter => [ 'id@a.example' ],
		cohort_id => 'id', cohort_name => 'N'), uri => "/id?list=$list");
}


# what SendGrid gets for a user with these properties

sub fields {
	my (%properties) = @_;
	my $answer = $cohort->ask('', $cohort->message(enter => [ {
		user_id => delete $properties{user_id} // 'u', user_properties => {
		mail => 'f@a.example', %properties } } ], cohort_id => 'fields',
		cohort_name => 'N'), uri => '/fields');

	local $Test::Builder::Level = $Test::Builder::Level + 1;

	is($answer->{status}, 200, 'status') or diag($answer->{body});

	my ($put) = grep { $_->{status} == 202 } reverse $sg->requests();

	return $put && JSON::PP::decode_json($put->{body})->{contacts}[0];
}


# the calls that came, but for those that ask for a job

sub calls {
	return grep { $_ ne 'job' } $sg->calls();
}


sub log_size {
	return -s Gateway->root() . '/error.log';
}
