-- What a batch reads and writes, as functions. The server keeps the plans of a function's statements for each connection, also behind
-- PgBouncer, where prepared statements cannot be used. Planned for each batch, they took half of the database's time.
--
-- A function of a newer version that takes or returns something else gets another name: an older ingest-svc may still run.

-- What is set for a transaction that writes. A role or database may have weaker settings; a stronger synchronous_commit stays. statement_timeout
-- would also end a COMMIT that waits for a standby, which may then be lost with the server. A transaction holds locks that others
-- wait for, so a client that stops in the middle of it is cut off. A COMMIT that does not wait for the standby any more is known by its
-- warning.
CREATE FUNCTION begin_writing() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    PERFORM set_config('client_min_messages', 'warning', true), set_config('statement_timeout', '0', true),
        set_config('lock_timeout', '500ms', true), set_config('idle_in_transaction_session_timeout', '2s', true),
        CASE WHEN current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')
            THEN set_config('synchronous_commit', 'on', true) END;
END $$;

-- The owner's row, locked; then takes the locks, in the order of the array after that on the directory. A plan is kept, and may be made
-- while the tables are empty, so all plans use an index.
CREATE FUNCTION batch_begin(own UUID, directory BIGINT, locks BIGINT[]) RETURNS SETOF owners LANGUAGE plpgsql AS $$ BEGIN
    PERFORM set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true),
        set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true);
    RETURN QUERY SELECT * FROM owners WHERE owner = own FOR NO KEY UPDATE;
    PERFORM pg_advisory_xact_lock_shared(directory);
    PERFORM pg_advisory_xact_lock(lock) FROM unnest(locks) AS lock;
END $$;

-- The calls with the seq of each record, those nearest to its sdt on each side, and the calls with these ids. Locked in the order of their keys.
CREATE FUNCTION batch_calls(sources TEXT[], seqs TEXT[], sdts BIGINT[], ids UUID[], side BIGINT)
RETURNS SETOF calls LANGUAGE plpgsql AS $$ BEGIN
    RETURN QUERY
    WITH wanted AS (
        SELECT near.key FROM unnest(sources, seqs, sdts) AS record (source, seq, sdt) CROSS JOIN LATERAL (
            (SELECT key FROM calls WHERE source = record.source AND seq = record.seq AND sdt <= record.sdt
             ORDER BY sdt DESC LIMIT side)
            UNION ALL
            (SELECT key FROM calls WHERE source = record.source AND seq = record.seq AND sdt > record.sdt
             ORDER BY sdt LIMIT side)) AS near
        UNION
        SELECT key FROM calls WHERE id = ANY (ids))
    SELECT * FROM calls WHERE key = ANY (ARRAY (SELECT key FROM wanted)) ORDER BY key FOR NO KEY UPDATE;
END $$;

CREATE FUNCTION batch_numbers(kinds SMALLINT[], texts TEXT[]) RETURNS SETOF numbers LANGUAGE plpgsql AS $$ BEGIN
    RETURN QUERY SELECT numbers.* FROM unnest(kinds, texts) AS wanted (kind, number) JOIN numbers USING (kind, number);
END $$;

-- Locked in the order of their keys.
CREATE FUNCTION batch_stores(keys BIGINT[]) RETURNS SETOF stores LANGUAGE plpgsql AS $$ BEGIN
    RETURN QUERY SELECT * FROM stores WHERE key = ANY (keys) ORDER BY key FOR NO KEY UPDATE;
END $$;

CREATE FUNCTION batch_callers(of_stores BIGINT[], texts TEXT[]) RETURNS SETOF callers LANGUAGE plpgsql AS $$ BEGIN
    RETURN QUERY SELECT callers.* FROM unnest(of_stores, texts) AS wanted (store, reversed)
        JOIN callers USING (store, reversed);
END $$;

-- Keys are given out in the order of the arrays.
CREATE FUNCTION batch_insert_calls(
    ids UUID[], sources TEXT[], seqs TEXT[], sdts BIGINT[], of_stores BIGINT[], numbers TEXT[], states INTEGER[],
    all_facts BYTEA[], all_fingerprints BYTEA[], seen BYTEA[]
) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO calls (id, source, seq, sdt, store, caller, state, facts, fingerprints, call)
    SELECT * FROM unnest(ids, sources, seqs, sdts, of_stores, numbers, states, all_facts, all_fingerprints, seen);
END $$;

CREATE FUNCTION batch_update_calls(
    keys BIGINT[], sdts BIGINT[], of_stores BIGINT[], numbers TEXT[], states INTEGER[],
    all_facts BYTEA[], all_fingerprints BYTEA[], seen BYTEA[]
) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    UPDATE calls SET sdt = new.sdt, store = new.store, caller = new.caller, state = new.state, facts = new.facts,
        fingerprints = new.fingerprints, call = new.call
    FROM unnest(keys, sdts, of_stores, numbers, states, all_facts, all_fingerprints, seen)
        AS new (key, sdt, store, caller, state, facts, fingerprints, call)
    WHERE calls.key = new.key;
END $$;

-- A caller that is not there any more was deleted because of its age, and is made again.
CREATE FUNCTION batch_write_callers(
    of_stores BIGINT[], texts TEXT[], counts BIGINT[], last_calls BIGINT[], notes BYTEA[], reservations BYTEA[]
) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO callers (store, reversed, calls, last_call, last_note, last_reservation)
    SELECT * FROM unnest(of_stores, texts, counts, last_calls, notes, reservations)
    ON CONFLICT (store, reversed) DO UPDATE SET calls = excluded.calls, last_call = excluded.last_call,
        last_note = excluded.last_note, last_reservation = excluded.last_reservation;
END $$;

-- Writes the stores' new positions, the events, and the owner's row. The events' sequences follow newest_before, in the order of the arrays.
CREATE FUNCTION batch_publish(
    own UUID, newest_before BIGINT, handled BIGINT, until TIMESTAMPTZ, created_at BIGINT,
    keys BIGINT[], new_positions BIGINT[], of_stores BIGINT[], positions BIGINT[], encoded BYTEA[]
) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    UPDATE stores SET position = new.position FROM unnest(keys, new_positions) AS new (key, position)
    WHERE stores.key = new.key;
    INSERT INTO events (store, position, owner, sequence, created, bytes)
    SELECT event.store, event.position, own, newest_before + number, created_at, event.bytes
    FROM unnest(of_stores, positions, encoded) WITH ORDINALITY AS event (store, position, bytes, number);
    UPDATE owners SET newest = newest_before + cardinality(encoded), relayed = greatest(relayed, handled), lease = until
    WHERE owner = own;
END $$;
