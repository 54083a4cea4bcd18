#!/usr/bin/perl

# The stand-in for Amplitude itself: what it refuses, how it dedupes, and that
# it misbehaves as it is told.

use warnings;
use strict;

use Test::More;

use Amplitude;
use Webhook;

my $amp = Amplitude->new(headers => 'user-agent');
my $options = '"options":{"min_id_length":1}';
my $key = '"api_key":"k"';

my %event = (
	user_id => '"u@x.com"', event_type => '"[Sendgrid] open"',
	time => 1700414002000, insert_id => '"i"', library => '"sendgrid"',
	event_properties => '{"a":[1,{"b":null}]}',
);

is(ask(payload())->{status}, 200, 'a request');
is(ask(payload())->{status}, 200, 'the same again');
is_deeply([ $amp->violations() ], [], 'nothing is wrong with it');
is($amp->accepted(), 2, 'two events');
is(keys %{ $amp->stored() }, 1, 'stored once');

my @bad = (
	[ 'method', payload(), method => 'PUT' ],
	[ 'path', payload(), uri => '/sendgrid' ],
	[ 'arguments', payload(), uri => '/2/httpapi?a=b' ],
	[ 'credentials', payload(), key => 'k' ],
	[ 'cookie', payload(), headers => [ 'Cookie: a=b' ] ],
	[ 'Accept-Encoding', payload(), headers => [ 'Accept-Encoding: gzip' ] ],
	[ 'signature', payload(),
		headers => [ 'X-Twilio-Email-Event-Webhook-Signature: x' ] ],
	[ 'no length', payload(), chunked => 100 ],
	[ 'no JSON', 'x' ],
	[ 'more after it', payload() . 'x' ],
	[ 'array', '[' . payload() . ']' ],
	[ 'no UTF-8', payload(event_properties => qq({"a":"\xff"})) ],
	[ 'surrogate in UTF-8', payload(event_properties =>
		qq({"a":"\xed\xa0\x80"})) ],
	[ 'lone surrogate', payload(event_properties => '{"a":"\ud83d"}') ],
	[ 'control character', payload(event_properties => qq({"a":"\t"})) ],
	[ 'comma at the end', payload(event_properties => '{"a":1,}') ],
	[ 'number with a zero first', payload(event_properties => '{"a":01}') ],
	[ 'no key', qq({"events":[@{[ text() ]}],$options}) ],
	[ 'empty key', qq({"api_key":"","events":[@{[ text() ]}],$options}) ],
	[ 'no options', qq({$key,"events":[@{[ text() ]}]}) ],
	[ 'unknown member', qq({$key,"events":[@{[ text() ]}],$options,"a":1}) ],
	[ 'no events', qq({$key,"events":[],$options}) ],
	[ 'member twice', qq({$key,$key,"events":[@{[ text() ]}],$options}) ],
	[ 'comma after the last event',
		qq({$key,"events":[@{[ text() ]},],$options}) ],
	[ 'event member twice', payload(event_properties => '{},"time":5') ],
	(map { [ "no $_", payload($_ => undef) ] } grep { $_ ne 'time' }
		sort keys %event),
	(map { [ "number as $_", payload($_ => 5) ] } grep { $_ ne 'time' }
		sort keys %event),
	(map { [ "time $_", payload(time => $_) ] } '1.5', '"1"', 'null', '1e3'),
	(map { [ "user_id $_", payload(user_id => qq("$_")) ] } '', ' ', ' a',
		'Null', 'N/A', '0', 'anonymous', 'u' x 1025),
	[ 'other library', payload(library => '"http/1.0"') ],
	[ 'unknown event member', payload(device_id => '"d"') ],
);

for my $case (@bad) {
	my ($name, @request) = @$case;

	$amp->clear();
	is(ask(@request)->{status}, 400, "refused: $name");
	cmp_ok(scalar($amp->violations()), '>', 0, 'recorded');
	is(keys %{ $amp->stored() }, 0, 'not stored');
}

$amp->clear();
is(ask(payload(event_properties => '{"a":"' . ('x' x 1000000) . '"}'))
	->{status}, 413, 'too large');
is(ask(qq({$key,"events":[) . join(',', (text()) x 2001) . "],$options}")
	->{status}, 413, 'too many');
is(scalar($amp->violations()), 2, 'recorded');
$amp->clear();

# steps

my @three = map { text(user_id => qq("u$_"), insert_id => qq("i$_")) } 1 .. 3;
my $three = qq({$key,"events":[) . join(',', @three) . "],$options}";

for my $case (
	[ 'status', { status => 503 }, 503, 0 ],
	[ 'recorded', { file => '403-waf.json' }, 403, 0, '"Forbidden"' ],
	[ 'all', { refuse => qr/"u[13]"/ }, 400, 0, '"time":[0,2]' ],
	[ 'the first', { refuse => qr/"u[23]"/, name => 'first' }, 400, 0,
		'"time":[1]' ],
	[ 'silenced', { refuse => qr/"u2"/, kind => 'silenced_events' }, 400, 0,
		'"silenced_events":[1]' ],
	[ 'nobody', { refuse => qr/"u2"/, name => 'none', status => 403 }, 403, 0 ],
	[ 'throttle', { throttle => qr/"u2"/ }, 429, 0,
		'"throttled_users":{"u2":31},"throttled_events":[1]' ],
	[ 'limit', { max_events => 2 }, 413, 0 ],
	[ 'not over the limit', { max_events => 3 }, 200, 3 ],
	[ 'not refused', { refuse => qr/"u4"/ }, 200, 3 ],
	[ 'cut', { cut => 5 }, 0, 3 ],
	[ 'reset', { reset => 'after' }, 0, 3 ],
	[ 'reset before', { reset => 'before' }, 0, 0 ],
	[ 'reset at once', { reset => 'early' }, 0, 0 ],
	[ 'stall', { stall => 1 }, 0, 0 ],
	[ 'pieces', { every => 3 }, 200, 3 ],
	[ 'chunked', { framing => 'chunked' }, 200, 3 ],
	[ 'until close', { framing => 'close' }, 200, 3 ],
	[ 'interim', { interim => 103 }, 200, 3 ],
	[ 'ingested', { ingested => 1 }, 200, 3, '"events_ingested":1,' ],
	[ 'padded', { pad => [ 10, 10 ] }, 200, 3, 'xxx' ])
{
	my ($name, $step, $status, $stored, $text) = @$case;

	$amp->clear();
	$amp->script($step);

	my $r = ask($three, $step->{stall} ? (timeout => 0.5) : ());

	is($r->{status}, $status, "step: $name");
	is(keys %{ $amp->stored() }, $stored, 'stored');
	ok(index($r->{body}, $text) != -1, 'body') or diag($r->{body})
		if defined $text;
	is_deeply([ $amp->violations() ], [], 'nothing is wrong');
}

done_testing();

###############################################################################

sub text {
	my %members = (%event, @_);

	return '{' . join(',', map { qq("$_":$members{$_}) }
		grep { defined $members{$_} } sort keys %members) . '}';
}


sub payload {
	return qq({$key,"events":[@{[ text(@_) ]}],$options});
}


sub ask {
	my ($body, %o) = @_;

	return post($amp->port(), $body, key => undef, uri => '/2/httpapi', %o);
}
