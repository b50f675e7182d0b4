#!/bin/bash
# Coreutils, one line or more each.
seq 10 > n; printf 'b 2\na 10\nc 1\n' > t
arch; b2sum n; base32 t; base64 t; basename /x/y.z .z; basenc --base16 t; cat -A t; chmod 600 t; cksum n; comm <(seq 3) <(seq 2 4)
cp -a t t2; csplit -s n 4; cat xx00; cut -c1 t; date -u -d @0 +%FT%T; dd if=n bs=2 count=2 status=none; dir -1; dircolors -b | head -n 1 | cut -c1-10; dirname /a/b
du -b t | cut -f1; echo hi; env -i X=1 env; expand -t4 <<< $'a\tb'; expr 2 \* 3; factor 12345; false; echo $?; fmt -w 20 <<< 'some words that are longer than the line'; fold -w3 <<< abcdefg
groups; head -n2 n; hostid >/dev/null; id -un; install -m 755 t t3; stat -c %a t3; join <(sort t) <(printf 'a x\nb y\n'); link t t4; ln -s t l; logname 2>/dev/null; ls -F
md5sum n; mkdir -m 700 d; mkfifo f; mknod z c 1 5; mktemp -u | wc -c; mv t4 t5; nice; nl n | head -n2; nohup true 2>/dev/null; nproc --ignore=100; numfmt --to=iec 123456; od -c t | head -n2
paste -d, n n | head -n2; pathchk /tmp; pr -t -2 n; printenv LC_ALL; printf '%s %d\n' a 1; ptx <<< 'one two'; pwd; readlink l; realpath l; rm t5; rmdir d; seq -s, 5
sha1sum n; sha224sum n; sha256sum n; sha384sum n; sha512sum n; shred -u t2; shuf -n 20 -i 1-20 | sort -n | tail -n1; sleep 0.01; sort -k2n t; split -l5 n s-; ls s-*; stat -c '%s %F' n; stdbuf -oL echo buf
stty 2>&1 </dev/null | head -n1; sum n; sync; tac n | head -n2; tail -n2 n; tee x < t; test 1 -lt 2; timeout 0.1 sleep 5; echo $?; touch -d 2020-01-01T00:00:00Z y; stat -c %Y y; tr abc xyz < t; true; truncate -s 5 y; tsort <<< $'a b\nb c'; tty
uname -sm; unexpand -a <<< '        x'; uniq -c <<< $'a\na\nb'; unlink y; uptime >/dev/null; users; vdir l | cut -c1; wc n; who; whoami; yes | head -n1
sort -R n | sort -n | head -n1; sort --parallel=2 -r n | head -n1; seq 100000 | sort -n -r | sed -n 50000p; seq 100000 | shuf | sort -n | md5sum
tail ---disable-inotify -f n --pid=$$ & p=$!; sleep 0.1; kill $p; wait $p 2>/dev/null; echo tailed
cp --reflink=auto --sparse=always /bin/ls ls2; cmp /bin/ls ls2 && echo same; ls2=./ls2; $ls2 -d /; ls -la --time-style=+%Y d* 2>&1 | cut -c1-10
chown 1:2 n; stat -c %u:%g n; df --output=target /proc | tail -n1; rm -rf ./*; ls | wc -l
chroot --userspec=65534:65534 / /usr/bin/id -u; runcon 2>/dev/null; chcon 2>/dev/null; echo end
