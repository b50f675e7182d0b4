#!/bin/bash
# status: 5
# Bash itself: arrays, substitutions, jobs, coprocesses.
set -o pipefail
declare -A map=([one]=1 [two]=2 [three]=3)
for key in $(printf '%s\n' "${!map[@]}" | sort); do echo "$key=${map[$key]}"; done
list=(a b c "d e"); echo "${#list[@]} ${list[-1]} ${list[@]:1:2}"; list+=(f); unset 'list[0]'; echo "${!list[@]}"
s='Hello, World'; echo "${s^^} ${s,,} ${s/World/Ochre} ${s//o/0} ${s:7} ${s: -5} ${#s}"
[[ $s =~ ^(H.*),\ (.*)$ ]] && echo "${BASH_REMATCH[2]} ${BASH_REMATCH[1]}"
echo {1..5} {a..e..2} {x,y}{1,2}; echo $((16#ff)) $((2**10)) $((7/2)) $((-7%3))
while read -r line; do echo "line $line"; done < <(printf 'p\nq\n')
diff <(seq 1 3) <(seq 1 4); mapfile -t lines < <(seq 3); echo "${lines[*]}"
cat <<< "here string"; printf -v v '%03d' 7; echo "$v"; printf '%q\n' 'a b$c'
f() { local -n ref=$1; ref=changed; return 4; }; x=old; f x; echo "$? $x"
sleep 30 & jobs -r | sed 's/ \+/ /g'; kill %1; wait %1 2>/dev/null; echo "$?"
coproc { read -r a; echo "co $a"; }; echo hi >&"${COPROC[1]}"; read -r reply <&"${COPROC[0]}"; echo "$reply"; wait
trap 'echo "line $LINENO failed"' ERR; false; trap - ERR
(trap 'echo bye' EXIT; exit 2); echo $?
select_me=$(for i in {1..3}; do echo $((i*i)); done); echo $select_me
time_it() { local TIMEFORMAT=%R; { time sleep 0.01; } 2>&1 | grep -c '^0'; }; time_it
exec 5<>/tmp/rw; echo data >&5; exec 5>&-; cat /tmp/rw
ulimit -n >/dev/null && echo limits; echo "${PIPESTATUS[@]}"; true | false | true; echo "${PIPESTATUS[@]}"
shopt -s extglob nullglob
touch a.txt b.txt c.log; echo *.txt; echo !(*.txt|rw); echo nothing-*
wait -n 2>/dev/null; { sleep 0.05; exit 6; } & wait -n; echo $?
echo "$BASH_SUBSHELL $(echo $BASH_SUBSHELL)"; ( echo "$BASH_SUBSHELL" ); type -t cd; compgen -b | head -n 2; enable -a | wc -l > /dev/null
read -t 0.05 never < <(sleep 1); echo "$(( $? > 128 ))"; read -n 2 two <<< abc; echo "$two"
trap 'echo usr1' USR1; kill -USR1 $$ & wait; sleep 0.05; dirs -l >/dev/null; pushd / >/dev/null; popd > /dev/null; pwd
exit 5
