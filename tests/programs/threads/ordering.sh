#!/bin/sh
# What one thread sees of what another wrote.
exec threads ordering
