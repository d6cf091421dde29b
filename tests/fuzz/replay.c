/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The main of a fuzz target when libFuzzer is not there: replays the corpus (files, or folders of files) under the sanitizers, and each
 * input in a fixed number of variants (cut, a byte changed, doubled) that are the same in every run. CTest calls it; `make fuzz` links libFuzzer instead.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define N_VARIANTS 32
#define INPUT_SIZE_MAX (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* An exact allocation, so that ASan sees a read of one byte too many. */
static int run_copy(const uint8_t *data, size_t size, size_t flip, uint8_t with)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, size);
	if (flip < size)
		copy[flip] ^= with;
	(void)LLVMFuzzerTestOneInput(copy, size); /* its value says only whether libFuzzer shall keep the input */
	free(copy);
	return 0;
}

static int run_variants(const uint8_t *data, size_t size)
{
	uint32_t state = (uint32_t)size;
	int r = run_copy(data, size, SIZE_MAX, 0);

	for (int i = 0; i < N_VARIANTS && !r && size; i++) {
		size_t at = next_random(&state) % size;

		if (i % 2)
			r = run_copy(data, at, SIZE_MAX, 0);
		else
			r = run_copy(data, size, at, (uint8_t)(1u << (next_random(&state) % 8)));
	}
	return r;
}

static int run_file(const char *path)
{
	FILE *f = fopen(path, "rbe");
	uint8_t *buf = f ? malloc(INPUT_SIZE_MAX) : NULL;
	size_t size;
	int r = 0;

	if (!buf) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		if (f)
			(void)fclose(f); /* only read */
		return -EIO;
	}
	size = fread(buf, 1, INPUT_SIZE_MAX, f);
	if (ferror(f))
		r = -EIO;
	(void)fclose(f); /* only read */
	/* Named before it runs, so that a crash tells its input. */
	fprintf(stderr, "%s: %zu bytes\n", path, size);
	if (!r)
		r = run_variants(buf, size);
	free(buf);
	return r;
}

/* Counts files run, or -errno. */
static int run_path(const char *path)
{
	struct dirent **list = NULL;
	struct stat st;
	int n_run = 0;
	int n, r = 0;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode)) {
		r = run_file(path);
		return r < 0 ? r : 1;
	}
	n = scandir(path, &list, NULL, alphasort);
	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		char file[4096];

		if (list[i]->d_name[0] != '.' && r >= 0) {
			(void)snprintf(file, sizeof(file), "%s/%s", path, list[i]->d_name);
			r = run_path(file);
			n_run += r > 0 ? r : 0;
		}
		free(list[i]);
	}
	free(list);
	return r < 0 ? r : n_run;
}

int main(int argc, char **argv)
{
	int n_run = 0;

	for (int i = 1; i < argc; i++) {
		int r = run_path(argv[i]);

		if (r < 0) {
			fprintf(stderr, "%s: %s\n", argv[i], strerror(-r));
			return 1;
		}
		n_run += r;
	}
	if (!n_run) {
		fprintf(stderr, "usage: %s CORPUS...: no input found\n", argv[0]);
		return 1;
	}
	printf("replayed %d inputs, each in up to %d variants\n", n_run, N_VARIANTS + 1);
	return 0;
}
