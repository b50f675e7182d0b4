#!/bin/sh
# What has to do with files.
. /tests/stressors.lib
each 2 20 access close dentry dir dup fifo filename flock
# Their second worker waits for the first one's file, which may be gone by then,
# until time is over: so there is more to do, and less time.
limit=5
each 2 300 chmod
each 2 2000 chown
limit=60
# Its workers share a folder, and the first one done removes it under the others.
each 1 20 fcntl
each 1 10 chattr chroot copy-file dirdeep dirmany fallocate file-ioctl fsize
each 1 10 fstat getdent hdd io locka lockf lockofd mknod null open poll quota
each 1 10 ramfs rename seek sendfile set touch umount utime zero
