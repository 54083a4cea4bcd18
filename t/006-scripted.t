#!/usr/bin/perl

# The scripted server with another contract than Amplitude's: all that a script
# can say, with and without TLS.

use warnings;
use strict;

use Test::More;

use File::Temp qw(tempdir);
use IO::Socket::INET;
use Time::HiRes qw(time);

use Gateway;
use Scripted;
use Util qw(curl self_signed slurp);

if ((curl('-V'))[1] != 0) {
	plan(skip_all => 'no curl');
}

my $dir = tempdir(CLEANUP => 1);
my ($server, $url);

for my $tls (undef, self_signed('shelf.example')) {
	my $title = $tls ? 'TLS' : 'plain';

	SKIP: {
		skip('no IO::Socket::SSL', 1)
			if $tls && !eval { require IO::Socket::SSL };

		$server = Scripted->new(contract => Shelf->new(), tls => $tls,
			folder => 'amplitude');
		$url = ($tls ? 'https' : 'http') . '://shelf.example:'
			. $server->port();

		subtest("$title: the contract" => \&contract);
		subtest("$title: faults" => \&faults);
		subtest("$title: which requests" => \&which);
		subtest("$title: time" => \&times);
		subtest("$title: connections" => \&connections);
		subtest("$title: handshake" => \&handshake) if $tls;
	}
}

subtest('two servers' => sub {
	my ($first, $second) = map { Scripted->new(contract => Shelf->new()) } 1, 2;

	local $SIG{ALRM} = sub { die "timeout\n" };

	ok(eval { alarm(10); $first->stop(); alarm(0); 1 }, 'the first stops');
	is($second->in_flight(), 0, 'the second goes on');
});

done_testing();

###############################################################################

sub contract {
	my $put = ask(PUT => '/books/1?title=Emma');

	is($put->{status}, 202, 'PUT');
	is($put->{body}, '{"id":"1"}', 'body');
	like($put->{head}, qr/^x-ratelimit-remaining: 5\r$/m, 'a header');
	is_deeply($server->ask('books'), { 1 => 'Emma' }, 'its effect');

	is(ask(GET => '/books/1')->{body}, '{"title":"Emma"}', 'GET');

	my $delete = ask(DELETE => '/books/1');

	is($delete->{status}, 204, 'DELETE');
	is($delete->{body}, '', 'no body');
	like($delete->{head}, qr/^x-ratelimit-remaining: 3\r$/m,
		'the header changes');
	is_deeply($server->ask('books'), {}, 'its effect');

	is(ask(GET => '/books/1')->{status}, 404, 'there is none');
	is_deeply([ $server->violations() ], [], 'which is no violation');

	$server->script({ status => 503 });
	is(ask('POST', '/books/1?title=Emma', '-d', 'x')->{status}, 405, 'POST');
	is_deeply([ $server->violations() ], [ 'request 4: method POST' ],
		'which is a violation');
	is_deeply($server->ask('books'), {}, 'without an effect');
	is(ask(PUT => '/books/1')->{status}, 503, 'a step is left for the next');

	my @requests = $server->requests();

	is_deeply([ map { $_->{status} } @requests ],
		[ 202, 200, 204, 404, 405, 503 ], 'status of each request');
	is_deeply([ @{ $requests[0] }{qw(method uri path arguments body)} ],
		[ 'PUT', '/books/1?title=Emma', '/books/1', 'title=Emma', '' ],
		'a request');
	ok(!exists $requests[0]{parsed}, 'no notes of the contract');

	$server->set(left => 70);
	like(ask(GET => '/books/1')->{head}, qr/^x-ratelimit-remaining: 70\r$/m,
		'a setting');

	$server->clear();
	is_deeply([ $server->requests(), $server->violations() ], [], 'cleared');
	like(ask(GET => '/books/1')->{head}, qr/^x-ratelimit-remaining: 5\r$/m,
		'the contract, too');
}


# the step, the status that the client sees (curl 18: the answer is cut, 28: it
# does not come, 56: the connection was reset), whether the request has its
# effect, what the answer looks like

sub faults {
	for my $case (
		[ 'status', { status => 503 }, 503, 0, qr/\r\n\r\n\{"error":"Test"\}$/ ],
		[ 'another success', { status => 201 }, 201, 1, qr/\{"id":"1"\}$/ ],
		[ 'body', { status => 418, body => '<p>' }, 418, 0,
			qr/Content-Type: text\/html\r\n.*\r\n\r\n<p>$/s ],
		[ 'type', { type => 'text/x' }, 202, 1, qr/Content-Type: text\/x\r/ ],
		[ 'headers', { headers => [ 'X-A: b', 'X-C: d' ] }, 202, 1,
			qr/X-A: b\r\nX-C: d\r\n/ ],
		[ 'recorded', { file => '403-waf.json' }, 403, 0, qr/"Forbidden"/ ],
		[ 'padded', { pad => [ 3, 5 ] }, 202, 1,
			qr/\{"id":"1","before":"xxx","after":"xxxxx"\}$/ ],
		[ 'an effect although', { status => 500, store => 1 }, 500, 1 ],
		[ 'no effect although', { store => 0 }, 202, 0 ],
		[ 'reset', { reset => 'after' }, 'curl 56', 1 ],
		[ 'reset before', { reset => 'before' }, 'curl 56', 0 ],
		[ 'reset at once', { reset => 'early' }, 'curl 56', 0 ],
		[ 'stall', { stall => 1 }, 'curl 28', 0 ],
		[ 'stall after the effect', { stall => 1, store => 1 }, 'curl 28', 1 ],
		[ 'cut', { cut => 4 }, 'curl 18', 1, qr/\r\n\r\n\{"id$/ ],
		[ 'cut in chunks', { cut => 4, framing => 'chunked' }, 'curl 18', 1 ],
		[ 'chunked', { framing => 'chunked' }, 202, 1,
			qr/Transfer-Encoding: chunked\r.*\{"id":"1"\}$/s ],
		[ 'until close', { framing => 'close' }, 202, 1,
			qr/^(?!.*Content-Length).*Connection: close\r.*\{"id":"1"\}$/s ],
		[ 'close', { close => 1 }, 202, 1,
			qr/Connection: close\r\nContent-Length: 10\r/ ],
		[ 'pieces', { every => 3 }, 202, 1, qr/\{"id":"1"\}$/ ],
		[ 'interim', { interim => 103 }, 202, 1,
			qr/^HTTP\/1.1 103 .*HTTP\/1.1 202 Accepted.*\{"id":"1"\}$/s ])
	{
		my ($name, $step, $status, $effect, $looks) = @$case;

		$server->clear();
		$server->script($step);

		my $r = ask('PUT', '/books/1?title=Emma', '-d', 'a novel',
			$step->{stall} ? ('-m', 0.5) : ());

		is($r->{status}, $status, $name);
		is_deeply($server->ask('books'), $effect ? { 1 => 'Emma' } : {},
			$effect ? '... and its effect' : '... and no effect');
		like("$r->{head}$r->{body}", $looks, '... looks so') if $looks;

		is(ask(PUT => '/books/2')->{status}, 202, '... and the next is right');
		is_deeply([ $server->violations() ], [], '... no violation');
		ok($server->in_flight() == ($step->{stall} ? 1 : 0)
			|| Gateway->wait_for(sub { $server->in_flight() == 0 }),
			'... nothing is in flight');
	}

	$server->clear();
	$server->script({ line => qr/^DELETE/, status => 409 });
	ask(PUT => '/books/1?title=Emma');
	is(ask(DELETE => '/books/1')->{status}, 409, 'DELETE: status');
	is_deeply($server->ask('books'), { 1 => 'Emma' }, '... and no effect');

	$server->script({ line => qr/^DELETE/, reset => 'after' });
	is(ask(DELETE => '/books/1')->{status}, 'curl 56', 'DELETE: reset');
	is_deeply($server->ask('books'), {}, '... and its effect');
}


sub which {
	for my $case (
		[ 'all', {}, 503, 503 ],
		[ 'a line', { line => qr/^PUT .*title=E/ }, 503, 202 ],
		[ 'a body', { match => qr/novel/ }, 202, 503 ],
		[ 'no body', { match => qr/poem/ }, 202, 202 ],
		[ 'a size', { max_bytes => 5 }, 202, 503 ],
		[ 'a larger size', { max_bytes => 7 }, 202, 202 ],
		[ 'a chance', { chance => 1 }, 503, 503 ],
		[ 'no chance', { chance => 0 }, 202, 202 ],
		[ 'what the contract adds', { title => 'Emma' }, 503, 202 ],
		[ 'early, a line', { reset => 'early', line => qr/title=E/ },
			'curl 56', 202 ],
		[ 'early, no body yet', { reset => 'early', match => qr/poem/ },
			'curl 56', 'curl 56' ],
		[ 'early, no chance', { reset => 'early', chance => 0 }, 202, 202 ])
	{
		my ($name, $step, @want) = @$case;

		$server->clear();
		$server->script({ status => 503, times => 0, %$step });

		is(ask('PUT', '/books/1?title=Emma', '-d', '')->{status}, $want[0],
			"$name: the first");
		is(ask('PUT', '/books/2?title=Ulysses', '-d', 'a novel')->{status},
			$want[1], "$name: the second");
	}

	$server->clear();
	$server->script({ max_bytes => 5 });
	is(ask('PUT', '/books/1', '-d', 'a novel')->{status}, 413,
		'a size: answered 413');

	$server->script({ status => 500 }, { status => 502, times => 2 });
	is_deeply([ map { ask(GET => '/books/1')->{status} } 1 .. 4 ],
		[ 500, 502, 502, 404 ], 'one step after the other');
}


sub times {
	$server->clear();
	$server->script({ delay => 0.3 });

	my $from = time();

	is(ask(PUT => '/books/1?title=Emma')->{status}, 202, 'a delay');
	cmp_ok(time() - $from, '>=', 0.3, '... seconds');

	$server->script({ every => 20, pause => 0.05 });
	$from = time();
	is(ask(GET => '/books/1')->{status}, 200, 'pauses');
	cmp_ok(time() - $from, '>=', 0.2, '... seconds');

	# an effect that comes later, as the script or the contract says

	for my $case ([ 'script', later => 0.5 ], [ 'contract' ]) {
		my ($who, @step) = @$case;

		$server->clear();
		$server->set(apply => $who eq 'contract' ? 0.5 : 0);
		$server->script({ @step });
		$from = time();
		is(ask(PUT => '/books/1?title=Emma')->{status}, 202,
			"later by the $who: answer");

		ok(Gateway->wait_for(sub {
			return ask(GET => '/books/1')->{status} == 200;
		}), '... and its effect');
		cmp_ok(time() - $from, '>=', 0.5, '... after so many seconds');
		cmp_ok(scalar(grep { $_->{status} == 404 } $server->requests()), '>',
			0, '... and not before');
	}

	$server->clear();
	$server->script({ later => 0.1 });
	ask(PUT => '/books/2?title=Emma');
	$server->clear();
	select(undef, undef, undef, 0.2);
	is_deeply($server->ask('books'), {}, 'not after it is cleared');
}


sub connections {
	my @two = ("$url/books/1", "$url/books/2");

	for my $case ([ 'GET', 1 ], [ 'DELETE', 1 ], [ 'PUT', 2 ],
		[ 'PUT', 1, '-d', '' ],
		[ 'DELETE', 2, '-H', 'Transfer-Encoding: chunked', '-d', 'a novel' ])
	{
		my ($method, $n, @options) = @$case;
		my $before = $server->connections();

		$server->clear();
		ask($method, '/books/1', @options, '--next', reach(), '-X', $method,
			@options, $two[1]);
		is(scalar($server->requests()), 2, "$method @options: requests");
		is($server->connections() - $before, $n, '... connections');
	}

	$server->clear();
	$server->script({ delay => 0.3, times => 0 });
	curl(reach(), '-Z', '--parallel-immediate', '--no-progress-meter', '-o',
		'/dev/null', $two[0], '-o', '/dev/null', $two[1]);
	is($server->max_in_flight(), 2, 'two at a time');
	ok(Gateway->wait_for(sub { $server->open_connections() == 0 }),
		'all are closed');
}


sub handshake {
	$server->clear();
	is(ask(GET => '/books/1')->{status}, 404, 'a request');
	is(($server->requests())[0]{sni}, 'shelf.example', 'SNI');

	# a client that goes away

	close(IO::Socket::INET->new('127.0.0.1:' . $server->port()));

	is((curl(reach(), $url =~ s/https/http/r))[0], '', 'a client without TLS');
	is(ask(GET => '/books/1')->{status}, 404, 'and another that has it');
	is(scalar($server->requests()), 2, 'requests');
}


# how to find the server: by a name, without a proxy, and no look at who signed
# its certificate

sub reach {
	return '-k', '--noproxy', '*', '--resolve',
		'shelf.example:' . $server->port() . ':127.0.0.1';
}


sub ask {
	my ($method, $uri, @options) = @_;

	unlink "$dir/head";

	my ($out, $exit) = curl(reach(), '-D', "$dir/head", '-w', '\n%{http_code}',
		'-X', $method, "$url$uri", @options);
	my ($body, $status) = $out =~ /^(.*)\n(\d+)\z/s;

	return { status => $exit == 0 ? $status : "curl $exit", body => $body,
		head => -f "$dir/head" ? slurp("$dir/head") : '' };
}

###############################################################################

# PUT /books/ID?title=TITLE, GET and DELETE /books/ID; a step may be for one
# title alone

package Shelf;

use base 'Scripted::Contract';


sub clear {
	my ($self) = @_;

	@$self{qw(books left apply)} = ({}, 5, 0);
	$self->SUPER::clear();
}


sub check {
	my ($self, $request) = @_;

	@{ $request->{parsed} }{qw(id title)} = ($request->{path} =~ /(\w+)$/,
		($request->{arguments} // '') =~ /^title=(.*)/);

	return $request->{method} ne 'POST' ? [] : ([ 'method POST' ],
		{ status => 405, body => '' });
}


sub wants {
	my ($self, $step, $request) = @_;

	return !$step->{title}
		|| $step->{title} eq ($request->{parsed}{title} // '');
}


sub reply {
	my ($self, $request) = @_;
	my $id = $request->{parsed}{id};
	my $title = $self->{books}{$id};
	my %answer = (headers => [ 'x-ratelimit-remaining: ' . $self->{left}-- ]);

	return { %answer, $request->{method} eq 'PUT'
			? (status => 202, members => [ id => qq("$id") ])
		: !defined $title ? (status => 404, body => '[{"message":"none"}]')
		: $request->{method} eq 'DELETE' ? (status => 204, body => '')
		: (status => 200, members => [ title => qq("$title") ]) };
}


sub store {
	my ($self, $request) = @_;
	my ($id, $title) = @{ $request->{parsed} }{qw(id title)};

	return delete $self->{books}{$id} if $request->{method} eq 'DELETE';

	$self->later($self->{apply}, sub { $self->{books}{$id} = $title })
		if $request->{method} eq 'PUT';
}
