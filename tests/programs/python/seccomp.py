#!/usr/bin/python3
# A sandbox as programs build it: filters through ctypes, then what they leave.
import ctypes
import errno
import os
import platform
import signal
import struct
import subprocess
import sys
import threading

libc = ctypes.CDLL(None, use_errno=True)

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_GET_SECCOMP = 38, 22, 21
KILL, TRAP, ERRNO, ALLOW = 0x80000000, 0x30000, 0x50000, 0x7FFF0000
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[platform.machine()]
MKDIRAT, SETSID = {"x86_64": (258, 112), "aarch64": (34, 157)}[platform.machine()]


def program(rules):
    """Kills on a foreign machine, answers calls by the rules, allows the rest."""
    steps = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, ARCH), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    for number, answer in rules.items():
        steps += [(EQUAL, 0, 1, number), (RETURN, 0, 0, answer)]
    steps.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def install(rules):
    code = ctypes.create_string_buffer(program(rules))
    length = (len(code) - 1) // 8
    header = ctypes.create_string_buffer(struct.pack("@HP", length, ctypes.addressof(code)))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, 2, header, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def attempt(name, body):
    try:
        print(name, "->", body())
    except OSError as error:
        print(name, "->", errno.errorcode.get(error.errno, error.errno))
    sys.stdout.flush()


def in_child(name, body):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        body()
        sys.stdout.flush()
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    print(name, "signal", os.WTERMSIG(status), "exit", os.WEXITSTATUS(status))


def sandbox():
    install({MKDIRAT: ERRNO | errno.EPERM, SETSID: ERRNO | errno.EROFS})
    attempt("mkdir", lambda: os.mkdir("folder", dir_fd=os.open(".", os.O_RDONLY)))
    attempt("setsid", os.setsid)
    attempt("listdir", lambda: "folder" in os.listdir("."))
    # Programs that it starts, and threads, are in it too.
    command = [sys.executable, "-c", "import os; os.setsid()"]
    done = subprocess.run(command, capture_output=True, text=True)
    print("python3 setsid", done.returncode, done.stderr.splitlines()[-1])
    thread = threading.Thread(target=attempt, args=("setsid in a thread", os.setsid))
    thread.start()
    thread.join()
    install({MKDIRAT: KILL})
    print("mode", libc.prctl(PR_GET_SECCOMP, 0, 0, 0, 0))
    with open("/proc/self/status") as status:
        print([text.strip() for text in status if text.startswith(("NoNewPrivs", "Seccomp"))])
    os.mkdir("folder", dir_fd=os.open(".", os.O_RDONLY))


def trapped():
    caught = []
    signal.signal(signal.SIGSYS, lambda number, frame: caught.append(number))
    install({SETSID: TRAP})
    # What it answers then is what was in a register: no result.
    libc.setsid()
    print("caught", caught == [signal.SIGSYS])


def killed():
    install({SETSID: KILL})
    os.setsid()


in_child("sandbox", sandbox)
in_child("trapped", trapped)
in_child("killed", killed)
attempt("outside", lambda: os.mkdir("folder"))
