package Util;

# What the tests share: files, commands, and questions to nginx.  A test
# imports by name:
#
#	use Util qw(slurp spew);

use warnings;
use strict;

use base 'Exporter';

our @EXPORT_OK = qw(slurp written lines spew openssl self_signed curl curl_post
	has_http2 active summary);

use Carp;
use File::Temp qw(tempdir);

###############################################################################
# files

# all bytes of a file

sub slurp {
	my ($name) = @_;

	open my $fh, '<:raw', $name or croak "$name: $!";
	local $/;

	return scalar(<$fh>) // '';
}


# the bytes of a file that another process writes, behind an offset; a file
# that is not there yet is empty

sub written {
	my ($name, $from) = @_;

	open my $fh, '<:raw', $name or return '';
	seek $fh, $from, 0 if $from;
	local $/;

	return scalar(<$fh>) // '';
}


# the same as lines, with their ends

sub lines {
	my @lines = split /^/, written(@_);

	return @lines;
}


# makes a file of these bytes

sub spew {
	my ($name, $text) = @_;

	open my $fh, '>:raw', $name or croak "$name: $!";
	print $fh $text;
	close $fh or croak "$name: $!";
}


# a folder for the time of the test

my $directory;

sub directory {
	return $directory //= tempdir(CLEANUP => 1);
}

###############################################################################
# commands

# what openssl prints, given some input

sub openssl {
	my ($in, @arguments) = @_;

	my $dir = directory();

	spew("$dir/in", $in);

	open my $fh, '-|', 'sh', '-c',
		'd=$1; shift; exec openssl "$@" < "$d/in" 2> "$d/err"', 'sh', $dir,
		@arguments or croak "sh: $!";
	binmode $fh;

	my $out = do { local $/; <$fh> };

	local $?;
	close $fh or croak "openssl @arguments: ", slurp("$dir/err");

	return $out // '';
}


# the files { certificate, key } of a name, signed with that key

sub self_signed {
	my ($name) = @_;
	my %files = (certificate => directory() . "/$name.crt",
		key => directory() . "/$name.key");

	openssl('', qw(req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes
		-days 2), '-subj', "/CN=$name", '-keyout', $files{key}, '-out',
		$files{certificate});

	return \%files;
}


# what curl prints, and its exit status; 127: there is no curl

sub curl {
	my (@arguments) = @_;

	require Gateway;

	open my $fh, '-|', 'curl', '-s', '--max-time', Gateway::patience(30),
		@arguments or return '', 127;

	my $out = do { local $/; <$fh> };

	local $?;
	close $fh;

	return $out // '', $? >> 8;
}


# posts a webhook by curl, with credentials

sub curl_post {
	my ($body, $url, @options) = @_;
	my $file = directory() . '/body';

	require Webhook;

	spew($file, $body);

	return curl(@options, '-u', Webhook::KEY() . ':' . Webhook::SECRET(),
		'--data-binary', "\@$file", $url);
}


# whether both nginx and curl speak HTTP/2

sub has_http2 {
	require Gateway;

	return Gateway::has('http_v2_module') && `curl -V 2>&1` =~ /HTTP2/;
}

###############################################################################
# nginx

# connections that nginx has, that of the question included; location /stub
# has stub_status

sub active {
	my ($ngx) = @_;

	require Webhook;

	my $r = Webhook::post($ngx->port(), '', method => 'GET', uri => '/stub');

	return $r->{body} =~ /Active connections: (\d+)/ ? $1 : -1;
}


# the answer to a webhook of n events: a batch of which nothing was delivered,
# but for what is given

sub summary {
	my ($n, %members) = @_;

	return { received => $n, forwarded => 0, ignored => 0, rejected => 0,
		batches => 1, %members };
}

1;
