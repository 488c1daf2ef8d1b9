/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/atomic.h"
#include "link/ledger.h"

/* So that the regions of two queues share no cache line. */
#define REGION_ALIGN 64u

/* Enough for either format, as the file is asked for before the ring's format is known to all front ends. */
static uint64_t region_bytes(uint32_t queue_size)
{
	const uint64_t bytes = sizeof(struct vhost_user_inflight_packed) +
			       queue_size * sizeof(struct vhost_user_inflight_desc_packed);

	return (bytes + REGION_ALIGN - 1) / REGION_ALIGN * REGION_ALIGN;
}

uint64_t vu_inflight_bytes(const struct vhost_user_inflight *wire)
{
	return region_bytes(wire->queue_size) * wire->num_queues;
}

int vu_inflight_make(struct vhost_user_inflight *wire)
{
	const uint64_t bytes = vu_inflight_bytes(wire);
	int fd = memfd_create("vireo-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -VIO_ESYS;
	if (ftruncate(fd, (off_t)bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		close(fd);
		return -VIO_ESYS;
	}
	wire->mmap_size = bytes;
	wire->mmap_offset = 0;
	return fd;
}

int vu_inflight_map(struct vu_inflight *inflight, const struct vhost_user_inflight *wire, int fd,
		    int socket_fd)
{
	struct vu_inflight fresh = { .num_queues = wire->num_queues, .queue_size = wire->queue_size };
	int error;

	if (!wire->num_queues || !wire->queue_size || wire->queue_size > VIRTQ_SIZE_MAX ||
	    wire->mmap_offset % _Alignof(struct vhost_user_inflight_packed))
		return -VIO_ERANGE;
	fresh.region_bytes = region_bytes(wire->queue_size);
	if (wire->mmap_size < fresh.region_bytes * wire->num_queues)
		return -VIO_ERANGE;
	error = link_mapping_make(&fresh.map, fd, wire->mmap_offset, fresh.region_bytes * wire->num_queues,
				  PROT_READ | PROT_WRITE, socket_fd, &fresh.regions);
	if (error)
		return error;
	vu_inflight_unmap(inflight);
	*inflight = fresh;
	return 0;
}

void vu_inflight_unmap(struct vu_inflight *inflight)
{
	link_mapping_drop(&inflight->map);
	*inflight = (struct vu_inflight){ .num_queues = 0 };
}

void vu_inflight_forget(struct vu_inflight *inflight, uint16_t queue)
{
	struct vhost_user_inflight_split *region;

	if (queue >= inflight->num_queues)
		return;
	/* Both formats have it in the same place. */
	region = (void *)(inflight->regions + queue * inflight->region_bytes);
	vu_ledger_store16(&region->version, 0);
}

static int by_counter(const void *a, const void *b)
{
	const struct vu_ledger_found *x = a, *y = b;

	return x->counter < y->counter ? -1 : x->counter > y->counter;
}

void vu_ledger_order(struct vu_ledger *ledger, struct vu_ledger_found *found, uint16_t count)
{
	uint16_t i;

	qsort(found, count, sizeof(*found), by_counter);
	for (i = 0; i < count; i++)
		ledger->again[i] = found[i].at;
	ledger->log.again = count;
	ledger->again_next = 0;
	ledger->counter = count ? found[count - 1].counter + 1 : 1;
}

bool vu_ledger_untaken_again(struct vu_ledger *ledger, uint16_t name, uint16_t at)
{
	if (!ledger->is_again[name])
		return false;
	ledger->is_again[name] = 0;
	ledger->again[--ledger->again_next] = at;
	ledger->log.again++;
	return true;
}

int vu_ledger_mistake(struct vu_ledger *ledger, const char *what)
{
	ledger->mistake = what;
	return -VIO_EPROTO;
}

void vu_ledger_given(struct vio_devq_log *log, uint16_t name)
{
	struct vu_ledger *ledger = vu_ledger_of(log);

	/* A driver that doesn't wait for its answers may have one given twice before they are shown. */
	if (!ledger->is_given[name])
		ledger->given[ledger->given_count++] = name;
	ledger->is_given[name] = 1;
	vu_stop_point(VU_STOP_GIVEN);
}

void vu_ledger_settled(struct vu_ledger *ledger)
{
	uint16_t i;

	for (i = 0; i < ledger->given_count; i++)
		ledger->is_given[ledger->given[i]] = 0;
	ledger->given_count = 0;
	vu_stop_point(VU_STOP_SETTLED);
}

/* In this order: descriptors, then what is of two bytes, then what is of one. */
static bool allocate(struct vu_ledger *ledger, uint16_t size, uint16_t entries)
{
	const size_t bytes = sizeof(*ledger->descriptors) * size + 3 * sizeof(uint16_t) * size +
			     2 * sizeof(uint16_t) * entries + 2u * size;
	uint8_t *at = calloc(1, bytes);

	if (!at)
		return false;
	ledger->size = size;
	ledger->descriptors = (void *)at;
	ledger->given = (void *)(ledger->descriptors + size);
	ledger->again = ledger->given + size;
	ledger->entry = ledger->again + size;
	ledger->next = ledger->entry + size;
	ledger->last = ledger->next + entries;
	ledger->is_given = (uint8_t *)(ledger->last + entries);
	ledger->is_again = ledger->is_given + size;
	return true;
}

int vu_ledger_open(struct vu_ledger *ledger, const struct vu_inflight *inflight,
		   struct vu_ledger_queue *queue)
{
	uint8_t *region = inflight->regions + queue->index * inflight->region_bytes;
	const struct vhost_user_inflight_split *either = (void *)region;
	int error;

	*ledger = (struct vu_ledger){ .mistake = NULL };
	if (queue->size > inflight->queue_size)
		return -VIO_ERANGE;
	if (!allocate(ledger, queue->size, inflight->queue_size))
		return -VIO_ENOMEM;
	queue->goes_on = vu_ledger_load16(&either->version) != 0;
	if (queue->ring) {
		ledger->packed = (void *)region;
		error = vu_ledger_recover_packed(ledger, inflight->queue_size, queue);
	} else {
		ledger->split = (void *)region;
		error = vu_ledger_recover_split(ledger, inflight->queue_size, queue);
	}
	if (error)
		vu_ledger_close(ledger);
	else
		vu_stop_point(VU_STOP_RECOVERED);
	return error;
}

void vu_ledger_close(struct vu_ledger *ledger)
{
	const char *mistake = ledger->mistake;

	free(ledger->descriptors);
	*ledger = (struct vu_ledger){ .mistake = mistake };
}
