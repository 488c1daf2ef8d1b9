/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both roles of a split ring go to sleep and wake each other, with and without EVENT_IDX, on processors that
 * keep stores back (each role has a store buffer that drains when it likes, and at full barriers). A driver
 * that sleeps for good while a buffer is out, or a device that does while one waits, is a dead end and found.
 * The steps are those of vio_drvq_kick_prepare(), vio_drvq_get() and enable_cb() in split_driver.c, and of
 * avail_some(), vio_devq_enable_kick() and vio_devq_notify() in split_device.c.
 *
 * mutant: model: barrier(to_device, kick_prepare) => skip
 * mutant: model: barrier(to_device, enable_cb) => skip
 * mutant: model: barrier(to_driver, notify) => skip
 * mutant: model: barrier(to_driver, enable_kick) => skip
 * mutant: model: :: used_idx != used_next -> look_again => :: false -> skip
 * mutant: model: :: avail_idx != avail_next -> look_again => :: false -> skip
 * mutant: model: passed(avail_event, added, shown) => avail_event == added
 */
#define SIZE 2
#define BUFFERS 5
#define MASK 7 /* indices are modulo 8, as the real ones are modulo 65536 */
#define passed(event, now, before) (((now - event - 1) & MASK) < ((now - before) & MASK))

byte avail_idx, used_event, used_idx, avail_event;	/* shared memory */
bit driver_wants = 1, device_wants = 1;			/* its flags, where there is no EVENT_IDX */
bit kick, interrupt;					/* eventfds */
bit event_idx;

mtype = { AVAIL_IDX, USED_EVENT, USED_IDX, AVAIL_EVENT, DRIVER_WANTS, DEVICE_WANTS };
chan to_device = [4] of { mtype, byte };
chan to_driver = [4] of { mtype, byte };

#define barrier(buffer, where) empty(buffer)
#define look_again skip

proctype drain(chan buffer)
{
	mtype what;
	byte value;
end:	do
	:: atomic { buffer?what, value ->
		if
		:: what == AVAIL_IDX -> avail_idx = value
		:: what == USED_EVENT -> used_event = value
		:: what == USED_IDX -> used_idx = value
		:: what == AVAIL_EVENT -> avail_event = value
		:: what == DRIVER_WANTS -> driver_wants = value
		:: what == DEVICE_WANTS -> device_wants = value
		fi }
	od
}

proctype driver()
{
	byte added, shown, used_next, total, back, batch;
	bit due;

	do
	:: back == BUFFERS -> break
	:: total < BUFFERS && total - back < SIZE ->
		/* Adds one or as many as fit, then kicks. */
		shown = added;
		do
		:: total < BUFFERS && total - back < SIZE -> added = (added + 1) & MASK; total++
		:: shown != added -> break
		od;
		to_device!AVAIL_IDX, added;
		barrier(to_device, kick_prepare);
		if
		:: event_idx -> due = passed(avail_event, added, shown)
		:: else -> due = device_wants
		fi;
		if
		:: due -> kick = 1
		:: else -> skip
		fi;
	:: back < total ->
		/* Gets what is there; when that is nothing, asks to be told, looks again, and sleeps. */
		if
		:: used_idx != used_next -> used_next = (used_next + 1) & MASK; back++
		:: else ->
			if
			:: event_idx -> to_device!USED_EVENT, used_next
			:: else -> to_device!DRIVER_WANTS, 1
			fi;
			barrier(to_device, enable_cb);
			if
			:: used_idx != used_next -> look_again
			:: else ->
				interrupt == 1 -> interrupt = 0;
				if
				:: !event_idx -> to_device!DRIVER_WANTS, 0
				:: else -> skip
				fi
			fi
		fi
	od
}

proctype device()
{
	byte avail_next, used_next, visible, held;
	bit due;

end:	do
	:: avail_idx != avail_next -> avail_next = (avail_next + 1) & MASK; held++;
		if
		:: !event_idx -> to_driver!DEVICE_WANTS, 0
		:: else -> skip
		fi
	:: held > 0 ->
		/* Gives back one or all, then notifies. */
		do
		:: held > 0 -> held--; used_next = (used_next + 1) & MASK
		:: visible != used_next -> break
		od;
		to_driver!USED_IDX, used_next;
		barrier(to_driver, notify);
		if
		:: event_idx -> due = passed(used_event, used_next, visible)
		:: else -> due = driver_wants
		fi;
		visible = used_next;
		if
		:: due -> interrupt = 1
		:: else -> skip
		fi
	:: avail_idx == avail_next && held == 0 ->
		if
		:: event_idx -> to_driver!AVAIL_EVENT, avail_next
		:: else -> to_driver!DEVICE_WANTS, 1
		fi;
		barrier(to_driver, enable_kick);
		if
		:: avail_idx != avail_next -> look_again
		:: else ->
end_asleep:		kick == 1 -> kick = 0
		fi
	od
}

init {
	atomic {
		if
		:: event_idx = 1
		:: event_idx = 0
		fi;
		run drain(to_device);
		run drain(to_driver);
		run driver();
		run device();
	}
}
