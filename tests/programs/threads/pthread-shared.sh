#!/bin/sh
# Locks between processes.
pthreads shared && exec pthreads-dynamic shared
