#!/usr/bin/perl

# What other machines, compilers and relatives of nginx have shown.  All of them
# are tried by "make matrix".

use warnings;
use strict;

use Test::More;

use File::Copy qw(copy);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use FindBin;
use IO::Socket::INET;

use Util qw(spew);
use Webhook;

my $top = "$FindBin::Bin/..";
my $dir = tempdir(CLEANUP => 1);

# the core is C99, whatever the compiler hides then

for my $std (qw(c99 c11)) {
	my $bad = '';

	for my $file (glob "$top/src/core/*.c") {
		$bad .= `cc -std=$std -fsyntax-only -Wall -Wextra -Werror \\
			-Wno-unused-parameter -I'$top/src/core' '$file' 2>&1`;
	}

	is($bad, '', "src/core as $std");
}

# Tengine closes a connection while the client is sending

subtest('a client that is closed goes on' => sub {
	my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1:0', Listen => 1);
	my $client = Webhook->new($server->sockport(), '[]', timeout => 1);

	shutdown $client->{socket}, 1;
	Webhook::run($client);

	is($client->{response}{status}, 0, 'no answer');
});

# reports of sanitizers

subtest('reports of sanitizers' => sub {
	spew("$dir/report.1", "==7==WARNING: ptrace appears to be blocked (is "
		. "seccomp enabled?). LeakSanitizer may hang.\n"
		. "==7==Child exited with signal 15.\n");
	spew("$dir/report.2", "==8==Unable to get registers from thread 9.\n");
	is(reports(), '0', 'no fault of the module');

	spew("$dir/report.3", "==9==ERROR: LeakSanitizer: detected memory leaks\n"
		. "==7==WARNING: ptrace appears to be blocked\n");
	like(reports(), qr/report\.3\n.*LeakSanitizer: detected.*1$/s, 'a leak');
});

# "make style" with any clang-format

subtest('conditions of several lines' => sub {
	my $own = "\n/*\n * Copyright\n */\n\n\nvoid\nf(int a)\n{\n"
		. "    if (a == ')'\n        || a == 2)\n    {\n        return;\n"
		. "    }\n}\n";
	my $joined = $own =~ s/\n    \{/ {/r;

	is(style($own, $own), 0, 'the brace alone');
	is(style($own, $joined), 0, 'the brace alone, and a later clang-format');
	isnt(style($joined, $joined), 0, 'the brace behind the condition');
	isnt(style($own =~ s/return;/return ;/r, $own =~ s/return;/continue;/r), 0,
		'any other difference');
});

# "make matrix"

subtest('a folder without nginx' => sub {
	my $out = `MATRIX='$dir/out' $top/.ci/matrix '$dir' 2> /dev/null`;

	isnt($?, 0, 'fails');
	like($out, qr/^\| \S+ \| \*\*failed\*\*: configure, see \S+ \|$/m,
		'the row of the table');
});

done_testing();

###############################################################################

sub reports {
	my $out = `$top/.ci/sanitize --reports $dir/report.* 2>&1`;

	return $out . ($? >> 8);
}


# the exit status of .ci/style for a file that clang-format formats so

sub style {
	my ($text, $formatted) = @_;

	make_path("$dir/bin", "$dir/.ci");
	copy("$top/.ci/$_", "$dir/.ci/$_") for qw(style style.pl);
	chmod 0755, glob "$dir/.ci/*";
	spew("$dir/a.c", $text);
	spew("$dir/b.c", $formatted);
	spew("$dir/bin/clang-format", "#!/bin/sh\ncat $dir/b.c\n");
	chmod 0755, "$dir/bin/clang-format";

	local $ENV{PATH} = "$dir/bin:$ENV{PATH}";

	my $out = `$dir/.ci/style a.c 2>&1`;

	note($out);
	return $? >> 8;
}
