# SPDX-License-Identifier: LGPL-2.1-or-later
# The Debian guest, for what only a real init system can show: systemd with udev, or OpenRC.
# Sourced by build-guest.sh; debian_initrd() is all that it calls.
#
# Its packages are those of the purpose "debian" in mk/packages and all that they depend on.
# They are downloaded and unpacked, not installed: no maintainer script runs, so neither root
# nor a user namespace is needed. What such a script would have made and the guest needs is
# made by debian_tree(). Perl is left out: only maintainer scripts ask for it.
#
# An initrd is the unpacked Debian, kept until `make clean`, and behind it what is ours:
# modules, the lab's console, and the agent with the files of examples/guest where their own
# heads say that they belong; and lockstepd with those of examples/host, for who tries its units.

debian_packages() {
	awk '$1 == "debian" { print $2 }' "$top/mk/packages"
}

# What apt would install on a machine that has nothing.
debian_closure() {
	local nothing=$lab/dpkg-status

	: >"$nothing"
	debian_packages | xargs apt-get -s -o Dir::State::status="$nothing" \
		--no-install-recommends install 2>/dev/null |
		awk '$1 == "Inst" && $2 !~ /perl|^usrmerge$|^debconf$|^adduser$/ { print $2 }'
}

debian_unpack() { # DIR
	local dir=$1 deb tmp

	tmp=$(mktemp -d "$lab/fetch.XXXXXX")
	download "$tmp" $(debian_closure)
	for deb in "$tmp"/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$dir" --keep-directory-symlink \
			--exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' \
			--exclude='./usr/share/locale/*'
	done
	rm -rf "$tmp"
}

# Debian as it is after its installation, as far as the guest will look.
debian_tree() { # DIR
	local dir=$1 name

	mkdir -p "$dir"/usr/{bin,sbin,lib,lib64}
	for name in bin sbin lib lib64; do
		ln -s "usr/$name" "$dir/$name"
	done
	debian_unpack "$dir"
	for name in passwd group; do
		cp "$dir/usr/share/base-passwd/$name.master" "$dir/etc/$name"
	done
	ln -s mawk "$dir/usr/bin/awk"
	echo lab >"$dir/etc/hostname"
	echo 10c5beb10c5beb10c5beb10c5beb0001 >"$dir/etc/machine-id"
}

debian_systemd() { # DIR: switches of systemd, and its console
	local units=$1/etc/systemd/system

	install -d "$units/multi-user.target.wants" "$1/etc/udev/rules.d" "$1/etc/systemd"
	install -m 644 "$here/debian/lab-console.service" "$units"
	ln -s ../lab-console.service "$units/multi-user.target.wants/"
	ln -s /lib/systemd/system/multi-user.target "$units/default.target"
	# Nobody else may speak on the console's line.
	ln -s /dev/null "$units/serial-getty@ttyS0.service"
	printf '[Manager]\nShowStatus=no\n' >"$1/etc/systemd/system.conf"
	install -m 644 "$top/examples/guest/lockstep-agent.service" "$units"
	install -m 644 "$top"/examples/host/lockstepd.* "$units"
	install -m 644 "$top/examples/guest/90-lockstep.rules" "$1/etc/udev/rules.d"
	ln -s /lib/systemd/systemd "$1/init"
}

debian_openrc() { # DIR: udev and the agent in their runlevels
	install -d "$1/etc/init.d" "$1/etc/runlevels/sysinit" "$1/etc/runlevels/default"
	install -m 755 "$top/examples/guest/lockstep-agent.openrc" "$1/etc/init.d/lockstep-agent"
	ln -s /etc/init.d/mountkernfs.sh /etc/init.d/mountdevsubfs.sh /etc/init.d/udev \
		"$1/etc/runlevels/sysinit"
	ln -s /etc/init.d/lockstep-agent "$1/etc/runlevels/default"
	install -m 755 "$here/debian/openrc-init" "$1/init"
}

debian_modules() { # DIR KERNEL_DIR RELEASE
	local ko

	module_files "$2" "$3" vsock_loopback | while read -r ko; do
		install -D -m 644 "$ko" "$1/usr/lib/modules/$3/${ko#"$2/lib/modules/$3/"}"
	done
	cp "$2/lib/modules/$3"/modules.{builtin,builtin.modinfo,order} "$1/usr/lib/modules/$3"
	mkdir -p "$1/lib" && rmdir "$1/lib" && ln -s usr/lib "$1/lib"
	/sbin/depmod -b "$1" "$3"
	rm "$1/lib"
}

debian_ours() { # INIT KERNEL_DIR RELEASE
	local root

	root=$(mktemp -d "$lab/root.XXXXXX")
	install -D -m 755 "$here/console" "$root/etc/console"
	install -D -m 755 "$build/lockstep-agent" "$root/usr/local/sbin/lockstep-agent"
	install -m 755 "$build/lockstepd" "$root/usr/local/sbin"
	install -D -m 755 -t "$root/usr/local/bin" "$build/examples/qmp-status" "$build/lockstep" "$build/fake-guest"
	install -D -m 755 -t "$root/usr/local/lib" "$build/kill-point.so"
	install -m 755 "$here/debian/qmp-monitor" "$root/usr/local/bin"
	install -D -m 644 -t "$root/usr/share/doc/lockstep/guest" "$top"/examples/guest/*
	install -D -m 755 -t "$root/usr/share/doc/lockstep/hooks" "$top"/examples/hooks/*
	debian_modules "$root" "$2" "$3"
	"debian_$1" "$root"
	pack "$root" "$lab/$1.cpio"
	rm -rf "$root"
}

debian_initrd() { # INIT KERNEL_DIR RELEASE
	local root key program

	[ "$kind" = 6.1 ] || die "the Debian guest has Debian's own kernel, 6.1, not $kind"
	for program in lockstep lockstepd lockstep-agent fake-guest kill-point.so; do
		[ -x "$build/$program" ] || die "$build/$program has not been built"
	done
	key=$(sum "$here/build-debian.sh" "$top/mk/packages")
	if ! fresh "$lab/debian.key" "$key"; then
		root=$(mktemp -d "$lab/root.XXXXXX")
		debian_tree "$root"
		pack "$root" "$lab/debian.cpio"
		rm -rf "$root"
		echo "$key" >"$lab/debian.key"
	fi
	key=$3-$(sum "$build"/lockstep{,d,-agent} "$build"/{fake-guest,kill-point.so} "$top"/examples/host/lockstepd.* "$build/examples/qmp-status" "$here/modules" "$here/console" "$here"/debian/* \
		"$top"/examples/guest/* "$top"/examples/hooks/* "$here/build-debian.sh")
	if ! fresh "$lab/$1.key" "$key"; then
		debian_ours "$1" "$2" "$3"
		echo "$key" >"$lab/$1.key"
	fi
	joined "$1" "$lab/debian.cpio" "$lab/$1.cpio"
}
