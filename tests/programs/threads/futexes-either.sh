#!/bin/sh
# Waiting at two words at once.
exec pthreads either
