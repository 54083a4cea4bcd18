package Skips;

# A harness for prove that tells at the end what was skipped, and why.  With
# SKIPS=fail in the environment it is a failure, unless the reason is one of
# %accepted, and true of this machine.

use warnings;
use strict;

use base 'TAP::Harness';

use Gateway;

my %accepted = (
	'memory of sanitizers' => \&unusual,
	'valgrind allocates itself' => \&unusual,
	'calls of this nginx cannot be replaced' => \&unusual,
	'the demo has the module of build/' => \&unusual,
	'what is installed is the module of build/' => \&unusual,
	'the container has the module of build/' => \&unusual,
	'no HTTP/2' => sub { !Gateway::has('http_v2_module') },

	'no clone of the repository' => sub {
		system('git rev-parse -q --verify HEAD > /dev/null 2>&1') != 0
	},

	'not root' => sub { $> != 0 },
	'root reads all' => sub { $> == 0 },

	# they have tried, and a container may forbid it

	'no file system can be mounted' => \&always,
	'no mknod' => \&always,
	'no devices' => \&always,
	'too slow to see' => \&always,

	# a browser, and a server of its own, for a few tests

	'no chromium here, the package chromium has it' => \&always,
	'no promtool here, the package prometheus has it' => \&always,

	# Debian 12 has no kustomize that is new enough

	'no kubectl here that knows kustomize 5' => \&always,
);

my %skipped;


sub make_parser {
	my ($self, $job) = @_;
	my ($parser, $session) = $self->SUPER::make_parser($job);

	# subtests are text to it

	$parser->callback(ALL => sub {
		my ($line) = @_;

		if ($line->raw() =~ /^\s*(?:ok \d+|1\.\.0)\b.*?# skip\S*\s*(.*)/i) {
			$skipped{$1}{$job->description()} = 1;
		}
	});

	return ($parser, $session);
}


sub runtests {
	my ($self, @tests) = @_;
	my $aggregate = $self->SUPER::runtests(@tests);
	my $fail = ($ENV{SKIPS} // '') eq 'fail';
	my $bad = 0;

	for my $reason (sort keys %skipped) {
		my $ok = $accepted{$reason} && $accepted{$reason}->();

		$bad++ if !$ok;
		print "Skipped in ", join(', ', sort keys %{ $skipped{$reason} }),
			": $reason", $fail && !$ok ? ', which is a failure' : '', "\n";
	}

	if ($fail && $bad && !$aggregate->has_errors()) {
		exit 1;
	}

	return $aggregate;
}


sub always {
	return 1;
}


sub unusual {
	return Gateway::sanitized() || $ENV{TEST_NGINX_USE_VALGRIND};
}


1;
