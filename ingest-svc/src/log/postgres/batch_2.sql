-- What a batch calls besides the functions of batch.sql, since version 2 of the tables.

-- Up to `most` customers of each of these numbers.
CREATE FUNCTION batch_customers(of_stores BIGINT[], texts TEXT[], most BIGINT)
RETURNS TABLE (store BIGINT, reversed TEXT, id TEXT, name TEXT, car_number TEXT, note TEXT, calls BIGINT, last_call BIGINT, last_note TEXT)
LANGUAGE plpgsql AS $$ BEGIN
    RETURN QUERY SELECT found.store, found.reversed, found.id, found.name, found.car_number, found.note, found.calls,
        found.last_call, found.last_note
    FROM unnest(of_stores, texts) AS wanted (store, reversed) CROSS JOIN LATERAL (
        SELECT number.reversed, customer.* FROM customer_numbers AS number
            JOIN customers AS customer ON customer.store = number.store AND customer.id = number.customer
        WHERE number.store = wanted.store AND number.reversed = wanted.reversed ORDER BY number.customer LIMIT most) AS found;
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
    INSERT INTO customers (store, id, name, car_number, note, calls, last_call, last_note)
    SELECT new.store, new.id, new.name, new.car, new.note, 0, NULL, ''
    FROM unnest(of_stores, ids, names, cars, notes) AS new (store, id, name, car, note)
    ON CONFLICT (store, id) DO UPDATE SET name = excluded.name, car_number = excluded.car_number, note = excluded.note;
    INSERT INTO customer_numbers (store, customer, reversed, display)
    SELECT * FROM unnest(of_stores, ids, numbers, displays)
    ON CONFLICT DO NOTHING;
END $$;
