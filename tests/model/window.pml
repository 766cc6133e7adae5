/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The migration window (guest-agent/window*.c) and a user who writes cpu7/online
 * meanwhile, with a host that may vanish, leases that run out, a CPU that refuses to
 * go, and an agent that may be killed at every point and is started again.
 *
 * A CPU is two bits: what the driver core says (cpu7/online) and what is in the
 * kernel's mask. device_online() compares the first and changes both; cpu_up() and
 * cpu_down() know only the second.
 *
 * Shown:
 *	when no window is open, driver core and kernel agree		(assertion)
 *	a window's end gives the lock back, whatever happened		(assertion)
 *	with the guard, what a user asked for last is what is there	(assertion)
 *	what nobody asked for is as it was before the window		(assertion)
 *	no window stays open for ever					(end states)
 *
 * Also while a restore is pending: whoever writes to the CPU then has the last word,
 * and nothing is owed any more.
 *
 * Not claimed: what becomes of a user's write without the guard, or while the agent is
 * dead, or of one to a CPU that is owed, if the agent is killed before it has taken note of
 * it. Such a write is "unclear".
 *
 * docs/models.md says which function of the code each step is.
 *
 * Each of these breaks one rule, and the search has to find that:
 * Broken: BYPASS forced onlining goes through the driver core
 * Broken: RECORD_AFTERWARDS the record is on disk before a CPU is forced
 * Broken: NO_LEASE a window whose host is gone closes by itself
 * Broken: PENDING_KEEPS_LOCK a close gives the lock back, always
 * Broken: RELEASE_FIRST the lock is held until the CPUs are restored
 * Broken: RELEASE_BEFORE_RECORD the record knows the end before the lock is free
 * Broken: CLOSE_TWICE a second close restores nothing
 * Broken: PENDING_OVERRULES what a user sets while a restore is pending stays
 * Broken: OLD_WISHES what a user set before a window is no wish in it
 * Broken: FORGET_WINDOW an agent that starts finds the window of the one before
 *
 * The first is the defect that the whole design is against. How it comes about is
 * printed, as the shortest list of steps that leads there:
 * Trace: BYPASS
 */

#define WRITES 3 /* of the user */
#define ASKS   3 /* of the host */
#define KILLS  1

mtype = { CLOSED, OPEN, PENDING, ASK_OPEN, ASK_CLOSE };

bool dev = true, kern = true; /* cpu7 */

bool guarded; /* fanotify holds writers while the lock is held */
bool alive = true, killed;

/* The agent's memory */
bool held;
mtype win = CLOSED;
bool forced;
bool wish; /* the guard has seen a user's write; taken and forgotten by honour() */
#ifdef CLOSE_TWICE
bool was_forced;
#endif

/* /run/lockstep */
mtype rec = CLOSED;
bool rec_forced;

byte refusals = 1; /* how often cpu7 may still refuse to go */

/* What must be there in the end: a user's last word, or what was there at first. */
bool wanted = true, unclear;

chan ask = [1] of { mtype };

inline write_online(value)
{
	d_step {
		if
		:: dev == value /* already: nothing happens */
		:: else -> kern = value; dev = value
		fi
	}
}

inline save()
{
	d_step { rec = win; rec_forced = forced }
}

inline force()
{
	if
	:: atomic {
		forced ->
#ifdef BYPASS
		kern = true;
		printf("the window forces cpu7 online: cpu_up()\n")
#else
		write_online(true)
#endif
	   }
	:: !forced
	fi
}

/*
 * What a user has written since the last time is not owed; nor, while a restore is
 * pending, is a CPU that is offline by whoever's hand.
 */
inline honour()
{
#ifdef PENDING_OVERRULES
	skip
#else
	d_step {
		if
		:: wish || (win == PENDING && !dev && !kern) ->
			forced = false;
			wish = false;
			win = (win == PENDING -> CLOSED : win);
			save()
		:: else
		fi
	}
#endif
}

/* Take cpu7 offline again, if we brought it online. It may refuse. */
inline restore()
{
	if
	:: atomic { forced && refusals > 0 -> refusals-- } /* it stays in the mask */
	:: atomic {
		forced ->
#ifdef BYPASS
		kern = false;
		printf("the window restores cpu7 to offline: cpu_down()\n");
#else
		write_online(false);
#endif
		forced = false
	   }
	:: !forced
	fi
}

#ifdef BYPASS
#define OPENING atomic /* the mask is taken and acted on at once, as in the seed's kernel */
#else
#define OPENING
#endif

inline check()
{
	d_step {
		assert(dev == kern);
		assert(!held)
	}
}

inline open_window()
{
	OPENING {
		d_step { held = true; win = OPEN }
		save();
#ifndef OLD_WISHES
		honour();
#endif
		forced = !dev || forced;
#ifdef CLOSE_TWICE
		was_forced = forced;
#endif
#ifndef RECORD_AFTERWARDS
		save();
#endif
		force()
	}
	save()
}

/* Also for what is pending: the lock is taken for that (close_pending()). */
inline close_window()
{
	held = true;
#ifdef RELEASE_FIRST
	held = false;
#endif
	honour();
	restore();
	d_step {
		win = (forced -> PENDING : CLOSED);
#ifdef RELEASE_BEFORE_RECORD
		held = false
#endif
	}
	save();
#ifdef PENDING_KEEPS_LOCK
	held = forced;
#else
	held = false;
#endif
	if
	:: win == CLOSED -> check()
	:: else -> assert(!held)
	fi
}

inline load()
{
	d_step {
		alive = true;
		killed = false;
#ifndef FORGET_WINDOW
		held = (rec == OPEN);
		forced = rec_forced && dev && kern; /* not what went while no agent ran */
		win = (rec == PENDING && !forced -> CLOSED : rec);
		save();
#endif
		wish = false
	}
}

inline serve()
{
	do
	:: win == CLOSED ->
end_idle:	if
		:: ask?ASK_OPEN -> open_window()
		:: ask?ASK_CLOSE /* already */
#ifdef CLOSE_TWICE
			if
			:: was_forced -> write_online(false)
			:: else
			fi
#endif
		fi
	:: win != CLOSED ->
		if
		:: ask?ASK_OPEN ->
			if
			:: win == PENDING -> open_window()
			:: else /* already */
			fi
		:: ask?ASK_CLOSE -> close_window()
#ifndef NO_LEASE
		:: win == OPEN -> close_window() /* expiry */
#endif
		:: win == PENDING -> close_window() /* lockstep-doctor with fix */
		:: win == PENDING && (wish || !dev) -> honour() /* as after every scan */
		fi
	od
}

proctype agent()
{
	bool lost;

again:	{ serve() } unless { killed };
	d_step {
		lost = wish && forced;
		alive = false; held = false; win = CLOSED; forced = false;
		unclear = unclear || lost
	}
	load();
	goto again
}

proctype killer()
{
	byte n;

	do
	:: n < KILLS -> killed = true; n++
	:: break
	od
}

/* It may stop at any point: a host that is gone. */
proctype host()
{
	byte n;

	do
	:: n < ASKS -> ask!ASK_OPEN; n++
	:: n < ASKS -> ask!ASK_CLOSE; n++
	:: break
	od
}

inline user_writes(value)
{
	write_online(value);
	wanted = value;
	wish = wish || (guarded && alive);
	unclear = !guarded || !alive;
	if
	:: value -> printf("a user sets cpu7 online via sysfs\n")
	:: else -> printf("a user sets cpu7 offline via sysfs\n")
	fi
}

proctype user()
{
	byte n;

	do
	:: n < WRITES ->
		if
		:: atomic { !guarded || !held -> user_writes(true) }
		:: atomic { !guarded || !held -> user_writes(false) }
		fi;
		n++
	:: break
	od
}

init {
	atomic {
		if
		:: guarded = true
		:: guarded = false
		fi;
		run agent();
		run host();
		run killer();
		run user()
	}
	/* Everybody else has ended, and no window is open. */
	atomic {
		_nr_pr == 2 && win == CLOSED && !held && alive && !killed && rec == CLOSED ->
		check();
		assert(unclear || dev == wanted)
	}
}
