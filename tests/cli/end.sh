# shellcheck shell=sh disable=SC2016,SC2034,SC2154 # what is not set or used here is in lib.sh
# SPDX-License-Identifier: GPL-2.0-or-later
# How a run ends: by a signal, by itself, or because stap exits.

test_sigterm_and_sigint_end_in_order() {
    many=20000
    perl -e 'print "$ARGV[0]\n" x $ARGV[1]' "$(open_line 7 3 /etc/hosts)" $many > standin/lines
    prepared
    for signal in INT TERM; do
        watches <<'END'
wait
send lines
END
        start -n nothing-of-that-name
        wait_said 'watching with'
        kill -$signal "$pid"
        finish
        [ "$status" -eq 0 ]
        # All lines are opens of the same descriptor: each but the first also gives an "error" record.
        records "map(.codigo) | map(select(. == \"open\")) | length == $many"
    done
    logged 2 SIGINT
    logged 0 SIGTERM
}

test_interrupted_before_it_is_loaded() {
    prepared
    scenario staprun <<'END'
mark started
wait
END
    start -n nothing-of-that-name
    await [ -e standin/started ]
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
    logged 1 SIGINT
    unsaid 'could not load'
}

# stap gets SIGINT, SIGTERM and SIGKILL; then filemon unloads the module.
test_stap_that_does_not_end_is_killed() {
    STOP_MS=10000
    prepared
    watches <<'END'
send lines
hang
END
    open_line 7 3 /etc/hosts > standin/lines
    start -n nothing-of-that-name
    wait_record open
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
    logged 1 SIGINT
    logged 1 SIGTERM
    logged 1 '^staprun -d filemon_test_1$'
    said 'stap did not end when asked to: killed'
    records 'map(.codigo) == ["open"]'
}

# filemon has read EOF from stap, but stap does not exit.
test_stap_that_closes_its_output_and_does_not_exit_is_killed() {
    STOP_MS=10000
    prepared
    watches <<'END'
wait
close
hang
END
    start -n nothing-of-that-name
    wait_said 'watching with'
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
    logged 1 SIGTERM
    logged 1 '^staprun -d filemon_test_1$'
}

# stap closes standard output and standard error although filemon has not stopped it.
test_stap_that_closes_its_output_is_an_error() {
    prepared
    watches <<'END'
close
caught
exit 3
END
    run -n nothing-of-that-name
    [ "$status" -eq 1 ]
    said 'stap ended by itself, with status 3'
    logged 1 SIGINT
}

# A child of stap keeps the pipe of stap's output open.
test_children_of_stap_do_not_keep_filemon() {
    STOP_MS=10000
    prepared
    watches <<'END'
child
hang
END
    start -n nothing-of-that-name
    wait_said 'watching with'
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
    child=$(sed -n 's/^child //p' standin/log)
    await sh -c "! kill -0 $child"
}

test_stap_that_exits_before_its_children() {
    open_line 7 3 /etc/hosts > standin/lines
    prepared
    watches <<'END'
child
send lines
exit 3
END
    run -n nothing-of-that-name
    [ "$status" -eq 1 ]
    said 'stap ended by itself, with status 3'
    records 'map(.codigo) == ["open"]'
    child=$(sed -n 's/^child //p' standin/log)
    await sh -c "! kill -0 $child"
}

test_a_second_signal_ends_at_once() {
    prepared
    watches <<'END'
until S
mark asked
hang
END
    for signal in INT TERM; do
        start -n nothing-of-that-name
        wait_said 'watching with'
        kill -INT "$pid"
        await [ -e standin/asked ]
        kill -$signal "$pid"
        finish
        [ "$status" -eq 1 ]
        said 'ended by a second signal: what the engine had not delivered is missing'
        logged 0 SIG
        logged 1 '^staprun -d filemon_test_1$'
        rm standin/log standin/asked
    done
}

test_stap_that_is_killed() {
    { open_line 7 3 /etc/hosts; close_line 7 3; } > standin/lines
    prepared
    watches <<'END'
send lines
die 9
END
    run -n nothing-of-that-name
    [ "$status" -eq 1 ]
    said 'stap was killed by signal 9'
    logged 1 '^staprun -d filemon_test_1$'
    records 'map(.codigo) == ["open", "close"]'
}

test_stap_that_exits_by_itself_is_an_error() {
    open_line 7 3 /etc/hosts > standin/lines
    prepared
    watches <<'END'
send lines
warn ERROR: something went wrong
exit 3
END
    run -n nothing-of-that-name
    [ "$status" -eq 1 ]
    said 'stap ended by itself, with status 3'
    said 'staprun: ERROR: something went wrong'
    records 'map(.codigo) == ["open"]'
}

test_a_module_that_does_not_load_is_an_error() {
    prepared
    scenario staprun <<'END'
warn ERROR: Couldn't insert module: Operation not permitted
exit 1
END
    run -n nothing-of-that-name
    [ "$status" -eq 1 ]
    said "Couldn't insert module: Operation not permitted"
    said "could not load $modules.*(status 1)"
}

# The last line of standard error has no newline.
test_a_module_that_ends_within_a_line() {
    prepared
    printf 'ERROR: half a line' > standin/half
    scenario staprun <<'END'
close
END
    rm bin/staprun
    cat > bin/staprun <<'END'
#!/bin/sh
cat "$STANDIN/half" >&2
exit 1
END
    chmod +x bin/staprun
    run -n nothing-of-that-name
    [ "$status" -eq 1 ]
    said 'could not load .*: ERROR: half a line'
}

test_a_killed_filemon_ends_stap() {
    prepared
    watches <<'END'
wait
mark over
END
    start -n nothing-of-that-name
    wait_said 'watching with'
    kill -KILL "$pid"
    finish
    await [ -e standin/over ]
    logged 1 SIGTERM
}

# staprun -R appends its process id to the name of a module.
test_modules_of_killed_runs_are_removed() {
    prepared
    mkdir root/proc/11 root/proc/12 root/proc/13
    echo stapio > root/proc/11/comm
    echo bash > root/proc/12/comm
    cat > root/proc/modules <<'END'
filemon_0123456789ab_01234567_11 1000 0 - Live 0x0
filemon_0123456789ab_01234567_12 1000 0 - Live 0x0
filemon_0123456789ab_01234567_14 1000 0 - Live 0x0
stap_0123456789ab_14 1000 0 - Live 0x0
xfilemon_15 1000 0 - Live 0x0
END
    watches <<'END'
wait
END
    start -n nothing-of-that-name
    wait_said 'watching with'
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
    logged 1 '^staprun -d filemon_0123456789ab_01234567_12$'
    logged 1 '^staprun -d filemon_0123456789ab_01234567_14$'
    logged 2 '^staprun -d'
    said 'removing the module filemon_0123456789ab_01234567_12'
}

# Neither the start nor the end of a run waits without limit for a module to unload.
test_unloading_has_a_timeout() {
    STOP_MS=10000
    prepared
    echo 'filemon_0123456789ab_01234567_14 1000 0 - Live 0x0' > root/proc/modules
    scenario unload <<'END'
hang
END
    watches <<'END'
hang
END
    start -n nothing-of-that-name
    wait_said 'watching with'
    said "'staprun -d filemon_0123456789ab_01234567_14' does not end: killed; 'rmmod filemon_0"
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
    said "'staprun -d filemon_test_1' does not end: killed; 'rmmod filemon_test_1' removes the"
    logged 2 '^staprun -d'
}

test_the_duration_ends_the_run() {
    prepared
    watches <<'END'
wait
END
    run -d 0.2 -n nothing-of-that-name
    [ "$status" -eq 0 ]
    logged 1 SIGINT
}

test_the_end_of_all_targets_ends_the_run() {
    prepared
    watches <<'END'
until F
await ended
say {codigo: "fin", modulo: "filemon_test_1"}
wait
END
    sleep 1000 & one=$!
    sleep 1000 & two=$!
    start -p $one,$two
    wait_said 'watching with'
    kill $one $two
    touch standin/ended
    finish
    [ "$status" -eq 0 ]
    logged 1 SIGINT
}

test_processes_that_do_not_exist() {
    prepared
    watches <<'END'
until F
say {codigo: "fin", modulo: "filemon_test_1"}
wait
END
    sh -c 'exit 0' & gone=$!
    wait $gone
    run -p $gone
    [ "$status" -eq 1 ]
    said "there is no process $gone"
    logged 0 ^staprun
    # One of them exists and is watched; the others are reported.
    run -p $gone -p $$
    [ "$status" -eq 0 ]
    said "there is no process $gone"
    grep -q "+$$" root/proc/systemtap/filemon_test_1/control
}

# A signal that nohup(1) or a shell's "&" ignores stays ignored.
test_ignored_signals_stay_ignored() {
    open_line 7 3 /etc/hosts > standin/lines
    prepared
    watches <<'END'
await go
send lines
wait
END
    env --ignore-signal=HUP,INT "$tested" -e stap --module-dir "$modules" -n nothing-of-that-name \
        > out 2> err & pid=$!
    wait_said 'watching with'
    kill -HUP $pid
    kill -INT $pid
    touch standin/go
    wait_record open
    logged 0 SIGINT
    kill -TERM $pid
    finish
    [ "$status" -eq 0 ]
    # filemon stops stap by SIGINT, which stap must not ignore.
    logged 1 SIGINT
    logged 0 'staprun ignores'
}

test_hangup_ends_the_run() {
    prepared
    watches <<'END'
wait
END
    start -n nothing-of-that-name
    wait_said 'watching with'
    kill -HUP "$pid"
    finish
    [ "$status" -eq 0 ]
    logged 1 SIGINT
}

# A daemon that ignores SIGCHLD starts filemon.  If filemon did not reset the signal, waitpid(2) would return no status,
# and the kernel could reuse the pid of an exited child at once.
test_sigchld_ignored_at_start() {
    watches <<'END'
until F
await ended
say {codigo: "fin", modulo: "filemon_test_1"}
wait
END
    ignored=CHLD
    start -- sh -c 'touch standin/ended; exit 7' # builds the module, too
    finish
    [ "$status" -eq 7 ]
    [ "$(find modules -name 'filemon_*.ko' | wc -l)" -eq 1 ]
    # Signals are forwarded to the command until it is reaped.
    rm standin/ended
    start -- sh -c 'trap "touch standin/ended; exit 3" TERM; touch started
        while :; do sleep 0.01; done'
    await [ -e started ]
    kill -TERM "$pid"
    finish
    [ "$status" -eq 3 ]
}
