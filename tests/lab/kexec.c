/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * In the lab guest: another kernel without a reset.
 *
 *	kexec KERNEL INITRD COMMAND_LINE
 *
 * What kexec-tools do with `kexec -s -l` and `kexec -e`: the kernel loads the files; when
 * standard input ends, it goes. No process is told and no device is reset by QEMU.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

static int file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

int main(int argc, char **argv)
{
	char byte;

	if (argc != 4)
		errx(2, "usage: kexec KERNEL INITRD COMMAND_LINE");
	if (syscall(SYS_kexec_file_load, file(argv[1]), file(argv[2]), strlen(argv[3]) + 1, argv[3],
		    0ul))
		err(1, "kexec_file_load");
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	reboot(LINUX_REBOOT_CMD_KEXEC);
	err(1, "reboot");
}
