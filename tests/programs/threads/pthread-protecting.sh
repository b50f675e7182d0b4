#!/bin/sh
# Mutexes with a priority of their own. They need the right to real-time
# priorities, which a host may not give.
pthreads protecting && exec pthreads-dynamic protecting
