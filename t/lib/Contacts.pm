package Contacts;

# A strict stand-in for SendGrid's Marketing Campaigns, lists and contacts, a
# Scripted server with the contract of that API (Contacts::Contract):
#
#	my $sg = Contacts->new();       # listens on $sg->port()
#	my $id = $sg->list('Name');     # makes a list
#	...
#	$sg->members($id);
#
# An accepted change takes effect later, as SendGrid's do.  new() and set() take
#
#	key			of the requests
#	window => seconds	until a change takes effect, 1 unless set
#	jitter => seconds	each contact's change takes up to so much longer, so
#				that two of them apply in any order
#	limits => { call => n }	requests a minute, for calls of calls()
#	minute => seconds	length of such a minute, 60 unless set
#	reset			'unix': the end of the minute is a Unix time; 'none':
#				answers say nothing about limits
#	bad => regexp		addresses that a PUT is refused for
#	name			what such a refusal names: 'identifier', 'email' of
#				each contact, 'first', 'address' or 'none'
#	unknown_list => 404	status of a PUT to a list that is not there
#	max_lists => 1000
#	page_size => n		lists of a page, whatever the request asks for
#	fields => [ [ id, name, type ], ... ]	custom fields
#	headers => regexp	headers that requests may have, too
#
# A request that breaks a rule is answered 400 and goes to violations(): an
# address twice or in upper case, too many contacts, addresses or ids, a URL of
# more than 8000 bytes, the deletion of a contact, a header of another request.

use warnings;
use strict;

use base 'Scripted';

use Contacts::Contract;

use constant KEY => 'SG.test.key';


sub new {
	my ($class, %options) = @_;

	return $class->SUPER::new(keep => $options{keep} // 1,
		tls => delete $options{tls},
		contract => Contacts::Contract->new(key => KEY, window => 1,
			jitter => 0, limits => {}, name => 'identifier',
			unknown_list => 404, max_lists => 1000, fields => [], %options));
}


# makes a list, and contacts that are on it; returns its id

sub list {
	my ($self, $name, @addresses) = @_;

	$self->set(make => [ $name, @addresses ]);

	return $self->ask('made');
}


# { id => { name, members => { address => 1 } }, ... } of now

sub lists {
	return $_[0]->ask('lists');
}


# the addresses on a list, sorted

sub members {
	my ($self, $id) = @_;
	my @members = sort keys %{ $self->lists()->{$id}{members} };

	return @members;
}


# { address => { id, ... }, ... }

sub contacts {
	return $_[0]->ask('contacts');
}


# the names of the calls that came, in their order

sub calls {
	return map { $_->{call} // 'unknown' } $_[0]->requests();
}


1;
