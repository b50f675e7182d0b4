#!/bin/sh
# Priority inversion, and how inheritance bounds it. It needs the right to
# real-time priorities, which a host may not give.
pthreads inversion && exec pthreads-dynamic inversion
