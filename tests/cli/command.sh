# shellcheck shell=sh disable=SC2016,SC2034,SC2154 # what is not set or used here is in lib.sh
# SPDX-License-Identifier: GPL-2.0-or-later
# "-- COMMAND": the command starts when it is watched, and runs as it would without filemon.

# As staprun, the stand-in prints "fin" when the file standin/ended exists, which the command creates at its end.
watches_command() {
    prepared
    watches <<'END'
until F
await ended
say {codigo: "fin", modulo: "filemon_test_1"}
wait
END
}

# Runs filemon with COMMAND; passes if it exits with STATUS.
runs() { # STATUS COMMAND...
    expected=$1
    shift
    rm -f standin/ended
    start -- sh -c 'status=0; sh -c "$1" || status=$?; touch standin/ended; exit $status' sh "$@"
    finish
    [ "$status" -eq "$expected" ]
}

test_the_status_is_the_commands() {
    watches_command
    runs 0 true
    runs 7 'exit 7'
    runs 255 'exit 255'
    logged 3 SIGINT
    logged 3 ^staprun
}

test_the_status_after_a_signal() {
    watches_command
    for signal in TERM KILL SEGV; do
        rm -f standin/ended
        run -- sh -c "touch standin/ended; kill -$signal \$\$"
        [ "$status" -eq $((128 + $(kill_number $signal))) ]
    done
}

kill_number() {
    case $1 in TERM) echo 15 ;; KILL) echo 9 ;; SEGV) echo 11 ;; esac
}

# The script can report that no process is left before filemon has reaped the command.
test_filemon_waits_for_the_status() {
    open_line 7 3 /etc/hosts > standin/lines
    prepared
    watches <<'END'
until F
say {codigo: "fin", modulo: "filemon_test_1"}
send lines
wait
END
    start -- sh -c 'until grep -q open out; do sleep 0.01; done; exit 7'
    finish
    [ "$status" -eq 7 ]
    records 'map(.codigo) == ["open"]'
}

test_the_command_waits_for_the_watch() {
    prepared
    scenario staprun <<'END'
ready filemon_test_1
until G
mark has_targets
await go
watching
until F
await ran
say {codigo: "fin", modulo: "filemon_test_1"}
wait
END
    start -- touch standin/ran
    await [ -e standin/has_targets ]
    [ ! -e standin/ran ]
    # The command's process exists already and waits.
    command=$(cat "/proc/$pid/task/$pid/children")
    for child in $command; do
        [ "$(tr '\0' ' ' < "/proc/$child/cmdline")" != 'touch standin/ran ' ]
    done
    touch standin/go
    finish
    [ "$status" -eq 0 ]
    [ -e standin/ran ]
    target=$(sed -n 's/.*+\([0-9]*\)PF.*/\1/p' root/proc/systemtap/filemon_test_1/control)
    for child in $command; do
        [ "$child" != "$target" ] || found=1
    done
    [ "$found" -eq 1 ]
}

test_the_command_does_not_run_without_an_engine() {
    prepared
    scenario staprun <<'END'
exit 1
END
    run -- touch ran
    [ "$status" -eq 125 ]
    [ ! -e ran ]
    rm bin/staprun
    search=$PWD/bin
    run -- touch ran
    [ "$status" -eq 125 ]
    [ ! -e ran ]
}

# The command goes on without being watched, and its status is returned.
test_a_failing_engine_does_not_end_the_command() {
    prepared
    watches <<'END'
await started
die 9
END
    for case in '125 0' '7 7'; do
        rm -f go standin/started
        start -- sh -c "touch standin/started
            until [ -e go ]; do sleep 0.01; done; exit ${case#* }"
        wait_said 'stap was killed by signal 9'
        wait_said '^filemon: sh goes on without being watched'
        touch go
        finish
        [ "$status" -eq "${case% *}" ]
    done
}

# A signal while the command's process waits for its release.
test_an_interrupt_before_the_watch() {
    prepared
    scenario staprun <<'END'
mark started
caught
END
    start -- touch ran
    await [ -e standin/started ]
    kill -TERM "$pid"
    finish
    [ "$status" -eq 143 ]
    [ ! -e ran ]
}

# The run then ends, because no watched process is left.
test_the_command_is_killed_before_its_release() {
    prepared
    scenario staprun <<'END'
mark started
caught
END
    start -- touch ran
    await [ -e standin/started ]
    tr ' ' '\n' < "/proc/$pid/task/$pid/children" | while read -r child; do
        ! grep -qx filemon "/proc/$child/comm" || kill -KILL "$child"
    done
    finish
    [ "$status" -eq 137 ]
    [ ! -e ran ]
}

test_a_killed_filemon_does_not_release_the_command() {
    prepared
    scenario staprun <<'END'
mark started
caught
END
    start -- touch ran
    await [ -e standin/started ]
    children=$(cat "/proc/$pid/task/$pid/children")
    kill -KILL "$pid"
    finish
    for child in $children; do await sh -c "! kill -0 $child"; done
    [ ! -e ran ]
}

test_a_command_that_cannot_be_executed() {
    prepared
    watches <<'END'
wait
END
    touch file
    mkdir dir
    for case in '127 ./nothing' '127 nothing-of-that-name' '126 ./file' '126 ./dir'; do
        run -- "${case#* }"
        [ "$status" -eq "${case%% *}" ]
        said "filemon: ${case#* }: "
        [ ! -s out ]
    done
    logged 4 SIGINT
}

test_standard_descriptors_are_inherited() {
    open_line 7 3 /etc/hosts > standin/lines
    prepared
    watches <<'END'
until F
await ended
send lines
say {codigo: "fin", modulo: "filemon_test_1"}
wait
END
    printf 'in\0put\n' > in
    input=in
    run -o records -- sh -c 'cat; echo to error >&2; touch standin/ended'
    [ "$status" -eq 0 ]
    cmp in out
    said '^to error$'
    [ "$(jq -r .fichero records)" = /etc/hosts ]
}

# Compares descriptors, environment and directory with those without filemon, and the signals, which awk prints because
# a shell would change the mask.
test_the_command_inherits_everything_else() {
    cat > show <<'END'
#!/bin/sh
cd /proc/self/fd && for fd in *; do [ "$fd" -gt 2 ] && [ -e "/proc/$$/fd/$fd" ] && echo "$fd"; done
cd - > /dev/null
pwd
env | grep -v '^\(_\|PWD\|OLDPWD\|PATH\)=' | sort
touch standin/ended
END
    chmod +x show
    watches_command
    for signals in '' --ignore-signal=PIPE --ignore-signal=INT,HUP,PIPE \
        --ignore-signal=CHLD,XFSZ --block-signal=INT,TERM,CHLD,USR1,USR2,PIPE; do
        env --default-signal=INT,QUIT,PIPE,CHLD,XFSZ $signals ./show > plain
        rm -f standin/ended
        env --default-signal=INT,QUIT,PIPE,CHLD,XFSZ $signals \
            "$tested" -e stap --module-dir "$modules" -o records -- ./show > out 2> err
        diff plain out
        set -- awk '/^Sig(Blk|Ign)/ { print } END { system("touch standin/ended") }' /proc/self/status
        env --default-signal=INT,QUIT,PIPE,CHLD,XFSZ $signals "$@" > plain
        rm -f standin/ended
        env --default-signal=INT,QUIT,PIPE,CHLD,XFSZ $signals \
            "$tested" -e stap --module-dir "$modules" -o records -- "$@" > out 2> err
        diff plain out
    done
}

test_a_signal_is_forwarded() {
    watches_command
    for signal in INT TERM HUP; do
        rm -f standin/ended started
        start -- sh -c "trap 'touch standin/ended; exit 3' $signal
            touch started; while :; do sleep 0.01; done"
        await [ -e started ]
        kill -$signal "$pid"
        finish
        [ "$status" -eq 3 ]
    done
    logged 3 SIGINT
}

# The stand-in reports no end of all targets, as if a process that the command started were still running.
test_a_signal_ends_the_run_with_the_command() {
    prepared
    watches <<'END'
wait
END
    start -- sh -c 'trap "exit 3" TERM; touch started; while :; do sleep 0.01; done'
    await [ -e started ]
    kill -TERM "$pid"
    finish
    [ "$status" -eq 3 ]
}

# The command ignores both signals: filemon exits without a status of it.
test_a_second_signal_does_not_wait_for_the_command() {
    prepared
    watches <<'END'
wait
END
    start -- sh -c 'trap "" INT TERM; touch started; until [ -e go ] || [ ! -e started ]; do sleep 0.01; done'
    await [ -e started ]
    kill -INT "$pid"
    kill -TERM "$pid"
    finish
    touch go
    [ "$status" -eq 143 ] || [ "$status" -eq 130 ]
    logged 0 SIGTERM
}

# Makes a command, "listen", that writes the name of each signal to "log" and exits with status 5 after SIGTERM.  With
# the argument "own" it runs in its own process group.
make_listener() {
    cat > listen <<'END'
#!/usr/bin/perl
setpgrp if @ARGV;
open my $log, ">>", "log";
$log->autoflush;
$SIG{HUP} = "IGNORE"; # sent when the session of the terminal ends
for my $signal ("INT", "QUIT", "TERM") { $SIG{$signal} = sub { print $log "$signal\n"; $over = $signal eq "TERM" } }
print $log "listens\n";
select undef, undef, undef, 0.01 until $over or not -e "listen";
exit 5;
END
    chmod +x listen
    rm -f log
}

# Prints the signals that the command received up to TERM.
signals_of_command() {
    await grep -q TERM log
    grep -v listens log | paste -s -d ' '
}

# Starts filemon in its own process group, as a shell with job control does; $pid is the group.
start_job() { # ARG...
    perl -e 'setpgrp; exec @ARGV' env --default-signal=INT,QUIT "$tested" -e stap \
        --module-dir "$modules" "$@" < /dev/null > out 2> err &
    pid=$!
}

# The second signal ends both filemon and the command: filemon's status depends on which of them ends first.
has_status_of_either() {
    [ "$status" -eq 143 ] || [ "$status" -eq 5 ]
}

# A signal to the whole job, as by timeout(1) or a shell's kill, has reached the command already.
test_a_signal_to_the_process_group_is_not_forwarded() {
    prepared
    watches <<'END'
wait
END
    make_listener
    start_job -- ./listen
    await grep -q listens log
    kill -INT "-$pid"
    await grep -q INT log
    # The second signal is forwarded, and ends filemon after the effects of the first.
    kill -TERM "$pid"
    finish
    [ "$(signals_of_command)" = 'INT TERM' ]
    has_status_of_either
    # A command that has left the group has not got the signal.
    make_listener
    start_job -- ./listen own
    await grep -q listens log
    kill -INT "-$pid"
    await grep -q INT log
    kill -TERM "$pid"
    finish
    [ "$(signals_of_command)" = 'INT TERM' ]
    # The process signal-witness shows filemon that the whole group received a signal.  A signal sent to it alone must not
    # make filemon drop another sender's signal.
    make_listener
    start_job -- ./listen
    await grep -q listens log
    witness=$(tr ' ' '\n' < "/proc/$pid/task/$pid/children" | while read -r child; do
        ! grep -q signal-witness "/proc/$child/comm" || echo "$child"
    done)
    [ -z "$(tr -d '\0' < "/proc/$witness/cmdline")" ]
    sh -c "kill -TERM $witness"
    kill -TERM "$pid"
    [ "$(signals_of_command)" = TERM ]
    finish
    [ "$status" -eq 5 ]
}

# A terminal sends ^C to the command itself, which may go on, as a shell or a debugger does: filemon goes on, too.
# A command in another process group gets the signal from filemon.
test_an_interrupt_of_the_terminal_goes_to_the_command() {
    prepared
    for command in ./listen './listen own'; do
        watches <<'END'
wait
END
        make_listener
        rm -f keys
        mkfifo keys
        env --default-signal=INT,QUIT script -q -e -f \
            -c "exec '$tested' -e stap --module-dir '$modules' -- $command" \
            typescript < keys > /dev/null &
        pid=$!
        exec 9> keys
        await grep -q listens log
        printf '\003' >&9
        await grep -q INT log
        if [ "$command" = ./listen ]; then
            printf '\003\034' >&9
            await grep -q QUIT log
        fi
        kill -TERM "$(tr -d ' ' < "/proc/$pid/task/$pid/children")"
        got=$(signals_of_command)
        finish
        exec 9>&-
        has_status_of_either
        case $command in
        ./listen) [ "$got" = 'INT INT QUIT TERM' ] ;;
        *) [ "$got" = 'INT TERM' ] ;;
        esac
    done
}

test_the_command_goes_on_after_the_duration() {
    prepared
    watches <<'END'
wait
END
    run -d 0.1 -- sh -c 'until [ -e go ]; do sleep 0.01; done; touch went-on'
    [ "$status" -eq 0 ]
    touch go
    await [ -e went-on ]
}
