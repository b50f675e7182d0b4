#!/bin/sh
# status: 0
# What procps reads of processes in /proc.
export TERM=dumb
sleep 1000 & pid=$!
until [ "$(ps -o comm=,state= -p $pid)" = "sleep           S" ]; do sleep 0.01; done
ps -o comm=,state=,ni=,nlwp=,args= -p $pid
ps -o user=,group=,cls=,rtprio=,pri= -p $pid
[ "$(ps -o ppid= -p $pid)" -eq $$ ] && echo parent
[ "$(ps -o pid= -p $$)" -eq $$ ] && echo pid
ps -o comm= --ppid $$ | sort
ps -o vsz=,rss=,size=,sz= -p $pid | awk '{print ($1 > 0), ($2 > 0), ($1 >= $2), ($3 > 0), ($4 > 0)}'
ps -o etimes=,cputimes= -p $pid | awk '{print ($1 < 1000), ($2 < 1000)}'
ps -o %cpu=,%mem= -p $pid | awk '{print NF}'
ps -T -p $pid | wc -l; ps -L -o lwp= -p $pid | wc -l
# Columns are as wide as the largest number that the machine gives.
for form in aux -ef -eLf -ely axjf axv; do ps $form | head -n1 | tr -s ' '; done
ps -e -o comm= | grep -c '^sleep$'; ps -C sleep -o args=; ps -p 999999 -o comm=; echo $?
nice -n 5 sleep 1001 & other=$!
until [ "$(ps -o args= -p $other)" = "sleep 1001" ]; do sleep 0.01; done
ps -o ni=,pri= -p $other; ps -o args= --sort=-ni -p $pid,$other
# A share of 100.0 leaves no space behind the colon.
top -bn1 | head -n7 | sed 's/:.*/:/' | awk '{print $1}'
top -bn1 -p $pid,$other | tail -n2 | awk '{print $2, $4, $8, $12}' | sort
top -bHn1 -p $pid | tail -n1 | awk '{print $12}'
[ "$(pgrep -P $$ -f 'sleep 1000')" = $pid ] && echo pgrep; pgrep -c -P $$ sleep; pgrep -l -P $$ sleep | cut -d' ' -f2
[ "$(pgrep -n -P $$)" -ge $other ] && echo newest
pwdx $pid | cut -d' ' -f2; pmap $pid | head -n1 | cut -d' ' -f2-; pmap -x $pid | grep -c -F '[ stack ]'
pmap $pid | tail -n1 | awk '{print $1}'
pkill -P $$ -STOP -f 'sleep 1001'; until [ "$(ps -o state= -p $other)" = T ]; do sleep 0.01; done; echo stopped
pkill -P $$ -CONT -f 'sleep 1001'; until [ "$(ps -o state= -p $other)" = S ]; do sleep 0.01; done; echo goes on
# A shell that notices an end before it waits for it says so.
{ pkill -P $$ sleep; wait $pid; echo $?; wait $other; echo $?; } 2> /dev/null
sh -c 'exit 3' & pid=$!; until [ "$(ps -o state= -p $pid)" = Z ]; do sleep 0.01; done; ps -o comm=,state=,args= -p $pid; wait $pid; echo $?
free | awk '{print $1, (NR == 1 ? $0 : $2 >= $3)}'; free -h | wc -l
uptime | grep -c 'load average'; uptime -p | cut -d' ' -f1
vmstat | head -n2 | cut -c1-60; vmstat | tail -n1 | wc -w
vmstat -s | sed 's/^ *[0-9]* //'; vmstat -D | sed 's/^ *[0-9]* //'; vmstat -f | awk '{print ($1 > 0), $2}'
vmstat -a | head -n2 | cut -c1-60; vmstat -w | head -n1; free -w | head -n1; uptime -s | wc -w
w | sed -n 2p | cut -c1-8
sysctl -n kernel.ostype kernel.ngroups_max; kill -l 9; skill -l > /dev/null; echo $?
