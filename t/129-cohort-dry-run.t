#!/usr/bin/perl

# A dry run of cohorts: the requests that would be made, one a line, and nothing
# sent; and the variables of cohorts.

use warnings;
use strict;

use Test::More;

use FindBin;
use JSON::PP ();

use lib "$FindBin::Bin/lib";

use Cohort;
use Contacts;
use Gateway;

my $id = '507e6937-484f-41c5-8e45-6b296ca50001';
my $base = '/v3/marketing';
my $long = 'x' x 60 . '@' . 'y' x 50 . '.example';
my $name = '[Amplitude] Buyers [7khm89cz]';

my $cohort = Cohort->new(window => 0.3, fields => [ [ 'e1_T', 'plan', 'Text' ] ],
	location => 'sendgrid_amp_dry_run $arg_dry;
		sendgrid_amp_contact email email user_id;
		sendgrid_amp_contact plan plan;
		add_header X-Cohort "$sendgrid_amp_cohort_id|$sendgrid_amp_cohort_name|'
	. '$sendgrid_amp_added|$sendgrid_amp_removed|$sendgrid_amp_skipped|'
	. '$sendgrid_amp_calls|$sendgrid_amp_received|$sendgrid_amp_region|'
	. '$sendgrid_amp_marketing_key|$sendgrid_amp_list_id" always;')->start();
my $sg = $cohort->sg();

my @users = ('a@a.example', { user_id => 'b@a.example',
	user_properties => { plan => 'x"y' } }, 'bad');

my $lists = { method => 'GET', url => "$base/lists?page_size=1000" };
my $create = { method => 'POST', url => "$base/lists", body => { name => $name } };
my $fields = { method => 'GET', url => "$base/field_definitions" };

lines('users enter', '', $cohort->message(enter => \@users), $lists, $create,
	$fields, put('LIST_ID'));
lines('users leave', '', $cohort->message(exit => [ 'a@a.example', $long,
	map { "u$_\@a.example" } 1 .. 150 ]), $lists, removal('a@a.example'),
	removal($long), removal(map { "u$_\@a.example" } 1 .. 100),
	removal(map { "u$_\@a.example" } 101 .. 150));
lines('a list', '/lists', { name => '[Amplitude] Buyers: 7khm89cz' }, $lists,
	$create);
lines('a list that is named', "/lists/$id/add", { items => [
	{ email => 'a@a.example' }, { email => 'b@a.example', plan => 'x"y' } ] },
	$fields, put($id));
lines('nobody', '', $cohort->message(enter => [ 'word' ]));
is($cohort->post('?dry=1', '{}')->{status}, 400, 'not a message');
is($cohort->post('?dry=1', $cohort->message(enter => []), Authorization => '')
	->{status}, 401, 'no secret');
is_deeply([ $sg->requests() ], [], 'nothing is sent');

my $answer = $cohort->post('', $cohort->message(enter => \@users));

is($answer->{status}, 200, 'a message');

my ($list) = keys %{ $sg->lists() };

is($answer->{headers}{'x-cohort'}, "7khm89cz|Buyers|2|0|1|4|3|/sendgrid/test||"
	. $list, 'variables');
lines('the list is known', '', $cohort->message(enter => \@users), $fields,
	put($list));
is($cohort->post('', '{}')->{headers}{'x-cohort'}, '-|-|0|0|0|0|0|'
	. '/sendgrid/test||-', 'variables of a message that is none');
is_deeply([ $sg->calls() ], [ qw(lists create fields put) ], 'calls');
is_deeply([ $sg->violations() ], [], 'no violation');

unlike($cohort->post('?dry=1', $cohort->message(enter => \@users))->{content},
	qr/\Q@{[ Contacts::KEY ]}\E/, 'the key is masked');

$cohort->ngx()->done();
done_testing();


sub put {
	my ($list) = @_;

	return { method => 'PUT', url => "$base/contacts", body => {
		list_ids => [ $list ], contacts => [ { email => 'a@a.example' },
		{ email => 'b@a.example', custom_fields => { plan => 'x"y' } } ] } };
}


# a search, and the removal of those whom the search finds

sub removal {
	my (@addresses) = @_;
	my $long = length $addresses[0] > 100;

	return { method => 'POST', url => "$base/contacts/search/"
		. ($long ? 'identifiers/email' : 'emails'),
		body => { $long ? 'identifiers' : 'emails', \@addresses } },
		{ method => 'DELETE', url =>
			"$base/lists/LIST_ID/contacts?contact_ids=FOUND_IDS" };
}


sub lines {
	my ($name, $path, $message, @want) = @_;
	my $answer = $cohort->post("$path?dry=1", $message);
	my @got = map { JSON::PP::decode_json($_) } split /\n/, $answer->{content};

	$_->{authorization} = 'Bearer ***' for @want;
	is_deeply([ $answer->{status}, @got ], [ 200, @want ], $name)
		or diag(explain($answer));
}
