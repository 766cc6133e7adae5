#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# How a QEMU must be started for lockstep to drive it: room to grow, a monitor of its own,
# and the agent's channel. The destination of a migration is started by the same command
# with other paths and "-incoming defer -S" behind it.
#
#	examples/qemu-guest.sh vm1 disk.qcow2 [MORE OPTIONS]
set -eu
name=$1 disk=$2
shift 2
run=/run/$name
mkdir -p "$run"

# -smp:  2 vCPUs now, 8 slots; each is plugged by itself (sockets=8)
# -m:    512 MiB now, up to 8 GiB, 4 slots for DIMMs
# vmem:  a device that grows and shrinks by 2 MiB without a slot; migrates with its size
# qmp:   one client at a time: the first monitor is lockstep's, the second is for everybody else
# agent: the guest runs lockstep-agent on the port of that name
exec qemu-system-x86_64 -name "$name" -machine q35,accel=kvm -cpu host \
	-smp 2,maxcpus=8,sockets=8,cores=1,threads=1 \
	-m 512M,slots=4,maxmem=8G \
	-object memory-backend-ram,id=vmem0-mem,size=4G \
	-device virtio-mem-pci,id=vmem0,memdev=vmem0-mem,requested-size=0 \
	-drive "file=$disk,if=virtio" \
	-qmp "unix:$run/lockstep.qmp,server=on,wait=off" \
	-qmp "unix:$run/other.qmp,server=on,wait=off" \
	-device virtio-serial-pci \
	-chardev "socket,id=lockstep,path=$run/lockstep.agent,server=on,wait=off" \
	-device virtserialport,chardev=lockstep,name=org.lockstep.agent.0 \
	-display none "$@"
