#!/usr/bin/perl

# The examples of docs/cohorts.md: several nodes.

use warnings;
use strict;

use Test::More;

use Gateway;
use Util qw(slurp);
use Webhook;

my @nodes = map { Gateway->port($_) } 3, 4;
my $list = '507e6937-484f-41c5-8e45-6b296ca5%04d';

subtest('a node in use and a node in reserve' => sub {
	my $ngx = gateway('reserve', @nodes);

	is_deeply([ map { node($ngx, "/cohorts/lists/$_/add") } 1 .. 5 ],
		[ (1) x 5 ], 'the first');
	$ngx->done();

	$ngx = gateway('reserve', $nodes[1]);

	is_deeply([ map { node($ngx, "/cohorts/lists/$_/add") } 1 .. 5 ],
		[ (2) x 5 ], 'the second, while the first does not answer');
	$ngx->done();
});

subtest('a node for each list' => sub {
	my $ngx = gateway('hash', @nodes);
	my (%add, %n);

	for my $i (1 .. 40) {
		my $uri = '/cohorts/lists/' . sprintf $list, $i;

		$n{ $add{$uri} = node($ngx, "$uri/add") }++;
	}

	is_deeply([ sort keys %n ], [ 1, 2 ], 'both nodes have lists');
	is_deeply({ map { $_ => node($ngx, "$_/remove") } keys %add }, \%add,
		'who leaves goes to the node of who enters');
	is_deeply({ map { $_ => node($ngx, "$_/add") } keys %add }, \%add,
		'again');

	%n = ();
	$n{ node($ngx, "/cohorts?destination$_") }++ for 1 .. 40;

	is_deeply([ sort keys %n ], [ 1, 2 ], 'arguments of Cohort Webhooks');
	$ngx->done();

	$ngx = gateway('hash', $nodes[1]);

	is_deeply([ map { node($ngx, $_ . '/add') } sort keys %add ],
		[ (2) x 40 ], 'a node that does not answer');
	$ngx->done();
});

done_testing();

###############################################################################

# nginx with an example, and with nodes that tell who they are

sub gateway {
	my ($name, @up) = @_;
	my ($http, $server) = example($name);
	my %number = map { $nodes[$_] => $_ + 1 } 0 .. $#nodes;

	$http =~ s/192\.0\.2\.1$_:443/127.0.0.1:$nodes[$_ - 1]/
		or die "no node $_ in the example\n" for 1, 2;
	$server =~ s!https://cohort_nodes!http://cohort_nodes!
		or die "no nodes in the example\n";

	return Gateway->new(server => $server, http => join '', $http, map {
		"server { listen 127.0.0.1:$_; return 200 'node $number{$_}'; }\n"
	} @up)->start();
}


# the number of the node that answers

sub node {
	my ($ngx, $uri) = @_;
	my $r = post($ngx->port(), '{}', uri => $uri);

	return $r->{body} =~ /^node (\d)$/ ? $1 : $r->{status};
}


# an example of the documentation: what belongs to http, and to a server

sub example {
	my ($name) = @_;

	my $docs = slurp("$FindBin::Bin/../docs/cohorts.md");

	return split /^(?=location)/m, $1, 2 if $docs
		=~ /<!-- t\/121-cohorts-doc\.t: $name -->\s*```nginx\n(.*?)```/s;

	die "no example \"$name\" in docs/cohorts.md\n";
}
