#!/bin/sh
# Flags, counts, statistics, numbers given out, values made once.
exec threads atomics
