#!/usr/bin/python3
# status: 4
# Files, processes, signals, threads, time: what python asks of the system.
import errno, fcntl, mmap, os, select, signal, stat, subprocess, sys, tempfile, threading, time
os.makedirs("/tmp/p/a/b"); open("/tmp/p/f", "w").write("hello\nworld\n")
print(sorted(os.listdir("/tmp/p")), [(r, sorted(d), f) for r, d, f in os.walk("/tmp/p")])
st = os.stat("/tmp/p/f"); print(stat.filemode(st.st_mode), st.st_size, st.st_nlink)
with open("/tmp/p/f") as f: print(f.readlines(), f.tell())
os.rename("/tmp/p/f", "/tmp/p/g"); os.symlink("g", "/tmp/p/s"); os.link("/tmp/p/g", "/tmp/p/h"); print(os.readlink("/tmp/p/s"), os.path.realpath("/tmp/p/s"), os.stat("/tmp/p/h").st_nlink)
for call in (lambda: open("/nope"), lambda: os.rmdir("/tmp/p"), lambda: os.mkdir("/tmp"), lambda: open("/tmp"), lambda: os.kill(99999999, 0)):
    try: call()
    except OSError as e: print(errno.errorcode[e.errno], e.strerror)
with tempfile.TemporaryFile() as t: t.write(b"x" * 10000); t.seek(5000); print(len(t.read()))
with tempfile.TemporaryDirectory() as d: print(os.path.isdir(d))
print(os.path.exists(d))
fd = os.open("/tmp/p/m", os.O_RDWR | os.O_CREAT); os.ftruncate(fd, 8192); m = mmap.mmap(fd, 8192); m[4096:4101] = b"mmap!"; m.flush(); print(os.pread(fd, 5, 4096), m.find(b"!")); m.close(); fcntl.flock(fd, fcntl.LOCK_EX); os.close(fd)
r, w = os.pipe(); os.write(w, b"pipe"); print(select.select([r], [w], [], 0)[0] == [r], os.read(r, 10)); p = select.poll(); p.register(w, select.POLLOUT); print(len(p.poll(0)))
ep = select.epoll(); ep.register(r, select.EPOLLIN); os.write(w, b"x"); print([(f == r, e) for f, e in ep.poll(1)])
pid = os.fork()
if pid == 0: os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(subprocess.run(["sh", "-c", "cat; echo err >&2; exit 3"], input=b"in", capture_output=True))
print(subprocess.check_output("echo $((6*7))", shell=True, text=True).strip(), subprocess.call(["sh", "-c", "kill -9 $$"]))
try: subprocess.run(["sleep", "10"], timeout=0.1)
except subprocess.TimeoutExpired as e: print("timed out")
a = subprocess.Popen(["seq", "5"], stdout=subprocess.PIPE); b = subprocess.Popen(["wc", "-l"], stdin=a.stdout, stdout=subprocess.PIPE) if os.path.exists("/usr/bin/wc") else None
a.stdout.close(); a.wait(); print(b.communicate()[0] if b else b"5\n")
got = []; signal.signal(signal.SIGUSR1, lambda s, f: got.append(s)); os.kill(os.getpid(), signal.SIGUSR1); print(got)
signal.signal(signal.SIGALRM, lambda s, f: got.append(s)); signal.setitimer(signal.ITIMER_REAL, 0.02); time.sleep(0.1); print(got)
lock, total = threading.Lock(), [0]
def work():
    for _ in range(1000):
        with lock: total[0] += 1
ts = [threading.Thread(target=work) for _ in range(5)]; [t.start() for t in ts]; [t.join() for t in ts]; print(total)
e = threading.Event(); threading.Timer(0.02, e.set).start(); print(e.wait(5), threading.active_count() >= 1)
t0 = time.monotonic(); time.sleep(0.03); print(time.monotonic() - t0 >= 0.03, time.gmtime(0)[:6], time.time() > 1.6e9, time.process_time() > 0)
print(os.getcwd(), os.getuid(), os.uname().sysname, os.uname().machine, os.environ["LC_ALL"], len(os.urandom(16)), os.cpu_count() >= 1, sys.stdin.isatty())
print(os.getpgid(0) == os.getpgrp(), os.sysconf("SC_PAGE_SIZE"), os.get_terminal_size.__name__, os.access("/tmp", os.W_OK), oct(os.umask(0o22)))
os.chmod("/tmp/p/g", 0o600); os.utime("/tmp/p/g", (1, 2)); print(oct(os.stat("/tmp/p/g").st_mode), os.stat("/tmp/p/g").st_mtime); os.truncate("/tmp/p/g", 2); print(open("/tmp/p/g").read())
with os.scandir("/tmp/p") as it: print(sorted((e.name, e.is_dir(), e.is_symlink()) for e in it))
import shutil; shutil.copytree("/tmp/p", "/tmp/q", symlinks=True); shutil.rmtree("/tmp/p"); print(sorted(os.listdir("/tmp/q")))
sys.exit(4)
