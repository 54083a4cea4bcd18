#!/usr/bin/perl

# The status page: what it is made of, that its policy allows just that, and
# what a browser shows.

use warnings;
use strict;

use Test::More;

use Digest::SHA qw(sha256_base64);
use FindBin;
use JSON::PP ();
use POSIX ();
use Sys::Hostname qw(hostname);

use Amplitude;
use Browser;
use Cohort;
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
	is_deeply([ map { $_->[1] } grep { $_->[1] !~ /^(?:0|0 B|never|\xe2\x80\x93)$/ }
		values_of($empty) ], [], 'figures');

	my ($events, $cohorts) = split /<div id="cohorts" hidden>/, $empty;

	ok($cohorts, 'who has no cohorts does not see them');

	my @rows = $events =~ /<tr([^>]*)><th scope="row">/g;

	is(scalar(grep { !/ hidden$/ } @rows), 2, 'rows: the two of durations');
	ok($events !~ /<div class="wrong"/, 'nothing is wrong');
	like($events, qr/<div class="verdict idle"/, 'nor told to be good');
	like($events, qr/<strong[^>]*>Nothing received yet</, 'what is told');
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

	my @tables = $page =~ m!<table[^>]*>(.*?)</table>!gs;

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
			for my $text (qw(text soft good warn bad)) {
				my $ratio = contrast(@color{$back, $text});

				cmp_ok($ratio, '>=', 4.5, sprintf('%s: %s on %s',
					('light', 'dark')[$i], $text, $back));
			}
		}
	}
});

subtest('without scripts' => sub {
	figures_are($page, $json);
	like($page, qr/<div id="plots" hidden>/, 'no plots');
	like($page, qr/>Delivering, but refusing webhooks with 401 unauthorized at \d/,
		'a verdict');
	like($page, qr/data-t="host">\Q@{[hostname()]}\E</, 'the host');
	like($page, qr!data-t="server">\w+/\d!, 'the version of nginx');

	my ($version) = slurp("$FindBin::Bin/../CHANGES")
		=~ /^Changes with \S+ (\S+)/m;

	like($page, qr/data-t="module">\Q$version\E</, 'and of the module');
	like($page, qr/<p id="live"[^>]* hidden>/, 'it is not live');
	like($page, qr/<noscript>Reload/, 'how to refresh it');
});

subtest('all figures are on it' => sub {
	my %shown = map { $_->[0] => 1 } values_of($page);
	my @missing = grep { !$shown{$_} && !/^cohorts\.|^verdict/ } leaves($json);

	is_deeply(\@missing, [], 'none is missing');
});

# of all that may be linked, also of cohorts, whose rows are not there yet

subtest('what to do is told for all that is not 200' => sub {
	my %ids = map { $_ => 1 } $page =~ / id="([^"]+)"/g;
	my %links = map { $_ => 1 } $page =~ / href="#([^"]+)"/g;
	my $cohorts = $json->{cohorts};

	is(scalar(() = $page =~ / id="/g), scalar keys %ids, 'no id is there twice');
	cmp_ok(scalar keys %links, '>', 35, 'links');

	for ([ webhook => $json->{webhooks_total} ],
		[ amplitude => $json->{amplitude_responses_total} ],
		[ reason => $json->{rejected_total} ],
		[ signature => $json->{signatures_total} ])
	{
		my ($link, $figures) = @$_;

		$links{"$link-$_"} or fail("$link-$_ is linked")
			for grep { !/^(?:200|ok)$/ } keys %$figures;
	}

	$links{"message-$_"} = 1 for grep { $_ ne '200' }
		keys %{ $cohorts->{cohort_messages_total} };
	$links{"sendgrid-$_"} = 1 for grep { !/^2/ }
		keys %{ $cohorts->{sendgrid_responses_total}{put} };
	$links{"contact-$_"} = 1
		for qw(no_email invalid_email refused unknown);

	is_deeply([ sort grep { !$ids{$_} } keys %links ], [], 'lead to a text');
});

###############################################################################

SKIP: {
	skip 'no chromium here, the package chromium has it', 7 if !Browser::path();

	my $browser = Browser->new();

	$browser->window(1280, 900);

	for my $uri ('/status', '/page') {
		subtest("a browser with scripts, $uri" => sub {
			$browser->open("http://127.0.0.1:$port$uri");
			ok($browser->wait_for('document.querySelectorAll("svg").length'
				. ' === 3'), 'plots');

			my $dom = $browser->run('document.documentElement.outerHTML');

			figures_are($dom, figures($port));
			is($browser->complaints(), '', 'no complaint');
			like($dom, qr/<p id="live"[^>]*>Live</, 'it is live');
			is(scalar(() = $dom =~ /<svg [^>]*aria-label="[^"]+ in the last /g),
				3, 'plots with names');
			like($dom, qr/<th scope="row">open<\/th>/, 'row of events');
		});
	}

	subtest('live figures' => sub {
		my $before = figures($port)->{events_total}{open}{forwarded};

		is(post($port, webhook(events(2)))->{status}, 200, 'webhook');
		ok($browser->wait_for('document.querySelector('
			. '"[data-v=\'events_total.open.forwarded\']").textContent === "'
			. commas($before + 2) . '"'), 'are on the page');
		is($browser->complaints(), '', 'no complaint');
	});

	# twenty times as fast

	$browser->early('const wait = setTimeout;'
		. 'window.setTimeout = (f, ms) => wait(f, ms / 20);');

	subtest('layout' => sub {
		for my $width (1280, 820, 390, 320) {
			for my $scheme (qw(light dark)) {
				$browser->window($width, 900, $scheme);
				$browser->open("http://127.0.0.1:$port/status");
				$browser->wait_for('document.querySelector("svg")');
				is($browser->run(layout()), '', "$width, $scheme");
			}
		}
	});

	# time goes by as this test says, and answers are those of this test

	$browser->window(1280, 900);
	$browser->early(stage());

	my $look = sub {
		my ($seconds, $events, $more) = @_;

		return $browser->run('stage.look(' . join(', ', $seconds, $events,
			$more // '() => {}') . ')');
	};

	my $text = sub {
		return $browser->run("document.querySelector('$_[0]').textContent");
	};

	subtest('plots' => sub {
		$browser->open("http://127.0.0.1:$port/status");
		$look->(2, 10) for 1 .. 3;

		is($text->('figure strong'), '5 events/s', 'a rate has its name');
		is($text->('figure .more'), 'last 10 s', 'and its time');
		like($text->('figure .axis.x'), qr/^(\d\d):(\d\d)(\d\d):(\d\d)\z/,
			'axis of time');
		is($text->('figure .axis.y'), '50', 'axis of events');

		my @x = xs($browser);

		is("@x", '2.0 4.0 6.0', 'the left of a plot fills first');

		# nobody has looked for 93 seconds

		$look->(93, 1000);
		is($text->('figure strong'), "\x{2013}",
			'nothing is known of the last 10 s');
		$look->(2, 10) for 1 .. 2;

		is(join(' ', xs($browser)), '2.0 4.0 6.0 | 101.0 103.0',
			'points stand where their time is, with a gap');
		is($text->('figure strong'), '5 events/s', 'the gap is not in the rate');

		$look->(5, 25) for 1 .. 60;
		@x = xs($browser);

		cmp_ok($x[0], '<', 5, 'a full plot begins at the left');
		is($x[-1], '300.0', 'and ends at the right');

		for ([ 123456, '61.7k' ], [ 2469134, '1.23M' ], [ 19999, '10k' ],
			[ 1, '0.5' ], [ 2.4689, '1.23' ], [ 0.001, '<0.01' ])
		{
			my ($n, $want) = @$_;

			$look->(93, 0);
			$look->(2, $n);
			is($text->('figure strong'), "$want events/s", "$n in 2 s");
		}

		is($browser->complaints(), '', 'no complaint');
	});

	subtest('a lost connection' => sub {
		$browser->open("http://127.0.0.1:$port/status");
		$look->(2, 10) for 1 .. 2;

		is($text->('#live'), 'Live', 'live');

		my $good = $browser->run('getComputedStyle(document.querySelector('
			. '"figure strong")).color');

		for my $how (qw(refused silent 503)) {
			$browser->run("stage.lose('$how')");
			like($text->('#live'),
				qr/^No answer, old figures of \d\d:\d\d:\d\d UTC\z/, "an answer: $how");
			ok($browser->run('document.body.classList.contains("old")'),
				'figures are old');
			isnt($browser->run('getComputedStyle(document.querySelector('
				. '"figure strong")).color'), $good, 'and look so');

			$look->(2, 10);
			is($text->('#live'), 'Live', 'live again');
			ok(!$browser->run('document.body.classList.contains("old")'),
				'figures are new');
		}

		$browser->run('stage.hide(true)');
		$browser->run('stage.hide(false)');
		like($text->('#live'), qr/^Asking again, old figures of /,
			'figures of a hidden page are old, too');
	});

	subtest('what is wrong' => sub {
		$browser->open("http://127.0.0.1:$port/status");

		my $class = sub {
			return $browser->run("document.querySelector('$_[0]').className");
		};
		my $signature = 'tr[data-w^="signatures_total.missing"]';

		$look->(2, 0, '(data) => { data.signatures_total.missing = 5;
			data.signatures_reported_total.missing = 5; }');
		is($class->($signature), '', 'a signature that is only reported');
		is($browser->run("document.querySelector('$signature').hidden"),
			JSON::PP::false, 'has a row');

		$look->(2, 0, '(data) => { data.signatures_total.missing = 5;
			data.signatures_reported_total.missing = 4; }');
		is($class->($signature), 'wrong', 'and one that is refused');

		$look->(2, 0, '(data) => { data.verdict.level = "bad";
			data.verdict.text = "Refused"; data.verdict.last_failure = 0;
			data.verdict.last_failure_status = "502"; }');
		is($class->('.verdict'), 'verdict bad', 'a bad verdict');
		is($text->('.verdict strong'), 'Refused', 'its text');
		like($text->('.verdict'),
			qr/Last failure: 1970-01-01 00:00:00 UTC 502/, 'its failure');
		like($browser->run('document.title'), qr/^Refused \x{2013} /,
			'is in the title');

		$look->(2, 0, '(data) => { data.events_total.open.rejected = 0;
			data.events_total.other.rejected = 0; }');
		is($class->('[data-w="events_total.*.rejected"]'), '',
			'nothing is rejected');

		# a link leads to what is to be done

		$browser->run('document.querySelector("a[href=\'#webhook-401\']")'
			. '.click()');
		like($browser->run('document.querySelector(":target").parentElement'
			. '.textContent'), qr/sendgrid_amp_secret/, 'what to do');

		is($browser->complaints(), '', 'no complaint');
	});

	$browser->done();
}

###############################################################################

subtest('the verdict' => sub {
	my $said = sub {
		my $verdict = figures($port)->{verdict};
		my $html = get($port, '/page')->{body};

		like($html, qr/<div class="verdict $verdict->{level}"/,
			'level of the page');
		like($html, qr/<strong data-t="verdict.text">\Q$verdict->{text}\E</,
			'text of the page');

		return "$verdict->{level}: $verdict->{text}"
			=~ s/\d\d:\d\d:\d\d UTC/TIME/r;
	};

	$amp->clear();
	$amp->script({ status => 400,
		body => '{"code":400,"error":"Invalid API key"}', times => 2 });

	my $n = pick(figures($port), qw(webhooks_total *));

	for (1 .. 2) {
		is(post($port, webhook(events(3)))->{status}, 502, 'refused');
		$n++;
		$ngx->wait_for(sub { pick(figures($port), qw(webhooks_total *)) == $n });
	}

	is($said->(), 'bad: Refused by Amplitude since TIME', 'refused');
	is(figures($port)->{verdict}{last_failure_status}, '502', 'by its status');
	cmp_ok(abs(figures($port)->{verdict}{last_failure} - time()), '<', 20,
		'and its time');

	is(post($port, webhook(events(3)))->{status}, 200, 'delivered');
	$ngx->wait_for(sub { figures($port)->{verdict}{level} ne 'bad' });

	is($said->(), 'warn: Delivering, but refused by Amplitude at TIME',
		'a delivery ends it');

	# the first answer of a status is of this run of failures

	sleep 2;
	$amp->script({ status => 400,
		body => '{"code":400,"error":"Invalid API key"}' });
	is(post($port, webhook(events(3)))->{status}, 502, 'refused again');
	$ngx->wait_for(sub { figures($port)->{verdict}{level} eq 'bad' });

	my $verdict = figures($port)->{verdict};
	my $clock = POSIX::strftime('%H:%M:%S',
		gmtime($verdict->{last_failure}));

	like($verdict->{text}, qr/ since $clock UTC/, 'since now');
});

$ngx->done();

###############################################################################

my $cohort = Cohort->new(window => 0.2)->start();

$port = $cohort->ngx()->port();

subtest('cohorts' => sub {
	like(get($port, '/status')->{body}, qr/<div id="cohorts" hidden>/,
		'are hidden before the first message');

	$cohort->webhook(enter => [ map { "user$_\@a.example" } 1 .. 5 ]);
	$cohort->webhook(enter => [ 'nobody' ]);
	$cohort->ngx()->wait_for(sub {
		return pick(figures($port),
			qw(cohorts contacts_total add applied)) == 5;
	});

	my $page = get($port, '/status')->{body};
	my $json = figures($port);
	my %ids = map { $_ => 1 } $page =~ / id="([^"]+)"/g;
	my %shown = map { $_->[0] => $_->[1] } values_of($page);

	like($page, qr/<div id="cohorts">/, 'are shown');
	like($page, qr/<dl id="cohort-help">/, 'and what to do');
	like($page, qr/data-t="cohorts.verdict.text">Delivering</, 'a verdict');
	is($shown{'cohorts.verdict.last'}, when($json->{cohorts}{verdict}{last}),
		'the last message');
	is($shown{'cohorts.verdict.last_failure'}, 'never', 'the last failure');
	is($shown{'cohorts.contacts_total.add.accepted'}, 5, 'contacts');
	like($page, qr/<tr class="wrong"><th scope="row"><a href="#contact-invalid_email">/,
		'a user who is skipped');
	is_deeply([ grep { !$ids{$_} } $page =~ / href="#([^"]+)"/g ], [],
		'links lead to a text');
	is_deeply([ grep { !exists $shown{$_} } map { "cohorts.$_" }
		grep { !/^verdict/ } leaves($json->{cohorts}) ], [],
		'all figures are there');
});

SKIP: {
	skip 'no chromium here, the package chromium has it', 1 if !Browser::path();

	subtest('layout of cohorts' => sub {
		my $browser = Browser->new();

		for my $width (1280, 820, 320) {
			$browser->window($width, 900);
			$browser->open("http://127.0.0.1:$port/status");
			is($browser->run(layout()), '', $width . ' px');
		}

		is($browser->complaints(), '', 'no complaint');
		$browser->done();
	});
}

$cohort->ngx()->done();
done_testing();

###############################################################################

# [ path, text ] of all elements that have figures

sub values_of {
	my ($html) = @_;
	my @values;

	while ($html =~ /\sdata-v="([^"]+)"[^>]*>([^<]*)</g) {
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
		my $want = $path =~ /verdict\./ ? when($value)
			: $path =~ /\.p\d+$/ ? duration($value)
			: $path =~ /_bytes_total$/ ? bytes($value) : commas($value);

		push @bad, "$path: $text, not $want" if $text ne $want;
	}

	while ($html =~ /\sdata-s="(\S+) (\S+)"[^>]*>([^<]*)</g) {
		my ($part, $all, $text) = ($1, $2, $3);
		my ($n, $of) = map { pick($json, split /\./) } $part, $all;

		push @bad, "$part: $text" if $text ne share($n, $of);
	}

	cmp_ok(scalar @values, '>', 90, 'figures');
	is_deeply(\@bad, [], 'are those of the JSON');

	# what is hidden is zero, and nothing else is

	while ($html =~ m!<tr([^>]*)><th scope="row">(.*?)</tr>!gs) {
		my ($attributes, $row) = ($1, $2);
		my $hidden = $attributes =~ / hidden/;
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
		grep { !/^(?:since|time|host|server|module)$|seconds$/ } keys %$value;
}


sub when {
	my ($s) = @_;

	return defined $s ? POSIX::strftime('%Y-%m-%d %H:%M:%S UTC', gmtime($s))
		: 'never';
}


sub share {
	my ($n, $all) = @_;
	my $part = $n ? int($n * 1000 / $all) : 0;

	return '&lt;0.1%' if $n && !$part;
	return ($part == 0 || $part >= 100 ? int($part / 10) : tenths($part)) . '%';
}


# the points of the first plot by their seconds, " | " where there is a gap

sub xs {
	my ($browser) = @_;

	return split / /, $browser->run('[...document.querySelector("figure svg")'
		. '.querySelectorAll(".line")].map((e) => e.getAttribute("d")'
		. '.slice(1).split("L").map((p) => p.split(" ")[0]).join(" "))'
		. '.join(" | ")');
}


# what does not fit: all of the page, what is in a card, rows that are not full

sub layout {
	return <<'END';
(() => {
	const bad = [];
	const most = document.documentElement;
	const inside = () => {
		if (most.scrollWidth > innerWidth) {
			bad.push(`page: ${most.scrollWidth}`);
		}

		for (const e of document.querySelectorAll('.tiles > div, figure, '
			+ 'section, .verdict'))
		{
			const box = e.getBoundingClientRect();

			if (box.right > innerWidth) {
				bad.push(`${e.textContent.trim()}: ${box.right}`);
			}
		}
	};

	inside();

	for (const e of document.querySelectorAll('.tiles > div, figure, section, '
		+ '.verdict'))
	{
		if (e.scrollWidth > e.clientWidth) {
			bad.push(`${e.textContent.trim()}: ${e.scrollWidth} of`
				+ ` ${e.clientWidth}`);
		}
	}

	for (const grid of document.querySelectorAll('.tiles, .plots')) {
		const right = {};

		for (const e of grid.children) {
			const box = e.getBoundingClientRect();

			right[box.top] = Math.max(right[box.top] || 0, box.right);
		}

		for (const n of Object.values(right)) {
			if (Math.abs(n - grid.getBoundingClientRect().right) > 1) {
				bad.push(`a row of ${grid.className} ends at ${n}`);
			}
		}
	}

	// all rows, of millions

	for (const e of document.querySelectorAll('[data-v]')) {
		e.textContent = '123,456,789';
	}

	for (const e of document.querySelectorAll('tr, #cohorts, #cohort-help')) {
		e.hidden = false;
	}

	inside();

	return bad.join('; ');
})()
END
}


# a page that looks when it is told to: stage.look() answers with figures that
# are so many seconds and events later, stage.lose() with none

sub stage {
	return <<'END';
window.stage = (() => {
	let data;
	let hidden = false;

	window.setTimeout = (f) => { window.stage.next = f; };
	window.clearTimeout = () => {};
	AbortSignal.timeout = () => AbortSignal.abort(new Error('silent'));

	Object.defineProperty(document, 'hidden', { get: () => hidden });

	// until the page has done all that follows from an answer

	const settled = async () => {
		for (let i = 0; i < 20; i++) {
			await null;
		}
	};

	const answer = async (f) => {
		window.fetch = f;
		window.stage.next();
		await settled();
		await new Promise(requestAnimationFrame);
		await settled();
	};

	return {
		look(seconds, events, more) {
			data = data
				|| JSON.parse(document.getElementById('data').textContent);
			data.time += seconds;
			data.events_total.open.forwarded += events;

			const copy = structuredClone(data);

			more(copy);

			return answer(async () => new Response(JSON.stringify(copy),
				{ headers: { 'Content-Type': 'application/json' } }));
		},

		lose(how) {
			return answer((url, options) => how === 'refused'
				? Promise.reject(new TypeError('refused'))
				: how === 'silent' ? Promise.reject(options.signal.reason)
				: Promise.resolve(new Response('', { status: how })));
		},

		hide(is) {
			hidden = is;
			window.fetch = () => new Promise(() => {});
			document.dispatchEvent(new Event('visibilitychange'));
		},
	};
})();
END
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
