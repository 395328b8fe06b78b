# shellcheck shell=sh disable=SC2016,SC2034,SC2154 # what is not set or used here is in lib.sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The probe module: it is built once and kept; stap may fail in many ways; and a module that another user could have
# changed is not loaded.

watches_and_stops() {
    watches <<'END'
wait
END
    start "$@"
    wait_said 'watching with stap'
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
}

# Whether the temporary directory in which stap ran was removed.
work_directory_was_removed() {
    work=$(tr '\0' '\n' < standin/argv | sed -n 's|/tree$||p' | tail -n 1)
    case $work in /tmp/filemon.*) ;; *) false ;; esac
    [ ! -e "$work" ]
}

test_only_the_first_run_builds() {
    scenario stap <<'END'
keep
build
END
    watches_and_stops -n nothing-of-that-name
    logged 1 'stap -p4'
    logged 1 '^staprun .*/filemon_[0-9a-f]*_[0-9a-f]*\.ko$'
    said "first run on kernel $release: building the probe module with stap 9.9/0.999, once"
    said "the module is built (.* s) and kept: $kept/filemon_"
    work_directory_was_removed
    cmp standin/script.stp "$(dirname "$FILEMON")/monitorFicheros.stp"
    printf '%s\n' 'ffffffff81000000 T _text' 'ffffffff81000010 T uprobe_unregister' |
        cmp - standin/System.map

    rm standin/log
    for name in other-name 'third name'; do
        watches_and_stops -n "$name" -x -D 3 "/path of $name" -X /path/x
        unsaid 'first run'
    done
    logged 0 'stap -p4'
    logged 0 'stap --version'
    logged 2 ^staprun
}

test_prepare_builds_the_module() {
    for expected in 'the module is built' 'the module exists already'; do
        "$tested" --prepare --module-dir "$modules" > out 2> err
        said "$expected.*: $kept/filemon_.*\.ko\$"
        [ ! -s out ]
    done
    logged 1 'stap -p4'
    logged 0 ^staprun
}

test_prepare_for_another_kernel() {
    mkdir -p root/lib/modules/6.1.0-99-other/build/include/generated
    header=root/lib/modules/6.1.0-99-other/build/include/generated/utsversion.h
    echo '#define UTS_VERSION "#1 SMP Other 6.1.99-1"' > $header
    printf '%s\n' 'ffffffff81000000 T _text' 'ffffffff81000020 t other' > kallsyms
    scenario stap <<'END'
keep
build 6.1.0-99-other
END
    "$tested" --prepare --kernel 6.1.0-99-other --kallsyms kallsyms --module-dir relative 2> err
    said "kept: $PWD/relative/6.1.0-99-other/[0-9a-f]\{12\}/filemon_.*\.ko\$"
    cmp kallsyms standin/System.map
    # That kernel has no uprobe_unregister.
    grep -q -a STAPCONF_UPROBE_UNREGISTER_EXPORTED standin/argv

    # Another build of the same release has another module.
    mv $header "${header%utsversion.h}compile.h"
    sed -i 's/6\.1\.99-1/6.1.99-2/' "${header%utsversion.h}compile.h"
    "$tested" --prepare --kernel 6.1.0-99-other --kallsyms kallsyms --module-dir relative 2> err
    said 'the module is built'
    [ "$(find relative -name '*.ko' | wc -l)" -eq 2 ]
    # Headers without "uname -v".
    rm "${header%utsversion.h}compile.h"
    status=0
    "$tested" --prepare --kernel 6.1.0-99-other --kallsyms kallsyms --module-dir relative 2> err ||
        status=$?
    [ $status -eq 1 ]
    said "do not contain 'uname -v' of their kernel"
}

# A workaround is used only if stap cannot build for the kernel without it.
test_workarounds_depend_on_the_kernel() {
    "$tested" --prepare --module-dir "$modules" 2> err
    not grep -a STAPCONF standin/argv
    rm -r modules standin/argv
    echo 'struct callback_head *task_work_cancel_func(void);' \
        > "root/lib/modules/$release/build/include/linux/task_work.h"
    sed -i /uprobe/d root/proc/kallsyms
    "$tested" --prepare --module-dir "$modules" 2> err
    grep -q -a STAPCONF_TASK_WORK_CANCEL_EXPORTED standin/argv
    grep -q -a 'KCFLAGS=-include /tmp/filemon\.[0-9a-f]*/task_work_cancel\.h' standin/argv
    grep -q -a STAPCONF_UPROBE_UNREGISTER_EXPORTED standin/argv
    # A stap that knows the new function needs no workaround.
    rm -r modules standin/argv
    mkdir -p root/usr/share/systemtap/runtime
    echo task_work_cancel_func > root/usr/share/systemtap/runtime/stp_task_work.c
    "$tested" --prepare --module-dir "$modules" 2> err
    not grep -a KCFLAGS standin/argv
}

test_another_stap_builds_another_module() {
    prepared
    rm bin/stap
    sed 's|9\.9/0\.999|9.8/0.998|' "$HELPERS/standin" > bin/stap
    chmod +x bin/stap
    watches_and_stops -n nothing-of-that-name
    logged 1 'stap -p4'
    said 'with stap 9.8/0.998'
    [ "$(find modules -name '*.ko' | wc -l)" -eq 2 ]
}

test_a_prepared_module_needs_no_stap_and_no_headers() {
    mkdir '[a-c]*' # must not be taken for a pattern
    modules="$PWD/[a-c]*"
    prepared
    rm -r bin/stap "root/lib/modules/$release" root/proc/kallsyms
    search=$PWD/bin
    watches_and_stops -n nothing-of-that-name
    logged 1 "^staprun .*/\[a-c\]\*/$release/[0-9a-f]*/filemon_"
}

test_the_default_directory() {
    # root uses a directory of the system, other users one in $HOME.
    home=$(mktemp -d)
    HOME=$home "$tested" -q --prepare
    if [ "$(id -u)" -eq 0 ]; then top=root/var/cache/filemon; else top=$home/.cache/filemon; fi
    [ "$(find "$top/$release" -name 'filemon_*.ko' | wc -l)" -eq 1 ]
    rm -r "$home"
}

test_a_failed_build_shows_the_last_lines_of_stap() {
    scenario stap <<'END'
say Pass 1: parsed user script and 482 library scripts.
say Pass 2: analyzed script: 20 probes.
warn line that is too old to be shown
warn error 1
warn error 2
warn error 3
warn error 4
warn error 5
warn error 6
warn error 7
warn error 8, of the compiler
exit 1
END
    run -n nothing-of-that-name
    [ "$status" -eq 1 ]
    for n in 1 2 3 4 5 6 7 8; do said "stap: error $n"; done
    [ "$(grep -c '^filemon: stap: ' err)" -eq 8 ]
    said "stap could not build the module for kernel $release in its pass 3"
    log=$(sed -n 's/.*its whole output is in //p' err)
    grep -q 'too old' "$log"
    grep -q 'Pass 1' "$log"
    work_directory_was_removed
    logged 0 ^staprun
    [ -z "$(find modules -name '*.ko*')" ]
    # The next successful build removes the log.
    scenario stap <<'END'
build
END
    prepared
    [ ! -e "$log" ]
}

test_a_build_without_a_module() {
    scenario stap <<'END'
say Pass 4: compiled C into "filemon_x.ko" in 1ms.
END
    run -n nothing-of-that-name
    [ "$status" -eq 1 ]
    said "stap has built no module (.*: No such file or directory)"
    work_directory_was_removed
}

test_stap_killed_while_it_builds() {
    scenario stap <<'END'
die 9
END
    run -n nothing-of-that-name
    [ "$status" -eq 1 ]
    said 'stap was killed by signal 9 while it built the module'
    work_directory_was_removed
}

# An interrupted build ends stap and its compilers and removes their directory, although they write to
# it without end.
# Interrupts a build; passes if filemon exits with STATUS.
interrupted_build() { # STATUS ARG...
    expected=$1
    shift
    scenario stap <<'END'
child
child
child
child
mark building
hang
END
    rm -f standin/building standin/log
    start "$@"
    await [ -e standin/building ]
    children=$(sed -n 's/^child //p' standin/log)
    kill -INT "$pid"
    finish
    [ "$status" -eq "$expected" ]
    work_directory_was_removed
    for child in $children; do await sh -c "! kill -0 $child"; done
    logged 0 ^staprun
    [ -z "$(find modules -name '*.ko*')" ]
}

test_an_interrupted_build_leaves_nothing() {
    interrupted_build 0 -n nothing-of-that-name
}

test_an_interrupted_prepare_leaves_nothing() {
    interrupted_build 1 --prepare
}

# The next build removes a directory that a killed run left, and nothing else of a similar name.
test_directories_of_killed_builds_are_removed() {
    scenario stap <<'END'
mark building
caught
END
    start --prepare
    await [ -e standin/building ]
    stale=$(tr '\0' '\n' < standin/argv | sed -n 's|/tree$||p')
    [ -e "$stale/System.map" ]
    kill -KILL "$pid"
    finish
    # The directory of a running build stays.
    rm standin/building standin/argv
    scenario stap <<'END'
mark building
await go
build
END
    start --prepare
    await [ -e standin/building ]
    await [ ! -e "$stale" ]            # this run removes it, or that of another test at the same moment
    in_use=$(tr '\0' '\n' < standin/argv | sed -n 's|/tree$||p')

    like=/tmp/filemon.$(printf %012x $$)
    mkdir -p victim/dir
    touch victim/dir/file
    chmod 700 victim
    ln -s "$PWD/victim" "${like}0001"       # a link
    touch "${like}0002"                     # a file
    mkdir -m 755 "${like}0003"              # open to other users
    mkdir -m 700 "${like}000g" "${like}004" # names of another form
    if [ "$(id -u)" -eq 0 ]; then
        mkdir "${like}0005"                 # of another user
        chown 65534 "${like}0005"
        chmod 700 "${like}0005"
    fi
    mkdir -m 700 left-over                  # a directory of a killed build, with a link in it
    mkdir left-over/sub
    ln -s "$PWD/victim" left-over/sub/link
    mv left-over "${like}0006"              # in one step: the filemon of another test may remove it at once
    rm -rf other standin/building standin/argv
    scenario stap <<'END'
build
END
    "$tested" -q --prepare --module-dir "$PWD/other"
    await [ ! -e "${like}0006" ]
    [ -e "$in_use/System.map" ]
    touch standin/go
    finish
    [ "$status" -eq 0 ]
    [ ! -e "$in_use" ]
    [ -e victim/dir/file ]
    set -- "$like"*
    echo "$*" | sed "s#$like##g" > left
    rm -r "$@"
    [ "$(cat left)" = "0001 0002 0003$([ "$(id -u)" -ne 0 ] || echo ' 0005') 000g 004" ]
}

test_an_interrupted_build_does_not_start_the_command() {
    interrupted_build 130 -- touch ran
    [ ! -e ran ]
}

test_without_stap() {
    rm bin/stap
    search=$PWD/bin
    run -n nothing-of-that-name
    [ "$status" -eq 3 ]
    said 'engine stap cannot run here: stap.*apt-get install systemtap$'
    [ ! -e modules ]
    status=0
    PATH=$PWD/bin "$tested" --prepare --module-dir "$modules" 2> err || status=$?
    [ $status -eq 1 ]
    said 'no stap to build one: apt-get install systemtap$'
}

test_without_staprun() {
    prepared
    rm bin/staprun
    search=$PWD/bin
    run -n nothing-of-that-name
    [ "$status" -eq 3 ]
    said 'staprun: apt-get install systemtap-runtime$'
}

test_staprun_without_permission() {
    prepared
    rm bin/staprun
    cp "$HELPERS/standin" bin/staprun
    chmod a-x bin/staprun
    search=$PWD/bin
    run -n nothing-of-that-name
    [ "$status" -eq 3 ]
    said 'staprun: it may not be executed: be root, or join the groups stapusr and stapdev'
}

test_without_headers() {
    rm -r "root/lib/modules/$release"
    run -n nothing-of-that-name
    [ "$status" -eq 3 ]
    said "headers of kernel $release: apt-get install linux-headers-$release\$"
    status=0
    "$tested" --prepare --module-dir "$modules" 2> err || status=$?
    [ $status -eq 1 ]
    said "no headers of kernel $release (.*): apt-get install linux-headers-$release\$"
}

# As on Debian 11: the runtime of stap 4.4 uses a symbol that this kernel does not export.
test_a_symbol_that_the_kernel_does_not_export() {
    symvers=root/lib/modules/$release/build/Module.symvers runtime=root/usr/share/systemtap/runtime/linux/kprobes.c
    mkdir -p "${runtime%/*}"
    printf '0x409bcb62\tmutex_lock\tvmlinux\tEXPORT_SYMBOL\t\n' > "$symvers"
    echo 'mutex_lock(&module_mutex);' > "$runtime"
    status=0
    "$tested" --check -e stap --module-dir "$modules" > out || status=$?
    [ "$status" -eq 3 ]
    grep -q '^  missing  a kernel that exports module_mutex, which stap 9.9/0.999 needs$' out
    run -n nothing-of-that-name
    [ "$status" -eq 3 ]
    said 'engine stap cannot run here: a kernel that exports module_mutex, .*: install a newer stap, or use --engine bpf$'

    printf '#ifdef STAPCONF_MODULE_MUTEX\nmutex_lock(&module_mutex);\n' > "$runtime"
    "$tested" --check -e stap --module-dir "$modules" > out
    echo 'mutex_lock(&module_mutex);' > "$runtime"
    printf '0x5a921311\tmodule_mutex\tvmlinux\tEXPORT_SYMBOL_GPL\t\n' >> "$symvers"
    "$tested" --check -e stap --module-dir "$modules" > out
    ! grep -q module_mutex out
}

# After an upgrade of the kernel to another build of the same release, before the reboot.
test_headers_of_another_build_are_reported() {
    generated=root/lib/modules/$release/build/include/generated
    mkdir -p "$generated"
    echo "#define UTS_VERSION \"$(uname -v)\"" > "$generated/utsversion.h"
    "$tested" --check -e stap --module-dir "$modules" > out
    grep -q "^  ok       headers of kernel $release\$" out
    echo '#define UTS_VERSION "#1 SMP another"' > "$generated/utsversion.h"
    "$tested" --check -e stap --module-dir "$modules" > out
    grep -q "^  ok       headers of kernel $release, but of another build than runs: #1 SMP another\$" out
}

test_hidden_symbol_addresses() {
    echo "0000000000000000 T of_this_test_$$" > root/proc/kallsyms
    run -n nothing-of-that-name
    [ "$status" -eq 3 ]
    said 'symbols in /proc/kallsyms: .*kernel.kptr_restrict'
    status=0
    "$tested" --prepare --module-dir "$modules" 2> err || status=$?
    [ $status -eq 1 ]
    said 'it hides addresses; root sees them after sysctl kernel.kptr_restrict=1'
    not grep "of_this_test_$$" /tmp/filemon.*/System.map
}

test_a_first_symbol_at_0_is_accepted() {
    sed -i '1i 0000000000000000 A fixed_percpu_data' root/proc/kallsyms
    watches_and_stops -n nothing-of-that-name
}

test_a_directory_that_cannot_be_written() {
    touch modules
    run -n nothing-of-that-name
    [ "$status" -eq 1 ]
    said "cannot keep modules in $kept: Not a directory; give another --module-dir"
}

# A module that other users could have written is not loaded.
test_modules_writable_by_others_are_refused() {
    prepared
    module=$(echo "modules/$release"/*/*.ko)
    for file in "$module" "${module%/*}" "modules/$release" modules; do
        for mode in g+w o+w; do
            chmod $mode "$file"
            run -n nothing-of-that-name
            [ "$status" -eq 3 ]
            said "engine stap cannot run here: .*$PWD/$file .*--module-dir\$"
            chmod go-w "$file"
        done
    done
    logged 0 ^staprun
    status=0
    chmod o+w "$module"
    "$tested" --prepare --module-dir "$modules" 2> err || status=$?
    [ $status -eq 1 ]
    said "$module could have been written by others"
    chmod o-w "$module"
    # Above the module's own directory, one that all users may write to is accepted if it has the sticky bit.
    chmod a+w,+t modules "modules/$release"
    watches_and_stops -n nothing-of-that-name
    logged 0 'stap -p4'
    rm "$module"
    watches_and_stops -n nothing-of-that-name
    logged 1 'stap -p4'
}

# Nothing is created, logged or built in a directory that other users can write to.
test_directories_writable_by_others_are_refused() {
    mkdir -m 777 open
    chmod 777 open
    for dir in open open/sub; do
        status=0
        "$tested" --prepare --module-dir "$PWD/$dir" 2> err || status=$?
        [ $status -eq 1 ]
        said "others can write to $PWD/open (mode 0777): 'chmod go-w' it, or give another --module-dir"
        [ "$(ls -A open)" = '' ]
    done
    if [ "$(id -u)" -eq 0 ]; then
        mkdir of-another
        chown 65534 of-another
        status=0
        "$tested" --prepare --module-dir of-another/sub 2> err || status=$?
        [ $status -eq 1 ]
        said "$PWD/of-another belongs to another user (uid 65534): give another --module-dir"
        [ "$(ls -A of-another)" = '' ]
    fi
    logged 0 'stap -p4'
}

# Existing files at the paths of log and module are replaced, never written to.
test_links_in_place_of_log_and_module() {
    prepared
    module=$(echo "$modules/$release"/*/*.ko)
    log=${module%.ko}.log
    echo precious > victim
    for kind in -fs -f; do
        rm -f "$module"
        ln $kind "$PWD/victim" "$log"
        scenario stap <<'END'
say said by stap
exit 1
END
        run -n nothing-of-that-name
        [ "$status" -eq 1 ]
        [ "$(cat victim)" = precious ]
        [ ! -L "$log" ]
        grep -q 'said by stap' "$log"
    done
    scenario stap <<'END'
build
END
    ln "$PWD/victim" "$module"
    watches_and_stops -n nothing-of-that-name
    [ "$(cat victim)" = precious ]
}

# ---- Modules in the cache that are damaged, or for another kernel ---------------------------------

# COMMAND damages the file of the module; --check, --prepare and the next start must detect that and report FAULT.
damaged() { # FAULT COMMAND...
    fault=$1
    shift
    prepared
    module=$(echo "$modules/$release"/*/*.ko)
    "$@"
    "$tested" --check -e stap --module-dir "$modules" > out
    grep -q "^  ok       the module, to be built again: .*\.ko $fault\$" out
    grep -q '^  ok       stap 9' out
    cp "$module" damaged
    "$tested" --prepare --module-dir "$modules" 2> err
    said "^filemon: $module $fault: building it again$"
    logged 1 'stap -p4'
    cp damaged "$module"
    rm standin/log
    watches_and_stops -n nothing-of-that-name
    said "$module $fault: building it again$"
    logged 1 'stap -p4'
    logged 1 ^staprun
    "$tested" --check -e stap --module-dir "$modules" > out
    grep -q '^  ok       the module for this kernel, built already$' out
}

test_an_empty_module_is_rebuilt() {
    damaged 'is empty' eval ': > "$module"'
}

test_a_truncated_module_is_rebuilt() {
    damaged 'is truncated' eval 'truncate -s -10 "$module"'
}

test_garbage_in_place_of_a_module_is_replaced() {
    damaged 'is no kernel module' eval 'echo garbage > "$module"'
}

test_a_module_of_another_kernel_is_rebuilt() {
    damaged 'is for kernel 0.*' eval 'sed -i s/vermagic=./vermagic=0/ "$module"'
}

# Without stap a damaged module cannot be built again: --check reports both.
test_a_damaged_module_without_stap() {
    prepared
    : > "$(echo "$modules/$release"/*/*.ko)"
    rm bin/stap
    search=$PWD/bin
    run -n nothing-of-that-name
    [ "$status" -eq 3 ]
    said 'engine stap cannot run here: stap.*apt-get install systemtap$'
    status=0
    PATH=$PWD/bin "$tested" --check -e stap --module-dir "$modules" > out || status=$?
    [ $status -eq 3 ]
    grep -q '^  ok       the module, to be built again: .* is empty$' out
}

# The kernel can refuse a module that looks right: it is built again, once.
test_a_module_that_does_not_load_is_rebuilt_once() {
    for fault in "Couldn't insert module '/x.ko': Invalid module format" \
        'module version mismatch (#1 SMP vs #2 SMP), release 6.1' \
        "Couldn't insert module '/x.ko': Unknown symbol in module"; do
        rm -rf modules
        prepared
        scenario staprun <<END
warn ERROR: $fault
exit 1
END
        run -n nothing-of-that-name
        [ "$status" -eq 1 ]
        said "$kept/filemon_.*\.ko does not load (ERROR: .*): building it again$"
        said "staprun could not load $kept/filemon_.*\.ko (status 1): ERROR: "
        logged 1 'stap -p4'
        logged 2 ^staprun
    done
    # Errors that are not the module's fault do not cause another build.
    rm -rf modules
    prepared
    scenario staprun <<'END'
warn ERROR: Couldn't insert module '/x.ko': Operation not permitted
exit 1
END
    run -n nothing-of-that-name
    [ "$status" -eq 1 ]
    logged 0 'stap -p4'
}

# ---- auto -----------------------------------------------------------------------------------------

# Whether the bpf engine can run here, so that auto can fall back to it.
bpf_runs() {
    "$tested" --check -e bpf > /dev/null
}

# With -e auto and a stap that fails, filemon goes on with bpf and prints WHY.  COMMAND must run once, or not at all if bpf
# cannot run here.
falls_back() { # WHY
    : > ran
    engine=auto
    run -- sh -c 'echo >> ran'
    if bpf_runs; then
        [ "$status" -eq 0 ]
        [ "$(wc -l < ran)" -eq 1 ]
        said "^filemon: engine bpf, since stap $1"
        said '^filemon: watching with bpf$'
        [ "$(grep -c 'since stap' err)" -eq 1 ]
    else
        [ "$status" -ne 0 ]
        [ "$(wc -l < ran)" -eq 0 ]
    fi
}

watches_with_stap() {
    watches <<'END'
wait
END
    engine=auto
    start -n nothing-of-that-name
    wait_said 'watching with stap'
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
}

test_auto_falls_back_when_the_build_fails() {
    scenario stap <<'END'
say Pass 3: translated to C
warn error of the compiler
exit 1
END
    falls_back "failed: stap could not build the module for kernel $release in its pass 4; its whole output is in $kept/filemon_.*\.log\$"
    if bpf_runs; then
        unsaid 'error of the compiler'
        grep -q 'error of the compiler' "$(sed -n 's/.*its whole output is in //p' err)"
        logged 1 'stap -p4'
        falls_back 'is unlikely to run: a module that builds and loads here: stap could not build it in its pass 4 before'
        logged 1 'stap -p4'
    fi
    # -e stap tries again each time.
    engine=stap
    for n in 1 2; do
        rm standin/log
        run -n nothing-of-that-name
        [ "$status" -eq 1 ]
        said 'stap: error of the compiler'
        said 'stap could not build the module'
        logged 1 'stap -p4'
    done
    status=0
    "$tested" --check -e stap --module-dir "$modules" > out || status=$?
    [ $status -eq 3 ]
    grep -q '^  doubtful a module that builds and loads here$' out
    grep -q "^           stap could not build it in its pass 4 before, .*'filemon --prepare' tries again\$" out
    grep -q '^  stap is unlikely to run here; --engine stap tries it$' out
    # A successful --prepare removes the failure.
    scenario stap <<'END'
build
END
    "$tested" -q --prepare --module-dir "$modules"
    "$tested" --check -e stap --module-dir "$modules" > out
    watches_with_stap
}

test_auto_falls_back_when_the_load_fails() {
    prepared
    scenario staprun <<'END'
warn ERROR: Couldn't insert module '/x.ko': Key was rejected by service
exit 1
END
    falls_back "failed: staprun could not load $kept/filemon_.*\.ko (status 1): ERROR: .*Key was rejected"
    logged 1 '^staprun '
    falls_back 'is unlikely to run: a module that builds and loads here: staprun could not load it before'
    if bpf_runs; then logged 1 '^staprun '; fi
    # After --prepare has built the module again, auto tries to load it.
    "$tested" --prepare --module-dir "$modules" 2> err
    said 'staprun could not load it before: building it again$'
    watches_with_stap
}

# In one run, filemon finds a damaged module, and the build of another one fails.
test_auto_falls_back_when_the_module_cannot_be_rebuilt() {
    prepared
    : > "$(echo "$modules/$release"/*/*.ko)"
    scenario stap <<'END'
exit 1
END
    falls_back 'failed: stap could not build'
}

# A failure that may not happen again is not remembered.
test_temporary_failures_are_not_remembered() {
    while IFS='|' read -r fault why; do
        printf '%s\nexit 1\n' "$fault" | scenario stap
        falls_back "failed: stap $why"
        "$tested" --check -e stap --module-dir "$modules" > out
        grep -q '^  stap can run here$' out
    done <<'END'
die 9|was killed by signal 9 while it built the module
warn cc1: fatal error: No space left on device|ran out of space on the disk while it built the module below /tmp
warn cc1: out of memory allocating 65536 bytes|ran out of memory while
warn virtual memory exhausted: Cannot allocate memory|ran out of memory while
warn gcc: fatal error: Killed signal terminated program cc1|ran out of memory while
END
    rm -rf modules
    scenario stap <<'END'
build
END
    for fault in 'die 9' "warn ERROR: Couldn't insert module '/x.ko': Cannot allocate memory" \
        "warn ERROR: Couldn't insert module '/x.ko': Operation not permitted"; do
        printf '%s\nexit 1\n' "$fault" | scenario staprun
        falls_back 'failed: stap'
        "$tested" --check -e stap --module-dir "$modules" > out
        grep -q '^  stap can run here$' out
    done
}

# "stap --version" prints the newest kernel that stap was tested with, which is older than this one.
test_auto_avoids_a_stap_that_is_too_old() {
    major=${release%%.*}
    echo "tested kernel versions: 2.6.32 ... $((major - 1)).1-rc1" > standin/version
    status=0
    "$tested" --check -e stap --module-dir "$modules" > out || status=$?
    [ "$status" -eq 3 ]
    grep -q "^  doubtful stap tested with kernels up to $((major - 1))\.1-rc1\$" out
    grep -q "^           this kernel is $release: install a newer stap, or use --engine bpf\$" out
    if bpf_runs; then
        falls_back "is unlikely to run: stap tested with kernels up to .*: this kernel is $release"
        logged 0 'stap -p4'
    fi
    # -e stap uses it, with a warning.
    engine=stap
    watches_and_stops -n nothing-of-that-name
    said "stap 9.9/0.999 was tested with kernels up to $((major - 1)).1-rc1, and this one is $release\$"
    # A module that exists proves that stap can build it.
    watches_with_stap
    unsaid 'was tested with'

    rm -r modules
    echo "tested kernel versions: 2.6.32 ... $((major + 1)).0" > standin/version
    "$tested" --check -e stap --module-dir "$modules" > out
    grep -q "^  ok       stap tested with kernels up to $((major + 1))\.0\$" out
}

# ---- Directories that cannot be written, and builds at the same time ------------------------------

# Has $tested run in a mount namespace with a tmpfs, mounted with OPTIONS, on the module directory, after COMMAND.
mounted() { # OPTIONS COMMAND
    cat > mounted <<END
#!/bin/sh
exec unshare -m sh -c 'mount -t tmpfs -o $1 none "$modules" && $2 && exec "\$0" "\$@"' "$HELPERS/filemon" "\$@"
END
    chmod +x mounted
    tested=$PWD/mounted
}

# A module that cannot be kept is used only by the run that has built it.
test_a_cache_that_cannot_be_written() {
    mkdir modules
    chmod a-w modules
    # Only a read-only mount keeps root from writing.
    if [ "$(id -u)" -eq 0 ]; then mounted ro,mode=755 true; fi
    watches_and_stops -n nothing-of-that-name
    said "the module cannot be kept in $kept (.*) and is used for this run only; give another --module-dir"
    logged 1 '^staprun .* /tmp/filemon\.[0-9a-f]*/filemon_[0-9a-f_]*\.ko$'
    work_directory_was_removed
    status=0
    "$tested" --prepare --module-dir "$modules" 2> err || status=$?
    [ $status -eq 1 ]
    said "cannot keep modules in $kept: .*; give another --module-dir"
    [ "$(id -u)" -eq 0 ] || return 0
    # A file system of one page, which is full.
    mounted size=4096,mode=755 "head -c 4096 /dev/zero > $modules/full"
    rm standin/log standin/argv
    watches_and_stops -n nothing-of-that-name
    said "the module cannot be kept in $kept (No space left on device) and is used for this run only"
    logged 1 '^staprun .* /tmp/filemon\.[0-9a-f]*/filemon_[0-9a-f_]*\.ko$'
    work_directory_was_removed
    status=0
    "$tested" --prepare --module-dir "$modules" 2> err || status=$?
    [ $status -eq 1 ]
    said "cannot put the module at $kept/filemon_.*: No space left on device"
}

test_two_builds_at_once() {
    scenario stap <<'END'
mark building
await go
build
END
    watches <<'END'
wait
END
    start -n nothing-of-that-name
    await [ -e standin/building ]
    first=$pid
    mv err err.first
    start -n nothing-of-that-name
    wait_said "another process is building the module for kernel $release: waiting for it"
    touch standin/go
    wait_said 'watching with stap'
    await grep -q 'watching with stap' err.first
    kill -INT "$first" "$pid"
    wait "$first"
    finish
    [ "$status" -eq 0 ]
    logged 1 'stap -p4'
}

# A waiting run can be interrupted, and stops waiting if the builder is killed.
test_waiting_for_a_build_that_is_killed() {
    scenario stap <<'END'
mark building
await go
build
END
    start -n nothing-of-that-name
    await [ -e standin/building ]
    first=$pid
    start -n nothing-of-that-name
    wait_said 'waiting for it'
    kill -INT "$pid"
    finish
    [ "$status" -eq 0 ]
    start --prepare
    wait_said 'waiting for it'
    kill -KILL "$first"
    wait "$first" || [ $? -eq 137 ]
    touch standin/go
    finish
    [ "$status" -eq 0 ]
    said 'the module is built'
    logged 2 'stap -p4'
}

test_verbose_shows_the_output_of_stap() {
    scenario stap <<'END'
say Pass 1: parsed user script.
warn Keeping temporary directory
build
END
    "$tested" -v --prepare --module-dir "$modules" 2> err
    said 'stap: Pass 1: parsed user script\.'
    said 'stap: Keeping temporary directory'
    rm -r modules
    "$tested" -q --prepare --module-dir "$modules" 2> err
    [ ! -s err ]
}

# On a terminal, a line that is overwritten shows the current pass of stap.
test_progress_on_a_terminal() {
    scenario stap <<'END'
say Pass 1: parsed user script and 482 library scripts.
await go
build
END
    read -r started _ < /proc/uptime
    script -q -e -f -c "'$tested' --prepare --module-dir '$modules'" typescript \
        < /dev/null > /dev/null &
    pid=$!
    await grep -q 'pass 2 of 4' typescript
    read -r now _ < /proc/uptime
    touch standin/go
    finish
    [ "$status" -eq 0 ]
    grep -o "building the probe module for kernel $release: pass 1 of 4, [0-9][0-9]* s" typescript > progress
    seconds=$(sed -n '1s/.* \([0-9]*\) s$/\1/p' progress)
    [ "$seconds" -le $((${now%.*} - ${started%.*})) ]
    # The next message erases the progress.
    grep -q "$(printf '\r\033\\[K')filemon: the module is built" typescript
    rm -r modules
    "$tested" --prepare --module-dir "$modules" 2> err
    [ "$(wc -l < err)" -eq 2 ]
    unsaid 'of 4'
}

test_check_lists_requirements() {
    mkdir -p root/sys/kernel/security
    echo '[none] integrity confidentiality' > root/sys/kernel/security/lockdown
    "$tested" --check -e stap --module-dir "$modules" > out
    grep -q '^  ok       a kernel that loads modules$' out
    grep -q '^  ok       a kernel without PREEMPT_RT$' out
    grep -q '^  ok       stap 9.9/0.999$' out
    grep -q '^  ok       unsigned modules allowed' out
    grep -q "^  ok       headers of kernel $release\$" out
    grep -q '^  stap can run here$' out
    [ ! -e modules ]

    mkdir -p root/proc/sys/kernel
    echo 1 > root/proc/sys/kernel/modules_disabled
    echo 1 > root/sys/kernel/realtime
    echo 'none [integrity] confidentiality' > root/sys/kernel/security/lockdown
    rm -r "root/lib/modules/$release" bin/staprun
    status=0
    PATH=$PWD/bin "$tested" --check -e stap --module-dir "$modules" > out || status=$?
    [ $status -eq 3 ]
    [ "$(grep -c '^  missing ' out)" -eq 5 ]
    grep -q 'with PREEMPT_RT locks sleep' out
    grep -q 'disabled until the next boot (kernel.modules_disabled)' out
    grep -q 'locked down (integrity), as' out
    grep -q "^           apt-get install linux-headers-$release\$" out
    grep -q '^           apt-get install systemtap-runtime$' out
    grep -q '^  stap cannot run here$' out

    rm root/proc/modules
    run -n nothing-of-that-name
    [ "$status" -eq 3 ]
    said 'built without modules'
}

# A probe runs with preemption disabled, and on a real-time kernel spin locks sleep: no module may be built or loaded.
test_realtime_kernels() {
    mkdir -p root/proc/sys/kernel root/sys/kernel
    echo '#1 SMP PREEMPT_DYNAMIC Debian 6.12.6-1 (2024-12-21)' > root/proc/sys/kernel/version
    "$tested" --check -e stap --module-dir "$modules" > /dev/null
    prepared
    echo '#1 SMP PREEMPT_RT Debian 6.12.6-1 (2024-12-21)' > root/proc/sys/kernel/version
    refuses_realtime
    rm root/proc/sys/kernel/version
    echo 1 > root/sys/kernel/realtime
    refuses_realtime
    logged 0 '^stap -p4'
    logged 0 '^staprun'
    # Nor does the script compile for such a kernel, by hand.
    preprocess -UCONFIG_PREEMPT_RT
    not preprocess -DCONFIG_PREEMPT_RT 2> err
    said 'with PREEMPT_RT locks sleep'
}

preprocess() { # FLAG
    cpp -D'KERNEL_VERSION(a, b, c)=0' "$1" "$CLI/../../stap/kernel.h" > /dev/null
}

refuses_realtime() {
    status=0
    "$tested" --check -e stap --module-dir "$modules" > out || status=$?
    [ "$status" -eq 3 ]
    grep -q '^  missing  a kernel without PREEMPT_RT$' out
    grep -q '^           with PREEMPT_RT locks sleep, which probes must not: ' out
    engine=stap
    run -n nothing-of-that-name
    [ "$status" -eq 3 ]
    said '^filemon: engine stap cannot run here: a kernel without PREEMPT_RT: with PREEMPT_RT locks sleep'
    falls_back 'needs a kernel without PREEMPT_RT$'
}

# The bpf engine cannot run on Linux 5.10, which knows no helper after 155, nor on 5.7, which has no ring buffers either.
test_kernels_too_old_for_bpf() {
    ! grep -q __asan_init "$tested" || skip 'AddressSanitizer does not go with LD_PRELOAD'
    bpf_runs || skip 'the engine bpf cannot run on this kernel'
    on_old_kernel LAST_HELPER=162 # 5.11
    "$old" --check -e bpf > /dev/null
    rm root/proc/modules
    for limit in LAST_HELPER=155 LAST_MAP=26; do
        on_old_kernel "$limit"
        status=0
        "$old" --check -e bpf > out || status=$?
        [ "$status" -eq 3 ]
        grep -q '^  missing  bpf(2) with ring buffers and all helpers$' out
        grep -q '^           boot a kernel of 5\.11 or later$' out
        for engine in bpf auto; do
            status=0
            "$old" -e $engine -- touch ran 2> err || status=$?
            [ "$status" -eq 125 ]
            said '^filemon: engine bpf cannot run here: bpf(2) with .*: boot a kernel of 5\.11 or later$'
        done
        said "^filemon: no engine can run here; 'filemon --check' lists what each needs$"
        [ ! -e ran ]
    done
}

# With -v, --check loads and attaches the programs, and says what they miss on this kernel.
test_check_tries_the_programs() {
    ! grep -q __asan_init "$tested" || skip 'AddressSanitizer does not go with LD_PRELOAD'
    bpf_runs || skip 'the engine bpf cannot run on this kernel'
    "$tested" --check -e bpf > out
    ! grep -q 'programs that this kernel accepts' out
    "$tested" --check -e bpf -v > out 2> err
    grep -q '^  ok       programs that this kernel accepts$' out
    grep -q '^  ok       system calls are seen at ' out
    grep -q '^  bpf can run here$' out

    # This kernel refuses each program that calls bpf_get_current_task_btf().
    on_old_kernel LAST_HELPER=158
    status=0
    "$old" --check -e bpf -v > out 2> err || status=$?
    if grep -q ' better eBPF programs ' out; then
        grep -q '^  without  the better eBPF programs were refused, the first was on_[a-z_]*: Invalid argument$' out
        grep -q '^           \(the programs used instead\|system calls are seen at tracepoints\)' out
    fi
    grep -q '^  missing  programs that this kernel accepts$' out
    grep -q '^  bpf cannot run here$' out
    [ "$status" -eq 3 ]
}

# LIMIT (see oldkernel.c): writes a program to $old that runs filemon on such a kernel.
on_old_kernel() { # LIMIT
    old=$PWD/old
    printf '#!/bin/sh\n%s LD_PRELOAD=%s exec %s "$@"\n' "$1" "$HELPERS/oldkernel.so" "$tested" > "$old"
    chmod 755 "$old"
}

# --check says why the symbols cannot be read.
test_symbols_that_cannot_be_read() {
    rm root/proc/kallsyms
    run --check
    grep -q '^ *this kernel was built without CONFIG_KALLSYMS$' out
    ln -s kallsyms root/proc/kallsyms
    run --check
    grep -q '^ *Too many levels of symbolic links$' out
    rm root/proc/kallsyms root/proc/modules
    run --check
    grep -q '^ */proc is not mounted: mount -t proc proc /proc$' out
}
