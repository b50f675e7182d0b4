#!/bin/sh
# What memory is promised, by each policy. It sets policies, so it is not run
# on a host; the machine has 768 MiB.
committed() { sed -n 's/^Committed_AS: *\([0-9]*\) kB/\1/p' /proc/meminfo; }
try() {
	# Its buffer is as large as that, and never touched.
	if dd if=/dev/zero of=/dev/null bs="$1M" count=0 2>/dev/null; then
		echo "$1 MiB: yes"
	else
		echo "$1 MiB: no"
	fi
}
cd /proc/sys/vm || exit
cat overcommit_memory overcommit_ratio overcommit_kbytes
first=$(committed)
for policy in 0 1 2; do
	echo "policy $policy"
	echo $policy >overcommit_memory
	try 100
	try 600
	try 1000
done
echo "nine tenths"
echo 90 >overcommit_ratio
try 600
echo "a number"
echo 200000 >overcommit_kbytes
cat overcommit_ratio
sed -n '/^CommitLimit/p' /proc/meminfo
try 100
try 600
echo 3 2>/dev/null >overcommit_memory || echo "no policy 3"
echo 0 >overcommit_memory
echo 50 >overcommit_ratio
cat overcommit_memory overcommit_ratio overcommit_kbytes
more=$(($(committed) - first))
if [ $more -lt 1000 ] && [ $more -gt -1000 ]; then
	echo "all given back"
else
	echo "$more KiB more are promised"
fi
