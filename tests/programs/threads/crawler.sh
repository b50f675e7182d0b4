#!/bin/sh
# A crawler whose pages are files.
exec threads crawler
