/* The contract of `bench` in C, without any library: find values in the job (JSON), read arrays
   (.npy, and .npz, a zip file without compression), write weights and predictions. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct {
    unsigned char *data;
    long shape[4];
    int dims;
    long count;
} Array;
static char *job; /* the job's text */

static void leave(int code, const char *word, const char *what) {
    fprintf(stderr, "%s: %s\n", word, what);
    exit(code); /* 69: this engine cannot run the workload (refused before a run) */
}
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}
static char *slurp(const char *path, long *size) {
    FILE *file = fopen(path, "rb");
    if (!file) leave(1, "cannot read", path);
    fseek(file, 0, SEEK_END);
    *size = ftell(file);
    rewind(file);
    char *text = malloc(*size + 1);
    if (fread(text, 1, *size, file) != (size_t)*size) leave(1, "cannot read", path);
    text[*size] = 0;
    fclose(file);
    return text;
}
/* The value behind "key", looked for after "section"; enough JSON for a job, whose keys are known. */
static char *value(const char *section, const char *key) {
    char quoted[64], *at = job;
    snprintf(quoted, sizeof quoted, "\"%s\":", section);
    if (*section && !(at = strstr(job, quoted))) leave(2, "job has no", section);
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    if (!(at = strstr(at, quoted))) leave(2, "job has no", key);
    return at + strlen(quoted) + strspn(at + strlen(quoted), " \n\t[");
}
static char *text(const char *section, const char *key) { /* null gives NULL */
    char *at = value(section, key);
    return *at == '"' ? strndup(at + 1, strcspn(at + 1, "\"")) : NULL;
}
static double number(const char *section, const char *key) { return atof(value(section, key)); }

/* Parse an array in .npy form; the type is checked, the values stay where they are. */
static Array npy(char *at, const char *type, const char *name) {
    Array a = {.count = 1};
    unsigned char *u = (unsigned char *)at;
    if (memcmp(at, "\x93NUMPY\x01", 7) || !strstr(at + 10, type))
        leave(1, "not the array expected", name);
    a.data = u + 10 + u[8] + 256 * u[9];
    char *s = strchr(strstr(at + 10, "'shape':"), '(') + 1;
    for (; *s && *s != ')' && a.dims < 4; s += strspn(s, ", "))
        a.count *= a.shape[a.dims++] = strtol(s, &s, 10);
    return a;
}
static Array array(const char *path, const char *type) {
    long n;
    return npy(slurp(path, &n), type, path);
}
/* One array of an .npz: its local header holds the name, 30 bytes plus name and extra field. */
static float *member(char *zip, long size, const char *name, long count) {
    char *at = memmem(zip, size, name, strlen(name));
    if (!at || at - zip < 30) leave(1, "no such weights", name);
    unsigned char *head = (unsigned char *)at - 30;
    Array a =
        npy((char *)head + 30 + head[26] + 256 * head[27] + head[28] + 256 * head[29], "<f4", name);
    if (a.count != count) leave(1, "weights of another model", name);
    return memcpy(malloc(4 * count), a.data, 4 * count);
}
static void put(FILE *f, unsigned long v, int bytes) {
    while (bytes--) fputc(v & 255, f), v >>= 8;
}
static long npy_header(char *out, const char *type, const char *shape) { /* padded to 64 bytes */
    int n =
        sprintf(out + 10, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", type, shape);
    int all = (10 + n + 1 + 63) / 64 * 64;
    memset(out + 10 + n, ' ', all - 10 - n);
    out[all - 1] = '\n';
    memcpy(out, "\x93NUMPY\x01\0", 8);
    out[8] = (all - 10) & 255, out[9] = (all - 10) >> 8;
    return all;
}
static uint32_t crc32(const unsigned char *p, long n) {
    uint32_t c = ~0u;
    while (n--) {
        c ^= *p++;
        for (int k = 0; k < 8; k++) c = c >> 1 ^ (0xEDB88320u & -(c & 1));
    }
    return ~c;
}
static void write_npz(const char *path, const char **names, char shapes[][64], float **values,
                      long *counts) {
    FILE *f = fopen(path, "wb");
    if (!f) leave(1, "cannot write", path);
    uint32_t crc[4], size[4], start[4];
    for (int pass = 0; pass < 2; pass++) { /* the members, then the directory that lists them */
        long directory = ftell(f);
        for (int i = 0; i < 4; i++) {
            if (!pass) {
                unsigned char *all = malloc(256 + 4 * counts[i]);
                long head = npy_header((char *)all, "<f4", shapes[i]);
                memcpy(all + head, values[i], 4 * counts[i]);
                size[i] = head + 4 * counts[i], crc[i] = crc32(all, size[i]), start[i] = ftell(f);
                put(f, 0x04034b50, 4);
                put(f, 20, 2);
                put(f, 0, 8);
                put(f, crc[i], 4);
                put(f, size[i], 4);
                put(f, size[i], 4);
                put(f, strlen(names[i]), 2);
                put(f, 0, 2);
                fputs(names[i], f);
                fwrite(all, 1, size[i], f);
                free(all);
            } else {
                put(f, 0x02014b50, 4);
                put(f, 20, 2);
                put(f, 20, 2);
                put(f, 0, 8);
                put(f, crc[i], 4);
                put(f, size[i], 4);
                put(f, size[i], 4);
                put(f, strlen(names[i]), 2);
                put(f, 0, 8);
                put(f, 0, 4);
                put(f, start[i], 4);
                fputs(names[i], f);
            }
        }
        if (pass) {
            long end = ftell(f);
            put(f, 0x06054b50, 4);
            put(f, 0, 4);
            put(f, 4, 2);
            put(f, 4, 2);
            put(f, end - directory, 4);
            put(f, directory, 4);
            put(f, 0, 2);
        }
    }
    fclose(f);
}
