#!/usr/bin/perl

# The documentation: its lines, links and words, its examples, what it says
# about directives and messages, and the version.

use warnings;
use strict;

use Test::More;

use File::Path qw(make_path);
use File::Temp qw(tempdir);

use Gateway;
use Util qw(slurp spew self_signed curl);

use constant {
	COLUMNS => 100,
	BEGINNING => 34,	# of a message
};

my $top = "$FindBin::Bin/..";
my @pages = map { s!^\Q$top\E/!!r }
	glob "$top/README.md $top/SECURITY.md $top/CONTRIBUTING.md $top/docs/*.md";
my %text = map { $_ => slurp("$top/$_") } @pages;

utf8::decode($_) for values %text;

# text without examples

my %prose = map { $_ => prose($text{$_}) } @pages;

subtest('lines', sub {
	for my $page (@pages) {
		is_deeply([ grep { length($_) > COLUMNS } split /\n/, $text{$page} ], [],
			"$page: at most " . COLUMNS . ' columns');
	}
});

subtest('links', sub {
	for my $page (@pages) {
		my ($dir) = $page =~ m!^(.*/)?!;
		my @dead;

		for my $link ($prose{$page} =~ /\]\(([^)\s]+)\)/g) {
			next if $link =~ /^https?:/;

			my ($file, $anchor) = $link =~ /^([^#]*)#?(.*)$/;
			my $to = $file eq '' ? $page : clean(($dir // '') . $file);

			if (!-e "$top/$to") {
				push @dead, $link;

			} elsif ($anchor ne '') {
				push @dead, $link
					if !grep { $_ eq $anchor } anchors($text{$to} // '');
			}
		}

		is_deeply(\@dead, [], $page);
	}
});

# each question has an answer in two clicks: a link in the table of README

subtest('questions', sub {
	my ($table) = $text{'README.md'}
		=~ /^\| question \| answer \|\n\|[-|]+\|\n((?:\|.*\n)+)/m;

	for my $question ('what does it do', 'do i want it', 'try it',
		'install it', 'to my nginx', 'several instances', 'its health',
		'secrets', 'dns at start', 'how large', 'released', 'vulnerability')
	{
		like($table // '', qr/^\|[^|]*\Q$question\E[^|]*\|[^|]*\]\([^)]+\)/mi,
			$question);
	}

	like($text{'README.md'}, qr/^ {4}git clone /m, 'a line to clone');
	like($text{'README.md'}, qr/libtest-nginx-perl.*unstable.*\b480 MB\b/s,
		'what "make test" installs');
});

# habits that strangers stumble over

subtest('words', sub {
	my @bad = (qr/\bMakes the location\b/, qr/\bthe greatest (?:number|size)\b/i,
		qr/\bcosts that event only\b/, qr/\bfolder of modules\b/,
		qr/\bhis JSON\b/, qr/\bJSON was well\b/, qr/\btake the file away\b/i,
		qr/\bmend(?:ed)?\b/i, qr/\banew\b/, qr/\blikewise\b/i,
		qr/\bWhat becomes of\b/,
		qr/\bhas to be\b/, qr/\bof theirs\b/);

	for my $page (grep { $_ !~ m!docs/(?:design|style)\.md! } @pages) {

		# messages stay as they are

		my $plain = $prose{$page} =~ s/`[^`]*`//gr =~ s/\s+/ /gr;
		my @found = map { $plain =~ /(.{0,20}$_.{0,20})/ ? $1 : () } @bad;

		is_deeply(\@found, [], $page);
	}
});

subtest('directives', sub {
	my $page = $text{'docs/directives.md'};
	my %section = $page =~ /^## (sendgrid_amp\w*)\n(.*?)(?=^## |\z)/gms;
	my %known = map { $_ => 1 } map {
		slurp($_) =~ /ngx_string\("(sendgrid_amp\w*)"\),\n\s+NGX_HTTP_/g
	} glob "$top/*.c $top/src/http/*.c";

	cmp_ok(keys %known, '>', 30, 'directives are found');
	is_deeply([ sort keys %section ], [ sort keys %known ], 'all of them');

	for my $name (sort keys %section) {
		like($section{$name}, qr/\A
			\n\ {4}Syntax:\ {3}\Q$name\E\ .*\n
			(?:\ {14}\Q$name\E\ .*\n)*
			\ {4}Default:\ {2}(?:\x{2014}|\Q$name\E\ .+;\n(?:\ {14}\Q$name\E\ .+;\n)*)\n?
			\ {4}Context:\ {2}/x, "$name: its form");
		like($page, qr/\(#$name\)/, '... a link');
	}
});

# what is logged about cohorts has an entry

subtest('messages', sub {
	my $page = $text{'docs/operations.md'} =~ s/\s+/ /gr;
	my $count = 0;

	for my $file (glob "$top/src/http/*cohort*.c") {
		my $c = slurp($file);

		while ($c =~ /ngx_(?:conf_)?log_error\(NGX_LOG_(\w+),(.*?)\);\n/gs) {
			my ($level, $arguments) = ($1, $2);
			my $message = join '', $arguments =~ /"((?:[^"\\]|\\.)*)"/g;

			# of its beginning, the longest part without values

			my ($part) = sort { length($b) <=> length($a) }
				map { s/^\s+|[\s:]+$//gr } split /%\*?\w+|%/,
				substr $message =~ s/\\"/"/gr, 0, BEGINNING;

			# errors of a system call are nginx's own

			next if $level eq 'ALERT' || length($part // '') < 10;

			$part = substr $part, 0, BEGINNING - 8;
			$part =~ s/\s+\S*$//;

			ok(index($page, $part) >= 0, "$level $part");
			$count++;
		}
	}

	cmp_ok($count, '>', 15, 'messages are found');
});

# the examples of README, in nginx

my $dir = tempdir(CLEANUP => 1);
my $port = Gateway->port();
my $dead = "$dir/dead.json";

chmod 0755, $dir;

subtest('a whole nginx.conf', sub {
	my $conf = files(example('whole'));

	# the user of the dead letter; without root nginx warns about the line

	$conf =~ s/^user www-data;/$> == 0 ? 'user root;' : ''/me
		or fail('a user');

	my $ngx = Gateway->new(conf => $conf)->start();

	is((curl('-k', "https://127.0.0.1:$port/health"))[0], "ok\n", 'health');

	my ($answer) = curl('-k', '-u', 'k:CJdAK9fWEn4dH2UzKht37sAM', '-d', '[7]',
		"https://127.0.0.1:$port/sendgrid");

	is($answer, '{"received":1,"forwarded":0,"ignored":0,"rejected":1,"batches":0}'
		. "\n", 'a webhook');
	like(slurp($dead), qr/"reason":"not_an_object".*"event":7\}\n\z/,
		'a rejected event is set aside');
	$ngx->done();
});

subtest('an nginx that you have', sub {
	my ($http, $server) = split /\n\n/, example('snippet'), 2;

	my ($rc, $out) = Gateway::check(files(Gateway::load_modules() . <<"END"));
pid $dir/nginx.pid;
events {
}
http {
$http
server {
listen 443 ssl;
ssl_certificate webhook.example.com.pem;
ssl_certificate_key webhook.example.com.key;
$server
}
}
END
	is($rc, 0, 'nginx -t') or diag($out);
});

subtest('the version', sub {
	my ($version, $date) = slurp("$top/CHANGES")
		=~ /^Changes with nginx-sendgrid-amp (\S+)\s+(\S.*)$/m;

	like($date // '', qr/^(?:unreleased|\d{1,2} [A-Z][a-z]{2} \d{4})$/,
		'CHANGES has a date');
	like(slurp("$top/src/core/sgamp.h"),
		qr/^#define SGAMP_VERSION  "\Q$version\E"$/m, 'of the module');
});

subtest('a tarball', sub {
	if (system("git -C '$top' rev-parse -q --verify HEAD > /dev/null 2>&1") != 0) {
		plan(skip_all => 'no clone of the repository');
	}

	my ($version, $date) = slurp("$top/CHANGES")
		=~ /^Changes with nginx-sendgrid-amp (\S+)\s+(\S.*)$/m;

	chomp(my $full = `$top/.ci/version`);
	like($full, qr/^\Q$version\E(?:~\d+)?$/, '.ci/version');
	is($full =~ /~/ ? 1 : 0, $date eq 'unreleased' ? 1 : 0,
		'... a release has no "~"');

	my $name = "nginx-sendgrid-amp-$full";

	chomp(my $tarball = `$top/.ci/dist $dir`);
	is($tarball, "$dir/$name.tar.gz", 'a tarball');

	my @files = split /\n/, `tar -tzf $tarball`;

	is_deeply([ grep { $_ !~ m!^\Q$name\E/! } @files ], [], '... in a directory');
	is_deeply([ grep { m!^\Q$name\E/(?:README\.md|Makefile|config)$! } @files ],
		[ map { "$name/$_" } qw(Makefile README.md config) ], '... with the sources');
	is_deeply([ grep { m!/build/|\.o$|\.so$! } @files ], [], '... and nothing else');

	my $bytes = slurp($tarball);

	system("$top/.ci/dist $dir > /dev/null");
	ok(slurp($tarball) eq $bytes, '... of the same bytes each time');
});

done_testing();

###############################################################################

# a page without its code

sub prose {
	my ($page) = @_;

	return join "\n", map { s/^```.*?^```$//gmsr }
		join "\n", map { /^ {4}/ && !/^ {4,}\*/ ? '' : $_ } split /\n/, $page;
}


# the names that a forge gives to headings

sub anchors {
	my ($page) = @_;

	return map { lc(s/[^\w\s-]//gr) =~ s/\s/-/gr }
		$page =~ s/^```.*?^```$//gmsr =~ /^#+ (.+)$/mg;
}


sub clean {
	my ($path) = @_;

	1 while $path =~ s!(?:^|/)(?\!\.\.)[^/]+/\.\.(?:/|$)!!;

	return $path;
}


sub example {
	my ($name) = @_;

	return $1 if $text{'README.md'}
		=~ /<!-- t\/146-docs\.t: $name -->\s*```nginx\n(.*?)```/s;

	die "no example \"$name\" in README.md\n";
}


# an example with files and ports of the test; nobody is asked for a name

sub files {
	my ($conf) = @_;

	make_path($dir);

	my ($pem, $key) = @{ self_signed('webhook.example.com') }{qw(certificate key)};

	for my $name (qw(sendgrid_amp_upstreams.conf sendgrid_amp_locations.conf)) {
		my $text = slurp("$top/conf/$name");
		my ($ca) = glob '/etc/ssl/certs/ca-certificates.crt';

		$text =~ s/^(\s+server )[a-z0-9.]+:443;/${1}127.0.0.1:9;/mg;
		$text =~ s!/etc/ssl/certs/ca-certificates\.crt!$pem!g if !$ca || !-e $ca;
		spew("$dir/$name", $text);
	}

	$conf =~ s!include (sendgrid_amp_\w+\.conf)!include $dir/$1!g;
	$conf =~ s!webhook\.example\.com\.pem!$pem!;
	$conf =~ s!webhook\.example\.com\.key!$key!;
	$conf =~ s!/var/log/nginx/sendgrid_dead\.json!$dead!g;
	$conf =~ s!listen 443 ssl!listen 127.0.0.1:$port ssl!;
	$conf =~ s/^load_module .*\n/Gateway::load_modules()/me;

	my $temp = Gateway::temp_paths();

	$conf =~ s/^http \{\n/http {\n\taccess_log off;\n\t$temp\n/m;
	$conf =~ s/\A/"pid " . Gateway::root() . "\/nginx.pid;\n"/e
		if $conf !~ /^pid /m;

	return $conf;
}
