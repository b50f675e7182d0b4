#!/bin/sh
# What a process finds of itself, and of others, in /proc.

wc -w < /proc/self/stat
cut -d ' ' -f 2 /proc/self/stat
wc -w < /proc/self/statm
tr '\0' '|' < /proc/self/cmdline; echo
cat /proc/self/comm
readlink /proc/self/cwd
sed -n 's/^\(Name\|Tgid\|Threads\|TracerPid\):.*/\1/p' /proc/self/status
head -1 /proc/self/limits

# Descriptors, files that are gone, writing through a link.
exec 4> gone
rm gone
echo kept >&4
readlink /proc/$$/fd/4 | sed 's,.*/,,'
cat /proc/$$/fd/4
exec 4>&-
[ -e /proc/$$/fd/4 ] || echo closed
sed -n 's/^\(pos\):.*/\1/p' /proc/self/fdinfo/0

# Somebody else, alive and dead.
sleep 100 &
other=$!
until tr '\0' ' ' < /proc/$other/cmdline | grep '^sleep 100 $'; do sleep 0.01; done
until [ "$(cut -d ' ' -f 3 /proc/$other/stat)" = S ]; do sleep 0.01; done
ls /proc/$other/task | wc -l
ps -o pid,comm,stat,nice,args | awk -v p=$other '$1 == p {print $2, $3, $4, $5, $6}'
ps | awk -v p=$other '$1 == p {print $NF}'
top -bn1 | awk -v p=$other 'NR <= 4 {print $1} $1 == p {print $3, $4, $NF}'
kill $other
wait $other 2> /dev/null
echo $?
[ -d /proc/$other ] || echo gone
cat /proc/999999999/stat 2>&1 | sed 's/.*: //'

# Pieces fit together.
dd if=/proc/self/status bs=7 2>/dev/null | head -1
cat /proc/sys/kernel/ostype
