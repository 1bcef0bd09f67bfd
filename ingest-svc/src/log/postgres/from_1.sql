-- What a log of version 1 needs beside the tables of schema_2.sql: its reservations.

-- The time of the reservation in a call's facts. NULL: it has none, or cannot be read.
CREATE FUNCTION reserved_at(facts BYTEA) RETURNS BIGINT LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN
    IF position(convert_to('"reservation":{', 'UTF8') IN facts) = 0 THEN
        RETURN NULL;
    END IF;
    RETURN (convert_from(facts, 'UTF8')::json #>> '{doings,reservation,at}')::bigint;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;

INSERT INTO reservations (call, store, at)
    SELECT key, store, reserved_at(facts) FROM calls WHERE store IS NOT NULL AND reserved_at(facts) IS NOT NULL;

-- What an older ingest-svc, which may still run, calls when it changes calls.
CREATE OR REPLACE FUNCTION batch_update_calls(
    keys BIGINT[], sdts BIGINT[], of_stores BIGINT[], numbers TEXT[], states INTEGER[],
    all_facts BYTEA[], all_fingerprints BYTEA[], seen BYTEA[]
) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    UPDATE calls SET sdt = new.sdt, store = new.store, caller = new.caller, state = new.state, facts = new.facts,
        fingerprints = new.fingerprints, call = new.call
    FROM unnest(keys, sdts, of_stores, numbers, states, all_facts, all_fingerprints, seen)
        AS new (key, sdt, store, caller, state, facts, fingerprints, call)
    WHERE calls.key = new.key;
    DELETE FROM reservations WHERE call = ANY (keys);
    INSERT INTO reservations (call, store, at)
    SELECT new.key, new.store, reserved_at(new.facts) FROM unnest(keys, of_stores, all_facts) AS new (key, store, facts)
    WHERE new.store IS NOT NULL AND reserved_at(new.facts) IS NOT NULL;
END $$;
