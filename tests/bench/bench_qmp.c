/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What libqmp costs: one blocking round trip of query-status to a real QEMU, against
 * the least that C can do, a write() and read()s up to the newline.
 *
 * Both sides talk to two monitors of one QEMU and take turns, A B C A B C, so that
 * whatever else the machine does hits all alike. Client and QEMU are pinned. The
 * target is for B, which sends the same bytes; C, which does without an id, shows
 * what the id costs in QEMU.
 */
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <json-c/json.h>

#include <qmp.h>

#include "../unit/qmp_qemu.h"

#define PAIRS	    12000 /* calls of each side */
#define BLOCK	    400	  /* pairs that give one ratio: how much it moves shows the noise */
#define WARM_PAIRS  1000
#define DEADLINE_MS 10000
#define TARGET	    1.10
/* The request that libqmp sends, and the shortest there is. */
#define SAME_LINE  "{\"execute\":\"query-status\",\"id\":1}\n"
#define SHORT_LINE "{\"execute\":\"query-status\"}\n"

#define die(...)                                                                                   \
	do {                                                                                       \
		fprintf(stderr, "bench_qmp: " __VA_ARGS__);                                        \
		fputc('\n', stderr);                                                               \
		exit(1);                                                                           \
	} while (0)

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* ---- A: libqmp -------------------------------------------------------- */

static void call_libqmp(struct qmp *q)
{
	struct json_object *value;
	struct ls_err err;

	if (qmp_command(q, "query-status", NULL, qmp_now_ms() + DEADLINE_MS, &err, &value) < 0)
		die("%s", err.text);
	if (!qmp_get_str(value, "status", NULL))
		die("no status in the reply");
	json_object_put(value);
}

/* ---- B: the minimal loop ----------------------------------------------- */

static void read_line(int fd, char *buf, size_t size)
{
	size_t have = 0;
	ssize_t n;

	do {
		n = read(fd, buf + have, size - 1 - have);
		if (n <= 0)
			die("the monitor has closed");
		have += n;
	} while (buf[have - 1] != '\n');
	buf[have] = '\0';
}

static void call_minimal(int fd, const char *line)
{
	ssize_t len = strlen(line);
	char buf[4096];

	if (write(fd, line, len) != len)
		die("write: %s", strerror(errno));
	read_line(fd, buf, sizeof(buf));
	if (!strstr(buf, "\"status\""))
		die("no status in: %s", buf);
}

static int open_minimal(const char *path)
{
	static const char hello[] = "{\"execute\": \"qmp_capabilities\"}\n";
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char buf[4096];

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		die("%s: %s", path, strerror(errno));
	read_line(fd, buf, sizeof(buf));
	if (write(fd, hello, sizeof(hello) - 1) != sizeof(hello) - 1)
		die("write: %s", strerror(errno));
	read_line(fd, buf, sizeof(buf));
	return fd;
}

/* ---- measuring -------------------------------------------------------- */

static void pin(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(pid, sizeof(set), &set) < 0)
		die("cannot pin to CPU %d: %s", cpu, strerror(errno));
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double at(const double *sorted, int n, double part)
{
	return sorted[(int)(part * (n - 1) + 0.5)];
}

static void print_row(const char *what, double *us, int n)
{
	qsort(us, n, sizeof(*us), compare);
	printf("  %-22s %8.2f us   (p5 %.2f, p95 %.2f, %d calls)\n", what, at(us, n, 0.5),
	       at(us, n, 0.05), at(us, n, 0.95), n);
}

static double time_libqmp(struct qmp *q)
{
	uint64_t start = now_ns();

	call_libqmp(q);
	return (now_ns() - start) / 1000.0;
}

static double time_minimal(int fd, const char *line)
{
	uint64_t start = now_ns();

	call_minimal(fd, line);
	return (now_ns() - start) / 1000.0;
}

/* Ratio of the medians of one block of pairs. */
static double block_ratio(const double *a, const double *b)
{
	double x[BLOCK], y[BLOCK];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	qsort(x, BLOCK, sizeof(*x), compare);
	qsort(y, BLOCK, sizeof(*y), compare);
	return at(x, BLOCK, 0.5) / at(y, BLOCK, 0.5);
}

static void measure(struct qmp *q, int fd)
{
	static double a[PAIRS], b[PAIRS], c[PAIRS], blocks[PAIRS / BLOCK];
	const int n = PAIRS / BLOCK;
	double ratio;

	for (int i = -WARM_PAIRS; i < PAIRS; i++) {
		a[i < 0 ? 0 : i] = time_libqmp(q);
		b[i < 0 ? 0 : i] = time_minimal(fd, SAME_LINE);
		c[i < 0 ? 0 : i] = time_minimal(fd, SHORT_LINE);
	}
	for (int i = 0; i < n; i++)
		blocks[i] = block_ratio(a + i * BLOCK, b + i * BLOCK);
	print_row("A libqmp", a, PAIRS);
	print_row("B write/read loop", b, PAIRS);
	print_row("C the same without id", c, PAIRS);
	ratio = at(a, PAIRS, 0.5) / at(b, PAIRS, 0.5);
	qsort(blocks, n, sizeof(*blocks), compare);
	printf("  A/B of the medians     %8.3f      (blocks: p5 %.3f, p95 %.3f; target %.2f: %s)\n",
	       ratio, at(blocks, n, 0.05), at(blocks, n, 0.95), TARGET,
	       ratio <= TARGET ? "met" : "missed");
	printf("  A/C of the medians     %8.3f      (QEMU reads its monitor byte by byte: an id "
	       "costs)\n",
	       at(a, PAIRS, 0.5) / at(c, PAIRS, 0.5));
}

/* The last two CPUs that we may use: one for us, one for QEMU. */
static void choose_cpus(int *ret_client, int *ret_qemu)
{
	cpu_set_t set;

	*ret_client = *ret_qemu = -1;
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		die("sched_getaffinity: %s", strerror(errno));
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set)) {
			*ret_qemu = *ret_client < 0 ? cpu : *ret_client;
			*ret_client = cpu;
		}
}

int main(void)
{
	char second[sizeof(((struct qemu *)0)->path) + 2], option[128];
	const char *const args[] = { "-machine", "none", "-qmp", option, NULL };
	int client, qemu, fd;
	struct qemu v = { 0 };
	struct ls_err err;
	struct qmp *q;

	if (!qemu_is_installed()) {
		printf("bench_qmp: skipped: no " QEMU " in PATH\n");
		return 0;
	}
	choose_cpus(&client, &qemu);
	snprintf(second, sizeof(second), "/tmp/bench-qmp-%d", (int)getpid());
	snprintf(option, sizeof(option), "unix:%s,server=on,wait=off", second);
	if (qemu_start(&v, args) < 0)
		die("cannot start " QEMU);
	pin(0, client);
	pin(v.pid, qemu);
	if (qmp_open(v.path, NULL, qmp_now_ms() + DEADLINE_MS, &err, &q) < 0)
		die("%s", err.text);
	fd = open_minimal(second); /* it is there: QEMU makes all monitors before it greets */
	printf("query-status round trip, client on CPU %d, QEMU on CPU %d\n", client, qemu);
	measure(q, fd);
	qmp_close(q);
	close(fd);
	qemu_stop(&v);
	unlink(second);
	return 0; /* a row informs: a missed target fails nothing */
}
