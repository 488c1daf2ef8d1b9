/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The same as split_wakeup for the packed ring: both roles sleep and wake each other, by flags alone
 * and by descriptor position (EVENT_IDX), on processors with store buffers. Positions run over two
 * laps of the ring, which is what an offset and a wrap counter are. The steps are those of
 * vio_drvq_kick_prepare(), vio_drvq_get() and enable_cb() in packed_driver.c, and of pop,
 * vio_devq_enable_kick() and vio_devq_notify() in packed_device.c.
 *
 * mutant: model: barrier(to_device, kick_prepare) => skip
 * mutant: model: barrier(to_device, enable_cb) => skip
 * mutant: model: barrier(to_driver, notify) => skip
 * mutant: model: barrier(to_driver, enable_kick) => skip
 * mutant: model: :: is_used(used_next) -> look_again => :: false -> skip
 * mutant: model: :: is_avail(avail_next) -> look_again => :: false -> skip
 * mutant: model: due = passed(at, added, shown) => due = (at == added)
 * mutant: model: to_driver!DEVICE_AT, avail_next; => to_driver!DEVICE_AT, avail_next % SIZE;
 */
#define SIZE 2
#define LAPS 4 /* two of them */
#define BUFFERS 6
#define passed(event, now, before) (((now + LAPS - event - 1) % LAPS) < ((now + LAPS - before) % LAPS))
#define next_of(position) ((position + 1) % LAPS)
#define wrap(position) (1 - position / SIZE)
/* The two flags of a descriptor as one number: 2 is AVAIL, 1 is USED. */
#define avail_flags(position) (2 * wrap(position) + (1 - wrap(position)))
#define used_flags(position) (3 * wrap(position))
#define is_avail(position) (slot[position % SIZE] == avail_flags(position))
#define is_used(position) (slot[position % SIZE] == used_flags(position))
#define barrier(buffer, where) empty(buffer)
#define look_again skip

#define ENABLE 0
#define DISABLE 1
#define DESC 2

byte slot[SIZE];			/* shared memory */
byte driver_says, driver_at;		/* its event suppression structure */
byte device_says, device_at;		/* and the device's */
bit kick, interrupt;			/* eventfds */
bit event_idx;

mtype = { SLOT_0, SLOT_1, DRIVER_SAYS, DRIVER_AT, DEVICE_SAYS, DEVICE_AT };
chan to_device = [4] of { mtype, byte };
chan to_driver = [4] of { mtype, byte };

inline store_slot(buffer, position, flags)
{
	if
	:: position % SIZE == 0 -> buffer!SLOT_0, flags
	:: position % SIZE == 1 -> buffer!SLOT_1, flags
	fi
}

proctype drain(chan buffer)
{
	mtype what;
	byte value;
end:	do
	:: atomic { buffer?what, value ->
		if
		:: what == SLOT_0 -> slot[0] = value
		:: what == SLOT_1 -> slot[1] = value
		:: what == DRIVER_SAYS -> driver_says = value
		:: what == DRIVER_AT -> driver_at = value
		:: what == DEVICE_SAYS -> device_says = value
		:: what == DEVICE_AT -> device_at = value
		fi }
	od
}

proctype driver()
{
	byte added, shown, used_next, total, back, says, at;
	bit due;

	do
	:: back == BUFFERS -> break
	:: total < BUFFERS && total - back < SIZE ->
		shown = added;
		do
		:: total < BUFFERS && total - back < SIZE ->
			store_slot(to_device, added, avail_flags(added));
			added = next_of(added);
			total++
		:: shown != added -> break
		od;
		barrier(to_device, kick_prepare);
		says = device_says;
		at = device_at;
		if
		:: says == DESC -> due = passed(at, added, shown)
		:: says == ENABLE -> due = 1
		:: says == DISABLE -> due = 0
		fi;
		if
		:: due -> kick = 1
		:: else -> skip
		fi
	:: back < total ->
		if
		:: is_used(used_next) -> used_next = next_of(used_next); back++
		:: else ->
			if
			:: event_idx -> to_device!DRIVER_AT, used_next; to_device!DRIVER_SAYS, DESC
			:: else -> to_device!DRIVER_SAYS, ENABLE
			fi;
			barrier(to_device, enable_cb);
			if
			:: is_used(used_next) -> look_again
			:: else ->
				interrupt == 1 -> interrupt = 0;
				if
				:: to_device!DRIVER_SAYS, DISABLE
				:: skip
				fi
			fi
		fi
	od
}

proctype device()
{
	byte avail_next, used_next, visible, held, says, at;
	bit due;

end:	do
	:: held < SIZE && is_avail(avail_next) ->
		avail_next = next_of(avail_next);
		held++;
		if
		:: to_driver!DEVICE_SAYS, DISABLE
		:: skip
		fi
	:: held > 0 ->
		do
		:: held > 0 ->
			store_slot(to_driver, used_next, used_flags(used_next));
			held--;
			used_next = next_of(used_next)
		:: visible != used_next -> break
		od;
		barrier(to_driver, notify);
		says = driver_says;
		at = driver_at;
		if
		:: says == DESC -> due = passed(at, used_next, visible)
		:: says == ENABLE -> due = 1
		:: says == DISABLE -> due = 0
		fi;
		visible = used_next;
		if
		:: due -> interrupt = 1
		:: else -> skip
		fi
	:: held == 0 && !is_avail(avail_next) ->
		if
		:: event_idx -> to_driver!DEVICE_AT, avail_next; to_driver!DEVICE_SAYS, DESC
		:: else -> to_driver!DEVICE_SAYS, ENABLE
		fi;
		barrier(to_driver, enable_kick);
		if
		:: is_avail(avail_next) -> look_again
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
