/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <string.h>

#include "link/vfio_user/server.h"

/*
 * Interrupts are eventfds of the client's. The line is a level: it is raised, masks itself,
 * and is raised again at the unmasking when it is still high. A vector is an event: it is
 * raised, or pending until it can be.
 */

static void raise_line(struct vio_vfio_user *server)
{
	struct vfu_irq *line = &server->intx;

	if (!server->line || line->masked || line->signal.kind == LINK_SIGNAL_NONE || vfu_stopped(server))
		return;
	line->masked = true;
	link_signal_raise(&line->signal);
}

void vfu_line(void *context, unsigned level)
{
	struct vio_vfio_user *server = context;

	server->line = level != 0;
	raise_line(server);
}

void vfu_vector(void *context, unsigned vector)
{
	struct vio_vfio_user *server = context;
	struct vfu_irq *irq = &server->msix[vector];

	server->vectors[vector].pending =
		irq->masked || irq->signal.kind == LINK_SIGNAL_NONE || vfu_stopped(server);
	if (!server->vectors[vector].pending)
		link_signal_raise(&irq->signal);
}

/* Something of the interrupt changed: what waited for it goes out. */
static void settle(struct vio_vfio_user *server, uint32_t index, uint32_t number)
{
	if (index == VFIO_USER_IRQ_INTX)
		raise_line(server);
	else if (server->vectors[number].pending)
		vfu_vector(server, number);
}

void vfu_interrupts_settle(struct vio_vfio_user *server)
{
	uint16_t vector;

	settle(server, VFIO_USER_IRQ_INTX, 0);
	for (vector = 0; vector < server->vector_count; vector++)
		settle(server, VFIO_USER_IRQ_MSIX, vector);
}

void vfu_interrupts_reset(struct vio_vfio_user *server)
{
	uint16_t vector;

	server->intx.masked = false;
	for (vector = 0; vector < server->vector_count; vector++)
		server->msix[vector].masked = false;
}

void vfu_interrupts_close(struct vio_vfio_user *server)
{
	uint16_t vector;

	link_signal_set(&server->intx.signal, LINK_SIGNAL_NONE, -1);
	for (vector = 0; vector < server->vector_count; vector++)
		link_signal_set(&server->msix[vector].signal, LINK_SIGNAL_NONE, -1);
	vfu_interrupts_reset(server);
}

static uint32_t count_of(const struct vio_vfio_user *server, uint32_t index)
{
	if (index == VFIO_USER_IRQ_INTX)
		return 1;
	return index == VFIO_USER_IRQ_MSIX ? server->vector_count : 0;
}

static struct vfu_irq *irq_of(struct vio_vfio_user *server, uint32_t index, uint32_t number)
{
	return index == VFIO_USER_IRQ_INTX ? &server->intx : &server->msix[number];
}

int vfu_irq_info(struct vio_vfio_user *server)
{
	struct vfio_user_irq_info info;

	memcpy(&info, server->receiver.payload.bytes, sizeof(info));
	if (info.argsz < sizeof(info)) /* hostile: E8 */
		return vfu_refuse(server, -VIO_EINVAL, "GET_IRQ_INFO: room for %u bytes", info.argsz);
	if (info.index >= VFIO_USER_IRQS)
		return vfu_refuse(server, -VIO_EINVAL, "GET_IRQ_INFO: index %u", info.index);
	info.argsz = sizeof(info);
	info.count = count_of(server, info.index);
	info.flags = info.count ? VFIO_USER_IRQ_EVENTFD | VFIO_USER_IRQ_MASKABLE : 0;
	if (info.index == VFIO_USER_IRQ_INTX)
		info.flags |= VFIO_USER_IRQ_AUTOMASKED;
	memcpy(vfu_reply(&server->sender), &info, sizeof(info));
	return sizeof(info);
}

static bool one_bit(uint32_t bits)
{
	return bits && !(bits & (bits - 1));
}

/* hostile: E8 E15 */
static int judge(struct vio_vfio_user *server, const struct vfio_user_irq_set *set)
{
	uint32_t data = set->flags & VFIO_USER_IRQ_SET_DATA_MASK, all = count_of(server, set->index);
	uint32_t bytes = vfu_payload_bytes(&server->receiver);
	unsigned fds = server->receiver.fd_count;

	if (set->argsz < sizeof(*set) || set->argsz > bytes)
		return vfu_refuse(server, -VIO_EINVAL, "SET_IRQS: %u bytes, of which %u came", set->argsz,
				  bytes);
	if (!one_bit(data) || !one_bit(set->flags & VFIO_USER_IRQ_SET_ACTION_MASK) ||
	    (set->flags & ~(VFIO_USER_IRQ_SET_DATA_MASK | VFIO_USER_IRQ_SET_ACTION_MASK)))
		return vfu_refuse(server, -VIO_EINVAL, "SET_IRQS: flags %#x", set->flags);
	if (set->index >= VFIO_USER_IRQS)
		return vfu_refuse(server, -VIO_EINVAL, "SET_IRQS: index %u", set->index);
	if (set->start > all || set->count > all - set->start)
		return vfu_refuse(server, -VIO_EINVAL,
				  "SET_IRQS: %u interrupts from %u on, of %u of index %u", set->count,
				  set->start, all, set->index);
	if (!set->count && (data != VFIO_USER_IRQ_SET_NONE || set->start))
		return vfu_refuse(server, -VIO_EINVAL, "SET_IRQS: no interrupts from %u on", set->start);
	if (data == VFIO_USER_IRQ_SET_BOOL && set->count > bytes - sizeof(*set))
		return vfu_refuse(server, -VIO_EINVAL, "SET_IRQS: %u interrupts in %u bytes", set->count,
				  bytes);
	if (fds && (data != VFIO_USER_IRQ_SET_EVENTFD || fds != set->count))
		return vfu_refuse(server, -VIO_EINVAL, "SET_IRQS: %u descriptors for %u interrupts", fds,
				  set->count);
	return 0;
}

static int set_eventfds(struct vio_vfio_user *server, const struct vfio_user_irq_set *set)
{
	struct vfu_receiver *receiver = &server->receiver;
	uint32_t i;

	if (!(set->flags & VFIO_USER_IRQ_SET_TRIGGER))
		return vfu_refuse(server, -VIO_ENOTSUP, "SET_IRQS: masks are set by message only");
	for (i = 0; i < receiver->fd_count; i++)
		if (link_signal_kind(receiver->fds[i], O_WRONLY) != LINK_SIGNAL_EVENT)
			return vfu_refuse(server, -VIO_EINVAL,
					  "SET_IRQS: what came for interrupt %u is no eventfd",
					  set->start + i);
	for (i = 0; i < set->count; i++) {
		int fd = vfu_take_fd(receiver, i);
		struct vfu_irq *irq = irq_of(server, set->index, set->start + i);

		link_signal_set(&irq->signal, fd < 0 ? LINK_SIGNAL_NONE : LINK_SIGNAL_EVENT, fd);
		if (set->index == VFIO_USER_IRQ_INTX)
			irq->masked =
				false; /* nobody would unmask it for an interrupt that another one got */
		settle(server, set->index, set->start + i);
	}
	return 0;
}

static void act(struct vio_vfio_user *server, const struct vfio_user_irq_set *set, uint32_t number)
{
	struct vfu_irq *irq = irq_of(server, set->index, number);

	if (set->flags & VFIO_USER_IRQ_SET_TRIGGER) {
		link_signal_raise(&irq->signal);
		return;
	}
	irq->masked = (set->flags & VFIO_USER_IRQ_SET_MASK) != 0;
	settle(server, set->index, number);
}

/* No descriptors any more for all interrupts of a kind. */
static void disable(struct vio_vfio_user *server, uint32_t index)
{
	uint32_t i, count = count_of(server, index);

	for (i = 0; i < count; i++) {
		struct vfu_irq *irq = irq_of(server, index, i);

		link_signal_set(&irq->signal, LINK_SIGNAL_NONE, -1);
		irq->masked = false;
	}
}

int vfu_set_irqs(struct vio_vfio_user *server)
{
	const uint8_t *chosen = server->receiver.payload.bytes + sizeof(struct vfio_user_irq_set);
	struct vfio_user_irq_set set;
	uint32_t i;
	int error;

	memcpy(&set, server->receiver.payload.bytes, sizeof(set));
	error = judge(server, &set);
	if (error)
		return error;
	if (set.flags & VFIO_USER_IRQ_SET_EVENTFD)
		return set_eventfds(server, &set);
	if (!set.count && (set.flags & VFIO_USER_IRQ_SET_TRIGGER))
		disable(server, set.index);
	for (i = 0; i < set.count; i++)
		if ((set.flags & VFIO_USER_IRQ_SET_NONE) || chosen[i])
			act(server, &set, set.start + i);
	return 0;
}
