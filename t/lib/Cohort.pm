package Cohort;

# A gateway with cohorts in front of a stand-in for SendGrid (Contacts), and
# messages of Amplitude's:
#
#	my $cohort = Cohort->new(window => 1, location => '...;');
#	my $answer = $cohort->webhook(enter => [ 'a@a.example' ]);
#	answers($answer, 200, { added => 1 }, 'one user');
#	$cohort->members('[Amplitude] Buyers [7khm89cz]');
#
# new() takes options of Contacts and of Gateway; location, text for
# "location /cohorts"; read_timeout, of a call to SendGrid; apply_window in ms.

use warnings;
use strict;

use base 'Exporter';

our @EXPORT = qw(answers);

use HTTP::Tiny;
use JSON::PP ();
use Test::More ();

use Contacts;
use Gateway;
use Webhook ();

use constant SECRET => 'cohort-secret';

my $json = JSON::PP->new()->utf8()->canonical();


sub new {
	my ($class, %options) = @_;
	my %contacts = map { $_ => delete $options{$_} } grep { exists $options{$_} }
		qw(window jitter limits minute reset bad name unknown_list max_lists
		page_size fields keep);
	my $sg = Contacts->new(%contacts);
	my $window = delete $options{apply_window} // int(($contacts{window} // 1) * 1500);
	my $location = delete $options{location} // '';
	my $port = $sg->port();
	my $read_timeout = delete $options{read_timeout} // '5s';
	my $http = delete $options{http} // '';
	my $server = delete $options{server} // '';
	my $key = Contacts::KEY;
	my $secret = SECRET;

	my $zone = delete $options{zone} // '1m';
	my $ngx = Gateway->new(%options, http => <<"EOC" . $http, server => <<"EOS");
	sendgrid_amp_cohort_zone cohorts:$zone;
	sendgrid_amp_zone figures:64k;
	upstream sendgrid { server 127.0.0.1:$port; keepalive 8; }
EOC
	location /cohorts {
		sendgrid_amp_cohorts /sendgrid/test;
		sendgrid_amp_cohort_secret $secret;
		sendgrid_amp_marketing_key $key;
		sendgrid_amp_apply_window ${window}ms;
		client_max_body_size 30m;
		$location
	}

	location /sendgrid/test/ {
		internal;
		proxy_pass http://sendgrid/;
		proxy_http_version 1.1;
		proxy_pass_request_headers off;
		proxy_set_header Host api.sendgrid.com;
		proxy_set_header Authorization "Bearer \$sendgrid_amp_marketing_key";
		proxy_set_header Accept application/json;
		proxy_set_header Content-Type \$content_type;
		proxy_set_header Connection "";
		proxy_read_timeout $read_timeout;
		proxy_buffering off;
		client_max_body_size 0;
	}

	location = /status { sendgrid_amp_status; }
	$server
EOS
	return bless { sg => $sg, ngx => $ngx, http => HTTP::Tiny->new(agent => 'Amplitude',
		timeout => $options{timeout} // 30) }, $class;
}


sub start {
	my ($self) = @_;

	$self->{ngx}->start();

	return $self;
}


sub sg { return $_[0]{sg} }

sub ngx { return $_[0]{ngx} }


# a message of the Cohort Webhook; options are members, or undef to leave out

sub message {
	my ($self, $direction, $users, %options) = @_;
	my %message = (cohort_id => '7khm89cz', cohort_name => 'Buyers',
		in_cohort => $direction eq 'enter' ? JSON::PP::true : JSON::PP::false,
		computed_time => $options{computed_time} // time(),
		message_id => 'm' . ++$self->{id}, users => [ map { ref $_ ? $_
			: { user_id => $_, user_properties => { email => $_ } } } @$users ],
		%options);

	delete @message{ grep { !defined $message{$_} } keys %message };

	return $json->encode(\%message);
}


sub webhook {
	my ($self, @message) = @_;
	return $self->post('', $self->message(@message));
}


# posts a body to the location or to a path below; returns HTTP::Tiny's answer
# with the JSON of its body as { json }

sub post {
	my ($self, $path, $body, %headers) = @_;
	my $url = 'http://127.0.0.1:' . Gateway->port() . "/cohorts$path";
	my $answer = $self->{http}->post($url, { content => ref $body
		? $json->encode($body) : $body, headers => {
		'Content-Type' => 'application/json',
		Authorization => 'Bearer ' . SECRET, %headers } });

	$answer->{json} = eval { $json->decode($answer->{content}) };

	return $answer;
}


# a client of Webhook's that posts a body, with options of Webhook's, and
# bearer, the secret, undef: none

sub client {
	my ($self, $path, $body, %o) = @_;
	my $secret = exists $o{bearer} ? delete $o{bearer} : SECRET;

	return Webhook->new(Gateway->port(), ref $body ? $json->encode($body)
		: $body, key => undef, uri => "/cohorts$path", %o, headers => [
		defined $secret ? "Authorization: Bearer $secret" : (),
		@{ $o{headers} || [] } ]);
}


# such a client that has sent its request, as far as a socket takes it; run()
# of Webhook waits for the answer

sub begin {
	my ($self, @request) = @_;
	my $client = $self->client(@request);

	$client->_send(time());

	return $client;
}


# the answer to such a client

sub ask {
	my ($self, @request) = @_;
	my ($answer) = Webhook::run($self->client(@request));

	return $answer;
}


# one test: the error log has no address of a user, no name of a cohort, no
# secret, and nothing else that is given

sub quiet {
	my ($self, @texts) = @_;
	my $not = join '|', map { quotemeta } SECRET, Contacts::KEY, 'Buyers',
		'a.example', @texts;

	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my @found = grep { /$not/i } split /\n/, $self->{ngx}->log();

	Test::More::is(join("\n", @found), '', 'nothing personal in the log');
}


# one test: the status of an answer, and members of its summary, or its error

sub answers {
	my ($answer, $status, $expect, $name) = @_;
	my $json = $answer->{json} || {};

	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my %want = ref $expect ? (error => undef, %$expect) : (error => $expect);

	Test::More::is_deeply([ $answer->{status}, { map { $_ => $json->{$_} }
		keys %want } ], [ $status, \%want ], $name)
		or Test::More::diag($answer->{content} // $answer->{body});
}


# the addresses on the list with a name, or undef

sub members {
	my ($self, $name) = @_;
	my $lists = $self->{sg}->lists();
	my ($id) = grep { $lists->{$_}{name} eq ($name // '[Amplitude] Buyers [7khm89cz]') }
		sort keys %$lists;

	return defined $id ? [ $self->{sg}->members($id) ] : undef;
}

1;
