# shellcheck shell=sh disable=SC2016,SC2034,SC2154 # what is not set or used here is in lib.sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Totals again and again (--every).

# The script reports one open, and another one before it answers filemon's first mark; then it answers one mark more.
watches_opens() {
    mark='{codigo: "marca", modulo: "filemon_test_1"}'
    open_line 7 3 /etc/hosts > standin/lines
    { open_line 7 9 /etc/group; echo "$mark"; } > standin/late
    echo "$mark" > standin/mark
    prepared
    watches <<'END'
send lines
until M
send late
until MM
send mark
wait
END
}

has_lines() { # FILE N
    [ "$(wc -l < "$1")" -ge "$2" ]
}

test_totals_are_printed_again_and_again() {
    watches_opens
    start -n nothing-of-that-name -c -f json --every 0.05
    await has_lines out 2
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
    records 'map(.aperturas) | .[0] == 2 and length > 2'
    records 'map(.date_us) as $dates | $dates == ($dates | sort)'
}

# Exactly one object, however often it is read and whatever signals come.
test_a_file_has_the_last_totals() {
    watches_opens
    echo old > totals
    chmod 604 totals
    ln -s totals link
    start -n nothing-of-that-name -c -f json --every 0.05 -o link
    await jq -e '.aperturas == 2' totals
    kill -HUP "$pid"
    kill -USR1 "$pid"
    for _ in 1 2 3 4 5 6 7 8 9; do jq -e -s 'length == 1 and .[0].aperturas == 2' totals; done
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
    jq -e -s 'length == 1 and .[0].aperturas == 2' totals
    [ "$(stat -c %a totals)" = 604 ]
    [ -L link ]
    [ ! -s out ]
    [ -z "$(find . -name '.filemon-*')" ]
}

test_a_dangling_link_leads_to_the_totals() {
    mkdir sub
    ln -s sub/totals link
    "$FILEMON" -c -f json --every 1 -o link -r /dev/null
    [ -L link ]
    jq -e '.codigo == "resumen"' sub/totals
    [ -z "$(find . -name '.filemon-*')" ]
}

test_files_that_cannot_be_replaced_are_refused() {
    mkfifo fifo
    # A link to no path.
    "$FILEMON" -c --every 1 -o /dev/stdout -r /dev/null 2> err | cat
    said 'filemon: /dev/stdout: it is no regular file, which --every could replace'
    for file in fifo /dev/full; do
        status=0
        "$FILEMON" -c --every 1 -o "$file" -r /dev/null > out 2> err || status=$?
        [ $status -eq 1 ]
        said "filemon: $file: it is no regular file, which --every could replace"
    done
    status=0
    "$FILEMON" -c --every 1 -o none/file -r /dev/null 2> err || status=$?
    [ $status -eq 1 ]
    said 'none/file: No such file or directory; --every replaces FILE by one that it makes in the same directory'
}
