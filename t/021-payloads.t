#!/usr/bin/perl

# The webhooks of the unit tests with their rules, as directives: the payloads have
# to be the same.

use warnings;
use strict;

use Test::More;

use FindBin;

use Amplitude;
use Gateway;
use Util qw(slurp);
use Webhook;

my $amp = Amplitude->new();
my @golds = map { gold($_) } sort glob "$FindBin::Bin/data/*.gold";

my $ngx = Gateway->new(amplitude => $amp, server => join '', map {
	"location = /gold/$_->{name} { sendgrid_amp us; $_->{directives} }\n"
} @golds)->start();

for my $gold (@golds) {
	$amp->clear();

	my $name = $gold->{name};
	my $r = send_gold($gold);

	is_deeply([ map { $_->{body} } $amp->requests() ], $gold->{payloads},
		"$name: payloads");
	is($r->{json}{rejected}, $gold->{rejected}, "$name: rejected");
	is($r->{json}{ignored}, $gold->{ignored}, "$name: ignored");
	is($r->{status}, 200, "$name: answer");
}

# the same webhook twice is the same payload

my ($gold) = grep { $_->{name} eq 'docs-current' } @golds;

$amp->clear();
send_gold($gold) for 1 .. 2;

my ($first, $second) = map { $_->{body} } $amp->requests();

ok(defined $first && $first eq $second, 'the same bytes again');

is_deeply([ $amp->violations() ], [], 'the contract is kept');

$ngx->done();
done_testing();

###############################################################################

sub send_gold {
	my ($gold) = @_;

	return post($ngx->port(), $gold->{body}, uri => "/gold/$gold->{name}",
		key => $gold->{key});
}


# a webhook with its payloads, unless its rules cannot be configured, or its key
# be a user name

sub gold {
	my ($file) = @_;
	my @sections = split /^(== .*)\n/m, slurp($file), -1;
	my %rules = map { /^(\S+) (.*)$/ } split /\n/, $sections[2];
	my %gold = (name => $file =~ m!([^/]+)\.gold$!, payloads => [],
		key => pack('H*', $rules{api_key}), rejected => 0, ignored => 0);

	return if $rules{batch_size} < 65536 || $gold{key} =~ /:/
		|| ($rules{hash_key} // '') =~ /^(?:..)*00/;

	for my $i (1 .. $#sections / 2) {
		my ($title, $text) = @sections[2 * $i - 1, 2 * $i];

		push @{ $gold{payloads} }, $text =~ s/\n$//r if $title =~ /payload/;
		$gold{rejected}++ if $title =~ /rejected/;
		$gold{ignored}++ if $title =~ /ignored/;
	}

	return { %gold, body => slurp($file =~ s/gold$/json/r),
		directives => directives(\%rules) };
}


sub directives {
	my ($rules) = @_;
	my $key = defined $rules->{hash_key}
		? ' ' . quoted('key=' . pack('H*', $rules->{hash_key})) : '';
	my $users = join ' ', map { qq("$_") } split /,/, $rules->{users};

	my $text = qq(
		sendgrid_amp_lowercase $rules->{lowercase};
		sendgrid_amp_event_prefix "$rules->{prefix}";
		sendgrid_amp_user_id $users;
		sendgrid_amp_batch_events $rules->{batch_events};
		sendgrid_amp_batch_size $rules->{batch_size};
		sendgrid_amp_concurrency 1;
	);

	for my $rule (sort keys %$rules) {
		my @list = map { [ map { quoted(pack('H*', $_)) }
			$_ eq '' ? '' : split /=/, $_, -1 ] }
			split /,/, $rules->{$rule}, -1;

		if ($rule =~ /^(?:drop|keep|hash|events|ignore)$/) {
			$text .= "sendgrid_amp_$rule " . join(' ', map { $_->[0] } @list)
				. ($rule eq 'hash' ? $key : '') . ";\n";

		} elsif ($rule eq 'event_names') {
			$text .= "sendgrid_amp_event_name @$_;\n" for @list;

		} elsif ($rule eq 'properties') {
			$text .= "sendgrid_amp_property @$_;\n" for @list;

		} elsif ($rule eq 'client_ip') {
			$text .= "sendgrid_amp_client_ip on;\n";
		}
	}

	return $text;
}


sub quoted {
	return '"' . ($_[0] =~ s/(["\\])/\\$1/gr) . '"';
}
