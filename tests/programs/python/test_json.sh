#!/bin/sh
# Python's own tests of json; times and addresses stay out.
exec python3 -m test -q test_json 2>&1 | grep -v -i 'duration\|using random seed\|[0-9.]* sec\|load avg'
