#!/bin/sh
# Thousands of threads that wait at once, and a process that ends while they do.
exec threads crowd
