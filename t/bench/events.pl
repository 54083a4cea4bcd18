#!/usr/bin/perl

# Prints a webhook as SendGrid posts it, always the same for the same numbers:
# kinds of events as they are mixed in practice, about 425 bytes each.  Nearly
# every event has an address of its own.
# usage: events.pl number [webhook]

use warnings;
use strict;

my $n = shift // die "usage: events.pl number [webhook]\n";

my $seed = 20231119 + 7919 * (shift // 0);

sub random {
	my ($max) = @_;

	$seed = ($seed * 1103515245 + 12345) % 2 ** 31;

	return int($seed / 2 ** 31 * $max);
}

sub pick {
	return $_[random(scalar @_)];
}

sub id {
	my ($len) = @_;

	my @c = ('A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_');

	return join '', map { $c[random(64)] } 1 .. $len;
}

my @agents = (
	'Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) '
		. 'AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148',
	'Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 '
		. '(via ggpht.com GoogleImageProxy)',
	'Mozilla/5.0',
	'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 '
		. '(KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36',
);

my @names = ('ada', 'grace.hopper', 'Jean.Bartik', 'kay', "ren\xc3\xa9e",
	'hedy.lamarr+news', 'barbara', 'adele.goldberg');
my @domains = ('example.com', 'mail.example.org', 'example.net');
my @replies = (
	'250 2.0.0 OK 1700417763 d9-20020a17090ad3c9si9041711pjw.66 - gsmtp',
	'250 2.6.0 \u003c64b469@ismtpd-555\u003e Queued mail for delivery',
	'250 OK',
);

# event => how often of 1000, and what it has besides the common fields

my @kinds = (
	processed => 310, sub {
		return qq(,"send_at":0,"smtp-id":"<$_[0]\@geopod-ismtpd-7>"),
	},
	delivered => 330, sub {
		return qq(,"ip":"167.89.55.66","response":") . pick(@replies)
			. qq(","smtp-id":"<$_[0]\@geopod-ismtpd-7>","tls":1);
	},
	open => 210, sub {
		return qq(,"ip":"104.28.) . random(256) . '.' . random(256)
			. qq(","sg_content_type":"html","sg_machine_open":)
			. pick('true', 'false')
			. qq(,"useragent":") . pick(@agents) . '"';
	},
	click => 80, sub {
		return qq(,"ip":"198.51.100.) . random(256)
			. qq(","url":"https://shop.example.com/p/) . random(100000)
			. qq(?utm_source=mail","url_offset":{"index":) . random(20)
			. qq(,"type":"html"},"useragent":") . pick(@agents) . '"';
	},
	deferred => 30, sub {
		return qq(,"attempt":") . (1 + random(9))
			. qq(","response":"451 4.7.1 Greylisted, try again later",)
			. qq("smtp-id":"<$_[0]\@geopod-ismtpd-7>","tls":0);
	},
	bounce => 30, sub {
		return qq(,"bounce_classification":"Invalid Address","reason":")
			. qq(550 5.1.1 The \\"account\\" does not exist.",)
			. qq("status":"5.1.1","tls":1,"type":"bounce");
	},
	unsubscribe => 10, sub { return '' },
);

sub event {
	my $which = random(1000);
	my $i = 0;

	while ($which >= $kinds[$i + 1]) {
		$which -= $kinds[$i + 1];
		$i += 3;
	}

	my ($kind, $more) = @kinds[$i, $i + 2];
	my $message = id(22);
	my $event = '{"email":"' . pick(@names) . random(100000) . '@'
		. pick(@domains) . '","timestamp":' . (1700417000 + random(3600))
		. qq(,"event":"$kind") . $more->($message)
		. ',"sg_event_id":"' . id($kind =~ /open|click|unsub/ ? 22 : 60)
		. qq(","sg_message_id":"$message.recvd-5f9c8b7d6-x2l9k-1-)
		. sprintf('%08X', random(2 ** 31)) . qq(-2.0","category":)
		. pick('["receipt"]', '"welcome"', '["news","2023-11"]');

	if (random(4) == 0) {
		$event .= ',"amp_user_id":"customer-' . random(1000000) . '"';
	}

	if (random(10) == 0) {
		$event .= ',"asm_group_id":' . random(30000);
	}

	return $event . qq(,"order":"A-) . random(1000000) . qq(","tenant":")
		. pick('shop', 'blog', 'accounts') . qq("}$_[0]);
}

print '[', (map { event($_ < $n ? ",\r\n" : '') } 1 .. $n), "]\r\n";
