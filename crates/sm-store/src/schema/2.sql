-- The event log: human judgements and what was done, hash-chained. `body` is the event's document, byte for byte; `digest` is
-- the SHA-256 that `sm_trust::chain` defines over the row and its predecessor. The triggers keep even a foreign program from
-- forking the chain, changing it, or dating an entry before the one it follows.
CREATE TABLE event (
    seq      INTEGER PRIMARY KEY CHECK (seq > 0),
    recorded INTEGER NOT NULL,
    kind     TEXT NOT NULL CHECK (length(kind) BETWEEN 1 AND 64),
    body     TEXT NOT NULL CHECK (length(body) <= 1048576),
    previous BLOB NOT NULL CHECK (length(previous) = 32),
    digest   BLOB NOT NULL UNIQUE CHECK (length(digest) = 32)
) STRICT;

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
