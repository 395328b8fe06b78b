# shellcheck shell=sh disable=SC2016,SC2034,SC2154 # what is not set or used here is in lib.sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Replay (-r): records that filemon wrote, read again.

# Writes to "out" what filemon writes of what the script reports, names of any bytes included.
write_real_records() {
    {
        open_line 7 3 /etc/hosts
        open_line 7 3 /etc/passwd # the close of the other file was missed
        open_line 8 4 '/tmp/n\u00f1\u00ff\u000a\u0022'
        printf '{codigo: "dup", proceso: "smtpd", pid: 8, ppid: 1, tid: 8, tabla: 8, %s}\n' \
            'descriptor: 5, us: 1310920975001000, ns: 5001000000, origen: 4'
        close_line 8 4
        close_line 7 3
        close_line 8 5
    } > standin/lines
    lines_are_read send
}

# Runs filemon -r with the ARGs; passes if it exits with STATUS.
replays() { # STATUS [ARG...]
    expected=$1
    shift
    status=0
    "$FILEMON" "$@" > out 2> err || status=$?
    [ "$status" -eq "$expected" ]
}

test_a_replay_without_filter_is_the_identity() {
    write_real_records
    mv out records
    jq -e -s 'map(.codigo) == ["open", "error", "open", "open", "dup", "close", "close", "close"]' records
    jq -e -s 'map(.fichero_hex) | map(select(.)) | length == 4' records
    replays 0 -r records
    cmp records out
    [ ! -s err ]
    replays 0 -r - < records
    cmp records out
    replays 0 -x -r - < records
    cmp records out
}

# Writes the file NAME: opens by PID of PATHs, a second each after DATE, and their closes.
write_records() { # NAME PID DATE PATH...
    name=$1 of=$2 date=$3; shift 3
    for path; do
        printf '%s%s\n' "{\"codigo\":\"open\",\"proceso\":\"cat\",\"pid\":$of,\"ppid\":1,\"tid\":$of,\"fichero\":\"$path\"," \
            "\"descriptor\":3,\"date\":$date,\"date_us\":${date}000,\"flags\":\"O_RDONLY\"}"
        printf '%s%s\n' "{\"codigo\":\"close\",\"proceso\":\"cat\",\"pid\":$of,\"ppid\":1,\"tid\":$of,\"fichero\":\"$path\"," \
            "\"descriptor\":3,\"date\":1,\"date_us\":${date}500,\"duracion_ns\":1500000,\"motivo\":\"close\"}"
        date=$((date + 1000))
    done > "$name"
}

# Records that were written with -F, or that another program has added to, lose nothing when files are merged.
test_a_replay_keeps_each_record_as_it_is() {
    write_records a 7 10000 /etc/a /etc/b
    sed -i 's|}$|,"inodo":5,"uid":0,"region":{"name": "eu"}}|' a
    write_records b 8 99000 /etc/c
    sed -i 's|^{\("codigo":"[a-z]*"\),|{"fecha":"1970-01-01T00:01:39.000000Z", \1, |' b
    cat a b > expected
    replays 0 -r b a
    cmp expected out
    [ ! -s err ]
    replays 0 -f json -t open -m '/etc/[a-c]' -X /usr -r b a
    cmp expected out
    replays 0 --host web-1 -r b a
    sed 's|}$|,"maquina":"web-1"}|' expected | cmp - out
    mv out named
    replays 0 --host web-2 -r named
    sed 's|}$|,"maquina":"web-1"}|' expected | cmp - out
    # With -F, the keys are those of -F.
    replays 0 -F +uid -r b a
    [ "$(cat err)" = "filemon: a:1: unknown keys are left out, such as 'region'" ]
    records 'map(.uid) | unique == [null, 0]'
    not grep -e inodo -e fecha -e region out
}

# The names are those that the machine had where the file was written.
test_keys_that_were_added_are_replayed() {
    write_records records 7 10000 /etc/a
    added='"uid":0,"usuario":"admin","ejecutable":"/bin/x","argumentos":"x  /a","mnt_ns":1,"cgroup":"/a","dispositivo":"8:1","inodo":5'
    sed -i "s|}\$|,$added}|" records
    replays 0 -F +uid,usuario,ejecutable,argumentos,mnt_ns,cgroup,dispositivo,inodo -r records
    jq -c . records > expected
    cmp expected out
    replays 0 -F uid,pedido -r records
    [ "$(cat out)" = "$(printf '{"uid":0}\n{"uid":0}')" ]
    replays 0 -c -f json -F ejecutable -r records
    jq -e '.ejecutables[0].ejecutable == "/bin/x"' out
}

test_bytes_are_replayed() {
    write_records records 7 10000 /etc/a /etc/b
    added='"leidos":4096,"escritos":1,"lecturas":2,"escrituras":1,"mapeado":true'
    sed -i "/close/s|}\$|,$added}|" records
    jq -c . records > expected
    replays 0 -r records
    cmp expected out
    replays 0 -b -r records
    cmp expected out
    [ ! -s err ]
    replays 0 -F leidos,mapeado -r records
    [ "$(grep -c '^{"leidos":4096,"mapeado":true}$' out)" -eq 2 ]
    replays 0 -f csv -r records
    [ "$(grep -c leidos out)" = 0 ]
    replays 0 -f csv -b -F mapeado,escritos -r records
    [ "$(tail -n 1 out)" = "$(printf 'true,1,\r')" ]
    replays 0 -c -r records
    [ "$(grep -c written out)" = 0 ]
    replays 0 -bc --sort bytes -r records
    grep -E -q '^ +2 +0 +2 +0 .* 8\.00K +2  cat$' out
    replays 0 -bc -f json -r records
    jq -e '.leidos == 8192 and .escrituras == 2 and .ficheros[1].lecturas == 2' out
}

# Totals that silently lack some would be wrong.
test_closes_without_bytes_are_reported() {
    write_records records 7 10000 /etc/a /etc/b
    replays 0 -bc -f json -r records
    [ "$(cat err)" = \
        'filemon: a close was written without -b: it has no bytes, and counts none in the totals' ]
    jq -e '.leidos == 0' out
}

test_files_are_merged() {
    write_records a 7 10000 /etc/a /etc/b /usr/c
    write_records b 8 10500 /etc/d /etc/e
    replays 0 -r a b
    jq -e -s 'map(.date_us) == (map(.date_us) | sort) and length == 10' out
    [ "$(jq -r 'select(.codigo == "open") | .fichero' out | tr '\n' ' ')" = '/etc/a /etc/d /etc/b /etc/e /usr/c ' ]
    sort out > merged
    cat a b | jq -c . | sort | cmp - merged
    # Pipes that are written in another order than they are read in.
    mkfifo one two
    cat a > one &
    replays 0 -r one -r two &
    cat b > two
    wait
    sort out | cmp - merged
}

test_the_limit_of_open_files_is_the_hard_one() {
    files=
    for i in $(seq 70); do
        write_records "$i.json" "$i" "$((99000 - i * 1000))" "/etc/$i"
        files="$files $i.json"
    done
    prlimit --pid $$ --nofile=50:
    # shellcheck disable=SC2086 # several FILEs
    replays 0 -F codigo,pid -r $files
    [ "$(jq 'select(.codigo == "open") | .pid' out | paste -s -d ' ')" = "$(seq -s ' ' 70 -1 1)" ]
    prlimit --pid $$ --nofile=50
    # shellcheck disable=SC2086
    replays 1 -r $files
    said 'json: Too many open files; .* the limit (ulimit -Hn) is 50: merge some into one FILE first'
}

test_records_pass_the_filters() {
    write_records a 7 10000 /etc/a /etc/b.conf /usr/c.conf /etcetera
    replays 0 -r a /etc
    [ "$(jq -r .fichero out | uniq | tr '\n' ' ')" = '/etc/a /etc/b.conf ' ]
    replays 0 -r a -X /etc/./a -X /usr/
    [ "$(jq -r .fichero out | uniq | tr '\n' ' ')" = '/etc/b.conf /etcetera ' ]
    replays 0 -r a -m '*.conf' /etc
    [ "$(jq -r .fichero out | uniq | tr '\n' ' ')" = '/etc/b.conf ' ]
    replays 0 -r a -w
    [ ! -s out ]
    replays 0 -r a -xx
    [ ! -s out ]
    replays 0 -c -r a
    grep -q '^4 opens, 0 that failed, 0 still open$' out
    replays 0 -C -f json --sort name --top 1 -r a
    jq -e -s '.[-1] | .codigo == "resumen" and .ficheros[0].fichero == "/etc/a"' out
    replays 0 -f csv -F codigo,fichero -r a
    [ "$(tail -n 1 out)" = "$(printf 'close,/etcetera,,\r')" ]
    replays 0 -f text -F codigo,duracion_ns,fichero -r a /etcetera
    [ "$(tail -n 1 out)" = 'close     1.50ms  /etcetera' ]
}

# The longest match decides, and of equals the exclusion.
test_exclusions_go_with_paths() {
    write_records a 7 10000 /etc/a /etc/ssl/a /etc/ssl/certs/a /usr/a /srv/a
    replays 0 -r a /etc /srv -X /etc/ssl -X /srv
    [ "$(jq -r .fichero out | uniq | tr '\n' ' ')" = '/etc/a ' ]
    replays 0 -r a /etc /etc/ssl/certs -X /etc/ssl
    [ "$(jq -r .fichero out | uniq | tr '\n' ' ')" = '/etc/a /etc/ssl/certs/a ' ]
    replays 2 -r a /etc -X etc/ssl
    said '-X etc/ssl: with -r it must be absolute'
}

# With the closes of their descriptors; the name is looked up here.
test_users_of_a_replay_are_chosen() {
    write_records a 7 10000 /etc/a /etc/b
    write_records b 8 10100 /etc/c
    write_records c 9 10200 /etc/d
    sed -i '/open/s/}$/,"uid":0}/' a
    sed -i 's/}$/,"uid":4294967294}/' b
    replays 0 -u root -r a b
    cmp a out
    replays 0 -u 4294967294 -r a b
    cmp b out
    replays 0 -u 0 -u 4294967294 -F pid -r a b
    [ "$(wc -l < out)" -eq 6 ]
    replays 0 -u 5 -r a b
    [ ! -s out ]
    # A record that does not say whose it is makes the run fail.
    replays 1 -u root -r a c
    cmp a out
    [ "$(cat err)" = \
        'filemon: c:1: the record has no uid, so -u leaves it out; -F +uid writes records that have it' ]
}

test_totals_come_after_the_records_of_a_replay() {
    write_records a 7 10000 /etc/a /etc/b
    replays 0 -C -r a
    head -n 4 out | cmp a -
    [ "$(tail -n +5 out | jq -c '[.codigo, .aperturas, .date_us]')" = '["resumen",2,11000500]' ]
    mv out with_totals
    replays 0 -r with_totals
    cmp a out
    replays 0 -C -f text -r with_totals /etc/a
    [ "$(grep -c ' /etc/a$' out)" -eq 3 ]
    grep -q '^1 opens, 0 that failed, 0 still open$' out
    replays 0 -C -r /dev/null
    jq -e '.codigo == "resumen" and .aperturas == 0' out
}

# No file is asked what a name leads to.
test_paths_of_a_replay_are_text() {
    ln -s real link
    mkdir real
    write_records a 7 10000 "$PWD/link/x" "$PWD/real/x"
    replays 0 -r a "$PWD/link"
    [ "$(jq -r .fichero out | uniq)" = "$PWD/link/x" ]
    replays 0 -r a /nonexistent
    [ ! -s out ]
    [ ! -s err ]
}

test_lines_that_are_no_records_are_named() {
    write_records a 7 10000 /etc/a /etc/b
    {
        head -n 1 a
        echo '{"codigo":"open","proceso":"cat"}'
        tail -n +2 a
        printf '{"codigo":"clo'
    } > torn
    replays 1 -r torn
    jq -c . a | cmp - out
    [ "$(cat err)" = 'filemon: torn:2: no record: the key pid is missing, one of the usual keys; the line is skipped
filemon: torn:6: no record: premature end of input near '"'\"clo'"'; the line is skipped' ]
    { cat a; seq 1000000; tail -n 1 torn; } > other
    replays 1 -r other
    jq -c . a | cmp - out
    [ "$(cat err)" = "filemon: other:5: no record: '[' or '{' expected near '1'; the line is skipped
filemon: other:6-1000005: no records either; these 1000000 lines are skipped" ]
    replays 1 -c -r a -r torn
    grep -q '^4 opens' out
    replays 1 -r none
    said 'filemon: none: No such file or directory; -r wants a FILE that filemon wrote'
    replays 1 -r . a
    said 'filemon: .: Is a directory; '
    [ ! -s out ]
}

# What reads the output keeps filemon waiting, and a signal ends it in order.
test_a_replay_of_a_pipe_ends_when_asked() {
    write_records a 7 10000 /etc/a
    mkfifo records
    "$FILEMON" -C -f text --ready-fd 7 -r records > out 2> err 7> ready &
    pid=$!
    exec 8> records
    await [ -s ready ]
    cat a >&8
    wait_record '/etc/a$'
    kill -USR1 "$pid"
    await grep -q '^1 opens' out
    kill -TERM "$pid"
    finish
    exec 8>&-
    [ "$status" -eq 0 ]
    [ "$(grep -c '^1 opens' out)" -eq 2 ]
}

test_a_line_without_end_can_be_interrupted() {
    "$FILEMON" --ready-fd 7 -r /dev/zero > out 2> err 7> ready &
    pid=$!
    await [ -s ready ]
    kill -TERM "$pid"
    await has_exited "$pid"
    finish
    [ "$status" -eq 0 ]
}

has_lines() { # FILE N
    [ "$(wc -l < "$1")" -eq "$2" ]
}

test_memory_does_not_grow_with_the_file() {
    ! grep -q __asan_init "$FILEMON" || skip 'AddressSanitizer keeps what was freed'
    write_records a 7 10000 /etc/a /etc/b
    perl -e 'local $/; my $text = <STDIN>; print $text x 50000' < a > many # 200,000 records, 40 MB
    mkfifo idle
    "$FILEMON" -r many -r idle > out 2> err &
    pid=$!
    exec 8> idle
    write_records late 7 99999 /etc/late
    cat late >&8 # then filemon waits for more of this file, having read all of the other
    await has_lines out 200002
    peak=$(peak_memory_kb)
    exec 8>&-
    finish
    [ "$status" -eq 0 ]
    [ "$peak" -lt "$(memory_limit_kb)" ]
}

test_a_full_disk_ends_a_replay() {
    write_records a 7 10000 /etc/a /etc/b
    replays 1 -r a -o /dev/full
    said 'filemon: /dev/full: No space left on device'
    replays 0 -r a | head -n 1 > /dev/null
}

# It would be read for ever, or its records be doubled.
# shellcheck disable=SC2094 # that is what is tested
test_the_file_that_is_written_is_not_read() {
    write_records a 7 10000 /etc/a /etc/b
    cp a kept
    ln a hard
    ln -s a link
    write_records b 8 10000 /etc/c
    refused='-r cannot read the file that is written; write to another one'
    for file in a ./a hard link; do
        replays 1 -q -r b "$file" -o a
        [ "$(cat err)" = "filemon: $file: $refused" ]
        replays 1 -c -r a -o "$file"
        [ "$(cat err)" = "filemon: a: $refused" ]
    done
    # Those of a pipe that waits until both have been opened, and of totals that replace what they count.
    mkfifo fifo
    replays 1 -r fifo -o fifo
    [ "$(cat err)" = "filemon: fifo: $refused" ]
    replays 1 -c --every 1 -r a -o link
    [ "$(cat err)" = "filemon: a: $refused" ]
    replays 1 -r - -o a < ./link
    [ "$(cat err)" = "filemon: standard input: $refused" ]
    status=0
    "$FILEMON" -r a >> a 2> err || status=$?
    [ "$status" -eq 1 ]
    [ "$(cat err)" = "filemon: a: $refused" ]
    status=0
    "$FILEMON" -r - < a 1<> a 2> err || status=$?
    [ "$status" -eq 1 ]
    [ "$(cat err)" = "filemon: standard input: $refused" ]
    cmp kept a
    [ -L link ]
    # A FILE that is missing is not made by -o.
    replays 1 -r new -o new
    said 'new: No such file or directory; -r wants'
    replays 1 -r a none -o new
    [ ! -e new ]
}

test_a_device_can_be_read_and_written() {
    replays 0 -r /dev/null -o /dev/null
    "$FILEMON" -r - < /dev/null > /dev/null
    write_records a 7 10000 /etc/a
    "$FILEMON" -r - < a | cat > out
    jq -c . a | cmp - out
}

test_records_name_their_machine() {
    open_line 7 3 /etc/hosts > standin/lines
    lines_are_read send --host web-1
    records 'map(.maquina) == ["web-1"]'
    grep -q ',"maquina":"web-1"}$' out
    mv out web
    write_records db 7 10000 /etc/a
    replays 0 --host db-1 -r web -r db
    records 'map(.maquina) == ["db-1", "db-1", "web-1"]'
    mv out merged
    replays 0 -r merged
    cmp merged out
    replays 0 -f csv --host x -F fichero -r merged
    [ "$(cat out)" = "$(printf 'fichero,fichero_hex,perdidos,maquina\r
/etc/a,,,db-1\r
/etc/a,,,db-1\r
/etc/hosts,,,web-1\r')" ]
    replays 0 -f text --host x -r merged
    [ "$(grep -c ' db-1 * /etc/a$' out)" -eq 2 ]
    replays 0 -c -f json --host x -r merged
    records 'map([.codigo, .maquina]) == [["resumen", "x"]]'
    replays 0 -c --host x -r merged
    grep -q '^x: 2 opens, ' out
    replays 2 --host 'a b' -r merged
    said "filemon: --host a b: a NAME has at most 64 letters, digits, or characters of .:_-"
}

# As of each end of an interval of the records' own dates, and of the last record.
test_totals_of_a_replay_follow_its_dates() {
    write_records a 7 10000 /etc/a /etc/b /etc/c /etc/d
    write_records b 7 60000 /etc/a
    replays 0 -c -f json --every 2 -r a b
    records 'map([.date_us, .aperturas]) == [[12000000, 2], [14000000, 4], [60000500, 5]]'
    replays 0 -c -f json --every 2 -r a b -o totals
    [ ! -s out ]
    jq -e -s 'map([.date_us, .aperturas]) == [[60000500, 5]]' totals
    replays 0 -C -f json -r a
    records '.[-1].date_us == 13000500'
}

# Writes a record of each set, with two paths in one of them.
write_sets() { # NAME
    head='"proceso":"mv","pid":7,"ppid":1,"tid":7,"fichero":"/srv/a"' dates='"date":1,"date_us":1000'
    cat > "$1" <<END
{"codigo":"open",$head,"descriptor":3,$dates,"flags":"O_RDONLY"}
{"codigo":"close",$head,"descriptor":3,"date":0,"date_us":1000,"duracion_ns":9,"motivo":"close"}
{"codigo":"fail",$head,"descriptor":-2,$dates,"flags":"O_RDONLY","errno":"ENOENT"}
{"codigo":"held",$head,"descriptor":4,$dates,"flags":"O_RDONLY"}
{"codigo":"exec",$head,$dates}
{"codigo":"rename",$head,$dates,"destino":"/etc/b"}
{"codigo":"fail",$head,"descriptor":-18,$dates,"errno":"EXDEV","destino":"/etc/b","llamada":"renameat2"}
{"codigo":"chmod",$head,$dates,"modo":"0600"}
{"codigo":"lost",$dates,"perdidos":1}
END
}

test_a_replay_chooses_sets() {
    write_sets records
    replays 0 -r records
    cmp records out
    while read -r sets codes; do
        replays 0 -t "$sets" -F codigo -r records
        [ "$(jq -r .codigo out | paste -s -d ' ')" = "$codes" ]
    done <<'END'
open open close lost
names rename lost
names,fail rename fail lost
fail fail lost
exec,attributes exec chmod lost
held held lost
all open close fail held exec rename fail chmod lost
+exec open close fail held exec rename fail chmod lost
END
    replays 0 -t names,fail -xx -F llamada -r records
    [ "$(jq -r .llamada out)" = 'renameat2
null' ]
}

# A record with two paths is chosen by either.
test_a_replay_compares_both_paths() {
    write_sets records
    replays 0 -F codigo -r records /etc
    [ "$(jq -r .codigo out | paste -s -d ' ')" = 'rename fail lost' ]
    replays 0 -F codigo -m '*/b' -r records
    [ "$(jq -r .codigo out | paste -s -d ' ')" = 'rename fail lost' ]
    replays 0 -t names -f text -r records
    grep -q ' rename *  /srv/a -> /etc/b$' out
    replays 0 -c -r records
    grep -q '^1 opens, 2 that failed, 1 still open, 3 other calls$' out
    replays 0 -f csv -t names -F fichero,destino -r records
    printf '%s\r\n' fichero,destino,fichero_hex,destino_hex,perdidos /srv/a,/etc/b,,, ,,,,1 | diff -u - out
}
