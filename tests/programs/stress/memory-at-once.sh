#!/bin/sh
# What has to do with memory, all at the same time.
. /tests/stressors.lib
at_once 2 '--memfd-bytes 4M --mmap-bytes 4M --mremap-bytes 4M' \
    madvise mcontend memfd mmap mmapfixed mmapfork mremap
at_once 2 '' msyncmany numa pagemove physpage seal shm-sysv stack vm-addr vm-rw
