#!/usr/bin/perl

# Workers remember which secrets were accepted: for the location that did so,
# and until the configuration is another.

use warnings;
use strict;

use Test::More;

use Amplitude;
use Gateway;
use Util qw(spew);
use Webhook;

my $root = Gateway->root();
my $amp = Amplitude->new();
my $file = "$root-secrets/kept";

mkdir "$root-secrets";

spew($file, 'from a file');

my $ngx = Gateway->new(amplitude => $amp, main => 'worker_processes 2;',
	sendgrid => 'sendgrid_amp_secret one two;', server => "
	location = /other { sendgrid_amp us; sendgrid_amp_secret three; }
	location = /file { sendgrid_amp us; sendgrid_amp_secret $file; }
	location = /same { sendgrid_amp us; sendgrid_amp_secret one two; }
	location = /any { sendgrid_amp us; }
	")->start();

# each many times, in any order, on any worker

my %accepts = (
	'/sendgrid' => [ qw(one two) ],
	'/same' => [ qw(one two) ],
	'/other' => [ 'three' ],
	'/file' => [ 'from a file' ],
);

my @words = ('one', 'two', 'three', 'from a file', 'four', 'on', 'onee', '',
	"one\0", 'x' x 512, 'x' x 513, 'x' x 3000);

is(wrong(6), '', 'accepted where it is one of the secrets, nowhere else');

subtest('many wrong secrets do not hide a right one' => sub {
	my $bad = 0;

	for my $i (1 .. 300) {
		$bad += status('/sendgrid', "wrong $i") != 401;
		$bad += status('/sendgrid', 'one') != 200 if $i % 10 == 0;
	}

	is($bad, 0, '300 wrong ones');
});

subtest('a reload' => sub {
	my %old = map { $_ => 1 } $ngx->workers();

	spew($file, 'another word');
	$ngx->reload();
	$ngx->wait_for(sub { !grep { $old{$_} } $ngx->workers() });

	is(status('/file', 'from a file'), 401, 'the old word') for 1 .. 4;
	is(status('/file', 'another word'), 200, 'the new word') for 1 .. 4;
	is(status('/sendgrid', 'one'), 200, 'a secret that stays');
});

$ngx->done();
done_testing();

###############################################################################

sub wrong {
	my ($rounds) = @_;

	my @wrong;

	for my $round (1 .. $rounds) {
		for my $uri (sort keys %accepts) {
			for my $word ($round % 2 ? @words : reverse @words) {
				my $want = (grep { $_ eq $word } @{ $accepts{$uri} })
					? 200 : 401;
				my $got = status($uri, $word);

				push @wrong, "$uri, \"$word\": $got" if $got != $want;
			}
		}
	}

	return join "\n", @wrong;
}


sub status {
	my ($uri, $word) = @_;

	return post($ngx->port(), webhook(events(1)), uri => $uri,
		secret => $word)->{status};
}
