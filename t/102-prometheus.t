#!/usr/bin/perl

# The figures, the alerts and the dashboard, by Prometheus' own tool.

use warnings;
use strict;

use Test::More;

use FindBin;
use JSON::PP ();

use Amplitude;
use Gateway;
use Metrics;
use Util qw(slurp spew);
use Webhook;

my $docs = "$FindBin::Bin/../docs";
my ($promtool) = grep { -x } map { "$_/promtool" } split /:/, $ENV{PATH};

my $amp = Amplitude->new();
my $ngx = Gateway->new(amplitude => $amp,
	http => 'sendgrid_amp_zone figures:64k;',
	server => 'location = /status { sendgrid_amp_status; }')->start();
my $port = $ngx->port();

post($port, webhook(events(10), 1));
post($port, 'x');

my $text = get($port, '/status?format=prometheus')->{body};
my %types = (
	webhooks_total => 'counter',
	webhooks_in_flight => 'gauge',
	events_total => 'counter',
	amplitude_responses_total => 'counter',
	retries_total => 'counter',
	rejected_total => 'counter',
	signatures_total => 'counter',
	signatures_reported_total => 'counter',
	received_bytes_total => 'counter',
	sent_bytes_total => 'counter',
	webhook_duration_seconds => 'histogram',
	amplitude_duration_seconds => 'histogram',
	cohort_messages_total => 'counter',
	contacts_total => 'counter',
	sendgrid_responses_total => 'counter',
	sendgrid_quota => 'gauge',
	cohort_duration_seconds => 'histogram',
	apply_seconds => 'histogram',
);
# a gauge that was not set has no line of its own

my %names = map { s/_(?:bucket|sum|count)$//r => 1 }
	$text =~ /^(?:# TYPE )?(sendgrid_amp_\w+)/mg;

subtest('text format' => sub {
	for (keys %names) {
		my $name = s/_(?:bucket|sum|count)$//r;

		is(scalar(() = $text =~ /^# HELP $name \S/mg), 1, "$name has help");
		is(scalar(() = $text =~ /^# TYPE $name (?:counter|gauge|histogram)$/mg),
			1, 'and a type');
	}

	is_deeply({ $text =~ /^# TYPE sendgrid_amp_(\w+) (\w+)$/mg }, \%types,
		'all names and types');
	like($text, qr/\n\z/, 'ends with a line feed');
	unlike($text, qr/\n\n|[\r\t]| $/m, 'no white space that has no place');

	SKIP: {
		skip 'no promtool here, the package prometheus has it', 1 if !$promtool;

		is(run('check metrics', $text), '', 'promtool check metrics');
	}
});

subtest('rules' => sub {
	plan(skip_all => 'no promtool here, the package prometheus has it') if !$promtool;

	like(run("check rules $docs/prometheus-rules.yml"), qr/SUCCESS/,
		'promtool check rules');
	like(run("test rules $docs/prometheus-rules-test.yml"), qr/SUCCESS/,
		'promtool test rules');
});

subtest('alerts' => sub {
	my $rules = slurp("$docs/prometheus-rules.yml");
	my $tests = slurp("$docs/prometheus-rules-test.yml");
	my @alerts = $rules =~ /alert: (\w+)/g;

	cmp_ok(scalar @alerts, '>=', 10, 'alerts');

	for (@alerts) {
		like($tests, qr/alertname: $_\n\s+exp_alerts:/, "$_ is seen to fire");
		like($tests, qr/alertname: $_ \}/, 'and not to');
	}

	known($rules);
});

subtest('dashboard' => sub {
	my $text = slurp("$docs/grafana-dashboard.json");
	my $board = eval { JSON::PP::decode_json($text) };

	ok($board, 'JSON') or diag($@);

	# a row that is folded has its panels within

	my @panels = map { $_->{type} eq 'row' ? @{ $_->{panels} } : $_ }
		@{ $board->{panels} };
	my %ids = map { $_->{id} => 1 } @panels, @{ $board->{panels} };
	my $rows = grep { $_->{type} eq 'row' } @{ $board->{panels} };

	cmp_ok(scalar @panels, '>=', 20, 'panels');
	is(keys %ids, @panels + $rows, 'each has its own id');
	known($text);

	my %shown = map { s/_(?:bucket|sum|count)$//r => 1 }
		$text =~ /\b(sendgrid_amp_\w+)/g;

	is_deeply([ grep { !$shown{$_} } sort keys %names ], [],
		'has all that is counted');

	# promtool knows whether the queries are right

	SKIP: {
		skip 'no promtool here, the package prometheus has it', 1 if !$promtool;

		my @queries = map { map { $_->{expr} } @{ $_->{targets} } } @panels;
		my $file = Gateway::root() . '/queries.yml';
		my $groups = "groups:\n- name: queries\n  rules:\n";
		my $n = 0;

		for (@queries) {
			my $query = s/\$__rate_interval/5m/gr =~ s/\$instance/.*/gr
				=~ s/'/''/gr;

			$groups .= "  - record: query$n\n    expr: '$query'\n";
			$n++;
		}

		spew($file, $groups);

		like(run("check rules $file"), qr/SUCCESS: $n rules/,
			'queries');
	}
});

$ngx->done();
done_testing();

###############################################################################

# what a file asks for is there

sub known {
	my ($text) = @_;

	my %unknown = map { $_ => 1 } grep { !$names{ s/_(?:bucket|sum|count)$//r } }
		grep { $_ ne 'sendgrid_amp_status' && $_ ne 'sendgrid_amp_secret'
			&& $_ !~ /^sendgrid_amp_(?:max_event_size|signature|cohorts
				|marketing_key)$/x }
		$text =~ /\b(sendgrid_amp_\w+)/g;

	is_deeply([ sort keys %unknown ], [], 'asks for what is counted');
}


sub run {
	my ($command, $in) = @_;
	my $file = Gateway::root() . '/promtool.in';

	spew($file, $in // '');

	my $out = `$promtool $command < $file 2>&1`;

	is($?, 0, 'exit status') or diag($out);

	return $out;
}
