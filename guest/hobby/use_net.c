/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/drivers/net.h>

#include "net.h"
#include "use.h"

/*
 * Gets an address, pings the gateway, and answers pings until the host has taken the link away and given it
 * back, which the device tells by interrupts. tests/hobby/peers.py is the host.
 */
#define PINGS    4u
#define TRIES    5u
#define AGAIN_NS UINT64_C(1000000000)
#define SERVE_NS UINT64_C(15000000000)
#define LOOK_NS  UINT64_C(50000000)

struct link {
	struct net net;
	struct os *os;
	struct vio_dev *dev;
	unsigned downs, ups;
	uint8_t frame[NET_FRAME_BYTES];
};

static void changed(struct vio_dev *dev)
{
	const struct vio_net *driver = dev->driver_state;
	struct link *link = dev->owner;

	if (!driver->link_up && link->downs == link->ups)
		link->downs++;
	if (driver->link_up && link->downs > link->ups)
		link->ups++;
}

static int send(void *context, const void *frame, uint32_t length)
{
	return vio_net_send_buffer(((struct link *)context)->dev, frame, length);
}

/* Handles what comes until there is enough of something. */
static int serve(struct link *link, const unsigned *of, unsigned enough, uint64_t time_ns)
{
	const uint64_t since = os_now_ns(link->os);
	uint32_t length;
	int error = 0;

	while (!error && !link->net.error && *of < enough && os_now_ns(link->os) - since < time_ns) {
		error = vio_net_receive_buffer(link->dev, link->frame, sizeof(link->frame), &length);
		if (!error) {
			net_receive(&link->net, link->frame, length);
		} else if (error == -VIO_EAGAIN) {
			error = 0;
			if (!link->os->board.has_interrupts)
				(void)vio_dev_interrupt(link->dev);
			os_wait(link->os, LOOK_NS);
		}
	}
	if (!error)
		error = link->net.error;
	return error ? error : *of < enough ? -VIO_EAGAIN : 0;
}

/* Asks until there is an answer. */
static int ask(struct link *link, void (*question)(struct net *net), const unsigned *answers, unsigned enough)
{
	unsigned try;
	int error = -VIO_EAGAIN;

	for (try = 0; error == -VIO_EAGAIN && try < TRIES; try++) {
		question(&link->net);
		error = serve(link, answers, enough, AGAIN_NS);
	}
	return error;
}

static int join(struct link *link)
{
	struct net *net = &link->net;
	unsigned ping;
	int error = ask(link, net_discover, &net->offers, 1);

	if (!error)
		error = ask(link, net_request, &net->leases, 1);
	if (!error)
		error = ask(link, net_find_gateway, &net->gateways, 1);
	for (ping = 1; !error && ping <= PINGS; ping++)
		error = ask(link, net_ping_gateway, &net->pings_back, ping);
	return error;
}

static void print_address(char *report, uint32_t address)
{
	os_append(report, USE_REPORT_BYTES, "%u.%u.%u.%u, ", address >> 24, address >> 16 & 0xff,
		  address >> 8 & 0xff, address & 0xff);
}

static int use(struct os *os, struct vio_dev *dev, char *report)
{
	struct vio_net *driver = dev->driver_state;
	struct link *link = os_pages_take(os, sizeof(*link));
	int error;

	if (!link)
		return -VIO_ENOMEM;
	link->os = os;
	link->dev = dev;
	link->net.context = link;
	link->net.send = send;
	memcpy(link->net.mac, driver->mac, sizeof(link->net.mac));
	dev->owner = link;
	driver->changed = changed;
	error = driver->mac_known && driver->link_up ? join(link) : -VIO_EIO;
	print_address(report, link->net.address);
	os_append(report, USE_REPORT_BYTES, "gateway ");
	print_address(report, link->net.gateway);
	os_append(report, USE_REPORT_BYTES, "%u pings out, ", link->net.pings_back);
	if (!error) {
		os_print("net: %sserves\n", report);
		error = serve(link, &link->ups, 1, SERVE_NS);
	}
	if (!error && driver->dropped)
		error = -VIO_EPEER;
	os_append(report, USE_REPORT_BYTES, "%u in; link down %u, up %u", link->net.pings_answered,
		  link->downs, link->ups);
	driver->changed = NULL;
	os_pages_give_back(os, link, sizeof(*link));
	return error;
}

const struct use use_net = { "net", &vio_net_driver, use };
