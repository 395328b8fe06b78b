-- Tables for the records of many hosts, in a database of PostgreSQL 14 or later that is in UTF-8.
-- filemon-fleet(7) has the commands that make the database and let root, as whom rsyslog runs, use it.
--
-- One partition for each day, made before it begins: call filemon.make_days() once a day, and
-- filemon.drop_days(N) to keep N days.
create schema filemon;

-- fecha and maquina are copies, for indexes.  digest tells records apart, so that one that was sent
-- twice is stored once.
create table filemon.records (
    fecha   timestamptz not null,
    digest  uuid not null,
    maquina text not null,
    record  jsonb not null check (jsonb_typeof(record) = 'object'),
    primary key (fecha, digest)
) partition by range (fecha);

-- A path can be longer than an entry of a btree; a hash has any length.
create index on filemon.records using hash ((record->>'fichero'));
create index on filemon.records ((record->>'proceso'), fecha);

-- Records of days without a partition.
create table filemon.records_other partition of filemon.records default;

-- What is no record: for example the half of a line of a file that was cut.
create table filemon.rejected (fecha timestamptz not null default now(), maquina text, line text);

-- rsyslog takes a statement that failed for done.  So this one never fails: what the same line would
-- cause again (no JSON, a date_us that is no time, more than an index takes) goes to filemon.rejected,
-- and everything else, such as a full disk, is waited for.
create function filemon.take(host text, line text) returns void language plpgsql as $$
declare
    record jsonb;
    is_rejected boolean := false;
begin
    loop
        begin
            if is_rejected then
                insert into filemon.rejected (maquina, line) values (host, line);
                return;
            end if;
            record := line::jsonb;
            insert into filemon.records values (
                coalesce(to_timestamp((record->>'date_us')::bigint / 1000000.0), now()),
                md5(host || line)::uuid,
                coalesce(record->>'maquina', host),
                record
            ) on conflict do nothing;
            return;
        exception
            when data_exception or integrity_constraint_violation or program_limit_exceeded then
                is_rejected := true;
            when others then
                raise warning 'filemon.take waits: %', sqlerrm;
                perform pg_sleep(1);
        end;
    end loop;
end $$;

-- Days are those of UTC.
create function filemon.day_name(day date) returns text language sql immutable as
    $$ select 'records_' || to_char(day, 'YYYYMMDD') $$;

create function filemon.make_days(ahead int default 7) returns void language plpgsql
set client_min_messages = warning as $$
declare
    day date;
begin
    for day in select generate_series((now() at time zone 'utc')::date,
                                      (now() at time zone 'utc')::date + ahead, '1 day')
    loop
        execute format('create table if not exists filemon.%I partition of filemon.records '
                       'for values from (%L) to (%L)', filemon.day_name(day),
                       day || ' 00:00 utc', day + 1 || ' 00:00 utc');
    end loop;
end $$;

create function filemon.drop_days(keep int) returns void language plpgsql as $$
declare
    name text;
begin
    for name in select relname from pg_class join pg_inherits on pg_class.oid = inhrelid
                where inhparent = 'filemon.records'::regclass and relname ~ '^records_[0-9]{8}$'
                and relname < filemon.day_name((now() at time zone 'utc')::date - keep)
    loop
        execute format('drop table filemon.%I', name);
    end loop;
end $$;

select filemon.make_days();
