#!/bin/sh
# rayon and crossbeam.
exec threads pools
