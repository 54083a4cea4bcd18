package Gateway;

# nginx with the module, for tests that need it at hand while it runs:
#
#	my $ngx = Gateway->new(amplitude => $amp, sendgrid => '...;');
#	$ngx->start();
#	post($ngx->port(), ...);
#	$ngx->done();   # stops it; one test: it ended well, no alert in its log
#
# new() takes text for the configuration: main, http (before the server),
# server, sendgrid (in location = /sendgrid), or conf, all of it; log, the log
# level; error_log, its file; user, of the workers; leaks => 1 if nginx itself
# leaks with it; env, what is added to the environment; poison => 1 fills memory
# that is allocated or freed, so that nobody lives on what was there.

use warnings;
use strict;

use Carp;
use Cwd qw(abs_path);
use File::Path qw(make_path remove_tree);
use FindBin;
use IO::Socket::INET;
use POSIX qw(WNOHANG);
use Test::More ();
use Time::HiRes qw(sleep time);

use Util qw(spew written);

my $binary = $ENV{TEST_NGINX_BINARY} || 'nginx';
my $port = $ENV{TEST_NGINX_PORT} || 1984;
my $root = $ENV{TEST_NGINX_SERVROOT} || "$FindBin::Bin/servroot";
my $info = `$binary -V 2>&1` // '';

# sanitizers and valgrind make all of it slower

my $patience = $ENV{TEST_NGINX_USE_VALGRIND} || sanitized() ? 6 : 1;


sub new {
	my ($class, %self) = @_;
	return bless { log => 'info', error_log => "$root/error.log",
		owner => $$, %self }, $class;
}


# the port of the server, the ports after it are free

sub port {
	return $port + ($_[1] // 0);
}


sub root {
	return $root;
}


# seconds to wait for what takes so many at most

sub patience {
	return $_[-1] * $patience;
}


# whether nginx was built with it, or its version as a number

sub has {
	return $info =~ /--with-$_[-1]\b/;
}


sub version {
	return $info =~ m!(?:nginx|openresty)/(\d+)\.(\d+)\.(\d+)!
		? $1 * 1000000 + $2 * 1000 + $3 : 0;
}


sub sanitized {
	return $info =~ /-fsanitize=/ ? 1 : 0;
}


sub load_modules {
	return join '', map { "load_module $_;\n" }
		split ' ', $ENV{TEST_NGINX_LOAD_MODULES} // '';
}


# where nginx keeps bodies and answers for a while

sub temp_paths {
	return join "\n\t", map { "${_}_temp_path $root/$_;" }
		qw(client_body proxy fastcgi uwsgi scgi);
}


# Tengine has more variables than fit into nginx's own hash

sub conf {
	my ($self) = @_;

	if (defined $self->{conf}) {
		return $self->{conf};
	}

	my $amplitude = $self->{amplitude} ? $self->{amplitude}->port() : 9;
	my $user = $> == 0 ? 'user ' . ($self->{user} // 'root') . ';' : '';
	my ($main, $http, $server, $sendgrid)
		= map { $self->{$_} // '' } qw(main http server sendgrid);
	my $port2 = $port + 1;
	my $temp = temp_paths();
	my $http2 = !has('http_v2_module') ? ''
		: version() < 1025001 ? "listen 127.0.0.1:$port2 http2;"
		: "listen 127.0.0.1:$port2;\n\t\thttp2 on;";
	my $modules = load_modules();

	return <<"EOC";
$modules$user
pid $root/nginx.pid;
error_log $self->{error_log} $self->{log};
$main

events {
	worker_connections 2048;
}

http {
	access_log off;
	variables_hash_max_size 2048;
	$temp

$http

	server {
		listen 127.0.0.1:$port;
		$http2
		server_name localhost;
		client_max_body_size 200m;

$server

		location = /sendgrid {
			sendgrid_amp us;
$sendgrid
		}

		location = /amplitude/us {
			internal;
			proxy_pass http://127.0.0.1:$amplitude/2/httpapi;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
		}
	}
}
EOC
}


# runs nginx -t, returns its exit status and all it says; the file has another
# name if asked for

sub check {
	my ($text, $name) = @_;
	$name //= 'nginx.conf';

	_root($text, $name);

	# nginx frees nothing at the end of this

	local $ENV{ASAN_OPTIONS} = no_leaks();

	my $out = `$binary -t -p $root/ -c $root/$name -e stderr 2>&1`;

	return $? >> 8, $out;
}


sub no_leaks {
	return join ',', $ENV{ASAN_OPTIONS} || (), 'detect_leaks=0';
}


sub _root {
	my ($text, $name) = @_;
	$name //= 'nginx.conf';

	make_path("$root/conf");
	spew("$root/$name", $text);
}


sub start {
	my ($self) = @_;

	my $conf = $self->conf();

	# Tengine starts a worker for each CPU

	my $workers = $conf =~ /^\s*worker_processes\b/m ? ''
		: ' worker_processes 1;';

	remove_tree($root);
	_root($conf);

	my @command = ($binary, '-p', "$root/", '-c', "$root/nginx.conf", '-e',
		"$root/error.log", '-g', "daemon off;$workers");

	if ($ENV{TEST_NGINX_USE_VALGRIND}) {
		unshift @command, qw(valgrind -q --error-exitcode=99),
			"--log-file=$root/valgrind.log.%p", '--';
	}

	local $ENV{MALLOC_PERTURB_} = $self->{poison} ? 165 : 0;
	local $ENV{ASAN_OPTIONS} = $self->{leaks} ? no_leaks()
		: $ENV{ASAN_OPTIONS} // '';

	$self->{pid} = fork() // croak "fork: $!";

	if ($self->{pid} == 0) {
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', "$root/stdout";
		open STDERR, '>', "$root/stderr";
		@ENV{keys %{ $self->{env} || {} }} = values %{ $self->{env} || {} };
		exec { $command[0] } @command or POSIX::_exit(127);
	}

	$self->wait_for(sub {
		return waitpid($self->{pid}, WNOHANG) != 0
			|| -s "$root/nginx.pid" && IO::Socket::INET->new("127.0.0.1:$port");
	}, 20);

	if (!-s "$root/nginx.pid") {
		Test::More::BAIL_OUT('nginx does not start: ' . $self->log());
	}

	return $self;
}


sub workers {
	my ($self) = @_;
	my $pid = $self->{pid};

	return split ' ', written("/proc/$pid/task/$pid/children");
}


# a figure of /proc/PID/status of the worker: VmHWM, VmRSS (kB) ...

sub worker_status {
	my ($self, $name) = @_;
	my ($pid) = $self->workers();

	return written("/proc/$pid/status") =~ /^$name:\s+(\d+)/m ? $1 : 0;
}


# user and system time of the worker so far, in seconds

sub worker_time {
	my ($self) = @_;
	my ($pid) = $self->workers();
	my @stat = split ' ', written("/proc/$pid/stat") =~ s/^.*\) //sr;

	return ($stat[11] + $stat[12]) / POSIX::sysconf(&POSIX::_SC_CLK_TCK);
}


sub reload {
	my ($self) = @_;
	my @old = $self->workers();

	_root($self->conf());
	kill HUP => $self->{pid};

	return $self->wait_for(sub {
		my %now = map { $_ => 1 } $self->workers();
		return (grep { !$now{$_} } @old) == @old || keys %now > @old;
	});
}


# waits until the code returns true, returns that

sub wait_for {
	my ($self, $code, $seconds) = @_;
	my $until = time() + patience($seconds // 10);
	my $result;

	while (!($result = $code->()) && time() < $until) {
		sleep 0.01;
	}

	return $result;
}


# the error log, the later part of it if asked for

sub log {
	my ($self, $from) = @_;
	return written($self->{error_log}, $from);
}


sub has_json_log {
	return $info =~ m!Angie/1\.(\d+)! && $1 >= 12;
}


# lines of Angie's error log in the form of nginx's

sub plain {
	my ($log) = @_;

	return $info !~ /^Angie/m ? $log
		: $log =~ s/, (client|server): "([^"]*)"/, $1: $2/gr
			=~ s/, request_line: /, request: /gr;
}


sub stop {
	my ($self) = @_;
	my $pid = delete $self->{pid} or return;

	kill QUIT => $pid;

	my $gone = $self->wait_for(sub { waitpid($pid, WNOHANG) != 0 }, 10);

	$self->{exit} = $gone ? $? : 'did not end';

	if (!$gone) {
		kill TERM => $pid;
		waitpid($pid, 0);
	}
}


sub done {
	my ($self, $allowed) = @_;

	$self->stop();

	my @bad = grep { !$allowed || !/$allowed/ }
		grep { /\[(?:alert|emerg|crit)\]|Sanitizer|runtime error|== / }
		map { split /\n/, written($_) }
		$self->{error_log}, "$root/stderr", glob "$root/valgrind.log*";

	unshift @bad, "exit status $self->{exit}" if $self->{exit};

	Test::More::is(join("\n", @bad), '', 'no alert in the log');
}


sub DESTROY {
	my ($self) = @_;

	if ($self->{pid} && $self->{owner} == $$) {
		local ($?, $!, $@);
		$self->stop();
	}
}

1;
