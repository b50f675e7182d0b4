#!/bin/sh
# Many things at once, for a few seconds.
stress-ng --futex 1 --pthread 1 --clone 1 --fork 1 --vm 1 --vm-bytes 32M \
    --mutex 1 --switch 1 --pipe 1 --sigq 1 --malloc 1 --malloc-bytes 32M \
    --cpu 1 --timer 1 --dir 1 --verify --timeout 4 >log 2>&1
status=$?
if [ $status = 0 ] && ! grep -q 'fail:' log
then echo fine
else echo "status $status"; cat log
fi
