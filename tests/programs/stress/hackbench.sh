#!/bin/sh
# Groups of senders and receivers, as processes and as threads, over pipes.
hackbench --pipe --groups 2 --loops 30 | grep -v Time
hackbench --pipe --threads --groups 2 --loops 30 | grep -v Time
hackbench --pipe --threads --groups 1 --fds 4 --loops 200 | grep -v Time
