package Blocks;

# Test::Nginx blocks that post webhooks, or show what nginx says to a
# configuration.  A suite is
#
#	use Blocks;
#	locations('location = /small { ... }');		# of all blocks, if any
#	run_blocks();
#	__DATA__
#	=== TEST: a number becomes a string
#	--- events
#	{"event":"open","sg_event_id":"1","amp_user_id":42}
#	--- amplitude
#	{"user_id":"42","event_type":"[Sendgrid] open","insert_id":"1",...}
#
# The configuration, besides http_config and config of Test::Nginx:
#
#	rules		lines of location = /sendgrid, after "sendgrid_amp us;"
#	server		lines of the server
#
# What is posted, by default with valid credentials to /sendgrid:
#
#	webhook		a body
#	events		an event a line: all events in one webhook, then each
#			event alone
#	refused		a body a line, behind the byte of the fault and a blank;
#			posted as a whole, to /one, and byte by byte: the answer
#			is always 400
#	authorization	a header a line, in the form "Basic {user:password}":
#			the webhook is posted with each header
#	unauthorized	such headers; an event is posted with each: the answer
#			is always 401
#	uri, key	another location, other credentials; no credentials if
#			the key is empty
#	script		a step of the stand-in's script
#
# What is expected:
#
#	amplitude	for each line of "events" the event that Amplitude gets,
#			"rejected" or "ignored"; a single line holds for all
#			events.  "...}" at the end stands for the library and
#			the event as it was posted, "sha256(a)" and
#			"hmac(key,a)" for digests
#	api_key		the API key of the payload, as JSON
#	answer		the JSON of the response
#	stored		the number of events at Amplitude, 0 unless set
#	logged		lines of the error log, whole but for time and client
#
# What nginx says to a configuration; "%" of a message is the first directive of
# ours, "$uri" the location:
#
#	emerg		nginx does not start, with this message and no other
#	warn		nginx starts, with this message and no other; without
#			any message if the section is empty
#	each		"rules", and each line is a configuration.  Lines that
#			are accepted share an nginx, with a location for each;
#			"warn" may have a message for each, too
#	each_server	"server", and each line is a configuration
#
# Blocks in a row that have the same configuration share an nginx.  A new kind of
# section belongs into this list, into %sections, and into %posts if it is posted.

use warnings;
use strict;

use base 'Exporter';

our @EXPORT = qw(locations run_blocks);

# Test::Nginx reads the environment when it is loaded.  It removes and makes its
# folder, which is no other suite's.  With valgrind it ends nginx after each block.

BEGIN {
	if ($ENV{TEST_NGINX_SERVROOT}) {
		$ENV{TEST_NGINX_SERVROOT} .= '-blocks';
	}

	$ENV{TEST_NGINX_FORCE_RESTART_ON_TEST}
		//= $ENV{TEST_NGINX_USE_VALGRIND} ? 1 : 0;
	$ENV{TEST_NGINX_SLEEP} //= 0.005;
}

use Test::Nginx::Socket 'no_plan';

use Digest::MD5 qw(md5_hex);
use Digest::SHA qw(hmac_sha256_hex sha256_hex);
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64);
use POSIX ();
use Time::HiRes qw(sleep time);

use Amplitude;
use Gateway;
use Util qw(written);
use Webhook qw(post event KEY SECRET);

# the sections that a block may have, of ours and of Test::Nginx

my %sections = map { $_ => 1 } qw(rules server webhook events refused
	authorization unauthorized uri key script amplitude api_key answer stored
	logged emerg warn each each_server), qw(config http_config log_level request
	raw_request more_headers timeout error_code response_headers
	response_body_like error_log no_error_log);

# what makes the requests of a block

my %posts = (events => \&events, refused => \&refused, webhook => \&webhook,
	authorization => \&authorization, unauthorized => \&unauthorized);

# the end of a message, and what it begins with

my $place = qr/(?: in \S+nginx\.conf:\d+)?$/;
my $level = qr/\[(?:warn|error|crit|alert|emerg)\]/;

my $error_log = $Test::Nginx::Util::ErrLogFile;
my $asan = $ENV{ASAN_OPTIONS};
my $locations = '';
my $n = 0;
my $amp;


sub locations {
	$locations = $_[0];
}


sub run_blocks {
	my $guard = guard();

	$amp = Amplitude->new();

	$ENV{TEST_NGINX_AMPLITUDE} = $amp->port();
	$ENV{TEST_NGINX_DOWN} = server_port() + 9;

	Test::Base::default_object()->block_list([ map { each_of($_) }
		Test::Base::blocks() ]);

	add_block_preprocessor(\&prepare);
	add_response_body_check(\&check);
	add_test_cleanup_handler(\&clean);

	master_on();
	no_shuffle();
	no_long_string();
	timeout(Gateway::patience(10));
	log_level('info') if !$ENV{TEST_NGINX_LOG_LEVEL};
	run_tests();

	syswrite $guard, 'done';
}


# Test::Nginx makes nginx a daemon, and a suite that is killed does not end nginx.
# So another process waits for the end of the suite.

sub guard {
	pipe my $in, my $out or die "pipe: $!\n";

	my $pid = fork() // die "fork: $!\n";

	if ($pid) {
		return $out;
	}

	setpgrp;
	close $_ for $out, *STDIN, *STDOUT, *STDERR;

	if (!sysread $in, my $done, 4) {
		my ($nginx) = written($Test::Nginx::Util::PidFile) =~ /^(\d+)$/m;

		kill KILL => -$nginx if $nginx;
	}

	POSIX::_exit(0);
}


# a block for each line that needs an nginx of its own

sub each_of {
	my ($block) = @_;

	for my $section (@{ $block->_section_order }) {
		die $block->name, ": no section $section\n" if !$sections{$section};
	}

	my ($section, $to) = defined $block->each_server
		? ('each_server', 'server') : ('each', 'rules');

	if (!defined $block->$section
		|| $section eq 'each' && !defined $block->emerg)
	{
		return $block;
	}

	return map {
		my $copy = bless { %$block }, ref $block;

		$copy->set_value($to, $_);
		$copy->set_value('warn', '') if !defined $block->emerg;
		$copy->set_value('name', $block->name . ': ' . substr($_, 0, 70));
		delete $copy->{$section};
		$copy;
	} rows($block->$section);
}

###############################################################################

# before a block is run

sub prepare {
	my ($block) = @_;

	# the reports of sanitizers are named after the number

	$n++;
	$block->set_value('name', $block->name =~ s/^TEST:/TEST $n:/r);

	if (defined $block->emerg) {
		must_die($block);

	} elsif (defined $block->warn || defined $block->each) {
		must_start($block);

	} else {
		posts($block);
	}

	if (!defined $block->config) {
		$block->set_value('config', config($block));
	}

	# Tengine has more variables than fit into nginx's own hash

	$block->set_value('http_config', "variables_hash_max_size 2048;\n"
		. ($block->http_config // ''));

	# nginx that does not start does not free its memory

	if (defined $asan) {
		$ENV{ASAN_OPTIONS} = $asan;
		$ENV{ASAN_OPTIONS} = Gateway::no_leaks() if defined $block->emerg;
		delete $ENV{ORI_ASAN_OPTIONS};
	}

	$amp->clear();
	$amp->script($block->script // ());
}


# Test::Nginx starts nginx anew if this text differs from the one before.  After a
# configuration that is refused no nginx runs, so the text has a number.

sub config {
	my ($block) = @_;
	my ($http, $level, $server, $rules) = map { $block->$_ // '' }
		qw(http_config log_level server rules);
	my $restart = defined $block->emerg ? $n : '';

	return '# ' . md5_hex("$http $level $restart") . "\n$server\n"
		. "location = /sendgrid {\nsendgrid_amp us;\n$rules\n}\n"
		. $locations . <<'EOC';
	location = /amplitude/us {
		internal;
		proxy_pass http://127.0.0.1:$TEST_NGINX_AMPLITUDE/2/httpapi;
	}
EOC
}


# a configuration that is refused

sub must_die {
	my ($block) = @_;
	my $text = $block->rules // $block->server // $block->http_config;

	$block->set_value('must_die', 1);
	$block->set_value('suppress_stderr', 1);
	$block->set_value('error_log', '[emerg]');
	$block->set_value('grep_error_log',
		qr/$level (?:\d+#\d+: )?\K.*?(?=$place)/);
	$block->set_value('grep_error_log_out',
		expected($block->emerg, $text) . "\n");
}


# A configuration that is accepted, with the messages that nginx starts with.
# Each location answers, whatever the credentials, that it wants a POST.

sub must_start {
	my ($block) = @_;
	my @texts = rows($block->each // '');
	my @uris = @texts ? map { "/$_" } 1 .. @texts : '/sendgrid';
	my $server = $block->server // '';

	for my $i (0 .. $#texts) {
		$server .= "location = $uris[$i] {\nsendgrid_amp us;\n$texts[$i]\n}\n";
	}

	if (!@texts) {
		@texts = $block->rules // $server;
	}

	my @warn = lines($block->warn // '');

	@warn = map { $warn[0] } @texts if @warn == 1;
	die $block->name, ": not a message for each\n" if @warn && @warn != @texts;

	$block->set_value('server', $server);
	$block->set_value('suppress_stderr', 1);
	$block->set_value('messages', [ map { '[warn] '
		. expected($warn[$_], $texts[$_], $uris[$_]) } 0 .. $#warn ]);

	requests($block, map { { method => 'GET', uri => $_, code => 405,
		headers => [ 'Allow: POST' ] } } @uris);
	no_errors($block);
}


sub expected {
	my ($text, $conf, $uri) = @_;
	my ($directive) = $conf =~ /(sendgrid_amp\w*)/;

	return text($text) =~ s/%/$directive/gr =~ s/\$uri\b/$uri/gr;
}


# requests and what has to become of them

sub posts {
	my ($block) = @_;
	my %common = (uri => text($block->uri // '/sendgrid'),
		code => text($block->error_code // 200),
		headers => [ map { lines($_) } $block->response_headers // '' ]);

	my $credentials = text($block->key // KEY . ':' . SECRET);

	$common{authorization} = basic("Basic {$credentials}")
		if $credentials ne '';

	# a webhook is also what other sections post

	my ($section) = grep { defined $block->$_ }
		(grep { $_ ne 'webhook' } sort keys %posts), 'webhook';

	if (defined $section) {
		requests($block, map { { %common, %$_ } }
			$posts{$section}->($block));

	} elsif (!defined $block->raw_request) {
		$block->set_value('more_headers', headers($block, \%common));
	}

	no_errors($block);
}


sub webhook {
	my ($block) = @_;
	return { body => text($block->webhook) };
}


sub authorization {
	my ($block) = @_;

	return map { { body => text($block->webhook),
		authorization => basic($_) } } rows($block->authorization);
}


# all events in one webhook, then each event alone

sub events {
	my ($block) = @_;
	my @events = rows($block->events);
	my @sent = rows($block->amplitude);

	@sent = map { $sent[0] } @events if @sent == 1;

	die $block->name, ': ', scalar @events, ' events, ', scalar @sent,
		" lines of what Amplitude gets\n" if @events != @sent;

	for (grep { !/^(?:\{.*\}|rejected|ignored)$/s } @sent) {
		die $block->name, ": not what Amplitude gets: $_\n";
	}

	for my $i (0 .. $#events) {
		$sent[$i] =~ s/,\.\.\.\}$/,"library":"sendgrid",/
			&& ($sent[$i] .= qq("event_properties":$events[$i]}));
		$sent[$i] =~ s/\bsha256\(([^)]*)\)/sha256_hex($1)/eg;
		$sent[$i] =~ s/\bhmac\(([^)]*),([^)]*)\)/hmac_sha256_hex($2, $1)/eg;
	}

	my @rows = map { [ $_ ] } 0 .. $#events;

	return map {
		my @got = grep { /^\{/ } @sent[@$_];
		my $ignored = grep { $_ eq 'ignored' } @sent[@$_];

		{
			body => '[' . join(",\n", @events[@$_]) . ']',
			payloads => [ @got ? payload($block, @got) : () ],
			stored => undef,
			answer => { received => scalar @$_, forwarded => scalar @got,
				ignored => $ignored, rejected => @$_ - @got - $ignored,
				batches => @got ? 1 : 0 },
		};
	} [ 0 .. $#events ], @rows > 1 ? @rows : ();
}


sub payload {
	my ($block, @events) = @_;

	return '{"api_key":' . text($block->api_key // '"' . KEY . '"')
		. ',"events":[' . join(',', @events)
		. '],"options":{"min_id_length":1}}';
}


# /one has batches of one event

sub refused {
	my ($block) = @_;

	return map {
		my ($at, $body) = ref $_ ? @$_ : /^(\d+) (.*)/s;
		my %refused = (body => $body, code => 400, at => $at, stored => undef,
			headers => [ 'Content-Type: application/json' ]);

		({ %refused, bytewise => length $body < 1000 },
			{ %refused, uri => '/one' });
	} rows($block->refused);
}


sub unauthorized {
	my ($block) = @_;

	return map { {
		body => '[' . event(1) . ']', code => 401, payloads => [],
		authorization => defined ? basic($_) : undef,
		headers => [ 'Content-Type: application/json',
			'WWW-Authenticate: Basic realm="SendGrid Event Webhook"' ],
		answer => { received => 0, forwarded => 0, ignored => 0,
			rejected => 0, batches => 0, error => 'unauthorized' },
	} } rows($block->unauthorized);
}


# "Basic {user:password}" as it is sent

sub basic {
	return $_[0] =~ s/\{(.*)\}/encode_base64($1, '')/esr;
}


# the requests of a block, in the sections of Test::Nginx

sub requests {
	my ($block, @requests) = @_;
	my @lines = map { ($_->{method} // 'POST') . " $_->{uri}"
		. (defined $_->{body} ? "\n$_->{body}" : '') } @requests;

	$block->set_value('requests', \@requests);
	$block->set_value('request', \@lines);
	$block->set_value('more_headers',
		[ map { headers($block, $_) } @requests ]);
	$block->set_value('error_code', [ map { $_->{code} } @requests ]);
	$block->set_value('response_headers',
		[ map { join "\n", @{ $_->{headers} || [] } } @requests ]);
}


# with a length, Test::Nginx leaves white space around a body alone

sub headers {
	my ($block, $request) = @_;

	return join "\n", defined $request->{authorization}
		? "Authorization: $request->{authorization}" : (),
		defined $request->{body}
		? 'Content-Length: ' . length $request->{body} : (),
		$block->more_headers // ();
}


sub no_errors {
	my ($block) = @_;
	my ($code) = map { ref ? $_->[0] : $_ } $block->error_code // 200;

	$block->set_value('no_error_log', join "\n", 'runtime error',
		$block->no_error_log // ('[alert]', '[crit]',
			$code == 500 ? () : '[error]'));
	$block->set_value('no_shutdown_error_log',
		"[alert]\n[crit]\n[emerg]\nruntime error");
}

###############################################################################

# after each request of a block

sub check {
	my ($block, $body, $i) = @_;
	my $name = $block->name;
	my $request = $block->requests ? $block->requests->[$i] : {};
	my $json = eval { decode_json($body) };
	my $answer = $request->{answer} // (defined $block->answer
		? decode_json($block->answer) : undef);

	$name .= ": $request->{body}" =~ s/(.{60}).+/$1/sr =~ tr/ -~/?/cr
		if @{ $block->requests || [] } > 1 && defined $request->{body};

	if (defined $answer) {
		is_deeply($json, $answer, "$name - answer") or diag($body);
		unlike($body, qr/\n./, "$name - one line");
	}

	if (defined $request->{at}) {
		at($json, $request, $name);
	}

	if ($request->{payloads}) {
		is_deeply([ map { $_->{body} } $amp->requests() ],
			$request->{payloads}, "$name - payload");
	}

	if (!exists $request->{stored}) {
		is(scalar keys %{ $amp->stored() }, $block->stored // 0,
			"$name - stored");
	}

	messages($block, $i, $name) if $block->messages;
	logged($_, $name) for rows($block->logged // '');

	is_deeply([ $amp->violations() ], [], "$name - the contract is kept");
	$amp->clear();
}


# where the fault is, and that it is there if each byte comes by itself

sub at {
	my ($json, $request, $name) = @_;
	my %expect = (error => 'invalid_json', at => $request->{at});

	is_deeply({ map { $_ => $json->{$_} } keys %expect }, \%expect,
		"$name - at") or diag(Test::More::explain($json));

	return if !$request->{bytewise};

	my $r = post(server_port(), $request->{body}, every => 1);

	is_deeply({ map { $_ => $r->{json}{$_} } keys %expect }, \%expect,
		"$name - at, byte by byte") or diag(Test::More::explain($r));
	is($r->{status}, 400, "$name - status code, byte by byte");
	is($r->{headers}{'content-type'}, 'application/json',
		"$name - type, byte by byte");
}


# What nginx has said when it started: a message for each line of "each", in the
# order of these.

sub messages {
	my ($block, $i, $name) = @_;
	my @expected = @{ $block->messages };

	if ($i == 0) {
		my @got = map { s/$place//r =~ s/\] \d+#\d+:/]/r }
			written($error_log) =~ /($level .*)/g;

		$block->set_value('got', \@got);
		is(scalar @got, scalar @expected, "$name - messages")
			or diag(Test::More::explain(\@got));
	}

	if (@expected) {
		is($block->got->[$i], $expected[$i], "$name - message $i");
	}
}


sub logged {
	my ($line, $name) = @_;
	my $until = time() + Gateway::patience(2);
	my ($count, @lines);

	do {
		@lines = map { s/\d+#\d+: \*\d+ //r =~ s/^\S+ \S+ |, client: .*//gr }
			split /\n/, written($error_log);
		$count = grep { $_ eq $line } @lines;
	} while ($count == 0 && time() < $until && sleep 0.01);

	is($count, 1, "$name - logged: $line") or diag(Test::More::explain(\@lines));
}


# The next block reads its own part of the log only.  A dead letter would keep
# Test::Nginx from removing its folder.

sub clean {
	if (-e $error_log) {
		truncate $error_log, 0;
		$Test::Nginx::Util::ErrLogFilePos = 0;
	}

	unlink grep { -f } glob server_root() . '/*';
}

###############################################################################

# the lines of a section, or the elements of what it has evaluated to

sub rows {
	return ref $_[0] ? @{ $_[0] } : lines(evaluated($_[0]));
}


sub lines {
	return split /\n/, $_[0];
}


sub text {
	return evaluated($_[0]) =~ s/\n\z//r;
}


# Test::Base takes an error for the value

sub evaluated {
	die "a section cannot be evaluated: $_[0]\n"
		if $_[0] =~ / at \(eval \d+\) line /;

	return $_[0];
}


1;
