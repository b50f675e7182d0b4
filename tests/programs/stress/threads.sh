#!/bin/sh
# What has to do with threads, locks, scheduling and time.
. /tests/stressors.lib
# One worker of each, and many threads: a second worker that is told to end
# before it begins says that it failed, on Linux too.
each 1 100 futex mutex pthread clone context switch
each 1 10 affinity cpu crypt dekker eventfd exit-group hrtimers itimer
each 1 10 lockbus loadavg membarrier nanosleep nice peterson pipe race-sched
each 1 10 ring-pipe schedpolicy session timer timerfd
each 1 5 atomic matrix sleep vecmath wait
# Its operations do not count: it runs for as long as it is told.
stress-ng --sem 2 --verify --timeout 2 >log 2>&1 && echo "sem: fine" || cat log
