# SPDX-License-Identifier: GPL-2.0-or-later
# Turns records of filemon into a trace for ui.perfetto.dev, the panel Performance of Chromium's
# DevTools, or speedscope, in the Trace Event Format:
#
#   filemon ... | jq -rf trace.jq > trace.json
#
# A process has a row for each descriptor, and a slice is the time that a file was open there.  Rows
# are "threads" of the format: on one row, slices must not overlap unless one encloses the other.
#
# State:
#   open    .[pid][descriptor]: the files that are open, the oldest first, or null
#   nulls   how many of these are null, at least; less for each file that was open then
#   known   names of processes and, for rows, where the last slice ended.  jq copies an object that
#           it changes, so this one is emptied when it is large; names are then written again.
#   hosts   number of each host
#   last    date_us of the last record
#   out     events to write

# Rows are numbered like the descriptors.  A thread that left the file descriptor table of its
# process can have the same descriptor open, which then is on a row of its own.
def row_of_table($n): $n * 1000000;
def row_without_descriptor: 999999;

# Several hosts ("maquina") can have the same process id.
def pid_of($record):
    (if $record.pid then $record.pid else 0 end) as $pid
    | if $record.maquina then .hosts[$record.maquina] * 10000000 + $pid else $pid end;

# The rest of a record; nothing of the tables in totals.
def args_of($record):
    reduce ($record | keys_unsorted[]) as $key ({};
        if {codigo: 1, pid: 1, fichero: 1, descriptor: 1, date: 1, date_us: 1, maquina: 1}[$key]
            or ($record[$key] | type == "array") then .
        else setpath([$key]; $record[$key]) end);

def emit($event): setpath(["out", (.out | length)]; $event);

def metadata($pid; $row; $name; $args):
    emit({ph: "M", name: $name, pid: $pid, tid: $row, args: $args});

def add_host($record):
    if $record.maquina == null or .hosts[$record.maquina] then .
    else setpath(["hosts", $record.maquina]; .hosts | length + 1) end;

def learn($key; $value):
    if .known | length > 256 then setpath(["known"]; {($key): $value})
    else setpath(["known", $key]; $value) end;

# An exec changes the name of a process.  Other threads than the main one have names of their own.
def name_process($pid; $record):
    "\($pid)" as $key
    | .known[$key] as $known
    | if $record.proceso == null or $known == $record.proceso
        or ($known and $record.tid != $record.pid) then .
      else
        learn($key; $record.proceso)
        | metadata($pid; 0; "process_name";
            {name: ($record.proceso + if $record.maquina then " @" + $record.maquina else "" end)})
      end;

def row_key($pid; $row): "\($pid) \($row)";

def name_row($pid; $row; $name):
    row_key($pid; $row) as $key
    | if .known[$key] then . else
        learn($key; 0)
        | metadata($pid; $row; "thread_name"; {name: $name})
        | metadata($pid; $row; "thread_sort_index"; {sort_index: $row})
      end;

def name_row_of($pid; $row; $descriptor):
    name_row($pid; $row;
        "descriptor \($descriptor)" + if $row == $descriptor then "" else " (2)" end);

# The slice begins where the last one of its row ended if the truncation of times to µs would make
# both overlap.
def begin($pid; $row; $ts):
    .known[row_key($pid; $row)] as $last
    | if $last and $last > $ts and $last < $ts + 2 then $last else $ts end;

def slice($pid; $row; $ts; $dur; $name; $args):
    learn(row_key($pid; $row); $ts + $dur)
    | emit({
        ph: "X", cat: "file", name: $name, pid: $pid, tid: $row, ts: $ts, dur: $dur, args: $args
    });

def instant($pid; $scope; $name; $record):
    emit({ph: "i", s: $scope, cat: "file", name: $name, pid: $pid,
        tid: (if $scope == "t" then row_without_descriptor else 0 end), ts: $record.date_us,
        args: args_of($record)});

def path_of($pid; $record): ["open", "\($pid)", "\($record.descriptor)"];

# An object of jq keeps the room of members that were deleted.  So what is not open any more is
# null, and when there are many nulls the objects are made anew.
def sweep:
    setpath(["open"]; .open
        | with_entries({key, value: (.value | with_entries(select(.value)))}
            | select(.value != {})))
    | setpath(["nulls"]; -([.open[] | length] | add // 0));

def set_open($path; $entries):
    if $entries != [] then setpath($path; $entries)
    else
        setpath($path; null) | setpath(["nulls"]; .nulls + 1)
        | if .nulls > 256 then sweep else . end
    end;

def free_row($others):
    if $others == [] then 0 else
        first(range(0; infinite) | row_of_table(.)
            | select(. as $row | $others | all(.row - .descriptor != $row)))
    end;

# The file was open at least until $until.
def ends_without_close($entry; $until; $why):
    slice($entry.pid; $entry.row; $entry.ts; [$until - $entry.ts, 0] | max; $entry.name;
        $entry.args + {close: $why});

# open, dup, held.  Records of several runs of filemon may lack any number of closes: the oldest
# file is forgotten.
def opened($pid; $record):
    path_of($pid; $record) as $path
    | getpath($path) as $entries
    | (if ($entries | length) < 8 then . else
        ends_without_close($entries[0]; $record.date_us; "not seen") end)
    | ($entries | if . == null then [] elif length < 8 then . else .[1:] end) as $others
    | ($record.descriptor + free_row($others)) as $row
    | name_row_of($pid; $row; $record.descriptor)
    | begin($pid; $row; $record.date_us) as $ts
    | set_open($path; $others + [{row: $row, ts: $ts, name: $record.fichero,
        descriptor: $record.descriptor, pid: $pid, args: args_of($record)}]);

# Which of the files that are open as this descriptor is closed: the one that was opened at the
# time nearest to $ts.
def find($ts; $name):
    if length < 2 then .[0]
    else (map(select(.name == $name)) | if length > 0 then . else null end) // .
        | min_by(.ts - $ts | fabs) end;

# Without its open, a close is enough for the slice.
def closed($pid; $record):
    path_of($pid; $record) as $path
    | ($record.duracion_ns / 1000) as $dur
    | ($record.date_us - $dur) as $ts
    | getpath($path) as $entries
    | ($entries | find($ts; $record.fichero)) as $entry
    | if $entry then
        set_open($path; $entries - [$entry])
        | slice($pid; $entry.row; $entry.ts; $dur; $entry.name; $entry.args + args_of($record))
      else
        name_row_of($pid; $record.descriptor; $record.descriptor)
        | begin($pid; $record.descriptor; $ts) as $from
        | slice($pid; $record.descriptor; $from; $dur; $record.fichero; args_of($record))
      end;

def without_descriptor($pid; $what; $record):
    name_row($pid; row_without_descriptor; "no descriptor")
    | instant($pid; "t"; "\($what) \($record.fichero)"; $record);

def missed($pid; $record):
    path_of($pid; $record) as $path
    | getpath($path) as $entries
    | ($entries | find(0; $record.fichero)) as $entry
    | if $entry then
        set_open($path; $entries - [$entry])
        | ends_without_close($entry; $record.date_us; "missed")
      else without_descriptor($pid; "close missed:"; $record) end;

def of_process($record):
    pid_of($record) as $pid
    | name_process($pid; $record)
    | if $record.codigo == "close" then closed($pid; $record)
      elif {open: 1, dup: 1, held: 1}[$record.codigo] then opened($pid; $record)
      elif $record.codigo == "error" then missed($pid; $record)
      elif $record.errno then without_descriptor($pid; $record.errno; $record)
      else without_descriptor($pid; $record.codigo; $record) end;

def take($record):
    add_host($record)
    | setpath(["last"]; $record.date_us)
    | if $record.pid then of_process($record)
      elif $record.codigo == "lost" then
        instant(pid_of($record); "g"; "\($record.perdidos) events lost"; $record)
      else instant(pid_of($record); "g"; $record.codigo; $record) end;

def still_open:
    .last as $last
    | reduce (.open[][] | select(.) | .[]) as $entry (.;
        ends_without_close($entry; $last; "not seen"));

def events:
    foreach ((., inputs), null) as $record (
        {open: {}, nulls: 0, known: {}, hosts: {}, last: 0, out: []};
        setpath(["out"]; []) | if $record then take($record) else still_open end;
        .out[]);

"[",
(foreach events as $event (null; if . == null then "" else "," end; . + ($event | tojson))),
"]"
