# shellcheck shell=sh disable=SC2016,SC2034,SC2154 # what is not set or used here is in lib.sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Readiness: --ready-fd, and the service manager's socket.

# Nothing but the newline says when to look for the message.
test_a_newline_says_that_the_watch_has_begun() {
    prepared
    watches <<'END'
wait
END
    mkfifo ready
    cat ready > got &
    reader=$!
    start -n nothing-of-that-name --ready-fd 7 7> ready
    wait "$reader"
    [ "$(od -A n -c got | tr -d ' ')" = '\n' ]
    said 'watching with'
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
}

test_eof_says_that_the_watch_never_begins() {
    prepared
    scenario staprun <<'END'
exit 1
END
    mkfifo ready
    cat ready > got &
    reader=$!
    start -n nothing-of-that-name --ready-fd 7 7> ready
    wait "$reader"
    [ ! -s got ]
    finish
    [ "$status" -eq 1 ]
}

# Its descriptor would keep the reader from EOF, and what it wrote there would pass for readiness.
test_a_command_inherits_neither_descriptor_nor_socket() {
    prepared
    watches <<'END'
until F
await ended
say {codigo: "fin", modulo: "filemon_test_1"}
wait
END
    export NOTIFY_SOCKET=/nonexistent/notify
    start --ready-fd 7 -- sh -c 'ls -l /proc/self/fd; env; touch standin/ended; exit 5' 7> ready
    finish
    [ "$status" -eq 5 ]
    [ "$(od -A n -c ready | tr -d ' ')" = '\n' ]
    grep -q '^PATH=' out
    grep -q ' 1 -> ' out
    not grep -e ' 7 -> ' -e NOTIFY_SOCKET out
    said 'NOTIFY_SOCKET /nonexistent/notify: No such file or directory; the service manager is not told'
}

test_the_service_manager_is_notified() {
    prepared
    watches <<'END'
wait
END
    cat > manager <<'END'
#!/usr/bin/perl
use Socket;
socket my $manager, AF_UNIX, SOCK_DGRAM, 0 or die;
bind $manager, sockaddr_un($ARGV[0]) or die;
open my $up, ">", "listens" or die;
recv $manager, my $message, 4096, 0;
print "$message\n";
END
    chmod +x manager
    ./manager "$PWD/notify" > message &
    manager_pid=$!
    await [ -e listens ]
    export NOTIFY_SOCKET="$PWD/notify"
    start -n nothing-of-that-name
    wait "$manager_pid"
    [ "$(cat message)" = READY=1 ]
    said 'watching with'
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
}

test_a_full_pipe_does_not_keep_the_watch_from_beginning() {
    mkfifo full
    exec 8<> full
    # A FIFO that is opened for both takes what fits, and fails instead of waiting for a reader.
    perl -e 'use Fcntl; fcntl STDOUT, F_SETFL, O_NONBLOCK; 1 while syswrite STDOUT, "x" x 4096; fcntl STDOUT, F_SETFL, 0' >&8
    "$FILEMON" --ready-fd 8 -r /dev/null > out 2> err
    [ "$(cat err)" = \
        'filemon: --ready-fd 8: it takes no byte now; its reader is not told that the watch has begun' ]
}

test_descriptors_that_cannot_be_used_are_refused() {
    while IFS='|' read -r args message; do
        status=0
        sh -c "exec \"\$0\" -n x $args" "$FILEMON" > out 2> err < /dev/null || status=$?
        [ $status -eq 2 ]
        [ "$(cat err)" = "filemon: $message" ]
    done <<'END'
--ready-fd x|--ready-fd wants the number of a descriptor from 3 on, not 'x'
--ready-fd 1|--ready-fd wants the number of a descriptor from 3 on, not '1'
--ready-fd -1|--ready-fd wants the number of a descriptor from 3 on, not '-1'
--ready-fd 99999999999|--ready-fd wants the number of a descriptor from 3 on, not '99999999999'
--ready-fd 7|--ready-fd 7: this descriptor is not open; a shell opens it with 7>FILE
--ready-fd 7 7</dev/null|--ready-fd 7: this descriptor is not open for writing
END
}
