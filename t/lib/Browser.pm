package Browser;

# Chromium without a window, which a test tells what to do over a pipe:
#
#	my $browser = Browser->new() or skip ...;
#	$browser->window(320, 800, 'dark');
#	$browser->open('http://127.0.0.1:...');
#	is($browser->run('document.title'), ...);
#
# run() is not bound by the page's Content-Security-Policy.  What the page
# complains about is in complaints().

use warnings;
use strict;

use Carp;
use Fcntl qw(F_DUPFD);
use File::Temp qw(tempdir);
use IO::Handle;
use IO::Select;
use JSON::PP ();
use POSIX ();
use Time::HiRes qw(sleep time);

use constant PATIENCE => 60;    # seconds for an answer of the browser


sub path {
	my ($path) = grep { -x } map { my $dir = $_; map { "$dir/$_" }
		qw(chromium chromium-browser google-chrome) } split /:/, $ENV{PATH};

	return $path;
}


sub new {
	my ($class) = @_;
	my $path = path() or return;
	my $self = bless { id => 0, buffer => '', said => [], owner => $$,
		profile => tempdir(CLEANUP => 1) }, $class;

	pipe my $its_in, my $out or croak "pipe: $!";
	pipe my $in, my $its_out or croak "pipe: $!";

	$self->{pid} = fork() // croak "fork: $!";

	if ($self->{pid} == 0) {

		# it reads from 3 and writes to 4, which may be in use here

		my @fds = map { fcntl($_, F_DUPFD, 5) // POSIX::_exit(126) }
			$its_in, $its_out;

		POSIX::dup2($fds[0], 3);
		POSIX::dup2($fds[1], 4);
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', '/dev/null';
		open STDERR, '>', "$self->{profile}/stderr";
		setpgrp;

		exec { $path } $path, '--headless', '--no-sandbox', '--disable-gpu',
			'--disable-dev-shm-usage', '--no-first-run',
			'--disable-background-networking', '--disable-sync',
			'--disable-component-update', '--hide-scrollbars',
			'--remote-debugging-pipe', "--user-data-dir=$self->{profile}",
			'about:blank' or POSIX::_exit(127);
	}

	@$self{qw(in out)} = ($in, $out);
	close $_ for $its_in, $its_out;
	$out->autoflush(1);

	my ($page) = grep { $_->{type} eq 'page' }
		@{ $self->ask('Target.getTargets')->{targetInfos} };

	$self->{session} = $self->ask('Target.attachToTarget',
		{ targetId => $page->{targetId}, flatten => JSON::PP::true })
		->{sessionId};

	$self->ask($_) for qw(Page.enable Runtime.enable Log.enable
		Network.enable);

	return $self;
}


# width and height of the window, and whether it is dark

sub window {
	my ($self, $width, $height, $scheme) = @_;

	$self->ask('Emulation.setDeviceMetricsOverride', { width => $width,
		height => $height, deviceScaleFactor => 1,
		mobile => JSON::PP::false });
	$self->ask('Emulation.setEmulatedMedia', { features => [
		{ name => 'prefers-color-scheme', value => $scheme // 'light' } ] });
}


sub scripts {
	my ($self, $on) = @_;

	$self->ask('Emulation.setScriptExecutionDisabled',
		{ value => $on ? JSON::PP::false : JSON::PP::true });
}


sub open {
	my ($self, $url) = @_;

	$self->{said} = [];
	$self->{loaded} = 0;
	$self->ask('Page.navigate', { url => $url });
	$self->read_until(sub { $self->{loaded} });
}


# what runs in each page that is opened from now on, before its own scripts

sub early {
	my ($self, $script) = @_;

	$self->ask('Page.removeScriptToEvaluateOnNewDocument',
		{ identifier => $self->{early} }) if $self->{early};
	$self->{early} = $self->ask('Page.addScriptToEvaluateOnNewDocument',
		{ source => $script })->{identifier};
}


# what an expression is, which is awaited if it is a promise

sub run {
	my ($self, $expression) = @_;
	my $answer = $self->ask('Runtime.evaluate', { expression => $expression,
		returnByValue => JSON::PP::true, awaitPromise => JSON::PP::true });

	croak JSON::PP::encode_json($answer->{exceptionDetails})
		if $answer->{exceptionDetails};

	return $answer->{result}{value};
}


# until the expression is true; returns that

sub wait_for {
	my ($self, $expression, $seconds) = @_;
	my $until = time() + ($seconds // 20);
	my $result;

	while (!($result = $self->run($expression)) && time() < $until) {
		sleep 0.05;
	}

	return $result;
}


sub complaints {
	my ($self) = @_;

	return join "\n", @{ $self->{said} };
}


# a picture of all of the page, or of x, y, width, height and scale

sub shot {
	my ($self, $file, $clip) = @_;

	my $data = $self->ask('Page.captureScreenshot', { format => 'png',
		captureBeyondViewport => JSON::PP::true,
		$clip ? (clip => $clip) : () })->{data};

	require MIME::Base64;

	CORE::open my $fh, '>', $file or croak "$file: $!";
	print $fh MIME::Base64::decode_base64($data);
	close $fh or croak "$file: $!";
}


sub ask {
	my ($self, $method, $params) = @_;
	my $id = ++$self->{id};

	print { $self->{out} } JSON::PP::encode_json({ id => $id,
		method => $method, params => $params // {},
		$self->{session} && $method !~ /^Target\./
			? (sessionId => $self->{session}) : () }), "\0"
		or croak "write to the browser: $!";

	$self->read_until(sub { $self->{answers}{$id} });

	my $answer = delete $self->{answers}{$id};

	croak "$method: $answer->{error}{message}" if $answer->{error};

	return $answer->{result};
}


sub read_until {
	my ($self, $done) = @_;
	my $until = time() + PATIENCE;

	while (!$done->()) {
		while ($self->{buffer} =~ s/^([^\0]*)\0//) {
			$self->take(JSON::PP::decode_json($1));
		}

		last if $done->();

		IO::Select->new($self->{in})->can_read($until - time())
			or croak 'no answer of the browser';
		sysread $self->{in}, $self->{buffer}, 65536, length $self->{buffer}
			or croak 'the browser is gone';
	}
}


sub take {
	my ($self, $message) = @_;
	my $method = $message->{method} // '';

	if ($message->{id}) {
		$self->{answers}{ $message->{id} } = $message;

	} elsif ($method eq 'Page.loadEventFired') {
		$self->{loaded} = 1;

	} elsif ($method eq 'Runtime.exceptionThrown') {
		push @{ $self->{said} }, JSON::PP::encode_json(
			$message->{params}{exceptionDetails});

	} elsif ($method eq 'Runtime.consoleAPICalled') {
		push @{ $self->{said} }, JSON::PP::encode_json(
			$message->{params}{args});

	} elsif ($method eq 'Log.entryAdded') {
		push @{ $self->{said} }, $message->{params}{entry}{text};
	}
}


# nginx has to end after the browser, which keeps connections

sub done {
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;

	# all processes of the browser are in a group of their own

	kill KILL => -$pid;
	waitpid $pid, 0;
}


sub DESTROY {
	my ($self) = @_;

	if ($self->{pid} && $self->{owner} == $$) {
		local ($?, $!, $@);
		$self->done();
	}
}

1;
