#!/usr/bin/perl

# Runs the programs of t/unit, each as a subtest with its own tests.

use warnings;
use strict;

use Test::More;

use FindBin;
use TAP::Parser;

chdir "$FindBin::Bin/.." or die "chdir: $!\n";

# also right when prove is called by hand; make's own options are not for this

delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL GNUMAKEFLAGS)};

my $log = `make -s units 2>&1`;
my @programs = $? == 0 ? sort split ' ', `make -s programs` : ();

if (!@programs) {
	diag($log);
	BAIL_OUT('the unit tests do not compile');
}

plan(tests => 1 + @programs);

# what the programs compare with is made by a mapping that is not src/core

is(`"$^X" t/unit/gold.pl --check 2>&1`, '', 't/data/*.gold');

# the second run of test_fuzz makes other changes, and fewer of them

for my $program (@programs) {
	my ($portable, $name) = $program =~ m!/unit(?:-(portable))?/(.*)!;

	$name .= ", $portable" if $portable;

	local $ENV{FUZZ_ROUNDS} = $ENV{FUZZ_ROUNDS} // 200 if $portable;
	local $ENV{FUZZ_SEED} = $ENV{FUZZ_SEED} // 8 if $portable;

	subtest($name => sub { run($name, $program) });
}

###############################################################################

sub run {
	my ($name, $program) = @_;

	my $parser = TAP::Parser->new({
		exec => [ $program ], merge => 1
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
