# shellcheck shell=sh disable=SC2016,SC2034,SC2154 # what is not set or used here is in lib.sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The output: files, pipes, and readers that are slow or exit.

test_a_closed_pipe_ends_the_run_quietly() {
    many_lines
    prepared
    watches <<'END'
flood 10 lines
wait
END
    mkfifo records
    head -n 1 < records > first &
    output=records
    start -n nothing-of-that-name
    finish
    [ "$status" -eq 0 ]
    [ "$(wc -l < first)" -eq 1 ]
    [ "$(wc -l < err)" -eq 2 ] # that no process has the name yet, and "watching with"
}

# A closed pipe is noticed at once, even without events from the script.
test_a_pipe_closed_without_events() {
    prepared
    watches <<'END'
wait
END
    mkfifo records
    sh -c 'until [ -e go ]; do sleep 0.01; done' < records &
    output=records
    start -n nothing-of-that-name
    wait_said 'watching with'
    touch go
    finish
    [ "$status" -eq 0 ]
}

# Starts filemon with a socket as standard output, whose other end is closed when the file "go" exists.
start_on_socket() { # ARG...
    cat > on-socket <<'END'
#!/usr/bin/perl
use Socket;
socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die;
if (fork == 0) {
    close $theirs;
    select undef, undef, undef, 0.01 until -e "go";
    exit;
}
open STDOUT, ">&", $theirs or die;
close $ours;
close $theirs;
exec @ARGV;
END
    chmod +x on-socket
    rm -f go
    ./on-socket "$tested" -e stap --module-dir "$modules" "$@" 2> err < /dev/null &
    pid=$!
}

test_a_closed_socket_ends_the_run() {
    prepared
    watches <<'END'
wait
END
    start_on_socket -n nothing-of-that-name
    wait_said 'watching with'
    touch go
    finish
    [ "$status" -eq 0 ]
    [ "$(wc -l < err)" -eq 2 ]
}

cpu_ticks() {
    awk '{ print $14 + $15 }' "/proc/$pid/stat"
}

# While filemon waits for the command, a closed pipe costs no processor time.
test_a_closed_pipe_costs_no_processor_time() {
    prepared
    watches <<'END'
wait
END
    start_on_socket -- sh -c 'until [ -e end ]; do sleep 0.01; done'
    wait_said 'watching with'
    touch go
    await logged 1 SIGINT
    before=$(cpu_ticks)
    for _ in $(seq 100); do sleep 0.01; done
    [ $(($(cpu_ticks) - before)) -le 5 ]
    touch end
    finish
    [ "$status" -eq 0 ]
}

# As when another program of a shell's pipeline exits early: the command goes on, and its status is returned.
test_a_closed_pipe_does_not_end_the_command() {
    many_lines
    prepared
    watches <<'END'
flood 10 lines
wait
END
    mkfifo records
    head -n 1 < records > first &
    output=records
    start -- sh -c 'until [ -e go ]; do sleep 0.01; done; exit 7'
    await logged 1 SIGINT # filemon has ended the watch
    touch go
    finish
    [ "$status" -eq 7 ]
    [ "$(wc -l < err)" -eq 1 ] # "watching"
}

test_a_pipe_closed_before_the_start_does_not_stop_the_command() {
    prepared
    scenario staprun <<'END'
mark started
caught
END
    mkfifo records
    sh -c 'until [ -e go ]; do sleep 0.01; done' < records &
    output=records
    start -- sh -c 'exit 7'
    await [ -e standin/started ]
    touch go
    finish
    [ "$status" -eq 7 ]
    [ ! -s err ]
}

# The command goes on, and its status is returned, except for 0: the run has failed.
test_a_full_disk_does_not_end_the_command() {
    many_lines
    prepared
    watches <<'END'
flood 10 lines
wait
END
    for case in '125 0' '7 7'; do
        rm -f go standin/log
        start -o /dev/full -- sh -c "until [ -e go ]; do sleep 0.01; done; exit ${case#* }"
        await logged 1 SIGINT
        wait_said '^filemon: sh goes on without being watched'
        touch go
        finish
        [ "$status" -eq "${case% *}" ]
        said 'filemon: /dev/full: No space left on device; [0-9]* lines were not written, and'
        [ "$(grep -c 'No space' err)" -eq 1 ]
    done
}

test_a_file_at_its_size_limit_ends_with_a_whole_line() {
    many_lines
    prepared
    watches <<'END'
flood 10 lines
wait
END
    (
        ulimit -f 100
        run -n nothing-of-that-name -o file
        [ "$status" -eq 1 ]
        said 'filemon: file: File too large; [0-9]* lines were not written, and the watch ends'
    )
    [ "$(tail -c 1 file | od -A n -c | tr -d ' ')" = '\n' ]
    jq -e . file > /dev/null
    # The next run appends to it.
    before=$(wc -l < file)
    [ "$before" -gt 0 ]
    lines_are_read send -o file
    [ "$(jq -c .codigo file | wc -l)" -eq $((before + 2000)) ]
    [ "$(wc -l < file)" -eq $((before + 2000)) ]
}

# The file ends with a part of a line, as after a crash of the machine.
test_a_torn_line_is_not_continued() {
    open_line 7 3 /etc/hosts > standin/lines
    printf '{"codigo":"open","pro' > file
    lines_are_read send -o file
    [ "$(head -n 1 file)" = '{"codigo":"open","pro' ]
    [ "$(tail -n +2 file | jq -r .fichero)" = /etc/hosts ]
}

test_a_full_disk_is_an_error() {
    many_lines
    prepared
    for args in '' '-o /dev/full'; do
        watches <<'END'
flood 10 lines
wait
END
        output=$([ "$args" ] && echo out || echo /dev/full)
        # shellcheck disable=SC2086
        run -n nothing-of-that-name $args
        [ "$status" -eq 1 ]
        said "filemon: $([ "$args" ] && echo /dev/full || echo standard output): No space left"
        [ "$(grep -c 'No space' err)" -eq 1 ]
    done
}

test_a_closed_standard_output_is_an_error() {
    open_line 7 3 /etc/hosts > standin/lines
    prepared
    watches <<'END'
send lines
wait
END
    status=0
    "$tested" -e stap --module-dir "$modules" -n nothing-of-that-name >&- 2> err || status=$?
    [ $status -eq 1 ]
    said 'standard output: Bad file descriptor; -o FILE writes elsewhere'
    logged 0 ^staprun
    # With -o, filemon needs none of the standard descriptors.
    status=0
    "$tested" -e stap --module-dir "$modules" -n nothing-of-that-name -o file -d 0.1 \
        <&- >&- 2>&- || status=$?
    [ $status -eq 0 ]
    [ "$(jq -r .fichero file)" = /etc/hosts ]
}

test_a_file_is_appended_to_and_reopened() {
    open_line 7 3 /etc/hosts > standin/first
    close_line 7 3 > standin/second
    echo '{"codigo":"before"}' > file
    prepared
    watches <<'END'
send first
await go
send second
wait
END
    start -n nothing-of-that-name -o file
    await grep -q open file
    mv file file.1
    kill -HUP "$pid"
    await [ -e file ]
    touch standin/go
    await grep -q close file
    kill -TERM "$pid"
    finish
    [ "$status" -eq 0 ]
    [ ! -s out ]
    [ "$(jq -r .codigo file.1 | paste -s -d ' ')" = 'before open' ]
    [ "$(jq -r .codigo file)" = close ]
}

test_a_file_that_cannot_be_reopened_stays_in_use() {
    open_line 7 3 /etc/hosts > standin/lines
    mkdir dir
    prepared
    watches <<'END'
await go
send lines
wait
END
    start -n nothing-of-that-name -o dir/file
    wait_said 'watching with'
    mv dir elsewhere
    kill -HUP "$pid"
    wait_said 'dir/file: No such file or directory; the old file stays in use'
    touch standin/go
    await grep -q open elsewhere/file
    kill -TERM "$pid"
    finish
    [ "$status" -eq 0 ]
}

test_a_file_that_cannot_be_opened_at_all() {
    prepared
    run -n nothing-of-that-name -o no/such/file
    [ "$status" -eq 1 ]
    said 'filemon: no/such/file: No such file or directory'
    logged 0 ^staprun
}

# While the reader pauses, lines wait in the pipes, few of them in filemon, and none is lost.  After a signal the run
# ends when all lines are written.
test_a_slow_reader_loses_nothing() {
    many_lines
    prepared
    watches <<'END'
flood 300 lines
mark sent
await measured
wait
END
    mkfifo records
    sh -c 'until [ -e go ]; do sleep 0.01; done; exec wc -l' < records > count &
    reader=$!
    output=records
    start -n nothing-of-that-name
    wait_said 'watching with'
    # filemon has read as much as it may while the reader pauses.
    await sh -c "[ \$(sed -n 's/^rchar: //p' /proc/$pid/io) -gt 1000000 ]"
    kill -INT "$pid"
    touch go
    await [ -e standin/sent ]
    peak=$(peak_memory_kb)
    touch standin/measured
    finish
    wait $reader
    [ "$status" -eq 0 ]
    [ "$(cat count)" -eq 600000 ]
    unsaid lost
    [ "$peak" -lt "$(memory_limit_kb)" ]
}

# The reader reads nothing, so only a second signal ends the run.
test_a_second_signal_does_not_wait_for_the_reader() {
    many_lines
    prepared
    watches <<'END'
flood 30 lines
END
    mkfifo records
    sh -c 'until [ -e go ]; do sleep 0.01; done' < records &
    reader=$!
    output=records
    start -n nothing-of-that-name
    wait_said 'watching with' # before that, the signal would end staprun, and not the script
    kill -INT "$pid"
    await grep -q S root/proc/systemtap/filemon_test_1/control
    kill -INT "$pid"
    finish
    touch go
    wait $reader
    [ "$status" -eq 1 ]
    said 'filemon: ended by a second signal: [1-9][0-9]* lines were thrown away, and what the engine'
}

# The first signal has ended the command, whose records cannot be written.
test_a_second_signal_discards_pending_lines() {
    many_lines
    prepared
    watches <<'END'
until F
send lines
await ended
say {codigo: "fin", modulo: "filemon_test_1"}
wait
END
    mkfifo records
    sh -c 'until [ -e go ]; do sleep 0.01; done; exec cat' < records > all &
    reader=$!
    output=records
    start -- touch standin/ended
    await logged 1 SIGINT
    kill -TERM "$pid"
    kill -INT "$pid"
    finish
    touch go
    wait $reader
    [ "$status" -eq 125 ]
    # Each line is written completely or counted.
    discarded=$(sed -n 's/.*second signal: \([0-9]*\) lines were thrown away.*/\1/p' err)
    jq . all > /dev/null
    [ $(($(wc -l < all) + discarded)) -eq 2000 ]
}

test_records_are_written_before_the_run_ends() {
    open_line 7 3 /etc/hosts > standin/lines
    prepared
    watches <<'END'
send lines
await seen
wait
END
    start -n nothing-of-that-name
    wait_record open
    touch standin/seen
    kill -TERM "$pid"
    finish
    [ "$status" -eq 0 ]
}

test_filters_are_applied_in_filemon_too() {
    {
        open_line 7 3 /etc/hosts
        open_line 7 4 /etcetera
        open_line 7 5 /etc/ssl/key
        open_line 7 6 'pipe:[1]'
        close_line 7 3; close_line 7 4; close_line 7 5
    } > standin/lines
    lines_are_read send /etc -X /etc/ssl
    records 'map([.codigo, .fichero]) == [["open", "/etc/hosts"], ["close", "/etc/hosts"]]'
}

test_quiet_shows_only_errors_and_losses() {
    prepared
    watches <<'END'
warn WARNING: something
wait
END
    start -q -n nothing-of-that-name
    await grep -q G root/proc/systemtap/filemon_test_1/control
    kill -TERM "$pid"
    finish
    [ "$status" -eq 0 ]
    [ ! -s err ]
    open_line 7 3 /etc/hosts > standin/lines
    watches <<'END'
skip 1
send lines
die 9
END
    run -q -n nothing-of-that-name
    [ "$status" -eq 1 ]
    printf '%s\n' 'filemon: stap was killed by signal 9' 'filemon: 1 event was lost' | cmp - err
}

test_verbose_shows_the_output_of_staprun() {
    prepared
    watches <<'END'
warn WARNING: something
wait
END
    start -v -n nothing-of-that-name
    wait_said 'staprun: WARNING: something'
    kill -TERM "$pid"
    finish
    [ "$status" -eq 0 ]
}

test_help_and_version() {
    "$FILEMON" --help > out
    grep -q '^Usage:\|^usage:\|PID\[,PID\.\.\.\]' out
    [ "$("$FILEMON" --version)" = "filemon $(sed -n 's/.*FILEMON_VERSION "\(.*\)"/\1/p' \
        "$CLI/../../src/options.h")" ]
    for option in --help --version --check; do
        for to in '>/dev/full' '>&-'; do
            status=0
            sh -c "exec \"\$0\" $option $to" "$FILEMON" 2> err || status=$?
            [ $status -eq 1 ]
            said 'standard output: '
        done
    done
}
