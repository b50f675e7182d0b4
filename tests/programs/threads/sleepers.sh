#!/bin/sh
# The locks of ochre-sync, asleep in the kernel's futexes.
exec threads sleepers
