/* SPDX-License-Identifier: BSD-3-Clause */
#include "vdpa/drive.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <vireo/drivers/net.h>

#define FRAME_MOST 1514u
#define ETHERNET   14u
#define ARP        28u
#define IP         20u
#define ICMP       8u
#define WAIT_NS    UINT64_C(5000000000)
#define NAP_NS     UINT64_C(1000000)

static const uint8_t our_mac[6] = { 0x02, 0, 0, 0, 0x99, 0x02 };
static const uint8_t our_ip[4] = { 10, 99, 0, 2 }, their_ip[4] = { 10, 99, 0, 1 };

/* The next frame's length, or 0 when none comes. */
static uint32_t receive(struct vio_dev *dev, uint8_t *frame)
{
	const struct vio_platform *platform = dev->platform;
	uint64_t since = platform->now_ns(platform->context);
	uint32_t length;
	int error;

	while ((error = vio_net_receive_buffer(dev, frame, FRAME_MOST, &length)) == -VIO_EAGAIN) {
		if (platform->now_ns(platform->context) - since > WAIT_NS)
			return 0;
		platform->wait(platform->context, NAP_NS);
	}
	CHECK(!error);
	return length;
}

/* The simulator gives back what is sent to its own address. */
void drive_net(const char *path)
{
	uint8_t out[FRAME_MOST], in[FRAME_MOST];
	struct vio_dev dev;

	for (unsigned life = 0; life < 2; life++) {
		drive_open_vdpa(&dev, path, 0);
		CHECK(dev.id == VIRTIO_ID_NET);
		drive_bind(&dev, &vio_net_driver, vio_vdpa_platform(&dev));
		memset(out, 0, sizeof(out));
		memcpy(out, ((struct vio_net *)dev.driver_state)->mac, 6);
		memcpy(out + 6, ((struct vio_net *)dev.driver_state)->mac, 6);
		out[12] = 0x88;
		out[13] = 0xb5;
		for (uint32_t length = 60; length <= FRAME_MOST; length++) {
			for (uint32_t i = ETHERNET; i < length; i++)
				out[i] = (uint8_t)(i * 7 + length);
			CHECK(!vio_net_send_buffer(&dev, out, length));
			CHECK(receive(&dev, in) == length);
			CHECK(!memcmp(in, out, length));
		}
		drive_close(&dev);
	}
	puts("net: frames came back");
}

static int open_tap(const char *name, int flags)
{
	struct ifreq interface;
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	CHECK(fd >= 0);
	memset(&interface, 0, sizeof(interface));
	strncpy(interface.ifr_name, name, sizeof(interface.ifr_name) - 1);
	interface.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags);
	CHECK(!ioctl(fd, TUNSETIFF, &interface));
	return fd;
}

/* The tap's end: an address, and up. */
static void configure(const char *name)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct ifreq interface;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	CHECK(fd >= 0);
	memset(&interface, 0, sizeof(interface));
	strncpy(interface.ifr_name, name, sizeof(interface.ifr_name) - 1);
	memcpy(&address.sin_addr, their_ip, 4);
	memcpy(&interface.ifr_addr, &address, sizeof(address));
	CHECK(!ioctl(fd, SIOCSIFADDR, &interface));
	inet_pton(AF_INET, "255.255.255.0", &address.sin_addr);
	memcpy(&interface.ifr_addr, &address, sizeof(address));
	CHECK(!ioctl(fd, SIOCSIFNETMASK, &interface));
	CHECK(!ioctl(fd, SIOCGIFFLAGS, &interface));
	interface.ifr_flags |= IFF_UP | IFF_RUNNING;
	CHECK(!ioctl(fd, SIOCSIFFLAGS, &interface));
	close(fd);
}

static void put_head(uint8_t *frame, const uint8_t *to, uint16_t kind)
{
	memcpy(frame, to, 6);
	memcpy(frame + 6, our_mac, 6);
	frame[12] = (uint8_t)(kind >> 8);
	frame[13] = (uint8_t)kind;
}

static uint16_t sum_of(const uint8_t *bytes, uint32_t length)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < length; i += 2)
		sum += (uint32_t)bytes[i] << 8 | (i + 1 < length ? bytes[i + 1] : 0);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put_sum(uint8_t *at, uint16_t sum)
{
	at[0] = (uint8_t)(sum >> 8);
	at[1] = (uint8_t)sum;
}

/* Answers ARP: `operation` 1 asks, 2 answers. */
static void send_arp(struct vio_dev *dev, const uint8_t *to, uint8_t operation)
{
	static const uint8_t head[6] = { 0, 1, 8, 0, 6, 4 };
	uint8_t frame[60] = { 0 };

	put_head(frame, to, 0x0806);
	memcpy(frame + ETHERNET, head, sizeof(head));
	frame[ETHERNET + 7] = operation;
	memcpy(frame + ETHERNET + 8, our_mac, 6);
	memcpy(frame + ETHERNET + 14, our_ip, 4);
	if (operation == 2)
		memcpy(frame + ETHERNET + 18, to, 6);
	memcpy(frame + ETHERNET + 24, their_ip, 4);
	CHECK(!vio_net_send_buffer(dev, frame, sizeof(frame)));
}

/* Their address, which an ARP answer has; other frames pass by. */
static void ask_mac(struct vio_dev *dev, uint8_t *mac)
{
	static const uint8_t everybody[6] = { 255, 255, 255, 255, 255, 255 };
	uint8_t in[FRAME_MOST];

	send_arp(dev, everybody, 1);
	do
		CHECK(receive(dev, in) >= ETHERNET);
	while (in[12] != 8 || in[13] != 6 || in[ETHERNET + 7] != 2);
	CHECK(!memcmp(in + ETHERNET + 14, their_ip, 4));
	CHECK(!memcmp(in + ETHERNET + 18, our_mac, 6));
	memcpy(mac, in + ETHERNET + 8, 6);
}

/* An echo of so many bytes: a ping. Returns how long the frame is. */
static uint32_t make_ping(uint8_t *frame, const uint8_t *mac, uint16_t bytes)
{
	uint16_t total = (uint16_t)(IP + ICMP + bytes);
	uint8_t *ip = frame + ETHERNET, *icmp = ip + IP;

	memset(frame, 0, ETHERNET + total);
	put_head(frame, mac, 0x0800);
	ip[0] = 0x45;
	put_sum(ip + 2, total);
	ip[8] = 64;
	ip[9] = 1;
	memcpy(ip + 12, our_ip, 4);
	memcpy(ip + 16, their_ip, 4);
	put_sum(ip + 10, sum_of(ip, IP));
	icmp[0] = 8;
	put_sum(icmp + 4, 0x7669);
	put_sum(icmp + 6, bytes);
	for (uint16_t i = 0; i < bytes; i++)
		icmp[ICMP + i] = (uint8_t)(i + bytes);
	put_sum(icmp + 2, sum_of(icmp, ICMP + bytes));
	return ETHERNET + total;
}

/* Hears until the answer to a ping is there; false when it doesn't come. */
static bool hear_answer(struct vio_dev *dev, const uint8_t *ping, uint32_t ping_length)
{
	uint8_t in[FRAME_MOST];
	uint32_t length;

	while ((length = receive(dev, in))) {
		const uint8_t *answer = in + ETHERNET;

		if (in[12] == 8 && in[13] == 6 && answer[7] == 1 && !memcmp(answer + 24, our_ip, 4))
			send_arp(dev, in + 6, 2);
		if (in[12] != 8 || in[13] || answer[9] != 1 || length < ping_length)
			continue;
		/* From there to here, with the same bytes. */
		CHECK(answer[IP] == 0);
		CHECK(!memcmp(answer + 12, their_ip, 4) && !memcmp(answer + 16, our_ip, 4));
		CHECK(!memcmp(answer + IP + 4, ping + ETHERNET + IP + 4, ping_length - ETHERNET - IP - 4));
		CHECK(!sum_of(answer + IP, ping_length - ETHERNET - IP));
		return true;
	}
	return false;
}

static void ping(struct vio_dev *dev, const uint8_t *mac, uint16_t bytes)
{
	uint8_t frame[FRAME_MOST];
	uint32_t length = make_ping(frame, mac, bytes);

	CHECK(!vio_net_send_buffer(dev, frame, length));
	CHECK(hear_answer(dev, frame, length));
}

static void open_vhost(struct vio_dev *dev, int tap)
{
	const struct vio_vhost_net_options options = { .tap_fd = tap, .mac = our_mac, .mtu = 1500 };
	struct vio_kernel_mistake mistake;
	int fd = open("/dev/vhost-net", O_RDWR | O_CLOEXEC), error;

	CHECK(fd >= 0);
	CHECK(vio_kernel_kind(fd) == VIO_KERNEL_NET);
	error = vio_vhost_net_open(fd, &options, dev, &mistake);
	if (error)
		fprintf(stderr, "vhost-net: %s\n", mistake.text);
	CHECK(!error);
}

void drive_tap(const char *name, int flags)
{
	int tap = open_tap(name, flags);
	uint8_t mac[6];
	struct vio_dev dev;

	configure(name);
	for (unsigned life = 0; life < 2; life++) {
		open_vhost(&dev, tap);
		drive_bind(&dev, &vio_net_driver, vio_vhost_kernel_platform(&dev));
		CHECK(vio_dev_has_feature(&dev, VIRTIO_NET_F_CSUM) == !!(flags & IFF_VNET_HDR));
		CHECK(!memcmp(((struct vio_net *)dev.driver_state)->mac, our_mac, 6));
		for (unsigned again = 0; again < 2; again++) {
			ask_mac(&dev, mac);
			for (uint16_t bytes = 0; bytes <= 1472; bytes += 8)
				ping(&dev, mac, bytes);
			CHECK(!vio_net_stop(&dev));
			CHECK(!vio_net_init(&dev));
		}
		drive_close(&dev);
	}
	close(tap);
	puts("tap: answered");
}
