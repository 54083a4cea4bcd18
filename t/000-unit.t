#!/usr/bin/perl

# Runs the programs of t/unit, each as a subtest with its own tests.

use warnings;
use strict;

use Test::More;

use FindBin;
use TAP::Parser;

chdir "$FindBin::Bin/.." or die "chdir: $!\n";

my @names = map { m!([^/]+)\.c$! } sort glob 't/unit/test_*.c';

# also right when prove is called by hand; make's own options are not for this

delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL GNUMAKEFLAGS)};

my $log = `make -s units 2>&1`;

if ($? != 0 || !@names) {
	diag($log);
	BAIL_OUT('the unit tests do not compile');
}

plan(tests => 1 + @names);

# what the programs compare with is made by a mapping that is not src/core

is(`"$^X" t/unit/gold.pl --check 2>&1`, '', 't/data/*.gold');

for my $name (@names) {
	subtest($name => sub { run($name) });
}

###############################################################################

sub run {
	my ($name) = @_;

	my $parser = TAP::Parser->new({
		exec => [ "build/unit/$name" ], merge => 1
	});

	while (my $r = $parser->next()) {
		if ($r->is_test()) {
			my $text = $r->description() =~ s/^- //r;

			if ($r->has_skip()) {
				SKIP: { skip($r->explanation(), 1); }
				next;
			}

			ok($r->is_ok(), "$name: $text");
			next;
		}

		if ($r->is_comment() || $r->is_unknown() || $r->is_bailout()) {
			diag($r->as_string());
		}
	}

	is($parser->exit(), 0, 'exit status');
	is_deeply([ $parser->parse_errors() ], [], 'well-formed output');
}
