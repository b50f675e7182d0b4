#!/bin/sh
# Futexes by hand, and locks made of them.
exec pthreads futexes
