#!/bin/sh
# What has to do with processes and signals.
. /tests/stressors.lib
each 2 50 fork vfork zombie kill
each 1 10 alarm bad-altstack copy-file dup env enosys getdent kcmp longjmp
each 1 10 personality pkey prctl priv-instr resched rlimit session sigabrt
each 1 10 sigchld sigfd sigfpe signal signest sigpending sigpipe sigq sigrt
each 1 10 sigsegv sigsuspend sigtrap sysbadaddr sysinfo urandom
