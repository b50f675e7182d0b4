#!/bin/sh
# Mutexes that lift who holds them; with glibc in the program, and beside it.
pthreads inheriting && exec pthreads-dynamic inheriting
