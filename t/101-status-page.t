#!/usr/bin/perl

# The status page: what it is made of, that its policy allows just that, and
# what a browser shows.

use warnings;
use strict;

use Test::More;

use Digest::SHA qw(sha256_base64);
use File::Temp qw(tempdir);
use FindBin;
use JSON::PP ();
use POSIX ();

use Amplitude;
use Gateway;
use Metrics;
use Util qw(slurp);
use Webhook;

my $amp = Amplitude->new(keep => 0);
my $ngx = Gateway->new(amplitude => $amp, main => 'worker_processes 2;',
	http => 'sendgrid_amp_zone figures:64k;', sendgrid => '
		sendgrid_amp_retry_delay 5ms;
	', server => '
		location = /status { sendgrid_amp_status; }
		location = /page { sendgrid_amp_status html; }
	')->start();
my $port = $ngx->port();

subtest('the header that is compiled in' => sub {
	is(`$^X $FindBin::Bin/../.ci/page --check 2>&1`, '',
		'is made of the page');
});

# a page of nothing, then one of many figures

my $empty = get($port, '/status')->{body};

subtest('a page of nothing' => sub {
	is_deeply([ map { $_->[1] } grep { $_->[1] !~ /^(?:0|0 B|\xe2\x80\x93)$/ }
		values_of($empty) ], [], 'figures');

	my ($events, $cohorts) = split /<div id="cohorts" hidden>/, $empty;

	ok($cohorts, 'who has no cohorts does not see them');

	my @rows = $events =~ /<tr( hidden)?><th scope="row">/g;

	is(scalar(grep { !$_ } @rows), 2, 'rows: the two of durations');
	unlike($cohorts, qr/<th scope="row">/, 'nor has rows of them');
});

$amp->script({ status => 503 }, { status => 429, body => '' },
	{ refuse => qr/"event-5-"/, name => 'all' });
post($port, webhook(map { my $i = $_; map { event("$_-$i", event => qq("$_")) }
	qw(open click bounce) } 1 .. 700), timeout => 60);
post($port, webhook(5, event(1, email => undef)));
post($port, $_) for 'x', '[', webhook(events(3));
post($port, webhook(events(3)), key => undef);

# the last one may be answered before it is counted

$ngx->wait_for(sub { pick(figures($port), qw(webhooks_total *)) == 6 });

my $json = figures($port);
my $r = get($port, '/status');
my $page = $r->{body};

subtest('what it is made of' => sub {
	my $policy = $r->{headers}{'content-security-policy'};

	for (qw(style script)) {
		my ($text) = $page =~ m!<$_>(.*?)</$_>!s;
		my $hash = sha256_base64($text) . '=';

		like($policy, qr/; $_-src 'sha256-\Q$hash\E';/, "the $_ is allowed");
	}

	like($policy, qr/^default-src 'none'; /, 'nothing else is');
	unlike($policy, qr/unsafe|\*|http/, 'in no way');

	unlike($page =~ s!http://www\.w3\.org/2000/svg!!r, qr!//\w!,
		'no address of another server');
	unlike($page, qr/ (?:style|on\w+)=/, 'no styles or handlers of elements');
	unlike($page, qr/\{\{/, 'all is filled in');

	my @tables = $page =~ m!<table>(.*?)</table>!gs;

	is(scalar @tables, 11, 'tables');
	is(scalar(grep { /<caption>[^<]/ } @tables), 11, 'have captions');
	is(scalar(() = $page =~ /<th(?! scope="(?:row|col)")>/g), 0,
		'all heads have a scope');
	like($page, qr/<html lang="en">/, 'language');
	like($page, qr/<main>/, 'main part');
});

subtest('contrast' => sub {
	my @schemes = $page =~ /:root \{(.*?)\}/gs;

	is(scalar @schemes, 2, 'light and dark');

	for my $i (0, 1) {
		my %color = $schemes[$i] =~ /--(\w+): (#[0-9a-f]{6})\b/g;

		for my $back (qw(back card)) {
			for my $text (qw(text soft good bad)) {
				my $ratio = contrast(@color{$back, $text});

				cmp_ok($ratio, '>=', 4.5, sprintf('%s: %s on %s',
					('light', 'dark')[$i], $text, $back));
			}
		}
	}
});

subtest('without scripts' => sub {
	figures_are($page, $json);
	like($page, qr/<div class="plots" hidden>/, 'no plots');
	like($page, qr/<p id="live"[^>]* hidden>/, 'it is not live');
	like($page, qr/<noscript>Reload/, 'how to refresh it');
});

subtest('all figures are on it' => sub {
	my %shown = map { $_->[0] => 1 } values_of($page);
	my @missing = grep { !$shown{$_} && !/^cohorts\./ } leaves($json);

	is_deeply(\@missing, [], 'none is missing');
});

###############################################################################

my ($chromium) = grep { -x } map { my $dir = $_; map { "$dir/$_" }
	qw(chromium chromium-browser google-chrome) } split /:/, $ENV{PATH};

SKIP: {
	skip 'no chromium here, the package chromium has it', 3 if !$chromium;

	my $profile = tempdir(CLEANUP => 1);

	my $browse = sub {
		my ($uri) = @_;

		my @command = ('timeout', 60, $chromium, '--headless', '--no-sandbox',
			'--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
			'--disable-background-networking', '--disable-sync',
			'--disable-component-update', "--user-data-dir=$profile",
			'--enable-logging=stderr', '--dump-dom',
			'--virtual-time-budget=20000',
			"http://127.0.0.1:$port$uri");

		open my $fh, '-|', 'sh', '-c', 'exec "$@" 2> "$0"',
			"$profile/stderr", @command or die "sh: $!\n";
		local $/;
		my $dom = <$fh>;
		close $fh;

		my @said = slurp("$profile/stderr") =~ /^.*CONSOLE.*$/mg;

		return $dom, join "\n", @said;
	};

	for my $uri ('/status', '/page') {
		subtest("a browser with scripts, $uri" => sub {
			my ($dom, $said) = $browse->($uri);

			figures_are($dom, $json);
			is($said, '', 'no complaint');
			like($dom, qr/<p id="live"[^>]*>Live</, 'it is live');
			is(scalar(() = $dom =~ /<svg [^>]*aria-label="[^"]+: now /g), 3,
				'plots with names');
			like($dom, qr/<th scope="row">open<\/th>/, 'row of events');
		});
	}

	subtest('live figures' => sub {
		my $pid = fork() // die "fork: $!\n";

		if ($pid == 0) {
			for (1 .. 2000) {
				post($port, webhook(events(2, "$_-")));
				last if getppid() == 1;
			}

			POSIX::_exit(0);
		}

		my ($dom, $said) = $browse->('/status');

		kill TERM => $pid;
		waitpid($pid, 0);

		my ($first) = $dom =~ /id="data">\s*(\{.*?\})\s*</s;
		my %shown = map { $_->[0] => $_->[1] =~ s/,//gr } values_of($dom);
		my $loaded = JSON::PP::decode_json($first);
		my $name = 'events_total.open.forwarded';

		cmp_ok($shown{$name}, '>', $loaded->{events_total}{open}{forwarded},
			'are greater than when it was loaded');
		is($said, '', 'no complaint');
		like($dom, qr/<path d="M[^"]+L[^"]+" class="line">/, 'a line');
	});
}

$ngx->done();
done_testing();

###############################################################################

# [ path, text ] of all elements that have figures

sub values_of {
	my ($html) = @_;
	my @values;

	while ($html =~ / data-v="([^"]+)"[^>]*>([^<]*)</g) {
		push @values, [ $1, $2 ];
	}

	return @values;
}


sub figures_are {
	my ($html, $json) = @_;
	my @values = values_of($html);
	my @bad;

	for (@values) {
		my ($path, $text) = @$_;
		my $value = pick($json, split /\./, $path);
		my $want = $path =~ /\.p\d+$/ ? duration($value)
			: $path =~ /_bytes_total$/ ? bytes($value) : commas($value);

		push @bad, "$path: $text, not $want" if $text ne $want;
	}

	cmp_ok(scalar @values, '>', 90, 'figures');
	is_deeply(\@bad, [], 'are those of the JSON');

	# what is hidden is zero, and nothing else is

	while ($html =~ m!<tr( hidden)?[^>]*><th scope="row">(.*?)</tr>!gs) {
		my ($hidden, $row) = ($1, $2);
		my $zero = !grep { $_->[1] ne '0' } values_of($row);

		push @bad, $row if !!$hidden ne !!$zero;
	}

	is_deeply(\@bad, [], 'rows of zeros only are hidden');
	like($html, qr/<div id="cohorts" hidden/, 'and cohorts that there are not');
}


sub pick {
	my ($value, @path) = @_;

	return $value if !@path;

	my ($name, @rest) = @path;

	return pick($value->{$name}, @rest) if $name !~ /^[*!]/;

	my $sum = 0;

	for (grep { $name ne "!$_" } keys %$value) {
		$sum += pick($value->{$_}, @rest);
	}

	return $sum;
}


# paths of what is no histogram

sub leaves {
	my ($value, $path) = @_;

	return $path if !ref $value;

	return map { leaves($value->{$_}, defined $path ? "$path.$_" : $_) }
		grep { !/^(?:since|time)$|seconds$/ } keys %$value;
}


sub commas {
	my ($n) = @_;

	1 while $n =~ s/^(\d+)(\d{3})/$1,$2/;

	return $n;
}


sub bytes {
	my ($n) = @_;

	return "$n B" if $n < 1000;

	for (qw(kB MB GB)) {
		return tenths($n / 100) . " $_" if $n < 1e6;
		$n = int($n / 1000);
	}
}


sub duration {
	my ($s) = @_;

	return "\xe2\x80\x93" if !defined $s;

	my $us = sprintf '%.0f', $s * 1e6;

	return $us < 1e6 ? tenths($us / 100) . ' ms' : tenths($us / 1e5) . ' s';
}


sub tenths {
	return sprintf '%.1f', int($_[0]) / 10;
}


# of WCAG 2

sub contrast {
	my @l = sort { $b <=> $a } map {
		my @c = map { $_ <= 0.04045 ? $_ / 12.92
			: (($_ + 0.055) / 1.055) ** 2.4 } map { hex($_) / 255 }
			/([0-9a-f]{2})/g;

		0.2126 * $c[0] + 0.7152 * $c[1] + 0.0722 * $c[2];
	} @_;

	return ($l[0] + 0.05) / ($l[1] + 0.05);
}
