#!/bin/sh
# Python's own tests of list; times and addresses stay out.
exec python3 -m test -q test_list 2>&1 | grep -v -i 'duration\|using random seed\|[0-9]\.[0-9]* sec\|load avg'
