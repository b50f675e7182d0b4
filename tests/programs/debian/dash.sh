#!/bin/dash
# status: 3
# dash, and many processes.
n=0; while [ $n -lt 300 ]; do /bin/true; n=$((n+1)); done; echo $n processes
seq 1 100 | while read i; do echo $((i*i)); done | sort -n | tail -n 1
for i in 1 2 3 4 5 6 7 8; do (seq $((i*1000)) | tail -n 1) & done | sort -n; wait
yes | head -n 100000 | wc -l; seq 1 100000 | tee a b c | wc -l; cmp a b && cmp b c && wc -c < c
(echo 1; (echo 2; (echo 3; (echo 4)))) | cat | cat | cat; x=$(echo $(echo $(echo $(echo deep)))); echo $x
mkfifo p q; (cat p > q &); (sort -r q > r &) ; seq 1 5 > p; sleep 0.3; cat r
sh -c 'sh -c "sh -c \"exit 9\""'; echo $?; sh -c 'kill -SEGV $$'; echo $?; sh -c 'kill -PIPE $$'; echo $?; seq 1000000 | head -n 1
trap 'echo term' TERM; (sleep 0.05; kill $$) & wait; trap - TERM; wait
set -- $(seq 1 2000); echo $#; printf '%s' "$@" | wc -c; ls /nope 2>&1; /nope 2>/dev/null; echo $?; ./a 2>/dev/null; echo $?
exec sh -c 'echo replaced; exit 3'
