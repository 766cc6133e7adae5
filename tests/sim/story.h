/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A life in two columns: what the coordinator did | what happened around it. Its hash is
 * the proof that two runs of a seed were the same run.
 */
#ifndef SIM_STORY_H
#define SIM_STORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct story - What has happened
 * @hash: of all of it
 * @show: print it as it happens
 * @kept: the last transaction, for a broken rule
 */
struct story {
	uint64_t hash;
	bool show;
	size_t len;
	char kept[65536];
};

void story_begin(struct story *s, bool show);

/* A headline; what is kept begins here. */
void story_chapter(struct story *s, const char *text);
void story_said(struct story *s, uint64_t now_ms, bool coordinator, const char *text);

#endif
