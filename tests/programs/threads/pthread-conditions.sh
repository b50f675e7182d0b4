#!/bin/sh
# Condition variables with both clocks.
pthreads conditions && exec pthreads-dynamic conditions
