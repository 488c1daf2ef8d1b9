/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <vireo/property.h>

static size_t text_length(const char *text)
{
	size_t length = 0;

	while (text[length])
		length++;
	return length;
}

static bool text_equal(const char *a, const char *b)
{
	size_t length = text_length(a);

	return length == text_length(b) && !memcmp(a, b, length);
}

const struct vio_property *vio_property_find(const struct vio_property_table *table, const char *name,
					     size_t length)
{
	unsigned i;

	for (i = 0; i < table->count; i++) {
		const char *candidate = table->properties[i].name;

		if (text_length(candidate) == length && !memcmp(candidate, name, length))
			return &table->properties[i];
	}
	return NULL;
}

static uint64_t type_max(const struct vio_property *property)
{
	switch (property->type) {
	case VIO_PROPERTY_U8:
		return UINT8_MAX;
	case VIO_PROPERTY_U16:
		return UINT16_MAX;
	case VIO_PROPERTY_U32:
		return UINT32_MAX;
	default:
		return UINT64_MAX;
	}
}

uint64_t vio_property_min(const struct vio_property *property)
{
	return property->min;
}

uint64_t vio_property_max(const struct vio_property *property)
{
	return property->max ? property->max : type_max(property);
}

static unsigned digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned)(c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (unsigned)(c - 'A' + 10);
	return 16;
}

/* Parses digits up to something else; *end is behind them. */
static int parse_number(const char *text, uint64_t *value, const char **end)
{
	unsigned base = 10, digit;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	if (digit_value(*text) >= base)
		return -VIO_EINVAL;
	for (*value = 0; (digit = digit_value(*text)) < base; text++)
		if (!vio_mul_u64(*value, base, value) || !vio_add_u64(*value, digit, value))
			return -VIO_ERANGE;
	*end = text;
	return 0;
}

/* "K", "M", "G", "T", each also with "iB" or "B" behind; nothing is 1. */
static int parse_suffix(const char *text, uint64_t *factor)
{
	static const char letters[] = "KMGT";
	unsigned i;

	*factor = 1;
	if (!*text || text_equal(text, "B"))
		return 0;
	for (i = 0; i < 4; i++)
		if ((*text & ~0x20) == letters[i])
			break;
	if (i == 4 || (text[1] && !text_equal(text + 1, "B") && !text_equal(text + 1, "iB")))
		return -VIO_EINVAL;
	*factor = UINT64_C(1) << (10 * (i + 1));
	return 0;
}

static int set_number(const struct vio_property *property, void *member, const char *text)
{
	uint64_t value, factor = 1;
	const char *end;
	int error = parse_number(text, &value, &end);

	if (!error && property->type == VIO_PROPERTY_BYTES)
		error = parse_suffix(end, &factor);
	else if (!error && *end)
		error = -VIO_EINVAL;
	if (error)
		return error;
	if (!vio_mul_u64(value, factor, &value) || value < vio_property_min(property) ||
	    value > vio_property_max(property))
		return -VIO_ERANGE;
	switch (property->type) {
	case VIO_PROPERTY_U8:
		*(uint8_t *)member = (uint8_t)value;
		break;
	case VIO_PROPERTY_U16:
		*(uint16_t *)member = (uint16_t)value;
		break;
	case VIO_PROPERTY_U32:
		*(uint32_t *)member = (uint32_t)value;
		break;
	default:
		*(uint64_t *)member = value;
		break;
	}
	return 0;
}

static int set_bool(void *member, const char *text)
{
	static const char *const words[] = { "off", "on", "false", "true", "no", "yes", "0", "1" };
	unsigned i;

	for (i = 0; i < VIO_ARRAY_SIZE(words); i++) {
		if (text_equal(text, words[i])) {
			*(bool *)member = i & 1;
			return 0;
		}
	}
	return -VIO_EINVAL;
}

static int set_choice(const struct vio_property *property, void *member, const char *text)
{
	unsigned i;

	for (i = 0; property->choices[i]; i++) {
		if (text_equal(text, property->choices[i])) {
			*(uint8_t *)member = (uint8_t)i;
			return 0;
		}
	}
	return -VIO_EINVAL;
}

int vio_property_set(const struct vio_property *property, void *structure, const char *text)
{
	void *member = (uint8_t *)structure + property->offset;

	switch (property->type) {
	case VIO_PROPERTY_BOOL:
		return set_bool(member, text);
	case VIO_PROPERTY_CHOICE:
		return set_choice(property, member, text);
	case VIO_PROPERTY_STRING:
		if (text_length(text) >= property->size)
			return -VIO_ERANGE;
		memset(member, 0, property->size);
		memcpy(member, text, text_length(text));
		return 0;
	default:
		return set_number(property, member, text);
	}
}

void vio_property_set_defaults(const struct vio_property_table *table, void *structure)
{
	unsigned i;

	for (i = 0; i < table->count; i++)
		if (table->properties[i].initial)
			(void)vio_property_set(&table->properties[i], structure,
					       table->properties[i].initial);
}

struct text_out {
	char *to;
	size_t size, used;
};

static void put_text(struct text_out *out, const char *text)
{
	for (; *text; text++, out->used++)
		if (out->used + 1 < out->size)
			out->to[out->used] = *text;
}

static void put_number(struct text_out *out, uint64_t value)
{
	char digits[21];
	char *at = digits + sizeof(digits) - 1;

	*at = '\0';
	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	put_text(out, at);
}

static void put_bytes(struct text_out *out, uint64_t value)
{
	static const char *const suffixes[] = { "", "K", "M", "G", "T" };
	unsigned power = 0;

	while (value && !(value % 1024) && power + 1 < VIO_ARRAY_SIZE(suffixes)) {
		value /= 1024;
		power++;
	}
	put_number(out, value);
	put_text(out, suffixes[power]);
}

size_t vio_property_get(const struct vio_property *property, const void *structure, char *to, size_t size)
{
	const void *member = (const uint8_t *)structure + property->offset;
	struct text_out out = { to, size, 0 };

	switch (property->type) {
	case VIO_PROPERTY_BOOL:
		put_text(&out, *(const bool *)member ? "on" : "off");
		break;
	case VIO_PROPERTY_U8:
		put_number(&out, *(const uint8_t *)member);
		break;
	case VIO_PROPERTY_U16:
		put_number(&out, *(const uint16_t *)member);
		break;
	case VIO_PROPERTY_U32:
		put_number(&out, *(const uint32_t *)member);
		break;
	case VIO_PROPERTY_U64:
		put_number(&out, *(const uint64_t *)member);
		break;
	case VIO_PROPERTY_BYTES:
		put_bytes(&out, *(const uint64_t *)member);
		break;
	case VIO_PROPERTY_STRING:
		put_text(&out, member);
		break;
	case VIO_PROPERTY_CHOICE:
		put_text(&out, property->choices[*(const uint8_t *)member]);
		break;
	}
	if (size)
		to[out.used < size ? out.used : size - 1] = '\0';
	return out.used;
}
