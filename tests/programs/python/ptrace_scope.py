#!/usr/bin/python3
# Who may reach into whose memory, as the administrator says. A host may have no
# such setting, and others may not change it: beside this lies what comes of it.
import ctypes
import os
import sys

SCOPE = "/proc/sys/kernel/yama/ptrace_scope"
PR_SET_PTRACER = 0x59616D61
USER = 1000

libc = ctypes.CDLL(None, use_errno=True)
secret = ctypes.create_string_buffer(b"secret")


class Range(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


def read(pid):
    copy = ctypes.create_string_buffer(6)
    ours = Range(ctypes.cast(copy, ctypes.c_void_p), 6)
    theirs = Range(ctypes.cast(secret, ctypes.c_void_p), 6)
    count = libc.process_vm_readv(pid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0)
    return copy.raw.decode() if count == 6 else os.strerror(ctypes.get_errno())


def child(body):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.setgid(USER)
        os.setuid(USER)
        libc.prctl(4, 1, 0, 0, 0)
        body()
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(pid, 0)


def names(whom):
    return libc.prctl(PR_SET_PTRACER, ctypes.c_long(whom), 0, 0, 0)


def grandchild(body):
    """Tells what `body` says in a child."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        libc.prctl(4, 1, 0, 0, 0)
        print(body())
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(pid, 0)


def family():
    """A process, its child, and what they may do to each other."""
    begin, end = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(begin[0], 1)
        os._exit(0)
    print("its child:", read(pid))
    os.write(begin[1], b"x")
    os.waitpid(pid, 0)
    parent = os.getpid()
    print("its parent: ", end="")
    grandchild(lambda: read(parent))
    print("itself:", read(parent))
    print("named:", names(-1), end=" ")
    grandchild(lambda: read(parent))
    print("not any more:", names(0), end=" ")
    grandchild(lambda: read(parent))
    print("another one named:", names(1), end=" ")
    grandchild(lambda: read(parent))
    print("nobody there:", names(32000))


def write(text):
    try:
        with open(SCOPE, "w") as file:
            file.write(text)
        return "written"
    except OSError as error:
        return os.strerror(error.errno)


print("at first:", open(SCOPE).read().strip())
for scope in ["0", "1", "2", "4", "-1", "3", "3", "0"]:
    print("--", scope, write(scope), open(SCOPE).read().strip())
    child(family)
child(lambda: print("a user:", write("3")))
parent = os.getpid()
sys.stdout.flush()
pid = os.fork()
if pid == 0:
    print("the superuser:", read(parent))
    sys.stdout.flush()
    os._exit(0)
os.waitpid(pid, 0)
