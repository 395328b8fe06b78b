# SPDX-License-Identifier: GPL-2.0-or-later
# Turns each record of filemon into a document of the Elastic Common Schema (ECS 9.4):
#
#   filemon ... | jq -cf ecs.jq
#
# Keys for which ECS has no field keep their names, below "filemon".

# {name: value}, or nothing if there is no such value.
def some(name; value): value as $value | if $value == null then {} else {(name): $value} end;

# µs since the epoch in ISO 8601: jq's own dates have no fractions of a second.
def iso: (. / 1000000 | floor | todate[:19]) + "." + (. % 1000000 + 1000000 | tostring[1:]) + "Z";

# -F may have left out date_us.  In a close, date is a duration.
def timestamp:
    if .date_us then .date_us | iso
    elif .fecha then .fecha
    elif .date and .codigo != "close" then .date * 1000 | iso
    else null end;

# The constant part of "event", by codigo.
def events:
    def base: {kind: "event", module: "filemon", dataset: "filemon.records"};
    def of_file($type): base + {category: ["file"], type: [$type], outcome: "success"};
    {
        open: of_file("access"), close: of_file("info"), dup: of_file("info"),
        held: (of_file("info") + {kind: "state"}),
        error: (of_file("info") + {outcome: "unknown"}),
        fail: (of_file("access") + {outcome: "failure"}),
        rename: of_file("change"), link: of_file("creation"), symlink: of_file("creation"),
        unlink: of_file("deletion"), mkdir: of_file("creation"), rmdir: of_file("deletion"),
        mknod: of_file("creation"), chmod: of_file("change"), chown: of_file("change"),
        truncate: of_file("change"), utimes: of_file("change"), setxattr: of_file("change"),
        exec: (of_file("start") + {category: ["process"]}),
        lost: (base + {kind: "pipeline_error", outcome: "unknown"}),
        resumen: (base + {kind: "metric"})
    }
    | with_entries(.value.action = .key)
    | .fail.action = "open";

# A system call that failed has the type that the record of its success has.
def failed_call($events):
    . as $call
    | first(("unlink", "symlink", "link", "rename", "mkdir", "rmdir", "mknod", "chmod", "chown",
        "truncate", "exec", "setxattr", "utimes") | select(. as $name | $call | contains($name)))
        // "utimes"
    | $events[.] + {action: $call, outcome: "failure"};

def event($events):
    (if .llamada then .llamada | failed_call($events)
     else $events[.codigo // ""] // {kind: "event"} + some("action"; .codigo) end)
    + some("duration"; .duracion_ns) + some("reason"; .motivo)
    + (if .retorno then {outcome: "failure"} else {} end);

def file_type:
    if .flags and .codigo != "fail" and (.flags | contains("O_DIRECTORY")) then "dir"
    else {mkdir: "dir", rmdir: "dir", symlink: "symlink"}[.codigo // ""] end;

def last_component: if . == "/" then . else split("/")[-1] // "" end;

def file:
    {path: .fichero, name: (.fichero | last_component)}
    + some("type"; file_type)
    + (if .inodo then {inode: (.inodo | tostring)} else {} end)
    + (if .codigo == "symlink" then {target_path: .destino} else {} end);

def process:
    if .proceso and .pid and .ppid and .tid then
        {name: .proceso, pid, parent: {pid: .ppid}, thread: {id: .tid}}
    else
        some("name"; .proceso) + some("pid"; .pid)
        + some("parent"; if .ppid then {pid: .ppid} else null end)
        + some("thread"; if .tid then {id: .tid} else null end)
    end
    + some("executable"; .ejecutable) + some("command_line"; .argumentos);

def user: some("id"; if .uid then .uid | tostring else null end) + some("name"; .usuario);

# The names of a container's control groups have its id.
def container: first(.cgroup | match("[0-9a-f]{64}").string | {id: .}) // {};

# Keys that have a field above.
def mapped:
    [
        "codigo", "proceso", "pid", "ppid", "tid", "fichero", "date", "date_us", "fecha",
        "duracion_ns", "motivo", "errno", "retorno", "llamada", "maquina", "uid", "usuario",
        "ejecutable", "argumentos", "inodo"
    ] | map({(.): true}) | add;

def rest($mapped):
    . as $record
    | reduce keys_unsorted[] as $key ({};
        if $mapped[$key] then . else setpath([$key]; $record[$key]) end);

# {name: members}, or nothing if there are no members.
def object(name; members):
    members as $members | if $members == {} then {} else {(name): $members} end;

def document($events; $mapped):
    some("@timestamp"; timestamp)
    + {ecs: {version: "9.4.0"}, event: event($events)}
    + (if .fichero then {file: file} else {} end)
    + object("process"; process)
    + (if .uid or .usuario then {user: user} else {} end)
    + (if .maquina then {host: {name: .maquina}} else {} end)
    + (if .cgroup then object("container"; container) else {} end)
    + (if .errno or .retorno then {error: {code: (.errno // .retorno)}} else {} end)
    + (if .codigo == "lost" then {message: "\(.perdidos) events lost"} else {} end)
    + object("filemon"; rest($mapped));

# After an error jq goes on with the record that follows.
events as $events | mapped as $mapped
| (., inputs)
| if type != "object" then error("ecs.jq: a record of filemon is an object, not \(tojson[:80])")
  else
    . as $record
    | try document($events; $mapped)
      catch error("ecs.jq: this is no record of filemon (\(.)): \($record | tojson[:80])")
  end
