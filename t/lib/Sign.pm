package Sign;

# Keys that sign webhooks as SendGrid does, made with the openssl command:
#
#	my $key = Sign->new();                  # or the name of another curve
#	post($port, $body, headers => [ $key->headers($body) ]);
#	"sendgrid_amp_public_key '" . $key->base64() . "';"
#
# headers() takes time => what to sign as the timestamp, now unless set, and
# the values of the headers if they are to differ from what was signed:
# signature, timestamp; undef: no such header.

use warnings;
use strict;

use File::Temp qw(tempdir);
use MIME::Base64 qw(encode_base64);

use Util qw(openssl spew);

use constant {
	SIGNATURE => 'X-Twilio-Email-Event-Webhook-Signature',
	TIMESTAMP => 'X-Twilio-Email-Event-Webhook-Timestamp',
};

my $dir = tempdir(CLEANUP => 1);
my $n = 0;


sub new {
	my ($class, $what) = @_;
	my $file = "$dir/key" . $n++;

	$what //= 'prime256v1';

	openssl('', $what eq 'RSA' ? ('genrsa', '-out', $file, 2048)
		: $what eq 'ED25519' ? ('genpkey', '-algorithm', $what, '-out', $file)
		: ('ecparam', '-name', $what, '-genkey', '-noout', '-out', $file));

	return bless { file => $file }, $class;
}


sub private {
	return $_[0]{file};
}


# the public key as SendGrid shows it

sub base64 {
	my ($self) = @_;

	return encode_base64(openssl('', 'pkey', '-in', $self->{file}, '-pubout',
		'-outform', 'DER'), '');
}


sub pem {
	my ($self) = @_;

	return openssl('', 'pkey', '-in', $self->{file}, '-pubout');
}


# the path of a new file with a text in it

sub file {
	my ($text) = @_;
	my $file = "$dir/file" . $n++ . '.pem';

	spew($file, $text);

	return $file;
}


# DER

sub sign {
	my ($self, $text) = @_;

	return openssl($text, 'dgst', '-sha256', '-sign', $self->{file});
}


sub headers {
	my ($self, $body, %o) = @_;
	my $time = $o{time} // time();

	my $signature = exists $o{signature} ? $o{signature}
		: encode_base64($self->sign($time . $body), '');
	my $timestamp = exists $o{timestamp} ? $o{timestamp} : $time;

	return ((defined $signature ? SIGNATURE . ": $signature" : ()),
		(defined $timestamp ? TIMESTAMP . ": $timestamp" : ()));
}

1;
