#!/bin/busybox sh
# What the kernel tells of itself holds no address of the kernel's, page tables
# apart, which show those to whoever may administer the machine.
pattern='ffff[89a-f][0-9a-f]{11}'
{
    find /proc /sys -type f 2>/dev/null |
        grep -vE '^/proc/ochre/pagetable/|/(mem|pagemap|kmsg|clear_refs)$' |
        while read -r file; do
            busybox timeout 5 cat "$file" 2>/dev/null | grep -aqiE "$pattern" && echo "$file"
        done
    dmesg | grep -aiE "$pattern"
    ls -l /proc/self/fd /proc/1/fd 2>/dev/null | grep -aiE "$pattern"
} >/tmp/found
test -s /tmp/found || echo nothing
cat /tmp/found
# There is something to look at, and the search would find one.
find /proc -type f 2>/dev/null | wc -l | grep -qE '^[0-9]{2,}$' && echo files
echo 'at FFFF800000001000' | grep -qiE "$pattern" && echo pattern
# A number that names a pipe is none either.
: | stat -L -c %i /dev/stdin | grep -qE '^[0-9]{1,6}$' && echo small
