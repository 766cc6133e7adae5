#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Builds the lab guest: Debian's cloud kernel and an initramfs of busybox, modules
# and agent. Nothing is installed; root is not needed. Everything is kept
# and made again only when what it is made of has changed.
#
# usage: build-guest.sh [--with qga|host|systemd|openrc] [BUILD]
#
# Makes in BUILD/lab, where BUILD is build/ unless it is named:
#        vmlinuz
#        initrd.none       no agent
#        initrd.lockstep   with BUILD/lockstep-agent-static, if that exists
#        initrd.qga        with QEMU's guest agent
#        initrd.host       with BUILD/lockstep, QEMU and a guest of its own (build-host.sh)
#        initrd.systemd    Debian, with BUILD/lockstep-agent under systemd
#        initrd.openrc     the same under OpenRC (both: build-debian.sh)
#
# LOCKSTEP_GUEST names another guest (tests/harness/kind.c), made in BUILD/lab/NAME:
#        6.12      the kernel of Debian's backports
#        qemu10    the first one's kernel under the QEMU of backports
#        ppc64el   an IBM pSeries; its programs are in BUILD/ppc64el (make ppc64el)
#        ppc64el-smt  the same under the QEMU of backports, whose TCG has cores of several threads
#
# The harness runs it before it starts a guest.
#
# An initrd is cpio archives one after the other, so a changed agent costs one cp.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
with=
[ "${1:-}" != --with ] || { with=$2; shift 2; }
build=${1:-$top/build}
kind=${LOCKSTEP_GUEST:-6.1}
# What is downloaded: the kernel's package is the one that $meta depends on.
meta=linux-image-cloud-amd64
image=vmlinuz
programs=$build
shell=$(command -v busybox)
apt= # a program before apt's own: for packages that this machine's apt does not know
sub=/$kind
case $kind in
6.1) sub= ;;
qemu10) ;;
6.12)
	apt="$here/apt-elsewhere $build/lab/apt"
	meta=$meta/bookworm-backports
	;;
ppc64el*)
	sub=/ppc64el
	apt="$here/apt-elsewhere $build/lab/apt"
	meta=linux-image-powerpc64le:ppc64el
	image=vmlinux
	programs=$build/ppc64el
	;;
*)
	echo "build-guest: LOCKSTEP_GUEST=$kind: there are 6.1, 6.12, qemu10, ppc64el and ppc64el-smt" >&2
	exit 1
	;;
esac
agent=$programs/lockstep-agent-static
trap=$programs/block-trap
# With rdinit=/bin/init busybox's init is the first process, and starts the agent by this.
example=$top/examples/guest/init-agent
mkdir -p "$build/lab$sub"
lab=$(cd "$build/lab$sub" && pwd)

. "$here/functions"
. "$here/build-debian.sh"
. "$here/build-host.sh"

# QEMU of backports, unpacked, and a program that starts it with its own data.
newer_qemu() { # PACKAGE PROGRAM
	local part apt="$here/apt-elsewhere $build/lab/apt"
	[ ! -x "$lab/qemu" ] || return 0
	for part in "$1" common data; do
		fetch "qemu-system-$part/bookworm-backports" "$lab/qemu-$part"
	done
	cat >"$lab/qemu.new" <<-END
		#!/bin/sh
		export QEMU_MODULE_DIR=$lab/qemu-common/usr/lib/x86_64-linux-gnu/qemu
		exec $lab/qemu-$1/usr/bin/$2 -L $lab/qemu-data/usr/share/qemu -L /usr/share/seabios "\$@"
	END
	chmod 755 "$lab/qemu.new"
	mv "$lab/qemu.new" "$lab/qemu"
}

# The kernel that is there is kept: a newer one comes after `make clean`.
kernel() {
	local found
	found=$(find "$lab" -maxdepth 1 -name 'kernel-*' ! -name '*.new' | head -n 1)
	if [ -z "$found" ]; then
		local pkg
		# shellcheck disable=SC2086 # words are wanted
		pkg=$($apt apt-cache depends "$meta" | sed -n 's/.*Depends: //p' | head -n 1)
		[ -n "$pkg" ] || die "apt knows no $meta; try: apt-get update"
		found=${pkg#linux-image-}
		found=$lab/kernel-${found%%:*}
		fetch "$pkg" "$found"
	fi
	echo "$found"
}

# The lab's modules and what they depend on, in the order in which they must be loaded.
module_files() { # KERNEL_DIR RELEASE [MORE...]
	/sbin/depmod -b "$1" "$2"
	{ grep -v '^#' "$here/modules"; printf '%s\n' "${@:3}"; } | while read -r name; do
		[ -n "$name" ] || continue
		[ "$name" != virtio_mem ] || [ "$sub" != /ppc64el ] || continue
		/sbin/modprobe -d "$1" -S "$2" --show-depends "$name"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

# Into ROOT, with the order for init to load them in.
modules_into() { # ROOT KERNEL_DIR RELEASE [MORE...]
	local root=$1
	shift
	mkdir -p "$root/lib/modules" "$root/etc"
	module_files "$@" | while read -r ko; do
		cp "$ko" "$root/lib/modules/"
		basename "$ko"
	done >"$root/etc/modules.order"
}

base_cpio() {
	local kdir=$1 release=$2 root
	root=$(mktemp -d "$lab/root.XXXXXX")
	mkdir -p "$root"/{bin,sbin,etc,proc,sys,dev,tmp,run,lib/modules}
	cp "$shell" "$root/bin/busybox"
	for name in $(busybox --list); do
		[ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
	done
	install -D -m 755 -t "$root/usr/share/doc/lockstep/hooks" "$top"/examples/hooks/*
	install -m 755 "$here/init" "$root/init"
	install -m 755 "$example" "$root/etc/init-agent"
	{ echo ::once:/init; sed -n 's/^#\t\(::respawn:[^ ]*\) .*/\1/p' "$example"; } >"$root/etc/inittab"
	install -m 755 "$here/console" "$root/etc/console"
	install -m 644 "$here/fail-common" "$root/etc/fail-common"
	install -m 755 "$here/fail-steps" "$here/fail-blocks" "$here/race" "$trap" "$root/bin/"
	modules_into "$root" "$kdir" "$release"
	pack "$root" "$lab/base.cpio"
	rm -rf "$root"
}

agent_cpio() {
	local root
	root=$(mktemp -d "$lab/root.XXXXXX")
	install -D -m 755 "$agent" "$root/bin/lockstep-agent"
	mkdir "$root/sbin"
	ln -s ../bin/lockstep-agent "$root/sbin/lockstep-agent"
	pack "$root" "$lab/agent.cpio"
	rm -rf "$root"
}

# qemu-ga is a dynamic program: it comes with the libraries that ldd names.
qga_cpio() {
	local root
	root=$(mktemp -d "$lab/root.XXXXXX")
	[ -d "$lab/qga" ] || fetch qemu-guest-agent "$lab/qga"
	install -D -m 755 "$lab/qga/usr/sbin/qemu-ga" "$root/bin/qemu-ga"
	ldd "$root/bin/qemu-ga" | grep -q 'not found' &&
		for lib in libglib2.0-0 libnuma1 libudev1 liburing2 libpcre2-8-0; do
			[ -d "$lab/$lib" ] || fetch "$lib" "$lab/$lib"
			cp -a "$lab/$lib"/. "$root/"
		done
	LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu \
		with_libraries "$root" "$root/bin/qemu-ga"
	pack "$root" "$lab/qga.cpio"
	rm -rf "$root"
}

# joined NAME CPIO...: one initrd; untouched when it would not change.
joined() {
	local out=$lab/initrd.$1
	shift
	cat "$@" >"$out.new"
	if cmp -s "$out.new" "$out"; then rm "$out.new"; else mv "$out.new" "$out"; fi
}

main() {
	local kdir release key
	exec 9>"$lab/lock"
	flock 9
	rm -rf "$lab"/*.new "$lab"/fetch.?????? "$lab"/root.??????

	kdir=$(kernel)
	release=${kdir##*/kernel-}
	if [ "$sub" = /ppc64el ]; then
		[ -d "$lab/busybox" ] || fetch busybox-static:ppc64el "$lab/busybox"
		shell=$lab/busybox/bin/busybox
	fi
	case $kind in
	qemu10) newer_qemu x86 qemu-system-x86_64 ;;
	ppc64el-smt) newer_qemu ppc qemu-system-ppc64 ;;
	esac
	key=$release-$(sum "$here/init" "$here/console" "$here"/fail-* "$here/race" "$here/modules" "$here/build-guest.sh" \
		"$here/functions" "$top"/examples/hooks/* "$example" "$trap" "$shell")
	if ! fresh "$lab/base.key" "$key"; then
		cp "$kdir/boot/$image-$release" "$lab/vmlinuz"
		base_cpio "$kdir" "$release"
		echo "$key" >"$lab/base.key"
	fi
	joined none "$lab/base.cpio"

	if [ -x "$agent" ]; then
		key=$(sum "$agent")
		if ! fresh "$lab/agent.key" "$key"; then
			agent_cpio
			echo "$key" >"$lab/agent.key"
		fi
		joined lockstep "$lab/base.cpio" "$lab/agent.cpio"
	fi
	case $with in
	qga)
		[ -e "$lab/qga.cpio" ] || qga_cpio
		joined qga "$lab/base.cpio" "$lab/qga.cpio"
		;;
	host)
		host_initrd "$kdir" "$release"
		;;
	systemd | openrc)
		debian_initrd "$with" "$kdir" "$release"
		;;
	esac
}

main
