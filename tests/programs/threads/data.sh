#!/bin/sh
# Plain data that atomics hand from thread to thread.
exec pthreads data
