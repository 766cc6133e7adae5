/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every bound on something that comes from outside and that more than one part
 * of lockstep must agree on. A bound that one file alone needs stands in that
 * file, beside its parser.
 */
#ifndef LOCKSTEP_LIMITS_H
#define LOCKSTEP_LIMITS_H

#define LS_CPUS_MAX	   1024	 /* guest CPU numbers and host CPU slots: 0 .. 1023 */
#define LS_MEM_DEVICES_MAX 256	 /* DIMMs and virtio-mem devices (QEMU: slots <= 256) */
#define LS_BLOCKS_MAX	   65536 /* memory blocks named in one request or reply */
#define LS_NAME_BYTES	   64	 /* QEMU ids, guest names, with the final NUL */
#define LS_TXN_BYTES	   40	 /* a transaction's id, with the final NUL */
#define LS_WORDS_BYTES	   128	 /* of what the guest's kernel printed, with the final NUL */
#define LS_PATH_BYTES	   108	 /* a unix socket's path, with the final NUL: sun_path */

/*
 * Window and lock leases. The first one is short: an open that was delivered
 * to a guest which stopped right after must heal by itself. A holder renews at
 * least four times per lease.
 */
#define LS_LEASE_FIRST_MAX_MS 5000
#define LS_LEASE_MIN_MS	      100
#define LS_LEASE_MAX_MS	      600000

#endif
