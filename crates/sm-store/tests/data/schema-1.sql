PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE heartbeat (
    machine_id TEXT PRIMARY KEY REFERENCES instance (machine_id) DEFERRABLE INITIALLY DEFERRED,
    last_check INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "heartbeat" VALUES('0123456789abcdef0123456789abcdef',1785000600);
CREATE TABLE instance (
    machine_id TEXT PRIMARY KEY,
    group_name TEXT NOT NULL,
    version    TEXT NOT NULL,
    status     TEXT NOT NULL,
    document   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "instance" VALUES('0123456789abcdef0123456789abcdef','stable','4900.2.0','fell-back','{"machine_id":"0123456789abcdef0123456789abcdef","host":{"group":"stable","board":"amd64-usr","version":"4900.2.0","alias":"box","oem":"qemu","first_version":"4900.2.0","boot_id":"{b191}"},"first_seen":"2026-07-25T17:20:00Z","changed":"2026-07-25T17:30:00Z","status":"fell-back","last_offered":"4901.2.0","fell_back_from":["4901.2.0"],"error_code":44,"reason":"boxcar-health.service failed"}');
CREATE TABLE report (
    seq        INTEGER PRIMARY KEY,
    received   INTEGER NOT NULL,
    machine_id TEXT NOT NULL CHECK (length(machine_id) BETWEEN 1 AND 64),
    kind       TEXT NOT NULL CHECK (kind IN ('seen', 'offered', 'event')),
    document   TEXT NOT NULL CHECK (length(document) <= 16384)
) STRICT;
INSERT INTO "report" VALUES(1,1785000000,'0123456789abcdef0123456789abcdef','seen','{"entry":"seen","received":"2026-07-25T17:20:00Z","machine_id":"0123456789abcdef0123456789abcdef","host":{"group":"stable","board":"amd64-usr","version":"4900.2.0","alias":"box","oem":"qemu","first_version":"4900.2.0","boot_id":"{b191}"}}');
INSERT INTO "report" VALUES(2,1785000000,'0123456789abcdef0123456789abcdef','offered','{"entry":"offered","received":"2026-07-25T17:20:00Z","machine_id":"0123456789abcdef0123456789abcdef","version":"4901.2.0"}');
INSERT INTO "report" VALUES(3,1785000060,'0123456789abcdef0123456789abcdef','event','{"entry":"event","received":"2026-07-25T17:21:00Z","machine_id":"0123456789abcdef0123456789abcdef","group":"stable","version":"4900.2.0","kind":"download-started","result":"success","error_code":null,"previous_version":null,"reason":null}');
INSERT INTO "report" VALUES(4,1785000120,'0123456789abcdef0123456789abcdef','event','{"entry":"event","received":"2026-07-25T17:22:00Z","machine_id":"0123456789abcdef0123456789abcdef","group":"stable","version":"4900.2.0","kind":"download-finished","result":"success","error_code":null,"previous_version":null,"reason":null}');
INSERT INTO "report" VALUES(5,1785000180,'0123456789abcdef0123456789abcdef','event','{"entry":"event","received":"2026-07-25T17:23:00Z","machine_id":"0123456789abcdef0123456789abcdef","group":"stable","version":"4900.2.0","kind":"update-complete","result":"success","error_code":null,"previous_version":null,"reason":null}');
INSERT INTO "report" VALUES(6,1785000600,'0123456789abcdef0123456789abcdef','event','{"entry":"event","received":"2026-07-25T17:30:00Z","machine_id":"0123456789abcdef0123456789abcdef","group":"stable","version":"4900.2.0","kind":"update-complete","result":"error","error_code":44,"previous_version":null,"reason":"boxcar-health.service failed"}');
CREATE INDEX report_by_machine ON report (machine_id, seq);
CREATE TRIGGER report_is_never_changed BEFORE UPDATE ON report
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER report_is_never_deleted BEFORE DELETE ON report
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE INDEX instance_by_group ON instance (group_name, version, status);
COMMIT;
PRAGMA user_version = 1;
