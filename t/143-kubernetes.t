#!/usr/bin/perl

# The manifests of contrib/kubernetes and the container fit each other, and fit
# the documentation.  "make manifests" compares the manifests with the API.

use warnings;
use strict;

use Test::More;

use File::Basename qw(dirname);
use FindBin;

use Util qw(slurp);

my $top = "$FindBin::Bin/..";
my $dir = "$top/contrib/kubernetes";
my $start = slurp("$top/container/start");
my $directives = slurp("$top/docs/directives.md");
my @folders = map { dirname($_) } "$top/docs/kustomization.yaml",
	glob("$dir/*/kustomization.yaml");

subtest('kustomize' => sub {
	for my $folder (@folders) {
		my $text = slurp("$folder/kustomization.yaml");

		for ($text =~ /^  - (\S+)$/mg, $text =~ /^      - \S+?=(\S+\.\S+)$/mg) {
			ok(-e "$folder/$_", "$folder has $_");
		}
	}

	SKIP: {
		skip 'no kubectl here that knows kustomize 5', 1
			if `kubectl version --client 2> /dev/null` !~ /Kustomize Version: v[5-9]/;

		my $out = `kubectl kustomize $dir/example 2>&1`;

		is($?, 0, 'it builds');

		for (qw(ConfigMap Service Deployment PodDisruptionBudget NetworkPolicy
			ServiceMonitor))
		{
			like($out, qr/^kind: $_$/m, $_);
		}
	}
});

subtest('pods' => sub {
	my ($user) = slurp("$top/Containerfile") =~ /^USER (\d+):/m;

	like(slurp("$top/Containerfile"), qr/^STOPSIGNAL SIGQUIT$/m,
		'the second signal to nginx is no other than the first');

	for ([ 'base', 'sendgrid_amp_timeout' ], [ 'cohorts', 'sendgrid_amp_cohort_timeout' ]) {
		my ($name, $budget) = @$_;
		my $text = slurp("$dir/$name/deployment.yaml");
		my ($grace) = $text =~ /terminationGracePeriodSeconds: (\d+)/;
		my ($wait) = $text =~ /"sleep (\d+); kill -QUIT 1"/;
		my ($n, $unit) = $directives =~ /^    Default:  $budget (\d+)([sm]);/m;

		cmp_ok($grace, '>', $wait + $n * ($unit eq 'm' ? 60 : 1),
			"$name: the grace period is longer than all that comes before the end");
		like($text, qr/^            readOnlyRootFilesystem: true$/m,
			'the root cannot be written');
		like($text, qr/^        runAsNonRoot: true\n        runAsUser: $user$/m,
			'the user is that of the image');
		like($text, qr/drop: \[ALL\]/, 'no capabilities');
		like($text, qr/automountServiceAccountToken: false/, 'no token');

		for ([ LISTEN => 'http' ], [ STATUS_LISTEN => 'status' ]) {
			my ($port) = $start =~ /SENDGRID_AMP_$_->[0]:=(\d+)\}/;

			like($text, qr/name: $_->[1]\n\s+containerPort: $port$/m,
				"port $_->[1]");
		}

		my ($secrets) = $start =~ /SENDGRID_AMP_SECRETS:=(\S+)\}/;

		like($text, qr/name: secrets\n\s+mountPath: $secrets$/m,
			'secrets are files where the container reads them');
	}
});

subtest('figures' => sub {
	my $monitor = slurp("$dir/monitoring/servicemonitor.yaml");
	my ($job) = $monitor =~ /targetLabel: job\n\s+replacement: (\S+)/;
	my %jobs = map { $_ => 1 } slurp("$top/docs/prometheus-rules.yml") =~ /job="(\w+)"/g;
	my ($path) = $monitor =~ /path: (\S+)/;

	is_deeply([ keys %jobs ], [ $job ], 'the job is that of the alerts');
	like(slurp("$top/container/templates/nginx.conf.template"),
		qr/location = $path \{\s+sendgrid_amp_status;/, 'the path is that of the container');
});

subtest('docs/container.md' => sub {
	my $docs = slurp("$top/docs/container.md");
	my %internal = map { $_ => 1 } qw(NGINX MODULE CONF SECRETS TLS);
	my %settings = map { $_->[0] => $_->[1] } grep { !$internal{ $_->[0] } }
		map { [ /^: "\$\{SENDGRID_AMP_(\w+):=(.*)\}"$/ ] }
		grep { /^: "\$\{SENDGRID_AMP/ } split /\n/, $start;
	my %table = $docs
		=~ /^\* `SENDGRID_AMP_(\w+)`(?: \(default (?:`(.*?)`|from [^)]*)\))?:/mg;

	$_ //= '' for values %table;

	is_deeply(\%table, \%settings, 'all settings, with their defaults');

	my %files = map { $_ => 1 } $start =~ /\bhave (\w+)/g;

	is_deeply([ sort grep { /^[a-z]/ } map { /`(\w+)`/g } $docs
		=~ /^\* (`\w+`(?:, `\w+`)*): /mg ],
		[ sort keys %files ], 'all files of secrets');
});

done_testing();
