/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Workers (guest-agent/worker.c, workers.c): queue, park, unpark and meetings on two
 * CPUs, in every order. docs/models.md says which function of the code each step is.
 *
 * Shown:
 *	accepted work has run when the worker parks, and runs in the end	(assertions)
 *	once a park has begun, nothing is accepted				(assertion)
 *	a meeting is queued on all or on none					(assertion)
 *	nobody waits for ever							(end states)
 *
 * Deadlines are left out on purpose: none of this may need one. What is done under a lock
 * that everybody takes for it is one step here (atomic).
 *
 * Each of these breaks one rule, and the search has to find that:
 * Broken: FLUSH_BEFORE_DISABLE a park empties the queue first and stops accepting then
 * Broken: PARK_BEFORE_QUEUE the worker parks as soon as it is told, whatever is queued
 * Broken: ACCEPT_WHILE_PARKING work is accepted until the worker is parked
 * Broken: ONE_BY_ONE a meeting is queued on one worker after the other
 * Broken: ASK_WITHOUT_LOCKS a meeting asks whether all accept, and queues later
 * Broken: PARK_WITHOUT_WAKING a park does not wake the worker
 */

#define N     2 /* workers */
#define MEETS 2 /* meetings, of all workers */
#define WORK  2 /* an item that is no meeting: 0 and 1 are meetings */
#define NOTHING 3

bool held[N];      /* worker.lock */
bool accepting[N]; /* worker.enabled */
bool parked[N];
bool asleep[N];    /* in pthread_cond_wait(wake) */
bool parking[N];   /* a park has begun; only for the assertions */
chan queue[N] = [4] of { byte };

byte accepted[N], ran[N];
byte arrived[MEETS], left[MEETS];
byte over; /* processes that have ended */

inline lock(i)
{
	atomic { !held[i]; held[i] = true }
}

inline unlock(i)
{
	held[i] = false
}

/* worker_queue_locked(), once it has decided to accept */
inline put(i, what)
{
	atomic {
		assert(!parking[i]);
		queue[i]!what;
		accepted[i]++;
		asleep[i] = false
	}
}

#ifdef ACCEPT_WHILE_PARKING
#define ACCEPTS(i) (!parked[i])
#else
#define ACCEPTS(i) (accepting[i])
#endif

/* attend(): arrive(), the function, leave() */
inline do_item(i, what)
{
	if
	:: what == WORK -> ran[i]++
	:: else ->
		arrived[what]++;
		atomic {
			arrived[what] == N;
			ran[i]++;
			left[what]++
		}
	fi
}

/* settle_locked() */
inline settle(i)
{
	if
	:: !accepting[i] && !parked[i] ->
		assert(len(queue[i]) == 0 && accepted[i] == ran[i]);
		parked[i] = true
	:: else
	fi
}

/* worker_thread() */
proctype worker(byte i)
{
	byte what;

	do
	:: atomic {
		lock(i);
#ifdef PARK_BEFORE_QUEUE
		settle(i);
#endif
		if
		:: queue[i]?what
		:: empty(queue[i]) ->
			settle(i);
			asleep[i] = true;
			what = NOTHING
		fi;
		unlock(i)
	   };
	   if
	   :: what != NOTHING -> do_item(i, what)
	   :: else ->
end_asleep:	!asleep[i]
	   fi
	od
}

/* worker_queue() */
proctype queuer(byte i)
{
	atomic {
		lock(i);
		if
		:: ACCEPTS(i) -> put(i, WORK)
		:: else
		fi;
		unlock(i);
		over++
	}
}

/* worker_park(), and worker_unpark() after it */
proctype parker(byte i)
{
#ifdef FLUSH_BEFORE_DISABLE
	empty(queue[i]) && asleep[i];
	atomic {
		lock(i);
		accepting[i] = false;
		parked[i] = true
	};
#else
	atomic {
		lock(i);
		parking[i] = true;
		accepting[i] = false;
#ifndef PARK_WITHOUT_WAKING
		asleep[i] = false;
#endif
		unlock(i)
	};
	/* wait_settled_locked() */
	atomic {
		parked[i];
		lock(i)
	};
#endif
	atomic {
		assert(len(queue[i]) == 0 && accepted[i] == ran[i]);
		unlock(i)
	};
	atomic {
		lock(i);
		parking[i] = false;
		parked[i] = false;
		accepting[i] = true;
		unlock(i);
		over++
	}
}

/* workers_rendezvous(): lock_all(), queue_all_locked(), unlock_all(), wait_left() */
proctype meeter(byte m; byte first)
{
	bool here, there;

#ifdef ONE_BY_ONE
	atomic {
		lock(first);
		if
		:: ACCEPTS(first) -> put(first, m); here = true
		:: else
		fi;
		unlock(first)
	};
	atomic {
		lock(1 - first);
		if
		:: here && ACCEPTS(1 - first) -> put(1 - first, m); there = true
		:: else
		fi;
		unlock(1 - first)
	};
#else
#ifdef ASK_WITHOUT_LOCKS
	atomic {
		here = ACCEPTS(0) && ACCEPTS(1);
		there = here
	};
#endif
	lock(0);
	atomic {
		lock(1);
#ifndef ASK_WITHOUT_LOCKS
		here = ACCEPTS(0) && ACCEPTS(1);
		there = here;
#endif
		if
		:: here -> put(0, m); put(1, m)
		:: else
		fi;
		unlock(1);
		unlock(0)
	};
#endif
	assert(here == there);
	if
	:: here -> left[m] == N
	:: else
	fi;
	over++
}

init {
	byte i;

	atomic {
		for (i : 0 .. N - 1) {
			accepting[i] = true;
			run worker(i);
			run queuer(i);
			run parker(i)
		}
		run meeter(0, 0);
		run meeter(1, 1)
	}
	over == 2 * N + MEETS;
	/* Everybody has come back, and what they left behind has run. */
	asleep[0] && asleep[1];
	assert(accepted[0] == ran[0] && accepted[1] == ran[1])
}
