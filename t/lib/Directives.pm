package Directives;

# What nginx -t says to texts of the configuration, compared as a whole:
#
#	says([ sendgrid => 'sendgrid_amp_retries 101;' ], [ 1, '[emerg] ...' ],
#		$name);
#	each_text(bad => sendgrid => 1, '[emerg]', [ $message, @texts ], ...);
#
# The first parameter of says() is that of Gateway->new().  "%" of a message is
# the first directive of ours in the text.  The configuration is in a folder
# below that of other files.

use warnings;
use strict;

use base 'Exporter';

our @EXPORT = qw(says each_text);

use Test::More;

use Gateway;


# the exit status and all warnings and errors

sub says {
	my ($conf, $expect, $name) = @_;
	my ($status, $out) = Gateway::check(Gateway->new(@$conf)->conf(),
		'conf/nginx.conf');

	is_deeply([ $status, messages($out) ], $expect, $name) or diag($out);
}


# "[emerg] text", without a place

sub messages {
	my ($out) = @_;

	return map { s/ in \S+nginx\.conf:\d+$//r =~ s/\] \d+#\d+:/]/r }
		$out =~ /(\[(?:warn|error|crit|alert|emerg)\] .*)/g;
}


# texts for one place, by the only message of each

sub each_text {
	my ($kind, $where, $status, $level, @groups) = @_;

	for my $group (@groups) {
		my ($message, @texts) = @$group;

		for my $text (@texts) {
			my ($directive) = $text =~ /(sendgrid_amp\w*)/;

			says([ $where => $text ], [ $status,
				"$level " . $message =~ s/%/$directive/gr ],
				"$kind: " . substr($text, 0, 70));
		}
	}
}


1;
