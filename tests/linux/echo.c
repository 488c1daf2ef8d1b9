/* SPDX-License-Identifier: BSD-3-Clause */
#include "linux/echo.h"

#include <string.h>

static void echo_kick(struct vio_device *dev, struct vio_devq *q)
{
	struct vio_buf buf;
	uint8_t bytes[64];

	while (q->index == 0 && vio_devq_pop(q, &buf)) {
		size_t length, written = 0;

		while ((length = vio_read(&buf, bytes, sizeof(bytes))) > 0)
			written += vio_write(&buf, bytes, length);
		vio_devq_push(q, &buf, (uint32_t)written);
	}
	vio_devq_notify(q);
}

static void echo_get_features(struct vio_device *dev, struct vio_features *offer)
{
	vio_features_set(offer, ECHO_F_TABLED);
	vio_features_set(offer, ECHO_F_OTHER);
}

static void echo_get_config(struct vio_device *dev, void *config)
{
	memcpy(config, vio_device_state(dev), sizeof(struct echo_config));
}

static void echo_set_config(struct vio_device *dev, const void *config, uint32_t offset, uint32_t length)
{
	memcpy(vio_device_state(dev), config, sizeof(struct echo_config));
}

const struct vio_device_class echo_class = {
	.name = "echo",
	.summary = "answers with what it is asked",
	.id = ECHO_ID,
	.queue_count = 2,
	.queue_size = ECHO_SIZE,
	.state_bytes = sizeof(struct echo_config),
	.config_bytes = sizeof(struct echo_config),
	.get_features = echo_get_features,
	.get_config = echo_get_config,
	.set_config = echo_set_config,
	.kick = echo_kick,
};

const struct rig_options echo_options = { .class = &echo_class };

struct echo_driver echo;

static void used(struct virtqueue *vq)
{
	assert_ptr_equal(vq->vdev, echo.vdev);
	assert_ptr_equal(vq, echo.vqs[0]);
	echo.callbacks++;
}

int echo_find(struct virtio_device *vdev)
{
	vq_callback_t *callbacks[] = { used, NULL };
	const char *const names[] = { "echo", "idle" };

	return virtio_find_vqs(vdev, 2, echo.vqs, callbacks, names, NULL);
}

static int validate(struct virtio_device *vdev)
{
	assert_true(virtio_has_feature(vdev, ECHO_F_TABLED));
	assert_false(virtio_has_feature(vdev, 9));
	echo.validated++;
	if (echo.clear_tabled)
		__virtio_clear_bit(vdev, ECHO_F_TABLED);
	return echo.validate_error;
}

static int probe(struct virtio_device *vdev)
{
	int error;

	echo.probed++;
	echo.vdev = vdev;
	vdev->priv = &echo;
	if (echo.probe_error && !echo.fail_late)
		return echo.probe_error;
	error = echo_find(vdev);
	if (error)
		return error;
	assert_int_equal(echo.vqs[0]->index, 0);
	assert_int_equal(echo.vqs[1]->index, 1);
	return echo.probe_error;
}

static void scan(struct virtio_device *vdev)
{
	echo.scanned++;
}

static void remove_device(struct virtio_device *vdev)
{
	unsigned i;

	echo.removed++;
	if (echo.lazy)
		return;
	virtio_reset_device(vdev);
	for (i = 0; i < 2; i++)
		while (virtqueue_detach_unused_buf(echo.vqs[i]))
			echo.detached++;
	vdev->config->del_vqs(vdev);
}

static void config_changed(struct virtio_device *vdev)
{
	assert_ptr_equal(vdev->priv, &echo);
	echo.changed++;
}

static const struct virtio_device_id ids[] = {
	{ ECHO_ID, VIRTIO_DEV_ANY_ID },
	{ 0 },
};

/* The second isn't offered, the third is more than is seen. */
static const unsigned int features[] = { ECHO_F_TABLED, 9, 77 };

void echo_init(void)
{
	memset(&echo, 0, sizeof(echo));
	echo.driver = (struct virtio_driver){
		.driver.name = "echo",
		.driver.owner = THIS_MODULE,
		.id_table = ids,
		.feature_table = features,
		.feature_table_size = ARRAY_SIZE(features),
		.validate = validate,
		.probe = probe,
		.scan = scan,
		.remove = remove_device,
		.config_changed = config_changed,
	};
	assert_int_equal(vio_linux_driver_init(&echo.made, &echo.driver, 2), 0);
}

int echo_bind(struct rig *rig)
{
	return rig_bind(rig, &echo.made.driver);
}

int echo_add(struct virtqueue *vq, void *from, void *to, unsigned length)
{
	struct scatterlist out, in, *lists[] = { &out, &in };

	sg_init_one(&out, from, length);
	sg_init_one(&in, to, length);
	return virtqueue_add_sgs(vq, lists, 1, 1, from, GFP_ATOMIC);
}
