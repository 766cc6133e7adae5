# SPDX-License-Identifier: LGPL-2.1-or-later
# The lab's guest as a host: vhost needs no KVM, but a kernel's module and root, and in a
# guest both are to be had. Sourced by build-guest.sh; host_initrd() is all that it calls.
#
# To the guest's own initrd comes what a host has: vhost_vsock, this machine's QEMU with its
# libraries, lockstep, and the harness with a build directory /lab/build, whose guest is the
# lab's own once more. `cd /lab && build/harness up --dir /tmp/l2 vsock=3` starts it there;
# `kexec build/lab/vmlinuz build/lab/initrd.lockstep "$(cat /proc/cmdline)"` becomes it.

# What a guest without screen, disk and network asks of QEMU's files.
host_qemu() { # ROOT
	local root=$1 modules=/usr/lib/x86_64-linux-gnu/qemu name

	install -D -m 755 -t "$root/usr/bin" "$(command -v qemu-system-x86_64)"
	install -D -m 644 -t "$root$modules" "$modules"/accel-tcg-x86_64.so
	install -D -m 644 -t "$root/usr/share/seabios" /usr/share/seabios/bios-256k.bin
	for name in kvmvapic.bin linuxboot_dma.bin; do
		install -D -m 644 -t "$root/usr/share/qemu" "/usr/share/qemu/$name"
	done
}

host_cpio() { # KERNEL_DIR RELEASE
	local root

	root=$(mktemp -d "$lab/root.XXXXXX")
	modules_into "$root" "$1" "$2" vhost_vsock
	host_qemu "$root"
	install -D -m 755 -t "$root/bin" "$build/lockstep" "$build/kexec"
	install -D -m 755 -t "$root/lab/build" "$build/harness"
	# Nothing is to be built there, but the harness asks.
	install -D -m 755 /bin/true "$root/lab/tests/lab/build-guest.sh"
	with_libraries "$root" "$root"/usr/bin/qemu-system-x86_64 "$root"/usr/lib/*/qemu/*.so \
		"$root/bin/lockstep" "$root/lab/build/harness" "$root/lab/tests/lab/build-guest.sh"
	install -D -m 644 -t "$root/lab/build/lab" "$lab/vmlinuz" "$lab/initrd.lockstep"
	pack "$root" "$lab/host.cpio"
	rm -rf "$root"
}

host_initrd() { # KERNEL_DIR RELEASE
	local key

	[ "$sub" != /ppc64el ] || die "the guest that is a host is this machine's own kind, not $kind"
	[ -x "$agent" ] || die "$agent has not been built"
	key=$2-$(sum "$here/build-host.sh" "$here/functions" "$here/modules" "$build/lockstep" "$build/kexec" \
		"$build/harness" "$(command -v qemu-system-x86_64)" "$lab/vmlinuz" "$lab/initrd.lockstep")
	if ! fresh "$lab/host.key" "$key"; then
		host_cpio "$1" "$2"
		echo "$key" >"$lab/host.key"
	fi
	joined host "$lab/initrd.lockstep" "$lab/host.cpio"
}
