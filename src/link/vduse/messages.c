/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "link/vduse/server.h"

/* What the kernel asks. Whoever caused it waits for the answer, and for half a minute at most. */

#define DRIVER_OK(dev) ((dev)->status & VIRTIO_CONFIG_S_DRIVER_OK)

static void pause_all(struct vio_vduse *vduse)
{
	uint16_t i;

	for (i = 0; i < vduse->dev->queue_count; i++)
		vds_queue_pause(&vduse->queues[i]);
}

/*
 * In this order: who comes after us when we die in between must not start a queue anew whose account is gone,
 * and which the kernel still has as it was.
 */
static void reset(struct vio_vduse *vduse)
{
	uint16_t i;

	vds_account_note(vduse, 0);
	pause_all(vduse);
	/* Said twice it forgets nothing more. */
	for (i = 0; i < vduse->dev->queue_count && vduse->dev->status; i++)
		vds_queue_end(&vduse->queues[i]);
	vio_device_reset(vduse->dev);
	for (i = 0; i < vduse->dev->queue_count; i++)
		vds_queue_reset(&vduse->queues[i]);
	vduse->owes_config = false;
	/* The driver gives its rings' memory back without a word. */
	vds_memory_drop(&vduse->memory, 0, UINT64_MAX);
	/* What broke when it was drained is over as well. */
	vds_account_note(vduse, 0);
}

/* spec: DEV-BASIC-005, refused is what the device doesn't show; hostile: F3 */
static bool set_status(struct vio_vduse *vduse, uint8_t status)
{
	struct vio_device *dev = vduse->dev;
	uint64_t features;

	if (!status) {
		reset(vduse);
		return true;
	}
	if (status & ~dev->status & VIRTIO_CONFIG_S_FEATURES_OK) {
		struct vio_features wide;

		if (vds_control(vduse, VDUSE_DEV_GET_FEATURES, &features) < 0)
			return false;
		wide = vio_features_low(features);
		vio_device_write_features(dev, &wide);
	}
	vio_device_write_status(dev, status);
	vds_account_note(vduse, dev->status);
	return !(status & ~dev->status);
}

/*
 * A queue that runs is stopped for it, and with it nothing is in flight that the answer would leave out. QEMU
 * 7.2 asks after a reset, of a guest that only stands still.
 */
static bool get_vq_state(struct vio_vduse *vduse, const struct vduse_vq_state *asked,
			 struct vduse_vq_state *answer)
{
	struct vio_devq_position at;

	answer->index = asked->index;
	if (asked->index >= vduse->dev->queue_count) /* hostile: F5 */
		return false;
	vds_queue_pause(&vduse->queues[asked->index]);
	if (!vds_queue_position(&vduse->queues[asked->index], &at))
		return false;
	if (!vio_device_has_feature(vduse->dev, VIRTIO_F_RING_PACKED)) {
		answer->split.avail_index = at.avail;
		return true;
	}
	answer->packed.last_avail_counter = !!(at.avail & PVIRTQ_WRAP);
	answer->packed.last_avail_idx = at.avail & (uint16_t)~PVIRTQ_WRAP;
	answer->packed.last_used_counter = !!(at.used & PVIRTQ_WRAP);
	answer->packed.last_used_idx = at.used & (uint16_t)~PVIRTQ_WRAP;
	return true;
}

static bool update_iotlb(struct vio_vduse *vduse, const struct vduse_iova_range *range)
{
	if (range->start > range->last)
		return false;
	if (vds_memory_covers(&vduse->memory, range->start, range->last)) {
		pause_all(vduse);
		vds_memory_drop(&vduse->memory, range->start, range->last);
	}
	return true;
}

static bool obey(struct vio_vduse *vduse, const struct vduse_dev_request *request,
		 struct vduse_dev_response *response)
{
	uint16_t i;

	/* What held a queue back may be gone with it. */
	for (i = 0; i < vduse->dev->queue_count; i++)
		vduse->queues[i].refused = false;
	switch (request->type) {
	case VDUSE_GET_VQ_STATE:
		return get_vq_state(vduse, &request->vq_state, &response->vq_state);
	case VDUSE_SET_STATUS:
		return set_status(vduse, request->s.status);
	case VDUSE_UPDATE_IOTLB:
		return update_iotlb(vduse, &request->iova);
	default: /* hostile: F1 */
		vds_log(vduse, "the kernel asks for %u, which isn't known", request->type);
		return false;
	}
}

/* Nothing to read: because it was read, or because nothing will ever be. hostile: F9 */
static int judge_silence(const struct vio_vduse *vduse)
{
	struct pollfd device = { .fd = vduse->device.fd, .events = POLLIN };

	if (poll(&device, 1, 0) > 0 && device.revents & (POLLERR | POLLHUP | POLLNVAL))
		return -VIO_EHANGUP;
	return 0;
}

static int reply(struct vio_vduse *vduse, const struct vduse_dev_response *response)
{
	const struct vds_system *system = vduse->system;
	ssize_t sent = system->tell(system->context, vduse->device.fd, response, sizeof(*response));

	if (sent == (ssize_t)sizeof(*response))
		return 1;
	/* hostile: F2, who asked doesn't wait for it any more. */
	if (sent < 0 && errno == ENOENT) {
		vds_log(vduse, "nobody waits for the answer to request %u", response->request_id);
		return 1;
	}
	vds_log(vduse, "can't answer the kernel: %s", sent < 0 ? strerror(errno) : "it took a part");
	return -VIO_EPROTO;
}

int vds_message(struct vio_vduse *vduse)
{
	struct vduse_dev_request request;
	struct vduse_dev_response response = { .request_id = 0 };
	ssize_t got;
	int result;

	do
		got = read(vduse->device.fd, &request, sizeof(request));
	while (got < 0 && errno == EINTR);
	if (got < 0 && errno == EAGAIN)
		return judge_silence(vduse);
	if (got <= 0)
		return -VIO_EHANGUP;
	if (got != (ssize_t)sizeof(request)) {
		vds_log(vduse, "a request of %zd bytes, not %zu", got, sizeof(request));
		return -VIO_EPROTO;
	}
	response.request_id = request.request_id;
	response.result = obey(vduse, &request, &response) ? VDUSE_REQ_RESULT_OK : VDUSE_REQ_RESULT_FAILED;
	vds_config_send(vduse);
	vds_account_check(vduse);
	if (vduse->failed)
		return vduse->failed;
	result = reply(vduse, &response);
	/* The kernel has to have heard of DRIVER_OK before it takes an interrupt. */
	if (result > 0 && DRIVER_OK(vduse->dev))
		vds_serve(vduse);
	return vduse->failed ? vduse->failed : result;
}
