#!/bin/sh
# Mutex, read-write lock, condition variable, barrier, once.
exec threads locks
