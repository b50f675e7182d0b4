#!/bin/sh
# Python's own tests of dict; times and addresses stay out.
exec python3 -m test -q test_dict 2>&1 | grep -v -i 'duration\|using random seed\|[0-9]\.[0-9]* sec\|load avg'
