package Metrics;

# The figures of the status location: metrics() has those for Prometheus as
# { 'sendgrid_amp_events_total{event="open",result="forwarded"}' => n, ... },
# figures() those of the JSON.  changed() has what differs between two of the
# former.  Times are what a test cannot know: in place of buckets and sums there
# is "wrong", which tells what cannot be true of them.
#
#	counted($ngx, $before, { retries_total => 1, ... }, 'name');
#
# is a test: it waits until just this has changed.

use warnings;
use strict;

use base 'Exporter';

our @EXPORT = qw(get metrics figures changed counted histogram);

use Carp;
use Test::More ();

use Webhook;


sub get {
	my ($port, $uri, @options) = @_;

	return post($port, '', method => 'GET', uri => $uri, key => undef,
		@options);
}


sub metrics {
	my ($port, $uri) = @_;
	my $r = get($port, $uri // '/status?format=prometheus');
	my %metrics;

	$r->{status} == 200 or croak "status $r->{status}";

	for (split /\n/, $r->{body}) {
		next if /^#/;
		/^(\S+) (\S+)$/ or croak "line \"$_\"";
		croak "$1 is there twice" if exists $metrics{$1};
		$metrics{$1} = $2;
	}

	return \%metrics;
}


sub figures {
	my ($port, $uri) = @_;

	return get($port, $uri // '/status?format=json')->{json};
}


sub changed {
	my ($before, $after) = @_;
	my %changed;

	for (keys %$after) {
		next if /_(?:bucket|sum)\b/;

		# a gauge is not there before it is set

		my $n = $after->{$_} - ($before->{$_} // 0);
		$changed{ s/^sendgrid_amp_//r } = $n if $n;
	}

	my @wrong = map { wrong($before, $after, $_) } qw(webhook_duration
		amplitude_duration cohort_duration apply);

	$changed{wrong} = "@wrong" if @wrong;

	return \%changed;
}


# what a histogram has more: the sum in ms, and [ bound in ms, n ] of each
# bucket, less those below it

sub histogram {
	my ($before, $after, $name) = @_;
	my $prefix = "sendgrid_amp_${name}_seconds";
	my $below = 0;
	my @buckets;

	my %bound = map { /^\Q$prefix\E_bucket\{le="(.*)"\}$/ ? ($1 => $_) : () }
		keys %$after;

	for (sort { bound($a) <=> bound($b) } keys %bound) {
		my $n = $after->{ $bound{$_} } - $before->{ $bound{$_} };

		push @buckets, [ bound($_), $n - $below ];
		$below = $n;
	}

	return sprintf('%.0f', 1000 * ($after->{"${prefix}_sum"}
		- $before->{"${prefix}_sum"})), \@buckets;
}


sub bound {
	return $_[0] eq '+Inf' ? 9 ** 9 ** 9 : 1000 * $_[0];
}


# a time is above the bound of the bucket below its own, and not above its own

sub wrong {
	my ($before, $after, $name) = @_;
	my ($sum, $buckets) = histogram($before, $after, $name);
	my ($n, $least, $most, $below) = (0, 0, 0, -1);
	my @wrong;

	for (@$buckets) {
		my ($bound, $times) = @$_;

		push @wrong, "$name: $times times in a bucket" if $times < 0;

		$n += $times;
		$least += $times * ($below + 1);
		$most += $times * $bound if $times;
		$below = $bound;
	}

	my $count = "sendgrid_amp_${name}_seconds_count";

	push @wrong, "$name: $n times in all buckets"
		if $n != $after->{$count} - $before->{$count};
	push @wrong, "$name: $sum ms, not $least to $most"
		if $sum < $least || $sum > $most;

	return @wrong;
}


# the last to be counted is what a client does not wait for

sub counted {
	my ($ngx, $before, $want, $name) = @_;
	my $got;

	local $Test::Builder::Level = $Test::Builder::Level + 1;

	$ngx->wait_for(sub {
		$got = changed($before, metrics($ngx->port()));
		return Test::More::eq_hash($got, $want);
	}, 3);

	return Test::More::is_deeply($got, $want, $name)
		|| Test::More::diag(Test::More::explain($got));
}

1;
