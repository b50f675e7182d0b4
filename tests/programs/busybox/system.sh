#!/bin/sh
# What the system says: mounts, memory, /proc.
mount | grep -q ' /proc ' && echo proc; grep -c MemTotal /proc/meminfo; cat /proc/sys/kernel/ostype; test -e /proc/self/status && echo status
awk '/^Name/{print $2}' /proc/self/status; cut -d' ' -f2 /proc/self/stat; ls -d /proc/1; test -r /proc/uptime && echo uptime; cat /proc/filesystems | grep -c -w proc
mkdir m; mount -t tmpfs none m && echo mounted; echo x > m/f; cat m/f; df m | tail -n 1 | awk '{print $1,$6}' | sed 's|/tmp.*|m|'; umount m; ls m | wc -l
mkdir b; mkdir src; echo s > src/f; mount -o bind src b; cat b/f; umount b; ls b | wc -l
od -An -N4 -tx1 /dev/zero; head -c 10 /dev/urandom | wc -c; echo x > /dev/full; echo $?; cat /dev/null; ls -l /dev/null | cut -c1; ls /dev/tty > /dev/null && echo tty
hostname guest-test; hostname; uname -n; freeramdisk 2>/dev/null; lsmod > /dev/null 2>&1; sysctl kernel.hostname
date +%s | grep -c '^[0-9]*$'; hwclock > /dev/null 2>&1; [ $(date +%Y) -gt 2023 ] && echo year
mdev 2>/dev/null; swapon -s 2>/dev/null | head -n 0; blockdev 2>/dev/null; losetup 2>/dev/null | head -n 0; getty 2>/dev/null; klogd 2>/dev/null < /dev/null & wait; devmem 2>/dev/null; echo end
