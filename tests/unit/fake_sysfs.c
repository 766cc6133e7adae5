/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest kernel in memory.
 */
#include "fake_sysfs.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lockstep/cleanup.h>
#include <lockstep/err.h>
#include <lockstep/log.h>

#include "../../guest-agent/model.h"

#define CPU_PATH   "devices/system/cpu/"
#define BLOCK_PATH "devices/system/memory/"
#define TREE_PATH  "firmware/devicetree/base/cpus"

/* LOCKSTEP_TEST_LOG=1 shows what the agent says. */
void log_sink(int priority, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (getenv("LOCKSTEP_TEST_LOG"))
		fprintf(stderr, "<%d> %s\n", priority, line);
}

/* ---- reading --------------------------------------------------------------- */

static int put(char *buf, size_t size, const char *text)
{
	size_t len;

	for (len = 0; len < size && text[len]; len++)
		buf[len] = text[len];
	return (int)len;
}

static int read_mask(const struct fake *f, bool online, char *buf, size_t size)
{
	char text[FAKE_CPUS * 4] = "";
	size_t len = 0;
	int i;

	for (i = 0; i < FAKE_CPUS; i++)
		if (f->cpu[i].present && (f->cpu[i].kernel || !online))
			len += (size_t)sprintf(text + len, "%s%d", len ? "," : "", i);
	strcat(text, "\n");
	return put(buf, size, text);
}

static bool has_folder(const struct fake *f, int cpu)
{
	return f->cpu[cpu].present || f->core_step;
}

static int read_cpu(const struct fake *f, int n, const char *file, char *buf, size_t size)
{
	char text[64];

	if (n < 0 || n >= FAKE_CPUS || !has_folder(f, n))
		return -ENOENT;
	if (!strcmp(file, "physical_id") && f->core_step) {
		snprintf(text, sizeof(text), "%d\n", f->cpu[n].thread);
		return put(buf, size, text);
	}
	if (!strcmp(file, "online") && !f->cpu[n].fixed)
		return put(buf, size, f->cpu[n].device ? "1\n" : "0\n");
	if (!strcmp(file, "hotplug/state") && !f->cpu[n].late)
		return put(buf, size, f->cpu[n].kernel ? "236\n" : "0\n");
	if (strcmp(file, "firmware_node/path") || f->cpu[n].nameless || f->core_step)
		return -ENOENT;
	snprintf(text, sizeof(text), "\\_SB_.CPUS.C%03X\n", n);
	return put(buf, size, text);
}

static int read_block(const struct fake *f, int n, const char *file, char *buf, size_t size)
{
	if (n < 0 || n >= FAKE_BLOCKS || !f->block[n].present || strcmp(file, "state"))
		return -ENOENT;
	return put(buf, size, f->block[n].state);
}

static struct fake_file *find_file(struct fake *f, const char *path)
{
	int i;

	for (i = 0; i < FAKE_FILES; i++)
		if (!strcmp(f->file[i].path, path))
			return &f->file[i];
	return NULL;
}

static int read_file(struct fake *f, const char *path, char *buf, size_t size)
{
	const struct fake_file *other;
	char file[64];
	int n;

	if (!strcmp(path, f->blind))
		return f->blind_how;
	other = find_file(f, path);
	if (other)
		return put(buf, size, other->text);
	if (!strcmp(path, CPU_PATH "online"))
		return read_mask(f, true, buf, size);
	if (!strcmp(path, CPU_PATH "present"))
		return read_mask(f, false, buf, size);
	if (!strcmp(path, BLOCK_PATH "block_size_bytes"))
		return put(buf, size, "8000000\n");
	if (sscanf(path, CPU_PATH "cpu%d/%63s", &n, file) == 2)
		return read_cpu(f, n, file, buf, size);
	if (sscanf(path, BLOCK_PATH "memory%d/%63s", &n, file) == 2)
		return read_block(f, n, file, buf, size);
	return -ENOENT;
}

/* One node for each core, though one of its threads would do. */
static void list_cores(const struct fake *f, void (*fn)(void *arg, const char *name), void *arg)
{
	char name[32];
	int i;

	fn(arg, "ibm,drc-names");
	fn(arg, "l2-cache@1");
	for (i = 0; i < FAKE_CPUS; i++) {
		if (!f->cpu[i].present)
			continue;
		snprintf(name, sizeof(name), "PowerPC,POWER9@%x",
			 f->cpu[i].thread / f->core_step * f->core_step);
		fn(arg, name);
	}
}

static int fake_list(void *ctx, const char *dir, void (*fn)(void *arg, const char *name), void *arg)
{
	struct fake *f = ctx;
	char name[32];
	int i;

	if (!strcmp(dir, f->blind))
		return f->blind_how;
	fn(arg, ".");
	fn(arg, "cpufreq"); /* not a CPU, though it begins like one */
	for (i = 0; !strcmp(dir, "devices/system/cpu") && i < FAKE_CPUS; i++) {
		snprintf(name, sizeof(name), "cpu%d", i);
		if (has_folder(f, i))
			fn(arg, name);
	}
	if (!strcmp(dir, TREE_PATH)) {
		if (!f->core_step)
			return -ENOENT;
		list_cores(f, fn, arg);
	}
	for (i = 0; !strcmp(dir, "devices/system/memory") && i < FAKE_BLOCKS; i++) {
		snprintf(name, sizeof(name), "memory%d", i);
		if (f->block[i].present)
			fn(arg, name);
	}
	return 0;
}

/* ---- writing --------------------------------------------------------------- */

static int set_kernel(struct fake *f, struct fake_cpu *cpu, bool online)
{
	int i, running = 0;

	for (i = 0; i < FAKE_CPUS; i++)
		running += f->cpu[i].present && f->cpu[i].kernel;
	if (!online && running == 1)
		return -EBUSY;
	cpu->kernel = online;
	return 0;
}

static int write_cpu(struct fake *f, int n, const char *file, const char *value)
{
	struct fake_cpu *cpu = n >= 0 && n < FAKE_CPUS ? &f->cpu[n] : NULL;
	bool online = !strcmp(value, "1");
	int r;

	if (!cpu || !cpu->present)
		return -ENOENT;
	if (!strcmp(file, "hotplug/target") && !cpu->late)
		return set_kernel(f, cpu, strcmp(value, "0") != 0);
	if (strcmp(file, "online") || cpu->fixed)
		return -ENOENT;
	if (f->bypass)
		return set_kernel(f, cpu, online);
	if (cpu->device == online)
		return 0;
	r = set_kernel(f, cpu, online);
	if (r == 0)
		cpu->device = online;
	return r;
}

static int write_block(struct fake *f, int n, const char *file, const char *value)
{
	const char *state = strcmp(value, "offline") ? "online\n" : "offline\n";

	if (n < 0 || n >= FAKE_BLOCKS || !f->block[n].present || strcmp(file, "state"))
		return -ENOENT;
	if (!strcmp(f->block[n].state, state))
		return -EINVAL;
	f->block[n].state = state;
	return 0;
}

static int act(struct fake *f, const char *path, const char *value)
{
	struct fake_file *other = find_file(f, path);
	char file[64];
	int n;

	if (other) {
		snprintf(other->text, sizeof(other->text), "%s\n", value);
		return 0;
	}
	if (sscanf(path, CPU_PATH "cpu%d/%63s", &n, file) == 2)
		return write_cpu(f, n, file, value);
	if (sscanf(path, BLOCK_PATH "memory%d/%63s", &n, file) == 2)
		return write_block(f, n, file, value);
	return -ENOENT;
}

static bool must_fail(struct fake *f, const char *path)
{
	int seen;

	if (f->fail_on[0] && strcmp(f->fail_on, path))
		return false;
	seen = f->seen++;
	return seen >= f->fail_at && seen < f->fail_at + f->fail_times;
}

/* As a write that the kernel does not return from; a signal ends it unless it is deaf. */
static int hang(struct fake *f)
{
	char c;

	while (read(f->pipe[0], &c, 1) < 0)
		if (errno != EINTR || !f->hang_deaf)
			return -errno;
	return 0;
}

static int fake_write(void *ctx, const char *path, const char *value)
{
	struct fake *f = ctx;
	struct fake_write *w;
	bool hangs;
	int r;

	pthread_mutex_lock(&f->lock);
	hangs = !strcmp(f->hang, path);
	f->hanging |= hangs;
	if (hangs)
		pthread_cond_broadcast(&f->came);
	pthread_mutex_unlock(&f->lock);
	r = hangs ? hang(f) : 0;
	ls_guard(&f->lock);
	if (r == 0 && must_fail(f, path))
		r = f->fail_how;
	else if (r == 0 && strcmp(f->ignore, path))
		r = act(f, path, value);
	w = &f->write[f->n_writes % FAKE_WRITES];
	f->n_writes++;
	snprintf(w->path, sizeof(w->path), "%s", path);
	snprintf(w->value, sizeof(w->value), "%s", value);
	w->result = r;
	return r;
}

static int fake_read(void *ctx, const char *path, char *buf, size_t size)
{
	struct fake *f = ctx;
	int r;

	ls_guard(&f->lock);
	r = read_file(f, path, buf, size);
	if (!strcmp(path, f->after_read)) {
		f->after_read[0] = '\0';
		act(f, path, f->after_value);
	}
	return r;
}

const struct sysfs_ops fake_ops = { fake_read, fake_write, fake_list, NULL };

/* ---- for tests --------------------------------------------------------------- */

void fake_init(struct fake *f, int cpus, int online, int blocks)
{
	int i;

	memset(f, 0, sizeof(*f));
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->came, NULL);
	if (pipe2(f->pipe, O_CLOEXEC) < 0)
		abort();
	for (i = 0; i < cpus; i++)
		f->cpu[i] = (struct fake_cpu){
			.present = true, .fixed = i == 0, .device = i < online, .kernel = i < online
		};
	for (i = 0; i < blocks; i++)
		f->block[i] = (struct fake_block){ true, "offline\n" };
}

void fake_done(struct fake *f)
{
	close(f->pipe[0]);
	close(f->pipe[1]);
	pthread_mutex_destroy(&f->lock);
}

void fake_fail(struct fake *f, const char *path, int nth, int times, int how)
{
	ls_guard(&f->lock);
	snprintf(f->fail_on, sizeof(f->fail_on), "%s", path);
	f->seen = 0;
	f->fail_at = nth;
	f->fail_times = times;
	f->fail_how = how;
}

void fake_put(struct fake *f, const char *path, const char *text)
{
	struct fake_file *file;

	ls_guard(&f->lock);
	file = find_file(f, path);
	if (!file)
		file = find_file(f, "");
	assert(file);
	*file = (struct fake_file){ 0 };
	if (!text)
		return;
	snprintf(file->path, sizeof(file->path), "%s", path);
	snprintf(file->text, sizeof(file->text), "%s", text);
}

bool fake_has(struct fake *f, const char *path, const char *text)
{
	const struct fake_file *file;

	ls_guard(&f->lock);
	file = find_file(f, path);
	return file && !strcmp(file->text, text);
}

void fake_blind(struct fake *f, const char *path, int how)
{
	ls_guard(&f->lock);
	snprintf(f->blind, sizeof(f->blind), "%s", path);
	f->blind_how = how;
}

int fake_user(struct fake *f, const char *path, const char *value)
{
	ls_guard(&f->lock);
	return act(f, path, value);
}

void fake_user_next(struct fake *f, const char *path, const char *value)
{
	ls_guard(&f->lock);
	snprintf(f->after_read, sizeof(f->after_read), "%s", path);
	f->after_value = value;
}

void fake_await_hang(struct fake *f)
{
	ls_guard(&f->lock);
	while (!f->hanging)
		pthread_cond_wait(&f->came, &f->lock);
}

void fake_release(struct fake *f)
{
	pthread_mutex_lock(&f->lock);
	f->hang[0] = '\0';
	f->hanging = false;
	pthread_mutex_unlock(&f->lock);
	if (write(f->pipe[1], "", 1) != 1)
		abort();
}

int fake_writes(struct fake *f, const char *path, const char *value)
{
	int i, n = 0;

	ls_guard(&f->lock);
	for (i = 0; i < f->n_writes && i < FAKE_WRITES; i++)
		n += (!path || !strcmp(f->write[i].path, path)) &&
		     (!value || !strcmp(f->write[i].value, value));
	return n;
}

bool fake_agrees(struct fake *f, int cpu, bool online)
{
	ls_guard(&f->lock);
	return f->cpu[cpu].device == online && f->cpu[cpu].kernel == online;
}

static int64_t fake_now_ns(int cpu)
{
	return worker_real_ops.now_ns(cpu);
}

/* CPUs that this machine does not have: every worker is where it should be. */
static int fake_pin(pthread_t thread, int cpu)
{
	(void)thread;
	(void)cpu;
	return 0;
}

static int fake_here(int cpu)
{
	return cpu;
}

const struct worker_ops fake_machine = { fake_pin, fake_here, fake_now_ns };

static void note_change(void *arg, const struct change *change)
{
	struct guest *g = arg;

	if (g->n_told == (int)(sizeof(g->told) / sizeof(g->told[0])))
		return;
	g->told[g->n_told] = *change;
	__atomic_add_fetch(&g->n_told, 1, __ATOMIC_SEQ_CST); /* a test may look meanwhile */
}

void guest_init(struct guest *g, int cpus, int online, int blocks)
{
	memset(g, 0, sizeof(*g));
	fake_init(&g->kernel, cpus, online, blocks);
	g->sysfs = sysfs_new_ops(&fake_ops, &g->kernel);
	lock_init(&g->lock, 0);
	persist_init(&g->persist, NULL, NULL);
	model_init(&g->model, g->sysfs, &g->lock);
	g->model.workers.ops = &fake_machine;
	g->model.pause_ms = 0;
	g->model.tell = note_change;
	g->model.tell_arg = g;
	window_init(&g->window, &g->model, &g->lock, &g->persist);
	guest_scan(g);
}

void guest_done(struct guest *g)
{
	window_done(&g->window);
	model_done(&g->model);
	lock_done(&g->lock);
	sysfs_free(g->sysfs);
	fake_done(&g->kernel);
}

void guest_lock(struct guest *g, const char *txn)
{
	if (lock_take(&g->lock, txn, 1, 1000, 0, NULL) < 0 || lock_pin(&g->lock, txn, NULL) < 0)
		abort();
}

void guest_unlock(struct guest *g, const char *txn)
{
	lock_unpin(&g->lock);
	if (lock_release(&g->lock, txn, NULL) < 0)
		abort();
}

void guest_scan(struct guest *g)
{
	if (model_scan(&g->model, NULL) < 0)
		abort();
}

struct device *guest_cpu(struct guest *g, int cpu)
{
	return model_find(&g->model, DEVICE_CPU, cpu);
}

struct device *guest_block(struct guest *g, int block)
{
	return model_find(&g->model, DEVICE_MEMORY, block);
}

bool dies_by_assert(void (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		signal(SIGABRT, SIG_DFL);
		fn(arg);
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGABRT;
}
