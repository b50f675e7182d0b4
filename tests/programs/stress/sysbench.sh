#!/bin/sh
# Threads that lock, yield and compute; only what does not depend on time is shown.
counts() {
    sysbench "$@" run >log 2>&1 || echo "status $?"
    grep -e 'Number of threads' -e 'total number of events' \
        -e 'FATAL' -e 'error' log
}
counts threads --threads=4 --events=100 --time=60 --thread-yields=100
counts mutex --threads=4 --mutex-num=8 --mutex-locks=500 --mutex-loops=100
counts cpu --threads=2 --events=40 --time=60 --cpu-max-prime=2000
