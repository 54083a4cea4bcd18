package Scripted::Contract;

# The API that a Scripted server stands in for, without HTTP and without
# faults.  A contract inherits from this package and has what differs of
#
#	check($request)		what is wrong with the request, [ text, ... ],
#				and the answer to such a request; [] if all is
#				well
#	wants($step, $request)	whether a step of the script is for the request,
#				by what the contract adds to steps
#	answer($step, $request)	the answer, by what the contract adds to steps
#	reply($request, $step)	the answer to a request that is right
#	error($status)		the answer with a status of the script
#	success($status)	whether requests with this status have an effect
#	store($request)		the effect
#	state($name)		what a test asks for
#	clear()			forgets the last test
#
# An answer is { status, headers => [ line, ... ], body }, or, for a JSON
# object, members => [ name => JSON text, ... ] in place of the body.
#
# A request is { method, uri, path, arguments, headers, body }.  Names of
# headers are in lower case; values of a header that is there twice are joined
# by "\0".  What the contract adds as { parsed } is gone after the answer.

use warnings;
use strict;

use Time::HiRes qw(time);


# settings of the contract

sub new {
	my ($class, %settings) = @_;
	my $self = bless { %settings }, $class;

	$self->clear();

	return $self;
}


sub set {
	my ($self, %settings) = @_;

	@$self{keys %settings} = values %settings;

	return;
}


# a contract with a state of its own calls this, too

sub clear {
	$_[0]{later} = [];

	return;
}


sub state {
	my ($self, $name) = @_;
	return $self->{$name};
}


sub check {
	return [];
}


sub wants {
	return 1;
}


sub answer {
	my ($self, $step, $request) = @_;
	my $status = $step->{status} // 200;

	return $self->success($status) ? $self->reply($request, $step)
		: $self->error($status);
}


sub reply {
	return { status => 200, members => [] };
}


sub error {
	my ($self, $status) = @_;
	return { status => $status, members => [ error => '"Test"' ] };
}


sub success {
	my ($self, $status) = @_;
	return $status =~ /^2/;
}


sub store {
	return;
}


# lets an effect come after so many seconds; nobody sees when it comes, but
# the next request or question finds it

sub later {
	my ($self, $seconds, $effect) = @_;
	my $later = $self->{later};

	@$later = sort { $a->[0] <=> $b->[0] } @$later,
		[ ($self->{now} // time()) + $seconds, $effect ];
}


sub due {
	my ($self) = @_;
	my $later = $self->{later};

	# an effect may bring another that is due, from the time of the first on

	while (@$later && $later->[0][0] <= time()) {
		my ($time, $effect) = @{ shift @$later };

		local $self->{now} = $time;
		$effect->();
	}
}

1;
