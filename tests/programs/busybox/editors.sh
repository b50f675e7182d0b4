#!/bin/sh
# Programs that talk: editors, pagers and the like, without a terminal.
printf 'one\ntwo\nthree\n' > f
ed f <<X
2d
1s/one/ONE/
w
q
X
cat f
printf ':%%s/three/THREE/\n:wq\n' | vi f >/dev/null 2>&1; wc -l < f
more f; less f < /dev/null | head -n 1; clear > /dev/null; reset > /dev/null 2>&1; echo cleared
patch f <<X
--- f
+++ f
@@ -1,2 +1,2 @@
-ONE
+1
 three
X
sed -i s/three/3/ f; tail -n 1 f
stty -a 2>&1 < /dev/null | head -n 1; cal 1 2000 | head -n 1; man 2>/dev/null; hexedit 2>/dev/null; true
logger -s hello 2>&1 | tail -c 6; ipcalc -n 192.168.1.5/24; ipcalc -b 10.0.0.1/8; nslookup 2>/dev/null </dev/null; echo
mim 2>/dev/null; crontab -l 2>/dev/null; adjtimex > /dev/null 2>&1; echo end
