/* SPDX-License-Identifier: BSD-3-Clause */
#include <jansson.h>
#include <string.h>

#include "link/vfio_user/server.h"

/* The first message: version and capabilities, which are JSON. hostile: E5 */

/* A number among the capabilities; what it is now when it isn't there. */
static int number(const json_t *capabilities, const char *name, json_int_t least, json_int_t *value)
{
	const json_t *found = json_object_get(capabilities, name);

	if (!found)
		return 0;
	if (!json_is_integer(found) || json_integer_value(found) < least)
		return -VIO_ERANGE;
	*value = json_integer_value(found);
	return 0;
}

/* What of the client's capabilities matters here. *multiple: it can send several writes in a message. */
static int take_capabilities(struct vio_vfio_user *server, const json_t *capabilities, bool *multiple)
{
	json_int_t fds = VFIO_USER_MAX_MSG_FDS, data = VFIO_USER_MAX_DATA_XFER_SIZE;

	if (capabilities && !json_is_object(capabilities))
		return vfu_refuse(server, -VIO_EINVAL, "VERSION: the capabilities are no object");
	if (number(capabilities, "max_msg_fds", 0, &fds))
		return vfu_refuse(server, -VIO_EINVAL, "VERSION: max_msg_fds is no number from 0 on");
	if (number(capabilities, "max_data_xfer_size", 1, &data))
		return vfu_refuse(server, -VIO_EINVAL, "VERSION: max_data_xfer_size is no number from 1 on");
	server->client_fds = fds < VIO_VFIO_USER_FDS_MAX ? (unsigned)fds : VIO_VFIO_USER_FDS_MAX;
	server->client_data = data < UINT32_MAX ? (uint32_t)data : UINT32_MAX;
	*multiple = json_is_true(json_object_get(capabilities, "write_multiple"));
	return 0;
}

static int parse(struct vio_vfio_user *server, const char *text, size_t length, bool *multiple)
{
	json_error_t why;
	json_t *root;
	int error;

	if (text[length - 1])
		return vfu_refuse(server, -VIO_EINVAL, "VERSION: %zu bytes of capabilities have no end",
				  length);
	root = json_loadb(text, length - 1, 0, &why);
	if (!root)
		return vfu_refuse(server, -VIO_EINVAL, "VERSION: capabilities: %.80s", why.text);
	if (json_is_object(root))
		error = take_capabilities(server, json_object_get(root, "capabilities"), multiple);
	else
		error = vfu_refuse(server, -VIO_EINVAL, "VERSION: what has the capabilities is no object");
	json_decref(root);
	return error;
}

int vfu_version(struct vio_vfio_user *server)
{
	const uint8_t *from = server->receiver.payload.bytes;
	uint8_t *reply = vfu_reply(&server->sender);
	size_t length = vfu_payload_bytes(&server->receiver) - sizeof(struct vfio_user_version);
	struct vfio_user_version version;
	bool multiple = false;
	int error, printed;

	memcpy(&version, from, sizeof(version));
	if (server->negotiated) /* hostile: E6 */
		return vfu_refuse(server, -VIO_EBUSY, "VERSION: that was agreed on before");
	if (version.major != VFIO_USER_VERSION_MAJOR)
		return vfu_refuse(server, -VIO_EPROTO,
				  "VERSION: the client speaks version %u.%u, this is %u.%u", version.major,
				  version.minor, VFIO_USER_VERSION_MAJOR, VFIO_USER_VERSION_MINOR);
	if (length)
		error = parse(server, (const char *)from + sizeof(version), length, &multiple);
	else
		error = take_capabilities(server, NULL, &multiple);
	if (error)
		return error;
	server->negotiated = true;
	version.minor = VFIO_USER_VERSION_MINOR;
	memcpy(reply, &version, sizeof(version));
	printed = snprintf((char *)reply + sizeof(version), 256,
			   "{\"capabilities\":{\"max_msg_fds\":%u,\"max_data_xfer_size\":%u,"
			   "\"max_dma_maps\":%u%s}}",
			   VIO_VFIO_USER_FDS_MAX, VIO_VFIO_USER_DATA_MAX, VIO_VFIO_USER_REGIONS_MAX,
			   multiple ? ",\"write_multiple\":true" : "");
	return (int)sizeof(version) + printed + 1;
}
