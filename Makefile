
# Copyright (C) the nginx-sendgrid-amp authors

# "make help" explains the targets and the variables


NGINX_SOURCE_DIR ?= /usr/share/nginx/src
NGINX_CONF_FLAGS ?=
NGINX_COMPAT ?=	--with-compat
NGINX ?=	$(or $(shell command -v nginx 2> /dev/null),/usr/sbin/nginx)

CFLAGS ?=	-g -O2 -fstack-protector-strong -Wformat -Wdate-time \
		-D_FORTIFY_SOURCE=2
LDFLAGS ?=	-Wl,-z,relro -Wl,-z,now

UNIT_CFLAGS ?=	-g -O1 -fno-omit-frame-pointer
UNIT_SANITIZE ?= $(eval UNIT_SANITIZE := $(unit_sanitize))$(UNIT_SANITIZE)

JOBS ?=		2
PORT ?=		8080
AMPLITUDE ?=
API_KEY ?=
SENDGRID ?=
SENDGRID_KEY ?=
BENCH ?=

MUTANTS ?=	20
SEED ?=
ONLY ?=		src

DESTDIR ?=
MODULES_DIR ?=	$(call nginx_path,modules-path,/usr/lib/nginx/modules)
CONF_DIR ?=	$(patsubst %/,%,$(dir \
		$(call nginx_path,conf-path,/etc/nginx/nginx.conf)))
DOC_DIR ?=	/usr/share/doc/nginx-sendgrid-amp
STRIP ?=	strip
SOURCES ?=
DEB_SUITES ?=	bookworm trixie sid


NAME =		ngx_http_sendgrid_amp_module
MODULE =	build/$(NAME).so
OBJS =		build/module/objs

CORE =		$(wildcard src/core/*.c)
TESTS =		$(wildcard t/unit/test_*.c)
HELPERS =	$(filter-out $(TESTS),$(wildcard t/unit/*.c))

UNITS =		$(TESTS:t/unit/%.c=build/unit/%)
UNIT_OBJS =	$(CORE:src/core/%.c=build/unit/core/%.o) \
		$(HELPERS:t/unit/%.c=build/unit/%.o)

# tests of what has a path for each processor run with the portable one, too

PORTABLE =	$(patsubst %,build/unit-portable/test_%,blocks filter fuzz \
		golden hashed json malformed mapper oracle parser vector)
VECTORS :=	$(shell grep -l sgamp_vector.h src/core/*.c t/unit/*.c)
VECTOR_OBJS =	$(patsubst src/core/%.c,build/unit/core/%.o,$(patsubst \
		t/unit/%.c,build/unit/%.o,$(VECTORS)))

portable =	$(filter-out $(VECTOR_OBJS),$(1)) $(patsubst \
		build/unit/%,build/unit-portable/%,$(filter $(VECTOR_OBJS),$(1)))

# what -std=c99 hides, and times after 2038 on 32 bits

UNIT_CC =	$(CC) $(UNIT_CFLAGS) $(UNIT_SANITIZE) \
		-Wall -Wextra -Wpointer-arith -Wno-unused-parameter -Werror \
		-D_DEFAULT_SOURCE -D_TIME_BITS=64 -D_FILE_OFFSET_BITS=64 \
		-Isrc/core -It/unit -MMD -MP

FAIL =		build/faults.so
FLOW =		build/flow.so
NGINX_DIRS =	core event event/modules os/unix http http/modules http/v2

FAIL_CC =	$(CC) $(UNIT_CFLAGS) -Wall -Wextra -Werror -fPIC -shared


# what a build was made with: if it changes, all is built anew

MODULE_FLAGS =	$(CC) | $(CFLAGS) | $(LDFLAGS) | $(NGINX_SOURCE_DIR) \
		| $(NGINX_COMPAT) $(NGINX_CONF_FLAGS) | $(shell cat config \
		"$(NGINX_SOURCE_DIR)/src/core/nginx.h" \
		"$(NGINX_SOURCE_DIR)/conf_flags" 2> /dev/null | cksum)
UNIT_FLAGS =	$(UNIT_CC) | $(FAIL_CC)


# the targets that install what they miss

PACKAGES =	$(filter run test unit mutants bench sanitize matrix style deb \
		deb-test container, $(MAKECMDGOALS))


# both compilers may lack the libraries of their sanitizers

unit_sanitize =	$(shell t=$$(mktemp); \
		echo 'int main(void) { return 0; }' | $(CC) \
		-fsanitize=address,undefined -x c -o $$t - 2> /dev/null \
		&& echo "-fsanitize=address,undefined" \
		"-fno-sanitize-recover=all"; rm -f $$t)

nginx_path =	$(or $(shell $(NGINX) -V 2>&1 \
		| sed -n 's/.* --$(1)=\([^ ]*\).*/\1/p'),$(2))

quote =		'$(subst ','\'',$(strip $(1)))'


# variables of the command line are not meant for nginx's own Makefile

MAKEOVERRIDES =
unexport CFLAGS LDFLAGS

.DEFAULT_GOAL =	all
.DELETE_ON_ERROR:
.SECONDARY:
.SECONDEXPANSION:
.PHONY:		all module units programs packages run test unit mutants bench \
		sanitize matrix style install uninstall deb deb-test container \
		manifests dist clean help force


all: module


module: $(OBJS)/Makefile
	@$(MAKE) --no-print-directory -C build/module/src \
		-f ../objs/Makefile modules
	@cmp -s $(OBJS)/$(NAME).so $(MODULE) || { \
		cp $(OBJS)/$(NAME).so $(MODULE).new \
		&& mv $(MODULE).new $(MODULE) && echo "built $(MODULE)"; }


$(OBJS)/Makefile: build/module.flags .ci/configure
	@NGINX_SOURCE_DIR="$(NGINX_SOURCE_DIR)" .ci/configure build/module \
		$(NGINX_COMPAT) $(NGINX_CONF_FLAGS) --with-cc="$(CC)" \
		--with-cc-opt="$(CFLAGS)" --with-ld-opt="$(LDFLAGS)" \
		--add-dynamic-module=addon


build/module.flags: force | packages
	@mkdir -p build
	@echo $(call quote,$(MODULE_FLAGS)) | cmp -s - $@ \
		|| echo $(call quote,$(MODULE_FLAGS)) > $@


units: $(UNITS) $(PORTABLE) $(FAIL) $(FLOW)


# what t/000-unit.t runs

programs:
	@echo $(UNITS) $(PORTABLE)


define unit_link
$(CC) $(UNIT_CFLAGS) $(UNIT_SANITIZE) -o $@ $^ -lyajl -lcrypto
endef

define unit_compile
@mkdir -p $(@D)
$(UNIT_CC) $(unit_path) -c -o $@ $<
endef


$(UNITS): build/unit/%: build/unit/%.o $(UNIT_OBJS)
	$(unit_link)


$(PORTABLE): build/unit-portable/%: $$(call portable,build/unit/$$*.o \
		$(UNIT_OBJS))
	$(unit_link)


build/unit/%.o: t/unit/%.c build/unit.flags
	$(unit_compile)


build/unit/core/%.o: src/core/%.c build/unit.flags
	$(unit_compile)


build/unit-portable/%.o: unit_path = -DSGAMP_VECTOR_PORTABLE=1

build/unit-portable/%.o: t/unit/%.c build/unit.flags
	$(unit_compile)


build/unit-portable/core/%.o: src/core/%.c build/unit.flags
	$(unit_compile)


$(FAIL): t/faults/fail.c build/unit.flags
	$(FAIL_CC) -o $@ $<


$(FLOW): $(wildcard t/flow/*.c src/core/*.h src/http/*.h) $(OBJS)/Makefile
	$(CC) $(CFLAGS) -Wall -Wextra -Wno-unused-parameter \
		-Wno-missing-field-initializers -Werror -fPIC -shared \
		-DNGX_HTTP_SENDGRID_AMP_TEST_DYNAMIC=1 -Ibuild/module/objs \
		-Isrc/core -Isrc/http $(NGINX_DIRS:%=-Ibuild/module/src/src/%) \
		-o $@ $(wildcard t/flow/*.c)


build/unit.flags: force | packages
	@mkdir -p build
	@echo $(call quote,$(UNIT_FLAGS)) | cmp -s - $@ \
		|| echo $(call quote,$(UNIT_FLAGS)) > $@


-include $(wildcard build/unit/*.d build/unit/core/*.d \
		build/unit-portable/*.d build/unit-portable/core/*.d)


packages:
	@.ci/install $(PACKAGES)


run: export API_KEY := $(API_KEY)
run: export SENDGRID_KEY := $(SENDGRID_KEY)
run: module
	@exec env NGINX="$(NGINX)" PORT="$(PORT)" AMPLITUDE="$(AMPLITUDE)" \
		SENDGRID="$(SENDGRID)" .ci/demo


test: module units
	@NGINX="$(NGINX)" .ci/prove --timer -j "$(JOBS)" -r t


unit: units
	@.ci/prove -v t/000-unit.t


# changes in src that the tests should notice

mutants: packages
	@exec t/mutants --mutants=$(MUTANTS) $(if $(SEED),--seed=$(SEED)) \
		--only=$(ONLY) --jobs=$(JOBS)


bench: module
	@exec env NGINX="$(NGINX)" t/bench/run $(BENCH)


# nginx itself is needed with its sources here, and Debian ships headers only

sanitize: units
	@CC="$(CC)" NGINX_SOURCE_DIR="$(filter-out \
		/usr/share/nginx/src,$(NGINX_SOURCE_DIR))" .ci/sanitize


# the steps of the Containerfile in a root of their own, and what runs there

container: packages
	@.ci/container


# the manifests of Kubernetes against the schemas of its API

manifests:
	@.ci/manifests


# other sources of nginx, and its relatives; other processors

matrix: packages
	@CC="$(CC)" JOBS="$(JOBS)" .ci/matrix $(SOURCES)


style: packages
	@.ci/style
	@.ci/layers


PLACE =		DESTDIR="$(DESTDIR)" MODULES_DIR="$(MODULES_DIR)" \
		CONF_DIR="$(CONF_DIR)" DOC_DIR="$(DOC_DIR)" STRIP="$(STRIP)" \
		.ci/place

install: module
	@$(PLACE) install


uninstall:
	@$(PLACE) uninstall


# a package for the nginx of this machine, and the package in bare roots

deb: packages
	@JOBS="$(JOBS)" .ci/deb


deb-test: packages
	@.ci/deb-test $(DEB_SUITES)


# a tarball of what is committed

dist:
	@.ci/dist


clean:
	rm -rf build t/servroot*


define HELP
targets:

  all       builds $(MODULE) (default)
  run       starts nginx with the module and stand-ins for Amplitude and
            SendGrid, posts a sample webhook and a sample cohort, and shows
            what arrives; Ctrl-C ends it
  test      unit tests and tests with nginx: prove -r t; what was skipped is
            told at the end
  unit      unit tests of src/core only
  mutants   makes small changes in src, and shows which no test notices
  bench     measures the module beside proxy_pass, Lua, njs and workerd,
            without and with TLS
  sanitize  the same tests with an nginx built with sanitizers
  matrix    builds and tests with each nginx, and prints a table
  style     checks the C sources, and that calls between files run downward
  install   installs the module and its configuration files, and loads the module
            where nginx.conf includes modules-enabled
  uninstall removes what "install" has installed, but for a configuration file
            that was changed
  deb       builds a Debian package in build/deb, for the nginx of this machine
  deb-test  builds, installs, upgrades and purges the package in a bare root of
            each DEB_SUITES; needs root and some minutes
  container goes through the steps of the Containerfile in a root made by
            debootstrap, and tests what runs there; as root
  manifests checks contrib/kubernetes against schemas that npm installs
  dist      makes a tarball of the committed sources in build, with a version
  clean     removes what was built

run, test, unit, mutants, bench, sanitize, matrix, style, deb, deb-test and container
first install Debian packages that they miss, as root or with sudo; nothing is installed if
nothing is missing.

variables:

  NGINX_SOURCE_DIR=dir  sources to build for, in place of those of nginx-dev
  NGINX_CONF_FLAGS=...  options of nginx's configure to build with
  NGINX_COMPAT=         for an nginx that was built without --with-compat
  NGINX=file            the nginx that runs, a build of the same sources
  CC=, CFLAGS=, LDFLAGS=
  UNIT_SANITIZE=        no sanitizers in the unit tests
  JOBS=2                suites of "make test", and changes of "make mutants",
                        that run at a time
  SKIPS=fail            a test that is skipped, and could run, fails
  PORT=8080             port of "make run"
  AMPLITUDE=us|eu       "make run" sends to Amplitude itself
  API_KEY=key           ... and posts its sample to this project
  SENDGRID_KEY=key      "make run" makes its list in this account of SendGrid
                        itself, and adds three contacts
  SENDGRID=global|eu    ... where the account is
  FAULTS=all            "make test" fails all calls of libc, not a slice
  MUTANTS=20            changes to be made, of the files ONLY=src/core...
  SEED=n                ... the same draw again
  BENCH=--quick         options of t/bench/run
  SOURCES="dir..."      folders with sources for "make matrix"; by default those
                        in build/sources, the nginx that is installed, and the
                        unit tests of other processors
  DEB_SUITES=...        releases of Debian for "make deb-test": bookworm, trixie,
                        sid, or one of them
  DESTDIR=, MODULES_DIR=, CONF_DIR=, DOC_DIR=
  STRIP=:               "make install" keeps the debugging symbols
endef
export HELP

help:
	@echo "$$HELP"
