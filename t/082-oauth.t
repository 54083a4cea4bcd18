#!/usr/bin/perl

# The examples of docs/security.md: OAuth 2.0, limits.

use warnings;
use strict;

use Test::More;

use Amplitude;
use Gateway;
use Sign;
use Util qw(slurp);
use Webhook;

my $port = Gateway->port();
my $provider = Gateway->port(2);

my $key = Sign->new();
my $public = $key->base64();

# a provider that answers 200 to a token that is valid, and 401 to others

my ($http, $server) = example('oauth');

$server =~ s!https://login\.example\.com/!http://127.0.0.1:$provider/!
	or die "no provider in the example\n";
$server =~ s!MFkwEwYH[^";]*!$public! or die "no key in the example\n";

my $amp = Amplitude->new();
my $ngx = Gateway->new(amplitude => $amp, http => $http . qq(
	server {
		listen 127.0.0.1:$provider;

		location = /userinfo {
			if (\$http_authorization != "Bearer good-token_1.2~3+4/5==") {
				return 401;
			}

			if (\$content_length) {
				return 500;
			}

			return 200;
		}
	}), server => $server =~ s!= /sendgrid\b!= /oauth/sendgrid!r)->start();

my $body = webhook(events(3));
my @signed = $key->headers($body);
my $good = 'Authorization: Bearer good-token_1.2~3+4/5==';

for my $case (
	[ 200, 'token and signature', $good, @signed ],
	[ 200, 'letter case of the scheme', $good =~ s/Bearer/bearer/r, @signed ],
	[ 401, 'no token', @signed ],
	[ 401, 'other token', 'Authorization: Bearer other', @signed ],
	[ 401, 'empty token', 'Authorization: Bearer ', @signed ],
	[ 401, 'other scheme', 'Authorization: Basic good', @signed ],
	[ 401, 'token with a blank', "$good x", @signed ],
	[ 403, 'no signature', $good ],
	[ 403, 'signature of somebody else', $good,
		Sign->new()->headers($body) ])
{
	my ($status, $name, @headers) = @$case;

	for my $o ({}, { chunked => 20 }) {
		$amp->clear();

		my $r = post($port, $body, uri => '/oauth/sendgrid', key => undef, %$o,
			headers => \@headers);

		is($r->{status}, $status, "$name: $status") or diag($r->{body});
		is(scalar keys %{ $amp->stored() }, $status == 200 ? 3 : 0, 'stored');
	}
}

post($port, $body, uri => '/oauth/sendgrid', key => undef,
	headers => [ $good, @signed ]);

unlike(($amp->requests())[-1]{head}, qr/good-token|Authorization/i,
	'no token is sent to Amplitude');
unlike($ngx->log(), qr/good-token/, 'nor is it logged');
is_deeply([ $amp->violations() ], [], 'the contract is kept');

$ngx->done();

# limits

($http, $server) = example('limits');

$server =~ s!MFkwEwYH[^";]*!$public!;
$server =~ s!= /sendgrid\b!= /limited/sendgrid!;

$ngx = Gateway->new(amplitude => $amp, http => $http, server => $server)
	->start();

is(post($port, $body, uri => '/limited/sendgrid')->{status}, 403,
	'a signature is needed');

my @answers = Webhook::run(map { Webhook->new($port, $body, headers =>
	\@signed, uri => '/limited/sendgrid') } 1 .. 400);
my %n;

$n{$_->{status}}++ for @answers;

cmp_ok($n{200} // 0, '>=', 50, 'webhooks within the limits');
cmp_ok($n{429} // 0, '>=', 1, 'and over them');
is(($n{200} // 0) + ($n{429} // 0), 400, 'no other answer');

$ngx->done();
done_testing();

###############################################################################

# an example of the documentation: what belongs to http, and to a server

sub example {
	my ($name) = @_;

	my $docs = slurp("$FindBin::Bin/../docs/security.md");

	return split /^(?=location)/m, $1, 2 if $docs
		=~ /<!-- t\/082-oauth\.t: $name -->\s*```nginx\n(.*?)```/s;

	die "no example \"$name\" in docs/security.md\n";
}
