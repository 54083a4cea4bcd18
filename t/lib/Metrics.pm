package Metrics;

# The figures of the status location: metrics() has those for Prometheus as
# { 'sendgrid_amp_events_total{event="open",result="forwarded"}' => n, ... },
# figures() those of the JSON.  changed() has what differs between two of the
# former, less the times that a test cannot know.

use warnings;
use strict;

use base 'Exporter';

our @EXPORT = qw(get metrics figures changed);

use Carp;

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

		my $n = $after->{$_} - $before->{$_};
		$changed{ s/^sendgrid_amp_//r } = $n if $n;
	}

	return \%changed;
}

1;
