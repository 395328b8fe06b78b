# shellcheck shell=sh disable=SC2034
# SPDX-License-Identifier: GPL-2.0-or-later
# Functions of the tests.  A test runs in an empty directory, with "set -eux": a command that fails
# ends the test, and the trace shows which.

release=$(uname -r)
tested=$HELPERS/filemon
modules=$PWD/modules
kept="$modules/$release/[0-9a-f]\{12\}" # where they lie, as a pattern

# A system on which stap can run, with the stand-in as stap and staprun.
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

# What stap or staprun does, in the commands of standin.c.
scenario() { # NAME < COMMANDS
    cat > "standin/$1"
}

# An ordinary staprun: the module is loaded, gets its targets and watches; then the commands of standard
# input.
watches() { # < COMMANDS
    {
        printf '%s\n' 'ready filemon_test_1 3' 'until G' watching
        cat
    } | scenario staprun
}

# The module exists, as after an earlier run, and nothing else of that run.
prepared() {
    "$tested" -q --prepare --module-dir "$modules"
    rm -f standin/log standin/argv
}

# filemon on the made-up system; signals as from a terminal, though it is in the background.
# $input and $output are its standard input and output, $search its PATH, $ignored the signals that it
# is started with ignored, $engine another engine than stap, where they are set.
start() { # ARG...
    rm -f out err # of the last one: what is waited for must be this one's
    env --default-signal=INT,QUIT ${ignored:+--ignore-signal=$ignored} PATH="${search:-$PATH}" \
        "$tested" -e "${engine:-stap}" --module-dir "$modules" "$@" \
        < "${input:-/dev/null}" > "${output:-out}" 2> err &
    pid=$!
}

# Waits for filemon; sets $status.
finish() {
    status=0
    wait "$pid" || status=$?
}

run() { # ARG...
    start "$@"
    finish
}

# The watchdog of "run" ends a test that awaits something in vain.
patience=120

wait_said() { # PATTERN: filemon said so on standard error
    await grep -q -e "$1" err
}

wait_record() { # PATTERN: a record with it was written
    await grep -q -e "$1" out
}

# Every line of the output is JSON, and FILTER is true for the array of all lines.
records() { # FILTER
    jq -e -s "$1" out > /dev/null
}

# filemon has printed a message at least once; or never.
said() { # PATTERN
    grep -q -e "$1" err
}

unsaid() { # PATTERN
    not grep -e "$1" err
}

# "set -e" ignores the status of a command after "!".
not() { # COMMAND...
    ! "$@"
}

# How often the stand-in was called in this way, or got this signal.
logged() { # N PATTERN
    touch standin/log
    [ "$(grep -c -e "$2" standin/log)" -eq "$1" ]
}

open_line() { # PID DESCRIPTOR PATH
    echo "{codigo: \"open\", proceso: \"smtpd\", pid: $1, ppid: 1, tid: $1, tabla: $1, fichero: \"$3\"," \
        "descriptor: $2, us: 1310920975000000, ns: 5000000000, flags: 524288}"
}

close_line() { # PID DESCRIPTOR
    echo "{codigo: \"close\", proceso: \"smtpd\", pid: $1, ppid: 1, tid: $1, tabla: $1," \
        "descriptor: $2, us: 1310920975027000, ns: 5027000000}"
}

# The buffer for the reader is bounded (OUTPUT_HIGH_WATER), so the program stays below 32 MB, except for
# the memory of a sanitizer.
memory_limit_kb() {
    if grep -q __asan_init "$tested"; then echo 300000; else echo 32000; fi
}

peak_memory_kb() {
    awk '$1 == "VmHWM:" { print $2 }' "/proc/$pid/status"
}

# 2,000 lines for the stand-in's command flood.
many_lines() {
    perl -e 'my ($open, $close) = map { "$_\n" } @ARGV; print +($open . $close) x 1000' \
        "$(open_line 7 3 /etc/hosts)" "$(close_line 7 3)" > standin/lines
}
