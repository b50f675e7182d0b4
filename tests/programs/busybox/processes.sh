#!/bin/sh
# status: 7
# Processes, jobs and signals.
sleep 0.05; usleep 1000; echo slept
(exit 3); echo $?; sh -c 'exit 4'; echo $?; sh -c 'kill -9 $$'; echo $?; sh -c 'kill -TERM $$'; echo $?
# Of a child that ends before the shell comes to wait for it, the shell says nothing.
sleep 100 & pid=$!; kill $pid; wait $pid 2>/dev/null; echo $?
sleep 100 & pid=$!; kill -STOP $pid; kill -CONT $pid; kill -KILL $pid; wait $pid 2>/dev/null; echo $?
kill -l 9; kill -l TERM
timeout 1 sleep 10; echo $?; timeout 5 true; echo $?
trap 'echo usr1' USR1; kill -USR1 $$; trap 'echo leaving' EXIT
(trap 'echo sub leaves' EXIT; exit 2); echo $?
setsid true; echo setsid $?; renice -n 1 $$ >/dev/null; echo renice $?; taskset -p $$ > /dev/null; echo taskset $?
env -i A=1 B=2 env | sort; env -u HOME sh -c 'echo ${HOME-unset}';
ps > ps.txt; head -n 1 ps.txt | grep -q PID && echo ps; pidof sh > /dev/null && echo pidof; (sleep 60 & usleep 200000; killall sleep; wait $! ; echo $?) 2>/dev/null
id -u; id -g; whoami; groups; logname 2>/dev/null; who; users 2>/dev/null; w >/dev/null; nproc > /dev/null && echo nproc; tty; ttysize 2>/dev/null
uname -s; uname -m; arch; hostid >/dev/null && echo hostid; uptime > /dev/null && echo uptime; free | head -n 1 | awk '{print $1,$2,$3}'
echo $((2+3*4)) $((7%3)) $((1<<10)) $((0x10)) $((-5/2))
time true 2>/dev/null; time -f %x true 2>/dev/null; echo $?
start-stop-daemon -S -x /bin/true; echo $?; watchdog 2>/dev/null; chpst 2>/dev/null
pipe() { echo 1; echo 2; echo 3; }; pipe | while read x; do echo "got $x"; done
seq 1 3 | (read a; cat; echo $a); echo a | cat - /dev/null | cat | cat | cat
f() { return 9; }; f; echo $?; set -- a b c; echo $# $2; shift; echo $1
for i in 1 2 3; do (sleep 0.0$i; echo $i >> slept) & done; wait; sort slept
# Each waits for the one that is started after it, whoever runs first.
mkfifo turn1 turn2 turn3
for i in 1 2 3; do (read x < turn$i; echo turn $i; [ $i = 1 ] || echo > turn$((i-1))) & done; echo > turn3; wait
exec 3> fd3; echo to three >&3; exec 3>&-; cat fd3; { echo out; echo err >&2; } 2>&1 | sort
cat <<X | sed s/x/y/
x$((1+1))x
X
ulimit -n > /dev/null && echo ulimit; umask; umask 077; touch u; stat -c %a u
ls /proc/self/fd | wc -l > /dev/null; cat /proc/self/comm; readlink /proc/self/exe; tr '\0' ' ' < /proc/self/cmdline; echo
test -t 0 || echo no terminal; 
setpriv --dump >/dev/null 2>&1; echo setpriv; mkpasswd -m md5 -S abcdefgh pass 2>/dev/null; cryptpw -m md5 -S abcdefgh pass 2>/dev/null
linux64 uname -m
sysctl -n kernel.ostype; dmesg >/dev/null 2>&1; lsof >/dev/null 2>&1; fuser / >/dev/null 2>&1; top -bn1 | head -n 1 | cut -c1-3; iostat >/dev/null 2>&1; pstree >/dev/null 2>&1; pmap $$ > /dev/null 2>&1; pwdx $$ 2>/dev/null
exit 7
