#!/bin/sh
# Cancellation in every kind of wait.
pthreads cancel && exec pthreads-dynamic cancel
