#!/bin/sh
# A database: with a journal, with a log that processes share by a mapping, and several that write.
db() { sqlite3 -cmd '.timeout 20000' "$@"; }
db one.db 'create table t(a integer primary key, b text); begin;
  with recursive n(i) as (values(1) union all select i + 1 from n where i < 5000)
  insert into t select i, hex(i * 7919) from n; commit; select count(*), sum(a), max(b) from t;'
db one.db 'create index by_b on t(b); explain query plan select a from t where b = "37"; pragma integrity_check;'
db one.db "begin; delete from t where a % 2; rollback; select count(*) from t; pragma journal_mode = wal;"
for worker in 1 2 3; do
    (for turn in 1 2 3 4 5; do db one.db "begin immediate; insert into t(b) values('$worker/$turn'); commit;"; done) &
done
wait
db one.db "select count(*) from t; select b from t where a > 5000 order by b; pragma integrity_check;"
ls one.db*
db one.db 'pragma wal_checkpoint(truncate); vacuum;' && ls one.db*
db one.db .dump | db two.db && db two.db 'attach "one.db" as one; select count(*) from t natural join one.t;'
db :memory: "select json_extract('{\"a\": [1, 2, {\"b\": 3}]}', '\$.a[2].b'), printf('%.6f', avg(x)) from (select 1 x union select 2);"
db one.db 'select * from no_such_table' 2>&1; echo $?
