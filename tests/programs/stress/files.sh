#!/bin/sh
# What has to do with files.
. /tests/stressors.lib
each 2 20 access chmod chown close dentry dir dup fifo filename flock
# Its workers share a folder, and the first one done removes it under the others.
each 1 20 fcntl
each 1 10 chattr chroot copy-file dirdeep dirmany fallocate file-ioctl fsize
each 1 10 fstat getdent hdd io locka lockf lockofd mknod null open poll quota
each 1 10 ramfs rename seek sendfile set touch umount utime zero
