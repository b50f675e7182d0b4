#!/bin/sh
# Parking and unparking.
exec threads parking
