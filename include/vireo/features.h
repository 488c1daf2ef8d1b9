/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIREO_FEATURES_H
#define VIREO_FEATURES_H

#include <vireo/base.h>
#include <vireo/spec/virtio_config.h>

/*
 * A set of feature bits. VIRTIO 1.4 defines bits above 63, so the set has 128;
 * a transport that carries fewer cuts it with vio_features_low().
 */
#define VIO_FEATURE_BITS 128u

struct vio_features {
	uint64_t word[VIO_FEATURE_BITS / 64];
};

#define VIO_FEATURES_NONE ((struct vio_features){ { 0, 0 } })

static inline bool vio_features_has(const struct vio_features *set, unsigned bit)
{
	return bit < VIO_FEATURE_BITS && (set->word[bit / 64] >> (bit % 64) & 1);
}

static inline void vio_features_set(struct vio_features *set, unsigned bit)
{
	set->word[bit / 64] |= UINT64_C(1) << (bit % 64);
}

static inline void vio_features_clear(struct vio_features *set, unsigned bit)
{
	set->word[bit / 64] &= ~(UINT64_C(1) << (bit % 64));
}

/* The set whose bits 0..63 are given; what a transport with one 64-bit word carries. */
static inline struct vio_features vio_features_low(uint64_t word)
{
	return (struct vio_features){ { word, 0 } };
}

static inline struct vio_features vio_features_and(struct vio_features a, struct vio_features b)
{
	return (struct vio_features){ { a.word[0] & b.word[0], a.word[1] & b.word[1] } };
}

static inline struct vio_features vio_features_or(struct vio_features a, struct vio_features b)
{
	return (struct vio_features){ { a.word[0] | b.word[0], a.word[1] | b.word[1] } };
}

/* What is in `a` and not in `b`. */
static inline struct vio_features vio_features_minus(struct vio_features a, struct vio_features b)
{
	return (struct vio_features){ { a.word[0] & ~b.word[0], a.word[1] & ~b.word[1] } };
}

static inline bool vio_features_empty(struct vio_features set)
{
	return !(set.word[0] | set.word[1]);
}

static inline bool vio_features_equal(struct vio_features a, struct vio_features b)
{
	return a.word[0] == b.word[0] && a.word[1] == b.word[1];
}

#endif
