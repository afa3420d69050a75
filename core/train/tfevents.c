#include "tfevents.h"

#include "fs.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct gt_tfevents {
    FILE *f;
    char *path; /* owned */
};

/* CRC-32C, a byte at a time: a record is about 60 bytes */

static uint32_t crc_table[256];

static void make_crc_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? 0x82f63b78u ^ (c >> 1) : c >> 1;
        crc_table[i] = c;
    }
}

uint32_t gt_crc32c(const void *data, size_t size)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_crc_table);
    const uint8_t *p = data;
    uint32_t c = ~0u;
    while (size--) c = crc_table[(c ^ *p++) & 0xff] ^ (c >> 8);
    return ~c;
}

static uint32_t mask(uint32_t c)
{
    return ((c >> 15) | (c << 17)) + 0xa282ead8u;
}

/* Protobuf: field = key varint (number << 3 | wire type), then varint, 8 or 4 bytes, or length and bytes. */

enum { EVENT_BYTES = 512, TAG_BYTES = 200 };

typedef struct {
    uint8_t byte[EVENT_BYTES];
    size_t size;
} message;

static void put_byte(message *m, uint8_t b)
{
    if (m->size < EVENT_BYTES) m->byte[m->size++] = b;
}
static void put_varint(message *m, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) put_byte(m, (uint8_t)(v | 0x80));
    put_byte(m, (uint8_t)v);
}
static void put_raw(message *m, const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        put_byte(m, ((const uint8_t *)data)[i]); /* little-endian hosts only, as all formats here */
}
static void put_int(message *m, int field, uint64_t v)
{
    put_varint(m, (uint64_t)field << 3);
    put_varint(m, v);
}
static void put_double(message *m, int field, double v)
{
    put_varint(m, (uint64_t)field << 3 | 1);
    put_raw(m, &v, 8);
}
static void put_float(message *m, int field, float v)
{
    put_varint(m, (uint64_t)field << 3 | 5);
    put_raw(m, &v, 4);
}
static void put_bytes(message *m, int field, const void *data, size_t size)
{
    put_varint(m, (uint64_t)field << 3 | 2);
    put_varint(m, size);
    put_raw(m, data, size);
}

static double wall_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t); /* shown to people; nothing is decided by it */
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static gt_status write_record(gt_tfevents *t, const message *m)
{
    uint8_t head[12], tail[4];
    uint64_t length = m->size;
    memcpy(head, &length, 8);
    uint32_t crc = mask(gt_crc32c(head, 8));
    memcpy(head + 8, &crc, 4);
    crc = mask(gt_crc32c(m->byte, m->size));
    memcpy(tail, &crc, 4);
    if (fwrite(head, 12, 1, t->f) != 1 || fwrite(m->byte, m->size, 1, t->f) != 1 || fwrite(tail, 4, 1, t->f) != 1)
        return GT_FAIL(GT_ERR_IO, "%s: %s", t->path, strerror(errno));
    return GT_OK;
}

/* The first event says what the file is; the second voids what earlier files hold from first_step on. */
static gt_status write_start(gt_tfevents *t, int64_t first_step)
{
    static const char version[] = "brain.Event:2";
    message m = {.size = 0}, session = {.size = 0};
    put_double(&m, 1, wall_time());
    put_bytes(&m, 3, version, sizeof version - 1);
    GT_TRY(write_record(t, &m));
    m.size = 0;
    put_int(&session, 1, 1); /* SessionLog.status = START */
    put_double(&m, 1, wall_time());
    put_int(&m, 2, (uint64_t)first_step);
    put_bytes(&m, 7, session.byte, session.size);
    return write_record(t, &m);
}

static void free_events(gt_tfevents *t)
{
    if (t->f) fclose(t->f);
    free(t->path);
    free(t);
}

gt_status gt_tfevents_open(gt_tfevents **out, const char *folder, int64_t first_step)
{
    char host[65] = "", name[160];
    gethostname(host, sizeof host - 1);
    snprintf(name, sizeof name, "events.out.tfevents.%.6f.%s.%ld.0", wall_time(), host, (long)getpid());
    GT_TRY(gt_fs_make_dirs(folder));
    gt_tfevents *t = calloc(1, sizeof *t);
    if (!t || !(t->path = gt_fs_join(folder, name))) {
        free(t);
        return GT_FAIL(GT_ERR_NOMEM, "%s: no memory for an event file", folder);
    }
    gt_status st = GT_OK;
    if (!(t->f = fopen(t->path, "wbxe"))) st = GT_FAIL(GT_ERR_IO, "%s: %s", t->path, strerror(errno));
    if (st == GT_OK) st = write_start(t, first_step);
    if (st == GT_OK) st = gt_tfevents_flush(t);
    if (st != GT_OK) {
        free_events(t);
        return st;
    }
    *out = t;
    return GT_OK;
}

gt_status gt_tfevents_scalar(gt_tfevents *t, const char *tag, int64_t step, double value)
{
    if (strlen(tag) > TAG_BYTES) return GT_FAIL(GT_ERR_ARG, "tag '%.40s...' is longer than %d bytes", tag, TAG_BYTES);
    message m = {.size = 0}, summary = {.size = 0}, one = {.size = 0};
    put_bytes(&one, 1, tag, strlen(tag));
    put_float(&one, 2, (float)value);
    put_bytes(&summary, 1, one.byte, one.size);
    put_double(&m, 1, wall_time());
    put_int(&m, 2, (uint64_t)step);
    put_bytes(&m, 5, summary.byte, summary.size);
    return write_record(t, &m);
}

gt_status gt_tfevents_flush(gt_tfevents *t)
{
    if (fflush(t->f) != 0) return GT_FAIL(GT_ERR_IO, "%s: %s", t->path, strerror(errno));
    return GT_OK;
}

void gt_tfevents_close(gt_tfevents *t)
{
    if (t) free_events(t);
}
