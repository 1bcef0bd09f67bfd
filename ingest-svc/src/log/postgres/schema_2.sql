-- What version 2 of the tables has more than version 1.

-- People in the adopter's own records: a row for each number, with everything that is known, so that an accept finds it with one look-up.
CREATE TABLE customers (
    reversed  TEXT COLLATE "C" NOT NULL,    -- the number, as in callers
    store     BIGINT NOT NULL,
    id        TEXT COLLATE "C" NOT NULL,
    display   TEXT NOT NULL,                -- the number as people write it
    name      TEXT NOT NULL,
    car_number TEXT NOT NULL,
    note      TEXT NOT NULL,
    calls     BIGINT NOT NULL,              -- that an older system knew of, as the next two
    last_call BIGINT,                       -- Unix seconds
    last_note TEXT NOT NULL,
    PRIMARY KEY (reversed, store, id)
);
CREATE INDEX customers_of_store ON customers (store, id);

-- Tablets that were paired, or show a code.
CREATE TABLE pads (
    id        UUID PRIMARY KEY,
    credential BYTEA NOT NULL UNIQUE,       -- SHA-256 of it
    code      TEXT COLLATE "C",             -- that the tablet shows, or showed when it was approved; NULL: that has expired
    expires   BIGINT NOT NULL,              -- Unix seconds: until when the code can be approved
    store     BIGINT,                       -- NULL: not approved, as the next one
    paired    BIGINT,                       -- Unix seconds
    name      TEXT NOT NULL DEFAULT '',
    last_token BIGINT,                      -- Unix seconds; NULL: never
    revoked   BIGINT                        -- Unix seconds; NULL: it is not
);
CREATE UNIQUE INDEX pads_by_code ON pads (code) WHERE code IS NOT NULL;
CREATE INDEX pads_of_store ON pads (store);
CREATE INDEX pads_revoked ON pads (revoked) WHERE revoked IS NOT NULL;

-- The reservations that have a time; all that is known of one is in its call.
CREATE TABLE reservations (
    call      BIGINT PRIMARY KEY,           -- its key
    store     BIGINT NOT NULL,
    at        BIGINT NOT NULL               -- Unix seconds
);
CREATE INDEX reservations_of_store ON reservations (store, at);
CREATE INDEX reservations_by_age ON reservations (at);
