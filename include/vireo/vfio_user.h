/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_VFIO_USER_H
#define VIREO_VFIO_USER_H

#include <vireo/device.h>
#include <vireo/watch.h>

/*
 * The server's half of vfio-user: serves one device as a whole PCI function to one
 * client (a virtual machine monitor) over a connected Unix stream socket. Where vhost-user
 * leaves the function to the monitor and has queues alone, here everything that the
 * driver sees is ours: identity, BARs, configuration, status, notifications.
 *
 *	client                          server
 *	VERSION                         capabilities, limits
 *	DMA_MAP, DMA_UNMAP              what the driver's addresses mean: mapped files, and memory
 *	DMA_READ, DMA_WRITE: the answer without one, which the server asks for by messages
 *	DEVICE_GET_INFO, _REGION_INFO,  a modern virtio function: configuration space, one
 *	_IRQ_INFO, _REGION_IO_FDS       memory BAR, INTx and MSI-X, an ioeventfd a queue
 *	REGION_READ, _WRITE,            registers, through the model of vireo/pci.h
 *	_WRITE_MULTI
 *	DEVICE_SET_IRQS                 eventfds that are raised
 *	DEVICE_RESET
 *	DEVICE_FEATURE, MIG_DATA_...    the device's state, to take it elsewhere: what was in flight is
					answered before it is read, the rest waits in the rings
 *
 * It needs an event loop only through struct vio_watcher: it adds the socket, the
 * ioeventfds and little else. Messages are validated whole before anything changes. A
 * request that can't be granted is answered with an errno, and the log says why; what is
 * no message at all ends the connection. Either way nothing leaks. Memory that a client cuts short is
 * survived with vio_guard_memory() of vireo/guard.h.
 *
 * Memory that comes without a file descriptor is read and written by messages of the server's
 * own (DMA_READ, DMA_WRITE), at most 16 at a time and each no longer than the client takes. Nobody
 * waits for their answers, as a client may be unable to give them before it has had one itself: a queue
 * that needs such memory runs on rings here, which are kept like the driver's. An error for an answer is
 * a fault, and the device needs a reset; an answer that can't be one ends the connection; none at all
 * keeps the queue and its reset waiting, and nothing else. Which layout a client speaks, the standard's
 * or QEMU's with a count of 32 bits, its first answer tells.
 *
 * Limits: of memory without a descriptor a queue has copies of 32 MiB at a time, and no buffer may be
 * longer; 256 queues may need it; addresses that stand in requests can't lie in it; and a device with
 * such a queue can't be taken elsewhere (EOPNOTSUPP). No copying ahead and no log of pages for
 * migration: a client takes all memory for written. A client that leaves leaves a device in reset.
 */
struct vio_vfio_user;

struct vio_vfio_user_events {
	/*
	 * The connection is over and everything of it is gone. `reason`: -VIO_EHANGUP when the
	 * client closed it, -VIO_EPROTO when it broke the protocol, ... Another connection may be
	 * started from inside.
	 */
	void (*closed)(void *context, int reason);
	/* One line about a peer's mistake or the like, without newline. May be NULL. */
	void (*log)(void *context, const char *line);
};

#define VIO_VFIO_USER_REGIONS_MAX 1024u  /* DMA regions at a time */
#define VIO_VFIO_USER_DATA_MAX    65536u /* bytes of data in a message */
#define VIO_VFIO_USER_FDS_MAX     16u    /* descriptors with a message */

/*
 * `dev` is realized, provided and not attached; it, the watcher and the events must
 * outlive the server. NULL when out of memory, or when the device doesn't fit behind PCI.
 */
VIO_API struct vio_vfio_user *vio_vfio_user_create(struct vio_device *dev, const struct vio_watcher *watcher,
						   const struct vio_vfio_user_events *events, void *context);
/* Ends the connection, if any, without calling closed. */
VIO_API void vio_vfio_user_destroy(struct vio_vfio_user *server);

/*
 * While there is no connection. `crew` is copied; the device's type has to be made for it. A queue's thread
 * serves its kicks and raises its vector while that may be raised; all else is the server's thread's: the
 * line, what is masked, and queues that rest.
 */
VIO_API void vio_vfio_user_spread(struct vio_vfio_user *server, const struct vio_watch_crew *crew);

/* Takes over a connected socket (also on failure). -VIO_EBUSY when there is a connection. */
VIO_API int vio_vfio_user_start(struct vio_vfio_user *server, int socket_fd);
/* Ends the connection without calling closed; the device is drained and reset. */
VIO_API void vio_vfio_user_stop(struct vio_vfio_user *server);
/* How many whole messages have come by this connection. */
VIO_API uint64_t vio_vfio_user_heard(const struct vio_vfio_user *server);

#endif
