# shellcheck shell=sh disable=SC2016,SC2034,SC2154 # what is not set or used here is in lib.sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Mistakes of new users, and the message for each: it says what failed, on what, why, and what to do.

# Runs filemon for each line of standard input, which has the exit status, the arguments and the whole message.
mistakes() { # < TABLE
    while IFS='|' read -r want args message; do
        status=0
        sh -c "exec \"\$0\" -e stap --module-dir '$modules' -d 0.1 $args" "$tested" > out 2> err \
            < /dev/null || status=$?
        [ $status -eq "$want" ]
        sed -e '/^filemon: watching with stap$/d' -e 's/^filemon: //' err > message
        echo "$message" > expected
        diff -u expected message
    done
}

test_mistakes_of_a_command_line() {
    mistakes <<'END'
2||nothing to watch: give a process (-p PID), a program (-n NAME), a control group (-g CGROUP), a command (-- COMMAND), -a with a PATH, or records (-r FILE); try 'filemon --help'
2|nginx|nothing to watch: 'nginx' is a PATH; if it is a program write -n nginx, if a command -- nginx, and -a nginx asks about every process
2|ls -l|unknown option -l; try 'filemon --help', or -- before a COMMAND and its options
2|-p nginx|-p wants a process id, not 'nginx': if $(pidof PROGRAM) printed nothing, PROGRAM is not running; -n PROGRAM also watches what starts later
2|-p $(true)|-p wants a process id, and there is none: if $(pidof PROGRAM) printed nothing, PROGRAM is not running; -n PROGRAM also watches what starts later
2|-p 99999999|99999999 is no process id: they go from 1 to 4194304
2|1234 /etc|1234: a process is named by -p; a path made of digits is written ./1234
125|-p 1 -- ls|-- COMMAND is a target of its own: it does not go with -p, -n, -g or -a
2|-a|-a needs a PATH, -m GLOB or -u USER: which file or user do you ask about?
2|-a -u roott|-u roott: there is no such user; did you mean root?
2|-a -u ""|-u: its USER is empty: a variable or command substitution gave nothing
2|-a -m passwd|-m passwd: it is compared with a whole path, which begins with /; put */ before it
2|-a -m "*/[ab"|-m */[ab: a bracket is not closed; [[] stands for the character
2|-n x -I|-I says what PATHs mean: it goes with a PATH or -X PATH
2|-n x -m ""|-m: its GLOB is empty: a variable or command substitution gave nothing
2|-n x -xx -i|-xx reports only calls that failed: -i does not go with it
2|-n x -t name|-t name: there is no set 'name'; did you mean names?
2|-n x -t writes|-t writes: there is no set 'writes'; the sets are open, fail, held, exec, names, attributes and all
2|-n x -t open,|-t open,: a SET is empty; a LIST is SET[,SET...] or +SET[,SET...]
2|-n x -t ""|-t: its SET[,SET...] is empty: a variable or command substitution gave nothing
2|-n /usr/sbin/nginx|-n /usr/sbin/nginx: a NAME is no path: give its last component, 'nginx'
2|-n x/|-n x/: a NAME is that of a program, not a path
2|-n ""|-n: its NAME is empty: a variable or command substitution gave nothing
125|-- ""|an empty COMMAND: a variable or command substitution gave nothing
2|--sumary -n x|unknown option --sumary; did you mean --summary?
2|-p 1, -n x|-p: '1,' is no list of process ids, like 1,2,3
2|-p 0|0 is no process id: they go from 1 to 4194304
2|-n x -d 1m|-d wants seconds from 0.001 to 316224000, not '1m'
2|-n x ""|an empty PATH: a variable or command substitution gave nothing
2|-n x -d soon|-d wants seconds from 0.001 to 316224000, not 'soon'
2|-n x -f xml|-f wants one of json|text|csv, not 'xml'
2|-n x -c -f csv|-c and -C give text or json: -f csv does not go with them
2|-n x -c --sort size|--sort wants one of opens|time|failed|bytes|name, not 'size'
2|-n x --top 5|--sort and --top are about totals: they go with -c or -C
2|-n x -F pid,fichro|-F pid,fichro: there is no key 'fichro'; did you mean fichero? 'filemon --help' lists the keys
2|-n x -F pid -c|-F chooses the keys of records, and -c prints none; -C prints both, and -c -F ejecutable has totals by executable
2|-n x -D all|-D wants a number from 0 to 1000000, not 'all'
125|--|no COMMAND after --
END
}

test_mistakes_about_files() {
    mkdir dir
    ln -s loop loop
    touch file
    echo codigo,fichero > table
    prepared
    watches <<'END'
wait
END
    mistakes <<'END'
1|-n nothing-of-that-name -o no/such/file|no/such/file: No such file or directory; -o wants a FILE that can be written, in a directory that exists
1|-n nothing-of-that-name -o dir|dir: Is a directory; -o wants a FILE that can be written, in a directory that exists
1|-n nothing-of-that-name -f csv -o table|table: the file begins with other columns; name another FILE, or give -F the columns of this one
1|-a loop|loop: Too many levels of symbolic links; a PATH must lead to a file or directory
0|-a dir/nothing|dir/nothing: No such file or directory; it matches as soon as it exists
0|-a file/below|file/below: Not a directory; it matches as soon as it exists
1|-a -I dir/nothing|dir/nothing: No such file or directory; with -I, which asks for the file itself, a PATH must exist
1|-a -I dir -X file/below|file/below: Not a directory; with -I, which asks for the file itself, a PATH must exist
1|-a dir >&-|standard output: Bad file descriptor; -o FILE writes elsewhere
127|-- ./nothing|./nothing: No such file or directory; COMMAND is a program in PATH or the path of one
126|-- ./file|./file: Permission denied; COMMAND must be a file that may be executed
END
}

test_control_groups_that_are_not_mounted() {
    [ "$(id -u)" -eq 0 ] || skip 'only root can unmount'
    for option in -g '-F cgroup'; do
        status=0
        unshare --mount sh -c 'awk "\$3 == \"cgroup2\" { print \$2 }" /proc/mounts | xargs -r umount -l
            exec "$1" -e stap -n x '"$option"' nginx' sh "$tested" > out 2> err || status=$?
        [ $status -eq 1 ]
        said "^filemon: $option: no cgroup2 file system is mounted; it needs the unified hierarchy"
    done
}

test_mistakes_about_processes() {
    prepared
    watches <<'END'
wait
END
    sh -c 'exit 0' & gone=$!
    wait $gone
    ln -s "$(command -v sleep)" filemon-sleeper
    ./filemon-sleeper 1000 & sleeper=$!
    await grep -q sleeper /proc/$sleeper/comm
    ln -s "$HELPERS/standin" bin/threaded
    scenario threaded <<'END'
thread tid
hang
END
    threaded & leader=$!
    await [ -e standin/tid ]
    tid=$(cat standin/tid)
    mistakes <<END
1|-p $tid|$tid is a thread of process $leader, and descriptors are the process's: -p $leader watches them
1|-p $gone|there is no process $gone: it has exited, or never existed; -n NAME waits for a program
0|-p $gone,$sleeper|there is no process $gone: it has exited, or never existed; -n NAME waits for a program
0|-n filemon-slepeer|filemon-slepeer: no such process yet; waiting for one to start (did you mean 'filemon-sleeper', which is running?)
0|-n xyzzy-of-nobody|xyzzy-of-nobody: no such process yet; waiting for one to start
END
    kill -KILL $sleeper $leader
}

# filemon needs 4 MB for the process ids, and 2 MB for the arguments.  The limit leaves 4 MB in all.
test_no_memory_for_the_command_line() {
    ! grep -q __asan_init "$tested" || skip 'AddressSanitizer needs more address space'
    kib=1000
    until prlimit --as=$((kib * 1024)) "$tested" --version > out 2> err; do kib=$((kib + 200)); done
    set +x
    list=$(yes 1 | head -n 65000 | paste -sd ,)
    many=
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do many="$many -p $list"; done
    for command in 1: '125:-- true'; do
        status=0
        # shellcheck disable=SC2086 # words
        prlimit --as=$(((kib + 4000) * 1024)) "$tested" $many ${command#*:} > out 2> err || status=$?
        [ $status -eq "${command%%:*}" ]
        [ "$(cat err)" = 'filemon: the command line: Cannot allocate memory' ]
    done
}

# In each run another allocation fails: filemon must finish the run or print a message.
test_every_failed_allocation() {
    ! grep -q __asan_init "$tested" || skip 'AddressSanitizer does not go with LD_PRELOAD'
    ln -s dir/missing link
    prepared
    watches <<'END'
until S
say {codigo: "fin", modulo: "filemon_test_1"}
END
    # filemon makes some allocations for each process of /proc: on a busy machine the test would take minutes.
    alone='unshare --pid --fork --mount-proc'
    $alone true || alone=
    set +x
    n=0
    : > err
    until [ $n -gt 0 ] && ! grep -qx shortage err; do
        n=$((n + 1)) status=0
        # shellcheck disable=SC2016 # the variables of the inner shell
        $alone sh -c 'SHORTAGE=$1 LD_PRELOAD=$2 "$3" -e stap --module-dir "$4" \
            -d 0.01 -p $$ -n nothing-of-that-name . link -X /usr; exit $?' \
            sh "$n" "$HELPERS/shortage.so" "$tested" "$modules" > out 2> err < /dev/null || status=$?
        [ $status -eq 0 ] || grep -q '^filemon: ' err || {
            echo "allocation $n fails: status $status without a message"
            return 1
        }
    done
    [ $n -gt 50 ]
}

# Runs COMMAND as an ordinary user.
without_root() { # COMMAND...
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
    else
        "$@"
    fi
}

# Without root no engine can run, and a message says why for each.
test_no_root() {
    chmod 755 .
    cp "$FILEMON" filemon
    status=0
    without_root ./filemon -n x > out 2> err || status=$?
    [ "$status" -eq 3 ]
    [ ! -s out ]
    said '^filemon: engine stap cannot run here: '
    said '^filemon: engine bpf cannot run here: .*be root (sudo)$'
    said "^filemon: no engine can run here; 'filemon --check' lists what each needs$"
}
