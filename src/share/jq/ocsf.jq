# SPDX-License-Identifier: GPL-2.0-or-later
# Turns each record of filemon into an event of the Open Cybersecurity Schema Framework (OCSF 1.2):
#
#   filemon ... | jq -cf ocsf.jq
#
# An event is File System Activity (class 1001).  Records that are about no file, such as "lost",
# are of the class Base Event (0).  Keys for which OCSF has no attribute keep their names, in
# "unmapped".

# {name: value}, or nothing if there is no such value.
def some(name; value): value as $value | if $value == null then {} else {(name): $value} end;

# ms since the epoch.  -F may have left out date_us.  In a close, date is a duration.
def time:
    if .date_us then .date_us / 1000 | floor
    elif .codigo != "close" then .date
    else null end;

# The constant part of an event, by codigo.
def events:
    def base: {
        severity_id: 1, status_id: 1, status: "Success",
        metadata: {version: "1.2.0", product: {name: "filemon", vendor_name: "filemon"}}
    };
    def activity($id; $name):
        base + {
            category_uid: 1, category_name: "System Activity",
            class_uid: 1001, class_name: "File System Activity",
            activity_id: $id, activity_name: $name, type_uid: (100100 + $id)
        };
    def other($name):
        base + {
            category_uid: 0, class_uid: 0, class_name: "Base Event",
            activity_id: 99, activity_name: $name, type_uid: 99
        };
    {
        open: activity(14; "Open"), fail: activity(14; "Open"),
        close: activity(99; "Close"), dup: activity(99; "Duplicate"), held: activity(99; "Held"),
        error: (activity(99; "Close missed") + {status_id: 0, status: "Unknown"}),
        rename: activity(5; "Rename"), link: activity(1; "Create"), symlink: activity(1; "Create"),
        unlink: activity(4; "Delete"), mkdir: activity(1; "Create"), rmdir: activity(4; "Delete"),
        mknod: activity(1; "Create"), chmod: activity(7; "Set Security"),
        chown: activity(7; "Set Security"), truncate: activity(3; "Update"),
        utimes: activity(6; "Set Attributes"), setxattr: activity(6; "Set Attributes"),
        exec: activity(99; "Execute"),
        lost: (other("Lost") + {severity_id: 2, status_id: 0, status: "Unknown"}),
        resumen: other("Totals"), other: other("Record")
    };

# The codigo that the record of a successful call has.
def call_code:
    . as $call
    | first(("unlink", "symlink", "link", "rename", "mkdir", "rmdir", "mknod", "chmod", "chown",
        "truncate", "exec", "setxattr") | select(. as $name | $call | contains($name)))
        // "utimes";

# A record without a file or a process (-F) lacks what class 1001 requires.
def event($events):
    (if .codigo == "lost" or .codigo == "resumen" then $events[.codigo]
     elif .fichero == null or .pid == null then $events.other
     elif .llamada then $events[.llamada | call_code]
     else $events[.codigo // ""] // $events.other end)
    + (if .errno or .retorno then
        {status_id: 2, status: "Failure", status_code: (.errno // .retorno)} else {} end);

def last_component: if . == "/" then . else split("/")[-1] // "" end;

def file_of(type_id): {path: ., name: last_component, type_id: type_id};

# 0: unknown.
def type_id:
    if .flags and .codigo != "fail" and (.flags | contains("O_DIRECTORY")) then 2
    else {mkdir: 2, rmdir: 2, symlink: 7}[.codigo // ""] // 0 end;

def file:
    type_id as $type_id
    | (.fichero | file_of($type_id)) + (if .inodo then {uid: (.inodo | tostring)} else {} end);

# The new name of a file that was renamed or linked.
def file_result:
    if .destino and .codigo != "symlink" then {file_result: (.destino | file_of(0))} else {} end;

def user: some("uid"; if .uid then .uid | tostring else null end) + some("name"; .usuario);

def process:
    (if .proceso and .pid and .tid and .ppid then
        {name: .proceso, pid, tid, parent_process: {pid: .ppid}}
    else
        some("name"; .proceso) + some("pid"; .pid) + some("tid"; .tid)
        + some("parent_process"; if .ppid then {pid: .ppid} else null end)
    end)
    + some("cmd_line"; .argumentos)
    + (if .ejecutable then {file: (.ejecutable | file_of(1))} else {} end)
    + (if .uid or .usuario then {user: user} else {} end);

# Keys that have an attribute above.
def mapped: {base: ["codigo", "date", "date_us", "fecha"], file: [
        "codigo", "proceso", "pid", "ppid", "tid", "fichero", "date", "date_us", "fecha", "errno",
        "retorno", "maquina", "uid", "usuario", "ejecutable", "argumentos", "inodo"
    ]} | map_values(map({(.): true}) | add);

def rest($mapped):
    . as $record
    | reduce keys_unsorted[] as $key ({};
        if $mapped[$key] then . else setpath([$key]; $record[$key]) end)
    | if . == {} then {} else {unmapped: .} end;

def on_file($mapped):
    {
        device: {type_id: 0, hostname: (.maquina // "localhost")},
        actor: {process: process},
        file: file
    }
    + file_result + rest($mapped);

def document($events; $mapped):
    event($events) as $event
    | $event + some("time"; time)
    + if $event.class_uid == 1001 then on_file($mapped.file)
      else
        (if .codigo == "lost" then {message: "\(.perdidos) events lost"} else {} end)
        + rest($mapped.base)
      end;

# After an error jq goes on with the record that follows.
events as $events | mapped as $mapped
| (., inputs)
| if type != "object" then error("ocsf.jq: a record of filemon is an object, not \(tojson[:80])")
  else
    . as $record
    | try document($events; $mapped)
      catch error("ocsf.jq: this is no record of filemon (\(.)): \($record | tojson[:80])")
  end
