# shellcheck shell=sh disable=SC2016,SC2034,SC2154 # what is not set or used here is in lib.sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Lines of the script, in pieces of any size, and malformed ones.

# The records of open_line and close_line.
opened_and_closed='[
    {codigo: "open", proceso: "smtpd", pid: 7, ppid: 1, tid: 7, fichero: "/etc/hosts",
     descriptor: 3, date: 1310920975000, date_us: 1310920975000000, flags: "O_RDONLY|O_CLOEXEC"},
    {codigo: "close", proceso: "smtpd", pid: 7, ppid: 1, tid: 7, fichero: "/etc/hosts",
     descriptor: 3, date: 27, date_us: 1310920975027000, duracion_ns: 27000000, motivo: "close"}]'

test_lines_become_records() {
    { open_line 7 3 /etc/hosts; close_line 7 3; } > standin/lines
    lines_are_read send
    records ". == $opened_and_closed"
    unsaid lost
}

test_lines_in_single_bytes() {
    { open_line 7 3 /etc/hosts; close_line 7 3; } > standin/lines
    lines_are_read bytes
    records ". == $opened_and_closed"
}

# A line of the script without its end, but with its number.
torn_line() {
    printf '{n: %08d, codigo: "open", proceso: "x", pid: 7' "$1"
}

test_other_input_than_lines_is_ignored() {
    {
        open_line 7 3 /etc/hosts
        echo 'ERROR: something that no script says'
        echo '{}'
        head -c 1000000 /dev/zero | tr '\0' '\377'
        echo
        close_line 7 3
    } > standin/lines
    lines_are_read send
    records ". == $opened_and_closed"
    unsaid lost
}

# "listo" and "mirando" have the numbers 0 and 1.
test_a_gap_is_counted_exactly_and_later_lines_are_read() {
    { open_line 7 3 /etc/hosts; torn_line 3; echo; } > standin/lines
    close_line 7 3 > standin/more
    commands_are_read <<'END'
send lines
skip 1000
send more
END
    records "map(select(.codigo != \"lost\")) == $opened_and_closed"
    records 'map([.codigo, .perdidos]) == [["open", null], ["lost", 1000], ["close", null]]'
    [ "$(tail -n 1 err)" = 'filemon: 1000 events were lost' ]
}

# The only line after the gap is the script's last one.
test_a_gap_at_the_end_is_counted() {
    open_line 7 3 /etc/hosts > standin/lines
    commands_are_read <<'END'
send lines
skip 7
END
    records 'map([.codigo, .perdidos]) == [["open", null], ["lost", 7]]'
}

# Without a PATH the cut path is reported.
test_a_cut_path_is_lost_if_it_must_be_compared() {
    {
        open_line 7 3 /etc/hosts
        echo '{codigo: "fail", proceso: "smtpd", pid: 7, ppid: 1, tid: 7, fichero: "/etc/cut",' \
            'descriptor: -2, us: 1310920975000000, ns: 5000000000,' \
            'flags: 524288, cortado: 1}'
        close_line 7 3
    } > standin/lines
    for compared in /etc '-X /usr' '-X /etc /etc/hosts'; do
        # shellcheck disable=SC2086
        lines_are_read send -x $compared
        records 'map(.codigo) == ["open", "lost", "close"] and .[1].perdidos == 1'
        [ "$(tail -n 1 err)" = 'filemon: 1 event was lost' ]
        rm standin/sent
    done
    lines_are_read send -x
    records 'map(.codigo) == ["open", "fail", "close"] and .[1].fichero == "/etc/cut"'
    unsaid lost
}

test_nul_bytes_invalidate_one_line() {
    {
        open_line 7 3 /etc/hosts
        open_line 7 4 /etc/passwd | tr p '\0'
        close_line 7 3
    } > standin/lines
    lines_are_read send
    records "map(select(.codigo != \"lost\")) == $opened_and_closed"
    records 'map(select(.codigo == "lost").perdidos) == [1]'
}

numbered() { # NUMBER LINE
    echo "$2" | sed -E "s/^[{]/{n: $(printf %08d "$1"), /; s/[}]$/, nn: $(printf %08d "$1")}/"
}

# The beginning of one line joined to the end of another, cut at each place: even if both are alike,
# the result must not be taken for an event.
test_torn_lines_are_no_events() {
    n=2 # "listo" and "mirando" have the numbers 0 and 1
    for second in "$(close_line 8 444)" "$(open_line 8 4 /etc/hosts)"; do
        for cut in 12 21 40 60 80 100 130 150 170; do
            first=$(numbered $n "$(open_line 7 3 /etc/hosts)")
            for from in 5 21 $((cut + 1)) 60 80 100 130; do
                printf '%.*s%s\n' "$cut" "$first" "$(numbered $((n + 1)) "$second" | cut -c "$from-")"
            done
            n=$((n + 2))
        done
    done > standin/lines
    numbered $n "$(open_line 7 5 /last)" >> standin/lines
    commands_are_read <<END
send lines
skip $((n - 1))
END
    records "map([.codigo, .fichero, .perdidos]) == [[\"lost\", null, $((n - 2))], [\"open\", \"/last\", null]]"
}

# A path of 4,095 escaped bytes, as the script writes it.
part() { # TID NUMBER FIRST-BYTE
    perl -e 'my ($tid, $number, $first) = @ARGV;
        print "{codigo: \"parte\", tid: $tid, parte: $number, fichero: \"$first",
              "\\u0001" x 1299, "\"}\n"' "$1" "$2" "$3"
}

after_parts() { # TID
    open_line "$1" 3 "$(perl -e 'print "\\u0001" x 195')" | sed 's/, descriptor/, parte: 3&/'
}

test_interleaved_parts_of_paths() {
    {
        part 7 1 /; part 8 1 /; part 7 2 a; part 7 3 b; part 8 2 x; part 8 3 y
        after_parts 8
        after_parts 7
        open_line 9 3 /etc/hosts
    } > standin/lines
    lines_are_read send
    records 'def path($a; $b): ("\u0001" * 1299) as $x
                 | "/" + $x + $a + $x + $b + $x + "\u0001" * 195;
             map([.pid, .fichero]) == [[8, path("x"; "y")], [7, path("a"; "b")], [9, "/etc/hosts"]]'
    unsaid lost
}

test_a_module_name_cannot_escape_the_directory() {
    prepared
    mkdir -p root/proc/x
    for name in ../x filemon_/../../x filemon_a/b x; do
        touch root/proc/x/control
        scenario staprun <<END
say {codigo: "listo", modulo: "$name"}
wait
END
        rm -f standin/log
        run -n nothing-of-that-name
        [ "$status" -eq 1 ]
        said 'is not the name of a module of filemon'
        [ ! -s root/proc/x/control ]
        logged 0 'staprun -d'
    done
}

test_a_second_module_is_ignored() {
    prepared
    mkdir root/proc/systemtap/filemon_other
    touch root/proc/systemtap/filemon_other/control
    watches <<'END'
say {codigo: "listo", modulo: "filemon_other"}
wait
END
    start -n nothing-of-that-name
    wait_said 'watching with'
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
    [ ! -s root/proc/systemtap/filemon_other/control ]
}

# The messages that stapio itself prints at its end.  The count of transport failures is not used: the numbers of the
# lines show what the transport lost.
test_skipped_probes_are_lost_events_and_transport_failures_are_not() {
    prepared
    watches <<'END'
wait
warn WARNING: Number of errors: 0, skipped probes: 7
warn WARNING: There were 3 transport failures.
END
    start -n nothing-of-that-name
    wait_said 'watching with'
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
    records 'map([.codigo, .perdidos]) == [["lost", 7]]'
    records '.[0] | .date > 1500000000000 and .date == (.date_us / 1000 | floor)'
    [ "$(tail -n 1 err)" = 'filemon: 7 events were lost' ]
}

# 250 MB of lines.
test_many_events_need_little_memory() {
    many_lines
    prepared
    watches <<'END'
flood 700 lines
mark sent
wait
END
    mkfifo records
    wc -l < records > count &
    reader=$!
    output=records
    start -n nothing-of-that-name
    await [ -e standin/sent ]
    peak=$(peak_memory_kb)
    kill -INT "$pid"
    finish
    wait "$reader"
    [ "$status" -eq 0 ]
    [ "$(cat count)" -eq 1400000 ]
    [ "$peak" -lt "$(memory_limit_kb)" ]
    unsaid lost
}
