#!/usr/bin/perl

# Secrets that stand in files: passwords, and the key of hashes.

use warnings;
use strict;

use Test::More;

use JSON::PP ();

use Amplitude;
use Directives;
use Gateway;
use Util qw(spew);
use Webhook;

my $files = Gateway->root() . '-secrets';
my $word = 'a1b2c3d4e5f6a7b8c9d0e1f2';

mkdir $files;
spew("$files/old", "old password\n");
spew("$files/new", "\n\t new password \r\n");
spew("$files/empty", " \n");
spew("$files/key", "a key\n");

for (
	[ 'two files', "sendgrid_amp_secret $files/old $files/new;" ],
	[ 'a file and a text', "sendgrid_amp_secret $files/old new;" ],
	[ 'a key', "sendgrid_amp_hash email key=$files/key;" ],
	[ 'an empty file', "sendgrid_amp_secret $files/empty;",
		"\"sendgrid_amp_secret\" finds nothing in \"$files/empty\"" ],
	[ 'no file', 'sendgrid_amp_secret a /nowhere/b;',
		'"sendgrid_amp_secret" cannot read "/nowhere/b" '
		. '(2: No such file or directory)' ],
	[ 'a folder', "sendgrid_amp_secret $files;", '"sendgrid_amp_secret" cannot '
		. "read \"$files\": it is no file of at most 64k" ],
	[ 'a key that is no file', 'sendgrid_amp_hash email key=/nowhere/b;',
		'"sendgrid_amp_hash" cannot read "/nowhere/b" '
		. '(2: No such file or directory)' ],
	[ 'a secret that begins as a path', "sendgrid_amp_secret /$word;",
		'"sendgrid_amp_secret" cannot read "a file, whose name begins with "/"" '
		. '(2: No such file or directory)' ],
	)
{
	my ($name, $text, $error) = @$_;

	says([ sendgrid => $text ],
		defined $error ? [ 1, "[emerg] $error" ] : [ 0 ], $name);
}

my $amp = Amplitude->new();
my $ngx = Gateway->new(amplitude => $amp, sendgrid =>
	"sendgrid_amp_secret $files/old $files/new; "
	. "sendgrid_amp_hash email key=$files/key;", server => '
	location = /text { sendgrid_amp us; sendgrid_amp_hash email "key=a key"; }
	')->start();

is(status('old password'), 200, 'the old password');
is(status('new password'), 200, 'the new password');
is(status("$files/new"), 401, 'the name of a file');
is(status("new password "), 401, 'white space around');

my ($file, $text) = map {
	$amp->clear();
	post($ngx->port(), webhook(events(1)), uri => $_,
		$_ eq '/text' ? () : (secret => 'old password'));

	[ map { JSON::PP::decode_json($_->{text})->{event_properties}{email} }
		values %{ $amp->stored() } ];
} '/sendgrid', '/text';

is_deeply($file, $text, 'the key of a file hashes as its text');
like($file->[0], qr/^[0-9a-f]{64}$/, 'a hash');

$ngx->done();
done_testing();


sub status {
	my ($password) = @_;

	return post($ngx->port(), webhook(events(1)), secret => $password)
		->{status};
}
