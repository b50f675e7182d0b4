#!/bin/sh
# Files and folders.
mkdir -p d/e/f && ls -R d
touch -d '2001-02-03 04:05:06' d/x; stat -c '%n %s %a %F %Y' d/x
ls -l d | sed 1d | awk '{print $1,$3,$4,$5,$9}'
echo data > d/y; cp d/y d/z; cmp d/y d/z && echo same; cp -r d d2; ls d2
mv d/z d/w; ls d; ln d/y d/hard; ln -s y d/soft; readlink d/soft; cat d/soft; stat -c %h d/y
link d/y d/hard2; unlink d/hard2; realpath d/soft; readlink -f d/soft
chmod 640 d/y; stat -c %a d/y; chmod u+x,g-r d/y; stat -c %a d/y; chmod -R a+r d; stat -c %a d/y
chown 12:34 d/y; stat -c '%u:%g' d/y; chgrp 56 d/y; stat -c '%g' d/y
diff d/w d/y && echo no difference; echo other > d/y; diff d/w d/y; echo $?; diff -u d/w d/y | sed 1,2d
find d | sort; find d -type f -name 'y*'; find d -type d | sort; find d -type l -exec echo link {} \; ; find d -maxdepth 1 -newer d/x | sort
du -s d >/dev/null && echo du; df /proc >/dev/null && echo df
rm d/w; rm -r d2; ls; rmdir d/e/f d/e; test -d d/e || echo gone
rmdir $(mktemp -d /tmp/tmp.XXXXXX) && echo made; rm $(mktemp) && echo made
mkfifo p; (echo through fifo > p &) ; cat p; stat -c %F p
mknod n c 1 3 && stat -c '%F %t %T' n; echo x > n
truncate -s 1000 t; stat -c %s t; wc -c < t; fallocate -l 4096 t; wc -c < t
dd if=/dev/zero of=z bs=1k count=3 2>/dev/null; wc -c < z; echo abcdef | dd bs=1 skip=2 count=3 2>/dev/null; echo; dd if=z bs=512 2>&1 >/dev/null | head -n 2
test -f z && echo file; test -s z && echo size; test -L d/soft && echo link; [ -p p ] && echo fifo; [ z -nt d/x ] && echo newer; [[ abc = abc ]] && echo equal
touch a b c; rm -f a b c nothing; ls | sort
pwd; cd d; pwd; cd ..; tree 2>/dev/null || true
head -c 100000 /dev/zero | md5sum; seq 1 1000 | sha1sum; seq 1 1000 | sha256sum; seq 1 1000 | sha512sum; seq 1 1000 | sha3sum; seq 1 1000 | cksum 2>/dev/null || true
md5sum z > sums; md5sum -c sums; shred -n 1 z && wc -c < z
sync; echo synced
run-parts --test d 2>/dev/null; which sh ls; wc -c < /bin/busybox >/dev/null && echo there
chroot / /bin/echo in chroot; nuke sums; ls sums 2>/dev/null || echo nuked
getopt -o ab: -- -a -b x y
resume 2>/dev/null; true; false; echo $?
