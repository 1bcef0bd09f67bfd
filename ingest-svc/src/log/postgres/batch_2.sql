-- What a batch calls besides the functions of batch.sql, since version 2 of the tables.

-- Up to `most` customers with each of these numbers.
CREATE FUNCTION batch_customers(of_stores BIGINT[], texts TEXT[], most BIGINT) RETURNS SETOF customers LANGUAGE plpgsql AS $$ BEGIN
    RETURN QUERY SELECT found.* FROM unnest(of_stores, texts) AS wanted (store, reversed) CROSS JOIN LATERAL (
        SELECT * FROM customers WHERE customers.reversed = wanted.reversed AND customers.store = wanted.store
        ORDER BY customers.reversed, customers.store, customers.id LIMIT most) AS found;
END $$;

-- The times of the reservations of these calls. NULL: it has none any more.
CREATE FUNCTION batch_reserve(ids UUID[], of_stores BIGINT[], times BIGINT[]) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    DELETE FROM reservations WHERE call IN (SELECT key FROM calls WHERE id = ANY (ids));
    INSERT INTO reservations (call, store, at)
    SELECT calls.key, new.store, new.at FROM unnest(ids, of_stores, times) AS new (id, store, at) JOIN calls USING (id)
    WHERE new.at IS NOT NULL;
END $$;

-- What pads know of customers. What an older system knew, and other numbers, stay.
CREATE FUNCTION batch_name_customers(
    of_stores BIGINT[], ids TEXT[], names TEXT[], cars TEXT[], notes TEXT[], numbers TEXT[], displays TEXT[]
) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    UPDATE customers SET name = new.name, car_number = new.car, note = new.note
    FROM unnest(of_stores, ids, names, cars, notes) AS new (store, id, name, car, note)
    WHERE customers.store = new.store AND customers.id = new.id;
    INSERT INTO customers (store, id, name, car_number, note, reversed, display, calls, last_call, last_note)
    SELECT new.*, 0, NULL, '' FROM unnest(of_stores, ids, names, cars, notes, numbers, displays) AS new
    ON CONFLICT DO NOTHING;
END $$;
