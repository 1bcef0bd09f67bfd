-- What a batch calls besides the functions of batch.sql, since version 2 of the tables.

-- The customers of these numbers.
CREATE FUNCTION batch_customers(of_stores BIGINT[], texts TEXT[])
RETURNS TABLE (store BIGINT, reversed TEXT, id TEXT, name TEXT, car_number TEXT, note TEXT, calls BIGINT, last_call BIGINT, last_note TEXT)
LANGUAGE plpgsql AS $$ BEGIN
    RETURN QUERY SELECT customers.store, wanted.reversed, customers.id, customers.name, customers.car_number, customers.note,
        customers.calls, customers.last_call, customers.last_note
    FROM unnest(of_stores, texts) AS wanted (store, reversed)
        JOIN customer_numbers AS number ON number.store = wanted.store AND number.reversed = wanted.reversed
        JOIN customers ON customers.store = number.store AND customers.id = number.customer
    ORDER BY customers.store, wanted.reversed, customers.id;
END $$;

-- The times of the reservations of these calls. NULL: it has none any more.
CREATE FUNCTION batch_reserve(keys BIGINT[], of_stores BIGINT[], times BIGINT[]) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    DELETE FROM reservations WHERE call = ANY (keys);
    INSERT INTO reservations (call, store, at)
    SELECT new.call, new.store, new.at FROM unnest(keys, of_stores, times) AS new (call, store, at) WHERE new.at IS NOT NULL;
END $$;
