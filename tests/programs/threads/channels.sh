#!/bin/sh
# Unbounded and bounded channels, with room for nothing, closed.
exec threads channels
