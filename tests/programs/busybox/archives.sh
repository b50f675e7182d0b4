#!/bin/sh
# Packing and unpacking.
mkdir t; seq 1 500 > t/a; echo b > t/b; ln -s a t/l; mkdir t/d; echo deep > t/d/e
tar cf x.tar t && tar tf x.tar | sort; mkdir o; tar xf x.tar -C o; cmp t/a o/t/a && readlink o/t/l; cat o/t/d/e
tar czf x.tgz t && tar tzf x.tgz | sort; tar xzOf x.tgz t/b
tar cjf x.tbz t 2>/dev/null && tar tjf x.tbz | sort
gzip -c t/a > a.gz; zcat a.gz | tail -n 1; gunzip -c a.gz | cmp - t/a && echo same; gzip -t a.gz && echo good
cp t/a g; gzip g; ls g.gz; gunzip g.gz; cmp g t/a && echo same
bzip2 -c t/a > a.bz2; bzcat a.bz2 | tail -n 1; bunzip2 -c a.bz2 | cmp - t/a && echo same
echo broken | gunzip 2>&1; echo $?
(cd t; find . | sort | cpio -o -H newc 2>/dev/null) > x.cpio; cpio -t < x.cpio 2>/dev/null; mkdir c; (cd c; cpio -id < ../x.cpio 2>/dev/null); cmp t/a c/a && cat c/d/e
printf '!<arch>\nb/              0           0     0     644     2         `\nb\n' > x.a; ar t x.a; ar p x.a b
base64 t/b; echo Yg== | base64 -d | od -c; uuencode t/b name; uuencode t/b name | uudecode -o - 
echo 'hello hello hello hello' | lzop 2>/dev/null | lzop -d 2>/dev/null || true
xz -d < /dev/null >/dev/null 2>&1; echo xz $?; unxz -c < /dev/null >/dev/null 2>&1; echo unxz $?; xzcat /dev/null >/dev/null 2>&1; echo xzcat $?
lzma -d < /dev/null > /dev/null 2>&1; unlzma < /dev/null >/dev/null 2>&1; lzcat /dev/null >/dev/null 2>&1; echo lzma $?
unzip -l /nope.zip >/dev/null 2>&1; echo unzip $?; rpm2cpio /nope >/dev/null 2>&1; echo rpm2cpio $?; rpm -q nope >/dev/null 2>&1; dpkg-deb -c /nope >/dev/null 2>&1; echo dpkg-deb $?
uncompress /nope 2>/dev/null; echo $?
