#!/bin/sh
# Barrier, once, spin lock, semaphore, keys, joining, signals.
pthreads others && exec pthreads-dynamic others
