#!/bin/sh
# Files that take half of what memory there is, one after another: what one had
# is there for the next, however it ends. The machine has 768 MiB; a host is not
# asked for them.
fill() {
	dd if=/dev/zero of="$1" bs=1M count=300 2>/dev/null && stat -c %s "$1"
}

for round in 1 2 3; do
	echo "removed, $round"
	fill file
	rm file
	echo "made short, $round"
	fill file
	: >file
	echo "removed while it is open, $round"
	fill file
	exec 3<file
	rm file
	exec 3<&-
	echo "renamed over, $round"
	fill other
	: >file
	mv file other
	stat -c %s other
	rm other
done
