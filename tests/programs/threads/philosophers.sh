#!/bin/sh
# Five philosophers, five chopsticks, a hundred rounds each.
exec threads philosophers
