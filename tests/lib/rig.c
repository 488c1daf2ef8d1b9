/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_MAX 100000u

static bool run(void *context)
{
	struct rig *rig = context;

	return rig->transport->run(rig);
}

void rig_run(struct rig *rig)
{
	for (unsigned i = 0; i < ROUNDS_MAX; i++)
		if (!run(rig))
			return;
	fail_msg("device and driver never came to rest over %s", rig->transport->name);
}

static void *zeroed(size_t bytes)
{
	void *memory = calloc(1, bytes ? bytes : 1);

	assert_non_null(memory);
	return memory;
}

static void set_properties(struct vio_device *device, const char *const *properties)
{
	for (; properties && *properties; properties++) {
		const char *value = strchr(*properties, '=');

		assert_non_null(value);
		assert_int_equal(vio_device_set_property(device, *properties, (size_t)(value - *properties),
							 value + 1),
				 0);
	}
}

void rig_make(struct rig *rig, const struct rig_options *options, const struct rig_transport *transport)
{
	/* scripts/matrix reads it. */
	print_message("# %s over %s%s\n", options->class->name, transport->name,
		      options->withhold >> VIRTIO_F_RING_PACKED & 1 ? ", split rings" : "");
	memset(rig, 0, sizeof(*rig));
	rig->transport = transport;
	rig->options = options;
	test_platform_init(&rig->platform, transport->platform_flags);
	rig->platform.run = run;
	rig->platform.run_context = rig;
	rig->device_state = zeroed(options->class->state_bytes);
	vio_device_init(&rig->device, options->class, rig->device_state);
	set_properties(&rig->device, options->properties);
	if (options->furnish)
		options->furnish(&rig->device, options->context);
	assert_int_equal(vio_device_realize(&rig->device), 0);
	rig->device.features_offered.word[0] &= ~options->withhold;
	rig->device_storage = zeroed(vio_device_storage_bytes(&rig->device));
	vio_device_provide(&rig->device, rig->device_storage);
	rig->transport_state = zeroed(transport->state_bytes);
	transport->join(rig);
}

void rig_free(struct rig *rig)
{
	rig_unbind(rig);
	assert_int_equal(vio_dev_close(&rig->dev), 0);
	rig->transport->part(rig);
	vio_device_unrealize(&rig->device);
	test_platform_free(&rig->platform);
	free(rig->transport_state);
	free(rig->device_storage);
	free(rig->device_state);
}

int rig_bind(struct rig *rig, const struct vio_driver *driver)
{
	rig->driver_state = zeroed(driver->state_bytes);
	return vio_driver_bind(&rig->dev, driver, &rig->platform.platform, rig->driver_state);
}

void rig_unbind(struct rig *rig)
{
	assert_int_equal(vio_driver_unbind(&rig->dev), 0);
	free(rig->driver_state);
	rig->driver_state = NULL;
}

void rig_each(const struct rig_options *options, void (*body)(struct rig *rig))
{
	const struct rig_transport *const *transport;
	struct rig *rig = zeroed(sizeof(*rig));
	struct rig_options split = *options;
	bool packed;

	split.withhold |= UINT64_C(1) << VIRTIO_F_RING_PACKED;
	for (transport = rig_transports; *transport; transport++) {
		if ((*transport)->legacy && VIO_LE16_RAW(1) != 1)
			continue;
		if ((*transport)->remote && !options->remote)
			continue;
		rig_make(rig, options, *transport);
		packed = vio_features_has(&rig->device.features_offered, VIRTIO_F_RING_PACKED);
		body(rig);
		rig_free(rig);
		if (!packed || (*transport)->legacy)
			continue;
		rig_make(rig, &split, *transport);
		body(rig);
		rig_free(rig);
	}
	free(rig);
}
