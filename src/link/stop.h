/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VIO_LINK_STOP_H
#define VIO_LINK_STOP_H

/*
 * Places between fetching a request and telling of its answer, where a test kills the back end to see whether
 * another one can go on. A build with VIO_STOP_POINTS brings link_stop_point(); in all others there is none.
 */
enum link_stop {
	LINK_STOP_KICKED,      /* the kick was taken, nothing else */
	LINK_STOP_TAKEN,       /* buffers were taken, and nobody knows it */
	LINK_STOP_COUNTED,     /* the first has its counter */
	LINK_STOP_MARKED,      /* the first is in flight */
	LINK_STOP_ALL_MARKED,  /* all are */
	LINK_STOP_GIVEN,       /* an answer was pushed */
	LINK_STOP_LISTING,     /* the first of a batch is in its list */
	LINK_STOP_LISTED,      /* all of them, and the driver sees none */
	LINK_STOP_SHOWN,       /* the driver sees them */
	LINK_STOP_CLEARED,     /* the first isn't in flight any more */
	LINK_STOP_ALL_CLEARED, /* none of them, but the batch isn't closed */
	LINK_STOP_SETTLED,     /* it is closed, and the driver wasn't told */
	LINK_STOP_INTERRUPTED, /* the driver was told */
	LINK_STOP_RECOVERED,   /* a new back end has mended what the old one left */
	LINK_STOP_AGAIN,       /* and takes the first request once more */
	LINK_STOP_COUNT,
};

#ifdef VIO_STOP_POINTS
void link_stop_point(enum link_stop at);
#else
static inline void link_stop_point(enum link_stop at)
{
	(void)at;
}
#endif

#endif
