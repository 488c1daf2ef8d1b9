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

uint64_t link_inflight_bytes(const struct vhost_user_inflight *wire)
{
	return region_bytes(wire->queue_size) * wire->num_queues;
}

int link_inflight_make(struct vhost_user_inflight *wire)
{
	const uint64_t bytes = link_inflight_bytes(wire);
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

int link_inflight_map(struct link_inflight *inflight, const struct vhost_user_inflight *wire, int fd,
		      int socket_fd)
{
	struct link_inflight fresh = { .num_queues = wire->num_queues, .queue_size = wire->queue_size };
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
	link_inflight_unmap(inflight);
	*inflight = fresh;
	return 0;
}

void link_inflight_unmap(struct link_inflight *inflight)
{
	link_mapping_drop(&inflight->map);
	*inflight = (struct link_inflight){ .num_queues = 0 };
}

void link_inflight_forget(struct link_inflight *inflight, uint16_t queue)
{
	struct vhost_user_inflight_split *region;

	if (queue >= inflight->num_queues)
		return;
	/* Both formats have it in the same place. */
	region = (void *)(inflight->regions + queue * inflight->region_bytes);
	link_ledger_store16(&region->version, 0);
}

static int by_counter(const void *a, const void *b)
{
	const struct link_ledger_found *x = a, *y = b;

	return x->counter < y->counter ? -1 : x->counter > y->counter;
}

void link_ledger_order(struct link_ledger *ledger, struct link_ledger_found *found, uint16_t count)
{
	uint16_t i;

	qsort(found, count, sizeof(*found), by_counter);
	for (i = 0; i < count; i++)
		ledger->again[i] = found[i].at;
	ledger->log.again = count;
	ledger->again_next = 0;
	ledger->counter = count ? found[count - 1].counter + 1 : 1;
}

bool link_ledger_untaken_again(struct link_ledger *ledger, uint16_t name, uint16_t at)
{
	if (!ledger->is_again[name])
		return false;
	ledger->is_again[name] = 0;
	ledger->again[--ledger->again_next] = at;
	ledger->log.again++;
	return true;
}

int link_ledger_mistake(struct link_ledger *ledger, const char *what)
{
	ledger->mistake = what;
	return -VIO_EPROTO;
}

void link_ledger_given(struct vio_devq_log *log, uint16_t name)
{
	struct link_ledger *ledger = link_ledger_of(log);

	/* A driver that doesn't wait for its answers may have one given twice before they are shown. */
	if (!ledger->is_given[name])
		ledger->given[ledger->given_count++] = name;
	ledger->is_given[name] = 1;
	link_stop_point(LINK_STOP_GIVEN);
}

void link_ledger_settled(struct link_ledger *ledger)
{
	uint16_t i;

	for (i = 0; i < ledger->given_count; i++)
		ledger->is_given[ledger->given[i]] = 0;
	ledger->given_count = 0;
	link_stop_point(LINK_STOP_SETTLED);
}

/* In this order: descriptors, then what is of two bytes, then what is of one. */
static bool allocate(struct link_ledger *ledger, uint16_t size, uint16_t entries)
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

int link_ledger_open(struct link_ledger *ledger, const struct link_inflight *inflight,
		     struct link_ledger_queue *queue)
{
	uint8_t *region = inflight->regions + queue->index * inflight->region_bytes;
	const struct vhost_user_inflight_split *either = (void *)region;
	int error;

	*ledger = (struct link_ledger){ .mistake = NULL };
	if (queue->size > inflight->queue_size)
		return -VIO_ERANGE;
	if (!allocate(ledger, queue->size, inflight->queue_size))
		return -VIO_ENOMEM;
	queue->goes_on = link_ledger_load16(&either->version) != 0;
	if (queue->ring) {
		ledger->packed = (void *)region;
		error = link_ledger_recover_packed(ledger, inflight->queue_size, queue);
	} else {
		ledger->split = (void *)region;
		error = link_ledger_recover_split(ledger, inflight->queue_size, queue);
	}
	if (error)
		link_ledger_close(ledger);
	else
		link_stop_point(LINK_STOP_RECOVERED);
	return error;
}

void link_ledger_close(struct link_ledger *ledger)
{
	const char *mistake = ledger->mistake;

	free(ledger->descriptors);
	*ledger = (struct link_ledger){ .mistake = mistake };
}
