#!/bin/sh
# Read-write locks; with glibc in the program, and beside it.
pthreads rwlocks && exec pthreads-dynamic rwlocks
