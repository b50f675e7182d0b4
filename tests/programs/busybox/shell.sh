#!/bin/sh
# The shell's own language.
x=hello; echo ${x} ${x#he} ${x%lo} ${#x} ${y:-default} ${y:=set} $y ${x/l/L} ${x:1:3}
a='a b  c'; echo $a; echo "$a"; echo '$a'; echo "\$a" `echo back` $(echo new $(echo nested))
if [ $x = hello ]; then echo yes; elif false; then echo never; else echo no; fi
case $x in h*) echo starts with h;; *) echo other;; esac
i=0; while [ $i -lt 3 ]; do echo $i; i=$((i+1)); done; until [ $i -eq 0 ]; do i=$((i-1)); [ $i -eq 1 ] && continue; echo down $i; done
for f in a b c; do [ $f = b ] && break; echo $f; done
f() { local v=inner; echo $v $1; }; v=outer; f arg; echo $v
set -e; (set +e; false; echo not ended); set +e
echo "$@" $# $0 | sed 's/.*tests/tests/'
read a b <<X
first second third
X
echo "$a|$b"; IFS=:; set -- $(echo a:b:c); echo $2; unset IFS
eval 'echo evaluated'; . /dev/stdin <<X
echo sourced
X
type cd | head -n 1; command -v ls; alias l='echo aliased'; l 2>/dev/null
[ -z "" ] && [ -n a ] && [ 1 -lt 2 ] && ! [ 3 -eq 4 ] && echo tests
echo a > f1; echo b >> f1; cat < f1; cat f1 2>&1 > f2; cat f2; cat nofile 2>&1
echo *; mkdir g; touch g/a1 g/a2 g/b1; echo g/a*; echo g/?1; echo g/[ab]1; echo g/none*
printf '%s\n' "${x}"{1,2} 2>/dev/null; echo {a,b}
true && echo and || echo or; false && echo and || echo or; ! true; echo $?
(cd /; pwd); pwd; echo ~ | sed 's/.*/home/'
n=1000; s=0; while [ $n -gt 0 ]; do s=$((s+n)); n=$((n-1)); done; echo $s
trap 'echo caught' INT; kill -INT $$; trap - INT
getopts ab: o -a; echo $o; getopts 'b:' o -b val; echo $o
cat <<'X'
literal $x
X
x=$(cat <<X
in $(echo sub)
X
); echo "$x"; exec 4<f1; read l <&4; echo $l; exec 4<&-
echo done | { read w; echo $w; }; wait; times > /dev/null; hash -r; readonly r=1; (r=2) 2>/dev/null; echo $?; export E=e; sh -c 'echo $E'; unset E; sh -c 'echo ${E-none}'
test 010 -eq 10 && echo decimal; [ a \< b ] && echo less; echo $((010)); echo $(( (1,2) )) 2>/dev/null || echo comma
