package Amplitude;

# A strict stand-in for Amplitude, a Scripted server with the contract of
# Amplitude's API (Amplitude::Contract):
#
#	my $amp = Amplitude->new();     # listens on $amp->port()
#	$amp->script({ status => 503, times => 2 }, ...);
#	...
#	$amp->requests();
#
# A request that breaks the contract is answered 400.  Events of a request
# that was answered 200 are stored; an event that is there already (same
# user_id, same insert_id) is not stored again.  new() and set() take also
#
#	max_bytes, max_events	limits of a request
#	headers => regexp	headers that requests may have, too
#
# and a step of the script also
#
#	max_events		only requests with more events, answered 413
#	refuse => regexp	only requests with such an event, answered 400; or
#				{ field => regexp, ... }
#	throttle, quota		only requests with such an event, answered 429
#	name			what refuse names: 'all', 'first' of each field,
#				'none'; and throttle: 'all', 'users', 'events',
#				'none'
#	kind			member that names what is refused, or
#				'silenced_events'
#	ingested		events_ingested, if not all
#
# A request of requests() has its number of { events }.

use warnings;
use strict;

use base 'Scripted';

use Amplitude::Contract;


sub new {
	my ($class, %options) = @_;

	return $class->SUPER::new(folder => 'amplitude',
		keep => $options{keep} // 1, tls => delete $options{tls},
		contract => Amplitude::Contract->new(keep => 1, max_bytes => 1000000,
			max_events => 2000, %options));
}


# a request whose body was not read has none

sub requests {
	return map { { events => 0, %$_ } } $_[0]->SUPER::requests();
}


# { "user_id\0insert_id" => { text, times }, ... }

sub stored {
	return $_[0]->ask('stored');
}


# the text of each stored event

sub events {
	return map { $_->{text} } values %{ $_[0]->stored() };
}


# events in requests that were answered 200

sub accepted {
	return $_[0]->ask('accepted');
}


1;
