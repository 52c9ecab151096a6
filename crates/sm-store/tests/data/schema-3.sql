PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE event (
    seq      INTEGER PRIMARY KEY CHECK (seq > 0),
    recorded INTEGER NOT NULL,
    kind     TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 64),
    body     TEXT NOT NULL CHECK (length(body) <= 1048576),
    previous BLOB NOT NULL CHECK (length(previous) = 32),
    digest   BLOB NOT NULL UNIQUE CHECK (length(digest) = 32)
) STRICT;
INSERT INTO "event" VALUES(1,1785000000,'train.opened','{"event":"train.opened","train":"2026-07-25"}',X'0000000000000000000000000000000000000000000000000000000000000000',X'879D7E2FC9F92FF2803471647A08DFD4D7617D734AD9D5E4BF41222306736D52');
INSERT INTO "event" VALUES(2,1785000000,'note.added','{"event":"note.added","text":"öffne the gate"}',X'879D7E2FC9F92FF2803471647A08DFD4D7617D734AD9D5E4BF41222306736D52',X'9F6429A48AEB5B0F7EBAD3E3D3FEEA8B6BDE6E867C17EEE1A15CF9A8CA3B2CC8');
INSERT INTO "event" VALUES(3,1785000600,'note.added','{"event":"note.added","text":""}',X'9F6429A48AEB5B0F7EBAD3E3D3FEEA8B6BDE6E867C17EEE1A15CF9A8CA3B2CC8',X'ADC95CD1B0016DB83EFC504B793BD83F51F5F5AB6815E77862566353B890FF0B');
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
CREATE INDEX event_by_kind ON event (kind, seq);
CREATE TRIGGER event_follows_the_last BEFORE INSERT ON event
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM event)
  OR NEW.previous IS NOT coalesce((SELECT digest FROM event ORDER BY seq DESC LIMIT 1), zeroblob(32))
  OR NEW.recorded < (SELECT recorded FROM event ORDER BY seq DESC LIMIT 1)
BEGIN SELECT RAISE(ABORT, 'an event follows the last one of the log'); END;
CREATE TRIGGER event_is_never_changed BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TABLE test_attempt (
    seq      INTEGER PRIMARY KEY,
    digest   BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    test     TEXT NOT NULL CHECK (length(test) BETWEEN 1 AND 120),
    started  INTEGER NOT NULL,
    subject  TEXT NOT NULL CHECK (length(subject) = 64),
    suite    TEXT NOT NULL CHECK (length(suite) = 64),
    document TEXT NOT NULL CHECK (length(document) <= 65536)
) STRICT;
CREATE INDEX test_attempt_by_test ON test_attempt (test, started);
CREATE TRIGGER test_attempt_is_never_changed BEFORE UPDATE ON test_attempt
BEGIN SELECT RAISE(ABORT, 'attempts are evidence'); END;
CREATE TRIGGER test_attempt_is_never_deleted BEFORE DELETE ON test_attempt
BEGIN SELECT RAISE(ABORT, 'attempts are evidence'); END;
CREATE TABLE test_quarantine (
    seq      INTEGER PRIMARY KEY,
    document TEXT NOT NULL CHECK (length(document) <= 65536)
) STRICT;
CREATE TRIGGER test_quarantine_is_never_changed BEFORE UPDATE ON test_quarantine
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
CREATE TRIGGER test_quarantine_is_never_deleted BEFORE DELETE ON test_quarantine
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END;
INSERT INTO "test_attempt" VALUES(1,X'E3B455F0B9E16562264597752CA5F07D7D41E297F34240E6825866A34CE75977','boot.uefi',1795417200,'abababababababababababababababababababababababababababababababab','cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd','{"subject":"abababababababababababababababababababababababababababababababab","version":"4893.0.0","suite":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","host":{"accelerator":"tcg","cpus":2,"memory_mib":4096,"stationmaster":"0.1.0"},"attempt":{"test":"boot.uefi","scenario":{"platform":"qemu"},"number":1,"isolation":"suite","outcome":{"outcome":"pass"},"phase":"assert","message":"running","signature":null,"started":"2026-11-23T07:00:00Z","duration_millis":61234,"logs":[]}}');
COMMIT;
PRAGMA user_version = 3;
