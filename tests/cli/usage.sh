# shellcheck shell=sh disable=SC2016,SC2034,SC2154 # what is not set or used here is in lib.sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Usage errors give status 2, or 125 with "--", one message, and nothing on standard output.  This file has one error of
# each kind, tests/unit/test_options.c has all.

test_usage_errors() {
    while IFS='|' read -r args word; do
        status=0
        sh -c "exec \"\$0\" $args" "$FILEMON" > out 2> err < /dev/null || status=$?
        case " $args " in
        *' -- '*) [ $status -eq 125 ] ;;
        *) [ $status -eq 2 ] ;;
        esac
        said "^filemon: .*$word"
        [ "$(wc -l < err)" -eq 1 ]
        [ ! -s out ]
    done <<'END'
|nothing to watch
/etc|nothing to watch
-p|pidof
-p $(true) /etc|-n
-p ''|pidof
-p 0|0
-p 1,,2|list
-p 99999999|process id
-n|NAME
-n ''|NAME
-n /usr/sbin/nginx|nginx
-n x 12|./12
-a|PATH
-a -p 1 /etc|-p
-p 1 -- ls|COMMAND
--|COMMAND
-n x ''|PATH
-n x -D -1|-D
-n x -d 0|-d
-n x -f xml|-f
-n x -e perf|-e
-n x -o|-o
--nonsense -- ls|unknown option --nonsense
-d 0 -- ls|-d
-- ''|COMMAND
--nonsense|unknown option --nonsense
-Z|unknown option -Z
--all=x|no argument
-n x -F ''|LIST
-n x -F fichro|did you mean fichero?
-n x -F +fecha,|KEY is empty
-n x -F pid,+fecha|begins with +
-n x -F pid,pid|pid is there already
-n x -F pid -c|-c prints none
-F nothing -- ls|there is no key 'nothing'
-c -n x --sort size|--sort wants one of opens|time|failed|bytes|name, not 'size'
-c -n x --sort bytes|it goes with -b
-xx -b -n x|-b does not go with it
-r x -b -F pid|this -F leaves out
-n x --sort name|--sort and --top
-n x --top 5|--sort and --top
-c -n x --top -1|--top wants a number
-c -n x --top all|--top wants a number
--check -p 1|--check
--check --prepare|one at a time
--prepare --kernel 6.1.0|together
-n x --kernel 6.1.0 --kallsyms /k|--prepare
END
}

test_usage_errors_precede_missing_engines() {
    rm root/proc/modules
    run -n x -d 0
    [ "$status" -eq 2 ]
    run -n x -d 1
    [ "$status" -eq 3 ]
}
