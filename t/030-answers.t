#!/usr/bin/perl

# What SendGrid gets, and how many events Amplitude got meanwhile.

use warnings;
use strict;

use Blocks;

locations(<<'EOC');
	location = /secrets {
		sendgrid_amp us;
		sendgrid_amp_secret old-secret 'new: "secret"';
	}

	location = /small {
		sendgrid_amp us;
		client_max_body_size 1k;
		sendgrid_amp_max_event_size 500;
	}

	location = /open {
		sendgrid_amp us;
		sendgrid_amp_auth off;
		sendgrid_amp_api_key $arg_key;
	}

	location = /region { sendgrid_amp $arg_region; }
	location = /down { sendgrid_amp /amplitude/down; }

	location = /amplitude/eu {
		internal;
		proxy_pass http://127.0.0.1:$TEST_NGINX_AMPLITUDE/2/httpapi;
	}

	location = /internal/any {
		internal;
		proxy_pass http://127.0.0.1:$TEST_NGINX_AMPLITUDE/2/httpapi;
	}

	location = /amplitude/down {
		internal;
		proxy_pass http://127.0.0.1:$TEST_NGINX_DOWN/2/httpapi;
	}
EOC

run_blocks();

__DATA__

=== TEST: one event
--- webhook
[{"email":"a@x.com","event":"open","timestamp":1700414002,"sg_event_id":"1"}]
--- error_code: 200
--- response_headers
Content-Type: application/json
--- answer
{"received":1,"forwarded":1,"ignored":0,"rejected":0,"batches":1}
--- stored: 1



=== TEST: forwarded and rejected
--- webhook
[{"email":"a@x.com","event":"open","sg_event_id":"1"},
{"event":"account_status_change","sg_event_id":"2"},
7,
{"email":"c@x.com","event":"open","sg_event_id":"3"}]
--- error_code: 200
--- answer
{"received":4,"forwarded":2,"ignored":0,"rejected":2,"batches":1}
--- stored: 2
--- no_error_log
[alert]



=== TEST: rejected, each with its reason in the log
--- log_level: debug
--- webhook
[{"event":"open","sg_event_id":"id-1"},{"email":"secret@x.com"},[]]
--- error_code: 200
--- answer
{"received":3,"forwarded":0,"ignored":0,"rejected":3,"batches":0}
--- error_log
no_user_id
id-1
no_event_type
not_an_object
--- no_error_log
[alert]
secret@x.com



=== TEST: an empty array
--- webhook
[]
--- error_code: 200
--- response_headers
Content-Type: application/json
--- answer
{"received":0,"forwarded":0,"ignored":0,"rejected":0,"batches":0}



=== TEST: a single object
--- webhook
{"email":"a@x.com","event":"open","sg_event_id":"1"}
--- error_code: 200
--- answer
{"received":1,"forwarded":1,"ignored":0,"rejected":0,"batches":1}
--- stored: 1



=== TEST: a byte order mark
--- webhook eval
qq(\xef\xbb\xbf[{"email":"a\@x.com","event":"open","sg_event_id":"1"}]\r\n)
--- error_code: 200
--- answer
{"received":1,"forwarded":1,"ignored":0,"rejected":0,"batches":1}
--- stored: 1



=== TEST: a byte order mark and a single object
--- webhook eval
qq(\xef\xbb\xbf {"email":"a\@x.com","event":"open","sg_event_id":"1"})
--- error_code: 200
--- answer
{"received":1,"forwarded":1,"ignored":0,"rejected":0,"batches":1}
--- stored: 1



=== TEST: no JSON
--- webhook
email=a@x.com
--- error_code: 400
--- response_headers
Content-Type: application/json
--- answer
{"received":0,"forwarded":0,"ignored":0,"rejected":0,"batches":0,
"error":"invalid_json","at":0}



=== TEST: no credentials
--- key
--- webhook
[{"email":"a@x.com","event":"open","sg_event_id":"1"}]
--- error_code: 401
--- response_headers
Content-Type: application/json
WWW-Authenticate: Basic realm="SendGrid Event Webhook"
--- answer
{"received":0,"forwarded":0,"ignored":0,"rejected":0,"batches":0,
"error":"unauthorized"}



=== TEST: wrong password
--- key
0123456789abcdef0123456789abcdef:CJdAK9fWEn4dH2UzKht37sAm
--- webhook
[{"email":"a@x.com","event":"open","sg_event_id":"1"}]
--- error_code: 401
--- response_headers
WWW-Authenticate: Basic realm="SendGrid Event Webhook"
--- answer
{"received":0,"forwarded":0,"ignored":0,"rejected":0,"batches":0,
"error":"unauthorized"}



=== TEST: each of several secrets
--- uri: /secrets
--- key
k:old-secret
--- webhook
[]
--- error_code: 200



=== TEST: a secret with a colon and quotes
--- uri: /secrets
--- key
k:new: "secret"
--- webhook
[]
--- error_code: 200



=== TEST: the documented secret is replaced
--- uri: /secrets
--- webhook
[]
--- error_code: 401



=== TEST: auth off, key of sendgrid_amp_api_key
--- uri: /open?key=abc
--- key
--- webhook
[{"email":"a@x.com","event":"open","sg_event_id":"1"}]
--- error_code: 200
--- answer
{"received":1,"forwarded":1,"ignored":0,"rejected":0,"batches":1}
--- stored: 1



=== TEST: auth off, sendgrid_amp_api_key is empty
--- uri: /open?key=
--- key
--- webhook
[{"email":"a@x.com","event":"open","sg_event_id":"1"}]
--- error_code: 401
--- answer
{"received":0,"forwarded":0,"ignored":0,"rejected":0,"batches":0,
"error":"unauthorized"}



=== TEST: GET
--- request
GET /sendgrid
--- error_code: 405
--- response_headers
Allow: POST
Content-Type: application/json
--- answer
{"received":0,"forwarded":0,"ignored":0,"rejected":0,"batches":0,
"error":"method_not_allowed"}



=== TEST: GET without credentials
--- request
GET /sendgrid
--- key
--- error_code: 405
--- response_headers
Allow: POST



=== TEST: HEAD
--- request
HEAD /sendgrid
--- error_code: 405
--- response_headers
Allow: POST



=== TEST: PUT
--- request
PUT /sendgrid
[]
--- error_code: 405
--- response_headers
Allow: POST



=== TEST: OPTIONS
--- request
OPTIONS /sendgrid
--- error_code: 405
--- response_headers
Allow: POST



=== TEST: body over client_max_body_size
--- uri: /small
--- webhook eval
'[' . (' ' x 1030) . ']'
--- error_code: 413
--- response_headers
Content-Type: application/json
--- answer
{"received":0,"forwarded":0,"ignored":0,"rejected":0,"batches":0,
"error":"too_large"}
--- no_error_log
[alert]



=== TEST: chunked body over client_max_body_size
--- raw_request eval
"POST /small HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
. "Authorization: Basic "
. MIME::Base64::encode_base64(Webhook::KEY . ':' . Webhook::SECRET, '')
. "\r\nTransfer-Encoding: chunked\r\n\r\n"
. "200\r\n[" . (' ' x 511) . "\r\n"
. "300\r\n" . (' ' x 767) . "]\r\n0\r\n\r\n"
--- error_code: 413
--- answer
{"received":0,"forwarded":0,"ignored":0,"rejected":0,"batches":0,
"error":"too_large"}
--- no_error_log
[alert]



=== TEST: event over sendgrid_amp_max_event_size
--- uri: /small
--- webhook eval
'[{"email":"a@x.com","event":"open","pad":"' . ('x' x 500) . '"}]'
--- error_code: 413
--- response_body_like: "error":"too_large"
--- no_error_log
[alert]



=== TEST: Content-Encoding: gzip
--- more_headers
Content-Encoding: gzip
--- webhook
[]
--- error_code: 415
--- response_headers
Content-Type: application/json
--- answer
{"received":0,"forwarded":0,"ignored":0,"rejected":0,"batches":0,
"error":"content_encoding"}



=== TEST: Content-Encoding: br
--- more_headers
Content-Encoding: br
--- webhook
[]
--- error_code: 415



=== TEST: the answer is not subject to conditions
--- more_headers
If-Match: "x"
If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT
If-None-Match: *
Range: bytes=0-1
--- webhook
[{"email":"a@x.com","event":"open","sg_event_id":"1"}]
--- error_code: 200
--- answer
{"received":1,"forwarded":1,"ignored":0,"rejected":0,"batches":1}
--- stored: 1



=== TEST: any Content-Type
--- more_headers
Content-Type: text/plain
--- webhook
[]
--- error_code: 200



=== TEST: Amplitude cannot be reached
--- uri: /down
--- webhook
[{"email":"a@x.com","event":"open","sg_event_id":"1"}]
--- timeout: 10
--- error_code: 503
--- response_headers
Content-Type: application/json
Retry-After: 30
--- answer
{"received":1,"forwarded":0,"ignored":0,"rejected":0,"batches":1,
"error":"unavailable"}
--- error_log
connect() failed
--- no_error_log
[alert]



=== TEST: region us by variable
--- uri: /region?region=us
--- webhook
[{"email":"a@x.com","event":"open","sg_event_id":"1"}]
--- error_code: 200
--- stored: 1



=== TEST: region eu by variable
--- uri: /region?region=eu
--- webhook
[{"email":"a@x.com","event":"open","sg_event_id":"1"}]
--- error_code: 200
--- stored: 1



=== TEST: a location by variable
--- uri: /region?region=/internal/any
--- webhook
[{"email":"a@x.com","event":"open","sg_event_id":"1"}]
--- error_code: 200
--- stored: 1



=== TEST: a region that does not exist
--- uri: /region?region=asia
--- webhook
[{"email":"a@x.com","event":"open","sg_event_id":"1"}]
--- error_code: 500
--- response_headers
Content-Type: application/json
--- answer
{"received":0,"forwarded":0,"ignored":0,"rejected":0,"batches":0,
"error":"internal"}
--- error_log
asia



=== TEST: a region that is empty
--- uri: /region?region=
--- webhook
[{"email":"a@x.com","event":"open","sg_event_id":"1"}]
--- error_code: 500
--- response_body_like: "error":"internal"
--- error_log
sendgrid_amp
