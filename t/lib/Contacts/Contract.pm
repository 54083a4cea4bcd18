package Contacts::Contract;

# The contract of SendGrid's Marketing Campaigns, v3/marketing, as far as lists
# and their contacts go: what it demands of a request, what it answers, and how
# lists change.  Settings are those of Contacts.

use warnings;
use strict;

use base 'Scripted::Contract';

use Digest::MD5 qw(md5_hex);
use JSON::PP ();
use Time::HiRes qw(time);

my $json = JSON::PP->new()->utf8()->canonical();
my $uuid = qr/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;
my $base = '/v3/marketing';

# call, method, path; the first group is an id

my @routes = (
	[ lists => 'GET', qr!\A$base/lists\z! ],
	[ create => 'POST', qr!\A$base/lists\z! ],
	[ get_list => 'GET', qr!\A$base/lists/([^/]+)\z! ],
	[ put => 'PUT', qr!\A$base/contacts\z! ],
	[ search => 'POST', qr!\A$base/contacts/search/emails\z! ],
	[ identify => 'POST', qr!\A$base/contacts/search/identifiers/email\z! ],
	[ remove => 'DELETE', qr!\A$base/lists/([^/]+)/contacts\z! ],
	[ job => 'GET', qr!\A$base/contacts/imports/([^/]+)\z! ],
	[ fields => 'GET', qr!\A$base/field_definitions\z! ],
);

# requests a minute, as they were captured

my %limits = (lists => 600, create => 600, get_list => 600, put => 200,
	search => 200, identify => 200, remove => 600, job => 200, fields => 600);

my %bodies = map { $_ => 1 } qw(create put search identify);

use constant {
	MAX_CONTACTS => 30000,
	MAX_BODY => 6 * 1024 * 1024,
	MAX_SEARCH => 100,
	MAX_URL => 8150,	# SendGrid's
	OUR_URL => 8000,	# the gateway's
};

###############################################################################

sub clear {
	my ($self) = @_;

	@$self{qw(lists contacts emails jobs order buckets)}
		= ({}, {}, {}, {}, [], {});
	$self->{ids} = 0;
	$self->SUPER::clear();
}


# "make" is a question of a test and no setting

sub set {
	my ($self, %settings) = @_;

	if (my $make = delete $settings{make}) {
		my ($name, @addresses) = @$make;

		$self->{made} = $self->_make_list($name);
		$self->_add($_, $self->{made}) for @addresses;
	}

	return $self->SUPER::set(%settings);
}


sub state {
	my ($self, $name) = @_;

	$self->due();

	return $self->SUPER::state($name);
}


# notes the call, its list and what its body says as { parsed }

sub check {
	my ($self, $request) = @_;
	my $bad = [];
	my $parsed = $request->{parsed} = { call => '' };

	for (@routes) {
		my ($call, $method, $path) = @$_;

		if ($request->{method} eq $method && $request->{path} =~ $path) {
			@$parsed{qw(call id)} = ($call, $1);
			last;
		}
	}

	$request->{call} = $parsed->{call} || 'unknown';
	$self->_headers($request, $bad);

	if ($parsed->{call} eq '') {
		push @$bad, "$request->{method} $request->{uri}";
		return $bad, _errors(404, 'not found');
	}

	my $allowed = $request->{headers}{authorization} // '';

	if ($allowed ne "Bearer $self->{key}") {
		return $bad, _errors(401, 'authorization required');
	}

	if (my $late = $self->_limit($parsed->{call})) {
		return $bad, $late;
	}

	if (length $request->{uri} > OUR_URL) {
		push @$bad, 'a URL of ' . length($request->{uri}) . ' bytes';
	}

	if ($bodies{ $parsed->{call} }) {
		my $body = eval { $json->decode($request->{body}) };

		if (ref $body ne 'HASH') {
			push @$bad, 'no JSON object';
			return $bad, _errors(400, 'invalid JSON');
		}

		$parsed->{body} = $body;

	} elsif ($request->{body} ne '') {
		push @$bad, 'a body';
	}

	my $rules = $self->can("_check_$parsed->{call}");

	if ($rules) {
		$rules->($self, $request, $parsed, $bad);
	}

	# what breaks a rule has no effect

	if (length $request->{uri} > MAX_URL) {
		return $bad, { status => 414, body => '<html>414</html>' };
	}

	return $bad, @$bad ? _errors(400, 'against the contract') : ();
}


sub _headers {
	my ($self, $request, $bad) = @_;

	for (sort keys %{ $request->{headers} }) {
		if (!/\A(?:host|connection|authorization|content-(?:type|length)
			|accept)\z/x
			&& !(defined $self->{headers} && /$self->{headers}/))
		{
			push @$bad, "header $_";
		}
	}

	my $type = $request->{headers}{'content-type'};

	if ($bodies{ $request->{call} } && ($type // '') ne 'application/json') {
		push @$bad, 'Content-Type: ' . ($type // 'missing');
	}
}


# a bucket for each call, which is full again with the next minute of the clock;
# what an answer says of the bucket is kept as { rate }

sub _limit {
	my ($self, $call) = @_;
	my $limit = $self->{limits}{$call} // $limits{$call};
	my $length = $self->{minute} // 60;
	my $now = time();
	my $minute = int($now / $length);
	my $bucket = $self->{buckets}{$call} //= { minute => $minute, n => 0 };

	if ($bucket->{minute} != $minute) {
		@$bucket{qw(minute n)} = ($minute, 0);
	}

	my $left = $limit - ++$bucket->{n};

	my $reset = $length - int($now) % $length;

	$self->{rate} = ($self->{reset} // '') eq 'none' ? []
		: [ "x-ratelimit-limit: $limit",
		'x-ratelimit-remaining: ' . ($left < 0 ? 0 : $left),
		'x-ratelimit-reset: ' . (($self->{reset} // '') eq 'unix'
			? int($now) + $reset : $reset) ];

	return $left < 0 ? { %{ _errors(429, 'too many requests') },
		headers => $self->{rate} } : undef;
}


sub _check_put {
	my ($self, $request, $parsed, $bad) = @_;
	my ($lists, $contacts) = @{ $parsed->{body} }{qw(list_ids contacts)};
	my %seen;

	if (ref $lists ne 'ARRAY' || grep { !/\A$uuid\z/ } @$lists) {
		push @$bad, 'list_ids';
	}

	if (ref $contacts ne 'ARRAY' || !@$contacts) {
		push @$bad, 'contacts';
		return;
	}

	if (@$contacts > MAX_CONTACTS || length $request->{body} > MAX_BODY) {
		push @$bad, @$contacts . ' contacts, ' . length($request->{body})
			. ' bytes';
	}

	for (@$contacts) {
		my $address = ref $_ eq 'HASH' ? $_->{email} : undef;

		if (!defined $address) {
			push @$bad, 'a contact without an address';
			next;
		}

		push @$bad, 'upper case' if $address ne lc $address;
		push @$bad, 'an address twice' if $seen{ lc $address }++;
	}
}


sub _check_search {
	my ($self, $request, $parsed, $bad) = @_;
	my $asked = $parsed->{body}{
		$parsed->{call} eq 'search' ? 'emails' : 'identifiers' };

	if (ref $asked ne 'ARRAY' || !@$asked || @$asked > MAX_SEARCH) {
		push @$bad, 'not 1 to ' . MAX_SEARCH . ' addresses';
		$asked = [];
	}

	if ($parsed->{call} eq 'search' && grep { length > 100 } @$asked) {
		push @$bad, 'an address of more than 100 characters';
	}

	$parsed->{asked} = $asked;
}


sub _check_identify {
	return _check_search(@_);
}


sub _check_remove {
	my ($self, $request, $parsed, $bad) = @_;
	my ($ids) = ($request->{arguments} // '') =~ /\Acontact_ids=([^&]+)\z/;

	$parsed->{ids} = [ split /,|%2C/i, $ids // '' ];

	if (!@{ $parsed->{ids} } || @{ $parsed->{ids} } > MAX_SEARCH
		|| grep { !/\A$uuid\z/ } @{ $parsed->{ids} })
	{
		push @$bad, 'contact_ids: ' . ($request->{arguments} // 'missing');
	}
}

###############################################################################

sub reply {
	my ($self, $request, $step) = @_;
	my $parsed = $request->{parsed};
	my $reply = $self->can("_$parsed->{call}");
	my $answer = $reply->($self, $request, $parsed);

	# an answer that refuses has no effect

	$parsed->{refused} = $answer->{status} >= 300;

	return { %$answer, headers => $self->{rate} };
}


sub error {
	my ($self, $status) = @_;

	# a bucket that has been emptied by somebody else

	if ($status == 429) {
		s/^x-ratelimit-remaining: \K.*/0/ for @{ $self->{rate} };
	}

	return { %{ _errors($status, 'Test') }, headers => $self->{rate} };
}


sub _lists {
	my ($self, $request, $parsed) = @_;
	my %asked = map { split /=/, $_, 2 } split /&/, $request->{arguments} // '';
	my $size = $self->{page_size} // $asked{page_size} // 100;
	my $from = $asked{page_token} // 0;
	my @all = map { _list($_, $self->{lists}{$_}) } @{ $self->{order} };
	my @page = grep { defined } @all[$from .. $from + $size - 1];
	my $url = "https://api.sendgrid.com$base/lists?page_size=$size";

	return _json(200, { result => \@page, _metadata => { count => scalar @all,
		self => "$url&page_token=$from", $from + $size < @all
			? (next => "$url&page_token=" . ($from + $size)) : () } });
}


sub _create {
	my ($self, $request, $parsed) = @_;
	my $name = $parsed->{body}{name} // '';
	my $bytes = length(_bytes($name));

	if ($bytes < 1 || $bytes > 100 || @{ $self->{order} } >= $self->{max_lists}
		|| grep { $_->{name} eq $name } values %{ $self->{lists} })
	{
		return _errors(400, 'invalid list name');
	}

	# the effect of store(), whose id is told

	$parsed->{made} = $self->_id("list $name");

	return _json(201, _list($parsed->{made}, { name => $name, members => {} }));
}


sub _get_list {
	my ($self, $request, $parsed) = @_;
	my $list = $self->{lists}{ $parsed->{id} };

	return $list ? _json(200, _list($parsed->{id}, $list))
		: _json(404, [ { field => 'id', message => 'not found' } ]);
}


sub _put {
	my ($self, $request, $parsed) = @_;
	my @contacts = @{ $parsed->{body}{contacts} || [] };

	if (grep { !$self->{lists}{$_} } @{ $parsed->{body}{list_ids} || [] }) {
		return _errors($self->{unknown_list}, 'list ids not found');
	}

	my @refused = defined $self->{bad}
		? grep { ($contacts[$_]{email} // '') =~ /$self->{bad}/ } 0 .. $#contacts
		: ();

	if (@refused) {
		@refused = $refused[0] if $self->{name} eq 'first';

		return _json(400, { errors => [ $self->{name} eq 'none'
			? { message => 'invalid contacts' }
			: map { { $self->{name} eq 'address' ? ()
				: (field => "contacts[$_]."
					. ($self->{name} eq 'email' ? 'email' : 'identifier')),
				message => "email '$contacts[$_]{email}' is not valid" } }
				@refused ] });
	}

	$parsed->{job} = $self->_id('job');

	return _json(202, { job_id => $parsed->{job} });
}


sub _search {
	my ($self, $request, $parsed) = @_;
	my %found;

	for my $asked (map { lc } @{ $parsed->{asked} }) {
		my ($contact) = grep { $_->{email} eq $asked
			|| grep { $_ eq $asked } @{ $_->{alternate_emails} } }
			values %{ $self->{contacts} };

		$found{$asked} = $contact ? { contact => { %$contact, list_ids => [
			grep { $self->{lists}{$_}{members}{ $contact->{email} } }
				@{ $self->{order} } ] } } : { error => 'contact not found' };
	}

	return grep({ $_->{contact} } values %found)
		? _json(200, { result => \%found })
		: _json(404, { result => \%found });
}


sub _identify {
	return _search(@_);
}


sub _remove {
	my ($self, $request, $parsed) = @_;
	my %known = map { $_->{id} => 1 } values %{ $self->{contacts} };

	if (!$self->{lists}{ $parsed->{id} }
		|| grep { !$known{$_} } @{ $parsed->{ids} })
	{
		return _json(404, {});
	}

	return _json(202, { job_id => $self->_id('job') });
}


sub _job {
	my ($self, $request, $parsed) = @_;
	my $job = $self->{jobs}{ $parsed->{id} };

	return $job ? _json(200, { id => $parsed->{id}, job_type =>
		'upsert_contacts', status => $job->{done} ? 'completed' : 'pending',
		results => { requested_count => $job->{n}, $job->{done}
			? (created_count => $job->{n}) : () } }) : _json(404, {});
}


sub _fields {
	my ($self) = @_;

	return _json(200, { custom_fields => [ map { { id => $_->[0],
		name => $_->[1], field_type => $_->[2] } } @{ $self->{fields} } ],
		reserved_fields => [ map { { id => "_rf_$_", name => $_,
			field_type => 'Text' } } qw(first_name last_name email) ] });
}

###############################################################################
# effects

sub store {
	my ($self, $request) = @_;
	my $parsed = $request->{parsed};

	# an answer of the script, whatever it says, has the effect of the right one

	if (!defined $parsed->{refused}) {
		$self->reply($request);
	}

	if ($parsed->{refused}) {
		return;
	}

	if ($parsed->{call} eq 'create') {
		$self->_make_list($parsed->{body}{name}, $parsed->{made});

	} elsif ($parsed->{call} eq 'put') {
		my ($body, $id) = @$parsed{qw(body job)};
		my $job = $self->{jobs}{ $id // $self->_id('job') }
			= { n => scalar @{ $body->{contacts} } };

		$self->_change($body->{contacts}, sub {
			my ($contact) = @_;

			$self->_add($contact->{email}, @{ $body->{list_ids} });
			my $known = $self->{contacts}{ lc $contact->{email} };
			$known->{$_} = $contact->{$_} for grep { $_ ne 'email' }
				keys %$contact;
			$job->{done} = ++$job->{applied} == $job->{n};
		});

	} elsif ($parsed->{call} eq 'remove') {
		my ($list, $ids) = @$parsed{qw(id ids)};

		$self->_change($ids, sub {
			my ($id) = @_;

			delete $self->{lists}{$list}{members}{ $self->{emails}{$id} };
		});
	}
}


# lets a change come for each contact: for all at once, or at any time within
# the jitter

sub _change {
	my ($self, $contacts, $change) = @_;
	my ($window, $jitter) = @$self{qw(window jitter)};

	if (!$jitter) {
		$self->later($window, sub { $change->($_) for @$contacts });
		return;
	}

	for my $contact (@$contacts) {
		$self->later($window + rand($jitter), sub { $change->($contact) });
	}
}


sub _make_list {
	my ($self, $name, $id) = @_;

	$id //= $self->_id("list $name");
	$self->{lists}{$id} = { name => $name, members => {} };
	push @{ $self->{order} }, $id;

	return $id;
}


sub _add {
	my ($self, $address, @lists) = @_;

	$address = lc $address;

	if (!$self->{contacts}{$address}) {
		my $id = $self->_id($address);

		$self->{contacts}{$address} = { id => $id, email => $address,
			alternate_emails => [] };
		$self->{emails}{$id} = $address;
	}

	$_->{members}{$address} = 1 for grep { defined }
		map { $self->{lists}{$_} } @lists;
}


sub _id {
	my ($self, $what) = @_;

	return join '-', md5_hex(_bytes($what) . ++$self->{ids})
		=~ /(.{8})(.{4})(.{4})(.{4})(.{12})/;
}


sub _bytes {
	my ($text) = @_;

	utf8::encode($text) if utf8::is_utf8($text);

	return $text;
}


sub _list {
	my ($id, $list) = @_;

	return { id => $id, name => $list->{name},
		contact_count => scalar keys %{ $list->{members} },
		_metadata => { self => "https://api.sendgrid.com$base/lists/$id" } };
}


sub _json {
	my ($status, $data) = @_;
	return { status => $status, body => $json->encode($data) };
}


sub _errors {
	my ($status, $message) = @_;

	return _json($status, { errors => [ { field => undef,
		message => $message } ] });
}

1;
