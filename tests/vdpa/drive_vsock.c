/* SPDX-License-Identifier: BSD-3-Clause */
#include "vdpa/drive.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vireo/drivers/vsock.h>

/* A program of the kernel's side in a process of its own, and our driver's end in this one. */

#define PORT    1234u
#define BYTES   300000u
#define PIECE   5000u
#define WAIT_NS UINT64_C(10000000000)

static uint8_t pattern(uint32_t at)
{
	return (uint8_t)(at * 7 + (at >> 9));
}

/* Sends so many bytes and gets the same back, a piece each time. */
static void talk(int fd)
{
	uint8_t out[PIECE], in[PIECE];

	for (uint32_t at = 0; at < BYTES; at += PIECE) {
		for (uint32_t i = 0; i < PIECE; i++)
			out[i] = pattern(at + i);
		CHECK(send(fd, out, PIECE, 0) == PIECE);
		CHECK(recv(fd, in, PIECE, MSG_WAITALL) == PIECE);
		CHECK(!memcmp(in, out, PIECE));
	}
	close(fd);
}

static struct sockaddr_vm address_of(uint32_t cid)
{
	return (struct sockaddr_vm){ .svm_family = AF_VSOCK, .svm_port = PORT, .svm_cid = cid };
}

/* The driver's end listens. */
static pid_t start_caller(uint32_t cid, int type)
{
	struct sockaddr_vm address = address_of(cid);
	pid_t child = fork();
	int fd;

	CHECK(child >= 0);
	if (child)
		return child;
	fd = socket(AF_VSOCK, type, 0);
	CHECK(fd >= 0);
	CHECK(!connect(fd, (const struct sockaddr *)&address, sizeof(address)));
	talk(fd);
	_exit(0);
}

/* The driver's end connects. It returns when that may be done. */
static pid_t start_listener(int type)
{
	struct sockaddr_vm address = address_of(VMADDR_CID_ANY);
	int fd = socket(AF_VSOCK, type, 0);
	pid_t child;

	CHECK(fd >= 0);
	CHECK(!bind(fd, (const struct sockaddr *)&address, sizeof(address)));
	CHECK(!listen(fd, 1));
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		talk(accept(fd, NULL, NULL));
		_exit(0);
	}
	close(fd);
	return child;
}

static void finish(pid_t child)
{
	int status;

	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && !WEXITSTATUS(status));
}

/* Sends all back that comes, until the other end closes. */
static void echo(struct vio_dev *dev, struct vio_vsock_socket *socket)
{
	uint8_t bytes[PIECE];
	uint32_t echoed = 0, got, sent, now;
	unsigned flags;
	int error;

	while ((error = vio_vsock_receive(dev, socket, bytes, sizeof(bytes), &got, &flags)) != -VIO_EHANGUP) {
		if (error == -VIO_EAGAIN) {
			CHECK(!vio_vsock_wait(dev, WAIT_NS));
			continue;
		}
		CHECK(!error);
		for (uint32_t at = 0; at < got; at += now) {
			error = vio_vsock_send(dev, socket, bytes + at, got - at, flags, &sent);
			now = error ? 0 : sent;
			if (error == -VIO_EAGAIN)
				CHECK(!vio_vsock_wait(dev, WAIT_NS));
			else
				CHECK(!error);
		}
		echoed += got;
	}
	CHECK(echoed == BYTES);
}

static void listens(struct vio_dev *dev, struct vio_vsock_socket *sockets, uint32_t cid)
{
	struct vio_vsock_socket *accepted;
	pid_t child;
	int error;

	CHECK(!vio_vsock_listen(dev, &sockets[0], VIRTIO_VSOCK_TYPE_STREAM, PORT));
	child = start_caller(cid, SOCK_STREAM);
	while ((error = vio_vsock_accept(dev, &sockets[0], &accepted)) == -VIO_EAGAIN)
		CHECK(!vio_vsock_wait(dev, WAIT_NS));
	CHECK(!error);
	CHECK(accepted->peer_cid == VMADDR_CID_HOST);
	echo(dev, accepted);
	finish(child);
	CHECK(!vio_vsock_release(dev, accepted));
	CHECK(!vio_vsock_release(dev, &sockets[0]));
}

static void connects(struct vio_dev *dev, struct vio_vsock_socket *socket)
{
	pid_t child = start_listener(SOCK_STREAM);

	CHECK(!vio_vsock_connect(dev, socket, VIRTIO_VSOCK_TYPE_STREAM, VMADDR_CID_HOST, PORT));
	while (socket->state == VIO_VSOCK_CONNECTING)
		CHECK(!vio_vsock_wait(dev, WAIT_NS));
	CHECK(socket->state == VIO_VSOCK_CONNECTED);
	echo(dev, socket);
	finish(child);
	CHECK(!vio_vsock_release(dev, socket));
	/* Nobody listens any more. */
	CHECK(!vio_vsock_connect(dev, socket, VIRTIO_VSOCK_TYPE_STREAM, VMADDR_CID_HOST, PORT));
	while (socket->state == VIO_VSOCK_CONNECTING)
		CHECK(!vio_vsock_wait(dev, WAIT_NS));
	CHECK(socket->state == VIO_VSOCK_CLOSED && socket->error == -VIO_EHANGUP);
	CHECK(!vio_vsock_release(dev, socket));
}

static void open_vhost(struct vio_dev *dev, uint32_t cid, int wanted)
{
	const struct vio_vhost_vsock_options options = { .cid = cid };
	struct vio_kernel_mistake mistake;
	int fd = open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC), error;

	CHECK(fd >= 0);
	CHECK(vio_kernel_kind(fd) == VIO_KERNEL_VSOCK);
	error = vio_vhost_vsock_open(fd, &options, dev, &mistake);
	if (error != wanted)
		fprintf(stderr, "vhost-vsock: %s\n", mistake.text);
	CHECK(error == wanted);
}

void drive_vsock(uint32_t cid)
{
	static uint8_t memory[3][65536];
	struct vio_vsock_socket sockets[3];
	struct vio_dev dev, other;

	for (unsigned life = 0; life < 2; life++) {
		memset(sockets, 0, sizeof(sockets));
		for (unsigned i = 0; i < 3; i++) {
			sockets[i].memory = memory[i];
			sockets[i].memory_bytes = sizeof(memory[i]);
		}
		open_vhost(&dev, cid, 0);
		/* There is one with that address, and two are none. */
		open_vhost(&other, cid, -VIO_EBUSY);
		open_vhost(&other, 2, -VIO_EINVAL);
		drive_bind(&dev, &vio_vsock_driver, vio_vhost_kernel_platform(&dev));
		CHECK(((struct vio_vsock *)dev.driver_state)->cid == cid);
		CHECK(!vio_vsock_give_sockets(&dev, sockets, 3));
		listens(&dev, sockets, cid);
		connects(&dev, &sockets[2]);
		CHECK(!vio_vsock_stop(&dev));
		CHECK(!vio_vsock_start(&dev));
		listens(&dev, sockets, cid);
		drive_close(&dev);
	}
	puts("vsock: talked");
}
