# shellcheck shell=sh disable=SC2034
# SPDX-License-Identifier: GPL-2.0-or-later
# Functions that the tests share.  A test runs in an empty directory with "set -eux": the first command that fails ends
# the test, and the trace shows which one it was.

release=$(uname -r)
tested=$HELPERS/filemon # the filemon that runs on the made-up system
modules=$PWD/modules
kept="$modules/$release/[0-9a-f]\{12\}" # pattern of the directory in which a module is kept
export STOP_MS=60000 # how long filemon waits for stap to end, before it goes on to the next means

# Ends the test, which cannot run here.
skip() { # REASON
    echo "$1" > skipped
    exit 0
}

# Makes the files of a system on which the stap engine can run, with the stand-in as stap and staprun.
make_system() {
    mkdir -p root/proc/systemtap "root/lib/modules/$release/build/include/linux" standin bin
    touch root/proc/modules "root/lib/modules/$release/build/Makefile"
    cat > root/proc/kallsyms <<'END'
ffffffff81000000 T _text
ffffffff81000010 T uprobe_unregister
ffffffffc0000000 t helper	[module]
END
    ln -s "$HELPERS/standin" bin/stap
    ln -s "$HELPERS/standin" bin/staprun
    STANDIN=$PWD/standin
    PATH=$PWD/bin:$PATH
    export STANDIN PATH
    scenario stap <<'END'
build
END
}

# Sets what the stand-in does as stap or staprun (NAME); standin.c describes the COMMANDS.
scenario() { # NAME < COMMANDS
    cat > "standin/$1"
}

# Sets what the stand-in does as staprun: it loads the module, receives the targets, watches, and then runs the
# COMMANDS.
watches() { # < COMMANDS
    {
        printf '%s\n' 'ready filemon_test_1' 'until G' watching
        cat
    } | scenario staprun
}

# Builds the module, and removes all other traces of that run.
prepared() {
    "$tested" -q --prepare --module-dir "$modules"
    rm -f standin/log standin/argv
}

# Starts filemon on the made-up system in the background, without the ignored signals of a background job; sets $pid.
# Optional variables: $input, $output: its standard input and output; $search: its PATH; $ignored: signals that are
# ignored at its start; $engine: another engine than stap.
start() { # ARG...
    rm -f out err # else await finds the lines of an earlier run
    env --default-signal=INT,QUIT ${ignored:+--ignore-signal=$ignored} PATH="${search:-$PATH}" \
        "$tested" -e "${engine:-stap}" --module-dir "$modules" "$@" \
        < "${input:-/dev/null}" > "${output:-out}" 2> err &
    pid=$!
}

# Waits until filemon exits; sets $status.
finish() {
    status=0
    wait "$pid" || status=$?
}

# Runs filemon to its end; sets $status.
run() { # ARG...
    start "$@"
    finish
}

# tests/cli/run kills a test after this time.
patience=120

# Waits until filemon prints a message with PATTERN on standard error.
wait_said() { # PATTERN
    await grep -q -e "$1" err
}

# Waits until filemon writes a record with PATTERN.
wait_record() { # PATTERN
    await grep -q -e "$1" out
}

# Runs filemon with a stand-in that carries out the COMMANDS, and then sends SIGINT to filemon.
commands_are_read() { # [ARG...] < COMMANDS
    prepared
    { cat; printf '%s\n' 'mark sent' wait; } | watches
    start -n nothing-of-that-name "$@"
    await [ -e standin/sent ]
    wait_said 'watching with' # a signal before that ends filemon without the script's last line
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
}

# The same with one COMMAND, which sends the lines in standin/lines.
lines_are_read() { # COMMAND (send or bytes) [ARG...]
    command=$1; shift
    commands_are_read "$@" <<END
$command lines
END
}

# Whether every line of the output is JSON, and the filter of jq is true of the array of all lines.
records() { # FILTER
    jq -e -s "$1" out > /dev/null
}

# Whether filemon has printed a message with PATTERN on standard error.
said() { # PATTERN
    grep -q -e "$1" err
}

# Whether it has printed no such message.
unsaid() { # PATTERN
    not grep -e "$1" err
}

# "set -e" ignores the status of a command after "!".
not() { # COMMAND...
    ! "$@"
}

# Whether the log of the stand-in's calls and signals has N lines with PATTERN.
logged() { # N PATTERN
    touch standin/log
    [ "$(grep -c -e "$2" standin/log)" -eq "$1" ]
}

# Prints a line of the script: an open.
open_line() { # PID DESCRIPTOR PATH
    echo "{codigo: \"open\", proceso: \"smtpd\", pid: $1, ppid: 1, tid: $1, tabla: $1, fichero: \"$3\"," \
        "descriptor: $2, us: 1310920975000000, ns: 5000000000, flags: 524288}"
}

# Prints a line of the script: the close of that descriptor.
close_line() { # PID DESCRIPTOR
    echo "{codigo: \"close\", proceso: \"smtpd\", pid: $1, ppid: 1, tid: $1, tabla: $1," \
        "descriptor: $2, us: 1310920975027000, ns: 5027000000}"
}

# filemon buffers a bounded number of bytes for its reader (OUTPUT_HIGH_WATER), so it needs less than 32 MB.  A
# sanitizer needs more.
memory_limit_kb() {
    if grep -q __asan_init "$tested"; then echo 300000; else echo 32000; fi
}

peak_memory_kb() {
    awk '$1 == "VmHWM:" { print $2 }' "/proc/$pid/status"
}

# Writes 2,000 lines for the stand-in's command flood.
many_lines() {
    perl -e 'my ($open, $close) = map { "$_\n" } @ARGV; print +($open . $close) x 1000' \
        "$(open_line 7 3 /etc/hosts)" "$(close_line 7 3)" > standin/lines
}
