# shellcheck shell=sh disable=SC2016,SC2154 # what is not set or used here is in lib.sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The completions, run by bash and zsh.

completions=$(dirname "$CLI")/../src/share/completion

# Writes the words that bash offers for the last WORD to the file "offers", one on each line.
bash_offers() { # WORD...
    PATH=${FILEMON%/*}:$PATH bash -c '. "$0/filemon.bash"
        COMP_WORDS=(filemon "$@") COMP_CWORD=$#
        _filemon filemon "${@: -1}" "${COMP_WORDS[COMP_CWORD - 1]}"
        ((${#COMPREPLY[@]} == 0)) || printf "%s\n" "${COMPREPLY[@]}"' "$completions" "$@" > offers
}

# Whether the file "offers" has exactly these lines.
offers_are() { # LINE...
    printf '%s\n' "$@" | diff -u - offers
}

# Prints the options of --help, sorted.
options_of_help() {
    "$FILEMON" --help | grep -oE '^ {2,6}-[^ ]+( --[a-z-]+)?' | grep -oE -e '--?[A-Za-z][a-z-]*' | sort
}

test_bash_offers_every_option() {
    bash_offers -
    sort offers > sorted
    options_of_help | diff -u - sorted
    [ "$(wc -l < offers)" -gt 35 ]
    bash_offers --mod
    offers_are --module-dir
    bash_offers -n x --ver
    offers_are --verbose --version
}

test_bash_offers_arguments_of_options() {
    bash_offers -f ''
    offers_are json text csv
    bash_offers --engine b
    offers_are bpf bpf:tracepoint
    bash_offers -e ''
    offers_are auto stap bpf bpf:tracepoint
    # For readline a colon ends a word, so only the part after it is completed.
    bash_offers -e bpf :
    offers_are tracepoint
    bash_offers --engine bpf : tr
    offers_are tracepoint
    bash_offers -e bpf : st
    [ ! -s offers ]
    mkdir logs
    touch logfile
    bash_offers --module-dir lo
    offers_are logs
    bash_offers -o lo
    sort offers > sorted && mv sorted offers
    offers_are logfile logs
    bash_offers -d ''
    [ ! -s offers ]
    bash_offers -F fich
    offers_are fichero fichero_hex
    bash_offers --fields +fec
    offers_are +fecha
    bash_offers -F pid,fichero_
    offers_are pid,fichero_hex
    bash_offers -F ''
    "$FILEMON" --help | sed -n '/^Records:$/,/^$/s/^  \([^ ][^ ]*\) .*/\1/p' | diff -u - offers
    bash_offers -t at
    offers_are attributes
    bash_offers --trace +fail,na
    offers_are +fail,names
    bash_offers -t ''
    offers_are open fail held exec names attributes all
    bash_offers -x ''
    grep -qx logs offers
    bash_offers --user www-d
    offers_are www-data
}

# Starts a process for each NAME, which is its comm.
sleepers() { # NAME...
    children=
    for name; do
        ln -sf "$(command -v sleep)" "$name"
        "./$name" 1000 & children="$children $!"
        await grep -qxF -e "$name" "/proc/$!/comm"
    done
}

test_bash_offers_names_and_pids() {
    sleepers fm-one fm-two 'fm-a b'
    bash_offers -n fm-
    offers_are 'fm-a\ b' fm-one fm-two
    bash_offers --name fm-o
    offers_are fm-one
    one=${children# } one=${one%% *}
    bash_offers -p "$one"
    grep -qx "$one" offers
    bash_offers -p "1,$one"
    grep -qx "1,$one" offers
    # shellcheck disable=SC2086 # several
    kill $children
}

test_no_name_of_a_process_is_evaluated() {
    sleepers 'evil$(touch x)' 'evil`touch y`' 'evil;touch z' "evil'\"*"
    bash_offers -n evil
    [ ! -e x ]
    [ ! -e y ]
    [ ! -e z ]
    [ "$(wc -l < offers)" -eq 4 ]
    # The offered word is quoted as the shell reads it.
    while read -r offer; do eval "printf '%s\n' $offer"; done < offers > taken
    [ ! -e x ]
    [ ! -e y ]
    [ ! -e z ]
    sort taken > sorted
    printf '%s\n' 'evil$(touch x)' 'evil`touch y`' 'evil;touch z' "evil'\"*" | sort | diff -u - sorted
    # shellcheck disable=SC2086 # several
    kill $children
}

# A name can have any byte but / and the newline.
test_control_groups_are_offered() {
    root=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
    group=${root:-/nowhere}/fm-completed.slice inner='fm-completed$(touch x)'
    mkdir "$group" "$group/$inner" 2> /dev/null || skip 'no control group can be made here'
    bash_offers -g fm-comp
    zsh_completes 'filemon -g fm-completed.'
    rmdir "$group/$inner" "$group"
    offers_are 'fm-completed\$\(touch\ x\)' fm-completed.slice
    [ "$(cat completed)" = 'filemon -g fm-completed.slice ' ]
    [ ! -e x ]
}

test_bash_offers_commands_after_double_dash() {
    bash_offers -x /etc -- getco
    grep -qx getconf offers
    touch argument
    bash_offers -- ls --color arg
    offers_are argument
}

# Prints the line after zsh has completed it.  zsh runs on a terminal, because it does not complete without one.
zsh_completes() { # LINE
    cat > driver <<'END'
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1='prompt> '; fpath=($1 \$fpath); autoload -Uz compinit; compinit -D -u; zstyle ':completion:*' menu no; unsetopt zle_bracketed_paste; bindkey '^Q' accept-line; result() { print -r -- \"<\$BUFFER>\"; }; zle -N result; bindkey '^X' result; print rea''dy"
zpty -r shell line '*ready*'
zpty -w -n shell "$2"$'\t'
zpty -w -n shell $'\x18'
zpty -r shell line '*<*>*'
print -r -- "${${line##*<}%%>*}"
zpty -d shell
END
    PATH=${FILEMON%/*}:$PATH zsh -f driver "$completions" "$1" > completed
    cat completed
}

# Prints the arguments that _filemon passes to _arguments, one on each line.
zsh_arguments() {
    PATH=${FILEMON%/*}:$PATH zsh -f -c 'fpath=($1 $fpath)
        autoload -Uz _filemon
        _call_program() { shift; "$@"; }
        _arguments() { print -rl -- "$@"; }
        words=(filemon "") CURRENT=2
        _filemon' zsh "$completions"
}

test_zsh_knows_every_option() {
    zsh_arguments > found
    grep -oE -e '^(\([^)]*\)|\*)--?[A-Za-z-]+' found | sed -E 's/.*[)*]//' | sort > without
    options_of_help | diff -u - without
    grep -qx -e '(-x --failed)-x\[..*\]' found
    grep -qx -e '(-x --failed)--failed\[..*\]' found
    grep -qx -e '\*-f+\[..*\\: json\]:word:(json text csv)' found
    grep -qx -e '\*--engine=\[..*\]:word:(auto stap bpf bpf\\:tracepoint)' found
    grep -qx -e '\*-F+\[..*\]:key:_filemon_keys' found
    grep -qx -e '\*-u+\[..*\]:user:_users' found
    grep -qx -e '\*--trace=\[..*\]:set:_filemon_sets' found
    grep -qx -e '\*--cgroup=\[..*\]:control group:_filemon_groups' found
    grep -qx -e '\*-d+\[..*\]:SECONDS:' found
    grep -qx -e '(- \*)--help\[..*\]' found
    grep -qx -e '\*-o+\[..*\]:file:_files' found
}

test_zsh_completes() {
    [ "$(zsh_completes 'filemon --mod')" = 'filemon --module-dir=' ]
    [ "$(zsh_completes 'filemon -f te')" = 'filemon -f text ' ]
    [ "$(zsh_completes 'filemon --engine=s')" = 'filemon --engine=stap ' ]
    [ "$(zsh_completes 'filemon --engine=bpf:')" = 'filemon --engine=bpf:tracepoint ' ]
    [ "$(zsh_completes 'filemon -F +fech')" = 'filemon -F +fecha ' ]
    [ "$(zsh_completes 'filemon -F pid,fichero_')" = 'filemon -F pid,fichero_hex ' ]
    [ "$(zsh_completes 'filemon -t +fail,nam')" = 'filemon -t +fail,names ' ]
    sleepers 'fm-one' 'fq$(touch x)'
    [ "$(zsh_completes 'filemon -n fm-o')" = 'filemon -n fm-one ' ]
    [ "$(zsh_completes 'filemon -n fq')" = 'filemon -n fq\$\(touch\ x\) ' ]
    [ ! -e x ]
    # shellcheck disable=SC2086 # several
    kill $children
    [ "$(zsh_completes 'filemon /etc -- getcon')" = 'filemon /etc -- getconf ' ]
}
