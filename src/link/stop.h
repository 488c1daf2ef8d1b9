/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_STOP_H
#define VIO_LINK_STOP_H

/*
 * Places between fetching a request and telling of its answer, where a test kills the back end to see whether
 * another one can go on. A build with VIO_STOP_POINTS brings vu_stop_point(); in all others there is none.
 */
enum vu_stop {
	VU_STOP_KICKED,      /* the kick was taken, nothing else */
	VU_STOP_TAKEN,       /* buffers were taken, and nobody knows it */
	VU_STOP_COUNTED,     /* the first has its counter */
	VU_STOP_MARKED,      /* the first is in flight */
	VU_STOP_ALL_MARKED,  /* all are */
	VU_STOP_GIVEN,       /* an answer was pushed */
	VU_STOP_LISTING,     /* the first of a batch is in its list */
	VU_STOP_LISTED,      /* all of them, and the driver sees none */
	VU_STOP_SHOWN,       /* the driver sees them */
	VU_STOP_CLEARED,     /* the first isn't in flight any more */
	VU_STOP_ALL_CLEARED, /* none of them, but the batch isn't closed */
	VU_STOP_SETTLED,     /* it is closed, and the driver wasn't told */
	VU_STOP_INTERRUPTED, /* the driver was told */
	VU_STOP_RECOVERED,   /* a new back end has mended what the old one left */
	VU_STOP_AGAIN,       /* and takes the first request once more */
	VU_STOP_COUNT,
};

#ifdef VIO_STOP_POINTS
void vu_stop_point(enum vu_stop at);
#else
static inline void vu_stop_point(enum vu_stop at)
{
	(void)at;
}
#endif

#endif
