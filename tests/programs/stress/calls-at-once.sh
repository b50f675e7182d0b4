#!/bin/sh
# What asks the kernel for one thing after the other, all at the same time; and
# what must not be root for it: calls with every wrong argument there is.
. /tests/stressors.lib
at_once 3 '' aio cap clock daemon dynlib fpunch full get getrandom inode-flags
at_once 3 '' klog lease link opcode pipeherd procfs seccomp sigio symlink vforkmany
nobody='start-stop-daemon -S -c nobody:nogroup -x /usr/bin/stress-ng --'
mkdir -m 777 own && cd own
at_once 2 --pathological exec spawn sysinval
