# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of filemon's arguments for bash.  The options, and what each takes, are those of
# "filemon --help".  The names of processes are whatever their owners chose: nothing evaluates them.

# Words, one a line, that begin with what stands there, quoted for the shell; before each a prefix.
_filemon_offer() { # BEGINNING PREFIX
    local word
    while IFS= read -r word; do
        [[ $word == "$1"* && $word != *[[:cntrl:]]* ]] && COMPREPLY+=("$2$(printf %q "$word")")
    done
}

# Kernel threads have no arguments, and filemon never watches them.
_filemon_processes() { # pid or comm
    local dir word
    for dir in /proc/[0-9]*; do
        { IFS= read -r -d '' word <"$dir/cmdline"; } 2>/dev/null || continue
        if [[ $1 == pid ]]; then
            echo "${dir##*/}"
        else
            { IFS= read -r word <"$dir/comm" && printf '%s\n' "$word"; } 2>/dev/null
        fi
    done | sort -u
}

# Names of control groups, of those in the unified hierarchy.
_filemon_groups() {
    local root
    root=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts 2>/dev/null)
    [[ -z $root ]] || find "$root" -mindepth 1 -type d -printf '%f\n' 2>/dev/null | sort -u
}

_filemon_files() { # f or d, BEGINNING
    mapfile -t COMPREPLY < <(compgen "-$1" -- "$2")
    compopt -o filenames 2>/dev/null # bash then quotes them
}

# After "--" stands a command, and then its own arguments.
_filemon_command() { # WHERE BEGINNING
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif ((COMP_CWORD == $1)); then
        mapfile -t COMPREPLY < <(compgen -c -- "$2")
    else
        _filemon_files f "$2"
    fi
}

# What an option takes, as in "  -f, --format json|text|csv  HELP"; nothing where it takes none.
_filemon_argument() { # PROGRAM OPTION
    local line form='^ {2,6}(-[A-Za-z])?(, )?(--[a-z-]+)?( ([^ ]+))?'
    [[ $2 == -* ]] || return
    while IFS= read -r line; do
        [[ $line =~ $form ]] || continue
        [[ $2 == "${BASH_REMATCH[1]}" || $2 == "${BASH_REMATCH[3]}" ]] || continue
        echo "${BASH_REMATCH[5]}"
        return
    done < <("$1" --help 2>/dev/null)
}

_filemon_options() { # PROGRAM
    "$1" --help 2>/dev/null | grep -oE '^ {2,6}-[^ ]+( --[a-z-]+)?' | grep -oE -e '--?[A-Za-z][a-z-]*'
}

# The first words of a section of --help.
_filemon_section() { # PROGRAM SECTION
    "$1" --help 2>/dev/null | sed -n "/^$2:\$/,/^\$/s/^  \([a-z_][a-z_]*\) .*/\1/p"
}

_filemon() {
    local program=$1 current=$2 before=$3 i list section argument colon=''
    COMPREPLY=()
    # Readline takes bpf:tracepoint for three words, and puts what is offered in place of the last.
    if ((COMP_CWORD > 2)) && [[ ${COMP_WORDS[COMP_CWORD]} == : ]]; then
        current='' before=${COMP_WORDS[COMP_CWORD - 2]} colon=${COMP_WORDS[COMP_CWORD - 1]}:
    elif ((COMP_CWORD > 3)) && [[ $before == : ]]; then
        before=${COMP_WORDS[COMP_CWORD - 3]} colon=${COMP_WORDS[COMP_CWORD - 2]}:
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} == -- ]]; then
            _filemon_command $((i + 1)) "$current"
            return
        fi
    done
    argument=$(_filemon_argument "$program" "$before")
    case $before:$argument in
    -p:* | --pid:*)
        list=${current%"${current##*,}"}
        _filemon_offer "${current##*,}" "$list" < <(_filemon_processes pid)
        ;;
    *:LIST | *:SET*)
        list=${current%"${current##*[,+]}"}
        [[ $argument == LIST ]] && section=Records || section=Sets
        _filemon_offer "${current##*[,+]}" "$list" < <(_filemon_section "$program" "$section")
        ;;
    *:USER) mapfile -t COMPREPLY < <(compgen -u -- "$current") ;;
    *:CGROUP) _filemon_offer "$current" '' < <(_filemon_groups) ;;
    -n:* | --name:*) _filemon_offer "$current" '' < <(_filemon_processes comm) ;;
    *:)
        if [[ $current == -* ]]; then
            _filemon_offer "$current" '' < <(_filemon_options "$program")
        else
            _filemon_files f "$current"
        fi
        ;;
    *:*\|*)
        _filemon_offer "$colon$current" '' < <(tr '|' '\n' <<<"$argument")
        COMPREPLY=("${COMPREPLY[@]#"$colon"}")
        ;;
    *:FILE | *:PATH) _filemon_files f "$current" ;;
    *:DIR) _filemon_files d "$current" ;;
    esac
}

complete -F _filemon filemon
