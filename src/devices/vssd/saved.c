/* SPDX-License-Identifier: BSD-3-Clause */
#include "devices/vssd/vssd.h"

/*
 * The map is where it always is, on stable storage; what is saved of it tells whether the one that is
 * found there is the same. What the driver knows and the map doesn't is the ticket.
 */

struct vssd_saved {
	uint64_t total, unit, sequence, provisioned, target;
	uint32_t ticket;
	uint8_t outcome;
	uint8_t map_failed;
};

void vio_vssd_save(struct vio_device *dev, struct vio_state_writer *writer)
{
	const struct vssd *vssd = vio_device_state(dev);

	vio_state_put_u64(writer, vssd->map.total);
	vio_state_put_u64(writer, vssd->unit);
	vio_state_put_u64(writer, vssd->map.sequence);
	vio_state_put_u64(writer, vssd->map.provisioned);
	vio_state_put_u64(writer, vssd->map.target);
	vio_state_put_u32(writer, vssd->ticket);
	vio_state_put_u8(writer, (uint8_t)vssd->outcome);
	vio_state_put_u8(writer, vssd->map_failed);
	vio_block_requests_save(dev, writer);
}

static int get_saved(struct vio_state_reader *reader, const struct vssd *vssd, struct vssd_saved *saved)
{
	saved->total = vio_state_get_u64(reader);
	saved->unit = vio_state_get_u64(reader);
	saved->sequence = vio_state_get_u64(reader);
	saved->provisioned = vio_state_get_u64(reader);
	saved->target = vio_state_get_u64(reader);
	saved->ticket = vio_state_get_u32(reader);
	saved->outcome = vio_state_get_u8(reader);
	saved->map_failed = vio_state_get_u8(reader);
	if (reader->failed)
		return -VIO_ESTATE;
	if (saved->total != vssd->map.total) /* hostile: G7 */
		return vio_state_refuse(reader, "blocks in total", saved->total);
	if (saved->unit != vssd->unit)
		return vio_state_refuse(reader, "bytes of a block", saved->unit);
	if (saved->outcome > VIO_VSSD_FAILED)
		return vio_state_refuse(reader, "outcome of the last resize", saved->outcome);
	if (saved->map_failed > 1)
		return vio_state_refuse(reader, "failure of the map", saved->map_failed);
	return 0;
}

/* Is the map the one that was saved? It may have been read before that was done with it. */
static int find_map(struct vio_state_reader *reader, struct vssd *vssd, const struct vssd_saved *saved)
{
	const struct vssd_map *map = &vssd->map;

	if (saved->map_failed || map->sequence != saved->sequence) {
		int error = vio_vssd_open_map(vssd);

		vssd->map_failed = error != 0;
		if (error) {
			vio_state_refuse(reader, "map, of number", saved->sequence);
			return error;
		}
	}
	if (saved->map_failed) /* whoever couldn't write it couldn't tell what is there now */
		return 0;
	if (map->sequence != saved->sequence)
		return vio_state_refuse(reader, "number of the map", saved->sequence);
	if (map->provisioned != saved->provisioned)
		return vio_state_refuse(reader, "provisioned blocks", saved->provisioned);
	return map->target == saved->target ? 0 : vio_state_refuse(reader, "target", saved->target);
}

int vio_vssd_load(struct vio_device *dev, struct vio_state_reader *reader, unsigned version)
{
	struct vssd *vssd = vio_device_state(dev);
	struct vssd_saved saved;
	int error = get_saved(reader, vssd, &saved);

	if (!error)
		error = find_map(reader, vssd, &saved);
	if (!error)
		error = vio_block_requests_load(dev, reader, version);
	if (error)
		return error;
	/* A resize that goes on keeps its ticket: a list that is on its way is still right. */
	if (!saved.map_failed)
		vssd->ticket = saved.ticket;
	vssd->outcome = (enum vio_vssd_outcome)saved.outcome;
	return 0;
}
