#!/bin/sh
# Starting, joining, panicking, naming, borrowing, sharing.
exec threads basics
