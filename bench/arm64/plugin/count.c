/*
 * A plugin for QEMU's user-mode emulation that counts the instructions which the first thread
 * of a guest executes and prints the number when it ends. With the argument blocks=FILE it also
 * writes a line for each block of code: how often it was executed, and its instructions as
 * hexadecimal words. The declarations are those of QEMU's plugin interface, version 1
 * (docs/devel/tcg-plugins.rst), for which distributions ship no header.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*cb)(qemu_plugin_id_t, struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, void (*cb)(unsigned int, void *), int flags, void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*cb)(qemu_plugin_id_t, void *), void *data);
void qemu_plugin_outs(const char *s);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

struct block {
	uint64_t count;
	size_t length;
	struct block *next;
	uint32_t words[];
};

static struct block *blocks;
static const char *path;

static void ran(unsigned int cpu, void *data)
{
	if (cpu == 0)
		((struct block *)data)->count++;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);
	struct block *b = calloc(1, sizeof *b + n * sizeof b->words[0]);
	(void)id;
	if (!b)
		abort();
	b->length = n;
	b->next = blocks;
	blocks = b;
	for (size_t i = 0; i < n; i++)
		memcpy(&b->words[i], qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i)), sizeof b->words[0]);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, ran, 0, b);
}

static void ended(qemu_plugin_id_t id, void *data)
{
	char line[64];
	uint64_t executed = 0;
	FILE *f = path ? fopen(path, "w") : NULL;
	(void)id;
	(void)data;
	if (path && !f)
		abort();
	for (struct block *b = blocks; b; b = b->next) {
		executed += b->count * b->length;
		if (!f || !b->count)
			continue;
		fprintf(f, "%" PRIu64, b->count);
		for (size_t i = 0; i < b->length; i++)
			fprintf(f, " %08" PRIx32, b->words[i]);
		fputc('\n', f);
	}
	if (f && fclose(f))
		abort();
	snprintf(line, sizeof line, "executed %" PRIu64 "\n", executed);
	qemu_plugin_outs(line);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++)
		if (!strncmp(argv[i], "blocks=", 7))
			path = strdup(argv[i] + 7);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, ended, NULL);
	return 0;
}
