#!/usr/bin/perl

# "make install" and "make uninstall", what a machine lacks, and the files of the
# Debian package.  "make deb-test" tries the package itself.

use warnings;
use strict;

use Test::More;

use File::Find qw(find);
use File::Path qw(make_path);
use File::Temp qw(tempdir);

use Gateway;
use Util qw(slurp spew);

my $top = "$FindBin::Bin/..";
my $name = 'ngx_http_sendgrid_amp_module';
my $package = 'libnginx-mod-http-sendgrid-amp';
my $upstreams = 'sendgrid_amp_upstreams.conf';

if (Gateway::load_modules() !~ m!/build/$name\.so!) {
	plan(skip_all => 'what is installed is the module of build/');
}

my $dir = tempdir(CLEANUP => 1);

# the workers of root's nginx are not root

chmod 0755, $dir;

my $head = "pid $dir/pid;\nerror_log $dir/error.log;\n";
my $include = "include $dir/etc/modules-enabled/*.conf;\n";
my $events = "events {\n}\n";
my $load = "load_module $dir/modules/$name.so;\n";

my $snippet = "$dir/etc/modules-enabled/50-mod-http-sendgrid-amp.conf";

subtest('modules-enabled' => sub {
	fresh($include);

	my $out = place('install');

	like($out, qr/^\Q$snippet\E loads the module$/m, 'the snippet is told');
	is(slurp($snippet), $load, 'the snippet');
	is(loads(), 1, 'nginx loads the module');
	unlike(slurp("$dir/modules/$name.so"), qr/\.debug_info/,
		'no symbols for debuggers');
	is(slurp("$dir/etc/$_"), slurp("$top/conf/$_"), $_)
		for $upstreams, 'sendgrid_amp_locations.conf';

	local $ENV{CONF} = "$dir/etc";
	local $ENV{NGINX} = $ENV{TEST_NGINX_BINARY};
	local $ENV{PORT} = Gateway->port();

	is(`$top/debian/tests/post 2>&1 > $dir/post; echo \$?`, "0\n",
		'an event is posted') or diag(slurp("$dir/post"));

	# nginx that runs has the file mapped

	my $inode = (stat "$dir/modules/$name.so")[1];

	place('install');
	isnt((stat "$dir/modules/$name.so")[1], $inode, 'the file is a new one');
	is(loads(), 1, 'once, after another "make install"');

	unlike(place('uninstall'), qr/remove the module/, 'nothing is in use');
	is_deeply([ files() ], [ 'etc/nginx.conf' ], 'nothing is left');
	is(loads(), 0, 'nginx starts without the module');
});

subtest('load_module by hand' => sub {
	fresh($load . $include);

	like(place('install'), qr!^\Q$dir\E/etc/nginx\.conf loads the module already!m,
		'that is told');
	ok(!-e $snippet, 'no snippet');
	is(loads(), 1, 'nginx loads the module once');

	# the snippet was there before the line

	spew($snippet, $load);
	place('install');
	is(loads(), 1, 'once, with a snippet of before');

	like(place('uninstall'), qr!reloaded: \Q$dir\E/etc/nginx\.conf$!m,
		'the line that is left is told');
	is_deeply([ files() ], [ 'etc/nginx.conf' ], 'nothing is left');

	# another file of the folder, and a line that is commented out

	fresh("#$load$include");
	spew("$dir/etc/modules-enabled/10-ours.conf", $load);
	like(place('install'), qr/10-ours\.conf loads the module already$/m,
		'another snippet');
	is(loads(), 1, 'nginx loads the module once');

	fresh("#$load$include");
	place('install');
	is(loads(), 1, 'a comment loads nothing');
});

subtest('no modules-enabled' => sub {
	for (
		[ 'no such folder', '', 0 ],
		[ 'nginx.conf does not include the folder', '', 1 ],
		[ 'the include is a comment', "#$include", 1 ])
	{
		my ($what, $conf, $folder) = @$_;

		fresh($conf);
		rmdir "$dir/etc/modules-enabled" if !$folder;

		my $want = "put this line at the top of $dir/etc/nginx.conf:\n\n"
			. "    $load";

		like(place('install'), qr/^\Q$want\E/m, $what);
		ok(!-e $snippet, "$what: no snippet");
	}
});

subtest('a file that was changed' => sub {
	fresh($include);
	place('install');
	spew("$dir/etc/$upstreams", "# ours\n");

	like(place('install'), qr!/\Q$upstreams\E was changed and is kept$!m,
		'that is told');
	is(slurp("$dir/etc/$upstreams"), "# ours\n", 'the file is kept');
	is(slurp("$dir/etc/$upstreams.default"), slurp("$top/conf/$upstreams"),
		'the new file is beside it');

	like(place('uninstall'), qr!/\Q$upstreams\E was changed and is kept$!m,
		'uninstall tells that');
	is_deeply([ files() ], [ 'etc/nginx.conf', "etc/$upstreams" ],
		'all else is gone');
});

subtest('directives that are left' => sub {
	fresh($include);
	place('install');
	make_path("$dir/etc/conf.d", "$dir/etc/sites-available");
	spew("$dir/etc/conf.d/site.conf", "\tsendgrid_amp us;\n");
	spew("$dir/etc/conf.d/old.conf", "#\tsendgrid_amp us;\n");
	spew("$dir/etc/sites-available/off", "\tsendgrid_amp us;\n");

	like(place('uninstall'), qr!reloaded: \Q$dir\E/etc/conf\.d/site\.conf$!m,
		'the file is told');
});

subtest('DESTDIR' => sub {
	fresh($include);
	make_path("$dir/dest$dir/etc/modules-enabled");
	rename "$dir/etc/nginx.conf", "$dir/dest$dir/etc/nginx.conf";

	local $ENV{DESTDIR} = "$dir/dest";

	place('install');
	is(slurp("$dir/dest$snippet"), $load, 'the snippet knows no DESTDIR');
	place('uninstall');
	is_deeply([ files() ], [ "dest$dir/etc/nginx.conf" ], 'nothing is left');
});

subtest('what is missing' => sub {
	make_path("$dir/bin");

	# nothing is installed here

	spew("$dir/bin/dpkg-query", "#!/bin/sh\nexit 1\n");
	chmod 0755, "$dir/bin/dpkg-query";

	local $ENV{PATH} = "$dir/bin:$ENV{PATH}";

	my $out = `$top/.ci/install --missing build`;

	like($out, qr/^packages are missing: gcc .*\bnginx-dev .*\blibyajl-dev /m,
		'the packages');
	like($out, qr!: \.ci/install build$!m, 'what installs them');

	my $readme = slurp("$top/README.md");

	ok($readme =~ /\b\Q$_\E\b/, "README names $_")
		for $out =~ /missing: (.*)/ ? split ' ', $1 : ();

	$out = `NGINX_SOURCE_DIR=$dir/none $top/.ci/configure $dir/c 2>&1`;

	isnt($?, 0, 'NGINX_SOURCE_DIR is wrong');
	like($out, qr/^NGINX_SOURCE_DIR: there is no directory \Q$dir\E\/none$/m,
		'that is told');
	like($out, qr/^packages are missing: gcc .*\bzlib1g-dev$/m,
		'the packages for any nginx');
});

subtest('the package' => sub {
	my ($version) = slurp("$top/CHANGES")
		=~ /^Changes with nginx-sendgrid-amp (\S+)/m;
	my $made = `$top/.ci/deb --version`;

	like($made, qr/^\Q$version\E(?:~\d+)?-1(?:~\w+)?$/,
		'the version is that of CHANGES');

	chomp $made;
	$made = quotemeta $made;

	like(`$top/.ci/deb --changelog`, qr/^nginx-sendgrid-amp \($made\) unstable; .*
\n  \* Version .*\n
 -- .* <.*@.*>  \w{3}, \d\d \w{3} \d{4} [\d:]+ \+0000\n\z/, 'the changelog');

	for my $list (glob "$top/debian/$package.{install,docs,examples}") {
		for (split /\n/, slurp($list)) {
			my ($file) = split ' ';

			my ($there) = glob "$top/$file";

			ok(-e ($there // ''), "$file is there");
		}
	}

	my $conffiles = join ' ',
		slurp("$top/debian/$package.install") =~ /^(\S+)\tetc\/nginx$/mg;

	is($conffiles, 'conf/sendgrid_amp_locations.conf conf/' . $upstreams,
		'configuration files');

	for my $test (slurp("$top/debian/tests/control") =~ /^Tests: (\S+)/mg) {
		ok(-x "$top/debian/tests/$test", "the test \"$test\"");
	}

	# what is rotated is what is made and what is documented

	my $rotated = slurp("$top/debian/$package.logrotate");
	my $postinst = slurp("$top/debian/$package.postinst");
	my $postrm = slurp("$top/debian/$package.postrm");

	for my $log ($rotated =~ m!^/var/log/nginx/(\S+)$!mg) {
		like($postinst, qr/\b\Q$log\E\b/, "$log is made");
		like($postrm, qr/\b\Q$log\E\b/, "$log is purged");
	}

	like($postinst, qr!/\Q@{[ $snippet =~ m/([^\/]+)$/ ]}\E\b!,
		'the link has the name of the snippet');
});

done_testing();

###############################################################################

# a machine without the module, whose nginx.conf begins with this

sub fresh {
	my ($conf) = @_;

	system('rm', '-rf', "$dir/modules", "$dir/etc", "$dir/doc", "$dir/dest");
	make_path("$dir/etc/modules-enabled");
	spew("$dir/etc/nginx.conf", $conf . $head . $events);
}


sub place {
	my ($what) = @_;

	local $ENV{MODULES_DIR} = "$dir/modules";
	local $ENV{CONF_DIR} = "$dir/etc";
	local $ENV{DOC_DIR} = "$dir/doc";

	my $out = `$top/.ci/place $what 2>&1`;

	is($?, 0, $what) or diag($out);

	return $out;
}


# how often nginx loads the module, or what it says

sub loads {
	my $out = `$ENV{TEST_NGINX_BINARY} -e $dir/error.log -c $dir/etc/nginx.conf -T 2>&1`;

	return $? == 0 ? scalar(() = $out =~ /^load_module /mg) : $out;
}


# all files but logs

sub files {
	my @files;

	find({ no_chdir => 1, wanted => sub {
		push @files, substr $_, length("$dir/")
			if -f && m!^\Q$dir\E/(?:etc|modules|doc|dest)/!;
	} }, $dir);

	return sort @files;
}
