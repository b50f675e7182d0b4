#!/bin/sh
# What has to do with threads, locks, scheduling and time.
. /tests/stressors.lib
# One worker of each, and many threads: a second worker that is told to end
# before it begins says that it failed, on Linux too.
each 1 100 futex pthread clone context switch
each 1 10 affinity cpu crypt dekker eventfd exit-group hrtimers itimer
each 1 10 lockbus membarrier nanosleep nice peterson pipe race-sched
each 1 10 ring-pipe schedpolicy session timer timerfd
each 1 5 atomic matrix sleep vecmath wait
# These run for as long as they are told: the operations of the first do not
# count; the threads of the second, which are real-time, may do theirs before
# the process that counts them has another turn; the third does not join the
# thread that it made last if there are enough operations by then, which goes on
# counting.
stress-ng --sem 2 --verify --timeout 2 >log 2>&1 && echo "sem: fine" || cat log
stress-ng --mutex 1 --verify --timeout 2 >log 2>&1 && ! grep -q fail: log &&
    echo "mutex: fine" || cat log
stress-ng --loadavg 1 --loadavg-max 64 --timeout 1 --verify >log 2>&1 &&
    echo "loadavg: fine" || cat log
