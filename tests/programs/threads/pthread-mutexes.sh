#!/bin/sh
# Every kind of mutex; with glibc in the program, and beside it.
pthreads mutexes && exec pthreads-dynamic mutexes
