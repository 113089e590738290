/* syscalls.c: the same for a program that does not call libc, as Go's do not.
 *
 * With DISK_SYSCALLS in its environment, the program starts with a filter of seccomp before it: the
 * kernel asks a second process about each fsync and fdatasync of the first, and that one lets them
 * go on, or has them fail with EIO while the order stands. Full disks are not its business: it
 * would have to be asked about each write to a socket too. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "orders.h"

static void fail(const char *what)
{
	perror(what);
	_exit(1);
}

/* Makes the kernel ask about what syncs. The result is where it asks. */
static int filter_syncs(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_fsync, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_fdatasync, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof code / sizeof *code, code };
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		fail("no_new_privs");
	int asks = (int)syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
		SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	if (asks < 0)
		fail("seccomp");
	return asks;
}

/* Until the program ends, which ends this process too. */
static void answer(int asks)
{
	for (;;) {
		struct seccomp_notif asked = { 0 };
		struct seccomp_notif_resp said = { 0 };
		if (ioctl(asks, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) {
			if (errno == EINTR || errno == ENOENT)
				continue; /* who asked is gone */
			fail("seccomp's questions");
		}
		said.id = asked.id;
		if (is_ordered("fsync", (int)asked.pid, (int)asked.data.args[0]))
			said.error = -EIO;
		else
			said.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		ioctl(asks, SECCOMP_IOCTL_NOTIF_SEND, &said);
	}
}

__attribute__((constructor)) static void start(void)
{
	if (!getenv("DISK_SYSCALLS"))
		return;
	pid_t program = getpid();
	int asks = filter_syncs();
	pid_t child = fork();
	if (child < 0)
		fail("fork");
	if (child > 0) {
		close(asks);
		return;
	}
	signal(SIGTERM, SIG_IGN); /* the program may still sync then */
	signal(SIGINT, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == program)
		answer(asks);
	_exit(0);
}
