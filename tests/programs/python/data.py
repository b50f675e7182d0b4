#!/usr/bin/python3
# Data: dict, list, set, str, int, json, re.
import collections, functools, hashlib, heapq, io, itertools, json, math, random, re, struct, sys
d = {f"k{i}": i * i for i in range(1000)}
for k in list(d)[::3]:
    del d[k]
print(len(d), sum(d.values()), sorted(d)[:5], "k1" in d, d.get("nope"), d.pop("k1"), dict(sorted(d.items())[:2]))
l = [(i * 7919) % 1009 for i in range(2000)]
l.sort(); print(l[:5], l[-5:], l.index(500), l.count(7), len(set(l)))
print([*map(str, range(5))], list(zip("abc", range(3))), [x for x in range(20) if x % 3 == 0], l[10:20:2])
print("%s %5.2f %r" % ("a", math.pi, "q"), f"{255:08b} {1e10:e} {'x':>5}", "a,b,,c".split(","), "ab".join("xyz"), "Hello".swapcase(), "ü".encode(), "naïve".upper())
print(2 ** 200, 10 ** 30 // 7, math.factorial(30), math.isqrt(10 ** 20), divmod(-7, 3), hex(255), int("zz", 36), round(2.675, 2), float("inf") > 1)
text = json.dumps({"a": [1, 2.5, None, True], "b": {"c": "é\n"}, "z": [{}, []]}, sort_keys=True, indent=1)
print(text); assert json.loads(text)["b"]["c"] == "é\n"
try:
    json.loads('{"a": }')
except json.JSONDecodeError as error:
    print(error)
print(re.findall(r"(\w+)@(\w+)", "me@here you@there"), re.sub(r"(\d+)", lambda m: str(int(m[1]) * 2), "a1b22"), re.split(r"[,;]\s*", "a, b;c"))
print(collections.Counter("mississippi").most_common(3), collections.deque(range(5), 3), collections.OrderedDict(a=1), heapq.nsmallest(3, l))
print(list(itertools.islice(itertools.permutations("abc"), 4)), functools.reduce(lambda a, b: a * b, range(1, 10)), hashlib.sha256(b"x" * 100000).hexdigest())
print(struct.pack("<IhB", 1, -2, 3), struct.unpack(">H", b"\x01\x02"), io.BytesIO(b"abc").read(2), bytes(range(5)).hex(), bytearray(b"ab") * 2)
random.seed(5); print([random.randrange(100) for _ in range(5)], round(random.random(), 6))
class A:
    def __init__(self, n): self.n = n
    def __lt__(self, o): return self.n < o.n
    def __repr__(self): return f"A({self.n})"
print(sorted([A(3), A(1), A(2)]), [type(x).__name__ for x in (1, "", [], {}, None)])
def fib():
    a, b = 0, 1
    while True:
        yield a
        a, b = b, a + b
print(list(itertools.islice(fib(), 15)), sum(i * i for i in range(200000)))
try:
    {}["x"]
except KeyError as error:
    print(repr(error))
print(sys.version_info[:2], sys.byteorder, sys.maxsize, sys.getrecursionlimit(), sys.platform)
def deep(n): return 0 if n == 0 else 1 + deep(n - 1)
print(deep(900))
try:
    deep(10 ** 6)
except RecursionError:
    print("too deep")
