#!/bin/sh
# What has to do with memory.
. /tests/stressors.lib
each 2 20 brk dev-shm fault mincore mmapaddr mmapmany mprotect msync munmap
each 1 10 bigheap cache malloc mlock mmaphuge pageswap
each 1 10 readahead rmap shm stackmmap tlb-shootdown vm-splice
each 2 10 vm
