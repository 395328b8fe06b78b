# shellcheck shell=sh disable=SC2016,SC2034,SC2154 # what is not set or used here is in lib.sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Formats for people: text, CSV, totals.

# Writes the lines of two opens and one close.
some_lines() {
    { open_line 7 3 /etc/hosts; close_line 7 3; open_line 7 4 /etc/passwd; } > standin/lines
}

test_text_has_a_line_for_each_record() {
    some_lines
    TZ=UTC lines_are_read send -f text
    diff -u - out <<'END'
16:42:55.000 smtpd                 7 open      3          /etc/hosts
16:42:55.027 smtpd                 7 close     3  27.0ms  /etc/hosts
16:42:55.000 smtpd                 7 open      4          /etc/passwd
END
}

test_csv_has_a_header() {
    some_lines
    lines_are_read send -f csv
    tr -d '\r' < out | cut -d, -f 1,3,6,7,13,14 > columns
    diff -u - columns <<'END'
codigo,pid,fichero,descriptor,duracion_ns,motivo
open,7,/etc/hosts,3,,
close,7,/etc/hosts,3,27000000,close
open,7,/etc/passwd,4,,
END
}

test_fields_in_the_order_of_the_list() {
    some_lines
    lines_are_read send -F descriptor,codigo,duracion_ns
    diff -u - out <<'END'
{"descriptor":3,"codigo":"open"}
{"descriptor":3,"codigo":"close","duracion_ns":27000000}
{"descriptor":4,"codigo":"open"}
END
    rm standin/sent
    lines_are_read send -f csv -F fecha,fichero
    tr -d '\r' < out | diff -u /dev/fd/3 - 3<<'END'
fecha,fichero,fichero_hex,perdidos
2011-07-17T16:42:55.000000Z,/etc/hosts,,
2011-07-17T16:42:55.027000Z,/etc/hosts,,
2011-07-17T16:42:55.000000Z,/etc/passwd,,
END
    rm standin/sent
    lines_are_read send -f text -F codigo,tid,fichero
    diff -u - out <<'END'
open        7  /etc/hosts
close       7  /etc/hosts
open        7  /etc/passwd
END
}

# What the engine adds where -F asks for it.
test_facts_of_the_script() {
    { open_line 7 3 /etc/hosts | sed 's/, fichero:/, uid: 0&/'; close_line 7 3 | sed 's/, descriptor:/, uid: 4294967294&/'
      open_line 7 4 /etc/passwd; } > standin/lines
    lines_are_read send -F codigo,uid,usuario
    diff -u - out <<'END'
{"codigo":"open","uid":0,"usuario":"root"}
{"codigo":"close","uid":4294967294}
{"codigo":"open"}
END
    rm standin/sent
    lines_are_read send -f text -F usuario,uid,fichero
    diff -u - out <<'END'
root             0  /etc/hosts
           4294967294  /etc/hosts
                    /etc/passwd
END
}

test_fields_that_are_added() {
    some_lines
    lines_are_read send -F +fecha
    records 'map(.fecha) == ["2011-07-17T16:42:55.000000Z", "2011-07-17T16:42:55.027000Z",
                             "2011-07-17T16:42:55.000000Z"]
             and (.[1] | keys_unsorted) == ["codigo", "proceso", "pid", "ppid", "tid", "fichero", "descriptor",
                                            "date", "date_us", "duracion_ns", "motivo", "fecha"]'
    rm standin/sent
    TZ=UTC lines_are_read send -f text -F +fecha
    diff -u - out <<'END'
16:42:55.000 smtpd                 7 open      3         2011-07-17T16:42:55.000000Z  /etc/hosts
16:42:55.027 smtpd                 7 close     3  27.0ms 2011-07-17T16:42:55.027000Z  /etc/hosts
16:42:55.000 smtpd                 7 open      4         2011-07-17T16:42:55.000000Z  /etc/passwd
END
}

# Every event has its line, and a loss its number, whatever the keys are.
test_records_without_any_of_the_fields() {
    open_line 7 3 /etc/hosts > standin/lines
    for format in json csv text; do
        printf '%s\n' 'send lines' 'skip 7' | commands_are_read -f $format -F errno
        rm standin/sent
        tr -d '\r' < out > lines
        case $format in
        json) printf '%s\n' '{}' '{"perdidos":7}' ;;
        csv) printf '%s\n' errno,perdidos , ,7 ;;
        text) printf '%s\n' '' '             7 events lost' ;;
        esac | diff -u - lines
    done
}

test_summary_instead_of_records() {
    some_lines
    lines_are_read send -c
    diff -u - out <<'END'
2 opens, 0 that failed, 1 still open

  opens  failed  closes    open   total    mean     max  file
      1       0       1       0  27.0ms  27.0ms  27.0ms  /etc/hosts
      1       0       0       1       -       -       -  /etc/passwd

  opens  failed  closes    open   total    mean     max  program
      2       0       1       1  27.0ms  27.0ms  27.0ms  smtpd

          time open    closes
  16.7ms to  33.5ms         1 |##############################|
END
}

test_summary_as_json() {
    some_lines
    lines_are_read send -c -f json
    records 'length == 1 and (.[0] | .codigo == "resumen" and .aperturas == 2 and .abiertos == 1
             and (.ficheros | map([.fichero, .aperturas, .total_ns]))
                 == [["/etc/hosts", 1, 27000000], ["/etc/passwd", 1, 0]])'
}

test_totals_are_sorted_and_limited() {
    { open_line 7 3 /b; open_line 7 4 /b; open_line 7 5 /a; open_line 7 6 /c; close_line 7 6; } > standin/lines
    lines_are_read send -c --sort name
    awk '/file$/, /^$/ { print $NF }' out | xargs > names
    [ "$(cat names)" = 'file /a /b /c' ]
    rm standin/sent
    lines_are_read send -C -f text --sort=time --top 1
    [ "$(grep -c ' open .*/[abc]$' out)" -eq 4 ]
    grep -A 2 'file$' out | tail -n 2 | diff -u /dev/fd/3 - 3<<'END'
      1       0       1       0  27.0ms  27.0ms  27.0ms  /c
      3       0       0       3       -       -       -  (2 others)
END
    rm standin/sent
    lines_are_read send -c -f json --top 2
    records '.[0] | (.ficheros | map(.fichero)) == ["/b", "/a"] and .otros_ficheros.cierres == 1'
}

test_summary_after_records() {
    some_lines
    lines_are_read send -C
    records 'map(.codigo) == ["open", "close", "open", "resumen"]'
}

# The totals include the events that the script had not delivered yet when the signal came.
test_summary_on_signal() {
    some_lines
    { open_line 7 9 /etc/group; echo '{codigo: "marca", modulo: "filemon_test_1"}'; } > standin/late
    prepared
    watches <<'END'
send lines
until M
send late
wait
END
    start -n nothing-of-that-name -C
    wait_record passwd
    kill -USR1 "$pid"
    wait_record resumen
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
    records 'map(.codigo) == ["open", "close", "open", "open", "resumen", "resumen"]
             and .[4].ficheros == .[5].ficheros'
}

test_sigusr1_without_summary_gives_a_message() {
    some_lines
    prepared
    watches <<'END'
wait
END
    start -n nothing-of-that-name
    wait_said 'watching with'
    kill -USR1 "$pid"
    wait_said 'kept with -c or -C'
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
}

# logrotate renames the file while records are written, and sends SIGHUP: the old file has the records before the
# rotation, the new file those after it.
test_logrotate() {
    for fd in $(seq 3 500); do open_line 7 "$fd" /etc/hosts; done > standin/lines
    for fd in $(seq 501 1000); do open_line 7 "$fd" /etc/hosts; done > standin/more
    prepared
    watches <<'END'
send lines
await rotated
send more
wait
END
    start -n nothing-of-that-name -o log.json
    await grep -q '"descriptor":500,' log.json
    cat > logrotate.conf <<END
$PWD/log.json {
    rotate 2
    missingok
    su $(id -un) $(id -gn)
    postrotate
        kill -HUP $pid
    endscript
}
END
    chmod 644 logrotate.conf
    PATH=$PATH:/usr/sbin logrotate -f -s logrotate.state logrotate.conf
    await [ -e log.json ]
    touch standin/rotated
    await grep -q '"descriptor":1000,' log.json
    kill -TERM "$pid"
    finish
    [ "$status" -eq 0 ]
    jq -s -e 'map(.descriptor) == [range(3; 501)]' log.json.1 > /dev/null
    jq -s -e 'map(.descriptor) == [range(501; 1001)]' log.json > /dev/null
}
