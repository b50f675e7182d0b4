#!/usr/bin/lua5.4
-- Lua: tables, strings, files, coroutines, processes.
local t = {}
for i = 1, 1000 do t[i] = (i * 7919) % 1009 end
table.sort(t)
print(#t, t[1], t[500], t[1000], table.concat(t, ",", 1, 5))
local words = {}
for w in ("the quick brown fox jumps over the lazy dog the end"):gmatch("%a+") do words[w] = (words[w] or 0) + 1 end
local keys = {}
for k in pairs(words) do keys[#keys + 1] = k end
table.sort(keys)
for _, k in ipairs(keys) do io.write(k, "=", words[k], " ") end
print()
print(("%5.2f|%-6s|%06d|%x|%q"):format(3.14159, "ab", 42, 255, "a\nb"), ("hello"):rep(3, "-"), ("hello"):reverse():upper())
print(string.pack("<I4", 258):byte(1, -1), 7 // 2, 7 % -3, 2 ^ 10, 1 << 20, 3 | 4, math.maxinteger, 10 / 2)
local function gen(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i * i) end end) end
for v in gen(5) do io.write(v, " ") end
print()
local f = assert(io.open("/tmp/lua.txt", "w"))
for i = 1, 100 do f:write(i, "\n") end
f:close()
local sum = 0
for line in io.lines("/tmp/lua.txt") do sum = sum + tonumber(line) end
print("sum", sum)
f = io.open("/tmp/lua.txt", "r+")
f:seek("set", 3); f:write("X"); f:seek("set", 0); print(f:read("l"), f:read("n"), f:read(5)); print(f:seek("end")); f:close()
print(os.rename("/tmp/lua.txt", "/tmp/lua2.txt"), os.remove("/tmp/lua2.txt"), select(2, os.remove("/tmp/lua2.txt")))
print(io.open("/nope/x"))
local p = io.popen("echo from a process; exit 3")
print(p:read("a"), p:close())
print(os.execute("exit 4")); print(os.execute("kill -9 $$")); print(os.getenv("LC_ALL"), os.getenv("NOPE"), type(os.time()), os.date("!%Y-%m-%d", 0), type(os.clock()), #os.tmpname() > 0)
print(pcall(error, { code = 1 }), select(2, pcall(function() local x = nil; return x.y end)))
local mt = setmetatable({}, { __add = function(a, b) return "added" end, __index = function(_, k) return k .. "?" end, __close = function() print("closed") end })
do local c <close> = mt end
print(mt + 1, mt.what, #arg, arg[0])
local big = {}
for i = 1, 200000 do big[i] = { i } end
big = nil; collectgarbage(); print(collectgarbage("count") < 20000)
local s = 0; for i = 1, 3000000 do s = (s + i * i) % 1000003 end; print(s)
os.exit(true)
