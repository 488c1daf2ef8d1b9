/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_LINUX_H
#define VIREO_LINUX_H

#include <vireo/driver.h>
#include <vireo/linux_base.h>

/*
 * The driver's half as the Linux kernel spells it, so that one source file is a kernel module and a
 * driver of a program over Vireo:
 *
 *	#include <linux/virtio.h>	with include/vireo/linux-compat on the include path
 *	...
 *	module_virtio_driver(my_driver);
 *
 * and in the program:
 *
 *	VIO_LINUX_DRIVER(my_driver);
 *	struct vio_linux_driver driver;
 *
 *	vio_linux_driver_init(&driver, my_driver_entry, 0);
 *	vio_driver_bind(&dev, &driver.driver, &platform, state);  driver.driver.state_bytes of state
 *	... vio_dev_interrupt(&dev) calls the driver's callbacks ...
 *	vio_driver_unbind(&dev);
 *
 * What differs from the kernel: errors show where the kernel would stop (a NULL token is -EINVAL), a
 * buffer that the device may still write to is never detached (a reset that doesn't end: nothing comes,
 * and its memory stays shared), one thread at a time as everywhere in Vireo, and features above 63
 * aren't seen. What fails to be read from the configuration reads as all ones.
 */

struct virtio_device;
struct virtqueue;
struct irq_affinity;

typedef void vq_callback_t(struct virtqueue *vq);

struct virtio_device_id {
	u32 device; /* 0 ends a table */
	u32 vendor;
};

#define VIRTIO_DEV_ANY_ID UINT32_MAX /* of a vendor; a device is always named */

struct virtio_config_ops {
	void (*get)(struct virtio_device *vdev, unsigned int offset, void *to, unsigned int length);
	void (*set)(struct virtio_device *vdev, unsigned int offset, const void *from, unsigned int length);
	u32 (*generation)(struct virtio_device *vdev);
	u8 (*get_status)(struct virtio_device *vdev);
	void (*reset)(struct virtio_device *vdev);
	/*
	 * Adds the queues that have a name, numbered in their order; the others become NULL. After reset and
	 * del_vqs it begins a new life with features chosen anew. `ctx` and `affinity` are ignored.
	 */
	int (*find_vqs)(struct virtio_device *vdev, unsigned int count, struct virtqueue *vqs[],
			vq_callback_t *callbacks[], const char *const names[], const bool *ctx,
			struct irq_affinity *affinity);
	/* Resets the device if that wasn't done. */
	void (*del_vqs)(struct virtio_device *vdev);
	u64 (*get_features)(struct virtio_device *vdev);
	const char *(*bus_name)(struct virtio_device *vdev);
};

struct virtio_device {
	int index;
	struct device dev;
	struct virtio_device_id id;
	const struct virtio_config_ops *config;
	u64 features; /* accepted; in validate() what would be, and bits may be cleared */
	void *priv;

	/* Vireo's. */
	struct vio_dev *vio;
	u16 queue_max;
	struct vio_dev_queue *queues; /* queue_max each, behind this structure */
	struct virtqueue **vqs;
	bool removed; /* a driver's remove is called once, whether the device lets go or not */
};

struct vio_linux_buffer;
struct vio_linux_piece;

struct virtqueue {
	vq_callback_t *callback;
	const char *name;
	struct virtio_device *vdev;
	unsigned int index;
	unsigned int num_free;
	void *priv;

	/* Vireo's. */
	struct vio_drvq *q;
	struct vio_shared memory; /* of this structure and what follows */
	size_t memory_bytes;
	struct vio_sg *sg;                     /* scratch, as many as entries */
	struct vio_linux_buffer *free_buffers; /* a list */
	struct vio_linux_piece *free_pieces;
};

struct device_driver {
	const char *name;
	struct module *owner;
};

struct virtio_driver {
	struct device_driver driver;
	const struct virtio_device_id *id_table;
	const unsigned int *feature_table; /* bit numbers */
	unsigned int feature_table_size;
	const unsigned int *feature_table_legacy; /* NULL: the same */
	unsigned int feature_table_size_legacy;
	int (*validate)(struct virtio_device *vdev);
	int (*probe)(struct virtio_device *vdev);
	void (*scan)(struct virtio_device *vdev);
	void (*remove)(struct virtio_device *vdev);
	void (*config_changed)(struct virtio_device *vdev);
	/* Ahead of sleep, where reset and del_vqs belong, and after it, where find_vqs does. */
	int (*freeze)(struct virtio_device *vdev);
	int (*restore)(struct virtio_device *vdev);
};

#define VIO_LINUX_IDS_MAX        15u
#define VIO_LINUX_QUEUES_DEFAULT 16u
#define VIO_LINUX_INDIRECT_MAX   8u /* elements of a buffer in one descriptor; more are chained */

/* A Linux driver as one of Vireo's. */
struct vio_linux_driver {
	struct vio_driver driver;
	struct virtio_driver *linux_driver;
	u16 queue_max;
	u32 ids[VIO_LINUX_IDS_MAX + 1];
};

/*
 * Fills in *driver, which lives as long as a device is bound. `queue_max`: queues that it finds at most, 0:
 * VIO_LINUX_QUEUES_DEFAULT. -VIO_EINVAL for a driver without name, probe, remove or a device id, or one that
 * would take any device; -VIO_ERANGE for more than VIO_LINUX_IDS_MAX devices.
 */
VIO_API int vio_linux_driver_init(struct vio_linux_driver *driver, struct virtio_driver *linux_driver,
				  u16 queue_max);

/* Makes the driver known to the program under the name NAME_entry. */
#define module_virtio_driver(name) \
	VIO_LINUX_DRIVER(name);    \
	struct virtio_driver *const name##_entry = &(name)
/* Declares it for the program. */
#define VIO_LINUX_DRIVER(name) extern struct virtio_driver *const name##_entry

/*
 * A module that registers by itself: module_init(my_init) makes the function known to the program, which
 * declares it by VIO_LINUX_INIT(my_init) and calls my_init_entry(). What registering means is the program's:
 * it defines these two, with vio_linux_driver_init() in the first. 0 or a kernel's number.
 */
int vio_linux_register(struct virtio_driver *driver);
void vio_linux_unregister(struct virtio_driver *driver);

static inline int register_virtio_driver(struct virtio_driver *driver)
{
	return vio_linux_register(driver);
}

static inline void unregister_virtio_driver(struct virtio_driver *driver)
{
	vio_linux_unregister(driver);
}

#define module_init(function)     \
	VIO_LINUX_INIT(function); \
	int (*const function##_entry)(void) = (function)
#define module_exit(function)     \
	VIO_LINUX_EXIT(function); \
	void (*const function##_entry)(void) = (function)
#define VIO_LINUX_INIT(function) extern int (*const function##_entry)(void)
#define VIO_LINUX_EXIT(function) extern void (*const function##_entry)(void)

/* The device. */

/*
 * For whoever puts the machine to sleep: the driver's freeze, then the device is reset, without queues; the
 * driver's restore, then the device is ready. -EINVAL for a driver that has no such callback, a device that
 * isn't bound to it, or out of phase; else what the driver says.
 */
VIO_API int vio_linux_freeze(struct virtio_device *vdev);
VIO_API int vio_linux_restore(struct virtio_device *vdev);

/* -EINVAL out of phase, else what vio_dev_ready() says as the kernel's number; the kernel has no result. */
VIO_API int vio_linux_ready(struct virtio_device *vdev);

static inline void virtio_device_ready(struct virtio_device *vdev)
{
	(void)vio_linux_ready(vdev);
}

static inline void virtio_reset_device(struct virtio_device *vdev)
{
	vdev->config->reset(vdev);
}

static inline bool virtio_has_feature(const struct virtio_device *vdev, unsigned int bit)
{
	return bit < 64 && (vdev->features >> bit & 1);
}

/* Only in validate(). */
static inline void __virtio_clear_bit(struct virtio_device *vdev, unsigned int bit)
{
	if (bit < 64)
		vdev->features &= ~(1ull << bit);
}

static inline int virtio_find_vqs(struct virtio_device *vdev, unsigned int count, struct virtqueue *vqs[],
				  vq_callback_t *callbacks[], const char *const names[],
				  struct irq_affinity *affinity)
{
	return vdev->config->find_vqs(vdev, count, vqs, callbacks, names, NULL, affinity);
}

/* The queue or an error pointer. */
static inline struct virtqueue *virtio_find_single_vq(struct virtio_device *vdev, vq_callback_t *callback,
						      const char *name)
{
	struct virtqueue *vq = NULL;
	int error = virtio_find_vqs(vdev, 1, &vq, &callback, &name, NULL);

	return error ? (struct virtqueue *)ERR_PTR(error) : vq;
}

/* Queues. */

/* All of the add functions: lists out[0..], then in[..]; at most `most` pieces of each list. */
VIO_API int vio_linux_add(struct virtqueue *vq, struct scatterlist *const lists[], unsigned int out,
			  unsigned int in, unsigned int most, void *data, void *context);
/* Both ways a buffer comes back. `length` and `context` may be NULL. */
VIO_API void *vio_linux_get(struct virtqueue *vq, unsigned int *length, void **context);
/* NULL, too, while the device wasn't reset. */
VIO_API void *vio_linux_detach(struct virtqueue *vq);

static inline int virtqueue_add_sgs(struct virtqueue *vq, struct scatterlist *sgs[], unsigned int out_sgs,
				    unsigned int in_sgs, void *data, gfp_t gfp)
{
	(void)gfp;
	return vio_linux_add(vq, sgs, out_sgs, in_sgs, UINT32_MAX, data, NULL);
}

static inline int virtqueue_add_outbuf(struct virtqueue *vq, struct scatterlist *sg, unsigned int num,
				       void *data, gfp_t gfp)
{
	(void)gfp;
	return vio_linux_add(vq, &sg, 1, 0, num, data, NULL);
}

static inline int virtqueue_add_inbuf(struct virtqueue *vq, struct scatterlist *sg, unsigned int num,
				      void *data, gfp_t gfp)
{
	(void)gfp;
	return vio_linux_add(vq, &sg, 0, 1, num, data, NULL);
}

static inline int virtqueue_add_inbuf_ctx(struct virtqueue *vq, struct scatterlist *sg, unsigned int num,
					  void *data, void *ctx, gfp_t gfp)
{
	(void)gfp;
	return vio_linux_add(vq, &sg, 0, 1, num, data, ctx);
}

static inline int virtqueue_add_outbuf_ctx(struct virtqueue *vq, struct scatterlist *sg, unsigned int num,
					   void *data, void *ctx, gfp_t gfp)
{
	(void)gfp;
	return vio_linux_add(vq, &sg, 1, 0, num, data, ctx);
}

static inline void *virtqueue_get_buf_ctx(struct virtqueue *vq, unsigned int *len, void **ctx)
{
	return vio_linux_get(vq, len, ctx);
}

static inline void *virtqueue_get_buf(struct virtqueue *vq, unsigned int *len)
{
	return vio_linux_get(vq, len, NULL);
}

static inline void *virtqueue_detach_unused_buf(struct virtqueue *vq)
{
	return vio_linux_detach(vq);
}

static inline bool virtqueue_is_broken(const struct virtqueue *vq)
{
	return vio_drvq_broken(vq->q);
}

static inline unsigned int virtqueue_get_vring_size(const struct virtqueue *vq)
{
	return vq->q->size;
}

static inline bool virtqueue_kick_prepare(struct virtqueue *vq)
{
	return vio_drvq_kick_prepare(vq->q);
}

/* false: the queue is broken, here and in kick. */
static inline bool virtqueue_notify(struct virtqueue *vq)
{
	if (vio_drvq_broken(vq->q))
		return false;
	vio_drvq_notify(vq->q);
	return !vio_drvq_broken(vq->q);
}

static inline bool virtqueue_kick(struct virtqueue *vq)
{
	if (virtqueue_kick_prepare(vq))
		return virtqueue_notify(vq);
	return !vio_drvq_broken(vq->q);
}

static inline void virtqueue_disable_cb(struct virtqueue *vq)
{
	vio_drvq_disable_cb(vq->q);
}

/* From a broken queue nothing comes: true, so that no driver waits for it. The same with _delayed. */
static inline bool virtqueue_enable_cb(struct virtqueue *vq)
{
	return vio_drvq_broken(vq->q) || vio_drvq_enable_cb(vq->q);
}

static inline bool virtqueue_enable_cb_delayed(struct virtqueue *vq)
{
	return vio_drvq_broken(vq->q) || vio_drvq_enable_cb_delayed(vq->q);
}

/* A mark for virtqueue_poll(). */
static inline unsigned int virtqueue_enable_cb_prepare(struct virtqueue *vq)
{
	if (!vio_drvq_broken(vq->q))
		(void)vio_drvq_enable_cb(vq->q);
	return vq->q->used_next;
}

/* Whether something came since the mark. */
static inline bool virtqueue_poll(struct virtqueue *vq, unsigned int mark)
{
	return !vio_drvq_broken(vq->q) && (vq->q->used_next != mark || vio_drvq_pending(vq->q));
}

#endif
