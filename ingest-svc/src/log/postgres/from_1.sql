-- What a log of version 1 needs beside the tables of schema_2.sql: its reservations, which the migration then reads from its calls.

-- The time of the reservation in a call's facts. NULL: it has none. By the text, because functions for JSON refuse \u0000, which a note may
-- have. Quotation marks within a value are escaped, so none of them ends it.
CREATE FUNCTION reserved_at(facts BYTEA) RETURNS BIGINT LANGUAGE plpgsql IMMUTABLE AS $f$ BEGIN
    IF position(convert_to('"reservation":{', 'UTF8') IN facts) = 0 THEN
        RETURN NULL;
    END IF;
    RETURN substring(convert_from(facts, 'UTF8') FROM
        $$"reservation":\{"customer_name":"(?:[^"\\]|\\.)*","car_number":"(?:[^"\\]|\\.)*","service":"(?:[^"\\]|\\.)*","at":(-?\d+)$$)::bigint;
END $f$;

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
