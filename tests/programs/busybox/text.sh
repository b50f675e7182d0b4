#!/bin/sh
# Text in, text out.
seq 1 20 > n
printf 'b 2\na 10\nc 1\na 2\n' > t
echo hello world
echo -n no newline; echo
echo -e 'tab\there'
printf '%05d|%-5s|%x|%o|%c|%e\n' 42 ab 255 8 xyz 3.5
cat n | head -n 3
head -c 5 n; echo
tail -n 3 n
tail -n +18 n
tail -c 4 n
tac n | head -n 2
rev t
sort t; sort -r t; sort -k2 -n t; sort -u -k1,1 t
cut -d' ' -f1 t; cut -c1-3 t
tr a-z A-Z < t; tr -d '0-9' < t; echo aabbcc | tr -s abc
uniq -c <<X
a
a
b
a
X
uniq -d <<X
a
a
b
X
wc t; wc -l < n; wc -c < t; wc -w < t
nl t
paste n n | head -n 3; paste -s -d, n
fold -w 7 <<X
a long line that is folded
X
expand <<X
a	b
X
unexpand -a <<X
a       b
X
grep a t; grep -c a t; grep -n 1 t; grep -v a t; grep -E '^(b|c)' t; grep -F '2' t; grep -o '[0-9]*' t; grep -q zzz t; echo $?
egrep 'a|b' t; fgrep 10 t
sed 's/a/X/g' t; sed -n '2,3p' t; sed '/^b/d' t; sed -e '1i\first' -e '$a\last' t; sed 'y/abc/xyz/' t; sed -E 's/([a-z]) ([0-9]+)/\2-\1/' t
awk '{s+=$2} END{print s}' t; awk -F' ' '$2>1{print $1}' t; awk 'BEGIN{for(i=0;i<3;i++)printf "%d ",i; print ""}'; awk '{a[$1]+=$2} END{for(k in a)print k,a[k]}' t | sort
awk 'BEGIN{x="hello"; print toupper(x), length(x), substr(x,2,3), index(x,"l"); gsub(/l/,"L",x); print x; split("a:b:c",p,":"); print p[2]}'
seq 5 -1 1 | xargs echo; seq 1 6 | xargs -n 2 echo pair; printf 'a b\0c' | xargs -0 -n 1 echo
echo one two | tee copy; cat copy
comm_a=1; expr 3 + 4; expr 10 / 3; expr length abc; expr abc : 'a\(.*\)'; expr 1 = 2; echo $?
factor 120 97; seq -w 8 11; seq 1 0.5 2
yes | head -n 2; yes no | head -n 1
strings <<X
text
X
hexdump -C t | head -n 2; od -c t | head -n 2; od -An -tx1 n | head -n 1; xxd t | head -n 2; xxd -p t | head -n 1
basename /a/b/c.txt .txt; dirname /a/b/c.txt
dos2unix < t | head -n 1; unix2dos t; od -c t | head -n 1; dos2unix t
shuf -i 1-5 | sort; shuf -e a b c | sort
split n part- -l 8 2>/dev/null || true
cal 2 2024; date -u -d '2024-02-29 12:34:56' '+%Y-%m-%d %H:%M:%S %a %j'; date -u -d @86400
bc <<X
2^64
scale=5; 10/3
X
dc -e '2 3 + p'
ascii 2>/dev/null | head -n 0
crc32 n 2>/dev/null || true
cksum n 2>/dev/null || true
look 2>/dev/null || true
ts 2>/dev/null </dev/null || true
