# SPDX-License-Identifier: GPL-2.0-or-later
# Turns records of filemon into a trace for ui.perfetto.dev, the panel Performance of Chromium's
# DevTools, or speedscope, in the Trace Event Format:
#
#   filemon ... | jq -nrf trace.jq > trace.json
#
# A process has a row for each descriptor, and a slice is the time that a file was open there.  Rows
# are "threads" of the format: on one row, slices must not overlap unless one encloses the other.
# Without -n jq makes the same of records, but of an empty file no trace that a viewer could load.
#
# State:
#   open    .[pid][descriptor]: the files that are open, the oldest first, or null
#   nulls   how many of these are null, at least; less for each file that was open then
#   known   names of processes and, for rows, where the last slice ended.  jq copies an object that
#           it changes, so this one is emptied when it is large; names are then written again.
#   hosts   number of each host
#   day     the midnight (UTC) before the first record, from which times count, in µs since 1970
#   last    time of the last record
#   out     events to write

# Rows are numbered like the descriptors.  A thread that left the file descriptor table of its
# process can have the same descriptor open, which then is on a row of its own.  No row has the
# number of its process: Perfetto takes row 0 for that one.
def rows_of($pid; $descriptor): range($descriptor; infinite; 1000000) | select(. != $pid);
def first_row_of($pid; $descriptor):
    if $descriptor == $pid then first(rows_of($pid; $descriptor)) else $descriptor end;

# Greater than any process id of a kernel, and less than those that pid_of makes of hosts.
def row_without_descriptor: 9999999;

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
# An empty name is an error to Perfetto.
def name_process($pid; $record):
    "\($pid)" as $key
    | .known[$key] as $known
    | if ($record.proceso // "") == "" or $known == $record.proceso
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
    name_row($pid; $row; "descriptor \($descriptor)"
        + if $row == first_row_of($pid; $descriptor) then "" else " (2)" end);

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

def free_row_of($pid; $descriptor; $others):
    if $others == [] then first_row_of($pid; $descriptor) else
        first(rows_of($pid; $descriptor) | select(. as $row | $others | all(.row != $row)))
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
    | free_row_of($pid; $record.descriptor; $others) as $row
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

# Without its open, a close is enough for the slice.  A file that was opened before time 0 has a
# slice from 0: viewers need not accept negative times.
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
        first_row_of($pid; $record.descriptor) as $row
        | name_row_of($pid; $row; $record.descriptor)
        | begin($pid; $row; [$ts, 0] | max) as $from
        | slice($pid; $row; $from; [$dur, $record.date_us] | min; $record.fichero; args_of($record))
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

# Times count from midnight, because Perfetto multiplies them by 1000 as floating-point numbers: the
# ns since 1970 would be rounded to 256 ns, and slices that touch would overlap.  After the records of
# one day can come those of an earlier day, from another file: they are at time 0.
def time_of($record): [$record.date_us - .day, 0] | max;

# Times have no date, so an instant names it.
def begin_day($record):
    if .day then . else
        setpath(["day"]; $record.date_us | . - . % 86400000000)
        | (.day / 1000000 | todate) as $date
        | emit({ph: "i", s: "g", cat: "file", name: "times count from \($date)", pid: 0, tid: 0,
            ts: time_of($record), args: {}})
    end;

def take($dated):
    begin_day($dated)
    | ($dated + {date_us: time_of($dated)}) as $record
    | add_host($record)
    | setpath(["last"]; $record.date_us)
    | if $record.pid then of_process($record)
      elif $record.codigo == "lost" then
        instant(pid_of($record); "g"; "\($record.perdidos) events lost"; $record)
      else instant(pid_of($record); "g"; $record.codigo; $record) end;

def still_open:
    .last as $last
    | reduce (.open[][] | select(.) | .[]) as $entry (.;
        ends_without_close($entry; $last; "not seen"));

# Perfetto takes an array without events for no trace.
def finish:
    if .day then still_open else metadata(0; 0; "process_name"; {name: "no records"}) end;

# The key without which a record has no place in the trace, or null.
def missing:
    if type != "object" or (.codigo | type) != "string" then "codigo"
    elif (.date_us | type) != "number" then "date_us"
    elif (.pid | type) != "number" then
        if .codigo == "lost" or .codigo == "resumen" then null else "pid" end
    elif (.fichero | type) != "string" then "fichero"
    elif {open: 1, close: 1, dup: 1, held: 1, error: 1}[.codigo] == null then null
    elif (.descriptor | type) != "number" then "descriptor"
    elif .codigo == "close" and (.duracion_ns | type) != "number" then "duracion_ns"
    else null end;

def checked:
    missing as $key
    | if $key == null then .
      else error("trace.jq: this is no record of filemon with the key \($key): \(tojson[:80])") end;

def events:
    foreach ((., inputs | select(.) | checked), null) as $record (
        {open: {}, nulls: 0, known: {}, hosts: {}, day: null, last: 0, out: []};
        setpath(["out"]; []) | if $record then take($record) else finish end;
        .out[]);

"[",
(foreach events as $event (null; if . == null then "" else "," end; . + ($event | tojson))),
"]"
